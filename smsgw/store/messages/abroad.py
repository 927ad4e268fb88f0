"""What accounts send abroad, counted in the accept transaction.

That holds the locks of the accounts (``credit.LOCK``), so no other node is counting for them; all times are the
database's. Batches that send nothing abroad cost nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from smsgw.core.abroad import Abroad, Velocity
from smsgw.core.alarms import CRITICAL, Finding
from smsgw.core.errors import Reason
from smsgw.core.words import phrase
from smsgw.store.engine.database import Connection, Database, Row

# Minutes count as a whole: what was sent within one is forgotten up to a minute late, never early.
_READ = """
SELECT account_id, '' AS country, sum(messages)::bigint AS n FROM abroad_minute
WHERE account_id = ANY($1::bigint[]) AND minute > now() - interval '61 minutes' GROUP BY account_id
UNION ALL
SELECT account_id, country, (first_at > now() - interval '1 hour')::int FROM abroad_country
WHERE account_id = ANY($1::bigint[]) AND last_at > now() - interval '30 days'
"""

_WRITE = """
WITH d AS (
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::int[], $4::int[]) AS d(account_id, country, messages, refused)
),
countries AS (
    INSERT INTO abroad_country AS c (account_id, country, first_at, last_at)
    SELECT account_id, country, now(), now() FROM d WHERE messages > 0 ORDER BY account_id, country
    ON CONFLICT (account_id, country) DO UPDATE
    SET first_at = CASE WHEN c.last_at > now() - interval '30 days' THEN c.first_at ELSE now() END, last_at = now()
)
INSERT INTO abroad_minute AS m (account_id, minute, messages, refused)
SELECT account_id, date_trunc('minute', now()), sum(messages), sum(refused) FROM d
GROUP BY account_id ORDER BY account_id
ON CONFLICT (account_id, minute) DO UPDATE
SET messages = m.messages + excluded.messages, refused = m.refused + excluded.refused
"""


class Counted(Protocol):
    """A call whose messages abroad are counted."""

    @property
    def account_id(self) -> int:
        """Whose."""

    @property
    def abroad(self) -> Sequence[Abroad]:
        """Those of its messages that are."""


def _velocities(rows: Iterable[Row]) -> Mapping[int, Velocity]:
    found: dict[int, Velocity] = defaultdict(Velocity)
    for row in rows:
        one = found[row["account_id"]]
        if row["country"]:
            one.known.add(row["country"])
            one.fresh += row["n"]
        else:
            one.sent = row["n"]
    return found


async def judge(connection: Connection, calls: Sequence[Counted]) -> dict[int, dict[int, Reason]]:
    """Which messages of the calls, taken in order, are too many: id(call) -> index -> why. Nothing is entered."""
    going = [call for call in calls if call.abroad]
    if not going:
        return {}
    velocities = _velocities(await connection.fetch(_READ, list({c.account_id for c in going})))
    judged = ((id(call), velocities[call.account_id].judge(call.abroad)) for call in going)
    return {call_id: reasons for call_id, reasons in judged if reasons}


async def enter(
    connection: Connection,
    calls: Sequence[Counted],
    stored: Sequence[Counted],
    refused: Mapping[int, Mapping[int, Reason]],
) -> None:
    """Count the messages that the calls have as ``stored``, and those of the calls that ``judge`` has refused."""
    sent = Counter((c.account_id, one.country) for c in stored for one in c.abroad)
    lost = Counter(
        (c.account_id, one.country)
        for c in calls
        if id(c) in refused
        for one in c.abroad
        if one.index in refused[id(c)]
    )
    rows = sorted(sent.keys() | lost.keys())
    if rows:
        await connection.execute(
            _WRITE, [a for a, _ in rows], [c for _, c in rows], [sent[r] for r in rows], [lost[r] for r in rows]
        )


async def peek(database: Database, account_id: int, messages: Sequence[Abroad]) -> dict[int, Reason]:
    """What the messages of a call would be told now: index -> why. Nothing is counted."""
    return _velocities(await database.fetch(_READ, [account_id]))[account_id].judge(messages)


_FOUND = """
SELECT a.name, sum(m.messages) AS sent, sum(m.refused) AS refused,
       (SELECT count(*) FROM abroad_country c
        WHERE c.account_id = a.id AND c.first_at > now() - interval '1 hour') AS fresh
FROM abroad_minute m JOIN account a ON a.id = m.account_id
WHERE m.minute > now() - interval '61 minutes' GROUP BY a.id HAVING sum(m.refused) > 0 ORDER BY a.name LIMIT 100
"""


async def findings(database: Database) -> list[Finding]:
    """Accounts of which messages abroad were refused in the last hour."""
    return [
        Finding(
            "toll_fraud", f"account/{row['name']}", CRITICAL,
            phrase("alarm.abroad", refused=int(row["refused"]), sent=int(row["sent"]), fresh=row["fresh"]),
        )
        for row in await database.fetch(_FOUND)
    ]  # fmt: skip


_SWEEP = """
WITH minutes AS (DELETE FROM abroad_minute WHERE minute < now() - interval '2 hours')
DELETE FROM abroad_country WHERE last_at < now() - interval '30 days'
"""


async def sweep(connection: Connection) -> None:
    """Forget what does not count any more."""
    await connection.execute(_SWEEP)
