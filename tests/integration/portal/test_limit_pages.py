"""Whether a number gets a message: how often and when each kind may go, cleaning, consents, and complaints."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from browsing import Browser, send, shows
from portal_site import Site, by_test
from snapshots import FixedSnapshots
from standing_numbers import GOOD, KEPT_OFF, stand
from visits import acting, add_role, addressed, all_signed_in, boss, fails, guessed, linked, signed_in
from wizard_steps import begun, imported, looked_at, submitted, upload

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA, first_id
from smsgw.core.kinds import CustomKind
from smsgw.core.model import MessageType, Origin
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission as P
from smsgw.core.policy import NO_POLICY, RELAXED, PolicySet, parse
from smsgw.core.states import PartState
from smsgw.core.templates import ContentBook, Form, Review, Sign, Template, Variable
from smsgw.pipeline.accept.number_lists import NumberLists
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.platform.drafts import surveyor
from smsgw.platform.lists import complaints, consents
from smsgw.platform.lists.complaints import Due, State, WantedComplaints
from smsgw.platform.paging import Window
from smsgw.platform.policies import frequency
from smsgw.platform.review import rules
from smsgw.platform.routing import service as routing
from smsgw.platform.statistics import service as statistics
from smsgw.runtime import clock
from smsgw.store.config import kinds as store
from smsgw.store.config.policies import load_changes

__all__ = ["boss"]
pytestmark = [pytest.mark.staff(boss="super"), pytest.mark.site(listed=True)]
PHONE, NUMBER = "13800138000", "8613800138000"


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    for login, rights in (("policy-op", (P.POLICY_VIEW, P.POLICY_EDIT)), ("hall-op", (P.BLOCK_VIEW, P.BLOCK_EDIT)),
                          ("reader", (P.BLOCK_VIEW,)),
                          ("keeper", (P.COMPLAINT_VIEW, P.COMPLAINT_EDIT, P.MESSAGE_VIEW))):  # fmt: skip
        await add_role(site, f"role-{login}", rights, people={login: "hall"})
    return site


async def follow(site: Site) -> None:
    """Take up what pages have changed, as a node does."""
    policies = site.snapshots.current.policies
    site.snapshots.change(kinds=await store.load(site.db), policies=type(policies)(await load_changes(site.db)))


async def add(site: Site, boss: Browser, name: str = "bill", label: str = "账单", base: str = "notice") -> str:
    await boss.get("/limits/-/add")
    fields = {"kind_name": name, "kind_label": label, "base": base}
    asked = html.unescape(await boss.post("/limits/-/add", fields))
    await boss.post("/limits/-/add", fields | {"confirmed": "1"})
    await follow(site)
    return asked


async def sent(
    site: Site, *items: SendItem, type_: MessageType = MessageType.NOTICE, kind: CustomKind | None = None
) -> None:
    """Messages of hall by its key."""
    hall = site.snapshots.current.account(site.accounts["hall"])
    await site.acceptor.send(SendRequest(hall, items, type_, Origin.API, ActorLabel("k"), kind=kind))


async def yesterday(site: Site) -> None:
    """All messages are of noon of the day before."""
    noon = (datetime.now(CHINA) - timedelta(days=1)).replace(hour=12)
    await site.db.execute("UPDATE message SET id = id - $1", first_id(datetime.now(UTC)) - first_id(noon))


async def test_a_kind_is_made_renamed_retired_and_used_again(site: Site, boss: Browser) -> None:
    wrong = await boss.post("/limits/-/add", {"kind_name": "账单", "kind_label": "账单", "base": "notice"})
    assert (boss.status, "以字母开头" in html.unescape(wrong)) == (422, True)
    await boss.post("/limits/-/add", {"kind_name": "otp", "kind_label": "码", "base": "otp", "confirmed": "1"})
    assert boss.status == 422
    assert await store.load(site.db) == {}
    assert "将新增业务类型“账单”（bill），属于通知。" in await add(site, boss)
    shows(html.unescape(await boss.get("/limits")), 'data-kind="bill"', "与通知合计")
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


async def test_how_often_is_asked_in_numbers_and_put(site: Site, boss: Browser) -> None:
    await add(site, boss)
    for n in range(3):
        await sent(site, SendItem(PHONE, f"账单{n}", sign="政务"), kind=site.snapshots.current.kinds["bill"])
    await yesterday(site)
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
    hall = site.accounts["hall"]
    async with all_signed_in(site, "boss", "policy-op") as (boss, clerk):
        await boss.get("/limits")
        page = html.unescape(await boss.get("/limits"))
        assert page.count("仅限本账号已审核的签名") == 3
        assert ("须已报备" in page, "须已同意" in page) == (True, True), "on from the start"
        path = "/limits/0/marketing/gates"
        everything = {"sign_policy": "off", "filed_links": "off", "consent": "off"}
        await boss.post(path, everything | {"confirmed": "1"})
        site.snapshots.change(policies=NO_POLICY)
        for n, text in enumerate(("新品上市", "看看 t.cn/a")):
            await sent(site, SendItem(f"1380013800{n}", text, sign="政务"), type_=MessageType.MARKETING)
        await follow(site)
        await yesterday(site)
        asked = html.unescape(await boss.post(path, dict.fromkeys(everything, "")))
        assert "2 条短信和现有的签名、报备、同意记录计算" in asked
        assert "因签名拒绝 2 条、因链接拒绝 1 条、因用户同意拒绝 2 条（现行条件共 0 条）" in asked
        await boss.post(path, {"sign_policy": "registered", "confirmed": "1"})
        rows = await site.db.fetch("SELECT type, name, value FROM policy")
        assert [tuple(row) for row in rows] == [("marketing", "sign_policy", "registered")]
        assert "营销链接" not in html.unescape(await boss.get("/limits/0/otp/gates")), "of marketing alone"
        assert await clerk.status_of(path) == 404
        assert await clerk.status_of(f"/limits/{hall}/marketing/gates") == 200
        assert f"/limits/{hall}/marketing/gates" in await clerk.get("/review/rules")


async def seen_at(boss: Browser, path: str) -> str:
    """What the form there says that it was made of."""
    return html.unescape(re.findall(r'name="seen" value="([^"]*)"', await boss.get(path))[0])


async def test_two_who_change_how_often_do_not_undo_each_other(site: Site, boss: Browser) -> None:
    for path, mine, theirs, name in (
        ("/limits/0/notice/frequency", {"frequency": "2/1d"}, {"frequency_all": "3/1d"}, "frequency_all"),
        ("/review/rules/0/notice", {"review": "all"}, {"review_over": "10"}, "review_over"),
        ("/limits/0/notice/gates", {"sign_policy": "off"}, {"sign_policy": "registered"}, "sign_policy"),
    ):
        seen = await seen_at(boss, path)
        await boss.post(path, theirs | {"seen": seen, "confirmed": "1"})
        assert "这里的设置又被改过" in await boss.refusal(path, mine | {"seen": seen, "confirmed": "1"}), path
        assert await site.db.fetchval("SELECT array_agg(name) FROM policy WHERE type = 'notice'") == [name]
        seen = await seen_at(boss, path)
        await boss.post(path, mine | {"seen": seen, "confirmed": "1"})
        assert await site.db.fetchval("SELECT array_agg(name) FROM policy WHERE type = 'notice'") == [*mine]
        await site.db.execute("DELETE FROM policy WHERE type = 'notice'")


async def test_two_who_change_the_hours_do_not_undo_each_other(site: Site, boss: Browser) -> None:
    week = [("windows1_days", str(n)) for n in range(1, 8)]
    path, stored = "/review/rules/0/notice/hours", "SELECT value FROM policy WHERE type = 'notice' AND name = 'hours'"

    async def seen() -> tuple[str, str]:
        return "seen", await seen_at(boss, path)

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
            ("/limits/0/notice/frequency", {"frequency": "1/1d"}),
            ("/review/rules/0/notice", {"review": "all"}),
            ("/review/rules/0/notice/hours", {"windows1_from": "09:00", "windows1_to": "17:00", "windows1_days": "1"}),
        ):
            asked = html.unescape(await boss.post(path, form))
            assert (boss.status, "尚不清楚" in asked, 'name="confirmed"' in asked) == (200, True, True), path


async def test_rows_of_a_report_lead_to_the_records_that_they_count(site: Site, boss: Browser) -> None:
    await add(site, boss)
    for text, kind in (("电费一元", site.snapshots.current.kinds["bill"]), ("停水两天", None)):
        await sent(site, SendItem(PHONE, text, sign="政务"), kind=kind)
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
    await add(site, boss)
    assert "账单" in html.unescape(await boss.get("/review/rules"))
    for path in ("/review/rules/0/bill", "/review/rules/0/bill/hours"):
        assert "全部账号 · 账单" in html.unescape(await boss.get(path))
    await boss.post("/limits/bill/retire", {"confirmed": "1"})
    assert "已停用" in await boss.get("/limits"), "at once, whatever the node has taken up"
    await follow(site)
    assert await boss.status_of("/review/rules/0/bill") == 200, "what it was reviewed by is still seen"
    assert await boss.status_of("/review/rules/0/none") == 404


async def test_what_is_set_for_an_account_is_led_to_and_others_rules_are_not_named(site: Site) -> None:
    hall = site.accounts["hall"]
    rule = {"type": ["bill"], "name": "bills of all", "pool": "CUCC"}
    document = {"rule": [rule | {"name": "clinics", "account": ["clinic"], "pool": "CBN"}, rule]}
    async with all_signed_in(site, "boss", "policy-op") as (boss, clerk):
        await add(site, boss)
        # Who sees a part changes nothing for everybody.
        page = await clerk.get("/limits")
        assert (clerk.status, "/limits/-/add" in page) == (200, False)
        for path in ("/limits/-/add", "/limits/bill/rename", "/limits/bill/retire", "/limits/0/bill/frequency"):
            assert await clerk.status_of(path) == 404, path
        assert await clerk.status_of(f"/limits/{site.accounts['hall']}/bill/frequency") == 200
        await routing.publish(by_test(site.db), document, "")
        await site.snapshots.follow()
        await follow(site)
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
    await add(site, boss)
    asked = await boss.post(
        "/review/rules/0/bill/hours",
        [("windows1_from", "10:00"), ("windows1_to", "16:00"), *(("windows1_days", str(n)) for n in range(1, 8))],
    )
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
    assert tuple(task) == ("notice", "bill")


@pytest_asyncio.fixture
async def cleaner(site: Site) -> AsyncIterator[Browser]:
    """Who sends, where numbers stand on lists."""
    await site.add_staff("clerk", "operator", "hall")
    await stand(site)
    async with signed_in(site, "clerk") as browser:
        yield browser


def classes(page: str) -> dict[str, tuple[str, list[str]]]:
    """Class -> how many the page says, and the numbers that it shows."""
    found = {}
    for cls, body in re.findall(r'data-class="([^"]+)".*?<summary>(.*?)</details>', page, re.S):
        count = re.search(r'clean-count">([^<]+)<', body)
        found[cls] = count[1], re.findall(r'<td class="nowrap"[^>]*>([^<]+)<', body)
    return found


async def downloaded(browser: Browser, draft: int, cls: str) -> list[str]:
    """The numbers in a class's file."""
    file = await browser.get(f"/send/{draft}/clean/file?class={cls}")
    assert browser.status == 200, cls
    return [row[-2] for row in csv.reader(file.splitlines()[1:])]


