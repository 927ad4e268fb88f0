"""A short link from the wizard to the phone: made, inserted, sent with a code for each number, opened by one of them,
told by the record; and the rest is written to again."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from changes import by_test
from harness import free_port
from playwright.async_api import Browser, Page, expect
from portal_site import PASSWORD_HASH, all_proven
from test_portal_browser import DESKTOP, PHONE, chromium, fits, opened, pytestmark
from test_wizard_story import Running, goes_on

from smsgw.core.sent_links import SAMPLE
from smsgw.node.life import Daemon
from smsgw.platform.accounts import service as accounts
from smsgw.platform.channels import service as channels
from smsgw.platform.links import clicks
from smsgw.platform.org import service as org
from smsgw.platform.policies import service as policies
from smsgw.runtime.config import Config, DatabaseConfig, HttpConfig, NodeConfig, OpsConfig, PublicConfig
from smsgw.simulator import Behaviour, Carrier, CarrierConfig, Delay

__all__ = ("chromium", "pytestmark")
HOST, TARGET = "s.example.cn", "https://www.example.cn/spring"
NUMBERS = ("13900000001", "13900000002", "13900000003")
BROWSER = {
    "Host": HOST, "Accept-Language": "zh-CN", "Accept": "text/html",
    "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
}  # fmt: skip
PICTURES = os.environ.get("SMSGW_PICTURES")
"""A folder: what is seen on the way is put there."""


async def picture(page: Page, name: str) -> None:
    if PICTURES:
        await asyncio.to_thread(Path(PICTURES).mkdir, parents=True, exist_ok=True)
        await page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


@pytest_asyncio.fixture
async def edge(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Running, str]]:
    """A node with a channel to a carrier, and the address of its public edge."""
    monkeypatch.setattr(clicks, "SETTLED", timedelta())
    carrier = Carrier(CarrierConfig(
        protocol="cmpp", users={"900001": "secret"},
        behaviour=Behaviour(answer_delay=Delay(0.001, 0.003), report_delay=Delay(0.1, 0.3)),
    ))  # fmt: skip
    await carrier.start()
    port = free_port()
    daemon = Daemon(Config(
        node=NodeConfig(data_dir=tmp_path), database=DatabaseConfig(dsn=dsn),
        http=HttpConfig(listen="127.0.0.1:0"), ops=OpsConfig(listen="127.0.0.1:0"),
        public=PublicConfig(listen=f"127.0.0.1:{port}", hosts=(HOST,)),
    ))  # fmt: skip
    try:
        await daemon.start()
        await all_proven(dsn)
        change = by_test(daemon.node.database, daemon.node.ids.next)
        account = await accounts.add(change, "hall", display_name="政务大厅", default_sign="市政服务")
        await accounts.top_up(change, account, 100_000, "test")
        fields = {
            "protocol": "cmpp30", "host": "127.0.0.1", "port": carrier.port, "username": "900001",
            "password": "secret", "access_code": "10690001",
        }  # fmt: skip
        await channels.add(change, daemon.node.sealer, "mobile", fields)
        for policy in ("frequency", "identical_seconds"):  # the same text goes out again within a minute
            await policies.put(change, policy, "off")
        await org.add_person(
            change, "leader", "leader", ["super"], PASSWORD_HASH, accounts=[account], must_change=False
        )
        yield Running(daemon.node.urls["http"], daemon, carrier), f"http://127.0.0.1:{port}"
    finally:
        await daemon.stop()
        await carrier.stop()


async def judged(node: Running) -> None:
    """Returns when the click is known to be a person's."""
    async with asyncio.timeout(60):
        while True:
            if await node.daemon.node.database.fetchval("SELECT count(*) FROM message_link WHERE clicked"):
                return
            await asyncio.sleep(0.2)


async def sent(page: Page, n: int) -> None:
    """From the numbers to the end of the task."""
    await expect(page.locator("[data-class=valid] .clean-count")).to_have_text(f"{n}")
    await page.click(".form-buttons .btn-primary")
    await page.wait_for_url("**/options")
    await goes_on(page)
    await page.wait_for_url("**/time")
    await goes_on(page)
    await page.wait_for_url("**/confirm")
    await picture(page, f"confirm-{n}")
    await goes_on(page)
    await page.wait_for_url(re.compile(r"/tasks/\d+$"))
    await expect(page.locator("#detail")).to_contain_text("已完成", timeout=120_000)


