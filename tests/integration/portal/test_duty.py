"""Duty: who has which shift, who is told of alarms then, who stands in where nobody is, and whom people can turn to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from alarm_desk import PHONE, Desk, at_desk
from portal_site import by_test
from visits import fails, having, lacking, signed_in

from smsgw.core.alarm_notes import Way
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA
from smsgw.pipeline.upkeep.alarms import Standing
from smsgw.platform.duty import contacts, roster
from smsgw.runtime import clock

LI, WANG = "13800138001", "13800138002"


@pytest_asyncio.fixture
async def desk(dsn: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with at_desk(dsn, tmp_path) as desk:
        for login, phone in (("li", LI), ("wang", WANG)):
            await desk.site.add_staff(login, "ops")
            await desk.site.db.execute(
                "UPDATE staff SET phone = $2, email = $1 || '@buyer.example.org', name = upper($1) WHERE login = $1",
                login, phone,
            )  # fmt: skip
        yield desk


def tomorrow() -> date:
    """What is told then has not lapsed before it is accepted, whatever the hour is now."""
    return clock.now().astimezone(CHINA).date() + timedelta(days=1)


def this_week() -> date:
    return roster.monday(clock.now().astimezone(CHINA).date())


@pytest.mark.parametrize(("at", "place"), [
    ("2026-11-30 07:59", ("2026-11-29", "night")), ("2026-11-30 08:00", ("2026-11-30", "day")),
    ("2026-11-30 19:59", ("2026-11-30", "day")), ("2026-11-30 20:00", ("2026-11-30", "night")),
    ("2026-12-01 00:00", ("2026-11-30", "night")), ("2027-01-01 03:00", ("2026-12-31", "night")),
])  # fmt: skip
async def test_a_shift_lasts_twelve_hours_of_china(desk: Desk, at: str, place: tuple[str, str]) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=CHINA)
    row = await desk.site.db.fetchrow("SELECT day, shift FROM duty_at($1)", moment)
    assert (str(row["day"]), row["shift"]) == place


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


async def test_robots_are_nobody_on_duty(desk: Desk) -> None:
    await fails(SmsgwError, desk.add(Way.WECOM, desk.robots.wecom_url, on_duty=True))


async def test_the_roster_and_contacts_are_kept_on_their_page_and_seen_by_everybody(desk: Desk) -> None:
    site, first = desk.site, this_week()
    await site.add_staff("boss", "super")
    await site.add_staff("clerk", "operator", "hall")
    async with signed_in(site, "boss") as boss, signed_in(site, "clerk") as clerk:
        assert "无人值班" in await boss.get("/duty")
        page = await boss.get(f"/duty/{first}/edit")
        assert 'value="li"' in page
        assert 'value="clerk"' not in page
        form = {f"{shift}_{n}": "li" for shift in roster.SHIFTS for n in range(7)}
        assert "LI" in await boss.post(f"/duty/{first}/edit", form)
        for week in (first - timedelta(days=7), first):  # before eight on a Monday it is Sunday's night
            await roster.put(by_test(site.db), week, dict.fromkeys(roster.places(week), "li"))
        form = {"kind": "hotline", "label": "7×24", "value": "400-000-0000", "note": ""}
        await boss.post("/duty/contacts/-/new", form)
        page = await clerk.get("/duty")
        assert not lacking(page, "400-000-0000", "LI")
        assert not having(page, LI, f"/duty/{first}/edit")
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
