"""Vectors in the context that each one states, and client and server on one wire."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from playbook import decide

from smsgw.protocols.cmpp import pdus as cmpp_pdus, rules as cmpp
from smsgw.protocols.cmpp.auth import authenticator_ismg, authenticator_source
from smsgw.protocols.dialects import CMPP20, CMPP30, SGIP12, SMGP30, SMPP34, Dialect, by_name
from smsgw.protocols.events import Answer, Bound, Closed, CloseNow, Event, LoginRequest, Request, Violation
from smsgw.protocols.pdu import Pdu, Unknown
from smsgw.protocols.rules import Rules
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.sgip import pdus as sgip_pdus, rules as sgip
from smsgw.protocols.smgp import pdus as smgp_pdus, rules as smgp
from smsgw.protocols.smgp.auth import authenticator_client
from smsgw.protocols.smpp import pdus as smpp_pdus, rules as smpp
from smsgw.protocols.states import Role, State

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "vectors.json").read_text("utf-8"))
MALFORMED = VECTORS["malformed"]
STREAMS = VECTORS["streams"]
PDUS = {case["id"]: case for case in VECTORS["pdus"]}
SECRET = "hello-secret"
STAMP = 102030405
CONFIG = SessionConfig(keepalive_interval=30.0)
BINDS: dict[str, type[Any]] = {
    "BOUND_TX": smpp_pdus.BindTransmitter,
    "BOUND_RX": smpp_pdus.BindReceiver,
    "BOUND_TRX": smpp_pdus.BindTransceiver,
}


class Party:
    """A session with an owner that says yes to every request and knows one account per protocol."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.now = 1000.0
        self.events: list[Event] = []
        session.start(self.now)
        self.sent = session.output()

    def hears(self, data: bytes) -> list[Event]:
        events = self.session.receive(data, self.now)
        for event in events:
            if isinstance(event, Request):
                self.session.answer(event)
            elif isinstance(event, LoginRequest):
                decide(self.session, event, SECRET, self.now)
        events += self.session.tick(self.now)
        self.events += events
        return events

    def says(self) -> list[Pdu]:
        """The PDUs that the session has written since."""
        dialect = self.session.dialect
        return [dialect.decode(frame) for frame in dialect.framer().feed(self.session.output())]


def connect(dialect: Dialect) -> bytes:
    return dialect.encode(
        cmpp_pdus.Connect(
            sequence=1,
            source_addr="901234",
            authenticator_source=authenticator_source("901234", SECRET, STAMP),
            version=0x20 if dialect is CMPP20 else 0x30,
            timestamp=STAMP,
        )
    )


def cmpp_client(first_sequence: int) -> Party:
    rules = cmpp.client("901234", SECRET, 0x30, timestamp=lambda: STAMP)
    return Party(Session(rules, config=CONFIG, first_sequence=first_sequence))


def logged_in_cmpp_client(first_sequence: int) -> Party:
    party = cmpp_client(first_sequence)
    proof = authenticator_ismg(0, authenticator_source("901234", SECRET, STAMP), SECRET, 4)
    answer = cmpp_pdus.ConnectResp(sequence=first_sequence, authenticator_ismg=proof, version=0x30)
    assert party.hears(CMPP30.encode(answer)) == [Bound(answer)]
    return party


def in_context(case: dict[str, Any]) -> Party:
    """A party in the state that the case describes in words."""
    context, protocol = case["context"], case["protocol"]
    if protocol == "smpp34":
        bound = re.search(r"BOUND_\w+", context)
        if context.startswith("client"):
            sequence = int.from_bytes(bytes.fromhex(case["hex"])[12:16], "big")
            party = Party(Session(smpp.client("esme", SECRET), config=CONFIG, first_sequence=sequence - 1))
            party.hears(SMPP34.encode(smpp_pdus.BindTransceiverResp(sequence=sequence - 1)))
            if "nothing outstanding" not in context:
                assert party.session.request(smpp_pdus.SubmitSm(), party.now, "tag") == sequence
        else:
            party = Party(Session(smpp.server(), config=CONFIG))
            if bound:
                party.hears(SMPP34.encode(BINDS[bound.group()](sequence=1, password=SECRET)))
    elif protocol == "sgip12":
        numbering = sgip.Numbering(110020, lambda: STAMP)
        party = Party(Session(sgip.server(numbering=numbering), config=CONFIG))
        party.hears(SGIP12.encode(sgip_pdus.Bind(login_name="sp", login_password=SECRET)))
    elif protocol == "smgp30":
        party = Party(Session(smgp.server(), config=CONFIG))
        digest = authenticator_client("90123456", SECRET, STAMP)
        login = smgp_pdus.Login(client_id="90123456", authenticator_client=digest, timestamp=STAMP)
        party.hears(SMGP30.encode(login))
    elif context.startswith("client; sent CONNECT"):
        party = cmpp_client(23)
    elif context.startswith("client; ACTIVE_TEST"):
        party = logged_in_cmpp_client(117)
        party.now += 30
        party.session.tick(party.now)
        assert [pdu.sequence for pdu in party.says()] == [118]
    elif context.startswith("client; logged in"):
        party = logged_in_cmpp_client(1)
    else:
        party = Party(Session(cmpp.server(), config=CONFIG))
        if "logged in" in context:
            party.hears(connect(by_name(protocol)))
            assert party.session.dialect.name == protocol
    party.session.output()
    party.events.clear()
    return party


