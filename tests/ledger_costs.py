"""What a message costs the database from its acceptance to its report (scripts/ledger): the program's own transactions
in batches, no network and no carrier. Measured at the server: octets of WAL, processor time of its backends, row
versions that are left behind.

Without images of whole pages, which depend on when checkpoints come and not on what is done, and without autovacuum,
which another run would find elsewhere.

``--days``: beside so many days of before, empty and settled (``partitions.index``): what statements cost that open all
days grows with them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path

import asyncpg
from databases import change, migrated
from ledger import LANE, NODE, POOL, Ledger, carrier_id

from smsgw.core.ids import first_id
from smsgw.core.model import Claimed, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.states import PartState
from smsgw.pipeline.accept.at_once import messages_of
from smsgw.pipeline.outcomes.writer import MAX_AGE
from smsgw.runtime import clock, log
from smsgw.store.engine import partitions
from smsgw.store.engine.cte_batch import COPIED
from smsgw.store.engine.database_roles import ADMIN
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import claiming
from smsgw.store.messages.calls import Fence, NewCall
from smsgw.store.records import audit

_TEXTS = {"sign": "某某市政务", "submitter": "key:k-0001", "content": "您有一份材料已办结，请凭短信到窗口领取。" * 2}
_SETTINGS = (
    "full_page_writes = off", "autovacuum = off", "max_wal_size = '8GB'", "checkpoint_timeout = '1h'",
    "synchronous_commit = off",
)  # fmt: skip
_PAID = "UPDATE account SET balance = 1000000000"
_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
_FOREVER = ("message", "part", "attempt", "event", "mo", "partner_part", "evidence", "link_click", "message_link")
"""Tables of which days are kept as long as messages are; of the others ``SHORTLY`` days."""
SHORTLY = 7
AT_ONCE = "accept + claim"
"""Both in one transaction."""
VAIN = "claim of none"
"""A stage of claims that find nothing."""
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

    async def memory(self) -> int:
        """Octets that the largest of the backends has for itself."""
        return max([_own(row["pid"]) for row in await self.beside.fetch(_BACKENDS)])

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


def _own(pid: int) -> int:
    """Octets of a process that it shares with no other."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return 0
    return sum(int(kib) * 1024 for kib in re.findall(r"^Private_\w+: +(\d+) kB", told, re.MULTILINE))


def _spoken(call: NewCall) -> NewCall:
    """The call with texts as long as those of real ones, each to a number of its own."""
    messages = [
        row._replace(**_TEXTS, number=f"86138{hash((call.batch_id, n)) % 10**8:08d}")
        for n, row in enumerate(call.messages)
    ]
    return replace(call, messages=messages)


def _taken(claimed: Claimed) -> Outcome:
    return Outcome(claimed.id, claimed.part, claimed.attempt, OutcomeKind.ACCEPTED, carrier_id=carrier_id(claimed))


def _delivered(claimed: Claimed, ledger: Ledger) -> Report:
    return Report(
        ledger.channels["a"], carrier_id(claimed), PartState.DELIVERED, "DELIVRD", "", claimed.number, ledger.clock,
        pdu=bytes(80),
    )  # fmt: skip


async def _claim(ledger: Ledger, limit: int) -> list[Claimed]:
    """As a channel does: of the days in which something can be queued."""
    now, lease = clock.now(), ledger.leases["a"]
    fence = claiming.Fence(lease.resource, NODE, lease.epoch, ledger.channels["a"])
    return await claiming.claim(
        ledger.connection, fence, limit=limit, queues=[(POOL, LANE)], oldest=first_id(now - MAX_AGE),
        newest=ledger.ids.newest(now),
    )  # fmt: skip


class Idle:
    """A channel that takes all of a call as it is accepted."""

    def __init__(self, fence: Fence) -> None:
        self._fence = fence
        self.taken_up: list[list[Claimed]] = []

    def open(self, calls: Sequence[NewCall]) -> dict[int, Fence]:
        """All of it."""
        self._calls = calls
        return {row.id: self._fence for call in calls for row in call.messages}

    def taken(self, ids: Collection[int]) -> None:
        """What is claimed with that."""
        parts = [part for call in self._calls for message in messages_of(call) for part in message]
        self.taken_up.append([part for part in parts if part.id in ids])


async def _accept_at_once(ledger: Ledger, meter: Meter, calls: Sequence[NewCall]) -> list[list[Claimed]]:
    await ledger.fence()
    lease = ledger.leases["a"]
    idle = Idle(Fence(lease.resource, NODE, lease.epoch, ledger.channels["a"]))
    async with meter.stage(AT_ONCE):
        for call in calls:
            await ledger.store(call, entrances=idle)
    return idle.taken_up


