"""The hot path and the jobs of time go by their indexes: generic plans, beside a backlog, with and without statistics.

What a plan costs is counted in pages that it touches: a statement that reads the backlog reads thousands. The backlog
is 50,000 messages of one account in one lane; ``TEST_PLAN_ROWS=1000000`` is the long form.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from changes import by_test
from databases import change
from days import noon, today

from smsgw.core.actor import Actor
from smsgw.core.errors import Temporary
from smsgw.core.ids import first_id
from smsgw.platform.accounts import service as accounts
from smsgw.platform.audience import segments
from smsgw.platform.audience.model import Segment, SegmentKind
from smsgw.platform.messages import records
from smsgw.platform.paging import Window
from smsgw.platform.routing import queries as routing
from smsgw.platform.webhooks import queries as webhook_queries, service as webhooks
from smsgw.platform.webhooks.model import KINDS
from smsgw.store.engine import days, partitions
from smsgw.store.engine.database import WRITER_SETTINGS, Connection, Database, connect
from smsgw.store.messages import (
    cancellation,
    claiming,
    daily,
    failover,
    holding,
    lateness,
    long_reports,
    message_links,
    outcomes,
    pushing,
    reattempt,
    rerouting,
    sweeps,
)

pytestmark = pytest.mark.shard("volume")

ROWS = int(os.environ.get("TEST_PLAN_ROWS", "50000"))
PAGES_OF_A_ROW = 40
"""Pages that a row may cost which is found and updated in all its indexes, or a look that finds nothing."""
SENT = 5000
"""Rows that wait for their report."""

_FILL = """
INSERT INTO part (id, part, total, account_id, pool_id, lane, state, channel_id, carrier_id, next_at, expires_at,
                  accepted_at)
SELECT $1::bigint + n, 1, 1, 1, 1, 3, CASE WHEN sent THEN 30 ELSE 10 END, CASE WHEN sent THEN 1 END,
       CASE WHEN sent THEN to_hex(n) END, CASE WHEN sent THEN now() + interval '3 days' END,
       now() + interval '1 day' + n * interval '1 ms', now()
FROM generate_series(1, $2::int) AS n, LATERAL (SELECT n <= $3::int AS sent)
"""
_MESSAGES = """
INSERT INTO message (id, batch_id, account_id, origin, type, number, carrier, province, content, sign, coding, parts,
                     concat_ref, price)
SELECT id, id, 1, 'api', 'marketing', '8613' || lpad((id % 1000000000)::text, 9, '0'), 'CMCC', '', 'text', 'sign',
       'ucs2', 1, 0, 1 FROM part
"""
_RIGHT = "INSERT INTO lease VALUES ('channel/1', 1, 1, now() + interval '1 hour')"
_CHANNEL = """
INSERT INTO channel (name, protocol, host, port, username, password_sealed)
VALUES ('a', 'cmpp20', '127.0.0.1', 1, 'u', '')
"""


@dataclass
class Plan:
    """What ``EXPLAIN`` says of a statement that was run (and rolled back)."""

    root: dict[str, Any]

    @property
    def pages(self) -> int:
        return int(self.root["Plan"]["Shared Hit Blocks"]) + int(self.root["Plan"]["Shared Read Blocks"])

    @property
    def compared(self) -> int:
        """Pairs of rows that a join has looked at in vain."""
        return max((int(n.get("Rows Removed by Join Filter", 0)) for n in self.nodes()), default=0)

    def nodes(self, kind: str = "") -> list[dict[str, Any]]:
        found = []
        todo = [self.root["Plan"]]
        while todo:
            node = todo.pop()
            todo += node.get("Plans", [])
            if node["Node Type"].startswith(kind):
                found.append(node)
        return found


def base() -> int:
    return first_id(noon()) - ROWS - 1


def oldest() -> int:
    return first_id(noon() - timedelta(days=7))


def newest() -> int:
    return first_id(noon() + timedelta(hours=1))


def by_day(sql: str, arguments: Sequence[str]) -> str:
    """The text that a writer's connection makes of it. An argument may be two, written behind each other."""
    known: list[object] = []
    for one in (piece for argument in arguments for piece in re.split("(?<='), (?=')", argument)):
        listed = re.fullmatch(r"'\{(\d+(?:,\d+)*)\}'", one)
        known.append(int(one) if one.isdigit() else [int(n) for n in listed[1].split(",")] if listed else None)
    return days.named(sql, known)


