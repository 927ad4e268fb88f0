"""What a node takes of an account's rate by what the others have told."""

from __future__ import annotations

import pytest

from smsgw.core.demand import EVERY, FRESH, LEAST, MOST, Asked, Demand

RATE = 100.0


def heard(*others: float, asked: int = 1, at: float = 10.0, now: float = 10.0) -> float:
    demand = Demand()
    for node, told in enumerate(others, 2):
        demand.hear(node, Asked({7: told} if told else {}), at)
    return demand.share(7, RATE, len(others) + 1, now, asked)


def test_alone_it_takes_all() -> None:
    assert Demand().share(7, RATE, 1, 0.0, 5) == RATE


def test_without_a_word_of_each_it_is_divided_equally() -> None:
    demand = Demand()
    demand.hear(2, Asked({7: 0.0}), 10.0)
    assert demand.share(7, RATE, 3, 10.0, 5) == pytest.approx(RATE / 3)
    assert heard(0.0, now=10.0 + FRESH + 0.1) == RATE / 2, "an old word is none"


def test_it_takes_what_the_others_leave() -> None:
    assert heard(0.0) == RATE
    assert heard(30.0) == 70.0
    assert heard(80.0) == RATE / 2, "never less than an equal part while there is room"


def test_what_is_too_much_in_all_is_divided_by_what_is_asked() -> None:
    demand = Demand()
    demand.hear(2, Asked({7: 75.0}), 10.0)
    demand.share(7, RATE, 2, 10.0, 25)
    demand.word(10.0 + EVERY)  # 50 a second
    assert demand.share(7, RATE, 2, 10.5, 1) == 40.0
    assert heard(10_000.0) == RATE / 2 * LEAST, "something is left for each"


@pytest.mark.parametrize("asked", [(10, 10), (200, 10), (300, 300), (1, 900)])
def test_together_they_take_the_rate_once_they_have_heard_of_each_other(asked: tuple[int, int]) -> None:
    one, two = Demand(), Demand()
    shares = [0.0, 0.0]
    for turn in range(1, 6):
        now = turn * EVERY
        shares = [d.share(7, RATE, 2, now, int(n * EVERY)) for d, n in zip((one, two), asked, strict=True)]
        words = one.word(now), two.word(now)
        one.hear(2, words[1], now)
        two.hear(1, words[0], now)
    granted = [min(share, n) for share, n in zip(shares, asked, strict=True)]
    assert sum(granted) <= RATE * 1.06
    assert sum(granted) >= min(RATE, sum(asked)) * 0.85


def test_who_asks_for_far_more_than_there_is_leaves_others_what_they_need() -> None:
    demand = Demand()
    demand.hear(2, Asked({7: 100_000.0}), 10.0)
    assert demand.share(7, RATE, 2, 10.0, 10) > 9.0, "what is refused is no reason to have it all"


def test_what_a_cut_word_does_not_have_is_divided_equally() -> None:
    demand = Demand()
    demand.hear(2, Asked({8: 40.0}, cut=True), 10.0)
    assert demand.share(7, RATE, 2, 10.0, 10) == RATE / 2
    assert demand.share(8, RATE, 2, 10.0, 10) == 60.0
    one = Demand()
    for account in range(MOST + 1):
        one.share(account, RATE, 2, 10.0, 2 if account else 1)
    one.hear(2, Asked({0: 90.0}), 10.0)
    assert one.word(10.5).cut
    assert one.share(0, RATE, 2, 10.5, 200) == RATE / 2, "nor do the others know of it"


@pytest.mark.parametrize("asked", [1, 30, 1000])
def test_beside_workers_that_meter_together_the_rate_is_kept(asked: int) -> None:
    """They take their equal shares whatever they hear: two of three here."""
    demand = Demand()
    for node in (2, 3):
        demand.hear(node, Asked({7: 500.0}, fixed=True), 10.0)
    assert demand.share(7, RATE, 3, 10.0, asked) == pytest.approx(RATE / 3)
    demand.hear(4, Asked({}), 10.0)
    assert demand.share(7, RATE, 4, 10.0, asked) == pytest.approx(RATE / 2), "what the free ones leave each other"
