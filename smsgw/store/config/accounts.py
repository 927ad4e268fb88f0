"""Sending accounts, as the configuration in memory has them."""

from __future__ import annotations

import ipaddress

from smsgw.core.accounts import resolve
from smsgw.core.model import Account, UnknownPolicy
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.rows import each

# With the departments whose quotas count the account, from the top down.
_LIST = """
WITH RECURSIVE line(id, quotas) AS (
    SELECT id, CASE WHEN month_quota IS NULL THEN '{}'::bigint[] ELSE ARRAY[id] END
    FROM department WHERE parent_id IS NULL AND removed_at IS NULL
    UNION ALL
    SELECT d.id, CASE WHEN d.month_quota IS NULL THEN l.quotas ELSE l.quotas || d.id END
    FROM department d JOIN line l ON d.parent_id = l.id WHERE d.removed_at IS NULL
)
SELECT a.*, COALESCE(l.quotas, '{}'::bigint[]) AS departments
FROM account a LEFT JOIN line l ON l.id = a.department_id ORDER BY a.name
"""


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
        training=row["training"],
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
        department_id=row["department_id"],
        departments=tuple(row.get("departments", ())),
    )


async def load_accounts(source: Connection | Database) -> list[Account]:
    """All accounts by name, with what follows from those above them."""
    found = {one.id: one for one in each("account", await source.fetch(_LIST), account_of)}
    while orphans := [one.id for one in found.values() if one.parent_id is not None and one.parent_id not in found]:
        for id_ in orphans:  # nobody knows whether they are stopped
            del found[id_]
    return resolve(found.values())


_AVAILABLE = "SELECT id, balance - credit_floor FROM account"


async def available(source: Connection | Database) -> dict[int, int]:
    """Account id -> units that it can spend."""
    return {row[0]: row[1] for row in await source.fetch(_AVAILABLE)}
