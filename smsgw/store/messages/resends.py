"""Which messages people have sent again after they had failed."""

from __future__ import annotations

from datetime import datetime

from smsgw.core.ids import first_id
from smsgw.store.engine.database import Connection

_DONE = "SELECT EXISTS (SELECT FROM message_resend WHERE message_id = $1)"
_NOTE = "INSERT INTO message_resend (message_id, again_id) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_SWEEP = "DELETE FROM message_resend WHERE message_id < $1"


async def done(connection: Connection, message_id: int) -> bool:
    """Whether it was sent again."""
    found: bool = await connection.fetchval(_DONE, message_id)
    return found


async def note(connection: Connection, message_id: int, again_id: int) -> None:
    """It is being sent again as another message."""
    await connection.execute(_NOTE, message_id, again_id)


async def sweep(connection: Connection, before: datetime) -> None:
    """Forget messages that are kept no longer."""
    await connection.execute(_SWEEP, first_id(before))
