"""Logins that have begun: the password was right, a second factor is still wanted. They open nothing, and none of them
ever becomes a session: that has a new token."""

from __future__ import annotations

from smsgw.platform.login.model import Begun, Factor
from smsgw.platform.org.model import Person
from smsgw.platform.org.sessions import MAX_AGENT
from smsgw.store.engine.database import Database

MINUTES = 10
"""For which a login that has begun can go on."""
MAX_TRIES = 10
"""Wrong codes, after which it takes the password again."""
MAX_BEGUN = 20
"""Of one person; the oldest go first."""

_SWEEP = "DELETE FROM portal_login WHERE created_at < now() - make_interval(mins => $1)"
_BEGIN = """
INSERT INTO portal_login (token_sha256, staff_id, password_hash, ip, agent)
VALUES ($1, $2, $3, $4::text::inet, $5)
"""
_TOO_MANY = """
DELETE FROM portal_login WHERE token_sha256 IN (
    SELECT token_sha256 FROM portal_login WHERE staff_id = $1 ORDER BY created_at DESC OFFSET $2)
"""
_FIND = """
SELECT x.staff_id, s.login, x.password_hash, x.proven, x.challenge, x.tries, x.sent, x.agent, x.token_sha256
FROM portal_login x JOIN staff s ON s.id = x.staff_id AND s.password_hash = x.password_hash AND s.status = 'active'
WHERE x.token_sha256 = $1 AND x.tries < $2 AND x.created_at > now() - make_interval(mins => $3)
"""


async def begin(
    database: Database, person: Person, password_hash: str, token_sha256: bytes, address: str | None, agent: str
) -> None:
    """Note that the password with this hash was right."""
    async with database.transaction() as connection:
        await connection.execute(_SWEEP, MINUTES)
        await connection.execute(_BEGIN, token_sha256, person.id, password_hash, address, agent[:MAX_AGENT])
        await connection.execute(_TOO_MANY, person.id, MAX_BEGUN)


async def find(database: Database, token_sha256: bytes) -> Begun | None:
    """The login of a token, while it can go on: the password is still that one, and not too many codes were wrong."""
    row = await database.fetchrow(_FIND, token_sha256, MAX_TRIES, MINUTES)
    if row is None:
        return None
    values = dict(row)
    return Begun(**values | {"proven": frozenset(map(Factor, values["proven"]))})


async def wrong(database: Database, begun: Begun) -> None:
    """One more code was wrong."""
    await database.execute("UPDATE portal_login SET tries = tries + 1 WHERE token_sha256 = $1", begun.token_sha256)


async def prove(database: Database, begun: Begun, factor: Factor) -> Begun | None:
    """A factor was shown; the login as it is now."""
    await database.execute(
        "UPDATE portal_login SET proven = array_append(array_remove(proven, $2), $2) WHERE token_sha256 = $1",
        begun.token_sha256,
        factor.value,
    )
    return await find(database, begun.token_sha256)


async def sent(database: Database, begun: Begun) -> None:
    """One more code went to the phone: the next one takes another way."""
    await database.execute("UPDATE portal_login SET sent = sent + 1 WHERE token_sha256 = $1", begun.token_sha256)


async def challenge(database: Database, begun: Begun, octets: bytes) -> None:
    """Keep the challenge of a passkey."""
    await database.execute("UPDATE portal_login SET challenge = $2 WHERE token_sha256 = $1", begun.token_sha256, octets)


_TAKE = """
WITH had AS (SELECT token_sha256, challenge FROM portal_login WHERE token_sha256 = $1 FOR UPDATE)
UPDATE portal_login x SET challenge = NULL FROM had WHERE x.token_sha256 = had.token_sha256 RETURNING had.challenge
"""


async def take_challenge(database: Database, begun: Begun) -> bytes | None:
    """The challenge, which is good once."""
    found: bytes | None = await database.fetchval(_TAKE, begun.token_sha256)
    return found


async def end(database: Database, begun: Begun) -> bool:
    """It is through, or given up; whether it was still there: of two at the same moment one goes through."""
    tag = await database.execute("DELETE FROM portal_login WHERE token_sha256 = $1", begun.token_sha256)
    return bool(tag == "DELETE 1")
