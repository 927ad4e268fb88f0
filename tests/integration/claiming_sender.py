"""A channel that only claims: what it has in hand the test decides."""

from __future__ import annotations

import asyncio

from composing import services
from ledger import NODE, POOL, Ledger

from smsgw.channels.claims import Claims
from smsgw.channels.pool_shares import PoolShares
from smsgw.core.model import Claimed
from smsgw.pipeline.fleet import Membership
from smsgw.store.engine import leases
from smsgw.store.engine.database import CONFLICT, OUTAGE


class Neighbour:
    def healthy(self) -> bool:
        return True

    def has_room(self) -> bool:
        return True


class Sender:
    """A channel that claims and has everything in hand until the test takes it away."""

    def __init__(self, ledger: Ledger, lease: leases.Lease) -> None:
        shares = PoolShares(asyncio.get_running_loop().time)
        pools = {POOL: Membership()}
        self.channel_id = ledger.channels["a"]
        shares.join(self.channel_id, Neighbour(), pools)
        self.lease = lease
        self.services = services(ledger.dsn, NODE, ledger.journal, ledger.outcomes, shares, ledger.ids)
        self.claims = Claims(self.channel_id, "a", lease, pools, self.services)
        self.in_hand: list[Claimed] = []
        ledger.journal.own(lease.epoch)

    async def take(self, room: int = 1000) -> list[Claimed]:
        self.claims.look_everywhere()
        try:
            claimed = await self.claims.take(room, urgent=False, in_hand=self.in_hand)
        except (*OUTAGE, *CONFLICT):
            self.claims.drop()
            raise
        self.in_hand += claimed
        return claimed
