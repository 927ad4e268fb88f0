"""Sessions of the portal: opened, kept alive and closed by their person, and swept when they are over."""

from __future__ import annotations

from smsgw.core.actor import Author
from smsgw.platform.org.model import Person
from smsgw.platform.org.queries import ABSOLUTE_HOURS, IDLE_MINUTES
from smsgw.store.engine.database import Database
from smsgw.store.records import audit

_LOGGED_IN = "UPDATE staff SET last_login_at = now() WHERE id = $1"
# The lock: a password that is changed or a person who is stopped at this moment ends the session, or it is not opened.
_OPEN = """
INSERT INTO portal_session (token_sha256, staff_id, csrf, ip)
SELECT $1, s.id, $3, $4::text::inet FROM staff s
WHERE s.id = $2 AND s.status = 'active' AND s.password_hash = $5 FOR SHARE OF s
"""
_SWEEP = """
WITH over AS (
    DELETE FROM portal_session
    WHERE created_at < now() - make_interval(hours => $1) OR seen_at < now() - make_interval(mins => $2)
    RETURNING staff_id, seen_at
)
SELECT s.login, count(*) AS n, max(o.seen_at) AS seen_at FROM over o JOIN staff s ON s.id = o.staff_id
GROUP BY s.login ORDER BY s.login
"""


async def open_session(
    database: Database,
    person: Person,
    password_hash: str,
    token_sha256: bytes,
    csrf: str,
    address: str | None,
) -> bool:
    """Store a session (only the hash of its token) for whoever has shown the password with this hash, and sweep those
    that are over; whether it still is the person's password, and they may still log in."""
    async with database.transaction() as connection:
        for row in await connection.fetch(_SWEEP, ABSOLUTE_HOURS, IDLE_MINUTES):
            after = {"sessions_ended": row["n"], "last_seen": row["seen_at"].isoformat(timespec="seconds")}
            await audit.append(
                connection, Author(row["login"]), "session.over", "portal", after=after
            )
        tag = await connection.execute(_OPEN, token_sha256, person.id, csrf, address, password_hash)
    return tag == "INSERT 0 1"


async def log_in(database: Database, person: Person, address: str | None) -> None:
    """Note that a person has proven who they are."""
    async with database.transaction() as connection:
        await connection.execute(_LOGGED_IN, person.id)
        await audit.append(connection, person.actor(address).author, "login", "portal")


_TOUCH = """
UPDATE portal_session SET seen_at = now() WHERE token_sha256 = $1 AND seen_at < now() - interval '1 minute'
"""


async def touch(database: Database, token_sha256: bytes) -> None:
    """The session is in use; written at most once a minute."""
    await database.execute(_TOUCH, token_sha256)


async def close_session(database: Database, person: Person, token_sha256: bytes, address: str | None) -> bool:
    """The person ends a session; whether there was one."""
    async with database.transaction() as connection:
        tag = await connection.execute("DELETE FROM portal_session WHERE token_sha256 = $1", token_sha256)
        if tag == "DELETE 0":
            return False
        await audit.append(connection, person.actor(address).author, "logout", "portal")
    return True
