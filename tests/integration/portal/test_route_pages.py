"""Routes edited on pages: drafted, tried on traffic, approved, published, rolled back; two people at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from html import unescape
from time import thread_time
from typing import Any

import pytest
import pytest_asyncio
from browsing import Browser, send, shows
from portal_site import Site, by_test
from visits import actions, add_role, all_signed_in, boss, fails, second_channel, signed_in

from smsgw.admin.pages.routing import route_table
from smsgw.core import routes
from smsgw.core.actor import Actor
from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.routing import approvals, following, queries, service, trial
from smsgw.platform.settings import queries as settings_queries, service as settings
from smsgw.runtime import aio

RULE = {"name": "大厅验证码", "pool": "codes", "place": "0", "account": "hall", "revision": "2"}
__all__ = ["boss"]
pytestmark = pytest.mark.staff(boss="super", second="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "router", [Permission.ROUTE_VIEW, Permission.ROUTE_EDIT], people={"clinic-op": "clinic"})
    await second_channel(site, "CBN")
    await site.snapshots.follow()
    return site


async def revision(site: Site) -> str:
    """Of the draft of boss."""
    of = "SELECT revision FROM route_draft d JOIN staff s ON s.id = d.owner_id WHERE s.login = 'boss'"
    return str(await site.db.fetchval(of))


async def rules_of_draft(site: Site) -> list[dict[str, Any]]:
    document = await site.db.fetchval("SELECT document FROM route_draft")
    return list(json.loads(document)["rule"])


def pool(data: dict[str, str], page: str, **roles: str) -> dict[str, str]:
    """The form of a pool with the roles of channels."""
    for n, name in re.findall(r'name="channel-(\d+)" value="([^"]+)"', page):
        data |= {f"channel-{n}": name, f"role-{n}": roles.get(name.replace("-", "_"), ""), f"weight-{n}": "2"}
    return data


async def drafted(boss: Browser, site: Site) -> None:
    """A draft with a pool of mobile-b, and a rule of the account hall that leads there."""
    await boss.post("/routes/draft/begin", {})
    page = await boss.get("/routes/draft/pools/new")
    form = {"revision": await revision(site), "name": "codes"}
    assert await boss.led_to("/routes/draft/pools/new", pool(form, page, mobile_b="primary")) == "/routes/draft"
    rule = RULE | {"revision": await revision(site)}
    assert await boss.led_to("/routes/draft/rules/new", rule) == "/routes/draft"


async def test_a_draft_is_tried_published_and_rolled_back(site: Site, boss: Browser) -> None:
    for number in ("13800138000", "13800138001", "13300138000"):
        await send(site, to=number)
    await send(site, "clinic", to="13800138000")
    assert "还没有规则" in await boss.get("/routes")
    await drafted(boss, site)
    page = await boss.get("/routes/draft")
    assert ("大厅验证码" in page, page.count("新增</span>")) == (True, 2)
    assert await queries.newest(site.db) is None, "a draft changes nothing"
    shows(await boss.get("/routes/draft/trial?span=today"), "共 4 条短信", 'data-after="mobile-b">3<', "clinic")
    assert "这段时间没有短信" in await boss.get("/routes/draft/trial")
    form = {"reason": "验证码单独走", "revision": await revision(site)}
    assert "按今天的 4 条短信试算：3 条改走其他通道，0 条没有可用通道" in await boss.post("/routes/draft/publish", form)
    assert re.fullmatch(r"/jobs/\d+", await boss.led_to("/routes/draft/publish", form | {"confirmed": "1"}))
    await boss.job_done(boss.path)
    newest = await queries.newest(site.db)
    assert (newest.note, newest.actor) == ("验证码单独走", "boss")
    assert newest.document["rule"] == [{"name": "大厅验证码", "account": ["hall"], "pool": "codes"}]
    assert await site.db.fetchval("SELECT count(*) FROM route_draft") == 0
    await site.snapshots.follow()
    assert "大厅验证码" in await boss.get("/routes")

    await service.publish(by_test(site.db), {"pool": [], "rule": []}, "误删")
    assert "回退到此版本" in await boss.get(f"/routes/versions/{newest.version}")
    rollback = f"/routes/versions/{newest.version}/rollback"
    back = {"reason": "误删恢复", "seen": str(newest.version + 1)}
    assert "有 2 处不同" in await boss.post(rollback, back)
    back |= {"confirmed": "1"}
    await boss.refused(rollback, back | {"seen": str(newest.version)})  # another one is in force than was seen
    await boss.job_done(await boss.led_to(rollback, back))
    now = await queries.newest(site.db)
    assert (now.document, now.note) == (newest.document, f"回退到版本 {newest.version}：误删恢复")
    await boss.refused(rollback, back | {"seen": str(now.version)})  # it is in force already
    assert "正在生效" in await boss.get("/routes/versions")
    done = Counter(await actions(site, "route."))
    assert [done[f"route.{one}"] for one in ("draft_begin", "draft", "publish")] == [1, 2, 3]


async def test_two_people_edit_and_nothing_is_lost(site: Site) -> None:
    async with all_signed_in(site, "boss", "second") as (boss, second):
        await drafted(boss, site)
        await second.post("/routes/draft/begin", {})
        assert "同时在编辑：boss" in await second.get("/routes/draft")
        theirs = {"name": "电信夜间", "pool": "CTCC", "place": "0", "carrier": "CTCC", "hours": "22:00-06:00"}
        await second.post("/routes/draft/rules/new", theirs | {"revision": "1"})
        await second.post("/routes/draft/publish", {"reason": "夜间", "revision": "2", "confirmed": "1"})
        form = {"reason": "我的", "revision": await revision(site), "confirmed": "1"}
        await boss.refused("/routes/draft/publish", form, "已由他人发布")
        shows(await boss.get("/routes/draft"), "合并新版本的改动", "电信夜间")
        await boss.post("/routes/draft/catch-up", {"revision": await revision(site)})
        shows(await boss.get("/routes/draft"), "电信夜间", "大厅验证码")
        await boss.post("/routes/draft/publish", form | {"revision": await revision(site)})
        newest = await queries.newest(site.db)
        assert {rule["name"] for rule in newest.document["rule"]} == {"电信夜间", "大厅验证码"}


async def test_a_draft_that_is_gone_leads_to_the_table(site: Site, boss: Browser) -> None:
    for page in ("/routes/draft", "/routes/draft/trial", "/routes/draft/rules/new", "/routes/draft/publish"):
        assert "编辑路由" in await boss.get(page)
        assert (boss.status, boss.path) == (200, "/routes"), page


async def test_an_older_window_changes_nothing_and_keeps_what_was_typed(site: Site, boss: Browser) -> None:
    await drafted(boss, site)
    stale = {"name": "第二条", "pool": "CMCC", "place": "1", "keyword": "优惠", "revision": "1"}
    await boss.refused("/routes/draft/rules/new", stale, "已在其他窗口修改", "优惠")
    assert [rule["name"] for rule in await rules_of_draft(site)] == ["大厅验证码"]


async def test_what_cannot_be_is_told_at_its_field(site: Site, boss: Browser) -> None:
    await drafted(boss, site)
    now = {"revision": await revision(site)}
    for wrong, said in (
        ({"account": "nobody"}, "没有账号 nobody"), ({"prefix": "13x"}, "第 1 行不是数字"),
        ({"hours": "25:00-1:00"}, "格式须为"), ({"name": "大厅验证码"}, "已有同名规则"),
        ({"pool": "nowhere"}, "有 1 处"), ({"name": "move account hall"}, "留给切换账号"),
    ):  # fmt: skip
        form = {"name": "新", "pool": "CMCC", "place": "0"} | now | wrong
        await boss.refused("/routes/draft/rules/new", form, said)
    typed = {"name": "省内", "pool": "CMCC", "place": "1", "province": "Guangdong\n广东\n浙江"} | now
    await boss.post("/routes/draft/rules/new", typed)
    assert (await rules_of_draft(site))[1]["province"] == ["广东", "浙江"], "as numbers' areas are called"
    await boss.post("/language", {"language": "en", "next": "/"})
    shows(await boss.get("/routes/draft"), "Guangdong", "Zhejiang", no="广东")
    await boss.post("/language", {"language": "zh", "next": "/"})
    now = {"revision": await revision(site)}
    await boss.post("/routes/draft/rules/1/remove", {"name": "省内", "confirmed": "1"} | now)
    now = {"revision": await revision(site)}
    page = await boss.get("/routes/draft/pools/new")
    for name, roles, said in (
        ("only-b", {"mobile_b": "primary"}, "留给切换账号"), ("Codes", {"mobile_b": "primary"}, "须为小写字母"),
        ("codes", {"mobile_b": "primary"}, "已有同名通道组"),
        ("more", {"mobile_b": "standby"}, "至少要有一个主用通道"), ("more", {}, "至少要有一个主用通道"),
    ):  # fmt: skip
        await boss.refused("/routes/draft/pools/new", pool({"name": name} | now, page, **roles), said)
    assert "仍在使用此通道组" in await boss.get("/routes/draft/pools/0/remove")
    await boss.post("/routes/draft/pools/0/remove", {"name": "codes", "confirmed": "1"} | now)
    for wrong in ({"name": "别的"}, {"revision": "1"}):
        gone = {"name": "大厅验证码", "confirmed": "1"} | now | wrong
        await boss.refused("/routes/draft/rules/0/remove", gone, "已在其他窗口修改")  # not what was looked at
    await boss.post("/routes/draft/rules/0/remove", {"name": "大厅验证码", "confirmed": "1"} | now)
    assert "没有规则：" in await boss.get("/routes/draft")
    assert await boss.led_to("/routes/draft/discard", {"confirmed": "1"}) == "/routes"


async def test_a_part_of_the_accounts_sees_its_rules_and_changes_none(site: Site) -> None:
    document = {
        "pool": [{"name": "own", "channels": ["mobile-b"]}],
        "rule": [
            {"name": "别人的", "account": ["hall"], "pool": "own"},
            {"name": "外签", "sign": ["外面的"], "pool": "own"},
            {"name": "大家的", "type": ["otp"], "pool": "own"},
            {"name": "两家的", "account": ["hall", "clinic"], "pool": "CMCC"},
        ],
    }
    await service.publish(by_test(site.db), document, "给大厅的说明")
    async with signed_in(site, "clinic-op") as some:
        shows(await some.get("/routes"), "大家的", "两家的", no=["别人的", "外签", "给大厅的说明", "hall"])
        for path in ("/routes/draft", "/routes/draft/trial", "/routes/draft/publish", "/routes/draft/rules/new"):
            assert await some.status_of(path) == 403, path
        assert await some.status_of("/routes/draft/begin", {}) == 403
        assert "大家的" not in await some.get("/routes/versions/1")
        assert some.status == 404


async def test_a_rule_is_tried_by_all_that_it_asks_for(site: Site) -> None:
    """Prefixes, keywords, hours and home areas tell messages apart, whatever is counted together."""
    await send(site, to="13800138000", content="您的验证码是 1")
    await send(site, to="13800138001", content="欢迎光临")
    await send(site, to="13900138000", content="欢迎光临")
    begin = await site.db.fetchval("SELECT now()") - timedelta(hours=1)
    now = await queries.table(site.db)
    for condition, moved in (({"keyword": ["验证码"]}, 1), ({"prefix": ["138"]}, 2), ({"prefix": ["1390"]}, 1),
                             ({"province": ["火星"]}, 0), ({"hours": "00:00-24:00"}, 3), ({"sign": ["没有"]}, 0),
                             ({"carrier": ["CMCC"], "keyword": ["欢迎"]}, 2)):  # fmt: skip
        planned = routes.parse(
            {"pool": [{"name": "own", "channels": ["mobile-b"]}], "rule": [{"name": "r", "pool": "own"} | condition]},
            version=0,
            channels=["mobile-b"],
        )
        seen = await trial.traffic(site.db, begin, begin + timedelta(hours=2), (now, planned))
        found = await trial.compare(seen, now, planned, site.snapshots.current.channels)
        assert (found.messages, found.whole, found.changed) == (3, True, moved), condition
        assert {one.name: one for one in found.channels}["mobile-b"].messages_after >= found.changed


async def test_of_a_full_minute_some_messages_stand_for_all(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counters of the flow know how many there were."""
    for n in range(6):
        await send(site, to=f"1380013800{n}")
    begin = (await site.db.fetchval("SELECT date_trunc('minute', now())")) - timedelta(minutes=5)
    now = await queries.table(site.db)
    monkeypatch.setattr(trial, "MOST_MESSAGES", 20)
    seen = await trial.traffic(site.db, begin, begin + timedelta(minutes=10), (now,))
    found = await trial.compare(seen, now, now, site.snapshots.current.channels)
    assert (found.messages, found.sampled, found.whole) == (6, True, True)
    monkeypatch.setattr(trial, "MOST_MESSAGES", 1000)
    assert not (await trial.traffic(site.db, begin, begin + timedelta(minutes=10), (now,))).sampled


