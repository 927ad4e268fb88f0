"""Documents that prove something to carriers (证明材料): of signatures, of filed links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smsgw.core.actor import Actor, ActorLabel
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.templates import CARRIERS
from smsgw.core.words import phrase
from smsgw.platform.change import Change
from smsgw.platform.files import proofs, queries
from smsgw.platform.files.model import FileKind, Incoming, StoredFile
from smsgw.platform.files.service import FileStore
from smsgw.store.engine.database import Connection, Database, Row

MOST = 30
"""Of one thing."""


@dataclass(frozen=True, slots=True)
class Document:
    """One of them."""

    id: int
    of_id: int
    """The thing, …"""
    title: str
    """… and what it is called."""
    account_id: int
    """Whose it is; 0: everybody's."""
    kind: str
    carrier: str
    """The carrier that it is meant for; empty: all."""
    file_id: int
    name: str
    size: int
    media_type: str
    added_by: ActorLabel
    added_at: datetime


# {table} has the documents, {key} there names the rows of {things}, which are called by their column {title}.
_HELD = "SELECT DISTINCT file_id AS id FROM {table} WHERE file_id = ANY($1::bigint[])"
_FOUND = """
SELECT p.id, p.{key} AS of_id, x.{title} AS title, x.account_id, p.kind, p.carrier, p.file_id, f.name, f.size,
       f.media_type, p.added_by, p.added_at
FROM {table} p JOIN {things} x ON x.id = p.{key} JOIN file f ON f.id = p.file_id
WHERE ($1::bigint[] IS NULL OR x.account_id = ANY($1)) AND ($2::bigint IS NULL OR p.{key} = $2)
  AND ($3::bigint IS NULL OR p.id = $3) ORDER BY p.id LIMIT $4
"""
_THING = """
SELECT account_id, {title} AS title, {open} AS open, (SELECT count(*) FROM {table} WHERE {key} = $1) AS documents
FROM {things} WHERE id = $1 FOR UPDATE
"""
_ADD = """
INSERT INTO {table} ({key}, kind, carrier, file_id, added_by)
SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM {table} WHERE {key} = $1) < $6 RETURNING id
"""
_REMOVE = "DELETE FROM {table} WHERE id = $1 RETURNING id"


@dataclass(frozen=True)
class Documents:
    """Those of one sort of things."""

    table: str
    things: str
    """Their table."""
    key: str
    title: str
    right: Permission
    """To bring and to remove them."""
    added: str
    """How the audit log calls it, …"""
    removed: str
    """… and that."""
    files: str
    """The sort of their files."""
    open: str = "true"
    """Of a thing that may have more of them."""

    def _sql(self, statement: str) -> str:
        return statement.format(table=self.table, things=self.things, key=self.key, title=self.title, open=self.open)

    def kind(self, database: Database) -> FileKind:
        """The sort of their files."""
        return proofs.kind(database, self.files, self._sql(_HELD))

    async def of(self, database: Database, id_: int, *, accounts: Sequence[int] | None) -> list[Document]:
        """Those of a thing of these accounts (None: all), in their order."""
        rows = await database.fetch(self._sql(_FOUND), _whose(accounts), id_, None, MOST)
        return [_document(row) for row in rows]

    async def one(self, database: Database, id_: int, *, accounts: Sequence[int] | None) -> Document | None:
        """One of them."""
        row = await database.fetchrow(self._sql(_FOUND), _whose(accounts), None, id_, 1)
        return None if row is None else _document(row)

    async def file_of(self, database: Database, id_: int, *, accounts: Sequence[int] | None) -> StoredFile:
        """Its file. ``NOT_FOUND``."""
        found = await self.one(database, id_, accounts=accounts)
        file = None if found is None else await queries.get(database, found.file_id)
        if file is None:
            raise Refused("NOT_FOUND")
        return file

    async def keep(
        self, change: Change, store: FileStore, id_: int, what: StrEnum, carrier: str, incoming: Incoming
    ) -> int:
        """The file has come; the id of the document. ``FILE_INVALID``, ``FILE_TOO_LARGE``, and as ``attach``."""
        try:
            await self._thing(change.database, change.actor, id_, carrier)  # before anything of it is stored
            file = await proofs.keep(store, incoming, change.actor.label)
        finally:
            store.drop(incoming)
        return await self.attach(change, id_, what, carrier, file)

    async def attach(self, change: Change, id_: int, what: StrEnum, carrier: str, file: StoredFile) -> int:
        """Say what a stored file proves; the id of the document. ``NOT_FOUND``; ``STATE_CONFLICT``: there are too
        many, or the thing is stopped."""
        async with change.unit(self.right) as unit:
            row = await self._thing(unit.connection, unit.actor, id_, carrier)
            made: int | None = await unit.connection.fetchval(
                self._sql(_ADD), id_, what.value, carrier, file.id, unit.actor.label, MOST
            )
            if made is None:  # another came at the same moment
                raise _too_many()
            after = {self.title: row["title"], "kind": what.value, "carrier": carrier, "file": file.name,
                     "sha256": file.sha256.hex()}  # fmt: skip
            action = self.added  # it comes to what was there: nothing was otherwise before
            unit.record(action, f"{self.things}/{id_}", after=after)
        return made

    async def _thing(self, asked: Database | Connection, actor: Actor, id_: int, carrier: str) -> Row:
        """What may have one more document for this carrier."""
        if carrier not in ("", *CARRIERS):
            raise Invalid("PARAM_INVALID", field="carrier", reason=phrase("choice.of", known=", ".join(CARRIERS)))
        row = await asked.fetchrow(self._sql(_THING), id_)
        if row is None:
            raise Refused("NOT_FOUND")
        actor.require(self.right, row["account_id"])
        if not row["open"]:
            raise Refused("STATE_CONFLICT", reason=phrase("content.stopped"))
        if row["documents"] >= MOST:
            raise _too_many()
        return row

    async def remove(self, change: Change, id_: int) -> None:
        """Take a document away; its file goes within a day. ``NOT_FOUND``."""
        found = await self.one(change.database, id_, accounts=change.actor.scope.whole)
        if found is None:
            raise Refused("NOT_FOUND")
        async with change.unit(self.right, found.account_id) as unit:
            if await unit.connection.fetchval(self._sql(_REMOVE), id_) is None:  # somebody was faster
                raise Refused("NOT_FOUND")
            before = {self.title: found.title, "kind": found.kind, "carrier": found.carrier, "file": found.name}
            unit.record(self.removed, f"{self.things}/{found.of_id}", before=before)


def _too_many() -> Refused:
    return Refused("STATE_CONFLICT", reason=phrase("sign.proofs", most=MOST))


def _whose(accounts: Sequence[int] | None) -> list[int] | None:
    return None if accounts is None else list(accounts)


def _document(row: Row) -> Document:
    return Document(**{name: row[name] for name in Document.__slots__})
