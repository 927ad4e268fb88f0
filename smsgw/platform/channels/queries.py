"""The statements that read channels, their probes, and what carriers have said that fits nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from smsgw.core.errors import Invalid
from smsgw.core.ids import first_id
from smsgw.core.model import LONGEST_VALIDITY
from smsgw.core.shifting import Shift
from smsgw.core.states import PartState
from smsgw.platform.channels.model import MOST_OWED, ChannelDay, ChannelLoad, ChannelView, ParkedFact, ResultCode
from smsgw.runtime import clock
from smsgw.store.config.channels import SECRET
from smsgw.store.engine.database import Database, Row
from smsgw.store.messages import parked, probing, shifts
from smsgw.store.messages.inbound import Arrived
from smsgw.store.messages.outcomes import Answer, GivenBack
from smsgw.store.messages.report_ids import fits, report_of

_LIST = "SELECT * FROM channel WHERE removed_at IS NULL AND id > 0 AND ($1::text IS NULL OR name = $1) ORDER BY name"


async def channels(database: Database, name: str | None = None) -> list[ChannelView]:
    """Channels that were not removed, by name; that of one name if it is given."""
    return [_view(row) for row in await database.fetch(_LIST, name)]


def _view(row: Row) -> ChannelView:
    profile = json.loads(row["profile"])
    return ChannelView(
        id=row["id"],
        name=row["name"],
        protocol=row["protocol"],
        host=row["host"],
        port=row["port"],
        username=row["username"],
        access_code=row["access_code"],
        connections=row["connections"],
        window=row["send_window"],
        rate=row["rate"],
        carriers=frozenset(row["carriers"]),
        unknown_policy=row["unknown_policy"],
        profile=profile | ({SECRET: "***"} if profile.get(SECRET) else {}),
        desired=row["desired"],
    )


_ID = "SELECT id FROM channel WHERE name = $1"


async def id_of(database: Database, name: str) -> int:
    """The channel of that name, removed or not. ``NOT_FOUND``."""
    found: int | None = await database.fetchval(_ID, name)
    if found is None:
        raise Invalid("NOT_FOUND")
    return found


_ONE = "SELECT * FROM channel WHERE id = $1 AND removed_at IS NULL AND id > 0"


async def get(database: Database, id_: int) -> ChannelView | None:
    """The channel of an id; None: there is none, or it was removed."""
    row = await database.fetchrow(_ONE, id_) if id_ < 2**31 else None
    return None if row is None else _view(row)


_DAY = """
SELECT channel_id, metric, sum(n)::bigint AS n FROM stat_minute
WHERE minute >= $1 AND channel_id > 0 AND metric IN ('submitted', 'delivered', 'failed', 'unknown')
GROUP BY channel_id, metric
"""


async def since(database: Database, start: datetime) -> dict[int, ChannelDay]:
    """Channel -> what has become of its parts since then; channels without any are absent."""
    found: dict[int, dict[str, int]] = {}
    for row in await database.fetch(_DAY, start, timeout=30):
        found.setdefault(row["channel_id"], {})[row["metric"]] = row["n"]
    return {id_: ChannelDay(**counts) for id_, counts in found.items()}


# Bounded, so that the planner looks at the days in which such parts can be, and not at all of them.
_LOAD = f"""
SELECT (SELECT count(*) FROM (SELECT FROM part WHERE state = {PartState.QUEUED.value} AND part = 1
                              AND id >= $4 AND pool_id = ANY($2::int[]) LIMIT $3) q) AS queued,
       (SELECT count(*) FROM (SELECT FROM part WHERE state = {PartState.DEFERRED.value} AND channel_id = $1
                              AND id >= $4 LIMIT $3) d) AS deferred,
       (SELECT count(*) FROM (SELECT FROM part WHERE state = {PartState.SENDING.value} AND channel_id = $1
                              AND id >= $4 LIMIT $3) s) AS sending,
       (SELECT count(*) FROM (SELECT FROM part WHERE state = {PartState.SENT.value} AND channel_id = $1
                              AND id >= $4 LIMIT $3) r) AS unreported,
       (SELECT count(*) FROM (SELECT FROM part WHERE state = {PartState.UNKNOWN.value} AND channel_id = $1
                              LIMIT $3) u) AS unknown
