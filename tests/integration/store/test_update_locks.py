"""Updates of a database that is in use: what reads long tables keeps nobody out, and all come to the same schema."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from databases import owner
from days import today

from smsgw.core.ids import day_range
from smsgw.runtime.aio import spawn
from smsgw.store.engine import migrate, partitions

_PART = """
INSERT INTO part (id, part, total, account_id, pool_id, lane, state, accepted_at, expires_at, code)
SELECT $1::bigint + n, 1, 1, 1, 1, 2, 41, now(), now(), CASE WHEN n = 7 THEN 'MK:7' ELSE 'DELIVRD' END
FROM generate_series(1, 3000) n
"""
_INDEXED = """
SELECT t.relname FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid JOIN pg_class t ON t.oid = x.indrelid
WHERE i.inhparent = 'part_code'::regclass AND x.indisvalid
"""
_WHOLE = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'part_code'::regclass"
# Partitions apart: which days there are is not the schema's.
_SCHEMA = r"""
SELECT indexdef || CASE WHEN indisvalid THEN '' ELSE ' (not whole)' END AS said
FROM pg_indexes JOIN pg_index ON indexrelid = format('%I.%I', schemaname, indexname)::regclass
WHERE schemaname = 'public' AND tablename !~ '_\d{8}$'
UNION ALL
SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text !~ '_\d{8}$'
UNION ALL
SELECT table_name || ' ' || column_name || ' ' || data_type FROM information_schema.columns
WHERE table_schema = 'public' AND table_name !~ '_\d{8}$'
UNION ALL
SELECT pg_get_functiondef(p.oid) FROM pg_proc p WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'
ORDER BY 1
"""


def _days_of(number: int) -> tuple[str, ...]:
    """The tables in days that there are with this migration."""
    since = {"submit_pdu": 146, "link_click": 192, "message_link": 210}
    return tuple(one for one in partitions.TABLES if number >= since.get(one, 0))


async def up_to(dsn: str, number: int) -> None:
    """Migrate no further than that."""
    with pytest.MonkeyPatch.context() as patch:
        known = [one for one in migrate.migrations() if one.number <= number]
        patch.setattr(migrate, "migrations", lambda: known)
        patch.setattr(partitions, "TABLES", _days_of(number))
        await migrate.migrate(owner(dsn), application=dsn)


@pytest_asyncio.fixture
async def empty(postgres: Any) -> AsyncIterator[str]:
    """A database without a schema."""
    name = "test_update_locks"
    yield await postgres.make(name)
    await postgres.drop(name)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(owner(dsn), timeout=10, command_timeout=30)
    try:
        yield connection
    finally:
        await connection.close()


async def _index(connection: asyncpg.Connection) -> None:
    await partitions.index(connection, today(), "part", None)


async def test_days_with_parts_get_their_index_of_codes_one_by_one_and_it_serves_before_it_is_whole(
    empty: str, dsn: str
) -> None:
    await up_to(empty, 98)
    tomorrow, settled = today() + timedelta(days=1), today() - timedelta(days=10)
    async with connected(empty) as connection:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(partitions, "TABLES", _days_of(98))
            await partitions.ensure(connection, settled)
        for day in (settled, settled + timedelta(days=1)):
            await connection.execute(_PART, day_range(day)[0])
        await migrate.migrate(owner(empty), application=empty)
        held = {partitions.name("part", settled + timedelta(days=n)) for n in (0, 1)}
        indexed = {row[0] for row in await connection.fetch(_INDEXED)}
        assert not held & indexed, "their writers would have waited"
        assert partitions.name("part", tomorrow) in indexed
        assert "part_99991231" in indexed
        assert not await connection.fetchval(_WHOLE)

        # Days that come later have it, also those whose rows came before them.
        far = today() + timedelta(days=60)
        await connection.execute(_PART, day_range(far)[0])
        assert await connection.fetchval("SELECT partition_make('part', $1)", far) == "moved"
        assert await connection.fetchval("SELECT partition_make('part', $1)", far + timedelta(days=1)) == "made"
        named = {partitions.name("part", far + timedelta(days=n)) for n in (0, 1)}
        assert named <= {row[0] for row in await connection.fetch(_INDEXED)}
        await connection.execute(f"ANALYZE {partitions.name('part', far)}")
        plan = await connection.fetch(
            f"EXPLAIN SELECT id FROM part WHERE code = 'MK:7' AND id >= {day_range(far)[0]} ORDER BY id LIMIT 9"  # noqa: S608
        )
        assert f"{partitions.name('part', far)}_code_id_idx" in "\n".join(row[0] for row in plan)

        await _index(connection)
        assert held <= {row[0] for row in await connection.fetch(_INDEXED)}
        assert await connection.fetchval(_WHOLE)
        await _index(connection)  # all have all
        updated = [row["said"] for row in await connection.fetch(_SCHEMA)]
    async with connected(dsn) as connection:
        assert updated == [row["said"] for row in await connection.fetch(_SCHEMA)]
        (kinds,) = (said for said in updated if "ledger_kind_check" in said)
        assert not kinds.endswith("NOT VALID")
        assert not [said for said in updated if "not whole" in said or "ledger_refund" in said]


_BUILDS = "pid <> pg_backend_pid() AND query LIKE '%CREATE INDEX CONC%ledger_back%' AND wait_event_type = 'Lock'"
_WAITS = f"SELECT count(*) FROM pg_stat_activity WHERE {_BUILDS}"  # noqa: S608 - constants
# The one has waited for longer than a migration in a transaction may, and the other has come.
_LONG_ENOUGH = f"""
SELECT count(*) FROM pg_stat_activity
WHERE {_BUILDS} AND query_start < clock_timestamp() - interval '4.2 s'
    OR datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%advisory_lock%'
