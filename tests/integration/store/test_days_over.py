"""Days that are over cost writers nothing, however many of them are kept (docs/adr/099)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ledger import LANE, POOL, Ledger, carrier_id

from smsgw.core.ids import first_id
from smsgw.core.model import Outcome, OutcomeKind, Report
from smsgw.core.states import PartState
from smsgw.store.engine import partitions
from smsgw.store.messages import claiming, outcomes, reattempt, sweeps

BEFORE = range(20, 25)
"""How many days ago: nothing of them is open any more."""

_LOCKED = """
SELECT relation::regclass::text AS name FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'
"""


async def test_neither_a_plan_nor_its_run_looks_at_days_that_are_over(ledger: Ledger) -> None:
    connection, now = ledger.connection, datetime.now(UTC)
    today = await connection.fetchval(partitions.TODAY)
    days = [today - timedelta(days=ago) for ago in BEFORE]
    for table in ("message", "part", "attempt"):
        for day in (today, *days):
            await connection.execute("SELECT partition_make($1, $2)", table, day)
    id_, fence = await ledger.accept(), await ledger.fence()
    oldest, newest = first_id(now - timedelta(days=7)), first_id(now + timedelta(hours=1))
    patience = outcomes.Patience(timedelta(days=3), timedelta(minutes=3), timedelta(minutes=5))
    repeated = replace(ledger.call(), callback_url="https://customer.example/")
    async with connection.transaction():
        await ledger.store(repeated, again=True)
        (claimed, _) = await claiming.claim(
            connection, fence, limit=10, queues=[(POOL, LANE)], oldest=oldest, newest=newest
        )
        await claiming.claim_deferred(connection, fence, now=now, limit=10, oldest=oldest)
        outcome = Outcome(id_, 1, claimed.attempt, OutcomeKind.ACCEPTED, carrier_id=carrier_id(claimed))
        assert await reattempt.parts_of_answers(connection, [outcome])
        taken, _ = await outcomes.commit_answers(
            connection, [outcomes.Answer(outcome, now, now + timedelta(days=3))], outcomes.Tally(), patience
        )
        assert [row["state"] for row in taken] == [PartState.SENT]
        report = Report(
            fence.channel_id, carrier_id(claimed), PartState.DELIVERED, "DELIVRD", "", claimed.number, now
        )
        changed, unmatched = await outcomes.match_reports(
            connection, [report], outcomes.Tally(), recent=oldest, oldest=first_id(now - timedelta(days=17)),
            newest=newest,
        )  # fmt: skip
        assert [row["state"] for row in changed] == [PartState.DELIVERED]
        assert not unmatched
        await outcomes.report(connection, {id_: changed}, ledger.ids.next, {ledger.account_id})
        assert not await sweeps.end_report_wait(connection, now, oldest)
        locked = {row["name"] for row in await connection.fetch(_LOCKED)}
    assert partitions.name("part", today) in locked
    over = [f"{day:%Y%m%d}" for day in days]
    assert not {name for name in locked if any(day in name for day in over)}


async def test_what_is_done_for_each_message_looks_at_no_days_to_come(ledger: Ledger) -> None:
    """Neither making the plans nor running them: claims, answers and reports say up to which ids they go."""
    connection, now = ledger.connection, datetime.now(UTC)
    id_, fence = await ledger.accept(), await ledger.fence()
    oldest, newest = first_id(now - timedelta(days=7)), ledger.ids.newest(now)
    patience = outcomes.Patience(timedelta(days=3), timedelta(minutes=3), timedelta(minutes=5))
    async with connection.transaction():
        (claimed,) = await claiming.claim(
            connection, fence, limit=10, queues=[(POOL, LANE)], oldest=oldest, newest=newest
        )
        outcome = Outcome(id_, 1, claimed.attempt, OutcomeKind.ACCEPTED, carrier_id=carrier_id(claimed))
        answer = outcomes.Answer(outcome, now, now + timedelta(days=3))
        assert len((await outcomes.commit_answers(connection, [answer], outcomes.Tally(), patience))[0]) == 1
        report = Report(
            fence.channel_id, carrier_id(claimed), PartState.DELIVERED, "DELIVRD", "", claimed.number, now
        )
        changed, _ = await outcomes.match_reports(
            connection, [report], outcomes.Tally(), recent=oldest, oldest=oldest, newest=newest
        )
        assert [row["state"] for row in changed] == [PartState.DELIVERED]
        locked = {row["name"] for row in await connection.fetch(_LOCKED)}
    today = await connection.fetchval(partitions.TODAY)
    assert partitions.name("part", today) in locked
    ahead = [partitions.name(table, today + timedelta(days=n)) for table in ("part", "message") for n in range(2, 9)]
    assert await connection.fetchval("SELECT count(*) FROM pg_class WHERE relname = ANY($1)", ahead) > 4
    assert not locked & set(ahead)
