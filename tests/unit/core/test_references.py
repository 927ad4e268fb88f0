from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from smsgw.core.references import Candidate, by_number, by_reference, reference_of, written_time
from smsgw.core.states import PartState

S = PartState
AT = datetime(2026, 11, 24, 12, 1, 30, tzinfo=UTC)
LOST = Candidate(383695941489659904, 1, S.UNKNOWN, "", AT)


def test_references_differ_between_neighbours() -> None:
    found = {reference_of(383695941489659904 + n, part) for n in range(100) for part in (1, 2)}
    assert len(found) > 190
    assert all(0 <= reference <= 0xFFFF for reference in found)


@pytest.mark.parametrize(
    ("state", "found"),
    [(S.SENDING, False), (S.SENT, True), (S.UNKNOWN, True), (S.UNCONFIRMED, True), (S.NO_REPORT, True)],
)
def test_a_reference_names_one_part(state: PartState, found: bool) -> None:
    mine = replace(LOST, state=state)
    other = replace(LOST, id=LOST.id + 1)
    reference = reference_of(LOST.id, 1)
    assert by_reference([other, mine], reference) == (mine if found else None)
    assert by_reference([other], reference) is None
    assert by_reference([mine, mine], reference) is None


def test_a_number_names_one_part_when_no_other_waits() -> None:
    received = AT + timedelta(minutes=1)
    assert by_number([LOST], None, received) == LOST
    assert by_number([LOST, replace(LOST, part=2)], None, received) is None
    assert by_number([LOST, replace(LOST, part=2, state=S.NO_REPORT, carrier_id="7")], None, received) == LOST
    for state in (S.SENDING, S.SENT):
        assert by_number([LOST, replace(LOST, id=9, state=state, carrier_id="7")], None, received) is None
    assert by_number([replace(LOST, carrier_id="7")], None, received) is None
    assert by_number([LOST], None, AT - timedelta(seconds=1)) is None
    assert by_number([], None, received) is None


@pytest.mark.parametrize(
    ("written", "fits"),
    [("2611241201", True), ("261124200130", True), ("2611241731", True), ("2611241204", False), ("2611241208", False),
     ("0001010000", True), ("2611221201", False), ("", True), ("9999999999", True), ("2611241200", True),
     ("261124120430", False), ("000101000000", True)],
)  # fmt: skip
def test_the_minute_must_fit_in_some_zone(written: str, fits: bool) -> None:
    found = by_number([LOST], written_time(written), AT + timedelta(hours=1))
    assert (found is not None) == fits
