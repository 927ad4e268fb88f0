"""Node numbers: who makes ids under which, by lease, and what nodes tell each other with each beat.

Ids carry the number of their node, so two nodes must never have the same. A number belongs to a data directory (its
instance, a random id kept there): journal, spool and files of tasks are of that number, too. A node keeps its number
while it is away, so that what it has made meanwhile (the spool) cannot meet ids of another.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

from smsgw.core.ids import COMMANDS, MAX_NODE
from smsgw.runtime import clock
from smsgw.runtime.clock import Word
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.leases import TTL
from smsgw.store.engine.migrate import SCHEMA_VERSION

log = structlog.get_logger(__name__)

KEPT_DAYS = 30
"""A number that was not seen for so long is free for a node that takes any. Longer than any spool."""
FILE = "node.json"
_SIGN_OF_LIFE = 5.0
"""Seconds in which a live node of an earlier version, which tells nothing of itself, has prolonged its lease."""


class NumberTaken(RuntimeError):
    """Another node has the number."""


class IdentityUnreadable(RuntimeError):
    """The file that says which node this data directory is cannot be used."""


@dataclass(slots=True)
class Identity:
    """Which node a data directory is."""

    folder: Path
    instance: str
    number: int
    """The one it had last; 0: none yet."""
    life: str = ""
    """Of the database that it was last of, since its last restore; empty: it was never restored."""

    @property
    def place(self) -> str:
        """Machine and data directory, for people."""
        return f"{socket.gethostname()}:{self.folder.resolve()}"

    def begin(self, life: str) -> None:
        """It is of the database as it is since this restore; kept."""
        self.life = life
        self.save()

    def save(self) -> None:
        """Keep it, synced."""
        path = self.folder / FILE
        draft = path.with_suffix(".tmp")
        with draft.open("w", encoding="ascii") as file:
            json.dump({"instance": self.instance, "number": self.number, "life": self.life}, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)


def identity(folder: Path, *, had: int = 0) -> Identity:
    """That of a data directory, made when it has none; ``had``: the number that its journal is of, if any."""
    path = folder / FILE
    try:
        said = json.loads(path.read_text("ascii"))
        instance, number, life = said["instance"], said["number"], said.get("life", "")
        if not re.fullmatch("[0-9a-f]{32}", instance) or not 0 <= number <= MAX_NODE or not isinstance(life, str):
            raise ValueError("not what it should be")
    except FileNotFoundError:
        new = Identity(folder, secrets.token_hex(16), had)
        new.save()
        return new
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise IdentityUnreadable(
            f"{path} cannot be used ({exc}): put it back from a backup, or remove it and this becomes a node that is "
            "not known yet"
        ) from exc
    return Identity(folder, instance, number, life)


@dataclass(frozen=True, slots=True)
class Number:
    """A node number that is ours."""

    number: int
    epoch: int
    after: int
    """No id of it is known to be above."""


_ALL = """
SELECT COALESCE(n.number, l.node) AS number, n.instance, n.place, n.since, n.last_id,
       COALESCE(n.seen_at, l.expires_at) < clock_timestamp() - make_interval(days => $1) AS forgotten,
       COALESCE(l.expires_at > clock_timestamp(), false) AS live, l.expires_at
