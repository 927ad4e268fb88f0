"""SMPP 3.4."""

from __future__ import annotations

from smsgw.channels.profiles import Profile
from smsgw.channels.wire.mapping.base import (
    INTERMEDIATE,
    MAX_ID,
    Cutter,
    Incoming,
    Serial,
    clean,
    inbound_of,
    judge,
    now,
    number_of,
)
from smsgw.core.evidence import BY_REFERENCE
from smsgw.core.model import ChannelSpec, Claimed, Inbound, Outcome, Report
from smsgw.core.references import reference_of, written_time
from smsgw.core.report_codes import DELIVERED, class_of
from smsgw.core.states import PartState
from smsgw.core.text import Coding
from smsgw.core.udh import MAX_PARTS
from smsgw.protocols.pdu import Pdu, Tlv
from smsgw.protocols.smpp import codes as smpp_codes, pdus as smpp, reports as smpp_reports, tlvs
from smsgw.protocols.smpp.ids import canonical, canonical_pair

_DATA_CODING = {Coding.GSM7: 0, Coding.ASCII: 1, Coding.BINARY: 4, Coding.LATIN1: 3, Coding.UCS2: 8, Coding.GB18030: 15}
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
        self._serial = Serial()
        self._cutter = Cutter(profile)

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
            tlvs=self._reference(claimed),
        )

    def _reference(self, claimed: Claimed) -> tuple[Tlv, ...]:
        if not self._profile.message_reference:
            return ()
        reference = reference_of(claimed.id, claimed.part)
        return (Tlv(tlvs.USER_MESSAGE_REFERENCE, reference.to_bytes(2, "big")),)

    def written(self, pdu: Pdu) -> str:
        """The carrier makes the id; it stands in the answer."""
        return ""

    def outcome(self, claimed: Claimed, answer: Pdu, status: int) -> Outcome:
        """command_status of submit_sm_resp, or of the generic_nack in its place."""
        message_id = clean(canonical(getattr(answer, "message_id", ""), self._answer_base))
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
        code = self._spec.access_code
        ours = code and pdu.source_addr.startswith(code)  # some do not turn the addresses around
        number = number_of(pdu.destination_addr if ours else pdu.source_addr)
        reference = pdu.tlv(tlvs.USER_MESSAGE_REFERENCE) if self._profile.message_reference else None
        if receipt.message_ids:
            carrier_id = clean(canonical(receipt.message_ids[0], self._receipt_base))[:MAX_ID]
        elif reference:
            carrier_id = f"{BY_REFERENCE}{reference.hex()}/{number}"[:MAX_ID]
        else:
            raise ValueError("receipt without a message id")
        delivered = receipt.state == DELIVERED
        error = (receipt.err or "").strip("0")
        return Report(
            channel_id=self._spec.id,
            carrier_id=carrier_id,
            state=PartState.DELIVERED if delivered else PartState.UNDELIVERABLE,
            code=clean(receipt.state if delivered or not error else f"{receipt.state}/{receipt.err}"),
            cls=class_of(receipt.state),
            number=number,
            received_at=now(),
            reference=int.from_bytes(reference[-2:], "big") if reference else None,
            by_number=self._profile.match_by_destination,
            submitted=written_time(receipt.submit_date),
        )

    def _message(self, pdu: smpp.DeliverSm | smpp.DataSm) -> Inbound:
        octets = getattr(pdu, "short_message", b"") or pdu.tlv(tlvs.MESSAGE_PAYLOAD) or b""
        coding = (
            Coding(self._profile.data_coding_0)
            if pdu.data_coding in (0, 0xF0)
            else _SMPP_CODING.get(pdu.data_coding, Coding.LATIN1)
        )
        # SMPP gives an inbound message no id of its own: sequence numbers start anew with each connection, so the time
        # makes the key. A repetition after a lost connection arrives as a new message.
        return inbound_of(
            self._spec.id, self._serial.next(), pdu.source_addr, pdu.destination_addr, octets,
            bool(pdu.esm_class & _UDHI), coding, self._sar(pdu),
        )  # fmt: skip

    @staticmethod
    def _sar(pdu: smpp.DeliverSm | smpp.DataSm) -> tuple[int, int, int] | None:
        values = [pdu.tlv(tag) for tag in (tlvs.SAR_MSG_REF_NUM, tlvs.SAR_TOTAL_SEGMENTS, tlvs.SAR_SEGMENT_SEQNUM)]
        if not all(values):
            return None
        ref, total, part = (int.from_bytes(v or b"", "big") for v in values)
        return (ref & 0xFFFF, total, part) if 0 < part <= total <= MAX_PARTS else None
