"""What there is of business kinds, for those who look at them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from smsgw.core.ids import CHINA
from smsgw.core.kinds import CustomKind
from smsgw.pipeline.snapshot import Snapshot
from smsgw.store.config import kinds as store
from smsgw.store.config.policies import load_changes
from smsgw.store.engine.database import Database


async def all_kinds(database: Database) -> dict[str, CustomKind]:
    """By name, retired ones, too."""
    return await store.load(database)


async def in_force(database: Database, snapshot: Snapshot) -> Snapshot:
    """With kinds and policies as all nodes will have them within seconds: who has changed one sees it at once."""
    policies = replace(snapshot.policies, changes=await load_changes(database), _known={})
    return replace(snapshot, kinds=await store.load(database), policies=policies)


@dataclass(frozen=True, slots=True)
class Used:
    """What there is of a kind."""

    messages: int
    """Of the last ``DAYS`` days, today among them, as far as they are counted."""
    tasks: int
    """That have not ended."""


DAYS = 7
_USED = """
SELECT (SELECT COALESCE(sum(messages), 0) FROM stat_sum
        WHERE span = 'day' AND dimension = 'type' AND day > $2::date - $3::int
          AND day <= $2::date AND value = $1 AND status = 'accepted')::bigint AS messages,
       (SELECT count(*) FROM task WHERE message_kind = $1
        AND state NOT IN ('finished', 'cancelled', 'failed'))::int AS tasks
"""


async def used(database: Database, name: str, now: datetime) -> Used:
    """How much is sent of it."""
    row = await database.fetchrow(_USED, name, now.astimezone(CHINA).date(), DAYS, timeout=20)
    return Used(0, 0) if row is None else Used(**dict(row))
