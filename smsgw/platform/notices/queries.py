"""The statements that read announcements and inboxes; everybody reads their own alone."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.actor import Actor, Scope
from smsgw.core.permissions import Permission
from smsgw.platform import paging
from smsgw.platform.paging import Order, Slice, Window
from smsgw.platform.preferences.queries import owner
from smsgw.store.engine.database import Connection, Database, Row

KINDS = ("notice", "alarm", "job", "security", "task", "sign", "inbound", "contract", "balance", "quota")
_NEEDS = {
    "alarm": frozenset({Permission.ALARM_VIEW}),
    "contract": frozenset({Permission.ACCOUNT_EDIT, Permission.BALANCE_VIEW}),
    "balance": frozenset({Permission.BALANCE_VIEW}),
    "quota": frozenset({Permission.BALANCE_VIEW}),
}
"""Any of these rights, asked when it is told and again when it is read."""
CHOSEN = ("alarm", "job")
"""Those that somebody may do without."""
PREFERENCE = "inbox"
MOST_UNREAD = 100
"""Unread rows that are counted."""


@dataclass(frozen=True, slots=True)
class Told:
    """A row of somebody's inbox."""

    id: int
    kind: str
    subject: int
    """Of the notice, alarm, job, audit entry, task, signature or account; negative: of several accounts."""
    word: str
    """Kind of the alarm or the job, action of the entry."""
    detail: str
    at: datetime
    read_at: datetime | None
    title: str
    content: str
    """Of a notice."""


_MINE = """
i.staff_id = $1 AND i.kind <> ALL($2::text[]) AND ($3::bigint[] IS NULL OR CASE
    WHEN i.kind = 'alarm' THEN EXISTS (SELECT FROM alarm a WHERE a.id = i.subject AND a.account_id = ANY($3))
    WHEN i.kind IN ('contract', 'balance', 'quota') THEN i.subject < 0 OR i.subject = ANY($3)
    ELSE true END)
  AND (i.kind <> 'notice' OR n.withdrawn_at IS NULL)
  AND i.kind <> ALL (ARRAY(SELECT jsonb_array_elements_text(value -> 'off') FROM staff_preference
                           WHERE staff_id = $1 AND name = 'inbox'))
"""
_FROM = "FROM inbox i LEFT JOIN notice n ON i.kind = 'notice' AND n.id = i.subject"
_COLUMNS = """
i.id, i.kind, i.subject, i.word, i.detail, i.at, i.read_at, COALESCE(n.title, '') AS title,
COALESCE(n.content, '') AS content
"""
_SEARCH = f"""
SELECT {_COLUMNS}, {{key}} AS _key {_FROM}
WHERE {_MINE} AND ($4 = '' OR i.kind = $4) AND ($5::bool IS NULL OR (i.read_at IS NOT NULL) = $5)
  AND i.at >= $6 AND i.at < $7 AND {{where}} ORDER BY {{order}}
"""
_ONE = f"SELECT {_COLUMNS} {_FROM} WHERE {_MINE} AND i.id = $4"
_UNREAD = f"SELECT count(*) FROM (SELECT {_FROM} WHERE {_MINE} AND i.read_at IS NULL LIMIT $4) few"  # noqa: S608
ORDERS = {"at": Order("i.at", "timestamptz")}


def _told(row: Row) -> Told:
    return Told(*(row[name] for name in Told.__dataclass_fields__))


def concerns(kind: str, permissions: Set[Permission]) -> bool:
    """Whether somebody with these rights is told of that kind."""
    return kind not in _NEEDS or bool(_NEEDS[kind] & permissions)


def _whose(actor: Actor) -> tuple[int, list[str], list[int] | None]:
    """Whose inbox it is, which kinds they may not see by now, and of which accounts they may."""
    accounts = actor.scope.whole
    withheld = [kind for kind in KINDS if not concerns(kind, actor.permissions)]
    return owner(actor), withheld, None if accounts is None else list(accounts)


async def search(
    database: Database, actor: Actor, window: Window, *, from_time: datetime, to_time: datetime, kind: str = "",
    read: bool | None = None,
) -> Slice[Told]:  # fmt: skip
    """What the actor was told in that time; ``read``: only what was (not) read."""
    asked = (*_whose(actor), kind, read, from_time, to_time)
    return await paging.read(database, _SEARCH, asked, ORDERS, window, _told, id_="i.id")