async def live(ledger: Ledger, meter: Meter, *, batch: int, batches: int, at_once: bool = False) -> None:
    """Messages go all their way, stage by stage, ``batch`` of them in each transaction. ``at_once``: claimed as they
    are accepted."""
    calls = [_spoken(ledger.call(messages=batch)) for _ in range(batches)]
    if at_once:
        claimed = await _accept_at_once(ledger, meter, calls)
    else:
        async with meter.stage("accept"):
            for call in calls:
                await ledger.store(call)
        await ledger.fence()
        async with meter.stage("claim"):
            claimed = [await _claim(ledger, batch) for _ in range(batches)]
    assert [len(some) for some in claimed] == [batch] * batches
    async with meter.stage(VAIN):
        assert [await _claim(ledger, batch) for _ in range(batches)] == [[]] * batches
    async with meter.stage("answer"):
        for some in claimed:
            ledger.outcomes.answered([_taken(c) for c in some], UnknownPolicy.HOLD)
            await ledger.outcomes.drain()
    async with meter.stage("report"):
        for some in claimed:
            await asyncio.gather(*(ledger.outcomes.report(_delivered(c, ledger)) for c in some))


async def settle(connection: asyncpg.Connection, days: int) -> None:
    """So many days before today, without a row, and with the indexes of settled days."""
    today: date = await connection.fetchval(partitions.TODAY)
    await partitions.ensure(connection, today)
    for table in partitions.TABLES:
        for ago in range(2, 1 + (days if table in _FOREVER else min(days, SHORTLY))):
            await connection.execute("SELECT partition_make($1, $2)", table, today - timedelta(days=ago))
    for table in partitions.SETTLED:
        await partitions.index(connection, today, table, None)


def each(costs: dict[str, Cost], messages: int) -> dict[str, tuple[float, float]]:
    """WAL and microseconds of one message: by stage, and of ``all`` of them."""
    told = {name: (c.wal / messages, c.seconds * 1e6 / messages) for name, c in costs.items()}
    way = [told[name] for name in told if name != VAIN]
    return told | {"all": (sum(wal for wal, _ in way), sum(us for _, us in way))}


@dataclass
class Told:
    """What was measured."""

    stages: dict[str, tuple[float, float]]
    """``each``."""
    dead: float
    hot: float
    anew: float
    """Milliseconds of a processor more for a transaction of each kind when all plans are made anew, which the server
    does whenever a partition was analysed."""
    memory: int
    """Octets of the largest backend."""


async def _measure(given: argparse.Namespace) -> Told:
    """On a server of its own."""
    with tempfile.TemporaryDirectory(prefix="smsgw-ledger-") as folder:
        embedded = EmbeddedPostgres(Path(folder) / "data")
        if given.setting:
            own = embedded.home / "pg-conf" / "local.conf"
            own.parent.mkdir(parents=True)
            own.write_text("\n".join(given.setting) + "\n", encoding="utf-8")
        try:
            dsn = await migrated(embedded)
            beside = await asyncpg.connect(embedded.address(ADMIN))
            for one in _SETTINGS:
                await beside.execute(f"ALTER SYSTEM SET {one}")
            await beside.execute("SELECT pg_reload_conf()")
            ledger = Ledger(dsn, Path(folder))
            await ledger.open()
            try:
                await settle(ledger.connection, given.days)
                await ledger.change("DROP TRIGGER watch ON part", _PAID, *given.change)
                how = {"batch": given.batch, "at_once": given.at_once}
                await live(ledger, Meter(beside), batches=5, **how)  # plans and caches are made
                meter = Meter(beside)
                before = await meter.left()
                for _ in range(given.rounds):
                    await live(ledger, meter, batches=given.batches, **how)
                after = await meter.left()
                afresh = Meter(beside)
                await change(dsn, "ANALYZE message, part, attempt, customer_event")
                await live(ledger, afresh, batches=1, **how)
                memory = await meter.memory()
            finally:
                await ledger.close()
                await beside.close()
        finally:
            await embedded.stop()
    messages = given.rounds * given.batches * given.batch
    dead, hot = ((late - early) / messages for early, late in zip(before, after, strict=True))
    anew = sum(c.seconds * 1e3 for c in afresh.costs.values())
    usual = sum(c.seconds * 1e3 for c in meter.costs.values()) / given.rounds / given.batches
    return Told(each(meter.costs, messages), dead, hot, anew - usual, memory)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="scripts/ledger", description=__doc__)
    parser.add_argument("--batch", type=int, default=500, help="messages of a transaction")
    parser.add_argument("--batches", type=int, default=20, help="that lie between two stages")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--days", type=int, default=1, help="kept of before today, empty")
    parser.add_argument("--setting", action="append", default=[], metavar="NAME=VALUE", help="of the server")
    parser.add_argument("--change", action="append", default=[], metavar="SQL", help="what if: run first, as the owner")
    parser.add_argument(
        "--at-once", action="store_true", help=f"messages are claimed as they are accepted (batches below {COPIED})"
    )
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.at_once and given.batch >= COPIED:
        parser.error(f"--at-once: with a --batch below {COPIED}, larger ones are queued")
    log.setup("error")
    sealer = Sealer(bytes(32))
    audit.use(lambda: sealer)
    told = asyncio.run(_measure(given))
    if given.json:
        print(json.dumps(asdict(told)))
        return
    print(f"{'a message':14}{'WAL octets':>12}{'CPU µs':>10}{'a transaction, µs':>20}")
    for name, (wal, us) in told.stages.items():
        print(f"{name:14}{wal:>12.0f}{us:>10.1f}{us * given.batch:>20.0f}")
    print(f"dead rows {told.dead:.2f}, of them HOT {told.hot:.2f}")
    print(f"plans anew {told.anew:.1f} ms; the largest backend {told.memory / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
