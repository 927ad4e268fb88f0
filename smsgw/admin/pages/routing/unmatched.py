"""Reports without a message (P10.11, 未匹配报告): which, why, under which rule they would fit, and matching them
again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period, Problem
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.routing.route_table import whole
from smsgw.admin.words import unmatched as words
from smsgw.core.decoded import Decoded
from smsgw.core.permissions import Permission
from smsgw.core.report_match import SPELLINGS, Rule, Why
from smsgw.platform.channels import queries as channels, unmatched as service
from smsgw.platform.channels.unmatched import REPORTS, ReportFilter, Unmatched
from smsgw.platform.messages.examining import dump, masked

PATH = "/unmatched"
MENU = Entry("routing.unmatched", PATH, Permission.CHANNEL_VIEW)
FILTER = Filter(
    (Field("channel", FieldKind.CHOICE), Field("phone", FieldKind.PHONE, "number"), Field("carrier_id", more=True),
     Field("code", more=True)),
    Period("7d"),
)  # fmt: skip
COLUMNS = (
    Column("received_at", Cell.TIME, sort=True, phone=Phone.THIRD),
    Column("number", Cell.PHONE, phone=Phone.TITLE),
    Column("channel", phone=Phone.SECOND),
    Column("carrier_id", Cell.CODE, phone=Phone.SECOND),
    Column("code", Cell.CODE, phone=Phone.AWAY),
    Column(
        "unmatched_why", Cell.STATE, words=words.WHY, tones=words.TONE, value=lambda one: one.why, phone=Phone.BESIDE
    ),
    Column("unmatched_rule", Cell.WORD, words=words.RULE, value=lambda one: one.rule, phone=Phone.THIRD),
)


def _wanted(found: Found) -> ReportFilter:
    return REPORTS.filter_of(found.listed)


async def _channels(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"channel": {one.name: one.name for one in await channels.channels(call.db)}}


async def _detail(call: Call, one: Unmatched) -> Detail:
    links = []
    home = one.verdict.home
    if home is not None and call.may(Permission.MESSAGE_VIEW):
        links.append((words.THE_MESSAGE, f"/records/{home.id}"))
    if one.verdict.why is Why.FITS and call.may(Permission.MESSAGE_RESOLVE) and call.actor.scope.whole is None:
        links.append((words.REMATCH, f"{PATH}/-/rematch?channel={one.channel}&rule={one.rule}"))
    return Detail(
        one.carrier_id, [Section(COLUMNS, one)], links=links, notice=call.gettext(words.ABOUT[one.why]),
        good=one.verdict.why is Why.FITS, piece=await _pdu(call, one),
    )  # fmt: skip


async def _pdu(call: Call, one: Unmatched) -> tuple[str, Mapping[str, Any]] | None:
    """Its octets, masked, for who may see those of messages."""
    if not call.may(Permission.MESSAGE_WIRE):
        return None
    await call.reads("unmatched.wire", f"unmatched/{one.id}", unmasked=False)
    shown = masked(one.pdu, one.number) if one.number else b""  # without the number it could not be masked
    said = call.portal.context.decode(one.protocol, shown) if shown and one.protocol else Decoded()
    return "routing/unmatched_pdu.html", {"pdu": said, "dump": dump(shown), "octets": len(one.pdu), "words": words}


PAGE = ListPage(
    "unmatched", PATH, "routing.unmatched", Permission.CHANNEL_VIEW, FILTER, COLUMNS, choices=_channels,
    rows=lambda db, actor, found, window: service.search(db, actor, _wanted(found), window),
    count=lambda db, actor, found, most: REPORTS.count(db, actor, _wanted(found), most),
    one=service.get, detail=_detail, sort=Sort("received_at"), lead=words.LEAD,
    links=((words.REMATCH, f"{PATH}/-/rematch", Permission.MESSAGE_RESOLVE),), links_whole=True,
    empty=Empty(words.EMPTY, words.TEACHES, icon="receipt"),
)  # fmt: skip

# --- matching them again ---------------------------------------------------------------------------------------------


async def _asked(call: Call) -> Mapping[str, Any]:
    whole(call)
    return {key: call.request.query.get(key, "")[:64] for key in ("channel", "rule")}


async def _choices(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    return await _channels(call)


async def _effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    rule = Rule(values["rule"])
    if values["adopt"] and rule not in SPELLINGS:
        raise Wrong("adopt", Problem(words.NOT_SPELLING))
    channel_id = await channels.id_of(call.db, values["channel"])
    found = await service.survey(call.db, call.actor, channel_id)
    fits, ambiguous = found.by_rule.get(rule, 0), found.by_why.get(Why.AMBIGUOUS, 0)
    told = {
        "channel": values["channel"], "rule": call.gettext(words.RULE[rule.value]), "looked": f"{found.looked:,}",
        "fits": f"{fits:,}", "ambiguous": f"{ambiguous:,}", "rest": f"{found.looked - fits - ambiguous:,}",
    }  # fmt: skip
    if not fits and not found.more and not values["adopt"]:
        return Effect(words.NO_FIT, told, nothing=True)
    return Effect(words.EFFECT_MORE if found.more else words.EFFECT, told)


async def _save(call: Call, _: Any, values: Mapping[str, Any]) -> web.StreamResponse:
    job = await service.begin(call.change(), values["channel"], Rule(values["rule"]), adopt=bool(values["adopt"]))
    call.portal.context.jobs.set()
    call.toast(call.gettext(words.BEGUN))
    return call.redirect(f"/jobs/{job}")


REMATCH = FormPage(
    PATH + "/-/rematch", Permission.MESSAGE_RESOLVE, words.REMATCH_TITLE, words.REMATCH,
    Form((Inputs((
        Input("channel", InputKind.CHOICE, required=True),
        Input("rule", InputKind.CHOICE, "unmatched_rule", words.RULE_HELP, required=True, choices=words.RULE),
        Input("adopt", InputKind.SWITCH, "unmatched_adopt", words.ADOPT_HELP),
    )),)),
    _save, lambda _: PATH, _asked, values=lambda values: values, choices=_choices, effect=_effect,
)  # fmt: skip
