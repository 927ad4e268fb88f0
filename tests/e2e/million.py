"""A large table sent from the page, in a real browser: uploaded, cleaned, confirmed, paused, resumed, cancelled.

What the page says, what the database has and what the carriers have received is compared at every rest.
``through_the_page`` is used by a test with some ten thousand rows, and with a million by ``scripts/trials``
(``--only million``, ``--only million-xlsx``).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from changes import by_test
from harness import Site, until
from measures import memory
from playwright.async_api import BrowserContext, Page, async_playwright, expect
from tasking import arrived, book, number_of

from smsgw.admin.hashing import hash_password
from smsgw.core.states import PartState
from smsgw.platform.org import service as org
from smsgw.store.engine.database import Database

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PASSWORD = "Right-Horse-7"
TEXT = "{姓名}您好，您的编号为{订单}，请按时到场。"
MOST_ELEMENTS = 2500
"""Of a page, however many rows the table has, …"""
MOST_OCTETS = 120 * 1024
"""… and of its HTML."""
LONGEST_TASK = 1.0
"""Seconds for which the page may not answer."""
PATIENCE = 240_000.0
"""Milliseconds for what a million rows take; that it is quick is measured, not waited for."""
IN_FLIGHT = 2000
"""Messages at most that channels had claimed when the pause was said to be done: what a carrier has been handed by then
cannot be called back."""
_OBSERVED = """
new PerformanceObserver((list) => list.getEntries().forEach((entry) => seen("task", entry.duration)))
  .observe({type: "longtask", buffered: true});
addEventListener("DOMContentLoaded", () => {
  const say = () => {
    for (const place of document.querySelectorAll("[data-upload-said], .far, #detail .note"))
      if (place.textContent.trim()) seen("said", place.textContent.trim().replace(/\\s+/g, " "));
  };
  const whatever = {subtree: true, childList: true, characterData: true, attributes: true};
  new MutationObserver(say).observe(document.body, whatever);
  say();
});
"""


@dataclass
class Watched:
    """A page, and what was seen of it on the way."""

    page: Page
    longest: float = 0.0
    """Seconds of its longest task."""
    said: list[str] = field(default_factory=list)
    """Texts of progress, each once, in order."""
    console: list[str] = field(default_factory=list)
    elements: int = 0
    octets: int = 0

    def seen(self, kind: str, what: Any) -> None:
        if kind == "task":
            self.longest = max(self.longest, float(what) / 1000)
        elif what not in self.said:
            self.said.append(str(what))

    async def weighed(self) -> None:
        """The page must not grow with the table."""
        elements = await self.page.evaluate("document.getElementsByTagName('*').length")
        octets = len((await self.page.content()).encode())
        assert elements <= MOST_ELEMENTS, f"{self.page.url}: {elements} elements"
        assert octets <= MOST_OCTETS, f"{self.page.url}: {octets} octets"
        self.elements, self.octets = max(self.elements, elements), max(self.octets, octets)

    def told(self, pattern: str) -> list[str]:
        """Texts of progress that look like this."""
        return [text for text in self.said if re.search(pattern, text)]


@contextlib.asynccontextmanager
async def watched(url: str) -> AsyncIterator[Watched]:
    """A page whose console must stay empty."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
        )
        context: BrowserContext = await browser.new_context(
            viewport={"width": 1366, "height": 768}, base_url=url, locale="zh-CN"
        )
        context.set_default_timeout(60_000)
        page = await context.new_page()
        one = Watched(page)
        page.on("console", lambda m: one.console.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: one.console.append(str(e)))
        await page.expose_function("seen", one.seen)
        await page.add_init_script(_OBSERVED)
        yield one
        await context.close()
        await browser.close()
        assert one.console == []


def table(path: Path, rows: int) -> None:
    """A table of recipients with a text each, CSV or XLSX by its name."""
    if path.suffix == ".xlsx":
        book(path, rows)
        return
    with path.open("w", encoding="utf-8") as file:
        file.write("姓名,手机号,订单\n")
        file.writelines(f"客户{i % 9999},{number_of(i)},D{i:08d}\n" for i in range(rows))


# --- the page's word and the others' ----------------------------------------------------------------------------------


