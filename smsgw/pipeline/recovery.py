"""What an earlier owner of a channel left behind: decided once, before the channel connects.

A part that is SENDING under an older epoch was claimed and has no committed outcome. The journal says more, for the
epochs that it covers: an ANSWER record is the outcome; without a WRITE record the part was never written; all others
are unknown and stay so until a report, or their policy, says more.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from smsgw.core.ids import first_id
from smsgw.core.model import ChannelSpec, Outcome, OutcomeKind
from smsgw.pipeline.outcomes import Outcomes
from smsgw.store import claiming
from smsgw.store.db import Database
from smsgw.store.journal import Replay

log = structlog.get_logger(__name__)

LOOK_BACK = timedelta(days=8)


async def recover_channel(
    database: Database, outcomes: Outcomes, replay: Replay, spec: ChannelSpec, epoch: int
) -> dict[OutcomeKind, int]:
    """Settle all parts that were in flight when the channel's last owner stopped; how many of each kind."""
    oldest = first_id(datetime.now(UTC) - LOOK_BACK)
    counts: dict[OutcomeKind, int] = {}
    while True:
        async with database.acquire(timeout=30) as connection:
            rows = await claiming.interrupted(connection, spec.id, epoch, oldest)
        if not rows:
            break
        known: list[Outcome] = []
        unsent: list[Outcome] = []
        for row in rows:
            key = (row["id"], row["part"], row["attempt"])
            if key in replay.answers:
                known.append(replay.answers[key])
            elif key not in replay.written and row["epoch"] in replay.epochs:
                unsent.append(Outcome(*key, OutcomeKind.UNSENT))
            else:
                known.append(Outcome(*key, OutcomeKind.UNKNOWN, code="INTERRUPTED"))
        outcomes.answered(known, spec.unknown_policy)
        # They stay with their channel: another part of the same message may have been written there.
        outcomes.unsent(unsent, requeue=False)
        for outcome in known + unsent:
            counts[outcome.kind] = counts.get(outcome.kind, 0) + 1
        await outcomes.drain()
    if counts:
        log.warning("channel.recovered", channel=spec.name, **{str(kind): n for kind, n in counts.items()})
    return counts
