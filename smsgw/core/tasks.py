"""Sending tasks (发送任务): a task, its rows, and the chunks in which it gets its messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from smsgw.core.actor import ActorLabel


@dataclass(frozen=True, slots=True)
class Task:
    """A task as it stands."""

    id: int
    account_id: int
    name: str
    state: str
    origin: str
    submitter: ActorLabel
    type: str
    content: str
    created_at: datetime
    paused_from: str | None = None
    self_paused: bool = False
    reason: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    client_ref: str = ""
    request_key: str = ""
    request_sha256: bytes = b""
    sign: str = ""
    template_id: int | None = None
    ext: str = ""
    extend_code: str = ""
    callback_url: str = ""
    upload_id: int | None = None
    audience_id: int | None = None
    mapping: dict[str, Any] = field(default_factory=dict)
    one_each: str = "number"
    review: bool = False
    """A reviewer has to pass it; one that has begun was passed."""
    review_reasons: Sequence[str] = ()
    send_at: datetime | None = None
    expire_at: datetime | None = None
    windows: list[Any] = field(default_factory=list)
    recurring: dict[str, Any] | None = None
    rate: int = 0
    steps: dict[str, Any] | None = None
    """How it sends in steps (``core.stages``); None: all at once."""
    emergency: bool = False
    """On the lane before all others (特发)."""
    prefer: str = ""
    """The group of channels that it is sent through where routing allows; empty: as routing decides."""
    frequency: dict[str, Any] | None = None
    """How often a number gets it at most (``core.tagged``); None: as the policies say."""
    fallback: dict[str, Any] | None = None
    """What follows its messages when they fail (``core.fallback``); None: nothing."""
    link_id: int | None = None
    """The short link in its text; None: it has none."""
    message_kind: str = ""
    """The operator's own kind of its type; empty: none."""
    version: int = 1
    """Counts what was changed before it began."""
    total: int = 0
    valid: int = 0
    problems: dict[str, int] = field(default_factory=dict)
    run: int = 0
    next_at: datetime | None = None
    due_at: datetime | None = None
    fed: int = 0
    approved: dict[str, Any] | None = None
    """What it said before an edit that somebody is being asked about; None: nobody is, or nothing was approved."""
    stages: dict[str, Any] | None = None
    """Where its run stands, if it sends in steps."""
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """A row of a task."""

    n: int
    line: int
    number: str
    ext: str | None
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows ``first`` … ``first + size - 1`` of a run; their messages begin at ``base_id``."""

    task_id: int
    run: int
    first: int
    size: int
    base_id: int
    feeds: int = 1
    """How often it has got messages."""
