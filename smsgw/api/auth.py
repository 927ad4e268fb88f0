"""Who is calling: bearer tokens, signed requests, source addresses, request limits (docs/api.md, Authentication).

A request is looked at in two steps, so that a body is read only for a caller whose headers hold:
``identify`` needs headers alone, ``verify`` needs the body.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from smsgw.core.addresses import parse_address, place_of, within
from smsgw.core.bucket import TokenBucket
from smsgw.core.errors import Refused, SmsgwError, Temporary
from smsgw.core.guard import Buckets, Rate
from smsgw.core.ids import CHINA
from smsgw.core.keys import ApiKey
from smsgw.core.model import Account
from smsgw.core.signing import canonical_query, sign, string_to_sign, string_to_sign_v1
from smsgw.core.words import phrase
from smsgw.pipeline.snapshot import Snapshots

MAX_SKEW = 300
"""Seconds that a signed request's timestamp may differ from our clock."""
NONCE_SECONDS = 600
"""A nonce is remembered at least this long: twice the skew, so none outlives its memory. Here for this node; the
database remembers it for all of them (``smsgw.pipeline.accept.nonces``)."""
NONCE_ROOM = 1.6
"""Nonces remembered per generation, as a multiple of what a key's request limit lets through in its time."""
BURST_SECONDS = 2.0
"""Seconds of a key's request limit that may come at once."""

