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

from smsgw.core.alarm_rules import Rules
from smsgw.core.alarms import CRITICAL, WARNING, Finding, Watch, fewer
from smsgw.core.errors import SmsgwError
from smsgw.core.model import ChannelStatus
from smsgw.core.routes import RouteTable
from smsgw.core.states import STATUS, STATUS_NAMES, PartState
from smsgw.core.wording_json import Heard, Moment
from smsgw.core.words import Wording, english_of, listed, phrase
from smsgw.pipeline.periodic import Periodic
from smsgw.runtime import clock
from smsgw.runtime.rate_limited_logger import RateLimitedLogger
from smsgw.store.engine.database import Connection, Database
from smsgw.store.records import alarms as store

log = structlog.get_logger(__name__)
sparing = RateLimitedLogger(log)

EVERY = 2.0
MOST_OF_A_KIND = 100
"""Alarms of one kind that stand by themselves; of the others it is said how many they are."""
Probe = Callable[[], Awaitable[Iterable[Finding]]]


@dataclass(frozen=True, slots=True)
class Standing:
    """An alarm of this node's making, as it stands."""

    kind: str
    object: str
    severity: str
    detail: Wording | str
    since: datetime
    receivers: tuple[int, ...] | None = None
    """Who is told; None: everybody."""

    @property
    def key(self) -> tuple[str, str]:
        """There is one for each of these."""
        return self.kind, self.object


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
    of other nodes are left alone. ``rules`` say what of it is an alarm, and how grave.
    """

    def __init__(
        self,
        database: Database,
        node: int,
        probes: Mapping[str, Probe],
        teller: Teller,
        rules: Callable[[], Rules] = Rules,
        *,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._database = database
        self._number = node
        self._node = f"node/{node}"
        self._probes = probes
        self._teller = teller
        self._rules = rules
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
            except Exception:  # a fault of one keeps nothing that others have found from being told
                failed = True
                sparing.error("alarms.probe_failed", name, probe=name, exc_info=True)
        now = self._now()
        loop_time = asyncio.get_running_loop().time()
        rules = self._rules()
        up = self._watch.look((one for one in map(rules.judged, found) if one is not None), loop_time)
        before, self._standing = self._standing, {}
        for key, (finding, seconds) in fewer(up, before.keys(), MOST_OF_A_KIND).items():
            old = before.get(key)
            since = old.since if old else now - timedelta(seconds=seconds)
            told = rules.of(*key).receivers
            self._standing[key] = Standing(*key, finding.severity, finding.detail, since, told)
            if old is None:
                say = log.error if finding.severity == CRITICAL else log.warning
                say("alarm.raised", kind=key[0], object=key[1], detail=english_of(finding.detail))
        for key in before.keys() - self._standing.keys():
            if failed:  # not seen is not gone
                self._standing[key] = before[key]
            else:
                log.info("alarm.cleared", kind=key[0], object=key[1])
        try:
            await self._store(now, rules, clear=not failed)
        except SmsgwError:  # stored in a later round
            if any(a.kind == "database_down" for a in self._standing.values()):
                own = (a for key, a in self._standing.items() if a.object == self._node and key not in self._stored)
                await self._teller.unstored(list(own))

    async def _store(self, now: datetime, rules: Rules, *, clear: bool) -> None:
        entered: Sequence[tuple[str, str]] = ()
        if self._teller.holds:
            await self._teller.settle()
            async with self._database.transaction() as connection:
                entered = await self._teller.enter(connection)
            await self._teller.entered(entered)
        # The gravest first, and not all at once: what cannot be stored in time keeps nothing else from it.
        standing = self.standing
        grave = sum(one.severity == CRITICAL for one in standing)
        for some in (standing[:grave], standing[grave:]):
            for begin in range(0, len(some), store.MOST_AT_ONCE):
                part = some[begin : begin + store.MOST_AT_ONCE]
                async with self._database.transaction() as connection:
                    await store.raise_all(connection, part, now=now, node=self._number)
                self._stored |= {one.key for one in part}
        self._stored &= self._standing.keys()
        if clear and not entered:  # those have their beginning first
            await store.withdraw(self._database, self._watch.found | self._standing.keys(), self._number, now=now,
                                 watched=lambda kind, object: rules.of(kind, object).on)  # fmt: skip


# --- what is wrong with channels and pools --------------------------------------------------------------------------


def channel_findings(channels: Sequence[ChannelStatus]) -> list[Finding]:
    """Channels that should be logged in and are not, or are and are not answered, slowed down, or do not deliver what
    they are tried out with."""
    found = []
    for c in channels:
        if c.probe == "failed" and c.state != "stopped":
            found.append(Finding("probe_failed", f"channel/{c.name}", WARNING, _probed(c.probe_detail)))
        if c.reason == "carrier slow" and c.state in ("bound", "idle"):
            detail = phrase("alarm.channel_silent", used=c.window_used)
            found.append(Finding("channel_silent", f"channel/{c.name}", CRITICAL, detail))
        if c.throttled is not None:
            detail = phrase("alarm.channel_throttled", since=Moment(c.throttled.began_at), refused=c.throttled.refused)
            found.append(Finding("channel_throttled", f"channel/{c.name}", WARNING, detail))
        if c.state == "refused":
            found.append(Finding("login_refused", f"channel/{c.name}", CRITICAL, Heard(c.last_error)))
        elif c.state == "connecting":
            found.append(Finding("channel_down", f"channel/{c.name}", CRITICAL, Heard(c.last_error)))
    return found


def _probed(detail: str) -> Wording:
    """What a probe has come to (channels/probing), in words."""
    state, _, code = detail.partition(" ")
    if detail.startswith("no report in "):
        return phrase("alarm.probe_silent", minutes=detail.split()[3])
    name = state.upper()
    known = STATUS_NAMES[STATUS[PartState[name]]] if name in PartState.__members__ else state
    return phrase("alarm.probe_ended", state=known, code=code)


def standby_findings(table: RouteTable, channels: Sequence[ChannelStatus], rules: Rules) -> list[Finding]:
    """Pools that have standbys, and too few of them logged in; with the accounts that rules lead there."""
    bound = {c.name for c in channels if c.state in ("bound", "idle") and c.probe != "failed"}
    found = []
    for pool in table.pools.values():
        standbys = [m.channel for m in pool.members if m.standby]
        healthy = bound.intersection(standbys)
        wanted = rules.threshold("standby_low", f"pool/{pool.name}")
        if not standbys or len(healthy) >= wanted:
            continue
        away = listed([name for name in standbys if name not in bound] or ["-"])
        accounts = sorted({a for rule in table.rules if rule.pool == pool.name for a in rule.account})
        numbers = {"healthy": len(healthy), "wanted": wanted}
        detail = phrase("alarm.standby", away=away, **numbers)
        if accounts:
            detail = phrase("alarm.standby_accounts", away=away, accounts=listed(accounts[:20]), **numbers)
        severity = WARNING if healthy else CRITICAL
        found.append(Finding("standby_low", f"pool/{pool.name}", severity, detail))
    return found
