"""Fills a scratch database with millions of records and measures what is asked of them (scripts/records)."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import quote

import asyncpg
from databases import migrated
from demo_site import DemoSite, demo_site
from figures import sampled
from many_records import fill, room
from page_costs import session_of

from smsgw.core.ids import CHINA
from smsgw.runtime import clock, log
from smsgw.runtime.config import Config
from smsgw.store.engine import partitions
from smsgw.store.engine.database import Database
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.messages import daily


def arguments() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="scripts/records", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the database is, or is to be made")
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="addresses that contain it")
    parser.add_argument("--figures", type=int, default=0, metavar="N", help="compare so many figures with the records")
    parser.add_argument("--seed", type=int, default=0, help="of their choice")
    parser.add_argument("--times", type=int, default=3, help="how often each is asked; the slowest counts")
    return parser.parse_args()


def tell(text: str) -> None:
    """At once, whoever reads."""
    print(text, flush=True)


async def main() -> int:
    """Fill what is missing; exit status."""
    asked = arguments()
    log.setup("error", "auto")
    folder: Path = asked.folder.resolve()
    done = folder / "demo"
    database = EmbeddedPostgres(folder / "database")
    if not (folder / "full").exists():
        room(folder, asked.messages)
    dsn = await migrated(database)
    try:
        async with demo_site(dsn, folder / "node", filled=done.exists()) as site:
            done.touch()
            if not (folder / "full").exists():
                await fill(dsn, site.database, folder, asked.messages, asked.days, tell)
                (folder / "full").touch()
            await settled(dsn, site.database)
            return await compared(site, asked) if asked.figures else await measured(site, asked)
    finally:
        await database.stop()


async def settled(dsn: str, database: Database) -> None:
    """As the nights have done it."""
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=1800)
    try:
        began, today = time.monotonic(), clock.now().astimezone(CHINA).date()
        for table in partitions.SETTLED:
            await indexed(connection, today, table)
        tell(f"indexed, {time.monotonic() - began:.0f} s")
        while await daily.recount_settled(database, clock.now(), Config().retention.events_days):
            pass
        tell(f"counted anew, {time.monotonic() - began:.0f} s")
    finally:
        await connection.close()


async def indexed(connection: asyncpg.Connection, today: date, table: str) -> None:
    """Beside the site's own upkeep, which may be at the same index."""
    while True:
        try:
            await partitions.index(connection, today, table, None)
            return
        except (asyncpg.UniqueViolationError, asyncpg.DuplicateTableError, asyncpg.LockNotAvailableError):
            await asyncio.sleep(1)


async def compared(site: DemoSite, asked: argparse.Namespace) -> int:
    """A sample of what pages show beside counts over the records; 1 when one is another."""
    began, last = time.monotonic(), clock.now().astimezone(CHINA).date()
    seed = asked.seed or secrets.randbelow(1 << 31)
    first = (last - timedelta(days=asked.days)).replace(day=1)  # months are whole
    figures = await sampled(site.database, first, last, asked.figures, seed)
    wrong = [one for one in figures if one.shown != one.counted]
    for one in wrong[:100]:
        tell(f"{one.shown:12,} shown {one.counted:12,} counted: {one.what}  WRONG")
    told = sum(one.counted > 0 for one in figures)
    tell(f"{len(figures):,} figures, {told:,} of them not 0, {len(wrong):,} wrong; seed {seed}, "
         f"{time.monotonic() - began:.0f} s")  # fmt: skip
    return int(bool(wrong) or len(figures) < asked.figures)


async def measured(site: DemoSite, asked: argparse.Namespace) -> int:
    """Each address as the administrator asks it; 1 when one takes longer than it may."""
    over, role = 0, "admin"
    async with session_of(site, role) as client:
        for most, address in addresses():
            if asked.only and not any(text in address for text in asked.only):
                continue
            taken, status, octets = list[float](), 0, 0
            for _ in range(asked.times):
                began = time.perf_counter()
                async with client.get(address, allow_redirects=False) as answer:
                    octets, status = len(await answer.read()), answer.status
                taken.append(time.perf_counter() - began)
            bad = status != 200 or max(taken) > most
            over |= bad
            tell(
                f"{max(taken) * 1000:8.0f} of {most * 1000:5.0f} ms, {min(taken) * 1000:6.0f} at best, "
                f"{status} {octets:7} {address}{'  OVER' * bad}"
            )
    return over


def addresses() -> list[tuple[float, str]]:
    """Every single filter over thirty days, with hits and without, its totals, and the reports; what each may take."""
    found = [(most, f"{path}?time=30d&{query}") for query in FILTERS for most, path in RECORDS]
    found += [(1.0, f"/records?time=yesterday&tail={tail}") for tail in ("8000", "0000")]
    return found + [(1.0, address) for address in REPORTS] + [(1.0, "/"), (1.0, "/home/live")]


RECORDS = ((1.0, "/records"), (3.0, "/records/-/total"))
FILTERS = (
    "", "account=1", "account=5", "phone=13800138000", "phone=13000000000", "status=delivered", "status=failed",
    "status=queued", "status=scheduled", "status=uncertain", "status=duplicate", "status=rejected", "type=otp",
    "type=marketing", "result=delivered", "result=failed", "result=unknown", "result=unsent", "result=pending",
    "channel=1", "channel=3", "carrier=CMCC", "carrier=CBN", "carrier=INTL",
    *(f"province={quote(name)}" for name in ("广东", "青海", "西藏", "没有")),
    *(f"sign={quote(name)}" for name in ("示例", "没有")), "reason=EMPTY_NUMBER", "reason=NETWORK",
    "code=DELIVRD", "code=MK:0001", "code=NOSUCH", "origin=api", "origin=cmpp", "submitter=demo-operator",
    "submitter=none", "message=123456789", "batch=123456789", "task=1", "task=999", "client_ref=none", "extension=1",
    "extension=77", "department=1", "department=999", "template=1", "template=999", "test=true", "test=false",
    "replied=true", "replied=false", "stage=submitted", "stage=refused", "stage=held", "left_out=any",
    "left_out=blacklist", "left_out=network", "hop=2",
    *(f"content={quote(word)}" for word in ("验证码", "公积金提取", "招聘会", "编号 9", "731946", "没有的词", "zz")),
)  # fmt: skip
REPORTS = (
    "/reports/daily?time=30d", *(f"/reports/daily?time=30d&group={group}" for group in (
        "account", "type", "sign", "channel", "carrier", "province", "origin")),
    "/reports/daily?time=30d&group=province&type=otp", "/reports/daily?time=30d&group=channel&carrier=CMCC",
    *(f"/reports/monthly?group={group}" for group in ("", "account", "type", "sign", "channel", "carrier", "province")),
    *(f"/reports/people?time=30d&by={by}" for by in ("", "department", "account", "origin")),
)  # fmt: skip


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(asyncio.run(main()))
