"""Evidence of results: it comes with them, nobody can change it unseen, and days have roots once they are over."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from databases import change
from ledger import Ledger

from smsgw.channels.wire.proofs import readings
from smsgw.core.actor import Actor
from smsgw.core.ids import CHINA
from smsgw.core.model import Claimed, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.states import PartState
from smsgw.platform.change import Change
from smsgw.platform.messages import service as messages
from smsgw.protocols.cmpp import reports
from smsgw.protocols.cmpp.pdus import Deliver
from smsgw.protocols.dialects import CMPP20
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import report_ids
from smsgw.store.records import audit, evidence

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
    """Messages of which the carrier has said how they ended."""
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
    """Those of days that are over today."""
    audit.use(lambda: SEALER)
    made = []
    while (root := await evidence.make_root(ledger.database, SEALER, at_two())) is not None:
        made.append(root)
    return made


async def test_a_result_comes_with_the_pdu_that_said_it_though_the_report_was_early(ledger: Ledger) -> None:
    id_ = await ledger.accept()
    (claimed,) = await ledger.claim()
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
    id_ = await ledger.accept()
    (claimed,) = await ledger.claim()
    await ledger.answer(K.UNKNOWN, claimed)
    audit.use(lambda: SEALER)
    decide = Change(ledger.database, Actor.operator("li"))
    assert await messages.resolve(decide, ledger.outcomes, id_, 0, "delivered") == 1
    (row,) = await ledger.connection.fetch("SELECT * FROM evidence")
    assert (row["kind"], row["state"], row["pdu"], row["decided_by"]) == ("operator", S.DELIVERED, None, "cli:li")
    assert await found(ledger) == []


async def test_the_root_of_a_day_is_made_when_it_is_over_and_late_reports_are_in_the_next(ledger: Ledger) -> None:
    ids = await ended(ledger)
    late = await ledger.accept()
    (claimed,) = await ledger.claim()
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
    assert second is not None
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


# --- what PDUs say ---------------------------------------------------------------------------------------------------


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
