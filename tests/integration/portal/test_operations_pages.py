"""Channels, queues, alarms, words, keys and unmatched reports as pages: who may do what, and what it does."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
import visits
from browsing import Browser, send, shows
from portal_site import SEALER, Site, by_test
from visits import acting_as, actions, add_role, all_signed_in, boss, raises_code, signed_in, table_rows

from smsgw.core.actor import ScopeKind
from smsgw.core.keywords import Word
from smsgw.core.model import ChannelStatus
from smsgw.core.permissions import Permission
from smsgw.core.policy import PolicySet
from smsgw.core.states import PartState as S
from smsgw.core.throttling import Spell
from smsgw.platform.accounts import service as accounts
from smsgw.platform.alarms import service as alarm_service
from smsgw.platform.keys import service as keys
from smsgw.platform.queues import queries
from smsgw.platform.routing import service as routing
from smsgw.platform.words import queries as word_queries, service as words
from smsgw.runtime import clock
from smsgw.store.config import throttles
from smsgw.store.records import alarms

REAL = {"name": "mobile-b", "host": "192.0.2.1", "port": "7890", "username": "900001", "password": "se cret",
        "rate": "0", "connections": "1", "window": "16"}  # fmt: skip

__all__ = ["boss"]
pytestmark = pytest.mark.staff(boss="super")
P = Permission


@pytest_asyncio.fixture
async def site(site: Site) -> Site:
    await add_role(site, "watcher", [P.CHANNEL_VIEW, P.ALARM_VIEW], people={"watcher-1": "hall"})
    await add_role(site, "duty", [P.NODE_VIEW, P.CHANNEL_VIEW], ScopeKind.ALL, people=["duty-1"])
    narrow = [P.NODE_VIEW, P.TASK_VIEW, P.CHANNEL_VIEW, P.MESSAGE_RESOLVE]
    await add_role(site, "narrow", narrow, people={"narrow-1": "hall"})
    return site


def status(site: Site, **changes: object) -> ChannelStatus:
    """How the site's channel is doing."""
    values: dict[str, object] = {
        "id": site.channel_id, "name": "mobile-a", "protocol": "cmpp30", "carriers": ("CMCC",),
        "access_code": "10690001", "state": "bound", "bound": 1, "connections": 1, "window_used": 16, "window": 16,
        "rate_now": 12.5, "rate_limit": 0, "submitted_today": 1234, "last_error": "", "reason": "window full",
        "pools": tuple(site.snapshots.current.pools),
    }  # fmt: skip
    return ChannelStatus(**(values | changes))  # type: ignore[arg-type]


async def test_a_channel_shows_how_it_is_doing_and_a_poll_without_news_is_empty(site: Site) -> None:
    site.channels.append(status(site))
    async with signed_in(site, "watcher-1") as watcher:
        shows(await watcher.get("/channels"), "窗口已满", "1,234", "16 / 16", no="/channels/-/new")
        await watcher.get("/channels/-/live", headers={"HX-Request": "true"})
        known = {"HX-Request": "true", "X-Have": watcher.headers["X-Piece"]}
        assert await watcher.status_of("/channels/-/live", headers=known) == 204
        site.channels[0] = status(site, state="refused", bound=0, window_used=0, reason="not bound",
                                  last_error="[Errno 111] Connect call failed ('192.0.2.1', 7890)")  # fmt: skip
        shows(await watcher.get("/channels/-/live", headers=known), "登录被拒", no="Errno")
        page = await watcher.get(f"/channels/{site.channel_id}")
        shows(page, "127.0.0.1:7890", no=["secret", f"/channels/{site.channel_id}/stop"])


async def test_a_channel_says_how_its_carrier_throttles_it_now_and_did_before(site: Site) -> None:
    began = clock.now() - timedelta(minutes=3)
    spell = Spell(began, clock.now(), 400, 212.4, 38_220, 1_017, over=False)
    async with signed_in(site, "watcher-1") as watcher:
        assert "运营商没有要求过放慢" in await watcher.get(f"/channels/{site.channel_id}")
        site.channels.append(status(site, reason="carrier throttles", rate_allowed=251.6, throttled=spell))
        now = await watcher.get(f"/channels/{site.channel_id}/live")
        shows(now, "运营商要求放慢：现按 252 段/秒提交", "被拒 1,017 段，实收 38,220 段")
        await throttles.keep(site.db, 1, [(site.channel_id, spell)])
        await site.db.execute("UPDATE channel SET rate = 400 WHERE id = $1", site.channel_id)
        page = await watcher.get(f"/channels/{site.channel_id}")
        shows(page, "持续中", "近 7 天 1 次", "近 7 天最低降到 212 段/秒，现速率上限 400 段/秒。")


