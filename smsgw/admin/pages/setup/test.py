"""The last step: a message to a phone at hand, and its way as it goes."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.forms import Filled, Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import refusal
from smsgw.admin.kit.pieces import field_alone
from smsgw.admin.pages.records import trace
from smsgw.admin.pages.setup import steps
from smsgw.admin.pages.setup.channel import lines
from smsgw.admin.pages.setup.sign import own
from smsgw.admin.rights import route
from smsgw.admin.words import setup as words
from smsgw.core.errors import SmsgwError, message_of
from smsgw.core.ids import CHINA
from smsgw.core.model import Account, MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.messages import service
from smsgw.runtime import clock

STEP = 6
_ONE = steps.TEST + "/{id:[0-9]{1,19}}"
_TO = Input("number", InputKind.PHONE, required=True, help=words.TEST_HELP, autocomplete="tel")
_CONTENT = Input("content", InputKind.LINES, required=True, most=500)
_FORM = Form((Inputs((Input("account", InputKind.CHOICE, required=True), _TO, _CONTENT)),))


async def _usable(call: Call) -> list[Account]:
    """The accounts that can send, those with a signature first."""
    return sorted((a for a in await own(call) if not a.halted), key=lambda a: not a.default_sign)


def _choices(known: list[Account]) -> dict[str, dict[str, str]]:
    return {"account": {
        str(a.id): (a.display_name or a.name) + (f" 【{a.default_sign}】" if a.default_sign else "") for a in known
    }}  # fmt: skip


@route("GET", steps.TEST, Permission.MESSAGE_SEND)
async def show(call: Call) -> web.StreamResponse:
    """The form; its text differs each time, so that it may be sent again."""
    known = await _usable(call)
    text = f"{call.gettext(words.TEST_TEXT)} {clock.now().astimezone(CHINA):%H:%M:%S}"
    filled = _FORM.blank({"account": known[0].id if known else None, "content": text})
    filled.choices = dict(_choices(known))
    return await _page(call, filled, known)


@route("POST", steps.TEST, Permission.MESSAGE_SEND)
async def send(call: Call) -> web.StreamResponse:
    """Send it, as every other message is sent."""
    known, data = await _usable(call), await call.request.post()
    filled = _FORM.read(data, _choices(known))
    if alone := field_alone(call, filled, data):
        return alone
    if filled.good and (message_id := await _sent(call, filled)):
        return call.redirect(f"{steps.TEST}/{message_id}")
    return await _page(call, filled, known)


async def _sent(call: Call, filled: Filled) -> str:
    """The message's id; empty when it was refused, which stands in the form."""
    values, context = filled.values, call.portal.context
    account = context.snapshots.current.account(int(values["account"]))
    if account is None:
        filled.refused = call.gettext(words.NOT_READY)
        return ""
    item = SendItem(to=f"+{values['number']}", content=values["content"])
    try:
        result = await context.acceptor.send(
            SendRequest(account, (item,), MessageType.NOTICE, Origin.PORTAL, call.actor.label)
        )
    except SmsgwError as exc:
        filled.refuse(exc, refusal(call, exc))
        return ""
    first = result.items[0]
    if not result.accepted or not first.message_id:
        filled.refused = first.message or ""
        if call.language != DEFAULT:
            filled.refused = first.message_en or message_of(first.code or "", {}, english=True)
        return ""
    await service.sent(
        call.change(), account.name, batch_id=result.batch_id, accepted=result.accepted, rejected=result.rejected
    )
    return first.message_id


async def _page(call: Call, filled: Filled, known: list[Account]) -> web.Response:
    return await steps.page(
        call, "setup/test.html", STEP, status=200 if filled.good else 422, filled=filled, accounts=known,
        send=words.SEND_TEST, **await _way(call),
    )  # fmt: skip


async def _way(call: Call) -> dict[str, Any]:
    """What messages leave by."""
    up = [line for line in await lines(call) if line.up]
    return {"up": bool(up), "simulated": bool(up) and all(line.simulated for line in up)}


@route("GET", _ONE, Permission.MESSAGE_VIEW)
async def result(call: Call) -> web.StreamResponse:
    """Its way, which refreshes itself until it has come to its end."""
    values = await trace.values(call)
    names = {line.channel.name for line in await lines(call) if line.simulated}
    simulated = any(part.channel_name in names for part in values["trace"].parts)
    return await steps.page(call, "setup/test_result.html", STEP, simulated=simulated, **values)
