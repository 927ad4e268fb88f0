"""Every export and every form with a file is attacked; a new one without a word here.

Whatever stands in the database is text in every cell of every export, CSV and XLSX. Whatever is uploaded is refused
with words or kept as what it is; nothing of it becomes markup, a path or a formula, and none takes long."""

from __future__ import annotations

import asyncio
import csv
import io
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from browsing import Browser
from databases import owner
from file_attacks import FILES, KINDS, MOST_SECONDS, MULTIPART, form
from foreign_things import MARK
from portal_site import NODE, running
from reaching import ROUTES, World, build, enter, filled, operation, place, shape
from test_reach import CASES

from smsgw.admin.kit import discovery
from smsgw.admin.kit.imports import ImportPage
from smsgw.admin.kit.lists import ListPage
from smsgw.admin.kit.table_exports import TableExport
from smsgw.core.actor import EVERYTHING
from smsgw.core.cells import harmless
from smsgw.platform.change import Change
from smsgw.platform.exports.model import Export, Format
from smsgw.platform.exports.service import request
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import Job, JobState

pytestmark = [pytest.mark.shard("attacks"), pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow,
              pytest.mark.timeout(900)]  # fmt: skip
POISON = "=cmd|' /C calc'!A0\u202e"
"""In front of all that the other department's people have written, wherever it lies."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def world(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    dsn = await postgres.make("tables", postgres.template)
    try:
        async with running(dsn, tmp_path_factory.mktemp("tables")) as site:
            yield await build(site)
    finally:
        await postgres.drop("tables")


async def ended(world: World, job_id: int) -> Job:
    """A job, once it has come to its end."""
    async with asyncio.timeout(60):
        while True:
            job = await jobs.get(world.site.db, EVERYTHING, job_id)
            if job.state not in (JobState.WAITING, JobState.RUNNING):
                return job
            await asyncio.sleep(0.05)


async def poison(world: World) -> int:
    """Columns with texts of people, all of which begin like a formula from now on."""
    connection = await asyncpg.connect(owner(world.site.db.dsn), timeout=10, command_timeout=60)
    done = 0
    try:
        columns = await connection.fetch(
            "SELECT c.relname AS of, a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.atttypid = 'text'::regtype AND a.attnum > 0 "
            "AND c.relnamespace = 'public'::regnamespace AND (c.relname, a.attname) <> ('staff', 'login')"
        )
        for column in columns:
            put = f'UPDATE {column["of"]} SET "{column["name"]}" = $1 || "{column["name"]}" WHERE strpos("{column["name"]}", $2) > 0'  # noqa: S608, E501
            try:
                done += int((await connection.execute(put, POISON, MARK)).split()[-1]) > 0
            except asyncpg.PostgresError:
                continue  # it has a form: nothing of that sort can stand there
    finally:
        await connection.close()
    return done


def texts(octets: bytes, format_: Format) -> Iterator[str]:
    """What stands in the cells of a file; ``ValueError`` for a cell that is more than a value."""
    if format_ is Format.CSV:
        yield from (cell for row in csv.reader(io.StringIO(octets.decode("utf-8-sig"))) for cell in row)
        return
    with zipfile.ZipFile(io.BytesIO(octets)) as book:
        assert not [name for name in book.namelist() if "externalLink" in name or "vbaProject" in name]
        for name in book.namelist():
            if not name.endswith(".xml"):
                continue
            for element in ElementTree.fromstring(book.read(name)).iter():  # noqa: S314 - our own
                tag = element.tag.rpartition("}")[2]
                if tag in ("f", "hyperlink", "oleObject"):
                    raise ValueError(f"{name}: {tag} {element.text}")
                if tag == "t":
                    yield element.text or ""


async def test_no_cell_of_any_export_is_more_than_a_value(world: World) -> None:
    assert await poison(world) >= 20
    walker = next(w for w in world.walkers if any(role.everything for role in w.person.roles))
    change = Change(world.site.db, walker.person.actor("127.0.0.1"), ids=world.site.ids.next)
    found = [one for module in discovery.modules() for one in vars(module).values()]
    lists = {one.name: one for one in found if isinstance(one, ListPage) and one.export is not None}
    tables = {one.name: one for one in found if isinstance(one, TableExport)}
    assert len(lists) >= 10
    told: dict[str, int] = {}
    exports: dict[str, ListPage | TableExport] = {**lists, **tables}
    for name, page in exports.items():
        columns = tuple(column.key for column in page.columns) if isinstance(page, ListPage) else ()
        permission = page.export if isinstance(page, ListPage) else page.permission
        query = {"time": "30d"} if isinstance(page, ListPage) and page.filter.period is not None else {}
        for format_ in Format:
            wanted = Export(name, permission, query, columns, format_, f"{POISON} why", "zh", f"{POISON} platform")
            job = await ended(world, await request(change, wanted, node=NODE))
            assert job.state is JobState.DONE, (name, format_, job)
            path = await world.site.surveyor.tasks.files.path(int(job.checkpoint["file"]))
            cells = list(texts(path.read_bytes(), format_))
            assert [cell for cell in cells if harmless(cell) != cell] == [], (name, format_)
            told[name] = told.get(name, 0) + sum("=cmd|" in cell for cell in cells)
    assert sum(n > 2 for n in told.values()) >= 5, "beyond the watermark"


async def forget_tables(world: World, login: str) -> None:
    """No more than some tables of a person are kept at once: further ones would be refused unread."""
    await world.site.db.execute("DELETE FROM sheet WHERE submitter = $1", login)


async def test_every_form_with_a_file_takes_any_file_without_harm(world: World, tmp_path: Path) -> None:
    uploads = [route for route in ROUTES if route.files]
    assert len(uploads) >= 8
    walker = next(w for w in world.walkers if any(role.everything for role in w.person.roles))
    faults: list[object] = []
    kept: dict[str, int] = {}
    async with Browser(world.site) as browser:
        browser.session._timeout = aiohttp.ClientTimeout(total=60)
        await enter(browser, walker)
        things = {"brand": "1"} | world.things | dict(walker.own)
        for route in uploads:
            await forget_tables(world, walker.person.login)
            fields = {key: filled(text, things) for case in CASES[operation(route)][:1] for key, text in case.fields}
            path = place(route, things)
            for what, (name, octets) in FILES.items():
                await browser.get("/")
                begun = time.monotonic()
                async with browser.session.post(
                    path, data=form({"csrf": browser.csrf, **fields}, name, octets), headers=MULTIPART
                ) as response:
                    text = (await response.read()).decode("utf-8", "replace")
                    seconds = time.monotonic() - begun
                    about = (shape(route.path), what, response.status)
                    if (response.status >= 500 and response.status != 503) or seconds > MOST_SECONDS:
                        faults.append((*about, round(seconds, 1)))
                    if response.content_type == "text/html" and "<script>alert(2)" in text:
                        faults.append((*about, "shows markup"))
                    kept[shape(route.path)] = kept.get(shape(route.path), 0) + bool(response.history)
    assert faults == []
    assert sum(n > 0 for n in kept.values()) >= 5, kept
    assert {row["media_type"] for row in await world.site.db.fetch("SELECT DISTINCT media_type FROM file")} <= KINDS
    names = [row["name"] for row in await world.site.db.fetch("SELECT name FROM file")]
    names = [name for name in names if not name.startswith(POISON)]  # those came by no form
    assert not [name for name in names if "/" in name or not name.isprintable() or len(name) > 128]
    store = world.site.surveyor.tasks.files.store.folder
    assert not list(store.parent.parent.rglob("*evil*"))


async def test_what_is_kept_of_two_kinds_is_shown_as_what_it_was_taken_for(world: World) -> None:
    walker = next(w for w in world.walkers if any(role.everything for role in w.person.roles))
    sign = world.things["sign"]
    async with Browser(world.site) as browser:
        await enter(browser, walker)
        await browser.get(f"/signs/{sign}/proofs")
        for what, kind in (("picture and page", "image/png"), ("document and page", "application/pdf")):
            body = form({"csrf": browser.csrf, "kind": "other", "carrier": ""}, *FILES[what])
            async with browser.session.post(f"/signs/{sign}/proofs", data=body, headers=MULTIPART) as response:
                assert response.status == 200, what
            id_ = await world.site.db.fetchval("SELECT max(id) FROM sign_proof")
            async with browser.session.get(f"/signs/proofs/{id_}") as response:
                assert response.headers["Content-Type"] == kind
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                assert response.headers["Content-Security-Policy"].startswith("default-src 'self';")
                way = response.headers["Content-Disposition"].partition(";")[0]
                assert way == ("inline" if kind == "image/png" else "attachment")


async def test_what_imports_say_of_rows_holds_no_formula(world: World) -> None:
    """All rows of a table are wrong, and are told with what stood in them."""
    pages = [one for module in discovery.modules() for one in vars(module).values() if isinstance(one, ImportPage)]
    assert len(pages) >= 4
    walker = next(w for w in world.walkers if any(role.everything for role in w.person.roles))
    things = world.things | dict(walker.own)
    head = ",".join(f"第{n}列" for n in range(6))
    bad = "\n".join(",".join([cell] * 6) for cell in ("=1+1", "+1", "-1", "@x", "\uff1d1", "\u202e=1", "\t=1"))
    told = 0
    async with Browser(world.site) as browser:
        await enter(browser, walker)
        await forget_tables(world, walker.person.login)
        for page in pages:
            await browser.get("/")
            at = f"{page.path}/-/import"
            body = form({"csrf": browser.csrf}, "bad.csv", f"{head}\n{bad}\n".encode())
            async with browser.session.post(at, data=body, headers=MULTIPART) as response:
                assert response.status == 200, (page.path, (await response.text())[2000:])
                begun = str(response.url.path)
            (case, *_) = CASES[f"POST {at}/{{id}}"]
            await browser.post(begun, {key: filled(text, things) for key, text in case.fields})
            if not browser.path.startswith("/jobs/"):
                continue  # its rows are looked at before it begins
            job = await ended(world, int(browser.path.rpartition("/")[2]))
            if page.path == "/prefixes":  # a file is taken whole or not at all, which is told in one text
                assert (job.state, job.error) == (JobState.FAILED, "FILE_INVALID")
                continue
            assert job.state is JobState.DONE, (page.path, job)
            async with browser.session.get(f"{at}/{job.id}/result") as response:
                cells = list(texts(await response.read(), Format.CSV)) if response.status == 200 else []
            assert [cell for cell in cells if harmless(cell) != cell] == [], page.path
            told += sum("=1" in cell for cell in cells)
    assert told >= 3
