"""SMPP sessions, told as playbooks; and what waits when more comes than can be taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from playbook import (
    Playbook,
    Step,
    admits,
    after,
    asks,
    closes,
    hears,
    loses_transport,
    refuses,
    replies,
    sees,
    sends,
    start,
)

from smsgw.protocols.cmpp import pdus as cmpp, rules as cmpp_rules
from smsgw.protocols.dialects import SMPP34
from smsgw.protocols.events import (
    Answer,
    Bound,
    Closed,
    CloseNow,
    Expired,
    Late,
    LoginRequest,
    Notice,
    Refused,
    Request,
    Violation,
)
from smsgw.protocols.pdu import Tlv, Unknown
from smsgw.protocols.session import AlreadyAnswered, NotBound, Session, SessionConfig, WindowFull
from smsgw.protocols.smpp import rules
from smsgw.protocols.smpp.pdus import (
    AlertNotification,
    BindReceiver,
    BindReceiverResp,
    BindTransceiver,
    BindTransceiverResp,
    BindTransmitter,
    BindTransmitterResp,
    DataSm,
    DataSmResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    QuerySm,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from smsgw.protocols.states import Kind, Role, State

QUIET = SessionConfig(keepalive_interval=None)
BINDS = {
    "transmitter": (BindTransmitter, BindTransmitterResp, State.BOUND_TX),
    "receiver": (BindReceiver, BindReceiverResp, State.BOUND_RX),
    "transceiver": (BindTransceiver, BindTransceiverResp, State.BOUND_TRX),
}


def esme(bind: str = "transceiver", config: SessionConfig = QUIET, first_sequence: int | None = None) -> Session:
    return Session(rules.client("esme", "secret", bind=bind), config=config, first_sequence=first_sequence)


def bound_esme(bind: str = "transceiver", config: SessionConfig = QUIET, first_sequence: int | None = None) -> Playbook:
    request, response, _ = BINDS[bind]
    book = Playbook(esme(bind, config, first_sequence)) << start() >> sends(request)
    return book << hears(response(sequence=first_sequence or 1, system_id="smsc")) >> Bound


def smsc(config: SessionConfig = QUIET) -> Playbook:
    return Playbook(Session(rules.server(system_id="smsc"), config=config)) << start()


def bound_smsc(bind: str = "transceiver", config: SessionConfig = QUIET) -> Playbook:
    request, response, _ = BINDS[bind]
    book = smsc(config) << hears(request(sequence=1, system_id="esme", interface_version=0x34)) >> LoginRequest
    return book << admits() >> sends(response, command_status=0)


def test_each_bind_leads_to_its_state_on_both_sides() -> None:
    for bind in BINDS:
        request, response, state = BINDS[bind]
        book = Playbook(esme(bind)) << start() >> sends(request, sequence=1, system_id="esme", password="secret")
        (book << hears(response(sequence=1, system_id="smsc")) >> sees(Bound)).done()
        assert book.session.state is state
        server = bound_smsc(bind)
        server.done()
        assert server.session.state is state
    for version, tlvs in ((0x00, 0), (0x33, 0), (0x34, 1), (0x50, 1), (0xFF, 1)):  # any interface version is welcome
        book = smsc() << hears(BindTransceiver(sequence=7, interface_version=version)) >> LoginRequest
        wanted = (Tlv(0x0210, b"\x34"),) * tlvs
        (book << admits() >> sends(BindTransceiverResp, sequence=7, system_id="smsc", tlvs=wanted)).done()


def test_a_refused_bind_ends_the_connection_with_its_status() -> None:
    book = smsc() << hears(BindReceiver(sequence=104, system_id="x")) >> LoginRequest
    book << refuses(14) >> sees(CloseNow, why="refused")
    (book >> sends(BindReceiverResp, sequence=104, command_status=14, body_omitted=True)).done()
    book = Playbook(esme()) << start() >> sends(BindTransceiver)  # a refusal reaches the client with its status
    book << hears(BindTransceiverResp(sequence=1, command_status=0x0D))
    (book >> sees(Refused, status=0x0D, reason="ESME_RBINDFAIL (0xd)") >> CloseNow).done()
    book = Playbook(esme()) << start() >> sends(BindTransceiver)  # a nack may refuse the bind
    (book << hears(GenericNack(sequence=1, command_status=3)) >> sees(Refused, status=3) >> CloseNow).done()
    book = Playbook(esme()) << start() >> sends(BindTransceiver)  # the answer of another bind is not taken
    (book << hears(GenericNack(sequence=1)) >> sees(Refused, status=0) >> CloseNow).done()
    book = Playbook(esme()) << start() >> sends(BindTransceiver)
    book << hears(BindReceiverResp(sequence=1)) >> sees(Violation, kind="wrong-answer")
    (book << after(10) >> sees(CloseNow, why="login-timeout")).done()
    book = smsc() << hears(bytes.fromhex("00000012 00000009 00000000 00000001 4142"))
    book >> sees(Violation, kind="malformed") >> sees(CloseNow, why="malformed-login")
    (book >> sends(BindTransceiverResp, sequence=1, command_status=2)).done()


def test_second_binds_and_peers_that_give_up() -> None:
    book = bound_smsc() << hears(BindReceiver(sequence=2)) >> sees(Violation, kind="wrong-state")
    (book >> sends(BindReceiverResp, sequence=2, command_status=5)).done()
    book = smsc() << hears(BindReceiver(sequence=1), BindReceiver(sequence=2)) >> LoginRequest
    book >> sees(Violation, kind="wrong-state") >> sends(BindReceiverResp, sequence=2, command_status=5)
    (book << admits() >> sends(BindReceiverResp, sequence=1, command_status=0)).done()
    book = smsc() << hears(BindReceiver(sequence=1), Unbind(sequence=2)) >> LoginRequest >> CloseNow
    book >> sends(UnbindResp, sequence=2)
    assert not book.session.admit(book.login, now=book.now)
    assert not book.session.refuse(book.login, 13, now=book.now)
    book.done()
    book = smsc() << hears(BindReceiver(sequence=1)) >> LoginRequest << after(10)  # the look up takes too long
    (book >> sees(CloseNow, why="login-timeout")).done()
    assert not book.session.admit(book.login, now=book.now)


def test_a_request_before_the_bind_is_refused_and_the_bind_may_follow() -> None:
    """Section 2.2.1: ESME_RINVBNDSTS. The layouts of SMPP do not depend on the bind, so nothing is lost yet."""
    book = smsc() << hears(SubmitSm(sequence=5)) >> sees(Violation, kind="wrong-state")
    book >> sends(SubmitSmResp, sequence=5, command_status=4)
    book << hears(bytes.fromhex("00000012 00000004 00000000 00000006 ffff")) >> sees(Violation, kind="malformed")
    book >> sends(SubmitSmResp, sequence=6, command_status=2)
    (book << hears(BindTransceiver(sequence=7, system_id="esme")) >> LoginRequest).done()
    (smsc() << hears(EnquireLink(sequence=3)) >> sends(EnquireLinkResp, sequence=3)).done()
    session = Session(rules.client("esme", "secret"), config=QUIET)  # outbind is a notice
    assert session.receive(SMPP34.encode(Outbind(sequence=1, system_id="smsc")), 0.0) == [
        Notice(Outbind(sequence=1, system_id="smsc"))
    ]
    (bound_esme() << hears(AlertNotification(sequence=2, source_addr="1")) >> Notice).done()


def test_who_may_do_what() -> None:
    with pytest.raises(NotBound, match="SubmitSm cannot be sent in state BOUND_RX"):
        bound_esme("receiver") << asks(SubmitSm(), "a")
    book = bound_smsc("receiver") << hears(SubmitSm(sequence=101)) >> sees(Violation, kind="wrong-state")
    (book >> sends(SubmitSmResp, sequence=101, command_status=4, body_omitted=True)).done()
    with pytest.raises(NotBound):  # a transmitter is not delivered to but takes a stray receipt
        bound_smsc("transmitter") << asks(DeliverSm(), "a")
    book = bound_esme("transmitter") << hears(DeliverSm(sequence=5))
    book >> sees(Violation, kind="wrong-state") >> Request
    (book << replies() >> sends(DeliverSmResp, sequence=5, command_status=0, message_id="")).done()
    for request in (SubmitSm(), EnquireLink(), Unbind(), BindTransceiver(), SubmitSmResp(), Unknown(0x110)):
        with pytest.raises(NotBound):
            esme().request(request, 0.0, "a")
        with pytest.raises(NotBound):
            bound_esme().session.request(request if not isinstance(request, SubmitSm) else DeliverSm(), 0.0, "a")
    for book in (bound_esme("receiver"), bound_smsc("transmitter")):  # data sm goes both ways
        sequence = 2 if book.session.rules.role is Role.CLIENT else 1
        book << asks(DataSm(), "a") >> sends(DataSm, sequence=sequence)
        book << hears(DataSmResp(sequence=sequence, message_id="7")) >> sees(Answer, tag="a")
        (book << hears(DataSm(sequence=9)) >> Request << replies(message_id="8") >> sends(DataSmResp)).done()
    # What a session does with each request, driven through all bound states, agrees with the matrix.
    for bind, (_, _, state) in BINDS.items():
        for op in rules.MATRIX.operations:
            if op.kind is not Kind.DATA:
                continue
            for book, peer in ((bound_esme(bind), Role.SERVER), (bound_smsc(bind), Role.CLIENT)):
                events = book.session.receive(SMPP34.encode(op.request(sequence=77)), book.now)
                taken = any(isinstance(event, Request) for event in events)
                allowed = state in op.senders(peer) or state in op.tolerated
                assert taken is allowed, (bind, op.request, peer)
                if not taken:
                    answer = SMPP34.decode(book.session.output())
                    assert answer == op.answer(77, {"command_status": 4})


def test_answers_come_in_any_order_and_nacks_are_answers() -> None:
    book = bound_esme()
    for tag in "abc":
        book << asks(SubmitSm(), tag) >> sends(SubmitSm)
    book << hears(SubmitSmResp(sequence=4), SubmitSmResp(sequence=2, command_status=0x58), SubmitSmResp(sequence=3))
    (book >> sees(Answer, tag="c") >> sees(Answer, tag="a", status=0x58) >> sees(Answer, tag="b")).done()
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2)  # a nack is an answer
    (book << hears(GenericNack(sequence=2, command_status=1)) >> sees(Answer, tag="a", status=1)).done()
    book << asks(SubmitSm(), "b") >> sends(SubmitSm, sequence=3) << after(60) >> Expired
    (book << hears(GenericNack(sequence=3, command_status=8)) >> sees(Late, tag="b", status=8)).done()
    for pdu in (GenericNack(sequence=0, command_status=3), GenericNack(sequence=99), Unknown(0x80000BAD, 5)):
        (bound_smsc() << hears(pdu) >> sees(Violation, kind="unknown-answer")).done()


def test_wrong_and_late_answers() -> None:
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm)
    book << hears(SubmitSmResp(sequence=2), SubmitSmResp(sequence=2)) >> Answer
    (book >> sees(Violation, kind="unknown-answer")).done()
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2)
    book << hears(QuerySmResp(sequence=2)) >> sees(Violation, kind="wrong-answer")
    (book << hears(SubmitSmResp(sequence=2)) >> sees(Answer, tag="a")).done()
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2) << after(60) >> Expired
    book << hears(QuerySmResp(sequence=2)) >> sees(Violation, kind="unknown-answer")
    (book << hears(SubmitSmResp(sequence=2)) >> Late).done()
    book = bound_esme(config=replace(QUIET, max_expired=2))  # the memory of expired requests is bounded
    for tag in "abc":
        book << asks(SubmitSm(), tag) >> sends(SubmitSm)
    book << after(60) >> Expired >> Expired >> Expired
    book << hears(SubmitSmResp(sequence=2)) >> sees(Violation, kind="unknown-answer")
    (book << hears(SubmitSmResp(sequence=4)) >> sees(Late, tag="c")).done()


def test_each_request_is_answered_once_within_the_window() -> None:
    book = bound_smsc() << hears(SubmitSm(sequence=2)) >> Request
    request = book.requests[0]
    book << replies(message_id="1") >> sends(SubmitSmResp, message_id="1")
    with pytest.raises(AlreadyAnswered):
        book.session.answer(request)
    assert book.session.owed == 0
    book = bound_smsc() << hears(SubmitSm(sequence=0xA2859F22)) >> Request
    (book << replies(pdu=SubmitSmResp(message_id="x")) >> sends(SubmitSmResp, sequence=0xA2859F22)).done()
    book = bound_smsc() << hears(SubmitSm(sequence=2), SubmitSm(sequence=2)) >> Request >> Request
    book << replies(message_id="1") >> sends(SubmitSmResp, message_id="1")
    (book << replies(message_id="2") >> sends(SubmitSmResp, message_id="2")).done()
    book = bound_esme(config=replace(QUIET, window=2))  # window
    book << asks(SubmitSm(), 1) >> sends(SubmitSm) << asks(QuerySm(), 2) >> sends(QuerySm)
    assert (book.session.window_free, book.session.outstanding) == (0, 2)
    with pytest.raises(WindowFull):
        book.session.request(SubmitSm(), book.now, 3)
    book << hears(SubmitSmResp(sequence=2)) >> Answer << asks(SubmitSm(), 3) >> sends(SubmitSm, sequence=4)
    book.session.window = 1
    assert book.session.window_free == 0
    book.done()
    book = bound_esme()  # a field that does not fit leaves no trace
    with pytest.raises(ValueError, match="destination_addr"):
        book.session.request(SubmitSm(destination_addr="1" * 30), book.now, "a")
    assert book.session.outstanding == 0
    (book << asks(SubmitSm(), "b") >> sends(SubmitSm)).done()


def test_numbers_wrap_and_one_in_use_is_stepped_over() -> None:
    book = bound_esme(first_sequence=0x7FFFFFFE)
    book << asks(SubmitSm(), 1) >> sends(SubmitSm, sequence=0x7FFFFFFF)
    (book << asks(SubmitSm(), 2) >> sends(SubmitSm, sequence=1)).done()
    book = bound_esme(first_sequence=0x7FFFFFFB)  # a number in use is stepped over after the wrap
    for tag, number in ((1, 0x7FFFFFFC), (2, 0x7FFFFFFD), (3, 0x7FFFFFFE)):
        book << asks(SubmitSm(), tag) >> sends(SubmitSm, sequence=number)
        if tag == 1:
            book << after(60) >> sees(Expired, tag=1)
    book << hears(SubmitSmResp(sequence=0x7FFFFFFE)) >> sees(Answer, tag=3)
    book.session._counter = 0x7FFFFFFC  # two thousand million requests later
    book << asks(SubmitSm(), 4) >> sends(SubmitSm, sequence=0x7FFFFFFE)
    (book << hears(SubmitSmResp(sequence=0x7FFFFFFC)) >> sees(Late, tag=1)).done()
    book.session._counter = 0x7FFFFFFC
    (book << asks(SubmitSm(), 5) >> sends(SubmitSm, sequence=0x7FFFFFFC)).done()


def test_violations_and_frames_have_their_limits() -> None:
    config = replace(QUIET, max_violations_per_minute=2)
    stray = Unknown(0x80000BAD, 5)
    book = bound_smsc(config=config) << hears(stray, stray) >> Violation >> Violation << after(60)
    book << hears(stray, stray) >> Violation >> Violation
    book << hears(stray, SubmitSm(sequence=2)) >> Violation >> sees(CloseNow, why="too-many-violations")
    book.done()
    assert book.session.receive(SMPP34.encode(SubmitSm(sequence=3)), book.now) == []
    octets = SMPP34.encode(EnquireLink(sequence=2))  # a frame must come whole in time
    book = bound_smsc() << hears(octets[:3]) << after(29) << hears(octets[3:]) >> sends(EnquireLinkResp)
    book << hears(octets[:3]) << after(20) << hears(octets[3:8]) << after(9.9)
    (book << after(0.2) >> sees(CloseNow, why="frame-timeout")).done()
    octets = SMPP34.encode(EnquireLink(sequence=2))  # a frame that follows another has its own time
    book = bound_smsc() << hears(octets + octets[:3]) >> sends(EnquireLinkResp) << after(29)
    (book << hears(octets[3:] + octets[:3]) >> sends(EnquireLinkResp) << after(29)).done()
    book = bound_smsc() << hears(SubmitSm(sequence=2), bytes.fromhex("0000000f0000001500000000000000 09"))
    said = "length 15 is outside 16..66560"
    book >> Request >> sees(Violation, kind="framing", detail=said) >> sees(CloseNow, why="framing")
    (book >> sends(GenericNack, sequence=9, command_status=2)).done()
    book = smsc() << hears(b"GET / HTTP/1.1\r\n\r\n") >> sees(Violation, kind="framing")
    (book >> sees(CloseNow, why="framing")).done()


def test_a_peer_that_does_not_read_is_cut_off() -> None:
    session = bound_smsc(config=replace(QUIET, max_output=100)).session
    links = SMPP34.encode(EnquireLink(sequence=3)) * 7
    assert session.receive(links, 0.0) == [CloseNow("output-overflow")]
    assert len(session.output()) == 112
    session = bound_smsc(config=replace(QUIET, max_output=32)).session  # what was fetched counts no more
    for _ in range(5):
        assert session.receive(SMPP34.encode(EnquireLink(sequence=3)) * 2, 0.0) == []
        assert len(session.output()) == 32
    session = bound_smsc(config=replace(QUIET, max_output=60)).session  # an end while leaving leaves nothing to do
    octets = SMPP34.encode(SubmitSm(sequence=2)) + SMPP34.encode(Unbind(sequence=3))
    (request,) = session.receive(octets, 0.0)
    assert isinstance(request, Request)
    assert session.answer(request, message_id="x" * 64)
    assert session.tick(0.0) == [CloseNow("output-overflow")]
    assert session.deadline() is None


def test_a_dead_peer_is_noticed_and_does_not_fill_memory() -> None:
    config = SessionConfig(keepalive_interval=30.0, keepalive_timeout=15.0, keepalive_attempts=2)
    book = bound_esme(config=config) << after(30) >> sends(EnquireLink, sequence=2)
    book << after(15) >> sends(EnquireLink, sequence=3)
    book << hears(EnquireLinkResp(sequence=2), EnquireLinkResp(sequence=3)) << after(30)
    book >> sends(EnquireLink, sequence=4) << hears(EnquireLinkResp(sequence=4))
    (book << hears(EnquireLinkResp(sequence=4)) >> sees(Violation, kind="unknown-answer")).done()
    config = SessionConfig(keepalive_interval=1.0, keepalive_timeout=1.0, keepalive_attempts=1)
    book = bound_esme(config=config) << asks(SubmitSm(), "a") >> sends(SubmitSm) << closes() << after(2)
    (book >> sees(CloseNow, why="keepalive-timeout") >> sends(EnquireLink)).done()
    config = SessionConfig(keepalive_interval=1.0)  # a peer that never answers tests does not fill memory
    book = bound_esme(config=config)
    for sequence in range(2, 22):
        book << after(1) >> sends(EnquireLink, sequence=sequence) << hears(AlertNotification()) >> Notice
    assert len(book.session._tests) == 16
    (book << hears(EnquireLinkResp(sequence=2)) >> sees(Violation, kind="unknown-answer")).done()


def test_every_tag_that_waits_is_given_back_when_the_transport_is_gone() -> None:
    book = bound_esme()
    for tag in "abcd":
        book << asks(SubmitSm(), tag) >> sends(SubmitSm)
    book << hears(SubmitSmResp(sequence=3)) >> sees(Answer, tag="b") << loses_transport("reset")
    (book >> sees(Closed, why="reset", lost=("a", "c", "d")) << loses_transport()).done()
    assert book.session.deadline() is None
    assert book.session.outstanding == 0
    with pytest.raises(NotBound):
        book.session.request(SubmitSm(), book.now, "e")
    session = bound_esme().session  # what had expired when the transport went is said to be expired
    session.request(SubmitSm(), 1000.0, "a")
    session.request(SubmitSm(), 1001.0, "b")
    assert session.closed("gone", 1060.5) == [Expired("a"), Closed("gone", ("b",))]
    book = bound_smsc() << hears(SubmitSm(sequence=2)) >> Request << loses_transport() >> Closed
    assert book.session.answer(book.requests[0], message_id="1") is False
    assert book.session.output() == b""


def test_unbind_waits_for_answers_and_is_said_once() -> None:
    book = bound_esme() << closes() >> sends(Unbind, sequence=2) << hears(EnquireLink(sequence=1))
    book >> sends(EnquireLinkResp) << hears(DeliverSm(sequence=2))  # not answered: it comes again
    (book << hears(UnbindResp(sequence=2)) >> sees(CloseNow, why="closed")).done()
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2) << closes() << after(5)
    book >> sends(Unbind, sequence=3) << hears(SubmitSmResp(sequence=2)) >> sees(Answer, tag="a")
    (book << hears(UnbindResp(sequence=3)) >> CloseNow).done()
    book = bound_esme() << closes() >> sends(Unbind) << closes() << after(4)  # closing twice changes nothing
    (book << closes() << after(1) >> sees(CloseNow, why="logout-timeout") << closes()).done()
    for started in (True, False):  # closing before the bind
        book = Playbook(esme())
        if started:
            book << start() >> sends(BindTransceiver)
        (book << closes() >> sees(CloseNow, why="closed")).done()
    config = replace(QUIET, response_timeout=2.0)  # leaving goes on when the last request expires
    book = bound_esme(config=config) << asks(SubmitSm(), "a") >> sends(SubmitSm) << closes() << closes()
    book << after(2) >> sees(Expired, tag="a") >> sends(Unbind, sequence=3)
    (book << hears(UnbindResp(sequence=3)) >> sees(CloseNow, why="closed")).done()


def test_the_peer_leaves() -> None:
    book = bound_smsc() << hears(SubmitSm(sequence=2), Unbind(sequence=3), SubmitSm(sequence=4)) >> Request
    book >> sees(Violation, kind="wrong-state") >> sends(SubmitSmResp, sequence=4, command_status=4)
    book << after(5) >> CloseNow >> sends(UnbindResp, sequence=3)
    book.done()
    (smsc() << hears(Unbind(sequence=3)) >> sees(CloseNow, why="peer-logout") >> sends(UnbindResp)).done()
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm) << closes() << hears(Unbind(sequence=7))
    book << closes() << after(1) >> sees(CloseNow, why="peer-logout") >> sends(UnbindResp, sequence=7)
    (book << loses_transport() >> sees(Closed, lost=("a",))).done()


FOUR = SessionConfig(keepalive_interval=None, max_unanswered_in=4)
LIVELY = SessionConfig(keepalive_interval=30.0, keepalive_timeout=15.0, keepalive_attempts=3)


def delivers(first: int, n: int) -> list[DeliverSm]:
    return [DeliverSm(sequence=sequence) for sequence in range(first, first + n)]


def submits(first: int, n: int) -> list[SubmitSm]:
    return [SubmitSm(sequence=sequence) for sequence in range(first, first + n)]


def deaf(yes: bool = True) -> Step:
    """The shell stops reading, or goes on."""
    return Step(f"deaf {yes}", lambda book: book.session.reading(not yes, book.now))


def forgets() -> Step:
    """The owner will not answer the oldest request."""
    return Step("forgets", lambda book: book.session.forget(book.requests.pop(0)))


def sequences(book: Playbook) -> list[Any]:
    """Of the requests that the owner has been given, and has not answered."""
    while book.events:
        book >> Request
    return [request.pdu.sequence for request in book.requests]


def test_requests_beyond_the_limit_wait_and_are_not_refused() -> None:
    book = bound_esme(config=FOUR) << hears(*delivers(1, 11))
    assert sequences(book) == [1, 2, 3, 4]
    assert not book.session.wants_input
    book << replies() >> sends(DeliverSmResp, sequence=1, command_status=0)
    assert sequences(book) == [2, 3, 4], "on again only when half of them are answered"
    book << replies() >> sends(DeliverSmResp, sequence=2)
    assert sequences(book) == [3, 4, 5, 6]
    assert not book.session.wants_input, "there is still something that waits"
    for sequence in range(3, 10):
        book << replies() >> sends(DeliverSmResp, sequence=sequence, command_status=0)
        sequences(book)
    assert sequences(book) == [10, 11]
    assert book.session.wants_input
    book = bound_esme(config=replace(FOUR, max_unanswered_in=1)) << hears(*delivers(1, 3))  # a limit of one
    for sequence in (1, 2, 3):
        assert sequences(book) == [sequence]
        assert not book.session.wants_input
        book << replies() >> sends(DeliverSmResp, sequence=sequence)
    assert book.session.wants_input
    size = len(Session(rules.client("x", "y"), config=FOUR).dialect.encode(DeliverSm(short_message=b"x" * 200)))
    book = bound_esme(config=replace(FOUR, max_unanswered_in=100, max_unanswered_octets=size * 3))
    book << hears(*(DeliverSm(sequence=n, short_message=b"x" * 200) for n in range(1, 6)))
    assert sequences(book) == [1, 2, 3]
    assert not book.session.wants_input
    book << replies() >> sends(DeliverSmResp)
    assert sequences(book) == [2, 3]
    book << replies() >> sends(DeliverSmResp)
    assert sequences(book) == [3, 4, 5]


def test_what_waits_keeps_its_order_and_is_passed_by_answers() -> None:
    book = bound_esme(config=FOUR) << hears(*delivers(1, 5))
    assert sequences(book) == [1, 2, 3, 4]
    octets = b"".join(book.session.dialect.encode(pdu) for pdu in delivers(6, 3))
    for n in range(len(octets)):
        book << hears(octets[n : n + 1])
    assert sequences(book) == [1, 2, 3, 4]
    for _ in range(4):
        book << replies() >> sends(DeliverSmResp)
        sequences(book)
    assert sequences(book) == [5, 6, 7, 8]
    book = bound_esme(config=FOUR) << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2)
    book << hears(*delivers(1, 6), SubmitSmResp(sequence=2, message_id="x"), EnquireLink(sequence=7))
    for _ in range(4):
        book >> Request
    (book >> sees(Answer, tag="a") >> sends(EnquireLinkResp, sequence=7)).done()
    assert not book.session.wants_input
    book = bound_esme(config=FOUR) << hears(*delivers(1, 6), Unbind(sequence=9))
    assert sequences(book) == [1, 2, 3, 4]
    for _ in range(4):
        assert book.session.state is State.BOUND_TRX
        book << replies() >> sends(DeliverSmResp)
        sequences(book)
    assert sequences(book) == [5, 6]
    assert book.session.state is State.LEAVING
    book << replies() >> sends(DeliverSmResp, sequence=5) << replies() >> sends(DeliverSmResp, sequence=6)
    (book >> sees(CloseNow, why="peer-logout") >> sends(UnbindResp, sequence=9)).done()
    book = bound_esme(config=FOUR) << hears(*delivers(1, 6))
    assert sequences(book) == [1, 2, 3, 4]
    book << forgets() << forgets()
    assert sequences(book) == [3, 4, 5, 6]
    assert book.session.owed == 4
    (book << after(100)).done()


def test_a_window_is_held_and_a_shell_that_reads_on_is_stopped() -> None:
    book = bound_esme(config=replace(FOUR, max_input=500)) << hears(*delivers(1, 4))
    assert sequences(book) == [1, 2, 3, 4]
    book << hears(DeliverSm(sequence=5, short_message=b"x" * 200))
    (book << hears(DeliverSm(sequence=6, short_message=b"x" * 240)) >> sees(CloseNow, why="input-overflow")).done()
    book = bound_smsc(config=replace(FOUR, refuses_beyond=True)) << hears(*submits(1, 4))
    assert sequences(book) == [1, 2, 3, 4]
    assert book.session.wants_input


@pytest.mark.parametrize("protocol", ["smpp", "cmpp"])
def test_who_was_given_a_window_is_told_once_and_then_waits(protocol: str) -> None:
    config = replace(FOUR, refuses_beyond=True)
    if protocol == "smpp":
        book, asked = bound_smsc(config=config), submits(1, 12)
        answer, status, busy = SubmitSmResp, "command_status", 0x58
    else:
        ismg = Session(cmpp_rules.server(), config=config)
        book = Playbook(ismg) << start()
        login = Session(cmpp_rules.client("901234", "secret", 0x20, timestamp=lambda: 101000000), config=FOUR)
        login.start(0.0)
        book << hears(login.output()) >> LoginRequest
        ismg.admit(book.login, now=book.now, secret="secret")
        ismg.output()
        asked = [cmpp.Submit(sequence=n, dest_terminal_id=("1",)) for n in range(1, 13)]
        answer, status, busy = cmpp.SubmitResp, "result", 8
    book << hears(*asked)
    for _ in range(4):
        book >> Request
    (book >> sees(Violation, kind="window") >> sends(answer, sequence=5, **{status: busy})).done()
    assert not book.session.wants_input
    book << replies() >> sends(answer, sequence=1) << replies() >> sends(answer, sequence=2, **{status: 0})
    (book >> Request >> Request >> sees(Violation, kind="window") >> sends(answer, sequence=8, **{status: busy}))
    book << replies() >> sends(answer, sequence=3) << replies() >> sends(answer, sequence=4)
    book >> Request >> Request >> sees(Violation, kind="window") >> sends(answer, sequence=11)
    for _ in range(2):
        book << replies() >> sends(answer)
    (book >> Request).done()
    assert book.session.wants_input


def test_who_leaves_reads_on_and_lets_what_waited_come_again() -> None:
    """The answers to our own requests are behind it, and without an answer of ours the peer keeps it."""
    book = bound_esme(config=FOUR) << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2) << hears(*delivers(1, 9))
    assert sequences(book) == [1, 2, 3, 4]
    book << closes()
    assert book.session.wants_input
    book << hears(*delivers(10, 9), SubmitSmResp(sequence=2), EnquireLink(sequence=99))
    book >> sees(Answer, tag="a") >> sends(EnquireLinkResp)
    for sequence in (1, 2, 3, 4):
        book << replies() >> sends(DeliverSmResp, sequence=sequence)
    book >> sends(Unbind)
    (book << hears(UnbindResp(sequence=3)) >> CloseNow).done()
    book = bound_smsc(config=replace(FOUR, refuses_beyond=True)) << hears(*submits(1, 7))
    for _ in range(4):
        book >> Request
    book >> sees(Violation, kind="window") >> sends(SubmitSmResp, sequence=5, command_status=0x58)
    book << hears(Unbind(sequence=8)) << closes()
    for sequence in (6, 7):
        book >> sends(SubmitSmResp, sequence=sequence, command_status=0x58)
    assert book.session.state is State.LEAVING, "its logout waited, too"
    for sequence in (1, 2, 3, 4):
        book << replies() >> sends(SubmitSmResp, sequence=sequence, command_status=0)
    (book >> CloseNow >> sends(UnbindResp, sequence=8)).done()
    # Nothing of it is of use to anybody now: not a command that nobody knows, not a body that cannot be read.
    book = bound_smsc(config=FOUR) << hears(*submits(1, 4))  # what is no submit is let go in silence while we leave
    assert sequences(book) == [1, 2, 3, 4]
    book << closes() << hears(Unknown(0x01FF, 5))
    book << hears(bytes.fromhex("00000012 00000004 00000000 00000006 ffff")) << hears(Unknown(0x0102, 7))
    book << hears(SubmitSm(sequence=8)) >> sends(SubmitSmResp, sequence=8, command_status=0x58)
    for sequence in (1, 2, 3, 4):
        book << replies() >> sends(SubmitSmResp, sequence=sequence)
    (book >> sends(Unbind) << hears(UnbindResp(sequence=1)) >> CloseNow).done()


def test_an_end_while_something_waits() -> None:
    book = bound_esme(config=FOUR) << hears(*delivers(1, 9))
    sequences(book)
    book << closes() << hears(Unbind(sequence=99))
    assert book.session.state is State.LEAVING
    for _ in range(4):
        book << replies() >> sends(DeliverSmResp)
    (book >> CloseNow >> sends(UnbindResp, sequence=99)).done()
    book = bound_esme(config=FOUR) << hears(*delivers(1, 9))  # the transport goes while something waits
    sequences(book)
    (book << loses_transport() >> Closed).done()
    assert book.session.deadline() is None


def test_answers_are_not_overdue_while_they_may_lie_unread() -> None:
    book = bound_esme(config=FOUR) << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2) << after(50) << deaf()
    book << after(200) << deaf(False) << after(9)
    book << hears(SubmitSmResp(sequence=2)) >> sees(Answer, tag="a", elapsed=259.0)
    book << asks(SubmitSm(), "b") >> sends(SubmitSm, sequence=3) << after(59)
    (book << after(1) >> sees(Expired, tag="b")).done()
    book = bound_esme(config=FOUR) << deaf() << after(100) << asks(SubmitSm(), "a") >> sends(SubmitSm) << after(100)
    book << deaf(False) << after(59) << deaf() << after(100) << deaf(False)
    (book << after(1) >> sees(Expired, tag="a")).done()
    book = bound_esme(config=replace(FOUR, max_deaf=300.0)) << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2)
    book << after(10) << deaf() << after(349) << after(1) >> sees(Expired, tag="a")
    book << after(1000) << deaf(False) << hears(SubmitSmResp(sequence=2)) >> sees(Late, tag="a")
    book << asks(SubmitSm(), "b") >> sends(SubmitSm) << after(59) << after(1) >> sees(Expired, tag="b")
    book.done()
    session = bound_esme(config=FOUR).session  # told twice is told once
    session.reading(True, 1000.0)
    session.reading(False, 1000.0)
    session.reading(False, 1010.0)
    session.reading(True, 1020.0)
    session.reading(True, 1030.0)
    session.request(SubmitSm(), 1030.0, "a")
    assert session.deadline() == 1090.0


def test_a_link_that_we_do_not_read_is_not_dead() -> None:
    book = bound_esme(config=LIVELY) << after(30) >> sends(EnquireLink) << after(15) >> sends(EnquireLink)
    book << after(14) << deaf() << after(20)
    book << after(10) >> sends(EnquireLink, sequence=4), "it hears of us all the same"
    for sequence in range(5, 18):
        book << after(30) >> sends(EnquireLink, sequence=sequence)
    (book << after(3600)).done()  # no more than can be told from strangers' answers
    book << deaf(False) << hears(*(EnquireLinkResp(sequence=n) for n in range(2, 18)))
    (book << after(30) >> sends(EnquireLink) << after(15) >> sends(EnquireLink) << after(15) >> sends(EnquireLink))
    (book << after(15) >> sees(CloseNow, why="keepalive-timeout")).done()
    octets = Session(rules.client("x", "y"), config=FOUR).dialect.encode(DeliverSm(sequence=3))
    book = bound_esme(config=FOUR) << hears(octets[:7]) << after(20) << deaf() << after(500) << deaf(False) << after(9)
    book << hears(octets[7:]) >> Request << hears(octets[:7]) << after(29)
    (book << after(1) >> sees(CloseNow, why="frame-timeout")).done()
    book = bound_esme(config=replace(FOUR, idle_timeout=60.0)) << deaf() << after(500) << deaf(False) << after(59)
    (book << after(1) >> sends(Unbind)).done()
