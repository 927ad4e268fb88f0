"""The address book as pages, with its groups and imports; and tables of many rows, exact whenever they are cut off."""

from __future__ import annotations

import asyncio
import html
import json
import re
from collections.abc import AsyncIterator, Mapping
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from browsing import Browser, shows
from changes import by_test
from databases import change as as_owner
from portal_site import Site
from visits import add_role, all_signed_in, fails, guessed, signed_in

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission as P
from smsgw.core.policy import MAX_ALLOWED, Listed
from smsgw.platform.accounts import service as accounts
from smsgw.platform.audience import book, importing as contact_import
from smsgw.platform.audience.model import Duplicate, EntryDraft, Shared, Sharing
from smsgw.platform.campaigns.worker import PAGE_ROWS
from smsgw.platform.change import Change
from smsgw.platform.files.service import FileStore
from smsgw.platform.jobs import service as jobs
from smsgw.platform.jobs.runner import JobRunner
from smsgw.platform.lists import number_import
from smsgw.platform.org import queries as people, service as org
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import MOST_LARGE, MOST_ROWS, Outcome, Sheet
from smsgw.platform.sheets.service import Sheets
from smsgw.store.engine.database import Database

pytestmark = pytest.mark.staff(boss="super")
FORM = {"number": "13800138000", "name": "张三", "tags": "VIP，老客户", "fields": "city=北京", "scope": "own"}


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    by = by_test(site.db)
    top = await org.add_department(by, "市局")
    below = await org.add_department(by, "一科", top)
    rights = [P.CONTACT_VIEW, P.CONTACT_EDIT, P.BLOCK_VIEW, P.BLOCK_EDIT]
    await add_role(site, "clerk", rights, people=dict.fromkeys(("li", "wang", "zhao"), "hall"))
    for login, place in (("li", top), ("wang", below)):
        await org.set_person(by, login, {"department_id": place})
    return site


async def added(browser: Browser, site: Site, **fields: str) -> int:
    """A contact by the form; its id."""
    page = await browser.post("/contacts/-/new", FORM | {"account": str(site.accounts["hall"])} | fields)
    found = re.fullmatch(r"/contacts/(\d+)", browser.path)
    assert found, page
    return int(found[1])


async def seen(browser: Browser, query: str = "") -> list[str]:
    page = await browser.get(f"/contacts?{query}")
    assert browser.status == 200
    return list(dict.fromkeys(re.findall(r'href="/contacts/([0-9]+)"', page)))


async def test_ones_own_are_ones_own_until_they_are_shared(site: Site) -> None:
    place = str(await site.db.fetchval("SELECT id FROM department WHERE name = '市局'"))
    async with all_signed_in(site, "li", "wang", "zhao") as (li, wang, zhao):
        id_ = str(await added(li, site))
        assert await seen(li) == [id_]
        shows(await li.get(f"/contacts/{id_}"), "138****8000", "city=北京", no="13800138000")
        assert await seen(wang) == await seen(zhao) == []
        assert await wang.status_of(f"/contacts/{id_}") == 404
        page = await wang.post("/contacts/-/new", FORM | {"account": str(site.accounts["hall"])})
        assert (wang.status, "该账号的通讯录中已有此号码" in page) == (422, True), "within an account it is one"

        await li.post(f"/contacts/{id_}/edit", FORM | {"scope": "department", "department": place})
        assert await seen(wang) == [id_], "the department's is for those below it, too"
        assert await seen(zhao) == []
        assert "/edit" not in await wang.get(f"/contacts/{id_}"), "seen is not changed"
        assert await wang.status_of(f"/contacts/{id_}/edit", FORM) == 404
        await li.post(f"/contacts/{id_}/edit", FORM | {"scope": "account"})
        assert await seen(zhao) == [id_]

        await zhao.post("/contacts/-/do/unshare", {"id": id_})
        assert await seen(li) == [id_], "another's cannot be made one's own"
        assert await site.db.fetchval("SELECT shared FROM contact") == "account"


