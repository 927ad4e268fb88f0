"""The list of what was received (上行记录): messages from phones, whose they are, and what has become of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.actor import Actor, ActorLabel
from smsgw.core.ids import first_id
from smsgw.core.model import TEST_CHANNEL
from smsgw.core.pseudonyms import shown
from smsgw.platform.paging import Order, Slice, Window, clauses, slice_of
from smsgw.runtime import clock
from smsgw.store.engine.database import Database, Row
from smsgw.store.records import pseudonyms

LATE = timedelta(days=2)
"""Within it a message is stored after it came: a long one waits for its parts, a spool for the database."""
SKEW = timedelta(minutes=1)
"""Ids are made by a node's clock, arrivals are stamped by another's."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; None: anything."""

    from_time: datetime
    to_time: datetime
    account: int | None = None
    phone: str | None = None
    """E.164 digits."""
    outcome: str | None = None
    pushed: str | None = None
    channel: int | None = None
    code: str | None = None
    """What the number that was answered to begins with."""
    extension: str | None = None
    answers: int | None = None
    """Id of the message that it answers."""
    word: str | None = None
    """Part of its text."""
    care: str | None = None
    """One of ``CARE``."""
    assignee: str | None = None
    """Login of who looks after it; empty: nobody does."""
    test: bool | None = None
    """Of test keys, or of real phones."""


@dataclass(frozen=True, slots=True)
class InboundView:
    """One message from a phone."""

    id: int
    received_at: datetime
    number: str
    content: str
    account_name: str | None
    """None: no account owns the code."""
    channel_name: str
    to_code: str
    extension: str
    answers: int | None
    """Id of the message that it answers, as long as that is kept."""
    outcome: str
    """``opt_out``, ``reply``, ``message`` (it answers nothing that we know) or ``unowned`` (nobody's code)."""
    pushed: str
    """How it went to the customer: ``waiting``, ``offered``, ``retrying``, ``pushed``, ``fetched``, ``dead``; empty: it
    has no customer, or it is not known any more."""
    pushed_at: datetime | None
    opt_out: int | None
    """The entry of the block list that it has made, as long as that holds."""
    parts: int
    complete: bool
    """No part of a long message is missing."""
    account: int | None
    care: str
    """``unread``, ``seen``, ``answered`` (from the platform) or ``done``; an opt-out is done with by itself."""
    assignee: str | None
    """Login of who looks after it."""
    seen_at: datetime | None
    seen_by: ActorLabel | None
    answered_by: int | None
    """Id of the last message sent in answer from here."""
    done_at: datetime | None
    done_by: ActorLabel | None
    sign: str | None
    """Of the message that it answers, as long as that is kept."""
    test: bool
    """From the simulated carrier of test keys."""


