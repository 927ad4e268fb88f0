"""Figures that pages show, each beside a count over records by statements of their own."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from smsgw.core import states
from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA, day_range
from smsgw.platform.campaigns import queries as campaigns
from smsgw.platform.messages import queries as messages
from smsgw.platform.paging import Window
from smsgw.platform.statistics import delays, failures, reports
from smsgw.platform.statistics.checks import CHECKS, CheckFilter
from smsgw.platform.statistics.delays import WantedDelays
from smsgw.platform.statistics.failures import WantedFailures
from smsgw.platform.statistics.reports import Figures, Wanted
from smsgw.store.engine.database import Database

ENDS = ("delivered", "failed", "unknown", "unsent")
COUNTED = ("submitted", *ENDS, "pending")
GROUPS = ("", "account", "type", "sign", "channel", "carrier", "province", "origin")
WHO = Actor.system("test")
HOME_DAYS = 10
TASKS = 40
# What a message is, by its parts, the first that holds: on its way, never known, failed, not sent, unreported, arrived.
# One pass over the records, for all that reports group by.
_COUNT = """
SELECT day, account, type, sign, channel, carrier, province, origin, submitter,
       GROUPING(account, type, sign, channel, carrier, province, origin, submitter) AS by, r,
       count(*) AS n, count(*) FILTER (WHERE origin0 IN ('portal', 'task')) AS portal
FROM (
    SELECT ((timestamptz '2024-01-01 00:00:00+00' + (m.id >> 22) * interval '1 ms') AT TIME ZONE 'Asia/Shanghai')::date
               AS day,
           m.account_id::text AS account, m.type, m.sign, m.carrier, m.province, m.origin, m.submitter,
           m.origin AS origin0, COALESCE(p.channel, 0)::text AS channel, COALESCE(p.r, 'pending') AS r
    FROM message m LEFT JOIN (
        SELECT p.id, max(p.channel_id) FILTER (WHERE p.part = 1) AS channel,
               CASE WHEN bool_or(p.state < 40) THEN 'pending' WHEN bool_or(p.state = 44) THEN 'unknown'
                    WHEN bool_or(p.state = 41) THEN 'failed'
                    WHEN bool_or(p.state = 45) THEN CASE WHEN bool_or(p.state = 45 AND p.by_us) THEN 'unsent'
                                                         ELSE 'failed' END
                    WHEN bool_or(p.state IN (42, 46, 47)) THEN 'unsent' WHEN bool_or(p.state = 43) THEN 'unknown'
                    ELSE 'delivered' END AS r
        FROM part p WHERE p.id >= $1 AND p.id < $2 GROUP BY p.id
    ) p ON p.id = m.id
    WHERE m.id >= $1 AND m.id < $2 AND NOT m.test
) m GROUP BY day, r,
    GROUPING SETS ((), (account), (type), (sign), (channel), (carrier), (province), (origin), (submitter))
"""
_GROUPED = ("account", "type", "sign", "channel", "carrier", "province", "origin", "submitter")
_WITH_STATE = """
SELECT count(DISTINCT m.id) FROM message m JOIN part p ON p.id = m.id
WHERE m.id >= $1 AND m.id < $2 AND p.id >= $1 AND p.id < $2 AND p.state = ANY($3::smallint[])
      AND ($4::bool IS NULL OR p.by_us = $4)
