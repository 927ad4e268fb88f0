"""The statements that read route tables, retry rules, classes of codes and number overrides."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smsgw.core.errors import Invalid
from smsgw.core.ids import CHINA, first_id, time_of
from smsgw.core.model import MessageType
from smsgw.core.retry import Fault, Rule
from smsgw.core.routes import RouteTable, Subject
from smsgw.pipeline.outcomes.writer import MAX_AGE
from smsgw.platform.routing.model import RouteVersion
from smsgw.runtime import clock
from smsgw.store.config import retry_rules, routes
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.states import by_name

NEWEST = "SELECT * FROM route_version ORDER BY version DESC LIMIT 1"
_ONE = "SELECT * FROM route_version WHERE version = $1"
_LIST = "SELECT * FROM route_version ORDER BY version DESC LIMIT $1"
_CHANNELS = "SELECT name FROM channel WHERE removed_at IS NULL AND id > 0"


def _version(row: Row) -> RouteVersion:
    return RouteVersion(
        row["version"], json.loads(row["document"]), row["note"], row["actor"], row["published_at"]
    )


async def newest(source: Connection | Database) -> RouteVersion | None:
    """The version in force; None while nothing was published."""
    row = await source.fetchrow(NEWEST)
    return None if row is None else _version(row)


async def version(database: Database | Connection, number: int) -> RouteVersion:
    """One version. ``NOT_FOUND``."""
    row = await database.fetchrow(_ONE, number)
    if row is None:
        raise Invalid("NOT_FOUND")
    return _version(row)


async def versions(database: Database, *, limit: int = 100) -> list[RouteVersion]:
    """Newest first."""
    return [_version(row) for row in await database.fetch(_LIST, limit)]


async def channel_names(database: Database | Connection) -> list[str]:
    """Channels that a table may name."""
    return [row["name"] for row in await database.fetch(_CHANNELS)]


async def table(database: Database | Connection) -> RouteTable:
    """The table in force."""
    return await routes.load(database)


_RECENT = """
SELECT a.name, m.type, m.number, m.carrier, m.province, m.sign, m.content, m.id
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

_FIND = "SELECT * FROM number_override WHERE prefix LIKE $1 || '%' ORDER BY prefix LIMIT $2"


async def overrides(database: Database, prefix: str, *, limit: int = 100) -> list[Row]:
    """Overrides that begin with these digits."""
    return await database.fetch(_FIND, prefix, limit)


# --- what waits ------------------------------------------------------------------------------------------------------

MOST_WAITING = 20_000
"""Messages of an account that are counted of each sort; of more it is said that there are more."""
_OF_SORT = f"""
(SELECT p.id, '{{sort}}' AS sort FROM part p
 WHERE p.account_id = $1 AND p.id >= $2 AND {{which}} LIMIT {MOST_WAITING + 1})
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
