"""Success of channels (13.2) by the rules of its time, reports that come late, and what has become of a task."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import urlencode

import asyncpg
import pytest
import pytest_asyncio
from browsing import Browser, send, shows
from databases import change as as_owner
from days import today
from portal_site import SEALER, Site, by_test
from visits import add_role, boss, fails, second_channel, signed_in, submitted, table_rows, taken_away

from smsgw.core.actor import ActorLabel
from smsgw.core.alarm_rules import Rules, Stored
from smsgw.core.errors import Invalid
from smsgw.core.ids import day_range, stretch
from smsgw.core.model import Origin
from smsgw.core.permissions import Permission as P
from smsgw.core.routes import parse
from smsgw.core.settings import Settings
from smsgw.core.states import PartState
from smsgw.core.tasks import Task
from smsgw.pipeline.fleet import Fleet
from smsgw.pipeline.upkeep.lateness import Lateness
from smsgw.pipeline.upkeep.shifting import Shifting
from smsgw.platform.exclusions import queries, service
from smsgw.platform.exclusions.model import Draft
from smsgw.runtime import aio, clock
from smsgw.store.config import channels as channel_store
from smsgw.store.messages import daily, lateness, success, tasks
from smsgw.store.messages.lateness import Late

LIMITS = Settings(success_least=1)
__all__ = ["boss"]
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "counter", [P.STATISTICS_VIEW], people={"hall-op": "hall"})
    return site


async def ended(site: Site) -> dict[str, int]:
    """Eight messages: four delivered, and of the others one for each reason; one of two parts with two reasons."""
    ids = {name: await send(site, to=f"138001380{n:02}") for n, name in enumerate(("a", "b", "c", "gone", "down"))}
    ids["both"] = await send(site, to="13800138010", content="好" * 100)
    ids["mixed"] = await send(site, to="13800138011", content="好" * 100)
    ids["clinic"] = await send(site, "clinic", to="13800138012")
    ids["coded"] = await send(site, to="13800138013")
    taken = await site.carrier_takes()
    await site.carrier_reports([one for one in taken if one[0] in {ids[key] for key in ("a", "b", "c", "clinic")}])

    async def raises_code(code: str, cls: str, *parts: tuple[str, int]) -> None:
        chosen = [one for one in taken if one in [(ids[name], part) for name, part in parts]]
        await site.carrier_reports(chosen, PartState.UNDELIVERABLE, code, cls)

    await raises_code("MK:0001", "EMPTY_NUMBER", ("gone", 1), ("both", 1), ("both", 2), ("mixed", 1))
    await raises_code("DB:0106", "CHANNEL", ("down", 1), ("mixed", 2))
    await raises_code("XX:0077/5", "UNKNOWN", ("coded", 1))
    return ids


async def counted(site: Site) -> None:
    """Today's figures and what is left out of it."""
    while await daily.roll_up(site.db, datetime.now(UTC) + timedelta(minutes=1)):
        pass
    async with site.db.transaction() as connection:
        await success.count_day(connection, today())


RULES = {"EMPTY_NUMBER": "handset"}, {"XX:0077": "network"}


async def test_both_figures_stand_with_their_version_and_lead_to_the_rows_left_out(site: Site, boss: Browser) -> None:
    ids = await ended(site)
    await counted(site)
    shows(await boss.get("/reports/success?time=today"), "44.44%", no=">V1<")  # four of nine
    await service.add(by_test(site.db), Draft(today(), "tender", *RULES))
    await counted(site)
    page = await boss.get("/reports/success?time=today")
    shows(page, "44.44%", "66.67%", ">V1<")  # of six four: gone, both and coded do not count, mixed does
    leads = [address.replace("&amp;", "&") for address in re.findall(r'href="(/records\?[^"]*)"', page)]
    (left_out,) = (one for one in leads if "left_out=any" in one)

    async def shown(address: str) -> set[int]:
        return {int(id_) for id_ in re.findall(r'href="/records/(\d+)"', await boss.get(address))}

    for category, left in (("any", ("gone", "both", "coded")), ("network", ("coded",)), ("handset", ("gone", "both")),
                           ("words", ())):  # fmt: skip
        assert await shown(left_out.replace("=any", f"={category}")) == {ids[key] for key in left}, category
    (failed,) = (one for one in leads if "result=failed" in one and "left_out" not in one)
    assert len(await shown(failed)) == 5
    for group in ("carrier", "day"):
        shows(await boss.get(f"/reports/success?time=today&group={group}"), "66.67%", "left_out=any")
    clinic = await boss.get(f"/reports/success?{urlencode({'time': 'today', 'account': site.accounts['clinic']})}")
    shows(clinic, "100.00%", no="44.44%")
    async with signed_in(site, "hall-op") as counter:
        # three of eight: the other account's is not the person's
        shows(await counter.get("/reports/success?time=today"), "37.50%", no=["/records?", "/drain"])
        assert "V1" in await counter.get("/reports/exclusions/1"), "but the rules may be read"