async def test_a_channel_is_stopped_drained_and_started_with_what_waits_said_before(site: Site, boss: Browser) -> None:
    site.channels.append(status(site))
    await send(site)
    one = f"/channels/{site.channel_id}"
    assert "1 条排队的短信和 0 段待重发的将一直等待" in await boss.get(f"{one}/stop"), "no other channel takes it"
    site.channels.append(status(site, id=99, name="spare"))
    assert "1 条排队的短信和 0 段待重发的改走 spare" in await boss.get(f"{one}/stop")
    assert await site.carrier_takes()
    assert "收回 1 段短信的状态报告" in await boss.get(f"{one}/drain")
    now = "SELECT desired FROM channel WHERE id = $1"
    for turn, desired in (("drain", "draining"), ("stop", "stopped"), ("start", "started")):
        await boss.post(f"{one}/{turn}", {})
        assert await site.db.fetchval(now, site.channel_id) != desired, "only asked"
        assert await boss.led_to(f"{one}/{turn}", {"confirmed": "1"}) == one
        assert await site.db.fetchval(now, site.channel_id) == desired
    assert await actions(site, "channel.") == ["channel.add", *["channel.set"] * 3]


async def test_a_channel_is_removed_with_what_uses_it_said_before(site: Site, boss: Browser) -> None:
    site.channels.append(status(site))
    await routing.publish(by_test(site.db), {"rule": [{"name": "codes", "type": ["otp"], "pool": "CMCC"}]}, "")
    await site.snapshots.follow()
    await send(site)
    one = f"/channels/{site.channel_id}"
    assert f'{one}/remove"' not in await boss.get(one), "it is stopped first"
    await boss.post(f"{one}/stop", {"confirmed": "1"})
    assert f'{one}/remove"' in await boss.get(one)
    page = await boss.get(f"{one}/remove")
    assert re.search(r"将删除通道“mobile-a”，不能恢复.*它服务 \d+ 个通道组，1 条路由规则送到这些组", page)
    assert "1 条排队的短信和 0 段待重发的将一直等待" in page
    site.channels.append(status(site, id=99, name="spare"))
    assert "1 条排队的短信和 0 段待重发的改走 spare" in await boss.post(f"{one}/remove", {})
    assert await boss.status_of(one) == 200, "only asked"
    assert await boss.led_to(f"{one}/remove", {"confirmed": "1"}) == "/channels"
    assert await boss.status_of(one) == 404
    assert (await actions(site, "channel."))[-1] == "channel.remove"


async def test_a_channel_is_added_and_changed_and_its_password_is_never_shown(site: Site, boss: Browser) -> None:
    assert "CMPP" in await boss.get("/channels/-/new")
    wrong = REAL | {"port": "0", "name": "x y"}
    await boss.refused("/channels/-/new/cmpp30", wrong, 'id="name-problem"', 'id="port-problem"')
    await boss.refused("/channels/-/new/cmpp30", REAL | {"name": "mobile-a"}, 'id="name-problem"')
    page = await boss.post("/channels/-/new/cmpp30", REAL)
    made = await site.db.fetchval("SELECT id FROM channel WHERE name = 'mobile-b'")
    assert boss.path == f"/channels/{made}/test", "it is tested before it is started"
    assert await site.db.fetchval("SELECT desired FROM channel WHERE id = $1", made) == "stopped"
    shows(page, "192.0.2.1:7890", no="se cret")
    assert 'value="192.0.2.1"' in await boss.get(f"/channels/{made}/edit")
    sealed = await site.db.fetchval("SELECT password_sealed FROM channel WHERE id = $1", made)
    changed = {k: v for k, v in REAL.items() if k != "name"} | {"rate": "300", "password": ""}
    assert await boss.led_to(f"/channels/{made}/edit", changed) == f"/channels/{made}"
    row = await site.db.fetchrow("SELECT rate, password_sealed FROM channel WHERE id = $1", made)
    assert tuple(row) == (300, sealed)
    said = "SELECT before->'rate', after->'rate' FROM audit WHERE action = 'channel.set' ORDER BY id DESC"
    assert tuple(await site.db.fetchrow(said)) == ("0", "300")
    assert "se cret" not in str(await site.db.fetch("SELECT after FROM audit"))


