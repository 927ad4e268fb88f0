"""Why a number gets nothing (P4.2, 查拦截原因): every list and rule with its verdict, and lifting with a reason."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found
from smsgw.admin.kit.lists import refusal
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.toasts import ToastKind
from smsgw.admin.pages.audience.blocked import OPT_OUTS, PATH as BLOCKED, UNDOS, WHY as PATH
from smsgw.admin.pages.audience.consents import PATH as CONSENTS
from smsgw.admin.rights import route
from smsgw.admin.words import audience, messages, undo, why
from smsgw.core import numbers
from smsgw.core.errors import Invalid, Refused, SmsgwError
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.core.policy import Listed
from smsgw.core.words import Wording
from smsgw.platform.change import EVERYBODY
from smsgw.platform.lists import carrier, queries, service
from smsgw.platform.lists.block_explanation import Facts, Lift, Question, Standing, Verdict, explain, read
from smsgw.platform.numbers import service as number_service
from smsgw.runtime import clock

FILTER = Filter(
    (Field("number", FieldKind.PHONE), Field("account", FieldKind.CHOICE),
     Field("type", FieldKind.CHOICE, choices=messages.TYPE), Field("sign", most=20)),
    period=None,
)  # fmt: skip
NEEDS: Mapping[Lift, Permission] = {
    Lift.ENTRY: Permission.BLOCK_EDIT, Lift.EXEMPT: Permission.ALLOW_EDIT, Lift.ONLY: Permission.ALLOW_EDIT,
    Lift.FORGET: Permission.NUMBER_EDIT, Lift.CARRIER: Permission.BLOCK_EDIT, Lift.REVIEW: Permission.REVIEW_DECIDE,
    Lift.CONSENT: Permission.BLOCK_EDIT, Lift.UNDO: Permission.BLOCK_EDIT,
}  # fmt: skip
"""What lifting takes."""


@dataclass(frozen=True, slots=True)
class Line:
    """A verdict in the reader's words. ``link``: a page that lifts it; ``form``: what lifts it here, with a reason."""

    verdict: Verdict
    said: str
    link: str = ""
    form: str = ""
    word: str = ""
    """Of the link."""


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call)}


def _question(call: Call, found: Found) -> Question:
    account = call.portal.context.snapshots.current.account(int(found.get("account"))) if found.get("account") else None
    types = (MessageType(found.get("type")),) if found.get("type") else tuple(MessageType)
    return Question(account, types, found.get("sign"))


async def _facts(call: Call, number: str) -> Facts:
    days = call.portal.context.snapshots.current.settings.number_status_days
    return await read(
        call.db, number, accounts=call.actor.scope.whole, days=days, complaints=call.may(Permission.COMPLAINT_VIEW)
    )


