"""Load tests as people handle them: begun with what they will take, and stopped."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import NewJob
from smsgw.platform.jobs.service import KEPT as JOBS_KEPT
from smsgw.platform.load_tests import queries
from smsgw.platform.load_tests.model import (
    LEAST_RATE,
    LEAST_REASON,
    LEAST_SECONDS,
    MOST_MESSAGES,
    MOST_RATE,
    MOST_REASON,
    MOST_SECONDS,
    Profile,
)
from smsgw.store.engine.embedded import EmbeddedPostgres

NAME = "load_test"
_WAITS = timedelta(minutes=10)
"""A load test that has found no place by then is not begun: whoever wanted it is not there any more."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a load test will take of the machine on which it runs."""

    messages: int
    octets: int
    free: int
    """Octets of the disk that are free now."""
    cores: int
    load: float
    """Of the last minute: processes that ran or wanted to."""

    @property
    def fits(self) -> bool:
        """Whether the disk has room."""
        return self.octets <= self.free

    @property
    def busy(self) -> bool:
        """Whether the machine has enough to do without it."""
        return self.load > self.cores


def expected(profile: Profile, folder: Path) -> Expected:
    """Before it is begun, on this node."""
    return Expected(profile.messages, profile.octets, free(folder), len(os.sched_getaffinity(0)), os.getloadavg()[0])


def free(folder: Path) -> int:
    """Octets of the disk below ``folder``, or of that where root has the databases, whichever has less."""
    home = EmbeddedPostgres(folder).home
    while not home.exists():
        home = home.parent
    return min(shutil.disk_usage(place).free for place in (folder, home))


def room_for(profile: Profile, folder: Path) -> Expected:
    """What it will take; ``STATE_CONFLICT`` when the disk does not have it."""
    takes = expected(profile, folder)
    if not takes.fits:
        raise Refused("STATE_CONFLICT", reason=phrase("load_test.disk"))
    return takes


def check(profile: Profile, reason: str) -> None:
    """``PARAM_INVALID`` for what is beyond the limits."""
    for name, value, least, most in (
        ("rate", profile.rate, LEAST_RATE, MOST_RATE),
        ("seconds", profile.seconds, LEAST_SECONDS, MOST_SECONDS),
        ("reason", len(reason), LEAST_REASON, MOST_REASON),
    ):
        if not least <= value <= most:
            raise Invalid("PARAM_INVALID", param=name, reason=phrase("load_test.bounds", least=least, most=most))
    if profile.messages > MOST_MESSAGES:
        raise Invalid("PARAM_INVALID", param="rate", reason=phrase("load_test.messages", most=MOST_MESSAGES))


async def begin(change: Change, profile: Profile, *, reason: str, node: int, folder: Path) -> int:
    """Have it run on this node, in ``folder``; its id. ``STATE_CONFLICT`` while another one runs anywhere, or when the
    disk has no room."""
    change.actor.require(Permission.CHANNEL_TEST)
    if change.actor.scope.whole is not None:  # they would not see what they have begun
        raise Refused("PERMISSION_DENIED", permission=Permission.CHANNEL_TEST.value)
    check(profile, reason)
    room_for(profile, folder)
    async with change.unit(Permission.CHANNEL_TEST) as unit:
        wanted = NewJob(
            NAME, {}, unit.actor.label, subject="one", node=node, lasts=_WAITS + timedelta(seconds=profile.within)
        )
        job_id = await jobs.add(unit.connection, wanted)
        if job_id is None:
            raise Refused("STATE_CONFLICT", reason=phrase("load_test.runs"))
        id_ = await queries.add(unit.connection, job_id, profile, reason, node, unit.actor.label)
        unit.record(
            "load_test.begin", f"load_test/{id_}",
            after={"scenario": profile.scenario.value, "rate": profile.rate, "seconds": profile.seconds,
                   "node": node, "reason": reason},
        )  # fmt: skip
    return id_


async def stop(change: Change, id_: int) -> None:
    """End it now; what it has made is cleared away. ``STATE_CONFLICT`` when it is over."""
    async with change.unit(Permission.CHANNEL_TEST) as unit:
        found = await queries.one(unit.connection, unit.actor, id_)
        if found is None:
            raise Refused("NOT_FOUND")
        if found.over or await jobs.cancel(unit.connection, found.job_id, JOBS_KEPT) is None:
            raise Refused("STATE_CONFLICT", reason=phrase("load_test.over"))
        unit.record("load_test.stop", f"load_test/{id_}", before={"state": found.state.value})
