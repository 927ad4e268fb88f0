"""Whether there is room for new messages."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from smsgw.core.errors import Temporary
from smsgw.core.words import Wording, phrase


def free_percent(free: int, used: int) -> float:
    """Of what a file system can still hold or holds, as ``df`` says it: blocks that nobody may have do not count."""
    return 100 * free / max(1, free + used)


class DiskGuard:
    """Knows whether the data folders have room, so that new messages are refused before a write fails half-way."""

    CHECK_EVERY = 1.0

    def __init__(self, folders: Sequence[Path], min_free_mb: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._folders = folders
        self._min_free = min_free_mb * 1024 * 1024
        self._clock = clock
        self._checked_at = float("-inf")
        self._free = 0

    @property
    def low(self) -> Wording | None:
        """What is wrong with the free space, for people; None while there is enough."""
        try:
            self.check()
        except Temporary:
            return phrase("disk.low", free=self._free // 2**20, need=self._min_free // 2**20)
        return None

    @property
    def free_percent(self) -> float | None:
        """Of the fullest of the folders' file systems; blocks for a moment. None: it cannot be told."""
        try:
            return min(free_percent(usage.free, usage.used) for usage in map(shutil.disk_usage, self._folders))
        except OSError:
            return None

    def check(self) -> None:
        """Raise ``STORAGE_UNAVAILABLE`` when the folder has less than the configured free space."""
        now = self._clock()
        if now - self._checked_at >= self.CHECK_EVERY:
            self._checked_at = now
            try:
                self._free = min(shutil.disk_usage(folder).free for folder in self._folders)
            except OSError:
                self._free = 0
        if self._free < self._min_free:
            free_mb, need_mb = self._free // 2**20, self._min_free // 2**20
            raise Temporary(
                "STORAGE_UNAVAILABLE", retry_after=30, reason=phrase("disk.low", free=free_mb, need=need_mb)
            )
