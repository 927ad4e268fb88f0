"""The malformed PDUs and the streams of the vectors, fed to real sessions in the context that each one states."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playbook import decide

from smsgw.protocols.cmpp import pdus as cmpp_pdus
from smsgw.protocols.cmpp import rules as cmpp
from smsgw.protocols.cmpp.auth import authenticator_ismg, authenticator_source
from smsgw.protocols.dialects import CMPP20, CMPP30, SGIP12, SMGP30, SMPP34, Dialect, by_name
from smsgw.protocols.events import Answer, Bound, CloseNow, Event, LoginRequest, Request
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.sgip import pdus as sgip_pdus
from smsgw.protocols.sgip import rules as sgip
from smsgw.protocols.smgp import pdus as smgp_pdus
from smsgw.protocols.smgp import rules as smgp
from smsgw.protocols.smgp.auth import authenticator_client
from smsgw.protocols.smpp import pdus as smpp_pdus
from smsgw.protocols.smpp import rules as smpp

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


def test_a_short_connect_resp_goes_on_in_2x() -> None:
    case = the("cmpp-connect-resp-short-form")
    party = in_context(case)
    party.hears(bytes.fromhex(case["hex"]))
    assert party.session.dialect is CMPP20
    assert any(isinstance(event, Bound) for event in party.events)


def test_an_answer_without_nul_gives_its_id() -> None:
    case = the("smpp-resp-without-nul")
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
