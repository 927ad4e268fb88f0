"""What the wire makes of a session's events, what it takes in, and what of it is recorded."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from smsgw.channels import profiles
from smsgw.channels.intake import LOOK_AT_ROOM, Intake
from smsgw.channels.wire import submit_recording as module
from smsgw.channels.wire.listener import Listeners, Numberings
from smsgw.channels.wire.mapping import INTERMEDIATE
from smsgw.channels.wire.submit_recording import Keeping
from smsgw.channels.wire.transport import WireTransport
from smsgw.core.guessing import Guesses
from smsgw.core.model import ChannelSpec, Claimed, Inbound, Outcome, OutcomeKind, Report, SubmitRecording
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes import submit_log
from smsgw.pipeline.outcomes.submit_log import PER_SECOND, SubmitLog
from smsgw.protocols.cmpp.pdus import Submit
from smsgw.protocols.dialects import CMPP20, DIALECTS
from smsgw.protocols.events import Answer, Closed, Expired, Late, Request
from smsgw.protocols.session import NotBound, SessionConfig
from smsgw.protocols.states import SENDING
from smsgw.runtime import clock

SPEC = ChannelSpec(1, "a", "cmpp20", "h", 1, "900001", "secret", access_code="1069")
LOG = SubmitLog(cast("Any", None))
"""Of a node whose channels are not recorded: it is never written."""


class Channel:
    """As ``Traffic``."""

    waiting = False

    def __init__(self) -> None:
        self.told: list[tuple[str, list[Any]]] = []
        self.durable: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def on_answers(self, outcomes: list[Outcome]) -> None:
        self.told.append(("answers", outcomes))

    def on_lost(self, outcomes: list[Outcome]) -> None:
        self.told.append(("lost", outcomes))

    def on_incoming(self, incoming: object, source: object) -> asyncio.Future[Any]:
        self.told.append(("incoming", [incoming]))
        return self.durable

    def on_change(self) -> None: ...

    def on_room(self) -> None: ...


class Session:
    """With a window, and what it was asked to do."""

    def __init__(self, window: int = 4) -> None:
        self.window = window
        self.state = next(iter(SENDING))
        self.out: list[Any] = []
        self.answered: list[Request] = []
        self.forgotten: list[Request] = []
        self.answer, self.forget = self.answered.append, self.forgotten.append
        self.over = False
        self.config = SessionConfig(keepalive_interval=None)
        self.heard_at = 0.0

    @property
    def window_free(self) -> int:
        return self.window - len(self.out)

    @property
    def outstanding(self) -> int:
        return len(self.out)

    def request(self, pdu: Any, now: float, tag: Claimed) -> None:
        if self.over:
            raise NotBound
        if pdu == "too long":
            raise ValueError(pdu)
        self.out.append(tag)


class Link:
    """With a session of its own."""

    def __init__(self, window: int = 4) -> None:
        self.name = f"a/{id(self)}"
        self.session = Session(window)
        self.writable = True
        self.flushed = 0
        self.answered = 0

    def flush(self, may: Callable[[], bool]) -> None:
        self.flushed += may()

    def flush_soon(self) -> None:
        self.flushed += 1


class Mapping:
    """Of which each test says what it makes."""

    incoming_is: Any = INTERMEDIATE
    outcome_is: Any = OutcomeKind.ACCEPTED
    name = ""

    def submit(self, claimed: Claimed) -> str:
        return claimed.content

    def written(self, pdu: str) -> str:
        return self.name and self.name + pdu

    def incoming(self, pdu: object) -> Any:
        return self._said(self.incoming_is)

    def outcome(self, claimed: Claimed, answer: object, status: int) -> Outcome:
        return Outcome(*claimed.key, self._said(self.outcome_is))

    def _said(self, what: Any) -> Any:
        if isinstance(what, Exception):
            raise what
        return what


class Wire:
    def __init__(self) -> None:
        self.channel, self.mapping = Channel(), Mapping()
        profile = profiles.parse({}, SPEC.protocol)
        self.transport: Any = WireTransport(SPEC, profile, self.channel, Listeners(Guesses()), Numberings(), LOG)
        self.transport._mapping = self.mapping

    def links(self, *windows: int) -> list[Link]:
        self.transport._connections.outgoing[:] = made = [Link(window) for window in windows]
        return made

    def submit(self, *parts: Claimed) -> Any:
        return self.transport.submit([(part, self.transport.prepare(part)) for part in parts], 0.0)


@pytest.fixture
async def wire() -> Wire:
    return Wire()


def part(id_: int, content: str = "x") -> Claimed:
    return Claimed(id_, 1, 1, 1, "8613800138000", content, "ascii", "", 2, None, 5, 1, 1)


def request() -> Request:
    return Request(pdu=None, serial=1)  # type: ignore[arg-type]


def answer(n: int) -> Any:
    return Answer(tag=part(n), pdu=None, status=0, elapsed=0.0)  # type: ignore[arg-type]


async def test_parts_go_to_the_emptiest_link_first_and_only_links_with_submits_are_written(wire: Wire) -> None:
    small, large, idle, deaf = wire.links(2, 3, 1, 9)
    deaf.writable = False
    assert (wire.transport.room, wire.transport.window) == (6, 15)
    submitted = wire.submit(*(part(n) for n in range(1, 6)))
    assert (submitted.named, submitted.refused, submitted.unsent) == ([], [], [])
    assert [p.id for p in large.session.out] == [1, 2, 3]
    assert [p.id for p in small.session.out] == [4, 5]
    assert not small.flushed + large.flushed, "not an octet before it is told to"
    wire.transport.flush(lambda: True)
    wire.transport.flush(lambda: True)
    assert [link.flushed for link in (small, large, idle, deaf)] == [1, 1, 0, 0]
    assert (wire.transport.room, wire.transport.window_used) == (1, 5)
    wire.submit(part(6))
    wire.transport.flush(lambda: False)
    assert [link.flushed for link in (small, large, idle, deaf)] == [1, 1, 0, 0], "each is asked whether it may"


async def test_what_is_not_on_its_way_is_told(wire: Wire) -> None:
    (link,) = wire.links(4)
    submitted = wire.submit(part(1, "too long"), part(2))
    ((refused, _),) = submitted.refused
    assert refused.id == 1
    link.session.over = True
    assert [p.id for p in wire.submit(part(3)).unsent] == [3]
    wire.links()
    assert [p.id for p in wire.submit(part(4)).unsent] == [4]


class Torn:
    """A recording that can keep nothing."""

    left_out = 0

    def submitted(self, *_: object) -> None:
        raise ValueError("a PDU that cannot be written down")

    answered = submitted

    def leave_out(self) -> None:
        self.left_out += 1


async def test_what_a_recording_cannot_keep_was_sent_all_the_same(wire: Wire) -> None:
    (link,) = wire.links(4)
    wire.transport._keeping = torn = Torn()
    link.session.dialect = None  # type: ignore[attr-defined]
    submitted = wire.submit(part(1), part(2))
    assert [p.id for p in link.session.out] == [1, 2]
    assert (submitted.refused, submitted.unsent) == ([], []), "else they would be sent once more"
    wire.transport.on_events(link, [answer(1), answer(2)])
    ((_, outcomes),) = wire.channel.told
    assert ([o.id for o in outcomes], torn.left_out) == ([1, 2], 4)


async def test_an_id_of_our_own_is_told_before_it_is_written_and_again_when_the_answer_is_lost(wire: Wire) -> None:
    (link,) = wire.links(4)
    wire.mapping.name = "our-"
    one, two, three = part(1, "a"), part(2, "b"), part(3, "c")
    assert wire.submit(one, two, three).named == [(one.key, "our-a"), (two.key, "our-b"), (three.key, "our-c")]
    wire.transport.on_events(link, [Expired(tag=one), Closed(why="reset", lost=(two,))])
    ((_, lost),) = wire.channel.told
    assert [(o.kind, o.code, o.carrier_id) for o in lost] == [
        (OutcomeKind.UNKNOWN, "ANSWER_TIMEOUT", "our-a"),
        (OutcomeKind.UNKNOWN, "LINK_LOST", "our-b"),
    ]
    wire.transport.on_events(link, [Answer(tag=three, pdu=None, status=0, elapsed=0.0)])  # type: ignore[arg-type]
    assert wire.transport._written == {}


async def test_answers_of_one_moment_are_told_together_late_ones_included(wire: Wire) -> None:
    (link,) = wire.links(4)
    events: Any = [Answer(tag=part(1), pdu=None, status=0, elapsed=0.0), Late(tag=part(2), pdu=None, status=0)]
    wire.transport.on_events(link, events)
    assert [(how, [o.id for o in outcomes]) for how, outcomes in wire.channel.told] == [("answers", [1, 2])]


async def test_an_answer_that_cannot_be_understood_is_unknown_and_its_neighbours_do_not_suffer(wire: Wire) -> None:
    (link,) = wire.links(4)
    wire.mapping.outcome_is = RuntimeError("a mistake")
    wire.transport.on_events(link, [answer(1)])
    ((how, (outcome,)),) = wire.channel.told
    assert (how, outcome.kind, outcome.code) == ("answers", OutcomeKind.UNKNOWN, "ANSWER_UNREADABLE")


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "Too many open files"), MemoryError()], ids=repr)
async def test_what_cannot_be_read_for_want_of_something_is_not_answered(wire: Wire, error: Exception) -> None:
    (link,) = wire.links(4)
    wire.mapping.incoming_is = error
    wire.transport.on_events(link, [request()])
    assert (len(link.session.forgotten), len(link.session.answered)) == (1, 0)


@pytest.mark.parametrize(
    "incoming",
    [INTERMEDIATE, ValueError("no sense"), RuntimeError("ours")],
    ids=["intermediate", "ValueError", "RuntimeError"],
)
async def test_what_there_is_nothing_to_store_of_is_answered_at_once(wire: Wire, incoming: Any) -> None:
    (link,) = wire.links(4)
    wire.mapping.incoming_is = incoming
    wire.transport.on_events(link, [request()])
    assert (len(link.session.forgotten), len(link.session.answered)) == (0, 1)
    assert wire.channel.told == []


@pytest.mark.parametrize("end", ["stored", "failed", "cancelled"])
async def test_the_carrier_is_answered_when_what_it_brought_is_durable(wire: Wire, end: str) -> None:
    (link,) = wire.links(4)
    wire.mapping.incoming_is = "a report"
    wire.transport.on_events(link, [request()])
    await asyncio.sleep(0)
    assert (link.session.forgotten, link.session.answered) == ([], [])
    match end:
        case "stored":
            wire.channel.durable.set_result(1)
        case "failed":
            wire.channel.durable.set_exception(ValueError("of this one"))
        case _:
            wire.channel.durable.cancel()
    await asyncio.sleep(0)
    stored = end == "stored"
    assert (len(link.session.answered), len(link.session.forgotten)) == (stored, not stored)


def test_nothing_of_a_report_is_read_from_disk_when_the_first_one_comes() -> None:
    code = (
        "import sys, smsgw.channels.wire.mapping, smsgw.core.text;"
        "print({'_strptime', 'encodings.utf_16_be', 'encodings.gb18030'} - sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"


NOW = datetime(2026, 11, 25, tzinfo=UTC)
REPLY = Inbound(channel_id=1, carrier_id="7", number="8613800138000", to_code="1069", text="x", received_at=NOW)


def report(state: PartState) -> Report:
    return Report(1, "7", state, "x", "", "8613800138000", NOW)


class Books:
    """As ``Outcomes``."""

    def __init__(self) -> None:
        self.full = False
        self.roomy = True
        self.stored: list[object] = []

    def report(self, fact: object) -> asyncio.Future[Any]:
        self.stored.append(fact)
        return asyncio.get_running_loop().create_future()

    inbound = report


class Line:
    """As ``Source``."""

    def __init__(self) -> None:
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.read = True

    def pause_reading(self) -> None:
        self.read = False

    def resume_reading(self) -> None:
        self.read = True


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def test_what_comes_is_stored_and_only_a_delivery_is_a_sign_of_life() -> None:
    books: Any = Books()
    intake, line = Intake(books), Line()
    intake.take(REPLY, line)
    durable = intake.take(report(PartState.UNDELIVERABLE), line)
    assert intake.delivered_at == float("-inf")
    assert not durable.done()
    intake.take(report(PartState.DELIVERED), line)
    assert intake.delivered_at > 0
    assert len(books.stored) == 3
    assert line.read


async def test_who_brings_more_than_can_be_stored_is_read_again_when_there_is_room_for_a_while() -> None:
    books: Any = Books()
    books.full, books.roomy = True, False
    intake, line, gone = Intake(books), Line(), Line()
    for source in (line, gone):
        intake.take(REPLY, source)
        assert not source.read
    gone.closed.set_result("gone")
    books.full = False
    await asyncio.sleep(LOOK_AT_ROOM * 2)
    assert not line.read, "not yet"
    books.roomy = True
    await until(lambda: line.read)
    assert not gone.read, "one that is gone is let go"


ANSWER = b"\x00" * 21


class Desk:
    """A channel that is being recorded, on a loop's clock of its own."""

    def __init__(self, hours: float = 1.0) -> None:
        self.log = SubmitLog(cast("Any", None))
        until = clock.now() + timedelta(hours=hours)
        self.keeping = Keeping(3, SubmitRecording(7, until), self.log)

    def submit(self, id_: int, at: float = 10.0) -> None:
        self.keeping.submitted(CMPP20, Submit(sequence=id_, dest_terminal_id=("8613800138000",)), part(id_), at)

    def answer(self, id_: int) -> None:
        self.keeping.answered(CMPP20, part(id_), ANSWER)

    @property
    def kept(self) -> list[tuple[int, bool]]:
        return [(one.message_id, one.ours) for one in self.log._waiting]

    @property
    def left_out(self) -> int:
        tally = self.log._tallies.get(7)
        return tally.left_out if tally else 0


