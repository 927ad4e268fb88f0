"""Whose a report is: ids spelled otherwise, and what fits exactly one part."""

from __future__ import annotations

import pytest

from smsgw.core.report_ids import ENOUGH, OTHERS, Learner, Spelling, respell
from smsgw.core.report_match import Candidate, Rule, Why, judge
from smsgw.core.states import PartState as S
from smsgw.protocols.smpp.ids import canonical

N = 0x16FEE0E525


@pytest.mark.parametrize(
    ("answer", "receipt", "spelling"),
    [
        (f"{N:x}", f"{N}", Spelling.HEX_DEC), (f"{N:X}", f"{N:020d}", Spelling.HEX_DEC),
        (f"{N:016X}", f"{N}", Spelling.HEX_DEC), (f"{N}", f"{N:x}", Spelling.DEC_HEX),
        (f"{N:020d}", f"{N:016X}", Spelling.DEC_HEX), ("0e999f21-AAAA", "E999F21-aaaa", Spelling.SAME),
        ("04062581", "4062581", Spelling.SAME), ("9bd88980f32d1c3e", "3e1c2df38089d89b", Spelling.SWAPPED),
    ],
)  # fmt: skip
def test_a_reports_id_becomes_the_answers(answer: str, receipt: str, spelling: Spelling) -> None:
    assert respell(canonical(receipt), spelling) == canonical(answer)
    assert [s for s in OTHERS if respell(canonical(receipt), s) == canonical(answer)] == (
        [] if spelling is Spelling.SAME else [spelling]
    )


@pytest.mark.parametrize("text", ["", "SAR-2347039245475-1eedf843-2-1", "e999f21-aaaa", "x" * 70, "9" * 41])
def test_what_is_no_number_has_no_other_spelling(text: str) -> None:
    assert [respell(text, s) for s in OTHERS] == [None, None, None]


def test_a_spelling_is_believed_after_enough_different_parts() -> None:
    learner = Learner()
    fit = Spelling.HEX_DEC
    for _ in range(10):
        assert learner.saw(1, [(fit, 100, 1)]) is None  # the same report ten times is one piece of evidence
    for id_ in range(101, 100 + ENOUGH - 1):
        assert learner.saw(1, [(fit, id_, 1)]) is None
        assert learner.saw(2, [(fit, id_, 1)]) is None  # another channel's evidence is its own
    assert learner.saw(1, [(fit, 200, 1)]) is fit


def test_what_is_ambiguous_or_contradicts_teaches_nothing() -> None:
    learner = Learner()
    both = [(Spelling.HEX_DEC, 1, 1), (Spelling.DEC_HEX, 2, 1)]
    assert [learner.saw(1, both) for _ in range(9)] == [None] * 9
    assert learner.saw(1, []) is None
    for id_ in range(20):
        assert learner.saw(1, [(OTHERS[id_ % 2], id_, 1)]) is None


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
        ("4660", "1234", Rule.HEX_DEC), ("4d2", "1234", Rule.DEC_HEX),
        ("0102030405060708", "0807060504030201", Rule.SWAPPED), ("abcdefgh", "abcdefgh", Rule.SAME),
        ("xy12345678", "xy1234567890", Rule.TRIMMED), ("1234567890zz", "34567890zz", Rule.TRIMMED),
    ],
)  # fmt: skip
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
