"""A backup back into an empty database, so that nothing is sent by itself which a carrier may have had since."""

from __future__ import annotations

import json
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from smsgw.core.errors import Invalid, Refused
from smsgw.core.ids import first_id
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.backups.queries import SCHEMA
from smsgw.platform.change import EVERYBODY, Change
from smsgw.platform.key_file import queries as key_files
from smsgw.runtime import clock
from smsgw.store.engine import dumps, migrate, restoring
from smsgw.store.engine.dumps import DumpError, Manifest
from smsgw.store.engine.restoring import Claim, Place
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import restored

_ENTER = """
INSERT INTO restoration (life, shows, file, sha256, host, made_by, seconds, done)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb) RETURNING id
"""
Told = Callable[[str], None]
"""Of what is done now."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a restore is going to do."""

    file: Path
    kept: Manifest

    @property
    def shows(self) -> datetime | None:
        """The moment of the backup; None: an older one, which does not say."""
        return datetime.fromisoformat(self.kept.at) if self.kept.at else None


@dataclass(frozen=True, slots=True)
class Target:
    """Where it goes."""

    dsn: str
    """Of the application."""
    owner: str
    folder: Path | None
    """Where the database lies, if it is on this machine."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What it has done."""

    id: int
    seconds: int
    rows: int
    tables: int
    migrations: int
    done: Mapping[str, int]
    """Parts that stand uncertain, by code, and how many of what else was set so that nothing goes on by itself."""
    stuck: int
    """Secrets that the key file does not open."""


def plan(file: Path) -> Plan:
    """Read a backup through and see that it is what was written; blocks. ``PARAM_INVALID``; ``DumpError``."""
    if not file.is_file():
        raise Invalid("PARAM_INVALID", field="file", reason=phrase("backup.no_file"))
    file = file.resolve()
    kept = dumps.as_written(file, dumps.read_manifest(file).sha256)
    if kept.schema_version > migrate.SCHEMA_VERSION or kept.schema_version < SCHEMA:
        raise DumpError(
            f"{file} has schema {kept.schema_version}, and this program knows {SCHEMA} to {migrate.SCHEMA_VERSION}: "
            "take the program that goes with it"
        )
    return Plan(file, kept)


async def fits(found: Plan, target: Target) -> Place:
    """See that the place is empty and has room. ``STATE_CONFLICT``; ``DumpError``."""
    there = await restoring.place(target.owner)
    if there.tables and not there.begun:
        raise Refused("STATE_CONFLICT", reason=phrase("backup.not_empty", n=there.tables))
    if target.folder is not None:
        free, needed = shutil.disk_usage(target.folder).free, found.kept.size + dumps.RESERVE
        if free < needed:
            raise DumpError(f"{target.folder} has {free / 2**20:,.0f} MiB left, and {needed / 2**20:,.0f} are needed")
    return there


def opens(found: Plan, sealer: Sealer) -> None:
    """See, before hours of loading, that the key file is that of the backup as far as it says. ``STATE_CONFLICT``."""
    if found.kept.key and found.kept.key not in sealer.ids:
        raise Refused("STATE_CONFLICT", reason=phrase("backup.foreign_key", id=found.kept.key))


def alone(target: Target) -> AbstractAsyncContextManager[Claim]:
    """The only restore of a database. ``DumpError``."""
    return restoring.alone(target.owner)


async def load(found: Plan, target: Target, claim: Claim, told: Told) -> int:
    """Load it, and bring it to this program's schema; how many migrations that took. Nobody works with the database
    before ``settle`` is done. ``DumpError``, ``NoTrial``."""
    told("loading")
    await restoring.load(found.file, found.kept, claim)
    return await _migrated(target, told)


async def take(target: Target, claim: Claim, told: Told) -> int:
    """The same with the database that is there already, as another tool has put it back. ``DumpError``."""
    await claim.mark(loads=False)
    return await _migrated(target, told)


async def _migrated(target: Target, told: Told) -> int:
    told("migrating")
    return await migrate.migrate(target.owner, application=target.dsn, restoring=True)


async def settle(
    change: Change, found: Plan | None, claim: Claim, sealer: Sealer, begun: float, migrations: int, *, lost_key: bool
) -> Restored:
    """See that nothing is sent by itself, enter the restore, and give the database to the nodes. ``found``: None where
    another tool has put it back. ``begun``: on the steady clock. ``lost_key``: go on though the key file does not open
    what is sealed; else ``STATE_CONFLICT``."""
    change.actor.require(Permission.NODE_EDIT, EVERYBODY)
    stuck = len((await key_files.uses(change.database, sealer)).stuck)
    if stuck and not lost_key:
        raise Refused("STATE_CONFLICT", reason=phrase("backup.other_key", n=stuck))
    async with restoring.owned(claim.dsn) as connection, connection.transaction():
        await claim.held(connection)
        now = max(clock.now(), await connection.fetchval("SELECT clock_timestamp()"))
        done = await restored.settle(connection, now)
        await restoring.part_with_the_past(connection, first_id(now))
    file, sha256, shows = ("", "", None) if found is None else (found.file.name, found.kept.sha256, found.shows)
    seconds, host = round(time.monotonic() - begun), socket.gethostname()
    async with change.unit(Permission.NODE_EDIT, EVERYBODY) as unit:
        id_ = await unit.connection.fetchval(
            _ENTER, secrets.token_hex(16), shows, str(found.file) if found else "", sha256, host, unit.actor.label,
            seconds, json.dumps(done),
        )  # fmt: skip
        unit.record(
            "backup.restore",
            f"restoration/{id_}",
            after={"file": file, "sha256": sha256, "shows": str(shows or ""), "host": host, "done": done},
        )
    await claim.finish()
    counts = found.kept.counts if found else {}
    return Restored(id_, seconds, sum(counts.values()), len(counts), migrations, done, stuck)
