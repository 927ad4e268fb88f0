"""Leases: who owns a channel or a job right now, fenced by an epoch that is never used twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smsgw.aio import boottime
from smsgw.store.db import Database

TTL = 15.0
"""Seconds a lease lives without renewal."""
RENEW_EVERY = 3.0
MARGIN = 2.0
"""A holder stops this many seconds before the database would give the lease away."""

# A restarted node takes its own leases back at once: only one process has its number (store/nodes.py), and whoever gets
# the number of another does not get its leases.
_ACQUIRE = """
INSERT INTO lease AS l (resource, node, epoch, expires_at)
VALUES ($1, $2, nextval('lease_epoch'), clock_timestamp() + $3 * interval '1 second')
ON CONFLICT (resource) DO UPDATE
SET node = excluded.node, epoch = excluded.epoch, expires_at = excluded.expires_at
WHERE l.expires_at < clock_timestamp() OR l.node = excluded.node
RETURNING epoch
"""

_RENEW = """
UPDATE lease l SET expires_at = clock_timestamp() + $3 * interval '1 second'
FROM unnest($1::text[], $2::bigint[]) AS held(resource, epoch)
WHERE l.resource = held.resource AND l.epoch = held.epoch AND l.expires_at > clock_timestamp()
RETURNING l.epoch
"""

_RELEASE = "UPDATE lease SET expires_at = clock_timestamp() WHERE resource = $1 AND node = $2 AND epoch = $3"


@dataclass(slots=True)
class Lease:
    """A held lease. ``deadline`` is on this machine's boot-time clock, so a frozen process knows it is late."""

    resource: str
    node: int
    epoch: int
    deadline: float
    released: bool = False

    @property
    def lost(self) -> bool:
        """The database has said that it is over (a deadline that has only passed may still be prolonged)."""
        return self.deadline == 0.0

    def still_mine(self) -> bool:
        """Whether we may still act as the owner; checked before every write to a carrier."""
        return boottime() < self.deadline


async def acquire(database: Database, resource: str, node: int) -> Lease | None:
    """Take the lease if it is free, expired or our own; None while another node holds it."""
    asked = boottime()
    epoch = await database.fetchval(_ACQUIRE, resource, node, TTL)
    return None if epoch is None else Lease(resource, node, epoch, asked + TTL - MARGIN)


async def renew(database: Database, held: Sequence[Lease]) -> list[Lease]:
    """Prolong the leases, all at once; those that are no longer ours (they have ended)."""
    if not held:
        return []
    asked = boottime()
    rows = await database.fetch(
        _RENEW, [lease.resource for lease in held], [lease.epoch for lease in held], TTL
    )
    renewed = {row["epoch"] for row in rows}
    for lease in held:
        if lease.released:
            continue
        lease.deadline = asked + TTL - MARGIN if lease.epoch in renewed else 0.0
    return [lease for lease in held if lease.epoch not in renewed]


async def release(database: Database, lease: Lease) -> None:
    """Give the lease back."""
    lease.released = True
    lease.deadline = 0.0
    await database.execute(_RELEASE, lease.resource, lease.node, lease.epoch)


_ACQUIRE_MANY = """
INSERT INTO lease AS l (resource, node, epoch, expires_at)
SELECT r, $2, nextval('lease_epoch'), clock_timestamp() + $3 * interval '1 second'
FROM unnest($1::text[]) AS r ORDER BY r
ON CONFLICT (resource) DO UPDATE
SET node = excluded.node, epoch = excluded.epoch, expires_at = excluded.expires_at
WHERE l.expires_at < clock_timestamp() OR l.node = excluded.node
RETURNING resource, epoch
"""


async def acquire_many(database: Database, resources: Sequence[str], node: int) -> dict[str, Lease]:
    """Take those of the leases that are free, expired or our own."""
    if not resources:
        return {}
    asked = boottime()
    rows = await database.fetch(_ACQUIRE_MANY, sorted(set(resources)), node, TTL)
    return {row["resource"]: Lease(row["resource"], node, row["epoch"], asked + TTL - MARGIN) for row in rows}
