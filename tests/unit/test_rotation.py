"""One protocol a story in each run: none is forgotten, in no run and in no story."""

from __future__ import annotations

import pytest
from rotation import PROTOCOLS, STORIES, share, told

TURNS = range(30)
VARIANTS = {
    story: [(protocol, n) for protocol in PROTOCOLS for n in range(3 if protocol == "smpp34" else 1)]
    for story in STORIES
}


@pytest.mark.parametrize("turn", TURNS)
def test_every_protocol_has_a_story_in_every_run(turn: int) -> None:
    told_now = [variant for story in STORIES for variant in told(story, VARIANTS[story], str(turn))]
    assert {protocol for protocol, _ in told_now} == set(PROTOCOLS)
    assert len(told_now) == 5


@pytest.mark.parametrize("story", STORIES)
def test_every_variant_of_a_story_has_its_turn(story: str) -> None:
    assert {v for turn in TURNS for v in told(story, VARIANTS[story], str(turn))} == set(VARIANTS[story])


def test_all_of_them_when_that_is_asked_for() -> None:
    assert told("recoded reports", VARIANTS["recoded reports"], "all") == VARIANTS["recoded reports"]


@pytest.mark.parametrize("of", [2, 3, 5, 10])
def test_the_shares_of_a_walk_are_all_of_it(of: int) -> None:
    things = list(range(101))
    shares = [share(things, of, str(turn)) for turn in range(of)]
    assert sorted(thing for one in shares for thing in one) == things
    assert all(share(things, of, str(turn)) == shares[turn % of] for turn in TURNS)
    assert share(things, of, "all") == things
