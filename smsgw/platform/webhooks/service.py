"""Changes of endpoints and ways, and offering events again."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import first_id
from smsgw.core.permissions import Permission
from smsgw.core.webhooks import (
    CALLBACK,
    MAX_ENDPOINTS,
    MO,
    NAME,
    OPERATORS_ONLY,
    PLACEHOLDER,
    TYPES,
    Format,
    Options,
    Reach,
    Way,
    Wrong,
    check_hosts,
    check_url,
    kind_of,
    parse_networks,
    parse_options,
    type_of,
)
from smsgw.core.words import phrase
from smsgw.pipeline.delivery.push import Pusher
from smsgw.pipeline.delivery.push_http import Answer
from smsgw.pipeline.snapshot import Snapshots
from smsgw.platform.change import Change, Unit
from smsgw.platform.webhooks import queries
from smsgw.platform.webhooks.model import KINDS, MAX_REDELIVERED, MOST_BELOW, EventSetting, Wanted
from smsgw.platform.webhooks.queries import INDEXED_CLAUSES, STATE_CLAUSES
from smsgw.runtime import clock
from smsgw.store.config.webhooks import lease_of, secret_context
from smsgw.store.engine.database import Row
from smsgw.store.engine.secrets import Sealer

SECRET_OCTETS = 32
PREFIX = "whsec_"
MAX_OLD_HOURS = 168
"""How long the former secret may sign beside the new one."""

_COUNT = "SELECT count(*) FROM webhook WHERE account_id = $1 AND name <> $2"
_RIVAL = """
SELECT name FROM webhook WHERE account_id = $1 AND name <> $2 AND name <> 'callback'
  AND (events && $3::text[] OR (events = '{}' AND $3::text[] = '{}')) LIMIT 1
"""
_PUT = """
INSERT INTO webhook AS w (account_id, name, url, hosts, events, options, secrets_sealed)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (account_id, name) DO UPDATE SET url = excluded.url, hosts = excluded.hosts, events = excluded.events,
    options = excluded.options, status = 'active', reason = '', failing_since = NULL
