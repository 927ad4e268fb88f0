"""Forms of sending accounts: made, changed, priced, given units; each says before what it will do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.pages.connect.accounts import PATH, told
from smsgw.admin.words import accounts as words
from smsgw.core import moments
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import listing, queries as account_queries, service
from smsgw.platform.org import queries as org, service as org_service
from smsgw.runtime import clock

ONE = PATH + "/{id:[0-9]{1,19}}"
MOST = 10**12
"""Parts of a quota, units of a change."""


def _day(text: str) -> Problem | None:
    try:
        moments.day(text)
    except ValueError:
        return Problem(words.DAY_PROBLEM)
    return None if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII) else Problem(words.DAY_PROBLEM)


_FIELDS = (
    Input("display_name", required=True, most=64),
    Input("parent", InputKind.CHOICE, "parent_account", words.PARENT_HELP),
    Input("department", InputKind.CHOICE, help=words.DEPARTMENT_HELP),
)
_SETTINGS = (
    Inputs(
        (
            Input("protocols", InputKind.CHOICES, choices=words.PROTOCOL, help=words.PROTOCOLS_HELP),
            Input("ip_allow", InputKind.NETWORKS, "networks", words.NETWORKS_HELP),
            Input("default_sign", least=2, most=20, help=words.SIGN_HELP),
            Input("extend_code", most=12, pattern="[0-9]{1,12}", help=words.EXTEND_HELP),
        ),
        words.ACCESS,
    ),
    Inputs(
        (
            Input("rate", InputKind.NUMBER, "account_rate", words.RATE_HELP, required=True, least=1, most=1_000_000),
            Input("quota_day", InputKind.NUMBER, help=words.QUOTA_HELP, least=1, most=MOST),
            Input("quota_month", InputKind.NUMBER, "month_quota", words.MONTH_HELP, least=1, most=MOST),
        ),
        words.LIMITS,
    ),
    Inputs(
        (
            Input("starts_on", label="contract_from", help=words.DAY_HELP, check=_day),
            Input("ends_on", label="contract_until", help=words.DAY_HELP, check=_day),
            Input("stops_at_end", InputKind.SWITCH, help=words.STOPS_HELP),
        ),
        words.CONTRACT,
    ),
)
_CODE = Input("name", label="account_name", required=True, most=64, pattern=r"[A-Za-z0-9_.-]{1,64}",
              help=words.NAME_HELP, problem=words.NAME_PROBLEM)  # fmt: skip
_NEW = Form((Inputs((_FIELDS[0], _CODE, *_FIELDS[1:]), words.IDENTITY), *_SETTINGS))
_CHANGE = Form((Inputs(_FIELDS, words.IDENTITY), *_SETTINGS))
_KEYS = ("display_name", "parent", "protocols", "ip_allow", "default_sign", "extend_code", "rate", "quota_day",
         "quota_month", "starts_on", "ends_on", "stops_at_end")  # fmt: skip


async def _subject(call: Call) -> Any:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await listing.one(call.db, id_, accounts=call.actor.scope.whole)


async def _choices(call: Call, row: Any) -> Mapping[str, Mapping[str, str]]:
    """Departments and accounts in scope; not the account itself."""
    departments = await org.departments(call.db, call.actor.scope)
    views = await account_queries.accounts(call.db, call.actor.scope.whole)
    own = row["id"] if row else 0
    names = {
        one.name: f"{one.display_name} ({one.name})" if one.display_name else one.name
        for one in (view.account for view in views)
        if one.id > 0 and one.id != own
    }
    if row and row["parent_id"] and not row["parent"]:  # it stays below one that the person does not see
        names[_UNSEEN] = call.gettext(words.UNSEEN)
    places = {str(one.id): one.name for one in departments}
    if not row and call.actor.scope.accounts is not None:  # a new one is where the account above it is
        places = {}
    if row and row["department_id"] and str(row["department_id"]) not in places:
        places[str(row["department_id"])] = row["department_name"] or "—"
    return {"parent": names, "department": places}


_UNSEEN = "-"


def _shown(row: Any) -> dict[str, Any]:
    """A form's values of what there is."""
    parent = _UNSEEN if row["parent_id"] and not row["parent"] else row["parent"]
    return {key: row[key] for key in _KEYS if key != "parent"} | {
        "parent": parent, "department": row["department_id"], "ip_allow": [str(one) for one in row["ip_allow"]],
    }  # fmt: skip


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """As the service takes them."""
    found = {key: values[key] for key in _KEYS}
    if found["parent"] == _UNSEEN:
        del found["parent"]
    return found | {"protocols": list(values["protocols"]), "ip_allow": list(values["ip_allow"])}


