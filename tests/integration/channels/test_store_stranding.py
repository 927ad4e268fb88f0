"""What waits for a channel that is gone goes to one that may take it, and nothing else does."""

from __future__ import annotations

from ledger import LANE, POOL, Ledger

from smsgw.core.model import Claimed, OutcomeKind
from smsgw.core.states import PartState
from smsgw.pipeline.upkeep import failover
from smsgw.store.messages import claiming
from smsgw.store.messages.claiming import Fence

S = PartState
K = OutcomeKind
NODE = 1


async def claim(ledger: Ledger, channel: str) -> list[Claimed]:
    fence = await ledger.fence(channel) if channel not in ledger.leases else None
    lease = ledger.leases[channel]
    fence = fence or Fence(lease.resource, lease.node, lease.epoch, ledger.channels[channel])
    return await claiming.claim(ledger.connection, fence, limit=100, queues=[(POOL, LANE)], oldest=0)


async def free(ledger: Ledger, *, gone: str = "a", well: str = "b") -> set[tuple[int, int]]:
    serving = [(POOL, ledger.channels[name]) for name in well]
    return await failover.free(ledger.outcomes, ledger.snapshots.current, {ledger.channels[gone]}, serving)


async def states(ledger: Ledger, message_id: int) -> list[tuple[S, int | None]]:
    rows = await ledger.connection.fetch(
        "SELECT state, channel_id FROM part WHERE id = $1 ORDER BY part", message_id
    )
    return [(S(row["state"]), row["channel_id"]) for row in rows]


async def test_what_a_channel_had_deferred_is_taken_by_another(ledger: Ledger) -> None:
    message_id = await ledger.accept()
    claimed = await claim(ledger, "a")
    await ledger.answer(K.DEFERRED, *claimed)
    assert await states(ledger, message_id) == [(S.DEFERRED, ledger.channels["a"])]
    assert await free(ledger, gone="b", well="a") == set(), "its channel is well"
    await ledger.connection.execute("UPDATE part SET class = 'FREQ_CARRIER'")
    assert await free(ledger, well="") == set(), "there is no other"
    assert await free(ledger) == {(POOL, LANE)}
    assert await states(ledger, message_id) == [(S.QUEUED, None)]
    assert [c.id for c in await claim(ledger, "b")] == [message_id]


async def test_a_wait_that_the_retry_table_has_set_is_kept(ledger: Ledger) -> None:
    message_id = await ledger.accept()
    await ledger.answer(K.DEFERRED, *await claim(ledger, "a"))
    await ledger.connection.execute("UPDATE part SET class = 'PHONE', next_at = now() + interval '1 hour'")
    await free(ledger)
    assert await states(ledger, message_id) == [(S.DEFERRED, None)]


async def test_a_message_stays_when_a_part_of_it_was_taken_or_sent_twice(ledger: Ledger) -> None:
    partly = await ledger.accept(parts=2)
    one, two = await claim(ledger, "a")
    await ledger.answer(K.ACCEPTED, one)
    await ledger.answer(K.DEFERRED, two)
    twice = await ledger.accept()
    await ledger.answer(K.DEFERRED, *await claim(ledger, "a"))
    await ledger.connection.execute("UPDATE part SET resent = 1 WHERE id = $1", twice)
    await ledger.connection.execute("UPDATE part SET class = 'FREQ_CARRIER' WHERE state = 11")
    assert await free(ledger) == set()
    a = ledger.channels["a"]
    assert await states(ledger, partly) == [(S.SENT, a), (S.DEFERRED, a)]
    assert await states(ledger, twice) == [(S.DEFERRED, a)]


async def test_a_channel_that_has_failed_is_better_than_none(ledger: Ledger) -> None:
    message_id = await ledger.accept()
    await ledger.connection.execute("UPDATE part SET avoid_channels = $1", [ledger.channels["a"]])
    assert await free(ledger, gone="b", well="ab") == set(), "another one may take it"
    assert await claim(ledger, "a") == []
    assert await free(ledger, gone="b", well="a") == {(POOL, LANE)}
    assert [c.id for c in await claim(ledger, "a")] == [message_id]
