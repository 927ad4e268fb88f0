"""Queues as a page: what waits is where it is said to be, and it is said what stands still and why."""

from __future__ import annotations

import pytest
import pytest_asyncio
from browsing import Browser, send, shows
from portal_site import Site, by_test
from test_operations_pages import status
from visits import add_role, signed_in, table_rows

from smsgw.core.actor import ScopeKind
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import service as accounts
from smsgw.platform.queues import queries

pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "duty", [Permission.NODE_VIEW], ScopeKind.ALL, people=["duty-1"])
    await add_role(site, "narrow", [Permission.NODE_VIEW, Permission.TASK_VIEW], people={"narrow-1": "hall"})
    return site


async def test_what_waits_is_told_by_pool_lane_and_account_with_its_time_to_drain(site: Site) -> None:
    for n in range(6):
        await send(site, to=f"1380013800{n}")
    await send(site, "clinic", to="13000130000")  # of another carrier, which no channel serves here
    site.channels.append(status(site, rate_now=2.0, pools=("CMCC",)))
    async with signed_in(site, "boss") as boss:
        found = table_rows(await boss.get("/queues"))
        assert [row[:3] for row in found] == [["移动", "通知", "6"], ["联通", "通知", "1"]]
        assert found[0][5] == "3.0 秒", "six at two a second"
        assert found[0][6] == "mobile-a"
        assert found[1][5] == "没有通道取用"
        page = await boss.get("/queues")
        assert f"/accounts/{site.accounts['hall']}/route" in page, "where it is led elsewhere"
        assert "政务大厅" in page
        assert len(await site.carrier_takes()) == 7
        assert list((await queries.standing(site.db)).queues) == []


async def test_it_is_said_what_stands_still_and_why(site: Site) -> None:
    await send(site)
    site.channels.append(status(site, rate_now=0.0, pools=("CMCC",)))
    async with signed_in(site, "boss") as boss:
        assert table_rows(await boss.get("/queues"))[0][5] == "没有发送"
        site.channels[0] = status(site, rate_now=0.0, state="connecting", pools=("CMCC",))
        assert table_rows(await boss.get("/queues"))[0][5] == "通道都未连接"
    await accounts.set_status(by_test(site.db), site.accounts["hall"], "stopped")
    (line,) = (await queries.standing(site.db)).accounts
    assert line.halted


async def test_of_much_so_much_is_counted_as_goes_next(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "LOOKED_AT", 3)
    for n in range(5):
        await send(site, to=f"1380013800{n}")
    (line,) = (await queries.standing(site.db)).queues
    assert (line.n, line.more) == (3, True)


async def test_whoever_sees_less_than_all_sees_no_queues(site: Site) -> None:
    await send(site, "clinic")
    async with Browser(site) as narrow, Browser(site) as duty:
        await narrow.login("narrow-1")
        shows(await narrow.get("/queues"), "全部数据", no="社区医院")
        assert "社区医院" not in await narrow.get("/queues/-/live", headers={"HX-Request": "true"})
        assert narrow.status == 204
        await duty.login("duty-1")
        page = await duty.get("/queues")
        assert "社区医院" in page
        assert "q-tasks" not in page, "tasks are for who may see tasks"
        assert 'href="/channels' not in page
