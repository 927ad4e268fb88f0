"""CMPP 2.x and 3.0."""

from __future__ import annotations

from smsgw.channels.profiles import Profile
from smsgw.channels.wire.mapping.base import (
    INTERMEDIATE,
    PLAIN_FORMAT,
    Cutter,
    Incoming,
    Serial,
    ascii_octets,
    clean,
    inbound_of,
    judge,
    now,
    number_of,
    plain_coding,
)
from smsgw.core import numbers
from smsgw.core.model import ChannelSpec, Claimed, Outcome, Report
from smsgw.core.references import written_time
from smsgw.core.report_codes import DELIVERED, class_of
from smsgw.core.states import PartState
from smsgw.core.text import Coding
from smsgw.protocols.cmpp import codes as cmpp_codes, pdus as cmpp, reports as cmpp_reports
from smsgw.protocols.errors import Malformed
from smsgw.protocols.pdu import Pdu


class CmppMapping:
    """CMPP 2.x and 3.0."""

    def __init__(self, spec: ChannelSpec, profile: Profile) -> None:
        self._spec = spec
        self._profile = profile
        self._msg_src = profile.msg_src or spec.username
        self._cutter = Cutter(profile)
        self._serial = Serial()

    def submit(self, claimed: Claimed) -> Pdu:
        """CMPP_SUBMIT with one destination."""
        piece = self._cutter.piece(claimed)
        coding = Coding(claimed.coding)
        number = claimed.number if self._profile.prefix_86 else numbers.national(claimed.number)
        return cmpp.Submit(
            pk_total=piece.total,
            pk_number=piece.number,
            registered_delivery=1,
            service_id=self._profile.service_id,
            fee_user_type=self._profile.fee_user_type,
            tp_udhi=1 if piece.udh else 0,
            msg_fmt=PLAIN_FORMAT[coding],
            msg_src=self._msg_src,
            fee_type=self._profile.fee_type or "01",
            fee_code=self._profile.fee_code,
            src_id=self._spec.access_code + claimed.extend_code,
            dest_terminal_id=(number,),
            msg_content=piece.udh + ascii_octets(piece.octets, coding),
        )

    def written(self, pdu: Pdu) -> str:
        """The carrier makes the id; it stands in the answer."""
        return ""

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
                code=clean(report.stat),
                cls=class_of(report.stat),
                number=number_of(report.dest_terminal_id),
                received_at=now(),
                by_number=self._profile.match_by_destination,
                submitted=written_time(report.submit_time),
            )
        # Without an id of its own every message is a new one: to take two for the same would lose one.
        carrier_id = f"{pdu.msg_id:016x}" if pdu.msg_id else self._serial.next()
        return inbound_of(
            self._spec.id, carrier_id, pdu.src_terminal_id, pdu.dest_id, pdu.msg_content,
            bool(pdu.tp_udhi & 0x41), plain_coding(pdu.msg_fmt),
        )  # fmt: skip
