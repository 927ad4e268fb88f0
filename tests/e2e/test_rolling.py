"""Two nodes behind one address, each drained, ended and begun again in turn while calls come: nobody is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from front import HAPROXY
from upgrade import roll, rolled


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")
async def test_nobody_is_refused_while_nodes_are_begun_anew(dsn: str, tmp_path: Path) -> None:
    """With an earlier release, 1,000 a second and the way back: ``scripts/chaos --family F39``."""
    async with rolled(tmp_path, commit="-", dsn=dsn) as built:
        told = await roll(built, batches=60, singles=20, step=2, size=20)
        print(told)
        assert told["calls refused"] == {}
        assert set((await built.clean(within=120)).statuses) == {"delivered"}
