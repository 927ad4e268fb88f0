"""Who guesses passwords, keys and signatures: counted at every edge, to be told of as the alarm ``guessing``.

What is slowed down, and whom, is not decided here (``core/guard``, ``api/auth``).
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from functools import partial

from smsgw.core.alarms import WARNING, Finding
from smsgw.core.guard import Guard, Limits
from smsgw.core.words import Phrase, label, listed, phrase

SPAN = 600.0
"""Seconds that are looked back on, …"""
SLICE = 60.0
"""… in steps of so many."""
MOST = {"portal": 50, "api": 300, "partners": 100, "sgip": 100, "links": 300}
"""Wrong ones within ``SPAN`` that are an alarm, by edge; it is over when there are less than half of them. What
somebody with a forgotten password brings about, or a customer's program with an old one, stays below, unless it
never pauses."""
SOURCES = 1000
"""Sources kept apart in a step; those beyond are counted together."""
NAMED = 3
"""Sources that the alarm names."""


class _Way:
    """The last steps of one edge."""

    def __init__(self) -> None:
        self.steps: deque[tuple[int, Counter[str]]] = deque()
        self.total = 0
        self.alarming = False

    def forget(self, step: int) -> None:
        """What is older than ``SPAN``."""
        while self.steps and self.steps[0][0] <= step - SPAN // SLICE:
            self.total -= self.steps.popleft()[1].total()


class Guesses:
    """Counts them. ``now`` is in seconds, monotonic."""

    def __init__(self) -> None:
        self._ways = {way: _Way() for way in MOST}
        self.guards: dict[str, Guard] = {}
        """The limiters of edges, by the name under which other nodes have theirs."""
        self.listeners: list[Callable[[str, str, str, str, str], None]] = []
        """Called with what happens at one of them: its name, what, address, user and device."""

    def guard(self, name: str, limits: Limits) -> Guard:
        """The limiter of an edge."""
        made = self.guards[name] = Guard(limits)
        made.listeners.append(partial(self._happened, name))
        return made

    def _happened(self, name: str, what: str, ip: str, user: str, device: str) -> None:
        for listener in self.listeners:
            listener(name, what, ip, user, device)

    def note(self, way: str, source: str, now: float) -> None:
        """Something that proves who one is was wrong, or was not even looked at after so many of them."""
        step, kept = math.floor(now / SLICE), self._ways[way]
        kept.forget(step)
        if not kept.steps or kept.steps[-1][0] != step:
            kept.steps.append((step, Counter()))
        sources = kept.steps[-1][1]
        sources[source if source in sources or len(sources) < SOURCES else ""] += 1
        kept.total += 1

    def findings(self, about: str, now: float) -> list[Finding]:
        """The alarm ``about`` a node, while there is something to tell."""
        told: list[Phrase] = []
        for way, kept in self._ways.items():
            kept.forget(math.floor(now / SLICE))
            kept.alarming = kept.total >= MOST[way] / (2 if kept.alarming else 1)
            if kept.alarming:
                told.append(_told(way, kept))
        return [Finding("guessing", about, WARNING, phrase("alarm.guessed", ways=listed(told)))] if told else []


def _told(way: str, kept: _Way) -> Phrase:
    sources: Counter[str] = Counter()
    for _, some in kept.steps:
        sources.update(some)
    named = [f"{source} ({n})" for source, n in sources.most_common(NAMED + 1) if source][:NAMED]
    return phrase(
        "alarm.guessing", where=label("edge", way), n=kept.total, minutes=round(SPAN / 60), sources=len(sources),
        most=listed(named) if named else phrase("alarm.many"),
    )  # fmt: skip
