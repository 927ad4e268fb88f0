"""Events of accounts whose partners are bound here: leased, acknowledged one by one, or put off."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.partners import IN_PARTS, ReplyTo, Wanted
from smsgw.store.db import Connection, Database, Row

MAX_CLAIM = 500
LEASE_S = 180
"""Longer than a partner may take to answer: while it is awaited, nobody else offers the event."""

_CLAIM = """
WITH pick AS MATERIALIZED (
    SELECT f.id FROM unnest(ARRAY['mo', 'report']) AS k(kind), LATERAL (
        SELECT e.id FROM customer_event e
        WHERE e.account_id = $1 AND e.kind = k.kind AND e.acknowledged_at IS NULL
          AND (e.leased_until IS NULL OR e.leased_until < clock_timestamp())
        ORDER BY e.id LIMIT $2 FOR UPDATE SKIP LOCKED
    ) f
),
few AS MATERIALIZED (SELECT id FROM pick ORDER BY id LIMIT $2)
UPDATE customer_event e SET batch_id = $3, leased_until = clock_timestamp() + $4 * interval '1 second'
FROM few WHERE e.id = few.id
RETURNING e.*
"""

_MESSAGES = """
SELECT id, batch_id, origin, number, left(content, 20) AS head, ext FROM message WHERE id = ANY($1::bigint[])
"""
_PARTS = """
SELECT id, message_id, number, reply FROM partner_part WHERE message_id = ANY($1::bigint[])
ORDER BY message_id, part, id
"""
_INBOUND = "SELECT * FROM mo WHERE id = ANY($1::bigint[])"


@dataclass(frozen=True, slots=True)
class ReceiptTo:
    """One receipt that an event asks for."""

    id: int
    """What the submit's answer said."""
    reply: ReplyTo
    number: str
    """E.164 digits, or as the partner wrote it."""
    head: str
    """The beginning of the text."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event, leased to us under ``batch``."""

    id: int
    batch: int
    status: str = ""
    cls: str = ""
    code: str = ""
    done_at: datetime | None = None
    receipts: tuple[ReceiptTo, ...] = ()
    """Of a report: those that were asked for. Empty: nothing is to be told."""
    mo: Row | None = None


async def claim(
    database: Database, account_id: int, limit: int, *, lease_s: int = LEASE_S, ids: Callable[[], int]
) -> list[Claimed]:
    """Lease up to ``limit`` waiting events of the account, oldest first. Callers never overlap."""
    batch = ids()
    async with database.transaction() as connection:
        rows = sorted(
            await connection.fetch(_CLAIM, account_id, min(limit, MAX_CLAIM), batch, lease_s),
            key=lambda row: row["id"],
        )
        if not rows:
            return []
        wanted = {kind: [r["message_id"] for r in rows if r["kind"] == kind] for kind in ("report", "mo")}
        messages = await _by_id(connection, _MESSAGES, wanted["report"])
        inbound = await _by_id(connection, _INBOUND, wanted["mo"])
        parts: dict[int, list[Row]] = {}
        elsewhere = [
            id_ for id_ in wanted["report"] if id_ not in messages or messages[id_]["ext"] == IN_PARTS
        ]
        if elsewhere:
            for row in await connection.fetch(_PARTS, elsewhere):
                parts.setdefault(row["message_id"], []).append(row)
    claimed = []
    for row in rows:
        id_ = row["message_id"]
        if row["kind"] == "mo":
            claimed.append(Claimed(row["id"], batch, mo=inbound.get(id_)))
            continue
        receipts = _receipts(id_, messages.get(id_), parts.get(id_, []))
        asked = tuple(r for r in receipts if r.reply.wanted.includes(row["status"]))
        claimed.append(
            Claimed(row["id"], batch, row["status"], row["class"], row["code"], row["done_at"], asked)
        )
    return claimed


async def _by_id(connection: Connection, sql: str, ids: Sequence[int]) -> dict[int, Row]:
    return {row["id"]: row for row in await connection.fetch(sql, ids)} if ids else {}


_OURS = ("smpp", "cmpp")
_EVERYTHING = ReplyTo(Wanted.ALL)


def _receipts(id_: int, message: Row | None, parts: Sequence[Row]) -> list[ReceiptTo]:
    if parts:
        head = message["head"] if message is not None else ""
        return [
            ReceiptTo(p["id"], ReplyTo.unpack(p["reply"]) or _EVERYTHING, p["number"], head) for p in parts
        ]
    if message is None:
        return []
    # What came by another door is told of, too: the account has chosen this way for its reports.
    reply = ReplyTo.unpack(message["ext"]) if message["origin"] in _OURS else None
    shown = message["batch_id"] if reply is not None and reply.by_batch else id_
    return [ReceiptTo(shown, reply or _EVERYTHING, message["number"], message["head"])]


_ACK = """
UPDATE customer_event e SET acknowledged_at = clock_timestamp(), leased_until = NULL
FROM unnest($1::bigint[]) AS a(id) WHERE e.id = a.id AND e.acknowledged_at IS NULL
"""


async def acknowledge(connection: Connection, event_ids: Sequence[int]) -> None:
    """The partner has taken them."""
    await connection.execute(_ACK, event_ids)


_PUT_OFF = """
UPDATE customer_event e SET leased_until = clock_timestamp() + a.seconds * interval '1 second'
FROM unnest($1::bigint[], $2::bigint[], $3::float[]) AS a(id, batch_id, seconds)
WHERE e.id = a.id AND e.batch_id = a.batch_id AND e.acknowledged_at IS NULL
"""


async def put_off(connection: Connection, events: Sequence[tuple[int, int, float]]) -> None:
    """(event, batch, seconds): to be offered again after that time."""
    await connection.execute(_PUT_OFF, [e[0] for e in events], [e[1] for e in events], [e[2] for e in events])


_WAITING = """
SELECT a.id FROM unnest($1::bigint[]) AS a(id)
WHERE EXISTS (SELECT 1 FROM customer_event e
              WHERE e.account_id = a.id AND e.kind IN ('mo', 'report') AND e.acknowledged_at IS NULL
                AND (e.leased_until IS NULL OR e.leased_until < clock_timestamp()))
"""


async def with_events(database: Database, account_ids: Collection[int]) -> list[int]:
    """Which of these accounts have events to be offered; other nodes make some, too."""
    return [row["id"] for row in await database.fetch(_WAITING, list(account_ids))]
