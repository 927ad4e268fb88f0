"""Receivers of alarms: the platform's, for who sees all of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import time
from types import NoneType
from typing import Any
from urllib.parse import urlsplit

import structlog

from smsgw.core import numbers
from smsgw.core.alarm_notes import ROBOTS, Way, is_robot
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.webhooks import Reach, Wrong, check_url
from smsgw.core.words import Wording, phrase
from smsgw.platform.alarms.model import (
    GONE,
    LEAST_SECRET,
    MOST_AFTER,
    MOST_RECEIVERS,
    MOST_SECRET,
    Draft,
    Opened,
    Receiver,
)
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.listing import EVERYTHING, Listing
from smsgw.platform.paging import Order
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.secrets import KeyFileError, Sealer

log = structlog.get_logger(__name__)

LANGUAGES = ("zh", "en")
_MAIL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,188}[A-Za-z0-9])?")
ALARM_RECEIVERS = Listing(
    Receiver, NoneType, "alarm_receiver r LEFT JOIN account a ON a.id = r.account_id",
    f"{EVERYTHING} AND r.removed_at IS NULL", {"name": Order("r.name", "text")},
)  # fmt: skip
_OPENED = """
SELECT id, name, kind, sealed, account_id, critical_only, language, after_minutes, on_duty FROM alarm_receiver
WHERE active AND removed_at IS NULL AND sealed <> '{}' AND ($1::bigint IS NULL OR id = $1) ORDER BY id
"""


def _context(id_: int) -> str:
    return f"alarm_receiver/{id_}"


async def opened(database: Database, sealer: Sealer, id_: int | None = None) -> Sequence[Opened]:
    """Those that are told, with their addresses: all of them, or the one. What does not open is left out."""
    found = [open_(sealer, dict(row)) for row in await database.fetch(_OPENED, id_)]
    return [one for one in found if one is not None]


def open_(sealer: Sealer, row: Mapping[str, Any]) -> Opened | None:
    """A receiver of its columns; None when its address does not open: the others are told all the same."""
    try:
        address, *secret = (sealer.open(value, _context(row["id"])) for value in row["sealed"])
    except (KeyFileError, ValueError) as exc:
        log.error("alarm.receiver_unopened", receiver=row["id"], error=str(exc))
        return None
    # Who is on duty comes with a note that is taken; whoever is told alone, without the database, is who stands in.
    duty = _reached(Way(row["kind"]), row.get("duty_phone"), row.get("duty_email")) if row["on_duty"] else ""
    return Opened(
        row["id"], row["name"], Way(row["kind"]), duty or address, secret[0] if secret else "", row["account_id"],
        row["critical_only"], row["language"] == "en", row["after_minutes"], row["on_duty"] and not duty,
    )  # fmt: skip


def _reached(way: Way, phone: str | None, email: str | None) -> str:
    """The address of a person by a way; empty: there is none."""
    if way is Way.MAIL:
        return email if email and _MAIL.fullmatch(email) else ""
    try:
        return numbers.normalize(phone or "")
    except numbers.InvalidNumber:
        return ""


# --- rules -----------------------------------------------------------------------------------------------------------


def _wrong(field: str, reason: Wording) -> Invalid:
    return Invalid("PARAM_INVALID", field=field, reason=reason)


def _checked(draft: Draft, reach: Reach) -> tuple[str, str]:
    """The address as it is called, and as people see it. ``PARAM_INVALID``."""
    given = (draft.address or "").strip()
    if draft.way is Way.SMS:
        try:
            number = numbers.normalize(given)
        except numbers.InvalidNumber as exc:
            raise _wrong("address", phrase("alarm.receiver_number")) from exc
        return number, numbers.mask(number)
    if draft.way is Way.MAIL:
        if not _MAIL.fullmatch(given):
            raise _wrong("address", phrase("alarm.receiver_mail"))
        return given, given
    try:
        check_url(given, reach, field="address")
    except Wrong as exc:
        raise _wrong(exc.field, exc.reason) from exc
    if draft.way in ROBOTS and not is_robot(draft.way, given):
        raise _wrong("address", phrase("alarm.receiver_robot", name=ROBOTS[draft.way]))
    parts = urlsplit(given)
    # The key of a robot stands in its query; of others the path may hold one.
    return given, f"{parts.scheme}://{parts.netloc}{parts.path if draft.way in ROBOTS else ''}"


def _check_secret(way: Way, secret: str) -> None:
    if way is Way.WEBHOOK and not LEAST_SECRET <= len(secret) <= MOST_SECRET:
        raise _wrong("secret", phrase("alarm.receiver_secret"))
    if way is Way.DINGTALK and secret and not (secret.startswith("SEC") and len(secret) <= MOST_SECRET):
        raise _wrong("secret", phrase("alarm.receiver_dingtalk"))


def _check_terms(draft: Draft) -> None:
    if draft.language not in LANGUAGES:
        raise _wrong("language", phrase("choice.of", known=", ".join(LANGUAGES)))
    if draft.on_duty and draft.way not in (Way.SMS, Way.MAIL):
        raise _wrong("on_duty", phrase("duty.way"))
    if not 0 <= draft.after_minutes <= MOST_AFTER:
        raise _wrong("after_minutes", phrase("alarm.after_minutes", most=MOST_AFTER))


def _quiet(draft: Draft) -> tuple[time | None, time | None]:
    return draft.quiet or (None, None)


_COUNT = "SELECT count(*) FROM alarm_receiver WHERE removed_at IS NULL"
_NAMED = "SELECT FROM alarm_receiver WHERE removed_at IS NULL AND name = $1 AND id <> $2"
_ADD = """
INSERT INTO alarm_receiver
    (name, kind, shown, account_id, critical_only, language, changed_by, after_minutes, quiet_from, quiet_to, on_duty)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id
