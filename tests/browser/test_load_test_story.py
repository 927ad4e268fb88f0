"""A load test from the page to its report, one that a person stops, and one whose process is killed: none touches a
channel or an account of this installation, and none leaves anything behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from pathlib import Path

import pytest
from nodes import Node
from playwright.async_api import Browser, Page, expect
from windows import DESKTOP, PHONE, fits, opened

from smsgw.platform.load_tests.running import FOLDER

LONG = 180_000
"""Milliseconds for a gateway and a database to come up beside other tests."""


async def begin(page: Page, rate: int, seconds: int) -> None:
    await page.goto("/loadtest/-/new")
    await page.fill("#rate", str(rate))
    await page.fill("#seconds", str(seconds))
    await page.fill("#reason", "验收前自测")
    await page.click(".form-buttons [type=submit]")
    await expect(page.locator("main")).to_contain_text(f"提交 {rate * seconds:,} 条")
    await fits(page)
    await page.click(".form-buttons [type=submit]")
    await page.wait_for_url(re.compile(r"/loadtest/\d+$"))


async def loaded(page: Page) -> None:
    """Some messages were accepted."""
    await expect(page.locator(".facts")).to_contain_text(re.compile(r"[1-9][\d,]* / [\d,]+"), timeout=LONG)


def processes(folder: Path) -> dict[int, str]:
    """What runs for the load tests of a node: its command line."""
    found = {}
    for one in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            said = (one / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            if str(folder).encode() in (one / "environ").read_bytes() or str(folder) in said:
                found[int(one.name)] = said
    return found


async def cleared(folder: Path) -> None:
    """Nothing runs, and nothing is left on the disk."""
    async with asyncio.timeout(60):
        while processes(folder) or any(folder.iterdir()):  # noqa: ASYNC110 - others do it
            await asyncio.sleep(0.2)


@pytest.mark.shard("volume")
@pytest.mark.slow
@pytest.mark.timeout(600)  # three gateways come up, one after the other
@pytest.mark.usefixtures("real_load_tests")
async def test_from_the_page_to_its_report_and_no_further(chromium: Browser, node: Node, tmp_path: Path) -> None:
    folder, database = tmp_path / FOLDER, node.db
    async with opened(chromium, node, DESKTOP, "leader") as page:
        await page.goto("/loadtest")
        await expect(page.locator("main")).to_contain_text("还没有压测过")
        await begin(page, 20, 10)
        await loaded(page)
        await fits(page)
        await expect(page.locator("#load-test")).to_contain_text("已完成", timeout=LONG)
        await expect(page.locator("#load-test")).to_contain_text("220 / 220")  # 20 of them to warm up
        await page.click("a:has-text('验收报告')")
        await expect(page.locator("main")).to_contain_text("本次未验证")
        await expect(page.locator("main")).to_contain_text("网关、数据库、仿真运营商与加压程序在同一台机器上")
        await fits(page)
        await cleared(folder)

        # One that would go on for minutes, stopped by the person who has begun it.
        await begin(page, 20, 600)
        await loaded(page)
        assert processes(folder)
        await page.click("a:has-text('停止压测')")
        await expect(page.locator("main")).to_contain_text("共 12,000 条")
        await page.click(".form-buttons [type=submit]")
        await expect(page.locator("#load-test")).to_contain_text("已停止")
        await expect(page.locator("a:has-text('验收报告')")).to_have_count(0)
        await cleared(folder)

        # One whose process is killed, as by a machine without memory.
        await begin(page, 20, 600)
        await loaded(page)
        victim = next(pid for pid, said in processes(folder).items() if " bench " in said)
        os.kill(victim, signal.SIGKILL)
        await expect(page.locator("#load-test")).to_contain_text("压测进程意外结束")
        await cleared(folder)
    async with opened(chromium, node, PHONE, "leader") as phone:
        await phone.goto("/loadtest")
        await expect(phone.locator("main")).to_contain_text("未完成")
        await fits(phone)

    assert not node.carrier.inbox.messages, "nothing has reached a channel of this installation"
    assert await database.fetchval("SELECT count(*) FROM message") == 0
    assert await database.fetchval("SELECT balance FROM account WHERE name = 'hall'") == 100_000