@pytest.mark.slow
async def test_a_link_goes_out_is_opened_and_the_rest_get_it_again(
    chromium: Browser, edge: tuple[Running, str]
) -> None:
    node, public = edge
    async with opened(chromium, node, DESKTOP, "leader") as page:  # type: ignore[arg-type]
        page.context.set_default_timeout(60_000)
        await page.goto("/send")
        await page.fill("#subject", "春季活动")
        await page.fill("#content", "本周活动请点 查看")
        await page.click("summary:has-text('新建短链')")
        await page.fill("#link_target", TARGET)
        await page.click("button[name=make_link]")
        await expect(page.locator("#link")).not_to_have_value("")
        # It was put at the end; it is moved to where the cursor is.
        await page.fill("#content", "本周活动请点")
        await page.click("button[data-insert*='{link}']")
        await page.press("#content", "End")
        await page.type("#content", "查看")
        assert await page.input_value("#content") == "本周活动请点 {link} 查看"
        await expect(page.locator("#preview")).to_contain_text(f"{HOST}/{SAMPLE}")
        await fits(page)
        await picture(page, "content")
        await goes_on(page)
        await page.wait_for_url("**/audience")
        await page.fill("#to", "\n".join(NUMBERS))
        await goes_on(page)
        await sent(page, 3)
        task = page.url

        texts = await node.received(3)
        codes = {number: re.findall(rf"{re.escape(HOST)}/(\w{{8}})", text)[0] for number, text in texts.items()}
        assert len(set(codes.values())) == 3
        assert all(text.startswith("【市政服务】本周活动请点 ") for text in texts.values())
        # One of the three opens it on a phone.
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while True:
                url = f"{public}/{codes[NUMBERS[1]]}"
                async with session.get(url, headers=BROWSER, allow_redirects=False) as answer:
                    if answer.status == 302:
                        break
                await asyncio.sleep(0.2)
        assert answer.headers["Location"] == TARGET

        await judged(node)
        await page.goto("/records?time=today&clicked=true")
        await expect(page.locator("tbody tr")).to_have_count(1)
        await expect(page.locator("tbody tr")).to_contain_text("已点击")
        await picture(page, "records")
        await page.locator("tbody tr").first.click()
        await page.wait_for_url(re.compile(r"/records/\d+"))
        await expect(page.locator("#link")).to_contain_text("已点击 1 次")
        await picture(page, "trace")
        await page.goto("/records?time=today&clicked=false")
        await expect(page.locator("tbody tr")).to_have_count(2)

        # The rest, in numbers first; the draft is to those by what has come of the task.
        await page.goto(task)
        await page.click("button:has-text('再次发送给未点击的人')")
        await expect(page.locator("dialog[open]")).to_contain_text("2 个还没有点击短链")
        await picture(page, "effect")
        await page.click("dialog[open] form .btn-primary")
        await page.wait_for_url(re.compile(r"/send/\d+/content"))
        assert "{link}" in await page.input_value("#content")
        await goes_on(page)
        await page.wait_for_url("**/audience")
        await expect(page.locator("input[name=source][value=segment]")).to_be_checked()
        await expect(page.locator("input[name=segment][value=not_clicked]")).to_be_checked()
        await fits(page)
        await picture(page, "segment")
        await goes_on(page)
        await sent(page, 2)
        async with asyncio.timeout(120):
            while len(node.carrier.inbox.messages) < 5:  # noqa: ASYNC110 - the simulator tells nobody
                await asyncio.sleep(0.2)
        got = [m.destination[-11:] for m in node.carrier.inbox.messages]
        assert sorted(got) == sorted([*NUMBERS, NUMBERS[0], NUMBERS[2]])
        async with opened(chromium, node, PHONE, "leader") as phone:  # type: ignore[arg-type]
            for path in ("/records?time=today&clicked=true", "/send"):
                await phone.goto(path)
                await fits(phone)
            await picture(phone, "phone")
