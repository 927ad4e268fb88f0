"""Periodic work: one registry and one supervisor of everything that a node does every so many seconds.

Parts of the program declare their work as ``Periodic``; whoever builds the node hands it to the ``Supervisor``. What
only one node may do at a time is ``exclusive``: the lease of that name is taken and renewed here, all leases with one
statement, and a step that is under way when its lease is over is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.runtime import aio, clock
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine import leases
from smsgw.store.engine.database import Database
from smsgw.store.engine.leases import Lease

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

PATIENCE = 900.0
"""Seconds for one step: its statements have limits of their own, and far tighter ones."""
RELEASE_PATIENCE = 5.0
REST_AT_MOST = 5.0
"""Seconds of one rest: a step that has waited long for a lock or a database does not wait as long again."""
LAPSE_EVERY = 0.5
"""Seconds between looks at the deadlines of leases: less than their margin."""


class CutOff(Exception):
    """A step took longer than its patience, or than the lease lasted."""


@dataclass(frozen=True, slots=True)
class Periodic:
    """Work that comes round. It never runs twice at the same time in one process."""

    name: str
    """Of the registry and the log."""
    every: float
    """Seconds between the end of a step and the next."""
    step: Callable[[], Awaitable[object]]
    """One round. ``True``: there is more to do, go on at once. What it raises is logged, and it is tried again."""
    rest: float | Callable[[], float] = 0.0
    """Pause before more is done: others go first. A share of what the step has taken, or tells the seconds; at most
    ``REST_AT_MOST``. Nothing shortens it: who would wake says what is known, that there is more."""
    apart: float = 0.0
    """So many times as long as a step has taken until the next one comes, where that is longer than ``every``: a look
    that walks over dead rows takes ever longer beside a kept snapshot."""
    jitter: float = 0.0
    """Seconds by which the pause is prolonged at random, so that nodes do not come together."""
    patience: float = PATIENCE
    """Seconds after which a step is cut off."""
    exclusive: str = ""
    """Resource of a lease: one node at a time. Empty: every node does it, or steps exclude each other by locks."""
    taken: Callable[[], None] | None = None
    """Called when the lease has been taken: what was remembered of an earlier tenure may be stale."""
    wake: asyncio.Event | None = None
    """When set, the next step comes at once."""


@dataclass(frozen=True, slots=True)
class Figures:
    """How a piece of periodic work is doing on this node."""

    name: str
    every: float
    runs: int = 0
    failures: int = 0
    failing: bool = False
    """The last step has failed."""
    last_at: datetime | None = None
    """When the last step ended."""
    seconds: float = 0.0
    """It took so long."""
    elsewhere: bool = False
    """Another node has the lease."""


class Group:
    """Periodic work that was started together and ends together."""

    def __init__(self, supervisor: Supervisor, runners: Sequence[_Runner]) -> None:
        self._supervisor = supervisor
        self._runners = runners
        self._tasks = [aio.spawn(runner.run(), name=runner.work.name) for runner in runners]

    async def stop(self) -> None:
        """End it; a step under way is cut off, and leases are given back."""
        await aio.cancel(*self._tasks)
        await self._supervisor.forget(self._runners)


class Supervisor:
    """Runs the periodic work of one node; ``stop`` after all groups."""

    def __init__(self, database: Database, node: int) -> None:
        self._database = database
        self._node = node
        self._runners: dict[str, _Runner] = {}
        self._held: dict[str, Lease] = {}
        self._taking = asyncio.Lock()
        self._leasing = _Runner(self, Periodic("periodic.leases", leases.RENEW_EVERY, self._lease))
        self._lapsing = _Runner(self, Periodic("periodic.lapse", LAPSE_EVERY, self._lapse))
        self._tasks: list[asyncio.Task[None]] = []
        """Those that look after leases, while there are any."""

    def run(self, work: Iterable[Periodic]) -> Group:
        """Start it, and enter it in the registry. ``ValueError``: there is work of that name."""
        runners: list[_Runner] = []
        for one in work:
            if one.name in self._runners:
                raise ValueError(f"periodic work named {one.name} runs already")
            runner = self._runners[one.name] = _Runner(self, one)
            runners.append(runner)
        if any(runner.work.exclusive for runner in runners):
            self._leasing.hurry()
            for of_leases in (self._leasing, self._lapsing) if not self._tasks else ():
                self._tasks.append(aio.spawn(of_leases.run(), name=of_leases.work.name))
        return Group(self, runners)

    async def forget(self, runners: Sequence[_Runner]) -> None:
        """Take work that has ended out of the registry, and give the leases back that nothing else needs."""
        for runner in runners:
            self._runners.pop(runner.work.name, None)
        async with self._taking:
            needed = {runner.work.exclusive for runner in self._runners.values()}
            for resource in self._held.keys() - needed:
                lease = self._held.pop(resource)
                try:
                    async with asyncio.timeout(RELEASE_PATIENCE):
                        await leases.release(self._database, lease)
                except (SmsgwError, TimeoutError):
                    log.warning("lease.not_released", resource=resource)  # it lapses by itself
        if not needed - {""}:
            tasks, self._tasks = self._tasks, []
            await aio.cancel(*tasks)

    async def run_now(self, name: str) -> None:
        """Run a step at once, whatever its interval; returns when it is done. Raises what the step raises,
        ``NOT_FOUND`` when there is no such work, ``STATE_CONFLICT`` while another node has its lease, ``CutOff``."""
        runner = self._runners.get(name)
        if runner is None:
            raise Refused("NOT_FOUND")
        if not runner.allowed:
            await self._lease()
            if not runner.allowed:
                raise Refused("STATE_CONFLICT", reason=f"{name}: another node has the lease")
        await runner.once()

    @property
    def figures(self) -> list[Figures]:
        """How everything is doing, by name."""
        return [self._runners[name].figures for name in sorted(self._runners)]

    def holds(self, resource: str) -> bool:
        """Whether this node may act as the owner of the lease."""
        lease = self._held.get(resource)
        return lease is not None and lease.still_mine()

    async def _lease(self) -> None:
        """Prolong what is held, and take what is free."""
        async with self._taking:
            for lease in await leases.renew(self._database, list(self._held.values())):
                log.warning("lease.lost", resource=lease.resource)
                del self._held[lease.resource]
                self._interrupt(lease.resource)
            wanted = {runner.work.exclusive for runner in self._runners.values()} - {"", *self._held}
            for resource, lease in (await leases.acquire_many(self._database, sorted(wanted), self._node)).items():
                self._held[resource] = lease
                for runner in self._of(resource):
                    if runner.work.taken is not None:
                        runner.work.taken()
                    runner.hurry()

    async def _lapse(self) -> None:
        """Cut off what goes on under a lease that could not be prolonged in time: another node may take it soon."""
        for resource, lease in self._held.items():
            if not lease.still_mine():
                self._interrupt(resource)

    def _interrupt(self, resource: str) -> None:
        for runner in self._of(resource):
            runner.interrupt()

    def _of(self, resource: str) -> list[_Runner]:
        return [runner for runner in self._runners.values() if runner.work.exclusive == resource]


class _Runner:
    """One piece of work."""

    def __init__(self, supervisor: Supervisor, work: Periodic) -> None:
        self.work = work
        self._supervisor = supervisor
        self._turn = asyncio.Lock()
        self._wake = work.wake or asyncio.Event()
        self._scope: asyncio.Timeout | None = None
        """Of the step under way."""
        self._figures = Figures(work.name, work.every)

    @property
    def allowed(self) -> bool:
        """Whether this node may do it now."""
        return not self.work.exclusive or self._supervisor.holds(self.work.exclusive)

    @property
    def figures(self) -> Figures:
        """How it is doing."""
        return replace(self._figures, elsewhere=not self.allowed)

    def hurry(self) -> None:
        """Let the next step come at once."""
        self._wake.set()

    def interrupt(self) -> None:
        """Cut off the step under way, if there is one that is not being cut off already."""
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """For ever."""
        while True:
            self._wake.clear()  # whoever sets it from now on may have changed what the step has seen
            if not (self.allowed and await self._supervised()):
                await self._pause()
            elif (rest := self._rest()) > 0:
                await asyncio.sleep(rest)

    def _rest(self) -> float:
        rest = self.work.rest
        return min(rest() if callable(rest) else rest * self._figures.seconds, REST_AT_MOST)

    async def _pause(self) -> None:
        seconds = max(self.work.every, self.work.apart * self._figures.seconds)
        seconds += random.random() * self.work.jitter  # noqa: S311 - spreading load, not a secret
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _supervised(self) -> bool:
        name = self.work.name
        try:
            return await self.once()
        except asyncio.CancelledError:
            raise
        except Temporary as exc:  # an outage, told of where it was met; a stack of every job would bury that
            sparing.warning("job.put_off", (name, exc.code), job=name, error=str(exc))
        except CutOff as exc:
            sparing.error("job.cut_off", name, job=name, error=str(exc))
        except Exception as exc:  # a supervisor: one failing round must not end the job
            sparing.error("job.failed", (name, type(exc)), job=name, exc_info=exc)
        return False

    async def once(self) -> bool:
        """One step, after one that is under way; whether there is more to do. Raises what it raises."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            begun = loop.time()
            failed = True
            try:
                async with asyncio.timeout(self.work.patience) as self._scope:
                    more = await self.work.step()
                failed = False
                return more is True
            except TimeoutError:
                if self._scope is not None and self._scope.expired():
                    why = "it took too long" if self.allowed else "the lease was lost"
                    raise CutOff(why) from None
                raise
            finally:
                self._scope = None
                self._figures = replace(
                    self._figures,
                    runs=self._figures.runs + 1,
                    failures=self._figures.failures + failed,
                    failing=failed,
                    last_at=clock.now(),
                    seconds=loop.time() - begun,
                )
