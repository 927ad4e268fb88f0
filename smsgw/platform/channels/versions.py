"""Versions of what channels are set to: each change is one, with who, when and why, and may wait for somebody else.

One version of a channel is in force. With the setting ``channel_approval`` a change waits until a second person has
decided; without, it is in force at once. Either way nodes follow within seconds, and an earlier version can be put in
force again. Starting, draining and stopping are no versions: whoever may write channels does it at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import asyncpg

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.accounts.extensions import MATCHED_DAYS
from smsgw.platform.change import Change, Unit
from smsgw.store.config.channels import SECRET
from smsgw.store.engine.database import Connection, Database, Row

MOST_REASON = 200
MOST_SHOWN = 100
FIELDS = (
    "protocol", "host", "port", "username", "access_code", "connections", "window", "rate", "carriers",
    "unknown_policy", "profile",
)  # fmt: skip
"""What a version says, but for its secrets."""
_COLUMN = {"window": "send_window"}
HOT = frozenset({"window", "rate", "unknown_policy"})
"""What running channels follow without connecting anew."""
PASSWORD = "password"  # noqa: S105 - a name


class State(StrEnum):
    """How far a version is."""

    WAITING = "waiting"
    ACTIVE = "active"
    REPLACED = "replaced"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Version:
    """A version; ``config`` has no secrets."""

    channel_id: int
    number: int
    base: int
    state: State
    config: Mapping[str, Any]
    password_of: int
    peer_of: int
    """0: it has none."""
    reason: str
    made_by: ActorLabel
    made_at: datetime
    decided_by: ActorLabel
    decided_at: datetime | None
    answer: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that is otherwise; None: it is not said. Of secrets only that they differ."""

    field: str
    before: Any
    after: Any
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Made:
    """What became of a change of configuration."""

    number: int
    base: int
    """The one that was in force."""
    waiting: bool
    """Somebody else has to approve it first."""


def difference(before: Version | None, after: Version) -> list[Difference]:
    """What is otherwise in ``after``, by field, those of the profile by their own names."""
    old, new = _flat(before.config if before else {}), _flat(after.config)
    found = [
        Difference(key, old.get(key), new.get(key))
        for key in dict.fromkeys((*old, *new))
        if old.get(key) != new.get(key)
    ]
    secrets = ((PASSWORD, "password_of"), (SECRET, "peer_of"))
    return found + [
        Difference(key, None, None, secret=True)
        for key, of in secrets
        if before is not None and getattr(before, of) != getattr(after, of)
    ]


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    flat = {key: config[key] for key in FIELDS if key in config and key != "profile"}
    if "carriers" in flat:
        flat["carriers"] = sorted(flat["carriers"])
    return flat | dict(sorted(config.get("profile", {}).items()))


def reconnects(found: Sequence[Difference]) -> bool:
    """Whether a running channel connects anew to follow it."""
    return any(one.field not in HOT for one in found)


_LIST = "SELECT * FROM channel_version WHERE channel_id = $1 ORDER BY number DESC LIMIT $2"


async def of(database: Database, channel_id: int) -> list[Version]:
    """The versions of a channel, newest first."""
    return [_version(row) for row in await database.fetch(_LIST, channel_id, MOST_SHOWN)]


_ONE = "SELECT * FROM channel_version WHERE channel_id = $1 AND number = $2"


async def one(database: Database | Connection, channel_id: int, number: int) -> Version | None:
    """One of them."""
    row = await database.fetchrow(_ONE, channel_id, number) if 0 < number < 2**31 else None
    return None if row is None else _version(row)


_ACTIVE = "SELECT number FROM channel_version WHERE channel_id = $1 AND state = 'active'"


async def active(database: Database | Connection, channel_id: int) -> int:
    """The version that is in force; 0: none."""
    return await database.fetchval(_ACTIVE, channel_id) or 0


_WAITS = "SELECT number FROM channel_version WHERE channel_id = $1 AND state = 'waiting'"


async def waits(database: Database, channel_id: int) -> int:
    """The version that waits to be approved; 0: none."""
    return await database.fetchval(_WAITS, channel_id) or 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A version that waits for a second person."""

    channel_id: int
    channel: str
    number: int
    made_by: ActorLabel


_ALL_WAIT = """
SELECT c.id AS channel_id, c.name AS channel, v.number, v.made_by
FROM channel_version v JOIN channel c ON c.id = v.channel_id
WHERE v.state = 'waiting' AND c.removed_at IS NULL ORDER BY v.made_at LIMIT $1
"""


async def waiting(database: Database) -> list[Waiting]:
    """Those of all channels, the first first."""
    return [Waiting(**dict(row)) for row in await database.fetch(_ALL_WAIT, MOST_SHOWN)]


def _version(row: Row) -> Version:
    return Version(
        row["channel_id"], row["number"], row["base"], State(row["state"]), json.loads(row["config"]),
        row["password_of"], row["peer_of"], row["reason"], row["made_by"], row["made_at"], row["decided_by"],
        row["decided_at"], row["answer"],
    )  # fmt: skip


# --- changes ---------------------------------------------------------------------------------------------------------

_APPROVAL = "SELECT value = '1'::jsonb FROM setting WHERE name = 'channel_approval'"
_NUMBERS = """
SELECT COALESCE(max(number), 0) AS last, COALESCE(max(number) FILTER (WHERE state = 'active'), 0) AS active,
       COALESCE(max(password_of) FILTER (WHERE state = 'active'), 0) AS password_of,
       COALESCE(max(peer_of) FILTER (WHERE state = 'active'), 0) AS peer_of
