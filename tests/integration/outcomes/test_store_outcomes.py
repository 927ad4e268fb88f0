"""What becomes of parts: answers, reports, time, and facts that the ledger refuses, which are laid aside."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import structlog
from ledger import BALANCE, Ledger, carrier_id, upkeep

from smsgw.channels.wire.mapping import INTERMEDIATE
from smsgw.channels.wire.transport import WireTransport
from smsgw.core.errors import Temporary
from smsgw.core.model import ChannelSpec, Claimed, Inbound, Outcome, OutcomeKind, Report, UnknownPolicy
from smsgw.core.retry import Fault
from smsgw.core.states import PartState
from smsgw.pipeline.outcomes import parking
from smsgw.pipeline.outcomes.writer import REMATCH_BY_ITSELF, Sweep
from smsgw.pipeline.upkeep.maintenance import ORPHANS_KEPT
from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.runtime import aio, log
from smsgw.store.engine import group_commit
from smsgw.store.engine.database import connect
from smsgw.store.messages import inbound, outcomes, parked, sweeps
from smsgw.store.messages.inbound import Arrived
from smsgw.store.messages.outcomes import Answer, GivenBack, Tally

S = PartState
K = OutcomeKind


async def unknown(ledger: Ledger, **about: object) -> tuple[int, list[Claimed]]:
    message_id, claimed = await ledger.taken(**about)
    await ledger.answer(K.UNKNOWN, *claimed)
    return message_id, claimed


async def resolve(ledger: Ledger) -> int:
    return await ledger.outcomes.sweep(Sweep(lambda c, now: sweeps.resolve_unknown(c, now, 0)))


async def test_sent_and_delivered_tells_the_customer_once(ledger: Ledger) -> None:
    message_id, (claimed,) = await ledger.taken()
    await ledger.answer(K.ACCEPTED, claimed)
    assert await ledger.state(message_id) is S.SENT
    for _ in range(3):
        await ledger.outcomes.report(ledger.report(claimed))
    await ledger.outcomes.report(ledger.report(claimed, S.UNDELIVERABLE))
    assert await ledger.ended(message_id) == ([S.DELIVERED], ["delivered"])
    assert ledger.outcomes.tally.duplicate_reports == 3


async def test_a_report_before_its_answer_waits_for_it(ledger: Ledger) -> None:
    message_id, (claimed,) = await ledger.taken()
    await ledger.outcomes.report(ledger.report(claimed))
    assert await ledger.state(message_id) is S.SENDING
    await ledger.answer(K.ACCEPTED, claimed)
    assert await ledger.ended(message_id) == ([S.DELIVERED], ["delivered"])
    assert await ledger.orphans() == []


async def test_a_refusal_is_refunded_and_told(ledger: Ledger) -> None:
    message_id, claimed = await ledger.taken(parts=2)
    assert await ledger.balance() == BALANCE - 2
    await ledger.answer(K.REFUSED, claimed[0])
    assert await ledger.balance() == BALANCE - 1
    assert await ledger.events() == []
    await ledger.answer(K.ACCEPTED, claimed[1])
    await ledger.answer(K.REFUSED, claimed[0])  # said again
    await ledger.outcomes.report(ledger.report(claimed[1]))
    assert await ledger.ended(message_id) == ([S.REJECTED, S.DELIVERED], ["failed"])
    assert await ledger.balance() == BALANCE - 1


@pytest.mark.parametrize(
    ("own", "channels", "wait"),
    [
        (None, UnknownPolicy.HOLD, timedelta(hours=72)),
        (None, UnknownPolicy.HOLD_SHORT, timedelta(seconds=180)),
        (None, UnknownPolicy.RESEND, timedelta(seconds=300)),
        ("hold_short", UnknownPolicy.HOLD, timedelta(seconds=180)),
        ("hold", UnknownPolicy.HOLD_SHORT, timedelta(hours=72)),
        ("resend", UnknownPolicy.HOLD, timedelta(seconds=300)),
    ],
)
async def test_the_policy_of_the_message_goes_before_that_of_the_channel(
    ledger: Ledger, own: str | None, channels: UnknownPolicy, wait: timedelta
) -> None:
    message_id, claimed = await ledger.taken(policy=own)
    await ledger.answer(K.UNKNOWN, *claimed, policy=channels)
    until = await ledger.connection.fetchval("SELECT next_at FROM part WHERE id = $1", message_id)
    assert until == ledger.clock + wait


async def test_held_until_its_time_is_over_and_still_corrected_by_a_report(ledger: Ledger) -> None:
    message_id, (claimed,) = await unknown(ledger)
    ledger.later(hours=71)
    assert await resolve(ledger) == 0
    ledger.later(hours=2)
    assert await resolve(ledger) == 1
    assert await resolve(ledger) == 0
    assert await ledger.ended(message_id) == ([S.UNCONFIRMED], ["unconfirmed"])
    # the answer comes after all: it does not change the result, but tells the id by which a report can
    await ledger.answer(K.ACCEPTED, claimed)
    assert await ledger.ended(message_id) == ([S.UNCONFIRMED], ["unconfirmed"])
    for _ in range(2):
        await ledger.outcomes.report(ledger.report(claimed))
    assert await ledger.ended(message_id) == ([S.DELIVERED], ["unconfirmed", "delivered"])
    assert await ledger.balance() == BALANCE - 1


async def test_time_out_and_late_answer_of_one_breath(ledger: Ledger) -> None:
    message_id, (claimed,) = await ledger.taken()
    known = Outcome(claimed.id, 1, 1, K.ACCEPTED, carrier_id="c")
    ledger.outcomes.answered([Outcome(claimed.id, 1, 1, K.UNKNOWN)], UnknownPolicy.HOLD)
    ledger.outcomes.answered([known], UnknownPolicy.HOLD)
    await ledger.outcomes.drain()
    assert await ledger.state(message_id) is S.SENT
    await ledger.answer(K.UNKNOWN, claimed)  # nothing goes back to UNKNOWN
    assert await ledger.state(message_id) is S.SENT


async def test_resend_once_after_the_time_and_never_twice(ledger: Ledger) -> None:
    message_id, (first,) = await ledger.taken(policy="resend")
    await ledger.answer(K.DEFERRED, first)  # a throttled attempt is not a resend
    await ledger.connection.execute("UPDATE part SET next_at = now() - interval '1 second' WHERE state = 11")
    (second,) = await ledger.claim_deferred()
    await ledger.answer(K.UNKNOWN, second)
    ledger.later(seconds=301)
    assert await resolve(ledger) == 1
    assert await ledger.state(message_id) is S.DEFERRED
    (third,) = await ledger.claim_deferred()
    assert third.attempt == 3
    await ledger.answer(K.ACCEPTED, second)  # of an attempt that is over
    assert await ledger.state(message_id) is S.SENDING
    await ledger.answer(K.UNKNOWN, third)
    ledger.later(seconds=301)
    assert await resolve(ledger) == 1
    assert await ledger.ended(message_id) == ([S.UNCONFIRMED], ["unconfirmed"])


@pytest.mark.parametrize("end", ["refused", "expired", "never written"])
async def test_a_resend_that_comes_to_nothing_leaves_the_first_attempt_unknown(ledger: Ledger, end: str) -> None:
    message_id, _ = await unknown(ledger, policy="resend")
    ledger.later(seconds=301)
    await resolve(ledger)
    if end == "expired":
        ledger.later(days=2)
        await ledger.outcomes.sweep(Sweep(lambda c, now: sweeps.expire(c, now, 0)))
    else:
        (second,) = await ledger.claim_deferred()
        if end == "never written":
            ledger.later(days=2)
        await ledger.answer(K.REFUSED if end == "refused" else K.UNSENT, second)
    assert await ledger.ended(message_id) == ([S.UNCONFIRMED], ["unconfirmed"])
    assert await ledger.balance() == BALANCE - 1  # it may have arrived


@pytest.mark.parametrize(
    ("decision", "status"),
    [(S.DELIVERED, ["delivered"]), (S.UNDELIVERABLE, ["failed"]), (S.UNCONFIRMED, ["unconfirmed"]), (S.DEFERRED, [])],
)
async def test_an_operator_decides(ledger: Ledger, decision: S, status: list[str]) -> None:
    message_id, _ = await unknown(ledger, parts=2)

    async def run(connection: asyncpg.Connection, now: object) -> list[asyncpg.Record]:
        return await sweeps.decide_unknown(connection, message_id, 0, int(decision), ledger.clock, "OPERATOR", "me")

    sweep = Sweep(run, {decision: "decided"}, {"actor": "me"})
    assert await ledger.outcomes.sweep(sweep) == 2
    assert await ledger.outcomes.sweep(sweep) == 0
    assert await ledger.states(message_id) == [decision] * 2
    assert await ledger.events() == status
    assert await ledger.connection.fetchval("SELECT count(*) FROM event WHERE kind = 'decided'") == 2


async def test_no_report_in_time_and_one_after_all(ledger: Ledger) -> None:
    message_id, claimed = await ledger.taken(parts=2)
    await ledger.answer(K.ACCEPTED, *claimed)
    await ledger.outcomes.report(ledger.report(claimed[0]))
    ledger.later(hours=73)
    end = Sweep(lambda c, now: sweeps.end_report_wait(c, now, 0))
    assert await ledger.outcomes.sweep(end) == 1
    assert await ledger.outcomes.sweep(end) == 0
    assert await ledger.events() == ["no_report"]
    await ledger.outcomes.report(ledger.report(claimed[1]))
    assert await ledger.ended(message_id) == ([S.DELIVERED, S.DELIVERED], ["no_report", "delivered"])


async def test_a_report_for_what_was_accepted_ten_days_ago_finds_home(ledger: Ledger) -> None:
    """Scheduled for the seventh day, reported on the third after that."""
    message_id, (claimed,) = await ledger.taken()
    await ledger.answer(K.ACCEPTED, claimed)
    ledger.later(days=10)
    await ledger.outcomes.report(ledger.report(claimed))
    assert await ledger.state(message_id) is S.DELIVERED


async def test_a_whole_message_goes_back_to_its_pool(ledger: Ledger) -> None:
    message_id, claimed = await ledger.taken(parts=3)
    await ledger.answer(K.UNSENT, *claimed)
    assert await ledger.states(message_id) == [S.QUEUED] * 3
    await ledger.answer(K.UNSENT, *claimed)  # said twice
    again = await ledger.claim("b")
    assert [(c.part, c.attempt) for c in again] == [(1, 2), (2, 2), (3, 2)]
    await ledger.answer(K.UNSENT, *claimed)  # and once more, of the attempt that is over
    assert await ledger.states(message_id) == [S.SENDING] * 3


async def test_the_rest_of_a_message_stays_with_its_channel(ledger: Ledger) -> None:
    message_id, claimed = await ledger.taken(parts=3)
    await ledger.answer(K.ACCEPTED, claimed[0])
    await ledger.answer(K.UNSENT, *claimed[1:])
    assert await ledger.states(message_id) == [S.SENT, S.DEFERRED, S.DEFERRED]
    assert await ledger.claim("b") == []
    assert [c.part for c in await ledger.claim_deferred()] == [2, 3]


async def test_what_was_given_back_after_its_validity_is_expired_and_refunded(ledger: Ledger) -> None:
    message_id, claimed = await ledger.taken(parts=2)
    ledger.later(days=2)
    await ledger.answer(K.UNSENT, *claimed)
    assert await ledger.ended(message_id) == ([S.EXPIRED] * 2, ["expired"])
    assert await ledger.balance() == BALANCE
    submitted = await ledger.connection.fetchval("SELECT submitted_at FROM customer_event")
    assert submitted is None


async def test_a_temporary_refusal_beyond_the_validity_is_the_end(ledger: Ledger) -> None:
    message_id, (claimed,) = await ledger.taken(valid=timedelta(minutes=5))
    ledger.later(minutes=6)
    await ledger.answer(K.DEFERRED, claimed)
    assert await ledger.ended(message_id) == ([S.EXPIRED], ["expired"])
    assert await ledger.balance() == BALANCE


async def test_queued_and_deferred_expire(ledger: Ledger) -> None:
    queued = await ledger.accept(parts=2, valid=timedelta(minutes=5))
    keeps = await ledger.accept()
    ledger.later(minutes=6)
    expire = Sweep(lambda c, now: sweeps.expire(c, now, 0))
    assert await ledger.outcomes.sweep(expire) == 2
    assert await ledger.states(queued) == [S.EXPIRED] * 2
    (claimed,) = await ledger.claim()
    assert claimed.id == keeps
    await ledger.answer(K.DEFERRED, claimed)
    ledger.later(days=2)
    assert await ledger.outcomes.sweep(Sweep(lambda c, now: sweeps.expire(c, now, 0))) == 1
    assert await ledger.state(keeps) is S.EXPIRED
    assert await ledger.events() == ["expired", "expired"]
    assert await ledger.balance() == BALANCE


async def test_scheduled_messages_are_released_whole(ledger: Ledger) -> None:
    message_id = await ledger.accept(parts=2, state=S.SCHEDULED)
    release = Sweep(lambda c, now: sweeps.release_scheduled(c, now, 0), {S.QUEUED: "released"})
    ledger.clock -= timedelta(minutes=1)
    assert await ledger.outcomes.sweep(release) == 0
    ledger.later(minutes=2)
    assert await ledger.outcomes.sweep(release) == 2
    assert len(await ledger.claim()) == 2
    assert await ledger.states(message_id) == [S.SENDING] * 2


async def test_a_batch_whose_commit_was_lost_is_repeated_without_a_trace(ledger: Ledger, dsn: str) -> None:
    """Everything at once: answers, an early report, a refusal, a gift back, an MO, and then all of it again."""
    ids = [await ledger.accept(parts=n) for n in (1, 1, 2, 1)]
    claimed = await ledger.claim()
    by_id = {i: [c for c in claimed if c.id == i] for i in ids}
    at = ledger.clock
    items = [
        Answer(Outcome(ids[0], 1, 1, K.ACCEPTED, carrier_id="c0"), at, at),
        Answer(Outcome(ids[1], 1, 1, K.REFUSED, code="9"), at, None),
        outcomes.GivenBack(tuple(Outcome(c.id, c.part, 1, K.UNSENT) for c in by_id[ids[2]]), at),
        Answer(Outcome(ids[3], 1, 1, K.UNKNOWN), at, None),
        Report(ledger.channels["a"], "c0", S.DELIVERED, "DELIVRD", "", "1", at),
        Report(ledger.channels["a"], "nobody", S.DELIVERED, "DELIVRD", "", "1", at),
        Arrived(Inbound(ledger.channels["a"], "m1", "1", "106", "hi", at), ledger.account_id, ""),
    ]
    other = await connect(dsn, writer=True)

    async def everything() -> dict[str, list[asyncpg.Record]]:
        tables = "part customer_event receipt_orphan mo mo_part event ledger account stat_minute".split()
        return {t: await ledger.connection.fetch(f"SELECT * FROM {t} ORDER BY 1, 2, 3") for t in tables}  # noqa: S608

    async with other.transaction():
        await ledger.outcomes._commit(other, list(items), False)
    before = await everything()
    async with other.transaction():
        await ledger.outcomes._commit(other, list(items), True)
    await other.close()
    assert await everything() == before
    assert [await ledger.states(i) for i in ids] == [[S.DELIVERED], [S.REJECTED], [S.QUEUED] * 2, [S.UNKNOWN]]
    assert await ledger.events() == ["delivered", "failed"]


async def test_a_sweep_is_not_repeated_when_its_connection_is_lost(ledger: Ledger) -> None:
    message_id, (claimed,) = await ledger.taken()
    ran = 0

    async def slow(connection: asyncpg.Connection, now: object) -> list[asyncpg.Record]:
        nonlocal ran
        ran += 1
        await ledger.connection.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())
        return await connection.fetch("SELECT 1")

    sweep = aio.spawn(ledger.outcomes.sweep(Sweep(slow)), name="sweep")
    await asyncio.sleep(0)
    await ledger.answer(K.ACCEPTED, claimed)
    with pytest.raises(Temporary):
        await sweep
    assert ran == 1
    assert await ledger.state(message_id) is S.SENT


async def test_an_answer_to_a_claim_that_is_not_seen_yet_is_not_taken_for_told(ledger: Ledger, dsn: str) -> None:
    """Or the part would be found claimed by nobody, given back, and sent a second time."""
    message_id = await ledger.accept()
    claiming = await connect(dsn, writer=True)
    try:
        async with claiming.transaction():
            (claimed,) = await ledger.claim(connection=claiming)
            ledger.journal.write([(claimed.id, 1, 1)])
            ledger.outcomes.answered(
                [Outcome(claimed.id, 1, 1, K.ACCEPTED, carrier_id=carrier_id(claimed))], UnknownPolicy.HOLD
            )
            await ledger.outcomes.report(ledger.report(claimed))  # what comes with it is not kept up
            assert await ledger.state(message_id) is S.QUEUED
            assert ledger.journal.is_open((claimed.id, 1, 1))
        async with asyncio.timeout(20):
            while ledger.journal.open_keys():  # noqa: ASYNC110 - another task's
                await asyncio.sleep(0.05)
        assert await ledger.state(message_id) is S.DELIVERED
    finally:
        await claiming.close()


@pytest.mark.parametrize(
    ("kind", "fault", "state"),
    [(K.ACCEPTED, "", S.SENT), (K.DEFERRED, Fault.THROTTLE, S.DEFERRED), (K.REFUSED, Fault.BUSY, S.DEFERRED)],
)
async def test_answers_that_wait_for_another_node_s_transaction_are_all_stored(
    ledger: Ledger, dsn: str, kind: K, fault: str, state: S
) -> None:
    """PostgreSQL 18 may look at no further row of a statement once one of them had to be waited for and was changed
    (its run-time pruning is begun anew by the recheck): what it has passed over is asked for again."""
    for _ in range(12):
        await ledger.accept()
    claimed = sorted(await ledger.claim(), key=lambda one: one.id)
    ledger.journal.write([(one.id, 1, 1) for one in claimed])
    other, now = await connect(dsn, writer=True), datetime.now(UTC)
    theirs = [Outcome(one.id, 1, 1, K.UNKNOWN, code=outcomes.TAKEN_OVER) for one in claimed[:4]]
    patience = outcomes.Patience(*[timedelta(hours=1)] * 3)
    try:
        async with other.transaction():
            await outcomes.commit_answers(other, [Answer(one, now, None) for one in theirs], Tally(), patience)
            code, cls = ("8", "FREQ_CARRIER") if fault else ("", "")
            answers = [Outcome(c.id, 1, 1, kind, carrier_id(c), code, cls, fault=fault) for c in claimed]
            ledger.outcomes.answered(answers, UnknownPolicy.HOLD)
            await ledger.until_blocked()
        async with asyncio.timeout(20):
            while ledger.journal.open_keys():  # noqa: ASYNC110 - another task's
                await asyncio.sleep(0.02)
        assert {await ledger.state(one.id) for one in claimed} == {state}
    finally:
        await other.close()


async def test_a_failed_report_whose_part_another_node_ends_under_way_is_applied(ledger: Ledger, dsn: str) -> None:
    """The retry table takes the failure up; before its part is put aside, a sweep elsewhere says that none has come."""
    ledger.fleet.served_by = lambda pool: frozenset(ledger.channels.values())
    message_id, (claimed,) = await ledger.taken()
    await ledger.answer(K.ACCEPTED, claimed)
    other = await connect(dsn, writer=True)
    try:
        async with other.transaction():
            swept = await sweeps.end_report_wait(other, ledger.clock + timedelta(days=30), 0)
            assert len(swept) == 1
            heard = ledger.outcomes.report(ledger.report(claimed, S.UNDELIVERABLE, code="NOROUTE"))
            await ledger.until_blocked()
        await heard
        assert await ledger.state(message_id) is S.UNDELIVERABLE
        assert await ledger.orphans() == []
    finally:
        await other.close()


async def test_giving_up_and_the_last_part_do_not_both_store(ledger: Ledger, dsn: str) -> None:
    about = (ledger.clock, 7, 3)
    parts = [Inbound(ledger.channels["a"], f"m{n}", "86138", "106", f"part{n} ", *about, n) for n in (1, 2, 3)]
    for part in parts[:2]:
        await ledger.outcomes.inbound(part)
    keeper = await connect(dsn)
    giving_up = keeper.transaction()
    await giving_up.start()
    rows = await inbound.stale_parts(keeper, ledger.clock + timedelta(minutes=1))
    last = ledger.outcomes.inbound(parts[2])
    async with ledger.connection.transaction():  # another node's keeper finds nothing to do
        assert not await inbound.stale_parts(ledger.connection, ledger.clock + timedelta(minutes=1))
    for row in rows:
        await inbound.give_up_joining(keeper, row, None, "", ledger.ids.next)
    await giving_up.commit()
    await last
    await keeper.close()
    stored = await ledger.connection.fetch("SELECT content, complete FROM mo")
    assert [tuple(row) for row in stored] == [("part1 part2 …", False)]


_STRANGERS = """
INSERT INTO receipt_orphan (channel_id, carrier_id, state, code, class, number, received_at)
SELECT $1, 'strange-' || $3::int + n, 40, 'DELIVRD', '', '8613800138000', $2 FROM generate_series(1, $4::int) AS n
"""


async def test_all_reports_that_have_found_no_part_in_time_go_however_many_there_are(ledger: Ledger) -> None:
    """More come in a minute than one step forgets."""
    now, a = datetime.now(UTC), ledger.channels["a"]
    await ledger.connection.execute(_STRANGERS, a, now - ORPHANS_KEPT - timedelta(minutes=1), 0, 3000)
    await ledger.connection.execute(_STRANGERS, a, now - ORPHANS_KEPT + timedelta(hours=1), 3000, 5)
    days = upkeep(ledger.database, outcomes=ledger.outcomes, snapshots=ledger.snapshots, ids=ledger.ids)
    assert await days._orphans() is False
    assert await ledger.connection.fetchval("SELECT count(*) FROM receipt_orphan") == 5


async def test_a_flood_of_strange_reports_is_looked_at_again_in_small_portions(ledger: Ledger) -> None:
    """What comes round is in the way of the answers that come meanwhile; what somebody asks for may take longer."""
    await ledger.connection.execute(_STRANGERS, ledger.channels["a"], datetime.now(UTC), 0, 2 * REMATCH_BY_ITSELF)
    days = upkeep(ledger.database, outcomes=ledger.outcomes, snapshots=ledger.snapshots, ids=ledger.ids)
    last = await ledger.connection.fetchval("SELECT max(id) FROM receipt_orphan")
    put_back = "SELECT count(*) FILTER (WHERE id > $1), count(*) FROM receipt_orphan"
    await days._rematch()
    assert tuple(await ledger.connection.fetchrow(put_back, last)) == (REMATCH_BY_ITSELF, 2 * REMATCH_BY_ITSELF)
    await ledger.outcomes.rematch()
    assert tuple(await ledger.connection.fetchrow(put_back, last)) == (2 * REMATCH_BY_ITSELF, 2 * REMATCH_BY_ITSELF)


NUMBER = "8613800138000"
TEXT = "秘密的短信正文"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "RETRY_MOST", 0.05)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
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


async def test_answer_report_and_message_are_laid_aside_and_applied_later(ledger: Ledger, logged: io.StringIO) -> None:
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
        Inbound(channel, "a", NUMBER, "106", TEXT, at), Inbound(channel, "b", NUMBER, "106", text, at),
        Inbound(channel, "c", NUMBER, "106", "\ud800" + TEXT, at),
        Inbound(channel, "told", NUMBER, "106", "别的" + TEXT[:-2], at), Inbound(2**40, "d", NUMBER, "106", TEXT, at),
    ]  # fmt: skip
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
