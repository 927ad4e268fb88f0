"""The claims of a channel when one of them goes wrong: nothing stays claimed that nobody has in hand."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import UTC, datetime

import asyncpg
import pytest
import pytest_asyncio
from claiming_sender import Sender
from databases import no_standby
from ledger import LANE, NODE, POOL, Ledger

from smsgw.channels import claims as claims_module
from smsgw.core.heads import LATE, SHORT
from smsgw.core.model import Claimed, Outcome, OutcomeKind, UnknownPolicy
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes import parking
from smsgw.runtime import aio
from smsgw.store.engine import group_commit, leases
from smsgw.store.engine.database import CONFLICT, OUTAGE, NotReplicated, connect
from smsgw.store.messages import claiming

S = PartState
SENDING = "SELECT id, part, attempt, epoch FROM part WHERE state = 20 ORDER BY id, part"


@pytest_asyncio.fixture
async def sender(ledger: Ledger) -> AsyncIterator[Sender]:
    await ledger.fence("a")
    one = Sender(ledger, ledger.leases["a"])
    yield one
    one.claims.drop()


@pytest_asyncio.fixture
async def other(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's connection."""
    connection = await connect(dsn, writer=True)
    yield connection
    await connection.close()


@contextlib.asynccontextmanager
async def locked(connection: asyncpg.Connection, sql: str, *args: object) -> AsyncIterator[None]:
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    await connection.execute(sql, *args)
    yield
    await transaction.rollback()


async def poll(what: Callable[[], Awaitable[object]], within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not await what():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def keys(claimed: Iterable[Claimed]) -> list[tuple[int, int, int]]:
    return sorted((c.id, c.part, c.attempt) for c in claimed)


KINDS = ("queued", "deferred", "again")


async def waiting(ledger: Ledger, kind: str) -> int:
    """A message that is found by claims of this kind; its id."""
    message_id = await (deferred(ledger) if kind == "deferred" else ledger.accept())
    if kind == "again":
        await ledger.connection.execute("UPDATE part SET avoid_channels = '{99}'")
    return message_id


async def take(connection: asyncpg.Connection, fence: claiming.Fence, kind: str) -> list[Claimed]:
    if kind == "deferred":
        return await claiming.claim_deferred(connection, fence, now=datetime.now(UTC), limit=5, oldest=0)
    return await claiming.claim(
        connection, fence, limit=5, queues=[(POOL, LANE)], oldest=0, again=kind == "again",
        halted=[99] if kind == "past" else [],
    )  # fmt: skip


async def sending(ledger: Ledger) -> list[tuple[int, int, int]]:
    await ledger.outcomes.drain()
    return [(r["id"], r["part"], r["attempt"]) for r in await ledger.connection.fetch(SENDING)]


async def look(ledger: Ledger, sender: Sender) -> None:
    """For claimed parts that nobody has in hand."""
    sender.claims._look_at = 0.0
    await sender.claims.look_after(sender.in_hand)
    await ledger.outcomes.drain()


async def running(ledger: Ledger, n: int) -> bool:
    """Whether the server is at so many claims."""
    found: int = await ledger.connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' "
        "AND pid <> pg_backend_pid() AND query LIKE '%WITH own AS%'"
    )
    return found == n


async def until_taken(sender: Sender, n: int, within: float = 60.0) -> None:
    """As the dispatcher does: again and again, whatever happens to single claims."""
    deadline = time.monotonic() + within
    while len(sender.in_hand) < n:
        assert time.monotonic() < deadline, sender.in_hand
        try:
            await sender.take()
        except (*OUTAGE, *CONFLICT):
            await asyncio.sleep(0.05)
        await sender.services.outcomes.drain()