"""
_OF_TASK = """
SELECT count(*) FROM task_chunk k JOIN message m ON m.id >= k.base_id AND m.id < k.base_id + k.size
WHERE k.task_id = $1 AND k.run = $2 AND (SELECT bool_and(p.state = 40) FROM part p WHERE p.id = m.id)
"""
_STAGES = {
    "submitted": "bool_or(p.state IN (20, 30, 31, 40, 41, 43, 44) OR p.state = 45 AND NOT p.by_us)",
    "held": "bool_and(p.state IN (1, 2, 10, 11, 42, 46, 47) OR p.state = 45 AND p.by_us) AND"
    " bool_or(p.state IN (1, 2, 10, 11))",
}
_STAGE = """
SELECT count(*) FROM (
    SELECT FROM message m JOIN part p ON p.id = m.id
    WHERE m.id >= $1 AND m.id < $2 AND p.id >= $1 AND p.id < $2 AND NOT m.test GROUP BY m.id HAVING {having}
) m
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One that a page shows, and what the records come to."""

    what: str
    shown: int
    counted: int


@dataclass(frozen=True, slots=True)
class Records:
    """What the records of some days come to."""

    days: dict[tuple[str, date, str], Counter[str]]
    """(group, day, value) -> how many have ended how; ``portal``: of people at the portal."""


async def sampled(database: Database, first: date, last: date, many: int, seed: int) -> list[Figure]:
    """So many figures of all pages that have some, by chance but the same for a seed."""
    records = await counted(database, first, last)
    found: list[Figure] = []
    for wanted in _reports(first, last):
        found += await _compared(database, records, wanted)
    found += await _failures(database, first, last)
    found += await _delays(database, last)
    found += await _home(database, last)
    found += await _tasks(database)
    found += await _accounts(database, first, last)
    return random.Random(seed).sample(found, min(many, len(found)))  # noqa: S311 - no secret


async def counted(database: Database, first: date, last: date) -> Records:
    """The records, day by day, so that no statement takes longer than minutes."""
    days: dict[tuple[str, date, str], Counter[str]] = {}
    for n in range((last - first).days + 1):
        for row in await database.fetch(_COUNT, *day_range(first + timedelta(days=n)), timeout=600):
            bits = f"{row['by']:08b}"
            group = "" if "0" not in bits else _GROUPED[bits.index("0")]
            counts = days.setdefault((group, row["day"], row[group] if group else ""), Counter())
            counts += Counter({row["r"]: row["n"], "submitted": row["n"], "portal": row["portal"]})
            days[group, row["day"], row[group] if group else ""] = counts
    return Records(days)


def _reports(first: date, last: date) -> Iterator[Wanted]:
    """Days, months, and who has sent."""
    for monthly in (False, True):
        for group in GROUPS:
            yield Wanted(first, last, monthly, group)
    for group in ("person", "account", "origin"):
        yield Wanted(first, last, group=group, people=True)


async def _compared(database: Database, records: Records, wanted: Wanted) -> list[Figure]:
    """Each figure of each line, and those of the foot: what an export ends with."""
    lines = {(one.day, one.value): one for one in await _lines(database, wanted)}
    group = "submitter" if wanted.group == "person" else wanted.group
    kind = "people" if wanted.people else "month" if wanted.monthly else "day"
    begins = {
        day: wanted.first if wanted.people else day.replace(day=1) if wanted.monthly else day
        for by, day, _ in records.days
        if by == group and wanted.first <= day <= wanted.last
    }
    keys = lines.keys() | {(begins[day], value) for by, day, value in records.days if by == group and day in begins}
    truth: dict[tuple[date | None, str], Counter[str]] = {key: Counter() for key in keys}
    for (by, day, value), counts in records.days.items():
        if by == group and day in begins:
            truth[begins[day], value] += counts
    names = (*COUNTED, "portal") if wanted.people else ENDS if group == "channel" else COUNTED
    found = [
        Figure(
            f"{kind} {day} {group} {value} {name}",
            getattr(lines[day, value], name) if (day, value) in lines else 0,
            truth[day, value][name],
        )
        for day, value in sorted(keys, key=str)
        for name in names
        if not (group == "channel" and (day, value) not in lines and not any(truth[day, value][e] for e in ENDS))
    ]
    foot = await reports.totals(database, WHO, wanted)
    found += [
        Figure(f"{kind} {group} foot {name}", getattr(foot, name), sum(one[name] for one in truth.values()))
        for name in names
    ]
    return found


async def _lines(database: Database, wanted: Wanted) -> list[Figures]:
    window, found = Window("day", limit=1000), list[Figures]()
    while True:
        got = await reports.search(database, WHO, wanted, window)
        found += got.rows
        if not got.more:
            return found
        window = Window("day", after=got.keys[-1], limit=1000)


def _span(first: date, last: date) -> tuple[datetime, datetime]:
    midnight = datetime.min.time()
    return datetime.combine(first, midnight, CHINA), datetime.combine(last + timedelta(days=1), midnight, CHINA)


_FAILED = """
SELECT reason, value, count(*) AS n FROM (
    SELECT DISTINCT p.id, CASE p.class WHEN '' THEN 'NONE' ELSE p.class END AS reason, {column} AS value
    FROM message m JOIN part p USING (id)
    WHERE m.id >= $1 AND m.id < $2 AND p.id >= $1 AND p.id < $2 AND NOT m.test
          AND (p.state = 41 OR p.state = 45 AND p.by_us IS FALSE)
) f GROUP BY 1, 2
"""
_BESIDE = {"carrier": "m.carrier", "province": "m.province", "channel": "COALESCE(p.channel_id, 0)::text",
           "sign": "m.sign"}  # fmt: skip


async def _failures(database: Database, first: date, last: date) -> list[Figure]:
    """Each field of the heat maps of the last week."""
    found: list[Figure] = []
    begin = max(first, last - timedelta(days=6))
    for group, column in _BESIDE.items():
        wanted = WantedFailures(*_span(begin, last), group=group)
        shown = {(row["reason"], row["value"]): row["failed"] for row in await failures.cells(database, WHO, wanted)}
        low, high = day_range(begin)[0], day_range(last)[1]
        rows = await database.fetch(_FAILED.format(column=column), low, high, timeout=600)
        truth = {(row["reason"], row["value"]): row["n"] for row in rows}
        found += [
            Figure(f"failures {group} {key}", shown.get(key, 0), truth.get(key, 0))
            for key in sorted(shown.keys() | truth.keys())
            if len(shown) < failures.MOST_CELLS or key in shown
        ]
    return found


_TOOK = """
SELECT channel_id::text AS channel, claimed_at - accepted_at AS queue, answered_at - claimed_at AS answer
FROM part p WHERE id >= $1 AND id < $2 AND part = 1 AND claimed_at IS NOT NULL AND channel_id IS NOT NULL
     AND NOT (SELECT test FROM message m WHERE m.id = p.id) ORDER BY id DESC LIMIT 200000
