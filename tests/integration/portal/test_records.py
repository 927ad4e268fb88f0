"""The list of what was sent: what narrows it, where its numbers go, what is sent again; and what the trace tells."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import urlencode

import pytest
from browsing import Browser, shows
from portal_site import Site
from visits import acting, add_role, all_signed_in, boss, column, signed_in, submitted

from smsgw.admin.pages.records.sent import FILTER
from smsgw.admin.pages.records.trace import _facts
from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Recorded
from smsgw.core.ids import CHINA
from smsgw.core.model import MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.core.policy import RELAXED, PolicySet, parse
from smsgw.core.states import PartState
from smsgw.core.words import Wording
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.accounts import service as accounts
from smsgw.platform.audience import book
from smsgw.platform.audience.model import Sharing
from smsgw.platform.messages.model import TraceStep
from smsgw.platform.org import service as org
from smsgw.runtime import clock
from smsgw.store.messages import reviews, sweeps

ONE, OTHER = "13800138001", "13800138002"
KEEPS = [Permission.MESSAGE_VIEW, Permission.BLOCK_VIEW, Permission.BLOCK_EDIT, Permission.CONTACT_VIEW,
         Permission.CONTACT_EDIT]  # fmt: skip
__all__ = ["boss"]
pytestmark = pytest.mark.staff(boss="super", admin="admin", clerk=("operator", "clinic"))


async def send(
    site: Site, account: str, *numbers: str, content: str = "您好", ref: str = "", by: str = "ak_one"
) -> list[str]:
    chosen = site.snapshots.current.account(site.accounts[account])
    items = tuple(SendItem(to=n, content=content, client_ref=ref) for n in numbers)
    result = await site.acceptor.send(SendRequest(chosen, items, MessageType.NOTICE, Origin.API, ActorLabel(by)))
    return [item.message_id or "" for item in result.items]


async def narrows(browser: Browser, known: list[str], wanted: dict[str, list[str]]) -> None:
    """Each query finds exactly these of what is known, and their sum says so."""
    for query, found in wanted.items():
        page = await browser.get(f"/records?{query}")
        assert {id_ for id_ in known if f'data-href="/records/{id_}"' in page} == set(found), query
        assert f"共 {len(found)} 条" in await browser.get(f"/records/-/total?{query}"), query


async def test_every_field_narrows_the_list(site: Site, boss: Browser) -> None:
    mine = await send(site, "hall", "13800138000", content="好" * 100, ref="order-1")
    others = await send(site, "clinic", "13900139000", "13900139001")
    await site.carrier_reports((await site.carrier_takes())[:2], PartState.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER")
    assert len(FILTER.fields) >= 10
    batch = mine[0]
    await narrows(boss, mine + others, {
        f"account={site.accounts['hall']}": mine, "phone=13800138000": mine, "status=failed": mine,
        "type=notice": mine + others, "carrier=CMCC": mine + others, "carrier=CUCC": [], "code=MK:0001": mine,
        "reason=EMPTY_NUMBER": mine, "origin=api": mine + others, "origin=portal": [],
        "submitter=ak_one": mine + others,
        f"message={others[0]}": others[:1], f"batch={batch}": mine, "client_ref=order-1": mine,
        "test=true": [], "test=false": mine + others, "sign=nobody": [], "extension=9": [], "province=x": [],
        "content=好好": mine, "content=您好": others, "content=好您": [],
        "result=failed": mine, "result=pending": others, "result=delivered": [], "result=unsent": [],
        "status=expired": [], "status=failed&reason=EMPTY_NUMBER": mine, "status=failed&time=yesterday": [],
    })  # fmt: skip
    page = await boss.get(f"/records?time=today&phone=13800138000&status=failed&account={site.accounts['hall']}")
    (asked,) = re.findall(r'class="print-asked">(.*?)</p>', page)
    shows(asked, f"时间：{datetime.now(CHINA):%Y-%m-%d}<", "：138****8000<", "状态：失败<", "账号：政务大厅<",
          no="13800138000")  # fmt: skip


async def test_what_was_answered_is_told_from_what_was_not(site: Site, boss: Browser) -> None:
    answered, silent = await send(site, "hall", "13800138000", "13900139000")
    reply = ("INSERT INTO mo (id, account_id, channel_id, number, to_code, content, in_reply_to, received_at) "
             "VALUES ($1, $2, $3, '8613800138000', '1069', '收到', $4, now())")  # fmt: skip
    for _ in range(2):
        await site.db.execute(reply, site.ids.next(), site.accounts["hall"], site.channel_id, int(answered))
    await narrows(boss, [answered, silent], {
        "replied=true": [answered], "replied=false": [silent], "replied=true&phone=13900139000": [],
        "replied=true&time=30d": [answered], "replied=false&time=yesterday": [],
    })  # fmt: skip


async def test_departments_templates_and_last_digits_narrow_it(site: Site, boss: Browser) -> None:
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
    await narrows(boss, keyed + person + other, {
        f"department={north}": keyed, f"department={south}": person, f"department={empty}": [],
        f"department={north}&tail=8001": keyed[1:], "tail=8000": [keyed[0], *person], "tail=0000": [],
        "tail=7000&time=yesterday": [], "template=7": other, "template=8": [],
    })  # fmt: skip
    for query, said in {"tail=8000&time=7d": "时间范围不能超过 1 天", "tail=80": "至少 4 个字",
                        "tail=80a0": "请只填写数字", "department=999": "没有这个选项"}.items():  # fmt: skip
        shows(await boss.get(f"/records?{query}"), said, no='data-href="/records/')


async def test_what_is_found_is_summed_and_can_be_taken_away_with_the_right(site: Site, boss: Browser) -> None:
    await send(site, "hall", "13800138000", content="好" * 100)
    await send(site, "hall", "13800138001")
    await site.add_staff("money", "finance")
    shows(await boss.get("/records/-/total"), "共 2 条", "条数 3", "计费条数 3")
    assert "/records/-/export" in await boss.get("/records")
    await boss.post("/records/-/export", {"q": "", "reason": "核对", "format": "csv"})
    assert boss.path.startswith("/jobs/")
    assert "没有这个选项" in await boss.get("/records?account=x")
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
    await accounts.top_up(acting(site), site.accounts["hall"], 5, "test")
    async with all_signed_in(site, "boss", "admin") as (browser, clerk):
        (seen,) = re.findall(r'href="(/audit\?[^"]+)">谁看过这条短信', await browser.get(f"/records/{id_}"))
        page = await browser.get(unescape(seen))
        assert "查看短信详情" in page or "message.read" in page
        for typed in (id_, f"message/{id_}", "hall", f"account/{site.accounts['hall']}", "boss"):
            page = await browser.get(f"/audit?{urlencode({'object': typed})}")
            assert 'data-href="/audit/' in page or 'data-open="/audit/' in page, typed
        assert 'data-open="/audit/' not in await browser.get("/audit?object=nobody")
        assert "/audit?" not in await clerk.get(f"/records/{id_}") or await clerk.get("/audit")


def of(ids: Sequence[str], **more: str) -> list[tuple[str, str]]:
    return [*(("id", id_) for id_ in ids), *more.items()]


async def test_numbers_are_blocked_for_the_account_that_sent_to_them(site: Site) -> None:
    await add_role(site, "keeps", KEEPS, people={"keeps-hall": "hall"})
    ids = [*await send(site, "hall", ONE), *await send(site, "hall", ONE, OTHER)]
    (foreign,) = await send(site, "clinic", ONE)
    async with signed_in(site, "keeps-hall") as browser:
        asked = unescape(await browser.post("/records/-/effect/block", of([*ids, foreign])))
        shows(asked, "将 2 个号码加入 1 个账号各自的黑名单", "其中 0 个已在名单中")
        assert await browser.status_of("/records/-/do/block", of(ids)) == 422, "why is asked for"
        await browser.post("/records/-/do/block", of([*ids, foreign], reason="用户来电要求"))
        rows = await site.db.fetch("SELECT number, account_id, reason FROM block_list ORDER BY number")
        known = [(int(f"86{number}"), site.accounts["hall"], "用户来电要求") for number in (ONE, OTHER)]
        assert list(map(tuple, rows)) == known
        assert "其中 2 个已在名单中" in unescape(await browser.post("/records/-/effect/block", of(ids)))


async def test_numbers_become_contacts_of_a_group_and_a_colleagues_stay_out(site: Site) -> None:
    await add_role(site, "keeps", KEEPS, people={"keeps-hall": "hall"})
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    group = await book.add_group(acting(site), hall, "失败回访", Sharing())
    foreign = await book.add_group(acting(site), clinic, "别家分组", Sharing())
    ids = [*await send(site, "hall", ONE, OTHER), *await send(site, "hall", ONE)]
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
    known = "SELECT number FROM contact WHERE account_id = $1 ORDER BY number"
    assert await column(site, known, hall) == [f"86{ONE}", f"86{OTHER}"]
    assert await site.db.fetchval("SELECT count(*) FROM audience_member WHERE audience_id = $1", group) == 2
    made = "SELECT after->>'created' FROM audit WHERE action = 'audience.members' ORDER BY id"
    assert await column(site, made) == ["2", "0"]


S = PartState
DEAD, MAYBE = "空号或在运营商黑名单中", "结果不明，可能已送达"
# State, code, class, refused by us, sent again by policy; and why it is not sent again ("": it is).
FATES = (
    (S.EXPIRED, "", "", False, 0, ""), (S.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER", False, 0, DEAD),
    (S.REJECTED, "ID:0076", "CONTENT_BLOCKED", False, 0, "内容被运营商拦截"), (S.REJECTED, "WORD", "", True, 0, ""),
    (S.REJECTED, "REVIEW_REJECTED", "POLICY", True, 0, "未经审批通过"),
    (S.UNDELIVERABLE, "OPERATOR:FAILED", "", False, 0, ""),
    (S.DELIVERED, "DELIVRD", "", False, 0, "已送达"),
    *((state, "", "", False, 0, MAYBE) for state in (S.SENT, S.SENDING, S.UNKNOWN, S.UNCONFIRMED, S.NO_REPORT)),
    *((state, "", "", False, 0, "尚未结束") for state in (S.HELD, S.SCHEDULED, S.QUEUED, S.DEFERRED)),
    (S.CANCELLED, "", "", False, 0, "已取消"), (S.DUPLICATE, "", "", False, 0, "同一内容已发给该号码"),
    (S.UNDELIVERABLE, "MC:0055", "NETWORK", False, 0, "失败码不能确定手机没有收到"),
    (S.UNDELIVERABLE, "NOBODY:KNOWS", "UNKNOWN", False, 0, "失败码不能确定手机没有收到"),
    (S.EXPIRED, "", "", False, 1, "此前一次提交结果不明"),
)  # fmt: skip
MESSAGES = 1000
_FATE = """
UPDATE part p SET state = f.state, code = f.code, class = f.class, by_us = f.by_us, resent = f.resent, channel_id = $7
FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::text[], $5::bool[], $6::smallint[])
     f (id, state, code, class, by_us, resent)
