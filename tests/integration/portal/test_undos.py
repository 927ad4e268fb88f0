"""Undoing opt-outs as pages: with a proof, by a second person, and only what was looked at."""

from __future__ import annotations

import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from browsing import Browser
from portal_site import Site, running

from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.blocklist import MANUAL, OPT_OUT, Scope
from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.lists import service
from smsgw.platform.org import queries as people
from smsgw.platform.org import service as org
from smsgw.runtime import clock
from smsgw.store.config import blocklist

NUMBER = "8613800138000"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64
HOLDS = "SELECT count(*) FROM block_list WHERE source = 'opt_out' AND removed_at IS NULL"


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        await site.add_staff("chief", "super")
        rights = [Permission.HOME_VIEW, Permission.BLOCK_VIEW, Permission.BLOCK_EDIT]
        await org.add_role(by_test(site), "clerk", "名单管理员", rights, ScopeKind.ACCOUNTS)
        await site.add_staff("clinic-op", "clerk", "clinic")
        await service.block(by_test(site), [NUMBER], Scope(site.accounts["hall"], "marketing"), OPT_OUT, "R")
        yield site


def by_test(site: Site) -> Change:
    return Change(site.db, Actor.system("test"), ids=site.ids)


async def ask(site: Site, browser: Browser, reason: str, octets: bytes = PNG) -> str:
    """Ask with a file; the page that comes of it."""
    entry = await site.db.fetchval("SELECT version FROM block_list")
    path = f"/optouts/{entry}/undo"
    await browser.get(path)
    form = aiohttp.FormData()
    form.add_field("csrf", browser.csrf)
    form.add_field("reason", reason)
    form.add_field("file", io.BytesIO(octets), filename="申请表.png")
    async with browser.session.post(path, data=form) as response:
        return await browser._read(response)


async def decides(browser: Browser, id_: int, key: str) -> str:
    await browser.get("/optouts/undos")
    return await browser.post(f"/optouts/undos/-/do/{key}", {"id": str(id_), "reason": "凭证齐全"})


async def test_an_opt_out_goes_with_a_proof_and_a_second_person_alone(site: Site) -> None:
    entry = await site.db.fetchval("SELECT version FROM block_list")
    async with Browser(site) as boss, Browser(site) as chief, Browser(site) as stranger:
        await boss.login("boss")
        await chief.login("chief")
        await stranger.login("clinic-op")
        page = await boss.get(f"/blocked/why?number=13800138000&account={site.accounts['hall']}")
        assert f'href="/optouts/{entry}/undo"' in page
        assert f'href="/blocked/{entry}/lift"' not in page
        await boss.post(f"/blocked/{entry}/lift", {"reason": "本人来函", "confirmed": "1"})
        assert boss.status == 404

        page = await ask(site, boss, "本人书面申请", b"<script>")
        assert (boss.status, "PNG" in page, 'value="本人书面申请"' in page) == (422, True, True)
        await ask(site, boss, "")
        assert boss.status == 422
        assert await site.db.fetchval("SELECT count(*) FROM file") == 0, "nothing is kept of what is refused"
        await ask(site, boss, "本人书面申请，" + "恢复接收" * 40)
        found = re.fullmatch(r"/optouts/undos/(\d+)", boss.path)
        assert found, "a long reason in Chinese fits"
        id_ = int(found[1])
        page = await ask(site, boss, "再次申请")
        assert (boss.status, "已有待审批的撤销申请" in page) == (422, True)
        page = await boss.get("/blocked/why?number=13800138000")
        assert f'href="/optouts/undos/{id_}"' in page
        assert f'href="/optouts/{entry}/undo"' not in page

        assert "不能审批自己提交的申请" in await decides(boss, id_, "pass")
        for path in (f"/optouts/undos/{id_}", f"/optouts/undos/{id_}/proof", f"/optouts/{entry}/undo"):
            await stranger.get(path)
            assert stranger.status == 404, path
        await decides(stranger, id_, "pass")
        assert await site.db.fetchval(HOLDS) == 1

        await boss.get("/optouts/undos")
        await chief.get("/optouts/undos")
        async with chief.session.get(f"/optouts/undos/{id_}/proof") as response:
            assert (response.status, await response.read()) == (200, PNG)
        await decides(chief, id_, "pass")
        assert await site.db.fetchval(HOLDS) == 0
        assert "已撤销退订" in await chief.get(f"/optouts/undos/{id_}")
        assert "已审核" in await decides(chief, id_, "reject"), "it is over"
    said = await site.db.fetch(
        "SELECT action, actor, after FROM audit WHERE action LIKE 'undo.%' OR action = 'block.remove' ORDER BY id"
    )
    assert [(row["action"], row["actor"]) for row in said] == [
        ("undo.ask", "boss"), ("undo.proof_read", "chief"), ("block.remove", "chief"), ("undo.decide", "chief"),
    ]  # fmt: skip
    assert "13800138000" not in str([row["after"] for row in said])


