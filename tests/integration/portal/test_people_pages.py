"""Departments, people, sub-accounts and roles in the portal: by role and scope, from a table, and their way in."""

from __future__ import annotations

import html
import io
import re
import zipfile

import pytest
import xlsxwriter
from browsing import Browser, lacks, shows
from portal_site import PASSWORD, Site
from test_sending_pages import held
from visits import acting, acting_as, actions, add_role, all_signed_in, boss, guessed, signed_in

from smsgw.admin.app import routes
from smsgw.admin.kit import people
from smsgw.admin.pages.people.roles import GIVEN
from smsgw.admin.words.people import NAMED
from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState
from smsgw.platform.login import queries as login_queries
from smsgw.platform.org import factors, queries, service as org
from smsgw.platform.sheets import service as sheets
from smsgw.platform.sheets.model import MOST_ROWS

EDGE = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36 Edg/120.0.2210.91"
P = Permission
__all__ = ["boss"]
pytestmark = pytest.mark.staff(boss="super")


async def send(browser: Browser, path: str, *fields: tuple[str, str], confirmed: bool = True) -> str:
    """Open a form and send it, its effect confirmed."""
    return await browser.post(path, [*fields, *([("confirmed", "1")] if confirmed else [])])


async def id_of(site: Site, login: str) -> int:
    return int(await site.db.fetchval("SELECT id FROM staff WHERE login = $1", login))


async def role_id(site: Site, code: str) -> int:
    return int(await site.db.fetchval("SELECT id FROM role WHERE code = $1", code))


async def two_departments(site: Site) -> tuple[int, int]:
    """One with a manager of its people, ``chief``, and ``worker`` in it; another one with ``stranger`` in it."""
    change = acting(site)
    own, other = await org.add_department(change, "一科"), await org.add_department(change, "二科")
    rights = {P.DEPARTMENT_VIEW, P.DEPARTMENT_EDIT, P.PERSON_VIEW, P.PERSON_EDIT, P.PERSON_GRANT, P.PERSON_RESET,
              P.PERSON_STOP, P.ROLE_VIEW, P.MESSAGE_VIEW}  # fmt: skip
    await add_role(site, "chief", rights, ScopeKind.BELOW, people=["chief"])
    await add_role(site, "clerk", {P.MESSAGE_VIEW}, ScopeKind.BELOW, people=["worker", "stranger"])
    for login, place in (("chief", own), ("worker", own), ("stranger", other)):
        await org.set_person(change, login, {"department_id": place})
    return own, other


async def test_a_department_is_made_changed_moved_and_removed(site: Site, boss: Browser) -> None:
    assert "办公室" in await send(boss, "/departments/-/new", ("name", "办公室"))
    top = int(boss.path.rpartition("/")[2])
    await send(boss, "/departments/-/new", ("name", "科室"), ("parent", ""))
    below = int(boss.path.rpartition("/")[2])
    parent = "SELECT parent_id FROM department WHERE id = $1"
    moved = (f"/departments/{below}/move", ("parent", str(top)))
    assert "共 1 个部门、0 名人员、0 个短信账号" in await send(boss, *moved, confirmed=False)
    assert await site.db.fetchval(parent, below) is None, "asked only"
    await send(boss, *moved)
    assert await site.db.fetchval(parent, below) == top
    page = await boss.get(f"/departments/{below}")
    assert re.search("归属变更.*隶属 办公室.*（当前）.*顶级部门", page, re.S), "where it has been"
    edited = (f"/departments/{below}/edit", ("name", "科室二"), ("month_quota", "500"))
    await send(boss, *edited, ("manager", "boss"))
    assert boss.status == 422, "oneself"
    await site.add_staff("lead", "operator")
    shows(await send(boss, *edited, ("manager", "lead")), "科室二", "0 / 500 条")
    await send(boss, f"/departments/{top}/remove")
    assert boss.status == 422
    await send(boss, f"/departments/{below}/remove")
    assert boss.path == "/departments"
    await send(boss, f"/departments/{top}/remove")
    assert (await queries.departments(site.db, Actor.system("test").scope)) == []
    done = ["add", "add", "move", "set", "remove", "remove"]
    assert await actions(site, "department.") == [f"department.{one}" for one in done]