def still_serves(party: Party) -> bool:
    """Whether a keep-alive of the peer is answered."""
    tests: dict[str, type[Pdu]] = {
        "smpp": smpp_pdus.EnquireLink,
        "cmpp": cmpp_pdus.ActiveTest,
        "smgp": smgp_pdus.ActiveTest,
    }
    dialect = party.session.dialect
    party.hears(dialect.encode(tests[dialect.protocol.name](sequence=555)))
    return [pdu.sequence for pdu in party.says()] == [555]


def check_reply(reply: Pdu, expected: dict[str, Any]) -> None:
    assert reply.command_id == int(expected["command_id"], 16)
    if expected.get("sequence") is not None:
        assert reply.sequence == expected["sequence"]
    if "result_in" in expected:
        assert getattr(reply, "result") in expected["result_in"]  # noqa: B009
    if "status_in" in expected:
        status = getattr(reply, "status") if hasattr(reply, "status") else getattr(reply, "command_status")  # noqa: B009
        assert status in expected["status_in"]
    if "Msg_Id_hex" in expected:
        assert getattr(reply, "msg_id") == int(expected["Msg_Id_hex"], 16)  # noqa: B009
    if "AuthenticatorISMG_hex" in expected:
        assert getattr(reply, "authenticator_ismg").hex() == expected["AuthenticatorISMG_hex"]  # noqa: B009
    if expected.get("body_omitted"):
        assert getattr(reply, "body_omitted")  # noqa: B009


@pytest.mark.parametrize("case", MALFORMED, ids=lambda case: case["id"])
def test_malformed(case: dict[str, Any]) -> None:
    party = in_context(case)
    expect = case["expect"]
    events = party.hears(bytes.fromhex(case["hex"]))
    replies = party.says()
    expected = expect["reply"]
    if expected is None:
        assert replies == []
    elif not (expected.get("optional") and not replies):
        assert len(replies) == 1
        check_reply(replies[0], expected)

    statuses = (expected or {}).get("result_in") or (expected or {}).get("status_in") or [0]
    if 0 not in statuses or expect["frame"] != "ok":
        assert not any(isinstance(event, Request) for event in events), "taken for a good message"
    if expect["frame"] == "incomplete":
        assert events == []

    closing = any(isinstance(event, CloseNow) for event in events)
    if expect["connection"] == "close":
        assert closing
    elif expect["connection"] == "keep":
        assert not closing
        if expect["frame"] == "ok":
            assert still_serves(party)
    assert party.session.closed("end of test", party.now)


def the(identity: str) -> dict[str, Any]:
    return next(case for case in MALFORMED if case["id"] == identity)


def test_answers_that_are_short_or_without_nul_are_taken() -> None:
    case = the("cmpp-connect-resp-short-form")
    party = in_context(case)
    party.hears(bytes.fromhex(case["hex"]))
    assert party.session.dialect is CMPP20
    assert any(isinstance(event, Bound) for event in party.events)
    case = the("smpp-resp-without-nul")  # an answer without nul gives its id
    party = in_context(case)
    (answer,) = party.hears(bytes.fromhex(case["hex"]))
    assert isinstance(answer, Answer)
    assert answer.tag == "tag"
    assert getattr(answer.pdu, "message_id") == "9"  # noqa: B009


def expected_octets(stream: dict[str, Any]) -> list[str]:
    return [PDUS[name]["hex"] for name in stream["expect"]]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream["id"])
