"""What every channel of a node shares."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from smsgw.channels.pool_shares import PoolShares
from smsgw.channels.wire.listener import Listeners, Numberings
from smsgw.core.ids import AHEAD, first_id
from smsgw.core.model import ChannelSpec
from smsgw.pipeline.outcomes.writer import Outcomes
from smsgw.store.engine.journal import Journal

Queue = tuple[int, int]
"""(pool id, lane)."""


@dataclass(slots=True)
class Services:
    """Given by the composition root."""

    dsn: str
    node: int
    journal: Journal
    outcomes: Outcomes
    tables: PoolShares
    new_id: Callable[[], int]
    listeners: Listeners = field(default_factory=Listeners)
    numberings: Numberings = field(default_factory=Numberings)
    emergency_reserve: Callable[[], int] = lambda: 0
    """Percent of a window that is kept for emergency messages while there are any."""
    test_channel: Callable[[], Awaitable[ChannelSpec]] | None = None
    """The channel of test keys, with its carrier running."""
    marketing_stopped: Callable[[int], bool] = lambda _: False
    """Whether complaints keep marketing off a channel."""
    nodes: Callable[[], int] = lambda: 1
    """Nodes that live, as far as this one knows."""
    halted: Callable[[], frozenset[int]] = frozenset
    """Accounts of which nothing is sent."""
    newest: Callable[[datetime], int] = lambda now: first_id(now + AHEAD)
    """The id above which nothing can be queued now."""
