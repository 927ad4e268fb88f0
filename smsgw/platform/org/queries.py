"""The statements of departments, people, roles and sessions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from smsgw.core.actor import EVERYTHING, Actor, Scope, ScopeKind
from smsgw.core.ids import CHINA
from smsgw.core.permissions import ALL, Permission
from smsgw.platform.listing import Listing
from smsgw.platform.org.model import (
    HOLDERS,
    LIVE,
    MAX_DEPTH,
    Access,
    Branch,
    Contact,
    Department,
    ListedPerson,
    ListedRole,
    ListedSession,
    OpenSession,
    Person,
    PersonFilter,
    Place,
    Reach,
    Role,
    RoleFilter,
    Session,
    SessionFilter,
)
from smsgw.platform.paging import Order
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages import credit

_KNOWN = {permission.value: permission for permission in Permission}


def named(label: str) -> str:
    """SQL: what people call whoever a column names; who is no person, or has no name, by the label."""
    return f"COALESCE((SELECT NULLIF(p.name, '') FROM staff p WHERE p.login = {label}), {label})"  # noqa: S608


def permissions_of(names: Sequence[str]) -> frozenset[Permission]:
    """Permissions by their names; those of a later program are passed over."""
    return frozenset(_KNOWN[name] for name in names if name in _KNOWN)


async def inhabited(database: Database | Connection) -> bool:
    """Whether anybody was ever entered, removed ones too."""
    return bool(await database.fetchval("SELECT EXISTS (SELECT FROM staff)"))


def holds(permission: Permission) -> str:
    """Of ``staff s``: that they are active and have a right; one that is withheld they have not."""
    own = f"SELECT FROM staff_permission x WHERE x.staff_id = s.id AND x.permission = '{permission.value}'"
    return f"""(s.status = 'active' AND NOT EXISTS ({own} AND NOT x.allowed) AND (
        EXISTS ({own} AND x.allowed) OR EXISTS (SELECT FROM staff_role y JOIN role r ON r.id = y.role_id
            WHERE y.staff_id = s.id AND (r.everything OR '{permission.value}' = ANY (r.permissions)))))"""


# --- people ------------------------------------------------------------------------------------------------------


def _accounts_below(roots: str) -> str:
    """Accounts that a condition on ``account`` names, and all below them."""
    return f"""ARRAY(
        WITH RECURSIVE seen(id) AS (
            SELECT id FROM account WHERE {roots}
            UNION SELECT a.id FROM account a JOIN seen ON a.parent_id = seen.id
        )
        SELECT id FROM seen ORDER BY id
    )"""  # noqa: S608 - constant text


def _departments_below(roots: str) -> str:
    return f"""ARRAY(
        WITH RECURSIVE seen(id) AS (
            SELECT id FROM department WHERE removed_at IS NULL AND {roots}
            UNION SELECT d.id FROM department d JOIN seen ON d.parent_id = seen.id WHERE d.removed_at IS NULL
        )
        SELECT id FROM seen ORDER BY id
    )"""  # noqa: S608 - constant text


_BELOW = _departments_below("id = s.department_id")
_RIGHTS = """
    (SELECT COALESCE(jsonb_agg(jsonb_build_object(
        'id', r.id, 'code', r.code, 'name', r.name, 'permissions', r.permissions, 'scope', r.scope,
        'builtin', r.builtin, 'everything', r.everything) ORDER BY r.id), '[]')
     FROM staff_role x JOIN role r ON r.id = x.role_id WHERE x.staff_id = s.id) AS roles,
    ARRAY(SELECT permission FROM staff_permission x WHERE x.staff_id = s.id AND x.allowed) AS allowed,
    ARRAY(SELECT permission FROM staff_permission x WHERE x.staff_id = s.id AND NOT x.allowed) AS withheld"""
_PERSON = f"""s.id, s.login, s.name, s.status, s.department_id,
    s.must_change OR s.password_changed_at < now() - make_interval(days => NULLIF(p.days, 0)) IS TRUE AS must_change,
    {_RIGHTS},
    {_accounts_below("id IN (SELECT account_id FROM staff_account x WHERE x.staff_id = s.id)")} AS assigned,
    {_departments_below("manager_id = s.id")} AS managed,
    {_BELOW} AS below,
    {_accounts_below("department_id = s.department_id")} AS department_accounts,
    {_accounts_below(f"department_id = ANY ({_BELOW})")} AS below_accounts"""  # noqa: S608 - constant text
_FROM = "FROM staff s CROSS JOIN password_policy p"
_BY_LOGIN = f"SELECT {_PERSON}, s.password_hash {_FROM} WHERE s.login = $1 AND s.status = ANY($2::text[])"
_WITH_ROLE = f"""
SELECT {_PERSON} {_FROM} JOIN staff_role y ON y.staff_id = s.id WHERE y.role_id = $1 AND s.status <> 'removed'
"""
_OF_DEPARTMENTS = f"""
SELECT {_PERSON} {_FROM} WHERE s.status <> 'removed' AND (
    s.department_id = ANY($1) OR s.id IN (SELECT manager_id FROM department WHERE id = ANY($1)))
