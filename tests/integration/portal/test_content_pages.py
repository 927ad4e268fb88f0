"""Templates, signatures, phrases and the library of media: applied for, decided by somebody else, stopped; whose."""

from __future__ import annotations

import io
import json
import re
from datetime import date, timedelta

import pytest
import pytest_asyncio
from browsing import Browser, shows
from PIL import Image
from portal_site import Site
from visits import acting, add_role, all_signed_in, linked, signed_in

from smsgw.core.permissions import Permission as P
from smsgw.core.templates import Registration, Review, Variable
from smsgw.platform.content import service
from smsgw.platform.content.model import SIGN, TEMPLATE, Answer
from smsgw.platform.org import service as org
from smsgw.platform.sheets.service import Sheets
from smsgw.store.config.policies import ContentLoader

CONTENT = "您的验证码为{code}，5分钟内有效。"
FRAME = b"\xff\xfb\x90\x00" + bytes(413)
pytestmark = pytest.mark.staff(boss="super", chief="super")
RIGHTS = (P.MESSAGE_SEND, P.TEMPLATE_VIEW, P.TEMPLATE_EDIT, P.SIGN_VIEW, P.SIGN_EDIT)


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "clerk", RIGHTS, people={"hall-op": "hall"})
    await add_role(site, "looker", [P.TEMPLATE_VIEW], people={"hall-eye": "hall", "clinic-eye": "clinic"})
    return site


def filled(site: Site, **others: str) -> dict[str, str]:
    return {"account": str(site.accounts["hall"]), "name": "登录验证码", "type": "otp", "sign": "", "content": CONTENT,
            "variables": "code 数字 6"} | others  # fmt: skip


async def add(site: Site, account: str, name: str) -> int:
    return await service.add_template(
        acting(site), site.accounts[account], name, "notice", "您好{name}", {"name": Variable()}
    )


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
        shows(await chief.get(here), "code（数字，最多 6 字）", "待审核")

        said = {"decision": "approved", "reason": ""}
        page = await chief.post(f"{here}/decide", said | await chief.mark_of(f"{here}/decide") | {"confirmed": "1"})
        assert chief.status == 422, "one's own"
        assert "不能" in page
        assert await site.db.fetchval("SELECT state FROM template") == "pending"
    async with signed_in(site, "boss") as boss:
        seen = await boss.mark_of(f"{here}/decide")
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
        await boss.post(f"{here}/decide", said | await boss.mark_of(f"{here}/decide") | {"confirmed": "1"})
        assert await site.db.fetchval("SELECT state FROM template") == "approved"
        assert "已通过的模板不能修改" in await boss.refusal(f"{here}/edit", filled(site, confirmed="1"))
        form = {"carriers": "CMCC", "registration": "registered", "note": "编号 7"}
        await boss.confirms(f"{here}/register", form, "在 移动 的报备状态设为“已报备”")
        found = await boss.get("/templates?registration=registered&carrier=CMCC")
        assert linked(found, "/templates") == [str(row["id"])]
        assert not linked(await boss.get("/templates?registration=registered&carrier=CUCC"), "/templates")

        assert (await ContentLoader().load(site.db)).template([site.accounts["hall"]], row["id"])
        assert "将停用 1 个模板（登录验证码）" in await boss.post("/templates/-/effect/stop", {"id": str(row["id"])})
        await boss.post("/templates/-/do/stop", {"id": str(row["id"])})
        assert (await ContentLoader().load(site.db)).template([site.accounts["hall"]], row["id"]) is None
        assert linked(await boss.get("/templates?status=stopped"), "/templates") == [str(row["id"])]
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
        await boss.confirms("/signs/-/new", form, "将为账号 hall 申请签名【政务大厅】")
        (id_,) = linked(await boss.get("/signs"), "/signs")
        page = await boss.post("/signs/-/new", form | {"confirmed": "1"})
        assert (boss.status, "签名已申请" in page) == (422, True)
    async with signed_in(site, "chief") as chief:
        seen = await chief.mark_of(f"/signs/{id_}/decide")
        await chief.post(f"/signs/{id_}/decide", seen | {"decision": "approved", "reason": "", "confirmed": "1"})
        refused = {"carriers": "CBN", "registration": "refused", "note": "材料不全", "confirmed": "1"}
        await chief.post(f"/signs/{id_}/register", refused)
        page = await chief.get(f"/signs/{id_}")
        shows(page, "&lt;b&gt;全称&lt;/b&gt;", "单位全称或简称", "被驳回", "未报备", "2099-12-31")
        await chief.post(f"/signs/{id_}/renew", {"until_day": "2088-08-08", "confirmed": "1"})
        assert 'value="2088-08-08"' in await chief.get(f"/signs/{id_}/renew")
        await site.db.execute("UPDATE sign SET expires_at = now() - interval '1 day'")
        assert linked(await chief.get("/signs?status=expired"), "/signs") == [id_]
        assert not linked(await chief.get("/signs?status=approved"), "/signs")


