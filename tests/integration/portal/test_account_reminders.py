"""People are reminded of contracts that end and of volumes that are used: once each, whom it concerns."""

from __future__ import annotations

import asyncio
import html
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest_asyncio
from changes import by_test
from databases import change
from portal_site import Site, running
from visits import signed_in

from smsgw.core.actor import ScopeKind
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.platform.accounts import service
from smsgw.platform.accounts.reminders import MOST_EACH, AccountReminders
from smsgw.platform.org import service as org
from smsgw.runtime import clock


@pytest_asyncio.fixture
async def site(dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """With somebody who looks after all accounts, people of two of them, somebody whom money is no business of, and
    somebody who is not told at all."""
    async with running(dsn, tmp_path) as site:
        for code, rights, scope in (
            ("keeper", [Permission.ACCOUNT_VIEW, Permission.ACCOUNT_EDIT, Permission.BALANCE_VIEW], ScopeKind.ALL),
            ("editor", [Permission.ACCOUNT_VIEW, Permission.ACCOUNT_EDIT], ScopeKind.ALL),
            ("clerk", [Permission.BALANCE_VIEW, Permission.MESSAGE_SEND], ScopeKind.ACCOUNTS),
            ("reader", [Permission.MESSAGE_VIEW, Permission.ACCOUNT_VIEW], ScopeKind.ALL),
        ):
            await org.add_role(by_test(site.db), code, code, [Permission.HOME_VIEW, *rights], scope)
        await site.add_staff("boss", "keeper")
        await site.add_staff("editor", "editor")
        await site.add_staff("hall-op", "clerk", "hall")
        await site.add_staff("clinic-op", "clerk", "clinic")
        await site.add_staff("reader", "reader")
        await site.db.execute("UPDATE account SET credit_floor = 0, balance = 0, quota_month = NULL, ends_on = NULL")
        await change(site.db.dsn, "DELETE FROM ledger")
        yield site


KINDS = ("contract", "balance", "quota")


async def of(site: Site, login: str) -> int:
    """The only row of somebody's inbox."""
    (row,) = await site.db.fetch("SELECT i.id FROM inbox i JOIN staff s ON s.id = i.staff_id WHERE s.login = $1", login)
    return int(row["id"])


async def of_hall(site: Site, **values: object) -> None:
    """What the account has."""
    for name, value in values.items():
        await site.db.execute(f"UPDATE account SET {name} = $2 WHERE id = $1", site.accounts["hall"], value)  # noqa: S608


async def test_a_contract_is_reminded_of_once_at_each_distance(site: Site) -> None:
    reminders = AccountReminders(site.db)
    today, both = clock.now().astimezone(CHINA).date(), ("boss", "editor", "hall-op")

    async def left(days: int) -> dict[str, list[str]]:
        """Told when so many are left: what has been said is about the same end."""
        end = today + timedelta(days=days)
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
        assert "合同将在 7 天内到期" in page
        assert f"合同至 {today + timedelta(days=7)} · 到期后停止发送" in page
        assert f'href="/accounts/{site.accounts["hall"]}"' in await boss.get(f"/notices/{await of(site, 'boss')}")
    async with signed_in(site, "hall-op") as clerk:
        assert "/accounts/" not in await clerk.get(f"/notices/{await of(site, 'hall-op')}"), "it would not open there"
    assert await left(-1) == {who: ["contract.due0"] for who in both}
    assert await left(-5) == {}
    # Another end is reminded of anew, at the nearest distance alone; a stopped account's contract is nobody's concern.
    await of_hall(site, ends_on=today + timedelta(days=5))
    await reminders.step()
    assert await site.unread(*KINDS) == {who: ["contract.due7"] for who in both}
    await of_hall(site, ends_on=today + timedelta(days=6))
    await service.set_status(by_test(site.db), site.accounts["hall"], "stopped")
    await reminders.step()
    assert await site.unread(*KINDS) == {}


async def test_use_is_reminded_of_at_eighty_percent_and_at_the_end_once_for_each_volume(site: Site) -> None:
    reminders, both = AccountReminders(site.db), ("boss", "hall-op")

    async def after(**values: object) -> dict[str, list[str]]:
        await of_hall(site, **values)
        assert not await reminders.step()
        return await site.unread(*KINDS)

    async def top_up(units: int) -> None:
        await service.top_up(by_test(site.db, site.ids.next), site.accounts["hall"], units, "合同")

    assert await after() == {}, "who has bought nothing has used nothing"
    await top_up(1000)
    assert await after(balance=201) == {}
    assert await after(balance=200) == {who: ["balance.used80"] for who in both}
    assert await after(balance=1) == {}
    assert await after(balance=0) == {who: ["balance.used100"] for who in both}
    assert await after(balance=300) == {}, "what comes back is no other volume"
    assert await after(balance=0) == {}
    await top_up(100)
    assert await after(balance=10) == {who: ["balance.used80"] for who in both}
    async with signed_in(site, "hall-op") as clerk:
        assert "最近一次充值后可用 100 条 · 已用 90 条" in html.unescape(await clerk.get("/notices"))
    # The limit of a month is another volume, and a larger one another again.
    await sent(site, 80)
    assert await after(quota_month=100) == {who: ["quota.used80"] for who in both}
    await sent(site, 170)
    assert await after() == {who: ["quota.used100"] for who in both}
    assert await after(quota_month=200) == {who: ["quota.used80"] for who in both}
    # Of one that pays afterwards it is what it may owe.
    await change(site.db.dsn, "DELETE FROM ledger")
    assert await after(quota_month=None, credit_floor=-100, balance=-80) == {who: ["balance.used80"] for who in both}
    async with signed_in(site, "boss") as boss:
        assert "可透支 100 条 · 已用 80 条" in html.unescape(await boss.get("/notices"))


async def sent(site: Site, parts: int) -> None:
    """So many are counted as sent this month."""
    await site.db.execute(
        "INSERT INTO quota_used (account_id, day, parts) VALUES ($1, (now() AT TIME ZONE 'Asia/Shanghai')::date, $2) "
        "ON CONFLICT (account_id, day) DO UPDATE SET parts = excluded.parts",
        site.accounts["hall"], parts,
    )  # fmt: skip


async def test_a_correction_is_no_use_and_a_smaller_volume_is_told_of_only_when_more_of_it_is_used(site: Site) -> None:
    reminders, both = AccountReminders(site.db), ("boss", "hall-op")

    async def after(**values: object) -> dict[str, list[str]]:
        await of_hall(site, **values)
        await reminders.step()
        return await site.unread(*KINDS)

    for units in (1000, -900):
        await service.top_up(by_test(site.db, site.ids.next), site.accounts["hall"], units, "更正")
    assert await after() == {}, "what was taken out was not used"
    assert await after(balance=20) == {who: ["balance.used80"] for who in both}
    assert await after(credit_floor=-2) == {}, "less than 80 percent of what is more"
    assert await after(credit_floor=0) == {}, "as much as was told"
    await service.top_up(by_test(site.db, site.ids.next), site.accounts["hall"], -10, "更正")
    assert await after() == {}, "of less, no more than was told"
    assert await after(balance=0) == {who: ["balance.used100"] for who in both}
    # Of a top-up from before balances were noted nothing is known.
    await change(site.db.dsn, "UPDATE ledger SET balance = NULL")
    assert await after(balance=3) == {}


async def test_accounts_that_are_being_accepted_for_are_waited_for_by_nobody(site: Site) -> None:
    await of_hall(site, ends_on=clock.now().astimezone(CHINA).date())
    async with site.db.transaction() as connection:
        await connection.execute("SELECT FROM account FOR UPDATE")
        await asyncio.wait_for(AccountReminders(site.db).step(), 10)
        assert "hall-op" in await site.unread(*KINDS)


async def test_who_would_be_told_of_many_accounts_is_told_how_many(site: Site) -> None:
    today = clock.now().astimezone(CHINA).date()
    await site.db.execute("INSERT INTO account (name, ends_on) SELECT 'many-' || n, $1 FROM generate_series(1, $2) n",
                          today, MOST_EACH)  # fmt: skip
    await of_hall(site, ends_on=today)
    await AccountReminders(site.db).step()
    assert await site.unread(*KINDS) == {"boss": ["contract.several"], "editor": ["contract.several"],
                                         "hall-op": ["contract.due7"]}  # fmt: skip
    async with signed_in(site, "boss") as boss:
        assert f"{MOST_EACH + 1} 个账号" in html.unescape(await boss.get("/notices"))
        assert 'href="/accounts"' in await boss.get(f"/notices/{await of(site, 'boss')}")
    await AccountReminders(site.db).step()
    assert await site.unread(*KINDS) == {}


async def test_the_rights_are_asked_again_when_it_is_read(site: Site) -> None:
    await service.top_up(by_test(site.db, site.ids.next), site.accounts["hall"], 100, "合同")
    await of_hall(site, balance=0)
    await AccountReminders(site.db).step()
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


async def test_what_is_no_longer_so_is_unread_by_nobody(site: Site) -> None:
    today, hall = clock.now().astimezone(CHINA).date(), site.accounts["hall"]
    await service.top_up(by_test(site.db, site.ids.next), hall, 100, "合同")
    await of_hall(site, ends_on=today, balance=0)
    await AccountReminders(site.db).step()
    await service.top_up(by_test(site.db, site.ids.next), hall, 1000, "合同")
    await of_hall(site, ends_on=today + timedelta(days=900))
    await AccountReminders(site.db).step()
    assert await site.unread(*KINDS) == {}


async def test_people_below_are_told_of_the_contract_above_that_stops_them(site: Site) -> None:
    today = clock.now().astimezone(CHINA).date()
    await of_hall(site, ends_on=today + timedelta(days=50), parent_id=site.accounts["clinic"])
    await site.db.execute("UPDATE account SET ends_on = $2, stops_at_end = true WHERE id = $1", site.accounts["clinic"],
                          today)  # fmt: skip
    await AccountReminders(site.db).step()
    due = ["contract.due7"]
    assert await site.unread(*KINDS) == {"boss": due, "editor": due, "clinic-op": due, "hall-op": due}
    assert await site.db.fetchval("SELECT count(*) FROM inbox WHERE kind = 'contract'") == 4, "one each"


async def test_of_what_nobody_could_be_told_somebody_is_told_later(site: Site) -> None:
    await of_hall(site, ends_on=clock.now().astimezone(CHINA).date())
    await site.db.execute("UPDATE staff SET status = 'stopped'")
    await AccountReminders(site.db).step()
    await site.db.execute("UPDATE staff SET status = 'active'")
    await AccountReminders(site.db).step()
    assert "hall-op" in await site.unread(*KINDS)
