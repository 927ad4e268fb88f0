"""When and how often is sent (P10.7, 频控与时段): the types, the operator's kinds of them, and what holds for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.kinds import in_force, names_of
from smsgw.admin.kit.lists import Effect
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.pages.sending.rules import PATH as RULES
from smsgw.admin.rights import route
from smsgw.admin.words import approval, limits as words
from smsgw.admin.words.messages import TYPE
from smsgw.core import kinds as core
from smsgw.core.errors import Temporary
from smsgw.core.kinds import CustomKind
from smsgw.core.model import Account, MessageType
from smsgw.core.permissions import Permission
from smsgw.core.policy import Limits
from smsgw.core.routes import RouteTable
from smsgw.platform.kinds import queries, service
from smsgw.platform.policies import frequency, gates, service as policies
from smsgw.platform.review import rules
from smsgw.platform.review.rules import MOST_READ_OF_SLICE, Place
from smsgw.runtime import clock

PATH = "/limits"
_VIEW, _EDIT = Permission.POLICY_VIEW, Permission.POLICY_EDIT
MENU = Entry("routing.limits", PATH, _VIEW)
_NAME = "[a-z][a-z0-9_]{1,31}"
_EVERYBODY = Account(0, "", "active")
"""Whose policies are everybody's alone."""


@dataclass(frozen=True, slots=True)
class Line:
    """A type or a kind with what holds for everybody."""

    name: str
    label: str
    base: str
    kind: CustomKind | None
    limits: Limits
    pools: tuple[str, ...]
    """Those that rules of its own lead to, for whatever account and signature."""
    of_marketing: bool


def _all(call: Call) -> bool:
    """Whether the person may change what holds for everybody."""
    return call.actor.scope.whole is None


def _pools(table: RouteTable, name: str) -> tuple[str, ...]:
    rules = (rule for rule in table.rules if name in rule.type and not rule.account and not rule.sign)
    return tuple(dict.fromkeys(rule.pool for rule in rules))


@route("GET", PATH, _VIEW)
async def show(call: Call) -> web.StreamResponse:
    """Type by type, each followed by its kinds."""
    now = await in_force(call)
    names = names_of(call, retired=True, of=now.kinds)
    lines = []
    for base in MessageType:
        for kind in (None, *(one for one in now.kinds.values() if one.base is base)):
            name = kind.name if kind else base.value
            limits = now.policies.limits(_EVERYBODY, base, kind.name if kind else "")
            lines.append(Line(name, names[name], names[base], kind, limits, _pools(now.table, name),
                              base is MessageType.MARKETING))  # fmt: skip
    return call.render(
        "routing/limits.html", lines=lines, limit_words=words, review_words=approval,
        may=call.may(_EDIT) and _all(call), may_routes=call.may(Permission.ROUTE_VIEW) and _all(call), most=core.MOST,
    )  # fmt: skip


# --- kinds -----------------------------------------------------------------------------------------------------------


async def _everybody(call: Call) -> Mapping[str, Any] | None:
    return {} if _all(call) else None


async def _add_effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    base = TYPE[values["base"]]
    told = {"name": values["kind_name"], "label": values["kind_label"], "base": call.gettext(base)}
    return Effect(words.ADD_EFFECT, told)


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    await service.add(call.change(), values["kind_name"], values["kind_label"], MessageType(values["base"]))
    call.toast(call.gettext(words.ADDED))
    return call.redirect(PATH)


ADD = FormPage(
    PATH + "/-/add", _EDIT, words.ADD_TITLE, words.ADD,
    Form((Inputs((
        Input("kind_name", required=True, most=32, pattern=r"[a-z][a-z0-9_]{1,31}", problem=words.NAME_HELP,
              help=words.NAME_HELP),
        Input("kind_label", required=True, most=core.MOST_LABEL, help=words.LABEL_HELP),
        Input("base", InputKind.CHOICE, "kind_base", words.BASE_HELP, required=True, choices=TYPE),
    )),)),
    _add, lambda _: PATH, _everybody, values=lambda values: values, effect=_add_effect,
)  # fmt: skip


async def _kind(call: Call) -> CustomKind | None:
    name = call.request.match_info["name"]
    return (await queries.all_kinds(call.db)).get(name) if _all(call) else None


