"""Verification of the audit log as a durable job: begun by a button, its result kept with the job."""

from __future__ import annotations

from pathlib import Path

from smsgw.core.permissions import Permission
from smsgw.platform.audit import service
from smsgw.platform.change import Change
from smsgw.platform.jobs import queries
from smsgw.platform.jobs.model import NewJob
from smsgw.platform.jobs.runner import LONG, JobContext, JobKind
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer

NAME = "audit.verify"
PATIENCE = 1800.0
SHOWN = 20
"""Problems that are kept with the job, one by one."""


async def begin(change: Change, *, node: int) -> int | None:
    """Have the log verified on this node, against its own anchors; the job, None when one is under way."""
    async with change.unit(Permission.AUDIT_VIEW) as unit:
        wanted = NewJob(NAME, {}, change.actor.label, subject=f"node {node}", node=node)
        id_ = await queries.add(unit.connection, wanted)
        if id_ is None:
            unit.unchanged()
        else:
            unit.record("audit.verify", f"job/{id_}")
    return id_


def kind(database: Database, sealer: Sealer, anchors: Path) -> JobKind:
    """How a node does it."""

    async def run(context: JobContext) -> None:
        report = await service.verify(database, sealer, anchors)
        found = {
            "sound": report.sound, "rows": report.rows, "legacy": report.legacy, "open": report.open,
            "pruned": report.pruned, "anchors": report.anchors, "head": report.head.seq if report.head else 0,
            "problems": [[p.kind, p.first, p.last, bool(p.known)] for p in report.problems[:SHOWN]],
            "more": report.more + max(0, len(report.problems) - SHOWN),
        }  # fmt: skip
        await context.progress(report.rows, report.rows, checkpoint=found)

    return JobKind(NAME, run, at_once=1, places=LONG, patience=PATIENCE, bound=True)
