"""CMPP, SMGP and SGIP sessions, told as playbooks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playbook import Playbook, admits, after, asks, closes, hears, loses_transport, refuses, replies, sees, sends, start

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
from smsgw.protocols.dialects import CMPP20, CMPP30, SGIP12, SMGP13, SMGP30
from smsgw.protocols.events import Answer, Bound, Closed, CloseNow, Expired, LoginRequest, Refused, Request, Violation
from smsgw.protocols.session import NotBound, Session, SessionConfig
from smsgw.protocols.sgip import pdus as sgip, rules as sgip_rules
from smsgw.protocols.smgp import pdus as smgp, rules as smgp_rules
from smsgw.protocols.smgp.auth import authenticator_client, authenticator_server
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


def test_the_proof_of_the_ismg_is_accepted_in_both_widths_and_a_wrong_one_noted() -> None:
    digest = authenticator_source("901234", SECRET, STAMP)
    book = Playbook(sp()) << start()
    book >> sends(Connect, sequence=1, source_addr="901234", authenticator_source=digest, version=0x30, timestamp=STAMP)
    (book << hears(connect_resp()) >> sees(Bound)).done()
    assert book.session.state is State.BOUND_TRX
    assert book.session.dialect is CMPP30
    for width in (1, 4):  # the proof of the ismg is accepted in both widths
        (Playbook(sp()) << start() >> sends(Connect) << hears(connect_resp(width=width)) >> Bound).done()
    book = Playbook(sp()) << start() >> sends(Connect)  # a wrong proof is only noted
    (book << hears(connect_resp(secret="other")) >> sees(Violation, kind="authenticator") >> Bound).done()
    book = Playbook(sp(strict_authenticator=True)) << start() >> sends(Connect)  # a wrong proof ends a strict client
    (book << hears(connect_resp(secret="other")) >> sees(Refused, status=0) >> sees(CloseNow, why="refused")).done()


def test_version_is_settled_by_the_answer() -> None:
    for asked, layout, answered, spoken, doubts in (
        (0x30, CMPP30, 0x30, CMPP30, []), (0x30, CMPP20, 0x20, CMPP20, []), (0x30, CMPP20, 0x21, CMPP20, []),
        (0x30, CMPP30, 0x20, CMPP20, []), (0x30, CMPP20, 0x30, CMPP20, ["version"]),
        (0x20, CMPP20, 0x20, CMPP20, []), (0x20, CMPP20, 0x30, CMPP20, []), (0x20, CMPP30, 0x30, CMPP30, []),
        (0x21, CMPP20, 0x21, CMPP20, []), (0x20, CMPP20, 0x00, CMPP20, []),
    ):  # fmt: skip
        session = sp(asked)
        book = Playbook(session) << start() >> sends(Connect, version=asked)
        book << hears(connect_resp(answered), dialect=layout)
        for kind in doubts:
            book >> sees(Violation, kind=kind)
        (book >> Bound).done()
        assert session.dialect is spoken
        session.request(Submit(dest_terminal_id=("13800138000",)), book.now, "t")
        assert len(session.output()) == (138 + 21 if spoken is CMPP20 else 163 + 32)


def test_versions_that_do_not_fit_are_refused() -> None:
    for layout in (CMPP20, CMPP30):
        book = Playbook(sp()) << start() >> sends(Connect)
        book << hears(connect_resp(0x20, status=4), dialect=layout)
        book >> sees(Refused, status=4, reason="version 0x30 is too high, server has 0x20") >> CloseNow
        book.done()
    book = Playbook(sp()) << start() >> sends(Connect) << hears(connect_resp(0x7F))
    (book >> sees(Refused, status=0, reason="server speaks version 0x7f") >> CloseNow).done()
    for server, asked in ((0x20, 0x30), (0x30, 0x7F), (0x30, 0x40)):  # ismg refuses a version above its own
        book = Playbook(ismg(server)) << start() << hears(connect(asked))
        book >> sees(Refused, status=4) >> sees(CloseNow, why="refused")
        (book >> sends(ConnectResp, status=4, version=server, authenticator_ismg=bytes(16))).done()


def test_the_ismg_answers_in_the_layout_asked_for() -> None:
    for version, layout in ((0x20, CMPP20), (0x21, CMPP20), (0x30, CMPP30), (0x00, CMPP20)):
        book = Playbook(ismg()) << start() << hears(connect(version)) >> LoginRequest
        assert rules.proves(book.login.pdu, SECRET)
        assert not rules.proves(book.login.pdu, "other")
        digest = authenticator_source("901234", SECRET, STAMP)
        proof = authenticator_ismg(0, digest, SECRET, 4 if layout is CMPP30 else 1)
        book << admits(secret=SECRET) >> sends(ConnectResp, sequence=1, authenticator_ismg=proof, version=version)
        book.done()
        assert book.session.dialect is layout
        assert book.session.state is State.BOUND_TRX
    for version, size in ((0x20, 30), (0x30, 33)):  # a refusal has the layout asked for and no proof
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


def test_what_is_wrong_about_a_login_ends_the_connection() -> None:
    book = Playbook(sp()) << start() >> sends(Connect)
    book << hears(bytes.fromhex("0000000d 80000001 00000001 00")) >> sees(Violation, kind="malformed")
    (book >> sees(Refused, status=0) >> sees(CloseNow, why="refused")).done()
    book = Playbook(ismg()) << start() << hears(Submit(sequence=1, dest_terminal_id=("13800138000",)))
    (book >> sees(Violation, kind="wrong-state") >> sees(CloseNow, why="request-before-login")).done()
    frame = CMPP20.encode(Submit(sequence=1, dest_terminal_id=("13800138000",), msg_content=b"abc"))
    book = Playbook(ismg()) << start() << hears(frame) >> sees(Violation, kind="malformed")
    (book >> sees(CloseNow, why="request-before-login")).done()
    frame = CMPP30.encode(connect())[:-1]  # a malformed connect is answered and ends the connection
    book = Playbook(ismg()) << start() << hears((len(frame)).to_bytes(4, "big") + frame[4:])
    book >> sees(Violation, kind="malformed") >> sees(CloseNow, why="malformed-login")
    (book >> sends(ConnectResp, status=4)).done()


def test_what_comes_beside_a_login_is_answered_and_the_session_stays() -> None:
    book = bound_ismg() << hears(connect(sequence=9)) >> sees(Violation, kind="wrong-state")
    book >> sends(ConnectResp, sequence=9, status=5)
    (book << hears(ActiveTest(sequence=10)) >> sends(ActiveTestResp, sequence=10)).done()
    session = sp(config=SessionConfig(keepalive_interval=1.0, login_timeout=60.0))
    book = Playbook(session) << start() >> sends(Connect) << after(30)
    (book << hears(ActiveTest(sequence=5)) >> sends(ActiveTestResp, sequence=5)).done()
    book = bound_sp() << hears(Submit(sequence=3, dest_terminal_id=("1",))) >> sees(Violation, kind="wrong-state")
    book >> sends(SubmitResp, sequence=3, result=2)
    (book << hears(ActiveTest(sequence=4)) >> sends(ActiveTestResp)).done()


def test_requests_and_answers_are_matched() -> None:
    book = bound_sp() << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit)
    (book << hears(SubmitResp(sequence=2, result=8)) >> sees(Answer, tag="a", status=8)).done()
    book = bound_sp() << hears(Deliver(sequence=71, msg_id=0xFFFF_0000_0000_0001)) >> Request
    (book << replies() >> sends(DeliverResp, sequence=71, msg_id=0xFFFF_0000_0000_0001, result=0)).done()
    book = bound_sp() << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit, sequence=2)
    (book << hears(Deliver(sequence=2, msg_id=1)) >> Request << replies(status=1) >> sends(DeliverResp, result=1))
    (book << hears(SubmitResp(sequence=2)) >> sees(Answer, tag="a")).done()
    book = bound_ismg() << hears(Query(sequence=4, time="20240506", query_type=1, query_code="HELP")) >> Request
    book << replies(mt_tlmsg=3)
    (book >> sends(QueryResp, sequence=4, time="20240506", query_code="HELP", mt_tlmsg=3)).done()
    client = bound_sp() << asks(Query(time="20240506"), "q") >> sends(Query, sequence=2)
    (client << hears(QueryResp(sequence=2)) >> sees(Answer, tag="q", status=0)).done()
    book = bound_sp() << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit, sequence=2)
    book << hears(bytes.fromhex("0000000d 80000004 00000002 00")) >> sees(Violation, kind="malformed")
    (book << after(60) >> sees(Expired, tag="a")).done()


LIVELY = SessionConfig(keepalive_interval=30.0, keepalive_timeout=15.0, keepalive_attempts=3)


def test_silence_is_tested_three_times_and_any_octet_is_a_sign_of_life() -> None:
    book = bound_sp(LIVELY) << after(29) << after(1) >> sends(ActiveTest, sequence=2)
    book << after(15) >> sends(ActiveTest, sequence=3) << after(15) >> sends(ActiveTest, sequence=4)
    (book << after(14) << after(1) >> sees(CloseNow, why="keepalive-timeout")).done()
    book = bound_sp(LIVELY) << after(30) >> sends(ActiveTest) << after(15) >> sends(ActiveTest) << after(14)
    book << hears(b"\x00\x00") << after(16) << hears(b"\x00\x0d")
    book << after(3) << hears(bytes.fromhex("80000008 00000002 00"))  # the rest of an ACTIVE_TEST_RESP
    (book << after(29) << after(1) >> sends(ActiveTest, sequence=4)).done()
    book = bound_sp(replace(LIVELY, window=1)) << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit)
    book << after(30) >> sends(ActiveTest, sequence=3) << hears(ActiveTestResp(sequence=3))
    (book << hears(SubmitResp(sequence=2)) >> Answer).done()


def test_leaving_waits_for_answers_then_terminates() -> None:
    book = bound_sp() << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit, sequence=2) << closes()
    assert book.session.window_free == 0
    book << hears(Deliver(sequence=1, msg_id=9)) >> Request << hears(SubmitResp(sequence=2)) >> Answer
    book << replies() >> sends(DeliverResp, msg_id=9) >> sends(Terminate, sequence=3)
    book << hears(TerminateResp(sequence=3)) >> sees(CloseNow, why="closed")
    (book << loses_transport() >> sees(Closed, why="gone", lost=())).done()
    book = bound_ismg() << closes() >> sends(Terminate, sequence=1)
    book << hears(Submit(sequence=1, dest_terminal_id=("1",))) >> sends(SubmitResp, sequence=1, result=8)
    (book << hears(TerminateResp(sequence=1)) >> CloseNow).done()
    book = bound_sp() << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit, sequence=2)
    book << hears(Terminate(sequence=8)) << after(0.5) << hears(SubmitResp(sequence=2))
    (book >> sees(Answer, tag="a") >> CloseNow >> sends(TerminateResp, sequence=8)).done()
    book = bound_sp() << asks(Submit(dest_terminal_id=("1",)), "a") >> sends(Submit, sequence=2)
    book << hears(Terminate(sequence=8)) << after(1) >> CloseNow >> sends(TerminateResp, sequence=8)
    (book << loses_transport() >> sees(Closed, lost=("a",))).done()


NAME, SMGP_SECRET, SMGP_STAMP = "12345678", "smgp-secret", 301000000
DIGEST = authenticator_client(NAME, SMGP_SECRET, SMGP_STAMP)
PROOF = authenticator_server(0, DIGEST, SMGP_SECRET)
MSG_ID = bytes.fromhex("01006101161700012345")


def smgp_sp(version: int = 0x30, mode: int = smgp_rules.BOTH, config: SessionConfig = QUIET, **more: bool) -> Session:
    made = smgp_rules.client(NAME, SMGP_SECRET, version, timestamp=lambda: SMGP_STAMP, login_mode=mode, **more)
    return Session(made, config=config)


def bound_smgp(version: int = 0x30, mode: int = smgp_rules.BOTH, config: SessionConfig = QUIET) -> Playbook:
    book = Playbook(smgp_sp(version, mode, config)) << start() >> sends(smgp.Login)
    return book << hears(smgp.LoginResp(sequence=1, authenticator_server=PROOF, server_version=version)) >> Bound


def login(version: int = 0x30, mode: int = smgp_rules.BOTH) -> smgp.Login:
    return smgp.Login(
        sequence=1,
        client_id=NAME,
        authenticator_client=DIGEST,
        login_mode=mode,
        timestamp=SMGP_STAMP,
        client_version=version,
    )


def bound_server(version: int = 0x30, mode: int = smgp_rules.BOTH) -> Playbook:
    book = Playbook(Session(smgp_rules.server(), config=QUIET)) << start() << hears(login(version, mode))
    book >> LoginRequest << admits(secret=SMGP_SECRET)
    return book >> sends(smgp.LoginResp, status=0, authenticator_server=PROOF, server_version=version)


def test_smgp_logins_and_refusals_say_why() -> None:
    book = Playbook(smgp_sp()) << start()
    digest = bytes.fromhex("0cb44b36abbf7e83421931813e1c4d83")
    book >> sends(smgp.Login, authenticator_client=digest, timestamp=SMGP_STAMP, login_mode=2, client_version=0x30)
    book.done()
    assert smgp_rules.proves(login(), SMGP_SECRET)
    assert not smgp_rules.proves(login(), "other")
    book = Playbook(smgp_sp()) << start() >> sends(smgp.Login) << hears(smgp.LoginResp(sequence=1, status=21))
    (book >> sees(Refused, status=21, reason="authentication failed (21)") >> CloseNow).done()
    book = Playbook(smgp_sp()) << start() >> sends(smgp.Login)
    book << hears(smgp.LoginResp(sequence=1, status=22, server_version=0x13))
    (book >> sees(Refused, reason="version 0x30 is too high, server has 0x13") >> CloseNow).done()
    book = Playbook(smgp_sp()) << start() >> sends(smgp.Login)
    book << hears(smgp.LoginResp(sequence=1, authenticator_server=PROOF, server_version=0x7F))
    (book >> sees(Refused, status=0, reason="server speaks version 0x7f") >> CloseNow).done()
    answer = smgp.LoginResp(sequence=1, authenticator_server=bytes(16))
    book = Playbook(smgp_sp()) << start() >> sends(smgp.Login) << hears(answer)
    (book >> sees(Violation, kind="authenticator") >> Bound).done()
    book = Playbook(smgp_sp(strict_authenticator=True)) << start() >> sends(smgp.Login) << hears(answer)
    (book >> sees(Refused, status=0) >> CloseNow).done()
    book = Playbook(Session(smgp_rules.server(0x13), config=QUIET)) << start() << hears(login())
    (book >> sees(Refused, status=22) >> CloseNow >> sends(smgp.LoginResp, status=22, server_version=0x13)).done()


def test_smgp_version_is_settled_by_the_answer() -> None:
    for asked, answered, spoken, size in (
        (0x30, 0x30, SMGP30, 126 + 21 + 1), (0x30, 0x13, SMGP13, 120 + 21 + 1), (0x13, 0x30, SMGP13, 120 + 21 + 1),
        (0x13, 0x13, SMGP13, 120 + 21 + 1), (0x30, 0x31, SMGP30, 126 + 21 + 1), (0x13, 0x00, SMGP13, 120 + 21 + 1),
    ):  # fmt: skip
        session = smgp_sp(asked)
        book = Playbook(session) << start() >> sends(smgp.Login, client_version=asked)
        book << hears(smgp.LoginResp(sequence=1, authenticator_server=PROOF, server_version=answered)) >> Bound
        assert session.dialect is spoken
        session.request(smgp.Submit(dest_term_id=("13800138000",), msg_content=b"x"), book.now, "t")
        assert len(session.output()) == size


def test_login_mode_says_who_may_send() -> None:
    modes = smgp_rules.SEND, smgp_rules.RECEIVE, smgp_rules.BOTH
    for mode, state in zip(modes, (State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX), strict=True):
        assert bound_smgp(mode=mode).session.state is state
        assert bound_server(mode=mode).session.state is state
    with pytest.raises(NotBound):
        bound_smgp(mode=smgp_rules.RECEIVE).session.request(smgp.Submit(), 0.0, "x")
    with pytest.raises(NotBound):
        bound_server(mode=smgp_rules.SEND).session.request(smgp.Deliver(), 0.0, "x")
    with pytest.raises(ValueError, match="LoginMode"):
        smgp_sp(mode=3)


def test_smgp_faults_reports_and_tests() -> None:
    book = bound_smgp(mode=smgp_rules.SEND) << hears(smgp.Deliver(sequence=5, msg_id=MSG_ID))
    book >> sees(Violation, kind="wrong-state") >> Request
    (book << replies() >> sends(smgp.DeliverResp, sequence=5, msg_id=MSG_ID, status=0)).done()
    config = SessionConfig(keepalive_interval=30.0, keepalive_timeout=10.0)
    book = bound_smgp(config=config) << hears(smgp.ActiveTest(sequence=7)) >> sends(smgp.ActiveTestResp, sequence=7)
    book << after(30) >> sends(smgp.ActiveTest, sequence=2) << hears(smgp.ActiveTestResp(sequence=2)) << after(30)
    book >> sends(smgp.ActiveTest) << after(10) >> sends(smgp.ActiveTest) << after(10) >> sends(smgp.ActiveTest)
    (book << after(10) >> sees(CloseNow, why="keepalive-timeout")).done()
    book = bound_server() << hears(login()) >> sees(Violation, kind="wrong-state") >> sends(smgp.LoginResp, status=11)
    frame = SMGP30.encode(smgp.Submit(sequence=4, dest_term_id=("1",)))
    broken = (len(frame) - 1).to_bytes(4, "big") + frame[4:-1]
    book << hears(broken) >> sees(Violation, kind="malformed") >> sends(smgp.SubmitResp, sequence=4, status=10)
    (book << hears(smgp.ActiveTest(sequence=5)) >> sends(smgp.ActiveTestResp, sequence=5)).done()
    book = Playbook(Session(smgp_rules.server(), config=QUIET)) << start() << hears(frame)
    (book >> sees(Violation, kind="wrong-state") >> sees(CloseNow, why="request-before-login")).done()


NODE = 3010012345
SGIP_STAMP = 1124163000
SMG = (110020, SGIP_STAMP, 7)
CONFIG = SessionConfig(window=32, response_timeout=30.0, idle_timeout=60.0)
LONG = SessionConfig(window=32, response_timeout=30.0)


def numbering() -> sgip_rules.Numbering:
    return sgip_rules.Numbering(NODE, lambda: SGIP_STAMP)


def submit() -> sgip.Submit:
    return sgip.Submit(user_number=("8613800138000",), message_content=b"x")


def bound_sgip(config: SessionConfig = LONG, login_type: int = sgip_rules.SP_TO_SMG) -> Playbook:
    session = Session(sgip_rules.client("sp", "secret", numbering=numbering(), login_type=login_type), config=config)
    book = Playbook(session) << start()
    book >> sends(sgip.Bind, sequence=(NODE, SGIP_STAMP, 0), login_type=login_type, login_name="sp")
    return book << hears(sgip.BindResp(sequence=(NODE, SGIP_STAMP, 0))) >> Bound


def listener(config: SessionConfig = LONG, login_type: int = sgip_rules.SMG_TO_SP) -> Playbook:
    return Playbook(Session(sgip_rules.server(numbering=numbering(), login_type=login_type), config=config)) << start()


def bound_listener(config: SessionConfig = LONG) -> Playbook:
    book = listener(config) << hears(bind()) >> LoginRequest
    return book << admits() >> sends(sgip.BindResp, sequence=SMG, result=0)


def bind(login_type: int = sgip_rules.SMG_TO_SP) -> sgip.Bind:
    return sgip.Bind(sequence=SMG, login_type=login_type, login_name="smg", login_password="secret")


def test_sgip_numbers_are_message_ids_and_never_given_twice() -> None:
    book = bound_sgip()
    assert book.session.state is State.BOUND_TX
    book << asks(submit(), "a") >> sends(sgip.Submit, sequence=(NODE, SGIP_STAMP, 1))
    book << hears(sgip.SubmitResp(sequence=(NODE, SGIP_STAMP, 1))) >> sees(Answer, tag="a", status=0)
    book.done()
    shared = numbering()  # two connections of a node never give one number twice
    numbers = set()
    for _ in range(2):
        session = Session(sgip_rules.client("sp", "secret", numbering=shared), config=LONG)
        session.start(0.0)
        (bind_pdu,) = (SGIP12.decode(frame) for frame in SGIP12.framer().feed(session.output()))
        session.receive(SGIP12.encode(sgip.BindResp(sequence=bind_pdu.sequence)), 0.0)
        numbers |= {bind_pdu.sequence, *(session.request(submit(), 0.0, n) for n in range(5))}
    assert len(numbers) == 12
    book = sgip_rules.Numbering(0xFFFFFFFF, lambda: SGIP_STAMP, first=0xFFFFFFFF)
    assert [book.next()[2] for _ in range(2)] == [0xFFFFFFFF, 0]
    with pytest.raises(ValueError, match="does not fit"):
        sgip_rules.Numbering(1 << 32, lambda: SGIP_STAMP)


def test_the_connection_of_the_sp_is_for_submits() -> None:
    book = bound_sgip()
    with pytest.raises(NotBound):
        book.session.request(sgip.Deliver(), book.now, "x")
    book = bound_sgip(login_type=sgip_rules.SMG_TO_SP)
    assert book.session.state is State.BOUND_RX
    with pytest.raises(NotBound):
        book.session.request(submit(), book.now, "x")
    book = bound_sgip() << hears(sgip.Report(sequence=SMG)) >> sees(Violation, kind="wrong-state") >> Request
    (book << replies() >> sends(sgip.ReportResp, sequence=SMG, result=0)).done()
    session = Session(sgip_rules.client("sp", "wrong", numbering=numbering()), config=LONG)  # a bind is refused
    book = Playbook(session) << start() >> sends(sgip.Bind)
    book << hears(sgip.BindResp(sequence=(NODE, SGIP_STAMP, 0), result=1))
    (book >> sees(Refused, status=1, reason="illegal login (1)") >> sees(CloseNow, why="refused")).done()


def test_the_listener_takes_what_the_gateway_brings_and_nothing_else() -> None:
    book = bound_listener()
    assert book.session.state is State.BOUND_RX
    for pdu, answer in (
        (sgip.Deliver(sequence=(1, 2, 3), message_content=b"x"), sgip.DeliverResp),
        (sgip.Report(sequence=(1, 2, 4)), sgip.ReportResp),
        (sgip.UserRpt(sequence=(1, 2, 5)), sgip.UserRptResp),
    ):
        book << hears(pdu) >> sees(Request, pdu=pdu)
        book << replies() >> sends(answer, sequence=pdu.sequence, result=0)
    book << hears(sgip.Unbind(sequence=(1, 2, 6))) >> sends(sgip.UnbindResp) >> sees(CloseNow, why="peer-logout")
    book.done()
    book = listener() << hears(bind(sgip_rules.SP_TO_SMG)) >> sees(Refused, status=sgip_rules.LOGIN_TYPE)
    (book >> CloseNow >> sends(sgip.BindResp, result=sgip_rules.LOGIN_TYPE)).done()
    book = listener() << hears(bind()) >> LoginRequest
    assert sgip_rules.proves(book.login.pdu, "smg", "secret")
    assert not sgip_rules.proves(book.login.pdu, "smg", "other")
    assert not sgip_rules.proves(book.login.pdu, "sp", "secret")
    book << refuses(sgip_rules.ILLEGAL_LOGIN) >> sees(CloseNow, why="refused") >> sends(sgip.BindResp, result=1)
    book.done()
    book = bound_listener()  # what is not served is refused and the connection stays
    for pdu, answer in (
        (sgip.Submit(sequence=(1, 2, 3), user_number=("1",)), sgip.SubmitResp),
        (sgip.CheckUser(sequence=(1, 2, 4)), sgip.CheckUserResp),
    ):
        book << hears(pdu) >> sees(Violation, kind="wrong-state")
        book >> sends(answer, sequence=pdu.sequence, result=sgip_rules.LOGIN_TYPE)
    book << hears(bind()) >> sees(Violation, kind="wrong-state")
    book >> sends(sgip.BindResp, result=sgip_rules.LOGIN_REPEATED)
    (book << hears(sgip.Report(sequence=(1, 2, 5))) >> Request).done()


def cut(octets: bytes) -> bytes:
    return (len(octets) - 1).to_bytes(4, "big") + octets[4:-1]


def test_a_syntax_error_ends_a_connection_of_sgip() -> None:
    broken = cut(SGIP12.encode(sgip.Report(sequence=SMG)))
    book = bound_listener() << hears(broken) >> sees(Violation, kind="malformed")
    (book >> sees(CloseNow, why="malformed") >> sends(sgip.ReportResp, result=sgip_rules.LENGTH)).done()
    unknown = bytes.fromhex("00000014 00000bad 000000010000000200000003")
    book = bound_listener() << hears(unknown) >> sees(Violation, kind="unknown-command")
    (book >> sees(CloseNow, why="unknown-command")).done()
    book = bound_sgip() << asks(submit(), "a") >> sends(sgip.Submit)
    book << hears(cut(SGIP12.encode(sgip.SubmitResp(sequence=(NODE, SGIP_STAMP, 1)))))
    (book >> sees(Violation, kind="malformed") >> sees(CloseNow, why="malformed")).done()
    (closed,) = book.session.closed("closed", book.now)
    assert closed.lost == ("a",)  # type: ignore[union-attr]


def test_sgip_leaves_politely_after_silence() -> None:
    book = bound_sgip(CONFIG) << after(50) << asks(submit(), "a") >> sends(sgip.Submit)
    book << hears(sgip.SubmitResp(sequence=(NODE, SGIP_STAMP, 1))) >> Answer
    book << after(59.9) << after(0.1) >> sends(sgip.Unbind)
    (book << hears(sgip.UnbindResp(sequence=(NODE, SGIP_STAMP, 2))) >> sees(CloseNow, why="idle")).done()
    book = listener(login_type=sgip_rules.SP_TO_SMG) << hears(bind(sgip_rules.SP_TO_SMG)) >> LoginRequest
    book << admits() >> sends(sgip.BindResp) << closes() >> sends(sgip.Unbind)
    pdu = submit()
    pdu.sequence = (NODE, SGIP_STAMP, 9)
    (book << hears(pdu) >> sends(sgip.SubmitResp, sequence=pdu.sequence, result=sgip_rules.NODE_BUSY)).done()
