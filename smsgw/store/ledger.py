"""The books held against the messages."""

from __future__ import annotations

from dataclasses import dataclass

from smsgw.store.db import Database

_LEDGER_CHECK = """
SELECT a.id, a.name, a.balance,
       COALESCE((SELECT sum(units) FROM ledger l WHERE l.account_id = a.id), 0)::bigint AS entries,
       COALESCE((SELECT -sum(units) FROM ledger l WHERE l.account_id = a.id AND kind = 'debit'), 0)::bigint AS debits,
       COALESCE((SELECT sum(units) FROM ledger l WHERE l.account_id = a.id AND kind = 'refund'), 0)::bigint AS refunds,
       COALESCE((SELECT sum(price) FROM message m WHERE m.account_id = a.id), 0)::bigint AS charged,
       COALESCE((SELECT sum(m.price / m.parts) FROM part p JOIN message m ON m.id = p.id
                 WHERE p.account_id = a.id AND (p.state = ANY($1::smallint[]) OR p.state = 41 AND m.refund_failed)),
                0)::bigint AS refundable
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
