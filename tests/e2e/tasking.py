"""Tasks in tests: their tables, and one that is stopped, paused and cancelled on its way, each number counted.

``stopped_and_cancelled`` is used by a test for seconds, and with a million rows by ``scripts/trials --only task-stop``.
"""

from __future__ import annotations

import asyncio
import csv
import io
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import xlsxwriter
from harness import BASE, Answer, Site, until

from smsgw.simulator import Behaviour, Delay

PREFIXES = ("1380", "1300", "1330")
TEXT = "{姓名}您好,订单{订单}已发货"
BEARING = 2.0
"""Seconds after ``account stop`` in which something may still arrive."""


def quick() -> Behaviour:
    """A carrier that answers and reports at once."""
    return Behaviour(answer_delay=Delay(0.0, 0.002), report_delay=Delay(0.01, 0.05))


def number_of(row: int) -> str:
    """The number in a row of ``book``, from 0."""
    return f"{PREFIXES[row % 3]}{row:07d}"


def book(path: Path, rows: int) -> None:
    """An XLSX of recipients with a text each."""
    workbook = xlsxwriter.Workbook(str(path), {"constant_memory": True})
    sheet = workbook.add_worksheet("名单")
    sheet.write_row(0, 0, ["姓名", "手机号", "订单"])
    for i in range(rows):
        sheet.write_string(i + 1, 0, f"客户{i % 9999}")
        sheet.write_number(i + 1, 1, int(number_of(i)))
        sheet.write_string(i + 1, 2, f"D{i:08d}")
    workbook.close()


async def upload(built: Site, octets: bytes, name: str = "名单.csv") -> Answer:
    """``POST /files``."""
    form = aiohttp.FormData()
    form.add_field("file", io.BytesIO(octets), filename=name, content_type="application/octet-stream")
    client = built.client
    async with client._session.post(
        client.node.origin + BASE + "/files", data=form, headers={"Authorization": f"Bearer {client.key['bearer']}"}
    ) as answer:
        return Answer(answer.status, answer.headers, await answer.json())


async def make(built: Site, rows: str, content: str = TEXT, **fields: Any) -> str:
    """A task to the rows of a CSV; its id."""
    file = await upload(built, rows.encode())
    assert file.status == 201, file.body
    body = {"name": "发货通知", "content": content, "file_id": file.data["file_id"], **fields}
    made = await built.client.post("/tasks", body)
    assert made.status == 201, made.body
    return str(made.data["task_id"])


async def shown(built: Site, task_id: str) -> dict[str, Any]:
    """The task; its numbers must add up whenever they are looked at."""
    answer = await built.client.surely("GET", f"/tasks/{task_id}")
    assert answer.status == 200, answer.body
    task = answer.data
    assert task["valid"] == task["pending"] + sum(task["counts"].values()), task
    return task


async def reaches(built: Site, task_id: str, *states: str, within: float = 60) -> dict[str, Any]:
    """Wait for the task to have one of these states."""

    async def there() -> dict[str, Any] | None:
        task = await shown(built, task_id)
        return task if task["state"] in states else None

    found = await until(there, within=within, what=f"task {task_id} is {states}", every=0.2)
    assert found is not None
    return found


async def read_csv(built: Site, path: str, *, within: float = 30.0) -> list[list[str]]:
    """A table of the API."""
    client = built.client
    async with client._session.get(
        client.node.origin + BASE + path,
        headers={"Authorization": f"Bearer {client.key['bearer']}"},
        timeout=aiohttp.ClientTimeout(total=within),
    ) as answer:
        assert answer.status == 200
        text = (await answer.read()).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))


# --- stopped, paused, cancelled ---------------------------------------------------------------------------------------


def arrived(built: Site) -> int:
    """Messages that carriers have taken."""
    return sum(one.inbox.total for one in built.carriers.values())


async def _at_rest(built: Site, task_id: str, *statuses: str, within: float) -> dict[str, Any]:
    """Nothing of the task is under way any more: all its messages have one of the statuses, and carriers have seen
    exactly those that were delivered."""

    async def quiet() -> dict[str, Any] | None:
        task = await shown(built, task_id)
        return None if task["counts"].keys() - set(statuses) else task

    task = await until(quiet, within=within, what=f"all of it is {statuses}", every=0.3)
    assert task is not None
    assert task["counts"].get("delivered", 0) == arrived(built), (task["counts"], arrived(built))
    return task


async def _go_on(built: Site, more: int, *, within: float) -> None:
    most = arrived(built) + more
    await until(lambda: arrived(built) >= most, within=within, what=f"{more} more have arrived")


