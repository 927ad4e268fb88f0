from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from smsgw.channels.intake import LOOK_AT_ROOM, Intake
from smsgw.core.model import Inbound, Report
from smsgw.core.states import PartState

NOW = datetime(2026, 11, 25, tzinfo=UTC)
REPLY = Inbound(channel_id=1, carrier_id="7", number="8613800138000", to_code="1069", text="x", received_at=NOW)


def report(state: PartState) -> Report:
    return Report(1, "7", state, "x", "", "8613800138000", NOW)


class Books:
    """As ``Outcomes``."""

    def __init__(self) -> None:
        self.full = False
        self.roomy = True
        self.stored: list[object] = []

    def report(self, fact: object) -> asyncio.Future[Any]:
        self.stored.append(fact)
        return asyncio.get_running_loop().create_future()

    inbound = report


class Line:
    """As ``Source``."""

    def __init__(self) -> None:
        self.closed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.read = True

    def pause_reading(self) -> None:
        self.read = False

    def resume_reading(self) -> None:
        self.read = True


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def test_what_comes_is_stored_and_only_a_delivery_is_a_sign_of_life() -> None:
    books: Any = Books()
    intake, line = Intake(books), Line()
    intake.take(REPLY, line)
    durable = intake.take(report(PartState.UNDELIVERABLE), line)
    assert intake.delivered_at == float("-inf")
    assert not durable.done()
    intake.take(report(PartState.DELIVERED), line)
    assert intake.delivered_at > 0
    assert len(books.stored) == 3
    assert line.read


async def test_who_brings_more_than_can_be_stored_is_read_again_when_there_is_room_for_a_while() -> None:
    books: Any = Books()
    books.full, books.roomy = True, False
    intake, line, gone = Intake(books), Line(), Line()
    for source in (line, gone):
        intake.take(REPLY, source)
        assert not source.read
    gone.closed.set_result("gone")
    books.full = False
    await asyncio.sleep(LOOK_AT_ROOM * 2)
    assert not line.read, "not yet"
    books.roomy = True
    await until(lambda: line.read)
    assert not gone.read, "one that is gone is let go"
