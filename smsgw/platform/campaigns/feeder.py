"""The feeder: one node at a time (under a lease) turns the rows of tasks into messages, shortly before their time.

Rows go through the one door for messages, a chunk a call, under ids of one block: the message of a row follows from
the row. In the transaction that stores a chunk the task's row is locked and its mark of what is fed moves on; what was
not committed has not happened, what was is never done again. Only so much is fed that a few thousand messages of a
task wait in the queue, so that a pause or a cancel has little to take back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary
from smsgw.core.fallback import Follow, chain_of
from smsgw.core.ids import CHINA, IdSource, time_of
from smsgw.core.model import Account, MessageType, Origin
from smsgw.core.schedule import Hours
from smsgw.core.sent_links import LinkCode
from smsgw.core.stages import stage_of
from smsgw.core.tasks import Chunk, Recipient, Task
from smsgw.core.templates import Review
from smsgw.core.words import Wording, label
from smsgw.pipeline.accept.acceptor import Acceptor, SendItem, SendRequest
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.platform.campaigns.body_template import wording_of
from smsgw.platform.campaigns.chunk_guard import AsideGate, ChunkGuard
from smsgw.platform.campaigns.model import ACCOUNT_SHARE, AHEAD, GRACE, hours_of, recurrence_of, tagged_in
from smsgw.platform.campaigns.service import Tasks
from smsgw.platform.campaigns.stage_watch import Staging
from smsgw.platform.campaigns.staging import first_stage
from smsgw.platform.change import Change
from smsgw.platform.links.sending import Codes
from smsgw.runtime import clock, failpoints
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.database import Connection, Database
from smsgw.store.messages import task_aside, task_parts, tasks as store

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)
T = TypeVar("T")

RESOURCE = "tasks"
TICK = 0.25
LOOK_EVERY = 0.5
"""Seconds after which it is counted anew how many of a task's messages wait for a channel."""
CHUNK = 200
"""Rows in a call: some ten milliseconds of the event loop."""
CHUNK_BESIDE = 50
"""Beside other senders: what they post waits for a commit of so many."""
OTHERS_FOR = 2.0
"""Seconds after a call for which there are other senders."""
LONGEST_REST = 0.5
BACKLOG = 5000
"""Messages of a task that may wait for a channel."""
ALL_BACKLOG = 40_000
LEAST_BACKLOG = 400
ROWS_READ = 1000
"""Rows of a task in memory."""
AT_ONCE = 8
"""Tasks with a chunk on its way."""
MAX_LIVE = 2000
"""Tasks that are looked after at the same time; further ones wait."""
RATE_AHEAD = timedelta(seconds=2)
"""A task with a rate of its own is fed this far ahead once it has begun."""
RECONCILE_EVERY = 30.0
COUNT_EVERY = 1.0
COUNTED = 50
"""Chunks counted anew at a time, of all tasks with messages under way."""
PATIENCE_MOST = 30.0
LOOK_AGAIN = timedelta(seconds=30)
"""After a refusal of which only the door knows when it ends."""
SOON = timedelta(seconds=1)
"""After one that this node will have heard of by then."""
LOOK_ASIDE_EVERY = 1.0
"""Seconds between looks at rows without a channel, while there is none."""
ROUTE_RETRY = timedelta(seconds=10)
"""After which the same rows are tried again."""
ROUTE_PATIENCE = timedelta(hours=24)
"""After which they are refused: as long as a message may wait for a channel."""
_OF_THE_TASK = frozenset({"EXTEND_CODE_INVALID"})
"""What is wrong with all rows alike, though each has a text of its own: the task waits for somebody."""
BURST = 0.5
"""Seconds of that rate that may be made up for."""
AFTER_FAILURE = 5.0
"""Seconds until a task is looked at again with which something was wrong that nobody has thought of."""
MOST_AWAY = 5
"""Tasks of a round for which the database may be away, or slow, until it is taken for an outage of all."""


