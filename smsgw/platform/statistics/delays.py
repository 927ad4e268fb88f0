"""How long messages take (时延分析): accepted, claimed and written, answered, reported, by channel or hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsgw.core.actor import Actor
from smsgw.core.ids import first_id
from smsgw.store.engine.database import Database
from smsgw.store.engine.states import by_name

GROUPS = ("channel", "hour")
STAGES = ("queue", "answer", "report", "whole")
"""From acceptance to the carrier, to its answer, to its report; and all of it."""
SHARES = (50, 90, 99)
"""Percentiles."""
MOST = 200_000
"""Messages that are looked at: the newest."""
PATIENCE = 30.0
_KEY = {"channel": "p.channel_id::text", "hour": "to_char(p.accepted_at AT TIME ZONE 'Asia/Shanghai', 'HH24')"}
_SPAN = {
    "queue": "p.claimed_at - p.accepted_at", "answer": "p.answered_at - p.claimed_at",
    "report": "p.final_at - p.answered_at", "whole": "p.final_at - p.accepted_at",
}  # fmt: skip
_SHARES = ", ".join(f"{share / 100}" for share in SHARES)
_STAGES = ", ".join(
    f"percentile_disc(ARRAY[{_SHARES}]) WITHIN GROUP (ORDER BY {span}) FILTER (WHERE {span} >= interval '0') AS {name}"
    for name, span in _SPAN.items()
)
# The first part tells of the message: its parts go out together.
_FOUND = by_name(f"""
WITH p AS MATERIALIZED (
    SELECT s.channel_id, s.accepted_at, s.claimed_at, s.answered_at,
           CASE WHEN s.state IN (:DELIVERED, :UNDELIVERABLE) THEN s.final_at END AS final_at
    FROM part s JOIN message m ON m.id = s.id AND m.id >= $1 AND m.id < $2
    WHERE s.id >= $1 AND s.id < $2 AND s.part = 1 AND s.claimed_at IS NOT NULL AND s.channel_id IS NOT NULL
      AND NOT m.test
      AND ($3::bigint[] IS NULL OR m.account_id = ANY($3)) AND ($4::bigint IS NULL OR m.account_id = $4)
      AND ($5::text IS NULL OR COALESCE(NULLIF(m.kind, ''), m.type) = $5) AND ($6::int IS NULL OR s.channel_id = $6)
      AND ($7::text IS NULL OR m.submitter = $7)
    ORDER BY s.id DESC LIMIT {MOST}
), g AS (SELECT {{key}} AS value, count(*) AS n, {_STAGES} FROM p GROUP BY 1)
SELECT g.*, {{name}} AS name, row_number() OVER (ORDER BY g.value) AS id FROM g ORDER BY g.value LIMIT 1000
""")  # noqa: S608 - constants
_NAME = {"channel": "COALESCE((SELECT name FROM channel WHERE id = g.value::int), g.value)", "hour": "g.value"}


@dataclass(frozen=True, slots=True)
class WantedDelays:
    """Whose messages; None: anybody's."""

    from_time: datetime
    to_time: datetime
    group: str = GROUPS[0]
    account: int | None = None
    type: str | None = None
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class Delays:
    """Of the messages of a channel, or of an hour of the day: percentiles of each stage, None where nothing came."""

    id: int
    value: str
    name: str
    n: int
    stages: dict[str, Sequence[timedelta | None]]


async def search(database: Database, actor: Actor, wanted: WantedDelays) -> list[Delays]:
    """One a channel or an hour."""
    accounts, submitter = actor.scope.narrowed
    group = wanted.group if wanted.group in GROUPS else GROUPS[0]
    rows = await database.fetch(
        _FOUND.format(key=_KEY[group], name=_NAME[group]), max(first_id(wanted.from_time), 0),
        max(first_id(wanted.to_time), 0), accounts, wanted.account, wanted.type, wanted.channel, submitter,
        timeout=PATIENCE,
    )  # fmt: skip
    return [
        Delays(
            row["id"], row["value"], row["name"], row["n"],
            {stage: row[stage] or (None,) * len(SHARES) for stage in STAGES},
        )
        for row in rows
    ]  # fmt: skip


NEWEST = 20_000
_RECENT = by_name(f"""
SELECT percentile_disc(ARRAY[{_SHARES}]) WITHIN GROUP (ORDER BY {_SPAN["report"]}) FROM (
    SELECT * FROM part WHERE id >= $1 ORDER BY id DESC LIMIT {NEWEST}
) p WHERE p.part = 1 AND p.state IN (:DELIVERED, :UNDELIVERABLE) AND {_SPAN["report"]} >= interval '0'
""")  # noqa: S608 - constants


async def report_delays(database: Database, since: datetime) -> Sequence[timedelta] | None:
    """Percentiles (``SHARES``) of the time to the carrier's report, of the newest ``NEWEST`` parts since then that have
    one; None: none has."""
    found: list[timedelta] | None = await database.fetchval(_RECENT, max(first_id(since), 0), timeout=PATIENCE)
    return found
