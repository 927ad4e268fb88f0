"""Sending accounts: the tree, prices, units, a stop, another channel; who is reminded of contracts and used volumes."""

from __future__ import annotations

import asyncio
import html
import re
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from browsing import lacks, send, shows
from changes import by_test
from databases import change
from days import today
from portal_site import SEALER, Site
from visits import add_role, linked, page_for, signed_in

from smsgw.admin.pages.connect import account_training
from smsgw.admin.rights import Proof
from smsgw.core.actor import Actor, ActorLabel, ScopeKind
from smsgw.core.model import ChannelStatus
from smsgw.core.permissions import Permission as P
from smsgw.core.states import PartState as S
from smsgw.core.tasks import Task
from smsgw.platform.accounts import listing, service
from smsgw.platform.accounts.reminders import MOST_EACH, AccountReminders as Reminders
from smsgw.platform.channels import service as channels
from smsgw.platform.org import service as org
from smsgw.platform.paging import Window
from smsgw.platform.routing import queries
from smsgw.platform.routing.queries import VERSIONS
from smsgw.store.messages import tasks

pytestmark = pytest.mark.staff(boss="super")
FORM = {"display_name": "交通出行", "parent": "", "department": "", "protocols": "http", "ip_allow": "10.0.0.0/8",
        "default_sign": "示例交通", "extend_code": "", "rate": "100", "quota_day": "500", "quota_month": "",
        "starts_on": "2026-01-01", "ends_on": "2027-12-31", "stops_at_end": "1"}  # fmt: skip


async def row(site: Site, name: str) -> dict[str, object]:
    found = await site.db.fetchrow("SELECT * FROM account WHERE name = $1", name)
    assert found is not None, name
    return dict(found)


async def test_an_account_is_made_changed_priced_and_given_units(site: Site) -> None:
    department = await org.add_department(by_test(site.db), "交通局")
    async with signed_in(site, "boss") as boss:
        page = await boss.refusal("/accounts/-/new", FORM | {"name": "a b", "starts_on": "2026-1-1"})
        shows(page, 'id="name-problem"', 'id="starts_on-problem"')
        new = FORM | {"name": "traffic", "parent": "hall", "department": str(department)}
        assert "将新建账号 traffic（上级：hall）" in await boss.post("/accounts/-/new", new)
        assert await site.db.fetchval("SELECT count(*) FROM account WHERE name = 'traffic'") == 0, "only asked"
        await boss.post("/accounts/-/new", new | {"confirmed": "1"})
        made = await row(site, "traffic")
        here = f"/accounts/{made['id']}"
        assert boss.path == here
        assert (made["parent_id"], made["department_id"]) == (site.accounts["hall"], department)
        assert (made["rate"], made["quota_day"], made["protocols"]) == (100, 500, ["http"])
        shows(await boss.get(here), "交通出行", "10.0.0.0/8", "示例交通", "0 / 500", "2027-12-31")
        shows(await boss.get("/accounts"), "hall / traffic", "交通局")

        form = {k: v for k, v in new.items() if k != "name"}
        assert "没有要修改的设置" in await boss.post(f"{here}/edit", form)
        form |= {"rate": "50", "quota_day": ""}
        await boss.confirms(f"{here}/edit", form, "将修改账号 traffic 的 2 项设置")
        made = await row(site, "traffic")
        assert (made["rate"], made["quota_day"]) == (50, None)
        page = await boss.post(f"{here}/edit", form | {"ends_on": "2025-01-01", "confirmed": "1"})
        assert (boss.status, 'id="ends_on-problem"' in page) == (422, True)

        await site.db.execute(
            "INSERT INTO usage_day (account_id, day, submitter, type, messages, parts, units, refunded)"
            " VALUES ($1, (now() AT TIME ZONE 'Asia/Shanghai')::date, 'x', 'notice', 1000, 1000, 1000, 0)",
            made["id"],
        )
        price = {"unit_price": "0.0385", "units_otp": "1", "units_notice": "1", "units_marketing": "2",
                 "credit_floor": "200", "refund_failed": "1"}  # fmt: skip
        assert await boss.status_of(f"{here}/price", price | {"unit_price": "0.03851"}) == 422
        page = await boss.post(f"{here}/price", price)
        shows(page, "单价由 0.0000 元改为 0.0385 元，可用条数由 0 条变为 200 条", "按现价 0.00 元，按新价 38.50 元")
        await boss.post(f"{here}/price", price | {"confirmed": "1"})
        made = await row(site, "traffic")
        assert (str(made["unit_price"]), made["credit_floor"], made["units_marketing"]) == ("0.0385", -200, 2)

        units = {"units_change": "1,000", "note_why": "合同 7"}
        await boss.confirms(f"{here}/units", units, "余额将由 0 条变为 1,000 条（+1,000 条）")
        await boss.post(f"{here}/units", units | {"units_change": "-1,201", "confirmed": "1"})
        assert boss.status == 422, "never below the credit"
        assert (await row(site, "traffic"))["balance"] == 1000
        assert await site.db.fetchval("SELECT note FROM ledger WHERE account_id = $1", made["id"]) == "合同 7"


