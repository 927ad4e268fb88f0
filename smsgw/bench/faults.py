"""What dies in the middle of a load (clause 14 of the tender). The load goes on, and its counts must agree."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

from smsgw.bench.load import Load, Observed
from smsgw.bench.result import Fault
from smsgw.bench.stage import Stage
from smsgw.runtime import aio

LOOK_EVERY = 0.005


class Kill(StrEnum):
    """By SIGKILL."""

    DATABASE = "database"
    """Its postmaster; the daemon brings it back."""
    DAEMON = "daemon"
    """It is started again on the same folder."""


@dataclass(slots=True)
class Death:
    """``fault``: None as long as nothing has died and come back."""

    fault: Fault | None = None


@contextlib.asynccontextmanager
async def killing(stage: Stage | None, kill: Kill | None, load: Load, seen: Observed) -> AsyncIterator[Death]:
    """Kill it when half of the load is accepted. At the end it has died and is back: ``RuntimeError`` otherwise."""
    death = Death()
    if stage is None or kill is None:
        yield death
        return
    task = aio.spawn(_kill(stage, kill, load, seen, death), name="bench.kill")
    try:
        yield death
        await task
    finally:
        await aio.cancel(task)
    if death.fault is None:
        raise RuntimeError(f"the {kill} was not killed: the load was over before")


async def _kill(stage: Stage, kill: Kill, load: Load, seen: Observed, death: Death) -> None:
    while seen.accepted < load.messages / 2:  # noqa: ASYNC110 - counted by others
        await asyncio.sleep(LOOK_EVERY)
    began = time.monotonic()
    after = began - seen.first_post
    await (stage.kill_database() if kill is Kill.DATABASE else stage.kill_daemon())
    death.fault = Fault(kill.value, round(after, 2), round(time.monotonic() - began, 2))
