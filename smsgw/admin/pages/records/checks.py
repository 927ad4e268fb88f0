"""Checks of figures (数据核对): whether each day is what its records come to, each month what its days do, and whether
everything accepted was submitted, was refused for a reason, or is held. By whoever may count anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Period
from smsgw.admin.kit.lists import Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import records as words
from smsgw.core.permissions import Permission
from smsgw.platform.statistics.checks import CHECKS, Check, Difference

MENU = Entry("records.checks", "/reports/checks", Permission.STATISTICS_EDIT)
FILTER = Filter(
    (
        Field("span", FieldKind.CHOICE, choices=words.SPAN),
        Field("check_state", FieldKind.CHOICE, choices=words.CHECK_STATE),
    ),
    Period("30d"),
)


def _end(check: Check) -> date:
    if check.span == "day":
        return check.day
    return (check.day + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _records(stage: str) -> Callable[[Check], str]:
    """The records that a count of the account counts."""

    def to(check: Check) -> str:
        query = {"time": "custom", "from": check.day, "to": _end(check), "test": "false"}
        return f"/records?{urlencode(query | ({'stage': stage} if stage else {}))}"

    return to


_COLUMNS = (
    Column("day", sort=True, phone=Phone.TITLE,
           value=lambda one: f"{one.day:%Y-%m-%d}" if one.span == "day" else f"{one.day:%Y-%m}"),
    Column("span", Cell.WORD, words=words.SPAN, phone=Phone.AWAY),
    Column("check_state", Cell.STATE, words=words.CHECK_STATE, tones=words.CHECK_TONE, phone=Phone.BESIDE,
           value=lambda one: one.state),
    Column("compared", Cell.NUMBER), Column("different", Cell.NUMBER),
    Column("accepted", Cell.NUMBER, to=_records("")), Column("submitted_out", Cell.NUMBER, to=_records("submitted"),
                                                             value=lambda one: one.submitted),
    Column("refused", Cell.NUMBER, to=_records("refused")), Column("held", Cell.NUMBER, to=_records("held")),
    Column("submission_rate", Cell.PERCENT, value=lambda one: one.submission_rate, phone=Phone.AWAY),
    Column("submission_success", Cell.PERCENT, value=lambda one: one.submission_success, phone=Phone.SECOND),
    Column("missing_of_day", Cell.NUMBER, value=lambda one: one.missing), Column("checked_at", Cell.TIME),
)  # fmt: skip
_DIFFERENCE = (
    Column("dimension", Cell.WORD, words=words.DIMENSION), Column("account", value=lambda one: one.account_id),
    Column("value_of", value=lambda one: one.value), Column("word_of", Cell.WORD, words=words.ENDED,
                                                            value=lambda one: one.word),
    Column("unit", Cell.WORD, words=words.UNIT), Column("shown", Cell.NUMBER), Column("counted", Cell.NUMBER),
)  # fmt: skip


async def _detail(call: Call, check: Check) -> Detail:
    names = {one.id: one.name for one in call.portal.context.snapshots.current.accounts()}
    account = Column("account", value=lambda one: names.get(one.account_id, str(one.account_id)))
    columns = [account if column.key == "account" else column for column in _DIFFERENCE]

    def section(one: Difference) -> Section:
        return Section(columns, one, words.DIFFERENCE)

    title: Any = f"{check.day:%Y-%m-%d}" if check.span == "day" else f"{check.day:%Y-%m}"
    notice = words.CHECK_NOTICE[check.state]
    return Detail(
        title, [Section(_COLUMNS, check), *map(section, check.differences)], notice=call.gettext(notice),
        good=check.state != "wrong",
    )  # fmt: skip


PAGE = ListPage(
    "checks", "/reports/checks", "records.checks", Permission.STATISTICS_EDIT, FILTER, _COLUMNS,
    listing=CHECKS, detail=_detail, sort=Sort("day"), lead=words.CHECKS_LEAD, wide=True,
    empty=Empty(words.CHECKS_EMPTY, words.CHECKS_TEACHES),
)  # fmt: skip
