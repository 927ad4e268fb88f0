"""Undoing opt-outs: asked for with a file that proves that the owner of the number wants it, decided by somebody else.

An opt-out is the word of a person who is not here. Nobody takes it back alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from smsgw.core.actor import ActorLabel
from smsgw.core.blocklist import OPT_OUT
from smsgw.core.errors import Invalid, Refused
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change
from smsgw.platform.files import proofs, queries as files
from smsgw.platform.files.model import FileKind, Incoming, StoredFile
from smsgw.platform.files.service import FileStore
from smsgw.platform.lists import queries
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.config import blocklist
from smsgw.store.engine.database import Connection, Database, Row

LEAST_REASON, MOST_REASON = 2, 200


class UndoState(StrEnum):
    """How far a wish is. The last two are ends."""

    WAITING = "waiting"
    PASSED = "passed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Undo:
    """A wish to undo an opt-out; ``number`` in E.164 digits. ``account`` None: the opt-out is from everybody."""

    id: int
    number: str
    account_id: int
    account: str | None
    type: str
    sign: str
    entry: int
    opted_out_at: datetime
    reason: str
    proof_file: int
    state: str
    answer: str
    asked_by: ActorLabel
    asked_at: datetime
    decided_by: ActorLabel
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class WantedUndos:
    """Which are looked for; empty and None: all."""

    number: str = ""
    state: str = ""
    account_id: int | None = None


_ORDERS = {"at": Order("u.id", "bigint")}
_FROM = """
FROM optout_undo u LEFT JOIN account a ON a.id = u.account_id
WHERE ($1::bigint[] IS NULL OR u.account_id = ANY($1)) AND ($2::bigint IS NULL OR u.id = $2)
  AND ($3::bigint IS NULL OR u.number = $3) AND ($4 = '' OR u.state = $4) AND ($5::bigint IS NULL OR u.account_id = $5)
"""
_SEARCH = f"""
SELECT {{key}} AS _key, u.id, u.number::text, u.account_id, a.name AS account, u.type, u.sign, u.entry, u.opted_out_at,
       u.reason, u.proof_file, u.state, u.answer, u.asked_by, u.asked_at, u.decided_by, u.decided_at
{_FROM} AND {{where}} ORDER BY {{order}}
"""
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FROM} LIMIT $6) f"  # noqa: S608


def _asked(accounts: Sequence[int] | None, wanted: WantedUndos, id_: int | None = None) -> tuple[object, ...]:
    whose = None if accounts is None else list(accounts)
    return whose, id_, int(wanted.number) if wanted.number else None, wanted.state, wanted.account_id


def _undo(row: Row) -> Undo:
    return Undo(*list(row.values())[1:])


async def search(
    database: Database | Connection, wanted: WantedUndos, window: Window, *, accounts: Sequence[int] | None,
    id_: int | None = None,
) -> Slice[Undo]:  # fmt: skip
    """Wishes about opt-outs from these accounts (None: all, and everybody's)."""
    return await read(database, _SEARCH, _asked(accounts, wanted, id_), _ORDERS, window, _undo, id_="u.id")


async def how_many(database: Database, wanted: WantedUndos, most: int, *, accounts: Sequence[int] | None) -> int:
    """How many there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY, *_asked(accounts, wanted), most + 1)
    return count


async def one(database: Database | Connection, id_: int, *, accounts: Sequence[int] | None) -> Undo | None:
    """One of them."""
    found = await search(database, WantedUndos(), Window(limit=1), accounts=accounts, id_=id_)
    return found.rows[0] if found.rows else None


_HELD = "SELECT DISTINCT proof_file AS id FROM optout_undo WHERE proof_file = ANY($1::bigint[])"


def kind(database: Database) -> FileKind:
    """The sort of the files that prove it: they are kept for ever."""
    return proofs.kind(database, "optout_proof", _HELD)


async def proof_of(database: Database, id_: int, *, accounts: Sequence[int] | None) -> StoredFile:
    """The file that proves one. ``NOT_FOUND``."""
    found = await one(database, id_, accounts=accounts)
    file = None if found is None else await files.get(database, found.proof_file)
    if file is None:
        raise Refused("NOT_FOUND")
    return file


async def keep(change: Change, store: FileStore, entry: int, reason: str, incoming: Incoming) -> int:
    """The file has come, with the wish that it proves; the wish. ``FILE_INVALID``, ``FILE_TOO_LARGE``, as ``ask``."""
    reason = _reason(reason)  # before a file is stored for nothing
    file = await proofs.keep(store, incoming, change.actor.label)
    return await ask(change, entry, reason, file)


_ADD = """
INSERT INTO optout_undo (number, account_id, type, sign, entry, opted_out_at, reason, proof_file, asked_by)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (number, account_id, type, sign) WHERE state = 'waiting' DO NOTHING RETURNING id
"""


def _reason(reason: str) -> str:
    reason = " ".join(reason.split())
    if not LEAST_REASON <= len(reason) <= MOST_REASON or not reason.isprintable():
        said = phrase("text.between", low=LEAST_REASON, high=MOST_REASON)
        raise Invalid("PARAM_INVALID", field="reason", reason=said)
    return reason


async def ask(change: Change, entry: int, reason: str, proof: StoredFile) -> int:
    """Ask that an opt-out (its version) is undone, by a stored file that proves it; the wish. ``NOT_FOUND`` for what is
    no opt-out that holds, or another's; ``STATE_CONFLICT`` while one waits."""
    reason = _reason(reason)
    async with change.unit(Permission.BLOCK_EDIT) as unit:
        found = await queries.one(unit.connection, entry, accounts=unit.actor.scope.whole)
        if found is None or found.source != OPT_OUT:
            raise Refused("NOT_FOUND")
        unit.actor.require(Permission.BLOCK_EDIT, found.account_id)
        id_: int | None = await unit.connection.fetchval(
            _ADD, int(found.number), *found.scope, entry, found.since, reason, proof.id, unit.actor.label
        )
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("optout.waiting"))
        after = {"number": mask(found.number), "scope": found.scope._asdict(), "reason": reason, "file": proof.name,
                 "sha256": proof.sha256.hex()}  # fmt: skip
        unit.record("undo.ask", f"undo/{id_}", after=after)
    return id_


