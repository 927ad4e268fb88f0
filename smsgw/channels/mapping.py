"""Between the pipeline's values and a protocol's PDUs: a part to a submit, an answer to an outcome, a deliver to a
report or an inbound message. One class a protocol family, no state but what the channel is configured with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol, TypeAlias

from smsgw.channels.profiles import Profile
from smsgw.core import numbers, text, udh
from smsgw.core.model import ChannelSpec, Claimed, Inbound, Outcome, OutcomeKind, Report
from smsgw.core.numbers import InvalidNumber
from smsgw.core.reportcodes import DELIVERED, class_of
from smsgw.core.states import PartState
from smsgw.core.text import Coding, Segment
from smsgw.core.udh import InvalidUdh
from smsgw.protocols.cmpp import codes as cmpp_codes
from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.protocols.cmpp import reports as cmpp_reports
from smsgw.protocols.codes import Code, CodeClass
from smsgw.protocols.errors import Malformed
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.smpp import codes as smpp_codes
from smsgw.protocols.smpp import pdus as smpp
from smsgw.protocols.smpp import reports as smpp_reports
from smsgw.protocols.smpp import tlvs
from smsgw.protocols.smpp.ids import canonical, canonical_pair

RETRY_THROTTLED = 1.0
"""Seconds until a throttled part is tried again; each further refusal doubles it …"""
RETRY_TEMPORARY = 5.0
MAX_RETRY = 60.0
"""… up to this."""
MAX_ID = 128
"""Characters of a carrier's id that count: a field of SMPP has 64, but an optional parameter has no end."""


class Intermediate:
    """A report of a state that another one will follow: acknowledged and not stored."""


INTERMEDIATE = Intermediate()
Incoming: TypeAlias = Report | Inbound | Intermediate


class Mapping(Protocol):
    """What a channel needs to know of its protocol."""

    def submit(self, claimed: Claimed) -> Pdu:
        """The request that carries the part. Raises ``ValueError`` when it cannot be expressed."""

    def outcome(self, claimed: Claimed, answer: Pdu, status: int) -> Outcome:
        """What an answer means for the part."""

    def incoming(self, pdu: Pdu) -> Incoming:
        """What the carrier has delivered. Raises ``ValueError`` when it makes no sense."""


class _Serial:
    """Makes keys for messages that come without an id: the time, and a number for those of one moment."""

    def __init__(self) -> None:
        self._number = 0

    def next(self) -> str:
        self._number += 1
        return f"{_now().timestamp():.6f}-{self._number}"


class _Cutter:
    """Gives the piece of the content that a part carries; the parts of a message come one after the other."""

    def __init__(self) -> None:
        self._id = 0
        self._pieces: list[Segment] = []

    def piece(self, claimed: Claimed) -> Segment:
        """Raises ``ValueError`` when the content does not split as it was accepted."""
        coding = Coding(claimed.coding)
        if claimed.total == 1:
            return Segment(1, 1, text.encode(claimed.content, coding))
        if claimed.id != self._id:
            self._id = claimed.id
            self._pieces = text.split(claimed.content, coding, ref=claimed.ref)
        if len(self._pieces) != claimed.total:
            raise ValueError(f"content splits into {len(self._pieces)} parts, {claimed.total} were accepted")
        return self._pieces[claimed.part - 1]


def judge(claimed: Claimed, code: Code, raw: str, carrier_id: str) -> Outcome:
    """The outcome that goes with the class of an answer's status."""
    base = (claimed.id, claimed.part, claimed.attempt)
    if code.kind is CodeClass.OK:
        return Outcome(*base, OutcomeKind.ACCEPTED, carrier_id=carrier_id)
    if code.kind is CodeClass.THROTTLE:
        delay = _delay(RETRY_THROTTLED, claimed.attempt)
        return Outcome(*base, OutcomeKind.DEFERRED, code=raw, cls="FREQ_CARRIER", delay=delay)
    if code.kind in (CodeClass.TEMPORARY, CodeClass.BIND):
        delay = _delay(RETRY_TEMPORARY, claimed.attempt)
        return Outcome(*base, OutcomeKind.DEFERRED, code=raw, cls="CHANNEL", delay=delay)
    return Outcome(*base, OutcomeKind.REFUSED, code=raw, cls="CHANNEL")


def _delay(first: float, attempt: int) -> float:
    return min(MAX_RETRY, first * 2.0 ** min(max(attempt - 1, 0), 10))


def _clean(raw: str) -> str:
    """What the ledger can hold: PostgreSQL has no NUL character, and a carrier's fields may hold anything."""
    return raw.replace("\0", "")


def _now() -> datetime:
    return datetime.now(UTC)