OUTCOMES = ("opt_out", "reply", "message", "unowned")
CARE = ("unread", "seen", "answered", "done")
PUSHED = ("waiting", "offered", "retrying", "pushed", "fetched", "dead")
_OUTCOME = """
CASE WHEN o.opted_out THEN 'opt_out' WHEN o.account_id IS NULL THEN 'unowned'
     WHEN o.in_reply_to IS NOT NULL THEN 'reply' ELSE 'message' END
"""
_CARE = """
CASE WHEN k.done_at IS NOT NULL OR o.opted_out THEN 'done' WHEN k.answered_by IS NOT NULL THEN 'answered'
     WHEN EXISTS (SELECT FROM inbound_unread u WHERE u.mo_id = o.id) THEN 'unread' ELSE 'seen' END
"""
_PUSHED = """
CASE WHEN e.id IS NULL THEN '' WHEN e.dead_at IS NOT NULL THEN 'dead'
     WHEN e.acknowledged_at IS NOT NULL AND e.done_by IN ('webhook', 'bind') THEN 'pushed'
     WHEN e.acknowledged_at IS NOT NULL THEN 'fetched' WHEN e.attempts > 0 THEN 'retrying'
     WHEN e.batch_id IS NOT NULL THEN 'offered' ELSE 'waiting' END
"""
_EVENT = """
LEFT JOIN LATERAL (
    SELECT * FROM customer_event x
    WHERE x.kind = 'mo' AND x.message_id = o.id AND x.id >= o.id AND x.id >= $3 ORDER BY x.id LIMIT 1
) e ON true
"""
_THEIR_EVENTS = """
LEFT JOIN (
    SELECT DISTINCT ON (x.message_id) x.* FROM customer_event x
    WHERE x.kind = 'mo' AND x.message_id = ANY($1) AND x.id >= $2 AND x.id < $4 ORDER BY x.message_id, x.id
) e ON e.message_id = o.id
"""
_ENTRY = """
(SELECT max(b.version) FROM block_list b
 WHERE b.number = CASE WHEN o.opted_out AND o.number ~ '^[0-9]{7,15}$' THEN o.number::bigint END
   AND b.account_id = COALESCE(o.account_id, 0) AND b.source = 'opt_out' AND b.removed_at IS NULL)
"""
# Who sees only what they have submitted sees what answers it.
SEEN = """
($1::bigint[] IS NULL OR o.account_id = ANY($1))
AND ($2::text IS NULL OR EXISTS (SELECT FROM message w WHERE w.id = o.in_reply_to AND w.submitter = $2))
"""
_MATCHES = f"""
{SEEN} AND o.id >= $3 AND o.id < $4
AND o.received_at >= $5 AND o.received_at < $6
AND ($7::bigint IS NULL OR o.account_id = $7) AND ($8::text[] IS NULL OR o.number = ANY($8))
AND ($9::int IS NULL OR o.channel_id = $9) AND ($10::text IS NULL OR starts_with(o.to_code, $10))
AND ($11::text IS NULL OR o.extend_code = $11) AND ($12::bigint IS NULL OR o.in_reply_to = $12)
AND ($13::text IS NULL OR {_OUTCOME} = $13) AND {{pushed}}
AND ($15::text IS NULL OR strpos(o.content, $15) > 0) AND ($16::text IS NULL OR {_CARE} = $16)
AND ($17::text IS NULL OR COALESCE(k.assignee, '') = $17)
AND ($18::bool IS NULL OR (o.channel_id = {TEST_CHANNEL}) = $18)
"""
_VIEW = f"""
SELECT o.id, o.received_at, o.number, o.content, a.name AS account_name,
       COALESCE(c.name, '') AS channel_name, o.to_code, o.extend_code AS extension, m.id AS answers,
       {_OUTCOME} AS outcome, {_PUSHED} AS pushed, COALESCE(e.dead_at, e.acknowledged_at) AS pushed_at,
       {_ENTRY} AS opt_out, o.parts, o.complete, o.account_id AS account, {_CARE} AS care, k.assignee, k.seen_at,
       k.seen_by, k.answered_by, k.done_at, k.done_by, m.sign, o.channel_id = {TEST_CHANNEL} AS test
FROM mo o LEFT JOIN inbound_care k ON k.mo_id = o.id {_THEIR_EVENTS}
LEFT JOIN account a ON a.id = o.account_id LEFT JOIN channel c ON c.id = o.channel_id
LEFT JOIN message m ON m.id = o.in_reply_to AND m.id = ANY($3)
WHERE o.id = ANY($1)
"""  # noqa: S608 - constants
"""Of messages whose ids are known, $1, and of no more days than must be: $2 is the least of them, $3 has what they
answer, $4 comes after all. A statement over all days takes longer to be planned than to be carried out."""
_FOUND = f"FROM mo o LEFT JOIN inbound_care k ON k.mo_id = o.id {{event}} WHERE {_MATCHES}"
_PAGE = f"SELECT o.id, {{key}} AS _key, o.in_reply_to {_FOUND} AND {{where}} ORDER BY {{order}}"
_COUNT = f"SELECT count(*) FROM (SELECT {_FOUND} LIMIT $19) f"  # noqa: S608
_ONE = f"SELECT o.id, o.in_reply_to FROM mo o WHERE o.id = $3 AND {SEEN}"  # noqa: S608
ORDERS = {"received_at": Order("o.id", "bigint")}
"""By when it was stored, which is when it was whole."""


