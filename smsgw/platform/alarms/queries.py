"""The alarms that people look at: who sees some accounts alone sees the alarms about those, and none about channels,
nodes and the platform."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from smsgw.core.actor import Actor
from smsgw.platform.listing import Listing, between, of_accounts
from smsgw.platform.paging import Order
from smsgw.store.engine.database import Database, Row
from smsgw.store.records import alarms
from smsgw.store.records.alarms import Alarm

__all__ = ["ALARMS", "MOST_OPEN", "Alarm", "AlarmFilter", "Alike", "alike", "page", "unattended"]


@dataclass(frozen=True, slots=True)
class AlarmFilter:
    """Which alarms are looked for."""

    state: Annotated[str, {
        "open": "a.cleared_at IS NULL AND a.acked_at IS NULL",
        "taken": "a.cleared_at IS NULL AND a.acked_at IS NOT NULL",
        "cleared": "a.cleared_at IS NOT NULL",
    }] = ""  # fmt: skip
    """``open``: nobody looks after it yet; ``taken``: open, and somebody does."""
    severity: Annotated[str, "a.severity = {value}"] = ""
    kind: Annotated[str, "a.kind = {value}"] = ""
    object: Annotated[str, "strpos(a.object, {value}) > 0"] = ""
    since: Annotated[tuple[datetime | None, datetime | None], between("a.since")] = (None, None)


@dataclass(frozen=True, slots=True)
class _Columns(Alarm):
    said: str | None = None


def _alarm(row: Row) -> Alarm:
    return alarms.read({name: value for name, value in row.items() if not name.startswith("_")})


_STANDING = "(a.cleared_at IS NULL)::int::text || to_char(a.since AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')"
# ``state``: what stands before what is over, each by its time.
ALARMS = Listing[Alarm, AlarmFilter](
    _Columns, AlarmFilter, "alarm a", of_accounts("a.account_id"),
    {"since": Order("a.since", "timestamptz"), "state": Order(_STANDING, "text")}, _alarm,
)  # fmt: skip
MOST_OPEN = 100
"""Beyond which alarms that nobody looks after are not counted."""


async def unattended(database: Database, actor: Actor) -> int:
    """Open alarms that nobody looks after yet; at most ``MOST_OPEN``."""
    return min(await ALARMS.count(database, actor, AlarmFilter("open"), MOST_OPEN), MOST_OPEN)


_PAGE = f"""
SELECT {alarms.COLUMNS} FROM alarm
WHERE $1 OR cleared_at IS NULL ORDER BY cleared_at IS NOT NULL, severity = 'warning', since DESC LIMIT $2
"""  # noqa: S608 - a constant


async def page(database: Database, *, everything: bool = False, limit: int = 200) -> list[Alarm]:
    """Open alarms of all accounts, the gravest first; with ``everything`` the cleared ones after them."""
    return [_alarm(row) for row in await database.fetch(_PAGE, everything, limit)]


@dataclass(slots=True)
class Alike:
    """Open alarms of one kind and severity."""

    newest: list[Alarm]
    """Some of them."""
    number: int
    since: datetime
    """Of the oldest."""
    taken: int
    """How many somebody looks after."""


_ALIKE = f"""
SELECT * FROM (
    SELECT {alarms.COLUMNS}, count(*) OVER alike AS _number, min(since) OVER alike AS _since,
        count(acked_at) OVER alike AS _taken, max(since) OVER alike AS _newest,
        row_number() OVER (PARTITION BY severity, kind ORDER BY since DESC, id) AS _nth
    FROM alarm WHERE cleared_at IS NULL AND ($1::bigint[] IS NULL OR account_id = ANY($1))
    WINDOW alike AS (PARTITION BY severity, kind)
) a WHERE _nth <= $2 ORDER BY severity = 'warning', _newest DESC, kind, _nth
"""  # noqa: S608 - constants


async def alike(database: Database, actor: Actor, *, kinds: int, each: int) -> list[Alike]:
    """Open alarms by kind, the gravest first: at most so many kinds, and the newest of each."""
    found: dict[tuple[str, str], Alike] = {}
    accounts = None if actor.scope.whole is None else list(actor.scope.whole)
    for row in await database.fetch(_ALIKE, accounts, each):
        own = found.setdefault((row["severity"], row["kind"]), Alike([], row["_number"], row["_since"], row["_taken"]))
        own.newest.append(_alarm(row))
    return list(found.values())[:kinds]
