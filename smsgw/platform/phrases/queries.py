"""The statements that read phrases: one's own, and those that are shared with the reader."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.actor import Actor, ActorKind
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.platform.phrases.model import Phrase, Wanted
from smsgw.store.engine.database import Connection, Database, Row

_SCOPE = (
    "CASE WHEN p.account_id IS NOT NULL THEN 'account' "
    "WHEN p.department_id IS NOT NULL THEN 'department' ELSE 'own' END"
)
# The reader's departments: the own one and all above it, whose phrases are for everybody below; and those in the scope.
_FOUND = f"""
FROM phrase p LEFT JOIN staff s ON s.id = p.owner_id
LEFT JOIN department d ON d.id = p.department_id LEFT JOIN account a ON a.id = p.account_id
WHERE (p.owner_id = $1
       OR p.account_id IS NOT NULL AND ($2::bigint[] IS NULL OR p.account_id = ANY($2))
       OR p.department_id IS NOT NULL AND ($3::bigint[] IS NULL OR p.department_id = ANY($3) OR p.department_id IN (
           WITH RECURSIVE above(id) AS (
               SELECT department_id FROM staff WHERE id = $1 AND department_id IS NOT NULL
               UNION SELECT e.parent_id FROM department e JOIN above ON e.id = above.id WHERE e.parent_id IS NOT NULL
           ) SELECT id FROM above)))
  AND ($4::bigint IS NULL OR p.id = $4) AND ($5 = '' OR strpos(lower(p.title), lower($5)) > 0)
  AND ($6 = '' OR strpos(p.content, $6) > 0) AND ($7 = '' OR {_SCOPE} = $7)
  AND ($8::bigint IS NULL OR p.account_id = $8) AND ($9::bigint IS NULL OR p.department_id = $9)
  AND ($10 = '' OR s.login = $10 OR strpos(s.name, $10) > 0)
"""  # noqa: S608 - constants
_ORDERS = {"updated_at": Order("p.updated_at", "timestamptz"), "title": Order("p.title", "text"),
           "id": Order("p.id", "bigint")}
_SEARCH = f"""
SELECT {{key}} AS _key, p.id, p.owner_id, COALESCE(NULLIF(s.name, ''), s.login, '') AS owner, {_SCOPE} AS scope,
       p.department_id, p.account_id, COALESCE(d.name, a.name, '') AS shared_with, p.title, p.content, p.updated_at
{_FOUND} AND {{where}} ORDER BY {{order}}
"""
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FOUND} LIMIT $11) f"  # noqa: S608


def owner(actor: Actor) -> int:
    """Whose phrases an actor has; 0: no person's."""
    return actor.id if actor.kind is ActorKind.PERSON else 0


def _asked(actor: Actor, wanted: Wanted, id_: int | None = None) -> tuple[object, ...]:
    accounts, departments = (
        None if some is None else list(some) for some in (actor.scope.accounts, actor.scope.departments)
    )
    return (
        owner(actor), accounts, departments, id_, wanted.title, wanted.content, wanted.scope, wanted.account_id,
        wanted.department_id, wanted.owner,
    )  # fmt: skip


def _phrase(row: Row) -> Phrase:
    _, *values = row.values()
    return Phrase(*values)


async def search(
    database: Database | Connection, actor: Actor, wanted: Wanted, window: Window, *, id_: int | None = None
) -> Slice[Phrase]:
    """Phrases that the actor may use."""
    return await read(database, _SEARCH, _asked(actor, wanted, id_), _ORDERS, window, _phrase, id_="p.id")


async def how_many(database: Database, actor: Actor, wanted: Wanted, most: int) -> int:
    """How many of them there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY, *_asked(actor, wanted), most + 1)
    return count


async def one(database: Database | Connection, actor: Actor, id_: int) -> Phrase | None:
    """One of them."""
    found = await search(database, actor, Wanted(), Window(limit=1), id_=id_)
    return found.rows[0] if found.rows else None


async def usable(database: Database, actor: Actor, *, limit: int) -> Sequence[Phrase]:
    """What the actor may put into a message, by title."""
    window = Window("title", descending=False, limit=limit)
    return (await search(database, actor, Wanted(), window)).rows


_OWN = "SELECT d.id, d.name FROM staff s JOIN department d ON d.id = s.department_id WHERE s.id = $1"


async def own_department(database: Database, actor: Actor) -> tuple[int, str] | None:
    """The department that the actor belongs to, whatever the scope: id and name."""
    row = await database.fetchrow(_OWN, owner(actor))
    return None if row is None else (row["id"], row["name"])
