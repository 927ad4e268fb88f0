"""What a message costs the database from its acceptance to its report (scripts/ledger): the program's own transactions
in batches, no network and no carrier. Measured at the server: octets of WAL, processor time of its backends, row
versions that are left behind.

Without images of whole pages, which depend on when checkpoints come and not on what is done, and without autovacuum,
which another run would find elsewhere.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import asyncpg
from databases import migrated
from ledger import Ledger, carrier_id

from smsgw.core.model import Claimed, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.states import PartState
from smsgw.runtime import log
from smsgw.store.engine import partitions
from smsgw.store.engine.database_roles import ADMIN
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages.calls import MESSAGE_COLUMNS, NewCall
from smsgw.store.records import audit

_TEXTS = {"sign": "某某市政务", "submitter": "key:k-0001", "content": "您有一份材料已办结，请凭短信到窗口领取。" * 2}
_SETTINGS = (
    "full_page_writes = off", "autovacuum = off", "max_wal_size = '8GB'", "checkpoint_timeout = '1h'",
    "synchronous_commit = off",
)  # fmt: skip
_PAID = "UPDATE account SET balance = 1000000000"
_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
_LEFT = """
SELECT sum(n_tup_upd + n_tup_del)::bigint AS dead, sum(n_tup_hot_upd)::bigint AS hot FROM pg_stat_all_tables
WHERE schemaname NOT LIKE 'pg\\_%'
"""
_WAL = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"
_TOLD = 11
"""Seconds of rest after which backends have told their statistics of rows."""


@dataclass
class Cost:
    """Of a stage, for all its messages together."""

    wal: int = 0
    seconds: float = 0.0
    """Of a processor."""


@dataclass
class Meter:
    """Looks at the server from beside."""

    beside: asyncpg.Connection
    costs: dict[str, Cost] = field(default_factory=dict)

    @asynccontextmanager
    async def stage(self, name: str) -> AsyncIterator[None]:
        """What is done inside is this stage's."""
        before = await self._look()
        yield
        after, cost = await self._look(), self.costs.setdefault(name, Cost())
        cost.wal += after.wal - before.wal
        cost.seconds += after.seconds - before.seconds

    async def _look(self) -> Cost:
        pids = [row["pid"] for row in await self.beside.fetch(_BACKENDS)]
        return Cost(await self.beside.fetchval(_WAL), sum(map(_run, pids)))

    async def left(self) -> tuple[int, int]:
        """Dead rows so far; of them those whose successors are in no index anew. Takes its time."""
        await asyncio.sleep(_TOLD)
        row = await self.beside.fetchrow(_LEFT)
        assert row is not None
        return row["dead"], row["hot"]


def _run(pid: int) -> float:
    """Seconds of a processor that a process has had."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[0]) / 1e9
    except OSError:  # it has just ended
        return 0.0


def _spoken(call: NewCall) -> NewCall:
    """The call with texts as long as those of real ones, each to a number of its own."""
    texts = {MESSAGE_COLUMNS.index(name): text for name, text in _TEXTS.items()}
    number = MESSAGE_COLUMNS.index("number")
    messages = []
    for n, row in enumerate(call.messages):
        own = texts | {number: f"86138{hash((call.batch_id, n)) % 10**8:08d}"}
        messages.append(tuple(own.get(column, value) for column, value in enumerate(row)))
    return replace(call, messages=messages)


def _taken(claimed: Claimed) -> Outcome:
    return Outcome(
        claimed.id, claimed.part, claimed.attempt, OutcomeKind.ACCEPTED, carrier_id=carrier_id(claimed)
    )


def _delivered(claimed: Claimed, ledger: Ledger) -> Report:
    return Report(
        ledger.channels["a"], carrier_id(claimed), PartState.DELIVERED, "DELIVRD", "", claimed.number, ledger.clock,
        pdu=bytes(80),
    )  # fmt: skip


async def live(ledger: Ledger, meter: Meter, *, batch: int, batches: int) -> None:
    """Messages go all their way, stage by stage, ``batch`` of them in each transaction."""
    calls = [_spoken(ledger.call(messages=batch)) for _ in range(batches)]
    async with meter.stage("accept"):
        for call in calls:
            await ledger.store(call)
    await ledger.fence()
    async with meter.stage("claim"):
        claimed = [await ledger.claim(limit=batch) for _ in range(batches)]
    assert [len(some) for some in claimed] == [batch] * batches
    async with meter.stage("answer"):
        for some in claimed:
            ledger.outcomes.answered([_taken(c) for c in some], UnknownPolicy.HOLD)
            await ledger.outcomes.drain()
    async with meter.stage("report"):
        for some in claimed:
            await asyncio.gather(*(ledger.outcomes.report(_delivered(c, ledger)) for c in some))


def each(costs: dict[str, Cost], messages: int) -> dict[str, tuple[float, float]]:
    """WAL and microseconds of one message: by stage, and of ``all`` of them."""
    told = {name: (c.wal / messages, c.seconds * 1e6 / messages) for name, c in costs.items()}
    return told | {"all": (sum(wal for wal, _ in told.values()), sum(us for _, us in told.values()))}


async def _measure(given: argparse.Namespace) -> tuple[dict[str, tuple[float, float]], float, float]:
    """On a server of its own; with dead rows, all of them and HOT ones."""
    with tempfile.TemporaryDirectory(prefix="smsgw-ledger-") as folder:
        embedded = EmbeddedPostgres(Path(folder) / "data")
        try:
            dsn = await migrated(embedded)
            beside = await asyncpg.connect(embedded.address(ADMIN))
            for one in _SETTINGS:
                await beside.execute(f"ALTER SYSTEM SET {one}")
            await beside.execute("SELECT pg_reload_conf()")
            ledger = Ledger(dsn, Path(folder))
            await ledger.open()
            try:
                await partitions.ensure(ledger.connection, await ledger.connection.fetchval(partitions.TODAY))
                await ledger.change("DROP TRIGGER watch ON part", _PAID, *given.change)
                await live(ledger, Meter(beside), batch=given.batch, batches=5)  # plans and caches are made
                meter = Meter(beside)
                before = await meter.left()
                for _ in range(given.rounds):
                    await live(ledger, meter, batch=given.batch, batches=given.batches)
                after = await meter.left()
            finally:
                await ledger.close()
                await beside.close()
        finally:
            await embedded.stop()
    messages = given.rounds * given.batches * given.batch
    dead, hot = ((late - early) / messages for early, late in zip(before, after, strict=True))
    return each(meter.costs, messages), dead, hot


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="scripts/ledger", description=__doc__)
    parser.add_argument("--batch", type=int, default=500, help="messages of a transaction")
    parser.add_argument("--batches", type=int, default=20, help="that lie between two stages")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--change", action="append", default=[], metavar="SQL", help="what if: run first, as the owner")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    log.setup("error")
    sealer = Sealer(bytes(32))
    audit.use(lambda: sealer)
    told, dead, hot = asyncio.run(_measure(given))
    if given.json:
        print(json.dumps({"stages": told, "dead": dead, "hot": hot}))
        return
    print(f"{'a message':10}{'WAL octets':>12}{'CPU µs':>10}")
    for name, (wal, us) in told.items():
        print(f"{name:10}{wal:>12.0f}{us:>10.1f}")
    print(f"dead rows {dead:.2f}, of them HOT {hot:.2f}")


if __name__ == "__main__":
    main()