async def test_groups_lie_in_groups_and_move_with_their_effect_said(site: Site) -> None:
    """Numbers are counted once however many groups a contact is in; nothing lies in itself, or too deep."""
    hall, by = site.accounts["hall"], by_test(site.db)
    city = await book.add_group(by, hall, "市民", Sharing())
    old = await book.add_group(by, hall, "老年", Sharing(), parent_id=city)
    east = await book.add_group(by, hall, "东区", Sharing(), parent_id=old)
    staff = await book.add_group(by, hall, "职工", Sharing())
    for n, groups in enumerate(((city, old), (old, east), (east, city, old), (staff,))):
        await book.add(by, EntryDraft(hall, f"861380013800{n}", "", groups=groups))
    async with signed_in(site, "boss") as boss:
        page = await boss.get(f"/contacts/groups/{city}")
        assert re.search(r"含下级人数</dt><dd[^>]*>\s*3", page), "of 2, 3 and 2, who are three"
        page = await boss.get(f"/contacts/groups?within={city}")
        assert set(re.findall(r'href="/contacts/groups/([0-9]+)"', page)) == {str(old), str(east)}
        shows(await boss.get(f"/contacts/groups/{old}/move"), f'value="{staff}"', no=f'value="{east}"')
        page = html.unescape(await boss.post(f"/contacts/groups/{old}/move", {"parent": str(staff)}))
        shows(page, "将把“老年”及其下 1 个分组（共 3 位联系人）移到“职工”之下", "“职工”含下级由 1 位变为 4 位")
        await boss.post(f"/contacts/groups/{old}/move", {"parent": str(staff), "confirmed": "1"})
        assert boss.path == f"/contacts/groups/{old}"
        assert await boss.status_of(f"/contacts/groups/{old}/move", {"parent": str(east), "confirmed": "1"}) == 422
    await fails(Invalid, book.move_group(by, old, east))
    await fails(Invalid, book.move_group(by, old, old))
    deep = east
    for n in range(2):
        deep = await book.add_group(by, hall, f"第{n}层", Sharing(), parent_id=deep)
    await fails(Invalid, book.add_group(by, hall, "第六层", Sharing(), parent_id=deep))
    await fails(Invalid, book.move_group(by, staff, deep))
    clinic = await book.add_group(by, site.accounts["clinic"], "别家", Sharing())
    await fails(Invalid, book.move_group(by, city, clinic))
    await book.remove_group(by, old)
    assert await site.db.fetchval("SELECT parent_id FROM audience WHERE id = $1", east) == staff
    told = await site.db.fetchval("SELECT after::text FROM audit WHERE action = 'audience.move' ORDER BY id LIMIT 1")
    assert str(staff) in told


async def test_search_merge_and_groups(site: Site) -> None:
    hall = str(site.accounts["hall"])
    async with signed_in(site, "boss") as boss:
        await boss.post("/contacts/groups/-/new", {"account": hall, "name": "志愿者", "scope": "account"})
        group = boss.path.rpartition("/")[2]
        first = await added(boss, site, groups=group)
        other = {"number": "13900139000", "name": "=cmd", "tags": "居民", "fields": "street=长安街\ncity=天津"}
        second = await added(boss, site, **other)
        assert await seen(boss, "number=13900139000") == [str(second)]
        assert await seen(boss, "name=张") == [str(first)]
        assert await seen(boss, f"group={group}") == [str(first)]
        assert await seen(boss, "tag=居民") == [str(second)]
        assert f'href="/contacts?group={group}"' in await boss.get("/contacts/groups")

        assert "没有找到这个号码的联系人" in await boss.refusal(f"/contacts/{second}/merge", {"number": "13700137000"})
        page = await boss.post(f"/contacts/{second}/merge", {"number": "13800138000"})
        assert "将把 张三 138****8000 的标签、分组和资料并入 =cmd 139****9000" in page
        await boss.post(f"/contacts/{second}/merge", {"number": "13800138000", "confirmed": "1"})
        assert await seen(boss) == [str(second)]
        row = await site.db.fetchrow("SELECT * FROM contact")
        assert row["tags"] == ["居民", "VIP", "老客户"]
        assert '"city": "天津"' in row["fields"]
        assert await seen(boss, f"group={group}") == [str(second)], "it has come into the group"
        said = await site.db.fetch("SELECT before, after FROM audit WHERE action = 'contact.merge'")
        assert "13800138000" not in str(said)

        await boss.post("/contacts/groups/-/do/remove", {"id": group})
        assert await seen(boss) == [str(second)], "the contacts of a group stay"


