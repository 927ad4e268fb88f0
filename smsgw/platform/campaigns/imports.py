"""Import jobs of tasks: entered with the task whose rows are to be brought in."""

from __future__ import annotations

from smsgw.platform.jobs import queries
from smsgw.platform.jobs.model import NewJob
from smsgw.store.engine.database import Connection

NAME = "task.import"

# A file lies on one node (an id tells which has made it); the members of an audience are in the database.
_WITHOUT_JOB = f"""
SELECT t.id, t.account_id, t.submitter,
       CASE WHEN t.audience_id IS NULL AND NOT t.mapping ? 'picked'
            THEN COALESCE(u.node, (t.id >> 12 & 1023)::int) END AS node
FROM task t LEFT JOIN upload u ON u.id = t.upload_id
WHERE t.state = 'importing' AND ($1::bigint IS NULL OR t.id = $1) AND NOT EXISTS (
    SELECT 1 FROM job j
    WHERE j.kind = '{NAME}' AND j.subject = 'task/' || t.id AND j.state IN ('waiting', 'running'))
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
