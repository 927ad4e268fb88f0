"""List pages made of the kit: who sees what, filters, views, actions, exports and who approves them; the audit log."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import zipfile
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

import asyncpg
import pytest
from browsing import Browser, send, shows
from databases import admin
from portal_site import NODE, SEALER, Site, by_test
from visits import boss, signed_in

from smsgw.admin.kit import discovery
from smsgw.admin.kit.lists import ListPage
from smsgw.admin.pages.person import gallery
from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.permissions import Permission
from smsgw.core.settings import Settings
from smsgw.pipeline.upkeep.auditing import Auditing
from smsgw.platform.exports.model import MOST_FILES
from smsgw.platform.jobs import queries
from smsgw.platform.org import service as org
from smsgw.runtime.config import Config, NodeConfig
from smsgw.store.records import audit

DIALOG = {"X-Dialog": "1"}
__all__ = ["boss"]
pytestmark = pytest.mark.staff(boss="super")


def rows(page: str) -> list[str]:
    """The rows of a list's table, as text."""
    body = re.search(r"<tbody>(.*?)</tbody>", page, re.S)
    found = re.findall(r"<tr\b.*?</tr>", body[1], re.S) if body else []
    return [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", row)).split()) for row in found]


def links(page: str, rel: str) -> list[str]:
    return [html.unescape(found) for found in re.findall(rf'rel="{rel}" href="([^"]+)"', page)]


async def staff(site: Site, n: int) -> None:
    for at in range(n):
        await site.add_staff(f"p{at:03}", "operator", "hall")


async def ids_of(site: Site, *logins: str) -> list[str]:
    found = await site.db.fetch("SELECT id FROM staff WHERE login = ANY($1) ORDER BY login", list(logins))
    return [str(row["id"]) for row in found]


async def actions(site: Site, prefix: str) -> list[tuple[str, str, str]]:
    found = await site.db.fetch(
        "SELECT actor, action, object FROM audit WHERE starts_with(action, $1) ORDER BY id", prefix
    )
    return [(row["actor"], row["action"], row["object"]) for row in found]


def lists() -> dict[str, ListPage]:
    found = [v for m in discovery.modules() for v in vars(m).values() if isinstance(v, ListPage)]
    return {page.name: page for page in found}


@pytest.mark.slow
async def test_every_list_opens_in_every_state(site: Site, boss: Browser) -> None:
    assert set(lists()) >= {"audit", "staff", "jobs"}
    for language in ("zh", "en"):
        await boss.get("/")
        await boss.post("/language", {"language": language, "next": "/"})
        for page in lists().values():
            for query in ("", "?time=custom&from=2026-13-40", "?time=30d&actor=nobody&login=nobody&submitter=nobody"):
                shown = await boss.get(page.path + query)
                assert boss.status == 200, (page.path, query)
                assert "<h1" in shown


async def test_a_list_goes_on_by_cursor_and_back(site: Site, boss: Browser) -> None:
    await staff(site, 45)
    first = await boss.get("/staff")
    assert len(rows(first)) == 20
    assert not links(first, "prev")
    second = await boss.get(links(first, "next")[0])
    third = await boss.get(links(second, "next")[0])
    assert len(rows(third)) == 6
    assert not links(third, "next")
    assert len({*rows(first), *rows(second), *rows(third)}) == 46, "each person once"
    back = await boss.get(links(third, "prev")[0])
    assert (rows(back), rows(await boss.get(links(back, "prev")[0]))) == (rows(second), rows(first))
    # It is good for its own list alone.
    cursor = re.search(r"at=([^&]+)", links(first, "next")[0])
    other_filter = await boss.get(f"/staff?login=p0&at={cursor[1]}")
    assert "已回到第一页" in other_filter
    assert "p000" in rows(other_filter)[0]
    for broken in (cursor[1][:-2] + "xx", "x", "a.b.c", "..", "é", "x" * 5000):
        page = await boss.get(f"/staff?{urlencode({'at': broken})}")
        assert (boss.status, rows(page)) == (200, rows(first))
    async with signed_in(site, "boss2", "super") as other:
        assert "已回到第一页" in await other.get(f"/staff?at={cursor[1]}")


async def test_a_list_is_sorted_by_what_it_knows_alone(site: Site, boss: Browser) -> None:
    await staff(site, 25)
    up = await boss.get("/staff?sort=name")
    down = await boss.get("/staff?sort=-name")
    assert rows(down)[0].startswith("p024")
    assert 'aria-sort="descending"' in down
    for evil in ("phone", "password_hash", "name;DROP TABLE staff", "s.name", "-", "--name"):
        assert rows(await boss.get(f"/staff?{urlencode({'sort': evil})}")) == rows(up)
    for key in ("department", "last_login_at", "created_at"):
        for sign in ("", "-"):
            first = await boss.get(f"/staff?sort={sign}{key}")
            second = await boss.get(links(first, "next")[0])
            assert len({*rows(first), *rows(second)}) == 26, "nobody twice, nobody left out"


async def test_people_are_found_by_many_fields(site: Site, boss: Browser) -> None:
    by = by_test(site.db)
    unit = await org.add_department(by, "财政局")
    await staff(site, 3)
    await org.set_person(by, "p001", {"phone": "13800138001", "email": "li@gov.cn", "department_id": unit})
    await org.stop_person(by, "p002")
    found = {"login=P00": 3, "name=p001": 1, "phone=138+0013+8001": 1, "email=GOV": 1, f"department={unit}": 1,
             "status=stopped": 1, "role=operator": 3, f"account={site.accounts['hall']}": 3,
             "last_login_at_from=2026-01-01": 1, "last_login_at_to=2026-01-01": 0, "login=%25": 0,
             "login=p0&status=active": 2}  # fmt: skip
    for query in ("action=staff&actor=test&object=staff/p0", "address=127.0.0.0/8", "action=staff.add"):
        assert rows(await boss.get(f"/audit?{query}")), query
    for query, n in found.items():
        assert len(rows(await boss.get(f"/staff?{query}"))) == n, query
    shows(await boss.get("/staff?login=p001"), "138****8001", no="13800138001")


@pytest.mark.parametrize(("query", "said"), [
    ("/staff?phone=12", "手机号码格式不正确"),
    ("/staff?status=gone", "没有这个选项"),
    ("/staff?last_login_at_from=x", "日期格式不正确"),
    ("/staff?last_login_at_from=2026-02-01&last_login_at_to=2026-01-01", "开始日期不能晚于结束日期"),
    ("/staff?login=" + "x" * 300, "最多 64 个字"),
    ("/audit?address=1.2.3", "IP 地址格式不正确"),
    ("/audit?time=custom&from=0001-01-01", "日期须在"),
    ("/audit?time=custom&from=2020-01-01&to=2026-01-01", "时间跨度最多 366 天"),
    ("/jobs?kind=%27%22%3E%3Cscript%3E", "没有这个选项"),
])  # fmt: skip
async def test_a_bad_value_is_told_at_its_field(site: Site, boss: Browser, query: str, said: str) -> None:
    page = await boss.get(query)
    assert boss.status == 200
    shows(page, said, 'aria-invalid="true"')
    assert "<script>" not in page.replace("<script src", "")
    assert rows(page) == []


async def test_columns_and_density_are_kept_for_the_person(site: Site, boss: Browser) -> None:
    await staff(site, 12)
    page = await boss.post("/staff/-/layout", [("q", "role=operator"), ("columns", "name"), ("columns", "created_at"),
                                               ("columns", "evil"), ("density", "compact"),
                                               ("size", "10")])  # fmt: skip
    assert (boss.path, page.count("<th scope"), "kit-compact" in page) == ("/staff?role=operator", 2, True)
    assert len(rows(page)) == 10
    async with signed_in(site, "boss2", "super") as other:
        assert (await other.get("/staff")).count("<th scope") == 8
    assert (await boss.post("/staff/-/layout", {"reset": "1", "q": ""})).count("<th scope") == 8


async def test_views_are_kept_and_dropped(site: Site, boss: Browser) -> None:
    await boss.get("/audit?actor=boss&time=30d")
    page = await boss.post("/audit/-/views", {"q": "actor=boss", "name": "  "})
    assert "请填写视图名称" in page, "it says what is missing"
    assert await site.db.fetchval("SELECT count(*) FROM staff_view") == 0
    page = await boss.post("/audit/-/views", {"q": "actor=boss&time=30d&evil=1", "name": "<b>我的</b>"})
    shows(page, "视图已保存", "&lt;b&gt;我的&lt;/b&gt;", 'href="/audit?time=30d&amp;actor=boss"')
    id_ = await site.db.fetchval("SELECT id FROM staff_view")
    async with signed_in(site, "boss2", "super") as other:
        await other.get("/audit")
        assert await other.status_of("/audit/-/views/remove", {"id": str(id_), "q": ""}) == 404, "somebody else's"
    assert "视图已删除" in await boss.post("/audit/-/views/remove", {"id": str(id_), "q": ""})


async def test_a_number_that_is_looked_for_is_masked_in_the_audit_log(site: Site, boss: Browser) -> None:
    await boss.get("/staff?phone=138+0013-8001")
    await boss.post("/staff/-/views", {"q": "phone=138+0013-8001", "name": "一"})
    await boss.post("/staff/-/views", {"q": urlencode({"phone": "+852 5123-4567"}), "name": "二"})
    assert [row["query"] for row in await site.db.fetch("SELECT query FROM staff_view ORDER BY id")] == [
        "phone=13800138001", "phone=%2B85251234567"]  # fmt: skip
    entries = await site.db.fetch("SELECT coalesce(after::text, '') AS said FROM audit WHERE action ~ '^(staff|view)'")
    said = " ".join(row["said"] for row in entries)
    assert said.count("138****8001") == 2, "the search and the view"
    assert not re.search(r"138\D*0013\D*8001", said)


async def test_a_view_takes_the_place_of_its_namesake_though_no_more_may_be_kept(site: Site, boss: Browser) -> None:
    for n in range(20):
        await boss.post("/audit/-/views", {"q": "actor=a", "name": f"n{n}"})
    assert "视图已保存" in await boss.post("/audit/-/views", {"q": "actor=b", "name": "n3"})
    assert "视图已保存" not in await boss.post("/audit/-/views", {"q": "actor=b", "name": "n20"})
    assert await site.db.fetchval("SELECT count(*) FROM staff_view") == 20
    assert await site.db.fetchval("SELECT query FROM staff_view WHERE name = 'n3'") == "actor=b"


async def test_an_entry_shows_before_and_after_as_page_and_as_piece(site: Site, boss: Browser) -> None:
    await staff(site, 1)
    await org.stop_person(by_test(site.db), "p000")
    id_ = await site.db.fetchval("SELECT id FROM audit WHERE action = 'staff.stop'")
    shows(await boss.get(f"/audit/{id_}"), "<h1", "停用人员", "<code class=\"diff-name\">status</code>",
          "<del>正常</del>", "<ins>已停用</ins>")  # fmt: skip
    shows(await boss.get(f"/audit/{id_}", headers=DIALOG), "<ins>已停用</ins>", no="<html")
    for nowhere in ("999999999999", "0", "99999999999999999999999"):
        assert await boss.status_of(f"/audit/{nowhere}") == 404


async def test_a_department_sees_its_own_people_and_acts_on_no_others(site: Site, boss: Browser) -> None:
    by = by_test(site.db)
    ours, theirs = [await org.add_department(by, name) for name in ("甲", "乙")]
    rights = [Permission.PERSON_VIEW, Permission.PERSON_STOP, Permission.AUDIT_VIEW]
    await org.add_role(by, "chief", "科长", rights, ScopeKind.DEPARTMENT)
    for login, unit in (("chief", ours), ("mine", ours), ("other", theirs)):
        await site.add_staff(login, "chief" if login == "chief" else "operator")
        await org.set_person(by, login, {"department_id": unit})
    (other,) = await ids_of(site, "other")
    async with signed_in(site, "chief") as browser:
        assert {row.split()[2] for row in rows(await browser.get("/staff"))} == {"chief", "mine"}
        assert await browser.status_of(f"/staff/{other}") == 404
        assert "已过期" in await browser.refusal("/staff/-/do/stop", {"id": other, "q": ""})
        assert "共 2 条" in await browser.get("/staff/-/total")
        assert {row.split()[2] for row in rows(await browser.get("/audit?time=today"))} == {"chief"}
    assert await site.db.fetchval("SELECT status FROM staff WHERE login = 'other'") == "active"


async def test_people_are_stopped_after_the_effect_was_told(site: Site, boss: Browser) -> None:
    await staff(site, 3)
    first, second = (await ids_of(site, "p000", "p001"))[:2]
    await boss.get("/staff")
    fields = [("q", "role=operator"), ("id", first), ("id", second), ("selection", "")]
    asked = await boss.post("/staff/-/effect/stop", fields, headers=DIALOG)
    assert ("将停用 2 名员工（p000 先生, p001 先生）" in asked, "<html" in asked) == (True, False)
    assert "已处理 2 条" in await boss.post("/staff/-/do/stop", fields)
    assert len(rows(await boss.get("/staff?status=stopped"))) == 2
    assert ("boss", "staff.stop", "staff/p001") in await actions(site, "staff.stop")
    own = (await ids_of(site, "boss"))[0]
    shows(await boss.post("/staff/-/do/stop", {"id": own, "q": ""}), "1 条未处理", "不能修改自己")
    assert "请先选择记录" in await boss.post("/staff/-/effect/stop", {"q": ""})
    assert boss.status == 422
    many = [("id", str(n)) for n in range(1, 400)]
    assert await boss.status_of("/staff/-/effect/stop", many) in (200, 422)


async def test_all_that_a_filter_finds_is_a_token_of_the_server(site: Site, boss: Browser) -> None:
    await staff(site, 30)
    total = await boss.get("/staff/-/total?role=operator")
    assert "共 30 条" in total
    token = re.search(r'data-pick-found="([^"]+)"', total)
    await boss.get("/staff")
    assert "将停用 30 名员工" in await boss.post("/staff/-/effect/stop", {"selection": token[1], "q": ""})
    await site.add_staff("late", "operator", "hall")
    said = await boss.refusal("/staff/-/do/stop", {"selection": token[1], "q": ""})
    assert "已增加到 31 条（选择时为 30 条）" in said
    assert await actions(site, "staff.stop") == []
    for forged in (token[1][:-1] + ("A" if token[1][-1] != "A" else "B"), "x.y.z"):
        assert "已过期" in await boss.post("/staff/-/do/stop", {"selection": forged, "q": ""})
    async with signed_in(site, "boss2", "super") as other:
        await other.get("/staff")
        assert "已过期" in await other.post("/staff/-/do/stop", {"selection": token[1], "q": ""})
    token = re.search(r'data-pick-found="([^"]+)"', await boss.get("/staff/-/total?role=operator"))
    assert "已处理 31 条" in await boss.post("/staff/-/do/stop", {"selection": token[1], "q": ""})


async def test_who_was_wrong_too_often_is_let_try_again(site: Site, boss: Browser) -> None:
    await staff(site, 1)
    async with Browser(site) as browser:
        for _ in range(8):
            await browser.login("p000", "wrong")
        await browser.login("p000")
        assert "smsgw" not in browser.cookies, "has to wait"
        (id_,) = await ids_of(site, "p000")
        await boss.get("/staff")
        assert "已处理 1 条" in await boss.post("/staff/-/do/unlock", {"id": id_, "q": ""})
        await browser.login("p000")
        assert "smsgw" in browser.cookies
    assert ("boss", "staff.unlock", "staff/p000") in await actions(site, "staff.unlock")


ASKED = {"q": "", "reason": "审计检查", "format": "csv"}


async def made(browser: Browser) -> str:
    """The job of an export of the audit log, once it is done."""
    await browser.post("/audit/-/export", ASKED)
    job = browser.path
    assert "已完成" in await browser.job_done(job)
    return job


async def link_to(browser: Browser, job: str) -> str:
    """Where its file is, which has not been opened yet."""
    async with browser.session.post(f"{job}/link", data={"csrf": browser.csrf}, allow_redirects=False) as response:
        return response.headers["Location"]


async def exported(boss: Browser, form: dict[str, str], path: str = "/audit") -> bytes:
    await boss.post(f"{path}/-/export", form)
    assert boss.path.startswith("/jobs/"), boss.status
    job = boss.path
    assert "已完成" in await boss.job_done(job)
    async with boss.session.post(f"{job}/link", data={"csrf": boss.csrf}) as response:
        assert (response.status, response.headers["Cache-Control"]) == (200, "no-store")
        named = f"attachment; filename*=UTF-8''{quote('短信平台-审计日志-')}"
        assert response.headers["Content-Disposition"].startswith(named)
        octets = await response.read()
        address = response.url.path
    assert await boss.status_of(address) == 404, "the link opens once"
    return octets


async def test_an_export_holds_what_the_list_shows(site: Site, boss: Browser) -> None:
    await audit.record(site.db, Actor.system("=cmd|'/C calc'!A0").author, "test.evil", "＝HYPERLINK(1)")
    await audit.record(site.db, Actor.system("x").author, "test.other", "13800138000")
    form = {"q": "action=test&time=today", "reason": "审计检查", "format": "csv"}
    octets = await exported(boss, form)
    table = list(csv.reader(io.StringIO(octets.decode("utf-8-sig"))))
    assert table[0] == ["时间", "操作人", "操作", "对象", "来源地址"]
    assert [row[2] for row in table[1:3]] == ["test.other", "test.evil"]
    assert table[2][1].startswith("'=cmd")
    assert table[2][3].startswith("'＝")
    assert "13800138000" not in octets.decode()
    assert table[-1][0].startswith("短信平台　导出人：boss 先生 (boss)")
    assert "审计检查" in table[-1][0]
    steps = [action for _, action, _ in await actions(site, "export.")]
    assert steps == ["export.request", "export.link", "export.fetch"]
    await audit.record(site.db, Actor.system("=1+1").author, "test.evil", "@SUM(1)")
    octets = await exported(boss, {"q": "action=test", "reason": "审计检查", "format": "xlsx"})
    with zipfile.ZipFile(io.BytesIO(octets)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        words = "".join(book.read(name).decode() for name in book.namelist() if name.endswith(".xml"))
    assert "<f>" not in sheet
    assert "&apos;=1+1" in words or "'=1+1" in words
    assert "导出人" in words


async def test_an_export_needs_a_reason(site: Site, boss: Browser) -> None:
    for reason, said in (("", "此项必填"), ("x", "至少 2 个字"), ("x" * 201, "最多 200 个字")):
        assert said in await boss.refusal("/audit/-/export", {"q": "", "reason": reason, "format": "csv"})
    shows(await boss.get("/audit/-/export?time=today", headers=DIALOG), "条记录", no="<html")
    assert await site.db.fetchval("SELECT count(*) FROM job") == 0
    # Files are kept up to a number a person.
    for n in range(MOST_FILES):
        await site.db.execute(
            "INSERT INTO file (id, node, kind, name, media_type, size, sha256, submitter, expires_at) VALUES"
            " ($1, 1, 'export', 'a.csv', 'text/csv', 1, $2, 'boss', now() + interval '1 hour')", n, b"x" * 32,
        )  # fmt: skip
    assert "已达上限" in await boss.refusal("/audit/-/export", {"format": "csv", "reason": "年度核查"})
    await site.db.execute("DELETE FROM file WHERE id = 0")
    await boss.post("/audit/-/export", {"format": "csv", "reason": "年度核查"})
    assert boss.path.startswith("/jobs/")
    # And there are so many at a time.
    await site.db.execute(
        "INSERT INTO job (kind, submitter, node, expires_at) SELECT 'export', 'boss', 9, now() + interval '1 h'"
        " FROM generate_series(1, 3)"
    )
    assert await boss.status_of("/audit/-/export", ASKED) == 429


async def test_a_file_is_for_who_asked_for_it_in_that_session(site: Site, boss: Browser) -> None:
    job = await made(boss)
    async with signed_in(site, "boss2", "super") as other:
        assert f"{job}/link" not in await other.get(job)
        assert await other.status_of(f"{job}/link", {}) == 404
        address = await link_to(boss, job)
        assert await other.status_of(address) == 404, "somebody else's"
        async with signed_in(site, "boss") as again:
            assert await again.status_of(address) == 404, "another session of the same person"
    # Who only looks ahead does not use it up.
    async with boss.session.head(address) as response:
        assert response.status == 400
    for purpose in ("prefetch", "prefetch;prerender"):
        assert await boss.status_of(address, headers={"Sec-Purpose": purpose}) == 400
    assert await actions(site, "export.fetch") == []
    assert "审计检查" in (await boss.octets(address)).decode("utf-8-sig")


async def test_the_right_is_looked_at_again_when_the_file_is_made_and_fetched(site: Site) -> None:
    by = by_test(site.db)
    async with signed_in(site, "auditor", "auditor") as browser:
        job = await made(browser)
        await org.set_permissions(by, "auditor", allowed=(), withheld=[Permission.AUDIT_EXPORT])
        assert await browser.status_of(f"{job}/link", {}) == 403
        id_ = await site.db.fetchval(
            "INSERT INTO job (kind, params, submitter, node, expires_at)"
            " SELECT kind, params, submitter, node, expires_at FROM job WHERE kind = 'export' RETURNING id"
        )
        assert "没有权限" in await browser.job_done(f"/jobs/{id_}")


async def test_a_file_is_only_for_who_would_still_see_all_of_it(site: Site) -> None:
    by = by_test(site.db)
    unit = await org.add_department(by, "甲")
    rights = [Permission.AUDIT_VIEW, Permission.AUDIT_EXPORT]
    await org.add_role(by, "wide", "全", rights, ScopeKind.ALL)
    await org.add_role(by, "narrow", "窄", rights, ScopeKind.DEPARTMENT)
    await site.add_staff("one", "wide")
    await org.set_person(by, "one", {"department_id": unit})
    async with signed_in(site, "one") as browser:
        job = await made(browser)
        address = await link_to(browser, job)
        await org.grant(by, "one", ["narrow"])
        assert await browser.status_of("/audit") == 200, "logged in, with the list"
        assert await browser.status_of(address) == 403
        assert await browser.status_of(f"{job}/link", {}) == 403
        await org.grant(by, "one", ["wide"])
        await org.set_permissions(by, "one", allowed=(), withheld=[Permission.AUDIT_VIEW])
        assert await browser.status_of(address) == 403, "may export what cannot be seen"
        await org.set_permissions(by, "one", allowed=(), withheld=())
        async with browser.session.get(address) as response:
            assert response.status == 200, "a refusal uses no link up"


async def test_a_long_filter_is_exported_whole_or_not_at_all(site: Site, boss: Browser) -> None:
    wanted = {"actor": "甲" * 64, "action": "乙" * 64, "object": "100%41 a+b&c=" + "丙" * 50, "address": "10.0.0.0/8"}
    asked = await boss.get(f"/audit/-/export?{urlencode(wanted)}")
    query = re.search(r'name="q" value="([^"]*)"', asked)
    await boss.post("/audit/-/export", {"q": html.unescape(query[1]), "reason": "审计检查", "format": "csv"})
    assert boss.path.startswith("/jobs/"), boss.status
    params = json.loads(await site.db.fetchval("SELECT params FROM job"))
    assert params["query"] == wanted | {"sort": "-at"}
    await boss.post("/audit/-/export", {"q": "x=" + "x" * 9000, "reason": "审计检查", "format": "csv"})
    assert boss.status == 400
    assert await site.db.fetchval("SELECT count(*) FROM job") == 1


async def test_ones_own_jobs_are_seen_and_cancelled(site: Site) -> None:
    await site.add_staff("one", "operator", "hall")
    await site.add_staff("two", "operator", "hall")
    id_ = await site.db.fetchval(
        "INSERT INTO job (kind, submitter, node, expires_at) VALUES ('export', 'one', 9, now() + interval '1 h')"
        " RETURNING id"
    )
    async with signed_in(site, "one") as one, signed_in(site, "two") as two:
        assert rows(await two.get("/jobs")) == []
        assert await two.status_of(f"/jobs/{id_}") == 404
        assert await two.status_of("/jobs/-/do/cancel", {"id": str(id_), "q": ""}) == 422
        assert len(rows(await one.get("/jobs"))) == 1
        piece = await one.get("/jobs/-/rows?")
        assert "<html" not in piece
        assert len(rows(piece)) == 1
        again = {"X-Have": one.headers["X-Piece"]}
        assert await one.status_of("/jobs/-/rows?", headers=again) == 204
        await site.db.execute("UPDATE job SET total = 7, done = 3 WHERE id = $1", id_)
        assert await one.get("/jobs/-/rows?", headers=again) != piece, "news at once"
        assert one.status == 200
        assert "将取消 1 个任务" in await one.post("/jobs/-/effect/cancel", {"id": str(id_), "q": ""})
        assert "已处理 1 条" in await one.post("/jobs/-/do/cancel", {"id": str(id_), "q": ""})
    assert await site.db.fetchval("SELECT state FROM job") == "cancelled"


async def test_a_field_is_checked_when_it_is_left_and_a_form_keeps_what_was_typed(site: Site, boss: Browser) -> None:
    page = await boss.get("/_ui")
    key = re.search(r'<input class="form-control" type="text" value="[^"]*" autocomplete="off" id="(\w+)" name', page)
    wrong = dict.fromkeys(gallery.KEYS.values(), "\x07typed")
    piece = await boss.refusal("/_ui", wrong | {"check": key[1]})
    assert piece.strip().startswith(f'<div class="field" id="field-{key[1]}"')
    assert f'aria-describedby="{key[1]}-problem' in piece
    assert (await boss.post("/_ui", {key[1]: "fine", "check": key[1]})).count("field-problem") == 0
    assert boss.status == 200
    page = await boss.refusal("/_ui", wrong)
    shows(page, "处需要修改", 'value="\x07typed"')
    assert page.partition('class="still"')[0].count("autofocus") == 1
    async with signed_in(site, "lee", "admin") as other:
        assert await other.status_of("/_ui") == 404


APPROVED = pytest.mark.staff(asker="super", other="super")


async def asked(site: Site, browser: Browser, query: str = "action=staff.add", of: str = "/audit") -> str:
    """The address of the job of an export, of which those of more than one row need an approval."""
    site.snapshots.change(settings=Settings(export_approval_rows=1))
    await browser.post(f"{of}/-/export", {"q": query, "reason": "季度检查", "format": "csv"})
    assert re.fullmatch(r"/jobs/\d+", browser.path), browser.path
    return browser.path


@APPROVED
async def test_somebody_else_approves_what_is_large(site: Site) -> None:
    async with signed_in(site, "asker") as asker, signed_in(site, "other") as other:
        small = await asked(site, asker, "action=staff.add&actor=nobody")
        assert "已完成" in await asker.job_done(small)
        await site.db.execute("DELETE FROM job")
        job = await asked(site, asker)
        shows(await asker.get(job), "asker 申请导出约 3 行", no="批准导出")
        assert await asker.status_of(f"{job}/approve", {}) == 409
        assert await queries.claim(site.db, 1, {"export": 9}, timedelta(seconds=15)) is None
        assert "批准导出" in await other.get(job)
        await other.post(f"{job}/approve", {})
        assert "已完成" in await asker.job_done(job)
        assert await asker.status_of(f"{job}/link", {}) == 200
        assert await other.status_of(f"{job}/approve", {}) == 409
        rows = await site.db.fetch("SELECT actor, action FROM audit WHERE action LIKE 'export.%' ORDER BY id OFFSET 1")
        assert [tuple(row) for row in rows] == [("asker", "export.request"), ("other", "export.approve"),
                                                ("asker", "export.link"), ("asker", "export.fetch")]  # fmt: skip
        # Or does not, and says why.
        job = await asked(site, asker)
        id_ = job.rpartition("/")[2]
        await other.post("/jobs/-/do/reject", {"id": id_, "reason": ""})
        assert await site.db.fetchval("SELECT state FROM job WHERE id = $1", int(id_)) == "waiting"
        await other.post("/jobs/-/do/reject", {"id": id_, "reason": "范围过大，请按部门导出"})
        shows(await asker.job_done(job), "other 驳回了导出申请：范围过大，请按部门导出", no=f"{job}/link")


@APPROVED
async def test_a_list_that_cannot_be_counted_waits_as_well(site: Site) -> None:
    """时延分析 by hour: a row an hour of the day."""
    for n in range(2):
        await send(site, to=f"1380013800{n}")
    (first, _), _ = await site.carrier_takes()
    async with signed_in(site, "asker") as asker:
        asks = (site, asker, "along=hour&time=7d", "/reports/delays")
        assert "已完成" in await asker.job_done(await asked(*asks))
        await site.db.execute("UPDATE part SET accepted_at = accepted_at - interval '1 hour' WHERE id = $1", first)
        assert "asker 申请导出约 2 行" in await asker.get(await asked(*asks))


@pytest.fixture
def sealed() -> None:
    """The audit log is signed as by a node, with whose keys it is verified."""
    audit.use(lambda: SEALER)


async def attack(dsn: str, statement: str, *values: object) -> str:
    """Past all triggers and rights; what became of it."""
    root = await asyncpg.connect(admin(dsn), timeout=10, command_timeout=60)
    try:
        async with root.transaction():
            await root.execute("SET LOCAL session_replication_role = replica")
            return str(await root.execute(statement, *values))
    finally:
        await root.close()


EDIT, DELETE = "UPDATE audit SET actor = $2 WHERE id = $1", "DELETE FROM audit WHERE id = $1"


async def verdict(boss: Browser) -> str:
    """Press the button; what the job's page says in the end."""
    assert 'action="/audit/-/verify"' in await boss.get("/audit")
    await boss.post("/audit/-/verify", {})
    job = boss.path
    assert re.fullmatch(r"/jobs/[0-9]+", job)
    page = await boss.job_done(job)
    told = re.search(r'<div class="note note-(good|bad)"[^>]*>(.*?)</div>', page, re.S)
    assert told, page
    return f"{told[1]} {' '.join(re.sub(r'<[^>]+>', ' ', told[2]).split())}"


@pytest.mark.usefixtures("sealed")
async def test_a_row_that_was_changed_is_found_by_the_button(site: Site, dsn: str, tmp_path: Path) -> None:
    chain = Auditing(site.db, SEALER, Config(node=NodeConfig(number=NODE, data_dir=tmp_path)))
    await chain.start()
    async with signed_in(site, "boss") as boss:
        await boss.get("/audit")
        await chain.step()
        sealed = await site.db.fetchval("SELECT count(*) FROM audit_link")
        assert sealed > 3
        assert await verdict(boss) == f"good 校验通过：{sealed:,} 条记录完整，未被改动"
        assert await site.db.fetchval("SELECT actor FROM audit WHERE action = 'audit.verify'") == "boss"

        row = await site.db.fetchrow("SELECT id, actor FROM audit WHERE action = 'staff.add'")
        assert await attack(dsn, EDIT, row["id"], "nobody") == "UPDATE 1"
        assert await verdict(boss) == f"bad 校验发现 1 处异常，请立即联系安全管理员 记录被改动（{row['id']}）"

        assert await attack(dsn, EDIT, row["id"], row["actor"]) == "UPDATE 1"
        assert (await verdict(boss)).startswith("good "), "it was that row alone"

        assert await attack(dsn, DELETE, row["id"]) == "DELETE 1"
        assert await verdict(boss) == f"bad 校验发现 1 处异常，请立即联系安全管理员 记录被删除（{row['id']}）"
    await chain.stop()
