"""Who gets nothing and why, as pages: block list, opt-outs, allow list, what blocks a number, lifting, undoing."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import pytest_asyncio
from browsing import Browser, send, shows
from portal_site import Site
from visits import acting, acting_as, actions, add_role, all_signed_in, boss, raises_code, signed_in

from smsgw.core.blocklist import CARRIER, MANUAL, OPT_OUT, Scope
from smsgw.core.number_state import NumberState
from smsgw.core.permissions import Permission
from smsgw.core.policy import PolicySet
from smsgw.core.states import PartState
from smsgw.platform.lists import complaints, consents, queries, service
from smsgw.platform.lists.model import WantedBlocks
from smsgw.platform.numbers import service as numbers
from smsgw.runtime import clock
from smsgw.store.config import blocklist

NUMBER = "8613800138000"
PEOPLE = {"hall-op": "hall", "clinic-op": "clinic"}
REASON = "来电要求停发"
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64
HOLDS = "SELECT count(*) FROM block_list WHERE source = 'opt_out' AND removed_at IS NULL"
__all__ = ["boss"]
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "clerk", [Permission.BLOCK_VIEW, Permission.BLOCK_EDIT], people=PEOPLE)
    return site


def ids(page: str, path: str) -> list[str]:
    return list(dict.fromkeys(re.findall(rf'href="{path}/([0-9]+)"', page)))


async def test_numbers_are_blocked_with_their_effect_said_before_and_lifted_with_a_reason(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        assert "黑名单中没有号码" in await boss.get("/blocked")
        form = {"numbers": "13800138000, 139 0013 9000\n13800138000；nonsense 12", "reason": REASON}
        shows(await boss.post("/blocked/-/new", form), "将把 2 个号码加入黑名单",  # a number with blanks is one
              "重复的 1 个只计一次；另有 2 个不是有效的手机号，已跳过：nonsense, 12")  # fmt: skip
        await boss.refused("/blocked/-/new", form | {"numbers": "nonsense 12"}, "不是有效的手机号：nonsense, 12")
        form["numbers"] = "13800138000,13900139000\n13800138000"
        assert "将把 2 个号码加入黑名单（全部账号 · 全部类型）" in await boss.post("/blocked/-/new", form)
        assert await site.db.fetchval("SELECT count(*) FROM block_list") == 0, "only asked"
        await boss.post("/blocked/-/new", form | {"confirmed": "1"})
        page = await boss.get("/blocked?number=13800138000")
        shows(page, "138****8000", REASON, no=["13800138000</", "139****9000"])
        (id_,) = ids(page, "/blocked")
        assert "解除" in await boss.get(f"/blocked/{id_}")
        await boss.refused(f"/blocked/{id_}/lift", {"reason": ""})
        await boss.confirms(f"/blocked/{id_}/lift", {"reason": "本人来函"}, "将解除 138****8000 的一条限制")
        assert not ids(await boss.get("/blocked?number=13800138000"), "/blocked")
        assert await boss.status_of(f"/blocked/{id_}") == 404
    assert await actions(site, "block.") == ["block.add", "block.remove"]


async def test_who_has_some_accounts_sees_and_changes_their_entries_only(site: Site) -> None:
    hall, other = site.accounts["hall"], site.accounts["clinic"]
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
    assert await site.db.fetchval("SELECT account_id FROM block_list WHERE number = 8613900139000") == hall
    assert await site.db.fetchval("SELECT count(*) FROM block_list WHERE removed_at IS NOT NULL") == 0


async def test_the_allow_list_takes_only_of_an_account_and_forgets_what_is_chosen(site: Site, boss: Browser) -> None:
    form = {"numbers": "13800138000 13900139000", "kind": "only", "note": "=1+1"}
    await boss.refused("/allowed/-/new", form, "请选择账号")
    form["account"] = str(site.accounts["hall"])
    await boss.confirms("/allowed/-/new", form, "账号 hall 从此只能向名单中的号码发送")
    first, second = ids(await boss.get("/allowed?kind=only"), "/allowed")
    assert "将把 1 个号码移出白名单" in await boss.post("/allowed/-/effect/remove", {"id": first})
    await boss.post("/allowed/-/do/remove", {"id": first})
    assert ids(await boss.get("/allowed"), "/allowed") == [second]
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'allow.remove'") == 1


async def test_what_we_have_written_down_is_told_in_the_readers_language(site: Site, boss: Browser) -> None:
    await complaints.enter(acting(site), "8613800138000", sign="", channel="", note="", block_number=True)
    await service.block(acting(site), ["8613800138001"], Scope(), "opt_out", "回复 TD")
    await service.block(acting(site), ["8613800138002"], Scope(), "manual", "回复 人工")
    assert "投诉 1" in await boss.get("/blocked")
    await boss.post("/language", {"language": "en", "next": "/"})
    shows(await boss.get("/blocked"), "complaint 1", "reply TD", "回复 人工")
    shows(await boss.get("/blocked/why?number=13800138000"), "added by", "reason: complaint 1")


async def test_reasons_are_looked_for_among_the_newest_alone(site: Site, boss: Browser) -> None:
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
    assert "在最近 10 万条中查找" in await boss.get("/blocked")


async def test_every_list_is_asked_and_lifting_takes_a_reason_and_the_right(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    for scope, reason in ((Scope(), "平台"), (Scope(hall), "大厅要求"), (Scope(clinic), "别家的事")):
        await service.block(acting(site), [NUMBER], scope, MANUAL, reason)
    await numbers.learn(acting(site), {NUMBER: NumberState.EMPTY}, clock.now())
    async with all_signed_in(site, "boss", "hall-op") as (boss, clerk):
        page = await boss.get(f"/blocked/why?number=13800138000&account={hall}")
        shows(page, "138****8000", "空号，依据：号码检测")
        assert (page.count("在黑名单中："), len(re.findall(r'href="/blocked/\d+/lift"', page))) == (3, 3)
        form = {"lift": "forget", "number": "13800138000", "account": str(hall)}
        await boss.post("/blocked/why", form)
        assert await site.db.fetchval("SELECT removed_at IS NULL FROM number_status"), "no reason, no lifting"
        assert "平台没有该号码的状态记录" in await boss.post("/blocked/why", form | {"reason": "号码已重新启用"})
        await boss.post("/blocked/why", form | {"lift": "exempt", "reason": "值班电话"})
        assert await site.db.fetchval("SELECT note FROM allow_list WHERE account_id = $1", hall) == "值班电话"
        said = await site.db.fetchval("SELECT after FROM audit WHERE action = 'number_status.remove'")
        assert "号码已重新启用" in said

        await boss.post("/language", {"language": "en", "next": "/"})
        assert "2 rules block it" in await boss.get(f"/blocked/why?number=13800138000&account={clinic}")
        await service.block(acting(site), ["8613900139000"], Scope(), MANUAL, "平台")
        assert "1 rule blocks it" in await boss.get("/blocked/why?number=13900139000")

        page = await clerk.get(f"/blocked/why?number=13800138000&account={hall}")
        shows(page, "大厅要求", "在平台级黑名单中（来源：人工添加）", no=["别家的事", 'value="exempt"'])  # not why
        assert len(re.findall(r'href="/blocked/\d+/lift"', page)) == 1
        assert await clerk.status_of("/blocked/why", form | {"lift": "exempt", "reason": "值班电话"}) == 403
        await numbers.learn(acting(site), {NUMBER: NumberState.EMPTY}, clock.now())
        rights = [Permission.BLOCK_VIEW, Permission.NUMBER_EDIT]
        await add_role(site, "numbers", rights, people={"hall-numbers": "hall"})
        async with signed_in(site, "hall-numbers") as scoped:
            assert 'value="forget"' not in await scoped.get(f"/blocked/why?number=13800138000&account={hall}")
            await scoped.post("/blocked/why", form | {"reason": "号码已重新启用"})
            assert await site.db.fetchval("SELECT removed_at IS NULL FROM number_status"), "it is all accounts' state"
        assert await clerk.status_of(f"/blocked/why?number=13800138000&account={clinic}") == 422


async def test_a_carrier_is_asked_and_what_it_lifts_is_lifted_here(site: Site, boss: Browser) -> None:
    await send(site)
    await site.carrier_reports(await site.carrier_takes(), PartState.UNDELIVERABLE, "MB:1077", "BLACKLIST_CARRIER")
    await service.block(acting(site), [NUMBER], Scope(), CARRIER, "MB:1077")
    shows(await boss.get("/blocked/why?number=13800138000"), "运营商黑名单拦截：", "MB:1077")
    page = await boss.post("/blocked/why", {"lift": "carrier", "number": "13800138000", "reason": "本人来电"})
    shows(page, "已向运营商申请解除：已申请", no="申请运营商解除")  # one at a time
    (id_,) = set(re.findall(r'href="/lifts/(\d+)"', await boss.get("/lifts")))
    shows(await boss.get(f"/lifts/-/letter/{id_}"), NUMBER, "本人来电")
    for done, becomes in (("lifted", "asked"), ("sent", "sent"), ("lifted", "lifted")):  # not before it was sent
        await boss.post(f"/lifts/-/do/{done}", {"id": id_, "reason": "客户经理回复"})
        assert await site.db.fetchval("SELECT state FROM carrier_lift") == becomes
    assert await site.db.fetchval("SELECT removed_at IS NOT NULL FROM block_list")
    assert await actions(site, "lift.") == ["lift.ask", "lift.letter", "lift.move", "lift.move"]


async def test_a_missing_consent_is_told_and_leads_to_the_ledger(site: Site, boss: Browser) -> None:
    hall = site.accounts["hall"]
    site.snapshots.change(policies=PolicySet({(hall, "marketing"): {"consent": "marketing"}}))
    path = f"/blocked/why?number=13800138000&account={hall}&type=marketing"
    shows(await boss.get(path), "台账中没有该号码的同意记录", 'href="/consents/-/new"', no="没有名单或规则拦截")
    at = clock.now() - timedelta(days=1)
    await consents.give(acting(site), hall, [NUMBER], consents.Given(consents.Source.WEB, "", "file 7", at))
    assert "已同意接收营销短信（" in await boss.get(path)
    await consents.withdraw(acting(site), await site.db.fetchval("SELECT id FROM consent"), "本人来电")
    assert "该号码的同意已于 " in await boss.get(path)


@pytest_asyncio.fixture
async def opted_out(site: Site) -> Scope:
    """What somebody has opted out of; and there is a second person."""
    await site.add_staff("chief", "super")
    scope = Scope(site.accounts["hall"], "marketing")
    await service.block(acting(site), [NUMBER], scope, OPT_OUT, "R")
    return scope


async def ask(site: Site, browser: Browser, reason: str, octets: bytes = PNG) -> str:
    """Ask with a file; the page that comes of it."""
    entry = await site.db.fetchval("SELECT version FROM block_list")
    return await browser.send_file(f"/optouts/{entry}/undo", octets, "申请表.png", reason=reason)


async def decides(browser: Browser, id_: int, key: str) -> str:
    return await browser.post(f"/optouts/undos/-/do/{key}", {"id": str(id_), "reason": "凭证齐全"})


async def test_an_opt_out_goes_with_a_proof_and_a_second_person_alone(site: Site, opted_out: Scope) -> None:
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
        id_ = await site.db.fetchval("SELECT id FROM optout_undo")
        assert boss.path == f"/optouts/undos/{id_}", "a long reason in Chinese fits"
        assert "已有待审批的撤销申请" in await ask(site, boss, "再次申请")
        page = await boss.get("/blocked/why?number=13800138000")
        shows(page, f'href="/optouts/undos/{id_}"', no=f'href="/optouts/{entry}/undo"')

        assert "不能审批自己提交的申请" in await decides(boss, id_, "pass")
        for path in (f"/optouts/undos/{id_}", f"/optouts/undos/{id_}/proof", f"/optouts/{entry}/undo"):
            assert await stranger.status_of(path) == 404, path
        await decides(stranger, id_, "pass")
        assert await site.db.fetchval(HOLDS) == 1

        await chief.get("/optouts/undos")
        assert await chief.octets(f"/optouts/undos/{id_}/proof") == PNG
        await decides(chief, id_, "pass")
        assert await site.db.fetchval(HOLDS) == 0
        assert "已撤销退订" in await chief.get(f"/optouts/undos/{id_}")
        assert "已审核" in await decides(chief, id_, "reject"), "it is over"
    said = "SELECT actor, action FROM audit WHERE action LIKE 'undo.%' OR action = 'block.remove' ORDER BY id"
    assert list(map(tuple, await site.db.fetch(said))) == [
        ("boss", "undo.ask"), ("chief", "undo.proof_read"), ("chief", "block.remove"), ("chief", "undo.decide"),
    ]  # fmt: skip


async def test_who_has_opted_out_again_since_then_stays_opted_out(site: Site, opted_out: Scope) -> None:
    async with all_signed_in(site, "boss", "chief") as (boss, chief):
        await ask(site, boss, "本人书面申请")
        id_ = await site.db.fetchval("SELECT id FROM optout_undo")
        await service.block(acting(site), [NUMBER], opted_out, OPT_OUT, "TD")
        assert "用户之后又退订了" in await decides(chief, id_, "pass")
        assert await site.db.fetchval(HOLDS) == 1
        await decides(chief, id_, "reject")
        assert await site.db.fetchval("SELECT state FROM optout_undo") == "rejected"
        await ask(site, boss, "本人再次申请")
        assert await site.db.fetchval("SELECT count(*) FROM optout_undo WHERE state = 'waiting'") == 1


async def test_an_opt_out_from_everybody_is_undone_as_any(site: Site, opted_out: Scope) -> None:
    await site.db.execute("DELETE FROM block_list")
    await service.block(acting(site), [NUMBER], Scope(), OPT_OUT, "R")
    async with all_signed_in(site, "boss", "chief") as (boss, chief):
        await ask(site, boss, "本人书面申请")
        await decides(chief, await site.db.fetchval("SELECT id FROM optout_undo"), "pass")
    assert await site.db.fetchval(HOLDS) == 0


async def test_a_person_has_no_other_way_round_an_opt_out(site: Site, opted_out: Scope) -> None:
    scope, change = opted_out, await acting_as(site, "boss")
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