async def test_a_new_version_leaves_days_that_are_over_as_they_were(site: Site) -> None:
    change, yesterday = by_test(site.db), today() - timedelta(days=1)
    tomorrow = today() + timedelta(days=1)
    await ended(site)
    for first, rules in ((today(), RULES), (tomorrow, ({"CHANNEL": "other"}, {}))):
        await service.add(change, Draft(first, "tender", *rules))
    day = "SELECT COALESCE(sum(messages), 0)::int FROM left_out_day WHERE day = $1"
    await counted(site)
    assert await site.db.fetchval(day, today()) == 3, "the second holds from tomorrow"
    assert await queries.in_force(site.db, yesterday, tomorrow) == [0, 1, 2]
    third = await service.add(change, Draft(today(), "the first was wrong", {"CHANNEL": "other"}, {}))
    await counted(site)
    assert await site.db.fetchval(day, today()) == 1
    later = today() + timedelta(days=9)
    assert await queries.in_force(site.db, today(), later) == [third], "in the place of the second"
    assert (await queries.EXCLUSIONS.get(site.db, change.actor, 1)) is not None, "none is forgotten"
    for wrong in (Draft(yesterday, "too late", *RULES), Draft(today(), "", *RULES),
                  Draft(today(), "why", {"NOTHING": "handset"}), Draft(today(), "why", {"CHANNEL": "nothing"}),
                  Draft(today(), "why", {}, {"x" * 65: "other"})):  # fmt: skip
        await fails(Invalid, service.add(change, wrong))
    rows = await site.db.fetch("SELECT object, before, after FROM audit WHERE action = 'exclusion.add' ORDER BY id")
    assert [row["object"] for row in rows] == ["exclusion/1", "exclusion/2", "exclusion/3"]
    assert json.loads(rows[0]["after"])["classes"] == {"EMPTY_NUMBER": "handset"}
    assert json.loads(rows[1]["before"])["version"] == 1


async def test_a_version_is_made_on_its_page_from_the_one_before(site: Site, boss: Browser) -> None:
    page = await boss.get("/reports/exclusions/-/new")
    assert re.search(r'name="class_EMPTY_NUMBER".*?value="handset" selected', page, re.DOTALL), "what is proposed"
    form = {"from_day": f"{today() + timedelta(days=1)}", "reason": "招标文件", "class_NETWORK": "network"}
    assert "第 1 行须为" in await boss.post("/reports/exclusions/-/new", form | {"codes": "MK:0010"})
    twice = form | {"codes": "MK:0010 其他\nmk:0010/3 敏感词"}
    assert "第 2 行的代码重复" in await boss.post("/reports/exclusions/-/new", twice)
    form["codes"] = "mk:0010/3 手机用户自身问题"
    assert "MK:0010" in await boss.confirms("/reports/exclusions/-/new", form, "1 种原因和 1 个代码")
    assert boss.path == "/reports/exclusions/1"
    assert "V1" in await boss.get("/reports/exclusions")
    page = await boss.get("/reports/exclusions/-/new")
    assert "MK:0010 手机用户自身问题" in page
    assert not re.search(
        r'name="class_EMPTY_NUMBER".*?value="handset" selected.*?name="class_POWERED_OFF"', page, re.DOTALL
    )


async def test_a_channel_below_the_limit_is_an_alarm_and_what_is_left_out_lifts_it(site: Site) -> None:
    now = datetime.now(UTC)
    assert await success.findings(site.db, Rules(settings=LIMITS), LIMITS, now) == []
    await ended(site)

    async def told(settings: Settings = LIMITS, **rules: Stored) -> list[str]:
        rules_ = Rules({(kind, "channel/mobile-a"): one for kind, one in rules.items()}, settings)
        return [
            f"{one.kind} {one.object} {one.detail}" for one in await success.findings(site.db, rules_, settings, now)
        ]

    (alarm,) = await told()
    shows(alarm, "success_low channel/", "36.36")
    assert await told(Settings(success_least=100)) == [], "too few to say"
    assert await told(success_low=Stored(True, values={"threshold": 30})) == [], "it has a rule of its own"
    assert await told(Settings(success_least=1, success_limit=0), success_low=Stored(True, values={"threshold": 90}))
    assert await told(Settings(success_least=1, success_limit=0)) == [], "nobody wants to know"
    await service.add(by_test(site.db), Draft(today(), "tender", *RULES))
    (alarm,) = await told()
    assert "66.67" in alarm, "five of the failed parts do not count"
    assert await told(Settings(success_least=1, success_limit=60)) == []
    every = {"EMPTY_NUMBER": "handset", "CHANNEL": "other", "UNKNOWN": "other"}
    await service.add(by_test(site.db), Draft(today(), "all", every))
    assert await told() == []


