"""A bundle is asked for, made as a job on the node that it is of, and taken away; each of it is entered."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import Any

import asyncpg
import structlog

from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.diagnostics.bundle import STEPS, Bundles, name_of
from smsgw.platform.files import queries as files
from smsgw.platform.files.model import FileKind, StoredFile
from smsgw.platform.files.service import FileStore
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import JobState, NewJob
from smsgw.platform.jobs.runner import JobContext, JobKind
from smsgw.platform.nodes import queries as nodes
from smsgw.runtime import clock

log = structlog.get_logger(__name__)

NAME = "diagnostics"
"""Of its kind of job."""
FILES = FileKind(NAME, most=64 * 1024**2, kept=timedelta(days=3), shared=False)
LASTS = timedelta(hours=1)
PATIENCE = 600.0
LEAST_REASON, MOST_REASON = 2, 200


async def request(change: Change, node: int, reason: str) -> int:
    """Have one made of this node; the job. ``PARAM_INVALID`` without a reason, or for a node that is not there;
    ``STATE_CONFLICT`` while one of it is under way."""
    reason = " ".join(reason.split())
    if not LEAST_REASON <= len(reason) <= MOST_REASON:
        raise Invalid("PARAM_INVALID", field="reason", reason=f"{LEAST_REASON}-{MOST_REASON}")
    async with change.unit(Permission.NODE_EDIT, EVERYBODY) as unit:
        if not any(one.state == "live" for one in await nodes.listed(unit.connection, unit.actor, node)):
            raise Invalid("PARAM_INVALID", field="node", reason=phrase("diagnostics.node"))
        params = {"reason": reason, "node": node}
        job = await jobs.add(
            unit.connection, NewJob(NAME, params, unit.actor.label, subject=f"node/{node}", node=node, lasts=LASTS)
        )
        if job is None:
            raise Refused("STATE_CONFLICT", reason=phrase("diagnostics.under_way"))
        unit.record("diagnostics.request", f"job/{job}", after=params)
    return job


async def fetch(change: Change, store: FileStore, job_id: int) -> StoredFile:
    """The file of one's own bundle, or of one that the actor may see. ``NOT_FOUND`` for what is not made, or gone;
    ``Elsewhere``."""
    async with change.unit(Permission.NODE_EDIT, EVERYBODY) as unit:
        job = await jobs.own(unit.connection, unit.actor, job_id)
        if job is None or job.kind != NAME or job.state is not JobState.DONE:
            raise Refused("NOT_FOUND")
        file = await files.get(unit.connection, int(job.checkpoint.get("file", 0)))
        if file is None or file.expires_at <= clock.now():
            raise Refused("NOT_FOUND")
        store.at_hand(file)
        unit.record("diagnostics.fetch", f"job/{job_id}", after={"size": file.size, "sha256": file.sha256.hex()})
    return file


async def take(change: Change, bundles: Bundles) -> bytes:
    """One that is made at once, for who sits at the machine. While the database is away, when it is needed most, the
    log alone says that it was taken."""
    change.actor.require(Permission.NODE_EDIT, EVERYBODY)
    octets = await bundles.made()
    made = {"size": len(octets), "sha256": hashlib.sha256(octets).hexdigest()}
    try:
        async with change.unit(Permission.NODE_EDIT, EVERYBODY) as unit:
            unit.record("diagnostics.take", "diagnostics", after=made)
    except (SmsgwError, asyncpg.PostgresError) as exc:
        log.warning("diagnostics.not_entered", actor=change.actor.label, error=exc, **made)
    return octets


def kind(bundles: Bundles, store: FileStore) -> JobKind:
    """How a node does it."""

    async def run(context: JobContext) -> None:
        job = context.job
        octets = await bundles.made(context.progress)
        name = name_of(clock.now(), bundles.node)
        incoming = await store.receive(FILES, None, len(octets), name, person=job.submitter)

        async def entered(connection: Any, file: StoredFile) -> None:
            made = {"file": file.id, "size": file.size, "until": file.expires_at.isoformat()}
            await context.progress(STEPS, STEPS, checkpoint=made, connection=connection)

        try:
            await asyncio.to_thread(incoming.path.write_bytes, octets)
            await store.keep(incoming, "application/zip", job.submitter, entered)
        finally:
            store.drop(incoming)

    return JobKind(NAME, run, at_once=1, patience=PATIENCE, bound=True)