async def test_a_submit_and_its_answer_are_kept_as_they_were() -> None:
    desk = Desk()
    desk.submit(1)
    desk.answer(1)
    desk.answer(1)  # once more: of no submit that waits
    desk.answer(2)
    submit, answer = desk.log._waiting
    assert (submit.ours, answer.ours) == (True, False)
    assert CMPP20.decode(submit.pdu).dest_terminal_id == ("8613800138000",)
    assert answer.pdu == ANSWER
    assert (answer.recording, answer.channel_id, answer.protocol) == (7, 3, "cmpp20")


async def test_of_each_second_only_so_many_are_kept() -> None:
    desk = Desk()
    for n in range(1, PER_SECOND + 21):
        desk.submit(n)
    assert (len(desk.kept), desk.left_out) == (PER_SECOND, 20)
    desk.submit(1000, 11.0)
    assert desk.kept[-1] == (1000, True)
    desk.answer(PER_SECOND + 1)
    assert len(desk.kept) == PER_SECOND + 1, "no answer without its submit"
    desk = Desk(-1.0)  # when the time is over or it is full nothing is kept
    desk.submit(1)
    desk.submit(2, 12.0)
    assert (desk.kept, desk.left_out) == ([], 0)
    desk = Desk()
    desk.log._full.add(7)
    desk.submit(1)
    assert (desk.kept, desk.left_out) == ([], 1)


async def test_a_database_that_takes_nothing_costs_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit_log, "MOST_WAITING", 30)
    monkeypatch.setattr(module, "MOST_OPEN", 25)
    desk = Desk()
    for n in range(1, 201):
        desk.submit(n, float(n))
        desk.answer(n)
    assert (len(desk.kept), desk.left_out) == (30, 185)
    for n in range(201, 301):
        desk.keeping._open[part(n).key] = None
        desk.answer(n)
    assert len(desk.kept) == 60, "answers to what was taken, and no more"


def test_no_submit_of_any_protocol_has_a_field_for_a_password() -> None:
    seen = 0
    for dialect in DIALECTS.values():
        for pdu in dialect.pdus.values():
            if "Submit" in pdu.__name__:
                seen += 1
                assert not [name for name, kind in pdu.__wire__.items() if kind.secret], pdu.__name__
    assert seen >= 10
