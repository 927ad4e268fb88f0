"""Screens that show the board, as people see them and as they come themselves."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.actor import Actor, ScopeKind
from smsgw.core.permissions import Permission
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.runtime import clock
from smsgw.store.engine.database import Connection, Database, Row

MOST = 20
"""Screens at the same time."""
LONGEST = timedelta(days=30)
CODE_FOR = timedelta(minutes=10)

# It ends with its maker: with them, with their role, with the right that is taken from them alone, and when they do not
# see the whole platform any more, which the board shows.
_HOLDS = f"""w.ended_at IS NULL AND w.until > $1 AND s.status = 'active'
    AND EXISTS (SELECT FROM staff_role y JOIN role r ON r.id = y.role_id
                WHERE y.staff_id = s.id AND r.scope = '{ScopeKind.ALL}')
    AND NOT EXISTS (SELECT FROM staff_permission p
                    WHERE p.staff_id = s.id AND p.permission = '{Permission.WALL_EDIT}' AND NOT p.allowed)
    AND (EXISTS (SELECT FROM staff_permission p
                 WHERE p.staff_id = s.id AND p.permission = '{Permission.WALL_EDIT}' AND p.allowed)
         OR EXISTS (SELECT FROM staff_role y JOIN role r ON r.id = y.role_id
                    WHERE y.staff_id = s.id AND (r.everything OR '{Permission.WALL_EDIT}' = ANY (r.permissions))))"""  # noqa: S608 - constants
_STATE = f"""CASE WHEN NOT ({_HOLDS}) THEN 'over' WHEN w.opened_at IS NOT NULL THEN 'open'
    WHEN w.code_until > $1 THEN 'waiting' ELSE 'unused' END"""
_COLUMNS = f"""w.id, w.name, w.made_by, w.made_at, w.until, w.opened_at, w.seen_at, host(w.seen_ip) AS seen_ip,
    w.ended_at, w.ended_by, {_STATE} AS state"""
_FROM = "FROM wall_screen w JOIN staff s ON s.id = w.maker_id"
_ALL = f"SELECT {_COLUMNS}, {{key}} AS _key {_FROM} WHERE $2 AND {{where}} ORDER BY {{order}}"
_ONE = f"SELECT {_COLUMNS} {_FROM} WHERE $2 AND w.id = $3"
_COUNT = "SELECT count(*) FROM (SELECT FROM wall_screen WHERE $1 LIMIT $2) n"
_ORDERS = {"made_at": Order("w.made_at", "timestamptz")}


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
    seen_ip: str | None
    ended_at: datetime | None
    ended_by: str
    state: str
    """``waiting`` for its code, ``unused`` (the code was not used in time), ``open``, ``over``."""


def _screen(row: Row) -> Screen:
    return Screen(**{key: row[key] for key in Screen.__dataclass_fields__})


def _whole(actor: Actor) -> bool:
    return actor.scope.whole is None


async def search(database: Database, actor: Actor, window: Window) -> Slice[Screen]:
    """Screens, for who sees the whole platform."""
    return await read(database, _ALL, (clock.now(), _whole(actor)), _ORDERS, window, _screen, id_="w.id")


async def how_many(database: Database, actor: Actor, most: int) -> int:
    """How many there are, counted up to one more than ``most``."""
    number: int = await database.fetchval(_COUNT, _whole(actor), most + 1)
    return number


async def one(database: Database | Connection, actor: Actor, id_: int) -> Screen | None:
    """One of them."""
    row = await database.fetchrow(_ONE, clock.now(), _whole(actor), id_)
    return None if row is None else _screen(row)


def digest(secret: str) -> bytes:
    """What the database knows of a code or a token."""
    return hashlib.sha256(secret.encode()).digest()


_OF_TOKEN = f"SELECT w.id, w.name, w.until, w.seen_at {_FROM} WHERE w.token_sha256 = $2 AND {_HOLDS}"


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


_STANDING = f"SELECT count(*) {_FROM} WHERE {_HOLDS}"


async def standing(connection: Connection) -> int:
    """How many hold now."""
    number: int = await connection.fetchval(_STANDING, clock.now())
    return number


_CODE = f"""
SELECT w.id, w.name, w.until {_FROM} WHERE w.code_sha256 = $2 AND w.code_until > $1 AND {_HOLDS} FOR UPDATE OF w
"""


async def of_code(connection: Connection, code: str) -> Row | None:
    """The screen that a code lets in (id, name, until), locked."""
    return await connection.fetchrow(_CODE, clock.now(), digest(code))
