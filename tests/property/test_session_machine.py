"""Whatever happens in whatever order: each tag comes back once, the window holds, no number is used twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from smsgw.protocols.cmpp import pdus as cmpp_pdus, rules as cmpp
from smsgw.protocols.events import Answer, Bound, Closed, CloseNow, Event, Expired, Late, Request
from smsgw.protocols.pdu import Unknown
from smsgw.protocols.session import NotBound, Session, SessionConfig, WindowFull
from smsgw.protocols.sgip import pdus as sgip_pdus, rules as sgip
from smsgw.protocols.smgp import pdus as smgp_pdus, rules as smgp
from smsgw.protocols.smpp import pdus as smpp_pdus, rules as smpp
from smsgw.protocols.states import BOUND, OVER, State

WINDOW = 4
MAX_EXPIRED = 6
CONFIG = SessionConfig(
    window=WINDOW, response_timeout=10.0, keepalive_interval=7.0, keepalive_timeout=3.0, keepalive_attempts=3,
    max_expired=MAX_EXPIRED, max_violations_per_minute=1_000_000, max_unanswered_in=3,
)  # fmt: skip
#: Hardly more numbers than can be in use at once, so that they collide.
NUMBERS = (1, WINDOW + MAX_EXPIRED + 16 + 2)


class SmallSmpp(smpp.Client):
    sequences = NUMBERS


class SmallCmpp(cmpp.Client):
    sequences = NUMBERS


class SmallSmgp(smgp.Client):
    sequences = NUMBERS


class SmallNumbering(sgip.Numbering):
    """The clock of a node that stands still, and a counter that has hardly more values than can be in use."""

    def next(self) -> tuple[int, int, int]:
        node, time, counter = super().next()
        return node, time, counter % NUMBERS[1]


class Conversation(RuleBasedStateMachine):
    """A client session; the machine is the peer, the owner, the clock and the transport."""

    requests: tuple[type[Any], ...] = ()
    keepalive: type[Any] | None
    logout: type[Any]
    inbound: type[Any]

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.session = self.make()
        self.framer = self.session.dialect.framer()
        self.tags = 0
        self.waiting: dict[int, tuple[Any, Any]] = {}  # tag → number, request as it stood on the wire
        self.expired: dict[int, tuple[Any, Any]] = {}  # oldest first, as many as the session remembers
        self.settled: set[int] = set()
        self.corrected: set[int] = set()
        self.tests: list[Any] = []
        self.logout_number: Any = None
        self.owed: list[Request] = []
        self.asked: list[Any] = []  # numbers of the peer's requests that the owner has not been given
        self.close_now = False

    def make(self) -> Session:
        raise LookupError("made by the protocol's machine")

    def login_answer(self, sequence: Any) -> Any:
        raise LookupError("made by the protocol's machine")

    @initialize()
    def log_in(self) -> None:
        self.session.start(self.now)
        (login,) = self.written()
        events = self.session.receive(self.octets(self.login_answer(login.sequence)), self.now)
        assert any(isinstance(event, Bound) for event in events)

    def octets(self, pdu: Any) -> bytes:
        return self.session.dialect.encode(pdu)

    def written(self) -> list[Any]:
        return [self.session.dialect.decode(frame) for frame in self.framer.feed(self.session.output())]

    def number(self, n: int) -> Any:
        """A sequence number as the peer writes it."""
        return n

    def in_use(self) -> set[Any]:
        return {number for number, _ in [*self.waiting.values(), *self.expired.values()]}

    def answer_to(self, number: Any, request: Any) -> Any:
        return self.session.dialect.response_class(request)(sequence=number)  # type: ignore[misc]

    def feed(self, data: bytes, cut: int = 0) -> None:
        """The peer says something, in two reads."""
        at = cut % (len(data) + 1)
        for chunk in (data[:at], data[at:]):
            if chunk:
                self.digest(self.session.receive(chunk, self.now))

    def digest(self, events: list[Event]) -> None:
        """Check every event against what has happened."""
        for event in events:
            assert not (self.close_now and isinstance(event, Answer | Late | Expired | Request)), "after CloseNow"
            match event:
                case Answer(tag=int(tag), pdu=pdu):
                    number, _ = self.waiting.pop(tag)
                    assert pdu.sequence == number
                    self.settle(tag)
                case Expired(tag=int(tag)):
                    self.expired[tag] = self.waiting.pop(tag)
                    if len(self.expired) > MAX_EXPIRED:
                        del self.expired[next(iter(self.expired))]
                    self.settle(tag)
                case Late(tag=int(tag), pdu=pdu):
                    number, _ = self.expired.pop(tag)
                    assert pdu.sequence == number
                    assert tag not in self.corrected
                    self.corrected.add(tag)
                case Request(pdu=pdu):
                    self.owed.append(event)
                    if self.session.state in BOUND:
                        assert pdu.sequence == self.asked[0], "out of order"
                    self.asked.remove(pdu.sequence)  # while we leave, some may come again later
                case CloseNow():
                    assert not self.close_now, "said twice"
                    self.close_now = True
                case Closed(lost=lost):
                    assert list(lost) == list(self.waiting)
                    for tag in list(self.waiting):
                        del self.waiting[tag]
                        self.settle(tag)
                case _:
                    pass
        self.observe()

    def settle(self, tag: int) -> None:
        assert tag not in self.settled, "came back twice"
        self.settled.add(tag)

    def observe(self) -> None:
        """What went out by itself: keep-alives, logout, answers."""
        for pdu in self.written():
            if self.keepalive is not None and isinstance(pdu, self.keepalive):
                assert pdu.sequence not in self.in_use()
                self.tests = [*self.tests, pdu.sequence][-16:]
            elif isinstance(pdu, self.logout):
                assert pdu.sequence not in self.in_use()
                self.logout_number = pdu.sequence
            else:
                assert not isinstance(pdu, self.requests), "a request that nobody asked for"

    @rule(kinds=st.lists(st.integers(0, 9), min_size=1, max_size=WINDOW + 1))
    def ask(self, kinds: list[int]) -> None:
        for kind in kinds:
            self.ask_one(kind)

    def ask_one(self, kind: int) -> None:
        self.observe()
        used = self.in_use()
        pdu = self.requests[kind % len(self.requests)]()
        tag = self.tags
        try:
            number = self.session.request(pdu, self.now, tag)
        except WindowFull:
            assert len(self.waiting) == WINDOW
            return
        except NotBound:
            assert self.session.state not in BOUND
            return
        assert len(self.waiting) < WINDOW
        assert number not in used, "a number that is in use"
        assert number not in self.tests[-3:]
        self.tags += 1
        assert type(number) is type(self.number(1))
        (sent,) = self.written()
        assert sent.sequence == number
        self.waiting[tag] = (number, sent)

    @precondition(lambda self: self.owed)
    @rule(which=st.integers(0, 9))
    def reply(self, which: int) -> None:
        request = self.owed.pop(which % len(self.owed))
        if which == 9:
            self.session.forget(request)
        else:
            answered = self.session.answer(request)
            assert answered is (self.session.state not in OVER)
        self.observe()

    @rule(yes=st.booleans())
    def shell_reads(self, yes: bool) -> None:
        """Or not; what comes all the same must be dealt with."""
        self.session.reading(yes, self.now)

    @precondition(lambda self: self.tags >= 8)
    @rule()
    def leave(self) -> None:
        self.session.close(self.now)

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 9), cut=st.integers(0, 99), twice=st.booleans())
    def peer_answers(self, which: int, cut: int, twice: bool) -> None:
        tag = list(self.waiting)[which % len(self.waiting)]
        over = self.session.state in OVER
        answer = self.octets(self.answer_to(*self.waiting[tag]))
        self.feed(answer * (2 if twice else 1), cut)
        assert tag not in self.waiting or self.session.state in OVER
        assert tag in self.waiting or not over

    @precondition(lambda self: self.expired)
    @rule(which=st.integers(0, 9), cut=st.integers(0, 99))
    def peer_answers_late(self, which: int, cut: int) -> None:
        tag = list(self.expired)[which % len(self.expired)]
        over = self.session.state in OVER
        self.feed(self.octets(self.answer_to(*self.expired[tag])), cut)
        assert tag in self.corrected or self.session.state in OVER
        assert not (over and tag in self.corrected)

    @precondition(lambda self: self.waiting)
    @rule(which=st.integers(0, 9))
    def peer_gives_the_wrong_answer(self, which: int) -> None:
        tag, (number, request) = list(self.waiting.items())[which % len(self.waiting)]
        for other in self.requests:
            if other is not type(request):
                self.feed(self.octets(self.session.dialect.response_class(other.command_id)(sequence=number)))  # type: ignore[misc]
                assert tag in self.waiting

    @precondition(lambda self: self.tests)
    @rule()
    def peer_is_alive(self) -> None:
        assert self.keepalive is not None
        self.feed(self.octets(self.answer_to(self.tests.pop(), self.keepalive())))

    @rule(sequence=st.integers(1, 99), cut=st.integers(0, 400))
    def peer_asks(self, sequence: int, cut: int) -> None:
        if self.session.state in BOUND or self.session.state is State.DRAINING:
            self.asked.append(self.number(sequence))
        self.feed(self.octets(self.inbound(sequence=self.number(sequence))), cut)
        assert self.session.owed == len(self.owed) or self.session.state in OVER
        assert len(self.owed) <= 3 or self.session.state in OVER

    @precondition(lambda self: self.tags >= 8 or not self.session.rules.faults.closes_on_syntax)
    @rule(
        command=st.sampled_from([0x0BAD, 0x80000BAD, 4, 0x80000004, 5, 0x80000000, 0x80000005]),
        body=st.binary(max_size=40),
        sequence=st.integers(200, 0xFFFFFFFF),
    )
    def peer_talks_rubbish(self, command: int, body: bytes, sequence: int) -> None:
        self.feed(self.octets(Unknown(command, self.number(sequence), 0, body)))

    @precondition(lambda self: self.tags >= 8)
    @rule()
    def peer_leaves(self) -> None:
        self.feed(self.octets(self.logout(sequence=self.number(77))))

    @precondition(lambda self: self.logout_number is not None)
    @rule()
    def peer_lets_us_go(self) -> None:
        assert self.logout_number is not None
        self.feed(self.octets(self.answer_to(self.logout_number, self.logout())))
        self.logout_number = None

    @rule(counter=st.integers(*NUMBERS))
    def many_requests_later(self, counter: int) -> None:
        """The numbers have gone round, and may stand anywhere."""
        self.session._counter = counter

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 3.0, 7.0, 12.0]), punctual=st.booleans())
    def time_passes(self, seconds: float, punctual: bool) -> None:
        until = self.now + seconds
        if punctual:
            for _ in range(200):
                due = self.session.deadline()
                if due is None or due > until:
                    break
                self.now = max(self.now, due)
                self.digest(self.session.tick(self.now))
            else:
                raise AssertionError("the deadline stands still")
        self.now = until
        self.digest(self.session.tick(until))
        due = self.session.deadline()
        assert due is None or due > until, "due again at once"

    @precondition(lambda self: self.close_now)
    @rule()
    def shell_closes(self) -> None:
        self.digest(self.session.closed("closed", self.now))
        assert not self.waiting
        assert self.session.closed("again", self.now) == []

    @invariant()
    def books_agree(self) -> None:
        if self.session.state is State.OPEN:
            return
        assert self.session.outstanding == len(self.waiting) <= WINDOW
        assert self.session.window_free == (WINDOW - len(self.waiting) if self.session.state in BOUND else 0)
        numbers = [number for number, _ in [*self.waiting.values(), *self.expired.values()]]
        assert len(numbers) == len(set(numbers))

    def teardown(self) -> None:
        self.digest(self.session.closed("torn down", self.now))
        assert not self.waiting
        assert self.settled == set(range(self.tags)), "a tag was lost"


class SmppConversation(Conversation):
    requests = (smpp_pdus.SubmitSm, smpp_pdus.QuerySm)
    keepalive = smpp_pdus.EnquireLink
    logout = smpp_pdus.Unbind
    inbound = smpp_pdus.DeliverSm

    def make(self) -> Session:
        rules = smpp.client("esme", "secret")
        rules.__class__ = SmallSmpp
        return Session(rules, config=CONFIG)

    def login_answer(self, sequence: Any) -> Any:
        return smpp_pdus.BindTransceiverResp(sequence=sequence, system_id="smsc")


class CmppConversation(Conversation):
    requests = (cmpp_pdus.Submit, cmpp_pdus.Cancel)
    keepalive = cmpp_pdus.ActiveTest
    logout = cmpp_pdus.Terminate
    inbound = cmpp_pdus.Deliver

    version = 0x30

    def make(self) -> Session:
        rules = cmpp.client("901234", "secret", self.version, timestamp=lambda: 101000000)
        rules.__class__ = SmallCmpp
        return Session(rules, config=replace(CONFIG, keepalive_interval=5.0))

    def login_answer(self, sequence: Any) -> Any:
        return cmpp_pdus.ConnectResp(sequence=sequence, version=self.version)


class Cmpp20Conversation(CmppConversation):
    version = 0x20


class SmgpConversation(Conversation):
    requests = (smgp_pdus.Submit, smgp_pdus.Query)
    keepalive = smgp_pdus.ActiveTest
    logout = smgp_pdus.Exit
    inbound = smgp_pdus.Deliver

    version = smgp.V30

    def make(self) -> Session:
        rules = smgp.client("90123456", "secret", self.version, timestamp=lambda: 101000000)
        rules.__class__ = SmallSmgp
        return Session(rules, config=CONFIG)

    def login_answer(self, sequence: Any) -> Any:
        return smgp_pdus.LoginResp(sequence=sequence, server_version=self.version)


class Smgp13Conversation(SmgpConversation):
    version = smgp.V13


class SgipConversation(Conversation):
    requests = (sgip_pdus.Submit, sgip_pdus.Trace)
    keepalive = None
    logout = sgip_pdus.Unbind
    inbound = sgip_pdus.Deliver  # tolerated on the SP's own connection

    def make(self) -> Session:
        self.numbering = SmallNumbering(3010012345, lambda: 101000000)
        return Session(sgip.client("sp", "secret", numbering=self.numbering), config=CONFIG)

    def login_answer(self, sequence: Any) -> Any:
        return sgip_pdus.BindResp(sequence=sequence)

    def number(self, n: int) -> Any:
        return (110020, 101000000, n)


MACHINES = {
    "cmpp20": Cmpp20Conversation, "cmpp30": CmppConversation, "smpp34": SmppConversation, "sgip12": SgipConversation,
    "smgp13": Smgp13Conversation, "smgp30": SmgpConversation,
}  # fmt: skip


@pytest.mark.parametrize("protocol", MACHINES)
def test_any_conversation(protocol: str) -> None:
    machine: type[Conversation] = MACHINES[protocol]
    assert machine().session.dialect.name.startswith(protocol[:4])
    case = machine.TestCase
    case.settings = settings(
        max_examples=100, stateful_step_count=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    case("runTest").runTest()
