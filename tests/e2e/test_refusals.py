"""Without room or a database: refused with its code, its status, words that say what to do, and nothing left behind."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Answer, Site, database_beside, fill, site, tmpfs, until

BODY = {"to": ["13800138000"], "content": "x"}


def refused(answer: Answer) -> Answer:
    """There is no room, or no database: in Chinese, with what to do, and when to come again."""
    assert (answer.status, answer.code) == (503, "STORAGE_UNAVAILABLE"), answer.body
    assert "请" in answer.message, answer.message
    assert re.search(r"[a-z]", answer.body["message_en"])
    assert answer.body["request_id"] == answer.headers["X-Request-Id"]
    assert int(answer.headers["Retry-After"]) >= 1
    return answer


async def books(built: Site) -> tuple[set[str], dict[str, int]]:
    """Messages and balance."""
    return set(await built.customer.listed()), (await built.client.surely("GET", "/balance")).data


@pytest.fixture
def small_disk(data_dir: Path) -> Iterator[Path]:
    """A data folder with 64 MB, on a file system of its own."""
    data_dir.mkdir()
    with tmpfs(data_dir, 64):
        yield data_dir


@pytest.mark.root_only
async def test_disk_of_the_data_folder_fills_up(dsn: str, small_disk: Path) -> None:
    async with site(small_disk, dsn=dsn, channels=["cmpp30"], durability_min_free_mb="24") as built:
        await built.customer.send("cmpp30")
        ballast = fill(small_disk, leave_mb=8)

        async def is_noticed() -> bool:
            return (await built.client.post("/messages/explain", BODY)).code == "STORAGE_UNAVAILABLE"

        await until(is_noticed, what="the disk is noticed")
        before = await books(built)
        answer = refused(await built.client.post("/messages", BODY))
        assert re.search(r"剩余空间 \d MB，低于下限 24 MB，请联系管理员清理磁盘", answer.message)
        assert await books(built) == before

        ballast.unlink()
        await built.customer.send_many(1, "cmpp30")
        # Not a single octet is left. The journal has its room already: what was accepted goes out all the same.
        built.carriers["cmpp30"].pause()
        await built.customer.send_many(100, "cmpp30")
        fill(small_disk, leave_mb=0)
        built.carriers["cmpp30"].resume()
        assert (await built.clean()).statuses == {"delivered": 102}


@pytest.mark.root_only
async def test_start_on_a_full_disk_says_so(dsn: str, small_disk: Path) -> None:
    async with site(small_disk, dsn=dsn, channels=["cmpp30"], start=False) as built:
        ballast = fill(small_disk, leave_mb=1)
        done = await built.node.ctl("run", check=False)
        assert done.code == 1
        assert "disk full" in done.err
        ballast.unlink()
        await built.node.start()
        await built.bound()
        await built.customer.send("cmpp30")
        await built.clean()


async def test_database_stops_and_comes_back(data_dir: Path, embedded_data: None) -> None:
    async with (
        database_beside(data_dir) as (database, dsn),
        site(data_dir.with_name("daemon"), dsn=dsn, channels=["cmpp30"], durability_outage="reject") as built,
    ):
        carrier = built.carriers["cmpp30"]
        carrier.change(report_delay="1500")
        before = await built.customer.send("cmpp30")
        await carrier.received(1)
        await database.stop()

        began = time.monotonic()
        refused(await built.client.post("/messages", BODY))
        assert time.monotonic() - began < 8
        refused(await built.client.get(f"/messages/{before.message_id}"))
        assert not (await built.node.status())["ready"]
        # The report comes while nobody can store it: it is not acknowledged, so it is not lost.
        await until(lambda: carrier.counts.reports, what="the report is on its way")
        assert carrier.counts.reports_acknowledged == 0

        await database.start()
        await built.customer.send_many(1, "cmpp30")
        assert (await built.clean()).statuses == {"delivered": 2}
        assert carrier.counts.reports_acknowledged == 2
