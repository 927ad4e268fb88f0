"""Recorded submits: the first of each second, no more than there is room for, and each answer with its submit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from smsgw.channels.wire import keeping as module
from smsgw.channels.wire.keeping import Keeping
from smsgw.core.model import Claimed, SubmitRecording
from smsgw.pipeline.outcomes import submit_log
from smsgw.pipeline.outcomes.submit_log import PER_SECOND, SubmitLog
from smsgw.protocols.cmpp.pdus import Submit
from smsgw.protocols.dialects import CMPP20, DIALECTS
from smsgw.runtime import clock

ANSWER = b"\x00" * 21


def part(id_: int) -> Claimed:
    return Claimed(id_, 1, 1, 1, "8613800138000", "x", "ascii", "", 2, None, 5, 1, 1)


class Desk:
    """A channel that is being recorded, on a loop's clock of its own."""

    def __init__(self, hours: float = 1.0) -> None:
        self.log = SubmitLog(cast("Any", None))
        until = clock.now() + timedelta(hours=hours)
        self.keeping = Keeping(3, SubmitRecording(7, until), self.log)

    def submit(self, id_: int, at: float = 10.0) -> None:
        self.keeping.submitted(CMPP20, Submit(sequence=id_, dest_terminal_id=("8613800138000",)), part(id_), at)

    def answer(self, id_: int) -> None:
        self.keeping.answered(CMPP20, part(id_), ANSWER)

    @property
    def kept(self) -> list[tuple[int, bool]]:
        return [(one.message_id, one.ours) for one in self.log._waiting]

    @property
    def left_out(self) -> int:
        tally = self.log._tallies.get(7)
        return tally.left_out if tally else 0


async def test_a_submit_and_its_answer_are_kept_as_they_were() -> None:
    desk = Desk()
    desk.submit(1)
    desk.answer(1)
    desk.answer(1)  # once more: of no submit that waits
    desk.answer(2)
    submit, answer = desk.log._waiting
    assert (submit.ours, answer.ours) == (True, False)
    assert CMPP20.decode(submit.pdu).dest_terminal_id == ("8613800138000",)
    assert answer.pdu == ANSWER
    assert (answer.recording, answer.channel_id, answer.protocol) == (7, 3, "cmpp20")


async def test_of_each_second_only_so_many_are_kept_and_the_others_are_counted() -> None:
    desk = Desk()
    for n in range(1, PER_SECOND + 21):
        desk.submit(n)
    assert (len(desk.kept), desk.left_out) == (PER_SECOND, 20)
    desk.submit(1000, 11.0)
    assert desk.kept[-1] == (1000, True)
    desk.answer(PER_SECOND + 1)
    assert len(desk.kept) == PER_SECOND + 1, "no answer without its submit"


async def test_when_the_time_is_over_or_it_is_full_nothing_is_kept() -> None:
    desk = Desk(-1.0)
    desk.submit(1)
    desk.submit(2, 12.0)
    assert (desk.kept, desk.left_out) == ([], 0)
    desk = Desk()
    desk.log._full.add(7)
    desk.submit(1)
    assert (desk.kept, desk.left_out) == ([], 1)


async def test_a_database_that_takes_nothing_costs_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit_log, "MOST_WAITING", 30)
    monkeypatch.setattr(module, "MOST_OPEN", 25)
    desk = Desk()
    for n in range(1, 201):
        desk.submit(n, float(n))
        desk.answer(n)
    assert (len(desk.kept), desk.left_out) == (30, 185)
    for n in range(201, 301):
        desk.keeping._open[part(n).key] = None
        desk.answer(n)
    assert len(desk.kept) == 60, "answers to what was taken, and no more"


def test_no_submit_of_any_protocol_has_a_field_for_a_password() -> None:
    seen = 0
    for dialect in DIALECTS.values():
        for pdu in dialect.pdus.values():
            if "Submit" in pdu.__name__:
                seen += 1
                assert not [name for name, kind in pdu.__wire__.items() if kind.secret], pdu.__name__
    assert seen >= 10
