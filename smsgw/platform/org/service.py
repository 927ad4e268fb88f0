"""The rules of departments, people and roles (docs/adr/038).

Nobody gives what they lack, changes their own rights, or manages a person who has more than they do; nobody is two of
the three administrators (三员); the last one who can manage the platform stays. Everything that bears on rights takes
turns, and goes by the rights that its actor has at that moment.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import asyncpg

from smsgw.core import numbers
from smsgw.core.actor import EVERYTHING, Actor, ActorKind, ScopeKind
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission, duties_of
from smsgw.core.words import phrase
from smsgw.platform.change import Change, Unit
from smsgw.platform.org import queries
from smsgw.platform.org.model import MAX_DEPTH, Person, Role, within

MAX_HISTORY = 24
"""Earlier passwords that are kept of a person."""
PASSWORD_RANGES: Mapping[str, tuple[int, int]] = {
    "history": (0, MAX_HISTORY), "days": (0, 3650), "length": (10, 64), "classes": (3, 4),
}  # fmt: skip
PRESENT = ("active", "stopped")
"""Who has not been removed."""
_LOGIN = re.compile(r"[^\s\x00-\x1f/:]{1,64}")
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]{1,190}")
_TURN = "SELECT pg_advisory_xact_lock(1869768489)"
"""Whatever bears on rights: two at the same moment could together do what neither may."""


async def _turn(unit: Unit, permission: Permission) -> Actor:
    """Wait for the turn; the actor with the rights of now. A person may have lost them since the request began."""
    await unit.connection.execute(_TURN)
    if unit.actor.kind is not ActorKind.PERSON:
        return unit.actor
    person = await queries.person(unit.connection, unit.actor.label)
    actor = Actor(ActorKind.PERSON, unit.actor.name) if person is None else person.actor(unit.actor.address)
    actor.require(permission)
    return actor


async def _known(unit: Unit, actor: Actor, login: str) -> Person:
    """A person whom the actor may see. Raises ``NOT_FOUND``."""
    person = await queries.person(unit.connection, login, status=PRESENT)
    if person is None or not (_is(actor, person) or actor.scope.covers_department(person.reach.department)):
        raise Refused("NOT_FOUND")
    return person


async def _managed(unit: Unit, actor: Actor, login: str) -> Person:
    """A person whom the actor may manage. Raises ``NOT_FOUND``, ``PERSON_ABOVE``."""
    person = await _known(unit, actor, login)
    if not person.is_below(actor):
        raise Refused("PERSON_ABOVE", login=login)
    return person


async def _others(unit: Unit, actor: Actor, login: str) -> Person:
    """The same, but not oneself. Raises ``RIGHTS_OWN`` as well."""
    person = await _managed(unit, actor, login)
    if _is(actor, person):
        raise Refused("RIGHTS_OWN")
    return person


async def another(unit: Unit, permission: Permission, login: str) -> Person:
    """Another person, whom the actor may manage, in turn with all that bears on rights.
    Raises ``NOT_FOUND``, ``PERSON_ABOVE``, ``RIGHTS_OWN``."""
    return await _others(unit, await _turn(unit, permission), login)


async def other(unit: Unit, permission: Permission, login: str) -> Person:
    """Another person whom the actor may see, in turn as ``another``. Raises ``NOT_FOUND``, ``RIGHTS_OWN``."""
    actor = await _turn(unit, permission)
    person = await _known(unit, actor, login)
    if _is(actor, person):
        raise Refused("RIGHTS_OWN")
    return person


def _is(actor: Actor, person: Person) -> bool:
    return actor.kind is ActorKind.PERSON and actor.id == person.id


async def _granted(unit: Unit, actor: Actor, before: Person | None, login: str) -> Person:
    """The person with the new rights, which must not be more than the actor's where they are new: a new permission in
    all of the scope, all permissions in a wider scope.

    Raises ``GRANT_EXCEEDED``, ``DUTIES_CONFLICT``.
    """
    person = await queries.person(unit.connection, login, status=PRESENT)
    if person is None:
        raise Refused("NOT_FOUND")
    wider = before is None or not within(person.scope, before.scope)
    given = person.permissions if before is None or wider else person.permissions - before.permissions
    _check_grant(actor, given)
    if (wider or given) and not within(person.scope, actor.scope):
        raise Refused("GRANT_EXCEEDED", permission="scope")
    if len(person.duties) > 1:
        raise Refused("DUTIES_CONFLICT")
    return person


def _check_grant(actor: Actor, given: Collection[Permission]) -> None:
    lacking = sorted(frozenset(given) - actor.permissions)
    if lacking:
        raise Refused("GRANT_EXCEEDED", permission=lacking[0].value)


_ADMINISTRATORS = """
SELECT s.login FROM staff s WHERE s.status = 'active' AND (
    EXISTS (SELECT FROM staff_role x JOIN role r ON r.id = x.role_id
            WHERE x.staff_id = s.id AND (r.everything OR $1 = ANY (r.permissions)))
    OR EXISTS (SELECT FROM staff_permission x WHERE x.staff_id = s.id AND x.permission = $1 AND x.allowed))