def _changed(row: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those that would be others."""

    def plain(value: Any) -> Any:
        if isinstance(value, list | tuple | frozenset):
            return sorted(map(str, value))
        return "" if value is None else value if isinstance(value, bool) else str(value)

    had = _shown(row)
    return {key: value for key, value in _fields(values).items() if plain(value) != plain(had[key])}


def _department(row: Any, values: Mapping[str, Any]) -> tuple[bool, int | None]:
    """Whether it is another one, and which."""
    chosen = int(values["department"]) if values["department"] else None
    return chosen != (row["department_id"] if row else None), chosen


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    change = call.change()
    async with change.unit(Permission.ACCOUNT_EDIT) as unit:
        unit.unchanged()  # what is done has entries of its own
        id_ = await service.add(change, values["name"], **_fields(values))
        moves, department = _department(None, values)
        if moves:
            await org_service.place_account(change, id_, department)
    call.toast(call.gettext(words.ADDED))
    return call.redirect(f"{PATH}/{id_}")


async def _add_effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    views = await account_queries.accounts(call.db, call.actor.scope.whole)
    price = next((one.account.unit_price for one in views if one.account.name == values["parent"]), Decimal())
    return Effect(
        words.ADD_EFFECT,
        {"name": values["name"], "parent": values["parent"] or call.gettext(words.NO_PARENT), "price": f"{price:.4f}"},
    )


async def _edit(call: Call, row: Any, values: Mapping[str, Any]) -> web.Response:
    change, changed = call.change(), _changed(row, values)
    moves, department = _department(row, values)
    async with change.unit(Permission.ACCOUNT_EDIT, row["id"]) as unit:
        unit.unchanged()
        if changed:
            await service.edit(change, row["id"], changed)
        if moves:
            await org_service.place_account(change, row["id"], department)
    call.toast(call.gettext(words.SAVED))
    return call.redirect(f"{PATH}/{row['id']}")


async def _edit_effect(call: Call, row: Any, values: Mapping[str, Any]) -> Effect:
    n = len(_changed(row, values)) + _department(row, values)[0]
    if not n:
        return Effect(words.NOTHING_EFFECT)
    today, _ = await account_queries.quota_used(call.db, row["id"])
    reach = await listing.reach(call.db, [row["id"]])
    return Effect(words.EDIT_EFFECT, {"name": row["name"], "n": n, "used": f"{today:,}"} | told(call, reach))


def _back(row: Any) -> str:
    return f"{PATH}/{row['id']}"


def _named(row: Any) -> str:
    return f"{row['display_name']} ({row['name']})" if row["display_name"] else str(row["name"])


ADD = FormPage(
    f"{PATH}/-/new", Permission.ACCOUNT_EDIT, words.ADD_TITLE, words.CREATE, _NEW, _add, lambda _: PATH,
    values=lambda _: {"rate": 2000, "protocols": list(words.PROTOCOL), "stops_at_end": True}, choices=_choices,
    effect=_add_effect,
)  # fmt: skip
EDIT = FormPage(
    f"{ONE}/edit", Permission.ACCOUNT_EDIT, words.EDIT_TITLE, words.SAVE, _CHANGE, _edit, _back, _subject,
    values=_shown, choices=_choices, effect=_edit_effect, lead=_named,
)  # fmt: skip

# --- money -----------------------------------------------------------------------------------------------------------

_PER_PART = tuple(
    Input(f"units_{kind}", InputKind.NUMBER, f"part_{kind}", words.PER_PART_HELP, required=True, least=0, most=1000)
    for kind in ("otp", "notice", "marketing")
)
_PRICE = Form((Inputs((
    Input("unit_price", required=True, pattern=r"[0-9]{1,3}(\.[0-9]{1,4})?", problem=words.PRICE_PROBLEM, most=8),
    *_PER_PART,
    Input("credit_floor", InputKind.NUMBER, "credit", words.CREDIT_HELP, required=True, least=0, most=MOST),
    Input("refund_failed", InputKind.SWITCH, help=words.REFUND_HELP),
)),))  # fmt: skip


async def _price(call: Call, row: Any, values: Mapping[str, Any]) -> web.Response:
    await service.edit(call.change(), row["id"], {**values, "credit_floor": -values["credit_floor"]})
    call.toast(call.gettext(words.PRICED))
    return call.redirect(_back(row))


async def _price_effect(call: Call, row: Any, values: Mapping[str, Any]) -> Effect:
    used = await listing.used(call.db, row["id"], clock.now().astimezone(CHINA).date())
    price, had = Decimal(values["unit_price"]), row["balance"] - row["credit_floor"]
    return Effect(words.PRICE_EFFECT, {
        "name": row["name"], "before": f"{row['unit_price']:.4f}", "after": f"{price:.4f}", "had": f"{had:,}",
        "has": f"{row['balance'] + values['credit_floor']:,}", "used": f"{used:,}",
        "cost": f"{used * row['unit_price']:,.2f}", "costs": f"{used * price:,.2f}",
    })  # fmt: skip


PRICE = FormPage(
    f"{ONE}/price", Permission.BALANCE_EDIT, words.PRICE_TITLE, words.SAVE, _PRICE, _price, _back, _subject,
    values=lambda row: {key: row[key] for key in ("units_otp", "units_notice", "units_marketing", "refund_failed")}
    | {"unit_price": f"{row['unit_price']:.4f}", "credit_floor": -row["credit_floor"]},
    effect=_price_effect, lead=_named,
)  # fmt: skip
_UNITS = Form((Inputs((
    Input("units_change", InputKind.NUMBER, help=words.UNITS_HELP, required=True, least=-MOST, most=MOST),
    Input("note_why", help=words.NOTE_HELP, required=True, least=2, most=200),
)),))  # fmt: skip


async def _units(call: Call, row: Any, values: Mapping[str, Any]) -> web.Response:
    new = await service.top_up(call.change(), row["id"], values["units_change"], values["note_why"])
    call.toast(call.filled(words.UNITS_DONE, {"balance": f"{new:,}"}))
    return call.redirect(_back(row))


async def _units_effect(_: Call, row: Any, values: Mapping[str, Any]) -> Effect:
    change = values["units_change"]
    if not change:
        raise Wrong("units_change", Problem(words.UNITS_NONE))
    before = row["balance"]
    return Effect(
        words.UNITS_EFFECT,
        {"name": row["name"], "before": f"{before:,}", "after": f"{before + change:,}", "change": f"{change:+,}"},
    )


UNITS = FormPage(
    f"{ONE}/units", Permission.BALANCE_EDIT, words.UNITS_TITLE, words.UNITS, _UNITS, _units, _back, _subject,
    effect=_units_effect, lead=_named,
)  # fmt: skip
