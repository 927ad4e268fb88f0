"""What is told and walked in parts: in each run some of it, in ``scripts/matrix`` all.

Stories that are told over every carrier protocol: in each run every protocol has a story, and in thirty turns every
story is told in all its variants. Walks over all pages, all addresses or many seeds, which take minutes of a processor:
in each run one of so many shares. Which turn it is comes from the commit, so that a run can be repeated;
``TEST_PROTOCOLS`` is another turn, or ``all``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

V = TypeVar("V", bound="str | tuple[object, ...]")
T = TypeVar("T")

PROTOCOLS = ("cmpp30", "smpp34", "sgip12", "cmpp20", "smgp30")
STORIES = {
    "a whole channel": (0, 1),
    "recorded and replayed": (2,),
    "recoded reports": (3,),
    "shuffled parts": (4,),
}
"""Places in the circle of protocols, which goes on by one with each turn. Together they are all of it."""


def told(story: str, variants: Sequence[V], turn: str | None = None) -> list[V]:
    """The variants of a story for this run. A variant is a protocol, or begins with one."""
    turn = _turn(turn)
    if turn == "all":
        return list(variants)
    rounds, step = divmod(int(turn), len(PROTOCOLS))
    chosen = []
    for place in STORIES[story]:
        protocol = PROTOCOLS[(place + step) % len(PROTOCOLS)]
        speaking = [v for v in variants if (v if isinstance(v, str) else v[0]) == protocol]
        chosen.append(speaking[rounds % len(speaking)])
    return chosen


def share(things: Sequence[T], of: int, turn: str | None = None) -> list[T]:
    """One in ``of`` (2, 3, 5 or 10: what thirty turns can be shared by) of the things, others with the next turn."""
    turn = _turn(turn)
    return list(things) if turn == "all" else list(things[int(turn) % of :: of])


def whole(turn: str | None = None) -> bool:
    """Whether this run has all of it."""
    return _turn(turn) == "all"


def _turn(turn: str | None) -> str:
    if turn is not None:
        return turn
    return "all" if os.environ.get("TEST_LONG") else os.environ["TEST_PROTOCOLS"]
