"""Statements that name the days they are about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from smsgw.core.ids import day_end, day_of, day_range, day_start, first_id
from smsgw.store.engine.days import named

NOON = first_id(datetime(2026, 11, 30, 4, tzinfo=UTC))
START = day_range(day_of(NOON))[0]


def test_the_start_of_a_day_is_that_of_all_its_ids() -> None:
    low, high = day_range(day_of(NOON))
    assert [day_start(id_) for id_ in (low - 1, low, NOON, high - 1, high)] == [
        day_range(day_of(low) - timedelta(days=1))[0], low, low, low, high,
    ]  # fmt: skip
    for id_ in (0, 1, -1, 2**62):
        assert (day_start(id_), day_end(id_)) == day_range(day_of(id_))


def test_each_lower_bound_says_its_day_beside_it() -> None:
    statement = "SELECT FROM part p JOIN message m ON m.id = p.id AND m.id >= $2 WHERE p.state = $1 OR p.id >= $2"
    assert named(statement, (10, NOON)) == (
        f"SELECT FROM part p JOIN message m ON m.id = p.id AND (m.id >= $2 AND m.id >= {START}) "
        f"WHERE p.state = $1 OR (p.id >= $2 AND p.id >= {START})"
    )
    statement = "SELECT FROM event WHERE id >= $1 AND at > $2 AND id >= $3"
    texts = {named(statement, (NOON + n, None, START - 1)) for n in range(3)}
    assert texts == {
        f"SELECT FROM event WHERE (id >= $1 AND id >= {START}) AND at > $2 "
        f"AND (id >= $3 AND id >= {day_start(START - 1)})"
    }
    statement = "SELECT FROM part WHERE id >= $1 AND id >= $2"
    assert named(statement, (None, NOON)) == f"SELECT FROM part WHERE id >= $1 AND (id >= $2 AND id >= {START})"


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "SELECT FROM part WHERE id = $1",
        "SELECT FROM part WHERE id > $1 AND id <= $1 AND $1 >= id",
        "SELECT FROM part p WHERE (p.pool_id, p.id) >= (1, $1)",
        "SELECT FROM evidence WHERE id >= $1 - 60",
        "SELECT FROM evidence WHERE id >= $1+ 60",
        "SELECT FROM part WHERE message_id >= $1 AND +p.id >= $1",
        "SELECT FROM part WHERE id >= $12",
        "SELECT FROM part WHERE id >= $1::bigint",
    ],
)
def test_what_is_no_plain_bound_stays_as_it_is(statement: str) -> None:
    assert named(statement, (NOON,)) == statement


@pytest.mark.parametrize("most", [NOON + 9, [NOON + 9, NOON + 1], (NOON,)])
def test_a_statement_says_up_to_which_ids_it_goes(most: object) -> None:
    statement = "\n-- ids from $1 to $2\nSELECT FROM part WHERE id >= $1 AND id <> ALL($2) AND id >= $3"
    low, end = NOON - 86_400_000 * 2**22, day_end(NOON)
    bounds = f"(id >= $1 AND id >= {day_start(low)} AND id < ANY ('{{{end}}}'))"
    assert named(statement, (low, most, NOON)) == (
        f"\n-- ids from $1 to $2\nSELECT FROM part WHERE {bounds} AND id <> ALL($2) AND (id >= $3 AND id >= {START})"
    )


@pytest.mark.parametrize("most", [2**63 - 1, [], [NOON - 1], NOON - 1, None, "x"])
def test_an_end_that_is_none_is_not_named(most: object) -> None:
    """The highest number there is, none, one below where it begins: days behind stay in the plan."""
    statement = "-- ids from $1 to $2\nSELECT FROM part WHERE {} AND id <= $2"
    assert named(statement.format("id >= $1"), (NOON, most)) == statement.format(f"(id >= $1 AND id >= {START})")
