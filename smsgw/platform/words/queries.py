"""The statement that reads words; ``accounts`` (None: all) is whose may be seen, besides those that count for all."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.keywords import Action, Plain, Word, WordFilter
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.platform.words.model import ListedWord, WantedWords
from smsgw.store.config import traditional
from smsgw.store.engine.database import Database

_LIST = """
SELECT w.id, w.account_id, w.type, w.word, w.category, w.action, w.replacement, w.at, a.name AS account
FROM word w LEFT JOIN account a ON a.id = w.account_id
WHERE ($1 = '' OR w.category = $1) AND ($2 = '' OR w.word LIKE '%' || $2 || '%')
  AND ($3::bigint[] IS NULL OR w.account_id = 0 OR w.account_id = ANY($3))
ORDER BY w.category, w.word LIMIT $4
"""


async def page(
    database: Database, *, accounts: Sequence[int] | None, category: str = "", like: str = "", limit: int = 1000
) -> list[ListedWord]:
    """Words by category."""
    seen = None if accounts is None else list(accounts)
    return [ListedWord(*row.values()) for row in await database.fetch(_LIST, category, like, seen, limit)]


_ORDERS = {"at": Order("w.at", "timestamptz"), "word": Order('w.word COLLATE "C"', "text")}
_SEEN = "($1::bigint[] IS NULL OR w.account_id = 0 OR w.account_id = ANY($1))"
_COLUMNS = "w.id, w.account_id, w.type, w.word, w.category, w.action, w.replacement, w.at, a.name AS account"
_FROM = "FROM word w LEFT JOIN account a ON a.id = w.account_id"
_MATCHES = f"""
{_SEEN} AND ($2 = '' OR strpos(w.word, $2) > 0) AND ($3 = '' OR w.category = $3) AND ($4 = '' OR w.action = $4)
AND ($5::bigint IS NULL OR w.account_id = $5) AND ($6 = '' OR w.type = $6)
"""
_SEARCH = f"SELECT {_COLUMNS}, {{key}} AS _key {_FROM} WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}"
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FROM} WHERE {_MATCHES} LIMIT $7) f"  # noqa: S608
_ONE = f"SELECT {_COLUMNS} {_FROM} WHERE {_SEEN} AND w.id = $2"
_KNOWN = "SELECT count(*) FROM word WHERE account_id = $1 AND type = $2 AND word = ANY($3::text[])"


def _asked(accounts: Sequence[int] | None, wanted: WantedWords) -> tuple[object, ...]:
    seen = None if accounts is None else list(accounts)
    return seen, wanted.word, wanted.category, wanted.action, wanted.account_id, wanted.type


async def search(
    database: Database, wanted: WantedWords, window: Window, *, accounts: Sequence[int] | None
) -> Slice[ListedWord]:
    """Words, the newest first or by themselves."""
    asked = _asked(accounts, wanted)
    return await read(database, _SEARCH, asked, _ORDERS, window, lambda row: ListedWord(*row[:-1]), id_="w.id")


async def how_many(database: Database, wanted: WantedWords, most: int, *, accounts: Sequence[int] | None) -> int:
    """How many ``search`` finds, counted up to one more than ``most``."""
    number: int = await database.fetchval(_HOW_MANY, *_asked(accounts, wanted), most + 1)
    return number


async def one(database: Database, id_: int, *, accounts: Sequence[int] | None) -> ListedWord | None:
    """A word by its id."""
    row = await database.fetchrow(_ONE, None if accounts is None else list(accounts), id_)
    return None if row is None else ListedWord(*row.values())


async def known(database: Database, words: Sequence[str], account_id: int, type_: str) -> int:
    """How many of these stand on the list for exactly that account and type."""
    number: int = await database.fetchval(_KNOWN, account_id, type_, list(words))
    return number


async def word_filter(database: Database) -> WordFilter:
    """All words, as sending looks for them."""
    listed = await page(database, accounts=None, limit=1_000_000)
    words = [Word(w.word, w.category, Action(w.action), w.replacement, w.account_id, w.type) for w in listed]
    return WordFilter(words, Plain(traditional.load()))
