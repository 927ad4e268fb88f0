"""Counting a day anew."""

from __future__ import annotations

from datetime import date

from smsgw.store.engine.database import Database
from smsgw.store.messages import daily


async def recount(database: Database, day: date) -> None:
    """Count a business day anew from the rows that are the truth; its events must all still be there.

    Nothing that anybody has said is changed by it: the audit log has no entry of it.
    """
    await daily.recount(database, day)
