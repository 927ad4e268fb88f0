"""What the workers of one installation know of each other, and do for each other (docs/adr/091).

Channels are shared out by their ids: each has its own worker. One that is absent is stood in for by the next one; when
it has been back for a while its channels go back to it. What a process that has died was about to do its journal tells
whoever takes its channels, while the kernel's lock keeps its successor from beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec
import structlog

from smsgw.channels.manager import ChannelManager
from smsgw.core.keys import ApiKey
from smsgw.core.model import ChannelStatus
from smsgw.node import control_client
from smsgw.pipeline.heartbeat import Cluster
from smsgw.pipeline.periodic import Periodic
from smsgw.runtime import worker_pool
from smsgw.runtime.aio import boottime
from smsgw.runtime.worker_pool import Place, Presence
from smsgw.store.engine import nodes, restoring
from smsgw.store.engine.database import Database
from smsgw.store.engine.journal import Journal, Replay, boot_id

log = structlog.get_logger(__name__)

LOOK_EVERY = 0.25
LINES_EVERY = 1.0
BEGINS_WITHIN = 60.0
"""Seconds that the channels of a worker which has not begun yet are kept for it."""
SILENT = 15.0
"""Seconds without an answer after which a worker is not counted on: as long as its leases last."""
ABLE_WITHIN = 3.0
"""Seconds for which a worker's word counts that it reaches the database: less than its leases have left then."""
SETTLED = 10.0
"""Seconds that a worker has served when its channels go back to it."""
INHERIT_PATIENCE = 20.0
"""Seconds for which the successor of a worker that has died is kept waiting."""
ASK_WITHIN = 5.0


@dataclass(slots=True)
class _Sibling:
    worker: int
    folder: Path
    presence: Presence | None = None
    """None: not looked at yet."""
    since: float = 0.0
    """When that began."""
    trusted: bool = True
    """Its channels are kept for it."""
    answered: float = 0.0
    """When it last did, and could reach the database, …"""
    silent: float = 0.0
    """… and when it last had not done so for too long."""
    died: bool = False
    """Its process has ended, not in order, and we have not seen to what it left."""
    unread: bool = False
    """Nor read its journal."""
    able: float = float("-inf")
    """When it last said that it reaches the database."""
    lines: tuple[ChannelStatus, ...] = ()

    @property
    def control(self) -> Path:
        return self.folder / worker_pool.CONTROL

    def look(self, now: float, kept: bool) -> None:
        """Find out whether it is there. ``kept``: its channels are kept for it though it has not begun yet."""
        found = worker_pool.presence(self.folder)
        if found is not self.presence:
            if found is Presence.ABSENT and self.presence is not None:
                self._left()
            elif found is not Presence.ABSENT:
                self.died = self.unread = False
            self.presence, self.since, self.answered = found, now, now
        for_long = now - self.since
        if found is Presence.SERVING and now - self.answered >= SILENT:  # it stands still: its leases end
            self.trusted, self.silent, self.lines = False, now, ()
        elif found is Presence.SERVING and min(for_long, now - self.silent) >= SETTLED:
            self.trusted = True
        elif found is not Presence.SERVING and not kept and for_long >= BEGINS_WITHIN:
            self.trusted = False

    def _left(self) -> None:
        self.trusted = False
        self.lines = ()
        self.died = self.unread = not worker_pool.ended_in_order(self.folder)
        if self.died:
            log.error("worker.gone", sibling=self.worker)

    async def ask(self) -> None:
        """Hear how its channels are. One that is not there, or of another release and not understood, says nothing."""
        with contextlib.suppress(control_client.DaemonAway, control_client.DaemonRefusal, ValueError):
            said = await control_client.call(self.control, "GET", "/worker/channels", timeout_s=ASK_WITHIN)
            told = msgspec.convert(said, Told)
            self.lines = told.channels
            if not told.away:
                self.answered = self.able = boottime()

    def excuse(self, now: float) -> None:
        """It need not have answered until now; what is known of it stays."""
        if self.trusted:
            self.answered = now

    def read(self) -> None:
        """Its journal is."""
        self.unread = False

    def seen_to(self) -> None:
        """What it has left is taken up."""
        self.died = self.unread = False


class Told(msgspec.Struct):
    """What a worker answers another one."""

    away: bool
    """It does not reach the database."""
    channels: tuple[ChannelStatus, ...]
    """Those that run there."""


