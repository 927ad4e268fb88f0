"""What a message costs the ledger: ways to the server and back, and WAL, where an index or a version more on its way is
seen (scripts/ledger). Days that are over cost writers nothing, however many of them are kept (docs/adr/099)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from databases import admin
from ledger import LANE, NODE, POOL, Ledger, carrier_id
from ledger_costs import AT_ONCE, Idle, Meter, each, live

from smsgw.core.frequency import Watch, scope_of, seconds_of
from smsgw.core.ids import first_id
from smsgw.core.model import MessageType, Outcome, OutcomeKind
from smsgw.core.policy import Rate
from smsgw.core.states import PartState
from smsgw.store.engine import partitions
from smsgw.store.messages import claiming, outcomes, reattempt, sweeps
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import Fence, NewCall, Stored

MOST = {"accept": 1040, "claim": 455, "answer": 475, "report": 1065}
"""Octets of a message of a batch of 500, by stage: what is measured, and some for pages that split. An entry in one
more index is 64 at least."""
MOST_AT_ONCE = 1125
"""Of a message that a channel takes as it is accepted, in a batch of 25: less than both stages apart."""
ROUNDS = 5
N = 1000


async def test_a_message_writes_no_more_than_it_did(ledger: Ledger) -> None:
    """In the best of some rounds: what the server does of itself meanwhile comes on top."""
    await ledger.change("DROP TRIGGER watch ON part")  # a trigger before an update locks the row: that is written, too
    await partitions.ensure(ledger.connection, await ledger.connection.fetchval(partitions.TODAY))
    beside = await asyncpg.connect(admin(ledger.dsn))
    rounds = []
    try:
        for _ in range(ROUNDS):
            meter = Meter(beside)
            await live(ledger, meter, batch=500, batches=N // 500)
            rounds.append(each(meter.costs, N))
    finally:
        await beside.close()
    least = {name: min(told[name][0] for told in rounds) for name in MOST}
    assert {name: wal for name, wal in least.items() if wal > MOST[name]} == {}
    assert min(least.values()) > 300, "nothing is measured"
    assert await ledger.connection.fetchval("SELECT count(*) FROM part WHERE state = 40") == ROUNDS * N


async def test_a_message_that_is_claimed_as_it_is_accepted_writes_less(ledger: Ledger) -> None:
    """And leaves no dead row behind for it."""
    await ledger.change("DROP TRIGGER watch ON part")
    await partitions.ensure(ledger.connection, await ledger.connection.fetchval(partitions.TODAY))
    beside = await asyncpg.connect(admin(ledger.dsn))
    least: dict[bool, float] = {}
    try:
        for _ in range(ROUNDS):
            for at_once in (False, True):
                meter = Meter(beside)
                await live(ledger, meter, batch=25, batches=4, at_once=at_once)
                told = each(meter.costs, 100)
                wal = told[AT_ONCE][0] if at_once else told["accept"][0] + told["claim"][0]
                least[at_once] = min(wal, least.get(at_once, wal))
    finally:
        await beside.close()
    assert 300 < least[True] < MOST_AT_ONCE
    assert least[True] < least[False] - 350


class Spy:
    """A connection that notes each way to the server."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.ways: list[str] = []

    async def fetch(self, sql: str, *args: Any, **named: Any) -> Any:
        """As a connection's."""
        self.ways.append(sql)
        return await self._connection.fetch(sql, *args, **named)

    async def execute(self, sql: str, *args: Any, **named: Any) -> Any:
        """As a connection's."""
        self.ways.append(sql)
        return await self._connection.execute(sql, *args, **named)


def watched(ledger: Ledger, number: int) -> NewCall:
    """A call with a message that counts against its number: one is allowed."""
    call = ledger.call()
    scope = scope_of(call.account_id, MessageType.NOTICE, "")
    return replace(call, watches=(Watch(0, number, seconds_of(ledger.clock), scope, 1, (Rate(1, 3600),), 0, 0),))


def without(call: NewCall, reasons: Any) -> NewCall:
    """The call when its message is one too many."""
    return replace(call, messages=[], parts=[], watches=(), units=0)


async def accept(ledger: Ledger, *calls: NewCall) -> tuple[list[Any], list[str]]:
    """Commit calls in a transaction of their own: their results, and the ways it took between BEGIN and COMMIT."""
    spy: Any = Spy(ledger.connection)
    async with ledger.connection.transaction():
        results = await commit_calls(spy, list(calls), False, node=NODE, revise=without)
    return results, spy.ways


