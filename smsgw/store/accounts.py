"""Sending accounts and their money."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from smsgw.core.errors import Invalid
from smsgw.core.model import Account, UnknownPolicy
from smsgw.store import audit
from smsgw.store.db import Database, Row


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
    )


async def list_accounts(database: Database) -> list[AccountRow]:
    """All accounts by name."""
    rows = await database.fetch(_LIST)
    return [AccountRow(_account(row), row["balance"], row["created_at"]) for row in rows]


_BALANCE = "SELECT balance, credit_floor FROM account WHERE id = $1"


async def balance(database: Database, account_id: int) -> AccountBalance | None:
    """The money of an account."""
    row = await database.fetchrow(_BALANCE, account_id)
    return None if row is None else AccountBalance(row["balance"], row["credit_floor"])


_ADD = """
INSERT INTO account (name, display_name, default_sign, sign_required, extend_code, credit_floor, unknown_policy)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id
"""
CONFIG_LOCK = 0x636F6E66
"""Advisory lock that every transaction shares which changes operating data (see ``channels.config_version``)."""

# A sequence moves at once, the change itself is seen only after the commit: the lock tells that there is one to come.
BUMP = f"""
SELECT CASE WHEN pg_advisory_xact_lock_shared({CONFIG_LOCK}) IS NOT NULL THEN nextval('config_version') END
"""


async def add_account(
    database: Database,
    name: str,
    *,
    actor: str,
    display_name: str = "",
    default_sign: str = "",
    sign_required: bool = True,
    extend_code: str = "",
    credit_floor: int = 0,
    unknown_policy: str | None = None,
) -> int:
    """Make an account; its id. ``PARAM_INVALID`` when the name is taken or malformed."""
    try:
        async with database.transaction() as connection:
            account_id: int = await connection.fetchval(
                _ADD,
                name,
                display_name,
                default_sign,
                sign_required,
                extend_code,
                credit_floor,
                unknown_policy,
            )
            await audit.append(
                connection, actor=actor, action="account.add", object=f"account/{name}",
                after={"default_sign": default_sign, "extend_code": extend_code, "credit_floor": credit_floor},
            )  # fmt: skip
            await connection.execute(BUMP)
    except asyncpg.UniqueViolationError as exc:
        raise Invalid("PARAM_INVALID", field="name", reason=f"账号 {name} 已存在") from exc
    except asyncpg.CheckViolationError as exc:
        raise Invalid("PARAM_INVALID", field="account", reason=str(exc.constraint_name)) from exc
    return account_id


_SETTABLE = (
    "display_name",
    "default_sign",
    "sign_required",
    "extend_code",
    "credit_floor",
    "unknown_policy",
    "status",
    "emergency",
)


async def set_account(database: Database, name: str, changes: dict[str, object], *, actor: str) -> None:
    """Change fields of an account; unknown fields and impossible values are ``PARAM_INVALID``."""
    for field in changes:
        if field not in _SETTABLE:
            raise Invalid("PARAM_INVALID", field=field, reason=f"可修改的字段为 {', '.join(_SETTABLE)}")
    try:
        async with database.transaction() as connection:
            before = await connection.fetchrow("SELECT * FROM account WHERE name = $1 FOR UPDATE", name)
            if before is None:
                raise Invalid("NOT_FOUND")
            for field, value in changes.items():
                await connection.execute(f"UPDATE account SET {field} = $2 WHERE name = $1", name, value)  # noqa: S608
            await audit.append(
                connection, actor=actor, action="account.set", object=f"account/{name}",
                before={field: before[field] for field in changes}, after=dict(changes),
            )  # fmt: skip
            await connection.execute(BUMP)
    except asyncpg.CheckViolationError as exc:
        raise Invalid("PARAM_INVALID", field="account", reason=str(exc.constraint_name)) from exc


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


_LEDGER_CHECK = """
SELECT a.id, a.name, a.balance,
       COALESCE((SELECT sum(units) FROM ledger l WHERE l.account_id = a.id), 0)::bigint AS entries,
       COALESCE((SELECT -sum(units) FROM ledger l WHERE l.account_id = a.id AND kind = 'debit'), 0)::bigint AS debits,
       COALESCE((SELECT sum(units) FROM ledger l WHERE l.account_id = a.id AND kind = 'refund'), 0)::bigint AS refunds,
       COALESCE((SELECT sum(price) FROM message m WHERE m.account_id = a.id), 0)::bigint AS charged,
       COALESCE((SELECT sum(m.price / m.parts) FROM part p JOIN message m ON m.id = p.id
                 WHERE p.account_id = a.id AND p.state = ANY($1::smallint[])), 0)::bigint AS refundable
FROM account a ORDER BY a.name
"""


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """What the ledger says of an account, and what the messages say."""

    account: str
    balance: int
    entries: int
    debits: int
    refunds: int
    charged: int
    refundable: int

    @property
    def problems(self) -> list[str]:
        """Where they differ; empty when all is well."""
        found = []
        if self.balance != self.entries:
            found.append(f"balance {self.balance} is not the sum of ledger entries {self.entries}")
        if self.debits != self.charged:
            found.append(f"debits {self.debits} are not the price of the messages {self.charged}")
        if self.refunds != self.refundable:
            found.append(f"refunds {self.refunds} are not the price of parts never sent {self.refundable}")
        return found


async def check_ledger(database: Database, refunded_states: tuple[int, ...]) -> list[LedgerLine]:
    """Compare money with messages, account by account, in one snapshot."""
    rows = await database.fetch(_LEDGER_CHECK, list(refunded_states), timeout=600)
    fields = ("name", "balance", "entries", "debits", "refunds", "charged", "refundable")
    return [LedgerLine(*(row[f] for f in fields)) for row in rows]
