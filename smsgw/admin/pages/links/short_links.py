"""Short links (P5.1, 短链列表), whatever has made them: made, led elsewhere, stopped, decided; one with what has come
of it, its versions and its QR code."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import segno
from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart, ChartKind, Series
from smsgw.admin.kit.details import Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage, reason_of
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.links import lines
from smsgw.admin.pages.links.lines import ONE, PATH, Line
from smsgw.admin.rights import route
from smsgw.admin.words import short_links as words
from smsgw.core.ids import CHINA
from smsgw.core.link_targets import MAX_TARGET
from smsgw.core.permissions import Permission
from smsgw.core.short_codes import MAX_CHOSEN
from smsgw.platform.links import code_files, queries, service
from smsgw.platform.links.model import MOST_VISITS, LinkKind, LinkState, NewLink, Origin, ShortLink
from smsgw.runtime import clock

_NEW = f"{PATH}/-/new"


async def _wait_for(call: Call) -> int:
    """Links that wait for the person's decision."""
    if not call.may(Permission.LINK_DECIDE):
        return 0
    wanted = queries.WantedLinks(state=LinkState.REVIEWING.value)
    return await queries.how_many(call.db, wanted, 99, accounts=call.accounts)


MENU = Entry("links.list", PATH, Permission.LINK_VIEW, _wait_for)
FILTER = Filter(
    (
        Field("text", label="link_name", most=200, hint="short_link"), Field("account", FieldKind.CHOICE),
        Field("kind", FieldKind.CHOICE, choices=words.KIND),
        Field("state", FieldKind.CHOICE, "status", words.STATE),
        Field("origin", FieldKind.CHOICE, choices=words.ORIGIN, more=True),
        Field("made", FieldKind.DAYS, "created_at", more=True),
        Field("ends", FieldKind.DAYS, "link_until", more=True), Field("clicked", FieldKind.DAYS, more=True),
    ),
    period=None,
)  # fmt: skip
COLUMNS = (
    Column("name", label="link_name", value=lambda one: one.link.name, sort=True, phone=Phone.TITLE),
    Column("short_address", Cell.COPIED, value=lambda one: one.address, phone=Phone.SECOND),
    Column("link_target", Cell.LONG, value=lambda one: one.link.target, phone=Phone.THIRD),
    Column("kind", Cell.STATE, words=words.KIND, tones=words.KIND_TONE, value=lambda one: one.link.kind.value,
           phone=Phone.SECOND),
    Column("account", value=lambda one: one.link.account, phone=Phone.AWAY),
    Column("state", Cell.STATE, "status", words=words.STATE, tones=words.STATE_TONE, phone=Phone.BESIDE),
    Column("humans", Cell.NUMBER, "link_humans", value=lambda one: one.link.humans, sort=True,
           to=lambda one: f"{one.visits}&verdict=human", phone=Phone.SECOND),
    Column("visitors", Cell.NUMBER, "link_visitors", value=lambda one: one.link.visitors, sort=True, phone=Phone.AWAY),
    Column("link_until", Cell.TIME, value=lambda one: one.link.valid_until, phone=Phone.AWAY, blank=words.FOR_GOOD),
    Column("origin", Cell.WORD, words=words.ORIGIN, value=lambda one: one.link.origin.value, shown=False,
           phone=Phone.AWAY),
    Column("created_by", value=lambda one: one.link.made_by, shown=False, phone=Phone.AWAY),
    Column("made_at", Cell.TIME, "created_at", value=lambda one: one.link.made_at, sort=True, phone=Phone.AWAY),
    Column("link_id", value=lambda one: one.id, shown=False, phone=Phone.AWAY),
)  # fmt: skip
_FACTS = (
    *COLUMNS[3:5], COLUMNS[9],
    Column("link_codes_used", Cell.NUMBER, value=lambda one: one.link.used if one.codes else 1),
    Column("link_from", Cell.TIME, value=lambda one: one.link.valid_from, blank=words.AT_ONCE), COLUMNS[8],
    Column("link_visits_max", Cell.NUMBER, value=lambda one: one.link.visits_max or None, blank=words.NO_LIMIT),
    Column("link_warn", Cell.BOOL, value=lambda one: one.link.warn),
    Column("created_by", value=lambda one: one.link.made_by),
    Column("created_at", Cell.TIME, value=lambda one: one.link.made_at),
    Column("decided_by", value=lambda one: one.link.decided_by),
    Column("decided_at", Cell.TIME, value=lambda one: one.link.decided_at),
    Column("why_so", Cell.LONG, "reason", value=lambda one: one.link.reason),
    Column("link_unkept", Cell.NUMBER, value=lambda one: one.link.unkept or None), COLUMNS[12],
)  # fmt: skip
_PERHAPS = frozenset({"decided_by", "decided_at", "why_so", "link_unkept"})
"""Facts that most links have not: only where there is something to say."""


