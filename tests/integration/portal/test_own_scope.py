"""Data scope 仅本人: of one's accounts exactly what one has submitted, its answers and figures; nothing of others."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from browsing import shows
from databases import change
from days import today
from portal_site import Site
from test_inbound import reply
from test_reports import roll_up
from visits import acting_as, add_role, signed_in, submitted

from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.code_book import CodeBook
from smsgw.core.model import Origin
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState
from smsgw.platform.change import Change
from smsgw.platform.messages import inbound, records, resend, service as messages
from smsgw.platform.paging import Window
from smsgw.platform.statistics import delays, failures, reports
from smsgw.platform.statistics.reports import Wanted

RIGHTS = [
    Permission.MESSAGE_VIEW, Permission.MESSAGE_READ, Permission.MESSAGE_EXPORT,
    Permission.MESSAGE_UNMASK, Permission.INBOUND_VIEW, Permission.INBOUND_HANDLE, Permission.STATISTICS_VIEW,
    Permission.MESSAGE_SEND, Permission.STATISTICS_EXPORT, Permission.EVENT_VIEW, Permission.KEY_VIEW,
]  # fmt: skip
NUMBER = "13800138001"


def about_now() -> tuple[datetime, datetime]:
    now, day = datetime.now(UTC), timedelta(days=1)
    return now - day, now + day


@dataclass
class Sent:
    """Messages to one number, by who has submitted them with which account."""

    site: Site
    dsn: str
    by: dict[tuple[str, str], int]


@pytest_asyncio.fixture
async def sent(site: Site, dsn: str) -> Sent:
    await add_role(site, "own", RIGHTS, ScopeKind.OWN, people={"me": "hall", "you": "hall"})
    await add_role(site, "all", RIGHTS, people={"lead": "hall"})
    await site.add_staff("new", "own")
    by = {}
    for account, submitter in (("hall", "me"), ("hall", "you"), ("hall", "ak_one"), ("clinic", "me")):
        (by[account, submitter],) = await submitted(site, account, NUMBER, origin=Origin.PORTAL, by=submitter)
        await site.carrier_reports(await site.carrier_takes(), PartState.UNDELIVERABLE, "MK:0001", "absent")
    await roll_up(site)
    return Sent(site, dsn, by)


async def actor(site: Site, login: str) -> Actor:
    return (await acting_as(site, login)).actor


WHOLE = ("/reports/success", "/pushes", "/calls", "/calls/refused", "/statements/mails", "/statements/receivers")
"""Lists that know accounts, and not who has submitted."""
MINE = {"me": {("hall", "me")}, "you": {("hall", "you")}, "new": set(),
        "lead": {("hall", "me"), ("hall", "you"), ("hall", "ak_one")}}  # fmt: skip


@pytest.mark.parametrize("login", MINE)
async def test_pages_show_exactly_what_one_has_submitted(sent: Sent, login: str) -> None:
    mine = {id_ for key, id_ in sent.by.items() if key in MINE[login]}
    async with signed_in(sent.site, login) as browser:
        assert set(map(int, re.findall(r'href="/records/([0-9]+)"', await browser.get("/records")))) == mine
        assert f"{len(mine)} 条" in await browser.get("/records/-/total")
        assert set(map(int, re.findall(r'href="/records/([0-9]+)"', await browser.get("/")))) == mine
        for id_ in sent.by.values():
            for path in (f"/records/{id_}", f"/records/{id_}/live", f"/records/{id_}/number"):
                assert await browser.status_of(path) == (200 if id_ in mine else 404), path
            assert (f'href="/records/{id_}"' in await browser.get(f"/palette?q={id_}")) == (id_ in mine)


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
    assert {id_ for id_ in sent.by.values() if await messages.read(mine_to_read, id_, unmasked=False)} == mine
    for by in ("", "account", "origin", "person"):
        figures = await reports.totals(site.db, who, Wanted(today(), today(), group=by))
        assert (figures.submitted, figures.failed) == (len(mine), len(mine)), by
    assert (await reports.totals(site.db, who, Wanted(today(), today(), monthly=True))).submitted == len(mine)
    rows = (await failures.search(site.db, who, failures.WantedFailures(*about_now()), Window("failed"))).rows
    assert sum(row["failed"] for row in rows) == len(mine)
    assert sum(one.n for one in await delays.search(site.db, who, delays.WantedDelays(*about_now()))) == len(mine)


async def test_what_is_not_counted_by_person_is_said_and_not_shown_as_nothing(sent: Sent) -> None:
    site, said = sent.site, "没有个人统计"
    async with signed_in(site, "me") as browser:
        for query, unknown in {"": False, "group=account": False, "group=origin": False, "group=type": True,
                               "group=channel": True, "carrier=CMCC": True, "type=notice": True}.items():  # fmt: skip
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
    async with signed_in(site, "me") as browser:
        for one in (*answers.values(), loose):
            assert await browser.status_of(f"/inbound/{one}") == (200 if one == own else 404)
            await browser.post("/inbound/-/seen", {"id": str(one)})
        others = [key for key in sent.by if key != ("hall", "me")]  # of the conversation with the number
        shows(
            await browser.get(f"/inbound/{own}"),
            f"/records/{sent.by['hall', 'me']}",
            no=[f"/{of}/{ids[key]}" for of, ids in (("records", sent.by), ("inbound", answers)) for key in others],
        )
    assert await inbound.unread(site.db, who) == 0
    assert await inbound.unread(site.db, await actor(site, "lead")) == 3, "of others none was opened"
