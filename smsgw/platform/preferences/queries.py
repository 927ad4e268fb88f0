"""The statements that read a person's preferences and saved views."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from smsgw.core.actor import Actor, ActorKind
from smsgw.store.engine.database import Connection, Database


@dataclass(frozen=True, slots=True)
class View:
    """A filter of a page, kept under a name."""

    id: int
    name: str
    query: str
    """Of the page's address."""


def owner(actor: Actor) -> int:
    """Whose preferences an actor has; 0: nobody's."""
    return actor.id if actor.kind is ActorKind.PERSON else 0


_VALUE = "SELECT value FROM staff_preference WHERE staff_id = $1 AND name = $2"
_VIEWS = "SELECT id, name, query FROM staff_view WHERE staff_id = $1 AND page = $2 ORDER BY id"


async def value(database: Database | Connection, actor: Actor, name: str) -> dict[str, Any]:
    """What the actor has chosen under a name; empty: nothing."""
    found = await database.fetchval(_VALUE, owner(actor), name)
    chosen = json.loads(found) if found else {}
    return chosen if isinstance(chosen, dict) else {}


async def views(database: Database | Connection, actor: Actor, page: str) -> list[View]:
    """The actor's saved views of a page, in the order in which they were made."""
    return [View(**dict(row)) for row in await database.fetch(_VIEWS, owner(actor), page)]
