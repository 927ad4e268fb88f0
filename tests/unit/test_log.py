"""Log lines that cannot be written, and those in which others have a word."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from smsgw.runtime.log import Output


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_a_full_disk_loses_lines_and_raises_nothing() -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        output = Output(full.fileno())
        for _ in range(3):
            output.write("a line\n")
        assert output.lost == 3


def test_a_pipe_that_nobody_reads_makes_nobody_wait_and_what_is_missing_is_said(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    output = Output(writing)
    began = time.monotonic()
    for n in range(2000):
        output.write(f"{n:99}\n")
    assert time.monotonic() - began < 10, "a tenth of a second for each line were minutes"
    kept = os.read(reading, 1 << 20).decode().splitlines()
    assert [int(line) for line in kept] == list(range(len(kept)))
    assert output.lost == 2000 - len(kept) > 0
    output.write("again\n")
    lost, again = os.read(reading, 8192).decode().splitlines()
    assert json.loads(lost) == {"lines": 2000 - len(kept), "event": "log.lost", "level": "error"}
    assert (again, output.lost) == ("again", 0)


def test_two_threads_write_whole_lines(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    output = Output(writing)

    def write(letter: str) -> None:
        for _ in range(300):
            output.write(letter * 99 + "\n")

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(write, letter) for letter in "ab"]:
            done.result(20)
    kept = os.read(reading, 1 << 20).decode().splitlines()
    assert set(kept) <= {"a" * 99, "b" * 99}
    assert len(kept) + output.lost == 600


def test_a_line_longer_than_the_pipe_gives_up_in_time(pipe: tuple[int, int]) -> None:
    output = Output(pipe[1])
    began = time.monotonic()
    output.write("x" * 1_000_000 + "\n")
    assert time.monotonic() - began < 10
    assert output.lost == 1


EVIL = "x\n2026-01-01 [error] forged\r\x1b[2J\x9b2J\u202eabc\u2028\0\u4e2d"
SCRIPT = f"""
import sys, structlog
from smsgw.runtime import log
log.setup("info", sys.argv[1])
structlog.get_logger("t").warning("partner.wrong_login", user={EVIL!r}, n=1)
import logging
logging.getLogger("library").warning("said %s", {EVIL!r})
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("t").exception("task.failed", peer={EVIL!r})
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_others_make_no_lines_and_steer_no_terminal(form: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, form], capture_output=True, timeout=120, check=True, env={"NO_COLOR": "1"},
    )  # fmt: skip
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr.decode())  # the colours are our own
    lines = text.splitlines()
    assert not [c for c in text if c in "\r\x1b\x9b\u202e\u2028\0"]
    assert not [line for line in lines if line.startswith("2026-01-01")]
    assert "\u4e2d" in text, "what is text stays text"
    if form == "json":
        first, library, failed = map(json.loads, lines)
        assert first["user"] == library["event"].removeprefix("said ") == failed["peer"]
        assert "ZeroDivisionError" in failed["exception"]
        assert "\n" in failed["exception"], "a stack keeps its lines"


LEAKY = """
import asyncio, logging, sys, threading
import structlog, asyncpg
from smsgw.runtime import log
log.setup("info", sys.argv[1])

def fail(password):
    request = {"secret": password}
    raise ValueError("no")

def tell(how):
    try:
        fail("hunter" + "2")
    except ValueError as exc:
        how(exc)

tell(lambda exc: structlog.get_logger("t").exception("task.failed"))
tell(lambda exc: structlog.get_logger("t").error("task.failed", exc_info=exc))
tell(lambda exc: logging.getLogger("library").exception("failed"))
tell(lambda exc: logging.getLogger("asyncio").error("failed", exc_info=exc))
thread = threading.Thread(target=fail, args=("hunter" + "2",))
thread.start(); thread.join()
refused = asyncpg.UniqueViolationError("duplicate key")
refused.detail = "Key (number)=(13800138000) already exists: " + "hunter" + "2"
structlog.get_logger("t").error("row.refused", error=refused)
fail("hunter" + "2")
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_line_has_what_was_in_a_variable_or_in_a_row(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", LEAKY, form], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.count("ValueError") >= 6
    assert "UniqueViolationError" in done.stderr
    assert "hunter2" not in done.stderr
    assert "13800138000" not in done.stderr