WHERE p.id = f.id AND p.part = 1
"""
# The second half of a long one has arrived, or has failed like the first.
_SECOND = "UPDATE part SET state = $2, code = $3 WHERE id = ANY($1::bigint[]) AND part = 2"


async def many(site: Site) -> dict[int, tuple[str, str]]:
    """So many messages of all states: id -> number, and why it may not be sent again."""
    account = site.snapshots.current.account(site.accounts["hall"])
    items = tuple(SendItem(f"138{n:08}", "好" * (100 if n % 5 == 0 else 10)) for n in range(MESSAGES))
    sent = await site.acceptor.send(SendRequest(account, items, MessageType.NOTICE, Origin.API, "key-1"))
    ids = [int(item.message_id or 0) for item in sent.items]
    fates = [FATES[n // 5 % len(FATES)] for n in range(MESSAGES)]
    states, codes, classes, bys, resent, why = zip(*fates, strict=True)
    await site.db.execute(_FATE, ids, [int(s) for s in states], codes, classes, bys, resent, site.channel_id)
    long = [n for n in range(MESSAGES) if n % 5 == 0]
    half = [n for n in long if n % 2]  # of these the second part has arrived
    alike = [n for n in long if not n % 2]
    await site.db.execute(_SECOND, [ids[n] for n in half], int(S.DELIVERED), "DELIVRD")
    for n in alike:
        await site.db.execute(_SECOND, [ids[n]], int(fates[n][0]), fates[n][1])
    reasons = list(why)
    for n in half:
        if fates[n][0] is not S.DELIVERED:
            reasons[n] = MAYBE
    return {id_: (item.to.strip("+"), reason) for id_, item, reason in zip(ids, items, reasons, strict=True)}


async def everything(browser: Browser) -> str:
    """All that is found today, as the page selects it."""
    (found,) = re.findall(r'data-pick-found="([^"]+)"', await browser.get("/records/-/total?time=today&origin=api"))
    return found


async def test_exactly_the_definite_failures_go_out_once(site: Site) -> None:
    all_ = await many(site)
    wanted = sorted(f"86{number}" for number, why in all_.values() if not why)
    refused = Counter(why for _, why in all_.values() if why)
    assert len(wanted) >= 100
    async with all_signed_in(site, "admin", "admin") as (admin, other):
        for browser in (admin, other):
            await browser.get("/records?time=today")
        chosen = {browser: {"selection": await everything(browser)} for browser in (admin, other)}
        shows(await admin.post("/records/-/effect/resend", chosen[admin]), f"将重发 {len(wanted)} 条失败的短信",
              *(f"{why} {n}" for why, n in refused.items()))  # fmt: skip

        async def press(browser: Browser) -> str:
            return await browser.post("/records/-/do/resend", chosen[browser])

        # Pressed twice at the same time in two windows, and once more later.
        first, second = await asyncio.gather(press(admin), press(other))
        third = await press(admin)
    counts = [int(re.search(r"已处理 (\d+) 条，(\d+) 条未处理", page)[1]) for page in (first, second, third)]  # type: ignore[index]
    assert sum(counts) == len(wanted)
    assert counts[2] == 0
    new = await site.db.fetch("SELECT id, number FROM message WHERE NOT id = ANY($1::bigint[])", list(all_))
    assert sorted(row["number"] for row in new) == wanted
    noted = await site.db.fetch("SELECT message_id, again_id FROM message_resend")
    assert {row["message_id"] for row in noted} == {id_ for id_, (_, why) in all_.items() if not why}
    assert {row["again_id"] for row in noted} == {row["id"] for row in new}
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'message.resend'") == len(wanted)
    # The carrier gets each once; what waited before is still its own.
    taken = {id_ for id_, _ in await site.carrier_takes()}
    assert {row["id"] for row in new} <= taken
    assert not taken & {id_ for id_, (_, why) in all_.items() if not why}


async def test_a_week_later_it_is_still_refused_and_others_cannot(site: Site, boss: Browser) -> None:
    all_ = dict(list((await many(site)).items())[:5])
    id_ = next(id_ for id_, (_, why) in all_.items() if not why)
    site.unavailable.add("CMCC")
    assert "1 条未处理" in await boss.post("/records/-/do/resend", {"id": str(id_)})
    assert await site.db.fetchval("SELECT count(*) FROM message") == MESSAGES, "what the door refuses leaves nothing"
    site.unavailable.clear()
    assert "已处理 1 条" in await boss.post("/records/-/do/resend", {"id": str(id_)})
    await site.db.execute("DELETE FROM request_key")  # as the sweep does it after seven days
    assert "已重发过" in await boss.post("/records/-/do/resend", {"id": str(id_)})
    assert "已重发过" in await boss.post("/records/-/effect/resend", {"id": str(id_)})
    assert await site.db.fetchval("SELECT count(*) FROM message") == MESSAGES + 1
    async with signed_in(site, "clerk") as clerk:
        await clerk.refused("/records/-/do/resend", {"id": str(list(all_)[1])})
    assert await site.db.fetchval("SELECT count(*) FROM message") == MESSAGES + 1


@pytest.mark.parametrize("end", ["rejected", "expired"])
async def test_what_no_reviewer_has_passed_is_not_sent_alone(site: Site, boss: Browser, end: str) -> None:
    """A call of two waits for a reviewer, as one number would not."""
    fields = {name: parse(name, "off") for name in RELAXED} | {"review_over": parse("review_over", "1")}
    site.snapshots.change(policies=PolicySet({(0, ""): fields}))
    ids = await submitted(site, "hall", "13800130000", "13800130001", content="停水通知")
    assert await site.db.fetchval("SELECT count(*) FROM part WHERE state = $1", int(S.HELD)) == 2
    if end == "rejected":
        await boss.post("/review/-/do/reject", {"id": str(ids[0]), "reason": "不得群发"})
    else:
        later = clock.now() + timedelta(days=8)
        async with site.db.transaction() as connection:
            assert len(await sweeps.expire(connection, later, 0)) == 2
    assert await column(site, "SELECT DISTINCT state FROM part") == [S[end.upper()]]
    if end == "expired":  # the messages end by themselves, and so may a moment before the review
        await refused(site, boss, ids)
        async with site.db.transaction() as connection:
            await reviews.expire(connection, later)
        assert await site.db.fetchval("SELECT state FROM review") == "expired"
    await refused(site, boss, ids)


async def refused(site: Site, admin: Browser, ids: list[int]) -> None:
    """Neither of the two messages can be sent again."""
    assert "未经审批通过 1" in await admin.post("/records/-/effect/resend", {"id": str(ids[0])})
    for id_ in ids:
        assert "未经审批通过" in await admin.post("/records/-/do/resend", {"id": str(id_)})
    assert await site.db.fetchval("SELECT count(*) FROM message") == 2


async def test_what_failed_for_good_is_sent_again_only_when_that_is_asked_for(site: Site, boss: Browser) -> None:
    ids = await submitted(site, "hall", *(f"1380000000{n}" for n in range(3)))
    await site.db.execute(_FATE, ids, [int(S.UNDELIVERABLE)] * 3, ["MK:0001", "UNDELIV", "MK:0001"],
                          ["EMPTY_NUMBER", "POWERED_OFF", "BLACKLIST_CARRIER"], [False] * 3, [0] * 3,
                          site.channel_id)  # fmt: skip
    chosen = [("id", str(id_)) for id_ in ids]
    said = await boss.post("/records/-/effect/resend", chosen)
    shows(said, "将重发 1 条失败的短信", f"另外 2 条不重发：{DEAD} 2", "仍重发 2 条")
    only = await boss.post("/records/-/effect/resend", chosen[:1])
    assert 'name="option"' in only, "there is something to choose where nothing goes out by default"
    assert "已处理 1 条，2 条未处理" in await boss.post("/records/-/do/resend", chosen)
    assert "已处理 2 条，1 条未处理" in await boss.post("/records/-/do/resend", [*chosen, ("option", "1")])
