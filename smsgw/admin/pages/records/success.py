"""Success of channels (13.2; 通道成功率): with and without what the rules leave out, the version beside each figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from smsgw.admin import words as told
from smsgw.admin.call import Call
from smsgw.admin.kit.charts import Chart, ChartKind, Series
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found, Period
from smsgw.admin.kit.lists import Empty, ListPage, Report
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.people import not_by_person, own_accounts
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.records.exclusions import PATH as RULES
from smsgw.admin.pages.records.reports import LABELS
from smsgw.admin.words import records as words
from smsgw.core.actor import Actor
from smsgw.core.exclusions import CATEGORIES
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.exclusions import queries as exclusions
from smsgw.platform.handles import Database
from smsgw.platform.messages.records import ANY_CATEGORY
from smsgw.platform.paging import Slice, Window
from smsgw.platform.statistics import success
from smsgw.platform.statistics.success import Success, WantedSuccess
from smsgw.runtime import clock

PATH = "/reports/success"
MENU = Entry("records.success", PATH, Permission.STATISTICS_VIEW)
_choice = partial(Field, kind=FieldKind.CHOICE)
FILTER = Filter(
    (
        _choice("group", choices=words.SUCCESS_GROUP, blank=words.SUCCESS_BY), _choice("account"),
        _choice("channel"), _choice("carrier", choices=told.CARRIER, more=True),
    ),
    Period("30d"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """A row with the rules that it was counted by, and where its figures lead."""

    one: Success
    versions: Sequence[int] = ()
    address: str = ""
    """Of the records that have ended at the channel; empty: none may be seen."""
    shift: str = ""
    """Of the page that lets other channels take over; empty: not for this person."""
    left_out_as: Mapping[str, int] = field(default_factory=dict)

    @property
    def id(self) -> int:
        """Of the row, in pages of a list."""
        return self.one.id

    @property
    def rules(self) -> str:
        """The versions in short; none of them: a dash."""
        return "/".join(f"V{version}" if version else "—" for version in self.versions)

    def to(self, **narrowed: str) -> str:
        """The address of some of its records."""
        return f"{self.address}&{urlencode(narrowed)}" if self.address else ""


def _wanted(found: Found) -> WantedSuccess:
    values: dict[str, Any] = dict(found.values)
    values |= {key: int(values[key]) for key in ("account", "channel") if key in values}
    first, until = (at.astimezone(CHINA).date() for at in found.times)
    return WantedSuccess(first, until - timedelta(days=1), values.pop("group", success.GROUPS[0]), **values)


def _line(actor: Actor, wanted: WantedSuccess, one: Success, versions: Sequence[int]) -> Line:
    carrier = one.carrier or wanted.carrier
    given = {"time": "custom", "from": one.day or wanted.first, "to": one.day or wanted.last, "test": "false",
             "ended_at": one.channel_id}  # fmt: skip
    given |= {"account": wanted.account} if wanted.account is not None else {}
    given |= {"carrier": carrier} if carrier else {}
    shift = f"/channels/{one.channel_id}/drain" if one.there and actor.may(Permission.CHANNEL_EDIT) else ""
    leads = actor.may(Permission.MESSAGE_VIEW)
    return Line(
        one, [one.version or 0] if one.day else versions, f"/records?{urlencode(given)}" if leads else "", shift,
        one.left_out_as,
    )  # fmt: skip


async def _rows(db: Database, actor: Actor, found: Found, window: Window) -> Slice[Line]:
    wanted = _wanted(found)
    versions = await exclusions.in_force(db, wanted.first, wanted.last)
    got = await success.search(db, actor, wanted, window)
    return Slice([_line(actor, wanted, one, versions) for one in got.rows], got.keys, got.more)


async def _totals(db: Database, actor: Actor, found: Found) -> Line:
    wanted = _wanted(found)
    one = await success.totals(db, actor, wanted)
    return Line(one, await exclusions.in_force(db, wanted.first, wanted.last), left_out_as=one.left_out_as)


async def _count(db: Database, actor: Actor, found: Found, _: int) -> int:
    return await success.how_many(db, actor, _wanted(found))


async def _chart(call: Call, found: Found) -> Chart:
    """Each day's ends, and both rates."""
    wanted, say = _wanted(found), call.gettext
    found_ = await success.days(call.db, call.actor, wanted)
    each, whole = {one.day: one for one in found_}, success.sum_of(found_)
    last = min(wanted.last, clock.now().astimezone(CHINA).date())
    days: list[date] = [wanted.first + timedelta(days=n) for n in range((last - wanted.first).days + 1)]
    versions = await exclusions.in_force(call.db, wanted.first, wanted.last)
    rules = Line(whole, versions).rules

    def bars(label: str, tone: str, of: Any) -> Series:
        return Series(say(label), [of(each[day]) if day in each else 0 for day in days], tone)

    def rate(label: str, tone: str, key: str) -> Series:
        values = [getattr(each[day], key) if day in each else None for day in days]
        return Series(say(label), [None if value is None else round(value, 2) for value in values], tone)

    told_ = {"ended": f"{whole.ended:,}", "delivered": f"{whole.delivered:,}", "left_out": f"{whole.left_out:,}",
             "rules": rules if any(versions) else say(words.NO_RULES)}  # fmt: skip
    return Chart(
        say(words.SUCCESS_TITLE), ChartKind.STACK, [f"{day:%m-%d}" for day in days],
        [
            bars(told.RESULT["delivered"], "green", lambda one: one.delivered),
            bars(words.FAILED_COUNTED, "red", lambda one: one.failed - one.left_out),
            bars(told.RESULT["unknown"], "orange", lambda one: one.unknown),
            bars(words.LEFT_OUT, "secondary", lambda one: one.left_out),
        ],
        summary=call.filled(words.SUCCESS_SUMMARY, told_),
        rates=[rate(words.RAW_RATE, "azure", "raw_rate"), rate(words.COUNTED_RATE, "blue", "counted_rate")],
    )  # fmt: skip


