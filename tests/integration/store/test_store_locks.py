"""Two transactions at one row, several messages in one batch: nothing is overwritten, paid twice or lost.

Who decides by what a row says holds the row: another transaction's change of it is seen before the decision."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import asyncpg
import pytest
import pytest_asyncio
from changes import by_test
from ledger import BALANCE, NODE, Ledger, carrier_id
from receiver import LOOPBACK

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.model import Claimed, Inbound, Outcome, OutcomeKind, UnknownPolicy
from smsgw.core.retry import Fault
from smsgw.core.states import PartState
from smsgw.core.tasks import Chunk
from smsgw.pipeline.outcomes.cancellation import Cancelling
from smsgw.pipeline.outcomes.writer import Sweep
from smsgw.platform.keys import service as keys
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted
from smsgw.runtime import aio
from smsgw.store.engine.database import Database, connect
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import inbound, sweeps, task_parts
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import NewCall

S = PartState
K = OutcomeKind


@pytest.fixture
def ledger(ledger: Ledger) -> Ledger:
    """Both channels serve every pool."""
    ledger.fleet.served_by = lambda pool: frozenset(ledger.channels.values())
    return ledger


@asynccontextmanager
async def other_node(ledger: Ledger, sql: str, *arguments: object) -> AsyncIterator[None]:
    """It has changed rows and commits once somebody waits for them."""
    connection = await connect(ledger.dsn, writer=True)
    under_way = connection.transaction()
    await under_way.start()
    await connection.execute(sql, *arguments)

    async def commit() -> None:
        await ledger.until_blocked()
        await under_way.commit()

    waiting = aio.spawn(commit(), name="other")
    yield
    await waiting
    await connection.close()


async def refuse(ledger: Ledger, *claimed: Claimed, fault: Fault = Fault.PERMANENT) -> None:
    said = [Outcome(c.id, c.part, c.attempt, K.REFUSED, code="9", cls="CHANNEL", fault=fault) for c in claimed]
    ledger.outcomes.answered(said, UnknownPolicy.HOLD)
    await ledger.outcomes.drain()


async def test_what_another_node_has_just_seen_accepted_does_not_go_back_to_its_pool(ledger: Ledger) -> None:
    message_id, claimed = await ledger.taken(parts=2)
    await ledger.answer(K.UNKNOWN, *claimed)
    taken = "UPDATE part SET state = 30, carrier_id = 'late' WHERE id = $1 AND part = 2"
    async with other_node(ledger, taken, message_id):
        await ledger.answer(K.UNSENT, *claimed)
    assert await ledger.states(message_id) == [S.DEFERRED, S.SENT]
    assert await ledger.claim("b") == []


async def test_what_another_node_has_just_seen_delivered_is_not_tried_again(ledger: Ledger) -> None:
    """Neither after a failure that was reported, nor after a refusal."""
    message_id, (claimed,) = await ledger.taken()
    await ledger.answer(K.ACCEPTED, claimed)
    async with other_node(ledger, "UPDATE part SET state = 40, final_at = now() WHERE id = $1", message_id):
        await ledger.outcomes.report(ledger.report(claimed, S.UNDELIVERABLE, code="NOROUTE", cls="NETWORK"))
    assert await ledger.state(message_id) is S.DELIVERED
    assert await ledger.connection.fetchval("SELECT count(*) FROM attempt") == 0
    message_id, (claimed,) = await ledger.taken()
    await ledger.answer(K.UNKNOWN, claimed)
    async with other_node(ledger, "UPDATE part SET state = 40, final_at = now() WHERE id = $1", message_id):
        await refuse(ledger, claimed, fault=Fault.CHANNEL)
    assert await ledger.state(message_id) is S.DELIVERED
    assert await ledger.connection.fetchval("SELECT count(*) FROM attempt") == 0


@pytest.mark.parametrize("who", ["policy", "operator"])
async def test_a_late_answer_goes_before_a_resend_that_waits_for_its_row(ledger: Ledger, who: str) -> None:
    message_id, (claimed,) = await ledger.taken(policy="resend")
    await ledger.answer(K.UNKNOWN, claimed)
    ledger.later(seconds=301)

    async def decide(connection: asyncpg.Connection, now: object) -> list[asyncpg.Record]:
        return await sweeps.decide_unknown(connection, message_id, 0, int(S.DEFERRED), ledger.clock, "OPERATOR", "me")

    async def by_policy(connection: asyncpg.Connection, now: object) -> list[asyncpg.Record]:
        return await sweeps.resolve_unknown(connection, ledger.clock, 0)

    taken = "UPDATE part SET state = 30, carrier_id = 'late' WHERE id = $1"
    if who == "operator":
        async with other_node(ledger, taken, message_id):
            assert await ledger.outcomes.sweep(Sweep(decide)) == 0
    else:  # a job of time does not wait for a row: it comes round again
        other = await connect(ledger.dsn, writer=True)
        async with other.transaction():
            await other.execute(taken, message_id)
            assert await ledger.outcomes.sweep(Sweep(by_policy)) == 0
        assert await ledger.outcomes.sweep(Sweep(by_policy)) == 0
        await other.close()
    assert await ledger.state(message_id) is S.SENT
    assert await ledger.connection.fetchval("SELECT count(*) FROM attempt") == 0


async def test_the_last_parts_of_a_message_come_to_two_nodes_in_one_moment(ledger: Ledger) -> None:
    """Neither sees the other's part: it is whole all the same when its time is over."""
    parts = [
        Inbound(ledger.channels["a"], f"m{n}", "8613800138000", "106", f"<{n}>", ledger.clock, 7, 2, n) for n in (1, 2)
    ]
    other = await connect(ledger.dsn, writer=True)
    async with other.transaction():
        await inbound.commit_inbound(other, [inbound.Arrived(parts[0], ledger.account_id, "")], ledger.ids.next)
        await ledger.outcomes.inbound(parts[1])
    await other.close()
    async with ledger.connection.transaction():
        for row in await inbound.stale_parts(ledger.connection, ledger.clock + timedelta(seconds=1)):
            await inbound.give_up_joining(ledger.connection, row, ledger.account_id, "", ledger.ids.next)
    rows = await ledger.connection.fetch("SELECT content, complete FROM mo")
    assert [tuple(row) for row in rows] == [("<1><2>", True)]


