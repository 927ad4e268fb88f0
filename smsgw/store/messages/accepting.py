"""The accept transaction: idempotency, credit, messages and parts, all or nothing for each call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from smsgw.core.actor import Author
from smsgw.core.errors import Reason, Refused, SmsgwError
from smsgw.core.frequency import seconds_of
from smsgw.core.ids import day_of, time_of
from smsgw.core.states import PartState, status_of
from smsgw.core.words import phrase
from smsgw.store.engine.cte_batch import COPIED, Together, arrays
from smsgw.store.engine.database import Connection, Row
from smsgw.store.engine.states import by_name
from smsgw.store.messages import (
    abroad,
    complaints,
    counters,
    credit,
    fallback,
    frequency,
    message_links,
    partner_parts,
    request_keys,
)
from smsgw.store.messages.calls import (
    MESSAGE_TYPES,
    PART_TYPES,
    REFUSED_TYPES,
    Entrances,
    Fence,
    NewCall,
    PartRow,
    Refusal,
    Stored,
)
from smsgw.store.messages.events import EVENT_TYPES, EventRow
from smsgw.store.records import audit

Revise = Callable[[NewCall, Mapping[int, Reason]], NewCall]
"""Makes of a call, and the messages of it (by index) that are one too many and why, the call without them."""


Results = dict[int, Stored | SmsgwError]
"""By ``id()`` of the call."""

# The accounts, locked, and what their numbers have had of late: one way to the server. What has come to a number while
# the lock was waited for is seen by its ``seq``.
_BEGIN = f"""
WITH locked AS MATERIALIZED ({credit.LOCK})
SELECT locked.*, NULL::bigint AS number, NULL::int AS seq, NULL::bytea AS sent FROM locked
UNION ALL
SELECT NULL, NULL, NULL, NULL, NULL, NULL, number, seq, sent FROM ({frequency.READ.replace("$1", "$2")}) AS recent
"""  # noqa: S608 - constant text

# Parts for channels that have nothing to do are entered as claimed: the fence is that of a claim, and holds as long as
# the transaction lasts (store/messages/claiming.py). It waits for nobody: while a lease is being changed, or where it
# is another's, they are queued like all others.
_STATE = "CASE WHEN own.epoch IS NULL THEN d.state ELSE :SENDING END"
_AT_ONCE = {
    "own": """
SELECT f.channel_id, l.epoch
FROM unnest($1::text[], $2::int[], $3::bigint[], $4::int[]) AS f(resource, node, epoch, channel_id)
JOIN lease l ON l.resource = f.resource
WHERE l.node = f.node AND l.epoch = f.epoch AND l.expires_at > clock_timestamp()
FOR SHARE OF l SKIP LOCKED
""",
    "at_once": by_name(f"""
INSERT INTO part ({", ".join(PART_TYPES)}, channel_id, epoch, attempt, claimed_at)
SELECT {", ".join(_STATE if name == "state" else f"d.{name}" for name in PART_TYPES)}, own.channel_id, own.epoch,
       (own.epoch IS NOT NULL)::int, CASE WHEN own.epoch IS NOT NULL THEN clock_timestamp() END
FROM unnest({arrays((*PART_TYPES.values(), "int"), 5)})
     AS d({", ".join(PART_TYPES)}, channel_id)
