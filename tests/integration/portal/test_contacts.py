"""The address book as pages: who sees and changes what, merging, and an import that handles what is there already."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest_asyncio
from browsing import Browser
from changes import by_test
from portal_site import Site, running
from visits import fails, guessed, lacking, signed_in

from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.platform.audience import book, book_queries, importing
from smsgw.platform.audience.model import EntryDraft, Shared, Sharing
from smsgw.platform.change import Change
from smsgw.platform.org import queries as people
from smsgw.platform.org import service as org

P = Permission
FORM = {"number": "13800138000", "name": "张三", "tags": "VIP，老客户", "fields": "city=北京", "scope": "own"}


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        by = Change(site.db, Actor.system("test"), ids=site.ids)
        rights = [P.HOME_VIEW, P.CONTACT_VIEW, P.CONTACT_EDIT]
        await org.add_role(by, "clerk", "窗口", rights, ScopeKind.ACCOUNTS)
        top = await org.add_department(by, "市局")
        below = await org.add_department(by, "一科", top)
        for login, place in (("li", top), ("wang", below), ("zhao", None)):
            await site.add_staff(login, "clerk", "hall")
            await org.set_person(by, login, {"department_id": place})
        yield site


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
    async with Browser(site) as li, Browser(site) as wang, Browser(site) as zhao:
        for browser, login in ((li, "li"), (wang, "wang"), (zhao, "zhao")):
            await browser.login(login)
        id_ = str(await added(li, site))
        assert await seen(li) == [id_]
        page = await li.get(f"/contacts/{id_}")
        assert not lacking(page, "138****8000", "city=北京")
        assert "13800138000" not in page
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


async def test_each_reader_has_a_statement_that_names_no_other_reader(site: Site) -> None:
    """Whose is whose is found by indexes: no arm that says "or everybody"."""
    for everything in (False, True):
        for statements in (book_queries._SEARCH, book_queries._HOW_MANY, book_queries._GROUPS,
                           book_queries._HOW_MANY_GROUPS, book_queries._CHOICES):  # fmt: skip
            statement = statements[everything]
            assert "boolean" not in statement
            assert (".owner_id = $2" in statement) is not everything
    indexes = await site.db.fetch("SELECT indexdef FROM pg_indexes WHERE tablename IN ('contact', 'consent')")
    told = " ".join(row["indexdef"] for row in indexes)
    assert not lacking(told, "public.contact USING btree (number)", "public.contact USING btree (name, id)",
                       "public.consent USING btree (account_id, id)")  # fmt: skip


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
        page = await boss.get(f"/contacts/groups/{old}/move")
        assert f'value="{staff}"' in page
        assert f'value="{east}"' not in page
        page = html.unescape(await boss.post(f"/contacts/groups/{old}/move", {"parent": str(staff)}))
        assert "将把“老年”及其下 1 个分组（共 3 位联系人）移到“职工”之下" in page
        assert "“职工”含下级由 1 位变为 4 位" in page
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
    by, hall = Change(site.db, Actor.system("test"), ids=site.ids), site.accounts["hall"]
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
    plan = importing.Plan({"number": 0}, hall, Sharing(Shared.OWN), group_id=group)
    await fails(Refused, importing.begin(Change(site.db, wang_.actor(), ids=site.ids), sheet, plan))


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
