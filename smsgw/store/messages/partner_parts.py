"""Submits of partners that are no messages of their own: parts that wait for their siblings, refused destinations.

A part has an id that its sender was given; its row goes over into the message that it becomes part of, in that
message's accept transaction. What never becomes part of one is refused: a report under the part's own id says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol
from zlib import crc32

from smsgw.core.ids import first_id
from smsgw.core.webhooks import REPORT
from smsgw.store.engine.cte_batch import enter
from smsgw.store.engine.database import Connection, Database, Row

Ids = Callable[[], int]
CLOCK_SKEW = timedelta(minutes=1)
"""Between the clocks of nodes."""

PATIENCE = timedelta(minutes=10)
"""Parts wait this long for their siblings."""
REPEATED_WITHIN = timedelta(seconds=60)
"""The same part of a message that is whole already is, within this time, the same submit: its sender had not got the
answer. Later it is another message under the same reference."""

MAX_FILLING = 100
"""Messages under one key that wait for parts; the oldest of more give way."""

WITHDRAWN = 0
"""As ``message_id``: refused for now."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part as it came. Fields as in the table."""

    id: int
    account_id: int
    partner_id: int
    key: str
    total: int
    part: int
    number: str
    octets: bytes
    coding: str
    extend_code: str
    reply: str
    urgent: bool
    send_at: datetime | None
    expire_at: datetime | None
    received_at: datetime
    decided: bool = False
    """It has been waited for others: one that is like a part of a message that is whole is that part."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A part is stored. ``id`` is another one's when it had come before; 0: that is not decided, nothing is stored."""

    id: int
    whole: tuple[int, ...] = ()
    """The ids of all parts of its message, once they are there and until they are joined."""


UNDECIDED = Kept(0)


@dataclass(slots=True)
class _Known:
    """What is stored of a part."""

    id: int
    octets: bytes
    at: datetime
    """When it came last."""
    withdrawn: bool = False


