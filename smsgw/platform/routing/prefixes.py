"""What is known of numbers better than from their segments (号段与携号转网): the list, one entry more or less with its
effect, and by which rule a number has its carrier."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import first_id
from smsgw.core.numbers import UNKNOWN, Segments, is_mainland, national
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change
from smsgw.platform.listing import Listing
from smsgw.platform.paging import Order
from smsgw.platform.routing.model import CARRIERS
from smsgw.runtime import clock
from smsgw.store.config import numbers
from smsgw.store.engine.database import Database, Row

WHOLE = 11
"""Digits of a prefix that is one number."""
MOST_LOOKED_AT = 100_000
"""Messages of the last day among which those that a prefix is about are counted."""
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Override:
    """An entry; ``prefix`` in national digits, eleven of them are one number. ``source``: import or learned."""

    id: int
    prefix: str
    carrier: str
    province: str
    source: str
    learned_code: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OverrideFilter:
    """Which entries are looked for."""

    beginning: Annotated[str, "starts_with(o.prefix, {value}) AND (length(o.prefix) < 11 OR length({value}) <= 3)"] = ""
    """Of stretches; of single numbers the digits that everybody sees of them: else their others could be tried out."""
    carrier: Annotated[str, "o.carrier = {value}"] = ""
    source: Annotated[str, "o.source = {value}"] = ""
    single: Annotated[str, {"number": "length(o.prefix) = 11", "prefix": "length(o.prefix) <> 11"}] = ""
    """``number``: only single numbers; ``prefix``: only longer stretches."""


# Of what is known of numbers, everybody with the right sees all.
OVERRIDES = Listing(
    Override,
    OverrideFilter,
    "number_override o",
    seen="true",
    orders={"at": Order("o.at", "timestamptz")},
    timeout=PATIENCE,
)
_OF = "SELECT * FROM number_override WHERE prefix = $1"


def _override(row: Row) -> Override:
    return Override(**{key: row[key] for key in Override.__dataclass_fields__})


async def of(database: Database, prefix: str) -> Override | None:
    """The entry of exactly these digits."""
    row = await database.fetchrow(_OF, prefix)
    return None if row is None else _override(row)


_NAMED = """
SELECT count(*) FILTER (WHERE carrier <> $2) AS moved, count(*) AS n
FROM (SELECT number, carrier FROM message WHERE id >= $3 ORDER BY id DESC LIMIT $4) newest
WHERE starts_with(number, '86' || $1)
"""


async def named(database: Database, prefix: str, carrier: str) -> tuple[int, int]:
    """Of the newest ``MOST_LOOKED_AT`` messages of a day: those to numbers that begin so, and which of them went as
    another carrier's."""
    since = first_id(clock.now() - timedelta(days=1))
    row = await database.fetchrow(_NAMED, prefix, carrier, since, MOST_LOOKED_AT, timeout=PATIENCE)
    return (row["n"], row["moved"]) if row else (0, 0)


def check(prefix: str, carrier: str) -> None:
    """``PARAM_INVALID``."""
    if not (prefix.isascii() and prefix.isdigit() and prefix[0] == "1" and 3 <= len(prefix) <= WHOLE):
        raise Invalid("PARAM_INVALID", field="prefix", reason=phrase("number.prefix"))
    if carrier not in CARRIERS:
        raise Invalid("PARAM_INVALID", field="carrier", reason=phrase("choice.of", known=", ".join(CARRIERS)))


async def put(change: Change, prefix: str, carrier: str, province: str = "") -> None:
    """Say whose numbers are that begin so; nodes follow within seconds. ``PARAM_INVALID``."""
    check(prefix, carrier)
    async with change.unit(Permission.NUMBER_EDIT) as unit:
        if unit.actor.scope.whole is not None:
            raise Refused("PERMISSION_DENIED")
        await numbers.take_turn(unit.connection)
        row = await unit.connection.fetchrow(_OF, prefix)
        await numbers.put(unit.connection, [prefix], [carrier], [province], "import")
        before = {"carrier": row["carrier"], "province": row["province"]} if row else None
        after = {"carrier": carrier, "province": province}
        unit.record("number.set", f"number_override/{prefix}", before=before, after=after)


class By(StrEnum):
    """By what a number's carrier is known; the first that says something counts."""

    NUMBER = "number"
    """An entry of the number itself."""
    PREFIX = "prefix"
    """An entry of its beginning."""
    SEGMENT = "segment"
    """The table of segments of seven digits."""
    NETWORK = "network"
    """The first three or four digits."""
    NOTHING = "nothing"
    ABROAD = "abroad"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a number, and by which rule."""

    by: By
    carrier: str
    province: str = ""
    city: str = ""
    entry: Override | None = None
    segment: str = ""
    """The carrier that the segments alone would say, where an entry says otherwise."""


_COVERING = "SELECT * FROM number_override WHERE prefix = ANY($1) ORDER BY length(prefix) DESC LIMIT 1"


async def look_up(database: Database, segments: Segments, number: str) -> Known:
    """Of E.164 digits, as routing would have it."""
    if not is_mainland(number):
        return Known(By.ABROAD, "INTL")
    home = segments.home(number)
    digits = national(number)
    row = await database.fetchrow(_COVERING, [digits[:n] for n in range(3, WHOLE + 1)])
    if row is not None:
        entry = _override(row)
        by = By.NUMBER if len(entry.prefix) == WHOLE else By.PREFIX
        said = home.carrier if home is not None and home.carrier != entry.carrier else ""
        return Known(by, entry.carrier, entry.province, "", entry, said)
    if home is None:
        return Known(By.NOTHING, UNKNOWN)
    return Known(By.SEGMENT if home.province else By.NETWORK, home.carrier, home.province, home.city)
