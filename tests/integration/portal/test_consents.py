"""The ledger of consents as pages, and what a node makes of it: who gets marketing where consent is asked for."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from browsing import Browser
from portal_site import Site, running
from snapshots import FixedSnapshots

from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.permissions import Permission
from smsgw.pipeline.accept.number_lists import NumberLists
from smsgw.platform.change import Change
from smsgw.platform.org import service as org

NUMBER = "8613800138000"


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        rights = [Permission.HOME_VIEW, Permission.BLOCK_VIEW, Permission.BLOCK_EDIT]
        by = Change(site.db, Actor.system("test"), ids=site.ids)
        await org.add_role(by, "clerk", "名单管理员", rights, ScopeKind.ACCOUNTS)
        await site.add_staff("hall-op", "clerk", "hall")
        yield site


def ids(page: str) -> list[str]:
    return list(dict.fromkeys(re.findall(r'href="/consents/([0-9]+)"', page)))


async def test_a_consent_holds_until_it_is_withdrawn_and_stays_in_the_ledger(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    node = NumberLists(site.db, FixedSnapshots())
    await node.load()
    assert not node.consented(NUMBER, (hall,))
    async with Browser(site) as boss, Browser(site) as clerk:
        await boss.login("boss")
        await clerk.login("hall-op")
        await boss.get("/consents/-/new")
        form = {"account": str(hall), "numbers": "13800138000", "source": "paper", "given_at": "2026-01-31"}
        page = await boss.post("/consents/-/new", form)
        assert boss.status == 422, "no proof, no consent"
        page = await boss.post("/consents/-/new", form | {"proof": "档案 7", "given_at": "2026-02-30"})
        assert boss.status == 422
        page = await boss.post("/consents/-/new", form | {"proof": "档案 7", "given_at": "2099-01-01"})
        assert (boss.status, "不能晚于现在" in page) == (422, True)
        await boss.post("/consents/-/new", form | {"proof": "档案 7"})
        await boss.post("/consents/-/new", form | {"proof": "档案 8", "account": str(clinic)})
        await node.follow()
        assert node.consented(NUMBER, (hall,))
        assert node.consented(NUMBER, (99, hall)), "or of an account above"
        assert not node.consented("8613900139000", (hall,))

        page = await clerk.get("/consents?number=13800138000")
        (id_,) = ids(page)
        assert "138****8000" in page
        assert "档案 8" not in page
        other = await site.db.fetchval("SELECT id FROM consent WHERE account_id = $1", clinic)
        await clerk.get(f"/consents/{other}")
        assert clerk.status == 404
        await clerk.get("/consents")
        await clerk.post("/consents/-/do/withdraw", {"id": id_, "reason": ""})
        await node.follow()
        assert node.consented(NUMBER, (hall,)), "it takes a reason"
        await clerk.post("/consents/-/do/withdraw", {"id": id_, "reason": "本人来电撤回"})
        await node.follow()
        assert not node.consented(NUMBER, (hall,))
        assert node.consented(NUMBER, (clinic,))
        page = await clerk.get(f"/consents/{id_}")
        assert "本人来电撤回" in page
        assert "档案 7" in page

        await boss.get("/consents/-/new")
        await boss.post("/consents/-/new", form | {"proof": "旧档案"})
        row = await site.db.fetchrow("SELECT * FROM consent WHERE id = $1", int(id_))
        assert (row["withdrawn_at"] is None, row["proof"]) == (False, "档案 7"), "an older one brings nothing back"
        again = NumberLists(site.db, FixedSnapshots())
        await again.load()
        assert not again.consented(NUMBER, (hall,))
        assert again.consented(NUMBER, (clinic,))
