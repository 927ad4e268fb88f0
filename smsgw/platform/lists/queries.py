"""The statements that read the lists and the complaints; ``accounts`` (None: all) is whose entries may be seen."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.blocklist import OPT_OUT, Scope
from smsgw.core.settings import Settings
from smsgw.platform.lists.model import AllowEntry, BlockEntry, WantedAllowed, WantedBlocks, WantedOptOuts
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages import complaints
from smsgw.store.messages.complaints import Rate

_LIVE = "removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
_ENTRIES = f"""
SELECT b.number, a.name AS account, b.type, b.sign, b.source, b.reason, b.actor, b.since, b.expires_at, b.version,
       b.account_id
FROM block_list b LEFT JOIN account a ON a.id = b.account_id
WHERE {_LIVE} AND ($1::bigint[] IS NULL OR b.account_id = ANY($1))
"""  # noqa: S608 - constants
REASONS_SEARCHED = 100_000
"""Entries, the newest that one may see, whose reasons are looked through: there is no index of parts of them."""
_MATCHES = f"""
($1::bigint[] IS NULL OR b.account_id = ANY($1)) AND ($2::bigint IS NULL OR b.number = $2)
AND ($3 = '' OR b.source = $3) AND ($4::bigint IS NULL OR b.account_id = $4) AND ($5 = '' OR b.type = $5)
AND ($6 = '' OR b.sign = $6) AND ($7 = '' OR strpos(b.reason, $7) > 0 AND b.version > COALESCE(
    (SELECT l.version FROM block_list l WHERE $1::bigint[] IS NULL OR l.account_id = ANY($1)
     ORDER BY l.version DESC OFFSET {REASONS_SEARCHED} LIMIT 1), 0))
"""  # noqa: S608 - a constant
_FIND = f"{_ENTRIES} AND b.number = $2 ORDER BY b.account_id, b.type, b.sign"
_PAGE = f"""
{_ENTRIES} AND ($2::bigint IS NULL OR b.number = $2) AND ($3::text IS NULL OR b.source = $3)
AND ($4::bigint IS NULL OR b.version < $4) ORDER BY b.version DESC LIMIT $5
"""
_COUNT = f"SELECT source, count(*) AS n FROM block_list WHERE {_LIVE} GROUP BY source"  # noqa: S608


def _entry(row: Row) -> BlockEntry:
    number, *rest = row.values()
    return BlockEntry(str(number), *rest)


def _whose(accounts: Sequence[int] | None) -> list[int] | None:
    return None if accounts is None else list(accounts)


async def find(database: Database, number: str, *, accounts: Sequence[int] | None) -> list[BlockEntry]:
    """All entries of a number (E.164 digits) that hold now."""
    return [_entry(row) for row in await database.fetch(_FIND, _whose(accounts), int(number))]


async def page(
    database: Database,
    *,
    accounts: Sequence[int] | None,
    number: str | None = None,
    source: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[BlockEntry]:
    """Entries that hold now and match all that is given, newest first; ``before`` is the last ``version`` seen."""
    value = None if number is None else int(number)
    rows = await database.fetch(_PAGE, _whose(accounts), value, source, before, limit)
    return [_entry(row) for row in rows]


async def count(database: Database) -> dict[str, int]:
    """Source -> entries of all accounts that hold now."""
    rows = await database.fetch(_COUNT, timeout=30)
    return {row["source"]: row["n"] for row in rows}


_BLOCK_ORDERS = {"since": Order("b.version", "bigint")}
_SEARCH = f"""
SELECT b.version AS id, {{key}} AS _key, b.number, a.name AS account, b.type, b.sign, b.source, b.reason, b.actor,
       b.since, b.expires_at, b.version, b.account_id
