"""Submits of partners that are no messages of their own: parts that wait for their siblings, refused destinations.

A part has an id that its sender was given; its row goes over into the message that it becomes part of, in that
message's accept transaction. What never becomes part of one is refused: a report under the part's own id says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.ids import first_id
from smsgw.core.webhooks import REPORT
from smsgw.store.db import Connection, Database, Row

Ids = Callable[[], int]
CLOCK_SKEW = timedelta(minutes=1)
"""Between the clocks of nodes."""

PATIENCE = timedelta(minutes=10)
"""Parts wait this long for their siblings."""
REPEATED_WITHIN = timedelta(seconds=60)
"""The same part of a message that is whole already is, within this time, the same submit: its sender had not got the
answer. Later it is another message under the same reference."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part as it came. Fields as in the table."""

    id: int
    account_id: int
    partner_id: int
    key: str
    total: int
    part: int
    number: str
    octets: bytes
    coding: str
    extend_code: str
    reply: str
    urgent: bool
    send_at: datetime | None
    expire_at: datetime | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """A part is stored. ``id`` is another one's when it had come before."""

    id: int
    complete: bool
    """All its siblings are there."""


_COLUMNS = (
    "id", "account_id", "partner_id", "key", "total", "part", "number", "octets", "coding", "extend_code", "reply",
    "urgent", "send_at", "expire_at", "received_at",
)  # fmt: skip

_EVENT_COLUMNS = ("id", "account_id", "kind", "message_id", "status", "code", "done_at", "way")

_KNOWN = """
SELECT p.id, p.account_id, p.key, p.part, p.octets, p.message_id, p.received_at
FROM unnest($1::bigint[], $2::text[]) AS k(account_id, key)
JOIN partner_part p ON p.account_id = k.account_id AND p.key = k.key AND p.received_at > $3 AND p.id >= $4
WHERE p.message_id IS NULL OR p.message_id <> p.id
ORDER BY p.id FOR UPDATE OF p
"""


async def keep(
    connection: Connection, parts: Sequence[Part], ids: Ids, *, now: datetime
) -> tuple[list[Kept], set[int]]:
    """Store parts; one result each, and the accounts with new events.

    A part that came before is not stored again. One that comes with other content than its namesake starts a message
    anew: the namesake's set will not be completed and is refused.
    """
    keys = sorted({(p.account_id, p.key) for p in parts})
    since = now - PATIENCE
    rows = await connection.fetch(
        _KNOWN, [k[0] for k in keys], [k[1] for k in keys], since, first_id(since - CLOCK_SKEW)
    )
    sets: dict[tuple[int, str], dict[int, tuple[int, bytes, bool]]] = {}
    for row in rows:  # the newest of a number wins
        if row["message_id"] is not None and row["received_at"] < now - REPEATED_WITHIN:
            continue
        known = sets.setdefault((row["account_id"], row["key"]), {})
        known[row["part"]] = (row["id"], row["octets"], row["message_id"] is not None)
    fresh: list[Part] = []
    abandoned: list[int] = []
    results: list[Kept] = []
    for part in parts:
        known = sets.setdefault((part.account_id, part.key), {})
        before = known.get(part.part)
        if before is not None and before[1] == part.octets:
            results.append(Kept(before[0], not before[2] and _complete(known, part.total)))
            continue
        if before is not None or any(joined for _, _, joined in known.values()):
            abandoned += [id_ for id_, _, joined in known.values() if not joined]
            known.clear()
        known[part.part] = (part.id, part.octets, False)
        fresh.append(part)
        results.append(Kept(part.id, _complete(known, part.total)))
    await connection.copy_records_to_table(
        "partner_part",
        records=[tuple(getattr(p, name) for name in _COLUMNS) for p in fresh],
        columns=_COLUMNS,
        timeout=10,
    )
    told = await refuse(connection, abandoned, ids, code="REF_REUSED") if abandoned else set()
    return results, told


