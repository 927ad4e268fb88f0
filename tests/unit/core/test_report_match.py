"""Why a report has found no message, and under which rule it would fit exactly one."""

from __future__ import annotations

import pytest

from smsgw.core.report_match import Candidate, Rule, Why, judge
from smsgw.core.states import PartState as S

NUMBER = "8613800138000"


def part(carrier_id: str, state: S = S.SENT, *, channel: int = 1, id: int = 10) -> Candidate:
    return Candidate(id, 1, state, channel, carrier_id)


def said(carrier_id: str, *parts: Candidate, number: str = NUMBER) -> tuple[Why, Rule | None]:
    found = judge(1, carrier_id, number, parts, {2})
    assert (found.home is not None) is (found.why is Why.FITS)
    return found.why, found.rule


@pytest.mark.parametrize(
    ("reported", "answered", "rule"),
    [
        ("4660", "1234", Rule.HEX_DEC),
        ("4d2", "1234", Rule.DEC_HEX),
        ("0102030405060708", "0807060504030201", Rule.SWAPPED),
        ("abcdefgh", "abcdefgh", Rule.SAME),
        ("xy12345678", "xy1234567890", Rule.TRIMMED),
        ("1234567890zz", "34567890zz", Rule.TRIMMED),
    ],
)
def test_exactly_one_part_fits_under_a_rule(reported: str, answered: str, rule: Rule) -> None:
    assert said(reported, part(answered), part("another-id", id=11)) == (Why.FITS, rule)


def test_another_channel_of_the_carrier_by_the_same_id_alone() -> None:
    assert said("xyz98765", part("xyz98765", channel=2)) == (Why.FITS, Rule.OTHER_CHANNEL)
    assert said("xyz98765", part("xyz98765", channel=3)) == (Why.NOT_OURS, None), "another carrier's"
    assert said("4660", part("1234", channel=2)) == (Why.NO_ID, None), "two rules at once would be a guess"


def test_several_that_fit_are_left_alone() -> None:
    assert said("4660", part("1234"), part("1234", id=11)) == (Why.AMBIGUOUS, None)
    assert said("4660", part("1234"), part("4660", channel=2, id=11)) == (Why.AMBIGUOUS, None)
    assert said("4660", part("1234"), part("4660", S.DELIVERED, id=11)) == (Why.AMBIGUOUS, None), "it may be that one's"


def test_what_nothing_can_be_done_about() -> None:
    assert said("4660") == (Why.NOT_OURS, None)
    assert said("4660", part("")) == (Why.NO_ID, None)
    assert said("4660", part("77")) == (Why.NO_ID, None)
    assert said("4660", part("4660", S.DELIVERED)) == (Why.SETTLED, None)
    assert said("4660", part("1234"), number="") == (Why.NO_NUMBER, None)
    assert said("1234567", part("12345678")) == (Why.NO_ID, None), "too short to be told from chance"
    assert said("12345678", part("1234567890", S.DELIVERED)) == (Why.NO_ID, None)
