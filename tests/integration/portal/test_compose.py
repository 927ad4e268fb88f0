"""A new sending, step by step: what is kept and told before, that it then happens, and what nobody gets by it."""

from __future__ import annotations

import html
import io
import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest
from browsing import Browser, shows
from changes import by_test
from databases import change as as_owner
from portal_site import Site
from visits import acting_as, addressed, all_signed_in, clerk, of_table, signed_in
from wizard_steps import begun, draft_in, fields, imported, looked_at, submitted, upload

from smsgw.core.actor import EVERYTHING, Actor, ActorLabel
from smsgw.core.errors import Invalid, Refused
from smsgw.core.keywords import Action, Word, WordFilter
from smsgw.core.model import MessageType, Origin
from smsgw.core.policy import RELAXED, PolicySet, parse
from smsgw.core.schedule import written
from smsgw.core.states import PartState
from smsgw.core.templates import Registration, Review
from smsgw.pipeline.accept.requests import SendItem, SendRequest
from smsgw.platform.audience import book
from smsgw.platform.audience.model import EntryDraft, Shared, Sharing
from smsgw.platform.campaigns.row_survey import KEPT_CHARACTERS, RowSurvey, Wanted
from smsgw.platform.campaigns.rows import Plan
from smsgw.platform.change import Change
from smsgw.platform.content import service as content
from smsgw.platform.content.model import SIGN, Answer
from smsgw.platform.drafts import queries, service
from smsgw.platform.drafts.model import MOST, Kind, State
from smsgw.platform.drafts.surveyor import enqueue
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.org import queries as people
from smsgw.runtime import clock
from smsgw.store.config.policies import ContentLoader

__all__ = ["clerk"]
TEXT = "{姓名}您好，请于{时间}到场"
TABLE = """手机号,姓名,时间
13800138000,王一,9点
13800138001,李二,10点
13800138001,李二,10点
138,赵三,11点
13800138004,,12点
"""
pytestmark = pytest.mark.staff(boss="super", clerk=("operator", "hall"), other=("operator", "hall"))


async def test_typed_numbers_are_sorted_confirmed_and_become_a_task(site: Site, clerk: Browser) -> None:
    page = await clerk.get("/send")
    assert await site.db.fetchval("SELECT count(*) FROM send_draft") == 0, "looking keeps nothing"
    await clerk.post("/send", fields(site, page))
    draft = draft_in(clerk.path)
    await clerk.post(
        f"/send/{draft}/audience", {"source": "typed", "to": "13800138000, 138 0013 8001\n13800138001\nabc"}
    )
    assert urlsplit(clerk.path).path == f"/send/{draft}/clean", clerk.path
    text = await looked_at(clerk, draft)
    assert "共 4 行，有效 2 行" in text
    for cls, n in (("有效", 2), ("重复", 1), ("格式错误", 1), ("黑名单", 0), ("已退订", 0)):
        assert re.search(rf'{cls}</span><strong class="clean-count">{n}<', text), cls
    shows(text, "138****8001", no="13800138001")
    await clerk.post(f"/send/{draft}/options", {"one_each": "number", "rate": "5"})
    await clerk.post(f"/send/{draft}/time", {"when": "at", "at": "2027-01-02T09:30"})
    text = await looked_at(clerk, draft, "confirm")
    shows(text, "将向 2 个号码发送，预计 2 条，计费 2 条", "2027-01-02 09:30")
    of = re.search(r'name="of" value="([^"]+)"', text)
    assert "发送任务已建立" in await clerk.post(f"/send/{draft}/confirm", {"of": of[1]})
    task = await site.db.fetchrow("SELECT valid, total, state, rate, name, problems FROM task")
    assert tuple(task)[:5] == (2, 4, "scheduled", 5, "预约提醒")
    assert json.loads(task["problems"]) == {"NUMBER_DUPLICATE": 1, "NUMBER_INVALID": 1}
    assert await site.db.fetchval("SELECT count(*) FROM send_draft") == 0
    assert await clerk.status_of(f"/send/{draft}/confirm", {"of": of[1]}) == 404


def options(page: str) -> list[str]:
    """The signatures that can be chosen."""
    select = re.search(r'<select[^>]* id="sign".*?</select>', page, re.S)
    return re.findall(r'<option value="([^"]*)"', select[0] if select else page)


