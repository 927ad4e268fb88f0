"""Client and server on one wire, in memory: the two sides of one table must understand each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playbook import decide

from smsgw.protocols.cmpp import pdus as cmpp_pdus
from smsgw.protocols.cmpp import rules as cmpp
from smsgw.protocols.dialects import CMPP20, CMPP30, SGIP12, SMGP30, SMPP34
from smsgw.protocols.events import (
    Answer,
    Bound,
    Closed,
    CloseNow,
    Event,
    LoginRequest,
    Refused,
    Request,
    Violation,
)
from smsgw.protocols.pdu import Pdu, Unknown
from smsgw.protocols.rules import Rules
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.sgip import pdus as sgip_pdus
from smsgw.protocols.sgip import rules as sgip
from smsgw.protocols.smgp import pdus as smgp_pdus
from smsgw.protocols.smgp import rules as smgp
from smsgw.protocols.smpp import pdus as smpp_pdus
from smsgw.protocols.smpp import rules as smpp
from smsgw.protocols.states import Role, State

SECRET = "secret"


def smpp_client(bind: str, config: SessionConfig) -> Session:
    return Session(smpp.client("esme", SECRET, bind=bind), config=config)


def cmpp_client(version: int, config: SessionConfig) -> Session:
    return Session(cmpp.client("901234", SECRET, version, timestamp=lambda: 102030405), config=config)


def sgip_client(login_type: int, config: SessionConfig) -> Session:
    rules = sgip.client("sp", SECRET, numbering=sgip.Numbering(3010012345, stamp), login_type=login_type)
    return Session(rules, config=config)


def smgp_client(version: int, mode: int, config: SessionConfig) -> Session:
    rules = smgp.client("90123456", SECRET, version, timestamp=stamp, login_mode=mode)
    return Session(rules, config=config)


def stamp() -> int:
    return 102030405


def server_for(name: str) -> Rules:
    if name.startswith("sgip"):
        login_type = sgip.SMG_TO_SP if name == "sgip-deliver" else sgip.SP_TO_SMG
        return sgip.server(numbering=sgip.Numbering(110020, stamp), login_type=login_type)
    return {"smpp": smpp.server, "cmpp": cmpp.server, "smgp": smgp.server}[name[:4]]()


CLIENTS: dict[str, Callable[[SessionConfig], Session]] = {
    "smpp-transmitter": lambda config: smpp_client("transmitter", config),
    "smpp-receiver": lambda config: smpp_client("receiver", config),
    "smpp-transceiver": lambda config: smpp_client("transceiver", config),
    "cmpp20": lambda config: cmpp_client(0x20, config),
    "cmpp21": lambda config: cmpp_client(0x21, config),
    "cmpp30": lambda config: cmpp_client(0x30, config),
    "sgip-submit": lambda config: sgip_client(sgip.SP_TO_SMG, config),
    "sgip-deliver": lambda config: sgip_client(sgip.SMG_TO_SP, config),
    "smgp13": lambda config: smgp_client(0x13, smgp.BOTH, config),
    "smgp30": lambda config: smgp_client(0x30, smgp.BOTH, config),
    "smgp30-send": lambda config: smgp_client(0x30, smgp.SEND, config),
    "smgp30-receive": lambda config: smgp_client(0x30, smgp.RECEIVE, config),
}


class Side:
    """A session and an owner that admits who knows the secret and says yes to every request."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.events: list[Event] = []
        self.requests: list[Pdu] = []
        self.open = True

    def digest(self, events: list[Event], now: float) -> None:
        self.events += events
        for event in events:
            if isinstance(event, Request):
                self.requests.append(event.pdu)
                self.session.answer(event)
            elif isinstance(event, LoginRequest):
                decide(self.session, event, SECRET, now)
            elif isinstance(event, CloseNow):
                self.open = False


