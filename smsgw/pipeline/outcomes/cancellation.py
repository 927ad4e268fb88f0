"""Cancelling by id or call, and recalling what waits for numbers that have opted out, were blocked, or have withdrawn
their consent."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import first_id
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState
from smsgw.core.words import phrase
from smsgw.pipeline.outcomes.writer import MAX_AGE, Outcomes, Sweep
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages import cancellation as store

log = structlog.get_logger(__name__)

TIMEOUT = 30.0


async def _end_waiting(
    outcomes: Outcomes, ids: Sequence[int], state: PartState, code: str, cls: str, event: str, detail: dict[str, str]
) -> int:
    """In the writer's order; how many messages."""
    taken: set[int] = set()

    async def run(connection: Connection, now: datetime) -> list[Row]:
        rows = await store.end_waiting(connection, ids, state, code, cls, now)
        taken.update(row["id"] for row in rows)
        return rows

    await outcomes.sweep(Sweep(run, {state: event}, detail))
    return len(taken)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of a call that was to be cancelled."""

    messages: int
    cancelled: int
    """The others had gone to a carrier, or had ended."""


class Cancelling:
    """Of messages that are in the actor's scope; the actor goes into the message's story."""

    def __init__(self, database: Database, outcomes: Outcomes) -> None:
        self._database = database
        self._outcomes = outcomes
        self._end_waiting = partial(
            _end_waiting, outcomes, state=PartState.CANCELLED, code="CANCELLED", cls="", event="cancelled"
        )

    async def message(self, message_id: int, actor: Actor, *, test: bool | None = None) -> None:
        """Cancel a message, of a test key or of others (``test``; None: either). Once more is as good as once.

        ``PERMISSION_DENIED``, ``NOT_FOUND``; ``STATE_CONFLICT`` when a part of it was handed to a carrier, or it has
        ended.
        """
        actor.require(Permission.MESSAGE_CANCEL)
        if not await store.message(self._database, message_id, actor.scope.whole, test=test):
            raise Refused("NOT_FOUND")
        if await self.these([message_id], actor):
            return
        if not await store.is_cancelled(self._database, message_id):
            raise Invalid("STATE_CONFLICT", reason=phrase("message.gone"))

    async def these(self, ids: Sequence[int], actor: Actor) -> int:
        """Cancel messages that were found by other means to be the caller's; how many it was not too late for."""
        done = 0
        for start in range(0, len(ids), store.STEP):
            done += await self._end_waiting(ids[start : start + store.STEP], detail={"actor": actor.label})
        return done

    async def batch(self, batch_id: int, actor: Actor) -> Cancelled:
        """Cancel what still waits of a call, message by message. ``PERMISSION_DENIED``; ``NOT_FOUND`` when there is no
        such call."""
        actor.require(Permission.MESSAGE_CANCEL)
        after = messages = cancelled = 0
        while ids := await store.of_batch(self._database, batch_id, actor.scope.whole, after):
            messages += len(ids)
            cancelled += await self.these(ids, actor)
            after = ids[-1]
        if not messages:
            raise Refused("NOT_FOUND")
        return Cancelled(messages, cancelled)


RESOURCE = "job/recall"
EVERY = 1.0
LATECOMERS = 15.0
"""An entry is looked at again after so many seconds: what was being accepted while it was made is queued by then."""
PAGES = 20
"""Pages of entries in one step."""


