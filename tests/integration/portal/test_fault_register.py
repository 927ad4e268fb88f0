"""The register of faults: what becomes one by itself, whose times are told when they pass, and what a year comes to."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alarm_desk import Desk
from browsing import shows
from portal_site import by_test
from robots import HOOK_SECRET
from visits import fails, signed_in

from smsgw.core.alarm_notes import Way
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA
from smsgw.core.words import english_of
from smsgw.pipeline.upkeep.alarms import AlarmTable
from smsgw.platform.alarms import rules, service as alarm_service, silences
from smsgw.platform.alarms.queries import ALARMS
from smsgw.platform.faults import queries, service, timeline
from smsgw.platform.faults.model import MOST_OPEN, Fault, State, titled
from smsgw.platform.faults.queries import FAULTS, FaultFilter
from smsgw.platform.faults.watching import FaultWatch
from smsgw.platform.paging import Window
from smsgw.platform.settings import service as settings
from smsgw.store.engine import leases, nodes
from smsgw.store.records import alarms, node_events


def watch(desk: Desk) -> FaultWatch:
    return FaultWatch(desk.site.db, lambda: desk.site.snapshots.current.alarm_rules, desk.clock)


async def registered(desk: Desk) -> list[Fault]:
    rows = await desk.site.db.fetch("SELECT id FROM fault ORDER BY id")
    found = [await FAULTS.get(desk.site.db, by_test(desk.site.db).actor, row["id"]) for row in rows]
    return [one for one in found if one is not None]


async def looked(desk: Desk, *, minutes: float = 0) -> list[Fault]:
    """The register after a round, so much later."""
    desk.clock.now += timedelta(minutes=minutes)
    await watch(desk).step()
    return await registered(desk)


async def found_by(desk: Desk, title: str) -> list[int]:
    db = desk.site.db
    wanted = FaultFilter(title=titled(title))
    seen = await FAULTS.search(db, by_test(db).actor, wanted, Window("fault_state"))
    assert await FAULTS.count(db, by_test(db).actor, wanted, 10) == len(seen.rows)
    return [one.id for one in seen.rows]


def early(desk: Desk, hours: float = 12) -> None:
    """The desk's time, so long ago: what services date by the real one comes after."""
    desk.clock.now = datetime.now(UTC) - timedelta(hours=hours)


async def test_one_outage_is_one_fault_taken_on_and_over_with_its_alarms(desk: Desk) -> None:
    early(desk)
    begun = desk.clock.now
    await desk.raised("channel/a")
    assert await looked(desk, minutes=4) == [], "what stands for moments is none"
    await desk.raised("channel/b")
    (one,) = await looked(desk, minutes=2)
    assert (one.state, one.began_at, one.alarms, one.severity) == (State.OPEN, begun, 1, "critical")
    assert "channel" not in one.title
    assert one.title.endswith(" a")
    assert (str(one.name), english_of(one.name)) == (one.title, "a: channel is down"), "in the reader's language"
    assert await found_by(desk, "channel is DOWN") == [one.id], "and found by it"
    assert await found_by(desk, "channel is up") == []
    (one,) = await looked(desk, minutes=5)
    assert one.alarms == 2, "the other one belongs to it"
    assert "b: channel is down" in [english_of(step.said) for step in await queries.steps(desk.site.db, one)]
    assert await looked(desk) == [one], "and nothing is said twice"
    assert await desk.site.db.fetchval("SELECT count(*) FROM fault_step") == 2
    alarm = await desk.site.db.fetchval("SELECT id FROM alarm WHERE object = 'channel/b'")
    await alarm_service.acknowledge(by_test(desk.site.db), [alarm])
    (one,) = await looked(desk)
    assert (one.state, one.responded_by) == (State.HANDLING, by_test(desk.site.db).actor.label)
    await desk.cleared("channel/a")
    (one,) = await looked(desk, minutes=3)
    assert one.state is State.HANDLING, "one of the two still stands"
    over = desk.clock.now
    await desk.cleared("channel/b")
    (one,) = await looked(desk, minutes=1)
    assert one.state is State.HANDLING, "what comes back at once was never over"
    (one,) = await looked(desk, minutes=1)
    assert (one.state, one.recovered_at) == (State.RECOVERED, over)
    await desk.site.db.execute("UPDATE alarm SET cleared_at = NULL")
    (one,) = await looked(desk)
    assert one.recovered_at is None, "they have come back"
    rows = await desk.site.db.fetch("SELECT action FROM audit")
    assert {row["action"] for row in rows} >= {"fault.open", "fault.recover", "fault.back"}


