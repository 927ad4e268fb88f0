"""Entries of the block list and the allow list as everybody above sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smsgw.core.actor import ActorLabel
from smsgw.core.blocklist import Scope


@dataclass(frozen=True, slots=True)
class BlockEntry:
    """An entry that holds now; ``number`` in E.164 digits. ``account`` None, ``type`` and ``sign`` empty: all."""

    number: str
    account: str | None
    type: str
    sign: str
    source: str
    reason: str
    actor: ActorLabel
    since: datetime
    expires_at: datetime | None
    version: int
    """Grows with every change: the order of pages."""
    account_id: int = 0
    """0: all accounts."""

    @property
    def id(self) -> int:
        """Of the entry as it is now: another one after a change."""
        return self.version

    @property
    def scope(self) -> Scope:
        """For what it counts."""
        return Scope(self.account_id, self.type, self.sign)


@dataclass(frozen=True, slots=True)
class WantedBlocks:
    """Which entries are looked for; empty and None: all."""

    number: str = ""
    source: str = ""
    account_id: int | None = None
    type: str = ""
    sign: str = ""
    reason: str = ""
    """What its reason contains."""


@dataclass(frozen=True, slots=True)
class WantedOptOuts:
    """Which opt-outs of an account are looked for; empty and None: all."""

    number: str = ""
    first: datetime | None = None
    """Since then or later, …"""
    until: datetime | None = None
    """… and before that."""


@dataclass(frozen=True, slots=True)
class AllowEntry:
    """A number that is treated apart; ``kind`` is one of ``core.policy.Listed``. ``account`` None: for all."""

    number: str
    account_id: int
    kind: str
    note: str
    actor: ActorLabel
    at: datetime
    account: str | None
    id: int = 0


@dataclass(frozen=True, slots=True)
class WantedAllowed:
    """Which entries are looked for; empty and None: all."""

    number: str = ""
    kind: str = ""
    account_id: int | None = None
    note: str = ""
    """What its note contains."""
