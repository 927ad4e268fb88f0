"""Tables of recipients: how an uploaded file is read. The file itself is one of the file store's, under the same id."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smsgw.core.actor import ActorLabel
from smsgw.store.engine.database import Connection, Database, Row


@dataclass(frozen=True, slots=True)
class Upload:
    """One table."""

    id: int
    account_id: int
    node: int
    name: str
    size: int
    form: dict[str, Any]
    """How it is to be read."""
    columns: tuple[str, ...]
    phone_column: int | None
    """The column that seems to hold the numbers, from 0."""
    first_rows: list[list[str]]
    rows: int
    submitter: ActorLabel
    expires_at: datetime


_ADD = """
INSERT INTO upload (id, account_id, node, name, size, form, columns, phone_column, first_rows, row_count, submitter,
                    expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
_GET = """
SELECT * FROM upload WHERE id = $1 AND ($2::bigint[] IS NULL OR account_id = ANY($2)) AND expires_at > $3
"""
_IMPORTING = "SELECT DISTINCT upload_id FROM task WHERE upload_id = ANY($1::bigint[]) AND state = 'importing'"
_WITHOUT_FILE = """
SELECT u.* FROM upload u
WHERE u.node = $1 AND NOT u.removed AND NOT EXISTS (SELECT 1 FROM file f WHERE f.id = u.id) AND u.id > $2
ORDER BY u.id LIMIT 200
"""
_KNOWN = "SELECT EXISTS (SELECT FROM upload WHERE id = $1 AND NOT removed)"
# (A release before counts what is not removed.)
_NOTE_REMOVED = """
UPDATE upload u SET removed = true
WHERE u.node = $1 AND NOT u.removed AND u.expires_at <= $2 AND NOT EXISTS (SELECT 1 FROM file f WHERE f.id = u.id)
"""
_FORGET = "DELETE FROM upload WHERE expires_at < $1"


async def add(connection: Connection, upload: Upload) -> None:
    """Enter a table."""
    await connection.execute(
        _ADD, upload.id, upload.account_id, upload.node, upload.name, upload.size,
        json.dumps(upload.form), list(upload.columns), upload.phone_column,
        json.dumps(upload.first_rows, ensure_ascii=False), upload.rows, upload.submitter, upload.expires_at,
    )  # fmt: skip


async def get(database: Database, upload_id: int, *, accounts: Sequence[int] | None, now: datetime) -> Upload | None:
    """A table that the accounts may use and whose time is not over."""
    row = await database.fetchrow(_GET, upload_id, None if accounts is None else list(accounts), now)
    return None if row is None else _upload(row)


async def importing(database: Database, ids: Sequence[int]) -> set[int]:
    """Which of the files are just being imported."""
    return {row["upload_id"] for row in await database.fetch(_IMPORTING, list(ids))}


async def without_file(database: Database, node: int, *, after: int) -> list[Upload]:
    """Tables that an earlier release has left on the node, by id: their files are not the file store's yet."""
    return [_upload(row) for row in await database.fetch(_WITHOUT_FILE, node, after)]


async def known(database: Database, upload_id: int) -> bool:
    """Whether there is a table of that id, whose file has not been removed."""
    found: bool = await database.fetchval(_KNOWN, upload_id)
    return found


async def note_removed(database: Database, node: int, now: datetime) -> None:
    """The files of tables whose time is over are gone."""
    await database.execute(_NOTE_REMOVED, node, now)


async def forget(database: Database, before: datetime) -> None:
    """Drop what is known about tables whose time was over before."""
    await database.execute(_FORGET, before)


def _upload(row: Row) -> Upload:
    return Upload(
        id=row["id"],
        account_id=row["account_id"],
        node=row["node"],
        name=row["name"],
        size=row["size"],
        form=json.loads(row["form"]),
        columns=tuple(row["columns"]),
        phone_column=row["phone_column"],
        first_rows=json.loads(row["first_rows"]),
        rows=row["row_count"],
        submitter=row["submitter"],
        expires_at=row["expires_at"],
    )
