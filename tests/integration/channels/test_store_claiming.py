"""Calls, claims, leases and recovery on the real ledger."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from ledger import BALANCE, LANE, NODE, POOL, Ledger

from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.ids import AHEAD, IdSource, first_id
from smsgw.core.model import Claimed, Outcome, OutcomeKind, UnknownPolicy
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes.recovery import correct_taken_over, give_back_unwritten, recover_channel
from smsgw.store.engine import leases
from smsgw.store.engine.database import connect
from smsgw.store.engine.journal import Journal, Replay
from smsgw.store.messages import claiming
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import RequestKey, Stored

S = PartState


def key(name: str, body: bytes = b"same", kind: str = "k") -> tuple[RequestKey, ...]:
    return (RequestKey(kind, name, body, 0),)


# --- calls -----------------------------------------------------------------------------------------------------------


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


async def test_twins_of_a_refused_call_are_refused_and_leave_nothing(ledger: Ledger) -> None:
    calls = [ledger.call(keys=key("K"), units=BALANCE + 1) for _ in range(3)]
    assert [r.code for r in await ledger.store(*calls)] == ["BALANCE_INSUFFICIENT"] * 3  # type: ignore[attr-defined]
    assert await ledger.connection.fetchval("SELECT count(*) FROM request_key") == 0
    assert await ledger.balance() == BALANCE


@pytest.mark.parametrize("entered", [False, True])
async def test_what_a_spooled_call_was_kept_is_not_kept_from_its_batch_as_well(ledger: Ledger, entered: bool) -> None:
    """Whether it is entered now or is found to have been before."""
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


# --- claims ----------------------------------------------------------------------------------------------------------


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
    assert mine is not None
    assert mine.still_mine()
    assert await leases.acquire(ledger.database, "x", 2) is None
    assert await leases.renew(ledger.database, [mine]) == []
    await ledger.connection.execute("UPDATE lease SET expires_at = now() - interval '1 second'")
    assert await leases.renew(ledger.database, [mine]) == [mine]
    assert mine.lost
    assert not mine.still_mine()
    theirs = await leases.acquire(ledger.database, "x", 2)
    assert theirs is not None
    assert theirs.epoch > mine.epoch
    await leases.release(ledger.database, mine)  # of an epoch that is over: changes nothing
    assert await leases.renew(ledger.database, [theirs, mine]) == [mine]


# --- recovery --------------------------------------------------------------------------------------------------------


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
async def test_after_a_crash_of_the_machine_what_was_in_flight_is_unknown_and_nothing_else(
    ledger: Ledger, kept: float
) -> None:
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
