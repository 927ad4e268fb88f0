"""How calls end, remembered until the next look of whoever writes it down. A call that is answered costs one entry of a
dict; what was sent is only looked into when it is refused, and of a key only so often."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

MOST_CELLS = 5000
"""Kinds of ends between two looks; beyond it they are counted as one."""
MOST_REFUSED, MOST_OF_A_KEY, MOST_UNPROVEN = 500, 20, 5
"""Refused calls between two looks that are kept: of all, of a key, and of who has not shown to have it."""


@dataclass(slots=True)
class Cell:
    """Calls of one key in a minute that ended alike."""

    n: int = 0
    ms: int = 0
    most: int = 0
    last: str = ""
    """Request id of the newest."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that was refused."""

    account_id: int
    key_id: str
    proven: bool
    at: datetime
    request_id: str
    call: str
    status: int
    code: str
    detail: str
    detail_en: str
    ms: int
    address: str
    body: str


Cells = dict[tuple[int, str, int, str, str], Cell]
"""By account, key, minute since 1970, call and code."""


@dataclass(slots=True)
class CallLog:
    """Of one edge of one process."""

    cells: Cells = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    _of_key: Counter[tuple[str, bool]] = field(default_factory=Counter)

    def note(self, account_id: int, key_id: str, at: float, call: str, code: str, seconds: float, last: str) -> None:
        """A call has ended; ``at``: wall clock, seconds since 1970."""
        minute, ms = int(at // 60), int(seconds * 1000)
        cell = self.cells.get(key := (account_id, key_id, minute, call, code))
        if cell is None:
            if len(self.cells) >= MOST_CELLS:
                key = (0, "", minute, "", "")
            cell = self.cells.setdefault(key, Cell())
        cell.n += 1
        cell.ms += ms
        cell.last = last
        if ms > cell.most:
            cell.most = ms

    def keeps(self, key_id: str, *, proven: bool) -> bool:
        """Whether there is room for another refused call of the key; it is taken."""
        most = MOST_OF_A_KEY if proven else MOST_UNPROVEN
        if len(self.refused) >= MOST_REFUSED or self._of_key[key_id, proven] >= most:
            return False
        self._of_key[key_id, proven] += 1
        return True

    def take(self) -> tuple[Cells, list[Refusal]]:
        """What was remembered; it is forgotten."""
        taken = self.cells, self.refused
        self.cells, self.refused = {}, []
        self._of_key.clear()
        return taken
