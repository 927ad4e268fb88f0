"""Block list, opt-outs and allow list as pages: what is entered there holds, who may see and change which entries."""

from __future__ import annotations

import re

import pytest
import pytest_asyncio
from browsing import shows
from portal_site import Site
from visits import acting, add_role, page_for, signed_in

from smsgw.core.blocklist import OPT_OUT, Scope
from smsgw.core.permissions import Permission
from smsgw.platform.lists import complaints, queries, service
from smsgw.platform.lists.model import WantedBlocks

REASON = "来电要求停发"
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "clerk", [Permission.BLOCK_VIEW, Permission.BLOCK_EDIT], people={"hall-op": "hall"})
    return site


def ids(page: str, path: str) -> list[str]:
    return list(dict.fromkeys(re.findall(rf'href="{path}/([0-9]+)"', page)))


async def test_numbers_are_blocked_with_their_effect_said_before_and_lifted_with_a_reason(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        assert "黑名单中没有号码" in await boss.get("/blocked")
        form = {"numbers": "13800138000, 139 0013 9000\n13800138000；nonsense 12", "reason": REASON}
        page = await boss.post("/blocked/-/new", form)
        assert boss.status == 200
        assert "将把 2 个号码加入黑名单" in page, "a number with blanks is one"
        assert "重复的 1 个只计一次；另有 2 个不是有效的手机号，已跳过：nonsense, 12" in page
        await boss.refused("/blocked/-/new", form | {"numbers": "nonsense 12"}, "不是有效的手机号：nonsense, 12")
        form["numbers"] = "13800138000,13900139000\n13800138000"
        assert "将把 2 个号码加入黑名单（全部账号 · 全部类型）" in await boss.post("/blocked/-/new", form)
        assert await site.db.fetchval("SELECT count(*) FROM block_list") == 0, "only asked"
        await boss.post("/blocked/-/new", form | {"confirmed": "1"})
        page = await boss.get("/blocked?number=13800138000")
        shows(page, "138****8000", no="13800138000</")
        assert REASON in page
        assert "139****9000" not in page

        (id_,) = ids(page, "/blocked")
        assert "解除" in await boss.get(f"/blocked/{id_}")
        assert boss.status == 200
        await boss.refused(f"/blocked/{id_}/lift", {"reason": ""})
        await boss.confirms(f"/blocked/{id_}/lift", {"reason": "本人来函"}, "将解除 138****8000 的一条限制")
        assert not ids(await boss.get("/blocked?number=13800138000"), "/blocked")
        assert await boss.status_of(f"/blocked/{id_}") == 404
    said = await site.db.fetch("SELECT action, after FROM audit WHERE action LIKE 'block.%' ORDER BY id")
    assert [row["action"] for row in said] == ["block.add", "block.remove"]
    assert "13800138000" not in str([row["after"] for row in said])


async def test_who_has_some_accounts_sees_and_changes_their_entries_only(site: Site) -> None:
    hall, other = site.accounts["hall"], next(id_ for name, id_ in site.accounts.items() if name != "hall")
    for scope in (Scope(hall), Scope(other), Scope()):
        await service.block(acting(site), ["8613800138000"], scope, OPT_OUT, "R")
    found = {row["account_id"]: row["version"] for row in await site.db.fetch("SELECT * FROM block_list")}
    async with signed_in(site, "hall-op") as clerk:
        for path in ("/blocked", "/optouts"):
            assert ids(await clerk.get(path), path) == [str(found[hall])]
            lift = {"reason": "为什么", "confirmed": "1"}
            assert await clerk.status_of(f"/blocked/{found[0]}/lift", lift) == 404, "everybody's"
        form = {"numbers": "13900139000", "reason": REASON, "confirmed": "1"}
        await clerk.refused("/blocked/-/new", form, "请选择账号")
        await clerk.refused("/blocked/-/new", form | {"account": str(other)})
        await clerk.post("/blocked/-/new", form | {"account": str(hall)})
    rows = await site.db.fetch("SELECT account_id FROM block_list WHERE number = 8613900139000")
    assert [row["account_id"] for row in rows] == [hall]
    assert await site.db.fetchval("SELECT count(*) FROM block_list WHERE removed_at IS NOT NULL") == 0


async def test_the_allow_list_takes_only_of_an_account_and_forgets_what_is_chosen(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        form = {"numbers": "13800138000 13900139000", "kind": "only", "note": "=1+1"}
        await boss.refused("/allowed/-/new", form, "请选择账号")
        form["account"] = str(site.accounts["hall"])
        await boss.confirms("/allowed/-/new", form, "账号 hall 从此只能向名单中的号码发送")
        page = await boss.get("/allowed?kind=only")
        first, second = ids(page, "/allowed")
        assert "将把 1 个号码移出白名单" in await boss.post("/allowed/-/effect/remove", {"id": first})
        await boss.post("/allowed/-/do/remove", {"id": first})
        assert ids(await boss.get("/allowed"), "/allowed") == [second]
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'allow.remove'") == 1


async def test_what_we_have_written_down_is_told_in_the_readers_language(site: Site) -> None:
    await complaints.enter(acting(site), "8613800138000", sign="", channel="", note="", block_number=True)
    await service.block(acting(site), ["8613800138001"], Scope(), "opt_out", "回复 TD")
    await service.block(acting(site), ["8613800138002"], Scope(), "manual", "回复 人工")
    async with signed_in(site, "boss") as boss:
        assert "投诉 1" in await boss.get("/blocked")
        await boss.post("/language", {"language": "en", "next": "/"})
        page = await boss.get("/blocked")
        shows(page, "complaint 1", "reply TD", "回复 人工")
        shows(await boss.get("/blocked/why?number=13800138000"), "added by", "reason: complaint 1")


async def test_reasons_are_looked_for_among_the_newest_alone(site: Site) -> None:
    """There is no index of parts of a reason: among millions, one that there is not would be looked for in each."""
    await site.db.execute(
        "INSERT INTO block_list (number, source, reason, actor) "
        "SELECT 8613000000000 + n, 'manual', CASE n WHEN 1 THEN 'the oldest' ELSE 'x' END, 'test' "
        "FROM generate_series(1, $1::int) n ORDER BY n", queries.REASONS_SEARCHED, timeout=60,
    )  # fmt: skip
    wanted = WantedBlocks(reason="oldest")
    assert await queries.how_many(site.db, wanted, 10, accounts=None) == 1
    await service.block(acting(site), ["8613800138000"], Scope(), "manual", "the newest")
    assert await queries.how_many(site.db, wanted, 10, accounts=None) == 0
    assert await queries.how_many(site.db, WantedBlocks(reason="newest"), 10, accounts=None) == 1
    assert "在最近 10 万条中查找" in await page_for(site, "boss", "/blocked")
