"""Verification of evidence: at once for the command line, or as a durable job begun by a button."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from smsgw.core.errors import Refused
from smsgw.core.evidence import Reads, Report, digest_of
from smsgw.core.ids import day_of
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState, is_final
from smsgw.platform.change import Change
from smsgw.platform.jobs import queries
from smsgw.platform.jobs.model import NewJob
from smsgw.platform.jobs.runner import LONG, JobContext, JobKind
from smsgw.platform.messages import queries as messages
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
        "results": report.results, "anchors": report.anchors, "gone": report.gone, "forgotten": report.forgotten,
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

    return JobKind(NAME, run, at_once=1, places=LONG, patience=PATIENCE, bound=True)


# --- of one message ---------------------------------------------------------------------------------------------------

MOST_LEAVES = 50_000
"""Of a day whose tree is made anew while somebody waits for it: about a second."""
_OF_ROOT = frozenset({"root", "signature", "order", "missing", "key_missing"})


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was checked; ``part`` 0 is a day's root.

    ``state``: ``right``, ``wrong``, or why it could not be told: ``forgotten`` (its octets have had their time),
    ``open`` (the day has no root yet), ``gone`` (the day's rows have had their time), ``many`` (too many rows for now).
    """

    what: str
    """``pdu`` (its digest), ``said`` (what it says, read anew), ``result`` or ``root``."""
    state: str
    part: int = 0
    day: date | None = None


async def of_message(change: Change, sealer: Sealer, message_id: int, *, now: datetime, reads: Reads) -> list[Checked]:
    """Digest the PDUs of a message anew, and decode them, compare its parts with what is proven of them, and make the
    roots of those days anew. ``PERMISSION_DENIED``, ``NOT_FOUND``. Anchors outside the database are for the whole
    verification."""
    change.actor.require(Permission.MESSAGE_WIRE)
    database, scope = change.database, change.actor.scope
    if await messages.get(database, message_id, accounts=scope.accounts, submitter=scope.submitter) is None:
        raise Refused("NOT_FOUND")
    rows = await evidence.of_message(database, message_id)
    last = {row["part"]: row for row in rows}
    found = [Checked("pdu", _octets(row), row["part"]) for row in rows if row["kind"] == "report"]
    belied = await evidence.belied(database, rows, reads)
    found += [
        Checked("said", "wrong" if row in belied else "right", row["part"]) for row in rows if row["pdu"] is not None
    ]
    for part in await database.fetch(_RESULTS, message_id):
        proof = last.get(part["part"])
        if not is_final(part["state"]):
            continue  # it is sent again, or waits: it has no result yet
        if proof is not None:
            right = (proof["state"], proof["code"]) == (part["state"], part["code"])
            found.append(Checked("result", "right" if right else "wrong", part["part"]))
        elif part["state"] == PartState.DELIVERED:
            found.append(Checked("result", "wrong", part["part"]))
    days = sorted({day_of(row["id"]) for row in rows})
    found += [Checked("root", await _root(database, sealer, day, now), day=day) for day in days]
    wrong = sum(one.state == "wrong" for one in found)
    async with change.unit(Permission.MESSAGE_WIRE) as unit:
        unit.record("message.verify", f"message/{message_id}", after={"checked": len(found), "wrong": wrong})
    return found


_RESULTS = "SELECT part, state, code FROM part WHERE id = $1 ORDER BY part"
_LEAVES = "SELECT leaves FROM evidence_root WHERE day = $1"


def _octets(row: Any) -> str:
    if digest_of(row["salt"], row["pdu"]) == row["digest"]:
        return "right"
    return "wrong" if row["pdu"] is not None else "forgotten"


async def _root(database: Database, sealer: Sealer, day: date, now: datetime) -> str:
    leaves = await database.fetchval(_LEAVES, day)
    if leaves is None:
        return "open"
    if leaves > MOST_LEAVES:
        return "many"
    report = await evidence.verify(database, sealer, (), now=now, only=day)
    if report.gone:
        return "gone"
    return "wrong" if any(p.kind in _OF_ROOT and p.day == day for p in report.problems) else "right"
