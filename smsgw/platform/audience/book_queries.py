"""The statements that read the address book: contacts and groups as far as somebody sees them.

Seen is what one has entered oneself, what is shared with one's department, and what is the account's by those who see
the whole account; whoever sees everything sees all of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from smsgw.core.actor import EVERYTHING, Actor, ActorKind
from smsgw.platform.audience.model import Entry, Group, Picked, Seen, WantedEntries, WantedGroups
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Connection, Database, Row

MOST_GROUPS = 1000
MOST_SHOWN = 100
"""Groups of one contact."""


def sees(one: str, everything: bool) -> str:
    """Whether a reader ($1 to $4, ``reader``) sees a row of ``contact`` or ``audience``. Who sees ``everything`` has a
    statement of its own: an arm that is never taken keeps the planner from the indexes of the others."""
    if everything:
        return """
        $1::bigint[] IS NULL AND $3::bigint[] IS NULL AND ($2::bigint, $4::bigint[]) IS DISTINCT FROM NULL
        """
    return f"""
    ($1::bigint[] IS NULL OR {one}.account_id = ANY($1)) AND ({one}.owner_id = $2
     OR {one}.shared = 'account' AND ($3::bigint[] IS NULL OR {one}.account_id = ANY($3))
     OR {one}.shared = 'department' AND ({one}.department_id = ANY($4::bigint[]) OR {one}.department_id IN (
         WITH RECURSIVE above(id) AS (
             SELECT department_id FROM staff WHERE id = $2 AND department_id IS NOT NULL
             UNION SELECT e.parent_id FROM department e JOIN above ON e.id = above.id WHERE e.parent_id IS NOT NULL
         ) SELECT id FROM above)))
    """  # noqa: S608 - constants


def reader(actor: Actor) -> tuple[object, ...]:
    """Who reads, as the statements take it."""
    scope = actor.scope
    accounts, whole = (None if some is None else list(some) for some in (scope.accounts, scope.whole))
    departments = [] if scope.departments is None else list(scope.departments)
    return accounts, owner(actor), whole, departments


def owner(actor: Actor) -> int:
    """Whose entries an actor makes; 0: nobody's."""
    return actor.id if actor.kind is ActorKind.PERSON else 0


_STATE = "LEFT JOIN number_status n ON n.number = c.number::bigint AND n.removed_at IS NULL"
PLACE = """
JOIN account k ON k.id = {0}.account_id LEFT JOIN department d ON d.id = {0}.department_id
LEFT JOIN staff s ON s.id = {0}.owner_id
"""


def _groups_of(what: str, everything: bool) -> str:
    return f"""
    ARRAY(SELECT {what} FROM audience_member m JOIN audience g ON g.id = m.audience_id
          WHERE m.contact_id = c.id AND {sees("g", everything)} ORDER BY g.name LIMIT {MOST_SHOWN})
    """  # noqa: S608 - constants


def _matches(everything: bool) -> str:
    return f"""
    FROM contact c {PLACE.format("c")} {_STATE}
    WHERE {sees("c", everything)} AND ($5::bigint IS NULL OR c.id = $5) AND ($6 = '' OR c.number = $6)
      AND ($7 = '' OR strpos(lower(c.name), lower($7)) > 0) AND ($8 = '' OR c.tags @> ARRAY[$8::text])
      AND ($9::bigint IS NULL OR EXISTS (SELECT FROM audience_member m JOIN audience g ON g.id = m.audience_id
           WHERE m.contact_id = c.id AND g.id = $9 AND {sees("g", everything)}))
      AND ($10::bigint IS NULL OR c.account_id = $10) AND ($11 = '' OR c.shared = $11)
    """


def _search(everything: bool) -> str:
    return f"""
    SELECT {{key}} AS _key, c.id, c.number, c.name, c.tags, c.fields,
           {_groups_of("g.name", everything)} AS groups, {_groups_of("g.id", everything)} AS group_ids,
           c.account_id, k.name AS account, c.shared, c.department_id,
           COALESCE(d.name, '') AS department, c.owner_id, COALESCE(NULLIF(s.name, ''), s.login, '') AS owner,
           COALESCE(n.state, '') AS state, n.at AS state_at, c.updated_at
    {_matches(everything)} AND {{where}} ORDER BY {{order}}
    """


