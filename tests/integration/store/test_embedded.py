"""The embedded PostgreSQL: data survives whatever is killed, and nothing keeps running."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from smsgw.store.engine import embedded
from smsgw.store.engine.embedded import EmbeddedError, EmbeddedPostgres

pytestmark = pytest.mark.shard("processes")

DAEMON = """
import asyncio, pathlib, sys
from smsgw.store.engine.embedded import EmbeddedPostgres

async def main():
    pg = EmbeddedPostgres(pathlib.Path(sys.argv[1]))
    await pg.start()
    print("up", pg.pid, flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await pg.stop()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


@pytest_asyncio.fixture
async def data_dir(tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "data"
    path.mkdir()
    yield path
    left = EmbeddedPostgres(path)
    if await left.find() is not None:
        await left.start()
        await left.stop()
    shutil.rmtree(left.home, ignore_errors=True)


async def query(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def start_daemon(data_dir: Path) -> tuple[subprocess.Popen[str], int]:
    """A process of its own session that runs the database; and the postmaster's pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", DAEMON, str(data_dir)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in iter(process.stdout.readline, ""):
        if line.startswith("up "):
            return process, int(line.split()[1])
    raise AssertionError("the daemon did not come up")


async def test_starts_with_the_settings_that_the_promise_needs(data_dir: Path) -> None:
    pg = EmbeddedPostgres(data_dir)
    dsn = await pg.start()
    try:
        for setting, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "data_checksums": "on",
            "listen_addresses": "",
            "timezone": "UTC",
            "server_encoding": "UTF8",
            "shared_buffers": "256MB",
            "max_connections": "80",
            "max_locks_per_transaction": "1024",
            "log_error_verbosity": "terse",
            "log_parameter_max_length": "0",
            "log_parameter_max_length_on_error": "0",
        }.items():
            assert await query(dsn, f"SHOW {setting}") == value, setting
        locale = await query(dsn, "SELECT datcollate FROM pg_database WHERE datname = current_database()")
        assert locale == "C"
        assert await query(dsn, "SELECT current_user::text") == "smsgw"
        sockets = [line for line in Path("/proc/net/unix").read_text().splitlines() if str(pg.home) in line]
        assert len(sockets) == 1
    finally:
        await pg.stop()


async def test_data_survives_a_stop_and_nothing_runs_after_it(data_dir: Path) -> None:
    pg = EmbeddedPostgres(data_dir)
    await pg.start()
    await query(pg.owner_dsn, "CREATE TABLE kept AS SELECT 7 AS x")
    pid = pg.pid
    assert pid is not None
    await pg.stop()
    assert not running(pid)
    assert await pg.find() is None

    again = EmbeddedPostgres(data_dir)
    await again.start()
    assert await query(again.owner_dsn, "SELECT x FROM kept") == 7
    await again.stop()


async def test_a_killed_postmaster_is_restarted(data_dir: Path) -> None:
    pg = EmbeddedPostgres(data_dir)
    await pg.start()
    try:
        await query(pg.owner_dsn, "CREATE TABLE kept AS SELECT 7 AS x")
        first = pg.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while True:
            try:
                assert await query(pg.owner_dsn, "SELECT x FROM kept") == 7
                break
            except (OSError, asyncpg.PostgresError):
                assert time.monotonic() < deadline, "it was not restarted"
                await asyncio.sleep(0.05)
        await until(lambda: pg.pid not in (None, first))
    finally:
        await pg.stop()


async def test_all_killed_at_once_then_started(data_dir: Path) -> None:
    daemon, postmaster = await start_daemon(data_dir)
    pg = EmbeddedPostgres(data_dir)
    dsn = await pg.find()
    assert dsn is not None
    await query(pg.owner_dsn, "CREATE TABLE kept AS SELECT 7 AS x")
    with daemon:
        daemon.kill()
        os.kill(postmaster, signal.SIGKILL)
    dsn = await pg.start()  # a stale postmaster.pid, children that may still be ending
    assert pg.pid != postmaster
    assert await query(pg.owner_dsn, "SELECT x FROM kept") == 7
    await pg.stop()


async def test_the_server_of_a_killed_daemon_is_adopted(data_dir: Path) -> None:
    daemon, postmaster = await start_daemon(data_dir)
    with daemon:
        daemon.kill()
    assert running(postmaster)

    pg = EmbeddedPostgres(data_dir)
    dsn = await pg.start()
    assert pg.pid == postmaster
    assert await query(dsn, "SELECT 1") == 1
    os.kill(postmaster, signal.SIGKILL)  # an adopted server is watched like one of our own
    await until(lambda: pg.pid not in (None, postmaster))
    second = pg.pid
    await pg.stop()
    assert second is not None
    assert not running(second)


async def test_interrupt_of_the_whole_group_stops_in_order(data_dir: Path) -> None:
    daemon, postmaster = await start_daemon(data_dir)
    with daemon:
        os.killpg(daemon.pid, signal.SIGINT)  # what a terminal does at Ctrl-C
        assert await asyncio.to_thread(daemon.wait, 30) == 0
        assert daemon.stdout is not None
        assert daemon.stdout.read().endswith("stopped\n")
    assert not running(postmaster)
    pg = EmbeddedPostgres(data_dir)
    log = "".join(f.read_text() for f in (pg.home / "pg-log").glob("*.log"))
    assert "database system is shut down" in log


async def test_a_second_process_is_refused_and_told_by_whom(data_dir: Path) -> None:
    daemon, _ = await start_daemon(data_dir)
    pg = EmbeddedPostgres(data_dir)
    with daemon:
        with pytest.raises(EmbeddedError, match=f"pid {daemon.pid}"):
            await pg.start()
        dsn = await pg.find()
        assert dsn is not None
        assert await query(dsn, "SELECT 1") == 1
        daemon.send_signal(signal.SIGINT)


async def test_a_pid_file_that_names_a_stranger_is_no_obstacle(data_dir: Path) -> None:
    pg = EmbeddedPostgres(data_dir)
    await pg.start()
    await pg.stop()
    pid_file = pg.home / "pg" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{pg.home}/pg\n")
    dsn = await pg.start()
    assert await query(dsn, "SELECT 1") == 1
    await pg.stop()


async def test_an_interrupted_first_start_is_repeated(data_dir: Path) -> None:
    pg = EmbeddedPostgres(data_dir)
    pg.home.mkdir(parents=True, exist_ok=True)
    (pg.home / "pg.new").mkdir()
    (pg.home / "pg.new" / "PG_VERSION").write_text("18\n")
    dsn = await pg.start()
    assert await query(dsn, "SELECT 1") == 1
    assert not (pg.home / "pg.new").exists()
    await pg.stop()


async def test_a_cluster_of_another_version_is_named(data_dir: Path) -> None:
    pg = EmbeddedPostgres(data_dir)
    cluster = pg.home / "pg"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 9"):
        await pg.start()


async def test_a_start_that_fails_says_what_postgresql_said(data_dir: Path) -> None:
    pg = EmbeddedPostgres(data_dir)
    await pg.start()
    await pg.stop()
    (pg.home / "pg-conf" / "local.conf").write_text("shared_buffers = 'a lot'\n")
    with pytest.raises(EmbeddedError, match="shared_buffers"):
        await pg.start()


async def test_the_log_stays_bounded(data_dir: Path) -> None:
    pg = EmbeddedPostgres(data_dir)
    await pg.start()
    await pg.stop()
    folder = pg.home / "pg-log"
    for n in range(20):
        (folder / f"postgresql-20000101_0000{n:02}.log").write_text("old\n")
    await pg.start()
    try:
        await until(lambda: len(list(folder.iterdir())) <= embedded._LOG_FILES)
        assert not list(folder.glob("*20000101_000000*"))
    finally:
        await pg.stop()


@pytest.mark.root_only
async def test_for_root_it_runs_as_another_user_who_may_enter_nothing_of_ours(data_dir: Path) -> None:
    data_dir.parent.chmod(0o700)
    before = data_dir.stat()
    pg = EmbeddedPostgres(data_dir)
    await pg.start()
    try:
        assert pg.pid is not None
        owner = Path(f"/proc/{pg.pid}").stat().st_uid
        assert owner != 0
        assert pwd.getpwuid(owner).pw_name in ("smsgw", "postgres", "nobody")
        assert pg.home.is_relative_to(embedded.ROOT_HOME)
        assert (pg.home / "pg").stat().st_uid == owner
        assert (pg.home / "pg").stat().st_mode & 0o777 == 0o700
        assert pg.home.stat().st_uid == 0
        after = data_dir.stat()
        assert (before.st_mode, before.st_uid, before.st_gid) == (after.st_mode, after.st_uid, after.st_gid)
        assert [entry.name for entry in data_dir.iterdir()] == ["postgres.id"]
        # Another user is kept out, by the folder and by the server.
        refused = subprocess.run(
            ["ls", pg.dsn.split("host=")[1].split("&")[0].replace("%2F", "/")],
            user="daemon",
            capture_output=True,
            check=False,
        )
        assert refused.returncode != 0
    finally:
        await pg.stop()


async def test_a_new_data_directory_at_an_old_place_begins_anew(data_dir: Path) -> None:
    """Whoever deletes the data directory has deleted the key that opens the database's secrets, too."""
    pg = EmbeddedPostgres(data_dir)
    await pg.start()
    await query(pg.owner_dsn, "CREATE TABLE kept (n int)")
    await pg.stop()
    shutil.rmtree(data_dir)
    first_home, pg = pg.home, EmbeddedPostgres(data_dir)
    try:
        assert await query(await pg.start(), "SELECT to_regclass('kept')") is None
    finally:
        await pg.stop()
        shutil.rmtree(first_home, ignore_errors=True)


@pytest.mark.shard("core")
@pytest.mark.user_only
async def test_a_deep_data_directory_gets_its_socket_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    pg = EmbeddedPostgres(deep)
    dsn = await pg.start()
    try:
        assert await query(dsn, "SELECT 1") == 1
        assert (deep / "pg" / "PG_VERSION").exists()
        assert pg._run.stat().st_mode & 0o777 == 0o700
    finally:
        await pg.stop()
        shutil.rmtree(pg._run)


@pytest.mark.root_only
async def test_for_root_without_a_user_of_our_own(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no user can be made, and with a umask that shuts others out, one that is there runs it."""
    known = embedded._user
    monkeypatch.setattr(embedded, "_user", lambda name: None if name == embedded.USER else known(name))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    before = os.umask(0o077)
    try:
        pg = EmbeddedPostgres(data_dir)
        dsn = await pg.start()
    finally:
        os.umask(before)
    try:
        assert await query(dsn, "SELECT 1") == 1
        owner = pwd.getpwuid(Path(f"/proc/{pg.pid}").stat().st_uid).pw_name
        assert owner in ("postgres", "nobody")
    finally:
        await pg.stop()
    # The cluster keeps its owner, also when our own user can be made later.
    monkeypatch.undo()
    await pg.start()
    assert pwd.getpwuid(Path(f"/proc/{pg.pid}").stat().st_uid).pw_name == owner
    await pg.stop()
