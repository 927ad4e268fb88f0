"""Changes of the block list and the allow list.

Numbers are E.164 digits. Every node takes a change up within a second or so.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from smsgw.core import policy
from smsgw.core.actor import ActorKind
from smsgw.core.blocklist import OPT_OUT, SOURCES, Scope
from smsgw.core.errors import Invalid, Refused
from smsgw.core.numbers import mask
from smsgw.core.permissions import Permission
from smsgw.core.policy import MAX_ALLOWED, Listed
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change, Unit
from smsgw.platform.lists import queries
from smsgw.platform.lists.model import AllowEntry
from smsgw.runtime import clock
from smsgw.store.config import blocklist
from smsgw.store.config.blocklist import NewEntry
from smsgw.store.engine.database import Connection
from smsgw.store.messages import events

CHUNK = 5000
"""Entries that are written at a time: nobody waits for the list's lock for longer than that takes."""

_OPTED_OUT = """
SELECT number FROM block_list
WHERE number = ANY($1::bigint[]) AND account_id = $2 AND type = $3 AND sign = $4 AND source = 'opt_out'
  AND removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())
"""


async def block(
    change: Change,
    numbers: Sequence[str],
    scope: Scope,
    source: str,
    reason: str,
    *,
    expires_at: datetime | None = None,
    tell: bool = False,
) -> int:
    """Block numbers; how many entries were made or changed.

    More than ``CHUNK`` are written in several steps, each for itself; the entry in the audit log comes with the first.
    ``tell`` the scope's account of opt-outs that are new, as it is told of those by reply. Raises ``PARAM_INVALID``.
    """
    _check(scope, source)
    now = clock.now()
    changed = 0
    for start in range(0, max(len(numbers), 1), CHUNK):
        some = list(dict.fromkeys(numbers[start : start + CHUNK]))
        async with change.unit(Permission.BLOCK_EDIT, scope.account_id, timeout=60) as unit:
            if start == 0:
                _record(unit, numbers, scope, source, reason)
            else:
                unit.unchanged()  # its entry came with the first
            if tell and source == OPT_OUT and scope.account_id:
                await _tell(change, unit, some, scope, reason, now)
            entries = [NewEntry(n, scope, source, reason, change.actor.label, now) for n in some]
            changed += await blocklist.put(unit.connection, entries, replace=True, expires_at=expires_at)
    return changed


def _record(unit: Unit, numbers: Sequence[str], scope: Scope, source: str, reason: str) -> None:
    after = {"numbers": len(numbers), "scope": scope._asdict(), "source": source, "reason": reason}
    unit.record("block.add", "block_list", after=after)


async def _tell(change: Change, unit: Unit, numbers: Sequence[str], scope: Scope, reason: str, now: datetime) -> None:
    await blocklist.take_turns(unit.connection)
    rows = await unit.connection.fetch(_OPTED_OUT, [int(n) for n in numbers], *scope)
    known = {str(row["number"]) for row in rows}
    said = {"sign": scope.sign, "content": reason[:50], "at": now.isoformat(timespec="seconds")}
    told = [(scope.account_id, {"number": n} | said) for n in numbers if n not in known]
    await events.record(unit.connection, "optout.created", told, ids=change.ids)


def _check(scope: Scope, source: str) -> None:
    policy.check_type(scope.type)
    if source not in SOURCES:
        raise Invalid("PARAM_INVALID", field="source", reason=phrase("choice.of", known=", ".join(SOURCES)))


_REMOVE = """
UPDATE block_list SET removed_at = now(), version = nextval('block_version')
WHERE number = $1 AND removed_at IS NULL AND ($2::bigint IS NULL OR (account_id = $2 AND type = $3 AND sign = $4))
RETURNING account_id, type, sign, source
"""


async def unblock(change: Change, number: str, scope: Scope | None, *, reason: str) -> int:
    """Take a number off the list: one scope, or (None) all of them; how many entries went. ``STATE_CONFLICT`` for a
    person where that is an opt-out: those are undone with a proof and by a second one (``undoing``)."""
    conditions = (None, None, None) if scope is None else tuple(scope)
    async with change.unit(Permission.BLOCK_EDIT, scope.account_id if scope else EVERYBODY) as unit:
        await blocklist.take_turns(unit.connection)
        rows = await unit.connection.fetch(_REMOVE, int(number), *conditions)
        if unit.actor.kind is ActorKind.PERSON and any(row["source"] == OPT_OUT for row in rows):
            raise Refused("STATE_CONFLICT", reason=phrase("optout.proof"))
        for row in rows:
            unit.record("block.remove", f"block_list/{mask(number)}", before=dict(row), after={"reason": reason})
        if not rows:
            unit.unchanged()
    return len(rows)


