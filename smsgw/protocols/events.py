"""What a session tells its owner: plain values, in the order in which things happened.

Every event is immutable. A shell hands them upward in order; the only one that it obeys itself is `CloseNow`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from smsgw.protocols.pdu import Pdu

Sequence: TypeAlias = int | tuple[int, int, int]
"""A sequence number; SGIP's are node, time and counter."""

Tag: TypeAlias = object
"""Whatever the caller gave to `Session.request`; a session never looks inside."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Client: the login was accepted. `Session.dialect` now holds the negotiated version."""

    pdu: Pdu
    """The login answer."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The login was refused, by the peer (client) or by the rules of the protocol (server). `CloseNow` follows."""

    status: int
    """As on the wire; 0 when the peer said yes in a way that we cannot live with."""
    reason: str
    pdu: Pdu | None = None
    """Client: the answer, where one could be read. Server: the login request."""


@dataclass(frozen=True, slots=True, eq=False)
class LoginRequest:
    """Server: a peer wants to log in. Answer with `Session.admit` or `Session.refuse` before the login timeout."""

    pdu: Pdu
    sequence: Sequence


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A request of the peer; the owner owes exactly one `Session.answer` for it. Compared by identity."""

    pdu: Pdu
    serial: int
    """Counts the requests of this session; the peer's sequence number may repeat, this does not."""
    octets: bytes = b""
    """As they came."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A PDU of the peer that is never answered (SMPP outbind, alert_notification)."""

    pdu: Pdu


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one of our requests. The tag is settled."""

    tag: Tag
    pdu: Pdu
    """The answer, or SMPP's generic_nack in its place."""
    status: int
    """Result as on the wire, 0 = accepted."""
    elapsed: float
    """Seconds from `request` to this answer."""
    octets: bytes = b""
    """As they came."""


@dataclass(frozen=True, slots=True)
class Expired:
    """No answer within `response_timeout`: what became of the request is unknown. The tag is settled."""

    tag: Tag


@dataclass(frozen=True, slots=True)
class Late:
    """An answer to a request that has expired; its tag is named for the second time, to correct the outcome."""

    tag: Tag
    pdu: Pdu
    status: int
    octets: bytes = b""
    """As they came."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is gone. The last event of a session."""

    why: str
    lost: tuple[Tag, ...]
    """Tags of the requests that were still without an answer, oldest first."""


@dataclass(frozen=True, slots=True)
class Violation:
    """The peer broke the protocol. The session has already reacted on the wire; this is for counters and logs."""

    kind: str
    """One of the `VIOLATIONS` of `smsgw.protocols.session`: a short constant word, fit for a metric label."""
    detail: str
    """For operators. Holds numbers of the header and masked octets at most, never content."""


@dataclass(frozen=True, slots=True)
class CloseNow:
    """The shell must write what `Session.output` still holds and close the transport; then call `Session.closed`."""

    why: str


Event: TypeAlias = (
    Bound | Refused | LoginRequest | Request | Notice | Answer | Expired | Late | Closed | Violation | CloseNow
)