FROM block_list b LEFT JOIN account a ON a.id = b.account_id
WHERE {_LIVE} AND {_MATCHES} AND {{where}} ORDER BY {{order}}
"""  # noqa: S608 - constants
_HOW_MANY = f"SELECT count(*) FROM (SELECT FROM block_list b WHERE {_LIVE} AND {_MATCHES} LIMIT $8) f"  # noqa: S608
_ONE = f"{_ENTRIES} AND b.version = $2"


def _asked(accounts: Sequence[int] | None, wanted: WantedBlocks) -> tuple[object, ...]:
    number = int(wanted.number) if wanted.number else None
    return (_whose(accounts), number, wanted.source, wanted.account_id, wanted.type, wanted.sign, wanted.reason)


async def search(
    database: Database, wanted: WantedBlocks, window: Window, *, accounts: Sequence[int] | None
) -> Slice[BlockEntry]:
    """Entries that hold now; the order ``since`` is that of their last change."""
    return await read(
        database, _SEARCH, _asked(accounts, wanted), _BLOCK_ORDERS, window,
        lambda row: BlockEntry(str(row["number"]), *row[3:]), id_="b.version", timeout=30,
    )  # fmt: skip


async def how_many(database: Database, wanted: WantedBlocks, most: int, *, accounts: Sequence[int] | None) -> int:
    """Entries that hold now, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY, *_asked(accounts, wanted), most + 1, timeout=30)
    return count


async def one(database: Database | Connection, version: int, *, accounts: Sequence[int] | None) -> BlockEntry | None:
    """The entry of a version, if it holds and has not changed since."""
    rows = await database.fetch(_ONE, _whose(accounts), version)
    return _entry(rows[0]) if rows else None


# Of one account, said so that its own index is of use however many entries others have; a number goes by its key.
_OPT_OUTS = f"""
SELECT b.version AS id, {{{{key}}}} AS _key, b.number, a.name AS account, b.type, b.sign, b.source, b.reason, b.actor,
       b.since, b.expires_at, b.version, b.account_id
FROM block_list b JOIN account a ON a.id = b.account_id
WHERE {_LIVE} AND b.account_id = $1 AND b.account_id <> 0 AND b.source = '{OPT_OUT}'
AND ($2::timestamptz IS NULL OR b.since >= $2) AND ($3::timestamptz IS NULL OR b.since < $3)
{{number}} AND {{{{where}}}} ORDER BY {{{{order}}}}
"""  # noqa: S608 - constants
_OPT_OUTS_OF_ALL = _OPT_OUTS.format(number="")
_OPT_OUTS_OF_ONE = _OPT_OUTS.format(number="AND b.number = $4")


async def opt_outs(database: Database, wanted: WantedOptOuts, window: Window, *, account_id: int) -> Slice[BlockEntry]:
    """An account's own opt-outs that hold now, in the order of their last change; not those that hold for all."""
    asked: tuple[object, ...] = (account_id, wanted.first, wanted.until)
    statement = _OPT_OUTS_OF_ALL
    if wanted.number:
        asked, statement = (*asked, int(wanted.number)), _OPT_OUTS_OF_ONE
    return await read(
        database, statement, asked, _BLOCK_ORDERS, window,
        lambda row: BlockEntry(str(row["number"]), *row[3:]), id_="b.version", timeout=30,
    )  # fmt: skip


_ALLOWED = """
SELECT l.number, l.account_id, l.kind, l.note, l.actor, l.at, a.name AS account, l.id
FROM allow_list l LEFT JOIN account a ON a.id = l.account_id
WHERE ($1 = '' OR l.kind = $1) AND ($2::bigint[] IS NULL OR l.account_id = ANY($2))
ORDER BY l.at DESC, l.number LIMIT $3
"""


async def newest_allowed(
    database: Database | Connection, *, accounts: Sequence[int] | None, kind: str = "", limit: int = 100
) -> list[AllowEntry]:
    """Entries of the allow list, the newest first."""
    rows = await database.fetch(_ALLOWED, kind, _whose(accounts), limit)
    return [AllowEntry(*row.values()) for row in rows]


