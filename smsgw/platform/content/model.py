"""Signatures and templates as everybody above sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smsgw.core.actor import ActorLabel
from smsgw.core.permissions import Permission

SIGN, TEMPLATE = "sign", "template"
"""The two kinds of them."""
DECIDE = {SIGN: Permission.SIGN_DECIDE, TEMPLATE: Permission.TEMPLATE_DECIDE}
EDIT = {SIGN: Permission.SIGN_EDIT, TEMPLATE: Permission.TEMPLATE_EDIT}
STOPPED, EXPIRED = "stopped", "expired"
"""What a status can be besides what the reviewer has said."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A signature or template as it stands."""

    row: Mapping[str, Any]
    carriers: Mapping[str, Mapping[str, str]]
    """Carrier -> state and note; all mainland carriers."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which ones are looked for; empty and None: all."""

    id: int | None = None
    account_id: int | None = None
    name: str = ""
    """What the signature, or the name of the template, contains."""
    status: str = ""
    registered: str = ""
    """A carrier with which it is registered."""
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
