"""The supervisor of several workers: it begins them, replaces those that die, and is one process towards the outside.

It owns what they share: the embedded database, the migrations, the addresses. Each worker is a full node
(``node/life``) in a folder of its own; the supervisor sends nothing and answers nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from smsgw.node.life import AlreadyRunning
from smsgw.node.watchdog import Watchdog
from smsgw.runtime import aio, private, worker_pool
from smsgw.runtime.config import Config, split_address
from smsgw.runtime.worker_pool import HeldLock, Place, Presence
from smsgw.store.engine import migrate
from smsgw.store.engine.embedded import EmbeddedPostgres

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.5, 30.0
"""Seconds before a worker that has died is replaced: its neighbours take what it has left first; and at most, when it
dies again and again."""
LIVED = 60.0
"""Seconds after which a death is one by itself."""
SILENT = 20.0
"""Seconds without a sign of life after which a worker is ended: its loop stands still, and its leases are over."""
LAST_WORDS = 3.0
"""Seconds for its stacks."""
BEGINS_WITHIN = 900.0
"""Seconds until the first sign of life of a process, which may have much to read: as long as systemd waits."""
STOP_PATIENCE, KILLED_PATIENCE = 60.0, 5.0
"""Seconds that a stop waits for the workers, and for those that it has killed then. The embedded database has 80 after
them (``TimeoutStopSec`` of the unit is more than the sum)."""
FORMER_PATIENCE = 80.0
"""Seconds that workers of an earlier supervisor have to end."""
FORMER_EVERY = 0.2
SIGNS = "signs.sock"
CONNECTIONS = 80
"""Of the embedded database, for each worker."""


@dataclass(slots=True)
class _Worker:
    """A worker, through all its lives."""

    place: Place
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """It has served once."""
    _alive_at: float = 0.0
    """Its last sign of life, on the loop's clock; 0: nothing is expected of it."""
    _ending: bool = False

    async def live(self, command: Sequence[str], environ: Mapping[str, str]) -> int:
        """Begin its process and wait for its end; the exit status, negative for a signal."""
        loop = asyncio.get_running_loop()
        try:
            with self._listening() as (folder, signs):
                loop.add_reader(signs, self._hear, signs)
                theirs = {"NOTIFY_SOCKET": f"/proc/self/fd/{folder}/{SIGNS}", "WATCHDOG_USEC": str(int(SILENT * 1e6))}
                self._alive_at = loop.time() + BEGINS_WITHIN - SILENT
                try:
                    self.process = await asyncio.create_subprocess_exec(
                        *command, env={**environ, **theirs}, stdin=asyncio.subprocess.PIPE, pass_fds=(folder,),
                        start_new_session=True,
                    )  # fmt: skip
                    if self._ending:
                        self.signal(signal.SIGTERM)
                    return await self.process.wait()
                finally:
                    self._alive_at = 0.0
                    loop.remove_reader(signs)
        except OSError as exc:  # no memory, no descriptor, no folder: it is tried again
            log.error("worker.not_begun", worker=self.place.name, error=str(exc))
            return 1

    @contextlib.contextmanager
    def _listening(self) -> Iterator[tuple[int, socket.socket]]:
        """Its open folder, and in that the socket for its signs of life: nobody but root and we can reach it there, and
        by way of the folder no path is too long."""
        self.place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.place.folder / SIGNS
        path.unlink(missing_ok=True)
        folder = os.open(self.place.folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as signs:
                signs.bind(f"/proc/self/fd/{folder}/{SIGNS}")
                yield folder, signs
        finally:
            os.close(folder)
            path.unlink(missing_ok=True)

    def _hear(self, signs: socket.socket) -> None:
        with contextlib.suppress(OSError):
            said = signs.recv(4096)
            # From the beginning of a stop on that one has limits of its own.
            self._alive_at = 0.0 if b"STOPPING=1" in said else asyncio.get_running_loop().time()
            if b"READY=1" in said:
                self.ready.set()

    def excuse(self, now: float) -> None:
        """It could not say anything: we did not hear."""
        if self._alive_at:
            self._alive_at = max(self._alive_at, now)

    def watch(self, now: float) -> None:
        """End it when its loop stands still."""
        if self._alive_at and now - self._alive_at > SILENT:
            log.error("worker.stalled", worker=self.place.name)
            self._alive_at = 0.0
            self.signal(signal.SIGABRT)
            asyncio.get_running_loop().call_later(LAST_WORDS, self._surely, self.process)

    def _surely(self, process: asyncio.subprocess.Process | None) -> None:
        """One that is stopped, or hangs in the kernel, does not hear of anything less."""
        if self.process is process:
            self.signal(signal.SIGKILL)

    def end(self) -> None:
        """Tell it to stop; a second time, to hurry."""
        self._ending = True
        self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """To its process, if there is one."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


class Supervisor:
    """Of one installation. ``run`` returns when all has stopped: the exit status."""

    def __init__(self, settings: Config, config_path: Path | None, surplus: Sequence[int]) -> None:
        """``surplus``: workers that are not wanted any more and have left something."""
        self._settings = settings
        self._config_path = config_path
        self._root = settings.node.data_dir
        self._of = settings.node.processes
        edge = settings.edge
        workers = [*range(1, self._of + 1), *([worker_pool.EDGE] if edge else []), *surplus]
        self._workers = [_Worker(Place(self._root, worker, self._of, crewed=True, edge=edge)) for worker in workers]
        self._lock = HeldLock(self._root / worker_pool.SUPERVISOR)
        self._watchdog = Watchdog()
        self._stopping = asyncio.Event()
        self._status = 0
        self._environment: dict[str, str] = {}
        self._reserved: list[socket.socket] = []
        self._postgres: EmbeddedPostgres | None = None

    async def run(self) -> int:
        """Until SIGTERM or SIGINT, or until a worker cannot start for the first time."""
        self._signals()
        private.close(self._root)
        (self._root / worker_pool.FOLDER).mkdir(mode=0o700, exist_ok=True)
        if owner := self._lock.take():
            raise AlreadyRunning(
                f"{self._root} is in use by another smsgw (pid {owner}); stop it or choose another data directory"
            )
        keeping: list[asyncio.Task[None]] = []
        watching = aio.spawn(self._watch(), name="workers.watch")
        try:
            await self._alone()
            self._environment = self._reserve() | await self._open_database()
            (self._root / worker_pool.METERS).unlink(missing_ok=True)  # of an earlier boot, perhaps
            first, *others = self._workers
            for some in ([first], others):  # the others have the files that the first one makes
                if not self._stopping.is_set():
                    keeping += [aio.spawn(self._keep(one), name=f"worker.{one.place.name}") for one in some]
                    for task in keeping[len(keeping) - len(some) :]:
                        task.add_done_callback(self._failed)
                    await self._begun(some)
            if not self._stopping.is_set():
                self._watchdog.notify("READY=1")
                log.info("supervisor.started", workers=self._of)
            alive = aio.spawn(self._watchdog.run(), name="watchdog")
            await self._stopping.wait()
            await aio.cancel(watching)
            await self._stop(keeping)
            await aio.cancel(alive)
        finally:
            self._stopping.set()
            await aio.cancel(watching)
            await self._end(keeping)
            if self._postgres is not None:
                await self._postgres.stop()
            for one in self._reserved:
                one.close()
            self._lock.give()
        log.info("supervisor.stopped")
        return self._status

    async def _alone(self) -> None:
        """Workers whose supervisor was killed end by themselves, and are waited for."""
        patience = asyncio.get_running_loop().time() + FORMER_PATIENCE
        folders = [
            self._root,
            worker_pool.folder_of(self._root, worker_pool.EDGE),
            *worker_pool.beyond(self._root, 1).values(),
        ]
        while any(worker_pool.presence(folder) is not Presence.ABSENT for folder in folders):
            if self._stopping.is_set() or asyncio.get_running_loop().time() > patience:
                raise AlreadyRunning(f"workers of an earlier smsgw still run in {self._root}: end them and start again")
            await asyncio.sleep(FORMER_EVERY)

    # --- what they share -----------------------------------------------------------------------------------------

    async def _open_database(self) -> dict[str, str]:
        """Bring it up and to this program's schema; where the workers find it."""
        settings = self._settings.database
        dsn, owner = settings.dsn, settings.owner_dsn or settings.dsn
        found = {}
        if not dsn:
            postgres = EmbeddedPostgres(self._root, connections=CONNECTIONS * len(self._workers))
            dsn = await postgres.start()
            self._postgres, owner = postgres, postgres.owner_dsn
            found = {"SMSGW_DATABASE_DSN": dsn, "SMSGW_DATABASE_OWNER_DSN": owner}
        await migrate.migrate(owner, application=dsn)
        return found

    def _reserve(self) -> dict[str, str]:
        """Have the addresses that all workers listen at, so that nobody else gets them while no worker lives; a port of
        0 is chosen here. Raises ``OSError`` when somebody has one."""
        settings = self._settings
        addresses = {
            "HTTP_LISTEN": settings.http.listen,
            "HTTP_TLS_LISTEN": settings.http.tls_listen,
            "ADMIN_LISTEN": settings.admin.listen,
            "PUBLIC_LISTEN": settings.public.listen,
            "PARTNERS_SMPP_LISTEN": settings.partners_smpp.listen,
            "PARTNERS_CMPP_LISTEN": settings.partners_cmpp.listen,
        }
        return {f"SMSGW_{name}": self._have(name, listen) for name, listen in addresses.items() if listen}

    def _have(self, name: str, listen: str) -> str:
        host, port = split_address(listen)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            if port:  # one that listens there already and shares it with others of this user would not be noticed
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((host, port))
            own = socket.socket(family, socket.SOCK_STREAM)
            self._reserved.append(own)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            own.bind((host, port))
        except OSError as exc:
            raise OSError(exc.errno, f"cannot listen on {listen} ({name.lower()}): {exc.strerror}") from exc
        return f"{listen.rpartition(':')[0]}:{own.getsockname()[1]}"

    # --- workers -------------------------------------------------------------------------------------------------

    async def _begun(self, workers: Sequence[_Worker]) -> None:
        """Until they serve, or a stop is asked for."""
        waits = [aio.spawn(_wait(one.ready), name="worker.ready") for one in workers if not one.place.surplus]
        if not waits:
            return
        stop = aio.spawn(_wait(self._stopping), name="supervisor.stop_asked")
        everyone = aio.spawn(_each(waits), name="workers.ready")
        await asyncio.wait((everyone, stop), return_when=asyncio.FIRST_COMPLETED)
        await aio.cancel(everyone, stop, *waits)

    async def _keep(self, worker: _Worker) -> None:
        """Have a worker for as long as nobody asks for a stop."""
        pauses = aio.Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            began = loop.time()
            status = await worker.live(self._command(worker.place), os.environ | self._environment)
            never_served = not worker.ready.is_set()
            if self._stopping.is_set():
                # Told to before it could listen; and one that is left over and cannot start has no part in our end.
                if status != -signal.SIGTERM and not (never_served and worker.place.surplus):
                    self._status = self._status or abs(status)
                return
            if worker.place.surplus and status == 0:
                log.info("worker.drained", worker=worker.place.name)
                return
            if never_served:  # a configuration that cannot be used, a database that cannot be reached
                log.critical("worker.not_started", worker=worker.place.name, status=status)
            if never_served and not worker.place.surplus:  # what is left over is no reason to end the rest
                self._status = abs(status) or 1
                self._stopping.set()
                return
            if loop.time() - began > LIVED:
                pauses.reset()
            pause = pauses.next(floor=0.5)
            log.error(
                "worker.died", worker=worker.place.name, status=status, lived=round(loop.time() - began, 1),
                replaced_in=round(pause, 1),
            )  # fmt: skip
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()

    def _failed(self, task: asyncio.Task[None]) -> None:
        """The keeping itself: without it nobody replaces anything."""
        if not task.cancelled() and task.exception() is not None:
            self._status = 1
            self._stopping.set()

    def _command(self, place: Place) -> list[str]:
        config = ["--config", str(self._config_path)] if self._config_path is not None else []
        which = ["--worker", str(place.worker), "--of", str(place.of)]
        if place.edge:
            which.append("--edge")
        return [sys.executable, "-m", "smsgw", *config, "run", "--attached", *which]

    async def _watch(self) -> None:
        """End workers whose loop stands still: their stacks are on standard error, and they are replaced."""
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(1.0)
            for worker in self._workers:
                if loop.time() - before > SILENT / 2:  # we stood still ourselves
                    worker.excuse(loop.time())
                worker.watch(loop.time())

    # --- the end -------------------------------------------------------------------------------------------------

    def _signals(self) -> None:
        loop = asyncio.get_running_loop()

        def stop() -> None:
            if self._stopping.is_set():  # the second one: hurry
                self._end_all()
            self._stopping.set()

        def reload() -> None:
            for worker in self._workers:
                worker.signal(signal.SIGHUP)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        # A terminal that is closed says the same, and means the end.
        loop.add_signal_handler(signal.SIGHUP, stop if sys.stdin.isatty() else reload)

    def _end_all(self) -> None:
        for worker in self._workers:
            worker.end()

    async def _stop(self, keeping: Sequence[asyncio.Task[None]]) -> None:
        self._watchdog.notify("STOPPING=1")
        self._end_all()
        if keeping:
            await asyncio.wait(keeping, timeout=STOP_PATIENCE)

    async def _end(self, keeping: Sequence[asyncio.Task[None]]) -> None:
        """Whoever is still there."""
        for worker in self._workers:
            process = worker.process
            if process is not None and process.returncode is None:
                log.error("worker.killed", worker=worker.place.name)
                worker.signal(signal.SIGKILL)
                self._status = self._status or 1
        if keeping:
            await asyncio.wait(keeping, timeout=KILLED_PATIENCE)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


async def _each(tasks: Sequence[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)


async def run(settings: Config, config_path: Path | None, surplus: Sequence[int]) -> int:
    """Run the workers until SIGTERM or SIGINT (a second signal hurries them); SIGHUP reloads all. The exit status."""
    return await Supervisor(settings, config_path, surplus).run()
