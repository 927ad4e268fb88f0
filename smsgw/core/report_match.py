"""Why a report has found no message, and under which rule it would fit exactly one. Pure: of what is known of the phone
number's messages.

A rule is no guess: the number has to be the message's own, its part has to wait for a report, and no other part may fit
under any rule.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from smsgw.core.report_ids import OTHERS, Spelling, respell
from smsgw.core.states import PartState

WAITS = frozenset({PartState.SENT, PartState.NO_REPORT})
"""States of a part that a report may still settle."""
LEAST_LEFT = 8
"""Characters that an id which was cut off has to have: two short ones are alike by chance."""


class Rule(StrEnum):
    """How the report's id is that of the answer."""

    SAME = "same"
    """As it stands: the answer was stored after the report was looked at."""
    HEX_DEC = "hex-dec"
    DEC_HEX = "dec-hex"
    SWAPPED = "swapped"
    TRIMMED = "trimmed"
    """One of the two is the beginning or the end of the other."""
    OTHER_CHANNEL = "other-channel"
    """The same id, of a message that went by another channel of the same carrier."""


SPELLINGS: dict[Rule, Spelling] = {
    Rule.HEX_DEC: Spelling.HEX_DEC, Rule.DEC_HEX: Spelling.DEC_HEX, Rule.SWAPPED: Spelling.SWAPPED,
}  # fmt: skip
"""Rules that a channel may be set to for all that comes."""
APPLIED = tuple(Rule)
"""Those by which reports can be put to their messages."""


class Why(StrEnum):
    """Why it lies here."""

    FITS = "fits"
    """Exactly one part fits under one rule."""
    AMBIGUOUS = "ambiguous"
    """Several fit: to choose one would be a guess."""
    SETTLED = "settled"
    """Its id is that of a part that has its result already."""
    NO_ID = "no_id"
    """The number has messages, and none of their ids is like this one."""
    NOT_OURS = "not_ours"
    """Nothing went to the number by a channel of this carrier."""
    NO_NUMBER = "no_number"
    """It names no number, so nothing can be said for certain."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A part that went to the report's number."""

    id: int
    part: int
    state: PartState
    channel_id: int
    carrier_id: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is known of a report."""

    why: Why
    rule: Rule | None = None
    home: Candidate | None = None
    """With ``FITS``: its part."""


def judge(
    channel_id: int, carrier_id: str, number: str, candidates: Iterable[Candidate], related: Collection[int]
) -> Verdict:
    """Of a report that a channel has brought. ``related``: the channels of the same carrier, other than that one."""
    if not number:
        return Verdict(Why.NO_NUMBER)
    near = [one for one in candidates if one.channel_id == channel_id or one.channel_id in related]
    if not near:
        return Verdict(Why.NOT_OURS)
    fits: list[tuple[Rule, Candidate]] = []
    settled = False
    for one in near:
        rule = _rule(channel_id, carrier_id, one)
        if rule is None:
            continue
        if one.state in WAITS:
            fits.append((rule, one))
        elif rule is not Rule.TRIMMED:
            settled = True
    if len(fits) == 1 and not settled:
        return Verdict(Why.FITS, *fits[0])
    if fits:
        return Verdict(Why.AMBIGUOUS)
    return Verdict(Why.SETTLED if settled else Why.NO_ID)


def _rule(channel_id: int, carrier_id: str, one: Candidate) -> Rule | None:
    """Under which the report's id is the candidate's; the strictest first."""
    if not one.carrier_id or not carrier_id:
        return None
    if one.channel_id != channel_id:
        return Rule.OTHER_CHANNEL if one.carrier_id == carrier_id else None
    if one.carrier_id == carrier_id:
        return Rule.SAME
    for spelling in OTHERS:
        if respell(carrier_id, spelling) == one.carrier_id:
            return Rule(spelling.value)
    short, long = sorted((carrier_id, one.carrier_id), key=len)
    if len(short) >= LEAST_LEFT and len(short) < len(long) and (long.startswith(short) or long.endswith(short)):
        return Rule.TRIMMED
    return None
