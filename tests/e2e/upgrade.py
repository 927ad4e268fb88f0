"""Two releases on one database: upgraded under load, and back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import tarfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, cast

from front import Front, front
from ground import Either, Ground, slow_enough
from harness import ROOT, Client, Site, free_port, put_down, site, until
from outages import BUSY, Load
from storm import load

from smsgw.runtime import aio
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.migrate import BASELINE, SCHEMA_VERSION

LEG = 600
"""Messages between the steps."""
LATER = (
    "ALTER TABLE message ADD COLUMN later text NOT NULL DEFAULT '';\n"
    "ALTER TABLE ledger ADD CONSTRAINT ledger_later CHECK (id > 0) NOT VALID;\n",
    "-- outside a transaction\n"
    "DROP INDEX CONCURRENTLY IF EXISTS ledger_later;\nCREATE INDEX CONCURRENTLY ledger_later ON ledger (id);\n"
    "ALTER TABLE ledger VALIDATE CONSTRAINT ledger_later;\n",
)
"""Migrations of a release after this one: of tables that are written all the time."""


def _git(*args: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *args], capture_output=True, check=True).stdout


def release_after(folder: Path) -> Path:
    """This program with the migrations of ``LATER``, put there."""
    shutil.copytree(ROOT / "smsgw", folder / "smsgw", ignore=shutil.ignore_patterns("__pycache__"))
    for number, sql in enumerate(LATER, SCHEMA_VERSION + 1):
        (folder / "smsgw/store/migrations" / f"{number:04}_later.sql").write_text(sql)
    return folder


def unpacked(commit: str, folder: Path) -> int:
    """The program as it was at a commit, unpacked there; the schema that it knows."""
    with tarfile.open(fileobj=BytesIO(_git("archive", commit, "smsgw"))) as archive:
        archive.extractall(folder, filter="data")
    known = {int(path.name[:4]) for path in (folder / "smsgw/store/migrations").iterdir()}
    assert BASELINE in known, f"{commit} is from before the baseline: name a later one by CHAOS_RELEASE"
    return max(known)


def release_of_a_day_ago() -> str:
    """The commit that ``CHAOS_RELEASE`` names, or the last one that is a day older than this checkout's."""
    if told := os.environ.get("CHAOS_RELEASE"):
        return told
    until_ = int(_git("log", "-1", "--format=%ct", "HEAD")) - 86_400
    found = _git("rev-list", "-1", f"--before={until_}", "HEAD").decode().strip()
    assert found, "there is no history of a day: name a commit by CHAOS_RELEASE"
    return found


@contextlib.asynccontextmanager
async def old_database(folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    """An empty one, with one role for all, as it was."""
    database = EmbeddedPostgres(folder)
    folder.mkdir()
    await database.start()
    try:
        yield database
    finally:
        await database.stop()


@contextlib.asynccontextmanager
async def upgrades(folder: Path) -> AsyncIterator[Ground]:
    """Node 1 runs this program, node 2 (not started yet) a later one."""
    later = release_after(folder / "later")
    async with (
        old_database(folder / "database") as database,
        site(folder / "node", dsn=database.owner_dsn, behaviour=slow_enough, balance=10**6) as built,
        contextlib.AsyncExitStack() as stack,
    ):
        second = built.node.another()
        second.root = later
        stack.push_async_callback(put_down, second)
        built.customer.client = await stack.enter_async_context(Either([built.node, second], built.client.key))
        yield Ground(
            built.node, built.carriers, built.customer, built.signer, dsn=database.owner_dsn, database=database,
            others=[second],
        )  # fmt: skip


async def upgrade(built: Ground, chance: random.Random, n: int) -> int:
    """The new node joins, the old one leaves; the old one comes back and the new one leaves; both. Under load, and
    nothing is unknown."""
    old, new = built.nodes
    customer = built.customer
    over = asyncio.Event()

    async def go_on() -> None:
        while not over.is_set():
            await load(built, 200, chance)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), 0.2)

    loading = aio.spawn(go_on(), name="load")

    async def further() -> None:
        wanted = len(customer.sent) + LEG
        await until(lambda: loading.done() or len(customer.sent) >= wanted, within=60, what=f"{LEG} more", every=0.02)
        if loading.done():
            await loading  # it has failed

    try:
        await further()
        await new.start()  # migrates
        await further()
        assert await old.stop() == 0, old.log_tail()
        await further()
        await old.start()
        await further()
        assert await new.stop() == 0, new.log_tail()
        await further()
        await new.start()
        over.set()
        await loading
    finally:
        await aio.cancel(loading)
    return 0


