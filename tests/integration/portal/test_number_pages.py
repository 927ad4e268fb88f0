"""Numbers that phones see, on pages: the plan, its conflicts, what is free, and numbers that change hands."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from browsing import send, shows
from portal_site import SEALER, Site, by_test
from visits import add_role, all_signed_in, page_for, signed_in

from smsgw.core.model import ChannelStatus
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import extensions
from smsgw.platform.accounts import service as accounts
from smsgw.platform.channels import service as channels
from smsgw.platform.codes import queries
from smsgw.platform.lists import complaints
from smsgw.platform.routing import queries as routing
from smsgw.platform.routing import service as routes

OTHER = {"protocol": "cmpp30", "host": "127.0.0.1", "port": 7891, "username": "900002", "password": "secret",
         "access_code": "1069000277", "carriers": ["CMCC", "CUCC", "CTCC", "CBN"]}  # fmt: skip
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "coder", [Permission.CODE_VIEW, Permission.CODE_EDIT], people={"clinic-op": "clinic"})
    await channels.add(by_test(site.db), SEALER, "mobile-b", OTHER)
    return site


async def test_the_plan_shows_its_conflicts_to_who_sees_all(site: Site) -> None:
    change = by_test(site.db)
    await site.db.execute("UPDATE channel SET access_code = '10690002' WHERE id = $1", site.channel_id)
    await accounts.move_extension(change, site.accounts["hall"], "", "773")
    await accounts.move_extension(change, site.accounts["clinic"], "", "3")
    async with all_signed_in(site, "boss", "clinic-op") as (boss, stranger):
        shows(await boss.get("/numbers"), "号码 10690002773 有两种读法", "hall、clinic")
        shows(await boss.get("/numbers/extensions?length=3&under=7"), "700", "772")
        page = await stranger.get("/numbers")
        assert stranger.path == "/numbers/extensions"
        assert "clinic" in page
        assert "hall" not in page.replace("/hall", ""), "another department's digits"


async def test_an_extension_is_given_with_its_effect_and_refused_where_it_is_another_s(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    await accounts.move_extension(by_test(site.db), hall, "", "11")
    await send(site)
    async with all_signed_in(site, "boss", "clinic-op") as (boss, stranger):
        give = "/numbers/extensions/-/give"
        form = {"account": str(hall), "sign": "", "extend_code": "12"}
        page = await boss.post(give, form)
        shows(page, "hall 的扩展号由 11 改为 12", "等待发送的 1 条仍从原扩展号发出", 'name="seen" value="11"')
        await boss.post(give, form | {"confirmed": "1", "seen": "10"})
        assert boss.status == 422, "it is not what was looked at"
        assert await boss.led_to(give, form | {"confirmed": "1", "seen": "11"}) == "/numbers/extensions"
        had = [(h.digits, h.kind) for h in await queries.holders(site.db, [hall])]
        assert had == [("11", "former"), ("12", "account")]
        for digits in ("11", "12"):
            page = await stranger.post(give, {"account": str(clinic), "sign": "", "extend_code": digits})
            assert (stranger.status, "您管理范围以外" in page, "hall" in page) == (422, True, False), digits
        await boss.refused(give, {"account": str(clinic), "sign": "", "extend_code": "12"}, "属于账号 hall")
        page = await stranger.post(give, {"account": str(hall), "sign": "", "extend_code": "55", "confirmed": "1"})
        assert stranger.status == 422, "not its account"
        await stranger.refused(give, {"account": str(clinic), "sign": "没有的", "extend_code": "55"}, "没有这个签名")
        await stranger.refused(give, {"account": str(clinic), "sign": "", "extend_code": "5x"})


async def test_scenarios_of_others_leave_room_for_one_s_own(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    await site.db.execute("INSERT INTO scenario (account_id, name, type, extend_code, created_by) "
                          "VALUES ($1, '自己的', 'notice', '1', 't')", clinic)  # fmt: skip
    await site.db.execute(
        "INSERT INTO scenario (account_id, name, type, extend_code, created_by) "
        "SELECT $1, '别人的' || n, 'notice', n::text, 't' FROM generate_series(1000, 1000 + $2::int) n",
        hall, queries.MOST_LENT,
    )  # fmt: skip
    assert [one.title for one in await queries.holders(site.db, [clinic]) if one.title] == ["自己的"]
    page = await page_for(site, "clinic-op", "/numbers/extensions")
    shows(page, "自己的", no="别人的")
    assert f"各自最新的 {queries.MOST_LENT:,} 个" in page, "what is free was looked for among these"


async def test_digits_from_which_another_s_task_or_scenario_sends_are_not_given(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    await accounts.move_extension(by_test(site.db), hall, "", "77")
    await site.db.execute("INSERT INTO scenario (account_id, name, type, extend_code, created_by) "
                          "VALUES ($1, '提醒', 'notice', '12', 'test')", hall)  # fmt: skip
    async with all_signed_in(site, "boss", "clinic-op") as (boss, stranger):
        give = "/numbers/extensions/-/give"
        for digits in ("771", "7712"):
            form = {"account": str(clinic), "sign": "", "extend_code": digits}
            await boss.refused(give, form, f"扩展号 {digits} 是账号 hall 的任务或业务场景")
            assert "hall" not in await stranger.refused(give, form)
        page = await boss.post(give, {"account": str(clinic), "sign": "", "extend_code": "7"})
        assert boss.status == 200, "the longer one goes before"
        async with site.db.transaction() as other:
            assert await extensions.alone(other)
            page = await boss.post(give, {"account": str(clinic), "sign": "", "extend_code": "8"})
            assert (boss.status, "没有查清" in page) == (200, True)


async def test_an_access_code_is_changed_with_its_effect_and_the_former_is_kept(site: Site) -> None:
    await site.db.execute("UPDATE channel SET access_code = '10690001' WHERE id = $1", site.channel_id)
    await accounts.move_extension(by_test(site.db), site.accounts["hall"], "", "773")
    await accounts.move_extension(by_test(site.db), site.accounts["clinic"], "", "3")
    await send(site)
    move = f"/numbers/channels/{site.channel_id}/move"
    async with all_signed_in(site, "boss", "clinic-op") as (boss, stranger):
        assert await stranger.status_of(move) == 404, "a channel is everybody's"
        page = await boss.post(move, {"access_code": "10690002"})
        assert "由 10690001 改为 10690002" in page
        assert "号码 10690002773 有两种读法" in page, "the new one would go on as the other channel's"
        assert "两种读法" not in await boss.post(move, {"access_code": "10690009"})
        await boss.post(move, {"access_code": "10690009", "confirmed": "1", "seen": "1069"})
        assert boss.status == 422, "it is not what was looked at"
        await boss.post(move, {"access_code": "10690009", "confirmed": "1", "seen": "10690001"})
        assert re.search(r"10690001</code> <span[^>]*>回复对应至", await boss.get("/numbers"))
        assert len((await boss.get(move)).split("10690009")) > 1


async def test_everything_of_a_channel_goes_to_another_in_one_step(site: Site) -> None:
    change = by_test(site.db)
    await site.db.execute("UPDATE channel SET access_code = '10690001', carriers = '{CMCC}' WHERE id = $1",
                          site.channel_id)  # fmt: skip
    document = {"pool": [{"name": "mine", "channels": [{"name": "mobile-a", "weight": 3}]}],
                "rule": [{"name": "notices", "type": ["otp"], "pool": "mine"}]}  # fmt: skip
    await routes.publish(change, document, "one")
    await routes.move(change, "account", "clinic", "mobile-a", "given")
    await site.snapshots.follow()
    await send(site)
    await send(site, "clinic")
    replace = f"/numbers/channels/{site.channel_id}/replace"
    async with all_signed_in(site, "boss", "clinic-op") as (boss, stranger):
        assert await stranger.status_of(replace) == 403
        form = {"channel": "mobile-b", "reason": "原号被关停"}
        page = await boss.post(replace, form)
        shows(page, "现在没有连接", "2 个通道池、1 条固定走它的规则")
        site.channels.append(ChannelStatus(
            7, "mobile-b", "cmpp30", ("CMCC",), "10690002", "bound", 1, 1, 0, 16, 0.0, 0, 0, "", "", ()))  # fmt: skip
        seen = re.search(r'name="seen" value="(\d+)"', page)
        await boss.post(replace, form | {"confirmed": "1", "seen": "1"})
        assert boss.status == 422, "another version of the routes than was looked at"
        assert re.fullmatch(r"/jobs/\d+", await boss.led_to(replace, form | {"confirmed": "1", "seen": seen[1]}))
        assert "1 条等待中的短信已改走" in await boss.job_done(boss.path)
    table = await routing.table(site.db)
    assert [(m.channel, m.weight) for m in table.members("mine")] == [("mobile-b", 3)]
    assert table.given_to("account", "clinic") == "mobile-b"
    assert not table.has("only-mobile-a")
    waiting = await site.db.fetch(
        "SELECT l.name FROM part p JOIN pool l ON l.id = p.pool_id WHERE p.part = 1 ORDER BY p.id"
    )
    assert [row["name"] for row in waiting] == ["CMCC", "only-mobile-b"], "of a shared pool the other one pulls"
    assert await site.db.fetchval("SELECT desired FROM channel WHERE id = $1", site.channel_id) == "draining"
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'channel.replace'") == 1
    await channels.remove(change, "mobile-a")
    former = [(one.code, one.until is not None) for one in await queries.access(site.db)]
    assert ("10690001", True) in former, "replies to it find their account for 30 days"


async def test_a_stopped_channel_that_is_replaced_stays_stopped(site: Site) -> None:
    """Draining would log it in: with the new one's login, it would throw that one's connections out."""
    await site.db.execute("UPDATE channel SET desired = 'stopped', carriers = '{CMCC}' WHERE id = $1", site.channel_id)
    replace = f"/numbers/channels/{site.channel_id}/replace"
    async with signed_in(site, "boss") as boss:
        form = {"channel": "mobile-b", "reason": "原号被关停"}
        await boss.confirms(replace, form, "原通道已停用，保持停用", "先重新启用原通道")
        assert re.fullmatch(r"/jobs/\d+", boss.path)
    row = await site.db.fetchrow("SELECT desired FROM channel WHERE id = $1", site.channel_id)
    assert row["desired"] == "stopped"
    assert '"stopped"' in str(await site.db.fetchval("SELECT after FROM audit WHERE action = 'channel.replace'"))


async def test_a_channel_is_not_replaced_by_one_that_cannot_take_its_place(site: Site) -> None:
    replace = f"/numbers/channels/{site.channel_id}/replace"
    await site.db.execute("UPDATE channel SET carriers = '{INTL}' WHERE id = $1", site.channel_id)
    async with signed_in(site, "boss") as boss:
        await boss.refused(replace, {"channel": "mobile-b", "reason": "原号被关停"}, "不服务 INTL 的号码")
        await site.db.execute("UPDATE channel SET desired = 'stopped' WHERE name = 'mobile-b'")
        await boss.post(replace, {"channel": "mobile-b", "reason": "原号被关停", "confirmed": "1"})
        assert boss.status == 422, "it is no choice"
    assert await site.db.fetchval("SELECT count(*) FROM route_version") == 0


async def test_complaints_stand_beside_the_numbers_with_a_warning(site: Site) -> None:
    for n in range(3):
        await complaints.enter(by_test(site.db), f"861380013800{n}", sign="店铺", channel="mobile-a", note="12321",
                               block_number=False)  # fmt: skip
    page = await page_for(site, "boss", "/numbers")
    assert page.count("state-red") == 2, "the channel, and the signature"
    assert "店铺" in page


async def test_replies_are_counted_by_the_number_that_they_came_to(site: Site) -> None:
    at = datetime.now(UTC)
    for to, account in (("1069000211", "hall"), ("1069000211", "hall"), ("10690002", None)):
        await site.db.execute(
            "INSERT INTO mo (id, account_id, channel_id, number, to_code, content, received_at)"
            " VALUES ($1, $2, $3, '8613800138000', $4, '好', $5)",
            site.ids.next(), None if account is None else site.accounts[account], site.channel_id, to, at,
        )  # fmt: skip
    came = [(r.number, r.n, r.unowned) for r in await queries.replies(site.db)]
    assert came == [("1069000211", 2, 0), ("10690002", 1, 1)]
    async with all_signed_in(site, "boss", "clinic-op") as (boss, stranger):
        assert "1069000211" in await boss.get("/numbers/replies")
        assert "1069000211" not in await stranger.get("/numbers/replies")
