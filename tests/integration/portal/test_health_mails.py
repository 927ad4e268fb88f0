"""The daily health mail: to each receiver once, over nodes and after stops; and backups: made whole or not at all."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from alarm_desk import Clock
from browsing import send, shows
from certificates import certified
from databases import one_more, owner
from days import noon, today
from portal_site import Site, by_test
from post import Post, serving
from visits import fails, signed_in

from smsgw.admin import health_mail
from smsgw.admin.health_mail import HealthMails, lines
from smsgw.commands.backup import _opened
from smsgw.commands.base import Context, Failed
from smsgw.core.alarm_rules import Rules
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA
from smsgw.net.mail import Mailer
from smsgw.platform.backups import queries, service as backups
from smsgw.platform.backups.queries import BACKUPS, Backup
from smsgw.platform.backups.watching import BackupWatch
from smsgw.platform.health import report, service, sizes
from smsgw.platform.health.model import Item
from smsgw.platform.paging import Window
from smsgw.platform.tickets import service as tickets
from smsgw.runtime import aio, clock
from smsgw.runtime.config import MailConfig
from smsgw.store.engine import dumps
from smsgw.store.engine.dumps import DumpError, NoTrial
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.migrate import SchemaTooOld
from smsgw.store.messages import daily
from smsgw.store.records import alarms

A, B = "a@buyer.example.org", "b@buyer.example.org"
HOUR = timedelta(hours=1)
BARE = report.Configured(tls=False, keys=1, files={})


def at(hour: int, days: int = 1) -> datetime:
    """The first mail tells of today, as it goes on the day after."""
    return noon() + timedelta(days=days, hours=hour - 12)


@pytest_asyncio.fixture
async def post() -> AsyncIterator[Post]:
    async with serving(Post()) as post:
        yield post


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


async def test_who_is_named_after_the_hour_gets_the_next_and_a_moved_hour_doubles_none(site: Site, post: Post) -> None:
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
        shows(text, "mobile-a", no=("%(", "(s)", "13800138000"))


async def test_what_cannot_be_found_in_time_is_unknown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
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
    shows(codes, "security", "figures_unrated")


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


@pytest.mark.parametrize(("used", "daily_"), [([1, 2], None), ([5, 5, 5], 0), ([10, 20, 30, 40], 10),
                                              ([40, 30, 20], -10), ([0, 12, 18, 33], 10.5)])  # fmt: skip
def test_growth_is_that_of_the_line_that_fits_best(used: list[int], daily_: float | None) -> None:
    got = sizes.daily([today() + timedelta(days=n) for n in range(len(used))], used)
    assert got == daily_


async def test_it_is_set_up_looked_at_and_sent_at_once_by_its_page(site: Site, post: Post) -> None:
    async with signed_in(site, "boss", "super") as boss:
        page = await boss.get("/health-mail")
        shows(page, "还没有收件人", "[mail]")  # this node has no mail server, and says so
        form = {"emails": f"{A}\n{B}", "health_hour": "9", "language": "en"}
        assert "不是邮箱" in await boss.post("/health-mail/edit", form | {"emails": "nobody"})
        await boss.post("/health-mail/edit", form)
        shows(await boss.get("/health-mail"), "每天 9:00", A, f"{today() - timedelta(days=1)} 提交 0 条")
        assert "2 个收件人" in await boss.get("/health-mail/ask")
        await boss.post("/health-mail/ask", {"confirmed": "1"})
        await fails(SmsgwError, service.ask(by_test(site.db)))
        clock = Clock(datetime.now(CHINA) + timedelta(minutes=1))
        await all_of(mailing(site, post.config, clock))
        assert {receiver for receiver, _ in post.got} == {A, B}
        assert "health of" in post.got[0][1]["Subject"]
        page = await boss.get("/health-mail/sent")
        assert page.count("已发送") >= 2


PASSWORD = "p%40ss word"
NEWEST = Window("begun_at", True, limit=10)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (made := tmp_path / "backups").mkdir()
    return made


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Where root's server can walk in, too."""
    with tempfile.TemporaryDirectory(prefix="smsgw-test-", dir="/var/tmp") as made:
        os.chmod(made, 0o755)  # noqa: S103 - nothing of ours is in it
        yield Path(made)


