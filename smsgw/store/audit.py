"""The audit log: who changed what. Every row carries a hash over the row before it, so that an edit shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smsgw.store.db import Connection, Database

LOCK = 0x61756469
"""Advisory lock that makes writers append one after the other."""
FIRST = b"\0" * 32
"""What stands for the hash before the first row."""

JsonObject = Mapping[str, Any]


def row_hash(
    previous: bytes,
    *,
    at: datetime,
    actor: str,
    ip: str | None,
    action: str,
    object: str,
    before: JsonObject | None,
    after: JsonObject | None,
) -> bytes:
    """SHA-256 over the previous hash and the row as canonical JSON (sorted keys, no spaces, UTF-8)."""
    row = {
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "actor": actor,
        "ip": ip,
        "action": action,
        "object": object,
        "before": before,
        "after": after,
    }
    text = json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(previous + text.encode()).digest()


def _json(value: JsonObject | None) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


async def record(
    db: Database,
    actor: str,
    action: str,
    object: str,
    before: JsonObject | None = None,
    after: JsonObject | None = None,
    ip: str | None = None,
) -> None:
    """Append a row in a transaction of its own."""
    async with db.transaction() as connection:
        await append(connection, actor, action, object, before, after, ip)


async def append(
    connection: Connection,
    actor: str,
    action: str,
    object: str,
    before: JsonObject | None = None,
    after: JsonObject | None = None,
    ip: str | None = None,
) -> None:
    """Append a row inside the caller's transaction: the change and its record stand or fall together."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
    at: datetime = await connection.fetchval("SELECT clock_timestamp()")
    previous: bytes | None = await connection.fetchval("SELECT hash FROM audit ORDER BY id DESC LIMIT 1")
    digest = row_hash(
        previous or FIRST,
        at=at, actor=actor, ip=ip, action=action, object=object, before=before, after=after,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO audit (at, actor, ip, action, object, before, after, hash)"
        " VALUES ($1, $2, $3::text::inet, $4, $5, $6::text::jsonb, $7::text::jsonb, $8)",
        at, actor, ip, action, object, _json(before), _json(after), digest,
    )  # fmt: skip


async def verify(db: Database, *, page: int = 1000) -> tuple[int, int | None]:
    """Walk the chain: ``(rows checked, id of the first row that does not fit, or None)``."""
    previous, last_id, checked = FIRST, 0, 0
    while True:
        rows = await db.fetch(
            "SELECT id, at, actor, host(ip) AS ip, action, object, before::text AS before,"
            " after::text AS after, hash FROM audit WHERE id > $1 ORDER BY id LIMIT $2",
            last_id,
            page,
        )
        if not rows:
            return checked, None
        for row in rows:
            digest = row_hash(
                previous,
                at=row["at"],
                actor=row["actor"],
                ip=row["ip"],
                action=row["action"],
                object=row["object"],
                before=json.loads(row["before"]) if row["before"] is not None else None,
                after=json.loads(row["after"]) if row["after"] is not None else None,
            )
            if digest != row["hash"]:
                return checked, row["id"]
            previous, last_id, checked = digest, row["id"], checked + 1
