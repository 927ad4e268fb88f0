"""Changes that tests make: by somebody who may do everything."""

from __future__ import annotations

from collections.abc import Callable

from smsgw.core.actor import Actor
from smsgw.platform.change import Change
from smsgw.store.engine.database import Database


def by_test(database: Database, ids: Callable[[], int] | None = None, *, actor: str = "test") -> Change:
    """What a test wishes to change. ``ids`` makes ids; ``actor`` is what the audit log calls the test."""
    return Change(database, Actor.system(actor), ids=ids)
