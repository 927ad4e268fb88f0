"""Templates, signatures and phrases as pages: applied for, decided by somebody else, registered, stopped; whose."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import pytest_asyncio
from browsing import Browser
from portal_site import Site, running
from visits import lacking, signed_in

from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.permissions import Permission as P
from smsgw.core.templates import Registration, Review, Variable
from smsgw.platform.change import Change
from smsgw.platform.content import service
from smsgw.platform.content.model import SIGN, TEMPLATE, Answer
from smsgw.platform.org import service as org
from smsgw.store.config.policies import ContentLoader

CONTENT = "您的验证码为{code}，5分钟内有效。"
RIGHTS = (P.HOME_VIEW, P.MESSAGE_SEND, P.TEMPLATE_VIEW, P.TEMPLATE_EDIT, P.SIGN_VIEW, P.SIGN_EDIT)


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        await site.add_staff("chief", "admin")
        await org.add_role(by_test(site), "clerk", "内容经办", list(RIGHTS), ScopeKind.ACCOUNTS)
        await site.add_staff("hall-op", "clerk", "hall")
        yield site


def by_test(site: Site) -> Change:
    return Change(site.db, Actor.system("test"), ids=site.ids.next)


def ids(page: str, path: str) -> list[str]:
    return list(dict.fromkeys(re.findall(rf'href="{path}/([0-9]+)"', page)))


async def asked(browser: Browser, path: str) -> dict[str, str]:
    """What the page that decides about one says that was seen of it."""
    found = re.search(r'name="seen" value="([0-9a-f]{16})"', await browser.get(f"{path}/decide"))
    assert found, (browser.status, path)
    return {"seen": found[1]}


def filled(site: Site, **others: str) -> dict[str, str]:
    return {"account": str(site.accounts["hall"]), "name": "登录验证码", "type": "otp", "sign": "", "content": CONTENT,
            "variables": "code 数字 6"} | others  # fmt: skip


async def add(site: Site, account: str, name: str) -> int:
    return await service.add_template(by_test(site), site.accounts[account], name, "notice", "您好{name}",
                                      {"name": Variable()})  # fmt: skip


async def test_a_template_is_applied_for_decided_by_somebody_else_registered_and_stopped(site: Site) -> None:
    async with signed_in(site, "chief") as chief:
        assert "还没有短信模板" in await chief.get("/templates")
        page = await chief.post("/templates/-/new", filled(site, variables="code 数字 6\nname 什么"))
        assert (chief.status, "第 2 行应为" in page) == (422, True)
        assert "将以账号 hall 提交模板“登录验证码”" in await chief.post("/templates/-/new", filled(site))
        assert await site.db.fetchval("SELECT count(*) FROM template") == 0, "only asked"
        page = await chief.post("/templates/-/new", filled(site, content="有{括号", confirmed="1", variables=""))
        assert chief.status == 422
        await chief.post("/templates/-/new", filled(site, confirmed="1"))
        row = await site.db.fetchrow("SELECT * FROM template")
        assert (row["state"], row["created_by"]) == ("pending", "chief")
        assert json.loads(row["variables"]) == {"code": {"form": "digits", "most": 6}}
        here = f"/templates/{row['id']}"
        assert not lacking(await chief.get(here), "code（数字，最多 6 字）", "待审核")

        said = {"decision": "approved", "reason": ""}
        page = await chief.post(f"{here}/decide", said | await asked(chief, here) | {"confirmed": "1"})
        assert chief.status == 422, "one's own"
        assert "不能" in page
        assert await site.db.fetchval("SELECT state FROM template") == "pending"
    async with signed_in(site, "boss") as boss:
        seen = await asked(boss, here)
        assert "驳回须写明原因" in await boss.refusal(f"{here}/decide", seen | {"decision": "refused", "reason": ""})
        page = await boss.post(f"{here}/decide", seen | {"decision": "refused", "reason": "缺少用途"})
        assert "将驳回“登录验证码”（账号 hall，申请人 chief）" in page
        await boss.post(f"{here}/decide", seen | {"decision": "refused", "reason": "缺少用途", "confirmed": "1"})
    async with signed_in(site, "chief") as chief:
        assert "缺少用途" in await chief.get(here)
        changed = filled(site, content=CONTENT + "请勿告知他人。", confirmed="1")
        await chief.post(f"{here}/edit", changed)
        assert await site.db.fetchval("SELECT state FROM template") == "pending"
    async with signed_in(site, "boss") as boss:
        await boss.post(f"{here}/decide", said | await asked(boss, here) | {"confirmed": "1"})
        assert await site.db.fetchval("SELECT state FROM template") == "approved"
        assert "已通过的模板不能修改" in await boss.refusal(f"{here}/edit", filled(site, confirmed="1"))
        form = {"carriers": "CMCC", "registration": "registered", "note": "编号 7"}
        assert "在 移动 的报备状态设为“已报备”" in await boss.post(f"{here}/register", form)
        await boss.post(f"{here}/register", form | {"confirmed": "1"})
        assert ids(await boss.get("/templates?registration=registered&carrier=CMCC"), "/templates") == [str(row["id"])]
        assert not ids(await boss.get("/templates?registration=registered&carrier=CUCC"), "/templates")

        assert (await ContentLoader().load(site.db)).template([site.accounts["hall"]], row["id"])
        assert "将停用 1 个模板（登录验证码）" in await boss.post("/templates/-/effect/stop", {"id": str(row["id"])})
        await boss.post("/templates/-/do/stop", {"id": str(row["id"])})
        assert (await ContentLoader().load(site.db)).template([site.accounts["hall"]], row["id"]) is None
        assert ids(await boss.get("/templates?status=stopped"), "/templates") == [str(row["id"])]
        page = await boss.get(here)
        for word in ("停用模板", "模板报备", "模板审核通过", "修改模板", "模板审核驳回", "新建模板"):
            assert word in page, "its history"
        assert "code digits 6" in await boss.get(f"/templates/-/new?from={row['id']}")


async def test_a_signature_is_applied_for_registered_renewed_and_found_when_it_is_over(site: Site) -> None:
    form = {"account": str(site.accounts["hall"]), "sign": "政务大厅", "source": "organisation", "note": "<b>全称</b>",
            "until_day": "2020-01-01"}  # fmt: skip
    async with signed_in(site, "boss") as boss:
        assert "须为今天或以后的日期" in await boss.refusal("/signs/-/new", form)
        form["until_day"] = "2099-12-31"
        assert "将为账号 hall 申请签名【政务大厅】" in await boss.post("/signs/-/new", form)
        await boss.post("/signs/-/new", form | {"confirmed": "1"})
        (id_,) = ids(await boss.get("/signs"), "/signs")
        page = await boss.post("/signs/-/new", form | {"confirmed": "1"})
        assert (boss.status, "签名已申请" in page) == (422, True)
    async with signed_in(site, "chief") as chief:
        seen = await asked(chief, f"/signs/{id_}")
        await chief.post(f"/signs/{id_}/decide", seen | {"decision": "approved", "reason": "", "confirmed": "1"})
        refused = {"carriers": "CBN", "registration": "refused", "note": "材料不全", "confirmed": "1"}
        await chief.post(f"/signs/{id_}/register", refused)
        page = await chief.get(f"/signs/{id_}")
        assert not lacking(page, "&lt;b&gt;全称&lt;/b&gt;", "单位全称或简称", "被驳回", "未报备", "2099-12-31")
        await chief.post(f"/signs/{id_}/renew", {"until_day": "2088-08-08", "confirmed": "1"})
        assert 'value="2088-08-08"' in await chief.get(f"/signs/{id_}/renew")
        await site.db.execute("UPDATE sign SET expires_at = now() - interval '1 day'")
        assert ids(await chief.get("/signs?status=expired"), "/signs") == [id_]
        assert not ids(await chief.get("/signs?status=approved"), "/signs")


async def test_who_is_alone_decides_about_their_own(site: Site) -> None:
    await org.stop_person(by_test(site), "chief")
    async with signed_in(site, "boss") as browser:
        await browser.post("/templates/-/new", filled(site, confirmed="1"))
        (id_,) = ids(await browser.get("/templates"), "/templates")
        said = {"decision": "approved", "reason": "", "confirmed": "1"}
        await browser.post(f"/templates/{id_}/decide", said | await asked(browser, f"/templates/{id_}"))
    assert await site.db.fetchval("SELECT state FROM template") == Review.APPROVED


async def test_nobody_approves_a_text_that_they_have_not_seen(site: Site) -> None:
    id_ = await add(site, "hall", "办件通知")
    here, said = f"/templates/{id_}", {"decision": "approved", "reason": ""}
    async with signed_in(site, "boss") as boss, signed_in(site, "chief") as chief:
        seen = await asked(boss, here)
        await boss.post(f"{here}/decide", said | seen)
        edited = filled(site, name="办件通知", type="notice", content="点击领取{name}", variables="", confirmed="1")
        await chief.post(f"{here}/edit", edited)
        assert "请重新打开" in await boss.refusal(f"{here}/decide", said | seen | {"confirmed": "1"})
        assert await site.db.fetchval("SELECT state FROM template") == Review.PENDING
        assert "请重新打开" in await boss.refusal(f"{here}/decide", said | seen), "also before the effect is confirmed"
        await boss.post(f"{here}/decide", said | {"confirmed": "1"})
        assert await site.db.fetchval("SELECT state FROM template") == Review.PENDING, "of a page that says nothing"
        for other in ({"variables": "name 数字 4"}, {"type": "marketing"}, {"sign": "政务大厅"}):
            seen = await asked(boss, here)
            await chief.post(f"{here}/edit", edited | other)
            assert await boss.status_of(f"{here}/decide", said | seen | {"confirmed": "1"}) == 422, other
            edited |= other
        await boss.post(f"{here}/decide", said | await asked(boss, here) | {"confirmed": "1"})
        assert await site.db.fetchval("SELECT state FROM template") == Review.APPROVED


async def test_nobody_approves_a_signature_for_reasons_that_they_have_not_seen(site: Site) -> None:
    id_ = await service.add_sign(by_test(site), site.accounts["hall"], "政务大厅", note="自用")
    await service.review(by_test(site), SIGN, id_, Review.REFUSED, reason="缺少证明")
    async with signed_in(site, "boss") as boss:
        said = await asked(boss, f"/signs/{id_}") | {"decision": "approved", "reason": "", "confirmed": "1"}
        await service.add_sign(by_test(site), site.accounts["hall"], "政务大厅", note="他人商标")
        assert not lacking(await boss.refusal(f"/signs/{id_}/decide", said), "请重新打开", "他人商标")
        assert await site.db.fetchval("SELECT state FROM sign") == Review.PENDING


async def test_what_carriers_have_said_of_a_text_does_not_stand_for_the_next_one(site: Site) -> None:
    id_ = await add(site, "hall", "办件通知")
    for carrier, state in (("CMCC", Registration.REFUSED), ("CUCC", Registration.REGISTERED)):
        answer = Answer(state, "编号", f"no-{carrier}", date(2026, 5, 1))
        await service.register(by_test(site), TEMPLATE, id_, [carrier], answer)
    states = "SELECT carrier, state, note, code, answered_on FROM registration ORDER BY carrier"
    before = [tuple(row) for row in await site.db.fetch(states)]
    kept = {"name": Variable()}
    await service.set_template(by_test(site), id_, "改名", "marketing", "您好{name}", kept, sign="")
    assert [tuple(row) for row in await site.db.fetch(states)] == before, "the same text"
    await service.set_template(by_test(site), id_, "改名", "marketing", "您好，{name}", kept, sign="")
    assert [tuple(row) for row in await site.db.fetch(states)] == [
        ("CMCC", "pending", "", "", None), ("CUCC", "pending", "", "", None),
    ]  # fmt: skip
    said = "SELECT before, after FROM audit WHERE action = 'template.set' ORDER BY id DESC LIMIT 1"
    was, now = (json.loads(text)["carriers"] for text in await site.db.fetchrow(said))
    assert was == {"CMCC": "refused", "CUCC": "registered"}
    assert now == {"CMCC": "pending", "CUCC": "pending"}
    await service.register(by_test(site), TEMPLATE, id_, ["CMCC"], Answer(Registration.REGISTERED))
    await service.set_template(by_test(site), id_, "改名", "marketing", "您好，{name}", kept, sign="政务大厅")
    assert set(await site.db.fetchval("SELECT array_agg(state) FROM registration")) == {"pending"}, "another signature"


async def test_phrases_are_ones_own_until_they_are_shared(site: Site) -> None:
    department = await org.add_department(by_test(site), "综合科")
    await site.add_staff("clinic-op", "clerk", "clinic")
    await site.db.execute("UPDATE staff SET department_id = $1 WHERE login = 'hall-op'", department)
    below = await org.add_department(by_test(site), "窗口", parent_id=department)
    await site.db.execute("UPDATE staff SET department_id = $1 WHERE login = 'clinic-op'", below)
    form = {"title": "办公时间", "content": "工作日 9 点到 17 点", "scope": "own", "department": "", "account": ""}
    async with signed_in(site, "hall-op") as clerk:
        assert "还没有日常用语" in await clerk.get("/phrases")
        assert await clerk.status_of("/phrases/-/new", form | {"content": "x" * 501}) == 422
        assert "请选择账号" in await clerk.refusal("/phrases/-/new", form | {"scope": "account"})
        await clerk.post("/phrases/-/new", form | {"scope": "account", "account": str(site.accounts["clinic"])})
        assert clerk.status == 422, "an account of others"
        await clerk.post("/phrases/-/new", form)
        shared = {"title": "材料", "content": "<b>=1+1</b>", "scope": "department", "department": str(department)}
        await clerk.post("/phrases/-/new", form | shared)
        await clerk.post("/phrases/-/new", form | {"title": "账号", "scope": "account",
                                                   "account": str(site.accounts["hall"])})  # fmt: skip
        assert len(ids(await clerk.get("/phrases"), "/phrases")) == 3
        page = await clerk.get("/phrases/-/pick")
        assert "&lt;b&gt;=1+1&lt;/b&gt;" in page
        assert "日常用语" in await clerk.get("/send/quick")
    rows = {r["title"]: r["id"] for r in await site.db.fetch("SELECT id, title FROM phrase")}
    async with signed_in(site, "clinic-op") as other:
        assert ids(await other.get("/phrases"), "/phrases") == [str(rows["材料"])], "of the department above"
        page = await other.get("/phrases/-/pick")
        assert "材料" in page
        assert "办公时间" not in page
        for title in ("办公时间", "账号"):
            assert await other.status_of(f"/phrases/{rows[title]}") == 404
        assert await other.status_of(f"/phrases/{rows['材料']}/edit") == 404, "used, not changed"
        page = await other.post("/phrases/-/do/remove", {"id": str(rows["材料"])})
        assert await site.db.fetchval("SELECT count(*) FROM phrase") == 3
    async with signed_in(site, "hall-op") as clerk:
        await clerk.post(f"/phrases/{rows['材料']}/edit", form | {"title": "材料"})
        assert "将删除 1 条日常用语（账号）" in await clerk.post("/phrases/-/effect/remove", {"id": str(rows["账号"])})
        await clerk.post("/phrases/-/do/remove", {"id": str(rows["账号"])})


async def test_a_person_keeps_two_hundred_phrases(site: Site) -> None:
    await site.db.execute(
        "INSERT INTO phrase (owner_id, title, content) "
        "SELECT s.id, 't' || n, 'x' FROM staff s, generate_series(1, 200) n WHERE s.login = 'hall-op'"
    )
    form = {"title": "多一条", "content": "x", "scope": "own", "department": "", "account": ""}
    async with signed_in(site, "hall-op") as clerk:
        assert "每人最多 200 条日常用语" in await clerk.refusal("/phrases/-/new", form)
