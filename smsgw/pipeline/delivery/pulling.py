"""Pull: events leased to a customer's call, and acknowledged by another."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from smsgw.core.webhooks import MO, REPORT, Hooks, Way, type_of
from smsgw.pipeline.events import OTHERS
from smsgw.store.engine.database import Database
from smsgw.store.messages import events

KINDS = {REPORT: (REPORT,), MO: (MO,), OTHERS: events.OTHER_KINDS}
"""What is pulled together -> its kinds of events."""


async def take(
    database: Database,
    hooks: Hooks,
    account_id: int,
    kind: str,
    limit: int,
    *,
    ids: Callable[[], int],
    tests: Sequence[bool],
) -> tuple[int | None, list[dict[str, object]], bool]:
    """Lease waiting events of one of ``KINDS`` (``store.messages.events.pull_events``): batch, items, more waiting?"""
    kinds = {k: hooks.way(account_id, type_of(k)) is Way.PULL for k in KINDS[kind]}
    return await events.pull_events(database, account_id, kinds, limit, ids=ids, tests=tests)


async def acknowledge(database: Database, account_id: int, kind: str, batch: int, *, test: bool | None) -> int:
    """Put a pulled batch away; how many events it held (0: unknown, or acknowledged before)."""
    return await events.ack_events(database, account_id, KINDS[kind], batch, test=test)
