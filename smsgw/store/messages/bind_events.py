"""Events for partners' connections, with what each of them has to be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smsgw.core.partners import IN_PARTS, ReplyTo, Wanted
from smsgw.core.webhooks import MO
from smsgw.store.engine.database import Database, Row
from smsgw.store.messages.events import BoundEvent

LEASE_S = 180
"""Longer than a partner may take to answer: while it is awaited, nobody else offers the event."""

_MESSAGES = """
SELECT id, batch_id, origin, number, left(content, 20 + length('【】' || sign)) AS head, sign, ext
FROM message WHERE id = ANY($1::bigint[])
"""
_PARTS = """
SELECT id, message_id, number, reply FROM partner_part WHERE message_id = ANY($1::bigint[])
ORDER BY message_id, part, id
"""
_INBOUND = "SELECT * FROM mo WHERE id = ANY($1::bigint[])"


@dataclass(frozen=True, slots=True)
class ReceiptTo:
    """One receipt that an event asks for."""

    id: int
    """What the submit's answer said."""
    reply: ReplyTo
    number: str
    """E.164 digits, or as the partner wrote it."""
    head: str
    """The beginning of the text, without the signature in front: 20 characters."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An event, leased to us."""

    event: BoundEvent
    receipts: tuple[ReceiptTo, ...] = ()
    """Of a report: those that were asked for. Empty: nothing is to be told."""
    mo: Row | None = None
    """None: a report, or a message that is past its retention."""


async def describe(database: Database, kind: str, got: Sequence[BoundEvent]) -> list[Claimed]:
    """What is to be told of events that ``events.claim_bound`` has leased."""
    if not got:
        return []
    if kind == MO:
        inbound = await _by_id(database, _INBOUND, [e.message_id for e in got])
        return [Claimed(e, mo=inbound.get(e.message_id)) for e in got]
    messages = await _by_id(database, _MESSAGES, [e.message_id for e in got])
    parts: dict[int, list[Row]] = {}
    elsewhere = [e.message_id for e in got if e.message_id not in messages or messages[e.message_id]["ext"] == IN_PARTS]
    if elsewhere:
        for row in await database.fetch(_PARTS, elsewhere):
            parts.setdefault(row["message_id"], []).append(row)
    claimed = []
    for event in got:
        id_ = event.message_id
        receipts = _receipts(id_, messages.get(id_), parts.get(id_, []))
        claimed.append(Claimed(event, tuple(r for r in receipts if r.reply.wanted.includes(event.status))))
    return claimed


async def _by_id(database: Database, sql: str, ids: Sequence[int]) -> dict[int, Row]:
    return {row["id"]: row for row in await database.fetch(sql, ids)}


_OURS = ("smpp", "cmpp")
_EVERYTHING = ReplyTo(Wanted.ALL)


def _receipts(id_: int, message: Row | None, parts: Sequence[Row]) -> list[ReceiptTo]:
    if parts:
        head = _head(message) if message is not None else ""
        return [ReceiptTo(p["id"], ReplyTo.unpack(p["reply"]) or _EVERYTHING, p["number"], head) for p in parts]
    if message is None:
        return []
    # What came by another door is told of, too: the account has chosen this way for its reports.
    reply = ReplyTo.unpack(message["ext"]) if message["origin"] in _OURS else None
    group = reply is not None and reply.group and message["origin"] == "smpp"
    shown = message["batch_id"] if group else id_
    return [ReceiptTo(shown, reply or _EVERYTHING, message["number"], _head(message))]


def _head(message: Row) -> str:
    """The sender's own text: a signature may be ours."""
    head: str = message["head"]
    return head.removeprefix(f"【{message['sign']}】")[:20]
