"""Feeding on a real database, with a clock of the test's own and no carrier: what is made, when, and what is not.

Tasks that send in steps: the rows of a stage are sent and no more, a bad one halts, a good one goes on by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from changes import by_test
from taskdesk import Desk, refusing

from smsgw.core.actor import EVERYTHING, Actor, ActorKind, Scope
from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.core.ids import CHINA, first_id
from smsgw.core.model import TEST_POOL, MessageType, Origin
from smsgw.core.permissions import ALL
from smsgw.core.stages import stage_of
from smsgw.core.states import PartState
from smsgw.core.tasks import Task
from smsgw.pipeline.accept.acceptor import SendItem, SendRequest
from smsgw.pipeline.periodic import Supervisor
from smsgw.platform.accounts import service as accounts, training
from smsgw.platform.campaigns import feeder as feeding, recipients
from smsgw.platform.campaigns.feeder import Feeder
from smsgw.platform.change import Change
from smsgw.platform.channels import service as channels
from smsgw.platform.policies import service as policies
from smsgw.platform.review import queries as reviews
from smsgw.platform.routing import service as routing
from smsgw.store.engine.database import Database


async def test_no_more_is_fed_than_may_wait(d: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "BACKLOG", 400)
    task_id = await d.make(1500)
    await d.feed()
    assert await d.states() == {PartState.QUEUED: 400}
    assert (await d.view(task_id)).progress.statuses == {"queued": 400}
    assert await d.submit(250) == 250
    await d.feed()
    assert await d.states() == {PartState.QUEUED: 550, PartState.DELIVERED: 250}
    for _ in range(5):
        await d.submit()
        await d.feed()
    view = await d.view(task_id)
    assert view.task.state in ("sent", "finished")
    assert view.progress.statuses == {"delivered": 1500}


async def test_less_is_fed_at_a_time_beside_others_who_wait_for_answers(d: Desk) -> None:
    item = SendItem("13800000000", "您好")
    await d.acceptor.send(SendRequest(d.account, (item,), MessageType.NOTICE, Origin.API, "key"))
    task_id = await d.make(300)
    await d.feed(1)
    assert (await d.view(task_id)).progress.statuses == {"queued": feeding.CHUNK_BESIDE}
    d.acceptor.called = float("-inf")
    await d.feed(2)
    assert (await d.view(task_id)).progress.statuses == {"queued": 300}


async def test_rows_that_the_door_refuses_stop_only_themselves(d: Desk) -> None:
    task_id = await d.make(300, prefix="139")
    d.numbers = 7
    other = await d.make(1, prefix="139")
    view = await d.fed(task_id)
    assert (view.task.state, view.progress.statuses) == ("sent", {"queued": 270, "rejected": 30})
    found, _ = await recipients.search(d.database, view.task, 1, True, status="rejected", after=0, limit=100)
    assert [r.number[-1] for r in found] == ["7"] * 30
    assert found[0].code == "NUMBER_BLACKLISTED"
    view = await d.view(other)
    assert (view.task.state in ("sent", "finished"), view.progress.statuses) == (True, {"rejected": 1})


async def test_hours_hold_and_release_by_themselves(d: Desk) -> None:
    d.at("20:59")
    task_id = await d.make(300, content="新品 拒收请回复R", type=MessageType.MARKETING)
    await d.feed()
    await d.submit(100)
    assert (await d.view(task_id)).progress.statuses == {"delivered": 100, "queued": 200}
    d.at("21:00")
    view = await d.fed(task_id)
    assert (view.task.state, view.task.reason) == ("paused", "TIME_WINDOW_CLOSED")
    assert view.task.detail["time"] == f"{d.now().astimezone(CHINA) + timedelta(days=1):%Y-%m-%d} 08:00"
    assert view.progress.statuses == {"delivered": 100, "held": 200}
    d.at("07:59")
    assert (await d.fed(task_id)).task.state == "paused"
    d.at("08:00")
    await d.feed()
    assert await d.submit() == 200
    assert (await d.view(task_id)).progress.statuses == {"delivered": 300}


async def test_a_task_goes_on_soon_after_its_account_is_started_though_the_door_knew_first_of_the_stop(d: Desk) -> None:
    task_id = await d.make(30)
    # This node has not heard of it.
    await accounts.set_status(by_test(d.database), d.account_id, "stopped")
    view = await d.fed(task_id)
    assert (view.task.state, view.task.reason) == ("paused", "ACCOUNT_STOPPED")
    await accounts.set_status(by_test(d.database), d.account_id, "active")
    d.later(seconds=2)
    assert (await d.fed(task_id)).progress.statuses == {"queued": 30}


async def test_several_spans_and_weekdays_hold_and_release(d: Desk) -> None:
    """Of the kind: weekdays; of the task: two spans of the day. What is open in both is sent in."""
    kind = "mon-fri 09:00-17:00"
    await policies.put(by_test(d.database), "hours", kind, account_id=d.account_id, type_="notice")
    await d.snapshots.follow()
    friday = d.now().astimezone(CHINA).replace(hour=11, minute=29, second=0, microsecond=0)
    friday += timedelta(days=(4 - friday.weekday()) % 7 or 7)
    d.offset += friday - d.now()
    spans = [{"from": "08:00", "to": "11:30"}, {"from": "14:00", "to": "20:00"}]
    task_id = await d.make(300, windows=spans)
    await d.feed()
    await d.submit(100)
    for hour, state in (("11:30", "paused"), ("13:59", "paused"), ("14:00", "running"), ("17:00", "paused")):
        d.at(hour)
        assert (await d.fed(task_id)).task.state in (state, "sent" if state == "running" else state), hour
        if hour == "14:00":
            await d.submit(100)
    assert (await d.view(task_id)).progress.statuses == {"delivered": 200, "held": 100}
    for days, n in ((1, 0), (3, 100)):  # Saturday, Monday
        d.offset += friday.replace(hour=9, minute=30) + timedelta(days=days) - d.now()
        await d.feed()
        assert await d.submit() == n
    assert (await d.view(task_id)).progress.statuses == {"delivered": 300}


async def test_rows_without_a_channel_wait_and_the_others_go_on(d: Desk) -> None:
    d.away.add("CUCC")
    numbers = [f"{('138', '130')[i % 2]}{i:08d}" for i in range(500)]
    task_id = await d.make(to=numbers)
    view = await d.fed(task_id)
    assert (view.task.state, view.task.reason) == ("running", "NO_ROUTE")
    assert (view.progress.statuses, view.progress.pending) == ({"queued": 250}, 250)
    assert await d.submit() == 250
    found, _ = await recipients.search(d.database, view.task, 1, False, status="pending", after=0, limit=500)
    assert [r.number for r in found] == ["86" + n for n in numbers[1::2]]
    await d.tasks.pause(by_test(d.database, actor="t"), task_id)
    d.away.clear()
    d.later(seconds=11)
    assert (await d.fed(task_id)).progress.statuses == {"delivered": 250}
    await d.tasks.resume(by_test(d.database, actor="t"), task_id)
    view = await d.fed(task_id)
    assert (view.task.state, view.task.reason) == ("sent", "")
    assert view.progress.statuses == {"delivered": 250, "queued": 250}
    assert await d.submit() == 250
    assert (await d.view(task_id)).progress.statuses == {"delivered": 500}
    found, _ = await recipients.search(d.database, view.task, 1, True, status=None, after=0, limit=500)
    assert [r.number for r in found] == ["86" + n for n in numbers]
    assert {r.message_id for r in found} == set(await d.database.fetchval("SELECT array_agg(id) FROM message"))


async def test_rows_that_no_channel_takes_in_a_day_are_refused(d: Desk) -> None:
    d.away.add("CUCC")
    task_id = await d.make(to=["13000000001", "13800000002", "13000000003"])
    await d.feed()
    d.later(hours=23)
    assert (await d.fed(task_id)).progress.pending == 2
    d.later(hours=1.1)
    view = await d.fed(task_id)
    assert (view.task.state, view.progress.statuses) == ("sent", {"queued": 1, "rejected": 2})
    table = b"".join([piece async for piece in recipients.errors(d.database, view.task, 1)]).decode()
    assert table.count("NO_ROUTE") == 2


async def test_rows_that_wait_for_a_channel_are_cancelled_with_their_task(d: Desk) -> None:
    d.away.update(("CUCC", "CMCC"))
    task_id = await d.make(300)
    assert (await d.fed(task_id)).progress.pending == 300
    await d.tasks.cancel(by_test(d.database, actor="t"), task_id)
    d.away.clear()
    d.later(seconds=11)
    view = await d.fed(task_id)
    assert (view.progress.pending, view.progress.statuses) == (0, {"cancelled": 300})
    assert not await d.states()


async def test_messages_are_made_shortly_before_their_time(d: Desk) -> None:
    task_id = await d.make(30, send_at=d.now() + timedelta(days=40))
    d.later(days=40, seconds=-60)
    await d.feed()
    assert await d.states() == {}
    d.later(seconds=31)
    await d.feed()
    assert await d.states() == {PartState.SCHEDULED: 30}
    await d.tasks.pause(by_test(d.database, actor="t"), task_id)
    assert await d.states() == {PartState.HELD: 30}
    await d.tasks.resume(by_test(d.database, actor="t"), task_id)
    assert await d.states() == {PartState.SCHEDULED: 30}
    await d.tasks.pause(by_test(d.database, actor="t"), task_id)
    d.later(seconds=60)
    await d.tasks.resume(by_test(d.database, actor="t"), task_id)
    assert await d.states() == {PartState.QUEUED: 30}


async def test_a_rate_is_kept(d: Desk) -> None:
    began = d.now()
    d.clock = lambda: began  # what this machine needs is no time
    await d.make(600, rate=20)
    for seconds in range(1, 6):
        await d.feed(3)
        made = (await d.states()).total()
        assert abs(made - (seconds + 1) * 20) <= 20, seconds
        d.later(seconds=1)


async def test_what_comes_round_while_nobody_is_there_is_missed(d: Desk) -> None:
    d.at("08:30")
    task_id = await d.make(10, recurring={"every": "day", "at": ["09:00"]})
    d.at("09:01")
    assert (await d.fed(task_id)).task.run == 1
    await d.submit()
    d.later(days=2, hours=2)
    view = await d.fed(task_id)
    assert [(r["run"], r["missed"]) for r in view.runs] == [(2, True), (1, False)]
    assert view.task.state == "scheduled"
    d.later(hours=22)
    view = await d.fed(task_id)
    assert next((r["run"], r["missed"], r["fed"]) for r in view.runs) == (3, False, 10)
    assert await d.states() == {PartState.DELIVERED: 10, PartState.QUEUED: 10}


async def test_rows_whose_time_is_over_are_not_sent(d: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "BACKLOG", 400)
    task_id = await d.make(1000, expire_at=d.now() + timedelta(minutes=10))
    await d.feed()
    await d.submit()
    d.later(minutes=11)
    view = await d.fed(task_id)
    assert (view.task.state, view.progress.statuses) == ("sent", {"delivered": 400, "expired": 600})


async def test_a_call_that_was_prepared_before_a_pause_adds_nothing(d: Desk) -> None:
    """The feeder's picture of a task may be old: what counts is the task's row when the chunk is stored."""
    task_id = await d.make(50)
    real = d.feeder._acceptor.send

    async def pausing(request: Any) -> Any:
        await d.tasks.pause(by_test(d.database, actor="t"), task_id)
        return await real(request)

    d.feeder._acceptor.send = pausing  # type: ignore[method-assign]
    await d.feed(3)
    assert await d.states() == {}
    d.feeder._acceptor.send = real  # type: ignore[method-assign]
    await d.tasks.resume(by_test(d.database, actor="t"), task_id)
    await d.feed()
    assert await d.states() == {PartState.QUEUED: 50}
    assert (await d.view(task_id)).progress.statuses == {"queued": 50}


async def test_what_a_killed_command_left_undone_is_done(d: Desk) -> None:
    task_id = await d.make(50)
    await d.feed()
    await d.database.execute("UPDATE task SET state = 'paused', paused_from = 'sent'")
    d.feeder._reconciled = float("-inf")
    await d.feed(1)
    assert await d.states() == {PartState.HELD: 50}
    await d.database.execute("UPDATE task SET state = 'sent', paused_from = NULL")
    await d.database.execute("UPDATE task_chunk SET counts = '{\"queued\": 50}'")
    d.feeder._reconciled = float("-inf")
    await d.feed(1)
    assert await d.states() == {PartState.QUEUED: 50}
    await d.database.execute("UPDATE task SET state = 'cancelled'")
    d.feeder._reconciled = float("-inf")
    await d.feed(1)
    assert await d.states() == {PartState.CANCELLED: 50}
    assert (await d.view(task_id)).progress.statuses == {"cancelled": 50}
    balance = await d.database.fetchval("SELECT balance FROM account")
    assert balance == 100_000


async def test_a_hold_of_days_ends_as_cancelled_and_the_rest_is_sent(d: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "BACKLOG", 400)
    task_id = await d.make(500)
    await d.feed()
    await d.tasks.pause(by_test(d.database, actor="t"), task_id)
    d.later(days=5, hours=1)
    await d.tasks.end_long_holds(task_id)
    assert await d.states() == {PartState.CANCELLED: 400}
    await d.tasks.resume(by_test(d.database, actor="t"), task_id)
    assert (await d.fed(task_id)).progress.statuses == {"cancelled": 400, "queued": 100}


async def test_a_reviewer_decides_and_not_about_own_tasks(d: Desk) -> None:
    task_id = await d.make(5, review=True)
    other = await d.make(5, review=True)
    await d.feed()
    assert await d.states() == {}
    withdrawn = await d.make(5, review=True)
    await d.tasks.cancel(by_test(d.database, actor="key"), withdrawn)
    waiting = await reviews.page(d.database, accounts=[d.account_id])
    assert [(r.batch_id, r.task, r.numbers) for r in waiting if r.task] == [(other, True, 5), (task_id, True, 5)]
    assert len(await reviews.sample(d.database, waiting[0])) == 5
    with pytest.raises(Refused):
        await d.reviewing.decide(Change(d.database, Actor.system("key")), task_id, passes=True)
    boss = Actor(ActorKind.PERSON, "boss", 1, ALL, EVERYTHING)
    elsewhere = Actor(ActorKind.PERSON, "boss", 1, ALL, Scope((d.account_id + 1,)))
    with pytest.raises(Refused):
        await d.reviewing.decide(Change(d.database, elsewhere), task_id, passes=True)
    assert await d.reviewing.decide(Change(d.database, boss), task_id, passes=True) == 5
    with pytest.raises(Refused):
        await d.reviewing.decide(Change(d.database, boss), task_id, passes=True)
    await d.reviewing.decide(Change(d.database, boss), other, passes=False, reason="内容不妥")
    await d.feed()
    assert not await reviews.page(d.database, accounts=None)
    decided = await reviews.page(d.database, state="", accounts=None)
    assert [(r.state, r.decided_by) for r in decided] == [("expired", ""), ("rejected", "boss"), ("passed", "boss")]
    assert await d.states() == {PartState.QUEUED: 5}
    view = await d.view(other)
    assert (view.task.state, view.task.detail["reason"]) == ("cancelled", "内容不妥")


async def test_what_policies_want_reviewed_is_reviewed_once_for_a_whole_task(d: Desk) -> None:
    await policies.put(by_test(d.database), "review_over", "100")
    await d.snapshots.follow()
    small, large = await d.make(100), await d.make(101)
    await policies.put(by_test(d.database), "review", "all")
    await d.snapshots.follow()
    seen = await d.make(250)
    await d.feed()
    waiting = await reviews.page(d.database, accounts=None)
    assert [(r.batch_id, r.reasons) for r in waiting if r.task] == [
        (seen, ["该账号或类型的短信须审核", "号码数 250 超过 100"]),
        (large, ["号码数 101 超过 100"]),
    ]
    await d.reviewing.decide(Change(d.database, Actor.system("boss")), seen, passes=True)
    assert (await d.fed(seen)).progress.statuses == {"queued": 250}
    # One that began before the policy came is seen call by call.
    assert (await d.view(small)).progress.statuses == {"held": 100}
    assert [r.task for r in await reviews.page(d.database, accounts=None)] == [False, True]


async def test_only_one_node_feeds(d: Desk) -> None:
    other = Feeder(d.database, d.tasks, d.acceptor, ids=d.ids, snapshots=d.snapshots, now=d.now)
    first, second = Supervisor(d.database, 1), Supervisor(d.database, 2)
    mine = first.run(d.feeder.periodics())
    await first.run_now("tasks.feeder")  # before the other is there to be faster
    theirs = second.run(other.periodics())
    try:
        with pytest.raises(Refused):
            await second.run_now("tasks.feeder")
        await mine.stop()
        await second.run_now("tasks.feeder")
    finally:
        await mine.stop()
        await theirs.stop()


async def test_what_a_pause_held_follows_its_account_to_another_channel(d: Desk) -> None:
    where = "SELECT DISTINCT l.name FROM part p JOIN pool l ON l.id = p.pool_id"
    task_id = await d.make(3)
    await d.feed()
    assert await d.database.fetchval(where) == "CMCC"
    change = by_test(d.database, actor="t")
    await d.tasks.pause(change, task_id)
    await d.feed()
    assert await d.states() == {PartState.HELD: 3}
    other = {"protocol": "cmpp30", "host": "127.0.0.1", "port": 7891, "username": "900002", "password": "secret",
             "access_code": "10690002"}  # fmt: skip
    await channels.add(change, d.sealer, "b", other)
    await routing.move(change, "account", "acme", "b", "割接")
    await d.snapshots.follow()
    await d.tasks.resume(change, task_id)
    await d.feed()
    assert await d.states() == {PartState.QUEUED: 3}
    assert [row["name"] for row in await d.database.fetch(where)] == ["only-b"]


async def test_a_node_that_has_not_heard_of_a_switch_sends_nothing_the_wrong_way(d: Desk) -> None:
    for on in (True, False):
        one = SendRequest(d.account, (SendItem("13800000000", "您好"),), MessageType.NOTICE, Origin.API, "key")
        await accounts.set_status(by_test(d.database), d.account_id, "stopped")
        await training.switch(by_test(d.database), d.account_id, on=on, reason="培训")
        await accounts.set_status(by_test(d.database), d.account_id, "active")
        # The snapshot is that of before: it knows nothing of the stop, and nothing of the switch.
        with refusing("STATE_CONFLICT"):
            await d.acceptor.send(one)
        assert not await d.database.fetchval("SELECT count(*) FROM part")
        await d.snapshots.follow()


async def test_a_task_of_an_account_that_rehearses_goes_to_the_test_pool_alone(d: Desk) -> None:
    await accounts.set_status(by_test(d.database), d.account_id, "stopped")
    await training.switch(by_test(d.database), d.account_id, on=True, reason="培训")
    await accounts.set_status(by_test(d.database), d.account_id, "active")
    await d.snapshots.follow()
    balance = await d.database.fetchval("SELECT balance FROM account WHERE id = $1", d.account_id)
    await d.make(5, "您好")
    await d.feed()
    pools = await d.database.fetch("SELECT DISTINCT pool_id FROM part")
    assert [row["pool_id"] for row in pools] == [TEST_POOL]
    assert await d.database.fetchval("SELECT bool_and(test) FROM message")
    after = await d.database.fetchval("SELECT balance FROM account WHERE id = $1", d.account_id)
    assert after == balance
    assert not await d.database.fetchval("SELECT count(*) FROM usage_day")
    await accounts.set_status(by_test(d.database), d.account_id, "stopped")
    with refusing("STATE_CONFLICT"):
        await training.switch(by_test(d.database), d.account_id, on=False, reason="结束")


async def test_what_is_wrong_with_one_task_keeps_no_other_one_waiting(d: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever step it is in; the task is fed again once it is well."""
    broken, own = await d.make(20), d.account_id
    d.account_id = await accounts.add(by_test(d.database), "beta", default_sign="测试")
    await accounts.top_up(by_test(d.database, d.ids.next), d.account_id, 10_000, "")
    await d.snapshots.follow()
    other = await d.make(30)
    assert broken < other
    d.account_id = own
    steps: dict[str, Any] = {name: getattr(d.feeder, name) for name in ("_prepare", "_feed")}
    for name, step in steps.items():

        async def failing(task: Any, *args: Any, step: Any = step) -> Any:
            if task.id == broken:
                raise ZeroDivisionError
            return await step(task, *args)

        with monkeypatch.context() as patch:
            patch.setattr(d.feeder, name, failing)
            patch.setattr(feeding, "AFTER_FAILURE", 0.0)
            await d.feed(1)
        assert (await d.view(other)).progress.statuses == {"queued": 30}, name
        assert (await d.view(broken)).progress.statuses == {}, name
        other = await d.make(30)
    monkeypatch.setattr(d.tasks, "settle_queue", failing_settle)
    d.feeder._reconciled = float("-inf")
    monkeypatch.setattr(feeding, "AFTER_FAILURE", 0.0)
    await d.feed(1)
    assert (await d.view(broken)).progress.statuses == {"queued": 20}


