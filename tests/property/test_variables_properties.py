"""Variables in texts: what is filled in arrives as it is, and nothing else changes."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from smsgw.core.variables import Template

NAME = st.from_regex(r"[\w]{1,32}", fullmatch=True)
PLAIN = st.text(st.characters(exclude_characters="{}", exclude_categories=("Cs",)), max_size=30)


@given(st.lists(st.tuples(PLAIN, NAME), max_size=6), PLAIN, st.data())
def test_a_text_is_its_pieces_with_the_values_between(
    pieces: list[tuple[str, str]], end: str, data: st.DataObject
) -> None:
    template = Template("".join(f"{plain}{{{name}}}" for plain, name in pieces) + end)
    names = tuple(dict.fromkeys(name for _, name in pieces))
    assert template.names == names
    values = data.draw(st.lists(st.text(max_size=20), min_size=len(names), max_size=len(names)))
    by_name = dict(zip(names, values, strict=True))
    assert template.fill(values) == "".join(plain + by_name[name] for plain, name in pieces) + end


@given(st.text(max_size=80))
def test_any_text_can_be_taken_apart(text: str) -> None:
    template = Template(text)
    filled = template.fill([f"{{{name}}}" for name in template.names])
    # With each variable filled by its own name only doubled braces have become single ones.
    assert filled == re.sub(r"\{\{|\}\}|(\{\w{1,32}\})", lambda m: m[1] or m[0][0], text)


def test_doubled_braces_are_braces() -> None:
    template = Template("{{订单}} {订单}{订单} {a b} {}")
    assert template.names == ("订单",)
    assert template.fill(["{x}"]) == "{订单} {x}{x} {a b} {}"
