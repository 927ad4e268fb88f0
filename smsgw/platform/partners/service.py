"""Changes of partners' logins, and ending their binds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import asyncpg

from smsgw.core.errors import Invalid, Refused
from smsgw.core.partners import MAX_USERNAME, PROTOCOLS
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change, Unit
from smsgw.platform.partners.model import MARK
from smsgw.store.config.partners import BIND_TTL, secret_context
from smsgw.store.engine.database import Connection, Row
from smsgw.store.engine.secrets import Sealer

SETTABLE = (
    "max_binds", "window", "rate", "ip_allow", "type", "code", "any_source", "any_clock", "alphabet", "message_ids",
    "long_mo", "status",
)  # fmt: skip
"""Fields of ``Partner`` that can be changed, beside the password."""
_COLUMN = {"window": "send_window"}
MAX_PASSWORD = 64

_ADD = "INSERT INTO partner (account_id, protocol, username, password_sealed) VALUES ($1, $2, $3, $4) RETURNING id"


# Where nobody has chosen a way for the account's events, they go where it is bound.
_WAY = "INSERT INTO event_setting (account_id, way) VALUES ($1, 'bind') ON CONFLICT DO NOTHING"


def _checked_password(protocol: str, password: str) -> str:
    if not 1 <= len(password) <= MAX_PASSWORD or not password.isascii() or not password.isprintable():
        raise Invalid("PARAM_INVALID", field="password", reason=phrase("password.printable", most=MAX_PASSWORD))
    return password


async def add(
    change: Change,
    sealer: Sealer,
    account_id: int,
    protocol: str,
    username: str,
    password: str,
    fields: Mapping[str, Any],
) -> int:
    """Make a login; its id. ``PARAM_INVALID`` for what cannot be, such as a name that the protocol has taken.

    An account whose events have no way yet gets them by its binds from now on.
    """
    if protocol not in PROTOCOLS:
        raise Invalid("PARAM_INVALID", field="protocol", reason=phrase("choice.of", known=", ".join(PROTOCOLS)))
    if not 1 <= len(username) <= MAX_USERNAME[protocol]:
        raise Invalid("PARAM_INVALID", field="user", reason=phrase("text.length", most=MAX_USERNAME[protocol]))
    _checked_password(protocol, password)
    _check_fields(fields)
    try:
        async with change.unit(Permission.PARTNER_EDIT, account_id) as unit:
            sealed = sealer.seal(password, secret_context(protocol, username))
            with _possible("user"):
                partner_id: int = await unit.connection.fetchval(_ADD, account_id, protocol, username, sealed)
            await _update(unit.connection, partner_id, fields)
            await unit.connection.execute(_WAY, account_id)
            after = {"account_id": account_id, **_shown(fields)}
            unit.record("partner.add", f"partner/{protocol}/{username}", after=after)
    except asyncpg.UniqueViolationError as exc:
        reason = phrase("partner.exists", protocol=protocol, username=username)
        raise Invalid("PARAM_INVALID", field="user", reason=reason) from exc
    return partner_id


@contextmanager
def _possible(field: str) -> Iterator[None]:
    """``PARAM_INVALID`` with the field's own name, where the column has another one."""
    try:
        yield
    except asyncpg.CheckViolationError as exc:
        raise Invalid("PARAM_INVALID", field=field, reason=phrase("value.impossible")) from exc


def _check_fields(fields: Mapping[str, Any]) -> None:
    for field in fields:
        if field not in SETTABLE:
            raise Invalid("PARAM_INVALID", field=field, reason=phrase("fields.settable", known=", ".join(SETTABLE)))


