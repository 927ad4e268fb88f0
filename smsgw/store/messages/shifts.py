"""Channels that get less of what their pools hold, as all nodes know it."""

from __future__ import annotations

from collections.abc import Mapping

from smsgw.core.shifting import Shift
from smsgw.store.engine.database import Connection, Database
from smsgw.store.engine.rows import each

_READ = "SELECT channel_id, since, low_at, rate, ended, better, better_rate FROM channel_shift ORDER BY channel_id"
_PUT = """
INSERT INTO channel_shift (channel_id, since, low_at, rate, ended, better, better_rate)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (channel_id) DO UPDATE SET since = excluded.since, low_at = excluded.low_at, rate = excluded.rate,
    ended = excluded.ended, better = excluded.better, better_rate = excluded.better_rate
"""
_END = "DELETE FROM channel_shift WHERE channel_id <> ALL($1::int[])"


async def read(database: Database | Connection) -> dict[int, Shift]:
    """By channel."""
    rows = await database.fetch(_READ)
    return dict(each("channel_shift", rows, lambda row: (row["channel_id"], Shift(*row.values()))))


async def keep(connection: Connection, shifts: Mapping[int, Shift]) -> None:
    """These and no others."""
    await connection.execute(_END, list(shifts))
    for one in shifts.values():
        await connection.execute(
            _PUT, one.channel_id, one.since, one.low_at, one.rate, one.ended, one.better, one.better_rate
        )
