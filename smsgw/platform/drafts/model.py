"""A draft: what was chosen and typed so far, what is to become of it, and what was found about its numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from smsgw.platform.audience.model import Segment
from smsgw.runtime import clock

MOST = 100
"""Drafts of one person, …"""
MOST_OF_ACCOUNT = 1000
"""… and of one account, whose programs make them."""
MOST_OCTETS = 262_144
"""Of what is kept of one."""
MOST_TO = 200_000
"""Characters of pasted numbers."""
MOST_SHOWN = 100
"""Rows of a class that are kept to be looked at."""
FRESH = timedelta(minutes=15)
"""What was found is good for so long: balances, lists, routes and audiences change."""
BEGINNING = datetime.min.replace(tzinfo=UTC)


class Kind(StrEnum):
    """What sort of sending it becomes."""

    SAME = "same"
    """One text, which may have variables."""
    OWN = "own"
    """Rows of a table, each with a text of its own (自定义发送)."""


class Source(StrEnum):
    """Where the numbers come from."""

    TYPED = "typed"
    FILE = "file"
    AUDIENCE = "audience"
    SEGMENT = "segment"
    """Numbers by what has come of earlier messages."""
    FILTER = "filter"
    """A number filter (空号过滤), until the step is done: then its numbers are the draft's file."""


class When(StrEnum):
    """When it begins."""

    NOW = "now"
    AT = "at"
    AGAIN = "again"


PRESETS: Mapping[str, tuple[int, int, str]] = {"day": (1, 1, "day"), "week": (1, 7, "day"), "month": (1, 30, "day")}
"""How often a number gets what is sent, as it is chosen: so many in so many hours or days."""


class State(msgspec.Struct, kw_only=True):
    """All that the steps ask for, as it was typed: nothing in it has been checked."""

    subject: str = ""
    scenario: str = ""
    """Id of one, which decides about account, type and more; empty: none."""
    account: str = ""
    type: str = "notice"
    sign: str = ""
    template: str = ""
    """Id of one; empty: ``content`` is the text."""
    content: str = ""
    link: str = ""
    """Id of the short link whose place the text has; empty: there is none."""
    source: str = Source.TYPED
    to: str = ""
    upload: str = ""
    phone: str = ""
    """Name of the column; empty: the one that seems to hold the numbers."""
    variables: dict[str, str] = {}
    """Variable of the text -> column, or field of a contact."""
    fixed: dict[str, str] = {}
    """Values of a template's variables that are the same for all."""
    audience: str = ""
    """Id of a group, whose members they all are; or, picked one by one:"""
    groups: list[str] = []
    tags: list[str] = []
    contacts: list[str] = []
    below: str = ""
    """Anything: groups below the picked ones are meant, too."""
    segment: str = "not_clicked"
    """Kind of a segment, and of which messages: of so many days, of one task, with one short link."""
    segment_days: str = "90"
    segment_task: str = ""
    segment_link: str = ""
    segment_saved: str = ""
    """Id of a saved one, which is meant instead; empty: what follows from the fields above. The kind is empty then: who
    does not know of the id, or loses it, asks for a choice and never means somebody else."""
    segment_messages: list[str] = []
    """Ids of chosen messages, which alone are meant; empty: none was chosen."""
    segment_dead: str = ""
    """Anything: numbers to which a message failed for good are meant, too."""
    filter: str = ""
    """Id of a number filter, and which of its classes are kept."""
    filter_keep: list[str] = []
    one_each: str = "number"
    rate: str = ""
    hours: str = ""
    """After which what has not been sent is sent no more."""
    extend_code: str = ""
    review: str = ""
    prefer: str = ""
    """The pool that is preferred; empty: as routing decides."""
    emergency: str = ""
    """Anything: before everything else (特发), passed by somebody else."""
    frequency: str = ""
    """How often a number gets it: one of ``PRESETS``, ``own``, or empty: as the policies say."""
    frequency_most: str = "1"
    frequency_every: str = "1"
    frequency_unit: str = "day"
    frequency_tag: str = ""
    steps: str = ""
    """Anything: it is sent in steps."""
    steps_shares: str = "1, 10"
    steps_minutes: str = "30"
    steps_failed: str = "5"
    steps_opted_out: str = "1"
    steps_complained: str = "0.1"
    fallback: str = ""
    """Anything: other messages follow one that has failed, hop by hop; a hop without text and template is none."""
    fallback_minutes: str = ""
    hop1_content: str = ""
    hop1_template: str = ""
    hop1_sign: str = ""
    hop1_when: str = "any"
    hop1_prefer: str = ""
    hop2_content: str = ""
    hop2_template: str = ""
    hop2_sign: str = ""
    hop2_when: str = "any"
    hop2_prefer: str = ""
    hop3_content: str = ""
    hop3_template: str = ""
    hop3_sign: str = ""
    hop3_when: str = "any"
    hop3_prefer: str = ""
    when: str = When.NOW
    at: str = ""
    windows: str = ""
    """Spans of the day, as ``core.schedule.written`` reads them."""
    window_from: str = ""
    """As drafts had the only one before there could be several."""
    window_to: str = ""
    every: str = "day"
    every_at: str = "09:00"
    on: list[str] = []
    until: str = ""

    def __post_init__(self) -> None:
        if self.window_from or self.window_to:
            self.windows = f"{self.window_from or '00:00'}-{self.window_to or '24:00'}"
            self.window_from = self.window_to = ""

    def fingerprint(self) -> str:
        """Of all that decides about the rows; the subject does not."""
        said = msgspec.json.encode(msgspec.structs.replace(self, subject=""))
        return hashlib.sha256(said).hexdigest()


