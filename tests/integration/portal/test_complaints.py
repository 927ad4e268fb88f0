"""The register of complaints: entered about a message or a number, dealt with step by step, the file for the carrier,
and whose complaints somebody sees."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest_asyncio
from browsing import send
from portal_site import Site, with_keeper
from visits import fails, having, lacking, signed_in

from smsgw.core.actor import Actor
from smsgw.core.errors import SmsgwError
from smsgw.core.permissions import Permission as P
from smsgw.platform.change import Change
from smsgw.platform.lists import complaints, consents
from smsgw.platform.lists.complaints import Due, Origin, State, WantedComplaints
from smsgw.platform.paging import Window
from smsgw.runtime import clock

PHONE, NUMBER = "13800138000", "8613800138000"


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with with_keeper(dsn, tmp_path, P.COMPLAINT_VIEW, P.COMPLAINT_EDIT, P.MESSAGE_VIEW) as site:
        yield site


def by_test(site: Site) -> Change:
    return Change(site.db, Actor.system("test"), ids=site.ids)


async def states(site: Site) -> list[tuple[str, str, str]]:
    rows = await site.db.fetch("SELECT state, said, actor FROM complaint_step ORDER BY id")
    return [(row["state"], row["said"], row["actor"]) for row in rows]


async def test_a_complaint_about_a_message_is_dealt_with_and_goes_to_the_carrier_as_a_file(site: Site) -> None:
    message, hall = await send(site, content="停水通知"), site.accounts["hall"]
    at = clock.now() - timedelta(days=1)
    await consents.give(by_test(site), hall, [NUMBER], consents.Given(consents.Source.PAPER, "V2", "档案柜 A-3", at))
    async with signed_in(site, "boss") as boss:
        assert f'href="/complaints/-/of/{message}"' in await boss.get(f"/records/{message}")
        form = {"origin": "carrier", "reference": "KF-7", "note": "半夜收到短信", "due_days": "2", "block": "1"}
        assert await boss.status_of(f"/complaints/-/of/{message}", form | {"note": ""}) == 422
        page = await boss.post(f"/complaints/-/of/{message}", form)
        assert not lacking(page, "138****8000", "半夜收到短信", "KF-7", "运营商", "停水通知", "档案柜 A-3",
                           f"/records/{message}")  # fmt: skip
        assert not having(page, NUMBER, PHONE)
        entry = await site.db.fetchrow("SELECT type, source, account_id FROM block_list WHERE number = $1", int(NUMBER))
        assert tuple(entry) == ("marketing", "complaint", 0)
        id_ = await site.db.fetchval("SELECT id FROM complaint")
        assert f'href="/complaints?message={message}"' in await boss.get(f"/records/{message}")
        assert "138****8000 的投诉" in await boss.get(f"/palette?q={PHONE}")
        assert f'href="/complaints?number={PHONE}"' in await boss.get(f"/blocked/why?number={PHONE}")

        for state, said in (("checking", "核实中"), ("answered", "已致歉并停发"), ("closed", "用户认可")):
            assert said in await boss.post(f"/complaints/{id_}/step", {"state": state, "said": said})
        assert await states(site) == [
            ("checking", "核实中", "boss"), ("answered", "已致歉并停发", "boss"), ("closed", "用户认可", "boss"),
        ]  # fmt: skip
        page = await boss.get(f"/complaints/{id_}")
        assert "已致歉并停发" in page
        assert "boss 先生" in page, "people are called by their names"
        assert f"/complaints/{id_}/step" not in page, "it is over"
        assert await boss.status_of(f"/complaints/{id_}/step", {"state": "checking", "said": "再查"}) == 422
        assert len(await states(site)) == 3

        assert not lacking(await boss.get(f"/complaints/-/file/{id_}"), NUMBER, "停水通知", "档案柜 A-3", "V2", "KF-7",
                           "半夜收到短信", "已致歉并停发", "核实中", "key-1")  # fmt: skip


async def test_lists_find_by_what_is_known_of_a_complaint_and_say_which_are_late(site: Site) -> None:
    first = await complaints.enter(by_test(site), NUMBER, note="一", origin=Origin.AUTHORITY, reference="R1")
    second = await complaints.enter(by_test(site), "8613900139000", note="二", due_days=30)
    third = await complaints.enter(by_test(site), "8613700137000", note="\u3000\u3000三\n\u3000\u3000次")
    await site.db.execute("UPDATE complaint SET due_at = now() - interval '1 hour' WHERE id <> $1", second.id)
    await complaints.step(by_test(site), third.id, State.ANSWERED, "已答复")
    at = clock.now()

    async def found(wanted: WantedComplaints) -> list[int]:
        got = await complaints.search(site.db, wanted, Window(), accounts=None)
        assert await complaints.how_many(site.db, wanted, 10, accounts=None) == len(got.rows)
        return [row.id for row in got.rows]

    a, b, c = first.id, second.id, third.id
    assert await found(WantedComplaints()) == [c, b, a]
    assert await found(WantedComplaints(due=Due.OVER)) == [a], "who was answered waits no more"
    assert await found(WantedComplaints(number="8613900139000")) == [b]
    assert await found(WantedComplaints(origin="authority")) == await found(WantedComplaints(reference="R1")) == [a]
    assert await found(WantedComplaints(state="answered")) == [c]
    assert await found(WantedComplaints(since=at + timedelta(days=1))) == []
    async with signed_in(site, "boss") as boss:
        page = await boss.get("/complaints?due=over")
        assert set(re.findall(r'href="/complaints/(\d+)"', page)) == {str(a)}
        assert "已逾期" in page
        assert "已过答复时限" in await boss.get(f"/complaints/{a}")
        assert "已过答复时限" not in await boss.get(f"/complaints/{c}")


async def test_who_sees_some_accounts_stops_nothing_for_all_and_what_is_over_stays_so(site: Site) -> None:
    message = await send(site)
    async with signed_in(site, "hall-op") as hall:
        form = {"origin": "user", "note": "为什么发给我", "due_days": "3"}
        assert "停发营销短信对全部账号生效" in await hall.refusal(f"/complaints/-/of/{message}", form | {"block": "1"})
        assert not await site.db.fetchval("SELECT count(*) FROM complaint")
        assert not lacking(await hall.post(f"/complaints/-/of/{message}", form), "为什么发给我", "没有查看名单的权限")
    id_ = await site.db.fetchval("SELECT id FROM complaint")
    foreign = Change(site.db, Actor.system("test"))
    await complaints.step(foreign, id_, State.CLOSED, "办结")
    await fails(SmsgwError, complaints.step(foreign, id_, State.OPEN, "重开"), code="STATE_CONFLICT")
    await fails(SmsgwError, complaints.step(foreign, id_ + 1000, State.CLOSED, "办结"), code="NOT_FOUND")
    await fails(SmsgwError, complaints.enter(by_test(site), NUMBER, message_id=message + 1), code="NOT_FOUND")
