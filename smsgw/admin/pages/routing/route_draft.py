"""Editing routes (P10.3): a draft of the table, rule by rule and pool by pool, tried on traffic before it is published.

Every form carries the draft's revision: what was changed in another window, or published by somebody else meanwhile, is
told and nothing of either is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.kinds import names_of
from smsgw.admin.kit.lists import Effect, refusal
from smsgw.admin.kit.toasts import ToastKind
from smsgw.admin.pages.routing.route_table import (
    NOTE,
    PATH,
    channel_states,
    document_of,
    effect_of,
    going,
    tried,
    whole,
)
from smsgw.admin.rights import route
from smsgw.admin.words import messages, route_table as words
from smsgw.admin.words.provinces import chinese
from smsgw.core import numbers, route_edit, routes as core
from smsgw.core.errors import Invalid, Refused, Temporary
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.routing import drafts, queries
from smsgw.platform.routing.drafts import Document, RouteDraft

DRAFT = PATH + "/draft"
_RULE_AT, _POOL_AT = DRAFT + "/rules/{n:0|[1-9][0-9]{0,3}}", DRAFT + "/pools/{n:0|[1-9][0-9]{0,2}}"
_EDIT = Permission.ROUTE_EDIT
_REVISION = Input("revision", InputKind.HIDDEN, label="version")
MOST_LINES = 20_000


@dataclass(frozen=True, slots=True)
class _Item:
    """A rule or a pool of the draft; ``n`` None: a new one."""

    draft: RouteDraft
    n: int | None
    table: Mapping[str, Any]


async def _mine(call: Call) -> RouteDraft:
    """The person's; without one (it was published or discarded in another window) the table is shown instead."""
    whole(call)
    draft = await drafts.mine(call.db, call.actor.id)
    if draft is None:
        raise web.HTTPSeeOther(PATH)
    return draft


# --- the draft -------------------------------------------------------------------------------------------------------


@route("POST", DRAFT + "/begin", _EDIT)
async def begin(call: Call) -> web.StreamResponse:
    """A draft of what is in force; one that is there is gone on with."""
    whole(call)
    if await drafts.mine(call.db, call.actor.id) is None:
        await drafts.begin(call.change())
        call.toast(call.gettext(words.BEGUN))
    return call.redirect(DRAFT)


@route("GET", DRAFT, _EDIT)
async def show(call: Call) -> web.StreamResponse:
    """The draft, and what it would change."""
    draft = await _mine(call)
    newest = await queries.newest(call.db)
    version = newest.version if newest else 0
    theirs = []
    if version != draft.base:
        theirs = route_edit.differences(await drafts.document_of(call.db, draft.base), document_of(newest))
    return call.render(
        "routing/route_draft.html", route_words=words, draft=draft, newest=newest, version=version, theirs=theirs,
        changes=route_edit.differences(document_of(newest), draft.document), states=channel_states(call),
        others=await drafts.others(call.db, call.actor.id), used=_used(draft.document),
    )  # fmt: skip


def _used(document: Document) -> dict[str, str]:
    """Pool -> a rule that leads there."""
    return {rule["pool"]: rule["name"] for rule in reversed(document["rule"])}


async def _posted(call: Call) -> tuple[int, Mapping[str, Any]]:
    form = await call.request.post()
    text = str(form.get("revision", ""))
    return (int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0), form


@route("POST", DRAFT + "/catch-up", _EDIT)
async def catch_up(call: Call) -> web.StreamResponse:
    """Bring it together with a version that was published meanwhile, or keep it as it is."""
    whole(call)
    revision, form = await _posted(call)
    keep = form.get("keep") == "1"
    try:
        merged = await drafts.catch_up(call.change(), revision, keep=keep)
    except Refused as error:
        call.toast(refusal(call, error), ToastKind.BAD)
        return call.redirect(DRAFT)
    if keep:
        call.toast(call.gettext(words.KEPT))
    elif merged is not None and merged.clashes:
        names = call.listed(name for _, name in merged.clashes[:10])
        call.toast(call.filled(words.MERGED_CLASHES, {"names": names}), ToastKind.BAD)
    else:
        call.toast(call.gettext(words.MERGED))
    return call.redirect(DRAFT)