async def test_what_a_claim_commits_after_it_was_given_up_comes_back(
    ledger: Ledger, sender: Sender, other: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stands still in the middle, at a row that somebody else is at."""
    late, free = await ledger.accept(parts=2), await ledger.accept()
    monkeypatch.setattr(claims_module, "CLAIM_TIMEOUT", 0.3)
    async with locked(other, "SELECT 1 FROM part WHERE id = $1 AND part = 2 FOR UPDATE", late):
        with pytest.raises(TimeoutError):
            await sender.take()
        for _ in range(3):
            with contextlib.suppress(TimeoutError):
                await sender.take()
    await poll(lambda: running(ledger, 0))
    monkeypatch.undo()
    await until_taken(sender, 3)
    assert {c.id for c in sender.in_hand} == {late, free}
    assert await sending(ledger) == keys(sender.in_hand)


async def test_a_claim_that_begins_after_it_was_given_up_finds_nothing(
    ledger: Ledger, sender: Sender, other: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sender.take()  # from here on its connection knows the statement
    ids = [await ledger.accept() for _ in range(5)]
    async with locked(other, "LOCK TABLE part IN EXCLUSIVE MODE"):
        monkeypatch.setattr(claims_module, "CLAIM_TIMEOUT", 0.3)
        with pytest.raises(TimeoutError):
            await sender.take()
        monkeypatch.undo()
        again = aio.spawn(sender.take(), name="again")
        await poll(lambda: running(ledger, 2))
    await again
    await poll(lambda: running(ledger, 0))
    assert await sending(ledger) == keys(sender.in_hand)
    await until_taken(sender, 5)
    assert sorted(c.id for c in sender.in_hand) == ids
    assert await sending(ledger) == keys(sender.in_hand)


async def test_after_a_lost_answer_only_what_nobody_knows_goes_back(ledger: Ledger, sender: Sender) -> None:
    """The connection is gone after the claim's commit: in hand, written and answered parts are left alone."""
    names = ("in hand", "written", "answered", "lost", "half")
    ids = {name: await ledger.accept(parts=2 if name == "half" else 1) for name in names}
    claimed = {(c.id, c.part): c for c in await sender.take()}
    sender.in_hand = [claimed[ids["in hand"], 1]]
    written = [claimed[ids["written"], 1], claimed[ids["answered"], 1], claimed[ids["half"], 1]]
    ledger.journal.write(keys(written))
    # Of what it has claimed no answer has come.
    sender.claims._doubt = sender.lease.epoch
    sender.claims.drop()
    old = sender.lease.epoch
    async with locked(ledger.connection, "SELECT 1 FROM part WHERE id = $1 FOR UPDATE", ids["answered"]):
        taking = aio.spawn(ledger.answer(OutcomeKind.ACCEPTED, claimed[ids["answered"], 1]), name="answer")
        await sender.take()  # while the answer's commit is under way
    await taking
    await ledger.outcomes.drain()
    assert sender.lease.epoch > old
    assert {name: await ledger.states(i) for name, i in ids.items()} == {
        "in hand": [S.SENDING], "written": [S.SENDING], "answered": [S.SENT], "lost": [S.QUEUED],
        "half": [S.SENDING, S.DEFERRED],
    }  # fmt: skip
    # Answers of parts that were written under the epoch before are matched.
    await ledger.answer(OutcomeKind.ACCEPTED, claimed[ids["written"], 1], claimed[ids["half"], 1])
    assert await ledger.state(ids["written"]) is S.SENT
    sender.claims.deferred_in(0.0)
    fresh = [*await sender.take(), *await sender.take()]  # after a look that was slow, deferred parts go first
    assert {(c.id, c.part, c.attempt) for c in fresh} == {(ids["lost"], 1, 2), (ids["half"], 2, 2)}
    epochs = {r["epoch"] for r in await ledger.connection.fetch(SENDING) if r["id"] != ids["in hand"]}
    assert epochs == {sender.lease.epoch}
    assert ledger.journal.owns(old)  # a part in hand may still be written under it
    ledger.journal.write(keys([claimed[ids["in hand"], 1]]))
    await ledger.answer(OutcomeKind.ACCEPTED, claimed[ids["in hand"], 1])
    sender.in_hand = fresh
    sender.claims._look_at = 0.0
    await sender.claims.look_after(sender.in_hand)
    assert not ledger.journal.owns(old)


async def test_a_claim_that_no_standby_has_is_none(dsn: str, ledger: Ledger, sender: Sender) -> None:
    """Its wait is broken off, and it is told that it has succeeded: what it took goes back before it is written."""
    message = await ledger.accept()
    old = sender.lease.epoch
    async with no_standby(dsn) as waiting:
        taking = aio.spawn(sender.take(), name="take")

        async def broken_off() -> bool:
            if pid := await waiting.pid():  # each statement of a claim: it locks the lease
                await waiting.cancel(pid)
            return taking.done()

        await waiting.until(broken_off)
        with pytest.raises(NotReplicated):
            await taking
        assert await ledger.state(message) is S.SENDING, "here, and maybe nowhere else"
    claimed: list[Claimed] = []

    async def again() -> object:
        sender.claims.deferred_in(0.0)
        claimed.extend(await sender.take())
        return claimed

    await poll(again)
    assert [(c.id, c.attempt) for c in claimed] == [(message, 2)]
    assert sender.lease.epoch > old


async def test_a_lease_that_is_over_is_not_taken_back_by_a_claim_in_doubt(ledger: Ledger, sender: Sender) -> None:
    await ledger.accept()
    await sender.take()
    sender.claims._doubt = sender.lease.epoch
    await ledger.connection.execute("UPDATE lease SET expires_at = now() - interval '1 s'")
    theirs = await leases.acquire(ledger.database, sender.lease.resource, 2)
    assert theirs is not None
    assert await sender.take() == []
    assert sender.lease.lost
    row = await ledger.connection.fetchrow("SELECT node, epoch FROM lease WHERE resource = $1", theirs.resource)
    assert (row["node"], row["epoch"]) == (2, theirs.epoch)


async def test_claimed_parts_that_nobody_has_in_hand_are_found_and_counted(
    ledger: Ledger, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, kept, fresh = [await ledger.accept() for _ in range(3)]
    await sender.take()
    await ledger.connection.execute("UPDATE part SET claimed_at = now() - interval '1 min' WHERE id <> $1", fresh)
    sender.in_hand = [c for c in sender.in_hand if c.id == kept]
    for _ in range(2):  # what is found once may only be slow
        assert await ledger.state(lost) is S.SENDING
        assert sender.claims.lost == 0
        await look(ledger, sender)
    assert sender.claims.lost == 1
    assert [await ledger.state(i) for i in (lost, kept, fresh)] == [S.QUEUED, S.SENDING, S.SENDING]
    await sender.claims.look_after(sender.in_hand)  # not before it is time again
    assert sender.claims.lost == 1


async def test_a_part_whose_answer_lies_aside_is_not_taken_for_one_that_was_never_written(
    ledger: Ledger, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "RETRY_MOST", 0.05)
    message_id = await ledger.accept()
    (claimed,) = await sender.take()
    sender.in_hand.clear()
    ledger.journal.write(keys([claimed]))
    refused = "ALTER TABLE part ADD CONSTRAINT refused CHECK (carrier_id <> 'refused') NOT VALID"
    await ledger.change(refused)
    outcome = Outcome(*keys([claimed])[0], OutcomeKind.ACCEPTED, carrier_id="refused")
    ledger.outcomes.answered([outcome], UnknownPolicy.HOLD)
    async with asyncio.timeout(60):
        while not ledger.outcomes.parked:  # noqa: ASYNC110 - nobody says it
            await asyncio.sleep(0.02)
    await ledger.connection.execute("UPDATE part SET claimed_at = now() - interval '1 min'")
    for _ in range(2):
        await look(ledger, sender)
    assert await ledger.state(message_id) is S.SENDING, "it would be sent twice"
    await ledger.change("ALTER TABLE part DROP CONSTRAINT refused")
    assert await parking.retry(ledger.database, ledger.outcomes) == (1, 0)
    assert await ledger.state(message_id) is S.SENT
    assert not ledger.journal.open_keys()


async def test_what_is_given_back_twice_in_one_breath_goes_back_to_its_pool(ledger: Ledger) -> None:
    ids = [await ledger.accept(), await ledger.accept(parts=2)]
    claimed = await ledger.claim()
    unsent = [Outcome(c.id, c.part, c.attempt, OutcomeKind.UNSENT) for c in claimed]
    ledger.outcomes.unsent(unsent)
    ledger.outcomes.unsent(unsent)
    await ledger.outcomes.drain()
    assert [await ledger.states(i) for i in ids] == [[S.QUEUED], [S.QUEUED, S.QUEUED]]


# --- beside somebody who keeps a snapshot -------------------------------------------------------------------------


async def test_after_a_look_that_the_server_gave_up_the_queues_are_gone_through_in_pieces(
    ledger: Ledger, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits is found all the same, the newest first, and in the end a look is a look again."""
    old = [await ledger.accept() for _ in range(3)]
    await asyncio.sleep(LATE + 0.1)
    ledger.follow_the_clock()
    new = await ledger.accept()
    real = claiming.claim

    async def too_long(connection: asyncpg.Connection, *_: object, **__: object) -> list[Claimed]:
        await connection.execute("SET statement_timeout = 10")
        await connection.execute("SELECT pg_sleep(10)")
        return []

    monkeypatch.setattr(claiming, "claim", too_long)
    sender.claims._again_at = sender.claims._loop.time() + 3600  # of those who failed nothing is asked here
    with pytest.raises(asyncpg.QueryCanceledError):
        await sender.take()
    monkeypatch.setattr(claiming, "claim", real)
    assert sender.claims._heads.dear
    asked: list[tuple[int, int]] = []

    async def seen(*rest: object, oldest: int, newest: int, **options: object) -> list[Claimed]:
        asked.append((oldest, newest))
        return await real(*rest, oldest=oldest, newest=newest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(claiming, "claim", seen)
    await sender.take()
    assert {c.id for c in sender.in_hand} == {new}
    await until_taken(sender, 4)
    assert {c.id for c in sender.in_hand} == {new, *old}
    pieces = {newest - oldest for oldest, newest in asked}
    assert SHORT - 1 in pieces

    async def as_before() -> bool:
        await sender.take()
        return not sender.claims._heads.dear

    await poll(as_before)


@pytest.mark.parametrize("which", ["claim_deferred", "next_deferred", "claim"])
async def test_a_look_beside_the_queues_that_the_server_gave_up_keeps_no_message_up(
    ledger: Ledger, sender: Sender, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """Our own deferred parts, and what neighbours have failed at: they are asked for again after a rest, though the
    carrier throttles all the while and says that something comes due."""
    waiting = await ledger.accept()
    real, asked = getattr(claiming, which), 0

    async def too_long(connection: asyncpg.Connection, *rest: object, **options: object) -> object:
        nonlocal asked
        if which == "claim" and not options.get("again"):
            return await real(connection, *rest, **options)
        asked += 1
        await connection.execute("SET statement_timeout = 10")
        try:
            return await connection.execute("SELECT pg_sleep(10)")
        finally:
            await connection.execute("SET statement_timeout = 4000")

    monkeypatch.setattr(claiming, which, too_long)
    with pytest.raises(asyncpg.QueryCanceledError):
        await sender.take()
    assert asked == 1
    sender.claims.deferred_in(0.0)
    sender.claims.look_everywhere()
    await sender.take()
    assert {c.id for c in sender.in_hand} == {waiting}
    assert asked == 1
    monkeypatch.setattr(sender.claims, "_deferred_rests", 0.0)
    monkeypatch.setattr(sender.claims, "_again_at", 0.0)
    with pytest.raises(asyncpg.QueryCanceledError):
        await sender.take()
    assert asked == 2, "after its rest"


# --- fences ------------------------------------------------------------------------------------------------------


async def deferred(ledger: Ledger) -> int:
    """A part that its channel has put off and that is due; its id."""
    message_id = await ledger.accept()
    await ledger.connection.execute(
        "UPDATE part SET state = 20, channel_id = $2 WHERE id = $1", message_id, ledger.channels["a"]
    )
    await ledger.connection.execute(
        "UPDATE part SET state = 11, next_at = now() - interval '1 s', attempt = 1 WHERE id = $1", message_id
    )
    return message_id


@pytest.mark.parametrize("over", ["epoch", "node", "expired", "resource", "released"])
@pytest.mark.parametrize("kind", KINDS)
async def test_every_claim_needs_the_live_lease_of_its_epoch(ledger: Ledger, kind: str, over: str) -> None:
    message_id = await waiting(ledger, kind)
    stale = fence = await ledger.fence("a")
    match over:
        case "epoch":
            await ledger.fence("a")
        case "node":
            stale = claiming.Fence(fence.resource, 2, fence.epoch, fence.channel_id)
        case "resource":
            stale = claiming.Fence("channel/none", NODE, fence.epoch, fence.channel_id)
        case "released":
            await leases.release(ledger.database, ledger.leases["a"])
        case _:
            await ledger.connection.execute("UPDATE lease SET expires_at = now() - interval '1 ms'")
    assert await take(ledger.connection, stale, kind) == []
    live = await ledger.fence("a")
    (claimed,) = await take(ledger.connection, live, kind)
    assert claimed.id == message_id
    row = await ledger.connection.fetchrow("SELECT epoch, channel_id, state FROM part WHERE id = $1", message_id)
    assert tuple(row) == (live.epoch, live.channel_id, S.SENDING)


@pytest.mark.parametrize("kind", [*KINDS, "past"])
async def test_a_claim_passes_over_what_somebody_else_is_at_and_does_not_wait(
    ledger: Ledger, other: asyncpg.Connection, kind: str
) -> None:
    busy, free = [await waiting(ledger, kind) for _ in range(2)]
    fence = await ledger.fence("a")
    async with locked(other, "SELECT 1 FROM part WHERE id = $1 FOR UPDATE", busy), asyncio.timeout(20):
        claimed = await take(ledger.connection, fence, kind)
    assert [c.id for c in claimed] == [free]
    assert await ledger.state(busy) is (S.DEFERRED if kind == "deferred" else S.QUEUED)


@pytest.mark.parametrize("kind", ["queued", "deferred"])
async def test_who_takes_a_lease_waits_for_the_claim_under_it_and_sees_what_it_took(
    ledger: Ledger, other: asyncpg.Connection, kind: str
) -> None:
    message_id = await waiting(ledger, kind)
    fence = await ledger.fence("a")
    async with other.transaction():
        await take(other, fence, kind)
        taking = aio.spawn(leases.acquire(ledger.database, fence.resource, NODE), name="taking")
        done, _ = await asyncio.wait({taking}, timeout=0.3)
        assert not done
    assert await asyncio.wait_for(taking, 30) is not None
    assert await ledger.state(message_id) is S.SENDING


async def test_a_renewal_that_meets_a_new_epoch_is_no_loss(ledger: Ledger, other: asyncpg.Connection) -> None:
    await ledger.fence("a")
    lease = ledger.leases["a"]
    old = lease.epoch
    transaction = other.transaction()
    await transaction.start()
    assert await leases.reissue(other, lease)  # in force when it is committed
    new, lease.epoch, lease.next_epoch = lease.epoch, old, lease.epoch  # and its answer is not here yet
    renewing = aio.spawn(leases.renew(ledger.database, [lease]), name="renewing")
    await asyncio.wait({renewing}, timeout=0.2)
    await transaction.commit()
    assert await renewing == []
    assert lease.still_mine()
    assert await leases.reissue(other, lease)  # asked for once more: the same
    assert (lease.epoch, lease.next_epoch) == (new, 0)
    assert await leases.renew(ledger.database, [lease]) == []
    assert lease.epochs == {old, new}


@pytest.mark.parametrize("in_force", [False, True])
async def test_a_lease_that_ends_while_a_new_epoch_is_in_doubt_is_lost(
    ledger: Ledger, other: asyncpg.Connection, in_force: bool
) -> None:
    await ledger.fence("a")
    lease = ledger.leases["a"]
    old = lease.epoch
    lease.next_epoch = await other.fetchval("SELECT nextval('lease_epoch')")
    if in_force:
        new = lease.next_epoch
        assert await leases.reissue(other, lease)
        lease.epoch, lease.next_epoch = old, new  # and its answer is never heard
    await other.execute("UPDATE lease SET expires_at = now() - interval '1 second'")
    assert await leases.renew(ledger.database, [lease]) == [lease]
    assert lease.lost


async def test_the_server_gives_up_a_claim_before_we_do(
    ledger: Ledger, sender: Sender, other: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.accept()
    monkeypatch.setattr(claims_module, "SERVER_TIMEOUT", 0.3)
    async with locked(other, "LOCK TABLE part IN EXCLUSIVE MODE"):
        with pytest.raises(asyncpg.QueryCanceledError):
            await sender.take()
        await poll(lambda: running(ledger, 0), within=4)
    assert len(await sender.take()) == 1


async def test_behind_a_claim_that_found_all_there_is_nothing_is_asked_or_waited_for(
    ledger: Ledger, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims_module, "LOOK_AGAIN", 600.0)
    monkeypatch.setattr(claims_module, "AGAIN_EVERY", 600.0)
    await ledger.accept()
    assert len(await sender.take()) == 1

    def waited(seconds: float) -> None:
        raise AssertionError(seconds)

    monkeypatch.setattr(claims_module.aio, "timeout", waited)
    assert await sender.claims.take(1000, urgent=False, in_hand=sender.in_hand) == []
    assert sender.claims.pause > 0
    sender.claims.deferred_in(0.0)
    with pytest.raises(AssertionError):  # a part comes due: that is asked for
        await sender.claims.take(1000, urgent=False, in_hand=sender.in_hand)
