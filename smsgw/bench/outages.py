"""Outages of daemon and database that nobody asked for: a run with one has failed, whatever its counts say.

The daemon bridges an outage of its database, so that customers may see nothing of it. The server's log and the daemon's
say what happened.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from smsgw.bench.result import Outage
from smsgw.core.ids import CHINA
from smsgw.store.engine import server_log

EVENTS = {
    "postgres.died": "database",
    "postgres.restart_failed": "database",
    "spool.begun": "database",
    "writer.outage": "database",
    "worker.died": "daemon",
    "worker.not_started": "daemon",
    "worker.stalled": "daemon",
    "node.number_lost": "daemon",
}
"""Events of the daemon's log that are an outage, and of what."""
SETTLES = timedelta(seconds=5)
"""What an intended fault leaves behind may come so long after its end."""
MOST = 20
"""Outages that are named."""

Event = tuple[datetime, str, str]
"""When, of what (``database`` or ``daemon``), and the cause."""


@dataclass(frozen=True, slots=True)
class Intended:
    """A fault that was asked for, from just before it to the recovery."""

    began: datetime
    ended: datetime

    def explains(self, at: datetime, cause: str) -> bool:
        """Whether it is the reason. It came as SIGKILL or SIGSTOP: another signal has another reason."""
        other = "by signal" in cause and f"by signal {signal.SIGKILL.value}" not in cause
        return self.began <= at <= self.ended + SETTLES and not other


def outages(
    events: Iterable[Event], since: datetime, first_post: datetime | None, intended: Sequence[Intended] = ()
) -> list[Outage]:
    """What of it happened since, and no fault explains that was asked for; in order."""
    return [
        Outage(
            what, at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S.%f %z"),
            None if first_post is None else round((at - first_post).total_seconds(), 1), cause,
        )
        for at, what, cause in sorted(events)
        if at >= since and not any(fault.explains(at, cause) for fault in intended)
    ][:MOST]  # fmt: skip


def of_server(folder: Path) -> list[Event]:
    """Crashes, by the log of an embedded server. ``OSError``."""
    return [(crash.at, "database", crash.cause) for crash in server_log.crashes(folder)]


def of_daemon(log: Iterable[str]) -> list[Event]:
    """By the lines of a daemon's log in JSON."""
    found = []
    for line in log:
        try:
            entry = json.loads(line)
            event = entry.pop("event")
            when = datetime.fromisoformat(entry.pop("timestamp"))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        if event in EVENTS:
            details = [f"{name}={value}" for name, value in entry.items() if name not in ("level", "exception")]
            found.append((when, EVENTS[event], " ".join([event, *details])))
    return found


def of_end(at: datetime, status: int) -> Event:
    """The daemon's process has ended."""
    how = f"terminated by signal {-status}: {signal.strsignal(-status)}" if status < 0 else f"exit status {status}"
    return at, "daemon", f"the process ended, {how}"


def of_answers(times: Sequence[float]) -> list[Event]:
    """Calls that were answered that the database is away; times by the wall clock."""
    return [(datetime.fromtimestamp(at, UTC), "database", "a call was answered STORAGE_UNAVAILABLE") for at in times]
