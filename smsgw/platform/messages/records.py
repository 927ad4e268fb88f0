"""The list of what was sent (发送记录): found by what a message, or one of its parts, has."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from smsgw.core import states
from smsgw.core.actor import Actor, ActorLabel
from smsgw.core.ids import EPOCH_MS, day_of, day_range, first_id, stretch, time_of
from smsgw.core.pseudonyms import GONE, PREFIX
from smsgw.core.states import PartState
from smsgw.platform.messages import codes
from smsgw.platform.messages.model import MessageView
from smsgw.platform.messages.queries import (
    CARRIED,
    CLICK_AGENT,
    CLICKED_AT,
    CLICKS,
    LABEL,
    LAST_CLICK,
    SELECT,
    SUBJECT,
    states_of,
    views,
)
from smsgw.platform.paging import MOST, Order, Slice, Window, slice_of
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.states import by_name
from smsgw.store.messages import message_links
from smsgw.store.messages.checking import OPEN, OUT
from smsgw.store.messages.inbound import STORED_WITHIN
from smsgw.store.messages.success import BARE_CODE, FAILED, day_at, left_out_as, rules_on
from smsgw.store.records import pseudonyms


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for; None: anything."""

    from_time: datetime
    to_time: datetime
    message: int | None = None
    batch: int | None = None
    account: int | None = None
    phone: str | None = None
    """E.164 digits."""
    tail: str | None = None
    """The last four digits of the number: to be asked of few days."""
    department: int | None = None
    """Whose members have sent it, or whose account has, by a key."""
    template: int | None = None
    type: str | None = None
    """A type without the operator's kinds of it, or one of those: as the statistics count."""
    sign: str | None = None
    carrier: str | None = None
    province: str | None = None
    """What it begins with."""
    origin: str | None = None
    submitter: ActorLabel | None = None
    client_ref: str | None = None
    extension: str | None = None
    test: str | None = None
    """``true`` or ``false``: whether a test key has sent it."""
    result: str | None = None
    """One of ``RESULTS``: how the whole message has ended, as the statistics count it."""
    status: str | None = None
    """That of one part at least, as the following."""
    channel: int | None = None
    reason: str | None = None
    """Class of the failure."""
    code: str | None = None
    task: int | None = None
    run: int | None = None
    """Of the task's times that it has come round, which; without a task nothing is found."""
    hop: str | None = None
    """How it came to be sent: ``0`` as a first message, else by so many hops of its chain."""
    ended_at: int | None = None
    """Channel of its first part, as the statistics count it; 0: it came to none."""
    stage: str | None = None
    """One of ``STAGES``: where it stands in the account of its day."""
    left_out: str | None = None
    """The category as which it does not count against its channel; ``ANY_CATEGORY``: any. It has failed as a whole."""
    replied: str | None = None
    """``true`` or ``false``: whether the phone has answered it."""
    clicked: str | None = None
    """``true`` or ``false``: whether a person has clicked the personal link in it; those without one are neither."""
    link: int | None = None
    """The short link in it."""
    content: str | None = None
    """A word of the text, at least ``LEAST_WORD`` characters."""


RESULTS: dict[str, frozenset[str]] = {
    "delivered": frozenset({"delivered"}),
    "failed": frozenset({"failed"}),
    "unknown": frozenset({"unconfirmed", "no_report"}),
    "unsent": frozenset({"rejected", "expired", "cancelled", "duplicate"}),
}
"""How messages end, in short: statuses of each; what is in none of them is on its way."""
PENDING = "pending"
UNSAID = "NONE"
"""In the place of a reason: none was given."""
STAGES = ("submitted", "refused", "held")
"""Given to a carrier, ended before that, or waiting for it."""
ANY_CATEGORY = "any"
LEAST_WORD = 2


class Sums(NamedTuple):
    """Of all that is found; of the newest, when there are more than were asked for."""

    messages: int
    parts: int
    price: int


