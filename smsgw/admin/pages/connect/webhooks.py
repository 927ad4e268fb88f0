"""Addresses that events are pushed to (P11.3, 推送地址): how each is doing, what waits and what was given up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart, ChartKind, Series
from smsgw.admin.kit.details import Button, Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import account_choices
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import pushes as push_words, webhooks as words
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.webhooks import CALLBACK, parse_options
from smsgw.core.wording_json import Heard
from smsgw.platform.webhooks import queries, service
from smsgw.platform.webhooks.model import Counted, ListedEndpoint, Stretch, WantedEndpoints
from smsgw.runtime import clock

PATH = "/webhooks"
MENU = Entry("connect.webhooks", PATH, Permission.WEBHOOK_VIEW)
ONE = PATH + "/{id:[0-9]{1,19}}"
PUSHES = "/pushes"
CALLS = 12
"""That a page shows."""
SPANS = {"day": (timedelta(days=1), timedelta(minutes=30)), "week": (timedelta(days=7), timedelta(hours=3))}
"""What the charts tell of, and in what steps."""
FILTER = Filter(
    (
        Field("account", FieldKind.CHOICE),
        Field("endpoint_state", FieldKind.CHOICE, "status", choices=words.STATE),
        Field("name", label="endpoint_name"),
    ),
    period=None,
)


def host_of(url: str) -> str:
    """An address as everybody may see it: many have a token in their path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" + ("/…" if len(parts.path) > 1 or parts.query else "")


def _address(one: ListedEndpoint) -> str:
    return ", ".join(one.view.hosts) if one.view.name == CALLBACK else host_of(one.view.url)


def _short(counted: Counted) -> str:
    return f"≥ {counted.n:,}" if counted.cut else f"{counted.n:,}"


def _events(one: ListedEndpoint) -> Sequence[str]:
    return (CALLBACK,) if one.view.name == CALLBACK else one.view.events or ("",)


_EVENTS = {**push_words.EVENT, "": words.REST, CALLBACK: words.CALLBACK}
COLUMNS = (
    Column("account", sort=True, value=lambda one: one.view.account, phone=Phone.TITLE),
    Column("endpoint_name", Cell.CODE, value=lambda one: one.view.name, phone=Phone.SECOND),
    Column("endpoint_url", value=_address, phone=Phone.SECOND),
    Column("endpoint_events", Cell.TAGS, words=_EVENTS, value=_events, phone=Phone.AWAY),
    Column("endpoint_state", Cell.STATE, "status", words=words.STATE, tones=words.TONE,
           value=lambda one: one.view.state, phone=Phone.BESIDE),
    Column("endpoint_waiting", value=lambda one: _short(one.standing.waiting), phone=Phone.THIRD,
           figure=lambda one: ("pending_push", f"endpoint/{one.id}")),
    Column("endpoint_oldest", Cell.TIME, value=lambda one: one.standing.oldest_at, phone=Phone.AWAY),
    Column("endpoint_dead", value=lambda one: _short(one.standing.dead), phone=Phone.THIRD),
    Column("last_result", Cell.WORD, phone=Phone.AWAY,
           value=lambda one: Heard(one.view.last_error) if one.view.failing_since and one.view.last_error else None),
    Column("endpoint_ok_at", Cell.TIME, value=lambda one: one.view.last_ok_at, phone=Phone.AWAY),
    Column("created_at", Cell.TIME, value=lambda one: one.view.created_at, sort=True, shown=False, phone=Phone.AWAY),
)  # fmt: skip


def _wanted(found: Found) -> WantedEndpoints:
    account = int(found.get("account")) if found.get("account") else None
    return WantedEndpoints(account, found.get("name"), found.get("endpoint_state"))


# --- one of them -----------------------------------------------------------------------------------------------------


