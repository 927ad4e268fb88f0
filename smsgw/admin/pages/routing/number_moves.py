"""Numbers change hands (P10.9, S15a, S15c): a channel's access code, an extension, everything of a channel; each with
its effect in numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.kit.people import whole_accounts
from smsgw.admin.pages.routing.channels import channel, waiting
from smsgw.admin.pages.routing.numbers import EXTENSIONS, PATH, said
from smsgw.admin.pages.routing.route_table import going
from smsgw.admin.rights import Proof
from smsgw.admin.words import account_route, numbers as words
from smsgw.core import code_plan
from smsgw.core.code_plan import Access, Holder, Kind as Of
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.routes import only
from smsgw.platform.accounts import service as accounts
from smsgw.platform.accounts.extensions import MATCHED_DAYS
from smsgw.platform.channels import queries as channels, service as channel_service
from smsgw.platform.channels.model import ChannelView
from smsgw.platform.codes import queries
from smsgw.platform.routing import following, queries as routing
from smsgw.runtime import clock

_ONE = PATH + "/channels/{id:[0-9]{1,9}}"
_SEEN = Input("seen", InputKind.HIDDEN, most=20)
"""What the effect that is shown was made of: compared under the lock."""
_REASON = Input("reason", required=True, least=2, most=200, help=account_route.NOTE_HELP)


def _until() -> str:
    """The day until which replies to what was before are matched."""
    return f"{(clock.now() + timedelta(days=MATCHED_DAYS)).astimezone(CHINA):%Y-%m-%d}"


def _clash(
    call: Call, before: tuple[Sequence[Access], Sequence[Holder]], after: tuple[Sequence[Access], Sequence[Holder]]
) -> str:
    """What would not be plain after a change and is now, in words."""
    known = {one.concerns for one in code_plan.conflicts(*before) if one.bad}
    new = [one for one in code_plan.conflicts(*after) if one.bad and one.concerns not in known]
    return " ".join(said(call, one) for one in new[:3])


async def _used(call: Call, one: ChannelView) -> dict[str, str]:
    found = (await queries.users(call.db, one.id)).get(one.id, queries.Users())
    named = call.filled(words.NAMES, {"names": call.listed(found.names)}) if found.names else ""
    return {"accounts": f"{found.accounts:,}", "signs": f"{found.signs:,}", "parts": f"{found.parts:,}", "names": named}


# --- a channel's access code -----------------------------------------------------------------------------------------


async def _move_effect(call: Call, one: ChannelView, values: Mapping[str, Any]) -> Effect:
    to = values["access_code"]
    if to == one.access_code:
        raise Wrong("access_code", Problem(words.SAME))
    access, holders = await queries.access(call.db), await queries.holders(call.db)
    others = [a for a in access if a.channel_id != one.id or a.until is not None]
    was = [Access(one.id, one.name, one.access_code, clock.now())] if one.access_code else []
    clash = _clash(call, (access, holders), ([*others, *was, Access(one.id, one.name, to)], holders))
    told = {
        "channel": one.name, "before": one.access_code or call.gettext(words.NONE), "after": to, "until": _until(),
        "clash": clash, **await _used(call, one), **await waiting(call, one),
    }  # fmt: skip
    text = words.MOVE_EFFECT_CLASH if clash else words.MOVE_EFFECT
    return Effect(text, told, made_of={"seen": one.access_code})


async def _move(call: Call, one: ChannelView, values: Mapping[str, Any]) -> web.StreamResponse:
    await channel_service.move_access_code(call.change(), one.name, values["access_code"], seen=values["seen"] or "")
    call.toast(call.filled(words.MOVED, {"after": values["access_code"]}))
    return call.redirect(PATH)


async def _whole(call: Call) -> ChannelView | None:
    return None if call.actor.scope.whole is not None else await channel(call)


MOVE = FormPage(
    _ONE + "/move", Permission.CODE_EDIT, words.MOVE_TITLE, words.MOVE,
    Form((Inputs((Input("access_code", required=True, most=20, pattern=r"[0-9]{1,20}", problem=words.DIGITS,
                         help=words.MOVE_HELP), _SEEN)),)),
    _move, lambda _: PATH, _whole, effect=_move_effect, lead=lambda one: f"{one.name} · {one.access_code}", danger=True,
    step_up=Proof.FACTOR,
)  # fmt: skip


# --- everything of a channel -----------------------------------------------------------------------------------------


async def _others(call: Call, one: ChannelView) -> Mapping[str, Mapping[str, str]]:
    known = [c for c in await channels.channels(call.db) if c.id != one.id and c.desired == "started"]
    return {"channel": {c.name: f"{c.name} · {c.access_code}" if c.access_code else c.name for c in known}}


async def _replace_effect(call: Call, one: ChannelView, values: Mapping[str, Any]) -> Effect:
    to = next(c for c in await channels.channels(call.db) if c.name == values["channel"])
    following.check_carriers(one.carriers, to.carriers, to.name)
    table = await routing.table(call.db)
    named = sum(any(m.channel == one.name for m in pool.members) for pool in table.pools.values())
    fixed = sum(rule.pool == only(one.name) for rule in table.rules)
    up = any(s.id == to.id and s.state in ("bound", "idle") for s in call.portal.context.channel_status())
    rate = call.filled(words.PER_SECOND, {"n": f"{to.rate:,}"}) if to.rate else call.gettext(words.NO_LIMIT)
    stopped = one.desired == "stopped"
    former = call.gettext(words.FORMER_STOPPED if stopped else words.FORMER_DRAINS)
    told = {
        "channel": one.name, "to": to.name, "rate": rate, "pools": str(named), "rules": str(fixed), "former": former,
        **await _used(call, one), **await waiting(call, one),
    }  # fmt: skip
    text = words.REPLACE_EFFECT if up else words.REPLACE_EFFECT_DOWN
    return Effect(text, told, made_of={"seen": table.version})


async def _replace(call: Call, one: ChannelView, values: Mapping[str, Any]) -> web.StreamResponse:
    seen = read_id(values["seen"]) or 0
    made = await following.move_channel(call.change(), one.name, values["channel"], values["reason"], seen=seen)
    return going(call, made, call.filled(words.REPLACED, {"to": values["channel"], "channel": one.name}))


REPLACE = FormPage(
    _ONE + "/replace", Permission.CHANNEL_EDIT, words.REPLACE_TITLE, words.REPLACE,
    Form((Inputs((Input("channel", InputKind.CHOICE, required=True, help=words.REPLACE_HELP), _REASON, _SEEN)),)),
    _replace, lambda _: PATH, _whole, choices=_others, effect=_replace_effect,
    lead=lambda one: f"{one.name} · {one.access_code}", danger=True,
)  # fmt: skip


# --- an extension ----------------------------------------------------------------------------------------------------


async def _asked(call: Call) -> Mapping[str, Any]:
    """What an address proposes."""
    return {key: call.request.query.get(key, "")[:20] for key in ("account", "sign", "extend_code")}


async def _accounts(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    return {"account": whole_accounts(call)}


async def _give_effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    id_, sign, to = read_id(values["account"]) or 0, values["sign"] or "", values["extend_code"]
    holders = await queries.holders(call.db)
    own = next((h for h in holders if h.account_id == id_ and h.kind is Of.ACCOUNT), None)
    if own is None:
        raise web.HTTPNotFound
    if sign and sign not in await routing.signs_of(call.db, [id_]):
        raise Wrong("sign", Problem(words.NO_SIGN))
    mine = next((h for h in holders if h.account_id == id_ and h.kind is Of.SIGN and h.sign == sign), None)
    before = (mine or own).digits
    if to == before and (mine is not None or not sign):
        raise Wrong("extend_code", Problem(words.SAME))
    known = await accounts.check_extension(call.db, call.actor.scope, id_, sign, to)
    new = replace(own, digits=to, kind=Of.SIGN if sign else Of.ACCOUNT, sign=sign)
    rest = [h for h in holders if h is not (mine if sign else own)]
    clash = ""
    if call.actor.scope.whole is None:  # it names other accounts
        access = await queries.access(call.db)
        signs = {h.sign for h in holders if h.account_id == id_ and h.kind is Of.SIGN}
        after = [_follows(h, new, before, signs) for h in rest]
        clash = _clash(call, (access, holders), (access, [*after, new]))
    if not known:
        clash = " ".join(filter(None, (clash, call.gettext(words.NOT_LOOKED_THROUGH))))
    waits = sum((await routing.waiting(call.db, id_)).queued.values())
    counted = f"{waits:,}"
    if waits > routing.MOST_WAITING:
        counted = call.filled(words.WAITING_MORE, {"n": f"{routing.MOST_WAITING:,}"})
    told = {
        "who": f"{own.account}【{sign}】" if sign else own.account, "before": before or call.gettext(words.NONE),
        "after": to, "waiting": counted, "until": _until(), "clash": clash,
    }  # fmt: skip
    return Effect(words.GIVE_EFFECT_CLASH if clash else words.GIVE_EFFECT, told, made_of={"seen": before})


def _follows(one: Holder, new: Holder, before: str, signs: Collection[str]) -> Holder:
    """Digits of a task or scenario lie behind those that are changed, and change with them."""
    if one.kind not in (Of.TASK, Of.SCENARIO) or one.account_id != new.account_id:
        return one
    if one.sign != new.sign if new.sign else one.sign in signs:
        return one
    return replace(one, digits=new.digits + one.digits[len(before) :])


async def _give(call: Call, _: Any, values: Mapping[str, Any]) -> web.StreamResponse:
    id_ = read_id(values["account"]) or 0
    await accounts.move_extension(
        call.change(), id_, values["sign"] or "", values["extend_code"], seen=values["seen"] or ""
    )
    call.toast(call.filled(words.GIVEN, {"after": values["extend_code"]}))
    return call.redirect(EXTENSIONS)


GIVE = FormPage(
    EXTENSIONS + "/-/give", Permission.CODE_EDIT, words.GIVE_TITLE, words.GIVE,
    Form((Inputs((
        Input("account", InputKind.CHOICE, required=True),
        Input("sign", most=20, help=words.SIGN_HELP),
        Input("extend_code", required=True, most=12, pattern=r"[0-9]{1,12}", problem=words.EXTENSION_DIGITS,
              help=words.GIVE_HELP),
        _SEEN,
    )),)),
    _give, lambda _: EXTENSIONS, _asked, values=lambda values: values, choices=_accounts, effect=_give_effect,
)  # fmt: skip
