"""How often a number was sent to: its recent messages in a few octets, and whether one more is too many.

What limits an account is what it has sent itself. Of the others it meets a ceiling only, which no single one of them
can use up: each counts for a third of it at most. It is told no more than that there is one.
"""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from smsgw.core.errors import Invalid, Reason
from smsgw.core.model import MessageType
from smsgw.core.policy import LONGEST, Rate
from smsgw.core.words import Wording, label, phrase

EPOCH = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
MAX_ENTRIES = 256
"""Messages that are remembered of a number at most; those that matter the shortest are forgotten first."""
SHARES = 3
"""So many other accounts at least have to have sent before a ceiling is reached."""
_WIDTH = 4
_BITS = 15
_MASK = (1 << _BITS) - 1
MOST_TAGGED = 100
MOST_TAG = 32
_UNIT = {"hour": 3600, "day": 86_400}
_TYPE_OF = {MessageType.OTP: 1, MessageType.NOTICE: 2, MessageType.MARKETING: 3}


def seconds_of(at: datetime) -> int:
    """The time as it is counted here."""
    return int(at.timestamp()) - EPOCH


def scope_of(account_id: int, kind: MessageType, part: str = "") -> int:
    """What is counted together, in 32 bits: the type (2), the account (the end of its id, 15), and where an account's
    messages are counted apart, which of them (a hash, 15)."""
    apart = zlib.crc32(part.encode()) & _MASK if part else 0
    return _TYPE_OF[kind] << 2 * _BITS | (account_id & _MASK) << _BITS | apart


def tag_scope(account_id: int, tag: str) -> int:
    """The same for what an account sends under a tag: beside its type, of type 0."""
    return (account_id & _MASK) << _BITS | zlib.crc32(tag.encode()) & _MASK


@dataclass(frozen=True, slots=True)
class Tagged:
    """How often a number gets what an account sends under a tag (发送频次), by the sender's wish: who is free of the
    limits of policies is not free of it."""

    rate: Rate
    tag: str