@pytest.mark.parametrize("policy", ["off", "approved"])
async def test_a_signature_is_chosen_among_those_that_are_approved(site: Site, policy: str) -> None:
    change, hall = by_test(site.db, site.ids.next), site.accounts["hall"]
    names = [f"政务大厅{n:02}" for n in range(60)]
    for name in (*names, "未审签名"):
        id_ = await content.add_sign(change, hall, name)
        if name != "未审签名":
            await content.review(change, SIGN, id_, Review.APPROVED)
    limits = {name: parse(name, "off") for name in RELAXED} | {"sign_policy": parse("sign_policy", policy)}
    site.snapshots.change(policies=PolicySet({(0, ""): limits}, book=await ContentLoader().load(site.db)))
    other = ["*"] if policy == "off" else []
    async with signed_in(site, "clerk") as clerk, Browser(site) as boss:
        page = html.unescape(await clerk.get("/send"))
        assert options(page) == ["", *names[:50], *other, ""], "the last says that there are more"
        assert "还有 10 个，请查找" in page
        step = fields(site, page)
        found = await clerk.post("/send", step | {"sign_find": "厅59", "find": "1", "sign": names[3]})
        assert options(found) == ["", names[3], names[59], *other], "without scripts, and the chosen one stays"
        assert f'value="{names[3]}" selected' in found
        assert await site.db.fetchval("SELECT count(*) FROM send_draft") == 0, "only looked for"
        assert options(await clerk.post("/send/-/signs", step | {"sign_find": "未审"})) == ["", *other]
        wrong = html.unescape(await clerk.post("/send", step | {"sign": "未审签名"}))
        if policy == "approved":
            assert (clerk.status, "没有这个已通过的签名" in wrong) == (422, True)
            return
        draft = draft_in(clerk.path)
        typed = html.unescape(await clerk.get(f"/send/{draft}/content"))
        assert re.search(r'value="\*" selected', typed)
        assert 'name="sign_other" value="未审签名"' in typed
        await clerk.post(f"/send/{draft}/content", step | {"sign": "*", "sign_other": "【便民热线】"})
        assert await site.db.fetchval("SELECT state::jsonb->>'sign' FROM send_draft") == "便民热线"
        await boss.login("boss")
        clinic = await boss.post("/send/-/signs", step | {"account": str(site.accounts["clinic"])})
        assert options(clinic) == ["", "*"], "another account has its own"


async def test_several_spans_of_the_day_are_kept_shown_and_sent_with(site: Site, clerk: Browser) -> None:
    spans = [("when", "now"), ("windows1_from", "09:00"), ("windows1_to", "11:30"), ("windows2_from", "14:00"),
             ("windows2_to", "17:00"), *(("windows2_days", str(day)) for day in range(1, 6)),
             *(("windows1_days", str(day)) for day in range(1, 6)), ("windows3_days", "6")]  # fmt: skip
    draft = await addressed(site, clerk)
    wrong = html.unescape(await clerk.post(f"/send/{draft}/time", {"when": "now", "windows1_to": "08:00"}))
    assert (clerk.status, "请至少选择一天" in wrong, 'value="08:00"' in wrong) == (422, True, True)
    async with clerk.session.post(f"/send/{draft}/time", data=[("csrf", clerk.csrf), *spans]) as answer:
        assert urlsplit(str(answer.url)).path == f"/send/{draft}/confirm"
    assert 'value="14:00"' in await clerk.get(f"/send/{draft}/time")
    page = await looked_at(clerk, draft, "confirm")
    assert "周一至周五 09:00–11:30、14:00–17:00" in page
    ends = re.search(r'id="ends">(\d{4}-\d\d-\d\d \d\d:\d\d)', page)
    kept = written("mon-fri 09:00-11:30 14:00-17:00")
    assert kept.open_until(datetime.fromisoformat(f"{ends[1]}+08:00")), "it ends when it may be sent"
    assert "发送任务已建立" in await submitted(clerk, draft)
    task = await site.db.fetchrow("SELECT id, windows FROM task")
    assert json.loads(task["windows"]) == kept.plain
    assert "周一至周五 09:00–11:30、14:00–17:00" in html.unescape(await clerk.get(f"/tasks/{task['id']}"))
    # A draft of the version before keeps its span.
    draft = await begun(site, clerk)
    before = """UPDATE send_draft SET state = (state::jsonb - 'windows' || '{"window_from": "09:00"}')::text"""
    await site.db.execute(before)
    assert 'name="windows1_from" type="time" value="09:00"' in await clerk.get(f"/send/{draft}/time")


async def test_a_table_makes_personal_texts_and_any_row_can_be_seen(site: Site, clerk: Browser) -> None:
    await clerk.get("/custom")
    page = await upload(clerk, "/custom", TABLE.encode("gb18030"), account=site.accounts["hall"])
    draft = draft_in(clerk.path)
    assert "{姓名}" in page
    await clerk.post(f"/send/{draft}/content", fields(site, page, content=TEXT))
    assert "【市政服务】王一您好，请于9点到场" in html.unescape(await clerk.get(clerk.path))
    assert "【市政服务】李二您好，请于10点到场" in html.unescape(await clerk.post(f"/send/{draft}/row", {"n": "2"}))
    assert "没有可用的内容" in html.unescape(await clerk.post(f"/send/{draft}/row", {"n": "5"}))
    swapped = html.unescape(await clerk.post(f"/send/{draft}/row", {"n": "2", "var_姓名": "时间", "var_时间": "姓名"}))
    assert "10点您好，请于李二到场" in swapped
    await clerk.post(f"/send/{draft}/audience", {"phone": "手机号", "var_姓名": "姓名", "var_时间": "时间"})
    shows(await looked_at(clerk, draft), "共 5 行，有效 2 行", "缺少变量")
    file = await clerk.get(f"/send/{draft}/clean/file?class=CONTENT_VARIABLE_UNRESOLVED")
    shows(file, "手机号,姓名,时间,行号,号码,原因", "13800138004,,12点,6,13800138004")
    assert "将向 2 个号码发送" in await looked_at(clerk, draft, "confirm")
    await submitted(clerk, draft)
    task = await imported(site)
    assert await site.db.fetchval("SELECT valid FROM task") == 2

    # The rows that stopped are taken away, mended, and sent with the same text.
    assert f'action="/tasks/{task}/mend"' in html.unescape(await clerk.get(f"/tasks/{task}"))
    file = await clerk.get(f"/tasks/{task}/rows")
    head, *bad = file.removeprefix("\ufeff").splitlines()
    assert head == "手机号,姓名,时间,行号,原因"
    assert [line.split(",")[:4] for line in bad] == [["138", "赵三", "11点", "5"], ["13800138004", "", "12点", "6"]]
    headers = {"X-Dialog": "1"}
    await clerk.get(f"/tasks/{task}", headers=headers)
    await clerk.get(f"/tasks/{task}", headers=headers | {"X-Have": clerk.headers["X-Piece"]})
    assert clerk.status == 204, "nothing is new"
    mended = file.replace("138,赵三", "13800138003,赵三").replace("13800138004,,", "13800138004,钱四,")
    await clerk.post(f"/tasks/{task}/mend", {})
    again = draft_in(clerk.path)
    page = html.unescape(await upload(clerk, f"/send/{again}/file", mended.encode()))
    assert urlsplit(clerk.path).path == f"/send/{again}/audience"
    assert "【市政服务】赵三您好，请于11点到场" in page
    await clerk.post(f"/send/{again}/audience", {"phone": "手机号", "var_姓名": "姓名", "var_时间": "时间"})
    assert "将向 2 个号码发送" in await looked_at(clerk, again, "confirm")

    await clerk.post(f"/tasks/{task}/copy", {})
    copied = draft_in(clerk.path)
    assert "{姓名}您好" in html.unescape(await clerk.get(f"/send/{copied}/content"))


