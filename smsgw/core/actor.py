"""Actors: who does something, what they may do, and with whose data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from smsgw.core.errors import Refused
from smsgw.core.permissions import ALL, Permission, of_scopes

ActorLabel = NewType("ActorLabel", str)
"""An actor as stored rows name it: the audit log, submitters, reviewers, who has entered what. It lends no rights."""


@dataclass(frozen=True, slots=True)
class Author:
    """What the audit log writes down of whoever did something: ``Actor.author``, or what was kept of one."""

    label: ActorLabel
    address: str | None = None
    """Where a request came from; None: from nowhere outside."""


class ActorKind(StrEnum):
    """What kind of somebody acts."""

    PERSON = "person"
    """Logged in to the portal; ``Actor.id`` is that of the row in ``staff``."""
    KEY = "key"
    """An API key; ``Actor.id`` is its account's."""
    PARTNER = "partner"
    """An SMPP or CMPP client; ``Actor.id`` is its account's."""
    OPERATOR = "operator"
    """At the machine: the command line, the control socket."""
    SYSTEM = "system"
    """The program by itself; ``Actor.name`` says which part of it."""


class ScopeKind(StrEnum):
    """The data scopes (数据范围) that a role can have."""

    OWN = "own"
    DEPARTMENT = "department"
    BELOW = "below"
    """The department and all below it."""
    ACCOUNTS = "accounts"
    """Accounts that are listed, and all below them."""
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose data somebody may see and change, as the queries take it."""

    accounts: tuple[int, ...] | None = ()
    """Ids of sending accounts; None: all."""
    departments: tuple[int, ...] | None = ()
    """Ids of departments, for people and what belongs to departments; None: all."""
    submitter: ActorLabel | None = None
    """Of these accounts only what this one has submitted; None: what anybody has."""

    def __or__(self, other: Scope) -> Scope:
        """What either of two roles of one person lets them see."""
        if self.submitter == other.submitter:
            accounts, submitter = _union(self.accounts, other.accounts), self.submitter
        else:  # one is narrowed to its own submissions: what the other lets see is seen whole, the rest is not widened
            wide = self if self.submitter is None else other
            accounts, submitter = wide.accounts, None
        return Scope(accounts, _union(self.departments, other.departments), submitter)

    @property
    def whole(self) -> tuple[int, ...] | None:
        """Accounts of which everything is in it (None: all): for queries that cannot narrow to a submitter."""
        return self.accounts if self.submitter is None else ()

    @property
    def narrowed(self) -> tuple[list[int] | None, ActorLabel | None]:
        """Accounts (None: all) and submitter (None: anybody), for queries that can narrow to both."""
        return None if self.accounts is None else list(self.accounts), self.submitter

    def covers(self, account_id: int) -> bool:
        """Whether all data of the account are in it."""
        return self.submitter is None and (self.accounts is None or account_id in self.accounts)

    def covers_department(self, department_id: int | None) -> bool:
        """Whether the department is in it; what belongs to no department is only in the whole."""
        return self.departments is None or department_id in self.departments


def _union(one: tuple[int, ...] | None, other: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if one is None or other is None:
        return None
    return tuple(sorted({*one, *other}))


NOTHING = Scope()
EVERYTHING = Scope(None, None)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: proven by a session, a key, a login or the kernel, never by what a request says."""

    kind: ActorKind
    name: str
    id: int = 0
    permissions: frozenset[Permission] = frozenset()
    scope: Scope = NOTHING
    address: str | None = None
    """Where a request came from; None: from nowhere outside."""

    @classmethod
    def system(cls, part: str) -> Actor:
        """A part of the program, which acts by rules that it was given."""
        return cls(ActorKind.SYSTEM, part, permissions=ALL, scope=EVERYTHING)

    @classmethod
    def operator(cls, user: str) -> Actor:
        """A user of the machine, who has everything in hand anyway."""
        return cls(ActorKind.OPERATOR, user, permissions=ALL, scope=EVERYTHING)

    @classmethod
    def key(cls, key_id: str, account_id: int, scopes: Iterable[str], address: str | None = None) -> Actor:
        """An API key with its scopes, for its own account's data."""
        permissions = of_scopes(frozenset(scopes))
        return cls(ActorKind.KEY, key_id, account_id, permissions, Scope((account_id,)), address)

    @classmethod
    def partner(cls, protocol: str, username: str, account_id: int, address: str | None = None) -> Actor:
        """A client of our SMPP or CMPP servers."""
        allowed = frozenset({Permission.MESSAGE_SEND, Permission.MESSAGE_CANCEL, Permission.MESSAGE_VIEW})
        return cls(ActorKind.PARTNER, f"{protocol}:{username}", account_id, allowed, Scope((account_id,)), address)

    @property
    def label(self) -> ActorLabel:
        """As stored rows name it."""
        return ActorLabel(f"cli:{self.name}" if self.kind is ActorKind.OPERATOR else self.name)

    @property
    def author(self) -> Author:
        """As the audit log names it."""
        return Author(self.label, self.address)

    def may(self, permission: Permission) -> bool:
        """Whether it has the permission."""
        return permission in self.permissions

    def require(self, permission: Permission, account_id: int | None = None) -> None:
        """Refuse what it may not do. Raises ``PERMISSION_DENIED``; ``NOT_FOUND`` for an account out of its scope, which
        it shall not learn to exist."""
        if permission not in self.permissions:
            raise Refused("PERMISSION_DENIED", permission=permission.value)
        if account_id is not None and not self.scope.covers(account_id):
            raise Refused("NOT_FOUND")
