"""Tickets: who sees and answers them, what they tell of phones (nothing), and the time that was promised."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from alarm_desk import PHONE, Desk
from browsing import lacks, shows
from portal_site import by_test
from robots import HOOK_SECRET
from test_inbound import send
from visits import acting_as, all_signed_in, column, fails, page_for

from smsgw.core.alarm_notes import Way
from smsgw.core.errors import SmsgwError
from smsgw.pipeline.upkeep.alarms import AlarmTable
from smsgw.platform.tickets import model, service
from smsgw.platform.tickets.model import AGAIN, MOST_STEPS, TICKETS, State, Ticket
from smsgw.platform.tickets.watching import TicketWatch


@pytest_asyncio.fixture
async def desk(desk: Desk) -> Desk:
    for login, role, *accounts in (("clerk", "operator", "hall"), ("other", "operator", "clinic"), ("ops", "ops")):
        await desk.site.add_staff(login, role, *accounts)
    return desk


async def opened(desk: Desk, login: str = "clerk") -> int:
    draft = service.Draft(desk.site.accounts["hall"], "slow", "since nine")
    return await service.open_(await acting_as(desk.site, login), draft)


async def one(desk: Desk, id_: int) -> Ticket:
    found = await TICKETS.get(desk.site.db, by_test(desk.site.db).actor, id_)
    assert found is not None
    return found


async def test_a_clerk_reports_a_message_and_is_answered(desk: Desk) -> None:
    site = desk.site
    message = await send(site, "hall", PHONE)
    async with all_signed_in(site, "clerk", "ops") as (clerk, ops):
        assert f"/tickets/-/of/{message}" in await clerk.get(f"/records/{message}/problem")
        form = {"title": "群众没有收到", "said": f"号码 {PHONE} 没有收到，请查"}
        page = await clerk.post(f"/tickets/-/of/{message}", form)
        id_ = await site.db.fetchval("SELECT id FROM ticket")
        assert clerk.path == f"/tickets/{id_}"
        shows(page, f"/records/{message}", "138****8000", no=PHONE)
        assert await site.db.fetchval("SELECT count(*) FROM ticket_step WHERE said LIKE $1", f"%{PHONE}%") == 0
        assert "群众没有收到" in await ops.get("/tickets")
        await ops.post("/tickets/-/do/take", {"id": str(id_), "confirmed": "1"})
        assert (await one(desk, id_)).assigned_to == "ops"
        await ops.post(f"/tickets/{id_}/say", {"said": "正在查"})
        assert "正在查" in await clerk.get(f"/tickets/{id_}")
        assert await clerk.status_of(f"/tickets/{id_}/close", {"said": "x x"}) == 403
        assert 'value="clerk"' not in await ops.get(f"/tickets/{id_}/assign")
        await ops.refused(f"/tickets/{id_}/assign", {"assigned_to": "clerk"})
        await ops.post(f"/tickets/{id_}/close", {"said": "手机停机，非平台原因"})
        shows(await clerk.get(f"/tickets/{id_}"), "手机停机", "clerk 先生", "ops 先生", "已办结")
        await clerk.post(f"/tickets/{id_}/reopen", {"said": "机主说没有停机"})
        assert (await one(desk, id_)).state is State.OPEN, "the promise runs anew"


async def test_nobody_sees_tickets_of_accounts_that_are_not_theirs(desk: Desk) -> None:
    site, _ = desk.site, await opened(desk)
    message = await send(site, "hall", PHONE)
    stranger = await acting_as(desk.site, "other")
    await fails(SmsgwError, service.open_(stranger, service.Draft(site.accounts["hall"], "slow", "since nine")))
    with pytest.raises(SmsgwError):  # a message of another account
        await service.open_(stranger, service.Draft(site.accounts["clinic"], "slow", "since nine", [int(message)]))
    assert await site.db.fetchval("SELECT count(*) FROM ticket") == 1


async def test_the_time_to_respond_is_told_and_says_nothing_of_what_was_written(desk: Desk) -> None:
    await desk.add(Way.WEBHOOK, desk.robots.hook_url, HOOK_SECRET)
    id_, now, node = await opened(desk), datetime.now(UTC), desk.node()
    rules = lambda: desk.site.snapshots.current.alarm_rules  # noqa: E731
    table = AlarmTable(
        desk.site.db, 1, {"tickets": TicketWatch(desk.site.db, rules, desk.clock).due}, node, rules, now=desk.clock
    )

    async def told(minutes: float) -> list[tuple[str, str]]:
        desk.clock.now = now + timedelta(minutes=minutes)
        before = len(desk.robots.hook)
        for _ in range(2):
            await table.look()
            await desk.told(node)
        return [(item["event"], item["kind"]) for item in desk.robots.hook[before:]]

    assert await told(40) == []
    assert await told(46) == [("raised", "ticket_response_near")]
    assert await told(61) == [("raised", "ticket_response_over")]
    assert "slow" not in str(desk.robots.hook)
    await service.say(await acting_as(desk.site, "clerk"), id_, "hello?")
    assert (await one(desk, id_)).responded_at is None, "who opened it does not answer it"
    await service.say(await acting_as(desk.site, "ops"), id_, "looking")
    assert (await one(desk, id_)).responded_by == "ops"
    assert await told(62) == []
    assert sorted(await told(66)) == [("cleared", "ticket_response_near"), ("cleared", "ticket_response_over")]


async def test_what_is_closed_is_over_and_opened_again_only_for_a_time(desk: Desk) -> None:
    id_, ops, clerk = await opened(desk), await acting_as(desk.site, "ops"), await acting_as(desk.site, "clerk")
    await fails(SmsgwError, service.reopen(clerk, id_, "it is open"))
    await service.close(ops, id_, "mended")
    for again in (service.say(clerk, id_, "more"), service.close(ops, id_, "twice"), service.take(ops, id_),
                  service.assign(ops, id_, "ops")):  # fmt: skip
        await fails(SmsgwError, again)
    await desk.site.db.execute("UPDATE ticket SET closed_at = $1", datetime.now(UTC) - AGAIN - timedelta(minutes=1))
    await fails(SmsgwError, service.reopen(clerk, id_, "too late"))


async def test_a_thread_has_an_end_and_an_answer_fits_all_the_same(desk: Desk) -> None:
    id_ = await opened(desk)
    await desk.site.db.execute(
        "INSERT INTO ticket_step (ticket_id, at, by, kind, said) SELECT $1, now(), 'x', 'said', 'y y'"
        " FROM generate_series(2, $2)", id_, MOST_STEPS,
    )  # fmt: skip
    await fails(SmsgwError, service.say(await acting_as(desk.site, "clerk"), id_, "one more"))
    await service.close(await acting_as(desk.site, "ops"), id_, "mended")


async def test_the_audit_log_has_nothing_of_what_was_said(desk: Desk) -> None:
    id_ = await opened(desk)
    await service.say(await acting_as(desk.site, "clerk"), id_, "机主 138 0013 8000 没有收到")
    await service.close(await acting_as(desk.site, "ops"), id_, "tel13800138000 停机")
    await service.reopen(await acting_as(desk.site, "clerk"), id_, "１３８００１３８０００ 没有停机")
    said = await column(desk.site, "SELECT said FROM ticket_step WHERE kind <> 'opened'")
    assert all("138****8000" in text for text in said), said
    lacks(str(await desk.site.db.fetch("SELECT before, after FROM audit WHERE action LIKE 'ticket.%'")), "停机",
          "没有收到", "138")  # fmt: skip


async def test_tickets_that_one_account_leaves_hide_no_others(desk: Desk) -> None:
    accounts = desk.site.accounts
    add = """INSERT INTO ticket (account_id, title, opened_at, opened_by, respond_by)
             SELECT $1, 'slow', now() - interval '2 h', 'x', now() - interval '1 h' FROM generate_series(1, $2)"""
    await desk.site.db.execute(add, accounts["hall"], 150)
    await desk.site.db.execute(add, accounts["clinic"], 1)
    late = await desk.site.db.fetchval("SELECT max(id) FROM ticket")
    rules = lambda: desk.site.snapshots.current.alarm_rules  # noqa: E731
    found = await TicketWatch(desk.site.db, rules, desk.clock).due()
    for kind in ("ticket_response_near", "ticket_response_over"):
        objects = [one.object for one in found if one.kind == kind]
        shows(objects, f"ticket/{late}", "others")
        assert len(objects) == 27


async def test_a_promise_that_was_broken_is_still_seen_once_it_is_opened_again(desk: Desk) -> None:
    id_ = await opened(desk)
    earlier = "UPDATE ticket SET opened_at = now() - interval '3 h', respond_by = now() - interval '2 h'"
    await desk.site.db.execute(earlier)
    await service.close(await acting_as(desk.site, "ops"), id_, "mended")
    before = (await one(desk, id_)).response
    await service.reopen(await acting_as(desk.site, "clerk"), id_, "not so")
    step = (await model.steps(desk.site.db, await one(desk, id_)))[0]
    assert (step.kind, step.former) == ("reopened", before)
    shows(await page_for(desk.site, "clerk", f"/tickets/{id_}"), "重开前的响应", "超时：时限")


async def test_opening_again_is_opening_one_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = await opened(desk)
    await service.close(await acting_as(desk.site, "ops"), id_, "mended")
    monkeypatch.setattr(service, "MOST_OPEN", 1)
    await opened(desk)
    await fails(SmsgwError, service.reopen(await acting_as(desk.site, "clerk"), id_, "not so"))


async def test_two_who_take_it_at_once_are_one(desk: Desk) -> None:
    id_ = await opened(desk)
    await service.take(await acting_as(desk.site, "ops"), id_)
    await fails(SmsgwError, service.take(by_test(desk.site.db), id_))
    assert (await one(desk, id_)).responded_by == "ops"