ORDER BY s.id
"""  # noqa: S608 - constant text


def _role(values: Mapping[str, Any] | Row) -> Role:
    return Role(
        values["id"],
        values["code"],
        values["name"],
        permissions_of(values["permissions"]),
        ScopeKind(values["scope"]),
        values["builtin"],
        values["everything"],
    )


def _person(row: Row) -> Person:
    reach = Reach(
        tuple(row["assigned"]),
        tuple(row["managed"]),
        row["department_id"],
        tuple(row["below"]),
        tuple(row["department_accounts"]),
        tuple(row["below_accounts"]),
    )
    return Person(
        row["id"],
        row["login"],
        row["name"],
        tuple(_role(values) for values in json.loads(row["roles"])),
        reach,
        permissions_of(row["allowed"]),
        permissions_of(row["withheld"]),
        row["must_change"],
        row["status"],
    )


async def person(database: Database | Connection, login: str, *, status: Sequence[str] = ("active",)) -> Person | None:
    """Somebody by login; None when nobody with one of these states has it."""
    row = await database.fetchrow(_BY_LOGIN, login, list(status))
    return None if row is None else _person(row)


async def person_to_check(database: Database, login: str) -> tuple[Person, str] | None:
    """The active person and the hash of the password."""
    row = await database.fetchrow(_BY_LOGIN, login, ["active"])
    return None if row is None else (_person(row), row["password_hash"])


_WITHOUT_REACH = f"""
SELECT s.id, s.login, s.name, s.status, s.must_change, {_RIGHTS} FROM staff s
WHERE s.status = 'active' ORDER BY s.id LIMIT $1
"""  # noqa: S608 - constant text


async def active_people(database: Database, most: int) -> list[Person]:
    """The first people who may log in, with their rights and without their reach, which costs far more to find out."""
    return [
        Person(
            row["id"], row["login"], row["name"], tuple(_role(values) for values in json.loads(row["roles"])),
            Reach(), permissions_of(row["allowed"]), permissions_of(row["withheld"]), row["must_change"], row["status"],
        )
        for row in await database.fetch(_WITHOUT_REACH, most)
    ]  # fmt: skip


_WITH_LOGINS = f"SELECT {_PERSON} {_FROM} WHERE s.login = ANY($1) AND s.status <> 'removed'"
_AT_ONCE = 200
"""People whose reach is found out in one statement."""


async def holding(database: Database, rights: frozenset[Permission], most: int) -> list[Person]:
    """The first ``most`` active people who have any of these rights, with their reach."""
    any_of = " OR ".join(map(holds, sorted(rights)))
    rows = await database.fetch(f"SELECT s.login FROM staff s WHERE {any_of} ORDER BY s.id LIMIT $1", most)  # noqa: S608
    logins = [row["login"] for row in rows]
    found: list[Person] = []
    for at in range(0, len(logins), _AT_ONCE):
        rows = await database.fetch(_WITH_LOGINS, logins[at : at + _AT_ONCE])
        found += map(_person, rows)
    return found


async def below(database: Database, actor: Actor, logins: Sequence[str]) -> set[str]:
    """Those of these logins whose people may do and see nothing that the actor may not: whom the actor may manage."""
    if actor.permissions == ALL and actor.scope == EVERYTHING:
        return set(logins)
    found: set[str] = set()
    for at in range(0, len(logins), _AT_ONCE):
        rows = await database.fetch(_WITH_LOGINS, list(logins[at : at + _AT_ONCE]))
        found |= {one.login for one in map(_person, rows) if one.is_below(actor)}
    return found


async def holders(connection: Connection, role_id: int) -> list[Person]:
    """Everybody who has a role."""
    return [_person(row) for row in await connection.fetch(_WITH_ROLE, role_id)]


async def people_of(connection: Connection, departments: Sequence[int]) -> list[Person]:
    """Everybody who is in one of these departments or manages one."""
    return [_person(row) for row in await connection.fetch(_OF_DEPARTMENTS, list(departments))]


async def taken(database: Database, login: str) -> bool:
    """Whether somebody has, or had, this login."""
    return bool(await database.fetchval("SELECT EXISTS (SELECT FROM staff WHERE login = $1)", login))


_LIST = f"""
SELECT s.login, s.name, s.status, s.must_change, s.last_login_at, s.created_at, s.phone, s.email, d.name AS department,
       (SELECT count(*) FROM portal_session x WHERE x.staff_id = s.id AND {LIVE}) AS sessions,
       ARRAY(SELECT r.code FROM staff_role x JOIN role r ON r.id = x.role_id
             WHERE x.staff_id = s.id ORDER BY r.id) AS roles,
       ARRAY(SELECT a.name FROM staff_account x JOIN account a ON a.id = x.account_id
             WHERE x.staff_id = s.id ORDER BY a.name) AS accounts
