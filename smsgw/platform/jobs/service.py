"""Jobs as people handle them: looked at and cancelled."""

from __future__ import annotations

from datetime import timedelta

from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.jobs import queries
from smsgw.platform.jobs.model import Job

KEPT = timedelta(days=30)
"""How long a job is shown after its end."""


async def cancel(change: Change, job_id: int) -> Job:
    """End a job: at once when it waits, within some seconds when it runs. What it has done stays done.

    ``NOT_FOUND``; ``STATE_CONFLICT`` when it has ended.
    """
    found = await queries.get(change.database, change.actor.scope, job_id)
    if found is None:
        raise Refused("NOT_FOUND")
    async with change.unit(Permission.JOB_EDIT, found.account_id) as unit:
        job = await queries.cancel(unit.connection, job_id, KEPT)
        if job is None:
            raise Refused("STATE_CONFLICT", reason="作业已结束", reason_en="it has ended")
        unit.record("job.cancel", f"job/{job_id}", before={"state": found.state}, after={"state": job.state})
    return job