async def test_what_a_service_refuses_stands_at_the_field_in_both_languages(site: Site, boss: Browser) -> None:
    await send(boss, "/departments/-/new", ("name", "办公室"))
    page = await send(boss, "/departments/-/new", ("name", "办公室"))
    assert boss.status == 422
    assert re.search(r'id="name-problem"[^>]*>[^<]*办公室', page)
    await boss.post("/language", {"language": "en", "next": "/"})
    role = (("code", "Bad"), ("name", "x"), ("scope", "all"), ("permission", "home.view"))
    for path, field, fields in (("departments", "name", [("name", "办公室")]),
                                ("staff", "login", [("login", "a b"), ("name", "x")]),
                                ("roles", "code", role)):  # fmt: skip
        page = await send(boss, f"/{path}/-/new", *fields)
        assert re.search(rf'id="{field}-problem"[^>]*>[^<]*[a-z]{{3}}', page), path


async def test_what_people_have_named_is_not_translated(site: Site, boss: Browser) -> None:
    """部门 and 财务 are words of ours, too: as names of a department, a role, an account they stand as they are."""
    change = acting(site)
    await org.add_department(change, "部门")
    await org.add_role(change, "own", "状态", [Permission.HOME_VIEW], ScopeKind.ACCOUNTS)
    await site.add_staff("zhao", "own")
    await boss.post("/language", {"language": "en", "next": "/"})
    page = await boss.get("/staff")
    assert re.search(r"<option[^>]*>部门</option>", page)
    assert re.search(r"<option[^>]*>状态</option>", page)
    assert re.search(r"<option[^>]*>Finance</option>", page), "what comes with the program is translated"
    assert re.search(r'class="tag[^"]*"[^>]*>状态<', page)
    assert re.search(r'class="tag[^"]*"[^>]*>Platform administrator<', page)
    assert "状态" in await boss.get("/staff/-/new")
    async with signed_in(site, "zhao") as own:
        await own.post("/language", {"language": "en", "next": "/"})
        assert "zhao · 状态" in await own.get("/me")


async def test_another_departments_ids_are_not_there(site: Site) -> None:
    own, other = await two_departments(site)
    worker = await id_of(site, "worker")
    async with signed_in(site, "chief") as chief:
        shows(await chief.get("/departments"), "一科", no="二科")
        for path in (f"/departments/{own}", f"/departments/{own}/edit", f"/staff/{worker}", f"/staff/{worker}/edit",
                     f"/users/{worker}/rights"):  # fmt: skip
            assert await chief.status_of(path) == 200, path
        for place in (str(other), ""):  # no such choice, and the top is not theirs
            await chief.refused(f"/departments/{own}/move", {"parent": place, "confirmed": "1"})
            await chief.refused(f"/staff/{worker}/edit", {"name": "x", "department": place, "confirmed": "1"})
    assert await site.db.fetchval("SELECT department_id FROM staff WHERE login = 'worker'") == own


async def test_nobody_gives_what_they_lack(site: Site) -> None:
    await two_departments(site)
    worker = await id_of(site, "worker")
    async with signed_in(site, "chief") as chief:
        shows(await chief.get(f"/staff/{worker}/roles"), 'value="clerk"', no='value="super"')
        await chief.refused(f"/staff/{worker}/roles", {"role": "super", "confirmed": "1"})
        shows(await chief.get(f"/users/{worker}/rights"), 'value="person.reset"', no='value="message.export"')
        await chief.refused(f"/users/{worker}/rights", {"permission": "message.export", "confirmed": "1"})
        assert await chief.status_of("/roles/-/new") == 403, "hidden is forbidden, too"
        assert await chief.status_of(f"/roles/{await role_id(site, 'clerk')}") == 200
        assert "新建角色" not in await chief.get("/roles")
        own = f"/users/{await id_of(site, 'chief')}/rights"
        await chief.refused(own, {"permission": "message.view", "confirmed": "1"})
    person = await queries.person(site.db, "worker")
    assert ([role.code for role in person.roles], person.allowed) == (["clerk"], frozenset())


