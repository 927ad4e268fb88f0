"""What an export costs beside sending: rows a second of both kinds of files, and the time to accept meanwhile
(scripts/exports)."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import asyncpg
import many_records
from changes import by_test
from harness import Site, opened, site, until
from measures import percentile

from smsgw.admin.kit import tables
from smsgw.admin.kit.exports import page_of
from smsgw.admin.kit.lists import ListPage
from smsgw.bench.load import Customer, Load, Observed
from smsgw.bench.wire import Endpoint
from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA, first_id
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.exports import service
from smsgw.platform.exports.model import Export, Format
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import Job, JobState
from smsgw.platform.org import queries as people, service as org
from smsgw.runtime import aio, clock, log
from smsgw.simulator import Behaviour, Delay
from smsgw.store.engine.database import Database
from smsgw.store.engine.database_roles import ADMIN
from smsgw.store.engine.embedded import EmbeddedPostgres

LEAST = {Format.CSV: 20_000, Format.XLSX: 8_000}
"""Rows a second."""
MOST_MS = 50.0
"""To accept a message, 99th percentile, meanwhile."""
BEHIND = timedelta(minutes=1)
SENT = 500.0
"""Messages a second."""


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="scripts/exports", description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000, help="of the file")
    parser.add_argument("--rate", type=float, default=SENT, help="messages a second beside it")
    return parser.parse_args()


def tell(text: str) -> None:
    """At once, whoever reads."""
    print(text, flush=True)


async def main() -> int:
    """Exit status: 1 when a figure is missed."""
    asked = arguments()
    log.setup("error", "auto")
    missed = 0
    with tempfile.TemporaryDirectory(prefix="smsgw-exports-", dir="/var/tmp") as folder:
        quick = lambda: Behaviour(answer_delay=Delay(0.002, 0.01), report_delay=Delay(0.2, 0.6))  # noqa: E731
        async with site(Path(folder) / "node", channels=["cmpp30"], behaviour=quick, balance=10_000_000) as built:
            await built.node.unhurried(built.client.key["key_id"])
            dsn = await EmbeddedPostgres(built.node.data_dir).find()
            assert dsn
            await fill(dsn, Path(folder), asked.rows)
            await settled(built.node.data_dir)
            async with opened(dsn) as database:
                change = await somebody(database)
                page_of("records")  # all pages are imported: not while calls are timed in this process
                aio.keep_memory()  # nor is it halted to look for garbage
                alone = await beside(built, asked.rate, asyncio.sleep(10))
                tell(f"alone: {told(alone)}")
                for format_ in Format:
                    seen = await beside(built, asked.rate, measured(database, change, format_, asked.rows))
                    slow = percentile(list(seen.accept_seconds), 0.99) > MOST_MS
                    tell(f"  beside it: {told(seen)}{'  OVER' * slow}")
                    missed |= slow
            missed |= any(MISSED)
    return missed


MISSED: list[bool] = []
"""Whether each export was too slow."""


async def fill(dsn: str, folder: Path, rows: int) -> None:
    """So many messages of three days ago."""
    day = clock.now().astimezone(CHINA).date() - timedelta(days=3)
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=600)
    try:
        await connection.execute("SET synchronous_commit = off; SET work_mem = '64MB'")
        await connection.execute(many_records._DAYS, day)
        await many_records._day(connection, 0, day, rows, folder)
    finally:
        await connection.close()
    for table in ("message", "part"):
        await many_records._vacuumed(dsn, table)
    await counted(dsn)


async def settled(data_dir: Path) -> None:
    """What was filled in is no part of what is measured: it is on disk, and files of the log are there to be used
    again, as on any site that runs for a while."""
    connection = await asyncpg.connect(EmbeddedPostgres(data_dir).address(ADMIN), timeout=10, command_timeout=600)
    try:
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
    await asyncio.to_thread(os.sync)


async def counted(dsn: str) -> None:
    """Until the statistics have caught up with what was filled in: they follow within seconds on any site."""
    async with opened(dsn) as database:

        async def caught_up() -> bool:
            found = await database.fetchval("SELECT message_id FROM stat_cursor")
            return bool(found >= first_id(clock.now() - BEHIND))

        await until(caught_up, within=300, what="the statistics have caught up", every=1)


async def somebody(database: Database) -> Change:
    """Who exports."""
    await org.add_person(by_test(database), "exporter", "导出人", ["super"], "x")
    person = await people.person(database, "exporter")
    assert person
    return Change(database, person.actor())


async def beside(built: Site, rate: float, work: object) -> Observed:
    """What a customer sees who sends at a rate while something is done."""
    load = Load(int(rate * 600), 16, rate=rate, pullers=1)
    endpoint = Endpoint(built.node.origin, built.client.key["bearer"])
    customer = Customer(endpoint, load, first_serial=int(time.monotonic()) * 1000)
    sending = aio.spawn(customer.run(), name="sending")
    await asyncio.sleep(3)
    customer.seen.accept_seconds = type(customer.seen.accept_seconds)("d")
    try:
        await work  # type: ignore[misc]
    finally:
        sending.cancel()
        await asyncio.wait([sending])
    return customer.seen


def told(seen: Observed) -> str:
    """Times to accept, in words."""
    times = list(seen.accept_seconds)
    shares = ", ".join(f"p{share * 100:g} {percentile(times, share):.1f} ms" for share in (0.5, 0.9, 0.99))
    refused = ", ".join(f"{n} answered {status}" for status, n in sorted(seen.refusals.items()))
    return f"{len(times)} calls accepted, {shares}{', ' * bool(refused)}{refused}"


async def measured(database: Database, change: Change, format_: Format, rows: int) -> None:
    """One export."""
    page = page_of("records")
    assert isinstance(page, ListPage)
    columns = [c.key for c in tables.allowed(page.columns, change.actor.permissions) if c.shown]
    node = await database.fetchval("SELECT min(number) FROM node")
    wanted = Export("records", Permission.MESSAGE_EXPORT, {"time": "7d"}, columns, format_, "测量", "zh", "")
    id_ = await service.request(change, wanted, node=node)
    job = await ended(database, change.actor, id_)
    assert job.state is JobState.DONE, job
    assert job.started_at
    assert job.ended_at
    seconds = (job.ended_at - job.started_at).total_seconds()
    rate = job.done / seconds
    missed = rate < LEAST[format_] or job.done < rows
    MISSED.append(missed)
    tell(
        f"{format_.value}: {job.done:,} rows of {len(columns)} columns in {seconds:.1f} s, {rate:,.0f} a second, "
        f"{job.checkpoint['size'] / 1e6:.1f} MB{'  MISSED' * missed}"
    )


async def ended(database: Database, actor: Actor, id_: int) -> Job:
    """The job when it has come to its end."""

    async def over() -> Job | None:
        job = await jobs.own(database, actor, id_)
        assert job is not None
        return None if job.state in (JobState.WAITING, JobState.RUNNING) else job

    job = await until(over, within=300, what="the export has ended", every=0.2)
    assert job is not None
    return job


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(asyncio.run(main()))
