"""What the machine has no more of: file descriptors, room for the database, room for the log."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import migrated
from harness import PATIENCE, fill, site, tmpfs, until
from measures import files

from smsgw.store.engine.embedded import EmbeddedPostgres


async def test_no_more_file_descriptors(dsn: str, data_dir: Path) -> None:
    """New connections are refused; the links to carriers, the connections that are open and the database go on."""
    async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built:
        customer, carrier = built.customer, built.carriers["cmpp30"]
        await customer.send("cmpp30")
        pid = built.node.pid
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = files(pid) + 30
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, hard))
        host, port = built.node.origin.removeprefix("http://").split(":")
        taken = []
        try:
            while len(taken) < 200:
                taken.append(await asyncio.wait_for(asyncio.open_connection(host, int(port)), PATIENCE))
            await until(lambda: files(pid) >= most - 1, what="no descriptor is left")
            for _ in range(20):
                await customer.send("cmpp30")  # over a connection that was there before
            assert carrier.counts.logins == 1
        finally:
            for _, writer in taken:
                writer.close()
        await until(lambda: files(pid) < most - 20, what="descriptors are free again")
        await customer.send_many(1, "cmpp30")
        assert (await built.clean()).statuses == {"delivered": 22}
        assert carrier.counts.logins == 1


async def test_the_disk_of_the_log_fills_up(dsn: str, data_dir: Path) -> None:
    """Lines are lost; nothing else is."""
    async with site(data_dir, dsn=dsn, channels=["cmpp30"], start=False, log_level="debug") as built:
        there, built.node.log_path = built.node.log_path, Path("/dev/full")
        built.node.launch()
        built.node.log_path = there
        await built.node.ready()
        await built.bound()
        carrier = built.carriers["cmpp30"]
        first = await built.customer.send("cmpp30")
        await built.customer.reaches(first.message_id, "delivered")
        carrier.disconnect()  # something to tell of
        await until(lambda: carrier.counts.logins == 2, what="the link is back")
        await built.customer.send("cmpp30")
        assert (await built.clean()).statuses == {"delivered": 2}


@pytest.fixture
def small_database(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server whose data has a small file system of its own."""
    database = EmbeddedPostgres(tmp_path / "database")
    database.home.mkdir(mode=0o755, parents=True)
    with tmpfs(database.home, 400, "mode=0755"):
        yield database
    database.home.rmdir()


@pytest.mark.root_only
@pytest.mark.timeout(400)
@pytest.mark.slow
async def test_the_disk_of_the_database_fills_up(small_database: EmbeddedPostgres, data_dir: Path) -> None:
    """The database refuses to write, or dies of it. What was acknowledged is kept, and goes out when there is room."""
    dsn = await migrated(small_database)
    try:
        async with site(data_dir, dsn=dsn, channels=["cmpp30"]) as built:
            customer = built.customer
            await customer.send("cmpp30")
            ballast = fill(small_database.home, leave_mb=2)

            async def bridged() -> bool:
                await customer.send_many(100, "cmpp30", text="长" * 300)
                return (await built.node.status())["checks"]["accepting"] == "spool"

            await until(bridged, what="the spool takes what the database cannot", every=0.0)
            for _ in range(10):
                await customer.send("cmpp30")
            ballast.unlink()
            books = await built.clean(within=60)
            assert books.statuses == {"delivered": len(customer.sent)}
            assert not os.listdir(built.node.data_dir / "spool")
    finally:
        await small_database.stop()
