"""The file store: received within bounds, kept, removed when nothing means it any more (docs/adr/093).

Octets lie at ``ab/cd/SHA-256`` below the node's folder, where they are read. Those of ``shared`` kinds are put into the
database in pieces first, and the file's row is entered behind them: what is entered is there, whichever node dies, and
a node that has not got them fetches a copy. What was not entered is found by the sweep.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, SmsgwError, Temporary
from smsgw.core.words import phrase
from smsgw.pipeline.accept.disk import DiskGuard
from smsgw.platform.files import queries
from smsgw.platform.files.model import Elsewhere, FileKind, Incoming, StoredFile, plain_name
from smsgw.runtime import aio, clock
from smsgw.runtime.fair_queue import FairQueue
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
PIECE = 256 * 1024
"""Octets of a file in a row of the database."""
REST = 1.0
"""Of the time that a piece has taken, between it and the next: what is accepted meanwhile has the database, too."""
OUTAGE = 20.0
"""Seconds for which a piece is tried again while the database is away, …"""
PUT_WITHIN = 3600.0
"""… and in which the last one is there: pieces of what will be entered are never ``STRANGE_FOR``."""
FETCHED_AT_ONCE = 2
FETCHED_WITHIN = 120.0
COPY_FOR = timedelta(days=1)
"""A copy that nobody has read for so long goes: it can be fetched again."""
KNOWN_AT_ONCE = 500

Entering = Callable[[Connection, StoredFile], Awaitable[None]]


class FileStore:
    """The files, as this node has them."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        node: int,
        ids: Callable[[], int],
        disk: DiskGuard,
        total_mb: int = 2048,
        alone: bool = True,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        """``alone``: no other process receives files into this folder."""
        self._database = database
        self._alone = alone
        self.folder = folder.absolute()  # the processes that read work in another
        self._node = node
        self._ids = ids
        self._room = total_mb * 1024 * 1024
        self._disk = disk
        self._now = now
        self._slots = FairQueue(MAX_INCOMING, OWN_INCOMING, patience=PATIENCE)
        self._arriving: dict[int, Incoming] = {}
        self._fetching: dict[int, asyncio.Task[Path | None]] = {}
        self._fetches = asyncio.Semaphore(FETCHED_AT_ONCE)
        self._copied = 0
        """Octets of copies, since the last sweep and as it has found them."""

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
            total += self._copied + sum(one.room for one in self._arriving.values())
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
        same transaction. ``FILE_TOO_LARGE``, ``STORAGE_UNAVAILABLE``."""
        try:
            self.check(incoming)
            size, sha256 = await asyncio.to_thread(_measure, incoming.path)
            file = StoredFile(
                incoming.id, self._node, incoming.kind.name, plain_name(incoming.name), media_type, size, sha256,
                incoming.account_id, submitter, self._now() + incoming.kind.kept,
            )  # fmt: skip
            try:
                if incoming.kind.shared:
                    file = replace(file, pieces=await self._put(file.id, incoming.path))
                await self._enter(file, incoming.path, also)
            except BaseException:
                if incoming.kind.shared:
                    await self._take_back(file)
                raise
        finally:
            self.drop(incoming)
        return file

    async def _take_back(self, file: StoredFile) -> None:
        """Its pieces, unless it has been entered although we were told otherwise."""
        with contextlib.suppress(SmsgwError):  # the sweep finds them
            async with self._database.transaction() as connection:
                await queries.take_turn(connection, self._node, file.sha256)  # whoever was entering it has ended
                entered = await queries.get(connection, file.id) is not None
            if not entered:
                await queries.drop_pieces(self._database, file.id)

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
            if file.pieces and await queries.pieces(connection, file.id) != file.pieces:
                raise Temporary("STORAGE_UNAVAILABLE", retry_after=60, reason=phrase("file.damaged"))
            if also is not None:
                await also(connection, file)

    async def _put(self, file_id: int, path: Path) -> int:
        """Put the octets into the database, no faster than it likes; in how many pieces (an empty file has an empty
        one). ``STORAGE_UNAVAILABLE``."""
        n, until = 0, time.monotonic() + PUT_WITHIN
        with path.open("rb") as source:
            while (octets := await asyncio.to_thread(source.read, PIECE)) or n == 0:
                if time.monotonic() > until:
                    raise Temporary("STORAGE_UNAVAILABLE", retry_after=3600)
                taken = await self._put_piece(file_id, n, octets)
                n += 1
                await asyncio.sleep(taken * REST)
        return n

    async def _put_piece(self, file_id: int, n: int, octets: bytes) -> float:
        """Put one of them, also over a short outage; how many seconds the database has taken."""
        backoff, until = aio.Backoff(0.5, 5.0), time.monotonic() + OUTAGE
        while True:
            begun = time.monotonic()
            try:
                await queries.put(self._database, file_id, n, octets)
            except Temporary:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(backoff.next())
            else:
                return time.monotonic() - begun

    # --- being there ---------------------------------------------------------------------------------------------

    async def path(self, file_id: int) -> Path | None:
        """Where the octets of a file lie on this node, which fetches what it has not got; None when there is no such
        file (any more). ``Elsewhere``, ``STORAGE_UNAVAILABLE``."""
        file = await queries.get(self._database, file_id)
        if file is None:
            return None
        self.at_hand(file)
        path = self._content(file.sha256)
        if await asyncio.to_thread(_read_at, path, self._now().timestamp()) or not file.pieces:
            return path
        task = self._fetching.get(file.id)
        if task is None:  # whoever else wants it meanwhile waits for the same
            task = aio.spawn(self._fetched(file, path), name=f"file.{file.id}")
            self._fetching[file.id] = task
            task.add_done_callback(lambda _: self._fetching.pop(file.id, None))
        return await asyncio.shield(task)

    def at_hand(self, file: StoredFile) -> None:
        """It can be read on this node. ``Elsewhere``."""
        if not file.pieces and file.node != self._node:
            raise Elsewhere(file.node)

    async def _fetched(self, file: StoredFile, path: Path) -> Path | None:
        """Its octets, brought here, a few files at a time; None: it has been removed meanwhile."""
        kind = FileKind(file.kind, file.size, COPY_FOR)
        id_ = self._ids()
        copy = self._arriving[id_] = Incoming(id_, kind, self.folder / f"{id_}{PART}", None)
        try:
            async with aio.timeout(FETCHED_WITHIN), self._fetches:
                if await asyncio.to_thread(_read_at, path, self._now().timestamp()):
                    return path  # the same octets of another file
                await self._reserve(copy, file.size)
                return path if await self._fetch(file, copy.path, path) else None
        except TimeoutError as exc:
            raise Temporary("STORAGE_UNAVAILABLE", retry_after=60) from exc
        finally:
            del self._arriving[id_]
            copy.path.unlink(missing_ok=True)

    async def _fetch(self, file: StoredFile, draft: Path, path: Path) -> bool:
        await asyncio.to_thread(self.folder.mkdir, mode=0o700, exist_ok=True)
        with draft.open("xb") as out:
            for n in range(file.pieces):
                octets = await queries.piece(self._database, file.id, n)
                if octets is None:
                    if await queries.get(self._database, file.id) is None:
                        return False
                    break
                await asyncio.to_thread(out.write, octets)
        if await asyncio.to_thread(_measure, draft) != (file.size, file.sha256):
            log.error("file.damaged", file=file.id)
            raise Temporary("STORAGE_UNAVAILABLE", retry_after=3600, reason=phrase("file.damaged"))
        await asyncio.to_thread(_settle, draft, path, self._now().timestamp())
        self._copied += file.size
        return True

    def _content(self, sha256: bytes) -> Path:
        name = sha256.hex()
        return self.folder / name[:2] / name[2:4] / name

    # --- going away ----------------------------------------------------------------------------------------------

    async def sweep(self, kinds: Iterable[FileKind]) -> int:
        """Remove what is due and not held by its kind, copies that nobody reads, and what nobody knows of; files that
        are gone. What an earlier release has left here alone is put into the database, where its kind is shared."""
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
                    with _each(file.id):
                        gone += await self._remove(file)
        if gone:
            log.info("files.removed", count=gone)
        await self._share([kind.name for kind in by_name.values() if kind.shared])
        await self._sweep_folder()
        await queries.drop_strange(self._database, self._now() - STRANGE_FOR)
        return gone

    async def _share(self, kinds: Sequence[str]) -> None:
        after = 0
        while files := await queries.here_alone(self._database, self._node, kinds, after=after):
            after = files[-1].id
            for file in files:
                path = self._content(file.sha256)
                if await asyncio.to_thread(path.exists):
                    with _each(file.id):  # what is there of one that failed is gone on with in the next round
                        await queries.shared(self._database, file.id, await self._put(file.id, path))

    async def _remove(self, file: StoredFile) -> bool:
        """The row first: what dies behind it leaves pieces that nobody means. Whether it was we who removed it, of all
        nodes that try."""
        async with self._database.transaction() as connection:
            await queries.take_turn(connection, self._node, file.sha256)
            ours = await queries.remove(connection, file.id)
            if not await queries.known(connection, [file.sha256]):
                self._content(file.sha256).unlink(missing_ok=True)
        if ours and file.pieces:
            await queries.drop_pieces(self._database, file.id)
        return ours

    async def _sweep_folder(self) -> None:
        """What a killed process has left: parts, and octets that were never entered; and copies that nobody has read
        for long. A part of another process that lives is younger."""
        now = self._now()
        strange, unread = (now - STRANGE_FOR).timestamp(), (now - COPY_FOR).timestamp()
        parts, octets = await asyncio.to_thread(_look, self.folder)
        for path in parts:
            if path in {one.path for one in self._arriving.values()}:
                continue
            if self._alone or _is_older(path, strange):
                path.unlink(missing_ok=True)
        copied = 0
        for at in range(0, len(octets), KNOWN_AT_ONCE):
            some = dict(octets[at : at + KNOWN_AT_ONCE])
            known = await queries.known(self._database, list(some))
            kept = await queries.known(self._database, list(some), but_copies_on=self._node)
            for sha256 in set(some) - kept:
                if _is_older(self._content(sha256), unread if sha256 in known else strange):
                    with _each(sha256.hex()):
                        await self._drop_octets(sha256, unread)
                elif sha256 in known:
                    copied += some[sha256]
        self._copied = copied

    async def _drop_octets(self, sha256: bytes, unread: float) -> None:
        async with self._database.transaction() as connection:
            await queries.take_turn(connection, self._node, sha256)
            path = self._content(sha256)
            if await queries.known(connection, [sha256]) and not _is_older(path, unread):
                return
            if not await queries.known(connection, [sha256], but_copies_on=self._node):
                path.unlink(missing_ok=True)


@contextlib.contextmanager
def _each(file: int | str) -> Iterator[None]:
    """What one file does not let be done keeps nobody from the next."""
    try:
        yield
    except (SmsgwError, OSError) as exc:
        log.warning("file.stays", file=file, error=str(exc))


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


def _is_older(path: Path, before: float) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime < before
    return False


def _read_at(path: Path, now: float) -> bool:
    """Whether it is there; if so, it has been read at that time."""
    try:
        os.utime(path, (now, now))
    except FileNotFoundError:
        return False
    return True


def _look(folder: Path) -> tuple[list[Path], list[tuple[bytes, int]]]:
    """Parts, and hashes of octets with how many they are."""
    parts: list[Path] = []
    found: list[tuple[bytes, int]] = []
    if not folder.exists():
        return parts, found
    for path in _entries(folder):
        if path.suffix and path.stem.isdecimal():
            parts.append(path)
        elif len(path.name) == 2:
            for inner in _entries(path):
                found += [
                    (bytes.fromhex(octets.name), octets.stat().st_size)
                    for octets in _entries(inner)
                    if len(octets.name) == 64
                ]
    return parts, found


def _entries(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.iterdir())) if folder.is_dir() else iter(())