async def test_rows_that_somebody_has_to_see_are_told_before_and_shown_to_the_reviewer(site: Site) -> None:
    words = WordFilter([Word("贷款", "金融", Action.REVIEW)])
    site.snapshots.change(policies=replace(site.snapshots.current.policies, words=words, _known={}))
    rows = [f"1380013{n:04},{'办贷款' if n in (500, 501) else '缴水费'},9点" for n in range(600)]
    table = "\n".join(["手机号,姓名,时间", *rows])
    async with signed_in(site, "clerk") as clerk, Browser(site) as boss:
        draft = await of_table(site, clerk, table.encode(), TEXT, "姓名", "时间")
        text = await looked_at(clerk, draft)
        assert re.search(r'data-class="held".{0,200}须审批.{0,80}>2<', text, re.DOTALL)
        shows(text, "138****0500", "敏感词：贷款(金融)：办贷款您好，请于9点到场")
        file = await clerk.get(f"/send/{draft}/clean/file?class=held")
        assert [line.split(",")[0] for line in file.splitlines()[1:]] == ["502", "503"]
        text = await looked_at(clerk, draft, "confirm")
        shows(text, "2 行的内容含敏感词：贷款(金融)", "须审批的 2 行", "第 502 行", "提交审批")
        assert "等待审批" in await submitted(clerk, draft)
        task = await imported(site)
        assert await site.db.fetchval("SELECT state FROM task") == "review"

        await boss.login("boss")
        page = html.unescape(await boss.get(f"/review/{task}"))
        assert "2 行的内容含敏感词：贷款(金融)" in page
        assert "办<mark>贷款" in re.sub(r"<mark [^>]*>", "<mark>", page), "the rows themselves, with the word marked"
        assert "缴水费您好，请于9点到场" in page, "texts as they are sent, not values"


async def test_drafts_save_themselves_and_are_nobody_elses(site: Site) -> None:
    async with signed_in(site, "clerk") as clerk, signed_in(site, "other") as other:
        form = fields(site, await clerk.get("/send"), content="写到一半")
        for _ in range(2):
            assert await clerk.status_of("/send/-/save", form) == 204
        assert await site.db.fetchval("SELECT count(*) FROM send_draft") == 1, "the same form is the same draft"
        draft = await site.db.fetchval("SELECT id FROM send_draft")
        assert await clerk.status_of(f"/send/{draft}/save/content", form | {"content": "写完了"}) == 204
        assert "写完了" in await clerk.get("/drafts")
        assert "写完了" in await clerk.get(f"/drafts/{draft}")
        assert "写完了" not in await other.get("/drafts")
        for path in (f"/drafts/{draft}", f"/send/{draft}/content", f"/send/{draft}/clean", f"/send/{draft}/confirm"):
            assert await other.status_of(path) == 404, path
        assert await other.status_of(f"/send/{draft}/save/content", form) == 404
        await clerk.post("/drafts/-/do/copy", {"id": str(draft)})
        assert await site.db.fetchval("SELECT count(*) FROM send_draft") == 2
        await clerk.post("/drafts/-/do/remove", {"id": str(draft)})
        assert await site.db.fetchval("SELECT count(*) FROM send_draft") == 1
        await site.db.execute(
            "INSERT INTO send_draft (owner_id, key, kind, state) "
            "SELECT owner_id, 'k' || lpad(n::text, 20, '0'), kind, state FROM send_draft, "
            "generate_series(1, $1) n", MOST - 1)  # fmt: skip
        form = fields(site, await clerk.get("/send"), content="再一份")
        assert f"最多 {MOST} 份草稿" in html.unescape(await clerk.post("/send", form))
        assert clerk.status == 422


