"""Files of exports: what a spreadsheet would spoil is written as text."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import zipfile
from pathlib import Path

import msgspec
import pytest
import python_calamine
from children import children

from smsgw.admin.kit import exports
from smsgw.admin.kit.copied_file import FRAME, FULL_SAID, NICE, CopiedFile, Frame, copied_file
from smsgw.admin.kit.copied_file_writer import _write
from smsgw.admin.kit.exports import writing
from smsgw.admin.pages.records.sent import PAGE
from smsgw.core.errors import Refused
from smsgw.platform.exports.model import Format
from smsgw.runtime import aio


async def sheet_of(path: Path, mark: str, row: list[str | int | float]) -> str:
    async with writing(Format.XLSX, path, ["a", "b"], mark) as writer:
        writer.rows([row])
        writer.end([mark])
    with zipfile.ZipFile(path) as book:
        return book.read("xl/worksheets/sheet1.xml").decode()


async def test_numbers_and_the_foot_of_a_sheet(tmp_path: Path) -> None:
    sheet = await sheet_of(tmp_path / "a.xlsx", "mark", [1784637026123456789, 12.5])
    assert "1784637026123456789" in sheet
    assert "<v>12.5</v>" in sheet
    mark = "x" * 195 + "&" * 20
    sheet = await sheet_of(tmp_path / "a.xlsx", mark, ["a", "b"])
    foot = sheet.partition("<oddFooter>")[2].partition("</oddFooter>")[0]
    assert foot.endswith("&amp;R&amp;P/&amp;N")
    assert foot.count("&amp;") == 4


async def test_a_workbook_is_one_whoever_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    rows = [["甲 & <乙>", 7, "=1+1"], ["\x01b\x00", -0.25, "x" * 40_000]]
    async with writing(Format.XLSX, path, ["名称", "数", "文"], "水印", "标题") as writer:
        writer.rows(rows)
        writer.raw([["raw", "text", "  三 "]])
        writer.end(["水印"])
    assert python_calamine.load_workbook(str(path)).get_sheet_by_index(0).to_python() == [
        ["名称", "数", "文"], ["甲 & <乙>", 7, "'=1+1"], ["b", -0.25, "x" * 32_767], ["raw", "text", "  三 "],
        ["水印", "", ""],
    ]  # fmt: skip


async def test_what_no_sheet_has_room_for_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MOST_OF_SHEET", 2000)
    async with writing(Format.XLSX, tmp_path / "a.xlsx", ["a"], "mark") as writer:
        with pytest.raises(Refused, match="CSV"):
            writer.raw([["x" * 500]] * 5)


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


def test_a_sheet_that_is_full_with_its_last_lines_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "MOST_OF_SHEET", 2000)
    key = next(column.key for column in PAGE.columns if column.key in (PAGE.bulk.fields if PAGE.bulk else ()))
    job = CopiedFile(PAGE.name, (key,), "zh", Format.XLSX, str(tmp_path / "a.xlsx"), ("a",), "mark", "title")
    last = msgspec.json.encode(["x" * 3000])
    answers = io.BytesIO()
    _write(job, io.BytesIO(FRAME.pack(Frame.END, len(last)) + last), answers)
    assert answers.getvalue() == FULL_SAID


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
