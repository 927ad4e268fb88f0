"""Keyset paging: a window on rows in a whitelisted order, one statement a page, however far down it lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from smsgw.store.engine.database import STATEMENT_TIMEOUT, Connection, Database, Row

T = TypeVar("T")

MOST = 1000
"""Rows of one window."""


@dataclass(frozen=True, slots=True)
class Order:
    """One way to put rows in order. The expression is never null; its text, read as the type, is the same value."""

    expression: str
    type: str


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows of an order are wanted."""

    sort: str = ""
    """Key of the order; empty or unknown: the first one."""
    descending: bool = True
    after: tuple[str, int] | None = None
    """Value and id of the row beyond which it begins."""
    backwards: bool = False
    """The rows before that one, not after it."""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Clauses:
    """What a statement needs: it selects ``key`` as ``_key``, and one row more than the window's limit."""

    where: str
    order: str
    key: str
    arguments: tuple[object, ...]
    limit: int


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """Rows of a window, in its order whichever way it was read."""

    rows: Sequence[T]
    keys: Sequence[tuple[str, int]]
    """Of each row: what a window after it, or before it, begins with."""
    more: bool
    """There are others further on, in the direction in which it was read."""


def clauses(orders: Mapping[str, Order], window: Window, *, id_: str, first: int) -> Clauses:
    """The clauses for a window; ``first`` is the number of its first parameter. Nothing of the window gets into the
    text of the statement."""
    order = orders.get(window.sort) or next(iter(orders.values()))
    down = window.descending != window.backwards
    way = "DESC" if down else "ASC"
    where, arguments = "true", tuple[object, ...]()
    if window.after is not None:
        sign, value = "<" if down else ">", f"${first}::text::{order.type}"
        where = f"({order.expression}, {id_}) {sign} ({value}, ${first + 1}::bigint)"
        arguments = window.after
    limit = max(1, min(window.limit, MOST))
    by = f"{order.expression} {way}, {id_} {way} LIMIT {limit + 1}"
    return Clauses(where, by, f"({order.expression})::text", arguments, limit)


def slice_of(rows: Sequence[Row], window: Window, limit: int) -> Slice[Row]:
    """The rows that such a statement has given, which have ``id`` and ``_key``."""
    more, kept = len(rows) > limit, list(rows[:limit])
    if window.backwards:
        kept.reverse()
    return Slice(kept, [(row["_key"], row["id"]) for row in kept], more)


def as_it_is(row: Row) -> Row:
    """For ``read``, where a row is not made into anything."""
    return row


async def read(
    source: Database | Connection,
    statement: str,
    arguments: Sequence[object],
    orders: Mapping[str, Order],
    window: Window,
    make: Callable[[Row], T],
    *,
    id_: str,
    timeout: float = STATEMENT_TIMEOUT,  # noqa: ASYNC109 - the statement's own
) -> Slice[T]:
    """A window of what a statement finds. ``statement`` has places for ``{key}``, ``{where}`` and ``{order}``; the
    window's own parameters come after ``arguments``."""
    c = clauses(orders, window, id_=id_, first=len(arguments) + 1)
    sql = statement.format(key=c.key, where=c.where, order=c.order)
    found = slice_of(await source.fetch(sql, *arguments, *c.arguments, timeout=timeout), window, c.limit)
    return Slice([make(row) for row in found.rows], found.keys, found.more)
