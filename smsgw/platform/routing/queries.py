"""The statements that read route tables, retry rules, classes of codes and number overrides."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from smsgw.core.errors import Invalid
from smsgw.core.ids import CHINA, first_id, time_of
from smsgw.core.model import ChannelSpec, MessageType
from smsgw.core.retry import Fault, Rule
from smsgw.core.routes import RouteTable, Subject
from smsgw.pipeline.outcomes.writer import MAX_AGE
from smsgw.platform.channels.queries import channels
from smsgw.platform.listing import EVERYTHING, Listing
from smsgw.platform.paging import Order
from smsgw.platform.routing.model import RouteVersion
from smsgw.runtime import clock
from smsgw.store.config import retry_rules
from smsgw.store.config.routes import load
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.states import by_name

_BEFORE = "SELECT max(version) FROM route_version WHERE version < $1"
_CHANNELS = "SELECT name FROM channel WHERE removed_at IS NULL AND id > 0"
_VERSIONS = """
SELECT r.*, r.version AS id, r.version = (SELECT max(version) FROM route_version) AS newest FROM route_version r
"""
_NEWEST = f"{_VERSIONS} ORDER BY r.version DESC LIMIT 1"
_ONE = f"{_VERSIONS} WHERE r.version = $1"


def _version(row: Row) -> RouteVersion:
    return RouteVersion(
        row["id"], json.loads(row["document"]), row["note"], row["actor"], row["published_at"], row["newest"]
    )


VERSIONS = Listing(
    RouteVersion,
    NoneType,
    "route_version r",
    seen=EVERYTHING,
    orders={"version": Order("r.version", "int")},
    make=_version,
)


async def newest(source: Connection | Database) -> RouteVersion | None:
    """The version in force; None while nothing was published."""
    row = await source.fetchrow(_NEWEST)
    return None if row is None else _version(row)


async def version(database: Database | Connection, number: int) -> RouteVersion:
    """One version. ``NOT_FOUND``."""
    row = await database.fetchrow(_ONE, number)
    if row is None:
        raise Invalid("NOT_FOUND")
    return _version(row)


async def before(source: Database | Connection, number: int) -> int:
    """The version that was in force before one; 0: none was. Numbers have gaps where publishing was given up."""
    return await source.fetchval(_BEFORE, number) or 0


_SIGNS = "SELECT DISTINCT sign FROM sign WHERE account_id = ANY($1)"


async def signs_of(database: Database, account_ids: Sequence[int]) -> frozenset[str]:
    """The signatures of accounts."""
    return frozenset(row["sign"] for row in await database.fetch(_SIGNS, list(account_ids)))


async def channel_names(database: Database | Connection) -> list[str]:
    """Channels that a table may name."""
    return [row["name"] for row in await database.fetch(_CHANNELS)]


async def channel_specs(database: Database) -> Sequence[ChannelSpec]:
    """The channels as routing sees them; without passwords."""
    return [
        ChannelSpec(one.id, one.name, one.protocol, one.host, one.port, one.username, "", rate=one.rate,
                    carriers=one.carriers, desired=one.desired)
        for one in await channels(database)
    ]  # fmt: skip


_QUEUED_IN = by_name("""
SELECT count(*) FROM (
    SELECT FROM unnest($1::text[]) AS name JOIN pool o USING (name), LATERAL (
        SELECT FROM unnest('{0,1,2,3}'::smallint[]) AS lanes(lane), LATERAL (
            SELECT FROM part p WHERE p.pool_id = o.id AND p.lane = lanes.lane AND p.state = :QUEUED AND p.part = 1
                AND p.id >= $2 LIMIT $3
        ) one
    ) waiting LIMIT $3
) counted
""")


async def queued_in(database: Database, pools: Sequence[str]) -> int:
    """Messages that wait in pools of these names, counted up to ``MOST_WAITING`` and one more."""
    if not pools:
        return 0
    oldest = first_id(clock.now() - MAX_AGE)
    number: int = await database.fetchval(_QUEUED_IN, list(pools), oldest, MOST_WAITING + 1, timeout=5)
    return number


async def table(database: Database | Connection) -> RouteTable:
    """The table in force."""
    return await load(database)


_RECENT = """
SELECT a.name, m.type, m.number, m.carrier, m.province, m.sign, m.content, m.kind, m.id
FROM message m JOIN account a ON a.id = m.account_id ORDER BY m.id DESC LIMIT $1
"""


async def recent_subjects(database: Database, limit: int) -> list[Subject]:
    """The last messages, as rules see them."""
    return [
        Subject(
            account=row["name"],
            type=MessageType(row["type"]),
            number=row["number"],
            carrier=row["carrier"],
            province=row["province"],
            sign=row["sign"],
            content=row["content"],
            at=time_of(row["id"]).astimezone(CHINA).time(),
            kind=row["kind"],
        )
        for row in await database.fetch(_RECENT, limit, timeout=60)
    ]


# --- retry rules and classes of codes --------------------------------------------------------------------------------


async def changed_rules(database: Database) -> dict[tuple[Fault, MessageType], Rule]:
    """The cells of the retry table that an operator has set."""
    return await retry_rules.changed_rules(database)


async def code_classes(database: Database) -> list[dict[str, Any]]:
    """What an operator has said of codes, for all channels first: channel, source, code, class, fault, carrier."""
    return await retry_rules.list_codes(database)


# --- number overrides ------------------------------------------------------------------------------------------------

_OVERRIDES = "SELECT * FROM number_override WHERE prefix LIKE $1 || '%' ORDER BY prefix LIMIT $2"


async def overrides(database: Database, prefix: str, *, limit: int = 100) -> list[Row]:
    """Overrides that begin with these digits."""
    return await database.fetch(_OVERRIDES, prefix, limit)


# --- what waits ------------------------------------------------------------------------------------------------------

MOST_WAITING = 20_000
"""Messages of an account that are counted of each sort; of more it is said that there are more."""
# In the order of the index, and the sign keeps the key out: no day is walked, whatever is believed of an account.
_OF_SORT = f"""
(SELECT p.id, '{{sort}}' AS sort FROM part p
 WHERE p.account_id = $1 AND +p.id >= $2 AND {{which}} ORDER BY p.expires_at LIMIT {MOST_WAITING + 1})