ORDER BY s.id FOR UPDATE OF s
"""


async def _administrators(unit: Unit) -> set[str]:
    """Logins of those who can manage the platform."""
    found = set()
    for row in await unit.connection.fetch(_ADMINISTRATORS, Permission.ROLE_EDIT.value):
        person = await queries.person(unit.connection, row["login"])
        if person is not None and person.administrator:
            found.add(person.login)
    return found


async def _keep_administrator(unit: Unit, before: set[str]) -> None:
    """Raises ``LAST_ADMINISTRATOR`` when there was one before, and there is none now."""
    if before and not await _administrators(unit):
        raise Refused("LAST_ADMINISTRATOR", login=min(before))


# --- people ------------------------------------------------------------------------------------------------------

_ADD = """
INSERT INTO staff (login, name, password_hash, must_change, department_id) VALUES ($1, $2, $3, $4, $5) RETURNING id
"""
_ASSIGN = "INSERT INTO staff_account (staff_id, account_id) SELECT $1, unnest($2::bigint[])"
_GIVE = "INSERT INTO staff_role (staff_id, role_id) SELECT $1, unnest($2::bigint[])"


async def add_person(
    change: Change,
    login: str,
    name: str,
    roles: Sequence[str],
    password_hash: str,
    *,
    accounts: Sequence[int] = (),
    department_id: int | None = None,
    email: str = "",
    phone: str = "",
    must_change: bool = True,
    first: bool = False,
) -> int:
    """Make a person with these roles (their codes) and assigned accounts; the id.

    ``must_change`` demands a new password at the first login. ``first``: only where nobody has ever been entered, else
    ``NOT_FOUND``. Raises ``PARAM_INVALID``, ``GRANT_EXCEEDED``,
    ``DUTIES_CONFLICT``; ``NOT_FOUND`` for a department or an account out of scope.
    """
    if not _LOGIN.fullmatch(login):
        raise Invalid("PARAM_INVALID", field="login", reason=phrase("person.login"))
    if not name.isprintable():
        raise _unprintable()
    contact = _checked({"email": email, "phone": phone})
    async with change.unit(Permission.PERSON_EDIT) as unit:
        actor = await _turn(unit, Permission.PERSON_EDIT)
        if first and await queries.inhabited(unit.connection):
            raise Refused("NOT_FOUND")
        await _check_place(unit, actor, department_id)
        _check_accounts(actor, accounts)
        if roles:
            actor.require(Permission.PERSON_GRANT)
        given = await _roles(unit, roles)
        try:
            staff_id: int = await unit.connection.fetchval(
                _ADD, login, name.strip()[:64], password_hash, must_change, department_id
            )
            await unit.connection.execute(_ASSIGN, staff_id, sorted(set(accounts)))
            await _set(unit, staff_id, contact)
        except asyncpg.UniqueViolationError as exc:
            raise Invalid("PARAM_INVALID", field="login", reason=phrase("person.login_taken", login=login)) from exc
        except asyncpg.ForeignKeyViolationError as exc:
            raise Refused("NOT_FOUND") from exc
        await unit.connection.execute(_GIVE, staff_id, [role.id for role in given])
        await _granted(unit, actor, None, login)
        after: dict[str, Any] = {"role": ",".join(role.code for role in given)}
        if accounts:
            after["accounts"] = sorted(set(accounts))
        if department_id is not None:
            after["department"] = department_id
        after |= {field: value for field, value in _shown(contact).items() if value}
        unit.record("staff.add", f"staff/{login}", after=after)
        return staff_id


async def _check_place(unit: Unit, actor: Actor, department_id: int | None) -> None:
    """Whether somebody may be put into the department; None: into none. Raises ``NOT_FOUND``."""
    if department_id is not None:
        await _own_department(unit, actor, department_id)
    elif not actor.scope.covers_department(None):
        raise Refused("NOT_FOUND")


def _check_accounts(actor: Actor, accounts: Collection[int]) -> None:
    """Accounts that are newly assigned to somebody, whose roles may yet come. Raises ``NOT_FOUND``."""
    if not all(actor.scope.covers(account_id) for account_id in accounts):
        raise Refused("NOT_FOUND")


async def _roles(unit: Unit, codes: Sequence[str]) -> list[Role]:
    known = {role.code: role for role in await queries.roles(unit.connection)}
    missing = [code for code in codes if code not in known]
    if missing:
        reason = phrase("role.unknown", code=missing[0], known=", ".join(known))
        raise Invalid("PARAM_INVALID", field="role", reason=reason)
    return [known[code] for code in dict.fromkeys(codes)]


_FIELDS = ("name", "email", "phone", "department_id", "accounts")


async def set_person(change: Change, login: str, changes: Mapping[str, Any]) -> None:
    """Change what is known of a person: ``name``, ``email``, ``phone``, ``department_id``, ``accounts`` (ids).

    A new phone number has to be verified anew. Raises ``PARAM_INVALID``, ``NOT_FOUND``, ``PERSON_ABOVE``,
    ``GRANT_EXCEEDED``; ``RIGHTS_OWN`` for one's own department and accounts.
    """
    values = _checked(changes)
    async with change.unit(Permission.PERSON_EDIT) as unit:
        actor = await _turn(unit, Permission.PERSON_EDIT)
        person = await _managed(unit, actor, login)
        rights = values.keys() & {"department_id", "accounts"}
        if rights and _is(actor, person):
            raise Refused("RIGHTS_OWN")
        if "department_id" in values:
            await _check_place(unit, actor, values["department_id"])
        before = await _set(unit, person.id, values)
        _check_accounts(actor, set(values.get("accounts", ())) - set(before.get("accounts", ())))
        if rights:
            await _granted(unit, actor, person, login)
        unit.record("staff.set", f"staff/{login}", before=_shown(before), after=_shown(values))


async def set_contact(change: Change, changes: Mapping[str, Any]) -> None:
    """Change one's own ``name``, ``email``, ``phone``. Raises ``PARAM_INVALID``."""
    values = _checked(changes)
    if values.keys() & {"department_id", "accounts"}:
        raise Refused("RIGHTS_OWN")
    async with change.unit(Permission.SELF_EDIT) as unit:
        before = await _set(unit, unit.actor.id, values)
        unit.record("staff.contact", f"staff/{unit.actor.name}", before=_shown(before), after=_shown(values))


