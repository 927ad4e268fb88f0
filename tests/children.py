"""Processes that a test's own process has started."""

from __future__ import annotations

import contextlib
from pathlib import Path


def children() -> set[int]:
    """Those that any of its threads started; a thread may end while they are asked."""
    pids: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pids.update(int(pid) for pid in (task / "children").read_text().split())
    return pids