async def test_what_will_be_stopped_is_marked_where_it_stands(site: Site, clerk: Browser) -> None:
    now = site.snapshots.current.policies
    found = WordFilter([Word("贷款", "金融", Action.BLOCK), Word("中奖", "营销", Action.REVIEW)])
    site.snapshots.change(policies=replace(now, words=found, _known={}))
    form = fields(site, await clerk.get("/send"), content="<b>恭喜 中-奖 😀 贷　款")
    shows(await clerk.post("/send/-/live", form), '<mark class="mark-block" title="禁发 · 金融">贷　款</mark>',
          '<mark class="mark-review" title="须审批 · 营销">中-奖</mark>',
          '<mark class="mark-wide" title="部分手机无法显示">😀</mark>', "&lt;b&gt;恭喜")  # fmt: skip
    assert "含有禁发词：贷款" in await clerk.refusal("/send", form)
    form["content"] = "恭喜中奖"
    await clerk.post("/send", form)
    draft = draft_in(clerk.path)
    await clerk.post(f"/send/{draft}/audience", {"source": "typed", "to": "13800138000"})
    assert "提交后须经他人审批" in await looked_at(clerk, draft, "confirm")
    await submitted(clerk, draft)
    assert await site.db.fetchval("SELECT state FROM task") == "review", "as it was told before"


async def test_what_is_wrong_is_told_at_its_step(site: Site, clerk: Browser) -> None:
    draft = await begun(site, clerk, content=TEXT)
    typed = {"source": "typed", "to": "13800138000"}
    assert "内容含变量 {姓名}" in await clerk.refusal(f"/send/{draft}/audience", typed)
    assert "请先上传号码文件" in html.unescape(await clerk.post(f"/send/{draft}/audience", {"source": "file"}))
    await upload(clerk, f"/send/{draft}/file", b"PK\x03\x04nothing")
    assert clerk.status == 422
    assert "须在 1 到" in await clerk.refusal(f"/send/{draft}/options", {"rate": "fast", "one_each": "number"})
    assert "计划时间须晚于现在" in await clerk.refusal(f"/send/{draft}/time", {"when": "at", "at": "2020-01-01T09:00"})
    assert await clerk.status_of(f"/send/{draft}/time", {"when": "again", "every": "day", "every_at": "25:00"}) == 422


async def test_duplicates_are_not_mended(site: Site, clerk: Browser) -> None:
    """Their number has its message; the others are taken as they stand, signs and foreign numbers, too."""
    table = "手机号,姓名,金额\n13800138000,@张三,-12.50\n13800138000,@张三,-12.50\n+1 310 555 1234,,-3\n"
    draft = await of_table(site, clerk, table.encode(), "{姓名}应退{金额}元", "姓名", "金额")
    await submitted(clerk, draft)
    task = await imported(site)
    assert "下载问题行（不含重复的 1 行）" in html.unescape(await clerk.get(f"/tasks/{task}"))
    file = await clerk.get(f"/tasks/{task}/rows")
    _, bad = file.splitlines()
    assert bad.startswith("'+1 310 555 1234,,'-3,4,")
    await clerk.post(f"/tasks/{task}/mend", {})
    again = draft_in(clerk.path)
    mended = file.replace(",,", ",'@李二,")
    page = html.unescape(await upload(clerk, f"/send/{again}/file", mended.encode()))
    assert "@李二应退-3元" in page, "what keeps a spreadsheet from counting is no part of the text"
    await clerk.post(f"/send/{again}/audience", {"phone": "手机号", "var_姓名": "姓名", "var_金额": "金额"})
    await submitted(clerk, again)
    await imported(site)
    rows = await site.db.fetch("SELECT number, vals FROM task_row WHERE task_id <> $1", task)
    assert [(row["number"], row["vals"]) for row in rows] == [("13105551234", ["@李二", "-3"])]


async def test_what_was_found_gets_old(site: Site, clerk: Browser) -> None:
    draft = await addressed(site, clerk)
    text = await looked_at(clerk, draft, "confirm")
    of = re.search(r'name="of" value="([^"]+)"', text)
    await _made(site, "2026-01-01T00:00:00Z")
    assert "正在逐行" in html.unescape(await clerk.post(f"/send/{draft}/confirm", {"of": of[1]}))
    assert await site.db.fetchval("SELECT count(*) FROM task") == 0
    await submitted(clerk, draft)
    assert await site.db.fetchval("SELECT count(*) FROM task") == 1

    # What has stopped the whole is looked at again when the page is opened anew.
    draft = await addressed(site, clerk, content="您好")
    await looked_at(clerk, draft)
    problem = '["INTERNAL", "", "系统内部错误", "internal"]'
    await site.db.execute("UPDATE send_draft SET survey = jsonb_set(survey::jsonb, '{problem}', $1)", problem)
    assert "正在逐行" not in await clerk.get(f"/send/{draft}/clean"), "seen by whoever has waited for it"
    await _made(site, f"{clock.now() - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}")
    assert "正在逐行" in await clerk.get(f"/send/{draft}/clean")
    assert "有效 1 行" in await looked_at(clerk, draft)


async def _made(site: Site, at: str) -> None:
    """When all surveys were made."""
    await site.db.execute("UPDATE send_draft SET survey = jsonb_set(survey::jsonb, '{made}', to_jsonb($1::text))", at)


