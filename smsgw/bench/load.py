"""The load: messages posted over many connections, their reports pulled and acknowledged by others."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from smsgw.bench.sink import Event, Sink
from smsgw.bench.wire import Answer, Connection, Endpoint
from smsgw.core.words import samples
from smsgw.runtime import aio

CALL_TIMEOUT = 30.0
PULL_LIMIT = 500
PULL_WAIT_S = 2
PULL_PAUSE = 0.1
"""Seconds that a puller lets pass after a batch that was not full."""


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


class _Pulled(msgspec.Struct):
    batch: str | None
    items: list[_Event]


class _PulledEnvelope(msgspec.Struct):
    data: _Pulled


_sent = msgspec.json.Decoder(_SentEnvelope)
_pulled = msgspec.json.Decoder(_PulledEnvelope)


@dataclass(slots=True)
class Load:
    """What to post. ``prefixes`` are the first three digits of the numbers, used in turn."""

    messages: int
    connections: int
    batch: int = 0
    """Messages in a call of ``POST /messages/batch``; 0: single-recipient ``POST /messages``."""
    rate: float = 0.0
    """Messages a second, evenly spread; 0: as fast as the answers come."""
    pullers: int = 2
    prefixes: Sequence[str] = ("138",)
    patience: float = 60.0
    """Seconds without any progress after which the run is given up."""


@dataclass(slots=True)
class Observed:
    """What the customer saw. Times by the monotonic clock, by serial number of the message."""

    posted_at: array[float]
    """When the call with the message was begun; in a paced run when it was due. 0: never posted."""
    accept_seconds: array[float] = field(default_factory=lambda: array("d"))
    """By call that was answered 202."""
    answers: list[tuple[int, bytes]] = field(default_factory=list)
    """First serial of a call and its answer."""
    ids: dict[int, int] = field(default_factory=dict)
    """Message id -> serial, where the answers are not kept (SMPP)."""
    refusals: Counter[int] = field(default_factory=Counter)
    """Answers other than 202, by status; 429 and 503 are tried again."""
    lost_calls: int = 0
    """Calls without an answer: what became of them is not known."""
    first_post: float = 0.0
    last_accept: float = 0.0
    accepted: int = 0
    pulled: dict[int, float] = field(default_factory=dict)
    """Message id -> when its report was first pulled."""
    statuses: Counter[str] = field(default_factory=Counter)
    pulled_again: int = 0
    """Reports of a message that had been pulled before."""
    last_pull: float = 0.0

    def accepted_ids(self) -> dict[int, int]:
        """Message id -> serial, of all accepted messages."""
        ids = dict(self.ids)
        for first, body in self.answers:
            for offset, item in enumerate(_sent.decode(body).data.items):
                if item.message_id is not None:
                    ids[int(item.message_id)] = first + offset
        return ids


def message_of(load: Load, serial: int) -> tuple[str, str]:
    """Number and text; no two messages have the same."""
    prefixes = load.prefixes
    return (
        f"{prefixes[serial % len(prefixes)]}{serial % 100_000_000:08d}",
        samples.BENCH.format(serial=serial),
    )


class Customer:
    """Posts and pulls through one account. One ``run`` after the other; serial numbers go on."""

    def __init__(
        self, endpoint: Endpoint, load: Load, *, first_serial: int = 0, sink: Sink | None = None
    ) -> None:
        """``sink``: reports come there instead of being pulled."""
        if sink is not None:
            sink.receive = self._note
        self._pushed = sink is not None
        self._endpoint = endpoint
        self._load = load
        self._first = first_serial
        self._single = endpoint.head("POST", "/messages")
        self._batch = endpoint.head("POST", "/messages/batch")
        self.seen = Observed(array("d", bytes(8 * load.messages)))
        self._progress = time.monotonic()
        self._pulling = True

    async def run(self) -> Observed:
        """Post everything and pull until every accepted message has its report. Raises ``TimeoutError``."""
        load = self._load
        pullers = [
            aio.spawn(self._pull(), name=f"bench.pull.{n}")
            for n in range(0 if self._pushed else load.pullers)
        ]
        posters: list[asyncio.Task[None]] = []
        connections: list[Connection] = []
        try:
            connections = [await self._endpoint.connect() for _ in range(load.connections)]
            self._progress = self.seen.first_post = time.monotonic()
            calls = self._calls()
            posters = [aio.spawn(self._post(c, calls), name="bench.post") for c in connections]
            await self._watched(posters, pullers)
            self._pulling = False
            async with asyncio.timeout(CALL_TIMEOUT):
                await asyncio.gather(*pullers)
        finally:
            await aio.cancel(*posters, *pullers)
            for connection in connections:
                connection.close()
        return self.seen

    async def _watched(self, posters: list[asyncio.Task[None]], pullers: list[asyncio.Task[None]]) -> None:
        """Until all is posted and pulled; fails with the first task that fails, and without progress."""
        seen = self.seen
        while any(not task.done() for task in posters) or len(seen.pulled) < seen.accepted:
            for task in (*posters, *pullers):
                if task.done():
                    task.result()
            if time.monotonic() - self._progress > self._load.patience:
                raise TimeoutError(
                    f"no progress for {self._load.patience:.0f} s: {seen.accepted} accepted, "
                    f"{len(seen.pulled)} reports pulled"
                )
            await asyncio.sleep(0.02)

    # --- posting -----------------------------------------------------------------------------------------------

    def _calls(self) -> Iterator[tuple[int, int, float]]:
        """(first serial of this run, how many, when due) of each call."""
        load = self._load
        size = load.batch or 1
        start = time.monotonic()
        for first in range(0, load.messages, size):
            yield first, min(size, load.messages - first), start + first / load.rate if load.rate else 0.0

    async def _post(self, connection: Connection, calls: Iterator[tuple[int, int, float]]) -> None:
        seen = self.seen
        for first, size, due in calls:
            request = self._request(first, size)
            if due:
                await asyncio.sleep(due - time.monotonic())
            at = due or time.monotonic()
            seen.posted_at[first : first + size] = array("d", [at]) * size
            answer = await self._ask(connection, request)
            if answer is None:
                connection = await self._endpoint.connect()
                continue
            now = self._progress = time.monotonic()
            if answer.status != 202:
                continue
            seen.accept_seconds.append(now - at)
            self._accepted(first, answer)
            seen.accepted += size
            seen.last_accept = now

    def _accepted(self, first: int, answer: Answer) -> None:
        self.seen.answers.append((first, answer.body))

    async def _ask(self, connection: Connection, request: bytes) -> Answer | None:
        """The answer, after as many tries as the server asks for; None when the connection was lost."""
        while True:
            try:
                async with asyncio.timeout(CALL_TIMEOUT):
                    answer = await connection.send(request)
            except (ConnectionError, TimeoutError):
                self.seen.lost_calls += 1
                connection.close()
                return None
            if answer.status != 202:
                self.seen.refusals[answer.status] += 1
                if answer.status in (429, 503):
                    await asyncio.sleep(max(1, answer.retry_after))
                    continue
            return answer

    def _request(self, first: int, size: int) -> bytes:
        if self._load.batch:
            items = ",".join([self._item(n) for n in range(first, first + size)])
            body = f'{{"items":[{items}]}}'.encode()
            return b"%b%d\r\n\r\n%b" % (self._batch, len(body), body)
        number, text = self._message(first)
        body = f'{{"to":["{number}"],"content":"{text}"}}'.encode()
        return b"%b%d\r\n\r\n%b" % (self._single, len(body), body)

    def _item(self, n: int) -> str:
        number, text = self._message(n)
        return f'{{"to":"{number}","content":"{text}"}}'

    def _message(self, n: int) -> tuple[str, str]:
        return message_of(self._load, self._first + n)

    # --- pulling -----------------------------------------------------------------------------------------------

    async def _pull(self) -> None:
        connection = await self._endpoint.connect()
        body = b'{"limit":%d,"wait_s":%d}' % (PULL_LIMIT, PULL_WAIT_S)
        pull = self._endpoint.request("POST", "/reports/pull", body)
        try:
            while True:
                pulling = self._pulling  # one more pull after the last report: nothing may come twice
                answer = await self._called(connection, pull)
                batch = _pulled.decode(answer.body).data
                if batch.batch is None:
                    if not pulling:
                        return
                    continue
                self._note(batch.items)
                ack = self._endpoint.request("POST", "/reports/ack", b'{"batch":"%b"}' % batch.batch.encode())
                await self._called(connection, ack)
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
            if answer.status not in (429, 503):
                raise RuntimeError(f"pulling reports: HTTP {answer.status}: {answer.body[:300]!r}")
            self.seen.refusals[answer.status] += 1
            await asyncio.sleep(max(1, answer.retry_after))

    def _note(self, events: Sequence[_Event] | Sequence[Event]) -> None:
        seen = self.seen
        now = self._progress = seen.last_pull = time.monotonic()
        for event in events:
            message_id = int(event.message_id)
            if message_id in seen.pulled:
                seen.pulled_again += 1
            else:
                seen.pulled[message_id] = now
                seen.statuses[event.status] += 1
