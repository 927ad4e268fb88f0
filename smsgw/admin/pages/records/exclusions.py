"""Exclusion rules (剔除规则): which failures do not count against a channel, in versions that nobody changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Filter, Problem
from smsgw.admin.kit.form_pages import FormPage, Wrong
from smsgw.admin.kit.forms import Form, Input, InputKind, Inputs
from smsgw.admin.kit.lists import Effect, Empty, ListPage
from smsgw.admin.kit.menu import Entry
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.words import records as words
from smsgw.core.exclusions import CLASSES, MOST_CODES, PROPOSED
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.report_codes import head_of
from smsgw.platform.exclusions import queries, service
from smsgw.platform.exclusions.model import LEAST_REASON, MOST_REASON, Draft, Version
from smsgw.runtime import clock

PATH = "/reports/exclusions"
_NEW = f"{PATH}/-/new"
MENU = Entry("records.exclusions", PATH, Permission.STATISTICS_VIEW)


def _today() -> date:
    return clock.now().astimezone(CHINA).date()


def _state(one: Version) -> str:
    if one.until_day is not None and one.until_day < max(one.from_day, _today()):
        return "over"
    return "ahead" if one.from_day > _today() else "now"


def _last(one: Version) -> date | None:
    return None if one.until_day is None or one.until_day < one.from_day else one.until_day


COLUMNS = (
    Column("version", sort=True, phone=Phone.TITLE, value=lambda one: f"V{one.version}"),
    Column("exclusion_state", Cell.STATE, words=words.EXCLUSION_STATE, tones=words.EXCLUSION_TONE, value=_state,
           phone=Phone.BESIDE),
    Column("from_day", value=lambda one: f"{one.from_day:%Y-%m-%d}", phone=Phone.SECOND),
    Column("last_day", value=lambda one: _last(one) and f"{_last(one):%Y-%m-%d}"),
    Column("rule_classes", Cell.NUMBER, value=lambda one: len(one.classes)),
    Column("rule_codes", Cell.NUMBER, value=lambda one: len(one.codes)),
    Column("why_so", Cell.LONG, value=lambda one: one.reason, phone=Phone.SECOND),
    Column("made_by"), Column("made_at", Cell.TIME),
)  # fmt: skip


def _label(cls: str) -> str:
    return words.CLASS_FIELD.get(cls, cls)


def _of(value: str) -> Callable[[Version], str]:
    return lambda _: value


async def _detail(_: Call, one: Version) -> Detail:
    classes = [
        Column(_label(cls), Cell.WORD, words=words.CATEGORY, value=_of(one.classes[cls]))
        for cls in CLASSES
        if cls in one.classes
    ]
    sections = [Section(COLUMNS[1:], one)]
    if classes:
        sections.append(Section(classes, one, words.BY_CLASS))
    sections += [
        Section(
            (Column("rule_codes", Cell.CODE, value=_of(code)),
             Column("word_category", Cell.WORD, words=words.CATEGORY, value=_of(as_))),
            one, words.BY_CODE,
        )
        for code, as_ in one.codes.items()
    ]  # fmt: skip
    return Detail(f"V{one.version}", sections)


PAGE = ListPage(
    "exclusions", PATH, "records.exclusions", Permission.STATISTICS_VIEW, Filter((), period=None), COLUMNS,
    listing=queries.EXCLUSIONS, detail=_detail, sort=Sort("version"), lead=words.EXCLUSIONS_LEAD,
    links=((words.EXCLUSION_NEW, _NEW, Permission.CODE_EDIT),),
    empty=Empty(words.EXCLUSIONS_EMPTY, words.EXCLUSIONS_TEACH, words.EXCLUSION_NEW, _NEW, Permission.CODE_EDIT),
)  # fmt: skip

# --- a new version ---------------------------------------------------------------------------------------------------


def _class_field(cls: str) -> Input:
    return Input(f"class_{cls}", InputKind.CHOICE, _label(cls), choices=words.CATEGORY)


_FORM = Form((
    Inputs((
        Input("from_day", InputKind.CHOICE, required=True),
        Input("reason", label="why_so", required=True, least=LEAST_REASON, most=MOST_REASON),
    )),
    Inputs(tuple(map(_class_field, CLASSES)), words.BY_CLASS, words.COUNTED_HELP),
    Inputs((Input("codes", InputKind.LINES, "rule_codes", words.CODES_HELP, most=100 * MOST_CODES),), words.BY_CODE),
))  # fmt: skip


async def _subject(call: Call) -> dict[str, Any]:
    """The newest version, to begin with; without one what is proposed."""
    newest = await queries.newest(call.db)
    classes = PROPOSED if newest is None else newest.classes
    codes = {} if newest is None else newest.codes
    values: dict[str, Any] = {f"class_{cls}": category for cls, category in classes.items()}
    say = call.gettext
    values["codes"] = "\n".join(f"{code} {say(words.CATEGORY[as_])}" for code, as_ in codes.items())
    return values | {"from_day": f"{_today() + timedelta(days=1)}"}


async def _choices(_: Call, __: Any) -> Mapping[str, Mapping[str, str]]:
    first, last = service.first_days(_today())
    days = [f"{first + timedelta(days=n)}" for n in range((last - first).days + 1)]
    return {"from_day": {day: day for day in days}}


def _codes(call: Call, text: str) -> dict[str, str]:
    """A code and its category a line; categories by their names in the reader's language, in Chinese, or by key."""
    named = {call.gettext(word).casefold(): key for key, word in words.CATEGORY.items()}
    named |= {word: key for key, word in words.CATEGORY.items()} | {key: key for key in words.CATEGORY}
    known = call.listed(map(call.gettext, words.CATEGORY.values()))
    codes: dict[str, str] = {}
    for n, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        code, _, category = " ".join(line.split()).partition(" ")
        if category.casefold() not in named:
            raise Wrong("codes", Problem(words.CODE_LINE, {"n": n, "known": known}))
        if head_of(code) in codes:
            raise Wrong("codes", Problem(words.CODE_TWICE, {"n": n}))
        codes[head_of(code)] = named[category.casefold()]
    return codes


def _draft(call: Call, values: Mapping[str, Any]) -> Draft:
    classes = {cls: values[f"class_{cls}"] for cls in CLASSES if values.get(f"class_{cls}")}
    return Draft(date.fromisoformat(values["from_day"]), values["reason"], classes, _codes(call, values["codes"]))


async def _effect(call: Call, _: Any, values: Mapping[str, Any]) -> Effect:
    draft = _draft(call, values)
    said = {"from": f"{draft.from_day}", "classes": len(draft.classes), "codes": len(draft.codes)}
    return Effect(words.EXCLUSION_EFFECT, said)


async def _save(call: Call, _: Any, values: Mapping[str, Any]) -> web.Response:
    version = await service.add(call.change(), _draft(call, values))
    call.toast(call.filled(words.EXCLUSION_SAVED, {"version": version}))
    return call.redirect(f"{PATH}/{version}")


NEW = FormPage(
    _NEW, Permission.CODE_EDIT, words.EXCLUSION_TITLE, words.EXCLUSION_SEND, _FORM, _save, lambda _: PATH, _subject,
    values=lambda values: values, choices=_choices, effect=_effect, about=words.EXCLUSION_ABOUT,
)  # fmt: skip
