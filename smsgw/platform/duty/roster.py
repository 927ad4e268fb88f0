"""The roster: weeks of fourteen shifts, each of one person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.org import queries as org
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database

SHIFTS = ("day", "night")
"""From 08:00 and from 20:00 (China)."""
MOST_PEOPLE = 1000
FAR = timedelta(days=370)
"""So far from today weeks can be changed."""
Place = tuple[date, str]


@dataclass(frozen=True, slots=True)
class OnDuty:
    """Who has a shift."""

    login: str
    name: str
    phone: str
    email: str


_WEEK = """
SELECT d.day, d.shift, s.login, s.name, s.phone, s.email FROM duty d JOIN staff s ON s.id = d.staff_id
WHERE d.day >= $1 AND d.day < $2 ORDER BY d.day, d.shift
"""
_NOW = f"""
SELECT s.login, s.name, s.phone, s.email FROM duty_at($1) a JOIN duty d ON d.day = a.day AND d.shift = a.shift
JOIN staff s ON s.id = d.staff_id WHERE {org.holds(Permission.ALARM_HANDLE)}
"""  # noqa: S608 - constants


def monday(day: date) -> date:
    """The first day of its week."""
    return day - timedelta(days=day.weekday())


def places(first: date) -> list[Place]:
    """All shifts of the week that begins then."""
    return [(first + timedelta(days=n), shift) for n in range(7) for shift in SHIFTS]


async def week(source: Database | Connection, first: date) -> Mapping[Place, OnDuty]:
    """Who has which shift in the week that begins then."""
    rows = await source.fetch(_WEEK, first, first + timedelta(days=7))
    return {(row["day"], row["shift"]): OnDuty(row["login"], row["name"], row["phone"], row["email"]) for row in rows}


async def now(source: Database | Connection, at: datetime) -> OnDuty | None:
    """Who is on duty at a moment; None: nobody, or who is has left or lost the right."""
    row = await source.fetchrow(_NOW, at)
    return None if row is None else OnDuty(**dict(row))


async def people(database: Database) -> Mapping[str, str]:
    """Who can be on duty, as they may look after alarms: login -> name."""
    found = await org.holding(database, frozenset({Permission.ALARM_HANDLE}), MOST_PEOPLE)
    return {one.login: one.name for one in found}


_CLEAR = "DELETE FROM duty WHERE day >= $1 AND day < $2"
_PUT = """
INSERT INTO duty (day, shift, staff_id)
SELECT p.day, p.shift, s.id FROM unnest($1::date[], $2::text[], $3::text[]) p (day, shift, login)
JOIN staff s ON s.login = p.login
"""
_TURN = "SELECT pg_advisory_xact_lock(hashtext('duty.week'))"


def _told(wanted: Mapping[Place, str]) -> dict[str, str]:
    return {f"{day:%m-%d} {shift}": login for (day, shift), login in sorted(wanted.items())}


async def put(change: Change, first: date, wanted: Mapping[Place, str]) -> None:
    """Say who has which shift of a week; of a shift that is not named nobody has it. ``PARAM_INVALID``."""
    known = await people(change.database)
    first = _checked(first)
    for place, login in wanted.items():
        if place not in places(first) or login not in known:
            raise Invalid("PARAM_INVALID", field=f"{place[1]}_{place[0].weekday()}", reason=phrase("duty.person"))
    async with change.unit(Permission.ALARM_EDIT, EVERYBODY) as unit:
        await unit.connection.fetchval(_TURN)
        before = {place: one.login for place, one in (await week(unit.connection, first)).items()}
        if before == dict(wanted):
            unit.unchanged()
            return
        await unit.connection.execute(_CLEAR, first, first + timedelta(days=7))
        items = sorted(wanted.items())
        await unit.connection.execute(
            _PUT, [day for (day, _), _ in items], [shift for (_, shift), _ in items], [login for _, login in items]
        )
        unit.record("duty.set", f"duty/{first}", before=_told(before), after=_told(wanted))


def _checked(first: date) -> date:
    if first != monday(first) or abs(first - clock.now().date()) > FAR:
        raise Invalid("PARAM_INVALID", field="week", reason=phrase("duty.week"))
    return first


async def copy(change: Change, first: date) -> int:
    """Have a week as the one before it; how many shifts that are. Who has left, or may not be on duty any more, is left
    out. ``STATE_CONFLICT`` when that one is empty."""
    known = await people(change.database)
    last = await week(change.database, _checked(first) - timedelta(days=7))
    wanted = {(day + timedelta(days=7), shift): one.login for (day, shift), one in last.items() if one.login in known}
    if not wanted:
        raise Refused("STATE_CONFLICT", reason=phrase("duty.nothing"))
    await put(change, first, wanted)
    return len(wanted)


def gaps(first: date, known: Mapping[Place, OnDuty]) -> Sequence[Place]:
    """Shifts of a week that nobody has."""
    return [place for place in places(first) if place not in known]
