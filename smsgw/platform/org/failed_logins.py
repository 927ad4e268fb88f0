"""Failed logins on their way into the audit log: one row by login, address and minute, written by themselves.

Whoever guesses decides how many there are, so they must cost nobody a turn at the audit log, and not fill it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smsgw.core.actor import ActorLabel, Author
from smsgw.core.addresses import place_of
from smsgw.core.guessing import Guesses
from smsgw.pipeline.periodic import Periodic
from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.records import audit

EVERY = 5.0
"""Seconds between two looks for what is to be written."""
SPAN = 60.0
"""Seconds that one row stands for, after the first of a login and address, which is written at once."""
MAX_ROWS = 200
"""Logins and addresses kept apart; those beyond are counted together until some of them are quiet for a minute."""


@dataclass(slots=True)
class _Count:
    ip: str | None
    next: float
    """When it may be written."""
    wrong: int = 0
    slowed: int = 0


class FailedLogins:
    """Counts them and writes them down."""

    def __init__(self, db: Database, guesses: Guesses) -> None:
        self._db = db
        self._guesses = guesses
        self._counts: dict[tuple[str, str], _Count] = {}

    def note(self, login: str, ip: str | None, *, slowed: bool = False) -> None:
        """One has failed; ``slowed``: refused unseen."""
        place = place_of(ip or "")
        self._guesses.note("portal", place, clock.steady())
        key = (login[:64], place)
        if key not in self._counts and len(self._counts) >= MAX_ROWS:
            key, ip = ("", ""), None
        count = self._counts.setdefault(key, _Count(ip, clock.steady()))
        if slowed:
            count.slowed += 1
        else:
            count.wrong += 1

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (Periodic("logins.failed", EVERY, self.write),)

    async def stop(self) -> None:
        """Write what is left."""
        for count in self._counts.values():
            count.next = 0.0
        await self.write()

    async def write(self) -> None:
        """Write what is due."""
        now = clock.steady()
        for (login, network), count in list(self._counts.items()):
            if now < count.next:
                continue
            wrong, slowed = count.wrong, count.slowed
            if not (wrong or slowed):
                del self._counts[login, network]
                continue
            after = {"wrong": wrong, "refused_unseen": slowed}
            author = Author(ActorLabel(login), count.ip)  # what was typed: nobody has proven to be that
            await audit.record(self._db, author, "login.failed", "portal", after=after)
            count.wrong -= wrong
            count.slowed -= slowed
            count.next = now + SPAN
