"""Two nodes behind one address, each drained, ended and begun again in turn while calls come: nobody is refused, and
two releases work on one schema."""

from __future__ import annotations

from pathlib import Path

import pytest
from databases import owner
from front import HAPROXY
from upgrade import LATER, roll, rolled

from smsgw.store.engine.database import connect
from smsgw.store.engine.migrate import SCHEMA_VERSION

_SCHEMA = """
SELECT version, (SELECT indisvalid FROM pg_index WHERE indexrelid = 'ledger_later'::regclass),
       (SELECT convalidated FROM pg_constraint WHERE conname = 'ledger_later') FROM schema_info
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")
async def test_nobody_is_refused_while_nodes_are_begun_anew(dsn: str, tmp_path: Path) -> None:
    """To a release with further migrations, and back. From an earlier one, 1,000 a second: ``scripts/chaos --family
    F39``."""
    async with rolled(tmp_path, commit="-", dsn=owner(dsn)) as built:
        told = await roll(built, batches=60, singles=20, step=2, size=20)
        print(told)
        assert told["calls refused"] == {}
        assert set((await built.clean(within=120)).statuses) == {"delivered"}
    connection = await connect(dsn)
    assert tuple(await connection.fetchrow(_SCHEMA)) == (SCHEMA_VERSION + len(LATER), True, True)
    await connection.close()
