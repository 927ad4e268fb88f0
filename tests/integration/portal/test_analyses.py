"""Analyses: why messages fail, each figure leading to exactly its rows; where their time goes, in percentiles."""

from __future__ import annotations

import re
import statistics
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path

import pytest_asyncio
from days import noon
from portal_site import Site, running
from test_reports import person, send
from visits import signed_in

from smsgw.core.states import PartState
from smsgw.platform.statistics import delays, failures
from smsgw.platform.statistics.delays import WantedDelays
from smsgw.platform.statistics.failures import WantedFailures


def span() -> tuple[datetime, datetime]:
    """Today."""
    start = noon() - timedelta(hours=12)
    return start, start + timedelta(days=1)


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Messages that failed for several reasons, of one part and of two, and some that did not."""
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        hall = await send(site, "hall", 6, "您好")
        long = await send(site, "hall", 2, "好" * 100)
        clinic = await send(site, "clinic", 3, "您好")
        await site.carrier_takes()
        undeliverable = PartState.UNDELIVERABLE
        await site.carrier_reports([(id_, 1) for id_ in (*hall[:3], clinic[0])], undeliverable, "MK:0001")
        await site.carrier_reports([(hall[3], 1), (clinic[1], 1)], undeliverable, "UNDELIV")
        await site.carrier_reports([(hall[4], 1), (long[0], 1), (long[1], 1)])
        await site.carrier_reports([(long[0], 2)], undeliverable, "MK:0001")
        yield site


async def test_reasons_are_those_of_the_parts_and_lead_to_exactly_their_messages(site: Site) -> None:
    who = person(site)
    for group in failures.GROUPS:
        cells = await failures.cells(site.db, who, WantedFailures(*span(), group=group))
        truth = await site.db.fetchval(
            "SELECT count(DISTINCT (id, class)) FROM part WHERE state IN (41, 45) AND NOT by_us"
        )
        assert sum(row["failed"] for row in cells) == truth == 7, group
    narrow = await failures.cells(site.db, person(site, "clinic"), WantedFailures(*span()))
    assert sum(row["failed"] for row in narrow) == 2
    async with signed_in(site, "boss") as boss:
        seen = 0
        for query in ("", "&beside=channel", "&beside=sign", f"&account={site.accounts['hall']}", "&type=notice"):
            shown = await boss.get(f"/reports/failures?time=today{query}")
            assert "data-chart" in shown
            for address, number in re.findall(r'<a href="/records(\?[^"]*)">([0-9,]+)</a>', shown):
                assert f"共 {number} 条" in await boss.get(f"/records/-/total{unescape(address)}"), (query, address)
                seen += 1
        assert seen >= 5
        assert "并在错误码映射中登记" in await boss.get("/reports/failures?time=today"), "what to do about it"
        assert "这段时间没有失败的短信" in await boss.get("/reports/failures?time=yesterday")


async def test_percentiles_of_each_stage_are_those_of_the_rows(site: Site) -> None:
    await site.db.execute(
        "UPDATE part SET claimed_at = accepted_at + make_interval(secs => 1 + id % 7), "
        "answered_at = accepted_at + make_interval(secs => 10 + id % 5) WHERE channel_id IS NOT NULL"
    )
    rows = await site.db.fetch("SELECT * FROM part WHERE part = 1 AND claimed_at IS NOT NULL")
    (all_,) = await delays.search(site.db, person(site), WantedDelays(*span()))
    assert all_.n == len(rows) > 8
    queue = sorted(row["claimed_at"] - row["accepted_at"] for row in rows)
    assert (all_.stages["queue"][0], all_.stages["queue"][2]) == (statistics.median_low(queue), queue[-1])
    answer = sorted(row["answered_at"] - row["claimed_at"] for row in rows)
    assert all_.stages["answer"][0] == statistics.median_low(answer)
    hours = await delays.search(site.db, person(site), WantedDelays(*span(), group="hour"))
    assert sum(one.n for one in hours) == all_.n
    async with signed_in(site, "boss") as boss:
        for query in ("", "&along=hour"):
            shown = await boss.get(f"/reports/delays?time=today{query}")
            assert sum(map(int, re.findall(r'data-label="短信条数">\s*(\d+)\s*</td>', shown))) == all_.n, query
            assert "data-chart" in shown
        assert "这段时间没有提交给运营商的短信" in await boss.get("/reports/delays?time=yesterday")
        await boss.post("/reports/delays/-/export", {"q": "time=today", "reason": "时延检查", "format": "csv"})
        await boss.job_done(boss.path)
        assert await site.db.fetchval("SELECT state FROM job") == "done", "percentiles have no last line of totals"
