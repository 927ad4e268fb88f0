"""The embedded PostgreSQL: data survives whatever is killed, and nothing keeps running; nobody but our user gets in.

A data directory of an earlier release is changed over, wherever that was cut off; the fault of PostgreSQL 18.0 to 18.6
in run-time partition pruning is none of its own."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from harness import until

from smsgw.runtime.aio import spawn
from smsgw.store.engine import cluster_roles, database_roles, embedded, migrate
from smsgw.store.engine.database import WRITER_SETTINGS
from smsgw.store.engine.database_roles import OWNER
from smsgw.store.engine.embedded import CONNECTIONS, EmbeddedError, EmbeddedPostgres
from smsgw.store.engine.server_versions import is_faulty

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


async def query(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def start_daemon(data_dir: Path) -> tuple[subprocess.Popen[str], int]:
    """A process of its own session that runs the database; and the postmaster's pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", DAEMON, str(data_dir)], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
        start_new_session=True,
    )  # fmt: skip
    for line in iter(process.stdout.readline, ""):
        if line.startswith("up "):
            return process, int(line.split()[1])
    raise AssertionError("the daemon did not come up")


async def test_starts_with_the_settings_that_the_promise_needs(pg: EmbeddedPostgres) -> None:
    dsn = await pg.start()
    for setting, value in {
        "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on", "data_checksums": "on",
        "listen_addresses": "", "timezone": "UTC", "server_encoding": "UTF8", "shared_buffers": "256MB",
        "max_connections": "80", "max_locks_per_transaction": "1024", "log_error_verbosity": "terse",
        "log_parameter_max_length": "0", "log_parameter_max_length_on_error": "0",
    }.items():  # fmt: skip
        assert await query(dsn, f"SHOW {setting}") == value, setting
    locale = await query(dsn, "SELECT datcollate FROM pg_database WHERE datname = current_database()")
    assert locale == "C"
    assert await query(dsn, "SELECT current_user::text") == "smsgw"
    sockets = [line for line in Path("/proc/net/unix").read_text().splitlines() if str(pg.home) in line]
    assert len(sockets) == 1


async def test_data_survives_a_stop_and_nothing_runs_after_it(pg: EmbeddedPostgres) -> None:
    await pg.start()
    await query(pg.owner_dsn, "CREATE TABLE kept AS SELECT 7 AS x")
    pid = pg.pid
    await pg.stop()
    assert not running(pid)
    assert await pg.find() is None
    again = EmbeddedPostgres(pg.data_dir)
    await again.start()
    assert await query(again.owner_dsn, "SELECT x FROM kept") == 7
    await again.stop()


async def test_a_killed_postmaster_is_restarted(pg: EmbeddedPostgres) -> None:
    await pg.start()
    await query(pg.owner_dsn, "CREATE TABLE kept AS SELECT 7 AS x")
    first = pg.pid
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


async def test_all_killed_at_once_then_started(pg: EmbeddedPostgres) -> None:
    daemon, postmaster = await start_daemon(pg.data_dir)
    pg = EmbeddedPostgres(pg.data_dir)
    assert await pg.find()
    await query(pg.owner_dsn, "CREATE TABLE kept AS SELECT 7 AS x")
    with daemon:
        daemon.kill()
        os.kill(postmaster, signal.SIGKILL)
    await pg.start()  # a stale postmaster.pid, children that may still be ending
    assert pg.pid != postmaster
    assert await query(pg.owner_dsn, "SELECT x FROM kept") == 7
    await pg.stop()


async def test_the_server_of_a_killed_daemon_is_adopted(pg: EmbeddedPostgres) -> None:
    daemon, postmaster = await start_daemon(pg.data_dir)
    pg = EmbeddedPostgres(pg.data_dir)
    with daemon:
        daemon.kill()
    assert running(postmaster)
    dsn = await pg.start()
    assert pg.pid == postmaster
    assert await query(dsn, "SELECT 1") == 1
    os.kill(postmaster, signal.SIGKILL)  # an adopted server is watched like one of our own
    await until(lambda: pg.pid not in (None, postmaster))
    second = pg.pid
    await pg.stop()
    assert not running(second)


async def test_interrupt_of_the_whole_group_stops_in_order(pg: EmbeddedPostgres) -> None:
    daemon, postmaster = await start_daemon(pg.data_dir)
    pg = EmbeddedPostgres(pg.data_dir)
    with daemon:
        os.killpg(daemon.pid, signal.SIGINT)  # what a terminal does at Ctrl-C
        assert await asyncio.to_thread(daemon.wait, 30) == 0
        assert daemon.stdout.read().endswith("stopped\n")
    assert not running(postmaster)
    log = "".join(f.read_text() for f in (pg.home / "pg-log").glob("*.log"))
    assert "database system is shut down" in log


