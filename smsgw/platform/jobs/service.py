"""Jobs as people handle them: looked at and cancelled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from smsgw.core.actor import ActorKind
from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change, Unit
from smsgw.platform.jobs import queries
from smsgw.platform.jobs.model import Job

KEPT = timedelta(days=30)
"""How long a job is shown after its end."""
Ends = Mapping[str, Callable[[Unit, Job], Awaitable[None]]]
"""By kind: what ends with a job that is cancelled, in the same unit. May refuse, and then neither ends."""


async def cancel(change: Change, job_id: int, ends: Ends) -> Job:
    """End a job, one's own or somebody's: at once when it waits, within some seconds when it runs. What it has done
    stays done.

    ``NOT_FOUND``; ``STATE_CONFLICT`` when it has ended.
    """
    actor = change.actor
    found = await queries.own(change.database, actor, job_id)
    if found is None:
        actor.require(Permission.JOB_EDIT)
        raise Refused("NOT_FOUND")
    own = actor.kind is ActorKind.PERSON and found.submitter == actor.label
    permission, account_id = (Permission.SELF_EDIT, None) if own else (Permission.JOB_EDIT, found.account_id)
    async with change.unit(permission, account_id) as unit:
        job = await queries.cancel(unit.connection, job_id, KEPT)
        if job is None:
            raise Refused("STATE_CONFLICT", reason=phrase("job.over"))
        unit.record("job.cancel", f"job/{job_id}", before={"state": found.state}, after={"state": job.state})
        if (end := ends.get(job.kind)) is not None:
            await end(unit, job)
    return job
