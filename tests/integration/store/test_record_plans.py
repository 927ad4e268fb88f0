"""How records are looked for on days that still change: what does not occur is not looked for in all of their rows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from changes import by_test

from smsgw.core.actor import Actor
from smsgw.core.ids import first_id
from smsgw.platform.accounts import service as accounts
from smsgw.platform.messages import records
from smsgw.platform.paging import Window
from smsgw.store.engine.database import Database

N = 20_000
NOW = datetime.now(UTC)
_MESSAGES = """
INSERT INTO message (id, batch_id, account_id, origin, submitter, type, number, carrier, province, content, sign,
                     coding, parts, concat_ref, price)
SELECT $1::bigint + n, $1::bigint + n, $2, 'api', 'ak_one', 'notice', '8613' || lpad((n * 7919)::text, 9, '0'), 'CMCC',
       '', 'x', 's', 'ucs2', 1, 0, 1 FROM generate_series(1, $3::int) n
"""
# Of a hundred one has failed, of ten codes.
_PARTS = """
INSERT INTO part (id, part, total, account_id, pool_id, lane, state, channel_id, expires_at, accepted_at, code, class)
SELECT $1::bigint + n, 1, 1, $2, 1, 2, CASE WHEN n % 100 = 0 THEN 41 ELSE 40 END, 1, now(), now(),
       CASE WHEN n % 100 = 0 THEN 'MK:' || n / 100 % 10 ELSE 'DELIVRD' END, '' FROM generate_series(1, $3::int) n
"""


@pytest_asyncio.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    database = Database(dsn)
    await database.open()
    account, low = await accounts.add(by_test(database), "acme"), first_id(NOW - timedelta(minutes=1))
    for statement in (_MESSAGES, _PARTS):
        await database.execute(statement, low, account, N)
    yield database
    await database.close()


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


async def looked_at(database: Database, wanted: records.Wanted) -> tuple[int, int]:
    """Messages found, and rows of the tables that were looked at for them."""
    shape = records._Shape("x.id", 51)
    async with database.transaction() as connection:
        await connection.execute("ANALYZE message")
        await connection.execute("ANALYZE part")
        await connection.execute(records._CUSTOM)
        known = await records._known(connection, wanted)
        assert known is not None
        search = records._search(Actor.system("test"), wanted, Window("time"), known)
        statement, arguments = records._statement(search, search.days(True), shape, True)
        told = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments)
    plan = json.loads(told)[0]["Plan"]
    scans = [node for node in _nodes(plan) if "Relation Name" in node]
    rows = sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans)
    return plan["Actual Rows"], rows


@pytest.mark.parametrize("code", ["NOSUCH", "MK:3"])
async def test_a_code_is_found_by_the_few_parts_that_have_another_than_deliveries(
    database: Database, code: str
) -> None:
    wanted = records.Wanted(NOW - timedelta(days=3), NOW + timedelta(minutes=1), code=code)
    found, rows = await looked_at(database, wanted)
    assert found == {"NOSUCH": 0, "MK:3": 20}[code]
    assert rows < 500