async def _facts(page: Page) -> dict[str, str]:
    """What the task's page says, by its labels."""
    found: dict[str, str] = await page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('#detail dl.facts > div')].map("
        "(one) => [one.querySelector('dt').textContent.trim(), one.querySelector('dd').textContent.trim()]))"
    )
    return found


def _number(facts: dict[str, str], label: str) -> int:
    text = facts.get(label, "0").replace(",", "")
    return int(text) if text.isdigit() else 0


async def _stored(database: Database, task_id: int) -> dict[PartState, int]:
    """Messages of the task by the state of their only part, from the database itself."""
    rows = await database.fetch(
        "SELECT p.state, count(*) AS n FROM task_chunk c "
        "JOIN part p ON p.id >= c.base_id AND p.id < c.base_id + c.size WHERE c.task_id = $1 GROUP BY 1",
        task_id,
    )
    return {PartState(row["state"]): row["n"] for row in rows}


async def _state(page: Page, *words: str, within: float) -> None:
    await expect(page.locator("#detail")).to_contain_text(re.compile("|".join(words)), timeout=within * 1000)


async def _does(page: Page, label: str) -> float:
    """Press a button of the task and say yes; when the page said that it is done (monotonic)."""
    await page.click(f"#detail .detail-buttons button:has-text('{label}')")
    await page.click("dialog[open] .dialog-buttons button[type=submit]")
    await expect(page.locator("dialog[open]")).to_have_count(0, timeout=60_000)
    return time.monotonic()


async def _at_rest(
    one: Watched, built: Site, database: Database, task_id: int, rows: int, *, cancelled: bool, within: float
) -> dict[str, str]:
    """All three say the same: the page, the database and the carriers; what the page says."""

    async def same() -> dict[str, str] | None:
        facts = await _facts(one.page)
        delivered, left = _number(facts, "成功"), _number(facts, "已取消" if cancelled else "待结果")
        if delivered + left != rows or delivered != arrived(built):
            return None
        stored = await _stored(database, task_id)
        return facts if stored.get(PartState.DELIVERED, 0) == delivered else None

    facts = await until(same, within=within, what="page, database and carriers agree", every=0.5)
    assert facts is not None
    assert _number(facts, "失败") == _number(facts, "结果未知") == 0, facts
    return facts


async def through_the_page(
    built: Site, folder: Path, rows: int, *, kind: str = "csv", legs: tuple[int, int] = (2000, 2000), within: float = 60
) -> dict[str, object]:
    """All of it. ``legs``: messages that arrive before the pause, and from there to the cancel; ``within``: seconds
    that a rest may take."""
    path = folder / f"名单.{kind}"
    await asyncio.to_thread(table, path, rows)
    expect.set_options(timeout=60_000)
    figures: dict[str, object] = {"octets of the file": path.stat().st_size}
    async with built.node.database() as database, watched(built.node.origin) as one:
        account = await database.fetchval("SELECT id FROM account WHERE name = 'acme'")
        await org.add_person(
            by_test(database), "clerk", "clerk", ["operator"], hash_password(PASSWORD), accounts=[account],
            must_change=False,
        )  # fmt: skip
        task_id = await _sent(one, path, rows, figures)
        await _stopped(one, built, database, task_id, rows, legs, within, figures)
        figures["daemon's memory now, at most (MiB)"] = memory(built.node.pid)
        figures["longest task of the page, s"] = round(one.longest, 3)
        figures["elements and octets of a page, at most"] = one.elements, one.octets
        assert one.longest <= LONGEST_TASK, figures
    return figures


