"""Segments (按效果筛选): numbers by what has come of an account's messages, found anew whenever they are used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from smsgw.core.errors import Temporary
from smsgw.core.ids import first_id
from smsgw.core.report_codes import DEAD
from smsgw.platform.audience.model import Segment, SegmentKind
from smsgw.runtime import clock
from smsgw.runtime.fair_queue import FairQueue
from smsgw.store.engine.database import Connection, Database, Row
from smsgw.store.engine.states import by_name

PAGE = 5000
PATIENCE = 120.0
"""Seconds for one: of an account that has sent much it is a walk over weeks of messages."""
AT_ONCE, WAITS = 2, 5.0
"""That calls and pages find on this node, one of an account; for how many seconds another waits for its turn."""

_turns = FairQueue(AT_ONCE, 1, patience=WAITS, own_waiting=4)

_ONE_AT_A_TIME = "SELECT pg_try_advisory_xact_lock(1936025447, ($1::bigint % 2147483647)::int)"  # "segm"

_CUSTOM = "SET LOCAL plan_cache_mode = force_custom_plan"
"""What is asked for differs: of all of an account, of a task, of a link."""

# $1 account, $2 the first id of the time, $3 submitter (NULL: anybody), $4 task, $5 short link (NULL: any), $6 messages
# (NULL: all). What stands before OFFSET 0 is looked up row by row, or chunk by chunk of a task: whatever is believed of
# the sizes of tables, no other messages of the days are read.
_SENT = """
m.account_id = $1 AND m.id >= $2 AND NOT m.test AND m.number ~ '^[0-9]{5,15}$'
AND ($3::text IS NULL OR m.submitter = $3)
"""
_LINK = "($5::bigint IS NULL OR k.link_id = $5)"
_ANSWERED = f"""
SELECT m.number FROM mo r JOIN message m ON m.id = r.in_reply_to
WHERE r.account_id = $1 AND r.id >= $2 AND NOT r.opted_out AND {_SENT}
AND ($4::bigint IS NULL OR EXISTS (
    SELECT FROM (SELECT h.task_id, h.base_id + h.size AS behind FROM task_chunk h WHERE h.base_id <= m.id
                 ORDER BY h.base_id DESC LIMIT 1) c WHERE c.task_id = $4 AND m.id < c.behind))
