"""The plan of numbers that phones see: who has which digits behind an access code, as a tree; where a reply could
belong to two; what is free.

Pure: of what is given. ``pipeline.numbering`` decides whose a reply is; what is called a conflict here is what it
cannot decide by the number alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import islice

LONGEST = 20
"""Digits of a whole number: what every protocol carries (SMPP has 20, the others 21)."""
LONGEST_EXTENSION = 12


class Kind(StrEnum):
    """What has digits."""

    ACCOUNT = "account"
    SIGN = "sign"
    TASK = "task"
    SCENARIO = "scenario"
    FORMER = "former"
    """An account or a signature had them: replies still find it, until then."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has digits behind every access code; none: the access code alone."""

    digits: str
    kind: Kind
    account_id: int
    account: str
    sign: str = ""
    title: str = ""
    """Of a task or scenario."""
    id: int = 0
    """Of it."""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """An access code of a channel, present or former."""

    channel_id: int
    channel: str
    code: str
    until: datetime | None = None


@dataclass(slots=True)
class Branch:
    """Digits, who has them, and what lies below them."""

    digits: str
    holders: list[Holder]
    below: list[Branch] = field(default_factory=list)


def tree(holders: Iterable[Holder]) -> list[Branch]:
    """By the digits: below each what begins with it. Accounts without digits come first, as a branch of none."""
    by_digits: dict[str, list[Holder]] = {}
    for one in holders:
        by_digits.setdefault(one.digits, []).append(one)
    roots: list[Branch] = []
    open_: list[Branch] = []
    for digits in sorted(by_digits):
        branch = Branch(digits, by_digits[digits])
        if not digits:
            roots.append(branch)
            continue
        while open_ and not digits.startswith(open_[-1].digits):
            open_.pop()
        (open_[-1].below if open_ else roots).append(branch)
        open_.append(branch)
    return roots


class Clash(StrEnum):
    """What is not plain."""

    SHARED = "shared"
    """Two accounts have the same digits."""
    CONTINUED = "continued"
    """An access code goes on as another one does with an extension."""
    COVERED = "covered"
    """Digits that a task or scenario sends from begin with another account's, and those are longer than its own's."""
    SAME_ACCESS = "same_access"
    """Two channels have the same access code: no harm where they are two ways to one carrier."""
    TOO_LONG = "too_long"
    """Access code and extension together are more than a carrier takes."""
    BELOW = "below"
    """An account's digits begin with another's: no further digits of the shorter may go on like that."""
    PLAIN = "plain"
    """Several accounts have no digits at all."""


BAD = frozenset({Clash.SHARED, Clash.CONTINUED, Clash.COVERED, Clash.TOO_LONG})
"""A reply may find the wrong one, or none; the others are good to know."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something that is not plain, and the number that it is about; ``holders`` and ``access`` are whom it concerns."""

    kind: Clash
    number: str
    holders: tuple[Holder, ...] = ()
    access: tuple[Access, ...] = ()

    @property
    def bad(self) -> bool:
        """Whether a reply may be given to the wrong one."""
        return self.kind in BAD

    @property
    def concerns(self) -> tuple[Clash, str, frozenset[tuple[Kind, int, str, int]]]:
        """What it is the same by as another one: kind, number, and who has digits there."""
        return self.kind, self.number, frozenset((h.kind, h.account_id, h.sign, h.id) for h in self.holders)


def conflicts(access: Sequence[Access], holders: Sequence[Holder]) -> list[Conflict]:
    """Everything that is not plain, what is bad first."""
    own = [one for one in holders if one.kind in (Kind.ACCOUNT, Kind.SIGN)]
    lent = [one for one in holders if one.kind in (Kind.TASK, Kind.SCENARIO)]
    present = [one for one in access if one.until is None]
    by_digits = _by_digits(own)
    found = [
        *_shared(by_digits), *_continued(access, [*own, *lent], by_digits), *_covered(lent, by_digits),
        *_too_long(present, [*own, *lent]), *_same(present), *_below(own),
    ]  # fmt: skip
    plain = tuple(one for one in own if not one.digits)
    if len({one.account_id for one in plain}) > 1:
        found.append(Conflict(Clash.PLAIN, "", plain))
    return sorted(found, key=lambda one: not one.bad)


MOST_OTHERS = 20
"""Whom a conflict names that may concern everybody without digits."""

_ByDigits = Mapping[str, Sequence[Holder]]


def _by_digits(own: Iterable[Holder]) -> _ByDigits:
    found: dict[str, list[Holder]] = {}
    for one in own:
        found.setdefault(one.digits, []).append(one)
    return found