"""
_SEAL = "UPDATE alarm_receiver SET sealed = $2, shown = $3 WHERE id = $1"
_SET = """
UPDATE alarm_receiver SET name = $2, critical_only = $3, language = $4, account_id = $5, changed_by = $6,
    changed_at = now(), after_minutes = $7, quiet_from = $8, quiet_to = $9, on_duty = $10
WHERE id = $1
"""
_LOCK = "SELECT sealed, account_id FROM alarm_receiver WHERE id = $1 AND removed_at IS NULL FOR UPDATE"
_SWITCH = "UPDATE alarm_receiver SET active = $2, changed_by = $3, changed_at = now() WHERE id = $1 AND active <> $2"
_REMOVE = """
UPDATE alarm_receiver SET active = false, removed_at = $2, sealed = '{}', changed_by = $3, changed_at = now()
WHERE id = $1
"""
_DROP = f"""
UPDATE alarm_note SET state = 'failed', ended_at = $2, said = '{GONE}' WHERE receiver_id = $1 AND state = 'waiting'
"""  # noqa: S608 - a constant
_TEST = "INSERT INTO alarm_note (receiver_id, event, entered_at, next_at) VALUES ($1, 'test', $2, $2) RETURNING id"


async def _check_name(connection: Connection, name: str, but: int = 0) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= 60:
        raise _wrong("name", phrase("profile.text"))
    if await connection.fetchrow(_NAMED, name, but) is not None:
        raise _wrong("name", phrase("alarm.receiver_exists"))
    return name


async def add(change: Change, sealer: Sealer, draft: Draft, reach: Reach) -> int:
    """A new receiver, told of alarms that open from now on; its id. ``PARAM_INVALID``, ``STATE_CONFLICT`` beyond
    ``MOST_RECEIVERS``."""
    address, shown = _checked(draft, reach)
    secret = (draft.secret or "").strip()
    _check_secret(draft.way, secret)
    if (draft.way is Way.SMS) != (draft.account_id is not None):
        raise _wrong("account", phrase("alarm.receiver_account"))
    _check_terms(draft)
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        if await unit.connection.fetchval(_COUNT) >= MOST_RECEIVERS:
            raise Refused("STATE_CONFLICT", reason=phrase("alarm.receivers_full", most=MOST_RECEIVERS))
        name = await _check_name(unit.connection, draft.name)
        id_: int = await unit.connection.fetchval(
            _ADD, name, draft.way, shown, draft.account_id, draft.critical_only, draft.language, unit.actor.label,
            draft.after_minutes, *_quiet(draft), draft.on_duty,
        )  # fmt: skip
        sealed = [sealer.seal(value, _context(id_)) for value in (address, secret) if value]
        await unit.connection.execute(_SEAL, id_, sealed, shown)
        unit.record("alarm_receiver.add", f"alarm_receiver/{id_}", after={"name": name, "kind": draft.way, "to": shown})
    return id_


async def put(change: Change, sealer: Sealer, id_: int, draft: Draft, reach: Reach) -> None:
    """Change a receiver. ``NOT_FOUND``, ``PARAM_INVALID``."""
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        before = await ALARM_RECEIVERS.get(unit.connection, unit.actor, id_)
        row = await unit.connection.fetchrow(_LOCK, id_)
        if before is None or row is None or before.kind != draft.way:
            raise Refused("NOT_FOUND")
        name = await _check_name(unit.connection, draft.name, id_)
        _check_terms(draft)
        sealed, shown = list(row["sealed"]), before.shown
        if draft.address is not None:
            address, shown = _checked(draft, reach)
            sealed[0] = sealer.seal(address, _context(id_))
        if draft.secret is not None:
            _check_secret(draft.way, draft.secret)
            sealed[1:] = [sealer.seal(draft.secret, _context(id_))]
        account_id = draft.account_id if draft.account_id is not None else row["account_id"]
        await unit.connection.execute(
            _SET, id_, name, draft.critical_only, draft.language, account_id, unit.actor.label, draft.after_minutes,
            *_quiet(draft), draft.on_duty,
        )  # fmt: skip
        await unit.connection.execute(_SEAL, id_, sealed, shown)
        unit.record("alarm_receiver.set", f"alarm_receiver/{id_}", before=_told(before), after={
            "name": name, "to": shown, "critical_only": draft.critical_only, "language": draft.language,
            "after_minutes": draft.after_minutes, "quiet": _shown(draft.quiet),
            "secret_changed": draft.secret is not None, "on_duty": draft.on_duty,
        })  # fmt: skip


def _told(one: Receiver) -> dict[str, object]:
    return {"name": one.name, "to": one.shown, "critical_only": one.critical_only, "language": one.language,
            "after_minutes": one.after_minutes, "quiet": one.quiet, "on_duty": one.on_duty}  # fmt: skip


def _shown(quiet: tuple[time, time] | None) -> str:
    return f"{quiet[0]:%H:%M}–{quiet[1]:%H:%M}" if quiet else ""


async def switch(change: Change, id_: int, *, active: bool) -> None:
    """Tell a receiver nothing for now, or again. What waits for one that is stopped is not sent any more.
    ``NOT_FOUND``; ``STATE_CONFLICT`` when it is so already."""
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        if await ALARM_RECEIVERS.get(unit.connection, unit.actor, id_) is None:
            raise Refused("NOT_FOUND")
        if await unit.connection.execute(_SWITCH, id_, active, unit.actor.label) != "UPDATE 1":
            raise Refused("STATE_CONFLICT", reason=phrase("content.running" if active else "content.stopped"))
        if not active:
            await unit.connection.execute(_DROP, id_, clock.now())
        action = "alarm_receiver.start" if active else "alarm_receiver.stop"
        unit.record(action, f"alarm_receiver/{id_}", before={"active": not active}, after={"active": active})


async def remove(change: Change, id_: int) -> None:
    """Forget a receiver and its address; what became of notes to it stays. ``NOT_FOUND``."""
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        before = await ALARM_RECEIVERS.get(unit.connection, unit.actor, id_)
        if before is None:
            raise Refused("NOT_FOUND")
        await unit.connection.execute(_REMOVE, id_, clock.now(), unit.actor.label)
        await unit.connection.execute(_DROP, id_, clock.now())
        unit.record("alarm_receiver.remove", f"alarm_receiver/{id_}", before=_told(before))


async def test(change: Change, id_: int) -> int:
    """Send a note to try it out, by the way that alarms take; its id. ``NOT_FOUND``; ``STATE_CONFLICT`` to one that is
    stopped."""
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        found = await ALARM_RECEIVERS.get(unit.connection, unit.actor, id_)
        if found is None:
            raise Refused("NOT_FOUND")
        if not found.active:
            raise Refused("STATE_CONFLICT", reason=phrase("alarm.receiver_stopped"))
        note: int = await unit.connection.fetchval(_TEST, id_, clock.now())
        unit.record("alarm_receiver.test", f"alarm_receiver/{id_}", after={"note": note})
    return note
