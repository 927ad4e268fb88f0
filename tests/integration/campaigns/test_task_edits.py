"""Tasks that have not begun are edited: checked again, approved again, and never sent with what nobody has approved."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from changes import by_test
from databases import change as owned
from taskdesk import Desk, refusing

from smsgw.core.actor import ALL, EVERYTHING, Actor, ActorKind, Scope
from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import CHINA
from smsgw.core.keywords import Action, Word
from smsgw.core.model import MessageType
from smsgw.core.permissions import Permission
from smsgw.core.states import PartState
from smsgw.core.tasks import Task
from smsgw.platform.change import Change
from smsgw.platform.channels import service as channels
from smsgw.platform.policies import service as policies
from smsgw.platform.review import queries as reviews
from smsgw.platform.routing import service as routing
from smsgw.platform.words import service as words

TWICE = {"every": "day", "at": ["09:00", "15:00"]}
BOSS = Actor(ActorKind.PERSON, "boss", 1, ALL, EVERYTHING)
AS_OF_A_TABLE = """
UPDATE task SET content = '{甲}和{乙}', mapping = mapping || '{"names": ["甲", "乙"]}' WHERE id = $1
"""
EDITOR = Actor(ActorKind.PERSON, "editor", 2, ALL, EVERYTHING)


async def _task(d: Desk, task_id: int) -> Task:
    return (await d.view(task_id)).task


async def _sent(d: Desk) -> set[str]:
    """Feed; the texts of all messages."""
    await d.feed()
    return {row["content"] for row in await d.database.fetch("SELECT content FROM message")}


async def _edit(d: Desk, task_id: int, by: Actor = EDITOR, **changes: Any) -> Task:
    return await d.tasks.edit(Change(d.database, by), task_id, changes)


def _later(d: Desk) -> Any:
    return d.now() + timedelta(hours=5)


async def _asks_about_a_word(d: Desk) -> None:
    await words.put(by_test(d.database), [Word("返利", action=Action.REVIEW)])
    await d.snapshots.follow()
    d.at("08:00")


async def _answer(d: Desk, *, passes: bool) -> None:
    (asked,) = await reviews.page(d.database, accounts=None)
    await d.reviewing.decide(Change(d.database, BOSS), asked.batch_id, passes=passes, reason="不合适")


async def test_what_it_says_and_how_is_changed_until_it_begins(d: Desk) -> None:
    task_id = await d.make(5, "您好", send_at=_later(d))
    steps = {"shares": [20], "minutes": 1, "failed": 5, "opted_out": 1, "complained": 1}
    done = await _edit(d, task_id, content="改过的内容", rate=7, extend_code="12", steps=steps)
    assert (done.content, done.rate, done.extend_code, done.version, done.state) == (
        "改过的内容", 7, "12", 2, "scheduled",
    )  # fmt: skip
    row = await d.database.fetchrow("SELECT actor, before, after FROM audit WHERE action = 'task.change'")
    before, after = json.loads(row["before"]), json.loads(row["after"])
    assert row["actor"] == "editor"
    assert (before["content"], after["content"], before["rate"], after["rate"]) == ("您好", "改过的内容", 0, 7)
    assert (await _edit(d, task_id, content="改过的内容")).version == 2, "nothing has changed"
    await _edit(d, task_id, send_at=None, steps=None)
    assert await _sent(d) == {"【测试】改过的内容"}
    with refusing("STATE_CONFLICT"):
        await _edit(d, task_id, content="太晚了")
    assert (await _edit(d, task_id, rate=9)).rate == 9, "the rate may be changed as long as it runs"


async def test_the_checks_are_those_of_a_new_one(d: Desk) -> None:
    await words.put(by_test(d.database), [Word("博彩")])
    await d.snapshots.follow()
    task_id = await d.make(5, send_at=_later(d))
    for changes, code in (
        ({"content": "博彩"}, "CONTENT_SENSITIVE"), ({"content": " "}, "CONTENT_EMPTY"),
        ({"content": "{姓名}您好"}, "CONTENT_VARIABLE_UNRESOLVED"), ({"sign": "单"}, "PARAM_INVALID"),
        ({"content": "长" * 1001}, "CONTENT_TOO_LONG"), ({"extend_code": "x"}, "EXTEND_CODE_INVALID"),
        ({"prefer": "nowhere"}, "PARAM_INVALID"), ({"steps": {"shares": [5, 1]}}, "PARAM_INVALID"),
        ({"frequency": {"most": 0, "every": 1, "unit": "day"}}, "PARAM_INVALID"),
        ({"expire_at": d.now()}, "TIME_INVALID"),
    ):  # fmt: skip
        with refusing(code):
            await _edit(d, task_id, **changes)
    assert (await _task(d, task_id)).version == 1
    only = Actor(ActorKind.PERSON, "t", 3, frozenset({Permission.TASK_EDIT}), Scope((d.account_id,)))
    with refusing("PERMISSION_DENIED"):
        await _edit(d, task_id, only, content="不许")
    assert (await _edit(d, task_id, only, name="许")).name == "许"


async def test_what_was_approved_is_not_sent_with_another_text(d: Desk) -> None:
    """An approval is of what was seen: an edit takes it back, and who approves what is no more approves nothing."""
    task_id = await d.make(5, "第一版", review=True, send_at=_later(d))
    (first,) = await reviews.page(d.database, accounts=None)
    await _edit(d, task_id, content="第二版")
    (second,) = await reviews.page(d.database, accounts=None)
    assert (second.content, second.submitter, second.task_id) == ("第二版", "editor", task_id)
    assert second.batch_id != first.batch_id
    with refusing("STATE_CONFLICT"):
        await d.reviewing.decide(Change(d.database, BOSS), first.batch_id, passes=True)
    for own in ("editor", "key"):
        with pytest.raises(Refused):
            await d.reviewing.decide(
                Change(d.database, Actor(ActorKind.PERSON, own, 5, ALL, EVERYTHING)), second.batch_id, passes=True
            )
    await d.reviewing.decide(Change(d.database, BOSS), second.batch_id, passes=True)
    assert (await _task(d, task_id)).state == "scheduled"
    await _edit(d, task_id, content="第三版")
    assert (await _task(d, task_id)).state == "review", "what was approved was another text"
    d.later(hours=6)
    assert await _sent(d) == set()
    await _answer(d, passes=True)
    assert await _sent(d) == {"【测试】第三版"}
    states = [(r.content, r.state) for r in await reviews.page(d.database, state="", accounts=None)]
    assert states == [("第三版", "passed"), ("第二版", "passed"), ("第一版", "withdrawn")]


async def test_what_a_node_of_the_version_before_asks_is_about_its_task(d: Desk, dsn: str) -> None:
    task_id = await d.make(5, "第一版", review=True, send_at=_later(d))
    await owned(dsn, "CREATE TABLE kept AS SELECT * FROM review", "DELETE FROM review",
                "ALTER TABLE kept DROP COLUMN task_id",
                "DO $$ BEGIN EXECUTE (SELECT format('INSERT INTO review (%1$s) SELECT %1$s FROM kept', "
                "string_agg(column_name, ', ')) FROM information_schema.columns WHERE table_name = 'kept'); "
                "END $$", "DROP TABLE kept")  # fmt: skip
    (asked,) = await reviews.page(d.database, accounts=None)
    assert (asked.batch_id, asked.task_id) == (task_id, task_id)
    await d.reviewing.decide(Change(d.database, BOSS), task_id, passes=True)
    assert (await _task(d, task_id)).state == "scheduled"


async def test_rules_ask_for_an_approval_of_the_new_text_alone(d: Desk) -> None:
    await _asks_about_a_word(d)
    task_id = await d.make(5, send_at=_later(d))
    await _edit(d, task_id, content="返利活动")
    task = await _task(d, task_id)
    assert (task.state, task.review, task.review_reasons) == ("review", True, ["敏感词：返利"])
    await _edit(d, task_id, rate=3)
    (again,) = await reviews.page(d.database, accounts=None)
    assert (again.content, (await _task(d, task_id)).state) == ("返利活动", "review")
    await _edit(d, task_id, content="活动通知")
    task = await _task(d, task_id)
    assert (task.state, task.review, list(task.review_reasons)) == ("scheduled", False, [])
    assert await reviews.page(d.database, accounts=None) == []
    await policies.put(by_test(d.database), "review_over", "4")
    await d.snapshots.follow()
    await _edit(d, task_id, send_at=d.now() + timedelta(hours=6))
    assert (await _task(d, task_id)).state == "scheduled", "another time is no other text"
    await _edit(d, task_id, content="活动通知二")
    assert (await _task(d, task_id)).state == "review"


@pytest.mark.parametrize("first", ["edit", "begin"])
async def test_between_beginning_and_edit_one_wins(d: Desk, first: str) -> None:
    """The feeder has found the task as it was: it begins with what it says by now, or the edit is refused."""
    task_id = await d.make(5, "旧", send_at=d.now() + timedelta(minutes=5))
    d.later(minutes=6)
    seen = await _task(d, task_id)
    if first == "edit":
        await _edit(d, task_id, content="新")
        begun = await d.feeder._begin(seen, d.now())
        assert begun.content == "新"
        assert await _sent(d) == {"【测试】新"}
    else:
        assert await d.feeder._begin(seen, d.now()) is not None
        with refusing("STATE_CONFLICT"):
            await _edit(d, task_id, content="新")
        assert await _sent(d) == {"【测试】旧"}


async def test_a_chunk_of_another_version_is_not_stored(d: Desk) -> None:
    task_id = await d.make(5)
    send = d.acceptor.send

    async def changed(request: Any) -> Any:
        await d.database.execute("UPDATE task SET version = version + 1, content = '新' WHERE id = $1", task_id)
        d.acceptor.send = send  # type: ignore[method-assign]
        return await send(request)

    d.acceptor.send = changed  # type: ignore[method-assign]
    assert await _sent(d) == {"【测试】新"}


async def test_values_of_rows_fit_another_order_and_fewer_of_them(d: Desk, dsn: str) -> None:
    task_id = await d.make(2, send_at=_later(d))
    await d.database.execute(AS_OF_A_TABLE, task_id)
    await owned(dsn, "UPDATE task_row SET vals = ARRAY['1' || n, '2' || n]")
    with refusing("CONTENT_VARIABLE_UNRESOLVED"):
        await _edit(d, task_id, content="{丙}")
    await _edit(d, task_id, content="先{乙}后{甲}", send_at=None)
    other = await d.make(1, send_at=_later(d))
    await d.database.execute(AS_OF_A_TABLE, other)
    await owned(dsn, "UPDATE task_row SET vals = ARRAY['子', '丑'] WHERE task_id = (SELECT max(id) FROM task)")
    await _edit(d, other, content="只有{乙}", send_at=None)
    assert await _sent(d) == {"【测试】先21后11", "【测试】先22后12", "【测试】只有丑"}


async def test_the_effect_is_weighed_in_parts_and_units(d: Desk) -> None:
    task_id = await d.make(300, "短", send_at=_later(d))
    task = await _task(d, task_id)
    now = await d.tasks.weigh(task, task.content, task.sign)
    then = await d.tasks.weigh(task, "长" * 100, task.sign)
    assert (now.looked_at, now.parts, now.units, then.parts, then.units) == (100, 300, 300, 600, 600)


async def test_how_often_a_number_gets_what_has_a_tag(d: Desk) -> None:
    """Once a day of a tag over all tasks of the account; what has no tag counts for its own task alone."""
    to = [f"138{n:08d}" for n in range(4)]
    once = {"most": 1, "every": 1, "unit": "day", "tag": "会员日"}
    first = await d.make(to=to[:3], frequency=once)
    await d.feed()
    second = await d.make(to=to, frequency=once)
    assert (await d.fed(first)).progress.statuses == {"queued": 3}
    assert (await d.view(second)).progress.statuses == {"queued": 1, "rejected": 3}
    refused = await d.database.fetch("SELECT DISTINCT refusal FROM message WHERE refusal <> ''")
    assert [row["refusal"] for row in refused] == ["该号码发送过于频繁：发送频次 1 天内最多 1 条"]
    other = await d.make(to=to, frequency={**once, "tag": "另一个"})
    own = await d.make(to=to, frequency={**once, "tag": ""})
    free = await d.make(to=to)
    await d.feed()
    for one in (other, own, free):
        assert (await d.view(one)).progress.statuses == {"queued": 4}
    d.later(hours=25)
    again = await d.make(to=to, frequency=once)
    assert (await d.fed(again)).progress.statuses == {"queued": 4}


async def test_a_task_that_comes_round_reaches_a_number_as_often_as_it_says(d: Desk) -> None:
    d.at("08:00")
    task_id = await d.make(
        3, recurring={"every": "day", "at": ["09:00"]}, frequency={"most": 1, "every": 3, "unit": "day"}
    )
    counts = []
    for _ in range(4):
        d.at("09:00")
        await d.feed()
        counts.append((await d.view(task_id)).progress.statuses)
        await d.submit()
    assert counts == [{"queued": 3}, {"rejected": 3}, {"rejected": 3}, {"queued": 3}]


async def test_an_emergency_waits_for_another_person_and_goes_first(d: Desk) -> None:
    with refusing("EMERGENCY_DENIED"):
        await d.make(5, emergency=True)
    await d.database.execute("UPDATE account SET emergency = true")
    await d.snapshots.follow()
    task_id = await d.make(5, "撤离通知", emergency=True)
    task = await _task(d, task_id)
    assert (task.state, task.review_reasons) == ("review", ["特发任务须由他人审批"])
    (asked,) = await reviews.page(d.database, accounts=None)
    assert asked.emergency
    sends = frozenset({Permission.TASK_EDIT, Permission.MESSAGE_SEND})
    with refusing("PERMISSION_DENIED"):
        await _edit(d, task_id, Actor(ActorKind.PERSON, "t", 3, sends, Scope((d.account_id,))), content="改")
    cli = Change(d.database, Actor.operator("root"))
    await d.tasks.edit(cli, task_id, {"content": "请立即撤离"})
    (asked,) = await reviews.page(d.database, accounts=None)
    with pytest.raises(Refused):  # not even who works at the command line passes an emergency of their own
        await d.reviewing.decide(cli, asked.batch_id, passes=True)
    assert await _sent(d) == set()
    await d.reviewing.decide(Change(d.database, BOSS), asked.batch_id, passes=True)
    await d.feed()
    assert {row["lane"] for row in await d.database.fetch("SELECT lane FROM part")} == {0}
    told = [tuple(r) for r in await d.database.fetch(
        "SELECT action, actor FROM audit WHERE object = $1 ORDER BY id", f"task/{task_id}")]  # fmt: skip
    assert told == [("task.urgent", "key"), ("task.change", "cli:root"), ("task.pass", "boss")]
    assert not await d.database.fetchval("SELECT count(*) FROM audit WHERE action = 'message.emergency'")
    with refusing("PARAM_INVALID", field="type"):
        await d.make(5, "促销", emergency=True, type=MessageType.MARKETING)


async def test_a_preferred_pool_is_taken_while_it_has_a_channel(d: Desk) -> None:
    fields = {
        "protocol": "cmpp30", "host": "127.0.0.1", "port": 1, "username": "u", "password": "secret",
        "access_code": "10690001",
    }  # fmt: skip
    await channels.add(by_test(d.database), d.sealer, "a", fields)
    document = {
        "pool": [{"name": "own", "channels": ["a"]}, {"name": "fast", "channels": ["a"]}],
        "rule": [
            {"name": "ours", "account": "acme", "pool": "own"},
            {"name": "mobile", "carrier": "CMCC", "pool": "fast"},
        ],
    }
    await routing.publish(by_test(d.database), document, "")
    await d.snapshots.follow()

    async def pools(task_id: int) -> dict[str, int]:
        await d.feed(4)
        rows = await d.database.fetch(
            "SELECT q.name, count(*) AS n FROM part p JOIN pool q ON q.id = p.pool_id JOIN task_chunk c "
            "ON p.id >= c.base_id AND p.id < c.base_id + c.size WHERE c.task_id = $1 GROUP BY 1",
            task_id,
        )
        return {row["name"]: row["n"] for row in rows}

    to = ["13800138000", "13000130000"]  # the second is another carrier's: no rule leads it there
    assert await pools(await d.make(to=to)) == {"own": 2}
    assert await pools(await d.make(to=to, prefer="fast")) == {"fast": 1, "own": 1}
    d.away.add("fast")
    assert await pools(await d.make(to=to, prefer="fast")) == {"own": 2}
    with refusing("PARAM_INVALID", field="prefer"):
        await d.make(to=to, prefer="elsewhere")


async def test_what_comes_round_is_edited_between_two_runs_and_what_was_sent_stays(d: Desk) -> None:
    d.at("08:00")
    task_id = await d.make(4, "第一版", recurring={"every": "day", "at": ["09:00"]})
    d.at("09:00")
    await d.feed()
    await d.submit()
    assert await _sent(d) == {"【测试】第一版"}
    chain = {"hops": [{"content": "请查收", "when": "failed"}], "minutes": 60}
    rule = {"every": "day", "at": ["10:30", "16:00"]}
    done = await _edit(d, task_id, content="第二版", recurring=rule, rate=50, fallback=chain)
    assert (done.state, done.run, done.content, done.recurring) == ("scheduled", 1, "第二版", rule)
    assert f"{done.next_at.astimezone(CHINA):%H:%M}" == "10:30", "the next time of the new rule"
    for hour, runs in (("10:29", 1), ("10:30", 2)):
        d.at(hour)
        assert (await d.fed(task_id)).task.run == runs
    await d.database.execute("UPDATE task SET state = 'running' WHERE id = $1", task_id)
    with refusing("STATE_CONFLICT"):  # not while a run is fed
        await _edit(d, task_id, content="其间")
    await d.database.execute("UPDATE task SET state = 'scheduled' WHERE id = $1", task_id)
    await d.submit()
    rows = await d.database.fetch("SELECT content, count(*) AS n FROM message GROUP BY content ORDER BY 1")
    assert {row["content"]: row["n"] for row in rows} == {"【测试】第一版": 4, "【测试】第二版": 4}
    said = {row["run"]: (row["content"], row["sign"]) for row in (await d.view(task_id)).runs}
    assert said == {1: ("第一版", ""), 2: ("第二版", "")}
    with refusing("TIME_INVALID"):
        await _edit(d, task_id, recurring=rule | {"until": d.now() - timedelta(days=1)})
    with pytest.raises(Invalid):
        await _edit(d, task_id, recurring=None)


async def test_what_rests_of_a_run_does_not_go_while_a_new_text_is_asked_about(d: Desk) -> None:
    await _asks_about_a_word(d)
    task_id = await d.make(3, "早上好", recurring=TWICE)
    d.at("09:00")
    await d.feed()
    await d.tasks.pause(by_test(d.database), task_id)
    held = await d.database.fetch("SELECT state FROM part")
    assert [row["state"] for row in held] == [PartState.HELD] * 3
    assert (await _edit(d, task_id, content="返利活动")).state == "review"
    await d.tasks.settle_queue(task_id)
    d.later(seconds=60)
    await d.feed()
    assert await d.database.fetch("SELECT state FROM part") == held, "somebody has stopped it"
    await _answer(d, passes=True)
    task = await _task(d, task_id)
    assert (task.state, task.paused_from, task.reason) == ("paused", "scheduled", "PAUSED")
    d.at("15:00")
    assert (await d.fed(task_id)).task.run == 1, "that it may be said does not let it go on"
    assert await d.database.fetch("SELECT state FROM part") == held
    await d.tasks.resume(by_test(d.database), task_id)
    d.later(seconds=5)
    assert (await d.fed(task_id)).task.run == 2
    assert await _sent(d) == {"【测试】早上好", "【测试】返利活动"}


async def test_what_needs_no_word_any_more_stays_paused(d: Desk) -> None:
    await _asks_about_a_word(d)
    task_id = await d.make(3, "早上好", send_at=_later(d))
    await d.tasks.pause(by_test(d.database), task_id)
    assert (await _edit(d, task_id, content="返利活动")).state == "review"
    assert (await _edit(d, task_id, content="晚上好")).state == "paused"
    await d.tasks.resume(by_test(d.database), task_id)
    assert (await _task(d, task_id)).state == "scheduled"


async def _asked_about(d: Desk, text: str = "早上好", rows: int = 3, **changes: Any) -> int:
    """A task that has come round once, with nothing of the run at a carrier yet, and an edit that waits for a word."""
    await _asks_about_a_word(d)
    task_id = await d.make(rows, text, recurring=TWICE)
    d.at("09:00")
    await d.feed()
    assert (await _edit(d, task_id, content="返利活动", **changes)).state == "review"
    return task_id


async def _states(d: Desk) -> list[int]:
    return [row["state"] for row in await d.database.fetch("SELECT state FROM part ORDER BY id")]


async def test_a_rejected_edit_leaves_what_was_approved_going_on(d: Desk) -> None:
    chain = {"hops": [{"content": "请查收", "when": "failed"}], "minutes": 60}
    new = {"recurring": {"every": "day", "at": ["23:00"]}, "rate": 9, "fallback": chain, "name": "改名"}
    task_id = await _asked_about(d, **new)
    await d.tasks.settle_queue(task_id)
    assert await _states(d) == [PartState.HELD] * 3, "the former run rests while somebody is asked"
    assert (await _edit(d, task_id, content="返利活动第二稿", rate=11)).state == "review"
    before = await _task(d, task_id)
    await _answer(d, passes=False)
    task = await _task(d, task_id)
    assert (task.state, task.content, task.recurring, task.rate, task.fallback, task.approved) == (
        "scheduled", "早上好", TWICE, 0, None, None,
    )  # fmt: skip
    assert (task.name, task.version, task.review, task.reason) == ("改名", before.version + 1, False, "REVIEW_REJECTED")
    assert f"{task.next_at.astimezone(CHINA):%H:%M}" == "15:00"
    assert await _states(d) == [PartState.QUEUED] * 3, "none of the former run was cancelled"
    assert not await d.database.fetchval("SELECT count(*) FROM ledger WHERE kind = 'refund'")
    d.at("15:00")
    assert (await d.fed(task_id)).task.run == 2
    assert await _sent(d) == {"【测试】早上好"}
    await d.submit()
    row = await d.database.fetchrow("SELECT actor, after FROM audit WHERE action = 'task.reject'")
    assert {"content", "recurring", "rate", "fallback"} <= set(json.loads(row["after"])["put_back"])


async def test_a_node_that_is_killed_after_the_rejection_lets_the_run_go_on_when_it_is_back(
    d: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    task_id = await _asked_about(d)
    await d.tasks.settle_queue(task_id)

    async def killed(_: int) -> None:
        raise ConnectionAbortedError

    with monkeypatch.context() as dying:
        dying.setattr(d.tasks, "settle_queue", killed)
        with pytest.raises(ConnectionAbortedError):
            await _answer(d, passes=False)
    assert await _states(d) == [PartState.HELD] * 3
    assert (await _task(d, task_id)).state == "scheduled"
    await d.feeder._reconcile()
    assert await _states(d) == [PartState.QUEUED] * 3
    await d.submit()
    assert await _sent(d) == {"【测试】早上好"}


async def test_who_has_paused_it_is_not_overruled_by_a_rejection(d: Desk) -> None:
    await _asks_about_a_word(d)
    task_id = await d.make(3, "早上好", recurring=TWICE)
    await d.tasks.pause(by_test(d.database), task_id)
    await _edit(d, task_id, content="返利活动")
    await _answer(d, passes=False)
    task = await _task(d, task_id)
    assert (task.state, task.paused_from, task.reason, task.content) == ("paused", "scheduled", "PAUSED", "早上好")
    await d.tasks.resume(by_test(d.database), task_id)
    d.at("09:00")
    assert await _sent(d) == {"【测试】早上好"}


async def test_a_rejection_after_the_last_time_of_the_approved_rule_ends_the_task_and_not_its_run(d: Desk) -> None:
    await _asks_about_a_word(d)
    rule = TWICE | {"until": d.now() + timedelta(hours=8)}
    task_id = await d.make(3, "早上好", recurring=rule)
    d.at("09:00")
    await d.feed()
    await _edit(d, task_id, content="返利活动", recurring=TWICE)
    d.at("17:00")
    await _answer(d, passes=False)
    task = await _task(d, task_id)
    assert (task.state, task.next_at, task.content) == ("sent", None, "早上好")
    assert await _states(d) == [PartState.QUEUED] * 3


async def test_what_nobody_has_approved_before_is_rejected_for_good(d: Desk) -> None:
    await _asks_about_a_word(d)
    task_id = await d.make(3, "返利", recurring=TWICE)
    await _edit(d, task_id, content="返利活动")
    await _answer(d, passes=False)
    assert (await _task(d, task_id)).state == "cancelled"
    again = await _asked_about(d, text="晚上好")
    await _answer(d, passes=True)
    task = await _task(d, again)
    assert (task.content, task.approved) == ("返利活动", None)
    await _edit(d, again, content="返利第三稿")
    await _answer(d, passes=False)
    assert (await _task(d, again)).content == "返利活动", "what was approved last"


async def test_a_rejection_puts_back_what_a_former_version_has_passed(d: Desk) -> None:
    task_id = await _asked_about(d)
    stale = json.dumps((await _task(d, task_id)).approved)
    await _answer(d, passes=True)
    # In a rolling upgrade: a node that does not know of the column has passed it.
    await d.database.execute("UPDATE task SET approved = $2::text::jsonb WHERE id = $1", task_id, stale)
    await _edit(d, task_id, content="返利第三稿")
    await _answer(d, passes=False)
    assert (await _task(d, task_id)).content == "返利活动", "not what was approved before that"
