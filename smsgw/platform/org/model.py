"""Departments, people, roles and sessions as everybody above sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from smsgw.core.actor import EVERYTHING, NOTHING, Actor, ActorKind, ActorLabel, Scope, ScopeKind
from smsgw.core.permissions import ALL, Duty, Permission, duties_of, with_implied
from smsgw.platform.listing import between

Span = tuple[datetime | None, datetime | None]
MAX_DEPTH = 8
"""Levels of departments."""
LIVE = """
x.created_at > now() - (SELECT make_interval(hours => session_hours) FROM login_policy)
AND x.seen_at > now() - (SELECT make_interval(mins => idle_minutes) FROM login_policy)
"""
"""Of ``portal_session x``: that it is not over."""


@dataclass(frozen=True, slots=True)
class Role:
    """A role: permissions and a data scope. What is ``builtin`` comes with the program and stays as it is."""

    id: int
    code: str
    name: str
    permissions: frozenset[Permission]
    scope: ScopeKind
    builtin: bool = False
    everything: bool = False
    """Whatever permissions there are: for who sets the platform up, and for emergencies."""

    @property
    def duties(self) -> frozenset[Duty]:
        """Which of the three administrators (三员) it is; a role for everything stands outside of them."""
        return frozenset() if self.everything else duties_of(self.permissions)


HOLDERS = "(SELECT count(*) FROM staff_role x WHERE x.role_id = r.id)"
"""How many people have ``role r``."""


@dataclass(frozen=True, slots=True)
class ListedRole(Role):
    """A role, and how many people have it."""

    holders: Annotated[int, HOLDERS] = 0

    @property
    def rights(self) -> frozenset[Permission]:
        """What it lets do."""
        return ALL if self.everything else self.permissions


@dataclass(frozen=True, slots=True)
class RoleFilter:
    """Which roles are looked for."""

    name: Annotated[str, "(strpos(lower(r.name), lower({value})) > 0 OR strpos(r.code, lower({value})) > 0)"] = ""
    origin: Annotated[str, {"builtin": "r.builtin", "own": "NOT r.builtin"}] = ""
    scope: Annotated[str, "r.scope = {value}"] = ""
    permission: Annotated[str, "(r.everything OR {value} = ANY (r.permissions))"] = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a person is entrusted with, from which a role's scope makes accounts and departments."""

    assigned: tuple[int, ...] = ()
    """Accounts that are listed for the person, and all below them: in the scope of every role but that of one's own."""
    managed: tuple[int, ...] = ()
    """Departments that the person manages, and all below them."""
    department: int | None = None
    below: tuple[int, ...] = ()
    """The person's department and all below it."""
    department_accounts: tuple[int, ...] = ()
    """Accounts of the person's department, and all below them."""
    below_accounts: tuple[int, ...] = ()
    """The same of the department and all below it."""

    def scope(self, kind: ScopeKind, login: str) -> Scope:
        """The scope that a role of this kind gives."""
        if kind is ScopeKind.ALL:
            return EVERYTHING
        if kind is ScopeKind.DEPARTMENT:
            own = () if self.department is None else (self.department,)
            accounts = {*self.department_accounts, *self.assigned}
            return Scope(tuple(sorted(accounts)), tuple(sorted({*own, *self.managed})))
        if kind is ScopeKind.BELOW:
            accounts = {*self.below_accounts, *self.assigned}
            return Scope(tuple(sorted(accounts)), tuple(sorted({*self.below, *self.managed})))
        return Scope(self.assigned, self.managed, ActorLabel(login) if kind is ScopeKind.OWN else None)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who logs in to the portal, with what the roles of that moment let them do."""

    id: int
    login: str
    name: str
    roles: tuple[Role, ...] = ()
    reach: Reach = Reach()
    allowed: frozenset[Permission] = frozenset()
    """Beyond the roles."""
    withheld: frozenset[Permission] = frozenset()
    """Though a role has it."""
    must_change: bool = False
    """The password, before anything else."""
    status: str = "active"

    @property
    def permissions(self) -> frozenset[Permission]:
        """What the person may do."""
        of_roles = (ALL if role.everything else role.permissions for role in self.roles)
        return with_implied(self.allowed.union(*of_roles)) - self.withheld

    @property
    def scope(self) -> Scope:
        """Whose data the person sees: what any of the roles lets them see."""
        scope: Scope | None = None
        for role in self.roles:
            other = self.reach.scope(role.scope, self.login)
            scope = other if scope is None else scope | other
        return NOTHING if scope is None else scope

    @property
    def duties(self) -> frozenset[Duty]:
        """Which of the three administrators the person is; nobody may be two of them."""
        return duties_of(self.allowed).union(*(role.duties for role in self.roles))

    @property
    def administrator(self) -> bool:
        """Whether the person can give others what they need: without one the platform could not be managed."""
        return _ADMINISTRATOR <= self.permissions and self.scope.accounts is None

    def is_below(self, actor: Actor) -> bool:
        """Whether the person may do and see nothing that the actor may not."""
        return self.permissions <= actor.permissions and within(self.scope, actor.scope)

    def actor(self, address: str | None = None) -> Actor:
        """The person as the one who acts. Everybody may change what is their own."""
        permissions = self.permissions | {Permission.SELF_EDIT}
        return Actor(ActorKind.PERSON, self.login, self.id, permissions, self.scope, address)


_ADMINISTRATOR = frozenset({Permission.PERSON_EDIT, Permission.PERSON_GRANT, Permission.ROLE_EDIT})


def within(scope: Scope, other: Scope) -> bool:
    """Whether everything in a scope is in another one as well."""
    if other.submitter is not None and other.submitter != scope.submitter:
        return scope.accounts == () and _part(scope.departments, other.departments)
    return _part(scope.accounts, other.accounts) and _part(scope.departments, other.departments)


def _part(some: Sequence[int] | None, whole: Sequence[int] | None) -> bool:
    if whole is None:
        return True
    return some is not None and set(some) <= set(whole)


_SESSIONS = f"(SELECT count(*) FROM portal_session x WHERE x.staff_id = s.id AND {LIVE})"  # noqa: S608 - constant
_ROLES = """
ARRAY(SELECT r.name FROM staff_role x JOIN role r ON r.id = x.role_id WHERE x.staff_id = s.id ORDER BY r.id)
"""
_ACCOUNTS = """
ARRAY(SELECT a.name FROM staff_account x JOIN account a ON a.id = x.account_id
      WHERE x.staff_id = s.id ORDER BY a.name LIMIT 20)
