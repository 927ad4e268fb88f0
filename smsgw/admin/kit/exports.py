"""Exports of lists as a durable job: the list's own rows, in its own scope, written into a file a page at a time."""

from __future__ import annotations

import csv
import io
import os
import re
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

import xlsxwriter
from xlsxwriter.utility import xl_col_to_name

from smsgw.admin.i18n import teller
from smsgw.admin.kit import cells, discovery, tables
from smsgw.admin.kit.bulk import Bulk, Sink
from smsgw.admin.kit.cells import CellValue
from smsgw.admin.kit.copied_file import CopiedFile, copied_file, no_room
from smsgw.admin.kit.lists import ListPage
from smsgw.admin.kit.table_exports import TableExport
from smsgw.admin.words import kit as words
from smsgw.admin.words.brand import PRODUCT
from smsgw.core.actor import Actor
from smsgw.core.cells import harmless
from smsgw.core.errors import Refused
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.exports.model import A_FILE, ARCHIVE, FILES, MEDIA_TYPES, MOST_COPIED, MOST_ROWS, NAME, Format
from smsgw.platform.exports.service import seen
from smsgw.platform.files.model import Incoming, StoredFile
from smsgw.platform.files.service import FileStore
from smsgw.platform.handles import Database
from smsgw.platform.jobs.model import Job
from smsgw.platform.jobs.runner import JobContext, JobKind
from smsgw.platform.org import queries as people
from smsgw.platform.paging import Window
from smsgw.runtime import aio

MOST_NAMED = 30
"""Characters of the platform in the name of a file."""
_UNFIT = re.compile(r"[\s/\\:*?\"<>|.]+")
"""What some system does not have in the name of a file."""
AT_ONCE = 500
"""Rows of one read."""
PIECE = 64 * 1024
"""Octets of a copy that are handed over in one go: some two hundred rows."""
GIVEN = 4 * 1024**2
"""Octets of a file after which the disk is given them."""
SHEET = "xl/worksheets/sheet1.xml"
"""Where a workbook has its first sheet."""
MOST_OF_SHEET = 2**31 - 2**20
"""Octets of its rows before they are compressed: what is longer needs a kind of archive that not everybody reads."""
PATIENCE = 1800.0
LONGEST_CELL = 32_767
"""Characters; spreadsheets have no room for more."""
A4 = 9
"""As spreadsheets number sizes of paper."""
ROWS_OF_SHEET = 1_048_570
"""Beside the names of columns and the last lines."""
EXACT = 10**15
"""Spreadsheets keep 15 digits of a number; a longer one, as an id, is text."""


class Writer(Protocol):
    """Writes rows into a file."""

    def rows(self, rows: Sequence[Sequence[CellValue]]) -> None:
        """Some rows more."""

    def raw(self, rows: Sequence[Sequence[str]]) -> None:
        """Many rows more, of texts that no spreadsheet takes for formulas."""

    def end(self, mark: Sequence[str]) -> None:
        """The last lines: the watermark."""


