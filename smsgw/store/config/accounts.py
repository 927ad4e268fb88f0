"""Sending accounts and their money."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from smsgw.core.accounts import FIELDS, MAX_DEPTH, NAME, resolve
from smsgw.core.errors import Invalid
from smsgw.core.model import Account, UnknownPolicy
from smsgw.store.config import extensions
from smsgw.store.engine.database import STATEMENT_TIMEOUT, Connection, Database, Row
from smsgw.store.records import audit


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """Units (billable parts): what is there, how far it may go down, what can be spent."""

    balance: int
    credit_floor: int

    @property
    def available(self) -> int:
        """What can be spent."""
        return self.balance - self.credit_floor


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account as operators see it."""

    account: Account
    balance: int
    created_at: datetime


_LIST = "SELECT * FROM account ORDER BY name"


def _account(row: Row) -> Account:
    policy = row["unknown_policy"]
    return Account(
        id=row["id"],
        name=row["name"],
        status=row["status"],
        display_name=row["display_name"],
        default_sign=row["default_sign"],
        sign_required=row["sign_required"],
        extend_code=row["extend_code"],
        unknown_policy=UnknownPolicy(policy) if policy else None,
        credit_floor=row["credit_floor"],
        emergency=row["emergency"],
        parent_id=row["parent_id"],
        department=row["department"],
        halted=row["halted"],
        protocols=frozenset(row["protocols"]),
        ip_allow=tuple(ipaddress.ip_network(n, strict=False) for n in row["ip_allow"]),
        webhook_networks=tuple(ipaddress.ip_network(n, strict=False) for n in row["webhook_networks"]),
        units_otp=row["units_otp"],
        units_notice=row["units_notice"],
        units_marketing=row["units_marketing"],
        unit_price=row["unit_price"],
        refund_failed=row["refund_failed"],
        quota_day=row["quota_day"],
        quota_month=row["quota_month"],
        rate=row["rate"],
        starts_on=row["starts_on"],
        ends_on=row["ends_on"],
        stops_at_end=row["stops_at_end"],
    )


async def list_accounts(source: Connection | Database) -> list[AccountRow]:
    """All accounts by name, with what follows from those above them."""
    rows = await source.fetch(_LIST)
    resolved = {a.id: a for a in resolve(_account(row) for row in rows)}
    return [AccountRow(resolved[row["id"]], row["balance"], row["created_at"]) for row in rows]


_AVAILABLE = "SELECT id, balance - credit_floor FROM account"


async def available(source: Connection | Database) -> dict[int, int]:
    """Account id -> units that it can spend."""
    return {row[0]: row[1] for row in await source.fetch(_AVAILABLE)}


_BALANCE = "SELECT balance, credit_floor FROM account WHERE id = $1"


async def balance(database: Database, account_id: int) -> AccountBalance | None:
    """The money of an account."""
    row = await database.fetchrow(_BALANCE, account_id)
    return None if row is None else AccountBalance(row["balance"], row["credit_floor"])


_QUOTA_USED = """
SELECT COALESCE(sum(parts) FILTER (WHERE day = t.today), 0)::bigint, COALESCE(sum(parts), 0)::bigint
FROM (SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date AS today) t, quota_used
WHERE account_id = $1 AND day BETWEEN date_trunc('month', t.today)::date AND t.today
"""


async def quota_used(database: Database, account_id: int) -> tuple[int, int]:
    """Parts accepted today and this month (in China), of the account and all below it."""
    row = await database.fetchrow(_QUOTA_USED, account_id)
    return (0, 0) if row is None else (row[0], row[1])


CONFIG_LOCK = 0x636F6E66
"""Advisory lock that every transaction shares which changes operating data: earlier programs, which run beside this one
during an update, look at it."""

# A sequence moves at once, the change itself is seen only after the commit: the lock tells that there is one to come.
BUMP = f"""
SELECT CASE WHEN pg_advisory_xact_lock_shared({CONFIG_LOCK}) IS NOT NULL THEN nextval('config_version') END
"""

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


def _parsed(fields: Mapping[str, object]) -> dict[str, Any]:
    """The fields checked. Unknown names and impossible values are ``PARAM_INVALID``."""
    values = {}
    for field, value in fields.items():
        if field not in FIELDS:
            raise Invalid("PARAM_INVALID", field=field, reason=f"可修改的字段为 {', '.join(FIELDS)}")
        try:
            values[field] = FIELDS[field](value)
        except ValueError as exc:
            raise Invalid("PARAM_INVALID", field=field, reason=str(exc)) from exc
    return values


async def add_account(database: Database, name: str, *, actor: str, **fields: object) -> int:
    """Make an account; its id. ``fields`` as in ``core.accounts.FIELDS``. ``PARAM_INVALID`` for a name that is taken
    or malformed, and for impossible values."""
    if not NAME.fullmatch(name):
        raise Invalid("PARAM_INVALID", field="name", reason="名称为 1 到 64 位字母、数字、点、横线或下划线")
    values = _parsed(fields)
    try:
        async with database.transaction(timeout=_patience(values)) as connection:
            account_id: int = await connection.fetchval(
                "INSERT INTO account (name) VALUES ($1) RETURNING id", name
            )
            await _change(connection, account_id, values)
            await audit.append(
                connection, actor=actor, action="account.add", object=f"account/{name}", after=_shown(values)
            )
            await connection.execute(BUMP)
    except asyncpg.UniqueViolationError as exc:
        raise Invalid("PARAM_INVALID", field="name", reason=f"账号 {name} 已存在") from exc
    except asyncpg.CheckViolationError as exc:
        raise _impossible(exc) from exc
    return account_id