def _complete(known: Mapping[int, tuple[int, bytes, bool]], total: int) -> bool:
    return len(known) == total and not any(joined for _, _, joined in known.values())


_OPEN = (
    "SELECT * FROM partner_part WHERE account_id = $1 AND key = $2 AND message_id IS NULL ORDER BY part, id"
)


async def open_parts(database: Database, account_id: int, key: str) -> list[Row]:
    """What waits under this key."""
    return await database.fetch(_OPEN, account_id, key)


_LOCK = (
    "SELECT id FROM partner_part WHERE id = ANY($1::bigint[]) AND message_id IS NULL ORDER BY id FOR UPDATE"
)
_JOIN = """
UPDATE partner_part p SET message_id = j.message_id
FROM unnest($1::bigint[], $2::bigint[]) AS j(id, message_id) WHERE p.id = j.id AND p.message_id IS NULL
"""


async def lock(connection: Connection, ids: Collection[int]) -> set[int]:
    """Lock parts that are about to be joined; those that still wait."""
    return {row["id"] for row in await connection.fetch(_LOCK, sorted(ids))}


async def join(connection: Connection, joined: Mapping[int, int]) -> None:
    """Parts become part of messages: part id -> message id."""
    await connection.execute(_JOIN, list(joined), list(joined.values()))


_REFUSE = """
UPDATE partner_part SET message_id = id WHERE id = ANY($1::bigint[]) AND message_id IS NULL
RETURNING id, account_id, received_at
"""


async def refuse(connection: Connection, part_ids: Sequence[int], ids: Ids, *, code: str) -> set[int]:
    """Waiting parts come to nothing: each gets a report that says so. The accounts with new events."""
    rows = await connection.fetch(_REFUSE, list(part_ids))
    await _tell(connection, [(row["id"], row["account_id"], row["received_at"]) for row in rows], ids, code)
    return {row["account_id"] for row in rows}


async def _tell(
    connection: Connection, refused: Sequence[tuple[int, int, datetime]], ids: Ids, code: str
) -> None:
    # No other way than a bind could say which submit it is about.
    records = [
        (ids(), account_id, REPORT, id_, "rejected", code, at, "bind") for id_, account_id, at in refused
    ]
    if records:
        await connection.copy_records_to_table("customer_event", records=records, columns=_EVENT_COLUMNS)


async def note_refused(connection: Connection, parts: Sequence[tuple[Part, str]], ids: Ids) -> set[int]:
    """Destinations of a group that were refused, with the code; a report of each is due."""
    await connection.copy_records_to_table(
        "partner_part",
        records=[(*(getattr(p, name) for name in _COLUMNS), p.id) for p, _ in parts],
        columns=(*_COLUMNS, "message_id"),
        timeout=10,
    )
    for part, code in parts:
        await _tell(connection, [(part.id, part.account_id, part.received_at)], ids, code)
    return {p.account_id for p, _ in parts}


_FORGET = "DELETE FROM partner_part WHERE id = $1 AND message_id IS NULL"


async def forget(connection: Connection, part_id: int) -> None:
    """A part whose submit is refused; its sender may send it again."""
    await connection.execute(_FORGET, part_id)


_READY = """
SELECT account_id, key FROM partner_part WHERE message_id IS NULL AND received_at < $1
GROUP BY account_id, key, total HAVING count(DISTINCT part) = total LIMIT 200
"""


async def ready(database: Database, before: datetime) -> list[Row]:
    """Complete sets whose joining was left undone: by a crash, or because the last two came by two nodes at once."""
    return await database.fetch(_READY, before)


_STALE = "SELECT id FROM partner_part WHERE message_id IS NULL AND received_at < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED"


async def give_up(connection: Connection, before: datetime, ids: Ids) -> set[int]:
    """Parts whose siblings have not come in time are refused. The accounts with new events."""
    stale = [row["id"] for row in await connection.fetch(_STALE, before)]
    return await refuse(connection, stale, ids, code="PARTS_MISSING") if stale else set()
