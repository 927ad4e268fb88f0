"""Events to customers in the database: recorded with what they tell of, leased to pullers and to partners' connections.

An event is offered by its account's primary way (``core.webhooks.Way``) until somebody has it; a row with a way of its
own is offered by that one alone. Pushing to webhooks is in ``store/messages/pushing.py``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from smsgw.core.ids import day_range, time_of
from smsgw.core.model import REPORT_CLASSES
from smsgw.core.pseudonyms import told_number
from smsgw.core.queue_cursors import ALL, Stretch
from smsgw.core.states import STATUS_NAMES
from smsgw.core.webhooks import MO, REPORT, TYPES, kind_of
from smsgw.store.engine.cte_batch import columns_of
from smsgw.store.engine.database import Connection, Database, Row

MAX_PULL = 500
EVERYWHERE = Stretch(0, ALL)
"""All ids."""
OTHER_KINDS = tuple(kind_of(t) for t in TYPES if kind_of(t) not in (REPORT, MO))
"""Kinds that are pulled by ``/events/pull``."""

Event = TypeVar("Event")


class EventRow(NamedTuple):
    """A row of ``customer_event`` about a message."""

    id: Annotated[int, "bigint"]
    account_id: Annotated[int, "bigint"]
    kind: Annotated[str, "text"]
    message_id: Annotated[int, "bigint"]
    status: Annotated[str, "text"]
    class_: Annotated[str, "text"]
    code: Annotated[str, "text"]
    parts_ok: Annotated[int, "smallint"]
    submitted_at: Annotated[datetime | None, "timestamptz"]
    done_at: Annotated[datetime | None, "timestamptz"]
    test: Annotated[bool, "boolean"]


EVENT_TYPES = columns_of(EventRow)


@dataclass(slots=True)
class Found(Generic[Event]):
    """What a look for events has found."""

    events: list[Event] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    """Of what was found; also where there is nothing left to tell of it."""
    seconds: float = 0.0
    """That the database took to find it."""

    def __len__(self) -> int:
        return len(self.ids)

    def __add__(self, other: Found[Event]) -> Found[Event]:
        return Found(self.events + other.events, self.ids + other.ids, self.seconds + other.seconds)


# --- recording --------------------------------------------------------------------------------------------------

_RECORD = """
INSERT INTO customer_event (id, account_id, kind, message_id, detail)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::bigint[], $5::jsonb[])
"""


async def record(
    connection: Connection,
    type_: str,
    told: Sequence[tuple[int, Mapping[str, Any]]],
    *,
    ids: Callable[[], int],
    subject: int | None = None,
) -> None:
    """Tell accounts of something, in the caller's transaction: (account id, what to say as JSON).

    ``type_`` is one of ``core.webhooks.TYPES`` other than reports and inbound messages. Events with the same
    ``subject`` (an id in the domain of the type) are pushed one after the other. After the commit notify the hub with
    the accounts and the type.
    """
    if type_ not in OTHER_KINDS:
        raise ValueError(f"{type_} is no type of event that can be recorded")
    if not told:
        return
    new = [ids() for _ in told]
    await connection.execute(
        _RECORD,
        new,
        [account_id for account_id, _ in told],
        [type_] * len(told),
        new if subject is None else [subject] * len(told),
        [json.dumps(detail, ensure_ascii=False) for _, detail in told],
    )


# --- what an event says -----------------------------------------------------------------------------------------

_MESSAGES = "SELECT id, client_ref, ext, number, parts, test, refusal FROM message WHERE id = ANY($1::bigint[])"

_INBOUND = """
SELECT o.*, m.client_ref FROM mo o LEFT JOIN message m ON m.id = o.in_reply_to WHERE o.id = ANY($1::bigint[])
"""


async def render(connection: Connection, kind: str, rows: Sequence[Row]) -> list[dict[str, object] | None]:
    """What the events (all of one kind) say, in the form of the API; None where the message is there no more."""
    if kind not in (REPORT, MO):
        return [_other(row) for row in rows]
    about = {
        row["id"]: row
        for row in await connection.fetch(
            _MESSAGES if kind == REPORT else _INBOUND, [row["message_id"] for row in rows]
        )
    }
    form = _report if kind == REPORT else _inbound
    return [form(row, about[row["message_id"]]) if row["message_id"] in about else None for row in rows]


def _report(event: Row, message: Row) -> dict[str, object]:
    cls = event["class"]
    return {
        "event_id": str(event["id"]),
        "message_id": str(event["message_id"]),
        "client_ref": message["client_ref"],
        "ext": message["ext"],
        "to": told_number(message["number"]),
        "status": event["status"],
        "class": cls,
        "carrier_code": event["code"],
        "description": message["refusal"] or str(REPORT_CLASSES.get(cls, cls) or STATUS_NAMES[event["status"]]),
        "parts": {"total": message["parts"], "ok": event["parts_ok"]},
        "kind": "sms",
        "test": message["test"],
        "submitted_at": event["submitted_at"],
        "done_at": event["done_at"],
    }


def _inbound(event: Row, mo: Row) -> dict[str, object]:
    reply = mo["in_reply_to"]
    return {
        "event_id": str(event["id"]),
        "mo_id": str(mo["id"]),
        "from": told_number(mo["number"]),
        "to_code": mo["to_code"],
        "extend_code": mo["extend_code"],
        "content": mo["content"],
        "received_at": mo["received_at"],
        "in_reply_to": {"message_id": str(reply), "client_ref": mo["client_ref"]} if reply else None,
        "complete": mo["complete"],
    }


def _other(event: Row) -> dict[str, object]:
    detail: dict[str, object] = json.loads(event["detail"]) if event["detail"] else {}
    return {**detail, "event_id": str(event["id"]), "type": event["kind"], "created_at": time_of(event["id"])}


# --- pull -------------------------------------------------------------------------------------------------------

_LEASE = """
WITH pick AS MATERIALIZED (
    SELECT id FROM customer_event
    WHERE account_id = $1 AND kind = $2 AND acknowledged_at IS NULL
      AND (leased_until IS NULL OR leased_until < clock_timestamp())
      AND test = $6 AND id >= $7 AND id <= $8 AND {which}
    ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE customer_event e SET batch_id = $4, leased_until = clock_timestamp() + $5 * interval '1 second'
FROM pick WHERE e.id = pick.id
RETURNING e.*
"""

_LEASES = {
    True: _LEASE.format(which="(way = 'pull' OR (way IS NULL AND target IS NULL))"),
    False: _LEASE.format(which="way = 'pull'"),
}

_ACK = """
UPDATE customer_event SET acknowledged_at = clock_timestamp(), done_by = 'pull'
WHERE batch_id = $1 AND account_id = $2 AND kind = ANY($3::text[]) AND acknowledged_at IS NULL
  AND ($4::bool IS NULL OR test = $4)
"""


async def pull_events(
    database: Database,
    account_id: int,
    kind: str,
    limit: int,
    *,
    batch: int,
    primary: bool,
    test: bool = False,
    lease_s: int = 60,
    within: Stretch = EVERYWHERE,
) -> Found[dict[str, object]]:
    """Lease up to ``limit`` waiting events of the account, oldest first, to ``batch``: items of the API.

    ``primary``: whether pull is the kind's way; otherwise only what was put there for redelivery is given. What is not
    acknowledged within ``lease_s`` seconds is offered again. Parallel callers never overlap. ``test``: of test
    messages, and only those.
    """
    async with database.acquire() as connection:
        begun = time.monotonic()
        rows = await connection.fetch(
            _LEASES[primary or test], account_id, kind, limit, batch, lease_s, test, within.first, within.last
        )
        seconds = time.monotonic() - begun
        rows.sort(key=lambda row: row["id"])
        items = await render(connection, kind, rows) if rows else []
    return Found([item for item in items if item is not None], [row["id"] for row in rows], seconds)


async def ack_events(
    database: Database, account_id: int, kinds: Iterable[str], batch_id: int, *, test: bool | None = False
) -> int:
    """Acknowledge a pulled batch; how many events it held (0: unknown, or acknowledged before). ``test``: those of test
    messages, and only those; None: either."""
    if not 0 < batch_id < 2**63:
        return 0
    tag = await database.execute(_ACK, batch_id, account_id, list(kinds), test)
    return int(tag.rpartition(" ")[2])


# --- bind -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BoundEvent:
    """An event on its way to a partner's connection."""

    id: int
    kind: str
    """``report`` or ``mo``."""
    message_id: int
    """Of the message, or of the inbound message."""
    tries: int
    """How often it was returned with a problem before."""
    status: str
    cls: str
    code: str
    done_at: datetime | None


# One claim of an account at a time, so that no other node is just taking an earlier event of the same message.
_TURN = "SELECT pg_advisory_xact_lock(1700949614, ($1::bigint % 2147483647)::int)"

_CLAIM = """
WITH held AS MATERIALIZED (
    SELECT message_id FROM customer_event
    WHERE account_id = $1 AND leased_until >= clock_timestamp() AND acknowledged_at IS NULL
),
pick AS MATERIALIZED (
    SELECT id FROM customer_event
    WHERE account_id = $1 AND kind = $2 AND acknowledged_at IS NULL
      AND (leased_until IS NULL OR leased_until < clock_timestamp())
      AND NOT test AND id >= $6 AND id <= $7 AND {which}
      AND message_id NOT IN (SELECT message_id FROM held)
    ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE customer_event e SET leased_until = clock_timestamp() + $4 * interval '1 second', batch_id = $5
FROM pick WHERE e.id = pick.id
RETURNING e.*
"""

_CLAIMS = {
    True: _CLAIM.format(which="(way = 'bind' OR (way IS NULL AND target IS NULL))"),
    False: _CLAIM.format(which="way = 'bind'"),
}

_ACK_BOUND = """
UPDATE customer_event SET acknowledged_at = clock_timestamp(), done_by = 'bind'
WHERE id = ANY($2::bigint[]) AND account_id = $1 AND acknowledged_at IS NULL
"""

_RETURN_BOUND = """
UPDATE customer_event SET attempts = attempts + ($4 <> '')::int, problem = $4,
    leased_until = CASE WHEN $3::float8 > 0 THEN clock_timestamp() + $3 * interval '1 second' END, batch_id = NULL
WHERE id = ANY($2::bigint[]) AND account_id = $1 AND acknowledged_at IS NULL
"""


async def claim_bound(
    database: Database,
    account_id: int,
    kind: str,
    limit: int,
    *,
    primary: bool = True,
    lease_s: int = 60,
    node: int = 0,
    within: Stretch = EVERYWHERE,
) -> Found[BoundEvent]:
    """Take up to ``limit`` events (``report`` or ``mo``) for a connection of the account's partner, oldest first.

    Any number of connections on any number of nodes may claim for the account: no event is given to two, and an event
    of a message only when its earlier ones are settled. What is neither acknowledged nor returned within ``lease_s``
    is offered again; what ``node`` holds, at its next start (``release_bound``). ``primary``: whether ``bind`` is the
    account's way (``Directory.hooks.way``); otherwise only what was put there for redelivery is given. Wait for more
    with ``EventHub``, and look every few seconds: other nodes do not ring.
    """
    async with database.transaction() as connection:
        await connection.execute(_TURN, account_id)
        begun = time.monotonic()
        rows = await connection.fetch(
            _CLAIMS[primary], account_id, kind, max(1, min(limit, MAX_PULL)), lease_s, _holder(node),
            within.first, within.last,
        )  # fmt: skip
        seconds = time.monotonic() - begun
    rows.sort(key=lambda row: row["id"])
    claimed = [
        BoundEvent(
            row["id"],
            kind,
            row["message_id"],
            row["attempts"],
            row["status"],
            row["class"],
            row["code"],
            row["done_at"],
        )
        for row in rows
    ]
    return Found(claimed, [row["id"] for row in rows], seconds)


def _holder(node: int) -> int:
    """What marks the events that a node holds: batches of pullers have ids, which are positive."""
    return -1 - node


_RELEASE_BOUND = """
UPDATE customer_event SET leased_until = NULL, batch_id = NULL WHERE batch_id = $1 AND acknowledged_at IS NULL
"""


async def release_bound(database: Database, node: int) -> None:
    """A node that starts holds nothing: what it held when it was killed is offered again at once."""
    await database.execute(_RELEASE_BOUND, _holder(node))


_WAITING = """
SELECT a.id, a.kind
FROM unnest($1::bigint[], $2::text[], $3::boolean[], $4::bigint[]) AS a(id, kind, is_primary, since)
WHERE EXISTS (SELECT 1 FROM customer_event e
              WHERE e.account_id = a.id AND e.kind = a.kind AND e.acknowledged_at IS NULL AND e.id >= a.since
                AND (e.leased_until IS NULL OR e.leased_until < clock_timestamp())
                AND NOT e.test AND (e.way = 'bind' OR (a.is_primary AND e.way IS NULL AND e.target IS NULL)))
"""


async def with_bound(database: Database, asked: Mapping[tuple[int, str], tuple[bool, int]]) -> list[tuple[int, str]]:
    """Of which of these (account, kind) events wait for a connection. Of each: whether ``bind`` is the account's way,
    and from which id on to look."""
    if not asked:
        return []
    rows = await database.fetch(
        _WAITING, [a for a, _ in asked], [k for _, k in asked], *map(list, zip(*asked.values(), strict=True))
    )
    return [(row["id"], row["kind"]) for row in rows]


async def ack_bound(database: Database | Connection, account_id: int, event_ids: Sequence[int]) -> int:
    """The partner has taken these events; how many of them were still waiting."""
    tag = await database.execute(_ACK_BOUND, account_id, list(event_ids))
    return int(tag.rpartition(" ")[2])


async def return_bound(
    database: Database | Connection,
    account_id: int,
    event_ids: Sequence[int],
    *,
    delay_s: float = 0.0,
    problem: str = "",
) -> int:
    """Give events back: they are offered again after ``delay_s`` seconds. With a ``problem`` (the partner's refusal)
    it counts as a try; without one (the connection went) it does not."""
    tag = await database.execute(_RETURN_BOUND, account_id, list(event_ids), delay_s, problem[:200])
    return int(tag.rpartition(" ")[2])


# --- the end ----------------------------------------------------------------------------------------------------

_LOST = """
INSERT INTO event_lost (day, account_id, kind, n)
SELECT $1, account_id, kind, count(*) FROM customer_event
WHERE id >= $2 AND id < $3 AND (acknowledged_at IS NULL OR dead_at IS NOT NULL) GROUP BY account_id, kind
ON CONFLICT DO NOTHING
"""


async def count_lost(connection: Connection, day: date) -> None:
    """Before the events of a day go: how many nobody has taken."""
    await connection.execute(_LOST, day, *day_range(day), timeout=60)