class Siblings:
    """The other workers as this one sees them. A single process has none."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._began = boottime()
        self._of = {k: _Sibling(k, worker_pool.folder_of(place.root, k), since=self._began) for k in place.siblings}
        self._lines: Mapping[int, ChannelStatus] = {}

    @property
    def several(self) -> bool:
        """There are others."""
        return self.place.crewed

    @property
    def running(self) -> int:
        """How many processes of the installation exist, this one among them."""
        return 1 + sum(s.presence not in (None, Presence.ABSENT) for s in self._of.values())

    @property
    def able(self) -> bool:
        """One of them reaches the database, and would take what we must leave."""
        now = boottime()
        return any(s.presence is Presence.SERVING and now - s.able < ABLE_WITHIN for s in self._of.values())

    # --- channels ------------------------------------------------------------------------------------------------

    def mine(self, channel_id: int) -> bool:
        """Whether a channel that nobody has is this worker's to take. While a worker that has died is not read none is:
        it may have had any of them, and another one of us may have ended its leases."""
        if self.place.surplus or any(s.unread for s in self._of.values()):
            return False
        return self._worker_of(channel_id) == self.place.worker

    def due_back(self, channel_id: int) -> bool:
        """Whether a channel that runs here goes back to the worker whose it is."""
        return self.several and self._worker_of(channel_id) != self.place.worker

    def _worker_of(self, channel_id: int) -> int:
        of = self.place.of
        for n in range(of):
            worker = (channel_id + n) % of + 1
            if worker == self.place.worker or self._of[worker].trusted:
                return worker
        return self.place.worker

    def line(self, channel_id: int) -> ChannelStatus | None:
        """How a channel is that runs on another worker."""
        return self._lines.get(channel_id)

    # --- looking -------------------------------------------------------------------------------------------------

    def look(self, *, away: bool = False) -> None:
        """Find out who is there. ``away``: we do not reach the database ourselves, and judge nobody who does not."""
        now = boottime()
        for sibling in self._of.values():
            if away:
                sibling.excuse(now)
            sibling.look(now, kept=now - self._began < BEGINS_WITHIN)

    def dead(self) -> list[tuple[int, Path]]:
        """Workers that have died, and what they have left is to be seen to; their folders."""
        return [(s.worker, s.folder) for s in self._of.values() if s.died]

    def read(self, worker: int) -> None:
        """The journal of one of them is read."""
        self._of[worker].read()

    def seen_to(self, worker: int) -> None:
        """That is done."""
        self._of[worker].seen_to()

    def trusted(self) -> list[Path]:
        """Folders of those that are there."""
        return [s.folder for s in self._of.values() if s.trusted and s.presence is Presence.SERVING]

    # --- asking --------------------------------------------------------------------------------------------------

    async def ask(self) -> None:
        """Hear how the channels of the others are."""
        await asyncio.gather(*(s.ask() for s in self._of.values() if s.presence is Presence.SERVING))
        self._lines = {line.id: line for s in self._of.values() for line in s.lines}

    def with_channel(self, name: str) -> Path | None:
        """The control socket of the worker that runs a channel."""
        for sibling in self._of.values():
            if any(line.name == name for line in sibling.lines):
                return sibling.control
        return None

    @property
    def controls(self) -> list[Path]:
        """The control sockets of all others that serve."""
        return [s.control for s in self._of.values() if s.presence is Presence.SERVING]

    async def reload(self) -> None:
        """All others take up at once what was changed; one that does not answer does so by itself."""
        await self._tell("/worker/reload")

    async def _tell(self, path: str, body: Any = None) -> None:
        asked = [control_client.call(c, "POST", path, body, timeout_s=ASK_WITHIN) for c in self.controls]
        for answer in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(answer, Exception):
                log.warning("worker.not_told", path=path, error=str(answer))

    async def lend(self, key: ApiKey) -> None:
        """Let a key be good on the others as well: a call from a page may come to any of them."""
        await self._tell("/worker/lend", msgspec.to_builtins(Lent.of(key)))

    def told(self) -> list[dict[str, Any]]:
        """All workers, for ``status``."""
        if not self.several:
            return []
        own: dict[str, Any] = {"worker": self.place.worker, "state": Presence.SERVING.value, "channels": None}
        others: list[dict[str, Any]] = [
            {
                "worker": s.worker,
                "state": (s.presence or Presence.ABSENT).value,
                "channels": sorted(line.name for line in s.lines),
            }
            for s in self._of.values()
        ]
        edge = worker_pool.presence(worker_pool.folder_of(self.place.root, worker_pool.EDGE)).value
        led: list[dict[str, Any]] = [{"worker": "edge", "state": edge, "channels": None}]
        workers = sorted([own, *others], key=lambda one: int(str(one["worker"])))
        return [*workers, *(led if self.place.edge else ())]


class Lent(msgspec.Struct):
    """A lent key, as workers tell it to each other."""

    key_id: str
    account_id: int
    scopes: frozenset[str]
    bearer: bytes
    ip_allow: list[str]
    secrets: tuple[str, ...]
    expires_at: datetime | None
    requests_per_second: int

    @classmethod
    def of(cls, key: ApiKey) -> Lent:
        """To be told."""
        return cls(
            key.key_id, key.account_id, key.scopes, key.bearer_sha256, [str(network) for network in key.ip_allow],
            key.secrets, key.expires_at, key.requests_per_second,
        )  # fmt: skip

    def key(self) -> ApiKey:
        """As it was lent."""
        return ApiKey(
            self.key_id, self.account_id, self.scopes, True, tuple(ip_network(text) for text in self.ip_allow),
            self.bearer, None, self.secrets, "active", self.expires_at, self.requests_per_second, lent=True,
        )  # fmt: skip


class Succession:
    """Sees to what workers have left that have died."""

    def __init__(self, siblings: Siblings, channels: ChannelManager, database: Database, cluster: Cluster) -> None:
        self._siblings = siblings
        self._cluster = cluster
        self._database = database
        self._channels = channels
        self._inherited: dict[Path, int] = {}

    def periodics(self) -> Sequence[Periodic]:
        """What comes round; nothing for a single process."""
        if not self._siblings.several:
            return ()
        return (
            Periodic("workers.look", LOOK_EVERY, self.step),
            Periodic("workers.channels", LINES_EVERY, self._siblings.ask),
        )

    async def start(self) -> None:
        """Read what workers have left that are not wanted any more, before any channel is taken. Those that have left
        nothing will not come back, and nobody need miss them."""
        place = self._siblings.place
        if place.worker != 1:
            return
        left = worker_pool.left_over(place.root, place.of)
        for worker, folder in worker_pool.beyond(place.root, place.of).items():
            with worker_pool.kept_away(folder) as alone:
                try:
                    if alone and worker in left:
                        self._channels.hear_of(*await self._read(folder))
                    elif alone and not worker_pool.kept(folder):
                        await nodes.retire(self._database, nodes.identity(folder))
                except (nodes.IdentityUnreadable, OSError) as exc:  # what is left over is no reason not to begin
                    log.error("worker.left_unread", sibling=worker, error=str(exc))

    async def step(self) -> None:
        """Look at the others, and take up what is left."""
        self._siblings.look(away=self._cluster.away)
        for folder in self._siblings.trusted():
            if (node := self._inherited.pop(folder, None)) is not None:
                self._channels.disinherit(node)
        for worker, folder in self._siblings.dead():
            await self._inherit(worker, folder)

    async def _inherit(self, worker: int, folder: Path) -> None:
        with worker_pool.kept_away(folder) as alone:
            if not alone:  # its successor was faster, and reads the journal itself
                return
            try:
                node, replay = await self._read(folder)
            except (nodes.IdentityUnreadable, OSError) as exc:  # its leases end by themselves
                log.error("worker.left_unread", sibling=worker, error=str(exc))
                self._siblings.seen_to(worker)
                return
            self._inherited[folder] = node
            self._channels.hear_of(node, replay)
            self._siblings.read(worker)
            async with asyncio.timeout(INHERIT_PATIENCE):
                await self._channels.inherit(node)
        self._siblings.seen_to(worker)
        log.warning("worker.succeeded", sibling=worker, node=node)

    async def _read(self, folder: Path) -> tuple[int, Replay]:
        """Which node the worker of a folder was, and what its journal says, if it is about this database."""
        who = nodes.identity(folder)
        if who.life != await restoring.life(self._database):
            return who.number, Replay()
        return who.number, await asyncio.to_thread(Journal(folder / "journal", who.number, boot_id()).look)
