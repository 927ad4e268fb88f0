"""充值管理: units are put in after their effect was told; what was put in is found, summed and taken away."""

from __future__ import annotations

import re

import pytest
from portal_site import Site, by_test
from visits import signed_in, table_rows

from smsgw.platform.accounts import service as accounts

pytestmark = pytest.mark.staff(boss="super")


async def test_units_are_put_in_with_their_effect_told_and_stand_in_the_book(site: Site) -> None:
    hall, clinic = str(site.accounts["hall"]), str(site.accounts["clinic"])
    await accounts.edit(by_test(site.db), site.accounts["hall"], {"unit_price": "0.0385"})
    async with signed_in(site, "boss") as boss:
        form = {"account": hall, "units_change": "2,500", "note_why": "合同 2026-17"}
        assert "请填写不为 0 的条数" in await boss.post("/top-ups/-/new", form | {"units_change": "0"})
        told = await boss.post("/top-ups/-/new", form)
        assert "由 100,000 条变为 102,500 条（+2,500 条，按现价 0.0385 元/条合 96.25 元）" in told
        assert await site.db.fetchval("SELECT balance FROM account WHERE name = 'hall'") == 100_000
        assert "账号 hall 的余额现为 102,500 条。" in await boss.post("/top-ups/-/new", form | {"confirmed": "1"})
        out = {"account": clinic, "units_change": "-100", "note_why": "误充", "confirmed": "1"}
        await boss.post("/top-ups/-/new", out)
        await boss.post("/top-ups/-/new", out | {"units_change": "-1,000,000"})
        assert boss.status == 422, "never below the credit"

        page = await boss.get(f"/top-ups?account={hall}&note_why=2026-17")
        (line,) = table_rows(page)
        for text in ("+2,500", "¥96.2500", "102,500", "boss", "合同 2026-17"):
            assert text in line, (text, line)
        (line,) = table_rows(await boss.get("/top-ups?handler=boss&note_why=误充"))
        assert "-100" in line
        assert table_rows(await boss.get("/top-ups?time=yesterday")) == []
        total = await boss.get("/top-ups/-/total?handler=boss")
        assert re.sub(r"<[^>]+>|\s", "", total).count("2,500") == 1
        assert "100" in total
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'account.topup' AND actor = 'boss'") == 2
