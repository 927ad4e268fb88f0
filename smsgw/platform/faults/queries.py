"""The faults that people look at: for who sees the whole platform, as faults are the platform's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from smsgw.core.actor import Actor
from smsgw.core.availability import availability, merged
from smsgw.core.ids import CHINA
from smsgw.platform.faults.model import FIRST_STEPS, LAST_STEPS, MOST_OPEN, Cause, Fault, Kept, Step, Year, joined_said
from smsgw.platform.listing import EVERYTHING, Listing, between
from smsgw.platform.org.queries import named
from smsgw.platform.paging import MOST, Order, Window
from smsgw.runtime import clock
from smsgw.store.config import settings
from smsgw.store.engine.database import Database, Row

Span = tuple[datetime | None, datetime | None]

_STATE = """CASE WHEN f.closed_at IS NOT NULL THEN 'closed' WHEN f.recovered_at IS NOT NULL THEN 'recovered'
     WHEN f.responded_at IS NOT NULL THEN 'handling' ELSE 'open' END"""
_TITLE = """(strpos(f.title, {value[0]}) > 0
 OR NOT f.by_hand AND EXISTS (SELECT FROM unnest({value}::text[]) named WHERE starts_with(f.title, named)))"""
_LASTING = """f.began_at < {value[1]}
 AND (f.began_at >= {value[0]} OR f.recovered_at IS NULL OR f.recovered_at > {value[0]})"""


@dataclass(frozen=True, slots=True)
class FaultFilter:
    """Which faults are looked for."""

    state: Annotated[str, f"{_STATE} = {{value}}"] = ""
    live: Annotated[bool, "f.closed_at IS NULL"] = False
    severity: Annotated[str, "f.severity = {value}"] = ""
    counts: Annotated[str, {"yes": "f.counts", "no": "NOT f.counts"}] = ""
    title: Annotated[Sequence[str], _TITLE] = ()
    """Part of it, and what it may begin with otherwise (``titled``)."""
    began: Annotated[Span, between("f.began_at")] = (None, None)
    lasting: Annotated[Span, _LASTING] = (None, None)
    """Which were not over before the first moment, and began before the second."""


_STANDING = "(f.closed_at IS NULL)::int::text || to_char(f.began_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')"
# ``fault_state``: what is not closed first, each by its time.
FAULTS = Listing(
    Fault, FaultFilter, "fault f", EVERYTHING,
    {"fault_state": Order(_STANDING, "text"), "began_at": Order("f.began_at", "timestamptz")},
)  # fmt: skip


async def not_closed(database: Database, actor: Actor) -> int:
    """How many are not closed."""
    return await FAULTS.count(database, actor, FaultFilter(live=True), MOST_OPEN)


_STEPS = f"""
SELECT at, by, {named("s.by")} AS name, kind, said FROM (
    (SELECT * FROM fault_step WHERE fault_id = $1 ORDER BY id DESC LIMIT {LAST_STEPS})
    UNION (SELECT * FROM fault_step WHERE fault_id = $1 ORDER BY id LIMIT {FIRST_STEPS})) s
ORDER BY id DESC
"""  # noqa: S608 - constants
_ALARMS = """
SELECT f.alarm_id AS id, f.kind, f.object, f.since, a.cleared_at, a.id IS NOT NULL AS known
FROM fault_alarm f LEFT JOIN alarm a ON a.id = f.alarm_id WHERE f.fault_id = $1 ORDER BY f.since, f.alarm_id LIMIT 100
"""
_OF_ALARM = "SELECT fault_id FROM fault_alarm WHERE alarm_id = $1"


def _step(row: Row) -> Step:
    said = row["said"]
    return Step(row["at"], row["by"], row["name"], row["kind"], joined_said(said) if row["kind"] == "joined" else said)


async def steps(database: Database, fault: Fault) -> list[Step]:
    """What was done about it, the newest first."""
    return [_step(row) for row in await database.fetch(_STEPS, fault.id)]


async def causes(database: Database, fault: Fault) -> list[Cause]:
    """Its alarms, the first first."""
    return [Cause(**dict(row)) for row in await database.fetch(_ALARMS, fault.id)]


async def of_alarm(database: Database, alarm_id: int) -> int | None:
    """The fault that an alarm belongs to."""
    id_: int | None = await database.fetchval(_OF_ALARM, alarm_id)
    return id_


# --- a year ----------------------------------------------------------------------------------------------------------

FIRST_YEAR = 2020
_SERVICE = "SELECT min(LEAST(since, first_since)) FROM node"


async def year(database: Database, actor: Actor, number: int) -> Year:
    """What the faults of a year (China) come to, up to now."""
    now = clock.now()
    begin = datetime(number, 1, 1, tzinfo=CHINA)
    end = datetime(number + 1, 1, 1, tzinfo=CHINA)
    # A fault is of the year in which it began; one that lasts into it from before takes of its time all the same.
    lasting = FaultFilter(lasting=(begin, end))
    rows = (await FAULTS.search(database, actor, lasting, Window("began_at", limit=MOST))).rows
    served = await database.fetchval(_SERVICE)
    until = min(end, now)
    since = min(max(begin, served or begin), until)
    if rows:  # whatever it says of its nodes, it was there when something was wrong
        since = min(since, max(begin, min(one.began_at for one in rows)))
    of_it = [one for one in rows if one.began_at >= begin]
    spans = [(one.began_at, one.recovered_at or now) for one in rows if one.counts]
    counted = [one for one in of_it if one.counts]
    late = (Kept.LATE, Kept.OVER)
    return Year(
        number, since, until, of_it, len(counted), (await settings.load(database)).faults_a_year,
        merged(spans, since, until), availability(spans, since, until),
        sum(one.response.state(now) in late for one in counted),
        sum(one.recovery.state(now) in late for one in counted),
    )  # fmt: skip