# --- two nodes behind one address ------------------------------------------------------------------------------------

STEP = 6.0
"""Seconds of load between two steps."""


@dataclass
class Rolled(Ground):
    """``front`` is where customers call; ``old`` and ``new`` the folders of two releases, of which one is this."""

    front: Front | None = None
    old: Path = ROOT
    new: Path = ROOT


@contextlib.asynccontextmanager
async def rolled(folder: Path, *, commit: str = "", dsn: str = "") -> AsyncIterator[Rolled]:
    """Two nodes of an earlier release behind HAProxy. ``commit`` "-": of this one, and the other comes after it."""
    old, new = ROOT, ROOT
    if commit == "-":
        new = await asyncio.to_thread(release_after, folder / "later")
    else:
        commit, old = commit or release_of_a_day_ago(), folder / "old"
        schema = await asyncio.to_thread(unpacked, commit, old)
        print(f"  release {commit[:8]}, schema {schema}; this one {SCHEMA_VERSION}")
    async with contextlib.AsyncExitStack() as stack:
        dsn = dsn or (await stack.enter_async_context(old_database(folder / "database"))).owner_dsn
        built = await stack.enter_async_context(site(
            folder / "node", dsn=dsn, root=old, http_listen=f"127.0.0.1:{free_port()}",
            **BUSY | {"behaviour": slow_enough},
        ))  # fmt: skip
        await built.node.unhurried(built.client.key["key_id"])
        second = built.node.another(http_listen=f"127.0.0.1:{free_port()}")
        second.root = old
        await second.start()
        stack.push_async_callback(put_down, second)
        before = await stack.enter_async_context(front([built.node, second]))
        built.customer.client = await stack.enter_async_context(Client(cast(Any, before), built.client.key))
        yield Rolled(
            built.node,
            built.carriers,
            built.customer,
            built.signer,
            dsn=dsn,
            others=[second],
            front=before,
            old=old,
            new=new,
        )


async def roll(built: Rolled, *, batches: float, singles: float, step: float, size: int = 100) -> dict[str, object]:
    """Node by node drained, ended, begun with the newer program; then so with the earlier one again. Nothing is
    refused; what it took."""
    assert built.front is not None
    customer, pauses, began = built.customer, {}, time.monotonic()
    load_ = Load(cast(Site, built), batches=batches, singles=singles, size=size)
    async with load_.beside():
        await asyncio.sleep(step)
        for name, root in (("upgraded", built.new), ("back", built.old)):
            for n, node in enumerate(built.nodes):
                at = time.monotonic()
                await built.front.drain(node)
                drained = time.monotonic()
                assert await node.stop() == 0, node.log_tail()
                stopped = time.monotonic()
                node.root = root
                await node.start(within=90)
                await built.front.ready(node)
                pauses[f"node {n + 1} {name}"] = (
                    f"drained in {drained - at:.1f} s, ended in {stopped - drained:.1f} s, "
                    f"back in {time.monotonic() - stopped:.1f} s"
                )
                await asyncio.sleep(step)
    seconds = time.monotonic() - began
    return {
        "messages": len(customer.sent), "a second": round(len(customer.sent) / seconds), **pauses,
        "calls refused": dict(load_.refused), "slowest call, s": round(load_.slowest, 2),
    }  # fmt: skip


async def rolling(built: Rolled, chance: random.Random, n: int) -> int:
    """1,000 a second, and nothing unknown."""
    told = await roll(built, batches=900, singles=100, step=STEP)
    for what, value in told.items():
        print(f"  {what}: {value}")
    assert not told["calls refused"], told
    return 0
