"""Reading tables that customers bring: CSV in any of the usual spellings, and XLSX. Made for hostile files.

Runs in a process of its own (``worker``) under limits of memory and time: what a spreadsheet unpacks to cannot be
known before it is unpacked.
"""

from __future__ import annotations

import codecs
import csv
import re
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from smsgw.core import numbers
from smsgw.core.cells import plain
from smsgw.core.words import Phrase, columns, phrase

MAX_ROWS = 2_000_000
MAX_COLUMNS = 256
MAX_CELL = 2000
"""Characters of a cell; a text has 1,000."""
MAX_UNPACKED = 1024**3
"""Octets of all that is inside an XLSX, …"""
MAX_STRINGS = 256 * 1024**2
"""… of its table of texts, which is read into memory as a whole, …"""
MAX_OTHER = 16 * 1024**2
"""… and of each of the other tables that are: styles, names of sheets, relations."""
MAX_RATIO = 200
"""Times that a large part may be larger unpacked: tables of many rows come to 15, a bomb to 1000."""
LARGE = 16 * 1024**2
MAX_ENTRIES = 2000
"""Files inside an XLSX."""
LOOK_AT = 50
"""Rows from which header, delimiter and the column with the numbers are guessed."""
_PHONE_NAMES = re.compile(columns.PHONE, re.IGNORECASE)
_BEST_PHONE_NAMES = re.compile(columns.BEST_PHONE, re.IGNORECASE)

Row = tuple[int, list[str]]
"""The line as the customer's program numbers it, and the cells."""


class BadFile(ValueError):
    """The file cannot be used; the reason says what to do."""

    def __init__(self, reason: Phrase) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is to be read, found out once."""

    kind: str
    """``csv`` or ``xlsx``."""
    encoding: str = ""
    delimiter: str = ""
    sheet: str = ""
    header: bool = True


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file looks like."""

    form: Form
    columns: tuple[str, ...]
    phone: int | None
    """The column that seems to hold the numbers."""
    first: tuple[tuple[str, ...], ...]
    """The first rows below the header."""
    rows: int
    """Without the header and without empty rows."""


def letter(index: int) -> str:
    """The name of a column without one, as spreadsheets count them: A, B, …, Z, AA."""
    name = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        name = chr(65 + rest) + name
    return name


def inspect_octets(octets: bytes) -> Preview:
    """As ``inspect``, for a file that is in memory."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(octets)
        file.flush()
        return inspect(Path(file.name))


def inspect(path: Path) -> Preview:
    """Find out how the file is to be read and read it through. Raises ``BadFile``."""
    with path.open("rb") as file:
        head = file.read(8)
    if not head:
        raise BadFile(phrase("file.empty"))
    if head.startswith(b"PK"):
        form = Form("xlsx", sheet=_sheet(path))
    elif head.startswith(b"\xd0\xcf\x11\xe0"):
        raise BadFile(phrase("file.xls"))
    else:
        encoding = _encoding(path, head)
        form = Form("csv", encoding, _delimiter(path, encoding))
    start: list[list[str]] = []
    rows = 0
    for _, cells in _all_rows(path, form):
        if len(start) <= LOOK_AT:
            start.append(cells)
        rows += 1
    if not rows:
        raise BadFile(phrase("file.no_rows"))
    header = not any(_is_number(cell) for cell in start[0])
    body = start[1:] if header else start
    width = max(len(row) for row in start)
    columns = _names(start[0] if header else [], width)
    form = Form(form.kind, form.encoding, form.delimiter, form.sheet, header)
    first = tuple(tuple(row + [""] * (width - len(row))) for row in body[:10])
    return Preview(form, columns, _phone(columns, body), first, rows - header)


def read(path: Path, form: Form) -> Iterator[Row]:
    """The rows below the header; empty ones are left out. Raises ``BadFile``."""
    rows = _all_rows(path, form)
    if form.header:
        next(rows, None)
    yield from rows


def _all_rows(path: Path, form: Form) -> Iterator[Row]:
    source = _csv_rows(path, form) if form.kind == "csv" else _xlsx_rows(path, form)
    count = 0
    for line, cells in source:
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        count += 1
        if count > MAX_ROWS + 1:
            raise BadFile(phrase("file.rows", most=MAX_ROWS))
        if len(cells) > MAX_COLUMNS:
            raise BadFile(phrase("file.columns", line=line, most=MAX_COLUMNS))
        yield line, cells


# --- CSV -------------------------------------------------------------------------------------------------------------


def _encoding(path: Path, head: bytes) -> str:
    """UTF-8 with or without a mark, UTF-16 with one, or GBK (as GB 18030, its superset)."""
    if head.startswith(codecs.BOM_UTF8):
        candidates = ["utf-8-sig"]
    elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        candidates = ["utf-16"]
    else:
        candidates = ["utf-8", "gb18030"]
    for name in candidates:
        decoder = codecs.getincrementaldecoder(name)()
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    if "\0" in decoder.decode(block):
                        raise BadFile(phrase("file.no_text"))
                decoder.decode(b"", final=True)
            return name
        except UnicodeError:
            continue
    raise BadFile(phrase("file.encoding"))


def _delimiter(path: Path, encoding: str) -> str:
    """The character that divides the first lines into the same number of columns, most of them."""
    with path.open(encoding=encoding, newline="") as file:
        sample = file.read(64 * 1024).splitlines()[:LOOK_AT]
    best, most = ",", (0.0, 0)
    for candidate in (",", "\t", ";", "|"):
        try:
            widths = Counter(len(row) for row in csv.reader(sample, delimiter=candidate) if row)
        except csv.Error:
            continue
        wide = [(n, width) for width, n in widths.items() if width > 1]
        if wide:
            n, width = max(wide)
            if (n / widths.total(), width) > most:
                best, most = candidate, (n / widths.total(), width)
    return best


def _csv_rows(path: Path, form: Form) -> Iterator[Row]:
    csv.field_size_limit(MAX_CELL * 4)
    with path.open(encoding=form.encoding, newline="") as file:
        reader = csv.reader(_lines(file), delimiter=form.delimiter)
        line = 1
        while True:
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as exc:
                raise BadFile(phrase("file.line", line=line)) from exc
            yield line, [plain(cell.strip()).strip()[:MAX_CELL] for cell in cells]
            line = reader.line_num + 1


def _lines(file: Any) -> Iterator[str]:
    """Lines of bounded length: one without an end must not be read into memory as a whole."""
    limit = MAX_COLUMNS * MAX_CELL
    while text := file.readline(limit):
        if len(text) >= limit:
            raise BadFile(phrase("file.long_line"))
        yield text


# --- XLSX ------------------------------------------------------------------------------------------------------------


def _sheet(path: Path) -> str:
    """The first visible sheet, after a look at how much there is to unpack."""
    from python_calamine import CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

    _weigh(path)
    try:
        book = CalamineWorkbook.from_path(str(path))
        names = [
            m.name
            for m in book.sheets_metadata
            if m.typ == SheetTypeEnum.WorkSheet and m.visible == SheetVisibleEnum.Visible
        ]
    except Exception as exc:  # whatever a broken file makes the library say
        raise BadFile(phrase("file.no_xlsx")) from exc
    if not names:
        raise BadFile(phrase("file.no_sheet"))
    return names[0]


def _weigh(path: Path) -> None:
    """Hold what the file unpacks to against the limits: by its directory, and then by unpacking, as that may lie."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES or sum(e.file_size for e in entries) > MAX_UNPACKED:
                raise _too_large()
            if any(e.file_size > max(LARGE, MAX_RATIO * e.compress_size) for e in entries):
                raise _too_large()
            if any(e.flag_bits & 1 for e in entries):
                raise BadFile(phrase("file.encrypted"))
            for entry in entries:
                name = entry.filename.lower()
                if not name.endswith((".xml", ".rels")):  # nothing else is read
                    continue
                most = MAX_UNPACKED if "/worksheets/" in name else MAX_OTHER
                if entry.file_size > (MAX_STRINGS if name.endswith("/sharedstrings.xml") else most):
                    raise _too_large()
                claimed, entry.file_size = (entry.file_size, entry.file_size + 1)  # so that one octet more is seen
                with archive.open(entry) as unpacked:
                    size = sum(map(len, iter(lambda: unpacked.read(1 << 20), b"")))
                if size != claimed:
                    raise zipfile.BadZipFile("sizes differ")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as exc:
        if isinstance(exc, BadFile):
            raise
        raise BadFile(phrase("file.no_xlsx")) from exc


