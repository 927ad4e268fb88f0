"""What channels and time say about parts, made durable by one writer a node, in the order it was said.

Items are answers, reports, inbound messages and sweeps. A batch is applied in that order inside one transaction, so
a report that came in the same breath as its answer finds its part.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Protocol

import structlog

from smsgw.core.errors import SmsgwError, Temporary
from smsgw.core.ids import IdSource, first_id
from smsgw.core.model import LONGEST_VALIDITY, Inbound, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.states import PartState
from smsgw.core.words import phrase
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.outcomes import references
from smsgw.pipeline.outcomes.effects import Effects, follow_up
from smsgw.pipeline.outcomes.long_reports import LongReports
from smsgw.pipeline.outcomes.parking import PARKED, Parking
from smsgw.pipeline.outcomes.reattempt import Event, Retrying
from smsgw.pipeline.outcomes.report_ids import ReportIds
from smsgw.pipeline.outcomes.stages import Stages
from smsgw.pipeline.routing import Router
from smsgw.pipeline.snapshot import Snapshots
from smsgw.pipeline.upkeep import rerouting
from smsgw.runtime import clock, failpoints
from smsgw.runtime.config import DurabilityConfig
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.database import Connection, Row
from smsgw.store.engine.group_commit import Batcher
from smsgw.store.engine.journal import Journal, Key
from smsgw.store.messages import outcomes as store, references as references_store, report_ids as reportids_store
from smsgw.store.messages.inbound import Arrived
from smsgw.store.messages.outcomes import Answer, GivenBack, Patience, Tally

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

MAX_WAITING = 20_000
"""Items whose commit is awaited, from which on links are not read any more, and nothing is claimed …"""
ROOM_AGAIN = 10_000
"""… until there are so few that links are read again."""
REMATCH = 5000
"""Unmatched reports that one transaction looks at again, when somebody asks for it …"""
REMATCH_BY_ITSELF = 1000
"""… and when it comes round: it is in the way of the answers and reports that come meanwhile."""
COMMIT_INTERVAL = 0.015
"""Nobody waits for these commits but a carrier whose reports fill its window: 16 of them in 15 ms are 1,000/s."""
RECENT = timedelta(days=2)
MAX_AGE = LONGEST_VALIDITY
"""From acceptance to the end of the longest validity: older ids are not queued any more."""
LATE_REPORTS = timedelta(days=3)
"""How long after its deadline a report is still matched."""


@dataclass(slots=True)
class Sweep:
    """A state change by time or by an operator: ``run`` gives the changed rows."""

    run: Callable[[Connection, datetime], Awaitable[list[Row]]]
    kinds: Mapping[int, str] = field(default_factory=dict)
    """Kind of the event to record for a row, by its new state; none for other states."""
    detail: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Rematch:
    """Unmatched reports are looked at again, of one channel or of all."""

    channel_id: int | None = None
    since: datetime = reportids_store.EVER
    """Only those that came since then, …"""
    most: int = REMATCH
    """… and so many of them, the oldest first."""
    found: int = 0
    """Reports that have found their part."""


@dataclass(slots=True)
class Rehome:
    """Unmatched reports are put to the parts that they are about, by a rule that fits no other part."""

    homes: Sequence[reportids_store.Home]
    found: int = 0
    """Reports that have found their part: one that a report has settled meanwhile is left."""


Item = Rehome | Rematch | Answer | GivenBack | Report | Arrived | Sweep
Applied = int
"""Rows that an item's batch or sweep changed (sweeps: their own)."""


class Learner(Protocol):
    """What is learned about numbers."""

    def note(self, rows: Iterable[Row], reports: Sequence[Report]) -> None:
        """Parts whose state an outcome has changed, and the reports that came with them. Nothing there waits."""