def _unprintable() -> Invalid:
    return Invalid("PARAM_INVALID", field="name", reason=phrase("text.printable"))


def _checked(changes: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(changes)
    unknown = sorted(values.keys() - set(_FIELDS))
    if unknown or not values:
        field = unknown[0] if unknown else "changes"
        raise Invalid("PARAM_INVALID", field=field, reason=phrase("fields.known", known=", ".join(_FIELDS)))
    if "name" in values:
        values["name"] = str(values["name"] or "").strip()
        if not 0 < len(values["name"]) <= 64:
            raise Invalid("PARAM_INVALID", field="name", reason=phrase("text.between", low=1, high=64))
        if not values["name"].isprintable():
            raise _unprintable()
    if values.get("email") and not _EMAIL.fullmatch(str(values["email"])):
        raise Invalid("PARAM_INVALID", field="email", reason=phrase("email.wrong"))
    if values.get("phone"):
        try:
            values["phone"] = numbers.normalize(str(values["phone"]))
        except numbers.InvalidNumber as exc:
            raise Invalid("NUMBER_INVALID") from exc
    if "accounts" in values:
        values["accounts"] = sorted(set(values["accounts"]))
    return values


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    return {field: numbers.mask(value) if field == "phone" and value else value for field, value in values.items()}


_BEFORE = """
SELECT name, email, phone, department_id, ARRAY(
    SELECT account_id FROM staff_account x WHERE x.staff_id = s.id ORDER BY account_id) AS accounts
FROM staff s WHERE id = $1 FOR UPDATE
"""
_SET = """
UPDATE staff SET name = COALESCE($2, name), email = COALESCE($3, email), phone = COALESCE($4, phone),
    phone_verified_at = CASE WHEN COALESCE($4, phone) = phone THEN phone_verified_at END,
    department_id = CASE WHEN $5 THEN $6 ELSE department_id END
WHERE id = $1
"""


async def _set(unit: Unit, staff_id: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """Write the fields; what they were."""
    row = await unit.connection.fetchrow(_BEFORE, staff_id)
    if row is None:
        raise Refused("NOT_FOUND")
    try:
        await unit.connection.execute(
            _SET, staff_id, values.get("name"), values.get("email"), values.get("phone"),
            "department_id" in values, values.get("department_id"),
        )  # fmt: skip
        if "accounts" in values:
            await unit.connection.execute("DELETE FROM staff_account WHERE staff_id = $1", staff_id)
            await unit.connection.execute(_ASSIGN, staff_id, values["accounts"])
    except asyncpg.ForeignKeyViolationError as exc:
        raise Refused("NOT_FOUND") from exc
    return {field: list(row[field]) if field == "accounts" else row[field] for field in values}


_STATUS = "UPDATE staff SET status = $2 WHERE id = $1"


async def stop_person(change: Change, login: str, *, force: bool = False) -> int:
    """Let a person in no more; how many sessions that has ended.

    Raises ``NOT_FOUND``, ``PERSON_ABOVE``, ``RIGHTS_OWN``; ``LAST_ADMINISTRATOR`` unless ``force``, which counts only
    of who is at the machine.
    """
    return await _set_status(change, login, "stopped", "staff.stop", force=force)


async def start_person(change: Change, login: str) -> int:
    """Let a stopped person in again, with the password they had; sessions that has ended.
    Raises ``NOT_FOUND``, ``PERSON_ABOVE``, ``RIGHTS_OWN``."""
    return await _set_status(change, login, "active", "staff.start")


async def remove_person(change: Change, login: str) -> int:
    """Take a person out of all lists, and out of the roles; what they have done stays, and nobody else gets the login.
    Sessions ended.

    Raises ``NOT_FOUND``, ``PERSON_ABOVE``, ``RIGHTS_OWN``, ``LAST_ADMINISTRATOR``."""
    return await _set_status(change, login, "removed", "staff.remove")


async def _set_status(change: Change, login: str, status: str, action: str, *, force: bool = False) -> int:
    async with change.unit(Permission.PERSON_STOP) as unit:
        actor = await _turn(unit, Permission.PERSON_STOP)
        person = await _others(unit, actor, login)
        administrators = await _administrators(unit)
        await unit.connection.execute(_STATUS, person.id, status)
        if not (force and actor.kind is ActorKind.OPERATOR):
            await _keep_administrator(unit, administrators)
        if status == "removed":
            await unit.connection.execute("DELETE FROM staff_role WHERE staff_id = $1", person.id)
        ended = await end_sessions(unit, person.id)
        unit.record(
            action, f"staff/{login}", before={"status": person.status},
            after={"status": status, "sessions_ended": ended},
        )  # fmt: skip
        return ended


# --- rights ------------------------------------------------------------------------------------------------------


async def grant(change: Change, login: str, roles: Sequence[str]) -> None:
    """Give a person these roles, and take all others.

    Raises ``PARAM_INVALID``, ``NOT_FOUND``, ``PERSON_ABOVE``, ``RIGHTS_OWN``, ``GRANT_EXCEEDED``, ``DUTIES_CONFLICT``,
    ``LAST_ADMINISTRATOR``.
    """
    async with change.unit(Permission.PERSON_GRANT) as unit:
        actor = await _turn(unit, Permission.PERSON_GRANT)
        person = await _others(unit, actor, login)
        given = await _roles(unit, roles)
        administrators = await _administrators(unit)
        await unit.connection.execute("DELETE FROM staff_role WHERE staff_id = $1", person.id)
        await unit.connection.execute(_GIVE, person.id, [role.id for role in given])
        await _granted(unit, actor, person, login)
        await _keep_administrator(unit, administrators)
        unit.record(
            "staff.grant", f"staff/{login}", before={"roles": [role.code for role in person.roles]},
            after={"roles": [role.code for role in given]},
        )  # fmt: skip


_TICK = """
INSERT INTO staff_permission (staff_id, permission, allowed) SELECT $1, unnest($2::text[]), $3
"""


async def set_permissions(
    change: Change, login: str, *, allowed: Collection[Permission], withheld: Collection[Permission]
) -> None:
    """Set what a person may do beyond the roles, and what not though a role has it: the boxes of a sub-account.

    Raises as ``grant``.
    """
    async with change.unit(Permission.PERSON_GRANT) as unit:
        actor = await _turn(unit, Permission.PERSON_GRANT)
        person = await _others(unit, actor, login)
        administrators = await _administrators(unit)
        more, less = sorted(set(allowed) - set(withheld)), sorted(set(withheld))
        await unit.connection.execute("DELETE FROM staff_permission WHERE staff_id = $1", person.id)
        await unit.connection.execute(_TICK, person.id, [p.value for p in more], True)
        await unit.connection.execute(_TICK, person.id, [p.value for p in less], False)
        await _granted(unit, actor, person, login)
        await _keep_administrator(unit, administrators)
        unit.record(
            "staff.permissions",
            f"staff/{login}",
            before={"allowed": sorted(person.allowed), "withheld": sorted(person.withheld)},
            after={"allowed": more, "withheld": less},
        )


_ADD_ROLE = "INSERT INTO role (code, name, permissions, scope) VALUES ($1, $2, $3, $4) RETURNING id"
_SET_ROLE = "UPDATE role SET name = $2, permissions = $3, scope = $4 WHERE id = $1"
_CODE = re.compile(r"[a-z][a-z0-9_-]{0,31}")


async def add_role(change: Change, code: str, name: str, permissions: Collection[Permission], scope: ScopeKind) -> int:
    """Make a role; its id. Raises ``PARAM_INVALID``, ``GRANT_EXCEEDED``, ``DUTIES_CONFLICT``."""
    async with change.unit(Permission.ROLE_EDIT) as unit:
        actor = await _turn(unit, Permission.ROLE_EDIT)
        return await _add_role(unit, actor, "role.add", code, name, permissions, scope)


async def copy_role(change: Change, source: str, code: str, name: str) -> int:
    """Make a role that is as another one, and can be changed; its id. Raises as ``add_role``, and ``NOT_FOUND``."""
    async with change.unit(Permission.ROLE_EDIT) as unit:
        actor = await _turn(unit, Permission.ROLE_EDIT)
        copied = await _role(unit, source)
        permissions = frozenset(Permission) if copied.everything else copied.permissions
        return await _add_role(unit, actor, "role.copy", code, name, permissions, copied.scope)


async def _add_role(
    unit: Unit, actor: Actor, action: str, code: str, name: str, permissions: Collection[Permission], scope: ScopeKind
) -> int:
    if not _CODE.fullmatch(code):
        raise Invalid("PARAM_INVALID", field="code", reason=phrase("role.code"))
    name = _role_name(name)
    _check_role(actor, permissions, scope)
    try:
        role_id: int = await unit.connection.fetchval(
            _ADD_ROLE, code, name, sorted(p.value for p in permissions), scope.value
        )
    except asyncpg.UniqueViolationError as exc:
        raise Invalid("PARAM_INVALID", field="code", reason=phrase("role.exists", code=code)) from exc
    unit.record(action, f"role/{code}", after=_described(name, permissions, scope))
    return role_id


def _role_name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= 64:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("text.between", low=1, high=64))
    return name


def _check_role(actor: Actor, permissions: Collection[Permission], scope: ScopeKind) -> None:
    _check_grant(actor, permissions)
    if scope is ScopeKind.ALL and actor.scope != EVERYTHING:
        raise Refused("GRANT_EXCEEDED", permission="scope")
    if len(duties_of(permissions)) > 1:
        raise Refused("DUTIES_CONFLICT")


def _described(name: str, permissions: Collection[Permission], scope: ScopeKind) -> dict[str, Any]:
    return {"name": name, "permissions": sorted(p.value for p in permissions), "scope": scope.value}


async def _role(unit: Unit, code: str) -> Role:
    role = await queries.role(unit.connection, code)
    if role is None:
        raise Refused("NOT_FOUND")
    return role


async def _own_role(unit: Unit, actor: Actor, code: str) -> Role:
    """A role that may be changed by this actor. Raises ``ROLE_PROTECTED``, ``GRANT_EXCEEDED``, ``RIGHTS_OWN``."""
    role = await _role(unit, code)
    if role.builtin:
        raise Refused("ROLE_PROTECTED", role=code)
    _check_role(actor, role.permissions, role.scope)
    if any(_is(actor, person) for person in await queries.holders(unit.connection, role.id)):
        raise Refused("RIGHTS_OWN")
    return role


async def set_role(
    change: Change, code: str, *, name: str, permissions: Collection[Permission], scope: ScopeKind
) -> None:
    """Change a role, and with it what all its holders may do from their next request on: what may not be done to each
    of them is not done through the role either, be it given or taken away.

    Raises ``NOT_FOUND``, ``PARAM_INVALID``, ``ROLE_PROTECTED``, ``RIGHTS_OWN``, ``GRANT_EXCEEDED``,
    ``DUTIES_CONFLICT`` (of a holder, too), ``LAST_ADMINISTRATOR``; ``STATE_CONFLICT`` when somebody holds it whom the
    actor does not see, ``PERSON_ABOVE`` for a holder who may do more than the actor.
    """
    name = _role_name(name)
    async with change.unit(Permission.ROLE_EDIT) as unit:
        actor = await _turn(unit, Permission.ROLE_EDIT)
        role = await _own_role(unit, actor, code)
        _check_role(actor, permissions, scope)
        holders = await queries.holders(unit.connection, role.id)
        administrators = await _administrators(unit)
        await unit.connection.execute(_SET_ROLE, role.id, name, sorted(p.value for p in permissions), scope.value)
        for person in holders:
            await _granted(unit, actor, person, person.login)
        if (frozenset(permissions), scope) != (role.permissions, role.scope):
            _check_holders(actor, holders)
        await _keep_administrator(unit, administrators)
        unit.record(
            "role.set", f"role/{code}", before=_described(role.name, role.permissions, role.scope),
            after=_described(name, permissions, scope),
        )  # fmt: skip


def _check_holders(actor: Actor, holders: Sequence[Person]) -> None:
    """Whether the actor may manage everybody who holds a role."""
    unseen = sum(not actor.scope.covers_department(person.reach.department) for person in holders)
    if unseen:
        raise Refused("STATE_CONFLICT", reason=phrase("role.held_elsewhere", n=unseen))
    for person in holders:
        if not person.is_below(actor):
            raise Refused("PERSON_ABOVE", login=person.login)


async def remove_role(change: Change, code: str) -> None:
    """Remove a role that nobody has. Raises ``NOT_FOUND``, ``ROLE_PROTECTED``, ``STATE_CONFLICT``."""
    async with change.unit(Permission.ROLE_EDIT) as unit:
        actor = await _turn(unit, Permission.ROLE_EDIT)
        role = await _own_role(unit, actor, code)
        if await unit.connection.fetchval("SELECT count(*) FROM staff_role WHERE role_id = $1", role.id):
            raise Refused("STATE_CONFLICT", reason=phrase("role.used"))
        await unit.connection.execute("DELETE FROM role WHERE id = $1", role.id)
        unit.record("role.remove", f"role/{code}", before=_described(role.name, role.permissions, role.scope))


# --- passwords and sessions --------------------------------------------------------------------------------------

_KEEP = "INSERT INTO staff_password (staff_id, password_hash) SELECT id, password_hash FROM staff WHERE id = $1"
_FORGET = """
DELETE FROM staff_password WHERE staff_id = $1 AND until NOT IN (
    SELECT until FROM staff_password WHERE staff_id = $1 ORDER BY until DESC LIMIT $2)
"""
_SET_HASH = """
UPDATE staff SET password_hash = $2, must_change = $3, password_changed_at = now() WHERE id = $1
"""


async def reset_password(change: Change, login: str, password_hash: str) -> int:
    """Give a person a one-time password, to be changed at the next login; how many sessions that has ended.

    Raises ``NOT_FOUND`` (also for who is stopped), ``PERSON_ABOVE``; ``RIGHTS_OWN``: one's own takes the former one.
    """
    async with change.unit(Permission.PERSON_RESET) as unit:
        person = await another(unit, Permission.PERSON_RESET, login)
        if person.status != "active":
            raise Refused("NOT_FOUND")
        ended = await _set_password(unit, person.id, password_hash, must_change=True)
        unit.record("staff.reset", f"staff/{login}", after={"sessions_ended": ended})
        return ended


_HELD = "SELECT password_hash FROM staff WHERE id = $1 AND status = 'active' FOR UPDATE"


async def change_password(change: Change, password_hash: str, *, former: str) -> int:
    """Set one's own password, which was judged and is none of the earlier ones, in the place of the one with the hash
    ``former``, which one has shown to know; sessions ended: all.

    Raises ``STATE_CONFLICT`` when it is another by now.
    """
    async with change.unit(Permission.SELF_EDIT) as unit:
        if await unit.connection.fetchval(_HELD, unit.actor.id) != former:
            raise Refused("STATE_CONFLICT", reason=phrase("password.reset_meanwhile"))
        ended = await _set_password(unit, unit.actor.id, password_hash, must_change=False)
        unit.record("password.change", f"staff:{unit.actor.name}", after={"sessions_ended": ended})
        return ended


async def _set_password(unit: Unit, staff_id: int, password_hash: str, *, must_change: bool) -> int:
    await unit.connection.execute(_KEEP, staff_id)
    await unit.connection.execute(_FORGET, staff_id, MAX_HISTORY)
    if await unit.connection.execute(_SET_HASH, staff_id, password_hash, must_change) != "UPDATE 1":
        raise Refused("NOT_FOUND")
    return await end_sessions(unit, staff_id)


_POLICY = "UPDATE password_policy SET history = $1, days = $2, length = $3, classes = $4"
_POLICY_NOW = "SELECT history, days, length, classes FROM password_policy FOR UPDATE"


async def set_password_policy(change: Change, *, history: int, days: int, length: int = 10, classes: int = 3) -> None:
    """Say how many earlier passwords are not taken again, after how many days one has to be changed (0: never), how
    many characters and how many kinds of them it has. Raises ``PARAM_INVALID``."""
    wanted = {"history": history, "days": days, "length": length, "classes": classes}
    for name, (least, most) in PASSWORD_RANGES.items():
        if not least <= wanted[name] <= most:
            raise Invalid("PARAM_INVALID", field=name, reason=f"{least}–{most}")
    async with change.unit(Permission.SECURITY_EDIT) as unit:
        await _turn(unit, Permission.SECURITY_EDIT)
        before = await unit.connection.fetchrow(_POLICY_NOW)
        await unit.connection.execute(_POLICY, *wanted.values())
        unit.record("password.policy", "password_policy", before=None if before is None else dict(before), after=wanted)


_SESSION_OF = "SELECT s.id, s.login FROM portal_session x JOIN staff s ON s.id = x.staff_id WHERE x.id = $1"


async def end_session(change: Change, session_id: int) -> None:
    """End one of one's own sessions, or with ``PERSON_STOP`` one of a person whom one may manage; the security
    administrator ends those of everybody in sight. Raises ``NOT_FOUND``, ``PERSON_ABOVE``."""
    async with change.unit(Permission.SELF_EDIT) as unit:
        row = await unit.connection.fetchrow(_SESSION_OF, session_id)
        if row is None:
            raise Refused("NOT_FOUND")
        if not (unit.actor.kind is ActorKind.PERSON and unit.actor.id == row["id"]):
            await _whose_sessions(unit, row["login"])
        await unit.connection.execute("DELETE FROM portal_session WHERE id = $1", session_id)
        unit.record("session.end", f"staff/{row['login']}", before={"session": session_id})


async def _whose_sessions(unit: Unit, login: str) -> Person:
    """Somebody whose sessions the actor may end. Raises ``NOT_FOUND``, ``PERSON_ABOVE``."""
    if unit.actor.may(Permission.SECURITY_EDIT):
        return await _known(unit, await _turn(unit, Permission.SECURITY_EDIT), login)
    if not unit.actor.may(Permission.PERSON_STOP):
        raise Refused("NOT_FOUND")
    return await _managed(unit, await _turn(unit, Permission.PERSON_STOP), login)


async def end_sessions_of(change: Change, login: str) -> int:
    """End all sessions of another person, and logins under way; how many sessions those were. Who may do so: as of
    ``end_session``. Raises ``NOT_FOUND``, ``PERSON_ABOVE``, ``RIGHTS_OWN``."""
    security = change.actor.may(Permission.SECURITY_EDIT)
    async with change.unit(Permission.SECURITY_EDIT if security else Permission.PERSON_STOP) as unit:
        person = await _whose_sessions(unit, login)
        if _is(unit.actor, person):
            raise Refused("RIGHTS_OWN")
        ended = await end_sessions(unit, person.id)
        unit.record("session.end", f"staff/{login}", after={"sessions_ended": ended})
        return ended


async def end_other_sessions(change: Change, keep: int) -> int:
    """End one's own sessions but this one; how many those were."""
    async with change.unit(Permission.SELF_EDIT) as unit:
        if unit.actor.kind is not ActorKind.PERSON:
            raise Refused("PERMISSION_DENIED", permission=Permission.SELF_EDIT.value)
        tag = await unit.connection.execute(
            "DELETE FROM portal_session WHERE staff_id = $1 AND id <> $2", unit.actor.id, keep
        )
        ended = int(tag.rpartition(" ")[2])
        unit.record("session.end", f"staff/{unit.actor.name}", after={"sessions_ended": ended})
        return ended


async def end_sessions(unit: Unit, staff_id: int) -> int:
    """End all sessions of a person, and logins under way, as part of what changes something about them; how many
    sessions those were."""
    await unit.connection.execute("DELETE FROM portal_login WHERE staff_id = $1", staff_id)
    tag = await unit.connection.execute("DELETE FROM portal_session WHERE staff_id = $1", staff_id)
    return int(tag.rpartition(" ")[2])


# --- departments -------------------------------------------------------------------------------------------------

_ADD_DEPARTMENT = "INSERT INTO department (name, parent_id) VALUES ($1, $2) RETURNING id"
_PLACE = "INSERT INTO department_place (department_id, parent_id) VALUES ($1, $2)"
_DEPARTMENT = "SELECT * FROM department WHERE id = $1 AND removed_at IS NULL FOR UPDATE"


def _department_name(name: str) -> str:
    name = name.strip()
    if not 0 < len(name) <= 64:
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("text.between", low=1, high=64))
    if not name.isprintable():
        raise _unprintable()
    return name


