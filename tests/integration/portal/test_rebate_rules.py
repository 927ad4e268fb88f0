"""Rebates by rule: a month that is over is settled once, in the ledger, and stands among what went back."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import date, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from browsing import send, shows
from databases import change
from days import this_month
from portal_site import Site, by_test
from visits import signed_in

from smsgw.core.errors import Invalid
from smsgw.core.ids import CHINA
from smsgw.core.states import PartState
from smsgw.platform.accounts import rebate_rules, reconciliation
from smsgw.platform.accounts import service as accounts
from smsgw.platform.accounts.rebate_rules import Draft, Rebating


def next_month() -> date:
    return (this_month() + timedelta(days=31)).replace(day=1)


def due() -> datetime:
    """When this month is settled."""
    return datetime.combine(next_month().replace(day=5), datetime.min.time(), CHINA) + timedelta(hours=9)

pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    """Of hall five messages, of which one has failed and was given back; of clinic one."""
    by = by_test(site.db)
    await accounts.edit(by, site.accounts["hall"], {"refund_failed": "true"})
    await site.snapshots.follow()
    ids = [await send(site, to=f"138001380{n:02}") for n in range(5)]
    await send(site, "clinic", to="13800138010")
    taken = await site.carrier_takes()
    failed = [one for one in taken if one[0] == ids[0]]
    await site.carrier_reports(failed, PartState.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER")
    await site.carrier_reports([one for one in taken if one[0] != ids[0]])
    return site


async def ruled(site: Site, account: str, per_thousand: int, from_units: int = 0, month: date | None = None) -> int:
    draft = Draft(month or this_month(), per_thousand, from_units, "合同约定")
    return await rebate_rules.add(by_test(site.db), site.accounts[account], draft)


async def balance(site: Site, account: str) -> int:
    found: int = await site.db.fetchval("SELECT balance FROM account WHERE id = $1", site.accounts[account])
    return found


async def settled(site: Site, at: datetime | None = None) -> None:
    """By three nodes at the same time, each twice."""
    nodes = [Rebating(site.db, site.ids.next, lambda: at or due()) for _ in range(3)]
    for _ in range(2):
        await asyncio.gather(*(node.step() for node in nodes))


async def test_a_month_is_settled_once_by_the_rule_of_its_time(site: Site) -> None:
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
    async with signed_in(site, "boss") as boss:
        shows(await boss.get("/rebates"), f"/rebates/rules/{rule}", f"{before + 2:,}")
        assert re.findall(r'href="/rebates/rules/\d+"', await boss.get("/rebates?rebate_kind=refund")) == []
        only = await boss.get("/rebates?rebate_kind=rebate")
        assert re.findall(r'href="/records/\d+"', only) == []
        assert f"/rebates/rules/{rule}" in only
        assert "返还条数 2" in await boss.get("/rebates/-/total?rebate_kind=rebate")
        assert "每千条" in await boss.get(f"/rebates/rules/{rule}")


async def test_a_rule_holds_from_its_month_until_a_newer_ones(site: Site) -> None:
    before = (this_month() - timedelta(days=1)).replace(day=1)
    old = await site.db.fetchval(
        "INSERT INTO rebate_rule (account_id, from_month, per_thousand, from_units, reason, made_by) "
        "VALUES ($1, $2, 10, 0, 'why', 'boss') RETURNING id", site.accounts["hall"], before,
    )  # fmt: skip
    rules = {"old": old, "now": await ruled(site, "hall", 20)}
    rules |= {name: await ruled(site, "hall", n, month=next_month()) for name, n in (("next", 30), ("instead", 40))}
    states = {"old": "已被取代", "now": "有效", "next": "已被取代", "instead": "待生效"}
    async with signed_in(site, "boss") as boss:
        for name, id_ in rules.items():
            page = await boss.get(f"/rebates/rules/{id_}")
            assert [word for word in ("待生效", "已被取代", "有效") if f">{word}<" in page] == [states[name]], name


FAILS = (
    "CREATE FUNCTION test_fails() RETURNS trigger LANGUAGE plpgsql AS "
    "'BEGIN RAISE EXCEPTION ''of this account''; END'",
    "CREATE TRIGGER test_fails BEFORE INSERT ON rebate FOR EACH ROW WHEN (NEW.account_id = {}) "
    "EXECUTE FUNCTION test_fails()",
)


async def test_an_account_that_fails_keeps_no_other_waiting_and_is_settled_months_later(site: Site) -> None:
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


async def test_a_rule_is_made_on_its_page_and_a_newer_one_takes_its_place(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
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
        with pytest.raises(Invalid):
            await rebate_rules.add(by_test(site.db), site.accounts["hall"], draft)
