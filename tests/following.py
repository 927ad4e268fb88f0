"""What follows when a test has changed parts by itself, as the outcome writer's transaction would have it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from smsgw.pipeline.outcomes.effects import Effects, follow_up


async def follow(connection: Any, rows: Sequence[Any], ids: Callable[[], int]) -> set[int]:
    """Take all steps; the accounts that have new reports."""
    effects = Effects(connection, 1, ids, (), (), lambda *_: None, changed=list(rows))
    await follow_up(effects)
    return effects.told["report"]
