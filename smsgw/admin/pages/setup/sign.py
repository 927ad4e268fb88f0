"""The step of the sending account and its signature: made together, approved as far as whoever makes them may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin import words as all_words
from smsgw.admin.call import Call
from smsgw.admin.kit.forms import Filled, Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import refusal
from smsgw.admin.kit.pieces import field_alone
from smsgw.admin.pages.setup import steps
from smsgw.admin.words import setup as words
from smsgw.core.errors import Invalid, Refused
from smsgw.core.model import Account
from smsgw.core.permissions import Permission
from smsgw.core.templates import CARRIERS, Registration, Review
from smsgw.platform.accounts import queries as account_queries, service as accounts
from smsgw.platform.content import queries as content_queries, service as content
from smsgw.platform.content.model import SIGN, Answer
from smsgw.platform.login import queries as login_queries, service as entrance

STEP = 5
FIRST_UNITS = 10_000
MOST_UNITS = 100_000_000
_SHOWN = 20
"""Signatures beside the form, the newest."""
_OLD = Input("account", InputKind.CHOICE, required=True)
_NEW = (
    Input("display_name", required=True, most=64),
    Input("name", label="account_name", required=True, most=64, pattern=r"[A-Za-z0-9_.-]{1,64}",
          help=words.ACCOUNT_NAME_HELP, problem=words.NAME_PROBLEM),
)  # fmt: skip
_UNITS = Input("units", InputKind.NUMBER, help=words.UNITS_HELP, least=0, most=MOST_UNITS)
_SIGN = Input(
    "sign", label="sign_text", required=True, least=2, most=20, pattern=r"[^【】\s]{2,20}", help=words.SIGN_HELP
)
_REGISTERED = Input(
    "registered", InputKind.CHOICES, help=words.REGISTERED_HELP, choices={c: all_words.CARRIER[c] for c in CARRIERS}
)
_CODES = Input("login_codes", InputKind.SWITCH, help=words.CODES_HELP)


async def own(call: Call) -> list[Account]:
    """The accounts that the person sees."""
    return [view.account for view in await account_queries.accounts(call.db, call.accounts) if view.account.id > 0]


async def _form(call: Call, known: list[Account]) -> tuple[Form, dict[str, Mapping[str, str]]]:
    first: tuple[Input, ...] = (_OLD,) if known else (*_NEW, *((_UNITS,) if call.may(Permission.BALANCE_EDIT) else ()))
    sections = [
        Inputs(first, words.SECTION_ACCOUNT, words.ACCOUNT_SECTION_HELP),
        Inputs((_SIGN, _REGISTERED) if call.may(Permission.SIGN_DECIDE) else (_SIGN,), words.SECTION_SIGN),
    ]
    if call.may(Permission.SECURITY_EDIT) and not (await login_queries.policy(call.db)).sms_accounts:
        sections.append(Inputs((_CODES,), words.SECTION_CODES))
    named = {str(a.id): f"{a.name} · {a.display_name}" if a.display_name else a.name for a in known}
    return Form(sections), {"account": named}


@steps.guarded("GET", steps.SIGN, Permission.ACCOUNT_EDIT)
async def show(call: Call) -> web.StreamResponse:
    """The form."""
    known = await own(call)
    form, choices = await _form(call, known)
    filled = form.blank(
        {"name": "main", "units": FIRST_UNITS, "account": known[0].id if known else None, "login_codes": True}
    )
    filled.choices = choices
    return await _page(call, filled)


@steps.guarded("POST", steps.SIGN, Permission.ACCOUNT_EDIT)
async def save(call: Call) -> web.StreamResponse:
    """Make all of it, or nothing."""
    form, choices = await _form(call, await own(call))
    data = await call.request.post()
    filled = form.read(data, choices)
    if alone := field_alone(call, filled, data):
        return alone
    if not filled.good:
        return await _page(call, filled)
    try:
        await _save(call, filled.values)
    except (Invalid, Refused) as exc:
        filled.refuse(exc, refusal(call, exc))
        return await _page(call, filled)
    await call.portal.context.snapshots.follow()  # so that the test, which is next, knows the account
    said = words.SIGN_APPROVED if await _decides(call) else words.SIGN_WAITS
    call.toast(call.filled(said, {"sign": filled.values["sign"]}))
    return call.redirect(steps.TEST)


async def _decides(call: Call) -> bool:
    """Whether what the person applies for is approved at once: nobody else could."""
    may = call.may(Permission.SIGN_DECIDE)
    return may and not await content_queries.others_decide(call.db, SIGN, call.actor)


async def _save(call: Call, values: Mapping[str, Any]) -> None:
    change = call.change()
    async with change.unit(Permission.ACCOUNT_EDIT) as unit:
        unit.unchanged()  # what is done has entries of its own
        if values.get("account"):
            account_id = int(values["account"])
        else:
            account_id = await accounts.add(change, values["name"], display_name=values["display_name"])
        if values.get("units"):
            await accounts.top_up(change, account_id, values["units"], call.gettext(words.SECTION_ACCOUNT))
        sign_id = await content.add_sign(change, account_id, values["sign"])
        if await _decides(call):
            await content.review(change, SIGN, sign_id, Review.APPROVED)
            await accounts.edit(change, account_id, {"default_sign": values["sign"]})
        if values.get("registered"):
            await content.register(change, SIGN, sign_id, values["registered"], Answer(Registration.REGISTERED))
        if values.get("login_codes"):
            await entrance.set_policy(change, {"sms_accounts": [account_id]})


async def _page(call: Call, filled: Filled) -> web.Response:
    return await steps.page(
        call, "setup/sign.html", STEP, status=200 if filled.good else 422, filled=filled, send=words.SAVE_SIGN,
        signs=await content_queries.page(call.db, SIGN, accounts=call.accounts, limit=_SHOWN),
        reviews=words.REVIEWS, decides=await _decides(call),
    )  # fmt: skip
