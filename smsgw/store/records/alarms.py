"""The table of alarms: what is wrong now, and what was. One open alarm for each kind and object."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from smsgw.core.actor import ActorLabel
from smsgw.core.wording_json import Heard, packed, unpacked
from smsgw.core.words import Wording
from smsgw.store.engine.database import Connection, Database, Row

MISSING = "node_missing"
"""The kind about a node that others miss."""
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
    unwatched: bool = False
    """It has ended because its rule was turned off: what was wrong may still be so."""

    @property
    def key(self) -> tuple[str, str]:
        """There is one that is open for each of these."""
        return self.kind, self.object


COLUMNS = (
    "id, kind, object, severity, detail, said, since, last, count, acked_at, acked_by, cleared_at, account_id, "
    "unwatched"
)

# What comes back at once was not over, unless somebody has been told so.
_REOPEN = """
UPDATE alarm SET cleared_at = NULL, unwatched = false, nodes = '{}' WHERE cleared_at IS NOT NULL AND id IN (
    SELECT o.id FROM unnest($1::text[], $2::text[]) s (kind, object) CROSS JOIN LATERAL (
        SELECT id FROM alarm WHERE kind = s.kind AND object = s.object AND cleared_at > $3::timestamptz - alarm_hold()
        AND NOT EXISTS (SELECT FROM alarm a WHERE a.kind = s.kind AND a.object = s.object AND a.cleared_at IS NULL)
        AND NOT EXISTS (
            SELECT FROM alarm_note n WHERE n.alarm_id = alarm.id AND n.event = 'cleared' AND n.state <> 'waiting')
        ORDER BY cleared_at DESC LIMIT 1) o)
"""
# Raised again within the minute with nothing new to say, it is left alone (not even locked): a standing alarm costs no
# writes. Of nodes that know different things the first one has the word.
_NEWS = """
   NOT {new}.nodes <@ {old}.nodes OR {new}.last >= {old}.last + interval '1 minute'
   OR ({old}.severity, {old}.detail) IS DISTINCT FROM ({new}.severity, {new}.detail)
      AND {old}.nodes[1] IS NOT DISTINCT FROM ({new}.nodes)[1]
"""
# In one order, so that nodes do not wait for each other in turn.
_RAISE = f"""
INSERT INTO alarm AS a (kind, object, severity, detail, said, since, last, nodes, account_id)
SELECT s.kind, s.object, s.severity, s.detail, s.said, s.since, s.last, s.nodes, (
    SELECT id FROM account
    WHERE name = split_part(s.object, '/', 2) AND split_part(s.object, '/', 1) IN ('account', 'webhook'))
FROM (SELECT *, $7::timestamptz AS last, $8::int[] AS nodes
      FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::jsonb[], $6::timestamptz[])
          u (kind, object, severity, detail, said, since)) s
LEFT JOIN alarm o ON o.kind = s.kind AND o.object = s.object AND o.cleared_at IS NULL
WHERE o.id IS NULL OR {_NEWS.format(new="s", old="o")}
ORDER BY s.kind, s.object
ON CONFLICT (kind, object) WHERE cleared_at IS NULL DO UPDATE
SET severity = excluded.severity, detail = excluded.detail, said = excluded.said, last = excluded.last,
    count = a.count + 1, nodes = CASE WHEN excluded.nodes <@ a.nodes THEN a.nodes ELSE a.nodes || excluded.nodes END
