"""How full disks and database are, day by day, and when there will be no room left."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import structlog

from smsgw.core.ids import CHINA
from smsgw.pipeline.accept.disk import free_percent
from smsgw.pipeline.periodic import Periodic
from smsgw.platform.board import queries as board
from smsgw.runtime import clock
from smsgw.store.engine.database import Database

log = structlog.get_logger(__name__)

EVERY = 60.0
DATABASE = "database"
LOOKED_BACK, KEPT = 14, 60
"""Days that a forecast is made of, and that are kept."""
LEAST_DAYS = 3
"""Without so many there is no forecast."""

_PUT = """
INSERT INTO size_day (object, day, used, free) SELECT * FROM unnest($1::text[], $2::date[], $3::bigint[], $4::bigint[])
ON CONFLICT (object, day) DO UPDATE SET used = excluded.used, free = excluded.free
"""
_FORGET = "DELETE FROM size_day WHERE day < $1"
# What was not looked at since yesterday is of a node, or a folder, that is gone.
_READ = """
SELECT object, array_agg(day ORDER BY day) AS days, array_agg(used ORDER BY day) AS used,
       (array_agg(free ORDER BY day DESC))[1] AS free
FROM size_day WHERE day > $1::date - $2::int GROUP BY object HAVING max(day) >= $1::date - 1 ORDER BY object LIMIT 200
"""


@dataclass(frozen=True, slots=True)
class Size:
    """What holds something."""

    object: str
    used: int
    """Octets."""
    free: int | None
    """None: it is not known, as on the machine of a database server."""
    daily: float | None
    """Octets that come to it a day; None: there are too few days to tell."""

    @property
    def free_percent(self) -> float | None:
        """Of what it can hold."""
        return None if self.free is None else free_percent(self.free, self.used)

    @property
    def days_left(self) -> int | None:
        """Until it is full, as it has gone on; None: it does not grow, or that is not known."""
        if self.free is None or self.daily is None or self.daily <= 0:
            return None
        return int(self.free / self.daily)


def daily(days: Sequence[date], used: Sequence[int]) -> float | None:
    """Growth a day: the line that fits them best (least squares)."""
    if len(days) < LEAST_DAYS:
        return None
    at = [(day - days[0]).days for day in days]
    mean_at, mean_used = sum(at) / len(at), sum(used) / len(used)
    return sum((x - mean_at) * (y - mean_used) for x, y in zip(at, used, strict=True)) / sum(
        (x - mean_at) ** 2 for x in at
    )


async def sizes(database: Database) -> list[Size]:
    """All that was looked at since yesterday."""
    rows = await database.fetch(_READ, clock.now().astimezone(CHINA).date(), LOOKED_BACK)
    return [Size(row["object"], row["used"][-1], row["free"], daily(row["days"], row["used"])) for row in rows]


def fullest(found: Sequence[Size], node: int) -> Size | None:
    """The fullest disk of a node; None: none of it was looked at."""
    disks = [one for one in found if one.free is not None and one.object.startswith(f"node/{node}/")]
    return min(disks, key=lambda one: one.free_percent or 0.0, default=None)


def _disks(folders: Sequence[Path]) -> dict[str, tuple[int, int]]:
    """Used and free of the file systems that the folders are on, each once; blocks."""
    found = dict[int, tuple[str, tuple[int, int]]]()
    for folder in folders:
        try:
            usage = shutil.disk_usage(folder)
            found.setdefault(folder.stat().st_dev, (str(folder), (usage.used, usage.free)))
        except OSError as exc:
            log.warning("sizes.unknown", folder=str(folder), error=str(exc))
    return dict(found.values())


class Sizes:
    """Looks at the disks of a node, and at the database."""

    def __init__(self, database: Database, node: int, folders: Sequence[Path]) -> None:
        self._database = database
        self._node = node
        self._folders = folders

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (Periodic("sizes", EVERY, self.step, jitter=60.0),)

    async def step(self) -> None:
        """Write down how it is now."""
        today = clock.now().astimezone(CHINA).date()
        disks = await asyncio.to_thread(_disks, self._folders)
        rows: list[tuple[str, date, int, int | None]] = [
            (f"node/{self._node}{folder}", today, used, free) for folder, (used, free) in disks.items()
        ]
        rows.append((DATABASE, today, (await board.database_facts(self._database)).size, None))
        rows.sort()  # nodes that write at the same moment take the rows in one order
        await self._database.execute(_PUT, *(list(column) for column in zip(*rows, strict=True)))
        await self._database.execute(_FORGET, today - timedelta(days=KEPT))
