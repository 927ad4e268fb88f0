"""The gallery of the kit: every component in every state, for those who build pages and for the visual tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from aiohttp import web

from smsgw.admin.call import Call
from smsgw.admin.kit import charts, forms
from smsgw.admin.kit.charts import Chart, Series
from smsgw.admin.kit.details import Button, Detail, Past, Section, differences
from smsgw.admin.kit.filters import Field, FieldKind, Filter, Period, Problem
from smsgw.admin.kit.lists import Action, Effect, Empty, ListPage, Shown
from smsgw.admin.kit.pieces import field_alone
from smsgw.admin.kit.tables import Cell, Column, Phone, Sort, layout
from smsgw.admin.rights import route
from smsgw.admin.words import lists as words
from smsgw.admin.words.kit import FORMAT
from smsgw.admin.words.palette import KINDS
from smsgw.admin.words.terms import TERMS
from smsgw.core.actor import Actor
from smsgw.core.permissions import Permission
from smsgw.core.schedule import written
from smsgw.platform.handles import Database
from smsgw.platform.paging import Slice, Window

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
VALUES = {
    Cell.TEXT: "text", Cell.LONG: "long " * 40, Cell.CODE: "code.of", Cell.NUMBER: 1234567, Cell.MONEY: 1234.5,
    Cell.PRICE: 0.0385,
    Cell.PERCENT: 98.76, Cell.TIME: AT, Cell.SPAN: timedelta(minutes=3), Cell.SIZE: 123456, Cell.PHONE: "8613800138000",
    Cell.HOURS: written("mon-fri 09:00-11:30 14:00-17:00"),
    Cell.STATE: "done", Cell.WORD: "export", Cell.BOOL: True,
    Cell.LINK: ("link", "/_ui"), Cell.COPIED: "https://s.example.cn/abc", Cell.PROGRESS: 42, Cell.USER: ("Li", "li"),
    Cell.TAGS: ["a", "b"], Cell.MARKED: [("text ", ""), ("word", "why")],
    Cell.DEVICE: "Mozilla/5.0 (Windows NT 10.0) Chrome/120.0.0.0 Safari/537.36 Edg/120.0",
}  # fmt: skip
"""One value of each kind of cell; a picture has an address of its own list, a digest is code."""
KEYS = dict(zip(Cell, sorted(TERMS), strict=False))
COLUMNS = tuple(
    Column(
        KEYS[kind], kind, sort=kind in (Cell.TEXT, Cell.TIME), words=words.JOB_STATE | words.JOB_KIND,
        tones=words.JOB_TONE, phone=tuple(Phone)[at % len(Phone)],
    )
    for at, kind in enumerate(VALUES)
)  # fmt: skip
FILTER = Filter(
    tuple(Field(KEYS[cell], kind, choices=words.JOB_STATE, more=at > 4)
          for at, (kind, cell) in enumerate(zip(FieldKind, Cell, strict=False))),
    Period("7d"),
)  # fmt: skip
FORM = forms.Form(
    (
        forms.Inputs(
            tuple(
                forms.Input(
                    KEYS[cell], kind, required=kind is forms.InputKind.TEXT, choices=words.JOB_STATE, help=words.START
                )
                for kind, cell in zip(forms.InputKind, Cell, strict=False)
            ),
            words.STOP,
        ),
    )
)


async def _none(_: Database, __: Actor, ___: object, ____: Window) -> Slice[object]:
    return Slice([], [], more=False)


_PAGE = (ListPage(
    "gallery", "/_ui", "system.audit", Permission.SELF_EDIT, FILTER, COLUMNS, Sort(KEYS[Cell.TEXT]),
    Empty(words.JOBS_EMPTY, words.JOBS_TEACH, words.VERIFY, "/_ui"), rows=_none,
    tabs=((words.START, "/_ui"), (words.STOP, "/_ui/b")),
),)  # fmt: skip
"""The list that is shown; in a tuple, for what stands by itself in a module of a page is mounted."""


async def _nothing(_: Call, __: object) -> Effect:
    return Effect(words.CANCEL_EFFECT, {"n": 0}, nothing=True)


ACTIONS = (
    Action("start", words.START, Permission.SELF_EDIT, _nothing, _nothing),
    Action("stop", words.STOP, Permission.SELF_EDIT, _nothing, _nothing, danger=True, reason=True),
    Action("cancel", words.CANCEL, Permission.SELF_EDIT, _nothing, _nothing, reason=False),
)
SHEETS = {"list": 10, "empty": 0, "error": 0, "none": 0}
"""States of a list, and how many rows each has."""


def _shown(state: str) -> Shown:
    wrong = {KEYS[Cell.NUMBER]: "x", "time": "custom", "from": "x"}
    query = {"error": wrong, "none": {KEYS[Cell.TEXT]: "x"}}.get(state, {})
    found = FILTER.read(query, AT)
    row = SimpleNamespace(**{KEYS[kind]: value for kind, value in VALUES.items()})
    rows = [SimpleNamespace(**{**vars(row), "id": n + 1}) for n in range(SHEETS[state])]
    actions = ACTIONS if state == "list" else ()
    there, further = layout(COLUMNS, {}), "x" if rows else ""
    return Shown(_PAGE[0], found, COLUMNS, there, _PAGE[0].sort, actions, (), rows, further, "")


def _charts() -> list[Chart]:
    labels = [f"{hour:02}:00" for hour in range(24)]
    values = [Series("a", [hour * hour % 37 for hour in range(24)]), Series("b", [hour % 7 for hour in range(24)])]
    made = [Chart(kind.value, kind, labels, values, "n", f"{kind.value}, 24 h") for kind in charts.ChartKind]
    return [*made, Chart("empty", charts.ChartKind.LINE, labels, [Series("a", [None] * 24)])]


def _detail() -> Detail:
    row = _shown("list").rows[0]
    return Detail(
        words.JOBS_EMPTY, [Section(COLUMNS[:4], row)], differences({"a": 1}, {"a": 2}),
        [Button(words.START, "/_ui", primary=True), Button(words.STOP, "/_ui", True)], (("a", "/_ui"),),
        (("a", "/_ui"), ("b", "/_ui")), notice=words.JOBS_TEACH, good=False, past=[Past(AT, "a", "b", ())],
    )  # fmt: skip


def _for_builders(call: Call) -> None:
    if not any(role.everything for role in call.who.roles):
        raise web.HTTPNotFound


@route("GET", "/_ui", Permission.SELF_EDIT)
async def show(call: Call) -> web.StreamResponse:
    """All of it; only for whoever may do everything."""
    _for_builders(call)
    return _sheet(call, FORM.read({KEYS[Cell.LONG]: "\x07"}))


@route("POST", "/_ui", Permission.SELF_EDIT)
async def check(call: Call) -> web.StreamResponse:
    """What the form of the gallery says to what was typed; nothing comes of it."""
    _for_builders(call)
    data = await call.request.post()
    filled = FORM.read(data)
    if alone := field_alone(call, filled, data):
        return alone
    return call.redirect("/_ui") if filled.good else _sheet(call, filled, status=422)


def _sheet(call: Call, wrong: forms.Filled, *, status: int = 200) -> web.Response:
    told = Problem(words.STOP)
    hits = [SimpleNamespace(label=hint or "a", path="/_ui", hint=hint, icon="star") for hint in ("", "b")]
    plain, typed = Effect(words.CANCEL_EFFECT, {"n": 12}), Effect(words.CANCEL_EFFECT, {"n": 12}, typed="name")
    node = SimpleNamespace(id=1, label="a", count=1234, children=())
    right = SimpleNamespace(value="x.view", given=True)
    return call.render(
        "ui/gallery.html", status=status, page=_PAGE[0], sheets={state: _shown(state) for state in SHEETS},
        charts=_charts(), filled=FORM.blank({KEYS[cell]: "1" for cell in Cell}), wrong=wrong,
        section=Section(COLUMNS, _shown("list").rows[0]), diff=differences({"a": 1, "b": "x"}, {"a": 2, "c": "y"}),
        nodes=[SimpleNamespace(id=2, label="b", count=None, children=(node, node)), node],
        modules=[SimpleNamespace(label=words.STOP, rights={"view": right})],
        verbs={"view": words.START, "edit": words.STOP}, at=AT,
        told_form=SimpleNamespace(errors={"told": told}), found=[("page", hits), ("record", hits[1:])], kinds=KINDS,
        effects=[(plain, ACTIONS[0], None), (typed, ACTIONS[1], told), (plain, ACTIONS[2], None),
                 (Effect(words.CANCEL_EFFECT, {"n": 0}, nothing=True), ACTIONS[0], None)],
        formats=FORMAT, detail=_detail(),
    )  # fmt: skip