@dataclass(slots=True)
class _Set:
    """Parts that make a message, or will."""

    id: int
    total: int
    joined: bool = False
    parts: dict[int, _Known] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Nothing can be added to it."""
        return self.joined or len(self.parts) == self.total

    @property
    def incomplete(self) -> bool:
        """It was whole, and waits for a part that was refused for now."""
        return any(known.withdrawn for known in self.parts.values())

    def has(self, part: Part) -> _Known | None:
        """The same part, when it came before."""
        mine = self.parts.get(part.part)
        return mine if mine is not None and mine.octets == part.octets else None

    def kept(self, part: Part) -> Kept:
        """What the sender of one of its parts is told."""
        ready = self.whole and not self.joined and not self.incomplete
        return Kept(self.parts[part.part].id, tuple(p.id for p in self.parts.values()) if ready else ())


_TYPES = {
    "id": "bigint", "account_id": "bigint", "partner_id": "int", "key": "text", "total": "smallint",
    "part": "smallint", "number": "text", "octets": "bytea", "coding": "text", "extend_code": "text", "reply": "text",
    "urgent": "boolean", "send_at": "timestamptz", "expire_at": "timestamptz", "received_at": "timestamptz",
}  # fmt: skip

_EVENT_TYPES = {
    "id": "bigint", "account_id": "bigint", "kind": "text", "message_id": "bigint", "status": "text", "code": "text",
    "done_at": "timestamptz", "way": "text",
}  # fmt: skip

_TURN = "SELECT pg_advisory_xact_lock($1, turn) FROM unnest($2::int[]) AS turn"
_TURNS = 64
"""Nodes keep parts of one key one after the other; keys share so many locks."""
_LOCKS = 0x70617274
_KNOWN = """
SELECT p.id, p.account_id, p.key, p.total, p.part, p.octets, p.set_id, p.message_id, p.received_at
FROM unnest($1::bigint[], $2::text[]) AS k(account_id, key)
JOIN partner_part p ON p.account_id = k.account_id AND p.key = k.key AND p.received_at > $3 AND p.id >= $4
WHERE coalesce(p.message_id, 0) = 0 OR p.message_id <> p.id AND p.received_at >= $5
ORDER BY p.id FOR UPDATE OF p
"""
_SEEN = """
UPDATE partner_part p SET received_at = s.at FROM unnest($1::bigint[], $2::timestamptz[]) AS s(id, at) WHERE p.id = s.id
"""


class Answers(Protocol):
    """What is known of the answers to the submits of parts."""

    def line_of(self, id_: int) -> int:
        """The connection that a part came by; 0: not known."""

    def open(self, id_: int, at: datetime) -> bool:
        """Whether a part like this one, received then, may be the same submit: its sender may not have read its
        answer."""


async def keep(
    connection: Connection, parts: Sequence[Part], ids: Ids, *, now: datetime, answers: Answers
) -> tuple[list[Kept], set[int]]:
    """Store parts; one result each, and the accounts with new events.

    A part that came before, and whose sender may not have read the answer, is not stored again. Any other belongs to
    the message that waits for it, or begins one: also while others under the same reference are being filled. Those
    that have waited in vain give way after a while, and are refused. A set that is whole is a message, whatever comes
    after it; whether a part like one of its own comes again or is the end of another message is decided when others
    have had the time to come. One that was refused for now is stored anew when it comes again: nobody was told its id.
    """
    keys = sorted({(p.account_id, p.key) for p in parts})
    turns = sorted({crc32(f"{account_id}|{key}".encode()) % _TURNS for account_id, key in keys})
    await connection.execute(_TURN, _LOCKS, turns)
    since = now - PATIENCE
    rows = await connection.fetch(
        _KNOWN, [k[0] for k in keys], [k[1] for k in keys], since, first_id(since - CLOCK_SKEW), now - REPEATED_WITHIN
    )
    heaps: dict[tuple[int, str], _Heap] = {key: _Heap(answers) for key in keys}
    for row in rows:
        heaps[row["account_id"], row["key"]].enter(row)
    results: list[Kept] = []
    for part in parts:
        heap = heaps[part.account_id, part.key]
        results.append(heap.keep(part))
    replaced = [id_ for heap in heaps.values() for id_ in heap.replaced]
    if replaced:
        await connection.execute(_FORGET, replaced)
    fresh = [one for heap in heaps.values() for one in heap.fresh]
    entered = [(*(getattr(p, name) for name in _TYPES), set_id) for p, set_id in fresh]
    await enter(connection, "partner_part", _TYPES | {"set_id": "bigint"}, entered)
    seen = {id_: at for heap in heaps.values() for id_, at in heap.seen.items()}
    if seen:
        await connection.execute(_SEEN, list(seen), list(seen.values()))
    abandoned = [id_ for heap in heaps.values() for id_ in heap.abandoned]
    told = await refuse(connection, abandoned, ids, code="REF_REUSED") if abandoned else set()
    return results, told


class _Heap:
    """What has come under one key: sets that are being filled, and those that are whole."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._sets: dict[int, _Set] = {}
        """In the order in which they began."""
        self.abandoned: list[int] = []
        """Parts whose set gives way to another."""
        self.fresh: list[tuple[Part, int]] = []
        """Parts to store, with their sets."""
        self.replaced: list[int] = []
        """Parts that had been refused for now, and came again."""
        self.seen: dict[int, datetime] = {}
        """Parts of messages that came again while another waited for its parts, and when."""

    def enter(self, row: Row) -> None:
        """What is stored."""
        joined = bool(row["message_id"])
        # Those without a set are of before there were any: together under their key, then by their message.
        id_ = row["set_id"] or row["message_id"] or 0
        known = self._sets.setdefault(id_, _Set(id_, row["total"]))
        known.joined = known.joined or joined
        known.parts[row["part"]] = _Known(
            row["id"], row["octets"], row["received_at"], withdrawn=row["message_id"] == WITHDRAWN
        )

    def keep(self, part: Part) -> Kept:
        """Find its place."""
        return self._held(part) or self._put(part).kept(part)

    def _held(self, part: Part) -> Kept | None:
        """It came again, or that is not decided; None: it is another one."""
        waiting = self._waiting_for(part)
        filling = any(not one.whole for one in self._sets.values())
        alike = [one for one in self._sets.values() if one.has(part) is not None]
        if (own := next((one for one in alike if one.parts[part.part].id == part.id), None)) is not None:
            return own.kept(part)
        for one in sorted(alike, key=lambda one: (one.whole, -one.id)):
            known = one.parts[part.part]
            if not (one.incomplete or self._answers.open(known.id, part.received_at)):
                continue
            if one.whole and self._wanted(part, waiting, one):
                continue
            if known.withdrawn:
                self._replace(one, known, part)
            elif one.whole and filling:
                known.at = self.seen[known.id] = part.received_at
            return one.kept(part) if part.decided or one.incomplete or not one.whole else UNDECIDED
        return None

    @staticmethod
    def _wanted(part: Part, waiting: _Set | None, message: _Set) -> bool:
        """Whether a part that is like one of a message is the one that another message waits for: texts may end
        alike. It is not when the message is coming again, part by part, or has yet to get it."""
        if waiting is None or message.parts[part.part].withdrawn:
            return False
        began = min(known.at for known in waiting.parts.values())
        return all(known.at <= began for known in message.parts.values())

    def _put(self, part: Part) -> _Set:
        """The set that a new part belongs to."""
        if (waiting := self._waiting_for(part)) is None:
            filling = [one for one in self._sets.values() if not one.whole]
            since = part.received_at - REPEATED_WITHIN
            for number, one in enumerate(reversed(filling), 1):
                if number >= MAX_FILLING or max(known.at for known in one.parts.values()) < since:
                    self.abandoned += [known.id for known in one.parts.values()]
                    del self._sets[one.id]
            waiting = self._sets[part.id] = _Set(part.id, part.total)
        self._enter_new(waiting, part)
        return waiting

    def _waiting_for(self, part: Part) -> _Set | None:
        """The set that lacks this part. A connection sends one message after the other: it is the last that it has a
        part of. Of those of other connections it is the oldest, and then one that this connection has left behind."""
        line = self._answers.line_of(part.id)
        lacking = [one for one in self._sets.values() if not one.whole and part.part not in one.parts]
        if not lacking:
            return None
        begun: dict[int, int] = {}
        """Sets that this connection has a part of, and its last one."""
        for one in self._sets.values() if line else ():
            if own := [known.id for known in one.parts.values() if self._answers.line_of(known.id) == line]:
                begun[one.id] = max(own)
        current = max(begun, key=begun.__getitem__, default=None)
        return (
            next((one for one in lacking if one.id == current), None)
            or next((one for one in lacking if one.id not in begun), None)
            or next(reversed(lacking), None)
        )

    def _replace(self, among: _Set, known: _Known, part: Part) -> None:
        self.replaced.append(known.id)
        self._enter_new(among, part)

    def _enter_new(self, among: _Set, part: Part) -> None:
        among.parts[part.part] = _Known(part.id, part.octets, part.received_at)
        self.fresh.append((part, among.id))


