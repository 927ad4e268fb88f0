"""When a writer's connection plans its statements anew.

A generic plan is made once, and made with what a day's table holds at that time. One that somebody has analysed while
it was empty (as a nightly ``vacuumdb --analyze`` does with the days to come) counts as empty for good: each row then
looks as cheap to find by reading all of them as by its key, and the plan stays when there are a hundred thousand. With
the first pages of the day it comes out right, and nothing but an analysis would have it made anew.
"""

from __future__ import annotations

from smsgw.core.ids import CHINA
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection

GROWN = (16, 256, 4096)
"""Rows of a day that a connection has written when it makes its plans anew."""


class YoungDay:
    """The day as one connection has seen it grow."""

    def __init__(self) -> None:
        self._day = 0
        self._rows = 0
        self._times = 0

    def wrote(self, rows: int) -> None:
        """So many rows more."""
        day = clock.now().astimezone(CHINA).toordinal()
        if day != self._day:
            self._day, self._rows, self._times = day, 0, 0
        self._rows += rows

    @property
    def grown(self) -> bool:
        """Whether the plans were made with fewer rows than there are."""
        return self._times < len(GROWN) and self._rows >= GROWN[self._times]

    async def renew(self, connection: Connection) -> None:
        """Before a transaction: let the plans go when the day has grown since they were made."""
        if self.grown:
            self._times = sum(self._rows >= grown for grown in GROWN)
            await connection.execute("DISCARD PLANS")
