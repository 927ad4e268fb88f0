"""The statements that read API keys; ``accounts`` None means those of all accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smsgw.core.actor import Actor
from smsgw.platform.keys.model import ListedKey, WantedKeys
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Database, Row

_LIST = """
SELECT k.key_id, a.name AS account, k.scopes, k.test, k.ip_allow, k.requests_per_second, k.status, k.expires_at,
       k.created_at, k.rotated_at, cardinality(k.secrets_sealed) AS secrets, k.last_used_at, host(k.last_used_ip) AS
       last_used_ip
FROM api_key k JOIN account a ON a.id = k.account_id
WHERE ($1::bigint[] IS NULL OR k.account_id = ANY($1)) ORDER BY a.name, k.created_at
"""


async def keys(database: Database, *, accounts: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """The keys of the accounts (None: all), without anything secret."""
    rows = await database.fetch(_LIST, None if accounts is None else list(accounts))
    return [dict(row) | {"ip_allow": [str(n) for n in row["ip_allow"]]} for row in rows]


_COLUMNS = """
k.id, k.key_id, k.account_id, a.name AS account, CASE WHEN k.test THEN 'test' ELSE 'live' END AS mode, k.scopes,
k.ip_allow AS networks, k.requests_per_second, k.status, k.expires_at, k.created_at, k.rotated_at,
cardinality(k.secrets_sealed) > 1 AS rotating, k.last_used_at, host(k.last_used_ip) AS last_used_ip
"""
_FROM = "FROM api_key k JOIN account a ON a.id = k.account_id"
_SEEN = "($1::bigint[] IS NULL OR k.account_id = ANY($1))"
_MATCHES = f"""
{_SEEN} AND ($2::bigint IS NULL OR k.account_id = $2) AND ($3 = '' OR k.status = $3)
AND ($4 = '' OR k.test = ($4 = 'test')) AND ($5 = '' OR strpos(k.key_id, $5) > 0)
"""
_ORDERS = {"created_at": Order("k.created_at", "timestamptz")}
_SEARCH = f"SELECT {_COLUMNS}, {{key}} AS _key {_FROM} WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}"
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FROM} WHERE {_MATCHES} LIMIT $6) f"  # noqa: S608
_ONE = f"SELECT {_COLUMNS} {_FROM} WHERE {_SEEN} AND k.id = $2"
_ACTOR = """
SELECT scopes FROM api_key
WHERE key_id = $1 AND account_id = $2 AND status = 'active' AND (expires_at IS NULL OR expires_at > now())
"""
_ID = "SELECT id FROM api_key WHERE key_id = $1"


def _listed(row: Row) -> ListedKey:
    values = {key: value for key, value in row.items() if key != "_key"}
    networks = tuple(str(one) for one in values["networks"])
    return ListedKey(**values | {"scopes": tuple(values["scopes"]), "networks": networks})


def _asked(accounts: Sequence[int] | None, wanted: WantedKeys) -> tuple[object, ...]:
    seen = None if accounts is None else list(accounts)
    return seen, wanted.account_id, wanted.status, wanted.mode, wanted.key_id


async def search(
    database: Database, wanted: WantedKeys, window: Window, *, accounts: Sequence[int] | None
) -> Slice[ListedKey]:
    """Keys of these accounts (None: all)."""
    return await read(database, _SEARCH, _asked(accounts, wanted), _ORDERS, window, _listed, id_="k.id")


async def how_many(
    database: Database, wanted: WantedKeys, most: int, *, accounts: Sequence[int] | None
) -> int:
    """How many ``search`` finds, counted up to one more than ``most``."""
    number: int = await database.fetchval(_HOW_MANY, *_asked(accounts, wanted), most + 1)
    return number


async def one(database: Database, id_: int, *, accounts: Sequence[int] | None) -> ListedKey | None:
    """A key by its id."""
    row = await database.fetchrow(_ONE, None if accounts is None else list(accounts), id_)
    return None if row is None else _listed(row)


async def id_of(database: Database, key_id: str) -> int | None:
    """The id of a key."""
    found: int | None = await database.fetchval(_ID, key_id)
    return found


async def actor(database: Database, key_id: str, account_id: int) -> Actor | None:
    """A key of the account as the one who acts, with its scopes of now; None: it is none that is good."""
    scopes = await database.fetchval(_ACTOR, key_id, account_id)
    return None if scopes is None else Actor.key(key_id, account_id, scopes)
