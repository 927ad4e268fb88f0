"""Forms of addresses that events are pushed to: made, changed, tried, given another secret; the way of an account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.pages.connect.webhooks import ONE, PATH, host_of, told
from smsgw.admin.words import pushes as push_words, webhooks as words
from smsgw.core.permissions import Permission
from smsgw.core.webhooks import (
    CALLBACK,
    MAX_HOSTS,
    MAX_ITEMS,
    OPERATORS_ONLY,
    SINGLE,
    TYPES,
    Format,
    Options,
    Way,
    parse_options,
)
from smsgw.core.wording_json import Heard
from smsgw.platform.webhooks import queries, service
from smsgw.platform.webhooks.model import MOST_BELOW, EndpointView, EventSetting, Wanted

MOST_FIELDS = 40
DEFAULTS = Options()
_KEEP = 24
"""Hours for which the former secret signs, unless said otherwise."""
_CALLS = (
    Input("max_items", InputKind.NUMBER, help=words.ITEMS_HELP, required=True, least=1, most=MAX_ITEMS),
    Input("linger_ms", InputKind.NUMBER, help=words.LINGER_HELP, required=True, least=0, most=60_000),
    Input("concurrency", InputKind.NUMBER, help=words.CONCURRENCY_HELP, required=True, least=1, most=16),
    Input("expect", help=words.EXPECT_HELP, most=200),
    Input("times", help=words.TIMES_HELP, most=40),
    Input("fields", InputKind.LINES, "field_names", words.FIELDS_HELP, most=6000),
    Input("items_field", help=words.ITEMS_FIELD_HELP, most=64),
)
_SEEN = Input("seen", InputKind.HIDDEN)
"""The mark of what a form was made of: sent again, or by a second person, it finds another one."""
_NAMED = Input("name", label="endpoint_name", help=words.NAME_HELP, required=True, most=64)
_ACCOUNT = Input("account", InputKind.CHOICE, required=True)
_URL = Input("url", label="endpoint_url", help=words.URL_HELP, required=True, most=2000)
_EVENTS = Input("events", InputKind.CHOICES, "endpoint_events", words.EVENTS_HELP)
_HOSTS = Input("hosts", InputKind.LINES, help=words.HOSTS_HELP, required=True, most=6000)
_FORMAT = Input("format", InputKind.CHOICE, "endpoint_format", words.FORMAT_HELP, required=True, choices=words.FORMAT)
_REPORTS = Input(
    "format", InputKind.CHOICE, "endpoint_format", required=True,
    choices={name: label for name, label in words.FORMAT.items() if name != Format.GET},
)  # fmt: skip


def _form(address: tuple[Input, ...], format_: Input = _FORMAT) -> Form:
    return Form((Inputs(address, words.SECTION_ADDRESS), Inputs((format_, *_CALLS), words.SECTION_FORMAT)))


ADDED, ADDED_CALLBACK = _form((_ACCOUNT, _NAMED, _URL, _EVENTS)), _form((_ACCOUNT, _HOSTS), _REPORTS)
EDITED, EDITED_CALLBACK = _form((_URL, _EVENTS, _SEEN)), _form((_HOSTS, _SEEN), _REPORTS)


def _values(options: Options = DEFAULTS) -> dict[str, Any]:
    return {
        "format": str(options.format), "max_items": options.max_items, "linger_ms": options.linger_ms,
        "concurrency": options.concurrency, "expect": options.expect, "times": options.times,
        "items_field": options.items_field,
        "fields": "\n".join(f"{name}={path}" for name, path in options.fields.items()),
    }  # fmt: skip


def _options(values: Mapping[str, Any]) -> dict[str, Any]:
    """What the service takes; formats of one event go by what they can."""
    given = {key: values[key] for key in ("format", "concurrency", "expect")}
    given |= {"times": values["times"] or DEFAULTS.times, "items_field": values["items_field"] or DEFAULTS.items_field}
    if Format(values["format"]) not in SINGLE:
        given |= {key: values[key] for key in ("max_items", "linger_ms")}
    fields = dict[str, str]()
    for n, line in enumerate(values["fields"].splitlines(), 1):
        name, equals, path = (part.strip() for part in line.partition("="))
        if not line.strip():
            continue
        if not (equals and name and path):
            raise Wrong("fields", Problem(words.FIELDS_WRONG, {"n": n}))
        fields[name] = path
    return given | {"fields": fields}


def _wanted(name: str, values: Mapping[str, Any]) -> Wanted:
    hosts = tuple(line.strip() for line in values.get("hosts", "").splitlines() if line.strip())
    return Wanted(
        name, values.get("url", ""), tuple(values.get("events", ())), hosts[: MAX_HOSTS + 1], _options(values)
    )


async def _choices(call: Call, _: Any) -> Mapping[str, Mapping[str, str]]:
    """Accounts in one's scope, and what may be pushed for this person."""
    internal = call.may(Permission.WEBHOOK_INTERNAL)
    events = {
        type_: call.gettext(push_words.EVENT[type_]) for type_ in TYPES if internal or type_ not in OPERATORS_ONLY
    }
    return {"account": own_accounts(call), "events": events}


