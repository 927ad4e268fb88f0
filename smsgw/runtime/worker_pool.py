"""The crew: the workers of one installation on one machine, each a node in a folder of its own.

Worker 1 has the paths that a single process has, so one can become several, and several one again. Who lives is told by
the kernel: each holds the lock of its folder for as long as its process exists.
"""

from __future__ import annotations

import enum
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from smsgw.runtime.config import Config, PartnerConfig, split_address

FOLDER = "workers"
EDGE = 0
"""In the place of a worker's number: the process that serves short links and nothing else (``Config.edge``). It is no
node: its clicks are those of the first worker's, which has none then."""
LOCK = "daemon.lock"
CONTROL = "control.sock"
SUPERVISOR = "supervisor.lock"
METERS = "workers.meters"
"""What accounts have sent, in memory of all workers; of one run of the supervisor."""
SERVES = "serving"
"""Second line of a lock: its process has started and serves."""
SPOOLED = ".spool"
"""Ends the names of files of what waits for the database."""
KEPT = ".kept"
"""The same of files with something that could not be entered."""
EDGE_POOL = 4
"""Connections of the edge to the database."""
LEAST = {"spool_mb": 16, "clicks_mb": 16, "bodies_mb": 32}
"""Of what the workers of a crew divide among themselves, MB."""


class Presence(enum.Enum):
    """Whether a worker's process exists."""

    ABSENT = "absent"
    STARTING = "starting"
    SERVING = "serving"


@dataclass(frozen=True, slots=True)
class Place:
    """Of one process among those of its installation."""

    root: Path
    """The data directory of the installation."""
    worker: int = 1
    of: int = 1
    """Workers that there are to be; one beyond them only brings to an end what it has left."""
    crewed: bool = False
    """A supervisor has begun it, and others beside it."""
    edge: bool = False
    """Short links are served by the edge, and not by it unless it is that."""

    @property
    def name(self) -> int | str:
        """What the log calls it."""
        return "edge" if self.worker == EDGE else self.worker

    @property
    def surplus(self) -> bool:
        """It is not wanted any more: it takes nothing, and ends when nothing of it is left."""
        return self.worker > self.of

    @property
    def folder(self) -> Path:
        """Its own."""
        return folder_of(self.root, self.worker)

    @property
    def siblings(self) -> list[int]:
        """The other ones that are wanted."""
        return [k for k in range(1, self.of + 1) if k != self.worker]

    @property
    def files(self) -> Path:
        """What people and customers have uploaded, and what was made for them: of all workers."""
        return self.root / "files"


def folder_of(root: Path, worker: int) -> Path:
    """The folder of a worker."""
    return root if worker == 1 else root / FOLDER / ("edge" if worker == EDGE else str(worker))


def settings_of(settings: Config, place: Place) -> Config:
    """What a worker goes by: its own folder and ports for itself, and a part of what there is for all."""
    if not place.crewed:
        return settings
    k, of = place.worker, place.of
    durability, http, public = settings.durability, settings.http, settings.public
    shared = replace(
        settings,
        durability=replace(durability, spool_mb=_part(durability.spool_mb, of, "spool_mb")),
        public=replace(public, clicks_mb=_part(public.clicks_mb, of, "clicks_mb")),
        http=replace(
            http,
            bodies_mb=_part(http.bodies_mb, of, "bodies_mb"),
            connections_per_address=-(-http.connections_per_address // of),
        ),
    )
    if k == 1:
        return shared
    silent = PartnerConfig()
    return replace(
        shared,
        public=replace(shared.public, listen="") if place.surplus else shared.public,
        partners_smpp=silent if place.surplus else shared.partners_smpp,
        partners_cmpp=silent if place.surplus else shared.partners_cmpp,
        node=replace(shared.node, data_dir=place.folder, number=0),
        security=replace(shared.security, key_file=str(settings.key_file)),
        audit=replace(shared.audit, anchor=""),
        ops=replace(shared.ops, listen=_next_port(shared.ops.listen, k - 1)),
    )


def settings_of_edge(settings: Config, place: Place) -> Config:
    """What the edge goes by: it asks the database for little, and its metrics have the port behind the workers'."""
    return replace(
        settings,
        database=replace(settings.database, pool=EDGE_POOL),
        ops=replace(settings.ops, listen=_next_port(settings.ops.listen, place.of)),
    )


def _part(whole: int, of: int, name: str) -> int:
    return max(LEAST[name], whole // of)


def _next_port(listen: str, n: int) -> str:
    _, port = split_address(listen)
    return f"{listen.rpartition(':')[0]}:{port + n if port else 0}"


def ports_of_ops(settings: Config, place: Place) -> frozenset[int]:
    """Where the workers serve their metrics, by the settings of one of them."""
    _, port = split_address(settings.ops.listen)
    first = port - place.worker + 1
    return frozenset(range(first, first + place.of + place.edge) if port else ())


def left_over(root: Path, of: int) -> list[int]:
    """Workers beyond ``of`` that have not ended in order, or with something that is not in the database yet."""
    return sorted(worker for worker, folder in beyond(root, of).items() if _left(folder))


def beyond(root: Path, of: int) -> dict[int, Path]:
    """Folders of workers beyond ``of`` that there once were."""
    folders = {int(folder.name): folder for folder in (root / FOLDER).glob("*") if folder.name.isdecimal()}
    return {worker: folder for worker, folder in folders.items() if worker > of}


def ended_in_order(folder: Path) -> bool:
    """Whether the last process of a worker has said so: its journal is of no use to anybody."""
    lock = folder / LOCK
    return not (lock.exists() and lock.stat().st_size)


def _left(folder: Path) -> bool:
    if not ended_in_order(folder):
        return True
    return any(any((folder / kept).glob(f"*{SPOOLED}")) for kept in ("spool", "clicks"))


def kept(folder: Path) -> list[Path]:
    """Files of a worker with calls that could not be entered: a person has to look at them."""
    return sorted((folder / "spool").glob(f"*{KEPT}"))


def presence(folder: Path) -> Presence:
    """Whether the process of a worker exists, and serves."""
    try:
        with (folder / LOCK).open("r", encoding="ascii") as lock:
            if _shared(lock):
                return Presence.ABSENT
            return Presence.SERVING if SERVES in lock.read() else Presence.STARTING
    except OSError:
        return Presence.ABSENT


def _shared(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def kept_away(folder: Path) -> Iterator[bool]:
    """While this lasts no process begins in the folder of a worker that is absent; False: one is there."""
    try:
        lock = (folder / LOCK).open("r", encoding="ascii")
    except OSError:
        yield False
        return
    with lock:
        yield _shared(lock)


def serving(root: Path) -> list[Path]:
    """Folders of the processes of an installation that serve, the first worker's first."""
    others = [folder for _, folder in sorted(beyond(root, 1).items())]
    return [folder for folder in (root, *others) if presence(folder) is Presence.SERVING]


class HeldLock:
    """The lock of a folder, held by this process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def take(self) -> str | None:
        """None when it is ours; else who has it."""
        file = self._path.open("a+", encoding="ascii")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.readline().strip() or "unknown"
            file.close()
            return owner
        self._file = file
        self.say(str(os.getpid()))
        return None

    def say(self, *lines: str) -> None:
        """What others read in it; nothing: it has ended in order."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate(0)
            self._file.write("".join(f"{line}\n" for line in lines))
            self._file.flush()

    def give(self) -> None:
        """Give it back; what it says stays."""
        if self._file is not None:
            self._file.close()
            self._file = None
