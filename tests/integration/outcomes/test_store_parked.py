"""Facts that the ledger refuses: laid aside as they were said, listed, tried again; and nothing of them in the log."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta

import pytest
import structlog
from ledger import Ledger

from smsgw.channels.wire.mapping import INTERMEDIATE
from smsgw.channels.wire.transport import WireTransport
from smsgw.core.model import ChannelSpec, Inbound, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes import parking
from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.runtime import log
from smsgw.store.engine import group_commit
from smsgw.store.messages import parked
from smsgw.store.messages.inbound import Arrived
from smsgw.store.messages.outcomes import Answer, GivenBack

S = PartState
K = OutcomeKind
NUMBER = "8613800138000"
TEXT = "秘密的短信正文"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Group commits try again soon."""
    monkeypatch.setattr(group_commit, "RETRY_MOST", 0.05)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What the daemon would have logged."""
    monkeypatch.setattr(log, "_setup_libraries", lambda *_: None)
    log.setup("debug", "json")
    stream = io.StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(stream), cache_logger_on_first_use=False)
    yield stream
    structlog.reset_defaults()


TABLES = ("part", "mo_part", "receipt_orphan")


async def refuse(ledger: Ledger) -> None:
    """From now on the ledger takes no part and no message with this carrier's id."""
    check = "ADD CONSTRAINT {}_refused CHECK (carrier_id <> 'refused') NOT VALID"
    await ledger.change(*(f"ALTER TABLE {table} {check.format(table)}" for table in TABLES))


async def allow(ledger: Ledger) -> None:
    await ledger.change(*(f"ALTER TABLE {table} DROP CONSTRAINT {table}_refused" for table in TABLES))


async def test_answer_report_and_message_are_laid_aside_and_applied_when_they_can_be(
    ledger: Ledger, logged: io.StringIO
) -> None:
    message_id, neighbour = await ledger.accept(), await ledger.accept()
    claimed, other = await ledger.claim()
    ledger.journal.write([(claimed.id, 1, 1)])
    await refuse(ledger)
    channel = ledger.channels["a"]
    ledger.outcomes.answered([Outcome(claimed.id, 1, 1, K.ACCEPTED, carrier_id="refused")], UnknownPolicy.HOLD)
    await ledger.answer(K.ACCEPTED, other)
    assert await ledger.state(neighbour) is S.SENT
    report = ledger.outcomes.report(Report(channel, "refused", S.DELIVERED, "DELIVRD", "", NUMBER, ledger.clock))
    inbound = ledger.outcomes.inbound(Inbound(channel, "refused", NUMBER, "106", TEXT, ledger.clock))
    assert [await report, await inbound] == [parking.PARKED] * 2, "the carrier is answered"
    lines = await parked.list_(ledger.database, limit=10)
    assert sorted(line.kind for line in lines) == ["answer", "inbound", "report"]
    refused = {line.kind: line.error for line in lines}
    assert refused["inbound"] == "CheckViolationError 23514 mo_part mo_part_refused"
    assert refused["report"] == "CheckViolationError 23514 receipt_orphan receipt_orphan_refused"
    assert ledger.outcomes.parked == 3
    assert ledger.journal.open_keys() == {(claimed.id, 1, 1)}, "not known to the ledger"
    (finding,) = await parking.findings(ledger.database)
    assert (finding.kind, finding.severity) == ("facts_parked", "critical")

    assert await parking.retry(ledger.database, ledger.outcomes) == (0, 3)
    assert await parked.count(ledger.database) == 3
    assert await ledger.state(message_id) is S.SENDING
    await allow(ledger)
    assert await parking.retry(ledger.database, ledger.outcomes, [lines[0].id]) == (0, 0), "it has a new line"
    assert await parking.retry(ledger.database, ledger.outcomes) == (3, 0)
    assert await parking.findings(ledger.database) == []
    assert not ledger.journal.open_keys()
    await ledger.outcomes.rematch()
    assert await ledger.state(message_id) is S.DELIVERED
    assert await ledger.connection.fetchval("SELECT content FROM mo") == TEXT


