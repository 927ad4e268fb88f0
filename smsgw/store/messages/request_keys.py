"""Idempotency keys, client references and nonces of signatures: who has one, what a repeat is answered, and when they
are forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.store.engine.database import Connection, Database, delete_all
from smsgw.store.messages.calls import NewCall, Stored

_INSERT = """
INSERT INTO request_key (account_id, kind, key, request_sha256, message_id, answer)
SELECT * FROM unnest($1::bigint[], $2::"char"[], $3::text[], $4::bytea[], $5::bigint[], $6::bytea[])
ON CONFLICT DO NOTHING
RETURNING account_id, kind, key, message_id
"""

_EXISTING = """
SELECT k.* FROM request_key k
JOIN unnest($1::bigint[], $2::"char"[], $3::text[]) AS w(account_id, kind, key)
  ON k.account_id = w.account_id AND k.kind = w.kind AND k.key = w.key
"""

_DELETE = """
DELETE FROM request_key
WHERE message_id = ANY($1::bigint[])
  AND (account_id, kind, key) IN (SELECT * FROM unnest($2::bigint[], $3::"char"[], $4::text[]))
"""


# A nonce that was entered for a call which was refused is no reason to drop one that was accepted with it.
_TAKE_OVER = """
UPDATE request_key SET message_id = $3 WHERE account_id = $1 AND kind = 'n' AND key = $2 AND message_id < 0 RETURNING 1
"""


@dataclass(frozen=True, slots=True)
class Lost:
    """A call's key was taken before."""

    result: Stored | SmsgwError
    holder: int
    """The first message of the call that has it (of a ``client_ref``: the message)."""


async def settle(connection: Connection, calls: list[NewCall]) -> dict[int, Lost]:
    """Insert the calls' keys; what becomes of the calls whose key was taken before (replay, mismatch, conflict)."""
    if not calls:
        return {}
    flat = sorted(((c, k) for c in calls for k in c.keys), key=lambda e: (e[0].account_id, e[1].kind, e[1].key))
    won = {
        (row["account_id"], row["kind"].decode(), row["key"], row["message_id"])
        for row in await connection.fetch(
            _INSERT,
            [c.account_id for c, _ in flat],
            [k.kind.encode() for _, k in flat],
            [k.key for _, k in flat],
            [k.request_sha256 for _, k in flat],
            [k.message_id for _, k in flat],
            [c.answer if k.answers else b"" for c, k in flat],
        )
    }
    missed = [(c, k) for c, k in flat if (c.account_id, k.kind, k.key, k.message_id) not in won]
    if not missed:
        return {}
    existing: dict[tuple[int, str, str], Any] = {
        (row["account_id"], row["kind"].decode(), row["key"]): row
        for row in await connection.fetch(
            _EXISTING,
            [c.account_id for c, _ in missed],
            [k.kind.encode() for _, k in missed],
            [k.key for _, k in missed],
        )
    }
    lost: dict[int, Lost] = {}
    for call, key in missed:
        where = call.account_id, key.kind, key.key
        row = existing[where]
        if id(call) in lost:
            continue  # the Idempotency-Key has decided
        if key.kind == "n" and call.spooled and row["message_id"] < 0:
            await connection.fetchval(_TAKE_OVER, call.account_id, key.key, key.message_id)
            existing[where] = {**row, "message_id": key.message_id}
            continue
        result: Stored | SmsgwError
        if row["request_sha256"] == key.request_sha256 and row["answer"]:
            result = Stored(row["message_id"], replay=row["answer"])
        elif key.kind == "k":
            result = Invalid("IDEMPOTENCY_MISMATCH")
        elif key.kind == "n":
            result = Refused("AUTH_NONCE_REPLAYED", id=str(row["message_id"]))
        else:
            result = Invalid("CLIENT_REF_EXISTS", id=str(row["message_id"]))
        lost[id(call)] = Lost(result, row["message_id"])
    await drop(connection, [c for c in calls if id(c) in lost])
    return lost


async def drop(connection: Connection, calls: list[NewCall]) -> None:
    """Take back the keys that these calls have inserted in this transaction."""
    flat = [(c, k) for c in calls for k in c.keys]
    if flat:
        await connection.execute(
            _DELETE,
            [k.message_id for _, k in flat],
            [c.account_id for c, _ in flat],
            [k.kind.encode() for _, k in flat],
            [k.key for _, k in flat],
        )


_CHANGE = """
UPDATE request_key k SET answer = d.answer
FROM unnest($1::bigint[], $2::"char"[], $3::text[], $4::bytea[]) AS d(account_id, kind, key, answer)
WHERE k.account_id = d.account_id AND k.kind = d.kind AND k.key = d.key
"""


