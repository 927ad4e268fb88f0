"""Changes of channels, their probes, and what operators say of their reports."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import asyncpg

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.report_ids import Spelling
from smsgw.core.words import phrase
from smsgw.pipeline.outcomes import parking
from smsgw.pipeline.outcomes.writer import Outcomes
from smsgw.platform.accounts.extensions import MATCHED_DAYS
from smsgw.platform.change import Change, Unit
from smsgw.store.config.channels import SECRET, profile_context, secret_context
from smsgw.store.engine.database import Row
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import report_ids

FIELDS = (
    "protocol", "host", "port", "username", "password", "access_code", "connections", "window", "rate", "carriers",
    "unknown_policy", "profile", "desired",
)  # fmt: skip
_COLUMN = {"window": "send_window", "password": "password_sealed"}


async def add(change: Change, sealer: Sealer, name: str, fields: Mapping[str, object]) -> int:
    """Make a channel; its id. ``PARAM_INVALID`` for a taken name or impossible values, ``STATE_CONFLICT`` as
    ``_not_both``."""
    values = _stored(name, fields, sealer)
    columns = ", ".join(values)
    places = ", ".join(f"${n}" for n in range(2, len(values) + 2))
    insert = (
        f"INSERT INTO channel (name, {columns}, version) "  # noqa: S608 - names of ours
        f"VALUES ($1, {places}, nextval('config_version')) RETURNING id"
    )
    try:
        async with change.unit(Permission.CHANNEL_EDIT) as unit:
            channel_id: int = await unit.connection.fetchval(insert, name, *values.values())
            await _not_both(unit)
            unit.record("channel.add", f"channel/{name}", after=_public(fields))
    except asyncpg.UniqueViolationError as exc:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("channel.exists", name=name)) from exc
    except (asyncpg.CheckViolationError, asyncpg.NotNullViolationError) as exc:
        raise Invalid("PARAM_INVALID", field="channel", reason=str(exc)) from exc
    return channel_id


async def edit(change: Change, sealer: Sealer, name: str, changes: Mapping[str, object]) -> None:
    """Change fields of a channel; every node follows within seconds. A profile with the masked password of the gateway
    keeps it. ``NOT_FOUND``, ``PARAM_INVALID``, ``STATE_CONFLICT`` as ``_not_both``."""
    values = _stored(name, changes, sealer)
    sets = ", ".join(f"{column} = ${n}" for n, column in enumerate(values, 2))
    update = f"UPDATE channel SET {sets}, version = nextval('config_version') WHERE name = $1"  # noqa: S608
    try:
        async with change.unit(Permission.CHANNEL_EDIT) as unit:
            before = await _locked(unit, name)
            if _keeps_password(changes):
                values["profile"] = _with_password(str(values["profile"]), before["profile"])
            await unit.connection.execute(update, name, *values.values())
            await _not_both(unit)
            known = {f: before[_COLUMN.get(f, f)] for f in changes if f != "password"}
            if "profile" in known:
                known["profile"] = json.loads(known["profile"])
            unit.record("channel.set", f"channel/{name}", before=_public(known), after=_public(changes))
    except (asyncpg.CheckViolationError, asyncpg.NotNullViolationError) as exc:
        raise Invalid("PARAM_INVALID", field="channel", reason=str(exc)) from exc


_LOCK = "SELECT pg_advisory_xact_lock(1633906544)"
"""Who makes or starts channels looks at the others first, one after the other."""
_STARTED = """
SELECT count(*) FILTER (WHERE profile @> '{"simulated": true}') > 0
   AND count(*) FILTER (WHERE NOT profile @> '{"simulated": true}') > 0
