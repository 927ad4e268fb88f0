"""What live pages cost while they are looked at (scripts/viewers): a daemon over demo data in a process of its own, its
viewers in this one."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Hashable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from databases import migrated
from demo_site import DemoSite, demo_site
from page_costs import session_of

from smsgw.admin.kit.remembered import Remembered
from smsgw.runtime import aio, log
from smsgw.store.engine.database import Database
from smsgw.store.engine.embedded import EmbeddedPostgres

MOST = 1.0
"""Percent of a core."""
TURN = 8.0, 13.0
"""Seconds of looking or of not looking, in turns as chance will have it: what the daemon does of itself comes round,
and must not always fall on the same of the two."""
HASTE = 10
"""All is so many times as quick as on a page that is open: the asking, and how soon what is remembered is old. So the
cost stands out of what the daemon does of itself; it is told for pages that are open."""
TICK = os.sysconf("SC_CLK_TCK")
PAGES: dict[str, tuple[str, float]] = {
    "/board/-/live": ("super", 5), "/wall/live": ("super", 5), "/queues/-/live": ("super", 5),
    "/channels/-/live": ("super", 3), "/channels/{channel}/live": ("super", 3),
    "/channels/{channel}/wire/live": ("super", 2), "/home/live": ("super", 5), "/nodes/-/rows": ("super", 5),
    "/alarms/-/rows": ("super", 5), "/inbound/-/rows?time=7d": ("super", 5), "/jobs/-/rows": ("super", 3),
    "/records/{message}/live": ("super", 3),
}  # fmt: skip
"""What pages ask for again and again, by whom here, and every how many seconds."""


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="scripts/viewers", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="addresses that contain it")
    parser.add_argument("--viewers", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=60, help="for which each page is looked at")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--serve", nargs=3, metavar=("DSN", "FOLDER", "DAYS"), help=argparse.SUPPRESS)
    return parser.parse_args()


async def serve(dsn: str, folder: str, days: str) -> None:
    """Be the daemon, until the other process closes our input."""
    get = Remembered.get

    async def sooner(self: Remembered, question: Hashable, seconds: Any, find: Any) -> Any:
        of = (lambda found: seconds(found) / HASTE) if callable(seconds) else seconds / HASTE
        return await get(self, question, of, find)

    Remembered.get = sooner  # type: ignore[method-assign]
    async with demo_site(dsn, Path(folder), days=int(days)) as site:
        print(site.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def cpu(pids: list[int]) -> float:
    """Seconds that these processes and all below them have taken, those that have ended included."""
    ticks, below = 0, dict[int, list[int]]()
    lines = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            lines[int(folder.name)] = fields
            below.setdefault(int(fields[1]), []).append(int(folder.name))
    todo = list(pids)
    while todo:
        pid = todo.pop()
        todo += below.get(pid, [])
        if fields := lines.get(pid):
            ticks += sum(map(int, fields[11:15]))  # its own, and that of children it has waited for
    return ticks / TICK


@dataclass(frozen=True, slots=True)
class Taken:
    """Percent of a core."""

    daemon: float
    database: float

    @property
    def whole(self) -> float:
        """By both."""
        return self.daemon + self.database


async def over(seconds: float, daemon: int, postmaster: int) -> Taken:
    """What both take from now on, for so long."""
    began, before = time.monotonic(), (cpu([daemon]), cpu([postmaster]))
    await asyncio.sleep(seconds)
    after = cpu([daemon]), cpu([postmaster])
    lasted = time.monotonic() - began
    return Taken(*(100 * (b - a) / lasted for a, b in zip(before, after, strict=True)))


async def look(client: aiohttp.ClientSession, address: str, every: float, delay: float) -> None:
    """A viewer, without end."""
    await asyncio.sleep(delay)
    while True:
        async with client.get(address, headers={"HX-Request": "true"}) as answer:
            await answer.read()
            assert answer.status == 200, (address, answer.status)
        await asyncio.sleep(every / HASTE)


async def measured(asked: argparse.Namespace, site: DemoSite, daemon: int, postmaster: int) -> bool:
    """Page by page; whether all are within the limit."""
    channel = await site.database.fetchval("SELECT min(id) FROM channel WHERE id > 0 AND removed_at IS NULL")
    message = await site.database.fetchval("SELECT max(id) FROM part WHERE state = 40 AND part = 1")
    good = True
    print(f"{'page':34} {'every s':>7} {'beyond nobody':>14} {'±':>5}", flush=True)
    for pattern, (role, every) in PAGES.items():
        address = pattern.format(channel=channel, message=message)
        if asked.only and not any(text in pattern for text in asked.only):
            continue
        beyond = list[float]()
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(session_of(site, role)) for _ in range(asked.viewers)]
            await looking(clients, address, every, 3)
            for _ in range(max(2, round(asked.seconds / statistics.fmean(TURN)))):
                seconds, turns = random.uniform(*TURN), dict[bool, Taken]()  # noqa: S311
                for looks in random.sample((True, False), 2):
                    taken = aio.spawn(over(seconds, daemon, postmaster), name="over")
                    await (looking(clients, address, every, seconds) if looks else asyncio.sleep(seconds))
                    turns[looks] = await taken
                beyond.append((turns[True].whole - turns[False].whole) / HASTE)
        mean, error = statistics.fmean(beyond), statistics.stdev(beyond) / len(beyond) ** 0.5
        good = good and mean <= MOST
        shown = re.sub(r"\?.*", "", pattern)
        print(f"{shown:34} {every:7g} {mean:14.2f} {error:5.2f}", flush=True)
    return good


async def looking(clients: list[aiohttp.ClientSession], address: str, every: float, seconds: float) -> None:
    """All look, one after another, for so long."""
    viewers = [
        aio.spawn(look(client, address, every, n * every / HASTE / len(clients)), name="viewer")
        for n, client in enumerate(clients)
    ]
    await asyncio.wait(viewers, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    failed = [one for one in viewers if one.done()]
    await aio.cancel(*viewers)
    for one in failed:
        one.result()


async def main() -> int:
    """Fill, serve, look, tell; exit status."""
    asked = arguments()
    log.setup("error", "auto")
    if asked.serve:
        await serve(*asked.serve)
        return 0
    with tempfile.TemporaryDirectory(prefix="smsgw-viewers-") as folder:
        embedded = EmbeddedPostgres(Path(folder) / "database")
        dsn = await migrated(embedded)
        try:
            served = await asyncio.create_subprocess_exec(
                sys.executable, __file__, "--serve", dsn, f"{folder}/node", str(asked.days),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert served.stdout
            assert served.stdin
            assert embedded.pid
            while not (url := (await served.stdout.readline()).decode().strip()).startswith("http"):
                assert url or served.returncode is None, "the daemon has ended"
            database = Database(dsn)
            await database.open()
            try:
                good = await measured(asked, DemoSite(url, database, {"super": None}), served.pid, embedded.pid)
            finally:
                await database.close()
                served.stdin.close()
                await asyncio.wait_for(served.wait(), 60)
        finally:
            await embedded.stop()
            shutil.rmtree(embedded.home, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
