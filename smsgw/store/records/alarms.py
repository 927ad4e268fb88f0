"""The table of alarms: what is wrong now, and what was. One open alarm for each kind and object."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from smsgw.core.actor import ActorLabel
from smsgw.core.carried import Heard, packed, unpacked
from smsgw.core.words import Wording
from smsgw.store.engine.database import Connection, Database, Row

MOST_SAID = 4000
"""Characters of words with their values; of longer ones the Chinese text is kept alone."""
KEPT_DAYS = 90
"""How long a cleared alarm is remembered."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm, open while ``cleared_at`` is None."""

    id: int
    kind: str
    object: str
    severity: str
    detail: Wording
    since: datetime
    last: datetime
    count: int
    acked_at: datetime | None
    acked_by: ActorLabel
    cleared_at: datetime | None
    account_id: int | None = None
    """Whose it is; None: the platform's."""

    @property
    def key(self) -> tuple[str, str]:
        """There is one that is open for each of these."""
        return self.kind, self.object


COLUMNS = "id, kind, object, severity, detail, said, since, last, count, acked_at, acked_by, cleared_at, account_id"

# What comes back at once was not over, unless somebody has been told so.
_REOPEN = """
UPDATE alarm SET cleared_at = NULL, nodes = '{}' WHERE cleared_at IS NOT NULL AND id = (
    SELECT id FROM alarm WHERE kind = $1 AND object = $2 AND cleared_at > $3::timestamptz - alarm_hold()
    AND NOT EXISTS (SELECT FROM alarm WHERE kind = $1 AND object = $2 AND cleared_at IS NULL)
    AND NOT EXISTS (
        SELECT FROM alarm_note n WHERE n.alarm_id = alarm.id AND n.event = 'cleared' AND n.state <> 'waiting')
    ORDER BY cleared_at DESC LIMIT 1)
"""
# Raised again within the minute with nothing new to say, it is left alone: a standing alarm costs no writes. Of nodes
# that know different things the first one has the word.
_RAISE = """
INSERT INTO alarm AS a (kind, object, severity, detail, said, since, last, nodes, account_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::int[], (
    SELECT id FROM account WHERE name = split_part($2, '/', 2) AND split_part($2, '/', 1) IN ('account', 'webhook')))
ON CONFLICT (kind, object) WHERE cleared_at IS NULL DO UPDATE
SET severity = excluded.severity, detail = excluded.detail, said = excluded.said, last = excluded.last,
    count = a.count + 1, nodes = CASE WHEN excluded.nodes <@ a.nodes THEN a.nodes ELSE a.nodes || excluded.nodes END
WHERE NOT excluded.nodes <@ a.nodes OR excluded.last >= a.last + interval '1 minute'
   OR (a.severity, a.detail) IS DISTINCT FROM (excluded.severity, excluded.detail)
      AND a.nodes[1] IS NOT DISTINCT FROM (excluded.nodes)[1]
RETURNING count = 1
"""


async def raise_(
    connection: Connection,
    kind: str,
    object: str,
    severity: str,
    detail: Wording | str,
    *,
    now: datetime,
    since: datetime | None = None,
    node: int | None = None,
) -> bool:
    """Open the alarm, or say again that it stands; whether it was opened by this call.

    ``since`` is when the trouble began, if that is known to be earlier than ``now``; ``node`` is who says so.
    """
    await connection.execute(_REOPEN, kind, object, now)
    said = json.dumps(packed(detail), ensure_ascii=False)
    chinese = str(detail).replace("\0", "")[:1000]
    kept = said if len(said) <= MOST_SAID else None
    return bool(
        await connection.fetchval(_RAISE, kind, object, severity, chinese, kept, since or now, now,
                                  [] if node is None else [node])
    )  # fmt: skip


_CLEAR = """
UPDATE alarm SET cleared_at = $3 WHERE kind = $1 AND object = $2 AND cleared_at IS NULL RETURNING id
"""


async def clear(connection: Connection, kind: str, object: str, *, now: datetime) -> bool:
    """The trouble is over; whether there was an open alarm."""
    return await connection.fetchval(_CLEAR, kind, object, now) is not None


_WITHDRAW = """
UPDATE alarm SET nodes = alarm_nodes_left(nodes, $2),
    cleared_at = CASE WHEN alarm_nodes_left(nodes, $2) = '{}' THEN $3::timestamptz END
WHERE id = ANY($1) AND cleared_at IS NULL AND (nodes = '{}' OR nodes <> alarm_nodes_left(nodes, $2))
"""


async def withdraw(connection: Connection, ids: Sequence[int], node: int, *, now: datetime) -> None:
    """The node does not name these: they are over unless another one that lives does."""
    await connection.execute(_WITHDRAW, ids, node, now)


_LIST = f"""
SELECT {COLUMNS} FROM alarm WHERE ($1 OR cleared_at IS NULL)
ORDER BY cleared_at IS NOT NULL, severity = 'warning', since DESC LIMIT $2
"""  # noqa: S608 - a constant


def read(row: Mapping[str, Any]) -> Alarm:
    """An alarm of its columns."""
    values = dict(row)
    said = values.pop("said")
    return Alarm(**values | {"detail": detail_of(values["detail"], said)})


def detail_of(chinese: str, said: str | None) -> Wording:
    """What an alarm says, of its two columns."""
    try:
        detail = Heard(chinese) if said is None else unpacked(json.loads(said))
    except ValueError:  # words of another version
        detail = Heard(chinese)
    return detail if isinstance(detail, Wording) else Heard(str(detail))


async def list_(database: Database, *, everything: bool = False, limit: int = 200) -> list[Alarm]:
    """Open alarms, the gravest first; with ``everything`` the cleared ones after them."""
    return [read(dict(row)) for row in await database.fetch(_LIST, everything, limit)]


UNMATCHED_MANY = 20
_UNMATCHED = """
SELECT c.name AS channel, o.n AS unmatched,
       COALESCE((SELECT sum(s.n) FROM stat_minute s WHERE s.channel_id = c.id AND s.metric IN ('delivered', 'failed')
                 AND s.minute >= now() - interval '1 hour'), 0)::bigint AS matched
FROM (SELECT channel_id, count(*) AS n FROM receipt_orphan
      WHERE received_at BETWEEN now() - interval '1 hour' AND now() - interval '2 minutes'
      GROUP BY channel_id HAVING count(*) >= $1) o
JOIN channel c ON c.id = o.channel_id
"""


async def unmatched_reports(database: Database) -> list[Row]:
    """Channels more than one in a hundred of whose last reports belong to no message (an answer that is still on its
    way is given two minutes): channel, unmatched, matched."""
    rows = await database.fetch(_UNMATCHED, UNMATCHED_MANY)
    return [row for row in rows if row["unmatched"] * 100 > row["matched"]]


_SWEEP = "DELETE FROM alarm WHERE cleared_at < now() - make_interval(days => $1)"
_SWEEP_SILENCES = "DELETE FROM alarm_silence WHERE until < now() - make_interval(days => $1)"
_SWEEP_TESTS = "DELETE FROM alarm_note WHERE alarm_id IS NULL AND entered_at < now() - make_interval(days => $1)"


async def sweep(connection: Connection) -> None:
    """Forget alarms that have been over for long."""
    await connection.execute(_SWEEP, KEPT_DAYS)
    await connection.execute(_SWEEP_TESTS, KEPT_DAYS)
    await connection.execute(_SWEEP_SILENCES, KEPT_DAYS)