async def test_who_is_alone_decides_about_their_own(site: Site) -> None:
    await org.stop_person(acting(site), "chief")
    async with signed_in(site, "boss") as browser:
        await browser.post("/templates/-/new", filled(site, confirmed="1"))
        (id_,) = linked(await browser.get("/templates"), "/templates")
        said = {"decision": "approved", "reason": "", "confirmed": "1"}
        await browser.post(f"/templates/{id_}/decide", said | await browser.mark_of(f"/templates/{id_}/decide"))
    assert await site.db.fetchval("SELECT state FROM template") == Review.APPROVED


async def test_nobody_approves_a_text_that_they_have_not_seen(site: Site) -> None:
    id_ = await add(site, "hall", "办件通知")
    here, said = f"/templates/{id_}", {"decision": "approved", "reason": ""}
    async with signed_in(site, "boss") as boss, signed_in(site, "chief") as chief:
        seen = await boss.mark_of(f"{here}/decide")
        await boss.post(f"{here}/decide", said | seen)
        edited = filled(site, name="办件通知", type="notice", content="点击领取{name}", variables="", confirmed="1")
        await chief.post(f"{here}/edit", edited)
        assert "请重新打开" in await boss.refusal(f"{here}/decide", said | seen | {"confirmed": "1"})
        assert await site.db.fetchval("SELECT state FROM template") == Review.PENDING
        assert "请重新打开" in await boss.refusal(f"{here}/decide", said | seen), "also before the effect is confirmed"
        await boss.post(f"{here}/decide", said | {"confirmed": "1"})
        assert await site.db.fetchval("SELECT state FROM template") == Review.PENDING, "of a page that says nothing"
        for other in ({"variables": "name 数字 4"}, {"type": "marketing"}, {"sign": "政务大厅"}):
            seen = await boss.mark_of(f"{here}/decide")
            await chief.post(f"{here}/edit", edited | other)
            assert await boss.status_of(f"{here}/decide", said | seen | {"confirmed": "1"}) == 422, other
            edited |= other
        await boss.post(f"{here}/decide", said | await boss.mark_of(f"{here}/decide") | {"confirmed": "1"})
        assert await site.db.fetchval("SELECT state FROM template") == Review.APPROVED
    # Nor a signature for reasons that they have not seen.
    id_ = await service.add_sign(acting(site), site.accounts["hall"], "政务大厅", note="自用")
    await service.review(acting(site), SIGN, id_, Review.REFUSED, reason="缺少证明")
    async with signed_in(site, "boss") as boss:
        said = await boss.mark_of(f"/signs/{id_}/decide") | {"decision": "approved", "reason": "", "confirmed": "1"}
        await service.add_sign(acting(site), site.accounts["hall"], "政务大厅", note="他人商标")
        shows(await boss.refusal(f"/signs/{id_}/decide", said), "请重新打开", "他人商标")
        assert await site.db.fetchval("SELECT state FROM sign") == Review.PENDING


