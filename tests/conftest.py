"""Fixtures that need a real database: one server a run, one fresh database a test."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import hypothesis
import pytest
import pytest_asyncio
import structlog

from smsgw.platform.load_tests import running as load_tests
from smsgw.runtime import clock, tarpit
from smsgw.store.engine.cluster_roles import only_for_ours
from smsgw.store.engine.database import COMMON_SETTINGS
from smsgw.store.engine.database_roles import ADMIN, APPLICATION, OWNER
from smsgw.store.engine.embedded import EmbeddedError, EmbeddedPostgres

pytest_plugins = ["running"]

# How long a drawing or an example takes says something of the machine, and of its other work.
hypothesis.settings.register_profile("suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("suite")

_PREFIX = "smsgw-tests-"
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
_ENOUGH = 4 << 30
"""Octets that are to be free there: four workers use one."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """The server of this test run, with a database that every test's database is copied from."""

    embedded: EmbeddedPostgres
    template: str
    place: str = "pg_default"
    """The tablespace of the databases."""

    def dsn(self, database: str) -> str:
        """The address of one database of the server, for the application."""
        return self.embedded.address(APPLICATION, database)

    async def make(self, database: str, template: str = "template1") -> str:
        """A new database as the embedded one is: the owner's; its address for the application."""
        await _execute(
            self.embedded.address(ADMIN),
            f"CREATE DATABASE {database} TEMPLATE {template} OWNER {OWNER} TABLESPACE {self.place} STRATEGY file_copy",
            only_for_ours(database),
        )
        return self.dsn(database)

    async def drop(self, database: str) -> None:
        """Remove it, whoever is connected."""
        await _execute(self.embedded.address(ADMIN), f"DROP DATABASE {database} WITH (FORCE)")


async def _remove(data_dir: Path) -> None:
    """Stop what runs in a data directory and remove all of it."""
    embedded = EmbeddedPostgres(data_dir)
    if await embedded.find() is not None:
        await embedded.start()
        await embedded.stop()
    shutil.rmtree(embedded.home, ignore_errors=True)
    shutil.rmtree(data_dir, ignore_errors=True)


async def _sweep() -> None:
    """Remove what killed test runs left behind, their servers included."""
    for left in (*Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"), *_MEMORY.glob(f"{_PREFIX}*")):
        pid = int(re.sub(r"\D", "", left.name) or 0)
        with contextlib.suppress(EmbeddedError, FileNotFoundError):  # another run is just removing it
            if left.stat().st_uid == os.geteuid() and not Path(f"/proc/{pid}").exists():
                await _remove(left)


@pytest.fixture(autouse=True, scope="session")
def audit_key_from_the_start() -> None:
    """What the fixtures of a module let write to the audit log is signed as well."""
    _sign_audit()


@pytest.fixture(autouse=True, scope="session")
def loggers_not_kept() -> Iterator[None]:
    """A logger that was first used after a command had set the log up for itself is not bound to that for ever."""
    configure = structlog.configure
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            structlog, "configure", lambda **settings: configure(**{**settings, "cache_logger_on_first_use": False})
        )
        yield


@pytest.fixture(autouse=True, scope="session")
def held_for_long() -> Iterator[None]:
    """Who holds a lock in a test, so that others have to wait, is not cut off for doing nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(COMMON_SETTINGS, "idle_in_transaction_session_timeout", "5min")
        yield


@pytest.fixture(autouse=True, scope="session")
def no_load_tests() -> Iterator[None]:
    """Whoever walks over the pages and presses each button begins none by chance."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_tests, "begun", _by_chance)
        yield


async def _by_chance(*_: object) -> None:
    pytest.fail("a load test was begun by chance: whoever means to asks for real_load_tests")


_BEGUN = load_tests.begun


@pytest.fixture
def real_load_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """For who means to."""
    monkeypatch.setattr(load_tests, "begun", _BEGUN)


@pytest.fixture(autouse=True)
def as_logged_before() -> Iterator[None]:
    """A command that sets the log up for itself, within this process, leaves nothing of it to the tests after it."""
    before = structlog.get_config()
    yield
    if structlog.get_config() != before:
        structlog.configure(**before)


