"""The schema of a database, and whether accepted means durable in it."""

from __future__ import annotations

from dataclasses import dataclass

from smsgw.store.engine import database_roles, migrate
from smsgw.store.engine.database import Database
from smsgw.store.engine.server_versions import is_faulty

KNOWN_SCHEMA = migrate.SCHEMA_VERSION
"""What this program was written for."""


@dataclass(frozen=True, slots=True)
class Server:
    """What matters of a server."""

    version: str
    fsync: str
    synchronous_commit: str
    role: str
    """Ours."""
    excess: str
    """What that role may do without need; empty when there is a wall."""
    locks: int
    """That all its connections can have together."""

    @property
    def durable(self) -> bool:
        """Whether what it has committed survives a power cut."""
        return "off" not in (self.fsync, self.synchronous_commit)

    @property
    def faulty(self) -> bool:
        """Whether its release must not carry the ledger."""
        return is_faulty(self.version)


LOCKS_A_DAY = 40
"""Tables and indexes of a day's messages and parts: a statement over all days locks them when its plan is made."""
AT_ONCE = 4
"""Such statements that have to be possible at a time: channels look for what is theirs when a node starts."""


def locks_wanted(days: int) -> int:
    """What a server needs that keeps the messages of so many days."""
    return days * LOCKS_A_DAY * AT_ONCE


_SERVER = """
SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('max_locks_per_transaction')::int * current_setting('max_connections')::int AS locks
"""


async def server(database: Database) -> Server:
    """How the server is set up, for this connection."""
    (row,) = await database.fetch(_SERVER)
    role, excess = await database.fetchrow(database_roles.WALLS) or ("", "")
    return Server(row["version"], row["fsync"], row["synchronous_commit"], role, excess or "", row["locks"])


async def schema(database: Database) -> int:
    """The number of the last migration."""
    return int(await database.fetchval("SELECT version FROM schema_info"))
