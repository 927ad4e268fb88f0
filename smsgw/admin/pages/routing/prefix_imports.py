"""Files of prefixes and ported numbers on pages: brought in from a table, with the difference told first, and taken
back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from smsgw.admin.call import Call
from smsgw.admin.kit.details import Detail, Section
from smsgw.admin.kit.filters import Filter
from smsgw.admin.kit.forms import Form
from smsgw.admin.kit.imports import ImportPage, Target
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort
from smsgw.admin.pages.routing.prefixes import IMPORTS_PATH, PATH, TABS
from smsgw.admin.pages.routing.route_table import whole
from smsgw.admin.words import prefixes as words
from smsgw.core.permissions import Permission
from smsgw.core.words import columns as names
from smsgw.platform.routing import prefix_imports, prefix_sheets
from smsgw.platform.routing.prefix_imports import Import
from smsgw.platform.sheets.model import Sheet

_LABELS = {"prefix": "prefix_digits"}
TARGETS = tuple(
    Target(key, names.PREFIXES[key], _LABELS.get(key, ""), key in prefix_sheets.NEEDED) for key in prefix_sheets.COLUMNS
)


async def _choices(_: Call) -> Mapping[str, Mapping[str, str]]:
    return {}


async def _import_effect(call: Call, sheet: Sheet, columns: Mapping[str, int], _: Mapping[str, Any]) -> Effect:
    entries = await prefix_sheets.read(call.portal.sheets, sheet, columns)
    met = await prefix_imports.difference(call.db, entries)
    told = {key: f"{n:,}" for key, n in asdict(met).items()} | {"all": f"{len(entries):,}"}
    if not met.added and not met.changed:
        return Effect(words.IMPORT_NOTHING, told, nothing=True)
    return Effect(words.IMPORT_EFFECT, told)


async def _begin(call: Call, sheet: Sheet, columns: Mapping[str, int], _: Mapping[str, Any]) -> int:
    return await prefix_sheets.begin(call.change(), sheet, columns)


IMPORT = ImportPage(
    PATH, Permission.NUMBER_EDIT, words.IMPORT, words.PAGE, words.IMPORT_LEAD, prefix_sheets.NAME, TARGETS, Form(()),
    _choices, _begin, most=prefix_sheets.MOST, allowed=whole, effect=_import_effect,
)  # fmt: skip

# --- what was brought in ---------------------------------------------------------------------------------------------


def _state(one: Import) -> str:
    if not one.added and not one.changed:
        return "nothing"
    return "undone" if one.undone_at else "open" if one.open else "over"


COLUMNS = (
    Column("at", Cell.TIME, "created_at", sort=True, value=lambda one: one.made_at, phone=Phone.SECOND),
    Column("file_name", value=lambda one: one.name, phone=Phone.TITLE),
    Column("status", Cell.STATE, words=words.IMPORT_STATE, tones=words.IMPORT_TONE, value=_state, phone=Phone.BESIDE),
    Column("submitter", value=lambda one: one.made_by, phone=Phone.SECOND),
    Column("prefix_added", Cell.NUMBER, value=lambda one: one.added, phone=Phone.THIRD),
    Column("prefix_changed", Cell.NUMBER, value=lambda one: one.changed, phone=Phone.THIRD),
    Column("prefix_same", Cell.NUMBER, value=lambda one: one.same, phone=Phone.AWAY),
    Column("prefix_undone", Cell.NUMBER, value=lambda one: one.undone if one.undone_at else None, phone=Phone.AWAY),
    Column("prefix_kept", Cell.NUMBER, value=lambda one: one.kept if one.undone_at else None, phone=Phone.AWAY),
)


async def _detail(_: Call, one: Import) -> Detail:
    return Detail(one.name, [Section(COLUMNS, one)])


async def _back_effect(call: Call, rows: Sequence[Import]) -> Effect:
    open_ = [one for one in rows if one.open]
    if not open_:
        return Effect(words.TAKE_BACK_NONE, nothing=True)
    met = await prefix_imports.would_take_back(call.db, open_)
    return Effect(words.TAKE_BACK_EFFECT, {"undone": f"{met.undone:,}", "kept": f"{met.kept:,}"})


async def _back(call: Call, one: Import) -> None:
    whole(call)
    await prefix_imports.take_back(call.change(), one.id)


PAGE = ListPage(
    "prefix_imports", IMPORTS_PATH, "routing.prefix_imports", Permission.NUMBER_VIEW, Filter((), period=None), COLUMNS,
    listing=prefix_imports.IMPORTS, detail=_detail, sort=Sort("at"), tabs=TABS, lead=words.IMPORTS_LEAD,
    actions=(Action("back", words.TAKE_BACK, Permission.NUMBER_EDIT, _back, _back_effect, danger=True),),
    links=((words.IMPORT, f"{PATH}/-/import", Permission.NUMBER_EDIT),), links_whole=True,
    empty=Empty(words.IMPORTS_EMPTY, words.IMPORTS_TEACH, words.IMPORT, f"{PATH}/-/import", Permission.NUMBER_EDIT,
                icon="hash"),
)  # fmt: skip
