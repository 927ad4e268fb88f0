"""What has followed messages that had failed, once each: by a person's hand, or by the chain that they have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from smsgw.core.ids import first_id
from smsgw.core.states import PartState
from smsgw.core.tasks import Chunk
from smsgw.store.engine.database import Connection, Database, Row, delete_all

# Whoever else follows the message holds its row: of two nodes, or of a person and a chain, one goes first.
_LOCK = "SELECT id FROM message WHERE id = $1 FOR UPDATE SKIP LOCKED"
_DONE = "SELECT EXISTS (SELECT FROM message_resend WHERE message_id = $1)"
_NOTE = """
INSERT INTO message_resend (message_id, again_id, hop, first_id, task_id, run) VALUES ($1, $2, $3, $4, $5, $6)
"""
_SWEEP = """
DELETE FROM message_resend WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM message_resend WHERE message_id < $1 ORDER BY message_id LIMIT $2))
"""


async def lock(connection: Connection, message_id: int) -> bool:
    """Nobody else follows the message until the transaction ends; False: somebody does just now."""
    return await connection.fetchval(_LOCK, message_id) is not None


async def done(connection: Connection, message_id: int) -> bool:
    """Whether it was sent again."""
    found: bool = await connection.fetchval(_DONE, message_id)
    return found


async def note(
    connection: Connection, message_id: int, again_id: int, *, hop: int = 0, first_id: int | None = None,
    task: tuple[int, int] | None = None,
) -> None:  # fmt: skip
    """It is being sent again as another message, which it is locked for; ``hop``: by its chain, whose first message
    and whose task these are."""
    await connection.execute(_NOTE, message_id, again_id, hop, first_id, *(task or (None, None)))


async def sweep(connection: Connection, before: datetime) -> None:
    """Forget messages that are kept no longer."""
    await delete_all(connection, _SWEEP, first_id(before))


_ABOUT = """
SELECT r.message_id, r.again_id, r.hop FROM message_resend r WHERE r.message_id = $1 OR r.again_id = $1
ORDER BY r.message_id LIMIT 2
"""
_WAITING = """
SELECT r.again_id, r.run FROM message_resend r
WHERE r.task_id = $1 AND r.hop > 0 AND r.again_id > $2 AND EXISTS (
    SELECT FROM part p WHERE p.id = r.again_id AND p.state = ANY($3::smallint[]))
ORDER BY r.again_id LIMIT $4
"""
UNCLAIMED = (PartState.SCHEDULED, PartState.QUEUED, PartState.DEFERRED)
"""What waits for a channel."""


async def about(database: Database | Connection, message_id: int) -> list[Row]:
    """What it has followed, and what has followed it."""
    return await database.fetch(_ABOUT, message_id)


async def waiting_hops(
    database: Database, task_id: int, states: Sequence[PartState], limit: int, *, after: int = 0
) -> list[Chunk]:
    """A task's hops in these states by id, each as a chunk of one message without a row."""
    rows = await database.fetch(_WAITING, task_id, after, [int(state) for state in states], limit, timeout=30)
    return [Chunk(task_id, row["run"], 0, 1, row["again_id"]) for row in rows]