async def test_warnings_silenced_alarms_and_our_own_become_no_fault(desk: Desk) -> None:
    early(desk)
    await desk.raised("channel/warned", "warning")
    await silences.add(
        by_test(desk.site.db), "channel_down", "channel/planned", datetime.now(UTC) + timedelta(hours=1), "planned work"
    )
    await desk.raised("channel/planned")
    assert await looked(desk, minutes=30) == []
    await settings.put(by_test(desk.site.db), "fault_severity", 2)
    (one,) = await looked(desk)
    assert one.severity == "warning"
    await settings.put(by_test(desk.site.db), "fault_severity", 0)
    await desk.raised("channel/other")
    assert len(await looked(desk, minutes=60)) == 1


async def test_an_outage_much_later_is_another_fault_and_a_rule_that_is_turned_off_recovers_nothing(desk: Desk) -> None:
    early(desk)
    await desk.raised("channel/a")
    await looked(desk, minutes=6)
    desk.clock.now += timedelta(minutes=40)
    await desk.raised("channel/b")
    first, second = await looked(desk, minutes=6)
    assert (first.alarms, second.alarms) == (1, 1)
    await desk.cleared("channel/a")
    await desk.site.db.execute("UPDATE alarm SET unwatched = true WHERE object = 'channel/a'")
    first, second = await looked(desk, minutes=10)
    assert first.recovered_at is None, "nobody looks any more: it may be wrong still"


async def test_what_a_person_has_entered_takes_alarms_in_and_is_over_when_somebody_says_so(desk: Desk) -> None:
    early(desk, 1)
    by = by_test(desk.site.db)
    id_ = await service.open_(by, service.Draft("slow", "warning", desk.clock.now))
    await desk.raised("channel/a")
    (one,) = await looked(desk, minutes=6)
    assert (one.id, one.alarms) == (id_, 1)
    await desk.cleared("channel/a")
    (one,) = await looked(desk, minutes=10)
    assert one.state is State.OPEN
    await service.recover(by, id_, desk.clock.now)
    (one,) = await looked(desk)
    assert (one.state, one.responded_by) == (State.RECOVERED, by.actor.label)


async def test_a_time_that_is_nearly_over_and_one_that_is_are_told_once_each(desk: Desk) -> None:
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    by, node, now = by_test(desk.site.db), desk.node(), datetime.now(UTC)
    id_ = await service.open_(by, service.Draft("slow", "critical", now - timedelta(minutes=100)))
    faults = watch(desk)
    table = AlarmTable(
        desk.site.db, 1, {"faults": faults.due}, node, lambda: desk.site.snapshots.current.alarm_rules, now=desk.clock
    )

    async def told(minutes: float) -> list[tuple[str, str]]:
        desk.clock.now = now + timedelta(minutes=minutes)
        before = len(desk.robots.hook)
        for _ in range(2):
            await table.look()
            await desk.told(node)
        return [(item["event"], item["kind"]) for item in desk.robots.hook[before:]]

    assert await told(40) == []
    assert await told(46) == [("raised", "fault_response_near")]
    assert await told(61) == [("raised", "fault_response_over")]
    await service.respond(by, id_)
    assert sorted(await told(62)) == []
    assert sorted(await told(66)) == [("cleared", "fault_response_near"), ("cleared", "fault_response_over")]
    assert await told(111) == [("raised", "fault_recovery_near")]
    assert await told(141) == [("raised", "fault_recovery_over")]
    object_ = {item["object"] for item in desk.robots.hook}
    assert object_ == {f"fault/{id_}"}


