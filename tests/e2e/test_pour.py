"""A carrier that brings more than we can store is made to wait: nothing of it is refused, and nobody else notices."""

from __future__ import annotations

from pathlib import Path

from pouring import pour, pouring_site


async def test_reports_without_a_window(dsn: str, data_dir: Path) -> None:
    async with pouring_site(data_dir, dsn=dsn) as built:
        figures = await pour(built, 4000, within=60)
    print(figures)
    assert (figures["reports repeated"], figures["reports given up"]) == (0, 0)
    assert int(str(figures["log lines"])) <= 100
    assert int(str(figures["memory, MiB more at most"])) <= 64
    slowest = figures["codes: ms to the carrier p50, p99"]
    assert isinstance(slowest, tuple)
    assert slowest[1] <= 500
