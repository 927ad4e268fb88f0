"""Messages that a channel with nothing to do takes as they are accepted, on the real ledger: claimed in the transaction
that accepts them, under the fence of a claim; and whatever goes wrong, sent no more than once and not lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from claiming_sender import Sender
from ledger import LANE, NODE, POOL, Ledger
from snapshots import FixedSnapshots
from standins import NoComplaints

from smsgw.core import queue_cursors
from smsgw.core.errors import SmsgwError
from smsgw.core.model import Claimed, Outcome, OutcomeKind, UnknownPolicy
from smsgw.core.states import PartState
from smsgw.pipeline.accept.at_once import AtOnce
from smsgw.pipeline.fleet import Fleet, Queue
from smsgw.pipeline.outcomes.recovery import recover_channel
from smsgw.runtime import aio, failpoints
from smsgw.store.engine import leases
from smsgw.store.engine.database import NotReplicated, connect
from smsgw.store.engine.group_commit import Batcher, Ended
from smsgw.store.engine.journal import Replay
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import Fence, NewCall, Stored

S = PartState
Entering = Batcher[NewCall, Stored | SmsgwError]


class Taker:
    """A channel that has room for all that comes, and has it in hand until the test takes it away."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender

    def available(self) -> bool:
        return True

    def announce(self, queues: set[Queue]) -> None:
        self.sender.claims.announce(queues)

    def comes_back(self, pools: set[int]) -> None:
        self.sender.claims.comes_back(pools)

    def offer(self, queue: Queue, account_id: int, parts: int) -> float | None:
        return self.sender.claims.offer(queue, account_id)

    def reserve(self, message: Sequence[Claimed]) -> Fence:
        return self.sender.claims.reserve(message)

    def entered(self, reserved: Sequence[Claimed], claimed: Sequence[Claimed]) -> None:
        self.sender.claims.entered(reserved, claimed)
        self.sender.in_hand += claimed

    def in_doubt(self, reserved: Sequence[Claimed]) -> None:
        self.sender.claims.in_doubt(reserved)


class Door:
    def __init__(self, ledger: Ledger, sender: Sender) -> None:
        self.ledger = ledger
        self.sender = sender
        fleet = Fleet(FixedSnapshots(), NoComplaints())
        fleet.begun(sender.channel_id, Taker(sender))
        self.at_once = AtOnce(fleet)
        self.writer: Entering = Batcher(
            "accept", ledger.dsn, partial(commit_calls, node=NODE, entrances=self.at_once), give_up_after=30.0,
            ended=self.at_once.ended,
        )  # fmt: skip

    async def put(self, **about: Any) -> tuple[int, bool]:
        call = self.ledger.call(**about)
        stored = await self.writer.put(call)
        assert isinstance(stored, Stored)
        return call.batch_id, stored.waits

    @property
    def in_hand(self) -> list[tuple[int, int, int]]:
        return sorted(part.key for part in self.sender.in_hand)


@pytest_asyncio.fixture
async def door(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Door]:
    monkeypatch.setattr(queue_cursors, "DEAR", 60.0)  # a slow machine is no kept snapshot
    await ledger.fence("a")
    sender = Sender(ledger, ledger.leases["a"])
    one = Door(ledger, sender)
    await one.writer.start()
    assert await sender.take() == []  # it has looked, and there is nothing
    yield one
    await one.writer.stop(timeout=1.0)
    sender.claims.drop()