class Row(msgspec.Struct, frozen=True):
    """A row as it is shown: the line of the table, the number (as written, or as it is), its text or what is wrong."""

    line: int
    number: str
    said: str = ""
    said_en: str = ""


class Survey(msgspec.Struct, kw_only=True):
    """What the engine says of the rows: how many of each class, what they cost, where they go."""

    made: datetime = BEGINNING
    """When they were looked at."""
    rows: int = 0
    valid: int = 0
    """Rows that become messages, as far as the rows and what stands against their numbers tell."""
    classes: dict[str, int] = {}
    """Class (a code, or one with what it is about) -> rows that get no message."""
    shown: dict[str, list[Row]] = {}
    """By class or code, and ``valid``: the first of them."""
    first: dict[str, str] = {}
    """The values of a template's variables in the first valid row."""
    carriers: list[tuple[str, int]] = []
    provinces: list[tuple[str, int]] = []
    unregistered: list[tuple[str, int]] = []
    """Of carriers, rows that get no message because the signature is not registered there."""
    looked_at: int = 0
    """Valid rows that were explained one by one: all of them, or of a large table some from everywhere in it."""
    each: tuple[int, int] = (0, 0)
    """Fewest and most parts of a row."""
    parts: int = 0
    price: int = 0
    """Units, of the rows that were looked at."""
    codings: list[str] = []
    refused: dict[str, tuple[int, str, str]] = {}
    """Code -> how many of those looked at the door would refuse, and why in Chinese and English."""
    pools: dict[str, int] = {}
    """Route -> rows of those looked at."""
    rules: dict[str, str] = {}
    """Route -> the rule that leads there."""
    by_carrier: dict[str, tuple[int, int, int, list[str]]] = {}
    """Carrier -> of its rows that were looked at those that get a message: how many, their parts and price, and the
    routes that they take."""
    waiting: list[str] = []
    """Carriers without a channel at the moment."""
    segment: Segment | None = None
    """What the saved segment asked for that it is to; None: it is to none."""
    held: list[str] = []
    """Why the whole has to be passed by a reviewer first."""
    held_rows: int = 0
    """Good rows that he has to see for their own values; the first of them are ``shown``."""
    begins: str = ""
    """ISO 8601: when it would begin, hours of the type and its own window considered; empty: at once."""
    problem: tuple[str, str, str, str] = ("", "", "", "")
    """What refuses the whole: code, field, and the sentence in Chinese and English."""

    def kept(self) -> dict[str, Any]:
        """What stays of it with the task: numbers, without rows that somebody could be known by."""
        found: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(self, shown={}))
        return found

    def scaled(self, n: int) -> int:
        """A sum of those looked at, for all valid rows."""
        return n if self.looked_at in (0, self.valid) else round(n * self.valid / self.looked_at)

    @property
    def going(self) -> int:
        """Rows that become messages, as far as can be told now: without those that the door refuses."""
        return self.valid - sum(self.scaled(n) for n, *_ in self.refused.values())

    @property
    def exact(self) -> bool:
        """Whether every row was looked at."""
        return self.looked_at == self.valid


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft as it stands."""

    id: int
    owner_id: int | None
    """The person; None: it came by the interface or the command line, and is the account's."""
    key: str
    """Made with its first form: saving that twice makes one draft, and sending it twice one task."""
    kind: Kind
    subject: str
    state: State
    survey: Survey | None
    """As it was found for ``survey_of``; None: not looked at yet."""
    survey_of: str
    created_at: datetime
    updated_at: datetime
    account_id: int | None = None
    """Whose it is that is no person's."""

    @property
    def known(self) -> Survey | None:
        """What was found, if it is still about this and not too long ago."""
        found = self.found
        return found if found is not None and clock.now() - found.made < FRESH else None

    @property
    def found(self) -> Survey | None:
        """What was found of this, however long ago."""
        return self.survey if self.survey_of == self.state.fingerprint() else None

    @property
    def confirmed(self) -> str:
        """What somebody confirms who sends it: all that decides, and how many there are."""
        survey = self.found or Survey()
        return f"{self.state.fingerprint()}.{survey.rows}.{survey.valid}"
