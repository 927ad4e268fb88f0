"""The route table: which pool a message queues in, decided by data, rule by rule, the first match winning.

A table is written by operators as one document (TOML or JSON), checked as a whole, published as a version. Pools of the
table name their channels; the built-in pools, one a carrier, hold whatever channels say they serve that carrier, and
take what no rule has claimed.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from typing import Any

from smsgw.core import kinds as kinds_of, numbers
from smsgw.core.model import MessageType

BUILT_IN = ("CMCC", "CUCC", "CTCC", "CBN", "INTL")
"""Pools that always exist, one a carrier."""

DEFAULT_POOL: Mapping[str, str] = {
    numbers.CMCC: "CMCC",
    numbers.CUCC: "CUCC",
    numbers.CTCC: "CTCC",
    numbers.CBN: "CBN",
    numbers.INTL: "INTL",
    # A segment nobody knows is most likely China Mobile's: by far the largest.
    numbers.UNKNOWN: "CMCC",
}

MAX_RULES = 1000
MAX_POOLS = 200
MAX_VALUES = 1000
MAX_NAME = 64
"""Characters of a rule's name."""
MOVE = "move "
"""Begins the names of rules that give an account or a signature to one channel, …"""
ONLY = "only-"
"""… and this the names of the pools that they lead to."""
_POOL_NAME = re.compile(r"^[a-z0-9][a-z0-9_.-]{0,63}$")
_HOURS = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)-(([01]\d|2[0-3]):([0-5]\d)|24:00)$")
_PREFIX = re.compile(r"^[1-9]\d{0,14}$")


class InvalidRoutes(ValueError):
    """The table cannot be used; ``problems`` are all that is wrong with it, for people."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Member:
    """A channel in a pool."""

    channel: str
    weight: int = 1
    """Share of the pool's traffic while its neighbours have room."""
    standby: bool = False
    """Pulls only while the primaries are unhealthy or the backlog is too old."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Channels that pull from one queue."""

    name: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """What a rule looks at."""

    account: str
    type: MessageType
    number: str
    """E.164 digits."""
    carrier: str
    province: str
    sign: str
    content: str
    at: time
    """In China."""
    kind: str = ""
    """The kind of its type; a rule for the type holds for it, too."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A daily window, China time; ``end`` before ``begin`` goes over midnight."""

    begin: time
    end: time | None
    """None: midnight."""

    def holds(self, at: time) -> bool:
        """Whether the window is open: from ``begin`` up to, not including, ``end``."""
        if self.end is None:
            return at >= self.begin
        if self.begin <= self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end

    def __str__(self) -> str:
        end = "24:00" if self.end is None else f"{self.end:%H:%M}"
        return f"{self.begin:%H:%M}-{end}"


CONDITIONS = ("account", "type", "sign", "carrier", "province", "prefix", "keyword")


@dataclass(frozen=True, slots=True)
class Rule:
    """All conditions that are given must hold; within one condition any value suffices."""

    name: str
    pool: str
    account: frozenset[str] = frozenset()
    type: frozenset[str] = frozenset()
    sign: frozenset[str] = frozenset()
    carrier: frozenset[str] = frozenset()
    province: frozenset[str] = frozenset()
    prefix: tuple[str, ...] = ()
    """Of the national number (mainland) or of the E.164 digits."""
    keyword: tuple[str, ...] = ()
    hours: Hours | None = None

    @property
    def is_move(self) -> bool:
        """Made by ``moved``: what was queued before it follows."""
        return self.name.startswith(MOVE)

    def gives(self, kind: str, value: str) -> bool:
        """Whether it gives this account or signature (``kind``) to a channel."""
        return self.name.startswith(f"{MOVE}{kind} ") and getattr(self, kind) == {value}

    def of_type(self, type_: str, kind: str) -> bool:
        """Whether it holds for messages of the type, or for those of this kind of it."""
        return not self.type or type_ in self.type or (kind != "" and kind in self.type)

    def miss(self, subject: Subject) -> str | None:
        """The first condition that does not hold, by name; None when the rule matches."""
        if self.account and subject.account not in self.account:
            return "account"
        if not self.of_type(subject.type, subject.kind):
            return "type"
        if self.carrier and subject.carrier not in self.carrier:
            return "carrier"
        if self.province and subject.province not in self.province:
            return "province"
        if self.sign and subject.sign not in self.sign:
            return "sign"
        if self.prefix and not (
            numbers.national(subject.number).startswith(self.prefix) or subject.number.startswith(self.prefix)
        ):
            return "prefix"
        if self.hours is not None and not self.hours.holds(subject.at):
            return "hours"
        if self.keyword and not any(word in subject.content for word in self.keyword):
            return "keyword"
        return None