async def made(site: Site, dsn: str, folder: Path, keep: int = 0) -> Backup:
    return await backups.make(by_test(site.db), owner(dsn), folder, keep, lambda _: None)


async def audited(site: Site) -> list[tuple[str, str]]:
    return [(row["action"], row["object"]) for row in await site.db.fetch(
        "SELECT action, object FROM audit WHERE starts_with(action, 'backup.') ORDER BY id")]  # fmt: skip


async def findings(site: Site) -> Sequence[str]:
    return [one.kind for one in await BackupWatch(site.db, Rules).due()]


@pytest.mark.shard("processes")
@pytest.mark.slow
async def test_one_is_made_and_restored_with_the_same_rows(site: Site, dsn: str, folder: Path, scratch: Path) -> None:
    await send(site, to="13912345678")
    got = await made(site, dsn, folder)
    file = Path(got.file)
    assert (got.state, got.trial, got.there, got.octets) == ("done", "never", True, file.stat().st_size)
    assert file.stat().st_mode & 0o777 == dumps.manifest_of(file).stat().st_mode & 0o777 == 0o600
    assert sorted(path.suffix for path in folder.iterdir()) == [".dump", ".json"]
    kept = dumps.read_manifest(file)
    assert sum(kept.counts.values()) == got.rows
    assert sum(n for name, n in kept.counts.items() if name.startswith("public.message_2")) == 1
    await send(site, to="13912345679")  # the backup does not have it, and the trial does not miss it
    tried = await backups.rehearse(by_test(site.db), got.id, scratch)
    assert (tried.trial, tried.tried_problem, list(scratch.iterdir())) == ("good", "", [])
    assert await audited(site) == [(f"backup.{what}", f"backup/{got.id}") for what in ("begin", "end", "rehearse")]


