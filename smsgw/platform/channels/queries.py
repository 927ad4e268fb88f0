"""The statements that read channels, their probes, and what carriers have said that fits nothing."""

from __future__ import annotations

import json
from typing import Any

from smsgw.core.errors import Invalid
from smsgw.core.states import PartState
from smsgw.platform.channels.model import ChannelView, ParkedFact
from smsgw.store.config.channels import SECRET
from smsgw.store.engine.database import Database, Row
from smsgw.store.messages import parked, probing
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
