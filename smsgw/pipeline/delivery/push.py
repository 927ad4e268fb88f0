"""Pushing events to customers' webhooks: which endpoints this node pushes, and what they share.

An endpoint is pushed by the node that holds its lease. Work is announced by the hub; what nobody tells it of here
(other nodes' events, tries that are due, a start) is found by a look every two seconds.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from smsgw.core import push_format, webhooks
from smsgw.core.actor import Actor
from smsgw.core.alarms import CRITICAL, WARNING, Finding
from smsgw.core.errors import Refused, SmsgwError
from smsgw.core.ids import IdSource, time_of
from smsgw.core.queue_cursors import REST, Stretch
from smsgw.core.webhooks import REPORT, Endpoint, EndpointState, Way, Wrong
from smsgw.core.wording_json import Heard, Moment
from smsgw.core.words import phrase
from smsgw.pipeline.delivery.destinations import Destinations
from smsgw.pipeline.delivery.push_http import Answer, Sender
from smsgw.pipeline.delivery.push_queue import PushQueue
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.runtime import clock
from smsgw.store.config import webhooks as store
from smsgw.store.engine import leases
from smsgw.store.engine.database import Database
from smsgw.store.engine.group_commit import Batcher
from smsgw.store.engine.rows import apart, each
from smsgw.store.messages import pushing
from smsgw.store.messages.events import Found
from smsgw.store.messages.pushing import Attempt, Due, Question, Result

log = structlog.get_logger(__name__)

PUSH = Actor.system("push")
"""Whom the audit log names for an endpoint that is stopped because its receiver wants nothing more."""
LOOK_EVERY = 2.0
FOLLOW_EVERY = 1.0
SAMPLE_EVERY = 15.0
CLAIMS = 3
"""Claims that may use a connection of the general pool at the same time."""
ROOM = 50_000
"""Events of all endpoints that are in memory; beyond it each may have a few."""
FEW = 10
QUESTIONS = 1000
"""Endpoints and kinds that one look asks about; the others' turn comes with the next."""
STOP_PATIENCE = 3.0
COMMIT_INTERVAL = 0.02


