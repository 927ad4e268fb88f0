"""What the database is like, for the board."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from smsgw.store.engine.database import Database

_FACTS = """
SELECT pg_database_size(current_database()) AS size, current_setting('max_connections')::int AS most,
       (SELECT numbackends FROM pg_stat_database WHERE datname = current_database()) AS connections,
       current_setting('server_version') AS version, pg_postmaster_start_time() AS since,
       COALESCE(host(inet_server_addr()) || ':' || inet_server_port(), '') AS address,
       (SELECT timeline_id FROM pg_control_checkpoint()) - 1 AS promotions,
       CASE WHEN NOT pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() END AS recovered_at
"""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """The database as it says itself."""

    size: int
    """Octets."""
    most: int
    """Connections that the server takes."""
    connections: int
    """To this database, of all nodes."""
    version: str
    since: datetime
    """It runs since then."""
    address: str
    """As it sees itself; empty: over a unix socket of this machine."""
    promotions: int
    """How often a standby has become the primary, since the database was made."""
    recovered_at: datetime | None
    """Up to when it had replayed when it last became the primary, or came back from a crash; None: neither since its
    start."""


async def database_facts(database: Database) -> DatabaseFacts:
    """As it is now; the size takes a look at every file."""
    row = await database.fetchrow(_FACTS)
    assert row is not None  # noqa: S101 - always one
    return DatabaseFacts(**dict(row))
