"""Balance, use and the check of the books."""

from __future__ import annotations

import asyncio
import itertools
from datetime import date, datetime, timedelta
from decimal import Decimal

from api_server import Api
from changes import by_test
from ledger import BALANCE, Ledger

from smsgw.core.ids import CHINA, first_id
from smsgw.core.model import OutcomeKind
from smsgw.platform.accounts import queries as account_queries
from smsgw.platform.accounts import reconciliation
from smsgw.platform.accounts import service as accounts
from smsgw.platform.accounts.queries import id_of
from smsgw.store.engine import partitions


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
    assert money is not None
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
