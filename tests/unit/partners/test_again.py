"""Submits that were left without an answer: which one a repeat finds, and what is forgotten."""

from __future__ import annotations

from smsgw.partners.again import GOOD_FOR, Left, UnderWay
from smsgw.partners.cmpp import CmppServer
from smsgw.protocols.cmpp import pdus
from smsgw.protocols.events import Request

FACE = CmppServer()


def submit(sequence: int, text: str, **more: object) -> pdus.Submit:
    return pdus.Submit(
        sequence=sequence, dest_terminal_id=("13800000001",), src_id="1069", msg_content=text.encode(), **more
    )


class Desk:
    """Connections of partners that go, and repeats of what they had sent."""

    def __init__(self, limit: int = 100) -> None:
        self.left = Left(limit)

    def went(self, *said: pdus.Submit, partner: int = 1, now: float = 0.0) -> list[UnderWay]:
        submits = [UnderWay(Request(pdu, n)) for n, pdu in enumerate(said)]
        self.left.add(partner, [(FACE.fingerprint(one.request.pdu) or 0, one) for one in submits], now)
        return submits

    def find(self, pdu: pdus.Submit, partner: int = 1, now: float = 1.0) -> UnderWay | None:
        return self.left.find(partner, pdu, FACE.fingerprint(pdu), now)


def test_connections_that_go_together_have_the_same_numbers() -> None:
    desk = Desk()
    first = desk.went(submit(1, "a1"), submit(2, "a2"))
    second = desk.went(submit(1, "b1"), submit(2, "b2"))
    assert len(desk.left) == 4
    for one in (*first, *second):
        assert isinstance(one.request.pdu, pdus.Submit)
        assert desk.find(one.request.pdu.replace()) is one
    desk.left.drop(second[0])
    assert desk.find(submit(1, "b1")) is None
    assert desk.find(submit(1, "a1")) is first[0], "what was answered is another one"


def test_what_differs_is_no_repeat_and_no_other_is_dropped() -> None:
    desk = Desk()
    desk.went(submit(1, "a1"))
    assert desk.find(submit(2, "a1")) is None
    assert desk.find(submit(1, "a2")) is None
    assert desk.find(submit(1, "a1"), partner=2) is None
    assert desk.find(submit(1, "a1", service_id="other")) is None
    desk = Desk()
    desk.went(submit(1, "a1"))
    desk.left.drop(UnderWay(Request(submit(1, "a1"), 7)))
    assert len(desk.left) == 1


def test_what_is_left_is_forgotten() -> None:
    desk = Desk(limit=3)
    old = desk.went(*(submit(n, f"a{n}") for n in range(4)))
    assert [desk.find(submit(n, f"a{n}")) for n in range(4)] == [None, *old[1:]], ("the oldest, above the limit")
    assert desk.find(submit(3, "a3"), now=GOOD_FOR + 1) is None
    desk.went(submit(9, "new"), now=GOOD_FOR + 1)
    assert len(desk.left) == 1