_BOTH = (False, True)
"""Of who sees some, and of who sees everything."""
_SEARCH = {all_: _search(all_) for all_ in _BOTH}
_HOW_MANY = {all_: f"SELECT count(*) FROM (SELECT {_matches(all_)} LIMIT $12) f" for all_ in _BOTH}  # noqa: S608
_ORDERS = {"at": Order("c.id", "bigint"), "name": Order("c.name", "text")}


def _asked(actor: Actor, wanted: WantedEntries, id_: int | None = None) -> tuple[object, ...]:
    return (
        *reader(actor), id_, wanted.number, wanted.name, wanted.tag, wanted.group_id, wanted.account_id, wanted.shared
    )  # fmt: skip


def _entry(row: Row) -> Entry:
    _, id_, number, name, tags, fields, groups, group_ids, *rest = row.values()
    return Entry(id_, number, name, tuple(tags), json.loads(fields), tuple(groups), tuple(group_ids), *rest)


async def search(
    database: Database | Connection, actor: Actor, wanted: WantedEntries, window: Window, *, id_: int | None = None
) -> Slice[Entry]:
    """Contacts that the actor sees."""
    asked = _asked(actor, wanted, id_)
    search_ = _SEARCH[actor.scope == EVERYTHING]
    return await read(database, search_, asked, _ORDERS, window, _entry, id_="c.id", timeout=30)


async def how_many(database: Database, actor: Actor, wanted: WantedEntries, most: int) -> int:
    """How many of them there are, counted up to one more than ``most``."""
    counting = _HOW_MANY[actor.scope == EVERYTHING]
    count: int = await database.fetchval(counting, *_asked(actor, wanted), most + 1, timeout=30)
    return count


async def one(database: Database | Connection, actor: Actor, id_: int) -> Entry | None:
    """One of them."""
    found = await search(database, actor, WantedEntries(), Window(limit=1), id_=id_)
    return found.rows[0] if found.rows else None


async def of_number(database: Database | Connection, actor: Actor, account_id: int, number: str) -> Entry | None:
    """The account's contact of a number (E.164 digits)."""
    wanted = WantedEntries(number=number, account_id=account_id)
    found = await search(database, actor, wanted, Window(limit=1))
    return found.rows[0] if found.rows else None


# --- groups ----------------------------------------------------------------------------------------------------------


def _tree(root: str, everything: bool) -> str:
    """Ids of a group and of those below it that the reader sees."""
    return f"""
    WITH RECURSIVE tree(id) AS (
        SELECT {root}
        UNION SELECT b.id FROM audience b JOIN tree ON b.parent_id = tree.id WHERE {sees("b", everything)}
    ) SELECT id FROM tree
    """  # noqa: S608 - constants


def _groups_from(everything: bool) -> str:
    return f"""
    FROM audience g {PLACE.format("g")} LEFT JOIN audience p ON p.id = g.parent_id AND {sees("p", everything)}
    WHERE g.segment IS NULL AND {sees("g", everything)} AND ($5::bigint IS NULL OR g.id = $5)
      AND ($6 = '' OR strpos(lower(g.name), lower($6)) > 0)
      AND ($7::bigint IS NULL OR g.account_id = $7) AND ($8 = '' OR g.shared = $8)
      AND ($9::bigint IS NULL OR g.id <> $9 AND g.id IN ({_tree("$9::bigint", everything)}))
    """


def _groups(everything: bool) -> str:
    return f"""
    SELECT {{key}} AS _key, g.id, g.name,
           (SELECT count(*) FROM audience_member m WHERE m.audience_id = g.id) AS members,
           g.account_id, k.name AS account, g.shared, g.department_id, COALESCE(d.name, '') AS department,
           g.owner_id, COALESCE(NULLIF(s.name, ''), s.login, '') AS owner, g.created_at,
           p.id AS parent_id, COALESCE(p.name, '') AS parent,
           (SELECT count(DISTINCT m.contact_id) FROM audience_member m
            WHERE m.audience_id IN ({_tree("g.id", everything)})) AS below
    {_groups_from(everything)} AND {{where}} ORDER BY {{order}}
    """  # noqa: S608 - constants


