"""Sending tasks: those that are over, with their rows, runs and counts, and those that have not begun."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from smsgw.core.actor import ActorLabel
from smsgw.core.ids import CHINA
from smsgw.core.schedule import written
from smsgw.core.tasks import Chunk, Task
from smsgw.demo.messages import OPERATOR, text_for
from smsgw.demo.world import Call, Sent, World, texts
from smsgw.store.engine.database import Connection
from smsgw.store.messages import reviews, tasks
from smsgw.store.messages.tasks import ROW_COLUMNS

_ENDED = """
UPDATE task SET state = 'finished', total = $2, valid = $2, run = 1, fed = $2, due_at = $3::timestamptz,
    started_at = $3::timestamptz, ended_at = $4 WHERE id = $1
"""
_COUNTED = """
UPDATE task_chunk SET waiting = false, final = true, open = false, fed_at = $3, counted_at = $4, counts = (
    SELECT jsonb_object_agg(status, n) FROM (
        SELECT e.status, count(*) AS n FROM customer_event e
        WHERE e.kind = 'report' AND e.message_id >= $2 AND e.message_id < $2 + size GROUP BY e.status) c)
WHERE task_id = $1
"""


async def fill(world: World) -> None:
    """The tasks of which there are messages."""
    async with world.database.transaction(timeout=60) as connection:
        for sent in world.tasks:
            if sent.call is not None:
                await _enter(world, connection, sent, sent.call)
        for n, row in enumerate(texts()["plan"]):
            await _plan(world, connection, row, n)


async def _enter(world: World, connection: Connection, sent: Sent, call: Call) -> None:
    made = call.at - timedelta(minutes=14)
    over = min(call.at + timedelta(hours=73), world.now)
    size = len(call.numbers)
    task = Task(
        world.id_at(made), call.sender.id, sent.name, "running", "portal", call.submitter, call.type,
        sent.text.content, made, sign=call.sender.sign, template_id=sent.text.id or None,
    )  # fmt: skip
    await tasks.insert(connection, task)
    rows: list[tuple[object, ...]] = [(task.id, n, n, number, None, []) for n, number in enumerate(call.numbers, 1)]
    await connection.copy_records_to_table("task_row", records=rows, columns=ROW_COLUMNS, timeout=60)
    await tasks.add_run(connection, task.id, 1, call.at, size, call.at)
    await tasks.mark_fed(connection, Chunk(task.id, 1, 1, size, sent.first), refused=(), due_at=call.at)
    await tasks.end_feeding(connection, task.id, 1, size)
    await connection.execute(_COUNTED, task.id, sent.first, call.at, over)
    await tasks.finish_run(connection, task.id, 1, over)
    await tasks.keep_totals(connection, task.id, 1)
    await connection.execute(_ENDED, task.id, size, call.at, over)


REVIEWER = ActorLabel("demo-reviewer")
_PLANNED = """
UPDATE task SET total = $2, valid = $2, problems = $3::jsonb, next_at = COALESCE(send_at, next_at),
    paused_from = CASE WHEN state = 'paused' THEN 'scheduled' END WHERE id = $1
"""
_REJECTED = "UPDATE task SET state = 'cancelled', reason = 'REVIEW_REJECTED', detail = $2 WHERE id = $1"
_DATED = "UPDATE review SET created_at = $2 WHERE batch_id = $1"


async def _plan(world: World, connection: Connection, row: dict[str, Any], n: int) -> None:
    """A task that has not begun: it waits for its time or a reviewer, or was paused or rejected before that."""
    sender = world.senders[row["account"]]
    text = world.templates[sender.name, row["template"]]
    made = world.now - timedelta(minutes=row["minutes_ago"] + n)
    begins = _morning(world.now) + timedelta(days=row["in_days"])
    state, wanted = row["state"], row.get("reasons", [])
    task = Task(
        world.id_at(made), sender.id, row["name"], "review" if state == "rejected" else state, "portal", OPERATOR,
        text.type, text_for(world, sender, text), made, sign=sender.sign, template_id=text.id, send_at=begins,
        next_at=begins, review=bool(wanted), review_reasons=wanted, steps=row.get("steps"),
        frequency=row.get("frequency"), fallback=row.get("fallback"), emergency=row.get("emergency", False),
        rate=row.get("rate", 0), recurring=row.get("recurring"), windows=written(row.get("windows", "")).plain,
        expire_at=begins + timedelta(hours=row["hours"]) if "hours" in row else None,
    )  # fmt: skip
    await tasks.insert(connection, task)
    numbers = world.dice.sample(sorted(set(world.numbers)), row["rows"])
    await connection.copy_records_to_table(
        "task_row", records=[(task.id, at, at, number, None, []) for at, number in enumerate(numbers, 1)],
        columns=ROW_COLUMNS, timeout=60,
    )  # fmt: skip
    problems: list[tuple[object, ...]] = [
        (task.id, 0, len(numbers) + at, None, "1390013", "NUMBER_INVALID", "", None)
        for at in range(1, row.get("bad", 0) + 1)
    ]
    await connection.copy_records_to_table("task_problem", records=problems, columns=tasks.PROBLEM_COLUMNS, timeout=60)
    bad = json.dumps({"NUMBER_INVALID": len(problems)} if problems else {})
    await connection.execute(_PLANNED, task.id, len(numbers), bad)
    if wanted:
        await reviews.ask_for_task(connection, task.id)
        await connection.execute(_DATED, task.id, made)
    if state == "rejected":
        at, why = made + timedelta(minutes=16), row["opinion"]
        await reviews.decide_task(connection, task.id, at, passes=False, by=REVIEWER, reason=why)
        await connection.execute(_REJECTED, task.id, json.dumps({"reviewer": REVIEWER, "reason": why}))
        await connection.execute("UPDATE task SET ended_at = $2 WHERE id = $1", task.id, at)


def _morning(now: datetime) -> datetime:
    return now.astimezone(CHINA).replace(hour=9, minute=30, second=0, microsecond=0)
