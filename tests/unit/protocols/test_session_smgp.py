"""SMGP sessions, told as playbooks: the digest, versions, login modes, reports, faults, leaving."""

from __future__ import annotations

import pytest
from playbook import Playbook, admits, after, hears, replies, sees, sends, start

from smsgw.protocols.dialects import SMGP13, SMGP30
from smsgw.protocols.events import Bound, CloseNow, LoginRequest, Refused, Request, Violation
from smsgw.protocols.session import NotBound, Session, SessionConfig
from smsgw.protocols.smgp import rules
from smsgw.protocols.smgp.auth import authenticator_client, authenticator_server
from smsgw.protocols.smgp.pdus import (
    ActiveTest,
    ActiveTestResp,
    Deliver,
    DeliverResp,
    Login,
    LoginResp,
    Submit,
    SubmitResp,
)
from smsgw.protocols.states import State

NAME, SECRET, STAMP = "12345678", "smgp-secret", 301000000
DIGEST = authenticator_client(NAME, SECRET, STAMP)
PROOF = authenticator_server(0, DIGEST, SECRET)
MSG_ID = bytes.fromhex("01006101161700012345")
QUIET = SessionConfig(keepalive_interval=None)


def sp(version: int = 0x30, mode: int = rules.BOTH, config: SessionConfig = QUIET, **more: bool) -> Session:
    made = rules.client(NAME, SECRET, version, timestamp=lambda: STAMP, login_mode=mode, **more)
    return Session(made, config=config)


def bound_sp(version: int = 0x30, mode: int = rules.BOTH, config: SessionConfig = QUIET) -> Playbook:
    book = Playbook(sp(version, mode, config)) << start() >> sends(Login)
    return book << hears(LoginResp(sequence=1, authenticator_server=PROOF, server_version=version)) >> Bound


def login(version: int = 0x30, mode: int = rules.BOTH) -> Login:
    return Login(
        sequence=1,
        client_id=NAME,
        authenticator_client=DIGEST,
        login_mode=mode,
        timestamp=STAMP,
        client_version=version,
    )


def bound_server(version: int = 0x30, mode: int = rules.BOTH) -> Playbook:
    book = Playbook(Session(rules.server(), config=QUIET)) << start() << hears(login(version, mode))
    book >> LoginRequest << admits(secret=SECRET)
    return book >> sends(LoginResp, status=0, authenticator_server=PROOF, server_version=version)


def test_the_digest_has_seven_zeros() -> None:
    book = Playbook(sp()) << start()
    digest = bytes.fromhex("0cb44b36abbf7e83421931813e1c4d83")
    (book >> sends(Login, authenticator_client=digest, timestamp=STAMP, login_mode=2, client_version=0x30)).done()
    assert rules.proves(login(), SECRET)
    assert not rules.proves(login(), "other")


@pytest.mark.parametrize(
    ("asked", "answered", "spoken", "size"),
    [
        (0x30, 0x30, SMGP30, 126 + 21 + 1), (0x30, 0x13, SMGP13, 120 + 21 + 1), (0x13, 0x30, SMGP13, 120 + 21 + 1),
        (0x13, 0x13, SMGP13, 120 + 21 + 1), (0x30, 0x31, SMGP30, 126 + 21 + 1), (0x13, 0x00, SMGP13, 120 + 21 + 1),
    ],
)  # fmt: skip
def test_version_is_settled_by_the_answer(asked: int, answered: int, spoken: object, size: int) -> None:
    session = sp(asked)
    book = Playbook(session) << start() >> sends(Login, client_version=asked)
    book << hears(LoginResp(sequence=1, authenticator_server=PROOF, server_version=answered)) >> Bound
    assert session.dialect is spoken
    session.request(Submit(dest_term_id=("13800138000",), msg_content=b"x"), book.now, "t")
    assert len(session.output()) == size


