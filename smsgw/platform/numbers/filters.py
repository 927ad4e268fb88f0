"""Lists of numbers that are looked at (空号过滤): what is known here costs nothing and comes first; the provider is
asked about the rest only when somebody wishes it, knowing the price. Both are durable jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from smsgw.core import numbers
from smsgw.core.actor import ActorLabel
from smsgw.core.errors import Invalid, Refused
from smsgw.core.number_state import NumberState
from smsgw.core.permissions import Permission
from smsgw.core.words import Wording, phrase
from smsgw.platform.change import Change
from smsgw.platform.jobs import queries as jobs
from smsgw.platform.jobs.model import Job, NewJob
from smsgw.platform.jobs.runner import LONG, JobContext, JobKind
from smsgw.platform.numbers import vendor as vendors
from smsgw.platform.paging import Order, Slice, Window, read
from smsgw.platform.sheets import queries as sheets
from smsgw.platform.sheets.model import Sheet
from smsgw.platform.sheets.service import Sheets
from smsgw.runtime import clock
from smsgw.store.config import number_status, settings
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.secrets import Sealer

NAME = "number.filter"
PATIENCE = 3600.0
LASTS = timedelta(days=1)
UNKNOWN = "unknown"
STATES = (*(state.value for state in NumberState), vendors.ABSENT, UNKNOWN)
"""What a number of a list can come to."""
MOST_LISTS = 200
"""Of one account; they go after ``KEPT_DAYS``."""
MOST_TYPED = 10_000
MOST_ROWS = 100_000
CHUNK = 2000


@dataclass(frozen=True, slots=True)
class NumberFilter:
    """One list. ``cost`` in thousandths of a yuan."""

    id: int
    name: str
    account_id: int
    account: str
    created_by: ActorLabel
    created_at: datetime
    job_id: int | None
    job_state: str
    total: int
    invalid: int
    duplicates: int
    asked: int
    cost: int


_ORDERS = {"at": Order("f.id", "bigint")}
_FROM = """
FROM number_filter f JOIN account a ON a.id = f.account_id LEFT JOIN job j ON j.id = f.job_id
WHERE ($1::bigint[] IS NULL OR f.account_id = ANY($1)) AND ($2::bigint IS NULL OR f.id = $2)
  AND ($3 = '' OR strpos(lower(f.name), lower($3)) > 0) AND ($4::bigint IS NULL OR f.account_id = $4)
