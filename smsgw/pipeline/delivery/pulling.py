"""Pull: events leased to a customer's call, and acknowledged by another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from smsgw.core.errors import SmsgwError
from smsgw.core.queue_cursors import Stretch
from smsgw.core.webhooks import MO, REPORT, Hooks, Way, type_of
from smsgw.pipeline.delivery.event_heads import EventHeads
from smsgw.pipeline.events import OTHERS
from smsgw.store.engine.database import Database
from smsgw.store.messages import events
from smsgw.store.messages.events import Found

KINDS = {REPORT: (REPORT,), MO: (MO,), OTHERS: events.OTHER_KINDS}
"""What is pulled together -> its kinds of events."""


class PullHeads(EventHeads[tuple[int, str, bool, bool]]):
    """Where events are looked for, by account, kind, whether pull is its way, and whether those of tests are meant."""


async def take(
    database: Database,
    heads: PullHeads,
    hooks: Hooks,
    account_id: int,
    kind: str,
    limit: int,
    *,
    ids: Callable[[], int],
    tests: Sequence[bool],
) -> tuple[int | None, list[dict[str, object]], bool]:
    """Lease up to ``limit`` waiting events of one of ``KINDS``, by kind and oldest first: batch, items, more waiting?
    ``tests``: of real messages (False), of test ones (True), or of both. ``STORAGE_UNAVAILABLE`` where none could be
    leased; what was leased before that is a batch, and there may be more."""
    limit = max(1, min(limit, events.MAX_PULL))
    batch = ids()
    taken: Found[dict[str, object]] = Found()
    for one, test in product(KINDS[kind], tests):
        if len(taken) == limit:
            break
        primary = hooks.way(account_id, type_of(one)) is Way.PULL

        async def lease(
            within: Stretch, most: int, one: str = one, primary: bool = primary, test: bool = test
        ) -> Found[dict[str, object]]:
            return await events.pull_events(
                database, account_id, one, most, batch=batch, primary=primary, test=test, within=within
            )

        try:
            taken += await heads.of((account_id, one, primary, test)).look(limit - len(taken), lease)
        except SmsgwError:
            if not taken:
                raise
            return batch, taken.events, True
    return batch if taken else None, taken.events, len(taken) == limit


async def acknowledge(database: Database, account_id: int, kind: str, batch: int, *, test: bool | None) -> int:
    """Put a pulled batch away; how many events it held (0: unknown, or acknowledged before)."""
    return await events.ack_events(database, account_id, KINDS[kind], batch, test=test)
