"""Configuration of channels, and what their owners say about them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from smsgw.core.errors import Invalid
from smsgw.core.model import ChannelSpec, UnknownPolicy
from smsgw.store.config.accounts import BUMP
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit

# The channel of test keys (core.model.TEST_CHANNEL) has a row for others to refer to; what it is, its node knows.
_LOAD = "SELECT * FROM channel WHERE removed_at IS NULL AND id > 0 ORDER BY name"

FIELDS = (
    "protocol", "host", "port", "username", "password", "access_code", "connections", "window", "rate", "carriers",
    "unknown_policy", "profile", "desired",
)  # fmt: skip
_COLUMN = {"window": "send_window", "password": "password_sealed"}
_SECRET = "peer_password"  # noqa: S105 - a name
"""The key of a profile that is a password: sealed inside it."""


def _purpose(name: str) -> str:
    return f"channel/{name}/{_SECRET}"


def _profile(row: Row, sealer: Sealer) -> dict[str, str | int | bool]:
    profile: dict[str, str | int | bool] = json.loads(row["profile"])
    sealed = profile.get(_SECRET)
    if sealed:
        profile[_SECRET] = sealer.open(bytes.fromhex(str(sealed)), _purpose(row["name"]))
    return profile


def _spec(row: Row, sealer: Sealer) -> ChannelSpec:
    return ChannelSpec(
        id=row["id"],
        name=row["name"],
        protocol=row["protocol"],
        host=row["host"],
        port=row["port"],
        username=row["username"],
        password=sealer.open(row["password_sealed"], f"channel/{row['name']}"),
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


async def load_channels(source: Connection | Database, sealer: Sealer) -> list[ChannelSpec]:
    """All channels that were not removed, by name, their passwords opened."""
    return [_spec(row, sealer) for row in await source.fetch(_LOAD)]


def _stored(name: str, fields: Mapping[str, object], sealer: Sealer) -> dict[str, object]:
    values: dict[str, object] = {}
    for field, value in fields.items():
        if field not in FIELDS:
            raise Invalid("PARAM_INVALID", field=field, reason=f"可用字段为 {', '.join(FIELDS)}")
        if field == "password":
            value = sealer.seal(str(value), f"channel/{name}")
        elif field == "profile":
            profile = dict(value)  # type: ignore[call-overload]
            if profile.get(_SECRET):
                profile[_SECRET] = sealer.seal(str(profile[_SECRET]), _purpose(name)).hex()
            value = json.dumps(profile)
        values[_COLUMN.get(field, field)] = value
    return values


def _public(fields: Mapping[str, object]) -> dict[str, object]:
    public = {k: ("***" if k == "password" else v) for k, v in fields.items()}
    profile = public.get("profile")
    if isinstance(profile, dict) and profile.get(_SECRET):
        public["profile"] = {**profile, _SECRET: "***"}
    return public


async def add_channel(
    database: Database, sealer: Sealer, name: str, fields: Mapping[str, object], *, actor: str
) -> int:
    """Make a channel; its id. ``PARAM_INVALID`` for a taken name or impossible values."""
    values = _stored(name, fields, sealer)
    columns = ", ".join(values)
    places = ", ".join(f"${n}" for n in range(2, len(values) + 2))
    try:
        async with database.transaction() as connection:
            channel_id: int = await connection.fetchval(
                f"INSERT INTO channel (name, {columns}, version) VALUES ($1, {places}, nextval('config_version')) "  # noqa: S608
                "RETURNING id",
                name,
                *values.values(),
            )
            await audit.append(
                connection, actor=actor, action="channel.add", object=f"channel/{name}", after=_public(fields)
            )
            await connection.execute(BUMP)
    except asyncpg.UniqueViolationError as exc:
        raise Invalid("PARAM_INVALID", field="name", reason=f"通道 {name} 已存在(含已移除的通道)") from exc
    except (asyncpg.CheckViolationError, asyncpg.NotNullViolationError) as exc:
        raise Invalid("PARAM_INVALID", field="channel", reason=str(exc)) from exc
    return channel_id


async def set_channel(
    database: Database, sealer: Sealer, name: str, changes: Mapping[str, object], *, actor: str
) -> None:
    """Change fields of a channel; every node follows within seconds."""
    values = _stored(name, changes, sealer)
    sets = ", ".join(f"{column} = ${n}" for n, column in enumerate(values, 2))
    try:
        async with database.transaction() as connection:
            before = await connection.fetchrow(
                "SELECT * FROM channel WHERE name = $1 AND removed_at IS NULL AND id > 0 FOR UPDATE", name
            )
            if before is None:
                raise Invalid("NOT_FOUND")
            await connection.execute(
                f"UPDATE channel SET {sets}, version = nextval('config_version') WHERE name = $1",  # noqa: S608
                name,
                *values.values(),
            )
            known = {f: before[_COLUMN.get(f, f)] for f in changes if f != "password"}
            if "profile" in known:
                known["profile"] = json.loads(known["profile"])
            await audit.append(
                connection, actor=actor, action="channel.set", object=f"channel/{name}",
                before=_public(known), after=_public(changes),
            )  # fmt: skip
            await connection.execute(BUMP)
    except (asyncpg.CheckViolationError, asyncpg.NotNullViolationError) as exc:
        raise Invalid("PARAM_INVALID", field="channel", reason=str(exc)) from exc


_REMOVE = """
UPDATE channel SET removed_at = now(), desired = 'stopped', version = nextval('config_version')
WHERE name = $1 AND removed_at IS NULL AND id > 0
"""


async def remove_channel(database: Database, name: str, *, actor: str) -> None:
    """Take a channel out of use; its history stays."""
    async with database.transaction() as connection:
        if await connection.execute(_REMOVE, name) != "UPDATE 1":
            raise Invalid("NOT_FOUND")
        await audit.append(connection, actor=actor, action="channel.remove", object=f"channel/{name}")
        await connection.execute(BUMP)


@dataclass(frozen=True, slots=True)
class ChannelSaid:
    """The last word of a channel's owner."""

    channel_id: int
    node: int
    bound: int
    last_bound_at: datetime | None
    last_error: str
    updated_at: datetime
    bound_ago: float | None
    """Seconds since an owner was last logged in; None: none ever was."""


