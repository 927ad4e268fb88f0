"""Data scope 仅本人: of the accounts entrusted to somebody exactly what they have submitted themselves, wherever sent
messages, their answers and their figures are shown; nothing of others, by whatever id."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from browsing import Browser
from databases import change
from days import today
from portal_site import Site, running
from test_inbound import reply
from test_reports import roll_up

from smsgw.core.actor import Actor, ActorLabel, ScopeKind
from smsgw.core.code_book import CodeBook
from smsgw.core.model import MessageType, Origin
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.platform.change import Change
from smsgw.platform.messages import inbound, records, resend
from smsgw.platform.messages import service as messages
from smsgw.platform.org import queries as people
from smsgw.platform.org import service as org
from smsgw.platform.paging import Window
from smsgw.platform.statistics import delays, failures, reports
from smsgw.platform.statistics.reports import Wanted

RIGHTS = [
    Permission.HOME_VIEW, Permission.MESSAGE_VIEW, Permission.MESSAGE_READ, Permission.MESSAGE_EXPORT,
    Permission.MESSAGE_UNMASK, Permission.INBOUND_VIEW, Permission.INBOUND_HANDLE, Permission.STATISTICS_VIEW,
    Permission.MESSAGE_SEND, Permission.STATISTICS_EXPORT, Permission.EVENT_VIEW, Permission.KEY_VIEW,
]  # fmt: skip
NUMBER = "13800138001"


def about_now() -> tuple[datetime, datetime]:
    now, day = datetime.now(UTC), timedelta(days=1)
    return now - day, now + day


class Sent:
    """Messages to one number, by who has submitted them with which account."""

    def __init__(self, site: Site, dsn: str) -> None:
        self.site = site
        self.dsn = dsn
        self.by: dict[tuple[str, str], int] = {}

    async def one(self, account: str, submitter: str) -> None:
        chosen = self.site.snapshots.current.account(self.site.accounts[account])
        assert chosen
        wanted = SendRequest(
            chosen, (SendItem(to=NUMBER, content="您好"),), MessageType.NOTICE, Origin.PORTAL, ActorLabel(submitter)
        )
        result = await self.site.acceptor.send(wanted)
        self.by[account, submitter] = int(result.items[0].message_id or 0)
        taken = await self.site.carrier_takes()
        await self.site.carrier_reports(taken, PartState.UNDELIVERABLE, "MK:0001", "absent")


@pytest_asyncio.fixture
async def sent(dsn: str, tmp_path: Path) -> AsyncIterator[Sent]:
    async with running(dsn, tmp_path) as site:
        by_test = Change(site.db, Actor.system("test"), ids=site.ids)
        await org.add_role(by_test, "own", "窗口", RIGHTS, ScopeKind.OWN)
        await org.add_role(by_test, "all", "主管", RIGHTS, ScopeKind.ACCOUNTS)
        await site.add_staff("me", "own", "hall")
        await site.add_staff("you", "own", "hall")
        await site.add_staff("lead", "all", "hall")
        await site.add_staff("new", "own")
        sent = Sent(site, dsn)
        for account, submitter in (("hall", "me"), ("hall", "you"), ("hall", "ak_one"), ("clinic", "me")):
            await sent.one(account, submitter)
        await roll_up(site)
        yield sent


async def actor(site: Site, login: str) -> Actor:
    person = await people.person(site.db, login)
    assert person
    return person.actor()


WHOLE = ("/reports/success", "/pushes", "/calls", "/calls/refused", "/statements/mails", "/statements/receivers")
"""Lists that know accounts, and not who has submitted."""
MINE = {
    "me": {("hall", "me")}, "you": {("hall", "you")}, "new": set(),
    "lead": {("hall", "me"), ("hall", "you"), ("hall", "ak_one")},
}  # fmt: skip


@pytest.mark.parametrize("login", MINE)
async def test_pages_show_exactly_what_one_has_submitted(sent: Sent, login: str) -> None:
    mine = {id_ for key, id_ in sent.by.items() if key in MINE[login]}
    async with Browser(sent.site) as browser:
        await browser.login(login)
        page = await browser.get("/records")
        assert set(map(int, re.findall(r'href="/records/([0-9]+)"', page))) == mine
        assert f"{len(mine)} 条" in await browser.get("/records/-/total")
        home = await browser.get("/")
        assert set(map(int, re.findall(r'href="/records/([0-9]+)"', home))) == mine
        for id_ in sent.by.values():
            for path in (f"/records/{id_}", f"/records/{id_}/live", f"/records/{id_}/number"):
                await browser.get(path)
                assert browser.status == (200 if id_ in mine else 404), path
            found = await browser.get(f"/palette?q={id_}")
            assert (f'href="/records/{id_}"' in found) == (id_ in mine)


@pytest.mark.parametrize("login", MINE)
async def test_services_and_figures_know_exactly_what_one_has_submitted(sent: Sent, login: str) -> None:
    site, who = sent.site, await actor(sent.site, login)
    mine = {id_ for key, id_ in sent.by.items() if key in MINE[login]}
    wanted = records.Wanted(*about_now())
    assert {row.id for row in (await records.search(site.db, who, wanted, Window("time"))).rows} == mine
    assert (await records.sums(site.db, who, wanted, 100)).messages == len(mine)
    taken = bytearray()

    async def sink(some: bytes) -> None:
        taken.extend(some)

    days = await records.days(site.db, who, wanted)
    assert sum(n for _, n in days) == len(mine)
    for day, _ in days:
        await records.copy(site.db, who, wanted, day, ["id"], sink, descending=True)
    assert set(map(int, taken.split())) == mine
    assert set(await resend.judge(site.db, who, CodeBook(), list(sent.by.values()))) == mine
    mine_to_read = Change(site.db, who, ids=site.ids)
    seen = {id_ for id_ in sent.by.values() if await messages.read(mine_to_read, id_, unmasked=False)}
    assert seen == mine
    for by in ("", "account", "origin", "person"):
        figures = await reports.totals(site.db, who, Wanted(today(), today(), group=by))
        assert (figures.submitted, figures.failed) == (len(mine), len(mine)), by
    month = await reports.totals(site.db, who, Wanted(today(), today(), monthly=True))
    assert month.submitted == len(mine)
    rows = (await failures.search(site.db, who, failures.WantedFailures(*about_now()), Window("failed"))).rows
    assert sum(row["failed"] for row in rows) == len(mine)
    assert sum(one.n for one in await delays.search(site.db, who, delays.WantedDelays(*about_now()))) == len(mine)


async def test_what_is_not_counted_by_person_is_said_and_not_shown_as_nothing(sent: Sent) -> None:
    site, said = sent.site, "没有个人统计"
    async with Browser(site) as browser:
        await browser.login("me")
        for query, unknown in {
            "": False, "group=account": False, "group=origin": False, "group=type": True, "group=channel": True,
            "carrier=CMCC": True, "type=notice": True,
        }.items():  # fmt: skip
            for path in ("/reports/daily", "/reports/monthly"):
                page = await browser.get(f"{path}?{query}")
                assert browser.status == 200
                assert (said in page) == unknown, (path, query)
        for path in WHOLE:
            assert said in await browser.get(path), path
        assert f'value="{site.accounts["hall"]}"' not in await browser.get("/statements/-/pdf"), "nor is it for one"
        await browser.login("lead")
        assert said not in await browser.get("/reports/daily?group=type")
        for path in WHOLE:
            assert said not in await browser.get(path), path
        assert f'value="{site.accounts["hall"]}"' in await browser.get("/statements/-/pdf")
    figures = await reports.totals(site.db, await actor(site, "me"), Wanted(today(), today(), group="type"))
    assert figures.submitted == 0, "nor what others have sent"


async def test_inbound_messages_are_those_that_answer_ones_own(sent: Sent) -> None:
    site, answers = sent.site, dict[tuple[str, str], int]()
    for key, id_ in sent.by.items():
        one = int(await reply(site, key[0], f"86{NUMBER}", f"回复 {id_}"))
        await change(sent.dsn, f"UPDATE mo SET in_reply_to = {id_} WHERE id = {one}")  # noqa: S608
        answers[key] = one
    loose = int(await reply(site, "hall", f"86{NUMBER}", "在吗"))
    await change(sent.dsn, f"UPDATE mo SET in_reply_to = NULL WHERE id = {loose}")  # noqa: S608
    who, own = await actor(site, "me"), answers["hall", "me"]
    found = (await inbound.search(site.db, who, inbound.Wanted(*about_now()), Window("received_at"))).rows
    assert {one.id for one in found} == {own}
    assert await inbound.how_many(site.db, who, inbound.Wanted(*about_now()), 100) == 1
    assert await inbound.unread(site.db, who) == 1
    assert await inbound.unread(site.db, await actor(site, "lead")) == 4
    async with Browser(site) as browser:
        await browser.login("me")
        for one in (*answers.values(), loose):
            await browser.get(f"/inbound/{one}")
            assert browser.status == (200 if one == own else 404)
            await browser.post("/inbound/-/seen", {"id": str(one)})
        page = await browser.get(f"/inbound/{own}")
        assert f"/records/{sent.by['hall', 'me']}" in page
        for key in (("hall", "you"), ("hall", "ak_one"), ("clinic", "me")):
            assert f"/records/{sent.by[key]}" not in page, "of the conversation with the number"
            assert f"/inbound/{answers[key]}" not in page
    assert await inbound.unread(site.db, who) == 0
    assert await inbound.unread(site.db, await actor(site, "lead")) == 3, "of others none was opened"
