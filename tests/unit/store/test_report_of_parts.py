"""Which part's fate a message's report tells, and the times and the count that stand in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from smsgw.core.model import TEST_CHANNEL, TEST_POOL
from smsgw.core.states import PartState
from smsgw.store.messages import outcomes

S = PartState
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def part(number: int, state: PartState, *, answered: int | None = 1, final: int = 9, **more: Any) -> dict[str, Any]:
    """A row of ``part``; times are seconds after noon."""
    return {
        "id": 7, "part": number, "total": 3, "state": int(state), "account_id": 5, "by_us": False,
        "code": f"C{number}", "class": f"K{number}", "channel_id": 1, "pool_id": 2,
        "claimed_at": NOON, "answered_at": None if answered is None else NOON + timedelta(seconds=answered),
        "final_at": NOON + timedelta(seconds=final),
    } | more  # fmt: skip


def event(*parts: dict[str, Any]) -> dict[str, Any]:
    made = outcomes._report_event(7, cast(Any, list(parts)), lambda: 99)
    return dict(zip(outcomes.EVENT_TYPES, made, strict=True))


@pytest.mark.parametrize(
    ("states", "status", "told"),
    [
        ((S.DELIVERED, S.DELIVERED, S.DELIVERED), "delivered", 1),
        ((S.DELIVERED, S.UNDELIVERABLE, S.DELIVERED), "failed", 2),
        ((S.DELIVERED, S.UNDELIVERABLE, S.UNDELIVERABLE), "failed", 2),
        ((S.DELIVERED, S.DELIVERED, S.NO_REPORT), "no_report", 3),
        ((S.EXPIRED, S.REJECTED, S.UNDELIVERABLE), "failed", 3),
        ((S.REJECTED, S.UNCONFIRMED, S.UNDELIVERABLE), "unconfirmed", 2),
        ((S.CANCELLED, S.EXPIRED, S.DELIVERED), "expired", 2),
        ((S.DUPLICATE, S.DELIVERED, S.CANCELLED), "cancelled", 3),
    ],
)
def test_the_first_of_the_worst_parts_is_told(states: tuple[S, ...], status: str, told: int) -> None:
    made = event(*(part(n, state) for n, state in enumerate(states, 1)))
    assert (made["status"], made["code"], made["class"]) == (status, f"C{told}", f"K{told}")
    assert made["parts_ok"] == states.count(S.DELIVERED)
    assert (made["id"], made["account_id"], made["kind"], made["message_id"]) == (99, 5, "report", 7)


def test_submitted_and_done() -> None:
    made = event(
        part(1, S.DELIVERED, answered=4, final=8), part(2, S.DELIVERED, answered=2, final=11),
        part(3, S.DELIVERED, answered=3, final=10),
    )  # fmt: skip
    assert (made["submitted_at"], made["done_at"]) == (NOON + timedelta(seconds=4), NOON + timedelta(seconds=11))
    assert event(part(1, S.EXPIRED, answered=None))["submitted_at"] is None
    assert event(part(1, S.UNCONFIRMED, answered=None))["submitted_at"] == NOON
    assert event(part(1, S.REJECTED, answered=1))["submitted_at"] == NOON + timedelta(seconds=1)
    assert event(part(1, S.EXPIRED, answered=None, claimed_at=None))["submitted_at"] is None


def test_our_own_refusal_has_its_word_and_test_messages_are_marked() -> None:
    assert event(part(1, S.REJECTED, by_us=True))["status"] == "rejected"
    assert event(part(1, S.REJECTED))["status"] == "failed"
    row = part(1, S.REJECTED)
    del row["by_us"], row["pool_id"]
    assert (event(row)["status"], event(row)["test"]) == ("failed", False)
    assert event(part(1, S.DELIVERED, channel_id=TEST_CHANNEL))["test"]
    assert event(part(1, S.EXPIRED, channel_id=None, pool_id=TEST_POOL))["test"]
