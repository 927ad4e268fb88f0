"""What the mappings of all protocols share."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import Protocol, TypeAlias

from smsgw.channels.profiles import Profile
from smsgw.core import numbers, text, udh
from smsgw.core.model import Claimed, Inbound, Outcome, OutcomeKind, Report
from smsgw.core.numbers import InvalidNumber
from smsgw.core.retry import Fault
from smsgw.core.text import Coding, Segment
from smsgw.core.udh import InvalidUdh
from smsgw.protocols.codes import Code, CodeClass
from smsgw.protocols.pdu import Pdu
from smsgw.runtime import clock

RETRY_THROTTLED = 1.0
"""Seconds until a throttled part is tried again; each further refusal doubles it …"""
RETRY_TEMPORARY = 5.0
MAX_RETRY = 60.0
"""… up to this."""
STRICT_SINGLE = 159
"""Units of a part without a header where a gateway takes less than 160 (profile ``single_limit``)."""
_SIGN = re.compile("【[^【】]{1,20}】")
MAX_ID = 128
"""Characters of a carrier's id that count: a field of SMPP has 64, but an optional parameter has no end."""


PLAIN_FORMAT = {Coding.ASCII: 0, Coding.GSM7: 0, Coding.BINARY: 4, Coding.UCS2: 8, Coding.GB18030: 15, Coding.LATIN1: 8}
"""Msg_Fmt of CMPP, MessageCoding of SGIP, MsgFormat of SMGP."""
_PLAIN_CODING = {0: Coding.ASCII, 4: Coding.BINARY, 8: Coding.UCS2, 15: Coding.GB18030}


def plain_coding(value: int) -> Coding:
    """The alphabet behind a format; values outside the table follow GSM 03.38, whose bits 3-2 say UCS2."""
    return _PLAIN_CODING.get(value, Coding.UCS2 if value & 0x0C == 8 else Coding.ASCII)


def ascii_octets(octets: bytes, coding: Coding) -> bytes:
    """Format 0 is ASCII in the Chinese protocols. Text beyond it was accepted as UCS-2 for the channel's pool."""
    return text.decode(octets, Coding.GSM7).encode("ascii") if coding is Coding.GSM7 else octets


class Intermediate:
    """A report of a state that another one will follow: acknowledged and not stored."""


INTERMEDIATE = Intermediate()
Incoming: TypeAlias = Report | Inbound | Intermediate


class Mapping(Protocol):
    """What a channel needs to know of its protocol."""

    def submit(self, claimed: Claimed) -> Pdu:
        """The request that carries the part. Raises ``ValueError`` when it cannot be expressed."""

    def written(self, pdu: Pdu) -> str:
        """The carrier's id of a submit that has its sequence number, where the sender makes it (SGIP); else empty."""

    def outcome(self, claimed: Claimed, answer: Pdu, status: int) -> Outcome:
        """What an answer means for the part."""

    def incoming(self, pdu: Pdu) -> Incoming:
        """What the carrier has delivered. Raises ``ValueError`` when it makes no sense."""


class Serial:
    """Makes keys for messages that come without an id: the time, and a number for those of one moment."""

    def __init__(self) -> None:
        self._number = 0

    def next(self) -> str:
        """A key that was not given before."""
        self._number += 1
        return f"{now().timestamp():.6f}-{self._number}"


