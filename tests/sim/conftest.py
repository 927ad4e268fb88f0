"""The database of the simulations of one run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import PostgresServer
    from simdb import SimDb


@pytest.fixture(scope="session")
def simdb(postgres: PostgresServer) -> Iterator[SimDb]:
    """Emptied for each seed."""
    from simdb import SimDb

    name = "simulated"
    db = SimDb(asyncio.run(postgres.make(name, postgres.template)))
    yield db
    db.close()
    asyncio.run(postgres.drop(name))
