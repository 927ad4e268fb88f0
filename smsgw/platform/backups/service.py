"""Makes a backup, tries one, and enters what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog

from smsgw.core.errors import Invalid, Refused, SmsgwError, Temporary
from smsgw.core.ids import CHINA
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.backups.queries import BACKUPS, LOST, Backup
from smsgw.platform.change import EVERYBODY, Change
from smsgw.runtime import aio, clock
from smsgw.store.engine import dumps
from smsgw.store.engine.dumps import DumpError, Manifest, NoTrial, Written

log = structlog.get_logger(__name__)

KEPT = timedelta(days=400)
"""How long a backup is shown after its file is gone, or when it failed."""
LEFT_OVER = 86_400.0
"""Seconds after which half a file is nobody's any more."""
LONGEST = 300
SEEN_EVERY = 5.0
MOST_REMOVED = 1000
"""Of those that are gone: whether their files are."""
_PATTERN = "smsgw-*.dump"
_STALE = f"(state = 'running' AND seen_at < now() - interval '{LOST} seconds')"
_LOST = f"""
SELECT id, file FROM backup WHERE (state = 'lost' OR {_STALE}) AND host = $1 ORDER BY begun_at DESC LIMIT 100
"""  # noqa: S608 - constants
_LOSE = f"UPDATE backup SET state = 'lost', ended_at = seen_at WHERE {_STALE}"  # noqa: S608 - constants
_FORGET = "DELETE FROM backup WHERE begun_at < $1 AND (state <> 'done' OR gone_at IS NOT NULL)"
_RUNNING = "SELECT EXISTS (SELECT FROM backup WHERE state = 'running')"
# As large as the last one and a fifth more; as the database, where there is none.
_BEGIN = """
INSERT INTO backup (file, host, made_by, schema_version)
SELECT $1, $2, $3, version FROM schema_info
RETURNING id, schema_version, COALESCE(
    (SELECT octets + octets / 5 FROM backup WHERE state = 'done' ORDER BY begun_at DESC LIMIT 1),
    pg_database_size(current_database())) AS expected
"""
_SEEN = "UPDATE backup SET seen_at = now(), octets = $2 WHERE id = $1 AND state = 'running'"
# One that was called lost meanwhile is whole all the same; one that has failed never is.
_DONE = """
UPDATE backup SET state = 'done', ended_at = now(), seen_at = now(), octets = $2, sha256 = $3, rows = $4, tables = $5
WHERE id = $1 AND state IN ('running', 'lost')
"""
_FAILED = """
UPDATE backup SET state = 'failed', ended_at = now(), problem = $2 WHERE id = $1 AND state IN ('running', 'lost')
"""
_HERE = "state = 'done' AND gone_at IS NULL AND host = $1 AND regexp_replace(file, '/[^/]*$', '') = $2"
# Older than the last of those that are kept; one that was tried in vain counts for none.
_SURPLUS = f"""
SELECT id, file FROM backup WHERE {_HERE} AND begun_at < (
    SELECT begun_at FROM backup WHERE {_HERE} AND tried_well IS NOT FALSE ORDER BY begun_at DESC OFFSET $3 - 1 LIMIT 1)
"""  # noqa: S608 - constants
_GONE = "UPDATE backup SET gone_at = now() WHERE id = ANY ($1) AND gone_at IS NULL"
_REMOVED = """
SELECT file FROM backup
WHERE gone_at IS NOT NULL AND host = $1 AND regexp_replace(file, '/[^/]*$', '') = $2 ORDER BY gone_at DESC LIMIT $3
"""
_TRYING = "UPDATE backup SET tried_in = $2 WHERE id = $1"
_LEFT = "SELECT DISTINCT tried_in FROM backup WHERE host = $1 AND tried_in <> ''"
_CLEARED = "UPDATE backup SET tried_in = '' WHERE host = $1 AND tried_in = $2"
_TRIED = """
UPDATE backup SET tried_at = now(), tried_by = $2, tried_seconds = $3, tried_well = $4, tried_problem = $5 WHERE id = $1
"""
Told = Callable[[int], None]
"""Of the octets that are written."""


