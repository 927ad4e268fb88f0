"""Filings of links (链接报备): which domains and targets may stand in marketing, carrier by carrier."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.errors import Invalid, Refused
from smsgw.core.templates import CARRIERS
from smsgw.core.url_filings import MAX_FILED, Filing, target_of
from smsgw.store.config.accounts import BUMP
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.records import audit

MAX_OWN = 1000
"""Filings of an account."""
_TAKE_TURNS = "SELECT pg_advisory_xact_lock(1818848875)"
"""Two who file at once cannot both take the last place."""

_ROOM = "SELECT count(*) AS n, count(*) FILTER (WHERE account_id = $1) AS own FROM filed_link"
_FILE = """
INSERT INTO filed_link AS f (account_id, target, icp, note, actor) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (target, account_id) DO UPDATE SET icp = excluded.icp, note = excluded.note
RETURNING id, xmax = 0 AS made
"""
# What a carrier has refused is filed again.
_AGAIN = "UPDATE filed_link_state SET state = 'pending', note = '', at = now() WHERE link_id = $1 AND state = 'refused'"
_SET = """
INSERT INTO filed_link_state (link_id, carrier, state, note) SELECT $1, c, $3, $4 FROM unnest($2::text[]) AS c
ON CONFLICT (link_id, carrier) DO UPDATE SET state = excluded.state, note = excluded.note, at = now()
"""
_LIST = """
SELECT f.*, a.name AS account, s.carriers FROM filed_link f LEFT JOIN account a ON a.id = f.account_id
CROSS JOIN LATERAL (
    SELECT COALESCE(json_object_agg(carrier, json_build_object('state', state, 'note', note)), '{}')::text AS carriers
    FROM filed_link_state WHERE link_id = f.id
) s
WHERE ($1::bigint[] IS NULL OR f.account_id = ANY($1)) AND ($2::bigint IS NULL OR f.id = $2)
  AND ($3::bigint IS NULL OR f.id < $3) ORDER BY f.id DESC LIMIT $4
"""
_REMOVE = """
DELETE FROM filed_link WHERE id = $1 AND ($2::bigint[] IS NULL OR account_id = ANY($2)) RETURNING account_id, target
"""


@dataclass(frozen=True, slots=True)
class CarrierSays:
    """How a filing stands with a carrier."""

    state: Filing
    note: str = ""


@dataclass(frozen=True, slots=True)
class FiledLink:
    """A filing."""

    id: int
    account_id: int
    account: str
    """Its name; empty: everybody's."""
    target: str
    icp: str
    note: str
    created_at: datetime
    carriers: Mapping[str, CarrierSays]
    """All mainland carriers."""


def _filed(row: Row) -> FiledLink:
    said = json.loads(row["carriers"])
    carriers = {c: CarrierSays(Filing(said[c]["state"]), said[c]["note"]) if c in said else CarrierSays(Filing.PENDING)
                for c in CARRIERS}  # fmt: skip
    return FiledLink(
        row["id"], row["account_id"], row["account"] or "", row["target"], row["icp"], row["note"], row["created_at"],
        carriers,
    )  # fmt: skip


async def file(
    database: Database, account_id: int, target: str, *, icp: str = "", note: str = "", actor: str
) -> FiledLink:
    """File a domain or target (again, where a carrier has refused it). ``PARAM_INVALID``; ``STATE_CONFLICT`` when there
    is no room."""
    try:
        wanted = target_of(target)
    except ValueError as exc:
        raise Invalid(
            "PARAM_INVALID", field="target", reason=str(exc), reason_en="a domain or the beginning of a link"
        ) from exc
    async with database.transaction() as connection:
        await connection.execute(_TAKE_TURNS)
        (room,) = await connection.fetch(_ROOM, account_id)
        (row,) = await connection.fetch(_FILE, account_id, wanted, icp.strip()[:64], note[:500], actor)
        if row["made"] and (room["n"] >= MAX_FILED or (account_id and room["own"] >= MAX_OWN)):
            raise Refused(
                "STATE_CONFLICT", reason=f"链接报备已达上限 {MAX_OWN if account_id else MAX_FILED} 条"
            )
        await connection.execute(_AGAIN, row["id"])
        after = {"account": account_id, "target": wanted, "icp": icp.strip()[:64]}
        await _noted(connection, actor, "link.file", row["id"], after)
    return await get(database, row["id"])


async def set_state(
    database: Database, id_: int, state: Filing, carriers: Sequence[str] = (), *, note: str = "", actor: str
) -> FiledLink:
    """What carriers say (none given: all). ``NOT_FOUND``, ``PARAM_INVALID``."""
    told = sorted(set(carriers or CARRIERS))
    if not set(told) <= set(CARRIERS):
        raise Invalid("PARAM_INVALID", field="carrier", reason=f"可选 {', '.join(CARRIERS)}")
    async with database.transaction() as connection:
        if await connection.fetchval("SELECT id FROM filed_link WHERE id = $1 FOR UPDATE", id_) is None:
            raise Refused("NOT_FOUND")
        await connection.execute(_SET, id_, told, state.value, note[:500])
        await _noted(
            connection, actor, "link.set", id_, {"carriers": told, "state": state.value, "note": note[:500]}
        )
    return await get(database, id_)


async def list_(
    database: Database,
    *,
    accounts: Sequence[int] | None = None,
    id_: int | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[FiledLink]:
    """Filings of these accounts (None: all, and everybody's), the newest first."""
    seen = None if accounts is None else list(accounts)
    return [_filed(row) for row in await database.fetch(_LIST, seen, id_, before, limit)]


async def get(database: Database, id_: int, *, accounts: Sequence[int] | None = None) -> FiledLink:
    """One of them; ``NOT_FOUND``."""
    found = await list_(database, accounts=accounts, id_=id_, limit=1) if 0 < id_ < 2**63 else []
    if not found:
        raise Refused("NOT_FOUND")
    return found[0]


async def remove(database: Database, id_: int, *, accounts: Sequence[int] | None = None, actor: str) -> None:
    """Take back a filing; ``NOT_FOUND``."""
    seen = None if accounts is None else list(accounts)
    async with database.transaction() as connection:
        row = await connection.fetchrow(_REMOVE, id_, seen) if 0 < id_ < 2**63 else None
        if row is None:
            raise Refused("NOT_FOUND")
        await _noted(
            connection, actor, "link.remove", id_, {"account": row["account_id"], "target": row["target"]}
        )


async def _noted(
    connection: Connection, actor: str, action: str, id_: int, after: Mapping[str, object]
) -> None:
    await audit.append(connection, actor=actor, action=action, object=f"filed_link/{id_}", after=after)
    await connection.execute(BUMP)
