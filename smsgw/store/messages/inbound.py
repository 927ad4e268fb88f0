"""Inbound messages: every PDU once, long ones joined in any order, tied to the message they answer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.ids import first_id
from smsgw.core.model import TEST_CHANNEL, Inbound
from smsgw.core.optout import wants_out
from smsgw.store.config import blocklist
from smsgw.store.engine.cte_batch import enter
from smsgw.store.engine.database import Connection, Row, delete_all
from smsgw.store.messages import events
from smsgw.store.messages.events import EVENT_TYPES, EventRow
from smsgw.store.messages.outcomes import Ids


@dataclass(frozen=True, slots=True)
class Arrived:
    """An inbound PDU and whom it is for (None: no account owns the code)."""

    inbound: Inbound
    account_id: int | None
    extend_code: str


# A gateway may use an id again within days: what it has sent before has the same id and the same content (``digest``).
_REMEMBER = """
INSERT INTO mo_part (channel_id, carrier_id, number, to_code, ref, total, part, content, received_at)
SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::int[], $6::smallint[], $7::smallint[],
                     $8::text[], $9::timestamptz[])
ON CONFLICT DO NOTHING
RETURNING channel_id, carrier_id, digest, number, to_code, ref, total, part, content
"""

_WAITING = """
SELECT channel_id, carrier_id, digest, part, content FROM mo_part
WHERE number = $1 AND to_code = $2 AND ref = $3 AND total = $4 AND mo_id IS NULL AND received_at > $5
ORDER BY part, received_at DESC FOR UPDATE
"""

_CONSUME = """
UPDATE mo_part p SET mo_id = $4 FROM unnest($1::int[], $2::text[], $3::text[]) AS k(channel_id, carrier_id, digest)
WHERE p.channel_id = k.channel_id AND p.carrier_id = k.carrier_id AND p.digest = k.digest
"""

Key = tuple[int, str, str]
"""(channel id, carrier's id, digest) of a stored PDU."""

# What is being answered: the newest message to the phone that came from the number it has answered to (an access code
# of the channel, present or former, with the message's extension), or from the longest beginning of it. A channel
# without an access code sends from a number we do not know: there any message through it will do.
_ANSWERED = """
SELECT m.id, m.account_id, m.sign
FROM message m
JOIN part p ON p.id = m.id AND p.part = 1 AND p.claimed_at IS NOT NULL
JOIN channel c ON c.id = p.channel_id
CROSS JOIN LATERAL (
    SELECT max(CASE WHEN code.digits = '' THEN CASE WHEN c.id = $4 THEN 0 END
                    WHEN starts_with($3, code.digits || m.extend_code)
                    THEN length(code.digits || m.extend_code) END) AS rank
    FROM (SELECT c.access_code AS digits
          UNION ALL SELECT o.code FROM old_code o WHERE o.channel_id = c.id AND o.until > $6) code
) fits
WHERE m.number = $1 AND m.id >= $2 AND m.id < $7 AND ($5::bigint IS NULL OR m.account_id = $5)
  AND fits.rank IS NOT NULL
ORDER BY fits.rank DESC, m.id DESC LIMIT 1
"""

_STORE = f"""
WITH stored AS (
    INSERT INTO mo (id, account_id, channel_id, number, to_code, extend_code, content, parts, complete, in_reply_to,
                    received_at, opted_out)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $11, $10, $12) RETURNING id, account_id, channel_id, opted_out
)
INSERT INTO inbound_unread (mo_id, account_id)
SELECT id, account_id FROM stored WHERE NOT opted_out AND channel_id <> {TEST_CHANNEL}
"""  # noqa: S608 - a constant

JOIN_WITHIN = timedelta(hours=2)
REPLY_WITHIN = timedelta(hours=72)
CLOCK_SKEW = timedelta(minutes=1)
"""Ids are made by a node's clock, arrivals are stamped by another's."""
STORED_WITHIN = 2 * REPLY_WITHIN
"""After the message that it answers: what was parted is joined late, or after an outage."""


@dataclass(frozen=True, slots=True)
class _StoredMo:
    """Whose a stored message is, and the signature of the message it answers."""

    account_id: int | None
    sign: str


async def commit_inbound(
    connection: Connection, arrived: Sequence[Arrived], ids: Ids, optout_words: Collection[str] = ()
) -> tuple[set[int], list[Arrived]]:
    """Store inbound PDUs and the messages that became whole; one that is an opt-out goes to the block list with it.

    Returns the accounts that have new events, and the PDUs that had not been stored before.
    """
    if not arrived:
        return set(), []
    rows = await connection.fetch(
        _REMEMBER,
        [a.inbound.channel_id for a in arrived],
        [a.inbound.carrier_id for a in arrived],
        [a.inbound.number for a in arrived],
        [a.inbound.to_code for a in arrived],
        [a.inbound.concat_ref for a in arrived],
        [a.inbound.concat_total for a in arrived],
        [a.inbound.concat_number for a in arrived],
        [a.inbound.text for a in arrived],
        [a.inbound.received_at for a in arrived],
    )
    new: dict[tuple[object, ...], Key] = {
        (*row[:2], *row[3:]): (row["channel_id"], row["carrier_id"], row["digest"]) for row in rows
    }
    told: set[int] = set()
    fresh: list[Arrived] = []
    opted_out: list[blocklist.NewEntry] = []
    told_out: list[tuple[int, dict[str, str]]] = []
    for one in arrived:
        inbound = one.inbound
        key = new.pop(
            (
                inbound.channel_id, inbound.carrier_id, inbound.number, inbound.to_code, inbound.concat_ref,
                inbound.concat_total, inbound.concat_number, inbound.text,
            ),
            None,
        )  # fmt: skip
        if key is None:
            continue  # the carrier sent it again
        fresh.append(one)
        keys, content, parts = [key], inbound.text, 1
        if inbound.concat_total > 1:
            waiting = await connection.fetch(
                _WAITING, inbound.number, inbound.to_code, inbound.concat_ref, inbound.concat_total,
                inbound.received_at - JOIN_WITHIN,
            )  # fmt: skip
            found = layers((row["part"], row["content"], key_of(row)) for row in waiting)
            if not found:
                continue  # a sibling of the same commit has made it whole
            layer = found[0]
            if len(layer) < inbound.concat_total:
                continue
            keys = [key for _, copies in layer.values() for key in copies]
            content, parts = "".join(layer[n][0] for n in sorted(layer)), inbound.concat_total
        out = inbound.channel_id != TEST_CHANNEL and wants_out(content, optout_words)
        stored = await _store(connection, one, keys, content, parts, True, ids, opted_out=out)
        if stored.account_id is not None:
            told.add(stored.account_id)
        if out:
            entry = blocklist.opt_out(inbound.number, stored.account_id, stored.sign, content, inbound.received_at)
            opted_out += [entry] if entry is not None else []
            if stored.account_id is not None:
                told_out.append((stored.account_id, _opt_out(inbound, stored, content)))
    await blocklist.put(connection, opted_out, replace=False)
    await events.record(connection, "optout.created", told_out, ids=ids)
    return told, fresh


Layer = dict[int, tuple[str, list[Key]]]
"""Part number -> its text, and the stored PDUs that have brought it."""


def key_of(row: Row) -> Key:
    """Of a row of ``mo_part``."""
    return row["channel_id"], row["carrier_id"], row["digest"]


def layers(parts: Iterable[tuple[int, str, Key]]) -> list[Layer]:
    """Parts under one reference, the likeliest message first: a phone may use its reference again before the message
    that had it was whole. Of texts for one part the first given goes to the first layer; a copy goes with its like."""
    found: list[Layer] = []
    texts: dict[int, dict[str, int]] = {}
    """By number: the layer of each of its texts. They are counted, not searched: somebody may send thousands."""
    for number, text, key in parts:
        known = texts.setdefault(number, {})
        place = known.setdefault(text, len(known))
        if place == len(found):
            found.append({})
        found[place].setdefault(number, (text, []))[1].append(key)
    return found


def _opt_out(inbound: Inbound, stored: _StoredMo, content: str) -> dict[str, str]:
    at = inbound.received_at.isoformat(timespec="seconds")
    return {"number": inbound.number, "sign": stored.sign, "content": content[:50], "at": at}


async def _store(
    connection: Connection,
    one: Arrived,
    keys: list[Key],
    content: str,
    parts: int,
    complete: bool,
    ids: Ids,
    *,
    opted_out: bool,
) -> _StoredMo:
    """The code says whose it is; where it does not, the message that it answers does."""
    inbound = one.inbound
    mo_id, at = ids(), inbound.received_at
    answered = await connection.fetchrow(
        _ANSWERED, inbound.number, first_id(at - REPLY_WITHIN), inbound.to_code, inbound.channel_id,
        one.account_id, at, first_id(at + CLOCK_SKEW),
    )  # fmt: skip
    account_id = answered["account_id"] if answered and one.account_id is None else one.account_id
    await connection.execute(
        _STORE, mo_id, account_id, inbound.channel_id, inbound.number, inbound.to_code, one.extend_code,
        content, parts, complete, at, answered["id"] if answered else None, opted_out,
    )  # fmt: skip
    await connection.execute(_CONSUME, *map(list, zip(*keys, strict=True)), mo_id)
    if account_id is not None:
        event = EventRow(
            id=ids(), account_id=account_id, kind="mo", message_id=mo_id, status="", class_="", code="", parts_ok=parts,
            submitted_at=None, done_at=at, test=inbound.channel_id == TEST_CHANNEL,
        )  # fmt: skip
        await enter(connection, "customer_event", EVENT_TYPES, [event])
    return _StoredMo(account_id, answered["sign"] if answered else "")


_FORGET = tuple(
    f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE mo_id < $1 LIMIT $2))"  # noqa: S608
    for table in ("inbound_unread", "inbound_care")
)


