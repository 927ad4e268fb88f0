"""Rebates as a list: what went back for which message, by account and time, and taken away as it is shown."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from browsing import Browser, send
from portal_site import Site, by_test, running

from smsgw.core.actor import ScopeKind
from smsgw.core.permissions import Permission as P
from smsgw.core.states import PartState
from smsgw.platform.accounts import service as accounts
from smsgw.platform.org import service as org


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        change = by_test(site.db)
        await org.add_role(change, "cashier", "出纳", [P.HOME_VIEW, P.BALANCE_VIEW], ScopeKind.ACCOUNTS)
        await site.add_staff("hall-op", "cashier", "hall")
        for name in ("hall", "clinic"):
            await accounts.edit(change, site.accounts[name], {"refund_failed": "true", "unit_price": "0.0385"})
        await site.snapshots.follow()
        yield site


async def test_each_entry_says_the_balance_after_it_whatever_went_back_together(site: Site) -> None:
    hall = site.accounts["hall"]
    ids = [await send(site, to=f"1380013801{n}", content="好" * 100 if n else "好") for n in range(3)]
    await send(site, "clinic", to="13800138020")
    taken = await site.carrier_takes()
    await site.carrier_reports(taken, PartState.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER")
    rows = await site.db.fetch(
        "SELECT id, units, balance FROM ledger WHERE account_id = $1 AND kind = 'refund' ORDER BY id", hall
    )
    assert [(row["id"], row["units"]) for row in rows] == list(zip(ids, (1, 2, 2), strict=True))
    assert [row["balance"] for row in rows] == [99_996, 99_998, 100_000]
    assert await site.db.fetchval("SELECT balance FROM account WHERE id = $1", hall) == 100_000
    clinic = "SELECT balance FROM ledger WHERE account_id = $1 AND kind = 'refund'"
    assert await site.db.fetchval(clinic, site.accounts["clinic"]) == 100_000


async def test_what_went_back_is_found_by_account_and_message_and_taken_away(site: Site) -> None:
    first = await send(site, to="13800138000", content="好" * 100)
    second = await send(site, to="13800138001")
    third = await send(site, "clinic", to="13800138002")
    taken = await site.carrier_takes()
    failed = [one for one in taken if one[0] in (first, third)]
    await site.carrier_reports(failed, PartState.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER")
    await site.carrier_reports([one for one in taken if one[0] == second])
    balances = {name: await site.db.fetchval("SELECT balance FROM account WHERE id = $1", id_)
                for name, id_ in site.accounts.items()}  # fmt: skip
    assert balances == {"hall": 100_000 - 1, "clinic": 100_000}, "what failed was given back"
    async with Browser(site) as boss:
        await boss.login("boss")

        async def shown(query: str) -> set[int]:
            return {int(id_) for id_ in re.findall(r'href="/records/(\d+)"', await boss.get(f"/rebates?{query}"))}

        hall = site.accounts["hall"]
        assert await shown("") == {first, third}
        assert await shown(f"account={hall}") == {first}
        assert await shown(f"message={third}") == {third}
        assert await shown("time=yesterday") == set()
        page = await boss.get(f"/rebates?account={hall}")
        assert "失败返还" in page
        assert "¥0.0770" in page, "two parts"
        assert f"{balances['hall']:,}" in page, "the balance after it"
        total = await boss.get("/rebates/-/total")
        assert "返还条数 3" in total
        await boss.post("/rebates/-/export", {"q": f"account={hall}", "reason": "对账", "format": "csv"})
        job, deadline = boss.path, time.monotonic() + 120
        while "已完成" not in (page := await boss.get(job)):
            assert time.monotonic() < deadline, page
            await asyncio.sleep(0.1)
        async with boss.session.post(f"{job}/link", data={"csrf": boss.csrf}) as response:
            rows = list(csv.reader(io.StringIO((await response.read()).decode("utf-8-sig"))))
        assert len([row for row in rows if "失败返还" in row]) == 1
        assert str(first) in str(rows)
    async with Browser(site) as cashier:
        await cashier.login("hall-op")
        page = await cashier.get("/rebates")
        assert "政务大厅" in page
        assert "社区医院" not in page
        assert "/records/" not in page, "without the right to see records"
        await cashier.get("/rebates/-/export")
        assert cashier.status == 403
