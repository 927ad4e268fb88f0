"""CMPP sessions, told as playbooks: login and its versions, reports, faults, leaving."""

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
    replies,
    sees,
    sends,
    start,
)

from smsgw.protocols.cmpp import rules
from smsgw.protocols.cmpp.auth import authenticator_ismg, authenticator_source
from smsgw.protocols.cmpp.pdus import (
    ActiveTest,
    ActiveTestResp,
    Connect,
    ConnectResp,
    Deliver,
    DeliverResp,
    Query,
    QueryResp,
    Submit,
    SubmitResp,
    Terminate,
    TerminateResp,
)
from smsgw.protocols.dialects import CMPP20, CMPP30
from smsgw.protocols.events import (
    Answer,
    Bound,
    Closed,
    CloseNow,
    Expired,
    LoginRequest,
    Refused,
    Request,
    Violation,
)
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.states import State

SECRET = "hello-secret"
STAMP = 305060708
QUIET = SessionConfig(keepalive_interval=None)


def sp(version: int = 0x30, config: SessionConfig = QUIET, **options: object) -> Session:
    return Session(rules.client("901234", SECRET, version, timestamp=lambda: STAMP, **options), config=config)  # type: ignore[arg-type]


def ismg(version: int = 0x30, config: SessionConfig = QUIET) -> Session:
    return Session(rules.server(version), config=config)


def connect(version: int = 0x30, secret: str = SECRET, sequence: int = 1) -> Connect:
    return Connect(
        sequence=sequence,
        source_addr="901234",
        authenticator_source=authenticator_source("901234", secret, STAMP),
        version=version,
        timestamp=STAMP,
    )


def connect_resp(version: int = 0x30, width: int = 4, status: int = 0, secret: str = SECRET) -> ConnectResp:
    proof = authenticator_ismg(status, authenticator_source("901234", SECRET, STAMP), secret, width)
    return ConnectResp(sequence=1, status=status, authenticator_ismg=proof, version=version)


def bound_sp(config: SessionConfig = QUIET) -> Playbook:
    return Playbook(sp(config=config)) << start() >> sends(Connect) << hears(connect_resp()) >> Bound


def bound_ismg(config: SessionConfig = QUIET) -> Playbook:
    book = Playbook(ismg(config=config)) << start() << hears(connect()) >> LoginRequest
    return book << admits(secret=SECRET) >> sends(ConnectResp, status=0)


# -- login ----------------------------------------------------------------------------------------------------------


def test_sp_logs_in_with_the_digest_over_ten_digits() -> None:
    digest = authenticator_source("901234", SECRET, STAMP)
    book = Playbook(sp()) << start()
    book >> sends(Connect, sequence=1, source_addr="901234", authenticator_source=digest, version=0x30, timestamp=STAMP)
    (book << hears(connect_resp()) >> sees(Bound)).done()
    assert book.session.state is State.BOUND_TRX
    assert book.session.dialect is CMPP30


@pytest.mark.parametrize("width", [1, 4])
def test_the_proof_of_the_ismg_is_accepted_in_both_widths(width: int) -> None:
    (Playbook(sp()) << start() >> sends(Connect) << hears(connect_resp(width=width)) >> Bound).done()


def test_a_wrong_proof_is_only_noted() -> None:
    book = Playbook(sp()) << start() >> sends(Connect)
    (book << hears(connect_resp(secret="other")) >> sees(Violation, kind="authenticator") >> Bound).done()


def test_a_wrong_proof_ends_a_strict_client() -> None:
    book = Playbook(sp(strict_authenticator=True)) << start() >> sends(Connect)
    (book << hears(connect_resp(secret="other")) >> sees(Refused, status=0) >> sees(CloseNow, why="refused")).done()


@pytest.mark.parametrize(
    ("asked", "layout", "answered", "spoken", "doubts"),
    [
        (0x30, CMPP30, 0x30, CMPP30, []), (0x30, CMPP20, 0x20, CMPP20, []), (0x30, CMPP20, 0x21, CMPP20, []),
        (0x30, CMPP30, 0x20, CMPP20, []), (0x30, CMPP20, 0x30, CMPP20, ["version"]),
        (0x20, CMPP20, 0x20, CMPP20, []), (0x20, CMPP20, 0x30, CMPP20, []), (0x20, CMPP30, 0x30, CMPP30, []),
        (0x21, CMPP20, 0x21, CMPP20, []), (0x20, CMPP20, 0x00, CMPP20, []),
    ],
)  # fmt: skip
def test_version_is_settled_by_the_answer(asked, layout, answered, spoken, doubts) -> None:  # type: ignore[no-untyped-def]
    session = sp(asked)
    book = Playbook(session) << start() >> sends(Connect, version=asked)
    book << hears(connect_resp(answered), dialect=layout)
    for kind in doubts:
        book >> sees(Violation, kind=kind)
    (book >> Bound).done()
    assert session.dialect is spoken
    session.request(Submit(dest_terminal_id=("13800138000",)), book.now, "t")
    assert len(session.output()) == (138 + 21 if spoken is CMPP20 else 163 + 32)


