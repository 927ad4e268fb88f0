"""What an account may send abroad in an hour: so many messages, and to so many countries that are new to it."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.abroad import CODE, Abroad, Velocity
from smsgw.core.words import phrase


def judge(velocity: Velocity, countries: Sequence[str], hourly: int = 0, new: int = 0) -> list[int]:
    """The places of those that are too many."""
    refused = velocity.judge(Abroad(n, country, hourly, new) for n, country in enumerate(countries))
    assert all(code == CODE for code, _ in refused.values())
    return sorted(refused)


def test_messages_of_an_hour_are_counted() -> None:
    velocity = Velocity()
    assert judge(velocity, ["US", "US", "US"], hourly=2) == [2]
    assert judge(velocity, ["US"], hourly=2) == [0]
    assert judge(velocity, ["US"], hourly=3) == []
    assert velocity.sent == 3, "those that were refused do not count"


def test_countries_are_counted_that_are_new() -> None:
    velocity = Velocity()
    velocity.known = {"US"}
    assert judge(velocity, ["US", "FR", "FR", "DE", "US", "GB", "DE", "GB"], new=2) == [5, 7]
    assert (velocity.fresh, velocity.known) == (2, {"US", "FR", "DE"})
    assert judge(velocity, ["US", "GB"], new=2) == [1]
    assert judge(velocity, ["GB"], new=3) == []


def test_the_limit_is_told() -> None:
    velocity = Velocity()
    velocity.sent, velocity.fresh = 5, 4
    told = velocity.judge([Abroad(0, "US", 5, 0), Abroad(1, "US", 0, 4), Abroad(2, "US", 0, 0)])
    assert {index: reason[1] for index, reason in told.items()} == {
        0: {"rule": phrase("abroad.hourly", most=5)},
        1: {"rule": phrase("abroad.countries", most=4)},
    }
