"""How often a number was sent to: its recent messages in a few octets, and whether one more is too many."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from datetime import UTC, datetime

from smsgw.core.policy import Rate

EPOCH = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
MAX_ENTRIES = 256
"""Messages that are remembered of a number at most; those that matter the shortest are forgotten first."""
_WIDTH = 4

Reason = tuple[str, dict[str, str]]


def seconds_of(at: datetime) -> int:
    """The time as it is counted here."""
    return int(at.timestamp()) - EPOCH


@dataclass(frozen=True, slots=True)
class Watch:
    """A message that is counted, and the limits that hold for it."""

    index: int
    """Its place among the messages of its call."""
    number: int
    at: int
    """When it is due, ``seconds_of``."""
    scope: int
    """What is counted together (32 bits): the type, and where wanted the template."""
    text: int
    """Hash of the content (32 bits)."""
    rates: tuple[Rate, ...]
    identical: int
    """Seconds in which the same text goes out once; 0: no such limit."""
    dedupe: int
    """The same, as the caller wants it."""
    label: str
    """What is limited, for people."""

    @property
    def until(self) -> int:
        """How long it has to be remembered."""
        longest = self.rates[-1].seconds if self.rates else 0
        return self.at + max(longest, self.identical, self.dedupe)


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
        if watch.identical or watch.dedupe:
            nearest = min(
                (abs(watch.at - sent[n]) for n in range(0, len(sent), _WIDTH) if sent[n + 2] == watch.text),
                default=None,
            )
            if nearest is not None and nearest < watch.dedupe:
                return "CONTENT_DUPLICATE", {"n": str(watch.dedupe)}
            if nearest is not None and nearest < watch.identical:
                return "NUMBER_FREQ_LIMITED", {"rule": f"相同内容 {watch.identical} 秒内最多 1 条"}
        if watch.rates:
            near = [
                abs(watch.at - sent[n]) for n in range(0, len(sent), _WIDTH) if sent[n + 1] == watch.scope
            ]
            for rate in watch.rates:
                if sum(distance < rate.seconds for distance in near) >= rate.most:
                    return "NUMBER_FREQ_LIMITED", {"rule": f"{watch.label} {rate.text}"}
        return None

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

