"""Channels between nodes: what another node says of its own counts as long as a lease lives, and leases that flap."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from changes import by_test
from claiming_sender import Neighbour
from composing import Composed, ground, services
from dbproxy import DatabaseProxy
from harness import dice as make_dice, free_port, until
from ledger import POOL, Ledger
from standins import NoNumbers

from smsgw.channels import claims as claims_module, manager
from smsgw.channels.claims import Claims
from smsgw.channels.pool_shares import PoolShares
from smsgw.core.errors import SmsgwError
from smsgw.core.model import ChannelStatus, Claimed, Outcome, OutcomeKind, UnknownPolicy
from smsgw.core.states import PartState
from smsgw.node.life import Daemon
from smsgw.pipeline.fleet import Membership
from smsgw.pipeline.outcomes.recovery import recover_channel
from smsgw.platform.channels import service as channels
from smsgw.runtime import aio
from smsgw.runtime.aio import boottime
from smsgw.runtime.config import Config, DatabaseConfig, HttpConfig, NodeConfig, OpsConfig
from smsgw.store.engine import leases
from smsgw.store.engine.database import CONFLICT, OUTAGE, Database
from smsgw.store.engine.journal import Journal, Replay
from smsgw.store.engine.secrets import Sealer

LEASED = """
INSERT INTO lease (resource, node, epoch, expires_at)
SELECT 'channel/' || id, 2, 1, now() + interval '1 day' FROM channel WHERE name = 'theirs'
ON CONFLICT (resource) DO UPDATE SET node = 2, expires_at = excluded.expires_at
"""
SAID = """
INSERT INTO channel_state (channel_id, node, bound, last_bound_at, last_error, updated_at, refused)
SELECT id, 2, 2, now(), '', now() - $1::float8 * interval '1 second', false FROM channel WHERE name = 'theirs'
ON CONFLICT (channel_id) DO UPDATE SET updated_at = excluded.updated_at, bound = 2, node = 2
"""


@pytest_asyncio.fixture
async def daemon(dsn: str, tmp_path: Path) -> AsyncIterator[Daemon]:
    daemon = Daemon(Config(
        node=NodeConfig(data_dir=tmp_path / "data"), database=DatabaseConfig(dsn=dsn),
        http=HttpConfig(listen="127.0.0.1:0"), ops=OpsConfig(listen="127.0.0.1:0"),
    ))  # fmt: skip
    await daemon.start()
    try:
        node = daemon.node
        fields = {"protocol": "cmpp30", "host": "127.0.0.1", "port": free_port(), "username": "900001",
                  "password": "secret12", "access_code": "10690001", "connections": 2,
                  "carriers": ["CMCC"]}  # fmt: skip
        await channels.add(by_test(node.database, node.ids.next), node.sealer, "theirs", fields)
        await node.database.execute(LEASED)
        yield daemon
    finally:
        await daemon.stop()


def line(daemon: Daemon) -> ChannelStatus | None:
    return next((one for one in daemon.node.channels.status() if one.name == "theirs"), None)


async def test_the_word_of_a_node_that_is_gone_is_over(daemon: Daemon) -> None:
    await daemon.node.database.execute(SAID, 0.0)
    await until(lambda: (one := line(daemon)) and (one.bound, one.state, one.node) == (2, "bound", 2), what="heard")
    await daemon.node.database.execute(SAID, manager.FRESH + 1)
    await until(lambda: (one := line(daemon)) and not one.bound, what="it counts no more")
    one = line(daemon)
    assert (one.state, one.node) == ("connecting", 0)
    assert one.last_error == "node 2, which had it, no longer reports"


async def test_what_was_heard_before_an_outage_is_over(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    await daemon.node.database.execute(SAID, 0.0)
    await until(lambda: (one := line(daemon)) and one.bound, what="heard")
    monkeypatch.setattr(manager.store, "said", _away)
    monkeypatch.setattr(manager, "FRESH", 0.5)
    await until(lambda: (one := line(daemon)) and not one.bound, what="it counts no more")


async def _away(*_: object) -> None:
    await asyncio.sleep(0)
    raise ConnectionResetError


S = PartState
TTL = 1.5
"""A tenth of the real one, as all times here."""
ROOM = 5
MESSAGES = 1000
SECONDS = 10.0
MOST_SECONDS = 90.0
"""Until both have had the channel, on a machine that is slow."""


class Node:
    """As much of a node as claims, writes and settles; each write is noted with its time and epoch."""

    def __init__(self, ledger: Ledger, number: int, proxy: DatabaseProxy, dice: random.Random) -> None:
        self.ledger, self.number, self.proxy, self.dice = ledger, number, proxy, dice
        self.database = Database(proxy.dsn, size=4)
        self.journal = Journal(ledger.folder / f"node{number}", number, "0" * 36, segment_bytes=1 << 16)
        self.journal.open()
        stand = ground(
            ledger.database, ledger.folder, sealer=Sealer(bytes(32)), number=number, ids=ledger.ids,
            journal=self.journal,
        )  # fmt: skip
        self.parts = Composed(
            stand, snapshots=ledger.snapshots, fleet=ledger.fleet, router=ledger.router, numbers=NoNumbers(),
            hub=ledger.hub,
        )  # fmt: skip
        self.outcomes = self.parts.outcomes
        self.writes: list[tuple[float, int, Claimed]] = []
        self.lease: leases.Lease | None = None
        self.owned = 0

    async def run(self) -> None:
        renewing = aio.spawn(self._renew(), name="renewing")
        try:
            while True:
                with contextlib.suppress(SmsgwError, *OUTAGE, *CONFLICT):
                    await self._own()
                await asyncio.sleep(self.dice.uniform(0.05, TTL))  # the other one is asking, too
        finally:
            await aio.cancel(renewing)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(TTL / 5)
            if self.lease is not None:
                with contextlib.suppress(SmsgwError):
                    await leases.renew(self.database, [self.lease])

    async def _own(self) -> None:
        channel_id = self.ledger.channels["a"]
        self.lease = None
        lease = await leases.acquire(self.database, f"channel/{channel_id}", self.number)
        if lease is None:
            return
        await recover_channel(
            self.database, self.outcomes, self.journal, Replay(), channel_id=channel_id, name="a",
            policy=UnknownPolicy.HOLD, epoch=lease.epoch,
        )  # fmt: skip
        self.journal.own(lease.epoch)
        self.lease = lease
        self.owned += 1
        shares = PoolShares(asyncio.get_running_loop().time)
        pools = {POOL: Membership()}
        shares.join(channel_id, Neighbour(), pools)
        given = services(self.proxy.dsn, self.number, self.journal, self.outcomes, shares, self.ledger.ids)
        claims = Claims(channel_id, "a", lease, pools, given)
        hand: list[Claimed] = []
        try:
            while lease.still_mine():
                claims.look_everywhere()
                try:
                    await claims.look_after(hand)
                    hand += await claims.take(ROOM, urgent=False, in_hand=hand)
                except (*OUTAGE, *CONFLICT):
                    claims.drop()
                await asyncio.sleep(self.dice.uniform(0, 0.1))  # the rate, a full window
                self._write(lease, hand)
        finally:
            self.outcomes.unsent([Outcome(c.id, c.part, c.attempt, OutcomeKind.UNSENT) for c in hand])
            claims.drop()

    def _write(self, lease: leases.Lease, hand: list[Claimed]) -> None:
        while hand and lease.still_mine():
            part = hand.pop(0)
            key = (part.id, part.part, part.attempt)
            self.journal.write([key])
            self.writes.append((boottime(), lease.epoch, part))
            self.outcomes.answered([Outcome(*key, OutcomeKind.ACCEPTED, carrier_id=str(part.id))], UnknownPolicy.HOLD)


@pytest.mark.slow
async def test_two_nodes_never_share_a_channel_nor_send_twice(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = make_dice()
    for name, value in (("TTL", TTL), ("MARGIN", 0.2)):
        monkeypatch.setattr(leases, name, value)
    monkeypatch.setattr(claims_module, "CLAIM_TIMEOUT", 0.5)
    await ledger.accept(messages=MESSAGES)
    async with DatabaseProxy(ledger.dsn) as one, DatabaseProxy(ledger.dsn) as two:
        nodes = [Node(ledger, 1, one, dice), Node(ledger, 2, two, dice)]
        for node in nodes:
            await node.database.open()
            await node.outcomes.start()
        running = [aio.spawn(node.run(), name=f"node{node.number}") for node in nodes]
        begin = time.monotonic()
        while (spent := time.monotonic() - begin) < SECONDS or not all(node.owned for node in nodes):
            assert spent < MOST_SECONDS, f"nothing flapped: {[node.owned for node in nodes]}"
            for task in running:
                assert not task.done() or task.result(), "a node has ended"
            for node in nodes:
                node.proxy.latency = dice.choice((0.0, dice.uniform(0.1, 1.4 * TTL)))
                if spent >= SECONDS:  # who has not had its turn is let go before
                    node.proxy.latency = 2 * TTL if node.owned else 0.0
            await asyncio.sleep(dice.uniform(0.3, 1.5 * TTL))
        one.latency = two.latency = 0.0
        await aio.cancel(*running)
        for node in nodes:
            await node.outcomes.drain()
            await node.outcomes.stop()
            await node.database.close()
            node.journal.close()
    await ledger.connection.execute("UPDATE lease SET expires_at = now() - interval '1 s'")
    fence = await ledger.fence("a")  # the next owner, which knows nothing
    await recover_channel(
        ledger.database, ledger.outcomes, ledger.journal, Replay(), channel_id=fence.channel_id, name="a",
        policy=UnknownPolicy.HOLD, epoch=fence.epoch,
    )  # fmt: skip
    writes = sorted((w for node in nodes for w in node.writes), key=lambda w: w[0])
    # Who has written under a later epoch ends the time of all before it.
    assert [epoch for _, epoch, _ in writes] == sorted(epoch for _, epoch, _ in writes)
    twice = {id_: n for id_, n in Counter(part.id for _, _, part in writes).items() if n > 1}
    assert twice == {}
    states = Counter(row["state"] for row in await ledger.connection.fetch("SELECT state FROM part"))
    # What was written is known or called unknown, what was not is still there to be sent.
    assert states[S.SENT] <= len(writes) <= states[S.SENT] + states[S.UNKNOWN]
    assert states[S.UNKNOWN] <= 2 * ROOM * (1 + sum(node.owned for node in nodes))
    assert states.keys() <= {S.SENT, S.UNKNOWN, S.QUEUED, S.DEFERRED}
    assert sum(states.values()) == MESSAGES
