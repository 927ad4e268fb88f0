"""Mails that are written down before they go: each is taken by one node, sent again while it was certainly not sent,
and never by itself when it may have been. Each kind has a table of the same columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from smsgw.core.errors import Invalid
from smsgw.core.words import Wording, phrase
from smsgw.store.engine.database import Connection, Database

PATIENCE = 60.0
"""Seconds for what is entered in one go."""
LANGUAGES = ("zh", "en")
MOST_RECEIVERS = 10
REMOVED, INTERRUPTED, UNTAKEN = "receiver removed", "interrupted", "taken by no node"
"""What we say of a mail, where a mail server says others."""
RETRIES = tuple(timedelta(minutes=n) for n in (5, 15, 60, 240, 720, 1440, 1440))
"""Pauses after each try; after the last it has failed."""
LOST = timedelta(minutes=15)
"""What has been under way for so long belongs to a node that is gone: it may have been sent."""
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,188}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class OutMail:
    """A mail on its way to one receiver."""

    removed: ClassVar[str]
    """The phrase that says that its receiver is none any more."""

    id: int
    receiver: str
    language: str
    state: str
    """``waiting``, ``sending``, ``sent``, ``failed``, or ``unsure``: it may have arrived."""
    tries: int
    next_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None
    digest: str
    said: str
    """By the mail server or the network, or by us."""
    wanted: bool
    """Its receiver is still named."""

    @property
    def repeats(self) -> bool:
        """Whether it can be sent once more."""
        return self.wanted and self.state in ("failed", "unsure")

    @property
    def answer(self) -> Wording | str:
        """What was said, in words where it is ours."""
        ours = {REMOVED: self.removed, INTERRUPTED: "mail.interrupted", UNTAKEN: "mail.untaken"}
        return phrase(ours[self.said]) if self.said in ours else self.said


def receivers_of(emails: Sequence[str], language: str) -> list[str]:
    """The addresses, each once. ``PARAM_INVALID`` for too many, what is none, and a language that we do not speak."""
    wanted = list(dict.fromkeys(email.strip() for email in emails if email.strip()))
    wrong = next((email for email in wanted if not _ADDRESS.fullmatch(email)), None)
    if wrong is not None or len(wanted) > MOST_RECEIVERS:
        reason = phrase("mail.emails", most=MOST_RECEIVERS, wrong=wrong or "")
        raise Invalid("PARAM_INVALID", field="emails", reason=reason)
    if language not in LANGUAGES:
        raise Invalid("PARAM_INVALID", field="language", reason=", ".join(LANGUAGES))
    return wanted


class MailTable:
    """The way of the mails of one table. ``wanted``: of a row ``m``, that its receiver is still named."""

    def __init__(self, name: str, wanted: str) -> None:
        self.wanted = wanted
        self._drop = f"""
UPDATE {name} m SET state = 'failed', ended_at = $1, said = '{REMOVED}' WHERE state = 'waiting' AND NOT {wanted}
"""  # noqa: S608 - constants
        self._lose = f"""
UPDATE {name} SET state = 'unsure', ended_at = $1, said = '{INTERRUPTED}' WHERE state = 'sending' AND begun_at < $2
"""  # noqa: S608 - constants
        self._claim = f"""
UPDATE {name} SET state = 'sending', tries = tries + 1, begun_at = $1
WHERE id = (SELECT id FROM {name} m WHERE state = 'waiting' AND next_at <= $1 AND {wanted}
            ORDER BY next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id
"""  # noqa: S608 - constants
        self._end = f"""
UPDATE {name} SET state = $2, next_at = $3, ended_at = $4, digest = $5, said = $6 WHERE id = $1 AND state = 'sending'
"""  # noqa: S608 - constants
        self._again = f"""
UPDATE {name} SET state = 'waiting', tries = 0, next_at = $2 WHERE id = $1 AND state IN ('failed', 'unsure')
"""  # noqa: S608 - constants

    async def drop(self, connection: Connection, now: datetime) -> None:
        """End what waits for who is no receiver any more."""
        await connection.execute(self._drop, now)

    async def lose(self, connection: Connection, now: datetime) -> None:
        """Call unsure what a node that is gone had under way."""
        await connection.execute(self._lose, now, now - LOST)

    async def claim(self, connection: Connection, now: datetime) -> int | None:
        """Take the next mail that is due, and mark it before it goes; None: there is none."""
        id_: int | None = await connection.fetchval(self._claim, now)
        return id_

    async def end(self, database: Database, mail: OutMail, outcome: str, said: str, digest: str, now: datetime) -> str:
        """Enter what has become of a mail (an outcome of ``net.mail``); its state."""
        state, next_at = {"sent": "sent", "refused": "failed", "unsure": "unsure"}.get(outcome, "waiting"), now
        if state == "waiting":
            state = "waiting" if mail.tries <= len(RETRIES) else "failed"
            next_at = now + RETRIES[min(mail.tries, len(RETRIES)) - 1]
        ended = None if state == "waiting" else now
        async with database.transaction(timeout=PATIENCE) as connection:
            await connection.execute(self._end, mail.id, state, next_at, ended, digest, said)
        return state

    async def again(self, connection: Connection, id_: int, now: datetime) -> bool:
        """Let a mail wait once more that has failed or may not have arrived; whether it is one."""
        return bool(await connection.execute(self._again, id_, now) == "UPDATE 1")
