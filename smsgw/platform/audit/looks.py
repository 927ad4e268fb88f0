"""Who has looked at one message, or done something with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smsgw.core.actor import Actor, ActorLabel
from smsgw.core.ids import CHINA
from smsgw.platform.audit.queries import Entry, entry
from smsgw.store.engine.database import Database

MOST = 50


@dataclass(frozen=True, slots=True)
class Looks:
    """The newest ones; ``more``: there are others before them."""

    entries: list[Entry]
    more: bool


# Whoever sees all departments sees all of it; others what they and people of their departments have done.
_OF_MESSAGE = """
SELECT a.id, a.at, a.actor, COALESCE(s.name, '') AS name, COALESCE(host(a.ip), '') AS address, a.action, a.object,
       a.before, a.after, true AS sealed
FROM audit a LEFT JOIN staff s ON s.login = a.actor
WHERE a.object = $1 AND a.object LIKE 'message/%'
  AND ($2::bigint[] IS NULL OR a.actor IN (SELECT login FROM staff WHERE department_id = ANY($2)) OR a.actor = $4)
ORDER BY a.id DESC LIMIT $3
"""


async def of_message(database: Database, actor: Actor, message_id: int) -> Looks:
    """Of a message that the actor may see."""
    departments = None if actor.scope.departments is None else list(actor.scope.departments)
    rows = await database.fetch(_OF_MESSAGE, f"message/{message_id}", departments, MOST + 1, actor.label)
    return Looks([entry(row) for row in rows[:MOST]], len(rows) > MOST)


_UNMASKED = """
SELECT EXISTS (
    SELECT FROM audit WHERE object = $1 AND object LIKE 'message/%' AND actor = $2 AND action = 'numbers.unmask'
      AND at >= $3)
"""


async def unmasked(database: Database, who: ActorLabel, message_id: int, now: datetime) -> bool:
    """Whether the person has been shown the whole number of the message today (China)."""
    today = now.astimezone(CHINA).replace(hour=0, minute=0, second=0, microsecond=0)
    found: Any = await database.fetchval(_UNMASKED, f"message/{message_id}", who, today)
    return bool(found)
