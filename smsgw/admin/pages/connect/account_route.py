"""An account's messages by another channel (P10.3, S21a; 通道切换): with what waits, and back again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.pages.connect.accounts import PATH, given_to
from smsgw.admin.pages.routing.route_table import going
from smsgw.admin.words import account_route as words, messages
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import listing
from smsgw.platform.channels import queries as channels
from smsgw.platform.channels.model import ChannelView
from smsgw.platform.routing import following
from smsgw.platform.routing.queries import MOST_WAITING, Waiting, waiting

_AT = f"{PATH}/{{id:[0-9]{{1,19}}}}/route"
_NOTE = Input("reason", required=True, least=2, most=200, help=words.NOTE_HELP)
_FORM = Form((Inputs((Input("channel", InputKind.CHOICE, required=True, help=words.CHANNEL_HELP), _NOTE)),))
_UP = ("bound", "idle")


async def _account(call: Call) -> Any:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await listing.one(call.db, id_, accounts=call.actor.scope.whole)


def _states(call: Call) -> Mapping[str, str]:
    return {status.name: status.state for status in call.portal.context.channel_status()}


async def _choices(call: Call, row: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    states, now = _states(call), given_to(call, row)
    known = [one for one in await channels.channels(call.db) if one.name != now]
    return {"channel": {one.name: _told(call, one, states.get(one.name, "stopped")) for one in known}}


def _told(call: Call, one: ChannelView, state: str) -> str:
    carriers = call.listed(call.gettext(messages.CARRIER.get(c, c)) for c in sorted(one.carriers))
    served = carriers or call.gettext(words.EVERY_CARRIER)
    simulated = call.gettext(words.SIMULATED) if one.profile.get("simulated") is True else ""
    doing = call.gettext(messages.CHANNEL_STATE.get(state, (state, ""))[0])
    return " · ".join(filter(None, (one.name, served, doing, simulated)))


def _counted(call: Call, n: int) -> str:
    return call.filled(words.MORE_THAN, {"n": f"{MOST_WAITING:,}"}) if n > MOST_WAITING else f"{n:,}"


def _others(call: Call, waits: Waiting) -> dict[str, str]:
    """What waits and does not follow now."""
    return {"retried": _counted(call, waits.retried), "held": _counted(call, waits.held)}


async def _effect(call: Call, row: Mapping[str, Any], values: Mapping[str, Any]) -> Effect:
    waits = await waiting(call.db, row["id"])
    one = next(one for one in await channels.channels(call.db) if one.name == values["channel"])
    follow = sum(n for carrier, n in waits.queued.items() if not one.carriers or carrier in one.carriers)
    up = _states(call).get(one.name) in _UP
    said = {
        "name": row["display_name"] or row["name"], "channel": one.name, "follow": _counted(call, follow),
        "stay": _counted(call, sum(waits.queued.values()) - follow), **_others(call, waits),
    }  # fmt: skip
    return Effect(words.EFFECT if up else words.EFFECT_DOWN, said)


async def _save(call: Call, row: Mapping[str, Any], values: Mapping[str, Any]) -> web.StreamResponse:
    made = await following.move_account(call.change(), row["name"], values["channel"], values["reason"])
    return going(call, made, call.filled(words.DONE, {"channel": values["channel"]}))


async def _restore_effect(call: Call, row: Mapping[str, Any], _: Mapping[str, Any]) -> Effect:
    given = given_to(call, row)
    if given is None:
        return Effect(words.NOT_MOVED, nothing=True)
    waits = await waiting(call.db, row["id"])
    said = {
        "name": row["display_name"] or row["name"], "channel": given, "n": _counted(call, sum(waits.queued.values())),
        **_others(call, waits),
    }  # fmt: skip
    return Effect(words.RESTORE_EFFECT, said)


async def _restore(call: Call, row: Mapping[str, Any], values: Mapping[str, Any]) -> web.StreamResponse:
    made = await following.restore_account(call.change(), row["name"], values["reason"])
    return going(call, made, call.gettext(words.RESTORED))


def _named(row: Mapping[str, Any]) -> str:
    return str(row["display_name"] or row["name"])


MOVE = FormPage(
    _AT, Permission.ROUTE_EDIT, words.MOVE_TITLE, words.MOVE, _FORM, _save, lambda row: f"{PATH}/{row['id']}", _account,
    choices=_choices, effect=_effect, lead=_named,
)  # fmt: skip
RESTORE = FormPage(
    _AT + "/restore", Permission.ROUTE_EDIT, words.RESTORE_TITLE, words.RESTORE, Form((Inputs((_NOTE,)),)), _restore,
    lambda row: f"{PATH}/{row['id']}", _account, effect=_restore_effect, lead=_named,
)  # fmt: skip
