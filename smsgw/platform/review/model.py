"""What waits for a reviewer, as reviewers see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from smsgw.core.actor import ActorLabel


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A call or task that waits, or has waited, for a reviewer. Its id is that of the call; of a task that of what was
    asked about it: another one each time that it is edited."""

    batch_id: int
    account_id: int
    type: str
    origin: str
    submitter: ActorLabel
    reasons: list[str]
    """Why somebody has to see it, for people."""
    numbers: int
    parts: int
    content: str
    """Of the first message."""
    due_at: datetime | None
    validity: timedelta
    """From the release on."""
    expires_at: datetime
    """Nobody is asked any more. Of a task: without an end."""
    state: str
    decided_by: ActorLabel
    decided_at: datetime | None
    reason: str
    created_at: datetime
    task: bool
    account: str
    sign: str = ""
    """Of the first message."""
    name: str = ""
    """Of a task, as is its id, …"""
    task_id: int | None = None
    owner: str = ""
    """… who has made it (who asks may have edited it), and …"""
    emergency: bool = False
    """… whether it goes before everything else."""
    kind: str = ""
    """The operator's own kind of its type; empty: none."""

    def own(self, who: ActorLabel) -> bool:
        """Whether somebody has made or edited it, and cannot decide about it."""
        return who in (self.submitter, self.owner)

    @property
    def id(self) -> int:
        """What lists know it by."""
        return self.batch_id


@dataclass(frozen=True, slots=True)
class WantedReviews:
    """What is looked for; empty and None: all."""

    pending: bool
    """Those that wait for a decision, or else those that do not any more."""
    account_id: int | None = None
    type: str = ""
    origin: str = ""
    submitter: ActorLabel | None = None
    state: str = ""
    task: bool | None = None
    content: str = ""
    """A piece of it."""
    decided_by: ActorLabel | None = None


class Sample(NamedTuple):
    """A message of a call; of a task a row, with what it would be sent."""

    id: int
    number: str
    carrier: str
    content: str
    sign: str


class Homed(NamedTuple):
    """Numbers of a call that have the same carrier and province."""

    carrier: str
    province: str
    numbers: int
    units: int
    """What they cost."""
