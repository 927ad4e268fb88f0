"""Staff brought in from a table: in the portal, by a durable job, by the rules of a single person."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import xlsxwriter
from browsing import Browser
from portal_site import Site
from visits import acting, signed_in

from smsgw.core.actor import ScopeKind
from smsgw.core.permissions import Permission
from smsgw.platform.org import queries
from smsgw.platform.org import service as org
from smsgw.platform.sheets import service as sheets
from smsgw.platform.sheets.model import MOST_ROWS

P = Permission
HEAD = "姓名,登录名,手机号,部门,角色\n"
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def boss(site: Site) -> AsyncIterator[Browser]:
    async with signed_in(site, "boss") as browser:
        yield browser


async def upload(browser: Browser, octets: bytes, name: str = "staff.csv") -> str:
    return await browser.send_file("/staff/-/import", octets, name)


def chosen(page: str) -> dict[str, str]:
    """What the page has guessed of the columns."""
    selects = re.findall(r'<select [^>]*name="(column_\w+)"[^>]*>(.*?)</select>', page, re.S)
    return {key: m[1] for key, body in selects if (m := re.search(r'value="(\d+)" selected', body))}


async def bring(browser: Browser, octets: bytes, **fields: str) -> str:
    """Upload, take the columns as guessed, wait for the job; its page."""
    page = await upload(browser, octets)
    assert browser.status == 200, page
    assert re.fullmatch(r"/jobs/\d+", await browser.led_to(browser.path, chosen(page) | fields))
    return await browser.job_done(browser.path)


async def results(browser: Browser) -> list[list[str]]:
    rows = (await browser.table_at(f"/staff/-/import/{browser.path.rpartition('/')[2]}/result"))[1:]
    assert browser.headers["Cache-Control"] == "no-store"
    return rows


def table(*rows: str) -> bytes:
    return (HEAD + "\n".join(rows) + "\n").encode("gb18030")


async def test_people_come_in_once_with_departments_roles_and_first_passwords(site: Site, boss: Browser) -> None:
    await org.add_department(acting(site), "市局")
    octets = table("王一,wang1,13800138001,市局/办公室,操作员", "李二,li2,,市局,operator",
                   '=cmd,"=cmd|x",138,市局,操作员', "赵三,zhao3,,,没有的角色", "钱四,,,市局,操作员")  # fmt: skip
    page = await bring(boss, octets, make_departments="1")
    job = boss.path
    counts = await site.db.fetchrow("SELECT checkpoint FROM job WHERE id = $1", int(job.rpartition("/")[2]))
    assert '"created": 2' in counts["checkpoint"]
    assert '"wrong": 3' in counts["checkpoint"]
    assert "下载导入结果" in page
    rows = await results(boss)
    assert [row[3] for row in rows] == ["已新建", "已新建", "有误", "有误", "有误"]
    assert rows[2][1] == "'=cmd|x", "no formula"
    assert "角色 没有的角色 不存在" in rows[3][4]
    person = await queries.person(site.db, "wang1")
    assert [role.code for role in person.roles] == ["operator"]
    assert person.must_change
    place = await site.db.fetchrow(
        "SELECT d.name, p.name AS above FROM department d JOIN department p ON p.id = d.parent_id WHERE d.id = $1",
        person.reach.department,
    )
    assert (place["name"], place["above"]) == ("办公室", "市局")

    # The first passwords: told as a file, good once, not told for who has come in.
    assert "文件含 2 名" in await boss.get(f"/staff/-/import/{job.rpartition('/')[2]}/passwords")
    passwords = {row[0]: row[2] for row in (await boss.table_at(boss.path, {"confirmed": "1"}))[1:]}
    assert sorted(passwords) == ["li2", "wang1"]
    async with Browser(site) as browser:
        await browser.login("wang1", passwords["wang1"])
        assert browser.path.startswith("/password"), "to be changed first"
    assert "文件含 1 名" in await boss.get(f"/staff/-/import/{job.rpartition('/')[2]}/passwords")
    stored = await site.db.fetchval("SELECT string_agg(params::text || checkpoint::text, ' ') FROM job")
    assert passwords["li2"] not in stored

    # Again: nothing is made twice.
    people, places = await site.db.fetchrow("SELECT (SELECT count(*) FROM staff), (SELECT count(*) FROM department)")
    await bring(boss, octets, make_departments="1")
    assert [row[3] for row in await results(boss)] == ["已跳过", "已跳过", "有误", "有误", "有误"]
    assert (people, places) == tuple(
        await site.db.fetchrow("SELECT (SELECT count(*) FROM staff), (SELECT count(*) FROM department)")
    )
    actions = {row["action"] for row in await site.db.fetch("SELECT DISTINCT action FROM audit")}
    assert {"staff.import", "staff.import_passwords", "staff.add", "department.add"} <= actions


async def test_nobody_gets_by_a_table_what_the_importer_could_not_give(site: Site) -> None:
    change = acting(site)
    own, other = await org.add_department(change, "一科"), await org.add_department(change, "二科")
    rights = {P.HOME_VIEW, P.PERSON_VIEW, P.PERSON_EDIT, P.PERSON_GRANT, P.MESSAGE_VIEW, P.DEPARTMENT_VIEW}
    await org.add_role(change, "chief", "科长", rights, ScopeKind.BELOW)
    await org.add_role(change, "clerk", "科员", {P.HOME_VIEW, P.MESSAGE_VIEW}, ScopeKind.BELOW)
    await site.add_staff("chief", "chief")
    await org.set_person(change, "chief", {"department_id": own})
    async with signed_in(site, "chief") as browser:
        rows = ("甲,a1,,一科,科员", "乙,b1,,二科,科员", "丙,c1,,一科,平台超管", "丁,d1,,,科员")
        octets = table(*rows, "戊,e1,,一科/新科,科员")
        await bring(browser, octets, make_departments="1")
        assert [row[3] for row in await results(browser)] == ["已新建", "有误", "有误", "有误", "有误"]
        assert await site.db.fetchval("SELECT count(*) FROM staff WHERE department_id = $1", other) == 0
        assert await site.db.fetchval("SELECT count(*) FROM department") == 2


async def first_passwords(browser: Browser, job: str) -> list[str]:
    """The logins whose first passwords are told."""
    rows = (await browser.table_at(f"/staff/-/import/{job}/passwords", {"confirmed": "1"}))
    assert browser.headers["Content-Type"].startswith("text/csv")
    return [row[0] for row in rows[1:]]


async def test_first_passwords_are_not_told_of_who_has_more_by_now(site: Site) -> None:
    """Else they would be a way into the login of somebody above: a reset is refused there."""
    change = acting(site)
    own = await org.add_department(change, "一科")
    rights = {P.HOME_VIEW, P.PERSON_VIEW, P.PERSON_EDIT, P.PERSON_GRANT, P.MESSAGE_VIEW}
    await org.add_role(change, "chief", "科长", rights, ScopeKind.BELOW)
    await org.add_role(change, "clerk", "科员", {P.HOME_VIEW, P.MESSAGE_VIEW}, ScopeKind.BELOW)
    await org.add_role(change, "scribe", "书记", {P.HOME_VIEW, P.PERSON_EDIT}, ScopeKind.BELOW)
    await site.add_staff("chief", "chief")
    await org.set_person(change, "chief", {"department_id": own})
    async with signed_in(site, "chief") as browser:
        rows = [f"某,u{n},,一科,{role}" for n, role in enumerate(("科员", "科员", "书记"))]
        await org.grant(change, "chief", ["chief", "scribe"])
        await bring(browser, table(*rows))
        job = browser.path.rpartition("/")[2]
        assert await first_passwords(browser, job) == ["u0", "u1", "u2"]
        await org.grant(change, "u0", ["super"])  # more than the importer has
        assert "文件含 2 名" in await browser.get(f"/staff/-/import/{job}/passwords")
        assert await first_passwords(browser, job) == ["u1", "u2"]
        await org.grant(change, "chief", ["scribe"])  # who reads no messages any more
        assert await first_passwords(browser, job) == ["u2"]


async def test_cells_that_no_form_would_take_are_told_line_by_line(site: Site, boss: Browser) -> None:
    """A workbook can spell what neither the database nor a list has a place for."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate((("登录名", "姓名"), ("a1", "王\u3000五"), ("b1", "Z甲"),
                                  ("c1", "turned \u202e round"), ("d1", "长" * 65))):  # fmt: skip
            sheet.write_row(at, 0, row)
    spelt = io.BytesIO()
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(spelt, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace("Z甲".encode(), "_x0000_甲".encode()))
    page = await upload(boss, spelt.getvalue(), "staff.xlsx")
    assert boss.status == 200, page
    await boss.post(boss.path, chosen(page))
    await boss.job_done(boss.path)
    assert [(row[1], row[3]) for row in await results(boss)] == [("a1", "已新建"), ("b1", "已新建"), ("c1", "有误"),
                                                                 ("d1", "有误")]  # fmt: skip
    names = {row["login"]: row["name"] for row in await site.db.fetch("SELECT login, name FROM staff")}
    assert (names["a1"], names["b1"]) == ("王 五", "甲")