@dataclass(frozen=True, slots=True)
class Considered:
    """One line of the explanation: a rule, and why it did not match (empty: it did)."""

    rule: str
    pool: str
    miss: str


@dataclass(frozen=True, slots=True)
class RouteTable:
    """A checked table. Immutable: a change is a new one."""

    version: int = 0
    pools: Mapping[str, Pool] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    def pool_for(self, subject: Subject) -> str:
        """The pool of the first rule that matches, else the built-in one of the carrier."""
        for rule in self.rules:
            if rule.miss(subject) is None:
                return rule.pool
        return DEFAULT_POOL[subject.carrier]

    def leads(self, subject: Subject, pool: str) -> bool:
        """Whether some rule that matches leads to the pool: one behind the rule that decides, but not behind one that
        has given the account or signature to a channel of its own."""
        for rule in self.rules:
            if rule.miss(subject) is None:
                if rule.pool == pool:
                    return True
                if rule.is_move:
                    return False
        return False

    def open_to(self, account: str, type_: str, kind: str = "") -> tuple[str, ...]:
        """The pools of this table that rules may lead an account's messages of a type (and a kind of it) to, in the
        order of the rules."""
        found: dict[str, None] = {}
        for rule in self.rules:
            if (rule.account and account not in rule.account) or not rule.of_type(type_, kind):
                continue
            found[rule.pool] = None
            if rule.is_move and not (rule.sign or rule.carrier):
                break
        return tuple(found)

    def follow(self, subject: Subject, pool: str) -> str:
        """The pool for a message that waits in ``pool``: another one when its account or signature was given to a
        channel, or was before and is not any more, or when ``pool`` is no more."""
        rule = next((rule for rule in self.rules if rule.miss(subject) is None), None)
        if rule is not None and rule.is_move:
            return rule.pool
        stays = self.has(pool) and (not pool.startswith(ONLY) or self.leads(subject, pool))
        return pool if stays else self.pool_for(subject)

    def given_to(self, kind: str, value: str) -> str | None:
        """The channel that an account or signature was given to; None: it goes by the rules."""
        rule = next((rule for rule in self.rules if rule.gives(kind, value)), None)
        members = () if rule is None else self.members(rule.pool)
        return members[0].channel if members else None

    @property
    def has_moves(self) -> bool:
        """Whether accounts or signatures were given to channels."""
        return any(rule.is_move for rule in self.rules)

    def has(self, pool: str) -> bool:
        """Whether there is such a pool."""
        return pool in self.pools or pool in BUILT_IN

    def explain(self, subject: Subject) -> tuple[str, list[Considered]]:
        """The same decision as ``pool_for``, with every rule that was looked at."""
        lines = []
        for rule in self.rules:
            miss = rule.miss(subject)
            lines.append(Considered(rule.name, rule.pool, miss or ""))
            if miss is None:
                return rule.pool, lines
        pool = DEFAULT_POOL[subject.carrier]
        lines.append(Considered("", pool, ""))
        return pool, lines

    def members(self, pool: str) -> tuple[Member, ...]:
        """The channels that a pool of this table names; built-in pools name none."""
        found = self.pools.get(pool)
        return found.members if found else ()


def parse(
    document: Mapping[str, Any], *, version: int, channels: Iterable[str], kinds: Collection[str] | None = ()
) -> RouteTable:
    """Check a document: ``{"pool": [{"name", "channels": [{"name", "weight", "standby"}]}], "rule": [...]}``.

    ``channels`` are the names that exist, ``kinds`` those of types (None: any).
    Raises ``InvalidRoutes`` with all problems.
    """
    problems: list[str] = []
    known = set(channels)
    problems += [f"unknown key {key}; known are pool, rule" for key in document if key not in ("pool", "rule")]
    pools: dict[str, Pool] = {}
    for position, table in enumerate(_tables(document, "pool", MAX_POOLS, problems), 1):
        pool = _pool(f"pool {position}", table, known, problems)
        if pool is not None and pool.name in pools:
            problems.append(f"pool {pool.name} is given twice")
        elif pool is not None:
            pools[pool.name] = pool
    rules = []
    for position, table in enumerate(_tables(document, "rule", MAX_RULES, problems), 1):
        rule = _rule(f"rule {position}", table, pools, kinds, problems)
        if rule is not None:
            rules.append(rule)
    names = [rule.name for rule in rules]
    problems += [f"two rules are called {name}" for name in sorted({n for n in names if names.count(n) > 1})]
    if problems:
        raise InvalidRoutes(problems)
    return RouteTable(version, pools, tuple(rules))


