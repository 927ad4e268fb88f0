"""Slows down those who guess passwords, by address and by user name, without shutting out the rightful user.

No clock in it: ``now`` is in seconds, monotonic. All maps have a limit; the oldest entry goes first.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from enum import Enum, auto
from typing import TypeVar

from smsgw.core.bucket import TokenBucket

K = TypeVar("K")

MAX_ENTRIES = 20_000
GOOD_FOR = 30 * 86_400.0
"""Seconds for which an address counts as a user's own after a login from it."""
NOTED_EVERY = 86_400.0
"""Seconds after which a login from a user's own address is news again."""
FAILURES_AT_ONCE = 5
"""Wrong logins of an address, or for a user name, before it is slowed down …"""
FAILURES_PER_SECOND = 0.2
"""… to so many."""
BINDS_AT_ONCE = 30
"""Logins of a user from an address, right or wrong, before they are slowed down …"""
BINDS_PER_SECOND = 5.0
"""… to so many."""


def network_of(ip: str) -> str:
    """What counts as one address: of IPv6 the network of 64 bits, all of which one customer has."""
    if ":" not in ip:
        return ip
    return str(ipaddress.ip_network((ip.partition("%")[0], 64), strict=False))


class Verdict(Enum):
    """What becomes of a login attempt before its password is looked at."""

    ASK = auto()
    LATER = auto()
    """Refused unseen."""


class Guard:
    """Remembers failures, and which addresses are good for which users."""

    def __init__(self, *, max_entries: int = MAX_ENTRIES) -> None:
        self._max = max_entries
        self._failures: OrderedDict[str, TokenBucket] = OrderedDict()
        self._binds: OrderedDict[tuple[str, str], TokenBucket] = OrderedDict()
        self._good: OrderedDict[tuple[str, str], float] = OrderedDict()
        self.slowed = 0
        """Attempts that were refused unseen."""

    def judge(self, ip: str, user: str, now: float) -> Verdict:
        """Whether a login may be tried now. A user's own address is never shut out by what others do."""
        ip = network_of(ip)
        binds = self._bucket(self._binds, (ip, user), BINDS_PER_SECOND, BINDS_AT_ONCE, now)
        if not binds.take(now):
            self.slowed += 1
            return Verdict.LATER
        if self._knows(ip, user, now):
            return Verdict.ASK
        for key in (f"ip/{ip}", f"user/{user}"):
            bucket = self._failures.get(key)
            if bucket is not None and not bucket.left(now):
                self.slowed += 1
                return Verdict.LATER
        return Verdict.ASK

    def failed(self, ip: str, user: str, now: float) -> None:
        """Name or password was wrong. From the user's own address it is a mistake of the user's, no attack on it."""
        ip = network_of(ip)
        keys = [f"ip/{ip}"] if self._knows(ip, user, now) else [f"ip/{ip}", f"user/{user}"]
        for key in keys:
            self._bucket(self._failures, key, FAILURES_PER_SECOND, FAILURES_AT_ONCE, now).take(now)

    def succeeded(self, ip: str, user: str, now: float) -> bool:
        """It was right: the address is the user's own. True when others should hear of it."""
        key = network_of(ip), user
        before = self._good.get(key)
        if before is not None and now - before < NOTED_EVERY:
            self._good.move_to_end(key)
            return False
        self.learn(*key, now)
        return True

    def learn(self, network: str, user: str, now: float) -> None:
        """The user has logged in from there, on this node or another, now or before."""
        self._good[network, user] = now
        self._good.move_to_end((network, user))
        if len(self._good) > self._max:
            self._good.popitem(last=False)

    def _knows(self, network: str, user: str, now: float) -> bool:
        """Whether this user has logged in from there before."""
        at = self._good.get((network, user))
        return at is not None and now - at < GOOD_FOR

    def _bucket(
        self, buckets: OrderedDict[K, TokenBucket], key: K, rate: float, burst: float, now: float
    ) -> TokenBucket:
        bucket = buckets.get(key)
        if bucket is None:
            bucket = buckets[key] = TokenBucket(rate, burst, now=now)
            if len(buckets) > self._max:
                buckets.popitem(last=False)
        else:
            buckets.move_to_end(key)
        return bucket
