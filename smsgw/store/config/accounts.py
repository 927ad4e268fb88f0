"""Sending accounts, as the configuration in memory has them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from smsgw.core.accounts import resolve
from smsgw.core.model import Account, UnknownPolicy
from smsgw.store.engine.database import Connection, Database, Row


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account and its units."""

    account: Account
    balance: int


_LIST = "SELECT * FROM account ORDER BY name"


def account_of(row: Row) -> Account:
    """A row of ``account``, without what follows from those above it (``core.accounts.resolve``)."""
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
    resolved = {a.id: a for a in resolve(account_of(row) for row in rows)}
    return [AccountRow(resolved[row["id"]], row["balance"]) for row in rows]


_AVAILABLE = "SELECT id, balance - credit_floor FROM account"


async def available(source: Connection | Database) -> dict[int, int]:
    """Account id -> units that it can spend."""
    return {row[0]: row[1] for row in await source.fetch(_AVAILABLE)}


CONFIG_LOCK = 0x636F6E66
"""Advisory lock that every transaction shares which changes operating data: earlier programs, which run beside this one
during an update, look at it."""

# A sequence moves at once, the change itself is seen only after the commit: the lock tells that there is one to come.
BUMP = f"""
SELECT CASE WHEN pg_advisory_xact_lock_shared({CONFIG_LOCK}) IS NOT NULL THEN nextval('config_version') END
"""
