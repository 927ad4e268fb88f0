"""The limiter of logins, one for every edge: who guesses passwords is slowed down, who is right gets in.

Nobody is locked out, for then whoever guesses could lock out whom he likes. What is wrong is counted four ways, so that
each of them can be strict without meeting the rightful person:

* by place and user: waits that grow. A place is a network, or a device that the user has logged in from (its cookie
  proves it): what others do elsewhere does not slow down a user's own device;
* by network, for users who are strangers to it: one address cannot go through the names;
* by user, for networks that have been wrong about this user several times: together they cannot go through the words;
* by user, for all others, far more: who comes from a new address during an attack is not taken for one of those.

No clock in it: ``now`` is in seconds, monotonic. All maps have a limit; the oldest entry goes first. What is counted is
this process's own, with what other nodes tell of theirs (``hear``), and gone with it: an attacker who waits for a
restart gets his first tries again, no more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from smsgw.core.addresses import place_of, site_of
from smsgw.core.bucket import TokenBucket

K = TypeVar("K")
V = TypeVar("V")

MAX_ENTRIES = 20_000
GOOD_FOR = 30 * 86_400.0
"""Seconds for which a network counts as a user's own after a login from it."""
NOTED_EVERY = 86_400.0
"""Seconds after which a login from a user's own network is news again."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and then so many per second."""

    at_once: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient an edge is with those who are wrong."""

    network: Rate
    """Wrong logins of a network, for users who have not logged in from there."""
    user: Rate
    """Wrong logins for a user from networks that are not the user's own …"""
    newcomers: Rate
    """… and these, from sites with less than ``newcomer`` of them."""
    attempts: Rate
    """Logins of a user from one place, right or wrong."""
    newcomer: Rate = Rate(3, 3 / 900)
    free: int = 5
    """Wrong logins of a user from one place without a wait; after that each is followed by one, 2 s, 4 s, 8 s …"""
    longest: float = 60.0
    """… up to this, in seconds."""
    spares_own: bool = False
    """No such waits at a network that is the user's own: for users that have no device with a cookie."""


PORTAL = Limits(network=Rate(30, 0.2), user=Rate(5, 0.2), newcomers=Rate(300, 2.0), attempts=Rate(10, 0.5))
FACTORS = Limits(
    network=Rate(10, 1 / 60), user=Rate(5, 1 / 360), newcomers=Rate(10, 1 / 360), attempts=Rate(10, 0.5), longest=900.0
)
"""Of second factors, by people whose password was right: a code of an app is one of a million, and three are good."""
PARTNERS = Limits(
    network=Rate(10, 0.2), user=Rate(5, 0.2), newcomers=Rate(300, 2.0), attempts=Rate(30, 5.0), spares_own=True
)


class Bounded(Generic[K, V]):
    """A map with a limit: what was longest unused goes first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[K, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """What is there; does not count as a use."""
        return self._entries.get(key)

    def put(self, key: K, value: V) -> None:
        """Set, and use."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget."""
        self._entries.pop(key, None)

    def keys(self) -> list[K]:
        """All of them."""
        return list(self._entries)


