"""What the servers need to know of a protocol, behind one interface, and what they read out of its requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from typing import Protocol

from smsgw.core import text, udh
from smsgw.core.errors import SmsgwError
from smsgw.core.model import Origin
from smsgw.core.partners import Partner, ReplyTo
from smsgw.core.states import PartState
from smsgw.core.text import Coding
from smsgw.core.udh import Concat, InvalidUdh
from smsgw.pipeline.accept.checks import MAX_CHARACTERS
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.rules import Rules
from smsgw.protocols.smpp import times
from smsgw.store.engine.database import Row
from smsgw.store.messages.bind_events import Claimed, ReceiptTo

MAX_OCTETS = 4 * MAX_CHARACTERS
"""Octets of a submit's text, whatever its coding: none has more than four for a character. What SMPP's message_payload
could hold beyond that (64 KiB) is no message that could be sent, and is refused before anything looks at it."""
_FOREIGN_ELEMENTS = frozenset({udh.IEI_PORTS8, udh.IEI_PORTS16, 0x24, 0x25})
"""Application ports, and the national alphabets of 23.038: not text as we can carry it."""


class Unfit(Exception):
    """A request that cannot be taken as it stands; ``status`` is its answer on the wire."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class NotText(ValueError):
    """Octets that are no text in the coding they come with."""


@dataclass(slots=True)
class Submit:
    """A message to one or more phones, or a part of a long one."""

    destinations: tuple[str, ...]
    """As ``core.numbers.normalize`` reads them."""
    replies: tuple[ReplyTo, ...]
    """For each destination."""
    source: str
    octets: bytes
    """Of this part, without its header."""
    coding: Coding
    concat: Concat | None
    send_at: datetime | None = None
    expire_at: datetime | None = None
    urgent: bool = False
    unfit: dict[int, int] = field(default_factory=dict)
    """Positions among the request's own destinations that were not understood, with their status (submit_multi)."""


@dataclass(frozen=True, slots=True)
class Query:
    """Where a message stands."""

    id: int


@dataclass(frozen=True, slots=True)
class Count:
    """How many messages there were on a day (CMPP_QUERY), YYYYMMDD."""

    day: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Withdraw a message, or (``id`` 0) all that wait between two addresses."""

    id: int
    source: str = ""
    destination: str = ""


Order = Submit | Query | Count | Cancel


@dataclass(frozen=True, slots=True)
class Login:
    """Who wants in."""

    username: str
    proves: Callable[[str], bool]
    """Whether the request proves a password; takes the same time for right and wrong ones."""
    tlvs: bool = True
    """Optional parameters may be sent to it."""
    stamp: int | None = None
    """The time that the proof is made with (CMPP), MMDDHHMMSS."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a query has found."""

    id: int
    state: PartState
    by_us: bool
    final_at: datetime | None
    code: str


class ProtocolServer(Protocol):
    """A protocol as partners meet it. Stateless: one serves all binds."""

    protocol: str
    origin: Origin
    wrong_login: int
    """Status of a login whose name or password is wrong; it does not say which."""
    denied: int
    """Status of a login from an address that is not allowed."""
    unavailable: int
    """Status of a login that is right and cannot be had: too many binds, account stopped, we are stopping."""
    throttled: int
    """Status of a submit that came too fast."""
    failed: int
    """Status of a request at which we have failed."""
    not_text: int
    """Status of content that is no text in its coding."""
    lists_failures: bool
    """The answer to a submit can name the destinations that were refused; otherwise each gets a report."""

    def rules(self) -> Rules:
        """Session rules of the server."""

    def login(self, pdu: Pdu) -> Login:
        """What a login says."""

    def details(self, partner: Partner) -> dict[str, str]:
        """What ``Session.admit`` needs."""

    def read(self, pdu: Pdu, partner: Partner, now: datetime) -> Order:
        """What a request wants. Raises ``Unfit``."""

    def status_of(self, error: SmsgwError) -> int:
        """The status that says why a message was not accepted."""

    def accepted(self, pdu: Pdu, partner: Partner, id: int, failures: Sequence[tuple[int, int]] = ()) -> Pdu:
        """The answer to a submit with the id of its (first) message. ``failures``: (position, status)."""

    def fingerprint(self, pdu: Pdu) -> int | None:
        """Tells a submit that is sent again under its number from a new one; None where that is not done."""

    def refused(self, pdu: Pdu, status: int) -> Pdu:
        """The answer to any request that was not done."""

    def found(self, pdu: Pdu, standing: Standing | None) -> Pdu:
        """The answer to a query."""

    def counted(self, pdu: Pdu, counts: dict[str, int]) -> Pdu:
        """The answer to CMPP_QUERY: ``accepted``, ``submitted``, ``failed``, ``waiting``, ``mo`` and ``mo_waiting``."""

    def cancelled(self, pdu: Pdu, done: bool) -> Pdu:
        """The answer to a cancel."""

    def receipt(self, claimed: Claimed, receipt: ReceiptTo, partner: Partner, version: int, tlvs: bool) -> Pdu:
        """The request that carries a receipt."""

    def message(self, mo: Row, partner: Partner, ref: int, tlvs: bool) -> list[Pdu]:
        """The requests that carry a message from a phone. Raises ``ValueError``."""

    def refuses_for_good(self, status: int) -> bool:
        """Whether the partner has said that it will never take this delivery."""


