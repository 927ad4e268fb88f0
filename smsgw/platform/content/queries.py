"""The statements that read signatures and templates; ``accounts`` (None: all) is whose may be seen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from smsgw.core.actor import Actor
from smsgw.core.errors import Refused
from smsgw.core.templates import CARRIERS, Registration
from smsgw.platform.content.model import DECIDE, SIGN, TEMPLATE, Answer, Entry, Happened, Wanted
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Connection, Database, Row

STATE_NOW = "CASE WHEN r.state = 'registered' AND r.expires_at <= now() THEN 'expired' ELSE r.state END"
"""Of a registration."""
_CARRIERS = f"""
SELECT COALESCE(json_object_agg(carrier, json_build_object('state', {STATE_NOW}, 'note', r.note, 'code', r.code,
    'answered_on', r.answered_on, 'expires_at', r.expires_at)), '{{{{}}}}') AS carriers
FROM registration r WHERE r.kind = '{{kind}}' AND r.id = x.id
"""  # noqa: S608 - constants
_LIST = """
SELECT x.*, a.name AS account, c.carriers FROM {kind} x JOIN account a ON a.id = x.account_id
CROSS JOIN LATERAL ({carriers}) c
WHERE ($1::bigint[] IS NULL OR x.account_id = ANY($1)) AND ($2::bigint IS NULL OR x.id = $2)
  AND ($3 = '' OR x.state = $3) AND ($4::bigint IS NULL OR x.id < $4) ORDER BY x.id DESC LIMIT $5
"""
_LISTS = {kind: _LIST.format(kind=kind, carriers=_CARRIERS.format(kind=kind)) for kind in (SIGN, TEMPLATE)}


def _entry(row: Row) -> Entry:
    known = json.loads(row["carriers"])
    return Entry(
        {k: v for k, v in row.items() if k != "carriers"},
        {c: _answer(known[c]) if c in known else Answer() for c in CARRIERS},
    )


def _answer(said: Mapping[str, Any]) -> Answer:
    day, until = said["answered_on"], said["expires_at"]
    return Answer(
        Registration(said["state"]), said["note"], said["code"], date.fromisoformat(day) if day else None,
        datetime.fromisoformat(until) if until else None,
    )  # fmt: skip


async def page(
    database: Database,
    kind: str,
    *,
    accounts: Sequence[int] | None,
    id_: int | None = None,
    state: str = "",
    before: int | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Signatures or templates (``kind``) that the accounts (None: all) may see, the newest first."""
    seen = None if accounts is None else list(accounts)
    return [_entry(r) for r in await database.fetch(_LISTS[kind], seen, id_, state, before, limit)]


async def get(database: Database, kind: str, id_: int, *, accounts: Sequence[int] | None) -> Entry:
    """One of them; ``NOT_FOUND``."""
    found = await page(database, kind, accounts=accounts, id_=id_, limit=1) if 0 < id_ < 2**63 else []
    if not found:
        raise Refused("NOT_FOUND")
    return found[0]


# --- lists -----------------------------------------------------------------------------------------------------------

SIGN_STATUS = (
    "CASE WHEN x.stopped_at IS NOT NULL THEN 'stopped' "
    "WHEN x.state = 'approved' AND x.expires_at <= now() THEN 'expired' ELSE x.state END"
)
_STATUS = {TEMPLATE: "CASE WHEN x.stopped_at IS NOT NULL THEN 'stopped' ELSE x.state END", SIGN: SIGN_STATUS}
_COLUMNS = {
    TEMPLATE: "x.name, x.type, x.content, x.variables, x.sign",
    SIGN: "x.sign AS name, x.source, x.note, x.expires_at, COALESCE("
    "(SELECT NULLIF(e.extend_code, '') FROM sign_code e WHERE e.account_id = x.account_id AND e.sign = x.sign), "
    "a.extend_code) AS extension",
}
_LABEL = {SIGN: "x.sign", TEMPLATE: "x.name"}
_ORDERS = {
    kind: {
        "created_at": Order("x.created_at", "timestamptz"), "name": Order(label, "text"), "id": Order("x.id", "bigint"),
        "expires_at": Order("COALESCE(x.expires_at, 'infinity')" if kind == SIGN else "x.created_at", "timestamptz"),
    }
    for kind, label in _LABEL.items()
}  # fmt: skip
_OWN_MATCHES = {
    TEMPLATE: "($10 = '' OR x.type = $10) AND ($11 = '' OR strpos(x.content, $11) > 0) AND ($12 = '' OR x.sign = $12)",
    SIGN: "($10 = '' OR x.source = $10) AND ($11 = '' OR strpos(x.note, $11) > 0) AND ($12 = '' OR x.sign = $12)",
}
_FOUND = {
    kind: f"""
FROM {kind} x JOIN account a ON a.id = x.account_id CROSS JOIN LATERAL ({_CARRIERS.format(kind=kind)}) c
WHERE ($1::bigint[] IS NULL OR x.account_id = ANY($1)) AND ($2::bigint IS NULL OR x.id = $2)
  AND ($3::bigint IS NULL OR x.account_id = $3) AND ($4 = '' OR strpos({_LABEL[kind]}, $4) > 0)
  AND ($5 = '' OR {_STATUS[kind]} = $5)
  AND ($13 = '' OR EXISTS (
    SELECT FROM unnest($14::text[]) o LEFT JOIN registration r ON r.kind = '{kind}' AND r.id = x.id AND r.carrier = o
    WHERE $6 IN ('', o) AND COALESCE({STATE_NOW}, 'pending') = $13))
  AND ($7::text IS NULL OR x.created_by = $7) AND ($8::timestamptz IS NULL OR x.created_at >= $8)
  AND ($9::timestamptz IS NULL OR x.created_at < $9) AND {_OWN_MATCHES[kind]}
"""
    for kind in (SIGN, TEMPLATE)
}
_SEARCH = {
    kind: f"""
SELECT {{key}} AS _key, x.id, x.account_id, a.name AS account, {_COLUMNS[kind]}, x.state, {_STATUS[kind]} AS status,
       x.reason, x.created_by, x.created_at, x.reviewed_by, x.reviewed_at, x.stopped_at, c.carriers
{_FOUND[kind].replace("'{}'", "'{{}}'")} AND {{where}} ORDER BY {{order}}
"""
    for kind in (SIGN, TEMPLATE)
}
_HOW_MANY = {
    kind: f"SELECT count(*) FROM (SELECT {_FOUND[kind]} LIMIT $15) f"  # noqa: S608 - constants
    for kind in (SIGN, TEMPLATE)
}