"""
_SEARCH = f"""
SELECT {{key}} AS _key, f.id, f.name, f.account_id, a.name AS account, f.created_by, f.created_at, f.job_id,
       COALESCE(j.state, 'done') AS job_state,
       (SELECT count(*) FROM number_filter_row r WHERE r.filter_id = f.id) AS total,
       f.invalid, f.duplicates, f.asked, f.cost
{_FROM} AND {{where}} ORDER BY {{order}}
"""  # noqa: S608 - constants
_HOW_MANY = f"SELECT count(*) FROM (SELECT {_FROM} LIMIT $5) f"  # noqa: S608


def _asked(
    accounts: Sequence[int] | None, name: str, account_id: int | None, id_: int | None = None
) -> tuple[object, ...]:
    return None if accounts is None else list(accounts), id_, name, account_id


def _filter(row: Row) -> NumberFilter:
    return NumberFilter(*list(row.values())[1:])


async def search(
    database: Database | Connection, window: Window, *, accounts: Sequence[int] | None, name: str = "",
    account_id: int | None = None, id_: int | None = None,
) -> Slice[NumberFilter]:  # fmt: skip
    """Lists of these accounts (None: all)."""
    asked = _asked(accounts, name, account_id, id_)
    return await read(database, _SEARCH, asked, _ORDERS, window, _filter, id_="f.id", timeout=30)


async def how_many(
    database: Database, most: int, *, accounts: Sequence[int] | None, name: str = "", account_id: int | None = None
) -> int:
    """How many there are, counted up to one more than ``most``."""
    count: int = await database.fetchval(_HOW_MANY, *_asked(accounts, name, account_id), most + 1)
    return count


async def one(database: Database | Connection, id_: int, *, accounts: Sequence[int] | None) -> NumberFilter | None:
    """One of them."""
    found = await search(database, Window(limit=1), accounts=accounts, id_=id_)
    return found.rows[0] if found.rows else None


_COUNTS = "SELECT state, count(*) AS n, min(at) AS oldest FROM number_filter_row WHERE filter_id = $1 GROUP BY state"


@dataclass(frozen=True, slots=True)
class Counted:
    """Numbers of a list that have come to one state, and how old the oldest word of it is."""

    n: int
    oldest: datetime | None


async def counts(database: Database, id_: int) -> dict[str, Counted]:
    """By state; "": nobody has been asked yet."""
    rows = await database.fetch(_COUNTS, id_, timeout=30)
    return {row["state"]: Counted(row["n"], row["oldest"]) for row in rows}


_ROWS = """
SELECT number::text, state, source, at FROM number_filter_row WHERE filter_id = $1 AND state = $2 AND number > $4
ORDER BY number LIMIT $3
"""


async def rows(database: Database, id_: int, state: str, *, after: int = 0, limit: int = MOST_ROWS) -> Sequence[Row]:
    """Numbers of a list that have come to a state, by number; those that are larger than ``after``."""
    return await database.fetch(_ROWS, id_, state, limit, after, timeout=30)


# --- beginning -------------------------------------------------------------------------------------------------------

_ADD = """
INSERT INTO number_filter (name, account_id, created_by, filled, duplicates, invalid)
SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM number_filter WHERE account_id = $2) < $7 RETURNING id
"""
_ADD_ROWS = """
INSERT INTO number_filter_row (filter_id, number) SELECT $1, n FROM unnest($2::bigint[]) AS n ON CONFLICT DO NOTHING
"""
_SET_JOB = "UPDATE number_filter SET job_id = $2 WHERE id = $1"


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 0 < len(name) <= 64 or not name.isprintable():
        raise Invalid("PARAM_INVALID", field="name", reason=phrase("text.between", low=1, high=64))
    return name


async def begin(
    change: Change, name: str, account_id: int, given: Sequence[str] = (), *, sheet: Sheet | None = None,
    column: int = 0, invalid: int = 0,
) -> int:  # fmt: skip
    """Have numbers (E.164 digits), or those of a table's column, looked at by what is known here; the list.
    ``invalid``: how many were given beside them that are none.
    ``PARAM_INVALID``, ``TO_TOO_MANY``; ``NOT_FOUND`` for an account that is not the actor's;
    ``STATE_CONFLICT``: the account has too many."""
    name = _name(name)
    if len(given) > MOST_TYPED:
        raise Invalid("TO_TOO_MANY")
    if sheet is None and not given:
        raise Invalid("TO_EMPTY")
    async with change.unit(Permission.CONTACT_EDIT, account_id, timeout=30) as unit:
        some = sorted({int(n) for n in given})
        added = (name, account_id, unit.actor.label, sheet is None, len(given) - len(some), invalid)
        id_: int | None = await unit.connection.fetchval(_ADD, *added, MOST_LISTS)
        if id_ is None:
            raise Refused("STATE_CONFLICT", reason=phrase("filter.full", most=MOST_LISTS))
        await unit.connection.execute(_ADD_ROWS, id_, some)
        params = {"filter": id_, "vendor": False, "sheet": sheet.id if sheet else None, "column": column}
        await _enter(unit.connection, unit.actor.label, id_, params, node=sheet.node if sheet else None)
        after = {"name": name, "account": account_id, "numbers": sheet.rows if sheet else len(given)}
        unit.record("filter.begin", f"filter/{id_}", after=after)
    return id_


async def ask(change: Change, id_: int, most: int) -> int:
    """Ask the provider about what nobody here knows of a list: at most so many numbers, which is what somebody has
    agreed to pay at the price of now; the job. ``STATE_CONFLICT``: there is no provider, or nothing to ask, or it is
    being looked at."""
    async with change.unit(Permission.CONTACT_EDIT) as unit:
        found = await one(unit.connection, id_, accounts=unit.actor.scope.whole)
        if found is None:
            raise Refused("NOT_FOUND")
        offered = await vendors.offer(unit.connection)
        if offered is None or most < 1:
            raise Refused("STATE_CONFLICT", reason=phrase("vendor.none"))
        params = {"filter": id_, "vendor": True, "most": most, "price": offered.price}
        job = await _enter(unit.connection, unit.actor.label, id_, params)
        after = {"numbers": most, "price": offered.price * most / 1000}
        unit.record("filter.ask", f"filter/{id_}", after=after)
    return job


# A list whose first job was cancelled or has failed has numbers that nobody has looked at, or has not got them yet.
_UNSETTLED = """
SELECT f.id, f.filled, j.params->>'sheet' AS sheet, j.params->>'column' AS column
FROM number_filter f LEFT JOIN job j ON j.id = f.job_id
WHERE f.id = ANY($1::bigint[]) AND COALESCE(j.state, '') NOT IN ('waiting', 'running')
  AND (NOT f.filled OR EXISTS (SELECT FROM number_filter_row r WHERE r.filter_id = f.id AND r.state = ''))
