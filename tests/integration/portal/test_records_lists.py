"""Numbers of sent messages go into a contact group or on the block list, with the effect in numbers before."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from html import unescape
from pathlib import Path

import pytest_asyncio
from browsing import Browser
from portal_site import Site, running
from test_inbound import send

from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.permissions import Permission
from smsgw.platform.audience import book
from smsgw.platform.audience.model import Sharing
from smsgw.platform.change import Change
from smsgw.platform.org import service as org

ONE, OTHER = "13800138001", "13800138002"
RIGHTS = [Permission.HOME_VIEW, Permission.MESSAGE_VIEW]
MORE = [*RIGHTS, Permission.BLOCK_VIEW, Permission.BLOCK_EDIT, Permission.CONTACT_VIEW, Permission.CONTACT_EDIT]


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        for code, rights in (("looks", RIGHTS), ("keeps", MORE)):
            await org.add_role(by(site), code, code, rights, ScopeKind.ACCOUNTS)
            await site.add_staff(f"{code}-hall", code, "hall")
        yield site


def by(site: Site) -> Change:
    return Change(site.db, Actor.system("test"), ids=site.ids)


def of(ids: Sequence[str], **more: str) -> list[tuple[str, str]]:
    return [*(("id", id_) for id_ in ids), *more.items()]


async def test_numbers_are_blocked_for_the_account_that_sent_to_them(site: Site) -> None:
    ids = [await send(site, "hall", number) for number in (ONE, ONE, OTHER)]
    foreign = await send(site, "clinic", ONE)
    async with Browser(site) as browser:
        await browser.login("keeps-hall")
        asked = unescape(await browser.post("/records/-/effect/block", of([*ids, foreign])))
        assert "将 2 个号码加入 1 个账号各自的黑名单" in asked
        assert "其中 0 个已在名单中" in asked
        await browser.post("/records/-/do/block", of(ids))
        assert browser.status == 422, "why is asked for"
        await browser.post("/records/-/do/block", of([*ids, foreign], reason="用户来电要求"))
        rows = await site.db.fetch("SELECT number, account_id, reason FROM block_list ORDER BY number")
        hall = site.accounts["hall"]
        assert [tuple(r.values()) for r in rows] == [
            (int(f"86{ONE}"), hall, "用户来电要求"), (int(f"86{OTHER}"), hall, "用户来电要求"),
        ]  # fmt: skip
        assert "其中 2 个已在名单中" in unescape(await browser.post("/records/-/effect/block", of(ids)))
    async with Browser(site) as browser:
        await browser.login("looks-hall")
        for action in ("block", "group"):
            await browser.post(f"/records/-/do/{action}", of(ids, reason="x" * 9, pick="1"))
            assert browser.status == 403, action
        assert "加入黑名单" not in await browser.get("/records")


async def test_numbers_become_contacts_of_a_group_and_a_colleagues_stay_out(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    group = await book.add_group(by(site), hall, "失败回访", Sharing())
    foreign = await book.add_group(by(site), clinic, "别家分组", Sharing())
    ids = [await send(site, "hall", number) for number in (ONE, OTHER, ONE)]
    async with Browser(site) as browser:
        await browser.login("keeps-hall")
        asked = unescape(await browser.post("/records/-/effect/group", of(ids)))
        assert "3 条短信的 2 个号码" in asked
        assert "失败回访（hall）" in asked
        assert "别家分组" not in asked
        for pick in ("", str(foreign), "0"):
            await browser.post("/records/-/do/group", of(ids, pick=pick))
            assert browser.status == 422, pick
        assert await site.db.fetchval("SELECT count(*) FROM contact") == 0
        page = await browser.post("/records/-/do/group", of(ids, pick=str(group)))
        assert browser.path.startswith("/contacts/groups/")
        assert "2 个号码已在分组中，其中新建联系人 2 位" in page
        await browser.post("/records/-/do/group", of(ids[:1], pick=str(group)))
    rows = await site.db.fetch("SELECT number FROM contact WHERE account_id = $1 ORDER BY number", hall)
    assert [row["number"] for row in rows] == [f"86{ONE}", f"86{OTHER}"]
    members = await site.db.fetchval("SELECT count(*) FROM audience_member WHERE audience_id = $1", group)
    assert members == 2
    audited = await site.db.fetch(
        "SELECT after->>'created' AS n FROM audit WHERE action = 'audience.members' ORDER BY id"
    )
    assert [row["n"] for row in audited] == ["2", "0"]
