"""Analyses (P8.7, P8.8): why messages fail and what to do about it, and where their time goes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from smsgw.admin import words as told
from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart, ChartKind, Series
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period
from smsgw.admin.kit.kinds import names_of
from smsgw.admin.kit.lists import Empty, ListPage, Report
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import records as words
from smsgw.admin.words.provinces import PROVINCES
from smsgw.core.actor import Actor
from smsgw.core.permissions import Permission
from smsgw.platform.handles import Database
from smsgw.platform.paging import Slice, Window
from smsgw.platform.statistics import delays, failures
from smsgw.platform.statistics.delays import Delays, WantedDelays
from smsgw.platform.statistics.failures import WantedFailures

FAILURES, DELAYS = "/reports/failures", "/reports/delays"
MENU = (
    Entry("records.failures", FAILURES, Permission.STATISTICS_VIEW),
    Entry("records.latency", DELAYS, Permission.STATISTICS_VIEW),
)
MOST_SHOWN = 12
"""Columns of the heat map, and its rows."""
_choice = partial(Field, kind=FieldKind.CHOICE)
_NAMED = {"carrier": told.CARRIER, "province": PROVINCES}


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    channels = call.portal.context.snapshots.current.channels
    types = names_of(call, retired=True)
    return {"account": own_accounts(call), "channel": {str(c.id): c.name for c in channels}, "type": types}


def _values(found: Found, *others: str) -> dict[str, Any]:
    values = {key: value for key, value in found.values.items() if key not in others}
    return values | {key: int(values[key]) for key in ("account", "channel") if key in values}


# --- why they fail ---------------------------------------------------------------------------------------------------


def _beside(found: Found) -> str:
    return str(found.get("beside", failures.GROUPS[0]))


def _wanted(found: Found) -> WantedFailures:
    return WantedFailures(*found.times, group=_beside(found), **_values(found, "beside"))


def _address(found: Found, row: Mapping[str, Any]) -> str:
    """The records that a row counts; none for what has no name, which their filter cannot ask for."""
    group, value = _beside(found), str(row["value"])
    if not value or (group == "channel" and value == "0") or (group == "carrier" and value not in told.CARRIER):
        return ""
    asked = {key: found.texts[key] for key in ("account", "type", "channel", "carrier") if found.texts.get(key)}
    given = {"status": "failed", "reason": row["reason"], "test": "false", **asked, group: value}
    time = {key: found.state[key] for key in ("time", "from", "to") if key in found.state}
    return f"/records?{urlencode({'time': found.preset} | time | given)}"


async def _failures(db: Database, actor: Actor, found: Found, window: Window) -> Slice[dict[str, Any]]:
    got = await failures.search(db, actor, _wanted(found), window)
    leads = actor.may(Permission.MESSAGE_VIEW)
    rows = [{**row, "address": _address(found, row) if leads else ""} for row in map(dict, got.rows)]
    return Slice(rows, got.keys, got.more)


async def _all_failed(db: Database, actor: Actor, found: Found) -> dict[str, Any]:
    cells = await failures.cells(db, actor, _wanted(found))
    return {"failed": sum(row["failed"] for row in cells), "reason": "", "name": "", "value": "", "address": ""}


async def _how_many(db: Database, actor: Actor, found: Found, _: int) -> int:
    return len(await failures.cells(db, actor, _wanted(found)))


async def _heat(call: Call, found: Found) -> Chart:
    """Reasons down, what stands beside them along; the most frequent of both."""
    cells = await failures.cells(call.db, call.actor, _wanted(found))
    names, reasons = dict[str, str](), dict[str, None]()
    for row in cells:
        names.setdefault(row["value"], row["name"])
        reasons.setdefault(row["reason"])
    columns, lines = list(names)[:MOST_SHOWN], list(reasons)[:MOST_SHOWN]
    counts = {(row["reason"], row["value"]): row["failed"] for row in cells}
    group, say = _beside(found), call.gettext

    def named(value: str) -> str:
        known = _NAMED.get(group, {}).get(value)
        return say(known) if known else names[value] or say(words.NOT_KNOWN)

    most = cells[0] if cells else None
    summary = (
        call.filled(words.HEAT_SUMMARY, {"reason": say(words.REASON[most["reason"]]), "what": named(most["value"]),
                                         "n": f"{most['failed']:,}"})
        if most
        else ""
    )  # fmt: skip
    return Chart(
        say(words.HEAT_TITLE), ChartKind.HEAT, [named(value) for value in columns],
        [Series(say(words.REASON.get(r, r)), [counts.get((r, value), 0) for value in columns]) for r in lines],
        summary=summary,
    )  # fmt: skip


def _named(group: str) -> Column:
    kind = Cell.WORD if group in _NAMED else Cell.TEXT
    return Column(
        group, kind, words=_NAMED.get(group, {}), phone=Phone.SECOND,
        value=lambda row: row["name"] or None, when=lambda found: _beside(found) == group,
    )  # fmt: skip


WHY = ListPage(
    "failures", FAILURES, "records.failures", Permission.STATISTICS_VIEW,
    Filter(
        (
            _choice("beside", choices={key: words.GROUP[key] for key in failures.GROUPS[1:]},
                    blank=words.GROUP[failures.GROUPS[0]]),
            _choice("account"), _choice("type", label="message_type"),
            _choice("channel", more=True), _choice("carrier", choices=told.CARRIER, more=True),
        ),
        Period("7d", failures.MOST_DAYS),
    ),
    (
        Column("reason", Cell.WORD, words=words.REASON, phone=Phone.TITLE), *map(_named, failures.GROUPS),
        Column("failed", Cell.NUMBER, sort=True, phone=Phone.BESIDE, to=lambda row: row["address"]),
        Column("suggestion", Cell.WORD, words=words.PLAYBOOK, value=lambda row: row["reason"]),
    ),
    rows=_failures, count=_how_many, choices=_choices, sort=Sort("failed"), lead=words.FAILURES_LEAD,
    export=Permission.STATISTICS_EXPORT, report=Report(_all_failed, _heat),
    empty=Empty(words.FAILURES_EMPTY, words.FAILURES_TEACHES),
)  # fmt: skip


# --- where their time goes -------------------------------------------------------------------------------------------


def _along(found: Found) -> str:
    return str(found.get("along", delays.GROUPS[0]))


def _slow(found: Found) -> WantedDelays:
    return WantedDelays(*found.times, group=_along(found), **_values(found, "along"))


async def _delays(db: Database, actor: Actor, found: Found, _: Window) -> Slice[Delays]:
    rows = await delays.search(db, actor, _slow(found))
    return Slice(rows, [("", row.id) for row in rows], more=False)


async def _lines(call: Call, found: Found) -> Chart:
    rows, say = await delays.search(call.db, call.actor, _slow(found)), call.gettext
    tones = dict(zip(delays.STAGES, ("blue", "azure", "green"), strict=False))
    label = (lambda row: f"{row.name}:00") if _along(found) == "hour" else (lambda row: row.name)

    def seconds(row: Delays, stage: str) -> float | None:
        at = row.stages[stage][1]
        return None if at is None else round(at.total_seconds(), 3)

    return Chart(
        say(words.DELAYS_TITLE), ChartKind.STACK, [label(row) for row in rows],
        [Series(say(words.STAGE[stage]), [seconds(row, stage) for row in rows], tones[stage]) for stage in tones],
        summary=call.filled(words.DELAYS_SUMMARY, {"n": f"{sum(row.n for row in rows):,}"}),
    )  # fmt: skip


async def _no_totals(_: Database, __: Actor, ___: Found) -> None:
    """Percentiles have no sum."""


def _stage(stage: str, at: int) -> Column:
    return Column(
        f"{stage}_{delays.SHARES[at]}", Cell.SPAN, shown=at > 0 or stage == delays.STAGES[-1],
        phone=Phone.SECOND if at == 1 else Phone.AWAY,
        value=lambda row: row.stages[stage][at],
    )  # fmt: skip


WHERE = ListPage(
    "delays", DELAYS, "records.latency", Permission.STATISTICS_VIEW,
    Filter(
        (
            _choice("along", choices={"hour": words.BY_HOUR}, blank=words.GROUP["channel"]), _choice("account"),
            _choice("type", label="message_type"), _choice("channel"),
        ),
        Period("today", failures.MOST_DAYS),
    ),
    (
        Column("channel", phone=Phone.TITLE, value=lambda row: row.name, when=lambda found: _along(found) == "channel"),
        Column("hour", phone=Phone.TITLE, value=lambda row: f"{row.name}:00",
               when=lambda found: _along(found) == "hour"),
        Column("messages", Cell.NUMBER, phone=Phone.BESIDE, value=lambda row: row.n),
        *(_stage(stage, at) for stage in delays.STAGES for at in range(len(delays.SHARES))),
    ),
    rows=_delays, choices=_choices, sort=Sort("channel"), lead=words.DELAYS_LEAD, wide=True,
    export=Permission.STATISTICS_EXPORT, report=Report(_no_totals, _lines),
    empty=Empty(words.DELAYS_EMPTY, words.DELAYS_TEACHES),
)  # fmt: skip
