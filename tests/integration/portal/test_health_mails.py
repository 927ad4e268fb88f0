"""The daily health mail: to each receiver once, over nodes and after stops, by a real mail server; and what it says."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from browsing import send
from certificates import certified
from days import today
from portal_site import Site, by_test
from post import Post, serving
from visits import fails, having, lacking, signed_in

from smsgw.admin import health_mail
from smsgw.admin.health_mail import HealthMails, lines
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA
from smsgw.net.mail import Mailer
from smsgw.platform.health import report, service, sizes
from smsgw.platform.health.model import Item
from smsgw.platform.tickets import service as tickets
from smsgw.runtime.config import MailConfig
from smsgw.store.messages import daily
from smsgw.store.records import alarms

A, B = "a@buyer.example.org", "b@buyer.example.org"
HOUR = timedelta(hours=1)
BARE = report.Configured(tls=False, keys=1, files={})


def at(hour: int, days: int = 1) -> datetime:
    """The first mail tells of today, as it goes on the day after."""
    return datetime.combine(today() + timedelta(days=days), datetime.min.time(), CHINA) + timedelta(hours=hour)


@pytest_asyncio.fixture
async def post() -> AsyncIterator[Post]:
    async with serving(Post()) as post:
        yield post


@dataclass
class Clock:
    now: datetime

    def __call__(self) -> datetime:
        return self.now


def mailing(site: Site, config: MailConfig, clock: Clock) -> HealthMails:
    return HealthMails(site.db, Mailer(config), lambda: site.snapshots.current.brands, BARE, clock)


async def named(site: Site, *emails: str, hour: int = 8, since: datetime | None = None) -> None:
    """Since noon of the first day, or of another moment, whatever time it is."""
    await service.set_plan(by_test(site.db), emails, "zh", hour)
    moved = "UPDATE health_plan SET since = array_fill($1::timestamptz, ARRAY[cardinality(emails)])"
    await site.db.execute(moved, since or at(12, 0))


async def all_of(mails: HealthMails) -> None:
    while await mails.step():
        pass


async def broken(_: object) -> list[Item]:
    raise LookupError("of a part")


async def told(site: Site) -> list[tuple[date, date, str, str]]:
    rows = await site.db.fetch("SELECT first, day, receiver, state FROM health_mail ORDER BY day, receiver")
    return [tuple(row) for row in rows]


def days(n: int) -> date:
    return today() + timedelta(days=n)


async def test_each_receiver_gets_one_a_day_from_whichever_node(site: Site, post: Post) -> None:
    await named(site, A, B)
    clock = Clock(at(8) - timedelta(seconds=1))
    nodes = [mailing(site, post.config, clock) for _ in range(3)]
    await asyncio.gather(*map(all_of, nodes))
    assert post.got == [], "it is not the hour yet"
    clock.now = at(8)
    await asyncio.gather(*map(all_of, nodes))
    clock.now = at(23)
    await asyncio.gather(*map(all_of, nodes))
    assert await told(site) == [(today(), today(), A, "sent"), (today(), today(), B, "sent")]
    clock.now = at(8, 2)
    await asyncio.gather(*map(all_of, nodes))
    assert sorted(receiver for receiver, _ in post.got) == [A, A, B, B]
    assert await told(site) == [(days(n), days(n), one, "sent") for n in (0, 1) for one in (A, B)]
    ids = {message["Message-ID"] for _, message in post.got}
    assert len(ids) == 4
    for receiver, message in post.got:
        assert message["To"] == receiver
        assert "健康日报" in message["Subject"]


async def test_after_a_stop_one_mail_tells_of_the_days_between_and_of_no_day_twice(site: Site, post: Post) -> None:
    await named(site, A)
    clock = Clock(at(8))
    await all_of(mailing(site, post.config, clock))
    clock.now = at(15, 4)  # three days nobody was there
    after = mailing(site, post.config, clock)
    await all_of(after)
    assert (await told(site))[1:] == [(days(1), days(3), A, "sent")]
    (_, message) = post.got[-1]
    body = message.get_content()
    assert all(f"{days(n)} 提交" in body for n in (1, 2, 3))
    assert f"{days(0)} 提交" not in body
    clock.now = at(8, 5)
    await all_of(after)
    assert (await told(site))[2:] == [(days(4), days(4), A, "sent")]
    clock.now = at(9, 40)
    await all_of(after)
    assert (await told(site))[3:] == [(days(33), days(39), A, "sent")], "a week at most"
    clock.now = at(9, 20)  # the clock goes back
    await all_of(after)
    assert len(post.got) == 4


async def test_without_a_mail_server_nothing_waits_and_one_mail_makes_up_for_it(site: Site, post: Post) -> None:
    await named(site, A)
    clock = Clock(at(8))
    for n in (1, 2, 3):
        clock.now = at(9, n)
        await all_of(mailing(site, MailConfig(), clock))
    assert await told(site) == []
    await all_of(mailing(site, post.config, clock))
    assert await told(site) == [(days(0), days(2), A, "sent")], "since the day on which it was named"


async def test_what_was_asked_for_and_nobody_can_send_fails_and_holds_up_no_other(site: Site) -> None:
    await named(site, A)
    await service.ask(by_test(site.db))
    clock = Clock(datetime.now(CHINA) + HOUR / 2)
    nobody = mailing(site, MailConfig(), clock)
    await all_of(nobody)
    assert [state for *_, state in await told(site)] == ["waiting"]
    clock.now += HOUR
    await all_of(nobody)
    assert [state for *_, state in await told(site)] == ["failed"]
    await service.ask(by_test(site.db))


async def test_whoever_is_named_after_the_hour_gets_the_next_and_a_moved_hour_doubles_nothing(
    site: Site, post: Post
) -> None:
    clock = Clock(at(8))
    await named(site, A, hour=7, since=clock.now)
    await all_of(mailing(site, post.config, clock))
    assert post.got == [], "that of today was due before"
    clock.now = at(7, 2)
    await all_of(mailing(site, post.config, clock))
    assert await told(site) == [(days(1), days(1), A, "sent")]
    for hour in (20, 0, 9):
        await named(site, A, hour=hour)
        clock.now += HOUR
        await all_of(mailing(site, post.config, clock))
    assert len(post.got) == 1
    await named(site)
    clock.now = at(12, 5)
    await all_of(mailing(site, post.config, clock))
    assert len(post.got) == 1, "nobody is named any more"


async def test_what_was_refused_or_may_have_arrived_is_sent_again_by_people_alone(site: Site, post: Post) -> None:
    await site.add_staff("boss", "super")
    await named(site, A, B)
    post.answers = {f"rcpt {A}": ["550 5.1.1 no such person"], f"data {B}": ["drop"]}
    clock = Clock(at(8))
    mails = mailing(site, post.config, clock)
    for _ in range(3):
        await all_of(mails)
        clock.now += HOUR
    assert {one[2]: one[3] for one in await told(site)} == {A: "failed", B: "unsure"}
    assert post.got == []
    async with signed_in(site, "boss") as boss:
        page = await boss.get("/health-mail/sent?mail_state=failed")
        assert "550 5.1.1 no such person" in page
        (id_,) = re.findall(r'href="/health-mail/sent/(\d+)"', page)
        await boss.post("/health-mail/sent/-/do/again", {"id": id_, "confirmed": "1"})
    await all_of(mails)
    assert [receiver for receiver, _ in post.got] == [A]
    await named(site, A)
    other = await site.db.fetchval("SELECT id FROM health_mail WHERE receiver = $1", B)
    for one in (int(id_), other, 10**9):
        await fails(SmsgwError, service.again(by_test(site.db), one))


async def test_it_says_what_was_and_what_is(site: Site, tmp_path: Path) -> None:
    ids = [await send(site, to=f"138001380{n:02}") for n in range(3)]
    taken = await site.carrier_takes()
    await site.carrier_reports([one for one in taken if one[0] in ids[:2]])
    while await daily.roll_up(site.db, datetime.now(CHINA) + timedelta(minutes=1)):
        pass
    async with site.db.transaction() as connection:
        await alarms.raise_(connection, "channel_down", "channel/mobile-a", "critical", "x", now=datetime.now(CHINA))
    await tickets.open_(by_test(site.db), tickets.Draft(site.accounts["hall"], "no report", "since noon"))
    used = [(today() - timedelta(days=n), 100 * 2**30 - n * 2**30) for n in range(5)]
    for day, octets in used:
        await site.db.execute("INSERT INTO size_day VALUES ('node/7/data', $1, $2, $3)", day, octets, 4 * 2**30)
    files = {"http": tmp_path / "http.pem", "admin": tmp_path / "none.pem"}
    files["http"].write_text("".join(reversed(certified("sms.example.org", days=12))))  # the key first
    found = await report.made(site.db, report.Configured(True, 1, files), today(), today(), datetime.now(CHINA))
    said = {one.code: one for one in found.items}
    assert (said["certificate"].facts["name"], said["certificate"].facts["days"]) == ("[http]", 11)
    assert (said["certificate"].state, said["certificate_unknown"].facts) == ("warning", {"name": "[admin]"})
    assert (said["figures"].facts["submitted"], said["figures"].facts["delivered"]) == (3, 2)
    assert (said["alarms"].facts["open_critical"], said["alarm"].state) == (1, "bad")
    assert any("通道断开，通道 mobile-a，自 " in line.text for line in lines(found, "zh"))
    assert said["tickets"].facts == {"opened": 1, "open": 1}
    assert (said["disk"].facts["days"], said["disk"].state) == (4, "bad"), "it grows by 1 GB a day, and 4 are left"
    assert (said["backup_never"].state, said["archive_never"].state) == ("warning", "plain")
    assert 0 < said["security"].facts["score"] <= 100
    assert found.state == "bad"
    assert not [code for code in said if code.endswith("_unknown") and not code.startswith("certificate")]
    for language in ("zh", "en"):
        text = health_mail.text(found, "platform", language)
        assert "mobile-a" in text
        assert not having(text, "%(", "(s)", "13800138000")


async def test_what_cannot_be_found_in_time_is_unknown_and_holds_up_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "PATIENCE", 3.0)  # of which others need a part
    async with site.db.transaction() as connection:
        await connection.execute("LOCK TABLE ticket IN ACCESS EXCLUSIVE MODE")
        found = await report.made(site.db, BARE, today(), today(), datetime.now(CHINA))
    codes = {one.code: one.state for one in found.items}
    assert codes["tickets_unknown"] == "unknown"
    monkeypatch.setitem(report._PARTS, "queue", broken)  # type: ignore[arg-type]
    begun = time.monotonic()
    late = await report.made(site.db, BARE, today(), today(), datetime.now(CHINA), within=0.0)
    assert time.monotonic() - begun < 20
    assert {one.state for one in late.items} == {"unknown"}
    found = await report.made(site.db, BARE, today(), today(), datetime.now(CHINA))
    assert "queue_unknown" in {one.code for one in found.items}
    assert "security" in codes
    assert "figures_unrated" in codes


async def test_disks_and_database_are_written_down_once_a_day(site: Site, tmp_path: Path) -> None:
    looking = sizes.Sizes(site.db, 3, [tmp_path, tmp_path / "gone", tmp_path])
    await looking.step()
    await looking.step()
    await site.db.execute("INSERT INTO size_day VALUES ('node/1/old', $1, 1, 1)", today() - timedelta(days=90))
    await looking.step()
    rows = await site.db.fetch("SELECT object, free FROM size_day ORDER BY object")
    assert [row["object"] for row in rows] == ["database", f"node/3{tmp_path}"]
    assert rows[0]["free"] is None
    (database, disk) = await sizes.sizes(site.db)
    assert database.used > 0
    assert (disk.daily, disk.days_left) == (None, None), "a day tells nothing of growth"
    assert 0 < (disk.free_percent or 0) <= 100


@pytest.mark.parametrize(("used", "daily_"), [
    ([1, 2], None), ([5, 5, 5], 0), ([10, 20, 30, 40], 10), ([40, 30, 20], -10), ([0, 12, 18, 33], 10.5),
])  # fmt: skip
def test_growth_is_that_of_the_line_that_fits_best(used: list[int], daily_: float | None) -> None:
    got = sizes.daily([today() + timedelta(days=n) for n in range(len(used))], used)
    assert got == daily_


async def test_it_is_set_up_looked_at_and_sent_at_once_by_its_page(site: Site, post: Post) -> None:
    async with signed_in(site, "boss", "super") as boss:
        page = await boss.get("/health-mail")
        assert "还没有收件人" in page
        assert "[mail]" in page, "this node has no mail server, and says so"
        form = {"emails": f"{A}\n{B}", "health_hour": "9", "language": "en"}
        assert "不是邮箱" in await boss.post("/health-mail/edit", form | {"emails": "nobody"})
        await boss.post("/health-mail/edit", form)
        page = await boss.get("/health-mail")
        assert not lacking(page, "每天 9:00", A)
        assert f"{today() - timedelta(days=1)} 提交 0 条" in page
        assert "2 个收件人" in await boss.get("/health-mail/ask")
        await boss.post("/health-mail/ask", {"confirmed": "1"})
        await fails(SmsgwError, service.ask(by_test(site.db)))
        clock = Clock(datetime.now(CHINA) + timedelta(minutes=1))
        await all_of(mailing(site, post.config, clock))
        assert {receiver for receiver, _ in post.got} == {A, B}
        assert "health of" in post.got[0][1]["Subject"]
        page = await boss.get("/health-mail/sent")
        assert page.count("已发送") >= 2
