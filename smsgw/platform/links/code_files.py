"""Codes of personal links as files (短链生成任务): a durable job makes one, of codes alone or of numbers with a code
each. The link has its codes at once; the file only writes them down, and can be made again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, Refused, Temporary
from smsgw.core.link_targets import origin_of
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.core.words.columns import CODES, CODES_OF_NUMBERS
from smsgw.platform.change import Change
from smsgw.platform.files.model import StoredFile
from smsgw.platform.files.service import FileStore
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import Job, NewJob
from smsgw.platform.jobs.runner import JobContext, JobKind
from smsgw.platform.links import queries, service
from smsgw.platform.links.code_writer import CodeFile, Piece, Written
from smsgw.platform.links.model import FILES, MOST_CODES, LinkKind, NewLink, ShortLink
from smsgw.platform.listing import Listing, of_accounts
from smsgw.platform.paging import Order
from smsgw.platform.sheets import queries as sheet_queries
from smsgw.platform.sheets.model import Sheet
from smsgw.platform.sheets.service import Sheets
from smsgw.runtime import programs
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.secrets import Sealer

NAME = "link.codes"
PURPOSE = NAME
"""Of tables of numbers that are brought for it."""
MOST_ROWS = MOST_CODES
LASTS = timedelta(hours=6)
PATIENCE = 1800.0
PIECE = 5000
"""Codes that are written at a time."""
ANSWER = 60.0
"""Seconds for them, …"""
GIVES_WAY = 0.5
"""… in which the process runs only where no other wants to, unless it never finds a free processor."""
REST = 1.0
"""Of the time that they have taken but for that, between them and the next: sending goes first."""
MEDIA_TYPE = "text/csv"


@dataclass(frozen=True, slots=True)
class CodeTask:
    """A file that was asked for, and how far it is."""

    id: int
    """Of its job."""
    link_id: Annotated[int, "l.id"]
    name: Annotated[str, "l.name"]
    account: Annotated[str, "a.name"]
    codes: Annotated[int, "l.codes - COALESCE((j.params->>'first')::int, 0)"]
    numbered: Annotated[bool, "j.params ? 'sheet'"]
    submitter: ActorLabel
    state: str
    done: int
    total: int
    created_at: datetime
    ended_at: datetime | None
    told: Annotated[Mapping[str, Any], "j.checkpoint"]
    """Of its end: ``file``, ``size``, ``until``, ``rows``, ``invalid``, ``repeated``."""

    @property
    def file_id(self) -> int:
        """0: there is none, or none yet."""
        return int(self.told.get("file", 0)) if self.state == "done" else 0


@dataclass(frozen=True, slots=True)
class CodeTaskFilter:
    """Which files are looked for."""

    name: Annotated[str, "strpos(lower(l.name), lower({value})) > 0"] = ""
    """A part of the link's."""
    account: Annotated[int | None, "l.account_id = {value}"] = None
    state: Annotated[str, "j.state = {value}"] = ""
    """Of the job."""
    link: Annotated[int | None, "l.id = {value}"] = None


def _task(row: Row) -> CodeTask:
    values = {key: value for key, value in row.items() if key != "_key"}
    return CodeTask(**values | {"told": json.loads(row["told"])})


CODE_TASKS = Listing(
    CodeTask,
    CodeTaskFilter,
    "job j JOIN short_link l ON l.id = (j.params->>'link')::bigint JOIN account a ON a.id = l.account_id",
    seen=f"j.kind = '{NAME}' AND {of_accounts('l.account_id')}",
    orders={"created_at": Order("j.id", "bigint")},
    make=_task,
)


# What is in a file is somebody's: no message is given one of these codes any more, and none that one has is in a file.
_GIVEN = """
UPDATE short_link SET filed = COALESCE(filed, used), used = codes
WHERE id = $1 AND (filed IS NOT NULL OR used < codes) RETURNING filed
"""


async def begin(
    change: Change, sealer: Sealer, wanted: NewLink, domains: Sequence[str], *, now: datetime, node: int,
    sheet: Sheet | None = None, column: int = 0,
) -> tuple[ShortLink, int]:  # fmt: skip
    """Make a personal link, with as many codes as are wanted or as a table has rows, and have them written into a file
    on that node, or on the table's; the link and the job. Raises as ``service.make``."""
    wanted = replace(wanted, kind=LinkKind.PERSONAL, codes=wanted.codes if sheet is None else sheet.rows)
    async with change.unit(Permission.LINK_EDIT, wanted.account_id) as unit:
        link = await service.make(change, sealer, wanted, domains, now=now)
        given = {} if sheet is None else {"sheet": sheet.id, "column": column}
        job, _ = await _enter(unit.connection, change, link, node if sheet is None else sheet.node, given)
        unit.record("short_link.codes", f"short_link/{link.id}", after={"codes": link.codes, "numbers": bool(given)})
        return link, job


async def again(change: Change, link: ShortLink, *, node: int) -> int:
    """Have the codes of a link that were given to nobody, or were in its file before, written into a file; the job.
    ``LINK_CODES_USED_UP`` when there are none; ``STATE_CONFLICT`` while one is made, and for a link that has one
    code."""
    if link.kind is not LinkKind.PERSONAL:
        raise Refused("STATE_CONFLICT", reason=service.SHARED)
    async with change.unit(Permission.LINK_EDIT, link.account_id) as unit:
        job, first = await _enter(unit.connection, change, link, node, {})
        after = {"codes": link.codes - first, "numbers": False}
        unit.record("short_link.codes", f"short_link/{link.id}", after=after)
        return job