ORDERS = {"time": Order("x.id", "bigint")}
DAYS_AT_ONCE = 31
"""Days of one statement."""
PATIENCE = 20.0
"""Seconds for all of a search."""
_MESSAGE = {
    "message": "x.id = {}::bigint", "batch": "x.batch_id = {}::bigint", "account": "x.account_id = {}::bigint",
    "phone": "x.number = ANY({}::text[])",
    "tail": f"(right(x.number, 4) = {{}} AND NOT starts_with(x.number, '{PREFIX}'))",
    "template": "x.template_id = {}::bigint AND x.template_id > 0",
    "type": "(x.type = {0} AND x.kind = '' OR x.kind = {0} AND x.kind <> '')",
    "sign": "x.sign = {}", "carrier": "x.carrier = {}",
    "province": "starts_with(x.province, {})", "origin": "x.origin = {}", "submitter": "x.submitter = {}",
    "client_ref": "(x.client_ref = {0} AND x.client_ref <> '')",
    "extension": "(x.extend_code = {0} AND x.extend_code <> '')", "test": "x.test = {}::text::bool",
}  # fmt: skip
_TASK = """
(EXISTS (SELECT FROM task_chunk k
         WHERE k.task_id = {0}::bigint AND x.id >= k.base_id AND x.id < k.base_id + k.size OF_RUN)
 OR x.id IN (SELECT h.again_id FROM message_resend h WHERE h.task_id = {0}::bigint AND h.hop > 0 OF_RUN))
"""
# The index of a day that is over knows pairs of characters; the other days are read, newest first.
_CONTENT = "text_pairs(x.content) @> text_pairs({0}) AND strpos(x.content, {0}) > 0 AND " + codes.searchable_sql(
    "x", "{0}"
)
# Said in constants beside the rest, so that the index of the few that did not arrive, or not yet, is known to fit.
_ENDED, _OPEN = by_name("s.state > :DELIVERED"), by_name("s.state < :DELIVERED")
_NOT_ARRIVED = frozenset(state for state in PartState if state > PartState.DELIVERED)
_NOT_ENDED = frozenset(state for state in PartState if state < PartState.DELIVERED)
_PART = {"channel": "s.channel_id = {}::int", "reason": "s.class = {} AND s.class <> ''", "code": "s.code = {}"}
_STAGE = {
    "submitted": f"{{has}} {OUT})",
    "held": f"{{has}} {OPEN}) AND NOT {{has}} {OUT})",
    "refused": f"{{has}} {_ENDED} AND NOT {OPEN} AND NOT {OUT}) AND NOT {{has}} ({OPEN} OR {OUT}))",
}
_HAS = "EXISTS (SELECT FROM part s WHERE s.id = x.id AND s.id >= {low} AND s.id < {high} AND %s)"
# An answer is younger than what it answers, and so much at most; of a day they are few, and read once for all of its
# messages.
_REPLIED = """
x.id %s (SELECT r.in_reply_to FROM mo r WHERE r.id >= {low} AND r.id < {high}::bigint + %s
         AND r.in_reply_to >= {low} AND r.in_reply_to < {high})
"""
_REPLIES_SINCE = """
SELECT COALESCE(min(to_date(right(c.relname, 8), 'YYYYMMDD')), '2024-01-01')
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'mo'::regclass AND right(c.relname, 8) <> '99991231'
"""
# Of a day few were sent again, and all of them at once are soon known.
_HOP = """
x.id %s (SELECT h.again_id FROM message_resend h WHERE h.again_id >= {low} AND h.again_id < {high} AND h.hop %s)
"""
# Of a day those with a link are known by their messages; few of them are clicked, and have an index of their own.
_OF_LINK = "x.id IN (SELECT k.id FROM message_link k WHERE k.id >= {low} AND k.id < {high} AND %s)"
# First what may be left out, by indexes of what failures have; then all parts of each, for it may count all the same.
_AT_DAY = day_at("{low}::bigint")
_IS_LEFT_OUT = f"""
x.id IN (
    SELECT s.id FROM part s WHERE s.id >= {{low}} AND s.id < {{high}} AND s.class <> ''
        AND s.class = ANY({rules_on(_AT_DAY, "class", also="{only}")})
    UNION ALL
    SELECT s.id FROM part s WHERE s.id >= {{low}} AND s.id < {{high}} AND s.code NOT IN ('', 'DELIVRD')
        AND {BARE_CODE} = ANY({rules_on(_AT_DAY, "code", also="{only}")})
        AND cardinality({rules_on(_AT_DAY, "code", also="{only}")}) > 0)
AND (SELECT {left_out_as(_AT_DAY)} FROM part s WHERE s.id = x.id AND s.id >= {{low}} AND s.id < {{high}}
     HAVING bool_or({FAILED}) AND NOT bool_or({_OPEN} OR {by_name("s.state = :UNCONFIRMED")})) {{which}}
"""  # noqa: S608 - constants
RANKS = [int(state) for state in sorted(states.RANK, key=states.RANK.__getitem__)]
"""States of parts: the first of them says what the message is."""
# The part that says what the message is: of the first state in the order of ranks.
_RESULT = """
(SELECT s.state * 2 + s.by_us::int FROM part s WHERE s.id = x.id AND s.id >= {{low}} AND s.id < {{high}}
 ORDER BY array_position({ranks}::smallint[], s.state), s.part LIMIT 1) = ANY({codes}::int[])
"""
# Day by day, the nearest first: an Append asks them in turn and stops when there is enough, and each day is planned
# by what there is on it. Over all days at once the planner takes what is rare for what it would meet soon.
_DAY = "(SELECT {what} FROM message x WHERE {found} ORDER BY x.id {way} LIMIT {limit})"
_DAYS = "SELECT * FROM ({days}) u LIMIT {limit}"
_LISTED = SELECT.format(also=f", {SUBJECT} AS subject, {LABEL} AS label", page="{page}", way="{way}")
_CUSTOM = "SET LOCAL plan_cache_mode = force_custom_plan"
_OF_TASK = """
SELECT min(base_id), greatest(max(base_id + size), (
    SELECT max(again_id) + 1 FROM message_resend WHERE task_id = $1 AND ($2::bigint IS NULL OR run = $2)))
FROM task_chunk WHERE task_id = $1 AND ($2::bigint IS NULL OR run = $2)
"""
# Of a person their department's; of a key or a partner that of the account: its own, or that of the nearest above it.
_OF_DEPARTMENT = """
WITH RECURSIVE home(id, department_id) AS (
    SELECT id, department_id FROM account WHERE parent_id IS NULL
    UNION ALL
    SELECT a.id, COALESCE(a.department_id, h.department_id) FROM account a JOIN home h ON a.parent_id = h.id
)
SELECT ARRAY(SELECT login FROM staff WHERE department_id = $1) AS logins,
       ARRAY(SELECT id FROM home WHERE department_id = $1) AS accounts
"""
_DEPARTMENT = """
(x.submitter = ANY({}::text[]) OR x.account_id = ANY({}::bigint[])
 AND NOT EXISTS (SELECT FROM staff w WHERE w.login = x.submitter AND w.department_id IS NOT NULL))
"""


