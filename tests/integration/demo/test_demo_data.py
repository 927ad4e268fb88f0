"""The demo data are what a node would have left behind: the books agree with the rows, the audit chain holds, and a
seed makes the same again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import smsgw.demo
from smsgw.channels.wire.proofs import readings
from smsgw.core.errors import Refused
from smsgw.core.ids import CHINA, first_id
from smsgw.core.states import FINAL, PartState
from smsgw.demo.fill import DOMAINS, Filled, fill
from smsgw.demo.world import World
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import daily
from smsgw.store.records import audit, audit_chain, evidence

DAYS, DAILY = 4, 60
SEALER = Sealer(b"k" * 32)
FATES = {
    PartState.HELD, PartState.SCHEDULED, PartState.DEFERRED, PartState.UNKNOWN, PartState.DELIVERED,
    PartState.UNDELIVERABLE, PartState.REJECTED,
}  # fmt: skip
FILLED = "attempt event mo review task job alarm block_list contact template sign complaint api_key".split()
STATISTICS = "SELECT * FROM stat_day ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9"


async def made(database: Database) -> Filled:
    audit.use(lambda: SEALER)
    return await fill(database, SEALER, password_hash="x", now=datetime.now(UTC), days=DAYS, daily=DAILY, seed=7)


class Look:
    def __init__(self, database: Database) -> None:
        self.database = database

    async def rows(self, query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in await self.database.fetch(query)]

    async def same(self, one: str, other: str) -> None:
        first, second = await self.database.fetchval(one), await self.database.fetchval(other)
        assert first == second, f"{one} is {first}, {other} is {second}"
        assert first, one

    async def proofs(self) -> None:
        report = await evidence.verify(self.database, SEALER, (), now=datetime.now(UTC), reads=readings)
        assert report.problems == []
        assert report.pdus

    async def books(self) -> None:
        assert await self.rows("SELECT count(*) FROM message_99991231") == [(0,)], "each in its day's partition"
        wrong = """
            SELECT a.name FROM account a
            WHERE a.balance <> (SELECT sum(units) FROM ledger l WHERE l.account_id = a.id) OR a.balance < 0
        """
        assert await self.rows(wrong) == []
        untold = "SELECT count(*) FROM ledger WHERE kind = 'topup' AND (who IS NULL OR balance IS NULL)"
        assert await self.rows(untold) == [(0,)]
        spent = "SELECT sum(price) FROM message"
        await self.same("SELECT -sum(units) FROM ledger WHERE kind = 'debit'", spent)
        await self.same("SELECT sum(units) FROM usage_day", spent)
        taken = "SELECT sum(n) FROM stat_minute WHERE metric = 'submitted'"
        await self.same(taken, "SELECT count(*) FROM part WHERE carrier_id IS NOT NULL")
        back = "SELECT sum(units) FROM ledger WHERE kind = 'refund'"
        assert await self.rows("SELECT NULLIF(sum(refunded), 0) FROM usage_day") == await self.rows(back)

    async def statistics(self) -> None:
        before = await self.rows(STATISTICS)
        accepted = sum(row[9] for row in before if row[8] == "accepted")
        assert accepted == await self.database.fetchval("SELECT count(*) FROM message")
        today = datetime.now(CHINA).date()
        async with self.database.transaction() as connection:
            for back in range(DAYS + 1):
                await daily.recount(connection, today - timedelta(days=back))
        assert await self.rows(STATISTICS) == before

    async def fates(self) -> None:
        parts = await self.rows("SELECT id, state, accepted_at, claimed_at, final_at FROM part")
        assert {PartState(part[1]) for part in parts} >= FATES
        for id_, state, accepted, claimed, final in parts:
            assert (final is not None) == (state in FINAL), id_
            assert claimed is None or accepted <= claimed <= (final or claimed), id_
        broken = """
            SELECT m.id FROM message m LEFT JOIN part p USING (id)
            GROUP BY m.id, m.parts HAVING count(p.id) <> m.parts
        """
        assert await self.rows(broken) == []
        for table in FILLED:
            assert await self.database.fetchval(f"SELECT count(*) FROM {table}") > 0, table  # noqa: S608

    async def events(self) -> None:
        """Nothing is about to be lost before anybody has looked, and given up is only what somebody was called for."""
        waits = "SELECT account_id, kind FROM customer_event WHERE acknowledged_at IS NULL AND id < "
        assert await self.rows(f"{waits}{first_id(datetime.now(UTC) - timedelta(days=1, hours=1))}") == []
        dead = await self.rows("SELECT DISTINCT account_id FROM customer_event WHERE dead_at IS NOT NULL")
        assert dead
        assert set(dead) <= set(await self.rows("SELECT account_id FROM webhook"))

    async def chain(self) -> None:
        report = await audit_chain.verify(self.database, SEALER)
        assert {problem.kind for problem in report.problems} <= {"no_anchor"}  # a node makes those
        first, last = await self.rows("(SELECT action, at FROM audit ORDER BY id LIMIT 1) UNION ALL "
                                      "(SELECT action, at FROM audit ORDER BY id DESC LIMIT 1)")  # fmt: skip
        assert first[0] == "demo.fill"
        assert last[1] - first[1] > timedelta(days=DAYS - 2)


async def test_the_history_is_what_a_node_would_have_left(database: Database) -> None:
    filled = await made(database)
    assert filled.messages > DAYS * DAILY / 2
    look = Look(database)
    await look.books()
    await look.statistics()
    await look.fates()
    await look.events()
    await look.chain()
    await look.proofs()
    with pytest.raises(Refused) as refused:  # what is in use is left alone
        await made(database)
    assert refused.value.code == "STATE_CONFLICT"
    assert await database.fetchval("SELECT count(*) FROM message") == filled.messages


def test_a_seed_makes_the_same_again() -> None:
    def some(seed: int) -> list[str]:
        now = datetime(2026, 9, 1, 12, tzinfo=UTC)
        world = World(None, SEALER, None, now, DAYS, DAILY, seed, "", {})  # type: ignore[arg-type]
        return [world.number() for _ in range(20)]

    assert some(1) == some(1) != some(2)


def test_every_module_of_the_package_is_filled_in() -> None:
    """A domain that is not in the list would never be made."""
    modules = {path.stem for path in Path(smsgw.demo.__path__[0]).glob("*.py")}
    listed = {domain.__name__.rpartition(".")[2] for domain in DOMAINS}
    assert modules - listed == {"__init__", "fill", "world", "figures"}