async def test_one_person_does_not_fill_the_room_for_files(
    site: Site, boss: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "MOST_KEPT", 1)
    await site.add_staff("other", "super")
    await upload(boss, table("王一,wang1,,,"))
    assert boss.status == 200
    page = await upload(boss, table("王一,wang1,,,"))
    assert boss.status == 422
    assert "尚未到期" in page
    assert await site.db.fetchval("SELECT count(*) FROM file") == 1
    async with signed_in(site, "other") as browser:
        await upload(browser, table("王一,wang1,,,"))
        assert browser.status == 200


async def test_what_cannot_be_used_is_said_at_once(site: Site, boss: Browser) -> None:
    page = await upload(boss, b"")
    assert boss.status == 422
    assert "文件为空" in page
    await upload(boss, b"\x00\x01binary")
    assert boss.status == 422
    page = await upload(boss, ("登录名\n" + "".join(f"u{n}\n" for n in range(MOST_ROWS + 1))).encode())
    assert boss.status == 422
    assert "超过 10000 行" in page
    page = await upload(boss, "甲列,乙列\n1,2\n".encode())
    assert boss.status == 200
    assert chosen(page) == {}
    assert (await boss.refused(boss.path, {})).count("此项必填") == 2
    assert await site.db.fetchval("SELECT count(*) FROM job") == 0
    assert await site.db.fetchval("SELECT count(*) FROM file") == 1, "only what can be used is kept"