async def _enter(
    connection: Connection, change: Change, link: ShortLink, node: int, given: Mapping[str, int]
) -> tuple[int, int]:
    """The job, and how many codes its file leaves out."""
    first = await connection.fetchval(_GIVEN, link.id)
    if first is None:
        raise Refused("LINK_CODES_USED_UP", id=str(link.id), left=0, need=1)
    wanted = NewJob(
        NAME, {"link": link.id, "first": first, **given}, change.actor.label, subject=f"link/{link.id}",
        account_id=link.account_id, node=node, lasts=LASTS,
    )  # fmt: skip
    job = await jobs.add(connection, wanted)
    if job is None:
        raise Refused("STATE_CONFLICT", reason=phrase("import.under_way"))
    return job, first


# --- the job ---------------------------------------------------------------------------------------------------------


class CodeFiles:
    """Writes them on one node."""

    def __init__(self, database: Database, store: FileStore, sheets: Sheets, sealer: Sealer) -> None:
        self._database = database
        self._store = store
        self._sheets = sheets
        self._sealer = sealer

    def kind(self) -> JobKind:
        """The kind of its jobs. One that is cut off begins anew: a file is whole or not there."""
        return JobKind(NAME, self._run, per_owner=1, at_once=1, patience=PATIENCE)

    async def _run(self, context: JobContext) -> None:
        job = context.job
        link = await queries.one(self._database, int(job.params["link"]), accounts=None)
        key = await queries.code_key(self._database, self._sealer)
        if key is None or link.serial is None:
            raise Refused("NOT_FOUND")
        sheet = await self._sheet(job)
        incoming = await self._store.receive(FILES, None, 0, f"short-links-{link.id}.csv", person=job.submitter)
        head = CODES_OF_NUMBERS if sheet else CODES
        first = int(job.params.get("first", 0))
        total, told = link.codes - first, Written(0)
        wanted = CodeFile(
            str(incoming.path), key.hex(), link.serial + first, total, f"{origin_of(link.domain)}/", head,
            sheet is not None, first,
        )  # fmt: skip
        try:
            async with _writing(wanted) as process:
                async for piece in self._pieces(total, sheet, int(job.params.get("column", 0))):
                    said = await process.write(piece)
                    told = Written(told.rows + said.rows, told.invalid + said.invalid, told.repeated + said.repeated)
                    await self._store.reserve(incoming, incoming.path.stat().st_size)
                    await context.progress(min(told.rows + told.invalid + told.repeated, total), total)
            counts = msgspec.to_builtins(told)

            async def entered(connection: Connection, file: StoredFile) -> None:
                made = {"file": file.id, "size": file.size, "until": file.expires_at.isoformat(), **counts}
                await context.progress(told.rows, told.rows, checkpoint=made, connection=connection)

            await self._store.keep(incoming, MEDIA_TYPE, job.submitter, entered)
        finally:
            self._store.drop(incoming)

    async def _sheet(self, job: Job) -> Sheet | None:
        if "sheet" not in job.params:
            return None
        sheet = await sheet_queries.get(self._database, int(job.params["sheet"]), PURPOSE, job.submitter)
        if sheet is None:
            raise Invalid("FILE_INVALID", reason=phrase("file.gone"))
        return sheet

    async def _pieces(self, codes: int, sheet: Sheet | None, column: int) -> AsyncIterator[Piece]:
        if sheet is None:
            for begin in range(0, codes, PIECE):
                yield Piece(min(PIECE, codes - begin), last=begin + PIECE >= codes)
            return
        async with contextlib.aclosing(self._sheets.pages(sheet, (column,))) as pages:
            async for page in pages:
                for begin in range(0, len(page), PIECE):
                    yield Piece(numbers=tuple(cells[0] for _, cells in page[begin : begin + PIECE]))
        yield Piece(last=True)


class _Process:
    """The process, from the outside."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        self._in, self._out = process.stdin, process.stdout
        self._way = programs.GivingWay(process, seconds=GIVES_WAY, rest=REST)

    async def write(self, piece: Piece) -> Written:
        """What it has come to. ``BACKPRESSURE`` when it breaks: the job begins anew."""
        try:
            async with asyncio.timeout(ANSWER):
                said = await self._way.answer(self._said(msgspec.json.encode(piece) + b"\n"))
                written = msgspec.json.decode(said, type=Written)
        except (TimeoutError, ConnectionError, msgspec.DecodeError) as exc:
            raise Temporary("BACKPRESSURE", retry_after=60, n=60) from exc
        await self._way.rest()
        return written

    async def _said(self, octets: bytes) -> bytes:
        self._in.write(octets)
        await self._in.drain()
        return await self._out.readline()


@asynccontextmanager
async def _writing(job: CodeFile) -> AsyncIterator[_Process]:
    """A process that writes this file; ended in any case. The key goes over its standard input, where nobody looks."""
    process = await programs.begin("smsgw.platform.links.code_writer", niceness=programs.MODEST)
    try:
        assert process.stdin is not None  # noqa: S101
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        yield _Process(process)
    finally:
        await programs.end(process)
