"""Numbers of sent messages go into a contact group or on the block list, with the effect in numbers before."""

from __future__ import annotations

from collections.abc import Sequence
from html import unescape

import pytest
import pytest_asyncio
from browsing import shows
from portal_site import Site
from test_inbound import send
from visits import acting, add_role, signed_in

from smsgw.core.permissions import Permission
from smsgw.platform.audience import book
from smsgw.platform.audience.model import Sharing

ONE, OTHER = "13800138001", "13800138002"
MORE = [Permission.MESSAGE_VIEW, Permission.BLOCK_VIEW, Permission.BLOCK_EDIT, Permission.CONTACT_VIEW,
        Permission.CONTACT_EDIT]  # fmt: skip
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "keeps", MORE, people={"keeps-hall": "hall"})
    return site


def of(ids: Sequence[str], **more: str) -> list[tuple[str, str]]:
    return [*(("id", id_) for id_ in ids), *more.items()]


async def test_numbers_are_blocked_for_the_account_that_sent_to_them(site: Site) -> None:
    ids = [await send(site, "hall", number) for number in (ONE, ONE, OTHER)]
    foreign = await send(site, "clinic", ONE)
    async with signed_in(site, "keeps-hall") as browser:
        asked = unescape(await browser.post("/records/-/effect/block", of([*ids, foreign])))
        shows(asked, "将 2 个号码加入 1 个账号各自的黑名单", "其中 0 个已在名单中")
        assert await browser.status_of("/records/-/do/block", of(ids)) == 422, "why is asked for"
        await browser.post("/records/-/do/block", of([*ids, foreign], reason="用户来电要求"))
        rows = await site.db.fetch("SELECT number, account_id, reason FROM block_list ORDER BY number")
        hall = site.accounts["hall"]
        assert [tuple(r.values()) for r in rows] == [(int(f"86{ONE}"), hall, "用户来电要求"),
                                                     (int(f"86{OTHER}"), hall, "用户来电要求")]  # fmt: skip
        assert "其中 2 个已在名单中" in unescape(await browser.post("/records/-/effect/block", of(ids)))


async def test_numbers_become_contacts_of_a_group_and_a_colleagues_stay_out(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    group = await book.add_group(acting(site), hall, "失败回访", Sharing())
    foreign = await book.add_group(acting(site), clinic, "别家分组", Sharing())
    ids = [await send(site, "hall", number) for number in (ONE, OTHER, ONE)]
    async with signed_in(site, "keeps-hall") as browser:
        asked = unescape(await browser.post("/records/-/effect/group", of(ids)))
        shows(asked, "3 条短信的 2 个号码", "失败回访（hall）", no="别家分组")
        for pick in ("", str(foreign), "0"):
            assert await browser.status_of("/records/-/do/group", of(ids, pick=pick)) == 422, pick
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
