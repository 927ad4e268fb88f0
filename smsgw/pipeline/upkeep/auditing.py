"""Keeps the audit log's chain: takes rows in, writes its head down outside the database, drops rows that are too old.

Every node does it, one at a time (``store/records/audit_chain``), and each writes the heads that it sees into a file
of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from datetime import timedelta

import structlog

from smsgw.core.alarms import CRITICAL, Finding
from smsgw.core.audit import Anchor, Head, Problem
from smsgw.core.errors import SmsgwError
from smsgw.core.wording_json import Heard
from smsgw.core.words import phrase
from smsgw.pipeline.periodic import Periodic
from smsgw.runtime import clock
from smsgw.runtime.config import Config
from smsgw.runtime.log import safe
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import anchors, audit_chain

log = structlog.get_logger(__name__)

PRUNE_EVERY = 3600.0
LOOK_BACK_EVERY = 5.0
STOP_PATIENCE = 5.0
UNSEALED_AFTER = 120.0
"""Seconds in which rows may be kept out of the chain, by an outage too, before it is an alarm."""


class Auditing:
    """The chain of the audit log, on this node."""

    def __init__(self, database: Database, sealer: Sealer, config: Config) -> None:
        self._database = database
        self._sealer = sealer
        self._node = config.node.number
        self._every = config.audit.every_seconds
        self._keep = timedelta(days=config.retention.audit_days)
        self._file = anchors.AnchorFile(config.anchor_file, limit=config.audit.anchor_mb * 1024 * 1024)
        self._syslog = anchors.Syslog(config.audit.syslog) if config.audit.syslog else None
        self._anchored: Anchor | None = None
        self._filed: Head | None = None
        self._lost: list[Problem] = []
        """What the anchors know and the chain does not."""
        self._refused = ""
        """Why the last anchor could not be written."""
        self._unsealed = ""
        """Why the last step took nothing in."""
        self._looked_back = 0.0
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Look whether everything that was anchored is still there."""
        await self._look_back()

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (Periodic("audit.seal", self._every, self.step), Periodic("audit.prune", PRUNE_EVERY, self._prune))

    async def stop(self) -> None:
        """Seal and write down what there is."""
        with contextlib.suppress(SmsgwError, TimeoutError):  # the database is away: the next start does it
            async with asyncio.timeout(STOP_PATIENCE):
                await self.step()
        if self._syslog is not None:
            self._syslog.close()

    async def step(self) -> None:
        """Take all new rows into the chain; the head is written down after each thousand and at the end."""
        async with self._turn:
            while True:
                try:
                    sealed = await audit_chain.seal(self._database, self._sealer)
                except Exception as exc:
                    self._unsealed = exc.code if isinstance(exc, SmsgwError) else safe(exc)
                    raise
                self._unsealed = ""
                await self._anchor()
                if sealed < audit_chain.BATCH:
                    return

    async def _anchor(self) -> None:
        head = await audit_chain.head(self._database)
        if self._lost:  # all anchors: the last one may be of the time since
            if self._looked_back + LOOK_BACK_EVERY < asyncio.get_running_loop().time():
                await self._look_back()
        elif self._anchored is not None:
            self._tell(await audit_chain.broken_ends(self._database, self._sealer, [self._anchored]))
        if head is None or (self._anchored is not None and head == self._anchored.head):
            return
        now = clock.now()
        text = anchors.line(head, now, self._node)
        try:
            await asyncio.to_thread(self._write, head, text)
        except OSError as exc:
            self._refuse(exc)
            return
        self._refused = ""
        self._anchored = Anchor(head, now.isoformat(timespec="seconds"), "the anchors of this node")

    def _write(self, head: Head, text: str) -> None:
        if head != self._filed:  # a system log that does not answer must not fill the file
            self._file.write(text)
            self._filed = head
        if self._syslog is not None:
            self._syslog.write(text)

    async def _look_back(self) -> None:
        try:
            kept = await asyncio.to_thread(lambda: list(self._file.read()))
        except OSError as exc:
            self._refuse(exc)
            return
        self._looked_back = asyncio.get_running_loop().time()
        if kept and self._anchored is None:
            self._anchored = kept[-1]
        self._tell(await audit_chain.broken_ends(self._database, self._sealer, kept))

    def _refuse(self, exc: OSError) -> None:
        if not self._refused:
            log.error("audit.anchor_failed", error=str(exc))
        self._refused = str(exc)

    def _tell(self, lost: list[Problem]) -> None:
        if lost and not self._lost:
            log.critical("audit.changed", problem=str(lost[0]))
        self._lost = lost

    async def _prune(self) -> None:
        before = clock.now() - self._keep
        while gone := await audit_chain.prune(self._database, self._sealer, before):
            log.info("audit.pruned", rows=gone, before=str(before))

    async def findings(self) -> Iterable[Finding]:
        """Alarms: something that was anchored is gone, or nothing can be taken in or anchored."""
        node = f"node/{self._node}"
        found = [
            Finding("audit_changed", "audit", CRITICAL, phrase("alarm.anchored", first=lost.first, last=lost.last))
            for lost in self._lost[:1]
        ]
        if self._refused:
            found.append(Finding("audit_anchor", node, CRITICAL, Heard(self._refused), 60.0))
        elif self._unsealed:
            detail = phrase("alarm.unsealed", why=Heard(self._unsealed))
            found.append(Finding("audit_anchor", node, CRITICAL, detail, UNSEALED_AFTER))
        return found
