"""The opening of a database and a key file by their settings: for commands beside a node, and for the node itself."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator

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
async def database(settings: Config, *, owner_dsn: str = "") -> AsyncIterator[Database]:
    """The database of the settings, brought to this program's schema (as ``owner_dsn`` if given).

    An embedded database is used where it runs, or started for the moment. What is written to its audit log is signed
    with the key file. Raises ``EmbeddedError``, ``SchemaTooOld``, ``SchemaTooNew``.
    """
    audit.use(functools.cache(functools.partial(sealer, settings)))
    async with contextlib.AsyncExitStack() as stack:
        dsn = settings.database.dsn
        owner = owner_dsn or settings.database.owner_dsn or dsn
        if not dsn:
            dsn, owner = await _embedded(settings, stack)
        await migrate.migrate(owner, application=dsn)
        opened = Database(dsn, size=COMMAND_POOL)
        await opened.open()
        stack.push_async_callback(opened.close)
        yield opened


async def _embedded(settings: Config, stack: contextlib.AsyncExitStack) -> tuple[str, str]:
    """Addresses for the application and for the owner."""
    embedded = EmbeddedPostgres(settings.node.data_dir)
    dsn = await embedded.find()
    if dsn is None:
        private.close(settings.node.data_dir)
        dsn = await embedded.start()
        stack.push_async_callback(embedded.stop)
    return dsn, embedded.owner_dsn
