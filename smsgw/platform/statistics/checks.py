"""What the nightly comparison of figures with records has found, for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from smsgw.core.actor import Actor
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Database, Row

_ORDERS = {"day": Order("(c.day - date '2000-01-01') * 2 + (c.span = 'day')::int", "bigint")}
_STATE = """
CASE WHEN c.different > 0 OR c.accepted <> c.submitted + c.refused + c.held THEN 'wrong'
     WHEN c.compared = 0 THEN 'open' ELSE 'right' END
"""
_MATCHES = f"c.day >= $1 AND c.day <= $2 AND ($3 = '' OR c.span = $3) AND ($4 = '' OR {_STATE} = $4)"
_SEARCH = f"""
SELECT c.*, c.differences::text AS told, {_STATE} AS state, {{key}} AS _key FROM figure_check c
WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}
"""  # noqa: S608 - constants
_HOW_MANY = f"SELECT count(*) FROM (SELECT FROM figure_check c WHERE {_MATCHES} LIMIT $5) n"  # noqa: S608
_ONE = f"SELECT c.*, c.differences::text AS told, {_STATE} AS state FROM figure_check c WHERE c.id = $1"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that is not what it should come to."""

    dimension: str
    """``""``: of all of the account."""
    account_id: int
    value: str
    word: str
    """``accepted``, or how messages have ended."""
    unit: str
    """``messages`` or ``units``."""
    shown: int
    counted: int
    """By the records of the day, or the days of the month."""


@dataclass(frozen=True, slots=True)
class Check:
    """The last look at a day or a month."""

    id: int
    span: str
    day: date
    checked_at: datetime
    state: str
    """``right``, ``wrong``, or ``open``: its reports still come, and its account alone was looked at."""
    compared: int
    different: int
    differences: Sequence[Difference]
    """The first of them."""
    accepted: int
    submitted: int
    refused: int
    held: int

    @property
    def missing(self) -> int:
        """Accepted, and neither submitted nor refused for a reason nor held: there must be none."""
        return self.accepted - self.submitted - self.refused - self.held

    @property
    def submission_rate(self) -> float | None:
        """Percent of the accepted that was given to a carrier."""
        return 100 * self.submitted / self.accepted if self.accepted else None

    @property
    def submission_success(self) -> float | None:
        """The same without what was refused for a reason, and what is held."""
        counts = self.accepted - self.refused - self.held
        return 100 * self.submitted / counts if counts > 0 else None


def _check(row: Row) -> Check:
    values: dict[str, Any] = {key: row[key] for key in Check.__dataclass_fields__ if key != "differences"}
    told = [Difference(**one) for one in json.loads(str(row["told"]))]
    return Check(**values, differences=told)


@dataclass(frozen=True, slots=True)
class WantedChecks:
    """Which are looked for; what is empty narrows nothing."""

    first: date
    last: date
    span: str = ""
    state: str = ""


async def search(database: Database, actor: Actor, wanted: WantedChecks, window: Window) -> Slice[Check]:
    """The last look at each day and month in that time, for who sees all accounts: they are of all together."""
    if actor.scope.whole is not None:
        return Slice([], [], more=False)
    asked = (wanted.first, wanted.last, wanted.span, wanted.state)
    return await read(database, _SEARCH, asked, _ORDERS, window, _check, id_="c.id")


async def how_many(database: Database, actor: Actor, wanted: WantedChecks, most: int) -> int:
    """How many there are, counted up to one more than ``most``."""
    if actor.scope.whole is not None:
        return 0
    asked = (wanted.first, wanted.last, wanted.span, wanted.state)
    number: int = await database.fetchval(_HOW_MANY, *asked, most + 1)
    return number


async def one(database: Database, actor: Actor, id_: int) -> Check | None:
    """One of them."""
    row = await database.fetchrow(_ONE, id_) if actor.scope.whole is None else None
    return None if row is None else _check(row)
