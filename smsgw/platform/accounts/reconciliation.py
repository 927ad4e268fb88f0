"""Reconciliation of ledger and balances with the messages."""

from __future__ import annotations

from dataclasses import dataclass, field

from smsgw.core import states
from smsgw.core.ids import day_of, day_range
from smsgw.core.states import PartState
from smsgw.store.engine.database import Database

PATIENCE = 600.0
"""Seconds for each look at everything."""

_OLDEST = "SELECT min(id) FROM message"

# Calls whose messages are past their retention ($1 is the first id still kept) are left out on both sides.
_ENTRIES = """
SELECT a.name, a.balance,
       COALESCE((SELECT sum(units) FROM ledger l WHERE l.account_id = a.id), 0)::bigint AS entries,
       COALESCE((SELECT -sum(units) FROM ledger l
                 WHERE l.account_id = a.id AND kind = 'debit' AND l.id >= $1), 0)::bigint AS debits,
       COALESCE((SELECT sum(units) FROM ledger l
                 WHERE l.account_id = a.id AND kind = 'refund' AND l.id >= $1
                   AND NOT EXISTS (SELECT FROM message m WHERE m.id = l.id AND m.batch_id < $1)), 0)::bigint AS refunds,
       COALESCE((SELECT sum(price) FROM message m WHERE m.account_id = a.id AND m.batch_id >= $1), 0)::bigint AS charged
FROM account a ORDER BY a.name
"""

_PARTS = """
SELECT a.name, p.state, p.by_us, m.refund_failed, sum(m.price / m.parts)::bigint AS units
FROM part p JOIN message m ON m.id = p.id JOIN account a ON a.id = m.account_id
WHERE m.price > 0 AND m.batch_id >= $1
GROUP BY 1, 2, 3, 4
"""


@dataclass(slots=True)
class LedgerLine:
    """What the ledger says of an account, and what its messages say."""

    account: str
    balance: int
    entries: int
    debits: int
    refunds: int
    charged: int
    """Price of the messages."""
    refundable: int = 0
    """Price of the parts that had to be refunded."""
    paid: dict[str, int] = field(default_factory=dict)
    """Price of the others, by status of the part."""

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
        paid = sum(self.paid.values())
        if self.debits - self.refunds != paid:
            found.append(
                f"debits less refunds {self.debits - self.refunds} are not the price of the other parts {paid}"
            )
        return found


async def check_ledger(database: Database) -> list[LedgerLine]:
    """Compare money with messages, account by account, in one snapshot."""
    async with (
        database.acquire(timeout=3 * PATIENCE) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        oldest = await connection.fetchval(_OLDEST, timeout=PATIENCE)
        since = 0 if oldest is None else day_range(day_of(oldest))[0]
        entries = await connection.fetch(_ENTRIES, since, timeout=PATIENCE)
        parts = await connection.fetch(_PARTS, since, timeout=PATIENCE)
    lines = {row["name"]: LedgerLine(row["name"], *list(row.values())[1:]) for row in entries}
    for row in parts:
        line, state = lines[row["name"]], PartState(row["state"])
        if state in states.REFUNDED or (state is PartState.UNDELIVERABLE and row["refund_failed"]):
            line.refundable += row["units"]
        else:
            status = states.status_of(state, row["by_us"])
            line.paid[status] = line.paid.get(status, 0) + row["units"]
    return list(lines.values())
