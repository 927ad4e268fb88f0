"""A channel on its pages: versions and who approves them, tests of its connection, its wire; and carriers' codes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import datetime
from itertools import pairwise

import pytest
from browsing import Browser, send, shows
from harness import until
from portal_site import SEALER, Site, by_test
from visits import add_role, boss, fails, page_for, signed_in

from smsgw.admin.pages.routing import codes
from smsgw.core.errors import Refused, SmsgwError
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.channels import checks, queries, service, versions, watching
from smsgw.platform.channels.checks import Finding, Stage, Tell, Verdict
from smsgw.platform.channels.versions import State
from smsgw.platform.exclusions import service as exclusions
from smsgw.platform.exclusions.model import Draft
from smsgw.platform.routing import codebook, queries as routing
from smsgw.platform.settings import service as settings
from smsgw.simulator.carrier import Carrier
from smsgw.simulator.config import CarrierConfig
from smsgw.store.config.channels import load_channels

__all__ = ["boss"]
pytestmark = pytest.mark.staff(boss="super", second="super")
ONE = {"host": "127.0.0.1", "port": "7890", "username": "900001", "password": "", "rate": "0", "connections": "1",
       "window": "16", "access_code": "10690001"}  # fmt: skip
NEW = {"protocol": "cmpp30", "host": "192.0.2.1", "port": 7890, "username": "a", "password": "b"}


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
        shows(await boss.get(f"{one}/versions/2"), "不同（密码不显示）", no="another")
        assert "将改变" in await boss.post(f"{one}/versions/1/rollback", {"reason": "改错了"})
        assert await states(site) == ["replaced", "active"], "only asked"
        await boss.post(f"{one}/versions/1/rollback", {"reason": "改错了", "confirmed": "1", "seen": "2"})
        assert await states(site) == ["replaced", "replaced", "active"]
        found = await queries.get(site.db, site.channel_id)
        assert (found.rate, await password(site)) == (0, first)
        assert "改错了" in await boss.get(f"{one}/versions/3")
    back = await versions.one(site.db, site.channel_id, 3)
    assert versions.difference(await versions.one(site.db, site.channel_id, 1), back) == []
    shows(str(await site.db.fetch("SELECT action, before, after FROM audit")), "channel.rollback", no="another")


async def test_with_approval_nothing_is_in_force_before_a_second_person_says_so(site: Site) -> None:
    await settings.put(by_test(site.db), "channel_approval", 1)
    one = f"/channels/{site.channel_id}"
    async with signed_in(site, "boss") as boss, signed_in(site, "second") as second:
        assert "等待另一人批准后生效" in await boss.post(f"{one}/edit", ONE | {"rate": "70"})
        assert await site.db.fetchval("SELECT rate FROM channel WHERE id = $1", site.channel_id) == 0
        assert await boss.status_of(f"{one}/edit", ONE | {"rate": "80"}) == 422, "one waits already"
        await boss.post(f"{one}/versions/2/approve", {"confirmed": "1"})
        assert boss.status == 422, "not by whoever has made it"
        assert await states(site) == ["active", "waiting"]
        assert "等待批准" in await second.get(one)
        for path in ("/", "/channels"):
            assert f'href="{one}/versions/2"' in await second.get(path), "whoever may approve need not look for it"
        waits = {name: json.loads(await who.get("/menu/badges")).get("routing.channels", 0)
                 for name, who in (("boss", boss), ("second", second))}  # fmt: skip
        assert waits == {"boss": 0, "second": 1}, "one's own is not counted"
        await second.confirms(f"{one}/versions/2/approve", {}, "通道不断开")
        assert await states(site) == ["replaced", "active"]
        assert await site.db.fetchval("SELECT rate FROM channel WHERE id = $1", site.channel_id) == 70
        await boss.post(f"{one}/stop", {"confirmed": "1"})
        assert await site.db.fetchval("SELECT desired FROM channel WHERE id = $1", site.channel_id) == "stopped"
        await boss.post(f"{one}/versions/1/rollback", {"confirmed": "1", "seen": "2"})
        assert await states(site) == ["replaced", "active", "waiting"]
        await second.post(f"{one}/versions/3/reject", {"reason": "不需要"})
        assert await states(site) == ["replaced", "active", "rejected"]
        assert await site.db.fetchval("SELECT rate FROM channel WHERE id = $1", site.channel_id) == 70
        assert await second.status_of(f"{one}/versions/3/approve", {"confirmed": "1"}) == 404, "it is decided"


async def test_a_new_channel_waits_too_and_follows_what_is_entered_until_then(site: Site) -> None:
    boss = by_test(site.db)
    await settings.put(boss, "channel_approval", 1)
    id_ = await service.add(boss, SEALER, "new", NEW)
    await fails(SmsgwError, service.move_access_code(boss, "new", "10690002"), "尚未获批准")
    assert [one.state for one in await versions.of(site.db, id_)] == [State.WAITING]
    await fails(SmsgwError, service.edit(boss, SEALER, "new", {"desired": "started"}), "尚未获批准")
    await service.edit(boss, SEALER, "new", {"port": 7891})  # what a test of the connection has shown
    assert await site.db.fetchval("SELECT port FROM channel WHERE id = $1", id_) == 7891
    assert [one.state for one in await versions.of(site.db, id_)] == [State.WAITING, State.WITHDRAWN]
    await fails(SmsgwError, versions.approve(boss, id_, 2), "另一人")
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
        page = await second.refusal(f"/channels/{site.channel_id}/versions/2/approve", {"confirmed": "1"})
        assert "现行版本已是 3" in page
    found = await queries.get(site.db, site.channel_id)
    assert (found.rate, found.access_code) == (0, "10690002")


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
        page = await boss.refusal(one, {"reason": "改错了", "seen": "2", "confirmed": "1"})
        shows(page, "现行版本已变为 3", "改错了")  # what was typed is not lost
        assert await states(site) == ["replaced", "replaced", "active"]
        assert 'name="seen" value="3"' in await boss.post(one, {"reason": "改错了", "seen": "2"})
        await boss.post(one, {"reason": "改错了", "seen": "3", "confirmed": "1"})
    assert await states(site) == ["replaced", "replaced", "replaced", "active"]


async def test_an_approval_does_not_set_simulated_beside_real(site: Site) -> None:
    boss = by_test(site.db)
    await service.add(boss, SEALER, "other", NEW)
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
        shows(await second.get(one), 'value="33"', no="of the gateway")
        await second.post(one, ONE | {"rate": "33", "name": "mobile-copy"})
        assert second.status == 422, "the password is to be entered"
        await second.post(one, ONE | {"rate": "33", "name": "mobile-copy", "password": "own"})
    row = await site.db.fetchrow("SELECT * FROM channel WHERE name = 'mobile-copy'")
    assert (row["rate"], row["desired"], json.loads(row["profile"])) == (33, "stopped", {"keepalive": 7})


FORM = {"name": "mobile-b", "host": "127.0.0.1", "username": "900001", "password": "wrong secret", "rate": "0",
        "connections": "1", "window": "16"}  # fmt: skip


async def result_of(boss: Browser, one: str) -> str:
    """The page of a test that has come to its end."""
    await boss.post(f"{one}/test", {})
    while "正在测试" in (page := await boss.get(f"{one}/test")):  # noqa: ASYNC110 - another task writes it
        await asyncio.sleep(0.1)
    return page


async def test_a_new_channel_is_tested_until_it_is_right_and_then_started(site: Site) -> None:
    async with Carrier(CarrierConfig(protocol="cmpp")) as carrier, signed_in(site, "boss") as boss:
        page = await boss.post("/channels/-/new/cmpp30", FORM | {"port": str(carrier.port)})
        one = boss.path.removesuffix("/test")
        assert "还没有测试过" in page
        shows(await result_of(boss, one), "网关拒绝登录：900001 的密码不对", "Status 3", no="wrong secret")
        changed = {k: v for k, v in FORM.items() if k != "name"} | {"port": str(carrier.port)}
        await boss.post(f"{one}/edit", changed | {"password": "secret"})
        shows(await result_of(boss, one), "测试通过", f"{one}/start")
        await boss.post(f"{one}/start", {"confirmed": "1"})
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
        await fails(Refused, checks.begin(boss, slow, SEALER, site.channel_id), "已有一项测试")
    await site.db.execute("UPDATE channel_check SET begun_at = now() - interval '1 hour'")
    found = await checks.last(site.db, site.channel_id)
    assert found.broken_off
    assert "测试中断" in await page_for(site, "boss", f"/channels/{site.channel_id}/test")
    again = await checks.begin(boss, slow, SEALER, site.channel_id)
    assert again != begun
    slow.go.set()
    while (found := await checks.last(site.db, site.channel_id)).running:  # noqa: ASYNC110 - it is not told
        await asyncio.sleep(0.05)
    assert found.good


async def test_one_that_was_broken_off_by_another_is_not_passed(site: Site) -> None:
    slow, boss = Slow(), by_test(site.db)
    first, _ = await checks.enter(boss, SEALER, site.channel_id)
    await site.db.execute("UPDATE channel_check SET begun_at = now() - interval '1 hour'")
    await service.add(boss, SEALER, "other", NEW)
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


async def test_a_fault_of_our_own_is_no_passed_test(site: Site, boss: Browser) -> None:
    id_, spec = await checks.enter(by_test(site.db), SEALER, site.channel_id)
    await checks.run(site.db, Faulty(), spec, id_, login=False)
    found = await checks.one(site.db, id_)
    assert not found.good
    assert found.bad is not None
    assert found.bad.code == "failed"
    shows(await boss.get(f"/channels/{site.channel_id}/test"), "测试没有做完", no="stays here")


async def test_a_channel_that_does_not_run_here_shows_no_wire_and_sends_nothing(site: Site, boss: Browser) -> None:
    one = f"/channels/{site.channel_id}/wire"
    assert "还没有查看过" in await boss.get(one)
    assert "本节点没有运行此通道" in await boss.refusal(one, {})
    assert not await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'channel.record'")
    one = f"/channels/{site.channel_id}/probe"
    # A first message says what it costs before.
    assert "运营商按合同计 1 条费用" in await boss.post(one, {"number": "13800138000"})
    assert "本节点没有运行此通道" in await boss.refusal(one, {"number": "13800138000", "confirmed": "1"})


class Busy:
    def channel(self, name: str) -> Busy:
        return self

    async def record(self, *, seconds: float, max_bytes: int) -> AsyncGenerator[bytes, None]:
        assert max_bytes > seconds * 2_000 * 1_000, "a minute at 500 messages a second"
        yield b""
        line = {"t": 1.0, "link": 1, "from": "client", "protocol": "cmpp30", "name": "Submit", "hex": "00"}
        yield b"".join(json.dumps(line | {"t": n}).encode() + b"\n" for n in range(1000))
        yield b'{"event":"end","why":"the time is over","pdus":1000}\n'


async def test_what_was_seen_of_a_wire_is_for_who_looked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "KEPT", 0.3)
    watches, change = watching.Watches(), by_test(site.db)
    await watches.begin(change, Busy(), site.channel_id, "mobile-a")
    watch = watches.of(site.channel_id, change.actor.label)
    assert watches.of(site.channel_id, "boss") is None, "it is not in the audit log under this name"
    await until(lambda: watch.over)
    assert (watch.seen, len(watch.pdus), watch.pdus[-1].seconds) == (1000, watching.MOST_PDUS, 999)
    assert watch.why == "the time is over"
    await until(lambda: watches.of(site.channel_id, change.actor.label) is None)


async def failed(site: Site, code: str, account: str = "hall") -> None:
    """One more message that has failed with a code."""
    await send(site, account, to="13800138000")
    await site.db.execute(
        "UPDATE part SET state = 41, code = $1, class = 'UNKNOWN', final_at = now()"
        " WHERE id = (SELECT max(id) FROM part)", code)  # fmt: skip


async def test_codes_that_cannot_be_counted_are_given_a_meaning(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await failed(site, "XX:77")
    monkeypatch.setattr(codebook, "_SEEN", codebook._SEEN.replace("WHERE ", "WHERE pg_sleep(30) IS NOT NULL AND ", 1))
    monkeypatch.setattr(codebook, "PATIENCE", 0.3)
    async with signed_in(site, "boss") as boss:
        page = await boss.get("/codes")
        assert (boss.status, "尚未统计完" in page, "MK:0001" in page) == (200, True, True)
        form = {"code": "xx:77", "source": "report", "channel": "", "class": "SUSPENDED", "fault": "permanent"}
        page = await boss.post("/codes/-/set", form)
        assert (boss.status, "暂时统计不出" in page) == (200, True)
        await boss.post("/codes/-/set", form | {"confirmed": "1"})
        assert len(await routing.code_classes(site.db)) == 1


async def test_each_look_counts_some_more_days_until_all_are_known(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await failed(site, "XX:77")
    slow = codebook._SEEN.replace("WHERE ", "WHERE (SELECT pg_sleep(0.2)) IS NOT NULL AND ", 1)
    monkeypatch.setattr(codebook, "_SEEN", slow)
    monkeypatch.setattr(codes, "PATIENCE", 0.5)
    async with signed_in(site, "boss") as boss:
        assert "尚未统计完" in await boss.get("/codes?q=XX:77"), "seven days take longer than a look"
        for _ in range(60):
            page = await boss.get("/codes?q=XX:77")
            if "尚未统计完" not in page:
                break
        shows(page, "/records?time=7d&amp;code=XX%3A77", no="尚未统计完")


async def test_a_code_is_found_with_its_figures_and_given_a_meaning(site: Site) -> None:
    rights = [Permission.CODE_VIEW, Permission.CODE_EDIT, Permission.MESSAGE_VIEW]
    await add_role(site, "coder", rights, people={"clinic-op": "clinic"})
    for code in ("XX:77", "XX:77", "MK:0001"):
        await failed(site, code)
    await failed(site, "XX:77", "clinic")
    today = datetime.now(CHINA).date()
    await exclusions.add(by_test(site.db), Draft(today, "约定", {"EMPTY_NUMBER": "handset"}, {}))
    async with signed_in(site, "boss") as boss, signed_in(site, "clinic-op") as some:
        shows(await boss.get("/codes?show=seen"), 'href="/records?time=7d&amp;code=XX%3A77">3</a>',
              'href="/records?time=7d&amp;code=MK%3A0001">1</a>', "剔除：手机用户自身问题",
              "号码不存在：请从名单中删除。")  # fmt: skip
        page = await some.get("/codes?q=xx:77")
        shows(page, 'XX%3A77">1</a>', no="/codes/-/set")  # of its own accounts
        assert await some.status_of("/codes/-/set") == 403
        assert 'value="XX:77"' in await boss.get("/codes/-/set?code=XX:77&source=report&channel=")
        form = {"code": "xx:77", "source": "report", "channel": "", "class": "SUSPENDED", "fault": "permanent"}
        assert "只有携号转网的码" in await boss.refusal("/codes/-/set", form | {"carrier": "CMCC"})
        await boss.confirms("/codes/-/set", form, "最近 7 天有 3 条短信因此码失败")
        (row,) = await routing.code_classes(site.db)
        assert (row["code"], row["class"], row["channel"]) == ("XX:77", "SUSPENDED", None)
        await site.snapshots.follow()
        shows(await boss.get("/codes?show=own"), "人工说明", "XX:77")
        named = {"code": "XX:77", "source": "report", "channel": "", "confirmed": "1"}
        await boss.post("/codes/-/reset", named)
        assert await routing.code_classes(site.db) == []
        assert "没有符合条件的码" in await boss.get("/codes?q=nothing-like-it")
