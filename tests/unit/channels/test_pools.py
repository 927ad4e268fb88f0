from __future__ import annotations

from dataclasses import dataclass
from unittest.mock import MagicMock

from smsgw.channels.manager import ChannelManager
from smsgw.channels.pool_shares import FADE, STANDBY_AFTER, PoolShares
from smsgw.core.heads import REST
from smsgw.pipeline.fleet import Membership

POOL = 1


@dataclass
class Carrier:
    well: bool = True
    room: bool = True

    def healthy(self) -> bool:
        return self.well

    def has_room(self) -> bool:
        return self.room


class Hall:
    def __init__(self, **weights: int | str) -> None:
        self.now = 0.0
        self.shares = PoolShares(lambda: self.now)
        self.carriers = {name: Carrier() for name in weights}
        self.ids = {name: n for n, name in enumerate(weights, 1)}
        for name, weight in weights.items():
            standby = weight == "standby"
            self.shares.join(
                self.ids[name],
                self.carriers[name],
                {POOL: Membership(1 if standby else int(weight), standby)},
            )

    def may(self, name: str) -> bool:
        return self.shares.may_pull(self.ids[name], POOL)

    def pulls(self, name: str, parts: int = 1) -> None:
        self.shares.pulled(self.ids[name], POOL, parts)

    def share(self, rounds: int = 4000) -> dict[str, float]:
        """Everybody claims as often as allowed, in turn."""
        got = dict.fromkeys(self.ids, 0)
        for n in range(rounds):
            self.now += 0.002
            name = list(self.ids)[n % len(self.ids)]
            if self.may(name):
                self.pulls(name, 8)
                got[name] += 8
        return {name: n / sum(got.values()) for name, n in got.items()}


def test_shares_follow_the_weights_and_old_pulls_are_forgotten() -> None:
    share = Hall(a=3, b=1).share()
    assert 0.70 < share["a"] < 0.80
    hall = Hall(a=1, b=1)
    hall.pulls("a", 1000)
    hall.now += FADE * 6
    assert hall.may("a")
    hall = Hall(a=1, b=1)
    hall.shares.leave(hall.ids["a"])
    assert not hall.may("a")
    assert hall.may("b")
    hall = Hall(a=1)
    hall.shares.slow({hall.ids["a"]: 0.2})
    assert hall.share() == {"a": 1.0}


def test_a_neighbour_without_room_or_health_leaves_its_share() -> None:
    hall = Hall(a=1, b=1)
    hall.pulls("a", 1000)
    assert not hall.may("a")
    hall.carriers["b"].room = False
    assert hall.may("a")
    hall.carriers["b"].room = True
    assert not hall.may("a")
    hall.carriers["b"].well = False
    assert hall.may("a")
    hall = Hall(a=5, b=1, c=1)
    for pulls in ((100, 100, 100), (1000, 0, 0), (0, 0, 500)):
        for name, n in zip("abc", pulls, strict=True):
            hall.pulls(name, n)
        assert any(hall.may(name) for name in "abc")


def test_a_standby_waits_until_no_primary_is_healthy_or_the_backlog_is_old() -> None:
    hall = Hall(a=1, s="standby")
    assert not hall.may("s")
    hall.carriers["a"].well = False
    assert hall.may("s")
    hall.carriers["a"].well = True
    assert not hall.may("s")
    hall = Hall(a=1, s="standby")
    hall.shares.waits({POOL: STANDBY_AFTER + 1})
    assert hall.may("s")
    assert hall.may("a")
    hall.shares.waits({})
    assert not hall.may("s")


def test_an_emergency_borrows_a_standby_as_soon_as_no_primary_has_room() -> None:
    hall = Hall(a=9, b=1, c="standby")

    def borrow() -> list[str]:
        return [name for name, id_ in hall.ids.items() if hall.shares.may_borrow(id_, POOL)]

    hall.pulls("b", 1000)  # shares do not count
    assert (hall.may("b"), borrow()) == (False, ["a", "b"])
    hall.carriers["a"].room = False
    assert borrow() == ["a", "b"]
    hall.carriers["b"].well = False
    assert (hall.may("c"), borrow()) == (False, ["a", "b", "c"])
    hall.shares.leave(hall.ids["c"])
    assert borrow() == ["a", "b"]


def test_a_slowed_channel_keeps_a_part_of_its_share_and_all_of_it_when_nobody_else_can() -> None:
    hall = Hall(a=1, b=1)
    hall.shares.slow({hall.ids["a"]: 0.2})
    share = hall.share()
    assert 0.12 < share["a"] < 0.21, "0.2 against 1"
    hall.carriers["b"].room = False
    assert hall.may("a"), "nothing waits for the sake of a figure"
    hall.carriers["b"].room, hall.carriers["b"].well = True, False
    assert hall.may("a")
    hall.carriers["b"].well = True
    hall.shares.slow({})
    hall.now += 20 * FADE
    assert 0.45 < hall.share(8000)["a"] < 0.55, "its share is back"


def test_looks_at_how_long_pools_have_waited_rest_by_what_they_take() -> None:
    """Beside a kept snapshot each walks over all that was sent since."""
    (work,) = [one for one in ChannelManager.periodics(MagicMock()) if one.name == "channels.waits"]
    assert work.apart == REST
