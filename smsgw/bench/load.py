"""The load: messages posted over many connections, their reports pulled and acknowledged by others.

One-time codes may come one by one beside it. They are told apart by their serial numbers, which go on behind the last
message of the load.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import msgspec

from smsgw.bench.pace import Pace
from smsgw.bench.sink import Event, Sink
from smsgw.bench.wire import Answer, Connection, Endpoint
from smsgw.core.words import samples
from smsgw.runtime import aio

CALL_TIMEOUT = 30.0
PULL_LIMIT = 500
PULL_WAIT_S = 2
PULL_PAUSE = 0.1
"""Seconds that a puller lets pass after a batch that was not full."""
CODE_CONNECTIONS = 8
"""That post one-time codes: a slow answer keeps none of the others back."""
CODE_PULLERS = 1
"""That pull the reports of the codes, where they are another account's."""
RECONNECT_EVERY = 0.05
UNAVAILABLE = b"STORAGE_UNAVAILABLE"
"""In an answer: neither the database nor the disk for its outages took the call."""
UNKNOWN_AFTER = 5.0
"""Seconds without a report after which the platform is asked, in a run with a fault, what became of the rest."""
ASKED_AT_ONCE = 500
UNKNOWN = "uncertain"
"""What the platform says of a message that was written to a carrier whose answer it never got."""


class _Item(msgspec.Struct):
    to: str
    message_id: str | None = None


class _Sent(msgspec.Struct):
    items: list[_Item]


class _SentEnvelope(msgspec.Struct):
    data: _Sent


class _Event(msgspec.Struct):
    message_id: str
    status: str


class _Status(msgspec.Struct):
    status: str


class _Statuses(msgspec.Struct):
    items: list[_Status]


class _StatusesEnvelope(msgspec.Struct):
    data: _Statuses


class _Pulled(msgspec.Struct):
    batch: str | None
    items: list[_Event]


class _PulledEnvelope(msgspec.Struct):
    data: _Pulled


_sent = msgspec.json.Decoder(_SentEnvelope)
_pulled = msgspec.json.Decoder(_PulledEnvelope)
_statuses = msgspec.json.Decoder(_StatusesEnvelope)


@dataclass
class Load:
    """What to post. ``prefixes`` are the first three digits of the numbers, used in turn."""

    messages: int
    connections: int
    batch: int = 0
    """Messages in a call of ``POST /messages/batch``; 0: single-recipient ``POST /messages``."""
    rate: float = 0.0
    """Messages a second, evenly spread; 0: as fast as the answers come."""
    burst: float = 0.0
    """Messages a second for a while in the middle; 0: the rate stays."""
    burst_seconds: float = 0.0
    template: str = ""
    """Id of the template whose variables each recipient of a batch has values of; empty: each has a text."""
    codes_rate: float = 0.0
    """One-time codes a second, posted one by one for as long as the load is under way; 0: none."""
    keyed: bool = False
    """Each call has an Idempotency-Key, and is repeated until it is answered."""
    pullers: int = 2
    prefixes: Sequence[str] = ("138",)
    patience: float = 90.0
    """Seconds without any progress after which the run is given up: a batch whose answer was lost, with the database or
    the daemon, comes again after 60."""

    @cached_property
    def pace(self) -> Pace:
        """When they are due. ``ValueError`` for a burst that is none."""
        return Pace(self.messages, self.rate, self.burst, self.burst_seconds)


def _times() -> array[float]:
    return array("d")