async def raised(site: Site, kind: str, about: str, *, cleared: bool = False) -> int:
    async with site.db.transaction() as connection:
        now = datetime.now(UTC)
        await alarms.raise_(connection, kind, about, "critical", "[Errno 111] x", now=now)
        if cleared:
            await alarms.clear(connection, kind, about, now=now)
    return int(await site.db.fetchval("SELECT max(id) FROM alarm"))


def listed(page: str) -> list[int]:
    return [int(id_) for id_ in dict.fromkeys(re.findall(r'href="/alarms/([0-9]+)"', page))]


async def test_alarms_are_listed_open_first_and_taken_by_who_may(site: Site, boss: Browser) -> None:
    first = await raised(site, "channel_down", "channel/mobile-a")
    second = await raised(site, "disk_low", "node/1")
    over = await raised(site, "database_down", "database", cleared=True)
    page = await boss.get("/alarms")
    assert listed(page) == [second, first, over], "what is over stands last"
    shows(page, "通道断开", "通道 mobile-a", "节点 1", "数据库", no=["Errno", "channel/mobile-a", "node/1"])
    assert listed(await boss.get("/alarms?state=cleared")) == [over]
    assert "2" in re.sub(r"\s", "", await boss.get("/menu/badges"))
    assert "将认领 1 条告警" in await boss.post("/alarms/-/effect/ack", {"id": str(first)})
    assert await site.db.fetchval("SELECT count(*) FROM alarm WHERE acked_at IS NOT NULL") == 0, "only asked"
    await boss.post("/alarms/-/do/ack", {"id": str(first)})
    await boss.post("/alarms/-/do/ack", {"id": str(over)})
    shows(await boss.get(f"/alarms/{first}"), "处理中", "boss", "<code>channel/mobile-a</code>")
    rows = await site.db.fetch("SELECT id, acked_by FROM alarm WHERE acked_at IS NOT NULL")
    assert list(map(tuple, rows)) == [(first, "boss")], "what is over is nobody's"
    assert await actions(site, "alarm.") == ["alarm.ack"]


async def test_alarms_are_seen_by_whose_accounts_they_are_about(site: Site) -> None:
    """Who sees all sees all; others those about their own accounts, and none about the platform."""
    for code, scope in (("desk", ScopeKind.ACCOUNTS), ("self", ScopeKind.OWN)):
        await add_role(site, code, [P.ALARM_VIEW, P.ALARM_HANDLE], scope, people={code: "hall"})
    own, others = [
        [await raised(site, kind, about) for kind, about in kinds]
        for kinds in ((("events_lost", "account/hall/report"), ("webhook_dead", "webhook/hall/a")),
                      (("events_lost", "account/clinic/report"), ("webhook_dead", "webhook/clinic/hall"),
                       ("disk_low", "node/1"), ("channel_down", "channel/mobile-a"), ("review_waiting", "reviews"),
                       ("complaint_ceiling", "sign/hall")))
    ]  # fmt: skip
    for login, seen in (("desk", own), ("self", []), ("boss", own + others)):
        async with Browser(site) as one:
            assert set(listed(await one.login(login))) <= set(seen)
            assert set(listed(await one.get("/alarms"))) == set(seen), login
            assert f"共 {len(seen)} 条" in await one.get("/alarms/-/total")
            assert json.loads(await one.get("/menu/badges"))["monitoring.alarms"] == len(seen)
            told = await one.get("/notices?kind=alarm")
            assert len(set(re.findall(r'href="/notices/([0-9]+)"', told))) == len(seen), login
            for id_ in others:
                assert await one.status_of(f"/alarms/{id_}") == (200 if login == "boss" else 404)
    async with signed_in(site, "desk") as desk:
        await desk.post("/alarms/-/do/ack", {"id": str(others[0])})
        assert await site.db.fetchval("SELECT count(*) FROM alarm WHERE acked_at IS NOT NULL") == 0
        await desk.post("/alarms/-/do/ack", {"id": str(own[0])})
    assert await site.db.fetchval("SELECT id FROM alarm WHERE acked_at IS NOT NULL") == own[0]
    with raises_code("NOT_FOUND"):
        await alarm_service.acknowledge(await acting_as(site, "desk"), others)