"""  # noqa: S608 - constant text
_SORTS = {
    "queued": "p.account_id > 0 AND p.state IN (:QUEUED, :DEFERRED) AND p.part = 1"
    " AND (p.state = :QUEUED OR p.channel_id IS NULL)",
    "retried": "p.account_id > 0 AND p.state = :DEFERRED AND p.channel_id IS NOT NULL",
    "held": "p.state = :HELD AND p.part = 1",
}
_WAITING = by_name(f"""
SELECT w.sort, m.carrier, count(DISTINCT m.id) AS n
FROM ({"UNION ALL".join(_OF_SORT.format(sort=sort, which=which) for sort, which in _SORTS.items())}) w
JOIN message m ON m.id = w.id AND m.id >= $2 GROUP BY w.sort, m.carrier
""")  # noqa: S608 - constant text


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages of an account that no channel has, up to ``MOST_WAITING`` and one more of each sort."""

    queued: Mapping[str, int]
    """By carrier: they wait for any channel of their pool, now or after a pause."""
    retried: int
    """They are tried again by the channel that has tried them."""
    held: int
    """Until somebody lets them go: they look for their way then."""


async def waiting(database: Database, account_id: int) -> Waiting:
    """What of an account waits."""
    rows = await database.fetch(_WAITING, account_id, first_id(clock.now() - MAX_AGE), timeout=30)
    sums = {sort: sum(row["n"] for row in rows if row["sort"] == sort) for sort in _SORTS}
    queued = {row["carrier"]: row["n"] for row in rows if row["sort"] == "queued"}
    return Waiting(queued, sums["retried"], sums["held"])
