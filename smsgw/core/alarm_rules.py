"""When something found wrong is an alarm: one rule for each kind, with exceptions for single objects.

What a rule says by default stands in ``KINDS``; what people have changed is stored (``alarm_rule``) and read with the
snapshot. A value that is a setting of the platform (``Value.setting``) is kept there alone, not twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from smsgw.core.alarms import CRITICAL, WARNING, Finding
from smsgw.core.settings import LIMITS, Settings
from smsgw.core.words import Wording, phrase

MOST_AFTER = 86_400
VALUES = ("threshold", "minutes", "least")
"""Names of what a condition may be made of."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number of a condition, with its limits."""

    default: int
    least: int
    most: int
    setting: str = ""
    """The setting that it is; empty: it is the rule's own."""


def _setting(name: str) -> Value:
    return Value(getattr(Settings(), name), *LIMITS[name], name)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of alarm and its rule by default."""

    severity: str = ""
    """Empty: as it is found, which depends on what it is."""
    after: Value = field(default=Value(0, 0, MOST_AFTER))
    """Seconds for which it must have been so."""
    values: Mapping[str, Value] = field(default_factory=dict)
    apart: str = ""
    """What exceptions are about: ``channel``, ``lane`` … (as objects' names begin); empty: there are none."""
    own: frozenset[str] = frozenset()
    """Names of the values that an exception may have of its own."""
    on: bool = True
    lasting: bool = False
    """It can neither be turned off nor hushed: everybody is told of it at once, as grave as it is."""
    outage: bool = False
    """Something of the platform, or a channel, does not work: it opens faults by itself and joins them. What concerns
    one account, a promise or a suspicion is an alarm and no outage."""


def _kind(severity: str, *, after: int = 0, **more: Value | str | bool) -> Kind:
    values = {name: value for name in VALUES if isinstance(value := more.get(name), Value)}
    apart = str(more.get("apart", ""))
    own = frozenset({"threshold"} & values.keys()) if apart else frozenset()
    return Kind(severity, Value(after, 0, MOST_AFTER), values, apart, own, bool(more.get("on", True)),
                bool(more.get("lasting", False)), bool(more.get("outage", False)))  # fmt: skip


KINDS: Mapping[str, Kind] = {
    # channels
    "channel_down": Kind(CRITICAL, _setting("channel_down_seconds"), apart="channel", outage=True),
    "login_refused": _kind(CRITICAL, apart="channel", outage=True),
    "standby_low": _kind("", after=10, threshold=_setting("standbys_wanted"), apart="pool"),
    "probe_failed": _kind(WARNING, apart="channel", outage=True),
    "success_low": _kind(WARNING, threshold=_setting("success_limit"), minutes=_setting("success_minutes"),
                         least=_setting("success_least"), apart="channel", outage=True),
    "channel_shifted": _kind(WARNING, apart="channel"),
    "rate_near": _kind(WARNING, after=600, threshold=Value(90, 10, 100), apart="channel", on=False),
    "unknown_code": _kind(WARNING, apart="channel"),
    "claims_lost": _kind(WARNING, apart="channel"),
    "unmatched_reports": _kind(WARNING, threshold=Value(1, 1, 100), least=Value(20, 1, 1_000_000), apart="channel"),
    # what waits
    "queue_long": _kind(WARNING, after=60, threshold=Value(1_000_000, 1, 1_000_000), apart="lane"),
    "queue_old": _kind(WARNING, threshold=Value(3600, 5, 86_400), apart="lane"),
    "review_waiting": _kind(WARNING, minutes=_setting("review_remind_minutes")),
    "facts_parked": _kind(CRITICAL),
    # to customers
    "webhook_failing": _kind(WARNING, minutes=Value(5, 1, 1440), apart="webhook"),
    "webhook_queue": _kind(WARNING, after=300, threshold=Value(10_000, 1, 99_999), apart="webhook"),
    "webhook_dead": _kind(CRITICAL, apart="webhook"),
    "events_lost": _kind(CRITICAL),
    "balance_low": _kind(WARNING, threshold=Value(1000, 1, 1_000_000_000), apart="account", on=False),
    # nodes and the database
    "database_down": _kind(CRITICAL, after=5, outage=True),
    "database_lag": _kind(WARNING, after=30, threshold=Value(60, 1, 86_400)),
    "writer_stalled": _kind(CRITICAL, threshold=Value(5, 2, 3600), outage=True),
    "node_missing": _kind(CRITICAL, after=60, outage=True),
    "disk_filling": _kind(WARNING, threshold=Value(10, 1, 90), apart="node"),
    "disk_low": _kind(CRITICAL, outage=True),
    "journal_full": _kind(CRITICAL, outage=True),
    "spool_failed": _kind(CRITICAL, outage=True),
    "spool_damaged": _kind(CRITICAL),
    "loop_stalled": _kind(WARNING, threshold=Value(5, 1, 600)),
    "clock_wrong": _kind(""),
    "partition_missing": _kind(CRITICAL),
    "retention_held": _kind(WARNING),
    # what must not happen
    "figures_differ": _kind(CRITICAL),
    "complaint_ceiling": _kind(CRITICAL, threshold=_setting("complaint_ceiling"), least=_setting("complaint_minimum")),
    "toll_fraud": _kind(CRITICAL),
    "guessing": _kind(WARNING),
    "audit_changed": _kind(CRITICAL, lasting=True),
    "audit_anchor": _kind(CRITICAL, lasting=True),
    "sign_over": _kind(WARNING),
    "task_halted": _kind(WARNING),
    # promises
    "fault_response_near": _kind(WARNING, minutes=Value(15, 1, 1440)),
    "fault_response_over": _kind(CRITICAL),
    "fault_recovery_near": _kind(WARNING, minutes=Value(30, 1, 1440)),
    "fault_recovery_over": _kind(CRITICAL),
    "faults_full": _kind(WARNING),
    "ticket_response_near": _kind(WARNING, minutes=Value(15, 1, 1440)),
    "ticket_response_over": _kind(CRITICAL),
    "report_late": _kind(WARNING, after=60, threshold=Value(600, 5, 86_400), minutes=Value(30, 1, 1440),
                         least=Value(50, 1, 1_000_000), apart="channel"),
    "backup_old": _kind(WARNING, threshold=Value(26, 1, 8760)),
    "links_stale": _kind(WARNING, after=60),
    "clicks_unkept": _kind(WARNING),
    "channel_throttled": _kind(WARNING, after=600, apart="channel"),
    "restored_undecided": _kind(WARNING),
    "redis_away": _kind(WARNING),
    "channel_silent": _kind(CRITICAL, after=30, apart="channel", outage=True),
    "links_unserved": _kind(WARNING, after=60),
    "database_faulty": _kind(CRITICAL),
    "rows_skipped": _kind(CRITICAL),
}  # fmt: skip
"""In the order in which people read them."""
OUTAGES = tuple(name for name, kind in KINDS.items() if kind.outage)
LASTING = frozenset(name for name, kind in KINDS.items() if kind.lasting)
"""``alarm_due`` names them, too."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What people have changed of a rule; None: as by default."""

    on: bool
    severity: str | None = None
    """Empty: as it is found."""
    after: int | None = None
    values: Mapping[str, int] = field(default_factory=dict)
    receivers: tuple[int, ...] | None = None
    """Who is told; None: all of them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as it holds."""

    kind: str
    object: str
    """Of an exception; empty: it is for all."""
    on: bool
    severity: str
    """Empty: as it is found."""
    after: int
    values: Mapping[str, int]
    receivers: tuple[int, ...] | None = None

    @property
    def condition(self) -> Wording:
        """What it looks for, in words."""
        return phrase(f"alarm_rule.{self.kind}", **{name: f"{value:,}" for name, value in self.values.items()})


class Rules:
    """All rules, as they hold at a moment."""

    def __init__(
        self, stored: Mapping[tuple[str, str], Stored] | None = None, settings: Settings | None = None
    ) -> None:
        self._stored = stored or {}
        self._settings = settings or Settings()

    def of(self, kind: str, object: str = "") -> Rule:
        """The rule for something: the exception for it, or the one for all; for an unknown kind the plainest."""
        general = self._general(kind)
        own = self._stored.get((kind, object)) if object else None
        return general if own is None else over(general, own, object)

    def _general(self, kind: str) -> Rule:
        known = KINDS.get(kind) or Kind()
        values = {name: self._value(value) for name, value in known.values.items()}
        rule = Rule(kind, "", known.on, known.severity, self._value(known.after), values)
        stored = None if known.lasting else self._stored.get((kind, ""))
        return rule if stored is None else over(rule, stored, "")

    def _value(self, value: Value) -> int:
        return getattr(self._settings, value.setting) if value.setting else value.default

    def exceptions(self, kind: str) -> list[Rule]:
        """Those of a kind, whether on or off."""
        return [self.of(kind, object) for known, object in self._stored if known == kind and object]

    def threshold(self, kind: str, object: str = "") -> int:
        """The number that a condition is mostly made of."""
        return self.of(kind, object).values["threshold"]

    def wanted(self, kind: str) -> bool:
        """Whether anybody wants to know of this kind, be it of one object: what is not wanted is not measured."""
        return self.of(kind).on or any(rule.on for rule in self.exceptions(kind))

    def judged(self, finding: Finding) -> Finding | None:
        """The same with the severity and the time that its rule says; None: nobody wants to know."""
        rule = self.of(finding.kind, finding.object)
        if not rule.on:
            return None
        return replace(finding, severity=rule.severity or finding.severity, after=max(finding.after, rule.after))


def over(rule: Rule, stored: Stored, object: str) -> Rule:
    """A rule with what was changed of it, within the limits of today."""
    severity = rule.severity if stored.severity is None else stored.severity
    after = rule.after if stored.after is None else stored.after
    limits = known.values if (known := KINDS.get(rule.kind)) else {}
    values = {name: min(max(value, limits[name].least), limits[name].most)
              for name, value in stored.values.items() if name in limits}  # fmt: skip
    return Rule(rule.kind, object, stored.on, severity, after, {**rule.values, **values}, stored.receivers)