def _asked(accounts: Sequence[int] | None, wanted: Wanted) -> tuple[object, ...]:
    return (
        None if accounts is None else list(accounts), wanted.id, wanted.account_id, wanted.name, wanted.status,
        wanted.carrier, wanted.submitter, *wanted.created, wanted.type, wanted.text, wanted.sign,
        wanted.registration or ("registered" if wanted.carrier else ""), list(CARRIERS),
    )  # fmt: skip


def _listed(row: Row) -> Mapping[str, Any]:
    entry = _entry(row)
    found = {k: v for k, v in entry.row.items() if k != "_key"}
    if "variables" in found:
        found["variables"] = json.loads(found["variables"])
    return found | {"carriers": entry.carriers}


async def search(
    database: Database, kind: str, wanted: Wanted, window: Window, *, accounts: Sequence[int] | None
) -> Slice[Mapping[str, Any]]:
    """Signatures or templates with their ``status``: what the reviewer has said, or ``stopped``, or ``expired``."""
    asked = _asked(accounts, wanted)
    return await read(database, _SEARCH[kind], asked, _ORDERS[kind], window, _listed, id_="x.id")


async def how_many(database: Database, kind: str, wanted: Wanted, most: int, *, accounts: Sequence[int] | None) -> int:
    """How many there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY[kind], *_asked(accounts, wanted), most + 1)
    return count


async def one(database: Database, kind: str, id_: int, *, accounts: Sequence[int] | None) -> Mapping[str, Any] | None:
    """One of them as a list has it."""
    found = await search(database, kind, Wanted(id=id_), Window(limit=1), accounts=accounts)
    return found.rows[0] if found.rows else None


_HISTORY = """
SELECT h.at, h.actor, COALESCE(s.name, '') AS name, h.action, h.after
FROM audit h LEFT JOIN staff s ON s.login = h.actor
WHERE h.object = $1 AND (h.object LIKE 'sign/%' OR h.object LIKE 'template/%') ORDER BY h.id DESC LIMIT $2
"""


async def history(database: Database, kind: str, id_: int, *, limit: int = 50) -> list[Happened]:
    """What was done to one that the reader was found to see, the newest first."""
    rows = await database.fetch(_HISTORY, f"{kind}/{id_}", limit)
    return [
        Happened(row["at"], row["actor"], row["name"], row["action"], json.loads(row["after"] or "{}")) for row in rows
    ]


_OTHERS = """
SELECT EXISTS (
    SELECT FROM staff s WHERE s.status = 'active' AND s.login <> $1
    AND NOT EXISTS (SELECT FROM staff_permission p WHERE p.staff_id = s.id AND p.permission = $2 AND NOT p.allowed)
    AND (EXISTS (SELECT FROM staff_permission p WHERE p.staff_id = s.id AND p.permission = $2 AND p.allowed)
         OR EXISTS (SELECT FROM staff_role y JOIN role r ON r.id = y.role_id
                    WHERE y.staff_id = s.id AND (r.everything OR $2 = ANY (r.permissions)))))
"""


async def others_decide(database: Database | Connection, kind: str, actor: Actor) -> bool:
    """Whether somebody else may decide about signatures or templates."""
    return bool(await database.fetchval(_OTHERS, actor.label, DECIDE[kind].value))