async def add_department(change: Change, name: str, parent_id: int | None = None) -> int:
    """Make a department; its id. Raises ``PARAM_INVALID``, ``NOT_FOUND``."""
    name = _department_name(name)
    async with change.unit(Permission.DEPARTMENT_EDIT) as unit:
        actor = await _turn(unit, Permission.DEPARTMENT_EDIT)
        await _parent(unit, actor, parent_id, height=1)
        try:
            department_id: int = await unit.connection.fetchval(_ADD_DEPARTMENT, name, parent_id)
        except asyncpg.UniqueViolationError as exc:
            raise _name_taken(name) from exc
        await unit.connection.execute(_PLACE, department_id, parent_id)
        unit.record("department.add", f"department/{department_id}", after={"name": name, "parent": parent_id})
        return department_id


def _name_taken(name: str) -> Invalid:
    return Invalid("PARAM_INVALID", field="name", reason=phrase("department.exists", name=name))


async def _parent(unit: Unit, actor: Actor, parent_id: int | None, *, height: int) -> list[int]:
    """Whether a branch so high may be put there; the departments that it is then below."""
    if not actor.scope.covers_department(parent_id):
        raise Refused("NOT_FOUND")
    above = [] if parent_id is None else await queries.above(unit.connection, parent_id)
    if parent_id is not None and not above:
        raise Refused("NOT_FOUND")
    if len(above) + height > MAX_DEPTH:
        raise Invalid("PARAM_INVALID", field="parent", reason=phrase("department.depth", most=MAX_DEPTH))
    return above


