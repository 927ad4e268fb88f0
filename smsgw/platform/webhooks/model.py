"""Endpoints, ways and deliveries as people see them and ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from smsgw.core.actor import ActorLabel
from smsgw.core.ids import time_of
from smsgw.core.webhooks import TYPES, kind_of

STATES = ("waiting", "delivered", "dead")
"""Of a delivery."""
KINDS = tuple(kind_of(t) for t in TYPES)
MAX_REDELIVERED = 10_000
"""Events that one call offers again."""


@dataclass(frozen=True, slots=True)
class EndpointView:
    """An endpoint as people see it; without secrets."""

    id: int
    account_id: int
    account: str
    name: str
    url: str
    hosts: tuple[str, ...]
    events: tuple[str, ...]
    options: dict[str, Any]
    status: str
    reason: str
    created_at: datetime
    failing_since: datetime | None
    last_error: str
    last_ok_at: datetime | None
    old_secret_until: datetime | None
    way: str = "pull"
    """How its account gets events at first."""
    mark: str = ""
    """Of what people have set: another one when somebody has changed it."""

    @property
    def state(self) -> str:
        """``disabled``, ``failing`` or ``active``."""
        return self.status if self.status != "active" else "failing" if self.failing_since else "active"


ENDPOINT_STATES = ("active", "failing", "disabled")


@dataclass(frozen=True, slots=True)
class WantedEndpoints:
    """What is None or empty narrows nothing."""

    account_id: int | None = None
    name: str = ""
    """A part of it."""
    state: str = ""
    """Of ``ENDPOINT_STATES``."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A number of events; of ``cut`` not all were looked at: there are at least so many."""

    n: int = 0
    cut: bool = False

    def __add__(self, other: Counted) -> Counted:
        return Counted(self.n + other.n, self.cut or other.cut)

    def __bool__(self) -> bool:
        return bool(self.n) or self.cut


@dataclass(frozen=True, slots=True)
class Standing:
    """What is owed to an endpoint."""

    waiting: Counted = Counted()
    oldest_at: datetime | None = None
    """When the oldest of those was made, as far as they were looked at."""
    dead: Counted = Counted()
    """Given up, and not offered again since."""

    def __add__(self, other: Standing) -> Standing:
        moments = [at for at in (self.oldest_at, other.oldest_at) if at is not None]
        return Standing(self.waiting + other.waiting, min(moments, default=None), self.dead + other.dead)


@dataclass(frozen=True, slots=True)
class ListedEndpoint:
    """An endpoint with what is owed to it."""

    view: EndpointView
    standing: Standing

    @property
    def id(self) -> int:
        """Of the row, in lists."""
        return self.view.id


@dataclass(frozen=True, slots=True)
class Stretch:
    """Calls to an endpoint within one stretch of time, without those of tests."""

    at: datetime
    good: int
    failed: int
    events: int
    """That were taken."""
    slowest: int | None
    """Milliseconds of the slowest call that was answered well."""


@dataclass(frozen=True, slots=True)
class Delays:
    """From when there was something to tell until it was taken, of the newest events that were pushed; seconds."""

    events: int
    median: float
    most: float
    """Of 95 in a hundred."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An endpoint as it is asked for."""

    name: str
    url: str = ""
    events: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


MOST_BELOW = 9_999_999_999
"""Parts that ``balance.low`` may be told below: more than anybody buys."""


@dataclass(frozen=True, slots=True)
class EventSetting:
    """How an account gets its events."""

    way: str = "pull"
    balance_below: int | None = None
    """Units that can be spent; below it ``balance.low`` is told once, until it is above again."""


@dataclass(frozen=True, slots=True)
class WantedDeliveries:
    """From a time until before another; what is None narrows nothing."""

    first: datetime
    until: datetime
    state: str | None = None
    """Of ``STATES``."""
    kind: str | None = None
    account_id: int | None = None
    message_id: int | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event and how its delivery stands."""

    id: int
    account_id: int
    kind: str
    message_id: int
    state: str
    tries: int
    """Failed ones."""
    problem: str
    next_at: datetime | None
    done_at: datetime | None
    done_by: ActorLabel
    way: str | None
    target: str | None
    account: str = ""
    """Its name, in lists."""

    @property
    def made_at(self) -> datetime:
        """When there was something to tell."""
        return time_of(self.id)

    @property
    def took(self) -> timedelta | None:
        """From then until it was taken; None: it was not."""
        return self.done_at - self.made_at if self.done_at and self.state == "delivered" else None
