"""Sending accounts (P11.1, 业务管理): the tree of them, what each may, costs and has left; made, stopped, started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import account_route, accounts as words, webhooks
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import listing, prices, service
from smsgw.platform.accounts.listing import Belongings, Reach, WantedAccounts
from smsgw.platform.accounts.prices import Price
from smsgw.platform.org import queries as org

PATH = "/accounts"
MENU = Entry("connect.accounts", PATH, Permission.ACCOUNT_VIEW)
NAMES = 5
"""Accounts that an effect names."""
CHANNELS = 3
"""Of those that an account uses most, a detail leads to."""
FILTER = Filter(
    (
        Field("name", label="account"), Field("department", FieldKind.CHOICE),
        Field("status", FieldKind.CHOICE, choices=words.STANDING), Field("parent", FieldKind.CHOICE, "parent_account"),
        Field("protocol", FieldKind.CHOICE, "protocols", choices=words.PROTOCOL, more=True),
    ),
    period=None,
)  # fmt: skip


def _today(row: Any) -> str | None:
    """Of the day's limit; without one nothing is counted."""
    return f"{row['used_day'] or 0:,} / {row['quota_day']:,}" if row["quota_day"] else None


COLUMNS = (
    Column("path", Cell.USER, "account", sort=True, phone=Phone.TITLE,
           value=lambda row: (row["display_name"] or row["name"], row["path"])),
    Column("department", value=lambda row: row["department_name"] or None, phone=Phone.SECOND),
    Column("unit_price", Cell.PRICE, permission=Permission.BALANCE_VIEW, phone=Phone.AWAY),
    Column("protocols", Cell.TAGS, words=words.PROTOCOL, phone=Phone.AWAY),
    Column("rate", Cell.NUMBER, "account_rate", phone=Phone.AWAY),
    Column("quota_today", value=_today, phone=Phone.AWAY),
    Column("balance", Cell.NUMBER, permission=Permission.BALANCE_VIEW, sort=True),
    Column("status", Cell.STATE, words=words.STANDING, tones=words.STANDING_TONE, phone=Phone.BESIDE,
           value=lambda row: row["standing"]),
    Column("parent", label="parent_account", shown=False, phone=Phone.AWAY),
    Column("created_at", Cell.TIME, shown=False, sort=True, phone=Phone.AWAY),
)  # fmt: skip
_IDENTITY = (
    Column("name", Cell.CODE, "account_name"), Column("display_name"), Column("parent", label="parent_account"),
    Column("department", value=lambda row: row["department_name"] or None),
    Column("status", Cell.STATE, words=words.STANDING, tones=words.STANDING_TONE, value=lambda row: row["standing"]),
    Column("created_at", Cell.TIME),
)  # fmt: skip
_ACCESS = (
    Column("protocols", Cell.TAGS, words=words.PROTOCOL),
    Column("networks", Cell.TAGS, value=lambda row: [str(one) for one in row["ip_allow"]]),
    Column("default_sign"), Column("sign_required", Cell.BOOL), Column("extend_code", Cell.CODE),
)  # fmt: skip
_LIMITS = (
    Column("rate", Cell.NUMBER, "account_rate"), Column("quota_today", value=_today),
    Column("month_quota", Cell.NUMBER, value=lambda row: row["quota_month"]),
    Column("contract_from", value=lambda row: _day(row["starts_on"])),
    Column("contract_until", value=lambda row: _day(row["ends_on"])), Column("stops_at_end", Cell.BOOL),
)  # fmt: skip
_MONEY = (
    Column("unit_price", Cell.PRICE), Column("price_history", Cell.TAGS), Column("balance", Cell.NUMBER),
    Column("credit", Cell.NUMBER, value=lambda row: -row["credit_floor"]),
    Column("part_otp", Cell.NUMBER, value=lambda row: row["units_otp"]),
    Column("part_notice", Cell.NUMBER, value=lambda row: row["units_notice"]),
    Column("part_marketing", Cell.NUMBER, value=lambda row: row["units_marketing"]),
    Column("refund_failed", Cell.BOOL),
)  # fmt: skip


