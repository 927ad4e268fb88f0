"""What a channel claims ahead and what it writes, in which order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio

from smsgw.channels.changes import Changes
from smsgw.channels.dispatcher import Dispatcher
from smsgw.channels.ready import HEAD_START, Ready
from smsgw.channels.transport import Submitted
from smsgw.core.model import ChannelSpec, Claimed, Lane, Outcome, OutcomeKind, UnknownPolicy
from smsgw.core.pacing import Pacer
from smsgw.runtime import aio, clock
from smsgw.store.engine.journal import Journal

WINDOW = 10


@dataclass
class Queue:
    """As ``Claims``."""

    parts: list[Claimed] = field(default_factory=list)
    asked: list[tuple[int, bool]] = field(default_factory=list)
    pause: float = 0.0
    entering: int = 0
    """Parts that are being entered as claimed."""
    deferred: list[float] = field(default_factory=list)

    @property
    def emergency(self) -> bool:
        return any(part.lane == Lane.EMERGENCY for part in self.parts)

    async def take(self, room: int, *, urgent: bool, in_hand: object, trial: bool = False) -> list[Claimed]:
        self.asked.append((room, urgent))
        found = [part for part in self.parts if part.lane == Lane.EMERGENCY or not urgent][:room]
        self.parts = [part for part in self.parts if part not in found]
        return found

    def deferred_in(self, seconds: float) -> None:
        self.deferred.append(seconds)

    async def all_entered(self) -> None: ...

    def drop(self) -> None: ...


@dataclass
class Books:
    """As ``Outcomes``."""

    full: bool = False
    back: list[int] = field(default_factory=list)
    said: list[Outcome] = field(default_factory=list)

    def answered(self, outcomes: Sequence[Outcome], policy: UnknownPolicy) -> None:
        self.said += outcomes

    def unsent(self, outcomes: Sequence[Outcome]) -> None:
        self.back += [outcome.id for outcome in outcomes]


@dataclass
class Line:
    """As ``Transport``, to a carrier that answers when the test says so."""

    written: list[int] = field(default_factory=list)
    out: int = 0
    shut: int = 0
    """Places of connections in doubt, which take nothing."""
    window: int = WINDOW
    reachable: int = 1
    outstanding: int = 0
    asleep: int = 0
    doubted: bool = False
    trial_due: bool = False
    unbound_since: float | None = None
    cannot: dict[int, str] = field(default_factory=dict)
    """Message ids that cannot be prepared, or only not be submitted, or for which the connection ends."""
    names: dict[int, str] = field(default_factory=dict)
    """Ids at the carrier that are ours to make."""
    on_flush: Callable[[], None] = lambda: None
    _batch: list[int] = field(default_factory=list)

    @property
    def room(self) -> int:
        return self.window - self.shut - self.out

    @property
    def window_used(self) -> int:
        return self.out

    def call(self) -> None: ...

    def prepare(self, claimed: Claimed) -> str:
        if self.cannot.get(claimed.id) == "prepare":
            raise ValueError("not in this alphabet")
        return f"request {claimed.id}"

    def submit(self, prepared: Sequence[tuple[Claimed, str]], now: float) -> Submitted:
        assert len(prepared) <= self.room
        submitted = Submitted()
        for claimed, request in prepared:
            assert request == f"request {claimed.id}"
            match self.cannot.get(claimed.id):
                case "submit":
                    submitted.refused.append((claimed, ValueError("too long")))
                case "end":
                    submitted.unsent.append(claimed)
                case _:
                    self.out += 1
                    self._batch.append(claimed.id)
                    if claimed.id in self.names:
                        submitted.named.append((claimed.key, self.names[claimed.id]))
        return submitted

    def flush(self, may: Callable[[], bool]) -> None:
        self.on_flush()
        if may():
            self.written += self._batch
        self._batch.clear()


class Bench:
    """A dispatcher with a journal of its own, and all that it talks to."""

    def __init__(self, folder: Path) -> None:
        self.queue, self.books, self.line = Queue(), Books(), Line()
        self.journal = Journal(folder, 1, "0" * 36, segment_bytes=1 << 16)
        self.journal.open()
        self.journal.own(1)
        self.mine = True
        self.settings = SimpleNamespace(emergency_reserve=30)
        lease: Any = SimpleNamespace(still_mine=lambda: self.mine)
        services: Any = SimpleNamespace(
            journal=self.journal,
            outcomes=self.books,
            snapshots=SimpleNamespace(current=SimpleNamespace(settings=self.settings)),
            halted=frozenset(),
            fleet=SimpleNamespace(comes_back=lambda _: None),
        )
        spec = ChannelSpec(1, "a", "cmpp20", "h", 1, "900001", "secret", access_code="1069", window=WINDOW)
        queue: Any = self.queue
        self.dispatcher = Dispatcher(spec, lease, queue, services)
        line: Any = self.line
        self.dispatcher.transport = line
        self._ids = iter(range(1, 1000))

    def part(self, lane: Lane = Lane.NOTICE, seconds: float | None = 60.0) -> Claimed:
        """A part that is valid for so long from now on."""
        until = None if seconds is None else clock.now() + timedelta(seconds=seconds)
        return Claimed(next(self._ids), 1, 1, 1, "8613800138000", "x", "gsm7", "", lane, until, 5, 1, 1)

    async def claim(self, *parts: Claimed) -> bool:
        self.queue.parts += parts
        return await self.dispatcher._claim_some()

    def answer(self, n: int) -> None:
        self.line.out -= n
        self.dispatcher._pump()


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    one = Bench(tmp_path)
    yield one
    await one.dispatcher.end()
    one.journal.close()


async def test_what_is_no_longer_valid_is_not_written(bench: Bench) -> None:
    over, just, valid, for_ever = (bench.part(seconds=s) for s in (-60.0, 0.0, 60.0, None))
    assert await bench.claim(over, just, valid, for_ever)
    assert (bench.line.written, bench.books.back) == ([valid.id, for_ever.id], [over.id, just.id])
    assert {key[0] for key in bench.journal.open_keys()} == {valid.id, for_ever.id}


async def test_nothing_is_claimed_or_written_without_the_lease(bench: Bench) -> None:
    bench.line.out = WINDOW
    waiting = bench.part()
    assert await bench.claim(waiting)
    bench.mine = False
    bench.answer(WINDOW)
    assert bench.line.written == []
    assert not await bench.claim(bench.part())
    bench.mine = True
    bench.answer(0)
    assert bench.line.written == [waiting.id]


async def test_a_lease_that_ends_in_the_midst_of_a_write_stops_what_the_sockets_do_not_have(bench: Bench) -> None:
    """The process was stopped between the look at its lease and the write: it looks again right before that."""
    bench.line.on_flush = lambda: setattr(bench, "mine", False)
    part = bench.part()
    assert await bench.claim(part)
    assert bench.line.written == []
    assert {key[0] for key in bench.journal.open_keys()} == {part.id}, "whoever reads this knows no better"


async def test_a_lease_that_ends_during_the_journal_stops_the_write(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = bench.journal.write

    def slow(keys: Sequence[Any]) -> None:
        write(keys)
        bench.mine = False

    monkeypatch.setattr(bench.journal, "write", slow)
    part = bench.part()
    await bench.claim(part)
    assert (bench.line.written, bench.books.back) == ([], [part.id])


async def test_places_of_the_window_are_kept_for_emergencies_while_there_are_any(bench: Bench) -> None:
    await bench.claim(*(bench.part() for _ in range(WINDOW)))
    assert len(bench.line.written) == WINDOW, "there are none: all of it is for everybody"
    bench.line.written.clear()
    bench.line.out = 0
    first = bench.part(Lane.EMERGENCY)
    await bench.claim(first)
    assert bench.line.written == [first.id]
    await bench.claim(*(bench.part() for _ in range(WINDOW)))
    assert len(bench.line.written) == WINDOW - 3, "three of ten are kept"
    more = [bench.part(Lane.EMERGENCY) for _ in range(3)]
    await bench.claim(*more)
    assert bench.line.written[-3:] == [part.id for part in more], "and they are for those"
    assert bench.line.room == 0


async def test_what_is_kept_for_emergencies_is_of_the_places_that_can_be_used(bench: Bench) -> None:
    """Of three connections two are in doubt: what is left is less than a share of all."""
    bench.settings.emergency_reserve = 50
    bench.line.shut = 6
    first = bench.part(Lane.EMERGENCY)
    await bench.claim(first)
    others = [bench.part() for _ in range(WINDOW - 1)]
    await bench.claim(*others)
    assert bench.line.written == [first.id, others[0].id], "two of four are kept, of which one is used"


async def test_an_emergency_finds_room_though_others_have_taken_all_of_it(bench: Bench) -> None:
    bench.line.out = WINDOW
    await bench.claim(*(bench.part() for _ in range(WINDOW)))
    assert bench.queue.asked == [(WINDOW, False)]
    assert not await bench.claim(bench.part()), "no room ahead"
    await bench.claim(*(bench.part(Lane.EMERGENCY) for _ in range(5)))
    assert bench.queue.asked[1:] == [(3, True)]
    assert bench.dispatcher._ready.urgent == 3
    bench.queue.asked.clear()
    assert not await bench.claim()
    assert bench.queue.asked == [], "the reserve, and no more"
    bench.settings.emergency_reserve = 0
    bench.dispatcher._ready.clear()
    bench.queue.parts = [bench.part(Lane.EMERGENCY) for _ in range(2)]
    bench.dispatcher._ready.add([bench.part() for _ in range(WINDOW)])
    await bench.claim()
    assert bench.queue.asked == [(1, True)], "one at least"


async def test_claims_are_made_in_halves_of_the_window(bench: Bench) -> None:
    bench.line.out = WINDOW
    await bench.claim(*(bench.part() for _ in range(6)))
    assert not await bench.claim(bench.part()), "room for four of ten is not asked for"
    assert bench.queue.asked == [(10, False)]
    bench.answer(1)
    await bench.claim()
    assert bench.queue.asked == [(10, False), (5, False)]


NO_CLAIMS: dict[str, Callable[[Bench], object]] = {
    "full": lambda bench: setattr(bench.books, "full", True),
    "draining": lambda bench: setattr(bench.dispatcher, "spec", replace(bench.dispatcher.spec, desired="draining")),
    "unreachable": lambda bench: setattr(bench.line, "reachable", 0),
    "stalled": lambda bench: (setattr(bench.line, "outstanding", 1), setattr(bench.dispatcher, "_answered_at", 0.0)),
    "stopping": lambda bench: bench.dispatcher.stop(),
}


@pytest.mark.parametrize("why", NO_CLAIMS)
async def test_nothing_is_claimed_when(bench: Bench, why: str) -> None:
    NO_CLAIMS[why](bench)
    assert not await bench.claim(bench.part())
    assert bench.queue.asked == []


async def test_what_is_given_back_is_what_was_not_written(bench: Bench) -> None:
    bench.line.out = WINDOW - 1
    parts = [bench.part() for _ in range(3)]
    await bench.claim(*parts)
    assert bench.line.written == [parts[0].id]
    bench.dispatcher.stop()
    assert bench.books.back == [parts[1].id, parts[2].id]
    bench.answer(WINDOW)
    assert bench.line.written == [parts[0].id]


@pytest.mark.parametrize("where", ["prepare", "submit"])
async def test_what_cannot_be_encoded_is_refused_and_its_neighbours_go_out(bench: Bench, where: str) -> None:
    bad, good = bench.part(), bench.part()
    bench.line.cannot[bad.id] = where
    await bench.claim(bad, good)
    assert bench.line.written == [good.id]
    assert [(o.id, o.kind, o.code) for o in bench.books.said] == [(bad.id, OutcomeKind.REFUSED, "UNENCODABLE")]
    assert bench.books.back == []


async def test_what_is_not_written_because_the_connection_has_ended_goes_back(bench: Bench) -> None:
    parts = [bench.part() for _ in range(3)]
    bench.line.cannot = {parts[1].id: "end", parts[2].id: "end"}
    await bench.claim(*parts)
    assert (bench.line.written, bench.books.back) == ([parts[0].id], [parts[1].id, parts[2].id])


async def test_ids_that_are_ours_to_make_are_in_the_journal_before_anything_is_written(bench: Bench) -> None:
    part = bench.part()
    bench.line.names[part.id] = "301000001112416300000000"
    seen: list[dict[Any, Any]] = []
    name = bench.journal.name

    def named(names: Any) -> None:
        name(names)
        seen.append(dict(names))
        assert bench.line.written == []

    bench.journal.name = named  # type: ignore[method-assign]
    bench.line.on_flush = lambda: seen.append({"flushed": len(seen)})
    await bench.claim(part)
    assert seen == [{part.key: bench.line.names[part.id]}, {"flushed": 1}]


async def test_answers_make_room_and_slow_the_pace(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [bench.part() for _ in range(WINDOW + 1)]
    await bench.claim(*parts[:WINDOW])
    await bench.claim(parts[WINDOW])
    bench.dispatcher._answered_at = 0.0
    bench.line.out -= 2
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(Pacer, "answered", lambda _, now, taken, too_fast: told.append((taken, too_fast)))
    bench.dispatcher.on_answers(
        [
            Outcome(*parts[0].key, OutcomeKind.ACCEPTED),
            Outcome(*parts[1].key, OutcomeKind.DEFERRED, cls="FREQ_CARRIER", delay=2.0),
        ]
    )
    assert told == [(1, 1)]
    assert bench.queue.deferred == [2.0]
    assert bench.dispatcher._answered_at > 0.0
    assert [o.id for o in bench.books.said] == [parts[0].id, parts[1].id]
    assert bench.line.written[-1] == parts[WINDOW].id, "what waited has the place that is free"


async def test_a_submit_without_an_answer_is_no_sign_of_life(bench: Bench) -> None:
    part = bench.part()
    await bench.claim(part)
    bench.dispatcher._answered_at = 0.0
    bench.dispatcher.on_lost([Outcome(*part.key, OutcomeKind.UNKNOWN)])
    assert bench.dispatcher._answered_at == 0.0
    assert [o.kind for o in bench.books.said] == [OutcomeKind.UNKNOWN]


def part(id_: int, lane: Lane, *, number: int = 1, account: int = 1) -> Claimed:
    return Claimed(id_, number, 2, 1, "8613800138000", "x", "gsm7", "", lane, None, 5, 1, account)


def ids(ready: Ready, n: int = 1000) -> list[int]:
    return [claimed.id for claimed in ready.take(n)]


def test_lanes_go_in_order_and_marketing_is_overtaken_for_so_long() -> None:
    ready = Ready()
    ready.add([part(1, Lane.MARKETING), part(2, Lane.NOTICE)])
    ready.add([part(3, Lane.OTP), part(4, Lane.EMERGENCY), part(5, Lane.NOTICE)])
    assert (len(ready), ready.urgent, ids(ready)) == (5, 1, [4, 3, 2, 5, 1])
    ready = Ready()  # codes overtake marketing only for so long
    ready.add([part(7, Lane.OTP, number=1), part(7, Lane.OTP, number=2), part(8, Lane.OTP)])
    ready.add([part(9, Lane.OTP)])
    assert [(c.id, c.part) for c in ready.take(9)] == [(7, 1), (7, 2), (8, 1), (9, 1)]
    ready = Ready()
    ready.add([part(1, Lane.OTP), part(2, Lane.OTP, account=2), part(3, Lane.EMERGENCY)])
    taken = ready.take(2)
    ready.put_back(taken)
    assert [c.id for c in ready] == [3, 1, 2]
    assert [c.id for c in ready.remove({2})] == [2]
    assert not ready.remove({2})
    assert [c.id for c in ready.clear()] == [3, 1]
    assert not ready
    ready = Ready()
    ready.add([part(1, Lane.MARKETING)])
    overtaken = 0
    while True:
        ready.add([part(100, Lane.OTP)])
        if ids(ready, 1) == [1]:
            break
        overtaken += 1
    assert overtaken <= HEAD_START * (Lane.MARKETING - Lane.OTP)


async def test_changes_of_channels_are_for_themselves_and_end() -> None:
    changes = Changes()
    gate = asyncio.Event()

    async def slow() -> None:
        await gate.wait()

    async def quick() -> None:
        pass

    held = changes.begin(1, slow())
    await changes.begin(2, quick())
    await asyncio.sleep(0)
    assert list(changes) == [1]
    with pytest.raises(RuntimeError):
        changes.begin(1, quick())
    gate.set()
    await held
    await asyncio.sleep(0)
    assert not changes
    await changes.begin(1, quick())
    changes = Changes()  # a failure is the channels own and what takes too long is cut short

    async def fails() -> None:
        raise OSError("no")

    changes.begin(1, fails())
    held = changes.begin(2, asyncio.Event().wait())  # type: ignore[arg-type]
    await changes.end(0.05)
    assert held.cancelled()
    await asyncio.sleep(0)
    assert not changes


async def test_lately_waits_for_what_was_begun_under_this_configuration_only() -> None:
    changes = Changes()
    gates = {1: asyncio.Event(), 2: asyncio.Event()}

    async def work(channel_id: int) -> None:
        await gates[channel_id].wait()

    changes.begin(1, work(1))
    changes.newer()
    changes.begin(2, work(2))
    waiting = aio.spawn(changes.lately(), name="waiting")
    await asyncio.sleep(0)
    assert not waiting.done()
    gates[2].set()
    await waiting
    assert list(changes) == [1]
    await changes.lately()
    gates[1].set()
    await changes.end(60.0)
    assert not changes
