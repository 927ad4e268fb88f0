"""The statements that read short links and clicks; ``accounts`` (None: all) is whose may be seen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from smsgw.core.addresses import shortened
from smsgw.core.alarms import WARNING, Finding
from smsgw.core.errors import Refused
from smsgw.core.ids import EPOCH_MS, first_id
from smsgw.core.pseudonyms import shown
from smsgw.core.short_codes import LENGTH, MAX_CHOSEN, Permutation
from smsgw.core.words import phrase
from smsgw.platform.links.model import (
    CarriedLink,
    Click,
    DayFigures,
    Hour,
    LinkFigures,
    LinkKind,
    LinkState,
    Origin,
    ShortLink,
    Target,
    Visit,
)
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.secrets import Sealer

KEY_CONTEXT = "short_link_key"
PAGE = 5000
COUNTED = 100_000
"""Clicks of a link that are counted by who it was and from where: the newest."""


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment until before another; None: without end."""

    first: datetime | None = None
    until: datetime | None = None


ANY_TIME = Span()


@dataclass(frozen=True, slots=True)
class WantedLinks:
    """Which links are looked for; what is empty narrows nothing."""

    text: str = ""
    """Part of the name or of the target; or an address or code of ours, whole."""
    account_id: int | None = None
    kind: str = ""
    origin: str = ""
    state: str = ""
    """``LinkState``."""
    made: Span = ANY_TIME
    ends: Span = ANY_TIME
    clicked: Span = ANY_TIME
    """In whole hours."""


_STATE = """
CASE WHEN l.state <> 'active' THEN l.state WHEN l.valid_until <= now() THEN 'expired'
     WHEN l.visits_max > 0 AND l.visits >= l.visits_max THEN 'used_up'
     WHEN l.valid_from > now() THEN 'waiting' ELSE 'active' END
"""
_FROM = "FROM short_link l JOIN account a ON a.id = l.account_id"
_SEEN = "($1::bigint[] IS NULL OR l.account_id = ANY($1))"
_MATCHES = f"""
{_SEEN} AND ($2 = '' OR strpos(lower(l.name), lower($2)) > 0 OR strpos(lower(l.target), lower($2)) > 0
    OR $7::bigint BETWEEN l.serial AND l.serial + l.codes - 1 OR ($8 <> '' AND l.chosen = $8))
AND ($3::bigint IS NULL OR l.account_id = $3) AND ($4 = '' OR l.kind = $4) AND ($5 = '' OR l.origin = $5)
AND ($6 = '' OR {_STATE} = $6)
AND ($9::timestamptz IS NULL OR l.made_at >= $9) AND ($10::timestamptz IS NULL OR l.made_at < $10)
AND ($11::timestamptz IS NULL OR l.valid_until >= $11) AND ($12::timestamptz IS NULL OR l.valid_until < $12)
AND (($13::timestamptz IS NULL AND $14::timestamptz IS NULL) OR EXISTS (
    SELECT FROM link_hour h WHERE h.link_id = l.id AND h.hits > 0 AND h.hour >= COALESCE($13, '-infinity')
        AND h.hour < COALESCE($14, 'infinity')))
"""
_SEARCH = f"SELECT l.*, a.name AS account, {{key}} AS _key {_FROM} WHERE {_MATCHES} AND {{where}} ORDER BY {{order}}"
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FROM} WHERE {_MATCHES} LIMIT $15) n"  # noqa: S608 - constant text
_ONE = f"SELECT l.*, a.name AS account {_FROM} WHERE {_SEEN} AND l.id = $2"
_ORDERS = {
    "made_at": Order("l.made_at", "timestamptz"), "name": Order("l.name", "text"),
    "id": Order("l.id", "bigint"), "humans": Order("l.humans", "bigint"), "visitors": Order("l.visitors", "bigint"),
}  # fmt: skip


