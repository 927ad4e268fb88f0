"""Statements that name the first day they are about.

A writer's plan is made once for all values of its parameters, so it has every day in it that is kept: to make it, the
server reads what it knows of the tables and indexes of all these days and locks them, and each time it is run it locks
the tables, one by one, before it finds out by the lower bound of the id that most of them are not meant. Where the
start of the bound's day stands in the text beside it, the days before are not in the plan at all (docs/adr/099). That
says nothing new: no row has an id from the bound on and below the start of the bound's day.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from smsgw.core.ids import day_start

_BOUND = re.compile(r"(?<![\w.+])((?:\w+\.)?id) >= \$(\d+)(?!\w| *[-+*/])")
"""A lower bound of ids that is a parameter and nothing else."""


@lru_cache(maxsize=1024)
def _bounds(statement: str) -> tuple[int, ...]:
    return tuple(sorted({int(found[2]) for found in _BOUND.finditer(statement)}))


@lru_cache(maxsize=1024)
def _naming(statement: str, starts: tuple[int | None, ...]) -> str:
    start_of = dict(zip(_bounds(statement), starts, strict=True))

    def named(found: re.Match[str]) -> str:
        start = start_of[int(found[2])]
        return found[0] if start is None else f"({found[0]} AND {found[1]} >= {start})"

    return _BOUND.sub(named, statement)


def named(statement: str, arguments: Sequence[object]) -> str:
    """The statement with the first day of each lower bound of ids; the same text for all bounds of a day."""
    bounds = _bounds(statement)
    if not bounds:
        return statement
    given = (arguments[n - 1] if n <= len(arguments) else None for n in bounds)
    return _naming(statement, tuple(day_start(low) if isinstance(low, int) else None for low in given))
