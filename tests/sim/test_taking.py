"""A channel that has nothing to do takes messages as they are accepted: when it does, and what becomes of them, in
virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
from snapshots import snapshot_of
from stage import POOL, Stage, staged

from smsgw.core.model import Account, Claimed, Lane, OutcomeKind
from smsgw.pipeline.fleet import Membership

K = OutcomeKind
LANE = int(Lane.NOTICE)


def offered(stage: Stage, parts: int = 1, lane: int = LANE, account: int = 1) -> bool:
    """Whether the channel would take one."""
    return stage.channel.offer((POOL, lane), account, parts) is not None


def enter(stage: Stage, *, total: int = 1) -> list[Claimed]:
    """A message that the channel has offered to take, on its way into the ledger."""
    assert offered(stage, total)
    first = stage.part()
    message = [
        Claimed(first.id, n, total, 1, first.number, "号" * 60 * total, "ucs2", "", LANE, None, 1, POOL, 1)
        for n in range(1, total + 1)
    ]
    assert stage.channel.reserve(message).epoch == stage.lease.epoch
    return message


def committed(stage: Stage, message: Sequence[Claimed]) -> None:
    stage.channel.entered(message, message)


async def idle(stage: Stage) -> None:
    """It has looked, and found nothing."""
    await stage.until(lambda: offered(stage))


@staged()
async def test_it_sends_at_once_and_claims_nothing(stage: Stage) -> None:
    await idle(stage)
    asked, begun = len(stage.queues.asked), stage.loop.time()
    messages = [enter(stage) for _ in range(3)]
    for message in messages:
        committed(stage, message)
    await stage.until(lambda: len(stage.arrived) == 3)
    assert stage.reached == [message[0].id for message in messages]
    assert stage.loop.time() - begun < 0.1
    assert len(stage.queues.asked) == asked
    assert stage.order.index("journal") < len(stage.order) - 1 - stage.order[::-1].index("wire")


@staged()
async def test_not_before_it_has_looked(stage: Stage) -> None:
    """Nor while it looks, nor when something was announced."""
    await idle(stage)
    stage.queues.takes = 0.2
    stage.channel.announce({(POOL, LANE)})
    assert not offered(stage)
    await asyncio.sleep(0.1)
    assert not offered(stage), "it is being looked for"
    stage.queues.takes = 0.0
    await idle(stage)
    stage.channel.pull_from({POOL: Membership(), POOL + 1: Membership()})
    assert not offered(stage), "there may be something in the new pool"


@staged(window=4)
async def test_not_beside_a_backlog(stage: Stage) -> None:
    stage.carrier.change(answer_delay="50")
    stage.queue(60)
    while len(stage.verdicts.said) < 50:
        assert not offered(stage)
        await asyncio.sleep(0.01)
    await stage.until(lambda: len(stage.verdicts.said) == 60)
    await idle(stage)


@staged(window=4)
async def test_it_keeps_room_for_what_is_on_its_way(stage: Stage) -> None:
    """Its claims do not take that."""
    await idle(stage)
    stage.carrier.change(silent=True)
    messages = [enter(stage) for _ in range(3)]
    assert not offered(stage)
    stage.queue(50)
    await asyncio.sleep(0.2)
    assert 50 - len(stage.queues.waiting) == 0
    for message in messages:
        stage.channel.entered(message, [])
    await asyncio.sleep(0.2)
    assert 50 - len(stage.queues.waiting) == 8, "a window, and another one in hand"


@staged(rate=4)
async def test_what_it_takes_keeps_to_the_rate(stage: Stage) -> None:
    await idle(stage)
    assert not offered(stage, 2), "so much is not claimed ahead"
    for _ in range(12):
        await idle(stage)
        committed(stage, enter(stage))
    times = [at for at, _, _ in stage.arrived]
    assert len(times) > 8
    assert all(later - earlier >= 0.99 for earlier, later in zip(times, times[4:], strict=False))


@staged()
async def test_a_long_message_is_taken_as_a_whole(stage: Stage) -> None:
    await idle(stage)
    message = enter(stage, total=3)
    committed(stage, message)
    await stage.until(lambda: len(stage.arrived) == 3)
    await stage.until(lambda: len(stage.verdicts.of(K.ACCEPTED)) == 3)


@staged()
async def test_what_is_on_its_way_when_it_stops_goes_back(stage: Stage) -> None:
    await idle(stage)
    message = enter(stage)
    stopping = asyncio.get_running_loop().create_task(stage.stop())
    await asyncio.sleep(1.0)
    assert not stopping.done(), "it is waited for"
    assert not offered(stage)
    committed(stage, message)
    await stopping
    assert stage.verdicts.of(K.UNSENT) == [message[0].id]
    assert stage.arrived == []


@staged()
async def test_what_is_answered_after_the_stop_goes_back_too(stage: Stage) -> None:
    await idle(stage)
    message = enter(stage)
    await stage.stop()
    committed(stage, message)
    assert stage.verdicts.of(K.UNSENT) == [message[0].id]
    await asyncio.sleep(1.0)
    assert stage.arrived == []


@staged()
async def test_when_nobody_knows_a_new_epoch_tells(stage: Stage) -> None:
    """And until then nothing else is taken."""
    await idle(stage)
    epoch, message = stage.lease.epoch, enter(stage)
    stage.queues.lost = [message[0].key]
    stage.channel.in_doubt(message)
    assert not offered(stage)
    await stage.until(lambda: stage.lease.epoch > epoch, within=1.0)
    await stage.until(lambda: stage.verdicts.of(K.UNSENT))
    stage.queues.lost = []
    assert stage.verdicts.of(K.UNSENT) == [message[0].id]
    await idle(stage)
    assert stage.lease.epoch == epoch + 1
    assert stage.arrived == []


@staged()
async def test_what_is_on_its_way_is_not_given_back_by_a_new_epoch(stage: Stage) -> None:
    """Of another claim there was no answer; of this one it is still to come."""
    await idle(stage)
    epoch, message = stage.lease.epoch, enter(stage)
    stage.queues.lost = [message[0].key]
    stage.queues.failures = [asyncpg.ConnectionDoesNotExistError()]
    stage.queue(1)
    await stage.until(lambda: stage.lease.epoch > epoch)
    await asyncio.sleep(40.0)  # and at the looks for what nobody has
    assert stage.verdicts.of(K.UNSENT) == []
    committed(stage, message)
    stage.queues.lost = []
    await stage.until(lambda: message[0].id in stage.reached)
    assert stage.reached.count(message[0].id) == 1


@staged()
async def test_what_may_not_be_sent_is_not_taken(stage: Stage) -> None:
    await idle(stage)
    assert offered(stage, account=9)
    stage.snapshots.current = snapshot_of([Account(9, "stopped", "active", halted=True)])
    assert stage.snapshots.current.halted == {9}
    assert not offered(stage, account=9)
    assert offered(stage, account=8)
    assert stage.channel.offer((POOL + 1, LANE), 1, 1) is None, "it does not pull from there"
    message = enter(stage)
    stage.snapshots.current = snapshot_of([Account(1, "stopped", "active", halted=True)])
    committed(stage, message)
    await asyncio.sleep(1.0)
    assert stage.arrived == []
    assert stage.verdicts.of(K.UNSENT) == [message[0].id], "its account was stopped meanwhile"


@staged()
async def test_a_channel_that_cannot_send_takes_nothing(stage: Stage) -> None:
    await idle(stage)
    stage.change(desired="draining")
    await asyncio.sleep(1.0)
    assert not offered(stage)
    stage.change(desired="started")
    await idle(stage)
    stage.verdicts.full = True
    assert not offered(stage)
    stage.verdicts.full = False
    assert offered(stage)
    deadline, stage.lease.deadline = stage.lease.deadline, 0.0
    assert not offered(stage)
    stage.lease.deadline = deadline
    stage.network.weather.down = True
    stage.at_carrier(lambda: stage.carrier.disconnect(rst=True))
    await stage.until(lambda: not stage.channel.reachable)
    assert not offered(stage)


@staged()
async def test_behind_what_is_given_back_new_ones_wait_for_a_look(stage: Stage) -> None:
    await idle(stage)
    stage.channel.comes_back({POOL + 1})
    assert offered(stage)
    stage.channel.comes_back({POOL})
    assert not offered(stage)
    await asyncio.sleep(1.0)
    assert not offered(stage)
    await idle(stage)


@staged()
async def test_what_others_have_queued_is_found_beside_what_is_taken(stage: Stage) -> None:
    """News comes all the time, and nobody announces those."""
    await idle(stage)
    (foreign,) = stage.queue(1, silently=True)
    until = stage.loop.time() + 1.5
    while stage.loop.time() < until:
        if offered(stage):
            committed(stage, enter(stage))
        await asyncio.sleep(0.05)
    assert foreign in stage.reached