async def _own_department(unit: Unit, actor: Actor, department_id: int) -> Mapping[str, Any]:
    row = await unit.connection.fetchrow(_DEPARTMENT, department_id)
    if row is None or not actor.scope.covers_department(department_id):
        raise Refused("NOT_FOUND")
    return dict(row)


_COUNT_ANEW = "DELETE FROM department_used WHERE department_id = $1"
_SET_DEPARTMENT = "UPDATE department SET name = $2, manager_id = $3, month_quota = $4 WHERE id = $1"


async def set_department(
    change: Change, department_id: int, *, name: str, manager: str | None, month_quota: int | None
) -> None:
    """Set a department's name, its manager (a login), who sees it and all below it, and its quota in parts a month:
    that is set by who sees the department above, as it holds for its own head too.

    Raises ``PARAM_INVALID``, ``NOT_FOUND``, ``RIGHTS_OWN``, ``GRANT_EXCEEDED``.
    """
    name = _department_name(name)
    if month_quota is not None and month_quota < 1:
        raise Invalid("PARAM_INVALID", field="month_quota", reason=phrase("number.positive"))
    async with change.unit(Permission.DEPARTMENT_EDIT) as unit:
        actor = await _turn(unit, Permission.DEPARTMENT_EDIT)
        before = await _own_department(unit, actor, department_id)
        person = None if manager is None else await _known(unit, actor, manager)
        manager_id = None if person is None else person.id
        if manager_id != before["manager_id"] and person is not None and _is(actor, person):
            raise Refused("RIGHTS_OWN")
        if month_quota != before["month_quota"] and not actor.scope.covers_department(before["parent_id"]):
            raise Invalid("PARAM_INVALID", field="month_quota", reason=phrase("department.quota_above"))
        try:
            await unit.connection.execute(_SET_DEPARTMENT, department_id, name, manager_id, month_quota)
        except asyncpg.UniqueViolationError as exc:
            raise _name_taken(name) from exc
        if before["month_quota"] is None and month_quota is not None:  # counted anew, from the accounts' books
            await unit.connection.execute(_COUNT_ANEW, department_id)
        if person is not None:
            await _granted(unit, actor, person, person.login)
        unit.record(
            "department.set",
            f"department/{department_id}",
            before={field: before[field] for field in ("name", "manager_id", "month_quota")},
            after={"name": name, "manager_id": manager_id, "month_quota": month_quota},
        )


