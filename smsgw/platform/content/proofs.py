"""Documents that entitle to signatures (证明材料): licences, authorizations, carriers' receipts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.templates import CARRIERS
from smsgw.core.words import phrase
from smsgw.platform.change import Change
from smsgw.platform.files import proofs
from smsgw.platform.files import queries as files
from smsgw.platform.files.model import FileKind, Incoming, StoredFile
from smsgw.platform.files.service import FileStore
from smsgw.store.engine.database import Database, Row

MOST = 30
"""Of one signature."""


class Document(StrEnum):
    """What a document is."""

    LICENSE = "license"
    AUTHORIZATION = "authorization"
    TRADEMARK = "trademark"
    IDENTITY = "identity"
    RECEIPT = "receipt"
    """What a carrier has sent back."""
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Proof:
    """One document."""

    id: int
    sign_id: int
    sign: str
    account_id: int
    kind: str
    carrier: str
    """The carrier that it is meant for; empty: all."""
    file_id: int
    name: str
    size: int
    media_type: str
    added_by: ActorLabel
    added_at: datetime


_HELD = "SELECT DISTINCT file_id AS id FROM sign_proof WHERE file_id = ANY($1::bigint[])"
_PROOFS = """
SELECT p.id, p.sign_id, x.sign, x.account_id, p.kind, p.carrier, p.file_id, f.name, f.size, f.media_type, p.added_by,
       p.added_at
FROM sign_proof p JOIN sign x ON x.id = p.sign_id JOIN file f ON f.id = p.file_id
WHERE ($1::bigint[] IS NULL OR x.account_id = ANY($1)) AND ($2::bigint IS NULL OR p.sign_id = $2)
  AND ($3::bigint IS NULL OR p.id = $3) ORDER BY p.id LIMIT $4
"""
_SIGN = "SELECT account_id, sign FROM sign WHERE id = $1 FOR UPDATE"
_ADD = """
INSERT INTO sign_proof (sign_id, kind, carrier, file_id, added_by)
SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM sign_proof WHERE sign_id = $1) < $6 RETURNING id
"""
_REMOVE = "DELETE FROM sign_proof WHERE id = $1"


def kind(database: Database) -> FileKind:
    """The sort of these files."""
    return proofs.kind(database, "sign_proof", _HELD)


def _proof(row: Row) -> Proof:
    return Proof(*row.values())


async def of_sign(database: Database, sign_id: int, *, accounts: Sequence[int] | None) -> list[Proof]:
    """Those of a signature of these accounts (None: all), in their order."""
    whose = None if accounts is None else list(accounts)
    return [_proof(row) for row in await database.fetch(_PROOFS, whose, sign_id, None, MOST)]


async def one(database: Database, id_: int, *, accounts: Sequence[int] | None) -> Proof | None:
    """One of them."""
    row = await database.fetchrow(_PROOFS, None if accounts is None else list(accounts), None, id_, 1)
    return None if row is None else _proof(row)


async def file_of(database: Database, id_: int, *, accounts: Sequence[int] | None) -> StoredFile:
    """Its file. ``NOT_FOUND``."""
    found = await one(database, id_, accounts=accounts)
    file = None if found is None else await files.get(database, found.file_id)
    if file is None:
        raise Refused("NOT_FOUND")
    return file


async def keep(
    change: Change, store: FileStore, sign_id: int, what: Document, carrier: str, incoming: Incoming
) -> int:
    """The file has come; the id of the document. ``FILE_INVALID``, ``FILE_TOO_LARGE``, and as ``attach``."""
    file = await proofs.keep(store, incoming, change.actor.label)
    return await attach(change, sign_id, what, carrier, file)


async def attach(change: Change, sign_id: int, what: Document, carrier: str, file: StoredFile) -> int:
    """Say what a stored file proves; the id of the document. ``NOT_FOUND``; ``STATE_CONFLICT``: there are too many."""
    if carrier not in ("", *CARRIERS):
        raise Invalid("PARAM_INVALID", field="carrier", reason=phrase("choice.of", known=", ".join(CARRIERS)))
    async with change.unit(Permission.SIGN_EDIT) as unit:
        row = await unit.connection.fetchrow(_SIGN, sign_id)
        if row is None:
            raise Refused("NOT_FOUND")
        unit.actor.require(Permission.SIGN_EDIT, row["account_id"])
        id_: int | None = await unit.connection.fetchval(
            _ADD, sign_id, what.value, carrier, file.id, unit.actor.label, MOST
        )
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("sign.proofs", most=MOST))
        after = {"sign": row["sign"], "kind": what.value, "carrier": carrier, "file": file.name,
                 "sha256": file.sha256.hex()}  # fmt: skip
        unit.record("sign.proof", f"sign/{sign_id}", after=after)
    return id_


async def remove(change: Change, id_: int) -> None:
    """Take a document away; its file goes within a day. ``NOT_FOUND``."""
    found = await one(change.database, id_, accounts=change.actor.scope.whole)
    if found is None:
        raise Refused("NOT_FOUND")
    async with change.unit(Permission.SIGN_EDIT, found.account_id) as unit:
        await unit.connection.execute(_REMOVE, id_)
        before = {"sign": found.sign, "kind": found.kind, "carrier": found.carrier, "file": found.name}
        unit.record("sign.proof_remove", f"sign/{found.sign_id}", before=before)
