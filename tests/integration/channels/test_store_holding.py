"""Stopped accounts on the real ledger: what is held, what goes back where, and what time does meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from changes import by_test
from ledger import BALANCE, Ledger
from snapshots import FixedSnapshots, snapshot_of

from smsgw.core.errors import Refused
from smsgw.core.model import OutcomeKind
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes.writer import Sweep
from smsgw.pipeline.periodic import Supervisor
from smsgw.pipeline.upkeep.holding import Holding
from smsgw.platform.accounts import queries as account_queries
from smsgw.platform.accounts import service as accounts
from smsgw.platform.accounts.queries import id_of
from smsgw.store.messages import claiming, holding, sweeps

S = PartState


class Job:
    """The job of a node, and the switch of the account."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.snapshots = FixedSnapshots()
        self.holding = Holding(ledger.database, self.snapshots, ledger.fleet)

    async def switch(self, status: str, *, step: bool = True) -> None:
        await accounts.set_status(by_test(self.ledger.database), self.ledger.account_id, status)
        await self.follow()
        if step:
            await self.holding.step()

    async def follow(self) -> None:
        rows = await account_queries.accounts(self.ledger.database)
        self.snapshots.current = snapshot_of(row.account for row in rows)

    async def claim(self) -> list[int]:
        """Ids that a dispatcher which knows of the stop gets."""
        fence = await self.ledger.fence("a")
        how: dict[str, Any] = {"limit": 100, "oldest": 0, "halted": self.snapshots.current.halted}
        found = await claiming.claim(self.ledger.connection, fence, queues=[(1, 2)], **how)
        found += await claiming.claim_deferred(self.ledger.connection, fence, now=datetime.now(UTC), **how)
        return [c.id for c in found]


@pytest.fixture
def job(ledger: Ledger) -> Iterator[Job]:
    one = Job(ledger)
    yield one
    one.holding.stop()


async def test_queued_and_deferred_are_held_and_go_back_where_they_were(ledger: Ledger, job: Job) -> None:
    long = await ledger.accept(parts=3)
    (one, two, three) = await ledger.claim()
    await ledger.answer(OutcomeKind.ACCEPTED, one)
    await ledger.answer(OutcomeKind.UNSENT, two, three)  # half of it is written: the rest stays with its channel
    queued = await ledger.accept(parts=2)
    assert await ledger.states(long) == [S.SENT, S.DEFERRED, S.DEFERRED]

    await job.switch("stopped", step=False)
    assert await job.claim() == [], "before anything is held"
    await job.holding.step()
    assert await ledger.states(long) == [S.SENT, S.HELD, S.HELD]
    assert await ledger.states(queued) == [S.HELD, S.HELD]
    assert await job.claim() == []
    kinds = [r[0] for r in await ledger.connection.fetch("SELECT kind FROM event WHERE id = $1", queued)]
    assert kinds == ["held"]

    job.ledger.fleet.queues.clear()
    await job.switch("active")
    assert await ledger.states(long) == [S.SENT, S.DEFERRED, S.DEFERRED]
    assert await ledger.states(queued) == [S.QUEUED, S.QUEUED]
    assert job.ledger.fleet.queues == {(1, 2)}
    assert sorted(await job.claim()) == sorted([long, long, queued, queued])
    await job.holding.step()
    assert await ledger.states(queued) == [S.SENDING, S.SENDING]


async def test_what_comes_back_to_a_stopped_account_is_held_too(ledger: Ledger, job: Job) -> None:
    """In hand of a channel when the account was stopped, or due by its time."""
    in_hand = await ledger.accept()
    claimed = await ledger.claim()
    later = await ledger.accept(state=S.SCHEDULED)
    await job.switch("stopped")
    await ledger.answer(OutcomeKind.UNSENT, *claimed)
    await ledger.outcomes.sweep(Sweep(lambda c, now: sweeps.release_scheduled(c, now, 0)))
    assert [await ledger.state(m) for m in (in_hand, later)] == [S.QUEUED, S.QUEUED]
    assert await job.claim() == []
    await job.holding.step()
    assert [await ledger.state(m) for m in (in_hand, later)] == [S.HELD, S.HELD]


async def test_validity_ends_while_it_is_held(ledger: Ledger, job: Job) -> None:
    short = await ledger.accept(parts=2, valid=timedelta(minutes=5))
    long = await ledger.accept()
    await job.switch("stopped")
    ledger.later(minutes=6)
    assert await ledger.outcomes.sweep(Sweep(lambda c, now: sweeps.expire(c, now, 0))) == 2
    assert await ledger.events(short) == ["expired"]
    assert await ledger.balance() == BALANCE - 1
    await job.switch("active")
    assert await ledger.state(long) == S.QUEUED
    assert await ledger.states(short) == [S.EXPIRED, S.EXPIRED]


async def test_a_start_in_the_middle_ends_the_holding(ledger: Ledger, job: Job) -> None:
    """A batch acts on what the account is at that moment, whatever the node believes."""
    queued = await ledger.accept()
    await job.switch("stopped", step=False)
    await accounts.set_status(by_test(ledger.database), ledger.account_id, "active")
    assert await holding.hold(ledger.connection, ledger.account_id, ledger.clock, 0) == []
    await job.holding.step()
    assert await ledger.state(queued) == S.QUEUED
    await job.switch("stopped")
    assert await holding.resume(ledger.connection, ledger.account_id, ledger.clock, 0) == []
    assert await ledger.state(queued) == S.HELD


async def test_an_account_below_a_stopped_one_is_held_and_what_waits_for_review_is_not_released(
    ledger: Ledger, job: Job
) -> None:
    await accounts.add(by_test(ledger.database), "group")
    await accounts.edit(by_test(ledger.database), ledger.account_id, {"parent": "group"})
    queued, review = await ledger.accept(), await ledger.accept(state=S.HELD)
    for status, state in (("stopped", S.HELD), ("active", S.QUEUED)):
        await accounts.set_status(by_test(ledger.database), await id_of(ledger.database, "group"), status)
        await job.follow()
        await job.holding.step()
        assert [await ledger.state(m) for m in (queued, review)] == [state, S.HELD]


async def test_one_node_at_a_time(ledger: Ledger, job: Job) -> None:
    queued = await ledger.accept()
    await job.switch("stopped", step=False)
    await ledger.connection.execute("INSERT INTO lease VALUES ('job/holding', 2, 1, now() + interval '1 hour')")
    supervisor = Supervisor(ledger.database, 1)
    running = supervisor.run((job.holding.periodic(),))
    try:
        with pytest.raises(Refused):
            await supervisor.run_now("hold")
        assert await ledger.state(queued) == S.QUEUED
        await ledger.connection.execute("UPDATE lease SET expires_at = now() WHERE resource = 'job/holding'")
        await supervisor.run_now("hold")
        assert await ledger.state(queued) == S.HELD
    finally:
        await running.stop()
