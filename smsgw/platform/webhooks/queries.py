"""The statements that read endpoints and deliveries; ``accounts`` None means those of all accounts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from smsgw.core.ids import first_id, time_of
from smsgw.core.webhooks import CALLBACK, MO, REPORT, TYPES, Endpoint, Hooks, Options, Way, kind_of
from smsgw.platform.paging import Order, Slice, Window, clauses, read, slice_of
from smsgw.platform.webhooks.model import (
    KINDS,
    Counted,
    Delays,
    Delivery,
    EndpointView,
    EventSetting,
    ListedEndpoint,
    Standing,
    Stretch,
    WantedDeliveries,
    WantedEndpoints,
)
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages.pushing import ATTEMPT_TYPES, Attempt

MARK = """
left(encode(sha256(convert_to(
    ROW(w.url, w.hosts, w.events, w.options, w.status, w.reason, w.secrets_sealed)::text, 'UTF8')), 'hex'), 16)
"""
"""Of an endpoint as people set it: another one when somebody has changed it."""
_COLUMNS = f"""
w.id, w.account_id, a.name AS account, w.name, w.url, w.hosts, w.events, w.options, w.status, w.reason, w.created_at,
w.failing_since, w.last_error, w.last_ok_at, w.old_until, cardinality(w.secrets_sealed) AS secrets,
COALESCE(s.way, 'pull') AS way, {MARK} AS mark
"""
_FROM = "FROM webhook w JOIN account a ON a.id = w.account_id LEFT JOIN event_setting s ON s.account_id = w.account_id"
_SEEN = "($1::bigint[] IS NULL OR w.account_id = ANY($1))"
_LIST = f"SELECT {_COLUMNS} {_FROM} WHERE {_SEEN} AND ($2::text IS NULL OR w.name = $2) ORDER BY a.name, w.name"


async def endpoints(
    database: Database, accounts: Sequence[int] | None = None, name: str | None = None
) -> list[EndpointView]:
    """Endpoints of the accounts, of that name if one is given."""
    return [_view(row) for row in await database.fetch(_LIST, _array(accounts), name)]


def _view(row: Row) -> EndpointView:
    return EndpointView(
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
        old_secret_until=row["old_until"] if row["secrets"] > 1 else None,
        mark=row["mark"],
        way=row["way"],
    )


_MATCHES = f"""
{_SEEN} AND ($2::bigint IS NULL OR w.account_id = $2) AND ($3 = '' OR strpos(w.name, $3) > 0)
AND ($4 = '' OR $4 = CASE WHEN w.status <> 'active' THEN w.status WHEN w.failing_since IS NULL THEN 'active'
                     ELSE 'failing' END)
