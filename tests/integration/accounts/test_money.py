"""Balance, use, prices and the check of the books: each debit is at the price of when it was booked, and stays so."""

from __future__ import annotations

import asyncio
import itertools
from datetime import date, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest
from api_server import Api
from changes import by_test
from ledger import BALANCE, NODE, Ledger

from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA, first_id
from smsgw.core.model import OutcomeKind
from smsgw.platform.accounts import (
    prices,
    queries as account_queries,
    rebates,
    reconciliation,
    service as accounts,
    top_ups,
)
from smsgw.platform.accounts.queries import id_of
from smsgw.platform.accounts.rebates import WantedRebates
from smsgw.platform.accounts.top_ups import WantedTopUps
from smsgw.platform.paging import Window
from smsgw.platform.statements import queries as statements
from smsgw.platform.statements.model import Bill
from smsgw.store.engine import partitions
from smsgw.store.messages.accepting import commit_calls
from smsgw.store.messages.calls import NewCall


async def test_use_by_key_account_and_department(api: Api) -> None:
    db = api.ctx.db
    hall = await accounts.add(by_test(db), "hall", default_sign="大厅", parent="acme", department="办事大厅",
                              credit_floor=-100, units_notice=3, unit_price="0.0385")  # fmt: skip
    beside = await accounts.add(by_test(db), "beside", default_sign="旁边", credit_floor=-100)
    key, other = await api.add_key(hall), await api.add_key(beside)
    serial = itertools.count()

    async def send(key: object, n: int, kind: str) -> None:
        to = [f"138{next(serial):08d}" for _ in range(n)]
        answer = await api.post("/messages", {"to": to, "content": "您好", "type": kind}, key=key)
        assert answer.status == 202

    await send(api.key, 2, "notice")
    await send(key, 3, "notice")
    await send(key, 4, "otp")
    await send(other, 5, "otp")
    mine = (await api.get("/usage")).data["items"]
    today = datetime.now(CHINA).date().isoformat()
    assert mine == [{"day": today, "messages": 2, "parts": 2, "units": 2, "refunded": 0, "amount": "0.0000"}]
    below = (await api.get("/usage?group=account,department,key,type&below=true")).data["items"]
    assert [(i["account"], i.get("department", ""), i["key"], i["type"], i["units"], i["amount"]) for i in below] == [
        ("acme", "", api.key.key_id, "notice", 2, "0.0000"),
        ("hall", "办事大厅", key.key_id, "notice", 9, "0.3465"),
        ("hall", "办事大厅", key.key_id, "otp", 4, "0.1540"),
    ]
    total = (await api.get(f"/usage?group=type&from_day={today}&to_day={today}", key=key)).data["items"]
    assert [(i["type"], i["units"]) for i in total] == [("notice", 9), ("otp", 4)]
    for wrong in ("group=channel", "from_day=2026-02-30", "from_day=2020-01-01&to_day=2026-01-01"):
        assert (await api.get(f"/usage?{wrong}")).code == "PARAM_INVALID"
    assert (await api.get("/usage", key=await api.add_key(scopes=("send",)))).code == "SCOPE_DENIED"
    balance = (await api.get("/balance", key=key)).data
    assert (balance["billing"], balance["balance"], balance["available"]) == ("postpaid", -13, 87)
    assert (await api.get("/balance")).data["used_day"] == 9  # those below included


async def test_many_at_once_and_the_balance_ends_at_its_floor(api: Api) -> None:
    poor = await accounts.add(by_test(api.ctx.db), "poor", default_sign="测试", credit_floor=-7)
    await accounts.top_up(by_test(api.ctx.db, api.ctx.ids), poor, 30, "")
    key = await api.add_key(poor)

    async def send(n: int) -> str:
        body = {"to": [f"138{n:07d}0", f"138{n:07d}1"], "content": "您好"}
        return (await api.post("/messages", body, key=key)).code

    codes = await asyncio.gather(*(send(n) for n in range(100)))
    assert codes.count("OK") == 18
    assert set(codes) == {"OK", "BALANCE_INSUFFICIENT"}
    money = await account_queries.balance(api.ctx.db, poor)
    assert money.available == 1
    lines = {line.account: line for line in await reconciliation.check_ledger(api.ctx.db)}
    assert lines["poor"].problems == []
    assert (lines["poor"].debits, lines["poor"].paid) == (36, {"queued": 36})


async def test_the_check_finds_what_was_tampered_with(ledger: Ledger) -> None:
    ledger.balanced = False
    await ledger.accept(parts=2)
    (claimed, other) = await ledger.claim()
    await ledger.answer(OutcomeKind.REFUSED, claimed)
    await ledger.answer(OutcomeKind.ACCEPTED, other)
    (line,) = await reconciliation.check_ledger(ledger.database)
    assert (line.problems, line.refundable, line.paid) == ([], 1, {"submitted": 1})

    async def found(sql: str) -> str:
        async with ledger.connection.transaction():
            await ledger.change(sql)
        (line,) = await reconciliation.check_ledger(ledger.database)
        return " ".join(line.problems)

    for problem, wrong, right in (
        ("balance", "account SET balance = balance + 1", "account SET balance = balance - 1"),
        ("price of the messages", "message SET price = 4", "message SET price = 2"),
        ("refunds", "ledger SET units = 2 WHERE kind = 'refund'", "ledger SET units = 1 WHERE kind = 'refund'"),
    ):
        assert problem in await found(f"UPDATE {wrong}")
        assert await found(f"UPDATE {right}") == ""
    # Not a change of state: the row itself was tampered with, past the table of transitions.
    await ledger.change("ALTER TABLE part DISABLE TRIGGER watch")
    assert "other parts" in await found("UPDATE part SET state = 46 WHERE state = 30")


