"""What an earlier owner of a channel left behind: decided once, before the channel connects.

A part that is SENDING under an older epoch was claimed and has no committed outcome. The journal says more, for the
epochs that it covers (of the run before, or of this one when a channel starts anew): an ANSWER record is the outcome;
without a WRITE record the part was never written; all others are unknown and stay so until a report, or their policy,
says more – or, when another node has taken the channel over, until the journal of the node that had claimed them does.
"""

from __future__ import annotations

from collections.abc import Collection

import structlog

from smsgw.core.model import Outcome, OutcomeKind, UnknownPolicy
from smsgw.pipeline.outcomes.writer import Outcomes
from smsgw.runtime import failpoints
from smsgw.store.engine.database import Database
from smsgw.store.engine.journal import Journal, Key, Replay
from smsgw.store.messages import claiming
from smsgw.store.messages.outcomes import TAKEN_OVER

log = structlog.get_logger(__name__)

INTERRUPTED = "INTERRUPTED"
"""Code of parts that may have been written when their owner died; its journal says no more."""


async def recover_channel(
    database: Database,
    outcomes: Outcomes,
    journal: Journal,
    replay: Replay,
    *,
    channel_id: int,
    name: str,
    policy: UnknownPolicy,
    epoch: int,
) -> dict[OutcomeKind, int]:
    """Settle all parts that were in flight when the channel's last owner stopped; how many of each kind."""

    def judge(key: Key, claimed_under: int) -> Outcome:
        if key in replay.answers:
            return replay.answers[key]
        if key not in replay.written and claimed_under in replay.epochs:
            return Outcome(*key, OutcomeKind.UNSENT)
        if journal.owns(claimed_under) and key not in written:
            return Outcome(*key, OutcomeKind.UNSENT)
        known = claimed_under in replay.epochs or journal.owns(claimed_under)
        code = INTERRUPTED if known else TAKEN_OVER
        return Outcome(*key, OutcomeKind.UNKNOWN, carrier_id=replay.names.get(key, ""), code=code)

    counts: dict[OutcomeKind, int] = {}
    after = (0, 0)
    while True:
        # Taken before the rows are read: what is settled meanwhile must not look as if it had never been written.
        written = journal.open_keys()
        async with database.acquire(timeout=30) as connection:
            rows = await claiming.interrupted(connection, channel_id, epoch, after)
        if not rows:
            break
        after = (rows[-1]["id"], rows[-1]["part"])
        judged = [judge((row["id"], row["part"], row["attempt"]), row["epoch"]) for row in rows]
        failpoints.reach("recovery.read")
        outcomes.answered([o for o in judged if o.kind is not OutcomeKind.UNSENT], policy)
        outcomes.unsent([o for o in judged if o.kind is OutcomeKind.UNSENT])
        for outcome in judged:
            counts[outcome.kind] = counts.get(outcome.kind, 0) + 1
        await outcomes.drain()
        failpoints.reach("recovery.committed")
    if counts:
        log.warning("channel.recovered", channel=name, **{str(kind): n for kind, n in counts.items()})
    return counts


async def correct_taken_over(database: Database, outcomes: Outcomes, replay: Replay) -> dict[OutcomeKind, int]:
    """What another node has called unknown and this node's journal knows better, told at its start; how many of each.

    The next owner had only the database: what this node had claimed and not written, or what had been answered, it
    could not tell. Must be done before the segments of the journal are let go.
    """
    counts: dict[OutcomeKind, int] = {}
    if not replay.epochs and not replay.answers:
        return counts
    after = (0, 0)
    while True:
        async with database.acquire(timeout=30) as connection:
            rows = await claiming.taken_over(connection, after)
        if not rows:
            break
        after = (rows[-1]["id"], rows[-1]["part"])
        known, unsent = [], []
        for row in rows:
            key = (row["id"], row["part"], row["attempt"])
            if key in replay.answers:
                known.append(replay.answers[key])
            elif key in replay.written:
                name = replay.names.get(key, "")
                known.append(Outcome(*key, OutcomeKind.UNKNOWN, carrier_id=name, code=INTERRUPTED))
            elif row["epoch"] in replay.epochs:
                unsent.append(Outcome(*key, OutcomeKind.UNSENT))
        outcomes.answered(known, UnknownPolicy.HOLD)
        outcomes.unsent(unsent)
        for outcome in (*known, *unsent):
            counts[outcome.kind] = counts.get(outcome.kind, 0) + 1
        await outcomes.drain()
    if counts:
        log.warning("channels.corrected", **{str(kind): n for kind, n in counts.items()})
    return counts


async def give_back_unwritten(database: Database, outcomes: Outcomes, journal: Journal, epochs: Collection[int]) -> int:
    """What another owner has called unknown of what was claimed here under these epochs and never written; how many.

    A claim whose answer came too late, or never, was in nobody's hands when the lease was over: the next owner could
    not know that, and this process does, while it lives.
    """
    given_back, after = 0, (0, 0)
    while True:
        known = journal.open_keys()  # before the rows are read: what is settled meanwhile is no such row any more
        async with database.acquire(timeout=30) as connection:
            rows = await claiming.taken_over(connection, after)
        if not rows:
            break
        after = (rows[-1]["id"], rows[-1]["part"])
        keys = [(r["id"], r["part"], r["attempt"]) for r in rows if r["epoch"] in epochs]
        unsent = [Outcome(*key, OutcomeKind.UNSENT) for key in keys if key not in known]
        outcomes.unsent(unsent)
        given_back += len(unsent)
        await outcomes.drain()
    if given_back:
        log.warning("channels.gave_back", parts=given_back, why="claimed here, taken over, and never written")
    return given_back
