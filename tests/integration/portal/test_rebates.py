"""Rebates as a list: what went back for which message, by account and time, and taken away as it is shown."""

from __future__ import annotations

import re

import pytest
import pytest_asyncio
from browsing import Browser, send
from portal_site import Site, by_test
from visits import taken_away

from smsgw.core.states import PartState
from smsgw.platform.accounts import service as accounts

pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    change = by_test(site.db)
    for name in ("hall", "clinic"):
        await accounts.edit(change, site.accounts[name], {"refund_failed": "true", "unit_price": "0.0385"})
    await site.snapshots.follow()
    return site


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
        assert "返还条数 3" in await boss.get("/rebates/-/total")
        rows = await taken_away(boss, "/rebates", f"account={hall}")
        assert len([row for row in rows if "失败返还" in row]) == 1
        assert str(first) in str(rows)
