"""Files of exports: what a spreadsheet would spoil is written as text."""

from __future__ import annotations

import zipfile
from pathlib import Path

from smsgw.admin.kit.exports import writing
from smsgw.platform.exports.model import Format


async def parts(path: Path, mark: str, row: list[str | int | float]) -> dict[str, str]:
    async with writing(Format.XLSX, path, ["a", "b"], mark) as writer:
        writer.rows([row])
        writer.end([mark])
    with zipfile.ZipFile(path) as book:
        return {name: book.read(name).decode() for name in book.namelist() if name.endswith(".xml")}


async def test_a_long_number_keeps_its_digits(tmp_path: Path) -> None:
    sheet = (await parts(tmp_path / "a.xlsx", "mark", [1784637026123456789, 12.5]))["xl/worksheets/sheet1.xml"]
    assert "1784637026123456789" in sheet
    assert "<v>12.5</v>" in sheet


async def test_a_reason_does_not_change_the_foot_of_the_sheet(tmp_path: Path) -> None:
    mark = "x" * 195 + "&" * 20
    sheet = (await parts(tmp_path / "a.xlsx", mark, ["a", "b"]))["xl/worksheets/sheet1.xml"]
    foot = sheet.partition("<oddFooter>")[2].partition("</oddFooter>")[0]
    assert foot.endswith("&amp;R&amp;P/&amp;N")
    assert foot.count("&amp;") == 4