_OPEN = "SELECT * FROM partner_part WHERE id = ANY($1::bigint[]) AND message_id IS NULL ORDER BY part, id"


async def open_parts(database: Database, ids: Sequence[int]) -> list[Row]:
    """Those of these parts that wait."""
    return await database.fetch(_OPEN, list(ids))


_LOCK = "SELECT id FROM partner_part WHERE id = ANY($1::bigint[]) AND message_id IS NULL ORDER BY id FOR UPDATE"
_JOIN = """
UPDATE partner_part p SET message_id = j.message_id
FROM unnest($1::bigint[], $2::bigint[]) AS j(id, message_id) WHERE p.id = j.id AND p.message_id IS NULL
"""


async def lock(connection: Connection, ids: Collection[int]) -> set[int]:
    """Lock parts that are about to be joined; those that still wait."""
    return {row["id"] for row in await connection.fetch(_LOCK, sorted(ids))}


async def join(connection: Connection, joined: Mapping[int, int]) -> None:
    """Parts become part of messages: part id -> message id."""
    await connection.execute(_JOIN, list(joined), list(joined.values()))


_REFUSE = """
UPDATE partner_part SET message_id = id WHERE id = ANY($1::bigint[]) AND message_id IS NULL
RETURNING id, account_id, received_at
"""


