"""What phones have sent: the list, what it answers, who sees it, and looking after it."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from browsing import Browser, shows
from portal_site import Site
from visits import acting, add_role, all_signed_in, signed_in, submitted

from smsgw.admin.pages.records.inbound import FILTER
from smsgw.core.ids import time_of
from smsgw.core.model import TEST_CHANNEL, Inbound
from smsgw.core.optout import DEFAULT_WORDS
from smsgw.core.permissions import Permission as P
from smsgw.platform.messages import inbound_handling
from smsgw.store.messages.inbound import Arrived, commit_inbound, sweep_care

pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    rights = (P.INBOUND_VIEW, P.INBOUND_HANDLE, P.MESSAGE_READ, P.MESSAGE_SEND, P.MESSAGE_VIEW)
    await add_role(site, "clerk", rights, people={"hall-op": "hall", "clinic-op": "clinic"})
    await add_role(site, "looker", rights[:1], people={"hall-eye": "hall"})
    return site


async def send(site: Site, account: str, number: str) -> str:
    """The message, taken by the carrier."""
    (id_,) = await submitted(site, account, number)
    await site.carrier_takes()
    return str(id_)


async def reply(site: Site, account: str | None, number: str, content: str, *, to: str = "10690001") -> str:
    """What a phone has sent: its id."""
    had = {row["id"] for row in await site.db.fetch("SELECT id FROM mo")}
    one = Inbound(site.channel_id, f"mo-{len(had)}", number, to, content, datetime.now(UTC))
    arrived = Arrived(one, None if account is None else site.accounts[account], to.removeprefix("10690001"))
    async with site.db.transaction() as connection:
        await commit_inbound(connection, [arrived], site.ids.next, DEFAULT_WORDS)
    rows = await site.db.fetch("SELECT id FROM mo")
    return next(str(row["id"]) for row in rows if row["id"] not in had)


def shown(page: str) -> set[str]:
    return set(re.findall(r'data-open="/inbound/([0-9]+)"', page))


async def test_every_field_narrows_the_list(site: Site) -> None:
    sent = await send(site, "hall", "13800138000")
    answer = await reply(site, "hall", "8613800138000", "收到")
    out = await reply(site, "hall", "8613800138001", "TD", to="1069000188")
    unowned = await reply(site, None, "8613800138002", "在吗", to="95588")
    pushed = "UPDATE customer_event SET acknowledged_at = now(), done_by = 'webhook' WHERE message_id = $1"
    await site.db.execute(pushed, int(answer))
    everything = {answer, out, unowned}
    assert len(FILTER.fields) >= 6
    async with signed_in(site, "boss") as boss:
        for query, found in {"": everything, "time=yesterday": set(), f"account={site.accounts['hall']}": {answer, out},
                             f"account={site.accounts['clinic']}": set(), "phone=13800138001": {out},
                             "outcome=opt_out": {out}, "outcome=reply": {answer}, "outcome=unowned": {unowned},
                             "outcome=message": set(), "pushed=pushed": {answer}, "pushed=waiting": {out},
                             "pushed=dead": set(), f"channel={site.channel_id}": everything, "code=955": {unowned},
                             "code=1069": {answer, out}, "extension=88": {out}, f"answers={sent}": {answer},
                             "answers=1": set()}.items():  # fmt: skip
            assert shown(await boss.get(f"/inbound?{query}")) == found, query
        assert "共 3 条" in await boss.get("/inbound/-/total")


async def test_a_reply_leads_to_what_it_answers_and_an_opt_out_to_its_entry(site: Site) -> None:
    sent = await send(site, "hall", "13800138000")
    answer = await reply(site, "hall", "8613800138000", "收到，谢谢")
    out = await reply(site, "hall", "8613800138001", "TD")
    async with signed_in(site, "boss") as boss:
        shows(await boss.get("/inbound"), f'href="/records/{sent}"', "138****8000", no="13800138000")
        assert "收到，谢谢" in await boss.get(f"/inbound/{answer}")
        page = await boss.get(f"/inbound/{out}")
        entry = re.search(r'href="(/optouts/[0-9]+)"', page)
        assert "TD" in await boss.get(entry[1])
        await boss.post("/inbound/-/export", {"q": "", "reason": "核对", "format": "csv"})
        assert boss.path.startswith("/jobs/")


async def acts(browser: Browser, key: str, *ids: str) -> str:
    """An action on rows, asked about and confirmed."""
    asked = await browser.post(f"/inbound/-/effect/{key}", {"id": list(ids), "to": "/inbound"})
    await browser.post(f"/inbound/-/do/{key}", {"id": list(ids), "to": "/inbound"})
    return asked


async def test_a_message_is_unread_until_somebody_who_looks_after_it_opens_it(site: Site) -> None:
    one = await reply(site, "hall", "8613800138000", "几点开门")
    out = await reply(site, "hall", "8613800138001", "TD")
    async with all_signed_in(site, "hall-eye", "hall-op") as (eye, clerk):
        assert await eye.status_of("/inbound/-/seen", {"id": one}) == 403
        assert shown(await clerk.get("/inbound?care=unread")) == {one}
        assert shown(await clerk.get("/inbound?care=done")) == {out}, "an opt-out is done with by itself"
        assert '"records.inbound": 1' in re.sub(r":(?=\d)", ": ", await clerk.get("/menu/badges"))
        assert 'hx-post="/inbound/-/seen"' in await clerk.get(f"/inbound/{one}"), "the page says that it is open"
        await clerk.post("/inbound/-/seen", {"id": one})
        assert shown(await clerk.get("/inbound?care=seen")) == {one}
        assert "首次查看人" in await clerk.get(f"/inbound/{one}")
    assert await site.db.fetchval("SELECT seen_by FROM inbound_care WHERE mo_id = $1", int(one)) == "hall-op"


async def test_it_is_given_to_somebody_who_may_and_is_told(site: Site) -> None:
    one = await reply(site, "hall", "8613800138000", "几点开门")
    async with all_signed_in(site, "boss", "hall-op") as (boss, clerk):
        for nobody in ("clinic-op", "hall-eye"):
            assert "不能处理这个账号的上行短信" in await boss.refusal(f"/inbound/{one}/assign", {"assignee": nobody})
        await boss.post(f"/inbound/{one}/assign", {"assignee": "hall-op"})
        assert boss.path == f"/inbound/{one}"
        assert await boss.status_of(f"/inbound/{one}/assign", {"assignee": "hall-op"}) == 422, "it is theirs already"
        assert "有一条上行短信指派给您处理" in await clerk.get("/notices")
        assert shown(await clerk.get("/inbound?assignee=mine")) == {one}
        assert shown(await clerk.get("/inbound?assignee=nobody")) == set()
        assert "1 条上行短信标为已处理" in await acts(clerk, "done", one)
        assert shown(await clerk.get("/inbound?care=done")) == {one}
        assert await boss.status_of(f"/inbound/{one}/assign", {"assignee": "boss"}) == 422, "it is done with"
        await acts(clerk, "reopen", one)
        assert shown(await clerk.get("/inbound?care=seen")) == {one}
        await acts(boss, "take", one)
        assert shown(await boss.get("/inbound?assignee=mine")) == {one}


async def test_an_answer_goes_out_once_from_the_number_that_was_written_to(site: Site) -> None:
    first = await send(site, "hall", "13800138000")
    one = await reply(site, "hall", "8613800138000", "几点开门", to="1069000188")
    async with signed_in(site, "hall-op") as clerk:
        asked = await clerk.post(f"/inbound/{one}/reply", {"content": "上午九点开门。"})
        assert "将向 138****8000 发送一条回复" in asked
        answer = {"content": "上午九点开门。", "confirmed": "1"}
        await asyncio.gather(*(clerk.post(f"/inbound/{one}/reply", answer) for _ in range(2)))
        rows = await site.db.fetch("SELECT id, number, content, extend_code, origin FROM message ORDER BY id DESC")
        assert [row["number"] for row in rows] == ["8613800138000"] * 2, "the first message and one answer"
        assert "上午九点开门。" in rows[0]["content"]
        assert rows[0]["extend_code"].endswith("88"), "with what the phone has answered to"
        assert "已用同样的内容回复过" in await clerk.refusal(f"/inbound/{one}/reply", answer)
        assert shown(await clerk.get("/inbound?care=answered")) == {one}
        page = await clerk.get(f"/inbound/{one}")
        talk = page[page.index('class="talk"') :]
        said = [talk.index(text) for text in ("您好", "几点开门", "上午九点开门")]
        assert said == sorted(said), "in the order in which it was said"
        assert f'href="/records/{first}"' in talk
        assert f'href="/records/{rows[0]["id"]}"' in page


async def test_of_two_who_answer_at_a_time_one_does_and_the_other_is_told(site: Site) -> None:
    """Over and over at the same moment; with a form that was opened before; then anew, which is a second answer."""
    await site.add_staff("hall-other", "clerk", "hall")
    count = "SELECT count(*) FROM message"
    async with signed_in(site, "hall-op") as one, signed_in(site, "hall-other") as other:
        for n in range(5):
            id_ = await reply(site, "hall", f"861380013800{n}", "几点开门")
            said = {"seen": "", "confirmed": "1"}
            at, both = f"/inbound/{id_}/reply", ((one, "上午九点。"), (other, "下午两点。"))
            pages = await asyncio.gather(*(who.post(at, said | {"content": content}) for who, content in both))
            assert (await site.db.fetchval(count), sorted((one.status, other.status))) == (n + 1, [200, 422])
            assert sum("已有人回复了这条上行短信" in page or "正在处理" in page for page in pages) == 1
        for form in ({"content": "下午两点。"}, {"content": "改到下午。", "confirmed": "1"}):
            assert "已有人回复了这条上行短信" in await other.refusal(f"/inbound/{id_}/reply", {"seen": "", **form})
        assert await site.db.fetchval(count) == 5
        opened = await other.get(f"/inbound/{id_}/reply")
        seen = re.search(r'name="seen" value="([0-9]+)"', opened)
        await other.post(f"/inbound/{id_}/reply", {"seen": seen[1], "content": "另外，周末不开门。", "confirmed": "1"})
        assert other.status == 200
        assert await site.db.fetchval(count) == 6


async def test_what_the_door_refuses_or_holds_is_said_before(site: Site) -> None:
    one = await reply(site, "hall", "8613800138000", "几点开门")
    async with signed_in(site, "hall-op") as clerk:
        site.review_all()
        assert "审核通过后才会发出" in await clerk.post(f"/inbound/{one}/reply", {"content": "您好"})
        site.unavailable |= {pool for row in await site.db.fetch("SELECT name FROM pool") for pool in row.values()}
        assert "通道" in await clerk.refusal(f"/inbound/{one}/reply", {"content": "您好"})
        assert await clerk.status_of(f"/inbound/{one}/reply", {"content": "您好", "confirmed": "1"}) == 422
    assert await site.db.fetchval("SELECT count(*) FROM message") == 0
    assert not await site.db.fetchval("SELECT count(*) FROM inbound_care WHERE answered_by > 0")


async def test_it_is_forgotten_with_the_message(site: Site) -> None:
    old, new = [await reply(site, "hall", f"861380013800{n}", "几点开门") for n in (0, 1)]
    for one in (old, new):
        await inbound_handling.done(acting(site), int(one))
    third = await reply(site, "hall", "8613800138002", "在吗")
    async with site.db.transaction() as connection:
        await sweep_care(connection, time_of(int(new)))
    assert [row["mo_id"] for row in await site.db.fetch("SELECT mo_id FROM inbound_care")] == [int(new)]
    assert [row["mo_id"] for row in await site.db.fetch("SELECT mo_id FROM inbound_unread")] == [int(third)]


async def test_a_simulated_phone_is_not_answered_and_is_nothing_unread(site: Site) -> None:
    inbound = Inbound(TEST_CHANNEL, "mo-test", "8613800138000", "10690001", "在吗", datetime.now(UTC))
    async with site.db.transaction() as connection:
        await commit_inbound(connection, [Arrived(inbound, site.accounts["hall"], "")], site.ids.next, DEFAULT_WORDS)
    one = await site.db.fetchval("SELECT id FROM mo")
    assert await site.db.fetch("SELECT FROM inbound_unread") == []
    async with signed_in(site, "hall-op") as clerk:
        assert "/reply" not in await clerk.get(f"/inbound/{one}")
        assert await clerk.status_of(f"/inbound/{one}/reply") == 404
    # Texts are found and shown with the right alone; what is nobody's is not there.
    one = await reply(site, "hall", "8613800138000", "几点开门")
    await reply(site, "hall", "8613800138001", "好的")
    nobodys = await reply(site, None, "8613800138002", "在吗", to="95588")
    for login, right in (("hall-op", True), ("hall-eye", False)):
        async with signed_in(site, login) as browser:
            assert (shown(await browser.get("/inbound?word=开门")) == {one}) is right
            assert ("几点开门" in await browser.get(f"/inbound/{one}")) is right
            assert await browser.status_of(f"/inbound/{nobodys}") == 404