_SAY = """
INSERT INTO channel_state AS s (channel_id, node, bound, last_bound_at, last_error, updated_at)
SELECT c.id, $1, d.bound, CASE WHEN d.bound > 0 THEN now() END, d.error, now()
FROM unnest($2::int[], $3::int[], $4::text[]) AS d(id, bound, error) JOIN channel c ON c.id = d.id
ON CONFLICT (channel_id) DO UPDATE SET node = excluded.node, bound = excluded.bound,
    last_bound_at = COALESCE(excluded.last_bound_at, s.last_bound_at), last_error = excluded.last_error,
    updated_at = excluded.updated_at
"""


async def say(database: Database, node: int, states: Sequence[tuple[int, int, str]]) -> None:
    """Publish (channel id, bound links, last error) of the channels this node owns."""
    if states:
        await database.execute(
            _SAY, node, [s[0] for s in states], [s[1] for s in states], [s[2] for s in states]
        )


_SAID = """
SELECT channel_id, node, bound, last_bound_at, last_error, updated_at,
       extract(epoch FROM clock_timestamp() - last_bound_at)::float8 AS bound_ago
FROM channel_state
"""


async def said(database: Database) -> dict[int, ChannelSaid]:
    """Channel id -> its owner's last word."""
    return {row["channel_id"]: ChannelSaid(*row.values()) for row in await database.fetch(_SAID)}


_REMOVED = "SELECT id FROM channel WHERE removed_at >= $1"


async def removed_since(database: Database, since: datetime) -> list[int]:
    """Ids of channels that were removed since then."""
    return [row["id"] for row in await database.fetch(_REMOVED, since)]


_POOLS = "SELECT name, id FROM pool"


async def load_pools(source: Connection | Database) -> dict[str, int]:
    """Pool name -> id."""
    return {row["name"]: row["id"] for row in await source.fetch(_POOLS)}
