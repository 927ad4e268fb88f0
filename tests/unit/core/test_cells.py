"""What is exported is text to a spreadsheet, whoever wrote it."""

from __future__ import annotations

import pytest

from smsgw.core.cells import harmless, plain
from smsgw.core.printable import lines_printable


@pytest.mark.parametrize("first", [*"=+-@|", "\t", "\r", "\n", *"＝＋－＠｜", *"﹦﹢﹣﹫−⁺"])
@pytest.mark.parametrize("before", ["", " ", "\u3000", "\ufeff", "\u2003", "\u2060\u200d", "\x01", "\x0b \x85"])
def test_what_begins_like_a_formula_is_text(first: str, before: str) -> None:
    cell = f"{before}{first}cmd|' /C calc'!A0"
    assert harmless(cell) == "'" + cell.translate({1: None, 0x0B: None, 0x85: None})


@pytest.mark.parametrize("hidden", ["\0", "\x1b[2J", "\x7f", "\x9b", *"\u202a\u202e\u2066\u2069\u200e\u200f\u061c"])
@pytest.mark.parametrize("after", ["=1+1", "\uff1d1", "fdp.exe", ""])
def test_what_is_not_seen_and_changes_what_is_goes(hidden: str, after: str) -> None:
    cell = str(harmless(f"{hidden}{after}"))
    assert not {*hidden} & {*cell} - {*"[2J"}
    assert harmless(cell) == cell, "and what it hid is found"


def test_what_begins_like_a_formula_is_text_and_all_else_stays() -> None:
    assert harmless("a\ud800b") == "a\ufffdb"
    assert harmless("👨\u200d👩 مرحبا\u200c") == "👨\u200d👩 مرحبا\u200c", "marks that join characters stay"
    for cell in ("", "  ", "13800000001", "张三=1", "【某局】-", 12, -5, None, "'=1"):
        assert harmless(cell) == cell
    for cell in ("-12.50", "@张三", "+8613800138000", "=1+1", "\uff1d1", "张三", "'quoted'", "", "'"):
        assert plain(str(harmless(cell))) == cell
    assert lines_printable("\u3000\u3000您好，\n\t已查明\u00a0。")
    assert not any(lines_printable(f"好{unseen}") for unseen in "\0\x1b\u202e\ufeff")