def test_streams(stream: dict[str, Any]) -> None:
    party = in_context({**stream, "hex": ""})
    replies = []
    for chunk in stream["chunks_hex"]:
        party.hears(bytes.fromhex(chunk))
        replies += party.says()
    dialect = party.session.dialect
    taken = [dialect.encode(event.pdu).hex() for event in party.events if isinstance(event, Request)]
    keepalives = {cmpp_pdus.ActiveTest.command_id, smpp_pdus.EnquireLink.command_id}
    wanted = [dialect.decode(bytes.fromhex(octets)) for octets in expected_octets(stream)]
    assert taken == [dialect.encode(pdu).hex() for pdu in wanted if pdu.command_id not in keepalives]
    assert sorted(pdu.sequence for pdu in replies) == sorted(pdu.sequence for pdu in wanted)
    assert len(party.events) == len(taken)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream["id"])
def test_a_stream_cut_at_every_position_gives_the_same_events(stream: dict[str, Any]) -> None:
    octets = bytes.fromhex("".join(stream["chunks_hex"]))
    # A bad body and an unknown answer behind the good ones, then a length that cannot be.
    header = 16 if stream["protocol"] == "smpp34" else 12
    octets += header.to_bytes(4, "big") + b"\x00\x00\x00\x04" + bytes(header - 12) + b"\x00\x00\x00\x09"
    octets += header.to_bytes(4, "big") + b"\x80\x00\x00\x04" + bytes(header - 12) + b"\x00\x00\x00\x0a"
    octets += b"\x00\x00\x00\x07"

    def outcome(*chunks: bytes) -> list[object]:
        party = in_context({**stream, "hex": ""})
        for chunk in chunks:
            party.hears(chunk)
        return [(Request, event.pdu, event.serial) if isinstance(event, Request) else event for event in party.events]

    whole = outcome(octets)
    assert len(whole) >= 5
    for cut in range(len(octets) + 1):
        assert outcome(octets[:cut], octets[cut:]) == whole, cut
    assert outcome(*(octets[at : at + 1] for at in range(len(octets)))) == whole


PASSWORD = "secret"


def smpp_client(bind: str, config: SessionConfig) -> Session:
    return Session(smpp.client("esme", PASSWORD, bind=bind), config=config)


def paired_cmpp(version: int, config: SessionConfig) -> Session:
    return Session(cmpp.client("901234", PASSWORD, version, timestamp=lambda: 102030405), config=config)


def sgip_client(login_type: int, config: SessionConfig) -> Session:
    rules = sgip.client("sp", PASSWORD, numbering=sgip.Numbering(3010012345, stamp), login_type=login_type)
    return Session(rules, config=config)


def smgp_client(version: int, mode: int, config: SessionConfig) -> Session:
    rules = smgp.client("90123456", PASSWORD, version, timestamp=stamp, login_mode=mode)
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
    "cmpp20": lambda config: paired_cmpp(0x20, config),
    "cmpp21": lambda config: paired_cmpp(0x21, config),
    "cmpp30": lambda config: paired_cmpp(0x30, config),
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
                decide(self.session, event, PASSWORD, now)
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
    text, dialect, state = f"message {number}".encode(), side.session.dialect, side.session.state
    client = side.session.rules.role is Role.CLIENT
    if dialect in (CMPP20, CMPP30):
        submit = cmpp_pdus.Submit(dest_terminal_id=("1",), msg_content=text)
        return submit if client else cmpp_pdus.Deliver(msg_id=number, msg_content=text)
    if dialect is SGIP12:
        submits = sgip_pdus.Submit(user_number=("8613800138000",), message_content=text)
        return (submits if state is State.BOUND_TX else sgip_pdus.Deliver(message_content=text)) if client else None
    if state is (State.BOUND_RX if client else State.BOUND_TX):
        return None
    if dialect is SMPP34:
        return smpp_pdus.SubmitSm(short_message=text) if client else smpp_pdus.DeliverSm(short_message=text)
    if client:
        return smgp_pdus.Submit(dest_term_id=("1",), msg_content=text)
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


def test_either_side_may_leave() -> None:
    for name in CLIENTS:
        wire = wired(name)
        wire.server.session.close(wire.now)
        wire.roundtrip()
        assert wire.server.events == [CloseNow("closed")]
        assert wire.client.events == [CloseNow("peer-logout")]
    for name in CLIENTS:  # both leave at once
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