def _sections(call: Call, one: ListedEndpoint) -> list[Section]:
    view, options = one.view, parse_options(one.view.options)
    whole = Column("endpoint_url", value=lambda one: one.view.url or ", ".join(one.view.hosts))
    address = [
        COLUMNS[0], COLUMNS[1], whole if call.may(Permission.WEBHOOK_EDIT) else COLUMNS[2], COLUMNS[3], COLUMNS[4],
        Column("failing_since", Cell.TIME, value=lambda one: one.view.failing_since), COLUMNS[8], COLUMNS[9],
    ]  # fmt: skip
    if view.reason:
        address.append(Column("reason", Cell.WORD, value=lambda one: Heard(one.view.reason)))
    if view.old_secret_until and view.old_secret_until > clock.now():
        address.append(Column("old_secret_until", Cell.TIME, value=lambda one: one.view.old_secret_until))
    shape = [
        Column("endpoint_format", Cell.WORD, words=words.FORMAT), Column("max_items", Cell.NUMBER),
        Column("linger_ms", Cell.NUMBER), Column("concurrency", Cell.NUMBER), Column("expect", Cell.CODE),
        Column("times", Cell.CODE), Column("field_names", Cell.TAGS),
    ]  # fmt: skip
    values = {
        "endpoint_format": str(options.format), "max_items": options.max_items, "linger_ms": options.linger_ms,
        "concurrency": options.concurrency, "expect": options.expect or None, "times": options.times,
        "field_names": [f"{name}={path}" for name, path in options.fields.items()],
    }  # fmt: skip
    way = Column("event_way", Cell.WORD, words=words.WAY, value=lambda one: one.view.way)
    return [Section(address, one, words.SECTION_ADDRESS), Section(shape, values, words.SECTION_FORMAT),
            Section([way], one, words.SECTION_ACCOUNT)]  # fmt: skip


def told(call: Call, counted: Counted) -> str:
    """A number of events as far as they were looked at."""
    return call.filled(words.AT_LEAST, {"n": f"{counted.n:,}"}) if counted.cut else f"{counted.n:,}"


def _charts(call: Call, found: Sequence[Stretch], first: datetime, step: timedelta, span: str) -> tuple[Chart, Chart]:
    """How calls ended, and how long the slowest of them took; a stretch without a call has no value."""
    say, each = call.gettext, {one.at: one for one in found}
    n = round(SPANS[span][0] / step)
    at = [first + step * place for place in range(n + 1)]
    labels = [f"{one.astimezone(CHINA):{'%H:%M' if span == 'day' else '%m-%d %H:%M'}}" for one in at]
    good, failed = (sum(getattr(one, key) for one in found) for key in ("good", "failed"))
    told = {"good": f"{good:,}", "failed": f"{failed:,}", "events": f"{sum(one.events for one in found):,}"}

    def rate(one: Stretch | None) -> float | None:
        return None if one is None else round(100 * one.good / (one.good + one.failed), 2)

    calls = Chart(
        say(words.CHART_CALLS), ChartKind.STACK, labels,
        [Series(say(words.GOOD), [each[one].good if one in each else 0 for one in at], "green"),
         Series(say(words.FAILED), [each[one].failed if one in each else 0 for one in at], "red")],
        summary=call.filled(words.CHART_SUMMARY, told),
        rates=[Series(say(words.RATE), [rate(each.get(one)) for one in at])],
    )  # fmt: skip
    slow = [each[one].slowest if one in each else None for one in at]
    return calls, Chart(
        say(words.CHART_SPEED), ChartKind.LINE, labels, [Series(say(words.SLOWEST), slow)], unit=say(words.MILLISECONDS)
    )


async def _piece(call: Call, one: ListedEndpoint) -> dict[str, Any]:
    view, standing, now = one.view, one.standing, clock.now()
    span = call.request.query.get("span", "")
    span = span if span in SPANS else "day"
    back, step = SPANS[span]
    begin = datetime(2024, 1, 1, tzinfo=CHINA)
    first = begin + (now - back - begin) // step * step
    found = await queries.stretches(call.db, view.id, first, step)
    delays = await queries.delays(call.db, view, now - back)
    good, failed = (sum(getattr(stretch, key) for stretch in found) for key in ("good", "failed"))
    asked = {"account": view.account_id, "time": "custom", "from": f"{now - timedelta(days=30):%Y-%m-%d}",
             "to": f"{now.astimezone(CHINA):%Y-%m-%d}"}  # fmt: skip
    if len(view.events) == 1:
        asked |= {"event": view.events[0]}
    leads = call.may(Permission.EVENT_VIEW)
    charts = _charts(call, found, first, step, span)
    return {
        "one": one, "span": span, "spans": words.SPANS, "charts": charts,
        "rate": None if not good + failed else 100 * good / (good + failed),
        "waiting": _short(standing.waiting), "dead": _short(standing.dead),
        "to": {state: f"{PUSHES}?{urlencode(asked | {'push_state': state})}" if leads else ""
               for state in ("waiting", "dead")},
        "delays": delays and call.filled(words.DELAYS, {
            "n": f"{delays.events:,}", "median": f"{delays.median:,.1f}", "most": f"{delays.most:,.1f}"}),
        "calls": [(made, Heard(made.error)) for made in await queries.attempts(
            call.db, view.account_id, view.name, limit=CALLS)],
    }  # fmt: skip