async def sweep_care(connection: Connection, before: datetime) -> None:
    """Forget who looked after messages that are kept no longer."""
    for statement in _FORGET:
        await delete_all(connection, statement, max(first_id(before), 0))


# All that waits of a message whose first arrival is too long ago; whoever is joining it at the moment keeps it.
_STALE = """
WITH late AS MATERIALIZED (
    SELECT DISTINCT number, to_code, ref, total FROM mo_part WHERE mo_id IS NULL AND received_at < $1 LIMIT 200
),
parts AS MATERIALIZED (
    SELECT p.* FROM late l JOIN mo_part p
      ON p.number = l.number AND p.to_code = l.to_code AND p.ref = l.ref AND p.total = l.total
    WHERE p.mo_id IS NULL FOR UPDATE OF p SKIP LOCKED
)
SELECT number, to_code, ref, total, min(channel_id) AS channel_id, min(received_at) AS received_at,
       array_agg(channel_id ORDER BY received_at, part) AS channels,
       array_agg(carrier_id ORDER BY received_at, part) AS carrier_ids,
       array_agg(digest ORDER BY received_at, part) AS digests,
       array_agg(part ORDER BY received_at, part) AS parts, array_agg(content ORDER BY received_at, part) AS contents
FROM parts GROUP BY number, to_code, ref, total ORDER BY min(received_at)
"""