async def test_a_new_person_logs_in_with_the_password_that_was_shown_once(site: Site, boss: Browser) -> None:
    page = await send(boss, "/staff/-/new", ("login", "new"), ("name", "新人"), ("phone", "13800138000"),
                      ("role", "operator"), ("accounts", str(site.accounts["hall"])))  # fmt: skip
    (password,) = re.findall(r'class="one-time">([^<]+)<', html.unescape(page))
    assert "no-store" in boss.headers["Cache-Control"]
    id_ = await id_of(site, "new")
    lacks(await boss.get(f"/staff/{id_}"), password, "13800138000")
    assert password not in str(await site.db.fetch("SELECT * FROM audit"))
    async with Browser(site) as browser:
        await browser.login("new", password)
        assert browser.path == "/password"
        await send(boss, f"/staff/{id_}/reset")
        assert (await browser.led_to("/")).startswith("/login"), "the session ended"
    await send(boss, f"/staff/{id_}/edit", ("name", "改名"), ("email", "a@b.cn"))
    row = await site.db.fetchrow("SELECT name, email, phone FROM staff WHERE login = 'new'")
    assert (row["name"], row["email"], bool(row["phone"])) == ("改名", "a@b.cn", True), "an empty number is kept"
    await send(boss, f"/staff/{id_}/roles", ("role", "finance"), ("role", "operator"))
    person = await queries.person(site.db, "new")
    assert {role.code for role in person.roles} == {"finance", "operator"}
    await boss.post("/staff/-/do/remove", {"id": str(id_)})
    assert await site.db.fetchval("SELECT status FROM staff WHERE login = 'new'") == "removed"
    assert "新人" not in await boss.get("/staff")
    assert "改名" in await boss.get("/staff?status=removed")
    shows(await boss.get(f"/staff/{id_}"), "该员工已删除，不能登录", no=f"/staff/{id_}/edit")
    for below in ("edit", "roles", "reset"):
        assert await boss.status_of(f"/staff/{id_}/{below}") == 404
    async with Browser(site) as browser:
        await browser.login("new", password)
        assert browser.path.startswith("/login")
    assert await boss.status_of(f"/users/{id_}") == 404


async def test_boxes_give_beyond_the_roles_and_take_from_them(site: Site, boss: Browser) -> None:
    id_ = await site.add_staff("sub", "operator", "hall")
    before = await queries.person(site.db, "sub")
    assert (P.MESSAGE_VIEW in before.permissions, P.ACCOUNT_STOP in before.permissions) == (True, False)
    page = await boss.get(f"/users/{id_}/rights")
    shows(page, "导出下行记录", "导出上行记录", "业务启停", "修改子号密码", "搜索短信")
    async with signed_in(site, "sub") as sub:
        assert await sub.status_of("/records") == 200
        await send(boss, f"/users/{id_}/rights", ("permission", "account.stop"), ("permission", "message.export"))
        assert await sub.status_of("/records") == 403, "at the next request"
        assert "/records" not in await sub.get("/")
    person = await queries.person(site.db, "sub")
    assert (P.ACCOUNT_STOP in person.allowed, P.MESSAGE_VIEW in person.withheld) == (True, True)
    assert before.permissions - person.permissions <= {*map(P, ("message.view", "message.read", "message.unmask",
        "message.send", "message.cancel", "inbound.view", "inbound.handle", "inbound.export",
        "statistics.view", "statistics.export", "contact.export", "person.reset",
        "message.export"))}, "what is not offered stays"  # fmt: skip
    assert "短信账号 · 启停" in await boss.get(f"/users/{id_}")