async def test_words_are_pasted_with_their_categories(site: Site, boss: Browser) -> None:
    """Two columns of a table as they come from the clipboard; a line without one has the form's."""
    form = {"words": "赌博\t违法\r\n 中奖 \t 广告 \r\n免费\r\n\r\n优惠\t", "action": "block", "category": "其他"}
    await boss.refused("/words/-/new", form | {"words": "赌博\t" + "类" * 21}, "第 1 行")  # a category has its length
    await boss.confirms("/words/-/new", form, "将保存 4 个敏感词")
    kept = dict(map(tuple, await site.db.fetch("SELECT word, category FROM word")))
    assert kept == {"赌博": "违法", "中奖": "广告", "免费": "其他", "优惠": "其他"}
    await boss.post("/words/-/new", form | {"words": "赌博\t诈骗", "confirmed": "1"})
    assert await site.db.fetchval("SELECT category FROM word WHERE word = '赌博'") == "诈骗"


async def test_a_word_is_changed_where_it_stands(site: Site) -> None:
    hall = site.accounts["hall"]
    known = [Word("赌博", "违法"), Word("中奖", "广告"), Word("办证", "违法", account_id=hall)]
    await words.put(by_test(site.db), known)
    ids = dict(map(tuple, await site.db.fetch("SELECT word, id FROM word")))
    await add_role(site, "words", [P.WORD_VIEW, P.WORD_EDIT], people={"hall-words": "hall"})
    async with all_signed_in(site, "boss", "hall-words") as (boss, clerk):
        at = f"/words/{ids['赌博']}/edit"
        assert f'href="{at}"' in await boss.get(f"/words/{ids['赌博']}")
        assert 'value="违法"' in await boss.get(at)
        form = {"word": "中奖", "action": "replace", "replacement": "**", "category": "违法"}
        assert await boss.status_of(at, form | {"confirmed": "1"}) == 422, "there is one"
        await boss.refused(at, form | {"word": "！！", "confirmed": "1"})
        assert "短信中的它会被替换" in await boss.post(at, form | {"word": "赌 博"})
        assert await site.db.fetchval("SELECT action FROM word WHERE id = $1", ids["赌博"]) == "block", "only asked"
        await boss.post(at, form | {"word": "赌 博", "confirmed": "1"})
        row = await site.db.fetchrow("SELECT word, action, replacement FROM word WHERE id = $1", ids["赌博"])
        assert tuple(row) == ("赌 博", "replace", "**")
        (hit,) = (await word_queries.word_filter(site.db)).find("来赌博吧", (), "")
        assert hit.word.action == "replace"

        assert await clerk.status_of(f"/words/{ids['办证']}/edit") == 200
        assert "/edit" not in await clerk.get(f"/words/{ids['中奖']}"), "it is everybody's"
        assert await clerk.status_of(f"/words/{ids['中奖']}/edit", form | {"confirmed": "1"}) == 404
    said = "SELECT before->>'action', after->>'action' FROM audit WHERE action = 'word.set'"
    assert tuple(await site.db.fetchrow(said)) == ("block", "replace")


async def test_words_are_added_several_at_a_time_found_in_a_text_and_removed(site: Site, boss: Browser) -> None:
    assert "还没有敏感词" in await boss.get("/words")
    form = {"words": "赌博\n！！\n中奖", "action": "block", "category": "违法", "account": "", "type": ""}
    await boss.refused("/words/-/new", form, "第 2 行")
    form["words"] = "赌博\n中奖\n赌博\n<b>词</b>"
    assert "将保存 3 个敏感词（全部账号 · 全部类型），其中 0 个已在表中" in await boss.post("/words/-/new", form)
    assert await site.db.fetchval("SELECT count(*) FROM word") == 0, "only asked"
    await boss.post("/words/-/new", form | {"confirmed": "1"})
    change = {"words": "中奖\n免费", "action": "replace", "replacement": "（略）"}
    await boss.confirms("/words/-/new", change, "其中 1 个已在表中")
    shows(await boss.get("/words?action=replace"), "免费", no="赌博")
    assert "<b>词</b>" not in await boss.get("/words")
    site.snapshots.change(policies=PolicySet({}, words=await word_queries.word_filter(site.db)))
    for text, *said in (("【免费】您好，赌 博", "短信会被拦截", '<mark title="赌博">赌 博</mark>'),
                        ("恭喜中奖", "其中的敏感词会被替换", "恭喜（略）"), ("您好", "没有发现敏感词")):  # fmt: skip
        shows(await boss.post("/words/-/test", {"content": text}), *said)
    await boss.refused("/words/-/test", {"content": ""})
    id_ = await site.db.fetchval("SELECT id FROM word WHERE word = '赌博'")
    assert "将删除 1 个敏感词" in await boss.post("/words/-/effect/remove", {"id": str(id_)})
    await boss.post("/words/-/do/remove", {"id": str(id_)})
    assert await boss.status_of(f"/words/{id_}") == 404
    assert await actions(site, "word.") == ["word.put", "word.put", "word.remove"]


