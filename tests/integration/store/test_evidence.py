"""Evidence of results: it comes with them, nobody can change it unseen, and days have roots once they are over. Numbers
and texts go when their first time is over: by day, whole, once, and what is proven stays proven."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from databases import change, drop_old
from ledger import Ledger

from smsgw.channels.wire.proofs import readings
from smsgw.core.actor import Actor
from smsgw.core.errors import Temporary
from smsgw.core.ids import CHINA, day_range, first_id
from smsgw.core.model import Claimed, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.pseudonyms import is_pseudonym, pseudonym
from smsgw.core.retention import least
from smsgw.core.states import FINAL, PartState
from smsgw.pipeline.upkeep import retention as night
from smsgw.pipeline.upkeep.retention import RetentionSweep
from smsgw.platform.change import Change
from smsgw.platform.messages import service as messages
from smsgw.protocols.cmpp import reports
from smsgw.protocols.cmpp.pdus import Deliver
from smsgw.protocols.dialects import CMPP20
from smsgw.runtime import clock, config
from smsgw.store.engine import partitions
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import events, report_ids
from smsgw.store.records import audit, evidence, pseudonyms, retention_steps

S, K = PartState, OutcomeKind
SEALER = Sealer(b"e" * 32)
PDU = b"\x00\x01 the PDU of %d"
DAY = 86_400_000 << 22
"""Of ids. Evidence has the database's clock, messages have the test's, which stands: it is some seconds behind."""
YESTERDAY = [text.replace("DAY", str(DAY)) for text in (
    "UPDATE message SET id = id - DAY, batch_id = batch_id - DAY", "UPDATE part SET id = id - DAY",
    "UPDATE evidence SET id = id - DAY - (10000::bigint << 22), message_id = message_id - DAY",
)]  # fmt: skip


def said_of(ledger: Ledger, claimed: Claimed, state: S = S.DELIVERED) -> Report:
    return ledger.report(claimed, state, pdu=PDU % claimed.id)


async def ended(ledger: Ledger, n: int = 3, state: S = S.DELIVERED) -> list[int]:
    ids = []
    for _ in range(n):
        ids.append(await ledger.accept())
        (claimed,) = await ledger.claim()
        await ledger.answer(K.ACCEPTED, claimed)
        await ledger.outcomes.report(said_of(ledger, claimed, state))
    return ids


async def found(ledger: Ledger, *files: Path, **more: Any) -> list[tuple[str, str]]:
    got = await evidence.verify(ledger.database, SEALER, files, now=datetime.now(UTC), **more)
    return [(p.kind, p.about) for p in got.problems]


def at_two(days: int = 0) -> datetime:
    """Two in the morning (China) of today, or so many days after it: the day before is over, and settled."""
    return datetime.now(CHINA).replace(hour=2, minute=0, second=0, microsecond=0) + timedelta(days=days)


async def roots(ledger: Ledger) -> list[evidence.Root]:
    audit.use(lambda: SEALER)
    made = []
    while (root := await evidence.make_root(ledger.database, SEALER, at_two())) is not None:
        made.append(root)
    return made


async def test_a_result_comes_with_the_pdu_that_said_it_though_the_report_was_early(ledger: Ledger) -> None:
    id_, (claimed,) = await ledger.taken()
    await ledger.outcomes.report(said_of(ledger, claimed))  # before its answer
    assert await ledger.connection.fetchval("SELECT count(*) FROM evidence") == 0
    parked = await ledger.connection.fetchrow("SELECT * FROM receipt_orphan")
    assert report_ids.report_of(parked).pdu == PDU % id_
    await ledger.answer(K.ACCEPTED, claimed)
    (row,) = await ledger.connection.fetch("SELECT * FROM evidence")
    assert (row["message_id"], row["part"], row["kind"], row["state"]) == (id_, 1, "report", S.DELIVERED)
    assert (row["pdu"], len(row["salt"])) == (PDU % id_, 16)
    assert row["digest"] == hashlib.sha256(row["salt"] + row["pdu"]).digest()
    assert await found(ledger) == []


async def test_what_a_person_decides_is_a_kind_of_its_own(ledger: Ledger) -> None:
    id_, (claimed,) = await ledger.taken()
    await ledger.answer(K.UNKNOWN, claimed)
    audit.use(lambda: SEALER)
    decide = Change(ledger.database, Actor.operator("li"))
    assert await messages.resolve(decide, ledger.outcomes, id_, 0, "delivered") == 1
    (row,) = await ledger.connection.fetch("SELECT * FROM evidence")
    assert (row["kind"], row["state"], row["pdu"], row["decided_by"]) == ("operator", S.DELIVERED, None, "cli:li")
    assert await found(ledger) == []


async def test_the_root_of_a_day_is_made_when_it_is_over_and_late_reports_are_in_the_next(ledger: Ledger) -> None:
    ids = await ended(ledger)
    late, (claimed,) = await ledger.taken()
    await ledger.answer(K.ACCEPTED, claimed)
    today = datetime.now(UTC).astimezone(CHINA).date()
    audit.use(lambda: SEALER)
    assert await evidence.make_root(ledger.database, SEALER, datetime.now(UTC)) is None
    await change(ledger.dsn, *YESTERDAY)
    (first,) = await roots(ledger)
    assert (first.day, first.leaves) == (today - timedelta(days=1), len(ids))
    said = await ledger.connection.fetchrow("SELECT object, after FROM audit WHERE action = 'evidence.root'")
    assert said["object"] == f"evidence/{first.day}"
    assert json.loads(said["after"])["root"] == first.root.hex()
    await ledger.outcomes.report(said_of(ledger, claimed))  # of a message of yesterday
    assert await ledger.state(late - DAY) is S.DELIVERED
    assert await roots(ledger) == []
    assert await found(ledger) == []
    second = await evidence.make_root(ledger.database, SEALER, at_two(days=1))
    assert (second.day, second.leaves) == (today, 1)
    assert await found(ledger) == []


async def test_the_program_itself_can_change_nothing_of_it(ledger: Ledger) -> None:
    await ended(ledger, 1)
    for statement in ("UPDATE evidence SET code = 'x'", "DELETE FROM evidence", "DELETE FROM evidence_root"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await ledger.connection.execute(statement)


def one(statement: str) -> str:
    return statement.replace("ONE", "WHERE message_id = (SELECT min(message_id) FROM evidence)")


TAMPERED = {
    "a PDU": ("UPDATE evidence SET pdu = pdu || '\\x00' ONE", {"pdu"}),
    "a PDU with its digest": ("UPDATE evidence SET pdu = 'x', digest = sha256(salt || 'x') ONE", {"root"}),
    "a row": ("UPDATE evidence SET code = 'REJECTD' ONE", {"root", "result"}),
    "a row that is gone": ("DELETE FROM evidence ONE", {"root", "unproven"}),
    "a row too many": (
        "INSERT INTO evidence (id, message_id, part, kind, state, channel_id, carrier_id, code, at, digest, pdu, "
        "salt) SELECT id, message_id + 1, part, kind, state, channel_id, carrier_id, code, at, digest, pdu, salt "
        "FROM evidence LIMIT 1",
        {"root"},
    ),
    "a result": ("UPDATE part SET state = 43 WHERE id = (SELECT min(id) FROM part)", {"result"}),
    "a delivery that is said to be of another time": (
        "UPDATE part SET state = 40, final_at = '2020-01-01' WHERE id = (SELECT max(id) FROM part)", {"unproven"},
    ),
    "all of a day": (
        "DO $$ DECLARE name text; BEGIN SELECT 'evidence_' || to_char(min(day), 'YYYYMMDD') INTO name "
        "FROM evidence_root WHERE leaves > 0; EXECUTE 'DROP TABLE ' || name; END $$", {"missing", "root"},
    ),
    "a delivery that nobody reported": (
        "UPDATE part SET state = 40, final_at = now() WHERE id = (SELECT max(id) FROM part)", {"unproven"},
    ),
    "a root": ("UPDATE evidence_root SET root = sha256('x')", {"root", "signature", "anchor"}),
    "a root that is gone": ("DELETE FROM evidence_root", {"missing"}),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
async def test_tampering_is_found(ledger: Ledger, tmp_path: Path, what: str) -> None:
    statement, kinds = TAMPERED[what]
    ids = await ended(ledger)
    await ledger.accept()
    await change(ledger.dsn, *YESTERDAY, "DROP TRIGGER watch ON part")
    anchors = tmp_path / "evidence.anchor"
    anchors.write_text("".join(evidence.line(root, 1) + "\n" for root in await roots(ledger)))
    assert await found(ledger, anchors) == []
    await change(ledger.dsn, one(statement))
    got = await found(ledger, anchors)
    assert {kind for kind, _ in got} == kinds
    if "pdu" in kinds:
        assert got == [("pdu", f"{min(ids) - DAY}/1")]
    ledger.balanced = False


async def test_a_root_made_with_the_rows_it_should_hide_fits_no_anchor(ledger: Ledger, tmp_path: Path) -> None:
    """Who has the key as well, and makes all roots anew, is caught by what was written down outside."""
    await ended(ledger)
    await change(ledger.dsn, *YESTERDAY)
    anchors = tmp_path / "evidence.anchor"
    (root,) = await roots(ledger)
    anchors.write_text(evidence.line(root, 1) + "\n")
    await change(ledger.dsn, one("UPDATE evidence SET code = 'x' ONE"), "UPDATE part SET code = 'x' WHERE id IN "
                 "(SELECT min(message_id) FROM evidence)", "DELETE FROM evidence_root")  # fmt: skip
    assert len(await roots(ledger)) == 1
    assert await found(ledger) == []
    assert await found(ledger, anchors) == [("anchor", "")]


def octets_of(stat: str, number: str, msg_id: int) -> bytes:
    """A CMPP_DELIVER that reports it."""
    said = reports.Report(
        msg_id=msg_id, stat=stat, submit_time="2611261200", done_time="2611261200", dest_terminal_id=number
    )
    return CMPP20.encode(Deliver(
        sequence=7, msg_id=msg_id, dest_id="10690001", src_terminal_id=number, registered_delivery=1,
        msg_content=reports.encode(said, 20),
    ))  # fmt: skip


FALSE: tuple[dict[str, Any], ...] = ({"stat": "UNDELIV"}, {"number": "13900139000"}, {"msg_id": 78})
"""Another state, number and id."""


async def proven(ledger: Ledger, called: int, end: str = "DELIVRD", **false: Any) -> int:
    """A message that its carrier calls by that number, delivered by a report whose PDU says so, or something false."""
    id_, name = await ledger.accept(), f"{called:016x}"
    (claimed,) = await ledger.claim()
    accepted = Outcome(claimed.id, claimed.part, claimed.attempt, K.ACCEPTED, carrier_id=name)
    ledger.outcomes.answered([accepted], UnknownPolicy.HOLD)
    await ledger.outcomes.drain()
    pdu = octets_of(**({"stat": end, "number": claimed.number, "msg_id": called} | false))
    state = S.DELIVERED if end == "DELIVRD" else S.UNDELIVERABLE
    await ledger.outcomes.report(
        Report(ledger.channels["a"], name, state, end, "", claimed.number, ledger.clock, pdu=pdu)
    )
    assert await ledger.state(id_) is state
    return id_


async def read_anew(ledger: Ledger) -> list[tuple[str, str]]:
    return await found(ledger, reads=readings)


async def test_a_record_whose_result_is_not_what_its_pdu_says_is_found(ledger: Ledger) -> None:
    await proven(ledger, 1)
    await proven(ledger, 2, "UNDELIV")
    assert await read_anew(ledger) == []
    wrong = [await proven(ledger, 10 + n, **false) for n, false in enumerate(FALSE)]
    assert await found(ledger) == [], "each digest fits, and nothing was changed since"
    assert sorted(await read_anew(ledger)) == sorted(("said", f"{id_}/1") for id_ in wrong)


async def test_a_result_and_its_row_changed_together_are_found_by_the_pdu_alone(ledger: Ledger) -> None:
    """As whoever rules the database can, before the day has a root."""
    id_ = await proven(ledger, 1)
    await change(ledger.dsn, "DROP TRIGGER watch ON part", "UPDATE part SET state = 41, code = 'UNDELIV'",
                 "UPDATE evidence SET state = 41, code = 'UNDELIV'")  # fmt: skip
    assert await found(ledger) == []
    assert await read_anew(ledger) == [("said", f"{id_}/1")]
    ledger.balanced = False


async def test_octets_that_are_no_report_and_a_pdu_that_came_by_no_channel_prove_nothing(ledger: Ledger) -> None:
    id_ = await proven(ledger, 1)
    assert await read_anew(ledger) == []
    (no_report,) = await ended(ledger, 1)
    assert await read_anew(ledger) == [("said", f"{no_report}/1")], "octets that are no report"
    await change(ledger.dsn, "UPDATE evidence SET channel_id = 999")
    assert sorted(await read_anew(ledger)) == [("said", f"{id_}/1"), ("said", f"{no_report}/1")]


async def test_ids_in_other_spellings_and_those_of_siblings_fit(ledger: Ledger) -> None:
    id_ = await proven(ledger, 0xABCDEF)
    for spelled in (f"{int('abcdef', 16)}", bytes.fromhex(f"{0xABCDEF:016x}")[::-1].hex()):
        await change(ledger.dsn, f"UPDATE evidence SET carrier_id = '{spelled}'")  # noqa: S608
        assert await read_anew(ledger) == [], spelled
    await change(ledger.dsn, "UPDATE evidence SET carrier_id = '1234'", "UPDATE channel SET protocol = 'smpp34'")
    assert await read_anew(ledger) == [], "the part has it, and the channel speaks something else now"
    await change(ledger.dsn, "UPDATE part SET carrier_id = '1234'")
    assert await read_anew(ledger) == [("said", f"{id_}/1")]
    inferred = "INSERT INTO event (id, at, part, kind, detail) SELECT id, now(), 1, 'inferred', '{}' FROM part"
    await change(ledger.dsn, inferred)
    assert await read_anew(ledger) == [], "it was found by its number"


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
    return await RetentionSweep(ledger.database, SEALER, *longer).run()


async def old(ledger: Ledger, n: int, inbound: int = 0, *, texts: bool = True) -> None:
    await ended(ledger, n)
    if inbound:
        await heard(ledger)
    await long_ago(ledger)
    await rule(ledger, 30, inbound, 30, texts=texts)


async def problems(ledger: Ledger) -> list[str]:
    return [kind for kind, _ in await found(ledger)]


async def heard(ledger: Ledger, text: str = "回T退订") -> None:
    await ledger.connection.execute(
        "INSERT INTO mo (id, account_id, channel_id, number, to_code, content, received_at)"
        " VALUES ($1, $2, $3, $4, '1069', $5, now())", ledger.ids.next(), ledger.account_id, ledger.channels["a"],
        NUMBER, text,
    )  # fmt: skip


async def test_nothing_goes_without_a_rule(ledger: Ledger) -> None:
    await ended(ledger)
    await long_ago(ledger)
    done = await forget(ledger)
    assert (done.rows, done.tasks) == ({}, 0)
    assert await ledger.connection.fetchval("SELECT count(*) FROM message WHERE number = $1", NUMBER) == 3
    assert await pseudonyms.key(ledger.database, SEALER) is None


async def test_numbers_become_one_hash_texts_go_and_evidence_holds(ledger: Ledger) -> None:
    await ended(ledger)
    await heard(ledger)
    await long_ago(ledger)
    await ended(ledger, 1)  # of today
    assert await problems(ledger) == []
    await rule(ledger, 30, 30, 30)
    done = await forget(ledger)
    assert done.rows == {"messages": 3, "inbound": 1, "pdus": 3}
    key = await pseudonyms.key(ledger.database, SEALER)
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
    monkeypatch.setattr(retention_steps, "STEP", 2)
    real = retention_steps.numbers

    async def killed(*args: object, **more: object) -> int | None:
        if args[3]:  # the second step of a day
            raise asyncio.CancelledError
        return await real(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(retention_steps, "numbers", killed)
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

    monkeypatch.setattr(retention_steps, "numbers", noted)
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
    await ended(ledger, 1)
    await ledger.accept()  # stays queued
    await long_ago(ledger)
    await change(ledger.dsn, "DELETE FROM evidence_root")
    await rule(ledger, 30, 0, 30)
    assert (await forget(ledger)).rows == {}
    ledger.balanced = False


async def test_octets_that_were_taken_away_by_anybody_else_are_found(ledger: Ledger) -> None:
    await ended(ledger, 2)
    await long_ago(ledger)
    await change(ledger.dsn, "UPDATE evidence SET pdu = NULL, salt = NULL")
    assert await problems(ledger) == ["pdu", "pdu"]


async def test_the_program_can_forget_nothing_that_is_new(ledger: Ledger) -> None:
    await ended(ledger, 1)
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
            " VALUES ($1, 0, 1, '1380013800x', 'NUMBER_INVALID', '', '{张三}')",
            id_,
        )
    await rule(ledger, 30, 0, 30)
    assert (await forget(ledger)).tasks == 1
    key = await pseudonyms.key(ledger.database, SEALER)
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
    worker = RetentionSweep(ledger.database, SEALER)
    with pytest.raises(Temporary):
        await worker.run()
    done = await ledger.connection.fetch("SELECT class FROM masked_day WHERE done_at IS NOT NULL AND rows > 0")
    assert {row[0] for row in done} == {"inbound", "pdus"}
    monkeypatch.undo()
    assert (await worker.run()).rows == {"messages": 2}


async def test_it_stops_with_the_night_and_says_what_is_late(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    await ended(ledger, 5)
    day = (await long_ago(ledger), datetime.now(UTC) - timedelta(days=AGO))[1].astimezone(CHINA).date()
    await rule(ledger, 30, 0, 30)
    monkeypatch.setattr(retention_steps, "STEP", 2)
    worker = RetentionSweep(ledger.database, SEALER)
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
    ids = await ended(ledger, 2)
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
    await ended(ledger, 1)
    await ledger.connection.execute("UPDATE message SET number = $1", "#" + "0" * 32)
    rows = await ledger.connection.fetch("SELECT * FROM customer_event WHERE kind = 'report'")
    (said,) = await events.render(ledger.connection, "report", rows)
    assert said["to"] == ""


async def test_whether_a_day_is_unfinished_is_asked_of_the_few_that_are_open(ledger: Ledger) -> None:
    """The predicate is that of the index of settled days."""
    assert {state for state in PartState if state < 40} == set(PartState) - FINAL
    await ended(ledger, 1)
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
