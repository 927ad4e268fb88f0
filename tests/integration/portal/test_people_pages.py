"""Departments, people, sub-accounts and roles in the portal: by role and scope, with strange ids, and told in words."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from browsing import Browser, shows
from portal_site import Site
from test_sending_pages import held
from visits import acting, actions, add_role, all_signed_in, signed_in

from smsgw.admin.app import routes
from smsgw.admin.kit import people
from smsgw.admin.pages.people.roles import GIVEN
from smsgw.admin.words.people import NAMED
from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState
from smsgw.platform.org import queries
from smsgw.platform.org import service as org

Fields = Sequence[tuple[str, str]]
P = Permission
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def boss(site: Site) -> AsyncIterator[Browser]:
    async with signed_in(site, "boss") as browser:
        yield browser


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
    told = await send(boss, f"/departments/{below}/move", ("parent", str(top)), confirmed=False)
    assert "共 1 个部门、0 名人员、0 个短信账号" in told
    assert await site.db.fetchval("SELECT parent_id FROM department WHERE id = $1", below) is None, "asked only"
    await send(boss, f"/departments/{below}/move", ("parent", str(top)))
    assert await site.db.fetchval("SELECT parent_id FROM department WHERE id = $1", below) == top
    page = await boss.get(f"/departments/{below}")
    assert re.search("归属变更.*隶属 办公室.*（当前）.*顶级部门", page, re.S), "where it has been"
    page = await send(boss, f"/departments/{below}/edit", ("name", "科室二"), ("manager", "boss"),
                      ("month_quota", "500"))  # fmt: skip
    assert boss.status == 422, "oneself"
    await site.add_staff("lead", "operator")
    page = await send(boss, f"/departments/{below}/edit", ("name", "科室二"), ("manager", "lead"),
                      ("month_quota", "500"))  # fmt: skip
    shows(page, "科室二", "0 / 500 条")
    page = await send(boss, f"/departments/{top}/remove")
    assert boss.status == 422
    assert await site.db.fetchval("SELECT removed_at FROM department WHERE id = $1", top) is None
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
    page = await send(boss, "/departments/-/new", ("name", "办公室"))
    problem = re.search(r'id="name-problem"[^>]*>([^<]*)', page)
    assert re.search(r"[a-z]{3}", problem[1])
    page = await send(boss, "/staff/-/new", ("login", "a b"), ("name", "x"))
    assert re.search(r'id="login-problem"[^>]*>[^<]*[a-z]', page)
    fields = (("code", "Bad"), ("name", "x"), ("scope", "all"), ("permission", "home.view"))
    assert re.search(r'id="code-problem"', await send(boss, "/roles/-/new", *fields))


async def test_what_people_have_named_is_not_translated(site: Site, boss: Browser) -> None:
    """"部门" and "财务" are words of ours, too: as names of a department, a role, an account they stand as they are."""
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
        for path, *fields in (
            (f"/departments/{own}/move", ("parent", str(other))), (f"/departments/{own}/move", ("parent", "")),
            (f"/staff/{worker}/edit", ("name", "x"), ("department", str(other))),
            (f"/staff/{worker}/edit", ("name", "x"), ("department", "")),
        ):  # fmt: skip
            await send(chief, path, *fields)
            assert chief.status == 422, "no such choice, and the top is not theirs"
    assert await site.db.fetchval("SELECT department_id FROM staff WHERE login = 'worker'") == own


async def test_nobody_gives_what_they_lack(site: Site) -> None:
    await two_departments(site)
    worker = await id_of(site, "worker")
    async with signed_in(site, "chief") as chief:
        shows(await chief.get(f"/staff/{worker}/roles"), 'value="clerk"', no='value="super"')
        await send(chief, f"/staff/{worker}/roles", ("role", "super"))
        assert chief.status == 422
        shows(await chief.get(f"/users/{worker}/rights"), 'value="person.reset"', no='value="message.export"')
        await send(chief, f"/users/{worker}/rights", ("permission", "message.export"))
        assert chief.status == 422
        assert await chief.status_of("/roles/-/new") == 403, "hidden is forbidden, too"
        assert await chief.status_of(f"/roles/{await role_id(site, 'clerk')}") == 200
        assert "新建角色" not in await chief.get("/roles")
        own = await id_of(site, "chief")
        await send(chief, f"/users/{own}/rights", ("permission", "message.view"))
        assert chief.status == 422, "one's own rights"
    person = await queries.person(site.db, "worker")
    assert [role.code for role in person.roles] == ["clerk"]
    assert not person.allowed


def one_time(page: str) -> str:
    found = re.search(r'class="one-time">([^<]+)<', page)
    assert found, page[-2000:]
    return html.unescape(found[1])


async def test_a_new_person_logs_in_with_the_password_that_was_shown_once(site: Site, boss: Browser) -> None:
    page = await send(boss, "/staff/-/new", ("login", "new"), ("name", "新人"), ("phone", "13800138000"),
                      ("role", "operator"), ("accounts", str(site.accounts["hall"])))  # fmt: skip
    password = one_time(page)
    assert "no-store" in boss.headers["Cache-Control"]
    id_ = await id_of(site, "new")
    page = await boss.get(f"/staff/{id_}")
    assert password not in page
    assert "13800138000" not in page
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
    await site.add_staff("sub", "operator", "hall")
    id_ = await id_of(site, "sub")
    before = await queries.person(site.db, "sub")
    assert P.MESSAGE_VIEW in before.permissions
    assert P.ACCOUNT_STOP not in before.permissions
    page = await boss.get(f"/users/{id_}/rights")
    shows(page, "导出下行记录", "导出上行记录", "业务启停", "修改子号密码", "搜索短信")
    async with signed_in(site, "sub") as sub:
        assert await sub.status_of("/records") == 200
        await send(boss, f"/users/{id_}/rights", ("permission", "account.stop"), ("permission", "message.export"))
        assert await sub.status_of("/records") == 403, "at the next request"
        assert "/records" not in await sub.get("/")
    person = await queries.person(site.db, "sub")
    assert P.ACCOUNT_STOP in person.allowed
    assert P.MESSAGE_VIEW in person.withheld
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
    told = await send(boss, f"/roles/{id_}/edit", ("name", "窗口"), ("scope", "own"), ("permission", "home.view"),
                      confirmed=False)  # fmt: skip
    shows(told, "2 项权限", "1 名人员")
    await send(boss, f"/roles/{id_}/edit", ("name", "窗口"), ("scope", "own"), ("permission", "home.view"))
    role = await queries.role(site.db, "desk")
    assert role.permissions == {P.HOME_VIEW}
    await send(boss, f"/roles/{id_}/copy", ("code", "desk2"), ("name", "窗口二"))
    assert (await queries.role(site.db, "desk2")) is not None
    await boss.post("/roles/-/do/remove", {"id": str(id_)})
    assert await queries.role(site.db, "desk"), "somebody has it"
    await boss.post("/roles/-/do/remove", {"id": str(await role_id(site, "desk2"))})
    assert await queries.role(site.db, "desk2") is None
    builtin = await role_id(site, "operator")
    assert await boss.status_of(f"/roles/{builtin}/edit") == 404, "those that come with the program stay"
    page = await send(boss, "/roles/-/new", ("code", "two"), ("name", "两员"), ("scope", "all"),
                      ("permission", "role.edit"), ("permission", "audit.view"))  # fmt: skip
    assert boss.status == 422
    assert await queries.role(site.db, "two") is None
    assert 'role="alert"' in page


async def test_the_matrix_of_all_roles_is_taken_away_as_any_list(site: Site, boss: Browser) -> None:
    await org.add_role(acting(site), "evil", "=1+1", {P.HOME_VIEW}, ScopeKind.OWN)
    page = await send(boss, "/roles/-/matrix", ("format", "csv"))
    assert boss.status == 422
    assert "此项必填" in page
    await send(boss, "/roles/-/matrix", ("format", "csv"), ("reason", "年度权限核查"))
    await boss.job_done(job := boss.path)
    rows = (await boss.table_at(f"{job}/link", {}))
    assert len(rows) == len(GIVEN) + 3, "names, scopes, all that roles give, the watermark"
    assert "'=1+1" in rows[0]
    assert "年度权限核查" in rows[-1][0]
    assert "(boss)" in rows[-1][0]


async def test_a_single_right_is_enough_for_what_it_names(site: Site, boss: Browser) -> None:
    """Beyond a role that has nothing else: the menu leads to the place, and the place has the button."""
    change, hall = acting(site), site.accounts["hall"]
    await org.add_role(change, "none", "没有", {P.HOME_VIEW}, ScopeKind.ALL)
    await site.add_staff("clerk", "none")
    await site.add_staff("other", "none")
    clerk_id, other = await id_of(site, "clerk"), await id_of(site, "other")
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
        assert "将取消 1 条尚未提交运营商的短信（1 条计费退回）" in await clerk.post("/records/-/effect/cancel",
                                                                                     {"id": str(ids[0])})  # fmt: skip
        assert "已处理 1 条" in await clerk.post("/records/-/do/cancel", {"id": str(ids[0])})
        assert await site.db.fetchval("SELECT state FROM part WHERE id = $1", ids[0]) == PartState.CANCELLED
        await send(boss, f"/users/{clerk_id}/rights")
        assert await clerk.status_of("/records/-/do/cancel", {"id": str(ids[1])}) == 403
    rows = await site.db.fetch("SELECT actor, object FROM audit WHERE action = 'message.cancel'")
    assert [tuple(row) for row in rows] == [("clerk", f"message/{ids[0]}")]


@pytest.mark.slow
async def test_every_box_governs_what_it_names(site: Site, hurried: None) -> None:
    """Taken away though a role has it: every address of it says no, and so does every service. Given beyond a role:
    none does."""
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
