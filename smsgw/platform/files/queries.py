"""The statements of stored files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from smsgw.platform.files.model import StoredFile
from smsgw.store.engine.database import Connection, Database, Row

# Whoever makes or drops a row of some octets has their turn: octets that are entered are not removed at that moment.
_TAKE_TURNS = "SELECT pg_advisory_xact_lock(hashtextextended('file' || encode($1, 'hex'), $2))"
_ADD = """
INSERT INTO file (id, node, kind, name, media_type, size, sha256, account_id, submitter, expires_at, pieces)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING
"""
_GET = "SELECT * FROM file WHERE id = $1"
_USED = """
SELECT COALESCE(sum(size), 0)::bigint AS total,
       COALESCE(sum(size) FILTER (WHERE account_id = $2), 0)::bigint AS own
FROM file WHERE node = $1
"""
# What is in the database any node removes: the one that has received it may never come back.
_DUE = """
SELECT * FROM file WHERE (node = $1 OR pieces > 0) AND expires_at <= $2 AND id > $3 ORDER BY id LIMIT 200
"""
_REMOVE = "DELETE FROM file WHERE id = $1"
_PUT = "INSERT INTO file_piece (file_id, n, octets) VALUES ($1, $2, $3) ON CONFLICT (file_id, n) DO NOTHING"
_PIECE = "SELECT octets FROM file_piece WHERE file_id = $1 AND n = $2"
_PIECES = "SELECT count(*) FROM file_piece WHERE file_id = $1"
_HERE_ALONE = """
SELECT * FROM file WHERE node = $1 AND pieces = 0 AND kind = ANY($2::text[]) AND id > $3 ORDER BY id LIMIT 200
"""
_SHARED = "UPDATE file SET pieces = $2 WHERE id = $1 AND $2 = (SELECT count(*) FROM file_piece WHERE file_id = $1)"
# Of a file many rows are much to remove at once; what another node removes at that moment is left to it.
_DROP = """
DELETE FROM file_piece WHERE ctid = ANY(ARRAY(
    SELECT p.ctid FROM file_piece p WHERE {which} LIMIT 64 FOR UPDATE SKIP LOCKED))
"""
_DROP_PIECES = _DROP.format(which="p.file_id = $1")
_DROP_STRANGE = _DROP.format(which="p.put_at < $1 AND NOT EXISTS (SELECT FROM file f WHERE f.id = p.file_id)")
_KNOWN = """
SELECT DISTINCT sha256 FROM file WHERE sha256 = ANY($1::bytea[]) AND ($2::int IS NULL OR node = $2 OR pieces = 0)
"""


async def take_turn(connection: Connection, node: int, sha256: bytes) -> None:
    """Until the transaction ends nobody else enters or removes these octets on the node."""
    await connection.execute(_TAKE_TURNS, sha256, node)


async def add(connection: Connection, file: StoredFile) -> None:
    """Enter a file; one that is entered already stays as it is."""
    await connection.execute(
        _ADD, file.id, file.node, file.kind, file.name, file.media_type, file.size, file.sha256, file.account_id,
        file.submitter, file.expires_at, file.pieces,
    )  # fmt: skip


async def get(database: Database | Connection, file_id: int) -> StoredFile | None:
    """A file."""
    row = await database.fetchrow(_GET, file_id)
    return None if row is None else _file(row)


async def used(database: Database, node: int, account_id: int | None) -> tuple[int, int]:
    """Octets of files on the node: of all owners, of this one (None: of nobody, 0)."""
    row = await database.fetchrow(_USED, node, account_id)
    assert row is not None  # noqa: S101 - an aggregate
    return row["total"], row["own"]


async def due(database: Database, node: int, now: datetime, *, after: int) -> list[StoredFile]:
    """Files whose time is over, of the node or in the database, by id."""
    return [_file(row) for row in await database.fetch(_DUE, node, now, after)]


async def remove(connection: Connection, file_id: int) -> bool:
    """Forget a file; False: somebody has done so already."""
    return await connection.execute(_REMOVE, file_id) != "DELETE 0"


async def drop_pieces(database: Database, file_id: int) -> None:
    """Remove the pieces of a file that nobody means, some at a time."""
    while await database.execute(_DROP_PIECES, file_id) != "DELETE 0":
        pass


async def put(database: Database, file_id: int, n: int, octets: bytes) -> None:
    """Store a piece of a file; one that is there stays as it is."""
    await database.execute(_PUT, file_id, n, octets)


async def piece(database: Database, file_id: int, n: int) -> bytes | None:
    """A piece of a file; None when there is none."""
    octets: bytes | None = await database.fetchval(_PIECE, file_id, n)
    return octets


async def pieces(connection: Connection, file_id: int) -> int:
    """How many of a file are there."""
    there: int = await connection.fetchval(_PIECES, file_id)
    return there


async def here_alone(database: Database, node: int, kinds: Sequence[str], *, after: int) -> list[StoredFile]:
    """Files of these kinds that lie on the node alone, by id."""
    return [_file(row) for row in await database.fetch(_HERE_ALONE, node, list(kinds), after)]


async def shared(database: Database, file_id: int, pieces: int) -> None:
    """So many pieces of a file are there, as they should be; if they are not, it stays as it is."""
    await database.execute(_SHARED, file_id, pieces)


async def drop_strange(database: Database, before: datetime) -> None:
    """Remove pieces put before this moment whose file was never entered or has been removed, some at a time."""
    while await database.execute(_DROP_STRANGE, before, timeout=60) != "DELETE 0":
        pass


async def known(
    database: Database | Connection, hashes: Sequence[bytes], *, but_copies_on: int | None = None
) -> set[bytes]:
    """Which of the hashes are those of files, on whichever node: a data directory may have got another number.
    ``but_copies_on``: not those which this node can fetch again."""
    return {row["sha256"] for row in await database.fetch(_KNOWN, list(hashes), but_copies_on)}


def _file(row: Row) -> StoredFile:
    return StoredFile(**{name: row[name] for name in StoredFile.__dataclass_fields__})
