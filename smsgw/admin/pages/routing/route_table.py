"""Routes (P10.3, 路由策略): the table in force, its versions, and the way back to any of them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.errors import OutOfScope
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Filter, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.rights import route
from smsgw.admin.words import route_table as words
from smsgw.core import route_edit, routes as core
from smsgw.core.errors import Temporary
from smsgw.core.permissions import Permission
from smsgw.core.routes import RouteTable
from smsgw.pipeline.fleet import membership
from smsgw.platform.routing import approvals, drafts, queries, trial
from smsgw.platform.routing.model import EMPTY, RouteVersion
from smsgw.platform.routing.publication import Made
from smsgw.platform.statistics.today import midnight
from smsgw.runtime import clock

PATH = "/routes"
VERSIONS_PATH = PATH + "/versions"
SUBMITTED_PATH = PATH + "/submitted"
RETRIES_PATH = PATH + "/retries"
TABS = (
    (words.OVERVIEW, PATH),
    (words.VERSIONS, VERSIONS_PATH),
    (words.SUBMITTED_TAB, SUBMITTED_PATH),
    (words.RETRIES, RETRIES_PATH),
)


async def _wait_for(call: Call) -> int:
    """Tables that wait for the person: by somebody else, and they may decide."""
    if not call.may(Permission.ROUTE_EDIT) or call.actor.scope.whole is not None:
        return 0
    waits = await approvals.waiting(call.db)
    return int(waits is not None and waits.made_by != call.actor.label)


MENU = Entry("routing.routes", PATH, Permission.ROUTE_VIEW, _wait_for)
TRIAL_SECONDS = 300.0
"""How old a trial may be that is shown again."""
EFFECT_SECONDS = 5.0
"""Who publishes waits no longer for what it does in numbers."""
NOTE = Input("reason", required=True, least=2, most=200, help=words.NOTE_HELP)


def whole(call: Call) -> None:
    """A table is everybody's: who sees a part of the accounts sees their rules, and changes none."""
    if call.actor.scope.whole is not None:
        raise OutOfScope


def document_of(newest: RouteVersion | None) -> Mapping[str, Any]:
    """The document of a version; None: before any."""
    return EMPTY if newest is None else newest.document


def as_table(document: Mapping[str, Any]) -> RouteTable:
    """A stored document as a table; channels that were removed stay named."""
    tidy = route_edit.tidy(document)
    named = {m["name"] for pool in tidy["pool"] for m in pool["channels"]}
    return core.parse(tidy, version=0, channels=named, kinds=None)


