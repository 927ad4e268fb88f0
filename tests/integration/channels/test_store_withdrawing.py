"""Messages that wait are held while their account is stopped, cancelled, or recalled when their number is blocked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from changes import by_test
from ledger import BALANCE, Ledger
from snapshots import FixedSnapshots, snapshot_of

from smsgw.core.actor import Actor
from smsgw.core.blocklist import MANUAL, OPT_OUT, Scope
from smsgw.core.errors import Refused, SmsgwError
from smsgw.core.kinds import CustomKind
from smsgw.core.model import Account, MessageType, OutcomeKind
from smsgw.core.policy import PolicySet
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes.cancellation import LATECOMERS, Cancelled, Cancelling, Recall
from smsgw.pipeline.outcomes.writer import Sweep
from smsgw.pipeline.periodic import Supervisor
from smsgw.pipeline.upkeep.holding import Holding
from smsgw.platform.accounts import queries as account_queries, service as accounts
from smsgw.platform.accounts.queries import id_of
from smsgw.platform.lists import consents, service as lists
from smsgw.runtime import clock
from smsgw.store.messages import claiming, holding, sweeps

S = PartState


class Job:
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


async def test_an_account_below_a_stopped_one_is_held_and_reviews_are_not_released(ledger: Ledger, job: Job) -> None:
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


NUMBER = "8613800138000"
"""Of the messages of these tests."""


ANYBODY = Actor.system("t")


@pytest.fixture
def cancelling(ledger: Ledger) -> Cancelling:
    return Cancelling(ledger.database, ledger.outcomes)


class Recalling:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.clock = 0.0
        self.recall = Recall(ledger.database, ledger.outcomes, ledger.snapshots, lambda: self.clock)

    async def block(self, scope: Scope = Scope(), source: str = MANUAL, **how: Any) -> None:  # noqa: B008 - it is frozen
        await lists.block(by_test(self.ledger.database), [NUMBER], scope, source, "", **how)


@pytest.fixture
def recalling(ledger: Ledger) -> Recalling:
    return Recalling(ledger)


async def code_of(ledger: Ledger, message_id: int) -> str:
    return str(await ledger.connection.fetchval("SELECT min(code) FROM part WHERE id = $1", message_id))


@contextlib.contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(SmsgwError) as caught:
        yield
    assert caught.value.code == code


@pytest.mark.parametrize("state", [S.QUEUED, S.SCHEDULED, S.HELD])
async def test_a_message_is_cancelled_once(ledger: Ledger, cancelling: Cancelling, state: PartState) -> None:
    message_id = await ledger.accept(parts=2, state=state)
    for _ in range(2):
        await cancelling.message(message_id, Actor.key("ak_live_1", ledger.account_id, {"send"}))
    assert await ledger.states(message_id) == [S.CANCELLED] * 2
    assert await ledger.events(message_id) == ["cancelled"]
    assert await ledger.balance() == BALANCE
    assert await ledger.claim() == []
    detail = await ledger.connection.fetchval("SELECT detail->>'actor' FROM event WHERE id = $1 LIMIT 1", message_id)
    assert detail == "ak_live_1"


async def test_it_is_too_late_once_a_part_was_claimed(ledger: Ledger, cancelling: Cancelling) -> None:
    """Refused for now by the carrier is not too late: nothing was taken."""
    message_id = await ledger.accept(parts=2)
    one, two = await ledger.claim()
    for part in (one, two):
        with refused("STATE_CONFLICT"):
            await cancelling.message(message_id, ANYBODY)
        await ledger.answer(OutcomeKind.DEFERRED, part)
    await cancelling.message(message_id, ANYBODY)
    assert await ledger.events(message_id) == ["cancelled"]


async def test_another_accounts_message_is_not_there(ledger: Ledger, cancelling: Cancelling) -> None:
    message_id, key = await ledger.accept(), Actor.key("ak_test_1", ledger.account_id, {"send"})
    stranger = Actor.key("k", ledger.account_id + 1, {"send"})
    for wrong, actor in ((message_id, stranger), (message_id + 1, ANYBODY), (-1, ANYBODY), (2**63, ANYBODY)):
        for call in (cancelling.message, cancelling.batch):
            with refused("NOT_FOUND"):
                await call(wrong, actor)
    with refused("NOT_FOUND"):
        await cancelling.message(message_id, key, test=True)  # a test key's own are test messages
    assert await ledger.state(message_id) == S.QUEUED
    await cancelling.message(message_id, key, test=False)
    assert await ledger.state(message_id) == S.CANCELLED


async def test_of_a_call_what_still_waits_is_cancelled(ledger: Ledger, cancelling: Cancelling) -> None:
    call = ledger.call(messages=1100)
    await ledger.store(call)
    taken = await ledger.claim(limit=30)
    other = await ledger.accept()
    done = await cancelling.batch(call.batch_id, Actor.key("k", ledger.account_id, {"send"}))
    assert done == Cancelled(1100, 1070)
    assert await ledger.balance() == BALANCE - 30 - 1
    assert await ledger.state(other) == S.QUEUED
    assert {await ledger.state(c.id) for c in taken[:3]} == {S.SENDING}
    assert await cancelling.batch(call.batch_id, ANYBODY) == Cancelled(1100, 0)


async def test_a_blocked_number_gets_nothing_that_still_waits(ledger: Ledger, recalling: Recalling) -> None:
    queued, review = await ledger.accept(parts=2), await ledger.accept(state=S.HELD)
    await recalling.recall.step()
    assert await ledger.states(queued) == [S.QUEUED] * 2
    await recalling.block()
    await recalling.recall.step()
    for message_id in (queued, review):
        assert set(await ledger.states(message_id)) == {S.REJECTED}
        assert await code_of(ledger, message_id) == "NUMBER_BLACKLISTED"
        assert await ledger.events(message_id) == ["rejected"]
    assert await ledger.balance() == BALANCE


async def test_only_what_falls_under_the_entry(ledger: Ledger, recalling: Recalling) -> None:
    notice = await ledger.accept()
    await lists.block(by_test(ledger.database), ["8613800138001"], Scope(), MANUAL, "")
    await recalling.block(Scope(0, "marketing", ""), OPT_OUT)
    await recalling.block(Scope(ledger.account_id + 1, "", ""))
    await recalling.block(Scope(0, "", "别家"))
    await recalling.block(expires_at=datetime(2026, 1, 1, tzinfo=UTC))
    await recalling.recall.step()
    assert await ledger.state(notice) == S.QUEUED
    await ledger.connection.execute("UPDATE message SET type = 'marketing', sign = '店'")
    await recalling.block(Scope(ledger.account_id, "marketing", "店"), OPT_OUT)
    await recalling.recall.step()
    assert await ledger.state(notice) == S.REJECTED
    assert await code_of(ledger, notice) == "NUMBER_OPTED_OUT"


async def test_what_a_carrier_may_have_is_not_recalled(ledger: Ledger, recalling: Recalling) -> None:
    half = await ledger.accept(parts=2)
    one, two = await ledger.claim()
    await ledger.answer(OutcomeKind.ACCEPTED, one)
    await ledger.answer(OutcomeKind.DEFERRED, two)
    await recalling.block()
    await recalling.recall.step()
    assert await ledger.states(half) == [S.SENT, S.DEFERRED]


async def test_what_was_being_accepted_is_found_by_the_second_look(ledger: Ledger, recalling: Recalling) -> None:
    """And a restart looks again: only the second look is remembered."""
    await recalling.block()
    await recalling.recall.step()
    late = await ledger.accept()
    recalling.clock += LATECOMERS - 1
    await recalling.recall.step()
    assert await ledger.state(late) == S.QUEUED
    recalling.clock += 1
    await recalling.recall.step()
    assert await ledger.state(late) == S.REJECTED
    later = await ledger.accept()
    recalling.clock += LATECOMERS
    await recalling.recall.step()
    assert await ledger.state(later) == S.QUEUED, "done for good"
    await lists.block(by_test(ledger.database), ["8613800138001", NUMBER], Scope(), MANUAL, "")
    await recalling.recall.step()
    assert await ledger.state(later) == S.REJECTED
    after_restart = await ledger.accept()
    await Recalling(ledger).recall.step()
    assert await ledger.state(after_restart) == S.REJECTED


async def test_many_entries_and_many_messages_go_step_by_step(ledger: Ledger, recalling: Recalling) -> None:
    await ledger.store(ledger.call(messages=1300))
    many = [f"86139{n:08d}" for n in range(1200)]
    await lists.block(by_test(ledger.database), [*many, NUMBER], Scope(), MANUAL, "")
    await recalling.recall.step()
    counts = await ledger.connection.fetch("SELECT state, count(*) FROM part GROUP BY state")
    assert [tuple(row) for row in counts] == [(S.REJECTED, 1300)]
    assert await ledger.balance() == BALANCE


GIVEN = consents.Given(consents.Source.PAPER, "V1", "file 7", datetime(2026, 1, 1, tzinfo=UTC))


async def withdrawn(ledger: Ledger, account_id: int) -> None:
    change = by_test(ledger.database)
    await consents.give(change, account_id, [NUMBER], GIVEN)
    id_ = await ledger.database.fetchval("SELECT max(id) FROM consent WHERE account_id = $1", account_id)
    await consents.withdraw(change, id_, "by telephone")


def asked_for(ledger: Ledger, *accounts: Account) -> None:
    ledger.snapshots.current = snapshot_of(
        accounts, policies=PolicySet({(a.id, "marketing"): {"consent": "marketing"} for a in accounts})
    )


async def test_who_withdraws_gets_nothing_that_was_accepted_before(ledger: Ledger, recalling: Recalling) -> None:
    shop = Account(ledger.account_id, "shop", "active")
    ledger.snapshots.current = snapshot_of((shop,), policies=PolicySet({(0, ""): {"consent": "off"}}))
    ids = [await ledger.accept(state=state) for state in (S.QUEUED, S.SCHEDULED, S.HELD)]
    notice = await ledger.accept()
    await ledger.connection.execute("UPDATE message SET type = 'marketing' WHERE id <> $1", notice)
    await withdrawn(ledger, ledger.account_id)
    await Recalling(ledger).recall.step()
    assert [await ledger.state(i) for i in ids] == [S.QUEUED, S.SCHEDULED, S.HELD], "nobody asks for consent"
    asked_for(ledger, shop)
    await recalling.recall.step()
    assert [await ledger.state(i) for i in ids] == [S.REJECTED] * 3
    assert [await code_of(ledger, i) for i in ids] == ["NUMBER_NO_CONSENT"] * 3
    assert await ledger.state(notice) == S.QUEUED
    late = await ledger.accept()
    await ledger.connection.execute("UPDATE message SET type = 'marketing' WHERE id = $1", late)
    recalling.clock += LATECOMERS
    await recalling.recall.step()
    assert await ledger.state(late) == S.REJECTED, "it was being accepted meanwhile"


async def test_a_kind_may_ask_for_consent_alone(ledger: Ledger, recalling: Recalling) -> None:
    """Or alone not: what holds for the kind counts after accept, too."""
    shop, kinds = (
        Account(ledger.account_id, "shop", "active"),
        {name: CustomKind(name, name, MessageType.MARKETING) for name in ("club", "news")},
    )
    ids = {kind: await ledger.accept() for kind in ("", "club", "news")}
    for kind, id_ in ids.items():
        await ledger.connection.execute("UPDATE message SET type = 'marketing', kind = $2 WHERE id = $1", id_, kind)
    policies = PolicySet({(0, ""): {"consent": "off"}, (shop.id, "club"): {"consent": "marketing"}})
    ledger.snapshots.current = snapshot_of((shop,), policies=policies, kinds=kinds)
    await withdrawn(ledger, ledger.account_id)
    await recalling.recall.step()
    assert {kind: await ledger.state(i) for kind, i in ids.items()} == {
        "": S.QUEUED, "club": S.REJECTED, "news": S.QUEUED,
    }  # fmt: skip


async def test_a_newer_proof_and_a_nearer_word_keep_what_waits(ledger: Ledger, recalling: Recalling) -> None:
    change = by_test(ledger.database)
    above = await accounts.add(change, "above")
    asked_for(ledger, Account(ledger.account_id, "shop", "active", above=(above,)))
    message_id = await ledger.accept()
    await ledger.connection.execute("UPDATE message SET type = 'marketing'")
    for _ in range(2):
        await consents.give(change, ledger.account_id, [NUMBER], GIVEN)
    await recalling.recall.step()
    assert await ledger.state(message_id) == S.QUEUED, "replaced is not withdrawn"
    await withdrawn(ledger, above)
    await recalling.recall.step()
    assert await ledger.state(message_id) == S.QUEUED
    id_ = await ledger.database.fetchval(
        "SELECT id FROM consent WHERE account_id = $1 AND withdrawn_at IS NULL", ledger.account_id
    )
    await consents.withdraw(change, id_, "by telephone")
    await consents.give(change, above, [NUMBER], replace(GIVEN, given_at=clock.now()))
    await recalling.recall.step()
    assert await ledger.state(message_id) == S.REJECTED, "what an account above was told does not count here"
