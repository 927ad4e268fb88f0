"""Verification of the audit log: heads and anchors of its chain, and what does not fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

MAX_PROBLEMS = 200
"""Told one by one; the rest is counted."""


class Head(NamedTuple):
    """A link: its number (the first is 1) and its HMAC."""

    seq: int
    mac: bytes


@dataclass(slots=True)
class Problem:
    """Something that does not fit, in rows or links ``first`` to ``last``."""

    kind: str
    first: int
    last: int
    detail: str = ""
    at: str = ""
    """When it was still otherwise, as far as an anchor knows; what was taken note of before then was another one."""
    known: str = ""
    """Who has taken note of it, when and why."""

    def __str__(self) -> str:
        what, remedy = _SAID[self.kind]
        span = str(self.first) if self.first == self.last else f"{self.first} to {self.last}"
        return f"{what.format(span=span)}{f' ({self.detail})' if self.detail else ''}: {remedy}"


ACCEPT = "audit.accept"
_RESTORE = "compare with the last good backup, find out who could write to the database, then smsgwctl audit accept"
_SAID = {
    "edited": ("row {span} was changed after it was written", _RESTORE),
    "foreign": ("row {span} was not written by smsgw: it is not signed", _RESTORE),
    "deleted": ("row {span} was deleted", _RESTORE),
    "not_in_chain": ("row {span} is not in the chain: it was put in by hand, or its link was deleted", _RESTORE),
    "moved": ("link {span} does not follow from the one before: links were changed, reordered or exchanged", _RESTORE),
    "gap": ("links {span} are missing: rows were deleted together with their links", _RESTORE),
    "end_missing": (
        "links {span} were anchored and are not in the chain",
        "rows were deleted at the end, or the database was restored from an older backup; if it was, smsgwctl audit "
        "accept says so in the log, else " + _RESTORE,
    ),
    "beginning": ("the checkpoint {span} at which the chain begins is not genuine or is missing", _RESTORE),
    "legacy": ("the chain from before does not fit at row {span}", _RESTORE),
    "key_missing": (
        "row or link {span} cannot be checked",
        "put the key back into the key file ([security] key_file), as an additional line",
    ),
    "no_anchor": (
        "no anchor: what may be missing after link {span} cannot be told",
        "look for the anchor file ([audit] anchor) of a node, or give others with --anchor",
    ),
}


@dataclass(slots=True)
class Report:
    """What ``verify`` has found."""

    rows: int = 0
    """In the chain and sound."""
    legacy: int = 0
    """From before the chain was keyed."""
    open: int = 0
    """Not in the chain yet."""
    pruned: int = 0
    """Dropped when retention was over: links before the checkpoint."""
    anchors: int = 0
    head: Head | None = None
    problems: list[Problem] = field(default_factory=list)
    more: int = 0
    """Problems beyond those that are listed."""

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong but what is known."""
        return not self.more and all(problem.known for problem in self.problems)

    def add(self, kind: str, number: int, detail: str = "", *, last: int | None = None) -> None:
        """Note a problem; neighbours of a kind are one."""
        if self.problems:
            before = self.problems[-1]
            if before.kind == kind and before.last + 1 == number and before.detail == detail:
                before.last = last or number
                return
        if len(self.problems) >= MAX_PROBLEMS:
            self.more += 1
            return
        self.problems.append(Problem(kind, number, last or number, detail))


@dataclass(frozen=True, slots=True)
class Anchor:
    """A head as it was written down outside."""

    head: Head
    at: str
    where: str
