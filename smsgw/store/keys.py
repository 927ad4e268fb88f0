"""API keys."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from smsgw.core.errors import Invalid
from smsgw.store import audit
from smsgw.store.accounts import BUMP
from smsgw.store.db import Database
from smsgw.store.secrets import Sealer

SCOPES = ("send", "query", "report", "mo", "template", "link", "number", "balance", "admin")

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
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown:
        raise Invalid(
            "PARAM_INVALID", field="scopes", reason=f"未知权限 {', '.join(unknown)};可用 {', '.join(SCOPES)}"
        )
    if not 1 <= requests_per_second <= MAX_REQUESTS_PER_SECOND:
        raise Invalid(
            "PARAM_INVALID", field="requests_per_second", reason=f"须在 1 到 {MAX_REQUESTS_PER_SECOND} 之间"
        )
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


_LOAD = "SELECT * FROM api_key"


async def load_keys(database: Database, sealer: Sealer) -> list[ApiKey]:
    """All keys, their secrets opened."""
    return [
        ApiKey(
            key_id=row["key_id"],
            account_id=row["account_id"],
            scopes=frozenset(row["scopes"]),
            test=row["test"],
            ip_allow=tuple(ipaddress.ip_network(n, strict=False) for n in row["ip_allow"]),
            bearer_sha256=row["bearer_sha256"],
            secrets=tuple(sealer.open(s, f"api_key/{row['key_id']}") for s in row["secrets_sealed"]),
            status=row["status"],
            expires_at=row["expires_at"],
            requests_per_second=row["requests_per_second"],
        )
        for row in await database.fetch(_LOAD)
    ]
