"""Cells of tables that people open in a spreadsheet."""

from __future__ import annotations

from unicodedata import category, normalize

_FORMULA = frozenset("=+-@|\t\r\n\u2212")
"""And what is another form of one of them (full-width, small): spreadsheets in China take it for the same."""
_CONTROL = "\t\r\n"
_UNSEEN = {
    **dict.fromkeys((*range(0x20), 0x7F, *range(0x80, 0xA0))),
    **{ord(c): c for c in _CONTROL},
    **dict.fromkeys((0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))),
    **dict.fromkeys(range(0xD800, 0xE000), "\ufffd"),
}
"""Goes out of every cell: controls, marks that turn the cells around it about (a text says what it does not), and
halves of characters, which no file can hold."""


def harmless(cell: object) -> object:
    """The cell so that no spreadsheet takes it for a formula (such a text gets an apostrophe in front), and without
    what is not seen and changes what is."""
    if not isinstance(cell, str):
        return cell
    if not cell.isprintable():
        cell = cell.translate(_UNSEEN)
    if cell[:1].isalnum():  # as most are
        return cell
    begins = _begins(cell)
    return "'" + cell if begins and normalize("NFKC", begins) in _FORMULA else cell


def plain(cell: str) -> str:
    """The text of a cell of a table that is read: without the apostrophe that ``harmless`` has put in front."""
    return cell[1:] if cell[:1] == "'" and harmless(cell[1:]) == cell else cell


def _begins(cell: str) -> str:
    """The first character that a spreadsheet does not skip."""
    return next((c for c in cell if c in _CONTROL or not (c.isspace() or category(c) in ("Cf", "Cc"))), "")