_ALLOW_ORDERS = {"at": Order("l.at", "timestamptz"), "number": Order("l.number", "text")}
_ALLOW_MATCHES = """
($1::bigint[] IS NULL OR l.account_id = ANY($1)) AND ($2 = '' OR l.number = $2) AND ($3 = '' OR l.kind = $3)
AND ($4::bigint IS NULL OR l.account_id = $4) AND ($5 = '' OR strpos(l.note, $5) > 0)
"""
_ALLOW_SEARCH = f"""
SELECT {{key}} AS _key, l.number, l.account_id, l.kind, l.note, l.actor, l.at, a.name AS account, l.id
FROM allow_list l LEFT JOIN account a ON a.id = l.account_id
WHERE {_ALLOW_MATCHES} AND {{where}} ORDER BY {{order}}
"""  # noqa: S608 - constants
_ALLOW_HOW_MANY = f"SELECT count(*) FROM allow_list l WHERE {_ALLOW_MATCHES}"  # noqa: S608
_ALLOW_ONE = """
SELECT l.number, l.account_id, l.kind, l.note, l.actor, l.at, a.name AS account, l.id
FROM allow_list l LEFT JOIN account a ON a.id = l.account_id
WHERE l.id = $1 AND ($2::bigint[] IS NULL OR l.account_id = ANY($2))
"""


def _asked_allowed(accounts: Sequence[int] | None, wanted: WantedAllowed) -> tuple[object, ...]:
    return _whose(accounts), wanted.number, wanted.kind, wanted.account_id, wanted.note


async def search_allowed(
    database: Database, wanted: WantedAllowed, window: Window, *, accounts: Sequence[int] | None
) -> Slice[AllowEntry]:
    """Entries of the allow list."""
    return await read(
        database, _ALLOW_SEARCH, _asked_allowed(accounts, wanted), _ALLOW_ORDERS, window,
        lambda row: AllowEntry(*row[1:]), id_="l.id",
    )  # fmt: skip


async def how_many_allowed(database: Database, wanted: WantedAllowed, *, accounts: Sequence[int] | None) -> int:
    """How many entries there are; never more than ``MAX_ALLOWED``."""
    count: int = await database.fetchval(_ALLOW_HOW_MANY, *_asked_allowed(accounts, wanted))
    return count


async def one_allowed(database: Database, id_: int, *, accounts: Sequence[int] | None) -> AllowEntry | None:
    """One entry."""
    row = await database.fetchrow(_ALLOW_ONE, id_, _whose(accounts))
    return None if row is None else AllowEntry(*row.values())


async def complaint_rates(database: Database, settings: Settings) -> list[Rate]:
    """Complaints of the last days against what was sent, of every channel and signature that has some."""
    return await complaints.rates(database, settings)


_ALREADY = """
SELECT count(*) FROM block_list
WHERE number = ANY($1::bigint[]) AND account_id = $2 AND type = '' AND sign = ''
  AND removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""


async def already(database: Database, numbers: Sequence[str], account_id: int) -> int:
    """How many of the numbers get nothing at all from an account by a block of its own."""
    found: int = await database.fetchval(_ALREADY, [int(number) for number in numbers], account_id)
    return found


_LISTED = """
SELECT number FROM block_list
WHERE number = ANY($1::bigint[]) AND account_id = $2 AND type = $3 AND sign = $4
  AND removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""
_ALLOWED_ALREADY = "SELECT number FROM allow_list WHERE number = ANY($1::text[]) AND account_id = $2 AND kind = $3"


async def listed(connection: Connection, numbers: Sequence[int], scope: Scope) -> set[int]:
    """Which of the numbers have an entry of exactly this scope that holds."""
    return {row["number"] for row in await connection.fetch(_LISTED, list(numbers), *scope)}


async def allowed_already(connection: Connection, numbers: Sequence[str], account_id: int, kind: str) -> set[str]:
    """Which of the numbers are on the allow list of an account in this way."""
    return {row["number"] for row in await connection.fetch(_ALLOWED_ALREADY, list(numbers), account_id, kind)}
