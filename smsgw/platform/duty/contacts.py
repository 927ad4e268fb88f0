"""Whom people can turn to: hotline, groups, addresses; seen by everybody who is logged in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.printable import lines_printable
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.store.engine.database import Connection, Database

KINDS = ("hotline", "qq", "wechat", "mail", "other")
MOST = 20
LONGEST = 100


@dataclass(frozen=True, slots=True)
class Contact:
    """One of them."""

    id: int
    kind: str
    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Draft:
    """One as it is wanted."""

    kind: str
    label: str
    value: str
    note: str = ""


_ALL = f"SELECT id, kind, label, value, note FROM support_contact ORDER BY id LIMIT {MOST}"  # noqa: S608 - a constant
_COUNT = "SELECT count(*) FROM support_contact"
_LOCK = "SELECT id, kind, label, value, note FROM support_contact WHERE id = $1 FOR UPDATE"
_ADD = "INSERT INTO support_contact (kind, label, value, note) VALUES ($1, $2, $3, $4) RETURNING id"
_SET = "UPDATE support_contact SET kind = $2, label = $3, value = $4, note = $5 WHERE id = $1"
_REMOVE = "DELETE FROM support_contact WHERE id = $1"
_TURN = "SELECT pg_advisory_xact_lock(hashtext('support_contact'))"


async def listed(source: Database | Connection) -> Sequence[Contact]:
    """All of them."""
    return [Contact(**dict(row)) for row in await source.fetch(_ALL)]


def _checked(draft: Draft) -> Draft:
    made = Draft(draft.kind, draft.label.strip(), draft.value.strip(), draft.note.strip())
    if made.kind not in KINDS:
        raise Invalid("PARAM_INVALID", field="kind", reason=phrase("choice.of", known=", ".join(KINDS)))
    for name, text, least in (("label", made.label, 1), ("value", made.value, 2), ("note", made.note, 0)):
        if not least <= len(text) <= LONGEST or not lines_printable(text):
            raise Invalid("PARAM_INVALID", field=name, reason=phrase("fault.text", least=least, most=LONGEST))
    return made


def _told(one: Contact | Draft) -> dict[str, str]:
    return {"kind": one.kind, "label": one.label, "value": one.value, "note": one.note}


async def add(change: Change, draft: Draft) -> int:
    """A new one; its id. ``PARAM_INVALID``, ``STATE_CONFLICT`` beyond ``MOST``."""
    made = _checked(draft)
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        await unit.connection.fetchval(_TURN)
        if await unit.connection.fetchval(_COUNT) >= MOST:
            raise Refused("STATE_CONFLICT", reason=phrase("duty.contacts_full", most=MOST))
        id_: int = await unit.connection.fetchval(_ADD, made.kind, made.label, made.value, made.note)
        unit.record("support_contact.add", f"support_contact/{id_}", after=_told(made))
    return id_


async def put(change: Change, id_: int, draft: Draft) -> None:
    """Change one. ``NOT_FOUND``, ``PARAM_INVALID``."""
    made = _checked(draft)
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        row = await unit.connection.fetchrow(_LOCK, id_)
        if row is None:
            raise Refused("NOT_FOUND")
        await unit.connection.execute(_SET, id_, made.kind, made.label, made.value, made.note)
        unit.record(
            "support_contact.set", f"support_contact/{id_}", before=_told(Contact(**dict(row))), after=_told(made)
        )


async def remove(change: Change, id_: int) -> None:
    """Forget one. ``NOT_FOUND``."""
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        row = await unit.connection.fetchrow(_LOCK, id_)
        if row is None:
            raise Refused("NOT_FOUND")
        await unit.connection.execute(_REMOVE, id_)
        unit.record("support_contact.remove", f"support_contact/{id_}", before=_told(Contact(**dict(row))))