async def _in_use(call: Call) -> CustomKind | None:
    found = await _kind(call)
    return None if found is None or found.retired else found


async def _retired(call: Call) -> CustomKind | None:
    found = await _kind(call)
    return found if found is not None and found.retired else None


async def _rename(call: Call, kind: CustomKind, values: Mapping[str, Any]) -> web.Response:
    await service.rename(call.change(), kind.name, values["kind_label"])
    call.toast(call.gettext(words.RENAMED))
    return call.redirect(PATH)


RENAME = FormPage(
    PATH + f"/{{name:{_NAME}}}/rename", _EDIT, words.RENAME_TITLE, words.SAVE,
    Form((Inputs((Input("kind_label", required=True, most=core.MOST_LABEL, help=words.LABEL_HELP),)),)),
    _rename, lambda _: PATH, _kind, values=lambda one: {"kind_label": one.label}, lead=lambda one: one.name,
)  # fmt: skip


async def _retire_effect(call: Call, kind: CustomKind, _: Mapping[str, Any]) -> Effect:
    used = await queries.used(call.db, kind.name, clock.now())
    rules = sum(kind.name in rule.type for rule in call.portal.context.snapshots.current.table.rules)
    told = {"messages": f"{used.messages:,}", "tasks": f"{used.tasks:,}", "rules": str(rules)}
    return Effect(words.RETIRE_EFFECT, {"name": kind.label, **told})


async def _retire(call: Call, kind: CustomKind, _: Mapping[str, Any]) -> web.Response:
    await service.retire(call.change(), kind.name)
    call.toast(call.gettext(words.RETIRE_DONE))
    return call.redirect(PATH)


RETIRE = FormPage(
    PATH + f"/{{name:{_NAME}}}/retire", _EDIT, words.RETIRE_TITLE, words.RETIRE, Form(()), _retire, lambda _: PATH,
    _in_use, effect=_retire_effect, lead=lambda one: one.label, danger=True,
)  # fmt: skip


async def _restore_effect(_: Call, kind: CustomKind, __: Mapping[str, Any]) -> Effect:
    return Effect(words.RESTORE_EFFECT, {"name": kind.label})


async def _restore(call: Call, kind: CustomKind, _: Mapping[str, Any]) -> web.Response:
    await service.restore(call.change(), kind.name)
    call.toast(call.gettext(words.RESTORED))
    return call.redirect(PATH)


RESTORE = FormPage(
    PATH + f"/{{name:{_NAME}}}/restore", _EDIT, words.RESTORE_TITLE, words.RESTORE, Form(()), _restore, lambda _: PATH,
    _retired, effect=_restore_effect, lead=lambda one: one.label,
)  # fmt: skip

# --- how often -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where limits are put, and those that are there."""

    place: Place
    name: str
    own: Mapping[str, str]
    gates: Mapping[str, str]
    marketing: bool
    """Or a kind of it."""


def _seen_on(subject: _Place) -> str:
    """The page where it stands."""
    return RULES if subject.place.account_id else PATH


async def _place(call: Call) -> _Place | None:
    account_id, type_ = int(call.request.match_info["id"]), call.request.match_info["type"]
    now = await in_force(call)
    if not core.is_type(type_, now.kinds):
        return None
    account = now.account(account_id) if str(account_id) in own_accounts(call) else None
    if (account is None) if account_id else not _all(call):
        return None
    place = Place(account_id, type_)
    name = account.name if account else call.gettext(approval.EVERYBODY)
    label = names_of(call, retired=True, of=now.kinds)[type_]
    base = now.kinds[type_].base if type_ in now.kinds else type_
    return _Place(
        place, f"{name} · {label}", rules.own(now.policies, place, frequency.NAMES),
        rules.own(now.policies, place, gates.NAMES), base == MessageType.MARKETING,
    )  # fmt: skip


def _wanted(values: Mapping[str, Any], names: Sequence[str] = frequency.NAMES) -> dict[str, str]:
    return {name: str(values[name]) for name in names if values.get(name) not in ("", None)}