async def stale_parts(connection: Connection, before: datetime) -> list[Row]:
    """Sets of parts whose siblings have not come in time, locked until the transaction ends."""
    return await connection.fetch(_STALE, before)


async def give_up_joining(
    connection: Connection, row: Row, account_id: int | None, extend_code: str, ids: Ids
) -> set[int]:
    """Store what has come under the reference of a long message, marked incomplete where parts are missing, all of it:
    where a part has come with two texts, as two messages. ``row`` is one of ``stale_parts``."""
    keys: list[Key] = list(zip(row["channels"], row["carrier_ids"], row["digests"], strict=True))
    told: set[int] = set()
    for layer in layers(zip(row["parts"], row["contents"], keys, strict=True)):
        content = "".join(layer[n][0] if n in layer else "…" for n in range(1, row["total"] + 1))
        inbound = Inbound(row["channel_id"], "", row["number"], row["to_code"], content, row["received_at"])
        one = Arrived(inbound, account_id, extend_code)
        copies = [key for _, stored in layer.values() for key in stored]
        whole = len(layer) == row["total"]  # two nodes took its last parts at the same moment: neither saw the other's
        stored_mo = await _store(connection, one, copies, content, len(layer), whole, ids, opted_out=False)
        if stored_mo.account_id is not None:
            told.add(stored_mo.account_id)
    return told


_SWEEP = """
DELETE FROM mo_part WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM mo_part WHERE received_at < $1 AND mo_id IS NOT NULL LIMIT $2 FOR UPDATE SKIP LOCKED))
"""


async def sweep_parts(connection: Connection, before: datetime) -> None:
    """Forget joined PDUs that the carrier will not send again."""
    await delete_all(connection, _SWEEP, before)
