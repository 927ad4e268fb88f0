"""Alarms reach people: each once, with its end; not too early for silences, quiet hours and the second line."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from alarm_desk import PHONE, Desk
from browsing import shows
from portal_site import SEALER, by_test
from robots import HOOK_SECRET
from visits import fails, signed_in

from smsgw.core.alarm_notes import MOST_CALLS, Way
from smsgw.core.alarm_rules import LASTING
from smsgw.core.brand import ANY_HOST
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA
from smsgw.pipeline.upkeep.alarms import AlarmTable, Standing
from smsgw.platform.alarms import notes, receivers, service, silences
from smsgw.platform.alarms.memory import Memory
from smsgw.platform.alarms.notifier import Notifier
from smsgw.platform.brand import service as brands
from smsgw.store.engine.database import Database
from smsgw.store.records import alarms

HELD = timedelta(seconds=91)


async def hooked(desk: Desk, **more: object) -> Notifier:
    """A webhook is told, by this node."""
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET, **more)
    return desk.node()


async def alone(node: Notifier, standing: Sequence[Standing]) -> None:
    """The node tells by itself what stands while the database is away."""
    await node.unstored(standing)
    await node.settle()


async def test_an_alarm_reaches_each_receiver_once_and_its_end_too(desk: Desk) -> None:
    await desk.everybody()
    one, other = desk.node("one"), desk.node("other")
    await desk.raised()
    await desk.raised()  # it goes on standing
    await desk.told(one, other)
    await desk.told(one, other)
    assert await desk.states() == {(way, "sent"): 1 for way in Way}
    ((receiver, mail),) = desk.post.got
    assert receiver == "ops@buyer.example.org"
    body = mail.get_body()
    assert "通道断开" in mail["Subject"]
    for said in (body.get_content(), *desk.robots.wecom, *desk.robots.dingtalk, *await desk.texts()):
        assert "告警（严重）：通道断开，通道 mobile-a" in said
    ((wecom,), (dingtalk,), (item,)) = desk.robots.wecom, desk.robots.dingtalk, desk.robots.hook
    assert wecom == dingtalk
    assert (item["event"], item["kind"], item["object"]) == ("raised", "channel_down", "channel/mobile-a")
    await desk.cleared()
    await desk.told(one, other)
    assert len(desk.robots.hook) == 1, "it may come back at once"
    await desk.told(one, other, after=HELD)
    await desk.told(one, other)
    assert await desk.states() == {(way, "sent"): 2 for way in Way}
    assert [item["event"] for item in desk.robots.hook] == ["raised", "cleared"]
    assert "告警恢复" in desk.robots.wecom[1]
    assert len(desk.post.got) == len(desk.robots.dingtalk) == len(await desk.texts()) == 2
    await desk.raised()  # anew: another alarm
    await desk.told(one, other)
    assert len(desk.robots.wecom) == 3


async def test_a_mail_of_an_alarm_says_whose_platform_it_is(desk: Desk) -> None:
    brand = await brands.add(by_test(desk.site.db), [ANY_HOST])
    await brands.draft(by_test(desk.site.db), brand, {"name": "市民短信", "purchaser": "市政务局"})
    await brands.publish(by_test(desk.site.db), brand)
    await desk.site.snapshots.follow()
    desk.post.sender = "smsgw <alarm@sms.example.org>"  # has a name of its own
    await desk.add(Way.MAIL, "ops@buyer.example.org")
    await desk.add(Way.MAIL, "en@buyer.example.org", name="en", language="en")
    await desk.raised()
    await desk.told(desk.node())
    assert len(desk.post.got) == 2
    for receiver, mail in desk.post.got:
        colon = ": " if receiver.startswith("en") else "："
        assert mail["Subject"].startswith(f"市民短信 · 市政务局{colon}")
        sender = mail["From"].addresses[0]
        assert (sender.display_name, sender.addr_spec) == ("市民短信 · 市政务局", "alarm@sms.example.org")
        assert mail["Message-ID"].endswith("@sms.example.org>")
        body = mail.get_body()
        assert body.get_content().rstrip().endswith("市民短信 · 市政务局")


async def test_what_comes_and_goes_is_one_alarm_with_one_end(desk: Desk) -> None:
    await desk.add(Way.MAIL, "second@buyer.example.org", after_minutes=3)
    node = await hooked(desk)
    for _ in range(20):  # down for 40 seconds, up for 5
        await desk.raised()
        await desk.told(node, after=timedelta(seconds=40))
        await desk.cleared()
        await desk.told(node, after=timedelta(seconds=5))
    assert [item["event"] for item in desk.robots.hook] == ["raised"]
    assert len(desk.post.got) == 1, "it has stood for three minutes"
    await desk.told(node, after=HELD)
    await desk.told(node)
    assert [item["event"] for item in desk.robots.hook] == ["raised", "cleared"]
    assert len(desk.post.got) == 2
    assert await desk.site.db.fetchval("SELECT count(*) FROM alarm") == 1
    await desk.raised()
    await desk.told(node)
    assert len(desk.robots.hook) == 3, "it was over, and somebody has been told so"


async def test_a_phone_is_called_so_often_in_an_hour_and_more_often_for_grave_alarms_alone(desk: Desk) -> None:
    await desk.add(Way.SMS, PHONE)
    node = desk.node()
    most = MOST_CALLS[Way.SMS]
    for n in range(most + 5):
        await desk.raised(f"channel/w{n}", "warning")
        await desk.told(node, after=timedelta(seconds=30))
    texts = await desk.texts()
    assert len(texts) == most
    assert [f"一小时内已发 {most} 次" in text for text in texts] == [False] * (most - 1) + [True]
    await desk.raised("channel/grave")
    await desk.told(node)
    assert len(await desk.texts()) == most + 1
    assert "channel/grave".split("/")[1] in (await desk.texts())[-1]
    await desk.raised("channel/late", "warning")
    await desk.told(node, after=timedelta(minutes=40))
    assert len(await desk.texts()) == most + 1
    await desk.told(node, after=timedelta(hours=1))
    assert len(await desk.texts()) == most + 2
    assert "late" in (await desk.texts())[-1]


async def test_what_comes_together_goes_together_and_no_robot_is_called_too_often(desk: Desk) -> None:
    await desk.add(Way.WECOM, desk.robots.wecom_url)
    await desk.add(Way.SMS, PHONE, critical_only=True)
    node = desk.node()
    for n in range(60):
        await desk.raised(f"channel/c{n}", "critical" if n == 0 else "warning")
    await desk.told(node, after=timedelta(seconds=1))
    assert len(desk.robots.wecom) == 1, "one call in ten seconds"
    await desk.told(node, after=timedelta(seconds=5))
    assert len(desk.robots.wecom) == 1
    await desk.told(node)
    await desk.told(node)
    assert len(desk.robots.wecom) == 3
    assert sum(said.count("通道断开") for said in desk.robots.wecom) > 40, "cut at what the robot takes"
    (text,) = await desk.texts()
    assert "c0" in text
    await desk.raised("channel/c1", "critical")  # it has become grave
    await desk.told(node)
    assert len(await desk.texts()) == 2
    assert len(desk.robots.wecom) == 3, "known there"


async def test_what_certainly_was_not_told_is_told_later_and_what_may_have_been_is_not(desk: Desk) -> None:
    node = await hooked(desk)
    desk.robots.next = ["503", "503", "drop"]
    await desk.raised()
    await desk.told(node)
    assert await desk.states() == {("webhook", "waiting"): 1}
    await desk.told(node, after=timedelta(seconds=12))
    assert await desk.site.db.fetchval("SELECT said FROM alarm_note") == "HTTP 503"
    await desk.told(node, after=timedelta(seconds=35))
    assert await desk.states() == {("webhook", "unsure"): 1}
    await desk.told(node, after=timedelta(hours=1))
    assert desk.robots.hook == []
    id_ = await desk.site.db.fetchval("SELECT id FROM alarm_note")
    await notes.again(by_test(desk.site.db), id_)
    await desk.told(node)
    assert [item["id"] for item in desk.robots.hook] == [id_]
    await fails(SmsgwError, notes.again(by_test(desk.site.db), id_))


async def test_a_receiver_that_is_not_there_is_given_up_after_its_tries(desk: Desk) -> None:
    gone = await asyncio.start_server(lambda _, __: None, "127.0.0.1", 0)
    port = gone.sockets[0].getsockname()[1]
    gone.close()
    await gone.wait_closed()
    await desk.add(Way.WEBHOOK, f"http://127.0.0.1:{port}/", HOOK_SECRET)
    await desk.add(Way.WECOM, f"{desk.robots.origin}/cgi-bin/webhook/send?key=wrong")
    node = desk.node()
    await desk.raised()
    await desk.told(node)
    assert await desk.states() == {("webhook", "waiting"): 1, ("wecom", "failed"): 1}
    for _ in range(8):
        await desk.told(node, after=timedelta(minutes=31))
    rows = await desk.site.db.fetch("SELECT state, tries, said FROM alarm_note ORDER BY tries")
    assert [(row["state"], row["tries"]) for row in rows] == [("failed", 1), ("failed", 9)]
    assert "93000" in rows[0]["said"]


async def test_what_a_node_was_sending_when_it_died_is_unsure_and_goes_to_nobody_twice(desk: Desk) -> None:
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    await desk.raised()
    batch = await notes.claim(desk.site.db, SEALER, desk.clock.now, [])
    assert batch is not None
    node = desk.node()  # of the next run
    await desk.told(node, after=timedelta(minutes=4))
    await node.lose()
    assert await desk.states() == {("webhook", "sending"): 1}
    desk.clock.now += timedelta(minutes=2)
    await node.lose()
    await desk.told(node, after=timedelta(hours=1))
    assert (await desk.states(), desk.robots.hook) == ({("webhook", "unsure"): 1}, [])


async def test_no_end_is_told_before_its_beginning_and_one_that_is_late_says_so(desk: Desk) -> None:
    node = await hooked(desk)
    desk.robots.next = ["503"] * 4
    await desk.raised()
    for seconds in (1, 11, 31, 61):
        await desk.told(node, after=timedelta(seconds=seconds))
    assert desk.robots.next == []
    await desk.cleared()
    await desk.told(node, after=HELD)
    assert desk.robots.hook == [], "the beginning is tried again in a while"
    await desk.told(node, after=timedelta(seconds=40))
    assert [item["event"] for item in desk.robots.hook] == ["raised", "cleared"]
    assert desk.robots.hook[0]["text"].endswith("恢复）")


async def test_the_address_comes_with_what_is_taken_and_a_phone_is_not_told_the_same_twice(desk: Desk) -> None:
    await desk.add(Way.SMS, PHONE)
    node = desk.node()
    await desk.raised()
    await desk.told(node)
    await desk.site.db.execute("UPDATE alarm_note SET state = 'unsure'")
    id_ = await desk.site.db.fetchval("SELECT id FROM alarm_note")
    await notes.again(by_test(desk.site.db), id_)
    await desk.told(node)
    assert await desk.states() == {("sms", "sent"): 1}
    assert len(await desk.texts()) == 1, "it had been taken"
    await desk.raised("channel/b")
    batch = await notes.claim(desk.site.db, SEALER, desk.clock.now + timedelta(minutes=1), [])
    assert batch.receiver is not None
    assert batch.receiver.address == f"86{PHONE}"


async def test_an_outage_of_the_database_is_told_by_the_node_and_entered_when_it_is_back(desk: Desk) -> None:
    await desk.everybody()
    node = desk.node()
    await node.learn()
    since = desk.clock.now
    standing = [Standing("database_down", "node/1", "critical", "no answer", since)]
    desk.robots.next = ["busy"]
    for _ in range(3):
        await alone(node, standing)
    assert len(desk.post.got) == len(desk.robots.hook) == 1
    assert len(desk.robots.wecom) + len(desk.robots.dingtalk) == 1, "the other one is busy"
    assert await desk.texts() == [], "a message needs the database"
    # It dies, and its next run finds the database away, too.
    node = desk.node()
    await node.learn()
    desk.clock.now += timedelta(seconds=11)
    await alone(node, standing)
    assert len(desk.post.got) == len(desk.robots.wecom) == len(desk.robots.dingtalk) == len(desk.robots.hook) == 1
    # The database is back.
    table = AlarmTable(desk.site.db, 1, {}, node, now=desk.clock)
    await table.look()
    assert await desk.states() == {(way, "sent"): 1 for way in Way if way is not Way.SMS} | {("sms", "waiting"): 1}
    assert not node.holds
    await table.look()
    await desk.told(node)
    await desk.told(node, after=HELD)
    assert [item["event"] for item in desk.robots.hook] == ["raised", "cleared"]
    assert [len(desk.post.got), len(desk.robots.wecom), len(desk.robots.dingtalk)] == [2, 2, 2]
    late, over = await desk.texts()
    shows(late, "告警（严重）：数据库不可用", "（已于")  # told when it was over
    assert "告警恢复" in over
    row = await desk.site.db.fetchrow("SELECT since, cleared_at FROM alarm")
    assert row["since"] == since
    assert row["cleared_at"] is not None


async def test_what_a_node_was_telling_by_itself_when_it_died_is_unsure(desk: Desk) -> None:
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    memory = Memory(desk.folder / "one.json")
    memory.take([Standing("database_down", "node/1", "critical", "", desk.clock.now)])
    (receiver,) = await receivers.opened(desk.site.db, SEALER)
    memory.begin(receiver.id, list(memory.kept.values()), desk.clock.now)
    memory.save(memory.written())
    node = desk.node("one")
    await node.learn()
    await alone(node, [Standing("database_down", "node/1", "critical", "", desk.clock.now)])
    await AlarmTable(desk.site.db, 1, {}, node, now=desk.clock).look()
    assert (await desk.states(), desk.robots.hook) == ({("webhook", "unsure"): 1}, [])
    (desk.folder / "two.json").write_text("{broken")
    assert not desk.node("two").holds


async def test_a_node_that_is_alone_tells_what_still_stands_and_nothing_for_something_else(desk: Desk) -> None:
    node = await hooked(desk)
    await node.learn()
    since = desk.clock.now
    full, stuck = (Standing(kind, "node/1", "critical", "", since) for kind in ("journal_full", "writer_stalled"))
    desk.robots.next = ["503"]
    await alone(node, [full, stuck])
    desk.clock.now += timedelta(seconds=11)
    await alone(node, [stuck])
    assert [item["kind"] for item in desk.robots.hook] == ["writer_stalled"]
    await alone(node, [full, stuck])
    first, second = desk.robots.hook
    assert first["id"] != second["id"], "two things of one moment"
    # And it keeps to silences.
    await silenced(desk, "database_down")
    await node.learn()
    down, low = (Standing(kind, "node/1", "critical", "", desk.clock.now) for kind in ("database_down", "disk_low"))
    await alone(node, [full, stuck, down])
    assert len(desk.robots.hook) == 2
    await alone(node, [full, stuck, down, low])
    assert [item["kind"] for item in desk.robots.hook[2:]] == ["disk_low"]


async def test_receivers_are_made_tried_out_stopped_and_removed_on_their_page(desk: Desk) -> None:
    site = desk.site
    async with signed_in(site, "boss", "super") as boss:
        assert "还没有告警接收人" in await boss.get("/alarms/receivers")
        form = {"name": "值班手机", "account": str(site.accounts["hall"]), "address": PHONE, "language": "zh",
                "after_minutes": "0"}  # fmt: skip
        page = await boss.post("/alarms/receivers/-/new/sms", form)
        assert boss.path == "/alarms/receivers"
        shows(page, "138****8000", no=PHONE)
        assert await boss.status_of("/alarms/receivers/-/new/sms", form) == 422, "the name is taken"
        for way, wrong in (("mail", {"address": "nobody"}), ("wecom", {"address": "https://qyapi.weixin.qq.com/x"}),
                           ("webhook", {"address": "https://10.0.0.1/", "secret": HOOK_SECRET}),
                           ("webhook", {"address": "https://hooks.example.org/", "secret": "short"}),
                           ("dingtalk", {"address": "https://oapi.dingtalk.com/robot/send?access_token=a",
                                         "secret": "not one"})):  # fmt: skip
            form = {"name": "x", "language": "zh", "after_minutes": "0"} | wrong
            assert await boss.status_of(f"/alarms/receivers/-/new/{way}", form) == 422, (way, wrong)
        robot = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6-s3cret"
        page = await boss.post("/alarms/receivers/-/new/wecom", {"name": "值班群", "address": robot, "language": "zh",
                                                                       "after_minutes": "0"})  # fmt: skip
        shows(page, "qyapi.weixin.qq.com", no="s3cret")
        ids = {row["name"]: row["id"] for row in await site.db.fetch("SELECT name, id FROM alarm_receiver")}
        hook = {"name": "网关", "address": "https://hooks.example.org/services/T0/s3cret", "secret": HOOK_SECRET,
                "language": "zh", "after_minutes": "0"}  # fmt: skip
        shows(await boss.post("/alarms/receivers/-/new/webhook", hook), "https://hooks.example.org", no="s3cret")
        rows = await site.db.fetch("SELECT sealed, shown FROM alarm_receiver")
        assert "s3cret" not in str([row["shown"] for row in rows])
        assert not any(b"s3cret" in sealed for row in rows for sealed in row["sealed"])
        assert "s3cret" not in str([dict(row) for row in await site.db.fetch("SELECT before, after FROM audit")])
        one = str(ids["值班手机"])
        assert "1 个接收人" in await boss.post("/alarms/receivers/-/effect/test", {"id": one})
        await boss.post("/alarms/receivers/-/do/test", {"id": one, "confirmed": "1"})
        node = desk.node()
        desk.clock.now = datetime.now(UTC)
        await desk.told(node)
        assert any("告警测试" in text for text in await desk.texts())
        page = await boss.get("/alarms/notes")
        shows(page, "测试通知", "已发送")
        (note,) = set(re.findall(r'href="/alarms/notes/(\d+)"', page))
        page = await boss.get(f"/alarms/notes/{note}")
        message = await site.db.fetchval("SELECT id FROM message WHERE submitter LIKE '%alarms%'")
        assert f"/records/{message}" in page
        changed = {"name": "夜班", "address": "", "secret": "", "language": "en", "after_minutes": "5"}
        await boss.post(f"/alarms/receivers/{one}/edit", changed)
        assert (await receivers.opened(site.db, SEALER, int(one)))[0].address == f"86{PHONE}"
        await desk.raised()
        await boss.post("/alarms/receivers/-/do/stop", {"id": one, "confirmed": "1"})
        await desk.told(node)
        states = await desk.states()
        assert states["sms", "failed"] == 1, "what waited for one that is stopped is not sent"
        await boss.post("/alarms/receivers/-/do/remove", {"id": one, "confirmed": "1"})
        assert "夜班" not in await boss.get("/alarms/receivers")
        assert await site.db.fetchval("SELECT sealed FROM alarm_receiver WHERE id = $1", int(one)) == []
        assert "夜班" in await boss.get("/alarms/notes"), "what became of its notes stays"


def events(desk: Desk) -> list[tuple[str, str]]:
    return [(item["event"], item["object"]) for item in desk.robots.hook]


async def silenced(desk: Desk, kind: str = "", object: str = "", minutes: int = 60) -> int:
    until = datetime.now(UTC) + timedelta(minutes=minutes)
    return await silences.add(by_test(desk.site.db), kind, object, until, "planned work")


async def test_of_what_is_silenced_nobody_is_told_until_it_ends_and_never_of_what_is_over_by_then(desk: Desk) -> None:
    node = await hooked(desk)
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
    node = await hooked(desk)
    await desk.raised("channel/a")
    await desk.told(node)
    await desk.raised("channel/b")  # of which nobody was told yet
    id_ = await silenced(desk)
    await desk.cleared("channel/a")
    await desk.raised("channel/c")
    await desk.told(node, after=HELD)
    assert events(desk) == [("raised", "channel/a"), ("cleared", "channel/a")]
    await silences.end(by_test(desk.site.db), id_)
    await desk.told(node)
    assert events(desk)[2:] == [("raised", "channel/b"), ("raised", "channel/c")]
    await fails(SmsgwError, silences.end(by_test(desk.site.db), id_))


async def test_what_another_silence_or_quiet_hours_cover_is_not_woken_by_the_end_of_one(desk: Desk) -> None:
    node = await hooked(desk)
    every = await silenced(desk, minutes=120)
    one = await silenced(desk, "channel_down", "channel/a", minutes=60)
    now = datetime.now(CHINA)
    quiet = ((now - timedelta(hours=1)).time(), (now + timedelta(hours=5)).time())
    await desk.add(Way.MAIL, "ops@buyer.example.org", quiet=quiet)
    await desk.raised("channel/a")
    await desk.raised("channel/warned", "warning")
    await silences.end(by_test(desk.site.db), every)
    await desk.told(node)
    assert (events(desk), desk.post.got) == ([("raised", "channel/warned")], [])
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


async def test_the_second_line_is_told_of_what_nobody_has_taken_on(desk: Desk) -> None:
    await desk.add(Way.MAIL, "duty@buyer.example.org")
    node = await hooked(desk, after_minutes=10)
    for name in ("taken", "over", "left"):
        await desk.raised(f"channel/{name}")
    await desk.told(node)
    assert (len(desk.post.got), events(desk)) == (1, [])
    rows = await desk.site.db.fetch("SELECT id FROM alarm WHERE object = 'channel/taken'")
    await service.acknowledge(by_test(desk.site.db), [row["id"] for row in rows])
    await desk.cleared("channel/over")
    await desk.told(node, after=timedelta(minutes=9))
    assert events(desk) == []
    await desk.told(node, after=timedelta(minutes=2))
    assert events(desk) == [("raised", "channel/left")]
    said = {row["said"] for row in await desk.site.db.fetch("SELECT said FROM alarm_note WHERE state = 'dropped'")}
    assert said == {"over", "taken"}


async def test_quiet_hours_are_those_of_china(database: Database) -> None:
    for at, from_, to, until in (("2026-11-26 23:00", "22:00", "07:30", "2026-11-27 07:30"),
                                 ("2026-11-27 06:59", "22:00", "07:30", "2026-11-27 07:30"),
                                 ("2026-11-27 07:30", "22:00", "07:30", "2026-11-27 07:30"),
                                 ("2026-11-27 12:30", "12:00", "14:00", "2026-11-27 14:00"),
                                 ("2026-11-27 14:00", "12:00", "14:00", "2026-11-27 14:00"),
                                 ("2026-11-27 09:00", "22:00", "07:30", "2026-11-27 09:00"),
                                 ("2026-11-27 09:00", "09:00", "09:00", "2026-11-27 09:00"),
                                 ("2026-11-30 23:59", "22:00", "06:00", "2026-12-01 06:00")):  # fmt: skip
        moment, end = (datetime.fromisoformat(text).replace(tzinfo=CHINA) for text in (at, until))
        quiet = "SELECT alarm_quiet_until($1, $2, $3)"
        assert await database.fetchval(quiet, moment, time.fromisoformat(from_), time.fromisoformat(to)) == end, at


async def test_in_quiet_hours_warnings_and_their_ends_wait_and_grave_alarms_do_not(desk: Desk) -> None:
    node = await hooked(desk, quiet=(time(22), time(7)))
    desk.clock.now = datetime.now(CHINA).replace(hour=21, minute=50)
    await desk.raised("channel/evening", "warning")
    await desk.told(node)
    desk.clock.now += timedelta(hours=1)
    await desk.cleared("channel/evening")
    for name in ("warned", "worse"):
        await desk.raised(f"channel/{name}", "warning")
    await desk.told(node, after=timedelta(minutes=5))
    assert events(desk) == [("raised", "channel/evening")]
    for name in ("worse", "grave"):
        await desk.raised(f"channel/{name}")
    await desk.told(node)
    assert sorted(events(desk)[1:]) == [("raised", "channel/grave"), ("raised", "channel/worse")]
    await desk.told(node, after=timedelta(hours=6))
    assert len(events(desk)) == 3
    await desk.told(node, after=timedelta(hours=3))
    assert sorted(events(desk)[3:]) == [("cleared", "channel/evening"), ("raised", "channel/warned")]


async def test_an_alarm_is_silenced_from_its_page_and_the_silence_ended(desk: Desk) -> None:
    site = desk.site
    await desk.raised()
    alarm = await site.db.fetchval("SELECT id FROM alarm")
    async with signed_in(site, "boss", "super") as boss:
        page = await boss.get(f"/alarms/{alarm}")
        (link,) = re.findall(r'href="(/alarms/silences/-/new\?[^"]*)"', page)
        assert 'value="channel/mobile-a"' in await boss.get(link.replace("&amp;", "&"))
        form = {"kind": "channel_down", "object": "channel/mobile-a", "minutes": "60", "reason": ""}
        assert await boss.status_of("/alarms/silences/-/new", form) == 422
        form["reason"] = "光缆割接"
        assert "不通知任何接收人" in await boss.post("/alarms/silences/-/new", form), "the effect comes first"
        page = await boss.post("/alarms/silences/-/new", form | {"confirmed": "1"})
        shows(page, "静默中", "光缆割接", "通道 mobile-a", no="channel/mobile-a")
        await silences.add(by_test(site.db), "", "", datetime.now(CHINA) + timedelta(hours=1), "planned work")
        page = await boss.get("/alarms/silences")
        assert page.count('<span class="quiet">全部</span>') == 2, "every kind, and every object"
        id_ = await site.db.fetchval("SELECT id FROM alarm_silence")
        await boss.post("/alarms/silences/-/do/end", {"id": str(id_), "confirmed": "1"})
        assert "已结束" in await boss.get("/alarms/silences")


async def test_alarms_of_the_audit_log_are_never_hushed(desk: Desk) -> None:
    """Nor by a silence of everything, nor by a node that is alone; the functions of the database know the same ones."""
    site = desk.site
    assert {"audit_changed", "audit_anchor"} == LASTING
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    await fails(SmsgwError, silenced(desk, "audit_changed"), code="PARAM_INVALID")
    await silenced(desk)
    for kind in (*sorted(LASTING), "channel_down"):
        async with site.db.transaction() as connection:
            await alarms.raise_(connection, kind, "audit", "critical", "gone", now=desk.clock.now)
    node = desk.node()
    await desk.told(node)
    assert sorted(item["kind"] for item in desk.robots.hook) == sorted(LASTING)
    await node.learn()
    assert not any(one.covers("audit_changed", "audit") for one in await silences.holding(site.db))
    alarm = await site.db.fetchval("SELECT id FROM alarm WHERE kind = 'audit_changed'")
    async with signed_in(site, "boss", "super") as boss:
        assert "/alarms/silences/-/new" not in await boss.get(f"/alarms/{alarm}")
        shows(await boss.get("/alarms/silences/-/new"), 'value="channel_down"', no='value="audit_changed"')
