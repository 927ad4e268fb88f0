"""Logins of partners and their binds, as people see them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

STATES = ("bound", "idle", "stopped")
"""Of a login: it has binds, it has none, it may not have any."""


@dataclass(frozen=True, slots=True)
class BindView:
    """A bind, as its node last said; counts are since it was bound."""

    node: int
    mode: str
    ip: str
    bound_at: datetime
    version: str
    submits: int
    refused: int
    slowed: int
    """Refused for too much at a time."""
    delivered: int
    unanswered: int
    """Its requests without an answer; …"""
    deliveries: int
    """… ours without one of its own."""
    rate: float
    """Destinations a second."""
    last_at: datetime | None
    codes: Mapping[str, int]
    kick: bool
    """Its node has been asked to end it."""


@dataclass(frozen=True, slots=True)
class PartnerView:
    """A login with the binds of all nodes; without its password."""

    id: int
    account_id: int
    account: str
    protocol: str
    username: str
    status: str
    max_binds: int
    window: int
    rate: int
    ip_allow: tuple[str, ...]
    type: str
    code: str
    any_source: bool
    any_clock: bool
    alphabet: str
    message_ids: str
    long_mo: str
    created_at: datetime
    mark: str = ""
    """Of what people have set: another one when somebody has changed it."""
    binds: tuple[BindView, ...] = ()

    @property
    def state(self) -> str:
        """Of ``STATES``."""
        return "stopped" if self.status != "active" else "bound" if self.binds else "idle"

    @property
    def pace(self) -> float:
        """Destinations a second, over all binds."""
        return sum(bind.rate for bind in self.binds)

    @property
    def busiest(self) -> float:
        """Those of the node that has most of them: the login's rate holds on each."""
        nodes = {bind.node for bind in self.binds}
        return max((sum(bind.rate for bind in self.binds if bind.node == node) for node in nodes), default=0.0)

    @property
    def last_at(self) -> datetime | None:
        """When it last sent something."""
        return max((bind.last_at for bind in self.binds if bind.last_at), default=None)

    @property
    def codes(self) -> dict[str, int]:
        """Why submits of all binds were refused -> how many, most of them first."""
        counts = Counter[str]()
        for bind in self.binds:
            counts.update(bind.codes)
        return dict(counts.most_common())

    def total(self, name: str) -> int:
        """A count over all binds."""
        return sum(int(getattr(bind, name)) for bind in self.binds)


@dataclass(frozen=True, slots=True)
class WantedPartners:
    """What is None or empty narrows nothing."""

    account_id: int | None = None
    protocol: str = ""
    state: str = ""
    """Of ``STATES``."""
    name: str = ""
    """A part of it."""
