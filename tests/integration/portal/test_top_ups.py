"""充值管理: units are put in after their effect was told; what was put in is found, summed and taken away."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from browsing import Browser
from portal_site import Site, by_test, running

from smsgw.core.actor import ScopeKind
from smsgw.core.permissions import Permission as P
from smsgw.platform.accounts import service as accounts
from smsgw.platform.org import service as org


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        change = by_test(site.db)
        await org.add_role(change, "cashier", "出纳", [P.HOME_VIEW, P.BALANCE_VIEW], ScopeKind.ACCOUNTS)
        await site.add_staff("hall-op", "cashier", "hall")
        await accounts.edit(change, site.accounts["hall"], {"unit_price": "0.0385"})
        await site.snapshots.follow()
        yield site


def cells(page: str) -> list[list[str]]:
    rows = re.findall(r"<tr[ >].*?</tr>", page.partition('id="list-rows"')[2], re.DOTALL)
    plain = [[" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)]
             for row in rows]  # fmt: skip
    return [row for row in plain if row]


async def test_units_are_put_in_with_their_effect_told_and_stand_in_the_book(site: Site) -> None:
    hall, clinic = str(site.accounts["hall"]), str(site.accounts["clinic"])
    async with Browser(site) as boss:
        await boss.login("boss")
        form = {"account": hall, "units_change": "2,500", "note_why": "合同 2026-17"}
        assert "请填写不为 0 的条数" in await boss.post("/top-ups/-/new", form | {"units_change": "0"})
        told = await boss.post("/top-ups/-/new", form)
        assert "由 100,000 条变为 102,500 条（+2,500 条，按现价 0.0385 元/条合 96.25 元）" in told
        assert await site.db.fetchval("SELECT balance FROM account WHERE name = 'hall'") == 100_000
        page = await boss.post("/top-ups/-/new", form | {"confirmed": "1"})
        assert "账号 hall 的余额现为 102,500 条。" in page
        out = {"account": clinic, "units_change": "-100", "note_why": "误充", "confirmed": "1"}
        await boss.post("/top-ups/-/new", out)
        await boss.post("/top-ups/-/new", out | {"units_change": "-1,000,000"})
        assert boss.status == 422, "never below the credit"

        page = await boss.get(f"/top-ups?account={hall}&note_why=2026-17")
        (line,) = cells(page)
        for text in ("+2,500", "¥96.2500", "102,500", "boss", "合同 2026-17"):
            assert text in line, (text, line)
        (line,) = cells(await boss.get("/top-ups?handler=boss&note_why=误充"))
        assert "-100" in line
        assert cells(await boss.get("/top-ups?time=yesterday")) == []
        total = await boss.get("/top-ups/-/total?handler=boss")
        assert re.sub(r"<[^>]+>|\s", "", total).count("2,500") == 1
        assert "100" in total
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'account.topup' AND actor = 'boss'") == 2
    async with Browser(site) as cashier:
        await cashier.login("hall-op")
        page = await cashier.get("/top-ups")
        assert "合同 2026-17" in page
        assert "误充" not in page, "of another's account"
        assert "/top-ups/-/new" not in page
        await cashier.get("/top-ups/-/new")
        assert cashier.status == 403