async def _asked(database: Database, actor: Actor, wanted: Wanted) -> list[object]:
    return [
        *actor.scope.narrowed, max(first_id(wanted.from_time - SKEW), 0),
        max(first_id(wanted.to_time + LATE), 0), wanted.from_time, wanted.to_time, wanted.account,
        await pseudonyms.spellings(database, wanted.phone), wanted.channel, wanted.code, wanted.extension,
        wanted.answers, wanted.outcome, wanted.pushed, wanted.word, wanted.care, wanted.assignee, wanted.test,
    ]  # fmt: skip


def _view(row: Row) -> InboundView:
    return InboundView(**({name: row[name] for name in InboundView.__slots__} | {"number": shown(row["number"])}))


async def search(database: Database, actor: Actor, wanted: Wanted, window: Window) -> Slice[InboundView]:
    """What was received in the scope, a window of it; what nobody owns is seen by those who see everything."""
    arguments = await _asked(database, actor, wanted)
    c = clauses(ORDERS, window, id_="o.id", first=len(arguments) + 1)
    page = _PAGE.format(key=c.key, where=c.where, order=c.order, **_by_event(wanted))
    rows = await database.fetch(page, *arguments, *c.arguments, timeout=30)
    got = slice_of(rows, window, c.limit)
    full = await _in_full(database, got.rows)
    there = [(full[row["id"]], key) for row, key in zip(got.rows, got.keys, strict=True) if row["id"] in full]
    return Slice([view for view, _ in there], [key for _, key in there], got.more)


def _by_event(wanted: Wanted) -> dict[str, str]:
    """The clauses for how it went to the customer, where that is asked for; it costs a look at all later events."""
    if wanted.pushed is None:
        return {"event": "", "pushed": "$14::text IS NULL"}
    return {"event": _EVENT, "pushed": f"{_PUSHED} = $14"}


async def _in_full(database: Database, rows: Sequence[Row]) -> dict[int, InboundView]:
    """All of these messages, by id; without one whose day has gone meanwhile."""
    if not rows:
        return {}
    ids = [row["id"] for row in rows]
    answers = [row["in_reply_to"] for row in rows if row["in_reply_to"] is not None]
    end = first_id(clock.now() + LATE)
    found = await database.fetch(_VIEW, ids, min(ids), answers, end, timeout=30)
    return {row["id"]: _view(row) for row in found}


async def how_many(database: Database, actor: Actor, wanted: Wanted, most: int) -> int:
    """How many there are, counted up to one more than ``most``."""
    asked = await _asked(database, actor, wanted)
    count: int = await database.fetchval(_COUNT.format(**_by_event(wanted)), *asked, most + 1, timeout=30)
    return count


async def one(database: Database, actor: Actor, id_: int) -> InboundView | None:
    """One of them, in the scope."""
    row = await database.fetchrow(_ONE, *actor.scope.narrowed, id_)
    return None if row is None else (await _in_full(database, [row])).get(id_)


_UNREAD = """
SELECT count(*) FROM (
    SELECT FROM inbound_unread WHERE $1::bigint[] IS NULL OR account_id = ANY($1) LIMIT $2) few
"""
_OWN_UNREAD = f"""
SELECT count(*) FROM (SELECT FROM inbound_unread u JOIN mo o ON o.id = u.mo_id WHERE {SEEN} LIMIT $3) few
"""  # noqa: S608 - constants
MOST_UNREAD = 100


async def unread(database: Database, actor: Actor) -> int:
    """Messages in the scope that nobody has opened yet; at most ``MOST_UNREAD``."""
    accounts, submitter = actor.scope.narrowed
    if submitter is None:
        number: int = await database.fetchval(_UNREAD, accounts, MOST_UNREAD)
    else:
        number = await database.fetchval(_OWN_UNREAD, accounts, submitter, MOST_UNREAD)
    return number
