"""The block list in memory: up to a million entries in flat arrays, changes beside them until they are folded in."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from smsgw.core.model import MessageType
from smsgw.core.words import labels_of

MANUAL: Final = "manual"
OPT_OUT: Final = "opt_out"
COMPLAINT: Final = "complaint"
CARRIER: Final = "carrier"
SOURCES: Final = (MANUAL, OPT_OUT, COMPLAINT, CARRIER)
UNREADABLE: Final = "unreadable"
"""Source of what stands for an entry that cannot be read: nothing is sent to its number until it can."""
SOURCE_NAMES: Final = labels_of("blocked_by")


_TYPES: Final = frozenset(MessageType)


class Scope(NamedTuple):
    """For what an entry counts. Empty conditions (0, "") hold always; those that are given must all hold. A type that
    this program does not know holds always, too."""

    account_id: int = 0
    type: str = ""
    sign: str = ""

    def covers(self, account_id: int, type_: str, sign: str) -> bool:
        """Whether a message of this account, type and signature falls under it."""
        return (
            (not self.account_id or self.account_id == account_id)
            and (self.type == type_ or self.type not in _TYPES)
            and (not self.sign or self.sign == sign)
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list. Times in whole seconds since 1970; ``until`` 0 is for ever."""

    number: int
    scope: Scope
    source: str
    since: int
    until: int = 0
    removed: bool = False
    """The news that it is there no more."""

    @classmethod
    def unreadable(cls, number: int, scope: Scope) -> Entry:
        """What stands for an entry of which nothing else can be read: it holds for ever."""
        return cls(number, scope, UNREADABLE, 0)

    def check(self) -> None:
        """``ValueError``: the list has no room for a number or a time like this, or nothing has its type."""
        if not 0 <= self.number < 1 << 64:
            raise ValueError("the number of an entry is beyond 64 bits")
        if not (0 <= self.since < 1 << 32 and 0 <= self.until < 1 << 32):
            raise ValueError("a time of an entry is beyond 32 bits")
        if self.scope.type and self.scope.type not in _TYPES and self.source != UNREADABLE and not self.removed:
            raise ValueError("an entry is of a type that this program does not know")

    @property
    def readable(self) -> bool:
        """Whether ``check`` lets it pass."""
        try:
            self.check()
        except ValueError:
            return False
        return True


FOLD_AT = 20_000
"""Changes that are kept apart before they are folded into the arrays."""


class BlockList:
    """Arrays sorted by number (20 octets an entry), and a small overlay of changes that ``folded`` works in."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        """``entries`` as ``append`` wants them."""
        self._numbers = array("Q")
        self._kinds = array("I")
        self._since = array("I")
        self._until = array("I")
        self._kind_of: dict[tuple[Scope, str], int] = {}
        self._what: list[tuple[Scope, str]] = []
        self._changes: dict[int, dict[Scope, Entry]] = {}
        self._changed = 0
        for entry in entries:
            self.append(entry)

    def append(self, entry: Entry) -> None:
        """Fill the arrays: in ascending order of numbers, none removed, and such as ``check`` lets pass
        (``ValueError``)."""
        if entry.removed or (self._numbers and entry.number < self._numbers[-1]):
            raise ValueError("entries must be in order of their numbers, and none removed")
        entry.check()
        what = (entry.scope, entry.source)
        kind = self._kind_of.get(what)
        if kind is None:
            kind = self._kind_of[what] = len(self._what)
            self._what.append(what)
        self._numbers.append(entry.number)
        self._kinds.append(kind)
        self._since.append(entry.since)
        self._until.append(entry.until)

    def __len__(self) -> int:
        """Entries in the arrays; changes that are not folded in yet do not count."""
        return len(self._numbers)

    def __bool__(self) -> bool:
        """Whether there may be an entry at all, changes included."""
        return bool(self._numbers or self._changes)

    @property
    def heavy(self) -> bool:
        """Whether the changes should be folded in."""
        return self._changed >= FOLD_AT

    def change(self, entry: Entry) -> None:
        """An entry is new, different, or removed."""
        self._changes.setdefault(entry.number, {})[entry.scope] = entry
        self._changed += 1

    def _stored(self, number: int) -> list[Entry]:
        found = []
        at = bisect_left(self._numbers, number)
        while at < len(self._numbers) and self._numbers[at] == number:
            scope, source = self._what[self._kinds[at]]
            found.append(Entry(number, scope, source, self._since[at], self._until[at]))
            at += 1
        return found

    def entries(self, number: int) -> list[Entry]:
        """All entries of a number, expired ones too."""
        changes = self._changes.get(number, {})
        kept = [e for e in self._stored(number) if e.scope not in changes]
        return kept + [e for e in changes.values() if not e.removed]

    def find(self, number: str, account_id: int, type_: str, sign: str, now: float) -> Entry | None:
        """The entry that keeps a message from the number (E.164 digits), the most general first; None: none does."""
        value = int(number)
        at = bisect_left(self._numbers, value)
        if (at == len(self._numbers) or self._numbers[at] != value) and value not in self._changes:
            return None  # nearly always
        hits = [
            e for e in self.entries(value) if (not e.until or e.until > now) and e.scope.covers(account_id, type_, sign)
        ]
        return min(hits, key=lambda e: (e.source == OPT_OUT, e.scope), default=None)

    def folded(self) -> BlockList:
        """A list of the same entries, without an overlay."""
        new = BlockList()
        new._kind_of, new._what = dict(self._kind_of), list(self._what)
        begin = 0
        for number in sorted(self._changes):
            end = bisect_left(self._numbers, number, begin)
            new._copy(self, begin, end)
            for entry in self.entries(number):
                new.append(entry)
            begin = end
            while begin < len(self._numbers) and self._numbers[begin] == number:
                begin += 1
        new._copy(self, begin, len(self._numbers))
        return new

    def _copy(self, other: BlockList, begin: int, end: int) -> None:
        self._numbers += other._numbers[begin:end]
        self._kinds += other._kinds[begin:end]
        self._since += other._since[begin:end]
        self._until += other._until[begin:end]