async def test_what_carriers_have_said_of_a_text_does_not_stand_for_the_next_one(site: Site) -> None:
    id_ = await add(site, "hall", "办件通知")
    for carrier, state in (("CMCC", Registration.REFUSED), ("CUCC", Registration.REGISTERED)):
        answer = Answer(state, "编号", f"no-{carrier}", date(2026, 5, 1))
        await service.register(acting(site), TEMPLATE, id_, [carrier], answer)
    states = "SELECT carrier, state, note, code, answered_on FROM registration ORDER BY carrier"
    before = [tuple(row) for row in await site.db.fetch(states)]
    kept = {"name": Variable()}
    await service.set_template(acting(site), id_, "改名", "marketing", "您好{name}", kept, sign="")
    assert [tuple(row) for row in await site.db.fetch(states)] == before, "the same text"
    await service.set_template(acting(site), id_, "改名", "marketing", "您好，{name}", kept, sign="")
    assert [tuple(row) for row in await site.db.fetch(states)] == [
        ("CMCC", "pending", "", "", None), ("CUCC", "pending", "", "", None)]  # fmt: skip
    said = "SELECT before, after FROM audit WHERE action = 'template.set' ORDER BY id DESC LIMIT 1"
    was, now = (json.loads(text)["carriers"] for text in await site.db.fetchrow(said))
    assert was == {"CMCC": "refused", "CUCC": "registered"}
    assert now == {"CMCC": "pending", "CUCC": "pending"}
    await service.register(acting(site), TEMPLATE, id_, ["CMCC"], Answer(Registration.REGISTERED))
    await service.set_template(acting(site), id_, "改名", "marketing", "您好，{name}", kept, sign="政务大厅")
    assert set(await site.db.fetchval("SELECT array_agg(state) FROM registration")) == {"pending"}, "another signature"


async def test_phrases_are_ones_own_until_they_are_shared(site: Site) -> None:
    department = await org.add_department(acting(site), "综合科")
    await site.add_staff("clinic-op", "clerk", "clinic")
    await site.db.execute("UPDATE staff SET department_id = $1 WHERE login = 'hall-op'", department)
    below = await org.add_department(acting(site), "窗口", parent_id=department)
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
        await clerk.post(
            "/phrases/-/new", form | {"title": "账号", "scope": "account", "account": str(site.accounts["hall"])}
        )
        assert len(linked(await clerk.get("/phrases"), "/phrases")) == 3
        assert "&lt;b&gt;=1+1&lt;/b&gt;" in await clerk.get("/phrases/-/pick")
        assert "日常用语" in await clerk.get("/send/quick")
    rows = {r["title"]: r["id"] for r in await site.db.fetch("SELECT id, title FROM phrase")}
    async with signed_in(site, "clinic-op") as other:
        assert linked(await other.get("/phrases"), "/phrases") == [str(rows["材料"])], "of the department above"
        shows(await other.get("/phrases/-/pick"), "材料", no="办公时间")
        for title in ("办公时间", "账号"):
            assert await other.status_of(f"/phrases/{rows[title]}") == 404
        assert await other.status_of(f"/phrases/{rows['材料']}/edit") == 404, "used, not changed"
        await other.post("/phrases/-/do/remove", {"id": str(rows["材料"])})
        assert await site.db.fetchval("SELECT count(*) FROM phrase") == 3
    async with signed_in(site, "hall-op") as clerk:
        await clerk.post(f"/phrases/{rows['材料']}/edit", form | {"title": "材料"})
        assert "将删除 1 条日常用语（账号）" in await clerk.post("/phrases/-/effect/remove", {"id": str(rows["账号"])})
        await clerk.post("/phrases/-/do/remove", {"id": str(rows["账号"])})
        await site.db.execute(
            "INSERT INTO phrase (owner_id, title, content) "
            "SELECT s.id, 't' || n, 'x' FROM staff s, generate_series(1, 200) n WHERE s.login = 'hall-op'"
        )
        assert "每人最多 200 条日常用语" in await clerk.refusal("/phrases/-/new", form | {"title": "多一条"})


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (640, 400), "red").save(out, "PNG")
    return out.getvalue()