"""  # noqa: S608 - numbers of ours


OWED_FOR = 2 * LONGEST_VALIDITY
"""Parts may wait so long at most, and then be reported."""


async def load(database: Database, channel_id: int, pools: Sequence[int]) -> ChannelLoad:
    """What waits for a channel that serves these pools, and what it still owes."""
    oldest = first_id(clock.now() - OWED_FOR)
    row = await database.fetchrow(_LOAD, channel_id, list(pools), MOST_OWED + 1, oldest, timeout=30)
    return ChannelLoad(**dict(row)) if row else ChannelLoad(0, 0, 0, 0, 0)


CODES_OF = 100_000
"""Parts of all channels, the newest, among which codes are counted."""
_CODES = """
SELECT code, class AS cls, count(*) AS n
FROM (SELECT channel_id, code, class, by_us FROM part WHERE id >= $2 ORDER BY id DESC LIMIT $3) newest
WHERE channel_id = $1 AND code <> '' AND NOT by_us GROUP BY code, class ORDER BY n DESC, code LIMIT $4
"""


async def codes_since(database: Database, channel_id: int, start: datetime, *, limit: int = 20) -> list[ResultCode]:
    """What the carrier has said most since then, of the newest ``CODES_OF`` parts."""
    rows = await database.fetch(_CODES, channel_id, first_id(start), CODES_OF, limit, timeout=30)
    return [ResultCode(**dict(row)) for row in rows]


async def probe_state(database: Database, message_id: int) -> tuple[PartState, str] | None:
    """State and code of a probe; None when it is past its retention."""
    return await probing.state_of(database, message_id)


# --- reports without a message ---------------------------------------------------------------------------------------

_UNMATCHED = """
SELECT o.*, c.name AS channel FROM receipt_orphan o LEFT JOIN channel c ON c.id = o.channel_id
WHERE $1::text IS NULL OR c.name = $1 ORDER BY o.received_at DESC LIMIT $2
"""


async def unmatched_reports(
    database: Database, channel: str | None, *, limit: int, oldest: int
) -> list[dict[str, Any]]:
    """The newest unmatched reports, each with the spelling under which it would fit exactly one waiting part."""
    async with database.acquire() as connection:
        rows = await connection.fetch(_UNMATCHED, channel, limit)
        found = await fits(connection, [report_of(row) for row in rows], oldest=oldest)
    lines = []
    for n, row in enumerate(rows):
        fit = found.get(n, [])
        one = fit[0] if len(fit) == 1 else None
        lines.append(
            {
                "channel": row["channel"] or str(row["channel_id"]), "carrier_id": row["carrier_id"],
                "number": row["number"], "code": row["code"], "received_at": row["received_at"],
                "proposed": str(one[0]) if one else "", "message_id": str(one[1]) if one else "",
            }
        )  # fmt: skip
    return lines


# --- facts that lie aside --------------------------------------------------------------------------------------------


async def parked_facts(database: Database, *, limit: int) -> list[ParkedFact]:
    """What lies aside, oldest first, and why."""
    return [
        ParkedFact(p.id, p.kind, _about(p.fact), p.error, p.node, p.parked_at)
        for p in await parked.list_(database, limit=limit)
    ]


def _about(one: parked.Fact) -> str:
    """Which part or id it is about: no text, no number."""
    match one:
        case Answer(outcome=o):
            return f"message {o.id} part {o.part} attempt {o.attempt}: {o.kind}"
        case GivenBack(outcomes=outcomes):
            return f"message {outcomes[0].id}: never written"
        case Arrived(inbound=inbound):
            return f"channel {inbound.channel_id} id {inbound.carrier_id}"
    return f"channel {one.channel_id} id {one.carrier_id}: {one.code}"


async def shift(database: Database, channel_id: int) -> Shift | None:
    """Why the channel gets less than its share now; None: it does not."""
    return (await shifts.read(database)).get(channel_id)
