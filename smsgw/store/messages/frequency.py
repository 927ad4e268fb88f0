"""Limits of frequency per number: what all accounts have sent to it is one row, read and written once for a batch, in
the accept transaction.

Whoever comes second finds the row changed (its ``seq``), and counts again: two cannot pass where one may.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from smsgw.core.errors import Reason
from smsgw.core.frequency import History, Watch
from smsgw.store.engine.database import Connection, Database, Row

ROUNDS = 3
"""A row that was changed by somebody else is locked by then: the second round settles it."""
SWEEP = 20_000

READ = "SELECT number, seq, sent FROM number_recent WHERE number = ANY($1::bigint[])"
_WRITE = """
INSERT INTO number_recent AS n (number, seq, until, sent)
SELECT * FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bytea[])
ON CONFLICT (number) DO UPDATE SET seq = excluded.seq, until = excluded.until, sent = excluded.sent
WHERE n.seq = excluded.seq - 1 RETURNING number
"""


class Watched(Protocol):
    """A call whose numbers are counted."""

    @property
    def watches(self) -> Sequence[Watch]:
        """Those of its messages that are."""


def watched(calls: Iterable[Watched]) -> list[int]:
    """The numbers of the calls that are counted: what ``READ`` is given."""
    return list({watch.number for call in calls for watch in call.watches})


async def settle(
    connection: Connection, calls: Sequence[Watched], now: int, before: Iterable[Row]
) -> dict[int, dict[int, Reason]]:
    """Count the messages of the calls, in order, and say which are too many: id(call) -> index -> why. ``before``: what
    ``READ`` has said of their numbers in this transaction, or a little earlier: it is read again where it was changed
    since."""
    waiting: dict[int, list[tuple[int, Watch]]] = {}
    for call in calls:
        for watch in call.watches:
            waiting.setdefault(watch.number, []).append((id(call), watch))
    refused: dict[int, dict[int, Reason]] = {}
    for turn in range(ROUNDS):
        if not waiting:
            break
        rows = before if turn == 0 else await connection.fetch(READ, list(waiting))
        known = {row["number"]: row for row in rows}
        changed: dict[int, tuple[int, int, bytes]] = {}
        for number, watches in waiting.items():
            row = known.get(number)
            history = History(row["sent"]) if row is not None else History()
            counted = False
            for call_id, watch in watches:
                reason = history.judge(watch)
                if reason is None:
                    refused.get(call_id, {}).pop(watch.index, None)
                    history.add(watch, now)
                    counted = True
                else:
                    refused.setdefault(call_id, {})[watch.index] = reason
            if counted:
                seq = row["seq"] + 1 if row is not None else 1
                changed[number] = (seq, history.until, history.stored())
        if not changed:
            waiting = {}
            break
        order = sorted(changed)
        written = await connection.fetch(
            _WRITE,
            order,
            [changed[n][0] for n in order],
            [changed[n][1] for n in order],
            [changed[n][2] for n in order],
        )
        done = {row["number"] for row in written}
        waiting = {n: waiting[n] for n in order if n not in done}
    if waiting:
        raise RuntimeError("rows of number_recent change although they are locked")
    return {call_id: reasons for call_id, reasons in refused.items() if reasons}


async def peek(database: Database, watches: Iterable[Watch]) -> Mapping[int, Reason]:
    """What the messages would be told now, each for itself: index -> why. Nothing is counted."""
    wanted = list(watches)
    rows = await database.fetch(READ, list({w.number for w in wanted}))
    histories = {row["number"]: History(row["sent"]) for row in rows}
    return {
        w.index: reason
        for w in wanted
        if w.number in histories and (reason := histories[w.number].judge(w)) is not None
    }


_SWEEP = """
WITH page AS (SELECT number, until FROM number_recent WHERE number > $1 ORDER BY number LIMIT $2),
     gone AS (DELETE FROM number_recent n USING page p WHERE n.number = p.number AND p.until < $3 AND n.until < $3)
SELECT max(number) AS last, count(*) AS n FROM page
"""


async def sweep(connection: Connection, after: int, now: int) -> int:
    """Forget numbers of which nothing matters any more, a page at a time; where to go on (0: from the start)."""
    row: Row | None = await connection.fetchrow(_SWEEP, after, SWEEP, now)
    return int(row["last"]) if row is not None and row["n"] == SWEEP else 0
