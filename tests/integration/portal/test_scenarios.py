"""Scenarios as pages: made, changed and stopped by who may; what one has is what is sent in it."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from browsing import shows
from portal_site import Site
from visits import acting, actions, all_signed_in, signed_in
from wizard_steps import draft_in, fields, looked_at, submitted

from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType
from smsgw.core.templates import Review
from smsgw.platform.content import service as content
from smsgw.platform.content.model import TEMPLATE
from smsgw.platform.scenarios import queries, service
from smsgw.platform.scenarios.model import Terms
from smsgw.runtime import clock

TEXT = "验证码123456，五分钟内有效"
pytestmark = pytest.mark.staff(boss="super", clerk=("operator", "hall"))


async def template(site: Site) -> int:
    id_ = await content.add_template(acting(site), site.accounts["hall"], "登录", "otp", TEXT, {})
    await content.review(acting(site), TEMPLATE, id_, Review.APPROVED)
    await site.snapshots.follow()
    site.snapshots.change(policies=site.snapshots._below.current.policies)  # with its template
    return id_


async def test_a_scenario_is_made_changed_copied_and_stopped(site: Site) -> None:
    id_ = await template(site)
    async with all_signed_in(site, "boss", "clerk") as (boss, clerk):
        form = {"account": str(site.accounts["hall"]), "name": "登录验证", "type": "otp", "template": str(id_)}
        wrong = await boss.post("/scenarios/-/new", form | {"windows1_from": "8", "windows1_days": "1"})
        assert (boss.status, "每个时段须有开始和结束时刻" in wrong, 'value="8"' in wrong) == (422, True, True)
        await boss.refused("/scenarios/-/new", form | {"windows1_from": "08:00"}, "至少选一天")  # of no day
        wrong = await boss.post("/scenarios/-/new", form | {"type": "notice"})
        assert (boss.status, "的类型是" in html.unescape(wrong)) == (422, True)
        await boss.post("/scenarios/-/new", form | {"valid_minutes": "5", "extend_code": "7"})
        place = urlsplit(boss.path).path
        assert re.fullmatch(r"/scenarios/\d+", place)
        shows(await boss.get(place), "登录验证", f"/scenarios/-/new?from={place.rpartition('/')[2]}")
        assert 'value="登录验证"' in await boss.get(f"/scenarios/-/new?from={place.rpartition('/')[2]}")
        again = await boss.post("/scenarios/-/new", form)
        assert (boss.status, "请换一个名称" in html.unescape(again)) == (422, True)
        saturday = {"windows2_from": "08:00", "windows2_to": "20:00", "windows2_days": "6"}
        await boss.post(place + "/edit", form | saturday)
        assert "周六 08:00–20:00" in await boss.get("/scenarios")

        assert "登录验证" in await clerk.get("/scenarios"), "who sends sees what can be picked"
        assert "/scenarios/-/new" not in await clerk.get("/scenarios")
        assert await clerk.status_of("/scenarios/-/new") == 403
        stop = {"id": place.rpartition("/")[2], "confirmed": "1"}
        await boss.post("/scenarios/-/do/stop", stop)
        assert "已停用" in await boss.get(place)
    assert await actions(site, "scenario.") == ["scenario.add", "scenario.set", "scenario.stop"]


async def test_what_a_scenario_has_is_what_is_sent(site: Site) -> None:
    id_ = await template(site)
    terms = Terms("登录验证", MessageType.OTP, "", id_, "7", 30, note="登录用")
    scenario = await service.add(acting(site), site.accounts["hall"], terms)
    async with signed_in(site, "clerk") as clerk:
        page = html.unescape(await clerk.get(f"/send?scenario={scenario}"))
        shows(page, "登录用", f"#{id_} {TEXT}")
        made = fields(site, page, scenario=str(scenario), type="marketing", content="别的内容", template="")
        await clerk.post("/send", made)
        draft = draft_in(clerk.path)
        await clerk.post(f"/send/{draft}/audience", {"source": "typed", "to": "13800138000"})
        await looked_at(clerk, draft)
        options = html.unescape(await clerk.get(f"/send/{draft}/options"))
        shows(options, "由业务场景规定", "业务场景规定最长 30 分钟")
        await clerk.post(f"/send/{draft}/options", {"one_each": "number"})
        await clerk.post(f"/send/{draft}/time", {"when": "now"})
        assert "发送任务已建立" in await submitted(clerk, draft)
    task = await site.db.fetchrow("SELECT * FROM task")
    assert (task["type"], task["content"], task["template_id"], task["extend_code"]) == ("otp", TEXT, id_, "7")
    assert (task["expire_at"] - task["created_at"]).total_seconds() <= 31 * 60


async def test_a_chain_is_part_of_a_scenario_and_of_what_is_sent(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        form = {"account": str(site.accounts["hall"]), "name": "通知", "type": "notice", "hop2_content": "第二次",
                "hop2_when": "failed", "fallback_minutes": "90"}  # fmt: skip
        wrong = await boss.post("/scenarios/-/new", form | {"hop2_content": "{姓名}您好"})
        assert (boss.status, "变量 姓名 没有取值" in html.unescape(wrong)) == (422, True)
        assert "hop2_content-problem" in wrong
        await boss.post("/scenarios/-/new", form)
        place = urlsplit(boss.path).path
        scenario = place.rpartition("/")[2]
        assert "第 1 跳（仅失败）：第二次" in html.unescape(await boss.get(place))
        assert "第二次" in await boss.get(place + "/edit")
        page = await boss.get(f"/send?scenario={scenario}")
        await boss.post("/send", fields(site, page, scenario=scenario))
        draft = draft_in(boss.path)
        await boss.post(f"/send/{draft}/audience", {"source": "typed", "to": "13800138000"})
        await looked_at(boss, draft)
        options = html.unescape(await boss.get(f"/send/{draft}/options"))
        shows(options, 'id="scene-hops"', "第 1 跳（仅失败）：第二次")
        await boss.post(f"/send/{draft}/options", {"one_each": "number"})
        await boss.post(f"/send/{draft}/time", {"when": "now"})
        assert "第 1 跳（仅失败）：第二次" in await looked_at(boss, draft, "confirm")
        assert "发送任务已建立" in await submitted(boss, draft)
    assert await site.db.fetchval("SELECT fallback ->> 'minutes' FROM task") == "90"


async def test_a_draft_whose_scenario_was_stopped_is_not_sent(site: Site) -> None:
    scenario = await service.add(acting(site), site.accounts["hall"], Terms("通知", MessageType.NOTICE))
    async with signed_in(site, "clerk") as clerk:
        page = await clerk.get(f"/send?scenario={scenario}")
        await clerk.post("/send", fields(site, page, scenario=str(scenario)))
        draft = draft_in(clerk.path)
        await service.stop(acting(site), scenario)
        text = html.unescape(await clerk.post(f"/send/{draft}/audience", {"source": "typed", "to": "13800138000"}))
        assert (clerk.status, "已停用" in text) == (422, True)
        assert "业务场景" in html.unescape(await clerk.get(f"/send/{draft}/content"))
        again = await clerk.post(f"/send/{draft}/content", fields(site, page, scenario=str(scenario)))
        assert (clerk.status, "请重新选择" in html.unescape(again)) == (422, True)
        await clerk.post(f"/send/{draft}/content", fields(site, page, scenario=""))
        assert clerk.path.endswith("/audience")


async def test_picking_one_fills_the_form_and_another_departments_is_none(site: Site) -> None:
    terms = Terms("通知", MessageType.MARKETING, "测试")
    own = await service.add(acting(site), site.accounts["hall"], terms)
    foreign = await service.add(acting(site), site.accounts["clinic"], Terms("诊所", MessageType.NOTICE))
    async with signed_in(site, "clerk") as clerk:
        page = await clerk.get("/send")
        assert "诊所" not in page
        picked = html.unescape(await clerk.post("/send", fields(site, page, scenario=str(own)) | {"pick": "1"}))
        assert clerk.status == 200
        shows(picked, 'name="type" value="marketing"', 'name="sign" value="测试"')
        assert await site.db.fetchval("SELECT count(*) FROM send_draft") == 0
        await clerk.refused("/send", fields(site, page, scenario=str(foreign)) | {"pick": "1"}, no="诊所")


async def test_a_draft_and_a_task_become_a_scenario_for_who_may_make_one(site: Site) -> None:
    assert await service.add(acting(site), site.accounts["clinic"], Terms("诊所", MessageType.NOTICE))
    async with all_signed_in(site, "boss", "clerk") as (boss, clerk):
        page = await boss.get("/send")
        await boss.post("/send", fields(site, page, subject="窗口提醒", sign="测试"))
        draft = draft_in(boss.path)
        await boss.post(f"/send/{draft}/audience", {"source": "typed", "to": "13800138000"})
        chain = {"fallback": "1", "hop1_content": "请来电", "hop1_when": "failed", "fallback_minutes": "90"}
        await boss.post(f"/send/{draft}/options", {"one_each": "number", "hours": "6", "extend_code": "7", **chain})
        at = (clock.now().astimezone(CHINA) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
        time = {"when": "at", "at": at, "windows1_from": "08:00", "windows1_to": "20:00", "windows1_days": "6"}
        await boss.post(f"/send/{draft}/time", time)
        assert f'href="/scenarios/-/new?draft={draft}"' in await looked_at(boss, draft, "confirm")

        def told(page: str) -> list[bool]:
            page = html.unescape(page)
            return [text in page for text in (
                'value="窗口提醒"', 'value="测试"', 'value="360"', 'value="7"', 'value="08:00"', 'value="20:00"',
                "请来电", 'value="90"', f'value="{site.accounts["hall"]}" selected', 'value="notice" selected',
            )]  # fmt: skip

        assert all(told(await boss.get(f"/scenarios/-/new?draft={draft}")))
        await submitted(boss, draft)
        task = await site.db.fetchval("SELECT id FROM task")
        assert f"/scenarios/-/new?task={task}" in await boss.get(f"/tasks/{task}")
        page = await boss.get(f"/scenarios/-/new?task={task}")
        assert all(told(page)), told(page)
        form = {"account": str(site.accounts["hall"]), "name": "窗口提醒", "type": "notice", "sign": "测试",
                "valid_minutes": "360", "extend_code": "7", "windows1_from": "08:00", "windows1_to": "20:00",
                "windows1_days": "6", "hop1_content": "请来电", "hop1_when": "failed", "fallback_minutes": "90"}
        await boss.post("/scenarios/-/new", form)
        row = await site.db.fetchrow("SELECT * FROM scenario WHERE name = '窗口提醒'")
        assert (row["windows"], row["valid_minutes"], row["sign"]) == ("sat 08:00-20:00", 360, "测试")
        assert json.loads(row["fallback"])["hops"][0]["content"] == "请来电"

        assert "/scenarios/-/new" not in await clerk.get(f"/tasks/{task}"), "for who may make scenarios"
        assert await clerk.status_of(f"/scenarios/-/new?task={task}") == 403
        await clerk.post("/send", fields(site, await clerk.get("/send"), subject="我的草稿"))
        own = draft_in(clerk.path)
        assert "我的草稿" not in await boss.get(f"/scenarios/-/new?draft={own}"), "a draft is its owner's"


async def test_spans_are_the_same_for_nodes_of_the_version_before(site: Site) -> None:
    hall, kept = site.accounts["hall"], "SELECT window_from, window_to FROM scenario WHERE id = $1"

    async def said(id_: int) -> str:
        one = await queries.one(site.db, id_, accounts=None)
        return one.terms.windows

    by_new = await service.add(acting(site), hall, Terms("新节点", MessageType.NOTICE, windows="08:30-20:00"))
    assert tuple(await site.db.fetchrow(kept, by_new)) == ("08:30", "20:00")
    by_old = await site.db.fetchval("INSERT INTO scenario (account_id, created_by, name, type, window_from, window_to)"
                                    " VALUES ($1, 'old', '旧节点', 'notice', '09:00', '18:00') RETURNING id",
                                    hall)  # fmt: skip
    assert await said(by_old) == "09:00-18:00"
    await site.db.execute("UPDATE scenario SET window_from = '10:00', window_to = '24:00' WHERE id = $1", by_new)
    assert await said(by_new) == "10:00-24:00", "an old node has changed it"
    several = "mon-fri 09:00-11:30 14:00-17:00"
    for id_, windows in ((by_old, several), (by_new, "")):
        await service.put(acting(site), id_, Terms(f"改过{id_}", MessageType.NOTICE, windows=windows))
        assert await said(id_) == windows
        assert tuple(await site.db.fetchrow(kept, id_)) == ("", "")
