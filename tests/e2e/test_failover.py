"""A database that fails over while messages come: nothing is lost, nothing is sent twice, and it goes on by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from failovers import failing_over, frozen, killed, problems, through
from patroni_cluster import needs_patroni


@needs_patroni
@pytest.mark.slow
@pytest.mark.shard("alone")
@pytest.mark.timeout(900)
async def test_the_primary_is_killed_and_its_successor_is_frozen(data_dir: Path) -> None:
    async with failing_over(data_dir) as (cluster, built):
        found, load = await through(cluster, built, [killed, frozen], rate=100)
        assert problems(found, 2) == []
        assert [one.then != one.primary for one in found] == [True, True]
        assert dict(load.refused) == {}, "calls are spooled meanwhile"
        books = await built.clean(within=300)
        assert set(books.statuses) == {"delivered"}
        print(books)
