"""Recordings of what a channel submits and is answered, for the trace: for some hours, then over by themselves.

The octets are those of the wire, with whole numbers and texts: who may change channels asks for them, with a reason;
who may see the PDUs of a message sees them, masked as all others are (docs/adr/079).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.pipeline.outcomes.submit_log import MOST_OCTETS, PER_SECOND as PER_SECOND
from smsgw.platform.change import Change
from smsgw.platform.channels import queries
from smsgw.runtime import clock
from smsgw.store.engine.database import Database, Row

MOST_HOURS: Final = 72
HOURS: Final = (1, 4, 24, 72)
"""Offered on the page."""
LEAST_REASON, MOST_REASON = 2, 200
AVERAGE: Final = 640
"""Octets that a submit and its answer take in the database, with their rows: a text in Chinese of one part."""
MOST_MB: Final = MOST_OCTETS >> 20
"""Of one recording; of what comes after that nothing is kept."""
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Recording:
    """One of a channel, the newest; over or not."""

    id: int
    begun_at: datetime
    begun_by: ActorLabel
    reason: str
    until: datetime
    """When it ends, or has ended."""
    running: bool
    kept: int
    """PDUs."""
    left_out: int
    """Submits of which nothing is kept."""
    octets: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What a recording would keep in a day, at the rate of the last one."""

    submits: int
    """That the channel has made in the last 24 hours."""
    rows: int
    """At most: each submit and its answer, as far as the rate allows."""
    octets: int


_LAST = """
SELECT id, begun_at, begun_by, reason, COALESCE(ended_at, until) AS until, kept, left_out, octets,
       ended_at IS NULL AND until > now() AS running
FROM submit_recording WHERE channel_id = $1 ORDER BY id DESC LIMIT 1
"""


async def last(database: Database, channel_id: int) -> Recording | None:
    """The newest recording of a channel; None: there was none."""
    row = await database.fetchrow(_LAST, channel_id)
    return None if row is None else Recording(**dict(row))


async def expected(database: Database, channel_id: int) -> Expected:
    """What there would be in a day."""
    days = await queries.since(database, clock.now() - timedelta(days=1))
    day = days.get(channel_id)
    submits = day.submitted if day else 0
    kept = min(submits, PER_SECOND * _DAY)
    return Expected(submits, 2 * kept, min(kept * AVERAGE, MOST_MB << 20))


_LOCK = "SELECT name FROM channel WHERE id = $1 AND removed_at IS NULL AND id > 0 FOR UPDATE"
_OVER = "UPDATE submit_recording SET ended_at = until WHERE channel_id = $1 AND ended_at IS NULL AND until <= now()"
_OPEN = "SELECT id, until FROM submit_recording WHERE channel_id = $1 AND ended_at IS NULL"
_BEGIN = """
INSERT INTO submit_recording (channel_id, begun_by, reason, until)
VALUES ($1, $2, $3, now() + make_interval(hours => $4)) RETURNING id, until
"""


async def begin(change: Change, channel_id: int, *, hours: int, reason: str) -> datetime:
    """Record what a channel submits and is answered from now on; when that ends. ``PARAM_INVALID``, ``NOT_FOUND``;
    ``STATE_CONFLICT`` while it is being recorded."""
    if not 1 <= hours <= MOST_HOURS:
        raise Invalid("PARAM_INVALID", field="hours", reason=phrase("number.between", low=1, high=MOST_HOURS))
    reason = " ".join(reason.split())
    if not LEAST_REASON <= len(reason) <= MOST_REASON or not reason.isprintable():
        said = phrase("text.between", low=LEAST_REASON, high=MOST_REASON)
        raise Invalid("PARAM_INVALID", field="reason", reason=said)
    async with change.unit(Permission.CHANNEL_EDIT) as unit:
        name = await unit.connection.fetchval(_LOCK, channel_id)
        if name is None:
            raise Refused("NOT_FOUND")
        await unit.connection.execute(_OVER, channel_id)
        if await unit.connection.fetchrow(_OPEN, channel_id) is not None:
            raise Refused("STATE_CONFLICT", reason=phrase("channel.submits_recorded"))
        row = await unit.connection.fetchrow(_BEGIN, channel_id, unit.actor.label, reason, hours)
        until: datetime = _must(row)["until"]
        unit.record(
            "channel.record_submits", f"channel/{name}", before={"recorded": False},
            after={"recorded": True, "until": until.isoformat(), "reason": reason},
        )  # fmt: skip
    return until


_END = """
UPDATE submit_recording SET ended_at = now(), ended_by = $2
WHERE channel_id = $1 AND ended_at IS NULL AND until > now() RETURNING kept, left_out
"""


async def end(change: Change, channel_id: int) -> None:
    """Record no more; what is there stays for its days. ``NOT_FOUND``; ``STATE_CONFLICT`` when none is on."""
    async with change.unit(Permission.CHANNEL_EDIT) as unit:
        name = await unit.connection.fetchval(_LOCK, channel_id)
        if name is None:
            raise Refused("NOT_FOUND")
        row = await unit.connection.fetchrow(_END, channel_id, unit.actor.label)
        if row is None:
            raise Refused("STATE_CONFLICT", reason=phrase("channel.submits_not_recorded"))
        unit.record("channel.record_submits_end", f"channel/{name}", before={"recorded": True},
                    after={"recorded": False, **dict(row)})  # fmt: skip


def _must(row: Row | None) -> Row:
    if row is None:
        raise Refused("NOT_FOUND")
    return row