_GROUPS = {all_: _groups(all_) for all_ in _BOTH}
_HOW_MANY_GROUPS = {all_: f"SELECT count(*) FROM (SELECT {_groups_from(all_)} LIMIT $10) f" for all_ in _BOTH}  # noqa: S608
_GROUP_ORDERS = {"name": Order("g.name", "text"), "at": Order("g.id", "bigint")}


def _asked_groups(actor: Actor, wanted: WantedGroups, id_: int | None = None) -> tuple[object, ...]:
    return *reader(actor), id_, wanted.name, wanted.account_id, wanted.shared, wanted.within


async def groups(
    database: Database | Connection, actor: Actor, wanted: WantedGroups, window: Window, *, id_: int | None = None
) -> Slice[Group]:
    """Groups that the actor sees."""
    return await read(
        database, _GROUPS[actor.scope == EVERYTHING], _asked_groups(actor, wanted, id_), _GROUP_ORDERS, window,
        lambda row: Group(*list(row.values())[1:]), id_="g.id", timeout=30,
    )  # fmt: skip


async def how_many_groups(database: Database, actor: Actor, wanted: WantedGroups, most: int) -> int:
    """How many of them there are, counted up to one more than ``most``."""
    counting = _HOW_MANY_GROUPS[actor.scope == EVERYTHING]
    count: int = await database.fetchval(counting, *_asked_groups(actor, wanted), most + 1)
    return count


async def group(database: Database | Connection, actor: Actor, id_: int) -> Group | None:
    """One of them."""
    found = await groups(database, actor, WantedGroups(), Window(limit=1), id_=id_)
    return found.rows[0] if found.rows else None


# --- people picked from the book -------------------------------------------------------------------------------------


def _picked(all_: bool, limited: bool) -> str:
    """Ids of the picked, each once; of those after $9 the first $10, which are among the first of every arm."""

    def arm(what: str, from_: str) -> str:
        first = f"ORDER BY {what} LIMIT $10" if limited else ""
        return f"(SELECT DISTINCT {what} AS id {from_} AND {what} > $9 {first})"

    contact = f"FROM contact c WHERE {sees('c', all_)} AND c.account_id = $5"
    return "UNION".join((
        arm("m.contact_id", "FROM audience_member m JOIN audience g ON g.id = m.audience_id "
            f"WHERE {sees('g', all_)} AND g.account_id = $5 AND g.id = ANY($6::bigint[])"),
        arm("c.id", f"{contact} AND c.tags && $7::text[]"), arm("c.id", f"{contact} AND c.id = ANY($8::bigint[])"),
    ))  # fmt: skip


_PICKED = {
    all_: f"""
    SELECT c.id, c.number, c.name, c.fields FROM ({_picked(all_, True)}) p JOIN contact c ON c.id = p.id
    ORDER BY c.id LIMIT $10
    """  # noqa: S608 - constants
    for all_ in _BOTH
}
_HOW_MANY_PICKED = {all_: f"SELECT count(*) FROM ({_picked(all_, False)}) p" for all_ in _BOTH}  # noqa: S608


def seen_by(actor: Actor) -> Seen:
    """What the actor sees, to be kept with what is picked."""
    accounts, own, whole, departments = reader(actor)
    return msgspec.convert((actor.scope == EVERYTHING, accounts, own, whole, departments), Seen)


def _asked_picked(account_id: int, one: Picked, after: int) -> tuple[object, ...]:
    seen = one.seen
    return (
        seen.accounts, seen.owner, seen.whole, seen.departments, account_id, list(one.groups), list(one.tags),
        list(one.contacts), after,
    )  # fmt: skip


