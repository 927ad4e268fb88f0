"""Changes of filings: filed, told what carriers say, taken back. Every node follows within seconds."""

from __future__ import annotations

from collections.abc import Sequence

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.templates import CARRIERS
from smsgw.core.url_filings import MAX_FILED, Filing, target_of
from smsgw.core.words import phrase, reason_of
from smsgw.platform.change import Change
from smsgw.platform.url_filings import queries
from smsgw.platform.url_filings.model import FiledLink

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
_LOCK = "SELECT account_id FROM filed_link WHERE id = $1 FOR UPDATE"
_SET = """
INSERT INTO filed_link_state (link_id, carrier, state, note) SELECT $1, c, $3, $4 FROM unnest($2::text[]) AS c
ON CONFLICT (link_id, carrier) DO UPDATE SET state = excluded.state, note = excluded.note, at = now()
"""
_STATES = "SELECT carrier, state, note FROM filed_link_state WHERE link_id = $1 AND carrier = ANY($2)"
_REMOVE = """
DELETE FROM filed_link WHERE id = $1 AND ($2::bigint[] IS NULL OR account_id = ANY($2)) RETURNING account_id, target
"""


async def file(change: Change, account_id: int, target: str, *, icp: str = "", note: str = "") -> FiledLink:
    """File a domain or target (again, where a carrier has refused it), for an account or ``EVERYBODY``.
    ``PARAM_INVALID``; ``STATE_CONFLICT`` when there is no room."""
    try:
        wanted = target_of(target)
    except ValueError as exc:
        raise Invalid("PARAM_INVALID", field="target", reason=reason_of(exc)) from exc
    given = (icp.strip()[:64], note[:500], change.actor.label)
    async with change.unit(Permission.FILING_EDIT, account_id) as unit:
        await unit.connection.execute(_TAKE_TURNS)
        (room,) = await unit.connection.fetch(_ROOM, account_id)
        (row,) = await unit.connection.fetch(_FILE, account_id, wanted, *given)
        if row["made"] and (room["n"] >= MAX_FILED or (account_id and room["own"] >= MAX_OWN)):
            most = MAX_OWN if account_id else MAX_FILED
            raise Refused("STATE_CONFLICT", reason=phrase("filing.full", most=most))
        await unit.connection.execute(_AGAIN, row["id"])
        after = {"account": account_id, "target": wanted, "icp": given[0]}
        unit.record("link.file", f"filed_link/{row['id']}", after=after)
        return await queries.get(unit.connection, row["id"], accounts=None)


async def set_state(
    change: Change, id_: int, state: Filing, carriers: Sequence[str] = (), *, note: str = ""
) -> FiledLink:
    """What carriers say (none given: all). ``NOT_FOUND``, ``PARAM_INVALID``."""
    told = sorted(set(carriers or CARRIERS))
    if not set(told) <= set(CARRIERS):
        raise Invalid("PARAM_INVALID", field="carrier", reason=phrase("choice.of", known=", ".join(CARRIERS)))
    async with change.unit(Permission.FILING_DECIDE) as unit:
        owner = await unit.connection.fetchval(_LOCK, id_)
        if owner is None:
            raise Refused("NOT_FOUND")
        unit.actor.require(Permission.FILING_DECIDE, owner)
        known = await unit.connection.fetch(_STATES, id_, told)
        before = {row["carrier"]: {"state": row["state"], "note": row["note"]} for row in known}
        await unit.connection.execute(_SET, id_, told, state.value, note[:500])
        after = {"carriers": told, "state": state.value, "note": note[:500]}
        unit.record("link.set", f"filed_link/{id_}", before=before, after=after)
        return await queries.get(unit.connection, id_, accounts=None)


async def remove(change: Change, id_: int) -> None:
    """Take back a filing; ``NOT_FOUND``."""
    seen = change.actor.scope.whole
    async with change.unit(Permission.FILING_EDIT) as unit:
        row = (
            await unit.connection.fetchrow(_REMOVE, id_, None if seen is None else list(seen))
            if 0 < id_ < 2**63
            else None
        )
        if row is None:
            raise Refused("NOT_FOUND")
        before = {"account": row["account_id"], "target": row["target"]}
        unit.record("link.remove", f"filed_link/{id_}", before=before)
