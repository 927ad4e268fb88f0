"""Messages that wait for their time, also across a restart, and messages whose time is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from harness import Site, site, until

ONE_WINDOW = ("--window", "1")


def ahead(seconds: float) -> tuple[datetime, str]:
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    return at, at.isoformat()


async def _was_sent_after(built: Site, message_id: str, at: datetime) -> None:
    message = await built.customer.reaches(message_id, "delivered")
    sent_at = datetime.fromisoformat(message["submitted_at"])
    assert at <= sent_at < at + timedelta(seconds=8), (at, sent_at)


@pytest.mark.shard("alone")
async def test_scheduled(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=["cmpp30", "smpp34"]) as built:
        customer = built.customer
        at, written = ahead(2)
        soon = await customer.send("cmpp30", send_at=written)
        later_at, written = ahead(5)
        later = await customer.send("smpp34", send_at=written)
        past = await customer.send("cmpp30", send_at=ahead(-60)[1])
        assert await customer.status(soon.message_id) == "scheduled"
        assert await customer.status(later.message_id) == "scheduled"
        await customer.reaches(past.message_id, "delivered", within=2)
        await _was_sent_after(built, soon.message_id, at)

        # The time comes while nobody is there, or just after the start.
        await built.node.stop()
        assert built.carriers["smpp34"].counts.submits == 0
        await built.node.start()
        await _was_sent_after(built, later.message_id, later_at)
        books = await built.clean()
        assert books.statuses == {"delivered": 3}


@pytest.mark.shard("alone")
async def test_validity_ends_before_a_carrier_has_taken_it(dsn: str, data_dir: Path) -> None:
    async with site(data_dir, dsn=dsn, channels=["cmpp30"], channel_options=ONE_WINDOW) as built:
        customer, carrier = built.customer, built.carriers["cmpp30"]
        carrier.pause()
        waits = await customer.send("cmpp30")  # fills the window

        async def window_is_full() -> bool:
            return (await built.channel("cmpp30"))["window_used"] == 1

        await until(window_is_full, what="the window is full")
        before = (await built.client.get("/balance")).data["available"]
        expire_at, written = ahead(2)
        short = [await customer.send("cmpp30", expire_at=written) for _ in range(3)]
        long = await customer.send("cmpp30")
        assert (await built.client.get("/balance")).data["available"] == before - 4
        for message in short:
            ended = await customer.reaches(message.message_id, "expired")
            assert datetime.fromisoformat(ended["done_at"]) >= expire_at
        assert (await built.client.get("/balance")).data["available"] == before - 1
        carrier.resume()
        await customer.reaches(waits.message_id, "delivered")
        await customer.reaches(long.message_id, "delivered")
        books = await built.clean()
        assert books.statuses == {"expired": 3, "delivered": 2}
        assert books.received == 2