_NONCE = re.compile(r"[A-Za-z0-9-]{16,64}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)


class Nonces:
    """The nonces of one key, remembered for one to two periods of ``NONCE_SECONDS``; bounded.

    Two generations of hashes (Python's keyed 64-bit string hash) take a third of the memory of the strings with
    their times, and need no sweep.
    """

    __slots__ = ("_limit", "_new", "_old", "_turn_at")

    def __init__(self, now: float, limit: int) -> None:
        self._new: set[int] = set()
        self._old: set[int] = set()
        self._turn_at = now + NONCE_SECONDS
        self._limit = limit

    def use(self, nonce: str, now: float) -> None:
        """Note a nonce. Raises ``AUTH_NONCE_REPLAYED`` when it is known, ``RATE_LIMITED`` when there is no room."""
        if now >= self._turn_at:
            lapsed = now - self._turn_at >= NONCE_SECONDS
            self._old = set() if lapsed else self._new
            self._new = set()
            self._turn_at = now + NONCE_SECONDS
        mark = hash(nonce)
        if mark in self._new or mark in self._old:
            raise Refused("AUTH_NONCE_REPLAYED")
        if len(self._new) >= self._limit:
            raise Temporary("RATE_LIMITED", retry_after=self._turn_at - now)
        self._new.add(mark)


@dataclass(slots=True)
class _Usage:
    """What a key has used up lately."""

    bucket: TokenBucket
    nonces: Nonces


@dataclass(frozen=True, slots=True)
class Quota:
    """The request limit as told to the caller."""

    limit: int
    remaining: int
    reset: int
    """Seconds until the whole limit is available again."""
    wait: float
    """Seconds until the next request, when this one was too many; else 0."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A caller as far as the headers tell; ``signature`` is None for a bearer, who needs no more proof."""

    key: ApiKey
    account: Account
    signature: str | None = None
    version: int = 0
    """Of the signature."""
    timestamp: str = ""
    nonce: str = ""
    idempotency_key: str = ""
    """The header as it came; signed by version 2."""

    @property
    def nonce_key(self) -> str:
        """The nonce as the database keeps it; empty for a bearer. Whose key it is belongs to it."""
        if not self.nonce:
            return ""
        return hashlib.blake2b(f"{self.key.key_id}\n{self.nonce}".encode(), digest_size=16).hexdigest()


def _loopback(address: str) -> bool:
    parsed = parse_address(address)
    return parsed is not None and parsed.is_loopback


class TooManyFailures(Temporary):
    """The address has failed too often: it is told so, and nothing more is written about it."""


FAILURES = Rate(30, 1.0)
"""Failed authentications of one address; for those beyond it waits, while good requests from there are not touched."""
_FAILURES = frozenset({"AUTH_MISSING", "AUTH_KEY_INVALID", "AUTH_SIGNATURE_INVALID", "AUTH_TIMESTAMP_EXPIRED",
                       "AUTH_BEARER_INSECURE", "AUTH_IP_DENIED"})  # fmt: skip


class Authenticator:
    """Checks callers against the keys of the snapshot in force."""

    def __init__(
        self,
        snapshots: Snapshots,
        *,
        clock: Callable[[], float],
        allow_insecure_bearer: bool,
        v1_until: float = math.inf,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``v1_until``: when signatures of version 1 are good no more (wall clock, seconds)."""
        self._snapshots = snapshots
        self._clock = clock
        self._v1_until = v1_until
        self._monotonic = monotonic
        self._insecure_bearer = allow_insecure_bearer
        self._usage: dict[str, _Usage] = {}
        self._failures: Buckets[str] = Buckets(FAILURES)
        self.used: dict[str, tuple[float, str]] = {}
        """Keys that have proven themselves since this was last emptied: when (wall clock), and from which address."""

    def identify(self, headers: Mapping[str, str], *, secure: bool, address: str) -> Claim:
        """The caller that the headers claim, refused at once where they suffice to tell.

        ``secure`` says whether the request came over TLS. Raises the ``AUTH_…`` errors.
        """
        key_id = headers.get("X-Sms-Key")
        if key_id is not None:
            claim = self._signed(key_id, headers)
        else:
            scheme, _, token = headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise Refused("AUTH_MISSING")
            claim = self._bearer(token.strip(), secure, address)
        for allowed in (claim.key.ip_allow, () if claim.key.lent else claim.account.ip_allow):
            if allowed and not within(address, allowed):
                raise Refused("AUTH_IP_DENIED", ip=address)
        if "http" not in claim.account.protocols:
            raise Refused("PROTOCOL_DENIED", protocol="HTTP")
        return claim

    def verify(self, claim: Claim, method: str, path: str, raw_query: str, body_sha256: str) -> None:
        """Hold the claim against its signature. Raises ``AUTH_SIGNATURE_INVALID``, ``AUTH_NONCE_REPLAYED``."""
        if claim.signature is None:
            return
        signed = (method, path, canonical_query(raw_query), claim.timestamp, claim.nonce, body_sha256)
        text = string_to_sign_v1(*signed) if claim.version == 1 else string_to_sign(*signed, claim.idempotency_key)
        given = claim.signature.encode("utf-8", "surrogateescape")
        good = False
        for secret in claim.key.secrets:  # both, always: time must not tell which one
            good |= hmac.compare_digest(sign(secret, text, claim.version).encode(), given)
        if not good:
            if claim.key.test:
                told = text.encode("utf-8", "replace").decode()
                raise Refused("AUTH_SIGNATURE_INVALID", string_to_sign=told)
            raise Refused("AUTH_SIGNATURE_INVALID")
        self._used(claim.key).nonces.use(claim.nonce, self._monotonic())

    def failed(self, error: SmsgwError, address: str) -> None:
        """Count what has just failed against its address. Raises ``TooManyFailures`` when there were too many."""
        if error.code not in _FAILURES:
            return
        place, now = place_of(address), self._monotonic()
        if not self._failures.take(place, now):
            raise TooManyFailures("RATE_LIMITED", retry_after=self._failures.wait(place, now))

    def good(self, claim: Claim, address: str) -> None:
        """The caller has proven to be who it claims to be."""
        self.used[claim.key.key_id] = (self._clock(), address)

    def live(self, key_id: str) -> tuple[ApiKey, Account]:
        """A key that has proven itself, and its account, as they are by now. ``AUTH_KEY_INVALID``."""
        return self._live(self._snapshots.current.key(key_id))

    def spend(self, key: ApiKey) -> Quota:
        """Take one request from the key's limit; refused when the quota's ``wait`` is not 0."""
        now = self._monotonic()
        bucket = self._used(key).bucket
        wait = 0.0 if bucket.take(now) else bucket.next_at(now) - now
        left = bucket.left(now)
        return Quota(int(bucket.burst), left, math.ceil((bucket.burst - left) / bucket.rate), wait)

    def _used(self, key: ApiKey) -> _Usage:
        """Made only for keys that exist, so there are never more than keys."""
        usage = self._usage.get(key.key_id)
        if usage is None:
            now = self._monotonic()
            rate, burst = key.requests_per_second, key.requests_per_second * BURST_SECONDS
            nonces = Nonces(now, int(rate * NONCE_SECONDS * NONCE_ROOM + burst))
            usage = _Usage(TokenBucket(rate, burst, now=now), nonces)
            self._usage[key.key_id] = usage
        return usage

    def owner(self, key_id: str) -> int | None:
        """The account of a key that is known, whoever names it."""
        known = self._snapshots.current.key(key_id)
        return None if known is None else known.account_id

    def _signed(self, key_id: str, headers: Mapping[str, str]) -> Claim:
        timestamp = headers.get("X-Sms-Timestamp", "")
        nonce = headers.get("X-Sms-Nonce", "")
        signature = headers.get("X-Sms-Signature", "")
        if not (timestamp and nonce and signature):
            raise Refused("AUTH_MISSING")
        key, account = self._live(self._snapshots.current.key(key_id))
        now = self._clock()
        if not _TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp)) > MAX_SKEW:
            raise Refused(
                "AUTH_TIMESTAMP_EXPIRED",
                time=datetime.fromtimestamp(now, CHINA).isoformat(timespec="seconds"),
                unix=int(now),
            )
        if not _NONCE.fullmatch(nonce):
            raise Refused("PARAM_INVALID", field="X-Sms-Nonce", reason=phrase("nonce.form"))
        version = 1 if signature.startswith("v1=") else 2
        if version == 1 and now >= self._v1_until:
            raise Refused("AUTH_SIGNATURE_OUTDATED")
        return Claim(key, account, signature, version, timestamp, nonce, headers.get("Idempotency-Key", ""))

    def _bearer(self, token: str, secure: bool, address: str) -> Claim:
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        key, account = self._live(self._snapshots.current.key_by_bearer_sha256(digest))
        if not (self._insecure_bearer and _loopback(address)):
            if not secure:
                raise Refused("AUTH_BEARER_INSECURE", reason=phrase("bearer.https"))
            if not key.ip_allow and not account.ip_allow:
                raise Refused("AUTH_BEARER_INSECURE", reason=phrase("bearer.allow_list"))
        return Claim(key, account)

    def _live(self, key: ApiKey | None) -> tuple[ApiKey, Account]:
        account = None if key is None else self._snapshots.current.account(key.account_id)
        if key is None or account is None or key.status != "active":
            raise Refused("AUTH_KEY_INVALID")
        if key.expires_at is not None and key.expires_at.timestamp() <= self._clock():
            raise Refused("AUTH_KEY_INVALID")
        return key, account
