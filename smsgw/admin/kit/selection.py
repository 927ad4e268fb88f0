"""Selections of rows: by their boxes, or all that a filter finds, which is a token that only the server can make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from smsgw.admin.kit import tokens
from smsgw.admin.kit.filters import Problem, read_id
from smsgw.admin.words import kit as words
from smsgw.platform.handles import Sealer

LASTS = timedelta(minutes=15)
MOST = 1000
"""Rows that one action changes."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What was selected. Either ids, or everything that the filter ``state`` finds as of ``at``."""

    ids: tuple[int, ...] = ()
    state: Mapping[str, str] | None = None
    count: int = 0
    at: datetime | None = None

    @property
    def all(self) -> bool:
        """Whether it is all that the filter finds."""
        return self.state is not None


def token(sealer: Sealer, name: str, login: str, state: Mapping[str, str], count: int, now: datetime) -> str:
    """The token for all rows of a list that a filter finds, of which there were ``count``; good for this person."""
    return tokens.make(sealer, f"selection {name} {login}", [dict(state), count, int(now.timestamp())])


def read(sealer: Sealer, name: str, login: str, ids: Sequence[str], given: str, now: datetime) -> Selection | Problem:
    """The selection of a form: its token when it has one, or else its ids."""
    if given:
        match tokens.read(sealer, f"selection {name} {login}", given):
            case [dict(state), int(count), int(at)] if now.timestamp() - at <= LASTS.total_seconds():
                selection = Selection((), state, count, datetime.fromtimestamp(at, UTC))
            case _:
                return Problem(words.OLD_SELECTION)
        size = count
    else:
        chosen = dict.fromkeys(id_ for text in ids if (id_ := read_id(text)) is not None)
        selection, size = Selection(tuple(chosen), count=len(chosen)), len(chosen)
    if not size:
        return Problem(words.NOTHING_SELECTED)
    return Problem(words.TOO_MANY_SELECTED, {"most": MOST}) if size > MOST else selection


def grown(selection: Selection, now: int) -> Problem | None:
    """Whether there are more by now than the person has seen: those were not meant."""
    if selection.all and now > selection.count:
        return Problem(words.GROWN_SELECTION, {"now": now, "then": selection.count})
    return None
