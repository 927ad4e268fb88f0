"""Ways and endpoints of accounts: where their events go."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from smsgw.core.errors import Invalid, Refused
from smsgw.core.webhooks import (
    CALLBACK,
    MAX_ENDPOINTS,
    NAME,
    OPERATORS_ONLY,
    PLACEHOLDER,
    TYPES,
    Endpoint,
    Format,
    Hooks,
    Options,
    Reach,
    Way,
    Wrong,
    check_hosts,
    check_url,
    parse_networks,
    parse_options,
)
from smsgw.runtime import clock
from smsgw.store.config.accounts import BUMP
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit

SECRET_OCTETS = 32
PREFIX = "whsec_"
OLD_SECRET_HOURS = 24
"""How long the former secret signs beside the new one, unless told otherwise."""
MAX_OLD_HOURS = 168


def _context(account_id: int, name: str) -> str:
    return f"webhook/{account_id}/{name}"


def lease_of(webhook_id: int) -> str:
    """The lease of the node that pushes an endpoint."""
    return f"push/{webhook_id}"


def shown(key: bytes) -> str:
    """A secret as the customer gets it: ``whsec_`` and the key in base64."""
    return PREFIX + base64.b64encode(key).decode()


_LOAD = "SELECT w.*, a.name AS account FROM webhook w JOIN account a ON a.id = w.account_id ORDER BY w.id"
_WAYS = "SELECT account_id, way FROM event_setting"


def _endpoint(row: Row, sealer: Sealer) -> Endpoint:
    context = _context(row["account_id"], row["name"])
    try:
        options = parse_options(json.loads(row["options"]))
    except Wrong:  # of a later program
        options = Options()
    return Endpoint(
        id=row["id"],
        account_id=row["account_id"],
        account=row["account"],
        name=row["name"],
        url=row["url"],
        events=tuple(row["events"]),
        options=options,
        secrets=tuple(base64.b64decode(sealer.open(s, context)) for s in row["secrets_sealed"]),
        old_until=row["old_until"],
        hosts=tuple(row["hosts"]),
        status=row["status"],
        reason=row["reason"],
    )


async def load(source: Connection | Database, sealer: Sealer) -> Hooks:
    """All ways and endpoints, their secrets opened."""
    endpoints = [_endpoint(row, sealer) for row in await source.fetch(_LOAD)]
    ways = {row["account_id"]: Way(row["way"]) for row in await source.fetch(_WAYS)}
    return Hooks(endpoints, ways)


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint as people see it; without secrets."""

    id: int
    account_id: int
    account: str
    name: str
    url: str
    hosts: tuple[str, ...]
    events: tuple[str, ...]
    options: dict[str, Any]
    status: str
    reason: str
    created_at: datetime
    failing_since: datetime | None
    last_error: str
    last_ok_at: datetime | None
    old_secret_until: datetime | None


_LIST = """
SELECT w.*, a.name AS account FROM webhook w JOIN account a ON a.id = w.account_id
WHERE ($1::bigint IS NULL OR w.account_id = $1) AND ($2::text IS NULL OR w.name = $2) ORDER BY a.name, w.name
"""


