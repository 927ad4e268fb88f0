"""Files that customers upload: kept in the data directory for some days, within bounds."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from smsgw.core.errors import Invalid, Refused, Temporary
from smsgw.core.ids import IdSource, first_id
from smsgw.pipeline.accept.disk import DiskGuard
from smsgw.platform.campaigns.worker import Job
from smsgw.platform.campaigns.workers import Workers
from smsgw.runtime import clock
from smsgw.runtime.shares import Shares
from smsgw.store import uploads as store
from smsgw.store.engine.database import Database
from smsgw.store.uploads import Upload

log = structlog.get_logger(__name__)

PART = ".part"
"""Ends the name of what is not complete."""
MAX_SIZE = 200 * 1024 * 1024
OWN_SHARE = 0.5
"""Of the room for files, what one account may take."""
MAX_INCOMING = 64
"""Files that are received at the same time, …"""
OWN_INCOMING = 2
"""… and those of one account among them."""
PATIENCE = 30.0
"""Seconds that a file waits until it may be sent."""
STEP = 1024 * 1024
"""Octets by which the room of a file grows that did not say how large it is."""
STRANGE_FOR = timedelta(hours=2)
"""A whole file that has been unknown for so long will not be entered."""
KNOWN_FOR = timedelta(days=180)


@dataclass(slots=True)
class Incoming:
    """A file on its way in; ``path`` is written by whoever receives it."""

    id: int
    path: Path
    account_id: int
    room: int = 0
    """Octets that are kept free for it."""
    name: str = ""
    """As its sender calls it."""


class Files:
    """The files of this node."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        *,
        node: int,
        ids: IdSource,
        disk: DiskGuard,
        total_mb: int = 2048,
        keep_days: int = 7,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._database = database
        self._folder = folder.absolute()  # the processes that read work in another
        self._node = node
        self._ids = ids
        self._room = total_mb * 1024 * 1024
        self._keep = timedelta(days=keep_days)
        self._disk = disk
        self._now = now
        self._workers = Workers()
        self._slots = Shares(MAX_INCOMING, OWN_INCOMING, patience=PATIENCE)
        self._arriving: dict[int, Incoming] = {}

    def path(self, upload_id: int) -> Path:
        """Where the octets of a file of this node lie."""
        return self._folder / str(upload_id)

    async def receive(self, account_id: int, size: int, name: str = "") -> Incoming:
        """Room for a file of at most ``size`` octets (0: not known), as soon as others of the account's are done. End
        with ``keep`` or ``drop``. ``FILE_TOO_LARGE``, ``BACKPRESSURE``, ``STORAGE_UNAVAILABLE``."""
        if size > MAX_SIZE:
            raise Invalid("FILE_TOO_LARGE")
        self._disk.check()
        await self._slots.take(account_id)
        upload_id = self._ids.next()
        incoming = Incoming(upload_id, self._folder / f"{upload_id}{PART}", account_id, name=name)
        self._arriving[incoming.id] = incoming
        try:
            await self._reserve(incoming, size)
            self._folder.mkdir(mode=0o700, exist_ok=True)
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
            total, own = await store.used(self._database, self._node, incoming.account_id)
            total += sum(one.room for one in self._arriving.values())
            own += sum(one.room for one in self._arriving.values() if one.account_id == incoming.account_id)
            if total > self._room or own > self._room * OWN_SHARE:
                raise Temporary(
                    "STORAGE_UNAVAILABLE", retry_after=3600,
                    reason="上传文件的空间已满,请等待旧文件过期或联系管理员",
                )  # fmt: skip
        except BaseException:
            incoming.room = before
            raise

    def drop(self, incoming: Incoming) -> None:
        """It has not come to anything."""
        if self._arriving.pop(incoming.id, None) is not None:
            incoming.path.unlink(missing_ok=True)
            self._slots.give(incoming.account_id)

    async def keep(self, incoming: Incoming, submitter: str) -> Upload:
        """The file is complete: look at it and enter it. ``FILE_INVALID`` says why it cannot be used."""
        try:
            size = incoming.path.stat().st_size
            if size > MAX_SIZE:
                raise Invalid("FILE_TOO_LARGE")
            result = await self._workers.run(incoming.account_id, Job(inspect=str(incoming.path)))
            preview = result.preview
            assert preview is not None  # noqa: S101 - what an inspection gives
            upload = Upload(
                id=incoming.id,
                account_id=incoming.account_id,
                node=self._node,
                name=_plain(incoming.name),
                size=size,
                form=msgspec.to_builtins(preview.form),
                columns=preview.columns,
                phone_column=preview.phone,
                first_rows=[list(row) for row in preview.first],
                rows=preview.rows,
                submitter=submitter,
                expires_at=self._now() + self._keep,
            )
            await asyncio.to_thread(_settle, incoming.path, self.path(upload.id))
            try:
                await store.add(self._database, upload)
            except BaseException:
                self.path(upload.id).unlink(missing_ok=True)
                raise
        finally:
            self.drop(incoming)
        log.info("file.kept", file=upload.id, account=upload.account_id, rows=upload.rows, size=size)
        return upload

    async def get(self, upload_id: int, *, accounts: Sequence[int] | None) -> Upload:
        """A file that the accounts may use. ``NOT_FOUND`` when there is none (any more)."""
        found = await store.get(self._database, upload_id, accounts=accounts, now=self._now())
        if found is None:
            raise Refused("NOT_FOUND")
        return found

    async def sweep(self) -> None:
        """Remove what is due, and what nobody knows of."""
        now = self._now()
        due = await store.due(self._database, self._node, now)
        for upload_id in due:
            self.path(upload_id).unlink(missing_ok=True)
        if due:
            await store.remove(self._database, due)
            log.info("files.removed", count=len(due))
        await store.forget(self._database, now - KNOWN_FOR)
        await self._sweep_strangers(now)

    async def _sweep_strangers(self, now: datetime) -> None:
        """What a killed process has left: parts, and files that were never entered."""
        if not self._folder.exists():
            return
        before = first_id(now - STRANGE_FOR)
        old: dict[int, Path] = {}
        for path in self._folder.iterdir():
            stem, part, _ = path.name.partition(".")
            if not stem.isdecimal():
                continue
            if part and int(stem) not in self._arriving:  # nobody else writes here: the data directory is ours
                path.unlink(missing_ok=True)
            elif not part and int(stem) < before:
                old[int(stem)] = path
        if old:
            known = await store.known(self._database, list(old))
            for upload_id in old.keys() - known:
                old[upload_id].unlink(missing_ok=True)


def _settle(source: Path, target: Path) -> None:
    """Give the file its name once its octets are on the disk."""
    with source.open("rb") as file:
        os.fsync(file.fileno())
    source.rename(target)


def _plain(name: str) -> str:
    """The last part of a name, as it can be shown."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in last if c.isprintable())[:128] or "file"