async def test_a_stop_is_told_in_numbers_holds_below_and_ends_with_the_start(site: Site) -> None:
    below = await service.add(by_test(site.db), "below", parent="hall", default_sign="下级")
    hall = site.accounts["hall"]
    for n in range(3):
        await send(site, to=f"1380013800{n}")
    async with signed_in(site, "boss") as boss:
        asked = await boss.post("/accounts/-/effect/stop", {"id": str(hall)})
        shows(asked, "连同下级共 2 个账号", "3 条排队的短信暂停")
        assert (await row(site, "hall"))["status"] == "active", "only asked"
        await boss.post("/accounts/-/do/stop", {"id": str(hall)})
        assert (await row(site, "hall"))["status"] == "stopped"
        assert (await row(site, "below"))["halted"]
        assert linked(await boss.get("/accounts?status=halted"), "/accounts") == [str(below)]
        assert linked(await boss.get("/accounts?status=stopped"), "/accounts") == [str(hall)]
        assert "上级停用" in await boss.get(f"/accounts/{below}")
        assert (await listing.reach(site.db, [hall])).waiting == 3
        await boss.post("/accounts/-/do/start", {"id": str(hall)})
        assert not (await row(site, "below"))["halted"]
        assert set(linked(await boss.get(f"/accounts?parent={hall}"), "/accounts")) == {str(below)}


async def test_prices_take_a_right_and_new_accounts_lie_below_ones_own(site: Site) -> None:
    below = await service.add(by_test(site.db), "below", parent="hall", default_sign="下级")
    hall = site.accounts["hall"]
    await service.edit(by_test(site.db), hall, {"unit_price": "0.0377"})
    await add_role(site, "keeper", [P.ACCOUNT_VIEW, P.ACCOUNT_EDIT, P.ACCOUNT_STOP], people={"hall-op": "hall"})
    async with signed_in(site, "hall-op") as keeper:
        page = await keeper.get("/accounts")
        assert (set(linked(page, "/accounts")), "0.0377" in page) == ({str(hall), str(below)}, False)
        lacks(await keeper.get(f"/accounts/{hall}"), "0.0377", "/price")
        page = await keeper.refusal("/accounts/-/new", FORM | {"name": "top", "confirmed": "1"})
        assert 'id="parent-problem"' in page, "only below one's own"
        await keeper.post("/accounts/-/new", FORM | {"name": "mine", "parent": "hall", "confirmed": "1"})
        assert (await row(site, "mine"))["parent_id"] == hall
        assert await keeper.status_of(f"/accounts/{below}/edit", FORM | {"parent": "clinic", "confirmed": "1"}) == 422
        await keeper.post("/accounts/-/do/stop", {"id": str(below)})