async def test_a_fact_comes_back_as_it_was_said(ledger: Ledger) -> None:
    """Also with what no column can hold."""
    at = ledger.clock
    outcome = Outcome(1, 2, 3, K.DEFERRED, "id\0", "code\ud800", "CHANNEL", 1.5, "busy")
    facts: list[parked.Fact] = [
        Answer(outcome, at, at + timedelta(seconds=1), UnknownPolicy.RESEND),
        Answer(outcome, at, None),
        GivenBack((outcome, Outcome(1, 3, 3, K.UNSENT)), at),
        Report(2**40, "x", S.DELIVERED, "c", "", NUMBER, at, 7, True, at),
        Report(1, "x", S.UNDELIVERABLE, "c", "", "", at),
        Arrived(Inbound(1, "i", NUMBER, "106", f"{TEXT}\0", at, 7, 3, 2), None, "12"),
    ]
    for fact in facts:
        await parked.put(ledger.connection, 1, fact, "why")
    assert [line.fact for line in await parked.list_(ledger.database, limit=10)] == facts


async def test_nothing_of_a_refused_fact_stands_in_the_log(ledger: Ledger, logged: io.StringIO) -> None:
    """Refused by the driver, by the server with a detail that repeats the row, and by a mistake of ours."""
    channel, at = ledger.channels["a"], ledger.clock
    await ledger.change(
        "ALTER TABLE mo_part ADD CONSTRAINT no_text CHECK (content NOT LIKE '%正文%');"
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        "  RAISE EXCEPTION 'the number % said %', new.number, new.content; END $$;"
        "CREATE TRIGGER tell BEFORE INSERT ON mo_part FOR EACH ROW WHEN (new.carrier_id = 'told')"
        "  EXECUTE FUNCTION tell()"
    )
    text = f"{TEXT}\0"
    items = [
        Inbound(channel, "a", NUMBER, "106", TEXT, at),
        Inbound(channel, "b", NUMBER, "106", text, at),
        Inbound(channel, "c", NUMBER, "106", "\ud800" + TEXT, at),
        Inbound(channel, "told", NUMBER, "106", "别的" + TEXT[:-2], at),
        Inbound(2**40, "d", NUMBER, "106", TEXT, at),
    ]
    futures = [ledger.outcomes.inbound(item) for item in items]
    for n in range(500):
        if all(future.done() for future in futures):
            break
        await ledger.outcomes.inbound(Inbound(channel, f"good{n}", "8613900139000", "106", "好", at))
    assert [future.result() for future in futures] == [parking.PARKED] * len(items)
    said = logged.getvalue()
    assert said.count("fact.parked") == len(items)
    assert "writer.item_failed" in said
    for secret in (NUMBER, NUMBER[2:], TEXT[:4], "秘密", "正文"):
        assert secret not in said, secret
    for secret in ascii(TEXT)[1:-1].split("\\")[1:3]:
        assert secret not in said


def test_numbers_in_what_is_logged_are_masked_and_ids_are_not(logged: io.StringIO) -> None:
    logger = structlog.get_logger()
    try:
        raise ValueError(f"cannot read {NUMBER}")
    except ValueError:
        logger.exception("x", error=f"to {NUMBER[2:]}: +{NUMBER}", id="1234567890123456789")
    said = logged.getvalue()
    assert NUMBER[2:] not in said
    assert "138****8000" in said
    assert "1234567890123456789" in said
    assert "test_numbers_in_what_is_logged" in said, "where it has happened"


def test_a_delivery_that_cannot_be_read_leaves_no_text_in_the_log(logged: io.StringIO) -> None:
    class Broken:
        def incoming(self, pdu: object) -> object:
            raise RuntimeError("a mistake")

    octets = TEXT.encode("utf-16-be")
    pdu = cmpp.Deliver(src_terminal_id=NUMBER, dest_id="106", msg_fmt=8, msg_content=octets)
    transport = WireTransport.__new__(WireTransport)
    transport._spec = ChannelSpec(1, "a", "cmpp20", "h", 1, "u", "p")
    transport._mapping = Broken()  # type: ignore[assignment]
    assert transport._read(pdu) is INTERMEDIATE
    said = logged.getvalue()
    assert "incoming.failed" in said
    assert "Deliver" in said
    for secret in (NUMBER[2:], "msg_content", "138****", TEXT[:2]):
        assert secret not in said, secret
