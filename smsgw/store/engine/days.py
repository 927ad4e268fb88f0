"""Statements that name the days they are about.

A writer's plan is made once for all values of its parameters, so it has every day in it that is kept or made ahead: to
make it, the server reads what it knows of the tables and indexes of all these days and locks them, and each time it is
run it locks the tables, one by one, before it finds out by the bounds of the id that most of them are not meant. Where
the start of the lower bound's day stands in the text beside it, the days before are not in the plan at all, nor are the
days behind where a statement says up to which ids it goes (docs/adr/099). That says nothing new: no row has an id from
the bound on and below the start of the bound's day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from smsgw.core.ids import day_end, day_start

_BOUND = re.compile(r"(?<![\w.+])((?:\w+\.)?id) >= \$(\d+)(?!\w|::| *[-+*/])")
"""A lower bound of ids that is a parameter and nothing else."""
_TO = re.compile(r"^-- ids from \$(\d+) to \$(\d+)$", re.MULTILINE)
"""What a statement says of itself: nowhere does it mean an id that is from the one parameter on and above the other (or
the highest of the other, which may be an array)."""
_MOST = 2**63 - 1


@lru_cache(maxsize=1024)
def _bounds(statement: str) -> tuple[tuple[int, int], ...]:
    """The parameters that are lower bounds, each with the one that says up to which ids it goes (0: none does)."""
    ends = {int(found[1]): int(found[2]) for found in _TO.finditer(statement)}
    return tuple((n, ends.get(n, 0)) for n in sorted({int(found[2]) for found in _BOUND.finditer(statement)}))


@lru_cache(maxsize=1024)
def _naming(statement: str, days: tuple[tuple[int, int] | None, ...]) -> str:
    of = dict(zip((low for low, _ in _bounds(statement)), days, strict=True))

    def named(found: re.Match[str]) -> str:
        day = of[int(found[2])]
        if day is None:
            return found[0]
        start, end = day
        # Two plain constants would look like a narrow range, and plans would go along the primary key.
        below = f" AND {found[1]} < ANY ('{{{end}}}')" if end else ""
        return f"({found[0]} AND {found[1]} >= {start}{below})"

    return _BOUND.sub(named, statement)


def _days(low: object, high: object) -> tuple[int, int] | None:
    """From where the days of these ids begin to where they end (0: not known)."""
    if not isinstance(low, int):
        return None
    if isinstance(high, Sequence) and not isinstance(high, str):
        high = max(high, default=0)
    end = day_end(high) if isinstance(high, int) and high >= low else 0
    return day_start(low), end if end <= _MOST else 0


def named(statement: str, arguments: Sequence[object]) -> str:
    """The statement with the days of each lower bound of ids; the same text for all bounds of the same days."""
    bounds = _bounds(statement)
    if not bounds:
        return statement

    def given(n: int) -> object:
        return arguments[n - 1] if 0 < n <= len(arguments) else None

    return _naming(statement, tuple(_days(given(low), given(high)) for low, high in bounds))