async def test_who_works_for_an_account_that_rehearses_is_told_on_every_page(site: Site) -> None:
    one = f"/accounts/{site.accounts['hall']}"
    await site.add_staff("clerk-hall", "operator", "hall")
    async with signed_in(site, "boss") as boss, signed_in(site, "clerk-hall") as clerk:
        assert "演练模式" not in await clerk.get("/")
        assert "须先停用账号" in await boss.refusal(f"{one}/training", {"reason": "新员工培训", "confirmed": "1"})
        await service.set_status(by_test(site.db), site.accounts["hall"], "stopped")
        codes = "UPDATE login_policy SET sms_accounts = $1"
        await site.db.execute(codes, [site.accounts["hall"]])
        page = await boss.post(f"{one}/training", {"reason": "新员工培训", "confirmed": "1"})
        assert "登录验证码" in page, "nobody would get one"
        await site.db.execute(codes, [])
        await boss.confirms(f"{one}/training", {"reason": "新员工培训"}, "不会到达任何手机")
        assert "演练模式" in await boss.get(one)
        await site.snapshots.follow()
        for path in ("/", "/records", "/tasks"):
            assert "所发短信只到仿真运营商" in await clerk.get(path), path
        assert {route.proof for route in account_training.END.routes} == {Proof.FACTOR}, "phones are reached again"
        await boss.post(f"{one}/training/end", {"reason": "培训结束", "confirmed": "1"})
        await site.snapshots.follow()
        assert "所发短信只到仿真运营商" not in await clerk.get("/")


async def test_who_sees_all_accounts_is_told_by_what_was_rehearsed(site: Site) -> None:
    hall = site.accounts["hall"]
    real = await send(site)
    await site.db.execute("UPDATE account SET training = true WHERE id = $1", hall)
    await site.snapshots.follow()
    tried = await send(site)
    task = Task(
        site.ids.next(), hall, "演练通知", "sent", "portal", ActorLabel("writer"), "notice", "好", datetime.now(UTC)
    )
    async with site.db.transaction() as connection:
        assert await tasks.insert(connection, task)
    async with signed_in(site, "boss") as boss:
        assert "没有发往任何手机" not in await boss.get(f"/records/{real}")
        assert "没有发往任何手机" in await boss.get(f"/records/{tried}")
        for path in (f"/accounts/{hall}", f"/tasks/{task.id}"):
            assert "所发短信只到仿真运营商" in await boss.get(path), path
        assert "所发短信只到仿真运营商" not in await boss.get("/"), "it says nothing of what such a person is doing"


OTHER = {"protocol": "cmpp30", "host": "127.0.0.1", "port": 7891, "username": "900002", "password": "secret",
         "access_code": "10690002", "carriers": ["CMCC"]}  # fmt: skip


async def pools(site: Site) -> list[str]:
    rows = await site.db.fetch(
        "SELECT l.name FROM part p JOIN pool l ON l.id = p.pool_id WHERE p.part = 1 ORDER BY p.id"
    )
    return [row["name"] for row in rows]


async def test_what_waits_follows_to_the_new_channel_and_back(site: Site) -> None:
    await channels.add(by_test(site.db), SEALER, "mobile-b", OTHER)
    hall = site.accounts["hall"]
    await send(site, to="13800138000")
    await send(site, to="13300138000")
    await send(site, "clinic", to="13800138000")
    assert await pools(site) == ["CMCC", "CTCC", "CMCC"]
    async with signed_in(site, "boss") as boss:
        shows(await boss.get(f"/accounts/{hall}"), f'href="/accounts/{hall}/route"', no="/route/restore")
        assert "mobile-b · 移动" in await boss.get(f"/accounts/{hall}/route")
        form = {"channel": "mobile-b", "reason": "原通道维护"}
        assert "现在没有连接" in await boss.post(f"/accounts/{hall}/route", form)
        site.channels.append(
            ChannelStatus(7, "mobile-b", "cmpp30", ("CMCC",), "10690002", "bound", 1, 1, 0, 16, 0.0, 0, 0, "", "", ())
        )
        assert "等待中的 1 条随之改走，1 条的号码不属于" in await boss.post(f"/accounts/{hall}/route", form)
        assert await pools(site) == ["CMCC", "CTCC", "CMCC"], "only asked"
        await boss.post(f"/accounts/{hall}/route", form | {"confirmed": "1"})
        assert re.fullmatch(r"/jobs/\d+", boss.path)
        assert "1 条等待中的短信已改走" in await boss.job_done(boss.path)
        assert await pools(site) == ["only-mobile-b", "CTCC", "CMCC"]
        await site.snapshots.follow()
        assert "恢复按规则选路" in await boss.get(f"/accounts/{hall}")

        assert 'value="mobile-b"' not in await boss.get(f"/accounts/{hall}/route"), "it is there"
        back = {"reason": "维护结束"}
        await boss.confirms(f"/accounts/{hall}/route/restore", back, "不再固定走通道 mobile-b", "2 条一并按规则改走")
        await boss.job_done(boss.path)
        assert await pools(site) == ["CMCC", "CTCC", "CMCC"]
        await site.snapshots.follow()
        assert "没有改走其他通道" in await boss.refusal(f"/accounts/{hall}/route/restore", back | {"confirmed": "1"})
    versions = (await VERSIONS.search(site.db, Actor.system("test"), None, Window())).rows
    assert [one.note for one in versions] == ["维护结束", "原通道维护"]


