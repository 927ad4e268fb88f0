"""Changes of accounts: made, edited, stopped, given units, moved to another extension."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import asyncpg

from smsgw.core.accounts import FIELDS, MAX_DEPTH, NAME
from smsgw.core.actor import Scope
from smsgw.core.errors import Invalid, Temporary
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase, reason_of
from smsgw.platform.accounts import extensions
from smsgw.platform.change import Change, Unit
from smsgw.store.engine.database import STATEMENT_TIMEOUT, Connection, Database

MONEY = frozenset({"credit_floor", "units_otp", "units_notice", "units_marketing", "unit_price", "refund_failed"})
"""Fields of an account that say what it costs; to change them takes ``balance.edit`` as well."""
_PRICE_OF = "SELECT units_otp, units_notice, units_marketing, unit_price FROM account WHERE name = $1"

_TREE_LOCK = "SELECT pg_advisory_xact_lock(1633906540)"
"""Changes of the tree take turns: two of them together could close a circle."""

# The account and all below it, locked in the order in which everybody locks accounts.
_BELOW = f"""
WITH RECURSIVE below(id, depth) AS (
    SELECT id, 1 FROM account WHERE id = $1
    UNION ALL SELECT a.id, b.depth + 1 FROM account a JOIN below b ON a.parent_id = b.id WHERE b.depth <= {MAX_DEPTH}
)
SELECT a.id, b.depth FROM account a JOIN below b ON b.id = a.id ORDER BY a.id FOR UPDATE OF a
"""  # noqa: S608 - constant text

_DEPTH = f"""
WITH RECURSIVE above(id, parent_id, depth) AS (
    SELECT id, parent_id, 1 FROM account WHERE id = $1
    UNION ALL
    SELECT a.id, a.parent_id, b.depth + 1 FROM account a JOIN above b ON a.id = b.parent_id WHERE b.depth <= {MAX_DEPTH}
)
SELECT max(depth) FROM above
"""  # noqa: S608 - constant text

_HALT = """
WITH RECURSIVE tree(id, halted) AS (
    SELECT id, status = 'stopped' FROM account WHERE parent_id IS NULL
    UNION ALL SELECT a.id, t.halted OR a.status = 'stopped' FROM account a JOIN tree t ON a.parent_id = t.id
)
UPDATE account a SET halted = t.halted FROM tree t
WHERE t.id = a.id AND a.id = ANY($1::bigint[]) AND a.halted <> t.halted
"""


async def add(change: Change, name: str, **fields: object) -> int:
    """Make an account; its id. ``fields`` as in ``core.accounts.FIELDS``; what a part costs is the parent's price where
    they do not say it. ``PARAM_INVALID`` for a name that is taken or malformed, and for impossible values."""
    if not NAME.fullmatch(name):
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("account.name"))
    values = _parsed(fields)
    try:
        async with change.unit(Permission.ACCOUNT_EDIT, timeout=_patience(values)) as unit:
            _check_money(unit, values)
            if not values.get("parent"):
                _check_top(unit)
            elif (parent := await unit.connection.fetchrow(_PRICE_OF, values["parent"])) is not None:
                values = dict(parent) | values
            account_id: int = await unit.connection.fetchval(
                "INSERT INTO account (name) VALUES ($1) RETURNING id", name
            )
            await _apply(unit, account_id, values)
            unit.record("account.add", f"account/{name}", after=_shown(values))
    except asyncpg.UniqueViolationError as exc:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("account.exists", name=name)) from exc
    return account_id


async def edit(change: Change, account_id: int, changes: Mapping[str, object]) -> None:
    """Change fields of an account; unknown fields and impossible values are ``PARAM_INVALID``. ``NOT_FOUND``."""
    await _set(change, Permission.ACCOUNT_EDIT, account_id, _parsed(changes), "account.set")


async def set_status(change: Change, account_id: int, status: str) -> None:
    """Stop (``stopped``) or start (``active``) an account, and with it all below it that are not stopped themselves."""
    action = "account.stop" if status == "stopped" else "account.start"
    await _set(change, Permission.ACCOUNT_STOP, account_id, {"status": status}, action)


async def _set(change: Change, permission: Permission, account_id: int, values: Mapping[str, Any], action: str) -> None:
    async with change.unit(permission, account_id, timeout=_patience(values)) as unit:
        _check_money(unit, values)
        if {"status", "parent"} & values.keys():
            await unit.connection.execute(_TREE_LOCK)
        before = await unit.connection.fetchrow("SELECT * FROM account WHERE id = $1", account_id)
        if before is None:
            raise Invalid("NOT_FOUND")
        was = {field: before["parent_id" if field == "parent" else field] for field in values}
        await _apply(unit, account_id, values)
        unit.record(action, f"account/{before['name']}", before=_shown(was), after=_shown(values))


def _parsed(fields: Mapping[str, object]) -> dict[str, Any]:
    """The fields checked. Unknown names and impossible values are ``PARAM_INVALID``."""
    values = {}
    for field, value in fields.items():
        if field not in FIELDS:
            raise Invalid("PARAM_INVALID", field=field, reason=phrase("fields.settable", known=", ".join(FIELDS)))
        try:
            values[field] = FIELDS[field](value)
        except ValueError as exc:
            raise Invalid("PARAM_INVALID", field=field, reason=reason_of(exc)) from exc
    return values


def _patience(values: Mapping[str, Any]) -> float:
    return extensions.PATIENCE if values.get("extend_code") else STATEMENT_TIMEOUT


_BETWEEN_COLUMNS = {
    "account_ends_on": ("ends_on", "account.ends_on"),
    "account_check": ("credit_floor", "account.floor"),
}
"""Constraint -> the field that is wrong, and why."""


async def _apply(unit: Unit, account_id: int, values: Mapping[str, Any]) -> None:
    connection = unit.connection
    below = [account_id]
    columns = dict(values)
    if "parent" in columns or "status" in columns:
        rows = await connection.fetch(_BELOW, account_id)
        below = [row["id"] for row in rows]
        if "parent" in columns:
            height = max(row["depth"] for row in rows)
            columns["parent_id"] = await _parent(unit, columns.pop("parent"), below, height)
    if "extend_code" in columns:
        await extensions.give(connection, unit.actor.scope, account_id, "", str(columns.pop("extend_code")))
    if columns:
        sets = ", ".join(f"{column} = ${n}" for n, column in enumerate(columns, 2))
        update = f"UPDATE account SET {sets} WHERE id = $1"  # noqa: S608 - names of ours
        try:
            await connection.execute(update, account_id, *columns.values())
        except asyncpg.CheckViolationError as exc:
            if (known := _BETWEEN_COLUMNS.get(str(exc.constraint_name))) is None:
                raise
            raise Invalid("PARAM_INVALID", field=known[0], reason=phrase(known[1])) from exc
    if "parent_id" in columns or "status" in columns:
        await connection.execute(_HALT, below)


async def _parent(unit: Unit, name: str, below: list[int], height: int) -> int | None:
    """The id of the new parent, which must not be below its child."""
    if not name:
        _check_top(unit)
        return None
    parent: int | None = await unit.connection.fetchval("SELECT id FROM account WHERE name = $1", name)
    if parent is None or not unit.actor.scope.covers(parent):
        raise Invalid("PARAM_INVALID", field="parent", reason=phrase("account.unknown", name=name))
    if parent in below:
        raise Invalid("PARAM_INVALID", field="parent", reason=phrase("account.parent_below"))
    if await unit.connection.fetchval(_DEPTH, parent) + height > MAX_DEPTH:
        raise Invalid("PARAM_INVALID", field="parent", reason=phrase("account.depth", most=MAX_DEPTH))
    return parent


def _check_money(unit: Unit, values: Mapping[str, Any]) -> None:
    if MONEY & values.keys():
        unit.actor.require(Permission.BALANCE_EDIT)


def _check_top(unit: Unit) -> None:
    """Only who sees all accounts makes one that is below none."""
    if unit.actor.scope.accounts is not None:
        raise Invalid("PARAM_INVALID", field="parent", reason=phrase("account.parent_managed"))


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as the audit log keeps them."""

    def plain(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [str(v) for v in value]
        return value if value is None or isinstance(value, str | int) else str(value)

    return {field: plain(value) for field, value in values.items()}


_TOP_UP = """
WITH changed AS (UPDATE account SET balance = balance + $3 WHERE id = $2 RETURNING balance)
INSERT INTO ledger (id, account_id, kind, units, note, who, balance)
SELECT $1, $2, 'topup', $3, $4, $5, balance FROM changed RETURNING balance
"""


async def top_up(change: Change, account_id: int, units: int, note: str) -> int:
    """Add units to an account (negative takes away); the new balance. Never below the floor."""
    async with change.unit(Permission.BALANCE_EDIT, account_id) as unit:
        try:
            new: int | None = await unit.connection.fetchval(
                _TOP_UP, change.ids(), account_id, units, note, unit.actor.label
            )
        except asyncpg.CheckViolationError as exc:
            raise Invalid("STATE_CONFLICT", reason=phrase("balance.floor")) from exc
        if new is None:
            raise Invalid("NOT_FOUND")
        unit.record("account.topup", f"account/{account_id}", after={"units": units, "note": note, "balance": new})
    return new


async def move_extension(change: Change, account_id: int, sign: str, to: str, *, seen: str | None = None) -> str:
    """Give an account (or with ``sign``: that signature of it) another extension; the former one.

    Replies to the former one still find the account for ``extensions.MATCHED_DAYS``. ``NOT_FOUND``,
    ``EXTEND_CODE_INVALID``; ``STATE_CONFLICT`` when the digits are another's, or the former are not those ``seen``.
    """
    if not re.fullmatch(r"[0-9]{1,12}", to):
        raise Invalid("EXTEND_CODE_INVALID")
    async with change.unit(Permission.CODE_EDIT, account_id, timeout=extensions.PATIENCE) as unit:
        name = await _name(unit.connection, account_id)
        before = await extensions.give(unit.connection, unit.actor.scope, account_id, sign, to, seen=seen)
        unit.record(
            "access_code.move", f"account/{name}" + (f"/sign/{sign}" if sign else ""), before={"code": before},
            after={"code": to},
        )  # fmt: skip
    return before


async def check_extension(database: Database, scope: Scope, account_id: int, sign: str, to: str) -> bool:
    """Whether ``move_extension`` would take the digits now: raises what it would. False: it is not known, as there are
    many messages to look through, or somebody else looks through them."""
    async with database.transaction() as connection:
        await extensions.check_free(connection, scope, account_id, sign, to)
    try:
        async with database.transaction() as connection:
            if not await extensions.alone(connection):
                return False
            await extensions.check_unused(connection, scope, account_id, to, STATEMENT_TIMEOUT)
    except Temporary:
        return False
    return True


async def _name(connection: Connection, account_id: int) -> str:
    name: str | None = await connection.fetchval("SELECT name FROM account WHERE id = $1", account_id)
    if name is None:
        raise Invalid("NOT_FOUND")
    return name