async def _detail(call: Call, one: ListedEndpoint) -> Detail:
    at, view = f"{PATH}/{one.id}", one.view
    links, buttons = list[tuple[str, str]](), list[Button]()
    if call.may(Permission.WEBHOOK_EDIT):
        links = [(words.EDIT, f"{at}/edit"), (words.ROTATE, f"{at}/rotate"),
                 (words.WAY_EDIT, f"{PATH}/-/way/{view.account_id}")]  # fmt: skip
        if view.name != CALLBACK:
            links.insert(0, (words.TEST, f"{at}/test"))
        stops = view.status == "active"
        fields = {"id": str(one.id), "to": at}
        buttons = [
            Button(words.STOP if stops else words.START, f"{PATH}/-/effect/{'stop' if stops else 'start'}",
                   danger=stops, fields=fields, asks=True),
            Button(words.REMOVE, f"{PATH}/-/effect/remove", danger=True, fields={"id": str(one.id)}, asks=True),
        ]  # fmt: skip
    return Detail(f"{view.account}/{view.name}", _sections(call, one), links=links, buttons=buttons,
                  piece=("connect/webhook.html", await _piece(call, one)))  # fmt: skip


def _turn(key: str, label: str, text: str, *, active: bool) -> Action:
    def turned(one: ListedEndpoint) -> bool:
        return (one.view.status == "active") != active

    async def run(call: Call, one: ListedEndpoint) -> None:
        if turned(one):
            await service.set_status(call.change(), one.view.account_id, one.view.name, active=active)

    async def effect(call: Call, rows: Sequence[ListedEndpoint]) -> Effect:
        days = call.portal.context.retention.events_days
        rows = [one for one in rows if turned(one)]
        return Effect(text, {"n": len(rows), "waiting": waiting_of(call, rows), "days": days})

    return Action(key, label, Permission.WEBHOOK_EDIT, run, effect, danger=not active)


def waiting_of(call: Call, rows: Sequence[ListedEndpoint]) -> str:
    """What waits for all of them, as far as it was counted."""
    return told(call, sum((one.standing.waiting for one in rows), Counted()))


async def _remove(call: Call, one: ListedEndpoint) -> None:
    await service.delete(call.change(), one.view.account_id, one.view.name)


async def _remove_effect(call: Call, rows: Sequence[ListedEndpoint]) -> Effect:
    typed = rows[0].view.name if len(rows) == 1 else str(len(rows))
    return Effect(words.REMOVE_EFFECT, {"n": len(rows), "waiting": waiting_of(call, rows)}, typed=typed)


PAGE = ListPage(
    "webhooks", PATH, "connect.webhooks", Permission.WEBHOOK_VIEW, FILTER, COLUMNS, choices=account_choices,
    rows=lambda db, actor, found, window: queries.search_endpoints(
        db, _wanted(found), window, accounts=actor.scope.whole),
    count=lambda db, actor, found, most: queries.how_many_endpoints(
        db, _wanted(found), most, accounts=actor.scope.whole),
    one=lambda db, actor, id_: queries.endpoint(db, id_, accounts=actor.scope.whole), detail=_detail,
    actions=(_turn("stop", words.STOP, words.STOP_EFFECT, active=False),
             _turn("start", words.START, words.START_EFFECT, active=True),
             Action("remove", words.REMOVE, Permission.WEBHOOK_EDIT, _remove, _remove_effect, danger=True)),
    links=((words.ADD, f"{PATH}/-/new", Permission.WEBHOOK_EDIT),
           (words.ADD_CALLBACK, f"{PATH}/-/callback", Permission.WEBHOOK_EDIT)),
    lead=words.LEAD, sort=Sort("account", descending=False), wide=True,
    empty=Empty(words.EMPTY, words.TEACHES, words.ADD, f"{PATH}/-/new", Permission.WEBHOOK_EDIT, icon="api"),
)  # fmt: skip
