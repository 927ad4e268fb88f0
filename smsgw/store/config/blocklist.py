"""The block list in the database, and how a node follows it.

Writers take turns on an advisory lock until they commit, so an entry with a higher version never becomes visible
before one with a lower version: "everything after the last version I have seen" is a sound question.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.blocklist import OPT_OUT, SOURCES, BlockList, Entry, Scope
from smsgw.core.errors import Invalid
from smsgw.core.model import MessageType
from smsgw.core.numbers import mask
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages import events
from smsgw.store.records import audit

LOCK = 0x626C6F636B  # "block"
PAGE = 20_000
CHUNK = 5000
"""Rows an import writes at a time: nobody waits for the lock for longer than that takes."""
TOMBSTONES_KEPT_DAYS = 7

_TAKE_TURNS = "SELECT pg_advisory_xact_lock($1)"

# By hand an entry is replaced; an opt-out leaves an entry alone that holds already.
_PUT = """
INSERT INTO block_list AS b (number, account_id, type, sign, source, reason, actor, since, expires_at)
SELECT d.*, $8::timestamptz
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $9::timestamptz[])
     AS d(number, account_id, type, sign, source, reason, actor, since)
ON CONFLICT (number, account_id, type, sign) DO UPDATE
SET source = excluded.source, reason = excluded.reason, actor = excluded.actor, since = excluded.since,
    expires_at = excluded.expires_at, removed_at = NULL, version = nextval('block_version')
WHERE $10::boolean OR b.removed_at IS NOT NULL OR b.expires_at <= excluded.since
"""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to be made."""

    number: str
    scope: Scope
    source: str
    reason: str
    actor: str
    since: datetime


async def put(
    connection: Connection,
    entries: Sequence[NewEntry],
    *,
    replace: bool,
    expires_at: datetime | None = None,
) -> int:
    """Add entries inside the caller's transaction; how many were new or changed.

    With ``replace`` entries of the same number and scope are overwritten, else what holds is kept.
    """
    if not entries:
        return 0
    unique = {(e.number, e.scope): e for e in entries}
    ordered = [unique[key] for key in sorted(unique)]
    await connection.execute(_TAKE_TURNS, LOCK)
    done = await connection.execute(
        _PUT,
        [int(e.number) for e in ordered],
        [e.scope.account_id for e in ordered],
        [e.scope.type for e in ordered],
        [e.scope.sign for e in ordered],
        [e.source for e in ordered],
        [e.reason[:500] for e in ordered],
        [e.actor for e in ordered],
        expires_at,
        [e.since for e in ordered],
        replace,
    )
    return int(done.rpartition(" ")[2])


def check_scope(scope: Scope, source: str) -> None:
    """``PARAM_INVALID`` for a type or source that does not exist."""
    if scope.type and scope.type not in [str(t) for t in MessageType]:
        raise Invalid("PARAM_INVALID", field="type", reason=f"可选 {', '.join(MessageType)}")
    if source not in SOURCES:
        raise Invalid("PARAM_INVALID", field="source", reason=f"可选 {', '.join(SOURCES)}")


_OPTED_OUT = """
SELECT number FROM block_list
WHERE number = ANY($1::bigint[]) AND account_id = $2 AND type = $3 AND sign = $4 AND source = 'opt_out'
  AND removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""


async def add(
    database: Database,
    numbers: Sequence[str],
    scope: Scope,
    source: str,
    reason: str,
    *,
    actor: str,
    expires_at: datetime | None = None,
    ids: Callable[[], int] | None = None,
) -> int:
    """Block numbers (E.164 digits), in steps of ``CHUNK``; how many entries were made or changed.

    With ``ids`` the scope's account is told of opt-outs that are new, as it is of those by reply.
    """
    check_scope(scope, source)
    now = clock.now()
    changed = 0
    for start in range(0, len(numbers), CHUNK):
        some = list(dict.fromkeys(numbers[start : start + CHUNK]))
        entries = [NewEntry(n, scope, source, reason, actor, now) for n in some]
        async with database.transaction(timeout=60) as connection:
            if ids is not None and source == OPT_OUT and scope.account_id:
                await connection.execute(_TAKE_TURNS, LOCK)
                rows = await connection.fetch(_OPTED_OUT, [int(n) for n in some], *scope)
                known = {str(row["number"]) for row in rows}
                said = {"sign": scope.sign, "content": reason[:50], "at": now.isoformat(timespec="seconds")}
                told = [(scope.account_id, {"number": n} | said) for n in some if n not in known]
                await events.record(connection, "optout.created", told, ids=ids)
            changed += await put(connection, entries, replace=True, expires_at=expires_at)
    async with database.transaction() as connection:
        await audit.append(
            connection, actor=actor, action="block.add", object="block_list",
            after={"numbers": len(numbers), "scope": scope._asdict(), "source": source, "reason": reason},
        )  # fmt: skip
    return changed


_REMOVE = """
UPDATE block_list SET removed_at = now(), version = nextval('block_version')
WHERE number = $1 AND removed_at IS NULL AND ($2::bigint IS NULL OR (account_id = $2 AND type = $3 AND sign = $4))
RETURNING account_id, type, sign, source
"""


async def remove(database: Database, number: str, scope: Scope | None, *, actor: str, reason: str) -> int:
    """Take a number off the list: one scope, or (None) all of them; how many entries went."""
    conditions = (None, None, None) if scope is None else tuple(scope)
    async with database.transaction() as connection:
        await connection.execute(_TAKE_TURNS, LOCK)
        rows = await connection.fetch(_REMOVE, int(number), *conditions)
        for row in rows:
            await audit.append(
                connection, actor=actor, action="block.remove", object=f"block_list/{mask(number)}",
                before=dict(row), after={"reason": reason},
            )  # fmt: skip
    return len(rows)


_REMOVE_OWN = """
UPDATE block_list SET removed_at = now(), version = nextval('block_version')
WHERE account_id = $1 AND number = ANY($2::bigint[]) AND source = $3 AND removed_at IS NULL
"""


async def remove_own(
    database: Database, account_id: int, numbers: Sequence[str], source: str, *, actor: str, reason: str
) -> int:
    """Take an account's own entries of one source off the list; how many went."""
    async with database.transaction(timeout=60) as connection:
        await connection.execute(_TAKE_TURNS, LOCK)
        done = await connection.execute(_REMOVE_OWN, account_id, [int(n) for n in numbers], source)
        gone = int(done.rpartition(" ")[2])
        await audit.append(
            connection, actor=actor, action="block.remove", object="block_list",
            after={"account": account_id, "numbers": len(numbers), "entries": gone, "reason": reason},
        )  # fmt: skip
    return gone


