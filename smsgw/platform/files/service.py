"""The file store of a node: received within bounds, kept by content, removed when nothing means it any more.

Octets lie at ``ab/cd/SHA-256`` below the folder. They get there by a rename, once they are on the disk, and their row
is entered in a transaction behind that: what is entered is there, whenever the process dies. What was not entered is
found by the sweep.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, Temporary
from smsgw.core.words import phrase
from smsgw.pipeline.accept.disk import DiskGuard
from smsgw.platform.files import queries
from smsgw.platform.files.model import Elsewhere, FileKind, Incoming, StoredFile, plain_name
from smsgw.runtime import clock
from smsgw.runtime.shares import Shares
from smsgw.store.engine.database import Connection, Database

log = structlog.get_logger(__name__)

PART = ".part"
"""Ends the name of what is not complete."""
OWN_SHARE = 0.5
"""Of the room for files, what one owner may take."""
MAX_INCOMING = 64
"""Files that are received at the same time, …"""
OWN_INCOMING = 2
"""… and those of one owner among them."""
PATIENCE = 30.0
"""Seconds that a file waits until it may be sent."""
STEP = 1024 * 1024
"""Octets by which the room of a file grows that did not say how large it is."""
STRANGE_FOR = timedelta(hours=2)
"""Octets that have been unknown for so long will not be entered."""
BLOCK = 1024 * 1024
KNOWN_AT_ONCE = 500

Entering = Callable[[Connection, StoredFile], Awaitable[None]]


class FileStore:
    """The files of this node."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        node: int,
        ids: Callable[[], int],
        disk: DiskGuard,
        total_mb: int = 2048,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._database = database
        self.folder = folder.absolute()  # the processes that read work in another
        self._node = node
        self._ids = ids
        self._room = total_mb * 1024 * 1024
        self._disk = disk
        self._now = now
        self._slots = Shares(MAX_INCOMING, OWN_INCOMING, patience=PATIENCE)
        self._arriving: dict[int, Incoming] = {}

    # --- coming in -----------------------------------------------------------------------------------------------

    async def receive(
        self, kind: FileKind, account_id: int | None, size: int, name: str = "", *, person: ActorLabel | None = None
    ) -> Incoming:
        """Room for a file of at most ``size`` octets (0: not known), as soon as others of the owner's are done. End
        with ``keep`` or ``drop``. ``FILE_TOO_LARGE``, ``BACKPRESSURE``, ``STORAGE_UNAVAILABLE``."""
        if size > kind.most:
            raise Invalid("FILE_TOO_LARGE")
        self._disk.check()
        file_id = self._ids()
        incoming = Incoming(file_id, kind, self.folder / f"{file_id}{PART}", account_id, name=name, person=person)
        await self._slots.take(incoming.owner)
        self._arriving[incoming.id] = incoming
        try:
            await self._reserve(incoming, size)
            self.folder.mkdir(mode=0o700, exist_ok=True)
        except BaseException:
            self.drop(incoming)
            raise
        return incoming

    async def reserve(self, incoming: Incoming, size: int) -> None:
        """Keep room for ``size`` octets of it. ``STORAGE_UNAVAILABLE`` when there is none."""
        if size > incoming.room:
            await self._reserve(incoming, max(size, incoming.room + STEP))

    async def _reserve(self, incoming: Incoming, room: int) -> None:
        before, incoming.room = incoming.room, room
        try:
            self._disk.check()
            total, own = await queries.used(self._database, self._node, incoming.account_id)
            total += sum(one.room for one in self._arriving.values())
            own += sum(one.room for one in self._arriving.values() if one.account_id == incoming.account_id)
            if total > self._room or own > self._room * OWN_SHARE:
                raise Temporary("STORAGE_UNAVAILABLE", retry_after=3600, reason=phrase("file.room"))
        except BaseException:
            incoming.room = before
            raise

    def drop(self, incoming: Incoming) -> None:
        """It has not come to anything, or has been kept."""
        if self._arriving.pop(incoming.id, None) is not None:
            incoming.path.unlink(missing_ok=True)
            self._slots.give(incoming.owner)

    @staticmethod
    def check(incoming: Incoming) -> int:
        """The size of what has come. ``FILE_TOO_LARGE``."""
        size = incoming.path.stat().st_size
        if size > incoming.kind.most:
            raise Invalid("FILE_TOO_LARGE")
        return size

    async def keep(
        self, incoming: Incoming, media_type: str, submitter: ActorLabel, also: Entering | None = None
    ) -> StoredFile:
        """The file is complete, and of this type by its content: store and enter it, with what ``also`` writes in the
        same transaction. ``FILE_TOO_LARGE``."""
        try:
            self.check(incoming)
            size, sha256 = await asyncio.to_thread(_measure, incoming.path)
            file = StoredFile(
                incoming.id, self._node, incoming.kind.name, plain_name(incoming.name), media_type, size, sha256,
                incoming.account_id, submitter, self._now() + incoming.kind.kept,
            )  # fmt: skip
            await self._enter(file, incoming.path, also)
        finally:
            self.drop(incoming)
        return file

    async def adopt(self, file: StoredFile, path: Path) -> None:
        """Take over a complete file of an earlier release, which keeps its id; ``size`` and hash are the file's own."""
        size, sha256 = await asyncio.to_thread(_measure, path)
        made = StoredFile(
            file.id, self._node, file.kind, plain_name(file.name), file.media_type, size, sha256, file.account_id,
            file.submitter, file.expires_at,
        )  # fmt: skip
        await self._enter(made, path, None)
        await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _enter(self, file: StoredFile, path: Path, also: Entering | None) -> None:
        async with self._database.transaction(timeout=30) as connection:
            await queries.take_turn(connection, self._node, file.sha256)
            await asyncio.to_thread(_settle, path, self._content(file.sha256), self._now().timestamp())
            await queries.add(connection, file)
            if also is not None:
                await also(connection, file)

    # --- being there ---------------------------------------------------------------------------------------------

    async def path(self, file_id: int) -> Path | None:
        """Where the octets of a file lie; None when there is no such file (any more). Raises ``Elsewhere``."""
        file = await queries.get(self._database, file_id)
        if file is None:
            return None
        if file.node != self._node:
            raise Elsewhere(file.node)
        return self._content(file.sha256)

    def _content(self, sha256: bytes) -> Path:
        name = sha256.hex()
        return self.folder / name[:2] / name[2:4] / name

    # --- going away ----------------------------------------------------------------------------------------------

    async def sweep(self, kinds: Iterable[FileKind]) -> int:
        """Remove what is due and not held by its kind, and what nobody knows of; files that are gone."""
        now, after, gone = self._now(), 0, 0
        by_name = {kind.name: kind for kind in kinds}
        while files := await queries.due(self._database, self._node, now, after=after):
            after = files[-1].id
            held: set[int] = set()
            for kind in by_name.values():
                if kind.held is not None and (ids := [f.id for f in files if f.kind == kind.name]):
                    held |= await kind.held(ids)
            for file in files:
                if file.kind in by_name and file.id not in held:
                    await self._remove(file)
                    gone += 1
        if gone:
            log.info("files.removed", count=gone)
        await self._sweep_strangers()
        return gone

    async def _remove(self, file: StoredFile) -> None:
        async with self._database.transaction() as connection:
            await queries.take_turn(connection, self._node, file.sha256)
            if not await queries.remove(connection, file):
                self._content(file.sha256).unlink(missing_ok=True)

    async def _sweep_strangers(self) -> None:
        """What a killed process has left: parts, and octets that were never entered. Nobody else writes here."""
        before = (self._now() - STRANGE_FOR).timestamp()
        parts, old = await asyncio.to_thread(_look, self.folder, before)
        for path in parts:
            if path not in {one.path for one in self._arriving.values()}:
                path.unlink(missing_ok=True)
        for at in range(0, len(old), KNOWN_AT_ONCE):
            some = old[at : at + KNOWN_AT_ONCE]
            known = await queries.known(self._database, some)
            for sha256 in set(some) - known:
                async with self._database.transaction() as connection:
                    await queries.take_turn(connection, self._node, sha256)
                    if not await queries.known(connection, [sha256]):
                        self._content(sha256).unlink(missing_ok=True)


