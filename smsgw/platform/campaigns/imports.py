"""Import jobs of tasks: entered with the task whose rows are to be brought in."""

from __future__ import annotations

from smsgw.core.errors import Refused
from smsgw.core.words import phrase
from smsgw.platform.change import Unit
from smsgw.platform.jobs import queries
from smsgw.platform.jobs.model import Job, NewJob
from smsgw.platform.jobs.service import Ends
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection
from smsgw.store.messages import tasks as store

NAME = "task.import"

# What somebody has cancelled is not begun anew. A file lies on one node (an id tells which has made it); the members of
# an audience are in the database.
_WITHOUT_JOB = f"""
SELECT t.id, t.account_id, t.submitter,
       CASE WHEN t.audience_id IS NULL AND NOT t.mapping ? 'picked'
            THEN COALESCE(u.node, (t.id >> 12 & 1023)::int) END AS node
FROM task t LEFT JOIN upload u ON u.id = t.upload_id
WHERE t.state = 'importing' AND ($1::bigint IS NULL OR t.id = $1) AND NOT EXISTS (
    SELECT 1 FROM job j
    WHERE j.kind = '{NAME}' AND j.subject = 'task/' || t.id AND j.state IN ('waiting', 'running', 'cancelled'))
ORDER BY t.id LIMIT 1000
"""  # noqa: S608 - a constant


async def enqueue(connection: Connection, task_id: int | None = None) -> int:
    """Enter the job of a task (None: of all that have none, such as those of an earlier release); how many were."""
    entered = 0
    for row in await connection.fetch(_WITHOUT_JOB, task_id):
        job = NewJob(
            NAME,
            {"task": str(row["id"])},
            row["submitter"],
            subject=f"task/{row['id']}",
            account_id=row["account_id"],
            node=row["node"],
        )
        entered += await queries.add(connection, job) is not None
    return entered


async def _cancelled(unit: Unit, job: Job) -> None:
    """With its import a task ends for good. ``STATE_CONFLICT``: its rows are there by now, and it goes on."""
    task = await store.lock(unit.connection, int(job.params["task"]))
    if task is None or task.state in store.ENDED:
        return
    if task.state != "importing":
        raise Refused("STATE_CONFLICT", reason=phrase("job.over"))
    await store.change(unit.connection, task.id, state="cancelled", ended_at=clock.now())
    unit.record("task.cancel", f"task/{task.id}", before={"state": task.state}, after={"job": str(job.id)})


ENDS: Ends = {NAME: _cancelled}
"""What ends with a job of this kind."""
