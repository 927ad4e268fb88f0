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
from smsgw.platform.change import Change, Unit
from smsgw.platform.channels import versions
from smsgw.platform.channels.versions import Made
from smsgw.store.config.channels import SECRET, profile_context, secret_context
from smsgw.store.engine.database import Row
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import report_ids

FIELDS = (
    "protocol", "host", "port", "username", "password", "access_code", "connections", "window", "rate", "carriers",
    "unknown_policy", "profile", "desired",
)  # fmt: skip
_COLUMN = {"window": "send_window", "password": "password_sealed"}


async def add(change: Change, sealer: Sealer, name: str, fields: Mapping[str, object], *, reason: str = "") -> int:
    """Make a channel; its id. Where changes need a second person it is stopped until its first version is approved.
    ``PARAM_INVALID`` for a taken name or impossible values, ``STATE_CONFLICT`` as ``versions.not_both``."""
    values = {"desired": "started"} | _stored(name, fields, sealer)
    columns = ", ".join(values)
    places = ", ".join(f"${n}" for n in range(2, len(values) + 2))
    insert = (
        f"INSERT INTO channel (name, {columns}, version) "  # noqa: S608 - names of ours
        f"VALUES ($1, {places}, nextval('config_version')) RETURNING id"
    )
    try:
        async with change.unit(Permission.CHANNEL_EDIT) as unit:
            waits = await versions.approval(unit.connection)
            if waits:
                values["desired"] = "stopped"
            channel_id: int = await unit.connection.fetchval(insert, name, *values.values())
            await versions.not_both(unit)
            row = await _locked(unit, name)
            await versions.put(unit, channel_id, dict(row), reason=reason, waits=waits)
            unit.record("channel.add", f"channel/{name}", after=_public(fields))
    except asyncpg.UniqueViolationError as exc:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("channel.exists", name=name)) from exc
    return channel_id


async def edit(
    change: Change, sealer: Sealer, name: str, changes: Mapping[str, object], *, reason: str = ""
) -> Made | None:
    """Change fields of a channel; every node follows within seconds, or once somebody else has approved it where that
    is set. The version that is made; None: the channel is only started, drained or stopped, which is done at once. A
    profile with the masked password of the gateway keeps it. ``NOT_FOUND``, ``PARAM_INVALID``, ``STATE_CONFLICT`` as
    ``versions.not_both``, while a version waits, and for a start before the first version was approved."""
    values = _stored(name, changes, sealer)
    async with change.unit(Permission.CHANNEL_EDIT) as unit:
        before = await _locked(unit, name)
        keeps = _keeps_password(changes)
        if keeps:
            values["profile"] = _with_password(str(values["profile"]), before["profile"])
        desired = values.pop("desired", None)
        if desired is not None:
            await _turn(unit, before["id"], str(desired))
        made = None
        if values:
            waits = await versions.approval(unit.connection)
            after = dict(before) | values
            if not waits or await versions.fresh(unit.connection, before["id"]):
                await versions.write(unit.connection, before["id"], after)
            made = await versions.put(
                unit, before["id"], after, reason=reason, waits=waits,
                password=None if "password" in changes else 0,
                peer=0 if keeps or "profile" not in changes else None,
            )  # fmt: skip
        await versions.not_both(unit)
        known = {f: before[_COLUMN.get(f, f)] for f in changes if f != "password"}
        if "profile" in known:
            known["profile"] = json.loads(known["profile"])
        action = "channel.propose" if made and made.waiting else "channel.set"
        said = _public(changes) | ({"version": made.number} if made else {})
        said |= {"reason": reason} if reason else {}
        unit.record(action, f"channel/{name}", before=_public(known), after=said)
    return made


_TURN = "UPDATE channel SET desired = $2, version = nextval('config_version') WHERE id = $1"
_APPROVED = "SELECT count(*) = 0 OR bool_or(state = 'active') FROM channel_version WHERE channel_id = $1"


async def _turn(unit: Unit, channel_id: int, desired: str) -> None:
    if desired == "started" and not await unit.connection.fetchval(_APPROVED, channel_id):
        raise Refused("STATE_CONFLICT", reason=phrase("channel.not_approved"))
    await unit.connection.execute(_TURN, channel_id, desired)