async def test_a_role_is_made_copied_changed_and_removed(site: Site, boss: Browser) -> None:
    await send(boss, "/roles/-/new", ("code", "desk"), ("name", "窗口"), ("scope", "own"), ("permission", "home.view"),
               ("permission", "message.send"), ("permission", "message.view"))  # fmt: skip
    id_ = await role_id(site, "desk")
    assert boss.path == f"/roles/{id_}"
    await site.add_staff("li", "desk", "hall")
    less = {"name": "窗口", "scope": "own", "permission": "home.view"}
    await boss.confirms(f"/roles/{id_}/edit", less, "2 项权限", "1 名人员")
    assert (await queries.role(site.db, "desk")).permissions == {P.HOME_VIEW}
    await send(boss, f"/roles/{id_}/copy", ("code", "desk2"), ("name", "窗口二"))
    assert (await queries.role(site.db, "desk2")) is not None
    await boss.post("/roles/-/do/remove", {"id": str(id_)})
    assert await queries.role(site.db, "desk"), "somebody has it"
    await boss.post("/roles/-/do/remove", {"id": str(await role_id(site, "desk2"))})
    assert await queries.role(site.db, "desk2") is None
    builtin = await role_id(site, "operator")
    assert await boss.status_of(f"/roles/{builtin}/edit") == 404, "those that come with the program stay"
    two = [("code", "two"), ("name", "两员"), ("scope", "all"), ("confirmed", "1"), ("permission", "role.edit")]
    await boss.refused("/roles/-/new", [*two, ("permission", "audit.view")], 'role="alert"')
    assert await queries.role(site.db, "two") is None


async def test_the_matrix_of_all_roles_is_taken_away_as_any_list(site: Site, boss: Browser) -> None:
    await org.add_role(acting(site), "evil", "=1+1", {P.HOME_VIEW}, ScopeKind.OWN)
    await boss.refused("/roles/-/matrix", {"format": "csv", "confirmed": "1"}, "此项必填")
    await send(boss, "/roles/-/matrix", ("format", "csv"), ("reason", "年度权限核查"))
    await boss.job_done(job := boss.path)
    rows = await boss.table_at(f"{job}/link", {})
    assert len(rows) == len(GIVEN) + 3, "names, scopes, all that roles give, the watermark"
    assert "'=1+1" in rows[0]
    shows(rows[-1][0], "年度权限核查", "(boss)")


async def test_a_single_right_is_enough_for_what_it_names(site: Site, boss: Browser) -> None:
    """Beyond a role that has nothing else: the menu leads to the place, and the place has the button."""
    change, hall = acting(site), site.accounts["hall"]
    await org.add_role(change, "none", "没有", {P.HOME_VIEW}, ScopeKind.ALL)
    clerk_id, other = [await site.add_staff(login, "none") for login in ("clerk", "other")]
    ids = [await held(site, "hall", n=1) for _ in range(2)]
    async with signed_in(site, "clerk") as clerk:
        for right, menu, page, action in (
            ("account.stop", "/accounts", f"/accounts/{hall}", "/accounts/-/effect/stop"),
            ("person.reset", "/staff", f"/staff/{other}", f"/staff/{other}/reset"),
            ("message.cancel", "/records", "/records", "/records/-/effect/cancel"),
        ):
            await send(boss, f"/users/{clerk_id}/rights", ("permission", right))
            assert f'href="{menu}"' in await clerk.get("/duty"), right
            assert action in await clerk.get(page), right
        asked = await clerk.post("/records/-/effect/cancel", {"id": str(ids[0])})
        assert "将取消 1 条尚未提交运营商的短信（1 条计费退回）" in asked
        assert "已处理 1 条" in await clerk.post("/records/-/do/cancel", {"id": str(ids[0])})
        assert await site.db.fetchval("SELECT state FROM part WHERE id = $1", ids[0]) == PartState.CANCELLED
        await send(boss, f"/users/{clerk_id}/rights")
        assert await clerk.status_of("/records/-/do/cancel", {"id": str(ids[1])}) == 403
    done = await site.db.fetchrow("SELECT actor, object FROM audit WHERE action = 'message.cancel'")
    assert tuple(done) == ("clerk", f"message/{ids[0]}")