class Day:
    """A day with a backlog."""

    writer = True
    """Whether a writer is looked at."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    async def run(self, sql: str, *arguments: str) -> Plan:
        await self.connection.execute(f"PREPARE hot AS {by_day(sql, arguments) if self.writer else sql}")
        try:
            return await self.shown(arguments)
        finally:
            await self.connection.execute("DEALLOCATE hot")

    async def shown(self, arguments: Sequence[str]) -> Plan:
        transaction = self.connection.transaction()
        await transaction.start()
        try:
            shown = await self.connection.fetchval(
                f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE hot({', '.join(arguments)})", timeout=120
            )
        finally:
            await transaction.rollback()
        return Plan(json.loads(shown)[0])

    async def cheap(self, sql: str, *arguments: str, rows: int = 1) -> Plan:
        """The plan, which must not have read or sorted the backlog to find ``rows``."""
        plan = await self.run(sql, *arguments)
        assert not plan.nodes("Seq Scan"), json.dumps(plan.root, indent=1)
        assert plan.pages < PAGES_OF_A_ROW * (rows + 10), (plan.pages, json.dumps(plan.root, indent=1))
        most = max(
            [node["Actual Rows"] * node["Actual Loops"] for node in plan.nodes("Sort")]
            + [node.get("Rows Removed by Filter", 0) for node in plan.nodes()]
        )
        assert most <= rows * 2 + 200, (most, json.dumps(plan.root, indent=1))
        return plan


@pytest_asyncio.fixture(params=["no statistics", "analysed"])
async def day(dsn: str, request: pytest.FixtureRequest) -> AsyncIterator[Day]:
    connection = await connect(dsn, writer=True, statement_timeout=0)
    try:
        await partitions.ensure(connection, today())
        await connection.execute(_CHANNEL)
        await connection.execute(_RIGHT)
        await connection.execute("INSERT INTO account (name) SELECT 'account' || n FROM generate_series(1, 20) n")
        await connection.execute(_FILL, base(), ROWS, SENT, timeout=300)
        await connection.execute(_MESSAGES, timeout=300)
        if request.param == "analysed":
            await change(dsn, "VACUUM ANALYZE part", "ANALYZE message")
        yield Day(connection)
    finally:
        await connection.close()


def filled(size: int, *values: str) -> list[str]:
    return [f"array_fill({value}, ARRAY[{size}])" for value in values]


def listed(texts: list[str]) -> str:
    return "'{" + ",".join(texts) + "}'"


CLAIM = ("'channel/1'", "1", "1")


def claimed(queues: str, since: int | None = None) -> tuple[str, ...]:
    """Arguments of a claim behind its limit; ``queues``: pools and lanes."""
    n = queues.partition("', '")[0].count(",") + 1
    return (queues, str(oldest()), "1", str(newest()), "'{" + ",".join([str(since or oldest())] * n) + "}'")


async def test_a_claim_takes_the_head_of_each_queue(day: Day) -> None:
    """Of the lane that has a million, of empty lanes beside it and before it, and of a pool that has nothing."""
    for queues, rows in (("'{1}', '{3}'", 100), ("'{1,1,1}', '{0,1,3}'", 100), ("'{1,2,3}', '{1,3,3}'", 0)):
        for since in (oldest(), base()):
            await day.cheap(claiming._CLAIM, *CLAIM, "100", *claimed(queues, since), rows=rows)


async def test_a_claim_beside_a_kept_snapshot_looks_behind_what_was_sent(day: Day, dsn: str) -> None:
    """All that was sent since then is still in the index; from where the last look has ended it is not walked over."""
    keeper = await connect(dsn, writer=True, statement_timeout=0)
    try:
        snapshot = keeper.transaction(isolation="repeatable_read")
        await snapshot.start()
        await keeper.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        await keeper.fetchval("SELECT count(*) FROM part")
        kept = await day.connection.fetchval("SELECT max(id) - 10 FROM part WHERE state = 10")
        await day.connection.execute("UPDATE part SET state = 40 WHERE state = 10 AND id < $1", kept)
        queues = "'{1}', '{3}'"
        plan = await day.run(claiming._CLAIM, *CLAIM, "100", *claimed(queues))
        assert plan.pages > ROWS / 50, "nothing is in the way: this shows nothing"
        plan = await day.cheap(claiming._CLAIM, *CLAIM, "100", *claimed(queues, kept), rows=11)
        assert plan.root["Plan"]["Actual Rows"] == 11
    finally:
        await keeper.close()


async def test_a_claim_passes_stopped_accounts_over(day: Day) -> None:
    """It looks at so much of the head and no further; where nobody at the head is stopped, no further than it needs."""
    queues = "'{1,1,1}', '{0,1,3}'"
    rest = claimed(queues)
    plan = await day.cheap(claiming._CLAIM_PAST, *CLAIM, "100", *rest, "'{1,2}'", rows=claiming.LOOK)
    assert plan.pages < claiming.LOOK * 2
    assert plan.root["Plan"]["Actual Rows"] == 0
    plan = await day.cheap(claiming._CLAIM_PAST, *CLAIM, "100", *rest, "'{2,3}'", rows=100)
    assert plan.root["Plan"]["Actual Rows"] == 100


async def test_a_batch_of_a_stopped_account_is_found_at_once(day: Day) -> None:
    await day.connection.execute("UPDATE account SET halted = true WHERE id IN (1, 7)")
    await day.cheap(holding._WITH_WAITING, str(oldest()), rows=20)
    plan = await day.cheap(holding._HOLD, "1", str(oldest()), "now()", rows=holding.BATCH)
    assert plan.root["Plan"]["Actual Rows"] == 1
    await day.cheap(holding._HOLD, "7", str(oldest()), "now()", rows=0)
    await day.connection.execute("UPDATE account SET halted = false")
    await day.cheap(holding._WITH_HELD, str(oldest()), rows=40)
    await day.cheap(holding._RESUME, "1", str(oldest()), "now()", rows=0)


async def test_what_waits_of_an_account_is_found_by_it(day: Day) -> None:
    for account in ("1", "7"):
        plan = await day.run(routing._WAITING, account, str(oldest()))
        assert not plan.nodes("Seq Scan"), json.dumps(plan.root, indent=1)
        used = [str(node.get("Index Name")) for node in plan.nodes()]
        assert not [name for name in used if name.startswith("part_") and name.endswith("pkey")], used
    assert plan.pages < 200, "of one that has nothing"


async def test_whether_reports_are_late_is_seen_in_so_many_rows(day: Day) -> None:
    """Neither the day nor what a channel has sent in it is read through."""
    await day.connection.execute(
        "INSERT INTO channel (name, protocol, host, port, username, password_sealed)"
        " SELECT 'c' || n, 'cmpp20', '127.0.0.1', 1, 'u', '' FROM generate_series(1, 5) n"
    )
    limits = ("now()", "'{a,c1,c2}'", "'{600,600,900}'", *(f"'{{{id_},{id_},{id_}}}'" for id_ in (base(), newest())))
    for statement, more in ((lateness._LATE, ("500",)), (lateness._OWN, ("500", str(base())))):
        plan = await day.run(statement, *limits, *more)
        parts = [node for node in plan.nodes() if str(node.get("Relation Name", "")).startswith("part")]
        assert not [node for node in parts if node["Node Type"] == "Seq Scan" and node["Actual Loops"]]
        read = sum((n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) * n["Actual Loops"] for n in parts)
        assert 500 <= read < 1600, (read, json.dumps(plan.root, indent=1))
        assert plan.pages < 5000, (plan.pages, json.dumps(plan.root, indent=1))


async def test_a_report_finds_its_part_by_the_carriers_id(day: Day) -> None:
    """A batch of them; and days to come are not looked at."""
    batch = 500
    channels, states, blank, times = filled(batch, "1", "40::smallint", "''::text", "now()")
    ids = listed([f"{n:x}" for n in range(1, batch + 1)])
    tails = listed([f"13{(base() + n) % 10**9:09d}" for n in range(1, batch + 1)])
    pdus = filled(batch, r"'\x01'::bytea")[0]
    for since in (oldest(), first_id(noon() - timedelta(days=2))):
        reports = (channels, ids, states, blank, blank, times, str(since), str(newest()), tails, pdus)
        plan = await day.cheap(outcomes._REPORTS, *reports, rows=batch)
        assert plan.root["Plan"]["Actual Rows"] == batch + 1
        assert plan.compared <= batch, json.dumps(plan.root, indent=1)
        scans = [n for n in plan.nodes("Index Scan") if "channel_id_carrier" in n["Index Name"] and n["Actual Loops"]]
        assert scans
        assert partitions.name("part", today() + timedelta(days=3)) not in {n["Relation Name"] for n in scans}
        named = (channels, ids, str(since), str(newest()), tails)
        await day.cheap(reattempt._LOOK_REPORTS, *named, rows=batch)
        await day.cheap(long_reports._SIBLINGS, *named, rows=batch)
    late = (channels, ids, states, blank, times, str(oldest()), tails, pdus)
    await day.cheap(reattempt._LATE, *late, rows=batch)


def keyed() -> dict[str, tuple[str, Callable[[int], tuple[str, ...]], int]]:
    """Statements that come back to parts by their key: text, arguments for a batch of ``n``, rows of a batch."""

    def ids(n: int) -> str:
        return listed([str(base() + k) for k in range(1, n + 1)])

    def tries(n: int) -> list[str]:
        return filled(n, "1::smallint", "1::smallint")

    def answers(n: int) -> tuple[str, ...]:
        rest = filled(n, "30::smallint", *["''::text"] * 3, "now()", "now()", "'hold'::text")
        return (ids(n), *tries(n), *rest, *["interval '1 day'"] * 3, str(oldest()))

    def unknown(n: int) -> tuple[str, ...]:
        return (ids(n), *tries(n), *filled(n, "''::text", "''::text"), str(oldest()))

    def back(n: int) -> tuple[str, ...]:
        return (ids(n), *tries(n), *filled(n, "now()"), str(oldest()))

    def again(n: int) -> tuple[str, ...]:
        rest = filled(n, "now()", "true", "1", "false", "true", "''::text", "''::text")
        return (ids(n), *tries(n), *rest, str(oldest()))

    def reports(n: int) -> tuple[str, ...]:
        channels, states, blank, times, pdus = filled(n, "1", "40::smallint", "''::text", "now()", r"'\x01'::bytea")
        named = listed([f"{k:x}" for k in range(2001, 2001 + n)])
        return (channels, named, states, blank, blank, times, str(oldest()), str(newest()), blank, pdus)

    def due(_: int) -> tuple[str, ...]:
        return "now()", str(oldest())

    def claims(n: int) -> tuple[str, ...]:
        return (*CLAIM, str(n), *claimed("'{1}', '{3}'"))

    return {
        "claims": (claiming._CLAIM, claims, 500),
        "claims past": (claiming._CLAIM_PAST, lambda n: (*claims(n), "'{2}'"), 500),
        "claims again": (claiming._CLAIM_AGAIN, lambda n: (*claims(n), "'{2}'"), 500),
        "answers": (outcomes._ANSWERS, answers, 500), "still unknown": (outcomes._STILL_UNKNOWN, unknown, 500),
        "unseen": (outcomes._UNSEEN, lambda n: (ids(n), *tries(n), *filled(n, "30::smallint"), str(oldest())), 500),
        "given back": (outcomes._GIVE_BACK, back, 500),
        "looked up": (reattempt._LOOK_ANSWERS, lambda n: (ids(n), *tries(n), str(oldest())), 500),
        "subjects": (rerouting._SUBJECTS, lambda n: (ids(n), str(oldest())), 500),
        "again": (reattempt._AGAIN, again, 500), "reports": (outcomes._REPORTS, reports, 500),
        "siblings": (long_reports._SIBLINGS, lambda n: (*reports(n)[:2], *reports(n)[6:9]), 500),
        "moved": (rerouting._MOVE, lambda n: (ids(n), *filled(n, "1"), str(oldest()), "now()"), 500),
        "scheduled": (sweeps._RELEASE_SCHEDULED, due, sweeps.STEP),
        "no report": (sweeps._END_REPORT_WAIT, due, sweeps.STEP),
        "no answer": (sweeps._RESOLVE_UNKNOWN, due, sweeps.STEP), "deferred": (reattempt._RELEASE, due, sweeps.STEP),
        "hold": (holding._HOLD, lambda _: ("1", str(oldest()), "now()"), holding.BATCH),
    }  # fmt: skip


# The server itself analyses within a minute, which a slow machine may need: what is looked at is the time before.
_LEFT_ALONE = """
DO $$ DECLARE one regclass; BEGIN
    FOR one IN SELECT relid FROM pg_partition_tree('part') WHERE isleaf LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_enabled = false)', one);
    END LOOP;