class _Trail:
    """One list, each entry of which is looked at twice: at once, and when no node can accept past it any more. How far
    the second look is, is durable; a restart begins there.
    """

    def __init__(
        self, database: Database, followed: store.Followed, recall: Callable[[Sequence[Row]], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:  # fmt: skip
        """``recall`` takes back what waits for numbers of these rows."""
        self._database = database
        self._followed = followed
        self._recall = recall
        self._clock = clock
        self._seen = 0
        """Version up to which entries were looked at once."""
        self._notes: deque[tuple[float, int]] = deque(maxlen=1000)
        """When that was, and the version."""

    def begin(self) -> None:
        """Another node may have come further meanwhile."""
        self._notes.clear()
        self._seen = 0

    @property
    def job(self) -> str:
        """Where it is remembered how far."""
        return self._followed.job

    async def step(self, done: int, newest: int) -> None:
        """Recall what newly listed numbers still wait for."""
        if newest <= done:
            return
        self._seen = max(self._seen, done)
        reached = await self._look(self._seen, newest)
        if reached > self._seen:
            self._seen = reached
            self._notes.append((self._clock(), reached))
        due = done
        while self._notes and self._clock() - self._notes[0][0] >= LATECOMERS:
            due = self._notes.popleft()[1]
        if due > done:
            reached = await self._look(done, due)
            if reached < due:
                self._notes.appendleft((self._clock() - LATECOMERS, due))
            async with self._database.acquire(timeout=TIMEOUT) as connection:
                await store.set_position(connection, self._followed, reached)

    async def _look(self, after: int, until: int) -> int:
        """Look at the entries behind one version up to another; how far it has come."""
        for _ in range(PAGES):
            if after >= until:
                break
            async with self._database.acquire(timeout=TIMEOUT) as connection:
                rows = await store.entries(connection, self._followed, after)
            rows = [row for row in rows if row["version"] <= until]
            if not rows:
                return until
            holding = [row for row in rows if row["holds"]]
            if holding:
                await self._recall(holding)
            after = rows[-1]["version"]
        return after


class Recall:
    """The job of the node that has the lease: what waits for numbers that were blocked, or whose consent was withdrawn
    where it is asked for."""

    def __init__(
        self, database: Database, outcomes: Outcomes, snapshots: Snapshots, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._database = database
        self._outcomes = outcomes
        self._snapshots = snapshots
        self._trails = (
            _Trail(database, store.BLOCKED, self._blocked, clock),
            _Trail(database, store.CONSENTS, self._withdrawn, clock),
        )

    def periodic(self) -> Periodic:
        """What comes round."""
        return Periodic("recall", EVERY, self.step, exclusive=RESOURCE, taken=self._begin)

    def _begin(self) -> None:
        for trail in self._trails:
            trail.begin()

    async def step(self) -> None:
        """Recall what numbers still wait for that must not get it any more."""
        standings = await store.standings(self._database)
        for trail in self._trails:
            await trail.step(*standings[trail.job])

    async def _end(self, ids: Sequence[int], code: str, cls: str) -> None:
        done = await _end_waiting(self._outcomes, ids, PartState.REJECTED, code, cls, "recalled", {"code": code})
        if done:
            log.info("messages.recalled", messages=done, code=code)

    async def _blocked(self, blocked: Sequence[Row]) -> None:
        oldest, after = first_id(clock.now() - MAX_AGE), 0
        while True:
            async with self._database.acquire(timeout=TIMEOUT) as connection:
                found = await store.waiting_for(connection, blocked, oldest=oldest, after=after)
            for opted_out in (True, False):
                ids = [row["id"] for row in found if (row["source"] is None) == opted_out]
                if ids:
                    await self._end(ids, "NUMBER_OPTED_OUT" if opted_out else "NUMBER_BLACKLISTED", "BLACKLIST_LOCAL")
            if len(found) < store.STEP:
                break
            after = found[-1]["id"]

    async def _withdrawn(self, withdrawn: Sequence[Row]) -> None:
        """Of accounts that ask for consent, for all marketing or a kind of it; where the nearest word is another
        account's, that one counts."""
        snapshot, base = self._snapshots.current, MessageType.MARKETING
        kinds = ("", *(kind.name for kind in snapshot.kinds.values() if kind.base is base))
        asked = {
            (account.id, kind): (account.id, *account.above)
            for account in snapshot.accounts()
            for kind in kinds
            if snapshot.policies.limits(account, base, kind).consent == base
        }
        if not asked:
            return
        accounts = list({account_id for account_id, _ in asked})
        numbers = [row["number"] for row in withdrawn]
        oldest, after = first_id(clock.now() - MAX_AGE), 0
        while True:
            async with self._database.acquire(timeout=TIMEOUT) as connection:
                found = await store.marketing_for(connection, numbers, accounts, oldest=oldest, after=after)
                said = await store.said(connection, numbers) if found else {}
            ids = [
                row["id"]
                for row in found
                if (line := asked.get((row["account_id"], row["kind"])))
                and next((said[k] for a in line if (k := (row["number"], a)) in said), True) is False
            ]
            if ids:
                await self._end(ids, "NUMBER_NO_CONSENT", "POLICY")
            if len(found) < store.STEP:
                break
            after = found[-1]["id"]
