"""SGIP sessions, told as playbooks: the two kinds of connection, numbers that are message ids, faults, idleness."""

from __future__ import annotations

import pytest
from playbook import Playbook, admits, after, asks, closes, hears, refuses, replies, sees, sends, start

from smsgw.protocols.dialects import SGIP12
from smsgw.protocols.events import Answer, Bound, CloseNow, LoginRequest, Refused, Request, Violation
from smsgw.protocols.session import NotBound, Session, SessionConfig
from smsgw.protocols.sgip import rules
from smsgw.protocols.sgip.pdus import (
    Bind,
    BindResp,
    CheckUser,
    CheckUserResp,
    Deliver,
    DeliverResp,
    Report,
    ReportResp,
    Submit,
    SubmitResp,
    Unbind,
    UnbindResp,
    UserRpt,
    UserRptResp,
)
from smsgw.protocols.states import State

NODE = 3010012345
STAMP = 1124163000
SMG = (110020, STAMP, 7)
CONFIG = SessionConfig(window=32, response_timeout=30.0, idle_timeout=60.0)
LONG = SessionConfig(window=32, response_timeout=30.0)


def numbering() -> rules.Numbering:
    return rules.Numbering(NODE, lambda: STAMP)


def submit() -> Submit:
    return Submit(user_number=("8613800138000",), message_content=b"x")


def bound_sp(config: SessionConfig = LONG, login_type: int = rules.SP_TO_SMG) -> Playbook:
    session = Session(rules.client("sp", "secret", numbering=numbering(), login_type=login_type), config=config)
    book = Playbook(session) << start()
    book >> sends(Bind, sequence=(NODE, STAMP, 0), login_type=login_type, login_name="sp")
    return book << hears(BindResp(sequence=(NODE, STAMP, 0))) >> Bound


def listener(config: SessionConfig = LONG, login_type: int = rules.SMG_TO_SP) -> Playbook:
    return Playbook(Session(rules.server(numbering=numbering(), login_type=login_type), config=config)) << start()


def bound_listener(config: SessionConfig = LONG) -> Playbook:
    book = listener(config) << hears(bind()) >> LoginRequest
    return book << admits() >> sends(BindResp, sequence=SMG, result=0)


def bind(login_type: int = rules.SMG_TO_SP) -> Bind:
    return Bind(sequence=SMG, login_type=login_type, login_name="smg", login_password="secret")


def test_the_number_of_a_submit_is_its_message_id() -> None:
    book = bound_sp()
    assert book.session.state is State.BOUND_TX
    book << asks(submit(), "a") >> sends(Submit, sequence=(NODE, STAMP, 1))
    book << hears(SubmitResp(sequence=(NODE, STAMP, 1))) >> sees(Answer, tag="a", status=0)
    book.done()


def test_two_connections_of_a_node_never_give_one_number_twice() -> None:
    shared = numbering()
    numbers = set()
    for _ in range(2):
        session = Session(rules.client("sp", "secret", numbering=shared), config=LONG)
        session.start(0.0)
        (bind_pdu,) = (SGIP12.decode(frame) for frame in SGIP12.framer().feed(session.output()))
        session.receive(SGIP12.encode(BindResp(sequence=bind_pdu.sequence)), 0.0)
        numbers |= {bind_pdu.sequence, *(session.request(submit(), 0.0, n) for n in range(5))}
    assert len(numbers) == 12


def test_numbers_wrap_and_a_node_number_is_unsigned() -> None:
    book = rules.Numbering(0xFFFFFFFF, lambda: STAMP, first=0xFFFFFFFF)
    assert [book.next()[2] for _ in range(2)] == [0xFFFFFFFF, 0]
    with pytest.raises(ValueError, match="does not fit"):
        rules.Numbering(1 << 32, lambda: STAMP)


def test_nothing_but_submits_on_the_connection_of_the_sp() -> None:
    book = bound_sp()
    with pytest.raises(NotBound):
        book.session.request(Deliver(), book.now, "x")
    book = bound_sp(login_type=rules.SMG_TO_SP)
    assert book.session.state is State.BOUND_RX
    with pytest.raises(NotBound):
        book.session.request(submit(), book.now, "x")


def test_a_report_over_the_connection_of_the_sp_is_taken_and_noted() -> None:
    book = bound_sp() << hears(Report(sequence=SMG)) >> sees(Violation, kind="wrong-state") >> Request
    (book << replies() >> sends(ReportResp, sequence=SMG, result=0)).done()


