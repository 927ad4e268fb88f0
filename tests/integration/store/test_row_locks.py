"""Who decides by what a row says holds the row: another transaction's change of it is seen before the decision."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio
from changes import by_test
from ledger import BALANCE, NODE, Ledger, carrier_id
from receiver import LOOPBACK

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.model import Claimed, OutcomeKind, Report
from smsgw.core.states import PartState
from smsgw.core.tasks import Chunk
from smsgw.pipeline.outcomes.cancellation import Cancelling
from smsgw.platform.change import Change
from smsgw.platform.keys import service as keys
from smsgw.platform.org import service as org
from smsgw.platform.webhooks import service as webhooks
from smsgw.platform.webhooks.model import Wanted
from smsgw.runtime import aio
from smsgw.store.engine.database import Database, connect
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import task_parts
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import NewCall

S = PartState
CLAIMED = "UPDATE part SET state = 20, channel_id = $2, attempt = 1, claimed_at = now() WHERE id = $1"

UNWATCHED = "ALTER TABLE part DISABLE TRIGGER watch"
"""The tests' own guard of the states would hide that nothing else holds."""


@pytest_asyncio.fixture
async def other(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Another node's connection."""
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


async def test_a_message_that_is_just_being_claimed_is_not_cancelled(
    ledger: Ledger, other: asyncpg.Connection
) -> None:
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


async def test_a_message_of_a_task_that_is_just_being_claimed_is_not_cancelled(
    ledger: Ledger, other: asyncpg.Connection
) -> None:
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


async def test_parts_that_end_at_two_nodes_in_one_moment_make_one_report(
    ledger: Ledger, other: asyncpg.Connection
) -> None:
    message_id = await ledger.accept(parts=2)
    claimed = {c.part: c for c in await ledger.claim()}
    await ledger.answer(OutcomeKind.ACCEPTED, *claimed.values())

    def delivered(one: Claimed) -> Report:
        channel = ledger.channels["a"]
        return Report(channel, carrier_id(one), S.DELIVERED, "DELIVRD", "", one.number, ledger.clock)

    first = "UPDATE part SET state = 40, final_at = now() WHERE id = $1 AND part = 1"

    async def ours() -> None:
        await ledger.outcomes.report(delivered(claimed[2]))

    await beside(other, lambda: other.execute(first, message_id), ours)
    assert await ledger.states(message_id) == [S.DELIVERED] * 2
    assert await ledger.events() == ["delivered"], (
        "the node whose part was the first could not see the second"
    )


@pytest.mark.parametrize("what", ["balance", "quota", "stop"])
async def test_what_two_nodes_accept_for_an_account_stays_within_its_limits(
    ledger: Ledger, other: asyncpg.Connection, what: str
) -> None:
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
    assert refused.code == {
        "balance": "BALANCE_INSUFFICIENT", "quota": "QUOTA_DAY_EXCEEDED", "stop": "ACCOUNT_STOPPED",
    }[what]  # fmt: skip


async def test_of_two_administrators_who_stop_each_other_one_is_left(
    ledger: Ledger, other: asyncpg.Connection
) -> None:
    change = Change(ledger.database, Actor.operator("one"))
    for login in ("one", "two"):
        await org.add_person(change, login, login, ["sysadmin"], "x")

    async def ours() -> None:
        with pytest.raises(Refused) as refused:
            await org.stop_person(change, "two")
        assert refused.value.code == "LAST_ADMINISTRATOR"

    await beside(
        other, lambda: other.execute("UPDATE staff SET status = 'stopped' WHERE login = 'one'"), ours
    )


@pytest.mark.parametrize("ours", ["rotate", "retire"])
async def test_a_key_is_rotated_by_one_at_a_time(
    ledger: Ledger, other: asyncpg.Connection, ours: str
) -> None:
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


async def test_a_type_of_event_has_one_endpoint_though_two_are_made_at_once(
    ledger: Ledger, other: asyncpg.Connection
) -> None:
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