@dataclass
class _Feed:
    """What the feeder remembers of a task; lost with the process, and nothing with it."""

    rows: list[Recipient] = field(default_factory=list)
    rows_at: tuple[int, int] = (0, 0)
    """Run and the row that ``rows`` follow."""
    unclaimed: int = 0
    counted: float = float("-inf")
    not_before: float = 0.0
    """After a refusal that passes."""
    most: int = CHUNK
    """Rows of a call: fewer for a while when one among them has spoilt it for all."""
    link: tuple[int, int, int] | None = None
    """Run, short link, and which of its codes the first row has; None: not read yet."""
    aside_after: float = 0.0
    """When rows that were put aside are looked for again."""
    failed: float = float("-inf")
    """When it could not be looked at."""


class Feeder:
    """Feeds all tasks while this node holds the lease."""

    def __init__(
        self,
        database: Database,
        tasks: Tasks,
        acceptor: Acceptor,
        *,
        ids: IdSource,
        snapshots: Snapshots,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._database = database
        self._tasks = tasks
        self._acceptor = acceptor
        self._ids = ids
        self._snapshots = snapshots
        self._now = now
        self.staging = Staging(database, tasks, now=now)
        self._feeds: dict[int, _Feed] = {}
        self._paced: dict[int, float] = {}
        """When the next chunk of an account may come; only accounts that exist are in it."""
        self._reconciled = float("-inf")
        self._counted = float("-inf")
        self._count_after = 0
        self._end_after = 0
        self._away = 0
        """Tasks of this round for which the database was away."""
        self.fed = 0
        """Rows that this process has fed."""

    def periodics(self) -> Sequence[Periodic]:
        """What comes round, on the node that has the lease."""
        return (
            Periodic(
                "tasks.feeder", TICK, self.step, exclusive=RESOURCE, taken=self._begin_anew, wake=self._tasks.wake
            ),
        )

    def _begin_anew(self) -> None:
        """Another node may have fed meanwhile."""
        self._feeds.clear()
        self._reconciled = float("-inf")

    @property
    def _beside_others(self) -> bool:
        """Somebody else posts messages, and waits for the answers."""
        return time.monotonic() - self._acceptor.called < OTHERS_FOR

    async def _rest(self, worked: float) -> None:
        """Beside others half of the time is theirs: they wait for the loop and for the commits."""
        if self._beside_others:
            await asyncio.sleep(min(LONGEST_REST, worked))

    async def _apart(self, task_id: int, work: Awaitable[T], otherwise: T, feed: _Feed | None = None) -> T:
        """What is wrong with one task keeps no other one from its turn: it is said, and a ``feed`` is left for a while.
        An outage is of all, and raised once so many have met it."""
        try:
            return await work
        except Exception as exc:  # a supervisor: whatever it is, it is of this task alone
            if isinstance(exc, Temporary):
                self._away += 1
                if self._away >= MOST_AWAY:
                    raise
            reason = str(exc) if isinstance(exc, SmsgwError) else type(exc).__name__
            sparing.error("task.failed", (task_id, type(exc)), task=task_id, reason=reason, exc_info=exc)
            if feed is not None:
                feed.failed = time.monotonic()
            return otherwise

    async def step(self) -> bool:
        """One round over all live tasks; whether anything was fed."""
        monotonic = time.monotonic()
        self._away = 0
        if monotonic - self._reconciled >= RECONCILE_EVERY:
            self._reconciled = monotonic
            await self._reconcile()
        now = self._now()
        live = await self._live(now)
        if monotonic - self._counted >= COUNT_EVERY:
            self._counted = monotonic
            await self._count()
        self._feeds = {t.id: self._feeds.get(t.id) or _Feed() for t in live}
        ready = []
        for task in live:
            feed = self._feeds[task.id]
            if monotonic - feed.failed >= AFTER_FAILURE:
                found = await self._apart(task.id, self._prepare(task, now), None, feed)
                ready += [] if found is None else [found]
        at_once = 1 if self._beside_others else AT_ONCE
        share = max(LEAST_BACKLOG, min(BACKLOG, ALL_BACKLOG // max(1, len(ready))))
        fed = 0
        for at in range(0, len(ready), at_once):
            begun = time.monotonic()
            results = await asyncio.gather(
                *(self._apart(t.id, self._feed(t, share, now), 0, self._feeds[t.id]) for t in ready[at : at + at_once])
            )
            fed += sum(results)
            if any(results):
                await self._rest(time.monotonic() - begun)
        self.fed += fed
        return fed > 0

    async def _live(self, now: datetime) -> list[Task]:
        found: list[Task] = []
        while len(found) < MAX_LIVE:
            page = await store.live(self._database, now + AHEAD, after=found[-1].id if found else 0, limit=500)
            found += page
            if len(page) < 500:
                break
        return found

    # --- whether a task may be fed ---------------------------------------------------------------------------------

    async def _prepare(self, task: Task, now: datetime) -> Task | None:
        """The task when it may be fed now; begins, pauses and resumes it as the rules say."""
        account = self._snapshots.current.account(task.account_id)
        if account is None or account.halted:
            if task.state != "paused":
                await self._tasks.pause(self._rule(), task.id, reason="ACCOUNT_STOPPED", by_rule=True)
            return None
        hours = self._hours(task, account)
        if task.state == "paused":
            if _passed(task, now) and hours.open_until(now) is not None:
                await self._tasks.resume(self._rule(), task.id, by_rule=True)
            return None
        if task.steps is not None and task.state in ("running", "sent"):
            looked = await self.staging.look(task)
            if looked is None:
                return None
            task = looked
        if task.state == "sent" or (
            task.next_at is not None and task.next_at > now + AHEAD and task.state == "scheduled"
        ):
            if hours.open_until(now) is None:  # what is left in the queue waits, too
                await self._close(task, hours.next_open(now))
            return None
        if task.state == "scheduled":
            return await self._begin(task, now)
        due = max(now, task.due_at or now)
        if due - now <= AHEAD and hours.open_until(due if task.due_at and task.due_at > now else now) is None:
            if task.fed or task.due_at is None or task.due_at <= now:
                await self._close(task, hours.next_open(now))
            return None  # one that has not begun waits for its time first
        return task

    def _hours(self, task: Task, account: Account) -> Hours:
        """When it may send: by the policies of its account and type, and by its own windows."""
        policies = self._snapshots.current.policies
        return hours_of(task, policies.limits(account, MessageType(task.type), task.message_kind).hours)

    def _rule(self) -> Change:
        """What the rules want, not a person."""
        return Change(self._database, Actor.system("rule"))

    async def _close(self, task: Task, opens: datetime | None) -> None:
        """Its hours are over: it goes on by itself when they come again."""
        detail = {"type": str(label("type", task.type)), **_when(opens)}
        await self._tasks.pause(self._rule(), task.id, reason="TIME_WINDOW_CLOSED", detail=detail, by_rule=True)

    async def _begin(self, task: Task, now: datetime) -> Task | None:
        """The run that is due, if there is one."""
        try:
            return await self._begun(task, now)
        except Refused as exc:  # its link leads nowhere, or there is no room for another like it: somebody has to see
            await self._tasks.pause(self._rule(), task.id, reason=exc.code, detail=_detail(exc))
            log.warning("task.stopped", task=task.id, code=exc.code)
            return None

    async def _begun(self, task: Task, now: datetime) -> Task | None:
        assert task.next_at is not None  # noqa: S101 - that is how it was found
        async with self._database.transaction() as connection:
            current = await store.lock(connection, task.id)
            if current is None or current.state != "scheduled" or current.next_at != task.next_at:
                return None
            due, run, next_at = task.next_at, task.run, None
            if current.recurring is not None:
                rule = recurrence_of(current.recurring)
                latest, missed = rule.latest(due - timedelta(microseconds=1), max(now, due))
                assert latest is not None  # noqa: S101 - at least the one that is due
                if missed or latest < now - GRACE:
                    lost = latest if latest < now - GRACE else due
                    run += 1
                    await store.add_run(connection, task.id, run, lost, current.valid, now, missed=True)
                    log.warning("task.missed", task=task.id, due=lost.isoformat(), further=missed)
                next_at = rule.after(latest)
                if latest < now - GRACE:
                    await store.change(connection, task.id, **self._again(run, next_at), fed=0)
                    return None
                due = latest
            run += 1
            await store.add_run(connection, task.id, run, due, current.valid, max(now, due))
            if current.link_id is not None:
                await self._give_codes(connection, current, run, now)
            values: dict[str, Any] = {
                "state": "running", "run": run, "fed": 0, "next_at": next_at, "due_at": max(due, now), "reason": "",
                "started_at": task.started_at or max(now, due), "stages": first_stage(current),
            }  # fmt: skip
            await store.change(connection, task.id, **values)
        log.info("task.begun", task=task.id, run=run, due=due.isoformat())
        return replace(current, **values)  # it may have been edited since it was found

    async def _give_codes(self, connection: Connection, task: Task, run: int, now: datetime) -> None:
        """Each row of the run gets a code of the task's link, by its place, whatever becomes of the run."""
        assert task.link_id is not None  # noqa: S101 - it is asked before
        codes = await self._tasks.links.take_for_run(self._rule(), connection, task.link_id, task.valid, now)
        await store.give_codes(connection, task.id, run, codes.link.id, codes.first or 0)
        if codes.link.id != task.link_id:
            await store.change(connection, task.id, link_id=codes.link.id)

    async def _codes(self, task: Task, feed: _Feed) -> Codes | None:
        """Those of the run. ``LINK_NOT_ACTIVE``: its link leads nowhere any more."""
        if task.link_id is None:
            return None
        if feed.link is None or feed.link[0] != task.run:
            link_id, first = await store.codes_of(self._database, task.id, task.run)
            if not link_id:  # an older program has begun it
                async with self._database.transaction() as connection:
                    await self._give_codes(connection, task, task.run, self._now())
                link_id, first = await store.codes_of(self._database, task.id, task.run)
            feed.link = task.run, link_id, first
        return await self._tasks.links.given(feed.link[1], feed.link[2], self._now())

    @staticmethod
    def _again(run: int, next_at: datetime | None) -> dict[str, Any]:
        """What follows a run of a task that comes round again."""
        if next_at is None:
            return {"state": "sent", "run": run, "next_at": None, "due_at": None}
        return {"state": "scheduled", "run": run, "next_at": next_at, "due_at": None}

    # --- feeding ---------------------------------------------------------------------------------------------------

    async def _feed(self, task: Task, share: int, now: datetime) -> int:
        """Feed one chunk, if there is room for it; rows done with."""
        feed = self._feeds[task.id]
        clock = time.monotonic()
        if clock < feed.not_before:
            return 0
        account = self._snapshots.current.account(task.account_id)
        if account is None or self._paced.get(account.id, 0.0) > clock or await self._without_template(task, account):
            return 0
        due = task.due_at if task.due_at is not None and task.due_at > now else None
        if due is not None and task.rate and task.fed and due > now + RATE_AHEAD:
            return 0
        if task.expire_at is not None and max(now, due or now) >= task.expire_at:
            await self._end_feeding(task)
            return 0
        if clock - feed.counted >= LOOK_EVERY:
            feed.unclaimed = await self._unclaimed(task)
            feed.counted = clock
        if feed.unclaimed >= share:
            return 0
        aside = None
        if clock >= feed.aside_after:
            aside = await task_aside.due(self._database, task.id, task.run, now)
            feed.aside_after = clock + LOOK_ASIDE_EVERY
        if aside is not None:
            rows = (await task_aside.rows(self._database, aside))[: feed.most]
        else:
            rows = await self._next_rows(task, feed)
        if not rows:
            stage = stage_of(task.stages)
            if stage is not None and task.fed < task.valid and task.fed >= stage.end:
                return 0  # further rows are another stage's
            if await task_aside.any_left(self._database, task.id, task.run):
                return 0
            await self._end_feeding(task)
            return 0
        pace = len(rows) / max(1.0, account.rate * ACCOUNT_SHARE)
        self._paced[account.id] = max(self._paced.get(account.id, 0.0), clock - BURST) + pace
        following = due
        if task.rate:
            following = max(task.due_at or now, now) + timedelta(seconds=len(rows) / task.rate)
        if aside is not None:
            patient = now - time_of(aside.chunk.base_id) < ROUTE_PATIENCE
            gate: ChunkGuard = AsideGate(task, aside, rows, following, now + ROUTE_RETRY if patient else None)
        else:
            chunk = Chunk(task.id, task.run, rows[0].n, len(rows), self._ids.block(len(rows)))
            gate = ChunkGuard(task, chunk, rows, following, now + ROUTE_RETRY)
        return await self._send(task, feed, account, gate, due, now)

    async def _without_template(self, task: Task, account: Account) -> bool:
        """Its template is not approved any more: it waits for somebody, rather than that all its rows are refused."""
        if task.template_id is None:
            return False
        found = self._snapshots.current.policies.book.template((account.id, *account.above), task.template_id)
        if found is not None and found.state is Review.APPROVED:
            return False
        code = "TEMPLATE_NOT_FOUND" if found is None else "TEMPLATE_NOT_APPROVED"
        detail = {"id": str(task.template_id)}
        await self._tasks.pause(self._rule(), task.id, reason=code, detail=detail)
        return True

    async def _next_rows(self, task: Task, feed: _Feed) -> list[Recipient]:
        if feed.rows_at != (task.run, task.fed) or not feed.rows:
            feed.rows = await store.rows_after(self._database, task.id, task.fed, ROWS_READ)
            feed.rows_at = (task.run, task.fed)
        size = CHUNK_BESIDE if self._beside_others else CHUNK
        if task.rate:
            size = max(1, min(size, task.rate // 2))
        if (stage := stage_of(task.stages)) is not None:
            size = min(size, stage.end - task.fed)
        return feed.rows[: max(0, min(size, feed.most))]

    async def _send(
        self, task: Task, feed: _Feed, account: Account, gate: ChunkGuard, due: datetime | None, now: datetime
    ) -> int:
        rows = gate.rows
        try:
            written = _written(task, rows, await self._codes(task, feed))
        except SmsgwError as exc:
            return await self._refused(task, feed, account, gate, exc)
        request = SendRequest(
            account=account,
            items=tuple(
                SendItem(
                    "+" + row.number, one.content, "", task.ext if row.ext is None else row.ext, task.extend_code,
                    task.sign, task.template_id or 0, one.params, one.link,
                )
                for row, one in zip(rows, written, strict=True)
            ),
            type=MessageType(task.type),
            kind=self._snapshots.current.kinds.get(task.message_kind),
            origin=Origin.TASK,
            submitter=task.submitter,
            send_at=due,
            expire_at=self._expiry(task, due or now),
            callback_url=task.callback_url,
            emergency=task.emergency,
            tagged=tagged_in(task),
            follow=_follow(task, [one.said for one in written]) if task.fallback else None,
            prefer=task.prefer,
            reviewed=task.review,
            ids=gate.ids,
            gate=gate.given,
        )  # fmt: skip
        try:
            result = await self._acceptor.send(request)
            failpoints.reach("feed.committed")
            if not gate.marked:  # there was nothing to store but that
                await self._mark_refused(gate.given(result.items))
        except SmsgwError as exc:
            return await self._refused(task, feed, account, gate, exc)
        feed.not_before = 0.0
        feed.most = min(CHUNK, feed.most * 2)
        feed.unclaimed += result.accepted
        if isinstance(gate, AsideGate):
            if result.accepted:  # there is a channel again: the others need not wait for their turn
                feed.aside_after = 0.0
            return result.accepted
        feed.rows = feed.rows[len(rows) :]
        feed.rows_at = (task.run, rows[-1].n)
        return len(rows)

    @staticmethod
    def _expiry(task: Task, start: datetime) -> datetime | None:
        """The task's own end of validity, as far ahead as a message may have one."""
        return None if task.expire_at is None else min(task.expire_at, start + timedelta(days=6))

    async def _mark_refused(self, gate: ChunkGuard) -> None:
        async with self._database.transaction() as connection:
            shut = await gate.admit(connection)
            if shut is not None:
                raise shut
            await gate.mark(connection)

    async def _refused(self, task: Task, feed: _Feed, account: Account, was: ChunkGuard, exc: SmsgwError) -> int:
        """The door has refused a call as a whole: later, by somebody's hand, or one row alone."""
        feed.rows = []
        if isinstance(exc, Temporary) or exc.code == "STATE_CONFLICT":
            wait = 0.0 if exc.code == "STATE_CONFLICT" else min(PATIENCE_MOST, exc.retry_after or 1.0)
            feed.not_before = time.monotonic() + wait
            if exc.code in ("STORAGE_UNAVAILABLE", "STORAGE_UNCERTAIN") and task.reason != exc.code:
                await self._note(task, exc)
            return 0
        if isinstance(exc, Invalid) and exc.code not in _OF_THE_TASK and task.mapping.get("names"):
            # Each row has a text of its own.
            rows = was.rows
            if len(rows) > 1:
                feed.most = len(rows) // 2
                feed.aside_after = 0.0
                return 1
            row = rows[0]
            if isinstance(was, AsideGate):
                gate: ChunkGuard = AsideGate(task, was.was, rows, None, self._now())
            else:
                gate = ChunkGuard(task, Chunk(task.id, task.run, row.n, 1, 0), rows, task.due_at)
            gate.refused.append((row.line, row.n, row.number, exc.code, str(exc), 0))
            try:
                await self._mark_refused(gate)
            except SmsgwError:
                return 0
            return 1
        if exc.code == "TIME_WINDOW_CLOSED":
            opens = self._hours(task, account).next_open(self._now())
            if opens is not None and opens > self._now():
                await self._close(task, opens)
                return 0
        detail = _detail(exc)
        until = _until(exc, self._now())
        if until is not None:
            detail["until"] = until.isoformat()
        await self._tasks.pause(self._rule(), task.id, reason=exc.code, detail=detail, by_rule=until is not None)
        if until is None:
            log.warning("task.stopped", task=task.id, code=exc.code)
        return 0

    async def _note(self, task: Task, exc: SmsgwError) -> None:
        """Say why a running task waits."""
        async with self._database.transaction() as connection:
            current = await store.lock(connection, task.id)
            if current is not None and current.state == "running":
                await store.change(connection, task.id, reason=exc.code, detail={"message": str(exc)})

    async def _end_feeding(self, task: Task) -> None:
        """All rows of the run are done with, or their time is over."""
        async with self._database.transaction() as connection:
            current = await store.lock(connection, task.id)
            if current is None or current.state != "running" or (current.run, current.fed) != (task.run, task.fed):
                return
            await store.end_feeding(connection, task.id, task.run, task.fed)
            await store.change(connection, task.id, **self._again(task.run, task.next_at))
        log.info("task.fed", task=task.id, run=task.run, rows=task.fed)

    # --- counting --------------------------------------------------------------------------------------------------

    async def _unclaimed(self, task: Task) -> int:
        chunks = await task_parts.waiting_chunks(self._database, task.id, 2 * BACKLOG // CHUNK)
        return await task_parts.count(self._database, chunks, self._now(), settled=self._now() - timedelta(days=8))

    async def _count(self) -> None:
        """Count some chunks of some unfinished tasks anew, and finish runs that are over."""
        ids = await store.unfinished_tasks(self._database, after=self._count_after, limit=20)
        self._count_after = ids[-1] if len(ids) == 20 else 0
        for task_id in ids:
            await self._apart(task_id, self._tasks.count(task_id, None, max(2, COUNTED // len(ids)), stale=True), 0)
        ending = await store.ending_runs(self._database, after=self._end_after, limit=20)
        self._end_after = ending[-1][0] if len(ending) == 20 else 0
        for task_id, run in ending:
            await self._apart(task_id, self._tasks.finish(task_id, run), None)

    async def _reconcile(self) -> None:
        """Do again what a command may have left undone when its process died, and end holds that last too long."""
        after = 0
        while ids := await store.unfinished_tasks(self._database, after=after, limit=100):
            after = ids[-1]
            for task_id in ids:
                await self._apart(task_id, self._settle(task_id), None)

    async def _settle(self, task_id: int) -> None:
        await self._tasks.settle_queue(task_id)
        await self._tasks.end_long_holds(task_id)


@dataclass(frozen=True, slots=True)
class _Written:
    """What a row gets."""

    content: str
    params: Mapping[str, str] | None
    said: Mapping[str, str]
    link: LinkCode | None


def _written(task: Task, rows: Sequence[Recipient], codes: Codes | None) -> list[_Written]:
    """The text of each row, with the address of its own code where the text has a place for one."""
    text = wording_of(task)
    if codes is None:
        return [_Written(*text.parts(row.values), text.said(row.values) if task.fallback else {}, None) for row in rows]
    sample = replace(codes, first=None).at(0).address
    placed = {name: value for name, value in task.mapping.get("fixed", {}).items() if sample in value}
    made = []
    for row in rows:
        code = codes.at(row.n - 1)
        own = {name: value.replace(sample, code.address) for name, value in placed.items()}
        made.append(_Written(*text.parts(row.values, own), text.said(row.values, own) if task.fallback else {}, code))
    return made


def _detail(exc: SmsgwError) -> dict[str, Any]:
    """What is kept of why a task waits."""
    kept = {name: str(value) if isinstance(value, Wording) else value for name, value in exc.detail.items()}
    return {name: value for name, value in kept.items() if isinstance(value, str | int)}


def _follow(task: Task, values: Sequence[Mapping[str, str]]) -> Follow:
    """What follows the task's messages, with the values of the rows."""
    assert task.fallback is not None  # noqa: S101 - it is asked before
    return Follow(chain_of(task.fallback), task=(task.id, task.run), values=values)


def _when(opens: datetime | None) -> dict[str, str]:
    """When it goes on, for the feeder and for people."""
    if opens is None:
        return {}
    local = opens.astimezone(CHINA)
    return {"until": local.isoformat(), "time": f"{local:%Y-%m-%d %H:%M}"}


def _passed(task: Task, now: datetime) -> bool:
    """Whether a paused task has waited long enough. Its hours alone say so of one that they have closed: they may have
    been changed since."""
    until = task.detail.get("until")
    by_hours = task.reason == "TIME_WINDOW_CLOSED" and "time" in task.detail
    return by_hours or until is None or datetime.fromisoformat(until) <= now


def _until(exc: SmsgwError, now: datetime) -> datetime | None:
    """When a refusal passes by itself; None when somebody has to do something."""
    midnight = now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    if exc.code == "QUOTA_DAY_EXCEEDED":
        return midnight + timedelta(days=1)
    if exc.code in ("QUOTA_MONTH_EXCEEDED", "QUOTA_DEPARTMENT_EXCEEDED"):
        return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    if exc.code == "ACCOUNT_STOPPED":  # while it is, nothing of it goes on; the door only knew it first
        return now + SOON
    if exc.code in ("TIME_WINDOW_CLOSED", "ACCOUNT_NOT_BEGUN"):
        return now + LOOK_AGAIN
    return None
