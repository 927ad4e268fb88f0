"""Records that the server copies are those that the list shows: every column of every message of the demo, in both
languages, as both kinds of files; and what is too much for one file is files by days."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from python_calamine import CalamineWorkbook

from smsgw.admin.i18n import teller
from smsgw.admin.kit import cells, copied_file, exports, tables
from smsgw.admin.kit.exports import page_of
from smsgw.core.actor import Actor
from smsgw.core.cells import harmless
from smsgw.core.ids import CHINA
from smsgw.demo.fill import fill
from smsgw.platform.exports.model import Format
from smsgw.platform.files.model import Incoming
from smsgw.platform.files.service import FileStore
from smsgw.platform.jobs.model import Job, JobState
from smsgw.platform.org import queries as people
from smsgw.platform.paging import Window
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit

SEALER = Sealer(b"d" * 32)
AWKWARD = "=1+1\tTab\\n 反斜杠\\\n下一行\r<b>&amp;\x07\x1b"
pytestmark = [pytest.mark.shard("pages"), pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who writes does not give way to the tests beside."""
    monkeypatch.setattr(copied_file, "GIVES_WAY", 0.0)
    monkeypatch.setattr(copied_file, "NICE", 0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(postgres: Any) -> AsyncIterator[Database]:
    audit.use(lambda: SEALER)
    database = Database(await postgres.make("copied_records", postgres.template))
    await database.open()
    await fill(database, SEALER, password_hash="x", now=datetime.now(UTC), days=12, daily=90)
    for column, value, n in (("content", AWKWARD, 7), ("client_ref", "-ref", 9)):
        await database.execute(
            f"UPDATE message SET {column} = $1 WHERE id IN (SELECT id FROM message ORDER BY id DESC LIMIT {n})",  # noqa: S608
            value,
        )
    yield database
    await database.close()
    await postgres.drop("copied_records")


class _Told:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.done = 0

    async def progress(self, done: int, total: int = 0, **_: Any) -> None:
        assert self.done <= done <= total
        self.done = done


class _Store(FileStore):
    def __init__(self) -> None:
        pass

    async def reserve(self, incoming: Incoming, size: int) -> None:
        pass


async def _made(
    database: Database, path: Path, format_: Format, language: str, sort: str, query: dict[str, str]
) -> tuple[Incoming, exports._Making]:
    person = await people.person(database, "demo-admin")
    assert person
    actor: Actor = person.actor()
    page = page_of("records")
    assert isinstance(page, exports.ListPage)
    params = {
        "list": "records", "permission": "message.export", "query": query | {"sort": sort}, "format": format_.value,
        "columns": [c.key for c in tables.allowed(page.columns, actor.permissions)], "reason": "test",
        "language": language, "platform": "",
    }  # fmt: skip
    now = clock.now()
    job = Job(1, "export", params, "", None, None, actor.label, 1, JobState.RUNNING, 0, 0, {}, False, "", 1, 0, 1, 1,
              now, now, None, now)  # fmt: skip
    told: Any = _Told(job)
    making = exports._Making(database, _Store(), page, actor, person.name, told)
    copying = exports._Copying.of(making)
    incoming = Incoming(1, exports.FILES, path, None, name=f"records.{format_.value}")
    await copying.write(incoming)
    return incoming, making


async def _shown(database: Database, making: exports._Making) -> list[list[str]]:
    found, window = list[list[str]](), Window("time", making._sort.descending, limit=500)
    while True:
        got = await making._page.rows(database, making._actor, making._found, window)
        found += [[str(harmless(cells.plain(c, row, making._say))) for c in making._columns] for row in got.rows]
        if not got.more:
            return found
        window = Window("time", making._sort.descending, got.keys[-1], limit=500)


@pytest.mark.parametrize(("language", "sort"), [("zh", "-time"), ("en", "time")])
async def test_a_copied_table_is_the_list(database: Database, tmp_path: Path, language: str, sort: str) -> None:
    incoming, making = await _made(database, tmp_path / "x.part", Format.CSV, language, sort, {"time": "30d"})
    text = incoming.path.read_bytes().decode("utf-8-sig")
    head, *rows, mark = csv.reader(io.StringIO(text, newline=""))
    assert head == [cells.heading(column, teller(language)) for column in making._columns]
    assert len(rows) > 500
    assert rows == await _shown(database, making)
    assert "test" in mark[0]


def _written(cell: str) -> str:
    """As XML has it: without most controls, and with one kind of ends of lines."""
    return "".join([c for c in cell if c >= " " or c in "\t\n\r"]).replace("\r\n", "\n").replace("\r", "\n")


async def test_so_is_a_spreadsheet(database: Database, tmp_path: Path) -> None:
    query = {"time": "7d", "status": "failed"}
    incoming, making = await _made(database, tmp_path / "x.xlsx", Format.XLSX, "zh", "-time", query)
    sheet = CalamineWorkbook.from_path(str(incoming.path)).get_sheet_by_index(0)
    head, *rows, mark = sheet.to_python()
    assert head == [cells.heading(column, teller("zh")) for column in making._columns]
    shown = [[_written(cell) for cell in row] for row in await _shown(database, making)]
    read = [
        [str(int(cell)) if isinstance(cell, float) else str(cell).replace("\r", "\n") for cell in row] for row in rows
    ]
    assert read == shown
    assert isinstance(rows[0][head.index(teller("zh")("条数"))], float)
    assert "test" in str(mark[0])


@pytest.mark.parametrize("format_", Format)
async def test_what_is_too_much_for_a_file_is_files_by_days(
    database: Database, tmp_path: Path, format_: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "A_FILE", 100)
    today = clock.now().astimezone(CHINA).date()
    asked = {"time": "custom", "from": f"{today - timedelta(days=3)}", "to": f"{today - timedelta(days=1)}"}
    incoming, making = await _made(database, tmp_path / "x.part", format_, "zh", "-time", asked)
    assert incoming.name == "records.zip"
    days = dict(await making._page.bulk.days(database, making._actor, making._found))
    assert len(days) == 3
    with zipfile.ZipFile(incoming.path) as archive:
        assert archive.namelist() == [f"{day:%Y%m%d}.{format_.value}" for day in sorted(days, reverse=True)]
        for day, n in days.items():
            octets = archive.read(f"{day:%Y%m%d}.{format_.value}")
            if format_ is Format.CSV:
                assert len(list(csv.reader(io.StringIO(octets.decode("utf-8-sig"), newline="")))) == n + 2
            else:
                book = CalamineWorkbook.from_filelike(io.BytesIO(octets))
                assert len(book.get_sheet_by_index(0).to_python()) == n + 2
