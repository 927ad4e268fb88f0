"""A channel is added on its pages: the port, the TLS and the password are wrong, each is named in words, and then it is
right. It carries a message; it is changed, approved by another person, rolled back; all of it is in the audit log."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from certificates import HERE, Authority
from nodes import Node, furnished, until
from playwright.async_api import Browser, Page, expect
from windows import DESKTOP, PHONE, fits, opened, sends

from smsgw.platform.settings import service as settings
from smsgw.simulator import Carrier, CarrierConfig

SECRET, WRONG = "right-pw", "wrong-pw"


@pytest_asyncio.fixture(loop_scope="module")
async def node(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    """A node without a channel, and a carrier that speaks SMPP over TLS."""
    trusted, cert = Authority(tmp_path / "trusted.pem"), tmp_path / "carrier.pem"
    trusted.certify(cert, HERE)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted.path))
    carrier = Carrier(CarrierConfig(protocol="smpp", users={"900001": SECRET}, tls_cert=str(cert)))
    people = {"boss": "super", "second": "super"}
    async with furnished(dsn, tmp_path / "data", people, to=carrier, channel=False) as made:
        yield made


async def _finds(page: Page, one: str, words: str) -> None:
    """The test of the channel ends with these words."""
    await page.goto(f"{one}/test")
    await page.click("form[action$='/test'] button.btn-primary")
    await expect(page.locator("#check")).to_contain_text(words)
    await expect(page.locator("#check")).not_to_contain_text("正在测试")
    assert WRONG not in await page.content()


async def _changes(page: Page, one: str, **fields: str) -> None:
    await page.goto(f"{one}/edit")
    for field, text in fields.items():
        await page.fill(f"#{field}", text)
    await page.click(".kit-form button[type=submit]")


@pytest.mark.shard("core")
@pytest.mark.slow
async def test_a_channel_is_wrong_in_words_then_right_then_changed_by_two(
    chromium: Browser, node: Node, unused_tcp_port: int
) -> None:
    database = node.db
    async with opened(chromium, node, DESKTOP, "boss") as page:
        await page.goto("/channels/-/new")
        await page.click("a[href='/channels/-/new/smpp34']")
        for field, text in (("name", "gate"), ("host", "127.0.0.1"), ("port", str(unused_tcp_port)),
                            ("username", "900001"), ("password", WRONG), ("access_code", "10690001")):  # fmt: skip
            await page.fill(f"#{field}", text)
        await page.click(".kit-form button[type=submit]")
        await page.wait_for_url(re.compile(r"/channels/\d+/test$"))
        one = page.url.removeprefix(node.url).removesuffix("/test")
        await _finds(page, one, "端口没有程序接听")
        await _changes(page, one, port=str(node.carrier.port), password=WRONG)
        await _finds(page, one, "端口要求 TLS，而本通道用明文连接")
        await page.goto(f"{one}/edit")
        await page.check("#tls")
        await page.click(".kit-form button[type=submit]")
        await _finds(page, one, "网关拒绝登录：900001 的密码不对")
        await expect(page.locator("#check")).to_contain_text("command_status 0x0000000E")
        await _changes(page, one, password=SECRET)
        await _finds(page, one, "测试通过")
        await fits(page)
        assert node.carrier.counts.logins == 1, "refused ones are none, and it is not started"
        await page.click(f"a[href='{one}/start']")
        await page.click(".effect ~ form button[type=submit]")
        await expect(page.locator("#channel")).to_contain_text("已连接")
        await expect(page.locator("#channel")).to_contain_text("gate/1")
        await page.click(f"a[href='{one}/wire']")
        await page.click("form[action$='/wire'] button.btn-primary")
        await expect(page.locator("#wire")).to_contain_text("正在查看")

        await page.goto("/send/quick")
        await page.select_option("#account", str(node.hall))
        await page.fill("#to", "13800000301")
        await page.fill("#content", "新通道")
        await page.click("form.send button[type=submit]")
        await page.click("form.send button.btn-primary")
        await until(lambda: node.carrier.inbox.messages)
        assert [m.text for m in node.carrier.inbox.messages] == ["【市政服务】新通道"]
        await page.goto(f"{one}/wire")
        await expect(page.locator("#wire")).to_contain_text("SubmitSm")
        await page.locator("#wire details", has_text="SubmitSm").first.click()
        await fits(page)
        assert "13800000301" not in await page.content()
        assert "新通道" not in await page.locator("#wire").inner_text()

        await settings.put(node.change(), "channel_approval", 1)
        await _changes(page, one, rate="120", reason="按合同限速")
        await expect(page.locator("#channel")).to_contain_text("等待批准")
        assert await database.fetchval("SELECT rate FROM channel WHERE name = 'gate'") == 0

    waiting = await database.fetchval("SELECT number FROM channel_version WHERE state = 'waiting'")
    async with opened(chromium, node, PHONE, "second") as page:
        await page.goto(f"{one}/versions/{waiting}")
        await fits(page)
        await page.click("a[href$='/approve']")
        await sends(page)
        await page.wait_for_url(f"**{one}/versions")
        assert await database.fetchval("SELECT rate FROM channel WHERE name = 'gate'") == 120
        await page.goto(f"{one}/versions/{waiting - 1}/rollback")
        await page.fill("#reason", "限得太低")
        await sends(page)
        await page.wait_for_url(f"**{one}/versions")
        assert await database.fetchval("SELECT rate FROM channel WHERE name = 'gate'") == 120, "this waits as well"
    async with opened(chromium, node, DESKTOP, "boss") as page:
        await page.goto(f"{one}/versions/{waiting + 1}/approve")
        await sends(page)
        await page.wait_for_url(f"**{one}/versions")
        assert await database.fetchval("SELECT rate FROM channel WHERE name = 'gate'") == 0
        await page.goto("/audit?object=channel/gate")
        for word in ("新建通道", "测试通道连接", "提交通道修改", "批准通道修改", "通道回退到旧版本"):
            await expect(page.locator("#list-rows")).to_contain_text(word)
    rows = await database.fetch("SELECT actor, action FROM audit WHERE object = 'channel/gate' ORDER BY id")
    assert [tuple(row) for row in rows if row["action"] not in ("channel.check", "channel.set")] == [
        ("boss", "channel.add"), ("boss", "channel.record"), ("boss", "channel.propose"), ("second", "channel.approve"),
        ("second", "channel.rollback"), ("boss", "channel.approve"),
    ]  # fmt: skip
    written = str(await database.fetch("SELECT before, after FROM audit"))
    assert WRONG not in written
    assert SECRET not in written
