"""Long messages of partners whose last part is refused for now, or for good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from snapshots import FixedSnapshots
from taskdesk import Desk, desk

from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.core.partners import Partner, ReplyTo
from smsgw.partners import parts as parts_module
from smsgw.partners.parts import Parts
from smsgw.pipeline.events import EventHub
from smsgw.store.messages.partner_parts import Part


class Door:
    """The acceptor, which refuses while ``refusal`` is set."""

    def __init__(self, here: Desk) -> None:
        self.refusal: SmsgwError | None = None
        self._acceptor = here.acceptor

    async def send(self, request: Any) -> Any:
        if self.refusal is not None:
            raise self.refusal
        return await self._acceptor.send(request)


def part(here: Desk, n: int) -> Part:
    reply = ReplyTo("1069", "13800000001").pack()
    return Part(
        id=here.ids.next(), account_id=here.account_id, partner_id=1, key="cmpp|1069|13800000001|0|1|2", total=2,
        part=n, number="13800000001", octets=f"text {n}".encode("utf-16-be"), coding="ucs2", extend_code="",
        reply=reply, urgent=False, send_at=None, expire_at=None, received_at=datetime.now(UTC),
    )  # fmt: skip


PARTNER = Partner(1, 1, "cmpp", "shop", "secret")
LINE: Any = SimpleNamespace(number=1, read_until=None)


async def messages(here: Desk) -> int:
    found: int = await here.database.fetchval("SELECT count(*) FROM message")
    return found


async def told(here: Desk) -> list[int]:
    rows = await here.database.fetch("SELECT message_id FROM customer_event WHERE status = 'rejected'")
    return [row["message_id"] for row in rows]


@pytest.mark.parametrize("final", [False, True])
async def test_a_part_that_is_refused_again(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, final: bool
) -> None:
    monkeypatch.setattr(
        parts_module, "LEFT_UNDONE", timedelta(seconds=-1)
    )  # the sweep takes up everything at once
    async with desk(dsn, tmp_path) as here:
        door = Door(here)
        known = FixedSnapshots(
            replace(here.snapshots.current, partners={(PARTNER.protocol, PARTNER.username): PARTNER})
        )
        parts = Parts(here.database, door, known, EventHub(), here.ids)  # type: ignore[arg-type]
        await parts._writer.start()
        try:
            first = await parts.take(part(here, 1), PARTNER, LINE)
            door.refusal = Temporary("BACKPRESSURE", retry_after=1, n=1)
            for _ in range(3):
                with pytest.raises(Temporary):
                    await parts.take(part(here, 2), PARTNER, LINE)
            if final:
                door.refusal = Refused("ACCOUNT_STOPPED")
                with pytest.raises(Refused):
                    await parts.take(part(here, 2), PARTNER, LINE)
                assert await told(here) == [first], "of what was refused in its answer there is no report"
            door.refusal = None
            await parts._sweep()
            assert await messages(here) == 0, "what was refused is not sent"
            if not final:
                await parts.take(part(here, 2), PARTNER, LINE)
                await parts._sweep()
                assert (await messages(here), await told(here)) == (1, [])
        finally:
            await parts._writer.stop()