async def test_an_import_that_is_cut_off_goes_on_where_it_was(site: Site, boss: Browser) -> None:
    """A line that was written down is not done again, whatever the job's run."""
    page = await upload(boss, table("王一,wang1,,,操作员", "李二,li2,,,操作员"))
    fields = chosen(page)
    address = boss.path
    job_id = await site.db.fetchval(
        "INSERT INTO job (kind, params, submitter, subject, node, expires_at, not_before) VALUES"
        " ('staff.import', '{}', 'boss', 'x', 1, now() + interval '1 day', now() + interval '1 hour') RETURNING id"
    )
    await site.db.execute("INSERT INTO sheet_result (job_id, line, outcome, key) VALUES ($1, 2, 'created', 'wang1')",
                          job_id)  # fmt: skip
    await boss.post(address, fields)
    ran = int(boss.path.rpartition("/")[2])
    params = await site.db.fetchval("SELECT params FROM job WHERE id = $1", ran)
    await boss.job_done(boss.path)
    await site.db.execute("DELETE FROM sheet_result WHERE job_id = $1", ran)
    await site.db.execute("UPDATE job SET params = $2, not_before = now() WHERE id = $1", job_id, params)
    await boss.job_done(f"/jobs/{job_id}")
    rows = await site.db.fetch("SELECT line, outcome FROM sheet_result WHERE job_id = $1 ORDER BY line", job_id)
    assert [(row["line"], row["outcome"]) for row in rows] == [(2, "created"), (3, "skipped")]
