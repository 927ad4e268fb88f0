"""Verification of the audit log, and the word that what it finds is known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from smsgw.core.audit import ACCEPT, Report
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import anchors, audit_chain


async def verify(database: Database, sealer: Sealer, own: Path, further: Sequence[Path] = ()) -> Report:
    """Check every row, the chain over them, and the chain against its anchors: of this node's file, and of further
    files (those of other nodes, or system logs that have some)."""
    mine = anchors.AnchorFile(own, limit=0)
    return await audit_chain.verify(database, sealer, chain(mine.read(), *(anchors.read(file) for file in further)))


async def accept(change: Change, report: Report, reason: str) -> int:
    """Write into the log that the problems of a report are known, and why; how many."""
    fresh = [problem for problem in report.problems if not problem.known]
    async with change.unit(Permission.AUDIT_ACCEPT) as unit:
        if fresh:
            said = [[problem.kind, problem.first, problem.last] for problem in fresh]
            unit.record(ACCEPT, "audit", after={"reason": reason, "problems": said})
        else:
            unit.unchanged()
    return len(fresh)
