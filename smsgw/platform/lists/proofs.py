"""Files that prove consents, brought once for what was entered together, and never exchanged."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.errors import Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change
from smsgw.platform.files import proofs, queries as files
from smsgw.platform.files.model import FileKind, Incoming, StoredFile
from smsgw.platform.files.service import FileStore
from smsgw.platform.lists import consents
from smsgw.store.engine.database import Database

_HELD = "SELECT DISTINCT proof_file AS id FROM consent WHERE proof_file = ANY($1::bigint[])"
_ATTACH = """
UPDATE consent c SET proof_file = $2 FROM consent o
WHERE o.id = $1 AND c.account_id = o.account_id AND c.entered_at = o.entered_at AND c.entered_by = o.entered_by
  AND c.proof = o.proof AND c.proof_file IS NULL
"""


def kind(database: Database) -> FileKind:
    """The sort of these files: those that the ledger means are kept for ever."""
    return proofs.kind(database, "consent_proof", _HELD)


async def keep(change: Change, store: FileStore, id_: int, incoming: Incoming) -> int:
    """The file has come: it proves this row, and those that were entered with it; of how many. ``FILE_INVALID``,
    ``FILE_TOO_LARGE``, and as ``attach``."""
    file = await proofs.keep(store, incoming, change.actor.label)
    return await attach(change, id_, file)


async def attach(change: Change, id_: int, file: StoredFile) -> int:
    """Say that a stored file proves this row, and those that were entered with it; of how many. ``NOT_FOUND``;
    ``STATE_CONFLICT``: they have a file."""
    async with change.unit(Permission.BLOCK_EDIT, timeout=30) as unit:
        found = await consents.one(unit.connection, id_, accounts=unit.actor.scope.whole)
        if found is None:
            raise Refused("NOT_FOUND")
        done = await unit.connection.execute(_ATTACH, id_, file.id)
        n = int(done.rpartition(" ")[2])
        if not n:
            raise Refused("STATE_CONFLICT", reason=phrase("consent.proof_there"))
        after = {"account": found.account_id, "file": file.name, "sha256": file.sha256.hex(), "entries": n}
        unit.record("consent.proof", f"consent/{id_}", after=after)
    return n


async def of(database: Database, id_: int, *, accounts: Sequence[int] | None) -> StoredFile:
    """The file that proves a row of these accounts (None: of all). ``NOT_FOUND``."""
    found = await consents.one(database, id_, accounts=accounts)
    file = None if found is None or found.proof_file is None else await files.get(database, found.proof_file)
    if file is None:
        raise Refused("NOT_FOUND")
    return file
