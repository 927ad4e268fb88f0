"""The statements that read material of accounts (None: of all)."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.platform.materials.model import Material, Wanted
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Connection, Database, Row

_FROM = """
FROM material m JOIN account a ON a.id = m.account_id
WHERE ($1::bigint[] IS NULL OR m.account_id = ANY($1)) AND ($2::bigint IS NULL OR m.id = $2)
  AND ($3 = '' OR strpos(m.title, $3) > 0) AND ($4 = '' OR m.kind = $4) AND ($5 = '' OR m.state = $5)
  AND ($6 = '' OR $6 = ANY(m.tags)) AND ($7::bigint IS NULL OR m.account_id = $7)
"""
_ORDERS = {"added_at": Order("m.id", "bigint"), "taken": Order("m.taken", "int"), "size": Order("m.size", "bigint")}
_SEARCH = f"""
SELECT {{key}} AS _key, m.id, m.account_id, COALESCE(NULLIF(a.display_name, ''), a.name) AS account, m.kind, m.title,
       m.tags, m.file_id, m.media_type, m.size, m.width, m.height, m.millis, m.thumbnail IS NOT NULL, m.state, m.answer,
       m.taken, m.added_by, m.added_at, m.decided_by, m.decided_at
{_FROM} AND {{where}} ORDER BY {{order}}
"""
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FROM} LIMIT $8) f"  # noqa: S608


def _asked(accounts: Sequence[int] | None, wanted: Wanted, id_: int | None = None) -> tuple[object, ...]:
    whose = None if accounts is None else list(accounts)
    return whose, id_, wanted.title, wanted.kind, wanted.state, wanted.tag, wanted.account_id


def _material(row: Row) -> Material:
    values = list(row.values())[1:]
    values[5] = tuple(values[5])
    return Material(*values)


async def search(
    database: Database | Connection, wanted: Wanted, window: Window, *, accounts: Sequence[int] | None,
    id_: int | None = None,
) -> Slice[Material]:  # fmt: skip
    """What these accounts have."""
    return await read(database, _SEARCH, _asked(accounts, wanted, id_), _ORDERS, window, _material, id_="m.id")


async def how_many(database: Database, wanted: Wanted, most: int, *, accounts: Sequence[int] | None) -> int:
    """How many there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY, *_asked(accounts, wanted), most + 1)
    return count


async def one(database: Database | Connection, id_: int, *, accounts: Sequence[int] | None) -> Material | None:
    """One of them."""
    found = await search(database, Wanted(), Window("added_at", limit=1), accounts=accounts, id_=id_)
    return found.rows[0] if found.rows else None


_THUMBNAIL = "SELECT thumbnail FROM material WHERE id = $2 AND ($1::bigint[] IS NULL OR account_id = ANY($1))"


async def thumbnail(database: Database, id_: int, *, accounts: Sequence[int] | None) -> bytes | None:
    """The small picture of one, as WebP."""
    found: bytes | None = await database.fetchval(_THUMBNAIL, None if accounts is None else list(accounts), id_)
    return found