async def set_account(database: Database, name: str, changes: Mapping[str, object], *, actor: str) -> None:
    """Change fields of an account; unknown fields and impossible values are ``PARAM_INVALID``."""
    values = _parsed(changes)
    await _set(database, name, values, actor=actor, action="account.set")


async def set_status(database: Database, name: str, status: str, *, actor: str) -> None:
    """Stop (``stopped``) or start (``active``) an account, and with it all below it that are not stopped themselves."""
    action = "account.stop" if status == "stopped" else "account.start"
    await _set(database, name, {"status": status}, actor=actor, action=action)


async def _set(database: Database, name: str, values: Mapping[str, Any], *, actor: str, action: str) -> None:
    try:
        async with database.transaction(timeout=_patience(values)) as connection:
            if {"status", "parent"} & values.keys():
                await connection.execute(_TREE_LOCK)
            before = await connection.fetchrow("SELECT * FROM account WHERE name = $1", name)
            if before is None:
                raise Invalid("NOT_FOUND")
            was = {field: before["parent_id" if field == "parent" else field] for field in values}
            await _change(connection, before["id"], values)
            await audit.append(
                connection, actor=actor, action=action, object=f"account/{name}",
                before=_shown(was), after=_shown(values),
            )  # fmt: skip
            await connection.execute(BUMP)
    except asyncpg.CheckViolationError as exc:
        raise _impossible(exc) from exc


def _patience(values: Mapping[str, Any]) -> float:
    return extensions.PATIENCE if values.get("extend_code") else STATEMENT_TIMEOUT


async def _change(connection: Connection, account_id: int, values: Mapping[str, Any]) -> None:
    below = [account_id]
    columns = dict(values)
    if "parent" in columns or "status" in columns:
        rows = await connection.fetch(_BELOW, account_id)
        below = [row["id"] for row in rows]
        if "parent" in columns:
            height = max(row["depth"] for row in rows)
            columns["parent_id"] = await _parent(connection, columns.pop("parent"), below, height)
    if "extend_code" in columns:
        await extensions.give(connection, account_id, "", str(columns.pop("extend_code")))
    if columns:
        sets = ", ".join(f"{column} = ${n}" for n, column in enumerate(columns, 2))
        await connection.execute(f"UPDATE account SET {sets} WHERE id = $1", account_id, *columns.values())  # noqa: S608
    if "parent_id" in columns or "status" in columns:
        await connection.execute(_HALT, below)


async def _parent(connection: Connection, name: str, below: list[int], height: int) -> int | None:
    """The id of the new parent, which must not be below its child."""
    if not name:
        return None
    parent: int | None = await connection.fetchval("SELECT id FROM account WHERE name = $1", name)
    if parent is None:
        raise Invalid("PARAM_INVALID", field="parent", reason=f"账号 {name} 不存在")
    if parent in below:
        raise Invalid("PARAM_INVALID", field="parent", reason="上级账号不能是本账号或其下级")
    if await connection.fetchval(_DEPTH, parent) + height > MAX_DEPTH:
        raise Invalid("PARAM_INVALID", field="parent", reason=f"账号层级最多 {MAX_DEPTH} 层")
    return parent


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as the audit log keeps them."""

    def plain(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [str(v) for v in value]
        return value if value is None or isinstance(value, str | int) else str(value)

    return {field: plain(value) for field, value in values.items()}


def _impossible(exc: asyncpg.CheckViolationError) -> Invalid:
    constraint = str(exc.constraint_name)
    if constraint == "account_ends_on":
        return Invalid("PARAM_INVALID", field="ends_on", reason="合同结束日期不能早于开始日期")
    if constraint == "account_check":
        return Invalid("PARAM_INVALID", field="credit_floor", reason="余额已低于该授信下限")
    return Invalid("PARAM_INVALID", field="account", reason=constraint)


_TOP_UP = """
WITH entry AS (INSERT INTO ledger (id, account_id, kind, units, note) VALUES ($1, $2, 'topup', $3, $4))
UPDATE account SET balance = balance + $3 WHERE id = $2 RETURNING balance
"""


async def top_up(
    database: Database, account_id: int, units: int, note: str, *, actor: str, ids: Callable[[], int]
) -> int:
    """Add units to an account (negative takes away); the new balance. Never below the floor."""
    try:
        async with database.transaction() as connection:
            new: int | None = await connection.fetchval(_TOP_UP, ids(), account_id, units, note)
            if new is None:
                raise Invalid("NOT_FOUND")
            await audit.append(
                connection, actor=actor, action="account.topup", object=f"account/{account_id}",
                after={"units": units, "note": note, "balance": new},
            )  # fmt: skip
    except asyncpg.CheckViolationError as exc:
        raise Invalid("STATE_CONFLICT", reason="余额不能低于授信下限") from exc
    return new
