"""What an alarm is, and when something found wrong becomes one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from smsgw.core.words import Wording, label, labels_of, phrase

WARNING = "warning"
CRITICAL = "critical"
OTHERS = "others"
"""The object of an alarm about those that are too many to have one each."""
Key = tuple[str, str]


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


def about_of(code: str) -> Wording | str:
    """Whom an alarm concerns, in words: 通道 mobile-a of ``channel/mobile-a``. As it is what we have no words for."""
    if code == OTHERS:
        return phrase("alarm.about_others")
    kind, _, name = code.partition("/")
    if kind == "lane" and name in labels_of("lane"):
        return phrase("alarm.about_lane", lane=label("lane", name))
    what = labels_of("audit_object").get(kind)
    if what is None:
        return code
    if kind == "webhook" and "/" in name:
        account, _, endpoint = name.partition("/")
        return phrase("alarm.about_endpoint", what=what, name=endpoint, account=account)
    return phrase("alarm.note_about", what=what, name=name) if name and kind != "facts" else what


class Watch:
    """Remembers since when things have been wrong, and says which of them are alarms by now."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}

    def look(self, found: Iterable[Finding], now: float) -> dict[tuple[str, str], tuple[Finding, float]]:
        """Take in a round of findings; those that are alarms by now, with the seconds since they began.

        What is found and no alarm yet keeps an alarm that stands open: ask ``found``.
        """
        current = {finding.key: finding for finding in found}
        self._since = {key: self._since.get(key, now) for key in current}
        return {
            key: (finding, now - self._since[key])
            for key, finding in current.items()
            if now - self._since[key] >= finding.after
        }

    @property
    def found(self) -> Set[Key]:
        """What the last round has found."""
        return self._since.keys()


def fewer(up: Mapping[Key, tuple[Finding, float]], standing: Set[Key], most: int) -> dict[Key, tuple[Finding, float]]:
    """The same with at most so many of a kind, those that stand and the gravest before others; how many more there are
    says one of its own."""
    kinds: dict[str, list[Key]] = {}
    for key in up:
        kinds.setdefault(key[0], []).append(key)
    kept = dict(up)
    for kind, keys in kinds.items():
        if len(keys) <= most:
            continue
        keys.sort(key=lambda key: (key not in standing, up[key][0].severity != CRITICAL, -up[key][1]))
        rest = [kept.pop(key) for key in keys[most:]]
        severity = CRITICAL if any(one.severity == CRITICAL for one, _ in rest) else WARNING
        said = phrase("alarm.others", n=len(rest))
        kept[kind, OTHERS] = Finding(kind, OTHERS, severity, said), max(seconds for _, seconds in rest)
    return kept
