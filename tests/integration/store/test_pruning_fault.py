"""The fault of PostgreSQL 18.0 to 18.6 in run-time partition pruning, and that the embedded database is free of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from smsgw.runtime.aio import spawn
from smsgw.store.engine import embedded
from smsgw.store.engine.database import WRITER_SETTINGS
from smsgw.store.engine.database_roles import OWNER
from smsgw.store.engine.server_versions import is_faulty

pytestmark = pytest.mark.shard("processes")

WANTED = range(0, 1000, 100)
"""A row of each partition."""
CHANGED = 3
"""Rows that another transaction has changed while their statement waits for them."""

_TABLE = """
CREATE TABLE pruned (id bigint PRIMARY KEY, value int) PARTITION BY RANGE (id);
DO $$ BEGIN FOR n IN 0..9 LOOP
    EXECUTE format('CREATE TABLE pruned_%s PARTITION OF pruned FOR VALUES FROM (%s) TO (%s)',
                   n, n * 100, n * 100 + 100);
END LOOP; END $$;
INSERT INTO pruned SELECT n, 0 FROM generate_series(0, 999) n
"""
# One row of each partition, locked through a nested loop that prunes by ``k.id``, as claims do it: the first ones need
# a recheck, which prepares the pruning of the whole statement once more, in memory that goes with the recheck.
_LOCK = """
WITH head AS MATERIALIZED (
    SELECT f.id FROM unnest($1::bigint[]) k(id), LATERAL (SELECT id FROM pruned p WHERE p.id = k.id FOR UPDATE) f
),
mine AS (UPDATE pruned p SET value = p.value + 1 FROM head WHERE p.id = head.id RETURNING p.id)
SELECT p.id FROM mine JOIN pruned p ON p.id = mine.id
"""
_SETTINGS = "; ".join(f"SET {name} = {value}" for name, value in WRITER_SETTINGS.items())
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


class Perturbed(embedded.EmbeddedPostgres):
    """A server whose C library overwrites memory that is freed: its use afterwards does not go unseen."""

    def _identity(self) -> dict[str, object]:
        run: dict[str, Any] = super()._identity()
        return run | {"env": run["env"] | {"MALLOC_PERTURB_": "85"}}


async def locked_under_way(dsn: str) -> int:
    """Lock a row of each partition while another transaction changes the first ones; how many were found."""
    one, other = [await asyncpg.connect(dsn, timeout=10, command_timeout=60) for _ in range(2)]
    try:
        await one.execute(_TABLE)
        await other.execute(_SETTINGS)
        async with one.transaction():
            await one.execute("UPDATE pruned SET value = 1 WHERE id = ANY($1)", WANTED[:CHANGED])
            rows = spawn(other.fetch(_LOCK, WANTED), name="locking")
            async with asyncio.timeout(60):
                while not await one.fetchval(_WAITING):  # noqa: ASYNC110 - the server's
                    await asyncio.sleep(0.02)
        return len(await rows)
    finally:
        await one.close(timeout=10)
        await other.close(timeout=10)


@pytest.mark.parametrize("version", sorted(embedded.releases()))
async def test_releases_are_faulty_as_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """Fails when a release with the fault is not listed, and when one is listed that has been mended."""
    monkeypatch.setattr(embedded, "newest_sound", lambda versions: version)
    server = Perturbed(tmp_path / "data")
    await server.start()
    try:
        if is_faulty(version):
            with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
                await locked_under_way(server.address(OWNER))
        else:
            assert await locked_under_way(server.address(OWNER)) == len(WANTED)
    finally:
        await server.discard()


def test_the_embedded_database_is_of_a_sound_release() -> None:
    assert not is_faulty(embedded.newest_sound(embedded.releases()))


@pytest.mark.parametrize(
    ("version", "faulty"),
    [
        ("17.12 (Debian 17.12-0+deb13u1)", False),
        ("18beta1", True),
        ("18.0", True),
        ("18.6", True),
        ("18.7", False),
        ("19.0", False),
        ("16.14", False),
    ],
)
def test_a_release_is_told_by_its_version(version: str, faulty: bool) -> None:
    assert is_faulty(version) == faulty
