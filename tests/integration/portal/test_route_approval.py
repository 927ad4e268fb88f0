"""With ``route_approval`` a route table is in force once a second person has approved just what was submitted; and the
settings that ask for a second person are turned off by two."""

from __future__ import annotations

import asyncio
import json
import re
from html import unescape

import pytest
import pytest_asyncio
from browsing import Browser, shows
from portal_site import SEALER, Site, by_test
from test_route_pages import OTHER, drafted, revision
from visits import all_signed_in, signed_in

from smsgw.core.actor import Actor
from smsgw.core.errors import Refused, SmsgwError
from smsgw.platform.change import Change
from smsgw.platform.channels import service as channels
from smsgw.platform.routing import approvals, following, queries, service
from smsgw.platform.settings import queries as settings_queries
from smsgw.platform.settings import service as settings

TABLE = {"pool": [], "rule": [{"name": "all", "pool": "CMCC"}]}
pytestmark = pytest.mark.staff(boss="super", second="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await channels.add(by_test(site.db), SEALER, "mobile-b", OTHER)
    await settings.put(by_test(site.db), "route_approval", 1)
    await site.snapshots.follow()
    return site


def by(site: Site, name: str) -> Change:
    return Change(site.db, Actor.system(name), ids=site.ids)


async def in_force(site: Site) -> int:
    newest = await queries.newest(site.db)
    return 0 if newest is None else newest.version


async def submitted(site: Site, boss: Browser) -> int:
    await drafted(boss, site)
    given = {"reason": "验证码单独走", "revision": await revision(site), "confirmed": "1"}
    page = await boss.post("/routes/draft/publish", given)
    found = re.fullmatch(r"/routes/submitted/(\d+)", boss.path)
    assert found, page
    return int(found[1])


async def test_a_draft_waits_for_a_second_person_who_sees_what_is_approved(site: Site) -> None:
    async with all_signed_in(site, "boss", "second") as (boss, second):
        id_ = await submitted(site, boss)
        assert await in_force(site) == 0
        assert await site.db.fetchval("SELECT count(*) FROM route_draft") == 1, "what is refused is not typed anew"
        assert "等待批准" in await boss.get("/routes")
        own = await boss.get(f"/routes/submitted/{id_}")
        shows(own, "须由另一人批准", no=f"/routes/submitted/{id_}/approve")
        await boss.post(f"/routes/submitted/{id_}/approve", {"reason": "", "confirmed": "1"})
        assert boss.status == 422, "not by a form of one's own, either"
        assert await in_force(site) == 0

        for one, asked in ((boss, False), (second, True), (boss, False)):
            assert (f"/routes/submitted/{id_}" in await one.get("/home/live")) == asked, "another person alone"
        waits = {name: json.loads(await who.get("/menu/badges")).get("routing.routes", 0)
                 for name, who in (("boss", boss), ("second", second))}  # fmt: skip
        assert waits == {"boss": 0, "second": 1}, "one's own is not counted"
        assert "大厅验证码" in await second.get(f"/routes/submitted/{id_}")
        assert "boss 提交的 2 处改动" in unescape(await second.post(f"/routes/submitted/{id_}/approve", {"reason": ""}))
        await second.post(f"/routes/submitted/{id_}/approve", {"reason": "看过", "confirmed": "1"})
        assert re.fullmatch(r"/jobs/\d+", second.path)
        assert (await queries.newest(site.db)).document["rule"][0]["name"] == "大厅验证码"
        assert await second.status_of(f"/routes/submitted/{id_}/approve") == 404, "it is decided"
    actions = [row["action"] for row in await site.db.fetch(
        "SELECT action FROM audit WHERE action LIKE 'route.%' AND action NOT LIKE '%draft%' ORDER BY id")]  # fmt: skip
    assert actions == ["route.submit", "route.publish", "route.approve"]


async def test_what_was_submitted_over_another_version_is_not_approved(site: Site) -> None:
    made = await service.publish(by(site, "a"), TABLE, "first")
    assert (made.version, made.waits > 0) == (0, True)
    with pytest.raises(Refused, match="等待批准"):
        await service.publish(by(site, "b"), TABLE, "beside")
    for name in ("a", "b"):
        await settings.put(by(site, name), "route_approval", 0)
    assert (await service.publish(by(site, "c"), {"pool": [], "rule": []}, "meanwhile")).version
    await settings.put(by(site, "a"), "route_approval", 1)
    with pytest.raises(Refused, match="提交时生效的是版本 0"):
        await approvals.approve(by(site, "b"), made.waits)
    async with signed_in(site, "second") as second:
        shows(await second.get(f"/routes/submitted/{made.waits}"), "不能再批准", no="/approve")
        await second.post(f"/routes/submitted/{made.waits}/reject", {"reason": "已过时", "confirmed": "1"})
        assert "已驳回" in await second.get(f"/routes/submitted/{made.waits}")


async def test_ways_around_it_wait_as_well(site: Site) -> None:
    """An account given to a channel, a way back, and a channel that takes another one's place."""
    await site.db.execute("UPDATE channel SET desired = 'started', carriers = '{}' WHERE id > 0")
    for change in (
        lambda: following.move_account(by(site, "a"), "hall", "mobile-b", "cheaper"),
        lambda: service.move(by(site, "a"), "sign", "市政服务", "mobile-b", "cheaper"),
        lambda: service.rollback(by(site, "a"), 0),
        lambda: following.move_channel(by(site, "a"), "mobile-a", "mobile-b", "cheaper"),
    ):
        made = await change()
        assert (made.version, made.job) == (0, 0)
        assert made.waits
        with pytest.raises(Refused, match="不能批准自己提交的"):
            await approvals.approve(by(site, "a"), made.waits)
        await approvals.reject(by(site, "a"), made.waits, "")
        assert (await approvals.one(site.db, made.waits)).state is approvals.State.WITHDRAWN
    assert await in_force(site) == 0
    assert await site.db.fetchval("SELECT count(*) FROM job") == 0
    assert not await site.db.fetchval("SELECT count(*) FROM channel WHERE desired = 'draining'")


async def test_of_two_who_approve_at_the_same_time_one_does(site: Site) -> None:
    made = await service.publish(by(site, "a"), TABLE, "first")
    done = await asyncio.gather(*(approvals.approve(by(site, name), made.waits) for name in ("b", "c", "d")),
                                return_exceptions=True)  # fmt: skip
    assert sum(not isinstance(one, SmsgwError) for one in done) == 1
    assert await site.db.fetchval("SELECT count(*) FROM route_version") == 1


@pytest.mark.parametrize("name", ["channel_approval", "route_approval"])
async def test_a_second_person_is_done_without_only_by_two(site: Site, name: str) -> None:
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