async def make(change: Change, dsn: str, folder: Path, keep: int, told: Told) -> Backup:
    """Make one in this folder, and keep that many good ones of this machine there (0: all of them). ``PARAM_INVALID``
    for what is no folder; ``STATE_CONFLICT`` while one is being made; ``DumpError``, which is entered, too."""
    change.actor.require(Permission.NODE_EDIT, EVERYBODY)
    host = socket.gethostname()
    folder = await asyncio.to_thread(_folder, folder)
    await _clear(change, host)
    name = f"smsgw-{clock.now().astimezone(CHINA):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}.dump"
    file = folder / name  # another database may have its backups there, too
    lost = await change.database.fetch(_LOST, host)
    whole = await asyncio.to_thread(_whole, [(row["id"], Path(row["file"])) for row in lost])
    async with change.unit(Permission.NODE_EDIT, EVERYBODY) as unit:
        await unit.connection.execute(_LOSE)
        if await unit.connection.fetchval(_RUNNING):
            raise Refused("STATE_CONFLICT", reason=phrase("backup.under_way"))
        await unit.connection.execute(_FORGET, clock.now() - KEPT)
        for one, kept in whole.items():  # whoever made it was killed before this was entered
            await unit.connection.execute(_DONE, one, *_made(kept))
            unit.record("backup.end", f"backup/{one}", before={"state": "lost"}, after=_entered(kept))
        ((id_, version, expected),) = await unit.connection.fetch(_BEGIN, str(file), host, unit.actor.label)
        unit.record("backup.begin", f"backup/{id_}", after={"file": str(file), "host": host})
    written = Written()
    seen = aio.spawn(_seen(change, id_, written, told), name="backup.seen")
    try:
        made = await dumps.dump(dsn, file, version, written, expected)
    except BaseException as exc:
        said = str(exc) if isinstance(exc, DumpError) else type(exc).__name__
        await asyncio.shield(_failed(change, id_, said[:LONGEST]))
        raise
    finally:
        await aio.cancel(seen)
    async with change.unit(Permission.NODE_EDIT, EVERYBODY) as unit:
        await unit.connection.execute(_DONE, id_, *_made(made))
        unit.record("backup.end", f"backup/{id_}", before={"state": "running"}, after=_entered(made))
    if keep:
        await _remove_surplus(change, folder, host, keep)
    return await _known(change, id_)


def _folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise Invalid("PARAM_INVALID", field="folder", reason=phrase("backup.folder"))
    folder = folder.resolve()
    halves = [*folder.glob(f"{_PATTERN}.part"),
              *(one for one in folder.glob(f"{_PATTERN}.json") if not one.with_suffix("").exists())]  # fmt: skip
    for half in halves:  # of one that was killed
        with contextlib.suppress(FileNotFoundError):
            if clock.now().timestamp() - half.stat().st_mtime > LEFT_OVER:
                half.unlink()
    return folder


def _whole(lost: list[tuple[int, Path]]) -> dict[int, Manifest]:
    """Those of them that stand on disk."""
    return {id_: kept for id_, file in lost if (kept := dumps.standing(file)) is not None}


def _made(one: Manifest) -> tuple[int, str, int, int]:
    return one.octets, one.sha256, sum(one.counts.values()), len(one.counts)


def _entered(one: Manifest) -> dict[str, object]:
    return {"state": "done", "size": one.octets, "sha256": one.sha256}


async def _seen(change: Change, id_: int, written: Written, told: Told) -> None:
    """Say now and then that it goes on, whatever it waits for; the database may be away for a moment."""
    while True:
        await asyncio.sleep(SEEN_EVERY)
        told(written.octets)
        try:
            await change.database.execute(_SEEN, id_, written.octets)
        except Temporary as exc:
            log.warning("backup.not_seen", backup=id_, error=str(exc))