async def test_who_sees_a_group_puts_nobody_into_it(site: Site) -> None:
    """What is shared with a department is for those below it to read and to send to; its owner says who is in it."""
    by, hall = by_test(site.db, site.ids.next), site.accounts["hall"]
    place = await site.db.fetchval("SELECT id FROM department WHERE name = '市局'")
    group = await book.add_group(by, hall, "名册", Sharing(Shared.DEPARTMENT, place))
    members = "SELECT count(*) FROM audience_member"
    async with signed_in(site, "wang") as wang:
        assert "名册" in await wang.get("/contacts/groups")
        assert "名册" not in await wang.get("/contacts/-/new")
        await wang.post("/contacts/-/new", FORM | {"account": str(hall), "groups": str(group)})
        assert await site.db.fetchval(members) == 0
        id_ = await added(wang, site)
        await wang.post(f"/contacts/{id_}/edit", FORM | {"groups": str(group)})
        assert await site.db.fetchval(members) == 0
        await bring(wang, site, "王一,13800138001,,名册,\n")
        assert [row[3] for row in await rows(wang, "result")] == ["有误"]
        assert "名册" not in await upload(wang, "王一,13800138001,,,\n")
        assert await site.db.fetchval(members) == 0

        await site.db.execute("INSERT INTO audience_member (audience_id, contact_id) VALUES ($1, $2)", group, id_)
        await wang.post(f"/contacts/{id_}/edit", FORM | {"name": "新名", "groups": str(group)})
        await wang.post(f"/contacts/{id_}/edit", FORM | {"name": "新名"})
        row = await site.db.fetchrow("SELECT name, (SELECT count(*) FROM audience_member) AS n FROM contact")
        assert tuple(row) == ("新名", 1), "one's contact is changed, and stays in it"
    wang_ = await people.person(site.db, "wang")
    sheet: Any = SimpleNamespace(id=1, columns=("n",), name="n", node=1, rows=1)
    plan = contact_import.Plan({"number": 0}, hall, Sharing(Shared.OWN), group_id=group)
    await fails(Refused, contact_import.begin(Change(site.db, wang_.actor(), ids=site.ids), sheet, plan))


HEAD = "姓名,手机号,标签,分组,城市\n"


async def upload(browser: Browser, text: str) -> str:
    return await browser.send_file("/contacts/-/import", (HEAD + text).encode("gb18030"))


async def bring(browser: Browser, site: Site, text: str, **fields: str) -> str:
    """Upload, take the columns as guessed, wait for the job; its page."""
    page = await upload(browser, text)
    assert browser.status == 200, page
    chosen = guessed(page)
    assert set(chosen) == {"column_number", "column_name", "column_tags", "column_groups"}
    form = {"account": str(site.accounts["hall"]), "duplicates": "skip", "scope": "account"} | fields
    page = await browser.post(browser.path, chosen | form)
    assert re.fullmatch(r"/jobs/\d+", browser.path), page
    return await browser.job_done(browser.path)


async def rows(browser: Browser, what: str) -> list[list[str]]:
    job = browser.path.rpartition("/")[2]
    return (await browser.table_at(f"/contacts/-/import/{job}/{what}"))[1:]


async def stored(site: Site) -> dict[str, tuple[str, list[str], str]]:
    found = await site.db.fetch("SELECT number, name, tags, fields FROM contact")
    return {row["number"]: (row["name"], row["tags"], row["fields"]) for row in found}


