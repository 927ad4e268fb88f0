"""Messages as those see them who look for them: one, its parts, and its story."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Recorded
from smsgw.core.words import Wording

UNBILLED = frozenset({"rejected", "cancelled", "expired", "duplicate"})
"""States of parts that nothing is paid for: it was never debited, or was given back."""


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message with the state of its parts summed up."""

    id: int
    batch_id: int
    account_id: int
    account_name: str
    origin: str
    type: str
    number: str
    carrier: str
    province: str
    content: str
    sign: str
    coding: str
    parts: int
    price: int
    client_ref: str
    ext: str
    extend_code: str
    submitter: ActorLabel
    status: str
    cls: str
    code: str
    channel_id: int | None
    channel_name: str | None
    accepted_at: datetime
    submitted_at: datetime | None
    done_at: datetime | None
    parts_ok: int
    refusal: str = ""
    """Why we have refused it, for people."""
    kind: str = ""
    """The operator's own kind of its type; empty: none."""
    test: bool = False
    """Of a test key: it has never left the house."""

    refund_failed: bool = False
    """The account gets back what was paid for parts that have failed."""
    subject: str = ""
    """What its task is called, in lists of records."""
    label: str = ""
    """How people read its kind, in lists of records."""
    clicks: int | None = None
    """How often people have clicked the personal link in it; None: it has none."""
    clicked_at: datetime | None = None
    """When for the first time, …"""
    last_click: datetime | None = None
    """… and when last, in lists of records, …"""
    click_agent: str = ""
    """… and with what."""
    link_name: str = ""
    """What the short link in it is called, in lists of records; empty: it has none."""
    link_target: str = ""
    """Where that leads by now."""

    @property
    def refused(self) -> Recorded:
        """``refusal`` in both languages."""
        return Recorded(self.code, self.refusal)


@dataclass(frozen=True, slots=True)
class PartView:
    """One part with its last attempt."""

    part: int
    state: str
    status: str
    channel_id: int | None
    channel_name: str | None
    attempt: int
    carrier_id: str | None
    code: str
    cls: str
    claimed_at: datetime | None
    answered_at: datetime | None
    final_at: datetime | None
    next_at: datetime | None
    evidence: str = ""
    """SHA-256 of the carrier's PDU that said its result, in hex; empty: no carrier did."""
    proved_by: str = ""
    """``report`` or ``operator``: what its evidence is of; empty: it has none."""


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One moment in a message's life; ``part`` 0 is the whole message."""

    at: datetime
    step: str
    label: Wording | str
    part: int = 0
    detail: dict[str, str | int | Wording] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trace:
    """A message, its parts and its story in order of time."""

    message: MessageView
    parts: list[PartView]
    steps: list[TraceStep]

    @property
    def billed(self) -> int:
        """Units that are paid, or put aside, for its parts by now."""
        free = UNBILLED | ({"failed"} if self.message.refund_failed else set())
        paid = sum(part.status not in free for part in self.parts)
        return self.message.price // max(self.message.parts, 1) * paid
