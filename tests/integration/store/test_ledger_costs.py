"""What a message costs the ledger in WAL: an index or a version more on its way is seen here (scripts/ledger)."""

from __future__ import annotations

import asyncpg
from databases import admin
from ledger import Ledger
from ledger_costs import AT_ONCE, Meter, each, live

from smsgw.store.engine import partitions

MOST = {"accept": 1040, "claim": 455, "answer": 475, "report": 1065}
"""Octets of a message of a batch of 500, by stage: what is measured, and some for pages that split. An entry in one
more index is 64 at least."""
MOST_AT_ONCE = 1125
"""Of a message that a channel takes as it is accepted, in a batch of 25: less than both stages apart."""
ROUNDS = 5
N = 1000


async def test_a_message_writes_no_more_than_it_did(ledger: Ledger) -> None:
    """In the best of some rounds: what the server does of itself meanwhile comes on top."""
    await ledger.change("DROP TRIGGER watch ON part")  # a trigger before an update locks the row: that is written, too
    await partitions.ensure(ledger.connection, await ledger.connection.fetchval(partitions.TODAY))
    beside = await asyncpg.connect(admin(ledger.dsn))
    rounds = []
    try:
        for _ in range(ROUNDS):
            meter = Meter(beside)
            await live(ledger, meter, batch=500, batches=N // 500)
            rounds.append(each(meter.costs, N))
    finally:
        await beside.close()
    least = {name: min(told[name][0] for told in rounds) for name in MOST}
    assert {name: wal for name, wal in least.items() if wal > MOST[name]} == {}
    assert min(least.values()) > 300, "nothing is measured"
    assert await ledger.connection.fetchval("SELECT count(*) FROM part WHERE state = 40") == ROUNDS * N


async def test_a_message_that_is_claimed_as_it_is_accepted_writes_less(ledger: Ledger) -> None:
    """And leaves no dead row behind for it."""
    await ledger.change("DROP TRIGGER watch ON part")
    await partitions.ensure(ledger.connection, await ledger.connection.fetchval(partitions.TODAY))
    beside = await asyncpg.connect(admin(ledger.dsn))
    least: dict[bool, float] = {}
    try:
        for _ in range(ROUNDS):
            for at_once in (False, True):
                meter = Meter(beside)
                await live(ledger, meter, batch=25, batches=4, at_once=at_once)
                told = each(meter.costs, 100)
                wal = told[AT_ONCE][0] if at_once else told["accept"][0] + told["claim"][0]
                least[at_once] = min(wal, least.get(at_once, wal))
    finally:
        await beside.close()
    assert 300 < least[True] < MOST_AT_ONCE
    assert least[True] < least[False] - 350
