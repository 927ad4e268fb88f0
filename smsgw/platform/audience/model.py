"""Contacts and audiences as everybody above sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import msgspec

from smsgw.core.actor import ActorLabel


@dataclass(frozen=True, slots=True)
class ContactInput:
    """What is known of a person; ``number`` as written. None leaves what is stored as it is."""

    number: str
    name: str | None = None
    tags: tuple[str, ...] | None = None
    fields: Mapping[str, str] | None = None
    """Values for the variables of texts, e.g. ``{"city": "北京"}``."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A stored contact; ``number`` in E.164 digits."""

    id: int
    number: str
    name: str
    tags: tuple[str, ...]
    fields: Mapping[str, str]
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Audience:
    """A named set of contacts of an account, or a segment under a name."""

    id: int
    name: str
    members: int | None
    """Of a segment: as it was counted last; None: it has not been yet."""
    created_at: datetime
    segment: Segment | None = None
    counted_at: datetime | None = None


@dataclass(slots=True)
class Imported:
    """What became of a list of contacts. ``rejected``: (number as written, code)."""

    created: int = 0
    updated: int = 0
    rejected: list[tuple[str, str]] = field(default_factory=list)


class Shared(StrEnum):
    """Whom a contact or a group is for."""

    OWN = "own"
    DEPARTMENT = "department"
    """People of the department, and of those below it."""
    ACCOUNT = "account"
    """Everybody who sees the whole account."""


class Duplicate(StrEnum):
    """What becomes of a contact that is there already when it is brought in again."""

    SKIP = "skip"
    OVERWRITE = "overwrite"
    MERGE = "merge"
    """Tags and groups are added; name and fields only where there are none."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """Whom something is for; a department only with ``Shared.DEPARTMENT``."""

    shared: Shared = Shared.ACCOUNT
    department_id: int | None = None


@dataclass(frozen=True, slots=True)
class WantedEntries:
    """Which entries of the address book are looked for; empty and None: all that the reader sees."""

    number: str = ""
    name: str = ""
    """A part of it."""
    tag: str = ""
    group_id: int | None = None
    account_id: int | None = None
    shared: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A contact as the address book shows it."""

    id: int
    number: str
    name: str
    tags: tuple[str, ...]
    fields: Mapping[str, str]
    groups: tuple[str, ...]
    """Names of those that the reader sees, …"""
    group_ids: tuple[int, ...]
    """… and their ids."""
    account_id: int
    account: str
    shared: str
    department_id: int | None
    department: str
    owner_id: int | None
    owner: str
    state: str
    """Of the number (``core.number_state``); empty: nothing is known."""
    state_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class EntryDraft:
    """What somebody wants a contact to be."""

    account_id: int
    number: str
    name: str
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[int, ...] = ()
    sharing: Sharing = field(default_factory=Sharing)


@dataclass(frozen=True, slots=True)
class WantedGroups:
    """Which groups are looked for."""

    name: str = ""
    account_id: int | None = None
    shared: str = ""
    within: int | None = None
    """A group in which they lie, at any depth."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group (an audience) as the address book shows it."""

    id: int
    name: str
    members: int
    account_id: int
    account: str
    shared: str
    department_id: int | None
    department: str
    owner_id: int | None
    owner: str
    created_at: datetime
    parent_id: int | None
    """The group in which it lies, if the reader sees that; None: at the top."""
    parent: str
    below: int
    """Contacts of the group and of all below it that the reader sees, each once."""


# --- people picked from the book -------------------------------------------------------------------------------------

MOST_GROUPS_PICKED, MOST_TAGS_PICKED, MOST_CONTACTS_PICKED = 100, 50, 500


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """What somebody sees of the address book (``book_queries.reader``)."""

    everything: bool = False
    accounts: list[int] | None = []
    owner: int = 0
    whole: list[int] | None = []
    departments: list[int] = []


class SegmentKind(StrEnum):
    """What has come of the messages that a number got."""

    CLICKED = "clicked"
    NOT_CLICKED = "not_clicked"
    REPLIED = "replied"
    UNREACHED = "unreached"
    """All that was sent to it has definitely failed."""
    SILENT = "silent"
    """It got something, and has neither answered nor clicked."""


MOST_DAYS = 365
MOST_MESSAGES_PICKED = 5000


class Segment(msgspec.Struct, frozen=True):
    """Numbers by what has come of the messages of the last ``days``; of one task, with one short link, or of chosen
    ones, however old, alone."""

    kind: SegmentKind
    days: int = 90
    task_id: int | None = None
    link_id: int | None = None
    submitter: ActorLabel | None = None
    """Whose messages whoever has chosen it sees; None: anybody's."""
    messages: tuple[int, ...] = ()
    """That were chosen; empty: none was, and all are meant."""
    dead: bool = False
    """With numbers to which a message failed for good (``report_codes.DEAD``), of the kinds that are about sending to
    somebody once more; they are left out otherwise."""


@dataclass(frozen=True, slots=True)
class SavedSegment:
    """A segment under a name, as the address book shows it."""

    id: int
    name: str
    segment: Segment
    account_id: int
    account: str
    shared: str
    department_id: int | None
    department: str
    owner_id: int | None
    owner: str
    created_at: datetime
    counted: int | None
    """Numbers, …"""
    counted_at: datetime | None
    """… as of then; None: not counted yet."""


class Picked(msgspec.Struct, frozen=True):
    """People of an account's address book, each once: members of groups, those with one of the tags, single ones. Or a
    segment, who need not be in the book."""

    groups: tuple[int, ...] = ()
    tags: tuple[str, ...] = ()
    contacts: tuple[int, ...] = ()
    seen: Seen = Seen()
    """By whoever has picked them: what they do not see is not among them."""
    segment: Segment | None = None