async def change(connection: Connection, changed: Sequence[tuple[NewCall, NewCall]]) -> None:
    """Calls have become others after their keys were settled: what a repeat is answered, and which keys are free."""
    await drop(connection, [replace(old, keys=tuple(k for k in old.keys if k not in new.keys)) for old, new in changed])
    kept = [(new, k) for _, new in changed for k in new.keys if k.answers]
    if kept:
        await connection.execute(
            _CHANGE,
            [c.account_id for c, _ in kept],
            [k.kind.encode() for _, k in kept],
            [k.key for _, k in kept],
            [c.answer for c, _ in kept],
        )


_SWEEP = """
DELETE FROM request_key WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM request_key WHERE created_at < $1 ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))
"""


async def sweep(connection: Connection, before: datetime) -> int:
    """Forget keys older than ``before``; how many they were."""
    return await delete_all(connection, _SWEEP, before)


@dataclass(frozen=True, slots=True)
class NonceUse:
    """A nonce of a signature that was found good, apart from a call that is stored with its own."""

    account_id: int
    key: str
    mark: int
    """Tells this use from another one; negative, so that it is no message's id."""


async def use_nonces(connection: Connection, uses: Sequence[NonceUse]) -> list[SmsgwError | None]:
    """Enter nonces; ``AUTH_NONCE_REPLAYED`` for one that was used before. A repeat of the transaction finds its own."""
    ordered = sorted(uses, key=lambda use: (use.account_id, use.key))
    accounts, keys = [use.account_id for use in ordered], [use.key for use in ordered]
    kinds, nothing = [b"n"] * len(uses), [b""] * len(uses)
    marks = [use.mark for use in ordered]
    rows = await connection.fetch(_INSERT, accounts, kinds, keys, nothing, marks, nothing)
    if len(rows) < len(uses):
        rows += await connection.fetch(_EXISTING, accounts, kinds, keys)
    good = {(row["account_id"], row["key"], row["message_id"]) for row in rows}
    return [None if (use.account_id, use.key, use.mark) in good else Refused("AUTH_NONCE_REPLAYED") for use in uses]


_SWEEP_NONCES = """
DELETE FROM request_key WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM request_key WHERE kind = 'n' AND created_at < $1 ORDER BY created_at LIMIT $2
    FOR UPDATE SKIP LOCKED))
"""


async def sweep_nonces(connection: Connection, before: datetime) -> int:
    """Forget nonces older than ``before``; how many they were."""
    return await delete_all(connection, _SWEEP_NONCES, before)


_RECALL = "SELECT request_sha256, answer FROM request_key WHERE account_id = $1 AND kind = $2 AND key = $3"


async def recall(database: Database, account_id: int, kind: str, key: str) -> tuple[bytes, bytes] | None:
    """Hash of the request and first answer that are stored under a key; the answer is empty for one of many."""
    row = await database.fetchrow(_RECALL, account_id, kind.encode(), key)
    return None if row is None else (row["request_sha256"], row["answer"])


# Of a call that is no send; one that was left without an answer is taken over by a repeat of it.
_TAKE = """
INSERT INTO request_key AS k (account_id, kind, key, request_sha256, message_id, answer)
VALUES ($1, 'k', $2, $3, 0, '')
ON CONFLICT (account_id, kind, key) DO UPDATE SET created_at = clock_timestamp()
WHERE k.message_id = 0 AND k.answer = '' AND k.request_sha256 = excluded.request_sha256
  AND k.created_at < clock_timestamp() - $4::interval
RETURNING created_at
"""


async def take(
    database: Database, account_id: int, key: str, request_sha256: bytes, abandoned: timedelta
) -> datetime | None:
    """Take a key for a call that is about to be made; None when it is taken. What ``keep`` and ``release`` ask for."""
    taken: datetime | None = await database.fetchval(_TAKE, account_id, key, request_sha256, abandoned)
    return taken


_MINE = "WHERE account_id = $1 AND kind = 'k' AND key = $2 AND created_at = $3 AND message_id = 0 AND answer = ''"


async def keep(database: Database, account_id: int, key: str, taken: datetime, answer: bytes) -> None:
    """Keep the answer to the call that took the key."""
    await database.execute(f"UPDATE request_key SET answer = $4 {_MINE}", account_id, key, taken, answer)  # noqa: S608


async def release(database: Database, account_id: int, key: str, taken: datetime) -> None:
    """The call that took the key has changed nothing."""
    await database.execute(f"DELETE FROM request_key {_MINE}", account_id, key, taken)  # noqa: S608


_ANSWER = "SELECT answer FROM request_key WHERE account_id = $1 AND kind = 'k' AND key = $2"


async def answer_of(database: Database, account_id: int, key: str) -> bytes | None:
    """The stored answer of the call with this Idempotency-Key; None when there was none within 7 days."""
    answer: bytes | None = await database.fetchval(_ANSWER, account_id, key)
    return answer
