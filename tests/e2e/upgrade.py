"""Two releases on one database: upgraded under load from the last one with another schema, and back."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import tarfile
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

from ground import Either, Ground, slow_enough
from harness import ROOT, Node, site, until
from storm import load

from smsgw.runtime import aio
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.migrate import migrations

LEG = 600
"""Messages between the steps."""


def _git(*args: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *args], capture_output=True, check=True).stdout


def release_before(folder: Path) -> int:
    """The program as it was before its last migration, unpacked there; the schema that it knows."""
    last = migrations()[-1]
    added = _git("log", "--diff-filter=A", "--format=%H", "--", f"smsgw/store/migrations/{last.name}").split()
    assert added, f"{last.name} is not committed"
    with tarfile.open(fileobj=BytesIO(_git("archive", f"{added[-1].decode()}^", "smsgw"))) as archive:
        archive.extractall(folder, filter="data")
    return max(int(path.name[:4]) for path in (folder / "smsgw/store/migrations").glob("*.sql"))


@contextlib.asynccontextmanager
async def upgrades(folder: Path) -> AsyncIterator[Ground]:
    """Node 1 runs the earlier release, node 2 (not started yet) this one."""
    schema = release_before(folder / "old")
    print(f"  from schema {schema} to {migrations()[-1].number}")
    database = EmbeddedPostgres(folder / "database")
    (folder / "database").mkdir()
    await database.start()
    dsn = database.owner_dsn  # one role for all, as it was
    try:
        async with site(
            folder / "node", dsn=dsn, behaviour=slow_enough, root=folder / "old", balance=10**6
        ) as built:
            second = Node(
                folder / "node2",
                dsn=dsn,
                node_number="2",
                security_key_file=str(folder / "node" / "secret.key"),
            )
            made = Ground(
                built.node,
                built.carriers,
                built.customer,
                built.signer,
                dsn=dsn,
                database=database,
                others=[second],
            )
            async with Either(made.nodes, built.client.key) as either:
                made.customer.client = either
                try:
                    yield made
                finally:
                    if second.process is not None:
                        assert await second.stop() == 0, second.log_tail()
            assert not second.complaints(), second.complaints()[:10]
    finally:
        await database.stop()


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
        await until(
            lambda: loading.done() or len(customer.sent) >= wanted, within=60, what=f"{LEG} more", every=0.02
        )
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
