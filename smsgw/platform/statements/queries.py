"""What a month comes to, and its mails."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import NoneType
from typing import Annotated

from smsgw.core.actor import Actor
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import queries as accounts
from smsgw.platform.accounts.prices import PRICED
from smsgw.platform.evidence import queries as evidence
from smsgw.platform.exclusions import queries as exclusions
from smsgw.platform.listing import Listing, of_accounts
from smsgw.platform.paging import MOST, Order, Slice, Window, read
from smsgw.platform.statements.model import Bill, BillLine, Day, Mail, PriceLine, Receivers, Statement, last_of
from smsgw.platform.statistics import reports, success
from smsgw.platform.statistics.reports import Wanted
from smsgw.platform.statistics.success import WantedSuccess
from smsgw.store.engine.database import Database, Row

_ACCOUNT = "SELECT id, name, display_name FROM account WHERE id = $1"

_PRICES = f"""
SELECT price, sum(units)::bigint, sum(refunded)::bigint FROM {PRICED} u
WHERE account_id = $3 AND (units <> 0 OR refunded <> 0) GROUP BY price ORDER BY price
"""  # noqa: S608 - constants


async def statement(database: Database, actor: Actor, account_id: int, month: date, now: datetime) -> Statement | None:
    """An account's month, with its money for who may see balances; None: the actor does not see it."""
    scope = actor.scope.whole
    row = await database.fetchrow(_ACCOUNT, account_id) if scope is None or account_id in scope else None
    if row is None:
        return None
    last = last_of(month)
    wanted = Wanted(month, last, account=account_id)
    roots = {day: (root, n) for day, root, n in await evidence.roots(database, month, last + timedelta(days=1))}
    days = []
    for one in await reports.periods(database, actor, wanted):
        root, leaves = roots.get(one.day, ("", None)) if one.day else ("", None)
        days.append(Day(one, root, leaves))
    counted = WantedSuccess(month, last, account=account_id)
    versions = await exclusions.in_force(database, month, last)
    rules = [
        found for n in versions if n and (found := await exclusions.EXCLUSIONS.get(database, actor, n)) is not None
    ]
    channels = await success.search(database, actor, counted, Window("counted_rate", False, limit=MOST))
    money = actor.may(Permission.BALANCE_VIEW)
    used = await accounts.usage(database, first=month, last=last, group=("type",), accounts=(account_id,))
    bill = [BillLine(str(u.keys["type"]), u.parts, u.units, u.refunded, u.amount if money else None) for u in used]
    prices = [PriceLine(*row) for row in await database.fetch(_PRICES, month, last, account_id)] if money else None
    return Statement(
        account_id, row["name"], row["display_name"] or row["name"], month, now,
        await reports.totals(database, actor, wanted), bill, prices, days,
        await success.totals(database, actor, counted), channels.rows, versions, rules,
    )  # fmt: skip


# Rounded by account, so that what stands below each other adds up.
_BILLS = f"""
FROM (
    SELECT a.id, a.name AS account, COALESCE(NULLIF(a.display_name, ''), a.name) AS name, sum(u.parts)::bigint AS parts,
           sum(u.units)::bigint AS units, sum(u.refunded)::bigint AS refunded,
           COALESCE(array_agg(DISTINCT u.price) FILTER (WHERE u.units <> 0 OR u.refunded <> 0),
                    ARRAY[]::numeric[]) AS prices,
           round(sum((u.units - u.refunded) * u.price), 2) AS amount
    FROM {PRICED} u JOIN account a ON a.id = u.account_id
    WHERE a.id > 0 AND ($3::bigint[] IS NULL OR a.id = ANY($3))
      AND ($4::text IS NULL OR u.submitter = $4) AND ($5::bigint IS NULL OR a.id = $5)
    GROUP BY a.id
) b
"""  # noqa: S608 - constants
_BILL_PAGE = f"SELECT b.*, {{key}} AS _key {_BILLS} WHERE {{where}} ORDER BY {{order}}"
_BILL_COUNT = f"SELECT count(*) {_BILLS}"
_BILL_TOTAL = f"""
SELECT COALESCE(sum(parts), 0)::bigint AS parts, COALESCE(sum(units), 0)::bigint AS units,
       COALESCE(sum(refunded), 0)::bigint AS refunded, COALESCE(sum(amount), 0)::numeric AS amount {_BILLS}
"""
_BILL_ORDERS = {"account": Order("b.account", "text"), "net": Order("b.units - b.refunded", "bigint")}


def _billed(actor: Actor, month: date, account_id: int | None) -> tuple[object, ...]:
    seen, submitter = actor.scope.narrowed
    return month, last_of(month), None if seen is None else list(seen), submitter, account_id


def _bill(row: Row) -> Bill:
    return Bill(**{key: row[key] for key in Bill.__dataclass_fields__ if key != "prices"}, prices=tuple(row["prices"]))


async def bills(
    database: Database, actor: Actor, window: Window, month: date, account_id: int | None = None
) -> Slice[Bill]:
    """What a month comes to, by account in the scope; of who sees their own messages alone, by these."""
    return await read(database, _BILL_PAGE, _billed(actor, month, account_id), _BILL_ORDERS, window, _bill, id_="b.id")


async def how_many_bills(database: Database, actor: Actor, month: date, account_id: int | None = None) -> int:
    """How many accounts have any."""
    number: int = await database.fetchval(_BILL_COUNT, *_billed(actor, month, account_id))
    return number


async def bills_together(database: Database, actor: Actor, month: date, account_id: int | None = None) -> Bill:
    """All of them."""
    row = await database.fetchrow(_BILL_TOTAL, *_billed(actor, month, account_id))
    assert row is not None  # noqa: S101 - a sum has a row
    return Bill(0, "", "", row["parts"], row["units"], row["refunded"], (), row["amount"])


RECEIVERS = Listing(
    Receivers,
    NoneType,
    "statement_receiver r JOIN account a ON a.id = r.account_id",
    seen=of_accounts("r.account_id"),
    orders={"account": Order("a.name", "text")},
)


@dataclass(frozen=True, slots=True)
class MailFilter:
    """Which mails are looked for."""

    account: Annotated[int | None, "m.account_id = {value}"] = None
    mail_state: Annotated[str, "m.state = {value}"] = ""
    month: Annotated[str, "to_char(m.month, 'YYYY-MM') = {value}"] = ""
    receiver: Annotated[str, "strpos(m.receiver, {value}) > 0"] = ""


MAILS = Listing(
    Mail,
    MailFilter,
    "statement_mail m JOIN account a ON a.id = m.account_id",
    seen=of_accounts("m.account_id"),
    orders={"month": Order("to_char(m.month, 'YYYYMMDD')", "text")},
)
