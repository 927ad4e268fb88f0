"""Where a message stands in its chain: what it follows, what follows it, and why nothing does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.code_book import CodeBook
from smsgw.core.fallback import Sight, look
from smsgw.core.states import PartState
from smsgw.platform.messages import resend
from smsgw.store.engine.database import Database
from smsgw.store.engine.states import by_name
from smsgw.store.messages import fallback as store, resends
from smsgw.store.messages.fallback import Watch


@dataclass(frozen=True, slots=True)
class Way:
    """A message among those of its chain, or that a person has sent again."""

    previous: int | None
    """The message that had failed before."""
    next: int | None
    """The one that has followed it."""
    hop: int
    """Hops of a chain that have led to it."""
    hops: int
    """Hops of the chain; 0: it has none."""
    by_hand: bool
    """A person has sent it again, or another message as this one."""
    until: datetime | None = None
    why: str = ""
    """Why nothing has followed: ``open``, ``due``, ``arrived``, ``refused``, ``over``, ``other``, ``last``, or what
    ``resend.REASONS`` says; empty: something has, or there is no chain."""
    problem: str = ""
    """Code of what keeps a hop that is due."""


MOST = 100_000
"""Hops of a run that are counted."""
_ARRIVED = by_name("""
SELECT count(*) FROM (
    SELECT r.again_id FROM message_resend r WHERE r.task_id = $1 AND r.run = $2 AND r.hop > 0 LIMIT $3
) h WHERE NOT EXISTS (SELECT FROM part p WHERE p.id = h.again_id AND p.state <> :DELIVERED)
""")


async def arrived(database: Database, task_id: int, run: int) -> int:
    """Messages of a task's run that have arrived in the place of others that had failed."""
    found: int = await database.fetchval(_ARRIVED, task_id, run, MOST, timeout=10)
    return found


async def way_of(database: Database, message_id: int, accounts: Sequence[int] | None, book: CodeBook) -> Way | None:
    """The way of a message that the accounts may see; None: nothing has followed, and nothing may."""
    links = await resends.about(database, message_id)
    before = next((row for row in links if row["again_id"] == message_id), None)
    after = next((row for row in links if row["message_id"] == message_id), None)
    watch = await store.of_message(database, message_id)
    if watch is None and not links:
        return None
    hop = before["hop"] if before is not None else 0
    by_hand = any(row["hop"] == 0 for row in links)
    previous = None if before is None else before["message_id"]
    following = None if after is None else after["again_id"]
    if watch is None:
        return Way(previous, following, hop, 0, by_hand)
    why = "" if after is not None else await _why(database, watch, message_id, accounts, book)
    problem = watch.problem if why == "due" else ""
    return Way(previous, following, watch.hop, len(watch.chain.hops), by_hand, watch.until, why, problem)


async def _why(
    database: Database, watch: Watch, message_id: int, accounts: Sequence[int] | None, book: CodeBook
) -> str:
    rows = await resend.judged(database, [message_id], accounts)
    parts = (await store.states(database, [message_id])).get(message_id, [])
    sight = look(parts)
    waits = watch.look_at is not None and message_id in watch.open
    if all(state is PartState.DELIVERED for state, _ in parts):
        return "arrived"
    if sight is Sight.OPEN:
        return "open" if waits else "over"
    if any(by_us and state is PartState.REJECTED for state, by_us in parts):
        return "refused"
    if watch.hop >= len(watch.chain.hops):
        return "last"
    why = resend.why_not(rows[0], book) if rows else "open"
    if why:
        return "open" if why == "maybe" else why
    if waits:
        return "due"
    return "over" if watch.look_at is None and message_id in watch.open else "other"
