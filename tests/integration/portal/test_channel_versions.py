"""Versions of a channel: each change is one, a second person approves it, and an earlier one is put in force again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
from portal_site import SEALER, Site, by_test, running
from visits import refusal, signed_in, status_of

from smsgw.core.errors import SmsgwError
from smsgw.platform.channels import queries, service, versions
from smsgw.platform.channels.versions import State
from smsgw.platform.settings import service as settings
from smsgw.store.config.channels import load_channels

ONE = {"host": "127.0.0.1", "port": "7890", "username": "900001", "password": "", "rate": "0", "connections": "1",
       "window": "16", "access_code": "10690001"}  # fmt: skip


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with running(dsn, tmp_path) as site:
        for name in ("boss", "second"):
            await site.add_staff(name, "super")
        await site.add_staff("clerk", "operator", "hall")
        yield site


async def password(site: Site) -> str:
    """What the channel logs in with."""
    (spec,) = [one for one in await load_channels(site.db, SEALER) if one.id == site.channel_id]
    return spec.password


async def states(site: Site) -> list[str]:
    """Of the versions, oldest first."""
    return [one.state for one in reversed(await versions.of(site.db, site.channel_id))]


async def test_without_approval_a_change_is_in_force_at_once_and_is_rolled_back_with_its_password(site: Site) -> None:
    one, first = f"/channels/{site.channel_id}", await password(site)
    async with signed_in(site, "boss") as boss:
        await boss.post(f"{one}/edit", ONE | {"rate": "50", "password": "another", "reason": "合同调整"})
        assert await states(site) == ["replaced", "active"]
        assert await password(site) == "another"
        assert "合同调整" in await boss.get(f"{one}/versions")
        page = await boss.get(f"{one}/versions/2")
        assert "不同（密码不显示）" in page
        assert "another" not in page
        assert "将改变" in await boss.post(f"{one}/versions/1/rollback", {"reason": "改错了"})
        assert await states(site) == ["replaced", "active"], "only asked"
        await boss.post(f"{one}/versions/1/rollback", {"reason": "改错了", "confirmed": "1", "seen": "2"})
        assert await states(site) == ["replaced", "replaced", "active"]
        found = await queries.get(site.db, site.channel_id)
        assert found.rate == 0
        assert await password(site) == first
        assert "改错了" in await boss.get(f"{one}/versions/3")
    back = await versions.one(site.db, site.channel_id, 3)
    assert back is not None
    assert versions.difference(await versions.one(site.db, site.channel_id, 1), back) == []
    audit = str(await site.db.fetch("SELECT action, before, after FROM audit"))
    assert "channel.rollback" in audit
    assert "another" not in audit


async def test_with_approval_nothing_is_in_force_before_a_second_person_says_so(site: Site) -> None:
    await settings.put(by_test(site.db), "channel_approval", 1)
    one = f"/channels/{site.channel_id}"
    async with signed_in(site, "boss") as boss, signed_in(site, "second") as second:
        assert "等待另一人批准后生效" in await boss.post(f"{one}/edit", ONE | {"rate": "70"})
        assert await site.db.fetchval("SELECT rate FROM channel WHERE id = $1", site.channel_id) == 0
        assert await status_of(boss, f"{one}/edit", ONE | {"rate": "80"}) == 422, "one waits already"
        await boss.post(f"{one}/versions/2/approve", {"confirmed": "1"})
        assert boss.status == 422, "not by whoever has made it"
        assert await states(site) == ["active", "waiting"]
        assert "等待批准" in await second.get(one)
        for path in ("/", "/channels"):
            assert f'href="{one}/versions/2"' in await second.get(path), "whoever may approve need not look for it"
        waits = {name: json.loads(await who.get("/menu/badges")).get("routing.channels", 0)
                 for name, who in (("boss", boss), ("second", second))}  # fmt: skip
        assert waits == {"boss": 0, "second": 1}, "one's own is not counted"
        assert "通道不断开" in await second.post(f"{one}/versions/2/approve", {})
        await second.post(f"{one}/versions/2/approve", {"confirmed": "1"})
        assert await states(site) == ["replaced", "active"]
        assert await site.db.fetchval("SELECT rate FROM channel WHERE id = $1", site.channel_id) == 70
        await boss.post(f"{one}/stop", {"confirmed": "1"})
        assert await site.db.fetchval("SELECT desired FROM channel WHERE id = $1", site.channel_id) == "stopped"
        await boss.post(f"{one}/versions/1/rollback", {"confirmed": "1", "seen": "2"})
        assert await states(site) == ["replaced", "active", "waiting"]
        await second.post(f"{one}/versions/3/reject", {"reason": "不需要"})
        assert await states(site) == ["replaced", "active", "rejected"]
        assert await site.db.fetchval("SELECT rate FROM channel WHERE id = $1", site.channel_id) == 70
        assert await status_of(second, f"{one}/versions/3/approve", {"confirmed": "1"}) == 404, "it is decided"
    rows = await site.db.fetch("SELECT actor, action FROM audit WHERE action LIKE 'channel.%' ORDER BY id OFFSET 1")
    assert [tuple(row) for row in rows] == [
        ("boss", "channel.propose"), ("second", "channel.approve"), ("boss", "channel.set"),
        ("boss", "channel.rollback"), ("second", "channel.reject"),
    ]  # fmt: skip


async def test_a_new_channel_waits_too_and_follows_what_is_entered_until_then(site: Site) -> None:
    boss = by_test(site.db)
    await settings.put(boss, "channel_approval", 1)
    fields = {"protocol": "cmpp30", "host": "192.0.2.1", "port": 7890, "username": "a", "password": "b"}
    id_ = await service.add(boss, SEALER, "new", fields)
    with pytest.raises(SmsgwError, match="尚未获批准"):
        await service.edit(boss, SEALER, "new", {"desired": "started"})
    await service.edit(boss, SEALER, "new", {"port": 7891})  # what a test of the connection has shown
    assert await site.db.fetchval("SELECT port FROM channel WHERE id = $1", id_) == 7891
    assert [one.state for one in await versions.of(site.db, id_)] == [State.WAITING, State.WITHDRAWN]
    with pytest.raises(SmsgwError, match="另一人"):
        await versions.approve(boss, id_, 2)
    async with signed_in(site, "second") as second:
        await second.post(f"/channels/{id_}/versions/2/approve", {"confirmed": "1"})
        await second.post(f"/channels/{id_}/start", {"confirmed": "1"})
    assert await site.db.fetchval("SELECT desired FROM channel WHERE id = $1", id_) == "started"


async def test_a_version_made_before_another_change_is_not_put_in_force(site: Site) -> None:
    boss = by_test(site.db)
    await settings.put(boss, "channel_approval", 1)
    await service.edit(boss, SEALER, "mobile-a", {"rate": 5})
    await service.move_access_code(boss, "mobile-a", "10690002")  # which never waits
    async with signed_in(site, "second") as second:
        page = await refusal(second, f"/channels/{site.channel_id}/versions/2/approve", {"confirmed": "1"})
        assert "现行版本已是 3" in page
    found = await queries.get(site.db, site.channel_id)
    assert (found.rate, found.access_code) == (0, "10690002")


async def test_a_channel_that_nobody_approved_is_not_put_in_force_by_a_move_of_its_code(site: Site) -> None:
    boss = by_test(site.db)
    await settings.put(boss, "channel_approval", 1)
    fields = {"protocol": "cmpp30", "host": "192.0.2.1", "port": 7890, "username": "a", "password": "b"}
    id_ = await service.add(boss, SEALER, "new", fields)
    with pytest.raises(SmsgwError, match="尚未获批准"):
        await service.move_access_code(boss, "new", "10690002")
    assert [one.state for one in await versions.of(site.db, id_)] == [State.WAITING]
    with pytest.raises(SmsgwError, match="尚未获批准"):
        await service.edit(boss, SEALER, "new", {"desired": "started"})


async def kept(site: Site) -> list[str]:
    """Former access codes, in their order."""
    return [row["code"] for row in await site.db.fetch("SELECT code FROM old_code ORDER BY id")]


async def test_whatever_changes_an_access_code_keeps_the_former_one_for_replies(site: Site) -> None:
    boss = by_test(site.db)
    for code in ("1", "2"):
        await service.edit(boss, SEALER, "mobile-a", {"access_code": code})
    await service.edit(boss, SEALER, "mobile-a", {"rate": 9})
    before = await kept(site)
    assert before[-1] == "1"
    await service.roll_back(boss, site.channel_id, 2)
    assert await kept(site) == [*before, "2"]
    await settings.put(boss, "channel_approval", 1)
    await service.edit(boss, SEALER, "mobile-a", {"access_code": "3"})
    assert await kept(site) == [*before, "2"], "it waits"
    async with signed_in(site, "second") as second:
        await second.post(f"/channels/{site.channel_id}/versions/6/approve", {"confirmed": "1"})
    assert await kept(site) == [*before, "2", "1"]
    await service.move_access_code(boss, "mobile-a", "4")
    assert await kept(site) == [*before, "2", "1", "3"]


async def test_a_way_back_that_was_looked_at_before_another_change_is_looked_at_again(site: Site) -> None:
    await service.edit(by_test(site.db), SEALER, "mobile-a", {"rate": 5})
    one = f"/channels/{site.channel_id}/versions/1/rollback"
    async with signed_in(site, "boss") as boss:
        assert 'name="seen" value="2"' in await boss.post(one, {"reason": "改错了"})
        await service.edit(by_test(site.db), SEALER, "mobile-a", {"window": 3})
        page = await refusal(boss, one, {"reason": "改错了", "seen": "2", "confirmed": "1"})
        assert "现行版本已变为 3" in page
        assert "改错了" in page, "what was typed is not lost"
        assert await states(site) == ["replaced", "replaced", "active"]
        assert 'name="seen" value="3"' in await boss.post(one, {"reason": "改错了", "seen": "2"})
        await boss.post(one, {"reason": "改错了", "seen": "3", "confirmed": "1"})
    assert await states(site) == ["replaced", "replaced", "replaced", "active"]


async def test_an_approval_does_not_set_simulated_beside_real(site: Site) -> None:
    boss = by_test(site.db)
    other = {"protocol": "cmpp30", "host": "192.0.2.1", "port": 7890, "username": "a", "password": "b"}
    await service.add(boss, SEALER, "other", other)
    await site.db.execute("UPDATE channel SET desired = 'started'")
    await settings.put(boss, "channel_approval", 1)
    await service.edit(boss, SEALER, "mobile-a", {"profile": {"simulated": True}})
    async with signed_in(site, "second") as second:
        page = await second.post(f"/channels/{site.channel_id}/versions/2/approve", {"confirmed": "1"})
    assert second.status == 422
    assert "仿真通道与真实通道不能同时启用" in page
    assert await states(site) == ["active", "waiting"]


async def test_a_password_of_the_gateway_differs_only_where_there_is_one(site: Site) -> None:
    boss = by_test(site.db)
    for profile in ({"keepalive": 7}, {"keepalive": 8, "peer_password": "x"}, {"keepalive": 8, "peer_password": "***"},
                    {"keepalive": 8}, {"keepalive": 9}):  # fmt: skip
        await service.edit(boss, SEALER, "mobile-a", {"profile": profile})
    await service.roll_back(boss, site.channel_id, 3)
    found = list(reversed(await versions.of(site.db, site.channel_id)))
    secret = [any(one.secret for one in versions.difference(*two)) for two in pairwise(found)]
    assert secret == [False, True, False, True, False, True]
    assert not versions.difference(found[2], found[-1])


async def test_a_copy_has_all_but_name_and_secrets(site: Site) -> None:
    boss = by_test(site.db)
    profile = {"keepalive": 7, "peer_password": "of the gateway"}
    await service.edit(boss, SEALER, "mobile-a", {"rate": 33, "profile": profile})
    one = f"/channels/{site.channel_id}/copy"
    async with signed_in(site, "second") as second:
        page = await second.get(one)
        assert 'value="33"' in page
        assert "of the gateway" not in page
        await second.post(one, ONE | {"rate": "33", "name": "mobile-copy"})
        assert second.status == 422, "the password is to be entered"
        await second.post(one, ONE | {"rate": "33", "name": "mobile-copy", "password": "own"})
    row = await site.db.fetchrow("SELECT * FROM channel WHERE name = 'mobile-copy'")
    assert (row["rate"], row["desired"], json.loads(row["profile"])) == (33, "stopped", {"keepalive": 7})


async def test_who_may_not_write_channels_decides_nothing(site: Site) -> None:
    await settings.put(by_test(site.db), "channel_approval", 1)
    await service.edit(by_test(site.db), SEALER, "mobile-a", {"rate": 5})
    one = f"/channels/{site.channel_id}"
    async with signed_in(site, "clerk") as clerk:
        for path in ("versions", "versions/2", "versions/2/approve", "versions/1/rollback", "copy"):
            assert await status_of(clerk, f"{one}/{path}") == 403, path
    async with signed_in(site, "boss") as boss:
        for path in ("versions/9", "versions/0", "versions/999999999/approve", "versions/1/approve"):
            assert await status_of(boss, f"{one}/{path}") == 404, path