class Pusher:
    """The push of one node."""

    def __init__(
        self,
        database: Database,
        *,
        leasing: Database,
        node: int,
        ids: IdSource,
        snapshots: Snapshots,
        hub: EventHub,
        destinations: Destinations,
        sender: Sender,
        now: Callable[[], datetime] = clock.now,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._leasing = leasing
        self._node = node
        self._snapshots = snapshots
        self._hub = hub
        self.destinations = destinations
        self._sender = sender
        self.now = now
        self.chance = chance
        self.new_id = ids.next
        self._queues: dict[int, PushQueue] = {}
        self._held = 0
        self._claims = asyncio.Semaphore(CLAIMS)
        self._turn = 0
        self._seen: object = None
        self._writer: Batcher[Result, int | SmsgwError] = Batcher(
            "push", database.dsn, pushing.commit, max_batch=500, limit=20_000, interval=COMMIT_INTERVAL
        )

    async def start(self) -> None:
        """Take the endpoints that are free."""
        await self._sender.start()
        await self._writer.start()
        self._hub.listeners.append(self._notified)
        await self.follow()

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return tuple(
            Periodic(f"push.{name}", every, step, jitter=every / 10, apart=apart)
            for name, every, step, apart in (
                ("follow", FOLLOW_EVERY, self.follow, 0.0),
                ("renew", leases.RENEW_EVERY, self._renew, 0.0),
                ("look", LOOK_EVERY, self.look, 0.0),
                ("sample", SAMPLE_EVERY, self.sample, REST),
            )
        )

    async def stop(self) -> None:
        """Let calls under way end for a moment, write down what became of them, and give the leases back."""
        if self._notified in self._hub.listeners:
            self._hub.listeners.remove(self._notified)
        queues, self._queues = self._queues, {}
        await asyncio.gather(*(queue.close(patience=STOP_PATIENCE) for queue in queues.values()))
        for queue in queues.values():
            try:
                await leases.release(self._leasing, queue.lease)
            except SmsgwError:
                break  # it lapses by itself
        await self._writer.stop()
        await self._sender.stop()

    @property
    def idle(self) -> bool:
        """Nothing is being pushed, and nothing is about to be."""
        return all(queue.idle for queue in self._queues.values())

    @property
    def outage(self) -> float:
        """Seconds for which nothing could be written down; 0 while all is well."""
        return self._writer.outage

    # --- which endpoints ---------------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Fall in with the configuration, and take what no node holds."""
        hooks = self._snapshots.current.hooks
        wanted = {e.id: e for e in hooks.endpoints.values() if e.status == "active"}
        for id_ in [i for i, queue in self._queues.items() if i not in wanted or queue.closed]:
            queue = self._queues.pop(id_)
            await queue.close(patience=STOP_PATIENCE)
            await leases.release(self._leasing, queue.lease)
        if hooks is not self._seen:
            known = self._queues.values()
            each("webhook in use", known, lambda q: self._refresh(q, wanted[q.endpoint.id]), lambda q: q.endpoint.label)
            self._seen = hooks
        free = {store.lease_of(id_): e for id_, e in wanted.items() if id_ not in self._queues}
        for resource, lease in (await leases.acquire_many(self._leasing, list(free), self._node)).items():
            endpoint = free[resource]
            queue = self._queues[endpoint.id] = PushQueue(endpoint, lease, self)
            with apart("webhook in use", endpoint.label):
                self._refresh(queue, endpoint)
            log.info("push.taken", endpoint=endpoint.label, node=self._node)

    def _refresh(self, queue: PushQueue, endpoint: Endpoint) -> None:
        hooks = self._snapshots.current.hooks
        kinds = hooks.kinds(endpoint)
        primary = hooks.account_way(endpoint.account_id) is Way.WEBHOOK
        if (queue.endpoint, queue.kinds, queue.primary) != (endpoint, kinds, primary):
            queue.refresh(endpoint, kinds, primary)

    async def _renew(self) -> None:
        held = {id(queue.lease): queue for queue in self._queues.values()}
        late = [queue for queue in held.values() if not queue.lease.still_mine()]
        for lease in await leases.renew(self._leasing, [queue.lease for queue in held.values()]):
            queue = held[id(lease)]
            log.warning("push.lease_lost", endpoint=queue.endpoint.label)
            if self._queues.get(queue.endpoint.id) is queue:
                del self._queues[queue.endpoint.id]
            await queue.close()
        for queue in late:  # nothing was taken meanwhile
            for kind in queue.kinds:
                queue.poke(kind, at_once=True)

    # --- when there is work ------------------------------------------------------------------------------------

    def _notified(self, account_id: int, kind: str) -> None:
        hooks = self._snapshots.current.hooks
        endpoint = hooks.endpoint(account_id, webhooks.type_of(kind))
        if endpoint is not None and (queue := self._queues.get(endpoint.id)) is not None:
            queue.poke(kind)
        if kind == REPORT and (callback := hooks.callbacks.get(account_id)) is not None:
            queue = self._queues.get(callback.id)
            if queue is not None:
                queue.poke(kind)

    async def look(self) -> None:
        """Find what is due and was not announced."""
        asked: dict[Question, PushQueue] = {}
        for queue in list(self._queues.values()):
            if queue.resting:
                callback = queue.endpoint.callback
                for kind in queue.kinds:
                    if queue.head(kind).due:
                        queue.poke(kind, at_once=True)
                    else:
                        asked[Question(queue.endpoint.account_id, kind, queue.primary, callback)] = queue
        questions = list(asked)
        if len(questions) > QUESTIONS:
            first = self._turn % len(questions)
            self._turn += QUESTIONS
            questions = (questions + questions)[first : first + QUESTIONS]
        since = {question: asked[question].head(question.kind).since for question in questions}
        for question in await pushing.ready(self._database, since, self.now()):
            asked[question].poke(question.kind, at_once=True)

    async def sample(self) -> None:
        """Count what waits, for metrics, and record sums that are due."""
        queues = list(self._queues.values())
        for queue in queues:
            await queue.settle_sum()
        failed: SmsgwError | None = None
        for queue in queues:
            one = queue.endpoint
            try:
                queue.waiting, queue.oldest, _ = await pushing.waiting(
                    self._database, [(one.account_id, queue.kinds, one.callback, queue.primary)]
                )
            except SmsgwError as exc:  # as beside a kept snapshot, where it takes ever longer: others have their turn
                failed = exc
        if failed is not None:
            raise failed

    def status(self) -> list[EndpointState]:
        """How the endpoints of this node are doing."""
        return [
            EndpointState(
                id=queue.endpoint.id,
                account=queue.endpoint.account,
                name=queue.endpoint.name,
                waiting=queue.waiting,
                oldest_at=None if queue.oldest is None else time_of(queue.oldest),
                in_flight=queue.in_flight,
                failures=queue.failures,
                delivered=queue.delivered,
                calls_failed=queue.calls_failed,
                last_error=queue.last_error,
            )
            for queue in self._queues.values()
        ]

    async def findings(self) -> Iterable[Finding]:
        """Alarms, the same on every node: endpoints that fail, events given up, events whose time was over."""
        now = self.now()
        found = []
        minutes = self._snapshots.current.alarm_rules.of("webhook_failing").values["minutes"]
        for row in await pushing.failing(self._database, now - timedelta(minutes=minutes)):
            about = f"webhook/{row['account']}/{row['name']}"
            why = Heard(row["reason"] if row["status"] == "disabled" else row["last_error"])
            detail = phrase("alarm.disabled", reason=why) if row["status"] == "disabled" else why
            found.append(Finding("webhook_failing", about, WARNING, detail))
        hooks = self._snapshots.current.hooks
        dead: dict[str, int] = {}
        for row in await pushing.dead(self._database):
            endpoint = (
                hooks.callbacks.get(row["account_id"])
                if row["callback"]
                else hooks.endpoint(row["account_id"], webhooks.type_of(row["kind"]))
            )
            about = f"webhook/{row['account']}/{endpoint.name if endpoint else '-'}"
            dead[about] = dead.get(about, 0) + row["n"]
        for about, n in dead.items():
            detail = phrase("alarm.given_up", n=n, tries=webhooks.MAX_TRIES)
            found.append(Finding("webhook_dead", about, CRITICAL, detail))
        found += self._crowded(now)
        for row in await pushing.lost(self._database, now - timedelta(days=1)):
            detail = phrase("alarm.lost", n=row["n"], kind=row["kind"])
            found.append(Finding("events_lost", f"account/{row['account']}/{row['kind']}", CRITICAL, detail))
        return found

    def _crowded(self, now: datetime) -> Iterable[Finding]:
        """Endpoints for which too much waits, as far as this node has them."""
        rules = self._snapshots.current.alarm_rules
        for state in self.status():
            about = f"webhook/{state.account}/{state.name}"
            if state.waiting > (limit := rules.threshold("webhook_queue", about)):
                oldest = Moment(state.oldest_at or now)
                detail = phrase("alarm.webhook_queue", n=state.waiting, oldest=oldest, limit=limit)
                yield Finding("webhook_queue", about, WARNING, detail)

    async def test(self, endpoint: Endpoint) -> Answer:
        """Send a sample at once, past the queue. ``STATE_CONFLICT`` for ``callback``, which has no address."""
        if endpoint.callback:
            raise Refused("STATE_CONFLICT", reason=phrase("callback.untested"))
        now = self.now()
        kinds = self._snapshots.current.hooks.kinds(endpoint) or (REPORT,)
        item = push_format.sample(webhooks.type_of(kinds[0]), now)
        call = push_format.build(endpoint, endpoint.url, "webhook.test", [item], f"msg_test_{self.new_id()}", now)
        try:
            self.destinations.check(endpoint, endpoint.url)
            answer = await self.call(endpoint, call)
        except Wrong as exc:
            answer = Answer(False, 0, 0, str(exc))
        attempt = Attempt(
            self.new_id(),
            endpoint.id,
            now,
            1,
            0,
            0,
            answer.status,
            answer.ms,
            answer.problem and f"test: {answer.problem}",
        )
        await self._writer.put(Result(now, attempts=(attempt,)))
        return answer

    # --- what the queues use -----------------------------------------------------------------------------------

    def room(self, wanted: int) -> int:
        """How many events an endpoint may take now."""
        return max(1, min(wanted, max(FEW, ROOM - self._held)))

    def holds(self, change: int) -> None:
        """Events taken or let go."""
        self._held += change

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
    ) -> Found[Due]:
        """The oldest events that can be pushed."""
        account_id, now = endpoint.account_id, self.now()
        async with self._claims:
            if endpoint.callback:
                return await pushing.claim_targets(
                    self._database, account_id, limit, now=now, under_way=under_way, busy=busy, within=within
                )
            return await pushing.claim(
                self._database, account_id, kind, limit, now=now, primary=primary, under_way=under_way, within=within
            )

    async def call(self, endpoint: Endpoint, call: push_format.Call) -> Answer:
        """One call, to where the endpoint's account may push."""
        account_id = endpoint.account_id
        return await self._sender.send(
            call, self.destinations.reach_of(account_id), owner=account_id, expect=endpoint.options.expect
        )

    async def write(self, result: Result) -> None:
        """Returns when it is committed."""
        await self._writer.put(result)

    async def bring_forward(self, endpoint: Endpoint, host: str | None) -> None:
        """What waits for its next try is due."""
        kinds = self._snapshots.current.hooks.kinds(endpoint)
        await pushing.bring_forward(self._database, endpoint.account_id, kinds, host, self.now())

    async def disable(self, endpoint: Endpoint, reason: str) -> None:
        """The receiver wants nothing more, or may get nothing more."""
        log.warning("push.disabled", endpoint=endpoint.label, reason=reason)
        queue = self._queues.get(endpoint.id)
        if queue is not None:
            queue.closed = True
        await store.disable(self._database, endpoint.account_id, endpoint.name, reason, by=PUSH.author)
        await self._snapshots.follow()
