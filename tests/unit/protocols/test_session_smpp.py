"""SMPP sessions, told as playbooks: the binds, what each may do, nacks, faults, limits."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playbook import (
    Playbook,
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


# -- binding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bind", BINDS)
def test_each_bind_leads_to_its_state_on_both_sides(bind: str) -> None:
    request, response, state = BINDS[bind]
    book = Playbook(esme(bind)) << start() >> sends(request, sequence=1, system_id="esme", password="secret")
    (book << hears(response(sequence=1, system_id="smsc")) >> sees(Bound)).done()
    assert book.session.state is state
    server = bound_smsc(bind)
    server.done()
    assert server.session.state is state


@pytest.mark.parametrize(("version", "tlvs"), [(0x00, 0), (0x33, 0), (0x34, 1), (0x50, 1), (0xFF, 1)])
def test_any_interface_version_is_welcome(version: int, tlvs: int) -> None:
    book = smsc() << hears(BindTransceiver(sequence=7, interface_version=version)) >> LoginRequest
    wanted = (Tlv(0x0210, b"\x34"),) * tlvs
    (book << admits() >> sends(BindTransceiverResp, sequence=7, system_id="smsc", tlvs=wanted)).done()


def test_a_refused_bind_has_no_body_and_ends_the_connection() -> None:
    book = smsc() << hears(BindReceiver(sequence=104, system_id="x")) >> LoginRequest
    book << refuses(14) >> sees(CloseNow, why="refused")
    (book >> sends(BindReceiverResp, sequence=104, command_status=14, body_omitted=True)).done()


def test_a_refusal_reaches_the_client_with_its_status() -> None:
    book = Playbook(esme()) << start() >> sends(BindTransceiver)
    book << hears(BindTransceiverResp(sequence=1, command_status=0x0D))
    (book >> sees(Refused, status=0x0D, reason="ESME_RBINDFAIL (0xd)") >> CloseNow).done()


def test_a_nack_may_refuse_the_bind() -> None:
    book = Playbook(esme()) << start() >> sends(BindTransceiver)
    (book << hears(GenericNack(sequence=1, command_status=3)) >> sees(Refused, status=3) >> CloseNow).done()
    book = Playbook(esme()) << start() >> sends(BindTransceiver)
    (book << hears(GenericNack(sequence=1)) >> sees(Refused, status=0) >> CloseNow).done()


def test_the_answer_of_another_bind_is_not_taken() -> None:
    book = Playbook(esme()) << start() >> sends(BindTransceiver)
    book << hears(BindReceiverResp(sequence=1)) >> sees(Violation, kind="wrong-answer")
    (book << after(10) >> sees(CloseNow, why="login-timeout")).done()


def test_second_bind() -> None:
    book = bound_smsc() << hears(BindReceiver(sequence=2)) >> sees(Violation, kind="wrong-state")
    (book >> sends(BindReceiverResp, sequence=2, command_status=5)).done()


def test_second_bind_while_the_first_is_looked_up() -> None:
    book = smsc() << hears(BindReceiver(sequence=1), BindReceiver(sequence=2)) >> LoginRequest
    book >> sees(Violation, kind="wrong-state") >> sends(BindReceiverResp, sequence=2, command_status=5)
    (book << admits() >> sends(BindReceiverResp, sequence=1, command_status=0)).done()


def test_the_peer_gives_up_while_its_bind_is_looked_up() -> None:
    book = smsc() << hears(BindReceiver(sequence=1), Unbind(sequence=2)) >> LoginRequest >> CloseNow
    book >> sends(UnbindResp, sequence=2)
    assert not book.session.admit(book.login, now=book.now)
    assert not book.session.refuse(book.login, 13, now=book.now)
    book.done()


def test_the_look_up_takes_too_long() -> None:
    book = smsc() << hears(BindReceiver(sequence=1)) >> LoginRequest << after(10)
    (book >> sees(CloseNow, why="login-timeout")).done()
    assert not book.session.admit(book.login, now=book.now)


def test_a_request_before_the_bind_is_refused_and_the_bind_may_follow() -> None:
    """Section 2.2.1: ESME_RINVBNDSTS. The layouts of SMPP do not depend on the bind, so nothing is lost yet."""
    book = smsc() << hears(SubmitSm(sequence=5)) >> sees(Violation, kind="wrong-state")
    book >> sends(SubmitSmResp, sequence=5, command_status=4)
    book << hears(bytes.fromhex("00000012 00000004 00000000 00000006 ffff")) >> sees(Violation, kind="malformed")
    book >> sends(SubmitSmResp, sequence=6, command_status=2)
    (book << hears(BindTransceiver(sequence=7, system_id="esme")) >> LoginRequest).done()


def test_an_enquire_link_before_the_bind_is_answered() -> None:
    (smsc() << hears(EnquireLink(sequence=3)) >> sends(EnquireLinkResp, sequence=3)).done()


def test_outbind_is_a_notice() -> None:
    session = Session(rules.client("esme", "secret"), config=QUIET)
    assert session.receive(SMPP34.encode(Outbind(sequence=1, system_id="smsc")), 0.0) == [
        Notice(Outbind(sequence=1, system_id="smsc"))
    ]


def test_a_malformed_bind_is_answered_and_ends_the_connection() -> None:
    book = smsc() << hears(bytes.fromhex("00000012 00000009 00000000 00000001 4142"))
    book >> sees(Violation, kind="malformed") >> sees(CloseNow, why="malformed-login")
    (book >> sends(BindTransceiverResp, sequence=1, command_status=2)).done()


# -- who may do what ------------------------------------------------------------------------------------------------


def test_a_receiver_cannot_submit() -> None:
    with pytest.raises(NotBound, match="SubmitSm cannot be sent in state BOUND_RX"):
        bound_esme("receiver") << asks(SubmitSm(), "a")
    book = bound_smsc("receiver") << hears(SubmitSm(sequence=101)) >> sees(Violation, kind="wrong-state")
    (book >> sends(SubmitSmResp, sequence=101, command_status=4, body_omitted=True)).done()


def test_a_transmitter_is_not_delivered_to_but_takes_a_stray_receipt() -> None:
    with pytest.raises(NotBound):
        bound_smsc("transmitter") << asks(DeliverSm(), "a")
    book = bound_esme("transmitter") << hears(DeliverSm(sequence=5))
    book >> sees(Violation, kind="wrong-state") >> Request
    (book << replies() >> sends(DeliverSmResp, sequence=5, command_status=0, message_id="")).done()


def test_nothing_is_asked_before_the_bind_and_only_data_is_asked() -> None:
    for request in (SubmitSm(), EnquireLink(), Unbind(), BindTransceiver(), SubmitSmResp(), Unknown(0x110)):
        with pytest.raises(NotBound):
            esme().request(request, 0.0, "a")
        with pytest.raises(NotBound):
            bound_esme().session.request(request if not isinstance(request, SubmitSm) else DeliverSm(), 0.0, "a")


def test_data_sm_goes_both_ways() -> None:
    for book in (bound_esme("receiver"), bound_smsc("transmitter")):
        sequence = 2 if book.session.rules.role is Role.CLIENT else 1
        book << asks(DataSm(), "a") >> sends(DataSm, sequence=sequence)
        book << hears(DataSmResp(sequence=sequence, message_id="7")) >> sees(Answer, tag="a")
        (book << hears(DataSm(sequence=9)) >> Request << replies(message_id="8") >> sends(DataSmResp)).done()


def test_alert_notification_is_a_notice() -> None:
    (bound_esme() << hears(AlertNotification(sequence=2, source_addr="1")) >> Notice).done()


def test_every_operation_in_every_state_and_role_is_taken_or_refused_by_the_table() -> None:
    """What a session does with each request, driven through all bound states, agrees with the matrix."""
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


# -- requests and answers -------------------------------------------------------------------------------------------


def test_answers_come_in_any_order() -> None:
    book = bound_esme()
    for tag in "abc":
        book << asks(SubmitSm(), tag) >> sends(SubmitSm)
    book << hears(SubmitSmResp(sequence=4), SubmitSmResp(sequence=2, command_status=0x58), SubmitSmResp(sequence=3))
    (book >> sees(Answer, tag="c") >> sees(Answer, tag="a", status=0x58) >> sees(Answer, tag="b")).done()


def test_a_nack_is_an_answer() -> None:
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2)
    (book << hears(GenericNack(sequence=2, command_status=1)) >> sees(Answer, tag="a", status=1)).done()
    book << asks(SubmitSm(), "b") >> sends(SubmitSm, sequence=3) << after(60) >> Expired
    (book << hears(GenericNack(sequence=3, command_status=8)) >> sees(Late, tag="b", status=8)).done()


@pytest.mark.parametrize(
    "pdu", [GenericNack(sequence=0, command_status=3), GenericNack(sequence=99), Unknown(0x80000BAD, 5)]
)
def test_a_nack_or_foreign_answer_is_never_nacked(pdu: GenericNack | Unknown) -> None:
    (bound_smsc() << hears(pdu) >> sees(Violation, kind="unknown-answer")).done()


def test_duplicate_answer() -> None:
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm)
    book << hears(SubmitSmResp(sequence=2), SubmitSmResp(sequence=2)) >> Answer
    (book >> sees(Violation, kind="unknown-answer")).done()


def test_wrong_answer_keeps_the_request_waiting() -> None:
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2)
    book << hears(QuerySmResp(sequence=2)) >> sees(Violation, kind="wrong-answer")
    (book << hears(SubmitSmResp(sequence=2)) >> sees(Answer, tag="a")).done()


def test_a_late_answer_must_be_of_the_right_command_too() -> None:
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2) << after(60) >> Expired
    book << hears(QuerySmResp(sequence=2)) >> sees(Violation, kind="unknown-answer")
    (book << hears(SubmitSmResp(sequence=2)) >> Late).done()


def test_window() -> None:
    book = bound_esme(config=replace(QUIET, window=2))
    book << asks(SubmitSm(), 1) >> sends(SubmitSm) << asks(QuerySm(), 2) >> sends(QuerySm)
    assert (book.session.window_free, book.session.outstanding) == (0, 2)
    with pytest.raises(WindowFull):
        book.session.request(SubmitSm(), book.now, 3)
    book << hears(SubmitSmResp(sequence=2)) >> Answer << asks(SubmitSm(), 3) >> sends(SubmitSm, sequence=4)
    book.session.window = 1
    assert book.session.window_free == 0
    book.done()


def test_a_field_that_does_not_fit_leaves_no_trace() -> None:
    book = bound_esme()
    with pytest.raises(ValueError, match="destination_addr"):
        book.session.request(SubmitSm(destination_addr="1" * 30), book.now, "a")
    assert book.session.outstanding == 0
    (book << asks(SubmitSm(), "b") >> sends(SubmitSm)).done()


def test_each_request_is_answered_once() -> None:
    book = bound_smsc() << hears(SubmitSm(sequence=2)) >> Request
    request = book.requests[0]
    book << replies(message_id="1") >> sends(SubmitSmResp, message_id="1")
    with pytest.raises(AlreadyAnswered):
        book.session.answer(request)
    assert book.session.owed == 0


def test_a_ready_made_answer_gets_the_right_number() -> None:
    book = bound_smsc() << hears(SubmitSm(sequence=0xA2859F22)) >> Request
    (book << replies(pdu=SubmitSmResp(message_id="x")) >> sends(SubmitSmResp, sequence=0xA2859F22)).done()


def test_the_same_number_twice_is_two_requests() -> None:
    book = bound_smsc() << hears(SubmitSm(sequence=2), SubmitSm(sequence=2)) >> Request >> Request
    book << replies(message_id="1") >> sends(SubmitSmResp, message_id="1")
    (book << replies(message_id="2") >> sends(SubmitSmResp, message_id="2")).done()


# -- numbers --------------------------------------------------------------------------------------------------------


def test_numbers_wrap_to_one() -> None:
    book = bound_esme(first_sequence=0x7FFFFFFE)
    book << asks(SubmitSm(), 1) >> sends(SubmitSm, sequence=0x7FFFFFFF)
    (book << asks(SubmitSm(), 2) >> sends(SubmitSm, sequence=1)).done()


def test_a_number_in_use_is_stepped_over_after_the_wrap() -> None:
    book = bound_esme(first_sequence=0x7FFFFFFB)
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


def test_the_memory_of_expired_requests_is_bounded() -> None:
    book = bound_esme(config=replace(QUIET, max_expired=2))
    for tag in "abc":
        book << asks(SubmitSm(), tag) >> sends(SubmitSm)
    book << after(60) >> Expired >> Expired >> Expired
    book << hears(SubmitSmResp(sequence=2)) >> sees(Violation, kind="unknown-answer")
    (book << hears(SubmitSmResp(sequence=4)) >> sees(Late, tag="c")).done()


# -- faults and limits ----------------------------------------------------------------------------------------------


def test_too_many_violations_in_a_minute() -> None:
    config = replace(QUIET, max_violations_per_minute=2)
    stray = Unknown(0x80000BAD, 5)
    book = bound_smsc(config=config) << hears(stray, stray) >> Violation >> Violation << after(60)
    book << hears(stray, stray) >> Violation >> Violation
    book << hears(stray, SubmitSm(sequence=2)) >> Violation >> sees(CloseNow, why="too-many-violations")
    book.done()
    assert book.session.receive(SMPP34.encode(SubmitSm(sequence=3)), book.now) == []


def test_a_frame_must_come_whole_in_time() -> None:
    octets = SMPP34.encode(EnquireLink(sequence=2))
    book = bound_smsc() << hears(octets[:3]) << after(29) << hears(octets[3:]) >> sends(EnquireLinkResp)
    book << hears(octets[:3]) << after(20) << hears(octets[3:8]) << after(9.9)
    (book << after(0.2) >> sees(CloseNow, why="frame-timeout")).done()


def test_a_frame_that_follows_another_has_its_own_time() -> None:
    octets = SMPP34.encode(EnquireLink(sequence=2))
    book = bound_smsc() << hears(octets + octets[:3]) >> sends(EnquireLinkResp) << after(29)
    (book << hears(octets[3:] + octets[:3]) >> sends(EnquireLinkResp) << after(29)).done()


def test_what_came_before_the_rubbish_is_served() -> None:
    book = bound_smsc() << hears(SubmitSm(sequence=2), bytes.fromhex("0000000f0000001500000000000000 09"))
    said = "length 15 is outside 16..66560"
    book >> Request >> sees(Violation, kind="framing", detail=said) >> sees(CloseNow, why="framing")
    (book >> sends(GenericNack, sequence=9, command_status=2)).done()


def test_foreign_traffic_before_the_bind_is_not_talked_to() -> None:
    book = smsc() << hears(b"GET / HTTP/1.1\r\n\r\n") >> sees(Violation, kind="framing")
    (book >> sees(CloseNow, why="framing")).done()


def test_a_peer_that_does_not_read_is_cut_off() -> None:
    session = bound_smsc(config=replace(QUIET, max_output=100)).session
    links = SMPP34.encode(EnquireLink(sequence=3)) * 7
    assert session.receive(links, 0.0) == [CloseNow("output-overflow")]
    assert len(session.output()) == 112


def test_what_was_fetched_counts_no_more() -> None:
    session = bound_smsc(config=replace(QUIET, max_output=32)).session
    for _ in range(5):
        assert session.receive(SMPP34.encode(EnquireLink(sequence=3)) * 2, 0.0) == []
        assert len(session.output()) == 32


def test_an_end_while_leaving_leaves_nothing_to_do() -> None:
    session = bound_smsc(config=replace(QUIET, max_output=60)).session
    octets = SMPP34.encode(SubmitSm(sequence=2)) + SMPP34.encode(Unbind(sequence=3))
    (request,) = session.receive(octets, 0.0)
    assert isinstance(request, Request)
    assert session.answer(request, message_id="x" * 64)
    assert session.tick(0.0) == [CloseNow("output-overflow")]
    assert session.deadline() is None


def test_keepalive_and_a_test_answered_late() -> None:
    config = SessionConfig(keepalive_interval=30.0, keepalive_timeout=15.0, keepalive_attempts=2)
    book = bound_esme(config=config) << after(30) >> sends(EnquireLink, sequence=2)
    book << after(15) >> sends(EnquireLink, sequence=3)
    book << hears(EnquireLinkResp(sequence=2), EnquireLinkResp(sequence=3)) << after(30)
    book >> sends(EnquireLink, sequence=4) << hears(EnquireLinkResp(sequence=4))
    (book << hears(EnquireLinkResp(sequence=4)) >> sees(Violation, kind="unknown-answer")).done()


# -- leaving --------------------------------------------------------------------------------------------------------


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


def test_what_had_expired_when_the_transport_went_is_said_to_be_expired() -> None:
    session = bound_esme().session
    session.request(SubmitSm(), 1000.0, "a")
    session.request(SubmitSm(), 1001.0, "b")
    assert session.closed("gone", 1060.5) == [Expired("a"), Closed("gone", ("b",))]


def test_answers_to_a_connection_that_is_over_go_nowhere() -> None:
    book = bound_smsc() << hears(SubmitSm(sequence=2)) >> Request << loses_transport() >> Closed
    assert book.session.answer(book.requests[0], message_id="1") is False
    assert book.session.output() == b""


def test_unbind() -> None:
    book = bound_esme() << closes() >> sends(Unbind, sequence=2) << hears(EnquireLink(sequence=1))
    book >> sends(EnquireLinkResp) << hears(DeliverSm(sequence=2))  # not answered: it comes again
    (book << hears(UnbindResp(sequence=2)) >> sees(CloseNow, why="closed")).done()


def test_an_answer_between_unbind_and_its_answer_counts() -> None:
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2) << closes() << after(5)
    book >> sends(Unbind, sequence=3) << hears(SubmitSmResp(sequence=2)) >> sees(Answer, tag="a")
    (book << hears(UnbindResp(sequence=3)) >> CloseNow).done()


def test_closing_twice_changes_nothing() -> None:
    book = bound_esme() << closes() >> sends(Unbind) << closes() << after(4)
    (book << closes() << after(1) >> sees(CloseNow, why="logout-timeout") << closes()).done()


@pytest.mark.parametrize("started", [True, False])
def test_closing_before_the_bind(started: bool) -> None:
    book = Playbook(esme())
    if started:
        book << start() >> sends(BindTransceiver)
    (book << closes() >> sees(CloseNow, why="closed")).done()


def test_a_submit_after_the_peer_said_unbind_is_refused() -> None:
    book = bound_smsc() << hears(SubmitSm(sequence=2), Unbind(sequence=3), SubmitSm(sequence=4)) >> Request
    book >> sees(Violation, kind="wrong-state") >> sends(SubmitSmResp, sequence=4, command_status=4)
    book << after(5) >> CloseNow >> sends(UnbindResp, sequence=3)
    book.done()


def test_unbind_before_the_bind_is_answered() -> None:
    (smsc() << hears(Unbind(sequence=3)) >> sees(CloseNow, why="peer-logout") >> sends(UnbindResp)).done()


def test_the_peer_leaves_while_we_wait_to_leave() -> None:
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm) << closes() << hears(Unbind(sequence=7))
    book << closes() << after(1) >> sees(CloseNow, why="peer-logout") >> sends(UnbindResp, sequence=7)
    (book << loses_transport() >> sees(Closed, lost=("a",))).done()


def test_leaving_goes_on_when_the_last_request_expires() -> None:
    config = replace(QUIET, response_timeout=2.0)
    book = bound_esme(config=config) << asks(SubmitSm(), "a") >> sends(SubmitSm) << closes() << closes()
    book << after(2) >> sees(Expired, tag="a") >> sends(Unbind, sequence=3)
    (book << hears(UnbindResp(sequence=3)) >> sees(CloseNow, why="closed")).done()


def test_a_dead_peer_is_noticed_while_we_wait_to_leave() -> None:
    config = SessionConfig(keepalive_interval=1.0, keepalive_timeout=1.0, keepalive_attempts=1)
    book = bound_esme(config=config) << asks(SubmitSm(), "a") >> sends(SubmitSm) << closes() << after(2)
    (book >> sees(CloseNow, why="keepalive-timeout") >> sends(EnquireLink)).done()


def test_a_peer_that_never_answers_tests_does_not_fill_memory() -> None:
    config = SessionConfig(keepalive_interval=1.0)
    book = bound_esme(config=config)
    for sequence in range(2, 22):
        book << after(1) >> sends(EnquireLink, sequence=sequence) << hears(AlertNotification()) >> Notice
    assert len(book.session._tests) == 16
    (book << hears(EnquireLinkResp(sequence=2)) >> sees(Violation, kind="unknown-answer")).done()
