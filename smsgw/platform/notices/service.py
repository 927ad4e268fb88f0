"""Publishing and withdrawing announcements; reading one's own inbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import EVERYBODY, Change, Unit
from smsgw.platform.preferences.queries import owner
from smsgw.store.engine.database import Connection, Database

AUDIENCES = ("all", "roles", "departments")
MOST_STANDING = 50
MOST_TITLE, MOST_CONTENT = 80, 2000

# What stands for the same people: an audience that is full leaves the others alone.
_HOW_MANY = """
SELECT count(*) FROM notice
WHERE withdrawn_at IS NULL AND until > now() AND audience = $1 AND ($1 = 'all' OR targets && $2::bigint[])
"""
_PUBLISH = """
INSERT INTO notice (title, content, audience, targets, published_by, until) VALUES ($1, $2, $3, $4, $5, $6)
RETURNING id
"""
# Those whom it reaches: everybody, the holders of roles, or the people of departments and of all below them.
_REACHED = """
FROM staff s WHERE s.status = 'active' AND (
    $1 = 'all' OR $1 = 'roles' AND EXISTS (
        SELECT FROM staff_role y WHERE y.staff_id = s.id AND y.role_id = ANY($2::bigint[]))
    OR $1 = 'departments' AND s.department_id IN (
        WITH RECURSIVE below(id) AS (
            SELECT id FROM department WHERE removed_at IS NULL AND id = ANY($2::bigint[])
            UNION SELECT d.id FROM department d JOIN below b ON d.parent_id = b.id WHERE d.removed_at IS NULL)
        SELECT id FROM below))
"""
_BELOW = """
WITH RECURSIVE below(id) AS (
    SELECT id FROM department WHERE id = ANY($1::bigint[])
    UNION SELECT d.id FROM department d JOIN below b ON d.parent_id = b.id WHERE d.removed_at IS NULL)
SELECT id FROM below
"""
_TELL = f"INSERT INTO inbox (staff_id, kind, subject) SELECT s.id, 'notice', $3 {_REACHED}"
_COUNT = f"SELECT count(*) {_REACHED}"
_WITHDRAW = """
UPDATE notice SET withdrawn_at = now() WHERE id = $1 AND withdrawn_at IS NULL RETURNING title, audience, targets
"""


def may_reach(actor: Actor, audience: str, targets: Sequence[int]) -> bool:
    """Whether it is theirs to tell: everybody is for who sees all, a department for who sees it."""
    if actor.scope.covers(EVERYBODY):
        return True
    return audience == "departments" and all(map(actor.scope.covers_department, targets))


async def reaches_beyond(database: Database | Connection, actor: Actor, audience: str, targets: Sequence[int]) -> bool:
    """Whether departments below those, whom an announcement reaches too, are not in the actor's scope."""
    if actor.scope.covers(EVERYBODY) or audience != "departments":
        return False
    below = await database.fetch(_BELOW, list(targets))
    return not all(actor.scope.covers_department(row["id"]) for row in below)


async def _check_reach(database: Database | Connection, actor: Actor, audience: str, targets: Sequence[int]) -> None:
    actor.require(Permission.NOTICE_EDIT)
    if not may_reach(actor, audience, targets) or await reaches_beyond(database, actor, audience, targets):
        raise Refused("NOT_FOUND")


async def reached(database: Database, actor: Actor, audience: str, targets: Sequence[int]) -> int:
    """How many people an announcement would reach. ``NOT_FOUND``: it is not the actor's to tell them."""
    await _check_reach(database, actor, audience, targets)
    number: int = await database.fetchval(_COUNT, audience, list(targets))
    return number


