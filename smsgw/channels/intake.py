"""What a carrier brings, reports and messages from phones: stored, and read no faster than that."""

from __future__ import annotations

import asyncio
from typing import Any

from smsgw.channels.transport import Source
from smsgw.core.model import Inbound, Report
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes.writer import Outcomes

LOOK_AT_ROOM = 0.05
"""Seconds between two looks whether the database has caught up, while connections wait for it."""


class Intake:
    """Of one channel."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        self.delivered_at = float("-inf")
        """When the last report of a delivery came, on the loop's clock."""
        self._waiting: set[Source] = set()
        """Connections that are not read because the database cannot keep up."""

    def take(self, incoming: Report | Inbound, source: Source) -> asyncio.Future[Any]:
        """Done when it is durable. The source is read no further while the database cannot keep up."""
        if isinstance(incoming, Report):
            if incoming.state is PartState.DELIVERED:
                self.delivered_at = asyncio.get_running_loop().time()
            durable = self._outcomes.report(incoming)
        else:
            durable = self._outcomes.inbound(incoming)
        if self._outcomes.full:
            source.pause_reading()
            if not self._waiting:
                self._look_later()
            self._waiting.add(source)
        return durable

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(LOOK_AT_ROOM, self._look)

    def _look(self) -> None:
        """By a timer of its own: one that nobody reads would be forgotten by whatever waits for something else."""
        if self._outcomes.roomy:
            for source in self._waiting:
                source.resume_reading()
            self._waiting.clear()
        else:
            self._waiting = {source for source in self._waiting if not source.closed.done()}
            if self._waiting:
                self._look_later()
