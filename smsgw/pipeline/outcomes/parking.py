"""Facts that the database refuses, however often they are tried: laid aside durably, and tried again when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from smsgw.core.alarms import CRITICAL, Finding
from smsgw.core.words import phrase
from smsgw.store.engine.database import Connection, Database
from smsgw.store.messages import parked as store

log = structlog.get_logger(__name__)

PARKED = -1
"""What a writer's caller gets for a fact that lies aside."""
RETRIES = 1000
"""Facts that are tried again at a time."""
RETRY_WITHIN = 20.0
"""Seconds that an operator waits for them; those that still hang then are tried on."""


class Parking:
    """What the writer does with what it cannot commit."""

    def __init__(self, node: int) -> None:
        self._node = node

    def keeps(self, item: object) -> bool:
        """Facts are kept; what comes round again by itself is not."""
        return type(item) in store.KINDS

    async def park(self, connection: Connection, item: Any, error: str) -> int:
        """Lay a fact aside, inside a transaction."""
        await store.put(connection, self._node, item, error)
        log.error("fact.parked", kind=store.KINDS[type(item)], error=error)
        return PARKED


class Writer(Protocol):
    """The outcome writer, as far as it is needed to try a fact again."""

    def again(self, fact: Any) -> asyncio.Future[Any]:
        """Done when it is committed, or laid aside again (``PARKED``)."""


async def retry(database: Database, writer: Writer, ids: Sequence[int] | None = None) -> tuple[int, int]:
    """Try facts again that lie aside: all of them, or these. How many were applied, and how many were not.

    A fact is told again before its line is taken away; should the process end between the two, it is told twice, which
    changes nothing.
    """
    lines = await store.list_(database, ids, limit=RETRIES)
    told = {writer.again(line.fact): line.id for line in lines}
    if not told:
        return 0, 0
    done, _ = await asyncio.wait(told, timeout=RETRY_WITHIN)
    settled = [future for future in done if not future.cancelled() and future.exception() is None]
    await store.remove(database, [told[future] for future in settled])
    applied = sum(future.result() != PARKED for future in settled)
    return applied, len(lines) - applied


async def findings(database: Database) -> list[Finding]:
    """Whether anything lies aside."""
    n = await store.count(database)
    return [Finding("facts_parked", "facts/parked", CRITICAL, phrase("alarm.parked", n=n))] if n else []
