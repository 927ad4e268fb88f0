"""Log lines that cannot be written, in which others have a word, or that are provoked."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from smsgw.runtime.log import Output
from smsgw.runtime.rate_limited_logger import MAX_KINDS, RateLimitedLogger


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_what_cannot_be_written_is_lost_in_time_and_said(pipe: tuple[int, int]) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        output = Output(full.fileno())
        for _ in range(3):
            output.write("a line\n")
        assert output.lost == 3
    output = Output(pipe[1])  # a line longer than the pipe gives up in time
    began = time.monotonic()
    output.write("x" * 1_000_000 + "\n")
    assert time.monotonic() - began < 10
    assert output.lost == 1


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
        [sys.executable, "-c", SCRIPT, form], capture_output=True, timeout=120, check=True, env={"NO_COLOR": "1"}
    )
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

def raised(error):
    raise error

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
impossible = asyncpg.CheckViolationError("new row violates a check")
impossible.detail = "Failing row contains (13800138000, " + "hunter" + "2)"
thread = threading.Thread(target=raised, args=(impossible,))
thread.start(); thread.join()
raise impossible
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_line_has_what_was_in_a_variable_or_in_a_row(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", LEAKY, form], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.count("ValueError") >= 5
    assert "UniqueViolationError" in done.stderr
    assert done.stderr.count("CheckViolationError") >= 2
    assert "hunter2" not in done.stderr
    assert "13800138000" not in done.stderr


class Log:
    """A logger that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda event, **fields: self.lines.append((level, event, fields))


@pytest.fixture
def log() -> Log:
    return Log()


async def lines(log: Log, n: int) -> None:
    async with asyncio.timeout(5):
        while len(log.lines) < n:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_the_first_line_then_the_count(log: Log) -> None:
    sparing = RateLimitedLogger(log, every=0.5)
    for n in range(1000):
        sparing.warning("link.violation", ("a", "window"), channel="a", kind="window", detail=n)
    first = ("warning", "link.violation", {"channel": "a", "kind": "window", "detail": 0})
    assert log.lines == [first]
    await lines(log, 2)
    assert log.lines[1] == (
        "warning", "link.violation", {"channel": "a", "kind": "window", "detail": 999, "times": 999},
    )  # fmt: skip
    sparing.warning("link.violation", ("a", "window"), detail="again")  # it has not been quiet
    assert len(log.lines) == 2
    await lines(log, 3)
    assert log.lines[2][2] == {"detail": "again", "times": 1}


async def test_a_stack_is_not_kept_and_after_a_quiet_time_it_is_news_again(log: Log) -> None:
    sparing = RateLimitedLogger(log, every=0.01)
    sparing.error("x", 1, exc_info=True)
    await asyncio.sleep(0.05)
    sparing.error("x", 1, exc_info=True)
    assert log.lines == [("error", "x", {"exc_info": True})] * 2
    log.lines.clear()
    sparing = RateLimitedLogger(log, every=0.02)  # no stack is kept
    for _ in range(3):
        sparing.error("x", 1, exc_info=ValueError())
    await lines(log, 2)
    assert log.lines[1][2] == {"times": 2}


async def test_kinds_do_not_hide_each_other_and_are_so_many(log: Log) -> None:
    sparing = RateLimitedLogger(log, at_once=2, every=60.0)
    for _ in range(5):
        for about in ("a", "b"):
            sparing.info("x", about)
            sparing.info("y", about)
    assert len(log.lines) == 8
    log.lines.clear()
    sparing = RateLimitedLogger(log, every=0.2)  # there are only so many kinds
    for n in range(MAX_KINDS * 10):
        sparing.info("x", n, n=n)
    assert len(log.lines) == MAX_KINDS + 1
    await lines(log, MAX_KINDS + 2)
    assert log.lines[-1][2] == {"n": MAX_KINDS * 10 - 1, "times": MAX_KINDS * 9 - 1}


def test_another_loop_starts_anew_and_without_one_all_is_told(log: Log) -> None:
    sparing = RateLimitedLogger(log, every=5.0)

    async def twice() -> None:
        sparing.info("x", 1)
        sparing.info("x", 1)

    asyncio.run(twice())
    asyncio.run(twice())
    assert len(log.lines) == 2
    for _ in range(3):
        RateLimitedLogger(log).info("x", 1)
    assert len(log.lines) == 5
