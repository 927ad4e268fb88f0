"""API keys: made, narrowed, rotated, stopped; and when they were last used."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from smsgw.core.errors import Invalid
from smsgw.store.config.accounts import BUMP
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit

SCOPES = ("send", "query", "report", "mo", "webhook", "template", "link", "number", "balance", "emergency", "admin")

REQUESTS_PER_SECOND = 200
MAX_REQUESTS_PER_SECOND = 100_000

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of an account. ``secrets`` are the HMAC secrets in clear (two while rotating)."""

    key_id: str
    account_id: int
    scopes: frozenset[str]
    test: bool
    ip_allow: tuple[Network, ...]
    bearer_sha256: bytes
    old_bearer_sha256: bytes | None
    """While it is rotated: the token before."""
    secrets: tuple[str, ...] = field(repr=False)
    status: str
    expires_at: datetime | None
    requests_per_second: int = REQUESTS_PER_SECOND
    """Calls of the API; twice as many may come at once."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """What is shown once when a key is made."""

    key_id: str
    secret: str = field(repr=False)
    bearer: str = field(repr=False)


def bearer_digest(bearer: str) -> bytes:
    """What is stored of a bearer token (256 random bits: no slow hash is needed)."""
    return hashlib.sha256(bearer.encode()).digest()


_ADD = """
INSERT INTO api_key (key_id, account_id, bearer_sha256, secrets_sealed, scopes, test, ip_allow, expires_at,
                     requests_per_second)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


async def add_key(
    database: Database,
    sealer: Sealer,
    account_id: int,
    *,
    actor: str,
    scopes: tuple[str, ...] = ("send", "query", "report", "mo", "balance"),
    test: bool = False,
    ip_allow: tuple[Network, ...] = (),
    expires_at: datetime | None = None,
    requests_per_second: int = REQUESTS_PER_SECOND,
) -> NewKey:
    """Make a key; its secrets are in the answer and nowhere else."""
    _check({"scopes": scopes, "requests_per_second": requests_per_second})
    mode = "test" if test else "live"
    key_id = f"ak_{mode}_{secrets.token_hex(8)}"
    new = NewKey(key_id, secrets.token_urlsafe(32), f"smk_{mode}_{secrets.token_urlsafe(32)}")
    async with database.transaction() as connection:
        await connection.execute(
            _ADD, key_id, account_id, bearer_digest(new.bearer), [sealer.seal(new.secret, f"api_key/{key_id}")],
            list(scopes), test, list(ip_allow), expires_at, requests_per_second,
        )  # fmt: skip
        await audit.append(
            connection, actor=actor, action="key.add", object=f"key/{key_id}",
            after={
                "account_id": account_id, "scopes": list(scopes), "test": test, "ip_allow": [str(n) for n in ip_allow],
                "requests_per_second": requests_per_second,
            },
        )  # fmt: skip
        await connection.execute(BUMP)
    return new


def _check(fields: Mapping[str, Any]) -> None:
    unknown = sorted(set(fields.get("scopes", ())) - set(SCOPES))
    if unknown:
        raise Invalid(
            "PARAM_INVALID", field="scopes", reason=f"未知权限 {', '.join(unknown)};可用 {', '.join(SCOPES)}"
        )
    if not 1 <= fields.get("requests_per_second", 1) <= MAX_REQUESTS_PER_SECOND:
        raise Invalid(
            "PARAM_INVALID", field="requests_per_second", reason=f"须在 1 到 {MAX_REQUESTS_PER_SECOND} 之间"
        )


FIELDS = ("scopes", "ip_allow", "expires_at", "requests_per_second", "status")


async def set_key(database: Database, key_id: str, changes: Mapping[str, Any], *, actor: str) -> None:
    """Change a key: any of ``FIELDS``."""
    _check(changes)
    values = {f: list(v) if f in ("scopes", "ip_allow") else v for f, v in changes.items() if f in FIELDS}
    sets = ", ".join(f"{field} = ${n}" for n, field in enumerate(values, 2))
    async with database.transaction() as connection:
        before = await connection.fetchrow("SELECT * FROM api_key WHERE key_id = $1 FOR UPDATE", key_id)
        if before is None:
            raise Invalid("NOT_FOUND")
        await connection.execute(f"UPDATE api_key SET {sets} WHERE key_id = $1", key_id, *values.values())  # noqa: S608
        await audit.append(
            connection, actor=actor, action="key.set", object=f"key/{key_id}",
            before={f: _shown(before[f]) for f in values}, after={f: _shown(v) for f, v in values.items()},
        )  # fmt: skip
        await connection.execute(BUMP)


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [str(v) for v in value]
    return value if value is None or isinstance(value, int) else str(value)


