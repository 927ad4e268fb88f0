"""The list of what was sent: what narrows it, what it comes to, who may take it away; and what the trace tells."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from urllib.parse import urlencode

import pytest
from browsing import Browser, shows
from portal_site import Site
from visits import acting, signed_in

from smsgw.admin.pages.records.sent import FILTER
from smsgw.admin.pages.records.trace import _facts
from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Recorded
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType, Origin
from smsgw.core.states import PartState
from smsgw.core.words import Wording
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.accounts import service as accounts
from smsgw.platform.messages.model import TraceStep
from smsgw.platform.org import service as org

pytestmark = pytest.mark.staff(admin="admin")


async def send(
    site: Site, account: str, *numbers: str, content: str = "您好", ref: str = "", by: str = "ak_one"
) -> list[str]:  # fmt: skip
    chosen = site.snapshots.current.account(site.accounts[account])
    items = tuple(SendItem(to=n, content=content, client_ref=ref) for n in numbers)
    result = await site.acceptor.send(SendRequest(chosen, items, MessageType.NOTICE, Origin.API, ActorLabel(by)))
    return [item.message_id or "" for item in result.items]


async def test_every_field_narrows_the_list(site: Site) -> None:
    mine = await send(site, "hall", "13800138000", content="好" * 100, ref="order-1")
    others = await send(site, "clinic", "13900139000", "13900139001")
    await site.carrier_reports((await site.carrier_takes())[:2], PartState.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER")
    assert len(FILTER.fields) >= 10
    batch = mine[0]
    async with signed_in(site, "admin") as browser:
        for query, found in {
            f"account={site.accounts['hall']}": mine, "phone=13800138000": mine, "status=failed": mine,
            "type=notice": mine + others, "carrier=CMCC": mine + others, "carrier=CUCC": [], "code=MK:0001": mine,
            "reason=EMPTY_NUMBER": mine, "origin=api": mine + others, "origin=portal": [],
            "submitter=ak_one": mine + others,
            f"message={others[0]}": others[:1], f"batch={batch}": mine, "client_ref=order-1": mine,
            "test=true": [], "test=false": mine + others, "sign=nobody": [], "extension=9": [], "province=x": [],
            "content=好好": mine, "content=您好": others, "content=好您": [],
            "result=failed": mine, "result=pending": others, "result=delivered": [], "result=unsent": [],
            "status=expired": [], "status=failed&reason=EMPTY_NUMBER": mine,
        }.items():
            page = await browser.get(f"/records?{query}")
            assert {id_ for id_ in mine + others if f'data-href="/records/{id_}"' in page} == set(found), query
            assert f"共 {len(found)} 条" in await browser.get(f"/records/-/total?{query}"), query
        page = await browser.get(f"/records?time=today&phone=13800138000&status=failed&account={site.accounts['hall']}")
        (asked,) = re.findall(r'class="print-asked">(.*?)</p>', page)
        assert "13800138000" not in asked
        for said in (f"时间：{datetime.now(CHINA):%Y-%m-%d}<", "：138****8000<", "状态：失败<", "账号：政务大厅<"):
            assert said in asked, f"on paper, where there are no fields: {said}"


async def test_what_was_answered_is_told_from_what_was_not(site: Site) -> None:
    answered, silent = await send(site, "hall", "13800138000", "13900139000")
    reply = ("INSERT INTO mo (id, account_id, channel_id, number, to_code, content, in_reply_to, received_at) "
             "VALUES ($1, $2, $3, '8613800138000', '1069', '收到', $4, now())")  # fmt: skip
    for _ in range(2):
        await site.db.execute(reply, site.ids.next(), site.accounts["hall"], site.channel_id, int(answered))
    async with signed_in(site, "admin") as browser:
        for query, found in {"replied=true": {answered}, "replied=false": {silent},
                             "replied=true&phone=13900139000": set(), "replied=true&time=30d": {answered},
                             "replied=false&time=yesterday": set()}.items():  # fmt: skip
            page = await browser.get(f"/records?{query}")
            assert {id_ for id_ in (answered, silent) if f'data-href="/records/{id_}"' in page} == found, query
            assert f"共 {len(found)} 条" in await browser.get(f"/records/-/total?{query}"), query


async def test_departments_templates_and_last_digits_narrow_it(site: Site) -> None:
    """A department has what its people have sent, with whatever account, and what its accounts have by keys."""
    change = acting(site)
    north, south, empty = [await org.add_department(change, name) for name in ("北区", "南区", "空")]
    await site.add_staff("li", "admin")
    await org.set_person(change, "li", {"department_id": south})
    await org.place_account(change, site.accounts["hall"], north)
    keyed = await send(site, "hall", "13800138000", "13800138001")
    person = await send(site, "hall", "13900138000", by="li")
    other = await send(site, "clinic", "13700137000")
    await site.db.execute("UPDATE message SET template_id = 7 WHERE id = $1", int(other[0]))
    everything = keyed + person + other
    async with signed_in(site, "admin") as browser:
        for query, found in {
            f"department={north}": keyed, f"department={south}": person, f"department={empty}": [],
            f"department={north}&tail=8001": keyed[1:], "tail=8000": [keyed[0], *person], "tail=0000": [],
            "tail=7000&time=yesterday": [], "template=7": other, "template=8": [],
        }.items():  # fmt: skip
            page = await browser.get(f"/records?{query}")
            assert {id_ for id_ in everything if f'data-href="/records/{id_}"' in page} == set(found), query
            assert f"共 {len(found)} 条" in await browser.get(f"/records/-/total?{query}"), query
        for query, said in {"tail=8000&time=7d": "时间范围不能超过 1 天", "tail=80": "至少 4 个字",
                            "tail=80a0": "请只填写数字", "department=999": "没有这个选项"}.items():  # fmt: skip
            page = await browser.get(f"/records?{query}")
            assert said in page, query
            assert 'data-href="/records/' not in page


async def test_what_is_found_is_summed_and_can_be_taken_away_with_the_right(site: Site) -> None:
    await send(site, "hall", "13800138000", content="好" * 100)
    await send(site, "hall", "13800138001")
    await site.add_staff("money", "finance")
    async with signed_in(site, "admin") as browser:
        shows(await browser.get("/records/-/total"), "共 2 条", "条数 3", "计费条数 3")
        assert "/records/-/export" in await browser.get("/records")
        await browser.post("/records/-/export", {"q": "", "reason": "核对", "format": "csv"})
        assert browser.path.startswith("/jobs/")
        assert "没有这个选项" in await browser.get("/records?account=x")
    async with signed_in(site, "money") as other:
        assert "/records/-/export" not in await other.get("/records")
        assert await other.status_of("/records/-/export") == 403


def test_facts_of_a_step_are_told_in_the_readers_language() -> None:
    detail: dict[str, str | int | Wording] = {"reason": Recorded("NUMBER_EMPTY", "号码状态为空号，已过滤"),
                                              "problem": "[Errno 111] Connect call failed", "account": "hall",
                                              "tries": 2, "code": ""}  # fmt: skip
    step = TraceStep(datetime(2026, 1, 2, tzinfo=UTC), "rejected", "", 0, detail)
    assert _facts(step, "zh") == (("说明", "号码状态为空号，已过滤"), ("问题", "连接被对方拒绝"), ("账号", "hall"),
                                  ("推送次数", "2"))  # fmt: skip
    assert dict(_facts(step, "en"))["Note"] == "Number is not in service"
    assert "Errno" not in str(_facts(step, "en"))


async def test_the_audit_log_is_asked_by_what_pages_show(site: Site) -> None:
    """Who has seen a message, from its trace; and ids, names, accounts, as they stand on other pages."""
    (id_,) = await send(site, "hall", "13800138000")
    await site.add_staff("boss", "super")
    by_test = acting(site)
    await accounts.top_up(by_test, site.accounts["hall"], 5, "test")
    async with Browser(site) as browser, Browser(site) as clerk:
        await browser.login("boss")
        page = await browser.get(f"/records/{id_}")
        (seen,) = re.findall(r'href="(/audit\?[^"]+)">谁看过这条短信', page)
        page = await browser.get(unescape(seen))
        assert "查看短信详情" in page or "message.read" in page
        for typed in (id_, f"message/{id_}", "hall", f"account/{site.accounts['hall']}", "boss"):
            page = await browser.get(f"/audit?{urlencode({'object': typed})}")
            assert "data-href=\"/audit/" in page or "data-open=\"/audit/" in page, typed
        assert "data-open=\"/audit/" not in await browser.get("/audit?object=nobody")
        await clerk.login("admin")
        assert "/audit?" not in await clerk.get(f"/records/{id_}") or await clerk.get("/audit")