FROM channel WHERE removed_at IS NULL AND id > 0 AND desired = 'started'
"""


async def _not_both(unit: Unit) -> None:
    """Simulated and real channels take from the same queues: with both, some real messages would reach nobody.
    ``STATE_CONFLICT``."""
    await unit.connection.execute(_LOCK)
    if await unit.connection.fetchval(_STARTED):
        raise Refused("STATE_CONFLICT", reason=phrase("channel.simulated"))


_MASKED = "***"


def _keeps_password(changes: Mapping[str, object]) -> bool:
    profile = changes.get("profile")
    return isinstance(profile, Mapping) and profile.get(SECRET) == _MASKED


def _with_password(profile: str, before: str) -> str:
    """The profile with the sealed password of the one before."""
    kept = json.loads(before).get(SECRET)
    return json.dumps({**json.loads(profile), SECRET: kept} if kept else {
        key: value for key, value in json.loads(profile).items() if key != SECRET
    })  # fmt: skip


async def _locked(unit: Unit, name: str) -> Row:
    """The row of a channel, held until the end. ``NOT_FOUND``."""
    row = await unit.connection.fetchrow(
        "SELECT * FROM channel WHERE name = $1 AND removed_at IS NULL AND id > 0 FOR UPDATE", name
    )
    if row is None:
        raise Invalid("NOT_FOUND")
    return row


def _stored(name: str, fields: Mapping[str, object], sealer: Sealer) -> dict[str, object]:
    values: dict[str, object] = {}
    for field, value in fields.items():
        if field not in FIELDS:
            raise Invalid("PARAM_INVALID", field=field, reason=phrase("fields.known", known=", ".join(FIELDS)))
        if field == "password":
            value = sealer.seal(str(value), secret_context(name))
        elif field == "profile":
            profile = dict(value)  # type: ignore[call-overload]
            if profile.get(SECRET):
                profile[SECRET] = sealer.seal(str(profile[SECRET]), profile_context(name)).hex()
            value = json.dumps(profile)
        values[_COLUMN.get(field, field)] = value
    return values


def _public(fields: Mapping[str, object]) -> dict[str, object]:
    public = {k: (_MASKED if k == "password" else v) for k, v in fields.items()}
    profile = public.get("profile")
    if isinstance(profile, dict) and profile.get(SECRET):
        public["profile"] = {**profile, SECRET: _MASKED}
    return public


_REMOVE = """
UPDATE channel SET removed_at = now(), desired = 'stopped', version = nextval('config_version')
WHERE name = $1 AND removed_at IS NULL AND id > 0
"""


async def remove(change: Change, name: str) -> None:
    """Take a channel out of use; its history stays. ``NOT_FOUND``."""
    async with change.unit(Permission.CHANNEL_EDIT) as unit:
        if await unit.connection.execute(_REMOVE, name) != "UPDATE 1":
            raise Invalid("NOT_FOUND")
        unit.record("channel.remove", f"channel/{name}")


_KEEP = """
INSERT INTO old_code (channel_id, account_id, sign, code, until)
VALUES ($1, NULL, '', $2, now() + make_interval(days => $3))
"""


async def move_access_code(change: Change, name: str, to: str) -> str:
    """Give a channel another access code, for all accounts that send through it; the former one.

    It takes effect for everything that is written from then on; replies to the former one still find their account for
    ``MATCHED_DAYS``. ``NOT_FOUND``, ``PARAM_INVALID``.
    """
    if not re.fullmatch(r"[0-9]{1,20}", to):
        raise Invalid("PARAM_INVALID", field="access_code", reason=phrase("channel.access_code"))
    async with change.unit(Permission.CODE_EDIT) as unit:
        row = await _locked(unit, name)
        before: str = row["access_code"]
        if before and before != to:
            await unit.connection.execute(_KEEP, row["id"], before, MATCHED_DAYS)
        await unit.connection.execute(
            "UPDATE channel SET access_code = $2, version = nextval('config_version') WHERE id = $1",
            row["id"],
            to,
        )
        unit.record("access_code.move", f"channel/{name}", before={"code": before}, after={"code": to})
    return before


async def set_spelling(change: Change, channel_id: int, spelling: Spelling) -> None:
    """Say how a channel spells ids in answer and report; nothing is learned about it any more."""
    async with change.unit(Permission.CHANNEL_EDIT) as unit:
        await report_ids.set_to(unit.connection, channel_id, spelling)
        unit.record("report.spelling", f"channel/{channel_id}", after={"mode": spelling})


class Prober(Protocol):
    """The channels that run here (``channels.manager``)."""

    async def probe(self, name: str, to: str) -> tuple[int, int]:
        """Send a probe through one of them: (channel id, message id)."""


async def probe(change: Change, prober: Prober, name: str, to: str) -> int:
    """Send a message of the platform's own through a channel that runs here; its id. ``NOT_FOUND``."""
    change.actor.require(Permission.CHANNEL_TEST)
    channel_id, message_id = await prober.probe(name, to)
    async with change.unit(Permission.CHANNEL_TEST) as unit:
        unit.record("channel.probe", f"channel/{channel_id}", after={"message_id": str(message_id)})
    return message_id


async def retry_facts(
    change: Change, outcomes: Outcomes, ids: Sequence[int] | None = None
) -> tuple[int, int]:
    """Try facts again that lie aside, all or these: (applied, refused again)."""
    change.actor.require(Permission.MESSAGE_RESOLVE)
    applied, refused = await parking.retry(change.database, outcomes, ids)
    async with change.unit(Permission.MESSAGE_RESOLVE) as unit:
        unit.record("fact.retry", "facts/parked", after={"applied": applied, "refused": refused})
    return applied, refused
