"""What an alarm is, and when something found wrong becomes one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from smsgw.core.words import Wording

WARNING = "warning"
CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong at this moment."""

    kind: str
    object: str
    """Whom it concerns: ``channel/NAME``, ``pool/NAME``, ``node/N``, ``sign/TEXT``."""
    severity: str
    detail: Wording | str = ""
    """What is told of it: words with their values, or what was heard from outside as it came."""
    after: float = 0.0
    """Seconds for which it must have been so."""

    @property
    def key(self) -> tuple[str, str]:
        """An alarm is one for each of these."""
        return self.kind, self.object


class Watch:
    """Remembers since when things have been wrong, and says which of them are alarms by now."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}

    def look(self, found: Iterable[Finding], now: float) -> dict[tuple[str, str], tuple[Finding, float]]:
        """Take in a round of findings; those that are alarms by now, with the seconds since they began.

        What is found and no alarm yet keeps an alarm that stands open: ask ``pending``.
        """
        current = {finding.key: finding for finding in found}
        self._since = {key: self._since.get(key, now) for key in current}
        return {
            key: (finding, now - self._since[key])
            for key, finding in current.items()
            if now - self._since[key] >= finding.after
        }

    def pending(self, key: tuple[str, str]) -> bool:
        """Whether the last round has found it."""
        return key in self._since
