"""The statements of contacts and audiences; every one is held to its account."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from smsgw.platform.audience.model import Audience, Contact, Segment
from smsgw.store.engine.database import Connection, Database, Row

# One writer an account, so that the limit holds.
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('contacts', $1))"
_COUNT = "SELECT count(*) FROM contact WHERE account_id = $1"
_KNOWN = "SELECT number FROM contact WHERE account_id = $1 AND number = ANY($2::text[])"
_GIVEN = """
unnest($2::text[], $3::text[], $4::jsonb[], $5::jsonb[]) AS d(number, name, tags, fields)
"""
_CHANGE = f"""
UPDATE contact c SET
    name = COALESCE(d.name, c.name), fields = COALESCE(d.fields, c.fields), updated_at = now(),
    tags = CASE WHEN d.tags IS NULL THEN c.tags ELSE ARRAY(SELECT jsonb_array_elements_text(d.tags)) END
FROM {_GIVEN} WHERE c.account_id = $1 AND c.number = d.number
"""  # noqa: S608 - a constant
_NEW = f"""
INSERT INTO contact (account_id, number, name, tags, fields)
SELECT $1, d.number, COALESCE(d.name, ''), ARRAY(SELECT jsonb_array_elements_text(d.tags)), COALESCE(d.fields, '{{}}')
FROM {_GIVEN} ON CONFLICT (account_id, number) DO NOTHING
"""  # noqa: S608


async def lock(connection: Connection, account_id: int) -> int:
    """Take the account's turn; how many contacts it has."""
    await connection.execute(_LOCK, account_id)
    count: int = await connection.fetchval(_COUNT, account_id)
    return count


async def known(connection: Connection, account_id: int, numbers: Sequence[str]) -> set[str]:
    """Which of the numbers are contacts already."""
    return {row["number"] for row in await connection.fetch(_KNOWN, account_id, list(numbers))}


async def put(
    connection: Connection,
    account_id: int,
    rows: Sequence[tuple[str, str | None, tuple[str, ...] | None, dict[str, str] | None]],
) -> None:
    """Make or change contacts: (number, name, tags, fields), None where nothing is given."""

    def document(value: object) -> str | None:
        return None if value is None else json.dumps(value, ensure_ascii=False)

    given = (
        account_id,
        [r[0] for r in rows],
        [r[1] for r in rows],
        [document(None if r[2] is None else list(r[2])) for r in rows],
        [document(r[3]) for r in rows],
    )
    await connection.execute(_CHANGE, *given)
    await connection.execute(_NEW, *given)


_PAGE = """
SELECT c.* FROM contact c
WHERE c.account_id = $1 AND ($2::bigint IS NULL OR c.id < $2) AND ($3::text IS NULL OR c.number = $3)
  AND ($4::text IS NULL OR c.tags @> ARRAY[$4]) AND ($5::text IS NULL OR c.name ILIKE '%' || $5 || '%')
  AND ($6::bigint IS NULL OR EXISTS (
      SELECT 1 FROM audience_member m JOIN audience a ON a.id = m.audience_id
      WHERE m.contact_id = c.id AND m.audience_id = $6 AND a.account_id = $1))
ORDER BY c.id DESC LIMIT $7
"""


async def page(
    database: Database,
    account_id: int,
    *,
    before: int | None,
    number: str | None,
    tag: str | None,
    name: str | None,
    audience_id: int | None,
    limit: int,
) -> list[Contact]:
    """Contacts that match all that is given, newest first; ``name`` is a part of it."""
    pattern = None if name is None else name.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
    rows = await database.fetch(_PAGE, account_id, before, number, tag, pattern, audience_id, limit)
    return [_contact(row) for row in rows]


def _contact(row: Row) -> Contact:
    return Contact(
        row["id"], row["number"], row["name"], tuple(row["tags"]), json.loads(row["fields"]), row["updated_at"]
    )


_MEMBERS = """
SELECT c.id, c.number, c.name, c.fields FROM audience a JOIN audience_member m ON m.audience_id = a.id
JOIN contact c ON c.id = m.contact_id AND c.account_id = a.account_id
WHERE a.account_id = $1 AND a.id = $2 AND m.contact_id > $3 ORDER BY m.contact_id LIMIT $4
"""