async def test_what_is_not_what_was_written_is_found_by_the_trial(site: Site, dsn: str, folder: Path) -> None:
    got = await made(site, dsn, folder)
    file = Path(got.file)
    octets = bytearray(file.read_bytes())
    octets[len(octets) // 2] ^= 1
    file.write_bytes(octets)
    tried = await backups.rehearse(by_test(site.db), got.id, folder)
    assert tried.trial == "bad"
    assert "is not what was written" in tried.tried_problem
    file.unlink()
    assert (await backups.rehearse(by_test(site.db), got.id, folder)).trial == "bad"
    standing = await queries.standing(site.db)
    assert standing.last is None, "it is none to fall back on"
    assert standing.failed is not None
    (item,) = [
        one for one in (await report.made(site.db, BARE, today(), today(), clock.now())).items if one.path == "/backups"
    ]
    assert (item.code, item.state) == ("backup_failed", "bad")
    whole = await made(site, dsn, folder, keep=1)
    assert await made(site, dsn, folder, keep=2)
    assert Path(whole.file).exists()


async def test_without_room_no_trial_goes(site: Site, dsn: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    got = await made(site, dsn, folder)
    monkeypatch.setattr(dumps, "RESERVE", 2**60)
    with pytest.raises(NoTrial, match="are needed"):
        await backups.rehearse(by_test(site.db), got.id, folder)
    with pytest.raises(DumpError, match="are needed"):
        await made(site, dsn, folder)
    one = await BACKUPS.get(site.db, by_test(site.db).actor, got.id)
    assert one.trial == "never"
    assert ("backup.rehearse", f"backup/{got.id}") in await audited(site)
    assert await site.db.fetchval("SELECT count(*) FROM backup WHERE tried_in <> ''") == 0


HELD = """
import asyncio, pathlib, sys
from smsgw.store.engine import dumps
async def main():
    async with dumps._server(pathlib.Path(sys.argv[1])) as server:
        await server.start()
        print("up", flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.shard("processes")
@pytest.mark.slow
async def test_a_trial_that_is_stopped_leaves_nothing(site: Site, dsn: str, folder: Path, scratch: Path) -> None:
    got = await made(site, dsn, folder)
    under_way = aio.spawn(backups.rehearse(by_test(site.db), got.id, scratch), name="trial")
    while not (dumps.place_of(scratch) / "home/pg/postmaster.pid").exists():
        assert not under_way.done()
        await asyncio.sleep(0.05)
    assert await site.db.fetchval("SELECT tried_in FROM backup") == f"{dumps.place_of(scratch)}"
    await aio.cancel(under_way)
    assert list(scratch.iterdir()) == []
    row = await site.db.fetchrow("SELECT tried_in, tried_well FROM backup")
    assert tuple(row or ()) == ("", None)
    assert ("backup.rehearse", f"backup/{got.id}") in await audited(site)


@pytest.mark.shard("processes")
@pytest.mark.slow
async def test_of_a_killed_trial_neither_server_nor_copy_is_left(scratch: Path) -> None:
    place = dumps.place_of(scratch)
    killed = subprocess.Popen([sys.executable, "-c", HELD, place], stdout=subprocess.PIPE)
    assert killed.stdout is not None
    assert any(b"up" in line for line in iter(killed.stdout.readline, b""))
    with pytest.raises(NoTrial, match="under way"):
        await dumps.clear(place)
    killed.kill()
    await asyncio.to_thread(killed.wait)
    killed.stdout.close()
    left = EmbeddedPostgres(place / "data", home=place / "home")
    assert left._members()
    await dumps.clear(place)
    assert (left._members(), list(scratch.iterdir())) == ([], [])


@pytest.mark.shard("processes")
@pytest.mark.slow
async def test_rows_that_are_missing_are_named(site: Site, dsn: str, folder: Path, scratch: Path) -> None:
    got = await made(site, dsn, folder)
    beside = dumps.manifest_of(Path(got.file))
    table, rows = next((name, n) for name, n in dumps.read_manifest(Path(got.file)).counts.items() if n)
    beside.write_text(beside.read_text().replace(f'"{table}": {rows}', f'"{table}": {rows + 1}'))
    tried = await backups.rehearse(by_test(site.db), got.id, scratch)
    assert (tried.trial, tried.tried_problem) == ("bad", f"1 table(s) differ: {table} {rows + 1}/{rows}")


async def test_without_room_there_is_none_and_it_says_why(site: Site, dsn: str, folder: Path) -> None:
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails instead, as it does on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    try:
        with pytest.raises(DumpError, match="File too large"):
            await made(site, dsn, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(folder.iterdir()) == []
    (failed,) = (await BACKUPS.search(site.db, by_test(site.db).actor, None, NEWEST)).rows
    assert (failed.state, failed.there) == ("failed", False)
    assert "File too large" in failed.problem
    assert (await made(site, dsn, folder)).state == "done"


async def test_one_stopped_leaves_nothing(site: Site, dsn: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backups, "SEEN_EVERY", 0.1)
    async with asyncio.timeout(60):
        connection = await asyncpg.connect(owner(dsn))
        try:
            await connection.execute("BEGIN")
            await connection.execute("LOCK TABLE message IN ACCESS EXCLUSIVE MODE")  # it waits
            under_way = aio.spawn(made(site, dsn, folder), name="backup")
            while not list(folder.glob("*.part")):  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.02)
            await fails(SmsgwError, made(site, dsn, folder), "正在进行")
            while not await site.db.fetchval("SELECT seen_at > begun_at FROM backup"):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # it is seen though nothing is written
            await aio.cancel(under_way)
        finally:
            await connection.close()
    assert list(folder.iterdir()) == []
    assert [row["state"] for row in await site.db.fetch("SELECT state FROM backup")] == ["failed"]


async def test_whose_maker_was_killed_is_lost_and_holds_up_nobody(site: Site, dsn: str, folder: Path) -> None:
    await site.db.execute(
        "INSERT INTO backup (file, host, made_by, schema_version, seen_at) VALUES ($1, 'h', 'x', 1, "
        "now() - interval '3 minutes')", f"{folder}/smsgw-1.dump")  # fmt: skip
    half = folder / "smsgw-1.dump.part"
    half.write_bytes(b"half")
    os.utime(half, (0, 0))
    (note := folder / "smsgw-1.dump.json").write_bytes(b"half")
    os.utime(note, (0, 0))
    (shown,) = (await BACKUPS.search(site.db, by_test(site.db).actor, None, NEWEST)).rows
    assert shown.state == "lost"
    got = await made(site, dsn, folder)
    assert got.state == "done"
    assert not half.exists()
    assert not note.exists()
    await site.db.execute(
        "UPDATE backup SET state = 'running', seen_at = now() - interval '3 minutes', sha256 = '' WHERE state = 'done'"
    )
    await made(site, dsn, folder)
    whole = await BACKUPS.get(site.db, by_test(site.db).actor, got.id)
    assert (whole.state, whole.sha256) == ("done", got.sha256), "it was killed after the file stood"
    # Half a file of another stays.
    file = folder / "smsgw-2.dump"
    (half := folder / "smsgw-2.dump.part").write_bytes(b"of somebody")
    with pytest.raises(DumpError, match="exists"):
        await dumps.dump(owner(dsn), file, 1, dumps.Written(), 0)
    assert half.exists()
    assert not file.exists()


async def test_old_ones_go_once_there_are_newer_ones(site: Site, dsn: str, folder: Path) -> None:
    (below := folder / "monthly").mkdir()
    kept = await made(site, dsn, below)
    first = await made(site, dsn, folder)
    newer = await made(site, dsn, below)
    stranger = folder / "smsgw-of-somebody.dump"
    stranger.write_bytes(b"not ours")
    second = await made(site, dsn, folder, keep=1)
    assert not Path(first.file).exists()
    assert not dumps.manifest_of(Path(first.file)).exists()
    assert all(Path(one.file).exists() for one in (second, kept, newer)), "those below are others"
    assert stranger.exists()
    gone = await BACKUPS.get(site.db, by_test(site.db).actor, first.id)
    assert (gone.there, gone.state) == (False, "done")
    await fails(SmsgwError, backups.rehearse(by_test(site.db), first.id, folder), "文件已清理")


async def test_they_are_shown_and_an_alarm_misses_what_was_not_made(site: Site, dsn: str, folder: Path) -> None:
    async with signed_in(site, "boss", "super") as boss:
        assert "smsgwctl backup make" in await boss.get("/backups"), "it teaches where there are none"
        assert await findings(site) == []  # there was nothing to lose an hour ago
        got = await made(site, dsn, folder)
        assert "未演练" in await boss.get("/backups")
        shows(await boss.get(f"/backups/{got.id}"), got.sha256, Path(got.file).name)
    assert await findings(site) == []
    await site.db.execute("UPDATE backup SET begun_at = now() - $1::interval", timedelta(hours=27))
    assert await findings(site) == ["backup_old"]
    await site.db.execute("UPDATE backup SET begun_at = now(), state = 'failed' WHERE id = $1", got.id)
    assert (await queries.standing(site.db)).last is None


async def test_before_one_nothing_is_migrated_and_a_signal_ends_it_in_order(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = await asyncpg.connect(owner(dsn))
    version = one_more(monkeypatch, "SELECT 1") - 1
    config = tmp_path / "smsgw.toml"
    config.write_text(f'[node]\ndata_dir = "{tmp_path}"\n[database]\ndsn = "{dsn}"\n')

    async def told_to_end() -> None:
        async with _opened(Context(config)):
            assert await own.fetchval("SELECT version FROM schema_info") == version
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)

    with pytest.raises(Failed, match="stopped"):
        await told_to_end()
    with pytest.raises(SchemaTooOld):
        async with Context(config).database(as_it_is=10**6):
            """It is not."""
    await own.close()


def test_a_password_is_in_no_argument() -> None:
    for dsn in (f"postgresql://o:{PASSWORD}@db:5433/sms?sslmode=require",
                f"postgresql://o@db:5433/sms?password={PASSWORD}&sslmode=require"):  # fmt: skip
        address, password = dumps._apart(dsn)
        assert address == "postgresql://o@db:5433/sms?sslmode=require"
        assert password == "p@ss word"
    assert dumps._apart("postgresql://o@/sms?host=%2Frun") == ("postgresql://o@/sms?host=%2Frun", "")