def _number(key: str, result: str = "", **more: Any) -> Column:
    to = None if not result else lambda line: line.to(result=result)
    return Column(key, Cell.NUMBER, LABELS.get(key, ""), value=lambda line: getattr(line.one, key), to=to, **more)


def _left_out(category: str) -> Column:
    return Column(
        f"left_{category}", Cell.NUMBER, phone=Phone.AWAY, shown=False,
        value=lambda line: line.left_out_as.get(category, 0),
        to=lambda line: line.to(result="failed", left_out=category),
    )  # fmt: skip


COLUMNS = (
    Column("channel", phone=Phone.TITLE, value=lambda line: line.one.name or None),
    Column("carrier", Cell.WORD, words=told.CARRIER, phone=Phone.SECOND, value=lambda line: line.one.carrier or None,
           when=lambda found: found.get("group") == "carrier"),
    Column("day", sort=True, phone=Phone.SECOND, value=lambda line: line.one.day and f"{line.one.day:%Y-%m-%d}",
           when=lambda found: found.get("group") == "day"),
    Column("ended", Cell.NUMBER, "ended_there", sort=True, value=lambda line: line.one.ended),
    _number("delivered", "delivered"), _number("failed", "failed"), _number("unknown", "unknown"),
    Column("left_out", Cell.NUMBER, sort=True, value=lambda line: line.one.left_out,
           to=lambda line: line.to(result="failed", left_out=ANY_CATEGORY)),
    *map(_left_out, CATEGORIES),
    Column("raw_rate", Cell.PERCENT, phone=Phone.SECOND, value=lambda line: line.one.raw_rate),
    Column("counted_rate", Cell.PERCENT, sort=True, phone=Phone.BESIDE, value=lambda line: line.one.counted_rate),
    Column("rules_version", Cell.LINK, phone=Phone.SECOND, value=lambda line: (line.rules, RULES)),
    Column("shift", Cell.WORD, words={words.SHIFT: words.SHIFT}, permission=Permission.CHANNEL_EDIT, phone=Phone.SECOND,
           value=lambda line: words.SHIFT if line.shift else None, to=lambda line: line.shift),
)  # fmt: skip


async def _choices(call: Call) -> Mapping[str, Mapping[str, str]]:
    channels = call.portal.context.snapshots.current.channels
    return {"account": own_accounts(call), "channel": {str(c.id): c.name for c in channels}}


PAGE = ListPage(
    "success", PATH, "records.success", Permission.STATISTICS_VIEW, FILTER, COLUMNS, rows=_rows, count=_count,
    choices=_choices, sort=Sort("counted_rate", descending=False), lead=words.SUCCESS_LEAD, wide=True,
    notice=not_by_person,
    export=Permission.STATISTICS_EXPORT, links=((words.EXCLUSIONS, RULES, Permission.STATISTICS_VIEW),),
    links_quiet=True,
    report=Report(_totals, _chart, ("ended", "delivered", "left_out", "raw_rate", "counted_rate", "rules_version"),
                  {"ended": "blue", "delivered": "green", "left_out": "secondary", "raw_rate": "azure",
                   "counted_rate": "green"}),
    empty=Empty(words.SUCCESS_EMPTY, words.SUCCESS_TEACHES),
)  # fmt: skip
