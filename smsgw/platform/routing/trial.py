"""A route table tried on traffic that has been: what would have gone where, and what channels would have had to carry.

Messages that no rule of either table can tell apart are counted together by the database; one of each such group is
routed by both, in turns with whatever else the node does. Of a minute with more messages than are looked at, those that
are stand for all that the counters of the flow have of it: every hour of a day is looked at, however full it is.
"""

from __future__ import annotations

import asyncio
import time as clocks
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta

from smsgw.core import numbers
from smsgw.core.ids import CHINA, EPOCH_MS, first_id, time_of
from smsgw.core.model import ChannelSpec, MessageType
from smsgw.core.routes import RouteTable, Subject
from smsgw.pipeline.fleet import Membership, membership
from smsgw.store.engine.database import Database, Row

MOST_MESSAGES = 1_000_000
"""That are looked at, as many of each minute; those of fuller minutes stand for the rest of theirs."""
MOST_MINUTES = 2880
MOST_GROUPS = 100_000
"""The largest; the rest is left out, and said to be."""
MOST_WORK = 20.0
"""Seconds of routing; the largest groups come first, and what is left out then is said to be."""
TURN = 0.005
"""Seconds of it before others have as long."""
MOST_SHOWN = 50
PATIENCE = 60.0
SLOT = timedelta(hours=1)
"""What channels carry is told of the busiest of these."""

_SHIFT = 22
_TRAFFIC = f"""
WITH taken AS (
    SELECT e.since, m.* FROM unnest($2::timestamptz[], $3::bigint[], $4::bigint[]) AS e (since, lo, hi), LATERAL (
        SELECT s.id, s.account_id, s.type, s.kind, s.carrier, s.parts, ((s.id - $1) >> {_SHIFT}) / $6::bigint AS slot,
            CASE WHEN $7 THEN s.province END AS province, CASE WHEN $8 THEN s.sign END AS sign,
            CASE WHEN cardinality($9::text[]) > 0 THEN ARRAY(
                SELECT p FROM unnest($9::text[]) p
                WHERE starts_with(s.number, p) OR starts_with(s.number, '86' || p)) END AS prefixes,
            CASE WHEN cardinality($10::text[]) > 0 THEN ARRAY(
                SELECT w FROM unnest($10::text[]) w WHERE strpos(s.content, w) > 0) END AS keywords,
            CASE WHEN cardinality($11::int[]) > 0 THEN width_bucket(
                (((s.id >> {_SHIFT}) + {EPOCH_MS}) / 60000 + 480)::int % 1440, $11::int[]) END AS hours
        FROM message s WHERE s.id >= $1 AND s.id >= e.lo AND s.id < e.hi AND NOT s.test ORDER BY s.id LIMIT $5
    ) m
),
weighed AS (
    SELECT t.since, t.seen >= $5 AS cut, CASE WHEN t.seen < $5 THEN 1.0 ELSE GREATEST(1.0, (
        SELECT sum(s.n) FROM stat_minute s
        WHERE s.minute >= t.since AND s.minute < t.since + interval '1 minute' AND s.metric = 'accepted'
    )::float / t.parts) END AS weight
    FROM (SELECT since, count(*) AS seen, sum(parts) AS parts FROM taken GROUP BY since) t
),
alike AS (
    SELECT min(s.id) AS id, sum(w.weight) AS n, sum(w.weight * s.parts) AS parts, bool_or(w.cut) AS cut, s.slot
    FROM taken s JOIN weighed w USING (since)
    GROUP BY s.account_id, s.type, s.kind, s.carrier, s.slot, s.province, s.sign, s.prefixes, s.keywords, s.hours
)
SELECT m.id, m.type, m.kind, m.number, m.carrier, m.province, m.sign, m.content, a.name AS account,
    round(g.n)::bigint AS n, g.parts::float AS parts, g.slot, bool_or(g.cut) OVER () AS cut
FROM alike g JOIN message m ON m.id = g.id AND m.id >= $1 JOIN account a ON a.id = m.account_id
WHERE NOT starts_with(a.name, '@')
ORDER BY g.n DESC, m.id LIMIT $12
"""  # noqa: S608 - numbers of ours