FROM staff s LEFT JOIN department d ON d.id = s.department_id
WHERE s.status <> 'removed' AND ($1::bigint[] IS NULL OR s.department_id = ANY($1)) ORDER BY s.login
"""  # noqa: S608 - constant text


async def people(database: Database, scope: Scope) -> list[Row]:
    """Everybody in the scope: login, name, status, roles, accounts, department, phone, email, must_change, sessions,
    last_login_at, created_at."""
    departments = None if scope.departments is None else list(scope.departments)
    return await database.fetch(_LIST, departments)


_IN_SCOPE = "({departments}::bigint[] IS NULL OR s.department_id = ANY({departments}))"
# Who has been removed is shown where that is asked for. A last login is null until the first: such a one stands before
# all times.
EVERYBODY = Listing(
    ListedPerson,
    PersonFilter,
    "staff s LEFT JOIN department d ON d.id = s.department_id",
    seen=_IN_SCOPE,
    orders={
        "login": Order("s.login", "text"),
        "name": Order("s.name", "text"),
        "department": Order("COALESCE(d.name, '')", "text"),
        "last_login_at": Order("COALESCE(s.last_login_at, '-infinity')", "timestamptz"),
        "created_at": Order("s.created_at", "timestamptz"),
    },
)
PEOPLE = replace(EVERYBODY, seen=f"s.status <> 'removed' AND {_IN_SCOPE}")


_CONTACT = f"""
SELECT s.id, s.login, s.name, s.status, s.email, s.department_id,
       ARRAY(SELECT account_id FROM staff_account x WHERE x.staff_id = s.id ORDER BY account_id) AS accounts,
       (SELECT count(*) FROM portal_session x WHERE x.staff_id = s.id AND {LIVE}) AS sessions