def _number(raw: str) -> str:
    """E.164 digits where they can be made out, else the digits as they came."""
    raw = _clean(raw)
    try:
        return numbers.normalize(raw)
    except InvalidNumber:
        try:
            return numbers.normalize("+" + raw.lstrip("+"))
        except InvalidNumber:
            return raw


def _inbound(channel_id: int, carrier_id: str, number: str, to_code: str, octets: bytes, has_udh: bool, coding: Coding,
             sar: tuple[int, int, int] | None = None) -> Inbound:  # fmt: skip
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
        number=_number(number),
        to_code=_clean(to_code),
        text=_clean(text.decode(octets, coding)),
        received_at=_now(),
        concat_ref=ref,
        concat_total=total,
        concat_number=part,
    )


# --- CMPP ------------------------------------------------------------------------------------------------------------

_MSG_FMT = {
    Coding.ASCII: 0,
    Coding.GSM7: 0,
    Coding.BINARY: 4,
    Coding.UCS2: 8,
    Coding.GB18030: 15,
    Coding.LATIN1: 8,
}
_CMPP_CODING = {0: Coding.ASCII, 4: Coding.BINARY, 8: Coding.UCS2, 15: Coding.GB18030}


class CmppMapping:
    """CMPP 2.x and 3.0."""

    def __init__(self, spec: ChannelSpec, profile: Profile) -> None:
        self._spec = spec
        self._profile = profile
        self._msg_src = profile.msg_src or spec.username
        self._cutter = _Cutter()
        self._serial = _Serial()

    def submit(self, claimed: Claimed) -> Pdu:
        """CMPP_SUBMIT with one destination."""
        piece = self._cutter.piece(claimed)
        coding = Coding(claimed.coding)
        octets = piece.octets
        if coding is Coding.GSM7:
            # Msg_Fmt 0 is ASCII. Text beyond it was accepted as UCS-2 for this channel's pool.
            octets = text.decode(octets, Coding.GSM7).encode("ascii")
        number = claimed.number if self._profile.prefix_86 else numbers.national(claimed.number)
        return cmpp.Submit(
            pk_total=piece.total,
            pk_number=piece.number,
            registered_delivery=1,
            service_id=self._profile.service_id,
            fee_user_type=self._profile.fee_user_type,
            tp_udhi=1 if piece.udh else 0,
            msg_fmt=_MSG_FMT[coding],
            msg_src=self._msg_src,
            fee_type=self._profile.fee_type,
            fee_code=self._profile.fee_code,
            src_id=self._spec.access_code + claimed.extend_code,
            dest_terminal_id=(number,),
            msg_content=piece.udh + octets,
        )

    def outcome(self, claimed: Claimed, answer: Pdu, status: int) -> Outcome:
        """Result of SUBMIT_RESP; the carrier's id is Msg_Id as 16 hex digits."""
        msg_id = getattr(answer, "msg_id", 0)
        return judge(claimed, cmpp_codes.result(status), str(status), f"{msg_id:016x}" if msg_id else "")

    def incoming(self, pdu: Pdu) -> Incoming:
        """CMPP_DELIVER: a report or a message from a phone."""
        if not isinstance(pdu, cmpp.Deliver):
            raise ValueError(f"{type(pdu).__name__} is not a delivery")
        try:
            report = cmpp_reports.of_deliver(pdu)
        except Malformed as exc:
            raise ValueError(str(exc)) from exc
        if report is not None:
            if report.stat.upper() in ("ACCEPTD", "ENROUTE"):
                return INTERMEDIATE
            delivered = report.stat.upper() == DELIVERED
            return Report(
                channel_id=self._spec.id,
                carrier_id=f"{report.msg_id:016x}",
                state=PartState.DELIVERED if delivered else PartState.UNDELIVERABLE,
                code=_clean(report.stat),
                cls=class_of(report.stat),
                number=_number(report.dest_terminal_id),
                received_at=_now(),
            )
        # Values outside the table follow the coding groups of GSM 03.38: bits 3-2 say UCS2.
        coding = _CMPP_CODING.get(pdu.msg_fmt, Coding.UCS2 if pdu.msg_fmt & 0x0C == 8 else Coding.ASCII)
        # Without an id of its own every message is a new one: to take two for the same would lose one.
        carrier_id = f"{pdu.msg_id:016x}" if pdu.msg_id else self._serial.next()
        return _inbound(
            self._spec.id, carrier_id, pdu.src_terminal_id, pdu.dest_id, pdu.msg_content,
            bool(pdu.tp_udhi & 0x41), coding,
        )  # fmt: skip


# --- SMPP ------------------------------------------------------------------------------------------------------------

