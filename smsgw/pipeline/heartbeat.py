"""The heartbeat of a node: its number is confirmed every other second, and it hears of the others and of the time."""

from __future__ import annotations

import contextlib
import time
from typing import Protocol

from smsgw.core.demand import Demand
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import IdSource
from smsgw.runtime import clock
from smsgw.store.engine import nodes
from smsgw.store.engine.database import Database
from smsgw.store.engine.nodes import Number


class Cluster(Protocol):
    """What a node knows of itself and of the others."""

    @property
    def node(self) -> int:
        """Its number."""

    @property
    def live(self) -> int:
        """Nodes that lived when the database answered last; accounts' rates are divided by them."""

    @property
    def away(self) -> bool:
        """The database did not answer when it was last asked."""

    def share(self, account_id: int, rate: float, asked: int) -> float:
        """What this node may take of an account's rate, of which ``asked`` are wanted now."""


class Heartbeat:
    """One a node; ``beat`` is called every two seconds or so."""

    def __init__(self, database: Database, number: Number, ids: IdSource, demand: Demand) -> None:
        """``demand``: what is asked of accounts here and elsewhere."""
        self._database = database
        self._number = number
        self._ids = ids
        self.live = 1
        """Nodes that lived when the database answered last."""
        self.away = False
        """The database did not answer when it was last asked, or it was not this node's any more."""
        self._demand = demand

    def share(self, account_id: int, rate: float, asked: int) -> float:
        """What the other nodes leave of an account's rate, or an equal part of it where they are not heard."""
        return self._demand.share(account_id, rate, self.live, time.monotonic(), asked)

    @property
    def node(self) -> int:
        """The number of this node."""
        return self._number.number

    async def beat(self) -> None:
        """Confirm the number, and hear. Raises ``NumberTaken`` when it is another's, ``STORAGE_UNAVAILABLE``."""
        try:
            heard = await nodes.beat(self._database, self._number, self._ids.last)
        except Exception:
            self.away = True
            raise
        self.away = False
        clock.hear(heard.word)
        self._ids.seen(heard.newest)
        self.live = heard.live

    async def leave(self) -> None:
        """Give the number back."""
        with contextlib.suppress(SmsgwError):  # the database is away: the lease ends by itself
            await nodes.leave(self._database, self._number, self._ids.last)