def _shown(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {k: [str(n) for n in v] if k == "ip_allow" else v for k, v in fields.items()}


async def _update(connection: Connection, partner_id: int, fields: Mapping[str, Any]) -> None:
    for field, value in fields.items():
        column = _COLUMN.get(field, field)
        with _possible(field):
            await connection.execute(f"UPDATE partner SET {column} = $2 WHERE id = $1", partner_id, value)  # noqa: S608


_SET_SEALED = "UPDATE partner SET password_sealed = $2 WHERE id = $1"
_ONE = f"""
SELECT p.*, {MARK} AS mark FROM partner p WHERE username = $1 AND ($2::text IS NULL OR protocol = $2) FOR UPDATE
"""  # noqa: S608


async def _find(unit: Unit, username: str, protocol: str | None) -> Row:
    """The row of a login that the actor may see, held until the end. ``NOT_FOUND``, ``PARAM_MISSING``."""
    rows = await unit.connection.fetch(_ONE, username, protocol)
    rows = [row for row in rows if unit.actor.scope.covers(row["account_id"])]
    if not rows:
        raise Invalid("NOT_FOUND")
    if len(rows) > 1:
        raise Invalid("PARAM_MISSING", field="protocol")
    return rows[0]


async def edit(
    change: Change,
    sealer: Sealer,
    username: str,
    protocol: str | None,
    fields: Mapping[str, Any],
    *,
    password: str | None = None,
    seen: str | None = None,
) -> None:
    """Change a login. Without ``protocol`` the name must be unique among both. ``seen``: the mark of the login that the
    actor looked at (None: of none). ``NOT_FOUND``, ``PARAM_INVALID``; ``STATE_CONFLICT`` when somebody has changed it
    since."""
    _check_fields(fields)
    async with change.unit(Permission.PARTNER_EDIT) as unit:
        row = await _find(unit, username, protocol)
        if seen is not None and row["mark"] != seen:
            raise Refused("STATE_CONFLICT", reason=phrase("partner.changed"))
        await _update(unit.connection, row["id"], fields)
        if password is not None:
            context = secret_context(row["protocol"], username)
            sealed = sealer.seal(_checked_password(row["protocol"], password), context)
            await unit.connection.execute(_SET_SEALED, row["id"], sealed)
        before = {k: row[_COLUMN.get(k, k)] for k in fields}
        after = _shown(fields) | ({"password": "changed"} if password is not None else {})
        object_ = f"partner/{row['protocol']}/{username}"
        unit.record("partner.set", object_, before=_shown(before), after=after)


async def remove(change: Change, username: str, protocol: str | None) -> None:
    """Take a login away; its binds end. What it has sent stays, and its reports can be pulled. ``NOT_FOUND``."""
    async with change.unit(Permission.PARTNER_EDIT) as unit:
        row = await _find(unit, username, protocol)
        await unit.connection.execute("DELETE FROM partner WHERE id = $1", row["id"])
        before = {"account_id": row["account_id"]}
        unit.record("partner.remove", f"partner/{row['protocol']}/{username}", before=before)


_KICK = """
UPDATE partner_bind SET kick = true
WHERE partner_id = $1 AND seen_at > clock_timestamp() - $2 * interval '1 second' RETURNING node, ip
"""
MAX_REASON = 200


async def kick(change: Change, username: str, protocol: str | None, *, reason: str = "") -> int:
    """Ask the nodes to end the binds of a login; how many there are. They may bind again. ``NOT_FOUND``.

    What they have sent and was not answered is accepted or refused as any. Sent again over a new bind it is a new
    message, but for CMPP on the same node within the minutes of ``partners.resubmits``: it gets that same answer there.
    What they were not yet told is offered again when they are bound.
    """
    if len(reason) > MAX_REASON:
        raise Invalid("PARAM_INVALID", field="reason", reason=phrase("text.at_most", limit=MAX_REASON))
    async with change.unit(Permission.PARTNER_KICK) as unit:
        row = await _find(unit, username, protocol)
        ended = await unit.connection.fetch(_KICK, row["id"], BIND_TTL)
        after = {"reason": reason, "binds": len(ended)}
        unit.record("partner.kick", f"partner/{row['protocol']}/{username}", after=after)
    return len(ended)
