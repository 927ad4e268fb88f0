"""What an earlier owner of a channel left behind: decided once, before the channel connects.

A part that is SENDING under an older epoch was claimed and has no committed outcome. The journal says more, for the
epochs that it covers (of the run before, or of this one when a channel starts anew): an ANSWER record is the outcome;
without a WRITE record the part was never written; all others are unknown and stay so until a report, or their policy,
says more.
"""

from __future__ import annotations

import structlog

from smsgw.core.model import Outcome, OutcomeKind, UnknownPolicy
from smsgw.pipeline.outcomes import Outcomes
from smsgw.store import claiming
from smsgw.store.db import Database
from smsgw.store.journal import Journal, Key, Replay

log = structlog.get_logger(__name__)


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
        if journal.owns(claimed_under) and not journal.is_open(key):
            return Outcome(*key, OutcomeKind.UNSENT)
        name = replay.names.get(key, "")
        return Outcome(*key, OutcomeKind.UNKNOWN, carrier_id=name, code="INTERRUPTED")

    counts: dict[OutcomeKind, int] = {}
    after = (0, 0)
    while True:
        async with database.acquire(timeout=30) as connection:
            rows = await claiming.interrupted(connection, channel_id, epoch, after)
        if not rows:
            break
        after = (rows[-1]["id"], rows[-1]["part"])
        judged = [judge((row["id"], row["part"], row["attempt"]), row["epoch"]) for row in rows]
        outcomes.answered([o for o in judged if o.kind is not OutcomeKind.UNSENT], policy)
        outcomes.unsent([o for o in judged if o.kind is OutcomeKind.UNSENT])
        for outcome in judged:
            counts[outcome.kind] = counts.get(outcome.kind, 0) + 1
        await outcomes.drain()
    if counts:
        log.warning("channel.recovered", channel=name, **{str(kind): n for kind, n in counts.items()})
    return counts