@route("POST", _RULE_AT + "/move", _EDIT)
async def move(call: Call) -> web.StreamResponse:
    """A rule one place up or down."""
    whole(call)
    revision, form = await _posted(call)
    n, up = int(call.request.match_info["n"]), form.get("to") != "down"

    def step(document: Document) -> Document:
        rules, other = list(document["rule"]), n - 1 if up else n + 1
        if not (0 <= n < len(rules) and 0 <= other < len(rules)):
            return document
        rules[n], rules[other] = rules[other], rules[n]
        return {**document, "rule": rules}

    try:
        await drafts.edit(call.change(), revision, step)
    except Refused as error:
        call.toast(refusal(call, error), ToastKind.BAD)
    return call.redirect(DRAFT + "#rules")


# --- rules -----------------------------------------------------------------------------------------------------------

_CARRIERS: dict[str, str] = {one: messages.CARRIER[one] for one in numbers.CARRIERS if one in messages.CARRIER}


def _lines(key: str, help_: str = words.LINES_HELP) -> Input:
    return Input(key, InputKind.LINES, f"route_{key}", help_, most=MOST_LINES)


RULE = Form((
    Inputs((
        Input("name", label="route_name", required=True, most=core.MAX_NAME, help=words.NAME_HELP),
        Input("pool", InputKind.CHOICE, "route_pool", required=True),
        Input("place", InputKind.CHOICE, "route_place", words.PLACE_HELP, required=True),
    )),
    Inputs((
        _lines("account"),
        Input("type", InputKind.CHOICES, "type", choices={t.value: messages.TYPE[t.value] for t in MessageType}),
        Input("carrier", InputKind.CHOICES, "carrier", choices=_CARRIERS),
        _lines("province"), _lines("sign"), _lines("prefix", words.PREFIX_HELP), _lines("keyword", words.KEYWORD_HELP),
        Input("hours", label="route_hours", help=words.HOURS_HELP, most=11),
        _REVISION,
    ), words.CONDITIONS, words.CONDITIONS_HELP),
))  # fmt: skip
RULE_PLACE = Form((Inputs((
    Input("place", InputKind.CHOICE, "route_place", words.PLACE_HELP, required=True), _REVISION,
), words.SWITCHING, words.SWITCHING_HELP),))  # fmt: skip
"""Of a rule that gives an account or signature to a channel."""
_TYPED = ("account", "province", "sign", "prefix", "keyword")
_NEW_RULE: Mapping[str, Any] = {"name": "", "pool": ""}


async def _rule(call: Call) -> _Item | None:
    draft = await _mine(call)
    given = call.request.match_info.get("n")
    if given is None:
        return _Item(draft, None, _NEW_RULE)
    n = int(given)
    return _Item(draft, n, draft.document["rule"][n]) if n < len(draft.document["rule"]) else None


def _rule_values(item: _Item) -> Mapping[str, Any]:
    table, n = item.table, item.n
    values: dict[str, Any] = {key: "\n".join(table.get(key, ())) for key in _TYPED}
    values |= {key: table.get(key) for key in ("name", "pool", "type", "carrier", "hours")}
    place = len(item.draft.document["rule"]) if n is None else n
    return values | {"place": str(place), "revision": item.draft.revision}


async def _rule_choices(call: Call, item: _Item) -> Mapping[str, Mapping[str, str]]:
    document = item.draft.document
    pools = {pool["name"]: pool["name"] for pool in document["pool"]}
    for pool in core.BUILT_IN:
        pools[pool] = call.filled(words.CARRIER_POOL, {"name": call.gettext(messages.CARRIER.get(pool, pool))})
    rest = [rule["name"] for n, rule in enumerate(document["rule"]) if n != item.n]
    places = {"0": call.gettext(words.FIRST)}
    places |= {str(n): call.filled(words.BEHIND, {"name": name}) for n, name in enumerate(rest, 1)}
    return {"pool": pools, "place": places, "type": names_of(call)}


def _typed_lines(values: Mapping[str, Any], key: str) -> list[str]:
    found = list(dict.fromkeys(line.strip() for line in values[key].splitlines() if line.strip()))
    if len(found) > core.MAX_VALUES:
        raise Wrong(key, Problem(words.TOO_MANY, {"n": core.MAX_VALUES}))
    return found


