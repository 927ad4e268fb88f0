"""Tables of many rows for the address book and the lists: exact whenever they are cut off or cancelled."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from changes import by_test
from databases import change as as_owner
from portal_site import running
from visits import lacking, signed_in

from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.permissions import Permission
from smsgw.core.policy import MAX_ALLOWED, Listed
from smsgw.platform.accounts import service as accounts
from smsgw.platform.audience import book
from smsgw.platform.audience import importing as contacts
from smsgw.platform.audience.model import Duplicate, Shared, Sharing
from smsgw.platform.campaigns.worker import PAGE_ROWS
from smsgw.platform.change import Change
from smsgw.platform.files.service import FileStore
from smsgw.platform.jobs import service as jobs
from smsgw.platform.jobs.runner import JobRunner
from smsgw.platform.lists import number_import as importing
from smsgw.platform.org import queries as people
from smsgw.platform.org import service as org
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import MOST_LARGE, MOST_ROWS, Outcome, Sheet
from smsgw.platform.sheets.service import Sheets
from smsgw.store.engine.database import Database

pytestmark = pytest.mark.shard("volume")

FIRST = 13_800_000_000
ROWS = MOST_ROWS + 5 * PAGE_ROWS
DOUBLE, WRONG = 700, 300
"""At the end: numbers that came before, and what is none."""
GOOD = ROWS - DOUBLE - WRONG
PATIENCE = 150.0
"""Seconds until an import has come to its fourth page."""
STOPPING = FIRST + 3 * PAGE_ROWS + 7
"""Of the fourth page."""
_GATE = (
    "CREATE FUNCTION test_gate() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN "
    f"IF NEW.number::text LIKE '%{STOPPING}' THEN PERFORM pg_advisory_xact_lock(4711); END IF; RETURN NEW; END $f$",
    "CREATE TRIGGER test_gate BEFORE INSERT ON block_list FOR EACH ROW EXECUTE FUNCTION test_gate()",
    "CREATE TRIGGER test_gate BEFORE INSERT ON contact FOR EACH ROW EXECUTE FUNCTION test_gate()",
)
"""An import that comes to this number waits for whoever holds the lock."""


def table() -> bytes:
    numbers = [str(FIRST + n) for n in range(GOOD)] + [str(FIRST + n) for n in range(DOUBLE)] + ["12"] * WRONG
    return ("手机号,原因\n" + "".join(f"{number},r{n}\n" for n, number in enumerate(numbers))).encode()


class Desk:
    """A node that brings in tables, and somebody who may do everything."""

    def __init__(self, db: Database, folder: Path, actor: Actor, account: int) -> None:
        self.db = db
        self.account = account
        self.change = Change(db, actor, ids=count(10**6).__next__)
        disk: Any = SimpleNamespace(check=lambda: None)
        self.sheets = Sheets(db, FileStore(db, folder, node=1, ids=count(10**9).__next__, disk=disk))
        self.actor = actor

    async def sheet(self, purpose: str, octets: bytes) -> Sheet:
        incoming = await self.sheets.receive(0, "名单.csv", self.actor.label)
        incoming.path.write_bytes(octets)
        return await self.sheets.keep(incoming, purpose, self.actor.label, most=MOST_LARGE)

    def runner(self) -> JobRunner:
        return JobRunner(self.db, 1, [*importing.NumberImporter(self.db, self.sheets).kinds(),
                                      contacts.ContactImporter(self.db, self.sheets).kind()])  # fmt: skip

    async def finish(self) -> None:
        runner = self.runner()
        while await self.db.fetchval("SELECT count(*) FROM job WHERE ended_at IS NULL"):
            await self.go_on(runner)
            await runner.settled()

    async def go_on(self, runner: JobRunner) -> None:
        """Also with what was put off: a page may be too much for a machine that is busy."""
        await self.db.execute("UPDATE job SET not_before = now() WHERE state = 'waiting'")
        await runner.claim()

    async def job(self, id_: int) -> Mapping[str, Any]:
        row = await self.db.fetchrow("SELECT state, error, done, total, checkpoint FROM job WHERE id = $1", id_)
        assert row
        return dict(row) | {"checkpoint": json.loads(row["checkpoint"])}

    async def waits(self, runner: JobRunner) -> None:
        """Until an import has come to the gate."""
        waits = "SELECT count(*) FROM pg_locks WHERE objid = 4711 AND NOT granted"
        async with asyncio.timeout(PATIENCE):
            while not await self.db.fetchval(waits):
                await self.go_on(runner)
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def desk(dsn: str, tmp_path: Path) -> AsyncIterator[Desk]:
    db = Database(dsn)
    await db.open()
    account = await accounts.add(by_test(db), "hall")
    await org.add_person(by_test(db), "able", "", ["super"], "x", must_change=False)
    able = await people.person(db, "able")
    yield Desk(db, tmp_path / "files", able.actor(), account)
    await db.close()


async def exactly(desk: Desk, job: Mapping[str, Any], id_: int, entries: str) -> None:
    """What is said of the rows is what there is."""
    said = job["checkpoint"]
    counted = "SELECT count(*) FROM " + entries  # noqa: S608 - a word of this file
    assert await desk.db.fetchval(counted) == said.get("created", 0)
    told = await sheets.counts(desk.db, id_)
    assert told.get(Outcome.SKIPPED, 0) == said.get("skipped", 0)
    assert told.get(Outcome.WRONG, 0) == said.get("wrong", 0)
    assert Outcome.CREATED not in told, "of large tables what was taken is counted alone"


async def begun(desk: Desk, what: str) -> int:
    if what == "block_list":
        sheet = await desk.sheet(importing.BLOCK, table())
        plan = importing.Plan(importing.BLOCK, {"number": 0, "reason": 1}, desk.account, "x", type="marketing")
        return await importing.begin(desk.change, sheet, plan)
    sheet = await desk.sheet(contacts.NAME, table())
    group = await book.add_group(desk.change, desk.account, "全部", Sharing(Shared.ACCOUNT))
    whole = contacts.Plan({"number": 0, "name": 1}, desk.account, Sharing(Shared.ACCOUNT), Duplicate.SKIP, group)
    return await contacts.begin(desk.change, sheet, whole)


async def _cut_off_and_gone_on_with(desk: Desk, dsn: str, what: str) -> None:
    await as_owner(dsn, *_GATE)
    id_ = await begun(desk, what)
    async with desk.db.transaction(timeout=2 * PATIENCE) as gate:
        await gate.execute("SELECT pg_advisory_xact_lock(4711)")
        runner = desk.runner()
        await desk.waits(runner)
        await runner.stop()
        job = await desk.job(id_)
        assert (job["state"], job["checkpoint"]["created"]) == ("waiting", 3 * PAGE_ROWS), "three pages are whole"
        await exactly(desk, job, id_, what)
    await desk.finish()
    job = await desk.job(id_)
    assert (job["state"], job["error"], job["done"], job["total"]) == ("done", "", ROWS, ROWS)
    counts = {key: n for key, n in job["checkpoint"].items() if key != "line"}
    assert counts == {"created": GOOD, "skipped": DOUBLE, "wrong": WRONG}
    assert job["checkpoint"]["line"] == ROWS + 1
    await exactly(desk, job, id_, what)


async def test_an_import_of_blocks_that_is_cut_off_goes_on_behind_its_last_page(desk: Desk, dsn: str) -> None:
    await _cut_off_and_gone_on_with(desk, dsn, "block_list")
    row = await desk.db.fetchrow("SELECT * FROM block_list WHERE number = $1", int(f"86{FIRST + 9}"))
    assert (row["account_id"], row["type"], row["source"], row["reason"]) == (desk.account, "marketing", "manual", "r9")
    again = await begun(desk, "block_list")
    await desk.finish()
    assert (await desk.job(again))["checkpoint"] | {"line": 0} == {"line": 0, "skipped": ROWS - WRONG, "wrong": WRONG}


async def test_an_import_of_contacts_that_is_cut_off_goes_on_behind_its_last_page(desk: Desk, dsn: str) -> None:
    await _cut_off_and_gone_on_with(desk, dsn, "contact")
    assert await desk.db.fetchval("SELECT count(*) FROM audience_member") == GOOD
    assert await desk.db.fetchval("SELECT name FROM contact WHERE number = $1", f"86{FIRST + 9}") == "r9"


async def test_what_is_cancelled_has_brought_in_what_it_says(desk: Desk, dsn: str) -> None:
    await as_owner(dsn, *_GATE)
    id_ = await begun(desk, "contact")
    async with desk.db.transaction(timeout=2 * PATIENCE) as gate:
        await gate.execute("SELECT pg_advisory_xact_lock(4711)")
        runner = desk.runner()
        await desk.waits(runner)
        await jobs.cancel(desk.change, id_, {})
        await runner.renew()
        await runner.settled()
        job = await desk.job(id_)
        assert (job["state"], job["checkpoint"]["created"]) == ("cancelled", 3 * PAGE_ROWS)
        await exactly(desk, job, id_, "contact")


async def test_the_allow_list_takes_what_it_has_room_for(desk: Desk) -> None:
    await desk.db.execute(
        "INSERT INTO allow_list (number, account_id, kind, note, actor, at) "
        "SELECT '86139' || (10000000 + n), 0, 'test', '', 'x', now() FROM generate_series(1, $1::int) n",
        MAX_ALLOWED - GOOD + 5,
    )
    sheet = await desk.sheet(importing.ALLOW, table())
    plan = importing.Plan(importing.ALLOW, {"number": 0}, desk.account, "来访", kind=Listed.EXEMPT)
    id_ = await importing.begin(desk.change, sheet, plan)
    await desk.finish()
    said = (await desk.job(id_))["checkpoint"]
    assert (said["created"], said["skipped"], said["wrong"]) == (GOOD - 5, DOUBLE, WRONG + 5)
    assert await desk.db.fetchval("SELECT count(*) FROM allow_list") == MAX_ALLOWED
    assert await desk.db.fetchval("SELECT note FROM allow_list WHERE account_id = $1 LIMIT 1", desk.account) == "来访"


async def test_a_clerk_imports_for_their_own_account_and_fetches_what_was_left(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, tmp_path) as site:
        rights = [Permission.HOME_VIEW, Permission.BLOCK_VIEW, Permission.BLOCK_EDIT]
        await org.add_role(by_test(site.db), "clerk", "名单管理员", rights, ScopeKind.ACCOUNTS)
        await site.add_staff("hall-op", "clerk", "hall")
        await site.add_staff("other", "clerk", "hall")
        async with signed_in(site, "hall-op") as clerk, signed_in(site, "other") as other:
            assert 'href="/blocked/-/import"' in await clerk.get("/blocked")
            assert "1,000,000" in await clerk.get("/blocked/-/import")
            assert 'value="0" selected' in await clerk.send_file("/blocked/-/import", table())
            asked = {"column_number": "0", "reason": "停发"}
            assert await clerk.status_of(clerk.path, asked) == 422, "not for everybody"
            page = await clerk.post(clerk.path, asked | {"account": str(site.accounts["hall"])})
            assert re.fullmatch(r"/jobs/\d+", clerk.path), page
            page = await clerk.job_done(clerk.path)
            job = clerk.path.rpartition("/")[2]
            assert not lacking(page, f"{GOOD:,}", f"/blocked/-/import/{job}/wrong")
            assert f"/blocked/-/import/{job}/result" not in page, "a million rows that were taken are no list"
            rows = await clerk.table_at(f"/blocked/-/import/{job}/wrong")
            assert len(rows) == 1 + DOUBLE + WRONG
            assert [rows[1][0], rows[1][3], rows[-1][3]] == [str(GOOD + 2), "已跳过", "有误"]
            assert await other.status_of(f"/blocked/-/import/{job}/wrong") == 404
        assert await site.db.fetchval("SELECT count(*) FROM block_list WHERE reason = '停发'") == GOOD
