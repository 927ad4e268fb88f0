"""Screens that show the board, as people see them and as they come themselves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import NoneType
from typing import Annotated

from smsgw.core.actor import ScopeKind
from smsgw.core.permissions import Permission
from smsgw.platform.listing import EVERYTHING, Listing
from smsgw.platform.paging import Order
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row

MOST = 20
"""Screens at the same time."""
LONGEST = timedelta(days=30)
CODE_FOR = timedelta(minutes=10)

# It ends with its maker: with them, with their role, with the right that is taken from them alone, and when they do not
# see the whole platform any more, which the board shows.
_HOLDS = f"""w.ended_at IS NULL AND w.until > {{now}} AND s.status = 'active'
    AND EXISTS (SELECT FROM staff_role y JOIN role r ON r.id = y.role_id
                WHERE y.staff_id = s.id AND r.scope = '{ScopeKind.ALL}')
    AND NOT EXISTS (SELECT FROM staff_permission p
                    WHERE p.staff_id = s.id AND p.permission = '{Permission.WALL_EDIT}' AND NOT p.allowed)
    AND (EXISTS (SELECT FROM staff_permission p
                 WHERE p.staff_id = s.id AND p.permission = '{Permission.WALL_EDIT}' AND p.allowed)
         OR EXISTS (SELECT FROM staff_role y JOIN role r ON r.id = y.role_id
                    WHERE y.staff_id = s.id AND (r.everything OR '{Permission.WALL_EDIT}' = ANY (r.permissions))))"""  # noqa: S608 - constants
_STATE = f"""CASE WHEN NOT ({_HOLDS}) THEN 'over' WHEN w.opened_at IS NOT NULL THEN 'open'
    WHEN w.code_until > {{now}} THEN 'waiting' ELSE 'unused' END"""
_FROM = "wall_screen w JOIN staff s ON s.id = w.maker_id"


@dataclass(frozen=True, slots=True)
class Screen:
    """One that shows the board, or did, or may."""

    id: int
    name: str
    made_by: str
    made_at: datetime
    until: datetime
    opened_at: datetime | None
    seen_at: datetime | None
    seen_ip: Annotated[str | None, "host(w.seen_ip)"]
    ended_at: datetime | None
    ended_by: str
    state: Annotated[str, _STATE]
    """``waiting`` for its code, ``unused`` (the code was not used in time), ``open``, ``over``."""


SCREENS = Listing(Screen, NoneType, _FROM, seen=EVERYTHING, orders={"made_at": Order("w.made_at", "timestamptz")})
_HOLDING = f"FROM {_FROM} WHERE {_HOLDS}".format(now="$1")


def digest(secret: str) -> bytes:
    """What the database knows of a code or a token."""
    return hashlib.sha256(secret.encode()).digest()


_OF_TOKEN = f"SELECT w.id, w.name, w.until, w.seen_at {_HOLDING} AND w.token_sha256 = $2"


@dataclass(frozen=True, slots=True)
class Shown:
    """A screen that may show the board now."""

    id: int
    name: str
    until: datetime
    seen_at: datetime


async def of_token(database: Database, token: str) -> Shown | None:
    """The screen of a token, while it holds."""
    row = await database.fetchrow(_OF_TOKEN, clock.now(), digest(token))
    return None if row is None else Shown(**dict(row))


_STANDING = f"SELECT count(*) {_HOLDING}"


async def standing(connection: Connection) -> int:
    """How many hold now."""
    number: int = await connection.fetchval(_STANDING, clock.now())
    return number


_CODE = f"""
SELECT w.id, w.name, w.until {_HOLDING} AND w.code_sha256 = $2 AND w.code_until > $1 FOR UPDATE OF w
"""


async def of_code(connection: Connection, code: str) -> Row | None:
    """The screen that a code lets in (id, name, until), locked."""
    return await connection.fetchrow(_CODE, clock.now(), digest(code))