def tagged_of(given: Mapping[str, Any], own: str = "") -> Tagged:
    """``{"most": 1, "every": 7, "unit": "day", "tag": ""}``; without a tag what has the ``own`` one is counted.
    ``PARAM_INVALID``."""
    most, every, unit, tag = (given.get(name) for name in ("most", "every", "unit", "tag"))
    if unit not in _UNIT:
        raise Invalid("PARAM_INVALID", field="frequency.unit", reason=phrase("known", known=", ".join(_UNIT)))
    for name, value, high in (("most", most, MOST_TAGGED), ("every", every, LONGEST // _UNIT[unit])):
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= high:
            raise Invalid("PARAM_INVALID", field=f"frequency.{name}", reason=phrase("number.in", low=1, high=high))
    if not isinstance(tag, str | None) or len(tag or "") > MOST_TAG or not (tag or "").isprintable():
        raise Invalid("PARAM_INVALID", field="frequency.tag", reason=phrase("frequency.tag", most=MOST_TAG))
    return Tagged(Rate(int(most or 0), int(every or 0) * _UNIT[unit]), tag or own)


def _limited(scope: int) -> Wording:
    """What is limited, for people."""
    kind = next(kind for kind, number in _TYPE_OF.items() if number == scope >> 2 * _BITS & 3)
    return phrase("messages.of_type", type=label("type", kind))


def _account(scope: int) -> int:
    return scope >> _BITS & _MASK


@dataclass(frozen=True, slots=True)
class Watch:
    """A message that is counted, and the limits that hold for it."""

    index: int
    """Its place among the messages of its call."""
    number: int
    at: int
    """When it is due, ``seconds_of``."""
    scope: int
    """``scope_of``."""
    text: int
    """Hash of the content (32 bits)."""
    rates: tuple[Rate, ...]
    identical: int
    """Seconds in which the same text goes out once; 0: no such limit."""
    dedupe: int
    """The same, as the caller wants it."""
    ceiling: tuple[Rate, ...] = ()
    """What may go to the number from all other accounts together."""
    tag: int = 0
    """``tag_scope`` of what it is counted under besides; 0: of nothing."""
    tag_rate: Rate | None = None
    """How often the number gets that."""

    @property
    def until(self) -> int:
        """How long it has to be remembered."""
        rates = max((r[-1].seconds for r in (self.rates, self.ceiling) if r), default=0)
        return self.at + max(rates, self.identical, self.dedupe)


class History:
    """The recent messages of a number: (due, scope, text, remembered until), 32 bits each."""

    __slots__ = ("_sent",)

    def __init__(self, stored: bytes = b"") -> None:
        self._sent = array("I")
        self._sent.frombytes(stored)

    def judge(self, watch: Watch) -> Reason | None:
        """Why one more is too many; None: it is not. What is scheduled counts at its time, before and behind."""
        sent = self._sent
        if not sent:
            return None
        mine = _account(watch.scope)
        if watch.identical or watch.dedupe:
            nearest = min(
                (
                    abs(watch.at - sent[n])
                    for n in range(0, len(sent), _WIDTH)
                    if sent[n + 2] == watch.text and _account(sent[n + 1]) == mine
                ),
                default=None,
            )
            if nearest is not None and nearest < watch.dedupe:
                return "CONTENT_DUPLICATE", {"n": str(watch.dedupe)}
            if nearest is not None and nearest < watch.identical:
                return "NUMBER_FREQ_LIMITED", {"rule": phrase("frequency.identical", seconds=watch.identical)}
        if watch.tag_rate is not None:
            under = [abs(watch.at - sent[n]) for n in range(0, len(sent), _WIDTH) if sent[n + 1] == watch.tag]
            if sum(distance < watch.tag_rate.seconds for distance in under) >= watch.tag_rate.most:
                rule = phrase("frequency.tagged", rate=watch.tag_rate.text)
                return "NUMBER_FREQ_LIMITED", {"rule": rule}
        if watch.rates:
            near = [abs(watch.at - sent[n]) for n in range(0, len(sent), _WIDTH) if sent[n + 1] == watch.scope]
            for rate in watch.rates:
                if sum(distance < rate.seconds for distance in near) >= rate.most:
                    return "NUMBER_FREQ_LIMITED", {
                        "rule": phrase("frequency.rule", what=_limited(watch.scope), rate=rate.text)
                    }
        if watch.ceiling and self._crowded(watch):
            return "NUMBER_FREQ_LIMITED", {"rule": phrase("frequency.platform")}
        return None

    def _crowded(self, watch: Watch) -> bool:
        """Whether the other accounts have reached the ceiling."""
        sent, at = self._sent, watch.at
        sender, kind = watch.scope >> _BITS, watch.scope >> 2 * _BITS
        others = [
            (abs(at - sent[n - 1]), scope >> _BITS)
            for n in range(1, len(sent), _WIDTH)
            if (scope := sent[n]) >> 2 * _BITS == kind and scope >> _BITS != sender
        ]
        for rate in watch.ceiling:
            if len(others) < rate.most:
                continue
            counted = Counter([who for distance, who in others if distance < rate.seconds])
            share = -(-rate.most // SHARES)
            if sum(min(n, share) for n in counted.values()) >= rate.most:
                return True
        return False

    def add(self, watch: Watch, now: int) -> None:
        """One more was sent; what nobody asks for any more is forgotten."""
        sent = self._sent
        kept = [n for n in range(0, len(sent), _WIDTH) if sent[n + 3] > now]
        most = MAX_ENTRIES - 1 - (watch.tag_rate is not None)
        if len(kept) > most:
            kept = sorted(kept, key=lambda n: sent[n + 3])[-most:]
        if len(kept) * _WIDTH < len(sent):
            fresh = array("I")
            for n in sorted(kept):
                fresh.extend(sent[n : n + _WIDTH])
            self._sent = sent = fresh
        sent.extend((watch.at, watch.scope, watch.text, watch.until))
        if watch.tag_rate is not None:
            sent.extend((watch.at, watch.tag, 0, watch.at + watch.tag_rate.seconds))

    @property
    def until(self) -> int:
        """When nothing of it matters any more."""
        return max(self._sent[3::_WIDTH], default=0)

    def stored(self) -> bytes:
        """As octets."""
        return self._sent.tobytes()
