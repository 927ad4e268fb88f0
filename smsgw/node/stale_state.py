"""What lies in a data directory from before the database was restored: told, kept aside, and never acted on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from smsgw.store.engine import restoring, spool
from smsgw.store.engine.database import Database
from smsgw.store.engine.journal import Journal, boot_id
from smsgw.store.engine.nodes import Identity

log = structlog.get_logger(__name__)


async def part_with(database: Database, who: Identity) -> None:
    """See whether this data directory was of the database as it was before a restore. Then its journal is about parts
    that the backup may not know, under epochs and attempts that come again: it goes aside. What lies in its spool may
    have been entered, and sent, before: it is entered as uncertain. Blocks nothing when repeated."""
    life = await restoring.life(database)
    if who.life == life:
        return
    segments = await asyncio.to_thread(spool.doubt, who.folder / "spool")  # it may have been carried here by hand
    if who.number or segments:  # else there is nothing from before
        written, answered = await asyncio.to_thread(_set_aside, who.folder, who.number, life)
        ids = sorted({key[0] for key in written})
        unknown = await restoring.unknown(database, ids)
        log.warning(
            "node.database_restored", written=len(written), answered=answered, messages=len(ids), lost=unknown,
            spool_segments=segments, journal=str(_aside(who.folder, life)),
        )  # fmt: skip
    await asyncio.to_thread(who.begin, life)


def _aside(folder: Path, life: str) -> Path:
    return folder / f"journal.before-{life[:8] or 'restore'}"


def _set_aside(folder: Path, number: int, life: str) -> tuple[set[tuple[int, int, int]], int]:
    """What the journal says was written and answered, before it goes aside."""
    place = folder / "journal"
    if not place.exists() or not any(place.iterdir()):
        return set(), 0
    journal = Journal(place, number, boot_id())
    replay = journal.open()
    journal.close()
    aside = _aside(folder, life)
    while aside.exists():
        aside = aside.with_name(f"{aside.name}-again")
    place.rename(aside)
    return replay.written, len(replay.answers)