def _too_large() -> BadFile:
    return BadFile(phrase("file.unpacked"))


def _xlsx_rows(path: Path, form: Form) -> Iterator[Row]:
    from python_calamine import CalamineWorkbook

    try:
        sheet = CalamineWorkbook.from_path(str(path)).get_sheet_by_name(form.sheet)
        left = [""] * (sheet.start[1] if sheet.start else 0)  # rows come from the first on, columns do not
        rows = sheet.iter_rows()
    except Exception as exc:  # whatever a broken file makes the library say
        raise BadFile(phrase("file.sheet")) from exc
    if sheet.total_width > MAX_COLUMNS + 1:
        raise BadFile(phrase("file.wide", most=MAX_COLUMNS))
    for line, row in enumerate(rows, 1):
        yield line, left + [_text(cell) for cell in row]


def _text(cell: Any) -> str:
    if type(cell) is str:
        # A workbook can spell NUL, for which the database has no place.
        return plain(cell.replace("\0", "").strip()).strip()[:MAX_CELL]
    if type(cell) is float:
        # Excel keeps numbers as floats; 11 digits of a phone number are exact.
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e16 else repr(cell)
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, datetime):
        if (cell.hour, cell.minute, cell.second, cell.microsecond) == (0, 0, 0, 0):
            return cell.date().isoformat()
        return cell.isoformat(" ", "seconds" if cell.second else "minutes")
    if isinstance(cell, date | time):
        return cell.isoformat()
    return str(cell)[:MAX_CELL]


# --- guesses ---------------------------------------------------------------------------------------------------------


def _is_number(text: str) -> bool:
    try:
        numbers.normalize(text)
    except numbers.InvalidNumber:
        return False
    return True


def _names(header: list[str], width: int) -> tuple[str, ...]:
    """Names of all columns, no two the same."""
    names: list[str] = []
    for index in range(width):
        name = (header[index] if index < len(header) else "")[:64] or letter(index)
        wanted, n = name, 1
        while name in names:
            n += 1
            name = f"{wanted}_{n}"
        names.append(name)
    return tuple(names)


def _phone(columns: tuple[str, ...], body: list[list[str]]) -> int | None:
    """By its name when it holds numbers, else by what it holds."""
    shares = []
    for index in range(len(columns)):
        cells = [row[index] for row in body if index < len(row) and row[index]]
        shares.append(sum(map(_is_number, cells)) / len(cells) if cells else 0.0)
    for pattern in (_BEST_PHONE_NAMES, _PHONE_NAMES):
        named = [i for i, name in enumerate(columns) if pattern.search(name) and shares[i] > 0.5]
        if named:
            return max(named, key=lambda i: shares[i])
    best = max(range(len(columns)), key=lambda i: shares[i], default=None)
    return best if best is not None and shares[best] > 0.5 else None