def moved(
    document: Mapping[str, Any], *, kind: str, value: str, channel: str, carriers: Iterable[str] = ()
) -> dict[str, Any]:
    """The document with a first rule that gives an account or a signature (``kind``) to one channel alone.

    An earlier move of the same account or signature is replaced. ``carriers`` are those that the channel serves (none:
    all): numbers of others stay on their way.
    """
    pool = only(channel)
    rule: dict[str, Any] = {"name": _move_name(kind, value), kind: [value], "pool": pool}
    if wanted := sorted(carriers):
        rule["carrier"] = wanted
    rest = _without(document, kind, value)
    pools = [p for p in rest["pool"] if p.get("name") != pool]
    return {"pool": [*pools, {"name": pool, "channels": [channel]}], "rule": [rule, *rest["rule"]]}


def restored(document: Mapping[str, Any], *, kind: str, value: str) -> dict[str, Any] | None:
    """The document without the move of an account or a signature; None when there is none."""
    there = any(_gives(rule, kind, value) for rule in document.get("rule", []))
    return _without(document, kind, value) if there else None


def replaced(document: Mapping[str, Any], *, channel: str, by: str) -> dict[str, Any]:
    """The document with one channel in another's place, in every pool and for whom it was given to: with its weight,
    and as a primary where one of the two was. What was given to the one (``moved``) is given to the other."""
    old, new = only(channel), only(by)
    pools: dict[str, dict[str, Any]] = {}
    members: list[dict[str, Any]]
    for pool in document.get("pool", []):
        name = new if pool.get("name") == old else pool.get("name")
        if name == new:
            pools[name] = {"name": new, "channels": [by]}
            continue
        members = [{"name": m} if isinstance(m, str) else dict(m) for m in pool.get("channels", [])]
        gone = next((m for m in members if m.get("name") == channel), None)
        there = next((m for m in members if m.get("name") == by), None)
        if gone is not None and there is not None:
            members.remove(gone)
            there["weight"] = max(there.get("weight", 1), gone.get("weight", 1))
            there["standby"] = there.get("standby", False) and gone.get("standby", False)
        elif gone is not None:
            gone["name"] = by
        pools[name] = {**pool, "channels": members} if gone is not None else dict(pool)
    rules = [{**r, "pool": new} if r.get("pool") == old else dict(r) for r in document.get("rule", [])]
    return {"pool": list(pools.values()), "rule": rules}


def only(channel: str) -> str:
    """The pool of a channel alone, for whom is given to it."""
    return ONLY + re.sub(r"[^a-z0-9._-]", "-", channel.lower())[:59]


def _move_name(kind: str, value: str) -> str:
    """Cut where it is too long for a rule, and told apart from others that begin alike."""
    name = f"{MOVE}{kind} {value}"
    return name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 9]}~{zlib.crc32(name.encode()):08x}"


def _gives(rule: Mapping[str, Any], kind: str, value: str) -> bool:
    """``Rule.gives``, of a rule as it is written."""
    return str(rule.get("name")).startswith(f"{MOVE}{kind} ") and rule.get(kind) in (value, [value])


def _without(document: Mapping[str, Any], kind: str, value: str) -> dict[str, Any]:
    """Without a move, and without the pools of moves that nothing leads to any more."""
    rules = [r for r in document.get("rule", []) if not _gives(r, kind, value)]
    used = {r.get("pool") for r in rules}
    pools = [p for p in document.get("pool", []) if not str(p.get("name")).startswith(ONLY) or p.get("name") in used]
    return {"pool": pools, "rule": rules}


def _tables(document: Mapping[str, Any], key: str, limit: int, problems: list[str]) -> list[Mapping[str, Any]]:
    found = document.get(key, [])
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        problems.append(f"{key} must be a list of tables ([[{key}]])")
        return []
    if len(found) > limit:
        problems.append(f"at most {limit} tables [[{key}]]")
        return []
    return found