class Buckets(Generic[K]):
    """Token buckets of one rate, by key. What was never used is full and takes no room."""

    def __init__(self, rate: Rate, limit: int = MAX_ENTRIES) -> None:
        self._rate = rate
        self._buckets: Bounded[K, TokenBucket] = Bounded(limit)

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: K, now: float) -> bool:
        """Take one; False when there was none."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = TokenBucket(self._rate.per_second, self._rate.at_once, now=now)
        self._buckets.put(key, bucket)
        return bool(bucket.take(now))

    def give_back(self, key: K) -> None:
        """One more may be taken."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.give_back(1)

    def wait(self, key: K, now: float) -> float:
        """Seconds until there is one."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else bucket.next_at(now) - now

    def forget(self, chosen: Callable[[K], bool]) -> None:
        """Fill those again whose key is chosen."""
        for key in filter(chosen, self._buckets.keys()):
            self._buckets.drop(key)

    def full(self, key: K, now: float) -> bool:
        """Whether none was taken lately."""
        bucket = self._buckets.get(key)
        return bucket is None or bucket.left(now) >= self._rate.at_once


class Waits(Generic[K]):
    """Waits from 2 s to ``longest`` seconds, doubling, once there were ``free`` failures; forgotten in time."""

    FORGET = 900.0
    """Seconds without a failure after which those before count no more."""

    def __init__(self, free: int, longest: float, limit: int = MAX_ENTRIES) -> None:
        self._free = free
        self._longest = longest
        self._failures: Bounded[K, tuple[int, float]] = Bounded(limit)

    def __len__(self) -> int:
        return len(self._failures)

    def failed(self, key: K, now: float) -> float:
        """One more; gives the seconds to wait."""
        count, last = self._failures.get(key) or (0, now)
        self._failures.put(key, (1 if now - last > self.FORGET else count + 1, now))
        return self.left(key, now)

    def left(self, key: K, now: float) -> float:
        """Seconds that are left to wait."""
        count, last = self._failures.get(key) or (0, now)
        if count < self._free or now - last > self.FORGET:
            return 0.0
        return max(0.0, last + min(self._longest, 2.0 ** min(count - self._free + 1, 30)) - now)

    def forget(self, key: K) -> None:
        """It was right."""
        self._failures.drop(key)

    def forget_all(self, chosen: Callable[[K], bool]) -> None:
        """Those whose key is chosen count no more."""
        for key in filter(chosen, self._failures.keys()):
            self._failures.drop(key)


Listener = Callable[[str, str, str, str], None]


class Guard:
    """Remembers who was wrong, and which networks are whose. ``device`` names a device of the user's own."""

    def __init__(self, limits: Limits, *, max_entries: int = MAX_ENTRIES) -> None:
        self._limits = limits
        self.listeners: list[Listener] = []
        """Called with what has happened here, address, user and device; they must be quick."""
        self._waits: Waits[tuple[str, str]] = Waits(limits.free, limits.longest, max_entries)
        self._attempts: Buckets[tuple[str, str]] = Buckets(limits.attempts, max_entries)
        self._networks: Buckets[str] = Buckets(limits.network, max_entries)
        self._users: Buckets[str] = Buckets(limits.user, max_entries)
        self._newcomers: Buckets[str] = Buckets(limits.newcomers, max_entries)
        self._sites: Buckets[tuple[str, str]] = Buckets(limits.newcomer, max_entries)
        self._good: Bounded[tuple[str, str], float] = Bounded(max_entries)
        self.slowed = 0
        """Attempts that were refused unseen."""

    def wait(self, ip: str, user: str, now: float, device: str = "") -> float:
        """Seconds until a login may be tried; 0 is now. Changes nothing."""
        network = place_of(ip)
        place = device or network
        own = self.knows(ip, user, now)
        wait = self._attempts.wait((place, user), now)
        if device or not (own and self._limits.spares_own):
            wait = max(wait, self._waits.left((place, user), now))
        if not (device or own):
            wait = max(wait, self._networks.wait(network, now), self._of_user(ip, user, now).wait(user, now))
        return wait

    def admit(self, ip: str, user: str, now: float, device: str = "") -> float:
        """Count an attempt whose password will be looked at now: 0; or the seconds it has to wait, refused unseen."""
        wait = self.wait(ip, user, now, device)
        if wait:
            self.slowed += 1
        else:
            self._attempts.take((device or place_of(ip), user), now)
            self._tell("admitted", ip, user, device)
        return wait

    def hear(self, what: str, ip: str, user: str, now: float, device: str = "") -> None:
        """It has happened at this edge of another node; what is none of it is passed over."""
        match what:
            case "admitted":
                self._attempts.take((device or place_of(ip), user), now)
            case "failed":
                self._failed(ip, user, now, device)
            case "succeeded":
                self._succeeded(ip, user, now, device)
            case "forgiven":
                self._forgive(user)

    def _tell(self, what: str, ip: str, user: str, device: str) -> None:
        for listener in self.listeners:
            listener(what, ip, user, device)

    def failed(self, ip: str, user: str, now: float, device: str = "") -> None:
        """Name or password was wrong. From a place of the user's own it is a mistake of the user's, no attack on it."""
        self._failed(ip, user, now, device)
        self._tell("failed", ip, user, device)

    def _failed(self, ip: str, user: str, now: float, device: str) -> None:
        network = place_of(ip)
        self._waits.failed((device or network, user), now)
        if device:
            return
        self._networks.take(network, now)
        if not self.knows(ip, user, now):
            self._of_user(ip, user, now).take(user, now)
            self._sites.take((site_of(ip), user), now)

    def succeeded(self, ip: str, user: str, now: float, device: str = "") -> bool:
        """It was right: the network is the user's own. True when others should hear of it.

        What the network was wrong about for other users stays counted.
        """
        self._tell("succeeded", ip, user, device)
        return self._succeeded(ip, user, now, device)

    def _succeeded(self, ip: str, user: str, now: float, device: str) -> bool:
        network = place_of(ip)
        self._waits.forget((device or network, user))
        before = self._good.get((network, user))
        if before is not None and now - before < NOTED_EVERY:
            return False
        self.learn(network, user, now)
        return True

    def learn(self, network: str, user: str, now: float) -> None:
        """The user has logged in from there, on this node or another, now or before."""
        self._good.put((network, user), now)

    def forgive(self, user: str) -> None:
        """Somebody in charge says so: what was wrong about this user counts no more. What networks were wrong about
        stays counted for them."""
        self._forgive(user)
        self._tell("forgiven", "", user, "")

    def _forgive(self, user: str) -> None:
        self._waits.forget_all(lambda key: key[1] == user)
        self._attempts.forget(lambda key: key[1] == user)
        self._sites.forget(lambda key: key[1] == user)
        for users in (self._users, self._newcomers):
            users.forget(lambda key: key == user)

    def spotless(self, ip: str, now: float) -> bool:
        """Whether nothing was wrong from there lately."""
        return self._networks.full(place_of(ip), now)

    def knows(self, ip: str, user: str, now: float) -> bool:
        """Whether this user has logged in from there before."""
        at = self._good.get((place_of(ip), user))
        return at is not None and now - at < GOOD_FOR

    def _of_user(self, ip: str, user: str, now: float) -> Buckets[str]:
        new = not self._sites.wait((site_of(ip), user), now)
        return self._newcomers if new else self._users