"""


async def unsettled(database: Database | Connection, ids: Sequence[int]) -> Mapping[int, Row]:
    """Those of these lists that nobody looks at, although they have not been looked at to the end."""
    return {row["id"]: row for row in await database.fetch(_UNSETTLED, list(ids), timeout=30)}


async def look_again(change: Change, id_: int) -> int:
    """Have a list looked at whose first job was cancelled or has failed: the same is done again; the job.
    ``STATE_CONFLICT``: it is settled, or being looked at, or its table is gone."""
    async with change.unit(Permission.CONTACT_EDIT, timeout=30) as unit:
        found = await one(unit.connection, id_, accounts=unit.actor.scope.whole)
        if found is None:
            raise Refused("NOT_FOUND")
        row = (await unsettled(unit.connection, [id_])).get(id_)
        if row is None:
            raise Refused("STATE_CONFLICT", reason=phrase("filter.settled"))
        sheet = None
        if not row["filled"]:
            sheet = await sheets.get(unit.connection, int(row["sheet"] or 0), NAME, found.created_by)
            if sheet is None:
                raise Refused("STATE_CONFLICT", reason=phrase("file.gone"))
        column, id_of = int(row["column"] or 0), sheet.id if sheet else None
        params: dict[str, object] = {"filter": id_, "vendor": False, "sheet": id_of, "column": column}
        # A table is its owner's: so is the job that reads it.
        by, node = (found.created_by, sheet.node) if sheet else (unit.actor.label, None)
        job = await _enter(unit.connection, by, id_, params, node=node)
        unit.record("filter.look", f"filter/{id_}", before={"state": found.job_state}, after={"job": str(job)})
    return job


async def _enter(
    connection: Connection, submitter: ActorLabel, id_: int, params: Mapping[str, object], *, node: int | None = None
) -> int:
    wanted = NewJob(NAME, params, submitter, subject=f"filter/{id_}", node=node, lasts=LASTS)
    job = await jobs.add(connection, wanted)
    if job is None:
        raise Refused("STATE_CONFLICT", reason=phrase("import.under_way"))
    await connection.execute(_SET_JOB, id_, job)
    return job


async def remove(change: Change, id_: int) -> None:
    """Forget a list; what was learned of its numbers stays. ``NOT_FOUND``."""
    async with change.unit(Permission.CONTACT_EDIT) as unit:
        found = await one(unit.connection, id_, accounts=unit.actor.scope.whole)
        if found is None:
            raise Refused("NOT_FOUND")
        await unit.connection.execute("DELETE FROM number_filter WHERE id = $1", id_)
        unit.record("filter.remove", f"filter/{id_}", before={"name": found.name, "numbers": found.total})


_SET_VENDOR = """
INSERT INTO number_vendor (url, app_id, secret_sealed, md5, price, changed_by) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (single) DO UPDATE SET url = excluded.url, app_id = excluded.app_id, secret_sealed = excluded.secret_sealed,
    md5 = excluded.md5, price = excluded.price, changed_by = excluded.changed_by, changed_at = now()
