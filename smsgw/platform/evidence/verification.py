"""Verification of evidence: at once for the command line, or as a durable job begun by a button."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from smsgw.core.evidence import Reads, Report
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.jobs import queries
from smsgw.platform.jobs.model import NewJob
from smsgw.platform.jobs.runner import JobContext, JobKind
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import evidence
from smsgw.store.records.anchors import before

NAME = "evidence.verify"
PATIENCE = 4 * 3600.0
SHOWN = 20
"""Problems that are kept with the job, one by one."""


async def verify(
    database: Database, sealer: Sealer, own: Path, further: Sequence[Path] = (), *, now: datetime,
    reads: Reads, only: date | None = None, told: evidence.Told | None = None,
) -> Report:  # fmt: skip
    """Check evidence against its roots, the roots against their signatures and anchors (of this node's file and of
    further ones), results against evidence, and evidence against what its PDUs say."""
    files, more = (before(own), own, *further), {"told": told} if told else {}
    return await evidence.verify(database, sealer, files, now=now, only=only, reads=reads, **more)


async def begin(change: Change, *, node: int) -> int | None:
    """Have it verified on this node, against its own anchors; the job, None when one is under way."""
    async with change.unit(Permission.AUDIT_VIEW) as unit:
        wanted = NewJob(NAME, {}, change.actor.label, subject=f"node {node}", node=node)
        id_ = await queries.add(unit.connection, wanted)
        if id_ is None:
            unit.unchanged()
        else:
            unit.record("evidence.verify", f"job/{id_}")
    return id_


def told(report: Report) -> dict[str, Any]:
    """What is kept of it."""
    return {
        "sound": report.sound, "days": report.days, "leaves": report.leaves, "pdus": report.pdus,
        "results": report.results, "anchors": report.anchors, "gone": report.gone,
        "problems": [[p.kind, str(p.day), p.about] for p in report.problems[:SHOWN]],
        "more": report.more + max(0, len(report.problems) - SHOWN),
    }  # fmt: skip


def kind(database: Database, sealer: Sealer, anchors: Path, reads: Reads) -> JobKind:
    """How a node does it."""

    async def run(context: JobContext) -> None:
        async def progress(done: int, total: int) -> None:
            await context.progress(done, total)

        report = await verify(database, sealer, anchors, now=clock.now(), reads=reads, told=progress)
        await context.progress(report.days, report.days, checkpoint=told(report))

    return JobKind(NAME, run, at_once=1, patience=PATIENCE)
