"""More than can be taken: it waits, nothing of it is refused or lost, and nobody is judged while we do not listen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from playbook import Playbook, Step, after, asks, closes, hears, loses_transport, replies, sees, sends, start

from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.protocols.cmpp import rules as cmpp_rules
from smsgw.protocols.events import (
    Answer,
    Bound,
    Closed,
    CloseNow,
    Expired,
    Late,
    LoginRequest,
    Request,
    Violation,
)
from smsgw.protocols.pdu import Unknown
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.smpp import rules
from smsgw.protocols.smpp.pdus import (
    BindTransceiver,
    BindTransceiverResp,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    EnquireLinkResp,
    SubmitSm,
    SubmitSmResp,
    Unbind,
    UnbindResp,
)
from smsgw.protocols.states import State

FOUR = SessionConfig(keepalive_interval=None, max_unanswered_in=4)
LIVELY = SessionConfig(keepalive_interval=30.0, keepalive_timeout=15.0, keepalive_attempts=3)


def bound_esme(config: SessionConfig = FOUR) -> Playbook:
    session = Session(rules.client("esme", "secret"), config=config)
    book = Playbook(session) << start() >> sends(BindTransceiver)
    return book << hears(BindTransceiverResp(sequence=1, system_id="smsc")) >> Bound


def bound_smsc(config: SessionConfig) -> Playbook:
    book = Playbook(Session(rules.server(system_id="smsc"), config=config)) << start()
    book << hears(BindTransceiver(sequence=1, system_id="esme", interface_version=0x34)) >> LoginRequest
    book.session.admit(book.login, now=book.now)
    book.session.output()
    return book


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


# -- requests beyond the limit --------------------------------------------------------------------------------------


def test_requests_beyond_the_limit_wait_and_are_not_refused() -> None:
    book = bound_esme() << hears(*delivers(1, 11))
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


def test_a_limit_of_one() -> None:
    book = bound_esme(replace(FOUR, max_unanswered_in=1)) << hears(*delivers(1, 3))
    for sequence in (1, 2, 3):
        assert sequences(book) == [sequence]
        assert not book.session.wants_input
        book << replies() >> sends(DeliverSmResp, sequence=sequence)
    assert book.session.wants_input


def test_octets_count_as_well() -> None:
    size = len(Session(rules.client("x", "y"), config=FOUR).dialect.encode(DeliverSm(short_message=b"x" * 200)))
    book = bound_esme(replace(FOUR, max_unanswered_in=100, max_unanswered_octets=size * 3))
    book << hears(*(DeliverSm(sequence=n, short_message=b"x" * 200) for n in range(1, 6)))
    assert sequences(book) == [1, 2, 3]
    assert not book.session.wants_input
    book << replies() >> sends(DeliverSmResp)
    assert sequences(book) == [2, 3]
    book << replies() >> sends(DeliverSmResp)
    assert sequences(book) == [3, 4, 5]


def test_what_waits_is_not_decoded_and_keeps_its_order_over_reads() -> None:
    book = bound_esme() << hears(*delivers(1, 5))
    assert sequences(book) == [1, 2, 3, 4]
    octets = b"".join(book.session.dialect.encode(pdu) for pdu in delivers(6, 3))
    for n in range(len(octets)):
        book << hears(octets[n : n + 1])
    assert sequences(book) == [1, 2, 3, 4]
    for _ in range(4):
        book << replies() >> sends(DeliverSmResp)
        sequences(book)
    assert sequences(book) == [5, 6, 7, 8]


def test_answers_and_keepalives_pass_what_waits() -> None:
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2)
    book << hears(*delivers(1, 6), SubmitSmResp(sequence=2, message_id="x"), EnquireLink(sequence=7))
    for _ in range(4):
        book >> Request
    (book >> sees(Answer, tag="a") >> sends(EnquireLinkResp, sequence=7)).done()
    assert not book.session.wants_input


def test_the_peers_logout_waits_for_its_turn() -> None:
    book = bound_esme() << hears(*delivers(1, 6), Unbind(sequence=9))
    assert sequences(book) == [1, 2, 3, 4]
    for _ in range(4):
        assert book.session.state is State.BOUND_TRX
        book << replies() >> sends(DeliverSmResp)
        sequences(book)
    assert sequences(book) == [5, 6]
    assert book.session.state is State.LEAVING
    book << replies() >> sends(DeliverSmResp, sequence=5) << replies() >> sends(DeliverSmResp, sequence=6)
    (book >> sees(CloseNow, why="peer-logout") >> sends(UnbindResp, sequence=9)).done()


def test_a_request_without_an_answer_makes_room_when_it_is_forgotten() -> None:
    book = bound_esme() << hears(*delivers(1, 6))
    assert sequences(book) == [1, 2, 3, 4]
    book << forgets() << forgets()
    assert sequences(book) == [3, 4, 5, 6]
    assert book.session.owed == 4
    (book << after(100)).done()


def test_a_shell_that_reads_on_all_the_same_is_stopped() -> None:
    book = bound_esme(replace(FOUR, max_input=500)) << hears(*delivers(1, 4))
    assert sequences(book) == [1, 2, 3, 4]
    book << hears(DeliverSm(sequence=5, short_message=b"x" * 200))
    (book << hears(DeliverSm(sequence=6, short_message=b"x" * 240)) >> sees(CloseNow, why="input-overflow")).done()


@pytest.mark.parametrize("protocol", ["smpp", "cmpp"])
def test_who_was_given_a_window_is_told_once_and_then_waits(protocol: str) -> None:
    config = replace(FOUR, refuses_beyond=True)
    if protocol == "smpp":
        book, asked = bound_smsc(config), submits(1, 12)
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


def test_a_window_that_is_used_up_to_the_last_place_is_no_offence() -> None:
    book = bound_smsc(replace(FOUR, refuses_beyond=True)) << hears(*submits(1, 4))
    assert sequences(book) == [1, 2, 3, 4]
    assert book.session.wants_input


# -- leaving --------------------------------------------------------------------------------------------------------


def test_who_leaves_reads_on_and_lets_what_waited_come_again() -> None:
    """The answers to our own requests are behind it, and without an answer of ours the peer keeps it."""
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2) << hears(*delivers(1, 9))
    assert sequences(book) == [1, 2, 3, 4]
    book << closes()
    assert book.session.wants_input
    book << hears(*delivers(10, 9), SubmitSmResp(sequence=2), EnquireLink(sequence=99))
    book >> sees(Answer, tag="a") >> sends(EnquireLinkResp)
    for sequence in (1, 2, 3, 4):
        book << replies() >> sends(DeliverSmResp, sequence=sequence)
    book >> sends(Unbind)
    (book << hears(UnbindResp(sequence=3)) >> CloseNow).done()


def test_a_client_is_told_that_what_waited_was_not_taken() -> None:
    book = bound_smsc(replace(FOUR, refuses_beyond=True)) << hears(*submits(1, 7))
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


def test_what_is_no_submit_is_let_go_in_silence_while_we_leave() -> None:
    """Nothing of it is of use to anybody now: not a command that nobody knows, not a body that cannot be read."""
    book = bound_smsc(FOUR) << hears(*submits(1, 4))
    assert sequences(book) == [1, 2, 3, 4]
    book << closes() << hears(Unknown(0x01FF, 5))
    book << hears(bytes.fromhex("00000012 00000004 00000000 00000006 ffff")) << hears(Unknown(0x0102, 7))
    book << hears(SubmitSm(sequence=8)) >> sends(SubmitSmResp, sequence=8, command_status=0x58)
    for sequence in (1, 2, 3, 4):
        book << replies() >> sends(SubmitSmResp, sequence=sequence)
    (book >> sends(Unbind) << hears(UnbindResp(sequence=1)) >> CloseNow).done()


def test_both_leave_while_something_waits() -> None:
    book = bound_esme() << hears(*delivers(1, 9))
    sequences(book)
    book << closes() << hears(Unbind(sequence=99))
    assert book.session.state is State.LEAVING
    for _ in range(4):
        book << replies() >> sends(DeliverSmResp)
    (book >> CloseNow >> sends(UnbindResp, sequence=99)).done()


def test_the_transport_goes_while_something_waits() -> None:
    book = bound_esme() << hears(*delivers(1, 9))
    sequences(book)
    (book << loses_transport() >> Closed).done()
    assert book.session.deadline() is None


# -- time while nobody reads ----------------------------------------------------------------------------------------


def test_answers_are_not_overdue_while_they_may_lie_unread() -> None:
    book = bound_esme() << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2) << after(50) << deaf()
    book << after(200) << deaf(False) << after(9)
    book << hears(SubmitSmResp(sequence=2)) >> sees(Answer, tag="a", elapsed=259.0)
    book << asks(SubmitSm(), "b") >> sends(SubmitSm, sequence=3) << after(59)
    (book << after(1) >> sees(Expired, tag="b")).done()


def test_what_is_asked_while_nobody_reads_has_its_whole_time_afterwards() -> None:
    book = bound_esme() << deaf() << after(100) << asks(SubmitSm(), "a") >> sends(SubmitSm) << after(100)
    book << deaf(False) << after(59) << deaf() << after(100) << deaf(False)
    (book << after(1) >> sees(Expired, tag="a")).done()


def test_not_reading_is_no_excuse_for_ever() -> None:
    book = bound_esme(replace(FOUR, max_deaf=300.0)) << asks(SubmitSm(), "a") >> sends(SubmitSm, sequence=2)
    book << after(10) << deaf() << after(349) << after(1) >> sees(Expired, tag="a")
    book << after(1000) << deaf(False) << hears(SubmitSmResp(sequence=2)) >> sees(Late, tag="a")
    book << asks(SubmitSm(), "b") >> sends(SubmitSm) << after(59) << after(1) >> sees(Expired, tag="b")
    book.done()


def test_a_link_that_we_do_not_read_is_not_dead() -> None:
    book = bound_esme(LIVELY) << after(30) >> sends(EnquireLink) << after(15) >> sends(EnquireLink)
    book << after(14) << deaf() << after(20)
    book << after(10) >> sends(EnquireLink, sequence=4), "it hears of us all the same"
    for sequence in range(5, 18):
        book << after(30) >> sends(EnquireLink, sequence=sequence)
    (book << after(3600)).done()  # no more than can be told from strangers' answers
    book << deaf(False) << hears(*(EnquireLinkResp(sequence=n) for n in range(2, 18)))
    (book << after(30) >> sends(EnquireLink) << after(15) >> sends(EnquireLink) << after(15) >> sends(EnquireLink))
    (book << after(15) >> sees(CloseNow, why="keepalive-timeout")).done()


def test_half_a_pdu_is_not_overdue_while_nobody_reads() -> None:
    octets = Session(rules.client("x", "y"), config=FOUR).dialect.encode(DeliverSm(sequence=3))
    book = bound_esme() << hears(octets[:7]) << after(20) << deaf() << after(500) << deaf(False) << after(9)
    book << hears(octets[7:]) >> Request << hears(octets[:7]) << after(29)
    (book << after(1) >> sees(CloseNow, why="frame-timeout")).done()


def test_a_peer_that_we_do_not_read_is_not_idle() -> None:
    book = bound_esme(replace(FOUR, idle_timeout=60.0)) << deaf() << after(500) << deaf(False) << after(59)
    (book << after(1) >> sends(Unbind)).done()


def test_told_twice_is_told_once() -> None:
    session = bound_esme().session
    session.reading(True, 1000.0)
    session.reading(False, 1000.0)
    session.reading(False, 1010.0)
    session.reading(True, 1020.0)
    session.reading(True, 1030.0)
    session.request(SubmitSm(), 1030.0, "a")
    assert session.deadline() == 1090.0