async def visible(call: Call, document: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """As much of a document as the person may see: rules for others' accounts or signatures are left out, and their
    names."""
    tidy = route_edit.tidy(document)
    own = call.actor.scope.whole
    if own is None:
        return tidy
    names = {a.name for a in call.portal.context.snapshots.current.accounts() if a.id in own}
    rules = tidy["rule"]
    for key, mine in (("account", names), ("sign", await queries.signs_of(call.db, sorted(own)))):
        rules = [rule | ({key: kept} if kept else {}) for rule in rules
                 if (kept := [n for n in rule.get(key, []) if n in mine]) or key not in rule]  # fmt: skip
    used = {rule["pool"] for rule in rules}
    return {"pool": [pool for pool in tidy["pool"] if pool["name"] in used], "rule": rules}


def channel_states(call: Call) -> dict[str, str]:
    """Channel -> its state; without those that no node knows."""
    return {status.name: status.state for status in call.portal.context.channel_status()}


def built_in(call: Call) -> dict[str, list[str]]:
    """The pools of carriers, with the channels that serve them."""
    specs = [spec for spec in call.portal.context.snapshots.current.channels if spec.id > 0]
    return {pool: [s.name for s in specs if membership(s, pool, RouteTable())] for pool in core.BUILT_IN}


@route("GET", PATH, Permission.ROUTE_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """The table in force."""
    newest = await queries.newest(call.db)
    may = call.may(Permission.ROUTE_EDIT) and call.actor.scope.whole is None
    return call.render(
        "routing/routes.html", route_words=words, newest=newest, document=await visible(call, document_of(newest)),
        states=channel_states(call), carriers=built_in(call), may=may, all=call.actor.scope.whole is None,
        draft=await drafts.mine(call.db, call.actor.id) if may else None,
        waits=await approvals.waits(call.db) if call.actor.scope.whole is None else 0,
    )  # fmt: skip


# --- trials ----------------------------------------------------------------------------------------------------------


def span_of(key: str, now: datetime) -> tuple[datetime, datetime]:
    """The time that a key of ``SPAN`` means, China."""
    today = midnight(now)
    end = now.replace(second=0, microsecond=0) + timedelta(minutes=1)  # what has just come, too
    if key == "today":
        return today, end
    return (end - timedelta(hours=1), end) if key == "hour" else (today - timedelta(days=1), today)


async def tried(call: Call, document: Mapping[str, Any], span: str) -> trial.Trial:
    """A document on the traffic of a span (a key of ``SPAN``), beside the table in force; found out once in a while,
    one trial at a time. ``Temporary``: it takes too long, or too many wait."""
    current = route_edit.tidy(document_of(await queries.newest(call.db)))
    begin, end = span_of(span, clock.now())
    channels = tuple(spec for spec in call.portal.context.snapshots.current.channels if spec.id > 0)
    served = [(one.name, one.desired, one.rate, sorted(one.carriers)) for one in channels]
    about = hashlib.sha256(json.dumps([current, route_edit.tidy(document), served]).encode()).digest()

    async def find() -> trial.Trial:
        now, planned = as_table(current), as_table(document)
        async with call.portal.trials.turn(call.actor.label):
            seen = await trial.traffic(call.db, begin, end, (now, planned))
            return await trial.compare(seen, now, planned, channels)

    return await call.portal.remembered.get(("trial", about, begin, end), TRIAL_SECONDS, find)


async def effect_of(call: Call, text: str, document: Mapping[str, Any], **more: Any) -> Effect:
    """What publishing a document does, in numbers as far as they are found in a few seconds."""
    before = document_of(await queries.newest(call.db))
    gone = {pool["name"] for pool in before.get("pool", [])} - {pool["name"] for pool in document["pool"]}
    changes = f"{len(route_edit.differences(before, document)):,}"
    trial_said, waiting_said = await _trial_said(call, document), await _waiting_said(call, sorted(gone))
    return Effect(text, {"changes": changes, "trial": trial_said, "waiting": waiting_said, **more})


async def _trial_said(call: Call, document: Mapping[str, Any]) -> str:
    """By yesterday's traffic, or where there was none by today's."""
    try:
        async with asyncio.timeout(EFFECT_SECONDS):
            for span in ("yesterday", "today"):
                found = await tried(call, document, span)
                if found.messages:
                    break
    except (TimeoutError, Temporary):
        return call.gettext(words.NOT_TRIED)
    if not found.messages:
        return call.gettext(words.NOTHING_TRIED)
    text = words.TRIED_PART if not found.whole else words.TRIED_SAMPLE if found.sampled else words.TRIED
    return call.filled(text, {
        "span": call.gettext(words.SPAN[span]), "messages": f"{found.messages:,}", "moved": f"{found.changed:,}",
        "lost": f"{found.lost_after:,}", "lost_now": f"{found.lost_before:,}",
        "over": sum(one.too_small for one in found.channels),
    })  # fmt: skip


async def _waiting_said(call: Call, gone: list[str]) -> str:
    """What waits in pools that will be no more."""
    try:
        n = await queries.queued_in(call.db, gone)
    except Temporary:
        return call.gettext(words.WAITING_UNKNOWN)
    if n > queries.MOST_WAITING:
        return call.filled(words.WAITING_MANY, {"n": f"{queries.MOST_WAITING:,}"})
    return call.filled(words.WAITING, {"n": f"{n:,}"})


# --- versions --------------------------------------------------------------------------------------------------------

COLUMNS = (
    Column("version", sort=True, phone=Phone.TITLE, value=lambda one: f"V{one.version}"),
    Column("state", Cell.STATE, "status", words=words.IN_FORCE, tones=words.IN_FORCE_TONE,
           value=lambda one: "now" if one.newest else "old", phone=Phone.BESIDE),
    Column("published_at", Cell.TIME, phone=Phone.SECOND),
    Column("actor", label="made_by"),
    Column("rules", Cell.NUMBER, "route_rules", value=lambda one: len(one.document.get("rule", []))),
    Column("pools", Cell.NUMBER, "route_pools", value=lambda one: len(one.document.get("pool", []))),
    Column("note", Cell.LONG, "why_so", phone=Phone.SECOND),
)  # fmt: skip


async def _detail(call: Call, one: RouteVersion) -> Detail:
    document = route_edit.tidy(one.document)
    newest = await queries.newest(call.db)
    before = await drafts.document_of(call.db, await queries.before(call.db, one.version))
    piece = {
        "route_words": words, "document": document, "states": channel_states(call), "version": one,
        "changes": [] if one.newest else route_edit.differences(document_of(newest), document),
        "made": route_edit.differences(before, document),
    }  # fmt: skip
    links = []
    if not one.newest and call.may(Permission.ROUTE_EDIT):
        links.append((words.ROLL_BACK, f"{VERSIONS_PATH}/{one.version}/rollback"))
    return Detail(f"V{one.version}", [Section(COLUMNS[1:], one)], links=links, piece=("routing/version.html", piece))


PAGE = ListPage(
    "route_versions", VERSIONS_PATH, "routing.routes", Permission.ROUTE_VIEW, Filter((), period=None), COLUMNS,
    listing=queries.VERSIONS, detail=_detail, sort=Sort("version"), lead=words.VERSIONS_LEAD, tabs=TABS,
    empty=Empty(words.VERSIONS_EMPTY, words.VERSIONS_TEACH, icon="route"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Old:
    """A version that may be put in force again, over the one that is."""

    one: RouteVersion
    newest: int


async def _old(call: Call) -> _Old | None:
    whole(call)
    id_ = read_id(call.request.match_info["id"])
    found = None if id_ is None else await queries.VERSIONS.get(call.db, call.actor, id_)
    newest = await queries.newest(call.db)
    return None if found is None or newest is None or found.newest else _Old(found, newest.version)


async def _back_effect(call: Call, old: _Old, _: Mapping[str, Any]) -> Effect:
    one = old.one
    return await effect_of(call, words.ROLL_BACK_EFFECT, route_edit.tidy(one.document), version=one.version)


async def _roll_back(call: Call, old: _Old, values: Mapping[str, Any]) -> web.StreamResponse:
    note = call.filled(words.ROLLED_BACK_NOTE, {"version": old.one.version, "reason": values["reason"]})
    seen = read_id(values.get("seen") or "") or 0
    return going(call, await drafts.roll_back(call.change(), old.one.version, seen, note))


def going(call: Call, made: Made, said: str = "") -> web.Response:
    """To the job by which what waits follows a version, or to what waits for somebody else."""
    if made.waits:
        call.toast(call.gettext(words.SUBMITTED))
        return call.redirect(PATH if call.actor.scope.whole is not None else f"{SUBMITTED_PATH}/{made.waits}")
    call.portal.context.jobs.set()
    call.toast(said or call.filled(words.PUBLISHED, {"version": made.version}))
    return call.redirect(f"/jobs/{made.job}")


BACK = FormPage(
    VERSIONS_PATH + "/{id:[0-9]{1,9}}/rollback", Permission.ROUTE_EDIT, words.ROLL_BACK_TITLE, words.ROLL_BACK,
    Form((Inputs((NOTE, Input("seen", InputKind.HIDDEN, label="version"))),)), _roll_back,
    lambda old: f"{VERSIONS_PATH}/{old.one.version}", _old, values=lambda old: {"seen": old.newest},
    effect=_back_effect, lead=lambda old: f"V{old.one.version}",
)  # fmt: skip
