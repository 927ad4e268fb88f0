"""Changes of the list of words; every node follows within seconds."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.errors import Invalid, Refused
from smsgw.core.keywords import MAX_LENGTH, MAX_WORDS, Action, Plain, Word
from smsgw.core.permissions import Permission
from smsgw.core.policy import check_type
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.store.engine.database import Connection

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('content', 0))"
_COUNT = "SELECT count(*) FROM word"
_KNOWN = "SELECT word FROM word WHERE account_id = $1 AND type = $2 AND word = ANY($3::text[])"
_PUT = """
INSERT INTO word (account_id, type, word, category, action, replacement)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
ON CONFLICT (account_id, type, word)
DO UPDATE SET category = excluded.category, action = excluded.action, replacement = excluded.replacement, at = now()
"""
_REMOVE = """
DELETE FROM word WHERE ($1 = '' OR word = $1) AND ($2 = '' OR category = $2)
  AND ($3::bigint IS NULL OR account_id = $3) AND ($4::text IS NULL OR type = $4) RETURNING word
"""
_TREATED = """
SELECT action, replacement, count(*) AS n FROM word WHERE category = $1 GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 20
"""
_TREAT = "UPDATE word SET action = $2, replacement = $3, at = now() WHERE category = $1"


def check(word: Word, plain: Plain) -> None:
    """``PARAM_INVALID`` for a word that cannot be on the list."""
    check_type(word.type)
    if len(word.word) > MAX_LENGTH or not plain.of(word.word):
        reason = phrase("word.text", word=word.word[:20], most=MAX_LENGTH)
        raise Invalid("PARAM_INVALID", field="word", reason=reason)
    if len(word.category) > 20 or len(word.replacement) > MAX_LENGTH:
        raise Invalid("PARAM_INVALID", field="category", reason=phrase("word.category"))


async def lock(connection: Connection, account_id: int, type_: str, words: Sequence[str]) -> tuple[int, set[str]]:
    """Nobody else changes the list until the transaction ends; how many words there are, and which of these are among
    them for exactly that account and type."""
    await connection.execute(_LOCK)
    known = await connection.fetch(_KNOWN, account_id, type_, list(words))
    return await connection.fetchval(_COUNT), {row["word"] for row in known}


async def store(connection: Connection, words: Sequence[Word]) -> None:
    """Write words that were checked, each once, under ``lock``."""
    rows = sorted(words, key=lambda w: (w.account_id, w.type, w.word))
    await connection.execute(
        _PUT, [w.account_id for w in rows], [w.type for w in rows], [w.word for w in rows],
        [w.category for w in rows], [w.action.value for w in rows], [w.replacement for w in rows],
    )  # fmt: skip


async def put(change: Change, words: Sequence[Word]) -> int:
    """Add words, or change those that are there; how many. At most ``MAX_WORDS`` in all. ``PARAM_INVALID``."""
    plain = Plain()
    for word in words:
        check(word, plain)
    rows = list({(w.account_id, w.type, w.word): w for w in words}.values())
    async with change.unit(Permission.WORD_EDIT, timeout=60) as unit:
        for account_id in {w.account_id for w in rows}:
            unit.actor.require(Permission.WORD_EDIT, account_id)
        await unit.connection.execute(_LOCK)
        await store(unit.connection, rows)
        if await unit.connection.fetchval(_COUNT) > MAX_WORDS:
            raise Invalid("PARAM_INVALID", field="word", reason=phrase("word.full", most=MAX_WORDS))
        unit.record("word.put", "words", after={"n": len(rows), "words": [w.word for w in rows[:20]]})
    return len(rows)


_ONE = "SELECT word, category, action, replacement, account_id, type FROM word WHERE id = $1 FOR UPDATE"
_EDIT = "UPDATE word SET word = $2, category = $3, action = $4, replacement = $5, at = now() WHERE id = $1"


async def edit(change: Change, id_: int, text: str, category: str, action: Action, replacement: str) -> None:
    """Change one word where it stands: its text and what is done with it, not whose texts it holds for. ``NOT_FOUND``;
    ``PARAM_INVALID`` for what cannot be on the list, or is there already."""
    async with change.unit(Permission.WORD_EDIT) as unit:
        await unit.connection.execute(_LOCK)
        row = await unit.connection.fetchrow(_ONE, id_)
        if row is None:
            raise Refused("NOT_FOUND")
        unit.actor.require(Permission.WORD_EDIT, row["account_id"])
        word = Word(text, category, action, replacement, row["account_id"], row["type"])
        check(word, Plain())
        if text != row["word"] and await unit.connection.fetch(_KNOWN, word.account_id, word.type, [text]):
            raise Invalid("PARAM_INVALID", field="word", reason=phrase("word.known"))
        await unit.connection.execute(_EDIT, id_, text, category, action.value, replacement)
        after = {"word": text, "category": category, "action": action.value, "replacement": replacement}
        unit.record("word.set", f"words/{id_}", before={key: row[key] for key in after}, after=after)


async def remove(
    change: Change, *, word: str = "", category: str = "", account_id: int | None = None, type_: str | None = None
) -> int:
    """Take a word, or a category, off the list (``account_id``, ``type_`` None: wherever it stands); how many went."""
    if not word and not category:
        raise Invalid("PARAM_MISSING", field="word")
    async with change.unit(Permission.WORD_EDIT, account_id or EVERYBODY) as unit:
        gone = await unit.connection.fetch(_REMOVE, word, category, account_id, type_)
        if gone:
            before = {"n": len(gone), "words": [r["word"] for r in gone[:20]]}
            unit.record("word.remove", "words", before=before)
        else:
            unit.unchanged()
    return len(gone)


async def treat(change: Change, category: str, action: Action, replacement: str) -> int:
    """All words of a category, of all accounts, are treated so from now on; how many there are."""
    async with change.unit(Permission.WORD_EDIT, EVERYBODY) as unit:
        treated = await unit.connection.fetch(_TREATED, category)
        before = {"words": [[row["action"], row["replacement"], row["n"]] for row in treated]}
        tag = await unit.connection.execute(_TREAT, category, action.value, replacement)
        after = {"action": action.value, "replacement": replacement}
        unit.record("word.category", f"words/{category}", before=before, after=after)
    return int(tag.rpartition(" ")[2])
