"""The faults that people look at: for who sees the whole platform, as faults are the platform's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smsgw.core.actor import Actor
from smsgw.core.availability import availability, merged
from smsgw.core.ids import CHINA
from smsgw.platform.faults.model import (
    FIRST_STEPS,
    LAST_STEPS,
    Cause,
    Fault,
    Kept,
    Step,
    Year,
    joined_said,
    titles_called,
)
from smsgw.platform.org.queries import named
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.runtime import clock
from smsgw.store.config import settings
from smsgw.store.engine.database import Connection, Database, Row


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which faults are looked for; what is empty narrows nothing."""

    state: str = ""
    severity: str = ""
    counts: str = ""
    """``yes`` or ``no``."""
    title: str = ""
    """Part of it."""
    since: datetime | None = None
    until: datetime | None = None


_COLUMNS = f"""f.id, f.title, f.severity, f.began_at, f.opened_at, f.opened_by, f.by_hand, f.respond_by,
       f.recover_by, f.responded_at, f.responded_by, f.recovered_at, f.recovered_by, f.counts, f.why_not, f.cause,
       f.done, f.prevention, f.closed_at, f.closed_by,
       (SELECT count(*) FROM fault_alarm a WHERE a.fault_id = f.id) AS alarms,
       {named("f.responded_by")} AS responded_name, {named("f.recovered_by")} AS recovered_name,
       {named("f.opened_by")} AS opened_name, {named("f.closed_by")} AS closed_name"""  # noqa: S608 - constants
_MATCHES = """
$1 AND ($2 = '' OR $2 = CASE WHEN f.closed_at IS NOT NULL THEN 'closed' WHEN f.recovered_at IS NOT NULL
                             THEN 'recovered' WHEN f.responded_at IS NOT NULL THEN 'handling' ELSE 'open' END)
AND ($3 = '' OR f.severity = $3) AND ($4 = '' OR f.counts = ($4 = 'yes'))
AND ($5 = '' OR strpos(f.title, $5) > 0
     OR NOT f.by_hand AND EXISTS (SELECT FROM unnest($8::text[]) named WHERE starts_with(f.title, named)))
AND ($6::timestamptz IS NULL OR f.began_at >= $6) AND ($7::timestamptz IS NULL OR f.began_at < $7)
"""
_SEARCH = f"SELECT {_COLUMNS}, {{key}} AS _key FROM fault f WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}"  # noqa: S608
_COUNT = f"SELECT count(*) FROM (SELECT FROM fault f WHERE {_MATCHES} LIMIT $9) n"  # noqa: S608 - constants
_ONE = f"SELECT {_COLUMNS} FROM fault f WHERE $1 AND f.id = $2"  # noqa: S608 - constants
_OPEN = "SELECT count(*) FROM fault WHERE $1 AND closed_at IS NULL"
_STANDING = "(f.closed_at IS NULL)::int::text || to_char(f.began_at AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS')"
_ORDERS = {"fault_state": Order(_STANDING, "text"), "began_at": Order("f.began_at", "timestamptz")}
"""``fault_state``: what is not closed first, each by its time."""


def whole(actor: Actor) -> bool:
    """Whether somebody sees the whole platform."""
    return actor.scope.whole is None


def _fault(row: Row) -> Fault:
    return Fault(**{key: row[key] for key in Fault.__dataclass_fields__})


def _asked(actor: Actor, w: Wanted) -> tuple[object, ...]:
    return whole(actor), w.state, w.severity, w.counts, w.title, w.since, w.until, titles_called(w.title)


async def search(database: Database, actor: Actor, wanted: Wanted, window: Window) -> Slice[Fault]:
    """Faults, those that are not closed first."""
    return await read(database, _SEARCH, _asked(actor, wanted), _ORDERS, window, _fault, id_="f.id")


async def count(database: Database, actor: Actor, wanted: Wanted, most: int) -> int:
    """How many there are, counted up to one more than ``most``."""
    number: int = await database.fetchval(_COUNT, *_asked(actor, wanted), most + 1)
    return number


async def not_closed(database: Database, actor: Actor) -> int:
    """How many are not closed."""
    number: int = await database.fetchval(_OPEN, whole(actor))
    return number


async def one(database: Database | Connection, actor: Actor, id_: int) -> Fault | None:
    """A fault by its id."""
    row = await database.fetchrow(_ONE, whole(actor), id_)
    return None if row is None else _fault(row)


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
# A fault is of the year in which it began; one that began before and lasts into it takes of its time all the same.
_YEAR = f"""
SELECT {_COLUMNS} FROM fault f
WHERE $1 AND f.began_at < $3 AND (f.began_at >= $2 OR f.recovered_at IS NULL OR f.recovered_at > $2)
ORDER BY f.began_at DESC LIMIT 1000
"""  # noqa: S608 - constants
_SERVICE = "SELECT min(LEAST(since, first_since)) FROM node"


async def year(database: Database, actor: Actor, number: int) -> Year:
    """What the faults of a year (China) come to, up to now."""
    now = clock.now()
    begin = datetime(number, 1, 1, tzinfo=CHINA)
    end = datetime(number + 1, 1, 1, tzinfo=CHINA)
    rows = [_fault(row) for row in await database.fetch(_YEAR, whole(actor), begin, end)]
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