async def test_times_that_cannot_be_are_refused_and_what_is_closed_stays_as_it_is(desk: Desk) -> None:
    by, now = by_test(desk.site.db), datetime.now(UTC)
    for draft in (service.Draft("x", "critical", now), service.Draft("slow", "grave", now),
                  service.Draft("slow", "critical", now + timedelta(hours=1)),
                  service.Draft("slow", "critical", now - timedelta(days=91)),
                  service.Draft("bell\a", "critical", now)):  # fmt: skip
        await fails(SmsgwError, service.open_(by, draft))
    id_ = await service.open_(by, service.Draft("slow", "critical", now - timedelta(hours=1)))
    for at in (now - timedelta(hours=2), now + timedelta(hours=1)):
        await fails(SmsgwError, service.recover(by, id_, at))
    await fails(SmsgwError, service.close(by, id_, service.Findings("why", "what", "")))
    await service.recover(by, id_, now)
    await service.recover(by, id_, now - timedelta(minutes=5))
    await service.close(by, id_, service.Findings("why", "what", ""))
    for again in (service.recover(by, id_, now), service.note(by, id_, "more"), service.respond(by, id_),
                  service.close(by, id_, service.Findings("why", "what", ""))):  # fmt: skip
        await fails(SmsgwError, again)
    (one,) = await registered(desk)
    assert one.recovered_at == now - timedelta(minutes=5)


async def test_a_year_is_counted_by_the_rule_beside_it(desk: Desk) -> None:
    db, by = desk.site.db, by_test(desk.site.db)
    await db.execute(
        "INSERT INTO node (number, instance, place, since, seen_at) VALUES (1, 'n', 'here', '2020-01-01', now())"
    )
    begin = datetime(2025, 3, 1, tzinfo=CHINA)
    for first, last, counts in ((0, 10, True), (5, 20, True), (30, 40, False), (100, 110, True)):
        await db.execute(
            "INSERT INTO fault (title, severity, began_at, opened_at, opened_by, by_hand, respond_by, recover_by,"
            " responded_at, recovered_at, counts) VALUES ('slow', 'critical', $1, $1, 'x', true,"
            " $1::timestamptz + interval '1 hour', $1::timestamptz + interval '4 hours', $1, $2, $3)",
            begin + timedelta(hours=first), begin + timedelta(hours=last), counts)  # fmt: skip
    year = await queries.year(db, by.actor, 2025)
    assert (year.counted, len(year.faults), year.most, year.down) == (3, 4, 4, timedelta(hours=30))
    assert (year.responded_late, year.recovered_late) == (0, 3)
    assert year.availability == pytest.approx(100 * (1 - 30 / (365 * 24)))
    assert (await queries.year(db, by.actor, 2024)).counted == 0


