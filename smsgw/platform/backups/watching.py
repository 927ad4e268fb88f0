"""Misses a backup, and the decision about what a restore has left uncertain: alarms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from smsgw.core.alarm_rules import Rules
from smsgw.core.alarms import WARNING, Finding
from smsgw.core.words import phrase
from smsgw.platform.backups import queries
from smsgw.runtime.ttl_cache import TtlCache
from smsgw.store.engine.database import Database
from smsgw.store.messages import restored

LOOK_EVERY = 60.0


class BackupWatch:
    """On this node."""

    def __init__(self, database: Database, rules: Callable[[], Rules]) -> None:
        self._database = database
        self._rules = rules
        self.findings = TtlCache(LOOK_EVERY, self.due)
        """What it found last."""

    async def due(self) -> Sequence[Finding]:
        """That the youngest is too old, or that there is none though there is something to lose; and what a restore has
        left that nobody has decided about."""
        left = await restored.undecided(self._database)
        undecided = Finding("restored_undecided", "database", WARNING, phrase("alarm.restored_undecided", n=left))
        return [*(await self._old()), *([undecided] if left else [])]

    async def _old(self) -> Sequence[Finding]:
        found, limit = await queries.standing(self._database), self._rules().threshold("backup_old")
        if found.hours is None or found.hours <= limit:
            return []
        code = "alarm.backup_never" if found.last is None else "alarm.backup_old"
        return [Finding("backup_old", "database", WARNING, phrase(code, hours=int(found.hours), limit=limit))]
