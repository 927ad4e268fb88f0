"""Signatures and templates as everybody above sees them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from smsgw.core.actor import ActorLabel
from smsgw.core.permissions import Permission
from smsgw.core.templates import Registration

SIGN, TEMPLATE = "sign", "template"
"""The two kinds of them."""
DECIDE = {SIGN: Permission.SIGN_DECIDE, TEMPLATE: Permission.TEMPLATE_DECIDE}
EDIT = {SIGN: Permission.SIGN_EDIT, TEMPLATE: Permission.TEMPLATE_EDIT}
STOPPED, EXPIRED = "stopped", "expired"
"""What a status can be besides what the reviewer has said."""


_DECIDED_ON = {SIGN: ("source", "note", "expires_at"), TEMPLATE: ("type", "content", "variables", "sign")}
"""What may be changed of one before it is decided about."""


def seen_of(kind: str, row: Mapping[str, Any]) -> str:
    """What whoever decides about a row has seen of it, as a digest: another one when it was changed since."""
    values = {key: row[key] for key in _DECIDED_ON[kind]}
    if isinstance(values.get("variables"), str):
        values["variables"] = json.loads(values["variables"])  # as the table has them
    text = json.dumps(values, default=str, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a carrier says of one (报备)."""

    state: Registration = Registration.PENDING
    note: str = ""
    code: str = ""
    """Its number with the carrier."""
    answered_on: date | None = None
    expires_at: datetime | None = None
    """The first moment at which a signature is registered no more; None: without an end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A signature or template as it stands."""

    row: Mapping[str, Any]
    carriers: Mapping[str, Answer]
    """What each mainland carrier says."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which ones are looked for; empty and None: all."""

    id: int | None = None
    account_id: int | None = None
    name: str = ""
    """What the signature, or the name of the template, contains."""
    status: str = ""
    carrier: str = ""
    registration: str = ""
    """A state with that carrier, or with any."""
    submitter: ActorLabel | None = None
    created: tuple[datetime | None, datetime | None] = (None, None)
    """From, and the first moment after."""
    type: str = ""
    """Of a template."""
    text: str = ""
    """What the content of a template, or the note of a signature, contains."""
    sign: str = ""
    """Of a template."""


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that was done to one of them."""

    at: datetime
    actor: ActorLabel
    name: str
    """Of the person, when the actor is one."""
    action: str
    said: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WantedCells:
    """Which cells of the matrix signature × carrier are looked for; empty and None: all."""

    id: int | None = None
    sign: str = ""
    """A part of it."""
    account_id: int | None = None
    carrier: str = ""
    state: str = ""
    code: str = ""
    """A part of it."""
    within_days: int | None = None
    """It is registered, and is over within so many days, or is already."""


@dataclass(frozen=True, slots=True)
class Cell:
    """How a signature stands with a carrier."""

    id: int
    sign_id: int
    name: str
    account_id: int
    account: str
    status: str
    """Of the signature."""
    carrier: str
    state: str
    code: str
    answered_on: date | None
    expires_at: datetime | None
    note: str
    proofs: int
    """Documents that are meant for the carrier."""
