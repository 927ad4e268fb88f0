"""Numbers on pages: those that phones see, and prefixes, by which a number is known."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from browsing import Browser, lacks, send, shows
from portal_site import Site, by_test
from visits import actions, add_role, all_signed_in, boss, column, page_for, second_channel

from smsgw.core.model import ChannelStatus
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import extensions, service as accounts
from smsgw.platform.channels import service as channels
from smsgw.platform.codes import queries
from smsgw.platform.lists import complaints
from smsgw.platform.routing import prefixes, queries as routing, service as routes
from smsgw.store.config import numbers

GIVE = "/numbers/extensions/-/give"
REPLACED = {"channel": "mobile-b", "reason": "原号被关停"}
__all__ = ["boss"]
pytestmark = pytest.mark.staff(boss="super")


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    rights = [Permission.CODE_VIEW, Permission.CODE_EDIT, Permission.NUMBER_VIEW, Permission.NUMBER_EDIT]
    await add_role(site, "coder", rights, people={"clinic-op": "clinic"})
    await second_channel(site, "CMCC", "CUCC", "CTCC", "CBN", access_code="1069000277")
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
        shows(page.replace("/hall", ""), "clinic", no="hall")  # another department's digits


async def test_an_extension_is_given_with_its_effect_and_refused_where_it_is_another_s(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    await accounts.move_extension(by_test(site.db), hall, "", "11")
    await send(site)
    async with all_signed_in(site, "boss", "clinic-op") as (boss, stranger):
        form = {"account": str(hall), "sign": "", "extend_code": "12"}
        page = await boss.post(GIVE, form)
        shows(page, "hall 的扩展号由 11 改为 12", "等待发送的 1 条仍从原扩展号发出", 'name="seen" value="11"')
        await boss.refused(GIVE, form | {"confirmed": "1", "seen": "10"})  # it is not what was looked at
        assert await boss.led_to(GIVE, form | {"confirmed": "1", "seen": "11"}) == "/numbers/extensions"
        had = [(h.digits, h.kind) for h in await queries.holders(site.db, [hall])]
        assert had == [("11", "former"), ("12", "account")]
        for digits in ("11", "12"):
            form = {"account": str(clinic), "sign": "", "extend_code": digits}
            await stranger.refused(GIVE, form, "您管理范围以外", no="hall")
        await boss.refused(GIVE, {"account": str(clinic), "sign": "", "extend_code": "12"}, "属于账号 hall")
        await stranger.refused(GIVE, {"account": str(hall), "sign": "", "extend_code": "55", "confirmed": "1"})
        await stranger.refused(GIVE, {"account": str(clinic), "sign": "没有的", "extend_code": "55"}, "没有这个签名")
        await stranger.refused(GIVE, {"account": str(clinic), "sign": "", "extend_code": "5x"})


async def test_scenarios_of_others_leave_room_for_one_s_own(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    await site.db.execute("INSERT INTO scenario (account_id, name, type, extend_code, created_by) "
                          "VALUES ($1, '自己的', 'notice', '1', 't')", clinic)  # fmt: skip
    await site.db.execute(
        "INSERT INTO scenario (account_id, name, type, extend_code, created_by) "
        "SELECT $1, '别人的' || n, 'notice', n::text, 't' FROM generate_series(1000, 1000 + $2::int) n",
        hall,
        queries.MOST_LENT,
    )
    assert [one.title for one in await queries.holders(site.db, [clinic]) if one.title] == ["自己的"]
    looked_at = f"各自最新的 {queries.MOST_LENT:,} 个"
    shows(await page_for(site, "clinic-op", "/numbers/extensions"), "自己的", looked_at, no="别人的")


async def test_digits_from_which_another_s_task_or_scenario_sends_are_not_given(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    await accounts.move_extension(by_test(site.db), hall, "", "77")
    await site.db.execute("INSERT INTO scenario (account_id, name, type, extend_code, created_by) "
                          "VALUES ($1, '提醒', 'notice', '12', 'test')", hall)  # fmt: skip
    async with all_signed_in(site, "boss", "clinic-op") as (boss, stranger):
        for digits in ("771", "7712"):
            form = {"account": str(clinic), "sign": "", "extend_code": digits}
            await boss.refused(GIVE, form, f"扩展号 {digits} 是账号 hall 的任务或业务场景")
            await stranger.refused(GIVE, form, no="hall")
        assert await boss.status_of(GIVE, form | {"extend_code": "7"}) == 200, "the longer one goes before"
        async with site.db.transaction() as other:
            assert await extensions.alone(other)
            assert "没有查清" in await boss.post(GIVE, form | {"extend_code": "8"})


async def test_an_access_code_is_changed_with_its_effect_and_the_former_is_kept(site: Site) -> None:
    await site.db.execute("UPDATE channel SET access_code = '10690001' WHERE id = $1", site.channel_id)
    await accounts.move_extension(by_test(site.db), site.accounts["hall"], "", "773")
    await accounts.move_extension(by_test(site.db), site.accounts["clinic"], "", "3")
    await send(site)
    move = f"/numbers/channels/{site.channel_id}/move"
    async with all_signed_in(site, "boss", "clinic-op") as (boss, stranger):
        assert await stranger.status_of(move) == 404, "a channel is everybody's"
        page = await boss.post(move, {"access_code": "10690002"})  # it would go on as the other channel's
        shows(page, "由 10690001 改为 10690002", "号码 10690002773 有两种读法")
        assert "两种读法" not in await boss.post(move, {"access_code": "10690009"})
        wanted = {"access_code": "10690009", "confirmed": "1"}
        await boss.refused(move, wanted | {"seen": "1069"})  # it is not what was looked at
        await boss.post(move, wanted | {"seen": "10690001"})
        assert re.search(r"10690001</code> <span[^>]*>回复对应至", await boss.get("/numbers"))
        assert len((await boss.get(move)).split("10690009")) > 1


async def test_everything_of_a_channel_goes_to_another_in_one_step(site: Site) -> None:
    change = by_test(site.db)
    await site.db.execute(
        "UPDATE channel SET access_code = '10690001', carriers = '{CMCC}' WHERE id = $1", site.channel_id
    )
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
        page = await boss.post(replace, REPLACED)
        shows(page, "现在没有连接", "2 个通道池、1 条固定走它的规则")
        site.channels.append(
            ChannelStatus(7, "mobile-b", "cmpp30", ("CMCC",), "10690002", "bound", 1, 1, 0, 16, 0.0, 0, 0, "", "", ())
        )
        seen = re.search(r'name="seen" value="(\d+)"', page)
        form = REPLACED | {"confirmed": "1"}
        await boss.refused(replace, form | {"seen": "1"})  # another version of the routes than was looked at
        assert re.fullmatch(r"/jobs/\d+", await boss.led_to(replace, form | {"seen": seen[1]}))
        assert "1 条等待中的短信已改走" in await boss.job_done(boss.path)
    table = await routing.table(site.db)
    assert [(m.channel, m.weight) for m in table.members("mine")] == [("mobile-b", 3)]
    assert table.given_to("account", "clinic") == "mobile-b"
    assert not table.has("only-mobile-a")
    waiting = "SELECT l.name FROM part p JOIN pool l ON l.id = p.pool_id WHERE p.part = 1 ORDER BY p.id"
    assert await column(site, waiting) == ["CMCC", "only-mobile-b"], "of a shared pool the other one pulls"
    assert await site.db.fetchval("SELECT desired FROM channel WHERE id = $1", site.channel_id) == "draining"
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'channel.replace'") == 1
    await channels.remove(change, "mobile-a")
    former = [(one.code, one.until is not None) for one in await queries.access(site.db)]
    assert ("10690001", True) in former, "replies to it find their account for 30 days"


async def test_a_stopped_channel_that_is_replaced_stays_stopped(site: Site, boss: Browser) -> None:
    """Draining would log it in: with the new one's login, it would throw that one's connections out."""
    await site.db.execute("UPDATE channel SET desired = 'stopped', carriers = '{CMCC}' WHERE id = $1", site.channel_id)
    replace = f"/numbers/channels/{site.channel_id}/replace"
    await boss.confirms(replace, REPLACED, "原通道已停用，保持停用", "先重新启用原通道")
    assert re.fullmatch(r"/jobs/\d+", boss.path)
    assert await site.db.fetchval("SELECT desired FROM channel WHERE id = $1", site.channel_id) == "stopped"
    assert '"stopped"' in str(await site.db.fetchval("SELECT after FROM audit WHERE action = 'channel.replace'"))


async def test_a_channel_is_not_replaced_by_one_that_cannot_take_its_place(site: Site, boss: Browser) -> None:
    replace = f"/numbers/channels/{site.channel_id}/replace"
    await site.db.execute("UPDATE channel SET carriers = '{INTL}' WHERE id = $1", site.channel_id)
    await boss.refused(replace, REPLACED, "不服务 INTL 的号码")
    await site.db.execute("UPDATE channel SET desired = 'stopped' WHERE name = 'mobile-b'")
    await boss.refused(replace, REPLACED | {"confirmed": "1"})  # it is no choice
    assert await site.db.fetchval("SELECT count(*) FROM route_version") == 0


async def test_complaints_stand_beside_the_numbers_with_a_warning(site: Site, boss: Browser) -> None:
    for n in range(3):
        await complaints.enter(
            by_test(site.db), f"861380013800{n}", sign="店铺", channel="mobile-a", note="12321", block_number=False
        )
    page = await boss.get("/numbers")
    assert (page.count("state-red"), "店铺" in page) == (2, True), "the channel, and the signature"


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


async def test_one_is_set_with_its_effect_found_and_removed(site: Site) -> None:
    await send(site, to="13800138000")
    await send(site, to="13900139000")
    async with all_signed_in(site, "boss", "clinic-op") as (boss, narrow):
        assert "还没有更准的依据" in await boss.get("/prefixes")
        for path in ("/prefixes", "/prefixes/imports"):
            lacks(await narrow.get(path), "/-/set", "/-/import")  # nothing leads where they may not go
        assert "/-/look-up" in await narrow.get("/prefixes")
        form = {"prefix_digits": "1380013", "carrier": "CUCC", "province": "广东"}
        await boss.confirms("/prefixes/-/set", form, "有 1 条发往这些号码", "其中 1 条当时按其他运营商发送")
        assert "1380013" in await boss.get("/prefixes")
        assert "现在按联通处理，此后改按电信" in await boss.post("/prefixes/-/set", form | {"carrier": "CTCC"})
        for wrong in ("12", "23800138", "138001380001"):
            assert await boss.status_of("/prefixes/-/set", form | {"prefix_digits": wrong}) == 422, wrong
        assert await narrow.status_of("/prefixes/-/set") == 403, "they are everybody's"
        await boss.post("/prefixes/-/set", form | {"province": "Guangdong", "confirmed": "1"})
        assert await site.db.fetchval("SELECT province FROM number_override") == "广东", "as routes ask for it"
        await boss.post("/language", {"language": "en", "next": "/"})
        shows(await boss.get("/prefixes"), "Guangdong", no="广东")
        await boss.post("/language", {"language": "zh", "next": "/"})
        id_ = await site.db.fetchval("SELECT id FROM number_override")
        await boss.post("/prefixes/-/do/remove", {"id": str(id_)})
        assert await site.db.fetchval("SELECT count(*) FROM number_override") == 0
    assert await actions(site, "number.") == ["number.set", "number.set", "number.remove"]


async def test_a_number_says_by_which_rule_it_is_whose(site: Site, boss: Browser) -> None:
    await prefixes.put(by_test(site.db), "1391", "CTCC", "北京")
    async with site.db.transaction() as connection:
        await numbers.learn(connection, "13800138000", "CUCC", "NP:1243")
    assert "13800138000" not in await boss.get("/prefixes"), "masked in the list"
    for beginning, found in (("138", True), ("1380013", False), ("13800138000", False)):
        page = await boss.get(f"/prefixes?beginning={beginning}")
        assert ("138****8000" in page) == found, "nobody tries out what is hidden"
    assert "1391" in await boss.get("/prefixes?beginning=1391")
    for number, *texts in (("13800138000", "携号转网", "联通", "NP:1243", "号段表原为移动", 'href="/prefixes/'),
                           ("13911139000", "依据号段 1391 的记录", "电信", "北京"),
                           ("13800138001", "依据七位号段表", "移动"), ("+447700900123", "境外号码")):  # fmt: skip
        shows(await boss.post("/prefixes/-/look-up", {"number": number}), *texts)
        assert boss.path == "/prefixes/-/look-up"
    await boss.refused("/prefixes/-/look-up", {"number": "abc"})
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'prefixes.look_up'") >= 3


TABLE = "手机号段,携入运营商,省份\n1380013,联通,北京\n13900139000,CTCC,\n1380013,移动,天津\n"
GUESSED = {"column_prefix": "0", "column_carrier": "1", "column_province": "2"}


async def brought(browser: Browser, octets: bytes) -> str:
    """The page of the columns of an uploaded table, as they are guessed: what would change, or what is wrong."""
    page = await browser.send_file("/prefixes/-/import", octets, "ported.csv")
    return page if browser.status != 200 else await browser.post(browser.path, GUESSED)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk"])
async def test_a_file_is_brought_in_with_its_difference_and_taken_back(site: Site, encoding: str) -> None:
    await send(site, to="13800138000")
    await prefixes.put(by_test(site.db), "1380013", "CTCC", "上海")
    async with all_signed_in(site, "boss", "clinic-op") as (boss, narrow):
        assert await narrow.status_of("/prefixes/-/import") == 403, "they are everybody's"
        assert "还没有导入过文件" in await boss.get("/prefixes/imports")
        assert "文件中没有数据" in await brought(boss, TABLE.partition("\n")[0].encode(encoding)), "its head alone"
        assert boss.status == 422
        page = await brought(boss, TABLE.encode(encoding))
        shows(page, "有 2 个号段与号码", "新增 1 个", "改变 1 个", "有 1 条发往这些号码")
        assert await site.db.fetchval("SELECT count(*) FROM number_override") == 1, "only told"
        await boss.post(boss.path, GUESSED | {"confirmed": "1"})
        shows(await boss.job_done(boss.path), "新增 1 个，改变 1 个，0 个不变", 'href="/prefixes/imports"')
        entry = await prefixes.of(site.db, "1380013")
        assert (entry.carrier, entry.province) == ("CMCC", "天津"), "the last of two counts"
        shows(await boss.get("/prefixes/imports"), "ported.csv", "生效中")
        id_ = await site.db.fetchval("SELECT max(id) FROM number_import")
        await prefixes.put(by_test(site.db), "13900139000", "CUCC")
        shows(await boss.post("/prefixes/imports/-/effect/back", {"id": str(id_)}), "将恢复 1 个", "1 个此后又被改过")
        await boss.post("/prefixes/imports/-/do/back", {"id": str(id_)})
        assert "已撤销" in await boss.get("/prefixes/imports")
        assert "已经撤销" in await boss.post("/prefixes/imports/-/effect/back", {"id": str(id_)})
    entry = await prefixes.of(site.db, "1380013")
    assert (entry.carrier, entry.province) == ("CTCC", "上海")
    assert await actions(site, "prefix.") == ["prefix.import"]
    assert await actions(site, "number.import") == ["number.import", "number.import_undo"]


async def test_a_file_with_other_lines_changes_nothing_and_names_them(site: Site, boss: Browser) -> None:
    lines = ("号段,运营商,省", "1380013,联通,北京", "联通,1380014,", "12,移动,", "13800138000,某某,")
    page = await brought(boss, "\n".join(lines).encode())
    assert boss.status == 422
    shows(page, "3 (联通 1380014)", "4 (12 移动)", "5 (138****8000 某某)")
    assert await boss.status_of(boss.path, {"column_prefix": "0"}) == 422, "without a carrier"
    await boss.post(boss.path, GUESSED | {"confirmed": "1"})
    assert "号段" in await boss.job_done(boss.path)
    for wrong in (b"\x00\x01\x02\xff" * 100, "号段,运营商\n1380013,移动\n".encode()):  # it has no third column
        await brought(boss, wrong)
        assert boss.status == 422
    assert await site.db.fetchval("SELECT count(*) FROM number_override") == 0
    assert await site.db.fetchval("SELECT count(*) FROM number_import") == 0
