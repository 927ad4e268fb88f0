"""A ledger with one account and channels of no carrier: what the store's and the pipeline's tests stand on.

Every change of a part's state is checked by a trigger against ``core.states.TRANSITIONS``.
"""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from call_rows import message_row, part_row
from changes import by_test
from composing import Composed, ground
from databases import change
from snapshots import FixedSnapshots, snapshot_of
from standins import AnyFleet, AnyRouter, NoNumbers

from smsgw.core.ids import IdSource
from smsgw.core.model import Account, Claimed, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.states import TRANSITIONS, PartState
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.outcomes.writer import Outcomes
from smsgw.pipeline.upkeep.maintenance import Maintenance
from smsgw.platform.accounts import queries as account_queries, reconciliation, service as accounts
from smsgw.runtime.config import Config
from smsgw.store.engine import leases
from smsgw.store.engine.database import Database, connect
from smsgw.store.engine.journal import Journal
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import claiming
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import Entrances, NewCall, RequestKey
from smsgw.store.messages.claiming import Fence

NODE = 1
POOL = 1
LANE = 2
BALANCE = 100_000

_WATCH = """
CREATE TABLE allowed (source smallint, target smallint, PRIMARY KEY (source, target));
GRANT ALL ON allowed TO smsgw;
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM allowed WHERE source = old.state AND target = new.state) THEN
        RAISE EXCEPTION 'part % %: % -> % is not allowed', old.id, old.part, old.state, new.state;
    END IF;
    RETURN new;
END $$;
CREATE TRIGGER watch BEFORE UPDATE ON part FOR EACH ROW WHEN (old.state <> new.state) EXECUTE FUNCTION watch();
"""

_BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


