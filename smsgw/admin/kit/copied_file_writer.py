"""The process that writes files of copied rows: ``python -m smsgw.admin.kit.copied_file_writer`` (``copied_file``)."""

from __future__ import annotations

import contextlib
import resource
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from smsgw.admin.i18n import teller
from smsgw.admin.kit import exports
from smsgw.admin.kit.bulk import Reader
from smsgw.admin.kit.copied_file import FRAME, FULL_SAID, WHOLE_SAID, CopiedFile, Frame
from smsgw.admin.kit.lists import ListPage
from smsgw.admin.kit.tables import Cell
from smsgw.core.errors import Refused

MEMORY = 1536 * 1024**2
"""Octets of address space."""
PROCESSOR = 3600
"""Seconds of processor time."""


def _read(source: BinaryIO) -> tuple[int, bytes]:
    """The next frame; of nothing at all when whoever writes is gone."""
    head = source.read(FRAME.size)
    if len(head) < FRAME.size:
        sys.exit(1)
    frame, size = FRAME.unpack(head)
    return frame, source.read(size)


def _write(job: CopiedFile, source: BinaryIO, answers: BinaryIO) -> None:
    page = exports.page_of(job.list)
    assert isinstance(page, ListPage)  # noqa: S101
    assert page.bulk is not None  # noqa: S101
    there = {column.key: column for column in page.columns}
    columns = [there[key] for key in job.columns]
    reader = Reader(columns, page.bulk, teller(job.language))
    figures = [column.kind is Cell.NUMBER for column in columns]
    writer = exports.opened(job.format, Path(job.path), job.head, job.mark, job.title, figures)
    while True:
        frame, octets = _read(source)
        try:
            if frame == Frame.END:
                writer.end(msgspec.json.decode(octets, type=list[str]))
                said = WHOLE_SAID
            else:
                rows = reader.rows(octets)
                writer.raw(rows)
                said = b"%d\n" % len(rows)
        except Refused:  # a sheet may be full with its last lines, too
            said = FULL_SAID
        over = said in (WHOLE_SAID, FULL_SAID)
        if over:
            writer.close()
        answers.write(said)
        answers.flush()
        if over:
            return


def main() -> None:
    """One file."""
    with contextlib.suppress(OSError):  # before the daemon is, when memory is short
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR, PROCESSOR))
    _, text = _read(sys.stdin.buffer)
    _write(msgspec.json.decode(text, type=CopiedFile), sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