async def _sent(one: Watched, path: Path, rows: int, figures: dict[str, object]) -> int:
    """From the login to a task that runs; its id."""
    page = one.page
    await page.goto("/login")
    await page.fill("#login", "clerk")
    await page.fill("#password", PASSWORD)
    await page.click("form.entry-form button[type=submit]")
    await page.wait_for_url(lambda url: "/login" not in url)
    # A line of an office: on loopback the octets are there before anybody could see them come.
    network = await page.context.new_cdp_session(page)
    await network.send("Network.enable")
    speed = max(200_000, path.stat().st_size / 4)
    await network.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": speed},
    )
    await page.goto("/custom")
    began = time.monotonic()
    await page.set_input_files("input[type=file]", str(path))
    await page.click(".card-footer button.btn-primary")
    await page.wait_for_url("**/content", timeout=PATIENCE)
    figures["upload (4 s of line) and reading, s"] = round(time.monotonic() - began, 1)
    assert one.told("正在上传"), one.said
    assert one.told("正在读取"), one.said
    await network.detach()
    await one.weighed()
    await page.fill("#subject", "预约通知")
    await page.fill("#content", TEXT)
    await page.click(".card-footer button.btn-primary")
    await page.wait_for_url("**/audience")
    await expect(page.locator("main")).to_contain_text(f"共 {rows:,} 行")
    await page.fill("#row-n", str(rows))
    await expect(page.locator("#row")).to_contain_text(f"D{rows - 1:08d}", timeout=PATIENCE)
    await one.weighed()
    await page.click(".card-footer button.btn-primary")
    await page.wait_for_url("**/clean")
    began = time.monotonic()
    await expect(page.locator("#clean-sum")).to_have_text(f"共 {rows:,} 行，有效 {rows:,} 行。", timeout=PATIENCE)
    figures["cleaning, s"] = round(time.monotonic() - began, 1)
    figures["said while cleaning"] = len(one.told("已检查|比对"))
    await one.weighed()
    await page.click(".form-buttons .btn-primary")
    await page.click(".card-footer button.btn-primary")
    await page.click(".card-footer button.btn-primary")
    await page.wait_for_url("**/confirm")
    await expect(page.locator(".sum-up")).to_contain_text(f"{rows:,} 个号码", timeout=PATIENCE)
    await one.weighed()
    await page.click(".card-footer button.btn-primary")
    began = time.monotonic()
    await page.wait_for_url(re.compile(r"/tasks/\d+$"), timeout=PATIENCE)
    await _state(page, "发送中", "已发完", within=PATIENCE / 1000)
    figures["from the button to a task that runs, s"] = round(time.monotonic() - began, 1)
    await one.weighed()
    return int(page.url.rpartition("/")[2])


async def _stopped(
    one: Watched, built: Site, database: Database, task_id: int, rows: int, legs: tuple[int, int], within: float,
    figures: dict[str, object],
) -> None:  # fmt: skip
    """Paused, resumed and cancelled."""
    page = one.page
    began, before = time.monotonic(), arrived(built)
    await until(lambda: arrived(built) >= before + legs[0], within=within, what="messages arrive")
    figures["messages a second"] = round((arrived(built) - before) / (time.monotonic() - began))
    await expect(page.locator("#detail progress")).to_be_visible()

    await _does(page, "暂停")
    acknowledged = arrived(built)
    await _state(page, "已暂停", within=within)
    facts = await _at_rest(one, built, database, task_id, rows, cancelled=False, within=within)
    figures["arrived when the page said it was paused"] = acknowledged
    figures["arrived after that, of the windows"] = arrived(built) - acknowledged
    assert arrived(built) - acknowledged <= IN_FLIGHT, figures
    at_rest = arrived(built)
    figures["at the pause: delivered, waiting (the page's words)"] = facts["成功"], facts["待结果"]
    assert at_rest < rows

    await asyncio.sleep(3)  # nothing comes while it is paused, however long one looks
    assert arrived(built) == at_rest
    await _does(page, "继续")
    await until(lambda: arrived(built) >= at_rest + legs[1], within=within, what="messages arrive again")

    await _does(page, "取消任务")
    acknowledged = arrived(built)
    await _state(page, "已取消", within=within)
    facts = await _at_rest(one, built, database, task_id, rows, cancelled=True, within=within)
    figures["arrived after the cancel, of the windows"] = arrived(built) - acknowledged
    assert arrived(built) - acknowledged <= IN_FLIGHT, figures
    figures["at the end: delivered, cancelled (the page's words)"] = facts["成功"], facts["已取消"]
    last = arrived(built)
    numbers = {number for carrier in built.carriers.values() for number, _ in carrier.inbox.receptions}
    assert last == len(numbers), "nobody got anything twice"
    assert last < rows, "something was left to be cancelled"
    balance = (await built.client.get("/balance")).data["balance"]
    figures["balance"] = balance
    await one.weighed()
