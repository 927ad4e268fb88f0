"""Two texts side by side: nothing is lost, what is the same is the same, and no text makes it dear."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from smsgw.core.likeness import ANY, MOST, compared, likeness, pairs

texts = st.text(alphabet="ab的通知 " + ANY, max_size=60)


@given(texts, texts)
def test_both_can_be_read_off(one: str, other: str) -> None:
    found = compared(one, other)
    assert "".join(stretch.one for stretch in found) == one
    assert "".join(stretch.other for stretch in found) == other
    assert all(stretch.one == stretch.other for stretch in found if stretch.same)


@given(texts)
def test_a_text_is_like_itself(text: str) -> None:
    assert all(stretch.same for stretch in compared(text, text))
    assert likeness(pairs(text), pairs(text)) == (1.0 if len(text) > 1 else 0.0)


def test_what_stands_for_a_place_is_told_from_what_was_added() -> None:
    found = compared("关于水费的通知，请立即点击到二楼办理", f"关于{ANY}的通知，请到{ANY}办理")
    assert [(stretch.one, stretch.other) for stretch in found if not stretch.same] == [
        ("水费", ANY), ("立即点击", ""), ("二楼", ANY),
    ]  # fmt: skip


def test_no_text_makes_it_dear() -> None:
    kinds = "".join(chr(0x4E00 + n) for n in range(MOST))
    for text in ("a" * 100_000, "ab" * 50_000, kinds, kinds[::-1], "ab" * 300 + kinds[:600]):
        for other in (kinds, "a" * 100_000, text[::-1]):
            begun = time.process_time()
            compared(text, other)
            likeness(pairs(text), pairs(other))
            assert time.process_time() - begun < 0.1
