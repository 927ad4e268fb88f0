"""Files of recipients that customers upload: looked at when they have come, and kept for some days."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import structlog

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Refused
from smsgw.platform.campaigns import uploads
from smsgw.platform.campaigns.uploads import Upload
from smsgw.platform.campaigns.worker import Job
from smsgw.platform.campaigns.workers import Workers
from smsgw.platform.files.model import FileKind, Incoming, StoredFile
from smsgw.platform.files.service import FileStore
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database

log = structlog.get_logger(__name__)

MAX_SIZE = 200 * 1024 * 1024
KNOWN_FOR = timedelta(days=180)
MEDIA_TYPES = {"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
"""Of the forms that are no text."""


class Files:
    """The files of recipients of this node."""

    def __init__(
        self,
        database: Database,
        store: FileStore,
        *,
        node: int,
        keep_days: int = 7,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self.store = store
        self._database = database
        self._node = node
        self._now = now
        self._workers = Workers()
        self.kind = FileKind("recipients", MAX_SIZE, timedelta(days=keep_days), self._held)

    async def _held(self, ids: Sequence[int]) -> set[int]:
        return await uploads.importing(self._database, ids)

    async def path(self, upload_id: int) -> Path | None:
        """Where the octets of a file of this node lie; None: they are gone."""
        path = await self.store.path(upload_id) or self._before(upload_id)
        return path if path.exists() else None

    def _before(self, upload_id: int) -> Path:
        """Where an earlier release has put it."""
        return self.store.folder / str(upload_id)

    async def receive(self, account_id: int, size: int, name: str = "") -> Incoming:
        """Room for a file (``FileStore.receive``)."""
        return await self.store.receive(self.kind, account_id, size, name)

    async def keep(self, incoming: Incoming, submitter: ActorLabel) -> Upload:
        """The file is complete: look at it and enter it. ``FILE_INVALID`` says why it cannot be used."""
        made: list[Upload] = []
        account_id = incoming.account_id or 0
        try:
            self.store.check(incoming)
            result = await self._workers.run(account_id, Job(inspect=str(incoming.path)))
            assert result.preview is not None  # noqa: S101 - what an inspection gives
            preview = result.preview

            async def enter(connection: Connection, file: StoredFile) -> None:
                upload = Upload(
                    id=file.id,
                    account_id=account_id,
                    node=file.node,
                    name=file.name,
                    size=file.size,
                    form=msgspec.to_builtins(preview.form),
                    columns=preview.columns,
                    phone_column=preview.phone,
                    first_rows=[list(row) for row in preview.first],
                    rows=preview.rows,
                    submitter=submitter,
                    expires_at=file.expires_at,
                )
                await uploads.add(connection, upload)
                made.append(upload)

            media_type = MEDIA_TYPES.get(preview.form.kind, "text/csv")
            await self.store.keep(incoming, media_type, submitter, enter)
        finally:
            self.store.drop(incoming)
        upload = made[-1]
        log.info("file.kept", file=upload.id, account=upload.account_id, rows=upload.rows, size=upload.size)
        return upload

    async def get(self, upload_id: int, *, accounts: Sequence[int] | None) -> Upload:
        """A file that the accounts may use. ``NOT_FOUND`` when there is none (any more)."""
        found = await uploads.get(self._database, upload_id, accounts=accounts, now=self._now())
        if found is None:
            raise Refused("NOT_FOUND")
        return found

    async def sweep(self) -> None:
        """Take over what an earlier release has left, remove what is due, and what nobody knows of."""
        await self._adopt()
        await self.store.sweep((self.kind,))
        now = self._now()
        await uploads.note_removed(self._database, self._node, now)
        await uploads.forget(self._database, now - KNOWN_FOR)

    async def _adopt(self) -> None:
        after = 0
        while left := await uploads.without_file(self._database, self._node, after=after):
            after = left[-1].id
            for upload in left:
                path = self._before(upload.id)
                if not path.exists():
                    continue
                file = StoredFile(
                    upload.id, self._node, self.kind.name, upload.name,
                    MEDIA_TYPES.get(upload.form.get("kind", ""), "text/csv"), upload.size, b"", upload.account_id,
                    upload.submitter, upload.expires_at,
                )  # fmt: skip
                await self.store.adopt(file, path)
                log.info("file.adopted", file=upload.id)
        for path in await asyncio.to_thread(_of_before, self.store.folder):
            if not await uploads.known(self._database, int(path.name)):
                path.unlink(missing_ok=True)


def _of_before(folder: Path) -> list[Path]:
    """What an earlier release has left and may have entered nowhere: it was killed meanwhile."""
    if not folder.exists():
        return []
    return [path for path in folder.iterdir() if path.name.isdecimal() and path.is_file()]
