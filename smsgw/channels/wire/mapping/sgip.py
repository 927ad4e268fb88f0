"""SGIP 1.2. The sequence number of a SUBMIT is its message id; reports are PDUs of their own."""

from __future__ import annotations

import zlib

from smsgw.channels.profiles import Profile
from smsgw.channels.wire.mapping.base import (
    INTERMEDIATE,
    PLAIN_FORMAT,
    Cutter,
    Incoming,
    ascii_octets,
    inbound_of,
    judge,
    now,
    number_of,
    plain_coding,
)
from smsgw.core.model import ChannelSpec, Claimed, Outcome, Report
from smsgw.core.report_codes import DELIVERED, class_of
from smsgw.core.states import PartState
from smsgw.core.text import Coding
from smsgw.protocols.codes import CodeClass
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.sgip import codes as sgip_codes, pdus as sgip, reports as sgip_reports

_SP_PAYS = "0" * 21
_ALWAYS = 1
"""ReportFlag; 0 would ask for a report of failures only."""
_NOT_BECAUSE_OF_MO = 2


class SgipMapping:
    """SGIP 1.2."""

    def __init__(self, spec: ChannelSpec, profile: Profile) -> None:
        self._spec = spec
        self._profile = profile
        self._cutter = Cutter(profile)

    def submit(self, claimed: Claimed) -> Pdu:
        """SUBMIT with one destination, so that its number alone says which message a report is about."""
        piece = self._cutter.piece(claimed)
        coding = Coding(claimed.coding)
        return sgip.Submit(
            sp_number=self._spec.access_code + claimed.extend_code,
            charge_number=_SP_PAYS,
            user_number=(claimed.number,),  # with 86: error 6 follows without it
            corp_id=self._profile.corp_id,
            service_type=self._profile.service_id,
            fee_type=int(self._profile.fee_type or "1"),
            fee_value=self._profile.fee_code,
            given_value="0",
            morelate_to_mt_flag=_NOT_BECAUSE_OF_MO,
            report_flag=_ALWAYS,
            tp_udhi=1 if piece.udh else 0,
            message_coding=PLAIN_FORMAT[coding],
            message_content=piece.udh + ascii_octets(piece.octets, coding),
        )

    def written(self, pdu: Pdu) -> str:
        """Known before the answer: a report finds its part even when the answer is lost."""
        return sgip_reports.message_id_text(pdu.sequence)

    def outcome(self, claimed: Claimed, answer: Pdu, status: int) -> Outcome:
        """Result of SUBMIT_RESP."""
        return judge(claimed, sgip_codes.result(status), str(status), self.written(answer))

    def incoming(self, pdu: Pdu) -> Incoming:
        """REPORT, DELIVER, or USERRPT (which is acknowledged: there are no subscriptions that it could end)."""
        match pdu:
            case sgip.Report():
                return self._report(pdu)
            case sgip.Deliver():
                # The number of a DELIVER is unique by the book. Two messages with one number are still two.
                digest = zlib.crc32(pdu.message_content)
                coding = plain_coding(pdu.message_coding)
                return inbound_of(
                    self._spec.id, f"{sgip_reports.message_id_text(pdu.sequence)}-{digest:08x}", pdu.user_number,
                    pdu.sp_number, pdu.message_content, bool(pdu.tp_udhi & 1), coding,
                )  # fmt: skip
            case sgip.UserRpt():
                return INTERMEDIATE
        raise ValueError(f"{type(pdu).__name__} is not a delivery")

    def _report(self, pdu: sgip.Report) -> Incoming:
        receipt = sgip_reports.of_report(pdu)
        if not receipt.final:
            return INTERMEDIATE
        code = DELIVERED if receipt.delivered else str(receipt.error_code)
        cls = class_of(code)
        if cls == "UNKNOWN" and sgip_codes.result(receipt.error_code).kind is CodeClass.TEMPORARY:
            cls = "NETWORK"
        return Report(
            channel_id=self._spec.id,
            carrier_id=sgip_reports.message_id_text(receipt.message_id),
            state=PartState.DELIVERED if receipt.delivered else PartState.UNDELIVERABLE,
            code=code,
            cls=cls,
            number=number_of(receipt.number),
            received_at=now(),
        )
