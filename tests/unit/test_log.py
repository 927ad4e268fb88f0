from __future__ import annotations

import json
import os
import time

from smsgw.log import Output


def test_a_full_disk_loses_lines_and_raises_nothing() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        output = Output(full)
        for _ in range(3):
            output.write("a line\n")
        assert output.lost == 3
    finally:
        os.close(full)


def test_a_pipe_that_nobody_reads_makes_nobody_wait_and_what_is_missing_is_said_when_it_is_read() -> None:
    reading, writing = os.pipe()
    try:
        output = Output(writing)
        began = time.monotonic()
        for n in range(2000):
            output.write(f"{n:99}\n")
        assert time.monotonic() - began < 1
        kept = os.read(reading, 1 << 20).decode().splitlines()
        assert [int(line) for line in kept] == list(range(len(kept)))
        assert output.lost == 2000 - len(kept) > 0
        output.write("again\n")
        lost, again = os.read(reading, 8192).decode().splitlines()
        assert json.loads(lost) == {"lines": 2000 - len(kept), "event": "log.lost", "level": "error"}
        assert again == "again"
        assert output.lost == 0
    finally:
        os.close(reading)
        os.close(writing)


def test_a_line_longer_than_the_pipe_gives_up_in_time() -> None:
    reading, writing = os.pipe()
    try:
        output = Output(writing)
        began = time.monotonic()
        output.write("x" * 1_000_000 + "\n")
        assert time.monotonic() - began < 1
        assert output.lost == 1
    finally:
        os.close(reading)
        os.close(writing)