@pytest.mark.parametrize("layout", [CMPP20, CMPP30])
def test_version_too_high_says_what_the_server_has(layout) -> None:  # type: ignore[no-untyped-def]
    book = Playbook(sp()) << start() >> sends(Connect)
    book << hears(connect_resp(0x20, status=4), dialect=layout)
    book >> sees(Refused, status=4, reason="version 0x30 is too high, server has 0x20") >> CloseNow
    book.done()


def test_a_version_nobody_knows_is_refused_by_the_client() -> None:
    book = Playbook(sp()) << start() >> sends(Connect) << hears(connect_resp(0x7F))
    (book >> sees(Refused, status=0, reason="server speaks version 0x7f") >> CloseNow).done()


@pytest.mark.parametrize(("version", "layout"), [(0x20, CMPP20), (0x21, CMPP20), (0x30, CMPP30), (0x00, CMPP20)])
def test_ismg_answers_in_the_layout_asked_for(version: int, layout: object) -> None:
    book = Playbook(ismg()) << start() << hears(connect(version)) >> LoginRequest
    assert rules.proves(book.login.pdu, SECRET)
    assert not rules.proves(book.login.pdu, "other")
    digest = authenticator_source("901234", SECRET, STAMP)
    proof = authenticator_ismg(0, digest, SECRET, 4 if layout is CMPP30 else 1)
    book << admits(secret=SECRET) >> sends(ConnectResp, sequence=1, authenticator_ismg=proof, version=version)
    book.done()
    assert book.session.dialect is layout
    assert book.session.state is State.BOUND_TRX


@pytest.mark.parametrize(("server", "asked"), [(0x20, 0x30), (0x30, 0x7F), (0x30, 0x40)])
def test_ismg_refuses_a_version_above_its_own(server: int, asked: int) -> None:
    book = Playbook(ismg(server)) << start() << hears(connect(asked))
    book >> sees(Refused, status=4) >> sees(CloseNow, why="refused")
    (book >> sends(ConnectResp, status=4, version=server, authenticator_ismg=bytes(16))).done()


@pytest.mark.parametrize(("version", "size"), [(0x20, 30), (0x30, 33)])
def test_a_refusal_has_the_layout_asked_for_and_no_proof(version: int, size: int) -> None:
    session = ismg()
    session.start(0.0)
    (login,) = session.receive(CMPP30.encode(connect(version)), 1.0)
    assert isinstance(login, LoginRequest)
    assert session.refuse(login, 3, now=1.0)
    assert session.deadline() == float("-inf")
    assert session.tick(1.0) == [CloseNow("refused")]
    octets = session.output()
    assert len(octets) == size
    assert octets[12:].rstrip(b"\x20\x30").endswith(bytes(16))


def test_a_login_answer_that_cannot_be_read_ends_the_connection() -> None:
    book = Playbook(sp()) << start() >> sends(Connect)
    book << hears(bytes.fromhex("0000000d 80000001 00000001 00")) >> sees(Violation, kind="malformed")
    (book >> sees(Refused, status=0) >> sees(CloseNow, why="refused")).done()


def test_a_second_connect_is_refused_and_the_session_stays() -> None:
    book = bound_ismg() << hears(connect(sequence=9)) >> sees(Violation, kind="wrong-state")
    book >> sends(ConnectResp, sequence=9, status=5)
    (book << hears(ActiveTest(sequence=10)) >> sends(ActiveTestResp, sequence=10)).done()


def test_a_submit_before_the_login_ends_the_connection() -> None:
    book = Playbook(ismg()) << start() << hears(Submit(sequence=1, dest_terminal_id=("13800138000",)))
    (book >> sees(Violation, kind="wrong-state") >> sees(CloseNow, why="request-before-login")).done()


def test_so_does_a_submit_of_another_version_than_the_one_that_is_read_before_the_login() -> None:
    frame = CMPP20.encode(Submit(sequence=1, dest_terminal_id=("13800138000",), msg_content=b"abc"))
    book = Playbook(ismg()) << start() << hears(frame) >> sees(Violation, kind="malformed")
    (book >> sees(CloseNow, why="request-before-login")).done()


def test_a_malformed_connect_is_answered_and_ends_the_connection() -> None:
    frame = CMPP30.encode(connect())[:-1]
    book = Playbook(ismg()) << start() << hears((len(frame)).to_bytes(4, "big") + frame[4:])
    book >> sees(Violation, kind="malformed") >> sees(CloseNow, why="malformed-login")
    (book >> sends(ConnectResp, status=4)).done()


def test_an_active_test_before_the_login_is_answered_and_none_is_sent() -> None:
    session = sp(config=SessionConfig(keepalive_interval=1.0, login_timeout=60.0))
    book = Playbook(session) << start() >> sends(Connect) << after(30)
    (book << hears(ActiveTest(sequence=5)) >> sends(ActiveTestResp, sequence=5)).done()


# -- traffic --------------------------------------------------------------------------------------------------------


def test_a_refused_submit() -> None:
    book = bound_sp() << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit)
    (book << hears(SubmitResp(sequence=2, result=8)) >> sees(Answer, tag="a", status=8)).done()