async def list_endpoints(
    database: Database, account_id: int | None = None, name: str | None = None
) -> list[EndpointRow]:
    """Endpoints of an account, or of all."""
    return [
        EndpointRow(
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
        for row in await database.fetch(_LIST, account_id, name)
    ]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An endpoint as it is asked for."""

    name: str
    url: str = ""
    events: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def check(wanted: Wanted, reach: Reach) -> tuple[Options, tuple[str, ...]]:
    """The options and hosts of what is asked for. ``PARAM_INVALID`` says what is wrong."""
    try:
        if not NAME.fullmatch(wanted.name):
            raise Wrong("name", "须为 1 到 64 位字母、数字、点、横线或下划线", "1 to 64 of A-Z a-z 0-9 _ . -")
        options = parse_options(wanted.options)
        unknown = sorted(set(wanted.events) - TYPES.keys())
        if unknown:
            raise Wrong(
                "events", f"未知事件 {unknown[0][:40]};可选 {', '.join(TYPES)}", f"one of {', '.join(TYPES)}"
            )
        if wanted.name == CALLBACK:
            if wanted.url or wanted.events:
                raise Wrong(
                    "url", "callback 的地址来自消息的 callback_url,请设置 hosts",
                    "callback has no address or events of its own; set hosts",
                )  # fmt: skip
            if options.format is Format.GET:
                raise Wrong("format", "callback 不支持 get", "callback does not take get")
            return options, check_hosts(wanted.hosts)
        if wanted.hosts:
            raise Wrong("hosts", "只有 callback 可设置 hosts", "only callback has hosts")
        template = options.format is Format.GET
        check_url(wanted.url, reach, placeholders=template)
        if template and not PLACEHOLDER.search(wanted.url):
            raise Wrong(
                "url", "get 格式的地址须含占位符,如 {message_id}", "get needs placeholders, as {message_id}"
            )
    except Wrong as exc:
        raise Invalid("PARAM_INVALID", field=exc.field, reason=exc.reason, reason_en=exc.reason_en) from exc
    return options, ()


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
_USE_PUSH = """
INSERT INTO event_setting AS s (account_id, way) VALUES ($1, 'webhook')
ON CONFLICT (account_id) DO UPDATE SET way = 'webhook' WHERE s.way = 'pull'
"""
_GRANTED = "SELECT webhook_networks FROM account WHERE id = $1"
_LOCK_ACCOUNT = "SELECT name FROM account WHERE id = $1 FOR UPDATE"


async def put_endpoint(
    database: Database,
    sealer: Sealer,
    account_id: int,
    wanted: Wanted,
    reach: Reach,
    *,
    actor: str,
    operator: bool,
) -> str | None:
    """Make or change an endpoint; its secret when it is new.

    An account that pulled is pushed to from now on. ``reach`` is that of the platform, of which the account has what it
    was granted. ``operator``: may have ``OPERATORS_ONLY`` types.
    """
    granted = await database.fetchval(_GRANTED, account_id)
    if granted is None:
        raise Invalid("NOT_FOUND")
    reach = reach.narrowed(parse_networks(list(map(str, granted))))
    options, hosts = check(wanted, reach)
    if not operator and OPERATORS_ONLY.intersection(wanted.events):
        raise Refused("SCOPE_DENIED", scope="admin")
    key = secrets.token_bytes(SECRET_OCTETS)
    sealed = sealer.seal(base64.b64encode(key).decode(), _context(account_id, wanted.name))
    events = sorted(set(wanted.events))
    async with database.transaction() as connection:
        account = await connection.fetchval(_LOCK_ACCOUNT, account_id)
        if account is None:
            raise Invalid("NOT_FOUND")
        if await connection.fetchval(_COUNT, account_id, wanted.name) >= MAX_ENDPOINTS:
            raise Refused(
                "STATE_CONFLICT", reason=f"每个账号最多 {MAX_ENDPOINTS} 个推送地址",
                reason_en=f"at most {MAX_ENDPOINTS} endpoints an account",
            )  # fmt: skip
        if wanted.name != CALLBACK:
            rival = await connection.fetchval(_RIVAL, account_id, wanted.name, events)
            if rival is not None:
                raise Invalid(
                    "PARAM_INVALID", field="events", reason=f"这些事件已推送到 {rival},一种事件只能有一个地址",
                    reason_en=f"these events go to {rival} already; a type has one endpoint",
                )  # fmt: skip
        row = await connection.fetchrow(
            _PUT, account_id, wanted.name, wanted.url, list(hosts), events,
            json.dumps(options.stored(), ensure_ascii=False), [sealed],
        )  # fmt: skip
        made = bool(row and row["made"])
        if wanted.name != CALLBACK:
            await connection.execute(_USE_PUSH, account_id)
        await audit.append(
            connection, actor=actor, action="webhook.add" if made else "webhook.set",
            object=f"webhook/{account}/{wanted.name}",
            after={"url": wanted.url, "events": events, "hosts": list(hosts), "options": options.stored()},
        )  # fmt: skip
        await connection.execute(BUMP)
    return shown(key) if made else None


_DELETE = "DELETE FROM webhook WHERE account_id = $1 AND name = $2 RETURNING id, url"
_FREE = "DELETE FROM lease WHERE resource = $1"
_HOMELESS = """
UPDATE customer_event SET target = NULL, leased_until = NULL
WHERE account_id = $1 AND target IS NOT NULL AND acknowledged_at IS NULL
"""


async def delete_endpoint(database: Database, account_id: int, name: str, *, actor: str) -> None:
    """Take an endpoint away: its types go to the endpoint for the rest, or are pulled."""
    async with database.transaction(timeout=60) as connection:
        row = await connection.fetchrow(_DELETE, account_id, name)
        if row is None:
            raise Invalid("NOT_FOUND")
        await connection.execute(_FREE, lease_of(row["id"]))
        if name == CALLBACK:
            await connection.execute(_HOMELESS, account_id)
        await _said(connection, account_id, name, "webhook.delete", actor, {"url": row["url"]})


_STATUS = """
UPDATE webhook SET status = $3, reason = $4, failing_since = NULL WHERE account_id = $1 AND name = $2 RETURNING id
"""


async def set_status(
    database: Database, account_id: int, name: str, *, active: bool, reason: str = "", actor: str
) -> None:
    """Stop pushing to an endpoint (its events wait), or begin again."""
    async with database.transaction() as connection:
        status = "active" if active else "disabled"
        if (
            await connection.fetchval(_STATUS, account_id, name, status, "" if active else reason[:200])
            is None
        ):
            raise Invalid("NOT_FOUND")
        action = "webhook.enable" if active else "webhook.disable"
        await _said(connection, account_id, name, action, actor, {"reason": reason})


_ROTATE = """
UPDATE webhook SET secrets_sealed = ARRAY[$3::bytea] || secrets_sealed[1:1], old_until = $4
WHERE account_id = $1 AND name = $2 RETURNING id
"""


async def rotate_secret(
    database: Database, sealer: Sealer, account_id: int, name: str, *, keep_old_hours: int, actor: str
) -> str:
    """A new secret; the present one signs beside it for ``keep_old_hours`` more (0: it is no longer used)."""
    if not 0 <= keep_old_hours <= MAX_OLD_HOURS:
        raise Invalid("PARAM_INVALID", field="keep_old_hours", reason=f"须为 0 到 {MAX_OLD_HOURS}")
    key = secrets.token_bytes(SECRET_OCTETS)
    sealed = sealer.seal(base64.b64encode(key).decode(), _context(account_id, name))
    until = clock.now() + timedelta(hours=keep_old_hours)
    async with database.transaction() as connection:
        if await connection.fetchval(_ROTATE, account_id, name, sealed, until) is None:
            raise Invalid("NOT_FOUND")
        await _said(connection, account_id, name, "webhook.rotate", actor, {"keep_old_hours": keep_old_hours})
    return shown(key)


async def _said(
    connection: Connection, account_id: int, name: str, action: str, actor: str, after: dict[str, Any]
) -> None:
    account = await connection.fetchval("SELECT name FROM account WHERE id = $1", account_id)
    await audit.append(
        connection, actor=actor, action=action, object=f"webhook/{account}/{name}", after=after
    )
    await connection.execute(BUMP)


# --- settings of an account -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventSetting:
    """How an account gets its events."""

    way: str = "pull"
    balance_below: int | None = None
    """Units that can be spent; below it ``balance.low`` is told once, until it is above again."""


_SETTING = "SELECT way, balance_below FROM event_setting WHERE account_id = $1"
_SET = """
INSERT INTO event_setting (account_id, way, balance_below) VALUES ($1, $2, $3)
ON CONFLICT (account_id) DO UPDATE SET way = excluded.way, balance_below = excluded.balance_below,
    balance_told = event_setting.balance_told
                   AND event_setting.balance_below IS NOT DISTINCT FROM excluded.balance_below
"""


async def setting(database: Database, account_id: int) -> EventSetting:
    """What holds for the account."""
    row = await database.fetchrow(_SETTING, account_id)
    return EventSetting() if row is None else EventSetting(row["way"], row["balance_below"])


async def set_setting(database: Database, account_id: int, wanted: EventSetting, *, actor: str) -> None:
    """Change it. What waits goes the new way at once."""
    if wanted.way not in list(Way):
        raise Invalid("PARAM_INVALID", field="way", reason=f"可选 {', '.join(Way)}")
    if wanted.balance_below is not None and not 0 < wanted.balance_below < 2**62:
        raise Invalid("PARAM_INVALID", field="balance_below", reason="须为正整数")
    before = await setting(database, account_id)
    async with database.transaction() as connection:
        account = await connection.fetchval(_LOCK_ACCOUNT, account_id)
        if account is None:
            raise Invalid("NOT_FOUND")
        await connection.execute(_SET, account_id, wanted.way, wanted.balance_below)
        await audit.append(
            connection, actor=actor, action="events.set", object=f"account/{account}",
            before={"way": before.way, "balance_below": before.balance_below},
            after={"way": wanted.way, "balance_below": wanted.balance_below},
        )  # fmt: skip
        await connection.execute(BUMP)