async def members(
    database: Database | Connection, account_id: int, audience_id: int, after: int, limit: int
) -> list[Row]:
    """Members of an audience that follow the contact ``after``, oldest first: id, number, name, fields (as JSON)."""
    return await database.fetch(_MEMBERS, account_id, audience_id, after, limit)


_REMOVE = "DELETE FROM contact WHERE account_id = $1 AND id = $2 RETURNING number"
# A segment that somebody keeps for themselves or a department is none of the account's.
_SHARED = "(a.segment IS NULL OR a.shared = 'account')"
_AUDIENCES = f"""
SELECT a.id, a.name, a.created_at, a.segment, CASE WHEN a.counted_of IS NULL THEN a.counted_at END AS counted_at,
       CASE WHEN a.segment IS NULL THEN (SELECT count(*) FROM audience_member m WHERE m.audience_id = a.id)
            WHEN a.counted_of IS NULL THEN a.counted END AS members
FROM audience a WHERE a.account_id = $1 AND ($2::bigint IS NULL OR a.id = $2) AND {_SHARED} ORDER BY a.name LIMIT $3
"""  # noqa: S608 - constants
_ADD_AUDIENCE = """
INSERT INTO audience (account_id, name)
SELECT $1, $2 WHERE (SELECT count(*) FROM audience WHERE account_id = $1) < $3 RETURNING id
"""
_REMOVE_AUDIENCE = f"DELETE FROM audience a WHERE account_id = $1 AND id = $2 AND {_SHARED} RETURNING name"  # noqa: S608
_JOIN = """
INSERT INTO audience_member (audience_id, contact_id)
SELECT a.id, c.id FROM audience a JOIN contact c ON c.account_id = a.account_id
WHERE a.account_id = $1 AND a.id = $2 AND c.number = ANY($3::text[]) ON CONFLICT DO NOTHING
"""
_LEAVE = """
DELETE FROM audience_member m USING audience a, contact c
WHERE a.account_id = $1 AND a.id = $2 AND m.audience_id = a.id AND m.contact_id = c.id AND c.number = ANY($3::text[])
"""


async def remove(connection: Connection, account_id: int, contact_id: int) -> str | None:
    """Forget a contact; its number, None when there was none."""
    number: str | None = await connection.fetchval(_REMOVE, account_id, contact_id)
    return number


async def audiences(
    database: Database | Connection, account_id: int, audience_id: int | None, limit: int
) -> list[Audience]:
    """The account's audiences by name: its groups, and the segments that are shared with all of it."""
    rows = await database.fetch(_AUDIENCES, account_id, audience_id, limit)
    return [
        Audience(row["id"], row["name"], row["members"], row["created_at"], _segment(row["segment"]), row["counted_at"])
        for row in rows
    ]


def _segment(kept: str | None) -> Segment | None:
    """A segment as it is stored; None: it is a group of contacts."""
    return None if kept is None else msgspec.json.decode(kept, type=Segment)


async def add_audience(connection: Connection, account_id: int, name: str, limit: int) -> int | None:
    """A new audience; None when the account has ``limit`` of them. Raises asyncpg's ``UniqueViolationError``."""
    found: int | None = await connection.fetchval(_ADD_AUDIENCE, account_id, name, limit)
    return found


async def remove_audience(connection: Connection, account_id: int, audience_id: int) -> str | None:
    """Forget an audience (its contacts stay); its name, None when there was none."""
    name: str | None = await connection.fetchval(_REMOVE_AUDIENCE, account_id, audience_id)
    return name


async def join(connection: Connection, account_id: int, audience_id: int, numbers: Sequence[str]) -> int:
    """Put contacts into an audience; how many were not in it."""
    return _rows(await connection.execute(_JOIN, account_id, audience_id, list(numbers)))


async def leave(connection: Connection, account_id: int, audience_id: int, numbers: Sequence[str]) -> int:
    """Take contacts out of an audience; how many were in it."""
    return _rows(await connection.execute(_LEAVE, account_id, audience_id, list(numbers)))


def _rows(tag: str) -> int:
    return int(tag.rpartition(" ")[2])
