"""Which part a report is about when no answer has told the carrier's id: by our reference, or by number and time."""

from __future__ import annotations

# strptime would read its file at the first report, when there may be no descriptor.
import _strptime  # type: ignore[import-not-found]  # noqa: F401
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from smsgw.core.states import PartState

ZONES = timedelta(minutes=15)
"""Clocks of the world differ by multiples of this; carriers write times without a zone."""
FARTHEST = timedelta(hours=14)
NEAR = timedelta(minutes=2)
"""Between our claim and the time of the submit as the carrier writes it, to the minute."""

_DUMMY = 2010

_MAY_BE_REPORTED = frozenset({PartState.SENT, PartState.UNKNOWN, PartState.NO_REPORT, PartState.UNCONFIRMED})
_WITHOUT_ANSWER = frozenset({PartState.UNKNOWN, PartState.UNCONFIRMED})
_WAITING = frozenset({PartState.SENDING, PartState.SENT})


def reference_of(id_: int, part: int) -> int:
    """The 16-bit user_message_reference of a part: the same for all attempts, and made anew when it is needed."""
    return zlib.crc32(id_.to_bytes(8, "big") + part.to_bytes(2, "big")) & 0xFFFF


@dataclass(frozen=True, slots=True)
class Candidate:
    """A part that went by the report's channel to the report's number."""

    id: int
    part: int
    state: PartState
    carrier_id: str
    """Empty: not known."""
    claimed_at: datetime | None


def by_reference(candidates: Sequence[Candidate], reference: int) -> Candidate | None:
    """The only part with that reference; while its answer may still come, none."""
    fits = [c for c in candidates if reference_of(c.id, c.part) == reference]
    return fits[0] if len(fits) == 1 and fits[0].state in _MAY_BE_REPORTED else None


def by_number(candidates: Sequence[Candidate], submitted: datetime | None, received: datetime) -> Candidate | None:
    """The only part without an answer, when no other part to this number waits for a report that this might be.

    ``submitted`` is the time of the submit as the report has it, in a zone that nobody knows.
    """
    if any(c.state in _WAITING for c in candidates):
        return None
    lost = [c for c in candidates if c.state in _WITHOUT_ANSWER and not c.carrier_id]
    if len(lost) != 1 or lost[0].claimed_at is None or lost[0].claimed_at > received:
        return None
    if submitted is not None and not _same_minute(lost[0].claimed_at, submitted):
        return None
    return lost[0]


def _same_minute(ours: datetime, theirs: datetime) -> bool:
    if abs(theirs - ours) > FARTHEST + NEAR:
        return False
    apart = (theirs - ours) % ZONES
    return apart <= NEAR or apart >= ZONES - NEAR


def written_time(written: str | None) -> datetime | None:
    """YYMMDDhhmm[ss] of a report, taken as if in UTC; None when it is no time, or a dummy (0001010000)."""
    digits = written or ""
    return _minute(digits[:10]) if len(digits) in (10, 12) and digits.isdecimal() else None


@lru_cache(maxsize=1024)  # reports that come together are of the same few minutes
def _minute(digits: str) -> datetime | None:
    try:
        found = datetime.strptime(digits, "%y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None
    return found if found.year > _DUMMY else None