def _link(row: Row) -> ShortLink:
    return ShortLink(
        row["id"], row["account_id"], row["account"], row["name"], LinkKind(row["kind"]), Origin(row["origin"]),
        row["domain"], row["serial"], row["codes"], row["chosen"] or "", row["target"], row["version"], row["passed"],
        row["warn"], LinkState(row["state"]), row["held"], row["reason"], row["valid_from"], row["valid_until"],
        row["visits_max"], row["visits"], row["unkept"], row["hits"], row["humans"], row["visitors"], row["made_at"],
        row["made_by"], row["decided_at"], row["decided_by"], row["used"], row["filed"],
        row["like_id"],
    )  # fmt: skip


async def _asked(database: Database, wanted: WantedLinks, accounts: Sequence[int] | None) -> tuple[object, ...]:
    seen = None if accounts is None else list(accounts)
    code = _code_of(wanted.text)
    codes = await own_permutation(database) if len(code) == LENGTH else None
    return (
        seen, wanted.text, wanted.account_id, wanted.kind, wanted.origin, wanted.state,
        None if codes is None else codes.serial(code), code.lower(), wanted.made.first, wanted.made.until,
        wanted.ends.first, wanted.ends.until, wanted.clicked.first, wanted.clicked.until,
    )  # fmt: skip


def _code_of(text: str) -> str:
    """The code of an address that somebody looks for; empty: it cannot be one."""
    code = text.strip().rstrip("/").rpartition("/")[2]
    return code if len(code) <= MAX_CHOSEN and code.isascii() and code.replace("-", "").isalnum() else ""


async def search(
    database: Database, wanted: WantedLinks, window: Window, *, accounts: Sequence[int] | None
) -> Slice[ShortLink]:
    """Links, whatever has made them."""
    return await read(database, _SEARCH, await _asked(database, wanted, accounts), _ORDERS, window, _link, id_="l.id")


async def how_many(database: Database, wanted: WantedLinks, most: int, *, accounts: Sequence[int] | None) -> int:
    """How many ``search`` finds, counted up to one more than ``most``."""
    number: int = await database.fetchval(_HOW_MANY, *await _asked(database, wanted, accounts), most + 1)
    return number


async def found(database: Database | Connection, id_: int, *, accounts: Sequence[int] | None) -> ShortLink | None:
    """A link by its id."""
    seen = None if accounts is None else list(accounts)
    row = await database.fetchrow(_ONE, seen, id_) if 0 < id_ < 2**63 else None
    return None if row is None else _link(row)


async def one(database: Database | Connection, id_: int, *, accounts: Sequence[int] | None) -> ShortLink:
    """The same; ``NOT_FOUND``."""
    link = await found(database, id_, accounts=accounts)
    if link is None:
        raise Refused("NOT_FOUND")
    return link


_SEVERAL = f"SELECT l.*, a.name AS account {_FROM} WHERE l.id = ANY($1) ORDER BY l.id"


async def several(database: Database | Connection, ids: Sequence[int]) -> list[ShortLink]:
    """Those of the ids that there are, whosever they are."""
    return [_link(row) for row in await database.fetch(_SEVERAL, list(ids))]


_ALIKE = """
SELECT l.*, a.name AS account FROM short_link l JOIN account a ON a.id = l.account_id
WHERE (l.id = ANY($1) OR l.like_id = ANY($1)) AND l.id <> ALL($2) ORDER BY l.id
"""


async def alike(database: Database | Connection, links: Sequence[ShortLink]) -> list[ShortLink]:
    """The others that tasks have gone on with beside these (``like_id``): whoever stops one means all of them."""
    first, own = [link.like_id or link.id for link in links], [link.id for link in links]
    return [_link(row) for row in await database.fetch(_ALIKE, first, own)]


# The clocks of nodes differ; days before need not be looked at.
_CARRIED = """
SELECT l.id, l.name, l.kind, l.target, k.n, COALESCE(v.hits, 0) AS hits, COALESCE(v.humans, 0) AS humans, v.first_at,
       v.last_at, CASE WHEN v.humans > 0 THEN COALESCE((
           SELECT c.agent FROM link_click c
           WHERE c.link_id = k.link_id AND c.n = k.n AND c.id > k.id - (3600000::bigint << 22)
             AND c.verdict = 'human' ORDER BY c.id DESC LIMIT 1
       ), '') ELSE '' END AS agent
FROM message_link k JOIN short_link l ON l.id = k.link_id
LEFT JOIN link_visitor v ON v.link_id = k.link_id AND v.n = k.n AND l.kind = 'personal' WHERE k.id = $1
"""


