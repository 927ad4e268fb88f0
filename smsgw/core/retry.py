"""What follows a definite failure: the table of fault × business type, and the decision for one part.

A fault says what a carrier's code means for another try, whether it came in an answer or in a report. Only definite
failures are ever retried; what may have arrived is left to the policy for unknown outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from smsgw.core.model import Lane, MessageType


class Fault(StrEnum):
    """Whose fault a failure is, as far as another try is concerned."""

    THROTTLE = "throttle"
    """Too fast: nothing was taken."""
    BUSY = "busy"
    """Not now (queue full, system error): nothing was taken."""
    NETWORK = "network"
    """A report: lost between the operator's own systems."""
    ABSENT = "absent"
    """The phone is off, out of reach, or full; hours later it may work."""
    LIMIT = "limit"
    """Over a frequency limit, or outside the allowed hours."""
    CHANNEL = "channel"
    """This channel cannot (no route, its configuration); another may."""
    PORTED = "ported"
    """The number belongs to another carrier."""
    PERMANENT = "permanent"
    """Would be refused again anywhere."""
    UNCERTAIN = "uncertain"
    """It may have arrived: never repeated."""
    UNKNOWN = "unknown"
    """Not in the table: never repeated, and shown to the operator."""


NEVER_RETRIED = frozenset({Fault.UNCERTAIN, Fault.UNKNOWN})
"""No rule may repeat these."""
ELSEWHERE_ONLY = frozenset({Fault.CHANNEL, Fault.PORTED})
"""Another try on the same channel makes no sense."""


class RetryAction(StrEnum):
    """Where the next try goes."""

    NEVER = "never"
    SAME = "same"
    OTHER = "other"
    """Another channel; where there is none, the same one, if that makes sense."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One cell of the table."""

    how: RetryAction
    tries: int = 0
    """Further tries after the first; 0: as many as fit."""
    deadline: float = 0.0
    """Seconds from acceptance after which no try begins; 0: the message's validity."""
    first: float = 0.0
    """Seconds before the second try; each further one waits twice as long …"""
    most: float = 0.0
    """… up to this."""

    def delay(self, tried: int) -> float:
        """Seconds to wait when ``tried`` further tries were made already."""
        return min(self.most, self.first * 2.0 ** min(max(tried, 0), 20))


NEVER = Rule(RetryAction.NEVER)
_OTP, _NOTICE, _MARKETING = MessageType.OTP, MessageType.NOTICE, MessageType.MARKETING
Table = Mapping[tuple[Fault, MessageType], Rule]

DEFAULTS: Table = {
    **{(fault, kind): NEVER for fault in Fault for kind in MessageType},
    **{(Fault.THROTTLE, kind): Rule(RetryAction.SAME, first=1, most=60) for kind in MessageType},
    (Fault.BUSY, _OTP): Rule(RetryAction.OTHER, first=1, most=10),
    (Fault.BUSY, _NOTICE): Rule(RetryAction.SAME, first=5, most=60),
    (Fault.BUSY, _MARKETING): Rule(RetryAction.SAME, first=5, most=60),
    (Fault.NETWORK, _OTP): Rule(RetryAction.OTHER, tries=2, deadline=120, first=1, most=10),
    (Fault.NETWORK, _NOTICE): Rule(RetryAction.OTHER, tries=3, deadline=6 * 3600, first=30, most=600),
    (Fault.NETWORK, _MARKETING): Rule(RetryAction.SAME, tries=2, deadline=12 * 3600, first=300, most=3600),
    (Fault.ABSENT, _NOTICE): Rule(RetryAction.SAME, tries=1, deadline=12 * 3600, first=1800, most=1800),
    (Fault.LIMIT, _NOTICE): Rule(RetryAction.SAME, tries=1, deadline=24 * 3600, first=3600, most=3600),
    (Fault.CHANNEL, _OTP): Rule(RetryAction.OTHER, tries=2, deadline=120),
    (Fault.CHANNEL, _NOTICE): Rule(RetryAction.OTHER, tries=2, deadline=3600),
    (Fault.CHANNEL, _MARKETING): Rule(RetryAction.OTHER, tries=2, deadline=6 * 3600),
    (Fault.PORTED, _OTP): Rule(RetryAction.OTHER, tries=2, deadline=120),
    (Fault.PORTED, _NOTICE): Rule(RetryAction.OTHER, tries=2, deadline=24 * 3600),
    (Fault.PORTED, _MARKETING): Rule(RetryAction.OTHER, tries=2, deadline=24 * 3600),
}
"""The table without an operator's changes."""

_TYPE_OF = {Lane.EMERGENCY: _OTP, Lane.OTP: _OTP, Lane.NOTICE: _NOTICE, Lane.MARKETING: _MARKETING}


def type_of(lane: int) -> MessageType:
    """The business type whose rules count for a lane; the emergency lane is as urgent as a code."""
    return _TYPE_OF[Lane(lane)]


@dataclass(frozen=True, slots=True)
class Decision:
    """Another try: where, and after how many seconds."""

    how: RetryAction
    delay: float


def decide(
    table: Table, fault: Fault, lane: int, *, tried: int, age: float, left: float, others: bool
) -> Decision | None:
    """Whether and where a part is tried again; None: the failure is final.

    ``tried``: retries so far; ``age``: seconds since acceptance; ``left``: seconds of validity; ``others``: whether
    a channel that was not tried yet could take it.
    """
    if fault in NEVER_RETRIED:
        return None
    rule = table.get((fault, type_of(lane)), NEVER)
    if rule.how is RetryAction.NEVER or (rule.tries and tried >= rule.tries):
        return None
    delay = rule.delay(tried)
    if delay >= left or (rule.deadline and age + delay > rule.deadline):
        return None
    if rule.how is RetryAction.OTHER and not others:
        return None if fault in ELSEWHERE_ONLY else Decision(RetryAction.SAME, delay)
    return Decision(rule.how, delay)