FROM channel_version WHERE channel_id = $1
"""
_REPLACE = "UPDATE channel_version SET state = 'replaced' WHERE channel_id = $1 AND state = 'active'"
_INSERT = """
INSERT INTO channel_version (channel_id, number, base, state, config, password_sealed, password_of, peer_sealed,
                             peer_of, reason, made_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""


_FORGO = """
UPDATE channel_version SET state = 'withdrawn', decided_by = $2, decided_at = now()
WHERE channel_id = $1 AND state = 'waiting'
"""


async def _numbers(connection: Connection, channel_id: int) -> tuple[int, int, int, int]:
    """The last version, the one in force, and those whose secrets are: 0 for none."""
    row = await connection.fetchrow(_NUMBERS, channel_id)
    return tuple(row) if row else (0, 0, 0, 0)


async def fresh(connection: Connection, channel_id: int) -> bool:
    """Whether it has versions, and none was ever in force."""
    last, active, _, _ = await _numbers(connection, channel_id)
    return bool(last) and not active


async def approval(database: Database | Connection) -> bool:
    """Whether changes wait for a second person."""
    return bool(await database.fetchval(_APPROVAL))


async def put(
    unit: Unit, channel_id: int, columns: Mapping[str, Any], *, reason: str, waits: bool,
    password: int | None = None, peer: int | None = None,
) -> Made:  # fmt: skip
    """Enter a version with these values of the row of a channel, which is locked. ``waits``: for somebody else; the row
    is not written here. One that waits already gives way where none was ever in force. ``password`` and ``peer``:
    numbers of the version that the secrets are of; None: they are entered with this one, 0: they are those in force.
    ``STATE_CONFLICT`` while one waits already."""
    reason = _reason(reason)
    last, active, password_of, peer_of = await _numbers(unit.connection, channel_id)
    number = last + 1
    if waits and not active:  # nothing of it was ever in force: what is looked at is what was entered last
        await unit.connection.execute(_FORGO, channel_id, unit.actor.label)
    profile = json.loads(columns["profile"])
    peer_sealed = profile.pop(SECRET, "")
    config = {key: columns[_COLUMN.get(key, key)] for key in FIELDS if key != "profile"} | {"profile": profile}
    config["carriers"] = list(config["carriers"])
    if not waits:
        await unit.connection.execute(_REPLACE, channel_id)
    try:
        async with unit.connection.transaction():
            await unit.connection.execute(
                _INSERT, channel_id, number, active,
                State.WAITING if waits else State.ACTIVE, json.dumps(config), columns["password_sealed"],
                number if password is None else password or password_of or number,
                bytes.fromhex(peer_sealed) if peer_sealed else None,
                (number if peer is None else peer or peer_of or number) if peer_sealed else 0, reason,
                unit.actor.label,
            )  # fmt: skip
    except asyncpg.UniqueViolationError as exc:
        raise Refused("STATE_CONFLICT", reason=phrase("channel.version_waits")) from exc
    return Made(number, active, waits)


def _reason(reason: str) -> str:
    reason = " ".join(reason.split())
    if len(reason) > MOST_REASON or not reason.isprintable():
        raise Invalid("PARAM_INVALID", field="reason", reason=phrase("text.between", low=0, high=MOST_REASON))
    return reason


_LOCK = "SELECT id, name FROM channel WHERE id = $1 AND removed_at IS NULL AND id > 0 FOR UPDATE"
_SEALED = "SELECT password_sealed, peer_sealed FROM channel_version WHERE channel_id = $1 AND number = $2"
_WRITE = """
UPDATE channel SET protocol = $2, host = $3, port = $4, username = $5, access_code = $6, connections = $7,
    send_window = $8, rate = $9, carriers = $10, unknown_policy = $11, profile = $12, password_sealed = $13,
    version = nextval('config_version')
WHERE id = $1
"""
_DECIDE = """
UPDATE channel_version SET state = $3, decided_by = $4, decided_at = now(), answer = $5
WHERE channel_id = $1 AND number = $2
"""


async def _waiting(unit: Unit, channel_id: int, number: int) -> tuple[str, Version]:
    """Name of the channel, held until the end, and the version that waits. ``NOT_FOUND``, ``STATE_CONFLICT``."""
    row = await unit.connection.fetchrow(_LOCK, channel_id)
    found = await one(unit.connection, channel_id, number)
    if row is None or found is None:
        raise Refused("NOT_FOUND")
    if found.state is not State.WAITING:
        raise Refused("STATE_CONFLICT", reason=phrase("review.over"))
    return row["name"], found


async def columns_of(connection: Connection, version: Version) -> dict[str, Any]:
    """The values of the row of a channel that is set to a version."""
    sealed = await connection.fetchrow(_SEALED, version.channel_id, version.number)
    if sealed is None:
        raise Refused("NOT_FOUND")
    config = version.config
    secret = {SECRET: sealed["peer_sealed"].hex()} if sealed["peer_sealed"] else {}
    columns = {_COLUMN.get(key, key): config[key] for key in FIELDS if key != "profile"}
    return columns | {
        "profile": json.dumps({**config["profile"], **secret}),
        "password_sealed": sealed["password_sealed"],
    }


_MOVES = "SELECT access_code FROM channel WHERE id = $1 AND access_code NOT IN ('', $2) FOR UPDATE"
_KEEP = """
INSERT INTO old_code (channel_id, account_id, sign, code, until)
VALUES ($1, NULL, '', $2, now() + make_interval(days => $3))
"""


async def write(connection: Connection, channel_id: int, columns: Mapping[str, Any]) -> None:
    """Set a channel to these values. Replies to a former access code find their account for ``MATCHED_DAYS``."""
    former = await connection.fetchval(_MOVES, channel_id, columns["access_code"])
    if former is not None:  # an insertion of nothing would have every node read the codes again
        await keep_code(connection, channel_id, former)
    names = [_COLUMN.get(key, key) for key in FIELDS]
    await connection.execute(_WRITE, channel_id, *(columns[name] for name in names), columns["password_sealed"])


async def keep_code(connection: Connection, channel_id: int, code: str) -> None:
    """Remember a channel's former access code as long as replies to it are matched."""
    await connection.execute(_KEEP, channel_id, code, MATCHED_DAYS)


_TURNS = "SELECT pg_advisory_xact_lock(1633906544)"
"""Who makes, changes or starts channels looks at the others first, one after the other."""
_STARTED = """
SELECT count(*) FILTER (WHERE profile @> '{"simulated": true}') > 0
   AND count(*) FILTER (WHERE NOT profile @> '{"simulated": true}') > 0
FROM channel WHERE removed_at IS NULL AND id > 0 AND desired = 'started'
"""


async def not_both(unit: Unit) -> None:
    """Simulated and real channels take from the same queues: with both, some real messages would reach nobody.
    ``STATE_CONFLICT``."""
    await unit.connection.execute(_TURNS)
    if await unit.connection.fetchval(_STARTED):
        raise Refused("STATE_CONFLICT", reason=phrase("channel.simulated"))


async def approve(change: Change, channel_id: int, number: int, answer: str = "") -> None:
    """Put a version in force that waits, by somebody else than who has made it. ``NOT_FOUND``, ``PARAM_INVALID``;
    ``STATE_CONFLICT`` for one's own, for what was decided, for what was made before another change, and as
    ``not_both``."""
    answer = _reason(answer)
    async with change.unit(Permission.CHANNEL_EDIT) as unit:
        name, found = await _waiting(unit, channel_id, number)
        if found.made_by == unit.actor.label:
            raise Refused("STATE_CONFLICT", reason=phrase("channel.version_own"))
        now = await active(unit.connection, channel_id)
        if now != found.base:
            raise Refused("STATE_CONFLICT", reason=phrase("channel.version_base", base=found.base, now=now))
        await write(unit.connection, channel_id, await columns_of(unit.connection, found))
        await not_both(unit)
        await unit.connection.execute(_REPLACE, channel_id)
        await unit.connection.execute(_DECIDE, channel_id, number, State.ACTIVE, unit.actor.label, answer)
        before = await one(unit.connection, channel_id, found.base)
        unit.record("channel.approve", f"channel/{name}", before={"version": now},
                    after={"version": number, "made_by": found.made_by, "answer": answer,
                           "changes": told(difference(before, found))})  # fmt: skip


async def reject(change: Change, channel_id: int, number: int, answer: str) -> None:
    """Refuse a version that waits, or take one's own back. ``NOT_FOUND``, ``STATE_CONFLICT``."""
    answer = _reason(answer)
    async with change.unit(Permission.CHANNEL_EDIT) as unit:
        name, found = await _waiting(unit, channel_id, number)
        state = State.WITHDRAWN if found.made_by == unit.actor.label else State.REJECTED
        await unit.connection.execute(_DECIDE, channel_id, number, state, unit.actor.label, answer)
        unit.record("channel.reject", f"channel/{name}", before={"version": number, "state": State.WAITING},
                    after={"state": state, "answer": answer})  # fmt: skip


def told(found: Sequence[Difference]) -> dict[str, Any]:
    """Differences for the audit log: field -> before and after, of secrets that they differ."""
    return {one.field: "***" if one.secret else [one.before, one.after] for one in found}