async def test_a_second_process_is_refused_and_told_by_whom(pg: EmbeddedPostgres) -> None:
    daemon, _ = await start_daemon(pg.data_dir)
    pg = EmbeddedPostgres(pg.data_dir)
    with daemon:
        with pytest.raises(EmbeddedError, match=f"pid {daemon.pid}"):
            await pg.start()
        dsn = await pg.find()
        assert await query(dsn, "SELECT 1") == 1
        daemon.send_signal(signal.SIGINT)


async def test_a_pid_file_that_names_a_stranger_is_no_obstacle(pg: EmbeddedPostgres) -> None:
    await pg.start()
    await pg.stop()
    pid_file = pg.home / "pg" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{pg.home}/pg\n")
    dsn = await pg.start()
    assert await query(dsn, "SELECT 1") == 1


async def test_an_interrupted_first_start_is_repeated(pg: EmbeddedPostgres) -> None:
    pg.home.mkdir(parents=True, exist_ok=True)
    (pg.home / "pg.new").mkdir()
    (pg.home / "pg.new" / "PG_VERSION").write_text("18\n")
    dsn = await pg.start()
    assert await query(dsn, "SELECT 1") == 1
    assert not (pg.home / "pg.new").exists()


async def test_a_cluster_of_another_version_is_named(pg: EmbeddedPostgres) -> None:
    cluster = pg.home / "pg"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match="made by PostgreSQL 9"):
        await pg.start()


async def test_a_start_that_fails_says_what_postgresql_said(pg: EmbeddedPostgres) -> None:
    await pg.start()
    await pg.stop()
    (pg.home / "pg-conf" / "local.conf").write_text("shared_buffers = 'a lot'\n")
    with pytest.raises(EmbeddedError, match="shared_buffers"):
        await pg.start()


async def test_the_log_stays_bounded(pg: EmbeddedPostgres) -> None:
    await pg.start()
    await pg.stop()
    folder = pg.home / "pg-log"
    for n in range(20):
        (folder / f"postgresql-20000101_0000{n:02}.log").write_text("old\n")
    await pg.start()
    await until(lambda: len(list(folder.iterdir())) <= embedded._LOG_FILES)
    assert not list(folder.glob("*20000101_000000*"))


@pytest.mark.root_only
async def test_for_root_it_runs_as_another_user_who_may_enter_nothing_of_ours(pg: EmbeddedPostgres) -> None:
    pg.data_dir.parent.chmod(0o700)
    before = pg.data_dir.stat()
    await pg.start()
    owner = Path(f"/proc/{pg.pid}").stat().st_uid
    assert owner != 0
    assert pwd.getpwuid(owner).pw_name in ("smsgw", "postgres", "nobody")
    assert pg.home.is_relative_to(embedded.ROOT_HOME)
    assert (pg.home / "pg").stat().st_uid == owner
    assert (pg.home / "pg").stat().st_mode & 0o777 == 0o700
    assert pg.home.stat().st_uid == 0
    after = pg.data_dir.stat()
    assert (before.st_mode, before.st_uid, before.st_gid) == (after.st_mode, after.st_uid, after.st_gid)
    assert [entry.name for entry in pg.data_dir.iterdir()] == ["postgres.id"]
    # Another user is kept out, by the folder and by the server.
    socket = pg.dsn.split("host=")[1].split("&")[0].replace("%2F", "/")
    assert subprocess.run(["ls", socket], user="daemon", capture_output=True, check=False).returncode != 0