async def carried(database: Database, message_id: int) -> CarriedLink | None:
    """The short link in a message, for who sees the message, and what has come of its code."""
    row = await database.fetchrow(_CARRIED, message_id)
    return None if row is None else CarriedLink(LinkKind(row["kind"]), **{k: v for k, v in row.items() if k != "kind"})


_TARGETS = "SELECT version, target, at, by FROM short_link_target WHERE link_id = $1 ORDER BY version DESC LIMIT 100"


async def targets(database: Database, link: ShortLink) -> list[Target]:
    """Where it has led, the newest first."""
    return [Target(**row) for row in await database.fetch(_TARGETS, link.id)]


_KEY = "SELECT sealed FROM short_link_key WHERE id = 1"


async def code_key(database: Database | Connection, sealer: Sealer) -> bytes | None:
    """The key of the codes; None: no link was ever made. ``KeyFileError``."""
    sealed = await database.fetchval(_KEY)
    return None if sealed is None else bytes.fromhex(sealer.open(sealed, KEY_CONTEXT))


async def permutation(database: Database | Connection, sealer: Sealer) -> Permutation | None:
    """What makes codes of serials; None: no link was ever made. ``KeyFileError``."""
    key = await code_key(database, sealer)
    return None if key is None else Permutation(key)


async def own_permutation(database: Database) -> Permutation | None:
    """The same by the sealer that the database was opened with; None also without one."""
    return None if database.sealer is None else await permutation(database, database.sealer())


_FIGURES = """
SELECT COALESCE(sum(hits), 0)::bigint AS hits, COALESCE(sum(humans), 0)::bigint AS humans,
       count(*) FILTER (WHERE humans > 0) AS codes, min(first_at) AS first_at, max(last_at) AS last_at
FROM link_visitor WHERE link_id = $1
"""
_NEWEST = "SELECT verdict, address, agent FROM link_click WHERE link_id = $1 ORDER BY id DESC LIMIT $2"
_BY_VERDICT = f"SELECT verdict, count(*) AS n FROM ({_NEWEST}) c GROUP BY verdict"  # noqa: S608 - constant text
_DEVICES = f"""
SELECT count(*) FROM (SELECT DISTINCT address, agent FROM ({_NEWEST}) c WHERE verdict = 'human') d
"""  # noqa: S608 - constant text


async def figures(database: Database, link: ShortLink) -> LinkFigures:
    """What has come of it; by who it was, of its newest ``COUNTED`` clicks."""
    (row,) = await database.fetch(_FIGURES, link.id, timeout=30)
    verdicts = {v["verdict"]: v["n"] for v in await database.fetch(_BY_VERDICT, link.id, COUNTED, timeout=30)}
    visitors = row["codes"]
    if link.kind is LinkKind.SHARED:
        visitors = await database.fetchval(_DEVICES, link.id, COUNTED, timeout=30)
    return LinkFigures(row["hits"], row["humans"], visitors, row["first_at"], row["last_at"], verdicts)


_CLICKS = """
SELECT c.id, c.link_id, c.n, c.version, c.at, c.address, c.method, c.agent, c.referer, c.verdict, {key} AS _key
FROM link_click c WHERE c.link_id = $1 AND ($2 = '' OR c.verdict = $2) AND {where} ORDER BY {order}
"""
_NEWEST_CLICK = "SELECT COALESCE(max(id), 0) FROM link_click"
_CLICK_ORDERS = {"clicked_at": Order("c.id", "bigint")}


async def newest_click(database: Database) -> int:
    """The highest id of a click; 0: there is none."""
    newest: int = await database.fetchval(_NEWEST_CLICK, timeout=30)
    return newest


def _click(row: Row) -> Click:
    return Click(**{key: row[key] for key in Click.__dataclass_fields__})


async def clicks(database: Database, link: ShortLink, window: Window, *, verdict: str = "") -> Slice[Click]:
    """Its hits, the newest first; ``verdict``: of these alone."""
    return await read(database, _CLICKS, (link.id, verdict), _CLICK_ORDERS, window, _click, id_="c.id")