LEFT JOIN own ON own.channel_id = d.channel_id
RETURNING id, state
"""),  # noqa: S608 - constant text
}
_TAKEN = by_name("SELECT DISTINCT id FROM at_once WHERE state = :SENDING")
_PRESENT = "SELECT id FROM message WHERE id = ANY($1::bigint[]) AND id >= $2"

_OWN_ADDRESS = "UPDATE customer_event SET target = $2 WHERE id = ANY($1::bigint[])"
_CALLBACK = "UPDATE message SET callback_url = $2 WHERE id = ANY($1::bigint[]) AND id >= $3"


async def commit_calls(
    connection: Connection,
    calls: list[NewCall],
    again: bool,
    *,
    node: int,
    seen: Callable[[Mapping[int, int]], None] = lambda _: None,
    revise: Revise | None = None,
    reserved: Callable[[int], int] = lambda _: 0,
    entrances: Entrances | None = None,
) -> list[Stored | SmsgwError]:
    """Store the calls inside the caller's transaction; one result a call, in order.

    A refused call (credit, stopped account, key used otherwise) leaves nothing behind and does not disturb others.
    ``seen`` is told the units that the accounts can still spend. ``revise`` gives a call without some of its messages;
    without it no frequency is limited. ``reserved``: units of an account that spooled calls are going to need,
    those of ``calls`` included; others do not get them. ``entrances``: which channels take what at once; a repeat
    (``again``) never asks: what it finds may be in their hands.
    """
    results: Results = {}
    newest = max(call.batch_id for call in calls)  # what was set apart long ago is sent, and counted, today
    day = day_of(newest)

    def still_open() -> list[NewCall]:
        return [call for call in calls if id(call) not in results]

    accounts, recent = await _begin(connection, calls)
    limits = await credit.limits(connection, accounts, calls, day)
    # Under the lock: the server may still have been at the COMMIT of the earlier try when this one began.
    results |= await _present(connection, [c for c in calls if again or c.spooled])
    for call in calls:
        if id(call) in results:
            limits.settle(call)
    results |= await _not_joinable(connection, [c for c in still_open() if c.joins])
    for call in still_open():
        if call.gate is not None and (shut := await call.gate.admit(connection)) is not None:
            results[id(call)] = shut
    admitted, others = await _admit(connection, still_open(), limits, reserved)
    results |= others
    fresh, revised = await _thin_out(connection, admitted, revise, time_of(newest), recent)
    for call, was in zip(fresh, admitted, strict=True):
        results[id(was)] = Stored(call.batch_id, revised=call.answer if id(was) in revised else None)
    if fresh:
        taken = await _write(connection, fresh, day, node, None if again else entrances)
        if taken:
            results |= {
                id(was): replace(one, waits=False)
                for call, was in zip(fresh, admitted, strict=True)
                if isinstance(one := results[id(was)], Stored) and all(row.id in taken for row in call.messages)
            }
        await _follow_up(connection, fresh)
    seen(limits.available)
    return [results[id(call)] for call in calls]


async def _begin(connection: Connection, calls: Sequence[NewCall]) -> tuple[list[Row], list[Row]]:
    """The accounts of the calls, locked, and what was sent of late to numbers of which that is counted."""
    numbers = frequency.watched(calls)
    if not numbers:
        return await connection.fetch(credit.LOCK, credit.locked(calls)), []
    rows = await connection.fetch(_BEGIN, credit.locked(calls), numbers)
    return [row for row in rows if row["number"] is None], [row for row in rows if row["number"] is not None]


async def _present(connection: Connection, doubtful: Sequence[NewCall]) -> Results:
    """An earlier try may have been committed: what is there is done."""
    if not doubtful:
        return {}
    firsts = [c.first for c in doubtful]
    present = {row["id"] for row in await connection.fetch(_PRESENT, firsts, min(firsts))}
    return {id(c): Stored(c.batch_id, present=True) for c in doubtful if c.first in present}


async def _not_joinable(connection: Connection, joining: Sequence[NewCall]) -> Results:
    """Messages put together from parts of which one is part of another message by now."""
    if not joining:
        return {}
    lost: Results = {}
    open_parts = await partner_parts.lock(connection, {i for c in joining for i in c.joins})
    for call in joining:
        if open_parts.issuperset(call.joins):
            open_parts.difference_update(call.joins)
        else:
            lost[id(call)] = Refused("STATE_CONFLICT", reason=phrase("parts.joined"))
    return lost


async def _admit(
    connection: Connection, calls: list[NewCall], limits: credit.Limits, reserved: Callable[[int], int]
) -> tuple[list[NewCall], Results]:
    """Those that have their keys, and that their accounts can pay; what becomes of the others."""
    admitted: list[NewCall] = []
    results: Results = {}
    while calls:
        lost = await request_keys.settle(connection, [c for c in calls if c.keys])
        refused: list[NewCall] = []
        for call in calls:
            if id(call) in lost:
                continue
            refusal = limits.refusal(call, 0 if call.spooled else reserved(call.account_id))
            if refusal is None:
                limits.take(call)
                admitted.append(call)
            else:
                results[id(call)] = refusal
                refused.append(call)
                limits.settle(call)
        await request_keys.drop(connection, [c for c in refused if c.keys])
        # A key whose winner, in this very batch, was refused is free again.
        gone = {id_ for call in refused for id_ in (call.batch_id, *(row.id for row in call.messages))}
        calls = [c for c in calls if id(c) in lost and lost[id(c)].holder in gone]
        results |= {key: lost_to.result for key, lost_to in lost.items() if lost_to.holder not in gone}
    return admitted, results


async def _thin_out(
    connection: Connection, calls: list[NewCall], revise: Revise | None, now: datetime, recent: Sequence[Row]
) -> tuple[list[NewCall], set[int]]:
    """The calls without the messages that are too many, of their account abroad or to their number; which of ``calls``
    were changed, by ``id()``. ``recent``: what was sent to their numbers of late."""
    if revise is None:
        return calls, set()
    far = await abroad.judge(connection, calls)
    thinned = [revise(c, far[id(c)]) if id(c) in far else c for c in calls]
    too_many = await frequency.settle(connection, thinned, seconds_of(now), recent)
    thinned = [revise(c, too_many[id(c)]) if id(c) in too_many else c for c in thinned]
    await abroad.enter(connection, calls, thinned, far)
    if not far and not too_many:
        return calls, set()
    changed = [(was, new) for was, new in zip(calls, thinned, strict=True) if new is not was]
    await request_keys.change(connection, changed)
    return thinned, {id(was) for was, _ in changed}


async def _write(
    connection: Connection, calls: Sequence[NewCall], day: date, node: int, entrances: Entrances | None
) -> set[object]:
    """Enter messages and parts, what was refused, and what is paid, and count what is sent. The messages that channels
    have taken at once."""
    changes = Together()
    parts = [row for call in calls for row in call.parts]
    await changes.enter(connection, "message", MESSAGE_TYPES, [row for call in calls for row in call.messages])
    # What comes in crowds waits for its turn in the queues.
    fences = entrances.open(calls) if entrances is not None and len(parts) < COPIED else {}
    if fences:
        _at_once(changes, [row for row in parts if row.id in fences], fences)
        parts = [row for row in parts if row.id not in fences]
    await changes.enter(connection, "part", PART_TYPES, parts)
    await _refused(connection, changes, [r for call in calls for r in call.refused])
    _account_for(changes, [c for c in calls if c.messages and not c.test], day, node)
    taken = {row["id"] for row in await changes.run(connection)}
    if fences and entrances is not None:
        entrances.taken(taken)
    for call in calls:
        if call.callback_url:
            await own_address(connection, call)
    return taken


def _at_once(changes: Together, parts: Sequence[PartRow], fences: Mapping[int, Fence]) -> None:
    """Enter parts as claimed, where the fence holds."""
    channels = [fences[row.id].channel_id for row in parts]
    own = sorted(set(fences.values()), key=lambda fence: fence.channel_id)
    changes.add(
        _AT_ONCE,
        [fence.resource for fence in own],
        [fence.node for fence in own],
        [fence.epoch for fence in own],
        [fence.channel_id for fence in own],
        *zip(*parts, strict=True),
        channels,
    )
    changes.ask(_TAKEN)


async def own_address(connection: Connection, call: NewCall) -> None:
    """The reports of the call's messages go to an address of its own."""
    ids = [row.id for row in (*call.messages, *(r.message for r in call.refused))]
    if ids:
        await connection.execute(_CALLBACK, ids, call.callback_url, min(ids))
    if call.refused:
        await connection.execute(_OWN_ADDRESS, [r.event_id for r in call.refused], call.callback_url)