_LIVE = "removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
_FIND = f"""
SELECT b.*, a.name AS account FROM block_list b LEFT JOIN account a ON a.id = b.account_id
WHERE number = $1 AND {_LIVE} ORDER BY account_id, type, sign
"""  # noqa: S608 - a constant
_LIST = f"""
SELECT b.*, a.name AS account FROM block_list b LEFT JOIN account a ON a.id = b.account_id
WHERE {_LIVE} AND ($1 = '' OR source = $1) ORDER BY version DESC LIMIT $2
"""  # noqa: S608
_PAGE = f"""
SELECT number, type, sign, source, reason, since, expires_at, version FROM block_list
WHERE account_id = $1 AND {_LIVE} AND ($2::bigint IS NULL OR number = $2) AND ($3::text IS NULL OR source = $3)
      AND ($4::bigint IS NULL OR version < $4)
ORDER BY version DESC LIMIT $5
"""  # noqa: S608
_COUNT = f"SELECT source, count(*) AS n FROM block_list WHERE {_LIVE} GROUP BY source"  # noqa: S608


async def find(database: Database, number: str) -> list[Row]:
    """All entries of a number that hold now."""
    return await database.fetch(_FIND, int(number))


async def list_(database: Database, *, source: str = "", limit: int = 100) -> list[Row]:
    """The newest entries."""
    return await database.fetch(_LIST, source, limit)


async def page(
    database: Database,
    account_id: int,
    *,
    number: str | None,
    source: str | None,
    before: int | None,
    limit: int,
) -> list[Row]:
    """An account's own entries that hold now, newest (by ``version``) first."""
    return await database.fetch(
        _PAGE, account_id, None if number is None else int(number), source, before, limit
    )


async def count(database: Database) -> dict[str, int]:
    """Source -> entries that hold now."""
    return {row["source"]: row["n"] for row in await database.fetch(_COUNT, timeout=30)}


# --- following -------------------------------------------------------------------------------------------------------

_NEWEST = "SELECT COALESCE(max(version), 0) FROM block_list"
_ALL = f"""
SELECT number, account_id, type, sign, source, floor(extract(epoch FROM since))::bigint AS since,
       COALESCE(extract(epoch FROM expires_at)::bigint, 0) AS until, false AS removed
FROM block_list WHERE {_LIVE} ORDER BY number
"""  # noqa: S608
_CHANGES = """
SELECT number, account_id, type, sign, source, floor(extract(epoch FROM since))::bigint AS since,
       COALESCE(extract(epoch FROM expires_at)::bigint, 0) AS until, removed_at IS NOT NULL AS removed, version
FROM block_list WHERE version > $1 ORDER BY version LIMIT $2
"""


def _entry(row: Row, scopes: dict[tuple[int, str, str], Scope]) -> Entry:
    key = (row["account_id"], row["type"], row["sign"])
    scope = scopes.setdefault(key, Scope(*key))
    return Entry(row["number"], scope, row["source"], row["since"], row["until"], row["removed"])


async def load(database: Database) -> tuple[BlockList, int]:
    """The whole list as it is now, and the version that it has."""
    found = BlockList()
    scopes: dict[tuple[int, str, str], Scope] = {}
    async with (
        database.acquire(timeout=300) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        version: int = await connection.fetchval(_NEWEST)
        async for row in connection.cursor(_ALL, prefetch=PAGE):
            found.append(_entry(row, scopes))
    return found, version


async def changes(database: Database, version: int) -> AsyncIterator[tuple[list[Entry], int]]:
    """Pages of what has changed after ``version``, each with the version that it leads to."""
    scopes: dict[tuple[int, str, str], Scope] = {}
    while True:
        rows = await database.fetch(_CHANGES, version, PAGE, timeout=30)
        if not rows:
            return
        version = rows[-1]["version"]
        yield [_entry(row, scopes) for row in rows], version
        if len(rows) < PAGE:
            return


_SWEEP = "DELETE FROM block_list WHERE removed_at < now() - make_interval(days => $1)"


async def sweep(connection: Connection) -> None:
    """Forget removals that every node has seen long ago."""
    await connection.execute(_SWEEP, TOMBSTONES_KEPT_DAYS)


def opt_out(number: str, account_id: int | None, sign: str, words: str, at: datetime) -> NewEntry | None:
    """The entry that a reply makes: no more marketing of this account and signature; when it answers nothing we
    know, no more marketing at all. None when the sender is not a telephone number."""
    if not (number.isascii() and number.isdigit() and 7 <= len(number) <= 15):
        return None
    scope = Scope(account_id or 0, MessageType.MARKETING.value, sign)
    return NewEntry(number, scope, OPT_OUT, f"回复 {words[:50]}", "mo", at)
