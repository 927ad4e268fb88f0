"""Traffic is switched to another channel in the editor of routes while it runs: tried before, seen there, rolled back.

``TEST_ROUTES_RATE`` messages a second go in over HTTP all the while; each is answered at the first try and arrives
once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from harness import Client
from nodes import Node, carrier, furnished, leading_to, until
from playwright.async_api import Browser, expect
from windows import DESKTOP, opened, sends

from smsgw.platform.channels import service as channels
from smsgw.platform.keys import service as keys
from smsgw.platform.keys.model import NewKey
from smsgw.runtime import aio
from smsgw.simulator import Carrier

pytestmark = pytest.mark.slow
RATE = int(os.environ.get("TEST_ROUTES_RATE", "50"))


@pytest_asyncio.fixture(loop_scope="module")
async def node(dsn: str, tmp_path: Path) -> AsyncIterator[Node]:
    async with furnished(dsn, tmp_path, {"boss": "super"}) as made:
        yield made


@dataclass
class Load:
    """What a customer has sent, and what it was told."""

    sent: list[str] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    going: bool = True

    async def run(self, url: str, key: NewKey) -> None:
        """Messages at the rate, each with a text of its own, until somebody has had enough."""
        began, under_way = time.monotonic(), set[asyncio.Task[None]]()
        node: Any = SimpleNamespace(origin=url)
        async with Client(node, {"key_id": key.key_id, "secret": key.secret}, signed=True) as client:

            async def post(n: int) -> None:
                body = {"to": [f"1380000{n % 10_000:04d}"], "content": f"第 {n} 条", "type": "notice"}
                self.answers[(await client.post("/messages", body)).status] += 1

            n = 0
            while self.going:
                self.sent.append(f"【市政服务】第 {n} 条")
                under_way.add(task := aio.spawn(post(n), name="post"))
                task.add_done_callback(under_way.discard)
                n += 1
                await asyncio.sleep(max(0.0, began + n / RATE - time.monotonic()))
            await asyncio.gather(*under_way)


def texts(*carriers: Carrier) -> Counter[str]:
    """What has reached phones, how often."""
    return Counter(m.text for carrier in carriers for m in carrier.inbox.messages)


async def grows(carrier: Carrier, other: Carrier) -> None:
    """Messages arrive at one carrier and, for a second, at no other."""

    async def seen() -> bool:
        mine, theirs = carrier.inbox.total, other.inbox.total
        await asyncio.sleep(1.0)
        return carrier.inbox.total > mine and other.inbox.total == theirs

    await until(seen)


@pytest.mark.shard("alone")
async def test_traffic_is_switched_in_the_editor_while_it_runs_and_rolled_back(chromium: Browser, node: Node) -> None:
    """S20a, S21a, U12."""
    spare = carrier("900002")
    await spare.start()
    change, load = node.change(), Load()
    key = await keys.add(change, node.daemon.node.sealer, node.hall, scopes=("send",), requests_per_second=1000)
    await channels.add(change, node.daemon.node.sealer, "spare", leading_to(spare, "900002", carriers=["CBN"]))
    await until(lambda: spare.counts.logins > 0 and node.carrier.counts.logins > 0)
    loading = aio.spawn(load.run(node.url, key), name="load")
    try:
        await grows(node.carrier, spare)
        async with opened(chromium, node, DESKTOP, "boss") as page:
            await page.goto("/routes")
            await page.click("button:has-text('编辑路由')")
            await page.wait_for_url("**/routes/draft")
            await page.click("a:has-text('新增通道组')")
            await page.fill("#name", "spare-only")
            await page.get_by_label("spare 的用途").select_option("primary")
            await page.click(".kit-form button[type=submit]")
            await page.wait_for_url("**/routes/draft")
            await page.click("a:has-text('新增规则')")
            await page.fill("#name", "政务大厅改走备用")
            await page.select_option("#pool", "spare-only")
            await page.fill("#account", "hall")
            await page.click(".kit-form button[type=submit]")
            await page.wait_for_url("**/routes/draft")
            await expect(page.locator("#changes")).to_contain_text("政务大厅改走备用")

            await page.click("a:has-text('试算')")
            await page.click("a:has-text('今天')")
            await expect(page.locator("[data-after='spare']")).not_to_have_text("0")
            await expect(page.locator("[data-after='mobile']")).to_have_text("0")
            assert spare.inbox.total == 0, "only tried"

            await page.click("a:has-text('发布')")
            await page.fill("#reason", "主用通道割接")
            await page.click(".kit-form button[type=submit]")
            await expect(page.locator(".effect")).to_contain_text(re.compile("条改走其他通道，0 条没有可用通道"))
            await page.click(".effect ~ form button[type=submit]")
            await page.wait_for_url("**/jobs/*")
            await grows(spare, node.carrier)

            version = await node.db.fetchval("SELECT max(version) FROM route_version")
            await page.goto("/routes")
            await expect(page.locator("main")).to_contain_text("政务大厅改走备用")
            # Before there was any version there was none to go back to: the table without rules is drafted again.
            await page.click("button:has-text('编辑路由')")
            await page.goto("/routes/draft/rules/0/remove")
            await page.click(".effect ~ form button[type=submit]")
            await page.wait_for_url("**/routes/draft")
            await page.click("a:has-text('发布')")
            await page.fill("#reason", "割接结束")
            await sends(page)
            await page.wait_for_url("**/jobs/*")
            await grows(node.carrier, spare)
            await page.goto(f"/routes/versions/{version}/rollback")
            await page.fill("#reason", "再次割接")
            await page.click(".kit-form button[type=submit]")
            await expect(page.locator(".effect")).to_contain_text(f"以版本 {version} 的内容发布新版本")
            await page.click(".effect ~ form button[type=submit]")
            await page.wait_for_url("**/jobs/*")
            await grows(spare, node.carrier)
            await page.goto("/audit?time=today&object=route")
            await expect(page.locator("main")).to_contain_text("发布路由")
        load.going = False
        await loading
        assert load.answers == {202: len(load.sent)}, "every call was answered at the first try"
        await until(lambda: len(texts(node.carrier, spare)) == len(load.sent))
        assert texts(node.carrier, spare) == Counter(load.sent), "each once"
        actions = Counter(
            row["action"] for row in await node.db.fetch("SELECT action FROM audit WHERE action LIKE 'route.%'")
        )
        assert actions == {"route.draft_begin": 2, "route.draft": 3, "route.publish": 3}
    finally:
        load.going = False
        with contextlib.suppress(asyncio.CancelledError):
            await aio.cancel(loading)
        await spare.stop()
