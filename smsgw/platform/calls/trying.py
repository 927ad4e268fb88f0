"""Trying calls of the API from a page (在线调试): a test key of the node's own for some minutes, and what was tried.

The key is in the memory of this node alone. Nobody sees its secret: the server signs, and shows how."""

from __future__ import annotations

import itertools
import secrets
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

from yarl import URL

from smsgw.core.actor import Actor, ActorLabel
from smsgw.core.addresses import Network
from smsgw.core.errors import Refused
from smsgw.core.keys import ApiKey
from smsgw.core.permissions import Permission
from smsgw.core.trying import SCOPES, Operation
from smsgw.platform.change import Change
from smsgw.runtime import clock

LENT = timedelta(minutes=15)
LEAST_LEFT = timedelta(minutes=2)
KEPT = 10
"""Calls of a person that are remembered."""
MOST_PEOPLE = 200
PER_SECOND = 5
PREFIX = "ak_test_page_"
LOOPBACK = tuple(ip_network(text) for text in ("127.0.0.0/8", "::1/128"))
MOST_KEPT = 16 * 1024
"""Octets of an answer that are remembered."""
_CUT = "…"
_FOR_EVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Door:
    """Where a node's own API listens, as it is called from there."""

    origin: str
    certificate: bytes = b""
    """SHA-256 of the only one that is taken for ours; empty: there is no TLS."""

    @property
    def sources(self) -> tuple[Network, ...]:
        """From where such calls come: loopback, or the listener's own address."""
        try:
            return (*LOOPBACK, ip_network(str(URL(self.origin).host)))
        except ValueError:
            return LOOPBACK


def door(urls: Mapping[str, str], certificate: bytes) -> Door:
    """That of a node that listens there. The plain listener beside one for TLS refuses calls, so TLS goes first."""
    url = URL(urls.get("https") or urls.get("http") or "http://127.0.0.1:1").origin()
    try:
        address = ip_address(str(url.host))
    except ValueError:
        pass
    else:
        if address.is_unspecified:
            url = url.with_host("127.0.0.1" if address.version == 4 else "::1")
    return Door(str(url), certificate if url.scheme == "https" else b"")


@dataclass(frozen=True, slots=True)
class Signing:
    """How a request was signed, step by step."""

    body_sha256: str
    query: str
    string_to_sign: str
    signature: str


@dataclass(frozen=True, slots=True)
class Tried:
    """A call that was tried, and how it was answered. ``status`` 0: it was signed alone."""

    id: int
    at: datetime
    account_id: int
    key_id: str
    operation: str
    method: str
    path: str
    query: str
    body: str
    headers: Mapping[str, str]
    signing: Signing
    status: int = 0
    code: str = ""
    request_id: str = ""
    answer: str = ""
    ms: int = 0
    refused: int = 0
    """Id of the refused call that it repeats; 0: of none."""
    until: datetime = _FOR_EVER
    """When it is forgotten: with the key."""


@dataclass(slots=True)
class Trying:
    """Of one node."""

    lend: Callable[[ApiKey], Awaitable[None]]
    """Lets a key be good on this node."""
    door: Callable[[], Door]
    """Where its own API listens."""
    operations: Callable[[], Sequence[Operation]]
    """The calls that there are; takes some tenths of a second when it is first asked for."""
    _keys: dict[tuple[ActorLabel, int], ApiKey] = field(default_factory=dict)
    _tried: OrderedDict[ActorLabel, deque[Tried]] = field(default_factory=OrderedDict)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def key(self, change: Change, account_id: int, operation: Operation, path: str) -> ApiKey:
        """The person's test key of an account, for a call that is entered into the audit log, with its path.
        ``PERMISSION_DENIED``, ``NOT_FOUND``; ``SCOPE_DENIED`` for what a page may not run."""
        if not operation.runs:
            raise Refused("SCOPE_DENIED", scope=operation.scope)
        whose = (change.actor.label, account_id)
        now, sources = clock.now(), self.door().sources
        self._keys = {k: v for k, v in self._keys.items() if v.expires_at is not None and v.expires_at > now}
        known = self._keys.get(whose)
        lasts = known is not None and known.expires_at is not None and known.expires_at - now >= LEAST_LEFT
        key = known if known is not None and lasts else ApiKey(
            f"{PREFIX}{secrets.token_hex(6)}", account_id, SCOPES, True, sources, secrets.token_bytes(32), None,
            (secrets.token_urlsafe(32),), "active", now + LENT, PER_SECOND, lent=True,
        )  # fmt: skip
        async with change.unit(Permission.KEY_EDIT, account_id) as unit:
            said = {"call": operation.name, "path": path, "key": key.key_id}
            unit.record("call.try", f"account/{account_id}", after=said)
        if key is not known:
            await self.lend(key)
            self._keys[whose] = key
        return key

    def next_id(self) -> int:
        """Of a call that is tried."""
        return next(self._ids)

    def remember(self, who: ActorLabel, tried: Tried) -> None:
        """Keep it with the person's last ones, for as long as its key is good."""
        octets = tried.answer.encode()
        if len(octets) > MOST_KEPT:
            tried = replace(tried, answer=octets[:MOST_KEPT].decode(errors="ignore") + _CUT)
        self._forget()
        mine = self._tried.setdefault(who, deque(maxlen=KEPT))
        self._tried.move_to_end(who)
        mine.appendleft(tried)
        while len(self._tried) > MOST_PEOPLE:
            self._tried.popitem(last=False)

    def last(self, who: Actor) -> Sequence[Tried]:
        """What the person has tried lately of accounts that are still in its scope, the newest first."""
        return tuple(one for one in self.of(who.label) if who.scope.covers(one.account_id))

    def of(self, whose: ActorLabel) -> Sequence[Tried]:
        """What somebody has tried lately, here."""
        self._forget()
        return tuple(self._tried.get(whose, ()))

    async def tried(self, who: Actor) -> Sequence[Tried]:
        """``last``, wherever it was tried."""
        return self.last(who)

    def _forget(self) -> None:
        now = clock.now()
        for who, mine in list(self._tried.items()):
            kept = [one for one in mine if one.until > now]
            if not kept:
                del self._tried[who]
            elif len(kept) < len(mine):
                self._tried[who] = deque(kept, maxlen=KEPT)
