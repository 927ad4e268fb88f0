"""A durable job: its states, its owner, how far it is, how it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from smsgw.core.actor import ActorLabel


class JobState(StrEnum):
    """Where a job stands. The last three are ends."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


EXPIRED = "JOB_EXPIRED"
"""Error of a job that did not come to an end in its time."""
CRASHED = "JOB_CRASHED"
"""Error of a job whose runs came to a bad end, again and again."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """What is to be done."""

    kind: str
    params: Mapping[str, Any]
    submitter: ActorLabel
    """Label of who wants it."""
    subject: str = ""
    """What it is about. Of a kind there is one unfinished job for each; empty: any number."""
    account_id: int | None = None
    department_id: int | None = None
    node: int | None = None
    """The node that does it as long as it lives: what it needs is there, and need not be fetched."""
    lasts: timedelta = timedelta(days=7)
    """It fails when it has not come to an end by then."""
    held: bool = False
    """It waits for somebody's word (``queries.let_begin``)."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job as stored."""

    id: int
    kind: str
    params: Mapping[str, Any]
    subject: str
    account_id: int | None
    department_id: int | None
    submitter: ActorLabel
    node: int | None
    state: JobState
    done: int
    total: int
    """Of the kind's own units; 0: not known."""
    checkpoint: Mapping[str, Any]
    cancel_asked: bool
    error: str
    """Code; empty: none."""
    attempts: int
    crashes: int
    runner: int | None
    epoch: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)

    def speed(self, now: datetime) -> float:
        """Units a second since it began."""
        if self.started_at is None:
            return 0.0
        seconds = ((self.ended_at or now) - self.started_at).total_seconds()
        return self.done / seconds if seconds > 0 else 0.0

    def remaining(self, now: datetime) -> timedelta | None:
        """What is left of it by its speed so far; None: cannot be told."""
        speed = self.speed(now)
        if self.state is not JobState.RUNNING or not self.total or not speed:
            return None
        return timedelta(seconds=max(0, self.total - self.done) / speed)
