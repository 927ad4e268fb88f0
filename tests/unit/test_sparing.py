"""What others provoke is told once, then counted: nobody outside fills our disk."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from smsgw.runtime.sparing import MAX_KINDS, Sparing


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
    sparing = Sparing(log, every=0.5)
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


async def test_after_a_quiet_time_it_is_news_again(log: Log) -> None:
    sparing = Sparing(log, every=0.01)
    sparing.error("x", 1, exc_info=True)
    await asyncio.sleep(0.05)
    sparing.error("x", 1, exc_info=True)
    assert log.lines == [("error", "x", {"exc_info": True})] * 2


async def test_kinds_do_not_hide_each_other(log: Log) -> None:
    sparing = Sparing(log, at_once=2, every=60.0)
    for _ in range(5):
        for about in ("a", "b"):
            sparing.info("x", about)
            sparing.info("y", about)
    assert len(log.lines) == 8


async def test_there_are_only_so_many_kinds(log: Log) -> None:
    sparing = Sparing(log, every=0.2)
    for n in range(MAX_KINDS * 10):
        sparing.info("x", n, n=n)
    assert len(log.lines) == MAX_KINDS + 1
    await lines(log, MAX_KINDS + 2)
    assert log.lines[-1][2] == {"n": MAX_KINDS * 10 - 1, "times": MAX_KINDS * 9 - 1}


async def test_no_stack_is_kept(log: Log) -> None:
    sparing = Sparing(log, every=0.02)
    for _ in range(3):
        sparing.error("x", 1, exc_info=ValueError())
    await lines(log, 2)
    assert log.lines[1][2] == {"times": 2}


def test_another_loop_starts_anew_and_without_one_all_is_told(log: Log) -> None:
    sparing = Sparing(log, every=5.0)

    async def twice() -> None:
        sparing.info("x", 1)
        sparing.info("x", 1)

    asyncio.run(twice())
    asyncio.run(twice())
    assert len(log.lines) == 2
    for _ in range(3):
        Sparing(log).info("x", 1)
    assert len(log.lines) == 5
