"""Queues as a page: what waits is where it is said to be, and it is said what stands still and why."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from browsing import Browser, send
from portal_site import Site, by_test, running

from smsgw.core.actor import ScopeKind
from smsgw.core.model import ChannelStatus
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import service as accounts
from smsgw.platform.org import service as org
from smsgw.platform.queues import queries


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        rights = [Permission.HOME_VIEW, Permission.NODE_VIEW]
        await org.add_role(by_test(site.db), "duty", "值班", rights, ScopeKind.ALL)
        await org.add_role(by_test(site.db), "narrow", "一个账号", [*rights, Permission.TASK_VIEW], ScopeKind.ACCOUNTS)
        await site.add_staff("duty-1", "duty")
        await site.add_staff("narrow-1", "narrow", "hall")
        yield site


def status(site: Site, rate: float, state: str = "bound") -> ChannelStatus:
    return ChannelStatus(
        id=site.channel_id, name="mobile-a", protocol="cmpp30", carriers=("CMCC",), access_code="10690001",
        state=state, bound=1, connections=1, window_used=4, window=16, rate_now=rate, rate_limit=0, submitted_today=6,
        last_error="", pools=("CMCC",), reason="nothing to send",
    )  # fmt: skip


def rows(page: str) -> list[list[str]]:
    """The cells of the table of queues."""
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    return [
        [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)]
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    ]


async def test_what_waits_is_told_by_pool_lane_and_account_with_its_time_to_drain(site: Site) -> None:
    for n in range(6):
        await send(site, to=f"1380013800{n}")
    await send(site, "clinic", to="13000130000")  # of another carrier, which no channel serves here
    site.channels.append(status(site, 2.0))
    async with Browser(site) as boss:
        await boss.login("boss")
        found = rows(await boss.get("/queues"))
        assert [row[:3] for row in found] == [["移动", "通知", "6"], ["联通", "通知", "1"]]
        assert found[0][5] == "3.0 秒", "six at two a second"
        assert found[0][6] == "mobile-a"
        assert found[1][5] == "没有通道取用"
        page = await boss.get("/queues")
        assert f"/accounts/{site.accounts['hall']}/route" in page, "where it is led elsewhere"
        assert "政务大厅" in page
        taken = await site.carrier_takes()
        assert len(taken) == 7
        standing = await queries.standing(site.db)
        assert list(standing.queues) == []


async def test_it_is_said_what_stands_still_and_why(site: Site) -> None:
    await send(site)
    site.channels.append(status(site, 0.0))
    async with Browser(site) as boss:
        await boss.login("boss")
        assert rows(await boss.get("/queues"))[0][5] == "没有发送"
        site.channels[0] = status(site, 0.0, "connecting")
        assert rows(await boss.get("/queues"))[0][5] == "通道都未连接"
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
        page = await narrow.get("/queues")
        assert "全部数据" in page
        assert "社区医院" not in page
        assert "社区医院" not in await narrow.get("/queues/-/live", headers={"HX-Request": "true"})
        assert narrow.status == 204
        await duty.login("duty-1")
        page = await duty.get("/queues")
        assert "社区医院" in page
        assert "q-tasks" not in page, "tasks are for who may see tasks"
        assert 'href="/channels' not in page