def test_refusals_say_why() -> None:
    book = Playbook(sp()) << start() >> sends(Login) << hears(LoginResp(sequence=1, status=21))
    (book >> sees(Refused, status=21, reason="authentication failed (21)") >> CloseNow).done()
    book = Playbook(sp()) << start() >> sends(Login)
    book << hears(LoginResp(sequence=1, status=22, server_version=0x13))
    (book >> sees(Refused, reason="version 0x30 is too high, server has 0x13") >> CloseNow).done()
    book = Playbook(sp()) << start() >> sends(Login)
    book << hears(LoginResp(sequence=1, authenticator_server=PROOF, server_version=0x7F))
    (book >> sees(Refused, status=0, reason="server speaks version 0x7f") >> CloseNow).done()


def test_a_wrong_proof_is_noted_or_ends_a_strict_client() -> None:
    answer = LoginResp(sequence=1, authenticator_server=bytes(16))
    book = Playbook(sp()) << start() >> sends(Login) << hears(answer)
    (book >> sees(Violation, kind="authenticator") >> Bound).done()
    book = Playbook(sp(strict_authenticator=True)) << start() >> sends(Login) << hears(answer)
    (book >> sees(Refused, status=0) >> CloseNow).done()


def test_login_mode_says_who_may_send() -> None:
    for mode, state in ((rules.SEND, State.BOUND_TX), (rules.RECEIVE, State.BOUND_RX), (rules.BOTH, State.BOUND_TRX)):
        assert bound_sp(mode=mode).session.state is state
        assert bound_server(mode=mode).session.state is state
    with pytest.raises(NotBound):
        bound_sp(mode=rules.RECEIVE).session.request(Submit(), 0.0, "x")
    with pytest.raises(NotBound):
        bound_server(mode=rules.SEND).session.request(Deliver(), 0.0, "x")
    with pytest.raises(ValueError, match="LoginMode"):
        sp(mode=3)


def test_a_report_on_a_sending_connection_is_taken_and_noted() -> None:
    book = bound_sp(mode=rules.SEND) << hears(Deliver(sequence=5, msg_id=MSG_ID))
    book >> sees(Violation, kind="wrong-state") >> Request
    (book << replies() >> sends(DeliverResp, sequence=5, msg_id=MSG_ID, status=0)).done()


def test_active_test_both_ways_and_three_without_an_answer() -> None:
    config = SessionConfig(keepalive_interval=30.0, keepalive_timeout=10.0)
    book = bound_sp(config=config) << hears(ActiveTest(sequence=7)) >> sends(ActiveTestResp, sequence=7)
    book << after(30) >> sends(ActiveTest, sequence=2) << hears(ActiveTestResp(sequence=2)) << after(30)
    book >> sends(ActiveTest) << after(10) >> sends(ActiveTest) << after(10) >> sends(ActiveTest)
    (book << after(10) >> sees(CloseNow, why="keepalive-timeout")).done()


def test_faults() -> None:
    book = bound_server() << hears(login()) >> sees(Violation, kind="wrong-state") >> sends(LoginResp, status=11)
    frame = SMGP30.encode(Submit(sequence=4, dest_term_id=("1",)))
    broken = (len(frame) - 1).to_bytes(4, "big") + frame[4:-1]
    book << hears(broken) >> sees(Violation, kind="malformed") >> sends(SubmitResp, sequence=4, status=10)
    (book << hears(ActiveTest(sequence=5)) >> sends(ActiveTestResp, sequence=5)).done()
    book = Playbook(Session(rules.server(), config=QUIET)) << start() << hears(frame)
    (book >> sees(Violation, kind="wrong-state") >> sees(CloseNow, why="request-before-login")).done()


def test_a_server_of_1_3_refuses_3_0() -> None:
    book = Playbook(Session(rules.server(0x13), config=QUIET)) << start() << hears(login())
    (book >> sees(Refused, status=22) >> CloseNow >> sends(LoginResp, status=22, server_version=0x13)).done()
