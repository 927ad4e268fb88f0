"""The transition table against itself, and the store's use of it."""

from __future__ import annotations

import pytest

from smsgw.core import states
from smsgw.core.states import CORRECTABLE, FINAL, REFUNDED, TRANSITIONS, PartState

S = PartState


def test_every_state_has_its_row_word_and_rank() -> None:
    assert set(TRANSITIONS) == set(S) == set(states.STATUS) == set(states.RANK)
    assert set(states.STATUS.values()) | {"rejected"} == set(states.STATUS_NAMES)


def test_every_state_can_be_left_unless_it_is_final() -> None:
    for state, targets in TRANSITIONS.items():
        assert state not in targets
        assert bool(targets) == (state not in FINAL or state in CORRECTABLE)
    for state in CORRECTABLE:
        assert TRANSITIONS[state] == {S.DELIVERED, S.UNDELIVERABLE}


def test_a_final_state_is_reachable_from_everywhere() -> None:
    for state in set(S) - FINAL:
        seen, todo = {state}, [state]
        while todo:
            more = TRANSITIONS[todo.pop()] - seen
            seen |= more
            todo += more
        assert seen & FINAL


def test_what_is_refunded_is_never_left_again() -> None:
    assert all(not TRANSITIONS[state] for state in REFUNDED)


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([S.DELIVERED, S.SENT], S.SENT), ([S.DELIVERED, S.UNKNOWN, S.SENT], S.UNKNOWN),
        ([S.DELIVERED, S.UNDELIVERABLE], S.UNDELIVERABLE), ([S.UNCONFIRMED, S.UNDELIVERABLE], S.UNCONFIRMED),
        ([S.NO_REPORT, S.DELIVERED], S.NO_REPORT),
    ],
)  # fmt: skip
def test_a_message_is_as_far_as_its_least_advanced_part(parts: list[S], whole: S) -> None:
    assert states.message_state(parts) is whole


def test_our_refusal_has_a_word_of_its_own() -> None:
    assert states.status_of(S.REJECTED, by_us=True) == "rejected"
    assert states.status_of(S.REJECTED) == "failed"
    assert states.status_of(S.EXPIRED, by_us=True) == "expired"


def test_the_whole_order_of_parts() -> None:
    """Of any two the one further up decides: first what is least advanced, then the worst end."""
    order = [
        S.HELD, S.SCHEDULED, S.UNKNOWN, S.SENDING, S.DEFERRED, S.QUEUED, S.SENT,
        S.UNCONFIRMED, S.UNDELIVERABLE, S.REJECTED, S.EXPIRED, S.CANCELLED, S.DUPLICATE, S.NO_REPORT, S.DELIVERED,
    ]  # fmt: skip
    assert set(order[:7]) == set(S) - FINAL, "no message is final before all of its parts are"
    for n, one in enumerate(order):
        for other in order[n:]:
            assert states.message_state([other, one]) is states.message_state([one, other]) is one
