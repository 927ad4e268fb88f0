"""The process that writes a link's codes into a file: ``python -m smsgw.platform.links.code_writer`` (``code_files``).

A million codes are half a minute of a processor. On its standard input: what is to be written (JSON, a line), then
pieces, a line each; on its standard output what each has come to, a line each.
"""

from __future__ import annotations

import contextlib
import csv
import resource
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from smsgw.core import numbers
from smsgw.core.cells import harmless
from smsgw.core.short_codes import Permutation

MEMORY = 1024 * 1024**2
"""Octets of address space."""
PROCESSOR = 600
"""Seconds of processor time."""


class CodeFile(msgspec.Struct, frozen=True):
    """A file of codes."""

    path: str
    key: str
    """Of the permutation, in hexadecimal digits."""
    serial: int
    codes: int
    prefix: str
    """What stands before a code."""
    head: tuple[str, ...]
    numbered: bool
    """Each code is of a number."""
    first: int = 0
    """How many of the link's codes are before them."""


class Piece(msgspec.Struct, frozen=True):
    """So many codes more; or one for each of these numbers that is one and has none yet."""

    rows: int = 0
    numbers: tuple[str, ...] = ()
    last: bool = False


class Written(msgspec.Struct, frozen=True):
    """What a piece has come to."""

    rows: int
    invalid: int = 0
    repeated: int = 0


class _Writer:
    def __init__(self, job: CodeFile) -> None:
        self._job = job
        self._codes = Permutation(bytes.fromhex(job.key))
        self._n = 0
        self._seen: set[int] = set()
        self._file = Path(job.path).open("w", encoding="utf-8-sig", newline="")
        self._csv = csv.writer(self._file)
        self._csv.writerow([harmless(cell) for cell in job.head])

    def write(self, piece: Piece) -> Written:
        before, invalid, repeated = self._n, 0, 0
        if not self._job.numbered:
            for _ in range(min(piece.rows, self._job.codes - self._n)):
                self._csv.writerow(self._row())
        for text in piece.numbers:
            try:
                number = numbers.normalize(text)
            except numbers.InvalidNumber:
                invalid += 1
                continue
            if int(number) in self._seen or self._n == self._job.codes:
                repeated += 1
                continue
            self._seen.add(int(number))
            n, address = self._row()
            self._csv.writerow((n, harmless(number), address))
        if piece.last:
            self._file.close()
        return Written(self._n - before, invalid, repeated)

    def _row(self) -> tuple[int, str]:
        code = self._codes.code(self._job.serial + self._n)
        self._n += 1
        return self._job.first + self._n, self._job.prefix + code


def _run(source: BinaryIO, answers: BinaryIO) -> None:
    writer = _Writer(msgspec.json.decode(source.readline(), type=CodeFile))
    while line := source.readline():
        piece = msgspec.json.decode(line, type=Piece)
        answers.write(msgspec.json.encode(writer.write(piece)) + b"\n")
        answers.flush()
        if piece.last:
            return
    sys.exit(1)  # whoever asks is gone


def main() -> None:
    """One file."""
    with contextlib.suppress(OSError):  # before the daemon is, when memory is short
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR, PROCESSOR))
    _run(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