async def test_removing_a_word_leaves_that_of_another_type_and_account(site: Site, boss: Browser) -> None:
    await words.put(
        by_test(site.db), [Word("赌博", type="otp"), Word("赌博", account_id=site.accounts["hall"]), Word("赌博")]
    )
    id_ = await site.db.fetchval("SELECT id FROM word WHERE account_id = 0 AND type = ''")
    await boss.post("/words/-/do/remove", {"id": str(id_)})
    left = await site.db.fetch("SELECT account_id, type FROM word ORDER BY account_id")
    assert list(map(tuple, left)) == [(0, "otp"), (site.accounts["hall"], "")]


async def test_who_has_some_accounts_sees_theirs_and_those_for_all_and_changes_theirs_only(site: Site) -> None:
    hall, clinic = site.accounts["hall"], site.accounts["clinic"]
    await add_role(site, "wordkeeper", [P.WORD_VIEW, P.WORD_EDIT], people={"keeper": "hall"})
    await words.put(by_test(site.db), [Word("甲词", account_id=hall), Word("乙词", account_id=clinic), Word("丙词")])
    found = dict(map(tuple, await site.db.fetch("SELECT account_id, id FROM word")))
    async with signed_in(site, "keeper") as keeper:
        shows(await keeper.get("/words"), "甲词", "丙词", no="乙词")
        assert await keeper.status_of(f"/words/{found[clinic]}") == 404
        form = {"words": "丁词", "action": "block", "confirmed": "1"}
        await keeper.refused("/words/-/new", form, "请选择账号")
        await keeper.refused("/words/-/new", form | {"account": str(clinic)})
        await keeper.post("/words/-/new", form | {"account": str(hall)})
        for id_ in (found[clinic], found[0], found[hall]):
            await keeper.post("/words/-/do/remove", {"id": str(id_)})
        await keeper.refused("/words/-/test", {"content": "x", "account": str(clinic)})
    assert {row["word"] for row in await site.db.fetch("SELECT word FROM word")} == {"乙词", "丙词", "丁词"}


async def test_a_key_is_made_shown_once_narrowed_rotated_and_stopped(site: Site, boss: Browser) -> None:
    hall = site.accounts["hall"]
    assert "还没有密钥" in await boss.get("/keys")
    form = {"account": str(hall), "mode": "live", "scopes": "send", "networks": "10.0.0.0/8",
            "requests_per_second": "50", "days": "30"}  # fmt: skip
    for field, wrong in (("networks", "nonsense"), ("requests_per_second", "0"), ("scopes", "all")):
        await boss.refused("/keys/-/new", form | {field: wrong}, f'id="{field}-problem"')
    page = await boss.post("/keys/-/new", form)
    (secret, bearer) = re.findall(r'class="one-time">([^<]+)<', page)
    assert "只显示这一次" in page
    row = await site.db.fetchrow("SELECT * FROM api_key")
    assert row["bearer_sha256"] == hashlib.sha256(bearer.encode()).digest()
    one = f"/keys/{row['id']}"
    for path in (one, "/keys", f"{one}/edit"):
        shows(await boss.get(path), row["key_id"], no=[secret, bearer])
    assert await boss.led_to(f"{one}/edit", {"scopes": "query", "networks": "", "requests_per_second": "60"}) == one
    row = await site.db.fetchrow("SELECT scopes, ip_allow, requests_per_second FROM api_key")
    assert tuple(row) == (["query"], [], 60)
    assert "旧密文继续有效" in await boss.get(f"{one}/rotate")
    assert secret not in await boss.post(f"{one}/rotate", {"confirmed": "1"})
    assert await boss.status_of(f"{one}/rotate", {"confirmed": "1"}) == 422, "there are two already"
    await boss.post(f"{one}/retire", {"confirmed": "1"})
    assert await site.db.fetchval("SELECT cardinality(secrets_sealed) FROM api_key") == 1
    assert "将停用 1 个密钥" in await boss.post("/keys/-/effect/stop", {"id": one[6:]})
    for turn, becomes in (("stop", "stopped"), ("start", "active")):
        await boss.post(f"/keys/-/do/{turn}", {"id": one[6:]})
        assert await site.db.fetchval("SELECT status FROM api_key") == becomes
    assert await actions(site, "key.") == ["key.add", "key.set", "key.rotate", "key.retire", "key.set", "key.set"]
    assert secret not in str(await site.db.fetch("SELECT before, after FROM audit"))


