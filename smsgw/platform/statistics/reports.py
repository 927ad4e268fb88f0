"""Reports over the figures by day: by day or month, and by what one chooses, in the scope of whoever asks.

Messages are counted on the day they were accepted and by how they have ended, each once. By channel only those count
that have ended there: what was accepted has no channel yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from smsgw.core.actor import Actor
from smsgw.core.states import success_percent
from smsgw.platform.messages.records import RESULTS
from smsgw.platform.paging import Order, Slice, Window, clauses, slice_of
from smsgw.store.engine.database import Database, Row

GROUPS = ("account", "type", "sign", "channel", "carrier", "province", "origin")
OF_PEOPLE = ("person", "department")
"""Groups of who has sent; of these account and origin are known, and nothing else."""
_SUMMED = ("type", "sign", "channel", "carrier", "province", "origin")
"""Dimensions of ``stat_sum``."""
# Of a person their own; of a key or a partner that of the account: its own, or that of the nearest above it.
_DEPARTMENTS = """
stat_person s LEFT JOIN staff w ON w.login = s.submitter LEFT JOIN (
    WITH RECURSIVE home(id, department_id) AS (
        SELECT id, department_id FROM account WHERE parent_id IS NULL
        UNION ALL
        SELECT a.id, COALESCE(a.department_id, h.department_id) FROM account a JOIN home h ON a.parent_id = h.id
    ) SELECT * FROM home
) h ON h.id = s.account_id
"""
_VALUE = {
    "": "''", "account": "s.account_id::text", "type": "s.type", "sign": "s.sign", "channel": "s.channel_id::text",
    "carrier": "s.carrier", "province": "s.province", "origin": "s.origin", "person": "s.submitter",
    "department": "COALESCE(w.department_id, h.department_id, 0)::text",
}  # fmt: skip
_NAME = {
    "account": "COALESCE((SELECT name FROM account WHERE id = g.value::bigint), g.value)",
    "channel": "COALESCE((SELECT name FROM channel WHERE id = g.value::int), '')",
    "type": "COALESCE((SELECT label FROM message_kind WHERE name = g.value), g.value)",
    "person": "COALESCE((SELECT NULLIF(name, '') FROM staff WHERE login = g.value), g.value)",
    "department": "COALESCE((SELECT name FROM department WHERE id = g.value::bigint), '')",
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
# Statuses are told apart after the combinations were added up: of a thousand rows, not of a million.
_GROUPS = """
WITH g AS (
    SELECT s.day, s.value, {counts}, {billed}::bigint AS billed, COALESCE(sum(s.portal), 0)::bigint AS portal
    FROM (SELECT {period} AS day, {value} AS value, s.status, sum(s.messages) AS messages, sum(s.units) AS units,
                 {portal} AS portal
          FROM {table} WHERE {found} GROUP BY 1, 2, 3) s
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
       COALESCE(sum(billed), 0)::bigint AS billed, COALESCE(sum(portal), 0)::bigint AS portal
FROM r
"""
_COUNTED = ("submitted", "ended", "delivered", "failed", "unknown", "unsent", "billed", "portal")
_PORTAL = "sum(s.messages) FILTER (WHERE s.status = 'accepted' AND s.origin IN ('portal', 'task'))"
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
    """Months, whole: all that ``first`` and ``last`` and the days between are in."""
    group: str = ""
    """One of ``GROUPS`` or ``OF_PEOPLE``; empty: a row a day, or a month."""
    account: int | None = None
    type: str | None = None
    sign: str | None = None
    channel: int | None = None
    carrier: str | None = None
    province: str | None = None
    origin: str | None = None
    person: str | None = None
    """Who has submitted it; only with ``account`` and ``origin``, as ``department``."""
    department: int | None = None
    people: bool = False
    """Of who has sent, over all the days together: no row a day."""

    @property
    def by_channel(self) -> bool:
        """Only what has ended at a channel, or without one, is counted."""
        return self.group == "channel" or self.channel is not None

    def known(self, actor: Actor) -> bool:
        """Whether the actor's figures of it are counted: of what somebody has submitted, account and origin alone."""
        return actor.scope.submitter is None or not any(
            name == self.group or getattr(self, name) is not None for name in _SUMMED if name != "origin"
        )


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
    portal: int = 0
    """Of the submitted, what people have sent at the portal; only of who has sent."""

    @property
    def api(self) -> int:
        """Of the submitted, what has come by interfaces."""
        return self.submitted - self.portal

    @property
    def pending(self) -> int:
        """On their way."""
        return self.submitted - self.ended

    @property
    def success_rate(self) -> float | None:
        """Percent of those that a carrier has reported about; None: of none."""
        return success_percent(self.delivered, self.failed)


def _groups(actor: Actor, wanted: Wanted, group: str) -> tuple[str, list[object]]:
    """The statement's beginning, in constant texts, and its arguments. One dimension, or none, is read from the sums;
    two at once from all combinations."""
    group = group if group in (*GROUPS, *OF_PEOPLE) else ""
    used = {name for name in _SUMMED if name == group or getattr(wanted, name) is not None}
    accounts, submitter = actor.scope.narrowed
    people = wanted.people or group in OF_PEOPLE or wanted.person is not None or wanted.department is not None
    people = people or submitter is not None
    arguments: list[object] = []

    def put(value: object, text: str) -> str:
        arguments.append(value)
        return text.format(f"${len(arguments)}")

    first = wanted.first.replace(day=1) if wanted.monthly else wanted.first
    last = _month_end(wanted.last) if wanted.monthly else wanted.last
    found = [put(first, "s.day >= {}"), put(last, "s.day <= {}")]
    if accounts is not None:
        found.append(put(accounts, "s.account_id = ANY({}::bigint[])"))
    if submitter is not None:
        found.append(put(submitter, "s.submitter = {}"))
    narrowed = [(name, getattr(wanted, name)) for name in (*_SUMMED, *OF_PEOPLE)]
    if not wanted.known(actor):
        found.append("false")
        group, narrowed = "", []
    if wanted.account is not None:
        found.append(put(wanted.account, "s.account_id = {}::bigint"))
    if wanted.by_channel:
        found.append("s.status <> 'accepted'")
    values, period, table = _VALUE, _PERIOD[wanted.monthly], "stat_day s"
    if people:
        table = _DEPARTMENTS if group == "department" or wanted.department is not None else "stat_person s"
        period = put(first, "{}::date") if wanted.people else period
    elif len(used) <= 1:
        (dimension,) = used or {""}
        table, period, values = "stat_sum s", "s.day", _VALUE | {dimension: "s.value"}
        found.append(put("month" if wanted.monthly else "day", "s.span = {}"))
        found.append(put(dimension, "s.dimension = {}"))
    found += [put(f"{value}", f"{values[name]} = {{}}") for name, value in narrowed if value is not None]
    statement = _GROUPS.format(
        period=period, value=values[group] if group else "''", counts=_COUNTS, billed=_BILLED[wanted.by_channel],
        table=table, portal=_PORTAL if people else "0", name=_NAME.get(group, "g.value"), found=" AND ".join(found),
    )  # fmt: skip
    return statement, arguments


def _month_end(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _figures(row: Row) -> Figures:
    counts = {key: row[key] for key in _COUNTED}
    return Figures(**counts, day=row["day"], value=row["value"], name=row["name"], id=row["id"])


async def search(database: Database, actor: Actor, wanted: Wanted, window: Window) -> Slice[Figures]:
    """Groups of the scope, a window of them."""
    groups, arguments = _groups(actor, wanted, wanted.group)
    c = clauses(ORDERS, window, id_="r.id", first=len(arguments) + 1)
    page = _PAGE.format(key=c.key, where=c.where, order=c.order)
    rows = await database.fetch(groups + page, *arguments, *c.arguments, timeout=30)
    got = slice_of(rows, window, c.limit)
    return Slice([_figures(row) for row in got.rows], got.keys, got.more)


async def how_many(database: Database, actor: Actor, wanted: Wanted) -> int:
    """How many groups there are."""
    groups, arguments = _groups(actor, wanted, wanted.group)
    count: int = await database.fetchval(groups + _COUNT, *arguments, timeout=30)
    return count


async def totals(database: Database, actor: Actor, wanted: Wanted) -> Figures:
    """What all groups come to."""
    groups, arguments = _groups(actor, wanted, wanted.group)
    rows = await database.fetch(groups + _TOTALS, *arguments, timeout=30)
    return Figures(**{key: rows[0][key] for key in _COUNTED})


async def periods(database: Database, actor: Actor, wanted: Wanted) -> Sequence[Figures]:
    """The same whatever it is grouped by: a row a day, or a month, oldest first; those without messages are absent."""
    groups, arguments = _groups(actor, wanted, "")
    rows = await database.fetch(groups + _DAYS, *arguments, timeout=30)
    return [_figures(row) for row in rows]


# --- what customers have acknowledged --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Messages of a period and an interface whose report the customer's system has taken."""

    messages: int = 0
    delivered: int = 0


_ACKNOWLEDGED = """
SELECT {period} AS day, s.origin, sum(s.messages)::bigint AS messages, sum(s.delivered)::bigint AS delivered
FROM acknowledged_day s
WHERE s.day >= $1 AND s.day <= $2 AND ($3::bigint[] IS NULL OR s.account_id = ANY($3))
  AND ($4::bigint IS NULL OR s.account_id = $4) AND ($5::text IS NULL OR s.origin = $5) GROUP BY 1, 2
"""


async def acknowledged(database: Database, actor: Actor, wanted: Wanted) -> dict[tuple[date, str], Acknowledged]:
    """By day, or month, and origin. It knows account and origin, and nothing else of what is wanted; of whose
    submissions are their own alone, nothing."""
    accounts, submitter = actor.scope.narrowed
    if submitter is not None or any(getattr(wanted, name) is not None for name in _SUMMED if name != "origin"):
        return {}
    first = wanted.first.replace(day=1) if wanted.monthly else wanted.first
    last = _month_end(wanted.last) if wanted.monthly else wanted.last
    rows = await database.fetch(
        _ACKNOWLEDGED.format(period=_PERIOD[wanted.monthly]), first, last, accounts, wanted.account, wanted.origin,
        timeout=30,
    )  # fmt: skip
    return {(row["day"], row["origin"]): Acknowledged(row["messages"], row["delivered"]) for row in rows}
