"""Rows of a task that got no message: cleaned out when it was brought in, or refused when it was sent."""

from __future__ import annotations

from smsgw.admin.kit.filters import Field, FieldKind, Filter, Found
from smsgw.admin.kit.lists import Empty, ListPage
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import tasks as words
from smsgw.core.errors import CODES, Recorded, message_of
from smsgw.core.permissions import Permission
from smsgw.platform.campaigns import queries
from smsgw.platform.campaigns.model import ProblemRow, WantedProblems


def _why(row: ProblemRow) -> str | Recorded:
    """What was said of the row; what its code says when nothing was."""
    return Recorded(row.code, row.message or message_of(row.code)) if row.code in CODES else row.message


FILTER = Filter(
    (Field("task", FieldKind.ID), Field("code", label="error_code"), Field("line", FieldKind.NUMBER)), period=None
)
COLUMNS = (
    Column("line", Cell.NUMBER, sort=True),
    Column("number", Cell.PHONE, phone=Phone.TITLE),
    Column("code", Cell.CODE, "error_code", phone=Phone.BESIDE),
    Column("message", Cell.LONG, "reason", value=_why, phone=Phone.SECOND),
)


def _wanted(found: Found) -> WantedProblems:
    return WantedProblems(found.get("task", 0), found.get("code"), found.get("line", None))


PAGE = ListPage(
    "problems", "/tasks/problems", "sending.problems", Permission.TASK_VIEW, FILTER, COLUMNS,
    rows=lambda db, actor, found, window: queries.problems(db, actor, _wanted(found), window),
    count=lambda db, actor, found, most: queries.how_many_problems(db, actor, _wanted(found), most),
    sort=Sort("line", descending=False), lead=words.PROBLEMS_LEAD, export=Permission.MESSAGE_EXPORT,
    empty=Empty(words.PROBLEMS_EMPTY, words.PROBLEMS_TEACHES),
)  # fmt: skip