FROM node n FULL JOIN (SELECT * FROM lease WHERE resource LIKE 'node/%') l ON l.node = n.number
"""


def choose(rows: Sequence[Row | dict[str, object]], instance: str, *, wanted: int, had: int) -> int:
    """The number for an instance. ``wanted``: what the configuration asserts (0: any), ``had``: the one it had last.

    Raises ``NumberTaken``.
    """
    known = {row["number"]: row for row in rows}

    def others(number: int) -> bool:
        row = known.get(number)
        return row is not None and row["instance"] != instance

    if wanted:
        if others(wanted) and known[wanted]["live"]:
            raise NumberTaken(_taken(wanted, known[wanted]))
        return wanted
    if had and (not others(had) or (known[had]["instance"] is None and not known[had]["live"])):
        return had
    for number, row in known.items():
        if row["instance"] == instance:
            return int(str(number))
    for number in range(COMMANDS + 1, MAX_NODE + 1):
        if number not in known or (known[number]["forgotten"] and not known[number]["live"]):
            return number
    raise NumberTaken(
        f"all node numbers are taken: {MAX_NODE} data directories have had one in the last {KEPT_DAYS} days; give this "
        "node the number of one that will not come back ([node] number)"
    )


def _taken(number: int, row: Row | dict[str, object]) -> str:
    where, since = row["place"], row["since"]
    who = f"{where}, since {since:%Y-%m-%d %H:%M:%S} UTC" if where else "a node of an earlier version"
    return (
        f"node number {number} is taken by {who}, and that node lives: give this one another number ([node] "
        "number, or 0 for any that is free), or stop the other one and start again"
    )


# The leases of whoever had the number before are not ours: they go on until they are over.
_DISOWN = "UPDATE lease SET node = -1 WHERE node = $1 AND resource NOT LIKE 'node/%'"

_TAKE_LEASE = """
INSERT INTO lease (resource, node, epoch, expires_at)
VALUES ('node/' || $1::int, $1, nextval('lease_epoch'), clock_timestamp() + $2 * interval '1 second')
ON CONFLICT (resource) DO UPDATE SET epoch = excluded.epoch, expires_at = excluded.expires_at
RETURNING epoch
"""
_TAKE = """
INSERT INTO node AS n (number, instance, place, since, seen_at, last_id, schema, schema_epoch, serves_links)
VALUES ($1, $2, $3, clock_timestamp(), clock_timestamp(), $4, $5, $6, $7)
ON CONFLICT (number) DO UPDATE SET place = excluded.place, seen_at = excluded.seen_at, instance = excluded.instance,
    schema = excluded.schema, schema_epoch = excluded.schema_epoch, serves_links = excluded.serves_links,
    since = CASE WHEN n.instance = excluded.instance THEN n.since ELSE excluded.since END, removed_at = NULL
RETURNING last_id
"""
_NEWEST = "SELECT COALESCE(max(id), 0) FROM message"


async def take(database: Database, who: Identity, wanted: int, *, serves_links: bool = False) -> Number:
    """Take a node number: the one that is ``wanted``, or the one it had last, or the lowest that is free.
    ``serves_links``: whether citizens can open short links at this node.

    Raises ``NumberTaken``.
    """
    silent: dict[int, datetime] = {}
    deadline = clock.steady() + _SIGN_OF_LIFE
    while True:
        async with database.transaction(timeout=30) as connection:
            await connection.execute("LOCK TABLE node IN SHARE ROW EXCLUSIVE MODE")
            rows: list[dict[str, object]] = [dict(row) for row in await connection.fetch(_ALL, KEPT_DAYS)]
            for row in rows:
                if row["instance"] is None and row["live"]:  # an earlier version's: it lives if it beats
                    number, expires = int(str(row["number"])), row["expires_at"]
                    beaten = silent.setdefault(number, expires) != expires  # type: ignore[arg-type]
                    row["live"] = beaten or clock.steady() < deadline
            mine = wanted or who.number
            unsure = any(
                r["number"] == mine and r["instance"] is None and r["live"] and clock.steady() < deadline for r in rows
            )
            if not unsure:
                number = choose(rows, who.instance, wanted=wanted, had=who.number)
                return await _enter(connection, who, number, rows, serves_links=serves_links)
        await asyncio.sleep(0.5)


async def _enter(
    connection: Connection, who: Identity, number: int, rows: Sequence[dict[str, object]], *, serves_links: bool
) -> Number:
    before = next((row for row in rows if row["number"] == number), None)
    if before is not None and before["instance"] not in (None, who.instance):
        log.warning("node.number_taken_over", number=number, before=before["place"], since=str(before["since"]))
        await connection.execute(_DISOWN, number)
    last = 0 if before is not None and before["instance"] else await connection.fetchval(_NEWEST)
    epoch = await connection.fetchval(_TAKE_LEASE, number, TTL)
    after = await connection.fetchval(_TAKE, number, who.instance, who.place, last, SCHEMA_VERSION, epoch, serves_links)
    if who.number != number:
        who.number = number
        await asyncio.to_thread(who.save)
    return Number(number, epoch, after)


_BEAT = """
WITH mine AS (
    UPDATE lease SET expires_at = clock_timestamp() + $3 * interval '1 second'
    WHERE resource = 'node/' || $1::int AND epoch = $2 RETURNING 1
),
told AS (
    UPDATE node SET seen_at = clock_timestamp(), last_id = greatest(last_id, $4), removed_at = NULL
    WHERE number = $1 AND EXISTS (SELECT 1 FROM mine)
)
SELECT clock_timestamp() AS at, EXISTS (SELECT 1 FROM mine) AS held,
       (SELECT 1 + count(*) FROM lease WHERE resource LIKE 'node/%' AND node <> $1 AND expires_at > clock_timestamp())
           AS live,
       (SELECT max(last_id) FROM node) AS newest,
       (SELECT place FROM node WHERE number = $1) AS place
