"""Stand-ins for what a part asks: everything goes, unless the test says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from snapshots import FixedSnapshots

from smsgw.core.errors import Reason
from smsgw.core.model import Account, MessageType, Report
from smsgw.core.numbers import Segments
from smsgw.core.url_filings import Link
from smsgw.pipeline.fleet import Fleet, Queue
from smsgw.pipeline.routing import Router
from smsgw.pipeline.snapshot import Snapshot
from smsgw.store.engine.database import Row


@dataclass
class Alone:
    """A cluster of one."""

    node: int = 1
    live: int = 1
    away: bool = False

    def share(self, account_id: int, rate: float, asked: int) -> float:
        """All of it, or an equal part."""
        return rate / self.live


class NoTeller:
    """Tells nobody of alarms."""

    holds = False

    async def unstored(self, standing: object) -> None: ...

    async def settle(self) -> None: ...

    async def enter(self, connection: object) -> Sequence[tuple[str, str]]:
        """Nothing."""
        return ()

    async def entered(self, keys: object) -> None: ...


class NoComplaints:
    """Nobody complains."""

    def marketing_stopped(self, channel_id: int) -> bool:
        """No."""
        return False


class AnyFleet(Fleet):
    """Every pool can be served, but for those that are ``blocked``."""

    def __init__(self, blocked: Iterable[str] = (), narrow: Iterable[str] = ()) -> None:
        super().__init__(FixedSnapshots(), NoComplaints())
        self.blocked = blocked if isinstance(blocked, set) else set(blocked)
        self.narrow = set(narrow)
        """Pools that take ASCII alone."""
        self.queues: set[Queue] = set()
        """Announced so far."""
        self.served_by: Callable[[int], frozenset[int]] | None = None

    def available(self, pool: str) -> bool:
        """Unless it is blocked."""
        return pool not in self.blocked

    def ascii_only(self, pool: str) -> bool:
        """Where it is narrow."""
        return pool in self.narrow

    def serving(self, pool_id: int) -> frozenset[int]:
        """Who is named."""
        return frozenset() if self.served_by is None else self.served_by(pool_id)

    def announce(self, queues: set[Queue]) -> None:
        """Remember them."""
        self.queues |= queues


class AnyRouter(Router):
    """Stored messages of other carriers go where ``others`` says."""

    def __init__(self, fleet: Fleet, others: Mapping[str, int] | None = None) -> None:
        super().__init__(Segments(), fleet)
        self.others = dict(others or {})

    def reroute(self, snapshot: Snapshot, message: Row, carrier: str, now: datetime) -> int:
        """By carrier; else the first pool."""
        return self.others.get(carrier, 1)


class NoShortLinks:
    """There are none of ours."""

    def leads_to(self, text: str) -> str:
        """Nothing."""
        return ""

    def target(self, link: Link) -> str:
        """Nowhere."""
        return ""


class NoLists:
    """No number is refused."""

    def refusal(self, number: str, account_id: int, type_: MessageType, sign: str) -> Reason | None:
        """None."""
        return None

    def consented(self, number: str, accounts: Sequence[int]) -> bool:
        """Everybody has."""
        return True

    def withheld(self, number: str, account_id: int, type_: MessageType, kind: str) -> Reason | None:
        """None."""
        return None

    async def follow(self) -> None:
        """There is nothing to follow."""


class NoNumbers:
    """Nothing is known of numbers, and nothing learned."""

    def empty(self, number: str) -> bool:
        """No."""
        return False

    def note(self, rows: Iterable[Row], reports: Sequence[Report]) -> None:
        """Not here."""


class AnyDestination:
    """Messages may name any address."""

    def check_callback(self, account: Account, url: str) -> None:
        """It may."""