async def get(database: Database | Connection, actor: Actor, id_: int) -> Told | None:
    """One of the actor's own rows."""
    row = await database.fetchrow(_ONE, *_whose(actor), id_)
    return None if row is None else _told(row)


async def unread(database: Database, actor: Actor) -> int:
    """How many the actor has not read; not counted beyond ``MOST_UNREAD``."""
    number: int = await database.fetchval(_UNREAD, *_whose(actor), MOST_UNREAD)
    return number


# --- announcements ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Notice:
    """An announcement."""

    id: int
    title: str
    content: str
    audience: str
    targets: tuple[int, ...]
    published_at: datetime
    published_by: str
    until: datetime
    withdrawn_at: datetime | None
    state: str
    """standing, over, withdrawn"""
    told: int
    """People who have it in their inbox, …"""
    read: int
    """… and those of them who have read it."""


_NOTICE = """
n.id, n.title, n.content, n.audience, n.targets, n.published_at, n.published_by, n.until, n.withdrawn_at,
CASE WHEN n.withdrawn_at IS NOT NULL THEN 'withdrawn' WHEN n.until <= now() THEN 'over' ELSE 'standing' END AS state,
(SELECT count(*) FROM inbox i WHERE i.kind = 'notice' AND i.subject = n.id) AS told,
(SELECT count(*) FROM inbox i WHERE i.kind = 'notice' AND i.subject = n.id AND i.read_at IS NOT NULL) AS read
"""
# Departments that the actor sees; NULL: the actor sees all, and all announcements.
# An announcement reaches departments below its own: who does not see these does not see how many have read it.
_THEIRS = """($1::bigint[] IS NULL OR n.audience = 'departments' AND n.targets <@ $1 AND ARRAY(
    WITH RECURSIVE below(id) AS (
        SELECT id FROM department WHERE id = ANY(n.targets)
        UNION SELECT d.id FROM department d JOIN below b ON d.parent_id = b.id WHERE d.removed_at IS NULL)
    SELECT id::bigint FROM below) <@ $1)"""
_PUBLISHED = f"""
SELECT {_NOTICE}, {{key}} AS _key FROM notice n
WHERE {_THEIRS} AND n.published_at >= $2 AND n.published_at < $3 AND {{where}} ORDER BY {{order}}
"""  # noqa: S608
_PUBLISHED_ONE = f"SELECT {_NOTICE} FROM notice n WHERE {_THEIRS} AND n.id = $2"  # noqa: S608
_STANDING = f"""
SELECT {_NOTICE} FROM notice n
WHERE n.withdrawn_at IS NULL AND n.until > now() AND (
    n.audience = 'all' OR n.audience = 'roles' AND n.targets && $1::bigint[]
    OR n.audience = 'departments' AND n.targets && ARRAY(
        WITH RECURSIVE up(id, parent_id) AS (
            SELECT id, parent_id FROM department WHERE id = $2
            UNION SELECT d.id, d.parent_id FROM department d JOIN up ON d.id = up.parent_id)
        SELECT id::bigint FROM up))
ORDER BY n.published_at DESC LIMIT $3
"""  # noqa: S608
PUBLISHED_ORDERS = {"published_at": Order("n.published_at", "timestamptz")}


def _notice(row: Row) -> Notice:
    values = {name: row[name] for name in Notice.__dataclass_fields__}
    return Notice(**values | {"targets": tuple(row["targets"])})


def _theirs(scope: Scope) -> list[int] | None:
    return None if scope.accounts is None and scope.submitter is None else list(scope.departments or ())


async def published(
    database: Database, scope: Scope, window: Window, *, from_time: datetime, to_time: datetime
) -> Slice[Notice]:
    """Announcements of that time: all, or those to departments in the scope."""
    asked = (_theirs(scope), from_time, to_time)
    return await paging.read(database, _PUBLISHED, asked, PUBLISHED_ORDERS, window, _notice, id_="n.id")


async def notice(database: Database, scope: Scope, id_: int) -> Notice | None:
    """One announcement, of those."""
    row = await database.fetchrow(_PUBLISHED_ONE, _theirs(scope), id_)
    return None if row is None else _notice(row)


async def standing(database: Database, *, roles: Sequence[int], department: int | None, limit: int) -> list[Notice]:
    """What is announced now to somebody with these roles in this department, the newest first."""
    rows = await database.fetch(_STANDING, list(roles), department, limit)
    return [_notice(row) for row in rows]