FROM staff s WHERE s.status <> 'removed' AND s.id = $2 AND ($1::bigint[] IS NULL OR s.department_id = ANY($1))
"""  # noqa: S608 - constant text


async def contact(database: Database, scope: Scope, id_: int) -> Contact | None:
    """What is known of a person in the scope."""
    departments = None if scope.departments is None else list(scope.departments)
    row = await database.fetchrow(_CONTACT, departments, id_)
    return None if row is None else Contact(**(dict(row) | {"accounts": tuple(row["accounts"])}))


_ACCESS = """
SELECT s.id, s.login, s.name, s.status, s.must_change, s.password_changed_at, s.last_login_at,
       host(s.last_login_ip) AS last_login_ip, s.phone, s.phone_verified_at IS NOT NULL AND s.phone <> '' AS verified
FROM staff s WHERE s.status <> 'removed' AND s.id = $2 AND ($1::bigint[] IS NULL OR s.department_id = ANY($1))
"""


async def access(database: Database, scope: Scope, id_: int) -> Access | None:
    """How a person in the scope gets in."""
    departments = None if scope.departments is None else list(scope.departments)
    row = await database.fetchrow(_ACCESS, departments, id_)
    return None if row is None else Access(**dict(row))


_PASSWORDS = """
SELECT password_hash FROM staff_password WHERE staff_id = $1 ORDER BY until DESC
LIMIT (SELECT history FROM password_policy)
"""


@dataclass(frozen=True, slots=True)
class Headcount:
    """People in a scope."""

    active: int
    stopped: int
    one_time: int
    """Active ones who have not chosen a password of their own yet."""
    sessions: int
    """Open ones."""


_HEADCOUNT = f"""
SELECT count(*) FILTER (WHERE s.status = 'active') AS active, count(*) FILTER (WHERE s.status = 'stopped') AS stopped,
       count(*) FILTER (WHERE s.status = 'active' AND s.must_change) AS one_time,
       COALESCE(sum((SELECT count(*) FROM portal_session x WHERE x.staff_id = s.id AND {LIVE}))
                FILTER (WHERE s.status = 'active'), 0)::bigint AS sessions
FROM staff s WHERE s.status <> 'removed' AND ($1::bigint[] IS NULL OR s.department_id = ANY($1))
"""  # noqa: S608 - constant text


async def headcount(database: Database, scope: Scope) -> Headcount:
    """How many people there are."""
    row = await database.fetchrow(_HEADCOUNT, None if scope.departments is None else list(scope.departments))
    assert row is not None  # noqa: S101 - an aggregate has a row
    return Headcount(**dict(row))


async def earlier_passwords(database: Database, staff_id: int) -> list[str]:
    """Hashes of the passwords that must not be taken again, the newest first."""
    return [row["password_hash"] for row in await database.fetch(_PASSWORDS, staff_id)]


# --- roles -------------------------------------------------------------------------------------------------------

_ROLES = """
SELECT id, code, name, permissions, scope, builtin, everything FROM role WHERE $1::text IS NULL OR code = $1 ORDER BY id
"""


async def roles(database: Database | Connection) -> list[Role]:
    """All roles, those that come with the program first."""
    return [_role(row) for row in await database.fetch(_ROLES, None)]


async def role(database: Database | Connection, code: str) -> Role | None:
    """A role by its code."""
    row = await database.fetchrow(_ROLES, code)
    return None if row is None else _role(row)


def _listed_role(row: Row) -> ListedRole:
    role = _role(row)
    return ListedRole(**{key: getattr(role, key) for key in Role.__dataclass_fields__}, holders=row["holders"])


# Who may see roles sees all.
ROLES = Listing(
    ListedRole,
    RoleFilter,
    "role r",
    seen="true",
    orders={"name": Order("r.name", "text"), "code": Order("r.code", "text"), "holders": Order(HOLDERS, "bigint")},
    make=_listed_role,
)

_HOLDERS = """
SELECT s.name, s.login FROM staff s JOIN staff_role x ON x.staff_id = s.id
WHERE x.role_id = $1 AND s.status <> 'removed' AND ($2::bigint[] IS NULL OR s.department_id = ANY($2))
ORDER BY s.login LIMIT 100
"""


async def names_of_holders(database: Database, scope: Scope, role_id: int) -> list[str]:
    """Who in the scope has a role, the first hundred."""
    departments = None if scope.departments is None else list(scope.departments)
    return [row["name"] or row["login"] for row in await database.fetch(_HOLDERS, role_id, departments)]


# --- departments -------------------------------------------------------------------------------------------------

_DEPARTMENTS = """
SELECT d.id, d.name, d.parent_id, d.manager_id, d.month_quota,
       (SELECT count(*) FROM staff s WHERE s.department_id = d.id AND s.status <> 'removed') AS people,
       (SELECT count(*) FROM account a WHERE a.department_id = d.id) AS accounts,
       COALESCE(m.login, '') AS manager, COALESCE(m.name, '') AS manager_name