RETURNING xmax = 0 AS made
"""
_KNOWN = f"""
SELECT w.url, w.events, w.hosts, w.options, w.status, {queries.MARK} AS mark FROM webhook w
WHERE w.account_id = $1 AND w.name = $2 FOR UPDATE
"""  # noqa: S608
_USE_PUSH = """
INSERT INTO event_setting AS s (account_id, way) VALUES ($1, 'webhook')
ON CONFLICT (account_id) DO UPDATE SET way = 'webhook' WHERE s.way = 'pull'
"""
_LOCK_ACCOUNT = "SELECT name, webhook_networks FROM account WHERE id = $1 FOR UPDATE"


async def put(
    change: Change, sealer: Sealer, account_id: int, wanted: Wanted, reach: Reach, *, new: bool | None = None,
    seen: str | None = None,
) -> str | None:  # fmt: skip
    """Make or change an endpoint; its secret when it is new. ``new``: it has to be, or must not be. Types of events
    that the actor may not have stay where they are. ``seen``: the mark of the endpoint that it looked at (None: of
    none); ``STATE_CONFLICT`` when somebody has changed it since.

    An account that pulled is pushed to from now on. ``reach`` is that of the platform, of which the account has what it
    was granted. ``PARAM_INVALID``, ``SCOPE_DENIED`` for types of events that the actor may not have, ``NOT_FOUND``.
    """
    key = secrets.token_bytes(SECRET_OCTETS)
    async with change.unit(Permission.WEBHOOK_EDIT, account_id) as unit:
        account = await unit.connection.fetchrow(_LOCK_ACCOUNT, account_id)
        if account is None:
            raise Invalid("NOT_FOUND")
        granted = parse_networks(list(map(str, account["webhook_networks"])))
        options, hosts = check(wanted, reach.narrowed(granted))
        known = await unit.connection.fetchrow(_KNOWN, account_id, wanted.name)
        events = events_of(unit.actor, wanted.events, () if known is None else known["events"])
        _check_types(unit, events)
        if OPERATORS_ONLY.intersection(wanted.events) and not unit.actor.may(Permission.WEBHOOK_INTERNAL):
            raise Refused("SCOPE_DENIED", scope="admin")
        await _check_others(unit, account_id, wanted.name, events)
        if new and known is not None:
            raise Invalid("PARAM_INVALID", field="name", reason=phrase("webhook.taken", name=wanted.name))
        if new is False and known is None:
            raise Invalid("NOT_FOUND")
        if seen is not None and known is not None and known["mark"] != seen:
            raise Refused("STATE_CONFLICT", reason=phrase("webhook.changed"))
        row = await unit.connection.fetchrow(
            _PUT, account_id, wanted.name, wanted.url, list(hosts), events,
            json.dumps(options.stored(), ensure_ascii=False), [_sealed(sealer, key, account_id, wanted.name)],
        )  # fmt: skip
        made = bool(row and row["made"])
        if wanted.name != CALLBACK:
            await unit.connection.execute(_USE_PUSH, account_id)
        unit.record(
            "webhook.add" if made else "webhook.set",
            f"webhook/{account['name']}/{wanted.name}",
            before=None if known is None else _told(known),
            after={"url": wanted.url, "events": events, "hosts": list(hosts), "options": options.stored()},
        )
    return _shown(key) if made else None


def events_of(actor: Actor, wanted: Sequence[str], had: Sequence[str]) -> list[str]:
    """The types of an endpoint that had those: of the ones that the actor may not have, none comes and none goes."""
    hidden = () if actor.may(Permission.WEBHOOK_INTERNAL) else OPERATORS_ONLY.intersection(had)
    return sorted({*wanted, *hidden})


def _told(known: Row) -> dict[str, Any]:
    told = {key: value for key, value in known.items() if key != "mark"}
    return told | {"options": json.loads(known["options"])}


def _check_types(unit: Unit, events: Sequence[str]) -> None:
    """Whoever may not read what phones have sent does not have it pushed somewhere, either."""
    inbound = not events or any(kind_of(event) == MO for event in events)
    if inbound and not unit.actor.may(Permission.INBOUND_VIEW):
        raise Refused("SCOPE_DENIED", scope="mo")


async def _check_others(unit: Unit, account_id: int, name: str, events: list[str]) -> None:
    """An account has so many endpoints, and a type has one."""
    if await unit.connection.fetchval(_COUNT, account_id, name) >= MAX_ENDPOINTS:
        raise Refused("STATE_CONFLICT", reason=phrase("webhook.endpoints", most=MAX_ENDPOINTS))
    if name == CALLBACK:
        return
    rival = await unit.connection.fetchval(_RIVAL, account_id, name, events)
    if rival is not None:
        raise Invalid("PARAM_INVALID", field="events", reason=phrase("webhook.rival", rival=rival))


def _sealed(sealer: Sealer, key: bytes, account_id: int, name: str) -> bytes:
    return sealer.seal(base64.b64encode(key).decode(), secret_context(account_id, name))


def _shown(key: bytes) -> str:
    """A secret as the customer gets it: ``whsec_`` and the key in base64."""
    return PREFIX + base64.b64encode(key).decode()


def check(wanted: Wanted, reach: Reach) -> tuple[Options, tuple[str, ...]]:
    """The options and hosts of what is asked for. ``PARAM_INVALID`` says what is wrong."""
    try:
        if not NAME.fullmatch(wanted.name):
            raise Wrong("name", phrase("webhook.name"))
        options = parse_options(wanted.options)
        unknown = sorted(set(wanted.events) - TYPES.keys())
        if unknown:
            reason = phrase("webhook.event", event=unknown[0][:40], known=", ".join(TYPES))
            raise Wrong("events", reason)
        if wanted.name == CALLBACK:
            if wanted.url or wanted.events:
                raise Wrong("url", phrase("callback.address"))
            if options.format is Format.GET:
                raise Wrong("format", phrase("callback.get"))
            return options, check_hosts(wanted.hosts)
        if wanted.hosts:
            raise Wrong("hosts", phrase("callback.only_hosts"))
        template = options.format is Format.GET
        check_url(wanted.url, reach, placeholders=template)
        if template and not PLACEHOLDER.search(wanted.url):
            raise Wrong("url", phrase("webhook.placeholder", example="{message_id}"))
    except Wrong as exc:
        raise Invalid("PARAM_INVALID", field=exc.field, reason=exc.reason) from exc
    return options, ()


_DELETE = "DELETE FROM webhook WHERE account_id = $1 AND name = $2 RETURNING id, url"
_FREE = "DELETE FROM lease WHERE resource = $1"
_HOMELESS = """
UPDATE customer_event SET target = NULL, leased_until = NULL
WHERE account_id = $1 AND target IS NOT NULL AND acknowledged_at IS NULL
"""


async def delete(change: Change, account_id: int, name: str) -> None:
    """Take an endpoint away: its types go to the endpoint for the rest, or are pulled. ``NOT_FOUND``."""
    async with change.unit(Permission.WEBHOOK_EDIT, account_id, timeout=60) as unit:
        row = await unit.connection.fetchrow(_DELETE, account_id, name)
        if row is None:
            raise Invalid("NOT_FOUND")
        await unit.connection.execute(_FREE, lease_of(row["id"]))
        if name == CALLBACK:
            await unit.connection.execute(_HOMELESS, account_id)
        await _record(unit, "webhook.delete", account_id, name, before={"url": row["url"]}, after=None)


_STATUS = """
UPDATE webhook w SET status = $3, reason = '', failing_since = NULL
FROM (SELECT id, status, reason FROM webhook WHERE account_id = $1 AND name = $2 FOR UPDATE) o WHERE w.id = o.id
RETURNING o.status, o.reason
"""


async def set_status(change: Change, account_id: int, name: str, *, active: bool) -> None:
    """Stop pushing to an endpoint (its events wait), or begin again. ``NOT_FOUND``."""
    async with change.unit(Permission.WEBHOOK_EDIT, account_id) as unit:
        status = "active" if active else "disabled"
        known = await unit.connection.fetchrow(_STATUS, account_id, name, status)
        if known is None:
            raise Invalid("NOT_FOUND")
        action = "webhook.enable" if active else "webhook.disable"
        await _record(unit, action, account_id, name, before=dict(known), after={"status": status, "reason": ""})


_SIGNS = f"""
SELECT cardinality(w.secrets_sealed) > 1 AND w.old_until > $3 AS both, {queries.MARK} AS mark FROM webhook w
WHERE w.account_id = $1 AND w.name = $2 FOR UPDATE
"""  # noqa: S608
_ROTATE = """
UPDATE webhook SET secrets_sealed = ARRAY[$3::bytea] || secrets_sealed[1:1], old_until = $4
WHERE account_id = $1 AND name = $2
"""


async def rotate_secret(
    change: Change, sealer: Sealer, account_id: int, name: str, *, keep_old_hours: int, force: bool = False,
    seen: str | None = None,
) -> str:  # fmt: skip
    """A new secret; the present one signs beside it for ``keep_old_hours`` more (0: it is no longer used).

    An endpoint has two at most: while a former one signs, its receiver may not know the present one yet, so only
    ``force`` ends that. ``seen`` as for ``put``. ``NOT_FOUND``, ``PARAM_INVALID``, ``STATE_CONFLICT``.
    """
    if not 0 <= keep_old_hours <= MAX_OLD_HOURS:
        raise Invalid("PARAM_INVALID", field="keep_old_hours", reason=phrase("number.to", low=0, high=MAX_OLD_HOURS))
    key = secrets.token_bytes(SECRET_OCTETS)
    sealed = _sealed(sealer, key, account_id, name)
    until = clock.now() + timedelta(hours=keep_old_hours)
    async with change.unit(Permission.WEBHOOK_EDIT, account_id) as unit:
        signs = await unit.connection.fetchrow(_SIGNS, account_id, name, clock.now())
        if signs is None:
            raise Invalid("NOT_FOUND")
        if seen is not None and signs["mark"] != seen:
            raise Refused("STATE_CONFLICT", reason=phrase("webhook.changed"))
        if signs["both"] and not force:
            raise Refused("STATE_CONFLICT", reason=phrase("webhook.rotating"))
        await unit.connection.execute(_ROTATE, account_id, name, sealed, until)
        after = {"keep_old_hours": keep_old_hours} | ({"force": True} if signs["both"] else {})
        await _record(unit, "webhook.rotate", account_id, name, before=None, after=after)
    return _shown(key)


async def _record(
    unit: Unit, action: str, account_id: int, name: str, *, before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    account = await unit.connection.fetchval("SELECT name FROM account WHERE id = $1", account_id)
    unit.record(action, f"webhook/{account}/{name}", before=before, after=after)


# --- the way of an account -------------------------------------------------------------------------------------------

_SET = """
INSERT INTO event_setting (account_id, way, balance_below) VALUES ($1, $2, $3)
ON CONFLICT (account_id) DO UPDATE SET way = excluded.way, balance_below = excluded.balance_below,
    balance_told = event_setting.balance_told
                   AND event_setting.balance_below IS NOT DISTINCT FROM excluded.balance_below