async def test_the_effect_tells_apart_what_follows_and_what_stays(site: Site) -> None:
    """What a channel tries again stays with it; what is held looks for its way when it is let go."""
    await channels.add(by_test(site.db), SEALER, "mobile-b", OTHER)
    hall = site.accounts["hall"]
    for _ in range(6):
        await send(site, to="13800138000")
    ids = [row["id"] for row in await site.db.fetch("SELECT id FROM part WHERE part = 1 ORDER BY id")]
    there = await site.db.fetchval("SELECT id FROM channel WHERE name <> 'mobile-b' AND id > 0 LIMIT 1")
    for id_, state, channel, held_for in ((ids[0], S.DEFERRED, there, None), (ids[1], S.DEFERRED, there, None),
                                          (ids[2], S.DEFERRED, None, None), (ids[3], S.HELD, None, "account"),
                                          (ids[4], S.SENT, there, None)):  # fmt: skip
        await site.db.execute(
            "UPDATE part SET state = $2, channel_id = $3, held_for = $4, next_at = now() + interval '1 hour'"
            " WHERE id = $1", id_, state, channel, held_for)  # fmt: skip
    assert await queries.waiting(site.db, hall) == queries.Waiting({"CMCC": 2}, retried=2, held=1)
    async with signed_in(site, "boss") as boss:
        page = await boss.post(f"/accounts/{hall}/route", {"channel": "mobile-b", "reason": "原通道维护"})
    shows(page, "等待中的 2 条随之改走，0 条", "2 条在原通道等待重试", "暂停或审核中的 1 条")


@pytest_asyncio.fixture
async def reminders(site: Site) -> Reminders:
    """With people of two accounts, somebody whom money is no business of, and somebody who is not told at all. No
    account has anything yet."""
    await add_role(site, "editor", [P.ACCOUNT_VIEW, P.ACCOUNT_EDIT], ScopeKind.ALL, ["editor"])
    people = {"hall-op": "hall", "clinic-op": "clinic"}
    await add_role(site, "clerk", [P.BALANCE_VIEW, P.MESSAGE_SEND], people=people)
    await add_role(site, "reader", [P.MESSAGE_VIEW, P.ACCOUNT_VIEW], ScopeKind.ALL, ["reader"])
    await site.db.execute("UPDATE account SET credit_floor = 0, balance = 0, quota_month = NULL, ends_on = NULL")
    await change(site.db.dsn, "DELETE FROM ledger")
    return Reminders(site.db)


KINDS = ("contract", "balance", "quota")


async def of(site: Site, login: str) -> int:
    """The only row of somebody's inbox."""
    (row,) = await site.db.fetch("SELECT i.id FROM inbox i JOIN staff s ON s.id = i.staff_id WHERE s.login = $1", login)
    return int(row["id"])


async def of_hall(site: Site, **values: object) -> None:
    """What the account has."""
    for name, value in values.items():
        await site.db.execute(f"UPDATE account SET {name} = $2 WHERE id = $1", site.accounts["hall"], value)  # noqa: S608


async def told(site: Site, reminders: Reminders, **values: object) -> dict[str, list[str]]:
    """Who is told of what, once hall has this."""
    await of_hall(site, **values)
    assert not await reminders.step()
    return await site.unread(*KINDS)