@pytest.mark.slow
async def test_every_box_governs_what_it_names(site: Site, hurried: None) -> None:
    """Taken away though a role has it, every address and service of it says no; given beyond a role, none does."""
    change = acting(site)
    boxes = sorted(map(Permission, NAMED))
    await org.add_role(change, "all", "全部", {P.HOME_VIEW, *boxes}, ScopeKind.ALL)
    await org.add_role(change, "none", "没有", {P.HOME_VIEW}, ScopeKind.ALL)
    await site.add_staff("without", "all")
    await site.add_staff("with", "none")
    async with all_signed_in(site, "without", "with") as (without, having):
        for box in boxes:
            await org.set_permissions(change, "without", allowed=(), withheld={box})
            await org.set_permissions(change, "with", allowed={box}, withheld=())
            for login, may in (("without", False), ("with", True)):
                assert (await queries.person(site.db, login)).actor().may(box) is may
            for route in (r for r in routes() if r.action is box):
                first = re.sub(r"{[a-z_]+:([a-z_]+)\|[a-z_|]+}", r"\1", route.path)  # of several words
                path = re.sub(r"{[^{}]*(?:{[^{}]*}[^{}]*)*}", "1", first)
                for browser, refused in ((without, True), (having, False)):
                    data = {"csrf": browser.csrf} if route.method == "POST" else None
                    async with browser.session.request(route.method, path, data=data, allow_redirects=False) as got:
                        assert (got.status == 403) is refused, (box, route.method, path, got.status)
    assert set(boxes) <= people.governed()


async def test_a_person_is_bound_to_addresses_and_is_refused_from_elsewhere_at_once(site: Site) -> None:
    id_ = await site.add_staff("zhang", "operator", "hall")
    page = f"/staff/{id_}/security"
    bound = {"networks": "10.1.0.0/16\n10.9.9.9"}
    async with all_signed_in(site, "boss", "zhang") as (boss, zhang):
        assert "未绑定" in await boss.get(page)
        assert "10.1.2.300" in await boss.refused(page + "/demand", {"networks": "10.1.2.300"}), "what was typed stays"
        shown = await boss.confirms(page + "/demand", bound, "2 个地址或网段", "1 个会话中 1 个不在其中")
        assert (boss.path, "10.1.0.0/16" in shown) == (page, True)
        assert await zhang.status_of("/") == 403
        shows(await zhang.get("/"), "来源 IP 127.0.0.1 不在白名单", "只允许从指定的网络地址访问", no="您的角色不能")
        await boss.post(page + "/demand", {"networks": "127.0.0.0/8\n::1", "factors": "totp", "confirmed": "1"})
        assert await zhang.status_of("/") == 200
        assert (await login_queries.of_person(site.db, id_)).factors == {"totp"}
    assert "10.1.0.0/16" in await site.db.fetchval("SELECT after FROM audit WHERE action = 'login.person' ORDER BY id")


async def test_nobody_binds_resets_or_helps_themselves(site: Site, boss: Browser) -> None:
    page = f"/staff/{await id_of(site, 'boss')}/security"
    shows(await boss.get(page), "这是您自己的账号", no=page + "/demand")
    for below in ("demand", "reset", "code"):
        assert await boss.status_of(f"{page}/{below}") == 404, below
        assert await boss.status_of(f"{page}/{below}", {"networks": "10.0.0.1", "confirmed": "1"}) == 404, below
    assert await boss.status_of(page + "/end", {"session": "all"}) == 404
    assert await boss.led_to("/") == "/"


async def test_factors_are_shown_and_reset_and_a_code_is_given_once(site: Site) -> None:
    zhang = await site.add_staff("zhang", "operator", "hall")
    await org.set_person(acting(site), "zhang", {"phone": "13800138000"})
    await site.db.execute("UPDATE staff SET phone_verified_at = now() WHERE id = $1", zhang)
    await factors.make_recovery_codes(await acting_as(site, "zhang"))
    page = f"/staff/{zhang}/security"
    async with all_signed_in(site, "boss", "zhang") as (boss, one):
        shows(await boss.get(page), "138****8000", "剩余 10 个", no="13800138000")
        shown = await boss.post(page + "/code", {"confirmed": "1"})
        code = re.search(r'class="one-time">([A-Z2-7-]{19})<', shown)
        assert await factors.use_recovery_code(site.db, zhang, code[1])
        assert "恢复码 10 个、已验证号码 1 个；1 个会话立即结束" in await boss.get(page + "/reset")
        assert "剩余 0 个" in await boss.post(page + "/reset", {"confirmed": "1"})
        assert (await one.led_to("/")).startswith("/login")
    assert (await factors.factors(site.db, zhang)).phone is False


