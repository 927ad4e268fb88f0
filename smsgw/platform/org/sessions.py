"""Sessions of the portal: opened, kept alive and closed by their person, and swept when they are over."""

from __future__ import annotations

from collections.abc import Collection

from smsgw.core.actor import Author
from smsgw.platform.org.model import LIVE, Person
from smsgw.store.engine.database import Database
from smsgw.store.records import audit

MAX_AGENT = 200
"""Characters of a browser's name that are kept."""
_LOGGED_IN = "UPDATE staff SET last_login_at = now(), last_login_ip = $2::text::inet WHERE id = $1"
# The lock: a password that is changed or a person who is stopped at this moment ends the session, or it is not opened.
_OPEN = """
INSERT INTO portal_session (token_sha256, staff_id, csrf, ip, agent, factors, factor_at, former_login_at,
                            former_login_ip)
SELECT $1, s.id, $3, $4::text::inet, $6, $7, CASE WHEN $8 THEN now() END, s.last_login_at, s.last_login_ip FROM staff s
WHERE s.id = $2 AND s.status = 'active' AND s.password_hash = $5 FOR SHARE OF s
"""
_SWEEP = f"""
WITH over AS (
    DELETE FROM portal_session x WHERE NOT ({LIVE}) RETURNING staff_id, seen_at
)
SELECT s.login, count(*) AS n, max(o.seen_at) AS seen_at FROM over o JOIN staff s ON s.id = o.staff_id
GROUP BY s.login ORDER BY s.login
"""  # noqa: S608 - constant text
_TOO_MANY = """
DELETE FROM portal_session WHERE id IN (
    SELECT id FROM portal_session WHERE staff_id = $1 ORDER BY id DESC OFFSET (SELECT sessions FROM login_policy))
"""


async def open_session(
    database: Database,
    person: Person,
    password_hash: str,
    token_sha256: bytes,
    csrf: str,
    address: str | None,
    *,
    agent: str = "",
    factors: Collection[str] = (),
    strong: bool = False,
) -> bool:
    """Store a session (only the hash of its token) for whoever has shown the password with this hash, and sweep those
    that are over, and the person's oldest ones beyond the limit; whether it still is the person's password, and they
    may still log in.

    ``factors`` were shown as well; ``strong``: an app or a passkey is among them.
    """
    async with database.transaction() as connection:
        for row in await connection.fetch(_SWEEP):
            after = {"sessions_ended": row["n"], "last_seen": row["seen_at"].isoformat(timespec="seconds")}
            await audit.append(connection, Author(row["login"]), "session.over", "portal", after=after)
        tag = await connection.execute(
            _OPEN, token_sha256, person.id, csrf, address, password_hash, agent[:MAX_AGENT], sorted(factors), strong
        )
        over = await connection.execute(_TOO_MANY, person.id)
        if over != "DELETE 0":
            after = {"sessions_ended": int(over.rpartition(" ")[2]), "reason": "limit"}
            await audit.append(connection, person.actor(address).author, "session.over", "portal", after=after)
    return tag == "INSERT 0 1"


async def log_in(database: Database, person: Person, address: str | None, factors: Collection[str] = ()) -> None:
    """Note that a person has proven who they are."""
    async with database.transaction() as connection:
        await connection.execute(_LOGGED_IN, person.id, address)
        after = {"factors": sorted(factors)} if factors else None
        await audit.append(connection, person.actor(address).author, "login", "portal", after=after)


async def refused(database: Database, person: Person, address: str | None) -> None:
    """Note that a person with the right password came from where they must not."""
    async with database.transaction() as connection:
        await audit.append(
            connection, person.actor(address).author, "login.refused", "portal", after={"reason": "address"}
        )


_TOUCH = """
UPDATE portal_session SET seen_at = now() WHERE token_sha256 = $1 AND seen_at < now() - interval '1 minute'
"""


async def touch(database: Database, token_sha256: bytes) -> None:
    """The session is in use; written at most once a minute."""
    await database.execute(_TOUCH, token_sha256)


_PROVEN = """
UPDATE portal_session SET proven_at = now(), factor_at = CASE WHEN $2 THEN now() ELSE factor_at END, challenge = NULL
WHERE id = $1
"""


async def prove(database: Database, person: Person, session_id: int, address: str | None, *, factor: str) -> None:
    """Note that password or factor were shown again in a session; ``factor`` names it, ``password`` too."""
    async with database.transaction() as connection:
        await connection.execute(_PROVEN, session_id, factor in ("totp", "passkey"))
        await audit.append(
            connection, person.actor(address).author, "session.prove", "portal", after={"factor": factor}
        )


async def challenge(database: Database, session_id: int, octets: bytes | None) -> None:
    """Keep the challenge of a passkey for this session; None: it was used."""
    await database.execute("UPDATE portal_session SET challenge = $2 WHERE id = $1", session_id, octets)


async def close_session(database: Database, person: Person, token_sha256: bytes, address: str | None) -> bool:
    """The person ends a session; whether there was one."""
    async with database.transaction() as connection:
        tag = await connection.execute("DELETE FROM portal_session WHERE token_sha256 = $1", token_sha256)
        if tag == "DELETE 0":
            return False
        await audit.append(connection, person.actor(address).author, "logout", "portal")
    return True
