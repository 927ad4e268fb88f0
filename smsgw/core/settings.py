"""Settings that operators change while the system runs: names, defaults and limits in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from smsgw.core import optout


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds now."""

    optout_words: tuple[str, ...] = optout.DEFAULT_WORDS
    """A reply of one of these puts the number on the block list for marketing."""
    complaint_ceiling: int = 50
    """Complaints per million sent parts within ``complaint_days``; above it marketing stops there. 0: never."""
    complaint_minimum: int = 3
    """Fewer complaints than this never stop anything: a rate needs a number behind it."""
    complaint_days: int = 30
    channel_down_seconds: int = 30
    """A started channel without a login for so long is an alarm."""
    standbys_wanted: int = 2
    """Fewer healthy standbys than this in a pool that has any are an alarm."""
    emergency_reserve: int = 25
    """Percent of a channel's window kept free for emergency messages while there are any."""
    review_remind_minutes: int = 30
    """A call that waits for its reviewer longer than this is an alarm."""
    review_expire_hours: int = 24
    """What nobody has decided about in so many hours expires, and is paid back."""
    number_status_days: int = 90
    """What is known of a number (空号、停机 …) counts for so many days."""
    export_approval_rows: int = 100_000
    """An export of more rows waits until somebody else has approved it. 0: none does."""
    unmask_daily: int = 100
    """Whole numbers that a person may look at in a day (China)."""
    success_limit: int = 99
    """Percent of what counts that a channel should deliver; less is an alarm. 0: never."""
    success_minutes: int = 60
    """It is what has ended within so many minutes that counts for that alarm, …"""
    success_least: int = 100
    """… once there are so many parts."""
    success_shift: int = 0
    """Percent of its share that such a channel gives up to others of its pools that deliver enough. 0: nothing."""
    fault_response_minutes: int = 60
    """Somebody has to look after a fault within so many minutes of its registration, …"""
    fault_recovery_minutes: int = 240
    """… and it has to be over within so many minutes of its beginning."""
    faults_a_year: int = 4
    """Faults of a year that were promised at most."""
    fault_severity: int = 1
    """Alarms that become faults by themselves. 0: none; 1: grave ones; 2: all."""
    fault_after_minutes: int = 5
    """What stands for a shorter time does not become one."""
    ticket_response_minutes: int = 60
    """Somebody has to respond to a ticket within so many minutes."""
    channel_approval: int = 0
    """1: a change of what a channel is set to is in force once somebody else has approved it. 0: at once."""
    route_approval: int = 0
    """1: the same of route tables."""


LIMITS: Mapping[str, tuple[int, int]] = {
    "complaint_ceiling": (0, 1_000_000),
    "complaint_minimum": (1, 1_000_000),
    "complaint_days": (1, 90),
    "channel_down_seconds": (5, 86_400),
    "standbys_wanted": (0, 16),
    "emergency_reserve": (0, 90),
    "review_remind_minutes": (1, 10_080),
    "review_expire_hours": (1, 120),
    "number_status_days": (1, 730),
    "export_approval_rows": (0, 10_000_000),
    "unmask_daily": (0, 10_000),
    "success_limit": (0, 100),
    "success_minutes": (5, 1440),
    "success_least": (1, 1_000_000),
    "success_shift": (0, 95),
    "fault_response_minutes": (1, 10_080),
    "fault_recovery_minutes": (1, 43_200),
    "faults_a_year": (0, 1000),
    "fault_severity": (0, 2),
    "fault_after_minutes": (0, 1440),
    "ticket_response_minutes": (1, 10_080),
    "channel_approval": (0, 1),
    "route_approval": (0, 1),
}
TWO_PERSONS: Mapping[str, int] = {"channel_approval": 0, "route_approval": 0}
"""Values that one person alone does not set: who needs a second one could do without otherwise."""
WISH_HOURS = 24
"""How long a second person may take."""
MAX_WORDS = 100


def parse(name: str, value: Any) -> Any:
    """The value of a setting, checked. Raises ``ValueError`` that says what is wanted."""
    if name == "optout_words":
        words = [value] if isinstance(value, str) else value
        if not isinstance(words, list | tuple) or not 0 < len(words) <= MAX_WORDS:
            raise ValueError(f"optout_words: 1 to {MAX_WORDS} words")
        short = all(isinstance(w, str) and len(w) <= optout.LOOKED_AT for w in words)
        if not short or not all(0 < len(optout.plain(w)) <= 20 for w in words):
            raise ValueError("optout_words: each word has 1 to 20 letters or characters")
        return tuple(dict.fromkeys(optout.plain(w) for w in words))
    if name not in LIMITS:
        raise ValueError(f"no setting {name}; known are optout_words, {', '.join(LIMITS)}")
    low, high = LIMITS[name]
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name}: a whole number from {low} to {high}")
    return value


def with_changes(stored: Mapping[str, Any]) -> Settings:
    """The settings with what was stored; what is not understood (of a later program) keeps its default."""
    known = {field.name for field in fields(Settings)}
    good: dict[str, Any] = {}
    for name, value in stored.items():
        if name in known:
            try:
                good[name] = parse(name, value)
            except ValueError:
                continue
    return Settings(**good)