@route("GET", PATH, Permission.BLOCK_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The form, and what is said of the number."""
    found = FILTER.read(call.request.query, clock.now(), await _choices(call))
    lines, counts = list[Line](), {"n": 0, "m": 0}
    number = found.get("number")
    if number and not found.errors:
        await call.reads("blocked.why", "blocked", number=mask(number))
        snapshot = call.portal.context.snapshots.current
        facts, question = await _facts(call, number), _question(call, found)
        rates = await queries.complaint_rates(call.db, snapshot.settings)
        verdicts = explain(facts, question, snapshot.policies, snapshot.settings, rates, clock.now())
        lines = [_line(call, one, found) for one in verdicts]
        counts = {"n": sum(v.standing is Standing.BLOCKS for v in verdicts),
                  "m": sum(v.standing is Standing.LIMITS for v in verdicts)}  # fmt: skip
    blocked = why.BLOCKED_BY if counts["m"] else why.BLOCKED_ONLY
    outcome = blocked if counts["n"] else why.LIMITED_BY if counts["m"] else why.FREE
    return call.render(
        "audience/why.html", status=422 if found.errors else 200, found=found, lines=lines, counts=counts,
        outcome=call.filled(outcome, counts), number=mask(number) if number else "", path=PATH, why=why, back=BLOCKED,
    )  # fmt: skip


_REQUESTS = {"carrier.request": (why.REQUESTS, "/lifts"), "opt_out.request": (undo.UNDOS, UNDOS)}


def _line(call: Call, one: Verdict, found: Found) -> Line:
    may = one.lift in NEEDS and call.may(NEEDS[one.lift])
    link = form = ""
    if may and one.lift is Lift.ENTRY:
        link = f"{BLOCKED}/{one.ref}/lift"
    elif may and one.lift is Lift.UNDO:
        link = f"{OPT_OUTS}/{one.ref}/undo"
    elif may and one.lift is Lift.REVIEW:
        link = "/review"
    elif may and one.lift is Lift.CONSENT:
        link = f"{CONSENTS}/-/new"
    elif may and (call.actor.scope.whole is None or (found.get("account") and one.lift is not Lift.FORGET)):
        form = one.lift.value
    word = why.LIFT.get(one.lift.value, "")
    if one.said == "complaint.some":
        word, link = why.COMPLAINTS, f"/complaints?{urlencode({'number': found.texts['number']})}"
    if one.said in _REQUESTS:
        word, at = _REQUESTS[one.said]
        link = f"{at}/{one.ref}"
    return Line(one, _said(call, one), link, form, word)


def _said(call: Call, one: Verdict) -> str:
    given = dict(one.values)
    if given.get("reason"):
        given["reason"] = audience.reason(given.get("source", ""), given["reason"])
    values = {key: _shown(call, key, value) for key, value in given.items()}
    values["scope"] = _scope(call, one.values)
    if one.rule in ("block", "opt_out"):
        until = one.values.get("until")
        values["until"] = call.filled(why.UNTIL, {"at": _time(until)}) if until else call.gettext(why.FOREVER)
    return " ".join((call.filled(why.SAID[one.said], values)).split())


def _scope(call: Call, values: Mapping[str, Any]) -> str:
    whose = values.get("account") or call.gettext(audience.ALL_ACCOUNTS)
    kind = audience.EVERY_TYPE.get(values.get("type", "-") or "*", "")
    type_ = call.gettext(kind) if kind else ""
    sign = f"【{values['sign']}】" if values.get("sign") else ""
    return " · ".join(filter(None, (whose, type_, sign)))


def _time(at: datetime) -> str:
    return f"{at.astimezone(CHINA):%Y-%m-%d %H:%M}"


_WORDS: Mapping[str, Sequence[Mapping[str, str]]] = {
    "type": (audience.EVERY_TYPE,), "source": (audience.SOURCE, audience.NUMBER_SOURCE), "cls": (messages.CLASS,),
    "state": (audience.NUMBER_STATE, why.STATE),
}  # fmt: skip


def _shown(call: Call, key: str, value: Any) -> str:
    if isinstance(value, datetime):
        return _time(value)
    if isinstance(value, Wording):
        return value.text(call.language != DEFAULT)
    for known in _WORDS.get(key, ()):
        if value in known:
            return call.gettext(known[value])
    return "" if value is None else str(value)


# --- lifting ---------------------------------------------------------------------------------------------------------


async def _exempt(call: Call, number: str, account: int, reason: str) -> None:
    await service.allow(call.change(), [number], Listed.EXEMPT, account_id=account, note=reason)


async def _only(call: Call, number: str, account: int, reason: str) -> None:
    if not account:
        raise Invalid("PARAM_MISSING", field="account")
    await service.allow(call.change(), [number], Listed.ONLY, account_id=account, note=reason)


async def _forget(call: Call, number: str, _: int, reason: str) -> None:
    await number_service.forget(call.change(), [number], reason=reason)


async def _ask(call: Call, number: str, account: int, reason: str) -> None:
    facts = await _facts(call, number)
    blocking = next((r for r in facts.refusals if r.cls == "BLACKLIST_CARRIER"), None)
    if blocking is None:
        raise Refused("NOT_FOUND")
    await carrier.ask(call.change(), number, blocking.carrier, account_id=account, code=blocking.code, reason=reason)


_LIFTS: Mapping[str, Callable[[Call, str, int, str], Awaitable[None]]] = {
    "exempt": _exempt, "only": _only, "forget": _forget, "carrier": _ask
}  # fmt: skip


@route("POST", PATH, Permission.BLOCK_VIEW)
async def lift(call: Call) -> web.StreamResponse:
    """Lift one of them. Each takes the right of its own service."""
    data = await call.request.post()
    run = _LIFTS.get(str(data.get("lift", "")))
    found = FILTER.read({k: str(v) for k, v in data.items() if isinstance(v, str)}, clock.now(), await _choices(call))
    number, reason = found.get("number"), " ".join(str(data.get("reason", "")).split())
    if run is None or not number or found.errors:
        raise web.HTTPBadRequest
    numbers.normalize(number)
    try:
        if not 2 <= len(reason) <= carrier.MOST_REASON or not reason.isprintable():
            raise Invalid("PARAM_MISSING", field="reason")
        account = int(found.get("account")) if found.get("account") else EVERYBODY
        await run(call, number, account, reason)
    except (Invalid, Refused) as error:
        _tell(call, error)
    else:
        call.toast(call.gettext(why.LIFTED[str(data["lift"])]))
    return call.redirect(PATH, **found.state)


def _tell(call: Call, error: SmsgwError) -> None:
    if error.code == "PERMISSION_DENIED":
        raise error
    call.toast(refusal(call, error), ToastKind.BAD)
