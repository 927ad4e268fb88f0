"""Files of recipients: what is known about them. The octets lie in the data directory of the node that took them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smsgw.store.engine.database import Database, Row


@dataclass(frozen=True, slots=True)
class Upload:
    """One file."""

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
    submitter: str
    expires_at: datetime


_ADD = """
INSERT INTO upload (id, account_id, node, name, size, form, columns, phone_column, first_rows, row_count, submitter,
                    expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""
_GET = """
SELECT * FROM upload WHERE id = $1 AND ($2::bigint[] IS NULL OR account_id = ANY($2)) AND NOT removed
AND expires_at > $3
"""
_USED = """
SELECT COALESCE(sum(size), 0)::bigint AS total,
       COALESCE(sum(size) FILTER (WHERE account_id = $2), 0)::bigint AS own
FROM upload WHERE node = $1 AND NOT removed
"""
# One that is being imported stays until that is over.
_DUE = """
SELECT u.id FROM upload u
WHERE u.node = $1 AND NOT u.removed AND u.expires_at <= $2
  AND NOT EXISTS (SELECT 1 FROM task t WHERE t.upload_id = u.id AND t.state = 'importing')
ORDER BY u.expires_at LIMIT 200
"""
_REMOVE = "UPDATE upload SET removed = true WHERE id = ANY($1::bigint[])"
_KNOWN = "SELECT id FROM upload WHERE NOT removed AND id = ANY($1::bigint[])"
_FORGET = "DELETE FROM upload WHERE removed AND expires_at < $1"


async def add(database: Database, upload: Upload) -> None:
    """Enter a file."""
    await database.execute(
        _ADD, upload.id, upload.account_id, upload.node, upload.name, upload.size,
        json.dumps(upload.form), list(upload.columns), upload.phone_column,
        json.dumps(upload.first_rows, ensure_ascii=False), upload.rows, upload.submitter, upload.expires_at,
    )  # fmt: skip


async def get(
    database: Database, upload_id: int, *, accounts: Sequence[int] | None, now: datetime
) -> Upload | None:
    """A file that the accounts may use and that is still there."""
    row = await database.fetchrow(_GET, upload_id, None if accounts is None else list(accounts), now)
    return None if row is None else _upload(row)


async def used(database: Database, node: int, account_id: int) -> tuple[int, int]:
    """Octets that lie on the node: of all accounts, of this one."""
    row = await database.fetchrow(_USED, node, account_id)
    assert row is not None  # noqa: S101 - an aggregate
    return row["total"], row["own"]


async def due(database: Database, node: int, now: datetime) -> list[int]:
    """Files of the node whose time is over."""
    return [row["id"] for row in await database.fetch(_DUE, node, now)]


async def remove(database: Database, ids: Sequence[int]) -> None:
    """Their octets are gone."""
    await database.execute(_REMOVE, list(ids))


async def known(database: Database, ids: Sequence[int]) -> set[int]:
    """Which of the ids are files that lie on the node."""
    return {row["id"] for row in await database.fetch(_KNOWN, list(ids))}


async def forget(database: Database, before: datetime) -> None:
    """Drop what is known about files that ended before."""
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
