"""How often a transaction goes to the server and back: most of the time that a short one takes is waiting for that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ledger import NODE, Ledger
from ledger_costs import Idle

from smsgw.core.frequency import Watch, scope_of, seconds_of
from smsgw.core.model import MessageType
from smsgw.core.policy import Rate
from smsgw.core.states import PartState
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import Fence, NewCall, Stored


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