def test_a_bind_is_refused() -> None:
    session = Session(rules.client("sp", "wrong", numbering=numbering()), config=LONG)
    book = Playbook(session) << start() >> sends(Bind)
    book << hears(BindResp(sequence=(NODE, STAMP, 0), result=1))
    (book >> sees(Refused, status=1, reason="illegal login (1)") >> sees(CloseNow, why="refused")).done()


def test_the_listener_takes_what_the_gateway_brings() -> None:
    book = bound_listener()
    assert book.session.state is State.BOUND_RX
    for pdu, answer in (
        (Deliver(sequence=(1, 2, 3), message_content=b"x"), DeliverResp),
        (Report(sequence=(1, 2, 4)), ReportResp),
        (UserRpt(sequence=(1, 2, 5)), UserRptResp),
    ):
        book << hears(pdu) >> sees(Request, pdu=pdu)
        book << replies() >> sends(answer, sequence=pdu.sequence, result=0)
    (book << hears(Unbind(sequence=(1, 2, 6))) >> sends(UnbindResp) >> sees(CloseNow, why="peer-logout")).done()


def test_the_listener_refuses_other_kinds_of_connection_and_wrong_passwords() -> None:
    book = listener() << hears(bind(rules.SP_TO_SMG)) >> sees(Refused, status=rules.LOGIN_TYPE)
    (book >> CloseNow >> sends(BindResp, result=rules.LOGIN_TYPE)).done()
    book = listener() << hears(bind()) >> LoginRequest
    assert rules.proves(book.login.pdu, "smg", "secret")
    assert not rules.proves(book.login.pdu, "smg", "other")
    assert not rules.proves(book.login.pdu, "sp", "secret")
    book << refuses(rules.ILLEGAL_LOGIN) >> sees(CloseNow, why="refused") >> sends(BindResp, result=1)
    book.done()


def test_what_is_not_served_is_refused_and_the_connection_stays() -> None:
    book = bound_listener()
    for pdu, answer in (
        (Submit(sequence=(1, 2, 3), user_number=("1",)), SubmitResp),
        (CheckUser(sequence=(1, 2, 4)), CheckUserResp),
    ):
        book << hears(pdu) >> sees(Violation, kind="wrong-state")
        book >> sends(answer, sequence=pdu.sequence, result=rules.LOGIN_TYPE)
    (book << hears(bind()) >> sees(Violation, kind="wrong-state") >> sends(BindResp, result=rules.LOGIN_REPEATED))
    (book << hears(Report(sequence=(1, 2, 5))) >> Request).done()


def cut(octets: bytes) -> bytes:
    return (len(octets) - 1).to_bytes(4, "big") + octets[4:-1]


def test_a_syntax_error_is_answered_and_ends_the_connection() -> None:
    broken = cut(SGIP12.encode(Report(sequence=SMG)))
    book = bound_listener() << hears(broken) >> sees(Violation, kind="malformed")
    (book >> sees(CloseNow, why="malformed") >> sends(ReportResp, result=rules.LENGTH)).done()
    unknown = bytes.fromhex("00000014 00000bad 000000010000000200000003")
    book = bound_listener() << hears(unknown) >> sees(Violation, kind="unknown-command")
    (book >> sees(CloseNow, why="unknown-command")).done()


def test_an_answer_that_cannot_be_read_ends_the_connection_of_the_client() -> None:
    book = bound_sp() << asks(submit(), "a") >> sends(Submit)
    book << hears(cut(SGIP12.encode(SubmitResp(sequence=(NODE, STAMP, 1)))))
    (book >> sees(Violation, kind="malformed") >> sees(CloseNow, why="malformed")).done()
    (closed,) = book.session.closed("closed", book.now)
    assert closed.lost == ("a",)  # type: ignore[union-attr]


def test_silence_ends_in_a_polite_logout_and_traffic_puts_it_off() -> None:
    book = bound_sp(CONFIG) << after(50) << asks(submit(), "a") >> sends(Submit)
    book << hears(SubmitResp(sequence=(NODE, STAMP, 1))) >> Answer
    book << after(59.9) << after(0.1) >> sends(Unbind)
    (book << hears(UnbindResp(sequence=(NODE, STAMP, 2))) >> sees(CloseNow, why="idle")).done()


def test_a_submit_that_crosses_our_logout_is_told_to_come_again() -> None:
    book = listener(login_type=rules.SP_TO_SMG) << hears(bind(rules.SP_TO_SMG)) >> LoginRequest
    book << admits() >> sends(BindResp) << closes() >> sends(Unbind)
    pdu = submit()
    pdu.sequence = (NODE, STAMP, 9)
    (book << hears(pdu) >> sends(SubmitResp, sequence=pdu.sequence, result=rules.NODE_BUSY)).done()
