"""The statements that read who gets health mails, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass, fields

from smsgw.core.actor import Actor
from smsgw.platform.health.model import Mail, Plan
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Connection, Database, Row

_PLAN = "SELECT emails, language, hour, changed_by, changed_at FROM health_plan"


async def plan(source: Database | Connection) -> Plan | None:
    """Who gets them, and when; None: nobody has ever been named."""
    row = await source.fetchrow(_PLAN)
    return None if row is None else Plan(**{**dict(row), "emails": tuple(row["emails"])})


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which mails are looked for; what is empty narrows nothing."""

    state: str = ""
    receiver: str = ""
    """Part of it."""


WANTED = "EXISTS (SELECT FROM health_plan p WHERE m.receiver = ANY(p.emails))"
"""Of a mail ``m``: its receiver is still one."""
_COLUMNS = f"m.*, {WANTED} AS wanted"
_MAILS = "FROM health_mail m WHERE $1 AND ($2 = '' OR m.state = $2) AND ($3 = '' OR strpos(m.receiver, $3) > 0)"
_SEARCH = f"SELECT {_COLUMNS}, {{key}} AS _key {_MAILS} AND {{where}} ORDER BY {{order}}"
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_MAILS} LIMIT $4) n"  # noqa: S608 - constants
_MAIL = f"SELECT {_COLUMNS} FROM health_mail m WHERE $1 AND m.id = $2"  # noqa: S608 - constants
_ORDERS = {"health_day": Order("to_char(m.day, 'YYYYMMDD')", "text")}


def _mail(row: Row) -> Mail:
    return Mail(**{field.name: row[field.name] for field in fields(Mail)})


def _asked(actor: Actor, wanted: Wanted) -> tuple[object, ...]:
    return actor.scope.whole is None, wanted.state, wanted.receiver


async def mails(database: Database, actor: Actor, wanted: Wanted, window: Window) -> Slice[Mail]:
    """A window of them, for who sees the whole platform."""
    return await read(database, _SEARCH, _asked(actor, wanted), _ORDERS, window, _mail, id_="m.id")


async def how_many(database: Database, actor: Actor, wanted: Wanted, most: int) -> int:
    """How many there are, counted up to one more than ``most``."""
    number: int = await database.fetchval(_HOW_MANY, *_asked(actor, wanted), most + 1)
    return number


async def mail(database: Database | Connection, actor: Actor, id_: int) -> Mail | None:
    """One of them."""
    row = await database.fetchrow(_MAIL, actor.scope.whole is None, id_)
    return None if row is None else _mail(row)
