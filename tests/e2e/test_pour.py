"""A carrier that brings more than we can store is made to wait: nothing of it is refused, and nobody else notices."""

from __future__ import annotations

from pathlib import Path

import asyncpg
import pytest
from databases import change
from harness import until
from pouring import HELD, LOSING, STUBBORN, post, pour, pouring_site, within_limits

from smsgw.simulator import Delay

SLOW = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END';
CREATE TRIGGER slowly BEFORE UPDATE ON part FOR EACH STATEMENT EXECUTE FUNCTION slowly();
"""
"""Each statement that changes parts takes half a second longer."""


@pytest.mark.slow
@pytest.mark.shard("alone")
async def test_reports_without_a_window(dsn: str, data_dir: Path) -> None:
    async with pouring_site(data_dir, dsn=dsn) as built:
        figures = await pour(built, 4000, within=60)
    print(figures)
    within_limits(figures, slowest=3000)  # of so few codes the slowest is what the machine had else to do


@pytest.mark.slow
@pytest.mark.shard("alone")
async def test_five_reports_of_each_while_the_database_is_slow(dsn: str, data_dir: Path) -> None:
    """What is answered is stored; what is not stored waits with the carrier, and none of it is refused."""
    messages, copies = 600, 5
    async with pouring_site(data_dir, dsn=dsn) as built:
        flooding = [built.carriers[name] for name in (LOSING, STUBBORN)]
        for carrier in flooding:
            carrier.change(report_delay=HELD, duplicate_reports=1.0, report_copies=copies)
        await post(built, messages, batch=200)
        await until(lambda: sum(c.inbox.total for c in flooding) == messages, what="all is submitted")

        def taken() -> int:
            return sum(c.counts.reports_acknowledged for c in flooding)

        database = await asyncpg.connect(dsn, timeout=10)
        try:
            await change(dsn, SLOW)
            for carrier in flooding:
                carrier.report_now()
            await until(taken, what="some are stored")
            assert taken() < messages * copies, "the database was not slow"
            # The first copy of a report ends its part; what has ended is the most that may have been answered.
            answered = taken()
            ended = await database.fetchval("SELECT count(*) FROM part WHERE final_at IS NOT NULL")
            assert answered <= ended * copies
            assert sum(c.owed(within=0) for c in flooding) >= messages * copies - taken()
            await change(dsn, "DROP TRIGGER slowly ON part")
        finally:
            await database.close()
        await until(lambda: taken() == messages * copies, within=60, what="all reports are taken")
        assert [(c.counts.repeated, c.counts.given_up, c.counts.connections) for c in flooding] == [(0, 0, 1)] * 2
        for carrier in flooding:
            carrier.change(report_delay=Delay.fixed(0.02), report_copies=2)
        books = await built.clean()
        assert set(books.statuses) == {"delivered"}
        assert len([line for line in built.node.log_lines() if "link.violation" in line]) == 0