async def test_another_accounts_keys_are_not_there_and_no_more_is_given_than_one_has(site: Site) -> None:
    await add_role(site, "developer", [P.KEY_VIEW, P.KEY_EDIT], people={"dev-1": "hall"})
    for name in ("hall", "clinic"):
        await keys.add(by_test(site.db), SEALER, site.accounts[name])
    own, foreign = [row["id"] for row in await site.db.fetch("SELECT id FROM api_key ORDER BY id")]
    async with signed_in(site, "dev-1") as dev:
        shows(await dev.get("/keys"), f'href="/keys/{own}"', no=f'href="/keys/{foreign}"')
        await dev.post("/keys/-/do/stop", {"id": str(foreign)})
        form = {"mode": "live", "scopes": "send", "requests_per_second": "50"}
        await dev.refused("/keys/-/new", form | {"account": str(site.accounts["clinic"])})
        await dev.refused("/keys/-/new", form | {"account": str(site.accounts["hall"]), "scopes": "emergency"})
    assert await site.db.fetchval("SELECT count(*) FROM api_key WHERE status = 'active'") == 2


async def test_what_waits_is_told_by_pool_lane_and_account_with_its_time_to_drain(site: Site, boss: Browser) -> None:
    for n in range(6):
        await send(site, to=f"1380013800{n}")
    await send(site, "clinic", to="13000130000")  # of another carrier, which no channel serves here
    site.channels.append(status(site, rate_now=2.0, pools=("CMCC",)))
    found = table_rows(await boss.get("/queues"))
    assert [row[:3] for row in found] == [["移动", "通知", "6"], ["联通", "通知", "1"]]
    assert found[0][5:7] == ["3.0 秒", "mobile-a"], "six at two a second"
    assert found[1][5] == "没有通道取用"
    shows(await boss.get("/queues"), f"/accounts/{site.accounts['hall']}/route", "政务大厅")
    assert len(await site.carrier_takes()) == 7
    assert list((await queries.standing(site.db)).queues) == []


async def test_it_is_said_what_stands_still_and_why(site: Site, boss: Browser) -> None:
    await send(site)
    site.channels.append(status(site, rate_now=0.0, pools=("CMCC",)))
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
    async with all_signed_in(site, "narrow-1", "duty-1") as (narrow, duty):
        shows(await narrow.get("/queues"), "全部数据", no="社区医院")
        assert "社区医院" not in await narrow.get("/queues/-/live", headers={"HX-Request": "true"})
        assert narrow.status == 204
        shows(await duty.get("/queues"), "社区医院", no="q-tasks")  # tasks are for who may see tasks


NUMBER = "8613800138000"


async def sent(site: Site, carrier_id: str, *, state: S = S.SENT, channel: int = 0, to: str = "13800138000") -> int:
    """A message that the carrier has taken under an id."""
    id_ = await send(site, to=to)
    await site.db.execute(
        "UPDATE part SET state = $2, channel_id = $3, carrier_id = $4, claimed_at = now(), answered_at = now(),"
        " attempt = 1, next_at = now() + interval '1 day', final_at = $5 WHERE id = $1",
        id_, state, channel or site.channel_id, carrier_id, datetime.now(UTC) if state is S.DELIVERED else None,
    )  # fmt: skip
    return id_


async def reported(site: Site, carrier_id: str, *, number: str = NUMBER, pdu: bytes = b"") -> int:
    """A report that has found no message."""
    id_: int = await site.db.fetchval(
        "INSERT INTO receipt_orphan (channel_id, carrier_id, state, code, class, number, received_at, pdu)"
        " VALUES ($1, $2, 40, 'DELIVRD', '', $3, $4, $5) RETURNING id",
        site.channel_id, carrier_id, number, datetime.now(UTC), pdu,
    )  # fmt: skip
    return id_