"""  # noqa: S608 - constants
_ENTRY = "INSERT INTO ledger (id, account_id, kind, units) VALUES ($2, $1, 'refund', 1)"


async def test_the_ledger_is_indexed_while_it_is_written_and_other_nodes_wait(empty: str) -> None:
    await up_to(empty, 107)
    async with connected(empty) as early, connected(empty) as late:
        account = await late.fetchval("INSERT INTO account (name) VALUES ('acme') RETURNING id")
        await late.execute("SET lock_timeout = '2s'")
        long = early.transaction()
        await long.start()
        await early.execute(_ENTRY, account, 1)
        nodes = [spawn(migrate.migrate(owner(empty), application=empty), name="one")]
        async with asyncio.timeout(60):
            while not await late.fetchval(_WAITS):  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.05)
            nodes.append(spawn(migrate.migrate(owner(empty), application=empty), name="other"))
            await late.execute(_ENTRY, account, 2)
            while await late.fetchval(_LONG_ENOUGH) < 2:  # noqa: ASYNC110 - the server's
                await asyncio.sleep(0.05)
        await long.commit()
        applied = await asyncio.gather(*nodes)
        assert (applied[0] > 0, applied[1]) == (True, 0)
        assert await late.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ledger_back'::regclass")
        assert await late.fetchval("SELECT convalidated FROM pg_constraint WHERE conname = 'ledger_kind_check'")


async def test_a_migration_outside_a_transaction_that_broke_off_begins_anew(empty: str) -> None:
    await up_to(empty, 107)
    async with connected(empty) as connection:
        await connection.execute("CREATE INDEX ledger_back ON ledger (id)")  # as what a build leaves that breaks off
        with pytest.MonkeyPatch.context() as patch:
            broken = [
                migrate.Migration(one.number, one.name, one.sql.replace("VALIDATE", "NO SUCH"))
                for one in migrate.migrations()
            ]
            patch.setattr(migrate, "migrations", lambda: broken)
            with pytest.raises(asyncpg.PostgresSyntaxError):
                await migrate.migrate(owner(empty), application=empty)
        assert await connection.fetchval("SELECT version FROM schema_info") < 109
        assert await migrate.migrate(owner(empty), application=empty) > 0
        assert await connection.fetchval("SELECT version FROM schema_info") == migrate.SCHEMA_VERSION
        definition = await connection.fetchval("SELECT indexdef FROM pg_indexes WHERE indexname = 'ledger_back'")
        assert "(at, id)" in definition


async def test_entries_of_numbers_get_their_ids_without_the_table_being_rewritten(empty: str) -> None:
    """Reports that teach a ported number wait for no update."""
    await up_to(empty, 194)
    async with connected(empty) as connection:
        insert = "INSERT INTO number_override (prefix, carrier, source) VALUES ($1, 'CMCC', 'import')"
        await connection.executemany(insert, [(one,) for one in ("1300000", "13800138000", "1550000", "19900000000")])
        file = "SELECT pg_relation_filenode('number_override')"
        before = await connection.fetchval(file)
        await up_to(empty, 195)
        await connection.execute(insert, "1710000")
        assert await connection.fetchval("SELECT count(id) FROM number_override") == 1, "new ones at once"
        await up_to(empty, 200)
        assert await connection.fetchval(file) == before
        assert await connection.fetchval("SELECT count(DISTINCT id) FROM number_override WHERE id >= 0") == 5