def _made(call: Call, item: _Item, values: Mapping[str, Any]) -> dict[str, Any]:
    """The rule as it was typed. Raises ``Wrong``."""
    rule: dict[str, Any] = {"name": values["name"], "pool": values["pool"]}
    others = [one["name"] for n, one in enumerate(item.draft.document["rule"]) if n != item.n]
    if rule["name"].startswith(core.MOVE) or rule["name"] == core.MOVE.strip():
        raise Wrong("name", Problem(words.RULE_NAME_RESERVED))
    if rule["name"] in others:
        raise Wrong("name", Problem(words.RULE_NAME_TAKEN))
    for key in _TYPED:
        if found := _typed_lines(values, key):
            rule[key] = found if key != "province" else list(dict.fromkeys(map(chinese, found)))
    for key in ("type", "carrier"):
        if values[key]:
            rule[key] = list(values[key])
    known = {a.name for a in call.portal.context.snapshots.current.accounts()}
    if unknown := next((n for n in rule.get("account", ()) if n not in known), ""):
        raise Wrong("account", Problem(words.NO_ACCOUNT, {"name": unknown}))
    for n, line in enumerate(rule.get("prefix", ()), 1):
        if not re.fullmatch(r"[1-9][0-9]{0,14}", line):
            raise Wrong("prefix", Problem(words.PREFIX_BAD, {"n": n}))
    if values["hours"]:
        if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)", values["hours"]):
            raise Wrong("hours", Problem(words.HOURS_BAD))
        rule["hours"] = values["hours"]
    return rule


def _back(_: Any) -> str:
    return DRAFT


def _revision(values: Mapping[str, Any]) -> int:
    text = values.get("revision") or ""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


async def _done(call: Call, revision: int, step: Callable[[Document], Document], said: str) -> web.Response:
    await drafts.edit(call.change(), revision, step)
    call.toast(call.gettext(said))
    return call.redirect(DRAFT)


def _switches(item: _Item) -> bool:
    """Whether it is a rule that gives an account or signature to a channel: changed where that is done, not here."""
    return item.n is not None and str(item.table["name"]).startswith(core.MOVE)


def _rule_form(_: Call, item: _Item) -> Form:
    return RULE_PLACE if _switches(item) else RULE


async def _save_rule(call: Call, item: _Item, values: Mapping[str, Any]) -> web.StreamResponse:
    rule = dict(item.table) if _switches(item) else _made(call, item, values)
    place = int(values["place"])

    def step(document: Document) -> Document:
        rest = [one for n, one in enumerate(document["rule"]) if n != item.n]
        return {**document, "rule": [*rest[:place], rule, *rest[place:]]}

    return await _done(call, _revision(values), step, words.SAVED)


NEW_RULE = FormPage(
    DRAFT + "/rules/new", _EDIT, words.RULE_ADD, words.SAVE, RULE, _save_rule, _back, _rule, values=_rule_values,
    choices=_rule_choices,
)  # fmt: skip
EDIT_RULE = FormPage(
    _RULE_AT, _EDIT, words.RULE_EDIT, words.SAVE, RULE, _save_rule, _back, _rule,
    values=_rule_values, choices=_rule_choices, lead=lambda item: item.table["name"], form_of=_rule_form,
)  # fmt: skip


async def _remove_rule_effect(_: Call, item: _Item, __: Mapping[str, Any]) -> Effect:
    return Effect(words.RULE_REMOVE_EFFECT, {"name": item.table["name"]})


async def _remove_rule(call: Call, item: _Item, values: Mapping[str, Any]) -> web.StreamResponse:
    def step(document: Document) -> Document:
        return {**document, "rule": [one for one in document["rule"] if one["name"] != item.table["name"]]}

    _same(item, values)
    return await _done(call, _revision(values), step, words.REMOVED)


_SEEN = Form((Inputs((Input("name", InputKind.HIDDEN), _REVISION)),))
"""What is removed, and of which draft: another window may have put another one in its place."""


def _seen_values(item: _Item) -> Mapping[str, Any]:
    return {"name": item.table["name"], "revision": item.draft.revision}


def _same(item: _Item, values: Mapping[str, Any]) -> None:
    """``STATE_CONFLICT``: it is not the one that was looked at."""
    if values.get("name") != item.table["name"]:
        raise Refused("STATE_CONFLICT", reason=phrase("route.draft_changed"))


