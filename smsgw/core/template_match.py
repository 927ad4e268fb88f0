"""Whether a text could have been made of pieces: fixed texts, and places that take a few characters of a kind.

A regular expression answers that, too, but tries every division of the text among the places. Here it is asked, from
the last piece to the first, at which positions the rest of the text may begin. The positions are the bits of a number,
so a piece costs a handful of operations on a number of as many bits as the text has characters.

That leaves names that occur more than once, whose values must be equal: no way is known to decide that which is never
slow. So the divisions that are left are tried, for a text at most ``MAX_STEPS`` of them; one that needs more does not
fit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MAX_STEPS = 2000
"""Values that are tried for names that occur more than once: some milliseconds. Honest texts need a hundred."""


@dataclass(frozen=True, slots=True)
class Literal:
    """What stands there as it is; not empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """1 to ``most`` characters; places of one name have the same ones."""

    name: str
    kind: re.Pattern[str]
    """One or more characters of its kind, whatever else the text has."""
    most: int


Piece = Literal | Place


@dataclass(slots=True)
class Patience:
    """How many values may still be tried for a text, whatever it is held against."""

    left: int = MAX_STEPS


def fits(pieces: Sequence[Piece], text: str, patience: Patience) -> bool:
    """Whether the text is made of the pieces, in their order and of nothing else."""
    if not pieces:
        return not text
    first, last = pieces[0], pieces[-1]
    if isinstance(first, Literal) and not text.startswith(first.text):
        return False  # as most texts are not made with most templates
    if isinstance(last, Literal) and not text.endswith(last.text):
        return False
    begins = _begins(pieces, text)
    if not begins[0] & 1:
        return False
    names = [piece.name for piece in pieces if isinstance(piece, Place)]
    return len(set(names)) == len(names) or _agrees(pieces, text, begins, patience)


def _begins(pieces: Sequence[Piece], text: str) -> list[int]:
    """For each piece, and for the end behind them: the positions (as bits) from where it and all that follow reach the
    end of the text, if names could have different values."""
    ends = 1 << len(text)
    begins = [0] * len(pieces) + [ends]
    kinds: dict[re.Pattern[str], int] = {}
    for number in range(len(pieces) - 1, -1, -1):
        piece = pieces[number]
        if isinstance(piece, Literal):
            ends = _positions(piece.text, text) & (ends >> len(piece.text))
        else:
            if piece.kind not in kinds:
                kinds[piece.kind] = _characters(piece.kind, text)
            ends = _before(ends, kinds[piece.kind], piece.most)
        begins[number] = ends
        if not ends:
            break
    return begins


def _positions(part: str, text: str) -> int:
    """Where the part occurs, overlaps included."""
    found = 0
    at = text.find(part)
    while at >= 0:
        found |= 1 << at
        at = text.find(part, at + 1)
    return found


def _characters(kind: re.Pattern[str], text: str) -> int:
    """Where characters of a kind stand."""
    found = 0
    for match in kind.finditer(text):
        found |= (1 << match.end()) - (1 << match.start())
    return found


def _before(ends: int, kind: int, most: int) -> int:
    """Positions from where 1 to ``most`` characters of the kind lead to one of the ends."""
    reached, length = (ends >> 1) & kind, 1
    while length < most and reached:
        # Where ``step`` characters of the kind follow, what is reached from behind them is reached from there, too.
        step = min(length, most - length)
        reached |= (reached >> step) & _runs(kind, step)
        length += step
    return reached


def _runs(kind: int, length: int) -> int:
    """Positions from where so many characters of the kind follow each other."""
    runs, known = kind, 1
    while known < length and runs:
        step = min(known, length - known)
        runs &= runs >> step
        known += step
    return runs


def _agrees(pieces: Sequence[Piece], text: str, begins: Sequence[int], patience: Patience) -> bool:
    """Whether the places of each name can have one value. Tries the longest values first, as a person would read it."""
    names = [piece.name for piece in pieces if isinstance(piece, Place)]
    again = {name for name in names if names.count(name) > 1}
    last = {piece.name: number for number, piece in enumerate(pieces) if isinstance(piece, Place)}
    waiting: list[tuple[int, int, tuple[tuple[str, str], ...]]] = [(0, 0, ())]
    seen = set(waiting)
    while waiting:
        number, at, values = waiting.pop()
        if number == len(pieces):
            return True
        piece = pieces[number]
        known = dict(values)
        if isinstance(piece, Literal):
            ends = [at + len(piece.text)]
        elif piece.name in known:
            value = known[piece.name]
            ends = [at + len(value)] if text.startswith(value, at) else []
        else:
            run = piece.kind.match(text, at, at + piece.most)
            ends = [] if run is None else list(range(at + 1, run.end() + 1))
        for end in ends:
            if not begins[number + 1] >> end & 1:
                continue
            following = values
            if isinstance(piece, Place) and piece.name in again:
                if number == last[piece.name]:
                    following = tuple(pair for pair in values if pair[0] != piece.name)
                elif piece.name not in known:
                    following = (*values, (piece.name, text[at:end]))
            state = (number + 1, end, following)
            if state not in seen:
                patience.left -= 1
                if patience.left < 0:
                    return False
                seen.add(state)
                waiting.append(state)
    return False
