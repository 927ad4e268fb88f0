"""Carriers' codes as people look them up: what each means, whether it counts, and how often it has come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from smsgw.core import report_codes
from smsgw.core.actor import Actor
from smsgw.core.code_book import Source
from smsgw.core.errors import Temporary
from smsgw.core.ids import day_range
from smsgw.core.retry import Fault
from smsgw.platform.exclusions import queries as exclusions
from smsgw.platform.messages.queries import states_of
from smsgw.platform.routing import queries
from smsgw.store.engine.database import Database
from smsgw.store.engine.states import by_name

DAYS = 7
PATIENCE = 5.0
"""Seconds for a day."""
MOST_SEEN = 1000
"""Different codes that are counted, the most frequent first."""

_SEEN = by_name(f"""
SELECT upper(s.code) AS code, count(DISTINCT s.id) AS n, min(s.class) AS class
FROM part s JOIN message m ON m.id = s.id AND m.id >= $1 AND m.id < $5
WHERE s.id >= $1 AND s.id < $5 AND s.state > :DELIVERED AND s.state = ANY($2::smallint[]) AND NOT s.by_us
  AND s.code <> '' AND NOT m.test
  AND ($3::bigint[] IS NULL OR m.account_id = ANY($3)) AND ($4::text IS NULL OR m.submitter = $4)
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {MOST_SEEN}
""")  # noqa: S608 - a number of ours


@dataclass(frozen=True, slots=True)
class Line:
    """What a code means, for all channels or one."""

    code: str
    source: Source
    channel: str
    """Empty: all."""
    cls: str
    fault: Fault
    carrier: str
    """With ``ported``: whose the number is then."""
    own: bool
    """An operator has said so; else it is the built-in table's, or nobody's (``UNKNOWN``)."""
    n: int
    """Failed messages of the last ``DAYS`` days; told with the line for all channels."""
    left_out: str
    """Category by which it does not count against a channel (13.2); empty: it counts."""


Seen = Mapping[str, tuple[int, str]]
"""Code -> messages that have failed with it, and the class that they have got."""


async def seen_on(database: Database, actor: Actor, day: date) -> Seen | None:
    """The codes of a day, as far as the actor sees the messages; None: there are too many to be counted while somebody
    waits."""
    accounts, submitter = actor.scope.narrowed
    low, high = day_range(day)
    try:
        rows = await database.fetch(_SEEN, low, states_of("failed")[0], accounts, submitter, high, timeout=PATIENCE)
    except Temporary:
        return None
    return {row["code"]: (row["n"], row["class"]) for row in rows}


def together(days: Iterable[Seen]) -> Seen:
    """The codes of several days; the class of the first day that has it."""
    found: dict[str, tuple[int, str]] = {}
    for one in days:
        for code, (n, cls) in one.items():
            before, first = found.get(code, (0, cls))
            found[code] = before + n, first
    return found


async def lines(database: Database, seen: Seen, today: date) -> list[Line]:
    """The built-in table, what operators have said, and codes that have come and that nobody knows."""
    (version, *_) = await exclusions.in_force(database, today, today) or (0,)
    rules = await exclusions.EXCLUSIONS.get(database, Actor.system("codes"), version) if version else None
    classes: Mapping[str, str] = rules.classes if rules else {}
    codes: Mapping[str, str] = rules.codes if rules else {}

    def left_out(code: str, cls: str) -> str:
        return codes.get(report_codes.head_of(code), classes.get(cls, ""))

    found: list[Line] = []
    told: set[str] = set()
    for row in await queries.code_classes(database):
        channel, source = row["channel"] or "", Source(row["source"])
        general = not channel and source is Source.REPORT
        if general:
            told.add(row["code"])
        n = seen[row["code"]][0] if general and row["code"] in seen else 0
        found.append(Line(
            row["code"], source, channel, row["class"], Fault(row["fault"]), row["carrier"], own=True, n=n,
            left_out=left_out(row["code"], row["class"]),
        ))  # fmt: skip
    built_in = report_codes.listed()
    for code in (*built_in, *(code for code in seen if code not in built_in)):
        if code in told:
            continue
        n, cls_seen = seen.get(code, (0, ""))
        cls, fault = built_in.get(code, (report_codes.class_of(code), report_codes.fault_of(code, "")))
        if code not in built_in and cls == "UNKNOWN" and cls_seen:
            cls = cls_seen
        found.append(Line(code, Source.REPORT, "", cls, fault, "", own=False, n=n, left_out=left_out(code, cls)))
    return sorted(found, key=lambda one: (-one.n, not one.own, one.code, one.channel))