async def test_sessions_of_a_person_are_told_by_device_and_ended(site: Site) -> None:
    zhang = await site.add_staff("zhang", "operator", "hall")
    page = f"/staff/{zhang}/security"
    async with Browser(site) as boss, Browser(site) as one, Browser(site) as two:
        one.session.headers["User-Agent"] = EDGE
        await one.login("zhang")
        await two.login("zhang")
        await boss.login("boss")
        assert "Edge 120 · Windows 10/11" in await boss.get(page)
        mine = await site.db.fetchval("SELECT id FROM portal_session WHERE staff_id <> $1", zhang)
        assert await boss.status_of(page + "/end", {"session": str(mine)}) == 404, "a session of somebody else"
        first = (await queries.sessions(site.db, "zhang"))[-1]
        await boss.post(page + "/end", {"session": str(first.id)})
        assert (await one.led_to("/")).startswith("/login")
        assert await two.led_to("/") == "/"
        await boss.post(page + "/end", {"session": "all"})
        assert (await two.led_to("/")).startswith("/login")
        assert page in await boss.post("/staff/-/effect/stop", {"id": str(zhang), "to": page})
        assert "已停用" in await boss.post("/staff/-/do/stop", {"id": str(zhang), "to": page})
        assert boss.path == page


async def test_the_security_administrator_finds_sessions_and_ends_them(site: Site) -> None:
    await site.add_staff("sec", "secadmin")
    await site.add_staff("zhang", "admin")
    async with Browser(site) as sec, Browser(site) as zhang, Browser(site) as boss:
        zhang.session.headers["User-Agent"] = EDGE
        await zhang.login("zhang")
        await boss.login("boss")
        await sec.login("sec")
        await sec.post("/proof", {"proof-of": "password", "proof-by": "password", "proof-shown": PASSWORD})
        shows(await sec.get("/sessions"), "Edge 120 · Windows 10/11", "zhang", "boss", "sec")
        for query, there in (
            ("person=zha", True), ("agent=edg%2F", True), ("address=127.0.0.0%2F8", True),
            ("address=10.0.0.0%2F8", False),
            ("created_at_from=2001-01-01&created_at_to=2001-01-02", False), ("person=nobody", False),
        ):  # fmt: skip
            assert ("Edge 120" in await sec.get(f"/sessions?{query}")) is there, query
        await sec.get("/sessions")
        ids = [s.id for login in ("zhang", "boss") for s in await queries.sessions(site.db, login)]
        chosen = [("id", str(id_)) for id_ in ids]
        assert "2 人的 2 个会话" in await sec.post("/sessions/-/effect/end", chosen)
        assert "已处理 2 条" in await sec.post("/sessions/-/do/end", chosen)
        for other in (zhang, boss):
            assert (await other.led_to("/")).startswith("/login")
        assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'session.end'") == 2


async def upload(browser: Browser, octets: bytes, name: str = "staff.csv") -> str:
    return await browser.send_file("/staff/-/import", octets, name)


async def bring(browser: Browser, octets: bytes, **fields: str) -> str:
    """Upload, take the columns as guessed, wait for the job; its page."""
    page = await upload(browser, octets)
    assert browser.status == 200, page
    assert re.fullmatch(r"/jobs/\d+", await browser.led_to(browser.path, guessed(page) | fields))
    return await browser.job_done(browser.path)


async def results(browser: Browser) -> list[list[str]]:
    rows = (await browser.table_at(f"/staff/-/import/{browser.path.rpartition('/')[2]}/result"))[1:]
    assert browser.headers["Cache-Control"] == "no-store"
    return rows