@dataclass(slots=True)
class Observed:
    """What the customer saw. Times by the monotonic clock, by serial number of the message."""

    posted_at: array[float]
    """When the call with the message was begun; in a paced run when it was due. 0: never posted."""
    accept_seconds: array[float] = field(default_factory=_times)
    """By call that was answered 202."""
    accepted_at: array[float] = field(default_factory=_times)
    """When, by call."""
    accepted_size: array[int] = field(default_factory=lambda: array("H"))
    """Messages of the call."""
    code_seconds: array[float] = field(default_factory=_times)
    """As ``accept_seconds``, of one-time codes."""
    codes: set[int] = field(default_factory=set)
    """Message ids of accepted one-time codes."""
    codes_posted: int = 0
    codes_pulled: int = 0
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    """First serial of a call and its answer."""
    ids: dict[int, int] = field(default_factory=dict)
    """Message id -> serial, where the answers are not kept (SMPP)."""
    refusals: Counter[int] = field(default_factory=Counter)
    """Answers other than 202, by status; 429 and 503 are tried again."""
    unavailable_at: array[float] = field(default_factory=_times)
    """When calls were answered that the database is away, by the wall clock."""
    lost_calls: int = 0
    """Calls without an answer: what became of them is not known."""
    repeated_calls: int = 0
    """Calls that were made again with their key, for want of an answer."""
    first_post: float = 0.0
    last_accept: float = 0.0
    accepted: int = 0
    """Messages of the load; codes are beside them."""
    pulled: dict[int, float] = field(default_factory=dict)
    """Message id -> when its report was first pulled."""
    statuses: Counter[str] = field(default_factory=Counter)
    pulled_again: int = 0
    """Reports of a message that had been pulled before."""
    offered_again: int = 0
    """Reports that came again because nobody answered that they were taken: as promised."""
    unknown: int = 0
    """Accepted messages of which the platform says that it cannot know: in a run with a fault."""
    last_pull: float = 0.0

    def refuse(self, answer: Answer) -> None:
        """Count an answer other than the one that was wanted."""
        self.refusals[answer.status] += 1
        if answer.status == 503 and UNAVAILABLE in answer.body:
            self.unavailable_at.append(time.time())

    @property
    def accepted_in_all(self) -> int:
        """Codes included."""
        return self.accepted + len(self.codes)

    @property
    def reported(self) -> int:
        """Messages of the load whose report has come."""
        return len(self.pulled) - self.codes_pulled

    def accepted_ids(self) -> dict[int, int]:
        """Message id -> serial, of all accepted messages."""
        ids = dict(self.ids)
        for first, body in self.answers:
            for offset, item in enumerate(_sent.decode(body).data.items):
                if item.message_id is not None:
                    ids[int(item.message_id)] = first + offset
        return ids


def number_of(load: Load, serial: int) -> str:
    """The recipient; no two messages have the same."""
    prefixes = load.prefixes
    return f"{prefixes[serial % len(prefixes)]}{serial % 100_000_000:08d}"


def message_of(load: Load, serial: int) -> tuple[str, str]:
    """Number and text; no two messages have the same."""
    return number_of(load, serial), samples.BENCH.format(serial=serial)