async def test_the_line_of_time_has_all_that_happened_in_its_order(desk: Desk) -> None:
    db, by = desk.site.db, by_test(desk.site.db)
    begun = datetime.now(UTC) - timedelta(seconds=5)
    desk.clock.now = datetime.now(UTC)
    await node_events.started(db, 1, "1.0.0")
    await node_events.started(db, 1, "1.1.0")
    await settings.put(by, "faults_a_year", 3)
    await desk.raised("channel/a")
    id_ = await service.open_(by, service.Draft("slow", "critical", begun))
    resource = f"channel/{desk.site.channel_id}"
    lease = await leases.acquire(db, resource, 1)
    await leases.renew(db, [lease])
    await leases.release(db, lease)
    assert await leases.acquire(db, resource, 2) is not None
    every = [one.value for one in timeline.Source]
    seen = await timeline.seen(db, by.actor, begun, datetime.now(UTC) + timedelta(seconds=5), every)
    told = {(one.source.value, one.what, one.kind) for one in seen.entries}
    assert told >= {("node", "start", ""), ("node", "start", "1.0.0"), ("node", "takeover", "1"),
                    ("alarm", "raised", "channel_down"), ("change", "setting.set", ""),
                    ("fault", "opened", "")}  # fmt: skip
    assert [one.at for one in seen.entries] == sorted((one.at for one in seen.entries), reverse=True)
    assert not any(one.what.startswith("fault.") for one in seen.entries)
    only = await timeline.seen(db, by.actor, begun, datetime.now(UTC) + timedelta(seconds=5), ["fault"])
    assert [one.id for one in only.entries] == [id_]
    assert sum(one.what == "takeover" for one in seen.entries) == 1, "a renewal is none"
    # One that is disowned goes from nobody to its next node.
    for node in (-1, 3):
        await db.execute("UPDATE lease SET node = $1 WHERE resource = $2", node, resource)
    seen = await timeline.seen(db, by.actor, begun, datetime.now(UTC) + timedelta(seconds=5), ["node"])
    assert [(one.who, one.kind) for one in seen.entries if one.what == "takeover"] == [("3", ""), ("2", "1")]


async def test_a_fault_is_registered_handled_closed_and_printed_on_its_pages(desk: Desk) -> None:
    site = desk.site
    await desk.raised()
    alarm = await site.db.fetchval("SELECT id FROM alarm")
    async with signed_in(site, "boss", "super") as boss:
        assert "没有故障记录" in await boss.get("/faults")
        assert f"/faults/-/of/{alarm}" in await boss.get(f"/alarms/{alarm}")
        assert "自动恢复" in await boss.get(f"/faults/-/of/{alarm}")
        page = await boss.post(f"/faults/-/of/{alarm}", {"confirmed": "1"})
        id_ = await site.db.fetchval("SELECT id FROM fault")
        assert boss.path == f"/faults/{id_}"
        shows(page, "计时中", "告警发生")  # what happened around it
        assert f"/faults/{id_}" in await boss.get(f"/alarms/{alarm}")
        await boss.post(f"/faults/-/of/{alarm}", {"confirmed": "1"})
        assert boss.status in (409, 422), "an alarm is of one fault"
        await boss.post("/faults/-/do/respond", {"id": str(id_), "confirmed": "1"})
        assert await site.db.fetchval("SELECT acked_by FROM alarm") == "boss"
        await boss.post(f"/faults/{id_}/note", {"said": "运营商确认光缆中断"})
        assert await boss.status_of(f"/faults/{id_}/recover", {"recovered_at": "昨天"}) == 422
        now = datetime.now(CHINA)
        assert "已恢复待结案" in await boss.post(f"/faults/{id_}/recover", {"recovered_at": f"{now:%Y-%m-%d %H:%M}"})
        form = {"cause": "光缆被挖断", "done": "切换备用通道", "prevention": ""}
        assert "按时" in await boss.post(f"/faults/{id_}/close", form), "the effect comes first"
        assert "光缆被挖断" in await boss.post(f"/faults/{id_}/close", form | {"confirmed": "1"})
        page = await boss.get(f"/faults/{id_}/report")
        shows(page, "光缆被挖断", "切换备用通道", "运营商确认光缆中断", "data-print", "boss")
        assert await boss.status_of("/faults/year?year=²²²²") == 200
        shows(await boss.get("/faults/year"), "/ 4", "可用率 = 1 −")
        assert "演练" in await boss.post(f"/faults/{id_}/count", {"reason": "演练", "confirmed": "1"})
        assert await site.db.fetchval("SELECT NOT counts FROM fault")
        form = {"fault_response_minutes": "30", "fault_recovery_minutes": "240", "faults_a_year": "4",
                "fault_severity": "1", "fault_after_minutes": "5"}  # fmt: skip
        await boss.post("/faults/-/times", form)
        assert await site.db.fetchval("SELECT value FROM setting WHERE name = 'fault_response_minutes'") == "30"
        form = {"title": "群众反映收不到验证码", "severity": "critical", "began_at": f"{now:%Y-%m-%d %H:%M}"}
        assert "群众反映收不到验证码" in await boss.post("/faults/-/new", form)
        limit = await site.db.fetchval("SELECT respond_by - opened_at FROM fault ORDER BY id DESC LIMIT 1")
        assert limit == timedelta(minutes=30)