def table(*rows: str) -> bytes:
    return "\n".join(["姓名,登录名,手机号,部门,角色", *rows, ""]).encode("gb18030")


async def test_people_come_in_once_with_departments_roles_and_first_passwords(site: Site, boss: Browser) -> None:
    await org.add_department(acting(site), "市局")
    octets = table("王一,wang1,13800138001,市局/办公室,操作员", "李二,li2,,市局,operator",
                   '=cmd,"=cmd|x",138,市局,操作员', "赵三,zhao3,,,没有的角色", "钱四,,,市局,操作员")  # fmt: skip
    assert "下载导入结果" in await bring(boss, octets, make_departments="1")
    job = boss.path.rpartition("/")[2]
    shows(await site.db.fetchval("SELECT checkpoint FROM job WHERE id = $1", int(job)), '"created": 2', '"wrong": 3')
    rows = await results(boss)
    assert [row[3] for row in rows] == ["已新建", "已新建", "有误", "有误", "有误"]
    assert rows[2][1] == "'=cmd|x", "no formula"
    assert "角色 没有的角色 不存在" in rows[3][4]
    person = await queries.person(site.db, "wang1")
    assert ([role.code for role in person.roles], person.must_change) == (["operator"], True)
    place = "SELECT d.name, p.name FROM department d JOIN department p ON p.id = d.parent_id WHERE d.id = $1"
    assert tuple(await site.db.fetchrow(place, person.reach.department)) == ("办公室", "市局")

    # The first passwords: told as a file, good once, not told for who has come in.
    assert "文件含 2 名" in await boss.get(f"/staff/-/import/{job}/passwords")
    passwords = {row[0]: row[2] for row in (await boss.table_at(boss.path, {"confirmed": "1"}))[1:]}
    assert sorted(passwords) == ["li2", "wang1"]
    async with Browser(site) as browser:
        await browser.login("wang1", passwords["wang1"])
        assert browser.path.startswith("/password"), "to be changed first"
    assert "文件含 1 名" in await boss.get(f"/staff/-/import/{job}/passwords")
    stored = await site.db.fetchval("SELECT string_agg(params::text || checkpoint::text, ' ') FROM job")
    assert passwords["li2"] not in stored

    # Again: nothing is made twice.
    counted = "SELECT (SELECT count(*) FROM staff), (SELECT count(*) FROM department)"
    before = await site.db.fetchrow(counted)
    await bring(boss, octets, make_departments="1")
    assert [row[3] for row in await results(boss)] == ["已跳过", "已跳过", "有误", "有误", "有误"]
    assert await site.db.fetchrow(counted) == before
    done = {"staff.import", "staff.import_passwords", "staff.add", "department.add"}
    assert {row["action"] for row in await site.db.fetch("SELECT action FROM audit")} >= done


async def test_nobody_gets_by_a_table_what_the_importer_could_not_give(site: Site) -> None:
    _, other = await two_departments(site)
    await org.set_permissions(acting(site), "chief", allowed=(), withheld={P.DEPARTMENT_EDIT})
    async with signed_in(site, "chief") as browser:
        rows = ("甲,a1,,一科,clerk", "乙,b1,,二科,clerk", "丙,c1,,一科,平台超管", "丁,d1,,,clerk")
        await bring(browser, table(*rows, "戊,e1,,一科/新科,clerk"), make_departments="1")
        assert [row[3] for row in await results(browser)] == ["已新建", "有误", "有误", "有误", "有误"]
        assert await site.db.fetchval("SELECT count(*) FROM staff WHERE department_id = $1", other) == 1, "the stranger"
        assert await site.db.fetchval("SELECT count(*) FROM department") == 2


async def first_passwords(browser: Browser, job: str) -> list[str]:
    """The logins whose first passwords are told."""
    return [row[0] for row in (await browser.table_at(f"/staff/-/import/{job}/passwords", {"confirmed": "1"}))[1:]]


