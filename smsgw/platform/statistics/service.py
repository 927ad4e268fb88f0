"""Counting a day anew."""

from __future__ import annotations

from datetime import date

from smsgw.core.permissions import Permission
from smsgw.platform.change import EVERYBODY, Change
from smsgw.store.messages import daily


async def recount(change: Change, day: date) -> None:
    """Count a business day anew from the rows that are the truth; its events must all still be there."""
    async with change.unit(
        Permission.STATISTICS_EDIT, EVERYBODY, timeout=2 * daily.RECOUNT_PATIENCE
    ) as unit:
        await daily.recount(unit.connection, day)
        unit.record("statistics.recount", "statistics", after={"first": f"{day}", "last": f"{day}"})