def _nearest(own: _ByDigits, digits: str) -> Sequence[Holder]:
    """Who has the longest beginning of the digits."""
    return next((own[digits[:n]] for n in range(len(digits), -1, -1) if digits[:n] in own), ())


def _shared(own: _ByDigits) -> Iterable[Conflict]:
    for digits, who in sorted(own.items()):
        if digits and len({one.account_id for one in who}) > 1:
            yield Conflict(Clash.SHARED, digits, tuple(who))


def _continued(access: Sequence[Access], sending: Iterable[Holder], own: _ByDigits) -> Iterable[Conflict]:
    """``sending``: whoever sends from digits; a reply finds who has them, ``own``."""
    codes = {one.code: one for one in access}
    senders = sorted(sending, key=lambda one: one.digits)
    digits = [one.digits for one in senders]
    for long in sorted(codes, key=lambda code: (len(code), code)):
        for short in (long[:n] for n in range(1, len(long)) if long[:n] in codes):
            more, seen = long[len(short) :], ""
            for n in range(bisect_left(digits, more), len(senders)):
                one = senders[n]
                if not one.digits.startswith(more):
                    break
                if one.digits == seen:
                    continue
                rest = _nearest(own, one.digits[len(more) :])
                others = tuple(islice((o for o in rest if o.account_id != one.account_id), MOST_OTHERS))
                if others:
                    seen = one.digits
                    yield Conflict(Clash.CONTINUED, short + one.digits, (one, *others), (codes[short], codes[long]))


def _covered(lent: Iterable[Holder], own: _ByDigits) -> Iterable[Conflict]:
    for one in lent:
        nearest = _nearest(own, one.digits)
        if nearest and all(other.account_id != one.account_id for other in nearest):
            yield Conflict(Clash.COVERED, one.digits, (one, *islice(nearest, MOST_OTHERS)))


def _too_long(present: Sequence[Access], own: Sequence[Holder]) -> Iterable[Conflict]:
    for code in present:
        over = [one for one in own if one.digits and len(code.code) + len(one.digits) > LONGEST]
        if over:
            longest = max(over, key=lambda one: len(one.digits))
            yield Conflict(Clash.TOO_LONG, code.code + longest.digits, tuple(over), (code,))


def _same(present: Sequence[Access]) -> Iterable[Conflict]:
    by_code: dict[str, list[Access]] = {}
    for one in present:
        by_code.setdefault(one.code, []).append(one)
    for code, who in sorted(by_code.items()):
        if len(who) > 1:
            yield Conflict(Clash.SAME_ACCESS, code, (), tuple(who))


def _below(own: Sequence[Holder]) -> Iterable[Conflict]:
    digits = sorted((one for one in own if one.digits), key=lambda one: one.digits)
    open_: list[Holder] = []
    for one in digits:
        while open_ and not one.digits.startswith(open_[-1].digits):
            open_.pop()
        if open_ and open_[-1].digits != one.digits and open_[-1].account_id != one.account_id:
            yield Conflict(Clash.BELOW, one.digits, (open_[-1], one))
        open_.append(one)


@dataclass(frozen=True, slots=True)
class Range:
    """Free digits from ``first`` up to and including ``last``, of the same length."""

    first: str
    last: str

    @property
    def n(self) -> int:
        """How many."""
        return int(self.last) - int(self.first) + 1


MOST_RANGES = 50


def free(holders: Iterable[Holder], length: int, under: str = "") -> list[Range]:
    """The digits of this length, beginning with ``under``, that nobody has, had lately, or has anything below or above
    of, but for who has ``under`` itself or less: the first ``MOST_RANGES`` ranges, lowest first."""
    taken = {one.digits for one in holders if one.digits.startswith(under) and len(one.digits) > len(under)}
    begun = {digits[:n] for digits in taken for n in range(len(under), len(digits))}
    found: list[Range] = []

    def look(digits: str) -> None:
        """Goes at most ``length`` deep, and only where something is taken."""
        if digits in taken or len(found) > MOST_RANGES:
            return
        rest = length - len(digits)
        if digits not in begun:
            first, last = digits + "0" * rest, digits + "9" * rest
            if found and int(found[-1].last) + 1 == int(first):
                found[-1] = Range(found[-1].first, last)
            else:
                found.append(Range(first, last))
        elif rest:
            for n in range(10):
                look(f"{digits}{n}")

    if 0 < length <= LONGEST_EXTENSION and len(under) < length:
        if under in begun:
            for n in range(10):
                look(f"{under}{n}")
        else:
            look(under)
    return found[:MOST_RANGES]
