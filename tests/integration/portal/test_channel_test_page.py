"""A channel from the choice of its protocol to its start, tested on the way: what is wrong is said in words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest
from browsing import Browser
from portal_site import SEALER, Site, by_test
from visits import lacking, refusal, signed_in, status_of

from smsgw.core.errors import Refused
from smsgw.platform.channels import checks, service, watching
from smsgw.platform.channels.checks import Finding, Stage, Tell, Verdict
from smsgw.simulator.carrier import Carrier
from smsgw.simulator.config import CarrierConfig

FORM = {"name": "mobile-b", "host": "127.0.0.1", "username": "900001", "password": "wrong secret", "rate": "0",
        "connections": "1", "window": "16"}  # fmt: skip


pytestmark = pytest.mark.staff(boss="super", clerk=("operator", "hall"))


async def result_of(boss: Browser, one: str) -> str:
    """The page of a test that has come to its end."""
    await boss.post(f"{one}/test", {})
    async with asyncio.timeout(60):
        while True:
            page = await boss.get(f"{one}/test")
            if "正在测试" not in page:
                return page
            await asyncio.sleep(0.1)



async def test_a_new_channel_is_tested_until_it_is_right_and_then_started(site: Site) -> None:
    async with Carrier(CarrierConfig(protocol="cmpp")) as carrier, signed_in(site, "boss") as boss:
        page = await boss.post("/channels/-/new/cmpp30", FORM | {"port": str(carrier.port)})
        one = boss.path.removesuffix("/test")
        assert "还没有测试过" in page
        page = await result_of(boss, one)
        assert not lacking(page, "网关拒绝登录：900001 的密码不对", "Status 3")
        assert "wrong secret" not in page
        changed = {k: v for k, v in FORM.items() if k != "name"} | {"port": str(carrier.port)}
        await boss.post(f"{one}/edit", changed | {"password": "secret"})
        assert not lacking(await result_of(boss, one), "测试通过", f"{one}/start")
        await boss.post(f"{one}/start", {"confirmed": "1"})
    rows = await site.db.fetch("SELECT action, object FROM audit WHERE object = 'channel/mobile-b' ORDER BY id")
    assert [row["action"] for row in rows] == ["channel.add", "channel.check", "channel.set", "channel.check",
                                               "channel.set"]  # fmt: skip
    assert "secret" not in str(await site.db.fetch("SELECT before, after FROM audit"))
    assert "secret" not in str(await site.db.fetch("SELECT * FROM channel_check"))


class Slow:
    """A checker that takes its time."""

    def __init__(self) -> None:
        self.go = asyncio.Event()

    async def check(self, spec: object, *, login: bool, tell: Tell) -> None:
        await self.go.wait()
        await tell(Finding(Stage.RESOLVE, Verdict.GOOD, "resolved", {"host": "a", "address": "b"}))


async def test_one_test_at_a_time_and_one_that_broke_off_is_called_so(site: Site) -> None:
    slow, boss = Slow(), by_test(site.db)
    begun = await checks.begin(boss, slow, SEALER, site.channel_id)
    for _ in range(2):
        with pytest.raises(Refused, match="已有一项测试"):
            await checks.begin(boss, slow, SEALER, site.channel_id)
    await site.db.execute("UPDATE channel_check SET begun_at = now() - interval '1 hour'")
    found = await checks.last(site.db, site.channel_id)
    assert found.broken_off
    async with signed_in(site, "boss") as clerk:
        assert "测试中断" in await clerk.get(f"/channels/{site.channel_id}/test")
    again = await checks.begin(boss, slow, SEALER, site.channel_id)
    assert again != begun
    slow.go.set()

    async with asyncio.timeout(60):
        while True:
            found = await checks.last(site.db, site.channel_id)
            if found is not None and not found.running:
                break
            await asyncio.sleep(0.05)
    assert found.good



async def test_one_that_was_broken_off_by_another_is_not_passed(site: Site) -> None:
    slow, boss = Slow(), by_test(site.db)
    first, _ = await checks.enter(boss, SEALER, site.channel_id)
    await site.db.execute("UPDATE channel_check SET begun_at = now() - interval '1 hour'")
    await service.add(boss, SEALER, "other", {key: FORM[key] for key in ("host", "username", "password")} | {
        "protocol": "cmpp30", "port": 7890})  # fmt: skip
    other = await site.db.fetchval("SELECT id FROM channel WHERE name = 'other'")
    await checks.begin(boss, slow, SEALER, other)
    slow.go.set()
    found = await checks.one(site.db, first)
    assert found.ended_at is not None
    assert (found.broken_off, found.good, found.running) == (True, False, False)


class Faulty:
    """A checker that has a fault of its own."""

    async def check(self, spec: object, *, login: bool, tell: Tell) -> None:
        await tell(Finding(Stage.RESOLVE, Verdict.GOOD, "resolved", {"host": "a", "address": "b"}))
        raise RuntimeError("what is in here stays here")


async def test_a_fault_of_our_own_is_no_passed_test(site: Site) -> None:
    id_, spec = await checks.enter(by_test(site.db), SEALER, site.channel_id)
    await checks.run(site.db, Faulty(), spec, id_, login=False)
    found = await checks.one(site.db, id_)
    assert not found.good
    assert found.bad is not None
    assert found.bad.code == "failed"
    async with signed_in(site, "boss") as boss:
        page = await boss.get(f"/channels/{site.channel_id}/test")
        assert "测试没有做完" in page
        assert "stays here" not in page


async def test_who_may_not_write_channels_does_not_test_them(site: Site) -> None:
    async with signed_in(site, "clerk") as clerk:
        for path in ("test", "test/live", "probe"):
            assert await status_of(clerk, f"/channels/{site.channel_id}/{path}") == 403, path
        assert await status_of(clerk, f"/channels/{site.channel_id}/test", {}) == 403
    assert not await site.db.fetchval("SELECT count(*) FROM channel_check")


async def test_the_wire_of_a_channel_that_does_not_run_here_is_not_seen(site: Site) -> None:
    one = f"/channels/{site.channel_id}/wire"
    async with signed_in(site, "boss") as boss:
        assert "还没有查看过" in await boss.get(one)
        assert "本节点没有运行此通道" in await refusal(boss, one, {})
    assert not await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'channel.record'")


class Busy:
    """A channel over which a lot passes."""

    def channel(self, name: str) -> Busy:
        return self

    async def record(self, *, seconds: float, max_bytes: int) -> AsyncGenerator[bytes, None]:
        assert max_bytes > seconds * 2_000 * 1_000, "a minute at 500 messages a second"
        yield b""
        line = {"t": 1.0, "link": 1, "from": "client", "protocol": "cmpp30", "name": "Submit", "hex": "00"}
        yield b"".join(json.dumps(line | {"t": n}).encode() + b"\n" for n in range(1000))
        yield b'{"event":"end","why":"the time is over","pdus":1000}\n'


async def test_what_was_seen_of_a_wire_is_for_who_has_looked_and_for_a_while(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "KEPT", 0.3)
    watches, change = watching.Watches(), by_test(site.db)
    await watches.begin(change, Busy(), site.channel_id, "mobile-a")
    watch = watches.of(site.channel_id, change.actor.label)
    assert watches.of(site.channel_id, "boss") is None, "it is not in the audit log under this name"
    async with asyncio.timeout(60):
        while True:
            if watch.over:
                break
            await asyncio.sleep(0.01)
    assert (watch.seen, len(watch.pdus), watch.pdus[-1].seconds) == (1000, watching.MOST_PDUS, 999)
    assert watch.why == "the time is over"
    async with asyncio.timeout(60):
        while True:
            if watches.of(site.channel_id, change.actor.label) is None:
                break
            await asyncio.sleep(0.01)


async def test_a_first_message_says_what_it_costs_before_it_is_sent(site: Site) -> None:
    one = f"/channels/{site.channel_id}/probe"
    async with signed_in(site, "boss") as boss:
        await boss.get(one)
        assert "运营商按合同计 1 条费用" in await boss.post(one, {"number": "13800138000"})
        assert "本节点没有运行此通道" in await refusal(boss, one, {"number": "13800138000", "confirmed": "1"})
