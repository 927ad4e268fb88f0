"""Fixtures of the integration tests: parts of the gateway over the migrated database of one test.

What they are made of is imported when they are asked for: most tests need one of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from alarm_desk import Desk
    from api_server import Api
    from ledger import Ledger
    from portal_site import Site

    from smsgw.store.engine.database import Database


@pytest_asyncio.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """The pools of the test's database."""
    from smsgw.store.engine.database import Database

    made = Database(dsn)
    await made.open()
    yield made
    await made.close()


@pytest_asyncio.fixture
async def ledger(dsn: str, tmp_path: Path) -> AsyncIterator[Ledger]:
    """A ledger with an account and two channels, whose books must balance in the end."""
    from ledger import Ledger

    one = Ledger(dsn, tmp_path)
    await one.open()
    yield one
    problems = await one.problems()
    await one.close()
    assert problems == [] or not one.balanced


@pytest_asyncio.fixture
async def site(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """A portal (``portal_site.running``), as the mark ``site(NAME=VALUE, …)`` configures it, with the people of
    the mark ``staff(LOGIN="ROLE")`` or ``staff({LOGIN: ("ROLE", "ACCOUNT", …)})``."""
    from portal_site import running

    async with running(dsn, tmp_path, **_marked(request, "site")) as made:
        for login, role in _marked(request, "staff").items():
            await made.add_staff(login, *([role] if isinstance(role, str) else role))
        yield made


@pytest_asyncio.fixture
async def api(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> AsyncIterator[Api]:
    """The API (``api_server.running``), as the mark ``api(NAME=VALUE, …)`` configures it; ``scopes``: its key's."""
    from api_server import running

    how = _marked(request, "api")
    scopes = how.pop("scopes", None)
    async with running(dsn, tmp_path, **how) as made:
        if scopes is not None:
            made.key = await made.add_key(scopes=scopes)
        yield made


@pytest_asyncio.fixture
async def desk(dsn: str, tmp_path: Path) -> AsyncIterator[Desk]:
    """A portal with the alarms' own people and clock (``alarm_desk``)."""
    from alarm_desk import at_desk

    async with at_desk(dsn, tmp_path) as made:
        yield made


def _marked(request: pytest.FixtureRequest, name: str) -> dict[str, Any]:
    """What the marks of the module and of the test say, the test's last."""
    said: dict[str, Any] = {}
    for mark in reversed(list(request.node.iter_markers(name))):
        said |= {**dict(*mark.args), **mark.kwargs}
    return said