def test_a_deliver_is_answered_with_its_own_msg_id() -> None:
    book = bound_sp() << hears(Deliver(sequence=71, msg_id=0xFFFF_0000_0000_0001)) >> Request
    (book << replies() >> sends(DeliverResp, sequence=71, msg_id=0xFFFF_0000_0000_0001, result=0)).done()


def test_a_deliver_with_the_number_of_an_outstanding_submit_is_another_thing() -> None:
    book = bound_sp() << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit, sequence=2)
    (book << hears(Deliver(sequence=2, msg_id=1)) >> Request << replies(status=1) >> sends(DeliverResp, result=1))
    (book << hears(SubmitResp(sequence=2)) >> sees(Answer, tag="a")).done()


def test_query_has_no_status_and_repeats_its_question() -> None:
    book = bound_ismg() << hears(Query(sequence=4, time="20240506", query_type=1, query_code="HELP")) >> Request
    book << replies(mt_tlmsg=3)
    (book >> sends(QueryResp, sequence=4, time="20240506", query_code="HELP", mt_tlmsg=3)).done()
    client = bound_sp() << asks(Query(time="20240506"), "q") >> sends(Query, sequence=2)
    (client << hears(QueryResp(sequence=2)) >> sees(Answer, tag="q", status=0)).done()


def test_a_request_of_the_wrong_side_is_refused_and_the_session_stays() -> None:
    book = bound_sp() << hears(Submit(sequence=3, dest_terminal_id=("1",))) >> sees(Violation, kind="wrong-state")
    book >> sends(SubmitResp, sequence=3, result=2)
    (book << hears(ActiveTest(sequence=4)) >> sends(ActiveTestResp)).done()


def test_a_malformed_answer_leaves_its_request_to_the_timeout() -> None:
    book = bound_sp() << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit, sequence=2)
    book << hears(bytes.fromhex("0000000d 80000004 00000002 00")) >> sees(Violation, kind="malformed")
    (book << after(60) >> sees(Expired, tag="a")).done()


# -- keep-alive -----------------------------------------------------------------------------------------------------

LIVELY = SessionConfig(keepalive_interval=30.0, keepalive_timeout=15.0, keepalive_attempts=3)


def test_silence_is_tested_three_times_and_then_given_up() -> None:
    book = bound_sp(LIVELY) << after(29) << after(1) >> sends(ActiveTest, sequence=2)
    book << after(15) >> sends(ActiveTest, sequence=3) << after(15) >> sends(ActiveTest, sequence=4)
    (book << after(14) << after(1) >> sees(CloseNow, why="keepalive-timeout")).done()


def test_any_octet_is_a_sign_of_life() -> None:
    book = bound_sp(LIVELY) << after(30) >> sends(ActiveTest) << after(15) >> sends(ActiveTest) << after(14)
    book << hears(b"\x00\x00") << after(16) << hears(b"\x00\x0d")
    book << after(3) << hears(bytes.fromhex("80000008 00000002 00"))  # the rest of an ACTIVE_TEST_RESP
    (book << after(29) << after(1) >> sends(ActiveTest, sequence=4)).done()


def test_a_full_window_does_not_hold_back_the_test() -> None:
    book = bound_sp(replace(LIVELY, window=1)) << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit)
    book << after(30) >> sends(ActiveTest, sequence=3) << hears(ActiveTestResp(sequence=3))
    (book << hears(SubmitResp(sequence=2)) >> Answer).done()


# -- leaving --------------------------------------------------------------------------------------------------------


def test_leaving_waits_for_answers_then_terminates() -> None:
    book = bound_sp() << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit, sequence=2) << closes()
    assert book.session.window_free == 0
    book << hears(Deliver(sequence=1, msg_id=9)) >> Request << hears(SubmitResp(sequence=2)) >> Answer
    book << replies() >> sends(DeliverResp, msg_id=9) >> sends(Terminate, sequence=3)
    book << hears(TerminateResp(sequence=3)) >> sees(CloseNow, why="closed")
    (book << loses_transport() >> sees(Closed, why="gone", lost=())).done()


def test_a_submit_that_crosses_our_terminate_is_asked_to_come_again() -> None:
    book = bound_ismg() << closes() >> sends(Terminate, sequence=1)
    book << hears(Submit(sequence=1, dest_terminal_id=("1",))) >> sends(SubmitResp, sequence=1, result=8)
    (book << hears(TerminateResp(sequence=1)) >> CloseNow).done()


def test_the_peer_leaves_with_answers_still_in_its_hand() -> None:
    book = bound_sp() << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit, sequence=2)
    book << hears(Terminate(sequence=8)) << after(0.5) << hears(SubmitResp(sequence=2))
    (book >> sees(Answer, tag="a") >> CloseNow >> sends(TerminateResp, sequence=8)).done()
    book = bound_sp() << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit, sequence=2)
    book << hears(Terminate(sequence=8)) << after(1) >> CloseNow >> sends(TerminateResp, sequence=8)
    (book << loses_transport() >> sees(Closed, lost=("a",))).done()
