"""The accept transaction with what a replay of the spool adds: what the database refuses then ends as a message that
was never sent, with its reason and a report, because its caller holds an answer that says accepted."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

import msgspec

from smsgw.core.errors import SmsgwError
from smsgw.core.states import PartState
from smsgw.runtime import clock
from smsgw.store.engine.cte_batch import enter
from smsgw.store.engine.database import Connection, Row
from smsgw.store.messages import outcomes
from smsgw.store.messages.accepting import Revise, commit_calls, own_address, record_refused
from smsgw.store.messages.calls import (
    PART_TYPES,
    REFUSED_TYPES,
    Entrances,
    LinkRow,
    MessageRow,
    NewCall,
    PartRow,
    Stored,
)

VERSION = 2
"""Of records of the spool: version, CRC-32 of ``COLUMNS``, a ``NewCall`` by name whose rows are arrays in that order.
Columns and fields come and go without a new version; every other change needs one."""

_encode = msgspec.msgpack.Encoder().encode
_call = msgspec.msgpack.Decoder(NewCall).decode
_ROWS: dict[str, type[tuple[Any, ...]]] = {"messages": MessageRow, "parts": PartRow, "links": LinkRow}
COLUMNS = _encode({place: row._fields for place, row in _ROWS.items()})  # type: ignore[attr-defined]
"""The names of the rows' columns. A segment of the spool begins with them: another version may have others."""
_CRC = zlib.crc32(COLUMNS)


_FIRST_EMPTY = "let the smsgw that wrote it empty the spool, then update"


class _Record(msgspec.Struct, array_like=True):
    version: int
    columns: object = 0
    call: msgspec.Raw = msgspec.Raw()


_record = msgspec.msgpack.Decoder(_Record).decode
_Fit = Callable[[Sequence[object]], list[object]]


def to_bytes(call: NewCall) -> bytes:
    """A call as the spool keeps it."""
    return _encode((VERSION, _CRC, call))


def from_bytes(body: bytes, columns: bytes = COLUMNS) -> NewCall:
    """A call from a segment of the spool that begins with ``columns``. Columns that are not known here are left out,
    those that it does not have get their defaults. Raises ``ValueError``, without values of the call, when it is none,
    of a version that is not known here, or has not what is needed here."""
    try:
        record = _record(body)
        if record.version == VERSION:
            call = _call(record.call if record.columns == _CRC else _in_our_order(record, columns))
            return replace(call, spooled=True)
    except msgspec.DecodeError as exc:
        raise ValueError(f"a record of the spool is no call: {exc}") from exc
    raise ValueError(
        f"a record of version {record.version} in the spool, where this smsgw reads version {VERSION}: {_FIRST_EMPTY}"
    )


def _in_our_order(record: _Record, columns: bytes) -> bytes:
    """The call of a record that another smsgw has written, with its rows in the order of our columns."""
    if record.columns != zlib.crc32(columns):
        raise ValueError("a record of another smsgw, in a segment whose names of columns are damaged")
    fits = _fits(columns)
    call = msgspec.msgpack.decode(record.call, type=dict[str, Any])
    try:
        for place in _ROWS.keys() & call.keys():
            call[place] = [fits[place](row) for row in call[place]]
        for refused in call.get("refused", ()):
            refused["message"] = fits["messages"](refused["message"])
            refused["part"] = fits["parts"](refused["part"])
    except (KeyError, TypeError) as exc:
        raise ValueError(f"a record of another smsgw is no call as it is known here ({type(exc).__name__})") from exc
    return _encode(call)


@lru_cache(maxsize=16)
def _fits(columns: bytes) -> dict[str, _Fit]:
    theirs = msgspec.msgpack.decode(columns, type=dict[str, list[str]])
    return {place: _fit(place, row, theirs.get(place, [])) for place, row in _ROWS.items()}


def _fit(place: str, row: Any, theirs: list[str]) -> _Fit:
    ours: list[str] = list(row._fields)

    def fit(values: Sequence[object]) -> list[object]:
        if len(values) != len(theirs):
            raise ValueError(f"{place} in the spool with {len(values)} values for {len(theirs)} columns")
        named = row._field_defaults | dict(zip(theirs, values, strict=True))
        if missing := [name for name in ours if name not in named]:
            raise ValueError(f"{place} in the spool have no {', '.join(missing)}: {_FIRST_EMPTY}")
        return [named[name] for name in ours]

    return fit


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
