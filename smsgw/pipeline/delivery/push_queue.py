"""Pushing to one endpoint: what is due is taken in order, called out, and its fate written down.

An endpoint has its own few calls at a time and nothing else; while a receiver hangs or refuses, what is held for it
here is one event, and no connection to the database. Events of a message go one after the other: while one is under
way, or waits for its next try, later ones wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from urllib.parse import urlsplit

import structlog

from smsgw.core import push_format, webhooks
from smsgw.core.errors import SmsgwError
from smsgw.core.queue_cursors import Stretch
from smsgw.core.webhooks import FAILING_AFTER, Endpoint, Wrong
from smsgw.pipeline.delivery.destinations import Destinations
from smsgw.pipeline.delivery.event_heads import EventHead
from smsgw.pipeline.delivery.push_http import Answer
from smsgw.runtime import aio, failpoints
from smsgw.store.engine.leases import Lease
from smsgw.store.messages.events import Found
from smsgw.store.messages.pushing import Attempt, Due, Result, Said, Tried

log = structlog.get_logger(__name__)

HOST_CALLS = 2
"""``callback_url``: calls under way to one host of an account."""
TAKEN = 100
"""Events that are taken at once, at least, while all is well."""
DEAR, REST, REST_AT_MOST = 0.05, 3, 2.0
"""A look that took longer (seconds) is rested after, so many times as long but not longer than so many seconds."""
SUM_EVERY = timedelta(minutes=1)
"""Successful calls are recorded as sums of so long."""
GONE = 410


class Services(Protocol):
    """What all queues of a node share."""

    destinations: Destinations

    def now(self) -> datetime: ...
    def chance(self) -> float: ...
    def new_id(self) -> int: ...
    def room(self, wanted: int) -> int: ...
    def holds(self, change: int) -> None: ...
    async def due(
        self,
        endpoint: Endpoint,
        kind: str,
        limit: int,
        *,
        primary: bool,
        under_way: list[int],
        busy: list[str],
        within: Stretch,
    ) -> Found[Due]: ...
    async def call(self, endpoint: Endpoint, call: push_format.Call) -> Answer: ...
    async def write(self, result: Result) -> None: ...
    async def bring_forward(self, endpoint: Endpoint, host: str | None) -> None: ...
    async def disable(self, endpoint: Endpoint, reason: str) -> None: ...


@dataclass(slots=True)
class _Lane:
    """How calls to one host go."""

    failures: int = 0
    """In a row."""
    since: datetime | None = None
    """The first of them."""
    until: datetime | None = None
    """Left alone until then."""
    calls: int = 0


@dataclass(slots=True)
class _Batch:
    """Events of one kind that go together."""

    kind: str
    url: str
    host: str
    events: list[Due]
    settled: bool = False
    """What became of it is written down."""


@dataclass(slots=True)
class _Sum:
    """Successful calls since the last record."""

    since: datetime
    calls: int = 0
    events: int = 0
    first_event: int = 0
    status: int = 0
    ms: int = 0


class PushQueue:
    """The events of one endpoint, on the node that holds its lease."""

    def __init__(self, endpoint: Endpoint, lease: Lease, services: Services) -> None:
        self.endpoint = endpoint
        self.lease = lease
        self.kinds: tuple[str, ...] = ()
        self.primary = True
        self._services = services
        self._news: dict[str, None] = {}
        self._again: dict[str, None] = {}
        """Kinds of which something was left because its host could take no more."""
        self._stock: deque[_Batch] = deque()
        self._under_way: set[int] = set()
        self._lanes: dict[str, _Lane] = {}
        self._sum = _Sum(services.now() - SUM_EVERY)  # the first success is recorded at once
        self._freed = asyncio.Event()
        self._heads: dict[str, EventHead] = {}
        self._looked = 0.0
        """Seconds that the last look for events took, when that was much."""
        self._runner: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.closed = False
        self.delivered = 0
        self.calls_failed = 0
        self.last_error = ""
        self.waiting = 0
        self.oldest: int | None = None

    # --- being told --------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing is under way and nothing is about to be looked at."""
        return self._runner is None and self._timer is None and not self._tasks

    @property
    def resting(self) -> bool:
        """It has to be told when there is something to do."""
        return self._runner is None and self._timer is None

    @property
    def in_flight(self) -> int:
        """Events whose fate is not written down yet."""
        return len(self._under_way)

    @property
    def failures(self) -> int:
        """In a row, of the host that does worst."""
        return max((lane.failures for lane in self._lanes.values()), default=0)

    def head(self, kind: str) -> EventHead:
        """Where events of the kind are looked for."""
        if (head := self._heads.get(kind)) is None:
            head = self._heads[kind] = EventHead(self._services.now)
        return head

    def poke(self, kind: str, *, at_once: bool = False) -> None:
        """There may be new events of the kind. They wait a moment for others, unless ``at_once``."""
        if self.closed or kind not in self.kinds:
            return
        self._news[kind] = None
        if self._runner is not None:
            self._freed.set()
            return
        linger = self.endpoint.options.linger_ms / 1000
        if at_once or not linger:
            self._launch()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(linger, self._launch)

    def _launch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._runner is None and not self.closed:
            self._runner = aio.spawn(self._run(), name=f"push.{self.endpoint.id}")

    async def close(self, *, patience: float = 0.0) -> None:
        """Take nothing more; calls under way may end within ``patience`` seconds. What is cut off is pushed again by
        whoever pushes next."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await aio.cancel(self._runner)
        if self._tasks and patience:
            await asyncio.wait(self._tasks, timeout=patience)
        await aio.cancel(*self._tasks)
        self._forget_stock()
        if self._sum.calls:
            try:
                async with asyncio.timeout(5):
                    await self._services.write(Result(self._services.now(), attempts=(self._summed(),)))
            except (SmsgwError, TimeoutError):
                log.info("push.sum_lost", endpoint=self.endpoint.label)

    # --- taking ------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while not self.closed:
                if not self.lease.still_mine():  # the next look finds what waits, once the lease is renewed
                    self._forget_stock()
                    break
                if len(self._tasks) >= self._slots():
                    self._freed.clear()
                    await self._freed.wait()
                elif self._stock:
                    self._start(self._stock.popleft())
                elif self._news:
                    if self._looked:  # what comes meanwhile needs no look of its own
                        await asyncio.sleep(min(REST * self._looked, REST_AT_MOST))
                    kind = next(iter(self._news))
                    del self._news[kind]
                    await self._take(kind)
                else:
                    break
        except SmsgwError as exc:  # the database is away; the next look finds what waits
            log.debug("push.put_off", endpoint=self.endpoint.label, error=exc.code)
        finally:
            self._runner = None

    def _slots(self) -> int:
        if not self.endpoint.callback and self.failures >= FAILING_AFTER:
            return 1
        return self.endpoint.options.concurrency

    async def _take(self, kind: str) -> None:
        now = self._services.now()
        options = self.endpoint.options
        busy: list[str] = []
        if self.endpoint.callback:
            busy = [host for host, lane in self._lanes.items() if not self._may(lane, now)]
            limit = max(TAKEN, options.concurrency * options.max_items)
        else:
            lane = self._lane(self._host(self.endpoint.url))
            if lane.until is not None and now < lane.until:
                return
            limit = 1 if lane.failures >= FAILING_AFTER else max(TAKEN, options.concurrency * options.max_items)
        limit = self._services.room(limit)
        under_way = sorted(self._under_way)

        async def find(within: Stretch, most: int) -> Found[Due]:
            return await self._services.due(
                self.endpoint, kind, most, primary=self.primary, under_way=under_way, busy=busy, within=within
            )

        begun = asyncio.get_running_loop().time()
        try:
            due = await self.head(kind).look(limit, find)
        finally:  # also of one that took too long
            took = asyncio.get_running_loop().time() - begun
            self._looked = took if took > DEAR else 0.0
        if self.closed:
            return
        for batch in self._cut(kind, due.events):
            self._stock.append(batch)
            self._hold(batch.events)
        if len(due) >= limit:
            self._news[kind] = None

    def _cut(self, kind: str, due: list[Due]) -> list[_Batch]:
        """Batches in order; of a message at most one event, of a failing host one event altogether."""
        most = self.endpoint.options.max_items
        batches: list[_Batch] = []
        filling: dict[str, _Batch] = {}
        messages: set[int] = set()
        for one in due:
            if one.message_id in messages:
                self._leave(kind, one.id)
                continue
            url = one.target or self.endpoint.url
            batch = filling.get(url)
            host = batch.host if batch is not None else self._host(url)
            if self._lane(host).failures >= FAILING_AFTER and any(b.host == host for b in batches):
                self._leave(kind, one.id)
                continue
            if (
                batch is None
                or batch.events[0].tries != one.tries
                or len(batch.events) >= webhooks.batch_limit(most, one.tries)
            ):
                batch = filling[url] = _Batch(kind, url, host, [])
                batches.append(batch)
            messages.add(one.message_id)
            batch.events.append(one)
        return batches

    def _hold(self, events: list[Due]) -> None:
        self._under_way.update(e.message_id for e in events)
        self._services.holds(len(events))

    def _let_go(self, events: list[Due]) -> None:
        self._under_way.difference_update(e.message_id for e in events)
        self._services.holds(-len(events))

    def _forget_stock(self) -> None:
        while self._stock:
            batch = self._stock.popleft()
            self._let_go(batch.events)
            self._leave(batch.kind, batch.events[0].id)

    def _leave(self, kind: str, id_: int) -> None:
        """What was found there can go only later."""
        self.head(kind).back(id_)
        self._again[kind] = None

    @staticmethod
    def _host(url: str) -> str:
        return urlsplit(url).netloc

    def _lane(self, host: str) -> _Lane:
        lane = self._lanes.get(host)
        if lane is None:
            lane = self._lanes[host] = _Lane()
        return lane

    def _may(self, lane: _Lane, now: datetime) -> bool:
        if lane.until is not None and now < lane.until:
            return False
        if lane.failures >= FAILING_AFTER:
            return lane.calls == 0
        return not self.endpoint.callback or lane.calls < HOST_CALLS

    # --- calling -----------------------------------------------------------------------------------------------

    def _start(self, batch: _Batch) -> None:
        lane = self._lane(batch.host)
        too_many = lane.failures >= FAILING_AFTER and len(batch.events) > 1
        if too_many or not self._may(lane, self._services.now()):
            self._let_go(batch.events)
            self._leave(batch.kind, batch.events[0].id)
            return
        lane.calls += 1
        task = aio.spawn(self._push(batch, lane), name=f"push.{self.endpoint.id}.call")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, batch, lane))

    def _ended(self, task: asyncio.Task[None], batch: _Batch, lane: _Lane) -> None:
        self._tasks.discard(task)
        self._let_go(batch.events)
        if not batch.settled:
            self.head(batch.kind).back(batch.events[0].id)
        lane.calls -= 1
        if not lane.calls and not lane.failures and lane.until is None:
            self._lanes.pop(batch.host, None)
        self._news |= self._again
        self._again = {}
        self._freed.set()
        if self._news and self._runner is None:
            self._launch()

    async def _push(self, batch: _Batch, lane: _Lane) -> None:
        services, endpoint = self._services, self.endpoint
        if not self.lease.still_mine():
            return
        now = services.now()
        ids = [e.id for e in batch.events]
        try:
            services.destinations.check(endpoint, batch.url)
        except Wrong as exc:
            if not endpoint.callback:
                await services.disable(endpoint, f"{exc}")
                return
            answer = Answer(False, GONE, 0, f"callback_url: {exc.reason.english}")
        else:
            type_ = webhooks.type_of(batch.kind)
            items = [e.item for e in batch.events]
            failpoints.reach("push.claimed")
            call = push_format.build(endpoint, batch.url, type_, items, push_format.webhook_id(ids), now)
            answer = await services.call(endpoint, call)
            failpoints.reach("push.sent")
        try:
            if answer.ok:
                await self._succeeded(batch, lane, answer)
            else:
                await self._failed(batch, lane, answer)
            batch.settled = True
        except SmsgwError as exc:  # the node stops: whoever pushes next pushes it again
            log.info("push.unwritten", endpoint=endpoint.label, events=len(ids), error=exc.code)

    async def _succeeded(self, batch: _Batch, lane: _Lane, answer: Answer) -> None:
        services = self._services
        now = services.now()
        was_failing = lane.failures >= FAILING_AFTER
        lane.failures, lane.since, lane.until = 0, None, None
        total = self._sum
        if not total.calls:
            total.first_event = batch.events[0].id
        total.calls += 1
        total.events += len(batch.events)
        total.status = answer.status
        total.ms = max(total.ms, answer.ms)
        attempts: tuple[Attempt, ...] = ()
        said: Said | None = None
        if was_failing or now - total.since >= SUM_EVERY:
            attempts = (self._summed(),)
            said = self._said(now)
        self.delivered += len(batch.events)
        await services.write(Result(now, tuple(e.id for e in batch.events), attempts=attempts, said=said))
        if was_failing:
            log.info("push.recovered", endpoint=self.endpoint.label)
            try:
                await services.bring_forward(self.endpoint, batch.host if self.endpoint.callback else None)
            except SmsgwError:
                lane.failures = FAILING_AFTER  # the next success does it
                raise
            self._news |= dict.fromkeys(self.kinds)

    def _summed(self) -> Attempt:
        now, total = self._services.now(), self._sum
        self._sum = _Sum(now)
        return Attempt(
            self._services.new_id(), self.endpoint.id, now, total.calls, total.events, total.first_event,
            total.status, total.ms,
        )  # fmt: skip

    async def _failed(self, batch: _Batch, lane: _Lane, answer: Answer) -> None:
        services, endpoint = self._services, self.endpoint
        now = services.now()
        self.calls_failed += 1
        self.last_error = answer.problem
        attempt = Attempt(
            services.new_id(), endpoint.id, now, 1, len(batch.events), batch.events[0].id, answer.status,
            answer.ms, answer.problem,
        )  # fmt: skip
        if answer.status == GONE and not endpoint.callback:
            await services.write(Result(now, attempts=(attempt,)))
            await services.disable(endpoint, "HTTP 410")
            return
        lane.failures += 1
        lane.since = lane.since or now
        wait = min(answer.retry_after, webhooks.MAX_RETRY_AFTER)
        pause = max(wait, webhooks.probe_delay(lane.failures, services.chance()))
        lane.until = now + timedelta(seconds=pause) if pause else None
        if lane.failures >= FAILING_AFTER:
            self._forget_stock()
        tried = tuple(self._next(e, now, wait, answer) for e in batch.events)
        said = self._said(now) if lane.failures == FAILING_AFTER else None
        log.info(
            "push.failed", endpoint=endpoint.label, events=len(batch.events), status=answer.status,
            problem=answer.problem, failures=lane.failures, dead=sum(t.next_at is None for t in tried),
        )  # fmt: skip
        await services.write(Result(now, tried=tried, attempts=(attempt,), said=said))

    def _next(self, event: Due, now: datetime, wait: float, answer: Answer) -> Tried:
        tries = event.tries + 1
        delay = webhooks.retry_delay(tries, self._services.chance())
        if answer.status == GONE:
            delay = None
        next_at = None if delay is None else now + timedelta(seconds=max(delay, wait))
        return Tried(event.id, tries, next_at, answer.problem)

    def _said(self, now: datetime) -> Said:
        """What people should know of it; ``now`` counts as a success while nothing fails."""
        failing = [lane for lane in self._lanes.values() if lane.failures >= FAILING_AFTER and lane.since]
        since = min((lane.since for lane in failing if lane.since), default=None)
        return Said(self.endpoint.id, since, self.last_error if failing else "", None if failing else now)

    async def settle_sum(self) -> None:
        """Record what has succeeded, if that is due."""
        now = self._services.now()
        if self._sum.calls and now - self._sum.since >= SUM_EVERY and not self.closed:
            await self._services.write(Result(now, attempts=(self._summed(),), said=self._said(now)))

    def refresh(self, endpoint: Endpoint, kinds: tuple[str, ...], primary: bool) -> None:
        """The configuration has changed."""
        if endpoint.url != self.endpoint.url:
            self._lanes.clear()
        self.endpoint, self.kinds, self.primary = endpoint, kinds, primary
        self._heads.clear()  # other events may be meant
        for kind in kinds:
            self.poke(kind, at_once=True)