async def test_no_version_is_changed_and_what_is_old_is_not_looked_at(site: Site, boss: Browser) -> None:
    """The figures of a day whose records are gone stay as they were counted."""
    await ended(site)
    await service.add(by_test(site.db), Draft(today(), "tender", *RULES))
    await counted(site)
    with pytest.raises(asyncpg.UniqueViolationError):
        await site.db.execute("INSERT INTO exclusion_version VALUES (1, $1, 'again', 'x')", today())
    for change in ("UPDATE exclusion_version SET from_day = from_day - 1", "DELETE FROM exclusion",
                   "UPDATE exclusion SET category = 'other'"):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await site.db.execute(change)
    low, high = day_range(today())
    for table in ("part", "message"):
        await as_owner(site.db.dsn, f"DELETE FROM {table} WHERE id >= {low} AND id < {high}")  # noqa: S608
    assert "66.67%" in await boss.get("/reports/success?time=today")


WAITS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.mark.parametrize("already", [False, True])
async def test_two_count_a_day_one_after_the_other(site: Site, already: bool) -> None:
    """As a node does of itself while somebody counts the day anew."""
    await ended(site)
    await service.add(by_test(site.db), Draft(today(), "tender", *RULES))
    if already:
        await counted(site)
    async with site.db.transaction() as connection:
        await success.count_day(connection, today())
        other = aio.spawn(counted(site), name="other")
        for _ in range(3000):
            if await site.db.fetchval(WAITS):
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("nobody waits")
    await other
    assert await site.db.fetchval("SELECT sum(messages) FROM left_out_day WHERE day = $1", today()) == 3


class NobodyComplains:
    def marketing_stopped(self, channel_id: int) -> bool:
        return False


ENDED = """
INSERT INTO stat_minute (minute, node, account_id, channel_id, metric, n)
VALUES (date_trunc('minute', now()), 1, 1, $1, 'delivered', $2), (date_trunc('minute', now()), 1, 1, $1, 'failed', $3)
"""


async def test_traffic_moves_to_a_channel_of_the_pool_that_delivers_and_its_page_says_so(site: Site) -> None:
    better = await second_channel(site)
    await site.db.execute(ENDED, site.channel_id, 900, 100)
    await site.db.execute(ENDED, better, 998, 2)
    fleet = Fleet(site.snapshots, NobodyComplains())
    fleet.configured({spec.id: spec for spec in await channel_store.load_channels(site.db, SEALER)})
    told: list[dict[int, float]] = []
    shifting = Shifting(site.db, site.snapshots, fleet, lambda left: told.append(dict(left)))
    await shifting.decide()
    await shifting.follow()
    assert (told.pop(), await shifting.findings()) == ({}, []), "it is off by default"
    async with signed_in(site, "boss") as boss:
        path = f"/channels/{site.channel_id}"
        assert "自动分流" not in await boss.get(path)
        site.snapshots.change(settings=Settings(success_shift=80))
        await shifting.decide()
        await shifting.follow()
        assert told.pop() == {site.channel_id: pytest.approx(0.2)}
        (alarm,) = await shifting.findings()
        assert alarm.key == ("channel_shifted", "channel/mobile-a")
        assert all(figure in str(alarm.detail) for figure in ("90.00", "99.80", "mobile-b", "20"))
        page = await boss.get(path)
        shows(page, "成功率 90.00%（1,000 段有结果），低于 99%；同池的 mobile-b 为 99.80%", "只取其份额的 20%")
        assert "自动分流" not in await boss.get(f"/channels/{better}")
    await site.db.execute("DELETE FROM channel_shift")
    only = {"pool": [{"name": "vip", "channels": [{"name": "mobile-a"}, {"name": "mobile-b", "standby": True}]}]}
    fields = {"table": parse(only, version=9, channels=["mobile-a", "mobile-b"]), "pools": {"vip": 77}}
    before = {name: getattr(site.snapshots.current, name) for name in fields}
    site.snapshots.change(**fields)
    await shifting.decide()
    assert await site.db.fetchval("SELECT count(*) FROM channel_shift") == 0, "a standby shares nothing with a primary"
    site.snapshots.change(**before)
    await shifting.decide()
    another = Shifting(site.db, site.snapshots, fleet, lambda left: told.append(dict(left)))
    await another.follow()
    assert told.pop() == {site.channel_id: pytest.approx(0.2)}, "every node does as was decided"
    site.snapshots.change(settings=Settings())
    await another.decide()
    await another.follow()
    assert told.pop() == {}
    assert await site.db.fetchval("SELECT count(*) FROM channel_shift") == 0


