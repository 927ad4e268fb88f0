"""Rules of alarms, who is on duty, and nodes: what is an alarm, who is told, and what is known of each change."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import pytest_asyncio
from alarm_desk import PHONE, Desk
from browsing import shows
from portal_site import by_test
from robots import HOOK_SECRET
from visits import fails, signed_in

from smsgw.core.alarm_notes import Way
from smsgw.core.alarm_rules import KINDS
from smsgw.core.alarms import CRITICAL, WARNING, Finding
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA, first_id
from smsgw.core.permissions import Permission
from smsgw.pipeline.upkeep.alarms import AlarmTable, Standing
from smsgw.pipeline.upkeep.measures import Measure, Measures
from smsgw.platform.alarms import receivers, rules
from smsgw.platform.alarms.rules import Draft
from smsgw.platform.change import Change
from smsgw.platform.duty import contacts, roster
from smsgw.platform.nodes import service as nodes
from smsgw.runtime import clock
from smsgw.store.engine import nodes as node_table
from smsgw.store.engine.database import Database
from smsgw.store.records import measures


async def rule(desk: Desk, kind: str, object_: str = "") -> int:
    return await desk.site.db.fetchval("SELECT id FROM alarm_rule WHERE kind = $1 AND object = $2", kind, object_)


async def standing(desk: Desk, *found: Finding) -> list[tuple[str, str]]:
    """Object and severity of the alarms that these findings are, by the rules of the database."""

    async def probe() -> Iterable[Finding]:
        return found

    now = await rules.current(desk.site.db)
    table = AlarmTable(desk.site.db, 1, {"test": probe}, desk.node(), lambda: now)
    await table.look()
    return [(one.object, one.severity) for one in table.standing]


async def test_a_changed_rule_holds_and_is_told_to_whom_it_names(desk: Desk) -> None:
    db, by = desk.site.db, by_test(desk.site.db)
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    mail = await desk.add(Way.MAIL, "ops@buyer.example.org")
    found = Finding("login_refused", "channel/a", CRITICAL, "x")
    assert await standing(desk, found) == [("channel/a", "critical")]
    await rules.put(by, await rule(desk, "login_refused"), Draft(True, "warning", 0, receivers=(mail,)))
    assert await standing(desk, found) == [("channel/a", "warning")]
    await rules.put(by, await rule(desk, "login_refused"), Draft(False, "warning", 0))
    assert await standing(desk, found) == []
    assert await db.fetchval("SELECT count(*) FROM alarm WHERE cleared_at IS NULL") == 0, "what stood is over"
    await db.execute("DELETE FROM alarm")
    await rules.put(by, await rule(desk, "login_refused"), Draft(True, "critical", 0, receivers=(mail,)))
    await standing(desk, found)
    assert set(await desk.states()) == {("mail", "waiting")}, "the one that the rule names"
    await db.execute("DELETE FROM alarm")
    await receivers.switch(by, mail, active=False)
    await standing(desk, found)
    assert set(await desk.states()) == {("webhook", "waiting")}, "nobody is left of these: all are told"


async def test_a_node_that_is_alone_tells_whom_the_rule_names(desk: Desk) -> None:
    hook = await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    mail = await desk.add(Way.MAIL, "ops@buyer.example.org")
    node = desk.node()
    await node.learn()
    down = Standing("database_down", "node/1", "critical", "", desk.clock.now, (mail,))
    await node.unstored([down, Standing("disk_low", "node/1", "critical", "", desk.clock.now, (99,))])
    await node.settle()
    assert [item["kind"] for item in desk.robots.hook] == ["disk_low"]
    assert len(desk.post.got) == 1
    assert node._memory.kept.keys() == {("database_down", "node/1"), ("disk_low", "node/1")}
    assert [set(one.told) for one in node._memory.kept.values()] == [{mail}, {mail, hook}]


async def test_exceptions_settings_limits_and_what_is_no_rule(desk: Desk) -> None:
    by = by_test(desk.site.db)
    good = Draft(True, "warning", 0, {"threshold": 60})
    id_ = await rules.except_(by, "queue_old", "lane/otp", good)
    assert (await rules.current(desk.site.db)).threshold("queue_old", "lane/otp") == 60
    for kind, object_, draft in (
        ("queue_old", "lane/otp", good), ("queue_old", "lane/none", good), ("queue_old", "channel/a", good),
        ("queue_old", "lane/", good), ("login_refused", "channel/nobody", Draft(True, "warning", 0)),
        ("database_down", "node/1", Draft(True, "critical", 0)), ("nothing", "lane/otp", good)):  # fmt: skip
        await fails(SmsgwError, rules.except_(by, kind, object_, draft))
    for kind, draft in (("audit_changed", Draft(False, "critical", 0)), ("queue_old", Draft(True, "", 0)),
                        ("queue_old", Draft(True, "warning", -1)),
                        ("queue_old", Draft(True, "warning", 0, {"threshold": 1})),
                        ("queue_old", Draft(True, "warning", 0, {"minutes": 1})),
                        ("queue_old", Draft(True, "warning", 0, receivers=(99,)))):  # fmt: skip
        await fails(SmsgwError, rules.put(by, await rule(desk, kind), draft))
    await rules.reset(by, id_)
    assert (await rules.current(desk.site.db)).threshold("queue_old", "lane/otp") == 3600
    assert await rules.except_(by, "queue_old", "lane/otp", good) == id_, "it has its history"
    await fails(SmsgwError, rules.reset(by, await rule(desk, "queue_old")))
    await rules.put(by, await rule(desk, "channel_down"), Draft(True, "critical", 90))
    assert await desk.site.db.fetchval("SELECT value FROM setting WHERE name = 'channel_down_seconds'") == "90"
    await rules.reset(by, await rule(desk, "channel_down"))
    assert (await rules.current(desk.site.db)).of("channel_down").after == 30
    rows = await desk.site.db.fetch("SELECT kind FROM alarm_rule WHERE object = '' ORDER BY id")
    assert [row["kind"] for row in rows] == list(KINDS), "each, in the order in which people read them"
    # The right to change alarms is no way round the right to change settings.
    less = Change(desk.site.db, replace(by.actor, permissions=by.actor.permissions - {Permission.SETTING_EDIT}))
    id_ = await rule(desk, "success_low")
    await fails(SmsgwError, rules.put(less, id_, Draft(True, "critical", 0, {"threshold": 50})), "系统参数")
    await rules.put(less, id_, Draft(True, "critical", 0, {"threshold": 99}))
    assert (await rules.current(desk.site.db)).of("success_low").severity == "critical"


MINUTES = """
INSERT INTO stat_minute (minute, node, account_id, channel_id, metric, n)
SELECT date_trunc('minute', now()) - make_interval(mins => $2 + m), 1, 1, $1, metric, n
FROM generate_series(0, 9) m, (VALUES ('delivered', $3::bigint), ('failed', 10 - $3::bigint)) v (metric, n)
"""


async def test_how_often_it_would_have_been_an_alarm(desk: Desk) -> None:
    db, channel = desk.site.db, desk.site.channel_id
    for back, delivered in ((2000, 10), (1900, 8), (1800, 10), (1700, 5), (1600, 10)):
        await db.execute(MINUTES, channel, back, delivered)
    was = (await rules.current(db)).of("success_low")

    async def often(threshold: int, least: int = 50, after: int = 0) -> int | None:
        values = {"threshold": threshold, "minutes": 10, "least": least}
        wanted = rules.checked(was, Draft(True, "warning", after, values))
        return await rules.how_often(db, was, wanted, "")

    assert [await often(n) for n in (99, 79, 40)] == [2, 1, 0]
    assert await often(99, least=101) == 0
    assert await often(99, after=3600) == 0
    assert await rules.how_often(db, was, rules.checked(was, Draft(True, "warning", 0)), "channel/none") == 0
    down = (await rules.current(db)).of("channel_down")
    for name, seconds in (("a", 40), ("b", 400)):
        await desk.raised(f"channel/{name}")
        await db.execute("UPDATE alarm SET cleared_at = since + make_interval(secs => $2) WHERE object = $1",
                         f"channel/{name}", seconds)  # fmt: skip
    for after, expected in ((30, 2), (60, 1), (3600, 0), (10, None)):
        assert await rules.how_often(db, down, rules.checked(down, Draft(True, "critical", after)), "") == expected


async def test_the_page_shows_the_effect_saves_and_remembers_what_was(desk: Desk) -> None:
    site = desk.site
    await desk.add(Way.MAIL, "ops@buyer.example.org", name="值班")
    mail = str(await site.db.fetchval("SELECT id FROM alarm_receiver"))
    async with signed_in(site, "boss", "super") as boss:
        assert "最近 60 分钟有结果的不少于 100 段，成功率低于 99%" in await boss.get("/alarms/rules")
        path = f"/alarms/rules/{await rule(desk, 'success_low')}"
        assert "排空该通道" in await boss.get(path), "what to do"
        form = {"on": "1", "threshold": "90", "minutes": "30", "least": "50", "after": "60", "severity": "critical",
                "receivers": mail}  # fmt: skip
        assert await boss.status_of(f"{path}/edit", form | {"threshold": "900"}) == 422
        await boss.confirms(f"{path}/edit", form, "最近 7 天会告警 0 次")
        shows(await boss.get(path), "最近 30 分钟有结果的不少于 50 段，成功率低于 90%", "第 1 版", "默认规则", "值班")
        page = await boss.post(f"{path}/except", form | {"object": "channel/mobile", "confirmed": "1"})
        assert boss.status == 422, "there is no such channel"
        name = await site.db.fetchval("SELECT name FROM channel WHERE id = $1", site.channel_id)
        await boss.post(f"{path}/except", form | {"object": f"channel/{name}", "threshold": "70", "confirmed": "1"})
        page = await boss.get("/alarms/rules")
        shows(page, "成功率低于 70%", f"通道 {name}", no=f">channel/{name}")
        assert "成功率低于 90%" in page, "the rule for all is as it was"
        id_ = await rule(desk, "success_low", f"channel/{name}")
        await boss.post("/alarms/rules/-/do/reset", {"id": str(id_), "confirmed": "1"})
        assert "成功率低于 70%" not in await boss.get("/alarms/rules")
        assert await boss.status_of(f"/alarms/rules/{id_}") == 404


async def test_the_page_of_nodes_says_who_lives_and_removes_who_does_not(desk: Desk) -> None:
    site = desk.site
    await site.db.execute(GONE, 7)
    async with signed_in(site, "boss", "super") as boss:
        shows(await boss.get("/nodes"), "old:/data", "失联")
        await site.db.execute(
            "INSERT INTO lease (resource, node, epoch, expires_at) SELECT r, 7, 1, now() + interval '1 hour' "
            "FROM unnest($1::text[]) r", ["retention/forget", "push/1", "push/2", "later/work"])  # fmt: skip
        page = await boss.get("/nodes/7")
        shows(page, "到期数据清理与脱敏", "later/work", no="push/")  # of a later program
        assert re.search(r"负责推送的地址数</dt>\s*<dd[^>]*>\s*2", page)
        shows(page, await site.db.fetchval("SHOW server_version"), "主备切换次数", "未使用 Redis，因此没有哨兵", "主库")
        assert "将移除 1 个失联的节点" in await boss.post("/nodes/-/effect/remove", {"id": "7"})
        await boss.post("/nodes/-/do/remove", {"id": "7", "confirmed": "1"})
        assert "已移除" in await boss.get("/nodes")
        assert "没有可移除的" in await boss.post("/nodes/-/effect/remove", {"id": "7"})
        assert await boss.status_of("/nodes/99999999999") == 404


async def enqueue(db: Database, number: int, lane: int, at: datetime) -> int:
    """A message that waits in the first pool since then; its id."""
    id_ = first_id(at) + number
    await db.execute(
        "INSERT INTO part (id, part, total, accepted_at, account_id, pool_id, lane, state, expires_at) "
        "SELECT $1, 1, 1, now(), (SELECT min(id) FROM account), (SELECT min(id) FROM pool WHERE id > 0), $2, 10, "
        "now() + interval '1 day'",
        id_, lane)  # fmt: skip
    return id_


async def measured(measures: Measures) -> None:
    """All that is measured in the background, once."""
    for one in measures.periodics():
        await one.step()


async def test_a_lane_with_too_much_or_too_old_is_found_by_its_own_rule(desk: Desk) -> None:
    site, now = desk.site, datetime.now(UTC)
    measuring = Measures(site.db, site.snapshots, timedelta(days=3))
    await measured(measuring)
    assert await measuring.findings() == []
    for number in range(5):
        await enqueue(site.db, number, 3, now - timedelta(hours=2))
    await enqueue(site.db, 9, 1, now - timedelta(minutes=2))
    later = await enqueue(site.db, 11, 0, now - timedelta(hours=2))
    await site.db.execute("INSERT INTO event (id, at, part, kind) VALUES ($1, now(), 0, 'released')", later)
    await rules.except_(by_test(site.db), "queue_old", "lane/otp", Draft(True, "critical", 0, {"threshold": 60}))
    await rules.put(by_test(site.db), await rule(desk, "queue_long"), Draft(True, "warning", 0, {"threshold": 3}))
    await site.snapshots.follow()
    measuring = Measures(site.db, site.snapshots, timedelta(days=3))
    await measured(measuring)
    assert {(one.kind, one.object) for one in await measuring.findings()} == {
        ("queue_long", "lane/marketing"), ("queue_old", "lane/marketing"), ("queue_old", "lane/otp")}  # fmt: skip
    most = await measures.queue(site.db, 3, 0, 4)
    assert most.waiting == 4, "no more is counted than is asked for"
    replication = await measures.replication(site.db)
    assert (replication.standby, replication.standbys, replication.lag) == (False, 0, 0.0)


async def test_queues_that_cannot_be_counted_are_too_long(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    site = desk.site
    monkeypatch.setattr(measures, "PATIENCE", 3.0)  # of which others need a part
    await site.db.execute(GONE, 7)
    measuring = Measures(site.db, site.snapshots, timedelta(days=3))
    async with site.db.transaction(timeout=30) as connection:
        await connection.execute("LOCK TABLE part IN ACCESS EXCLUSIVE MODE")
        await measured(measuring)
        assert [one.object for one in await measuring.absent()] == ["node/7"]
    assert {(one.kind, one.object) for one in await measuring.findings()} == {
        ("queue_long", f"lane/{lane}") for lane in ("emergency", "otp", "notice", "marketing")
    }
    assert measuring.replication.last is not None
    await measuring.waiting.step()
    assert len(await measuring.findings()) == 4, "it is not counted again at once"


async def test_what_was_measured_long_ago_is_told_of_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [1]

    async def ask() -> int:
        return answers.pop()

    one = Measure(ask)
    await one.step()
    assert one.last == 1
    with pytest.raises(IndexError):
        await one.step()
    assert one.last == 1, "for a while"
    monkeypatch.setattr("smsgw.pipeline.upkeep.measures.HOLDS", 0.0)
    await asyncio.sleep(0.1)
    assert one.last is None


async def test_balances_are_as_they_are_now_and_looked_at_only_where_somebody_wants_to_know(desk: Desk) -> None:
    site, by = desk.site, by_test(desk.site.db)
    names = [row["name"] for row in await site.db.fetch("SELECT name FROM account ORDER BY id LIMIT 2")]
    await site.db.execute("UPDATE account SET balance = credit_floor + 500 WHERE name = ANY ($1)", names)
    measuring = Measures(site.db, site.snapshots, timedelta(days=3))

    async def low() -> set[str]:
        await site.snapshots.follow()
        await measured(measuring)
        return {one.object for one in await measuring.findings() if one.kind == "balance_low"}

    assert await low() == set()
    own = await rules.except_(by, "balance_low", f"account/{names[0]}", Draft(True, "warning", 0, {"threshold": 600}))
    assert await low() == {f"account/{names[0]}"}
    await site.db.execute("UPDATE account SET balance = credit_floor + 700 WHERE name = $1", names[0])
    assert await low() == set(), "no configuration has changed"
    await rules.put(by, await rule(desk, "balance_low"), Draft(True, "warning", 0, {"threshold": 1000}))
    assert f"account/{names[1]}" in await low()
    assert f"account/{names[0]}" not in await low()
    await site.db.execute("UPDATE account SET balance = credit_floor WHERE name = $1", names[0])
    assert f"account/{names[0]}" in await low()
    await rules.put(by, own, Draft(False, "warning", 0, {"threshold": 600}))
    assert f"account/{names[0]}" not in await low()


async def test_what_nobody_may_hush_stays_loud(desk: Desk) -> None:
    mail = await desk.add(Way.MAIL, "ops@buyer.example.org", critical_only=True)
    by, id_ = by_test(desk.site.db), await rule(desk, "audit_changed")
    for draft in (Draft(False, "critical", 0), Draft(True, "critical", 86_400), Draft(True, "warning", 0),
                  Draft(True, "critical", 0, receivers=(mail,))):  # fmt: skip
        await fails(SmsgwError, rules.put(by, id_, draft))
    async with signed_in(desk.site, "boss", "super") as boss:
        page = await boss.get(f"/alarms/rules/{id_}")
        assert re.search('note note-info".*?一律通知全部接收人', page, re.DOTALL)
        assert await boss.status_of(f"/alarms/rules/{id_}/edit") == 404
    # A rule whose receivers hear of grave ones alone reaches everybody.
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    only = Draft(True, "warning", 0, receivers=(mail,))
    await rules.put(by, await rule(desk, "login_refused"), only)
    await standing(desk, Finding("login_refused", "channel/a", CRITICAL))
    assert set(await desk.states()) == {("webhook", "waiting")}


async def test_an_alarm_whose_rule_is_turned_off_is_not_told_as_mended(desk: Desk) -> None:
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    found = Finding("login_refused", "channel/a", CRITICAL, "x")
    await standing(desk, found)
    node = desk.node()
    await desk.told(node)
    await rules.put(by_test(desk.site.db), await rule(desk, "login_refused"), Draft(False, "critical", 0))
    await standing(desk, found)
    assert await desk.site.db.fetchval("SELECT unwatched FROM alarm WHERE cleared_at IS NOT NULL")
    await desk.told(node, after=timedelta(minutes=3))
    assert "规则已停用" in str(desk.robots.hook[-1])
    async with signed_in(desk.site, "boss", "super") as boss:
        assert "规则停用，异常可能仍在" in await boss.get("/alarms")


async def test_thousands_of_alarms_at_once_keep_no_grave_one_from_being_told(desk: Desk) -> None:
    async def probe() -> Iterable[Finding]:
        return [*(Finding("sign_over", f"sign/{n}", WARNING) for n in range(5000)),
                Finding("disk_low", "node/1", CRITICAL)]  # fmt: skip

    table = AlarmTable(desk.site.db, 1, {"test": probe}, desk.node())
    await table.look()
    rows = await desk.site.db.fetch("SELECT kind, object, detail FROM alarm WHERE cleared_at IS NULL")
    assert ("disk_low", "node/1") in {(row["kind"], row["object"]) for row in rows}
    assert len(rows) == 102
    (others,) = [row["detail"] for row in rows if row["object"] == "others"]
    assert "4900" in others
    async with signed_in(desk.site, "boss", "super") as boss:
        assert "其他对象" in await boss.get("/alarms?object=others")
    before = await desk.site.db.fetchval("SELECT sum(xmin::text::bigint + xmax::text::bigint) FROM alarm")
    await table.look()
    assert len(table.standing) == 102
    assert before == await desk.site.db.fetchval("SELECT sum(xmin::text::bigint + xmax::text::bigint) FROM alarm")


GONE = """
WITH n AS (
    INSERT INTO node (number, instance, place, since, seen_at) VALUES ($1, 'f' || $1::int, 'old:/data', now(), now()))
