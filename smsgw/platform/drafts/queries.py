"""The statements that read drafts: people see none but their own, keys and operators those of accounts."""

from __future__ import annotations

import msgspec

from smsgw.core.actor import Actor, ActorKind
from smsgw.platform.drafts.model import Draft, Kind, State, Survey
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Connection, Database, Row

_ORDERS = {
    "updated_at": Order("d.updated_at", "timestamptz"),
    "created_at": Order("d.created_at", "timestamptz"),
    "id": Order("d.id", "bigint"),
}
_SEARCH = """
SELECT {key} AS _key, d.* FROM send_draft d
WHERE (d.owner_id = $1 OR $1 = 0 AND d.owner_id IS NULL AND ($2::bigint[] IS NULL OR d.account_id = ANY($2)))
  AND ($3::bigint IS NULL OR d.id = $3) AND ($4 = '' OR strpos(lower(d.subject), lower($4)) > 0)
  AND ($5 = '' OR d.kind = $5) AND ($6::bigint IS NULL OR d.account_id = $6) AND {where} ORDER BY {order}
"""
_HOW_MANY = """
SELECT count(*) FROM (SELECT FROM send_draft d WHERE d.owner_id = $1
  AND ($2 = '' OR strpos(lower(d.subject), lower($2)) > 0) AND ($3 = '' OR d.kind = $3) LIMIT $4) f
"""
_SENT = """
SELECT t.id FROM account a JOIN task t ON t.account_id = a.id AND t.request_key = $1 AND t.request_key <> ''
WHERE t.submitter = $2 LIMIT 1
"""
_ANY = "SELECT * FROM send_draft WHERE id = $1"


def owner(actor: Actor) -> int:
    """Whose drafts an actor has; 0: no person's."""
    return actor.id if actor.kind is ActorKind.PERSON else 0


def draft_of(row: Row) -> Draft:
    """A row of the table."""
    survey = row["survey"]
    return Draft(
        row["id"], row["owner_id"], row["key"], Kind(row["kind"]), row["subject"],
        msgspec.json.decode(row["state"], type=State),
        None if survey is None else msgspec.json.decode(survey, type=Survey), row["survey_of"], row["created_at"],
        row["updated_at"], row["account_id"],
    )  # fmt: skip


async def search(
    database: Database | Connection, actor: Actor, window: Window, *, id_: int | None = None, subject: str = "",
    kind: str = "", account_id: int | None = None,
) -> Slice[Draft]:  # fmt: skip
    """A person's own; of who is none those of accounts in the scope, which are no person's."""
    accounts = None if actor.scope.whole is None else list(actor.scope.whole)
    asked = (owner(actor), accounts, id_, subject, kind, account_id)
    return await read(database, _SEARCH, asked, _ORDERS, window, draft_of, id_="d.id")


async def how_many(database: Database, actor: Actor, subject: str, kind: str, most: int) -> int:
    """How many of them there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY, owner(actor), subject, kind, most + 1)
    return count


async def one(database: Database | Connection, actor: Actor, id_: int) -> Draft | None:
    """One of them."""
    found = await search(database, actor, Window("updated_at", descending=True, limit=1), id_=id_)
    return found.rows[0] if found.rows else None


async def sent(database: Database | Connection, actor: Actor, key: str) -> int | None:
    """The task that a draft of the actor has become."""
    found: int | None = await database.fetchval(_SENT, key, actor.label)
    return found


async def any_one(database: Database | Connection, id_: int) -> Draft | None:
    """One of anybody's, for the job that looks at its rows."""
    row = await database.fetchrow(_ANY, id_)
    return None if row is None else draft_of(row)
