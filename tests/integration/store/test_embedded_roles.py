"""The embedded database's roles: nobody but our user gets in, and a data directory of an earlier release is changed
over, wherever that was cut off."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from smsgw.store.engine import cluster_roles, database_roles, migrate
from smsgw.store.engine.embedded import CONNECTIONS, EmbeddedError, EmbeddedPostgres

pytestmark = pytest.mark.shard("processes")

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
    """The program as it was before it had roles."""
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
    assert process.stdout is not None
    for line in iter(process.stdout.readline, ""):
        if line.startswith("up "):
            return process
    raise AssertionError("the earlier release did not come up")


@pytest_asyncio.fixture
async def data_dir(tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "data"
    path.mkdir()
    yield path
    left = EmbeddedPostgres(path)
    if left._postmaster() is not None:
        await left.start()
        await left.stop()
    shutil.rmtree(left.home, ignore_errors=True)


async def look(pg: EmbeddedPostgres) -> None:
    """All is as it has to be, and what was stored is there."""
    connection = await asyncpg.connect(pg.address(database_roles.ADMIN))
    try:
        found = await connection.fetch(
            "SELECT rolname::text, rolsuper FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY rolname"
        )
        assert [tuple(row) for row in found] == [
            ("smsgw", False),
            ("smsgw_admin", True),
            ("smsgw_owner", False),
        ]
        owners = await connection.fetch(
            "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        )
        assert [row[0] for row in owners] in ([], ["smsgw_owner"])
        assert not await connection.fetchval(
            "SELECT has_database_privilege('smsgw', 'smsgw', 'TEMP, CREATE')"
        )
    finally:
        await connection.close()
    await migrate.migrate(pg.owner_dsn, application=pg.dsn)
    connection = await asyncpg.connect(pg.dsn)
    try:
        assert await connection.fetchval("SELECT count(*) FROM account WHERE name = 'shop'") == 1
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("COPY (SELECT 1) TO PROGRAM 'true'")
    finally:
        await connection.close()


async def test_a_server_that_an_earlier_release_left_running_is_taken_over(
    earlier: Path, data_dir: Path
) -> None:
    process = await asyncio.to_thread(run_earlier, earlier, data_dir)
    pg = EmbeddedPostgres(data_dir, connections=60)  # as many as that one had
    with process:
        with pytest.raises(EmbeddedError, match="earlier release"):
            await pg.find()
        process.kill()
    running = pg._postmaster()
    assert running is not None
    await pg.start()
    try:
        assert pg.pid == running
        await look(pg)
    finally:
        await pg.stop()
    # What an operator did to go back to the earlier release does not last beyond it.
    await pg.start()
    connection = await asyncpg.connect(pg.address(database_roles.ADMIN))
    await connection.execute("ALTER ROLE smsgw SUPERUSER")
    await connection.close()
    await pg.stop()
    process = await asyncio.to_thread(run_earlier, earlier, data_dir)
    with process:
        process.kill()  # its server goes on, and knows the one role
    pg = EmbeddedPostgres(data_dir)  # more than that one has: it is started again
    running = pg._postmaster()
    await pg.start()
    try:
        assert pg.pid != running
        await look(pg)
    finally:
        await pg.stop()


class Cut(Exception):
    """The process ends here."""


async def test_a_change_over_is_finished_wherever_it_was_cut_off(
    earlier: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each statement there is: every try goes one further than the one before, from where that was left."""
    process = await asyncio.to_thread(run_earlier, earlier, data_dir)
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
    pg = EmbeddedPostgres(data_dir)
    with monkeypatch.context() as patch:
        patch.setattr(cluster_roles, "establish", not_yet)
        await pg.start()
    try:
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
    finally:
        await pg.stop()


async def test_the_application_has_five_of_six_connections_that_there_are(data_dir: Path) -> None:
    """However many somebody wants there to be."""
    pg = EmbeddedPostgres(data_dir)
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


async def test_what_the_application_sets_for_itself_ends_with_the_next_start(data_dir: Path) -> None:
    """A role may always do that: whoever once got a statement past us could keep the program from working for good."""
    pg = EmbeddedPostgres(data_dir)
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
async def test_another_user_of_the_machine_is_kept_out_twice(data_dir: Path) -> None:
    """By the folder; and if that were open, by the server, which asks the kernel who it is."""
    pg = EmbeddedPostgres(data_dir)
    await pg.start()
    try:
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
    finally:
        await pg.stop()


async def test_no_row_stands_in_the_servers_log(data_dir: Path) -> None:
    pg = EmbeddedPostgres(data_dir)
    await pg.start()
    try:
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
    finally:
        await pg.stop()
    said = "".join(file.read_text() for file in (pg.home / "pg-log").glob("*.log"))
    assert "ERROR" in said
    assert "1380013800" not in said, said