async def _choices(call: Call, _: Any = None) -> Mapping[str, Mapping[str, str]]:
    return {"account": own_accounts(call), "domain": {one: one for one in call.portal.context.link_domains}}


async def _stop(call: Call, one: Line) -> None:
    await service.stop(call.change(), one.id, reason=await reason_of(call))


async def _alike(call: Call, rows: Sequence[Line], state: LinkState) -> list[ShortLink]:
    """Those that tasks have gone on with, which follow them."""
    return [one for one in await queries.alike(call.db, [row.link for row in rows]) if one.stored_state is state]


async def _stop_effect(call: Call, rows: Sequence[Line]) -> Effect:
    also = await _alike(call, rows, LinkState.ACTIVE)
    humans = sum(one.link.humans for one in rows) + sum(one.humans for one in also)
    values = {
        "n": len(rows) + len(also), "names": lines.names_of(call, rows), "humans": f"{humans:,}", "also": len(also)
    }  # fmt: skip
    return Effect(words.STOP_EFFECT_ALSO if also else words.STOP_EFFECT, values)


async def _start(call: Call, one: Line) -> None:
    await service.start(call.change(), one.id)


async def _start_effect(call: Call, rows: Sequence[Line]) -> Effect:
    also = await _alike(call, rows, LinkState.STOPPED)
    values = {"n": len(rows) + len(also), "names": lines.names_of(call, rows), "also": len(also)}
    return Effect(words.START_EFFECT_ALSO if also else words.START_EFFECT, values)


PAGE = ListPage(
    "short_links", PATH, "links.list", Permission.LINK_VIEW, FILTER, COLUMNS, choices=_choices, rows=lines.rows,
    count=lambda db, actor, found, most: queries.how_many(db, lines.wanted(found), most, accounts=actor.scope.whole),
    one=lines.one, leads=True, wide=True, sort=Sort("made_at"), lead=words.LEAD, export=Permission.LINK_EXPORT,
    actions=(Action("stop", words.STOP, Permission.LINK_EDIT, _stop, _stop_effect, danger=True, reason=False),
             Action("start", words.START, Permission.LINK_EDIT, _start, _start_effect)),
    links=((words.NEW, _NEW, Permission.LINK_EDIT), (words.GENERATE, f"{lines.TASKS}/-/new", Permission.LINK_EDIT)),
    empty=Empty(words.EMPTY, words.TEACHES, words.NEW, _NEW, Permission.LINK_EDIT, icon="link"),
)  # fmt: skip

# --- making ----------------------------------------------------------------------------------------------------------

NAME = Input("name", label="link_name", required=True, most=100, help=words.NAME_HELP)
TARGET = Input("target", label="link_target", required=True, most=MAX_TARGET, help=words.TARGET_HELP)
ACCOUNT = Input("account", InputKind.CHOICE, required=True)
DOMAIN = Input("domain", InputKind.CHOICE, "link_domain", help=words.DOMAIN_HELP)
UNTIL = Input("until", label="link_until", pattern=lines.MOMENT, problem=words.WHEN_WRONG, help=words.UNTIL_HELP)
WARN = Input("warn", InputKind.SWITCH, "link_warn", words.WARN_HELP)
_FORM = Form((Inputs((
    NAME, TARGET, ACCOUNT, DOMAIN,
    Input("code", label="link_code", most=MAX_CHOSEN, help=words.CODE_HELP),
    Input("begins", label="link_from", pattern=lines.MOMENT, problem=words.WHEN_WRONG, help=words.FROM_HELP), UNTIL,
    Input("visits", InputKind.NUMBER, "link_visits_max", words.VISITS_HELP, least=0, most=MOST_VISITS), WARN,
)),))  # fmt: skip


def _new(values: Mapping[str, Any]) -> NewLink:
    return NewLink(
        int(values["account"]), values["name"], values["target"], LinkKind.SHARED, Origin.PAGE,
        values["domain"] or "", 1,
        values["code"].lower(), lines.moment("begins", values["begins"]), lines.moment("until", values["until"]),
        values["visits"] or 0, values["warn"],
    )  # fmt: skip