async def test_the_line_of_time_is_zoomed_by_its_links(desk: Desk) -> None:
    site = desk.site
    await desk.raised()
    async with signed_in(site, "boss", "super") as boss:
        page = await boss.get("/faults/timeline")
        shows(page, "告警发生", "time-bars")
        links = [link.replace("&amp;", "&") for link in re.findall(r'href="(/faults/timeline\?[^"]*)"', page)]
        assert any("span=360" in link for link in links), "closer"
        assert any("span=10080" in link for link in links), "wider"
        for link in links[:6]:
            assert await boss.status_of(link) == 200
        bar = next(link for link in links if "span=60" in link)
        assert "告警发生" in await boss.get(bar)
        assert "这段时间没有事件" in await boss.get("/faults/timeline?until=2021-01-01T00:00&span=15")
        for odd in ("until=x&span=9", "until=0001-01-01T00:00", "source=x", "until=9999-12-31T23:59"):
            assert await boss.status_of(f"/faults/timeline?{odd}") == 200


async def found_wrong(desk: Desk, kind: str, object_: str, severity: str = "critical") -> None:
    async with desk.site.db.transaction() as connection:
        await alarms.raise_(connection, kind, object_, severity, "x", now=desk.clock.now)


async def test_what_concerns_one_account_or_a_promise_is_no_outage_and_keeps_none_from_recovering(desk: Desk) -> None:
    early(desk)
    for what in ("fault_response_over fault/1", "ticket_response_over ticket/1", "webhook_dead webhook/hall",
                 "events_lost account/hall", "complaint_ceiling account/hall", "toll_fraud account/hall",
                 "figures_differ figures"):  # fmt: skip
        await found_wrong(desk, *what.split())
    assert await looked(desk, minutes=10) == []
    await desk.raised("channel/a")
    (one,) = await looked(desk, minutes=6)
    assert one.alarms == 1
    await desk.cleared("channel/a")
    (one,) = await looked(desk, minutes=2)
    assert one.state is State.RECOVERED


async def test_an_outage_that_is_over_when_it_is_entered_counts(desk: Desk) -> None:
    """The database cannot be told of its own outage while it lasts."""
    early(desk)
    begun = desk.clock.now
    await found_wrong(desk, "database_down", "database")
    desk.clock.now += timedelta(minutes=20)
    over = desk.clock.now
    async with desk.site.db.transaction() as connection:
        await alarms.clear(connection, "database_down", "database", now=over)
    await desk.raised("channel/moment")
    desk.clock.now += timedelta(minutes=1)
    await desk.cleared("channel/moment")
    (one,) = await looked(desk, minutes=1)
    assert (one.state, one.began_at, one.recovered_at, one.alarms) == (State.RECOVERED, begun, over, 1)
    assert await looked(desk, minutes=30) == [one]


async def test_an_outage_that_was_silenced_to_its_end_or_ended_long_ago_is_not_entered_late(desk: Desk) -> None:
    early(desk, 3)
    await desk.raised("channel/planned")
    await desk.raised("channel/old")
    until = datetime.now(UTC) + timedelta(hours=1)
    await silences.add(by_test(desk.site.db), "channel_down", "channel/planned", until, "planned work")
    desk.clock.now += timedelta(minutes=20)
    await desk.cleared("channel/old")
    desk.clock.now += timedelta(minutes=50)
    await desk.cleared("channel/planned")
    assert await looked(desk, minutes=20) == []
    await desk.site.db.execute("UPDATE alarm_silence SET until = $1", desk.clock.now - timedelta(minutes=10))
    assert await looked(desk, minutes=1) == [], "the work was over before its silence"