async def test_a_contract_is_reminded_of_once_at_each_distance(site: Site, reminders: Reminders) -> None:
    both = ("boss", "editor", "hall-op")

    async def left(days: int) -> dict[str, list[str]]:
        """Told when so many are left: what has been said is about the same end."""
        end = today() + timedelta(days=days)
        await of_hall(site, ends_on=end)
        await change(site.db.dsn, f"UPDATE account_reminder SET about = '{end}'")  # noqa: S608
        assert not await reminders.step()
        return await site.unread(*KINDS)

    assert await left(91) == {}
    assert await left(90) == {who: ["contract.due90"] for who in both}
    assert await left(40) == {}, "once"
    assert await left(30) == {who: ["contract.due30"] for who in both}
    assert await left(7) == {who: ["contract.due7"] for who in both}
    assert await left(0) == {}, "the last day is one of it"
    async with signed_in(site, "boss") as boss:
        page = html.unescape(await boss.get("/notices"))
        shows(page, "合同将在 7 天内到期", f"合同至 {today() + timedelta(days=7)} · 到期后停止发送")
        assert f'href="/accounts/{site.accounts["hall"]}"' in await boss.get(f"/notices/{await of(site, 'boss')}")
    page = await page_for(site, "hall-op", f"/notices/{await of(site, 'hall-op')}")
    assert "/accounts/" not in page, "it would not open there"
    assert await left(-1) == {who: ["contract.due0"] for who in both}
    assert await left(-5) == {}
    # Another end is reminded of anew, at the nearest distance alone; a stopped account's contract is nobody's concern.
    await of_hall(site, ends_on=today() + timedelta(days=5))
    await reminders.step()
    assert await site.unread(*KINDS) == {who: ["contract.due7"] for who in both}
    await of_hall(site, ends_on=today() + timedelta(days=6))
    await service.set_status(by_test(site.db), site.accounts["hall"], "stopped")
    await reminders.step()
    assert await site.unread(*KINDS) == {}


async def test_use_is_reminded_of_at_eighty_percent_and_when_a_volume_ends(site: Site, reminders: Reminders) -> None:
    both = ("boss", "hall-op")

    async def top_up(units: int) -> None:
        await service.top_up(by_test(site.db, site.ids.next), site.accounts["hall"], units, "合同")

    assert await told(site, reminders) == {}, "who has bought nothing has used nothing"
    await top_up(1000)
    assert await told(site, reminders, balance=201) == {}
    assert await told(site, reminders, balance=200) == {who: ["balance.used80"] for who in both}
    assert await told(site, reminders, balance=1) == {}
    assert await told(site, reminders, balance=0) == {who: ["balance.used100"] for who in both}
    assert await told(site, reminders, balance=300) == {}, "what comes back is no other volume"
    assert await told(site, reminders, balance=0) == {}
    await top_up(100)
    assert await told(site, reminders, balance=10) == {who: ["balance.used80"] for who in both}
    assert "最近一次充值后可用 100 条 · 已用 90 条" in html.unescape(await page_for(site, "hall-op", "/notices"))
    # The limit of a month is another volume, and a larger one another again.
    await sent(site, 80)
    assert await told(site, reminders, quota_month=100) == {who: ["quota.used80"] for who in both}
    await sent(site, 170)
    assert await told(site, reminders) == {who: ["quota.used100"] for who in both}
    assert await told(site, reminders, quota_month=200) == {who: ["quota.used80"] for who in both}
    # Of one that pays afterwards it is what it may owe.
    await change(site.db.dsn, "DELETE FROM ledger")
    owing = await told(site, reminders, quota_month=None, credit_floor=-100, balance=-80)
    assert owing == {who: ["balance.used80"] for who in both}
    assert "可透支 100 条 · 已用 80 条" in html.unescape(await page_for(site, "boss", "/notices"))


async def sent(site: Site, parts: int) -> None:
    """So many are counted as sent this month."""
    await site.db.execute(
        "INSERT INTO quota_used (account_id, day, parts) VALUES ($1, (now() AT TIME ZONE 'Asia/Shanghai')::date, $2) "
        "ON CONFLICT (account_id, day) DO UPDATE SET parts = excluded.parts",
        site.accounts["hall"], parts)  # fmt: skip


async def test_a_correction_is_no_use_and_less_is_told_once_more_is_used(site: Site, reminders: Reminders) -> None:
    both = ("boss", "hall-op")
    for units in (1000, -900):
        await service.top_up(by_test(site.db, site.ids.next), site.accounts["hall"], units, "更正")
    assert await told(site, reminders) == {}, "what was taken out was not used"
    assert await told(site, reminders, balance=20) == {who: ["balance.used80"] for who in both}
    assert await told(site, reminders, credit_floor=-2) == {}, "less than 80 percent of what is more"
    assert await told(site, reminders, credit_floor=0) == {}, "as much as was told"
    await service.top_up(by_test(site.db, site.ids.next), site.accounts["hall"], -10, "更正")
    assert await told(site, reminders) == {}, "of less, no more than was told"
    assert await told(site, reminders, balance=0) == {who: ["balance.used100"] for who in both}
    # Of a top-up from before balances were noted nothing is known.
    await change(site.db.dsn, "UPDATE ledger SET balance = NULL")
    assert await told(site, reminders, balance=3) == {}


