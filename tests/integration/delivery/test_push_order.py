"""The events of one message go one after the other, whatever becomes of single ones; others do not wait for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio
from aiohttp import web
from receiver import Receiver, Stage, receiving

from smsgw.core.webhooks import SCHEDULE


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest_asyncio.fixture
async def stage(dsn: str) -> AsyncIterator[Stage]:
    made = Stage(dsn)
    await made.open()
    await made.start()
    yield made
    await made.pusher.stop()
    await made.database.close()


def called(receiver: Receiver) -> list[list[int]]:
    """The events of every call, answered well or not."""
    return [[int(item["event_id"]) for item in call.json["items"]] for call in receiver.calls]


async def test_a_call_has_one_event_of_a_message(stage: Stage, receiver: Receiver) -> None:
    await stage.put("main", receiver.origin, linger_ms=0, concurrency=8)
    await stage.reload()
    await stage.pusher.stop()  # all of them are there when it begins
    message = stage.ids.next()
    first, *later = await stage.reports(3, message_id=message)
    (between,) = await stage.reports()
    stage.pusher = stage.make_pusher()
    await stage.pusher.start()
    await stage.quiet()
    assert called(receiver)[0] == [first, between]
    assert called(receiver)[1:] == [[one] for one in later]


async def test_while_an_event_waits_for_its_next_try_later_ones_of_its_message_wait(
    stage: Stage, receiver: Receiver
) -> None:
    await stage.put("main", receiver.origin, max_items=1, linger_ms=0, concurrency=8)
    await stage.reload()
    message = stage.ids.next()
    (refused,) = await stage.reports(1, message_id=message)
    receiver.reply = lambda call: web.Response(status=500 if str(refused).encode() in call.body else 200)
    await stage.quiet()
    (later,) = await stage.reports(1, message_id=message)
    (other,) = await stage.reports()
    await stage.quiet()
    assert called(receiver) == [[refused], [other]]

    receiver.calls.clear()
    stage.shift += timedelta(seconds=SCHEDULE[0] - 3)  # not due yet, on a slow machine neither
    await stage.quiet()
    assert called(receiver) == []
    receiver.reply = lambda _: web.Response()
    stage.shift += timedelta(seconds=3)
    await stage.quiet()
    assert called(receiver) == [[refused], [later]]


async def test_what_a_receiver_asks_to_wait_for_an_event_waits(stage: Stage, receiver: Receiver) -> None:
    """Longer than its schedule says, and no longer than an hour."""
    await stage.put("main", receiver.origin, max_items=1, linger_ms=0)
    await stage.reload()
    receiver.reply = lambda _: web.Response(status=503, headers={"Retry-After": "86400"})
    await stage.reports()
    await stage.quiet()
    receiver.reply = lambda _: web.Response()
    stage.shift += timedelta(minutes=50)
    await stage.reports()
    await stage.quiet()
    assert len(receiver.calls) == 1, "nor does anything else go there"
    stage.shift += timedelta(minutes=11)
    await stage.quiet()
    assert len(receiver.calls) == 3


async def test_a_receiver_that_fails_is_asked_with_one_event_and_then_takes_all(
    stage: Stage, receiver: Receiver
) -> None:
    await stage.put("main", receiver.origin, max_items=1, linger_ms=0, concurrency=4)
    await stage.reload()
    receiver.reply = lambda _: web.Response(status=500)
    made = await stage.reports(12)
    await stage.quiet()
    before = len(receiver.calls)
    assert 3 <= before <= 3 + 4, "those that were under way, and no more"
    stage.shift += timedelta(seconds=61)  # whatever it is asked next is due
    await stage.quiet()
    assert len(receiver.calls) == before + 1
    receiver.reply = lambda _: web.Response()
    stage.shift += timedelta(seconds=61)
    await stage.quiet()
    await stage.quiet()
    assert sorted(receiver.events) == sorted(map(str, made)), "what waits for its next try is brought forward"
