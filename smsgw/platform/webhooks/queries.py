"""The statements that read endpoints and deliveries; ``accounts`` None means those of all accounts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from smsgw.core.ids import first_id
from smsgw.core.webhooks import MO, REPORT
from smsgw.platform.paging import Order, Slice, Window, clauses, slice_of
from smsgw.platform.webhooks.model import KINDS, Delivery, EndpointView, EventSetting, WantedDeliveries
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages.pushing import ATTEMPT_TYPES, Attempt

_LIST = """
SELECT w.*, a.name AS account FROM webhook w JOIN account a ON a.id = w.account_id
WHERE ($1::bigint[] IS NULL OR w.account_id = ANY($1)) AND ($2::text IS NULL OR w.name = $2) ORDER BY a.name, w.name
"""


async def endpoints(
    database: Database, accounts: Sequence[int] | None = None, name: str | None = None
) -> list[EndpointView]:
    """Endpoints of the accounts, of that name if one is given."""
    return [
        EndpointView(
            id=row["id"],
            account_id=row["account_id"],
            account=row["account"],
            name=row["name"],
            url=row["url"],
            hosts=tuple(row["hosts"]),
            events=tuple(row["events"]),
            options=json.loads(row["options"]),
            status=row["status"],
            reason=row["reason"],
            created_at=row["created_at"],
            failing_since=row["failing_since"],
            last_error=row["last_error"],
            last_ok_at=row["last_ok_at"],
            old_secret_until=row["old_until"] if len(row["secrets_sealed"]) > 1 else None,
        )
        for row in await database.fetch(_LIST, _array(accounts), name)
    ]


def _array(accounts: Sequence[int] | None) -> list[int] | None:
    return None if accounts is None else list(accounts)


_SETTING = "SELECT way, balance_below FROM event_setting WHERE account_id = $1"


async def setting(database: Database | Connection, account_id: int) -> EventSetting:
    """How the account gets its events."""
    row = await database.fetchrow(_SETTING, account_id)
    return EventSetting() if row is None else EventSetting(row["way"], row["balance_below"])


# --- deliveries ------------------------------------------------------------------------------------------------------

STATE_CLAUSES = {
    "waiting": "acknowledged_at IS NULL",
    "dead": "dead_at IS NOT NULL",
    "delivered": "acknowledged_at IS NOT NULL AND dead_at IS NULL",
    None: "true",
}
INDEXED_CLAUSES = {
    "waiting": ("acknowledged_at IS NULL",),
    "dead": ("acknowledged_at IS NOT NULL AND dead_at IS NOT NULL",),
    "delivered": ("acknowledged_at IS NOT NULL AND dead_at IS NULL",),
    None: ("acknowledged_at IS NULL", "acknowledged_at IS NOT NULL"),
}
# A page of each account and kind by its index, then the newest of all: it is not looked for among others' events.
_PAGES = """
SELECT e.* FROM unnest($1::bigint[]) AS a(id), unnest($2::text[]) AS k(kind), LATERAL (
    SELECT * FROM customer_event
    WHERE account_id = a.id AND kind = k.kind AND id < $3 AND id >= $4 AND {state} ORDER BY id DESC LIMIT $5
) e
"""
_LISTS = {
    state: " UNION ALL ".join(_PAGES.format(state=clause) for clause in clauses)
    + " ORDER BY id DESC LIMIT $5"
    for state, clauses in INDEXED_CLAUSES.items()
}
_ABOUT = """
WITH about AS MATERIALIZED (SELECT * FROM customer_event WHERE message_id = $1)
SELECT * FROM about
WHERE account_id = ANY($2::bigint[]) AND kind = ANY($3::text[]) AND id < $4 AND id >= $5 AND {state}
ORDER BY id DESC LIMIT $6
"""
_LISTS_ABOUT = {state: _ABOUT.format(state=clause) for state, clause in STATE_CLAUSES.items()}
_ACCOUNTS = "SELECT id FROM account"


async def deliveries(
    database: Database,
    accounts: Sequence[int] | None,
    *,
    state: str | None,
    kind: str | None = None,
    message_id: int | None = None,
    since: datetime,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """Events with their delivery, newest first."""
    if accounts is None:
        accounts = [row["id"] for row in await database.fetch(_ACCOUNTS)]
    kinds = KINDS if kind is None else (kind,)
    span = before_id if before_id is not None else 2**63 - 1, max(0, first_id(since)), max(1, min(limit, 500))
    if message_id is not None:
        rows = await database.fetch(_LISTS_ABOUT[state], message_id, accounts, kinds, *span, timeout=15)
    else:
        rows = await database.fetch(_LISTS[state], accounts, kinds, *span, timeout=15)
    return [_delivery(row) for row in rows]


def _delivery(row: Row) -> Delivery:
    done = row["acknowledged_at"]
    state = "dead" if row["dead_at"] else "delivered" if done else "waiting"
    return Delivery(
        id=row["id"],
        account_id=row["account_id"],
        kind=row["kind"],
        message_id=row["message_id"] if row["kind"] in (REPORT, MO) else 0,
        state=state,
        tries=row["attempts"],
        problem=row["problem"],
        next_at=row["leased_until"] if state == "waiting" and row["attempts"] else None,
        done_at=done,
        done_by=row["done_by"],
        way=row["way"],
        target=row["target"],
        account=row.get("account", ""),
    )


# The same for lists: in either direction, from any row on.
_WINDOW = """
SELECT e.*, e.id::text AS _key, a.name AS account FROM account a, unnest($2::text[]) AS k(kind), LATERAL (
    SELECT * FROM customer_event
    WHERE account_id = a.id AND kind = k.kind AND id >= $3 AND id < $4 AND {state} {{where}}
    ORDER BY id {{way}} LIMIT {{limit}}
) e WHERE $1::bigint[] IS NULL OR a.id = ANY($1)
"""
_WINDOWS = {
    state: " UNION ALL ".join(_WINDOW.format(state=clause) for clause in clauses) + " ORDER BY id {way} LIMIT {limit}"
    for state, clauses in INDEXED_CLAUSES.items()
}
_WINDOW_ABOUT = """
WITH about AS MATERIALIZED (
    SELECT e.*, e.id::text AS _key, a.name AS account FROM customer_event e JOIN account a ON a.id = e.account_id
    WHERE message_id = $5
)
SELECT * FROM about
WHERE ($1::bigint[] IS NULL OR account_id = ANY($1)) AND kind = ANY($2::text[]) AND id >= $3 AND id < $4
  AND {state} {{where}}