async def failing_settle(task_id: int) -> None:
    raise ZeroDivisionError(task_id)


async def test_an_outage_is_not_met_by_each_task(d: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(feeding.MOST_AWAY + 3):
        await d.make(1)
    asked: list[int] = []

    async def away(task: Any, *_: Any) -> Any:
        asked.append(task.id)
        raise Temporary("STORAGE_UNAVAILABLE", retry_after=2)

    monkeypatch.setattr(d.feeder, "_prepare", away)
    with pytest.raises(Temporary):
        await d.feeder.step()
    assert len(asked) == feeding.MOST_AWAY


async def test_a_run_is_finished_with_one_connection(d: Desk, dsn: str) -> None:
    """Its figures are of the transaction that ends it: one that waited for a second one would wait for itself."""
    task_id = await d.make(20)
    await d.feed(3)
    await d.submit()
    await d.tasks.count(task_id, None, 100)
    alone = Database(dsn, size=1)
    await alone.open()
    usual, d.tasks.database = d.tasks.database, alone
    try:
        await d.tasks.finish(task_id, 1)
    finally:
        d.tasks.database = usual
        await alone.close()
    assert (await d.view(task_id)).task.state == "finished"


STEPS = {"shares": [1, 10], "minutes": 30, "failed": 5, "opted_out": 1, "complained": 0.1}


async def _take(d: Desk, *, failed: int = 0) -> None:
    await d.database.execute(
        "UPDATE part SET state = 41, final_at = now() WHERE (id, part) IN "
        "(SELECT id, part FROM part WHERE state = 10 ORDER BY id LIMIT $1)",
        failed,
    )
    await d.submit(1_000_000)
    await _look(d)


async def _look(d: Desk, rounds: int = 8, *, minutes: float = 0) -> int:
    """Look at the stages, after so long; how many messages there are."""
    d.later(minutes=minutes)
    d.feeder.staging.every = 0.0
    await d.feed(rounds)
    return int(await d.database.fetchval("SELECT count(*) FROM message"))


async def _task(d: Desk, task_id: int) -> Task:
    return (await d.view(task_id)).task


async def test_a_good_one_is_sent_in_steps_and_completes_by_itself(d: Desk) -> None:
    task_id = await d.make(1000, steps=STEPS)
    assert await _look(d) == 10
    await _take(d)
    task = await _task(d, task_id)
    stage = stage_of(task.stages)
    assert (task.state, task.reason) == ("running", "STAGE_WATCHED")
    assert (stage.stage, stage.end) == (1, 10)
    assert stage.since is not None
    assert await _look(d, minutes=29) == 10
    assert await _look(d, minutes=2) == 100
    await _take(d, failed=5)
    assert await _look(d, minutes=31) == 1000
    await _take(d)
    task = await _task(d, task_id)
    assert task.state in ("sent", "finished")
    assert (await d.states())[PartState.DELIVERED] == 995
    stage = stage_of(task.stages)
    assert [(p["stage"], p["what"], p["sent"], p["failed"]) for p in stage.past] == [
        (1, "passed", 10, 0),
        (2, "passed", 100, 5),
    ]


async def test_a_bad_share_halts_it_after_the_first_stage_and_people_are_told(d: Desk) -> None:
    await d.database.execute("INSERT INTO staff (login, name, password_hash) VALUES ('key', '张三', 'x')")
    task_id = await d.make(1000, steps=STEPS)
    await _look(d)
    await _take(d, failed=1)
    sent, task = await _look(d, minutes=90), await _task(d, task_id)
    assert (task.state, task.reason, sent) == ("paused", "STAGE_HALTED", 10)
    assert task.detail == {"what": "failed", "count": 1, "of": 10, "limit": 5.0, "stage": 1}
    told = await d.database.fetch("SELECT kind, subject, detail FROM inbox")
    assert [tuple(row) for row in told] == [("task", task_id, "测试")]
    (finding,) = await d.tasks.findings()
    assert (finding.kind, finding.object) == ("task_halted", "account/acme")
    actions = [r["action"] for r in await d.database.fetch("SELECT action FROM audit WHERE object LIKE 'task/%'")]
    assert actions == ["task.add", "task.halt"]
    # Somebody lets it go on: what comes now is measured anew, and the same trouble halts it again.
    await d.tasks.resume(by_test(d.database), task_id)
    assert await _look(d) == 100
    assert not await d.tasks.findings()
    await d.database.execute("UPDATE inbox SET read_at = now()")
    await _take(d, failed=5)
    sent, task = await _look(d), await _task(d, task_id)
    assert (task.state, task.detail["of"], sent) == ("paused", 90, 100)
    assert await d.database.fetchval("SELECT count(*) FROM inbox WHERE read_at IS NULL") == 1
    await d.tasks.cancel(by_test(d.database), task_id)
    await _look(d)
    assert (await d.view(task_id)).progress.statuses == {"cancelled": 900, "delivered": 94, "failed": 6}
    assert not await d.tasks.findings()


async def test_opt_outs_and_complaints_halt_it_each_message_once(d: Desk) -> None:
    task_id = await d.make(1000, steps={**STEPS, "shares": [50], "complained": 0.3})
    other = await d.make(1)
    await _look(d)
    await _take(d)
    ids = [r["id"] for r in await d.database.fetch("SELECT id FROM message ORDER BY id")]
    await d.database.execute(
        "INSERT INTO mo (id, account_id, channel_id, number, to_code, content, in_reply_to, received_at, "
        "opted_out) SELECT $1 + row_number() OVER (), $2, 1, '86138', '106', 'R', m, now(), true "
        "FROM unnest($3::bigint[]) m",
        first_id(d.now()), d.account_id, [ids[0]] * 9 + ids[1:5],
    )  # fmt: skip
    await _look(d)
    assert (await _task(d, task_id)).state == "running"
    for message in (ids[7], ids[7], ids[9]):
        await d.database.execute(
            "INSERT INTO complaint (number, message_id, account_id, sign, note, actor) "
            "VALUES ('8613800000000', $1, $2, '', '', 'x')", message, d.account_id
        )  # fmt: skip
    await _look(d)
    task = await _task(d, task_id)
    assert (task.state, task.detail["what"], task.detail["count"]) == ("paused", "complained", 2)
    assert (await _task(d, other)).state != "paused"


async def test_a_stage_is_released_by_hand_or_not_before_it_was_sent(d: Desk) -> None:
    task_id = await d.make(1000, steps=STEPS)
    with refusing("STATE_CONFLICT"):
        await d.tasks.release(by_test(d.database), task_id)
    await _look(d)
    await d.tasks.release(by_test(d.database), task_id)
    assert await _look(d) == 100
    await _take(d)
    await d.tasks.release(by_test(d.database), task_id)
    assert await _look(d) == 1000
    with pytest.raises(SmsgwError):
        await d.tasks.release(by_test(d.database), task_id)


async def test_pause_and_resume_release_nothing(d: Desk) -> None:
    task_id = await d.make(1000, steps=STEPS)
    await _look(d)
    await d.tasks.pause(by_test(d.database), task_id)
    assert await d.states() == {PartState.HELD: 10}
    await _look(d, minutes=120)
    await d.tasks.resume(by_test(d.database), task_id)
    await _look(d)
    assert await d.states() == {PartState.QUEUED: 10}
    await _take(d)
    await d.tasks.pause(by_test(d.database), task_id)
    await d.tasks.resume(by_test(d.database), task_id)
    assert (await _look(d), (await _task(d, task_id)).reason) == (10, "STAGE_WATCHED")


async def test_every_run_begins_with_the_first_stage(d: Desk) -> None:
    d.at("08:30")
    task_id = await d.make(200, steps={**STEPS, "shares": [10]}, recurring={"every": "day", "at": ["09:00"]})
    for run in (1, 2):
        d.at("09:00")
        assert await _look(d) == 200 * (run - 1) + 20
        await _take(d)
        assert await _look(d, minutes=31) == 200 * run
        await _take(d)
        assert (await _task(d, task_id)).state == "scheduled"