async def test_single_messages_whose_numbers_are_counted_go_to_the_server_three_times(ledger: Ledger) -> None:
    results, ways = await accept(ledger, *(watched(ledger, 8613900000000 + n) for n in range(20)))
    assert all(isinstance(one, Stored) and one.revised is None for one in results)
    assert len(ways) == 3, [way.split("(")[0] for way in ways]
    again, _ = await accept(ledger, watched(ledger, 8613900000007))
    assert again[0].revised is not None, "what is read with the lock of the accounts is what counts"


async def test_messages_that_are_not_counted_go_to_the_server_twice(ledger: Ledger) -> None:
    _, ways = await accept(ledger, *(ledger.call() for _ in range(20)))
    assert len(ways) == 2, [way.split("(")[0] for way in ways]


async def test_messages_that_a_channel_takes_at_once_go_to_the_server_no_more_often(ledger: Ledger) -> None:
    await ledger.fence()
    lease = ledger.leases["a"]
    idle: Any = Idle(Fence(lease.resource, NODE, lease.epoch, ledger.channels["a"]))
    calls = [ledger.call() for _ in range(20)]
    spy: Any = Spy(ledger.connection)
    async with ledger.connection.transaction():
        results = await commit_calls(spy, calls, False, node=NODE, entrances=idle)
    assert [one.waits for one in results if isinstance(one, Stored)] == [False] * 20
    assert len(spy.ways) == 2, [way.split("(")[0] for way in spy.ways]
    assert [await ledger.state(call.batch_id) for call in calls] == [PartState.SENDING] * 20


BEFORE = range(20, 25)
"""How many days ago: nothing of them is open any more."""

_LOCKED = """
SELECT relation::regclass::text AS name FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'
"""


async def test_neither_a_plan_nor_its_run_looks_at_days_that_are_over(ledger: Ledger) -> None:
    """What is done for each message (claims, answers, reports) looks at no days to come, either."""
    connection, now = ledger.connection, datetime.now(UTC)
    today = await connection.fetchval(partitions.TODAY)
    days = [today - timedelta(days=ago) for ago in BEFORE]
    for table in ("message", "part", "attempt"):
        for day in (today, *days):
            await connection.execute("SELECT partition_make($1, $2)", table, day)
    id_, fence = await ledger.accept(), await ledger.fence()
    oldest, newest = first_id(now - timedelta(days=7)), ledger.ids.newest(now)
    patience = outcomes.Patience(timedelta(days=3), timedelta(minutes=3), timedelta(minutes=5))
    async with connection.transaction():
        (claimed,) = await claiming.claim(
            connection, fence, limit=10, queues=[(POOL, LANE)], oldest=oldest, newest=newest
        )
        outcome = Outcome(id_, 1, claimed.attempt, OutcomeKind.ACCEPTED, carrier_id=carrier_id(claimed))
        answer = outcomes.Answer(outcome, now, now + timedelta(days=3))
        taken, _ = await outcomes.commit_answers(connection, [answer], outcomes.Tally(), patience)
        assert [row["state"] for row in taken] == [PartState.SENT]
        changed, unmatched = await outcomes.match_reports(
            connection, [ledger.report(claimed)], outcomes.Tally(), recent=oldest, newest=newest,
            oldest=first_id(now - timedelta(days=17)),
        )  # fmt: skip
        assert [row["state"] for row in changed] == [PartState.DELIVERED]
        assert not unmatched
        locked = {row["name"] for row in await connection.fetch(_LOCKED)}
    assert partitions.name("part", today) in locked
    ahead = [partitions.name(table, today + timedelta(days=n)) for table in ("part", "message") for n in range(2, 9)]
    assert await connection.fetchval("SELECT count(*) FROM pg_class WHERE relname = ANY($1)", ahead) > 4
    assert not locked & set(ahead)
    async with connection.transaction():
        await ledger.store(replace(ledger.call(), callback_url="https://customer.example/"), again=True)
        await claiming.claim_deferred(connection, fence, now=now, limit=10, oldest=oldest)
        await reattempt.parts_of_answers(connection, [outcome])
        await outcomes.report(connection, {id_: changed}, ledger.ids.next, {ledger.account_id})
        assert not await sweeps.end_report_wait(connection, now, oldest)
        locked |= {row["name"] for row in await connection.fetch(_LOCKED)}
    over = [f"{day:%Y%m%d}" for day in days]
    assert not {name for name in locked if any(day in name for day in over)}