_DATA_CODING = {
    Coding.GSM7: 0,
    Coding.ASCII: 1,
    Coding.BINARY: 4,
    Coding.LATIN1: 3,
    Coding.UCS2: 8,
    Coding.GB18030: 15,
}
_SMPP_CODING = {
    1: Coding.ASCII, 2: Coding.BINARY, 3: Coding.LATIN1, 4: Coding.BINARY, 8: Coding.UCS2, 0x18: Coding.UCS2,
    15: Coding.GB18030,
}  # fmt: skip
_UDHI = 0x40


class SmppMapping:
    """SMPP 3.4."""

    def __init__(self, spec: ChannelSpec, profile: Profile) -> None:
        self._spec = spec
        self._profile = profile
        self._answer_base, self._receipt_base = canonical_pair(profile.receipt_id)
        self._serial = _Serial()
        self._cutter = _Cutter()

    def submit(self, claimed: Claimed) -> Pdu:
        """submit_sm; long messages by UDH in short_message."""
        coding = Coding(claimed.coding)
        piece = self._cutter.piece(claimed)
        return smpp.SubmitSm(
            service_type=self._profile.service_id,
            source_addr_ton=self._profile.source_ton,
            source_addr_npi=self._profile.source_npi,
            source_addr=self._spec.access_code + claimed.extend_code,
            dest_addr_ton=self._profile.dest_ton,
            dest_addr_npi=self._profile.dest_npi,
            destination_addr=claimed.number,
            esm_class=_UDHI if piece.udh else 0,
            registered_delivery=1,
            data_coding=_DATA_CODING[coding],
            short_message=piece.udh + piece.octets,
        )

    def outcome(self, claimed: Claimed, answer: Pdu, status: int) -> Outcome:
        """command_status of submit_sm_resp, or of the generic_nack in its place."""
        message_id = _clean(canonical(getattr(answer, "message_id", ""), self._answer_base))
        return judge(claimed, smpp_codes.status(status), f"0x{status:08x}", message_id)

    def incoming(self, pdu: Pdu) -> Incoming:
        """deliver_sm or data_sm: a receipt or a message from a phone."""
        if not isinstance(pdu, smpp.DeliverSm | smpp.DataSm):
            raise ValueError(f"{type(pdu).__name__} is not a delivery")
        receipt = smpp_reports.of_deliver(pdu)
        if receipt is None:
            return self._message(pdu)
        if not receipt.final:
            return INTERMEDIATE
        if not receipt.message_ids:
            raise ValueError("receipt without a message id")
        delivered = receipt.state == DELIVERED
        error = (receipt.err or "").strip("0")
        return Report(
            channel_id=self._spec.id,
            carrier_id=_clean(canonical(receipt.message_ids[0], self._receipt_base))[:MAX_ID],
            state=PartState.DELIVERED if delivered else PartState.UNDELIVERABLE,
            code=_clean(receipt.state if delivered or not error else f"{receipt.state}/{receipt.err}"),
            cls=class_of(receipt.state),
            number=_number(pdu.source_addr),
            received_at=_now(),
        )

    def _message(self, pdu: smpp.DeliverSm | smpp.DataSm) -> Inbound:
        octets = getattr(pdu, "short_message", b"") or pdu.tlv(tlvs.MESSAGE_PAYLOAD) or b""
        coding = (
            Coding(self._profile.data_coding_0)
            if pdu.data_coding in (0, 0xF0)
            else _SMPP_CODING.get(pdu.data_coding, Coding.LATIN1)
        )
        # SMPP gives an inbound message no id of its own: sequence numbers start anew with each link, so the time
        # makes the key. A repetition after a lost link arrives as a new message.
        return _inbound(
            self._spec.id, self._serial.next(), pdu.source_addr, pdu.destination_addr, octets,
            bool(pdu.esm_class & _UDHI), coding, self._sar(pdu),
        )  # fmt: skip

    @staticmethod
    def _sar(pdu: smpp.DeliverSm | smpp.DataSm) -> tuple[int, int, int] | None:
        values = [
            pdu.tlv(tag) for tag in (tlvs.SAR_MSG_REF_NUM, tlvs.SAR_TOTAL_SEGMENTS, tlvs.SAR_SEGMENT_SEQNUM)
        ]
        if not all(values):
            return None
        ref, total, part = (int.from_bytes(v or b"", "big") for v in values)
        return (ref, total, part) if 0 < part <= total else None


def mapping_for(spec: ChannelSpec, profile: Profile) -> Mapping:
    """The mapping of a channel's protocol."""
    return SmppMapping(spec, profile) if spec.protocol.startswith("smpp") else CmppMapping(spec, profile)
