"""The accept transaction with what a replay of the spool adds: what the database refuses then ends as a message that
was never sent, with its reason and a report, because its caller holds an answer that says accepted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import cast

import msgspec

from smsgw.core.errors import SmsgwError
from smsgw.core.states import PartState
from smsgw.runtime import clock
from smsgw.store.engine.cte_batch import enter
from smsgw.store.engine.database import Connection, Row
from smsgw.store.messages import outcomes
from smsgw.store.messages.accepting import Revise, commit_calls, own_address, record_refused
from smsgw.store.messages.calls import PART_TYPES, REFUSED_TYPES, Entrances, NewCall, PartRow, Stored

VERSION = 1
"""Of records of the spool: a ``NewCall`` by name, with its rows as arrays in the order of their columns. What is added
at the end with a default needs no new version: records without it are read. Every other change does."""


class _Record(msgspec.Struct, array_like=True):
    version: int
    call: msgspec.Raw


_encode = msgspec.msgpack.Encoder().encode
_record = msgspec.msgpack.Decoder(_Record).decode
_call = msgspec.msgpack.Decoder(NewCall).decode


def to_bytes(call: NewCall) -> bytes:
    """A call as the spool keeps it."""
    return _encode((VERSION, call))


def from_bytes(body: bytes) -> NewCall:
    """A call from the spool. Raises ``ValueError`` when it is none, or of a version that is not known here."""
    try:
        record = _record(body)
    except msgspec.ValidationError:  # from before 0.1.0: it has no version
        record = _Record(0, msgspec.Raw())
    if record.version != VERSION:
        raise ValueError(
            f"a record of version {record.version} in the spool, where this smsgw reads version {VERSION}: "
            "let the smsgw that wrote it empty the spool, then update"
        )
    return replace(_call(record.call), spooled=True)


async def commit(
    connection: Connection,
    calls: list[NewCall],
    again: bool,
    *,
    node: int,
    ids: Callable[[], int],
    seen: Callable[[Mapping[int, int]], None],
    revise: Revise,
    reserved: Callable[[int], int] = lambda _: 0,
    entrances: Entrances | None = None,
) -> list[Stored | SmsgwError]:
    """``commit_calls``; spooled calls that it refuses, and repeats among them, are stored with their end."""
    results = await commit_calls(
        connection, calls, again, node=node, seen=seen, revise=revise, reserved=reserved, entrances=entrances
    )
    if not any(call.spooled for call in calls):
        return results
    ended: list[tuple[NewCall, PartState, str, dict[str, str]]] = []
    for call, result in zip(calls, results, strict=True):
        if not call.spooled:
            continue
        if isinstance(result, SmsgwError) and result.code == "AUTH_NONCE_REPLAYED":  # another node has it, too
            ended.append((call, PartState.DUPLICATE, "DUPLICATE", {"original": result.detail["id"]}))
        elif isinstance(result, SmsgwError):
            ended.append((call, PartState.REJECTED, result.code, {"code": result.code, "message": str(result)}))
        elif result.replay is not None and result.batch_id != call.batch_id:
            ended.append((call, PartState.DUPLICATE, "DUPLICATE", {"original": str(result.batch_id)}))
    now = clock.now()
    if ended:
        await _store_ended(connection, ended, now, ids)
    late = [
        (row.id, now, 0, "spooled", "{}")
        for call, result in zip(calls, results, strict=True)
        if call.spooled and not (isinstance(result, Stored) and result.present)
        for row in call.messages
    ]
    await outcomes.add_events(connection, late)
    return results


async def _store_ended(
    connection: Connection,
    ended: Sequence[tuple[NewCall, PartState, str, dict[str, str]]],
    now: datetime,
    ids: Callable[[], int],
) -> None:
    messages: list[tuple[object, ...]] = []
    parts: list[PartRow] = []
    events: list[tuple[int, datetime, int, str, str]] = []
    for call, state, code, detail in ended:
        said = json.dumps(detail, ensure_ascii=False)
        for row in call.messages:
            messages.append((*row._replace(price=0), detail.get("message", "")))
            events.append((row.id, now, 0, "refused", said))
        cls = "POLICY" if state is PartState.REJECTED else ""
        parts += [
            row._replace(state=int(state), code=code, class_=cls, by_us=True, final_at=now, next_at=None)
            for row in call.parts
        ]
    await enter(connection, "message", REFUSED_TYPES, messages)
    # Recipients that were refused when the call was taken keep their own reason.
    await record_refused(connection, [r for call, *_ in ended for r in call.refused])
    with_address = [call for call, *_ in ended if call.callback_url]
    for call in with_address:
        await own_address(connection, call)
    await enter(connection, "part", PART_TYPES, parts)
    await outcomes.add_events(connection, events)
    unclaimed = {"channel_id": None, "answered_at": None, "claimed_at": None}
    rows = [dict(zip(PART_TYPES, part, strict=True)) | unclaimed for part in parts]
    finished = await outcomes.ended_messages(connection, cast("list[Row]", rows))
    await outcomes.report(connection, finished, ids, callbacks={call.account_id for call in with_address})