async def move_department(change: Change, department_id: int, parent_id: int | None) -> None:
    """Put a department with all below it elsewhere; where it was before is kept. Who sees the department above it sees
    it from then on.

    Raises ``NOT_FOUND``, ``PARAM_INVALID``; ``RIGHTS_OWN``, ``GRANT_EXCEEDED`` for accounts that its mover has not.
    """
    async with change.unit(Permission.DEPARTMENT_EDIT) as unit:
        actor = await _turn(unit, Permission.DEPARTMENT_EDIT)
        before = await _own_department(unit, actor, department_id)
        below = await queries.subtree(unit.connection, department_id)
        if parent_id in below:
            raise Invalid("PARAM_INVALID", field="parent", reason=phrase("department.parent_below"))
        above = await _parent(unit, actor, parent_id, height=max(below.values()))
        people = await queries.people_of(unit.connection, above)
        try:
            await unit.connection.execute(
                "UPDATE department SET parent_id = $2 WHERE id = $1", department_id, parent_id
            )
        except asyncpg.UniqueViolationError as exc:
            raise _name_taken(before["name"]) from exc
        await unit.connection.execute(_PLACE, department_id, parent_id)
        _check_reach(actor, people, await queries.people_of(unit.connection, above))
        unit.record(
            "department.move", f"department/{department_id}",
            before={"parent": before["parent_id"]}, after={"parent": parent_id},
        )  # fmt: skip


