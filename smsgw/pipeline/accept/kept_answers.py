"""Answers of calls that send nothing, kept under their Idempotency-Key: sealed, as some hold a secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.errors import Invalid, Temporary
from smsgw.store.engine.database import Database
from smsgw.store.engine.secrets import Sealer
from smsgw.store.messages import request_keys

ABANDONED = timedelta(minutes=2)
"""A call takes less: a key that has had no answer for so long will get none."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The right to make the call of a key."""

    account_id: int
    key: str
    at: datetime


class KeptAnswers:
    """Keys of calls and what the calls were answered."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def take(self, account_id: int, key: str, request_sha256: bytes) -> Taken | str:
        """The right to make the call, or what it was answered. Raises ``IDEMPOTENCY_MISMATCH``, and
        ``IDEMPOTENCY_IN_PROGRESS`` while somebody makes it."""
        at = await request_keys.take(self._database, account_id, key, request_sha256, ABANDONED)
        if at is not None:
            return Taken(account_id, key, at)
        found = await request_keys.recall(self._database, account_id, "k", key)
        if found is not None and found[0] != request_sha256:
            raise Invalid("IDEMPOTENCY_MISMATCH")
        if found is None or not found[1]:
            raise Temporary("IDEMPOTENCY_IN_PROGRESS", retry_after=1)
        return self._sealer.open(found[1], _context(account_id, key))

    async def keep(self, taken: Taken, answer: str) -> None:
        """Keep what the call was answered."""
        sealed = self._sealer.seal(answer, _context(taken.account_id, taken.key))
        await request_keys.keep(self._database, taken.account_id, taken.key, taken.at, sealed)

    async def release(self, taken: Taken) -> None:
        """The call was refused: its key is free."""
        await request_keys.release(self._database, taken.account_id, taken.key, taken.at)


def _context(account_id: int, key: str) -> str:
    return f"answer/{account_id}/{key}"