async def test_who_has_opted_out_again_since_then_stays_opted_out(site: Site) -> None:
    scope = Scope(site.accounts["hall"], "marketing")
    async with Browser(site) as boss, Browser(site) as chief:
        await boss.login("boss")
        await chief.login("chief")
        await ask(site, boss, "本人书面申请")
        id_ = await site.db.fetchval("SELECT id FROM optout_undo")
        await service.block(by_test(site), [NUMBER], scope, OPT_OUT, "TD")
        assert "用户之后又退订了" in await decides(chief, id_, "pass")
        assert await site.db.fetchval(HOLDS) == 1
        await decides(chief, id_, "reject")
        assert await site.db.fetchval("SELECT state FROM optout_undo") == "rejected"
        await ask(site, boss, "本人再次申请")
        assert await site.db.fetchval("SELECT count(*) FROM optout_undo WHERE state = 'waiting'") == 1


async def test_an_opt_out_from_everybody_is_undone_as_any(site: Site) -> None:
    await site.db.execute("DELETE FROM block_list")
    await service.block(by_test(site), [NUMBER], Scope(), OPT_OUT, "R")
    async with Browser(site) as boss, Browser(site) as chief:
        await boss.login("boss")
        await chief.login("chief")
        page = await ask(site, boss, "本人书面申请")
        assert re.fullmatch(r"/optouts/undos/\d+", boss.path), page
        await decides(chief, await site.db.fetchval("SELECT id FROM optout_undo"), "pass")
    assert await site.db.fetchval(HOLDS) == 0


async def test_a_person_has_no_other_way_round_an_opt_out(site: Site) -> None:
    scope = Scope(site.accounts["hall"], "marketing")
    boss = await people.person(site.db, "boss")
    assert boss
    change = Change(site.db, boss.actor(), ids=site.ids)
    for which in (scope, None):
        with pytest.raises(Refused) as refused:
            await service.unblock(change, NUMBER, which, reason="本人来函")
        assert refused.value.code == "STATE_CONFLICT"
    assert await service.block(change, [NUMBER], scope, MANUAL, "暂停一天") == 0, "it does not become a block by hand"
    assert await site.db.fetchval(HOLDS) == 1
    assert await service.unblock(by_test(site), NUMBER, scope, reason="by the program") == 1
    tomorrow = clock.now() + timedelta(days=1)
    assert await service.block(change, [NUMBER], scope, MANUAL, "暂停一天", expires_at=tomorrow) == 1
    async with site.db.transaction() as connection:
        said = blocklist.opt_out(NUMBER, scope.account_id, scope.sign, "TD", clock.now())
        assert said is not None
        assert await blocklist.put(connection, [said], replace=False) == 1, "nor does a block by hand keep it out"
        assert await blocklist.put(connection, [said], replace=False) == 0, "it holds already"
    assert await site.db.fetchval(HOLDS + " AND expires_at IS NULL") == 1