async def test_an_alarm_that_comes_and_goes_is_one_fault(desk: Desk) -> None:
    early(desk)
    begun = desk.clock.now
    for _ in range(3):
        await desk.raised("channel/a")
        (one,) = await looked(desk, minutes=6)
        assert one.recovered_at is None
        await desk.cleared("channel/a")
        over = desk.clock.now
        (one,) = await looked(desk, minutes=20)
        assert (one.began_at, one.recovered_at) == (begun, over)
    assert one.alarms == 3
    desk.clock.now += timedelta(minutes=20)
    await desk.raised("channel/a")
    assert len(await looked(desk, minutes=6)) == 2, "much later it is another one"


async def test_what_a_person_calls_over_is_over(desk: Desk) -> None:
    early(desk, 1)
    await desk.raised("channel/a")
    (one,) = await looked(desk, minutes=6)
    await service.recover(by_test(desk.site.db), one.id, desk.clock.now)
    desk.clock.now += timedelta(minutes=1)
    await desk.raised("channel/b")
    assert len(await looked(desk, minutes=6)) == 2


async def test_what_joins_makes_it_as_grave_and_is_one_step_a_round(desk: Desk) -> None:
    early(desk, 1)
    db, by = desk.site.db, by_test(desk.site.db)
    id_ = await service.open_(by, service.Draft("slow", "warning", desk.clock.now))
    for n in range(7):
        await desk.raised(f"channel/c{n}")
    (one,) = await looked(desk, minutes=6)
    assert (one.id, one.severity, one.alarms) == (id_, "critical", 7)
    said = await db.fetch("SELECT said FROM fault_step WHERE kind = 'joined'")
    assert len(said) == 1
    joined = next(one.said for one in await queries.steps(db, one) if one.kind == "joined")
    assert english_of(joined).startswith("c0: channel is down, c1: channel is down, ")
    assert english_of(joined).endswith("+2")


async def test_an_alarm_that_becomes_grave_after_it_has_joined_makes_the_fault_grave(desk: Desk) -> None:
    early(desk, 1)
    db, by = desk.site.db, by_test(desk.site.db)
    await desk.raised("channel/a", "warning")
    alarm = await ALARMS.get(db, by.actor, await db.fetchval("SELECT id FROM alarm"))
    await service.of_alarm(by, alarm)
    (one,) = await looked(desk, minutes=1)
    assert one.severity == "warning"
    await db.execute("UPDATE alarm SET severity = 'critical'")
    (one,) = await looked(desk, minutes=1)
    assert one.severity == "critical"
    await looked(desk, minutes=1)
    assert await db.fetchval("SELECT count(*) FROM fault_step WHERE kind = 'graver'") == 1, "once"
    assert await db.fetchval("SELECT count(*) FROM audit WHERE action = 'fault.graver'") == 1


async def test_an_alarm_of_a_node_whose_clock_is_ahead_stops_no_round(desk: Desk) -> None:
    desk.clock.now = datetime.now(UTC) + timedelta(hours=2)
    await desk.raised("channel/a")
    desk.clock.now += timedelta(hours=1)
    await desk.cleared("channel/a")
    desk.clock.now = datetime.now(UTC)
    assert await looked(desk) == []


async def test_persons_and_rules_are_called_by_their_names(desk: Desk) -> None:
    db = desk.site.db
    begun = datetime.now(UTC) - timedelta(seconds=5)
    await desk.site.add_staff("boss", "super")
    await db.execute("UPDATE staff SET name = '王主任' WHERE login = 'boss'")
    async with signed_in(desk.site, "boss") as boss:
        form = {"title": "短信变慢", "severity": "critical", "began_at": f"{datetime.now(CHINA):%Y-%m-%d %H:%M}"}
        await boss.post("/faults/-/new", form)
        (one,) = await registered(desk)
        await boss.post("/faults/-/do/respond", {"id": str(one.id), "confirmed": "1"})
        rule = await db.fetchval("SELECT id FROM alarm_rule WHERE kind = 'queue_long' AND object = ''")
        await rules.put(by_test(db), rule, rules.Draft(True, "warning", 60, {"threshold": 5000}))
        for path in (f"/faults/{one.id}", f"/faults/{one.id}/report", "/faults", "/faults/year"):
            _, _, page = (await boss.get(path)).partition("<main")
            assert "王主任" in page, path
            assert "boss" not in page, path
        assert "排队短信过多" in await boss.get("/faults/timeline?source=change"), "the rule, and not its number"
    until = datetime.now(UTC) + timedelta(seconds=5)
    seen = await timeline.seen(db, by_test(db).actor, begun, until, ["change"])
    assert "too much is queued" in [english_of(one.title) for one in seen.entries]


