"""The statement that reads words; ``accounts`` (None: all) is whose may be seen, besides those that count for all."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.keywords import Action, Plain, Word, WordFilter
from smsgw.platform.words.model import ListedWord
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
    database: Database,
    *,
    accounts: Sequence[int] | None,
    category: str = "",
    like: str = "",
    limit: int = 1000,
) -> list[ListedWord]:
    """Words by category."""
    seen = None if accounts is None else list(accounts)
    return [ListedWord(*row.values()) for row in await database.fetch(_LIST, category, like, seen, limit)]


async def word_filter(database: Database) -> WordFilter:
    """All words, as sending looks for them."""
    listed = await page(database, accounts=None, limit=1_000_000)
    words = [Word(w.word, w.category, Action(w.action), w.replacement, w.account_id, w.type) for w in listed]
    return WordFilter(words, Plain(traditional.load()))
