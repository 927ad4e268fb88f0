"""How often a number was sent to: its recent messages in a few octets, and whether one more is too many.

What limits an account is what it has sent itself. Of the others it meets a ceiling only, which no single one of them
can use up: each counts for a third of it at most. It is told no more than that there is one.
"""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from smsgw.core.errors import Reason
from smsgw.core.model import MessageType
from smsgw.core.policy import Rate
from smsgw.core.words import Wording, label, phrase

EPOCH = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
MAX_ENTRIES = 256
"""Messages that are remembered of a number at most; those that matter the shortest are forgotten first."""
SHARES = 3
"""So many other accounts at least have to have sent before a ceiling is reached."""
_WIDTH = 4
_BITS = 15
_MASK = (1 << _BITS) - 1
_TYPE_OF = {MessageType.OTP: 1, MessageType.NOTICE: 2, MessageType.MARKETING: 3}


def seconds_of(at: datetime) -> int:
    """The time as it is counted here."""
    return int(at.timestamp()) - EPOCH


def scope_of(account_id: int, kind: MessageType, part: str = "") -> int:
    """What is counted together, in 32 bits: the type (2), the account (the end of its id, 15), and where an account's
    messages are counted apart, which of them (a hash, 15)."""
    apart = zlib.crc32(part.encode()) & _MASK if part else 0
    return _TYPE_OF[kind] << 2 * _BITS | (account_id & _MASK) << _BITS | apart


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
        if watch.rates:
            near = [
                abs(watch.at - sent[n]) for n in range(0, len(sent), _WIDTH) if sent[n + 1] == watch.scope
            ]
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
        if len(kept) >= MAX_ENTRIES:
            kept = sorted(kept, key=lambda n: sent[n + 3])[1 - MAX_ENTRIES :]
        if len(kept) * _WIDTH < len(sent):
            fresh = array("I")
            for n in sorted(kept):
                fresh.extend(sent[n : n + _WIDTH])
            self._sent = sent = fresh
        sent.extend((watch.at, watch.scope, watch.text, watch.until))

    @property
    def until(self) -> int:
        """When nothing of it matters any more."""
        return max(self._sent[3::_WIDTH], default=0)

    def stored(self) -> bytes:
        """As octets."""
        return self._sent.tobytes()