"""


MOST_URL = 2000


def _check_url(url: str) -> None:
    """Its form; where it leads is judged whenever it is called. ``PARAM_INVALID``."""

    def wrong(reason: Wording) -> Invalid:
        return Invalid("PARAM_INVALID", field="url", reason=reason)

    if not url.isascii() or not url.isprintable() or " " in url or len(url) > MOST_URL:
        raise wrong(phrase("url.ascii"))
    try:
        parts = urlsplit(url)
        there = bool(parts.hostname) and parts.port != 0
    except ValueError:
        there = False
    if not there:
        raise wrong(phrase("url.none"))
    if parts.scheme not in ("https", "http"):
        raise wrong(phrase("url.http_or_https"))
    if "@" in parts.netloc or parts.fragment:  # names and passwords would stand in the audit log
        raise wrong(phrase("url.bare"))


def _told(one: vendors.Vendor | vendors.Offer) -> dict[str, object]:
    """What the audit log says of a provider."""
    return {"url": one.url, "app_id": one.app_id, "md5": one.md5, "price": one.price / 1000}


async def set_vendor(change: Change, wanted: vendors.Vendor, sealer: Sealer) -> None:
    """Say who is asked; an empty secret keeps the one there is. ``PARAM_INVALID``."""
    _check_url(wanted.url)
    async with change.unit(Permission.SETTING_EDIT) as unit:
        before = await vendors.offer(unit.connection)
        sealed = sealer.seal(wanted.secret, vendors.CONTEXT) if wanted.secret else None
        if sealed is None:
            sealed = await unit.connection.fetchval("SELECT secret_sealed FROM number_vendor")
        if sealed is None:
            raise Invalid("PARAM_MISSING", field="secret")
        values = (wanted.url, wanted.app_id, sealed, wanted.md5, wanted.price, unit.actor.label)
        await unit.connection.execute(_SET_VENDOR, *values)
        was = None if before is None else _told(before)
        after = {**_told(wanted), "secret": bool(wanted.secret)}
        unit.record("filter.vendor", "filter/vendor", before=was, after=after)


# --- the job ---------------------------------------------------------------------------------------------------------

_FILLED = "UPDATE number_filter SET filled = true, invalid = $2, duplicates = $3 WHERE id = $1"
_KNOWN = """
UPDATE number_filter_row r SET state = s.state, source = s.source, at = s.at FROM number_status s
WHERE r.filter_id = $1 AND r.state = '' AND s.number = r.number AND s.removed_at IS NULL
  AND s.at > now() - make_interval(days => $2)
"""
_REST = "UPDATE number_filter_row SET state = 'unknown' WHERE filter_id = $1 AND state = ''"
_NEXT = """
SELECT number::text FROM number_filter_row
WHERE filter_id = $1 AND state = 'unknown' AND source = '' AND number BETWEEN 8610000000000 AND 8619999999999
ORDER BY number LIMIT $2
"""
_TOLD = """
UPDATE number_filter_row r SET state = d.state, source = 'vendor', at = $4
FROM unnest($2::bigint[], $3::text[]) AS d(number, state) WHERE r.filter_id = $1 AND r.number = d.number
"""
_NEWEST_TOLD = """
SELECT number::text, state, at FROM number_filter_row
WHERE filter_id = $1 AND source = 'vendor'
  AND at = (SELECT max(at) FROM number_filter_row WHERE filter_id = $1 AND source = 'vendor')
"""
_PAID = "UPDATE number_filter SET asked = asked + $2, cost = cost + $3 WHERE id = $1"
_ASKABLE = """
SELECT count(*) FROM number_filter_row
WHERE filter_id = $1 AND state = 'unknown' AND source = '' AND number BETWEEN 8610000000000 AND 8619999999999
"""


async def askable(database: Database, id_: int) -> int:
    """Numbers of a list that the provider can be asked about."""
    count: int = await database.fetchval(_ASKABLE, id_, timeout=30)
    return count


async def settle(database: Database, id_: int, days: int) -> None:
    """Take over what is known here of a list's numbers, and is not older than so many days; the rest is unknown."""
    async with database.transaction(timeout=120) as connection:
        await connection.execute(_KNOWN, id_, days)
        await connection.execute(_REST, id_)


