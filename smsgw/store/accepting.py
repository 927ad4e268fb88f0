"""The accept transaction: idempotency, credit, messages and parts, all or nothing for each call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.ids import day_of
from smsgw.store import audit, complaints, stats
from smsgw.store.db import Connection, Database, Row

MESSAGE_COLUMNS = (
    "id", "batch_id", "account_id", "origin", "type", "number", "carrier", "province", "content", "sign",
    "coding", "parts", "concat_ref", "price", "client_ref", "ext", "extend_code", "submitter",
)  # fmt: skip
_SIGN, _PARTS = MESSAGE_COLUMNS.index("sign"), MESSAGE_COLUMNS.index("parts")
PART_COLUMNS = (
    "id", "part", "total", "account_id", "pool_id", "lane", "state", "unknown_policy", "next_at", "expires_at",
    "code", "class", "by_us", "accepted_at", "final_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An Idempotency-Key (``k``) or client_ref (``r``) with what it stands for."""

    kind: str
    key: str
    request_sha256: bytes
    message_id: int
    answers: bool = True
    """A repeat is answered with the first answer; False: with ``CLIENT_REF_EXISTS`` (one reference of many)."""


@dataclass(frozen=True, slots=True)
class NewCall:
    """All rows of one send call. Tuples in the order of ``MESSAGE_COLUMNS`` and ``PART_COLUMNS``."""

    account_id: int
    batch_id: int
    messages: Sequence[tuple[object, ...]]
    parts: Sequence[tuple[object, ...]]
    units: int
    """Debited from the account."""
    keys: tuple[RequestKey, ...]
    answer: bytes
    """What a repeat of the call is answered with."""
    emergency_by: str = ""
    """Who has sent it on the emergency lane: that is audited."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The call is committed; ``replay`` holds the first answer when it had been made before, as ``batch_id``."""

    batch_id: int
    replay: bytes | None = None


_PRESENT = "SELECT id FROM message WHERE id = ANY($1::bigint[])"

_LOCK_ACCOUNTS = """
SELECT id, status, balance - credit_floor AS available FROM account WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE
"""

_INSERT_KEYS = """
INSERT INTO request_key (account_id, kind, key, request_sha256, message_id, answer)
SELECT * FROM unnest($1::bigint[], $2::"char"[], $3::text[], $4::bytea[], $5::bigint[], $6::bytea[])
ON CONFLICT DO NOTHING
RETURNING account_id, kind, key, message_id
"""

_EXISTING_KEYS = """
SELECT k.* FROM request_key k
JOIN unnest($1::bigint[], $2::"char"[], $3::text[]) AS w(account_id, kind, key)
  ON k.account_id = w.account_id AND k.kind = w.kind AND k.key = w.key
"""

_DELETE_KEYS = """
DELETE FROM request_key
WHERE message_id = ANY($1::bigint[])
  AND (account_id, kind, key) IN (SELECT * FROM unnest($2::bigint[], $3::"char"[], $4::text[]))
"""

_DEBIT = """
WITH d AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS d(account_id, batch_id, units)),
     entry AS (INSERT INTO ledger (id, account_id, kind, units) SELECT batch_id, account_id, 'debit', -units FROM d)
UPDATE account a SET balance = a.balance - s.units
FROM (SELECT account_id, sum(units) AS units FROM d GROUP BY account_id) s WHERE a.id = s.account_id
"""


