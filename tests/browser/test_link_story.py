"""A short link from the wizard to the phone: made, inserted, sent with a code for each number, opened by one of them,
told by the record; and the rest is written to again."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from harness import free_port
from nodes import Node, furnished, until
from playwright.async_api import Browser, Page, expect
from windows import DESKTOP, PHONE, fits, goes_on, opened

from smsgw.core.sent_links import SAMPLE
from smsgw.platform.links import clicks
from smsgw.platform.policies import service as policies
from smsgw.runtime.config import PublicConfig

HOST, TARGET = "s.example.cn", "https://www.example.cn/spring"
NUMBERS = ("13900000001", "13900000002", "13900000003")
BROWSER = {
    "Host": HOST, "Accept-Language": "zh-CN", "Accept": "text/html",
    "User-Agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1",
}  # fmt: skip


@pytest_asyncio.fixture(loop_scope="module")
async def edge(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Node, str]]:
    """A node with a channel to a carrier, and the address of its public edge."""
    monkeypatch.setattr(clicks, "SETTLED", timedelta())
    listen = f"127.0.0.1:{free_port()}"
    public = PublicConfig(listen=listen, hosts=(HOST,))
    async with furnished(dsn, tmp_path, {"leader": "super"}, public=public) as made:
        for policy in ("frequency", "identical_seconds"):  # the same text goes out again within a minute
            await policies.put(made.change(), policy, "off")
        yield made, f"http://{listen}"


async def sent(page: Page, n: int) -> None:
    """From the numbers to the end of the task."""
    await expect(page.locator("[data-class=valid] .clean-count")).to_have_text(f"{n}")
    await page.click(".form-buttons .btn-primary")
    await page.wait_for_url("**/options")
    await goes_on(page)
    await page.wait_for_url("**/time")
    await goes_on(page)
    await page.wait_for_url("**/confirm")
    await goes_on(page)
    await page.wait_for_url(re.compile(r"/tasks/\d+$"))
    await expect(page.locator("#detail")).to_contain_text("已完成", timeout=120_000)


@pytest.mark.slow
async def test_a_link_goes_out_is_opened_and_the_rest_get_it_again(chromium: Browser, edge: tuple[Node, str]) -> None:
    node, public = edge
    async with opened(chromium, node, DESKTOP, "leader") as page:
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
        async with aiohttp.ClientSession() as session:

            async def leads() -> str | None:
                url = f"{public}/{codes[NUMBERS[1]]}"
                async with session.get(url, headers=BROWSER, allow_redirects=False) as answer:
                    return answer.headers.get("Location")

            assert await until(leads) == TARGET

        clicked = "SELECT count(*) FROM message_link WHERE clicked"
        await until(lambda: node.db.fetchval(clicked), within=60)  # the click is known to be a person's
        await page.goto("/records?time=today&clicked=true")
        await expect(page.locator("tbody tr")).to_have_count(1)
        await expect(page.locator("tbody tr")).to_contain_text("已点击")
        await page.locator("tbody tr").first.click()
        await page.wait_for_url(re.compile(r"/records/\d+"))
        await expect(page.locator("#link")).to_contain_text("已点击 1 次")
        await page.goto("/records?time=today&clicked=false")
        await expect(page.locator("tbody tr")).to_have_count(2)

        # The rest, in numbers first; the draft is to those by what has come of the task.
        await page.goto(task)
        await page.click("button:has-text('再次发送给未点击的人')")
        await expect(page.locator("dialog[open]")).to_contain_text("2 个还没有点击短链")
        await page.click("dialog[open] form .btn-primary")
        await page.wait_for_url(re.compile(r"/send/\d+/content"))
        assert "{link}" in await page.input_value("#content")
        await goes_on(page)
        await page.wait_for_url("**/audience")
        await expect(page.locator("input[name=source][value=segment]")).to_be_checked()
        await expect(page.locator("input[name=segment][value=not_clicked]")).to_be_checked()
        await fits(page)
        await goes_on(page)
        await sent(page, 2)
        await until(lambda: len(node.carrier.inbox.messages) >= 5, within=120)
        got = [m.destination[-11:] for m in node.carrier.inbox.messages]
        assert sorted(got) == sorted([*NUMBERS, NUMBERS[0], NUMBERS[2]])
        async with opened(chromium, node, PHONE, "leader") as phone:
            for path in ("/records?time=today&clicked=true", "/send"):
                await phone.goto(path)
                await fits(phone)
