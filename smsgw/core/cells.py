"""Cells of tables that people open in a spreadsheet."""

from __future__ import annotations

_FORMULA = frozenset("=+-@|\t\r\n＝＋－＠｜")
"""Full-width ones, too: spreadsheets in China take them for the same."""
_BLANK = " \u00a0\u2000\u200b\u3000\ufeff"
"""What some spreadsheets skip in front."""


def harmless(cell: object) -> object:
    """The cell so that no spreadsheet takes it for a formula: such a text gets an apostrophe in front."""
    if isinstance(cell, str) and cell.lstrip(_BLANK)[:1] in _FORMULA and cell.strip(_BLANK):
        return "'" + cell
    return cell
