"""Reports over the figures by day: by day or month, and by what one chooses, in the scope of whoever asks.

Messages are counted on the day they were accepted and by how they have ended, each once. By channel only those count
that have ended there: what was accepted has no channel yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from smsgw.core.actor import Actor
from smsgw.platform.messages.records import RESULTS
from smsgw.platform.paging import Order, Slice, Window, clauses, slice_of
from smsgw.store.engine.database import Database, Row

GROUPS = ("account", "type", "sign", "channel", "carrier", "province", "origin")
_VALUE = {
    "": "''", "account": "s.account_id::text", "type": "s.type", "sign": "s.sign", "channel": "s.channel_id::text",
    "carrier": "s.carrier", "province": "s.province", "origin": "s.origin",
}  # fmt: skip
_NAME = {
    "account": "COALESCE((SELECT name FROM account WHERE id = g.value::bigint), g.value)",
    "channel": "COALESCE((SELECT name FROM channel WHERE id = g.value::int), '')",
}
_PERIOD = {False: "s.day", True: "date_trunc('month', s.day)::date"}


def _of(status: str) -> str:
    """The statuses of a result, as SQL: constant texts."""
    return ", ".join(f"'{one}'" for one in sorted(RESULTS[status]))


_COUNTS = f"""
COALESCE(sum(s.messages) FILTER (WHERE s.status = 'accepted'), 0)::bigint AS submitted,
COALESCE(sum(s.messages) FILTER (WHERE s.status <> 'accepted'), 0)::bigint AS ended,
COALESCE(sum(s.messages) FILTER (WHERE s.status IN ({_of("delivered")})), 0)::bigint AS delivered,
COALESCE(sum(s.messages) FILTER (WHERE s.status IN ({_of("failed")})), 0)::bigint AS failed,
COALESCE(sum(s.messages) FILTER (WHERE s.status IN ({_of("unknown")})), 0)::bigint AS unknown,
COALESCE(sum(s.messages) FILTER (WHERE s.status IN ({_of("unsent")})), 0)::bigint AS unsent
"""
_BACK = f"WHEN s.status IN ({_of('unsent')}) THEN -s.units"
_BILLED = {
    False: f"COALESCE(sum(CASE WHEN s.status = 'accepted' THEN s.units {_BACK} END), 0)",
    True: f"COALESCE(sum(s.units) FILTER (WHERE s.status NOT IN ({_of('unsent')})), 0)",
}
"""Units of what was not given back for never having gone out; by channel of what has ended there."""
_GROUPS = """
WITH g AS (
    SELECT {period} AS day, {value} AS value, {counts}, {billed}::bigint AS billed
    FROM stat_day s
    WHERE s.day >= $1 AND s.day <= $2 AND ($3::bigint[] IS NULL OR s.account_id = ANY($3))
      AND ($4::bigint IS NULL OR s.account_id = $4) AND ($5::text IS NULL OR s.type = $5)
      AND ($6::text IS NULL OR s.sign = $6) AND ($7::int IS NULL OR s.channel_id = $7)
      AND ($8::text IS NULL OR s.carrier = $8) AND ($9::text IS NULL OR s.origin = $9)
      AND {which}
    GROUP BY 1, 2
), r AS (
    SELECT g.*, {name} AS name,
           hashtextextended(to_char(g.day, 'YYYYMMDD') || g.value, 0) & 9223372036854775807 AS id
    FROM g
)
"""
_PAGE = "SELECT r.*, {key} AS _key FROM r WHERE {where} ORDER BY {order}"
_COUNT = "SELECT count(*) FROM r"
_DAYS = "SELECT * FROM r ORDER BY day"
_TOTALS = """
SELECT COALESCE(sum(submitted), 0)::bigint AS submitted, COALESCE(sum(ended), 0)::bigint AS ended,
       COALESCE(sum(delivered), 0)::bigint AS delivered, COALESCE(sum(failed), 0)::bigint AS failed,
       COALESCE(sum(unknown), 0)::bigint AS unknown, COALESCE(sum(unsent), 0)::bigint AS unsent,
       COALESCE(sum(billed), 0)::bigint AS billed