async def state(site: Site, id_: int) -> int:
    return int(await site.db.fetchval("SELECT state FROM part WHERE id = $1", id_))


async def left(site: Site) -> list[str]:
    return [row["carrier_id"] for row in await site.db.fetch("SELECT carrier_id FROM receipt_orphan ORDER BY id")]


async def test_each_says_why_it_is_there_and_its_octets_are_masked(site: Site) -> None:
    await sent(site, "4d2")
    one = await reported(site, "1234", pdu=b"DELIVRD " + NUMBER.encode())
    await reported(site, "99887766", number="8613900139000")
    async with all_signed_in(site, "boss", "duty-1", "narrow-1") as (boss, watch, narrow):
        page = await boss.get("/unmatched")
        shows(page, "按规则恰好对应一条", "应答十六进制、报告十进制", "没有发给该号码", "138****8000")
        page = await boss.get(f"/unmatched/{one}")
        shows(page, "原始报文", no="13800138000")
        assert NUMBER.encode().hex(" ") not in page
        assert "原始报文" not in await watch.get(f"/unmatched/{one}"), "a right of its own"
        assert "138****" not in await narrow.get("/unmatched"), "what is nobody's is no department's"
        assert await narrow.status_of(f"/unmatched/{one}") == 404
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'unmatched.wire'") == 1


async def test_reports_that_fit_one_message_are_put_to_it_and_others_stay(site: Site, boss: Browser) -> None:
    first = await sent(site, "4d2")
    twice = [await sent(site, "162e", to="13800138001") for _ in range(2)]
    settled = await sent(site, "aaaa1111", state=S.DELIVERED, to="13800138002")
    await reported(site, "1234")
    await reported(site, "5678", number="8613800138001")
    await reported(site, "aaaa1111", number="8613800138002")
    rematch = "/unmatched/-/rematch"
    assert "没有可做的" in await boss.post(rematch, {"channel": "mobile-a", "rule": "dec-hex"})
    await boss.refused(rematch, {"channel": "mobile-a", "rule": "trimmed", "adopt": "1"}, "只有编号写法的规则")
    form = {"channel": "mobile-a", "rule": "hex-dec"}
    shows(await boss.post(rematch, form), "恰好对应一条短信的有 1 份", "1 份对应不止一条")
    assert await left(site) == ["1234", "5678", "aaaa1111"], "only asked"
    assert re.fullmatch(r"/jobs/\d+", await boss.led_to(rematch, form | {"confirmed": "1"}))
    assert "1 份已对应到短信，1 份对应不止一条" in await boss.job_done(boss.path)
    assert await state(site, first) == S.DELIVERED
    assert [await state(site, id_) for id_ in twice] == [S.SENT, S.SENT], "none of them on a guess"
    assert await state(site, settled) == S.DELIVERED
    assert await left(site) == ["5678", "aaaa1111"]
    assert "rematched" in {row["kind"] for row in await site.db.fetch("SELECT kind FROM event WHERE id = $1", first)}
    told = "SELECT count(*) FROM customer_event WHERE message_id = $1 AND kind = 'report'"
    assert await site.db.fetchval(told, first) == 1
    assert await site.db.fetchval("SELECT count(*) FROM audit WHERE action = 'report.rematch'") == 1


async def test_a_message_of_the_carrier_s_other_channel_and_a_spelling_that_is_kept(site: Site, boss: Browser) -> None:
    there = await sent(site, "zz998877", channel=await visits.second_channel(site, "CMCC"))
    await reported(site, "zz998877")
    rematch = "/unmatched/-/rematch"
    await boss.post(rematch, {"channel": "mobile-a", "rule": "other-channel", "confirmed": "1"})
    await boss.job_done(boss.path)
    assert (await state(site, there), await left(site)) == (S.DELIVERED, [])
    await boss.post(rematch, {"channel": "mobile-a", "rule": "hex-dec", "adopt": "1", "confirmed": "1"})
    await boss.job_done(boss.path)
    kept = "SELECT mode FROM channel_spelling WHERE channel_id = $1"
    assert await site.db.fetchval(kept, site.channel_id) == "hex-dec"
