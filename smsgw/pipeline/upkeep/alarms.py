"""Looks for what is wrong, every few seconds, and keeps the table of alarms in step: raised, standing, cleared.

Probes are functions that name what is wrong at this moment; an alarm that no probe of a node names any more is cleared:
what one node knows (its login, its memory) another one does not undo. While
the database is away the alarms stand in memory (metrics, ``smsgwctl status``) and are stored when it is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from smsgw.core.alarms import CRITICAL, WARNING, Finding, Watch
from smsgw.core.carried import Heard
from smsgw.core.errors import SmsgwError
from smsgw.core.model import ChannelStatus
from smsgw.core.routes import RouteTable
from smsgw.core.settings import Settings
from smsgw.core.states import STATUS, STATUS_NAMES, PartState
from smsgw.core.words import Wording, english_of, listed, phrase
from smsgw.pipeline.periodic import Periodic
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database
from smsgw.store.records import alarms as store

log = structlog.get_logger(__name__)

EVERY = 2.0
Probe = Callable[[], Awaitable[Iterable[Finding]]]


@dataclass(frozen=True, slots=True)
class Standing:
    """An alarm of this node's making, as it stands."""

    kind: str
    object: str
    severity: str
    detail: Wording | str
    since: datetime


class Teller(Protocol):
    """Who tells people of alarms that the database cannot be told of."""

    @property
    def holds(self) -> bool:
        """Whether there is something to be entered."""

    async def unstored(self, standing: Sequence[Standing]) -> None:
        """The database is away, and does not know these."""

    async def settle(self) -> None:
        """Wait a moment until what is under way has ended."""

    async def enter(self, connection: Connection) -> Sequence[tuple[str, str]]:
        """Enter, before anything else, what it was not told of; for ``entered`` after the commit."""

    async def entered(self, keys: Sequence[tuple[str, str]]) -> None:
        """They are in the database."""


class AlarmTable:
    """Runs the probes of a node.

    ``probes`` name what they found; ``node`` is the number under which node alarms go (``node/N``, ``node/N/…``): those
    of other nodes are left alone.
    """

    def __init__(
        self,
        database: Database,
        node: int,
        probes: Mapping[str, Probe],
        teller: Teller,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._database = database
        self._number = node
        self._node = f"node/{node}"
        self._probes = probes
        self._teller = teller
        self._now = now
        self._watch = Watch()
        self._standing: dict[tuple[str, str], Standing] = {}
        self._stored: frozenset[tuple[str, str]] = frozenset()
        """What stands and the database knows."""

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (Periodic("alarms", EVERY, self.look),)

    @property
    def standing(self) -> list[Standing]:
        """What is wrong by this node's knowledge, the gravest first."""
        return sorted(self._standing.values(), key=lambda a: (a.severity != CRITICAL, a.since))

    async def look(self) -> None:
        """One round."""
        found: list[Finding] = []
        failed = False
        for name, probe in self._probes.items():
            try:
                found += await probe()
            except SmsgwError as exc:  # the database is away: another probe says so
                failed = True
                log.debug("alarms.probe_failed", probe=name, error=exc.code)
        now = self._now()
        loop_time = asyncio.get_running_loop().time()
        up = self._watch.look(found, loop_time)
        before, self._standing = self._standing, {}
        for key, (finding, seconds) in up.items():
            old = before.get(key)
            since = old.since if old else now - timedelta(seconds=seconds)
            self._standing[key] = Standing(*key, finding.severity, finding.detail, since)
            if old is None:
                say = log.error if finding.severity == CRITICAL else log.warning
                say("alarm.raised", kind=key[0], object=key[1], detail=english_of(finding.detail))
        for key in before.keys() - self._standing.keys():
            if failed:  # not seen is not gone
                self._standing[key] = before[key]
            else:
                log.info("alarm.cleared", kind=key[0], object=key[1])
        try:
            await self._store(now, clear=not failed)
        except SmsgwError:  # stored in a later round
            if any(a.kind == "database_down" for a in self._standing.values()):
                own = (a for key, a in self._standing.items() if a.object == self._node and key not in self._stored)
                await self._teller.unstored(list(own))

    async def _store(self, now: datetime, *, clear: bool) -> None:
        rows = await store.list_(self._database, limit=1000)
        if not rows and not self._standing and not self._teller.holds:
            return
        if self._teller.holds:
            await self._teller.settle()
        async with self._database.transaction() as connection:
            entered = await self._teller.enter(connection) if self._teller.holds else ()
            for a in self.standing:
                await store.raise_(connection, a.kind, a.object, a.severity, a.detail, now=now, since=a.since,
                                   node=self._number)  # fmt: skip
            gone = [row.id for row in rows if clear and self._mine(row.object) and not self._watch.pending(row.key)]
            if gone:
                await store.withdraw(connection, gone, self._number, now=now)
        self._stored = frozenset(self._standing)
        if entered:
            await self._teller.entered(entered)

    def _mine(self, object: str) -> bool:
        """Whether it is not another node's own."""
        owner = object.split("/")[:2]
        return owner[0] != "node" or owner == self._node.split("/")


# --- what is wrong with channels and pools --------------------------------------------------------------------------


def channel_findings(channels: Sequence[ChannelStatus], settings: Settings) -> list[Finding]:
    """Channels that should be logged in and are not, or are and do not deliver what they are tried out with."""
    found = []
    for c in channels:
        if c.probe == "failed" and c.state != "stopped":
            found.append(Finding("probe_failed", f"channel/{c.name}", WARNING, _probed(c.probe_detail)))
        if c.state == "refused":
            found.append(Finding("login_refused", f"channel/{c.name}", CRITICAL, Heard(c.last_error)))
        elif c.state == "connecting":
            found.append(
                Finding(
                    "channel_down", f"channel/{c.name}", CRITICAL, Heard(c.last_error), settings.channel_down_seconds
                )
            )
    return found


def _probed(detail: str) -> Wording:
    """What a probe has come to (channels/probing), in words."""
    state, _, code = detail.partition(" ")
    if detail.startswith("no report in "):
        return phrase("alarm.probe_silent", minutes=detail.split()[3])
    name = state.upper()
    known = STATUS_NAMES[STATUS[PartState[name]]] if name in PartState.__members__ else state
    return phrase("alarm.probe_ended", state=known, code=code)


def standby_findings(
    table: RouteTable, channels: Sequence[ChannelStatus], settings: Settings
) -> list[Finding]:
    """Pools that have standbys, and too few of them logged in; with the accounts that rules lead there."""
    bound = {c.name for c in channels if c.state in ("bound", "idle") and c.probe != "failed"}
    found = []
    for pool in table.pools.values():
        standbys = [m.channel for m in pool.members if m.standby]
        healthy = bound.intersection(standbys)
        if not standbys or len(healthy) >= settings.standbys_wanted:
            continue
        away = listed([name for name in standbys if name not in bound] or ["-"])
        accounts = sorted({a for rule in table.rules if rule.pool == pool.name for a in rule.account})
        numbers = {"healthy": len(healthy), "wanted": settings.standbys_wanted}
        detail = phrase("alarm.standby", away=away, **numbers)
        if accounts:
            detail = phrase("alarm.standby_accounts", away=away, accounts=listed(accounts[:20]), **numbers)
        severity = WARNING if healthy else CRITICAL
        found.append(Finding("standby_low", f"pool/{pool.name}", severity, detail, 10.0))
    return found
