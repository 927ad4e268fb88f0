"""The accept transaction with what a replay of the spool adds: what the database refuses then ends as a message that
was never sent, with its reason and a report, because its caller holds an answer that says accepted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, cast

import msgspec

from smsgw.core.abroad import Abroad
from smsgw.core.errors import SmsgwError
from smsgw.core.frequency import Watch
from smsgw.core.states import PartState
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Row
from smsgw.store.engine.together import enter
from smsgw.store.messages import outcomes
from smsgw.store.messages.accepting import Revise, commit_calls, own_address, record_refused
from smsgw.store.messages.calls import (
    MESSAGE_COLUMNS,
    PART_COLUMNS,
    PART_TYPES,
    REFUSED_TYPES,
    Entrances,
    NewCall,
    NewFollow,
    NewReview,
    Refusal,
    RequestKey,
    Stored,
)

_PRICE = MESSAGE_COLUMNS.index("price")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
_SHAPES: dict[str, Any] = {
    "refused": tuple[Refusal, ...], "watches": tuple[Watch, ...], "abroad": tuple[Abroad, ...],
    "review": NewReview | None, "follow": NewFollow | None,
    "links": tuple[tuple[int, int, int, bool], ...],
}  # fmt: skip
_NAMES = tuple(f.name for f in fields(NewCall))
_OLDER = {len(MESSAGE_COLUMNS) - 1: ("",)}
"""What rows of so many columns lack that an earlier program has spooled: the kind."""


def _whole(row: Sequence[object]) -> tuple[object, ...]:
    return (*row, *_OLDER.get(len(row), ()))


def to_bytes(call: NewCall) -> bytes:
    """A call as the spool keeps it."""
    return _encode({name: getattr(call, name) for name in _NAMES})


def from_bytes(body: bytes) -> NewCall:
    """A call from the spool. Raises ``ValueError`` or ``TypeError`` when it is none."""
    values: dict[str, Any] = _decode(body)
    known: dict[str, Any] = {name: value for name, value in values.items() if name in _NAMES}
    for name, value in known.items():
        if name == "keys":
            known[name] = tuple(RequestKey(**key) for key in value)
        elif name in _SHAPES:
            known[name] = msgspec.convert(value, _SHAPES[name])
            if name == "refused":
                known[name] = tuple([replace(r, message=_whole(r.message)) for r in known[name]])
        elif name in ("messages", "parts"):
            known[name] = [_whole(row) if name == "messages" else tuple(row) for row in value]
        elif isinstance(value, list):
            known[name] = tuple(value)
    return NewCall(**known | {"spooled": True})


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
        if (
            isinstance(result, SmsgwError) and result.code == "AUTH_NONCE_REPLAYED"
        ):  # another node has it, too
            ended.append((call, PartState.DUPLICATE, "DUPLICATE", {"original": result.detail["id"]}))
        elif isinstance(result, SmsgwError):
            ended.append(
                (call, PartState.REJECTED, result.code, {"code": result.code, "message": str(result)})
            )
        elif result.replay is not None and result.batch_id != call.batch_id:
            ended.append((call, PartState.DUPLICATE, "DUPLICATE", {"original": str(result.batch_id)}))
    now = clock.now()
    if ended:
        await _store_ended(connection, ended, now, ids)
    late = [
        (cast(int, row[0]), now, 0, "spooled", "{}")
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
    parts: list[dict[str, Any]] = []
    events: list[tuple[int, datetime, int, str, str]] = []
    for call, state, code, detail in ended:
        said = json.dumps(detail, ensure_ascii=False)
        for row in call.messages:
            messages.append((*row[:_PRICE], 0, *row[_PRICE + 1 :], detail.get("message", "")))
            events.append((cast(int, row[0]), now, 0, "refused", said))
        cls = "POLICY" if state is PartState.REJECTED else ""
        for row in call.parts:
            part = dict(zip(PART_COLUMNS, row, strict=True))
            part |= {
                "state": int(state),
                "code": code,
                "class": cls,
                "by_us": True,
                "final_at": now,
                "next_at": None,
            }
            parts.append(part)
    await enter(connection, "message", REFUSED_TYPES, messages)
    # Recipients that were refused when the call was taken keep their own reason.
    await record_refused(connection, [r for call, *_ in ended for r in call.refused])
    with_address = [call for call, *_ in ended if call.callback_url]
    for call in with_address:
        await own_address(connection, call)
    await enter(connection, "part", PART_TYPES, [tuple(p[c] for c in PART_COLUMNS) for p in parts])
    await outcomes.add_events(connection, events)
    rows = [p | {"channel_id": None, "answered_at": None, "claimed_at": None} for p in parts]
    finished = await outcomes.ended_messages(connection, cast("list[Row]", rows))
    await outcomes.report(connection, finished, ids, callbacks={call.account_id for call in with_address})
