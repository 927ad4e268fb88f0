"""What has become of the messages of a task's latest run: by carrier, province, channel, why they did not arrive, or
hop of the chain that has led to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from smsgw.core.actor import Actor
from smsgw.core.ids import time_of
from smsgw.core.states import PartState, status_of, success_percent
from smsgw.core.tasks import Task
from smsgw.platform.campaigns import queries
from smsgw.platform.messages.records import RANKS, RESULTS
from smsgw.store.engine.database import Database
from smsgw.store.messages import message_links

GROUPS = ("carrier", "province", "channel", "reason", "hop")
MOST = 200_000
"""Messages that are looked at, the first ones."""
PATIENCE = 30.0
_RESULT = {status: result for result, statuses in RESULTS.items() for status in statuses}
_VALUE = {
    "carrier": "f.carrier", "province": "f.province", "channel": "COALESCE(s.channel_id, 0)::text", "reason": "s.class",
    "hop": "f.hop::text",
}  # fmt: skip
# The part that says what a message is (``records``); the bounds of the run let days without its messages alone.
_FEW = """
WITH few AS (
    SELECT x.id, x.carrier, x.province, 0 AS hop FROM task_chunk c
    JOIN message x ON x.id >= c.base_id AND x.id < c.base_id + c.size AND x.id >= $3 AND x.id < $4
    WHERE c.task_id = $1 AND c.run = $2
    UNION ALL
    SELECT x.id, x.carrier, x.province, r.hop FROM message_resend r
    JOIN message x ON x.id = r.again_id AND x.id >= $3 AND x.id < $4
    WHERE r.task_id = $1 AND r.run = $2 AND r.hop > 0
    LIMIT $5
)
"""
_COUNT = """
SELECT {value} AS value, s.state, s.by_us, count(*) AS n FROM few f CROSS JOIN LATERAL (
    SELECT s.state, s.by_us, s.class, s.channel_id FROM part s WHERE s.id = f.id AND s.id >= $3 AND s.id < $4
    ORDER BY array_position($6::smallint[], s.state), s.part LIMIT 1) s
GROUP BY 1, 2, 3
"""
_REPLIES = """
SELECT {value} AS value, count(DISTINCT o.in_reply_to) AS n FROM mo o JOIN few f ON f.id = o.in_reply_to
{channel} WHERE o.account_id = $6 AND o.id >= $3 GROUP BY 1
"""
_CLICKS = """
SELECT {value} AS value, k.clicked, count(*) AS n FROM few f
JOIN message_link k ON k.id = f.id AND k.id >= $3 AND k.id < $4
{channel} WHERE k.clicked IS NOT NULL GROUP BY 1, 2
"""
_ALL_CLICKS = """
SELECT count(*) FILTER (WHERE k.clicked) AS clicked, count(*) FILTER (WHERE NOT k.clicked) AS unclicked FROM (
    SELECT k.clicked FROM task_chunk c
    JOIN message_link k ON k.id >= c.base_id AND k.id < c.base_id + c.size AND k.id >= $3 AND k.id < $4
    WHERE c.task_id = $1 AND c.run = $2
    UNION ALL
    SELECT k.clicked FROM message_resend r JOIN message_link k ON k.id = r.again_id AND k.id >= $3 AND k.id < $4
    WHERE r.task_id = $1 AND r.run = $2 AND r.hop > 0
) k
"""
_CHANNEL = "LEFT JOIN part s ON s.id = f.id AND s.part = 1 AND s.id >= $3 AND s.id < $4"
_CHANNELS = "SELECT id::text AS id, name FROM channel WHERE id = ANY($1::text[]::int[])"
_BOUNDS = """
SELECT min(base_id), greatest(max(base_id + size), (
    SELECT max(again_id) + 1 FROM message_resend WHERE task_id = $1 AND run = $2))
FROM task_chunk WHERE task_id = $1 AND run = $2
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Messages of one group, or of all, by ``RESULTS``; what is in none of these is on its way."""

    value: str
    counts: Mapping[str, int] = field(default_factory=dict)
    submitted: int = 0
    replies: int = 0
    """Messages that were answered."""
    clicked: int | None = None
    """Messages whose personal link a person has clicked; None: they carry none."""
    unclicked: int | None = None
    """Messages whose personal link nobody has clicked, as far as is known."""
    id: int = 0
    """Its place, from 1."""
    name: str = ""
    """The value for people; empty: none, or not known."""

    @property
    def pending(self) -> int:
        """On their way."""
        return self.submitted - sum(self.counts.values())

    @property
    def success_rate(self) -> float | None:
        """Percent of those that a carrier has reported about; None: of none."""
        return success_percent(self.counts.get("delivered", 0), self.counts.get("failed", 0))

    @property
    def click_rate(self) -> float | None:
        """Percent of the messages with a personal link; None: of none."""
        clicked, unclicked = self.clicked or 0, self.unclicked or 0
        return clicked * 100 / (clicked + unclicked) if clicked or unclicked else None


class Clicks(NamedTuple):
    """What has come of the personal links of a task's latest run, by messages."""

    clicked: int
    unclicked: int


class Groups(NamedTuple):
    """Of a task's latest run, the largest first."""

    task: Task
    begun: datetime
    """When its first message was made."""
    groups: Sequence[Outcome]