async def test_the_check_leaves_out_what_is_past_its_retention(ledger: Ledger) -> None:
    old = datetime.now(CHINA) - timedelta(days=200)
    await partitions.ensure(ledger.connection, old.date())
    ledger._ms = itertools.count(int(old.timestamp() * 1000))
    for _ in range(3):
        await ledger.accept()
    ledger._ms = itertools.count(int(ledger.clock.timestamp() * 1000))
    await ledger.accept()
    assert await ledger.problems() == []
    gone = first_id(old + timedelta(days=10))
    await ledger.change(*(f"DELETE FROM {table} WHERE id < {gone}" for table in ("message", "part")))  # noqa: S608
    assert await ledger.problems() == []
    assert await ledger.balance() == BALANCE - 4


async def test_the_books_are_sums_over_calls_batches_and_keys(ledger: Ledger) -> None:
    """Several calls of one account in one batch, and again in the next; each of them is debited by itself."""
    ledger.balanced = False  # the units are not those of the parts
    batches = [[(1, 1, 5), (2, 1, 7), (3, 2, 11)], [(1, 3, 2)]]
    entered = [[ledger.call(parts=p, messages=m, units=u) for p, m, u in batch] for batch in batches]
    for calls in entered:
        await ledger.store(*calls)
    assert await ledger.balance() == BALANCE - 25
    row = await ledger.connection.fetchrow("SELECT messages, parts, units, refunded FROM usage_day")
    assert tuple(row) == (7, 12, 25, 0)
    assert await ledger.connection.fetchval("SELECT parts FROM quota_used") == 12
    debits = await ledger.connection.fetch("SELECT id, units FROM ledger WHERE kind = 'debit' ORDER BY id")
    assert [tuple(debit) for debit in debits] == [(c.batch_id, -c.units) for calls in entered for c in calls]


async def test_use_is_of_the_day_of_its_ledger_entry_whenever_it_was_taken(ledger: Ledger) -> None:
    """What was set apart before a month's end and stored after it is in the bill of the month whose ledger has it."""
    now = datetime.now(CHINA)
    before = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) - timedelta(minutes=1)
    await partitions.ensure(ledger.connection, before.date())
    ledger.age((now - before) / timedelta(days=1))
    await ledger.store(ledger.call(parts=3))
    booked = await ledger.connection.fetchval(
        "SELECT (at AT TIME ZONE 'Asia/Shanghai')::date FROM ledger WHERE kind = 'debit'"
    )
    assert booked > before.date()
    assert await ledger.connection.fetchval("SELECT day FROM usage_day") == booked
    assert await ledger.connection.fetchval("SELECT day FROM quota_used") == before.date(), "the quota of its own day"


async def test_use_is_summed_over_what_it_is_not_asked_by(ledger: Ledger) -> None:
    today = datetime.now(CHINA).date()
    yesterday, before = today - timedelta(days=1), today - timedelta(days=2)
    beside = await accounts.add(by_test(ledger.database), "beside", default_sign="旁边")
    await accounts.edit(by_test(ledger.database), await id_of(ledger.database, "shop"), {"unit_price": "0.05"})
    rows = [
        (ledger.account_id, today, "k1", "otp", 1, 2, 30, 4),
        (ledger.account_id, today, "k2", "otp", 10, 20, 300, 40),
        (ledger.account_id, yesterday, "k1", "notice", 100, 200, 3000, 400),
        (ledger.account_id, before, "k1", "notice", 1000, 2000, 30000, 4000),
        (beside, today, "k3", "otp", 5, 5, 5, 5),
    ]
    columns = "account_id, day, submitter, type, messages, parts, units, refunded"
    await ledger.connection.executemany(
        f"INSERT INTO usage_day ({columns}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",  # noqa: S608
        rows,
    )
    ledger.balanced = False

    async def asked(*group: str, first: date = yesterday, last: date = today) -> list[tuple[object, ...]]:
        lines = await account_queries.usage(
            ledger.database, first=first, last=last, group=group, accounts=[ledger.account_id]
        )
        return [(*(line.keys.values()), line.messages, line.parts, line.units, line.refunded) for line in lines]

    assert await asked("account") == [("shop", 111, 222, 3330, 444)]
    assert await asked("day") == [(yesterday, 100, 200, 3000, 400), (today, 11, 22, 330, 44)]
    assert await asked("key", last=yesterday, first=before) == [("k1", 1100, 2200, 33000, 4400)]
    (line,) = await account_queries.usage(
        ledger.database, first=today, last=today, group=("type",), accounts=[ledger.account_id]
    )
    assert line.amount == (330 - 44) * Decimal("0.05")


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
    return await ledger.connection.fetchval(_BY_ENTRY, ledger.account_id)


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
async def test_what_is_booked_behind_a_change_of_price_has_the_new_one(ledger: Ledger, waited: timedelta) -> None:
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
