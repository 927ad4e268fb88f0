"""Silence, quiet hours and the second line: nobody is told too early, and nobody is forgotten."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

import pytest
from alarm_desk import Desk
from portal_site import by_test
from robots import HOOK_SECRET
from visits import lacking, signed_in, status_of

from smsgw.core.alarm_notes import Way
from smsgw.core.alarm_rules import LASTING
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA
from smsgw.pipeline.upkeep.alarms import Standing
from smsgw.platform.alarms import service, silences
from smsgw.store.records import alarms

HELD = timedelta(seconds=91)


def events(desk: Desk) -> list[tuple[str, str]]:
    return [(item["event"], item["object"]) for item in desk.robots.hook]


async def silenced(desk: Desk, kind: str = "", object: str = "", minutes: int = 60) -> int:
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    return await silences.add(by_test(desk.site.db), kind, object, until, "planned work")


async def test_of_what_is_silenced_nobody_is_told_until_it_ends_and_never_of_what_is_over_by_then(desk: Desk) -> None:
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    node = desk.node()
    await silenced(desk, "channel_down", "channel/mobile-a")
    for object_ in ("channel/mobile-a", "channel/mobile-b"):
        await desk.raised(object_)
    await desk.told(node)
    assert events(desk) == [("raised", "channel/mobile-b")], "the other one is not silenced"
    await desk.cleared("channel/mobile-a")
    await desk.told(node, after=timedelta(hours=2))
    assert events(desk) == [("raised", "channel/mobile-b")]
    assert (await desk.states())["webhook", "dropped"] == 1
    desk.clock.now = datetime.now(UTC)
    await desk.raised("channel/mobile-a")
    await desk.told(node, after=timedelta(minutes=30))
    assert len(events(desk)) == 1
    await desk.told(node, after=timedelta(minutes=31))
    assert events(desk)[1:] == [("raised", "channel/mobile-a")], "it stands when the silence ends"
    await desk.cleared("channel/mobile-a")
    await desk.told(node, after=HELD)
    assert events(desk)[2:] == [("cleared", "channel/mobile-a")]


async def test_who_was_told_before_the_silence_is_told_of_the_end_and_a_silence_can_be_ended(desk: Desk) -> None:
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    node = desk.node()
    await desk.raised("channel/a")
    await desk.told(node)
    id_ = await silenced(desk)
    await desk.cleared("channel/a")
    await desk.raised("channel/b")
    await desk.told(node, after=HELD)
    assert events(desk) == [("raised", "channel/a"), ("cleared", "channel/a")]
    await silences.end(by_test(desk.site.db), id_)
    await desk.told(node)
    assert events(desk)[2:] == [("raised", "channel/b")]
    with pytest.raises(SmsgwError):
        await silences.end(by_test(desk.site.db), id_)


async def test_what_another_silence_or_quiet_hours_cover_is_not_woken_by_the_end_of_one(desk: Desk) -> None:
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    node = desk.node()
    every = await silenced(desk, minutes=120)
    one = await silenced(desk, "channel_down", "channel/a", minutes=60)
    now = datetime.now(CHINA)
    quiet = ((now - timedelta(hours=1)).time(), (now + timedelta(hours=5)).time())
    await desk.add(Way.MAIL, "ops@buyer.example.org", quiet=quiet)
    await desk.raised("channel/a")
    await desk.raised("channel/warned", "warning")
    await silences.end(by_test(desk.site.db), every)
    await desk.told(node)
    assert events(desk) == [("raised", "channel/warned")]
    assert desk.post.got == []
    await silences.end(by_test(desk.site.db), one)
    await desk.told(node)
    assert events(desk)[1:] == [("raised", "channel/a")]
    ((_, mail),) = desk.post.got
    assert "channel/warned" not in str(mail)
    await silenced(desk, "channel_down", "channel/warned", minutes=360)
    await desk.told(node, after=timedelta(minutes=330))
    assert len(desk.post.got) == 1, "the silence lasts longer than the quiet hours"
    await desk.told(node, after=timedelta(minutes=31))
    assert len(desk.post.got) == 2


async def test_a_silence_begins_with_what_nobody_was_told_of_yet(desk: Desk) -> None:
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    await desk.raised("channel/a")
    await silenced(desk, "channel_down")
    await desk.told(desk.node())
    assert events(desk) == []


async def test_a_node_that_is_alone_keeps_to_silences_too(desk: Desk) -> None:
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    node = desk.node()
    await silenced(desk, "database_down")
    await node.learn()
    await node.unstored([Standing("database_down", "node/1", "critical", "", desk.clock.now)])
    await node.settle()
    assert events(desk) == []
    await node.unstored([Standing("disk_low", "node/1", "critical", "", desk.clock.now)])
    await node.settle()
    assert events(desk) == [("raised", "node/1")]


async def test_the_second_line_is_told_of_what_nobody_has_taken_on(desk: Desk) -> None:
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET, after_minutes=10)
    await desk.add(Way.MAIL, "duty@buyer.example.org")
    node = desk.node()
    for name in ("taken", "over", "left"):
        await desk.raised(f"channel/{name}")
    await desk.told(node)
    assert len(desk.post.got) == 1
    assert events(desk) == []
    rows = await desk.site.db.fetch("SELECT id FROM alarm WHERE object = 'channel/taken'")
    await service.acknowledge(by_test(desk.site.db), [row["id"] for row in rows])
    await desk.cleared("channel/over")
    await desk.told(node, after=timedelta(minutes=9))
    assert events(desk) == []
    await desk.told(node, after=timedelta(minutes=2))
    assert events(desk) == [("raised", "channel/left")]
    said = {row["said"] for row in await desk.site.db.fetch("SELECT said FROM alarm_note WHERE state = 'dropped'")}
    assert said == {"over", "taken"}


@pytest.mark.parametrize(("at", "from_", "to", "until"), [
    ("2026-11-26 23:00", "22:00", "07:30", "2026-11-27 07:30"),
    ("2026-11-27 06:59", "22:00", "07:30", "2026-11-27 07:30"),
    ("2026-11-27 07:30", "22:00", "07:30", "2026-11-27 07:30"),
    ("2026-11-27 12:30", "12:00", "14:00", "2026-11-27 14:00"),
    ("2026-11-27 14:00", "12:00", "14:00", "2026-11-27 14:00"),
    ("2026-11-27 09:00", "22:00", "07:30", "2026-11-27 09:00"),
    ("2026-11-27 09:00", "09:00", "09:00", "2026-11-27 09:00"),
    ("2026-11-30 23:59", "22:00", "06:00", "2026-12-01 06:00"),
])  # fmt: skip
async def test_quiet_hours_are_those_of_china(desk: Desk, at: str, from_: str, to: str, until: str) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=CHINA)
    found = await desk.site.db.fetchval("SELECT alarm_quiet_until($1, $2, $3)", moment, time.fromisoformat(from_),
                                        time.fromisoformat(to))  # fmt: skip
    assert found == datetime.fromisoformat(until).replace(tzinfo=CHINA)


async def test_in_quiet_hours_warnings_wait_and_grave_alarms_do_not(desk: Desk) -> None:
    night = (time(22), time(7))
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET, quiet=night)
    node = desk.node()
    desk.clock.now = datetime.now(CHINA).replace(hour=23, minute=0)
    await desk.raised("channel/warned", "warning")
    await desk.raised("channel/grave")
    await desk.told(node)
    assert events(desk) == [("raised", "channel/grave")]
    await desk.told(node, after=timedelta(hours=7))
    assert len(events(desk)) == 1
    await desk.told(node, after=timedelta(hours=1))
    assert events(desk)[1:] == [("raised", "channel/warned")]


async def test_a_warning_that_becomes_grave_at_night_is_told_at_once_and_ends_of_warnings_wait(desk: Desk) -> None:
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET, quiet=(time(22), time(7)))
    node = desk.node()
    desk.clock.now = datetime.now(CHINA).replace(hour=21, minute=50)
    await desk.raised("channel/evening", "warning")
    await desk.told(node)
    desk.clock.now += timedelta(hours=1)
    await desk.cleared("channel/evening")
    await desk.raised("channel/worse", "warning")
    await desk.told(node, after=timedelta(minutes=5))
    assert events(desk) == [("raised", "channel/evening")]
    await desk.raised("channel/worse")
    await desk.told(node)
    assert events(desk)[1:] == [("raised", "channel/worse")]
    await desk.told(node, after=timedelta(hours=6))
    assert len(events(desk)) == 2
    await desk.told(node, after=timedelta(hours=3))
    assert events(desk)[2:] == [("cleared", "channel/evening")]


async def test_an_alarm_is_silenced_from_its_page_and_the_silence_ended(desk: Desk) -> None:
    site = desk.site
    await site.add_staff("boss", "super")
    await desk.raised()
    alarm = await site.db.fetchval("SELECT id FROM alarm")
    async with signed_in(site, "boss") as boss:
        page = await boss.get(f"/alarms/{alarm}")
        (link,) = re.findall(r'href="(/alarms/silences/-/new\?[^"]*)"', page)
        assert 'value="channel/mobile-a"' in await boss.get(link.replace("&amp;", "&"))
        form = {"kind": "channel_down", "object": "channel/mobile-a", "minutes": "60", "reason": ""}
        assert await status_of(boss, "/alarms/silences/-/new", form) == 422
        form["reason"] = "光缆割接"
        assert "不通知任何接收人" in await boss.post("/alarms/silences/-/new", form), "the effect comes first"
        page = await boss.post("/alarms/silences/-/new", form | {"confirmed": "1"})
        assert not lacking(page, "静默中", "光缆割接", "通道 mobile-a")
        assert "channel/mobile-a" not in page
        await silences.add(by_test(site.db), "", "", datetime.now(CHINA) + timedelta(hours=1), "planned work")
        page = await boss.get("/alarms/silences")
        assert page.count('<span class="quiet">全部</span>') == 2, "every kind, and every object"
        id_ = await site.db.fetchval("SELECT id FROM alarm_silence")
        await boss.post("/alarms/silences/-/do/end", {"id": str(id_), "confirmed": "1"})
        assert "已结束" in await boss.get("/alarms/silences")
    actions = {row["action"] for row in await site.db.fetch("SELECT action FROM audit")}
    assert {"alarm_silence.add", "alarm_silence.end"} <= actions


async def test_alarms_of_the_audit_log_are_never_hushed(desk: Desk) -> None:
    """Nor by a silence of everything, nor by a node that is alone; the functions of the database know the same ones."""
    site = desk.site
    assert {"audit_changed", "audit_anchor"} == LASTING
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    with pytest.raises(SmsgwError) as refused:
        await silenced(desk, "audit_changed")
    assert refused.value.code == "PARAM_INVALID"
    await silenced(desk)
    for kind in (*sorted(LASTING), "channel_down"):
        async with site.db.transaction() as connection:
            await alarms.raise_(connection, kind, "audit", "critical", "gone", now=desk.clock.now)
    node = desk.node()
    await desk.told(node)
    assert sorted(item["kind"] for item in desk.robots.hook) == sorted(LASTING)
    await node.learn()
    assert not any(one.covers("audit_changed", "audit") for one in await silences.holding(site.db))
    await site.add_staff("boss", "super")
    alarm = await site.db.fetchval("SELECT id FROM alarm WHERE kind = 'audit_changed'")
    async with signed_in(site, "boss") as boss:
        assert "/alarms/silences/-/new" not in await boss.get(f"/alarms/{alarm}")
        page = await boss.get("/alarms/silences/-/new")
        assert 'value="channel_down"' in page
        assert 'value="audit_changed"' not in page