AND ($5::bigint IS NULL OR EXISTS (SELECT FROM message_link k WHERE k.id = m.id AND {_LINK}))
AND ($6::bigint[] IS NULL OR m.id = ANY($6))
"""  # noqa: S608 - constant text


_MEANT = {
    "all": "{0} >= $2 AND $4::bigint IS NULL AND $6::bigint[] IS NULL",
    "task": "{0} >= $2 AND {0} >= h.base_id AND {0} < h.base_id + h.size AND $6::bigint[] IS NULL",
    "chosen": "{0} >= $2 AND $4::bigint IS NULL AND {0} = ANY($6::bigint[])",
}


_DEAD = ", ".join(f"'{cls}'" for cls in sorted(DEAD))


def _statements(of: str, *, dead: bool) -> dict[SegmentKind, str]:
    meant = _MEANT[of].format

    def found(text: str) -> str:
        if of == "task":
            text = f"SELECT s.* FROM task_chunk h CROSS JOIN LATERAL ({text} OFFSET 0) s WHERE h.task_id = $4"  # noqa: S608
        return f"({text}) s"

    linked = found(f"""
        SELECT m.number, k.id, k.link_id, k.clicked FROM message_link k
        CROSS JOIN LATERAL (SELECT m.number FROM message m WHERE m.id = k.id AND {_SENT} OFFSET 0) m
        WHERE k.clicked IS NOT NULL AND {_LINK} AND {meant("k.id")}
    """)  # noqa: S608
    parts = found(f"""
        SELECT m.number, p.state, p.class FROM message m
        CROSS JOIN LATERAL (SELECT p.state, p.class FROM part p WHERE p.id = m.id AND p.id >= $2 OFFSET 0) p
        WHERE {_SENT} AND {meant("m.id")} AND ($5::bigint IS NULL OR EXISTS (
            SELECT FROM message_link k WHERE k.id = m.id AND {_LINK} AND {meant("k.id")}))
    """)  # noqa: S608
    not_dead = f"""
        EXCEPT SELECT s.number FROM {linked} CROSS JOIN LATERAL (
            SELECT FROM part p WHERE p.id = s.id AND p.id >= $2 AND p.class IN ({_DEAD}) LIMIT 1) d
    """  # noqa: S608
    failed = "" if dead else not_dead
    return {
        SegmentKind.CLICKED: f"SELECT DISTINCT number FROM {linked} WHERE clicked",  # noqa: S608
        # Who has clicked it in another message than those meant has clicked it; who opened it just now is not judged
        # yet. Of chosen messages each is meant: their numbers had not clicked, and who has clicked one of them since is
        # done with.
        SegmentKind.NOT_CLICKED: f"""
            WITH meant AS MATERIALIZED (
                SELECT DISTINCT number, link_id FROM {linked} WHERE NOT clicked OR $6::bigint[] IS NOT NULL
            ),
            links AS MATERIALIZED (SELECT DISTINCT link_id FROM meant),
            clicked AS MATERIALIZED (
                SELECT k.id FROM links l JOIN message_link k ON k.link_id = l.link_id WHERE k.clicked
                UNION ALL
                SELECT k.id FROM links l JOIN link_click c ON c.link_id = l.link_id AND c.rules = 0
                JOIN message_link k ON k.link_id = c.link_id AND k.n = c.n
            )
            SELECT number FROM meant
            EXCEPT SELECT (SELECT m.number FROM message m WHERE m.id = c.id AND m.account_id = $1) FROM clicked c
            {failed}
        """,  # noqa: S608
        SegmentKind.REPLIED: f"SELECT DISTINCT number FROM ({_ANSWERED}) a",  # noqa: S608
        SegmentKind.UNREACHED: by_name(f"""
            SELECT number FROM {parts}
            GROUP BY number HAVING bool_and(state IN (:UNDELIVERABLE, :EXPIRED, :REJECTED))
            {"" if dead else f"AND NOT bool_or(class IN ({_DEAD}))"}
        """),  # noqa: S608
        SegmentKind.SILENT: by_name(f"""
            SELECT number FROM {parts} WHERE state = :DELIVERED
            EXCEPT SELECT r.number FROM mo r WHERE r.account_id = $1 AND r.id >= $2
            EXCEPT SELECT number FROM {linked} WHERE clicked
        """),  # noqa: S608
    }


_NUMBERS = {(of, dead): _statements(of, dead=dead) for of in _MEANT for dead in (False, True)}
_ROWS = """
SELECT s.number::bigint AS id, s.number, COALESCE(c.name, '') AS name, COALESCE(c.fields, '{{}}') AS fields
FROM ({numbers}) s LEFT JOIN contact c ON c.account_id = $1 AND c.number = s.number ORDER BY 1
"""
_FIRST = _ROWS + " LIMIT $7"
_COUNT = "SELECT count(*) FROM ({numbers}) s"


def _numbers(one: Segment) -> str:
    of = "chosen" if one.messages else "all" if one.task_id is None else "task"
    return _NUMBERS[of, one.dead][one.kind]


def _asked(account_id: int, one: Segment) -> Sequence[object]:
    since = 0 if one.messages else max(0, first_id(clock.now() - timedelta(days=one.days)))
    return account_id, since, one.submitter, one.task_id, one.link_id, list(one.messages) or None


async def alone(connection: Connection, account_id: int) -> None:
    """Nobody else finds a segment of the account until the transaction ends. ``BACKPRESSURE``: somebody does just
    now."""
    if not await connection.fetchval(_ONE_AT_A_TIME, account_id):
        raise Temporary("BACKPRESSURE", retry_after=10, n=10)
    await connection.execute(_CUSTOM)


@asynccontextmanager
async def _turn(database: Database, account_id: int) -> AsyncIterator[Connection]:
    """A connection for one: few at a time, whatever the accounts, so that there are some left for what cannot wait;
    who waits has none. ``BACKPRESSURE``: it was not its turn in time, and as ``alone``."""
    async with _turns.turn(account_id), database.transaction(timeout=PATIENCE) as connection:
        await alone(connection, account_id)
        yield connection


async def count(database: Database, account_id: int, one: Segment) -> int:
    """How many numbers they are, each once. ``BACKPRESSURE`` as ``_turn``."""
    text = _COUNT.format(numbers=_numbers(one))
    async with _turn(database, account_id) as connection:
        n: int = await connection.fetchval(text, *_asked(account_id, one), timeout=PATIENCE)
        return n


async def first(database: Database, account_id: int, one: Segment, limit: int) -> list[Row]:
    """The first of them by number: id (the number), number, name and fields (as JSON) of who is a contact.
    ``BACKPRESSURE`` as ``_turn``."""
    text = _FIRST.format(numbers=_numbers(one))
    async with _turn(database, account_id) as connection:
        return await connection.fetch(text, *_asked(account_id, one), limit, timeout=PATIENCE)


async def pages(connection: Connection, account_id: int, one: Segment) -> AsyncIterator[list[Row]]:
    """All of them as ``first`` has them, as of one moment; inside a transaction."""
    page: list[Row] = []
    text = _ROWS.format(numbers=_numbers(one))
    async for row in connection.cursor(text, *_asked(account_id, one), prefetch=PAGE, timeout=PATIENCE):
        page.append(row)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


# Of messages that somebody has chosen: numbers that have clicked none of their links, by account.
_REST = f"""
WITH meant AS MATERIALIZED (
    SELECT m.id, m.account_id, m.number, k.link_id FROM message_link k JOIN message m ON m.id = k.id
    WHERE k.id = ANY($1::bigint[]) AND k.clicked IS NOT NULL AND m.number ~ '^[0-9]{{5,15}}$'
),
links AS MATERIALIZED (SELECT DISTINCT link_id FROM meant),
clicked AS MATERIALIZED (
    SELECT m.account_id, m.number FROM (
        SELECT k.id FROM links l JOIN message_link k ON k.link_id = l.link_id WHERE k.clicked
        UNION ALL
        SELECT k.id FROM links l JOIN link_click c ON c.link_id = l.link_id AND c.rules = 0
        JOIN message_link k ON k.link_id = c.link_id AND k.n = c.n
    ) k CROSS JOIN LATERAL (SELECT m.account_id, m.number FROM message m WHERE m.id = k.id OFFSET 0) m
)
SELECT account_id, number, max(link_id) AS link_id, array_agg(id) AS messages,
       EXISTS (SELECT FROM clicked c WHERE c.account_id = t.account_id AND c.number = t.number) AS clicked,
       bool_or(EXISTS (SELECT FROM part p WHERE p.id = t.id AND p.class IN ({_DEAD}))) AS dead
FROM meant t GROUP BY account_id, number ORDER BY number
"""  # noqa: S608 - constant text


async def rest(database: Database, message_ids: Sequence[int]) -> list[Row]:
    """The numbers of those messages that carry a personal link: account, number, link, which of the messages, whether
    they have clicked it, in whichever message, and whether one of the messages has failed for good."""
    return await database.fetch(_REST, list(message_ids), timeout=60)