class _Known(NamedTuple):
    """What was looked up for a search."""

    of_task: tuple[int, int] | None = None
    """Between which ids the task's messages are."""
    of_department: tuple[Sequence[str], Sequence[int]] | None = None
    """Logins of its people, and its accounts."""
    replies_since: int = 0
    """From which id on the answers are kept: of what is older nobody can say whether it was answered."""
    of_number: Sequence[str] | None = None
    """What the number is stored as."""


async def _known(database: Database, connection: Connection, wanted: Wanted) -> _Known | None:
    """None: there is nothing to find."""
    of_task = of_department = None
    if wanted.run is not None and wanted.task is None:
        return None
    if wanted.task is not None:
        row = await connection.fetchrow(_OF_TASK, wanted.task, wanted.run)
        if row is None or row[0] is None:
            return None
        of_task = (int(row[0]), int(row[1]))
    if wanted.department is not None:
        row = await connection.fetchrow(_OF_DEPARTMENT, wanted.department)
        if row is None or not (row["logins"] or row["accounts"]):
            return None
        of_department = (row["logins"], row["accounts"])
    since = 0 if wanted.replied is None else day_range(await connection.fetchval(_REPLIES_SINCE))[0]
    return _Known(of_task, of_department, since, await pseudonyms.spellings(database, wanted.phone, connection))


@dataclass(frozen=True, slots=True)
class _Search:
    """What is looked for, as conditions; the bounds of a day stand in them as ``{low}`` and ``{high}``."""

    found: str
    arguments: Sequence[object]
    low: int
    high: int

    def days(self, descending: bool) -> list[tuple[int, int]]:
        """Its stretch, day by day, the nearest first."""
        if self.low >= self.high:
            return []
        day, last = day_of(self.low), day_of(self.high - 1)
        days = [day + timedelta(days=n) for n in range((last - day).days + 1)]
        bounds = [(max(self.low, low), min(self.high, high)) for low, high in map(day_range, days)]
        return bounds[::-1] if descending else bounds


