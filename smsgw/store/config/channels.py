"""Channels, as the configuration in memory has them, and what their owners say about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from smsgw.core.model import ChannelSpec, SubmitRecording, UnknownPolicy
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.rows import each
from smsgw.store.engine.secrets import Sealer

# The channel of test keys (core.model.TEST_CHANNEL) has a row for others to refer to; what it is, its node knows.
_LOAD = """
SELECT c.*, r.id AS recording_id, r.until AS recording_until
FROM channel c LEFT JOIN submit_recording r ON r.channel_id = c.id AND r.ended_at IS NULL AND r.until > now()
WHERE c.removed_at IS NULL AND c.id > 0 ORDER BY c.name
"""

SECRET = "peer_password"  # noqa: S105 - a name
"""The key of a profile that is a password: sealed inside it."""


def secret_context(name: str) -> str:
    """What the password of a channel is sealed for."""
    return f"channel/{name}"


def profile_context(name: str) -> str:
    """What the password of a profile is sealed for."""
    return f"channel/{name}/{SECRET}"


def _profile(row: Row, sealer: Sealer) -> dict[str, str | int | bool]:
    profile: dict[str, str | int | bool] = json.loads(row["profile"])
    sealed = profile.get(SECRET)
    if sealed:
        profile[SECRET] = sealer.open(bytes.fromhex(str(sealed)), profile_context(row["name"]))
    return profile


def spec_of(row: Row, sealer: Sealer) -> ChannelSpec:
    """The channel of a row, its passwords opened."""
    return ChannelSpec(
        id=row["id"],
        name=row["name"],
        protocol=row["protocol"],
        host=row["host"],
        port=row["port"],
        username=row["username"],
        password=sealer.open(row["password_sealed"], secret_context(row["name"])),
        access_code=row["access_code"],
        connections=row["connections"],
        window=row["send_window"],
        rate=row["rate"],
        carriers=frozenset(row["carriers"]),
        unknown_policy=UnknownPolicy(row["unknown_policy"]),
        desired=row["desired"],
        profile=_profile(row, sealer),
        version=row["version"],
    )


def _recording(row: Row) -> SubmitRecording | None:
    return None if row["recording_id"] is None else SubmitRecording(row["recording_id"], row["recording_until"])


async def load_channels(source: Connection | Database, sealer: Sealer) -> list[ChannelSpec]:
    """All channels that were not removed, by name, their passwords opened."""
    rows = await source.fetch(_LOAD)
    return each("channel", rows, lambda row: replace(spec_of(row, sealer), recording=_recording(row)))


@dataclass(frozen=True, slots=True)
class ChannelSaid:
    """The last word of a channel's owner."""

    channel_id: int
    node: int
    bound: int
    last_bound_at: datetime | None
    last_error: str
    ago: float
    """Seconds since it was said."""
    refused: bool
    """The carrier does not let it in."""
    bound_ago: float | None
    """Seconds since an owner was last logged in; None: none ever was."""


_SAY = """
INSERT INTO channel_state AS s (channel_id, node, bound, last_bound_at, last_error, updated_at, refused)
SELECT c.id, $1, d.bound, CASE WHEN d.bound > 0 THEN now() END, d.error, now(), d.refused
FROM unnest($2::int[], $3::int[], $4::text[], $5::bool[]) AS d(id, bound, error, refused) JOIN channel c ON c.id = d.id
ON CONFLICT (channel_id) DO UPDATE SET node = excluded.node, bound = excluded.bound,
    last_bound_at = COALESCE(excluded.last_bound_at, s.last_bound_at), last_error = excluded.last_error,
    updated_at = excluded.updated_at, refused = excluded.refused
"""


async def say(database: Database, node: int, states: Sequence[tuple[int, int, str, bool]]) -> None:
    """Publish (channel id, bound links, last error, whether it is refused) of the channels this node owns."""
    if states:
        await database.execute(
            _SAY, node, [s[0] for s in states], [s[1] for s in states], [s[2] for s in states], [s[3] for s in states]
        )


_SAID = """
SELECT channel_id, node, bound, last_bound_at, last_error, refused,
       extract(epoch FROM clock_timestamp() - updated_at)::float8 AS ago,
       extract(epoch FROM clock_timestamp() - last_bound_at)::float8 AS bound_ago
FROM channel_state
"""


async def said(database: Database) -> dict[int, ChannelSaid]:
    """Channel id -> its owner's last word."""
    return {row["channel_id"]: ChannelSaid(**row) for row in await database.fetch(_SAID)}


_REMOVED = "SELECT id FROM channel WHERE removed_at >= $1"


async def removed_since(database: Database, since: datetime) -> list[int]:
    """Ids of channels that were removed since then."""
    return [row["id"] for row in await database.fetch(_REMOVED, since)]


_POOLS = "SELECT name, id FROM pool"


async def load_pools(source: Connection | Database) -> dict[str, int]:
    """Pool name -> id."""
    return {row["name"]: row["id"] for row in await source.fetch(_POOLS)}