async def refuse(connection: Connection, part_ids: Sequence[int], ids: Ids, *, code: str) -> set[int]:
    """Waiting parts come to nothing: each gets a report that says so. The accounts with new events."""
    rows = await connection.fetch(_REFUSE, list(part_ids))
    await _tell(connection, [(row["id"], row["account_id"], row["received_at"]) for row in rows], ids, code)
    return {row["account_id"] for row in rows}


async def _tell(connection: Connection, refused: Sequence[tuple[int, int, datetime]], ids: Ids, code: str) -> None:
    # No other way than a bind could say which submit it is about.
    records = [(ids(), account_id, REPORT, id_, "rejected", code, at, "bind") for id_, account_id, at in refused]
    await enter(connection, "customer_event", _EVENT_TYPES, records)


async def note_refused(connection: Connection, parts: Sequence[tuple[Part, str]], ids: Ids) -> set[int]:
    """Destinations of a group that were refused, with the code; a report of each is due."""
    await connection.execute(_FORGET, [p.id for p, _ in parts])
    rows = [(*(getattr(p, name) for name in _TYPES), p.id) for p, _ in parts]
    await enter(connection, "partner_part", _TYPES | {"message_id": "bigint"}, rows)
    for part, code in parts:
        await _tell(connection, [(part.id, part.account_id, part.received_at)], ids, code)
    return {p.account_id for p, _ in parts}


_FORGET = "DELETE FROM partner_part WHERE id = ANY($1::bigint[]) AND coalesce(message_id, 0) = 0"
_WITHDRAW = "UPDATE partner_part SET message_id = 0 WHERE id = $1 AND message_id IS NULL"


async def forget(connection: Connection, part_id: int) -> None:
    """A part whose submit is refused."""
    await connection.execute(_FORGET, [part_id])


async def withdraw(connection: Connection, part_id: int) -> None:
    """A part whose submit is refused for now. Its set waits for it alone, so that no part of another message under
    the same reference takes its place."""
    await connection.execute(_WITHDRAW, part_id)


_TAKEN = "SELECT 1 FROM partner_part WHERE id = $1 AND message_id <> id AND message_id <> 0"


async def is_taken(database: Database, part_id: int) -> bool:
    """Whether a part has become part of a message."""
    return await database.fetchval(_TAKEN, part_id) is not None


_READY = """
SELECT array_agg(id) AS ids FROM partner_part WHERE message_id IS NULL AND received_at < $1
GROUP BY account_id, key, set_id, total HAVING count(DISTINCT part) = total LIMIT 200
"""


async def ready(database: Database, before: datetime) -> list[list[int]]:
    """Complete sets whose joining was left undone, as by a crash: the ids of their parts."""
    return [row["ids"] for row in await database.fetch(_READY, before)]


_STALE = "SELECT id FROM partner_part WHERE message_id IS NULL AND received_at < $1 LIMIT 1000 FOR UPDATE SKIP LOCKED"


async def give_up(connection: Connection, before: datetime, ids: Ids) -> set[int]:
    """Parts whose siblings have not come in time are refused. The accounts with new events."""
    stale = [row["id"] for row in await connection.fetch(_STALE, before)]
    return await refuse(connection, stale, ids, code="PARTS_MISSING") if stale else set()
