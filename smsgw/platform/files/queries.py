"""The statements of stored files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from smsgw.platform.files.model import StoredFile
from smsgw.store.engine.database import Connection, Database, Row

# Whoever makes or drops a row of some octets has their turn: octets that are entered are not removed at that moment.
_TAKE_TURNS = "SELECT pg_advisory_xact_lock(hashtextextended('file' || encode($1, 'hex'), $2))"
_ADD = """
INSERT INTO file (id, node, kind, name, media_type, size, sha256, account_id, submitter, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING
"""
_GET = "SELECT * FROM file WHERE id = $1"
_USED = """
SELECT COALESCE(sum(size), 0)::bigint AS total,
       COALESCE(sum(size) FILTER (WHERE account_id = $2), 0)::bigint AS own
FROM file WHERE node = $1
"""
_DUE = "SELECT * FROM file WHERE node = $1 AND expires_at <= $2 AND id > $3 ORDER BY id LIMIT 200"
_REMOVE = "DELETE FROM file WHERE id = $1"
_IN_USE = "SELECT EXISTS (SELECT FROM file WHERE node = $1 AND sha256 = $2)"
_KNOWN = "SELECT DISTINCT sha256 FROM file WHERE sha256 = ANY($1::bytea[])"


async def take_turn(connection: Connection, node: int, sha256: bytes) -> None:
    """Until the transaction ends nobody else enters or removes these octets on the node."""
    await connection.execute(_TAKE_TURNS, sha256, node)


async def add(connection: Connection, file: StoredFile) -> None:
    """Enter a file; one that is entered already stays as it is."""
    await connection.execute(
        _ADD, file.id, file.node, file.kind, file.name, file.media_type, file.size, file.sha256, file.account_id,
        file.submitter, file.expires_at,
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
    """Files of the node whose time is over, by id."""
    return [_file(row) for row in await database.fetch(_DUE, node, now, after)]


async def remove(connection: Connection, file: StoredFile) -> bool:
    """Forget a file; whether its octets are another's, too."""
    await connection.execute(_REMOVE, file.id)
    shared: bool = await connection.fetchval(_IN_USE, file.node, file.sha256)
    return shared


async def known(database: Database | Connection, hashes: Sequence[bytes]) -> set[bytes]:
    """Which of the hashes are those of files, on whichever node: a data directory may have got another number."""
    return {row["sha256"] for row in await database.fetch(_KNOWN, list(hashes))}


def _file(row: Row) -> StoredFile:
    return StoredFile(**{name: row[name] for name in StoredFile.__dataclass_fields__})
