"""Money of an account as pages: what is put in, what goes back for a message, and rebates by rule."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import date, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from browsing import Browser, send, shows
from databases import change
from days import this_month
from portal_site import Site, by_test
from visits import boss, fails, table_rows, taken_away

from smsgw.core.errors import Invalid
from smsgw.core.ids import CHINA
from smsgw.core.states import PartState
from smsgw.platform.accounts import rebate_rules, reconciliation, service as accounts
from smsgw.platform.accounts.rebate_rules import Draft, Rebating

__all__ = ["boss"]
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
    back = "SELECT id, units, balance FROM ledger WHERE account_id = $1 AND kind = 'refund' ORDER BY id"
    refunds = [(ids[0], 1, 99_996), (ids[1], 2, 99_998), (ids[2], 2, 100_000)]
    assert list(map(tuple, await site.db.fetch(back, hall))) == refunds
    assert [row["balance"] for row in await site.db.fetch(back, site.accounts["clinic"])] == [100_000]
    assert await balance(site, "hall") == 100_000


async def test_what_went_back_is_found_by_account_and_message_and_taken_away(site: Site, boss: Browser) -> None:
    first = await send(site, to="13800138000", content="好" * 100)
    second = await send(site, to="13800138001")
    third = await send(site, "clinic", to="13800138002")
    taken = await site.carrier_takes()
    failed = [one for one in taken if one[0] in (first, third)]
    await site.carrier_reports(failed, PartState.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER")
    await site.carrier_reports([one for one in taken if one[0] == second])
    balances = [await balance(site, name) for name in ("hall", "clinic")]
    assert balances == [100_000 - 1, 100_000], "what failed was given back"
    hall = site.accounts["hall"]
    for query, there in (("", {first, third}), (f"account={hall}", {first}), (f"message={third}", {third}),
                         ("time=yesterday", set())):  # fmt: skip
        page = await boss.get(f"/rebates?{query}")
        assert {int(id_) for id_ in re.findall(r'href="/records/(\d+)"', page)} == there, query
    page = await boss.get(f"/rebates?account={hall}")
    shows(page, "失败返还", "¥0.0770", "99,999")  # of two parts, and the balance after it
    assert "返还条数 3" in await boss.get("/rebates/-/total")
    rows = await taken_away(boss, "/rebates", f"account={hall}")
    assert (len([row for row in rows if "失败返还" in row]), str(first) in str(rows)) == (1, True)


def next_month() -> date:
    return (this_month() + timedelta(days=31)).replace(day=1)


def due() -> datetime:
    """When this month is settled."""
    return datetime.combine(next_month().replace(day=5), datetime.min.time(), CHINA) + timedelta(hours=9)


async def used(site: Site) -> None:
    """Of hall five messages, of which one has failed and was given back; of clinic one."""
    ids = [await send(site, to=f"138001380{n:02}") for n in range(5)]
    await send(site, "clinic", to="13800138010")
    taken = await site.carrier_takes()
    failed = [one for one in taken if one[0] == ids[0]]
    await site.carrier_reports(failed, PartState.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER")
    await site.carrier_reports([one for one in taken if one[0] != ids[0]])


async def ruled(site: Site, account: str, per_thousand: int, from_units: int = 0, month: date | None = None) -> int:
    draft = Draft(month or this_month(), per_thousand, from_units, "合同约定")
    return await rebate_rules.add(by_test(site.db), site.accounts[account], draft)


async def balance(site: Site, account: str) -> int:
    return int(await site.db.fetchval("SELECT balance FROM account WHERE id = $1", site.accounts[account]))


async def settled(site: Site, at: datetime | None = None) -> None:
    """By three nodes at the same time, each twice."""
    nodes = [Rebating(site.db, site.ids.next, lambda: at or due()) for _ in range(3)]
    for _ in range(2):
        await asyncio.gather(*(node.step() for node in nodes))


async def test_a_month_is_settled_once_by_the_rule_of_its_time(site: Site, boss: Browser) -> None:
    await used(site)
    rule = await ruled(site, "hall", 500, from_units=4)
    await ruled(site, "hall", 900, month=next_month())
    await ruled(site, "clinic", 1000, from_units=2)
    before = await balance(site, "hall")
    assert before == 100_000 - 4
    await settled(site, due() - timedelta(days=1))
    assert await balance(site, "hall") == before, "refunds of the month's last days may still come"
    await settled(site)
    assert await balance(site, "hall") == before + 2, "half of the four that were paid for"
    assert await balance(site, "clinic") == 100_000 - 1, "less than it takes"
    entry = await site.db.fetchrow("SELECT id, account_id, units, balance, note FROM ledger WHERE kind = 'rebate'")
    assert tuple(entry)[1:] == (site.accounts["hall"], 2, before + 2, f"{this_month():%Y-%m}")
    given = await site.db.fetch("SELECT object, after::text AS after FROM audit WHERE action = 'rebate.give'")
    assert [row["object"] for row in given] == [f"account/{site.accounts['hall']}"]
    assert json.loads(given[0]["after"])["paid"] == 4
    assert [line.problems for line in await reconciliation.check_ledger(site.db)] == [[]] * len(site.accounts)
    shows(await boss.get("/rebates"), f"/rebates/rules/{rule}", f"{before + 2:,}")
    assert re.findall(r'href="/rebates/rules/\d+"', await boss.get("/rebates?rebate_kind=refund")) == []
    only = await boss.get("/rebates?rebate_kind=rebate")
    assert re.findall(r'href="/records/\d+"', only) == []
    assert f"/rebates/rules/{rule}" in only
    assert "返还条数 2" in await boss.get("/rebates/-/total?rebate_kind=rebate")
    assert "每千条" in await boss.get(f"/rebates/rules/{rule}")


async def test_a_rule_holds_from_its_month_until_a_newer_ones(site: Site, boss: Browser) -> None:
    before = (this_month() - timedelta(days=1)).replace(day=1)
    old = await site.db.fetchval(
        "INSERT INTO rebate_rule (account_id, from_month, per_thousand, from_units, reason, made_by) "
        "VALUES ($1, $2, 10, 0, 'why', 'boss') RETURNING id", site.accounts["hall"], before,
    )  # fmt: skip
    rules = {"old": old, "now": await ruled(site, "hall", 20)}
    rules |= {name: await ruled(site, "hall", n, month=next_month()) for name, n in (("next", 30), ("instead", 40))}
    states = {"old": "已被取代", "now": "有效", "next": "已被取代", "instead": "待生效"}
    for name, id_ in rules.items():
        page = await boss.get(f"/rebates/rules/{id_}")
        assert [word for word in ("待生效", "已被取代", "有效") if f">{word}<" in page] == [states[name]], name


FAILS = (
    "CREATE FUNCTION test_fails() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''of this account''; END'",
    "CREATE TRIGGER test_fails BEFORE INSERT ON rebate FOR EACH ROW WHEN (NEW.account_id = {}) "
    "EXECUTE FUNCTION test_fails()",
)


async def test_an_account_that_fails_keeps_no_other_waiting_and_is_settled_months_later(site: Site) -> None:
    await used(site)
    first, second = sorted(("hall", "clinic"), key=site.accounts.__getitem__)
    for account in (first, second):
        await ruled(site, account, 1000)
    given = {account: 100_000 - await balance(site, account) for account in (first, second)}
    await change(site.db.dsn, *(statement.format(site.accounts[first]) for statement in FAILS))
    with pytest.raises(asyncpg.RaiseError):
        await Rebating(site.db, site.ids.next, due).step()
    assert {account: 100_000 - await balance(site, account) for account in given} == given | {second: 0}
    await change(site.db.dsn, "DROP TRIGGER test_fails ON rebate")
    await settled(site, due() + timedelta(days=95))
    assert {account: 100_000 - await balance(site, account) for account in given} == {first: 0, second: 0}
    late = "SELECT month, paid FROM rebate WHERE account_id = $1 ORDER BY month"
    months = await site.db.fetch(late, site.accounts[first])
    assert [row["paid"] for row in months] == [given[first], 0, 0, 0]
    assert [row["month"] for row in months[:2]] == [this_month(), next_month()]
    assert [line.problems for line in await reconciliation.check_ledger(site.db)] == [[]] * len(site.accounts)


async def test_a_rule_is_made_on_its_page_and_a_newer_one_takes_its_place(site: Site, boss: Browser) -> None:
    await used(site)
    form = {"account": str(site.accounts["hall"]), "from_month": f"{this_month():%Y-%m}", "per_thousand": "50",
            "from_units": "1000", "reason": "补充协议"}  # fmt: skip
    await boss.refused("/rebates/rules/-/new", form | {"per_thousand": "1001"})
    await boss.confirms("/rebates/rules/-/new", form, "每千条返还 50 条")
    assert boss.path == "/rebates/rules"
    await boss.confirms("/rebates/rules/-/new", form | {"per_thousand": "0"}, "不再返点")
    page = await boss.get("/rebates/rules")
    assert page.count("已被取代") == 1
    assert page.count(">有效") == 1
    before = await balance(site, "hall")
    await settled(site)
    assert await balance(site, "hall") == before
    for month, per, units, reason in ((this_month() - timedelta(days=1), 5, 0, "why"), (this_month(), 1001, 0, "why"),
                                      (this_month(), 5, -1, "why"), (this_month(), 5, 0, "")):  # fmt: skip
        draft = Draft(month, per, units, reason)
        await fails(Invalid, rebate_rules.add(by_test(site.db), site.accounts["hall"], draft))


async def test_units_are_put_in_with_their_effect_told_and_stand_in_the_book(site: Site, boss: Browser) -> None:
    hall, clinic = str(site.accounts["hall"]), str(site.accounts["clinic"])
    form = {"account": hall, "units_change": "2,500", "note_why": "合同 2026-17"}
    assert "请填写不为 0 的条数" in await boss.post("/top-ups/-/new", form | {"units_change": "0"})
    shows(await boss.post("/top-ups/-/new", form), "由 100,000 条变为 102,500 条", "按现价 0.0385 元/条合 96.25 元")
    assert await site.db.fetchval("SELECT balance FROM account WHERE name = 'hall'") == 100_000
    assert "账号 hall 的余额现为 102,500 条。" in await boss.post("/top-ups/-/new", form | {"confirmed": "1"})
    out = {"account": clinic, "units_change": "-100", "note_why": "误充", "confirmed": "1"}
    await boss.post("/top-ups/-/new", out)
    assert await boss.status_of("/top-ups/-/new", out | {"units_change": "-1,000,000"}) == 422, "never below the credit"

    (line,) = table_rows(await boss.get(f"/top-ups?account={hall}&note_why=2026-17"))
    shows(line, "+2,500", "¥96.2500", "102,500", "boss", "合同 2026-17")
    (line,) = table_rows(await boss.get("/top-ups?handler=boss&note_why=误充"))
    assert "-100" in line
    assert table_rows(await boss.get("/top-ups?time=yesterday")) == []
    total = re.sub(r"<[^>]+>|\s", "", await boss.get("/top-ups/-/total?handler=boss"))
    assert (total.count("2,500"), "100" in total) == (1, True)
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'account.topup' AND actor = 'boss'") == 2