@pytest.mark.parametrize("policy", ["off", "registered"])
async def test_what_the_signature_is_not_registered_for_is_said_before_it_is_sent(site: Site, policy: str) -> None:
    """Numbers of the carriers where it is not, or no more; and what the policy does about them: the door obeys it."""
    change = by_test(site.db, site.ids.next)
    sign = await content.add_sign(change, site.accounts["hall"], "政务大厅")
    await content.review(change, SIGN, sign, Review.APPROVED)
    await content.register(change, SIGN, sign, ["CMCC", "CUCC", "CTCC"], Answer(Registration.REGISTERED))
    await content.register(
        change, SIGN, sign, ["CTCC"], Answer(Registration.REGISTERED, expires_at=clock.now() - timedelta(hours=1))
    )
    limits = {name: parse(name, "off") for name in RELAXED} | {"sign_policy": parse("sign_policy", policy)}
    site.snapshots.change(policies=PolicySet({(0, ""): limits}, book=await ContentLoader().load(site.db)))
    async with signed_in(site, "clerk") as clerk:
        draft = await addressed(site, clerk, "13800138000 18900138000 18900138001", sign="政务大厅")
        text = await looked_at(clerk, draft, "confirm")
    said = "按策略这些号码的短信会被拒绝" if policy == "registered" else "当前策略不拦截"
    assert said in text
    found = re.search(r'id="unregistered">(.*?)</ul>', text, re.S)
    assert re.findall(r"<li>(.*?)</li>", found[1]) == ["电信：已过期 · 2 个号码"]
    refused = "将向 1 个号码发送" in text
    assert refused == (policy == "registered")


async def test_a_group_with_those_below_it_gets_each_number_once(site: Site, clerk: Browser) -> None:
    """Without a word of the groups that somebody else keeps to themselves."""
    hall, by = site.accounts["hall"], by_test(site.db)
    city = await book.add_group(by, hall, "市民", Sharing())
    old = await book.add_group(by, hall, "老年", Sharing(), parent_id=city)
    own = await book.add_group(by, hall, "私人", Sharing(), parent_id=old)
    for n, groups in enumerate(((city,), (city, old), (old,), (own,))):
        await book.add(by, EntryDraft(hall, f"861380013800{n}", "", groups=groups))
    boss = await people.person(site.db, "boss")
    await site.db.execute("UPDATE audience SET owner_id = $2, shared = 'own' WHERE id = $1", own, boss.id)
    draft = await begun(site, clerk)
    assert "私人" not in await clerk.get(f"/send/{draft}/audience")
    for below, n in (("", 2), ("1", 3)):
        form = {"source": "audience", "groups": str(city), "below": below}
        assert f"共 {n} 位联系人" in await clerk.post(f"/send/{draft}/book", form)
        await clerk.post(f"/send/{draft}/audience", form)
        assert f"共 {n} 行，有效 {n} 行" in await looked_at(clerk, draft)
    await submitted(clerk, draft)
    task = await imported(site)
    numbers = await site.db.fetch("SELECT number FROM task_row WHERE task_id = $1 ORDER BY number", task)
    assert [str(row["number"])[-1] for row in numbers] == ["0", "1", "2"]


async def test_other_numbers_than_those_confirmed_are_asked_about_again(site: Site, clerk: Browser) -> None:
    everybodys = await group(site, "hall", "大家的")
    draft = await begun(site, clerk)
    await clerk.post(f"/send/{draft}/audience", {"source": "audience", "audience": str(everybodys)})
    assert "将向 1 个号码发送" in await looked_at(clerk, draft, "confirm")
    another = EntryDraft(site.accounts["hall"], "13800138001", name="", groups=(everybodys,))
    await book.add(Change(site.db, Actor.operator("test")), another)
    assert "号码有变化" in await submitted(clerk, draft)
    assert await site.db.fetchval("SELECT count(*) FROM task") == 0
    assert "将向 2 个号码发送" in await looked_at(clerk, draft, "confirm")
    await submitted(clerk, draft)
    assert await site.db.fetchval("SELECT count(*) FROM task") == 1


async def test_long_texts_leave_room_for_what_was_found(site: Site, clerk: Browser) -> None:
    long = "好" * 900
    table = "手机号,内容\n" + "".join(f"1380013{n:04},{long}{n}\n" for n in range(200))
    draft = await of_table(site, clerk, table.encode(), "{内容}", "内容")
    assert "有效 200 行" in await looked_at(clerk, draft)


async def test_what_no_form_offers_is_refused_where_it_stands(site: Site, clerk: Browser) -> None:
    draft = await addressed(site, clerk)
    assert await clerk.status_of(f"/send/{draft}/options", {"one_each": "both"}) == 422
    for when in ({"when": "at", "at": "9999-12-31T23:59"}, {"when": "again", "every": "day", "every_at": "9:00",
                                                           "until": "9999-12-31"}):  # fmt: skip
        await clerk.post(f"/send/{draft}/options", {"one_each": "number", "hours": "720"})
        assert await clerk.status_of(f"/send/{draft}/time", when) == 422, when
    form = {"account": str(site.accounts["hall"]), "type": "gossip", "content": "您好", "later": "1"}
    await clerk.post(f"/send/{draft}/content", form)
    for page in ("time", "options", "audience", "content"):
        assert await clerk.status_of(f"/send/{draft}/{page}") == 200, page
    await looked_at(clerk, draft)
    assert clerk.status == 422, "the page says what stops it"


