"""An account given to another channel on its page: the effect in numbers, what waits follows, and back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from browsing import send
from portal_site import SEALER, Site, by_test, running
from visits import lacking, refusal, signed_in, status_of

from smsgw.core.actor import ScopeKind
from smsgw.core.model import ChannelStatus
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState as S
from smsgw.platform.channels import service as channels
from smsgw.platform.org import service as org
from smsgw.platform.routing import queries

OTHER = {"protocol": "cmpp30", "host": "127.0.0.1", "port": 7891, "username": "900002", "password": "secret",
         "access_code": "10690002", "carriers": ["CMCC"]}  # fmt: skip


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        await site.add_staff("boss", "super")
        rights = [Permission.HOME_VIEW, Permission.ACCOUNT_VIEW, Permission.ROUTE_EDIT]
        await org.add_role(by_test(site.db), "router", "路由", rights, ScopeKind.ACCOUNTS)
        await site.add_staff("clinic-op", "router", "clinic")
        await channels.add(by_test(site.db), SEALER, "mobile-b", OTHER)
        yield site


async def pools(site: Site) -> list[str]:
    rows = await site.db.fetch(
        "SELECT l.name FROM part p JOIN pool l ON l.id = p.pool_id WHERE p.part = 1 ORDER BY p.id"
    )
    return [row["name"] for row in rows]


async def test_what_waits_follows_to_the_new_channel_and_back(site: Site) -> None:
    hall = site.accounts["hall"]
    await send(site, to="13800138000")
    await send(site, to="13300138000")
    await send(site, "clinic", to="13800138000")
    assert await pools(site) == ["CMCC", "CTCC", "CMCC"]
    async with signed_in(site, "boss") as boss, signed_in(site, "clinic-op") as stranger:
        page = await boss.get(f"/accounts/{hall}")
        assert f'href="/accounts/{hall}/route"' in page
        assert "/route/restore" not in page
        assert "mobile-b · 移动" in await boss.get(f"/accounts/{hall}/route")
        form = {"channel": "mobile-b", "reason": "原通道维护"}
        assert "现在没有连接" in await boss.post(f"/accounts/{hall}/route", form)
        site.channels.append(ChannelStatus(
            7, "mobile-b", "cmpp30", ("CMCC",), "10690002", "bound", 1, 1, 0, 16, 0.0, 0, 0, "", "", ()))  # fmt: skip
        assert "等待中的 1 条随之改走，1 条的号码不属于" in await boss.post(f"/accounts/{hall}/route", form)
        assert await pools(site) == ["CMCC", "CTCC", "CMCC"], "only asked"
        assert await status_of(stranger, f"/accounts/{hall}/route") == 404
        await boss.post(f"/accounts/{hall}/route", form | {"confirmed": "1"})
        assert re.fullmatch(r"/jobs/\d+", boss.path)
        assert "1 条等待中的短信已改走" in await boss.job_done(boss.path)
        assert await pools(site) == ["only-mobile-b", "CTCC", "CMCC"]
        await site.snapshots.follow()
        assert "恢复按规则选路" in await boss.get(f"/accounts/{hall}")

        assert 'value="mobile-b"' not in await boss.get(f"/accounts/{hall}/route"), "it is there"
        back = {"reason": "维护结束"}
        page = await boss.post(f"/accounts/{hall}/route/restore", back)
        assert not lacking(page, "不再固定走通道 mobile-b", "2 条一并按规则改走")
        await boss.post(f"/accounts/{hall}/route/restore", back | {"confirmed": "1"})
        await boss.job_done(boss.path)
        assert await pools(site) == ["CMCC", "CTCC", "CMCC"]
        await site.snapshots.follow()
        assert "没有改走其他通道" in await refusal(boss, f"/accounts/{hall}/route/restore", back | {"confirmed": "1"})
    said = await site.db.fetch("SELECT before, after FROM audit WHERE action = 'account.route' ORDER BY id")
    assert ['"mobile-b"' in str(row["after"]) for row in said] == [True, False]
    assert ['"mobile-b"' in str(row["before"]) for row in said] == [False, True]
    assert [one.note for one in await queries.versions(site.db)] == ["维护结束", "原通道维护"]


async def test_the_effect_tells_apart_what_follows_and_what_stays(site: Site) -> None:
    """What a channel tries again stays with it; what is held looks for its way when it is let go."""
    hall = site.accounts["hall"]
    for _ in range(6):
        await send(site, to="13800138000")
    ids = [row["id"] for row in await site.db.fetch("SELECT id FROM part WHERE part = 1 ORDER BY id")]
    there = await site.db.fetchval("SELECT id FROM channel WHERE name <> 'mobile-b' AND id > 0 LIMIT 1")
    for id_, state, channel, held_for in (
        (ids[0], S.DEFERRED, there, None), (ids[1], S.DEFERRED, there, None), (ids[2], S.DEFERRED, None, None),
        (ids[3], S.HELD, None, "account"), (ids[4], S.SENT, there, None),
    ):  # fmt: skip
        await site.db.execute(
            "UPDATE part SET state = $2, channel_id = $3, held_for = $4, next_at = now() + interval '1 hour'"
            " WHERE id = $1", id_, state, channel, held_for,
        )  # fmt: skip
    assert await queries.waiting(site.db, hall) == queries.Waiting({"CMCC": 2}, retried=2, held=1)
    async with signed_in(site, "boss") as boss:
        await boss.get(f"/accounts/{hall}/route")
        page = await boss.post(f"/accounts/{hall}/route", {"channel": "mobile-b", "reason": "原通道维护"})
    assert not lacking(page, "等待中的 2 条随之改走，0 条", "2 条在原通道等待重试", "暂停或审核中的 1 条")