class NumberFilterer:
    """Looks at lists on one node."""

    def __init__(self, database: Database, sheets: Sheets, sealer: Sealer, outside: vendors.Outside) -> None:
        self._database = database
        self._outside = outside
        self._sheets = sheets
        self._sealer = sealer

    def kind(self) -> JobKind:
        """The kind of its jobs."""
        return JobKind(NAME, self._run, per_owner=1, at_once=2, places=LONG, patience=PATIENCE)

    async def _run(self, context: JobContext) -> None:
        params, id_ = context.job.params, int(context.job.params["filter"])
        if params["vendor"]:
            await self._ask(context, id_, int(params["most"]), int(params["price"]))
            return
        if params["sheet"] is not None:
            await self._fill(context.job, id_)
        await settle(self._database, id_, (await settings.load(self._database)).number_status_days)
        found = await one(self._database, id_, accounts=None)
        total = found.total if found else 0
        await context.progress(total, total, checkpoint={})

    async def _fill(self, job: Job, id_: int) -> None:
        if await self._database.fetchval("SELECT filled FROM number_filter WHERE id = $1", id_):
            return
        sheet = await self._sheets.get(int(job.params["sheet"]), NAME, job.submitter)
        seen, invalid, duplicates = set[int](), 0, 0
        for _, (cell,) in await self._sheets.rows(sheet, [int(job.params["column"])]):
            try:
                number = int(numbers.normalize(cell.strip()))
            except numbers.InvalidNumber:
                invalid += 1
                continue
            duplicates += number in seen
            seen.add(number)
        async with self._database.transaction(timeout=120) as connection:
            await connection.execute(_ADD_ROWS, id_, sorted(seen))
            await connection.execute(_FILLED, id_, invalid, duplicates)

    async def _ask(self, context: JobContext, id_: int, most: int, price: int) -> None:
        vendor = await vendors.load(self._database, self._sealer)
        if vendor is None:
            raise Refused("STATE_CONFLICT", reason=phrase("vendor.none"))
        done, learned = (int(context.job.checkpoint.get(key, 0)) for key in ("asked", "learned"))
        if learned < done:  # a run was cut off in between
            told = await self._database.fetch(_NEWEST_TOLD, id_, timeout=30)
            if told:
                await self._learn(context, {r["number"]: r["state"] for r in told}, told[0]["at"], done, most)
        async with vendors.Asking(vendor, self._outside) as asking:
            while done < most:
                limit = min(vendors.MOST, most - done)
                some = [r["number"] for r in await self._database.fetch(_NEXT, id_, limit)]
                if not some:
                    break
                found = await asking.ask(some, vendors.nonce_of(vendor, context.job.id, some[0]))
                said, now = {number: found.get(number, UNKNOWN) for number in some}, clock.now()
                # First, and by itself, what was answered and paid: nothing that follows may have it asked again.
                async with self._database.transaction(timeout=30) as connection:
                    await connection.execute(_TOLD, id_, [int(n) for n in said], list(said.values()), now)
                    await connection.execute(_PAID, id_, len(some), len(some) * price)
                    checkpoint = {"asked": done + len(some), "learned": done}
                    await context.progress(done + len(some), most, checkpoint=checkpoint, connection=connection)
                done += len(some)
                await self._learn(context, said, now, done, most)
                await context.progress(done, most)
                await asyncio.sleep(vendors.PAUSE)
        await context.progress(done, done, checkpoint={"asked": done, "learned": done})

    async def _learn(self, context: JobContext, said: Mapping[str, str], at: datetime, done: int, most: int) -> None:
        """Everybody is to know what was told of numbers at a time."""
        known = {n: NumberState(state) for n, state in said.items() if state not in (vendors.ABSENT, UNKNOWN)}
        async with self._database.transaction(timeout=30) as connection:
            await number_status.put(connection, known, at, code="vendor")
            checkpoint = {"asked": done, "learned": done}
            await context.progress(done, most, checkpoint=checkpoint, connection=connection)