async def test_every_number_stands_in_one_class(site: Site, cleaner: Browser) -> None:
    draft = await addressed(site, cleaner, "\n".join([*KEPT_OFF.values(), GOOD]), type="marketing", content="满百减十")
    page = await looked_at(cleaner, draft)
    assert "共 9 行，有效 1 行" in page
    found = classes(page)
    assert found.pop("valid") == ("1", [mask(f"86{GOOD}")[-11:]])
    empty = {cls for cls, (n, _) in found.items() if n == "0"}
    assert empty == {"NUMBER_DUPLICATE", "NUMBER_INVALID"}
    told = {cls: shown for cls, (_, shown) in found.items() if cls not in empty}
    assert {cls: len(shown) for cls, shown in told.items()} == dict.fromkeys(KEPT_OFF, 1)
    for cls, number in {**KEPT_OFF, "valid": GOOD}.items():
        assert await downloaded(cleaner, draft, cls) == [number], cls
    assert await cleaner.status_of(f"/send/{draft}/clean/file?class=NUMBER_NONE") == 404

    assert "将向 1 个号码发送" in await looked_at(cleaner, draft, "confirm")


async def test_a_test_goes_as_the_sending_does(site: Site, cleaner: Browser) -> None:
    """By its template, with the values of the first row that is sent; where a reviewer has to pass it, that is told."""
    hall, now = site.accounts["hall"], clock.now()
    template = Template(
        7, hall, MessageType.NOTICE, "{姓名}您好，请到场", {"姓名": Variable(Form.TEXT, 10)}, state=Review.APPROVED
    )
    fields = {name: parse(name, "off") for name in RELAXED} | {"templates_only": parse("templates_only", "on")}
    book = ContentBook([Sign(1, hall, "市政服务", Review.APPROVED, {}, now)], [template])
    site.snapshots.change(policies=PolicySet({(0, ""): fields}, book=book))
    await site.db.execute("UPDATE staff SET phone = '8613900139000', phone_verified_at = now() WHERE login = 'clerk'")
    draft = await begun(site, cleaner, template="7", content="")
    table = f"手机号,姓名\n{KEPT_OFF['NUMBER_BLACKLISTED']},王一\n{GOOD},李二\n"
    await upload(cleaner, f"/send/{draft}/file", table.encode())
    await cleaner.post(f"/send/{draft}/audience", {"source": "file", "phone": "手机号", "var_姓名": "姓名"})
    assert '<div class="bubble">【市政服务】李二您好，请到场</div>' in await looked_at(cleaner, draft, "confirm")
    assert "测试短信已提交到 139****9000" in html.unescape(await cleaner.post(f"/send/{draft}/test", {"key": "a" * 24}))
    sent = "SELECT content, template_id, state FROM message JOIN part USING (id) ORDER BY message.id DESC LIMIT 1"
    row = await site.db.fetchrow(sent)
    assert (row["content"], row["template_id"], row["state"]) == ("【市政服务】李二您好，请到场", 7, PartState.QUEUED)

    fields |= {"review": parse("review", "all")}
    site.snapshots.change(policies=PolicySet({(0, ""): fields}, book=book))
    page = html.unescape(await cleaner.post(f"/send/{draft}/test", {"key": "b" * 24}))
    shows(page, "发到 139****9000 的测试短信须先经他人审批", no="测试短信已提交")
    assert (await site.db.fetchrow(sent))["state"] == PartState.HELD


