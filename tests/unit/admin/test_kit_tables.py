"""Tables: columns that are chosen, orders, cursors and selections that only the server can have made; charts; cells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsgw.admin.kit import cells, charts, selection, tables, tokens
from smsgw.admin.kit.charts import Chart, Series
from smsgw.admin.kit.details import differences
from smsgw.admin.kit.filters import Problem
from smsgw.admin.kit.selection import Selection
from smsgw.admin.kit.tables import Column, Kind, Sort
from smsgw.admin.words import kit as words
from smsgw.core.permissions import Permission
from smsgw.platform.paging import MOST, Order, Window, clauses
from smsgw.store.engine.secrets import Sealer

SEALER = Sealer(b"k" * 32)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
COLUMNS = (
    Column("name", sort=True), Column("number", Kind.PHONE, permission=Permission.MESSAGE_UNMASK),
    Column("time", Kind.TIME, shown=False),
)  # fmt: skip
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


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_a_token_is_good_where_it_was_made_for() -> None:
    token = tokens.make(SEALER, "a", ["é", 1])
    assert tokens.read(SEALER, "a", token) == ["é", 1]
    assert tokens.read(SEALER, "b", token) is None
    assert tokens.read(Sealer(b"x" * 32), "a", token) is None
    assert tokens.read(Sealer(b"n" * 32, b"k" * 32), "a", token) == ["é", 1], "the key before"


@given(st.text(max_size=200))
def test_no_text_is_a_token(text: str) -> None:
    assert tokens.read(SEALER, "a", text) is None


@given(st.integers(0, 200), st.characters(codec="ascii"))
def test_a_changed_token_is_none(at: int, other: str) -> None:
    token = tokens.make(SEALER, "a", {"x": 1})
    at %= len(token)
    changed = token[:at] + other + token[at + 1 :]
    assert changed == token or tokens.read(SEALER, "a", changed) is None


def test_a_cursor_is_bound_to_list_person_filter_and_order() -> None:
    place = tables.place("staff", "li", {"a": "1"}, Sort("name"))
    cursor = tables.cursor(SEALER, place, ("x", 7), backwards=True)
    assert tables.window(SEALER, place, cursor, Sort("name"), 20) == Window("name", True, ("x", 7), True, 20)
    others = [("audit", "li", {"a": "1"}, Sort("name")), ("staff", "wu", {"a": "1"}, Sort("name")),
              ("staff", "li", {"a": "2"}, Sort("name")), ("staff", "li", {"a": "1"}, Sort("name", False))]  # fmt: skip
    for name, login, state, sort in others:
        assert tables.window(SEALER, tables.place(name, login, state, sort), cursor, sort, 20) is None
    assert tables.window(SEALER, place, "", Sort("name"), 20) == Window("name", limit=20)


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


# --- statements ------------------------------------------------------------------------------------------------------

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


# --- cells, differences, charts --------------------------------------------------------------------------------------


def test_cells_in_a_file_and_differences_are_as_on_the_page() -> None:
    row = SimpleNamespace(
        p="8613800138000", t=NOW, s="on", b=False, u=("李", "li"), l=("label", "/x"), g=["a", "b"], n=3, z=None,
        d=timedelta(seconds=2), c=Decimal("0.0385"),
    )  # fmt: skip
    kinds = {
        "p": (Kind.PHONE, "138****8000"), "t": (Kind.TIME, "2026-03-01 08:00:00"), "s": (Kind.STATE, "AN"),
        "b": (Kind.BOOL, words.NO.upper()), "u": (Kind.USER, "李 (li)"), "l": (Kind.LINK, "label"),
        "g": (Kind.TAGS, "a, b"), "n": (Kind.NUMBER, 3), "z": (Kind.TEXT, ""), "d": (Kind.SPAN, 2.0),
        "c": (Kind.PRICE, "0.0385"),
    }  # fmt: skip
    for key, (kind, wanted) in kinds.items():
        assert cells.plain(Column(key, kind, words={"on": "an"}), row, str.upper) == wanted, key
    found = differences({"a": 1, "b": {"c": [1, 2]}}, {"a": 1, "b": {"c": [1]}, "d": None})
    assert [(d.name, d.before and str(d.before), d.after and str(d.after), d.changed) for d in found] == [
        ("a", "1", "1", False), ("b.c", "1、2", "1", True), ("d", None, "—", True),
    ]  # fmt: skip
    assert differences(None, None) == []


@pytest.mark.parametrize("kind", list(charts.Kind))
def test_a_chart_is_options_without_a_colour(kind: charts.Kind) -> None:
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


def test_what_special_charts_say() -> None:
    options = Chart("t", charts.Kind.HEAT, ["a"], [Series("x", [1200])]).options
    assert options["series"][0]["label"] == {"show": True}
    assert options["visualMap"]["text"] == ["1,200", "0"]
    def rate(*, dots: bool) -> dict[str, Any]:
        bars, rates = [Series("n", [3, 4])], [Series("r", [50.0, None])]
        made = Chart("t", charts.Kind.STACK, ["a", "b"], bars, rates=rates, dots=dots).options["series"][-1]
        return {"symbols": made["showSymbol"], "line": made.get("lineStyle", {}).get("width")}

    assert rate(dots=True) == {"symbols": True, "line": 0}
    assert rate(dots=False) == {"symbols": False, "line": None}
