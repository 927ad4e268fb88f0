"""Tasks through the real daemon: fed, killed, paused, cancelled, and exactly once all the same."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from harness import FINAL, Site, site, until
from measures import memory, quantiles
from storm import WINDOW, background
from tasking import PREFIXES, arrived, book, make, quick, reaches, read_csv, shown, stopped_and_cancelled, upload

from smsgw.core.ids import CHINA

TEXT = "{姓名}您好,您的订单{订单}已发货#t{序号}#"


def table(rows: int, *, first: int = 0) -> str:
    """A CSV of recipients with a text each."""
    lines = (f"客户{i},{PREFIXES[i % 3]}{i:07d},D{i},{i:x}\n" for i in range(first, first + rows))
    return "姓名,手机号,订单,序号\n" + "".join(lines)


async def test_a_task_is_fed_exactly_once_through_kills(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, behaviour=quick) as built:
        task_id = await make(built, table(3000), TEXT)

        async def some(n: int) -> bool:
            return sum((await shown(built, task_id))["counts"].values()) >= n

        for n in (300, 1200):
            await until(lambda n=n: some(n), what=f"{n} are fed")
            built.node.kill()
            await built.node.start()

        async def over() -> dict[str, Any] | None:
            found = await shown(built, task_id)
            # What was with a carrier at the moment of a kill may stay unknown; it is not sent again.
            done = found["counts"].get("delivered", 0) + found["counts"].get("uncertain", 0) == 3000
            return found if done else None

        task = await until(over, within=60, what="all is delivered or unknown", every=0.2)
        assert task is not None
        unknown = task["counts"].get("uncertain", 0)
        assert unknown <= 2 * 3 * WINDOW
        tokens = built.received()
        assert set(tokens.values()) == {1}
        assert 3000 - unknown <= len(tokens) <= 3000
        assert len(await built.customer.listed()) == 3000


@pytest.mark.slow
async def test_a_stop_a_pause_and_a_cancel_are_exact(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, behaviour=quick, channel_options=("--rate", "40")) as built:
        await stopped_and_cancelled(built, data_dir.parent, 2000, legs=(40, 60, 60), within=90, kill=True)
        await reconciled(built)
        balance = (await built.client.get("/balance")).data["balance"]
        assert balance == 100_000 - arrived(built)


async def test_rows_with_problems_stop_only_themselves(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, behaviour=quick) as built:
        rows = (
            "手机;姓名;金额\n13800002001;张三;12\n13300002002;李四;\n12345;王五;9\n"
            "13800002001;张三;12\n13000002003;=cmd|calc;8\n"
        )
        file = await upload(built, rows.encode("gb18030"), "客户.csv")
        assert (file.data["phone_column"], file.data["rows"]) == ("手机", 5)
        body = {
            "name": "对账", "file_id": file.data["file_id"], "content": "{客户}本月{金额}元",
            "mapping": {"variables": {"客户": "姓名"}},
        }  # fmt: skip
        made = await built.client.post("/tasks", body)
        task = await reaches(built, made.data["task_id"], "finished")
        assert (task["total"], task["valid"], task["counts"]) == (5, 2, {"delivered": 2})
        texts = {m.text for carrier in built.carriers.values() for m in carrier.messages}
        assert texts == {"张三本月12元", "=cmd|calc本月8元"}
        errors = await read_csv(built, f"/tasks/{task['task_id']}/report?rows=errors")
        assert [(r[0], r[1], r[2]) for r in errors[1:]] == [
            ("3", "13300002002", "CONTENT_VARIABLE_UNRESOLVED"),
            ("4", "12345", "NUMBER_INVALID"),
            ("5", "13800002001", "NUMBER_DUPLICATE"),
        ]
        assert errors[2][4:] == ["12345", "王五", "9"]
        report = await read_csv(built, f"/tasks/{task['task_id']}/report")
        assert [(r[1], r[2]) for r in report[1:]] == [("13800002001", "delivered"), ("13000002003", "delivered")]
        assert report[2][-2:] == ["'=cmd|calc", "8"]  # no formula for whoever opens it


@pytest.mark.slow
async def test_times_hold_across_a_kill(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, behaviour=quick, channels=["cmpp30"]) as built:
        numbers = [f"1380000{i:04d}" for i in range(20)]
        for lead in (10, 25, 45):  # on a machine that is busy the post may come after the time
            first = datetime.now(CHINA).replace(microsecond=0) + timedelta(seconds=lead)
            second = first + timedelta(seconds=10)
            times = [first.strftime("%H:%M:%S"), second.strftime("%H:%M:%S")]
            body = {
                "name": "每日提醒", "to": numbers, "content": "请按时服药",
                "recurring": {"every": "day", "at": times, "until": second.isoformat()},
            }  # fmt: skip
            made = await built.client.post("/tasks", body)
            assert made.status in (201, 400), made.body
            if made.status == 201 and datetime.fromisoformat(made.data["next_at"]) == first:
                break
            if made.status == 201:
                await built.client.post(f"/tasks/{made.data['task_id']}/cancel")
        assert made.status == 201, made.body
        task_id = made.data["task_id"]
        assert datetime.fromisoformat(made.data["next_at"]) == first
        once = await built.client.post(
            "/tasks", {"name": "定时", "to": numbers[:3], "content": "定时短信", "send_at": first.isoformat()}
        )
        built.node.kill()
        await built.node.start()
        await built.bound()
        carrier = built.carriers["cmpp30"]
        inbox = carrier.inbox
        await until(lambda: inbox.summary()["messages"] >= 23, what="the first run")
        assert datetime.now(CHINA) - first > timedelta(seconds=-0.05)
        # An answer that dies with the daemon would leave its message unknown, and the run without an end.
        await until(lambda: not carrier.owed(within=10), what="its reports")
        built.node.kill()
        await built.node.start()
        task = await reaches(built, task_id, "finished", within=60)
        assert [(r["run"], r["missed"], r["fed"]) for r in task["runs"]] == [(2, False, 20), (1, False, 20)]
        assert (await reaches(built, once.data["task_id"], "finished"))["counts"] == {"delivered": 3}
        assert inbox.summary()["messages"] == 43
        await reconciled(built)


async def test_a_task_without_money_waits_for_it_and_one_of_a_stopped_account_for_its_start(
    dsn: str, data_dir: Path
) -> None:
    async with site(data_dir, dsn=dsn, behaviour=quick, balance=100) as built:
        task_id = await make(built, table(150), TEXT)
        task = await reaches(built, task_id, "paused")
        assert task["reason"] == "BALANCE_INSUFFICIENT"
        assert "余额不足" in task["message"]
        await built.node.ctl("account", "topup", "acme", "1000")
        await built.node.ctl("account", "stop", "acme")
        task = (await built.node.ctl("task", "resume", task_id, "--json")).data

        async def stopped() -> bool:
            shown_ = (await built.node.ctl("task", "show", task_id, "--json")).data
            return shown_["state"] == "paused" and shown_["reason"] == "ACCOUNT_STOPPED"

        await until(stopped, what="it waits for its account", every=0.3)
        await built.node.ctl("account", "start", "acme")
        task = await reaches(built, task_id, "finished")
        assert task["counts"] == {"delivered": 150}
        listed = (await built.node.ctl("task", "list", "--json")).data
        assert [(one["task"], one["state"], one["done"]) for one in listed] == [(task_id, "finished", 150)]
        report = (await built.node.ctl("task", "report", task_id)).out
        assert report.count("delivered") == 150
        await reconciled(built)


async def reconciled(built: Site) -> int:
    """All messages of the account are final and reported once, and the money is right; how many they are."""
    listed = await built.customer.listed()
    assert all(m["status"] in FINAL for m in listed.values())
    while await built.customer.pull():
        pass
    assert built.customer.reports.keys() == listed.keys()
    assert all(len(told) == 1 for told in built.customer.reports.values())
    money = await built.node.ctl("ledger", "check", "--json")
    assert not [line["problems"] for line in money.data if line["problems"]]
    return len(listed)


ROWS = 1_000_000 if os.environ.get("TEST_LONG") else 20_000


@pytest.mark.timeout(900 if os.environ.get("TEST_LONG") else 180)
@pytest.mark.slow
@pytest.mark.shard("alone")
async def test_a_large_table_becomes_a_task_while_codes_go_through(dsn: str, data_dir: Path) -> None:
    """With TEST_LONG=1 a million rows, and figures on standard output."""
    path = data_dir.with_name("large.xlsx")
    await asyncio.to_thread(book, path, ROWS)
    async with site(data_dir, dsn=dsn, behaviour=quick, balance=3_000_000) as built:
        await built.node.furnish("account", "set", "acme", "rate=10000")
        latencies: list[float] = []

        async def codes() -> None:
            while True:
                begun = time.monotonic()
                await built.customer.send("cmpp30", type="otp")
                latencies.append(time.monotonic() - begun)
                await asyncio.sleep(0.1)

        async with background(codes()):
            begun = time.monotonic()
            file = await upload(built, path.read_bytes(), "large.xlsx")
            assert file.data["rows"] == ROWS
            body = {
                "name": "大任务", "file_id": file.data["file_id"], "content": "{姓名}您好,订单{订单}已发货",
                "send_at": (datetime.now(CHINA) + timedelta(days=1)).isoformat(),
            }  # fmt: skip
            made = await built.client.post("/tasks", body)
            task = await reaches(built, made.data["task_id"], "scheduled", within=120)
            imported = time.monotonic() - begun
            assert task["valid"] == ROWS
            during, latencies[:] = quantiles(latencies), []
            changed = await built.client.call("PATCH", f"/tasks/{task['task_id']}", {"send_at": None})
            assert changed.status == 200, changed.body
            fed_from = time.monotonic()

            async def fed() -> dict[str, Any] | None:
                found = await shown(built, task["task_id"])
                return found if found["pending"] == 0 or time.monotonic() - fed_from > 60 else None

            task = await until(fed, within=120, what="it is fed for a while", every=0.5)
            rate = (ROWS - task["pending"]) / (time.monotonic() - fed_from)
        assert imported < 60
        print(
            f"{ROWS} rows: upload and import {imported:.1f} s, codes meanwhile {during}; fed {rate:.0f}/s, "
            f"codes meanwhile {quantiles(latencies)}; daemon {memory(built.node.pid)} MiB"
        )
        cancelled = await built.client.post(f"/tasks/{task['task_id']}/cancel")
        assert cancelled.data["pending"] == 0