def _pool(where: str, table: Mapping[str, Any], known: set[str], problems: list[str]) -> Pool | None:
    name = table.get("name")
    problems += [f"{where}: unknown key {key}" for key in table if key not in ("name", "channels")]
    if not isinstance(name, str) or not _POOL_NAME.match(name):
        problems.append(f"{where}: name must be lower-case letters, digits, - _ . (up to 64)")
        return None
    members: list[Member] = []
    given = table.get("channels")
    if not isinstance(given, list) or not given:
        problems.append(f"pool {name}: channels must name at least one channel")
        return None
    for item in given:
        entry = {"name": item} if isinstance(item, str) else item
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            problems.append(f"pool {name}: a channel is a name or {{ name, weight, standby }}")
            continue
        problems += [
            f"pool {name}: unknown key {key} of channel {entry['name']}"
            for key in entry
            if key not in ("name", "weight", "standby")
        ]
        weight, standby = entry.get("weight", 1), entry.get("standby", False)
        if entry["name"] not in known:
            problems.append(f"pool {name}: there is no channel {entry['name']}")
        if type(weight) is not int or not 1 <= weight <= 1000:
            problems.append(f"pool {name}: weight of {entry['name']} must be in 1..1000")
            weight = 1
        if type(standby) is not bool:
            problems.append(f"pool {name}: standby of {entry['name']} must be true or false")
            standby = False
        if any(m.channel == entry["name"] for m in members):
            problems.append(f"pool {name}: channel {entry['name']} is given twice")
        members.append(Member(entry["name"], weight, standby))
    if members and all(m.standby for m in members):
        problems.append(f"pool {name}: at least one channel must not be a standby")
    return Pool(name, tuple(members))


def _rule(
    where: str, table: Mapping[str, Any], pools: Mapping[str, Pool], kinds: Collection[str] | None, problems: list[str]
) -> Rule | None:
    name, pool = table.get("name"), table.get("pool")
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME:
        problems.append(f"{where}: name is missing or longer than {MAX_NAME} characters")
        return None
    where = f"rule {name}"
    problems += [
        f"{where}: unknown key {key}; known are name, pool, hours, {', '.join(CONDITIONS)}"
        for key in table
        if key not in ("name", "pool", "hours", *CONDITIONS)
    ]
    if not isinstance(pool, str) or (pool not in pools and pool not in BUILT_IN):
        problems.append(f"{where}: there is no pool {pool}")
        return None
    values = {key: _values(where, key, table.get(key), problems) for key in CONDITIONS}
    free = [v for v in values["type"] if kinds_of.NAME.fullmatch(v)] if kinds is None else kinds
    checks = {"type": [*map(str, MessageType), *free], "carrier": list(numbers.CARRIERS)}
    for key, allowed in checks.items():
        problems += [f"{where}: {key} {v} is none of {', '.join(allowed)}" for v in values[key] if v not in allowed]
    problems += [f"{where}: prefix {v} is not digits" for v in values["prefix"] if not _PREFIX.match(v)]
    return Rule(
        name,
        pool,
        account=frozenset(values["account"]),
        type=frozenset(values["type"]),
        sign=frozenset(values["sign"]),
        carrier=frozenset(values["carrier"]),
        province=frozenset(values["province"]),
        prefix=tuple(values["prefix"]),
        keyword=tuple(values["keyword"]),
        hours=_hours(where, table.get("hours"), problems),
    )


def _values(where: str, key: str, given: Any, problems: list[str]) -> list[str]:
    if given is None:
        return []
    listed = [given] if isinstance(given, str) else given
    if (
        not isinstance(listed, list)
        or not listed
        or len(listed) > MAX_VALUES
        or not all(isinstance(v, str) and v for v in listed)
    ):
        problems.append(f"{where}: {key} must be a text or a list of 1 to {MAX_VALUES} texts")
        return []
    return listed


def _hours(where: str, given: Any, problems: list[str]) -> Hours | None:
    if given is None:
        return None
    match = _HOURS.match(given) if isinstance(given, str) else None
    if match is None:
        problems.append(f'{where}: hours must look like "08:00-21:00"')
        return None
    end = None if match[3] == "24:00" else time(int(match[4]), int(match[5]))
    return Hours(time(int(match[1]), int(match[2])), end)