"""
_ENDPOINT_ORDERS = {"account": Order("a.name", "text"), "created_at": Order("w.created_at", "timestamptz")}
_SEARCH = f"SELECT {_COLUMNS}, {{key}} AS _key {_FROM} WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}"
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FROM} WHERE {_MATCHES} LIMIT $5) f"  # noqa: S608
_BY_ID = f"SELECT {_COLUMNS} {_FROM} WHERE {_SEEN} AND w.id = $2"
SHOWN = 10_000
"""Events that are looked at for each kind of an endpoint, on every page alike."""


async def search_endpoints(
    database: Database, wanted: WantedEndpoints, window: Window, *, accounts: Sequence[int] | None
) -> Slice[ListedEndpoint]:
    """A window of endpoints, with what is owed to them."""
    asked = _array(accounts), wanted.account_id, wanted.name, wanted.state
    found = await read(database, _SEARCH, asked, _ENDPOINT_ORDERS, window, _view, id_="w.id")
    standing = await owed(database, found.rows)
    return Slice([ListedEndpoint(one, standing[one.id]) for one in found.rows], found.keys, found.more)


async def how_many_endpoints(
    database: Database, wanted: WantedEndpoints, most: int, *, accounts: Sequence[int] | None
) -> int:
    """How many ``search_endpoints`` finds, counted up to one more than ``most``."""
    asked = _array(accounts), wanted.account_id, wanted.name, wanted.state
    n: int = await database.fetchval(_HOW_MANY, *asked, most + 1)
    return n


async def view(database: Database, id_: int, *, accounts: Sequence[int] | None) -> EndpointView | None:
    """An endpoint by its id."""
    row = await database.fetchrow(_BY_ID, _array(accounts), id_)
    return None if row is None else _view(row)


async def endpoint(database: Database, id_: int, *, accounts: Sequence[int] | None) -> ListedEndpoint | None:
    """An endpoint by its id, with what is owed to it."""
    found = await view(database, id_, accounts=accounts)
    return None if found is None else ListedEndpoint(found, (await owed(database, [found]))[found.id])


# What waits is looked at from the oldest on, and never more of it than so many: an account that pulls may have millions
# of events that are nothing to its endpoints. Where so many were there, more may be.
_WAITS = """
SELECT e.id, e.way, e.target FROM customer_event e
WHERE e.account_id = {account} AND e.kind = {kind} AND e.acknowledged_at IS NULL AND NOT e.test
ORDER BY e.id LIMIT {most}
"""
_OWED = f"""
SELECT q.id, w.n AS waiting, w.cut AS waiting_cut, w.oldest, d.n AS dead, d.cut AS dead_cut
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::boolean[], $5::boolean[])
     AS q(id, account_id, kind, callback, pushed)
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE goes) AS n, min(id) FILTER (WHERE goes) AS oldest, count(*) >= $6 AS cut FROM (
        SELECT few.id, few.target IS NULL AND (few.way = 'webhook' OR (q.pushed AND few.way IS NULL)) AS goes
        FROM ({_WAITS.format(account="q.account_id", kind="q.kind", most="$6")}) few WHERE NOT q.callback
    ) f
) own
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE goes) AS n, min(id) FILTER (WHERE goes) AS oldest, count(*) >= $6 AS cut FROM (
        SELECT e.id, e.way IS NULL OR e.way = 'webhook' AS goes FROM customer_event e
        WHERE q.callback AND e.account_id = q.account_id AND e.target IS NOT NULL AND e.acknowledged_at IS NULL
          AND NOT e.test ORDER BY e.id LIMIT $6
    ) f
) targets
CROSS JOIN LATERAL (
    SELECT own.n + targets.n, own.cut OR targets.cut, LEAST(own.oldest, targets.oldest)
) AS w(n, cut, oldest)
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE f.kind = q.kind AND (f.target IS NOT NULL) = q.callback) AS n, count(*) >= $6 AS cut
    FROM (
        SELECT e.kind, e.target FROM customer_event e
        WHERE e.account_id = q.account_id AND e.dead_at IS NOT NULL ORDER BY e.id DESC LIMIT $6
    ) f
) d
"""  # noqa: S608 - constant text


async def owed(database: Database, views: Sequence[EndpointView], most: int = SHOWN) -> dict[int, Standing]:
    """By id what is owed to each of these endpoints; of each kind of events at most so many are looked at."""
    found = {one.id: Standing() for one in views}
    kinds = await _kinds(database, views)
    asked = [(one, kind) for one in views for kind in kinds[one.id]]
    rows = await database.fetch(
        _OWED, [one.id for one, _ in asked], [one.account_id for one, _ in asked], [kind for _, kind in asked],
        [one.name == CALLBACK for one, _ in asked], [one.way == Way.WEBHOOK for one, _ in asked], most, timeout=15,
    )  # fmt: skip
    for row in rows:
        was = found[row["id"]]
        found[row["id"]] = was + Standing(
            Counted(row["waiting"], row["waiting_cut"]),
            time_of(row["oldest"]) if row["oldest"] else None,
            Counted(row["dead"], row["dead_cut"]),
        )
    return found


async def owed_to_all(database: Database) -> Standing:
    """What is owed to all endpoints together, those that are switched off included: it waits all the same."""
    found = await owed(database, await endpoints(database))
    return sum(found.values(), Standing())


_OF_ACCOUNTS = "SELECT id, account_id, name, events FROM webhook WHERE account_id = ANY($1::bigint[])"


def _made(id_: int, account_id: int, name: str, events: Sequence[str]) -> Endpoint:
    """As much of an endpoint as tells which events go to it."""
    return Endpoint(id_, account_id, "", name, "", tuple(events), Options(), ())


async def _of(database: Database, accounts: Sequence[int]) -> list[Endpoint]:
    rows = await database.fetch(_OF_ACCOUNTS, accounts)
    return [_made(row["id"], row["account_id"], row["name"], row["events"]) for row in rows]


async def _kinds(database: Database, views: Sequence[EndpointView]) -> dict[int, tuple[str, ...]]:
    """By id the kinds of events that go to each of these endpoints."""
    made = {one.id: one for one in await _of(database, sorted({one.account_id for one in views}))}
    hooks = Hooks(made.values())
    return {one.id: hooks.kinds(made[one.id]) if one.id in made else () for one in views}


_WAITING = f"""
SELECT COALESCE(sum(w.n), 0)::bigint AS n, COALESCE(bool_or(w.cut), false) AS cut
FROM unnest($2::text[]) AS k(kind) CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE few.target IS NULL AND (few.way IS NULL OR ($4 AND few.way = 'webhook'))) AS n,
           count(*) >= $3 AS cut
    FROM ({_WAITS.format(account="$1", kind="k.kind", most="$3")}) few
) w
"""  # noqa: S608 - constant text


async def _waiting(database: Database, account_id: int, kinds: Sequence[str], *, pushed: bool) -> Counted:
    """Of these kinds; ``pushed``: with those that are to be pushed whatever the account's way is."""
    row = await database.fetchrow(_WAITING, account_id, kinds, SHOWN, pushed, timeout=15)
    return Counted() if row is None else Counted(row["n"], row["cut"])