"""


async def edit_setting(
    change: Change, account_id: int, *, way: str | None = None, balance_below: int | None = None
) -> EventSetting:
    """Change how the account gets its events; what holds then. What waits goes the new way at once.

    None leaves it as it is; ``balance_below`` 0: it is told of no balance. ``PARAM_INVALID``, ``NOT_FOUND``.
    """
    if way is not None and way not in list(Way):
        raise Invalid("PARAM_INVALID", field="way", reason=phrase("choice.of", known=", ".join(Way)))
    if balance_below is not None and not 0 <= balance_below <= MOST_BELOW:
        raise Invalid("PARAM_INVALID", field="balance_below", reason=phrase("number.in", low=0, high=MOST_BELOW))
    async with change.unit(Permission.WEBHOOK_EDIT, account_id) as unit:
        account = await unit.connection.fetchrow(_LOCK_ACCOUNT, account_id)
        if account is None:
            raise Invalid("NOT_FOUND")
        before = await queries.setting(unit.connection, account_id)
        below = before.balance_below if balance_below is None else balance_below or None
        now = EventSetting(way or before.way, below)
        await unit.connection.execute(_SET, account_id, now.way, now.balance_below)
        unit.record(
            "events.set",
            f"account/{account['name']}",
            before={"way": before.way, "balance_below": before.balance_below},
            after={"way": now.way, "balance_below": now.balance_below},
        )
    return now


async def send_sample(actor: Actor, snapshots: Snapshots, pusher: Pusher, account_id: int, name: str) -> Answer:
    """Send a sample to an endpoint at once, past the queue; what its receiver has said.

    ``NOT_FOUND``; ``STATE_CONFLICT`` for ``callback``, which has no address.
    """
    actor.require(Permission.WEBHOOK_EDIT, account_id)
    await snapshots.follow()
    for endpoint in snapshots.current.hooks.endpoints.values():
        if (endpoint.account_id, endpoint.name) == (account_id, name):
            return await pusher.test(endpoint)
    raise Refused("NOT_FOUND")


# --- offering again --------------------------------------------------------------------------------------------------
_BY_ID = "id = ANY($7::bigint[])"
_BY_MESSAGE = "message_id = ANY($7::bigint[])"
_BY_BOTH = f"{_BY_ID} AND message_id = ANY($8::bigint[])"

_AGAIN = """
WITH pick AS MATERIALIZED (SELECT id FROM ({pick}) p ORDER BY id LIMIT $6)
UPDATE customer_event e SET acknowledged_at = NULL, dead_at = NULL, done_by = '', attempts = 0, problem = '',
    leased_until = NULL, batch_id = NULL, way = $5,
    target = CASE WHEN $5 IN ('pull', 'bind') THEN NULL ELSE e.target END
