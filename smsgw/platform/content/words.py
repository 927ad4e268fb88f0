"""The list of words that a text must not have (敏感词), and the list of numbers that are treated apart (白名单)."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.errors import Invalid
from smsgw.core.keywords import MAX_LENGTH, MAX_WORDS, Action, Plain, Word
from smsgw.core.policy import MAX_ALLOWED, Listed, check_type
from smsgw.runtime import clock
from smsgw.store.config.accounts import BUMP
from smsgw.store.engine.database import Database, Row
from smsgw.store.records import audit

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('content', 0))"
_COUNT = "SELECT count(*) FROM word"
_PUT = """
INSERT INTO word (account_id, type, word, category, action, replacement)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
ON CONFLICT (account_id, type, word)
DO UPDATE SET category = excluded.category, action = excluded.action, replacement = excluded.replacement, at = now()
"""
_REMOVE = """
DELETE FROM word WHERE ($1 = '' OR word = $1) AND ($2 = '' OR category = $2)
  AND ($3::bigint IS NULL OR account_id = $3) RETURNING word
"""
_TREAT = "UPDATE word SET action = $2, replacement = $3, at = now() WHERE category = $1"
_LIST = """
SELECT w.*, a.name AS account FROM word w LEFT JOIN account a ON a.id = w.account_id
WHERE ($1 = '' OR w.category = $1) AND ($2 = '' OR w.word LIKE '%' || $2 || '%') ORDER BY w.category, w.word LIMIT $3
"""


def check(words: Sequence[Word]) -> None:
    """``PARAM_INVALID`` for a word that cannot be on the list."""
    plain = Plain()
    for word in words:
        check_type(word.type)
        if not plain.of(word.word) or len(word.word) > MAX_LENGTH:
            reason = f"“{word.word[:20]}”须为 1 到 {MAX_LENGTH} 个字,且含有文字或数字"
            raise Invalid("PARAM_INVALID", field="word", reason=reason)
        if len(word.category) > 20 or len(word.replacement) > MAX_LENGTH:
            raise Invalid("PARAM_INVALID", field="category", reason="类别最多 20 字,替换文字最多 64 字")


async def put(database: Database, words: Sequence[Word], *, actor: str) -> int:
    """Add words, or change those that are there; how many. At most ``MAX_WORDS`` in all."""
    check(words)
    unique = {(w.account_id, w.type, w.word): w for w in words}
    rows = [unique[key] for key in sorted(unique)]
    async with database.transaction(timeout=60) as connection:
        await connection.execute(_LOCK)
        await connection.execute(
            _PUT,
            [w.account_id for w in rows],
            [w.type for w in rows],
            [w.word for w in rows],
            [w.category for w in rows],
            [w.action.value for w in rows],
            [w.replacement for w in rows],
        )
        if await connection.fetchval(_COUNT) > MAX_WORDS:
            raise Invalid("PARAM_INVALID", field="word", reason=f"敏感词最多 {MAX_WORDS} 个")
        shown = [w.word for w in rows[:20]]
        await audit.append(
            connection, actor=actor, action="word.put", object="words", after={"n": len(rows), "words": shown}
        )
        await connection.execute(BUMP)
    return len(rows)


async def remove(
    database: Database, *, word: str = "", category: str = "", account_id: int | None = None, actor: str
) -> int:
    """Take a word, or a category, off the list (``account_id`` None: wherever it stands); how many went."""
    if not word and not category:
        raise Invalid("PARAM_MISSING", field="word")
    async with database.transaction() as connection:
        gone = await connection.fetch(_REMOVE, word, category, account_id)
        if gone:
            await audit.append(
                connection, actor=actor, action="word.remove", object="words",
                before={"n": len(gone), "words": [r["word"] for r in gone[:20]]},
            )  # fmt: skip
            await connection.execute(BUMP)
    return len(gone)


async def treat(database: Database, category: str, action: Action, replacement: str, *, actor: str) -> int:
    """All words of a category are treated so from now on; how many there are."""
    async with database.transaction() as connection:
        tag = await connection.execute(_TREAT, category, action.value, replacement)
        await audit.append(
            connection, actor=actor, action="word.category", object=f"words/{category}",
            after={"action": action.value, "replacement": replacement},
        )  # fmt: skip
        await connection.execute(BUMP)
    return int(tag.rpartition(" ")[2])


async def list_(database: Database, *, category: str = "", like: str = "", limit: int = 1000) -> list[Row]:
    """Words by category."""
    return await database.fetch(_LIST, category, like, limit)


# --- allow list -------------------------------------------------------------------------------------------------

_ALLOW = """
INSERT INTO allow_list (number, account_id, kind, note, actor, at)
SELECT n, $2, $3, $4, $5, $6 FROM unnest($1::text[]) AS n
ON CONFLICT (number, account_id, kind) DO UPDATE SET note = excluded.note, actor = excluded.actor, at = excluded.at
"""
_ALLOWED = "SELECT count(*) FROM allow_list"
_DISALLOW = """
DELETE FROM allow_list WHERE number = ANY($1::text[]) AND account_id = $2 AND kind = $3 RETURNING number
"""
_LIST_ALLOWED = """
SELECT l.*, a.name AS account FROM allow_list l LEFT JOIN account a ON a.id = l.account_id
WHERE ($1 = '' OR l.kind = $1) ORDER BY l.at DESC, l.number LIMIT $2
"""


async def allow(
    database: Database,
    numbers: Sequence[str],
    kind: Listed,
    *,
    account_id: int = 0,
    note: str = "",
    actor: str,
) -> None:
    """Put numbers (E.164 digits) on the allow list. ``only`` needs an account. At most ``MAX_ALLOWED`` in all."""
    if kind is Listed.ONLY and not account_id:
        raise Invalid("PARAM_MISSING", field="account")
    async with database.transaction() as connection:
        await connection.execute(_LOCK)
        await connection.execute(
            _ALLOW, sorted(set(numbers)), account_id, kind.value, note[:200], actor, clock.now()
        )
        if await connection.fetchval(_ALLOWED) > MAX_ALLOWED:
            raise Invalid("PARAM_INVALID", field="number", reason=f"白名单最多 {MAX_ALLOWED} 条")
        await audit.append(
            connection, actor=actor, action="allow.add", object="allow_list",
            after={"numbers": len(numbers), "kind": kind.value, "account": account_id, "note": note},
        )  # fmt: skip
        await connection.execute(BUMP)


async def disallow(
    database: Database, numbers: Sequence[str], kind: Listed, *, account_id: int = 0, actor: str
) -> int:
    """Take numbers off; how many were there."""
    async with database.transaction() as connection:
        gone = await connection.fetch(_DISALLOW, list(numbers), account_id, kind.value)
        if gone:
            await audit.append(
                connection, actor=actor, action="allow.remove", object="allow_list",
                before={"numbers": len(gone), "kind": kind.value, "account": account_id},
            )  # fmt: skip
            await connection.execute(BUMP)
    return len(gone)


async def list_allowed(database: Database, *, kind: str = "", limit: int = 100) -> list[Row]:
    """Entries, the newest first."""
    return await database.fetch(_LIST_ALLOWED, kind, limit)
