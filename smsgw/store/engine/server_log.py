"""What the log of an embedded PostgreSQL says of crashes of the server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC \[\d+\] [A-Z]+: {2}(.*)")
_CRASHED = (
    "was terminated by signal",
    "all server processes terminated; reinitializing",
    "database system was interrupted",
)
_DIED = re.compile(r"server process \(PID \d+\) exited with exit code")
_READY = "database system is ready to accept connections"
MOST_OCTETS = 64 << 20
"""Of a file that is read."""


@dataclass(frozen=True, slots=True)
class Crash:
    """Of one of the server's processes, or of all of them."""

    at: datetime
    """When the server logged it: a killed postmaster is noticed at the next start."""
    cause: str
    """The server's own words."""
    ready_at: datetime | None
    """When it took connections again; None: not yet."""


def crashes(folder: Path) -> list[Crash]:
    """All crashes in the log files of a folder, in their order; one for all lines from the first to the recovery.
    ``OSError``, unless there is no such folder."""
    found: list[Crash] = []
    at: datetime | None = None
    causes: list[str] = []
    for file in sorted(folder.glob("postgresql-*.log")):
        with file.open(encoding="utf-8", errors="replace") as lines:
            for line in lines.readlines(MOST_OCTETS):
                entry = _LINE.match(line)
                if entry is None:
                    continue
                when = datetime.strptime(entry[1], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=UTC)
                said = entry[2].strip()
                if any(mark in said for mark in _CRASHED) or _DIED.match(said):
                    at = at or when
                    causes.append(said)
                elif at is not None and said.startswith(_READY):
                    found.append(Crash(at, "; ".join(causes), when))
                    at, causes = None, []
    if at is not None:
        found.append(Crash(at, "; ".join(causes), None))
    return found
