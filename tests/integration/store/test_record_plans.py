"""How records are looked for on days that still change: what does not occur is not looked for in all of their rows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from changes import by_test
from databases import change as as_owner
from days import noon

from smsgw.core.actor import Actor
from smsgw.core.errors import Temporary
from smsgw.core.ids import first_id
from smsgw.platform.accounts import service as accounts
from smsgw.platform.audience import segments
from smsgw.platform.audience.model import Segment, SegmentKind
from smsgw.platform.messages import records
from smsgw.platform.paging import Window
from smsgw.store.engine.database import Database
from smsgw.store.messages import message_links

pytestmark = pytest.mark.shard("volume")

N = 20_000
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
    account, low = await accounts.add(by_test(database), "acme"), first_id(noon() - timedelta(minutes=1))
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
        known = await records._known(database, connection, wanted)
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
    wanted = records.Wanted(noon() - timedelta(days=3), noon() + timedelta(minutes=1), code=code)
    found, rows = await looked_at(database, wanted)
    assert found == {"NOSUCH": 0, "MK:3": 20}[code]
    assert rows < 500


@pytest.mark.parametrize("clicked", ["true", "false"])
async def test_who_has_clicked_is_found_by_the_codes_that_messages_carry(database: Database, clicked: str) -> None:
    """Every second message has a personal link; of a thousand of these one was clicked."""
    await database.execute(
        "INSERT INTO message_link "
        "SELECT id, 1, (id - $1)::int, (id - $1) % 2000 = 0 FROM message WHERE (id - $1) % 2 = 0",
        first_id(noon() - timedelta(minutes=1)),
    )
    await as_owner(database.dsn, "ANALYZE message_link")
    wanted = records.Wanted(noon() - timedelta(days=3), noon() + timedelta(minutes=1), clicked=clicked)
    found, rows = await looked_at(database, wanted)
    assert found == {"true": 10, "false": 51}[clicked]
    assert rows < 1000


_LINKS = """
INSERT INTO short_link (account_id, name, kind, origin, domain, serial, codes, target, state, passed, made_at, made_by)
SELECT id, kind, kind, 'api', 's.example.cn', serial, serial, 'https://www.example.cn/', 'active', 1,
       now() - interval '1 hour', 'x'
FROM account, (VALUES ('shared', 1), ('personal', 1000)) AS k(kind, serial) RETURNING id
"""


async def test_clicks_of_a_link_that_all_share_look_at_none_of_its_messages(database: Database) -> None:
    shared, personal = [row["id"] for row in await database.fetch(_LINKS)]
    await database.execute(
        "INSERT INTO message_link SELECT id, CASE WHEN n < 500 THEN $2 ELSE $1::bigint END, CASE WHEN n < 500 THEN n "
        "ELSE 0 END, CASE WHEN n < 500 THEN false END FROM (SELECT id, row_number() OVER (ORDER BY id)::int AS n "
        "FROM message) m", shared, personal,
    )  # fmt: skip
    await database.execute("INSERT INTO link_visitor VALUES ($1, 0, 1, 1), ($2, 3, 1, 1)", shared, personal)
    await as_owner(database.dsn, "ANALYZE message_link")
    told = await database.fetchval(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {message_links._CLICKED}", [shared, personal], [0, 3]
    )
    scans = [node for node in _nodes(json.loads(told)[0]["Plan"]) if node.get("Alias") == "k"]
    rows = sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans)
    assert rows <= 2
    assert await database.fetch("SELECT n FROM message_link WHERE clicked") == [(3,)]


@pytest.mark.parametrize("kind", [SegmentKind.NOT_CLICKED, SegmentKind.SILENT])
async def test_who_of_a_task_has_not_clicked_is_found_chunk_by_chunk(database: Database, kind: SegmentKind) -> None:
    """Half of the messages are the task's, in chunks of a hundred; of twenty of these one was clicked."""
    (_, link), low = [row["id"] for row in await database.fetch(_LINKS)], first_id(noon() - timedelta(minutes=1))
    await database.execute(
        "INSERT INTO message_link SELECT id, $2, (id - $1::bigint)::int, (id - $1) % 20 = 0 FROM message", low, link
    )
    await database.execute(
        "INSERT INTO task_chunk (task_id, run, first, size, base_id) "
        "SELECT 1 + n % 2, 1, n * 100, 100, $1::bigint + 1 + n * 100 FROM generate_series(0, $2::int) n",
        low, N // 100 - 1,
    )  # fmt: skip
    await as_owner(database.dsn, "ANALYZE message_link", "ANALYZE message", "ANALYZE part", "ANALYZE task_chunk")
    account, one = await database.fetchval("SELECT id FROM account"), Segment(kind, 365, task_id=1)
    assert await segments.count(database, account, one) == 9500
    statement = segments._COUNT.format(numbers=segments._numbers(one))
    told = await database.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *segments._asked(account, one))
    scans = [node for node in _nodes(json.loads(told)[0]["Plan"]) if "Relation Name" in node]
    rows = sum((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in scans)
    assert rows < 5 * N
    assert await segments.count(database, account, Segment(kind, 365, link_id=link)) == 19_000


async def test_one_segment_of_an_account_is_found_at_a_time(database: Database) -> None:
    account = await database.fetchval("SELECT id FROM account")
    async with database.transaction() as connection:
        await segments.alone(connection, account)
        with pytest.raises(Temporary):
            await segments.count(database, account, Segment(SegmentKind.CLICKED))
        assert await segments.count(database, account + 1, Segment(SegmentKind.CLICKED)) == 0
    assert await segments.count(database, account, Segment(SegmentKind.CLICKED)) == 0
