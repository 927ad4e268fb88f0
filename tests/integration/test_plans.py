"""The hot path goes by its indexes: with generic plans, on a full day, with and without statistics."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from smsgw.core.ids import CHINA, first_id
from smsgw.store import claiming, outcomes, partitions
from smsgw.store.db import Connection, connect

ROWS = 20_000
NOW = datetime.now(UTC)
FIRST = first_id(NOW - timedelta(seconds=1))
OLDEST = first_id(NOW - timedelta(days=2))

_FILL = """
INSERT INTO part (id, part, total, account_id, pool_id, lane, state, channel_id, carrier_id, expires_at, accepted_at)
SELECT $1::bigint + n, 1, 1, 1, 1, 2, CASE n % 2 WHEN 0 THEN 10 ELSE 30 END, 1, to_hex(n),
       now() + interval '1 day', now()
FROM generate_series(1, $2::int) AS n
"""


@pytest.fixture(params=["no statistics", "analysed"])
async def full(dsn: str, request: pytest.FixtureRequest) -> AsyncIterator[Connection]:
    connection = await connect(dsn, writer=True)
    try:
        await partitions.ensure(connection, NOW.astimezone(CHINA).date())
        await connection.execute(_FILL, FIRST, ROWS)
        if request.param == "analysed":
            await connection.execute("ANALYZE part")
        yield connection
    finally:
        await connection.close()


async def plan(connection: Connection, sql: str, arguments: str) -> str:
    await connection.execute(f"PREPARE hot AS {sql}")
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE hot({arguments})"))


def scans(shown: str, day: str) -> list[str]:
    """The lines that read the day's partition."""
    return [line.strip() for line in shown.splitlines() if "Scan" in line and day in line]


@pytest.mark.parametrize("statement", ["report", "known"])
async def test_a_report_finds_its_part_by_the_carriers_id(full: Connection, statement: str) -> None:
    if statement == "report":
        shown = await plan(
            full, outcomes._REPORTS, f"'{{1}}','{{ff}}','{{40}}','{{D}}','{{}}','{{now}}',{OLDEST}"
        )
    else:
        shown = await plan(full, outcomes._KNOWN, f"'{{1}}','{{ff}}',{OLDEST}")
    lines = scans(shown, partitions.name("part", NOW.astimezone(CHINA).date()))
    assert lines
    assert "channel_id_carrier_id" in lines[0], shown
    assert all("_pkey" in line for line in lines[1:]), shown


async def test_a_claim_reads_the_queue_in_order(full: Connection) -> None:
    shown = await plan(full, claiming._CLAIM, f"'channel/1',1,1,100,'{{1}}','{{2}}',{OLDEST},1")
    head = scans(shown, partitions.name("part", NOW.astimezone(CHINA).date()))
    assert any("pool_id_lane_id" in line for line in head), shown
    assert not [line for line in head if "Seq" in line], shown