class Customer:
    """Posts and pulls through one account or several, codes perhaps through one of their own. One ``run`` after the
    other; serial numbers go on."""

    def __init__(
        self,
        endpoint: Endpoint,
        load: Load,
        *,
        first_serial: int = 0,
        sink: Sink | None = None,
        codes: Endpoint | None = None,
        others: Sequence[Endpoint] = (),
    ) -> None:
        """``sink``: reports come there instead of being pulled. ``codes``: one-time codes are posted there, by an
        account of their own. ``others``: further accounts, whose turn it is by connection."""
        if sink is not None:
            sink.receive = self._note
        self._pushed = sink is not None
        self._endpoints = (endpoint, *others)
        self._codes = codes or endpoint
        self._load = load
        self._first = first_serial
        self._heads = {
            one: (one.head("POST", "/messages"), one.head("POST", "/messages/batch"))
            for one in (*self._endpoints, self._codes)
        }
        self.seen = Observed(array("d", bytes(8 * load.messages)))
        self._progress = time.monotonic()
        self._pulling = True
        self._posting = True
        self._untaken: set[int] = set()
        """Messages whose report was pulled, and nobody knows whether the platform knows that."""

    async def run(self) -> Observed:
        """Post everything and pull until every accepted message has its report. Raises ``TimeoutError``."""
        load = self._load
        of_each = max(1, load.pullers // len(self._endpoints))
        pulled = [] if self._pushed else [endpoint for endpoint in self._endpoints for _ in range(of_each)]
        if not self._pushed and self._codes not in self._endpoints:
            pulled += [self._codes] * CODE_PULLERS
        pullers = [aio.spawn(self._pull(endpoint), name=f"bench.pull.{n}") for n, endpoint in enumerate(pulled)]
        posters: list[asyncio.Task[None]] = []
        coders: list[asyncio.Task[None]] = []
        connections: list[Connection] = []
        try:
            turns = [self._endpoints[n % len(self._endpoints)] for n in range(load.connections)]
            connections = [await endpoint.connect() for endpoint in turns]
            lines = [await self._codes.connect() for _ in range(CODE_CONNECTIONS if load.codes_rate else 0)]
            connections += lines
            self._progress = self.seen.first_post = time.monotonic()
            calls, codes = self._calls(), self._code_calls()
            posters = [
                aio.spawn(self._post(c, endpoint, calls), name="bench.post")
                for c, endpoint in zip(connections, turns, strict=False)
            ]
            coders = [aio.spawn(self._post(c, self._codes, codes), name="bench.code") for c in lines]
            await self._watched(posters, coders, pullers)
            self._pulling = False
            async with asyncio.timeout(CALL_TIMEOUT):
                await asyncio.gather(*pullers)
        finally:
            await aio.cancel(*posters, *coders, *pullers)
            for connection in connections:
                connection.close()
        return self.seen

    async def _watched(
        self, posters: list[asyncio.Task[None]], coders: list[asyncio.Task[None]], pullers: list[asyncio.Task[None]]
    ) -> None:
        """Until all is posted and pulled; fails with the first task that fails, and without progress."""
        seen, asked = self.seen, time.monotonic()
        while self._posting or any(not task.done() for task in coders) or self._open:
            for task in (*posters, *coders, *pullers):
                if task.done():
                    task.result()
            if all(task.done() for task in posters) and seen.reported + seen.unknown >= seen.accepted:
                self._posting = False  # the codes end with what they are beside
            now = time.monotonic()
            if self._load.keyed and now - max(self._progress, asked) > UNKNOWN_AFTER:
                asked, seen.unknown = now, await self._unknown()
            if now - self._progress > self._load.patience:
                raise TimeoutError(
                    f"no progress for {self._load.patience:.0f} s: {seen.accepted_in_all} accepted, "
                    f"{len(seen.pulled)} reports pulled"
                )
            await asyncio.sleep(0.02)

    @property
    def _open(self) -> bool:
        """Whether a report is to come."""
        return len(self.seen.pulled) + self.seen.unknown < self.seen.accepted_in_all

    async def _unknown(self) -> int:
        """How many of those without a report the platform calls unknown, by its own word."""
        seen, found = self.seen, 0
        left = [id_ for id_ in seen.accepted_ids() if id_ not in seen.pulled]
        for endpoint in {*self._endpoints, self._codes}:  # of another account's each knows nothing
            connection = await self._again(endpoint)
            try:
                for first in range(0, len(left), ASKED_AT_ONCE):
                    ids = ",".join(f'"{id_}"' for id_ in left[first : first + ASKED_AT_ONCE])
                    asked = endpoint.request("POST", "/messages/query", f'{{"ids":[{ids}]}}'.encode())
                    answer = await self._called(connection, asked)
                    found += sum(one.status == UNKNOWN for one in _statuses.decode(answer.body).data.items)
            finally:
                connection.close()
        return found

    # --- posting -----------------------------------------------------------------------------------------------

    def _calls(self) -> Iterator[tuple[int, int, float]]:
        """(first serial of this run, how many, when due) of each call."""
        load = self._load
        size, pace = load.batch or 1, load.pace
        start = time.monotonic()
        for first in range(0, load.messages, size):
            yield first, min(size, load.messages - first), start + pace.due(first) if load.rate else 0.0

    def _code_calls(self) -> Iterator[tuple[int, int, float]]:
        """The same, of codes: until the load is over."""
        seen = self.seen
        start = time.monotonic()
        while self._posting:
            n = seen.codes_posted
            seen.codes_posted += 1
            seen.posted_at.append(0.0)
            yield self._load.messages + n, 1, start + n / self._load.codes_rate

    async def _post(self, connection: Connection, endpoint: Endpoint, calls: Iterator[tuple[int, int, float]]) -> None:
        seen = self.seen
        try:
            for first, size, due in calls:
                request = self._request(endpoint, first, size)
                if due:
                    await asyncio.sleep(due - time.monotonic())
                at = due or time.monotonic()
                seen.posted_at[first : first + size] = array("d", [at]) * size
                answer, connection = await self._ask(connection, endpoint, request)
                if answer is None:
                    continue
                now = time.monotonic()
                if first >= self._load.messages:
                    if answer.status == 202:
                        self._code_accepted(first, answer, now - at)
                    continue
                self._progress = now
                if answer.status != 202:
                    continue
                seen.accept_seconds.append(now - at)
                seen.accepted_at.append(now)
                seen.accepted_size.append(size)
                self._accepted(first, answer)
                seen.accepted += size
                seen.last_accept = now
        finally:
            connection.close()

    def _accepted(self, first: int, answer: Answer) -> None:
        self.seen.answers.append((first, answer.body))

    def _code_accepted(self, serial: int, answer: Answer, seconds: float) -> None:
        seen = self.seen
        seen.code_seconds.append(seconds)
        for item in _sent.decode(answer.body).data.items:
            if item.message_id is not None:
                id_ = int(item.message_id)
                seen.ids[id_] = serial
                seen.codes.add(id_)
                seen.codes_pulled += id_ in seen.pulled

    async def _ask(
        self, connection: Connection, endpoint: Endpoint, request: bytes
    ) -> tuple[Answer | None, Connection]:
        """The answer, after as many tries as the server asks for, and the connection to go on with. None when the
        connection was lost and the call has no key: it is not made again."""
        keyed = self._load.keyed
        while True:
            try:
                async with asyncio.timeout(CALL_TIMEOUT):
                    answer = await connection.send(request)
            except (ConnectionError, TimeoutError):
                connection.close()
                connection = await self._again(endpoint)
                if not keyed:
                    self.seen.lost_calls += 1
                    return None, connection
                self.seen.repeated_calls += 1
                continue
            if answer.status != 202:
                self.seen.refuse(answer)
                if answer.status in (429, 503) or (keyed and (answer.status >= 500 or answer.status == 409)):
                    await asyncio.sleep(max(1, answer.retry_after))
                    continue
            return answer, connection

    async def _again(self, endpoint: Endpoint) -> Connection:
        """A new connection; in a run with a fault as soon as there is somebody at the other end."""
        until = time.monotonic() + self._load.patience
        while True:
            try:
                return await endpoint.connect()
            except (OSError, TimeoutError):
                if not self._load.keyed or time.monotonic() > until:
                    raise
            await asyncio.sleep(RECONNECT_EVERY)

    def _request(self, endpoint: Endpoint, first: int, size: int) -> bytes:
        load = self._load
        serial = self._first + first
        single, batch = self._heads[endpoint]
        if first >= load.messages:
            to, content = number_of(load, serial), samples.BENCH_CODE.format(serial=serial)
            return self._body(single, serial, f'{{"to":["{to}"],"type":"otp","content":"{content}"}}')
        if load.batch:
            items = ",".join([self._item(n) for n in range(first, first + size)])
            said = f'"template_id":"{load.template}",' if load.template else ""
            return self._body(batch, serial, f'{{{said}"items":[{items}]}}')
        number, text = self._message(first)
        return self._body(single, serial, f'{{"to":["{number}"],"content":"{text}"}}')

    def _body(self, head: bytes, serial: int, body: str) -> bytes:
        octets = body.encode()
        key = b"Idempotency-Key: bench-%d\r\n" % serial if self._load.keyed else b""
        return b"%b%d\r\n%b\r\n%b" % (head, len(octets), key, octets)

    def _item(self, n: int) -> str:
        if self._load.template:
            serial = self._first + n
            name, code = samples.BENCH_NAME.format(serial=serial), f"{serial:09d}"
            return f'{{"to":"{number_of(self._load, serial)}","params":{{"name":"{name}","code":"{code}"}}}}'
        number, text = self._message(n)
        return f'{{"to":"{number}","content":"{text}"}}'

    def _message(self, n: int) -> tuple[str, str]:
        return message_of(self._load, self._first + n)

    # --- pulling -----------------------------------------------------------------------------------------------

    async def _pull(self, endpoint: Endpoint) -> None:
        connection = await endpoint.connect()
        body = b'{"limit":%d,"wait_s":%d}' % (PULL_LIMIT, PULL_WAIT_S)
        pull = endpoint.request("POST", "/reports/pull", body)
        events: list[_Event] = []
        try:
            while True:
                pulling = self._pulling  # one more pull after the last report: nothing may come twice
                try:
                    answer = await self._called(connection, pull)
                    batch = _pulled.decode(answer.body).data
                    if batch.batch is None:
                        if not pulling:
                            return
                        continue
                    events = batch.items
                    self._note(events)
                    ack = endpoint.request("POST", "/reports/ack", b'{"batch":"%b"}' % batch.batch.encode())
                    await self._called(connection, ack)
                    events = []
                except (ConnectionError, TimeoutError):
                    if not self._load.keyed:
                        raise
                    self._untaken.update(int(event.message_id) for event in events)
                    connection.close()
                    connection = await self._again(endpoint)
                    continue
                if len(batch.items) < PULL_LIMIT:
                    await asyncio.sleep(PULL_PAUSE)
        finally:
            connection.close()

    async def _called(self, connection: Connection, request: bytes) -> Answer:
        while True:
            async with asyncio.timeout(CALL_TIMEOUT):
                answer = await connection.send(request)
            if answer.status == 200:
                return answer
            if answer.status not in (429, 503) and not (self._load.keyed and answer.status >= 500):
                raise RuntimeError(f"{answer.body[:300]!r} is answered to the customer: HTTP {answer.status}")
            self.seen.refuse(answer)
            await asyncio.sleep(max(1, answer.retry_after))

    def _note(self, events: Sequence[_Event] | Sequence[Event]) -> None:
        seen = self.seen
        now = time.monotonic()
        if not self._posting:
            self._progress = now
        for event in events:
            message_id = int(event.message_id)
            if message_id in seen.pulled:
                if message_id in self._untaken:
                    seen.offered_again += 1
                else:
                    seen.pulled_again += 1
            else:
                seen.pulled[message_id] = now
                seen.statuses[event.status] += 1
                if message_id in seen.codes:
                    seen.codes_pulled += 1
                else:
                    seen.last_pull = self._progress = now