REMOVE_RULE = FormPage(
    _RULE_AT + "/remove", _EDIT, words.RULE_REMOVE, words.REMOVE, _SEEN, _remove_rule, _back, _rule,
    values=_seen_values, effect=_remove_rule_effect, lead=lambda item: item.table["name"], danger=True,
)  # fmt: skip

# --- pools -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _PoolForm:
    """A pool as it was typed, a line for each channel."""

    name: str
    lines: list[tuple[str, str, str]]
    """Channel, its role (a key of ``ROLE``) and its weight."""
    error: str = ""
    bad: frozenset[str] = frozenset()
    """Channels whose weight is wrong, and ``name``."""


async def _pool(call: Call) -> _Item:
    draft = await _mine(call)
    given = call.request.match_info.get("n")
    if given is None:
        return _Item(draft, None, {"name": "", "channels": []})
    n = int(given)
    if n >= len(draft.document["pool"]):
        raise web.HTTPNotFound
    return _Item(draft, n, draft.document["pool"][n])


async def _channels(call: Call, item: _Item) -> list[str]:
    """Those that may be chosen, those of the pool first."""
    own = [member["name"] for member in item.table["channels"]]
    return [*own, *sorted(set(await queries.channel_names(call.db)) - set(own))]


def _pool_page(call: Call, item: _Item, form: _PoolForm) -> web.Response:
    return call.render(
        "routing/route_pool.html", status=422 if form.error else 200, route_words=words, item=item, form=form,
        states=channel_states(call), specs={s.name: s for s in call.portal.context.snapshots.current.channels},
        title=words.POOL_ADD if item.n is None else words.POOL_EDIT, used=_used(item.draft.document),
    )  # fmt: skip


@route("GET", DRAFT + "/pools/new", _EDIT)
@route("GET", _POOL_AT, _EDIT)
async def show_pool(call: Call) -> web.StreamResponse:
    """Which channels pull from it, with which weights, and who stands by."""
    item = await _pool(call)
    members = {m["name"]: m for m in item.table["channels"]}
    lines = []
    for name in await _channels(call, item):
        member = members.get(name)
        role = "" if member is None else "standby" if member["standby"] else "primary"
        lines.append((name, role, str(member["weight"]) if member else "1"))
    return _pool_page(call, item, _PoolForm(item.table["name"], lines))


@route("POST", DRAFT + "/pools/new", _EDIT)
@route("POST", _POOL_AT, _EDIT)
async def save_pool(call: Call) -> web.StreamResponse:
    """Keep it in the draft."""
    item = await _pool(call)
    revision, data = await _posted(call)
    form = _typed_pool(data, item, await _channels(call, item))
    table = _checked_pool(call, item, form)
    if table is None:
        return _pool_page(call, item, form)

    def step(document: Document) -> Document:
        pools = list(document["pool"])
        if item.n is None:
            pools.append(table)
        else:
            pools[item.n] = table
        return {**document, "pool": pools}

    try:
        return await _done(call, revision, step, words.SAVED)
    except (Invalid, Refused) as error:
        form.error = refusal(call, error)
        return _pool_page(call, item, form)


def _typed_pool(data: Mapping[str, Any], item: _Item, channels: Sequence[str]) -> _PoolForm:
    lines = []
    for n, name in enumerate(channels):
        role = str(data.get(f"role-{n}", ""))
        given = str(data.get(f"channel-{n}", ""))
        weight = str(data.get(f"weight-{n}", "1"))[:6].strip()
        lines.append((name, role if given == name and role in words.ROLE else "", weight))
    name = item.table["name"] if item.n is not None else str(data.get("name", ""))[:64].strip()
    return _PoolForm(name, lines)


