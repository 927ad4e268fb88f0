"""English of the portal takes the form that its numbers ask for."""

from __future__ import annotations

import pytest

from smsgw.admin.i18n import agreeing


@pytest.mark.parametrize(
    ("text", "values", "said"),
    [
        ("%(n)s part(s)", {"n": 1}, "1 part"),
        ("%(n)s part(s)", {"n": "0"}, "0 parts"),
        ("%(people)s (person|people) in %(n)s account(s)", {"people": 1, "n": 2}, "1 person in 2 accounts"),
        ("%(n)s row(s) (is|are) left of %(name)s", {"n": 1, "name": "part(s)"}, "1 row is left of part(s)"),
        ("Delay (s)", {}, "Delay (s)"),
    ],
)
def test_english_words_agree_with_their_numbers(text: str, values: dict[str, object], said: str) -> None:
    assert agreeing(text, values) % values == said
