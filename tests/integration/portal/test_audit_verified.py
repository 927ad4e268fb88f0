"""The button that has the audit log verified: what the page says of a chain that is whole, and of one that was changed
by somebody who rules the database."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest_asyncio
from browsing import Browser
from databases import admin
from portal_site import NODE, SEALER, Site, running
from visits import signed_in

from smsgw.pipeline.upkeep.auditing import Auditing
from smsgw.runtime.config import Config, NodeConfig
from smsgw.store.records import audit


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    audit.use(lambda: SEALER)  # as a node does: it is verified with the node's keys
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        yield site


async def attack(dsn: str, statement: str, *values: object) -> str:
    """Past all triggers and rights; what became of it."""
    root = await asyncpg.connect(admin(dsn), timeout=10, command_timeout=60)
    try:
        async with root.transaction():
            await root.execute("SET LOCAL session_replication_role = replica")
            return str(await root.execute(statement, *values))
    finally:
        await root.close()


EDIT, DELETE = "UPDATE audit SET actor = $2 WHERE id = $1", "DELETE FROM audit WHERE id = $1"


async def verdict(boss: Browser) -> str:
    """Press the button; what the job's page says in the end."""
    assert 'action="/audit/-/verify"' in await boss.get("/audit")
    await boss.post("/audit/-/verify", {})
    job = boss.path
    assert re.fullmatch(r"/jobs/[0-9]+", job)
    page = await boss.job_done(job)
    told = re.search(r'<div class="note note-(good|bad)"[^>]*>(.*?)</div>', page, re.S)
    assert told, page
    return f"{told[1]} {' '.join(re.sub(r'<[^>]+>', ' ', told[2]).split())}"


async def test_a_row_that_was_changed_is_found_by_the_button(site: Site, dsn: str, tmp_path: Path) -> None:
    chain = Auditing(site.db, SEALER, Config(node=NodeConfig(number=NODE, data_dir=tmp_path)))
    await chain.start()
    async with signed_in(site, "boss") as boss:
        await boss.get("/audit")
        await chain.step()
        sealed = await site.db.fetchval("SELECT count(*) FROM audit_link")
        assert sealed > 3
        assert await verdict(boss) == f"good 校验通过：{sealed:,} 条记录完整，未被改动"
        assert await site.db.fetchval("SELECT actor FROM audit WHERE action = 'audit.verify'") == "boss"

        row = await site.db.fetchrow("SELECT id, actor FROM audit WHERE action = 'staff.add'")
        assert await attack(dsn, EDIT, row["id"], "nobody") == "UPDATE 1"
        assert await verdict(boss) == f"bad 校验发现 1 处异常，请立即联系安全管理员 记录被改动（{row['id']}）"

        assert await attack(dsn, EDIT, row["id"], row["actor"]) == "UPDATE 1"
        assert (await verdict(boss)).startswith("good "), "it was that row alone"

        assert await attack(dsn, DELETE, row["id"]) == "DELETE 1"
        assert await verdict(boss) == f"bad 校验发现 1 处异常，请立即联系安全管理员 记录被删除（{row['id']}）"
    await chain.stop()
