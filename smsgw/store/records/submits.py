"""Recorded submits: the octets that a channel has written and was answered, and what of them was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages.evidence import EARLY


@dataclass(frozen=True, slots=True)
class RecordedPdu:
    """One PDU of one part."""

    recording: int
    message_id: int
    part: int
    attempt: int
    ours: bool
    """The submit; False: the answer."""
    channel_id: int
    at: datetime
    protocol: str
    """The dialect that was spoken."""
    pdu: bytes


@dataclass(slots=True)
class Tally:
    """What has become of a recording since the last time."""

    kept: int = 0
    left_out: int = 0
    octets: int = 0


# Nothing waits for it, so it waits for no disk either: what a crash of the database takes of it was a diagnosis.
_RELAXED = "SET LOCAL synchronous_commit = off"
_INSERT = """
INSERT INTO submit_pdu (message_id, part, attempt, ours, channel_id, at, protocol, pdu)
SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::smallint[], $4::bool[], $5::int[], $6::timestamptz[], $7::text[],
                     $8::bytea[])
"""
_COUNT = """
UPDATE submit_recording r SET kept = r.kept + t.kept, left_out = r.left_out + t.left_out, octets = r.octets + t.octets
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS t(id, kept, left_out, octets)
WHERE r.id = t.id RETURNING r.id, r.octets
"""
PATIENCE: Final = 10.0


async def write(database: Database, pdus: Sequence[RecordedPdu], tallies: Mapping[int, Tally]) -> dict[int, int]:
    """Store PDUs and count them; recording -> octets that it has by now."""
    async with database.transaction(timeout=PATIENCE) as connection:
        await connection.execute(_RELAXED)
        if pdus:
            await connection.execute(
                _INSERT, [p.message_id for p in pdus], [p.part for p in pdus], [p.attempt for p in pdus],
                [p.ours for p in pdus], [p.channel_id for p in pdus], [p.at for p in pdus], [p.protocol for p in pdus],
                [p.pdu for p in pdus],
            )  # fmt: skip
        counted = sorted(tallies.items())
        rows = await connection.fetch(
            _COUNT, [id_ for id_, _ in counted], [t.kept for _, t in counted], [t.left_out for _, t in counted],
            [t.octets for _, t in counted],
        )  # fmt: skip
    return {row["id"]: row["octets"] for row in rows}


_OF_MESSAGE = f"""
SELECT message_id, part, attempt, ours, channel_id, at, protocol, pdu FROM submit_pdu
WHERE message_id = $1 AND id >= $1 - {EARLY} ORDER BY part, attempt, ours DESC, at LIMIT $2
"""  # noqa: S608 - a constant


async def of_message(source: Database | Connection, message_id: int, limit: int) -> list[Row]:
    """What was recorded of a message, part by part and attempt by attempt, each submit before its answer."""
    return await source.fetch(_OF_MESSAGE, message_id, limit)


_AT_THE_TIME = """
SELECT r.id, r.channel_id, r.left_out, r.octets, c.name AS channel FROM submit_recording r
JOIN channel c ON c.id = r.channel_id
JOIN part p ON p.id = $1 AND p.channel_id = r.channel_id AND p.claimed_at >= r.begun_at
 AND p.claimed_at < COALESCE(r.ended_at, r.until)
ORDER BY r.id LIMIT 1
"""


async def at_the_time(source: Database | Connection, message_id: int) -> Row | None:
    """A recording of a channel that was on when a part of the message went there."""
    return await source.fetchrow(_AT_THE_TIME, message_id)


_SWEEP = "DELETE FROM submit_recording WHERE COALESCE(ended_at, until) < $1"


async def sweep(connection: Connection, before: datetime) -> None:
    """Forget recordings that had ended by then."""
    await connection.execute(_SWEEP, before)
