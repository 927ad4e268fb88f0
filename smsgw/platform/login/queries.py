"""The statements of login policies and demands."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from smsgw.platform.login.model import Demand, Factor, LoginPolicy, PasswordPolicy, Standing
from smsgw.store.engine.database import Connection, Database, Row

_POLICY = "SELECT * FROM login_policy"
_PASSWORDS = "SELECT length, classes, history, days FROM password_policy"


def demand_of(row: Row | Mapping[str, Any] | None) -> Demand:
    """The demand of a row with ``factors``, ``every`` and ``networks``."""
    if row is None:
        return Demand()
    return Demand(frozenset(map(Factor, row["factors"])), row["every"], tuple(row["networks"]))


async def policy(database: Database | Connection) -> LoginPolicy:
    """What holds for everybody."""
    row = await database.fetchrow(_POLICY)
    if row is None:
        return LoginPolicy()
    return LoginPolicy(
        demand_of(row), row["enrol_reset"], row["idle_minutes"], row["session_hours"], row["sessions"],
        tuple(row["sms_accounts"]), row["sms_text"],
    )  # fmt: skip


async def password_policy(database: Database | Connection) -> PasswordPolicy:
    """What is asked of passwords."""
    row = await database.fetchrow(_PASSWORDS)
    return PasswordPolicy() if row is None else PasswordPolicy(**dict(row))


_ROLES = """
SELECT r.code, r.name, COALESCE(l.factors, '{}') AS factors, COALESCE(l.every, false) AS every,
       COALESCE(l.networks, '{}') AS networks
FROM role r LEFT JOIN role_login l ON l.role_id = r.id ORDER BY r.id
"""


async def of_roles(database: Database | Connection) -> dict[str, Demand]:
    """The demand of each role, by its code."""
    return {row["code"]: demand_of(row) for row in await database.fetch(_ROLES)}


_PEOPLE = """
SELECT s.login, l.factors, l.every, l.networks FROM staff_login l JOIN staff s ON s.id = l.staff_id
WHERE s.status <> 'removed' AND ($1::bigint[] IS NULL OR s.department_id = ANY ($1)) ORDER BY s.login LIMIT 1000
"""


async def of_people(database: Database, departments: tuple[int, ...] | None) -> dict[str, Demand]:
    """Demands of single people in these departments (None: all), by login."""
    ids = None if departments is None else list(departments)
    return {row["login"]: demand_of(row) for row in await database.fetch(_PEOPLE, ids)}


async def of_person(database: Database, staff_id: int) -> Demand:
    """What is demanded of one person beside what is of everybody and of the roles."""
    return demand_of(await database.fetchrow(_OF_PERSON, staff_id))


_OF_PERSON = "SELECT factors, every, networks FROM staff_login WHERE staff_id = $1"
_DEMANDS = """
SELECT factors, every, networks FROM login_policy
UNION ALL SELECT l.factors, l.every, l.networks FROM role_login l JOIN staff_role x ON x.role_id = l.role_id
          WHERE x.staff_id = $1
UNION ALL SELECT factors, every, networks FROM staff_login WHERE staff_id = $1
"""
_ENROLLED = """ARRAY(
    SELECT 'totp' WHERE EXISTS (SELECT FROM staff_totp t WHERE t.staff_id = s.id AND t.confirmed_at IS NOT NULL)
    UNION ALL SELECT 'passkey' WHERE EXISTS (SELECT FROM staff_passkey k WHERE k.staff_id = s.id)
    UNION ALL SELECT 'sms' WHERE s.phone <> '' AND s.phone_verified_at IS NOT NULL
    UNION ALL SELECT 'recovery' WHERE EXISTS (
        SELECT FROM staff_recovery_code c WHERE c.staff_id = s.id AND c.used_at IS NULL
        AND (c.expires_at IS NULL OR c.expires_at > now()))) AS enrolled"""
_STANDING = f"""
SELECT s.must_change AS one_time, p.enrol_reset, {_ENROLLED} FROM staff s CROSS JOIN login_policy p WHERE s.id = $1
"""  # noqa: S608 - constant text
_STANDINGS = f"""
SELECT s.id, s.must_change AS one_time, p.enrol_reset, {_ENROLLED} FROM staff s CROSS JOIN login_policy p
WHERE s.status = 'active' ORDER BY s.id LIMIT $1
"""  # noqa: S608 - constant text
_ALL_DEMANDS = """
SELECT x.staff_id, l.factors, l.every, l.networks FROM role_login l JOIN staff_role x ON x.role_id = l.role_id
UNION ALL SELECT staff_id, factors, every, networks FROM staff_login
"""


async def standing(database: Database | Connection, staff_id: int) -> Standing:
    """What a login of the person takes."""
    row = await database.fetchrow(_STANDING, staff_id)
    if row is None:
        return Standing()
    demands = tuple(demand_of(each) for each in await database.fetch(_DEMANDS, staff_id))
    enrolled = frozenset(map(Factor, row["enrolled"]))
    return Standing(demands, enrolled, row["enrol_reset"], row["one_time"])


async def standings(database: Database, most: int) -> dict[int, Standing]:
    """The same of the first people who may log in, by id."""
    everybody = (await policy(database)).demand
    demands: dict[int, list[Demand]] = {}
    for row in await database.fetch(_ALL_DEMANDS):
        demands.setdefault(row["staff_id"], []).append(demand_of(row))
    return {
        row["id"]: Standing(
            (everybody, *demands.get(row["id"], ())), frozenset(map(Factor, row["enrolled"])), row["enrol_reset"],
            row["one_time"],
        )
        for row in await database.fetch(_STANDINGS, most)
    }  # fmt: skip


_FORGIVEN = """
SELECT login, forgiven_at FROM staff
WHERE forgiven_at > COALESCE($1::timestamptz, now() - interval '1 minute') ORDER BY forgiven_at LIMIT 1000
"""


async def forgiven(database: Database, since: datetime | None) -> list[tuple[str, datetime]]:
    """Whose wrong logins count no more since a time (None: a minute ago), in the order in which that was said."""
    return [(row["login"], row["forgiven_at"]) for row in await database.fetch(_FORGIVEN, since)]