class Wire:
    """Two sides; `roundtrip` carries octets in pieces of `step` until nobody has anything more to say."""

    def __init__(self, client: Session, server: Session, step: int = 1 << 20) -> None:
        self.client, self.server = Side(client), Side(server)
        self.step = step
        self.now = 1000.0
        client.start(self.now)
        server.start(self.now)

    def roundtrip(self) -> None:
        for _ in range(10_000):
            moved = [self._carry(self.client, self.server), self._carry(self.server, self.client)]
            if not any(moved):
                return
        raise AssertionError("the two sides never stop talking")

    def _carry(self, source: Side, target: Side) -> bool:
        due = source.session.deadline()
        if due is not None and due <= self.now:
            source.digest(source.session.tick(self.now), self.now)
        data = source.session.output()
        for at in range(0, len(data), self.step):
            target.digest(target.session.receive(data[at : at + self.step], self.now), self.now)
        return bool(data)

    def pass_time(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            dues = [side.session.deadline() for side in (self.client, self.server)]
            self.now = min([until, *(max(due, self.now) for due in dues if due is not None)])
            for side in (self.client, self.server):
                side.digest(side.session.tick(self.now), self.now)
            self.roundtrip()


def wired(name: str, config: SessionConfig | None = None, step: int = 1 << 20) -> Wire:
    config = config or SessionConfig()
    wire = Wire(CLIENTS[name](config), Session(server_for(name), config=config), step)
    wire.roundtrip()
    assert [type(event) for event in wire.client.events] == [Bound]
    assert wire.client.session.state is wire.server.session.state
    assert wire.client.session.dialect is wire.server.session.dialect
    wire.client.events.clear()
    wire.server.events.clear()
    return wire


def request_of(side: Side, number: int) -> Any:
    """What this side may send in its state, or None."""
    text = f"message {number}".encode()
    client = side.session.rules.role is Role.CLIENT
    state = side.session.state
    if side.session.dialect in (CMPP20, CMPP30):
        return (
            cmpp_pdus.Submit(dest_terminal_id=("1",), msg_content=text)
            if client
            else cmpp_pdus.Deliver(msg_id=number, msg_content=text)
        )
    if side.session.dialect is SGIP12:
        if not client:
            return None
        if state is State.BOUND_TX:
            return sgip_pdus.Submit(user_number=("8613800138000",), message_content=text)
        return sgip_pdus.Deliver(message_content=text)
    if client:
        if state is State.BOUND_RX:
            return None
        if side.session.dialect is SMPP34:
            return smpp_pdus.SubmitSm(short_message=text)
        return smgp_pdus.Submit(dest_term_id=("1",), msg_content=text)
    if state is State.BOUND_TX:
        return None
    if side.session.dialect is SMPP34:
        return smpp_pdus.DeliverSm(short_message=text)
    return smgp_pdus.Deliver(msg_id=number.to_bytes(10, "big"), msg_content=text)


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
@pytest.mark.parametrize("name", CLIENTS)
def test_a_whole_conversation(name: str, step: int) -> None:
    wire = wired(name, step=step)
    sides = ((wire.client, wire.server), (wire.server, wire.client))
    for source, target in sides:
        sent = [request for number in range(10) if (request := request_of(source, number)) is not None]
        for number, request in enumerate(sent):
            source.session.request(request, wire.now, number)
        wire.roundtrip()
        assert target.requests == sent
        assert [(event.tag, event.status) for event in source.events if isinstance(event, Answer)] == [
            (number, 0) for number in range(len(sent))
        ]
    wire.client.session.close(wire.now)
    wire.roundtrip()
    assert wire.client.events[-1] == CloseNow("closed")
    assert wire.server.events[-1] == CloseNow("peer-logout")
    for side in (wire.client, wire.server):
        assert not any(isinstance(event, Violation) for event in side.events)
        assert side.session.closed("closed", wire.now) == [Closed("closed", ())]


@pytest.mark.parametrize("name", CLIENTS)
def test_the_server_leaves(name: str) -> None:
    wire = wired(name)
    wire.server.session.close(wire.now)
    wire.roundtrip()
    assert wire.server.events == [CloseNow("closed")]
    assert wire.client.events == [CloseNow("peer-logout")]


@pytest.mark.parametrize("name", CLIENTS)
def test_both_leave_at_once(name: str) -> None:
    wire = wired(name)
    wire.client.session.close(wire.now)
    wire.server.session.close(wire.now)
    for side in (wire.client, wire.server):
        side.digest(side.session.tick(wire.now), wire.now)
    wire.roundtrip()
    assert wire.client.events == wire.server.events == [CloseNow("closed")]


@pytest.mark.parametrize("name", [name for name in CLIENTS if not name.startswith("sgip")])
def test_keepalives_hold_an_hour_of_silence(name: str) -> None:
    wire = wired(name, SessionConfig(idle_timeout=120.0))
    wire.pass_time(3600.0)
    assert wire.client.events == wire.server.events == []
    assert wire.client.session.state in (State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX)


@pytest.mark.parametrize("name", [name for name in CLIENTS if name.startswith("sgip")])
def test_sgip_has_no_keepalive_and_leaves_politely_after_a_minute_of_silence(name: str) -> None:
    wire = wired(name, SessionConfig(idle_timeout=sgip.IDLE_TIMEOUT))
    wire.pass_time(59.9)
    assert wire.client.events == wire.server.events == []
    wire.pass_time(0.2)
    assert {event for side in (wire.client, wire.server) for event in side.events} == {CloseNow("idle")}


@pytest.mark.parametrize("version", [0x20, 0x30])
def test_a_wrong_secret_is_understood_in_both_layouts(version: int) -> None:
    config = SessionConfig()
    rules = cmpp.client("901234", "other", version, timestamp=lambda: 102030405)
    wire = Wire(Session(rules, config=config), Session(cmpp.server(), config=config))
    wire.roundtrip()
    assert [event.status for event in wire.client.events if isinstance(event, Refused)] == [cmpp.CONNECT_AUTH]
    assert not wire.client.open
    assert not wire.server.open


@given(
    name=st.sampled_from(sorted(CLIENTS)),
    to_server=st.booleans(),
    frames=st.lists(
        st.tuples(
            st.one_of(
                st.sampled_from([*SMPP34.pdus, *CMPP30.pdus, *SGIP12.pdus, *SMGP30.pdus, 0x0BAD, 0x80000BAD]),
                st.integers(0, 0xFFFFFFFF),
            ),
            st.integers(0, 0xFFFFFFFF),
            st.binary(max_size=80),
        ),
        max_size=8,
    ),
    tail=st.binary(max_size=30),
)
def test_no_octets_raise_and_none_are_answered_with_rubbish(
    name: str, to_server: bool, frames: list[tuple[int, int, bytes]], tail: bytes
) -> None:
    wire = wired(name, SessionConfig(max_violations_per_minute=1000))
    target = wire.server if to_server else wire.client
    dialect = target.session.dialect
    triple = dialect is SGIP12
    data = b"".join(
        dialect.encode(Unknown(command, (sequence, 0, 0) if triple else sequence, 0, body))
        for command, sequence, body in frames
    )
    target.digest(target.session.receive(data + tail, wire.now), wire.now)
    target.digest(target.session.tick(wire.now), wire.now)
    for frame in dialect.framer().feed(target.session.output()):
        assert not isinstance(dialect.decode(frame), Unknown)
    for event in target.session.closed("end", wire.now):
        assert event == Closed("end", ())