def _account_for(changes: Together, live: Sequence[NewCall], day: date, node: int) -> None:
    """Enter what is paid, and count what is sent."""
    credit.enter(changes, live, day)
    accepted: counters.Delta = Counter()
    signs: Counter[str] = Counter()
    for call in live:
        accepted[call.account_id, 0, "accepted"] += len(call.parts)
        for row in call.messages:
            signs[row.sign] += row.parts
    del signs[""]
    counters.add(changes, node, accepted)
    complaints.count_sent(changes, node, day, signs)


async def _follow_up(connection: Connection, calls: Sequence[NewCall]) -> None:
    """What else is written because a call is stored."""
    for call in calls:
        if call.gate is not None:
            await call.gate.mark(connection)
        if call.emergency_by:
            await audit.append(
                connection, Author(call.emergency_by), "message.emergency",
                f"message/{call.batch_id}", after={"account": call.account_id, "parts": len(call.parts)},
            )  # fmt: skip
    joined = {part_id: call.batch_id for call in calls for part_id in call.joins}
    if joined:
        await partner_parts.join(connection, joined)
    await fallback.enter(connection, calls)
    if links := [link for call in calls for link in call.links]:
        await message_links.enter(connection, links)
    await _hold(connection, [call for call in calls if call.review])


_HOLD = """
INSERT INTO review (batch_id, account_id, type, origin, submitter, reasons, numbers, parts, content, due_at, validity,
                    expires_at)
SELECT batch_id, account_id, type, origin, submitter, string_to_array(reasons, E'\\n'), numbers, parts, content, due,
       validity, expires
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::int[],
            $9::text[], $10::timestamptz[], $11::interval[], $12::timestamptz[])
     AS d(batch_id, account_id, type, origin, submitter, reasons, numbers, parts, content, due, validity,
          expires)
"""