async def test_a_trial_leaves_the_node_time_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    keyword = [f"词{n}" for n in range(20)]
    rules = [{"name": f"r{n}", "pool": "CMCC", "keyword": keyword} for n in range(routes.MAX_RULES)]
    table = routes.parse({"rule": rules}, version=0, channels=[])
    subject = routes.Subject("hall", MessageType.OTP, "8613800138000", "CMCC", "北京", "签", "正文" * 30, time(12))
    day = datetime(2026, 3, 1, tzinfo=UTC)
    groups = [trial.Alike(subject, 2, 2.0, 0) for _ in range(1000)]
    longest = 0.0

    async def beats() -> None:
        nonlocal longest
        last = thread_time()  # not what the machine has taken away meanwhile
        while True:
            await asyncio.sleep(0.001)
            longest, last = max(longest, thread_time() - last), thread_time()

    beating = aio.spawn(beats(), name="beats")
    monkeypatch.setattr(trial, "MOST_WORK", 1.0)
    seen = trial.Traffic(day, day + timedelta(days=1), groups, True, False, 3600.0)
    found = await trial.compare(seen, table, table, ())
    beating.cancel()
    assert longest < 0.5
    assert (found.whole, 0 < found.messages < 2000) == (False, True), "bounded"


async def test_what_cannot_be_tried_is_published_and_rolled_back_all_the_same(
    site: Site, boss: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(*_: object) -> None:
        raise Temporary("STORAGE_UNAVAILABLE", retry_after=2, reason="x")

    async def stuck(*_: object) -> None:
        await asyncio.sleep(60)

    await service.publish(by_test(site.db), {"rule": [{"name": "旧", "pool": "CMCC"}]}, "旧")
    await service.publish(by_test(site.db), {"pool": [], "rule": []}, "新")
    monkeypatch.setattr(trial, "traffic", late)
    await drafted(boss, site)
    assert "无法试算" in await boss.get("/routes/draft/trial")
    assert boss.status == 200
    page = await boss.post("/routes/draft/publish", {"reason": "原因", "revision": await revision(site)})
    assert (boss.status, "无法试算" in page, "确认发布" in page) == (200, True, True)
    monkeypatch.setattr(trial, "traffic", stuck)
    monkeypatch.setattr(route_table, "EFFECT_SECONDS", 0.2)
    page = await boss.post("/routes/versions/1/rollback", {"reason": "原因"})
    assert (boss.status, "无法试算" in page, "确认回退到此版本" in page) == (200, True, True)


async def test_a_rule_that_switches_an_account_changes_its_place_only(site: Site, boss: Browser) -> None:
    """The account page knows it by its name: renamed, nothing would follow it any more."""
    await service.publish(by_test(site.db), {"rule": [{"name": "先", "pool": "CMCC"}]}, "")
    await service.move(by_test(site.db), "account", "hall", "mobile-b", "")
    await boss.post("/routes/draft/begin", {})
    page = await boss.get("/routes/draft/rules/0")
    assert ('name="name"' in page, 'name="place"' in page) == (False, True)
    form = {"place": "1", "revision": await revision(site), "name": "改名", "pool": "CMCC"}
    assert await boss.led_to("/routes/draft/rules/0", form) == "/routes/draft"
    rules = [(rule["name"], rule["pool"]) for rule in await rules_of_draft(site)]
    assert rules == [("先", "CMCC"), ("move account hall", "only-mobile-b")]
    page = await boss.get("/routes/draft/pools/0")
    form = pool({"revision": await revision(site)}, page, mobile_b="primary", mobile="primary")
    assert "留给切换账号" in await boss.post("/routes/draft/pools/0", form)


async def test_a_version_after_a_gap_in_the_numbers_has_a_page(site: Site, boss: Browser) -> None:
    await service.publish(by_test(site.db), {"rule": [{"name": "旧", "pool": "CMCC"}]}, "旧")
    with contextlib.suppress(ZeroDivisionError):
        async with site.db.transaction() as connection:
            await connection.execute("INSERT INTO route_version (document, note, actor) VALUES ('{}', '', '')")
            raise ZeroDivisionError
    version = (await service.publish(by_test(site.db), {"pool": [], "rule": []}, "新")).version
    assert "旧" in await boss.get(f"/routes/versions/{version}")


async def test_a_message_is_explained(site: Site, boss: Browser) -> None:
    document = {
        "pool": [{"name": "own", "channels": ["mobile-b"]}],
        "rule": [
            {"name": "联通", "carrier": ["CUCC"], "pool": "CUCC"},
            {"name": "验证码", "type": ["otp"], "pool": "own"},
        ],
    }
    await service.publish(by_test(site.db), document, "")
    await site.snapshots.follow()
    hall = str(site.accounts["hall"])
    form = {"account": hall, "type": "otp", "number": "13800138000", "sign": "", "content": "您的验证码是 1234"}
    assert "路由解释" in await boss.get("/routes/explain")
    shows(await boss.post("/routes/explain", form), "会受理", "运营商不符", "符合", "138****8000", "mobile-b")
    page = await boss.post("/routes/explain", form | {"number": "13800138000", "content": "{name}您好"})
    assert "此号码不会发送" in page
    await boss.refused("/routes/explain", form | {"number": "1"})
    assert await site.db.fetchval("SELECT count(*) FROM message") == 0


async def test_a_retry_rule_is_changed_and_restored(site: Site, boss: Browser) -> None:
    assert "换通道重试，最多 2 次" in await boss.get("/routes/retries")
    form = {"how": "other", "tries": "3", "first": "2", "most": "1", "deadline": "60"}
    await boss.refused("/routes/retries/channel/otp", form, "不能小于首次等待")
    assert "最多 3 次，首次等 2 秒" in await boss.post("/routes/retries/channel/otp", form | {"most": "10"})
    for endless in ({"first": "0", "most": "10"}, {"first": "1", "most": "1"}):
        wrong = form | {"tries": "0", "confirmed": "1"} | endless
        await boss.refused("/routes/retries/channel/otp", wrong, "不限次数时")
    await boss.post("/routes/retries/channel/otp", form | {"most": "10", "confirmed": "1"})
    assert "已修改" in await boss.get("/routes/retries")
    await boss.post("/routes/retries/channel/otp/reset", {"confirmed": "1"})
    assert await queries.changed_rules(site.db) == {}
    assert await boss.status_of("/routes/retries/unknown/otp") == 404, "never tried again"


TABLE = {"pool": [], "rule": [{"name": "all", "pool": "CMCC"}]}


@pytest_asyncio.fixture
async def approved(site: Site) -> None:
    """A second person approves what is to be in force."""
    await settings.put(by_test(site.db), "route_approval", 1)
    await site.snapshots.follow()


def by(site: Site, name: str) -> Change:
    return Change(site.db, Actor.system(name), ids=site.ids)


async def in_force(site: Site) -> int:
    newest = await queries.newest(site.db)
    return 0 if newest is None else newest.version


async def submitted(site: Site, boss: Browser) -> int:
    await drafted(boss, site)
    given = {"reason": "验证码单独走", "revision": await revision(site), "confirmed": "1"}
    return int(re.fullmatch(r"/routes/submitted/(\d+)", await boss.led_to("/routes/draft/publish", given))[1])


async def test_a_draft_waits_for_a_second_person_who_sees_what_is_approved(site: Site, approved: None) -> None:
    async with all_signed_in(site, "boss", "second") as (boss, second):
        id_ = await submitted(site, boss)
        assert await in_force(site) == 0
        assert await site.db.fetchval("SELECT count(*) FROM route_draft") == 1, "what is refused is not typed anew"
        assert "等待批准" in await boss.get("/routes")
        shows(await boss.get(f"/routes/submitted/{id_}"), "须由另一人批准", no=f"/routes/submitted/{id_}/approve")
        await boss.refused(f"/routes/submitted/{id_}/approve", {"reason": "", "confirmed": "1"})
        assert await in_force(site) == 0

        for one, asked in ((boss, False), (second, True), (boss, False)):
            assert (f"/routes/submitted/{id_}" in await one.get("/home/live")) == asked, "another person alone"
        waits = [json.loads(await who.get("/menu/badges")).get("routing.routes", 0) for who in (boss, second)]
        assert waits == [0, 1], "one's own is not counted"
        assert "大厅验证码" in await second.get(f"/routes/submitted/{id_}")
        assert "boss 提交的 2 处改动" in unescape(await second.post(f"/routes/submitted/{id_}/approve", {"reason": ""}))
        await second.post(f"/routes/submitted/{id_}/approve", {"reason": "看过", "confirmed": "1"})
        assert re.fullmatch(r"/jobs/\d+", second.path)
        assert (await queries.newest(site.db)).document["rule"][0]["name"] == "大厅验证码"
        assert await second.status_of(f"/routes/submitted/{id_}/approve") == 404, "it is decided"
    done = [one for one in await actions(site, "route.") if "draft" not in one]
    assert done == ["route.submit", "route.publish", "route.approve"]


async def test_what_was_submitted_over_another_version_is_not_approved(site: Site, approved: None) -> None:
    made = await service.publish(by(site, "a"), TABLE, "first")
    assert (made.version, made.waits > 0) == (0, True)
    await fails(Refused, service.publish(by(site, "b"), TABLE, "beside"), "等待批准")
    for name in ("a", "b"):
        await settings.put(by(site, name), "route_approval", 0)
    assert (await service.publish(by(site, "c"), {"pool": [], "rule": []}, "meanwhile")).version
    await settings.put(by(site, "a"), "route_approval", 1)
    await fails(Refused, approvals.approve(by(site, "b"), made.waits), "提交时生效的是版本 0")
    async with signed_in(site, "second") as second:
        shows(await second.get(f"/routes/submitted/{made.waits}"), "不能再批准", no="/approve")
        await second.post(f"/routes/submitted/{made.waits}/reject", {"reason": "已过时", "confirmed": "1"})
        assert "已驳回" in await second.get(f"/routes/submitted/{made.waits}")


async def test_ways_around_it_wait_as_well(site: Site, approved: None) -> None:
    """An account given to a channel, a way back, and a channel that takes another one's place."""
    await site.db.execute("UPDATE channel SET desired = 'started', carriers = '{}' WHERE id > 0")
    for change in (
        lambda: following.move_account(by(site, "a"), "hall", "mobile-b", "cheaper"),
        lambda: service.move(by(site, "a"), "sign", "市政服务", "mobile-b", "cheaper"),
        lambda: service.rollback(by(site, "a"), 0),
        lambda: following.move_channel(by(site, "a"), "mobile-a", "mobile-b", "cheaper"),
    ):
        made = await change()
        assert (made.version, made.job, made.waits > 0) == (0, 0, True)
        await fails(Refused, approvals.approve(by(site, "a"), made.waits), "不能批准自己提交的")
        await approvals.reject(by(site, "a"), made.waits, "")
        found = await approvals.SUBMISSIONS.get(site.db, by(site, "a").actor, made.waits)
        assert found is not None
        assert found.state is approvals.State.WITHDRAWN
    assert await in_force(site) == 0
    assert await site.db.fetchval("SELECT count(*) FROM job") == 0
    assert not await site.db.fetchval("SELECT count(*) FROM channel WHERE desired = 'draining'")


async def test_of_two_who_approve_at_the_same_time_one_does(site: Site, approved: None) -> None:
    made = await service.publish(by(site, "a"), TABLE, "first")
    done = await asyncio.gather(
        *(approvals.approve(by(site, name), made.waits) for name in ("b", "c", "d")), return_exceptions=True
    )
    assert sum(not isinstance(one, SmsgwError) for one in done) == 1
    assert await site.db.fetchval("SELECT count(*) FROM route_version") == 1


@pytest.mark.parametrize("name", ["channel_approval", "route_approval"])
async def test_a_second_person_is_done_without_only_by_two(site: Site, approved: None, name: str) -> None:
    async def holds() -> int:
        return int(getattr(await settings_queries.current(site.db), name))

    await settings.put(by(site, "a"), name, 1)
    for _ in range(3):
        assert not await settings.put(by(site, "a"), name, 0)
    assert await holds() == 1
    assert await settings.put(by(site, "b"), name, 0)
    assert await holds() == 0
    assert await settings.put(by(site, "a"), name, 1), "on by one alone"
    assert not await settings.put(by(site, "b"), name, 0), "what was asked for before is forgotten"
    await site.db.execute("UPDATE setting_wish SET made_at = now() - interval '25 hours'")
    assert not await settings.put(by(site, "a"), name, 0), "too long ago"
    assert await holds() == 1
    entries = "SELECT after FROM audit WHERE action = 'setting.set' AND object = $1 AND actor = 'b'"
    assert json.loads(await site.db.fetchval(entries, f"setting/{name}")) == {"value": 0, "asked_by": "a"}
