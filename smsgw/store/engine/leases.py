"""Leases: who owns a channel or a job right now, fenced by an epoch that is never used twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from smsgw.runtime.aio import boottime
from smsgw.store.engine.database import Connection, Database

TTL = 15.0
"""Seconds a lease lives without renewal."""
RENEW_EVERY = 3.0
MARGIN = 2.0
"""A holder stops this many seconds before the database would give the lease away."""

# A restarted node takes its own leases back at once: only one process has its number (store/engine/nodes.py), and
# whoever gets the number of another does not get its leases.
_ACQUIRE = """
INSERT INTO lease AS l (resource, node, epoch, expires_at)
VALUES ($1, $2, nextval('lease_epoch'), clock_timestamp() + $3 * interval '1 second')
ON CONFLICT (resource) DO UPDATE
SET node = excluded.node, epoch = excluded.epoch, expires_at = excluded.expires_at
WHERE l.expires_at < clock_timestamp() OR l.node = excluded.node
RETURNING epoch
"""

_RENEW = """
UPDATE lease l SET expires_at = clock_timestamp() + $4 * interval '1 second'
FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS held(resource, epoch, next)
WHERE l.resource = held.resource AND l.epoch IN (held.epoch, held.next) AND l.expires_at > clock_timestamp()
RETURNING held.epoch
"""

# Waits for a claim that is under way: it holds the row (store/messages/claiming.py). One that has not
# come so far finds nothing.
_REISSUE = """
UPDATE lease SET epoch = $4, expires_at = clock_timestamp() + $5 * interval '1 second'
WHERE resource = $1 AND node = $2 AND epoch IN ($3, $4) AND expires_at > clock_timestamp()
RETURNING epoch
"""

_RELEASE = "UPDATE lease SET expires_at = clock_timestamp() WHERE resource = $1 AND node = $2 AND epoch IN ($3, $4)"


@dataclass(slots=True)
class Lease:
    """A held lease. ``deadline`` is on this machine's boot-time clock, so a frozen process knows it is late."""

    resource: str
    node: int
    epoch: int
    deadline: float
    released: bool = False
    next_epoch: int = 0
    """A new epoch that was asked for, while it is not known whether it is in force; 0: none."""
    epochs: set[int] = field(default_factory=set)
    """Under which something of ours may be claimed: the one in force, and those before it that were given up."""

    def __post_init__(self) -> None:
        self.epochs.add(self.epoch)

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
    epochs = [(lease.epoch, lease.next_epoch) for lease in held]
    rows = await database.fetch(
        _RENEW, [lease.resource for lease in held], [e[0] for e in epochs], [e[1] for e in epochs], TTL
    )
    renewed = {row["epoch"] for row in rows}
    ended = []
    for lease, (epoch, next_epoch) in zip(held, epochs, strict=True):
        if epoch in renewed:
            if not lease.released:
                lease.deadline = max(lease.deadline, asked + TTL - MARGIN)
        elif (lease.epoch, lease.next_epoch) == (epoch, next_epoch):  # else another was asked for meanwhile
            lease.deadline = 0.0
            ended.append(lease)
    return ended


async def reissue(connection: Connection, lease: Lease) -> bool:
    """Go on under a new epoch; False when the lease is over.

    When this returns, whatever was claimed under the old epoch is committed and can be seen, and nothing more will be,
    even by statements that were given up and are still on their way. May be repeated until its outcome is known.
    """
    if not lease.next_epoch:
        lease.next_epoch = await connection.fetchval("SELECT nextval('lease_epoch')")
    asked = boottime()
    epoch = await connection.fetchval(_REISSUE, lease.resource, lease.node, lease.epoch, lease.next_epoch, TTL)
    lease.next_epoch = 0
    if epoch is None:
        lease.deadline = 0.0
        return False
    lease.epoch = epoch
    lease.epochs.add(epoch)
    if not lease.released:
        lease.deadline = max(lease.deadline, asked + TTL - MARGIN)
    return True


async def release(database: Database, lease: Lease) -> None:
    """Give the lease back."""
    lease.released = True
    lease.deadline = 0.0
    await database.execute(_RELEASE, lease.resource, lease.node, lease.epoch, lease.next_epoch)


_END_OF = """
UPDATE lease SET expires_at = clock_timestamp()
WHERE node = $1 AND resource NOT LIKE 'node/%' AND expires_at > clock_timestamp()
"""


async def end_of(database: Database, node: int) -> None:
    """The process of this node is certain to exist no more: nobody need wait for what it has leased."""
    await database.execute(_END_OF, node)


_HELD = "SELECT resource FROM lease WHERE resource = ANY($1::text[]) AND expires_at > clock_timestamp()"


async def held(database: Database, resources: Sequence[str]) -> set[str]:
    """Which of the leases somebody has."""
    return {row["resource"] for row in await database.fetch(_HELD, list(resources))}


_HOLDERS = """
SELECT l.resource, l.node, COALESCE(n.place, '') AS place FROM lease l LEFT JOIN node n ON n.number = l.node
WHERE l.expires_at > clock_timestamp() AND (l.resource LIKE 'node/%' OR l.resource LIKE 'channel/%')
"""
_WORKER = re.compile(r"/workers/[0-9]{1,4}$")


async def holders(database: Database, *, timeout: float) -> tuple[dict[int, str], dict[int, int]]:  # noqa: ASYNC109
    """Each node that lives, with its machine (workers of one installation have the same); each channel that somebody
    has, with the node."""
    live, held = {}, {}
    for row in await database.fetch(_HOLDERS, timeout=timeout):
        kind, _, id_ = row["resource"].partition("/")
        if kind == "channel":
            held[int(id_)] = row["node"]
        else:
            live[row["node"]] = _WORKER.sub("", row["place"]) or f"node {row['node']}"
    return live, held


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