class _Csv:
    def __init__(self, path: Path, head: Sequence[str], mark: str, title: str, figures: Sequence[bool] = ()) -> None:
        del mark, title, figures  # it stands at the end: the first line has the names of the columns
        self._file = path.open("w", encoding="utf-8-sig", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow(harmless(cell) for cell in head)
        self._given = _Given(self._file.fileno())

    def rows(self, rows: Sequence[Sequence[CellValue]]) -> None:
        self._csv.writerows([harmless(cell) for cell in row] for row in rows)
        self._given.so_far()

    def raw(self, rows: Sequence[Sequence[str]]) -> None:
        self._csv.writerows(rows)
        self._given.so_far()

    def end(self, mark: Sequence[str]) -> None:
        self._csv.writerows([harmless(line)] for line in mark)

    def close(self) -> None:
        self._file.close()


class _Given:
    """What of a file the disk has been given. A long file is given to it piece by piece: all at once, at its end, it
    would be in the way of who waits for a commit."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._at = 0

    def so_far(self) -> None:
        size = os.fstat(self._fd).st_size
        if size - self._at >= GIVEN:
            os.posix_fadvise(self._fd, self._at, size - self._at, os.POSIX_FADV_DONTNEED)
            self._at = size


class _Xlsx:
    """A workbook of one sheet, of which the library makes all but the rows: those are compressed as they come, and do
    not stand in a file of twenty times the size first."""

    def __init__(self, path: Path, head: Sequence[str], mark: str, title: str, figures: Sequence[bool] = ()) -> None:
        frame = _framed(head, mark, title)
        before, self._after = frame.read(SHEET).split(b"</sheetData>")
        self._file = path.open("wb")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=3)
        for name in frame.namelist():
            if name != SHEET:
                self._zip.writestr(name, frame.read(name))
        self._sheet = self._zip.open(SHEET, "w")
        self._sheet.write(_DIMENSION.sub(b"", before))
        self._at, self._size = 1, 0
        self._row = _row_of(figures or [False] * len(head))
        self._given = _Given(self._file.fileno())

    def rows(self, rows: Sequence[Sequence[CellValue]]) -> None:
        self._write([_typed_row(n, row) for n, row in enumerate(rows, self._at + 1)])

    def raw(self, rows: Sequence[Sequence[str]]) -> None:
        self._write([self._row(n, _written("\0".join(row)).split("\0")) for n, row in enumerate(rows, self._at + 1)])

    def _write(self, rows: Sequence[str]) -> None:
        octets = "".join(rows).encode()
        self._size += len(octets)
        if self._size > MOST_OF_SHEET:
            raise no_room()
        self._sheet.write(octets)
        self._at += len(rows)
        self._given.so_far()

    def end(self, mark: Sequence[str]) -> None:
        self.rows([[line] for line in mark])

    def close(self) -> None:
        with self._file, self._zip, self._sheet:
            self._sheet.write(b"</sheetData>" + self._after)


def _framed(head: Sequence[str], mark: str, title: str) -> zipfile.ZipFile:
    """The workbook with its first row."""
    made = io.BytesIO()
    book = xlsxwriter.Workbook(made, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    sheet = book.add_worksheet()
    bold = book.add_format({"bold": True})
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    book.set_properties({"title": title, "comments": mark})
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)
    sheet.set_header(f"&L&B{title.replace('&', ' ')[:200]}")
    sheet.set_footer(f"&L{mark.replace('&', ' ')[:200]}&R&P/&N")
    for at, cell in enumerate(head):
        sheet.set_column(at, at, 18)
        sheet.write_string(0, at, str(harmless(cell)), bold)
    book.close()
    return zipfile.ZipFile(made)


_UNWRITTEN = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML has no way to write; NUL is in no text of a database."""
_DIMENSION = re.compile(rb'<dimension ref="[^"]*"/>')
"""How many rows there are is not known when it is written, and it may be left out."""
_NUMBER = "><v>%s</v></c>"
_TEXT = ' t="inlineStr"><is><t xml:space="preserve">%s</t></is></c>'


def _written(text: str) -> str:
    """Text, or several, as XML has it."""
    if "&" in text or "<" in text or ">" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _UNWRITTEN.sub("", text)


def _typed_row(n: int, row: Sequence[CellValue]) -> str:
    """The XML of a row of texts and numbers."""
    made = [f'<row r="{n}">']
    for at, cell in enumerate(row):
        figure = not isinstance(cell, str) and abs(float(cell)) < EXACT
        value = f"{float(cell):.16g}" if figure else _written(str(harmless(cell)).replace("\0", "")[:LONGEST_CELL])
        made.append(f'<c r="{xl_col_to_name(at)}{n}"' + (_NUMBER if figure else _TEXT) % value)
    return "".join([*made, "</row>"])


def _row_of(figures: Sequence[bool]) -> Callable[[int, Sequence[str]], str]:
    """Makes the XML of a row from its number and its cells; of which columns the cells are numbers."""
    cells_ = [f'<c r="{xl_col_to_name(at)}%s"' + (_NUMBER if figure else _TEXT) for at, figure in enumerate(figures)]
    row, width = '<row r="%s">' + "".join(cells_) + "</row>", len(figures)

    def made(n: int, cells: Sequence[str]) -> str:
        at = str(n)
        values = [at] * (2 * width + 1)
        values[2::2] = cells
        return row % tuple(values)

    return made


_Opened = Callable[[Path, Sequence[str], str, str, Sequence[bool]], _Csv | _Xlsx]
_WRITERS: dict[Format, _Opened] = {Format.CSV: _Csv, Format.XLSX: _Xlsx}


def opened(
    format_: Format, path: Path, head: Sequence[str], mark: str, title: str, figures: Sequence[bool] = ()
) -> _Csv | _Xlsx:
    """A file of a format with these names of columns, to be closed. ``mark``: the watermark; ``title``: of every sheet,
    where the format has room for it; ``figures``: which columns are of numbers, for ``raw``."""
    return _WRITERS[format_](path, head, mark, title, figures)


@asynccontextmanager
async def writing(
    format_: Format, path: Path, head: Sequence[str], mark: str, title: str = ""
) -> AsyncIterator[Writer]:
    """The same, for rows that come a few at a time; closed in any case."""
    async with aio.opened(opened, format_, path, head, mark, title) as writer:
        yield writer


SMALL = 10_000
"""Rows of a file that somebody waits for: a second of a processor, at the priority of everything else."""


def page_of(name: str) -> ListPage | TableExport:
    """The list, or the table, of a name. ``NOT_FOUND``: of an earlier program."""
    for module in discovery.modules():
        for value in vars(module).values():
            if isinstance(value, ListPage | TableExport) and value.name == name:
                return value
    raise Refused("NOT_FOUND")


class Exporter:
    """Makes the files of exports on one node."""

    def __init__(self, database: Database, store: FileStore) -> None:
        self._database = database
        self._store = store

    def kind(self) -> JobKind:
        """The kind of its jobs. One that is cut off begins anew: a file is whole or not there."""
        return JobKind(NAME, self._run, per_owner=1, at_once=1, patience=PATIENCE)

    async def _run(self, context: JobContext) -> None:
        job = context.job
        actor, name = await self._who(job)
        page = page_of(job.params["list"])
        incoming = await self._store.receive(FILES, None, 0, _file_name(page, job), person=job.submitter)
        try:
            making: _Making | _MakingTable | _Copying
            if isinstance(page, TableExport):
                making = _MakingTable(self._database, page, actor, name, context)
            else:
                made = _Making(self._database, self._store, page, actor, name, context)
                making = _Copying.of(made) or made
            await making.write(incoming)
            await self._store.keep(incoming, making.media, job.submitter, making.entered)
        finally:
            self._store.drop(incoming)

    async def _who(self, job: Job) -> tuple[Actor, str]:
        """Whoever has asked for it, with the rights of now. ``PERMISSION_DENIED``."""
        person = await people.person(self._database, job.submitter)
        permission = Permission(job.params["permission"])
        if person is None:
            raise Refused("PERMISSION_DENIED", permission=permission.value)
        actor = person.actor()
        actor.require(permission)
        return actor, person.name


class _Making:
    """One export on its way."""

    def __init__(
        self, database: Database, store: FileStore, page: ListPage, actor: Actor, name: str, context: JobContext
    ) -> None:
        params, job = context.job.params, context.job
        self._database, self._store, self._page, self._actor, self._context = database, store, page, actor, context
        actor.require(page.permission)
        self.format = Format(params["format"])
        self._say = teller(params["language"])
        self._found = page.filter.read(params["query"], job.created_at, _Anything.of(page))
        there = tables.fitting(tables.allowed(page.columns, actor.permissions), self._found)
        columns = {column.key: column for column in there}
        self._columns = [columns[key] for key in params["columns"] if key in columns]
        self._sort = tables.read_sort(params["query"].get("sort", ""), page.columns, page.sort)
        self._title, self._mark = _marks(self._say, page, job, actor, name)
        self._done = 0

    @property
    def media(self) -> str:
        """Of the file."""
        return MEDIA_TYPES[self.format]

    async def write(self, incoming: Incoming) -> None:
        """The file, page by page, up to the limit."""
        total, more = await self._total(), False
        head = [cells.heading(column, self._say) for column in self._columns]
        async with writing(self.format, incoming.path, head, self._mark, self._title) as writer:
            async for rows, further in self._pages():
                await aio.in_thread(writer.rows, rows)
                self._done, more = self._done + len(rows), further
                await self._reserve(incoming)
                await self._context.progress(self._done, max(total, self._done))
            await aio.in_thread(writer.rows, await self._totals())
            cut = [self._say(words.CUT_OFF) % {"n": f"{MOST_ROWS:,}"}] if more else []
            await aio.in_thread(writer.end, [*cut, self._mark])
        await self._reserve(incoming)

    async def _reserve(self, incoming: Incoming) -> None:
        if incoming.path.exists():  # a spreadsheet is put together at its end
            await self._store.reserve(incoming, incoming.path.stat().st_size)

    async def _pages(self) -> AsyncIterator[tuple[Sequence[Sequence[CellValue]], bool]]:
        window = Window(self._sort.key, self._sort.descending, limit=AT_ONCE)
        while True:
            got = await self._page.rows(self._database, self._actor, self._found, window)
            rows = [[cells.plain(column, row, self._say) for column in self._columns] for row in got.rows]
            full = self._done + len(rows) >= MOST_ROWS
            yield rows[: MOST_ROWS - self._done], got.more
            if not got.more or full:
                return
            window = Window(self._sort.key, self._sort.descending, got.keys[-1], limit=AT_ONCE)

    async def _totals(self) -> list[list[CellValue]]:
        """The last row of a report: numbers under their columns. None where they have no sum."""
        if self._page.report is None:
            return []
        row = await self._page.report.totals(self._database, self._actor, self._found)
        if row is None:
            return []
        cut = [cells.plain(c, row, self._say) if c.right else "" for c in self._columns[1:]]
        return [[self._say(words.TOTAL), *cut]]

    async def _total(self) -> int:
        if self._page.sums is not None:
            return int((await self._page.sums(self._database, self._actor, self._found, MOST_ROWS))[0])
        if self._page.count is None:
            return 0
        return await self._page.count(self._database, self._actor, self._found, MOST_ROWS)

    async def entered(self, connection: Any, file: StoredFile) -> None:
        """In the transaction that enters the file: the job knows it."""
        rights = {self._page.permission, *(c.permission for c in self._columns if c.permission is not None)}
        made = {"file": file.id, "size": file.size, "until": file.expires_at.isoformat(), **seen(self._actor, rights)}
        await self._context.progress(self._done, self._done, checkpoint=made, connection=connection)


class _Pieces:
    """Gathers what comes in small pieces."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._have: list[bytes] = []
        self._size = 0

    async def take(self, octets: bytes) -> None:
        self._have.append(octets)
        self._size += len(octets)
        if self._size >= PIECE:
            await self.end()

    async def end(self) -> None:
        whole, self._have, self._size = b"".join(self._have), [], 0
        await self._sink(whole)


class _Copying:
    """One export of a list that the server copies, day by day."""

    def __init__(self, making: _Making, bulk: Bulk) -> None:
        self._of, self._bulk = making, bulk
        self.format = making.format
        self.media = MEDIA_TYPES[making.format]

    @classmethod
    def of(cls, making: _Making) -> _Copying | None:
        """None: the list, or a column of it, has to be read page by page."""
        bulk = making._page.bulk
        keys = {column.key for column in making._columns}
        return cls(making, bulk) if bulk is not None and keys and keys <= bulk.fields else None

    async def write(self, incoming: Incoming) -> None:
        """One file, or with too many rows for one an archive of files by days."""
        of = self._of
        days, total, left = list[date](), 0, 0
        for day, n in reversed(await self._bulk.days(of._database, of._actor, of._found)):  # the newest are kept
            left += n if total + n > MOST_COPIED else 0
            if not left:
                days, total = [*days, day], total + n
        if not of._sort.descending:
            days.reverse()
        cut = [of._say(words.CUT_OFF) % {"n": f"{total:,}"}] if left else []
        if total <= A_FILE:
            await self._file(incoming, incoming.path, days, total, cut)
            return
        self.media = ARCHIVE
        incoming.name = f"{incoming.name.rpartition('.')[0]}.zip"
        with zipfile.ZipFile(incoming.path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for day in days:
                one = incoming.path.with_suffix(f".{self.format.value}")
                try:
                    await self._file(incoming, one, [day], total, cut)
                    await aio.in_thread(archive.write, one, f"{day:%Y%m%d}.{self.format.value}")
                finally:
                    one.unlink(missing_ok=True)

    async def _file(self, incoming: Incoming, path: Path, days: Sequence[date], total: int, cut: Sequence[str]) -> None:
        of, written, params = self._of, 0, self._of._context.job.params
        head = tuple(cells.heading(column, of._say) for column in of._columns)
        keys = [column.key for column in of._columns]
        wanted = CopiedFile(
            of._page.name, tuple(keys), params["language"], self.format, str(path), head, of._mark, of._title
        )
        async with copied_file(wanted, small=total <= SMALL) as process:

            async def sink(octets: bytes) -> None:
                nonlocal written
                written += (n := await process.take(octets))
                if written > ROWS_OF_SHEET and self.format is Format.XLSX:
                    raise no_room()
                of._done += n
                await of._context.progress(of._done, total)

            for day in days:
                pieces = _Pieces(sink)
                await self._bulk.copy(
                    of._database, of._actor, of._found, day, keys, pieces.take, descending=of._sort.descending
                )
                await pieces.end()
                await of._reserve(incoming)
            await process.end([*cut, of._mark])
        await of._reserve(incoming)

    async def entered(self, connection: Any, file: StoredFile) -> None:
        """As of any list."""
        await self._of.entered(connection, file)


class _MakingTable:
    """A table on its way: small enough to be made at once."""

    def __init__(self, database: Database, table: TableExport, actor: Actor, name: str, context: JobContext) -> None:
        params = context.job.params
        self._database, self._table, self._actor, self._context = database, table, actor, context
        actor.require(table.permission)
        self.format = Format(params["format"])
        self._say = teller(params["language"])
        self._title, self._mark = _marks(self._say, table, context.job, actor, name)
        self._done = 0

    @property
    def media(self) -> str:
        """Of the file."""
        return MEDIA_TYPES[self.format]

    async def write(self, incoming: Incoming) -> None:
        """The file."""
        head, rows = await self._table.make(self._database, self._actor, self._say)
        async with writing(self.format, incoming.path, head, self._mark, self._title) as writer:
            await aio.in_thread(writer.rows, rows)
            await aio.in_thread(writer.end, [self._mark])
        self._done = len(rows)

    async def entered(self, connection: Any, file: StoredFile) -> None:
        """As of a list."""
        made = {"file": file.id, "size": file.size, "until": file.expires_at.isoformat(),
                **seen(self._actor, {self._table.permission})}  # fmt: skip
        await self._context.progress(self._done, self._done, checkpoint=made, connection=connection)


def _marks(
    say: Callable[[str], str], page: ListPage | TableExport, job: Job, actor: Actor, name: str
) -> tuple[str, str]:
    """Title and watermark of a file."""
    platform = job.params.get("platform") or say(PRODUCT)
    told = {"platform": platform, "who": f"{name} ({actor.label})", "when": _shown(job.created_at)}
    return f"{platform} · {say(page.label)}", say(words.WATERMARK) % {**told, "why": job.params["reason"]}


class _Anything(dict[str, str]):
    """Choices that were looked at when the export was asked for: any value is one."""

    def __contains__(self, _: object) -> bool:
        return True

    @classmethod
    def of(cls, page: ListPage) -> Mapping[str, Mapping[str, str]]:
        return {} if page.choices is None else {one.key: cls() for one in page.filter.fields if not one.choices}


def _file_name(page: ListPage | TableExport, job: Job) -> str:
    at = job.created_at.astimezone(CHINA)
    say = teller(job.params["language"])
    platform = (job.params.get("platform") or say(PRODUCT)).partition(" · ")[0]
    about = _UNFIT.sub("-", f"{platform[:MOST_NAMED]}-{say(page.label)}")
    return f"{about}-{at:%Y%m%d-%H%M%S}-{_UNFIT.sub('-', job.submitter)}.{job.params['format']}"


def _shown(at: datetime) -> str:
    return f"{at.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
