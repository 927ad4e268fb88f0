"""The statements that read backups."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from types import NoneType
from typing import Annotated, NamedTuple

from smsgw.core.actor import Actor
from smsgw.platform.listing import EVERYTHING, Listing
from smsgw.platform.paging import Order
from smsgw.store.engine import migrate
from smsgw.store.engine.database import Database

SCHEMA = migrate.BASELINE
"""The oldest of which backups are made, before an upgrade, too."""
LOST = 120
"""Seconds without word of a backup under way, from which it is lost: whoever made it was killed."""


_STATE = f"""
CASE WHEN b.state = 'running' AND b.seen_at < now() - interval '{LOST} seconds' THEN 'lost' ELSE b.state END
"""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup as it is entered."""

    id: int
    file: str
    host: str
    made_by: str
    state: Annotated[str, _STATE]
    """``running``, ``done``, ``failed``, or ``lost``: it broke off."""
    begun_at: datetime
    ended_at: datetime | None
    octets: int
    sha256: str
    rows: int | None
    tables: int | None
    schema_version: int
    problem: str
    gone_at: datetime | None
    tried_at: datetime | None
    tried_by: str
    tried_seconds: int | None
    tried_well: bool | None
    """None: it was never tried."""
    tried_problem: str

    @property
    def took(self) -> timedelta | None:
        """From its moment until it was whole."""
        return None if self.ended_at is None else self.ended_at - self.begun_at

    @property
    def trial_took(self) -> timedelta | None:
        """The last trial, and about what a real restore takes."""
        return None if self.tried_seconds is None else timedelta(seconds=self.tried_seconds)

    @property
    def there(self) -> bool:
        """Whether it is one to fall back on: its file is whole and was not removed."""
        return self.state == "done" and self.gone_at is None

    @property
    def trial(self) -> str:
        """``never``, ``good`` or ``bad``."""
        return "never" if self.tried_well is None else "good" if self.tried_well else "bad"


@dataclass(frozen=True, slots=True)
class Standing:
    """How backups stand."""

    last: datetime | None
    """The moment that the youngest good one shows: one that is whole, there, and was not tried in vain."""
    tried: datetime | None
    """When one was last restored for trial, each table with as many rows."""
    failed: datetime | None
    """When the last trial was, if it failed."""
    since: datetime | None
    """Since when there is something to lose; None: there is nothing yet."""
    hours: float | None
    """Since the youngest good one, or since there is something to lose."""


BACKUPS = Listing(Backup, NoneType, "backup b", EVERYTHING, {"begun_at": Order("b.begun_at", "timestamptz")})

_GOOD = "state = 'done' AND gone_at IS NULL AND tried_well IS NOT FALSE"
_SUMS = f"""
SELECT count(*) AS n, count(*) FILTER (WHERE {_GOOD}) AS backup_good,
       count(*) FILTER (WHERE tried_well AND gone_at IS NULL) AS backup_proven,
       floor(EXTRACT(epoch FROM now() - max(begun_at) FILTER (WHERE {_GOOD})) / 3600)::bigint AS backup_hours
FROM (SELECT * FROM backup WHERE $1 ORDER BY begun_at DESC LIMIT $2) b
"""  # noqa: S608 - constants
_STANDING = f"""
SELECT last, tried, failed, since, EXTRACT(epoch FROM now() - COALESCE(last, since))::float8 / 3600 AS hours FROM (
SELECT
    (SELECT max(begun_at) FROM backup WHERE {_GOOD}) AS last,
    (SELECT max(tried_at) FROM backup WHERE tried_well) AS tried,
    (SELECT CASE WHEN tried_well THEN NULL ELSE tried_at END FROM backup WHERE tried_at IS NOT NULL
     ORDER BY tried_at DESC LIMIT 1) AS failed,
    (SELECT at FROM audit ORDER BY id LIMIT 1) AS since) found
"""  # noqa: S608 - constants


class Sums(NamedTuple):
    """How many there are, and what they come to."""

    n: int
    backup_good: int
    """To fall back on."""
    backup_proven: int
    """Of these, restored for trial, each table with as many rows."""


class Aged(NamedTuple):
    """The same where there was a good one."""

    n: int
    backup_good: int
    backup_proven: int
    backup_hours: int
    """Since the youngest good one."""


async def sums(database: Database, actor: Actor, most: int) -> Sums | Aged:
    """What the newest come to, counted up to one more than ``most``."""
    row = await database.fetchrow(_SUMS, actor.scope.whole is None, most + 1)
    n, good, proven, hours = (0, 0, 0, None) if row is None else tuple(row)
    return Sums(n, good, proven) if hours is None else Aged(n, good, proven, hours)


async def standing(database: Database) -> Standing:
    """How they stand, by the clock of the database."""
    row = await database.fetchrow(_STANDING)
    return Standing(None, None, None, None, None) if row is None else Standing(**dict(row))
