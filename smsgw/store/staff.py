"""People who log in to the portal, and their sessions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from smsgw.store.records import audit

if TYPE_CHECKING:
    from smsgw.store.engine.database import Connection, Database, Row

IDLE_MINUTES = 30
"""A session ends when nothing was done for so long …"""
ABSOLUTE_HOURS = 12
"""… and in any case after this."""

SEES_ALL = frozenset({"super", "sysadmin", "secadmin", "auditor", "admin", "reviewer", "finance", "ops"})
"""Roles whose data scope is every account; the others see the accounts in ``staff_account`` and all below them."""


@dataclass(frozen=True, slots=True)
class Staff:
    """One person, with the accounts that he or she may see (those assigned and all below them)."""

    id: int
    login: str
    name: str
    role: str
    must_change: bool
    assigned: tuple[int, ...] = ()

    @property
    def accounts(self) -> tuple[int, ...] | None:
        """The account scope as the queries want it: ``None`` is all accounts."""
        return None if self.role in SEES_ALL else self.assigned


@dataclass(frozen=True, slots=True)
class StaffSession:
    """A live session: whose it is, and its CSRF token."""

    staff: Staff
    csrf: str
    created_at: datetime


_STAFF = """s.id, s.login, s.name, s.role, s.must_change,
    ARRAY(
        WITH RECURSIVE seen(id) AS (
            SELECT account_id FROM staff_account a WHERE a.staff_id = s.id
            UNION SELECT a.id FROM account a JOIN seen ON a.parent_id = seen.id
        )
        SELECT id FROM seen ORDER BY id
    ) AS assigned"""


def _staff(row: Row) -> Staff:
    return Staff(
        id=row["id"],
        login=row["login"],
        name=row["name"],
        role=row["role"],
        must_change=row["must_change"],
        assigned=tuple(row["assigned"]),
    )


async def add_staff(
    db: Database,
    login: str,
    name: str,
    role: str,
    password_hash: str,
    accounts: Sequence[int] = (),
    *,
    must_change: bool = False,
) -> int:
    """Add a person; gives the id. ``must_change`` demands a new password at the first login."""
    async with db.transaction() as connection:
        staff_id: int = await connection.fetchval(
            "INSERT INTO staff (login, name, role, password_hash, must_change) VALUES ($1, $2, $3, $4, $5)"
            " RETURNING id",
            login,
            name,
            role,
            password_hash,
            must_change,
        )
        await connection.execute(
            "INSERT INTO staff_account SELECT $1, unnest($2::bigint[])", staff_id, list(accounts)
        )
    return staff_id


async def get_staff_by_login(db: Database, login: str) -> Staff | None:
    """The active person with this login."""
    row = await db.fetchrow(
        f"SELECT {_STAFF} FROM staff s WHERE s.login = $1 AND s.status = 'active'",  # noqa: S608 - constant
        login,
    )
    return _staff(row) if row else None


ADMINISTRATORS = frozenset({"super", "sysadmin"})
"""Roles without which nobody could manage the platform: the last one who has such a role is not stopped in passing."""


class LastAdministrator(RuntimeError):
    """There would be no administrator left."""


_SET_STATUS = "UPDATE staff SET status = $2 WHERE id = $1"


async def set_status(db: Database, login: str, *, stopped: bool, force: bool, actor: str) -> int | None:
    """Stop a person, or let them in again; all their sessions end. Gives how many those were; None: no such person.

    Raises ``LastAdministrator`` unless ``force``.
    """
    async with db.transaction() as connection:
        # Of two who stop each other at the same moment the second sees that the first has happened.
        rows = await connection.fetch(
            "SELECT id, login, role, status FROM staff"
            " WHERE login = $1 OR (role = ANY($2::text[]) AND status = 'active') ORDER BY id FOR UPDATE",
            login,
            sorted(ADMINISTRATORS),
        )
        person = next((row for row in rows if row["login"] == login), None)
        if person is None:
            return None
        if stopped and person["role"] in ADMINISTRATORS and len(rows) == 1 and not force:
            raise LastAdministrator(f"{login} is the last administrator")
        status = "stopped" if stopped else "active"
        await connection.execute(_SET_STATUS, person["id"], status)
        ended = await _end_sessions(connection, person["id"])
        await audit.append(
            connection, actor, "staff.stop" if stopped else "staff.start", f"staff/{login}",
            before={"status": person["status"]}, after={"status": status, "sessions_ended": ended},
        )  # fmt: skip
    return ended


async def list_staff(db: Database) -> list[Row]:
    """Everybody: login, name, role, status, accounts, must_change, sessions, last_login_at, created_at."""
    return await db.fetch(
        """
        SELECT s.login, s.name, s.role, s.status, s.must_change, s.last_login_at, s.created_at,
               (SELECT count(*) FROM portal_session p WHERE p.staff_id = s.id
                AND p.created_at > now() - make_interval(hours => $1)
                AND p.seen_at > now() - make_interval(mins => $2)) AS sessions,
               ARRAY(SELECT a.name FROM staff_account x JOIN account a ON a.id = x.account_id
                     WHERE x.staff_id = s.id ORDER BY a.name) AS accounts
        FROM staff s ORDER BY s.login
        """,
        ABSOLUTE_HOURS,
        IDLE_MINUTES,
    )


async def find_login(db: Database, login: str) -> tuple[Staff, str] | None:
    """The person and the password hash; ``None`` when there is no such active login."""
    row = await db.fetchrow(
        f"SELECT s.password_hash, {_STAFF} FROM staff s WHERE s.login = $1 AND s.status = 'active'",  # noqa: S608 - constant
        login,
    )
    return (_staff(row), row["password_hash"]) if row else None


async def note_login(db: Database, staff_id: int) -> None:
    """The person has logged in."""
    await db.execute("UPDATE staff SET last_login_at = now() WHERE id = $1", staff_id)


async def set_password(db: Database, staff_id: int, password_hash: str, *, must_change: bool = False) -> int:
    """Store a new password and end every session of the person; gives how many those were."""
    async with db.transaction() as connection:
        await connection.execute(
            "UPDATE staff SET password_hash = $2, must_change = $3 WHERE id = $1",
            staff_id,
            password_hash,
            must_change,
        )
        return await _end_sessions(connection, staff_id)


async def _end_sessions(connection: Connection, staff_id: int) -> int:
    tag = await connection.execute("DELETE FROM portal_session WHERE staff_id = $1", staff_id)
    return int(tag.rpartition(" ")[2])


_SWEEP = """
WITH over AS (
    DELETE FROM portal_session
    WHERE created_at < now() - make_interval(hours => $1) OR seen_at < now() - make_interval(mins => $2)
    RETURNING staff_id, seen_at
)
SELECT s.login, count(*) AS n, max(o.seen_at) AS seen_at FROM over o JOIN staff s ON s.id = o.staff_id
GROUP BY s.login ORDER BY s.login
"""


async def create_session(db: Database, token_sha256: bytes, staff_id: int, csrf: str, ip: str | None) -> None:
    """Store a session (only the hash of its token), and sweep those that are over."""
    async with db.transaction() as connection:
        over = await connection.fetch(_SWEEP, ABSOLUTE_HOURS, IDLE_MINUTES)
        for row in over:
            after = {"sessions_ended": row["n"], "last_seen": row["seen_at"].isoformat(timespec="seconds")}
            await audit.append(connection, row["login"], "session.over", "portal", after=after)
        await connection.execute(
            "INSERT INTO portal_session (token_sha256, staff_id, csrf, ip) VALUES ($1, $2, $3, $4::text::inet)",
            token_sha256,
            staff_id,
            csrf,
            ip,
        )


async def get_session(db: Database, token_sha256: bytes) -> StaffSession | None:
    """The session of a token while it lives and its person is active."""
    row = await db.fetchrow(
        f"""
        SELECT p.csrf, p.created_at, {_STAFF}
        FROM portal_session p JOIN staff s ON s.id = p.staff_id
        WHERE p.token_sha256 = $1 AND s.status = 'active'
          AND p.created_at > now() - make_interval(hours => $2)
          AND p.seen_at > now() - make_interval(mins => $3)
        """,  # noqa: S608 - constant
        token_sha256,
        ABSOLUTE_HOURS,
        IDLE_MINUTES,
    )
    return StaffSession(staff=_staff(row), csrf=row["csrf"], created_at=row["created_at"]) if row else None


async def touch(db: Database, token_sha256: bytes) -> None:
    """The session is in use; written at most once a minute."""
    await db.execute(
        "UPDATE portal_session SET seen_at = now()"
        " WHERE token_sha256 = $1 AND seen_at < now() - interval '1 minute'",
        token_sha256,
    )


async def delete_session(db: Database, token_sha256: bytes) -> bool:
    """End a session; whether there was one."""
    tag = await db.execute("DELETE FROM portal_session WHERE token_sha256 = $1", token_sha256)
    return tag != "DELETE 0"
