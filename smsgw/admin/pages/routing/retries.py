"""Retries (P10.3, 重试规则): what follows a definite failure, by its fault and the type of the message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.pages.routing.route_table import PATH as ROUTES, whole
from smsgw.admin.rights import route
from smsgw.admin.words import explain as words, messages
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.core.retry import DEFAULTS, NEVER_RETRIED, Fault, RetryAction, Rule
from smsgw.platform.routing import queries, service

PATH = ROUTES + "/retries"
_ONE = f"{PATH}/{{fault:{'|'.join(f for f in Fault if f not in NEVER_RETRIED)}}}/{{type:{'|'.join(MessageType)}}}"


@dataclass(frozen=True, slots=True)
class _Cell:
    """One of the table."""

    fault: Fault
    type: MessageType
    rule: Rule
    changed: bool
    name: str


@route("GET", PATH, Permission.ROUTE_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The whole table."""
    changed = await queries.changed_rules(call.db)
    may = call.may(Permission.ROUTE_EDIT) and call.actor.scope.whole is None
    lines = [
        (fault, fault not in NEVER_RETRIED and may,
         [(kind, said(call, {**DEFAULTS, **changed}[fault, kind]), (fault, kind) in changed) for kind in MessageType])
        for fault in Fault
    ]  # fmt: skip
    return call.render("routing/retries.html", lines=lines, explain_words=words)


def said(call: Call, rule: Rule) -> str:
    """A rule in one line."""
    if rule.how is RetryAction.NEVER:
        return call.gettext(words.NEVER_SAID)
    tries = call.filled(words.TIMES, {"n": rule.tries}) if rule.tries else call.gettext(words.TIMES_ANY)
    within = call.gettext(words.WITHIN_ANY)
    if rule.deadline:
        within = call.filled(words.WITHIN, {"time": _span(call, rule.deadline)})
    return call.filled(words.SAID if rule.most else words.SAID_AT_ONCE, {
        "how": call.gettext(words.HOW[rule.how]), "tries": tries, "first": _span(call, rule.first),
        "most": _span(call, rule.most), "deadline": within,
    })  # fmt: skip


def _span(call: Call, seconds: float) -> str:
    """In the longest unit of which it is a whole number."""
    unit, text = next(
        ((each, text) for each, text in words.UNITS if seconds >= each and not seconds % each), words.UNITS[-1]
    )
    return call.filled(text, {"n": f"{seconds / unit:,g}"})


async def _cell(call: Call) -> _Cell | None:
    whole(call)
    given = call.request.match_info
    fault, kind = Fault(given["fault"]), MessageType(given["type"])
    changed = await queries.changed_rules(call.db)
    name = f"{call.gettext(words.FAULT[fault][0])} · {call.gettext(messages.TYPE[kind])}"
    return _Cell(fault, kind, {**DEFAULTS, **changed}[fault, kind], (fault, kind) in changed, name)


_SECONDS = 86_400
FORM = Form(
    (
        Inputs(
            (
                Input("how", InputKind.CHOICE, "retry_how", words.HOW_HELP, required=True, choices=words.HOW),
                Input("tries", InputKind.NUMBER, "retry_tries", words.TRIES_HELP, required=True, least=0, most=100),
                Input(
                    "first", InputKind.NUMBER, "retry_first", words.FIRST_HELP, required=True, least=0, most=_SECONDS
                ),
                Input("most", InputKind.NUMBER, "retry_most", words.MOST_HELP, required=True, least=0, most=_SECONDS),
                Input(
                    "deadline",
                    InputKind.NUMBER,
                    "retry_deadline",
                    words.DEADLINE_HELP,
                    required=True,
                    least=0,
                    most=5 * _SECONDS,
                ),
            )
        ),
    )
)


def _values(cell: _Cell) -> Mapping[str, Any]:
    rule = cell.rule
    return {"how": rule.how.value, "tries": rule.tries, "first": int(rule.first), "most": int(rule.most),
            "deadline": int(rule.deadline)}  # fmt: skip


def _rule(values: Mapping[str, Any]) -> Rule:
    how = RetryAction(values["how"])
    if how is RetryAction.NEVER:
        return Rule(how)
    if values["most"] < values["first"]:
        raise Wrong("most", Problem(words.MOST_BELOW))
    return Rule(how, values["tries"], float(values["deadline"]), float(values["first"]), float(values["most"]))


def _named(call: Call, cell: _Cell) -> dict[str, str]:
    return {"type": call.gettext(messages.TYPE[cell.type]), "fault": call.gettext(words.FAULT[cell.fault][0])}


async def _effect(call: Call, cell: _Cell, values: Mapping[str, Any]) -> Effect:
    rule = _rule(values)
    service.check_rule(cell.fault, rule)
    return Effect(words.RETRY_EFFECT, {**_named(call, cell), "how": said(call, rule)})


async def _save(call: Call, cell: _Cell, values: Mapping[str, Any]) -> web.StreamResponse:
    await service.set_rule(call.change(), cell.fault, cell.type, _rule(values))
    return _done(call)


def _done(call: Call) -> web.Response:
    call.toast(call.gettext(words.RETRY_SAVED))
    return call.redirect(PATH)


async def _reset_effect(call: Call, cell: _Cell, _: Mapping[str, Any]) -> Effect:
    text = words.RETRY_RESET_EFFECT if cell.changed else words.RETRY_RESET_NOTHING
    how = said(call, DEFAULTS[cell.fault, cell.type])
    return Effect(text, {**_named(call, cell), "how": how}, nothing=not cell.changed)


async def _reset(call: Call, cell: _Cell, _: Mapping[str, Any]) -> web.StreamResponse:
    await service.reset_rules(call.change(), cell.fault, cell.type)
    return _done(call)


EDIT = FormPage(
    _ONE, Permission.ROUTE_EDIT, words.RETRY_EDIT, words.SAVE, FORM, _save, lambda _: PATH, _cell, values=_values,
    effect=_effect, lead=lambda cell: cell.name,
)  # fmt: skip
RESET = FormPage(
    _ONE + "/reset", Permission.ROUTE_EDIT, words.RETRY_RESET_TITLE, words.RETRY_RESET, Form(()), _reset,
    lambda _: PATH, _cell, effect=_reset_effect, lead=lambda cell: cell.name,
)  # fmt: skip