_BY_ID = "SELECT * FROM channel WHERE id = $1 AND removed_at IS NULL AND id > 0 FOR UPDATE"


async def roll_back(change: Change, channel_id: int, number: int, *, reason: str = "", seen: int | None = None) -> Made:
    """Set a channel to what an earlier version says, its passwords included, as a new version: in force at once, or
    once somebody else has approved it. ``seen``: the version that was in force when the person looked. ``NOT_FOUND``,
    ``PARAM_INVALID``; ``STATE_CONFLICT`` for the one in force, while one waits, for what was never in force, when
    another one than ``seen`` is in force, and as ``versions.not_both``."""
    async with change.unit(Permission.CHANNEL_EDIT) as unit:
        row = await unit.connection.fetchrow(_BY_ID, channel_id)
        if row is None:
            raise Refused("NOT_FOUND")
        found = await versions.one(unit.connection, channel_id, number)
        if found is None:
            raise Refused("NOT_FOUND")
        if seen is not None and (now := await versions.active(unit.connection, channel_id)) != seen:
            raise Refused("STATE_CONFLICT", reason=phrase("channel.version_seen", now=now))
        if found.state is not versions.State.REPLACED:
            raise Refused("STATE_CONFLICT", reason=phrase("channel.version_back"))
        waits = await versions.approval(unit.connection)
        columns = await versions.columns_of(unit.connection, found)
        if not waits:
            await versions.write(unit.connection, row["id"], columns)
        made = await versions.put(
            unit, row["id"], columns, reason=reason, waits=waits, password=found.password_of, peer=found.peer_of
        )
        await versions.not_both(unit)
        unit.record("channel.rollback", f"channel/{row['name']}", before={"version": made.base},
                    after={"version": made.number, "as": number, "waiting": waits, "reason": reason})  # fmt: skip
    return made


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
WHERE name = $1 AND removed_at IS NULL AND id > 0 RETURNING id, access_code
"""


async def remove(change: Change, name: str) -> None:
    """Take a channel out of use; its history stays, and replies to its access code, which another channel may bring,
    find their account for ``MATCHED_DAYS``. ``NOT_FOUND``."""
    async with change.unit(Permission.CHANNEL_EDIT) as unit:
        row = await unit.connection.fetchrow(_REMOVE, name)
        if row is None:
            raise Invalid("NOT_FOUND")
        if row["access_code"]:
            await versions.keep_code(unit.connection, row["id"], row["access_code"])
        unit.record("channel.remove", f"channel/{name}")


async def move_access_code(change: Change, name: str, to: str, *, seen: str | None = None) -> str:
    """Give a channel another access code, for all accounts that send through it; the former one.

    It takes effect for everything that is written from then on. ``NOT_FOUND``, ``PARAM_INVALID``; ``STATE_CONFLICT``
    before the channel's first version was approved: it would come into force with all the rest that nobody looked at;
    and where the former one is not what was ``seen``.
    """
    if not re.fullmatch(r"[0-9]{1,20}", to):
        raise Invalid("PARAM_INVALID", field="access_code", reason=phrase("channel.access_code"))
    async with change.unit(Permission.CODE_EDIT) as unit:
        row = await _locked(unit, name)
        if await versions.fresh(unit.connection, row["id"]):
            raise Refused("STATE_CONFLICT", reason=phrase("channel.code_waits"))
        before: str = row["access_code"]
        if seen is not None and seen != before:
            raise Refused("STATE_CONFLICT", reason=phrase("channel.code_changed", before=before))
        after = dict(row) | {"access_code": to}  # a move is an operation of its own, and never waits
        await versions.write(unit.connection, row["id"], after)
        await versions.put(unit, row["id"], after, reason="", waits=False, password=0, peer=0)
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


async def retry_facts(change: Change, outcomes: Outcomes, ids: Sequence[int] | None = None) -> tuple[int, int]:
    """Try facts again that lie aside, all or these: (applied, refused again)."""
    change.actor.require(Permission.MESSAGE_RESOLVE)
    applied, refused = await parking.retry(change.database, outcomes, ids)
    async with change.unit(Permission.MESSAGE_RESOLVE) as unit:
        unit.record("fact.retry", "facts/parked", after={"applied": applied, "refused": refused})
    return applied, refused