def _search(actor: Actor, wanted: Wanted, window: Window, known: _Known) -> _Search:
    """The condition for what is wanted, in constant texts, and its parameters."""
    low, high = max(first_id(wanted.from_time), 0), max(first_id(wanted.to_time), 0)
    if wanted.batch is not None:  # a call's ids are made in one go: they lie within moments of the first
        low, high = max(low, wanted.batch), min(high, first_id(time_of(wanted.batch) + timedelta(seconds=10)))
    if wanted.message is not None:
        low, high = max(low, wanted.message), min(high, wanted.message + 1)
    if known.of_task is not None:
        low, high = max(low, known.of_task[0]), min(high, known.of_task[1])
    low = max(low, known.replies_since)
    if window.after is not None:
        down, after = window.descending != window.backwards, window.after[1]
        low, high = (low, min(high, after)) if down else (max(low, after + 1), high)
    accounts, submitter = actor.scope.narrowed
    arguments: list[object] = [accounts]

    def put(value: object, text: str) -> str:
        arguments.append(value)
        return text.format(f"${len(arguments)}")

    said = ["x.id >= {low} AND x.id < {high} AND ($1::bigint[] IS NULL OR x.account_id = ANY($1))"]
    values = {name: getattr(wanted, name) for name in (*_MESSAGE, *_PART)} | {"phone": known.of_number}
    if submitter is not None:
        said.append(put(submitter, _MESSAGE["submitter"]))
    said += [put(values[name], text) for name, text in _MESSAGE.items() if values[name] is not None]
    if wanted.task is not None:
        of_run = "" if wanted.run is None else put(wanted.run, " AND run = {}::bigint")
        said.append(put(wanted.task, _TASK).replace("OF_RUN", of_run))
    if known.of_department is not None:
        arguments += known.of_department
        said.append(_DEPARTMENT.format(f"${len(arguments) - 1}", f"${len(arguments)}"))
    if wanted.content is not None:
        said.append(put(wanted.content, _CONTENT))
    if wanted.result is not None:
        codes = _codes(wanted.result)
        arguments.append(RANKS)
        arguments.append(codes)
        said.append(_RESULT.format(ranks=f"${len(arguments) - 1}", codes=f"${len(arguments)}"))
        numbers = sorted({code // 2 for code in codes})
        if few := _few(numbers):  # one of its parts is what makes it end so: told before the rank of all is asked
            said.append(_HAS % " AND ".join([put(numbers, "s.state = ANY({}::smallint[])"), *few]))
    if wanted.ended_at is not None:
        said.append(_HAS % put(wanted.ended_at, "s.part = 1 AND COALESCE(s.channel_id, 0) = {}::int"))
    if wanted.stage is not None:
        said.append(_STAGE[wanted.stage].format(has=_HAS.partition("%s")[0]))
    if wanted.replied is not None:
        said.append(_REPLIED % ("IN" if wanted.replied == "true" else "NOT IN", stretch(STORED_WITHIN)))
    if wanted.clicked is not None:
        said.append(_OF_LINK % ("k.clicked" if wanted.clicked == "true" else "NOT k.clicked"))
    if wanted.link is not None:
        said.append(_OF_LINK % put(wanted.link, "k.link_id = {}::bigint"))
    if wanted.left_out is not None:
        which = "IS NOT NULL" if wanted.left_out == ANY_CATEGORY else put(wanted.left_out, "= {}")
        only = "" if wanted.left_out == ANY_CATEGORY else f" AND category {which}"
        said.append(_IS_LEFT_OUT.format(low="{low}", high="{high}", which=which, only=only))
    if wanted.hop is not None:
        how = ("NOT IN", "> 0") if wanted.hop == "0" else ("IN", put(wanted.hop, "= {}::text::smallint"))
        said.append(_HOP % how)
    of_part = ["s.class = ''"] if values["reason"] == UNSAID else []
    values["reason"] = None if values["reason"] == UNSAID else values["reason"]
    of_part += [put(values[name], text) for name, text in _PART.items() if values[name] is not None]
    if wanted.status is not None:
        numbers, by_us = states_of(wanted.status)
        of_part += [put(numbers, "s.state = ANY({}::smallint[])"), *_few(numbers)]
        if by_us is not None:
            of_part.append(put(by_us, "s.by_us = {}::bool"))
    if of_part:
        said.append(_HAS % " AND ".join(of_part))
    return _Search(" AND ".join(said), arguments, low, high)


class _Shape(NamedTuple):
    """What is read of the messages, of how many, and what is made of them."""

    what: str
    limit: int
    outer: str = "{page}"


async def _rows(database: Database, actor: Actor, wanted: Wanted, window: Window, shape: _Shape) -> list[Row]:
    """The nearest rows, from as many days as it takes."""
    async with database.transaction(timeout=PATIENCE) as connection:
        await connection.execute(_CUSTOM)
        known = await _known(database, connection, wanted)
        if known is None:
            return []
        search, found = _search(actor, wanted, window, known), list[Row]()
        down = window.descending != window.backwards
        days = search.days(down)
        while days and len(found) < shape.limit:
            some, days = days[:DAYS_AT_ONCE], days[DAYS_AT_ONCE:]
            statement, arguments = _statement(search, some, shape, down)
            found += await connection.fetch(statement, *arguments, timeout=PATIENCE)
        return found[: shape.limit]


def _statement(search: _Search, days: Sequence[tuple[int, int]], shape: _Shape, down: bool) -> tuple[str, list[object]]:
    arguments, each = list(search.arguments), list[str]()
    for bounds in days:
        arguments += bounds
        at = {"low": f"${len(arguments) - 1}", "high": f"${len(arguments)}"}
        each.append(
            _DAY.format(
                what=shape.what, found=search.found.format(**at), way="DESC" if down else "ASC", limit=shape.limit
            )
        )
    return shape.outer.format(page=_DAYS.format(days=" UNION ALL ".join(each), limit=shape.limit)), arguments


def _codes(result: str) -> list[int]:
    """State and whether it was our refusal, as one number, of the parts that make a message end so."""
    statuses = RESULTS.get(result)
    ended = frozenset().union(*RESULTS.values())
    return [
        int(state) * 2 + by_us
        for state in PartState
        for by_us in (False, True)
        if (status := states.status_of(state, by_us)) in (statuses or ()) or (result == PENDING and status not in ended)
    ]


async def search(database: Database, actor: Actor, wanted: Wanted, window: Window) -> Slice[MessageView]:
    """Messages in the scope, a window of them."""
    limit = max(1, min(window.limit, MOST))
    way = "DESC" if window.descending != window.backwards else "ASC"
    shape = _Shape("x.*, x.id::text AS _key", limit + 1, _LISTED.format(page="{page}", way=way))
    got = slice_of(await _rows(database, actor, wanted, window, shape), window, limit)
    links = await message_links.carried(database, [row["id"] for row in got.rows])
    found = [replace(one, **links[one.id]) if one.id in links else one for one in await views(got.rows)]
    return Slice(found, got.keys, got.more)


async def sums(database: Database, actor: Actor, wanted: Wanted, most: int) -> Sums:
    """How many there are, and what they come to; at most ``most`` are looked at."""
    rows = await _rows(database, actor, wanted, Window(), _Shape("x.parts, x.price", int(most)))
    return Sums(len(rows), sum(row["parts"] for row in rows), sum(row["price"] for row in rows))


def _few(found: Iterable[int]) -> list[str]:
    """What the parts have if an index holds those alone."""
    found = set(found)
    return [_ENDED] if found <= _NOT_ARRIVED else [_OPEN] if found <= _NOT_ENDED else []


# --- taken away ------------------------------------------------------------------------------------------------------

_AT = "to_char({} AT TIME ZONE 'Asia/Shanghai', 'YYYY-MM-DD HH24:MI:SS')"
_STATUS = (
    "CASE w.state * 2 + w.by_us::int "
    + " ".join(
        f"WHEN {int(state) * 2 + by_us} THEN '{states.status_of(state, by_us)}'"
        for state in PartState
        for by_us in (False, True)
    )
    + " END"
)
FIELDS: Mapping[str, str] = {
    "time": _AT.format(f"to_timestamp(((m.id >> 22) + {EPOCH_MS}) / 1000)"), "account": "COALESCE(a.name, '@probe')",
    "number": f"CASE WHEN starts_with(m.number, '{GONE}') THEN '{GONE}' ELSE m.number END",
    "carrier": "m.carrier", "province": "m.province",
    "type": f"COALESCE(NULLIF({LABEL}, ''), m.type) || CASE WHEN m.test THEN ',test' ELSE '' END", "sign": "m.sign",
    "content": codes.without_sql("m"),
    "parts": "m.parts", "price": "m.price", "channel": "COALESCE(c.name, '')", "status": _STATUS,
    "reason": f"{_STATUS} || '|' || w.class || '|' || w.code", "code": "w.code", "origin": "m.origin",
    "submitter": "m.submitter", "submitted_at": f"COALESCE({_AT.format('p.submitted_at')}, '')",
    "done_at": by_name(f"CASE WHEN w.state >= :DELIVERED THEN COALESCE({_AT.format('p.done_at')}, '') ELSE '' END"),
    "clicked": f"CASE WHEN {CLICKS} IS NULL THEN '' WHEN {CLICKS} > 0 THEN 'true' ELSE 'false' END",
    "clicks": f"COALESCE({CLICKS}::text, '')", "clicked_at": f"COALESCE({_AT.format(CLICKED_AT)}, '')",
    "last_click": f"COALESCE({_AT.format(LAST_CLICK)}, '')", "click_device": CLICK_AGENT,
    "link_name": f"COALESCE({CARRIED.format('name')}, '')", "link_target": f"COALESCE({CARRIED.format('target')}, '')",
    "client_ref": "m.client_ref", "subject": SUBJECT, "id": "m.id", "batch_id": "m.batch_id",
}  # fmt: skip
"""Columns of the list as the server writes them; ``w`` is the part that says what the message is."""
_COUNT_DAY = "SELECT count(*) FROM message x WHERE {found}"
_COPY_DAY = """
SELECT {fields}
FROM (SELECT x.* FROM message x WHERE {found} ORDER BY x.id {way}) m
LEFT JOIN account a ON a.id = m.account_id
CROSS JOIN LATERAL (
    SELECT min(array_position({ranks}, s.state) * 1000 + s.part) AS worst, max(s.channel_id) AS channel_id,
           max(COALESCE(s.answered_at, s.claimed_at)) AS submitted_at, max(s.final_at) AS done_at
    FROM part s WHERE s.id = m.id AND s.id >= {low} AND s.id < {high}
) p
JOIN part w ON w.id = m.id AND w.part = p.worst % 1000 AND w.id >= {low} AND w.id < {high}
LEFT JOIN channel c ON c.id = p.channel_id
ORDER BY m.id {way}
"""
_RANKS = f"ARRAY{[int(state) for state in sorted(states.RANK, key=states.RANK.__getitem__)]}::smallint[]"
DAY_PATIENCE = 1200.0
"""Seconds for one day's rows."""


async def days(database: Database, actor: Actor, wanted: Wanted) -> list[tuple[date, int]]:
    """The days of what is wanted that have any, with how many messages they have."""
    made = []
    async with database.acquire(timeout=DAY_PATIENCE) as connection:
        search = await _searched(database, connection, actor, wanted)
        if search is None:
            return []
        for low, high in search.days(descending=False):
            found, arguments = _within(search, low, high)
            n = await connection.fetchval(_COUNT_DAY.format(found=found), *arguments, timeout=DAY_PATIENCE)
            if n:
                made.append((day_of(low), n))
    return made


async def copy(
    database: Database, actor: Actor, wanted: Wanted, day: date, fields: Sequence[str],
    sink: Callable[[bytes], Coroutine[Any, Any, None]], *, descending: bool,
) -> None:  # fmt: skip
    """Copy these ``FIELDS`` of a day's messages as text."""
    async with database.acquire(timeout=DAY_PATIENCE) as connection:
        search = await _searched(database, connection, actor, wanted)
        bounds = day_range(day)
        if search is None:
            return
        low, high = max(search.low, bounds[0]), min(search.high, bounds[1])
        found, arguments = _within(search, low, high)
        statement = _COPY_DAY.format(
            fields=", ".join(FIELDS[name] for name in fields), found=found, way="DESC" if descending else "ASC",
            low=int(low), high=int(high), ranks=_RANKS,
        )  # fmt: skip
        await connection.copy_from_query(statement, *arguments, output=sink, format="text", timeout=DAY_PATIENCE)


async def _searched(database: Database, connection: Connection, actor: Actor, wanted: Wanted) -> _Search | None:
    known = await _known(database, connection, wanted)
    return None if known is None else _search(actor, wanted, Window(), known)


def _within(search: _Search, low: int, high: int) -> tuple[str, list[object]]:
    n = len(search.arguments)
    return search.found.format(low=f"${n + 1}", high=f"${n + 2}"), [*search.arguments, low, high]
