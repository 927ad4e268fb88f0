"""What the API is given by the composition root, and what a handler is given for one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from aiohttp import web

from smsgw.core.actor import Actor
from smsgw.core.guard import Rate
from smsgw.core.guessing import Guesses
from smsgw.core.keys import ApiKey
from smsgw.core.model import Account
from smsgw.pipeline.accept.acceptor import Acceptor
from smsgw.pipeline.accept.nonces import Nonces
from smsgw.pipeline.delivery.pulling import PullHeads
from smsgw.pipeline.delivery.push import Pusher
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.outcomes.cancellation import Cancelling
from smsgw.pipeline.snapshot import Snapshots
from smsgw.platform.audit.readings import Readings
from smsgw.platform.calls.log import CallLog
from smsgw.platform.campaigns.service import Tasks
from smsgw.platform.change import Change
from smsgw.platform.drafts.surveyor import Surveyor
from smsgw.platform.files.model import Incoming
from smsgw.platform.handles import Database, Sealer
from smsgw.platform.links.sending import SentLinks
from smsgw.runtime import clock
from smsgw.runtime.fair_queue import FairQueue
from smsgw.runtime.pace import Pace
from smsgw.runtime.tarpit import Tarpit
from smsgw.web import serving
from smsgw.web.bodies import Bodies

READS = 16
"""Large pages that are made at a time."""
MADE = 2
"""Calls that make many links at a time, each for a second or two."""
FREE_REFUSALS = Rate(100, 5)
"""Refused calls of an account that are answered without a wait: a customer's mistakes, not the habit of a program."""
READ_PATIENCE = 30.0
"""Seconds that one waits for its turn."""
MOST_ASKING = 256
"""Questions of one account that wait for their turn."""
READ_RATE = 2_000.0
"""Messages a second in large pages of one account, …"""
READ_BURST = 4.0
"""… beyond what comes in so many seconds: each is some ten microseconds of the event loop's, and more of the
database's."""


def asking(connections: int) -> FairQueue:
    """Places for questions (``GET``) where so many connections are for these and for all else that reads: some are
    left to others, and of the rest one account has not all."""
    own = max(1, connections * 2 // 5)
    return FairQueue(max(2, connections - 2), own, patience=READ_PATIENCE, own_waiting=MOST_ASKING)


@dataclass(slots=True)
class ApiContext:
    """The parts of the program that the API stands on."""

    db: Database
    snapshots: Snapshots
    acceptor: Acceptor
    cancelling: Cancelling
    hub: EventHub
    ids: Callable[[], int]
    """Makes the ids of pulled batches."""
    clock: Callable[[], float]
    """Wall clock, seconds since 1970."""
    ready: Callable[[], tuple[bool, dict[str, Any]]]
    pusher: Pusher
    sealer: Sealer
    sent_links: SentLinks
    tasks: Tasks
    surveyor: Surveyor
    jobs: asyncio.Event
    """Set it when a durable job was entered: it begins at once."""
    nonces: Nonces
    allow_insecure_bearer: bool = False
    """Bearer tokens without TLS and without an allow-list, from loopback addresses only."""
    bodies: Bodies = field(default_factory=lambda: Bodies(128 * 1024 * 1024))
    """Room for bodies in memory."""
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()
    """Whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed."""
    signature_v1_until: date | None = date.max
    """The last day, in China, of signatures of version 1; None: they are good no more."""
    guesses: Guesses = field(default_factory=Guesses)
    link_domains: Sequence[str] = ()
    """Host names of short links, the usual one first."""
    waiting: dict[str, int] = field(default_factory=dict, init=False)
    """Long polls waiting, by key; only keys with some are in it."""
    pull_heads: PullHeads = field(default_factory=lambda: PullHeads(clock.now), init=False)
    """Where events are looked for that are pulled."""
    used_keys: dict[str, tuple[float, str]] = field(default_factory=dict, init=False)
    """Keys used lately: when (wall clock), and from which address. Whoever writes them down empties it."""
    calls: CallLog = field(default_factory=CallLog, init=False)
    """How calls have ended. Whoever writes it down empties it."""
    tarpit: Tarpit = field(default_factory=Tarpit, init=False)
    """For callers that are not who they say, by place …"""
    refusals: Tarpit = field(default_factory=lambda: Tarpit(free=FREE_REFUSALS), init=False)
    """… and for calls of accounts that are refused, by account."""
    reads: FairQueue = field(default_factory=lambda: FairQueue(READS, 1, patience=READ_PATIENCE), init=False)
    """Large pages under way: one at a time of an account, as each takes the processor for ten milliseconds."""
    asked: FairQueue = field(default_factory=lambda: asking(10))
    """Questions under way, by account: each has a connection, and may have it for half a minute."""
    made: FairQueue = field(default_factory=lambda: FairQueue(MADE, 1, patience=READ_PATIENCE), init=False)
    """Many links made at a time: one call of an account, as links are made by one after the other everywhere."""
    read_pace: Pace = field(default_factory=lambda: Pace(READ_RATE, READ_BURST), init=False)
    """Messages in them, by account."""
    readings: Readings = field(default_factory=Readings, init=False)
    closing: bool = field(default=False, init=False)
    """The application shuts down: long polls end."""


@dataclass(slots=True)
class Call:
    """One authenticated request on its way through a handler."""

    ctx: ApiContext
    request: web.Request
    request_id: str
    english: bool
    key: ApiKey
    account: Account
    body: Any = None
    """The decoded body, of the route's type."""
    query: Any = None
    """The decoded query, of the route's type."""
    incoming: Incoming | None = None
    """The body of a route that takes a file."""
    nonce: str = ""
    """Of its signature, as the database keeps it; empty for a bearer."""
    request_sha256: bytes = b""
    """Hash of method, path and body: whether a repetition is one."""
    status: int | None = None
    """Another HTTP status than the route's."""
    headers: dict[str, str] = field(default_factory=dict)
    """Further headers of the answer."""

    @property
    def actor(self) -> Actor:
        """The key as the one who acts."""
        address = serving.address_of(self.request, self.ctx.trusted_proxies) or None
        return Actor.key(self.key.key_id, self.account.id, self.key.scopes, address)

    @property
    def tests(self) -> bool:
        """Whether it lists what went to the simulated carrier and nothing else: a test key, or one in training mode."""
        return self.key.test or self.account.training

    @property
    def named(self) -> bool | None:
        """The same of what it names by an id: for a live key either (None), as rehearsals come and go."""
        return True if self.key.test else None

    @property
    def pulled(self) -> Sequence[bool]:
        """The same of what it pulls: what is real goes on coming while its account rehearses."""
        return (True,) if self.key.test else (False, True) if self.account.training else (False,)

    def change(self) -> Change:
        """What the call wishes to change, for a service."""
        return Change(self.ctx.db, self.actor, ids=self.ctx.ids)
