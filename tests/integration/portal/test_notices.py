"""The message centre: who is told what, who reads what, and what the bell counts."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from browsing import Browser, shows
from changes import by_test
from portal_site import Site
from visits import acting_as, add_role, boss, fails, page_for, signed_in
from yarl import URL

from smsgw.admin.words import notices as words
from smsgw.admin.words.lists import JOB_KIND
from smsgw.admin.words.messages import ALARM
from smsgw.core.actor import ActorLabel, Author, ScopeKind
from smsgw.core.errors import SmsgwError
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.login import service as entrance
from smsgw.platform.notices import service
from smsgw.platform.org import queries, service as org
from smsgw.store.records import alarms, audit, inbox

ROOT = Path(__file__).parents[3]
NEVER = datetime(2099, 1, 1, tzinfo=UTC)
__all__ = ["boss"]
pytestmark = pytest.mark.staff(boss="super")


async def bell(browser: Browser) -> int:
    found: int = json.loads(await browser.get("/menu/badges"))["home.notices"]
    return found


async def raised(site: Site, kind: str = "channel_down", about: str = "channel/mobile-a") -> None:
    async with site.db.transaction() as connection:
        await alarms.raise_(connection, kind, about, "critical", "", now=datetime.now(UTC))


async def published(change: Change, audience: str, *targets: int, title: str = "x", content: str = "x") -> int:
    return await service.publish(change, title, content, audience=audience, targets=list(targets), until=NEVER)


async def test_opening_reads_and_all_can_be_read(site: Site) -> None:
    await site.add_staff("ops", "ops")
    await site.add_staff("other", "ops")
    for kind in ("channel_down", "disk_low", "clock_wrong"):
        await raised(site, kind)
    async with signed_in(site, "ops") as browser:
        assert await bell(browser) == 3
        known = {"X-Have": browser.headers["X-Piece"]}
        assert await browser.get("/menu/badges", headers=known) == ""
        assert browser.status == 204
        first = re.findall(r'href="(/notices/\d+)"', await browser.get("/notices?read=no"))[0]
        page = await browser.get(first)
        assert await bell(browser) == 3, "a link that is followed changes nothing"
        assert 'hx-post="/notices/-/opened" hx-trigger="load"' in page
        assert await browser.status_of("/notices/-/opened", {"id": first.rpartition("/")[2]}) == 204
        assert await bell(browser) == 2
        assert "hx-post" not in (await browser.get(first)).partition('id="detail"')[2]
        await browser.post("/notices/-/read", {})
        assert await bell(browser) == 0
        of_other = "SELECT i.id FROM inbox i JOIN staff s ON s.id = staff_id WHERE login = 'other'"
        theirs = await site.db.fetchval(of_other)
        assert await browser.status_of(f"/notices/{theirs}") == 404
        await browser.post("/notices/-/opened", {"id": str(theirs)})
    async with signed_in(site, "other") as browser:
        assert await bell(browser) == 3


async def test_what_an_alarm_is_about_is_told_in_words(site: Site) -> None:
    await site.add_staff("ops", "ops")
    for kind, about in (("channel_down", "channel/mobile-a"), ("review_waiting", "reviews"), ("queue_old", "lane/otp"),
                        ("clock_wrong", "没有这一类/x")):  # fmt: skip
        await raised(site, kind, about)
    async with signed_in(site, "ops") as browser:
        for language, shown in (("zh", ["通道 mobile-a", "审批", "验证码队列", "没有这一类/x"]),
                                ("en", ["Channel mobile-a", "Reviews", "verification queue"])):  # fmt: skip
            browser.session.cookie_jar.update_cookies({"smsgw-language": language}, URL(site.url))
            page = await browser.get("/notices")
            for text in shown:
                assert re.search(rf">\s*{text}\s*<", page), text
            assert not re.search(r">\s*reviews\s*<", page)
            board = await browser.get("/board")
            assert any(text in board for text in (shown[0], shown[2])), "the same words there"


def test_everything_that_is_told_has_words() -> None:
    """A kind of alarm or job, or an action, that the triggers tell of and that nobody has named would stand as code."""
    baseline = (ROOT / "smsgw/store/migrations/0300_baseline/95_alarms.sql").read_text("utf-8")
    (trigger,) = re.findall(r"CREATE TRIGGER inbox_security [^;]+;", baseline)
    actions = set(re.findall(r"'([a-z]+\.[a-z_]+|login)'", trigger))
    assert len(actions) > 8
    assert actions == words.SECURITY.keys()
    assert {f"job.{kind}" for kind in JOB_KIND} | {f"alarm.{kind}" for kind in ALARM} <= words.SUBJECT.keys()


async def test_who_sees_departments_alone_announces_to_those(site: Site) -> None:
    change = by_test(site.db)
    own, other = [await org.add_department(change, name) for name in ("北区", "南区")]
    await add_role(site, "herald", [Permission.NOTICE_EDIT], ScopeKind.BELOW, people=["herald"])
    await org.set_person(change, "herald", {"department_id": own})
    everybody = await published(change, "all", title="全体")
    theirs = await published(change, "departments", other, title="南区")
    form = {"title": "停水", "content": "周日", "audience": "departments", "departments": str(own), "days": "3"}
    async with signed_in(site, "herald") as browser:
        page = await browser.get("/announcements/-/new")
        shows(page, "指定部门及下级", no=["全体人员", "指定角色", 'name="roles"', "南区"])
        for wrong in ({"audience": "all"}, {"audience": "roles", "roles": "1"}, {"departments": str(other)},
                      {"departments": ""}):  # fmt: skip
            assert await browser.status_of("/announcements/-/new", form | wrong | {"confirmed": "1"}) == 422, wrong
        await browser.confirms("/announcements/-/new", form, "将立即向 1 人发布")
        shows((await browser.get("/announcements")).replace("全体人员", ""), "停水", no="全体")
    acting = await acting_as(site, "herald")
    for id_ in (everybody, theirs):
        await fails(SmsgwError, service.withdraw(acting, id_), code="NOT_FOUND")
    assert await site.db.fetchval("SELECT count(*) FROM notice WHERE withdrawn_at IS NOT NULL") == 0
    for audience, targets in (("all", []), ("roles", [1]), ("departments", [own, other])):
        await fails(SmsgwError, published(acting, audience, *targets), code="NOT_FOUND")


async def test_who_sees_a_department_without_those_below_does_not_reach_them(site: Site) -> None:
    """Scope "own department": an announcement reaches all below, so it is not theirs where something is below."""
    change = by_test(site.db)
    above = await org.add_department(change, "局机关")
    below = await org.add_department(change, "下属单位", above)
    await add_role(site, "desk", [Permission.NOTICE_EDIT], ScopeKind.DEPARTMENT, people=["desk"])
    await org.set_person(change, "desk", {"department_id": above})
    whole = await published(change, "departments", above, title="全局")
    form = {"title": "停水", "content": "周日", "audience": "departments", "departments": str(above), "days": "3"}
    async with signed_in(site, "desk") as browser:
        assert "下属单位" not in await browser.get("/announcements/-/new")
        await browser.refused("/announcements/-/new", form, "其中有您无权查看的部门")
        assert await browser.status_of("/announcements/-/new", form | {"confirmed": "1"}) >= 400
        assert "全局" not in await browser.get("/announcements"), "how many have read it is not theirs to see"
        assert await browser.status_of(f"/announcements/{whole}") == 404
        await fails(SmsgwError, service.withdraw(await acting_as(site, "desk"), whole))
        assert await site.db.fetchval("SELECT count(*) FROM notice WHERE withdrawn_at IS NULL") == 1
        await org.remove_department(change, below)
        await browser.post("/announcements/-/new", form | {"confirmed": "1"})
        assert "停水" in await browser.get("/announcements")


async def test_an_announcement_reaches_its_audience_and_is_taken_back(site: Site) -> None:
    await site.add_staff("clerk", "operator")
    await site.add_staff("ops", "ops")
    operators = await site.db.fetchval("SELECT id FROM role WHERE code = 'operator'")
    async with signed_in(site, "boss") as browser:
        form = {"title": "周日维护", "content": "02:00 至 04:00 <暂停>", "audience": "roles", "days": "3"}
        assert await browser.status_of("/announcements/-/new", form | {"confirmed": "1"}) == 422, "nobody is named"
        form["roles"] = str(operators)
        await browser.confirms("/announcements/-/new", form, "将立即向 1 人发布")
        assert "周日维护" in await browser.get("/announcements")
        assert "周日维护" not in await browser.get("/")
    async with Browser(site) as browser:
        shows(await browser.login("clerk"), "周日维护", "&lt;暂停&gt;")
        assert await bell(browser) == 1
        assert "周日维护" in await browser.get("/notices")
    change = by_test(site.db)
    await service.withdraw(change, await site.db.fetchval("SELECT id FROM notice"))
    async with Browser(site) as browser:
        assert "周日维护" not in await browser.login("clerk")
        assert await bell(browser) == 0
        assert "周日维护" not in await browser.get("/notices")
        assert await browser.status_of("/announcements") == 403
    await fails(SmsgwError, service.withdraw(change, 1), code="NOT_FOUND")


async def test_departments_reach_those_below_and_the_time_ends_it(site: Site) -> None:
    change = by_test(site.db)
    above = await org.add_department(change, "局办")
    below = await org.add_department(change, "科室", above)
    for login in ("clerk", "else"):
        await site.add_staff(login, "operator")
    await site.db.execute("UPDATE staff SET department_id = $1 WHERE login = 'clerk'", below)
    await published(change, "departments", above, title="停水")
    for login, shown in (("clerk", True), ("else", False)):
        async with Browser(site) as browser:
            assert ("停水" in await browser.login(login)) is shown
    await site.db.execute("UPDATE notice SET until = now() - interval '1 s'")
    async with Browser(site) as browser:
        assert "停水" not in await browser.login("clerk")
    for wrong in (published(change, "all", title=""), published(change, "all", content=""),
                  published(change, "roles"), published(change, "all", 1)):  # fmt: skip
        await fails(SmsgwError, wrong, code="PARAM_INVALID")


async def test_people_are_told_of_a_login_from_elsewhere_and_what_others_do_to_theirs(site: Site) -> None:
    await site.add_staff("clerk", "operator")
    told = "SELECT array_agg(word ORDER BY id) FROM inbox WHERE kind = 'security'"
    for _ in range(2):
        await page_for(site, "clerk", "/")
    assert await site.db.fetchval(told) is None, "the first one, and one from the same address"
    async with site.db.transaction() as connection:
        await audit.append(connection, Author(ActorLabel("clerk"), "198.51.100.7"), "login", "portal")
    assert await site.db.fetchval(told) == ["login"]
    shows(await page_for(site, "clerk", "/notices"), "您的账号从新的地址登录", "198.51.100.7")
    change = by_test(site.db)
    await org.grant(change, "clerk", ["reviewer"])
    await org.reset_password(change, "clerk", await site.db.fetchval("SELECT password_hash FROM staff"))
    await entrance.emergency_code(change, "clerk")
    assert await site.db.fetchval(told) == ["login", "staff.grant", "staff.reset", "factor.emergency"]


async def test_the_end_of_a_job_is_told_to_who_began_it(site: Site, boss: Browser) -> None:
    add = """INSERT INTO job (kind, submitter, state, expires_at) VALUES ('export', $1, 'running', now() + '1 day')"""
    for login in ("boss", "nobody"):
        await site.db.execute(add, login)
    await site.db.execute("UPDATE job SET state = 'done', ended_at = now()")
    assert "导出" in await boss.get("/notices?kind=job")
    assert await bell(boss) == 1
    for kind, n in (("alarm", 0), ("job", 1)):
        await boss.post("/me/notices", {"kinds": kind})
        assert await bell(boss) == n


async def test_what_is_old_or_too_much_goes(site: Site) -> None:
    id_ = await site.db.fetchval("SELECT id FROM staff WHERE login = 'boss'")
    add = "INSERT INTO inbox (staff_id, kind, subject, at) SELECT $1, 'job', n, now() - n * interval '1 minute'"
    await site.db.execute(f"{add} FROM generate_series(1, $2) n", id_, inbox.MOST + 20)
    await site.db.execute("UPDATE inbox SET at = now() - interval '91 days' WHERE subject = 1")
    async with site.db.transaction() as connection:
        await inbox.sweep(connection)
    left = await site.db.fetchrow("SELECT count(*), min(subject), max(subject) FROM inbox")
    assert tuple(left) == (inbox.MOST, 2, inbox.MOST + 1)
    # Reminders of accounts displace nothing but each other.
    more = "INSERT INTO inbox (staff_id, kind, subject) SELECT $1, 'quota', n FROM generate_series(1, $2) n"
    await site.db.execute(more, id_, inbox.MOST + 20)
    async with site.db.transaction() as connection:
        await inbox.sweep(connection)
    rows = await site.db.fetch("SELECT kind, count(*) FROM inbox GROUP BY kind")
    assert dict(map(tuple, rows)) == {"job": inbox.MOST, "quota": inbox.MOST}


async def test_there_is_an_end_to_what_stands(site: Site) -> None:
    change = by_test(site.db)
    await site.db.execute(
        """INSERT INTO notice (title, content, audience, published_by, until)
           SELECT 'x', 'x', 'all', 'x', now() + interval '1 day' FROM generate_series(1, $1)""",
        service.MOST_STANDING,
    )
    await fails(SmsgwError, published(change, "all"), code="STATE_CONFLICT")
    first, second = await org.add_department(change, "甲"), await org.add_department(change, "乙")
    for _ in range(service.MOST_STANDING):
        await published(change, "departments", first)
    await fails(SmsgwError, published(change, "departments", first, second), code="STATE_CONFLICT")
    await published(change, "departments", second)


async def test_the_trigger_tells_exactly_those_whom_the_program_lets_see_alarms(site: Site) -> None:
    roles = [row["code"] for row in await site.db.fetch("SELECT code FROM role WHERE builtin")]
    for role in roles:
        await site.add_staff(f"p-{role}", role)
    for login, allowed in (("p-ops", False), ("p-operator", True)):
        await site.db.execute(
            "INSERT INTO staff_permission SELECT id, 'alarm.view', $2 FROM staff WHERE login = $1", login, allowed
        )
    for _ in range(2):  # it stands: nobody is told again
        await raised(site)
    rows = await site.db.fetch("SELECT login FROM inbox i JOIN staff s ON s.id = i.staff_id WHERE kind = 'alarm'")
    people = [await queries.person(site.db, f"p-{role}") for role in roles]
    people = [p.login for p in people if p and Permission.ALARM_VIEW in p.permissions]
    assert sorted(row["login"] for row in rows) == sorted(["boss", *people])
    await site.db.execute("DELETE FROM staff_role WHERE staff_id = (SELECT id FROM staff WHERE login = 'p-super')")
    for login, n in (("boss", 1), ("p-operator", 0), ("p-ops", 0), ("p-super", 0)):
        async with signed_in(site, login) as browser:
            assert await bell(browser) == n, login
            assert ("通道断开" in await browser.get("/notices")) is bool(n), login
