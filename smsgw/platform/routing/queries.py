"""The statements that read route tables, retry rules, classes of codes and number overrides."""

from __future__ import annotations

import json
from typing import Any

from smsgw.core.errors import Invalid
from smsgw.core.ids import CHINA, time_of
from smsgw.core.model import MessageType
from smsgw.core.retry import Fault, Rule
from smsgw.core.routes import RouteTable, Subject
from smsgw.platform.routing.model import RouteVersion
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
"""Messages of an account that are counted; of more it is said that there are more."""
_WAITING = by_name(f"""
SELECT m.carrier, count(*) AS n FROM (
    SELECT p.id FROM part p WHERE p.account_id = $1 AND p.account_id > 0 AND p.state IN (:QUEUED, :DEFERRED)
        AND p.part = 1 LIMIT {MOST_WAITING + 1}
) w JOIN message m ON m.id = w.id GROUP BY m.carrier
""")  # noqa: S608 - constant text


async def waiting(database: Database, account_id: int) -> dict[str, int]:
    """Messages of an account that wait for a channel, by carrier, up to ``MOST_WAITING`` and one more in all."""
    return {row["carrier"]: row["n"] for row in await database.fetch(_WAITING, account_id, timeout=30)}
