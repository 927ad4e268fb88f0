"""Tables, their files, and the gallery of the kit."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import python_calamine
from children import children
from hypothesis import given, strategies as st

from smsgw import admin
from smsgw.admin.kit import cells, charts, exports, selection, tables, tokens
from smsgw.admin.kit.charts import Chart, Series
from smsgw.admin.kit.copied_file import FRAME, FULL_SAID, NICE, CopiedFile, Frame, copied_file
from smsgw.admin.kit.copied_file_writer import _write
from smsgw.admin.kit.details import differences
from smsgw.admin.kit.exports import writing
from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.selection import Selection
from smsgw.admin.kit.tables import Cell, Column, Sort
from smsgw.admin.pages.records.sent import PAGE
from smsgw.admin.words import kit as words
from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.platform.exports.model import Format
from smsgw.platform.paging import MOST, Order, Window, clauses
from smsgw.runtime import aio
from smsgw.store.engine.secrets import Sealer

SEALER = Sealer(b"k" * 32)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
COLUMNS = (
    Column("name", sort=True),
    Column("number", Cell.PHONE, permission=Permission.MESSAGE_UNMASK),
    Column("time", Cell.TIME, shown=False),
)
LEAF = st.none() | st.booleans() | st.integers() | st.sampled_from(["name", "time", "evil", ""])
JSON = LEAF | st.lists(LEAF) | st.dictionaries(st.sampled_from(["name", "x"]), LEAF)


@given(st.dictionaries(st.sampled_from(["columns", "density", "size", "x"]), JSON))
def test_whatever_was_chosen_there_is_a_table(chosen: dict[str, Any]) -> None:
    layout = tables.layout(COLUMNS, chosen)
    assert layout.columns
    assert layout.size in tables.PAGE_SIZES
    assert layout.density in tables.DENSITIES


def test_columns_are_those_that_were_chosen_and_may_be_seen() -> None:
    layout = tables.layout(COLUMNS, {"columns": ["time", "name", "time", "evil", 3], "size": 50})
    assert ([c.key for c in layout.columns], layout.size) == (["time", "name"], 50)
    assert [c.key for c in tables.layout(COLUMNS, {}).columns] == ["name", "number"]
    assert [c.key for c in tables.allowed(COLUMNS, frozenset())] == ["name", "time"]
    assert tables.read_sort("-number", COLUMNS, Sort("name")) == Sort("name")


def test_a_token_is_good_where_and_for_whom_it_was_made() -> None:
    token = tokens.make(SEALER, "a", ["é", 1])
    assert tokens.read(SEALER, "a", token) == ["é", 1]
    assert tokens.read(SEALER, "b", token) is None
    assert tokens.read(Sealer(b"x" * 32), "a", token) is None
    assert tokens.read(Sealer(b"n" * 32, b"k" * 32), "a", token) == ["é", 1], "the key before"
    place = tables.place("staff", "li", {"a": "1"}, Sort("name"))  # a cursor is bound to list person filter and order
    cursor = tables.cursor(SEALER, place, ("x", 7), backwards=True)
    assert tables.window(SEALER, place, cursor, Sort("name"), 20) == Window("name", True, ("x", 7), True, 20)
    others = [("audit", "li", {"a": "1"}, Sort("name")), ("staff", "wu", {"a": "1"}, Sort("name")),
              ("staff", "li", {"a": "2"}, Sort("name")), ("staff", "li", {"a": "1"}, Sort("name", False))]  # fmt: skip
    for name, login, state, sort in others:
        assert tables.window(SEALER, tables.place(name, login, state, sort), cursor, sort, 20) is None
    assert tables.window(SEALER, place, "", Sort("name"), 20) == Window("name", limit=20)


@given(st.text(max_size=200))
def test_no_text_is_a_token(text: str) -> None:
    assert tokens.read(SEALER, "a", text) is None


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_changed_token_is_none(at: int, other: str) -> None:
    token = tokens.make(SEALER, "a", {"x": 1})
    at %= len(token)
    changed = token[:at] + other + token[at + 1 :]
    assert changed == token or tokens.read(SEALER, "a", changed) is None


def test_a_selection_ends_and_has_an_upper_bound() -> None:
    token = selection.token(SEALER, "staff", "li", {"role": "x"}, 30, NOW)

    def read(login: str = "li", token: str = token, ids: tuple[str, ...] = (), later: int = 0) -> Selection | Problem:
        return selection.read(SEALER, "staff", login, ids, token, NOW + timedelta(minutes=later))

    found = read()
    assert isinstance(found, Selection)
    assert (found.all, found.state, found.count, found.at) == (True, {"role": "x"}, 30, NOW)
    assert selection.grown(found, 30) is None
    assert selection.grown(found, 31) == Problem(words.GROWN_SELECTION, {"now": 31, "then": 30})
    assert read(later=16) == Problem(words.OLD_SELECTION)
    assert read(login="wu") == Problem(words.OLD_SELECTION)
    large = selection.token(SEALER, "staff", "li", {}, selection.MOST + 1, NOW)
    assert read(token=large) == Problem(words.TOO_MANY_SELECTED, {"most": selection.MOST})
    assert read(token="", ids=("1", "1", "x", "-1", "2")) == Selection((1, 2), count=2)
    assert read(token="", ids=("x",)) == Problem(words.NOTHING_SELECTED)


ORDERS = {"at": Order("a.at", "timestamptz"), "name": Order("a.name", "text")}


@given(st.text(), st.booleans(), st.booleans(), st.none() | st.tuples(st.text(), st.integers()), st.integers())
def test_nothing_of_a_window_gets_into_the_statement(
    sort: str, descending: bool, backwards: bool, after: tuple[str, int] | None, limit: int
) -> None:
    c = clauses(ORDERS, Window(sort, descending, after, backwards, limit), id_="a.id", first=4)
    order = ORDERS.get(sort, ORDERS["at"])
    way = "DESC" if descending != backwards else "ASC"
    assert c.order == f"{order.expression} {way}, a.id {way} LIMIT {c.limit + 1}"
    assert 1 <= c.limit <= MOST
    assert c.arguments == (after or ())
    sign = "<" if way == "DESC" else ">"
    wanted = f"({order.expression}, a.id) {sign} ($4::text::{order.type}, $5::bigint)" if after else "true"
    assert c.where == wanted


def test_cells_in_a_file_and_differences_are_as_on_the_page() -> None:
    row = SimpleNamespace(
        p="8613800138000", t=NOW, s="on", b=False, u=("李", "li"), l=("label", "/x"), g=["a", "b"], n=3, z=None,
        d=timedelta(seconds=2), c=Decimal("0.0385"),
    )  # fmt: skip
    kinds = {
        "p": (Cell.PHONE, "138****8000"), "t": (Cell.TIME, "2026-03-01 08:00:00"), "s": (Cell.STATE, "AN"),
        "b": (Cell.BOOL, words.NO.upper()), "u": (Cell.USER, "李 (li)"), "l": (Cell.LINK, "label"),
        "g": (Cell.TAGS, "a, b"), "n": (Cell.NUMBER, 3), "z": (Cell.TEXT, ""), "d": (Cell.SPAN, 2.0),
        "c": (Cell.PRICE, "0.0385"),
    }  # fmt: skip
    for key, (kind, wanted) in kinds.items():
        assert cells.plain(Column(key, kind, words={"on": "an"}), row, str.upper) == wanted, key
    found = differences({"a": 1, "b": {"c": [1, 2]}}, {"a": 1, "b": {"c": [1]}, "d": None})
    assert [(d.name, d.before and str(d.before), d.after and str(d.after), d.changed) for d in found] == [
        ("a", "1", "1", False), ("b.c", "1、2", "1", True), ("d", None, "—", True),
    ]  # fmt: skip
    assert differences(None, None) == []


def test_a_chart_is_options_without_a_colour_and_special_ones_say_more() -> None:
    for kind in list(charts.ChartKind):
        chart = Chart("t", kind, ["a", "b"], [Series("x", [1, None]), Series("y", [0, 2], "red")], "条", "s")
        options = chart.options
        assert not chart.empty
        assert options["aria"]["label"]["description"] == "s"
        assert "#" not in str(options)
        assert Chart("t", kind, ["a"], [Series("x", [None])]).empty
        with pytest.raises(ValueError, match="values for"):
            Chart("t", kind, ["a"], [Series("x", [1, 2])])
        with pytest.raises(ValueError, match="points"):
            Chart("t", kind, ["a"] * 2001, [])
    options = Chart("t", charts.ChartKind.HEAT, ["a"], [Series("x", [1200])]).options  # what special charts say
    assert options["series"][0]["label"] == {"show": True}
    assert options["visualMap"]["text"] == ["1,200", "0"]

    def rate(*, dots: bool) -> dict[str, Any]:
        bars, rates = [Series("n", [3, 4])], [Series("r", [50.0, None])]
        made = Chart("t", charts.ChartKind.STACK, ["a", "b"], bars, rates=rates, dots=dots).options["series"][-1]
        return {"symbols": made["showSymbol"], "line": made.get("lineStyle", {}).get("width")}

    assert rate(dots=True) == {"symbols": True, "line": 0}
    assert rate(dots=False) == {"symbols": False, "line": None}


async def sheet_of(path: Path, mark: str, row: list[str | int | float]) -> str:
    async with writing(Format.XLSX, path, ["a", "b"], mark) as writer:
        writer.rows([row])
        writer.end([mark])
    with zipfile.ZipFile(path) as book:
        return book.read("xl/worksheets/sheet1.xml").decode()


async def test_numbers_text_and_the_foot_of_a_sheet_are_read_by_others(tmp_path: Path) -> None:
    sheet = await sheet_of(tmp_path / "a.xlsx", "mark", [1784637026123456789, 12.5])
    assert "1784637026123456789" in sheet
    assert "<v>12.5</v>" in sheet
    mark = "x" * 195 + "&" * 20
    sheet = await sheet_of(tmp_path / "a.xlsx", mark, ["a", "b"])
    foot = sheet.partition("<oddFooter>")[2].partition("</oddFooter>")[0]
    assert foot.endswith("&amp;R&amp;P/&amp;N")
    assert foot.count("&amp;") == 4
    path = tmp_path / "a.xlsx"  # a workbook is one whoever reads it
    rows = [["甲 & <乙>", 7, "=1+1"], ["\x01b\x00", -0.25, "x" * 40_000]]
    async with writing(Format.XLSX, path, ["名称", "数", "文"], "水印", "标题") as writer:
        writer.rows(rows)
        writer.raw([["raw", "text", "  三 "]])
        writer.end(["水印"])
    assert python_calamine.load_workbook(str(path)).get_sheet_by_index(0).to_python() == [
        ["名称", "数", "文"], ["甲 & <乙>", 7, "'=1+1"], ["b", -0.25, "x" * 32_767], ["raw", "text", "  三 "],
        ["水印", "", ""],
    ]  # fmt: skip


async def test_a_sheet_that_is_full_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MOST_OF_SHEET", 2000)
    async with writing(Format.XLSX, tmp_path / "a.xlsx", ["a"], "mark") as writer:
        with pytest.raises(Refused, match="CSV"):
            writer.raw([["x" * 500]] * 5)
    monkeypatch.setattr(exports, "MOST_OF_SHEET", 2000)  # a sheet that is full with its last lines is refused
    key = next(column.key for column in PAGE.columns if column.key in (PAGE.bulk.fields if PAGE.bulk else ()))
    job = CopiedFile(PAGE.name, (key,), "zh", Format.XLSX, str(tmp_path / "a.xlsx"), ("a",), "mark", "title")
    last = msgspec.json.encode(["x" * 3000])
    answers = io.BytesIO()
    _write(job, io.BytesIO(FRAME.pack(Frame.END, len(last)) + last), answers)
    assert answers.getvalue() == FULL_SAID


async def test_a_machine_that_never_rests_does_not_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smsgw.admin.kit.copied_file.NICE", 0)
    job = CopiedFile("records", ("id",), "zh", Format.CSV, str(tmp_path / "a.csv"), ("id",), "mark", "title")
    before = children()
    async with copied_file(job) as process:
        (pid,) = children() - before
        os.kill(pid, signal.SIGSTOP)
        ending = aio.spawn(process.end(["the last line"]), name="ending")
        async with asyncio.timeout(120):
            while os.sched_getscheduler(pid) == os.SCHED_IDLE:  # noqa: ASYNC110 - the kernel has no event for it
                await asyncio.sleep(0.05)
            os.kill(pid, signal.SIGCONT)
            await ending
        assert os.sched_getscheduler(pid) == os.SCHED_IDLE
    assert "the last line" in (tmp_path / "a.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize(("small", "policy", "nice"), [(True, os.SCHED_OTHER, 0), (False, os.SCHED_IDLE, NICE)])
async def test_only_large_files_give_way(tmp_path: Path, small: bool, policy: int, nice: int) -> None:
    """Who waits for a small file does not wait for a machine at rest."""
    wanted = CopiedFile("records", ("number",), "zh", Format.CSV, str(tmp_path / "file.csv"), ("号码",), "m", "t")
    before, own = children(), os.getpriority(os.PRIO_PROCESS, 0)
    async with copied_file(wanted, small=small) as process:
        (child,) = children() - before
        assert os.sched_getscheduler(child) == policy
        assert os.getpriority(os.PRIO_PROCESS, child) == (own if small else nice)
        assert await process.take(b"") == 0
        await process.end(["m"])
    assert (tmp_path / "file.csv").read_text("utf-8-sig").startswith("号码")


TEMPLATES = Path(admin.__file__).parent / "templates"
NOT_SHOWN = {
    "ui/brand.html:support": "of the login page alone",
    "ui/documents.html": "a whole page: its table and the upload are shown",
    "ui/field_alone.html": "a field of the form that is shown",
    "ui/form_page.html": "a whole page: the form is shown",
    "ui/import.html": "a whole page: the upload is shown",
    "ui/import_columns.html": "a whole page: the mapping is shown",
    "ui/list.html": "a whole page: its rows, its filter and its tools are shown",
    "ui/number.html": "an answer of its own, which depends on what was asked",
    "ui/queue.html": "a whole page: its cards are the page's own",
}
"""What the gallery does not show, and why."""
MACRO = re.compile(r"{%-? *macro (\w+)(.*?){%-? *endmacro", re.DOTALL)


def test_the_gallery_shows_every_component() -> None:
    texts = {path.relative_to(TEMPLATES).as_posix(): path.read_text("utf-8") for path in TEMPLATES.rglob("*.html")}
    bodies = {name: MACRO.sub("", text) for name, text in texts.items()}
    bodies |= {f"{name}:{macro}": body for name, text in texts.items() for macro, body in MACRO.findall(text)}
    other_names = {alias: name for text in texts.values() for name, alias in re.findall(r"\b(\w+) as (\w+)", text)}
    used, wanted = set[str](), {"ui/gallery.html"}
    while wanted:
        used |= wanted
        said = " ".join(bodies[one] for one in wanted)
        called = set(re.findall(r"\b(\w+)\(", said))
        called |= {other_names[name] for name in called & other_names.keys()}
        named = set(re.findall(r'"([\w/]+\.html)"', said))
        wanted = {one for one in bodies if one.partition(":")[2] in called or one in named} - used
    kit = {one for one in bodies if one.startswith("ui/") and one != "ui/gallery.html"}
    kit -= {name for name in kit if MACRO.search(texts[name.partition(":")[0]]) and ":" not in name}
    assert sorted(kit - used) == sorted(NOT_SHOWN)
