"""A backlog: marketing messages queued in the shape that accept gives them, as many as wanted, within seconds."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
from databases import change
from harness import Site, until

from smsgw.core.ids import first_id
from smsgw.store.messages.calls import MESSAGE_TYPES, PART_TYPES

STEP = 1 << 20
"""Between two ids: four messages a millisecond; no node of the tests makes such ids."""
_made = itertools.count()
"""Backlogs that follow each other at once lie between each other's ids."""

_OWN_MESSAGE = {
    "id": "$2::bigint + n * $3::bigint", "batch_id": "$2::bigint",
    "content": "'大促销#tb' || $5 || lpad(to_hex(n), 7, '0') || '#'",
    "number": "'86' || $5 || lpad(n::text, 7, '0')", "client_ref": "''",
}  # fmt: skip
_OWN_PART = {
    "id": "$2::bigint + n * $3::bigint", "state": "10::smallint", "next_at": "NULL::timestamptz", "code": "''",
    "class": "''", "by_us": "false", "final_at": "NULL::timestamptz", "expires_at": "$5::timestamptz",
}  # fmt: skip


def _copy(table: str, columns: Mapping[str, str], own: dict[str, str]) -> str:
    chosen = ", ".join(own.get(c, f"t.{c}") for c in columns)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {chosen} "  # noqa: S608 - constants
        f"FROM {table} t, generate_series(1, $4::bigint) n WHERE t.id = $1"
    )


@dataclass
class Backlog:
    """Messages of one account that wait in one pool on the marketing lane."""

    account: str
    account_id: int
    first: int
    """Their ids are above this one and below ``last``."""
    last: int
    messages: int
    dsn: str

    async def count(self, *states: int) -> int:
        """How many parts of it are in one of these states."""
        connection = await asyncpg.connect(self.dsn, timeout=10)
        try:
            return int(
                await connection.fetchval(
                    "SELECT count(*) FROM part "
                    "WHERE id > $1 AND id < $2 AND account_id = $3 AND state = ANY($4::smallint[])",
                    self.first, self.last, self.account_id, states, timeout=60,
                )
            )  # fmt: skip
        finally:
            await connection.close()


def arrived(site: Site, prefix: str = "1380") -> int:
    """Messages of the backlog with these numbers that carriers have received."""
    return sum(n for token, n in site.received().items() if token.startswith(f"#tb{prefix}"))


async def queue(
    site: Site, dsn: str, account: str, messages: int, *, prefix: str = "1380", valid: timedelta = timedelta(days=1)
) -> Backlog:
    """Make an account, let it send one message as a pattern, and queue as many more with their price debited."""
    await site.node.furnish("account", "add", account, "--no-sign", "--balance", str(messages + 1))
    sent = await site.node.ctl(
        "send", "--account", account, "--to", f"{prefix}9999999", "--text", "大促销样本", "--type", "marketing",
        "--json",
    )  # fmt: skip
    pattern = int(sent.data["items"][0]["message_id"])
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        first = first_id(datetime.now(UTC)) - (messages + 8) * STEP + next(_made)
        common = (pattern, first, STEP, messages)
        expires = datetime.now(UTC) + valid
        async with connection.transaction():
            await connection.execute(_copy("message", MESSAGE_TYPES, _OWN_MESSAGE), *common, prefix, timeout=300)
            await connection.execute(_copy("part", PART_TYPES, _OWN_PART), *common, expires, timeout=300)
            account_id = await connection.fetchval(
                "WITH entry AS (INSERT INTO ledger (id, account_id, kind, units) SELECT $1, id, 'debit', -$2::bigint "
                "FROM account WHERE name = $3) UPDATE account SET balance = balance - $2::bigint WHERE name = $3 "
                "RETURNING id", first, messages, account,
            )  # fmt: skip
        await change(dsn, "ANALYZE part")
    finally:
        await connection.close()
    await until(lambda: any("样本" in m.text for c in site.carriers.values() for m in c.messages), what="pattern")
    return Backlog(account, account_id, first, first + (messages + 1) * STEP, messages, dsn)