async def _failed(change: Change, id_: int, problem: str) -> None:
    """Enter it; where that cannot be done it is lost soon."""
    try:
        async with change.unit(Permission.NODE_EDIT, EVERYBODY) as unit:
            await unit.connection.execute(_FAILED, id_, problem)
            unit.record("backup.end", f"backup/{id_}", before={"state": "running"},
                        after={"state": "failed", "problem": problem})  # fmt: skip
    except SmsgwError as exc:
        log.warning("backup.not_entered", backup=id_, problem=problem, error=str(exc))


async def _known(change: Change, id_: int) -> Backup:
    found = await BACKUPS.get(change.database, change.actor, id_)
    if found is None:
        raise Refused("NOT_FOUND")
    return found


async def _remove_surplus(change: Change, folder: Path, host: str, keep: int) -> None:
    """The oldest first said to be gone, then removed: a row never promises a file that is not there."""
    of = f"{folder}".rstrip("/")
    async with change.unit(Permission.NODE_EDIT, EVERYBODY) as unit:
        rows = await unit.connection.fetch(_SURPLUS, host, of, keep)
        if rows:
            await unit.connection.execute(_GONE, [row["id"] for row in rows])
            unit.record("backup.remove", "backup", before={"files": [row["file"] for row in rows]})
        else:
            unit.unchanged()
        gone = await unit.connection.fetch(_REMOVED, host, of, MOST_REMOVED)  # one before may have been killed here
    await asyncio.to_thread(_remove, [Path(row["file"]) for row in gone])


def _remove(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
        dumps.manifest_of(file).unlink(missing_ok=True)


async def rehearse(change: Change, id_: int, scratch: Path) -> Backup:
    """Restore one of this machine into a database of its own, compare what each table holds, and enter what came of
    it. ``NOT_FOUND``; ``STATE_CONFLICT`` for one that is not whole, gone, or of another machine; ``NoTrial``."""
    change.actor.require(Permission.NODE_EDIT, EVERYBODY)
    found, host = await _known(change, id_), socket.gethostname()
    if not found.there:
        raise Refused("STATE_CONFLICT", reason=phrase("backup.not_there"))
    if found.host != host:
        raise Refused("STATE_CONFLICT", reason=phrase("backup.elsewhere", host=found.host))
    await _clear(change, host)
    place = dumps.place_of(scratch)
    await change.database.execute(_TRYING, id_, str(place))
    begun, problem = time.monotonic(), ""
    try:
        trial = await dumps.rehearse(Path(found.file), found.sha256, place)
        if trial.differing:
            named = ", ".join(f"{name} {how}" for name, how in list(trial.differing.items())[:5])
            problem = f"{len(trial.differing)} table(s) differ: {named}"
    except DumpError as exc:
        problem = str(exc)
    except BaseException as exc:  # it says nothing of the backup
        said = str(exc) if isinstance(exc, NoTrial) else type(exc).__name__
        await asyncio.shield(_tried(change, found, place, {"tried": "none", "problem": said[:LONGEST]}))
        raise
    seconds = round(time.monotonic() - begun)
    after: dict[str, object] = {"tried": "bad" if problem else "good", "seconds": seconds}
    await _tried(change, found, place, after, seconds, not problem, problem[:LONGEST])
    return await _known(change, id_)


async def _tried(change: Change, found: Backup, place: Path, after: dict[str, object], *came: object) -> None:
    left = await asyncio.to_thread(place.exists)
    async with change.unit(Permission.NODE_EDIT, EVERYBODY) as unit:
        if came:
            await unit.connection.execute(_TRIED, found.id, unit.actor.label, *came)
        unit.record("backup.rehearse", f"backup/{found.id}", before={"tried": found.trial}, after=after)
        if not left:
            await unit.connection.execute(_TRYING, found.id, "")


async def _clear(change: Change, host: str) -> None:
    """Remove what trials of this machine have left that were killed."""
    for row in await change.database.fetch(_LEFT, host):
        try:
            await dumps.clear(Path(row["tried_in"]))
        except (NoTrial, OSError) as exc:  # it is under way, or somebody else's
            log.warning("backup.trial_left", place=row["tried_in"], error=str(exc))
        else:
            await change.database.execute(_CLEARED, host, row["tried_in"])