async def test_all_refunds_of_one_batch_reach_the_account(ledger: Ledger) -> None:
    ledger.refund_failed = True
    ids = [await ledger.accept(parts=n) for n in (1, 2, 3)]
    claimed = await ledger.claim()
    assert await ledger.balance() == BALANCE - 6
    await refuse(ledger, *claimed)
    assert [set(await ledger.states(id_)) for id_ in ids] == [{S.REJECTED}] * 3
    assert await ledger.balance() == BALANCE
    assert await ledger.connection.fetchval("SELECT sum(refunded) FROM usage_day") == 6
    refunds = await ledger.connection.fetch("SELECT id, units FROM ledger WHERE kind = 'refund'")
    assert sorted(tuple(row) for row in refunds) == sorted(zip(ids, (1, 2, 3), strict=True))


async def test_refused_and_failed_parts_of_one_batch_are_refunded_by_what_was_promised(ledger: Ledger) -> None:
    kept, given = 0, 0
    for promised in (False, True):
        ledger.refund_failed = promised
        id_ = await ledger.accept(parts=3)
        kept, given = (kept, id_) if promised else (id_, given)
    claimed = await ledger.claim()
    await ledger.answer(K.ACCEPTED, *(c for c in claimed if c.part > 1))
    refused = [Outcome(c.id, 1, 1, K.REFUSED, code="9", fault=Fault.PERMANENT) for c in claimed if c.part == 1]
    ledger.outcomes.answered(refused, UnknownPolicy.HOLD)
    ends = {2: S.UNDELIVERABLE, 3: S.DELIVERED}
    said = [ledger.report(c, ends[c.part]) for c in claimed if c.part > 1]
    await asyncio.gather(*(ledger.outcomes.report(one) for one in said))
    assert await ledger.balance() == BALANCE - 6 + 2 + 1
    refunds = await ledger.connection.fetch(
        "SELECT id, sum(units) AS units FROM ledger WHERE kind = 'refund' GROUP BY id"
    )
    assert {row["id"]: row["units"] for row in refunds} == {kept: 1, given: 2}


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 3, 1)])
async def test_the_customer_is_told_of_the_worst_part(ledger: Ledger, order: tuple[int, ...]) -> None:
    """Its code and class, how many parts have arrived, and when the last of them had its end."""
    message_id = await ledger.accept(parts=3)
    claimed = {c.part: c for c in await ledger.claim()}
    await ledger.answer(K.ACCEPTED, *claimed.values())
    said = {part: ledger.report(one, after=part) for part, one in claimed.items()}
    said[2] = ledger.report(claimed[2], S.UNDELIVERABLE, code="MK:0001", cls="NETWORK", after=2)
    for part in order:
        await ledger.outcomes.report(said[part])
    row = await ledger.connection.fetchrow(
        "SELECT status, code, class, parts_ok, done_at FROM customer_event WHERE message_id = $1", message_id
    )
    assert tuple(row)[:4] == ("failed", "MK:0001", "NETWORK", 2)
    assert row["done_at"] == ledger.clock + timedelta(seconds=3)


