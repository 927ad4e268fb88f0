"""A node with Redis under Sentinel, all of it away and its master killed while messages come: nobody is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import PATIENCE, dice
from redised import away, fails_over, redised

GONE = 12.0
"""Seconds without any of it: twice as long as it takes to be an alarm."""


@pytest.mark.slow
async def test_nothing_hangs_on_it(dsn: str, tmp_path: Path) -> None:
    """At length, and on two nodes: ``scripts/chaos --family F41.1,F41.2``."""
    async with redised(tmp_path, dsn=dsn, nodes=1, rate=50) as built:
        await away(built, dice(), 0, seconds=GONE)
        await fails_over(built, dice(), 0, within=PATIENCE)
        await built.clean()