FROM pick WHERE e.id = pick.id RETURNING e.kind
"""
# The oldest of each kind by its index, as for ``_PAGES``.
_OLDEST = """
SELECT e.id FROM unnest($4::text[]) AS k(kind), LATERAL (
    SELECT id FROM customer_event
    WHERE account_id = $1 AND kind = k.kind AND id >= $2 AND id < $3 AND {state} ORDER BY id LIMIT $6
    FOR UPDATE SKIP LOCKED
) e
"""
_NAMED = """
SELECT id FROM customer_event
WHERE {named} AND account_id = $1 AND kind = ANY($4::text[]) AND id >= $2 AND id < $3 AND {state} FOR UPDATE SKIP LOCKED
"""
_AGAINS = {
    state: _AGAIN.format(pick=" UNION ALL ".join(_OLDEST.format(state=clause) for clause in clauses))
    for state, clauses in INDEXED_CLAUSES.items()
}
_AGAINS_NAMED = {
    (state, named): _AGAIN.format(pick=_NAMED.format(named=named, state=clause))
    for state, clause in STATE_CLAUSES.items()
    for named in (_BY_ID, _BY_MESSAGE, _BY_BOTH)
}


async def redeliver(
    change: Change,
    account_id: int,
    *,
    state: str | None,
    since: datetime,
    until: datetime,
    kind: str | None = None,
    event_ids: Sequence[int] | None = None,
    message_ids: Sequence[int] | None = None,
    way: str | None = None,
) -> dict[str, int]:
    """Offer events again as if for the first time; how many, by kind (at most ``MAX_REDELIVERED`` altogether).

    ``way`` None: the account's own.
    """
    kinds = KINDS if kind is None else (kind,)
    arguments = account_id, max(0, first_id(since)), max(0, first_id(until)), kinds, way, MAX_REDELIVERED
    if event_ids is None and message_ids is None:
        statement, ids = _AGAINS[state], []
    elif event_ids is None or message_ids is None:
        statement = _AGAINS_NAMED[state, _BY_MESSAGE if event_ids is None else _BY_ID]
        ids = [message_ids if event_ids is None else event_ids]
    else:
        statement, ids = _AGAINS_NAMED[state, _BY_BOTH], [event_ids, message_ids]
    counts: dict[str, int] = {}
    async with change.unit(Permission.EVENT_REPEAT, account_id, timeout=30) as unit:
        for row in await unit.connection.fetch(statement, *arguments, *ids, timeout=30):
            counts[row["kind"]] = counts.get(row["kind"], 0) + 1
        if counts:
            after = {"events": {type_of(k): n for k, n in counts.items()}, "state": state or "", "way": way or ""}
            unit.record("events.redeliver", f"account/{account_id}", after=after)
        else:
            unit.unchanged()
    return counts