ORDER BY id {{way}} LIMIT {{limit}}
"""
_WINDOWS_ABOUT = {state: _WINDOW_ABOUT.format(state=clause) for state, clause in STATE_CLAUSES.items()}
# Their number: without an order of all it ends with the last that counts. That of each account and kind is the index's.
_COUNT = """
SELECT FROM account a, unnest($2::text[]) AS k(kind), LATERAL (
    SELECT FROM customer_event
    WHERE account_id = a.id AND kind = k.kind AND id >= $3 AND id < $4 AND {state} ORDER BY id DESC LIMIT {{most}}
) e WHERE $1::bigint[] IS NULL OR a.id = ANY($1)
"""
_COUNTS = {
    state: f"SELECT count(*) FROM ({' UNION ALL '.join(_COUNT.format(state=c) for c in clauses)} LIMIT {{most}}) few"  # noqa: S608
    for state, clauses in INDEXED_CLAUSES.items()
}
_COUNTS_ABOUT = {
    state: f"SELECT count(*) FROM ({window.format(where='', way='DESC', limit='{most}')}) few"  # noqa: S608
    for state, window in _WINDOWS_ABOUT.items()
}
ORDERS = {"time": Order("id", "bigint")}


async def search(
    database: Database, wanted: WantedDeliveries, window: Window, *, accounts: Sequence[int] | None
) -> Slice[Delivery]:
    """A window of them, by their time."""
    about = wanted.message_id is not None
    own = _asked(wanted, accounts)
    c = clauses(ORDERS, window, id_="id", first=len(own) + 1)
    way = "DESC" if window.descending != window.backwards else "ASC"
    statement = (_WINDOWS_ABOUT if about else _WINDOWS)[wanted.state].format(
        where=f"AND {c.where}", way=way, limit=c.limit + 1
    )
    rows = slice_of(await database.fetch(statement, *own, *c.arguments, timeout=15), window, c.limit)
    return Slice([_delivery(row) for row in rows.rows], rows.keys, rows.more)


async def how_many(
    database: Database, wanted: WantedDeliveries, most: int, *, accounts: Sequence[int] | None
) -> int:
    """How many ``search`` finds; not counted beyond ``most``."""
    statement = (_COUNTS if wanted.message_id is None else _COUNTS_ABOUT)[wanted.state].format(most=int(most))
    n: int = await database.fetchval(statement, *_asked(wanted, accounts), timeout=15)
    return n


async def one(database: Database, id_: int, *, accounts: Sequence[int] | None) -> Delivery | None:
    """One of them by its id."""
    row = await database.fetchrow(_ONE, id_, _array(accounts))
    return None if row is None else _delivery(row)


_ONE = """
SELECT e.*, a.name AS account FROM customer_event e JOIN account a ON a.id = e.account_id
WHERE e.id = $1 AND ($2::bigint[] IS NULL OR e.account_id = ANY($2))
"""


def _asked(wanted: WantedDeliveries, accounts: Sequence[int] | None) -> tuple[object, ...]:
    if wanted.account_id is not None:
        accounts = [id_ for id_ in (wanted.account_id,) if accounts is None or id_ in accounts]
    kinds = KINDS if wanted.kind is None else (wanted.kind,)
    span = max(0, first_id(wanted.first)), max(0, first_id(wanted.until))
    about = () if wanted.message_id is None else (wanted.message_id,)
    return _array(accounts), list(kinds), *span, *about


_ATTEMPTS = """
SELECT t.* FROM webhook_attempt t JOIN webhook w ON w.id = t.webhook_id
WHERE w.account_id = $1 AND w.name = $2 AND t.id < $3 ORDER BY t.id DESC LIMIT $4
"""


async def attempts(
    database: Database, account_id: int, name: str, *, before_id: int | None = None, limit: int = 50
) -> list[Attempt]:
    """Calls to an endpoint, newest first."""
    rows = await database.fetch(
        _ATTEMPTS,
        account_id,
        name,
        before_id if before_id is not None else 2**63 - 1,
        max(1, min(limit, 500)),
    )
    return [Attempt(*(row[column] for column in ATTEMPT_TYPES)) for row in rows]
