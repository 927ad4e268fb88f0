"""Listings make statements that PostgreSQL takes: each order, and each condition of each filter."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest

import smsgw.platform
from smsgw.core.actor import Actor, ActorKind, Scope
from smsgw.core.permissions import ALL
from smsgw.platform.listing import Listing, between, of_accounts
from smsgw.platform.paging import Order, Window
from smsgw.store.engine.database import Database

CLERK = Actor(ActorKind.PERSON, "clerk", 7, ALL, Scope((1,), (2,)))


def listings() -> dict[str, Listing[Any, Any]]:
    names = [module.name for module in pkgutil.walk_packages(smsgw.platform.__path__, "smsgw.platform.")]
    modules = [importlib.import_module(name) for name in names]
    found = {f"{m.__name__}.{name}": one for m in modules for name, one in vars(m).items() if isinstance(one, Listing)}
    return {name.removeprefix("smsgw.platform."): one for name, one in found.items()}


def values(hint: Any) -> Iterator[Any]:
    """Something that narrows, for a field of a filter: each of its choices."""
    kind, *about = get_args(hint)
    if isinstance(about[0], Mapping):
        yield from about[0]
    elif get_origin(kind) is Sequence:
        yield ("x",)
    elif kind is bool:
        yield True
    elif int in (kind, *get_args(kind)):
        yield 1
    elif str in (kind, *get_args(kind)):
        yield "10.0.0.1"  # an address is a text, too
    elif datetime in (kind, *get_args(kind)):
        yield datetime.now(UTC)
    else:
        raise AssertionError(f"a value for {hint}")


def filters(cls: type[Any]) -> Iterator[Any]:
    """The filter with each of its fields alone, and with all of them."""
    if cls is NoneType:
        yield None
        return
    hints = get_type_hints(cls, include_extras=True)
    every = {}
    for field in fields(cls):
        hint = get_args(hints[field.name])[0]
        if get_args(hint) == (str, Sequence[str]):
            every[field.name] = ("x", ["y"])
            yield cls(**{field.name: every[field.name]})
            continue
        if get_origin(hint) is tuple:
            every[field.name] = (datetime.now(UTC), None)
            yield cls(**{field.name: (None, datetime.now(UTC))})
            continue
        for value in values(hints[field.name]):
            every[field.name] = value
            yield cls(**{field.name: value})
    yield cls(**every)


@pytest.mark.parametrize("name", listings())
async def test_statements_of_a_listing_run(database: Database, name: str) -> None:
    listing = listings()[name]
    for order in listing.orders:
        window = Window(order)
        found = await listing.search(database, CLERK, None, window)
        for backwards in (False, True):
            after = found.keys[0] if found.keys else None
            await listing.search(database, CLERK, None, Window(order, after=after, backwards=backwards))
    for wanted in filters(listing.filter):
        await listing.search(database, CLERK, wanted, Window())
        await listing.count(database, CLERK, wanted, 10)
    assert await listing.get(database, CLERK, 2**62) is None


@dataclass(frozen=True, slots=True)
class Thing:
    id: int
    account: Annotated[str, "a.name"]
    late: Annotated[bool, "t.until < {now}"]


@dataclass(frozen=True, slots=True)
class ThingFilter:
    name: Annotated[str, "(t.name = {value} OR t.note = {value})"] = ""
    mine: Annotated[str, {"yes": "t.by = {label}"}] = ""
    at: Annotated[tuple[datetime | None, datetime | None], between("t.at")] = (None, None)


THINGS = Listing(
    Thing, ThingFilter, "thing t JOIN account a ON a.id = t.account_id", of_accounts("t.account_id"),
    {"name": Order("t.name", "text")},
)  # fmt: skip


class Heard:
    """Takes a statement down instead of running it."""

    async def fetch(self, sql: str, *arguments: object, **_: float) -> list[Any]:
        self.sql, self.arguments = sql, arguments
        return []

    async def fetchval(self, sql: str, *arguments: object, **_: float) -> int:
        self.sql, self.arguments = sql, arguments
        return 0

    async def fetchrow(self, sql: str, *arguments: object, **limits: float) -> None:
        self.sql, self.arguments, self.limits = sql, arguments, limits


async def test_a_condition_counts_when_its_value_is_not_the_default() -> None:
    heard: Any = Heard()
    since = datetime.now(UTC)
    wanted = ThingFilter(name="a'b", mine="yes", at=(since, None))
    await THINGS.search(heard, CLERK, wanted, Window("name", descending=False, after=("b", 3), limit=5))
    *arguments, now = heard.arguments[:6]
    assert heard.sql == (
        "SELECT (t.name)::text AS _key, t.id AS id, a.name AS account, t.until < $6 AS late"
        " FROM thing t JOIN account a ON a.id = t.account_id"
        " WHERE ($1::bigint[] IS NULL OR t.account_id = ANY($1)) AND (t.name = $2 OR t.note = $2) AND t.by = $3"
        " AND ($4::timestamptz IS NULL OR t.at >= $4::timestamptz)"
        " AND ($5::timestamptz IS NULL OR t.at < $5::timestamptz)"
        " AND (t.name, t.id) > ($7::text::text, $8::bigint) ORDER BY t.name ASC, t.id ASC LIMIT 6"
    )
    assert (arguments, heard.arguments[6:]) == ([[1], "a'b", "clerk", since, None], ("b", 3))
    await THINGS.count(heard, CLERK, ThingFilter(), 9)
    assert heard.sql.endswith("WHERE ($1::bigint[] IS NULL OR t.account_id = ANY($1)) LIMIT 10) n")
    assert heard.arguments == ([1],)
    assert now >= since


def test_numbers_of_an_address_are_read() -> None:
    @dataclass(frozen=True)
    class Wanted:
        account: Annotated[int | None, "t.account_id = {value}"] = None
        name: Annotated[str, "t.name = {value}"] = ""

    listing = Listing(Thing, Wanted, "thing t", "true", {})
    assert listing.filter_of({"account": "12", "name": "34"}) == Wanted(12, "34")


async def test_getting_one_has_the_time_of_the_listing() -> None:
    heard: Any = Heard()
    listing = Listing(Thing, NoneType, "thing t JOIN account a ON a.id = t.account_id", "true", {}, timeout=7)
    assert await listing.get(heard, CLERK, 3) is None
    assert heard.limits == {"timeout": 7}


async def test_braces_of_sql_stay_and_names_that_are_none_are_refused() -> None:
    @dataclass(frozen=True, slots=True)
    class Tagged:
        id: int
        tags: Annotated[str, "COALESCE(t.tags, '{}')::text"]

    @dataclass(frozen=True, slots=True)
    class Misspelt:
        id: int
        late: Annotated[bool, "t.until < {nwo}"]

    heard: Any = Heard()
    orders = {"id": Order("t.id", "bigint")}
    await Listing(Tagged, NoneType, "thing t", "t.ids && '{1,2}'::int[]", orders).search(heard, CLERK, None, Window())
    assert "COALESCE(t.tags, '{}')::text AS tags" in heard.sql
    assert "t.ids && '{1,2}'::int[]" in heard.sql
    with pytest.raises(TypeError, match=r"\{nwo\} in a listing's SQL is not one of"):
        await Listing(Misspelt, NoneType, "thing t", "true", orders).search(heard, CLERK, None, Window())