# --- hits of all links -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WantedVisits:
    """Which hits are looked for, from a moment until before another; what is empty narrows nothing."""

    first: datetime
    until: datetime
    link_id: int | None = None
    account_id: int | None = None
    n: int | None = None
    verdict: str = ""
    """Of ``Verdict``; ``PROGRAM``: all but people; ``OPEN``: nobody has judged them yet."""
    province: str = ""


PROGRAM, OPEN = "program", "open"

# Hits on links that a restored database does not have may be of a later link's id: they are nobody's.
_OF_VISITS = """
FROM link_click c JOIN short_link l ON l.id = c.link_id AND c.n < l.codes AND c.at > l.made_at - interval '1 minute'
JOIN account a ON a.id = l.account_id
WHERE ($1::bigint[] IS NULL OR l.account_id = ANY($1)) AND c.id >= $2 AND c.id < $3 AND c.verdict <> 'orphan'
AND ($4::bigint IS NULL OR c.link_id = $4) AND ($5::bigint IS NULL OR l.account_id = $5)
AND ($6::int IS NULL OR c.n = $6) AND ($8 = '' OR c.province = $8)
AND CASE $7 WHEN '' THEN true WHEN 'open' THEN c.verdict = '' WHEN 'program' THEN c.verdict NOT IN ('', 'human')
    ELSE c.verdict = $7 END
"""
_VISITS_FOUND = f"""
SELECT c.id, c.link_id, l.name AS link, l.kind, a.name AS account, c.n, c.version, c.at, c.address, c.province,
    c.city, c.agent, c.referer, c.verdict, COALESCE((
        SELECT m.number FROM message_link k JOIN message m ON m.id = k.id
        WHERE l.kind = 'personal' AND k.link_id = c.link_id AND k.n = c.n AND k.id < c.id
          AND ($1::bigint[] IS NULL OR m.account_id = ANY($1))
          AND k.id >= ((extract(epoch FROM l.made_at) * 1000)::bigint - {EPOCH_MS} - 60000) << 22 LIMIT 1
    ), '') AS number, {{key}} AS _key {_OF_VISITS} AND {{where}} ORDER BY {{order}}
"""  # noqa: S608 - constants
_VISITS_COUNTED = f"SELECT count(*) FROM (SELECT {_OF_VISITS} LIMIT $9) n"  # noqa: S608 - constants


def _visits(wanted: WantedVisits, accounts: Sequence[int] | None) -> tuple[object, ...]:
    return (
        None if accounts is None else list(accounts), first_id(wanted.first), first_id(wanted.until), wanted.link_id,
        wanted.account_id, wanted.n, wanted.verdict, wanted.province,
    )  # fmt: skip


def _visit(row: Row) -> Visit:
    return Visit(
        row["id"], row["link_id"], row["link"], LinkKind(row["kind"]), row["account"], row["n"], row["version"],
        row["at"], shown(shortened(row["address"])), row["province"], row["city"], row["agent"], row["referer"],
        row["verdict"], row["number"],
    )  # fmt: skip


async def visits_of(
    database: Database, wanted: WantedVisits, window: Window, *, accounts: Sequence[int] | None
) -> Slice[Visit]:
    """Hits of links of these accounts, by their time; of addresses the beginning alone."""
    return await read(
        database, _VISITS_FOUND, _visits(wanted, accounts), _CLICK_ORDERS, window, _visit, id_="c.id", timeout=30
    )


async def how_many_visits(
    database: Database, wanted: WantedVisits, most: int, *, accounts: Sequence[int] | None
) -> int:
    """How many ``visits_of`` finds, counted up to one more than ``most``."""
    number: int = await database.fetchval(_VISITS_COUNTED, *_visits(wanted, accounts), most + 1, timeout=30)
    return number


