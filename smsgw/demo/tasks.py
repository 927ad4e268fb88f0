"""Sending tasks that are over, with their rows, runs and counts; one is still a plan."""

from __future__ import annotations

from datetime import timedelta

from smsgw.core.tasks import Chunk, Task
from smsgw.demo.world import Call, Sent, World
from smsgw.store.engine.database import Connection
from smsgw.store.messages import tasks
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


async def _enter(world: World, connection: Connection, sent: Sent, call: Call) -> None:
    made = call.at - timedelta(minutes=14)
    over = min(call.at + timedelta(hours=73), world.now)
    size = len(call.numbers)
    task = Task(
        world.id_at(made), call.sender.id, sent.name, "running", "portal", call.submitter, call.type,
        sent.text.content, made, sign=call.sender.sign, template_id=sent.text.id,
    )  # fmt: skip
    await tasks.insert(connection, task)
    rows: list[tuple[object, ...]] = [
        (task.id, n, n, number, None, []) for n, number in enumerate(call.numbers, 1)
    ]
    await connection.copy_records_to_table("task_row", records=rows, columns=ROW_COLUMNS, timeout=60)
    await tasks.add_run(connection, task.id, 1, call.at, size, call.at)
    await tasks.mark_fed(connection, Chunk(task.id, 1, 1, size, sent.first), refused=(), due_at=call.at)
    await tasks.end_feeding(connection, task.id, 1, size)
    await connection.execute(_COUNTED, task.id, sent.first, call.at, over)
    await tasks.finish_run(connection, task.id, 1, over)
    await tasks.keep_totals(connection, task.id, 1)
    await connection.execute(_ENDED, task.id, size, call.at, over)
