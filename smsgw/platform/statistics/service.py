"""Counting a day anew."""

from __future__ import annotations

from datetime import date

from smsgw.core.permissions import Permission
from smsgw.platform.change import EVERYBODY, Change
from smsgw.runtime import clock
from smsgw.store.messages import checking, daily


async def recount(change: Change, day: date) -> None:
    """Count a business day anew from the rows that are the truth, and see whether it is right now; its events must all
    still be there."""
    async with change.unit(
        Permission.STATISTICS_EDIT, EVERYBODY, timeout=2 * daily.RECOUNT_PATIENCE
    ) as unit:
        await daily.recount(unit.connection, day)
        await checking.look(unit.connection, day, clock.now())
        unit.record("statistics.recount", "statistics", after={"first": f"{day}", "last": f"{day}"})