async def stopped_and_cancelled(
    built: Site, folder: Path, rows: int, *, legs: tuple[int, int, int], within: float, kill: bool
) -> dict[str, object]:
    """A table becomes a task; its account is stopped in the middle and started again, the task paused (``kill``: the
    daemon is killed then) and resumed, and what is left cancelled. At every rest the books agree with the carriers.

    ``legs``: messages that arrive before the stop, from the start to the pause, and from there to the cancel.
    """
    path = folder / "recipients.xlsx"
    await asyncio.to_thread(book, path, rows)
    ctl, client = built.node.ctl, built.client
    octets = await asyncio.to_thread(path.read_bytes)
    began = time.monotonic()
    file = await upload(built, octets, "recipients.xlsx")
    assert file.data["rows"] == rows, file.body
    made = await client.post("/tasks", {"name": "大任务", "file_id": file.data["file_id"], "content": TEXT})
    assert made.status == 201, made.body
    task_id = made.data["task_id"]
    await reaches(built, task_id, "running", "sent", within=120)
    imported = time.monotonic() - began
    assert rows < 100_000 or imported < 60, f"{imported:.0f} s until it ran"
    began = time.monotonic()

    # The account is stopped: what channels had in their windows goes on, and nothing else.
    await _go_on(built, legs[0], within=within)
    speed = arrived(built) / (time.monotonic() - began)
    asked = time.monotonic()
    await ctl("account", "stop", "acme")
    told = time.monotonic()
    task = await _at_rest(built, task_id, "held", "delivered", within=within)
    # Where all rows were messages by then there is nothing to pause: they are held.
    at_rest = (task["state"], task["reason"]) == ("paused", "ACCOUNT_STOPPED")
    assert at_rest or (rows < 100_000 and not task["pending"]), task
    last = max(m.at for one in built.carriers.values() for m in list(one.inbox.messages)[-1:])
    assert last - told <= BEARING, f"{last - told:.2f} s after the account was stopped"
    assert arrived(built) < rows
    stopped = dict(task["counts"])
    assert (await client.post("/messages", {"to": [number_of(0)], "content": "x"})).code == "ACCOUNT_STOPPED"
    figures: dict[str, object] = {
        "seconds until a million rows run": round(imported, 1),
        "messages a second before the stop": round(speed),
        "arrived before the stop": arrived(built),
        "held by the stop": stopped.get("held", 0),
        "seconds that `account stop` took": round(told - asked, 2),
        "last arrival after its return, s": round(last - told, 2),
    }

    # Started again it goes on by itself; then it is paused by hand.
    await ctl("account", "start", "acme")
    began = time.monotonic()
    await _go_on(built, 1, within=within)
    figures["seconds until it went on"] = round(time.monotonic() - began, 2)
    await _go_on(built, legs[1], within=within)
    paused = await client.post(f"/tasks/{task_id}/pause")
    assert paused.data["state"] == "paused", paused.body
    task = await _at_rest(built, task_id, "held", "delivered", within=within)
    assert task["counts"].get("held", 0) == paused.data["counts"].get("held", 0), (task, paused.data)
    before = arrived(built)
    assert (await client.post(f"/tasks/{task_id}/pause")).status == 200
    if kill:  # it stays paused
        built.node.kill()
        await built.node.start()
        await built.bound()
        assert (await shown(built, task_id))["counts"] == task["counts"]
        assert arrived(built) == before
    resumed = await client.post(f"/tasks/{task_id}/resume")
    assert resumed.data["state"] in ("running", "sent")  # as many rows as may wait are fed at once
    assert "held" not in resumed.data["counts"], resumed.data

    # The rest is cancelled; all that there was is one or the other.
    await _go_on(built, legs[2], within=within)
    cancelled = await client.post(f"/tasks/{task_id}/cancel")
    assert (cancelled.data["state"], cancelled.data["pending"]) == ("cancelled", 0), cancelled.body
    assert (await client.post(f"/tasks/{task_id}/resume")).code == "STATE_CONFLICT"
    task = await _at_rest(built, task_id, "cancelled", "delivered", within=within)
    assert sum(task["counts"].values()) == rows, task
    sent = Counter(to[-11:] for one in built.carriers.values() for to, _ in one.inbox.receptions.elements())
    assert len(sent) == sent.total() == task["counts"]["delivered"], sent.most_common(3)
    began = time.monotonic()
    report = await read_csv(built, f"/tasks/{task_id}/report", within=300)
    assert [line[1] for line in report[1:]] == [number_of(i) for i in range(rows)]
    assert {line[1] for line in report[1:] if line[2] == "delivered"} == sent.keys()
    assert {line[2] for line in report[1:]} == {"delivered", "cancelled"}
    money = await ctl("ledger", "check", "--json")
    assert not [line["problems"] for line in money.data if line["problems"]]
    return figures | {
        "sent, each number once": len(sent),
        "cancelled": task["counts"]["cancelled"],
        "seconds for the report of all": round(time.monotonic() - began, 1),
    }