@pytest.fixture(autouse=True)
def umask_as_before() -> Iterator[None]:
    """A command, run within this process, shuts others out of its files: not out of those of the tests after it."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


@pytest.fixture(autouse=True)
def audit_key() -> None:
    """Whatever a test lets write to the audit log is signed, whichever key the test before has named."""
    _sign_audit()


def _sign_audit() -> None:
    from smsgw.store.engine.secrets import Sealer
    from smsgw.store.records import audit

    sealer = Sealer(b"audit key of the tests".ljust(32))
    audit.use(lambda: sealer)


@pytest.fixture(autouse=True)
def _time_of_the_machine() -> None:
    """What a node in an earlier test has heard of a database's time is forgotten: where a virtual machine was stopped
    meanwhile, it is behind by as much for long (``Clock.hear``)."""
    clock.current.get()._base = None


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is wrong over and over is told so soon: for tests that are so and are about something else."""
    monkeypatch.setattr(tarpit, "SECONDS", 0.001)


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands by which tries are counted and waits are given: what this machine needs for them is no time."""
    at = clock.steady()
    monkeypatch.setattr(clock, "steady", lambda: at)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres() -> AsyncIterator[PostgresServer]:
    """An embedded PostgreSQL for the whole run, migrated once into a template database."""
    from databases import ANYTHING_GOES

    from smsgw.store.engine.migrate import migrate

    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        await _sweep()
    data_dir = Path(tempfile.gettempdir()) / f"{_PREFIX}{os.getpid()}"
    data_dir.mkdir(mode=0o700)
    embedded = EmbeddedPostgres(data_dir)
    try:
        await embedded.start()
        await _spare_the_disk(embedded)
        server = PostgresServer(embedded, "smsgw_template", await _place_in_memory(embedded))
        made = await server.make(server.template)
        await migrate(embedded.address(OWNER, server.template), application=made)
        await _execute(made, ANYTHING_GOES)
        yield server
    finally:
        await embedded.stop()
        await _remove(data_dir)
        shutil.rmtree(_MEMORY / data_dir.name, ignore_errors=True)


async def _spare_the_disk(embedded: EmbeddedPostgres) -> None:
    """What tests kill are processes, and what those have written stays: only a power cut would need more. Tests of the
    embedded database have servers of their own."""
    own = embedded.home / "pg-conf" / "local.conf"
    own.write_text("fsync = off\nfull_page_writes = off\n", "ascii")
    own.chmod(0o644)
    await _execute(embedded.address(ADMIN), "SELECT pg_reload_conf()")


async def _place_in_memory(embedded: EmbeddedPostgres) -> str:
    """The tablespace of the tests' databases, where there is room for it.

    Each of them is 1,500 files that are soon removed; some file systems look at all that were removed lately for every
    new one (ext4 without a journal), and that took most of the processor's time.
    """
    if not _MEMORY.is_dir() or shutil.disk_usage(_MEMORY).free < _ENOUGH:
        return "pg_default"
    folder = _MEMORY / embedded.data_dir.name / "databases"
    folder.parent.mkdir()
    folder.parent.chmod(0o711)  # whatever the umask: the server may run as another user
    folder.mkdir(mode=0o700)
    runs_as = (embedded.home / "pg").stat()
    os.chown(folder, runs_as.st_uid, runs_as.st_gid)
    await _execute(embedded.address(ADMIN), f"CREATE TABLESPACE memory LOCATION '{folder}'")
    return "memory"


@pytest_asyncio.fixture
async def dsn(postgres: PostgresServer) -> AsyncIterator[str]:
    """The address of a migrated database that only this test uses, for the application (``databases.owner``)."""
    name = f"test_{next(_numbers)}"
    yield await postgres.make(name, postgres.template)
    told = await _numbers_in_audit(postgres.embedded.address(ADMIN, name))
    await postgres.drop(name)
    assert told == [], "whole phone numbers in the audit log"


_TELLING = r"(?<![0-9A-Za-z])(\+|00)?(86)?[0-9]{11}(?![0-9A-Za-z])"


async def _numbers_in_audit(dsn: str) -> list[tuple[str, ...]]:
    """What a test has written to the audit log with something like a phone number in it."""
    connection = await asyncpg.connect(dsn, timeout=60, command_timeout=60)
    try:
        rows = await connection.fetch(
            "SELECT action, object, before::text, after::text FROM audit"
            " WHERE concat_ws(' ', object, before::text, after::text) ~ $1",
            _TELLING,
        )
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError):  # the test has made something else of it
        return []
    finally:
        await connection.close()
    return [tuple(row) for row in rows]


async def _execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=60, command_timeout=60)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