def _day(day: Any) -> str | None:
    return None if day is None else day.isoformat()


def _wanted(found: Found) -> WantedAccounts:
    ids = {key: int(found.get(key)) if found.get(key) else None for key in ("department", "parent")}
    return WantedAccounts(
        found.get("name"), ids["department"], found.get("status"), ids["parent"], found.get("protocol")
    )


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    departments = await org.departments(call.db, call.actor.scope)
    return {"department": {str(one.id): one.name for one in departments}, "parent": own_accounts(call)}


def _belongings(call: Call, row: Any, has: Belongings) -> Section:
    """What has pages of its own, as links to what is the account's there, for who may open them."""

    def count(n: int) -> str:
        return call.filled(words.HAS, {"n": n})

    id_ = row["id"]
    columns, values = [], dict[str, Any]()

    def add(key: str, kind: Cell, value: Any, *, permission: Permission) -> None:
        if call.may(permission):
            columns.append(Column(key, kind))
            values[key] = value

    below = (count(has.below), f"{PATH}?parent={id_}") if has.below else None
    add("below_accounts", Cell.LINK, below, permission=Permission.ACCOUNT_VIEW)
    add("key_count", Cell.LINK, (count(has.keys), f"/keys?account={id_}"), permission=Permission.KEY_VIEW)
    add("signs_usable", Cell.TAGS, list(has.signs), permission=Permission.SIGN_VIEW)
    endpoints = (", ".join(has.endpoints), f"/webhooks?account={id_}") if has.endpoints else None
    add("endpoint_names", Cell.LINK, endpoints, permission=Permission.WEBHOOK_VIEW)
    add("codes_had", Cell.TAGS, list(has.codes), permission=Permission.CODE_VIEW)
    add("channels_used", Cell.TAGS, [one["name"] for one in has.channels], permission=Permission.CHANNEL_VIEW)
    add("channel_given", Cell.TEXT, given_to(call, row), permission=Permission.CHANNEL_VIEW)
    return Section(columns, values, words.BELONGS)


def _since(call: Call, one: Price) -> str:
    if one.since is None:
        return call.filled(words.PRICE_FIRST, {"price": f"{one.price:.4f}"})
    since = f"{one.since.astimezone(CHINA):%Y-%m-%d %H:%M:%S}"
    return call.filled(words.PRICE_SINCE, {"price": f"{one.price:.4f}", "since": since})


def given_to(call: Call, row: Any) -> str | None:
    """The channel that it was given to."""
    return call.portal.context.snapshots.current.table.given_to("account", row["name"])


