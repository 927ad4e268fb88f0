"""API keys as their callers are held to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network

REQUESTS_PER_SECOND = 200
MAX_REQUESTS_PER_SECOND = 100_000

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of an account. ``secrets`` are the HMAC secrets in clear (two while rotating)."""

    key_id: str
    account_id: int
    scopes: frozenset[str]
    test: bool
    ip_allow: tuple[Network, ...]
    bearer_sha256: bytes
    old_bearer_sha256: bytes | None
    """While it is rotated: the token before."""
    secrets: tuple[str, ...] = field(repr=False)
    status: str
    expires_at: datetime | None
    requests_per_second: int = REQUESTS_PER_SECOND
    """Calls of the API; twice as many may come at once."""
    lent: bool = False
    """The node's own, for a page that tries calls: it comes from there, not from where the account's programs are."""
