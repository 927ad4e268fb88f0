"""Changes of API keys: made, narrowed, rotated, stopped. Their secrets are in the answer once, and nowhere else."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from smsgw.core.errors import Invalid, Refused
from smsgw.core.keys import MAX_REQUESTS_PER_SECOND, REQUESTS_PER_SECOND, Network
from smsgw.core.permissions import SCOPES, Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change, Unit
from smsgw.platform.keys.model import NewKey
from smsgw.store.engine.database import Row
from smsgw.store.engine.secrets import Sealer

FIELDS = ("scopes", "ip_allow", "expires_at", "requests_per_second", "status")
"""What can be changed of a key."""
_GUARDED = frozenset({"emergency", "admin"})
"""Scopes that reach beyond the account's own data: only who may do so lets a key do it."""


_ADD = """
INSERT INTO api_key (key_id, account_id, bearer_sha256, secrets_sealed, scopes, test, ip_allow, expires_at,
                     requests_per_second)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


async def add(
    change: Change,
    sealer: Sealer,
    account_id: int,
    *,
    scopes: Collection[str] = ("send", "query", "report", "mo", "balance"),
    test: bool = False,
    ip_allow: tuple[Network, ...] = (),
    expires_at: datetime | None = None,
    requests_per_second: int = REQUESTS_PER_SECOND,
) -> NewKey:
    """Make a key. ``PARAM_INVALID`` for a scope that there is not, or an impossible limit; ``GRANT_EXCEEDED``."""
    _check({"scopes": scopes, "requests_per_second": requests_per_second})
    key_id = f"ak_{'test' if test else 'live'}_{secrets.token_hex(8)}"
    new = _new(key_id, test=test)
    async with change.unit(Permission.KEY_EDIT, account_id) as unit:
        _check_given(unit, scopes)
        await unit.connection.execute(
            _ADD, key_id, account_id, _digest(new.bearer), [_sealed(sealer, new)],
            list(scopes), test, list(ip_allow), expires_at, requests_per_second,
        )  # fmt: skip
        after = {
            "account_id": account_id, "scopes": list(scopes), "test": test, "ip_allow": [str(n) for n in ip_allow],
            "requests_per_second": requests_per_second,
        }  # fmt: skip
        unit.record("key.add", f"key/{key_id}", after=after)
    return new


def _new(key_id: str, *, test: bool) -> NewKey:
    mode = "test" if test else "live"
    return NewKey(key_id, secrets.token_urlsafe(32), f"smk_{mode}_{secrets.token_urlsafe(32)}")


def _digest(bearer: str) -> bytes:
    """What is stored of a bearer token (256 random bits: no slow hash is needed)."""
    return hashlib.sha256(bearer.encode()).digest()


def _sealed(sealer: Sealer, new: NewKey) -> bytes:
    return sealer.seal(new.secret, f"api_key/{new.key_id}")


def _check_given(unit: Unit, scopes: Collection[str]) -> None:
    """Whether the actor may let a key do that. Raises ``GRANT_EXCEEDED``."""
    for scope in sorted(_GUARDED.intersection(scopes)):
        for permission in sorted(SCOPES[scope] - unit.actor.permissions):
            raise Refused("GRANT_EXCEEDED", permission=permission.value)


def _check(fields: Mapping[str, Any]) -> None:
    unknown = sorted(set(fields.get("scopes", ())) - set(SCOPES))
    if unknown:
        reason = phrase("key.scopes", unknown=", ".join(unknown), known=", ".join(SCOPES))
        raise Invalid("PARAM_INVALID", field="scopes", reason=reason)
    if not 1 <= fields.get("requests_per_second", 1) <= MAX_REQUESTS_PER_SECOND:
        reason = phrase("number.in", low=1, high=MAX_REQUESTS_PER_SECOND)
        raise Invalid("PARAM_INVALID", field="requests_per_second", reason=reason)


async def edit(change: Change, key_id: str, changes: Mapping[str, Any]) -> None:
    """Change a key: any of ``FIELDS``. ``NOT_FOUND``, ``PARAM_INVALID``, ``GRANT_EXCEEDED``."""
    _check(changes)
    values = {f: list(v) if f in ("scopes", "ip_allow") else v for f, v in changes.items() if f in FIELDS}
    sets = ", ".join(f"{field} = ${n}" for n, field in enumerate(values, 2))
    async with change.unit(Permission.KEY_EDIT) as unit:
        before = await _locked(unit, key_id)
        if not values:
            unit.unchanged()
            return
        _check_given(unit, set(changes.get("scopes", ())) - set(before["scopes"]))
        update = f"UPDATE api_key SET {sets} WHERE key_id = $1"  # noqa: S608 - names of ours
        await unit.connection.execute(update, key_id, *values.values())
        unit.record(
            "key.set", f"key/{key_id}",
            before={f: _shown(before[f]) for f in values}, after={f: _shown(v) for f, v in values.items()},
        )  # fmt: skip


async def _locked(unit: Unit, key_id: str) -> Row:
    """The row of a key that the actor may see, held until the end. ``NOT_FOUND``."""
    row = await unit.connection.fetchrow("SELECT * FROM api_key WHERE key_id = $1 FOR UPDATE", key_id)
    if row is None or not unit.actor.scope.covers(row["account_id"]):
        raise Invalid("NOT_FOUND")
    return row


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [str(v) for v in value]
    return value if value is None or isinstance(value, int) else str(value)


_ROTATE = """
UPDATE api_key SET secrets_sealed = ARRAY[$2, secrets_sealed[1]], old_bearer_sha256 = bearer_sha256, bearer_sha256 = $3,
    rotated_at = now()
WHERE key_id = $1
"""
_RETIRE = "UPDATE api_key SET secrets_sealed = secrets_sealed[1:1], old_bearer_sha256 = NULL WHERE key_id = $1"


async def rotate(change: Change, sealer: Sealer, key_id: str) -> NewKey:
    """Give a key a new secret and token. The old ones stay good until ``retire``; a key has two at most, so the next
    rotation needs that first (``STATE_CONFLICT``). ``NOT_FOUND``; ``GRANT_EXCEEDED`` for a key that may do more."""
    async with change.unit(Permission.KEY_EDIT) as unit:
        row = await _locked(unit, key_id)
        _check_given(unit, row["scopes"])
        if len(row["secrets_sealed"]) > 1:
            raise Invalid("STATE_CONFLICT", reason=phrase("key.rotating"))
        new = _new(key_id, test=row["test"])
        await unit.connection.execute(_ROTATE, key_id, _sealed(sealer, new), _digest(new.bearer))
        unit.record("key.rotate", f"key/{key_id}")
    return new


async def retire(change: Change, key_id: str) -> None:
    """The secret and token from before the rotation are good no more. ``NOT_FOUND``; ``STATE_CONFLICT``: there are
    none."""
    async with change.unit(Permission.KEY_EDIT) as unit:
        row = await _locked(unit, key_id)
        if len(row["secrets_sealed"]) == 1:
            raise Invalid("STATE_CONFLICT", reason=phrase("key.not_rotating"))
        await unit.connection.execute(_RETIRE, key_id)
        unit.record("key.retire", f"key/{key_id}")