async def test_opening_a_result_again_and_again_is_one_job_and_only_the_owners(site: Site) -> None:
    """The pages enter the job by GET, where a link of somebody else may lead: there is nothing to gain by it."""
    async with all_signed_in(site, "clerk", "boss") as (clerk, other):
        draft = await addressed(site, clerk)
        for page in ("clean", "confirm"):
            assert await other.status_of(f"/send/{draft}/{page}") == 404
        for _ in range(3):
            for page in ("clean", "confirm", "clean/live", "confirm/live"):
                await clerk.get(f"/send/{draft}/{page}")
        await looked_at(clerk, draft)
        for page in ("clean", "confirm"):
            await clerk.get(f"/send/{draft}/{page}")
        assert await site.db.fetchval("SELECT count(*) FROM job WHERE kind = 'draft.survey'") == 1
        assert await site.db.fetchval("SELECT count(*) FROM task") == 0
        # Nor has a request that had read the draft before the job ended.
        read = await queries.any_one(site.db, draft)
        await enqueue(site.db, replace(read, survey=None, survey_of=""), ActorLabel("demo"), None)
        assert await site.db.fetchval("SELECT count(*) FROM job WHERE kind = 'draft.survey'") == 1
        # A job that fails is told on the page.
        await site.db.execute("UPDATE send_draft SET survey = NULL, survey_of = ''")
        job = await site.db.fetchval("SELECT id FROM job ORDER BY id DESC LIMIT 1")
        found = await jobs.get(site.db, EVERYTHING, job)
        failed = site.surveyor.kind().failed
        await failed(found, None)
        assert await clerk.status_of(f"/send/{draft}/clean") == 422


async def test_a_second_tab_empties_nothing_and_sends_nothing_twice(site: Site, clerk: Browser) -> None:
    form = fields(site, await clerk.get("/send"))
    await clerk.post("/send", form)
    draft = draft_in(clerk.path)
    await clerk.post(f"/send/{draft}/audience", {"source": "typed", "to": "13800138000"})
    await clerk.post("/send/-/save", form | {"subject": "另一个标签页"})
    one = await queries.any_one(site.db, draft)
    assert (one.state.to, one.state.subject) == ("13800138000", "另一个标签页")
    text = await looked_at(clerk, draft, "confirm")
    hidden = dict(re.findall(r'name="(of|key)" value="([^"]+)"', text.partition("<aside>")[0]))
    await clerk.post(f"/send/{draft}/confirm", hidden)
    task = urlsplit(clerk.path).path
    assert task.startswith("/tasks/")
    await clerk.post(f"/send/{draft}/confirm", hidden)
    assert (clerk.status, urlsplit(clerk.path).path) == (200, task), "the second press"
    assert "这份草稿已发出" in html.unescape(await clerk.post("/send", form))
    assert await site.db.fetchval("SELECT count(*) FROM send_draft") == 0
    # Of two requests that have read the same draft neither takes back what the other has kept.
    change = await acting_as(site, "clerk")
    draft = (await service.begin(change, "key-of-two-tabs-0", Kind.SAME, State(content="您好"), ())).id
    await service.put(change, draft, State(to="13800138000"), {"to"})
    await service.put(change, draft, State(content="再见"), {"content"})
    one = await queries.any_one(site.db, draft)
    assert (one.state.to, one.state.content) == ("13800138000", "再见")


async def test_all_rows_of_a_class_come_block_by_block(site: Site, clerk: Browser) -> None:
    n = 5000
    table = "手机号\n" + "".join(f"139{at:08}\n" for at in range(n)) + "".join(f"12{at}\n" for at in range(n))
    draft = await begun(site, clerk)
    await upload(clerk, f"/send/{draft}/file", table.encode())
    await clerk.post(f"/send/{draft}/audience", {"source": "file", "phone": "手机号"})
    await looked_at(clerk, draft)
    for cls, first, last in (("valid", "13900000000", f"139{n - 1:08}"), ("NUMBER_INVALID", "120", f"12{n - 1}")):
        file = await clerk.get(f"/send/{draft}/clean/file?class={cls}")
        assert "Content-Length" not in clerk.headers, "it is never there as a whole"
        head, *rows = file.removeprefix("\ufeff").splitlines()
        assert head.endswith("行号,号码,原因")
        assert len(rows) == n
        assert first in rows[0]
        assert last in rows[-1]
    one = await queries.any_one(site.db, draft)
    person = await people.person(site.db, "clerk")
    blocks = [len(rows) async for rows in site.surveyor.rows(one, person.actor(), "valid")]
    assert len(blocks) > 1, "others have their turn in between"
    assert sum(blocks) == n


def test_rows_of_a_class_are_bounded() -> None:
    wide = ["123", *["文" * 2000] * 255]
    survey = RowSurvey(Wanted(Plan(1, 0, "您好"), whole="NUMBER_INVALID"))
    survey.take((line, wide) for line in range(100))
    found = survey.result()
    assert found.problems == {"NUMBER_INVALID": 100}
    assert sum(len(cell) for row in found.bad["NUMBER_INVALID"] for cell in row.cells) < 2 * KEPT_CHARACTERS


async def test_a_form_that_is_none_is_refused(site: Site, clerk: Browser) -> None:
    await clerk.get("/custom")
    for account in (b"\xff\xfe", b"1" * 100_000):
        form = aiohttp.FormData()
        form.add_field("csrf", clerk.csrf)
        form.add_field("account", io.BytesIO(account), content_type="text/plain")
        form.add_field("file", io.BytesIO(TABLE.encode()), filename="a.csv", content_type="text/csv")
        async with clerk.session.post("/custom", data=form) as response:
            assert response.status in (400, 422)
    assert await site.db.fetchval("SELECT count(*) FROM upload") == 0


async def test_a_foreign_number_that_was_refused_stays_foreign(site: Site, clerk: Browser) -> None:
    draft = await addressed(site, clerk, "+13105551234")
    await submitted(clerk, draft)
    task = await imported(site)
    await site.db.execute(
        "INSERT INTO task_problem (task_id, run, line, n, number, code, message) "
        "VALUES ($1, 0, 1, 1, '13105551234', 'NO_ROUTE', '没有通道')", task)  # fmt: skip
    _, row = (await clerk.get(f"/tasks/{task}/rows")).splitlines()
    assert row.startswith("'+13105551234,1,")


