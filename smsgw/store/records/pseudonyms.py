"""The key of the hashes that stand for numbers, sealed in the database, and what a number that is looked for may be
stored as."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from smsgw.core.pseudonyms import pseudonym
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.secrets import Sealer

CONTEXT = "pseudonym_key"
_READ = "SELECT sealed FROM pseudonym_key WHERE id = 1"
_MAKE = "INSERT INTO pseudonym_key (id, sealed) VALUES (1, $1) ON CONFLICT (id) DO NOTHING"


async def key(database: Database | Connection, sealer: Sealer) -> bytes | None:
    """The key; None: nothing was ever hashed. ``KeyFileError``."""
    sealed = await database.fetchval(_READ)
    return None if sealed is None else bytes.fromhex(sealer.open(sealed, CONTEXT))


async def make_key(database: Database | Connection, sealer: Sealer) -> bytes:
    """The key, made now if there is none; of two that make one the first wins."""
    found = await key(database, sealer)
    if found is None:
        await database.execute(_MAKE, sealer.seal(secrets.token_hex(32), CONTEXT))
        found = await key(database, sealer)
    if found is None:
        raise RuntimeError("a key that was stored is not there")
    return found


async def _known(database: Database, source: Database | Connection) -> bytes | None:
    return None if database.sealer is None else await key(source, database.sealer())


async def spellings(database: Database, number: str | None, connection: Connection | None = None) -> list[str] | None:
    """What a number that is looked for is stored as: itself, and its hash once numbers have been hashed. None: any."""
    if number is None:
        return None
    known = await _known(database, connection or database)
    return [number] if known is None else [number, pseudonym(known, number)]


async def of(database: Database, numbers: Sequence[str]) -> list[str | None]:
    """The hash of each; None: nothing was ever hashed."""
    known = await _known(database, database)
    return [None if known is None else pseudonym(known, number) for number in numbers]
