"""Tasks that send in steps: the rows of a stage are sent and no more, a bad one halts, a good one goes on by itself."""

from __future__ import annotations

import pytest
from changes import by_test
from taskdesk import Desk, refusing

from smsgw.core.errors import SmsgwError
from smsgw.core.ids import first_id
from smsgw.core.stages import stage_of
from smsgw.core.states import PartState
from smsgw.core.tasks import Task

STEPS = {"shares": [1, 10], "minutes": 30, "failed": 5, "opted_out": 1, "complained": 0.1}


async def _take(d: Desk, *, failed: int = 0, limit: int = 1_000_000) -> None:
    """A carrier takes what is queued: some of it fails, the rest is delivered."""
    await d.database.execute(
        "UPDATE part SET state = 41, final_at = now() WHERE (id, part) IN "
        "(SELECT id, part FROM part WHERE state = 10 ORDER BY id LIMIT $1)", failed
    )  # fmt: skip
    await d.submit(limit)


async def _look(d: Desk, rounds: int = 8) -> None:
    d.feeder.staging.every = 0.0
    await d.feed(rounds)


async def _task(d: Desk, task_id: int) -> Task:
    return (await d.view(task_id)).task


async def _sent(d: Desk) -> int:
    return int(await d.database.fetchval("SELECT count(*) FROM message"))


async def test_a_good_one_is_sent_in_steps_and_completes_by_itself(d: Desk) -> None:
    task_id = await d.make(1000, steps=STEPS)
    await _look(d)
    assert await _sent(d) == 10
    await _take(d)
    await _look(d)
    task = await _task(d, task_id)
    stage = stage_of(task.stages)
    assert (task.state, task.reason) == ("running", "STAGE_WATCHED")
    assert stage is not None
    assert (stage.stage, stage.end) == (1, 10)
    assert stage.since is not None
    d.later(minutes=29)
    await _look(d)
    assert await _sent(d) == 10
    d.later(minutes=2)
    await _look(d)
    assert await _sent(d) == 100
    await _take(d, failed=5)
    await _look(d)
    d.later(minutes=31)
    await _look(d)
    assert await _sent(d) == 1000
    await _take(d)
    await _look(d)
    task = await _task(d, task_id)
    assert task.state in ("sent", "finished")
    assert (await d.states())[PartState.DELIVERED] == 995
    stage = stage_of(task.stages)
    assert stage is not None
    assert [(p["stage"], p["what"], p["sent"], p["failed"]) for p in stage.past] == [
        (1, "passed", 10, 0), (2, "passed", 100, 5),
    ]  # fmt: skip


async def test_a_bad_share_halts_it_after_the_first_stage_and_people_are_told(d: Desk) -> None:
    await d.database.execute("INSERT INTO staff (login, name, password_hash) VALUES ('key', '张三', 'x')")
    task_id = await d.make(1000, steps=STEPS)
    await _look(d)
    await _take(d, failed=1)
    await _look(d)
    d.later(minutes=90)
    await _look(d)
    task = await _task(d, task_id)
    assert (task.state, task.reason, await _sent(d)) == ("paused", "STAGE_HALTED", 10)
    assert task.detail == {"what": "failed", "count": 1, "of": 10, "limit": 5.0, "stage": 1}
    told = await d.database.fetch("SELECT kind, subject, detail FROM inbox")
    assert [tuple(row) for row in told] == [("task", task_id, "测试")]
    (finding,) = await d.tasks.findings()
    assert (finding.kind, finding.object) == ("task_halted", "account/acme")
    actions = [r["action"] for r in await d.database.fetch("SELECT action FROM audit WHERE object LIKE 'task/%'")]
    assert actions == ["task.add", "task.halt"]

    # Somebody lets it go on: what comes now is measured anew, and the same trouble halts it again.
    await d.tasks.resume(by_test(d.database), task_id)
    await _look(d)
    assert await _sent(d) == 100
    assert not await d.tasks.findings()
    await d.database.execute("UPDATE inbox SET read_at = now()")
    await _take(d, failed=5)
    await _look(d)
    task = await _task(d, task_id)
    assert (task.state, task.detail["of"], await _sent(d)) == ("paused", 90, 100)
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
    await _look(d)
    assert await _sent(d) == 100
    await _take(d)
    await _look(d)
    await d.tasks.release(by_test(d.database), task_id)
    await _look(d)
    assert await _sent(d) == 1000
    with pytest.raises(SmsgwError):
        await d.tasks.release(by_test(d.database), task_id)


async def test_pause_and_resume_release_nothing(d: Desk) -> None:
    task_id = await d.make(1000, steps=STEPS)
    await _look(d)
    await d.tasks.pause(by_test(d.database), task_id)
    assert await d.states() == {PartState.HELD: 10}
    d.later(hours=2)
    await _look(d)
    await d.tasks.resume(by_test(d.database), task_id)
    await _look(d)
    assert await d.states() == {PartState.QUEUED: 10}
    await _take(d)
    await _look(d)
    await d.tasks.pause(by_test(d.database), task_id)
    await d.tasks.resume(by_test(d.database), task_id)
    await _look(d)
    assert ((await _task(d, task_id)).reason, await _sent(d)) == ("STAGE_WATCHED", 10)


async def test_every_run_begins_with_the_first_stage(d: Desk) -> None:
    d.at("08:30")
    task_id = await d.make(200, steps={**STEPS, "shares": [10]}, recurring={"every": "day", "at": ["09:00"]})
    for run in (1, 2):
        d.at("09:00")
        await _look(d)
        assert await _sent(d) == 200 * (run - 1) + 20
        await _take(d)
        await _look(d)
        d.later(minutes=31)
        await _look(d)
        assert await _sent(d) == 200 * run
        await _take(d)
        await _look(d)
        assert (await _task(d, task_id)).state == "scheduled"