async def test_an_import_skips_overwrites_or_merges_and_gives_back_what_is_wrong(site: Site) -> None:
    async with signed_in(site, "boss") as boss, signed_in(site, "li") as li:
        await added(li, site, number="13700137000", name="私人")
        text = (
            "王一,13800138001,街道,第一组,北京\n"
            "=李二,138 0013 8002,,第一组、第二组,\n"
            "错误,12345,,,\n"
            "又是王一,13800138001,居民,,上海\n"
            "同事的,13700137000,,,\n"
        )
        page = await bring(li, site, text, make_groups="1", keep_others="1")
        outcome = await rows(li, "result")
        assert [row[3] for row in outcome] == ["已新建", "已新建", "有误", "已跳过", "已跳过"], outcome
        wrong = await rows(li, "wrong")
        assert [row[0] for row in wrong] == ["4", "5", "6"]
        assert "下载有误的行" in page
        known = await stored(site)
        assert known["8613800138001"] == ("王一", ["街道"], '{"城市": "北京"}')
        groups = await site.db.fetch("SELECT g.name FROM audience g JOIN audience_member m ON m.audience_id = g.id")
        assert sorted(row["name"] for row in groups) == ["第一组", "第一组", "第二组"]

        again = "王一一,13800138001,居民,没有的组,上海\n新名,13800138001,居民,,上海\n"
        await bring(li, site, again, duplicates="merge", keep_others="1")
        assert [row[3] for row in await rows(li, "result")] == ["有误", "更新"]
        assert (await stored(site))["8613800138001"] == ("王一", ["街道", "居民"], '{"城市": "北京"}')
        await bring(li, site, "新名,13800138001,,,上海\n", duplicates="overwrite", keep_others="1")
        assert (await stored(site))["8613800138001"] == ("新名", ["街道", "居民"], '{"城市": "上海"}')

        job = li.path.rpartition("/")[2]
        assert await boss.status_of(f"/contacts/-/import/{job}/result") == 404, "whoever has brought them in"
        async with signed_in(site, "zhao") as zhao:
            await bring(zhao, site, "偷改,13700137000,,,\n", duplicates="overwrite")
            ((*_, said),) = await rows(zhao, "result")
            assert "由同事保存且未共享给您" in said
        assert (await stored(site))["8613700137000"][0] == "私人"


LARGE = pytest.mark.shard("volume")
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


class Importer:
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
        return JobRunner(self.db, 1, [*number_import.NumberImporter(self.db, self.sheets).kinds(),
                                      contact_import.ContactImporter(self.db, self.sheets).kind()])  # fmt: skip

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
        return dict(row) | {"checkpoint": json.loads(row["checkpoint"])}

    async def waits(self, runner: JobRunner) -> None:
        """Until an import has come to the gate."""
        waits = "SELECT count(*) FROM pg_locks WHERE objid = 4711 AND NOT granted"
        async with asyncio.timeout(PATIENCE):
            while not await self.db.fetchval(waits):
                await self.go_on(runner)
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def desk(dsn: str, tmp_path: Path) -> AsyncIterator[Importer]:
    db = Database(dsn)
    await db.open()
    account = await accounts.add(by_test(db), "hall")
    await org.add_person(by_test(db), "able", "", ["super"], "x", must_change=False)
    able = await people.person(db, "able")
    yield Importer(db, tmp_path / "files", able.actor(), account)
    await db.close()


async def exactly(desk: Importer, job: Mapping[str, Any], id_: int, entries: str) -> None:
    """What is said of the rows is what there is."""
    said = job["checkpoint"]
    counted = "SELECT count(*) FROM " + entries  # noqa: S608 - a word of this file
    assert await desk.db.fetchval(counted) == said.get("created", 0)
    told = await sheets.counts(desk.db, id_)
    assert told.get(Outcome.SKIPPED, 0) == said.get("skipped", 0)
    assert told.get(Outcome.WRONG, 0) == said.get("wrong", 0)
    assert Outcome.CREATED not in told, "of large tables what was taken is counted alone"


async def begun(desk: Importer, what: str) -> int:
    if what == "block_list":
        sheet = await desk.sheet(number_import.BLOCK, table())
        plan = number_import.Plan(number_import.BLOCK, {"number": 0, "reason": 1}, desk.account, "x", type="marketing")
        return await number_import.begin(desk.change, sheet, plan)
    sheet = await desk.sheet(contact_import.NAME, table())
    group = await book.add_group(desk.change, desk.account, "全部", Sharing(Shared.ACCOUNT))
    whole = contact_import.Plan({"number": 0, "name": 1}, desk.account, Sharing(Shared.ACCOUNT), Duplicate.SKIP, group)
    return await contact_import.begin(desk.change, sheet, whole)