class Outcomes:
    """The writer of everything that follows acceptance."""

    def __init__(
        self,
        dsn: str,
        *,
        node: int,
        ids: IdSource,
        journal: Journal,
        snapshots: Snapshots,
        router: Router,
        numbers: Learner,
        hub: EventHub,
        durability: DurabilityConfig,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._node = node
        self._ids = ids
        self._journal = journal
        self._snapshots = snapshots
        self._hub = hub
        self._numbers = numbers
        self._now = now
        self._patience = Patience(
            hold=timedelta(hours=durability.unknown_hold_hours),
            hold_short=timedelta(seconds=durability.unknown_short_seconds),
            resend=timedelta(seconds=durability.unknown_resend_seconds),
        )
        self.retrying = Retrying(snapshots, router)
        self.report_ids = ReportIds(snapshots)
        self.long_reports = LongReports(router.fleet)
        self._report_wait = timedelta(hours=durability.report_wait_hours)
        self.open_for = durability.open_for
        """From acceptance until nothing can be open any more."""
        self.resend_within = durability.resend_within
        """From acceptance until an operator may have a part sent again whose outcome is unknown."""
        self._told: dict[str, set[int]] = {"report": set(), "mo": set()}
        """Accounts with new events in the transaction under way."""
        self._writer: Batcher[Item, Applied | SmsgwError] = Batcher(
            "outcomes",
            dsn,
            self._commit,
            max_batch=2000,
            limit=MAX_WAITING,
            interval=COMMIT_INTERVAL,
            after_commit=self._notify,
            parking=Parking(node),
        )
        self.tally = Tally()
        self.stages = Stages()

    async def start(self) -> None:
        """Connect the writer."""
        await self._writer.start()

    async def stop(self) -> None:
        """Commit what waits."""
        await self._writer.stop()

    async def drain(self) -> None:
        """Returns when everything submitted so far is committed."""
        await self._writer.drain()

    @property
    def full(self) -> bool:
        """Links stop reading while this is true: what carriers send waits with them."""
        return self._writer.full

    @property
    def roomy(self) -> bool:
        """Links that have stopped may read again."""
        return self._writer.waiting <= ROOM_AGAIN

    @property
    def outage(self) -> float:
        """Seconds for which nothing could be committed; 0 while all is well."""
        return self._writer.outage

    @property
    def waiting(self) -> int:
        """Items that are not committed yet."""
        return self._writer.waiting

    @property
    def conflicts(self) -> int:
        """Commits that were repeated after a deadlock or a serialization failure."""
        return self._writer.conflicts

    @property
    def parked(self) -> int:
        """Facts that this node has laid aside."""
        return self._writer.parked

    # --- what channels say -------------------------------------------------------------------------------------

    def answered(self, outcomes: list[Outcome], policy: UnknownPolicy) -> None:
        """Outcomes of a channel whose own policy for lost answers is ``policy``. Journal first, then the database."""
        known = [o for o in outcomes if o.kind is not OutcomeKind.UNKNOWN and o.kind is not OutcomeKind.UNSENT]
        if known:
            self._journal.answer(known)
            failpoints.reach("answer.recorded")
        now = self._now()
        for outcome in outcomes:
            answer = Answer(outcome, now, self._next_at(outcome, now), policy)
            self._submit(answer, (outcome,))

    def unsent(self, outcomes: list[Outcome]) -> None:
        """Claimed parts that were certainly never written: whole messages go back to their pool, others stay with
        their channel, because a part of the same message may have been written there."""
        now = self._now()
        for _, group in groupby(sorted(outcomes, key=lambda o: (o.id, o.part)), key=lambda o: o.id):
            message = tuple(group)
            self._submit(GivenBack(message, now), message)

    def _submit(self, item: Item, outcomes: tuple[Outcome, ...]) -> asyncio.Future[Any]:
        keys = [(o.id, o.part, o.attempt) for o in outcomes]
        done = self._writer.submit(item)
        done.add_done_callback(lambda done: self._settled(keys, done))
        return done

    def _settled(self, keys: list[Key], done: asyncio.Future[Any]) -> None:
        if done.cancelled() or done.exception() is not None or done.result() == PARKED:
            return  # stays open in the journal: the next start reads it, and nobody takes it for never written
        self._journal.settled(keys)

    def report(self, report: Report) -> asyncio.Future[Any]:
        """Done when the report is durable: only then may the carrier be answered."""
        return self._writer.submit(report)

    def inbound(self, inbound: Inbound) -> asyncio.Future[Any]:
        """Done when the inbound message is durable: only then may the carrier be answered."""
        account, extend_code = self._snapshots.current.numbering.owner_of(inbound.to_code, inbound.channel_id)
        return self._writer.submit(Arrived(inbound, account.id if account else None, extend_code))

    def again(self, fact: Answer | GivenBack | Report | Arrived) -> asyncio.Future[Any]:
        """A fact that had been laid aside; the result is ``parking.PARKED`` when it was refused again."""
        match fact:
            case Answer(outcome=outcome):
                return self._submit(fact, (outcome,))
            case GivenBack(outcomes=outcomes):
                return self._submit(fact, outcomes)
            case _:
                return self._writer.submit(fact)

    async def sweep(self, sweep: Sweep) -> int:
        """Run a sweep in the writer's order; how many parts it changed.

        ``STORAGE_UNAVAILABLE`` when it was under way as the database went: it may or may not have been applied.
        """
        result = await self._writer.put(sweep)
        return result if isinstance(result, int) else 0

    def _next_at(self, outcome: Outcome, now: datetime) -> datetime | None:
        if outcome.kind is OutcomeKind.ACCEPTED:
            return now + self._report_wait
        if outcome.kind is OutcomeKind.DEFERRED:
            return now + timedelta(seconds=outcome.delay)
        return None

    # --- the transaction ---------------------------------------------------------------------------------------

    async def _commit(self, connection: Connection, items: list[Item], again: bool) -> list[Applied | SmsgwError]:
        """Guarded updates throughout: a repeat (``again``) of a committed batch changes nothing.

        Sweeps are not repeated: they come round again by themselves, and one that is too slow for a transaction must
        not keep answers and reports from being stored.
        """
        now = self._now()
        tally = Tally()
        answers = [i for i in items if isinstance(i, Answer)]
        given = [i for i in items if isinstance(i, GivenBack)]
        reports = [i for i in items if isinstance(i, Report)]
        arrived = [i for i in items if isinstance(i, Arrived)]
        sweeps = [] if again else [i for i in items if isinstance(i, Sweep)]
        events: list[Event] = []
        rematches = [i for i in items if isinstance(i, Rematch)]

        changed, pinned = await store.commit_given_back(connection, given)
        back = sorted({row["id"] for row in changed if row["state"] == PartState.QUEUED})
        # Their account may have been given to another channel while this one had them in hand.
        snapshot = self._snapshots.current
        await rerouting.follow(connection, snapshot.table, snapshot.pools, back, now)
        answers += pinned
        answers, retried, said = await self.retrying.answers(connection, answers, now)
        events += said
        rows, early = await store.commit_answers(connection, answers, tally, self._patience)
        early += await self.long_reports.told_before(connection, rows, now)
        events += [(row["id"], now, row["part"], "never_written", "{}") for row in changed]
        events += self._answer_events(answers, rows)
        changed += rows
        if reports or early:
            found, again_rows, said = await self._match(connection, [*early, *reports], tally, now)
            retried += again_rows
            events += said
            changed += found
            waited = {(r.channel_id, r.carrier_id) for r in early}
            events += [
                (row["id"], now, row["part"], "early_report", "{}")
                for row in found
                if (row["channel_id"], row["carrier_id"]) in waited
            ]
        lost = [row for row in rows if row["state"] == PartState.UNKNOWN]
        if lost:
            changed_too, again_rows, said = await self._look_again(connection, lost, tally, now)
            changed += changed_too
            retried += again_rows
            events += said
        for rematch in rematches:
            parked = await reportids_store.take(connection, rematch.channel_id, rematch.most, since=rematch.since)
            before = tally.unmatched_reports
            found, again_rows, said = await self._match(connection, parked, tally, now)
            rematch.found = len(parked) - (tally.unmatched_reports - before)
            tally.unmatched_reports = before
            changed += found
            retried += again_rows
            events += said
        for rehome in (i for i in items if isinstance(i, Rehome)):
            taken = await reportids_store.take_home(connection, rehome.homes)
            found, again_rows, said = await self._match(connection, [report for _, report in taken], tally, now)
            rehome.found = len(taken)
            changed += found
            retried += again_rows
            events += said
            events += [
                (home.part.id, now, home.part.part, "rematched", json.dumps({"rule": home.rule})) for home, _ in taken
            ]
        swept: dict[int, int] = {}
        for sweep in sweeps:
            rows = await sweep.run(connection, now)
            swept[id(sweep)] = len(rows)
            changed += rows
            detail = json.dumps(sweep.detail, ensure_ascii=False)
            events += [
                (row["id"], now, row["part"], sweep.kinds[row["state"]], detail)
                for row in rows
                if row["state"] in sweep.kinds
            ]
        effects = Effects(
            connection, self._node, self._ids.next, snapshot.hooks.callbacks, snapshot.settings.optout_words,
            self._numbers.note,
            changed=changed, retried=retried, reports=reports, arrived=arrived, trace=events,
        )  # fmt: skip
        await follow_up(effects)
        for kind, accounts in effects.told.items():
            self._told[kind] |= accounts
        self._account_for(tally)
        self.stages.note(changed)
        away = Temporary("STORAGE_UNAVAILABLE", retry_after=2, reason=phrase("storage.cut_off"))
        return [swept.get(id(item), away) if isinstance(item, Sweep) else len(changed) for item in items]

    async def _match(
        self, connection: Connection, reports: Sequence[Report], tally: Tally, now: datetime
    ) -> tuple[list[Row], list[Row], list[Event]]:
        """Find the parts of reports: under the channel's own spelling, as they stand, or under one just learned.

        The changed parts, those that are tried again, and the events.
        """
        recent, newest = first_id(now - RECENT), self._ids.newest(now)
        oldest = first_id(now - self.open_for - LATE_REPORTS)
        changed: list[Row] = []
        retried: list[Row] = []
        events: list[Event] = []

        async def match(some: Sequence[Report]) -> list[Report]:
            some = await self.long_reports.with_siblings(connection, some, oldest=oldest, newest=newest)
            rest, again, said = await self.retrying.reports(connection, some, now, oldest=oldest, newest=newest)
            rows, unmatched = await store.match_reports(
                connection, rest, tally, recent=recent, oldest=oldest, newest=newest
            )
            changed.extend(rows)
            retried.extend(again)
            events.extend(said)
            return unmatched

        as_said: dict[tuple[int, str], Report] = {}
        respelled = []
        for report in reports:
            other = self.report_ids.respelled(report)
            if other is not report:
                as_said[other.channel_id, other.carrier_id] = report
            respelled.append(other)
        unmatched = await match(respelled)
        plain = [r for r in unmatched if (r.channel_id, r.carrier_id) in as_said]
        if plain:
            left = await match([replace(r, carrier_id=as_said[r.channel_id, r.carrier_id].carrier_id) for r in plain])
            unmatched = [r for r in unmatched if (r.channel_id, r.carrier_id) not in as_said]
            unmatched += [self.report_ids.respelled(r) for r in left]
        new = await self.report_ids.learn(connection, unmatched, oldest=oldest) if unmatched else set()
        if new:
            waiting = [r for r in unmatched if r.channel_id in new]
            for channel_id in new:
                waiting += await reportids_store.take(connection, channel_id, REMATCH)
            unmatched = [r for r in unmatched if r.channel_id not in new]
            unmatched += await match([self.report_ids.respelled(r) for r in waiting])
        told, unmatched, said = await references.find(connection, unmatched, now, oldest=oldest, newest=newest)
        events += said
        if told:
            unmatched += await match(told)
        await store.park(connection, unmatched, tally)
        return changed, retried, events

    async def _look_again(
        self, connection: Connection, lost: Sequence[Row], tally: Tally, now: datetime
    ) -> tuple[list[Row], list[Row], list[Event]]:
        """Parts have become UNKNOWN: a report under a strange id that came before may be about one of them."""
        parked = await references_store.waiting(connection, lost)
        before = tally.unmatched_reports
        found = await self._match(connection, parked, tally, now) if parked else ([], [], [])
        tally.unmatched_reports = before  # they were counted when they came
        return found

    async def rematch(
        self, channel_id: int | None = None, *, since: datetime = reportids_store.EVER, most: int = REMATCH
    ) -> int:
        """Look again at the unmatched reports of a channel, or of all; how many have found their part."""
        item = Rematch(channel_id, since, most)
        await self._writer.put(item)
        return item.found

    async def rehome(self, homes: Sequence[reportids_store.Home]) -> int:
        """Put unmatched reports to the parts that they are about; how many: not those whose part waits no more."""
        item = Rehome(homes)
        await self._writer.put(item)
        return item.found

    def _notify(self) -> None:
        for kind, accounts in self._told.items():
            self._hub.notify(accounts, kind)
            accounts.clear()

    def _account_for(self, tally: Tally) -> None:
        self.tally.stale_answers += tally.stale_answers
        self.tally.duplicate_reports += tally.duplicate_reports
        self.tally.unmatched_reports += tally.unmatched_reports
        if tally.stale_answers or tally.unmatched_reports:
            sparing.info(
                "outcomes.unusual", None, stale_answers=tally.stale_answers, unmatched_reports=tally.unmatched_reports
            )

    @staticmethod
    def _answer_events(answers: list[Answer], rows: list[Row]) -> list[Event]:
        """What is out of the ordinary among applied answers."""
        unusual = [a for a in answers if a.outcome.kind in (OutcomeKind.UNKNOWN, OutcomeKind.UNSENT)]
        applied = {(row["id"], row["part"]) for row in rows} if unusual else ()
        events = []
        for answer in unusual:
            o = answer.outcome
            if (o.id, o.part) not in applied:
                continue
            if o.kind is OutcomeKind.UNKNOWN:
                events.append((o.id, answer.at, o.part, "unknown", json.dumps({"reason": o.code})))
            elif o.kind is OutcomeKind.UNSENT:
                events.append((o.id, answer.at, o.part, "never_written", "{}"))
        return events