async def _effect(call: Call, account_id: int, account: str, wanted: Wanted, *, stopped: bool = False) -> Effect:
    """Checked as the service will, with what waits; what is ``stopped`` begins again."""
    service.check(wanted, call.portal.context.pusher.destinations.reach_of(account_id))
    again = call.gettext(words.STARTS_AGAIN) if stopped else ""
    if wanted.name == CALLBACK:
        return Effect(words.CALLBACK_EFFECT, {"account": account, "n": len(wanted.hosts), "again": again})
    way = (await queries.setting(call.db, account_id)).way
    names = [call.gettext(push_words.EVENT[type_]) for type_ in wanted.events] or [call.gettext(words.REST)]
    text = {Way.PULL: words.PUT_FIRST, Way.BIND: words.PUT_BIND}.get(Way(way), words.PUT_EFFECT)
    n = await queries.waiting_for(call.db, account_id, wanted.name, wanted.events)
    return Effect(text, {
        "account": account, "events": call.listed(names), "host": host_of(wanted.url), "n": told(call, n),
        "again": again,
    })  # fmt: skip


async def _put(call: Call, account_id: int, wanted: Wanted, *, new: bool, seen: str | None = None) -> str | None:
    context = call.portal.context
    return await service.put(call.change(), context.sealer, account_id, wanted, context.reach, new=new, seen=seen)


async def _once(call: Call, account_id: int, name: str, secret: str) -> web.Response:
    rows = await queries.endpoints(call.db, (account_id,), name)
    back = f"{PATH}/{rows[0].id}" if rows else PATH
    account = own_accounts(call).get(str(account_id), "")
    return call.render("connect/webhook_secret.html", name=f"{account}/{name}", secret=secret, back=back)


# --- made and changed ------------------------------------------------------------------------------------------------


def _of_new(values: Mapping[str, Any]) -> tuple[int, Wanted]:
    return int(values["account"]), _wanted(values.get("name", CALLBACK), values)


async def _add_effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    account_id, wanted = _of_new(values)
    return await _effect(call, account_id, own_accounts(call)[str(account_id)], wanted)