END $$
"""
STATES = {20: 2000, 30: 8000, 31: 8000, 2: 8000, 11: 8000, 10: 8000, 1: 8000}
"""How many parts a young day has in each."""


@pytest.mark.parametrize("analysed", [False, True], ids=["", "analysed when it was empty"])
@pytest.mark.parametrize("name", keyed())
async def test_a_plan_of_the_first_second_of_a_day_serves_all_of_it(dsn: str, name: str, analysed: bool) -> None:
    """Plans are made while the day is empty, when every index costs the same, and nothing makes them anew until it was
    analysed: by the key, then too, and not by the few rows that a partial index has at that time."""
    statement, arguments, rows = keyed()[name]
    connection = await connect(dsn, writer=True, statement_timeout=0)
    try:
        await partitions.ensure(connection, today())
        await change(dsn, _LEFT_ALONE)
        if analysed:  # as somebody does by night who keeps a database
            await change(dsn, *(f"VACUUM ANALYZE {one}" for one in ("message", "part", "attempt", "customer_event")))
        await connection.execute(_CHANNEL)
        await connection.execute(_RIGHT)
        await connection.execute("INSERT INTO account (name, halted) VALUES ('a', true)")
        day = Day(connection)
        await connection.execute(f"PREPARE hot AS {by_day(statement, arguments(1))}")
        await day.shown(arguments(1))
        first = base()
        for state, n in STATES.items():
            await connection.execute(
                "INSERT INTO part (id, part, total, account_id, pool_id, lane, state, channel_id, epoch, attempt, "
                "carrier_id, next_at, expires_at, accepted_at) "
                "SELECT $1::bigint + n, 1, 1, 1, 1, 3, $2::smallint, "
                "CASE WHEN $2 IN (20, 30, 31) THEN 1 END, CASE WHEN $2 IN (20, 31) THEN 1 END, 1, "
                "CASE WHEN $2 IN (30, 31) THEN to_hex($1 - $4::bigint + n) END, "
                "now() - interval '1 s', now() + interval '1 day', now() FROM generate_series(1, $3::int) AS n",
                first, state, n, base(), timeout=300,
            )  # fmt: skip
            first += n
        await connection.execute(_MESSAGES, timeout=300)
        if analysed or name == "claims past":
            await connection.execute("DISCARD PLANS")  # as writers do (``replanning``)
        plan = await day.shown(arguments(rows))
        assert plan.compared <= rows, (plan.compared, json.dumps(plan.root, indent=1))
        assert plan.pages < PAGES_OF_A_ROW * (rows + 10), (plan.pages, json.dumps(plan.root, indent=1))
    finally:
        await connection.close()


async def test_late_reports_of_one_batch_cost_as_much_as_they_are_many(day: Day) -> None:
    """Every report of the batch belongs to an attempt that was given up."""
    batch = 1000
    await day.connection.execute(
        "INSERT INTO attempt (id, part, attempt, channel_id, carrier_id, code) "
        "SELECT $1::bigint + n, 1, 1, 1, 'old' || n, '' FROM generate_series(1, $2::int) n", base(), batch
    )  # fmt: skip
    channels, states, blank, times = filled(batch, "1", "40::smallint", "''::text", "now()")
    ids = listed([f"old{n}" for n in range(1, batch + 1)])
    tails, pdus = filled(batch, "''::text", r"'\x01'::bytea")
    plan = await day.run(reattempt._LATE, channels, ids, states, blank, times, str(oldest()), tails, pdus)
    assert plan.pages < PAGES_OF_A_ROW * batch
    assert plan.compared <= batch, json.dumps(plan.root, indent=1)


async def test_what_was_left_and_what_is_due_is_found_without_the_queue(day: Day) -> None:
    lanes = claimed("'{1,1,1,1}', '{0,1,2,3}'")
    for statement, arguments, rows in (
        (claiming._CLAIM_AGAIN, (*CLAIM, "100", *lanes, "'{2}'"), 0),
        (claiming._CLAIM_DEFERRED, (*CLAIM, "100", "1", str(oldest()), "'{2}'", "now()"), 0),
        (claiming._NEXT_DEFERRED, ("1", str(oldest())), 0), (claiming._HELD, ("1", "'{1}'", "1", "15"), 0),
        (claiming._INTERRUPTED, ("1", "1", "0", "0"), 0), (claiming._LEFT, ("'{}'",), 0),
        (claiming._TAKEN_OVER, ("0", "0"), 0),
        (claiming._OLDEST_QUEUED, ("'{1,2,3,4,5}'", str(oldest()), str(newest())), 20),
    ):  # fmt: skip
        await day.cheap(statement, *arguments, rows=rows)
    for statement in (
        sweeps._RELEASE_SCHEDULED, sweeps._RESOLVE_UNKNOWN, sweeps._EXPIRE_WAITING, sweeps._EXPIRE_HELD,
        sweeps._END_REPORT_WAIT, reattempt._RELEASE,
    ):  # fmt: skip
        await day.cheap(statement, "now()", str(oldest()), rows=30)
    await day.connection.execute(
        "UPDATE part SET expires_at = now() - interval '1 s' WHERE id > $1::bigint + $2::int - 10", base(), ROWS
    )
    plan = await day.cheap(sweeps._EXPIRE_WAITING, "now()", str(oldest()), rows=30)
    assert plan.root["Plan"]["Actual Rows"] == 10, "behind a backlog that lives longer"
    probes = await day.run(sweeps._EXPIRE_PROBES, "now()", str(oldest()))  # reads one small table whole
    assert probes.pages < 30 * PAGES_OF_A_ROW
    assert {n["Relation Name"] for n in probes.nodes("Seq Scan")} <= {"channel_probe"}


async def test_the_roll_up_finds_an_earlier_report_by_its_message(day: Day) -> None:
    await day.connection.execute(
        "INSERT INTO customer_event (id, account_id, kind, message_id, status) SELECT $1::bigint + $2::int + n, 1, "
        "'report', $1::bigint + n, 'delivered' FROM generate_series(1, $2::int) AS n",
        base(),
        SENT,
    )
    day.writer = False  # the roll-up is none
    await day.connection.execute("RESET ALL")
    plan = await day.run(daily._ENDED, str(base()), str(base() + ROWS * 10), str(base()))
    earlier = [n for n in plan.nodes("Index") if n.get("Alias", "").startswith("x") and n["Actual Loops"] > 1]
    assert earlier
    assert all("message_id" in n["Index Name"] for n in earlier), json.dumps(plan.root, indent=1)


async def test_what_webhooks_are_owed_is_counted_beside_events_that_others_fetch(day: Day) -> None:
    await day.connection.execute(
        "INSERT INTO customer_event (id, account_id, kind, message_id, status, way, target) "
        "SELECT $1::bigint + n, 2 + n % 2, 'report', $1::bigint + n, 'delivered', CASE WHEN n = 16 THEN 'webhook' END, "
        "CASE WHEN n = 7 THEN 'https://a.example/' END FROM generate_series(1, $2::int) AS n",
        base(), ROWS, timeout=300,
    )  # fmt: skip
    day.writer = False  # who counts is none
    await day.connection.execute("RESET ALL")
    pulled = (
        "ARRAY[2, 3, 3]", "ARRAY['report', 'report', 'mo']", "ARRAY[false, true, true]", "ARRAY[false, false, true]",
    )  # fmt: skip
    plan = await day.cheap(pushing._WAITING, *pulled, "10000", rows=2)
    assert plan.root["Plan"]["Actual Rows"] == 1
    pushed = ("ARRAY[3]", "ARRAY['report']", "ARRAY[false]", "ARRAY[true]")
    await day.cheap(pushing._WAITING, *pushed, "100", rows=100)
    said = [tuple(await day.connection.fetchrow(pushing._WAITING, *asked, most) or ()) for asked, most in (
        (([2, 3, 3], ["report", "report", "mo"], [False, True, True], [False, False, True]), 10_000),
        (([3], ["report"], [False], [True]), 100),
    )]  # fmt: skip
    assert said == [(2, base() + 7, False), (99, base() + 1, True)], "one of the hundred has an address of its own"


@pytest.mark.parametrize(("state", "rows"), [("waiting", 5), ("dead", 5), ("delivered", 10), (None, 20)])
async def test_deliveries_are_not_looked_for_among_others(day: Day, state: str | None, rows: int) -> None:
    for account, first, n in ((1, base(), ROWS), (2, base() - 20, 20)):
        await day.connection.execute(
            "INSERT INTO customer_event (id, account_id, kind, message_id, status, acknowledged_at, dead_at) "
            "SELECT $1::bigint + n, $2, 'report', $1::bigint + n, 'delivered', "
            "CASE WHEN n % 4 > 0 THEN now() END, CASE WHEN n % 4 = 1 THEN now() END "
            "FROM generate_series(1, $3::int) AS n",
            first, account, n, timeout=300,
        )  # fmt: skip
    day.writer = False  # who lists is none
    for name in WRITER_SETTINGS:
        if name.startswith("enable_"):
            await day.connection.execute(f"SET {name} = on")
    kinds = listed(KINDS)
    plan = await day.cheap(
        webhook_queries._LISTS[state], "'{2}'", kinds, str(newest()), str(oldest()), "50", rows=max(rows, 20)
    )
    assert plan.root["Plan"]["Actual Rows"] == rows
    plan = await day.cheap(
        webhook_queries._LISTS_ABOUT[state], str(base() - 16), "'{2}'", kinds, str(newest()), str(oldest()), "50"
    )
    assert plan.root["Plan"]["Actual Rows"] == (state in ("waiting", None))
    span = ("2", str(oldest()), str(newest()), kinds, "NULL", "10000")
    assert (await day.cheap(webhooks._AGAINS[state], *span, rows=20)).root["Plan"]["Actual Rows"] == rows
    one = f"'{{{base() - 16}}}'"
    by = {webhooks._BY_ID: (one,), webhooks._BY_MESSAGE: (one,), webhooks._BY_BOTH: (one, one)}
    for named, arguments in by.items():
        plan = await day.cheap(webhooks._AGAINS_NAMED[state, named], *span, *arguments)
        assert plan.root["Plan"]["Actual Rows"] == (state in ("waiting", None))


async def test_what_waits_for_blocked_numbers_is_found_by_their_numbers(day: Day) -> None:
    batch = 500
    accounts, types, sources = filled(batch, "0::bigint", "''::text", "'manual'::text")
    strangers = listed([f"85290{n:06d}" for n in range(batch)])
    rest = (str(oldest()), "0", "500")
    await day.cheap(cancellation._WAITING, strangers, accounts, types, types, sources, *rest, rows=batch)
    number = await day.connection.fetchval("SELECT number FROM message ORDER BY id DESC LIMIT 1")
    known = listed([number])
    one = filled(1, "0::bigint", "''::text", "'manual'::text")
    plan = await day.cheap(cancellation._WAITING, known, one[0], one[1], one[1], one[2], *rest, rows=10)
    assert plan.root["Plan"]["Actual Rows"] == 1


@pytest.mark.parametrize("statement", ["leave", "forgive"])
async def test_what_waits_for_a_channel_that_is_gone_is_found_beside_a_backlog(day: Day, statement: str) -> None:
    await day.connection.execute(
        "UPDATE part SET state = 11, channel_id = 7, next_at = now() WHERE id > $1 AND id <= $1 + 20", base() + SENT
    )
    await day.connection.execute(
        "UPDATE part SET avoid_channels = '{7}' WHERE id > $1 AND id <= $1 + 20", base() + SENT + 20
    )
    if statement == "leave":
        await day.cheap(failover._LEAVE, "'{7}'", "'{1}'", "'{8}'", "now()", str(oldest()), rows=20)
    else:
        await day.cheap(failover._FORGIVE, "'{1}'", "'{7}'", str(oldest()), rows=40)


N = 20_000
_RECORDS = """
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
    for statement in (_RECORDS, _PARTS):
        await database.execute(statement, low, account, N)
    yield database
    await database.close()