"""
_HAS_ROLE = "s.id IN (SELECT x.staff_id FROM staff_role x JOIN role r ON r.id = x.role_id WHERE r.code = {value})"
_HAS_ACCOUNT = "s.id IN (SELECT staff_id FROM staff_account WHERE account_id = {value})"


@dataclass(frozen=True, slots=True)
class ListedPerson:
    """A person as lists show them."""

    id: int
    login: str
    name: str
    status: str
    last_login_at: datetime | None
    created_at: datetime
    phone: str
    email: str
    department: Annotated[str, "COALESCE(d.name, '')"]
    sessions: Annotated[int, _SESSIONS]
    """Open ones."""
    roles: Annotated[Sequence[str], _ROLES]
    """Their names."""
    accounts: Annotated[Sequence[str], _ACCOUNTS]


@dataclass(frozen=True, slots=True)
class PersonFilter:
    """Who is looked for. Texts are looked for anywhere in the value, in any case; a phone number is the whole one."""

    login: Annotated[str, "strpos(lower(s.login), lower({value})) > 0"] = ""
    name: Annotated[str, "strpos(lower(s.name), lower({value})) > 0"] = ""
    phone: Annotated[str, "s.phone = {value}"] = ""
    email: Annotated[str, "strpos(lower(s.email), lower({value})) > 0"] = ""
    department: Annotated[int | None, "s.department_id = {value}"] = None
    status: Annotated[str, "s.status = {value}"] = ""
    role: Annotated[str, _HAS_ROLE] = ""
    """Code."""
    account: Annotated[int | None, _HAS_ACCOUNT] = None
    last_login_at: Annotated[Span, between("s.last_login_at")] = (None, None)


@dataclass(frozen=True, slots=True)
class Department:
    """One department; ``parent_id`` None: at the top."""

    id: int
    name: str
    parent_id: int | None
    manager_id: int | None
    month_quota: int | None
    """Parts a month, of its accounts and those of all below it; None: none of its own."""
    people: int
    accounts: int
    manager: str = ""
    """Login; empty: it has none."""
    manager_name: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """What a department was part of from a time on."""

    since: datetime
    parent_id: int | None
    """None: of nothing, at the top."""
    parent: str
    """Its name; empty: at the top, or not in the scope of who asks."""


@dataclass(frozen=True, slots=True)
class Branch:
    """How much a department and all below it hold."""

    departments: int
    people: int
    accounts: int


@dataclass(frozen=True, slots=True)
class Contact:
    """What is known of a person, to be changed."""

    id: int
    login: str
    name: str
    status: str
    email: str
    department_id: int | None
    accounts: tuple[int, ...]
    """Those assigned, without what is below them."""
    sessions: int


@dataclass(frozen=True, slots=True)
class Access:
    """How a person gets in."""

    id: int
    login: str
    name: str
    status: str
    must_change: bool
    """The password is one that an administrator gave."""
    password_changed_at: datetime
    last_login_at: datetime | None
    last_login_ip: str | None
    phone: str
    verified: bool
    """The number."""


@dataclass(frozen=True, slots=True)
class ListedSession:
    """A live session as lists show it."""

    id: int
    staff_id: int
    login: Annotated[str, "s.login"]
    name: Annotated[str, "s.name"]
    department: Annotated[str, "COALESCE(d.name, '')"]
    address: Annotated[str | None, "host(x.ip)"]
    created_at: datetime
    seen_at: datetime
    agent: str
    factors: Sequence[str]


_PERSON = "(strpos(lower(s.login), lower({value})) > 0 OR strpos(lower(s.name), lower({value})) > 0)"


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions are looked for."""

    person: Annotated[str, _PERSON] = ""
    address: Annotated[str, "x.ip <<= {value}::text::inet"] = ""
    """An address or a network."""
    agent: Annotated[str, "strpos(lower(x.agent), lower({value})) > 0"] = ""
    created_at: Annotated[Span, between("x.created_at")] = (None, None)


@dataclass(frozen=True, slots=True)
class Session:
    """A live session of a person."""

    id: int
    login: str
    address: str | None
    created_at: datetime
    seen_at: datetime
    agent: str = ""
    """The browser, as it calls itself."""
    factors: tuple[str, ...] = ()
    """Shown beside the password."""


@dataclass(frozen=True, slots=True)
class OpenSession:
    """The session of a request: whose it is, and its CSRF token."""

    id: int
    person: Person
    csrf: str
    created_at: datetime
    proven_at: datetime
    """When password or factor was shown last …"""
    factor_at: datetime | None = None
    """… and when an app or a passkey was."""
    former_login_at: datetime | None = None
    """The login before this one, …"""
    former_login_ip: str | None = None
    """… and where it came from."""
    challenge: bytes | None = field(default=None, repr=False)
    favourites: tuple[str, ...] = ()
    """Keys of the pages that the person has starred."""
    admitted: bool = True
    """The request comes from an address that the person may come from."""