class Untold(StrEnum):
    """Why there are no such figures."""

    NONE = "none"
    """Its messages carry no personal link, or it has none yet."""
    GONE = "gone"
    """Messages of the run, or all, are kept no longer."""
    UNCOUNTED = "uncounted"
    """They are being counted, or could not be."""


async def since(database: Database, task: Task) -> datetime:
    """When the first message of the latest run was made; without one when the task was."""
    bounds = await database.fetchrow(_BOUNDS, task.id, task.run)
    return task.created_at if bounds is None or bounds[0] is None else time_of(int(bounds[0]))


async def tells_clicks(database: Database, actor: Actor, task_id: int) -> bool:
    """Whether the messages of a task in the scope carry links that say who has clicked."""
    listed = await queries.one(database, actor, task_id)
    return listed is not None and await message_links.personal(database, listed.task.link_id)


async def clicks_of(database: Database, task: Task) -> Clicks | Untold:
    """Of all messages of the latest run."""
    if not task.run or not await message_links.personal(database, task.link_id):
        return Untold.NONE
    bounds = await database.fetchrow(_BOUNDS, task.id, task.run)
    if bounds is None or bounds[0] is None:
        return Clicks(0, 0)
    if int(bounds[0]) < await message_links.kept_from(database):
        return Untold.GONE
    row = await database.fetchrow(_ALL_CLICKS, task.id, task.run, int(bounds[0]), int(bounds[1]), timeout=PATIENCE)
    return Untold.NONE if row is None else Clicks(*row)


async def of_task(database: Database, actor: Actor, task_id: int, group: str) -> Groups | None:
    """Those of a task in the scope; ``reason`` has those that did not arrive alone. None: it has sent nothing yet."""
    listed = await queries.one(database, actor, task_id)
    if listed is None or not listed.task.run:
        return None
    task = listed.task
    bounds = await database.fetchrow(_BOUNDS, task.id, task.run)
    if bounds is None or bounds[0] is None:
        return None
    asked = (task.id, task.run, int(bounds[0]), int(bounds[1]), MOST)
    counts: dict[str, Counter[str]] = {}
    submitted: Counter[str] = Counter()
    for row in await database.fetch(_FEW + _COUNT.format(value=_VALUE[group]), *asked, RANKS, timeout=PATIENCE):
        result = _RESULT.get(status_of(PartState(row["state"]), row["by_us"]), "")
        if group == "reason" and result in ("", "delivered"):
            continue
        value = str(row["value"] or "")
        submitted[value] += row["n"]
        counts.setdefault(value, Counter())
        if result:
            counts[value][result] += row["n"]
    replies = await _replies(database, task, group, asked)
    clicks = await _clicks(database, task, group, asked)
    names = {value: value for value in submitted}
    if group == "channel":
        names = {row["id"]: row["name"] for row in await database.fetch(_CHANNELS, list(submitted))}
    largest = submitted.most_common()
    found = [
        Outcome(value, counts[value], n, replies.get(value, 0), id=at, name=names.get(value, ""))
        for at, (value, n) in enumerate(sorted(largest) if group == "hop" else largest, 1)
    ]
    if clicks is not None:
        found = [_with_clicks(one, clicks.get(one.value, (0, 0))) for one in found]
    return Groups(task, time_of(asked[2]), found)


def _with_clicks(one: Outcome, clicks: tuple[int, int]) -> Outcome:
    return replace(one, clicked=clicks[0], unclicked=clicks[1])


async def _replies(database: Database, task: Task, group: str, asked: tuple[object, ...]) -> dict[str, int]:
    if group == "reason":
        return {}
    sql = _REPLIES.format(value=_VALUE[group], channel=_CHANNEL if group == "channel" else "")
    rows = await database.fetch(_FEW + sql, *asked, task.account_id, timeout=PATIENCE)
    return {str(row["value"] or ""): int(row["n"]) for row in rows}


async def _clicks(
    database: Database, task: Task, group: str, asked: tuple[object, ...]
) -> dict[str, tuple[int, int]] | None:
    """How many have clicked their link, and how many have not; None: it is not told."""
    if group == "reason" or not await message_links.personal(database, task.link_id):
        return None
    sql = _CLICKS.format(value=_VALUE[group], channel=_CHANNEL if group == "channel" else "")
    found: dict[str, tuple[int, int]] = {}
    for row in await database.fetch(_FEW + sql, *asked, timeout=PATIENCE):
        value = str(row["value"] or "")
        yes, no = found.get(value, (0, 0))
        found[value] = (yes + row["n"], no) if row["clicked"] else (yes, no + row["n"])
    return found


def total(groups: Sequence[Outcome]) -> Outcome:
    """All of them together."""
    counts: Counter[str] = Counter()
    for one in groups:
        counts.update(one.counts)
    linked = [one for one in groups if one.clicked is not None]
    clicked, unclicked = sum(one.clicked or 0 for one in linked), sum(one.unclicked or 0 for one in linked)
    found = Outcome("", counts, sum(one.submitted for one in groups), sum(one.replies for one in groups))
    return _with_clicks(found, (clicked, unclicked)) if linked else found
