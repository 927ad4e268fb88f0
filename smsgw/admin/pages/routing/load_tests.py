"""Load tests (P10.10; 仿真器与压测): begun with what they take, watched, stopped, a report to print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart, ChartKind, Series
from smsgw.admin.kit.filters import Filter, Found, read_id
from smsgw.admin.kit.form_pages import FormPage
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.rights import route
from smsgw.admin.words import load_tests as words
from smsgw.core.actor import Actor
from smsgw.core.permissions import Permission
from smsgw.platform.load_tests import model, queries, service
from smsgw.platform.load_tests.model import LoadTest, Profile, Scenario
from smsgw.platform.paging import Slice, Window

PATH = "/loadtest"
MENU = Entry("routing.simulator", PATH, Permission.CHANNEL_VIEW)
VIEW, RUN = Permission.CHANNEL_VIEW, Permission.CHANNEL_TEST
ONE = PATH + "/{id:[0-9]{1,19}}"
_NEW = f"{PATH}/-/new"
_MB = 1 << 20

COLUMNS = (
    Column("load_begun_at", Cell.TIME, value=lambda one: one.begun_at, phone=Phone.SECOND),
    Column("load_scenario", Cell.WORD, words=words.SCENARIO, value=lambda one: one.scenario, phone=Phone.TITLE),
    Column("load_rate", Cell.NUMBER, value=lambda one: one.rate, phone=Phone.THIRD),
    Column("load_seconds", Cell.NUMBER, value=lambda one: one.seconds, phone=Phone.THIRD),
    Column("load_state", Cell.STATE, words=words.STATE, tones=words.TONE, value=lambda one: one.state.value,
           phone=Phone.BESIDE),
    Column("load_begun_by", value=lambda one: one.begun_by, phone=Phone.SECOND),
    Column("load_node", Cell.NUMBER, value=lambda one: one.node, phone=Phone.AWAY),
    Column("load_ended_at", Cell.TIME, value=lambda one: one.ended_at, phone=Phone.AWAY),
)  # fmt: skip


async def _rows(db: Any, actor: Actor, _: Found, window: Window) -> Slice[LoadTest]:
    return await queries.search(db, actor, window)


async def _count(db: Any, actor: Actor, _: Found, __: int) -> int:
    return await queries.count(db, actor)


PAGE = ListPage(
    "load_tests", PATH, "routing.simulator", VIEW, Filter((), period=None), COLUMNS, rows=_rows, count=_count,
    one=queries.one, leads=True, lead=words.LEAD, links=((words.NEW, _NEW, RUN),), links_whole=True,
    sort=Sort("load_begun_at"), live=10,
    empty=Empty(words.EMPTY, words.TEACHES, words.NEW, _NEW, RUN),
)  # fmt: skip

# --- begin, stop -----------------------------------------------------------------------------------------------------


def _profile(values: Mapping[str, Any]) -> Profile:
    return Profile(Scenario(values["scenario"]), int(values["rate"]), int(values["seconds"]))


async def _effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    profile, context = _profile(values), call.portal.context
    service.check(profile, values["reason"])
    takes = service.room_for(profile, context.data_dir)
    return Effect(words.EFFECT, {
        "node": context.node, "messages": f"{takes.messages:,}", "rate": f"{profile.rate:,}",
        "seconds": f"{profile.seconds:,}", "minutes": -(-profile.within // 60), "mb": f"{takes.octets // _MB:,}",
        "free": f"{takes.free // _MB:,}", "cores": takes.cores, "load": f"{takes.load:.1f}",
        "busy": call.gettext(words.BUSY) if takes.busy else "",
    })  # fmt: skip


async def _begin(call: Call, _: Any, values: Mapping[str, Any]) -> web.StreamResponse:
    context = call.portal.context
    id_ = await service.begin(
        call.change(), _profile(values), reason=values["reason"], node=context.node, folder=context.data_dir
    )
    context.jobs.set()
    call.toast(call.gettext(words.BEGUN))
    return call.redirect(f"{PATH}/{id_}")


async def _whole(call: Call) -> tuple[()] | None:
    """They are of the platform: not for who sees some accounts alone."""
    return () if call.actor.scope.whole is None else None


NEW = FormPage(
    _NEW, RUN, words.NEW, words.BEGIN,
    Form((Inputs((
        Input("scenario", InputKind.CHOICE, "load_scenario", required=True, choices=words.SCENARIO),
        Input("rate", InputKind.NUMBER, "load_rate", words.RATE_HELP, required=True, least=model.LEAST_RATE,
              most=model.MOST_RATE),
        Input("seconds", InputKind.NUMBER, "load_seconds", words.SECONDS_HELP, required=True, least=model.LEAST_SECONDS,
              most=model.MOST_SECONDS),
        Input("reason", label="why_so", required=True, least=model.LEAST_REASON, most=model.MOST_REASON),
    )),)), _begin, lambda _: PATH, _whole, values=lambda _: {"scenario": "steady", "rate": 200, "seconds": 60},
    effect=_effect, about=words.LEAD,
)  # fmt: skip


async def _one(call: Call) -> LoadTest | None:
    id_ = read_id(call.request.match_info["id"])
    return None if id_ is None else await queries.one(call.db, call.actor, id_)


def _accepted(one: LoadTest) -> int:
    return int(one.samples[-1][2]) if one.samples else 0


async def _stop_effect(_: Call, one: LoadTest, __: Mapping[str, Any]) -> Effect:
    if one.over:
        return Effect(words.STOP_NOTHING, nothing=True)
    return Effect(words.STOP_EFFECT, {"accepted": f"{_accepted(one):,}", "messages": f"{one.profile.messages:,}"})


async def _stop(call: Call, one: LoadTest, _: Mapping[str, Any]) -> web.StreamResponse:
    await service.stop(call.change(), one.id)
    call.toast(call.gettext(words.STOPPED))
    return call.redirect(f"{PATH}/{one.id}")


STOP = FormPage(
    f"{ONE}/stop", RUN, words.STOP_TITLE, words.STOP, Form(()), _stop, lambda one: f"{PATH}/{one.id}", _one,
    effect=_stop_effect, danger=True,
)  # fmt: skip

# --- one of them -----------------------------------------------------------------------------------------------------


def _chart(call: Call, one: LoadTest) -> Chart:
    """Messages per second between one sample and the next."""
    pairs = list(zip(one.samples, one.samples[1:], strict=False))
    labels = [f"{int(after[0]) // 60}:{int(after[0]) % 60:02d}" for _, after in pairs]

    def rates(at: int) -> list[float | None]:
        return [round((b[at] - a[at]) / (b[0] - a[0]), 1) if b[0] > a[0] else None for a, b in pairs]

    last = one.samples[-1] if one.samples else (0, 0, 0, 0)
    said = {"rate": f"{one.rate:,}", "accepted": f"{int(last[2]):,}", "reported": f"{int(last[3]):,}"}
    return Chart(
        call.gettext(words.CHART), ChartKind.LINE, labels,
        [Series(call.gettext(words.ACCEPTED), rates(2), "blue"),
         Series(call.gettext(words.REPORTED), rates(3), "green")],
        summary=call.filled(words.CHART_SUMMARY, said),
    )  # fmt: skip


def _parts(call: Call, one: LoadTest) -> dict[str, Any]:
    found = [] if one.result is None else model.findings(one.profile.pace, one.seconds, one.result)
    return {"one": one, "chart_of": _chart(call, one), "words_of": words, "accepted": _accepted(one), "findings": found}


async def _shown(call: Call) -> LoadTest:
    one = await _one(call)
    if one is None:
        raise web.HTTPNotFound
    return one


@route("GET", ONE, VIEW)
async def show(call: Call) -> web.StreamResponse:
    """One load test: its graph while it runs, its figures when it is over."""
    one = await _shown(call)
    await call.reads("load_tests.open", f"load_test/{one.id}")
    return call.render("routing/load_test.html", **_parts(call, one))


@route("GET", ONE + "/live", VIEW, passive=True)
async def live(call: Call) -> web.StreamResponse:
    """The part of it that changes."""
    return call.piece("routing/load_test_live.html", **_parts(call, await _shown(call)))


@route("GET", ONE + "/report", VIEW)
async def report(call: Call) -> web.StreamResponse:
    """The report of acceptance, on paper."""
    one = await _shown(call)
    if one.result is None:
        raise web.HTTPNotFound
    await call.reads("load_tests.open", f"load_test/{one.id}", report=True)
    return call.render("routing/load_test_report.html", **_parts(call, one))
