"""Ids that a report spells otherwise than the answer did."""

from __future__ import annotations

import pytest

from smsgw.core.report_ids import ENOUGH, OTHERS, Learner, Spelling, respell
from smsgw.protocols.smpp.ids import canonical

N = 0x16FEE0E525


@pytest.mark.parametrize(
    ("answer", "receipt", "spelling"),
    [
        (f"{N:x}", f"{N}", Spelling.HEX_DEC),
        (f"{N:X}", f"{N:020d}", Spelling.HEX_DEC),
        (f"{N:016X}", f"{N}", Spelling.HEX_DEC),
        (f"{N}", f"{N:x}", Spelling.DEC_HEX),
        (f"{N:020d}", f"{N:016X}", Spelling.DEC_HEX),
        ("0e999f21-AAAA", "E999F21-aaaa", Spelling.SAME),
        ("04062581", "4062581", Spelling.SAME),
        ("9bd88980f32d1c3e", "3e1c2df38089d89b", Spelling.SWAPPED),
    ],
)
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
