"""A stored file: what it is, whose it is, how long it is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Temporary
from smsgw.core.words import phrase

MAX_NAME = 128


@dataclass(frozen=True, slots=True)
class FileKind:
    """A sort of files, and the rules for it."""

    name: str
    most: int
    """Octets that one may have."""
    kept: timedelta
    held: Callable[[Sequence[int]], Awaitable[set[int]]] | None = None
    """Which of these files are in use, so that they stay although their time is over."""
    shared: bool = True
    """Nobody can make it anew: it lies in the database, for every node and every backup. What can be made anew lies on
    the node that has made it, and nowhere else."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file."""

    id: int
    node: int
    """Which has received it."""
    kind: str
    name: str
    """As its owner calls it; never a path."""
    media_type: str
    """By its content, not by its name."""
    size: int
    sha256: bytes
    account_id: int | None
    submitter: ActorLabel
    expires_at: datetime
    pieces: int = 0
    """In the database, whence every node has them; 0: it lies on its node alone."""


@dataclass(slots=True)
class Incoming:
    """A file on its way in; ``path`` is written by whoever receives it."""

    id: int
    kind: FileKind
    path: Path
    account_id: int | None
    room: int = 0
    """Octets that are kept free for it."""
    name: str = ""
    """As its sender calls it."""
    person: ActorLabel | None = None
    """Whose it is, when it is no account's."""

    @property
    def owner(self) -> int | ActorLabel | None:
        """Who waits for himself alone."""
        return self.person if self.account_id is None else self.account_id


class Elsewhere(Temporary):
    """The octets lie on another node alone: they can be made anew, or an earlier release has received them there."""

    def __init__(self, node: int) -> None:
        super().__init__("STATE_CONFLICT", retry_after=60, reason=phrase("file.elsewhere", node=node))
        self.node = node


def plain_name(name: str) -> str:
    """The last part of a name, as it can be shown: whatever it holds, it leads nowhere."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in last if c.isprintable())[:MAX_NAME] or "file"