FROM department d LEFT JOIN staff m ON m.id = d.manager_id
WHERE d.removed_at IS NULL AND ($1::bigint[] IS NULL OR d.id = ANY($1)) ORDER BY d.name, d.id
"""


async def departments(database: Database | Connection, scope: Scope) -> list[Department]:
    """The departments in the scope, by name; a tree by ``parent_id``."""
    ids = None if scope.departments is None else list(scope.departments)
    return [Department(**dict(row)) for row in await database.fetch(_DEPARTMENTS, ids)]


_BRANCH = f"""
WITH below AS (SELECT unnest({_departments_below("id = $1 AND ($2::bigint[] IS NULL OR id = ANY($2))")}) AS id)
SELECT (SELECT count(*) FROM below) AS departments,
       (SELECT count(*) FROM staff s JOIN below b ON b.id = s.department_id WHERE s.status <> 'removed') AS people,
       (SELECT count(*) FROM account a JOIN below b ON b.id = a.department_id) AS accounts
"""  # noqa: S608 - constant text


async def branch(database: Database, scope: Scope, department_id: int) -> Branch:
    """How much a department in the scope and all below it hold."""
    ids = None if scope.departments is None else list(scope.departments)
    row = await database.fetchrow(_BRANCH, department_id, ids)
    return Branch(**dict(row)) if row else Branch(0, 0, 0)


async def month_used(database: Database, department_id: int) -> int:
    """Parts accepted this month (in China) for accounts of a department and those below it, as its quota counts."""
    found = await credit.spent(database, [department_id], clock.now().astimezone(CHINA).date())
    return found.get(department_id, 0)


_PARENT_AT = """
SELECT parent_id FROM department_place WHERE department_id = $1 AND since <= $2 ORDER BY since DESC LIMIT 1
"""


async def parent_at(database: Database, department_id: int, at: Any) -> int | None:
    """What a department was part of at a time; None: of nothing, or it was not there yet."""
    parent: int | None = await database.fetchval(_PARENT_AT, department_id, at)
    return parent


_PLACES = """
SELECT p.since, p.parent_id, CASE WHEN $2::bigint[] IS NULL OR p.parent_id = ANY($2) THEN d.name END AS parent
FROM department_place p LEFT JOIN department d ON d.id = p.parent_id
WHERE p.department_id = $1 ORDER BY p.since DESC LIMIT 50
"""


async def places(database: Database, scope: Scope, department_id: int) -> list[Place]:
    """What a department in the scope has been part of, the newest first."""
    ids = None if scope.departments is None else list(scope.departments)
    rows = await database.fetch(_PLACES, department_id, ids)
    return [Place(row["since"], row["parent_id"], row["parent"] or "") for row in rows]


_SUBTREE = f"""
WITH RECURSIVE below(id, depth) AS (
    SELECT id, 1 FROM department WHERE id = $1 AND removed_at IS NULL
    UNION ALL
    SELECT d.id, b.depth + 1 FROM department d JOIN below b ON d.parent_id = b.id
    WHERE d.removed_at IS NULL AND b.depth <= {MAX_DEPTH}
)
SELECT id, depth FROM below
"""  # noqa: S608 - constant text
_ABOVE = f"""
WITH RECURSIVE above(id, parent_id, depth) AS (
    SELECT id, parent_id, 1 FROM department WHERE id = $1 AND removed_at IS NULL
    UNION ALL
    SELECT d.id, d.parent_id, a.depth + 1 FROM department d JOIN above a ON d.id = a.parent_id
    WHERE a.depth <= {MAX_DEPTH}
)
SELECT id FROM above ORDER BY depth
"""  # noqa: S608 - constant text


async def subtree(connection: Connection, department_id: int) -> dict[int, int]:
    """A department and all below it: id -> how deep, 1 for itself; empty when there is none."""
    return {row["id"]: row["depth"] for row in await connection.fetch(_SUBTREE, department_id)}


async def above(connection: Connection, department_id: int) -> list[int]:
    """A department and all above it, as many as it is deep; empty when there is none."""
    return [row["id"] for row in await connection.fetch(_ABOVE, department_id)]


# --- sessions ----------------------------------------------------------------------------------------------------

_SESSION = f"""
SELECT NOT EXISTS (
    SELECT FROM (
        SELECT networks FROM login_policy
        UNION ALL SELECT l.networks FROM role_login l JOIN staff_role y ON y.role_id = l.role_id WHERE y.staff_id = s.id
        UNION ALL SELECT networks FROM staff_login WHERE staff_id = s.id
    ) d WHERE cardinality(networks) > 0 AND NOT COALESCE($2::text::inet <<= ANY (networks), false)
) AS admitted, x.id AS session_id, x.csrf, x.created_at AS opened_at, x.proven_at, x.factor_at, x.former_login_at,
       host(x.former_login_ip) AS former_login_ip, x.challenge,
       (SELECT value -> 'keys' FROM staff_preference f WHERE f.staff_id = s.id AND f.name = 'favourites') AS starred,
       {_PERSON}
{_FROM} JOIN portal_session x ON x.staff_id = s.id
WHERE x.token_sha256 = $1 AND s.status = 'active' AND {LIVE}
"""  # noqa: S608 - constant text
_SESSIONS = f"""
SELECT x.id, s.login, host(x.ip) AS address, x.created_at, x.seen_at, x.agent, x.factors
FROM portal_session x JOIN staff s ON s.id = x.staff_id WHERE s.login = $1 AND {LIVE} ORDER BY x.id DESC LIMIT 200
"""  # noqa: S608 - constant text


def _keys(starred: str | None) -> tuple[str, ...]:
    keys = json.loads(starred) if starred else []
    return tuple(str(key) for key in keys) if isinstance(keys, list) else ()


async def session(database: Database, token_sha256: bytes, address: str | None = None) -> OpenSession | None:
    """The session of a token while it lives and its person is active; ``address`` is where the request comes from."""
    row = await database.fetchrow(_SESSION, token_sha256, address)
    if row is None:
        return None
    return OpenSession(
        row["session_id"], _person(row), row["csrf"], row["opened_at"], row["proven_at"], row["factor_at"],
        row["former_login_at"], row["former_login_ip"], row["challenge"],
        _keys(row["starred"]), row["admitted"],
    )  # fmt: skip


SESSIONS = Listing(
    ListedSession,
    SessionFilter,
    "portal_session x JOIN staff s ON s.id = x.staff_id LEFT JOIN department d ON d.id = s.department_id",
    seen=f"{LIVE} AND {_IN_SCOPE}",
    orders={
        "seen_at": Order("x.seen_at", "timestamptz"),
        "created_at": Order("x.created_at", "timestamptz"),
        "person": Order("s.login", "text"),
    },
)


async def sessions(database: Database, login: str) -> list[Session]:
    """A person's live sessions, the newest first."""
    return [Session(**dict(row)) for row in await database.fetch(_SESSIONS, login)]