@dataclass(frozen=True, slots=True)
class Alike:
    """Messages that no rule tells apart."""

    subject: Subject
    """One of them."""
    messages: int
    parts: float
    slot: int
    """In which ``SLOT`` of the span they were accepted."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a trial is made of."""

    begin: datetime
    end: datetime
    groups: Sequence[Alike]
    """The largest first."""
    whole: bool
    """There are no other groups."""
    sampled: bool
    """Of some minutes not every message was looked at: numbers are estimates."""
    slot: float
    """Seconds of a slot."""


@dataclass(slots=True)
class Load:
    """A channel's share, as the weights have it."""

    name: str
    rate: int
    """Parts a second that it may carry; 0: any."""
    desired: str
    messages_before: float = 0.0
    messages_after: float = 0.0
    busiest_before: float = 0.0
    """Parts a second, of the busiest slot."""
    busiest_after: float = 0.0

    @property
    def over(self) -> bool:
        """Whether it could not carry what the planned table would give it, but what the one in force does."""
        return bool(self.rate) and self.busiest_after > self.rate >= self.busiest_before

    @property
    def too_small(self) -> bool:
        """Whether it could not carry what the planned table would give it."""
        return bool(self.rate) and self.busiest_after > self.rate


@dataclass(slots=True)
class Sum:
    """What becomes of the messages of an account or a carrier."""

    name: str
    messages: int = 0
    changed: int = 0
    """Go to another pool, or to one whose channels are others."""
    lost_before: int = 0
    lost_after: int = 0
    """Find no channel."""


@dataclass(slots=True)
class Trial:
    """What a table would have done."""

    begin: datetime
    end: datetime
    whole: bool
    """It is of all messages; else there are more, and numbers of messages are the least that they can be."""
    sampled: bool
    """Numbers are estimates."""
    messages: int = 0
    changed: int = 0
    lost_before: int = 0
    lost_after: int = 0
    channels: list[Load] = field(default_factory=list)
    """All that there are, by name."""
    carriers: list[Sum] = field(default_factory=list)
    accounts: list[Sum] = field(default_factory=list)
    """Those with the most changes first, ``MOST_SHOWN`` of them."""
    moves: list[tuple[str, str, str, int]] = field(default_factory=list)
    """(carrier, pool now, pool then, messages) where the pool differs, the most first."""
    lost: list[tuple[str, str, str, int]] = field(default_factory=list)
    """(account, carrier, pool, messages) that would find no channel, the most first."""