async def test_the_effect_is_told_carrier_by_carrier(site: Site, cleaner: Browser) -> None:
    site.snapshots.change(policies=NO_POLICY)
    await site.db.execute("UPDATE account SET unit_price = 0.05 WHERE name = 'hall'")
    await site.snapshots.follow()
    draft = await begun(site, cleaner, content="好" * 100)
    numbers = [GOOD, "13800138009", "13000130009"]
    await cleaner.post(f"/send/{draft}/audience", {"source": "typed", "to": "\n".join(numbers)})
    page = await looked_at(cleaner, draft, "confirm")
    table = page.partition('id="of-carriers"')[2].partition("</table>")[0]
    rows = [re.findall(r"<td[^>]*>([^<]*)</td>", row)[:4] for row in table.split("<tr>")[2:]]
    assert rows == [["移动", "2", "4", "0.20"], ["联通", "1", "2", "0.10"]]
    shows(page, '<dd id="sign">【市政服务】</dd>', '<dd id="one-each">每个号码只发一条</dd>')


async def test_nobody_is_left(site: Site, cleaner: Browser) -> None:
    draft = await addressed(site, cleaner, KEPT_OFF["NUMBER_OPTED_OUT"], type="marketing", content="满百减十")
    page = await looked_at(cleaner, draft)
    assert classes(page)["valid"] == ("0", [])
    assert '<div class="bubble">' not in await looked_at(cleaner, draft, "confirm")