async def _frequency_effect(call: Call, subject: _Place, values: Mapping[str, Any]) -> Effect:
    now, wanted = await in_force(call), _wanted(values)
    frequency.check(wanted)
    try:
        met = await frequency.outcome(call.db, now, subject.place, wanted, clock.now())
    except Temporary:
        return Effect(approval.EFFECT_UNKNOWN, {"name": subject.name})
    return Effect(words.FREQUENCY_EFFECT, {
        "name": subject.name, "numbers": f"{met.numbers:,}", "messages": f"{met.messages:,}",
        "refused": f"{met.refused:,}", "now": f"{met.refused_now:,}", "read": MOST_READ_OF_SLICE,
    })  # fmt: skip


async def _frequency_save(call: Call, subject: _Place, values: Mapping[str, Any]) -> web.Response:
    await frequency.put(call.change(), subject.place, _wanted(values), seen=values["seen"] or "")
    call.toast(call.gettext(words.SAVED))
    return call.redirect(_seen_on(subject))


_SEEN = Input("seen", InputKind.HIDDEN, most=2000)
"""What was put there when the form was opened: compared when it is replaced."""
FREQUENCY = FormPage(
    PATH + rf"/{{id:0|[1-9]\d{{0,17}}}}/{{type:{_NAME}}}/frequency", _EDIT, words.FREQUENCY, words.SAVE,
    Form((Inputs((
        Input("frequency", label="limit_frequency", help=words.FREQUENCY_HELP, most=100),
        Input("frequency_per", InputKind.CHOICE, "limit_per", choices=words.PER),
        Input("frequency_all", label="limit_all", help=words.ALL_HELP, most=100),
        Input("identical_seconds", InputKind.NUMBER, "limit_identical", words.IDENTICAL_HELP, least=0, most=86_400),
        _SEEN,
    )),)),
    _frequency_save, _seen_on, _place, values=lambda one: {**one.own, "seen": policies.seen_as(one.own)},
    effect=_frequency_effect, lead=lambda one: one.name,
)  # fmt: skip

# --- what is sent at all ---------------------------------------------------------------------------------------------


async def _gates_effect(call: Call, subject: _Place, values: Mapping[str, Any]) -> Effect:
    now, wanted = await in_force(call), _wanted(values, gates.NAMES)
    try:
        checker = call.portal.context.surveyor.checker
        met = await gates.outcome(call.db, checker, now, subject.place, wanted, clock.now())
    except Temporary:
        return Effect(approval.EFFECT_UNKNOWN, {"name": subject.name})
    told = {name: f"{met.refused.get(name, 0):,}" for name in gates.NAMES}
    text = words.GATES_EFFECT if subject.marketing else words.SIGNS_EFFECT
    return Effect(text, {
        "name": subject.name, "messages": f"{met.messages:,}", "now": f"{met.refused_now:,}",
        "read": MOST_READ_OF_SLICE, **told,
    })  # fmt: skip


async def _gates_save(call: Call, subject: _Place, values: Mapping[str, Any]) -> web.Response:
    await gates.put(call.change(), subject.place, _wanted(values, gates.NAMES), seen=values["seen"] or "")
    call.toast(call.gettext(words.GATES_SAVED))
    return call.redirect(_seen_on(subject))


_SIGNS = Input("sign_policy", InputKind.CHOICE, "limit_signs", words.SIGNS_HELP, choices=words.SIGNS)
_OF_MARKETING = (
    Input("filed_links", InputKind.CHOICE, "limit_links", words.LINKS_HELP, choices=words.LINKS),
    Input("consent", InputKind.CHOICE, "limit_consent", words.CONSENT_HELP, choices=words.CONSENT),
)
_ALL_GATES = Form((Inputs((_SIGNS, *_OF_MARKETING, _SEEN)),))
_SIGNS_ALONE = Form((Inputs((_SIGNS, _SEEN)),))
GATES = FormPage(
    PATH + rf"/{{id:0|[1-9]\d{{0,17}}}}/{{type:{_NAME}}}/gates", _EDIT, words.GATES, words.SAVE, _ALL_GATES,
    _gates_save, _seen_on, _place, values=lambda one: {**one.gates, "seen": policies.seen_as(one.gates)},
    effect=_gates_effect, lead=lambda one: one.name,
    form_of=lambda _, one: _ALL_GATES if one.marketing else _SIGNS_ALONE,
)  # fmt: skip
