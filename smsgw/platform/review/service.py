"""Decisions of reviewers: a HELD call, or a task, passes or is rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Protocol

from smsgw.core.actor import ActorKind
from smsgw.core.alarms import WARNING, Finding
from smsgw.core.errors import Invalid, Refused, message_of
from smsgw.core.ids import time_of
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState
from smsgw.core.wording_json import Moment
from smsgw.core.words import phrase
from smsgw.pipeline.fleet import Fleet
from smsgw.pipeline.outcomes.writer import MAX_AGE, Outcomes, Sweep
from smsgw.pipeline.snapshot import Snapshots
from smsgw.pipeline.upkeep import rerouting
from smsgw.platform.change import Change
from smsgw.platform.review import queries
from smsgw.platform.review.model import Reviewed, Sample
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages import reviews


async def unmask(change: Change, review: Reviewed, limit: int = 10) -> list[Sample]:
    """The first messages or rows, to be shown with whole numbers: that is entered into the audit log."""
    async with change.unit(Permission.REVIEW_VIEW, review.account_id) as unit:
        unit.actor.require(Permission.MESSAGE_UNMASK)
        found = await queries.sample(unit.connection, review, limit)
        unit.record("numbers.unmask", f"review/{review.batch_id}", after={"numbers": len(found)})
    return found


class ReviewedTasks(Protocol):
    """Tasks that wait for a reviewer."""

    async def reviewed(self, change: Change, task_id: int, asked: int, *, passes: bool, reason: str) -> int:
        """A reviewer's word: it may begin, or it never will. How many rows it has."""


class Reviewing:
    """Decisions about HELD calls and tasks."""

    def __init__(
        self,
        database: Database,
        outcomes: Outcomes,
        snapshots: Snapshots,
        fleet: Fleet,
        tasks: ReviewedTasks,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._database = database
        self._outcomes = outcomes
        self._snapshots = snapshots
        self._fleet = fleet
        self._tasks = tasks
        self._now = now

    async def decide(self, change: Change, batch_id: int, *, passes: bool, reason: str = "") -> int:
        """Pass or reject a call or task; how many parts (of a task: rows) it had.

        Who sent it cannot decide about it (``STATE_CONFLICT``), but for operators where it is no emergency, nor anybody
        twice; a rejection needs a reason. ``PERMISSION_DENIED``; ``NOT_FOUND`` for what is out of the reviewer's scope.
        """
        actor = change.actor
        actor.require(Permission.REVIEW_DECIDE)
        if not passes and not reason.strip():
            raise Invalid("PARAM_MISSING", field="reason")
        row = await queries.get(self._database, batch_id, accounts=actor.scope.whole)
        if row is None:
            raise Refused("NOT_FOUND")
        if row.own(actor.label) and (row.emergency or actor.kind is not ActorKind.OPERATOR):
            raise Refused("STATE_CONFLICT", reason=phrase("review.own"))
        if row.task_id is not None:
            return await self._tasks.reviewed(change, row.task_id, batch_id, passes=passes, reason=reason)
        queues: set[tuple[int, int]] = set()

        async def run(connection: Connection, now: datetime) -> list[Row]:
            async with change.within(connection, Permission.REVIEW_DECIDE, row.account_id) as unit:
                if passes:
                    start = self._start(row, now)
                    latest = time_of(batch_id) + MAX_AGE
                    rows = await reviews.release(
                        connection, batch_id, now, start=start, expires=min(start + row.validity, latest),
                        by=actor.label, reason=reason,
                    )  # fmt: skip
                    queued = [r for r in rows if r["state"] == PartState.QUEUED]
                    ids, snapshot = sorted({r["id"] for r in queued}), self._snapshots.current
                    _, moved = await rerouting.follow(connection, snapshot.table, snapshot.pools, ids, now)
                    queues.update((r["pool_id"], r["lane"]) for r in (*queued, *moved))
                else:
                    text = message_of("REVIEW_REJECTED", {"reason": reason})
                    rows = await reviews.reject(connection, batch_id, now, text=text, by=actor.label, reason=reason)
                if rows:
                    action = "review.pass" if passes else "review.reject"
                    after = {"reason": reason, "parts": len(rows)}
                    unit.record(action, f"message/{batch_id}", before={"state": "held"}, after=after)
                else:
                    unit.unchanged()
            return rows

        kinds: dict[int, str] = {
            PartState.QUEUED: "review_passed",
            PartState.SCHEDULED: "review_passed",
            PartState.REJECTED: "review_rejected",
        }
        changed = await self._outcomes.sweep(Sweep(run, kinds, {"actor": actor.label, "reason": reason}))
        if not changed:
            raise Refused("STATE_CONFLICT", reason=phrase("review.over"))
        self._fleet.announce(queues)
        return changed

    def _start(self, row: Reviewed, now: datetime) -> datetime:
        """When it may go: not before its time, and not in quiet hours."""
        start: datetime = max(now, row.due_at or now)
        account = self._snapshots.current.account(row.account_id)
        if account is None:
            return start
        limits = self._snapshots.current.policies.limits(account, MessageType(row.type), row.kind)
        return limits.hours.opens(start) or start

    async def findings(self) -> Iterable[Finding]:
        """Calls that have been waiting for too long."""
        patience = timedelta(minutes=self._snapshots.current.settings.review_remind_minutes)
        row = await reviews.waiting(self._database, self._now() - patience)
        if row is None or not row["n"]:
            return []
        detail = phrase("alarm.reviews", n=row["n"], oldest=Moment(row["oldest"]))
        return [Finding("review_waiting", "reviews", WARNING, detail)]