class Cutter:
    """Gives the piece of the content that a part carries; the parts of a message come one after the other."""

    def __init__(self, profile: Profile) -> None:
        self._without_sign = profile.signature == "added"
        self._id = 0
        self._pieces: list[Segment] = []

    def piece(self, claimed: Claimed) -> Segment:
        """Raises ``ValueError`` when the content does not split as it was accepted."""
        coding = Coding(claimed.coding)
        if claimed.total == 1:
            return self._signed(Segment(1, 1, text.encode(claimed.content, coding)), claimed.content, coding)
        if claimed.id != self._id:
            pieces = text.split(claimed.content, coding, ref=claimed.ref)
            if len(pieces) != claimed.total:  # accepted for a pool where a single part has one unit less
                pieces = text.split(claimed.content, coding, ref=claimed.ref, single_limit=STRICT_SINGLE)
            pieces[0] = self._signed(pieces[0], claimed.content, coding)
            self._id, self._pieces = claimed.id, pieces  # last: what cannot be split has no pieces, nor another's
        if len(self._pieces) != claimed.total:
            raise ValueError(f"content splits into {len(self._pieces)} parts, {claimed.total} were accepted")
        return self._pieces[claimed.part - 1]

    def _signed(self, first: Segment, content: str, coding: Coding) -> Segment:
        """The first piece, without the signature that the gateway puts there: the room for it is kept."""
        if not self._without_sign or (sign := _SIGN.match(content)) is None:
            return first
        octets = text.encode(sign[0], coding)
        if not first.octets.startswith(octets) or len(first.octets) == len(octets):
            return first  # longer than a part, or all there is
        return replace(first, octets=first.octets[len(octets) :])


def judge(claimed: Claimed, code: Code, raw: str, carrier_id: str) -> Outcome:
    """The outcome that goes with the class of an answer's status."""
    base = claimed.key
    if code.kind is CodeClass.OK:
        return Outcome(*base, OutcomeKind.ACCEPTED, carrier_id=carrier_id)
    if code.kind is CodeClass.THROTTLE:
        delay = _delay(RETRY_THROTTLED, claimed.attempt)
        return Outcome(*base, OutcomeKind.DEFERRED, code=raw, cls="FREQ_CARRIER", delay=delay, fault=Fault.THROTTLE)
    if code.kind in (CodeClass.TEMPORARY, CodeClass.BIND):
        delay = _delay(RETRY_TEMPORARY, claimed.attempt)
        return Outcome(*base, OutcomeKind.DEFERRED, code=raw, cls="CHANNEL", delay=delay, fault=Fault.BUSY)
    fault = Fault.UNKNOWN if code.kind is CodeClass.UNKNOWN else Fault.PERMANENT
    return Outcome(*base, OutcomeKind.REFUSED, code=raw, cls="CHANNEL", fault=fault)


def _delay(first: float, attempt: int) -> float:
    return min(MAX_RETRY, first * 2.0 ** min(max(attempt - 1, 0), 10))


def clean(raw: str) -> str:
    """What the database can hold: PostgreSQL has no NUL character, and a carrier's fields may hold anything."""
    return raw.replace("\0", "")


def now() -> datetime:
    """The time of arrival."""
    return clock.now()


def number_of(raw: str) -> str:
    """E.164 digits where they can be made out, else the digits as they came."""
    raw = clean(raw)
    try:
        return numbers.normalize(raw)
    except InvalidNumber:
        try:
            return numbers.normalize("+" + raw.lstrip("+"))
        except InvalidNumber:
            return raw


def inbound_of(channel_id: int, carrier_id: str, number: str, to_code: str, octets: bytes, has_udh: bool,
               coding: Coding, sar: tuple[int, int, int] | None = None) -> Inbound:  # fmt: skip
    """A message from a phone, its user data header taken off; ``sar`` is (ref, total, part) said beside the text."""
    ref, total, part = sar or (None, 1, 1)
    if has_udh:
        try:
            header = udh.parse(octets)
        except InvalidUdh:
            header = None  # the flag without a header: all of it is text
        if header is not None:
            octets = octets[header.length :]
            if header.concat is not None:
                ref, total, part = header.concat.ref, header.concat.total, header.concat.number
    return Inbound(
        channel_id=channel_id,
        # Gateways may give the parts of a long message one id.
        carrier_id=carrier_id if total == 1 else f"{carrier_id}/{part}",
        number=number_of(number),
        to_code=clean(to_code),
        text=clean(text.decode(octets, coding)).removeprefix("\ufeff"),
        received_at=now(),
        concat_ref=ref,
        concat_total=total,
        concat_number=part,
    )
