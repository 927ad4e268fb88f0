"""Fixtures of the end-to-end tests: databases for daemons that live as long as a module, or as one test."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from harness import FAKETIME, Site, TimeMachine, site
from partner_client import PartnerSite, module_site

from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.migrate import migrate

_numbers = itertools.count(1)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """One gateway for all tests of a module that leave it as they found it; at its end its books must balance.

    In the end of the fixture and not in a last test: a test may be taken over by another worker, which has a gateway
    of its own, where nothing was sent.
    """
    name = f"e2e_{next(_numbers)}"
    dsn = await postgres.make(name, postgres.template)
    async with site(tmp_path_factory.mktemp("e2e") / "node", dsn=dsn) as built:
        yield built
        await built.clean()
    await postgres.drop(name)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def here(postgres: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PartnerSite]:
    """One gateway with servers for partners for all tests of a module."""
    async with module_site(postgres, tmp_path_factory.mktemp("partners"), f"e2e_{next(_numbers)}") as built:
        yield built


@pytest_asyncio.fixture(loop_scope="module")
async def left_as_found(here: PartnerSite) -> AsyncIterator[None]:
    """Whoever is still bound after a test leaves."""
    yield
    await here.left()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Where a test's own daemon keeps its data."""
    return tmp_path / "node"


@pytest_asyncio.fixture
async def embedded_data(data_dir: Path) -> AsyncIterator[None]:
    """Removes the embedded database of ``data_dir``: for root it does not live there."""
    yield
    embedded = EmbeddedPostgres(data_dir)
    if await embedded.find() is not None:
        await embedded.start()
        await embedded.stop()
    shutil.rmtree(embedded.home, ignore_errors=True)


@pytest_asyncio.fixture
async def postgres_in_time(tmp_path: Path) -> AsyncIterator[TimeMachine]:
    """A migrated server whose clock can be set."""
    if FAKETIME is None:
        pytest.skip("libfaketime is not installed")
    folder = tmp_path / "time"
    folder.mkdir(mode=0o700)
    server = TimeMachine(folder)
    await server.start()
    try:
        await migrate(server.owner_dsn, application=server.dsn)
        yield server
    finally:
        await server.stop()
        shutil.rmtree(server.home, ignore_errors=True)