async def publish(
    change: Change, title: str, content: str, *, audience: str, targets: Sequence[int], until: datetime
) -> int:
    """Announce something to everybody, to roles or to departments, until a time; its id. Who does not see all announces
    to departments that they see with all below them.

    ``PARAM_INVALID``; ``NOT_FOUND``: beyond the actor's scope; ``STATE_CONFLICT``: too many are standing.
    """
    if not 1 <= len(title) <= MOST_TITLE:
        raise Invalid("PARAM_INVALID", field="title", reason=f"1-{MOST_TITLE}")
    if not 1 <= len(content) <= MOST_CONTENT:
        raise Invalid("PARAM_INVALID", field="content", reason=f"1-{MOST_CONTENT}")
    if audience not in AUDIENCES or bool(targets) != (audience != "all"):
        raise Invalid("PARAM_INVALID", field="audience", reason=", ".join(AUDIENCES))
    async with change.unit(Permission.NOTICE_EDIT) as unit:
        await _check_reach(unit.connection, change.actor, audience, targets)
        if await unit.connection.fetchval(_HOW_MANY, audience, list(targets)) >= MOST_STANDING:
            raise Refused("STATE_CONFLICT", reason=phrase("notice.many", most=MOST_STANDING))
        id_: int = await unit.connection.fetchval(
            _PUBLISH, title, content, audience, list(targets), change.actor.label, until
        )
        tag = await unit.connection.execute(_TELL, audience, list(targets), id_)
        after = {"title": title, "audience": audience, "targets": list(targets), "until": until.isoformat(),
                 "people": int(tag.rpartition(" ")[2])}  # fmt: skip
        unit.record("notice.publish", f"notice/{id_}", after=after)
    return id_


async def withdraw(change: Change, id_: int) -> None:
    """Take an announcement back: it is shown to nobody any more. ``NOT_FOUND``: there is none that stands, or it is
    not the actor's."""
    async with change.unit(Permission.NOTICE_EDIT) as unit:
        row = await unit.connection.fetchrow(_WITHDRAW, id_)
        if row is None:
            raise Refused("NOT_FOUND")
        await _check_reach(unit.connection, change.actor, row["audience"], row["targets"])
        unit.record("notice.withdraw", f"notice/{id_}", before={"title": row["title"]})


_REMIND = """
INSERT INTO inbox (staff_id, kind, subject, word, detail, at)
SELECT t.*, $6 FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[])
    AS t(staff_id, kind, subject, word, detail) ORDER BY staff_id, kind, subject
ON CONFLICT (staff_id, kind, subject) DO UPDATE SET word = excluded.word, detail = excluded.detail, at = excluded.at,
    read_at = NULL
"""


@dataclass(frozen=True, slots=True)
class Reminder:
    """What one of the staff is to be told."""

    staff_id: int
    kind: str
    subject: int
    word: str
    detail: str


async def remind(connection: Connection, reminders: Sequence[Reminder], now: datetime) -> None:
    """Tell people, each of a thing once; what they were told of the same before is not so any more."""
    columns = [[getattr(one, name) for one in reminders] for name in Reminder.__dataclass_fields__]
    await connection.execute(_REMIND, *columns, now)


_READ = "UPDATE inbox SET read_at = now() WHERE staff_id = $1 AND id = ANY($2::bigint[]) AND read_at IS NULL"
_READ_ALL = "UPDATE inbox SET read_at = now() WHERE staff_id = $1 AND read_at IS NULL"


async def read(change: Change, ids: Sequence[int]) -> int:
    """Mark rows of one's own inbox as read; how many were not."""
    async with change.unit(Permission.SELF_EDIT) as unit:
        tag = await unit.connection.execute(_READ, owner(change.actor), list(ids))
        return _noted(unit, tag)


async def read_all(change: Change) -> int:
    """Mark all of one's own inbox as read; how many were not."""
    async with change.unit(Permission.SELF_EDIT) as unit:
        tag = await unit.connection.execute(_READ_ALL, owner(change.actor))
        return _noted(unit, tag)


def _noted(unit: Unit, tag: str) -> int:
    n = int(tag.rpartition(" ")[2])
    if n:
        unit.record("inbox.read", "inbox", after={"n": n})
    else:
        unit.unchanged()
    return n