"""


async def _delays(database: Database, last: date) -> list[Figure]:
    """Percentiles of yesterday, in microseconds, beside those of the sorted rows."""
    day = last - timedelta(days=1)
    rows = await database.fetch(_TOOK, *day_range(day), timeout=600)
    found: list[Figure] = []
    for one in await delays.search(database, WHO, WantedDelays(*_span(day, day))):
        for stage in ("queue", "answer"):
            took = sorted(row[stage] for row in rows if row["channel"] == one.value and row[stage] is not None)
            took = [span for span in took if span >= timedelta(0)]
            for share, shown in zip(delays.SHARES, one.stages[stage], strict=True):
                if shown is not None:
                    truth = took[max(-(-len(took) * share // 100), 1) - 1]
                    micro = timedelta(microseconds=1)
                    found.append(Figure(f"delays {day} {one.value} {stage} P{share}", shown // micro, truth // micro))
    return found


async def _home(database: Database, last: date) -> list[Figure]:
    """What the first page would have shown on the evenings of the last days, as far as it counts records."""
    found: list[Figure] = []
    for n in range(HOME_DAYS):
        day = last - timedelta(days=n)
        start = datetime.combine(day, datetime.min.time(), CHINA)
        shown = await messages.tally(database, accounts=None, from_time=start, to_time=start + timedelta(days=1))
        if shown[""] >= messages.TALLIED:
            continue
        for status in states.STATUS_NAMES:
            numbers, by_us = messages.states_of(status)
            truth = await database.fetchval(_WITH_STATE, *day_range(day), list(map(int, numbers)), by_us)
            found.append(Figure(f"home {day} {status}", shown[status], truth))
    return found


async def _tasks(database: Database) -> list[Figure]:
    """What has arrived of the latest run of the newest tasks."""
    return [
        Figure(
            f"task {view.task.id} delivered",
            view.progress.statuses.get("delivered", 0),
            await database.fetchval(_OF_TASK, view.task.id, view.task.run),
        )
        for view in await campaigns.page(database, accounts=None, limit=TASKS)
    ]


async def _accounts(database: Database, first: date, last: date) -> list[Figure]:
    """The account of each day that was checked."""
    since, until = (datetime.combine(day, time(), CHINA) for day in (first, last + timedelta(days=1)))
    got = await CHECKS.search(database, WHO, CheckFilter(since, until, "day"), Window("day", limit=100))
    return [
        Figure(
            f"account {check.day} {stage}",
            getattr(check, stage),
            await database.fetchval(_STAGE.format(having=having), *day_range(check.day), timeout=600),
        )
        for check in got.rows
        if check.day >= first
        for stage, having in _STAGES.items()
    ]