_HOURS = """
SELECT {step} AS at, sum(h.hits)::bigint AS hits, sum(h.humans)::bigint AS humans FROM link_hour h
JOIN short_link l ON l.id = h.link_id
WHERE ($1::bigint[] IS NULL OR l.account_id = ANY($1)) AND ($2::bigint IS NULL OR h.link_id = $2)
    AND ($3::bigint IS NULL OR l.account_id = $3) AND h.hour >= $4 AND h.hour < $5
GROUP BY 1 ORDER BY 1 LIMIT 2000
"""
_BY_HOUR = _HOURS.format(step="h.hour")
_BY_DAY = _HOURS.format(step="date_trunc('day', h.hour, 'Asia/Shanghai')")


async def hours(
    database: Database, first: datetime, until: datetime, *, accounts: Sequence[int] | None,
    link_id: int | None = None, account_id: int | None = None, by_day: bool = False,
) -> list[Hour]:  # fmt: skip
    """Hits that were judged, by the hour or by China's day; those that had none are left out."""
    seen = None if accounts is None else list(accounts)
    statement = _BY_DAY if by_day else _BY_HOUR
    rows = await database.fetch(statement, seen, link_id, account_id, first, until, timeout=30)
    return [Hour(**row) for row in rows]


# --- what days have brought ------------------------------------------------------------------------------------------

_DAY = "({at} AT TIME ZONE 'Asia/Shanghai')::date"
_OWN = "($1::bigint[] IS NULL OR l.account_id = ANY($1)) AND ($4::bigint IS NULL OR l.account_id = $4)"
_DAYS = f"""
SELECT (s.day - date '2000-01-01')::bigint * 4294967296 + s.account_id AS id, s.day, s.account_id, a.name AS account,
    sum(s.made)::bigint AS made, sum(s.codes)::bigint AS codes, sum(s.clicked)::bigint AS clicked,
    sum(s.ended)::bigint AS ended, sum(s.hits)::bigint AS hits, sum(s.humans)::bigint AS humans
FROM (
    SELECT {_DAY.format(at="l.made_at")} AS day, l.account_id, count(*) AS made,
        sum(CASE l.kind WHEN 'shared' THEN 1 ELSE l.used END) AS codes, 0 AS clicked,
        0 AS ended, 0 AS hits, 0 AS humans
    FROM short_link l WHERE {_OWN} AND l.made_at >= $2 AND l.made_at < $3 GROUP BY 1, 2
    UNION ALL
    SELECT {_DAY.format(at="l.valid_until")}, l.account_id, 0, 0, 0, count(*), 0, 0
    FROM short_link l WHERE {_OWN} AND l.valid_until >= $2 AND l.valid_until < LEAST($3, now()) GROUP BY 1, 2
    UNION ALL
    SELECT {_DAY.format(at="h.hour")}, l.account_id, 0, 0, count(DISTINCT h.link_id), 0, sum(h.hits), sum(h.humans)
    FROM link_hour h JOIN short_link l ON l.id = h.link_id
    WHERE {_OWN} AND h.hour >= $2 AND h.hour < $3 AND h.hits > 0 GROUP BY 1, 2
) s JOIN account a ON a.id = s.account_id GROUP BY s.day, s.account_id, a.name
"""  # noqa: S608 - constants
_DAYS_FOUND = f"SELECT r.*, {{key}} AS _key FROM ({_DAYS}) r WHERE {{where}} ORDER BY {{order}}"  # noqa: S608
_DAYS_COUNTED = f"SELECT count(*) FROM ({_DAYS}) r"  # noqa: S608
_SUMMED = ("made", "codes", "clicked", "ended", "hits", "humans")
_DAYS_SUMMED = f"""
SELECT {", ".join(f"COALESCE(sum(r.{name}), 0)::bigint AS {name}" for name in _SUMMED)} FROM ({_DAYS}) r
"""  # noqa: S608
_CLICKED = f"""
SELECT count(DISTINCT h.link_id) FROM link_hour h JOIN short_link l ON l.id = h.link_id
WHERE {_OWN} AND h.hour >= $2 AND h.hour < $3 AND h.hits > 0
"""  # noqa: S608 - constants
_DAY_ORDERS = {"day": Order("r.id", "bigint"), **{name: Order(f"r.{name}", "bigint") for name in _SUMMED}}


def _day(row: Row) -> DayFigures:
    return DayFigures(**{name: row[name] for name in DayFigures.__dataclass_fields__})