async def picked(database: Database | Connection, account_id: int, one: Picked, after: int, limit: int) -> list[Row]:
    """Those of them that follow the contact ``after``, oldest first: id, number, name, fields (as JSON)."""
    asked = _asked_picked(account_id, one, after)
    return await database.fetch(_PICKED[one.seen.everything], *asked, limit, timeout=60)


async def how_many_picked(database: Database | Connection, account_id: int, one: Picked) -> int:
    """How many they are, each counted once."""
    asked = _asked_picked(account_id, one, 0)
    count: int = await database.fetchval(_HOW_MANY_PICKED[one.seen.everything], *asked, timeout=60)
    return count


_TAGS = {
    all_: f"""
    SELECT t.tag, count(*) AS n FROM (
        SELECT c.tags FROM contact c WHERE {sees("c", all_)} AND c.account_id = $5 AND c.tags <> '{{}}' LIMIT $8
    ) c, unnest(c.tags) AS t(tag)
    WHERE ($6 = '' OR strpos(lower(t.tag), lower($6)) > 0) GROUP BY t.tag ORDER BY n DESC, t.tag LIMIT $7
    """  # noqa: S608 - constants
    for all_ in _BOTH
}
MOST_TAGGED = 100_000
"""Contacts with tags that are looked at."""


async def tags(database: Database, actor: Actor, account_id: int, part: str, limit: int) -> list[tuple[str, int]]:
    """Tags with ``part`` in them, the most used first, and how many contacts that the actor sees have each."""
    asked = (*reader(actor), account_id, part, limit, MOST_TAGGED)
    rows = await database.fetch(_TAGS[actor.scope == EVERYTHING], *asked, timeout=30)
    return [(row["tag"], row["n"]) for row in rows]


_NAMED = {
    all_: f"""
    SELECT c.id, c.name, c.number FROM contact c
    WHERE {sees("c", all_)} AND c.account_id = $5 AND c.id = ANY($6::bigint[]) ORDER BY c.id
    """  # noqa: S608 - constants
    for all_ in _BOTH
}


async def named(database: Database, actor: Actor, account_id: int, ids: Sequence[int]) -> list[Row]:
    """Contacts of these ids that the actor sees: id, name, number."""
    asked = (*reader(actor), account_id, list(ids))
    return await database.fetch(_NAMED[actor.scope == EVERYTHING], *asked)


_CHOICES = {
    all_: f"""
    SELECT g.id, g.name, k.name AS account, g.account_id, g.owner_id, g.shared, g.department_id, g.parent_id
    FROM audience g JOIN account k ON k.id = g.account_id
    WHERE g.segment IS NULL AND {sees("g", all_)} AND ($5::bigint IS NULL OR g.account_id = $5) ORDER BY g.name LIMIT $6
    """  # noqa: S608
    for all_ in _BOTH
}


async def choices(database: Database | Connection, actor: Actor, account_id: int | None = None) -> Sequence[Row]:
    """Groups that the actor sees, by name: id, name, account, account_id, and whose they are."""
    return await database.fetch(_CHOICES[actor.scope == EVERYTHING], *reader(actor), account_id, MOST_GROUPS)


_BELOW = {all_: _tree("$5::bigint", all_) for all_ in _BOTH}
_COUNT = "SELECT count(DISTINCT contact_id) FROM audience_member WHERE audience_id = ANY($1::bigint[])"


async def below(database: Database | Connection, actor: Actor, id_: int) -> list[int]:
    """A group and all below it that the actor sees, by their ids."""
    rows = await database.fetch(_BELOW[actor.scope == EVERYTHING], *reader(actor), id_)
    return sorted(row["id"] for row in rows)


async def contacts_in(database: Database | Connection, groups: Sequence[int]) -> int:
    """How many contacts there are in any of these groups, each once."""
    count: int = await database.fetchval(_COUNT, list(groups), timeout=30)
    return count


async def widened(database: Database | Connection, actor: Actor, one: Picked) -> Picked:
    """The same people with those of all groups below the picked ones, as far as the actor sees these."""
    groups = dict.fromkeys(one.groups)
    for id_ in one.groups:
        groups |= dict.fromkeys(await below(database, actor, id_))
    return msgspec.structs.replace(one, groups=tuple(groups))
