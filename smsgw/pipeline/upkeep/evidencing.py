"""Makes the root over each day's evidence once the day is over, and writes it down outside the database."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from smsgw.core.alarms import CRITICAL, Finding
from smsgw.core.evidence import Root
from smsgw.core.wording_json import Heard
from smsgw.pipeline.periodic import Periodic
from smsgw.runtime import clock
from smsgw.runtime.config import Config
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import anchors, evidence

log = structlog.get_logger(__name__)

EVERY = 300.0
PATIENCE = 3600.0


class Evidencing:
    """On this node; one at a time does it."""

    def __init__(self, database: Database, sealer: Sealer, config: Config) -> None:
        self._database = database
        self._sealer = sealer
        self._node = config.node.number
        self._file = anchors.AnchorFile(config.evidence_file, limit=config.audit.anchor_mb * 1024 * 1024)
        self._syslog = anchors.Syslog(config.audit.syslog) if config.audit.syslog else None
        self._unwritten: list[Root] = []
        """Roots that could not be written down yet."""
        self._refused = ""

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (Periodic("evidence.root", EVERY, self.step, exclusive="evidence/root", patience=PATIENCE),)

    async def stop(self) -> None:
        """Let go of the system log."""
        if self._syslog is not None:
            self._syslog.close()

    async def step(self) -> bool:
        """Make the root of one day; whether one was made."""
        made = await evidence.make_root(self._database, self._sealer, clock.now())
        if made is not None:
            log.info("evidence.root", day=str(made.day), leaves=made.leaves, root=made.root.hex())
            self._unwritten.append(made)
        while self._unwritten:
            text = evidence.line(self._unwritten[0], self._node)
            try:
                await asyncio.to_thread(self._write, text)
            except OSError as exc:
                if not self._refused:
                    log.error("evidence.anchor_failed", error=str(exc))
                self._refused = str(exc)
                return False
            self._refused = ""
            self._unwritten.pop(0)
        return made is not None

    def _write(self, text: str) -> None:
        self._file.write(text)
        if self._syslog is not None:
            self._syslog.write(text)

    async def findings(self) -> Iterable[Finding]:
        """A root that could not be written down is an alarm."""
        if not self._refused:
            return []
        return [Finding("audit_anchor", f"node/{self._node}/evidence", CRITICAL, Heard(self._refused), 60.0)]