def _days(first: datetime, until: datetime, account_id: int | None, accounts: Sequence[int] | None) -> tuple[Any, ...]:
    return None if accounts is None else list(accounts), first, until, account_id


async def days(
    database: Database, first: datetime, until: datetime, window: Window, *, accounts: Sequence[int] | None,
    account_id: int | None = None,
) -> Slice[DayFigures]:  # fmt: skip
    """By China's day and account; what had nothing of all of it is left out."""
    asked = _days(first, until, account_id, accounts)
    return await read(database, _DAYS_FOUND, asked, _DAY_ORDERS, window, _day, id_="r.id", timeout=30)


async def how_many_days(
    database: Database, first: datetime, until: datetime, *, accounts: Sequence[int] | None,
    account_id: int | None = None,
) -> int:  # fmt: skip
    """How many rows ``days`` has."""
    asked = _days(first, until, account_id, accounts)
    number: int = await database.fetchval(_DAYS_COUNTED, *asked, timeout=30)
    return number


async def days_together(
    database: Database, first: datetime, until: datetime, *, accounts: Sequence[int] | None,
    account_id: int | None = None,
) -> DayFigures:  # fmt: skip
    """What they come to; a link that was opened on several days is one."""
    asked = _days(first, until, account_id, accounts)
    (row,) = await database.fetch(_DAYS_SUMMED, *asked, timeout=30)
    clicked = await database.fetchval(_CLICKED, *asked, timeout=30)
    return DayFigures(0, date.min, 0, "", **{**row, "clicked": clicked})


# --- what the public edge holds in memory ----------------------------------------------------------------------------

_LIVE_COLUMNS = """
id, domain, COALESCE(serial, -1) AS serial, codes, COALESCE(chosen, '') AS chosen, target, version, warn, valid_from,
valid_until, visits_max, visits, change, kind = 'personal' AS personal,
state = 'active' AND (valid_until IS NULL OR valid_until > now()) AS live
"""
_CHANGES = f"SELECT {_LIVE_COLUMNS} FROM short_link WHERE change > $1 ORDER BY change LIMIT $2"  # noqa: S608
_VISITS = "SELECT id, visits FROM short_link WHERE id = ANY($1::bigint[])"


async def changes(database: Database, change: int) -> AsyncIterator[tuple[list[Row], int]]:
    """Pages of links that have changed since (0: of all), those that are over now among them, each with the change that
    it ends with."""
    while rows := await database.fetch(_CHANGES, change, PAGE, timeout=30):
        change = rows[-1]["change"]
        yield rows, change


async def visits(database: Database, ids: Sequence[int]) -> dict[int, int]:
    """How many visits links have had."""
    return {row["id"]: row["visits"] for row in await database.fetch(_VISITS, list(ids))}


_UNKEPT = """
SELECT COALESCE(sum(unkept), 0)::bigint FROM short_link WHERE kind = 'personal' AND (id = ANY($1::bigint[])
    OR id IN (SELECT link_id FROM task_run WHERE task_id = $2))
"""


async def unkept(database: Database, ids: Sequence[int], task_id: int | None = None) -> int:
    """How many hits on these personal links, and on those of a task, were counted only: nobody knows of whom."""
    n: int = await database.fetchval(_UNKEPT, list(ids), task_id)
    return n


# --- whether anybody serves them -------------------------------------------------------------------------------------

# A node of an earlier version does not say whether it does.
_UNSERVED = """
SELECT NOT EXISTS (
    SELECT FROM lease l LEFT JOIN node n ON n.number = l.node
    WHERE l.resource LIKE 'node/%' AND l.expires_at > clock_timestamp() AND COALESCE(n.serves_links, true)
) AND ($1 OR EXISTS (
    SELECT FROM short_link WHERE state = 'active' AND (valid_until IS NULL OR valid_until > clock_timestamp())
))
"""


async def unserved(database: Database, hosts: Sequence[str]) -> list[Finding]:
    """The alarm that there are links, or domains for them, and no node at which they can be opened."""
    if not await database.fetchval(_UNSERVED, bool(hosts)):
        return []
    return [Finding("links_unserved", "links", WARNING, phrase("alarm.links_unserved"))]
