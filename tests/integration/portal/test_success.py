"""Success of channels (13.2): with and without what the rules leave out, each day by the rules of its time, and every
figure the number of its rows."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import asyncpg
import pytest
import pytest_asyncio
from browsing import lacks, send, shows
from databases import owner
from days import today
from portal_site import SEALER, Site, by_test
from visits import add_role, page_for, signed_in

from smsgw.core.alarm_rules import Rules, Stored
from smsgw.core.errors import Invalid
from smsgw.core.ids import day_range
from smsgw.core.permissions import Permission as P
from smsgw.core.routes import parse
from smsgw.core.settings import Settings
from smsgw.core.states import PartState
from smsgw.pipeline.fleet import Fleet
from smsgw.pipeline.upkeep.shifting import Shifting
from smsgw.platform.channels import service as channels
from smsgw.platform.exclusions import queries, service
from smsgw.platform.exclusions.model import Draft
from smsgw.runtime import aio
from smsgw.store.config import channels as channel_store
from smsgw.store.messages import daily, success

LIMITS = Settings(success_least=1)
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


async def test_both_figures_stand_with_their_version_and_lead_to_the_rows_left_out(site: Site) -> None:
    ids = await ended(site)
    await counted(site)
    async with signed_in(site, "boss") as boss:
        page = await boss.get("/reports/success?time=today")
        assert "44.44%" in page, "four of nine"
        assert "V1" not in page
        await service.add(by_test(site.db), Draft(today(), "tender", *RULES))
        await counted(site)
        page = await boss.get("/reports/success?time=today")
        assert "44.44%" in page, "the figure of all stays beside it"
        assert "66.67%" in page, "four of six: gone, both and coded do not count, mixed does"
        assert "V1" in page
        leads = [address.replace("&amp;", "&") for address in re.findall(r'href="(/records\?[^"]*)"', page)]
        (left_out,) = (one for one in leads if "left_out=any" in one)

        async def shown(address: str) -> set[int]:
            return {int(id_) for id_ in re.findall(r'href="/records/(\d+)"', await boss.get(address))}

        assert await shown(left_out) == {ids[key] for key in ("gone", "both", "coded")}
        assert await shown(left_out.replace("=any", "=network")) == {ids["coded"]}
        assert await shown(left_out.replace("=any", "=handset")) == {ids[key] for key in ("gone", "both")}
        assert await shown(left_out.replace("=any", "=words")) == set()
        (failed,) = (one for one in leads if "result=failed" in one and "left_out" not in one)
        assert len(await shown(failed)) == 5
        for group in ("carrier", "day"):
            shows(await boss.get(f"/reports/success?time=today&group={group}"), "66.67%", "left_out=any")
        clinic = await boss.get(f"/reports/success?{urlencode({'time': 'today', 'account': site.accounts['clinic']})}")
        shows(clinic, "100.00%", no="44.44%")
    async with signed_in(site, "hall-op") as counter:
        page = await counter.get("/reports/success?time=today")
        assert "37.50%" in page, "three of eight: the other account's is not the person's"
        lacks(page, "/records?", "/drain")
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
    assert (await queries.one(site.db, 1)) is not None, "none is forgotten"
    for wrong in (Draft(yesterday, "too late", *RULES), Draft(today(), "", *RULES),
                  Draft(today(), "why", {"NOTHING": "handset"}), Draft(today(), "why", {"CHANNEL": "nothing"}),
                  Draft(today(), "why", {}, {"x" * 65: "other"})):  # fmt: skip
        with pytest.raises(Invalid):
            await service.add(change, wrong)
    rows = await site.db.fetch(
        "SELECT object, before::text, after::text FROM audit WHERE action = 'exclusion.add' ORDER BY id"
    )
    assert [row["object"] for row in rows] == ["exclusion/1", "exclusion/2", "exclusion/3"]
    assert json.loads(rows[0]["after"])["classes"] == {"EMPTY_NUMBER": "handset"}
    assert json.loads(rows[1]["before"])["version"] == 1


async def test_a_version_is_made_on_its_page_from_the_one_before(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        page = await boss.get("/reports/exclusions/-/new")
        assert re.search(r'name="class_EMPTY_NUMBER".*?value="handset" selected', page, re.DOTALL), "what is proposed"
        form = {"from_day": f"{today() + timedelta(days=1)}", "reason": "招标文件", "class_NETWORK": "network"}
        assert "第 1 行须为" in await boss.post("/reports/exclusions/-/new", form | {"codes": "MK:0010"})
        page = await boss.post("/reports/exclusions/-/new", form | {"codes": "MK:0010 其他\nmk:0010/3 敏感词"})
        assert "第 2 行的代码重复" in page
        form["codes"] = "mk:0010/3 手机用户自身问题"
        assert "1 种原因和 1 个代码" in await boss.post("/reports/exclusions/-/new", form)
        page = await boss.post("/reports/exclusions/-/new", form | {"confirmed": "1"})
        assert boss.path == "/reports/exclusions/1"
        assert "MK:0010" in page
        assert "V1" in await boss.get("/reports/exclusions")
        page = await boss.get("/reports/exclusions/-/new")
        assert "MK:0010 手机用户自身问题" in page
        assert not re.search(r'name="class_EMPTY_NUMBER".*?value="handset" selected.*?name="class_POWERED_OFF"', page,
                             re.DOTALL)  # fmt: skip


async def test_a_channel_below_the_limit_is_an_alarm_and_what_is_left_out_lifts_it(site: Site) -> None:
    now = datetime.now(UTC)
    assert await success.findings(site.db, Rules(settings=LIMITS), LIMITS, now) == []
    await ended(site)
    channel = await site.db.fetchval("SELECT name FROM channel WHERE id = $1", site.channel_id)

    async def told(settings: Settings = LIMITS, **rules: Stored) -> list[str]:
        rules_ = Rules({(kind, f"channel/{channel}"): one for kind, one in rules.items()}, settings)
        return [f"{one.kind} {one.object} {one.detail}"
                for one in await success.findings(site.db, rules_, settings, now)]  # fmt: skip

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
    await service.add(by_test(site.db), Draft(today(), "all", {"EMPTY_NUMBER": "handset", "CHANNEL": "other",
                                                             "UNKNOWN": "other"}))  # fmt: skip
    assert await told() == []


async def test_no_version_is_changed_and_what_is_old_is_not_looked_at(site: Site, dsn: str) -> None:
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
    connection = await asyncpg.connect(owner(dsn))
    for table in ("part", "message"):
        await connection.execute(f"DELETE FROM {table} WHERE id >= $1 AND id < $2", low, high)  # noqa: S608
    await connection.close()
    assert "66.67%" in await page_for(site, "boss", "/reports/success?time=today")


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
    fields = {"protocol": "cmpp30", "host": "127.0.0.1", "port": 7891, "username": "900002", "password": "secret",
              "access_code": "10690002"}  # fmt: skip
    better = await channels.add(by_test(site.db), SEALER, "mobile-b", fields)
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
