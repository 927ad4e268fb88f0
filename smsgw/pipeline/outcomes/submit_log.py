"""Submits and answers of recorded channels on their way to the database, behind the sending and never in its way.

What is noted waits in memory, a few thousand PDUs at most, and is written every half a second with a commit that waits
for no disk. What there is no room for, or what the database does not take at once, is left out and counted: a recording
is for looking into trouble, and is nothing that anything else is made of (docs/adr/079).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import structlog
from asyncpg import PostgresError

from smsgw.core.errors import SmsgwError
from smsgw.pipeline.periodic import Periodic
from smsgw.store.engine.database import Database
from smsgw.store.records import submits
from smsgw.store.records.submits import RecordedPdu, Tally

log = structlog.get_logger(__name__)

EVERY = 0.5
PER_SECOND: Final = 50
"""Submits of a channel that are kept; the others of that second are counted."""
MOST_WAITING: Final = 4000
"""PDUs."""
MOST_WAITING_OCTETS: Final = 4 * 1024 * 1024
AT_ONCE: Final = 1000
"""PDUs of one transaction."""
MOST_OCTETS: Final = 1024**3
"""Of one recording, its rows' own needs (``ROW``) included."""
ROW: Final = 140
"""Octets that a row takes beside its PDU: header, columns, its entry in the index."""
PATIENCE = 20.0


class SubmitLog:
    """Of one node."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[RecordedPdu] = deque()
        self._octets = 0
        self._tallies: dict[int, Tally] = {}
        self._full: set[int] = set()

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (Periodic("submits.record", EVERY, self.write, patience=PATIENCE),)

    def takes(self, recording: int) -> bool:
        """Whether there is room for another submit of a recording, with its answer."""
        room = len(self._waiting) < MOST_WAITING and self._octets < MOST_WAITING_OCTETS
        return room and recording not in self._full

    def note(self, one: RecordedPdu) -> None:
        """Keep a PDU, if there is still room."""
        if len(self._waiting) >= 2 * MOST_WAITING:  # answers to submits that were taken
            return
        self._waiting.append(one)
        self._octets += len(one.pdu)

    def leave_out(self, recording: int, n: int = 1) -> None:
        """Count submits of which nothing is kept."""
        self._tallies.setdefault(recording, Tally()).left_out += n

    async def write(self) -> bool:
        """Write what waits, a piece of it; whether there is more."""
        if not self._waiting and not self._tallies:
            return False
        pdus = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        self._octets -= sum(len(p.pdu) for p in pdus)
        tallies, self._tallies = self._tallies, {}
        for one in pdus:
            tally = tallies.setdefault(one.recording, Tally())
            tally.kept += 1
            tally.octets += len(one.pdu) + ROW
        try:
            sizes = await submits.write(self._database, pdus, tallies)
        except (SmsgwError, PostgresError) as exc:  # whatever it is, it is the recording's alone
            log.warning("submits.left_out", pdus=len(pdus), error=exc)
            for one in pdus:
                if one.ours:
                    self.leave_out(one.recording)
            for id_, tally in tallies.items():
                self.leave_out(id_, tally.left_out)
            return False
        self._full |= {id_ for id_, octets in sizes.items() if octets >= MOST_OCTETS}
        return bool(self._waiting)

    async def stop(self) -> None:
        """Write what is left, as far as the database takes it."""
        while await self.write():
            pass