INSERT INTO lease (resource, node, epoch, expires_at) VALUES ('node/' || $1::int, $1, 1, now() - interval '1 minute')
"""


async def test_a_node_that_will_not_come_back_is_removed_and_its_alarms_are_over(desk: Desk) -> None:
    site = desk.site
    await site.db.execute(GONE, 7)
    measuring = Measures(site.db, site.snapshots, timedelta(days=3))
    (missing,) = await measuring.absent()
    assert missing.key == ("node_missing", "node/7")
    await rules.put(by_test(site.db), await rule(desk, "node_missing"), Draft(True, "critical", 0))
    now = await rules.current(site.db)
    table = AlarmTable(site.db, 1, {"absent": measuring.absent}, desk.node(), lambda: now)
    await table.look()
    for kind, object_ in (("disk_low", "node/7"), ("audit_anchor", "node/7/evidence")):
        await site.db.execute("INSERT INTO alarm (kind, object, severity, since, last, nodes) "
                              "VALUES ($1, $2, 'critical', now(), now(), '{7}')", kind, object_)  # fmt: skip
    opened = "SELECT count(*) FROM alarm WHERE cleared_at IS NULL"
    assert await site.db.fetchval(opened) == 3
    await nodes.remove(by_test(site.db), 7)
    assert await site.db.fetchval(opened) == 0
    assert await measuring.absent() == [], "what was seen before it was removed is forgotten"
    for number in (7, 8):
        await fails(SmsgwError, nodes.remove(by_test(site.db), number))
    await node_table.beat(site.db, node_table.Number(7, 1, 0), 0)
    assert await site.db.fetchval("SELECT removed_at FROM node WHERE number = 7") is None, "it beats, and is one again"
    await site.db.execute("UPDATE lease SET expires_at = now() + interval '1 hour'")
    await fails(SmsgwError, nodes.remove(by_test(site.db), 7))


LI, WANG = "13800138001", "13800138002"


@pytest_asyncio.fixture
async def desk(desk: Desk) -> Desk:
    for login, phone in (("li", LI), ("wang", WANG)):
        await desk.site.add_staff(login, "ops")
        named = "UPDATE staff SET phone = $2, email = $1 || '@buyer.example.org', name = upper($1) WHERE login = $1"
        await desk.site.db.execute(named, login, phone)
    return desk


def tomorrow() -> date:
    """What is told then has not lapsed before it is accepted, whatever the hour is now."""
    return clock.now().astimezone(CHINA).date() + timedelta(days=1)


def this_week() -> date:
    return roster.monday(clock.now().astimezone(CHINA).date())


async def test_a_shift_lasts_twelve_hours_of_china(database: Database) -> None:
    for at, day, shift in (
        ("2026-11-30 07:59", "2026-11-29", "night"),
        ("2026-11-30 08:00", "2026-11-30", "day"),
        ("2026-11-30 19:59", "2026-11-30", "day"),
        ("2026-11-30 20:00", "2026-11-30", "night"),
        ("2026-12-01 00:00", "2026-11-30", "night"),
        ("2027-01-01 03:00", "2026-12-31", "night"),
    ):
        moment = datetime.fromisoformat(at).replace(tzinfo=CHINA)
        row = await database.fetchrow("SELECT day, shift FROM duty_at($1)", moment)
        assert (str(row["day"]), row["shift"]) == (day, shift), at


async def test_whoever_is_on_duty_when_a_note_leaves_is_told_by_message_and_mail(desk: Desk) -> None:
    by, day = by_test(desk.site.db), tomorrow()
    await desk.add(Way.SMS, PHONE, on_duty=True)
    await desk.add(Way.MAIL, "spare@buyer.example.org", on_duty=True)
    node = desk.node()
    await roster.put(by, roster.monday(day), {(day, "day"): "li", (day, "night"): "wang"})
    for hour, login, phone in ((9, "li", LI), (21, "wang", WANG)):
        desk.clock.now = datetime.combine(day, datetime.min.time(), CHINA) + timedelta(hours=hour)
        await desk.raised(f"channel/{login}")
        await desk.told(node)
        number = await desk.site.db.fetchval("SELECT number FROM message ORDER BY id DESC LIMIT 1")
        assert (number, desk.post.got[-1][0]) == (f"86{phone}", f"{login}@buyer.example.org")
    assert not any("备用" in text for text in await desk.texts())


async def test_where_nobody_is_the_address_of_the_receiver_stands_in_and_is_told_so(desk: Desk) -> None:
    by, day = by_test(desk.site.db), tomorrow()
    await desk.add(Way.SMS, PHONE, on_duty=True)
    node = desk.node()
    desk.clock.now = datetime.combine(day, datetime.min.time(), CHINA) + timedelta(hours=9)

    async def told(name: str) -> tuple[str, bool]:
        desk.clock.now += timedelta(minutes=1)
        await desk.raised(f"channel/{name}")
        await desk.told(node)
        row = await desk.site.db.fetchrow("SELECT number, content FROM message ORDER BY id DESC LIMIT 1")
        return row["number"], "改发备用接收人" in row["content"]

    assert await told("empty") == (f"86{PHONE}", True)
    await roster.put(by, roster.monday(day), {(day, "day"): "li"})
    assert await told("li") == (f"86{LI}", False)
    await desk.site.db.execute("UPDATE staff SET phone = '' WHERE login = 'li'")
    assert await told("no-phone") == (f"86{PHONE}", True)
    await desk.site.db.execute("UPDATE staff SET phone = $1, status = 'stopped' WHERE login = 'li'", LI)
    assert await told("left") == (f"86{PHONE}", True)
    await desk.site.db.execute("UPDATE staff SET status = 'active' WHERE login = 'li'")
    assert await told("back") == (f"86{LI}", False)
    await desk.site.db.execute(
        "INSERT INTO staff_permission (staff_id, permission, allowed) SELECT id, 'alarm.handle', false FROM staff"
        " WHERE login = 'li'"
    )
    assert await told("withheld") == (f"86{PHONE}", True)
    assert await roster.now(desk.site.db, desk.clock.now) is None
    await desk.site.db.execute("DELETE FROM staff_permission")
    await desk.site.db.execute("DELETE FROM staff_role WHERE staff_id = (SELECT id FROM staff WHERE login = 'li')")
    assert await told("no role any more") == (f"86{PHONE}", True)
    await fails(SmsgwError, desk.add(Way.WECOM, desk.robots.wecom_url, on_duty=True))


async def test_a_node_that_is_alone_tells_who_stands_in(desk: Desk) -> None:
    first = this_week()
    await desk.add(Way.MAIL, "spare@buyer.example.org", on_duty=True)
    await roster.put(by_test(desk.site.db), first, dict.fromkeys(roster.places(first), "li"))
    node = desk.node()
    await node.learn()
    await node.unstored([Standing("disk_low", "node/1", "critical", "", desk.clock.now)])
    await node.settle()
    assert [receiver for receiver, _ in desk.post.got] == ["spare@buyer.example.org"]


async def test_a_week_is_copied_without_who_has_left(desk: Desk) -> None:
    by, first = by_test(desk.site.db), this_week()
    await roster.put(by, first, {(first, "day"): "li", (first, "night"): "wang"})
    await desk.site.db.execute("UPDATE staff SET status = 'stopped' WHERE login = 'wang'")
    following = first + timedelta(days=7)
    assert await roster.copy(by, following) == 1
    week = await roster.week(desk.site.db, following)
    assert {place: one.login for place, one in week.items()} == {(following, "day"): "li"}
    await fails(SmsgwError, roster.copy(by, following + timedelta(days=14)))
    for odd in ({(first, "day"): "nobody"}, {(first + timedelta(days=7), "day"): "li"}):
        await fails(SmsgwError, roster.put(by, first, odd))
    await fails(SmsgwError, roster.put(by, first + timedelta(days=1), {}))


async def test_the_roster_and_contacts_are_kept_on_their_page_and_seen_by_everybody(desk: Desk) -> None:
    site, first = desk.site, this_week()
    await site.add_staff("boss", "super")
    await site.add_staff("clerk", "operator", "hall")
    async with signed_in(site, "boss") as boss, signed_in(site, "clerk") as clerk:
        assert "无人值班" in await boss.get("/duty")
        shows(await boss.get(f"/duty/{first}/edit"), 'value="li"', no='value="clerk"')
        form = {f"{shift}_{n}": "li" for shift in roster.SHIFTS for n in range(7)}
        assert "LI" in await boss.post(f"/duty/{first}/edit", form)
        for week in (first - timedelta(days=7), first):  # before eight on a Monday it is Sunday's night
            await roster.put(by_test(site.db), week, dict.fromkeys(roster.places(week), "li"))
        form = {"kind": "hotline", "label": "7×24", "value": "400-000-0000", "note": ""}
        await boss.post("/duty/contacts/-/new", form)
        shows(await clerk.get("/duty"), "400-000-0000", "LI", no=(LI, f"/duty/{first}/edit"))
        assert await clerk.status_of(f"/duty/{first}/edit") == 403
        following = first + timedelta(days=7)
        assert str(first) in await boss.get(f"/duty/{following}/copy")
        await boss.post(f"/duty/{following}/copy", {"confirmed": "1"})
        assert len(await roster.week(site.db, following)) == 14
        await desk.raised()
        alarm = await site.db.fetchval("SELECT id FROM alarm")
        assert "现在值班" in await boss.get(f"/alarms/{alarm}")
        (one,) = await contacts.listed(site.db)
        await boss.post(f"/duty/contacts/{one.id}/remove", {"confirmed": "1"})
        assert await contacts.listed(site.db) == []
        for odd in ("2026-13-01", "2026-02-31", "2099-01-05"):
            assert await boss.status_of(f"/duty/{odd}/edit") == 404, odd