async def traffic(database: Database, begin: datetime, end: datetime, tables: Iterable[RouteTable]) -> Traffic:
    """The messages that were accepted in a span, as far as the tables can tell them apart."""
    rules = [rule for table in tables for rule in table.rules]
    hours = [rule.hours for rule in rules if rule.hours is not None]
    ends = {minute for h in hours for minute in (_minute(h.begin), 1440 if h.end is None else _minute(h.end))}
    slot = min(SLOT, end - begin)
    minute = timedelta(minutes=1)
    pieces = [begin + n * minute for n in range(min(-(-(end - begin) // minute), MOST_MINUTES))]
    rows = await database.fetch(
        _TRAFFIC, first_id(begin), pieces, [first_id(one) for one in pieces],
        [first_id(min(one + minute, end)) for one in pieces], max(MOST_MESSAGES // max(len(pieces), 1), 1),
        max(int(slot.total_seconds() * 1000), 1),
        any(rule.province for rule in rules), any(rule.sign for rule in rules),
        sorted({p for rule in rules for p in rule.prefix}), sorted({w for rule in rules for w in rule.keyword}),
        sorted(ends - {0, 1440}), MOST_GROUPS + 1, timeout=PATIENCE,
    )  # fmt: skip
    groups = [_alike(row) for row in rows[:MOST_GROUPS]]
    sampled = bool(rows) and rows[0]["cut"]
    return Traffic(begin, end, groups, len(rows) <= MOST_GROUPS, sampled, max(slot.total_seconds(), 1.0))


def _minute(at: time) -> int:
    return at.hour * 60 + at.minute


def _alike(row: Row) -> Alike:
    subject = Subject(
        row["account"], MessageType(row["type"]), row["number"], row["carrier"], row["province"], row["sign"],
        row["content"], time_of(row["id"]).astimezone(CHINA).time(), row["kind"],
    )  # fmt: skip
    return Alike(subject, row["n"], row["parts"], row["slot"])


def shares(pool: str, table: RouteTable, channels: Sequence[ChannelSpec]) -> Mapping[str, float]:
    """Channel -> share of what waits in a pool, as the weights have it while all are healthy; the standbys' while no
    other channel of it is started. Empty: nobody takes it."""
    found = {spec.name: m for spec in channels if spec.desired == "started" and (m := membership(spec, pool, table))}
    primaries: dict[str, Membership] = {name: m for name, m in found.items() if not m.standby}
    taking = primaries or found
    whole = sum(m.weight for m in taking.values())
    return {name: m.weight / whole for name, m in taking.items()}


def _of_kind(table: RouteTable, subject: Subject) -> RouteTable:
    """A table without the rules that no message of this account, type and carrier can match."""
    return replace(table, rules=tuple(
        rule for rule in table.rules
        if (not rule.account or subject.account in rule.account) and rule.of_type(subject.type, subject.kind)
        and (not rule.carrier or subject.carrier in rule.carrier)
    ))  # fmt: skip


async def compare(seen: Traffic, now: RouteTable, planned: RouteTable, channels: Sequence[ChannelSpec]) -> Trial:
    """The table in force and another one on the same traffic."""
    kinds: dict[tuple[str, str, str, str], tuple[RouteTable, RouteTable]] = {}
    worked, since = 0.0, clocks.monotonic()
    spread: dict[tuple[int, str], Mapping[str, float]] = {}
    loads = {spec.name: Load(spec.name, spec.rate, spec.desired) for spec in channels if spec.id > 0}
    slots: tuple[dict[tuple[str, int], float], ...] = (defaultdict(float), defaultdict(float))
    accounts: dict[str, Sum] = {}
    carriers = {name: Sum(name) for name in numbers.CARRIERS}
    moves: Counter[tuple[str, str, str]] = Counter()
    lost: Counter[tuple[str, str, str]] = Counter()
    trial = Trial(seen.begin, seen.end, seen.whole, seen.sampled)
    for group in seen.groups:
        if (took := clocks.monotonic() - since) >= TURN:
            worked += took
            if worked >= MOST_WORK:
                trial.whole = False
                break
            await asyncio.sleep(TURN)
            since = clocks.monotonic()
        subject, n = group.subject, group.messages
        kind = (subject.account, subject.type, subject.kind, subject.carrier)
        if kind not in kinds:
            kinds[kind] = (_of_kind(now, subject), _of_kind(planned, subject))
        pools, ways = [], []
        for which, table in enumerate(kinds[kind]):
            pool = table.pool_for(subject)
            if (which, pool) not in spread:
                spread[which, pool] = shares(pool, table, channels)
            way = spread[which, pool]
            pools.append(pool)
            ways.append(way)
            for name, share in way.items():
                slots[which][name, group.slot] += share * group.parts
                if which:
                    loads[name].messages_after += share * n
                else:
                    loads[name].messages_before += share * n
        trial.messages += n
        changed = pools[0] != pools[1] or ways[0] != ways[1]
        sums = (accounts.setdefault(subject.account, Sum(subject.account)),
                carriers.setdefault(subject.carrier, Sum(subject.carrier)))  # fmt: skip
        for one in sums:
            one.messages += n
            one.changed += n * changed
            one.lost_before += n * (not ways[0])
            one.lost_after += n * (not ways[1])
        trial.changed += n * changed
        trial.lost_before += n * (not ways[0])
        trial.lost_after += n * (not ways[1])
        if pools[0] != pools[1]:
            moves[subject.carrier, pools[0], pools[1]] += n
        if not ways[1]:
            lost[subject.account, subject.carrier, pools[1]] += n
    for (name, _), parts in slots[0].items():
        loads[name].busiest_before = max(loads[name].busiest_before, parts / seen.slot)
    for (name, _), parts in slots[1].items():
        loads[name].busiest_after = max(loads[name].busiest_after, parts / seen.slot)
    trial.channels = sorted(loads.values(), key=lambda one: one.name)
    trial.carriers = [one for one in carriers.values() if one.messages]
    ranked = sorted(accounts.values(), key=lambda one: (-one.changed, -one.messages, one.name))
    trial.accounts = ranked[:MOST_SHOWN]
    trial.moves = [(*key, n) for key, n in moves.most_common(MOST_SHOWN)]
    trial.lost = [(*key, n) for key, n in lost.most_common(MOST_SHOWN)]
    return trial