THEIRS = "手机号,姓名\n13800138000,王一\n+1 310 555 1234,李二\n138,赵三\n"


async def group(site: Site, account: str, name: str, *, owner: str = "", number: str = "13800138000") -> int:
    """A group of one contact; ``owner``: alone theirs, else everybody's who sees the account."""
    person = await people.person(site.db, owner) if owner else None
    actor = person.actor() if person else Actor.operator("test")
    sharing = Sharing(Shared.OWN if person else Shared.ACCOUNT)
    id_ = await book.add_group(Change(site.db, actor), site.accounts[account], name, sharing)
    draft = EntryDraft(site.accounts[account], number, name="王一", groups=(id_,), sharing=sharing)
    await book.add(Change(site.db, actor), draft)
    return id_


async def test_a_draft_cannot_be_made_to_look_at_another_account(site: Site, clerk: Browser) -> None:
    theirs = await group(site, "clinic", "病人")
    clinic = str(site.accounts["clinic"])
    draft = await begun(site, clerk)
    form = {"account": clinic, "type": "notice", "content": "您好", "later": "1"}
    assert await clerk.status_of(f"/send/{draft}/content", form) == 404
    await clerk.post(f"/send/{draft}/audience", {"source": "audience", "audience": str(theirs), "later": "1"})
    # And should it stand there all the same, as when the account was taken away in between:
    await site.db.execute(
        "UPDATE send_draft SET state = jsonb_set(state::jsonb, '{account}', to_jsonb($1::text))", clinic
    )
    for page in ("clean", "clean/live", "clean/file?class=valid", "confirm", "confirm/live", "audience", "time"):
        assert await clerk.status_of(f"/send/{draft}/{page}") == 404, page
    assert await site.db.fetchval("SELECT count(*) FROM job") == 0
    await clerk.get(f"/drafts/{draft}")
    assert (clerk.status, clerk.path) == (200, f"/send/{draft}/content"), "another one can be chosen"
    hall = str(site.accounts["hall"])
    await clerk.post(f"/send/{draft}/content", {"account": hall, "type": "notice", "content": "您好"})
    assert clerk.path == f"/send/{draft}/audience"
    one = await queries.any_one(site.db, draft)
    assert (one.state.account, one.state.audience) == (hall, ""), "what was the other's is forgotten"


async def test_the_job_has_the_reach_of_whoever_has_asked(site: Site, clerk: Browser) -> None:
    theirs, private = await group(site, "clinic", "病人"), await group(site, "hall", "同事的", owner="other")
    person = await people.person(site.db, "clerk")
    draft = await begun(site, clerk)
    one = await queries.any_one(site.db, draft)
    for account, group_id in (("clinic", theirs), ("hall", private), ("hall", theirs)):
        state = {"account": str(site.accounts[account]), "audience": str(group_id), "source": "audience"}
        asked = replace(one, state=msgspec.structs.replace(one.state, **state))
        with pytest.raises((Invalid, Refused)):
            await site.surveyor.survey(asked, person.actor())


async def test_a_colleague_s_own_group_is_not_offered_nor_taken(site: Site) -> None:
    private = await group(site, "hall", "同事的", owner="other")
    shared = await group(site, "hall", "大家的", number="13800138001")
    async with signed_in(site, "clerk") as clerk, Browser(site) as other:
        draft = await begun(site, clerk)
        page = html.unescape(await clerk.get(f"/send/{draft}/audience"))
        shows(page, '大家的 <span class="quiet">1</span>', no="同事的")
        assert await clerk.status_of(f"/send/{draft}/audience", {"source": "audience", "audience": str(private)}) == 422
        await clerk.post(f"/send/{draft}/audience", {"source": "audience", "audience": str(shared)})
        assert clerk.path == f"/send/{draft}/clean"
        await looked_at(clerk, draft, "confirm")
        own = "UPDATE audience g SET shared = 'own', owner_id = s.id FROM staff s WHERE s.login = 'other' AND g.id = $1"
        await site.db.execute(own, shared)
        await submitted(clerk, draft)
        assert clerk.status == 422
        assert await site.db.fetchval("SELECT count(*) FROM task") == 0, "taken back before it was sent"
        await other.login("other")
        draft = await begun(site, other)
        assert "同事的" in await other.get(f"/send/{draft}/audience")
        await other.post(f"/send/{draft}/audience", {"source": "audience", "audience": str(private)})
        await submitted(other, draft)
        assert await site.db.fetchval("SELECT audience_id FROM task") == private


async def chosen(site: Site, source: str) -> dict[str, str]:
    """The fields of the step that chooses one number by a group, or by what has come of a message to it."""
    if source == "audience":
        return {"source": "audience", "audience": str(await group(site, "hall", "大家的"))}
    account = site.snapshots.current.account(site.accounts["hall"])
    items = (SendItem("13800138000", "通知"),)
    await site.acceptor.send(SendRequest(account, items, MessageType.NOTICE, Origin.API, "key"))
    await site.db.execute("UPDATE part SET state = $1", int(PartState.UNDELIVERABLE))
    return {"source": "segment", "segment": "unreached", "segment_days": "30"}