async def _detail(call: Call, row: Any) -> Detail:
    id_, has = row["id"], await listing.belongings(call.db, row["id"])
    sections = [Section(_IDENTITY, row, words.IDENTITY), Section(_ACCESS, row, words.ACCESS),
                Section(_LIMITS, row, words.LIMITS)]  # fmt: skip
    if call.may(Permission.BALANCE_VIEW):
        told_ = [_since(call, one) for one in await prices.history(call.db, id_)]
        sections.append(Section(_MONEY, dict(row) | {"price_history": told_}, words.MONEY))
    sections.append(_belongings(call, row, has))
    links = [
        (label, f"{PATH}/{id_}/{what}")
        for label, what, permission in (
            (words.EDIT, "edit", Permission.ACCOUNT_EDIT), (words.PRICE, "price", Permission.BALANCE_EDIT),
            (words.UNITS, "units", Permission.BALANCE_EDIT),
            (words.TRAINING_END, "training/end", Permission.ACCOUNT_EDIT) if row["training"]
            else (words.TRAINING, "training", Permission.ACCOUNT_EDIT),
        )
        if call.may(permission)
    ]  # fmt: skip
    links += [
        (label, path)
        for label, path, *permissions in (
            # Its way back is the list of endpoints.
            (webhooks.WAY_EDIT, f"/webhooks/-/way/{id_}", Permission.WEBHOOK_EDIT, Permission.WEBHOOK_VIEW),
            (words.SIGNS, f"/signs?account={id_}", Permission.SIGN_VIEW),
            (words.RECORDS, f"/records?account={id_}", Permission.MESSAGE_VIEW),
        )
        if all(map(call.may, permissions))
    ]
    if call.may(Permission.ROUTE_EDIT):
        links.append((account_route.MOVE, f"{PATH}/{id_}/route"))
        if given_to(call, row):
            links.append((account_route.RESTORE, f"{PATH}/{id_}/route/restore"))
    if call.may(Permission.CHANNEL_VIEW):
        links += [(one["name"], f"/channels/{one['id']}") for one in has.channels[:CHANNELS]]
    stops = row["status"] == "active"
    turn = Button(words.STOP if stops else words.START, f"{PATH}/-/effect/{'stop' if stops else 'start'}", danger=stops,
                  fields={"id": str(id_), "to": f"{PATH}/{id_}"}, asks=True)  # fmt: skip
    buttons = [turn] if call.may(Permission.ACCOUNT_STOP) else []
    standing = call.gettext(words.TRAINING_ON) if row["training"] else ""
    return Detail(row["display_name"] or row["name"], sections, links=links, buttons=buttons, standing=standing)


def _bounded(call: Call, n: int) -> str:
    if n > listing.MOST_WAITING:
        return call.filled(words.MORE_THAN, {"n": f"{listing.MOST_WAITING:,}"})
    return f"{n:,}"


def told(call: Call, reach: Reach) -> dict[str, str]:
    """What a change is about, as texts of effects name it."""
    return {
        "accounts": f"{reach.accounts:,}", "keys": f"{reach.keys:,}", "waiting": _bounded(call, reach.waiting),
        "held": _bounded(call, reach.held),
    }  # fmt: skip


def _turn(key: str, label: str, status: str, text: str, *, danger: bool) -> Action:
    async def run(call: Call, row: Any) -> None:
        if row["status"] != status:
            await service.set_status(call.change(), row["id"], status)

    async def effect(call: Call, rows: Sequence[Any]) -> Effect:
        turned = [row for row in rows if row["status"] != status]
        names = ", ".join(row["display_name"] or row["name"] for row in turned[:NAMES])
        more = ", …" if len(turned) > NAMES else ""
        reach = await listing.reach(call.db, [row["id"] for row in turned])
        return Effect(text, {"names": (names or "—") + more} | told(call, reach))

    return Action(key, label, Permission.ACCOUNT_STOP, run, effect, danger=danger)


PAGE = ListPage(
    "accounts", PATH, "connect.accounts", Permission.ACCOUNT_VIEW, FILTER, COLUMNS, choices=_choices, detail=_detail,
    rows=lambda db, actor, found, window: listing.search(db, _wanted(found), window, accounts=actor.scope.whole),
    count=lambda db, actor, found, most: listing.how_many(db, _wanted(found), most, accounts=actor.scope.whole),
    one=lambda db, actor, id_: listing.one(db, id_, accounts=actor.scope.whole),
    actions=(_turn("stop", words.STOP, "stopped", words.STOP_EFFECT, danger=True),
             _turn("start", words.START, "active", words.START_EFFECT, danger=False)),
    links=((words.ADD, f"{PATH}/-/new", Permission.ACCOUNT_EDIT),), lead=words.LEAD,
    sort=Sort("path", descending=False), wide=True,
    empty=Empty(words.EMPTY, words.TEACHES, words.ADD, f"{PATH}/-/new", Permission.ACCOUNT_EDIT, icon="building",
                whole=True),
)  # fmt: skip