"""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a node hears with its beat."""

    word: Word
    live: int
    """Nodes that live, this one among them."""
    newest: int
    """The highest id that a node has told of."""


async def beat(database: Database, number: Number, last_id: int) -> Heard:
    """Say that the node lives and which id it made last. Raises ``NumberTaken`` when the number is another's by now."""
    asked = clock.steady()
    row = await database.fetchrow(_BEAT, number.number, number.epoch, TTL, last_id, timeout=2)
    assert row is not None  # noqa: S101 - one row, whatever there is
    if not row["held"]:
        raise NumberTaken(
            f"node number {number.number} was taken by {row['place']} while this node did not answer, or the "
            "database was restored from a backup"
        )
    return Heard(Word(row["at"], asked, clock.steady()), row["live"], row["newest"] or 0)


_LEAVE = """
WITH mine AS (
    UPDATE lease SET expires_at = clock_timestamp() WHERE resource = 'node/' || $1::int AND epoch = $2 RETURNING 1
)
UPDATE node SET seen_at = clock_timestamp(), last_id = greatest(last_id, $3)
WHERE number = $1 AND EXISTS (SELECT 1 FROM mine)
"""


async def leave(database: Database, number: Number, last_id: int) -> None:
    """The node stops: others need not wait for its lease to end. The number stays with its data directory."""
    await database.execute(_LEAVE, number.number, number.epoch, last_id, timeout=2)


_RETIRE = "UPDATE node SET removed_at = clock_timestamp() WHERE number = $1 AND instance = $2 AND removed_at IS NULL"


async def retire(database: Database, who: Identity) -> None:
    """It has ended in order and is not wanted any more: nobody misses it, until it is back."""
    await database.execute(_RETIRE, who.number, who.instance)


async def ask_time(database: Database) -> Word:
    """What time the database has."""
    asked = clock.steady()
    at: datetime = await database.fetchval("SELECT clock_timestamp()")
    return Word(at.astimezone(UTC), asked, clock.steady())


_MISSING = """
SELECT n.number, n.place, n.seen_at FROM node n LEFT JOIN lease l ON l.resource = 'node/' || n.number
WHERE n.removed_at IS NULL AND n.seen_at > clock_timestamp() - make_interval(days => $1)
  AND COALESCE(l.expires_at, '-infinity') < clock_timestamp() ORDER BY n.number
"""


@dataclass(frozen=True, slots=True)
class Missing:
    """A node that was there and is not, and nobody has said that it will not come back."""

    number: int
    place: str
    seen_at: datetime


async def missing(database: Database) -> list[Missing]:
    """Those of the last days."""
    return [Missing(**dict(row)) for row in await database.fetch(_MISSING, KEPT_DAYS)]
