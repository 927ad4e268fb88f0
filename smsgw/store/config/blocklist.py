"""The block list in the database, and how a node follows it (``followed``): writers take turns on an advisory lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.actor import ActorLabel
from smsgw.core.blocklist import OPT_OUT, Entry, Scope
from smsgw.core.model import MessageType
from smsgw.core.words import phrase
from smsgw.store.config.followed import Followed
from smsgw.store.engine.database import Connection, Row

LOCK = 0x626C6F636B  # "block"
TOMBSTONES_KEPT_DAYS = 7

_TAKE_TURNS = "SELECT pg_advisory_xact_lock($1)"

# By hand an entry is replaced, and by an opt-out what would end before it or could be ended without a proof. An opt-out
# that holds stays one: or whoever blocks its number for a day could lift it.
_PUT = """
INSERT INTO block_list AS b (number, account_id, type, sign, source, reason, actor, since, expires_at)
SELECT d.*, $8::timestamptz
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $9::timestamptz[])
     AS d(number, account_id, type, sign, source, reason, actor, since)
ON CONFLICT (number, account_id, type, sign) DO UPDATE
SET source = excluded.source, reason = excluded.reason, actor = excluded.actor, since = excluded.since,
    expires_at = excluded.expires_at, removed_at = NULL, version = nextval('block_version')
WHERE b.removed_at IS NOT NULL OR b.expires_at <= excluded.since
   OR excluded.source = 'opt_out'
      AND (b.source <> 'opt_out' OR b.expires_at < COALESCE(excluded.expires_at, 'infinity'))
   OR $10::boolean AND (b.source <> 'opt_out' OR excluded.source = 'opt_out')
"""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry to be made."""

    number: str
    scope: Scope
    source: str
    reason: str
    actor: ActorLabel
    since: datetime


async def take_turns(connection: Connection) -> None:
    """Wait until nobody else changes the list, and let nobody else until the caller's transaction ends."""
    await connection.execute(_TAKE_TURNS, LOCK)


async def put(
    connection: Connection, entries: Sequence[NewEntry], *, replace: bool, expires_at: datetime | None = None
) -> int:
    """Add entries inside the caller's transaction; how many were new or changed.

    With ``replace`` entries of the same number and scope are overwritten, else what holds is kept; an opt-out always
    takes the place of what is none.
    """
    if not entries:
        return 0
    unique = {(e.number, e.scope): e for e in entries}
    ordered = [unique[key] for key in sorted(unique)]
    await take_turns(connection)
    done = await connection.execute(
        _PUT,
        [int(e.number) for e in ordered],
        [e.scope.account_id for e in ordered],
        [e.scope.type for e in ordered],
        [e.scope.sign for e in ordered],
        [e.source for e in ordered],
        [e.reason[:500] for e in ordered],
        [e.actor for e in ordered],
        expires_at,
        [e.since for e in ordered],
        replace,
    )
    return int(done.rpartition(" ")[2])


# --- following -------------------------------------------------------------------------------------------------------

_LIVE = "removed_at IS NULL AND (expires_at IS NULL OR expires_at > now())"

_ROW = """
number, account_id, type, sign, source, floor(extract(epoch FROM since))::float8 AS since,
round(COALESCE(extract(epoch FROM expires_at), 0))::float8 AS until, removed_at IS NOT NULL AS removed, version
"""
_NEWEST = "SELECT COALESCE(max(version), 0) FROM block_list"
_ALL = f"""
SELECT {_ROW} FROM block_list WHERE {_LIVE} ORDER BY number
"""  # noqa: S608
_CHANGES = f"SELECT {_ROW} FROM block_list WHERE version > $1 ORDER BY version LIMIT $2"  # noqa: S608


def _entry(row: Row, scopes: dict[tuple[int, str, str], Scope]) -> Entry:
    key = (row["account_id"], row["type"], row["sign"])
    scope = scopes.setdefault(key, Scope(*key))
    if row["removed"]:
        return Entry(row["number"], scope, row["source"], 0, removed=True)
    return Entry(row["number"], scope, row["source"], int(row["since"]), int(row["until"]))


def _unreadable(row: Row) -> Entry:
    return Entry.unreadable(row["number"], Scope(row["account_id"], row["type"], row["sign"]))


_LIST = Followed("block_list", _NEWEST, _ALL, _CHANGES, _entry, _unreadable)
load, changes = _LIST.load, _LIST.changes

_SWEEP = "DELETE FROM block_list WHERE removed_at < now() - make_interval(days => $1)"


async def sweep(connection: Connection) -> None:
    """Forget removals that every node has seen long ago."""
    await connection.execute(_SWEEP, TOMBSTONES_KEPT_DAYS)


def opt_out(number: str, account_id: int | None, sign: str, words: str, at: datetime) -> NewEntry | None:
    """The entry that a reply makes: no more marketing of this account and signature; when it answers nothing we
    know, no more marketing at all. None when the sender is not a telephone number."""
    if not (number.isascii() and number.isdigit() and 7 <= len(number) <= 15):
        return None
    scope = Scope(account_id or 0, MessageType.MARKETING.value, sign)
    return NewEntry(number, scope, OPT_OUT, str(phrase("optout.note", words=words[:50])), ActorLabel("mo"), at)
