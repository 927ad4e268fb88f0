"""Prices: each debit is at the one in force when it was booked, and stays so; a refund is at that of its debit."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest
from changes import by_test
from ledger import NODE, Ledger

from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.core.model import OutcomeKind
from smsgw.platform.accounts import prices, rebates, top_ups
from smsgw.platform.accounts import queries as account_queries
from smsgw.platform.accounts import service as accounts
from smsgw.platform.accounts.rebates import WantedRebates
from smsgw.platform.accounts.top_ups import WantedTopUps
from smsgw.platform.paging import Window
from smsgw.platform.statements import queries as statements
from smsgw.platform.statements.model import Bill
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import NewCall

_BY_ENTRY = f"""
SELECT COALESCE(-sum(l.units * {prices.OF_ENTRY}), 0) FROM ledger l
WHERE l.account_id = $1 AND l.kind IN ('debit', 'refund')
"""  # noqa: S608 - constants


def today() -> date:
    return datetime.now(CHINA).date()


async def priced(ledger: Ledger, price: str) -> None:
    await accounts.edit(by_test(ledger.database), ledger.account_id, {"unit_price": price})


async def bill(ledger: Ledger, month: date | None = None) -> Bill:
    found = await statements.bills(
        ledger.database, Actor.system("test"), Window("account"), month or today().replace(day=1), ledger.account_id
    )
    return found.rows[0]


async def by_entry(ledger: Ledger) -> Decimal:
    """What the entries of the ledger come to, one by one."""
    amount: Decimal = await ledger.connection.fetchval(_BY_ENTRY, ledger.account_id)
    return amount


async def used(ledger: Ledger) -> Decimal:
    lines = await account_queries.usage(
        ledger.database, first=today() - timedelta(days=1), last=today(), group=("account",),
        accounts=[ledger.account_id],
    )  # fmt: skip
    return sum((line.amount for line in lines), Decimal())


async def test_a_new_price_leaves_what_was_booked_as_it_is(ledger: Ledger) -> None:
    await ledger.accept(parts=16)
    for price in ("0.0385", "0.0400"):
        await priced(ledger, price)
        assert (await bill(ledger)).amount == 0, price
    await ledger.accept(parts=10)
    await priced(ledger, "0.0385")
    await ledger.accept(parts=7)
    one = await bill(ledger)
    assert (one.units, one.amount) == (33, Decimal("0.67")), "16 for nothing, 10 at 0.0400, 7 at 0.0385: 0.6695"
    assert one.prices == (0, Decimal("0.0385"), Decimal("0.0400"))
    assert await by_entry(ledger) == await used(ledger) == Decimal("0.6695")
    history = await prices.history(ledger.database, ledger.account_id)
    assert [str(price.price) for price in history] == ["0.0385", "0.0400", "0.0385", "0.0000"]
    assert [price.since is None for price in history] == [False, False, False, True]


async def test_a_refund_is_at_the_price_of_its_debit(ledger: Ledger) -> None:
    ledger.follow_the_clock()
    await priced(ledger, "0.0385")
    await ledger.accept(parts=4)
    before = await ledger.claim()
    await priced(ledger, "0.0400")
    ledger.follow_the_clock()
    await ledger.accept(parts=3)
    after = await ledger.claim()
    await ledger.answer(OutcomeKind.REFUSED, *before[:2], *after[:1])
    assert await used(ledger) == await by_entry(ledger) == 2 * Decimal("0.0385") + 2 * Decimal("0.0400")
    await priced(ledger, "1")
    await ledger.answer(OutcomeKind.REFUSED, *before[2:], *after[1:])
    assert await used(ledger) == await by_entry(ledger) == 0
    assert (await bill(ledger)).amount == 0
    found = await rebates.search(ledger.database, WantedRebates(None, None), Window("time"), accounts=None)
    assert sorted(row["amount"] for row in found.rows) == sorted(
        Decimal(amount) for amount in ("0.0770", "0.0770", "0.0400", "0.0800")
    )


@pytest.mark.parametrize("waited", [timedelta(seconds=30), timedelta(hours=20)])
async def test_what_was_set_apart_before_a_change_and_booked_behind_it_has_the_new_price(
    ledger: Ledger, waited: timedelta
) -> None:
    ledger.follow_the_clock()
    await priced(ledger, "0.0385")
    await ledger.accept()
    await priced(ledger, "0.0400")
    ledger.follow_the_clock()
    ledger.age(waited / timedelta(days=1))
    await ledger.accept()
    claimed = await ledger.claim()
    await ledger.answer(OutcomeKind.REFUSED, *claimed)
    assert await used(ledger) == await by_entry(ledger) == 0
    refunds = await ledger.connection.fetch("SELECT price FROM ledger WHERE kind = 'refund' ORDER BY price")
    assert [row["price"] for row in refunds] == [Decimal("0.0385"), None]


async def test_every_entry_has_one_price_while_it_changes_all_the_time(ledger: Ledger) -> None:
    """The sums of the day and the entries one by one come to the same, whoever waits for whom."""
    ledger.follow_the_clock()
    await priced(ledger, "0.0001")
    calls = [[ledger.call(units=1) for _ in range(3)] for _ in range(60)]
    ledger.balanced = False  # the units are not those of the parts

    async def accepts(some: list[list[NewCall]]) -> None:
        for each in some:
            async with ledger.database.transaction() as connection:
                await commit_calls(connection, each, again=False, node=NODE)

    async def changes() -> None:
        for n in range(2, 32):
            await priced(ledger, f"0.{n:04}")

    await asyncio.gather(*(accepts(calls[n::3]) for n in range(3)), changes())
    assert await used(ledger) == await by_entry(ledger) > 0
    assert len(await prices.history(ledger.database, ledger.account_id)) == prices.MOST


async def test_a_month_that_is_over_does_not_change(ledger: Ledger) -> None:
    """Not even the program may change which price held when."""
    await priced(ledger, "0.0385")
    month = (today().replace(day=1) - timedelta(days=1)).replace(day=1)
    await ledger.connection.execute(
        "INSERT INTO usage_day VALUES ($1, $2, 'k', 'otp', 16, 16, 16, 0)", ledger.account_id, month
    )
    backdated = "UPDATE account_price SET valid_from = '2000-01-01' WHERE price > 0"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ledger.connection.execute(backdated)
    await ledger.change(backdated)
    before = await bill(ledger, month)
    assert (before.units, before.amount) == (16, Decimal("0.62"))
    await priced(ledger, "0.0400")
    assert await bill(ledger, month) == before


async def test_top_ups_are_shown_at_the_price_of_their_time(ledger: Ledger) -> None:
    await priced(ledger, "0.0385")
    change = by_test(ledger.database, ledger.ids.next)
    await accounts.top_up(change, ledger.account_id, 1000, "one")
    await priced(ledger, "0.0400")
    await accounts.top_up(change, ledger.account_id, 1000, "two")
    found = await top_ups.search(ledger.database, WantedTopUps(None, None), Window("time"), accounts=None)
    assert [row["amount"] for row in found.rows if row["note"]] == [40, Decimal("38.5")]


async def test_a_new_account_below_another_takes_its_price(ledger: Ledger) -> None:
    change = by_test(ledger.database)
    await accounts.edit(change, ledger.account_id, {"unit_price": "0.0385", "units_marketing": 2})
    await accounts.add(change, "below", default_sign="下级", parent="shop")
    await accounts.add(change, "agreed", default_sign="下级", parent="shop", unit_price="0.03")
    await accounts.add(change, "beside", default_sign="旁边")
    rows = await ledger.connection.fetch("SELECT * FROM account WHERE id > 0")
    found = {row["name"]: (str(row["unit_price"]), row["units_marketing"], row["units_otp"]) for row in rows}
    assert found == {
        "shop": ("0.0385", 2, 1), "below": ("0.0385", 2, 1), "agreed": ("0.0300", 2, 1), "beside": ("0.0000", 1, 1),
    }  # fmt: skip
    for name, price in (("below", "0.0385"), ("agreed", "0.0300")):
        id_ = await account_queries.id_of(ledger.database, name)
        (only,) = await prices.history(ledger.database, id_)
        assert (str(only.price), only.since) == (price, None), "of its beginning: nothing was booked before"
