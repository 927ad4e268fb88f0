"""What accounts are told once: low balances, channels that go and come back. What was told is in the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from smsgw.runtime import clock
from smsgw.store.engine.database import Database
from smsgw.store.messages import events

_LOW = """
WITH low AS (
    SELECT s.account_id, a.balance, a.balance - a.credit_floor AS available, s.balance_below AS below
    FROM event_setting s JOIN account a ON a.id = s.account_id
    WHERE s.balance_below IS NOT NULL AND NOT s.balance_told AND a.balance - a.credit_floor < s.balance_below
    ORDER BY s.account_id LIMIT 500 FOR UPDATE OF s SKIP LOCKED
)
UPDATE event_setting s SET balance_told = true FROM low WHERE s.account_id = low.account_id
RETURNING low.account_id, low.balance, low.available, low.below
"""

_ENOUGH = """
UPDATE event_setting s SET balance_told = false FROM account a
WHERE a.id = s.account_id AND s.balance_told AND a.balance - a.credit_floor >= s.balance_below
"""


async def tell_low_balances(database: Database, ids: Callable[[], int]) -> list[int]:
    """Tell accounts whose balance has fallen below their mark; which they are."""
    async with database.transaction() as connection:
        rows = await connection.fetch(_LOW)
        told = [
            (row["account_id"], {"balance": row["balance"], "available": row["available"], "below": row["below"]})
            for row in rows
        ]
        await events.record(connection, "balance.low", told, ids=ids)
        await connection.execute(_ENOUGH)
    return [row["account_id"] for row in rows]


FRESH = "15 seconds"
"""A channel of which its node says nothing for so long is down."""
_TURN = "SELECT pg_try_advisory_xact_lock(1700949615)"
_CHANNELS = f"""
WITH now_ AS (
    SELECT c.id, c.name, s.last_error,
           CASE WHEN c.desired = 'stopped' THEN 'stopped'
                WHEN s.bound > 0 AND s.updated_at > clock_timestamp() - interval '{FRESH}' THEN 'up'
                ELSE 'down' END AS state
    FROM channel c LEFT JOIN channel_state s ON s.channel_id = c.id WHERE c.removed_at IS NULL AND c.id > 0
),
changed AS (
    SELECT n.*, t.state AS before FROM now_ n LEFT JOIN channel_told t ON t.channel_id = n.id
    WHERE t.state IS DISTINCT FROM n.state
),
noted AS (
    INSERT INTO channel_told (channel_id, state) SELECT id, state FROM changed
    ON CONFLICT (channel_id) DO UPDATE SET state = excluded.state
)
SELECT id, name, state, before, COALESCE(last_error, '') AS last_error FROM changed ORDER BY id
"""  # noqa: S608 - constant text


async def tell_channels(database: Database, account_ids: Sequence[int], ids: Callable[[], int]) -> int:
    """Tell these accounts of channels whose state has changed since they were last looked at; how many have."""
    async with database.transaction() as connection:
        if not await connection.fetchval(_TURN):
            return 0
        changed = [row for row in await connection.fetch(_CHANNELS) if row["before"] is not None]
        at = clock.now().isoformat(timespec="seconds")
        for row in changed:
            said = {
                "channel": row["name"], "state": row["state"], "before": row["before"], "at": at,
                "error": row["last_error"] if row["state"] == "down" else "",
            }  # fmt: skip
            told = [(account_id, said) for account_id in account_ids]
            await events.record(connection, "channel.state", told, ids=ids, subject=row["id"])
    return len(changed)
