"""SMGP 1.3 and 3.0. Message ids are ten opaque octets, kept as 20 hexadecimal digits."""

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
from smsgw.protocols.pdu import Pdu, Tlv
from smsgw.protocols.smgp import codes as smgp_codes, pdus as smgp, reports as smgp_reports

_MT = 6
_NORMAL = 1
_NO_ID = bytes(10)
_CLASS_OF_ERR = {
    1: "POWERED_OFF", 2: "HANDSET", 3: "HANDSET", 4: "EMPTY_NUMBER", 5: "BLACKLIST_CARRIER", 6: "NETWORK",
    7: "HANDSET", 8: "HANDSET", 9: "NETWORK", 10: "NETWORK",
}  # fmt: skip


class SmgpMapping:
    """SMGP; the session has settled the version."""

    def __init__(self, spec: ChannelSpec, profile: Profile) -> None:
        self._spec = spec
        self._profile = profile
        self._cutter = Cutter(profile)
        self._serial = Serial()

    def submit(self, claimed: Claimed) -> Pdu:
        """Submit with one destination; long messages say so in parameters and in a user data header."""
        piece = self._cutter.piece(claimed)
        coding = Coding(claimed.coding)
        number = claimed.number if self._profile.prefix_86 else numbers.national(claimed.number)
        parameters: tuple[Tlv, ...] = ()
        if piece.udh:
            parameters = (
                Tlv(smgp.TP_UDHI, b"\1"),
                Tlv(smgp.PK_TOTAL, bytes((piece.total,))),
                Tlv(smgp.PK_NUMBER, bytes((piece.number,))),
            )
        return smgp.Submit(
            msg_type=_MT,
            need_report=1,
            priority=_NORMAL,
            service_id=self._profile.service_id,
            fee_type=self._profile.fee_type or "00",
            fee_code=self._profile.fee_code,
            fixed_fee="0",
            msg_format=PLAIN_FORMAT[coding],
            src_term_id=self._spec.access_code + claimed.extend_code,
            dest_term_id=(number,),
            msg_content=piece.udh + ascii_octets(piece.octets, coding),
            tlvs=parameters,
        )

    def written(self, pdu: Pdu) -> str:
        """The carrier makes the id; it stands in the answer."""
        return ""

    def outcome(self, claimed: Claimed, answer: Pdu, status: int) -> Outcome:
        """Status of Submit_Resp."""
        msg_id = getattr(answer, "msg_id", _NO_ID)
        return judge(claimed, smgp_codes.status(status), str(status), "" if msg_id == _NO_ID else msg_id.hex())

    def incoming(self, pdu: Pdu) -> Incoming:
        """Deliver: a report or a message from a phone."""
        if not isinstance(pdu, smgp.Deliver):
            raise ValueError(f"{type(pdu).__name__} is not a delivery")
        report = smgp_reports.of_deliver(pdu)
        if report is not None:
            return self._report(pdu, report)
        # Without an id of its own every message is a new one: to take two for the same would lose one.
        carrier_id = pdu.msg_id.hex() if pdu.msg_id != _NO_ID else self._serial.next()
        udhi = (pdu.tlv(smgp.TP_UDHI) or b"\0")[-1]
        return inbound_of(
            self._spec.id, carrier_id, pdu.src_term_id, pdu.dest_term_id, pdu.msg_content, bool(udhi & 1),
            plain_coding(pdu.msg_format),
        )  # fmt: skip

    def _report(self, pdu: smgp.Deliver, report: smgp_reports.Report) -> Incoming:
        if report.id is None:
            raise ValueError("report without a message id")
        err = int(report.err) if report.err and report.err.isdecimal() else None
        stat = (report.stat or (DELIVERED if err == 0 else "UNKNOWN")).upper()
        if not report.final:
            return INTERMEDIATE
        delivered = stat == DELIVERED
        cls = class_of(stat)
        if not delivered and err in _CLASS_OF_ERR:
            cls = _CLASS_OF_ERR[err]
        return Report(
            channel_id=self._spec.id,
            carrier_id=report.id.hex(),
            state=PartState.DELIVERED if delivered else PartState.UNDELIVERABLE,
            code=clean(stat if delivered or not err else f"{stat}/{report.err}"),
            cls=cls,
            number=number_of(pdu.src_term_id),
            received_at=now(),
            by_number=self._profile.match_by_destination,
            submitted=written_time(report.submit_date),
        )
