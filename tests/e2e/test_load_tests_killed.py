"""A load test whose daemon is killed: all that it has begun ends too, and the job ends honestly after the restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from changes import by_test
from harness import Site, opened, processes, site, until

from smsgw.platform.load_tests import queries, service
from smsgw.platform.load_tests.model import LoadTest, Profile, Scenario, State, Why
from smsgw.platform.load_tests.running import FOLDER

pytestmark = [pytest.mark.slow, pytest.mark.shard("volume")]


@pytest_asyncio.fixture
async def built(dsn: str, data_dir: Path) -> AsyncIterator[Site]:
    async with site(data_dir, dsn=dsn, channels=["smpp34"]) as built:
        yield built


@pytest.mark.timeout(400)
async def test_a_killed_daemon_takes_its_load_test_along_and_says_so_afterwards(
    built: Site, dsn: str, data_dir: Path
) -> None:
    folder = data_dir / FOLDER
    async with opened(dsn) as database:
        node = int((await built.node.status())["node"])
        profile = Profile(Scenario.STEADY, 20, 600)
        change = by_test(database)
        id_ = await service.begin(change, profile, reason="check", node=node, folder=data_dir)

        async def now() -> LoadTest:
            found: Any = await queries.one(database, change.actor, id_)
            assert found is not None
            return found

        async def loads() -> bool:
            return bool((await now()).samples)

        await until(loads, within=180, what="the load has begun", every=0.5)
        assert processes(folder)
        built.node.kill()
        await until(lambda: not processes(folder), within=60, what="all of it has ended", every=0.5)
        assert (await now()).state is State.RUNNING, "nobody has told anybody yet"
        await built.node.start()

        async def over() -> bool:
            return (await now()).over

        await until(over, within=120, what="the job has ended", every=0.5)
        one = await now()
        assert (one.state, one.error, one.result) == (State.FAILED, Why.INTERRUPTED, None)
        assert await asyncio.to_thread(lambda: [*folder.iterdir()]) == []
        assert processes(folder) == []
    books = await built.clean()
    assert (books.accepted, books.received) == (0, 0), "no message of this installation"