async def test_of_many_rows_it_is_told_about(site: Site, monkeypatch: pytest.MonkeyPatch, cleaner: Browser) -> None:
    """What hangs on a number's past is asked of some; the page says so, and shows those."""
    monkeypatch.setattr(surveyor, "EXPLAINED", 2)
    limited = KEPT_OFF["NUMBER_FREQ_LIMITED"]
    draft = await begun(site, cleaner, type="marketing", content="满百减十")
    table = "\n".join(["手机号", limited, GOOD, KEPT_OFF["NUMBER_BLACKLISTED"], "138"])
    await upload(cleaner, f"/send/{draft}/file", table.encode())
    await cleaner.post(f"/send/{draft}/audience", {"source": "file", "phone": "手机号"})
    page = html.unescape(await looked_at(cleaner, draft))
    found = classes(page)
    assert found["NUMBER_FREQ_LIMITED"] == ("约 2", ["138****8008"])
    assert found["valid"][0] == "约 0"
    assert found["NUMBER_BLACKLISTED"] == ("1", ["138****8001"])
    shows(page, "标“约”的各类按均匀抽取的 1 行推算", "下载抽查到的行")
    assert await downloaded(cleaner, draft, "NUMBER_FREQ_LIMITED") == [limited]


async def test_a_consent_holds_until_it_is_withdrawn_and_stays_in_the_ledger(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    node = NumberLists(site.db, FixedSnapshots())
    await node.load()
    assert not node.consented(NUMBER, (hall,))
    async with signed_in(site, "boss") as boss, signed_in(site, "hall-op") as clerk:
        form = {"account": str(hall), "numbers": "13800138000", "source": "paper", "given_at": "2026-01-31"}
        assert await boss.status_of("/consents/-/new", form) == 422, "no proof, no consent"
        assert await boss.status_of("/consents/-/new", form | {"proof": "档案 7", "given_at": "2026-02-30"}) == 422
        page = await boss.post("/consents/-/new", form | {"proof": "档案 7", "given_at": "2099-01-01"})
        assert (boss.status, "不能晚于现在" in page) == (422, True)
        await boss.post("/consents/-/new", form | {"proof": "档案 7"})
        await boss.post("/consents/-/new", form | {"proof": "档案 8", "account": str(clinic)})
        await node.follow()
        assert node.consented(NUMBER, (hall,))
        assert node.consented(NUMBER, (99, hall)), "or of an account above"
        assert not node.consented("8613900139000", (hall,))

        page = await clerk.get("/consents?number=13800138000")
        (id_,) = linked(page, "/consents")
        shows(page, "138****8000", no="档案 8")
        await clerk.post("/consents/-/do/withdraw", {"id": id_, "reason": ""})
        await node.follow()
        assert node.consented(NUMBER, (hall,)), "it takes a reason"
        await clerk.post("/consents/-/do/withdraw", {"id": id_, "reason": "本人来电撤回"})
        await node.follow()
        assert not node.consented(NUMBER, (hall,))
        assert node.consented(NUMBER, (clinic,))
        shows(await clerk.get(f"/consents/{id_}"), "本人来电撤回", "档案 7")

        await boss.post("/consents/-/new", form | {"proof": "旧档案"})
        rows = await site.db.fetch("SELECT withdrawn_at, proof FROM consent WHERE account_id = $1", hall)
        assert [(r["withdrawn_at"] is None, r["proof"]) for r in rows] == [(False, "档案 7")], "an older one does not"
        today = f"{clock.now().astimezone(CHINA):%Y-%m-%d}"
        await boss.post("/consents/-/new", form | {"proof": "同日", "given_at": today})
        await node.follow()
        assert not node.consented(NUMBER, (hall,)), "nor does one of the same day without a time"
        again = NumberLists(site.db, FixedSnapshots())
        await again.load()
        assert not again.consented(NUMBER, (hall,))
        assert again.consented(NUMBER, (clinic,))
        for one in (node, again):
            assert not one.consented(NUMBER, (hall, clinic)), "what was said to the account itself counts"
            assert one.consented(NUMBER, (clinic, hall))


async def test_no_entry_overwrites_the_proof_of_another(site: Site) -> None:
    hall, change = site.accounts["hall"], acting(site)
    at = clock.now() - timedelta(days=30)
    for n in range(3):
        given = consents.Given(consents.Source.WEB, f"V{n}", f"proof {n}", at + timedelta(days=n))
        assert await consents.give(change, hall, [NUMBER], given) == 1
    rows = await site.db.fetch("SELECT * FROM consent ORDER BY id")
    told = [(r["wording"], r["proof"], r["given_at"], r["withdrawn_at"] is None, r["replaced"]) for r in rows]
    assert told == [("V0", "proof 0", at, False, True), ("V1", "proof 1", at + timedelta(days=1), False, True),
                    ("V2", "proof 2", at + timedelta(days=2), True, False)]  # fmt: skip
    node = NumberLists(site.db, FixedSnapshots())
    await node.follow()
    assert node.consented(NUMBER, (hall,))
    await consents.withdraw(change, rows[-1]["id"], "by telephone")
    await node.follow()
    again = NumberLists(site.db, FixedSnapshots())
    await again.load()
    for one in (node, again):
        assert not one.consented(NUMBER, (hall,))
    given = replace(given, proof="proof 3", given_at=clock.now())
    assert await consents.give(change, hall, [NUMBER], given) == 1, "a newer one counts"
    await node.follow()
    assert node.consented(NUMBER, (hall,))
    assert await site.db.fetchval("SELECT withdrawal FROM consent WHERE proof = 'proof 2'") == "by telephone"
    async with signed_in(site, "boss") as boss:
        assert len(linked(await boss.get("/consents?state=replaced"), "/consents")) == 2
        assert len(linked(await boss.get("/consents?state=withdrawn"), "/consents")) == 1
        shows(await boss.get(f"/consents/{rows[0]['id']}"), "由新的同意记录替代", "proof 0")


TABLE = """手机号,同意日期,同意方式,凭证
13800138000,2026-02-01,网页勾选,页面 1
13800138000,2026-02-02,网页勾选,页面 2
13900139000,2026/03/01,,
12,2026-02-01,,
"""
PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 64


async def test_a_table_is_previewed_and_brought_in_with_what_became_of_each_row(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        page = await boss.send_file("/consents/-/import", TABLE.encode())
        assert "13900139000" in page, "the first rows are shown"
        chosen = guessed(page)
        assert chosen == {"column_number": "0", "column_given_at": "1", "column_source": "2", "column_proof": "3"}
        form = {"account": str(site.accounts["hall"]), "source": "paper", "proof": "档案 9"}
        await boss.post(boss.path, chosen | form)
        assert re.fullmatch(r"/jobs/\d+", boss.path)
        page = await boss.job_done(boss.path)
        job = boss.path.rpartition("/")[2]
        assert f"/consents/-/import/{job}/result" in page
        rows = (await boss.table_at(f"/consents/-/import/{job}/result"))[1:]
    assert [row[0] for row in rows] == ["2", "3", "4", "5"]
    assert rows[0][2] == rows[2][2] != rows[1][2] != rows[3][2]
    assert "第 2 行" in rows[1][3], "a number that came before"
    assert "13800138000" not in str(rows), "whole numbers are not given away"
    found = await site.db.fetch("SELECT number, source, proof, given_at FROM consent ORDER BY number")
    assert [(r["number"], r["source"], r["proof"]) for r in found] == [
        (8613800138000, "web", "页面 1"), (8613900139000, "paper", "档案 9")]  # fmt: skip


async def test_a_proof_is_shown_by_right_and_audited(site: Site) -> None:
    by = acting(site)
    given = consents.Given(consents.Source.PAPER, "v1", "档案 7", clock.now())
    await consents.give(by, site.accounts["hall"], ["8613800138000", "8613900139000"], given)
    id_ = await site.db.fetchval("SELECT min(id) FROM consent")
    at = f"/consents/{id_}/proof"
    async with signed_in(site, "boss") as boss, signed_in(site, "reader") as reader:
        wrong = await boss.send_file(at, b"<script>", "x.html")
        assert (boss.status, "PNG" in html.unescape(wrong)) == (422, True)
        assert await site.db.fetchval("SELECT count(*) FROM file") == 0
        await boss.send_file(at, PNG, "同意书.png")
        assert boss.path == f"/consents/{id_}"
        assert await site.db.fetchval("SELECT count(DISTINCT proof_file) FROM consent") == 1
        assert await site.db.fetchval("SELECT count(proof_file) FROM consent") == 2, "entered together, proven together"
        assert f"{at}/file" in await reader.get(f"/consents/{id_}")
        assert await reader.status_of(at) == 403, "who only looks brings nothing"
        async with reader.session.get(f"{at}/file") as response:
            assert (response.status, response.headers["Content-Type"]) == (200, "image/png")
            assert await response.read() == PNG
            assert response.headers["Content-Disposition"].startswith("inline")
        await boss.send_file(at, PNG, "other.png")
        assert await site.db.fetchval("SELECT count(DISTINCT proof_file) FROM consent") == 1
    seen = await site.db.fetch("SELECT actor FROM audit WHERE action = 'consent.proof_read'")
    assert [row["actor"] for row in seen] == ["reader"]


async def states(site: Site) -> list[tuple[str, str, str]]:
    rows = await site.db.fetch("SELECT state, said, actor FROM complaint_step ORDER BY id")
    return [(row["state"], row["said"], row["actor"]) for row in rows]


async def test_a_complaint_about_a_message_is_dealt_with_and_goes_to_the_carrier_as_a_file(site: Site) -> None:
    message, hall = await send(site, content="停水通知"), site.accounts["hall"]
    at = clock.now() - timedelta(days=1)
    await consents.give(acting(site), hall, [NUMBER], consents.Given(consents.Source.PAPER, "V2", "档案柜 A-3", at))
    async with signed_in(site, "boss") as boss:
        assert f'href="/complaints/-/of/{message}"' in await boss.get(f"/records/{message}")
        form = {"origin": "carrier", "reference": "KF-7", "note": "半夜收到短信", "due_days": "2", "block": "1"}
        assert await boss.status_of(f"/complaints/-/of/{message}", form | {"note": ""}) == 422
        shows(await boss.post(f"/complaints/-/of/{message}", form), "138****8000", "半夜收到短信", "KF-7", "运营商",
              "停水通知", "档案柜 A-3", f"/records/{message}", no=(NUMBER, PHONE))  # fmt: skip
        entry = await site.db.fetchrow("SELECT type, source, account_id FROM block_list WHERE number = $1", int(NUMBER))
        assert tuple(entry) == ("marketing", "complaint", 0)
        id_ = await site.db.fetchval("SELECT id FROM complaint")
        assert f'href="/complaints?message={message}"' in await boss.get(f"/records/{message}")
        assert "138****8000 的投诉" in await boss.get(f"/palette?q={PHONE}")
        assert f'href="/complaints?number={PHONE}"' in await boss.get(f"/blocked/why?number={PHONE}")

        for state, said in (("checking", "核实中"), ("answered", "已致歉并停发"), ("closed", "用户认可")):
            assert said in await boss.post(f"/complaints/{id_}/step", {"state": state, "said": said})
        assert await states(site) == [("checking", "核实中", "boss"), ("answered", "已致歉并停发", "boss"),
                                      ("closed", "用户认可", "boss")]  # fmt: skip
        page = await boss.get(f"/complaints/{id_}")
        assert "已致歉并停发" in page
        assert "boss 先生" in page, "people are called by their names"
        assert f"/complaints/{id_}/step" not in page, "it is over"
        assert await boss.status_of(f"/complaints/{id_}/step", {"state": "checking", "said": "再查"}) == 422
        assert len(await states(site)) == 3

        shows(await boss.get(f"/complaints/-/file/{id_}"), NUMBER, "停水通知", "档案柜 A-3", "V2", "KF-7",
              "半夜收到短信", "已致歉并停发", "核实中", "key-1")  # fmt: skip


async def test_lists_find_by_what_is_known_of_a_complaint_and_say_which_are_late(site: Site) -> None:
    first = await complaints.enter(acting(site), NUMBER, note="一", origin=complaints.Origin.AUTHORITY, reference="R1")
    second = await complaints.enter(acting(site), "8613900139000", note="二", due_days=30)
    third = await complaints.enter(acting(site), "8613700137000", note="\u3000\u3000三\n\u3000\u3000次")
    await site.db.execute("UPDATE complaint SET due_at = now() - interval '1 hour' WHERE id <> $1", second.id)
    await complaints.step(acting(site), third.id, State.ANSWERED, "已答复")
    at = clock.now()

    async def found(wanted: WantedComplaints) -> list[int]:
        got = await complaints.search(site.db, wanted, Window(), accounts=None)
        assert await complaints.how_many(site.db, wanted, 10, accounts=None) == len(got.rows)
        return [row.id for row in got.rows]

    a, b, c = first.id, second.id, third.id
    assert await found(WantedComplaints()) == [c, b, a]
    assert await found(WantedComplaints(due=Due.OVER)) == [a], "who was answered waits no more"
    assert await found(WantedComplaints(number="8613900139000")) == [b]
    assert await found(WantedComplaints(origin="authority")) == await found(WantedComplaints(reference="R1")) == [a]
    assert await found(WantedComplaints(state="answered")) == [c]
    assert await found(WantedComplaints(since=at + timedelta(days=1))) == []
    async with signed_in(site, "boss") as boss:
        page = await boss.get("/complaints?due=over")
        assert set(re.findall(r'href="/complaints/(\d+)"', page)) == {str(a)}
        assert "已逾期" in page
        assert "已过答复时限" in await boss.get(f"/complaints/{a}")
        assert "已过答复时限" not in await boss.get(f"/complaints/{c}")


async def test_who_sees_some_accounts_stops_nothing_for_all_and_what_is_over_stays_so(site: Site) -> None:
    message = await send(site)
    async with signed_in(site, "keeper") as hall:
        form = {"origin": "user", "note": "为什么发给我", "due_days": "3"}
        assert "停发营销短信对全部账号生效" in await hall.refusal(f"/complaints/-/of/{message}", form | {"block": "1"})
        assert not await site.db.fetchval("SELECT count(*) FROM complaint")
        shows(await hall.post(f"/complaints/-/of/{message}", form), "为什么发给我", "没有查看名单的权限")
    id_ = await site.db.fetchval("SELECT id FROM complaint")
    await complaints.step(acting(site), id_, State.CLOSED, "办结")
    await fails(SmsgwError, complaints.step(acting(site), id_, State.OPEN, "重开"), code="STATE_CONFLICT")
    await fails(SmsgwError, complaints.step(acting(site), id_ + 1000, State.CLOSED, "办结"), code="NOT_FOUND")
    await fails(SmsgwError, complaints.enter(acting(site), NUMBER, message_id=message + 1), code="NOT_FOUND")