async def test_however_much_happens_by_itself_people_write_notes_and_see_the_beginning(desk: Desk) -> None:
    db, by = desk.site.db, by_test(desk.site.db)
    id_ = await service.open_(by, service.Draft("slow", "critical", datetime.now(UTC)))
    await db.execute(
        "INSERT INTO fault_step (fault_id, at, by, kind) SELECT $1, now(), 'system:faults', 'back'"
        " FROM generate_series(1, 600)", id_)  # fmt: skip
    await service.note(by, id_, "still looking")
    (one,) = await registered(desk)
    seen = await queries.steps(db, one)
    assert (seen[0].kind, seen[-1].kind) == ("note", "opened")
    await db.execute(
        "INSERT INTO fault_step (fault_id, at, by, kind) SELECT $1, now(), 'x', 'note' FROM generate_series(1, 299)",
        id_,
    )
    await fails(SmsgwError, service.note(by, id_, "one too many"))


async def test_beside_a_full_register_what_belongs_to_a_fault_still_joins(desk: Desk) -> None:
    early(desk, 2)
    db = desk.site.db
    await db.execute(
        "INSERT INTO fault (title, severity, began_at, opened_at, opened_by, by_hand, respond_by, recover_by)"
        " SELECT 'old one', 'critical', t, t, 'x', true, t + interval '1 hour', t + interval '4 hours'"
        " FROM (SELECT $1::timestamptz - n * interval '1 day' AS t FROM generate_series(1, $2) n) d",
        desk.clock.now, MOST_OPEN)  # fmt: skip
    await db.execute(
        "UPDATE fault SET began_at = $1 WHERE id = (SELECT max(id) FROM fault)", desk.clock.now + timedelta(minutes=45)
    )
    await desk.raised("channel/alone")
    desk.clock.now += timedelta(minutes=40)
    await desk.raised("channel/near")
    await looked(desk, minutes=10)
    assert [row["object"] for row in await db.fetch("SELECT object FROM fault_alarm")] == ["channel/near"]
    due = [one for one in await watch(desk).due() if one.kind == "fault_recovery_over"]
    assert len(due) == MOST_OPEN, "all are seen, the newest first"
    newest = await db.fetchval("SELECT min(id) FROM fault")
    assert due[0].object == f"fault/{newest}"
    assert any(one.kind == "faults_full" for one in await watch(desk).due()), "and somebody is told"


async def test_a_machine_that_is_replaced_shortens_no_year(desk: Desk, tmp_path: Path) -> None:
    db, by = desk.site.db, by_test(desk.site.db)
    now = datetime.now(UTC)
    first = await nodes.take(db, nodes.Identity(tmp_path, "old", 0), 1)
    assert first.number == 1
    await db.execute("UPDATE node SET since = '2020-01-01', first_since = '2020-01-01'")
    await db.execute("UPDATE lease SET expires_at = now() - interval '1 minute'")
    await nodes.take(db, nodes.Identity(tmp_path, "new", 0), 1)
    assert await db.fetchval("SELECT since FROM node WHERE instance = 'new'") > now - timedelta(minutes=1)
    year = await queries.year(db, by.actor, now.year)
    assert year.since == datetime(now.year, 1, 1, tzinfo=CHINA)
