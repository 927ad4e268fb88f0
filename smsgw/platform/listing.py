"""Listings: rows that can be searched, counted and read by their id, declared once by what a row and its filter are::

    @dataclass(frozen=True, slots=True)
    class Key:
        id: int
        account: Annotated[str, "a.name"]
        status: str

    @dataclass(frozen=True, slots=True)
    class KeyFilter:
        account: Annotated[int | None, "k.account_id = {value}"] = None
        key_id: Annotated[str, "strpos(k.key_id, {value}) > 0"] = ""

    KEYS = Listing(
        Key, KeyFilter, "api_key k JOIN account a ON a.id = k.account_id", seen=of_accounts("k.account_id"),
        orders={"created_at": Order("k.created_at", "timestamptz")},
    )

A column without an annotation is the one of its name in the first table. A condition counts when its value is not the
default one. Values are parameters of the statement always: ``{value}`` is that of the filter (``{value[0]}`` of a
pair), and the actor's are those of ``_actor``. Other braces are the SQL's own (``'{}'::jsonb``); a name in braces that
is none of these is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cached_property
from typing import Any, Generic, TypeVar, get_args, get_type_hints

from smsgw.core.actor import Actor, ActorKind
from smsgw.platform.paging import Order, Slice, Window, clauses, slice_of
from smsgw.runtime import clock
from smsgw.store.engine.database import STATEMENT_TIMEOUT, Connection, Database, Row

R = TypeVar("R")
F = TypeVar("F")
_NAME = re.compile(r"\{([a-z_]+)(?:\[(\d+)\])?\}")
EVERYTHING = "{everything}"
"""For rows of the whole platform: whoever sees less sees none."""


def of_accounts(column: str) -> str:
    """For rows of accounts: of those that the actor sees whole."""
    return f"({{accounts}}::bigint[] IS NULL OR {column} = ANY({{accounts}}))"


def between(column: str) -> str:
    """The condition of a pair: from, and the first moment that is not in it any more; None: no such end."""
    since, until = "{value[0]}::timestamptz", "{value[1]}::timestamptz"
    return f"({since} IS NULL OR {column} >= {since}) AND ({until} IS NULL OR {column} < {until})"


def person(actor: Actor) -> int:
    """The id of the person who acts; 0: it is none."""
    return actor.id if actor.kind is ActorKind.PERSON else 0


def _list(ids: tuple[int, ...] | None) -> list[int] | None:
    return None if ids is None else list(ids)


def _actor(actor: Actor) -> dict[str, object]:
    """What the conditions of a listing can name of who looks, and when."""
    return {
        "accounts": _list(actor.scope.whole),
        "narrowed": _list(actor.scope.accounts),  # perhaps to what the submitter has submitted
        "submitter": actor.scope.submitter,
        "departments": _list(actor.scope.departments),
        "everything": actor.scope.whole is None,
        "person": person(actor),
        "label": actor.label,
        "now": clock.now(),
    }


class _Statement:
    """The arguments of a statement that is being written: what a piece of SQL names becomes a parameter, once."""

    def __init__(self, named: Mapping[str, object]) -> None:
        self._named = named
        self._numbers: dict[object, int] = {}
        self.arguments: list[object] = []

    def write(self, sql: str, value: object = None) -> str:
        """A piece with ``$1`` and so on in it. ``value`` is what this piece alone names so."""
        own = ("value", len(self.arguments))

        def parameter(match: re.Match[str]) -> str:
            name, index = match[1], match[2]
            if name != "value" and name not in self._named:
                raise TypeError(f"{match[0]} in a listing's SQL is not one of {sorted(self._named)} or value: {sql}")
            key: object = own if name == "value" else name
            found: Any = value if name == "value" else self._named[name]
            number = self._number(key, found) if index is None else self._number((key, index), found[int(index)])
            return f"${number}"

        return _NAME.sub(parameter, sql)

    def _number(self, key: object, value: object) -> int:
        """Of a parameter."""
        if key not in self._numbers:
            self.arguments.append(value)
            self._numbers[key] = len(self.arguments)
        return self._numbers[key]


def _annotated(cls: type[Any]) -> list[tuple[Field[Any], Any]]:
    """The fields of a dataclass, each with its annotation; None: it has none."""
    hints = get_type_hints(cls, include_extras=True)
    return [(one, getattr(hints[one.name], "__metadata__", (None,))[0]) for one in fields(cls)]


@dataclass(frozen=True)
class Listing(Generic[R, F]):
    """A kind of rows that can be listed."""

    row: type[R]
    """A dataclass; its fields are the columns, ``id`` among them."""
    filter: type[F]
    """A dataclass; each field is a condition, or by its value one of several (a mapping). ``NoneType``: it has none."""
    source: str
    """Tables and joins; the first one's alias stands before columns without an annotation."""
    seen: str
    """Which rows the actor may see at all."""
    orders: Mapping[str, Order]
    """The first one is the usual one."""
    make: Callable[[Row], R] | None = None
    """Makes a row of what was read; None: the values are as the row has them."""
    timeout: float = STATEMENT_TIMEOUT
    """Seconds for each of its statements."""

    @cached_property
    def _alias(self) -> str:
        return self.source.split(None, 2)[1]

    @cached_property
    def _select(self) -> str:
        columns = (f"{sql or f'{self._alias}.{one.name}'} AS {one.name}" for one, sql in _annotated(self.row))
        return f"{', '.join(columns)} FROM {self.source}"

    @cached_property
    def _conditions(self) -> list[tuple[str, object, str | Mapping[str, str]]]:
        found = _annotated(self.filter)
        if bare := [one.name for one, sql in found if sql is None or one.default is MISSING]:
            raise TypeError(f"{self.filter.__name__}: {bare} need a condition and a default")
        return [(one.name, one.default, sql) for one, sql in found]

    @cached_property
    def _numbers(self) -> frozenset[str]:
        hints = get_type_hints(self.filter).items()
        return frozenset(name for name, hint in hints if int in (hint, *get_args(hint)))

    def filter_of(self, values: Mapping[str, Any]) -> F:
        """The filter with these values by name; numbers may be texts."""
        return self.filter(**{key: int(one) if key in self._numbers else one for key, one in values.items()})

    @cached_property
    def _id(self) -> str:
        return next(sql or f"{self._alias}.id" for one, sql in _annotated(self.row) if one.name == "id")

    def _where(self, statement: _Statement, wanted: F | None) -> str:
        found = [statement.write(self.seen)]
        for name, default, sql in self._conditions if wanted is not None else ():
            if (value := getattr(wanted, name)) != default:
                found.append(statement.write(sql if isinstance(sql, str) else sql[value], value))
        return " AND ".join(found)

    def _made(self, row: Row) -> R:
        return self.row(*tuple(row)[1:]) if self.make is None else self.make(row)

    async def search(self, database: Database | Connection, actor: Actor, wanted: F | None, window: Window) -> Slice[R]:
        """A window of the rows that the actor sees and the filter lets through."""
        statement = _Statement(_actor(actor))
        where, select = self._where(statement, wanted), statement.write(self._select)
        c = clauses(self.orders, window, id_=self._id, first=len(statement.arguments) + 1)
        sql = f"SELECT {c.key} AS _key, {select} WHERE {where} AND {c.where} ORDER BY {c.order}"
        rows = await database.fetch(sql, *statement.arguments, *c.arguments, timeout=self.timeout)
        found = slice_of(rows, window, c.limit)
        return Slice([self._made(row) for row in found.rows], found.keys, found.more)

    async def count(self, database: Database | Connection, actor: Actor, wanted: F | None, most: int) -> int:
        """How many ``search`` finds, counted up to one more than ``most``."""
        statement = _Statement(_actor(actor))
        where = self._where(statement, wanted)
        source = statement.write(self.source)
        sql = f"SELECT count(*) FROM (SELECT FROM {source} WHERE {where} LIMIT {most + 1}) n"  # noqa: S608
        number: int = await database.fetchval(sql, *statement.arguments, timeout=self.timeout)
        return number

    async def get(self, database: Database | Connection, actor: Actor, id_: int) -> R | None:
        """A row by its id; None: there is none that the actor sees."""
        statement = _Statement(_actor(actor))
        where, select = self._where(statement, None), statement.write(self._select)
        own = statement.write(f"{self._id} = {{value}}::bigint", id_)
        sql = f"SELECT NULL AS _key, {select} WHERE {where} AND {own}"
        row = await database.fetchrow(sql, *statement.arguments, timeout=self.timeout)
        return None if row is None else self._made(row)