FROM r
"""
_COUNTED = ("submitted", "ended", "delivered", "failed", "unknown", "unsent", "billed")
ORDERS = {
    # the largest group of a period first, as the newest period
    "day": Order("(to_char(r.day, 'YYYYMMDD') || lpad(GREATEST(r.submitted, r.ended)::text, 18, '0'))", "text"),
    **{key: Order(f"r.{key}", "bigint") for key in _COUNTED},
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is counted; None: anything."""

    first: date
    last: date
    """A day that is in it."""
    monthly: bool = False
    group: str = ""
    """One of ``GROUPS``; empty: a row a day, or a month."""
    account: int | None = None
    type: str | None = None
    sign: str | None = None
    channel: int | None = None
    carrier: str | None = None
    origin: str | None = None

    @property
    def by_channel(self) -> bool:
        """Only what has ended at a channel, or without one, is counted."""
        return self.group == "channel" or self.channel is not None


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of a group, or of all; all are messages but ``billed`` (billable parts)."""

    submitted: int
    ended: int
    delivered: int
    failed: int
    unknown: int
    """Taken by a carrier, and whether they have arrived is not known."""
    unsent: int
    """Refused, withdrawn or given up before a carrier has taken them."""
    billed: int
    """Without those never sent; what is given back for failures is not taken off."""
    day: date | None = None
    """Its day, or the first of its month; None: of all."""
    value: str = ""
    """Of what it is grouped by: the id of an account or a channel, or the word itself."""
    name: str = ""
    """The same for people."""
    id: int = 0

    @property
    def pending(self) -> int:
        """On their way."""
        return self.submitted - self.ended

    @property
    def success_rate(self) -> float | None:
        """Percent of those that a carrier has reported about; None: of none."""
        known = self.delivered + self.failed
        return 100 * self.delivered / known if known else None


def _groups(wanted: Wanted, group: str) -> str:
    """The statement's beginning, in constant texts."""
    group = group if group in GROUPS else ""
    return _GROUPS.format(
        period=_PERIOD[wanted.monthly], value=_VALUE[group], counts=_COUNTS, billed=_BILLED[wanted.by_channel],
        name=_NAME.get(group, "g.value"), which="s.status <> 'accepted'" if wanted.by_channel else "true",
    )  # fmt: skip


def _asked(actor: Actor, wanted: Wanted) -> list[object]:
    whole = actor.scope.whole
    return [
        wanted.first, wanted.last, None if whole is None else list(whole), wanted.account, wanted.type, wanted.sign,
        wanted.channel, wanted.carrier, wanted.origin,
    ]  # fmt: skip


def _figures(row: Row) -> Figures:
    counts = {key: row[key] for key in _COUNTED}
    return Figures(**counts, day=row["day"], value=row["value"], name=row["name"], id=row["id"])


async def search(database: Database, actor: Actor, wanted: Wanted, window: Window) -> Slice[Figures]:
    """Groups of the scope, a window of them."""
    arguments = _asked(actor, wanted)
    c = clauses(ORDERS, window, id_="r.id", first=len(arguments) + 1)
    page = _PAGE.format(key=c.key, where=c.where, order=c.order)
    rows = await database.fetch(_groups(wanted, wanted.group) + page, *arguments, *c.arguments, timeout=30)
    got = slice_of(rows, window, c.limit)
    return Slice([_figures(row) for row in got.rows], got.keys, got.more)


async def how_many(database: Database, actor: Actor, wanted: Wanted) -> int:
    """How many groups there are."""
    count: int = await database.fetchval(_groups(wanted, wanted.group) + _COUNT, *_asked(actor, wanted), timeout=30)
    return count


async def totals(database: Database, actor: Actor, wanted: Wanted) -> Figures:
    """What all groups come to."""
    rows = await database.fetch(_groups(wanted, wanted.group) + _TOTALS, *_asked(actor, wanted), timeout=30)
    return Figures(**{key: rows[0][key] for key in _COUNTED})


async def periods(database: Database, actor: Actor, wanted: Wanted) -> Sequence[Figures]:
    """The same whatever it is grouped by: a row a day, or a month, oldest first; those without messages are absent."""
    rows = await database.fetch(_groups(wanted, "") + _DAYS, *_asked(actor, wanted), timeout=30)
    return [_figures(row) for row in rows]
