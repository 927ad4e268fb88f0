"""What is exported is text to a spreadsheet, whoever wrote it."""

from __future__ import annotations

import pytest

from smsgw.core.cells import harmless, plain


@pytest.mark.parametrize("first", [*"=+-@|", "\t", "\r", "\n", *"＝＋－＠｜", *"﹦﹢﹣﹫−⁺"])
@pytest.mark.parametrize("before", ["", " ", "\u3000", "\ufeff", "\u2003", "\u2060\u200d", "\x01", "\x0b \x85"])
def test_what_begins_like_a_formula_is_text(first: str, before: str) -> None:
    cell = f"{before}{first}cmd|' /C calc'!A0"
    assert harmless(cell) == "'" + cell


@pytest.mark.parametrize("cell", ["", "  ", "13800000001", "张三=1", "【某局】-", 12, -5, None, "'=1"])
def test_everything_else_stays_as_it_is(cell: object) -> None:
    assert harmless(cell) == cell


@pytest.mark.parametrize("cell", ["-12.50", "@张三", "+8613800138000", "=1+1", "\uff1d1", "张三", "'quoted'", "", "'"])
def test_what_was_made_harmless_is_read_as_it_was(cell: str) -> None:
    assert plain(str(harmless(cell))) == cell
