"""The opening of a database and a key file by their settings: for commands beside a node, and for the node itself."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator
from pathlib import Path

from smsgw.platform.backups.restore import Target
from smsgw.runtime import private
from smsgw.runtime.config import Config
from smsgw.store.engine import migrate, secrets
from smsgw.store.engine.database import Database
from smsgw.store.engine.embedded import EmbeddedPostgres
from smsgw.store.engine.secrets import Sealer
from smsgw.store.records import audit

COMMAND_POOL = 2
"""Connections of a command."""


def sealer(settings: Config) -> Sealer:
    """The key that seals stored secrets; made when its place is ours and it does not exist. ``KeyFileError``."""
    return secrets.load_key(settings.key_file, create=not settings.security.key_file)


@contextlib.asynccontextmanager
async def database(settings: Config, *, owner_dsn: str = "", as_it_is: int | None = None) -> AsyncIterator[Database]:
    """The database of the settings, brought to this program's schema (as ``owner_dsn`` if given), or with
    ``as_it_is`` left with the one that it has, if it is that one at least.

    An embedded database is used where it runs, or started for the moment. What is written to its audit log is signed
    with the key file. Raises ``EmbeddedError``, ``SchemaTooOld``, ``SchemaTooNew``, ``ConnectionError``.
    """
    own = functools.cache(functools.partial(sealer, settings))
    audit.use(own)
    async with contextlib.AsyncExitStack() as stack:
        dsn = settings.database.dsn
        owner = owner_dsn or settings.database.owner_dsn or dsn
        if not dsn:
            dsn, owner = await _embedded(settings, stack)
        try:
            if as_it_is is None:
                await migrate.migrate(owner, application=dsn)
            else:
                await migrate.look(dsn, as_it_is)
        except OSError as exc:  # a proxy without a database behind it hangs up, and says nothing
            raise ConnectionError(f"the database does not answer ({str(exc) or type(exc).__name__})") from exc
        opened = Database(dsn, size=COMMAND_POOL, sealer=own)
        await opened.open()
        stack.push_async_callback(opened.close)
        yield opened


def disks(folder: Path, root: Path, dsn: str) -> list[Path]:
    """Of a process under a supervisor, what must have room: its folder, and the database that the supervisor has begun
    in its own, if it is that one."""
    embedded = EmbeddedPostgres(root)
    return [folder, embedded.home] if dsn == embedded.dsn else [folder]


def owner_of(settings: Config, owner_dsn: str = "") -> str:
    """The address of the database for its owner, as ``database`` has opened it."""
    given = owner_dsn or settings.database.owner_dsn or settings.database.dsn
    return given or EmbeddedPostgres(settings.node.data_dir).owner_dsn


async def _embedded(settings: Config, stack: contextlib.AsyncExitStack) -> tuple[str, str]:
    """Addresses for the application and for the owner."""
    embedded = EmbeddedPostgres(settings.node.data_dir)
    dsn = await embedded.find()
    if dsn is None:
        private.close(settings.node.data_dir)
        dsn = await embedded.start()
        stack.push_async_callback(embedded.stop)
    return dsn, embedded.owner_dsn


@contextlib.asynccontextmanager
async def target(settings: Config, owner_dsn: str = "") -> AsyncIterator[Target]:
    """The database that a backup is to go to, as it is. An embedded one is started for the moment, and must not run
    already. ``EmbeddedError``."""
    if dsn := settings.database.dsn:
        yield Target(dsn, owner_dsn or settings.database.owner_dsn or dsn, None)
        return
    private.close(settings.node.data_dir)
    embedded = EmbeddedPostgres(settings.node.data_dir)
    dsn = await embedded.start()
    try:
        yield Target(dsn, embedded.owner_dsn, embedded.home)
    finally:
        await embedded.stop()


@contextlib.asynccontextmanager
async def restored(settings: Config, place: Target) -> AsyncIterator[Database]:
    """The database that a backup has gone to, before it is given to the nodes."""
    own = functools.cache(functools.partial(sealer, settings))
    audit.use(own)
    opened = Database(place.dsn, size=COMMAND_POOL, sealer=own, unfinished=True)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()