@pytest.mark.parametrize("code", ["40P01", "40001"])
async def test_every_fourth_batch_meets_a_conflict_and_nothing_is_lost(ledger: Ledger, code: str) -> None:
    """Raised by the server in the middle of every fourth transaction, whatever is in it."""
    await ledger.change(
        f"""
        CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF txid_current() % 4 = 0 THEN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER conflict AFTER UPDATE ON part FOR EACH STATEMENT EXECUTE FUNCTION conflict();
        CREATE TRIGGER conflict AFTER INSERT ON mo FOR EACH STATEMENT EXECUTE FUNCTION conflict()
        """
    )
    ids = [await ledger.accept() for _ in range(16)]
    claimed: list[Claimed] = []
    while len(claimed) < len(ids):
        try:
            claimed += await ledger.claim(limit=8)
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
            continue  # the claims' own affair
    waiting: list[Awaitable[object]] = []
    for n, one in enumerate(claimed):
        outcome = Outcome(one.id, 1, 1, K.ACCEPTED, carrier_id=carrier_id(one))
        ledger.outcomes.answered([outcome], UnknownPolicy.HOLD)
        waiting.append(ledger.outcomes.report(ledger.report(one)))
        said = Inbound(ledger.channels["a"], f"m{n}", "8613800138000", "106", f"<{n}>", ledger.clock)
        waiting.append(ledger.outcomes.inbound(said))
        await asyncio.gather(*waiting)
    await asyncio.gather(*waiting)
    assert [await ledger.state(id_) for id_ in ids] == [S.DELIVERED] * len(ids)
    assert await ledger.events() == ["delivered"] * len(ids)
    assert await ledger.connection.fetchval("SELECT count(*) FROM mo") == len(ids)
    assert await ledger.connection.fetchval("SELECT count(*) FROM receipt_orphan") == 0
    assert ledger.outcomes.conflicts > 0
    assert ledger.outcomes.parked == 0


CLAIMED = "UPDATE part SET state = 20, channel_id = $2, attempt = 1, claimed_at = now() WHERE id = $1"

UNWATCHED = "ALTER TABLE part DISABLE TRIGGER watch"
"""The tests' own guard of the states would hide that nothing else holds."""


