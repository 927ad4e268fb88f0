"""The statements that read logins with their binds; ``accounts`` None means those of all accounts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.platform.partners.model import BindView, PartnerView, WantedPartners
from smsgw.store.config.partners import BIND_TTL
from smsgw.store.engine.database import Database, Row

_BINDS = """
COALESCE((SELECT json_agg(json_build_object(
    'node', b.node, 'mode', b.mode, 'ip', b.ip, 'bound_at', b.bound_at, 'version', b.version, 'submits', b.submits,
    'refused', b.refused, 'slowed', b.slowed, 'delivered', b.delivered, 'unanswered', b.unanswered,
    'deliveries', b.deliveries, 'rate', b.rate, 'last_at', b.last_at, 'codes', b.codes, 'kick', b.kick)
    ORDER BY b.bound_at)
 FROM partner_bind b WHERE b.partner_id = p.id AND b.seen_at > clock_timestamp() - $1 * interval '1 second'), '[]')
"""
_LIST = f"""
SELECT a.name AS account, p.protocol, p.username AS user, p.status, p.max_binds, p.send_window AS window, p.rate,
       p.ip_allow, p.type, p.code, p.any_source, p.any_clock, p.alphabet, p.message_ids, p.long_mo, {_BINDS} AS binds
FROM partner p JOIN account a ON a.id = p.account_id
WHERE $2::bigint[] IS NULL OR p.account_id = ANY($2) ORDER BY a.name, p.protocol, p.username
"""  # noqa: S608 - constant text


async def partners(database: Database, accounts: Sequence[int] | None = None) -> list[dict[str, Any]]:
    """Logins by account, protocol and name, with the ``binds`` of all nodes as ``BindView`` has them."""
    rows = await database.fetch(_LIST, BIND_TTL, None if accounts is None else list(accounts))
    return [
        {**row, "ip_allow": [str(n) for n in row["ip_allow"]], "binds": json.loads(row["binds"])}
        for row in rows
    ]


MARK = "left(encode(sha256(convert_to(p::text, 'UTF8')), 'hex'), 16)"
"""Of a login as people set it: another one when somebody has changed it."""
_COLUMNS = f"""
p.id, p.account_id, a.name AS account, p.protocol, p.username, p.status, p.max_binds, p.send_window AS window, p.rate,
p.ip_allow, p.type, p.code, p.any_source, p.any_clock, p.alphabet, p.message_ids, p.long_mo, p.created_at,
{MARK} AS mark, {_BINDS} AS binds
"""
_BOUND = """
EXISTS (SELECT FROM partner_bind b
        WHERE b.partner_id = p.id AND b.seen_at > clock_timestamp() - $1 * interval '1 second')
"""
_FROM = "FROM partner p JOIN account a ON a.id = p.account_id"
_SEEN = "($2::bigint[] IS NULL OR p.account_id = ANY($2))"
_MATCHES = f"""
{_SEEN} AND ($3::bigint IS NULL OR p.account_id = $3) AND ($4 = '' OR p.protocol = $4)
AND ($5 = '' OR $5 = CASE WHEN p.status <> 'active' THEN p.status WHEN {_BOUND} THEN 'bound' ELSE 'idle' END)
AND ($6 = '' OR strpos(p.username, $6) > 0)
"""
_ORDERS = {"account": Order("a.name", "text"), "created_at": Order("p.created_at", "timestamptz")}
_SEARCH = f"SELECT {_COLUMNS}, {{key}} AS _key {_FROM} WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}"
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FROM} WHERE {_MATCHES} LIMIT $7) f"  # noqa: S608
_ONE = f"SELECT {_COLUMNS} {_FROM} WHERE {_SEEN} AND p.id = $3"


def _asked(accounts: Sequence[int] | None, wanted: WantedPartners) -> tuple[object, ...]:
    seen = None if accounts is None else list(accounts)
    return BIND_TTL, seen, wanted.account_id, wanted.protocol, wanted.state, wanted.name


async def search(
    database: Database, wanted: WantedPartners, window: Window, *, accounts: Sequence[int] | None
) -> Slice[PartnerView]:
    """A window of logins, with the binds of all nodes."""
    return await read(database, _SEARCH, _asked(accounts, wanted), _ORDERS, window, _view, id_="p.id")


async def how_many(
    database: Database, wanted: WantedPartners, most: int, *, accounts: Sequence[int] | None
) -> int:
    """How many ``search`` finds, counted up to one more than ``most``."""
    n: int = await database.fetchval(_HOW_MANY, *_asked(accounts, wanted), most + 1)
    return n


async def one(database: Database, id_: int, *, accounts: Sequence[int] | None) -> PartnerView | None:
    """A login by its id."""
    row = await database.fetchrow(_ONE, BIND_TTL, None if accounts is None else list(accounts), id_)
    return None if row is None else _view(row)


def _view(row: Row) -> PartnerView:
    values = {key: value for key, value in row.items() if key != "_key"}
    binds = tuple(_bind(given) for given in json.loads(row["binds"]))
    return PartnerView(**values | {"ip_allow": tuple(str(n) for n in row["ip_allow"]), "binds": binds})


def _bind(given: dict[str, Any]) -> BindView:
    times = {name: given[name] and datetime.fromisoformat(given[name]) for name in ("bound_at", "last_at")}
    return BindView(**given | times)
