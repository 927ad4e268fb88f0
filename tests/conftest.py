"""Fixtures that need a real database: one server a run, one fresh database a test."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from smsgw.store.engine.cluster_roles import only_for_ours
from smsgw.store.engine.database_roles import ADMIN, APPLICATION, OWNER
from smsgw.store.engine.embedded import EmbeddedError, EmbeddedPostgres

_PREFIX = "smsgw-tests-"
_numbers = itertools.count(1)


_OTHER_USER = "user_only" if os.geteuid() == 0 else "root_only"
_left_out = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what makes sense only for the other kind of user; the summary names it."""
    left = [item for item in items if item.get_closest_marker(_OTHER_USER)]
    items[:] = [item for item in items if item not in left]
    config.stash[_left_out] = [item.nodeid for item in left]
    config.hook.pytest_deselected(items=left)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Where several processes share the tests (pytest-xdist), the one that prints the summary asks them."""
    if config.pluginmanager.hasplugin("dsession"):
        config.pluginmanager.register(_Workers(config), "workers")


class _Workers:
    """Takes over what a worker has left out: each of them has collected all tests."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_testnodedown(self, node: Any) -> None:
        """A worker has ended."""
        self.config.stash[_left_out] = getattr(node, "workeroutput", {}).get("left_out", [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Name what this run left out because of who runs it (skips are named by pytest itself)."""
    for name in config.stash.get(_left_out, []):
        terminalreporter.write_line(f"LEFT OUT {name}: {_OTHER_USER.replace('_', ' ')}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With TEST_REQUIRE_ALL a skipped test fails the run: nothing that can be tested may be left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash.get(_left_out, [])
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("TEST_REQUIRE_ALL") and reporter and reporter.stats.get("skipped"):
        reporter.write_line("\nTEST_REQUIRE_ALL is set and tests were skipped", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """The server of this test run, with a database that every test's database is copied from."""

    embedded: EmbeddedPostgres
    template: str

    def dsn(self, database: str) -> str:
        """The address of one database of the server, for the application."""
        return self.embedded.address(APPLICATION, database)

    async def make(self, database: str, template: str = "template1") -> str:
        """A new database as the embedded one is: the owner's; its address for the application."""
        admin = self.embedded.address(ADMIN)
        await _execute(admin, f"CREATE DATABASE {database} TEMPLATE {template} OWNER {OWNER}")
        await _execute(admin, only_for_ours(database))
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
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = int(re.sub(r"\D", "", left.name) or 0)
        with contextlib.suppress(EmbeddedError, FileNotFoundError):  # another run is just removing it
            if left.stat().st_uid == os.geteuid() and not Path(f"/proc/{pid}").exists():
                await _remove(left)


@pytest.fixture(autouse=True)
def audit_key() -> None:
    """Whatever a test lets write to the audit log is signed."""
    from smsgw.store.engine.secrets import Sealer
    from smsgw.store.records import audit

    sealer = Sealer(b"audit key of the tests".ljust(32))
    audit.use(lambda: sealer)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres() -> AsyncIterator[PostgresServer]:
    """An embedded PostgreSQL for the whole run, migrated once into a template database."""
    from smsgw.store.engine.migrate import migrate

    if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0":
        await _sweep()
    data_dir = Path(tempfile.gettempdir()) / f"{_PREFIX}{os.getpid()}"
    data_dir.mkdir(mode=0o700)
    embedded = EmbeddedPostgres(data_dir)
    try:
        await embedded.start()
        server = PostgresServer(embedded, "smsgw_template")
        made = await server.make(server.template)
        await migrate(embedded.address(OWNER, server.template), application=made)
        yield server
    finally:
        await embedded.stop()
        await _remove(data_dir)


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
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=60)
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


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=60)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