async def _make(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    context = call.portal.context
    made = await service.make(call.change(), context.sealer, _new(values), context.link_domains, now=clock.now())
    call.toast(call.gettext(words.MADE_WAITS if made.stored_state is LinkState.REVIEWING else words.MADE))
    return call.redirect(f"{PATH}/{made.id}")


async def _make_effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    wanted, domains = _new(values), call.portal.context.link_domains
    service.as_kept(wanted, domains, clock.now())
    said = words.MAKE_EFFECT if call.may(Permission.LINK_DECIDE) else words.MAKE_EFFECT_WAITS
    account = own_accounts(call)[values["account"]]
    return Effect(said, {"account": account, "name": values["name"], "target": values["target"]})


NEW = FormPage(
    _NEW, Permission.LINK_EDIT, words.NEW_TITLE, words.MAKE, _FORM, _make, lambda _: PATH, choices=_choices,
    effect=_make_effect, values=lambda _: {"visits": 0},
)  # fmt: skip

# --- changing --------------------------------------------------------------------------------------------------------


def _back(one: Line) -> str:
    return f"{PATH}/{one.id}"


async def _lead(call: Call, one: Line, values: Mapping[str, Any]) -> web.Response:
    link = await service.lead(call.change(), one.id, values["target"], call.portal.context.link_domains)
    waits = link.stored_state is LinkState.REVIEWING
    call.toast(call.gettext(words.LEADS_ELSEWHERE_WAITS if waits else words.LEADS_ELSEWHERE))
    return call.redirect(_back(one))


async def _lead_effect(call: Call, one: Line, values: Mapping[str, Any]) -> Effect:
    also = await queries.alike(call.db, [one.link])
    said = words.ELSEWHERE_EFFECT_ALSO if also else words.ELSEWHERE_EFFECT
    if not call.may(Permission.LINK_DECIDE):
        said = words.ELSEWHERE_EFFECT_WAITS_ALSO if also else words.ELSEWHERE_EFFECT_WAITS
    return Effect(said, {
        "target": service.target_of(values["target"], call.portal.context.link_domains), "also": len(also),
        "version": one.link.version + 1, "humans": f"{sum(link.humans for link in (one.link, *also)):,}",
    })  # fmt: skip


LEAD = FormPage(
    f"{ONE}/target", Permission.LINK_EDIT, words.LEAD_ELSEWHERE, words.LEAD_ELSEWHERE, Form((Inputs((TARGET,)),)),
    _lead, _back, lines.subject, values=lambda one: {"target": one.link.target}, effect=_lead_effect,
    lead=lambda one: one.link.name,
)  # fmt: skip
_VERSION = Input("version", InputKind.HIDDEN, "link_version", required=True)


async def _waiting(call: Call) -> Line | None:
    one = await lines.subject(call)
    return one if one is not None and one.link.stored_state is LinkState.REVIEWING else None


def _seen(one: Line) -> Mapping[str, Any]:
    """The version that whoever decides has looked at."""
    return {"version": one.link.version, "warn": one.link.warn}


async def _pass(call: Call, one: Line, values: Mapping[str, Any]) -> web.Response:
    await service.pass_(call.change(), one.id, _version(values), warn=values["warn"])
    call.toast(call.gettext(words.PASSED))
    return call.redirect(_back(one))


def _version(values: Mapping[str, Any]) -> int:
    text = str(values["version"])
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


async def _pass_effect(call: Call, one: Line, _: Mapping[str, Any]) -> Effect:
    link, also = one.link, len(await service.waiting_with(call.db, one.link))
    said = {"name": link.name, "account": link.account, "target": link.target, "version": link.version, "also": also}
    return Effect(words.PASS_EFFECT_ALSO if also else words.PASS_EFFECT, said)


PASS = FormPage(
    f"{ONE}/pass", Permission.LINK_DECIDE, words.PASS_TITLE, words.PASS, Form((Inputs((_VERSION, WARN)),)), _pass,
    _back, _waiting, values=_seen, effect=_pass_effect, lead=lambda one: f"{one.link.name} → {one.link.target}",
)  # fmt: skip


async def _reject(call: Call, one: Line, values: Mapping[str, Any]) -> web.Response:
    await service.reject(call.change(), one.id, _version(values), values["reason"])
    call.toast(call.gettext(words.REJECTED))
    return call.redirect(_back(one))


REJECT = FormPage(
    f"{ONE}/reject", Permission.LINK_DECIDE, words.REJECT_TITLE, words.REJECT,
    Form((Inputs((_VERSION, Input("reason", required=True, least=2, most=200))),)), _reject, _back, _waiting,
    values=_seen, about=words.REJECT_ABOUT, danger=True, lead=lambda one: f"{one.link.name} → {one.link.target}",
)  # fmt: skip


async def _personal(call: Call) -> Line | None:
    one = await lines.subject(call)
    return one if one is not None and one.link.kind is LinkKind.PERSONAL else None


async def _codes(call: Call, one: Line, _: Mapping[str, Any]) -> web.Response:
    job = await code_files.again(call.change(), one.link, node=call.portal.context.node)
    call.portal.context.jobs.set()
    call.toast(call.gettext(words.CODES_BEGUN))
    return call.redirect(f"{lines.TASKS}/{job}")


async def _codes_effect(_: Call, one: Line, __: Mapping[str, Any]) -> Effect:
    first = one.link.used if one.link.filed is None else one.link.filed
    values = {"n": f"{one.link.codes - first:,}", "first": f"{first:,}"}
    return Effect(words.CODES_EFFECT_REST if first else words.CODES_EFFECT, values)


CODES = FormPage(
    f"{ONE}/codes", Permission.LINK_EDIT, words.CODES, words.CODES, Form(()), _codes, _back, _personal,
    effect=_codes_effect, lead=lambda one: one.link.name,
)  # fmt: skip

# --- one of them -----------------------------------------------------------------------------------------------------

_HOURS, _DAYS = 48, 30


async def _chart(call: Call, one: Line, *, by_day: bool) -> Chart:
    """Clicks of people and of programs, by the hour or by the day up to now."""
    now, say = clock.now().astimezone(CHINA), call.gettext
    if by_day:
        step, n, last = timedelta(days=1), _DAYS, now.replace(hour=0, minute=0, second=0, microsecond=0)
    else:
        step, n, last = timedelta(hours=1), _HOURS, now.replace(minute=0, second=0, microsecond=0)
    times = [last - step * (n - 1 - at) for at in range(n)]
    found = await queries.hours(call.db, times[0], last + step, accounts=call.accounts, link_id=one.id, by_day=by_day)
    at = {hour.at.astimezone(CHINA): hour for hour in found}
    humans = [at[time].humans if time in at else 0 for time in times]
    programs = [at[time].hits - at[time].humans if time in at else 0 for time in times]
    return Chart(
        say(words.CHART_DAYS if by_day else words.CHART_HOURS),
        ChartKind.STACK,
        [f"{time:%m-%d}" if by_day else f"{time:%m-%d %H:00}" for time in times],
        [Series(say(words.HUMANS), humans, "green"), Series(say(words.PROGRAMS), programs, "secondary")],
        summary=call.filled(words.CHART_SUMMARY, {"humans": f"{sum(humans):,}", "programs": f"{sum(programs):,}"}),
    )


def _young(at: datetime) -> bool:
    return at > clock.now() - timedelta(hours=_HOURS)


def _facts_of(one: Line) -> tuple[Column, ...]:
    return tuple(fact for fact in _FACTS if fact.key not in _PERHAPS or fact.of(one))


@route("GET", ONE, Permission.LINK_VIEW)
async def show(call: Call) -> web.StreamResponse:
    """A link: how it stands, what has come of it, where it has led."""
    one = await lines.subject(call)
    if one is None:
        raise web.HTTPNotFound
    await call.reads("short_links.open", f"short_link/{one.id}")
    by = call.request.query.get("by", "hour" if _young(one.link.made_at) else "day")
    figures = await queries.figures(call.db, one.link)
    unfiled = lines.unfiled(call, one.link.account_id, one.link.target)
    return call.render(
        "links/link.html", one=one, link=one.link, section=Section(_facts_of(one), one), words=words, path=PATH,
        chart_of=await _chart(call, one, by_day=by == "day"), by=by, figures=figures, column=COLUMNS[5],
        targets=await queries.targets(call.db, one.link), page=PAGE, unfiled=unfiled, visits=one.visits,
        stored=one.link.stored_state.value, tasks=lines.TASKS, filings=lines.FILINGS,
        may_start=not one.link.held or call.may(Permission.LINK_DECIDE),
    )  # fmt: skip


@route("GET", ONE + "/qr.{kind:svg|png}", Permission.LINK_VIEW)
async def qr(call: Call) -> web.StreamResponse:
    """Its QR code, as a drawing or a picture; ``?save``: to be kept."""
    one = await lines.subject(call)
    if one is None or not one.address:
        raise web.HTTPNotFound
    kind, address = call.request.match_info["kind"], one.address
    octets = await asyncio.to_thread(_drawn, address, kind)
    headers = {"Cache-Control": "private, max-age=3600"}
    if "save" in call.request.query:
        headers["Content-Disposition"] = f'attachment; filename="short-link-{one.id}.{kind}"'
    return web.Response(body=octets, content_type="image/svg+xml" if kind == "svg" else "image/png", headers=headers)


def _drawn(address: str, kind: str) -> bytes:
    made = io.BytesIO()
    segno.make(address, error="m", micro=False).save(made, kind=kind, scale=10, border=4)
    return made.getvalue()
