"""Undoing opt-outs as pages: with a proof, by a second person, and only what was looked at."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import pytest_asyncio
from browsing import Browser, shows
from portal_site import Site
from visits import acting, add_role, all_signed_in, raises_code

from smsgw.core.blocklist import MANUAL, OPT_OUT, Scope
from smsgw.core.permissions import Permission
from smsgw.platform.change import Change
from smsgw.platform.lists import service
from smsgw.platform.org import queries as people
from smsgw.runtime import clock
from smsgw.store.config import blocklist

NUMBER = "8613800138000"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64
HOLDS = "SELECT count(*) FROM block_list WHERE source = 'opt_out' AND removed_at IS NULL"
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await site.add_staff("chief", "super")
    await add_role(site, "clerk", [Permission.BLOCK_VIEW, Permission.BLOCK_EDIT], people={"clinic-op": "clinic"})
    await service.block(acting(site), [NUMBER], Scope(site.accounts["hall"], "marketing"), OPT_OUT, "R")
    return site


async def ask(site: Site, browser: Browser, reason: str, octets: bytes = PNG) -> str:
    """Ask with a file; the page that comes of it."""
    entry = await site.db.fetchval("SELECT version FROM block_list")
    return await browser.send_file(f"/optouts/{entry}/undo", octets, "申请表.png", reason=reason)


async def decides(browser: Browser, id_: int, key: str) -> str:
    return await browser.post(f"/optouts/undos/-/do/{key}", {"id": str(id_), "reason": "凭证齐全"})


async def test_an_opt_out_goes_with_a_proof_and_a_second_person_alone(site: Site) -> None:
    entry = await site.db.fetchval("SELECT version FROM block_list")
    async with all_signed_in(site, "boss", "chief", "clinic-op") as (boss, chief, stranger):
        page = await boss.get(f"/blocked/why?number=13800138000&account={site.accounts['hall']}")
        shows(page, f'href="/optouts/{entry}/undo"', no=f'href="/blocked/{entry}/lift"')
        assert await boss.status_of(f"/blocked/{entry}/lift", {"reason": "本人来函", "confirmed": "1"}) == 404

        page = await ask(site, boss, "本人书面申请", b"<script>")
        assert (boss.status, "PNG" in page, 'value="本人书面申请"' in page) == (422, True, True)
        await ask(site, boss, "")
        assert boss.status == 422
        assert await site.db.fetchval("SELECT count(*) FROM file") == 0, "nothing is kept of what is refused"
        await ask(site, boss, "本人书面申请，" + "恢复接收" * 40)
        found = re.fullmatch(r"/optouts/undos/(\d+)", boss.path)
        assert found, "a long reason in Chinese fits"
        id_ = int(found[1])
        assert "已有待审批的撤销申请" in await ask(site, boss, "再次申请")
        page = await boss.get("/blocked/why?number=13800138000")
        shows(page, f'href="/optouts/undos/{id_}"', no=f'href="/optouts/{entry}/undo"')

        assert "不能审批自己提交的申请" in await decides(boss, id_, "pass")
        for path in (f"/optouts/undos/{id_}", f"/optouts/undos/{id_}/proof", f"/optouts/{entry}/undo"):
            assert await stranger.status_of(path) == 404, path
        await decides(stranger, id_, "pass")
        assert await site.db.fetchval(HOLDS) == 1

        await boss.get("/optouts/undos")
        await chief.get("/optouts/undos")
        assert await chief.octets(f"/optouts/undos/{id_}/proof") == PNG
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
    async with all_signed_in(site, "boss", "chief") as (boss, chief):
        await ask(site, boss, "本人书面申请")
        id_ = await site.db.fetchval("SELECT id FROM optout_undo")
        await service.block(acting(site), [NUMBER], scope, OPT_OUT, "TD")
        assert "用户之后又退订了" in await decides(chief, id_, "pass")
        assert await site.db.fetchval(HOLDS) == 1
        await decides(chief, id_, "reject")
        assert await site.db.fetchval("SELECT state FROM optout_undo") == "rejected"
        await ask(site, boss, "本人再次申请")
        assert await site.db.fetchval("SELECT count(*) FROM optout_undo WHERE state = 'waiting'") == 1


async def test_an_opt_out_from_everybody_is_undone_as_any(site: Site) -> None:
    await site.db.execute("DELETE FROM block_list")
    await service.block(acting(site), [NUMBER], Scope(), OPT_OUT, "R")
    async with all_signed_in(site, "boss", "chief") as (boss, chief):
        await ask(site, boss, "本人书面申请")
        assert re.fullmatch(r"/optouts/undos/\d+", boss.path)
        await decides(chief, await site.db.fetchval("SELECT id FROM optout_undo"), "pass")
    assert await site.db.fetchval(HOLDS) == 0


async def test_a_person_has_no_other_way_round_an_opt_out(site: Site) -> None:
    scope = Scope(site.accounts["hall"], "marketing")
    boss = await people.person(site.db, "boss")
    change = Change(site.db, boss.actor(), ids=site.ids)
    for which in (scope, None):
        with raises_code("STATE_CONFLICT"):
            await service.unblock(change, NUMBER, which, reason="本人来函")
    assert await service.block(change, [NUMBER], scope, MANUAL, "暂停一天") == 0, "it does not become a block by hand"
    assert await site.db.fetchval(HOLDS) == 1
    assert await service.unblock(acting(site), NUMBER, scope, reason="by the program") == 1
    tomorrow = clock.now() + timedelta(days=1)
    assert await service.block(change, [NUMBER], scope, MANUAL, "暂停一天", expires_at=tomorrow) == 1
    async with site.db.transaction() as connection:
        said = blocklist.opt_out(NUMBER, scope.account_id, scope.sign, "TD", clock.now())
        assert said is not None
        assert await blocklist.put(connection, [said], replace=False) == 1, "nor does a block by hand keep it out"
        assert await blocklist.put(connection, [said], replace=False) == 0, "it holds already"
    assert await site.db.fetchval(HOLDS + " AND expires_at IS NULL") == 1