def _checked_pool(call: Call, item: _Item, form: _PoolForm) -> dict[str, Any] | None:
    """The pool; None: something is wrong, and stands in the form."""
    taken = {pool["name"] for pool in item.draft.document["pool"]} | set(core.BUILT_IN)
    if item.n is None and not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,63}", form.name):
        form.error, form.bad = call.gettext(words.POOL_NAME_BAD), frozenset({"name"})
    elif item.n is None and form.name.startswith(core.ONLY):
        form.error, form.bad = call.gettext(words.POOL_NAME_RESERVED), frozenset({"name"})
    elif item.n is None and form.name in taken:
        form.error, form.bad = call.gettext(words.POOL_NAME_TAKEN), frozenset({"name"})
    chosen = [line for line in form.lines if line[1]]
    wrong = frozenset(name for name, _, weight in chosen if not _weight(weight))
    if not form.error and wrong:
        form.error, form.bad = call.gettext(words.BAD_WEIGHT), wrong
    if not form.error and not any(role == "primary" for _, role, _ in chosen):
        form.error = call.gettext(words.NO_PRIMARY)
    if form.error:
        return None
    members = [{"name": name, "weight": _weight(weight), "standby": role == "standby"} for name, role, weight in chosen]
    return {"name": form.name, "channels": members}


def _weight(text: str) -> int:
    """0: it is none."""
    return int(text) if re.fullmatch(r"[0-9]{1,4}", text) and 1 <= int(text) <= 1000 else 0


async def _remove_pool_effect(call: Call, item: _Item, _: Mapping[str, Any]) -> Effect:
    if rule := _used(item.draft.document).get(item.table["name"]):
        return Effect(words.POOL_IN_USE, {"name": rule}, nothing=True)
    return Effect(words.POOL_REMOVE_EFFECT, {"name": item.table["name"]})


async def _remove_pool(call: Call, item: _Item, values: Mapping[str, Any]) -> web.StreamResponse:
    _same(item, values)
    if item.table["name"] in _used(item.draft.document):
        return call.redirect(DRAFT)

    def step(document: Document) -> Document:
        return {**document, "pool": [one for one in document["pool"] if one["name"] != item.table["name"]]}

    return await _done(call, _revision(values), step, words.REMOVED)


REMOVE_POOL = FormPage(
    _POOL_AT + "/remove", _EDIT, words.POOL_REMOVE, words.REMOVE, _SEEN, _remove_pool, _back,
    _pool, values=_seen_values, effect=_remove_pool_effect, lead=lambda item: item.table["name"], danger=True,
)  # fmt: skip

# --- trial, publishing -----------------------------------------------------------------------------------------------


@route("GET", DRAFT + "/trial", _EDIT)
async def show_trial(call: Call) -> web.StreamResponse:
    """What the draft would have done with the traffic of a day, beside what is in force."""
    draft = await _mine(call)
    given = call.request.query.get("span", "")
    span = given if given in words.SPAN else "yesterday"
    try:
        found = await tried(call, draft.document, span)
    except Temporary:
        found = None
    return call.render(
        "routing/route_trial.html", route_words=words, draft=draft, span=span, trial=found, states=channel_states(call),
        changes=route_edit.differences(document_of(await queries.newest(call.db)), draft.document),
    )  # fmt: skip


async def _publish_effect(call: Call, draft: RouteDraft, values: Mapping[str, Any]) -> Effect:
    return await effect_of(call, words.PUBLISH_EFFECT, draft.document)


async def _publish(call: Call, draft: RouteDraft, values: Mapping[str, Any]) -> web.StreamResponse:
    return going(call, await drafts.publish(call.change(), _revision(values), values["reason"]))


PUBLISH = FormPage(
    DRAFT + "/publish", _EDIT, words.PUBLISH_TITLE, words.PUBLISH, Form((Inputs((NOTE, _REVISION)),)), _publish, _back,
    _mine, values=lambda draft: {"revision": draft.revision}, effect=_publish_effect,
)  # fmt: skip


async def _discard_effect(call: Call, draft: RouteDraft, _: Mapping[str, Any]) -> Effect:
    before = await drafts.document_of(call.db, draft.base)
    return Effect(words.DISCARD_EFFECT, {"n": len(route_edit.differences(before, draft.document))})


async def _discard(call: Call, _: RouteDraft, __: Mapping[str, Any]) -> web.StreamResponse:
    await drafts.discard(call.change())
    call.toast(call.gettext(words.DISCARDED))
    return call.redirect(PATH)


DISCARD = FormPage(
    DRAFT + "/discard", _EDIT, words.DISCARD_TITLE, words.DISCARD, Form(()), _discard, _back, _mine,
    effect=_discard_effect, danger=True,
)  # fmt: skip