async def upload(site: Site, browser: Browser, octets: bytes, **fields: str) -> str:
    said = {"title": "夏季用电", "account": str(site.accounts["hall"]), "tags": "用电，夏季"}
    return await browser.send_file("/materials/-/new", octets, "x.png", **said | fields)


async def test_what_is_brought_waits_for_another_and_is_then_taken_and_counted(site: Site) -> None:
    async with all_signed_in(site, "boss", "chief", "hall-eye", "clinic-eye") as (boss, chief, hall, clinic):
        assert "还没有素材" in await boss.get("/materials")
        page = await upload(site, boss, b"<svg onload=alert(1)>")
        assert (boss.status, "MP3" in page, 'value="夏季用电"' in page) == (422, True, True)
        for wrong in ({"title": ""}, {"account": "999"}):
            await upload(site, boss, picture(), **wrong)
            assert boss.status == 422
        assert await site.db.fetchval("SELECT count(*) FROM file") == 0
        await upload(site, boss, picture())
        assert re.fullmatch(r"/materials/\d+", boss.path), boss.path
        at = boss.path
        assert "已有相同内容" in await upload(site, boss, picture())

        with Image.open(io.BytesIO(await hall.octets(f"{at}/thumbnail"))) as small:
            assert (small.format, small.size) == ("WEBP", (320, 200))
        await hall.octets(f"{at}/content")
        assert hall.headers["Content-Type"] == "image/png"
        assert f"{at}/take" not in await hall.get(at)
        assert await hall.status_of(f"{at}/take", {}) == 409, "nobody has approved it"

        one = {"id": at.rpartition("/")[2], "reason": "清晰"}
        await boss.post("/materials/-/do/pass", one)
        assert await site.db.fetchval("SELECT state FROM material") == "waiting", "one's own"
        await chief.post("/materials/-/do/pass", one)
        assert await site.db.fetchval("SELECT state FROM material") == "approved"

        assert f"{at}/take" in await hall.get(at)
        await hall.octets(f"{at}/take", {})
        assert hall.headers["Content-Disposition"].startswith("attachment")
        assert await clinic.status_of(f"{at}/take", {}) == 404
        assert await site.db.fetchval("SELECT taken FROM material") == 1
        await boss.post(f"{at}/edit", {"title": "冬季用电", "tags": "冬季"})
        assert "冬季用电" in await hall.get("/materials?tag=冬季")
        assert "冬季用电" not in await hall.get("/materials?tag=夏季")
        assert "已取用 1 次" in await boss.post("/materials/-/effect/remove", one)
        await boss.post("/materials/-/do/remove", one)
    actions = await site.db.fetch("SELECT action, actor FROM audit WHERE action LIKE 'material.%' ORDER BY id")
    assert [tuple(row) for row in actions] == [("material.add", "boss"), ("material.decide", "chief"),
                                               ("material.take", "hall-eye"), ("material.set", "boss"),
                                               ("material.remove", "boss")]  # fmt: skip


async def test_the_file_stays_while_the_library_has_it(site: Site) -> None:
    async with signed_in(site, "boss") as boss:
        await upload(site, boss, FRAME * 40)
        assert await site.db.fetchval("SELECT kind FROM material") == "audio"
        await site.db.execute("UPDATE file SET expires_at = now() - $1::interval", timedelta(days=1))
        sheets = Sheets(site.db, site.surveyor.tasks.files.store)
        await sheets.sweep()
        id_ = await site.db.fetchval("SELECT id FROM material")
        assert await boss.octets(f"/materials/{id_}/content") == FRAME * 40
        await site.db.execute("DELETE FROM material")
        await sheets.sweep()
        assert await site.db.fetchval("SELECT count(*) FROM file") == 0
