"""Exports as people ask for them and fetch them. What may be seen is looked at three times: when an export is asked
for, when it is made, and when its file is fetched."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from smsgw.core.actor import EVERYTHING, Actor, ActorLabel, Scope
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change, Unit
from smsgw.platform.exports.model import (
    FILES,
    HELD_FOR,
    LEAST_REASON,
    LINK_LASTS,
    MOST_FILES,
    MOST_OCTETS,
    MOST_OPEN,
    MOST_REASON,
    NAME,
    REJECTED,
    Export,
)
from smsgw.platform.files import queries as files
from smsgw.platform.files.model import StoredFile
from smsgw.platform.files.service import FileStore
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import Job, JobState, NewJob
from smsgw.platform.jobs.service import KEPT
from smsgw.platform.org.model import within
from smsgw.store.engine.database import Connection, Database

LASTS = timedelta(hours=6)
"""An export that has not come to an end by then fails."""
_TAKE_TURNS = "SELECT pg_advisory_xact_lock(hashtextextended('export ' || $1, 0))"
_OPEN = """
SELECT count(*) FROM job WHERE kind = $1 AND submitter = $2 AND state IN ('waiting', 'running')
"""
_KEPT = """
SELECT count(*) AS files, COALESCE(sum(size), 0)::bigint AS octets FROM file
WHERE kind = $1 AND submitter = $2 AND expires_at > clock_timestamp()
"""


def held(job: Job) -> bool:
    """Whether it is an export that waits for approval."""
    return job.kind == NAME and job.state is JobState.WAITING and job.params.get("approval") == "asked"


async def decide(change: Change, job_id: int, *, passes: bool, reason: str = "") -> Job:
    """Approve an export that waits for it, or not: somebody else than who wants it.

    ``NOT_FOUND`` for what the actor does not see; ``PARAM_MISSING`` for a rejection without a reason;
    ``STATE_CONFLICT`` for one's own, and for what does not wait.
    """
    actor = change.actor
    actor.require(Permission.JOB_EDIT)
    reason = " ".join(reason.split())[:MOST_REASON]
    if not passes and len(reason) < LEAST_REASON:
        raise Invalid("PARAM_MISSING", field="reason")
    found = await jobs.own(change.database, actor, job_id)
    if found is None or found.kind != NAME:
        raise Refused("NOT_FOUND")
    if found.submitter == actor.label:
        raise Refused("STATE_CONFLICT", reason=phrase("review.own"))
    async with change.unit(Permission.JOB_EDIT) as unit:
        said = {"approval": "passed" if passes else "rejected", "decided_by": actor.label, "decision": reason}
        job = (
            await jobs.let_begin(unit.connection, job_id, LASTS, said)
            if passes
            else await jobs.refuse(unit.connection, job_id, REJECTED, KEPT, said)
        )
        if job is None:
            raise Refused("STATE_CONFLICT", reason=phrase("review.over"))
        action = "export.approve" if passes else "export.reject"
        after = {"reason": reason, "rows": found.params.get("rows")}
        unit.record(action, f"job/{job_id}", before={"state": "held"}, after=after)
    return job


async def request(
    change: Change, wanted: Export, *, node: int, rows: int | None = None, approved_up_to: int = 0
) -> int:
    """Have a list made into a file; the job, which runs on the node where the file will lie. With more ``rows`` than
    ``approved_up_to`` (0: never) it waits until somebody else has approved it.

    ``PARAM_INVALID`` without a reason; ``RATE_LIMITED`` when the person has too many that are under way;
    ``STATE_CONFLICT`` while too many files of the person's are kept.
    """
    reason = " ".join(wanted.reason.split())
    if not LEAST_REASON <= len(reason) <= MOST_REASON:
        raise Invalid("PARAM_INVALID", field="reason", reason=f"{LEAST_REASON}-{MOST_REASON}")
    params: dict[str, Any] = {
        "list": wanted.list, "permission": wanted.permission.value, "query": dict(wanted.query),
        "columns": list(wanted.columns), "format": wanted.format.value, "reason": reason, "language": wanted.language,
        "platform": wanted.platform,
    }  # fmt: skip
    waits = rows is not None and 0 < approved_up_to < rows
    if waits:
        params |= {"rows": rows, "approval": "asked"}
    async with change.unit(wanted.permission) as unit:
        await unit.connection.execute(_TAKE_TURNS, change.actor.label)
        if await unit.connection.fetchval(_OPEN, NAME, change.actor.label) >= MOST_OPEN:
            raise Refused("RATE_LIMITED", retry_after=60, n=60)
        kept = await unit.connection.fetchrow(_KEPT, FILES.name, change.actor.label)
        if kept is not None and (kept["files"] >= MOST_FILES or kept["octets"] >= MOST_OCTETS):
            reason_ = phrase("export.kept", files=MOST_FILES, gigabytes=MOST_OCTETS // 1024**3)
            raise Refused("STATE_CONFLICT", reason=reason_)
        id_ = await jobs.add(
            unit.connection,
            NewJob(NAME, params, change.actor.label, node=node, lasts=HELD_FOR if waits else LASTS, held=waits),
        )
        unit.record("export.request", f"job/{id_}", after=params)
    if id_ is None:
        raise Refused("NOT_FOUND")
    return id_


@dataclass(frozen=True, slots=True)
class Made:
    """An export that has come to a good end."""

    job: Job
    permission: Permission
    file_id: int
    rights: tuple[Permission, ...]
    """That its rows and columns took, …"""
    scope: Scope
    """… and whose data they are; all when it is not known."""

    def check(self, actor: Actor) -> None:
        """Refuse whoever would not see all of it in the list any more. ``PERMISSION_DENIED``."""
        for right in (self.permission, *self.rights):
            actor.require(right)
        if not within(self.scope, actor.scope):
            raise Refused("PERMISSION_DENIED", permission=self.permission.value)


def made(job: Job | None, submitter: ActorLabel) -> Made:
    """The export of a job, which its own submitter may fetch. ``NOT_FOUND``."""
    file_id = 0 if job is None else int(job.checkpoint.get("file", 0))
    if job is None or job.kind != NAME or job.submitter != submitter or job.state is not JobState.DONE or not file_id:
        raise Refused("NOT_FOUND")
    rights = tuple(map(Permission, job.checkpoint.get("rights", ())))
    return Made(job, Permission(job.params["permission"]), file_id, rights, _scope(job.checkpoint.get("scope")))


def seen(actor: Actor, rights: Iterable[Permission]) -> Mapping[str, Any]:
    """What the checkpoint of an export says of the rights and the scope that it was made with."""
    return {"rights": sorted({right.value for right in rights}), "scope": asdict(actor.scope)}


def _scope(said: Mapping[str, Any] | None) -> Scope:
    if said is None:
        return EVERYTHING
    accounts, departments = (None if said[key] is None else tuple(said[key]) for key in ("accounts", "departments"))
    return Scope(accounts, departments, said["submitter"])


_ADD_LINK = """
INSERT INTO export_link (token_sha256, job_id, session_sha256, expires_at)
VALUES ($1, $2, $3, clock_timestamp() + $4)
"""
_FORGET = "DELETE FROM export_link WHERE expires_at < clock_timestamp()"


async def link(change: Change, job_id: int, session: str) -> str:
    """A token that opens the file of one's own export once, within minutes, in this session. ``NOT_FOUND``;
    ``PERMISSION_DENIED`` for whoever may not take the list away any more."""
    export = made(await jobs.own(change.database, change.actor, job_id), change.actor.label)
    export.check(change.actor)
    token = secrets.token_urlsafe(24)
    async with change.unit(export.permission) as unit:
        await unit.connection.execute(_FORGET)
        await unit.connection.execute(_ADD_LINK, _digest(token), job_id, _digest(session), LINK_LASTS)
        unit.record("export.link", f"job/{job_id}")
    return token


_TAKE_LINK = """
DELETE FROM export_link WHERE token_sha256 = $1 AND session_sha256 = $2 AND expires_at > clock_timestamp()
RETURNING job_id
"""


async def fetch(change: Change, store: FileStore, token: str, session: str) -> StoredFile:
    """The file that a link opens; the link is used up. ``NOT_FOUND`` for any other, and in another session;
    ``PERMISSION_DENIED`` as for ``link``; ``Elsewhere``, and the link is good there."""
    async with change.unit(Permission.SELF_EDIT) as unit:
        job_id = await unit.connection.fetchval(_TAKE_LINK, _digest(token), _digest(session))
        if job_id is None:
            raise Refused("NOT_FOUND")
        return await _fetched(unit, store, job_id)


async def _fetched(unit: Unit, store: FileStore, job_id: int) -> StoredFile:
    export = made(await jobs.own(unit.connection, unit.actor, job_id), unit.actor.label)
    export.check(unit.actor)
    file = await files.get(unit.connection, export.file_id)
    if file is None:
        raise Refused("NOT_FOUND")
    store.at_hand(file)
    await _count(unit.connection, job_id)
    unit.record("export.fetch", f"job/{job_id}", after={"size": file.size, "rows": export.job.done})
    return file


_COUNT = """
UPDATE job SET checkpoint = checkpoint || jsonb_build_object('fetched', COALESCE((checkpoint->>'fetched')::int, 0) + 1)
WHERE id = $1
"""


async def _count(connection: Connection | Database, job_id: int) -> None:
    await connection.execute(_COUNT, job_id)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