async def _cut_off_and_gone_on_with(desk: Importer, dsn: str, what: str) -> None:
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


@LARGE
async def test_an_import_of_blocks_that_is_cut_off_goes_on_behind_its_last_page(desk: Importer, dsn: str) -> None:
    await _cut_off_and_gone_on_with(desk, dsn, "block_list")
    row = await desk.db.fetchrow("SELECT * FROM block_list WHERE number = $1", int(f"86{FIRST + 9}"))
    assert (row["account_id"], row["type"], row["source"], row["reason"]) == (desk.account, "marketing", "manual", "r9")
    again = await begun(desk, "block_list")
    await desk.finish()
    assert (await desk.job(again))["checkpoint"] | {"line": 0} == {"line": 0, "skipped": ROWS - WRONG, "wrong": WRONG}


@LARGE
async def test_an_import_of_contacts_that_is_cut_off_goes_on_behind_its_last_page(desk: Importer, dsn: str) -> None:
    await _cut_off_and_gone_on_with(desk, dsn, "contact")
    assert await desk.db.fetchval("SELECT count(*) FROM audience_member") == GOOD
    assert await desk.db.fetchval("SELECT name FROM contact WHERE number = $1", f"86{FIRST + 9}") == "r9"


@LARGE
async def test_what_is_cancelled_has_brought_in_what_it_says(desk: Importer, dsn: str) -> None:
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


@LARGE
async def test_the_allow_list_takes_what_it_has_room_for(desk: Importer) -> None:
    await desk.db.execute(
        "INSERT INTO allow_list (number, account_id, kind, note, actor, at) "
        "SELECT '86139' || (10000000 + n), 0, 'test', '', 'x', now() FROM generate_series(1, $1::int) n",
        MAX_ALLOWED - GOOD + 5,
    )
    sheet = await desk.sheet(number_import.ALLOW, table())
    plan = number_import.Plan(number_import.ALLOW, {"number": 0}, desk.account, "来访", kind=Listed.EXEMPT)
    id_ = await number_import.begin(desk.change, sheet, plan)
    await desk.finish()
    said = (await desk.job(id_))["checkpoint"]
    assert (said["created"], said["skipped"], said["wrong"]) == (GOOD - 5, DOUBLE, WRONG + 5)
    assert await desk.db.fetchval("SELECT count(*) FROM allow_list") == MAX_ALLOWED
    assert await desk.db.fetchval("SELECT note FROM allow_list WHERE account_id = $1 LIMIT 1", desk.account) == "来访"


@LARGE
async def test_a_clerk_imports_for_their_own_account_and_fetches_what_was_left(site: Site) -> None:
    async with signed_in(site, "li") as clerk, signed_in(site, "zhao") as other:
        assert 'href="/blocked/-/import"' in await clerk.get("/blocked")
        assert "1,000,000" in await clerk.get("/blocked/-/import")
        assert 'value="0" selected' in await clerk.send_file("/blocked/-/import", table())
        asked = {"column_number": "0", "reason": "停发"}
        assert await clerk.status_of(clerk.path, asked) == 422, "not for everybody"
        page = await clerk.post(clerk.path, asked | {"account": str(site.accounts["hall"])})
        assert re.fullmatch(r"/jobs/\d+", clerk.path), page
        page = await clerk.job_done(clerk.path)
        job = clerk.path.rpartition("/")[2]
        shows(page, f"{GOOD:,}", f"/blocked/-/import/{job}/wrong")
        assert f"/blocked/-/import/{job}/result" not in page, "a million rows that were taken are no list"
        rows = await clerk.table_at(f"/blocked/-/import/{job}/wrong")
        assert len(rows) == 1 + DOUBLE + WRONG
        assert [rows[1][0], rows[1][3], rows[-1][3]] == [str(GOOD + 2), "已跳过", "有误"]
        assert await other.status_of(f"/blocked/-/import/{job}/wrong") == 404
    assert await site.db.fetchval("SELECT count(*) FROM block_list WHERE reason = '停发'") == GOOD