async def test_accounts_that_are_being_accepted_for_are_waited_for_by_nobody(site: Site, reminders: Reminders) -> None:
    await of_hall(site, ends_on=today())
    async with site.db.transaction() as connection:
        await connection.execute("SELECT FROM account FOR UPDATE")
        await asyncio.wait_for(reminders.step(), 10)
        assert "hall-op" in await site.unread(*KINDS)


async def test_who_would_be_told_of_many_accounts_is_told_how_many(site: Site, reminders: Reminders) -> None:
    await site.db.execute(
        "INSERT INTO account (name, ends_on) SELECT 'many-' || n, $1 FROM generate_series(1, $2) n", today(), MOST_EACH
    )
    await of_hall(site, ends_on=today())
    await reminders.step()
    assert await site.unread(*KINDS) == {"boss": ["contract.several"], "editor": ["contract.several"],
                                         "hall-op": ["contract.due7"]}  # fmt: skip
    async with signed_in(site, "boss") as boss:
        assert f"{MOST_EACH + 1} 个账号" in html.unescape(await boss.get("/notices"))
        assert 'href="/accounts"' in await boss.get(f"/notices/{await of(site, 'boss')}")
    await reminders.step()
    assert await site.unread(*KINDS) == {}


async def test_the_rights_are_asked_again_when_it_is_read(site: Site, reminders: Reminders) -> None:
    await service.top_up(by_test(site.db, site.ids.next), site.accounts["hall"], 100, "合同")
    await of_hall(site, balance=0)
    await reminders.step()
    id_ = await of(site, "hall-op")
    async with signed_in(site, "hall-op") as clerk:
        assert "可用条数已用完" in await clerk.get("/notices")
        await site.db.execute("UPDATE role SET permissions = array_remove(permissions, 'balance.view')")
        assert "可用条数已用完" not in await clerk.get("/notices")
        assert "可用条数已用完" not in await clerk.get(f"/notices/{id_}")
        await site.db.execute("UPDATE role SET permissions = permissions || '{balance.view}'")
        assert "可用条数已用完" in await clerk.get("/notices")
        await site.db.execute("DELETE FROM staff_account WHERE account_id = $1", site.accounts["hall"])
        assert "可用条数已用完" not in await clerk.get("/notices")


async def test_what_is_no_longer_so_is_unread_by_nobody(site: Site, reminders: Reminders) -> None:
    hall = site.accounts["hall"]
    await service.top_up(by_test(site.db, site.ids.next), hall, 100, "合同")
    await of_hall(site, ends_on=today(), balance=0)
    await reminders.step()
    await service.top_up(by_test(site.db, site.ids.next), hall, 1000, "合同")
    assert await told(site, reminders, ends_on=today() + timedelta(days=900)) == {}
    # Of what nobody could be told somebody is told later.
    await site.db.execute("UPDATE staff SET status = 'stopped'")
    await told(site, reminders, ends_on=today() + timedelta(days=1))
    await site.db.execute("UPDATE staff SET status = 'active'")
    assert "hall-op" in await told(site, reminders)


async def test_people_below_are_told_of_the_contract_above_that_stops_them(site: Site, reminders: Reminders) -> None:
    await of_hall(site, ends_on=today() + timedelta(days=50), parent_id=site.accounts["clinic"])
    await site.db.execute(
        "UPDATE account SET ends_on = $2, stops_at_end = true WHERE id = $1", site.accounts["clinic"], today()
    )
    await reminders.step()
    due = ["contract.due7"]
    assert await site.unread(*KINDS) == {"boss": due, "editor": due, "clinic-op": due, "hall-op": due}
    assert await site.db.fetchval("SELECT count(*) FROM inbox WHERE kind = 'contract'") == 4, "one each"
