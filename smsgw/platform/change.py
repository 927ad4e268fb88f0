"""Changes: who changes something and under which rules, in one transaction with its entry in the audit log.

A function that changes something takes a ``Change`` as its first parameter, named ``change``, and does its work in one
unit of it::

    async def remove(change: Change, account_id: int, contact_id: int) -> None:
        async with change.unit(Permission.CONTACT_EDIT, account_id) as unit:
            ...
            unit.record("contact.remove", f"contact/{contact_id}", before=before)

Portal, API and command line call that function and have no rules of their own. What else moves with a change is the
database's: the version of the section (``config_section``) by triggers on its tables.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg

from smsgw.core import moments
from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Temporary
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.store.engine.database import CONFLICT, STATEMENT_TIMEOUT, Connection, Database
from smsgw.store.messages import events
from smsgw.store.records import audit

JsonObject = Mapping[str, Any]

EVERYBODY = 0
"""In the place of an account: what holds for all of them. Only whoever may see all may change it."""


class Unrecorded(RuntimeError):
    """A unit was left without an entry in the audit log, and without saying that nothing has changed: a mistake of
    ours. All of it is rolled back."""


@dataclass(frozen=True, slots=True)
class _Entry:
    action: str
    object: str
    before: JsonObject | None
    after: JsonObject | None


@dataclass(frozen=True, slots=True)
class _Told:
    account_id: int
    type: str
    said: JsonObject
    subject: int | None


class Unit:
    """What is done together or not at all; made by ``Change.unit``."""

    def __init__(self, connection: Connection, actor: Actor) -> None:
        self.connection = connection
        """Inside the transaction."""
        self.actor = actor
        self._entries: list[_Entry] = []
        self._told: list[_Told] = []
        self._accounted = False

    def record(
        self, action: str, object: str, *, before: JsonObject | None = None, after: JsonObject | None = None
    ) -> None:
        """Enter into the audit log what is changed; written when the unit ends, in the order of the calls."""
        self._entries.append(_Entry(action, object, before, after))
        self._accounted = True

    def unchanged(self) -> None:
        """Say that there was nothing to change: the unit needs no entry."""
        self._accounted = True

    def tell(self, account_id: int, type_: str, said: JsonObject, *, subject: int | None = None) -> None:
        """Queue an event for a customer (``store.events.record``)."""
        self._told.append(_Told(account_id, type_, said, subject))

    async def _finish(self, ids: Callable[[], int] | None) -> None:
        if not self._accounted:
            raise Unrecorded("a change without an entry in the audit log")
        for told in self._told:
            if ids is None:
                raise RuntimeError("who tells a customer of a change gives it ids")
            await events.record(
                self.connection, told.type, [(told.account_id, told.said)], ids=ids, subject=told.subject
            )
        for entry in self._entries:
            await audit.append(
                self.connection, self.actor.author, entry.action, entry.object, entry.before, entry.after
            )


def _impossible(exc: asyncpg.IntegrityConstraintViolationError) -> Invalid:
    """Names the column whose value is refused, or else the table: a check has the column in its name."""
    constraint = str(exc.constraint_name or "")
    column = exc.column_name or re.sub("_(check|bounds)$", "", constraint.removeprefix(f"{exc.table_name}_"))
    reason = phrase("value.impossible")
    if constraint.endswith("_bounds"):
        reason = phrase("time.bounds", first=f"{moments.FIRST:%Y-%m-%d}", last=f"{moments.LAST:%Y-%m-%d}")
    return Invalid("PARAM_INVALID", field=str(column or exc.table_name), reason=reason)


class Change:
    """Somebody's wish to change something: who it is, and where. Checks nothing yet; good for any number of units,
    one after the other or one inside the other, in one task."""

    def __init__(self, database: Database, actor: Actor, *, ids: Callable[[], int] | None = None) -> None:
        """``ids`` makes ids of rows and events; needed only by what makes some."""
        self.database = database
        self.actor = actor
        self._ids = ids
        self._open: Unit | None = None
        self._task: asyncio.Task[Any] | None = None
        """Whose unit that is."""

    @property
    def ids(self) -> Callable[[], int]:
        """Makes ids. Raises ``RuntimeError`` when the caller has given no source."""
        if self._ids is None:
            raise RuntimeError("this change needs a source of ids")
        return self._ids

    @contextlib.asynccontextmanager
    async def unit(
        self,
        permission: Permission,
        account_id: int | None = None,
        *,
        timeout: float = STATEMENT_TIMEOUT,  # noqa: ASYNC109
    ) -> AsyncIterator[Unit]:
        """A transaction for what the permission allows, with this account's data; commits when the block ends.

        ``account_id`` ``EVERYBODY``: what holds for all accounts, for actors whose scope is all. None: what belongs to
        no account; the actor's scope, if it matters, has to be looked at by the function itself. Inside another unit of
        the same change it is part of that one, and needs its own entry.
        ``timeout`` in seconds, waiting for a connection included. Raises ``PERMISSION_DENIED``, ``NOT_FOUND`` for an
        account out of the actor's scope, ``PARAM_INVALID`` for a value that the database finds impossible,
        ``STORAGE_UNAVAILABLE``, and ``Unrecorded``; ``RuntimeError`` inside another task's unit, which could commit the
        half of this one.
        """
        self.actor.require(permission, account_id)
        if self._open is not None:
            if asyncio.current_task() is not self._task:
                raise RuntimeError("a change belongs to one task at a time")
            async with self._open.connection.transaction():  # whoever catches its error keeps nothing of it
                inner = Unit(self._open.connection, self.actor)
                yield inner
                await inner._finish(self._ids)
            return
        try:
            async with self.database.transaction(timeout=timeout) as connection:
                unit = self._open = Unit(connection, self.actor)
                self._task = asyncio.current_task()
                try:
                    yield unit
                    await unit._finish(self._ids)
                finally:
                    self._open = None
        except (asyncpg.CheckViolationError, asyncpg.NotNullViolationError) as exc:
            raise _impossible(exc) from exc
        except CONFLICT as exc:  # two changes at the same moment, each waiting for the other
            raise Temporary("BACKPRESSURE", retry_after=1, n=1) from exc

    @contextlib.asynccontextmanager
    async def within(
        self, connection: Connection, permission: Permission, account_id: int | None = None
    ) -> AsyncIterator[Unit]:
        """As ``unit``, in a transaction that somebody else begins and ends: what is done for people by those who write
        in batches (``Outcomes.sweep``). Its entries are written when the block ends."""
        self.actor.require(permission, account_id)
        unit = Unit(connection, self.actor)
        yield unit
        await unit._finish(self._ids)
