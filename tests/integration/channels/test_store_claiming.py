"""Calls, claims, leases and recovery on the real ledger; and a channel's claims when one of them goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from claiming_sender import Sender
from databases import no_standby
from harness import until
from ledger import BALANCE, LANE, NODE, POOL, Ledger

from smsgw.channels import claims as claims_module
from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.ids import AHEAD, IdSource, first_id
from smsgw.core.model import Claimed, Outcome, OutcomeKind, UnknownPolicy
from smsgw.core.queue_cursors import LATE, SHORT
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes import parking
from smsgw.pipeline.outcomes.recovery import correct_taken_over, give_back_unwritten, recover_channel
from smsgw.runtime import aio
from smsgw.store.engine import group_commit, leases
from smsgw.store.engine.database import CONFLICT, OUTAGE, NotReplicated, connect
from smsgw.store.engine.journal import Journal, Replay
from smsgw.store.messages import claiming
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import RequestKey, Stored

S = PartState


def key(name: str, body: bytes = b"same", kind: str = "k") -> tuple[RequestKey, ...]:
    return (RequestKey(kind, name, body, 0),)


async def test_a_repeat_is_answered_with_the_first_answer(ledger: Ledger) -> None:
    first, twin, other = (ledger.call(keys=key("K", body)) for body in (b"same", b"same", b"other"))
    results = await ledger.store(first, twin, other)
    assert results[0] == Stored(first.batch_id)
    assert results[1] == Stored(first.batch_id, replay=first.answer)
    assert isinstance(results[2], Invalid)
    assert results[2].code == "IDEMPOTENCY_MISMATCH"
    (later,) = await ledger.store(ledger.call(keys=key("K")))
    assert later == Stored(first.batch_id, replay=first.answer)
    assert await ledger.balance() == BALANCE - 1


async def test_the_key_of_a_refused_call_is_free_again_in_the_same_batch(ledger: Ledger) -> None:
    dear = ledger.call(keys=key("R", b"dear", "r"), parts=2, units=BALANCE + 1)
    cheap = ledger.call(keys=key("R", b"cheap", "r"))
    twin = ledger.call(keys=key("R", b"cheap", "r"))
    results = await ledger.store(dear, cheap, twin)
    assert isinstance(results[0], Refused)
    assert results[0].code == "BALANCE_INSUFFICIENT"
    assert results[1] == Stored(cheap.batch_id)
    assert results[2] == Stored(cheap.batch_id, replay=cheap.answer)
    assert await ledger.connection.fetchval("SELECT array_agg(id) FROM message") == [cheap.batch_id]


@pytest.mark.parametrize("entered", [False, True])
async def test_what_a_spooled_call_was_kept_is_not_kept_from_its_batch_as_well(ledger: Ledger, entered: bool) -> None:
    reserved = BALANCE - 30  # for these and for others that are not of the batch
    spooled = replace(ledger.call(messages=60), spooled=True)
    if entered:
        await ledger.store(spooled)
    later = replace(ledger.call(messages=10), spooled=True)
    live, too_much, rest = (ledger.call(messages=n) for n in (30, 1, 1))
    async with ledger.connection.transaction():
        results = await commit_calls(
            ledger.connection, [spooled, live, too_much, later, rest], False, node=NODE, reserved=lambda _: reserved
        )
    codes = [result.code if isinstance(result, SmsgwError) else "OK" for result in results]
    assert codes == ["OK", "OK", "BALANCE_INSUFFICIENT", "OK", "BALANCE_INSUFFICIENT"]
    assert await ledger.balance() == BALANCE - 100


async def test_a_stopped_account_and_an_unknown_one(ledger: Ledger) -> None:
    await ledger.connection.execute("UPDATE account SET status = 'stopped'")
    results = await ledger.store(ledger.call(), ledger.call(account_id=999))
    assert [r.code for r in results] == ["ACCOUNT_STOPPED"] * 2  # type: ignore[attr-defined]


async def test_a_reference_among_many_is_a_conflict_that_takes_nothing(ledger: Ledger) -> None:
    taken = RequestKey("r", "R1", b"a", 0, answers=False)
    await ledger.store(ledger.call(keys=(taken,)))
    fresh = RequestKey("r", "R2", b"b", 0, answers=False)
    (result,) = await ledger.store(ledger.call(keys=(fresh, taken), messages=2))
    assert isinstance(result, Invalid)
    assert result.code == "CLIENT_REF_EXISTS"
    (again,) = await ledger.store(ledger.call(keys=(fresh,)))
    assert isinstance(again, Stored)


async def test_a_batch_is_repeated_after_a_lost_commit(ledger: Ledger) -> None:
    done, refused, replay = ledger.call(keys=key("K")), ledger.call(units=BALANCE + 1), ledger.call(keys=key("K"))
    first = await ledger.store(done, refused, replay)
    again = await ledger.store(done, refused, replay, again=True)
    assert [type(r) for r in again] == [type(r) for r in first]
    assert again[::2] == first[::2]
    assert await ledger.balance() == BALANCE - 1
    assert await ledger.connection.fetchval("SELECT count(*) FROM part") == 1
    assert await ledger.connection.fetchval("SELECT count(*) FROM ledger WHERE kind = 'debit'") == 1


async def test_two_nodes_never_overlap_and_never_split_a_message(ledger: Ledger, dsn: str) -> None:
    for n in range(60):
        await ledger.accept(parts=1 + n % 4)
    fences = [await ledger.fence("a", 1), await ledger.fence("b", 2)]
    connections = [await connect(dsn, writer=True) for _ in fences]

    async def take(n: int) -> list[Claimed]:
        mine: list[Claimed] = []
        while True:
            got = await claiming.claim(connections[n], fences[n], limit=5, queues=[(POOL, LANE)], oldest=0)
            mine += got
            left = await connections[n].fetchval("SELECT count(*) FROM part WHERE state = 10")
            if not got and not left:
                return mine

    both = await asyncio.wait_for(asyncio.gather(take(0), take(1)), 20)
    for connection in connections:
        await connection.close()
    ids = [{c.id for c in mine} for mine in both]
    assert not ids[0] & ids[1]
    assert len(ids[0] | ids[1]) == 60
    for mine in both:
        assert {c.attempt for c in mine} == {1}
        for message_id, total in {(c.id, c.total) for c in mine}:
            assert sorted(c.part for c in mine if c.id == message_id) == list(range(1, total + 1))


async def test_a_lease_is_taken_over_only_when_it_is_over(ledger: Ledger) -> None:
    mine = await leases.acquire(ledger.database, "x", 1)
    assert mine.still_mine()
    assert await leases.acquire(ledger.database, "x", 2) is None
    assert await leases.renew(ledger.database, [mine]) == []
    await ledger.connection.execute("UPDATE lease SET expires_at = now() - interval '1 second'")
    assert await leases.renew(ledger.database, [mine]) == [mine]
    assert mine.lost
    assert not mine.still_mine()
    theirs = await leases.acquire(ledger.database, "x", 2)
    assert theirs.epoch > mine.epoch
    await leases.release(ledger.database, mine)  # of an epoch that is over: changes nothing
    assert await leases.renew(ledger.database, [theirs, mine]) == [mine]


def key_of(part: Claimed) -> tuple[int, int, int]:
    return part.id, part.part, part.attempt


async def recover(ledger: Ledger, replay: Replay) -> dict[OutcomeKind, int]:
    fence = await ledger.fence("a")
    return await recover_channel(
        ledger.database, ledger.outcomes, ledger.journal, replay,
        channel_id=fence.channel_id, name="a", policy=UnknownPolicy.HOLD, epoch=fence.epoch,
    )  # fmt: skip


async def test_after_a_kill_the_journal_tells_answered_written_and_never_written_apart(ledger: Ledger) -> None:
    ids = [await ledger.accept(parts=n) for n in (1, 1, 2, 2)]
    claimed = {(c.id, c.part): key_of(c) for c in await ledger.claim()}
    answered, written, half = claimed[ids[0], 1], claimed[ids[1], 1], claimed[ids[3], 1]
    replay = Replay(
        written={answered, written, half},
        answers={answered: Outcome(*answered, OutcomeKind.ACCEPTED, carrier_id="c")},
        epochs={ledger.leases["a"].epoch},
    )
    counts = await recover(ledger, replay)
    assert counts == {OutcomeKind.ACCEPTED: 1, OutcomeKind.UNKNOWN: 2, OutcomeKind.UNSENT: 3}
    assert [await ledger.states(i) for i in ids] == [
        [S.SENT], [S.UNKNOWN], [S.QUEUED, S.QUEUED], [S.UNKNOWN, S.DEFERRED],
    ]  # fmt: skip
    assert await recover(ledger, replay) == {}


async def test_a_channel_that_starts_anew_in_the_same_run_knows_what_was_never_written(ledger: Ledger) -> None:
    ids = [await ledger.accept(), await ledger.accept()]
    await ledger.fence("a")
    ledger.journal.own(ledger.leases["a"].epoch)
    first, _ = await ledger.claim()
    ledger.journal.write([key_of(first)])
    assert await recover(ledger, Replay()) == {OutcomeKind.UNKNOWN: 1, OutcomeKind.UNSENT: 1}
    assert [await ledger.state(i) for i in ids] == [S.UNKNOWN, S.QUEUED]


async def test_a_node_that_comes_back_knows_better_than_the_one_that_took_over(ledger: Ledger) -> None:
    ids = [await ledger.accept(parts=n) for n in (1, 1, 2, 1)]
    claimed = {(c.id, c.part): key_of(c) for c in await ledger.claim()}
    answered, written, torn = claimed[ids[0], 1], claimed[ids[1], 1], claimed[ids[3], 1]
    own = {ledger.leases["a"].epoch}
    assert await recover(ledger, Replay()) == {OutcomeKind.UNKNOWN: 5}  # the other node: it has no journal of this
    known = Replay(
        written={answered, written, torn},
        answers={answered: Outcome(*answered, OutcomeKind.ACCEPTED, carrier_id="c")},
        names={written: "n"},
        epochs=own,
    )

    async def correct(replay: Replay) -> dict[OutcomeKind, int]:
        return await correct_taken_over(ledger.database, ledger.outcomes, replay)

    # Alive after all, it had said that it does not know either; what its journal lacks by now proves nothing.
    ledger.outcomes.answered([Outcome(*torn, OutcomeKind.UNKNOWN, code="LINK_LOST")], UnknownPolicy.HOLD)
    await ledger.outcomes.drain()
    known.written.discard(torn)
    assert await correct(Replay()) == {}
    assert await correct(known) == {OutcomeKind.ACCEPTED: 1, OutcomeKind.UNKNOWN: 1, OutcomeKind.UNSENT: 2}
    assert [await ledger.states(i) for i in ids] == [[S.SENT], [S.UNKNOWN], [S.QUEUED, S.QUEUED], [S.UNKNOWN]]
    row = await ledger.connection.fetchrow("SELECT code, carrier_id FROM part WHERE id = $1", ids[1])
    assert (row["code"], row["carrier_id"]) == ("INTERRUPTED", "n")
    assert await correct(known) == {}


async def test_a_node_that_comes_back_without_an_answer_still_knows_what_it_never_wrote(ledger: Ledger) -> None:
    """It was cut off between its claims and their first octets: nobody need wonder whether a phone got them."""
    ids = [await ledger.accept(parts=n) for n in (1, 2)]
    await ledger.claim()
    journal = Replay(epochs={ledger.leases["a"].epoch})
    assert await recover(ledger, Replay()) == {OutcomeKind.UNKNOWN: 3}, "the other node"
    assert await correct_taken_over(ledger.database, ledger.outcomes, journal) == {OutcomeKind.UNSENT: 3}
    assert [await ledger.states(i) for i in ids] == [[S.QUEUED], [S.QUEUED, S.QUEUED]]


async def test_who_lost_a_channel_and_lives_knows_what_it_never_wrote(ledger: Ledger) -> None:
    """A claim whose answer came when the lease was over: nobody had it in hand, and the next owner could not know."""
    ids = [await ledger.accept(parts=n) for n in (1, 2, 1, 2)]
    claimed = {(c.id, c.part): key_of(c) for c in await ledger.claim()}
    epoch = ledger.leases["a"].epoch
    assert await recover(ledger, Replay()) == {OutcomeKind.UNKNOWN: 6}, "the other node"
    later = await ledger.accept()
    await ledger.claim()
    assert await recover(ledger, Replay()) == {OutcomeKind.UNKNOWN: 1}, "of another's epoch"
    ledger.journal.own(epoch)
    ledger.journal.write([claimed[ids[2], 1], claimed[ids[3], 1]])

    async def give_back(*epochs: int) -> int:
        return await give_back_unwritten(ledger.database, ledger.outcomes, ledger.journal, epochs)

    assert await give_back() == 0
    assert await give_back(epoch) == 4
    assert [await ledger.states(i) for i in ids] == [
        [S.QUEUED], [S.QUEUED, S.QUEUED], [S.UNKNOWN], [S.UNKNOWN, S.DEFERRED],
    ]  # fmt: skip
    assert await ledger.states(later) == [S.UNKNOWN]
    assert await give_back(epoch) == 0


async def test_an_answer_counts_though_the_journal_does_not_know_all_that_was_claimed(ledger: Ledger) -> None:
    id_ = await ledger.accept()
    (one,) = await ledger.claim()
    key = key_of(one)
    assert await recover(ledger, Replay()) == {OutcomeKind.UNKNOWN: 1}, "the other node"
    journal = Replay(answers={key: Outcome(*key, OutcomeKind.ACCEPTED, carrier_id="c")})
    assert await correct_taken_over(ledger.database, ledger.outcomes, journal) == {OutcomeKind.ACCEPTED: 1}
    assert await ledger.states(id_) == [S.SENT]


@pytest.mark.parametrize("removed", [False, True])
async def test_what_a_stopped_channel_has_left_behind_is_found(ledger: Ledger, removed: bool) -> None:
    await ledger.accept()
    await ledger.claim()
    if removed:
        await ledger.connection.execute("UPDATE channel SET removed_at = now(), desired = 'stopped'")
    left = await claiming.left_behind(ledger.connection, [])
    assert [row["name"] for row in left] == ["a"]
    assert await claiming.left_behind(ledger.connection, [ledger.channels["a"]]) == []
    assert NODE == ledger.leases["a"].node


async def test_test_messages_are_for_the_test_channel_and_nobody_else(ledger: Ledger) -> None:
    real = await ledger.accept()
    test = await ledger.accept()
    await ledger.connection.execute("UPDATE part SET pool_id = -1 WHERE id = $1", test)
    queues = [(POOL, LANE), (-1, LANE)]
    fence = await ledger.fence("a")
    got = await claiming.claim(ledger.connection, fence, limit=10, queues=queues, oldest=0)
    assert [c.id for c in got] == [real]
    await ledger.accept()
    ledger.channels["test"] = -1
    got = await claiming.claim(ledger.connection, await ledger.fence("test"), limit=10, queues=queues, oldest=0)
    assert [c.id for c in got] == [test]


@pytest.mark.parametrize("kept", [0.0, 0.5, 1.0])
async def test_after_a_crash_of_the_machine_only_what_was_in_flight_is_unknown(ledger: Ledger, kept: float) -> None:
    """The tail of the journal was never synced, and the boot is another one."""
    ids = [await ledger.accept() for _ in range(7)]
    waiting = ids.pop()
    await ledger.fence("a")
    ledger.journal.own(ledger.leases["a"].epoch)
    claimed = await ledger.claim(limit=6)
    keys = [key_of(c) for c in claimed]
    ledger.journal.write(keys[:4])
    ledger.journal.answer([Outcome(*key, OutcomeKind.ACCEPTED, carrier_id="c") for key in keys[:2]])
    (path,) = ledger.folder.glob("*.journal")
    data = path.read_bytes()
    end = int(len(data.rstrip(b"\0")) * kept)
    path.write_bytes(data[:end].ljust(len(data), b"\0"))
    ledger.journal.close()
    after = Journal(ledger.folder, NODE, "1" * 36, segment_bytes=1 << 16)
    replay = after.open()
    assert (replay.written, replay.answers, replay.epochs) == (set(), {}, set())
    ledger.journal = after
    assert await recover(ledger, replay) == {OutcomeKind.UNKNOWN: 6}
    assert {await ledger.state(i) for i in ids} == {S.UNKNOWN}
    assert [c.id for c in await ledger.claim()] == [waiting]
    # A crash of the machine once more, in the middle of that: the same.
    after.close()
    assert Journal(ledger.folder, NODE, "2" * 36, segment_bytes=1 << 16).open().epochs == set()


async def test_what_was_accepted_before_the_clock_was_set_back_is_claimed(ledger: Ledger) -> None:
    """Two days ago by the clock of now: its ids lie where a clock that is right has none."""
    now = ledger.clock
    ledger.ids = IdSource(NODE, lambda: int((now + timedelta(days=2)).timestamp() * 1000))
    before = await ledger.accept()
    after = IdSource(NODE, lambda: int(now.timestamp() * 1000), after=ledger.ids.last)
    other = IdSource(NODE + 1, lambda: int(now.timestamp() * 1000))
    ledger.ids = after
    new = await ledger.accept()
    assert new > before
    fence, oldest = await ledger.fence(), first_id(now - timedelta(days=7))

    async def claimed(newest: int) -> list[int]:
        found = await claiming.claim(
            ledger.connection, fence, limit=1, queues=[(POOL, LANE)], oldest=oldest, newest=newest
        )
        return [c.id for c in found]

    assert await claimed(first_id(now + AHEAD)) == [], "the clock alone does not reach so far"
    assert await claimed(other.newest(now)) == []
    other.seen(after.last)
    assert await claimed(other.newest(now)) == [before], "another node was told"
    assert await claimed(after.newest(now)) == [new]


SENDING = "SELECT id, part, attempt, epoch FROM part WHERE state = 20 ORDER BY id, part"


@pytest_asyncio.fixture
async def sender(ledger: Ledger) -> AsyncIterator[Sender]:
    await ledger.fence("a")
    one = Sender(ledger, ledger.leases["a"])
    yield one
    one.claims.drop()


@pytest_asyncio.fixture
async def other(dsn: str) -> AsyncIterator[asyncpg.Connection]:
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


def keys(claimed: Iterable[Claimed]) -> list[tuple[int, int, int]]:
    return sorted((c.id, c.part, c.attempt) for c in claimed)


KINDS = ("queued", "deferred", "again")


async def waiting(ledger: Ledger, kind: str) -> int:
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
    await until(lambda: running(ledger, 0))
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
        await until(lambda: running(ledger, 2))
    await again
    await until(lambda: running(ledger, 0))
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
    fresh: list[Claimed] = []
    async with asyncio.timeout(30):
        while len(fresh) < 2:  # after a look that was slow, deferred parts go first
            fresh += await sender.take()
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

    await until(again)
    assert [(c.id, c.attempt) for c in claimed] == [(message, 2)]
    assert sender.lease.epoch > old


async def test_a_lease_that_is_over_is_not_taken_back_by_a_claim_in_doubt(ledger: Ledger, sender: Sender) -> None:
    await ledger.accept()
    await sender.take()
    sender.claims._doubt = sender.lease.epoch
    await ledger.connection.execute("UPDATE lease SET expires_at = now() - interval '1 s'")
    theirs = await leases.acquire(ledger.database, sender.lease.resource, 2)
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

    await until(as_before)


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
async def test_a_claim_passes_over_what_others_lock(ledger: Ledger, other: asyncpg.Connection, kind: str) -> None:
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
async def test_a_lease_that_ends_in_doubt_is_lost(ledger: Ledger, other: asyncpg.Connection, in_force: bool) -> None:
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
        await until(lambda: running(ledger, 0), within=4)
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