@pytest.mark.parametrize(("source", "right"), [("audience", "contact.export"), ("segment", "message.export")])
async def test_whole_numbers_of_an_audience_are_an_export(site: Site, dsn: str, source: str, right: str) -> None:
    fields = await chosen(site, source)
    async with signed_in(site, "clerk") as clerk:
        draft = await begun(site, clerk)
        await clerk.post(f"/send/{draft}/audience", fields)
        await looked_at(clerk, draft)
        await taken_away(site, clerk, dsn, f"/send/{draft}/clean/file?class=valid", right)
        await submitted(clerk, draft)
        task = await imported(site)
        await refused_row(site, task)
        await taken_away(site, clerk, dsn, f"/tasks/{task}/rows", right, named=f"/tasks/{task}")


async def test_rows_of_a_colleague_s_table_are_an_export(site: Site, dsn: str, clerk: Browser) -> None:
    await submitted(clerk, await of_table(site, clerk, THEIRS.encode(), "{姓名}您好", "姓名"))
    task = await imported(site)
    await refused_row(site, task)
    await _may(dsn, "message.export", yes=False)
    assert f"/tasks/{task}/rows" in await clerk.get(f"/tasks/{task}")
    assert "13800138000" in await clerk.get(f"/tasks/{task}/rows"), "it is their own"
    await site.db.execute("UPDATE upload SET submitter = 'other'")
    await taken_away(site, clerk, dsn, f"/tasks/{task}/rows", "message.export", named=f"/tasks/{task}")


async def refused_row(site: Site, task: int) -> None:
    """One row of it has got no message."""
    await site.db.execute(
        "INSERT INTO task_problem (task_id, run, line, n, number, code, message) "
        "VALUES ($1, 0, 1, 1, '8613800138000', 'NO_ROUTE', '没有通道')", task)  # fmt: skip
    await site.db.execute("""UPDATE task SET problems = '{"NO_ROUTE": 1}' WHERE id = $1""", task)


async def taken_away(site: Site, clerk: Browser, dsn: str, file: str, right: str, *, named: str = "") -> None:
    """The file takes the right, and a second factor just now; the page that it is ``named`` on leads to it with the
    right alone."""
    await _may(dsn, right, yes=False)
    await site.db.execute("UPDATE portal_session SET factor_at = now()")
    assert await clerk.status_of(file) == 403
    assert not named or file not in await clerk.get(named)
    await _may(dsn, right, yes=True)
    assert not named or file in await clerk.get(named)
    assert "13800138000" in await clerk.get(file)
    await site.db.execute("UPDATE portal_session SET factor_at = NULL, proven_at = now()")
    assert "13800138000" not in await clerk.get(file)
    assert clerk.path.startswith("/proof"), "a password is not enough"


async def test_a_colleague_s_numbers_are_not_copied(site: Site, dsn: str) -> None:
    async with signed_in(site, "clerk") as clerk, Browser(site) as other:
        to = "13800138000\n+13105551234"
        await submitted(clerk, await addressed(site, clerk, to))
        typed = await imported(site)
        await submitted(clerk, await of_table(site, clerk, THEIRS.encode(), "{姓名}您好", "姓名"))
        table = await imported(site)
        await other.login("other")
        for task in (typed, table):
            assert "号码只有提交人本人可以复制" in html.unescape(await other.post(f"/tasks/{task}/copy", {}))
            copied = await queries.any_one(site.db, draft_in(other.path))
            assert (copied.state.to, copied.state.upload) == ("", "")
            assert copied.state.content in ("您好，请到场", "{姓名}您好")
            theirs = copied
        # Nor are its texts, for who may not read those of others; the button is not there, either.
        await _may(dsn, "message.read", yes=False)
        for task in (typed, table):
            assert f"/tasks/{task}/copy" not in await other.get(f"/tasks/{task}")
            for way in ("copy", "mend"):
                assert await other.status_of(f"/tasks/{task}/{way}", {}) == 404, way
            assert f"/tasks/{task}/copy" in await clerk.get(f"/tasks/{task}"), "their own"
            assert await clerk.status_of(f"/tasks/{task}/copy", {}) == 200
        await _may(dsn, "message.read", yes=True)
        # Should a draft have a colleague's table from before:
        await site.db.execute(
            "UPDATE send_draft SET state = jsonb_set(state::jsonb, '{upload}', "
            "(SELECT to_jsonb(id::text) FROM upload)) WHERE id = $1", theirs.id)  # fmt: skip
        await _may(dsn, "message.export", yes=False)
        assert await other.status_of(f"/send/{theirs.id}/clean/file?class=valid") == 403
        # The person's own come as they can be typed again: a foreign number stays foreign.
        await clerk.post(f"/tasks/{typed}/copy", {})
        copied = await queries.any_one(site.db, draft_in(clerk.path))
        assert copied.state.to.split() == to.split()
        await clerk.post(f"/tasks/{table}/copy", {})
        again = draft_in(clerk.path)
        await looked_at(clerk, again)
        shows(await clerk.get(f"/send/{again}/clean/file?class=valid"), "+13105551234", no="8613105551234")


async def _may(dsn: str, permission: str, *, yes: bool) -> None:
    """Whether everybody has a permission, whatever their roles say."""
    every = f"SELECT id, '{permission}', {yes} FROM staff"  # noqa: S608 - ours
    put = f"ON CONFLICT (staff_id, permission) DO UPDATE SET allowed = {yes}"
    await as_owner(dsn, f"INSERT INTO staff_permission (staff_id, permission, allowed) {every} {put}")
