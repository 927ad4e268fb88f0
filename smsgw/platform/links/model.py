"""Short links and clicks as everybody above sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from smsgw.core.actor import ActorLabel
from smsgw.core.link_targets import origin_of
from smsgw.core.short_codes import Permutation
from smsgw.platform.files.model import FileKind

MOST_CODES = 1_000_000
"""Codes of one link."""
MOST_VISITS = 1_000_000_000
MOST_IN_FORCE, MOST_OF_ACCOUNT = 100_000, 20_000
"""Links that are not over, of all accounts and of one: every node holds them in memory."""
FILES = FileKind("link_codes", most=256 * 1024**2, kept=timedelta(days=7), shared=False)
"""Files of codes."""


class LinkKind(StrEnum):
    """Whose code it is."""

    SHARED = "shared"
    """One code for everybody (群发)."""
    PERSONAL = "personal"
    """One code for each recipient (个性化)."""


class Origin(StrEnum):
    """What has made a link."""

    PAGE = "page"
    TASK = "task"
    API = "api"
    ACTIVITY = "activity"
    COMMAND = "command"


class LinkState(StrEnum):
    """How a link stands. Stored are the first four; the others follow from them, the time and the visits."""

    REVIEWING = "reviewing"
    ACTIVE = "active"
    STOPPED = "stopped"
    REJECTED = "rejected"
    WAITING = "waiting"
    """Its time has not come yet."""
    EXPIRED = "expired"
    USED_UP = "used_up"


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link that somebody wants."""

    account_id: int
    name: str
    target: str
    kind: LinkKind = LinkKind.SHARED
    origin: Origin = Origin.PAGE
    domain: str = ""
    """One of those that are configured; empty: the first."""
    codes: int = 1
    chosen: str = ""
    """Its code, when somebody has chosen it; empty: one is made."""
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    visits_max: int = 0
    """0: without a limit."""
    warn: bool = False


@dataclass(frozen=True, slots=True)
class ShortLink:
    """A link as stored."""

    id: int
    account_id: int
    account: str
    name: str
    kind: LinkKind
    origin: Origin
    domain: str
    serial: int | None
    codes: int
    chosen: str
    target: str
    version: int
    passed: int
    """The version that was passed last; 0: none was."""
    warn: bool
    stored_state: LinkState
    held: bool
    """Stopped by somebody who decides on links: nobody else starts it again."""
    reason: str
    valid_from: datetime | None
    valid_until: datetime | None
    visits_max: int
    visits: int
    unkept: int
    """Hits that were counted and have no row: too many of one address or of a node, or no room."""
    hits: int
    """That were judged, of anybody, programs included; …"""
    humans: int
    """… and those of people among them."""
    visitors: int
    """Different ones, as they were counted last: codes of a personal link, addresses and programs of a shared one."""
    made_at: datetime
    made_by: ActorLabel
    decided_at: datetime | None
    decided_by: ActorLabel
    used: int = 0
    """Codes of a personal link that messages, calls or files have been given: the first so many."""
    filed: int | None = None
    """How many of them files leave out, as they were given before; None: there was no file yet."""
    like_id: int | None = None
    """The first of those that a task has gone on with, one after the other, as they had too few codes left."""

    def state(self, now: datetime) -> LinkState:
        """How it stands at that moment."""
        if self.stored_state is not LinkState.ACTIVE:
            return self.stored_state
        if self.valid_until is not None and self.valid_until <= now:
            return LinkState.EXPIRED
        if self.visits_max and self.visits >= self.visits_max:
            return LinkState.USED_UP
        return LinkState.WAITING if self.valid_from is not None and self.valid_from > now else LinkState.ACTIVE

    def code(self, n: int, codes: Permutation | None) -> str:
        """Its ``n``-th code."""
        if self.serial is None or codes is None:
            return self.chosen
        return codes.code(self.serial + n)

    def address(self, n: int, codes: Permutation | None) -> str:
        """What people open."""
        return f"{origin_of(self.domain)}/{self.code(n, codes)}"


@dataclass(frozen=True, slots=True)
class Target:
    """A version of where a link leads."""

    version: int
    target: str
    at: datetime
    by: ActorLabel


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """What has come of a link."""

    hits: int
    """Of anybody, programs included."""
    humans: int
    """Clicks of people."""
    visitors: int
    """Of a personal link: codes that people have clicked; of a shared one: different addresses and devices."""
    first_at: datetime | None
    last_at: datetime | None
    by_verdict: Mapping[str, int]
    """Clicks by who it was; ``""``: not judged yet."""


@dataclass(frozen=True, slots=True)
class CarriedLink:
    """The short link in a message."""

    kind: LinkKind
    id: int
    name: str
    target: str
    n: int
    """Which of its codes; what follows is of that code, where it is one recipient's."""
    hits: int
    humans: int
    first_at: datetime | None
    last_at: datetime | None
    agent: str
    """What the last click of a person was made with, as it calls itself; empty: there was none."""


@dataclass(frozen=True, slots=True)
class Hour:
    """What has come of links in an hour, or a day: by its beginning."""

    at: datetime
    hits: int
    humans: int


@dataclass(frozen=True, slots=True)
class Click:
    """One hit."""

    id: int
    link_id: int
    n: int
    version: int
    at: datetime
    address: str
    method: str
    agent: str
    referer: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Visit:
    """One hit among those of many links, as people see it."""

    id: int
    link_id: int
    link: str
    kind: LinkKind
    account: str
    n: int
    version: int
    at: datetime
    address: str
    """Its beginning; ``#``: it is not known any more."""
    province: str
    city: str
    """Empty: not known, or the province is one."""
    agent: str
    referer: str
    verdict: str
    number: str
    """To which a message of one of the accounts that are seen went with this code; empty: none is known."""


@dataclass(frozen=True, slots=True)
class DayFigures:
    """What a day has brought of an account's links."""

    id: int
    """Of the row, in lists; made of day and account."""
    day: date
    account_id: int
    account: str
    made: int
    codes: int
    """Of those that were made, as many as recipients were given."""
    clicked: int
    """Links that somebody opened."""
    ended: int
    """Whose time was over on it."""
    hits: int
    humans: int

    @property
    def programs(self) -> int:
        """Hits that were no people's."""
        return self.hits - self.humans
