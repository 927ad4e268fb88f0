"""The list of what was sent (发送记录): found by what a message, or one of its parts, has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from smsgw.core import states
from smsgw.core.actor import Actor, ActorLabel
from smsgw.core.ids import first_id, time_of
from smsgw.core.states import PartState
from smsgw.platform.messages.model import MessageView
from smsgw.platform.messages.queries import SELECT, states_of, views
from smsgw.platform.paging import Order, Slice, Window, clauses, slice_of
from smsgw.store.engine.database import Database
from smsgw.store.engine.states import by_name


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; None: anything."""

    from_time: datetime
    to_time: datetime
    message: int | None = None
    batch: int | None = None
    account: int | None = None
    phone: str | None = None
    """E.164 digits."""
    type: str | None = None
    sign: str | None = None
    carrier: str | None = None
    province: str | None = None
    """What it begins with."""
    origin: str | None = None
    submitter: ActorLabel | None = None
    client_ref: str | None = None
    extension: str | None = None
    test: str | None = None
    """``true`` or ``false``: whether a test key has sent it."""
    result: str | None = None
    """One of ``RESULTS``: how the whole message has ended, as the statistics count it."""
    status: str | None = None
    """That of one part at least, as the following."""
    channel: int | None = None
    reason: str | None = None
    """Class of the failure."""
    code: str | None = None
    task: int | None = None


RESULTS: dict[str, frozenset[str]] = {
    "delivered": frozenset({"delivered"}),
    "failed": frozenset({"failed"}),
    "unknown": frozenset({"unconfirmed", "no_report"}),
    "unsent": frozenset({"rejected", "expired", "cancelled", "duplicate"}),
}
"""How messages end, in short: statuses of each; what is in none of them is on its way."""
PENDING = "pending"


class Sums(NamedTuple):
    """Of all that is found; of the newest, when there are more than were asked for."""

    messages: int
    parts: int
    price: int


ORDERS = {"time": Order("x.id", "bigint")}
_MESSAGE = {
    "message": "x.id = {}::bigint", "batch": "x.batch_id = {}::bigint", "account": "x.account_id = {}::bigint",
    "phone": "x.number = {}", "type": "x.type = {}", "sign": "x.sign = {}", "carrier": "x.carrier = {}",
    "province": "starts_with(x.province, {})", "origin": "x.origin = {}", "submitter": "x.submitter = {}",
    "client_ref": "(x.client_ref = {0} AND x.client_ref <> '')", "extension": "x.extend_code = {}",
    "test": "x.test = {}::text::bool",
    "task": "EXISTS (SELECT FROM task_chunk k WHERE k.task_id = {}::bigint"
            " AND x.id >= k.base_id AND x.id < k.base_id + k.size)",
}  # fmt: skip
# Said in constants beside the rest, so that the index of the few that did not arrive is known to hold them.
_ENDED = by_name("EXISTS (SELECT FROM part e WHERE e.id = x.id AND e.id >= $1 AND e.id < $2 AND e.state > :DELIVERED)")
_PART_ENDED = by_name("s.state > :DELIVERED")
_NOT_ARRIVED = frozenset(state for state in PartState if state > PartState.DELIVERED)
_PART = {"channel": "s.channel_id = {}::int", "reason": "s.class = {} AND s.class <> ''", "code": "s.code = {}"}
# The part that says what the message is: of the first state in the order of ranks.
_RESULT = """
(SELECT s.state * 2 + s.by_us::int FROM part s WHERE s.id = x.id AND s.id >= $1 AND s.id < $2
 ORDER BY array_position({ranks}::smallint[], s.state), s.part LIMIT 1) = ANY({codes}::int[])
"""
_ROWS = "SELECT x.*, {key} AS _key FROM message x WHERE {found} AND {where} ORDER BY {order}"
# Few parts in a part of the table of their own: their messages are looked up, and not all messages gone through.
_SUMS_OF_FEW = """
WITH e AS MATERIALIZED (SELECT DISTINCT s.id FROM part s WHERE s.id >= $1 AND s.id < $2 AND {few})
SELECT count(*) AS messages, COALESCE(sum(f.parts), 0) AS parts, COALESCE(sum(f.price), 0) AS price
FROM (
    SELECT m.parts, m.price FROM (SELECT id FROM e ORDER BY id DESC) e
    CROSS JOIN LATERAL (SELECT x.parts, x.price FROM message x WHERE x.id = e.id AND {found} OFFSET 0) m LIMIT {limit}
) f
"""
_SUMS = """
SELECT count(*) AS messages, COALESCE(sum(f.parts), 0) AS parts, COALESCE(sum(f.price), 0) AS price
FROM (SELECT parts, price FROM message x WHERE {found} ORDER BY x.id DESC LIMIT {limit}) f
"""