def rows_of(told: str, **which: str) -> int:
    """Rows of tables that a statement has looked at."""
    scans = [node for node in Plan(json.loads(told)[0]).nodes() if "Relation Name" in node]
    scans = [node for node in scans if all(node.get(name) == value for name, value in which.items())]
    return int(sum((n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) * n["Actual Loops"] for n in scans))


async def looked_at(database: Database, wanted: records.Wanted) -> tuple[int, int]:
    """Messages found, and rows of the tables that were looked at for them."""
    shape = records._Shape("x.id", 51)
    async with database.transaction() as connection:
        for statement in ("ANALYZE message", "ANALYZE part", records._CUSTOM):
            await connection.execute(statement)
        known = await records._known(database, connection, wanted)
        search = records._search(Actor.system("test"), wanted, Window("time"), known)
        statement, arguments = records._statement(search, search.days(True), shape, True)
        told = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *arguments)
    return json.loads(told)[0]["Plan"]["Actual Rows"], rows_of(told)


@pytest.mark.parametrize("code", ["NOSUCH", "MK:3"])
async def test_a_code_is_found_by_the_few_parts_that_have_another(database: Database, code: str) -> None:
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
    await change(database.dsn, "ANALYZE message_link")
    wanted = records.Wanted(noon() - timedelta(days=3), noon() + timedelta(minutes=1), clicked=clicked)
    found, rows = await looked_at(database, wanted)
    assert found == {"true": 10, "false": 51}[clicked]
    assert rows < 1000


