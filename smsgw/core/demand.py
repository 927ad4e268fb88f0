"""An account's rate on several nodes: each takes what the others leave, by what they have told of the last moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

EVERY = 0.5
"""Seconds between words about it."""
FRESH = 2.0
"""Seconds for which a node's last word counts."""
MOST = 2000
"""Accounts in a word, those with the most first."""
LEAST = 0.05
"""Of its equal share, what a node keeps in any case."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a node tells of itself."""

    accounts: Mapping[int, float]
    """What was asked of each, a second."""
    cut: bool = False
    """There were more of them: of one that is not here nobody knows."""
    fixed: bool = False
    """It takes its equal share of each, whatever others tell: the workers of its machine meter together."""


class Demand:
    """What was asked of this node and of the others. Without a word of every other node, or with a word that was cut
    and does not have it, an account's rate is divided equally. ``now`` is in seconds, monotonic."""

    def __init__(self) -> None:
        self._asked: Counter[int] = Counter()
        """Since the last word."""
        self._told = Asked({})
        """In it."""
        self._since = 0.0
        self._others: dict[int, tuple[float, Asked]] = {}

    def word(self, now: float, *, fixed: bool = False) -> Asked:
        """What was asked here since the last time."""
        span = max(now - self._since, EVERY / 2) if self._since else EVERY
        accounts = {account: n / span for account, n in self._asked.most_common(MOST)}
        self._told = Asked(accounts, len(self._asked) > MOST, fixed)
        self._asked.clear()
        self._since = now
        return self._told

    def hear(self, node: int, told: Asked, now: float) -> None:
        """Another node's word."""
        self._others[node] = (now, told)
        for silent in [one for one, (at, _) in self._others.items() if now - at > 10 * FRESH]:
            del self._others[silent]

    def share(self, account: int, rate: float, live: int, now: float, asked: int) -> float:
        """Messages a second that this node may take of an account's ``rate`` while ``live`` nodes do; ``asked`` are
        wanted now."""
        self._asked[account] += asked
        equal = rate / max(1, live)
        fresh = [told for at, told in self._others.values() if now - at <= FRESH]
        if live < 2 or len(fresh) < live - 1:
            return equal
        if any(told.cut and account not in told.accounts for told in (self._told, *fresh)):
            return equal
        free = [told for told in fresh if not told.fixed]
        left = rate - equal * min(live - 1, len(fresh) - len(free))
        # What is asked beyond all there is is refused, and is no reason to leave less to others.
        others = sum(min(left, told.accounts.get(account, 0.0)) for told in free)
        mine = min(left, max(self._told.accounts.get(account, 0.0), self._asked[account]))
        if others + mine <= left:
            return max(equal, left - others)
        return max(equal * LEAST, left * mine / (others + mine))
