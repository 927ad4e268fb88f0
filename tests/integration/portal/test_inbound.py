"""The list of what phones have sent: what narrows it, what it answers, what became of it, and who sees which of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest_asyncio
from portal_site import Site, running
from visits import lacking, signed_in, status_of

from smsgw.admin.pages.records.inbound import FILTER
from smsgw.core.actor import Actor, ActorLabel, ScopeKind
from smsgw.core.model import Inbound, MessageType, Origin
from smsgw.core.optout import DEFAULT_WORDS
from smsgw.core.permissions import Permission
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.change import Change
from smsgw.platform.org import service as org
from smsgw.store.messages.inbound import Arrived, commit_inbound

RIGHTS = [Permission.HOME_VIEW, Permission.INBOUND_VIEW]


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        change = Change(site.db, Actor.system("test"), ids=site.ids)
        await org.add_role(change, "clerk", "客服", RIGHTS, ScopeKind.ACCOUNTS)
        await site.add_staff("hall-op", "clerk", "hall")
        yield site


async def send(site: Site, account: str, number: str) -> str:
    """The message, taken by the carrier."""
    chosen = site.snapshots.current.account(site.accounts[account])
    assert chosen
    item = SendItem(to=number, content="您好")
    wanted = SendRequest(chosen, (item,), MessageType.NOTICE, Origin.API, ActorLabel("ak_one"))
    result = await site.acceptor.send(wanted)
    await site.carrier_takes()
    return result.items[0].message_id or ""


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
        page = await boss.get("/inbound")
        assert not lacking(page, f'href="/records/{sent}"', "138****8000")
        assert "13800138000" not in page
        assert "收到，谢谢" in await boss.get(f"/inbound/{answer}")
        page = await boss.get(f"/inbound/{out}")
        entry = re.search(r'href="(/optouts/[0-9]+)"', page)
        assert "TD" in await boss.get(entry[1])
        await boss.post("/inbound/-/export", {"q": "", "reason": "核对", "format": "csv"})
        assert boss.path.startswith("/jobs/")


async def test_one_sees_the_replies_of_ones_own_accounts_and_texts_with_the_right_only(site: Site) -> None:
    own = await reply(site, "hall", "8613800138000", "收到，谢谢")
    others = await reply(site, "clinic", "8613800138001", "不来了")
    nobodys = await reply(site, None, "8613800138002", "在吗", to="95588")
    async with signed_in(site, "hall-op") as clerk:
        page = await clerk.get("/inbound")
        assert shown(page) == {own}
        assert "收到，谢谢" not in page
        assert "收到，谢谢" not in await clerk.get(f"/inbound/{own}")
        assert clerk.status == 200
        for hidden in (others, nobodys):
            assert await status_of(clerk, f"/inbound/{hidden}") == 404
        assert await status_of(clerk, "/inbound/-/export") == 403
