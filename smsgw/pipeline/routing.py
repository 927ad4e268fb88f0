"""From a number to the pool its message queues in, and whether anything pulls from that pool now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from smsgw.core import numbers
from smsgw.core.model import ChannelSpec
from smsgw.core.numbers import Segments

POOL_OF = {
    numbers.CMCC: "CMCC",
    numbers.CUCC: "CUCC",
    numbers.CTCC: "CTCC",
    numbers.CBN: "CBN",
    numbers.INTL: "INTL",
    # A segment nobody knows is most likely China Mobile's: by far the largest.
    numbers.UNKNOWN: "CMCC",
}

CARRIER_ZH = {
    numbers.CMCC: "中国移动",
    numbers.CUCC: "中国联通",
    numbers.CTCC: "中国电信",
    numbers.CBN: "中国广电",
    numbers.INTL: "国际/港澳台",
    numbers.UNKNOWN: "未知号段",
}


def serves(spec: ChannelSpec, pool: str) -> bool:
    """Whether a channel pulls from a pool: no carriers given means all of them."""
    return not spec.carriers or pool in spec.carriers


def pools_of(spec: ChannelSpec, pools: Mapping[str, int]) -> list[int]:
    """The ids of the pools a channel pulls from."""
    return [pool_id for name, pool_id in sorted(pools.items()) if serves(spec, name)]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a message goes, and how that was found."""

    carrier: str
    province: str
    pool: str
    pool_id: int
    known_by: str
    """``segment`` (number segment table), ``country`` (not mainland) or ``default`` (segment unknown)."""


class Router:
    """Routes by carrier.

    ``available(pool)`` says whether a channel of the pool can take messages now; ``ascii_only(pool)`` whether one of
    them cannot carry GSM 7-bit text beyond ASCII (CMPP).
    """

    def __init__(
        self,
        segments: Segments,
        pools: Callable[[], Mapping[str, int]],
        *,
        available: Callable[[str], bool],
        ascii_only: Callable[[str], bool],
    ) -> None:
        self._segments = segments
        self._pools = pools
        self._available = available
        self.ascii_only = ascii_only

    def route(self, number: str) -> Route:
        """The route of an E.164 number."""
        home = self._segments.home(number)
        carrier = numbers.carrier_of(number, self._segments)
        known_by = (
            "country" if carrier == numbers.INTL else "default" if carrier == numbers.UNKNOWN else "segment"
        )
        pool = POOL_OF[carrier]
        return Route(carrier, home.province if home else "", pool, self._pools()[pool], known_by)

    def unavailable(self, pools: Iterable[str]) -> list[str]:
        """Those of the pools that no channel can serve now."""
        return [pool for pool in pools if not self._available(pool)]