_ROTATE = """
UPDATE api_key SET secrets_sealed = ARRAY[$2, secrets_sealed[1]], old_bearer_sha256 = bearer_sha256, bearer_sha256 = $3,
    rotated_at = now()
WHERE key_id = $1
"""
_RETIRE = (
    "UPDATE api_key SET secrets_sealed = secrets_sealed[1:1], old_bearer_sha256 = NULL WHERE key_id = $1"
)


async def rotate_key(database: Database, sealer: Sealer, key_id: str, *, actor: str) -> NewKey:
    """Give a key a new secret and token. The old ones stay good until ``retire_key``; a key has two at most, so the
    next rotation needs that first."""
    async with database.transaction() as connection:
        row = await connection.fetchrow("SELECT * FROM api_key WHERE key_id = $1 FOR UPDATE", key_id)
        if row is None:
            raise Invalid("NOT_FOUND")
        if len(row["secrets_sealed"]) > 1:
            raise Invalid("STATE_CONFLICT", reason="密钥正在轮换,请先停用旧密文(key retire)")
        mode = "test" if row["test"] else "live"
        new = NewKey(key_id, secrets.token_urlsafe(32), f"smk_{mode}_{secrets.token_urlsafe(32)}")
        sealed = sealer.seal(new.secret, f"api_key/{key_id}")
        await connection.execute(_ROTATE, key_id, sealed, bearer_digest(new.bearer))
        await audit.append(connection, actor=actor, action="key.rotate", object=f"key/{key_id}")
        await connection.execute(BUMP)
    return new


async def retire_key(database: Database, key_id: str, *, actor: str) -> None:
    """The secret and token from before the rotation are good no more."""
    async with database.transaction() as connection:
        row = await connection.fetchrow("SELECT * FROM api_key WHERE key_id = $1 FOR UPDATE", key_id)
        if row is None:
            raise Invalid("NOT_FOUND")
        if len(row["secrets_sealed"]) == 1:
            raise Invalid("STATE_CONFLICT", reason="密钥没有待停用的旧密文")
        await connection.execute(_RETIRE, key_id)
        await audit.append(connection, actor=actor, action="key.retire", object=f"key/{key_id}")
        await connection.execute(BUMP)


_LIST = """
SELECT k.key_id, a.name AS account, k.scopes, k.test, k.ip_allow, k.requests_per_second, k.status, k.expires_at,
       k.created_at, k.rotated_at, cardinality(k.secrets_sealed) AS secrets, k.last_used_at, host(k.last_used_ip) AS
       last_used_ip
FROM api_key k JOIN account a ON a.id = k.account_id
WHERE ($1::bigint[] IS NULL OR k.account_id = ANY($1)) ORDER BY a.name, k.created_at
"""


async def list_keys(database: Database, *, accounts: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """The keys of the accounts (None: all), without anything secret."""
    rows = await database.fetch(_LIST, None if accounts is None else list(accounts))
    return [dict(row) | {"ip_allow": [str(n) for n in row["ip_allow"]]} for row in rows]


_USED = """
UPDATE api_key k SET last_used_at = u.at, last_used_ip = u.ip
FROM unnest($1::text[], $2::timestamptz[], $3::inet[]) AS u(key_id, at, ip)
WHERE k.key_id = u.key_id AND (k.last_used_at IS NULL OR k.last_used_at < u.at)
"""


async def note_used(database: Database, used: Mapping[str, tuple[datetime, str | None]]) -> None:
    """When, and from where, keys were last used."""
    if used:
        ids = sorted(used)
        await database.execute(_USED, ids, [used[i][0] for i in ids], [used[i][1] for i in ids])


_LOAD = "SELECT * FROM api_key"


async def load_keys(source: Connection | Database, sealer: Sealer) -> list[ApiKey]:
    """All keys, their secrets opened."""
    return [
        ApiKey(
            key_id=row["key_id"],
            account_id=row["account_id"],
            scopes=frozenset(row["scopes"]),
            test=row["test"],
            ip_allow=tuple(ipaddress.ip_network(n, strict=False) for n in row["ip_allow"]),
            bearer_sha256=row["bearer_sha256"],
            old_bearer_sha256=row["old_bearer_sha256"],
            secrets=tuple(sealer.open(s, f"api_key/{row['key_id']}") for s in row["secrets_sealed"]),
            status=row["status"],
            expires_at=row["expires_at"],
            requests_per_second=row["requests_per_second"],
        )
        for row in await source.fetch(_LOAD)
    ]