async def waiting_for(database: Database, account_id: int, name: str, events: Sequence[str]) -> Counted:
    """Events that wait and go to an endpoint of that name once it has these types and the account pushes."""
    others = [one for one in await _of(database, [account_id]) if one.name != name]
    made = _made(0, account_id, name, events)
    kinds = Hooks([*others, made]).kinds(made)
    return await _waiting(database, account_id, kinds, pushed=True)


async def waiting_turned(database: Database, account_id: int, way: str) -> Counted:
    """Events that wait and go another way once the account has this one."""
    endpoints = await _of(database, [account_id])
    was = Way((await setting(database, account_id)).way)
    before, after = Hooks(endpoints, {account_id: was}), Hooks(endpoints, {account_id: Way(way)})
    kinds = [kind_of(type_) for type_ in TYPES if before.way(account_id, type_) is not after.way(account_id, type_)]
    return await _waiting(database, account_id, kinds, pushed=False)


_STRETCHES = """
SELECT date_bin($3, at, timestamptz '2024-01-01 00:00:00+08') AS at,
       COALESCE(sum(calls) FILTER (WHERE error = ''), 0)::bigint AS good,
       COALESCE(sum(calls) FILTER (WHERE error <> ''), 0)::bigint AS failed,
       COALESCE(sum(events) FILTER (WHERE error = ''), 0)::bigint AS events,
       max(ms) FILTER (WHERE error = '') AS slowest
FROM webhook_attempt WHERE webhook_id = $1 AND id >= $2 AND events > 0 GROUP BY 1 ORDER BY 1
"""


async def stretches(database: Database, id_: int, since: datetime, step: timedelta) -> list[Stretch]:
    """Calls to an endpoint since then in stretches of time; those without any call are left out."""
    rows = await database.fetch(_STRETCHES, id_, max(0, first_id(since)), step, timeout=15)
    return [Stretch(row["at"], row["good"], row["failed"], row["events"], row["slowest"]) for row in rows]


_TAKEN = """
SELECT e.id, e.acknowledged_at FROM unnest($2::text[]) AS k(kind), LATERAL (
    SELECT id, acknowledged_at, done_by, target FROM customer_event
    WHERE account_id = $1 AND kind = k.kind AND acknowledged_at IS NOT NULL AND dead_at IS NULL AND id >= $3
    ORDER BY id DESC LIMIT $4
) e WHERE e.done_by = 'webhook' AND (e.target IS NOT NULL) = $5 ORDER BY e.id DESC LIMIT $4
"""
LATELY = 1000
"""Events whose delays are told."""


async def delays(database: Database, view: EndpointView, since: datetime) -> Delays | None:
    """How long the newest events have taken; None: none was taken since then."""
    kinds = (await _kinds(database, [view]))[view.id]
    rows = await database.fetch(
        _TAKEN, view.account_id, list(kinds), max(0, first_id(since)), LATELY, view.name == CALLBACK, timeout=15
    )
    took = sorted(max(0.0, (row["acknowledged_at"] - time_of(row["id"])).total_seconds()) for row in rows)
    if not took:
        return None
    return Delays(len(took), took[len(took) // 2], took[min(len(took) - 1, len(took) * 95 // 100)])


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
    state: " UNION ALL ".join(_PAGES.format(state=clause) for clause in clauses) + " ORDER BY id DESC LIMIT $5"
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


async def how_many(database: Database, wanted: WantedDeliveries, most: int, *, accounts: Sequence[int] | None) -> int:
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
        _ATTEMPTS, account_id, name, before_id if before_id is not None else 2**63 - 1, max(1, min(limit, 500))
    )
    return [Attempt(*(row[column] for column in ATTEMPT_TYPES)) for row in rows]