_REMOVE_OWN = """
UPDATE block_list SET removed_at = now(), version = nextval('block_version')
WHERE account_id = $1 AND number = ANY($2::bigint[]) AND source = $3 AND removed_at IS NULL
"""


async def unblock_own(change: Change, account_id: int, numbers: Sequence[str], source: str, *, reason: str) -> int:
    """Take an account's own entries of one source off the list; how many went."""
    async with change.unit(Permission.BLOCK_EDIT, account_id, timeout=60) as unit:
        await blocklist.take_turns(unit.connection)
        done = await unit.connection.execute(_REMOVE_OWN, account_id, [int(n) for n in numbers], source)
        gone = int(done.rpartition(" ")[2])
        after = {"account": account_id, "numbers": len(numbers), "entries": gone, "reason": reason}
        unit.record("block.remove", "block_list", after=after)
    return gone


_ALLOW_TURNS = "SELECT pg_advisory_xact_lock(hashtextextended('content', 0))"
_ALLOW = """
INSERT INTO allow_list (number, account_id, kind, note, actor, at)
SELECT n, $2, $3, note, $5, $6 FROM unnest($1::text[], $4::text[]) AS d(n, note)
ON CONFLICT (number, account_id, kind) DO UPDATE SET note = excluded.note, actor = excluded.actor, at = excluded.at
"""
_COUNT_ALLOWED = "SELECT count(*) FROM allow_list"
_DISALLOW = """
DELETE FROM allow_list WHERE number = ANY($1::text[]) AND account_id = $2 AND kind = $3 RETURNING number
"""


async def allow(
    change: Change, numbers: Sequence[str], kind: Listed, *, account_id: int = EVERYBODY, note: str = ""
) -> None:
    """Put numbers on the allow list. ``only`` needs an account. At most ``MAX_ALLOWED`` in all."""
    if kind is Listed.ONLY and not account_id:
        raise Invalid("PARAM_MISSING", field="account")
    async with change.unit(Permission.ALLOW_EDIT, account_id) as unit:
        await take_allow_turn(unit.connection)
        await put_allowed(unit, [(number, note) for number in set(numbers)], kind, account_id)
        if await unit.connection.fetchval(_COUNT_ALLOWED) > MAX_ALLOWED:
            raise Invalid("PARAM_INVALID", field="number", reason=phrase("allow.full", most=MAX_ALLOWED))
        after = {"numbers": len(numbers), "kind": kind.value, "account": account_id, "note": note}
        unit.record("allow.add", "allow_list", after=after)


async def take_allow_turn(connection: Connection) -> int:
    """Let nobody else change the allow list until the transaction ends; how many entries it has."""
    await connection.execute(_ALLOW_TURNS)
    count: int = await connection.fetchval(_COUNT_ALLOWED)
    return count


async def put_allowed(unit: Unit, rows: Sequence[tuple[str, str]], kind: Listed, account_id: int) -> None:
    """Enter numbers with their notes, each once. The caller has the turn, sees to the limit, and records."""
    rows = sorted(rows)
    notes = [note[:200] for _, note in rows]
    await unit.connection.execute(
        _ALLOW, [number for number, _ in rows], account_id, kind.value, notes, unit.actor.label, clock.now()
    )


async def disallow(change: Change, numbers: Sequence[str], kind: Listed, *, account_id: int = EVERYBODY) -> int:
    """Take numbers off the allow list; how many were there."""
    async with change.unit(Permission.ALLOW_EDIT, account_id) as unit:
        gone = await unit.connection.fetch(_DISALLOW, list(numbers), account_id, kind.value)
        if gone:
            before = {"numbers": len(gone), "kind": kind.value, "account": account_id}
            unit.record("allow.remove", "allow_list", before=before)
        else:
            unit.unchanged()
    return len(gone)


async def unmask_allowed(change: Change, *, kind: str = "", limit: int = 100) -> list[AllowEntry]:
    """Entries of the allow list, to be shown with whole numbers: that is entered into the audit log."""
    async with change.unit(Permission.ALLOW_VIEW) as unit:
        unit.actor.require(Permission.MESSAGE_UNMASK)
        seen = change.actor.scope.whole
        found = await queries.newest_allowed(unit.connection, accounts=seen, kind=kind, limit=limit)
        unit.record("numbers.unmask", "allow", after={"numbers": len(found)})
    return found