@pytest_asyncio.fixture
async def other(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(dsn, writer=True)
    yield connection
    await connection.close()


async def beside(
    other: asyncpg.Connection, change: Callable[[], Awaitable[object]], ours: Callable[[], Awaitable[object]]
) -> object:
    """What comes of ours, which begins after another node has made its change and before that is committed."""
    transaction = other.transaction()
    await transaction.start()
    await change()
    running = aio.spawn(ours(), name="ours")
    done, _ = await asyncio.wait({running}, timeout=0.3)
    await transaction.commit()
    assert not done, "it has not waited for who was there before"
    return await asyncio.wait_for(running, 10)


async def test_a_message_that_is_just_being_claimed_is_not_cancelled(ledger: Ledger, other: asyncpg.Connection) -> None:
    await ledger.change(UNWATCHED)
    message_id = await ledger.accept(parts=2)
    cancelling = Cancelling(ledger.database, ledger.outcomes)

    async def ours() -> str:
        with pytest.raises(Invalid) as caught:
            await cancelling.message(message_id, Actor.system("t"))
        return caught.value.code

    claim = other.execute
    code = await beside(other, lambda: claim(CLAIMED, message_id, ledger.channels["a"]), ours)
    assert code == "STATE_CONFLICT"
    assert await ledger.states(message_id) == [S.SENDING] * 2


async def test_a_message_of_a_task_being_claimed_is_not_cancelled(ledger: Ledger, other: asyncpg.Connection) -> None:
    """Though one of its parts alone is on its way."""
    await ledger.change(UNWATCHED)
    message_id = await ledger.accept(parts=2)
    chunk = Chunk(1, 1, 0, 1, message_id)

    async def ours() -> list[asyncpg.Record]:
        async with ledger.connection.transaction():
            return list(await task_parts.cancel(ledger.connection, [chunk], ledger.clock, "CANCELLED"))

    claim = f"{CLAIMED} AND part = 2"
    rows = await beside(other, lambda: other.execute(claim, message_id, ledger.channels["a"]), ours)
    assert rows == []
    assert await ledger.states(message_id) == [S.QUEUED, S.SENDING]


async def test_parts_that_end_at_two_nodes_at_once_make_one_report(ledger: Ledger, other: asyncpg.Connection) -> None:
    message_id = await ledger.accept(parts=2)
    claimed = {c.part: c for c in await ledger.claim()}
    await ledger.answer(OutcomeKind.ACCEPTED, *claimed.values())
    first = "UPDATE part SET state = 40, final_at = now() WHERE id = $1 AND part = 1"

    async def ours() -> None:
        await ledger.outcomes.report(ledger.report(claimed[2]))

    await beside(other, lambda: other.execute(first, message_id), ours)
    assert await ledger.states(message_id) == [S.DELIVERED] * 2
    assert await ledger.events() == ["delivered"], "the node whose part was the first could not see the second"


@pytest.mark.parametrize("what", ["balance", "quota", "stop"])
async def test_what_two_nodes_accept_stays_within_limits(ledger: Ledger, other: asyncpg.Connection, what: str) -> None:
    await ledger.connection.execute("UPDATE account SET quota_day = 3")
    mine = await connect(ledger.dsn, writer=True)
    theirs, ours = (replace(ledger.call(parts=2), guards=(ledger.account_id,)) for _ in range(2))
    if what == "balance":
        await ledger.connection.execute("UPDATE account SET credit_floor = -3, quota_day = NULL")

    async def take(connection: asyncpg.Connection, call: NewCall) -> object:
        (result,) = await commit_calls(connection, [call], False, node=NODE)
        return result

    if what == "balance":
        ledger.balanced = False  # the units are not those of the parts
        theirs, ours = (replace(call, units=BALANCE // 2 + 3) for call in (theirs, ours))

    async def change() -> None:
        if what == "stop":
            await other.execute("UPDATE account SET status = 'stopped'")
        else:
            assert not isinstance(await take(other, theirs), SmsgwError)

    async def accept() -> object:
        async with mine.transaction():
            return await take(mine, ours)

    refused = await beside(other, change, accept)
    await mine.close()
    assert isinstance(refused, Refused)
    assert (
        refused.code
        == {"balance": "BALANCE_INSUFFICIENT", "quota": "QUOTA_DAY_EXCEEDED", "stop": "ACCOUNT_STOPPED"}[what]
    )


@pytest.mark.parametrize("ours", ["rotate", "retire"])
async def test_a_key_is_rotated_by_one_at_a_time(ledger: Ledger, other: asyncpg.Connection, ours: str) -> None:
    sealer = Sealer(bytes(32))
    key = await keys.add(by_test(ledger.database), sealer, ledger.account_id)
    if ours == "retire":
        await keys.rotate(by_test(ledger.database), sealer, key.key_id)
    theirs = {
        "rotate": "UPDATE api_key SET secrets_sealed = secrets_sealed || secrets_sealed",
        "retire": "UPDATE api_key SET secrets_sealed = secrets_sealed[1:1]",
    }[ours]

    async def again() -> str:
        rotating = keys.rotate(by_test(ledger.database), sealer, key.key_id) if ours == "rotate" else None
        with pytest.raises(Invalid) as caught:
            await (rotating or keys.retire(by_test(ledger.database), key.key_id))
        return caught.value.code

    assert await beside(other, lambda: other.execute(theirs), again) == "STATE_CONFLICT"


async def test_a_type_of_event_has_one_endpoint_of_two_at_once(ledger: Ledger, other: asyncpg.Connection) -> None:
    await ledger.connection.execute("UPDATE account SET webhook_networks = '{0.0.0.0/0}'")
    sealer = Sealer(bytes(32))

    class Theirs(Database):
        """Whose transactions are part of the one that the other node has open."""

        @contextlib.asynccontextmanager
        async def transaction(self, **_: object) -> AsyncIterator[asyncpg.Connection]:
            yield other

    theirs = Theirs(ledger.dsn)
    await theirs.open()

    async def put(database: Database, name: str) -> None:
        wanted = Wanted(name, "http://127.0.0.1:9/", ("message.report",))
        await webhooks.put(by_test(database), sealer, ledger.account_id, wanted, LOOPBACK)

    async def ours() -> str:
        with pytest.raises(Invalid) as caught:
            await put(ledger.database, "two")
        return caught.value.code

    assert await beside(other, lambda: put(theirs, "one"), ours) == "PARAM_INVALID"
    await theirs.close()