_LINKS = """
INSERT INTO short_link (account_id, name, kind, origin, domain, serial, codes, target, state, passed, made_at, made_by)
SELECT id, kind, kind, 'api', 's.example.cn', serial, serial, 'https://www.example.cn/', 'active', 1,
       $1, 'x'
FROM account, (VALUES ('shared', 1), ('personal', 1000)) AS k(kind, serial) RETURNING id
"""


async def test_clicks_of_a_link_that_all_share_look_at_none_of_its_messages(database: Database) -> None:
    shared, personal = [row["id"] for row in await database.fetch(_LINKS, noon() - timedelta(hours=1))]
    await database.execute(
        "INSERT INTO message_link SELECT id, CASE WHEN n < 500 THEN $2 ELSE $1::bigint END, CASE WHEN n < 500 THEN n "
        "ELSE 0 END, CASE WHEN n < 500 THEN false END FROM (SELECT id, row_number() OVER (ORDER BY id)::int AS n "
        "FROM message) m", shared, personal,
    )  # fmt: skip
    await database.execute("INSERT INTO link_visitor VALUES ($1, 0, 1, 1), ($2, 3, 1, 1)", shared, personal)
    await change(database.dsn, "ANALYZE message_link")
    told = await database.fetchval(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {message_links._CLICKED}", [shared, personal], [0, 3]
    )
    assert rows_of(told, Alias="k") <= 2
    assert await database.fetch("SELECT n FROM message_link WHERE clicked") == [(3,)]


