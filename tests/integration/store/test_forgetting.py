"""Numbers and texts go when their first time is over: by day, whole, once, and what is proven stays proven."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from databases import change, drop_old
from ledger import Ledger

from smsgw.core.errors import Temporary
from smsgw.core.ids import CHINA, day_range, first_id
from smsgw.core.model import OutcomeKind
from smsgw.core.pseudonyms import is_pseudonym, pseudonym
from smsgw.core.retention import least
from smsgw.core.states import FINAL, PartState
from smsgw.pipeline.upkeep import forgetting as night
from smsgw.pipeline.upkeep.forgetting import Forgetting
from smsgw.runtime import clock, config
from smsgw.store.engine import partitions
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import events
from smsgw.store.records import audit, evidence, forgetting, pseudonyms

SEALER = Sealer(b"e" * 32)
NUMBER = "8613800138000"
AGO = 40
"""Days by which what happens today is moved back."""
MOVE = (
    "UPDATE message SET id = id - BY, batch_id = batch_id - BY", "UPDATE part SET id = id - BY",
    "UPDATE evidence SET id = id - BY, message_id = message_id - BY", "UPDATE mo SET id = id - BY",
)  # fmt: skip
RULE = """
INSERT INTO retention_rule (messages_days, inbound_days, pdus_days, texts, reason, state, asked_by)
VALUES ($1, $2, $3, $4, 'as agreed', 'passed', 'li')
"""


async def delivered(ledger: Ledger, n: int = 3) -> list[int]:
    ids = []
    for _ in range(n):
        ids.append(await ledger.accept())
        (claimed,) = await ledger.claim()
        await ledger.answer(OutcomeKind.ACCEPTED, claimed)
        await ledger.outcomes.report(ledger.report(claimed, pdu=b"told of " + claimed.number.encode()))
    return ids


async def long_ago(ledger: Ledger) -> int:
    """Move all that there is back by ``AGO`` days, into partitions of that time; by how much ids have moved."""
    day = (datetime.now(UTC) - timedelta(days=AGO)).astimezone(CHINA).date()
    by = (AGO * 86_400_000) << 22
    for table in ("message", "part", "evidence", "mo"):
        for some in (day - timedelta(days=1), day, day + timedelta(days=1)):
            await change(ledger.dsn, f"SELECT partition_make('{table}', '{some}')")
    await change(ledger.dsn, *(text.replace("BY", str(by)) for text in MOVE))
    audit.use(lambda: SEALER)
    while await evidence.make_root(ledger.database, SEALER, datetime.now(UTC)) is not None:
        pass
    return by


async def rule(ledger: Ledger, messages: int, inbound: int, pdus: int, *, texts: bool = True) -> None:
    await ledger.connection.execute(RULE, messages, inbound, pdus, texts)


async def forget(ledger: Ledger, *longer: Any) -> Any:
    """What a night does."""
    return await Forgetting(ledger.database, SEALER, *longer).run()


async def old(ledger: Ledger, n: int, inbound: int = 0, *, texts: bool = True) -> None:
    """Messages were delivered long ago, and are to be forgotten."""
    await delivered(ledger, n)
    if inbound:
        await heard(ledger)
    await long_ago(ledger)
    await rule(ledger, 30, inbound, 30, texts=texts)


async def problems(ledger: Ledger) -> list[str]:
    report = await evidence.verify(ledger.database, SEALER, (), now=datetime.now(UTC))
    return [p.kind for p in report.problems]


async def heard(ledger: Ledger, text: str = "回T退订") -> None:
    await ledger.connection.execute(
        "INSERT INTO mo (id, account_id, channel_id, number, to_code, content, received_at)"
        " VALUES ($1, $2, $3, $4, '1069', $5, now())", ledger.ids.next(), ledger.account_id, ledger.channels["a"],
        NUMBER, text,
    )  # fmt: skip


async def test_nothing_goes_without_a_rule(ledger: Ledger) -> None:
    await delivered(ledger)
    await long_ago(ledger)
    done = await forget(ledger)
    assert (done.rows, done.tasks) == ({}, 0)
    assert await ledger.connection.fetchval("SELECT count(*) FROM message WHERE number = $1", NUMBER) == 3
    assert await pseudonyms.key(ledger.database, SEALER) is None


async def test_numbers_become_one_hash_texts_go_and_evidence_holds(ledger: Ledger) -> None:
    await delivered(ledger)
    await heard(ledger)
    await long_ago(ledger)
    await delivered(ledger, 1)  # of today
    assert await problems(ledger) == []
    await rule(ledger, 30, 30, 30)
    done = await forget(ledger)
    assert done.rows == {"messages": 3, "inbound": 1, "pdus": 3}

    key = await pseudonyms.key(ledger.database, SEALER)
    assert key is not None
    hashed = pseudonym(key, NUMBER)
    rows = await ledger.connection.fetch("SELECT number, content FROM message ORDER BY id")
    assert [(r["number"], r["content"]) for r in rows[:3]] == [(hashed, "")] * 3
    assert (rows[3]["number"], bool(rows[3]["content"])) == (NUMBER, True)
    assert tuple(await ledger.connection.fetchrow("SELECT number, content FROM mo")) == (hashed, "")
    kept = await ledger.connection.fetch("SELECT pdu, salt FROM evidence ORDER BY id")
    assert [(r["pdu"], r["salt"]) for r in kept[:3]] == [(None, None)] * 3
    assert kept[3]["pdu"] is not None

    report = await evidence.verify(ledger.database, SEALER, (), now=datetime.now(UTC))
    assert (report.problems, report.forgotten, report.pdus) == ([], 3, 1)
    said = await ledger.connection.fetch("SELECT object, after FROM audit WHERE action = 'retention.mask' ORDER BY id")
    assert [(r["object"].split("/")[1], json.loads(r["after"])["rows"]) for r in said] == [
        ("pdus", 3), ("inbound", 1), ("messages", 3)]  # fmt: skip
    assert (await forget(ledger)).rows == {}


async def test_a_killed_run_is_taken_up_and_does_nothing_twice(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    await old(ledger, 5)
    monkeypatch.setattr(forgetting, "STEP", 2)
    real = forgetting.numbers

    async def killed(*args: object, **more: object) -> int | None:
        if args[3]:  # the second step of a day
            raise asyncio.CancelledError
        return await real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(forgetting, "numbers", killed)
    with pytest.raises(asyncio.CancelledError):
        await forget(ledger)
    numbers = [r[0] for r in await ledger.connection.fetch("SELECT number FROM message ORDER BY id")]
    assert [is_pseudonym(n) for n in numbers] == [True, True, False, False, False]
    left = await ledger.connection.fetchval("SELECT max(last_id) FROM masked_day WHERE class = 'messages'")
    assert left == await ledger.connection.fetchval("SELECT max(id) FROM message WHERE number LIKE '#%'")
    began: list[int] = []

    async def noted(*args: object, **more: object) -> int | None:
        began.append(args[3])  # type: ignore[arg-type]
        return await real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(forgetting, "numbers", noted)
    done = await forget(ledger)
    assert done.rows == {"messages": 5}, "PDUs went before"
    assert began[0] == left, "what is masked is not looked through again"
    assert len({r[0] for r in await ledger.connection.fetch("SELECT number FROM message")}) == 1
    assert await problems(ledger) == []


async def test_texts_may_stay_and_go_later(ledger: Ledger) -> None:
    await old(ledger, 1, texts=False)
    await forget(ledger)
    number, text = await ledger.connection.fetchrow("SELECT number, content FROM message")
    assert is_pseudonym(number)
    assert text
    await rule(ledger, 30, 0, 30)
    assert (await forget(ledger)).days == {"messages": 1}
    assert tuple(await ledger.connection.fetchrow("SELECT number, content FROM message")) == (number, "")


async def test_a_day_with_an_open_part_and_a_day_without_a_root_wait(ledger: Ledger) -> None:
    await delivered(ledger, 1)
    await ledger.accept()  # stays queued
    await long_ago(ledger)
    await change(ledger.dsn, "DELETE FROM evidence_root")
    await rule(ledger, 30, 0, 30)
    assert (await forget(ledger)).rows == {}
    ledger.balanced = False


async def test_octets_that_were_taken_away_by_anybody_else_are_found(ledger: Ledger) -> None:
    await delivered(ledger, 2)
    await long_ago(ledger)
    await change(ledger.dsn, "UPDATE evidence SET pdu = NULL, salt = NULL")
    assert await problems(ledger) == ["pdu", "pdu"]


async def test_the_program_can_forget_nothing_that_is_new(ledger: Ledger) -> None:
    await delivered(ledger, 1)
    await heard(ledger)
    today = clock.now().astimezone(CHINA).date()
    low, high = day_range(today)
    id_ = await ledger.connection.fetchval("SELECT id FROM mo")
    long = first_id(clock.now() - timedelta(days=20))
    for statement, *arguments in (
        ("SELECT evidence_forget($1, 0, 100)", today),
        ("SELECT evidence_forget($1, 0, 100)", today - timedelta(days=AGO)),  # has no root
        ("SELECT mo_mask($1, $2, $3, $4, true)", low, high, [id_], ["#" + "0" * 32]),
        ("SELECT mo_mask($1, $2, $3, $4, true)", 0, long, [id_], ["8613900000000"]),
    ):
        with pytest.raises(asyncpg.InvalidParameterValueError):
            await ledger.connection.execute(statement, *arguments)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ledger.connection.execute("UPDATE evidence SET pdu = NULL")


_TASK = """
INSERT INTO task (id, account_id, name, state, origin, submitter, type, sign, content, ext, extend_code, one_each,
                  mapping, review, windows, created_at, ended_at)
