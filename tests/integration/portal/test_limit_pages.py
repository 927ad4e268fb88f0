"""频控与时段: kinds are made, renamed and retired with their effect in numbers; how often is set for each."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from browsing import Browser
from portal_site import Site, by_test, running
from visits import boss, lacking, signed_in
from wizard_steps import begun, imported, looked_at, submitted

from smsgw.core.actor import Actor, ActorLabel, ScopeKind
from smsgw.core.ids import CHINA, first_id
from smsgw.core.kinds import CustomKind
from smsgw.core.model import MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.core.policy import NO_POLICY
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.platform.change import Change
from smsgw.platform.org import service as org
from smsgw.platform.policies import frequency
from smsgw.platform.review import rules
from smsgw.platform.routing import service as routing
from smsgw.platform.statistics import service as statistics
from smsgw.store.config import kinds as store
from smsgw.store.config.policies import load_changes

__all__ = ["boss"]

PHONE = "13800138000"


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path, listed=True) as site:
        rights = [Permission.HOME_VIEW, Permission.POLICY_VIEW, Permission.POLICY_EDIT]
        change = Change(site.db, Actor.system("test"), ids=site.ids)
        await org.add_role(change, "clerk", "科员", rights, ScopeKind.ACCOUNTS)
        await site.add_staff("boss", "super")
        await site.add_staff("hall-op", "clerk", "hall")
        yield site


async def follow(site: Site) -> None:
    """Take up what pages have changed, as a node does."""
    policies = site.snapshots.current.policies
    site.snapshots.change(kinds=await store.load(site.db), policies=type(policies)(await load_changes(site.db)))


async def add(site: Site, boss: Browser, name: str = "bill", label: str = "账单", base: str = "notice") -> str:
    fields = {"kind_name": name, "kind_label": label, "base": base}
    asked = html.unescape(await boss.post("/limits/-/add", fields))
    await boss.post("/limits/-/add", fields | {"confirmed": "1"})
    await follow(site)
    return asked


async def test_a_kind_is_made_renamed_retired_and_used_again(site: Site, boss: Browser) -> None:
    await boss.get("/limits/-/add")
    assert "将新增业务类型“账单”（bill），属于通知。" in await add(site, boss)
    assert not lacking(html.unescape(await boss.get("/limits")), 'data-kind="bill"', "与通知合计")
    await boss.post("/limits/bill/rename", {"kind_label": "电子账单"})
    await follow(site)
    assert "电子账单" in html.unescape(await boss.get("/limits"))
    assert "最近 7 天发送了 0 条，未结束的任务 0 个" in html.unescape(await boss.post("/limits/bill/retire", {}))
    assert (await store.load(site.db))["bill"].retired is False, "only asked"
    await boss.post("/limits/bill/retire", {"confirmed": "1"})
    await follow(site)
    assert "已停用" in html.unescape(await boss.get("/limits"))
    assert await boss.status_of("/limits/bill/retire") == 404
    await boss.post("/limits/bill/restore", {"confirmed": "1"})
    assert await store.load(site.db) == {"bill": CustomKind("bill", "电子账单", MessageType.NOTICE)}


async def test_what_is_no_kind_is_told_at_its_field(site: Site, boss: Browser) -> None:
    wrong = await boss.post("/limits/-/add", {"kind_name": "账单", "kind_label": "账单", "base": "notice"})
    assert (boss.status, "以字母开头" in html.unescape(wrong)) == (422, True)
    await boss.post("/limits/-/add", {"kind_name": "otp", "kind_label": "码", "base": "otp", "confirmed": "1"})
    assert boss.status == 422
    assert await store.load(site.db) == {}


async def test_how_often_is_asked_in_numbers_and_put(site: Site, boss: Browser) -> None:
    await boss.get("/limits/-/add")
    await add(site, boss)
    hall = site.snapshots.current.account(site.accounts["hall"])
    assert hall is not None
    kind = site.snapshots.current.kinds["bill"]
    for n in range(3):
        await site.acceptor.send(SendRequest(hall, (SendItem(PHONE, f"账单{n}", sign="政务"),), MessageType.NOTICE,
                                             Origin.API, ActorLabel("k"), kind=kind))  # fmt: skip
    noon = (datetime.now(CHINA) - timedelta(days=1)).replace(hour=12)
    await site.db.execute("UPDATE message SET id = id - $1", first_id(datetime.now(UTC)) - first_id(noon))
    path = "/limits/0/bill/frequency"
    asked = html.unescape(await boss.post(path, {"frequency": "1/1d"}))
    assert "均匀抽取的 1 个号码收到的 3 条短信计算，会拒绝 2 条（现行频控为 0 条）" in asked
    assert "最长 30d" in await boss.refusal(path, {"frequency": "often"})
    await boss.post(path, {"frequency": "1/1d", "confirmed": "1"})
    assert await site.db.fetchval("SELECT value FROM policy WHERE type = 'bill' AND name = 'frequency'") == "1/1d"
    await follow(site)
    assert "单独计数" in html.unescape(await boss.get("/limits"))
    await boss.post(path, {"frequency": "", "confirmed": "1"})
    assert await site.db.fetchval("SELECT count(*) FROM policy WHERE type <> ''") == 0


async def test_signatures_links_and_consents_are_switched_with_the_effect_in_numbers(site: Site) -> None:
    await site.db.execute("DELETE FROM policy")
    await follow(site)
    hall = site.snapshots.current.account(site.accounts["hall"])
    assert hall is not None
    async with signed_in(site, "boss") as boss, Browser(site) as clerk:
        await boss.get("/limits")
        page = html.unescape(await boss.get("/limits"))
        assert page.count("仅限本账号已审核的签名") == 3
        assert ("须已报备" in page, "须已同意" in page) == (True, True), "on from the start"
        path = "/limits/0/marketing/gates"
        everything = {"sign_policy": "off", "filed_links": "off", "consent": "off"}
        await boss.post(path, everything | {"confirmed": "1"})
        site.snapshots.change(policies=NO_POLICY)
        for n, text in enumerate(("新品上市", "看看 t.cn/a")):
            await site.acceptor.send(SendRequest(hall, (SendItem(f"1380013800{n}", text, sign="政务"),),
                                                 MessageType.MARKETING, Origin.API, ActorLabel("k")))  # fmt: skip
        await follow(site)
        noon = (datetime.now(CHINA) - timedelta(days=1)).replace(hour=12)
        await site.db.execute("UPDATE message SET id = id - $1", first_id(datetime.now(UTC)) - first_id(noon))
        asked = html.unescape(await boss.post(path, dict.fromkeys(everything, "")))
        assert "2 条短信和现有的签名、报备、同意记录计算" in asked
        assert "因签名拒绝 2 条、因链接拒绝 1 条、因用户同意拒绝 2 条（现行条件共 0 条）" in asked
        await boss.post(path, {"sign_policy": "registered", "confirmed": "1"})
        rows = await site.db.fetch("SELECT type, name, value FROM policy")
        assert [tuple(row) for row in rows] == [("marketing", "sign_policy", "registered")]
        assert "营销链接" not in html.unescape(await boss.get("/limits/0/otp/gates")), "of marketing alone"
        await clerk.login("hall-op")
        assert await clerk.status_of(path) == 404
        assert await clerk.status_of(f"/limits/{hall.id}/marketing/gates") == 200
        assert f"/limits/{hall.id}/marketing/gates" in await clerk.get("/review/rules")


async def test_two_who_change_how_often_do_not_undo_each_other(site: Site, boss: Browser) -> None:
    for path, mine, theirs, name in (
        ("/limits/0/notice/frequency", {"frequency": "2/1d"}, {"frequency_all": "3/1d"}, "frequency_all"),
        ("/review/rules/0/notice", {"review": "all"}, {"review_over": "10"}, "review_over"),
        ("/limits/0/notice/gates", {"sign_policy": "off"}, {"sign_policy": "registered"}, "sign_policy"),
    ):
        page = await boss.get(path)
        seen = html.unescape(re.findall(r'name="seen" value="([^"]*)"', page)[0])
        await boss.post(path, theirs | {"seen": seen, "confirmed": "1"})
        assert "这里的设置又被改过" in await boss.refusal(path, mine | {"seen": seen, "confirmed": "1"}), path
        assert await site.db.fetchval("SELECT array_agg(name) FROM policy WHERE type = 'notice'") == [name]
        page = await boss.get(path)
        seen = html.unescape(re.findall(r'name="seen" value="([^"]*)"', page)[0])
        await boss.post(path, mine | {"seen": seen, "confirmed": "1"})
        assert await site.db.fetchval("SELECT array_agg(name) FROM policy WHERE type = 'notice'") == [*mine]
        await site.db.execute("DELETE FROM policy WHERE type = 'notice'")


async def test_two_who_change_the_hours_do_not_undo_each_other(site: Site, boss: Browser) -> None:
    week = [("windows1_days", str(n)) for n in range(1, 8)]
    path, stored = "/review/rules/0/notice/hours", "SELECT value FROM policy WHERE type = 'notice' AND name = 'hours'"

    async def seen() -> tuple[str, str]:
        return "seen", html.unescape(re.findall(r'name="seen" value="([^"]*)"', await boss.get(path))[0])

    def spans(from_: str, to: str) -> list[tuple[str, str]]:
        return [("windows1_from", from_), ("windows1_to", to), *week, ("confirmed", "1")]

    opened = await seen()
    await boss.post(path, [*spans("09:00", "17:00"), opened])
    theirs = await site.db.fetchval(stored)
    said = html.unescape(await boss.post(path, [*spans("10:00", "12:00"), opened]))
    assert (boss.status, "这里的设置又被改过" in said) == (422, True)
    assert 'value="10:00"' in said, "what was typed is kept"
    assert await site.db.fetchval(stored) == theirs
    await boss.post(path, [*spans("10:00", "12:00"), await seen()])
    assert "10:00" in await site.db.fetchval(stored)
    await boss.post(path, [*spans("", ""), await seen()])
    assert await site.db.fetchval(stored) is None


async def test_an_effect_that_is_not_found_out_in_time_is_unknown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (rules, frequency):
        monkeypatch.setattr(module, "PATIENCE", 0.3)
    async with signed_in(site, "boss") as boss, site.db.transaction() as connection:
        await connection.execute("LOCK TABLE message IN ACCESS EXCLUSIVE MODE")
        for path, form in (
            ("/limits/0/notice/frequency", {"frequency": "1/1d"}), ("/review/rules/0/notice", {"review": "all"}),
            ("/review/rules/0/notice/hours", {"windows1_from": "09:00", "windows1_to": "17:00", "windows1_days": "1"}),
        ):  # fmt: skip
            asked = html.unescape(await boss.post(path, form))
            assert (boss.status, "尚不清楚" in asked, 'name="confirmed"' in asked) == (200, True, True), path


async def test_rows_of_a_report_lead_to_the_records_that_they_count(site: Site, boss: Browser) -> None:
    await boss.get("/limits/-/add")
    await add(site, boss)
    hall = site.snapshots.current.account(site.accounts["hall"])
    assert hall is not None
    for text, kind in (("电费一元", site.snapshots.current.kinds["bill"]), ("停水两天", None)):
        await site.acceptor.send(SendRequest(hall, (SendItem(PHONE, text, sign="政务"),), MessageType.NOTICE,
                                             Origin.API, ActorLabel("k"), kind=kind))  # fmt: skip
    await site.db.execute("UPDATE stat_cursor SET message_id = $1, event_id = $1", first_id(datetime.now(UTC)))
    await statistics.recount(by_test(site.db), datetime.now(CHINA).date())
    page = html.unescape(await boss.get("/reports/daily?group=type"))
    for name, there, other in (("bill", "电费一元", "停水两天"), ("notice", "停水两天", "电费一元")):
        addresses = set(re.findall(rf'href="(/records\?[^"]*type={name}[^"]*)"', page))
        assert addresses, name
        rows = html.unescape(await boss.get(min(addresses, key=len)))
        assert (there in rows, other in rows) == (True, False), name
        assert ("账单</span>" in rows) == (name == "bill"), "a kind by its label"
    await boss.post("/records/-/export", {"q": "type=bill", "reason": "核对账单", "format": "csv"})
    job = boss.path
    await boss.job_done(job)
    file = await boss.post(f"{job}/link", {})
    assert ("电费一元" in file, "停水两天" in file, "账单" in file) == (True, False, True), "as shown"
    id_ = await site.db.fetchval("SELECT id FROM message WHERE kind = 'bill'")
    assert "<dd>账单</dd>" in html.unescape(await boss.get(f"/records/{id_}"))


async def test_its_hours_and_review_are_set_where_those_of_types_are(site: Site, boss: Browser) -> None:
    await boss.get("/limits/-/add")
    await add(site, boss)
    assert "账单" in html.unescape(await boss.get("/review/rules"))
    for path in ("/review/rules/0/bill", "/review/rules/0/bill/hours"):
        assert "全部账号 · 账单" in html.unescape(await boss.get(path))
    await boss.post("/limits/bill/retire", {"confirmed": "1"})
    assert "已停用" in await boss.get("/limits"), "at once, whatever the node has taken up"
    await follow(site)
    assert await boss.status_of("/review/rules/0/bill") == 200, "what it was reviewed by is still seen"
    assert await boss.status_of("/review/rules/0/none") == 404


async def test_who_sees_a_part_changes_nothing_for_everybody(site: Site) -> None:
    async with signed_in(site, "boss") as boss, Browser(site) as clerk:
        await boss.get("/limits/-/add")
        await add(site, boss)
        await clerk.login("hall-op")
        page = await clerk.get("/limits")
        assert (clerk.status, "/limits/-/add" in page) == (200, False)
        for path in ("/limits/-/add", "/limits/bill/rename", "/limits/bill/retire", "/limits/0/bill/frequency"):
            assert await clerk.status_of(path) == 404, path
        assert await clerk.status_of(f"/limits/{site.accounts['hall']}/bill/frequency") == 200


async def test_what_is_set_for_an_account_is_led_to_and_others_rules_are_not_named(site: Site) -> None:
    hall = site.accounts["hall"]
    rule = {"type": ["bill"], "name": "bills of all", "pool": "CUCC"}
    document = {"rule": [rule | {"name": "clinics", "account": ["clinic"], "pool": "CBN"}, rule]}
    async with signed_in(site, "boss") as boss, Browser(site) as clerk:
        await boss.get("/limits/-/add")
        await add(site, boss)
        await routing.publish(by_test(site.db), document, "")
        await site.snapshots.follow()
        await follow(site)
        await clerk.login("hall-op")
        page = await clerk.get("/limits")
        assert ("CUCC" in page, "CBN" in page) == (True, False)
        path = f"/limits/{hall}/bill/frequency"
        assert f'href="{path}"' in await clerk.get("/review/rules")
        await clerk.post(path, {"frequency": "7/1d", "confirmed": "1"})
        of_account = await site.db.fetchval("SELECT account_id FROM policy WHERE type = 'bill'")
        assert (clerk.path, of_account) == ("/review/rules", hall)
        asked = {"account": str(hall), "type": "bill", "number": "13800138000", "sign": "", "content": "账单已出"}
        assert "bills of all" in await boss.post("/routes/explain", asked), "a kind is explained as it goes"


async def test_the_wizard_offers_a_kind_with_its_hours_and_the_task_is_of_it(site: Site, boss: Browser) -> None:
    await boss.get("/limits/-/add")
    await add(site, boss)
    asked = await boss.post("/review/rules/0/bill/hours", [
        ("windows1_from", "10:00"), ("windows1_to", "16:00"), *(("windows1_days", str(n)) for n in range(1, 8)),
    ])  # fmt: skip
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', asked))
    await boss.post("/review/rules/0/bill/hours", hidden)
    assert "10:00–16:00" in await boss.get("/limits"), "what was confirmed is what was asked about"
    spans = [("windows1_from", "09:00"), ("windows1_to", "17:00"), ("confirmed", "1")]
    await boss.post("/review/rules/0/bill/hours", [*spans, *(("windows1_days", str(n)) for n in range(1, 8))])
    assert "09:00–17:00" in await boss.get("/limits"), "at once"
    await follow(site)
    draft = await begun(site, boss, type="bill")
    assert ">账单<" in html.unescape(await boss.get(f"/send/{draft}/content"))
    await boss.post(f"/send/{draft}/audience", {"source": "typed", "to": PHONE})
    assert "<dd>账单</dd>" in await looked_at(boss, draft, "confirm")
    await submitted(boss, draft)
    await imported(site)
    task = await site.db.fetchrow("SELECT type, message_kind FROM task")
    assert task is not None
    assert tuple(task) == ("notice", "bill")