def split_header(octets: bytes, has_header: bool) -> tuple[bytes, Concat | None]:
    """The text of a part and its place in a long message. ``NotText`` when the header is broken or not for text."""
    if not has_header:
        return octets, None
    try:
        header = udh.parse(octets)
    except InvalidUdh as exc:
        raise NotText(f"user data header: {exc}") from exc
    foreign = [e.iei for e in header.elements if e.iei in _FOREIGN_ELEMENTS]
    if foreign:
        raise NotText(f"user data header has element 0x{foreign[0]:02x}")
    concat = header.concat if header.concat is not None and header.concat.total > 1 else None
    return octets[header.length :], concat


def content_of(
    octets: bytes, has_header: bool, coding: Coding, *, bad_header: int, bad_length: int
) -> tuple[bytes, Concat | None]:
    """``split_header`` for a request: ``Unfit`` with one of the statuses when it cannot be read or is too long."""
    try:
        found, concat = split_header(octets, has_header)
    except NotText as exc:
        raise Unfit(bad_header, str(exc)) from exc
    if len(found) > MAX_OCTETS:
        raise Unfit(bad_length, f"{len(found)} octets of text")
    if coding is Coding.UCS2 and len(found) % 2:
        raise Unfit(bad_length, "half a character of UCS2")
    return found, concat


def span_of(
    begin: str, end: str, now: datetime, *, bad_begin: int, bad_end: int
) -> tuple[datetime | None, datetime | None]:
    """When a message is to be sent, and until when (CMPP's times have SMPP's form). ``Unfit`` for what cannot be."""

    if not begin and not end:
        return None, None

    def moment(field: str, status: int) -> datetime | None:
        try:
            return times.parse(field, now)
        except (ValueError, OverflowError) as exc:
            raise Unfit(status, str(exc)) from exc

    send_at, expire_at = moment(begin, bad_begin), moment(end, bad_end)
    if expire_at is not None and expire_at <= max(now, send_at or now):
        raise Unfit(bad_end, "the validity is over")
    return send_at, expire_at


def text_of(octets: bytes, coding: Coding) -> str:
    """The text, all of it. ``NotText`` when an octet does not belong to the coding."""
    if coding is Coding.BINARY:  # what is sent as data is taken when it is text all the same
        try:
            found = octets.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise NotText("binary content") from exc
    else:
        found = text.decode(octets, coding)
        if "\N{REPLACEMENT CHARACTER}" in found:
            raise NotText(f"not {coding.value}")
    # Some senders end the text with NUL, as in C; the database cannot hold one anyway.
    return found.rstrip("\0").replace("\0", "")


def receipt_head(head: str) -> str:
    """The beginning of a message as the text of its receipt may carry it: as far as it is printable ASCII.

    A receipt is read before anybody asks for its alphabet, by programs that take it for ASCII: in UCS2 they do not find
    its labels, and other octets than ASCII end in an error. What cannot be shown is left out, not replaced.
    """
    return "".join(takewhile(lambda c: " " <= c <= "~", head)).rstrip()
