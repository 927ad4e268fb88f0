"""Tells accounts what nobody else tells them: that their balance is low, that a channel has gone or come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from smsgw.pipeline.events import EventHub
from smsgw.pipeline.periodic import Periodic
from smsgw.pipeline.snapshot import Snapshots
from smsgw.store.engine.database import Database
from smsgw.store.messages import account_events as store

BALANCE_EVERY = 10.0
CHANNELS_EVERY = 5.0


class AccountEvents:
    """The jobs of one node; on several nodes they exclude each other by locks."""

    def __init__(self, database: Database, snapshots: Snapshots, hub: EventHub, ids: Callable[[], int]) -> None:
        self._database = database
        self._snapshots = snapshots
        self._hub = hub
        self._ids = ids

    def periodics(self) -> Sequence[Periodic]:
        """What comes round."""
        return (
            Periodic("account_events.balance", BALANCE_EVERY, self.balance, jitter=BALANCE_EVERY / 10),
            Periodic("account_events.channels", CHANNELS_EVERY, self.channels, jitter=CHANNELS_EVERY / 10),
        )

    async def balance(self) -> None:
        """``balance.low``, once for each time that an account falls below its mark."""
        told = await store.tell_low_balances(self._database, self._ids)
        self._hub.notify(told, "balance.low")

    async def channels(self) -> None:
        """``channel.state`` to the accounts that have asked for it by name."""
        accounts = self._snapshots.current.hooks.subscribers("channel.state")
        if await store.tell_channels(self._database, accounts, self._ids):
            self._hub.notify(accounts, "channel.state")
