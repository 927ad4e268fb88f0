"""Parts of messages from phones under one reference, told apart by their texts."""

from __future__ import annotations

from adversarial import BOUND, cost
from hypothesis import given
from hypothesis import strategies as st

from smsgw.store.messages.inbound import Key, Layer, layers

PARTS = st.lists(st.tuples(st.integers(1, 3), st.sampled_from("abcd")), max_size=12)


def searched(parts: list[tuple[int, str, Key]]) -> list[Layer]:
    """What it means: each part goes to the first layer that has no other text for its number."""
    found: list[Layer] = []
    for number, text, key in parts:
        layer = next((layer for layer in found if layer.get(number, (text,))[0] == text), None)
        if layer is None:
            layer = {}
            found.append(layer)
        layer.setdefault(number, (text, []))[1].append(key)
    return found


@given(PARTS)
def test_each_part_goes_to_the_first_message_that_it_may_belong_to(given_parts: list[tuple[int, str]]) -> None:
    parts = [(number, text, (1, str(n), "")) for n, (number, text) in enumerate(given_parts)]
    assert layers(parts) == searched(parts)


def test_thousands_under_one_reference() -> None:
    parts = [(1, f"text {n}", (1, str(n), "")) for n in range(10_000)]
    assert cost(lambda: layers(parts)) < BOUND
