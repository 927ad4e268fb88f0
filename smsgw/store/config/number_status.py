"""What is known of numbers, in the database, and how a node follows it.

Writers take turns on an advisory lock until they commit, as those of the block list do: versions become visible in
their order. What is newer (``at``) counts; an older word never replaces a newer one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from smsgw.core.blocklist import BlockList, Entry, Scope
from smsgw.core.number_state import IMPORT, OF_CLASS, REPORT, NumberState
from smsgw.store.config.followed import Followed
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.states import by_name

LOCK = 0x6E756D737461  # "numsta"
MAX_KNOWN = 2_000_000
"""Numbers that are remembered; beyond it the oldest are forgotten."""
KEPT = (NumberState.EMPTY, NumberState.SUSPENDED)
"""What nodes hold in memory: 20 octets a number."""
TOMBSTONES_KEPT_DAYS = 7
_EVERYWHERE = Scope()

_TAKE_TURNS = "SELECT pg_advisory_xact_lock($1)"
_PUT = """
INSERT INTO number_status AS s (number, state, source, code, at)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
ON CONFLICT (number) DO UPDATE
SET state = excluded.state, source = excluded.source, code = excluded.code, at = excluded.at, removed_at = NULL,
    version = nextval('number_status_version')
WHERE s.at <= excluded.at
"""


async def take_turns(connection: Connection) -> None:
    """Wait until nobody else writes, and let nobody else until the caller's transaction ends."""
    await connection.execute(_TAKE_TURNS, LOCK)


async def put(connection: Connection, states: Mapping[str, NumberState], at: datetime, *, code: str = "") -> int:
    """Enter what a provider has told (E.164 digits -> state), inside the caller's transaction; how many entries have
    changed. ``code``: how it came to be known."""
    some = sorted(states)
    await take_turns(connection)
    done = await connection.execute(
        _PUT, [int(n) for n in some], [states[n] for n in some], [IMPORT] * len(some), [code] * len(some),
        [at] * len(some),
    )  # fmt: skip
    return int(done.rpartition(" ")[2])


# By part, and again from the database: whoever asks for it may have been told of a transaction that was undone. A
# number may have several parts and messages: the newest counts. Our own refusals teach nothing.
_LEARN = by_name("""
SELECT DISTINCT ON (m.number) m.number::bigint AS number, p.class, p.code, p.final_at
FROM part p JOIN message m ON m.id = p.id AND m.id >= $2
WHERE p.id = ANY($1::bigint[]) AND p.id >= $2 AND p.class = ANY($3::text[]) AND p.state IN (:UNDELIVERABLE, :REJECTED)
    AND NOT p.by_us
  AND p.final_at IS NOT NULL AND NOT m.test AND m.number ~ '^[0-9]{7,15}$'
ORDER BY m.number, p.final_at DESC
""")
_UNLEARN = """
UPDATE number_status s SET state = 'live', source = 'report', code = '', at = d.at,
    version = nextval('number_status_version')
FROM unnest($1::bigint[], $2::timestamptz[]) AS d(number, at)
WHERE s.number = d.number AND s.at < d.at AND s.state <> 'live' AND s.removed_at IS NULL
"""


async def learn(connection: Connection, ids: Sequence[int], delivered: Mapping[int, datetime]) -> int:
    """What final parts of these messages tell of their numbers, and which numbers a report has reached since; how many
    entries have changed."""
    rows = await connection.fetch(_LEARN, list(ids), min(ids), list(OF_CLASS)) if ids else []
    await take_turns(connection)
    changed = 0
    if rows:
        done = await connection.execute(
            _PUT, [r["number"] for r in rows], [OF_CLASS[r["class"]] for r in rows], [REPORT] * len(rows),
            [r["code"] for r in rows], [r["final_at"] for r in rows],
        )  # fmt: skip
        changed += int(done.rpartition(" ")[2])
    if delivered:
        done = await connection.execute(_UNLEARN, list(delivered), list(delivered.values()))
        changed += int(done.rpartition(" ")[2])
    return changed


# --- following -------------------------------------------------------------------------------------------------------

_NEWEST = "SELECT COALESCE(max(version), 0) FROM number_status"
_ROW = """
number, state, round(extract(epoch FROM at))::float8 AS since,
round(extract(epoch FROM at + make_interval(days => {days})))::float8 AS until, removed_at IS NOT NULL AS removed,
version
"""
_ALL = f"""
SELECT {_ROW.format(days="$1")} FROM number_status
WHERE removed_at IS NULL AND state = ANY($2::text[]) AND at > now() - make_interval(days => $1)
  AND version > COALESCE((SELECT version FROM number_status ORDER BY version DESC OFFSET $3 LIMIT 1), 0)
ORDER BY number
"""  # noqa: S608 - a constant
_CHANGES = f"""
SELECT {_ROW.format(days="$3")} FROM number_status WHERE version > $1 ORDER BY version LIMIT $2
"""  # noqa: S608


def _entry(row: Row, _: object) -> Entry:
    if row["removed"] or row["state"] not in KEPT:
        return Entry(row["number"], _EVERYWHERE, row["state"], 0, removed=True)
    return Entry(row["number"], _EVERYWHERE, row["state"], int(row["since"]), int(row["until"]))


def _unreadable(row: Row) -> Entry:
    return Entry(row["number"], _EVERYWHERE, row["state"], 0, removed=True)  # as of a number that nothing is known of


_KNOWN = Followed("number_status", _NEWEST, _ALL, _CHANGES, _entry, _unreadable)


async def load(database: Database, days: int) -> tuple[BlockList, int]:
    """The numbers that are ``KEPT``, each for so many days from when it was so; and the version of this."""
    return await _KNOWN.load(database, days, list(KEPT), MAX_KNOWN)


def changes(database: Database, version: int, days: int) -> AsyncIterator[tuple[list[Entry], int]]:
    """Pages of what has changed after ``version``, each with the version that it leads to."""
    return _KNOWN.changes(database, version, days)


_SWEEP = """
DELETE FROM number_status
WHERE removed_at < now() - make_interval(days => $2) OR at < now() - make_interval(days => $1)
"""
_OVERFULL = """
DELETE FROM number_status
WHERE version <= (SELECT version FROM number_status ORDER BY version DESC OFFSET $1 LIMIT 1)
"""


async def sweep(connection: Connection, days: int, most: int = MAX_KNOWN) -> None:
    """Forget what is too old to count, removals that every node has seen, and what there is no room for."""
    await connection.execute(_SWEEP, days, TOMBSTONES_KEPT_DAYS)
    await connection.execute(_OVERFULL, most)