class Ledger:
    """Everything a test needs, with a clock of its own for what is said (the database's is used for claims)."""

    def __init__(self, dsn: str, folder: Path) -> None:
        self.dsn = dsn
        self.folder = folder
        self.clock = datetime.now(UTC)
        self.database = Database(dsn, size=4)
        self._ms = itertools.count(int(self.clock.timestamp() * 1000))
        self._back = 0
        self.ids = IdSource(NODE, lambda: next(self._ms) - self._back)
        self.account_id = 0
        self.refund_failed = False
        """What the account is promised for failed parts."""
        self.balanced = True
        """Whether its books have to balance when the test is done."""
        self.channels: dict[str, int] = {}
        self.leases: dict[str, leases.Lease] = {}
        self.hub = EventHub()
        self.snapshots = FixedSnapshots()
        self.fleet = AnyFleet()
        self.router = AnyRouter(self.fleet)
        self.journal = Journal(folder, NODE, "0" * 36, segment_bytes=1 << 16)
        self.outcomes: Outcomes

    async def open(self) -> None:
        await self.database.open()
        self.connection: asyncpg.Connection = await connect(self.dsn, writer=True)
        await self.change(_WATCH)
        await self.connection.executemany(
            "INSERT INTO allowed VALUES ($1, $2)", [(s, t) for s, targets in TRANSITIONS.items() for t in targets]
        )
        self.account_id = await accounts.add(by_test(self.database), "shop", default_sign="小店")
        await accounts.top_up(by_test(self.database, self.ids.next), self.account_id, BALANCE, "")
        for name in ("a", "b"):
            self.channels[name] = await self.connection.fetchval(
                "INSERT INTO channel (name, protocol, host, port, username, password_sealed) "
                "VALUES ($1, 'cmpp20', '127.0.0.1', 1, 'u', '') RETURNING id",
                name,
            )
        self.journal.open()
        self.snapshots.current = snapshot_of([Account(self.account_id, "shop", "active")], {"CMCC": POOL})
        stand = ground(
            self.database, self.folder, sealer=Sealer(bytes(32)), number=NODE, ids=self.ids, journal=self.journal
        )
        self.outcomes = Composed(
            stand, snapshots=self.snapshots, fleet=self.fleet, router=self.router, numbers=NoNumbers(), hub=self.hub,
            now=lambda: self.clock,
        ).outcomes  # fmt: skip
        await self.outcomes.start()

    async def change(self, *statements: str) -> None:
        """Run statements as the owner of the schema."""
        await change(self.dsn, *statements)

    async def close(self) -> None:
        await self.outcomes.stop()
        await self.connection.close()
        await self.database.close()
        self.journal.close()

    def follow_the_clock(self) -> None:
        """Ids to come are of now; before, each was a millisecond after the last one."""
        self._ms = itertools.count(int(datetime.now(UTC).timestamp() * 1000))

    # --- accepting ---------------------------------------------------------------------------------------------

    def call(
        self, *, parts: int = 1, messages: int = 1, keys: tuple[RequestKey, ...] = (), policy: str | None = None,
        state: PartState = PartState.QUEUED, valid: timedelta = timedelta(hours=24), account_id: int | None = None,
        units: int | None = None,
    ) -> NewCall:  # fmt: skip
        """A call as accept would make it."""
        account_id = account_id or self.account_id
        ids = [self.ids.next() for _ in range(messages)]
        rows = [
            message_row(
                id=i, batch_id=ids[0], account_id=account_id, content="x" * 67 * parts, parts=parts, concat_ref=1,
                price=parts, refund_failed=self.refund_failed,
            )
            for i in ids
        ]  # fmt: skip
        part_rows = [
            part_row(
                id=i, part=n, total=parts, account_id=account_id, pool_id=POOL, lane=LANE, state=int(state),
                unknown_policy=policy, next_at=self.clock, expires_at=self.clock + valid, accepted_at=self.clock,
            )
            for i in ids for n in range(1, parts + 1)
        ]  # fmt: skip
        keys = tuple(RequestKey(k.kind, k.key, k.request_sha256, k.message_id or ids[0], k.answers) for k in keys)
        units = parts * messages if units is None else units
        return NewCall(account_id, ids[0], rows, part_rows, units, keys, b"answer of %d" % ids[0])

    async def store(
        self, *calls: NewCall, again: bool = False, connection: object = None, entrances: Entrances | None = None
    ) -> list[object]:
        """Commit calls in one transaction."""
        async with self.connection.transaction():
            return list(await commit_calls(self.connection, list(calls), again, node=NODE, entrances=entrances))

    async def accept(self, **about: object) -> int:
        """A message in the queue; its id."""
        call = self.call(**about)  # type: ignore[arg-type]
        await self.store(call)
        return call.batch_id

    # --- sending -----------------------------------------------------------------------------------------------

    async def fence(self, channel: str = "a", node: int = NODE) -> Fence:
        """The right to claim for a channel."""
        lease = await leases.acquire(self.database, f"channel/{self.channels[channel]}", node)
        self.leases[channel] = lease
        return Fence(lease.resource, node, lease.epoch, self.channels[channel])

    async def claim(self, channel: str = "a", limit: int = 1000, connection: object = None) -> list[Claimed]:
        """Claim what is queued."""
        if (lease := self.leases.get(channel)) is None:
            fence = await self.fence(channel)
        else:
            fence = Fence(lease.resource, NODE, lease.epoch, self.channels[channel])
        ours: Any = connection or self.connection
        return await claiming.claim(ours, fence, limit=limit, queues=[(POOL, LANE)], oldest=0)

    async def answer(self, kind: OutcomeKind, *claimed: Claimed, policy: UnknownPolicy = UnknownPolicy.HOLD) -> None:
        """One answer for each part; accepted ones get the carrier id ``id-part-attempt``."""
        known = kind is OutcomeKind.ACCEPTED
        outcomes = [
            Outcome(c.id, c.part, c.attempt, kind, carrier_id=carrier_id(c) if known else "", code="x", delay=1.0)
            for c in claimed
        ]
        if kind is OutcomeKind.UNSENT:
            self.outcomes.unsent(outcomes)
        else:
            self.outcomes.answered(outcomes, policy)
        await self.outcomes.drain()

    async def taken(self, **about: object) -> tuple[int, list[Claimed]]:
        """A message that channel ``a`` has claimed: its id, and its parts."""
        message_id = await self.accept(**about)
        return message_id, await self.claim()

    async def claim_deferred(self, channel: str = "a") -> list[Claimed]:
        """Claim what waits for its next attempt, however long it should."""
        lease = self.leases[channel]
        fence = Fence(lease.resource, NODE, lease.epoch, self.channels[channel])
        await self.connection.execute("UPDATE part SET next_at = now() - interval '1 second' WHERE state = 11")
        now = datetime.now(UTC)
        return await claiming.claim_deferred(self.connection, fence, now=now, limit=10, oldest=0)

    def report(
        self, claimed: Claimed, state: PartState = PartState.DELIVERED, channel: str = "a", *, code: str = "",
        cls: str = "", after: float = 0.0, pdu: bytes = b"",
    ) -> Report:  # fmt: skip
        """What the carrier says of a part that it has accepted."""
        return Report(
            self.channels[channel], carrier_id(claimed), state, code or state.name, cls, claimed.number,
            self.clock + timedelta(seconds=after), pdu=pdu,
        )  # fmt: skip

    # --- looking -----------------------------------------------------------------------------------------------

    async def states(self, message_id: int) -> list[PartState]:
        """Of the parts of a message, in order."""
        rows = await self.connection.fetch("SELECT state FROM part WHERE id = $1 ORDER BY part", message_id)
        return [PartState(row["state"]) for row in rows]

    async def state(self, message_id: int) -> PartState:
        """Of a message of one part."""
        (state,) = await self.states(message_id)
        return state

    async def events(self, message_id: int | None = None) -> list[str]:
        """Status words of the reports that the customer is offered."""
        rows = await self.connection.fetch(
            "SELECT status FROM customer_event WHERE kind = 'report' "
            "AND ($1::bigint IS NULL OR message_id = $1) ORDER BY id",
            message_id,
        )
        return [row["status"] for row in rows]

    async def orphans(self) -> list[str]:
        """Numbers of the reports that have found no part."""
        rows = await self.connection.fetch("SELECT number FROM receipt_orphan ORDER BY number")
        return [row["number"] for row in rows]

    async def until_blocked(self) -> None:
        """Returns when a connection waits for a row of another."""
        async with asyncio.timeout(60):
            while not await self.connection.fetchval(_BLOCKED):  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.02)

    async def ended(self, message_id: int) -> tuple[list[PartState], list[str]]:
        """States of the parts of a message, and what the customer was told of it."""
        return await self.states(message_id), await self.events(message_id)

    async def balance(self) -> int:
        """Units that are left."""
        left = await account_queries.balance(self.database, self.account_id)
        return left.balance

    async def problems(self) -> list[str]:
        """What ``smsgwctl ledger check`` finds."""
        lines = await reconciliation.check_ledger(self.database)
        return [problem for line in lines for problem in line.problems]

    def age(self, days: float) -> None:
        """Ids that are made from here on are so many days old."""
        self._back = int(days * 86_400_000)
        self.ids = IdSource(NODE, lambda: next(self._ms) - self._back)

    def later(self, **about: float) -> None:
        """Let time pass for what is said to the ledger."""
        self.clock += timedelta(**about)


def upkeep(database: Database, config: Config | None = None, **parts: Any) -> Maintenance:
    """The jobs of the days; what a test does not need is missing."""
    known = {"outcomes": None, "snapshots": FixedSnapshots(), "hub": None, "ids": IdSource(NODE, lambda: 1)} | parts
    return Maintenance(database, *known.values(), config or Config(), AnyFleet())  # type: ignore[arg-type]


def carrier_id(claimed: Claimed) -> str:
    """The id that the carrier of these tests gives to a part."""
    return f"{claimed.id}-{claimed.part}-{claimed.attempt}"
