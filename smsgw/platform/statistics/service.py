"""Counting a day anew."""

from __future__ import annotations

from datetime import date

from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.runtime import clock
from smsgw.store.messages import checking, daily


async def recount(change: Change, day: date) -> None:
    """Count a business day anew from the rows that are the truth, and see whether it is right now. ``STATE_CONFLICT``:
    its events are not all there any more."""
    async with change.unit(Permission.STATISTICS_EDIT, EVERYBODY, timeout=2 * daily.RECOUNT_PATIENCE) as unit:
        if not await daily.recount(unit.connection, day):
            raise Refused("STATE_CONFLICT", reason=phrase("statistics.gone"))
        await checking.look(unit.connection, day, clock.now())
        unit.record("statistics.recount", "statistics", after={"first": f"{day}", "last": f"{day}"})