@pytest.mark.parametrize("kind", [SegmentKind.NOT_CLICKED, SegmentKind.SILENT])
async def test_who_of_a_task_has_not_clicked_is_found_chunk_by_chunk(database: Database, kind: SegmentKind) -> None:
    """Half of the messages are the task's, in chunks of a hundred; of twenty of these one was clicked."""
    low = first_id(noon() - timedelta(minutes=1))
    _, link = [row["id"] for row in await database.fetch(_LINKS, noon() - timedelta(hours=1))]
    await database.execute(
        "INSERT INTO message_link SELECT id, $2, (id - $1::bigint)::int, (id - $1) % 20 = 0 FROM message", low, link
    )
    await database.execute(
        "INSERT INTO task_chunk (task_id, run, first, size, base_id) "
        "SELECT 1 + n % 2, 1, n * 100, 100, $1::bigint + 1 + n * 100 FROM generate_series(0, $2::int) n",
        low,
        N // 100 - 1,
    )
    await change(database.dsn, "ANALYZE message_link", "ANALYZE message", "ANALYZE part", "ANALYZE task_chunk")
    account, one = await database.fetchval("SELECT id FROM account"), Segment(kind, 365, task_id=1)
    assert await segments.count(database, account, one) == 9500
    statement = segments._COUNT.format(numbers=segments._numbers(one))
    told = await database.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *segments._asked(account, one))
    assert rows_of(told) < 5 * N
    assert await segments.count(database, account, Segment(kind, 365, link_id=link)) == 19_000


async def test_one_segment_of_an_account_is_found_at_a_time(database: Database) -> None:
    account = await database.fetchval("SELECT id FROM account")
    async with database.transaction() as connection:
        await segments.alone(connection, account)
        with pytest.raises(Temporary):
            await segments.count(database, account, Segment(SegmentKind.CLICKED))
        assert await segments.count(database, account + 1, Segment(SegmentKind.CLICKED)) == 0
    assert await segments.count(database, account, Segment(SegmentKind.CLICKED)) == 0