async def _add(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    account_id, wanted = _of_new(values)
    secret = await _put(call, account_id, wanted, new=True)
    return await _once(call, account_id, wanted.name, secret or "")


def _not_callback(form: Form) -> Form:
    def check(values: Mapping[str, Any]) -> Mapping[str, Problem]:
        return {"name": Problem(words.NAME_HELP)} if values["name"] == CALLBACK else {}

    return Form(form.sections, check)


ADD = FormPage(
    f"{PATH}/-/new", Permission.WEBHOOK_EDIT, words.ADD_TITLE, words.ADD, _not_callback(ADDED), _add, lambda _: PATH,
    values=lambda _: _values(), choices=_choices, effect=_add_effect,
)  # fmt: skip
ADD_CALLBACK = FormPage(
    f"{PATH}/-/callback", Permission.WEBHOOK_EDIT, words.ADD_CALLBACK_TITLE, words.SAVE, ADDED_CALLBACK, _add,
    lambda _: PATH, values=lambda _: _values(), choices=_choices, effect=_add_effect, about=words.ABOUT_CALLBACK,
)  # fmt: skip


async def _endpoint(call: Call) -> EndpointView | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await queries.view(call.db, id_, accounts=call.actor.scope.whole)


async def _addressed(call: Call) -> EndpointView | None:
    """One that has an address of its own."""
    found = await _endpoint(call)
    return None if found is None or found.name == CALLBACK else found


def _at(one: EndpointView) -> str:
    return f"{PATH}/{one.id}"


def _label(one: EndpointView) -> str:
    return f"{one.account}/{one.name}"


async def _edit_effect(call: Call, one: EndpointView, values: Mapping[str, Any]) -> Effect:
    wanted = _wanted(one.name, values)
    events = service.events_of(call.actor, wanted.events, one.events)
    wanted = replace(wanted, events=tuple(events))
    return await _effect(call, one.account_id, one.account, wanted, stopped=one.status != "active")


async def _edit(call: Call, one: EndpointView, values: Mapping[str, Any]) -> web.Response:
    await _put(call, one.account_id, _wanted(one.name, values), new=False, seen=values["seen"])
    call.toast(call.gettext(words.SAVED))
    return call.redirect(_at(one))


def _edited(one: EndpointView) -> Mapping[str, Any]:
    own = {"url": one.url, "events": one.events, "hosts": "\n".join(one.hosts), "seen": one.mark}
    return own | _values(parse_options(one.options))


def _edited_form(call: Call, one: EndpointView) -> Form:
    return EDITED_CALLBACK if one.name == CALLBACK else EDITED


EDIT = FormPage(
    f"{ONE}/edit", Permission.WEBHOOK_EDIT, words.EDIT_TITLE, words.SAVE, EDITED, _edit, _at, _endpoint,
    values=_edited, choices=_choices, effect=_edit_effect, lead=_label, form_of=_edited_form,
)  # fmt: skip

# --- secrets and samples ---------------------------------------------------------------------------------------------


async def _rotate_effect(_: Call, one: EndpointView, values: Mapping[str, Any]) -> Effect:
    hours = values["keep_old_hours"]
    return Effect(words.ROTATE_EFFECT if hours else words.ROTATE_NOW, {"name": _label(one), "hours": hours})


async def _rotate(call: Call, one: EndpointView, values: Mapping[str, Any]) -> web.Response:
    secret = await service.rotate_secret(
        call.change(), call.portal.context.sealer, one.account_id, one.name,
        keep_old_hours=values["keep_old_hours"], force=values["force"], seen=values["seen"],
    )  # fmt: skip
    return await _once(call, one.account_id, one.name, secret)


ROTATE = FormPage(
    f"{ONE}/rotate",
    Permission.WEBHOOK_EDIT,
    words.ROTATE_TITLE,
    words.ROTATE,
    Form(
        (
            Inputs(
                (
                    Input(
                        "keep_old_hours",
                        InputKind.NUMBER,
                        help=words.KEEP_HELP,
                        required=True,
                        least=0,
                        most=service.MAX_OLD_HOURS,
                    ),
                    Input("force", InputKind.SWITCH, "rotate_again", words.FORCE_HELP),
                    _SEEN,
                )
            ),
        )
    ),
    _rotate,
    _at,
    _endpoint,
    values=lambda one: {"keep_old_hours": _KEEP, "seen": one.mark},
    effect=_rotate_effect,
    lead=_label,
)


async def _test_effect(_: Call, one: EndpointView, __: Mapping[str, Any]) -> Effect:
    return Effect(words.TEST_EFFECT, {"host": host_of(one.url)})


async def _test(call: Call, one: EndpointView, _: Mapping[str, Any]) -> web.Response:
    """What the receiver has said; its words are shown to those alone who may have things pushed anywhere."""
    context = call.portal.context
    answer = await service.send_sample(call.actor, context.snapshots, context.pusher, one.account_id, one.name)
    text = answer.text if call.may(Permission.WEBHOOK_INTERNAL) else ""
    return call.render("connect/webhook_answer.html", name=_label(one), host=host_of(one.url), answer=answer,
                       problem=Heard(answer.problem), text=text, back=_at(one), again=f"{_at(one)}/test")  # fmt: skip


TEST = FormPage(
    f"{ONE}/test", Permission.WEBHOOK_EDIT, words.TEST_TITLE, words.TEST, Form(()), _test, _at, _addressed,
    effect=_test_effect, lead=_label,
)  # fmt: skip

# --- the way of an account -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _OfAccount:
    """An account, and how it gets its events."""

    id: int
    name: str
    setting: EventSetting


async def _account(call: Call) -> _OfAccount | None:
    id_ = read_id(call.request.match_info["id"])
    name = own_accounts(call).get(str(id_))
    return None if id_ is None or name is None else _OfAccount(id_, name, await queries.setting(call.db, id_))


async def _way_effect(call: Call, one: _OfAccount, values: Mapping[str, Any]) -> Effect:
    way = words.WAY[values["way"]]
    said = {"account": one.name, "way": call.gettext(way)}
    if values["way"] == one.setting.way:
        below = f"{values['balance_below']:,}" if values["balance_below"] else call.gettext(words.NO_BALANCE)
        return Effect(words.WAY_KEPT, said | {"below": below})
    turned = await queries.waiting_turned(call.db, one.id, values["way"])
    return Effect(words.WAY_EFFECT, said | {"n": told(call, turned)})


async def _way(call: Call, one: _OfAccount, values: Mapping[str, Any]) -> web.Response:
    await service.edit_setting(call.change(), one.id, way=values["way"], balance_below=values["balance_below"] or 0)
    call.toast(call.gettext(words.WAY_SAVED))
    return call.redirect(PATH, account=str(one.id))


WAY = FormPage(
    f"{PATH}/-/way/{{id:[0-9]{{1,19}}}}", Permission.WEBHOOK_EDIT, words.WAY_TITLE, words.SAVE,
    Form((Inputs((
        Input("way", InputKind.CHOICE, "event_way", words.WAY_HELP, required=True, choices=words.WAY),
        Input("balance_below", InputKind.NUMBER, help=words.BELOW_HELP, least=0, most=MOST_BELOW),
    )),)),
    _way, lambda one: f"{PATH}?account={one.id}", _account, effect=_way_effect, lead=lambda one: one.name,
    values=lambda one: {"way": one.setting.way, "balance_below": one.setting.balance_below or 0},
)  # fmt: skip
