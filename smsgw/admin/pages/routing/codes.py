"""Carriers' codes (P10.8, 错误码映射): meaning, advice, whether they count, how often they come; saying otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.kit.menu import Entry
from smsgw.admin.pages.routing.route_table import whole
from smsgw.admin.rights import route
from smsgw.admin.words import codes as words, explain, messages, records as records_words
from smsgw.core.code_book import Source
from smsgw.core.ids import CHINA
from smsgw.core.model import REPORT_CLASSES
from smsgw.core.permissions import Permission
from smsgw.core.retry import Fault
from smsgw.platform.routing import codebook, queries, service
from smsgw.platform.routing.codebook import Line, Seen
from smsgw.platform.routing.model import CARRIERS
from smsgw.runtime import clock

PATH = "/codes"
MENU = Entry("routing.codes", PATH, Permission.CODE_VIEW)
SECONDS, UNKNOWN_SECONDS = 120.0, 30.0
"""How old the figures of a day may be, and how long it is not tried again where they were not to be had."""
SETTLED, SETTLED_SECONDS = 3, 6 * 3600.0
"""Days after which hardly a report comes, and how old figures may be then."""
PATIENCE = 8.0
"""Seconds for one look."""
MOST_SHOWN = 150


def _today() -> date:
    return clock.now().astimezone(CHINA).date()


async def _seen(call: Call) -> Seen | None:
    """The figures, a little old; None: they are not to be had yet. Of a site with very many failures each look counts
    some more days, and those on which little changes are kept."""
    today, began, days = _today(), clock.steady(), list[Seen]()

    def age(found: Seen | None) -> float:
        return UNKNOWN_SECONDS if found is None else SETTLED_SECONDS if back >= SETTLED else SECONDS

    for back in range(codebook.DAYS):
        day = today - timedelta(days=back)
        find = partial(codebook.seen_on, call.db, call.actor, day)
        seen = await call.portal.remembered.get(("codes", repr(call.actor.scope), day), age, find)
        if seen is None or clock.steady() - began > PATIENCE:
            return None
        days.append(seen)
    return codebook.together(days)


@route("GET", PATH, Permission.CODE_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The table, as far as it fits what is looked for."""
    query = call.request.query
    text, cls, shown = query.get("q", "")[:64].strip(), query.get("class", ""), query.get("show", "")
    seen = await _seen(call)
    lines = [
        one for one in await codebook.lines(call.db, seen or {}, _today())
        if text.upper() in one.code.upper() and (not cls or one.cls == cls)
        and {"seen": one.n > 0 or seen is None, "own": one.own, "unknown": one.cls == "UNKNOWN"}.get(shown, True)
    ]  # fmt: skip
    may = call.may(Permission.CODE_EDIT) and call.actor.scope.whole is None
    return call.render(
        "routing/codes.html", known=seen is not None, lines=lines[:MOST_SHOWN], left=max(0, len(lines) - MOST_SHOWN),
        text=text, cls=cls,
        shown=shown, code_words=words, explain_words=explain, category=records_words.CATEGORY, may=may, place=_place,
        classes={c: messages.CLASS[c] for c in REPORT_CLASSES}, days=codebook.DAYS,
    )  # fmt: skip


def _place(one: Line) -> str:
    """The query of the form for a line."""
    return urlencode({"code": one.code, "source": one.source.value, "channel": one.channel})


_NAMED = (
    Input("code", required=True, most=64, help=words.CODE_HELP),
    Input("source", InputKind.CHOICE, "code_source", required=True, choices=words.SOURCE),
    Input("channel", InputKind.CHOICE, help=words.CHANNEL_HELP),
)
FORM = Form((Inputs((
    *_NAMED,
    Input("class", InputKind.CHOICE, "code_class", words.CLASS_HELP, required=True,
          choices={c: messages.CLASS[c] for c in REPORT_CLASSES}),
    Input("fault", InputKind.CHOICE, "code_fault", words.FAULT_HELP, required=True,
          choices={key: name for key, (name, _) in explain.FAULT.items()}),
    Input("carrier", InputKind.CHOICE, help=words.CARRIER_HELP, choices={c: messages.CARRIER[c] for c in CARRIERS}),
)),))  # fmt: skip


async def _asked(call: Call) -> Mapping[str, Any]:
    """The line that an address names, as a form has it; or an empty one."""
    whole(call)
    query = call.request.query
    code, source, channel = (query.get(key, "")[:64] for key in ("code", "source", "channel"))
    lines = await codebook.lines(call.db, {code.upper(): (0, "")} if code else {}, _today())
    found = next((one for one in lines if (one.code, one.source.value, one.channel) == (code, source, channel)), None)
    values = {"code": code, "source": source or Source.REPORT.value, "channel": channel}
    if found is not None:
        values |= {"class": found.cls, "fault": found.fault.value, "carrier": found.carrier}
    return values


async def _choices(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    return {"channel": {name: name for name in sorted(await queries.channel_names(call.db))}}


def _named(call: Call, values: Mapping[str, Any]) -> dict[str, str]:
    source = words.SOURCE[values["source"]]
    return {
        "code": values["code"].strip().upper(),
        "source": call.gettext(source),
        "channel": values["channel"] or call.gettext(words.EVERY_CHANNEL),
    }


async def _effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    if values["carrier"] and values["fault"] != Fault.PORTED:
        raise Wrong("carrier", Problem(words.ONLY_PORTED))
    code = values["code"].strip().upper()
    seen = await _seen(call)
    cls, (fault, _about) = messages.CLASS[values["class"]], explain.FAULT[values["fault"]]
    said = {**_named(call, values), "cls": call.gettext(cls), "fault": call.gettext(fault)}
    if seen is None:
        return Effect(words.SET_EFFECT_UNKNOWN, said)
    return Effect(words.SET_EFFECT, {**said, "n": f"{seen.get(code, (0, ''))[0]:,}"})


async def _save(call: Call, _: Any, values: Mapping[str, Any]) -> web.StreamResponse:
    await service.set_code(
        call.change(), values["channel"] or None, Source(values["source"]), values["code"], values["class"],
        Fault(values["fault"]), carrier=values["carrier"] or "",
    )  # fmt: skip
    call.toast(call.gettext(words.SAVED))
    return call.redirect(PATH, q=values["code"].strip().upper())


async def _reset_effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    return Effect(words.RESET_EFFECT, _named(call, values))


async def _reset(call: Call, _: Any, values: Mapping[str, Any]) -> web.StreamResponse:
    await service.remove_code(call.change(), values["channel"] or None, Source(values["source"]), values["code"])
    call.toast(call.gettext(words.REMOVED))
    return call.redirect(PATH)


SET = FormPage(
    PATH + "/-/set", Permission.CODE_EDIT, words.SET_TITLE, words.SAVE, FORM, _save, lambda _: PATH, _asked,
    values=lambda values: values, choices=_choices, effect=_effect,
)  # fmt: skip
RESET = FormPage(
    PATH + "/-/reset", Permission.CODE_EDIT, words.RESET_TITLE, words.RESET, Form((Inputs(_NAMED),)), _reset,
    lambda _: PATH, _asked, values=lambda values: values, choices=_choices, effect=_reset_effect,
)  # fmt: skip