async def test_a_new_data_directory_at_an_old_place_begins_anew(pg: EmbeddedPostgres) -> None:
    """Whoever deletes the data directory has deleted the key that opens the database's secrets, too."""
    await pg.start()
    await query(pg.owner_dsn, "CREATE TABLE kept (n int)")
    await pg.stop()
    shutil.rmtree(pg.data_dir)
    anew = EmbeddedPostgres(pg.data_dir)
    try:
        assert await query(await anew.start(), "SELECT to_regclass('kept')") is None
    finally:
        await anew.discard()


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
async def test_for_root_without_a_user_of_our_own(pg: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no user can be made, and with a umask that shuts others out, one that is there runs it."""
    known = embedded._user
    monkeypatch.setattr(embedded, "_user", lambda name: None if name == embedded.USER else known(name))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    before = os.umask(0o077)
    try:
        dsn = await pg.start()
    finally:
        os.umask(before)
    assert await query(dsn, "SELECT 1") == 1
    owner = pwd.getpwuid(Path(f"/proc/{pg.pid}").stat().st_uid).pw_name
    assert owner in ("postgres", "nobody")
    await pg.stop()
    # The cluster keeps its owner, also when our own user can be made later.
    monkeypatch.undo()
    await pg.start()
    assert pwd.getpwuid(Path(f"/proc/{pg.pid}").stat().st_uid).pw_name == owner
    await pg.stop()


ROOT = Path(__file__).parents[3]
THEN = "smsgw/store"
"""Where the database's modules stood in that release."""
EARLIER = """
import asyncio, importlib, pathlib, sys
embedded, migrate, db = (importlib.import_module(f"smsgw.store.{name}") for name in ("embedded", "migrate", "db"))
EmbeddedPostgres, migrate, connect = embedded.EmbeddedPostgres, migrate.migrate, db.connect

async def main():
    pg = EmbeddedPostgres(pathlib.Path(sys.argv[1]))
    dsn = await pg.start()
    await migrate(dsn)
    connection = await connect(dsn)
    await connection.execute("INSERT INTO account (name) VALUES ('shop') ON CONFLICT DO NOTHING")
    await connection.execute("CREATE TABLE IF NOT EXISTS of_the_operator (n int)")
    await connection.execute("CREATE OR REPLACE VIEW of_theirs AS SELECT 1 AS n")
    await connection.close()
    print("up", pg.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def _git(*args: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *args], capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = _git("log", "--diff-filter=A", "--format=%H", "--", f"{THEN}/clusterroles.py").split()
    assert made, "the history of the repository is needed"
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=BytesIO(_git("archive", f"{made[-1].decode()}^", "smsgw"))) as archive:
        archive.extractall(folder, filter="data")
    return folder


def run_earlier(program: Path, data_dir: Path) -> subprocess.Popen[str]:
    """A process of it that has its database up."""
    process = subprocess.Popen(
        [sys.executable, "-c", EARLIER, str(data_dir)],
        stdout=subprocess.PIPE, text=True, cwd=program, env=os.environ | {"PYTHONPATH": str(program)},
    )  # fmt: skip
    for line in iter(process.stdout.readline, ""):
        if line.startswith("up "):
            return process
    raise AssertionError("the earlier release did not come up")


async def look(pg: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(pg.address(database_roles.ADMIN))
    try:
        found = await connection.fetch(
            "SELECT rolname::text, rolsuper FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname"
        )
        assert [tuple(row) for row in found] == [("smsgw", False), ("smsgw_admin", True), ("smsgw_owner", False)]
        owners = await connection.fetch(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        )
        assert [row[0] for row in owners] in ([], ["smsgw_owner"])
        assert not await connection.fetchval("SELECT has_database_privilege('smsgw', 'smsgw', 'TEMP, CREATE')")
    finally:
        await connection.close()
    connection = await asyncpg.connect(pg.owner_dsn)
    assert await connection.fetchval("SELECT count(*) FROM account WHERE name = 'shop'") == 1
    await connection.close()
    connection = await asyncpg.connect(pg.dsn)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("COPY (SELECT 1) TO PROGRAM 'true'")
    finally:
        await connection.close()


async def test_a_server_that_an_earlier_release_left_running_is_taken_over(earlier: Path, pg: EmbeddedPostgres) -> None:
    process = await asyncio.to_thread(run_earlier, earlier, pg.data_dir)
    pg = EmbeddedPostgres(pg.data_dir, connections=60)  # as many as that one had
    with process:
        with pytest.raises(EmbeddedError, match="earlier release"):
            await pg.find()
        process.kill()
    running = pg._postmaster()
    assert running is not None
    await pg.start()
    assert pg.pid == running
    await look(pg)
    await pg.stop()
    # What an operator did to go back to the earlier release does not last beyond it.
    await pg.start()
    connection = await asyncpg.connect(pg.address(database_roles.ADMIN))
    await connection.execute("ALTER ROLE smsgw SUPERUSER")
    await connection.close()
    await pg.stop()
    process = await asyncio.to_thread(run_earlier, earlier, pg.data_dir)
    with process:
        process.kill()  # its server goes on, and knows the one role
    pg = EmbeddedPostgres(pg.data_dir)  # more than that one has: it is started again
    running = pg._postmaster()
    await pg.start()
    assert pg.pid != running
    await look(pg)
    await pg.stop()


class Cut(Exception):
    """The process ends here."""


async def test_a_change_over_is_finished_wherever_it_was_cut_off(
    earlier: Path, pg: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each statement there is: every try goes one further than the one before, from where that was left."""
    process = await asyncio.to_thread(run_earlier, earlier, pg.data_dir)
    pg = EmbeddedPostgres(pg.data_dir)
    with process:
        process.kill()
    said: set[str] = set()
    fresh = 0
    execute = asyncpg.Connection.execute

    async def counted(self: asyncpg.Connection, query: str, *args: object, **how: object) -> str:
        nonlocal fresh
        step = "one that is handed over" if query.endswith(" OWNER TO smsgw_owner") else query
        if fresh:
            raise Cut
        fresh += step not in said
        said.add(step)
        return await execute(self, query, *args, **how)  # type: ignore[no-any-return]

    async def not_yet(_: object) -> None: ...

    establish = cluster_roles.establish
    with monkeypatch.context() as patch:
        patch.setattr(cluster_roles, "establish", not_yet)
        await pg.start()
    cuts = 0
    with monkeypatch.context() as patch:
        patch.setattr(asyncpg.Connection, "execute", counted)
        while True:
            fresh = 0
            try:
                await establish(pg._connect)
            except Cut:
                cuts += 1
            else:
                break
    print("\n".join(sorted(said)))
    assert cuts >= 8
    await look(pg)
    await pg.stop()


async def test_the_application_has_five_of_six_connections_that_there_are(pg: EmbeddedPostgres) -> None:
    """However many somebody wants there to be."""
    for connections in (CONNECTIONS, 120):
        await pg.start()
        try:
            admin = await asyncpg.connect(pg.address(database_roles.ADMIN))
            limit = await admin.fetchval("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'smsgw'")
            await admin.close()
        finally:
            await pg.stop()
        assert limit == connections * 5 // 6
        (pg.home / "pg-conf" / "local.conf").write_text("max_connections = 120\n")


async def test_what_the_application_sets_for_itself_ends_with_the_next_start(pg: EmbeddedPostgres) -> None:
    """A role may always do that: whoever once got a statement past us could keep the program from working for good."""
    for _ in range(2):
        await pg.start()
        try:
            connection = await asyncpg.connect(pg.dsn)
            assert await connection.fetchval("SHOW default_transaction_read_only") == "off"
            assert await connection.fetchval("SHOW search_path") == "public"
            for where in ("", " IN DATABASE smsgw"):
                await connection.execute(f"ALTER ROLE smsgw{where} SET search_path = pg_temp")
                await connection.execute(f"ALTER ROLE smsgw{where} SET default_transaction_read_only = on")
            await connection.close()
        finally:
            await pg.stop()


def _hello(path: Path, role: str, user: int) -> bytes:
    """What the server answers to a connection of that user as that role."""
    words = b"".join(word.encode() + b"\0" for word in ("user", role, "database", "smsgw")) + b"\0"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        os.seteuid(user)  # whose it is, the kernel notes when it connects
        try:
            connection.connect(str(path))
        finally:
            os.seteuid(0)
        connection.sendall(struct.pack(">II", len(words) + 8, 196608) + words)
        return connection.recv(4096)


@pytest.mark.root_only
async def test_another_user_of_the_machine_is_kept_out_twice(pg: EmbeddedPostgres) -> None:
    """By the folder; and if that were open, by the server, which asks the kernel who it is."""
    await pg.start()
    path = pg._run / ".s.PGSQL.5432"
    ours_all = (database_roles.ADMIN, database_roles.OWNER, database_roles.APPLICATION)
    everybody = (*ours_all, "smsgw_renamer", "postgres", "nobody")
    nobody, ours = pwd.getpwnam("nobody").pw_uid, pg._uid
    with pytest.raises(PermissionError):
        _hello(path, database_roles.APPLICATION, nobody)
    pg._run.chmod(0o755)
    path.chmod(0o777)
    for role in everybody:
        for user in {nobody, ours}:
            answer = await asyncio.to_thread(_hello, path, role, user)
            assert answer[:1] == b"E", (role, user, answer)
            assert b"28000" in answer
    assert (await asyncio.to_thread(_hello, path, database_roles.APPLICATION, 0))[:1] == b"R"


async def test_no_row_stands_in_the_servers_log(pg: EmbeddedPostgres) -> None:
    await pg.start()
    await migrate.migrate(pg.owner_dsn, application=pg.dsn)
    connection = await asyncpg.connect(pg.dsn)
    put = "INSERT INTO number_override (prefix, carrier, source) VALUES ($1, 'CMCC', 'import')"
    await connection.execute(put, "13800138000")
    with pytest.raises(asyncpg.PostgresError):
        await connection.execute(put, "13800138000")
    with pytest.raises(asyncpg.PostgresError):
        await connection.copy_records_to_table(
            "account", records=[("13800138000",), ("13800138000",)], columns=["name"]
        )
    with pytest.raises(asyncpg.PostgresError):
        await connection.execute("INSERT INTO account (name, status) VALUES ($1, NULL)", "13800138001")
    await connection.close()
    await pg.stop()
    said = "".join(file.read_text() for file in (pg.home / "pg-log").glob("*.log"))
    assert "ERROR" in said
    assert "1380013800" not in said, said


WANTED = range(0, 1000, 100)
"""A row of each partition."""
CHANGED = 3
"""Rows that another transaction has changed while their statement waits for them."""

_TABLE = """
CREATE TABLE pruned (id bigint PRIMARY KEY, value int) PARTITION BY RANGE (id);
DO $$ BEGIN FOR n IN 0..9 LOOP
    EXECUTE format('CREATE TABLE pruned_%s PARTITION OF pruned FOR VALUES FROM (%s) TO (%s)',
                   n, n * 100, n * 100 + 100);
END LOOP; END $$;
INSERT INTO pruned SELECT n, 0 FROM generate_series(0, 999) n
"""
# One row of each partition, locked through a nested loop that prunes by ``k.id``, as claims do it: the first ones need
# a recheck, which prepares the pruning of the whole statement once more, in memory that goes with the recheck.
_LOCK = """
WITH head AS MATERIALIZED (
    SELECT f.id FROM unnest($1::bigint[]) k(id), LATERAL (SELECT id FROM pruned p WHERE p.id = k.id FOR UPDATE) f
),
mine AS (UPDATE pruned p SET value = p.value + 1 FROM head WHERE p.id = head.id RETURNING p.id)
SELECT p.id FROM mine JOIN pruned p ON p.id = mine.id
"""
_SETTINGS = "; ".join(f"SET {name} = {value}" for name, value in WRITER_SETTINGS.items())
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


class Perturbed(embedded.EmbeddedPostgres):
    """A server whose C library overwrites memory that is freed: its use afterwards does not go unseen."""

    def _identity(self) -> dict[str, object]:
        run: dict[str, Any] = super()._identity()
        return run | {"env": run["env"] | {"MALLOC_PERTURB_": "85"}}


async def locked_under_way(dsn: str) -> int:
    """Lock a row of each partition while another transaction changes the first ones; how many were found."""
    one, other = [await asyncpg.connect(dsn, timeout=10, command_timeout=60) for _ in range(2)]
    try:
        await one.execute(_TABLE)
        await other.execute(_SETTINGS)
        async with one.transaction():
            await one.execute("UPDATE pruned SET value = 1 WHERE id = ANY($1)", WANTED[:CHANGED])
            rows = spawn(other.fetch(_LOCK, WANTED), name="locking")
            async with asyncio.timeout(60):
                while not await one.fetchval(_WAITING):  # noqa: ASYNC110 - the server's
                    await asyncio.sleep(0.02)
        return len(await rows)
    finally:
        await one.close(timeout=10)
        await other.close(timeout=10)


@pytest.mark.parametrize("version", sorted(embedded.releases()))
async def test_releases_are_faulty_as_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Fails when a release with the fault is not listed, and when one is listed that has been mended."""
    monkeypatch.setattr(embedded, "newest_sound", lambda versions: version)
    server = Perturbed(tmp_path / "data")
    await server.start()
    try:
        if is_faulty(version):
            with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
                await locked_under_way(server.address(OWNER))
        else:
            assert await locked_under_way(server.address(OWNER)) == len(WANTED)
    finally:
        await server.discard()


def test_the_embedded_database_is_of_a_sound_release() -> None:
    assert not is_faulty(embedded.newest_sound(embedded.releases()))


def test_a_release_is_told_by_its_version() -> None:
    assert all(map(is_faulty, ("18beta1", "18.0", "18.6")))
    assert not any(map(is_faulty, ("17.12 (Debian 17.12-0+deb13u1)", "18.7", "19.0", "16.14")))
