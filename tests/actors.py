"""Who changes something in a test: a part of the program with a name, who may do everything."""

from __future__ import annotations

from collections.abc import Callable

from smsgw.core.actor import Actor
from smsgw.platform.change import Change
from smsgw.store.engine.database import Database


def by(name: str, database: Database, ids: Callable[[], int] | None = None) -> Change:
    """What ``name`` wishes to change."""
    return Change(database, Actor.system(name), ids=ids)