def _found(actor: Actor, wanted: Wanted) -> tuple[str, list[object]]:
    """The condition for what is wanted, in constant texts, and its parameters."""
    low, high = first_id(wanted.from_time), first_id(wanted.to_time)
    if wanted.batch is not None:  # a call's ids are made in one go: they lie within moments of the first
        low, high = max(low, wanted.batch), min(high, first_id(time_of(wanted.batch) + timedelta(seconds=10)))
    scope = actor.scope.whole
    arguments: list[object] = [max(low, 0), max(high, 0), None if scope is None else list(scope)]

    def put(value: object, text: str) -> str:
        arguments.append(value)
        return text.format(f"${len(arguments)}")

    said = ["x.id >= $1 AND x.id < $2 AND ($3::bigint[] IS NULL OR x.account_id = ANY($3))"]
    values = {name: getattr(wanted, name) for name in (*_MESSAGE, *_PART)}
    said += [put(values[name], text) for name, text in _MESSAGE.items() if values[name] is not None]
    if wanted.result is not None:
        arguments.append([int(state) for state in sorted(states.RANK, key=states.RANK.__getitem__)])
        arguments.append(_codes(wanted.result))
        said.append(_RESULT.format(ranks=f"${len(arguments) - 1}", codes=f"${len(arguments)}"))
        if _all_ended(code // 2 for code in _codes(wanted.result)):
            said.append(_ENDED)
    of_part = [put(values[name], text) for name, text in _PART.items() if values[name] is not None]
    if wanted.status is not None:
        numbers, by_us = states_of(wanted.status)
        of_part.append(put(numbers, "s.state = ANY({}::smallint[])"))
        of_part += [_PART_ENDED] * _all_ended(numbers)
        if by_us is not None:
            of_part.append(put(by_us, "s.by_us = {}::bool"))
    if of_part:
        inner = " AND ".join(["s.id = x.id AND s.id >= $1 AND s.id < $2", *of_part])
        said.append(f"EXISTS (SELECT FROM part s WHERE {inner})")
    return " AND ".join(said), arguments


def _codes(result: str) -> list[int]:
    """State and whether it was our refusal, as one number, of the parts that make a message end so."""
    statuses = RESULTS.get(result)
    ended = frozenset().union(*RESULTS.values())
    return [
        int(state) * 2 + by_us
        for state in PartState
        for by_us in (False, True)
        if (status := states.status_of(state, by_us)) in (statuses or ())
        or (result == PENDING and status not in ended)
    ]


async def search(database: Database, actor: Actor, wanted: Wanted, window: Window) -> Slice[MessageView]:
    """Messages in the scope, a window of them."""
    found, arguments = _found(actor, wanted)
    c = clauses(ORDERS, window, id_="x.id", first=len(arguments) + 1)
    page = _ROWS.format(key=c.key, found=found, where=c.where, order=c.order)
    way = "DESC" if window.descending != window.backwards else "ASC"
    rows = await database.fetch(SELECT.format(page=page, way=way), *arguments, *c.arguments)
    got = slice_of(rows, window, c.limit)
    return Slice(await views(got.rows), got.keys, got.more)


async def sums(database: Database, actor: Actor, wanted: Wanted, most: int) -> Sums:
    """How many there are, and what they come to; at most ``most`` are looked at."""
    found, arguments = _found(actor, wanted)
    few = _few(wanted, arguments)
    statement = (_SUMS_OF_FEW if few else _SUMS).format(found=found, few=few, limit=int(most))
    (row,) = await database.fetch(statement, *arguments)
    return Sums(int(row["messages"]), int(row["parts"]), int(row["price"]))


def _few(wanted: Wanted, arguments: list[object]) -> str:
    """What the parts have that the messages are found by, if an index holds those alone; empty: none does."""
    if wanted.reason is not None:
        arguments.append(wanted.reason)
        return _PART["reason"].format(f"${len(arguments)}")
    of_result = wanted.result is not None and _all_ended(code // 2 for code in _codes(wanted.result))
    of_status = wanted.status is not None and _all_ended(states_of(wanted.status)[0])
    return _PART_ENDED if of_result or of_status else ""


def _all_ended(found: Iterable[int]) -> bool:
    return set(found) <= _NOT_ARRIVED
