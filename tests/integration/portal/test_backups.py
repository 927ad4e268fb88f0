"""Backups: made whole or not at all, restored for trial with the same rows, shown, and missed when they are old."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest
from browsing import send
from databases import owner
from days import today
from portal_site import Site, by_test
from visits import fails, signed_in

from smsgw.commands.backup import _opened
from smsgw.commands.base import Context, Failed
from smsgw.core.alarm_rules import Rules
from smsgw.core.errors import SmsgwError
from smsgw.platform.backups import queries, service
from smsgw.platform.backups.queries import Backup
from smsgw.platform.backups.watching import BackupWatch
from smsgw.platform.health import report
from smsgw.platform.paging import Window
from smsgw.runtime import aio, clock
from smsgw.store.engine import dumps
from smsgw.store.engine.dumps import DumpError, NoTrial
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.migrate import SchemaTooOld

PASSWORD = "p%40ss word"
BARE = report.Configured(tls=False, keys=1, files={})


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


def nobody(_: int) -> None:
    """Is told."""


async def made(site: Site, dsn: str, folder: Path, keep: int = 0) -> Backup:
    return await service.make(by_test(site.db), owner(dsn), folder, keep, nobody)


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
    tried = await service.rehearse(by_test(site.db), got.id, scratch)
    assert (tried.trial, tried.tried_problem, list(scratch.iterdir())) == ("good", "", [])
    assert await audited(site) == [(f"backup.{what}", f"backup/{got.id}") for what in ("begin", "end", "rehearse")]


async def test_what_is_not_what_was_written_is_found_by_the_trial(site: Site, dsn: str, folder: Path) -> None:
    got = await made(site, dsn, folder)
    file = Path(got.file)
    octets = bytearray(file.read_bytes())
    octets[len(octets) // 2] ^= 1
    file.write_bytes(octets)
    tried = await service.rehearse(by_test(site.db), got.id, folder)
    assert tried.trial == "bad"
    assert "is not what was written" in tried.tried_problem
    file.unlink()
    assert (await service.rehearse(by_test(site.db), got.id, folder)).trial == "bad"
    standing = await queries.standing(site.db)
    assert standing.last is None, "it is none to fall back on"
    assert standing.failed is not None
    (item,) = [one for one in (await report.made(site.db, BARE, today(), today(), clock.now())).items
               if one.path == "/backups"]  # fmt: skip
    assert (item.code, item.state) == ("backup_failed", "bad")
    whole = await made(site, dsn, folder, keep=1)
    assert await made(site, dsn, folder, keep=2)
    assert Path(whole.file).exists()


async def test_a_trial_that_there_is_no_room_for_says_nothing_of_the_backup(
    site: Site, dsn: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = await made(site, dsn, folder)
    monkeypatch.setattr(dumps, "RESERVE", 2**60)
    with pytest.raises(NoTrial, match="are needed"):
        await service.rehearse(by_test(site.db), got.id, folder)
    with pytest.raises(DumpError, match="are needed"):
        await made(site, dsn, folder)
    one = await queries.one(site.db, by_test(site.db).actor, got.id)
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
    under_way = aio.spawn(service.rehearse(by_test(site.db), got.id, scratch), name="trial")
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
    tried = await service.rehearse(by_test(site.db), got.id, scratch)
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
    (failed,) = (await queries.backups(site.db, by_test(site.db).actor, _newest())).rows
    assert (failed.state, failed.there) == ("failed", False)
    assert "File too large" in failed.problem
    assert (await made(site, dsn, folder)).state == "done"


async def test_one_that_is_stopped_leaves_nothing_and_the_next_one_goes(
    site: Site, dsn: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SEEN_EVERY", 0.1)
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
    (shown,) = (await queries.backups(site.db, by_test(site.db).actor, _newest())).rows
    assert shown.state == "lost"
    got = await made(site, dsn, folder)
    assert got.state == "done"
    assert not half.exists()
    assert not note.exists()
    await site.db.execute(
        "UPDATE backup SET state = 'running', seen_at = now() - interval '3 minutes', sha256 = '' WHERE state = 'done'")
    await made(site, dsn, folder)
    whole = await queries.one(site.db, by_test(site.db).actor, got.id)
    assert (whole.state, whole.sha256) == ("done", got.sha256), "it was killed after the file stood"


async def test_half_a_file_of_another_stays(site: Site, dsn: str, folder: Path) -> None:
    file = folder / "smsgw-1.dump"
    (half := folder / "smsgw-1.dump.part").write_bytes(b"of somebody")
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
    gone = await queries.one(site.db, by_test(site.db).actor, first.id)
    assert (gone.there, gone.state) == (False, "done")
    await fails(SmsgwError, service.rehearse(by_test(site.db), first.id, folder), "文件已清理")


async def test_an_alarm_misses_what_was_not_made(site: Site, dsn: str, folder: Path) -> None:
    assert await findings(site) == []  # there was nothing to lose an hour ago
    got = await made(site, dsn, folder)
    assert await findings(site) == []
    await site.db.execute("UPDATE backup SET begun_at = now() - $1::interval", timedelta(hours=27))
    assert await findings(site) == ["backup_old"]
    await site.db.execute("UPDATE backup SET begun_at = now(), state = 'failed' WHERE id = $1", got.id)
    assert (await queries.standing(site.db)).last is None


async def test_the_page_shows_them_and_teaches_where_there_are_none(site: Site, dsn: str, folder: Path) -> None:
    async with signed_in(site, "boss", "super") as boss:
        assert "smsgwctl backup make" in await boss.get("/backups")
        got = await made(site, dsn, folder)
        assert "未演练" in await boss.get("/backups")
        page = await boss.get(f"/backups/{got.id}")
        assert got.sha256 in page
        assert Path(got.file).name in page


async def test_before_one_nothing_is_migrated_and_a_signal_ends_it_in_order(dsn: str, tmp_path: Path) -> None:
    own = await asyncpg.connect(owner(dsn))
    version = await own.fetchval("UPDATE schema_info SET version = version - 1 RETURNING version")
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


def _newest() -> Window:
    return Window("begun_at", True, limit=10)
