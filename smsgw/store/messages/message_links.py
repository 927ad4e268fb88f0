"""Which code of which short link a message carries; most carry none, and have no row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from smsgw.core.ids import EPOCH_MS, day_range
from smsgw.core.sent_links import LinkCode
from smsgw.store.engine.cte_batch import arrays
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.messages.calls import LINK_TYPES, LinkRow

# A code that goes out once more (a message sent again) may have been clicked before.
_ENTER = f"""
INSERT INTO message_link (id, link_id, n, clicked)
SELECT d.id, d.link_id, d.n, CASE WHEN d.personal THEN EXISTS (
    SELECT FROM link_visitor v WHERE v.link_id = d.link_id AND v.n = d.n AND v.humans > 0) END
FROM unnest({arrays(LINK_TYPES.values())}) AS d({", ".join(LINK_TYPES)})
ON CONFLICT (id) DO NOTHING
"""  # noqa: S608 - constant text
_OF = """
SELECT k.link_id, k.n, l.target, l.kind = 'personal' AS personal
FROM message_link k JOIN short_link l ON l.id = k.link_id WHERE k.id = $1
"""
LINK_SINCE = f"(((extract(epoch FROM l.made_at) * 1000)::bigint - {EPOCH_MS} - 60000) << 22)"
"""The id from which on a short link ``l`` can have been sent or clicked: days before need not be looked at."""
_CARRIED = f"""
SELECT k.id, l.name, l.target, k.clicked, k.link_id, k.n, v.humans, v.first_at, v.last_at, {LINK_SINCE} AS since
FROM message_link k JOIN short_link l ON l.id = k.link_id
LEFT JOIN link_visitor v ON v.link_id = k.link_id AND v.n = k.n
WHERE k.id = ANY($1::bigint[]) AND k.id >= $2 AND k.id <= $3
"""  # noqa: S608 - a constant
_AGENTS = """
SELECT c.link_id, c.n, d.agent FROM unnest($1::bigint[], $2::int[]) AS c(link_id, n) CROSS JOIN LATERAL (
    SELECT d.agent FROM link_click d WHERE d.link_id = c.link_id AND d.n = c.n AND d.verdict = 'human' AND d.id >= $3
    ORDER BY d.id DESC LIMIT 1) d
"""
_KEPT_FROM = """
SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD')) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'message_link'::regclass AND right(c.relname, 8) <> '99991231'
"""
# The bounds let days without these messages alone.
_CLICKS = """
SELECT k.id, k.clicked, COALESCE(v.humans, 0) AS clicks, v.first_at
FROM message_link k LEFT JOIN link_visitor v ON v.link_id = k.link_id AND v.n = k.n
WHERE k.id = ANY($1::bigint[]) AND k.id >= $2 AND k.id <= $3 AND k.clicked IS NOT NULL
"""
_PERSONAL = "SELECT EXISTS (SELECT FROM short_link WHERE id = $1 AND kind = 'personal')"
# A link that all recipients share stands in a million messages, of which a click says nothing: only codes of one
# recipient each are looked for.
_CLICKED = f"""
WITH code AS MATERIALIZED (
    SELECT v.link_id, v.n, v.humans > 0 AS clicked, {LINK_SINCE} AS since
    FROM unnest($1::bigint[], $2::int[]) AS d(link_id, n) JOIN short_link l ON l.id = d.link_id AND l.kind = 'personal'
    JOIN link_visitor v ON v.link_id = d.link_id AND v.n = d.n
)
UPDATE message_link k SET clicked = c.clicked FROM code c
WHERE k.link_id = c.link_id AND k.n = c.n AND k.id >= c.since AND k.clicked <> c.clicked
"""  # noqa: S608 - a constant
# What was sent again while its code was judged has seen the figures of before, and was not seen itself.
_FOLLOWED = """
UPDATE message_link k SET clicked = v.humans > 0 FROM message_resend r, link_visitor v
WHERE r.again_id >= $1 AND k.id = r.again_id AND v.link_id = k.link_id AND v.n = k.n AND k.clicked <> (v.humans > 0)
"""


async def enter(connection: Connection, links: Sequence[LinkRow]) -> None:
    """Messages that carry a link."""
    await connection.execute(_ENTER, *map(list, zip(*links, strict=True)))


async def of(database: Database | Connection, message_id: int, address: str = "") -> LinkCode | None:
    """The code that a message carries, for one that follows it with the same; without its address but where that is
    known."""
    row = await database.fetchrow(_OF, message_id)
    return None if row is None else LinkCode(row["link_id"], row["n"], address, row["target"], row["personal"])


async def personal(database: Database | Connection, link_id: int | None) -> bool:
    """Whether each recipient of a link has a code of their own, so that a click says who has."""
    return link_id is not None and bool(await database.fetchval(_PERSONAL, link_id))


async def clicks(database: Database, ids: Sequence[int]) -> dict[int, Row]:
    """Of messages that carry a personal link: whether it was clicked, how often by people, and when first."""
    if not ids:
        return {}
    rows = await database.fetch(_CLICKS, list(ids), min(ids), max(ids), timeout=30)
    return {row["id"]: row for row in rows}


async def carried(database: Database, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Of messages that carry a link, what a list says of it; of a personal one also who has clicked, and with what."""
    if not ids:
        return {}
    rows = await database.fetch(_CARRIED, list(ids), min(ids), max(ids), timeout=30)
    codes = sorted({(row["link_id"], row["n"]) for row in rows if row["clicked"]})
    agents: dict[tuple[int, int], str] = {}
    if codes:
        since = min(row["since"] for row in rows if row["clicked"])
        found = await database.fetch(_AGENTS, [c[0] for c in codes], [c[1] for c in codes], since, timeout=30)
        agents = {(row["link_id"], row["n"]): row["agent"] for row in found}
    return {
        row["id"]: {
            "link_name": row["name"],
            "link_target": row["target"],
            "clicks": None if row["clicked"] is None else row["humans"] or 0,
            "clicked_at": row["first_at"] if row["clicked"] else None,
            "last_click": row["last_at"] if row["clicked"] else None,
            "click_agent": agents.get((row["link_id"], row["n"]), "") if row["clicked"] else "",
        }
        for row in rows
    }


async def kept_from(database: Database | Connection) -> int:
    """The id from which on it is kept what messages carry."""
    day = await database.fetchval(_KEPT_FROM)
    return 0 if day is None else day_range(day)[0]


async def note_clicks(connection: Connection, codes: Sequence[tuple[int, int]]) -> None:
    """What the visitors' figures say by now of these (link, n) is said of the messages that carry them."""
    await connection.execute(_CLICKED, [link for link, _ in codes], [n for _, n in codes])


async def look_again(connection: Connection, since: int) -> None:
    """The same of messages with ids from there on that have followed another one with its code. Nothing may be judged
    meanwhile."""
    await connection.execute(_FOLLOWED, since)