WHERE {_NEWS.format(new="excluded", old="a")}
"""  # noqa: S608 - constants


class Raised(Protocol):
    """What is wrong, and since when."""

    @property
    def kind(self) -> str:
        """What is wrong."""

    @property
    def object(self) -> str:
        """Whom it concerns."""

    @property
    def severity(self) -> str:
        """How grave it is."""

    @property
    def detail(self) -> Wording | str:
        """What is told of it."""

    @property
    def since(self) -> datetime:
        """When the trouble began."""


async def raise_all(connection: Connection, all_: Sequence[Raised], *, now: datetime, node: int | None = None) -> None:
    """Open these alarms, or say again that they stand; ``node`` is who says so."""
    keys = [one.kind for one in all_], [one.object for one in all_]
    await connection.execute(_REOPEN, *keys, now)
    said = [json.dumps(packed(one.detail), ensure_ascii=False) for one in all_]
    await connection.execute(
        _RAISE, *keys, [one.severity for one in all_], [str(one.detail).replace("\0", "")[:1000] for one in all_],
        [text if len(text) <= MOST_SAID else None for text in said], [one.since for one in all_], now,
        [] if node is None else [node],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _One:
    kind: str
    object: str
    severity: str
    detail: Wording | str
    since: datetime


async def raise_(
    connection: Connection,
    kind: str,
    object: str,
    severity: str,
    detail: Wording | str,
    *,
    now: datetime,
    since: datetime | None = None,
) -> None:
    """Open the alarm, or say again that it stands. ``since``: when the trouble began, if earlier than ``now``."""
    await raise_all(connection, [_One(kind, object, severity, detail, since or now)], now=now)


_CLEAR = """
UPDATE alarm SET cleared_at = $3 WHERE kind = $1 AND object = $2 AND cleared_at IS NULL RETURNING id
"""


async def clear(connection: Connection, kind: str, object: str, *, now: datetime) -> bool:
    """The trouble is over; whether there was an open alarm."""
    return await connection.fetchval(_CLEAR, kind, object, now) is not None


# What is another node's own is left to it; whether one is there at all, others say.
_LEFT = f"""
SELECT a.id, a.kind, a.object FROM alarm a
WHERE a.cleared_at IS NULL AND (a.nodes = '{{}}' OR a.nodes <> alarm_nodes_left(a.nodes, $1))
  AND (split_part(a.object, '/', 1) <> 'node'
       OR (split_part(a.object, '/', 2) = $1::int::text) <> (a.kind = '{MISSING}'))
  AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::text[]) s (kind, object)
                  WHERE s.kind = a.kind AND s.object = a.object)
ORDER BY a.id LIMIT $4
"""  # noqa: S608 - a constant
_WITHDRAW = """
UPDATE alarm SET nodes = alarm_nodes_left(nodes, $2), unwatched = id = ANY($4),
    cleared_at = CASE WHEN alarm_nodes_left(nodes, $2) = '{}' THEN $3::timestamptz END
WHERE id = ANY($1) AND cleared_at IS NULL AND (nodes = '{}' OR nodes <> alarm_nodes_left(nodes, $2))
"""
MOST_AT_ONCE = 500
"""Alarms of one transaction."""


async def withdraw(
    database: Database, named: Collection[tuple[str, str]], node: int, *, now: datetime,
    watched: Callable[[str, str], bool],
) -> None:  # fmt: skip
    """The node names none but these: others are over unless another one that lives names them. ``watched``: whether
    anybody wants to know of a kind and an object at all."""
    keys = [kind for kind, _ in named], [object for _, object in named]
    rows = await database.fetch(_LEFT, node, *keys, MOST_AT_ONCE)
    if rows:
        unwatched = [row["id"] for row in rows if not watched(row["kind"], row["object"])]
        await database.execute(_WITHDRAW, [row["id"] for row in rows], node, now, unwatched)


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


_UNMATCHED = """
SELECT c.name AS channel, o.n AS unmatched,
       COALESCE((SELECT sum(s.n) FROM stat_minute s WHERE s.channel_id = c.id AND s.metric IN ('delivered', 'failed')
                 AND s.minute >= now() - interval '1 hour'), 0)::bigint AS matched
FROM (SELECT channel_id, count(*) AS n FROM receipt_orphan
      WHERE received_at BETWEEN now() - interval '1 hour' AND now() - interval '2 minutes'
      GROUP BY channel_id HAVING count(*) >= $1) o
JOIN channel c ON c.id = o.channel_id
"""


async def unmatched_reports(database: Database, least: int, percent: int) -> list[Row]:
    """Channels with at least so many of whose last reports, and more than so many percent, belong to no message (an
    answer that is still on its way is given two minutes): channel, unmatched, matched."""
    rows = await database.fetch(_UNMATCHED, least)
    return [row for row in rows if row["unmatched"] * 100 > row["matched"] * percent]


_SWEEP = "DELETE FROM alarm WHERE cleared_at < now() - make_interval(days => $1)"
_SWEEP_SILENCES = "DELETE FROM alarm_silence WHERE until < now() - make_interval(days => $1)"
_SWEEP_TESTS = "DELETE FROM alarm_note WHERE alarm_id IS NULL AND entered_at < now() - make_interval(days => $1)"


async def sweep(connection: Connection) -> None:
    """Forget alarms that have been over for long."""
    await connection.execute(_SWEEP, KEPT_DAYS)
    await connection.execute(_SWEEP_TESTS, KEPT_DAYS)
    await connection.execute(_SWEEP_SILENCES, KEPT_DAYS)
