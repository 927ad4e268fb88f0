"""Probes of channels: a message of the platform's own for one channel, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smsgw.core.model import PROBE_ACCOUNT, PROBE_POOL, Lane
from smsgw.core.states import PartState
from smsgw.core.text import Coding
from smsgw.store.engine.cte_batch import enter
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.rows import each
from smsgw.store.engine.states import by_name
from smsgw.store.messages.calls import MESSAGE_TYPES, PART_TYPES, MessageRow, PartRow


@dataclass(frozen=True, slots=True)
class Probe:
    """The last probe of a channel, and the last verdict."""

    channel_id: int
    message_id: int
    number: str
    sent_at: datetime
    judged: bool
    """False: it is under way, and the verdict is that of the one before."""
    ok: bool | None
    detail: str
    judged_at: datetime | None


_LOAD = "SELECT * FROM channel_probe"


async def load(database: Database) -> dict[int, Probe]:
    """Channel id -> its last probe."""
    rows = await database.fetch(_LOAD)
    return dict(each("channel_probe", rows, lambda row: (row["channel_id"], Probe(*row.values()))))


# One node makes it: whoever sees the last one still as it was. A probe that was not judged yet is not overtaken.
_BEGIN = """
INSERT INTO channel_probe AS c (channel_id, message_id, number, sent_at)
VALUES ($1, $2, $3, $4)
ON CONFLICT (channel_id) DO UPDATE
SET message_id = excluded.message_id, number = excluded.number, sent_at = excluded.sent_at, judged = false
WHERE c.judged
RETURNING channel_id
"""

# DEFERRED belongs to its channel: no other one may take it.
_PIN = "UPDATE part SET channel_id = $2 WHERE id = $1"


async def make(
    connection: Connection, *, channel_id: int, message_id: int, number: str, carrier: str, province: str, content: str,
    coding: Coding, now: datetime, expires: datetime,
) -> bool:  # fmt: skip
    """Store a probe, ready to be claimed by its channel; False while another one is under way."""
    if await connection.fetchval(_BEGIN, channel_id, message_id, number, now) is None:
        return False
    message = MessageRow(
        id=message_id, batch_id=message_id, account_id=PROBE_ACCOUNT, origin="cli", type="notice", number=number,
        carrier=carrier, province=province, content=content, sign="", coding=coding.value, parts=1, concat_ref=0,
        price=0, client_ref="", ext="", extend_code="", submitter="probe", refund_failed=False, test=True,
        template_id=0, kind="",
    )  # fmt: skip
    part = PartRow(
        id=message_id, part=1, total=1, account_id=PROBE_ACCOUNT, pool_id=PROBE_POOL, lane=int(Lane.NOTICE),
        state=int(PartState.DEFERRED), unknown_policy="hold_short", next_at=now, expires_at=expires, code="", class_="",
        by_us=False, accepted_at=now, final_at=None,
    )  # fmt: skip
    await enter(connection, "message", MESSAGE_TYPES, [message])
    await enter(connection, "part", PART_TYPES, [part])
    await connection.execute(_PIN, message_id, channel_id)
    return True


_STATE = "SELECT state, code FROM part WHERE id = $1"


async def state_of(database: Database, message_id: int) -> tuple[PartState, str] | None:
    """State and code of a probe; None when it is past its retention."""
    row = await database.fetchrow(_STATE, message_id)
    return None if row is None else (PartState(row["state"]), row["code"])


# The sweep of what waits goes by account, and this one has no row.
_EXPIRE = by_name("""
UPDATE part SET state = :EXPIRED, final_at = $2, next_at = NULL
WHERE id = $1 AND state IN (:QUEUED, :DEFERRED) RETURNING id
""")


async def expire(database: Database, message_id: int, now: datetime) -> bool:
    """End a probe that waits though its validity is over; whether it did."""
    return await database.fetchval(_EXPIRE, message_id, now) is not None


_JUDGE = """
UPDATE channel_probe SET judged = true, ok = COALESCE($3, ok), detail = $4, judged_at = $5
WHERE channel_id = $1 AND message_id = $2
"""


async def judge(database: Database, probe: Probe, *, ok: bool | None, detail: str, now: datetime) -> None:
    """Enter the verdict on a probe; None: it says nothing, and the verdict before it stands."""
    await database.execute(_JUDGE, probe.channel_id, probe.message_id, ok, detail, now)