CHANNEL = "mobile-a"


async def many(site: Site, n: int) -> None:
    await submitted(site, "hall", *(f"138{at:08}" for at in range(n)))


async def looked(site: Site, minutes: int, values: Mapping[str, int], **own: int) -> list[Late]:
    stored = {(lateness.KIND, ""): Stored(True, values=values)}
    if own:
        stored[lateness.KIND, f"channel/{CHANNEL}"] = Stored(True, values=own)
    return await lateness.look(site.db, Rules(stored), [CHANNEL], clock.now() + timedelta(minutes=minutes))


async def test_what_was_accepted_long_enough_ago_and_has_no_report_is_late(site: Site) -> None:
    await many(site, 60)
    taken = await site.carrier_takes()
    rule = {"threshold": 600, "minutes": 30, "least": 50}
    assert await looked(site, 9, rule) == [], "it has had no ten minutes yet"
    assert await looked(site, 11, rule) == [Late(CHANNEL, 60, 60, 600, 50)]
    await site.carrier_reports(taken[:40])
    assert await looked(site, 11, rule) == [Late(CHANNEL, 60, 20, 600, 50)]
    assert await looked(site, 45, rule) == [], "of what is longer ago nothing is said"
    assert await looked(site, 11, rule, threshold=1200) == [], "by its own rule it has twenty minutes"
    await site.db.execute("UPDATE part SET answered_at = answered_at - interval '15 minutes' WHERE state = 40")
    (late,) = await looked(site, 11, rule)
    assert late.late == 60, "a report that came after a quarter of an hour is as late as none"


async def test_it_is_an_alarm_beyond_half_and_where_there_is_enough(site: Site) -> None:
    watching = Lateness(site.db, site.snapshots)
    await many(site, 60)
    taken = await site.carrier_takes()
    await site.db.execute("UPDATE part SET answered_at = answered_at - interval '11 minutes'")

    async def found(least: int = 50) -> list[str]:
        rules = Rules({(lateness.KIND, ""): Stored(True, values={"least": least})})
        watching.seen = await lateness.look(site.db, rules, [CHANNEL], clock.now() + timedelta(minutes=10, seconds=1))
        watching._looked = 1e12
        return [one.object for one in await watching.findings()]

    assert await found() == [f"channel/{CHANNEL}"]
    assert await found(61) == [], "sixty are too few to say anything"
    await site.db.execute("UPDATE part SET final_at = answered_at + interval '5 s', state = 40 WHERE id = ANY($1)",
                          [id_ for id_, _ in taken[:30]])  # fmt: skip
    assert await found() == [], "half of it is in time"


async def judged(site: Site, limit: int, minutes: int) -> set[tuple[str, int, int]]:
    stored = {(lateness.KIND, ""): Stored(True, values={"threshold": 600, "minutes": 30, "least": 5}),
              (lateness.KIND, "channel/mobile-b"): Stored(True, values={"threshold": limit})}  # fmt: skip
    found = await lateness.look(site.db, Rules(stored), [CHANNEL, "mobile-b"], clock.now() + timedelta(minutes=minutes))
    return {(one.channel, one.accepted, one.late) for one in found}


async def test_a_busy_channel_hides_no_small_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lateness, "SAMPLE", 50)
    await many(site, 60)
    await site.carrier_takes()
    theirs = "UPDATE part SET channel_id = $1 WHERE id IN (SELECT id FROM part ORDER BY id LIMIT 8)"
    await site.db.execute(theirs, await second_channel(site))
    assert await judged(site, 600, 16) == {(CHANNEL, 50, 50), ("mobile-b", 8, 8)}