def _measure(path: Path) -> tuple[int, bytes]:
    """Size and SHA-256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        return file.tell(), digest


def _settle(source: Path, target: Path, now: float) -> None:
    """Give a file its name once its octets are on the disk; the same octets may have it already."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    source.chmod(0o600)
    with source.open("rb") as file:
        os.fsync(file.fileno())
    if source.suffix == PART:
        source.rename(target)
    elif not target.exists():  # it keeps its old name until its row is committed
        target.hardlink_to(source)
    os.utime(target, (now, now))  # its row comes now: the sweep lets it time
    for folder in (target.parent, target.parent.parent, target.parent.parent.parent):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _look(folder: Path, before: float) -> tuple[list[Path], list[bytes]]:
    """Parts, and hashes of octets that have been there since before that time."""
    parts: list[Path] = []
    old: list[bytes] = []
    if not folder.exists():
        return parts, old
    for path in _entries(folder):
        if path.suffix and path.stem.isdecimal():
            parts.append(path)
        elif len(path.name) == 2:
            for inner in _entries(path):
                old += [
                    bytes.fromhex(octets.name)
                    for octets in _entries(inner)
                    if len(octets.name) == 64 and octets.stat().st_mtime < before
                ]
    return parts, old


def _entries(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.iterdir())) if folder.is_dir() else iter(())
