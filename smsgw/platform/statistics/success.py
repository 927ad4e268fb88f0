"""How much the channels deliver (通道发送成功率): of all that has ended, and without what the rules leave out.

Counted on the day of acceptance, over messages that have ended at a channel: delivered ÷ (delivered + failed +
unknown), and the same without what is left out (``platform/exclusions``), of each day by the rules of that day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from smsgw.core.actor import Actor
from smsgw.core.exclusions import CATEGORIES
from smsgw.platform.messages.records import RESULTS
from smsgw.platform.paging import Order, Slice, Window, clauses, slice_of
from smsgw.store.engine.database import Database, Row

GROUPS = ("channel", "carrier", "day")
"""By channel; by channel and carrier; by channel and day."""


def _of(result: str) -> str:
    return ", ".join(f"'{one}'" for one in sorted(RESULTS[result]))


_STATUSES = ", ".join(_of(result) for result in ("delivered", "failed", "unknown"))
_FOUND = """
x.day >= $1 AND x.day <= $2 AND x.channel_id > 0 AND ($3::bigint[] IS NULL OR x.account_id = ANY($3))
AND ($4::bigint IS NULL OR x.account_id = $4) AND ($5::int IS NULL OR x.channel_id = $5)
AND ($6::text IS NULL OR x.carrier = $6)
"""
_R = f"""
WITH s AS (
    SELECT {{day}} AS day, {{channel}} AS channel_id, {{carrier}} AS carrier, sum(x.messages) AS ended,
           COALESCE(sum(x.messages) FILTER (WHERE x.status IN ({_of("delivered")})), 0) AS delivered,
           COALESCE(sum(x.messages) FILTER (WHERE x.status IN ({_of("failed")})), 0) AS failed
    FROM stat_day x WHERE {_FOUND} AND x.status IN ({_STATUSES}) GROUP BY 1, 2, 3
), o AS (
    SELECT day, channel_id, carrier, sum(n) AS left_out, json_object_agg(category, n) AS left_out_as
    FROM (SELECT {{day}} AS day, {{channel}} AS channel_id, {{carrier}} AS carrier, x.category, sum(x.messages) AS n
          FROM left_out_day x WHERE {_FOUND} GROUP BY 1, 2, 3, 4) c
    GROUP BY 1, 2, 3
), r AS (
    SELECT s.*, LEAST(COALESCE(o.left_out, 0), s.failed) AS left_out, COALESCE(o.left_out_as, '{{{{}}}}')::text AS as_,
           COALESCE((SELECT name FROM channel WHERE id = s.channel_id), s.channel_id::text) AS name,
           exclusions_on(s.day) AS version,
           EXISTS (SELECT FROM channel WHERE id = s.channel_id AND removed_at IS NULL) AS there,
           hashtextextended(concat_ws(' ', s.day, s.channel_id, s.carrier), 0) & 9223372036854775807 AS id
    FROM s LEFT JOIN o ON o.channel_id = s.channel_id AND o.carrier = s.carrier AND o.day IS NOT DISTINCT FROM s.day
    WHERE s.ended > 0
)
"""  # noqa: S608 - constants
_COUNT = "SELECT count(*) FROM r"
_DAYS = "SELECT * FROM r ORDER BY r.day LIMIT 1000"
_RATE = "(10000 * r.delivered / NULLIF(r.ended - r.left_out, 0))"
ORDERS = {
    "day": Order("to_char(r.day, 'YYYYMMDD')", "text"), "ended": Order("r.ended", "bigint"),
    "left_out": Order("r.left_out", "bigint"), "counted_rate": Order(f"COALESCE({_RATE}, 10001)", "bigint"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class WantedSuccess:
    """What is counted; None: anything."""

    first: date
    last: date
    """A day that is in it."""
    group: str = GROUPS[0]
    account: int | None = None
    channel: int | None = None
    carrier: str | None = None


@dataclass(frozen=True, slots=True)
class Success:
    """Messages that have ended at a channel, or at all of them."""

    ended: int
    delivered: int
    failed: int
    left_out: int
    left_out_as: Mapping[str, int]
    """By category."""
    channel_id: int = 0
    name: str = ""
    carrier: str = ""
    day: date | None = None
    version: int | None = None
    """Of the rules, of a day."""
    there: bool = False
    """The channel is still one."""
    id: int = 0

    @property
    def unknown(self) -> int:
        """Nobody has said what became of them: they count as not delivered."""
        return self.ended - self.delivered - self.failed

    @property
    def raw_rate(self) -> float | None:
        """Percent of all that has ended."""
        return 100 * self.delivered / self.ended if self.ended else None

    @property
    def counted_rate(self) -> float | None:
        """Percent of what counts; None: nothing does."""
        counts = self.ended - self.left_out
        return 100 * self.delivered / counts if counts else None


def _asked(actor: Actor, wanted: WantedSuccess) -> list[object]:
    scope = actor.scope.whole
    whose = None if scope is None else list(scope)
    return [wanted.first, wanted.last, whose, wanted.account, wanted.channel, wanted.carrier]


def _statement(group: str, *, whole: bool = False) -> str:
    by_day, by_carrier = group == "day", group == "carrier"
    return _R.format(
        day="x.day" if by_day else "NULL::date" if not whole else "x.day",
        channel="0" if whole else "x.channel_id",
        carrier="x.carrier" if by_carrier and not whole else "''",
    )


def _success(row: Row) -> Success:
    said = json.loads(row["as_"])
    return Success(
        int(row["ended"]), int(row["delivered"]), int(row["failed"]), int(row["left_out"]),
        {key: int(said[key]) for key in CATEGORIES if key in said}, row["channel_id"], row["name"], row["carrier"],
        row["day"], row["version"], row["there"], row["id"],
    )  # fmt: skip


async def search(database: Database, actor: Actor, wanted: WantedSuccess, window: Window) -> Slice[Success]:
    """A row a group, a window of them."""
    arguments = _asked(actor, wanted)
    c = clauses(ORDERS, window, id_="r.id", first=len(arguments) + 1)
    page = f"SELECT r.*, {c.key} AS _key FROM r WHERE {c.where} ORDER BY {c.order}"  # noqa: S608 - constants
    rows = await database.fetch(_statement(wanted.group) + page, *arguments, *c.arguments, timeout=30)
    got = slice_of(rows, window, c.limit)
    return Slice([_success(row) for row in got.rows], got.keys, got.more)


async def how_many(database: Database, actor: Actor, wanted: WantedSuccess) -> int:
    """How many groups there are."""
    statement = _statement(wanted.group) + _COUNT
    number: int = await database.fetchval(statement, *_asked(actor, wanted), timeout=30)
    return number


async def days(database: Database, actor: Actor, wanted: WantedSuccess) -> Sequence[Success]:
    """All channels together, a row a day, the oldest first."""
    statement = _statement("day", whole=True) + _DAYS
    return [_success(row) for row in await database.fetch(statement, *_asked(actor, wanted), timeout=30)]


async def totals(database: Database, actor: Actor, wanted: WantedSuccess) -> Success:
    """What all of it comes to."""
    return sum_of(await days(database, actor, wanted))


def sum_of(each: Sequence[Success]) -> Success:
    """Of days, or channels."""
    left_out_as = {key: n for key in CATEGORIES if (n := sum(one.left_out_as.get(key, 0) for one in each))}
    ended, delivered, failed, left_out = (
        sum(getattr(one, key) for one in each) for key in ("ended", "delivered", "failed", "left_out")
    )
    return Success(ended, delivered, failed, left_out, left_out_as)