async def _hold(connection: Connection, calls: Sequence[NewCall]) -> None:
    """Enter calls that a reviewer has to see first."""
    held = [(c, c.review) for c in calls if c.review is not None]
    if held:
        await connection.execute(
            _HOLD,
            [c.batch_id for c, _ in held],
            [c.account_id for c, _ in held],
            [r.type for _, r in held],
            [r.origin for _, r in held],
            [r.submitter for _, r in held],
            ["\n".join(r.reasons) for _, r in held],
            [r.numbers for _, r in held],
            [len(c.parts) for c, _ in held],
            [r.content for _, r in held],
            [r.due for _, r in held],
            [timedelta(seconds=r.validity_s) for _, r in held],
            [r.expires for _, r in held],
        )


async def record_refused(connection: Connection, refused: Sequence[Refusal]) -> None:
    """Enter what was refused: messages that are final from the start, with their reports."""
    changes = Together()
    await _refused(connection, changes, refused)
    await changes.run(connection)


async def _refused(connection: Connection, changes: Together, refused: Sequence[Refusal]) -> None:
    await changes.enter(connection, "message", REFUSED_TYPES, [(*r.message, r.text) for r in refused])
    await changes.enter(connection, "part", PART_TYPES, [r.part for r in refused])
    reports = [(*_report(r), None if r.told else r.part.final_at) for r in refused]
    await changes.enter(connection, "customer_event", EVENT_TYPES | {"acknowledged_at": "timestamptz"}, reports)


def _report(refusal: Refusal) -> EventRow:
    part = refusal.part
    return EventRow(
        id=refusal.event_id, account_id=part.account_id, kind="report", message_id=part.id,
        status=status_of(PartState(part.state), True), class_=part.class_, code=part.code, parts_ok=0,
        submitted_at=None, done_at=part.final_at, test=refusal.message.test,
    )  # fmt: skip
