"""Explaining a route (P10.4, 路由解释): what would become of one message, check by check and rule by rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.i18n import DEFAULT
from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.forms import Filled, Form, Input, InputKind, Inputs
from smsgw.admin.kit.kinds import names_of
from smsgw.admin.kit.lists import refusal
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import whole_accounts
from smsgw.admin.kit.pieces import field_alone
from smsgw.admin.pages.routing.route_table import PATH as ROUTES, document_of, visible
from smsgw.admin.rights import route
from smsgw.admin.words import explain as words, route_table as route_words
from smsgw.core.errors import SmsgwError, message_of
from smsgw.core.kinds import resolve
from smsgw.core.model import ChannelSpec, MessageType, Origin
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.core.words import labels_of
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.pipeline.fleet import membership
from smsgw.platform.routing import queries

PATH = ROUTES + "/explain"
MENU = Entry("routing.explain", PATH, Permission.ROUTE_VIEW)
FORM = Form((Inputs((
    Input("account", InputKind.CHOICE, required=True),
    Input("type", InputKind.CHOICE, required=True),
    Input("number", InputKind.PHONE, required=True),
    Input("sign", help=words.SIGN_HELP, most=20),
    Input("content", InputKind.LINES, required=True, help=words.CONTENT_HELP, most=1000),
)),))  # fmt: skip
_BEFORE = {"type": MessageType.NOTICE.value}
_UP = ("bound", "idle")


@dataclass(frozen=True, slots=True)
class Check:
    """A check and what it said; ``where``: the page of its rule (label, address), for who may see it."""

    name: str
    ok: bool
    said: str
    where: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A channel, and whether the message could go there now."""

    name: str
    taken: bool
    """It is one of those that take it."""
    why: str
    """A state of ``messages.CHANNEL_STATE``, or a key of ``words.OUT``; empty: nothing is against it."""
    weight: int
    id: int


@dataclass(frozen=True, slots=True)
class Explained:
    """What is shown of one message."""

    verdict: str
    """A key of ``words.VERDICT``."""
    said: str
    line: Mapping[str, Any]
    checks: Sequence[Check]
    rules: Sequence[Mapping[str, Any]]
    candidates: Sequence[Candidate]
    number: str


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    return {"account": whole_accounts(call), "type": names_of(call)}


@route("GET", PATH, Permission.ROUTE_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The form."""
    filled = FORM.blank(_BEFORE)
    filled.choices = dict(await _choices(call))
    return _page(call, filled)


@route("POST", PATH, Permission.ROUTE_VIEW)
async def explain(call: Call) -> web.StreamResponse:
    """What would become of it; nothing is sent or kept."""
    data = await call.request.post()
    filled = FORM.read(data, await _choices(call))
    if alone := field_alone(call, filled, data):
        return alone
    if not filled.good:
        return _page(call, filled)
    try:
        return _page(call, filled, await _explained(call, filled.values))
    except SmsgwError as error:
        field = str(error.detail.get("field", ""))
        at = {"to": "number", "content": "content", "sign": "sign"}.get(field)
        if at:
            filled.errors[at] = Problem("%(said)s", {"said": refusal(call, error)})
        else:
            filled.refused = refusal(call, error)
        return _page(call, filled)


def _page(call: Call, filled: Filled, found: Explained | None = None) -> web.Response:
    return call.render(
        "routing/explain.html", status=200 if filled.good else 422, filled=filled, found=found, explain_words=words,
        route_words=route_words, all=call.actor.scope.whole is None,
    )  # fmt: skip


async def _explained(call: Call, values: Mapping[str, Any]) -> Explained:
    account = call.portal.context.snapshots.current.account(int(values["account"]))
    if account is None:
        raise web.HTTPNotFound
    item = SendItem(to=f"+{values['number']}", content=values["content"], sign=values["sign"] or "")
    base, kind = resolve(call.portal.context.snapshots.current.kinds, values["type"])
    request = SendRequest(account, (item,), base, Origin.PORTAL, call.actor.label, kind=kind)
    line = (await call.portal.context.acceptor.explain(request))[0]
    checks = [_check(call, one) for one in _list(line.get("checks"))]
    rules = _list(line.get("rules"))
    if call.actor.scope.whole is not None:  # those made for others are not named, but for the one that decides
        seen = {rule["name"] for rule in (await visible(call, document_of(await queries.newest(call.db))))["rule"]}
        rules = [rule for rule in rules if not rule["miss"] or rule["rule"] in seen]
    candidates = _candidates(call, line) if "pool" in line else []
    return Explained(
        _verdict(line, candidates), _said(call, line), line, checks, rules, candidates, mask(values["number"])
    )


def _list(value: object) -> list[Mapping[str, Any]]:
    return list(value) if isinstance(value, list) else []


def _verdict(line: Mapping[str, Any], candidates: Sequence[Candidate]) -> str:
    verdict = str(line["verdict"])
    if verdict != "accepted":
        return verdict
    if line.get("held"):
        return "held"
    return "accepted" if any(one.taken for one in candidates) else "waiting"


def _said(call: Call, line: Mapping[str, Any]) -> str:
    """Why not; empty: nothing is against it."""
    if line["code"] == "OK":
        return ""
    return message_of(str(line["code"]), english=True) if call.language != DEFAULT else str(line["message"])


def _check(call: Call, one: Mapping[str, Any]) -> Check:
    key = next((key for key, label in labels_of("check").items() if str(label) == one["check"]), "")
    english = call.language != DEFAULT
    name = labels_of("check")[key].text(english) if key else str(one["check"])
    where = words.WHERE.get(key)
    said = "" if one["ok"] else message_of(str(one["code"]), english=True) if english else str(one["message"])
    return Check(name, bool(one["ok"]), said, where if where and where[1] in call.menu.paths else None)


def _candidates(call: Call, line: Mapping[str, Any]) -> list[Candidate]:
    """The channels of the pool that it waits in, and those that serve the carrier otherwise: which take it now."""
    snapshot = call.portal.context.snapshots.current
    states = {status.name: status.state for status in call.portal.context.channel_status()}
    specs = [spec for spec in snapshot.channels if spec.id > 0]
    own = [(spec, m) for spec in specs if (m := membership(spec, line["pool"], snapshot.table)) is not None]
    up = any(not m.standby and states.get(spec.name) in _UP for spec, m in own)

    def why(spec: ChannelSpec, *, standby: bool) -> str:
        if spec.desired != "started":
            return spec.desired
        if states.get(spec.name) not in _UP:
            return states.get(spec.name, "connecting")
        return "standby" if standby and up else ""

    found = [Candidate(s.name, not (w := why(s, standby=m.standby)), w, m.weight, s.id) for s, m in own]
    others = [spec for spec in specs if all(spec is not mine for mine, _ in own)]
    found += [Candidate(spec.name, False, "elsewhere", 0, spec.id) for spec in others]
    return sorted(found, key=lambda one: (not one.taken, one.why == "elsewhere", one.name))
