"""The transport of a channel: how parts reach a carrier, and how its answers, reports and replies come back.

A channel claims, paces and records; its transport knows the carrier's language, and nothing of the database. A part
goes through it in two steps, so that the journal can stand between them: ``prepare`` makes the request, ``submit`` puts
it in the window, and no octet is written before ``flush``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from smsgw.core.model import ChannelSpec, Claimed, Inbound, LinkStatus, Outcome, Report
from smsgw.store.engine.journal import Key

Request: TypeAlias = Any
"""A part in the carrier's language: made and read by the transport alone."""


@dataclass(slots=True)
class Submitted:
    """What became of a batch that was handed over, where it is not simply on its way."""

    named: list[tuple[Key, str]] = field(default_factory=list)
    """Parts whose id at the carrier is ours to make: it is known before they are written."""
    refused: list[tuple[Claimed, ValueError]] = field(default_factory=list)
    """Parts that the carrier's language cannot express after all."""
    unsent: list[Claimed] = field(default_factory=list)
    """Parts of which no octet will be written: the connection has ended in the middle of the batch."""


class Source(Protocol):
    """Where something came from: a connection that can be left unread."""

    closed: asyncio.Future[str]
    """Done when it is gone."""

    def pause_reading(self) -> None:
        """Leave with the carrier what it sends until ``resume_reading``."""

    def resume_reading(self) -> None:
        """Read on."""


class Traffic(Protocol):
    """The channel, as its transport sees it. None of it may raise."""

    @property
    def waiting(self) -> bool:
        """Whether there is something to submit."""

    def on_answers(self, outcomes: list[Outcome]) -> None:
        """The carrier has answered these submits, for the first time or after all."""

    def on_lost(self, outcomes: list[Outcome]) -> None:
        """These submits have no answer and may have arrived: UNKNOWN, each with its reason."""

    def on_incoming(self, incoming: Report | Inbound, source: Source) -> asyncio.Future[Any]:
        """A report, or a message from a phone; done when it is durable: only then may the carrier be answered."""

    def on_change(self) -> None:
        """It has become reachable, or is not any more."""

    def on_room(self) -> None:
        """A connection takes octets again."""


class Transport(Protocol):
    """One account at a carrier: runs from ``start`` to ``abort``."""

    # --- life --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to connect."""

    async def close(self, why: str, *, discard: bool = False) -> list[asyncio.Future[Any]]:
        """Log out after the outstanding answers; done when the connections are gone. ``discard``: what has not reached
        the carrier by then never does."""

    async def abort(self, why: str) -> None:
        """Close at once what is still open."""

    def change(self, spec: ChannelSpec) -> None:
        """Follow a change of window."""

    def record(self, *, seconds: float, max_bytes: int) -> AsyncGenerator[bytes, None]:
        """All that passes, masked, as the lines of a file. ``STATE_CONFLICT`` while another one runs."""

    # --- room --------------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Parts that can be submitted at once."""

    @property
    def window(self) -> int:
        """Parts that may be without an answer over what is open now; 0 while nothing can be sent."""

    @property
    def window_used(self) -> int:
        """How many of these places are taken."""

    @property
    def outstanding(self) -> int:
        """Submits without an answer, those over connections that are being closed included."""

    @property
    def doubted(self) -> bool:
        """Whether no connection that is open has answered since submits were lost by it: there is ``room`` for one part
        now and then, until an answer comes."""

    @property
    def trial_due(self) -> bool:
        """Whether, while ``doubted``, that part may be written now."""

    @property
    def tried_in_vain(self) -> int:
        """Parts that were tried so and had no answer, since the last answer by a connection in doubt."""

    def call(self) -> None:
        """There is more to submit than there is room for: open what is asleep."""

    # --- submit ------------------------------------------------------------------------------------------------

    def prepare(self, claimed: Claimed) -> Request:
        """The part in the carrier's language. Raises ``ValueError`` when it cannot be expressed."""

    def submit(self, prepared: Sequence[tuple[Claimed, Request]], now: float) -> Submitted:
        """Put them in the window, of which there is ``room`` for all. ``now`` is the loop's time."""

    def flush(self, may: Callable[[], bool]) -> None:
        """Write what was submitted, as long as ``may``, which is asked right before each write, says so. What is not
        written then is lost with its connection."""

    # --- how it is ---------------------------------------------------------------------------------------------

    @property
    def reachable(self) -> int:
        """Connections that are logged in or would be as soon as there is something to send."""

    @property
    def asleep(self) -> int:
        """Those of them that are closed because there is nothing to send."""

    @property
    def bound(self) -> int:
        """Connections that are logged in for both directions."""

    @property
    def links(self) -> tuple[LinkStatus, ...]:
        """Its connections, for people."""

    @property
    def unbound_since(self) -> float | None:
        """Since when nothing can be sent, on the loop's clock; None while it can, or could on demand."""

    @property
    def last_bound_at(self) -> float | None:
        """When it was last logged in for sending; None: never."""

    @property
    def refused(self) -> bool:
        """Whether the carrier has refused the last login."""

    @property
    def last_error(self) -> str:
        """What is wrong, or was at last; empty after a login."""
