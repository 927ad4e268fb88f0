"""Stories that are told over every carrier protocol: over one or two in a run, over all in ``scripts/matrix``.

In each run every protocol has a story, and in thirty turns every story is told in all its variants. Which turn it is
comes from the commit, so that a run can be repeated; ``TEST_PROTOCOLS`` is another turn, or ``all``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

V = TypeVar("V", bound="str | tuple[object, ...]")

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
    turn = os.environ["TEST_PROTOCOLS"] if turn is None else turn
    if turn == "all" or os.environ.get("TEST_LONG"):
        return list(variants)
    rounds, step = divmod(int(turn), len(PROTOCOLS))
    chosen = []
    for place in STORIES[story]:
        protocol = PROTOCOLS[(place + step) % len(PROTOCOLS)]
        speaking = [v for v in variants if (v if isinstance(v, str) else v[0]) == protocol]
        chosen.append(speaking[rounds % len(speaking)])
    return chosen