VALUES ($1, $2, 't', $3, 'api', 'li', 'notice', '', '您好', '', '', 'number', '{}', false, '[]', $4, $4)
"""


async def test_a_task_that_is_over_knows_nobody_and_one_that_comes_round_does(ledger: Ledger) -> None:
    ended = datetime.now(UTC) - timedelta(days=AGO)
    for id_, state in ((1, "finished"), (2, "scheduled")):
        await ledger.connection.execute(_TASK, id_, ledger.account_id, state, ended)
        await ledger.connection.execute(
            "INSERT INTO task_row (task_id, n, line, number, vals) SELECT $1, n, n, $2, '{张三}'"
            " FROM generate_series(1, 2500) n", id_, NUMBER,
        )  # fmt: skip
        await ledger.connection.execute(
            "INSERT INTO task_problem (task_id, run, line, number, code, message, cells)"
            " VALUES ($1, 0, 1, '1380013800x', 'NUMBER_INVALID', '', '{张三}')", id_,
        )  # fmt: skip
    await rule(ledger, 30, 0, 30)
    assert (await forget(ledger)).tasks == 1
    key = await pseudonyms.key(ledger.database, SEALER)
    assert key is not None
    rows = await ledger.connection.fetch("SELECT DISTINCT task_id, number, vals FROM task_row ORDER BY task_id")
    assert [tuple(row) for row in rows] == [(1, pseudonym(key, NUMBER), None), (2, NUMBER, ["张三"])]
    rows = await ledger.connection.fetch("SELECT number, cells FROM task_problem ORDER BY task_id")
    assert [tuple(row) for row in rows] == [("", None), ("1380013800x", ["张三"])]
    assert (await forget(ledger)).tasks == 0


async def test_values_that_stayed_with_a_task_go_by_a_later_rule(ledger: Ledger) -> None:
    await ledger.connection.execute(_TASK, 1, ledger.account_id, "finished", datetime.now(UTC) - timedelta(days=AGO))
    await ledger.connection.execute(
        "INSERT INTO task_row (task_id, n, line, number, vals) VALUES (1, 1, 1, $1, '{张三}')", NUMBER
    )
    await rule(ledger, 30, 0, 30, texts=False)
    assert (await forget(ledger)).tasks == 1
    number, values = await ledger.connection.fetchrow("SELECT number, vals FROM task_row")
    assert (is_pseudonym(number), values) == (True, ["张三"])
    assert (await forget(ledger)).tasks == 0
    await rule(ledger, 30, 0, 30)
    assert (await forget(ledger)).tasks == 1
    assert tuple(await ledger.connection.fetchrow("SELECT number, vals FROM task_row")) == (number, None)


async def test_a_class_that_fails_keeps_no_other_waiting(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    await old(ledger, 2, inbound=30)

    async def slow(*_: object) -> bool:
        raise TimeoutError("asked for too long")

    monkeypatch.setattr(partitions, "unfinished", slow)
    worker = Forgetting(ledger.database, SEALER)
    with pytest.raises(Temporary):
        await worker.run()
    done = await ledger.connection.fetch("SELECT class FROM masked_day WHERE done_at IS NOT NULL AND rows > 0")
    assert {row[0] for row in done} == {"inbound", "pdus"}
    monkeypatch.undo()
    assert (await worker.run()).rows == {"messages": 2}


async def test_it_stops_when_the_night_is_over_and_says_what_is_late(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await delivered(ledger, 5)
    day = (await long_ago(ledger), datetime.now(UTC) - timedelta(days=AGO))[1].astimezone(CHINA).date()
    await rule(ledger, 30, 0, 30)
    monkeypatch.setattr(forgetting, "STEP", 2)
    worker = Forgetting(ledger.database, SEALER)
    nights = iter([True] * 6)
    monkeypatch.setattr(night, "_is_night", lambda: next(nights, False))
    (work,) = worker.periodics()
    await work.step()
    numbers = [r[0] for r in await ledger.connection.fetch("SELECT number FROM message ORDER BY id")]
    assert 0 < sum(map(is_pseudonym, numbers)) < 5
    assert day in worker.late
    monkeypatch.setattr(night, "_is_night", lambda: True)
    await work.step()
    assert all(is_pseudonym(r[0]) for r in await ledger.connection.fetch("SELECT number FROM message"))
    assert worker.late == []


async def test_a_rule_is_never_shorter_than_what_is_owed(ledger: Ledger) -> None:
    await old(ledger, 1)
    longer = least(timedelta(days=30), 15, 3)
    assert longer == {"messages": 46, "inbound": 16, "pdus": 30, "clicks": 2}
    assert (await forget(ledger, longer)).rows == {"pdus": 1}
    assert await ledger.connection.fetchval("SELECT number FROM message") == NUMBER


async def recorded(ledger: Ledger, message_id: int) -> None:
    await ledger.connection.execute(
        "INSERT INTO submit_pdu (message_id, part, attempt, ours, channel_id, at, protocol, pdu) "
        "VALUES ($1, 1, 1, true, $2, now(), 'cmpp20', $3)", message_id, ledger.channels["a"], NUMBER.encode(),
    )  # fmt: skip


async def test_recorded_submits_have_gone_before_numbers_go_and_evidence_does_not_know_of_them(ledger: Ledger) -> None:
    kept_days = dict(config._RANGES)["retention", "submits_days"]
    for open_for, offered, days in ((1, 1, kept_days[1]), (10, 7, 3), (30, 30, kept_days[0]), (30, 1, kept_days[1])):
        shortest = least(timedelta(days=open_for), offered, days)["messages"]
        # Submitted on the last day that it may be open, recorded until midnight, dropped in the round after its days.
        assert shortest >= open_for + 1 + days, (open_for, offered, days)
    ids = await delivered(ledger, 2)
    for id_ in ids:
        await recorded(ledger, id_)
    assert not await problems(ledger)
    today = datetime.now(UTC).astimezone(CHINA).date()
    day = today - timedelta(days=3)
    await change(ledger.dsn, f"SELECT partition_make('submit_pdu', '{day}')")
    by = (3 * 86_400_000) << 22
    await change(ledger.dsn, "UPDATE submit_pdu SET id = id - BY".replace("BY", str(by)))
    assert await drop_old(ledger.connection, today, {"submit_pdu": 3}) == []
    (dropped,) = await drop_old(ledger.connection, today, {"submit_pdu": 2})
    assert dropped == f"submit_pdu_{day:%Y%m%d}"
    assert not await ledger.connection.fetchval("SELECT count(*) FROM submit_pdu")
    assert not await problems(ledger)
    yesterday = today - timedelta(days=1)
    await change(ledger.dsn, f"SELECT partition_make('submit_pdu', '{yesterday}')")
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await ledger.connection.execute("SELECT partition_drop('submit_pdu', $1)", yesterday)


async def test_events_tell_programs_no_hash(ledger: Ledger) -> None:
    await delivered(ledger, 1)
    await ledger.connection.execute("UPDATE message SET number = $1", "#" + "0" * 32)
    rows = await ledger.connection.fetch("SELECT * FROM customer_event WHERE kind = 'report'")
    (said,) = await events.render(ledger.connection, "report", rows)
    assert said is not None
    assert said["to"] == ""


async def test_whether_a_day_is_unfinished_is_asked_of_the_few_that_are_open(ledger: Ledger) -> None:
    """The predicate is that of the index of settled days."""
    assert {state for state in PartState if state < 40} == set(PartState) - FINAL
    await delivered(ledger, 1)
    await long_ago(ledger)
    day = (datetime.now(UTC) - timedelta(days=AGO)).astimezone(CHINA).date()
    while await ledger.connection.fetchval("SELECT partition_index('part', $1)", day):
        pass
    await ledger.connection.execute("SET enable_seqscan = off")
    low, high = day_range(day)
    asked = partitions._UNFINISHED.replace("$1", str(low)).replace("$2", str(high))
    plan = await ledger.connection.fetch(f"EXPLAIN {asked}")
    assert f"part_{day:%Y%m%d}_unfinished" in "\n".join(row[0] for row in plan)
    await ledger.connection.execute("RESET enable_seqscan")
    assert not await partitions.unfinished(ledger.connection, day)
