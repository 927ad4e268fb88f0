"""Failed messages once more: exactly those that have definitely failed, once; what may have arrived never is."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from datetime import timedelta

import pytest
from browsing import Browser, shows
from portal_site import Site
from visits import signed_in, submitted

from smsgw.core.model import MessageType, Origin
from smsgw.core.policy import RELAXED, PolicySet, parse
from smsgw.core.states import PartState
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.runtime import clock
from smsgw.store.messages import reviews, sweeps

S = PartState
DEAD = "空号或在运营商黑名单中"
# State, code, class, refused by us, sent again by policy; and why it is not sent again ("": it is).
FATES = (
    (S.EXPIRED, "", "", False, 0, ""), (S.UNDELIVERABLE, "MK:0001", "EMPTY_NUMBER", False, 0, DEAD),
    (S.REJECTED, "ID:0076", "CONTENT_BLOCKED", False, 0, "内容被运营商拦截"), (S.REJECTED, "WORD", "", True, 0, ""),
    (S.REJECTED, "REVIEW_REJECTED", "POLICY", True, 0, "未经审批通过"),
    (S.UNDELIVERABLE, "OPERATOR:FAILED", "", False, 0, ""),
    (S.DELIVERED, "DELIVRD", "", False, 0, "已送达"), (S.SENT, "", "", False, 0, "结果不明，可能已送达"),
    (S.SENDING, "", "", False, 0, "结果不明，可能已送达"), (S.UNKNOWN, "", "", False, 0, "结果不明，可能已送达"),
    (S.UNCONFIRMED, "", "", False, 0, "结果不明，可能已送达"), (S.NO_REPORT, "", "", False, 0, "结果不明，可能已送达"),
    (S.HELD, "", "", False, 0, "尚未结束"), (S.SCHEDULED, "", "", False, 0, "尚未结束"),
    (S.QUEUED, "", "", False, 0, "尚未结束"), (S.DEFERRED, "", "", False, 0, "尚未结束"),
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
pytestmark = pytest.mark.staff(admin="admin", clerk=("operator", "clinic"))


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
            reasons[n] = "结果不明，可能已送达"
    return {id_: (item.to.strip("+"), reason) for id_, item, reason in zip(ids, items, reasons, strict=True)}


async def everything(browser: Browser) -> str:
    """All that is found today, as the page selects it."""
    found = re.search(r'data-pick-found="([^"]+)"', await browser.get("/records/-/total?time=today&origin=api"))
    return found[1]


async def test_exactly_the_definite_failures_go_out_once(site: Site) -> None:
    all_ = await many(site)
    wanted = sorted(f"86{number}" for number, why in all_.values() if not why)
    refused = Counter(why for _, why in all_.values() if why)
    assert len(wanted) >= 100
    async with Browser(site) as admin, Browser(site) as other:
        for browser in (admin, other):
            await browser.login("admin")
            await browser.get("/records?time=today")
        chosen = {browser: {"selection": await everything(browser)} for browser in (admin, other)}
        said = await admin.post("/records/-/effect/resend", chosen[admin])
        assert f"将重发 {len(wanted)} 条失败的短信" in said
        for why, n in refused.items():
            assert f"{why} {n}" in said, why

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


async def test_a_week_later_it_is_still_refused_and_others_cannot(site: Site) -> None:
    all_ = dict(list((await many(site)).items())[:5])
    (id_, _), *_ = [(id_, fate) for id_, fate in all_.items() if not fate[1]]
    async with signed_in(site, "admin") as admin:
        assert "已处理 1 条" in await admin.post("/records/-/do/resend", {"id": str(id_)})
        await site.db.execute("DELETE FROM request_key")  # as the sweep does it after seven days
        assert "已重发过" in await admin.post("/records/-/do/resend", {"id": str(id_)})
        assert "已重发过" in await admin.post("/records/-/effect/resend", {"id": str(id_)})
    assert await site.db.fetchval("SELECT count(*) FROM message") == MESSAGES + 1
    async with signed_in(site, "clerk") as clerk:
        await clerk.refused("/records/-/do/resend", {"id": str(list(all_)[1])})
    assert await site.db.fetchval("SELECT count(*) FROM message") == MESSAGES + 1


async def test_what_the_door_refuses_now_leaves_nothing_behind(site: Site) -> None:
    all_ = await many(site)
    id_ = next(id_ for id_, (_, why) in all_.items() if not why)
    site.unavailable.add("CMCC")
    async with signed_in(site, "admin") as admin:
        assert "1 条未处理" in await admin.post("/records/-/do/resend", {"id": str(id_)})
        assert await site.db.fetchval("SELECT count(*) FROM message") == MESSAGES
        site.unavailable.clear()
        assert "已处理 1 条" in await admin.post("/records/-/do/resend", {"id": str(id_)})


@pytest.mark.parametrize("end", ["rejected", "expired"])
async def test_what_no_reviewer_has_passed_is_not_sent_alone(site: Site, end: str) -> None:
    """A call of two waits for a reviewer, as one number would not."""
    fields = {name: parse(name, "off") for name in RELAXED} | {"review_over": parse("review_over", "1")}
    site.snapshots.change(policies=PolicySet({(0, ""): fields}))
    ids = await submitted(site, "hall", "13800130000", "13800130001", content="停水通知")
    assert await site.db.fetchval("SELECT count(*) FROM part WHERE state = $1", int(S.HELD)) == 2
    async with signed_in(site, "admin") as admin:
        if end == "rejected":
            await admin.post("/review/-/do/reject", {"id": str(ids[0]), "reason": "不得群发"})
        else:
            later = clock.now() + timedelta(days=8)
            async with site.db.transaction() as connection:
                assert len(await sweeps.expire(connection, later, 0)) == 2
        states = await site.db.fetch("SELECT DISTINCT state FROM part")
        assert [S(row["state"]) for row in states] == [S[end.upper()]]
        if end == "expired":  # the messages end by themselves, and so may a moment before the review
            await refused(site, admin, ids)
            async with site.db.transaction() as connection:
                await reviews.expire(connection, later)
            assert await site.db.fetchval("SELECT state FROM review") == "expired"
        await refused(site, admin, ids)


async def refused(site: Site, admin: Browser, ids: list[int]) -> None:
    """Neither of the two messages can be sent again."""
    assert "未经审批通过 1" in await admin.post("/records/-/effect/resend", {"id": str(ids[0])})
    for id_ in ids:
        assert "未经审批通过" in await admin.post("/records/-/do/resend", {"id": str(id_)})
    assert await site.db.fetchval("SELECT count(*) FROM message") == 2


async def test_what_failed_for_good_is_sent_again_only_when_that_is_asked_for(site: Site) -> None:
    ids = await submitted(site, "hall", *(f"1380000000{n}" for n in range(3)))
    await site.db.execute(_FATE, ids, [int(S.UNDELIVERABLE)] * 3, ["MK:0001", "UNDELIV", "MK:0001"],
                          ["EMPTY_NUMBER", "POWERED_OFF", "BLACKLIST_CARRIER"], [False] * 3, [0] * 3,
                          site.channel_id)  # fmt: skip
    chosen = [("id", str(id_)) for id_ in ids]
    async with signed_in(site, "admin") as admin:
        said = await admin.post("/records/-/effect/resend", chosen)
        shows(said, "将重发 1 条失败的短信", f"另外 2 条不重发：{DEAD} 2", "仍重发 2 条")
        only = await admin.post("/records/-/effect/resend", chosen[:1])
        assert 'name="option"' in only, "there is something to choose where nothing goes out by default"
        assert "已处理 1 条，2 条未处理" in await admin.post("/records/-/do/resend", chosen)
        assert "已处理 2 条，1 条未处理" in await admin.post("/records/-/do/resend", [*chosen, ("option", "1")])