async def test_each_limit_has_a_sample_of_its_own(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lateness, "SAMPLE", 20)
    monkeypatch.setattr(lateness, "OWN", 0)
    await many(site, 40)
    await site.carrier_takes()
    await site.db.execute(
        "UPDATE part SET id = id - $2::bigint, answered_at = answered_at - interval '20 minutes', channel_id = $1"
        " WHERE id IN (SELECT id FROM part ORDER BY id LIMIT 20)",
        await second_channel(site),
        stretch(timedelta(minutes=20)),
    )
    assert await judged(site, 1800, 11) == {(CHANNEL, 20, 20), ("mobile-b", 20, 20)}


NUMBERS = ("13800138000", "13800138001", "13800138002", "13000130000", "13000130001", "13300133000")


async def sent(site: Site) -> int:
    """A task of a message to each number: one failed as an empty number, one is on its way, one was answered."""
    hall = site.accounts["hall"]
    ids = await submitted(site, "hall", *NUMBERS, content="请到窗口办理", origin=Origin.PORTAL, by="writer")
    assert ids == list(range(ids[0], ids[0] + len(NUMBERS)))
    taken = {id_: (id_, part) for id_, part in await site.carrier_takes()}
    await site.carrier_reports([taken[id_] for id_ in ids[:1]], PartState.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER")
    await site.carrier_reports([taken[id_] for id_ in ids[1:5]])
    await site.db.execute(
        "INSERT INTO mo (id, account_id, channel_id, number, to_code, content, in_reply_to, received_at) "
        "VALUES ($1, $2, $3, '8613800138001', '1069', '好', $4, now())",
        site.ids.next(), hall, site.channel_id, ids[1],
    )  # fmt: skip
    id_ = site.ids.next()
    now = datetime.now(UTC)
    task = Task(id_, hall, "窗口通知", "sent", "portal", ActorLabel("writer"), "notice", "请到窗口办理", now)
    chunk = "INSERT INTO task_chunk (task_id, run, first, size, base_id) VALUES ($1, 1, 1, $2, $3)"
    async with site.db.transaction() as connection:
        assert await tasks.insert(connection, task)
        await connection.execute(chunk, id_, len(ids), ids[0])
        await connection.execute("UPDATE task SET run = 1, valid = $2, fed = $2 WHERE id = $1", id_, len(ids))
    return id_


async def test_what_has_become_of_a_task_is_told_by_carrier_and_reason(site: Site, boss: Browser) -> None:
    id_ = await sent(site)

    async def found(group: str) -> dict[str, list[str]]:
        page = await boss.get(f"/tasks/report?task={id_}&group={group}")
        return {row[0]: row[1:] for row in table_rows(page) if row[0] not in ("通道", "归属地")}

    assert f"/tasks/report?task={id_}" in await boss.get(f"/tasks/{id_}")
    carriers = await found("")
    assert carriers["移动"] == ["3", "2", "1", "0", "0", "0", "66.67%", "1"]
    assert carriers["联通"] == ["2", "2", "0", "0", "0", "0", "100.00%", "0"]
    assert carriers["电信"] == ["1", "0", "0", "0", "0", "1", "—", "0"]
    assert carriers["合计"] == ["6", "4", "1", "0", "0", "1", "80.00%", "1"]
    page = await boss.get(f"/tasks/report?task={id_}")
    links = map(unescape, re.findall(r'href="(/records\?[^"]*)"', page))
    (to,) = {link for link in links if "CMCC" in link and "failed" in link}
    assert "13800138000"[-4:] in await boss.get(to), "exactly those"
    options = json.loads(unescape(re.findall(r'data-options="([^"]*)"', page)[0]))
    drawn = {one["name"]: sum(one["data"]) for one in options["series"]}
    assert (drawn["成功"], drawn["失败"], drawn["待结果"]) == (4, 1, 1)

    reasons = await found("reason")
    assert reasons["空号"] == ["1", "0", "0"], "none that has arrived is among them: submitted says nothing"
    assert reasons["合计"][0] == "1"
    assert [row[0] for name, row in (await found("channel")).items() if name != "合计"] == ["6"]
    assert sum(int(row[0]) for name, row in (await found("province")).items() if name != "合计") == 6
    rows = await taken_away(boss, "/tasks/report", f"task={id_}")
    assert [row[1] for row in rows if row[0] in ("移动", "合计")] == ["3", "6"]
    listed = await boss.post("/records/-/layout", [("columns", "number"), ("columns", "subject")])
    assert listed.count("窗口通知") == len(NUMBERS), "each message says what its task is called"
    rows = await taken_away(boss, "/records", "")
    assert [row[-1] for row in rows].count("窗口通知") == len(NUMBERS)
