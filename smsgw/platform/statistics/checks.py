"""What the nightly comparison of figures with records has found, for people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from smsgw.platform.listing import EVERYTHING, Listing
from smsgw.platform.paging import Order
from smsgw.store.engine.database import Row

_HERE = "AT TIME ZONE 'Asia/Shanghai'"
_STATE = """
CASE WHEN c.different > 0 OR c.accepted <> c.submitted + c.refused + c.held THEN 'wrong'
     WHEN c.compared = 0 THEN 'open' ELSE 'right' END
"""


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
    state: Annotated[str, _STATE]
    """``right``, ``wrong``, or ``open``: its reports still come, and its account alone was looked at."""
    compared: int
    different: int
    differences: Annotated[Sequence[Difference], "c.differences::text"]
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
    values: dict[str, Any] = {key: value for key, value in row.items() if key != "_key"}
    return Check(**values | {"differences": [Difference(**one) for one in json.loads(row["differences"])]})


@dataclass(frozen=True, slots=True)
class CheckFilter:
    """Which checks are looked for: of days, and of months that have any of the time."""

    since: Annotated[datetime | None, f"c.day >= date_trunc('month', {{value}}::timestamptz {_HERE})::date"] = None
    until: Annotated[datetime | None, f"c.day < ({{value}}::timestamptz {_HERE})::date"] = None
    span: Annotated[str, "c.span = {value}"] = ""
    check_state: Annotated[str, f"{_STATE} = {{value}}"] = ""


CHECKS = Listing(
    Check,
    CheckFilter,
    "figure_check c",
    seen=EVERYTHING,
    orders={"day": Order("(c.day - date '2000-01-01') * 2 + (c.span = 'day')::int", "bigint")},
    make=_check,
)
