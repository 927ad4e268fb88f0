"""Exports of many rows wait until somebody else has approved them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest_asyncio
from browsing import Browser, send
from portal_site import Site, running
from visits import signed_in

from smsgw.core.settings import Settings
from smsgw.platform.jobs import queries


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("asker", "super")
        await site.add_staff("other", "super")
        site.snapshots.change(settings=Settings(export_approval_rows=1))
        yield site


async def asked(browser: Browser, query: str = "action=staff.add", of: str = "/audit") -> str:
    """The address of the job of an export."""
    await browser.post(f"{of}/-/export", {"q": query, "reason": "季度检查", "format": "csv"})
    assert re.fullmatch(r"/jobs/\d+", browser.path), browser.path
    return browser.path


async def test_somebody_else_approves_what_is_large(site: Site) -> None:
    async with signed_in(site, "asker") as asker, signed_in(site, "other") as other:
        assert "已完成" in await asker.job_done(await asked(asker, "action=staff.add&actor=nobody")), "it is small"
        await site.db.execute("DELETE FROM job")
        job = await asked(asker)
        page = await asker.get(job)
        assert "asker 申请导出约 2 行" in page
        assert "批准导出" not in page
        assert await asker.status_of(f"{job}/approve", {}) == 409
        assert await queries.claim(site.db, 1, {"export": 9}, timedelta(seconds=15)) is None
        assert "批准导出" in await other.get(job)
        await other.post(f"{job}/approve", {})
        assert "已完成" in await asker.job_done(job)
        assert await asker.status_of(f"{job}/link", {}) == 200
        assert await other.status_of(f"{job}/approve", {}) == 409
    rows = await site.db.fetch("SELECT actor, action FROM audit WHERE action LIKE 'export.%' ORDER BY id OFFSET 1")
    assert [tuple(row) for row in rows] == [
        ("asker", "export.request"), ("other", "export.approve"), ("asker", "export.link"), ("asker", "export.fetch"),
    ]  # fmt: skip


async def test_or_does_not_and_says_why(site: Site) -> None:
    async with signed_in(site, "asker") as asker, signed_in(site, "other") as other:
        job = await asked(asker)
        id_ = job.rpartition("/")[2]
        await other.post("/jobs/-/do/reject", {"id": id_, "reason": ""})
        assert await site.db.fetchval("SELECT state FROM job") == "waiting"
        await other.post("/jobs/-/do/reject", {"id": id_, "reason": "范围过大，请按部门导出"})
        page = await asker.job_done(job)
        assert "other 驳回了导出申请：范围过大，请按部门导出" in page
        assert f"{job}/link" not in page


async def test_a_list_that_cannot_be_counted_waits_as_well(site: Site) -> None:
    """时延分析 by hour: a row an hour of the day."""
    for n in range(2):
        await send(site, to=f"1380013800{n}")
    (first, _), _ = await site.carrier_takes()
    async with signed_in(site, "asker") as asker:
        asks = (asker, "along=hour&time=7d", "/reports/delays")
        assert "已完成" in await asker.job_done(await asked(*asks))
        await site.db.execute("UPDATE part SET accepted_at = accepted_at - interval '1 hour' WHERE id = $1", first)
        assert "asker 申请导出约 2 行" in await asker.get(await asked(*asks))