def _check_reach(actor: Actor, before: Sequence[Person], after: Sequence[Person]) -> None:
    """Whether people see no more than before, or nothing that the actor does not see. The same people, in order."""
    for was, person in zip(before, after, strict=True):
        if within(person.scope, was.scope):
            continue
        if _is(actor, person):
            raise Refused("RIGHTS_OWN")
        if not within(person.scope, actor.scope):
            raise Refused("GRANT_EXCEEDED", permission="scope")


_IN_USE = """
SELECT EXISTS (SELECT FROM department WHERE parent_id = $1 AND removed_at IS NULL)
    OR EXISTS (SELECT FROM staff WHERE department_id = $1 AND status <> 'removed')
    OR EXISTS (SELECT FROM account WHERE department_id = $1)
"""
_REMOVE_DEPARTMENT = "UPDATE department SET removed_at = now(), manager_id = NULL WHERE id = $1"


async def remove_department(change: Change, department_id: int) -> None:
    """Remove a department that nothing belongs to any more. Raises ``NOT_FOUND``, ``STATE_CONFLICT``."""
    async with change.unit(Permission.DEPARTMENT_EDIT) as unit:
        actor = await _turn(unit, Permission.DEPARTMENT_EDIT)
        before = await _own_department(unit, actor, department_id)
        if await unit.connection.fetchval(_IN_USE, department_id):
            raise Refused("STATE_CONFLICT", reason=phrase("department.used"))
        await unit.connection.execute(_REMOVE_DEPARTMENT, department_id)
        unit.record("department.remove", f"department/{department_id}", before={"name": before["name"]})


_PUT_ACCOUNT = "UPDATE account SET department_id = $2 WHERE id = $1"


async def place_account(change: Change, account_id: int, department_id: int | None) -> None:
    """Say which department a sending account belongs to; who sees the department sees it. Raises ``NOT_FOUND``."""
    async with change.unit(Permission.ACCOUNT_EDIT, account_id) as unit:
        actor = await _turn(unit, Permission.ACCOUNT_EDIT)
        actor.require(Permission.ACCOUNT_EDIT, account_id)
        if department_id is not None:
            await _own_department(unit, actor, department_id)
        row = await unit.connection.fetchrow("SELECT department_id FROM account WHERE id = $1 FOR UPDATE", account_id)
        if row is None:
            raise Refused("NOT_FOUND")
        await unit.connection.execute(_PUT_ACCOUNT, account_id, department_id)
        unit.record(
            "account.department", f"account/{account_id}",
            before={"department": row["department_id"]}, after={"department": department_id},
        )  # fmt: skip
