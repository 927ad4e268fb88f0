"""Uploaded tables: kept by the file store, and read by a process of their own, which reaches no database."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Refused
from smsgw.core.words import phrase
from smsgw.platform.campaigns.files import MEDIA_TYPES
from smsgw.platform.campaigns.sheets import Form
from smsgw.platform.campaigns.worker import Job, ReadJob, StreamJob
from smsgw.platform.campaigns.workers import Workers, bad_file
from smsgw.platform.content import proofs as documents
from smsgw.platform.diagnostics.service import FILES as BUNDLES
from smsgw.platform.exports.model import FILES as EXPORTS
from smsgw.platform.files.model import Incoming, StoredFile
from smsgw.platform.files.service import FileStore
from smsgw.platform.links.model import FILES as CODES
from smsgw.platform.lists import proofs, undoing
from smsgw.platform.materials import service as materials
from smsgw.platform.sheets import queries
from smsgw.platform.sheets.model import FILES, MOST_CELL, MOST_COLUMNS, MOST_KEPT, MOST_ROWS, Sheet
from smsgw.platform.url_filings import proofs as filed
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database


class Sheets:
    """The tables of this node."""

    def __init__(self, database: Database, store: FileStore) -> None:
        self.store = store
        self._database = database
        self._workers = Workers()

    async def receive(self, size: int, name: str, submitter: ActorLabel) -> Incoming:
        """Room for a person's table (``FileStore.receive``). ``FILE_INVALID``: too many of the person's are kept."""
        if await queries.kept(self._database, submitter) >= MOST_KEPT:
            raise bad_file(phrase("file.kept", most=MOST_KEPT))
        return await self.store.receive(FILES, None, size, name, person=submitter)

    async def keep(self, incoming: Incoming, purpose: str, submitter: ActorLabel, *, most: int = MOST_ROWS) -> Sheet:
        """The table is complete: look at it and enter it. ``FILE_INVALID`` says why it cannot be used, as that it has
        no rows, or more than ``most``."""
        made: list[Sheet] = []
        try:
            self.store.check(incoming)
            preview = (await self._workers.run(submitter, Job(inspect=str(incoming.path)))).preview
            assert preview is not None  # noqa: S101 - what an inspection gives
            if not preview.rows:
                raise bad_file(phrase("file.no_rows"))
            if preview.rows > most:
                raise bad_file(phrase("file.rows", most=most))
            if len(preview.columns) > MOST_COLUMNS:
                raise bad_file(phrase("file.wide", most=MOST_COLUMNS))
            first = [[cell[:MOST_CELL] for cell in row] for row in preview.first]

            async def enter(connection: Connection, file: StoredFile) -> None:
                sheet = Sheet(
                    file.id, file.node, purpose, file.name, msgspec.to_builtins(preview.form), preview.columns, first,
                    preview.rows, submitter, file.expires_at,
                )  # fmt: skip
                await queries.add(connection, sheet)
                made.append(sheet)

            media_type = MEDIA_TYPES.get(preview.form.kind, "text/csv")
            await self.store.keep(incoming, media_type, submitter, enter)
        finally:
            self.store.drop(incoming)
        return made[-1]

    async def get(self, id_: int, purpose: str, submitter: ActorLabel) -> Sheet:
        """One's own table. ``NOT_FOUND``."""
        sheet = await queries.get(self._database, id_, purpose, submitter)
        if sheet is None:
            raise Refused("NOT_FOUND")
        return sheet

    async def rows(self, sheet: Sheet, columns: Sequence[int]) -> list[tuple[int, list[str]]]:
        """The rows, each with its line and the cells of these columns. ``FILE_INVALID`` when the file is gone."""
        return await self.read(sheet.id, sheet.form, columns, sheet.submitter)

    async def pages(
        self, sheet: Sheet, columns: Sequence[int], *, after: int = 0
    ) -> AsyncGenerator[list[tuple[int, list[str]]], None]:
        """The same behind a line, page by page, however many there are. To be closed (``contextlib.aclosing``)."""
        path = await self.store.path(sheet.id)
        if path is None:
            raise bad_file(phrase("file.gone"))
        job = StreamJob(str(path), msgspec.convert(sheet.form, Form), list(columns), after, MOST_CELL)
        async with contextlib.aclosing(self._workers.pages(sheet.submitter, job)) as pages:
            async for page in pages:
                yield page

    async def read(
        self, file_id: int, form: Mapping[str, Any], columns: Sequence[int], owner: ActorLabel
    ) -> list[tuple[int, list[str]]]:
        """The same of any stored table, read in that way. ``FILE_INVALID``, too, when it has too many rows."""
        path = await self.store.path(file_id)
        if path is None:
            raise bad_file(phrase("file.gone"))
        wanted = ReadJob(str(path), msgspec.convert(form, Form), list(columns), MOST_ROWS, MOST_CELL)
        return (await self._workers.run(owner, Job(read=wanted))).rows

    async def sweep(self) -> None:
        """Remove files of tables, exports, bundles and proofs whose time is over, and what is known of such tables."""
        proving = (proofs, documents.DOCUMENTS, filed.DOCUMENTS, undoing, materials)
        kinds = [FILES, EXPORTS, CODES, BUNDLES, *(one.kind(self._database) for one in proving)]
        await self.store.sweep(kinds)
        await queries.forget(self._database, clock.now())