async def test_first_passwords_are_not_told_of_who_has_more_by_now(site: Site) -> None:
    """Else they would be a way into the login of somebody above: a reset is refused there."""
    change = acting(site)
    await two_departments(site)
    await add_role(site, "scribe", {P.PERSON_EDIT}, ScopeKind.BELOW)
    async with signed_in(site, "chief") as browser:
        rows = [f"某,u{n},,一科,{role}" for n, role in enumerate(("clerk", "clerk", "scribe"))]
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
        for at, row in enumerate(
            (("登录名", "姓名"), ("a1", "王\u3000五"), ("b1", "Z甲"), ("c1", "turned \u202e round"), ("d1", "长" * 65))
        ):
            sheet.write_row(at, 0, row)
    spelt = io.BytesIO()
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(spelt, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace("Z甲".encode(), "_x0000_甲".encode()))
    page = await upload(boss, spelt.getvalue(), "staff.xlsx")
    assert boss.status == 200, page
    await boss.post(boss.path, guessed(page))
    await boss.job_done(boss.path)
    ends = {row[1]: row[3] for row in await results(boss)}
    assert ends == {"a1": "已新建", "b1": "已新建", "c1": "有误", "d1": "有误"}
    names = dict(map(tuple, await site.db.fetch("SELECT login, name FROM staff WHERE login <> 'boss'")))
    assert names == {"a1": "王 五", "b1": "甲"}


async def test_nobody_fills_the_room_for_files_alone(
    site: Site, boss: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "MOST_KEPT", 1)
    await site.add_staff("other", "super")
    await upload(boss, table("王一,wang1,,,"))
    assert "尚未到期" in await upload(boss, table("王一,wang1,,,"))
    assert boss.status == 422
    assert await site.db.fetchval("SELECT count(*) FROM file") == 1
    async with signed_in(site, "other") as browser:
        await upload(browser, table("王一,wang1,,,"))
        assert browser.status == 200


async def test_what_cannot_be_used_is_said_at_once(site: Site, boss: Browser) -> None:
    long = "登录名\n" + "".join(f"u{n}\n" for n in range(MOST_ROWS + 1))
    for octets, said in ((b"", "文件为空"), (b"\x00\x01binary", ""), (long.encode(), "超过 10000 行")):
        assert said in await upload(boss, octets)
        assert boss.status == 422
    assert guessed(await upload(boss, "甲列,乙列\n1,2\n".encode())) == {}
    assert boss.status == 200
    assert (await boss.refused(boss.path, {})).count("此项必填") == 2
    assert await site.db.fetchval("SELECT count(*) FROM job") == 0
    assert await site.db.fetchval("SELECT count(*) FROM file") == 1, "only what can be used is kept"


async def test_an_import_that_is_cut_off_goes_on_where_it_was(site: Site, boss: Browser) -> None:
    """A line that was written down is not done again, whatever the job's run."""
    page = await upload(boss, table("王一,wang1,,,操作员", "李二,li2,,,操作员"))
    fields = guessed(page)
    address = boss.path
    job_id = await site.db.fetchval(
        "INSERT INTO job (kind, params, submitter, subject, node, expires_at, not_before) VALUES"
        " ('staff.import', '{}', 'boss', 'x', 1, now() + interval '1 day', now() + interval '1 hour') RETURNING id"
    )
    await site.db.execute(
        "INSERT INTO sheet_result (job_id, line, outcome, key) VALUES ($1, 2, 'created', 'wang1')", job_id
    )
    await boss.post(address, fields)
    ran = int(boss.path.rpartition("/")[2])
    params = await site.db.fetchval("SELECT params FROM job WHERE id = $1", ran)
    await boss.job_done(boss.path)
    await site.db.execute("DELETE FROM sheet_result WHERE job_id = $1", ran)
    await site.db.execute("UPDATE job SET params = $2, not_before = now() WHERE id = $1", job_id, params)
    await boss.job_done(f"/jobs/{job_id}")
    rows = await site.db.fetch("SELECT line, outcome FROM sheet_result WHERE job_id = $1 ORDER BY line", job_id)
    assert [(row["line"], row["outcome"]) for row in rows] == [(2, "created"), (3, "skipped")]