@pytest_asyncio.fixture
async def other(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(dsn, writer=True)
    yield connection
    await connection.close()


async def test_a_message_is_claimed_as_it_is_accepted(ledger: Ledger, door: Door) -> None:
    first, waits = await door.put(parts=2)
    assert not waits
    assert door.in_hand == [(first, 1, 1), (first, 2, 1)]
    queued = ledger.call(parts=2)
    await ledger.store(queued)
    claimed = await door.sender.take()
    assert {c.id for c in claimed} == {queued.batch_id}
    at_once = [c for c in door.sender.in_hand if c.id == first]
    assert [replace(c, id=0) for c in at_once] == [replace(c, id=0) for c in claimed]
    look = (
        "SELECT part, state, channel_id, epoch, attempt, next_at, claimed_at IS NULL, expires_at FROM part "
        "WHERE id = $1 ORDER BY part"
    )
    rows = [
        [tuple(row) for row in await ledger.connection.fetch(look, message)] for message in (first, queued.batch_id)
    ]
    assert rows[0] == rows[1]
    assert rows[0][0][1:5] == (S.SENDING, ledger.channels["a"], door.sender.lease.epoch, 1)


async def test_an_older_message_is_claimed_first(ledger: Ledger, door: Door) -> None:
    older = await ledger.accept()
    door.sender.claims.announce({(POOL, LANE)})
    newer, waits = await door.put()
    assert waits
    assert door.in_hand == []
    await door.sender.take()
    assert [c.id for c in door.sender.in_hand] == [older, newer]
    _, waits = await door.put()
    assert not waits, "all is taken"


async def test_crowds_wait_in_the_queue(ledger: Ledger, door: Door) -> None:
    message, waits = await door.put(messages=40)
    assert waits
    assert await ledger.state(message) is S.QUEUED
    assert door.in_hand == []


async def test_a_call_that_is_refused_keeps_no_room(ledger: Ledger, door: Door) -> None:
    with pytest.raises(SmsgwError):
        await door.put(units=10**9)
    assert door.sender.claims.entering == 0


@pytest.mark.parametrize(
    "what", ["expires_at = now() - interval '1 s'", "node = 9", "epoch = nextval('lease_epoch')", "resource = 'gone'"]
)
async def test_without_the_lease_it_is_queued(ledger: Ledger, door: Door, what: str) -> None:
    await ledger.connection.execute(f"UPDATE lease SET {what} WHERE resource LIKE 'channel/%'")  # noqa: S608
    message, waits = await door.put(parts=2)
    assert waits
    assert await ledger.states(message) == [S.QUEUED] * 2
    row = await ledger.connection.fetchrow(
        "SELECT channel_id, epoch, attempt, claimed_at FROM part WHERE id = $1 AND part = 1", message
    )
    assert tuple(row) == (None, None, 0, None)
    assert door.in_hand == []
    assert door.sender.claims.entering == 0


async def test_acceptance_waits_for_no_lease(ledger: Ledger, door: Door, other: asyncpg.Connection) -> None:
    """One that is just being changed: that may be its end."""
    transaction = other.transaction()
    await transaction.start()
    await other.execute("UPDATE lease SET expires_at = now() + interval '15 s'")
    _, waits = await asyncio.wait_for(door.put(), 5.0)
    await transaction.rollback()
    assert waits
    assert door.in_hand == []


async def test_nobody_takes_a_lease_under_an_entrance(ledger: Ledger, door: Door, other: asyncpg.Connection) -> None:
    """The next owner sees all of it, or none will be."""
    call = ledger.call()
    async with ledger.connection.transaction():
        await commit_calls(ledger.connection, [call], False, node=NODE, entrances=door.at_once)
        taking = aio.spawn(
            other.fetchval(
                "UPDATE lease SET node = 2, epoch = nextval('lease_epoch') WHERE resource = $1 "
                "RETURNING (SELECT count(*) FROM part WHERE state = 20)",
                door.sender.lease.resource,
            ),
            name="takes over",
        )
        done, _ = await asyncio.wait({taking}, timeout=0.3)
        assert not done
    await taking
    assert await ledger.state(call.batch_id) is S.SENDING


async def test_what_was_certainly_not_committed_is_entered_again_and_queued(
    ledger: Ledger, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach, left = failpoints.reach, ["accept.commit"]

    def breaks(place: str) -> None:
        if place in left:
            left.remove(place)
            raise ConnectionResetError
        reach(place)

    monkeypatch.setattr(failpoints, "reach", breaks)
    epoch = door.sender.lease.epoch
    message, waits = await door.put()
    assert not left
    assert waits, "a repeat claims nothing"
    assert await ledger.state(message) is S.QUEUED
    assert door.sender.claims.entering == 0
    assert [c.key for c in await door.sender.take()] == [(message, 1, 1)]
    assert door.sender.lease.epoch == epoch, "nothing was in doubt"


async def test_what_may_be_committed_is_sent_once(ledger: Ledger, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    ear, left = door.writer._ear, [1]

    def says() -> None:
        if left:
            left.clear()
            raise NotReplicated

    monkeypatch.setattr(ear, "check", says)
    epoch = door.sender.lease.epoch
    message, waits = await door.put()
    assert not left
    assert waits
    assert await ledger.state(message) is S.SENDING
    assert door.in_hand == []
    _, later = await door.put()
    assert later, "until that is settled nothing else is taken"
    await door.sender.take()
    assert door.sender.lease.epoch > epoch
    await ledger.outcomes.drain()
    await door.sender.take()
    assert (message, 1, 2) in door.in_hand
    assert len({key[0] for key in door.in_hand}) == len(door.in_hand) == 2


async def test_what_is_being_entered_is_not_given_back(ledger: Ledger, door: Door) -> None:
    """A new epoch comes while the answer of its commit is on the way: the database shows it claimed, and in no hand."""
    call = ledger.call(parts=2)
    async with ledger.connection.transaction():
        await commit_calls(ledger.connection, [call], False, node=NODE, entrances=door.at_once)
        old = door.sender.lease.epoch
        door.sender.claims._doubt = old  # of a claim of its own
        settling = aio.spawn(door.sender.take(), name="settling")
        done, _ = await asyncio.wait({settling}, timeout=0.3)
        assert not done, "what is under way under the old epoch is waited for"
    assert await settling == []
    assert door.sender.lease.epoch > old
    await ledger.outcomes.drain()
    assert await ledger.states(call.batch_id) == [S.SENDING] * 2
    assert door.sender.services.journal.owns(old)
    door.at_once.ended(Ended.COMMITTED)
    assert door.in_hand == [(call.batch_id, 1, 1), (call.batch_id, 2, 1)]
    ledger.journal.write(door.in_hand)
    await ledger.answer(OutcomeKind.ACCEPTED, *door.sender.in_hand)
    assert await ledger.states(call.batch_id) == [S.SENT] * 2


async def test_what_nobody_took_up_before_a_crash_goes_back(ledger: Ledger, door: Door) -> None:
    """It was committed; what comes of its late hand-over changes nothing any more."""
    call = ledger.call()
    async with ledger.connection.transaction():
        await commit_calls(ledger.connection, [call], False, node=NODE, entrances=door.at_once)
    lease = await leases.acquire(ledger.database, door.sender.lease.resource, NODE)
    counts = await recover_channel(
        ledger.database, ledger.outcomes, ledger.journal, Replay(epochs={door.sender.lease.epoch}),
        channel_id=ledger.channels["a"], name="a", policy=UnknownPolicy.HOLD, epoch=lease.epoch,
    )  # fmt: skip
    assert counts == {OutcomeKind.UNSENT: 1}
    assert await ledger.state(call.batch_id) is S.QUEUED
    ledger.leases["a"] = lease
    (again,) = await ledger.claim()
    assert again.key == (call.batch_id, 1, 2)
    door.at_once.ended(Ended.COMMITTED)
    ledger.outcomes.unsent([Outcome(*part.key, OutcomeKind.UNSENT) for part in door.sender.in_hand])
    await ledger.outcomes.drain()
    assert await ledger.state(call.batch_id) is S.SENDING
    await ledger.answer(OutcomeKind.ACCEPTED, again)
    assert await ledger.state(call.batch_id) is S.SENT
