"""What every channel of a node shares."""

from __future__ import annotations

from dataclasses import dataclass, field

from smsgw.channels.pool_shares import PoolShares
from smsgw.channels.wire.listener import Listeners, Numberings
from smsgw.core.ids import IdSource
from smsgw.pipeline.fleet import Fleet
from smsgw.pipeline.heartbeat import Cluster
from smsgw.pipeline.outcomes.submit_log import SubmitLog
from smsgw.pipeline.outcomes.writer import Outcomes
from smsgw.pipeline.snapshot import Snapshots
from smsgw.store.engine.database import Database
from smsgw.store.engine.journal import Journal


@dataclass(frozen=True, slots=True)
class Services:
    """Made with the node."""

    dsn: str
    leasing: Database
    """Where leases are taken and prolonged: nothing else waits for its connections."""
    cluster: Cluster
    ids: IdSource
    snapshots: Snapshots
    journal: Journal
    outcomes: Outcomes
    fleet: Fleet
    shares: PoolShares
    listeners: Listeners
    submits: SubmitLog
    numberings: Numberings = field(default_factory=Numberings)

    @property
    def halted(self) -> frozenset[int]:
        """Accounts of which nothing is sent."""
        return self.snapshots.current.halted