async def commit_calls(
    connection: Connection, calls: list[NewCall], again: bool, *, node: int
) -> list[Stored | SmsgwError]:
    """Store the calls inside the caller's transaction; one result a call, in order.

    A refused call (credit, stopped account, key used otherwise) leaves nothing behind and does not disturb others.
    """
    results: dict[int, Stored | SmsgwError] = {}
    todo = calls
    if again:  # the first try may have been committed: what is there is done
        first_ids = [c.messages[0][0] for c in calls if c.messages]
        present = {row["id"] for row in await connection.fetch(_PRESENT, first_ids)}
        for call in calls:
            if call.messages and call.messages[0][0] in present:
                results[id(call)] = Stored(call.batch_id)
        todo = [c for c in calls if id(c) not in results]

    accounts = {
        row["id"]: row for row in await connection.fetch(_LOCK_ACCOUNTS, sorted({c.account_id for c in todo}))
    }
    available = {account_id: row["available"] for account_id, row in accounts.items()}
    fresh: list[NewCall] = []
    while todo:
        lost = await _settle_keys(connection, [c for c in todo if c.keys])
        refused: list[NewCall] = []
        for call in todo:
            if id(call) in lost:
                continue
            refusal = _refusal(call, accounts.get(call.account_id), available)
            if refusal is None:
                available[call.account_id] -= call.units
                fresh.append(call)
            else:
                results[id(call)] = refusal
                refused.append(call)
        await _drop_keys(connection, [c for c in refused if c.keys])
        # A key whose winner, in this very batch, was refused is free again.
        gone = {row[0] for call in refused for row in call.messages}
        again_free = [c for c in todo if id(c) in lost and lost[id(c)].holder in gone]
        results |= {key: lost_to.result for key, lost_to in lost.items() if lost_to.holder not in gone}
        todo = again_free

    if fresh:
        messages = [row for call in fresh for row in call.messages]
        await connection.copy_records_to_table(
            "message", records=messages, columns=MESSAGE_COLUMNS, timeout=10
        )
        parts = [row for call in fresh for row in call.parts]
        await connection.copy_records_to_table("part", records=parts, columns=PART_COLUMNS, timeout=10)
        debits = [c for c in fresh if c.units]
        if debits:
            await connection.execute(
                _DEBIT,
                [c.account_id for c in debits],
                [c.batch_id for c in debits],
                [c.units for c in debits],
            )
        delta: stats.Delta = Counter()
        for call in fresh:
            delta[call.account_id, 0, "accepted"] += len(call.parts)
        await stats.add(connection, node, delta)
        for call in fresh:
            if call.emergency_by:
                await audit.append(
                    connection, actor=call.emergency_by, action="message.emergency",
                    object=f"message/{call.batch_id}", after={"account": call.account_id, "parts": len(call.parts)},
                )  # fmt: skip
        signs: Counter[str] = Counter()
        for row in messages:
            signs[str(row[_SIGN])] += int(row[_PARTS])  # type: ignore[call-overload]
        del signs[""]
        await complaints.count_sent(connection, node, day_of(fresh[0].batch_id), signs)
        for call in fresh:
            results[id(call)] = Stored(call.batch_id)
    return [results[id(call)] for call in calls]


def _refusal(call: NewCall, account: Row | None, available: dict[int, int]) -> SmsgwError | None:
    if account is None or account["status"] != "active":
        return Refused("ACCOUNT_STOPPED")
    left: int = available[call.account_id]
    if call.units > left:
        return Refused("BALANCE_INSUFFICIENT", need=call.units, left=max(0, left))
    return None


@dataclass(frozen=True, slots=True)
class _Lost:
    """A call's key was taken before."""

    result: Stored | SmsgwError
    holder: int
    """The first message of the call that has it (of a ``client_ref``: the message)."""


async def _settle_keys(connection: Connection, calls: list[NewCall]) -> dict[int, _Lost]:
    """Insert the calls' keys; what becomes of the calls whose key was taken before (replay, mismatch, conflict)."""
    if not calls:
        return {}
    flat = sorted(
        ((c, k) for c in calls for k in c.keys), key=lambda e: (e[0].account_id, e[1].kind, e[1].key)
    )
    won = {
        (row["account_id"], row["kind"].decode(), row["key"], row["message_id"])
        for row in await connection.fetch(
            _INSERT_KEYS,
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
    existing = {
        (row["account_id"], row["kind"].decode(), row["key"]): row
        for row in await connection.fetch(
            _EXISTING_KEYS,
            [c.account_id for c, _ in missed],
            [k.kind.encode() for _, k in missed],
            [k.key for _, k in missed],
        )
    }
    lost: dict[int, _Lost] = {}
    for call, key in missed:
        row = existing[call.account_id, key.kind, key.key]
        if id(call) in lost:
            continue  # the Idempotency-Key has decided
        result: Stored | SmsgwError
        if row["request_sha256"] == key.request_sha256 and row["answer"]:
            result = Stored(row["message_id"], replay=row["answer"])
        elif key.kind == "k":
            result = Invalid("IDEMPOTENCY_MISMATCH")
        else:
            result = Invalid("CLIENT_REF_EXISTS", id=str(row["message_id"]))
        lost[id(call)] = _Lost(result, row["message_id"])
    await _drop_keys(connection, [c for c in calls if id(c) in lost])
    return lost


async def _drop_keys(connection: Connection, calls: list[NewCall]) -> None:
    """Take back the keys that these calls have inserted in this transaction."""
    flat = [(c, k) for c in calls for k in c.keys]
    if flat:
        await connection.execute(
            _DELETE_KEYS,
            [k.message_id for _, k in flat],
            [c.account_id for c, _ in flat],
            [k.kind.encode() for _, k in flat],
            [k.key for _, k in flat],
        )


_SWEEP_KEYS = "DELETE FROM request_key WHERE created_at < $1"


async def sweep_keys(connection: Connection, before: datetime) -> str:
    """Forget keys older than ``before``."""
    return await connection.execute(_SWEEP_KEYS, before)


_ANSWER = "SELECT answer FROM request_key WHERE account_id = $1 AND kind = 'k' AND key = $2"


async def answer_of(database: Database, account_id: int, key: str) -> bytes | None:
    """The stored answer of the call with this Idempotency-Key; None when there was none within 7 days."""
    answer: bytes | None = await database.fetchval(_ANSWER, account_id, key)
    return answer
