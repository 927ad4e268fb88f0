"""From a message to the pool it queues in, and from a channel to the pools it pulls from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from smsgw.core import numbers
from smsgw.core.ids import CHINA
from smsgw.core.model import TEST_CHANNEL, TEST_POOL, TEST_POOL_NAME, ChannelSpec, MessageType
from smsgw.core.numbers import Segments
from smsgw.core.routes import DEFAULT_POOL, Considered, RouteTable, Subject
from smsgw.pipeline.snapshot import Snapshots

CARRIER_ZH = {
    numbers.CMCC: "中国移动",
    numbers.CUCC: "中国联通",
    numbers.CTCC: "中国电信",
    numbers.CBN: "中国广电",
    numbers.INTL: "国际/港澳台",
    numbers.UNKNOWN: "未知号段",
}


@dataclass(frozen=True, slots=True)
class Membership:
    """How a channel belongs to a pool."""

    weight: int = 1
    standby: bool = False


def membership(spec: ChannelSpec, pool: str, table: RouteTable) -> Membership | None:
    """Whether and how a channel pulls from a pool.

    The route table names the channels of its pools; a built-in pool has every channel that serves its carrier (no
    carriers given: all of them).
    """
    if spec.id == TEST_CHANNEL or pool == TEST_POOL_NAME:  # they are for each other and for nobody else
        return Membership() if spec.id == TEST_CHANNEL and pool == TEST_POOL_NAME else None
    if pool in table.pools:
        for member in table.members(pool):
            if member.channel == spec.name:
                return Membership(member.weight, member.standby)
        return None
    if pool in DEFAULT_POOL.values() and (not spec.carriers or pool in spec.carriers):
        return Membership()
    return None


def pools_of(spec: ChannelSpec, pools: Mapping[str, int], table: RouteTable) -> dict[int, Membership]:
    """Pool id -> membership, for every pool that a channel pulls from."""
    return {
        pool_id: found
        for name, pool_id in sorted(pools.items())
        if (found := membership(spec, name, table)) is not None
    }


@dataclass(frozen=True, slots=True)
class Home:
    """Whose a number is, and how that is known."""

    carrier: str
    province: str
    known_by: str
    """``override`` (ported, imported), ``segment`` (segment table), ``country`` (abroad) or ``default`` (unknown)."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a message goes."""

    home: Home
    pool: str
    pool_id: int


class Router:
    """Routes by the table in force.

    ``available(pool)`` says whether a channel of the pool can take messages now; ``ascii_only(pool)`` whether one of
    them cannot carry GSM 7-bit text beyond ASCII (CMPP); ``single_limit(pool)`` how many of its characters all of them
    take in one part; ``marketing_open(pool)`` whether complaints leave a channel of
    it for marketing.
    """

    def __init__(
        self,
        segments: Segments,
        snapshots: Snapshots,
        *,
        available: Callable[[str], bool],
        ascii_only: Callable[[str], bool],
        single_limit: Callable[[str], int] = lambda _: 160,
        marketing_open: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._segments = segments
        self._snapshots = snapshots
        self._available = available
        self.ascii_only = ascii_only
        self.single_limit = single_limit
        self.marketing_open = marketing_open

    def home(self, number: str) -> Home:
        """The carrier and province of an E.164 number."""
        known = self._snapshots.current.overrides.home(number)
        if known is not None:
            return Home(known.carrier, known.province, "override")
        if not number.startswith("86"):
            return Home(numbers.INTL, "", "country")
        segment = self._segments.home(number)
        if segment is None or segment.carrier == numbers.UNKNOWN:
            return Home(numbers.UNKNOWN, segment.province if segment else "", "default")
        return Home(segment.carrier, segment.province, "segment")

    def route(
        self, account: str, kind: MessageType, number: str, home: Home, sign: str, content: str, now: datetime
    ) -> Route:
        """Where a message goes."""
        table = self._snapshots.current.table
        if table.rules:
            pool = table.pool_for(_subject(account, kind, number, home, sign, content, now))
        else:
            pool = DEFAULT_POOL[home.carrier]
        return Route(home, pool, self._snapshots.current.pools[pool])

    def explain(
        self, account: str, kind: MessageType, number: str, home: Home, sign: str, content: str, now: datetime
    ) -> tuple[int, list[Considered]]:
        """The table's version and every rule that was looked at, up to the one that decides."""
        table = self._snapshots.current.table
        return table.version, table.explain(_subject(account, kind, number, home, sign, content, now))[1]

    @staticmethod
    def test_route(home: Home) -> Route:
        """Where a test message goes, whatever the table says."""
        return Route(home, TEST_POOL_NAME, TEST_POOL)

    def unavailable(self, pools: Iterable[str]) -> list[str]:
        """Those of the pools that no channel can serve now."""
        return [pool for pool in pools if not self._available(pool)]


def _subject(
    account: str, kind: MessageType, number: str, home: Home, sign: str, content: str, now: datetime
) -> Subject:
    return Subject(
        account, kind, number, home.carrier, home.province, sign, content, now.astimezone(CHINA).time()
    )