_LOCK = "SELECT FROM optout_undo WHERE id = $1 FOR UPDATE"
_DECIDE = "UPDATE optout_undo SET state = $2, answer = $3, decided_by = $4, decided_at = now() WHERE id = $1"
_REMOVE = """
UPDATE block_list SET removed_at = now(), version = nextval('block_version')
WHERE number = $1 AND version = $2 AND source = 'opt_out' AND removed_at IS NULL
RETURNING account_id, type, sign, source
"""


async def decide(change: Change, id_: int, *, passes: bool, answer: str) -> None:
    """Somebody else's word. When it passes, the opt-out goes; one that has come anew since then, or is gone, was not
    what was looked at: ``STATE_CONFLICT``, as for one's own and for what was decided. ``NOT_FOUND``."""
    answer = _reason(answer)
    async with change.unit(Permission.BLOCK_EDIT) as unit:
        await unit.connection.execute(_LOCK, id_)
        found = await one(unit.connection, id_, accounts=unit.actor.scope.whole)
        if found is None:
            raise Refused("NOT_FOUND")
        unit.actor.require(Permission.BLOCK_EDIT, found.account_id)
        if found.asked_by == unit.actor.label:
            raise Refused("STATE_CONFLICT", reason=phrase("optout.own"))
        if found.state != UndoState.WAITING:
            raise Refused("STATE_CONFLICT", reason=phrase("review.over"))
        state = UndoState.PASSED if passes else UndoState.REJECTED
        if passes:
            await blocklist.take_turns(unit.connection)
            row = await unit.connection.fetchrow(_REMOVE, int(found.number), found.entry)
            if row is None:
                raise Refused("STATE_CONFLICT", reason=phrase("optout.changed"))
            after = {"reason": answer, "undo": id_}
            unit.record("block.remove", f"block_list/{mask(found.number)}", before=dict(row), after=after)
        await unit.connection.execute(_DECIDE, id_, state.value, answer, unit.actor.label)
        unit.record(
            "undo.decide", f"undo/{id_}", before={"state": found.state}, after={"state": state.value, "reason": answer}
        )
