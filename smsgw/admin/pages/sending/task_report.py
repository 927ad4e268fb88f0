"""What has become of a task (发送数据报表): by carrier, province, channel, why messages did not arrive, or hop."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from smsgw.admin import words as told
from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart, ChartKind, Series
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found
from smsgw.admin.kit.lists import Empty, ListPage, Report
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.records.reports import LABELS, STACK
from smsgw.admin.words import records as record_words, tasks as words
from smsgw.admin.words.fallback import HOP
from smsgw.admin.words.provinces import PROVINCES
from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.campaigns import outcome
from smsgw.platform.campaigns.outcome import GROUPS, Groups, Outcome
from smsgw.platform.handles import Database
from smsgw.platform.paging import Slice, Window
from smsgw.runtime import clock

PATH = "/tasks/report"
SHOWN = {"submitted": "blue", "delivered": "green", "failed": "red", "unknown": "orange", "unsent": "secondary",
         "success_rate": "green", "replied": "azure", "clicked": "purple", "unclicked": "secondary"}  # fmt: skip
CLICKS = ("clicked", "unclicked")
_NAMES = {"carrier": told.CARRIER, "reason": told.CLASS, "hop": HOP}
MOST_BARS = 15


@dataclass(frozen=True, slots=True)
class Line:
    """A row, and the records that it counts; empty: their filter cannot say which these are."""

    one: Outcome
    records: str = ""

    @property
    def id(self) -> int:
        """Of the row, in pages of a list."""
        return self.one.id

    def to(self, result: str) -> str:
        """Those that have ended so; empty: all."""
        more = f"&result={result}" if result else ""
        return f"{self.records}{more}" if self.records else ""

    def clicked(self, clicked: bool) -> str:
        """Those that were clicked, or were not."""
        return f"{self.records}&clicked={str(clicked).lower()}" if self.records else ""


def _group(found: Found) -> str:
    return found.get("group") or GROUPS[0]


def _by(key: str, kind: Cell = Cell.TEXT, names: Mapping[str, str] | None = None) -> Column:
    return Column(key, kind, words=names or {}, phone=Phone.TITLE, when=lambda found: _group(found) == key,
                  value=lambda line: line.one.name or None)  # fmt: skip


def _count(key: str) -> Column:
    def value(line: Line) -> int:
        return line.one.counts.get(key, 0) if key in told.RESULT and key != "pending" else int(getattr(line.one, key))

    return Column(key, Cell.NUMBER, LABELS.get(key, ""), value=value,
                  to=lambda line: line.to("" if key == "submitted" else key),
                  when=_arrived if key in ("submitted", "delivered", "pending") else None)  # fmt: skip


def _clicks(key: str, clicked: bool) -> Column:
    return Column(key, Cell.NUMBER, f"task_{key}", value=lambda line: getattr(line.one, key), when=_arrived,
                  to=lambda line: line.clicked(clicked), permission=Permission.MESSAGE_VIEW)  # fmt: skip


async def _lacks(db: Database, actor: Actor, found: Found) -> Collection[str]:
    """A task without a personal link has no clicks."""
    return () if await outcome.tells_clicks(db, actor, found.get("task", 0)) else CLICKS


def _arrived(found: Found) -> bool:
    """Whether those that have arrived, or may yet, are among the rows."""
    return _group(found) != "reason"


COLUMNS = (
    _by("carrier", Cell.WORD, told.CARRIER), _by("province", Cell.WORD, PROVINCES), _by("channel"),
    _by("reason", Cell.WORD, told.CLASS), _by("hop", Cell.WORD, HOP),
    *map(_count, ("submitted", "delivered", "failed", "unknown", "unsent", "pending")),
    Column("success_rate", Cell.PERCENT, value=lambda line: line.one.success_rate, phone=Phone.BESIDE,
           when=_arrived),
    Column("replied", Cell.NUMBER, value=lambda line: line.one.replies, when=_arrived),
    _clicks("clicked", True), _clicks("unclicked", False),
)  # fmt: skip
FILTER = Filter(
    (Field("task", FieldKind.ID), Field("group", FieldKind.CHOICE, choices=words.REPORT_GROUP, blank=words.BY_CARRIER)),
    period=None,
)


async def _groups(db: Database, actor: Actor, found: Found) -> Groups | None:
    return await outcome.of_task(db, actor, found.get("task", 0), _group(found))


def _lines(actor: Actor, found: Found, of: Groups | None) -> list[Line]:
    if of is None:
        return []
    group = _group(found)
    since, today = (at.astimezone(CHINA).date() for at in (of.begun, clock.now()))
    run = {} if of.task.recurring is None else {"run": of.task.run}  # a day may have had several
    known = {"task": of.task.id, **run, "time": "custom", "from": since, "to": today}

    def records(one: Outcome) -> str:
        leads = one.name and one.value in _NAMES.get(group, (one.value,)) and actor.may(Permission.MESSAGE_VIEW)
        return f"/records?{urlencode({**known, group: one.value})}" if leads else ""

    return [Line(one, records(one)) for one in of.groups]


async def _rows(db: Database, actor: Actor, found: Found, window: Window) -> Slice[Line]:
    lines = _lines(actor, found, await _groups(db, actor, found))
    if window.after is not None:
        at = window.after[1]
        lines = [line for line in lines if (line.id < at if window.backwards else line.id > at)]
    here = lines[-window.limit :] if window.backwards else lines[: window.limit]
    return Slice(here, [("", line.id) for line in here], len(here) < len(lines))


async def _totals(db: Database, actor: Actor, found: Found) -> Line:
    of = await _groups(db, actor, found)
    return Line(outcome.total(() if of is None else of.groups))


async def _chart(call: Call, found: Found) -> Chart:
    of, say = await _groups(call.db, call.actor, found), call.gettext
    lines = _lines(call.actor, found, of)[:MOST_BARS]
    names = PROVINCES if _group(found) == "province" else _NAMES.get(_group(found), {})
    labels = [say(names.get(line.one.name, "")) or line.one.name or say(words.NOT_KNOWN) for line in lines]
    bars = {
        key: [line.one.pending if key == "pending" else line.one.counts.get(key, 0) for line in lines] for key in STACK
    }
    name = (of.task.name or f"#{of.task.id}") if of is not None else ""
    sums = {key: f"{sum(values):,}" for key, values in bars.items()}
    said, rates = call.filled(record_words.CHART_SUMMARY, sums), []
    linked = [line.one for line in lines if line.one.clicked is not None]
    if linked and call.may(Permission.MESSAGE_VIEW):
        all_ = {key: f"{sum(getattr(one, key) for one in linked):,}" for key in CLICKS}
        said += call.filled(words.CLICK_SUMMARY, all_)
        rates = [Series(say(words.CLICK_RATE), [line.one.click_rate for line in lines], "purple")]
    return Chart(
        call.filled(words.REPORT_CHART, {"name": name}), ChartKind.STACK, labels,
        [Series(say(told.RESULT[key]), values, STACK[key]) for key, values in bars.items()],
        summary=said, rates=rates, dots=True,
    )  # fmt: skip


PAGE = ListPage(
    "task_report", PATH, "sending.report", Permission.TASK_VIEW, FILTER, COLUMNS, rows=_rows, sort=Sort("submitted"),
    lead=words.REPORT_LEAD, export=Permission.STATISTICS_EXPORT, wide=True,
    report=Report(_totals, _chart, tuple(SHOWN), SHOWN), lacks=_lacks,
    empty=Empty(words.REPORT_EMPTY, words.REPORT_TEACHES),
)  # fmt: skip
