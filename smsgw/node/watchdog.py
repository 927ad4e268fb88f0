"""Tells systemd that the event loop turns, and people when it did not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sdnotify
import structlog

from smsgw.core.wording_json import Moment
from smsgw.core.words import Wording, phrase
from smsgw.runtime import clock

log = structlog.get_logger(__name__)

EVERY = 5.0
"""Seconds between two signs of life; oftener where systemd's patience (``WATCHDOG_USEC``) is short."""
TICK = 0.5
STALL = 1.0
"""Seconds that the loop stood still which are logged."""
REMEMBERED = 600.0
"""Seconds for which a stall that is an alarm is one."""


@dataclass(frozen=True, slots=True)
class Stall:
    """The loop stood still."""

    seconds: float
    at: datetime
    """When it went on."""
    since: float
    """The same on the loop's clock."""


class Watchdog:
    """One a process. A loop that stands still feeds it no more, and systemd ends and restarts the process."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        patience = environ.get("WATCHDOG_USEC", "")
        self.every = min(EVERY, int(patience) / 3e6) if patience.isdigit() and int(patience) else EVERY
        self._notifier = sdnotify.SystemdNotifier() if environ.get("NOTIFY_SOCKET") else None
        self._worst: Stall | None = None

    def notify(self, state: str) -> None:
        """Tell systemd something (``READY=1``)."""
        if self._notifier is not None:
            self._notifier.notify(state)

    async def run(self) -> None:
        """Feed the watchdog and measure, until cancelled."""
        loop = asyncio.get_running_loop()
        fed = float("-inf")
        tick = min(TICK, self.every)
        while True:
            now = loop.time()
            if now - fed >= self.every - tick / 2:
                self.notify("WATCHDOG=1")
                fed = now
            due = now + tick
            await asyncio.sleep(tick)
            if (late := loop.time() - due) >= STALL:
                self._stood_still(late, loop.time())

    def _stood_still(self, seconds: float, now: float) -> None:
        log.error("loop.stalled", seconds=round(seconds, 1))
        if self._worst is None or seconds >= self._worst.seconds or now - self._worst.since > REMEMBERED:
            self._worst = Stall(seconds, clock.now(), now)

    def trouble(self, limit: float) -> Wording | None:
        """How long the loop stood still lately, for people; None: not for ``limit`` seconds."""
        worst = self._worst
        if worst is None or worst.seconds < limit:
            return None
        if asyncio.get_running_loop().time() - worst.since > REMEMBERED:
            return None
        return phrase("alarm.stalled", seconds=f"{worst.seconds:.1f}", until=Moment(worst.at))
