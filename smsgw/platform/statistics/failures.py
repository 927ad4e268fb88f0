"""Why messages have failed (失败分析): counted over the records, as their filter counts that the figures lead to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smsgw.core.actor import Actor
from smsgw.core.ids import first_id
from smsgw.platform.messages.queries import states_of
from smsgw.platform.messages.records import UNSAID
from smsgw.platform.paging import Order, Slice, Window, as_it_is, clauses, slice_of
from smsgw.store.engine.database import Database, Row
from smsgw.store.engine.states import by_name

GROUPS = ("carrier", "province", "channel", "sign")
MOST_DAYS = 31
MOST_CELLS = 2000
PATIENCE = 30.0
_VALUE = {
    "carrier": "m.carrier", "province": "m.province", "channel": "COALESCE(s.channel_id, 0)::text", "sign": "m.sign",
}  # fmt: skip
_NAME = "COALESCE((SELECT name FROM channel WHERE id = g.value::int), '')"
# Said in a constant beside the rest, so that the index of the few that did not arrive is known to fit.
_FOUND = by_name(f"""
WITH g AS (
    SELECT COALESCE(NULLIF(s.class, ''), '{UNSAID}') AS reason, {{value}} AS value, count(DISTINCT s.id) AS failed
    FROM part s JOIN message m ON m.id = s.id AND m.id >= $1 AND m.id < $2
    WHERE s.id >= $1 AND s.id < $2 AND s.state > :DELIVERED AND s.state = ANY($3::smallint[]) AND NOT s.by_us
      AND NOT m.test AND ($4::bigint[] IS NULL OR m.account_id = ANY($4)) AND ($5::bigint IS NULL OR m.account_id = $5)
      AND ($6::text IS NULL OR COALESCE(NULLIF(m.kind, ''), m.type) = $6) AND ($7::int IS NULL OR s.channel_id = $7)
      AND ($8::text IS NULL OR m.carrier = $8) AND ($9::text IS NULL OR m.submitter = $9)
    GROUP BY 1, 2
), r AS (
    SELECT g.*, {{name}} AS name, hashtextextended(g.reason || ' ' || g.value, 0) & 9223372036854775807 AS id FROM g
)
""")  # noqa: S608 - constants
ORDERS = {"failed": Order("r.failed", "bigint")}


@dataclass(frozen=True, slots=True)
class WantedFailures:
    """What is counted; None: anything."""

    from_time: datetime
    to_time: datetime
    group: str = GROUPS[0]
    """What stands beside the reason; one of ``GROUPS``."""
    account: int | None = None
    type: str | None = None
    channel: int | None = None
    carrier: str | None = None


def _asked(actor: Actor, wanted: WantedFailures) -> list[object]:
    accounts, submitter = actor.scope.narrowed
    return [
        max(first_id(wanted.from_time), 0), max(first_id(wanted.to_time), 0), states_of("failed")[0],
        accounts, wanted.account, wanted.type, wanted.channel, wanted.carrier, submitter,
    ]  # fmt: skip


def _found(wanted: WantedFailures) -> str:
    name = _NAME if wanted.group == "channel" else "g.value"
    return _FOUND.format(value=_VALUE[wanted.group], name=name)


async def search(database: Database, actor: Actor, wanted: WantedFailures, window: Window) -> Slice[Row]:
    """Reason by what is wanted beside it, with the messages of which a part has failed so."""
    arguments = _asked(actor, wanted)
    c = clauses(ORDERS, window, id_="r.id", first=len(arguments) + 1)
    page = f"SELECT r.*, {c.key} AS _key FROM r WHERE {c.where} ORDER BY {c.order}"  # noqa: S608 - constants
    rows = await database.fetch(_found(wanted) + page, *arguments, *c.arguments, timeout=PATIENCE)
    got = slice_of(rows, window, c.limit)
    return Slice([as_it_is(row) for row in got.rows], got.keys, got.more)


async def cells(database: Database, actor: Actor, wanted: WantedFailures) -> list[Row]:
    """The same, all of them, the most frequent first; at most ``MOST_CELLS``."""
    page = f"SELECT r.* FROM r ORDER BY r.failed DESC, r.id LIMIT {MOST_CELLS}"  # noqa: S608 - a constant
    return await database.fetch(_found(wanted) + page, *_asked(actor, wanted), timeout=PATIENCE)
