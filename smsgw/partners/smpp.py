"""SMPP 3.4 as partners meet it."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from smsgw.core import text
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA, time_of
from smsgw.core.model import Origin
from smsgw.core.partners import Partner, ReplyTo, Wanted
from smsgw.core.states import PartState
from smsgw.core.text import Coding, Unencodable
from smsgw.core.udh import Concat
from smsgw.partners.protocol_server import (
    Cancel,
    Login,
    Order,
    Query,
    Standing,
    Submit,
    Unfit,
    content_of,
    receipt_head,
    span_of,
)
from smsgw.protocols.dialects import SMPP34
from smsgw.protocols.pdu import RESPONSE, Pdu, Tlv
from smsgw.protocols.rules import Rules
from smsgw.protocols.smpp import codes, pdus, reports, rules as smpp_rules, times, tlvs
from smsgw.store.engine.database import Row
from smsgw.store.messages.bind_events import Claimed, ReceiptTo

_UDHI: Final = 0x40
_MESSAGE_TYPE: Final = 0x3C
_URGENT: Final = 3
"""priority_flag that asks for the emergency lane."""
_QOS_TIME_TO_LIVE: Final = tlvs.QOS_TIME_TO_LIVE

ESME_RINVPRTFLG: Final = 0x06
ESME_RINVMSGID: Final = 0x0C
ESME_RCANCELFAIL: Final = 0x11
ESME_RREPLACEFAIL: Final = 0x13
ESME_RINVDLNAME: Final = 0x34
ESME_RINVESMCLASS: Final = 0x43
ESME_RSUBMITFAIL: Final = 0x45
ESME_RINVREPFLAG: Final = 0x54
ESME_RINVSCHED: Final = 0x61
ESME_RINVEXPIRY: Final = 0x62
ESME_RINVDFTMSGID: Final = 0x63
ESME_RQUERYFAIL: Final = 0x67
ESME_RINVNUMDESTS: Final = 0x33
NO_TEXT: Final = ESME_RSUBMITFAIL
"""3.4 has no word for a data_coding that cannot be carried, and 5.0's (0x104) is none of a session of 3.4."""
MAX_DESTINATIONS: Final = 254

STATUSES: Final[dict[str, int]] = {
    "NUMBER_INVALID": codes.ESME_RINVDSTADR,
    "NUMBER_BLACKLISTED": codes.ESME_RINVDSTADR,
    "NUMBER_OPTED_OUT": codes.ESME_RINVDSTADR,
    "NUMBER_EMPTY": codes.ESME_RINVDSTADR,
    "CONTENT_EMPTY": codes.ESME_RINVMSGLEN,
    "CONTENT_TOO_LONG": codes.ESME_RINVMSGLEN,
    "EXTEND_CODE_INVALID": codes.ESME_RINVSRCADR,
    "TIME_INVALID": ESME_RINVSCHED,
    "RATE_LIMITED": codes.ESME_RTHROTTLED,
    "QUOTA_DAY_EXCEEDED": codes.ESME_RTHROTTLED,
    "QUOTA_MONTH_EXCEEDED": codes.ESME_RTHROTTLED,
    "QUOTA_DEPARTMENT_EXCEEDED": codes.ESME_RTHROTTLED,
    "BACKPRESSURE": codes.ESME_RMSGQFUL,
    "NO_ROUTE": codes.ESME_RMSGQFUL,
    "NOT_READY": codes.ESME_RMSGQFUL,
    "STORAGE_UNAVAILABLE": codes.ESME_RSYSERR,
    "STORAGE_UNCERTAIN": codes.ESME_RUNKNOWNERR,
    "INTERNAL": codes.ESME_RSYSERR,
}
"""By error code; what is not here is ESME_RSUBMITFAIL. docs/partners.md shows this table."""

_CODINGS: Final = {
    1: Coding.ASCII, 2: Coding.BINARY, 3: Coding.LATIN1, 4: Coding.BINARY, 8: Coding.UCS2, 15: Coding.GB18030,
}  # fmt: skip

MESSAGE_STATES: Final[dict[str, int]] = {
    "delivered": 2, "expired": 3, "cancelled": 4, "failed": 5, "no_report": 7, "unconfirmed": 7, "rejected": 8,
    "duplicate": 8,
}  # fmt: skip
"""message_state of a final status word."""


def coding_of(data_coding: int, partner: Partner) -> Coding:
    """The alphabet behind data_coding (5.2.19). ``Unfit`` for those that carry no text."""
    if data_coding == 0:
        return partner.alphabet
    known = _CODINGS.get(data_coding)
    if known is not None:
        return known
    if data_coding & 0xF0 == 0x10 and data_coding & 0x0C != 0x0C:
        return (partner.alphabet, Coding.BINARY, Coding.UCS2)[data_coding >> 2 & 3]
    if data_coding & 0xF0 == 0xF0:
        return Coding.BINARY if data_coding & 0x04 else partner.alphabet
    raise Unfit(NO_TEXT, f"data_coding {data_coding}")


def spell(id_: int, partner: Partner) -> str:
    """An id as this partner reads it."""
    return f"{id_:x}" if partner.message_ids == "hex" else str(id_)


def _id_of(written: str, partner: Partner) -> int:
    try:
        found = int(written, 16 if partner.message_ids == "hex" else 10)
    except ValueError:
        found = 0
    if not 0 < found < 1 << 63:
        raise Unfit(ESME_RINVMSGID, "message_id is none of ours")
    return found


def _number(ton: int, address: str) -> str:
    """A destination as ``core.numbers`` reads it: TON 1 is international without a plus."""
    return f"+{address}" if ton == 1 and not address.startswith(("+", "00")) else address


class SmppServer:
    """``face.ProtocolServer``."""

    protocol = "smpp"
    origin = Origin.SMPP
    wrong_login = codes.ESME_RINVPASWD
    denied = codes.ESME_RBINDFAIL
    unavailable = codes.ESME_RBINDFAIL
    throttled = codes.ESME_RTHROTTLED
    failed = codes.ESME_RSYSERR
    not_text = NO_TEXT
    lists_failures = True

    def __init__(self) -> None:
        self._rules = smpp_rules.server()

    def rules(self) -> Rules:
        """One for all: it has no state."""
        return self._rules

    def login(self, pdu: Pdu) -> Login:
        """A bind of any of the three kinds."""
        if not isinstance(pdu, pdus.BindTransmitter | pdus.BindReceiver | pdus.BindTransceiver):
            raise Unfit(codes.ESME_RINVCMDID, type(pdu).__name__)
        given = pdu.password.encode("utf-8", "surrogateescape")
        # Peers of 3.3 do not expect optional parameters; 0 is said by some that do.
        return Login(
            pdu.system_id,
            lambda password: hmac.compare_digest(given, password.encode()),
            tlvs=pdu.interface_version == 0 or pdu.interface_version >= 0x34,
        )

    def details(self, partner: Partner) -> dict[str, str]:
        """Nothing beyond what the rules say themselves."""
        return {}

    # --- requests ----------------------------------------------------------------------------------------------

    def read(self, pdu: Pdu, partner: Partner, now: datetime) -> Order:
        """submit_sm, submit_multi, data_sm, query_sm, cancel_sm; replace_sm is refused."""
        match pdu:
            case pdus.SubmitSm():
                self._plain(pdu)
                reply = self._reply(pdu, pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr)
                number = _number(pdu.dest_addr_ton, pdu.destination_addr)
                return self._submit(pdu, pdu.short_message, partner, now, (number,), (reply,))
            case pdus.DataSm():
                reply = self._reply(pdu, pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr)
                number = _number(pdu.dest_addr_ton, pdu.destination_addr)
                return self._submit(pdu, b"", partner, now, (number,), (reply,))
            case pdus.SubmitMulti():
                return self._multi(pdu, partner, now)
            case pdus.QuerySm():
                return Query(_id_of(pdu.message_id, partner))
            case pdus.CancelSm() if pdu.message_id:
                return Cancel(_id_of(pdu.message_id, partner))
            case pdus.CancelSm():
                if not pdu.destination_addr:
                    raise Unfit(ESME_RCANCELFAIL, "neither message_id nor destination_addr")
                return Cancel(0, pdu.source_addr, _number(pdu.dest_addr_ton, pdu.destination_addr))
            case pdus.ReplaceSm():
                raise Unfit(ESME_RREPLACEFAIL, "messages are not replaced; cancel and submit again")
        raise Unfit(codes.ESME_RINVCMDID, type(pdu).__name__)

    @staticmethod
    def _plain(pdu: pdus.SubmitSm | pdus.SubmitMulti) -> None:
        if pdu.sm_default_msg_id:
            raise Unfit(ESME_RINVDFTMSGID, "there are no predefined messages")
        if pdu.replace_if_present_flag:
            raise Unfit(ESME_RINVREPFLAG, "messages are not replaced")
        if pdu.priority_flag > _URGENT:
            raise Unfit(ESME_RINVPRTFLG, f"priority_flag {pdu.priority_flag}")

    @staticmethod
    def _reply(
        pdu: pdus.SubmitSm | pdus.DataSm | pdus.SubmitMulti, ton: int, npi: int, destination: str, group: bool = False
    ) -> ReplyTo:
        return ReplyTo(
            Wanted(pdu.registered_delivery & 3),
            pdu.source_addr,
            destination,
            pdu.source_addr_ton,
            pdu.source_addr_npi,
            ton,
            npi,
            pdu.service_type,
            group,
        )

    def _multi(self, pdu: pdus.SubmitMulti, partner: Partner, now: datetime) -> Submit:
        self._plain(pdu)
        if not 1 <= len(pdu.dest_address) <= MAX_DESTINATIONS:
            raise Unfit(ESME_RINVNUMDESTS, f"{len(pdu.dest_address)} destinations")
        unfit = {n: ESME_RINVDLNAME for n, d in enumerate(pdu.dest_address) if not isinstance(d, pdus.SmeAddress)}
        good = [d for d in pdu.dest_address if isinstance(d, pdus.SmeAddress)]
        if not good:
            raise Unfit(ESME_RINVDLNAME, "there are no distribution lists")
        submit = self._submit(
            pdu,
            pdu.short_message,
            partner,
            now,
            tuple(_number(d.dest_addr_ton, d.destination_addr) for d in good),
            tuple(self._reply(pdu, d.dest_addr_ton, d.dest_addr_npi, d.destination_addr, True) for d in good),
        )
        if submit.concat is not None and len(good) > 1:
            raise Unfit(ESME_RINVESMCLASS, "a part of a long message goes to one destination")
        submit.unfit = unfit
        return submit

    def _submit(
        self,
        pdu: pdus.SubmitSm | pdus.DataSm | pdus.SubmitMulti,
        short: bytes,
        partner: Partner,
        now: datetime,
        destinations: tuple[str, ...],
        replies: tuple[ReplyTo, ...],
    ) -> Submit:
        if pdu.esm_class & _MESSAGE_TYPE:
            raise Unfit(ESME_RINVESMCLASS, f"esm_class 0x{pdu.esm_class:02x}")
        octets = short
        found = {tlv.tag: tlv.value for tlv in pdu.tlvs} if pdu.tlvs else {}
        payload = found.get(tlvs.MESSAGE_PAYLOAD)
        if payload is not None:
            if short and short != payload:
                raise Unfit(codes.ESME_RINVMSGLEN, "both short_message and message_payload")
            octets = payload
        coding = coding_of(pdu.data_coding, partner)
        octets, concat = content_of(
            octets, bool(pdu.esm_class & _UDHI), coding, bad_header=ESME_RINVESMCLASS, bad_length=codes.ESME_RINVMSGLEN
        )
        if concat is None and tlvs.SAR_TOTAL_SEGMENTS in found:
            concat = _sar(found)
        send_at = expire_at = None
        urgent = False
        if isinstance(pdu, pdus.DataSm):
            seconds = int.from_bytes(found.get(_QOS_TIME_TO_LIVE, b""), "big")
            expire_at = now + timedelta(seconds=seconds) if 0 < seconds <= 0xFFFFFFFF else None
        else:
            urgent = pdu.priority_flag == _URGENT
            send_at, expire_at = span_of(
                pdu.schedule_delivery_time, pdu.validity_period, now, bad_begin=ESME_RINVSCHED, bad_end=ESME_RINVEXPIRY
            )
        return Submit(destinations, replies, pdu.source_addr, octets, coding, concat, send_at, expire_at, urgent)

    # --- answers -----------------------------------------------------------------------------------------------

    def status_of(self, error: SmsgwError) -> int:
        """See ``STATUSES``."""
        return STATUSES.get(error.code, ESME_RSUBMITFAIL)

    def accepted(self, pdu: Pdu, partner: Partner, id: int, failures: Sequence[tuple[int, int]] = ()) -> Pdu:
        """submit_sm_resp, submit_multi_resp, data_sm_resp."""
        message_id = spell(id, partner)
        if isinstance(pdu, pdus.SubmitMulti):
            return pdus.SubmitMultiResp(
                sequence=pdu.sequence,
                message_id=message_id,
                unsuccess_sme=tuple(_unsuccess(pdu.dest_address[n], status) for n, status in failures),
            )
        if isinstance(pdu, pdus.DataSm):
            return pdus.DataSmResp(sequence=pdu.sequence, message_id=message_id)
        return pdus.SubmitSmResp(sequence=pdu.sequence, message_id=message_id)

    def fingerprint(self, pdu: Pdu) -> int | None:
        """SMPP does not send a request again."""
        return None

    def refused(self, pdu: Pdu, status: int) -> Pdu:
        """The answer that belongs to the request; that to a query says again which message was asked for."""
        if isinstance(pdu, pdus.QuerySm):
            return pdus.QuerySmResp(sequence=pdu.sequence, command_status=status, message_id=pdu.message_id)
        answer: Pdu = SMPP34.pdus[pdu.command_id | RESPONSE](
            sequence=pdu.sequence,
            command_status=status,  # type: ignore[call-arg]
        )
        return answer

    def found(self, pdu: Pdu, standing: Standing | None) -> Pdu:
        """query_sm_resp."""
        if standing is None or not isinstance(pdu, pdus.QuerySm):
            return self.refused(pdu, ESME_RINVMSGID)
        return pdus.QuerySmResp(
            sequence=pdu.sequence,
            message_id=pdu.message_id,
            final_date=times.absolute(standing.final_at.astimezone(CHINA)) if standing.final_at else "",
            message_state=_state_of(standing),
            error_code=min(255, int(_error(standing.code))),
        )

    def counted(self, pdu: Pdu, counts: dict[str, int]) -> Pdu:
        """SMPP has no such request."""
        return self.refused(pdu, ESME_RQUERYFAIL)

    def cancelled(self, pdu: Pdu, done: bool) -> Pdu:
        """cancel_sm_resp."""
        return pdus.CancelSmResp(sequence=pdu.sequence, command_status=0 if done else ESME_RCANCELFAIL)

    # --- deliveries --------------------------------------------------------------------------------------------

    def receipt(self, claimed: Claimed, receipt: ReceiptTo, partner: Partner, version: int, tlvs: bool) -> Pdu:
        """deliver_sm with a receipt: as text by appendix B, and as optional parameters."""
        stat, error = stat_of(claimed.event.status, claimed.event.code)
        written = reports.Receipt(
            id=spell(receipt.id, partner),
            dlvrd="001" if claimed.event.status == "delivered" else "000",
            submit_date=f"{time_of(receipt.id).astimezone(CHINA):%y%m%d%H%M}",
            done_date=f"{claimed.event.done_at.astimezone(CHINA):%y%m%d%H%M}" if claimed.event.done_at else None,
            stat=stat,
            err=error,
            text=receipt_head(receipt.head),
        )
        reply = receipt.reply
        # From the phone to the address that had sent: both as the partner had written them.
        return pdus.DeliverSm(
            service_type=reply.service,
            source_addr_ton=reply.dest_ton if reply.destination else 1,
            source_addr_npi=reply.dest_npi if reply.destination else 1,
            source_addr=reply.destination or receipt.number,
            dest_addr_ton=reply.source_ton,
            dest_addr_npi=reply.source_npi,
            destination_addr=reply.source or partner.code,
            esm_class=reports.DELIVERY_RECEIPT,
            short_message=reports.build(written).encode("ascii"),
            tlvs=_receipt_tlvs(written) if tlvs else (),
        )

    def message(self, mo: Row, partner: Partner, ref: int, tlvs: bool) -> list[Pdu]:
        """deliver_sm with a message from a phone; a long one in parts, or in message_payload."""
        content = mo["content"]
        coding, data_coding = _coding_for(content, partner)
        whole = text.encode(content, coding)
        if partner.long_mo == "payload" and tlvs and text.count_parts(content, coding) > 1:
            return [self._deliver(mo, partner, data_coding, 0, b"", (Tlv(_PAYLOAD, whole),))]
        return [
            self._deliver(mo, partner, data_coding, _UDHI if s.udh else 0, s.udh + s.octets)
            for s in text.split(content, coding, ref=ref)
        ]

    @staticmethod
    def _deliver(
        mo: Row, partner: Partner, data_coding: int, esm_class: int, octets: bytes, extra: tuple[Tlv, ...] = ()
    ) -> Pdu:
        return pdus.DeliverSm(
            source_addr_ton=1,
            source_addr_npi=1,
            source_addr=mo["number"][:20],
            destination_addr=(partner.code + mo["extend_code"] if partner.code else mo["to_code"])[:20],
            esm_class=esm_class,
            data_coding=data_coding,
            short_message=octets,
            tlvs=extra,
        )

    def refuses_for_good(self, status: int) -> bool:
        """ESME_RX_P_APPN and ESME_RX_R_APPN; all others are taken for "try again"."""
        return status in (codes.ESME_RX_P_APPN, codes.ESME_RX_R_APPN)


_PAYLOAD: Final = tlvs.MESSAGE_PAYLOAD


def _sar(found: dict[int, bytes]) -> Concat | None:
    ref, total, number = (
        int.from_bytes(found.get(tag, b""), "big")
        for tag in (tlvs.SAR_MSG_REF_NUM, tlvs.SAR_TOTAL_SEGMENTS, tlvs.SAR_SEGMENT_SEQNUM)
    )
    if total == 1:
        return None
    if not 1 <= number <= total <= 255:
        raise Unfit(codes.ESME_RINVOPTPARSTREAM, "no such segment")  # their numbers may be too long to write
    return Concat(ref & 0xFFFF, total, number, wide=True)


def _unsuccess(destination: pdus.SmeAddress | pdus.DistributionList, status: int) -> pdus.UnsuccessSme:
    if isinstance(destination, pdus.DistributionList):
        return pdus.UnsuccessSme(destination_addr=destination.dl_name, error_status_code=status)
    return pdus.UnsuccessSme(
        dest_addr_ton=destination.dest_addr_ton,
        dest_addr_npi=destination.dest_addr_npi,
        destination_addr=destination.destination_addr,
        error_status_code=status,
    )


def _state_of(standing: Standing) -> int:
    word = {
        PartState.DELIVERED: 2, PartState.EXPIRED: 3, PartState.CANCELLED: 4, PartState.UNDELIVERABLE: 5,
        PartState.NO_REPORT: 7, PartState.UNCONFIRMED: 7, PartState.REJECTED: 8, PartState.DUPLICATE: 8,
    }  # fmt: skip
    return word.get(standing.state, 1)  # ENROUTE


def _error(code: str) -> str:
    """Three digits for ``err``: those at the end of the carrier's code."""
    digits = ""
    for char in reversed(code):
        if not char.isdigit() or len(digits) == 3 or not char.isascii():
            break
        digits = char + digits
    return digits.rjust(3, "0")


def stat_of(status: str, code: str) -> tuple[str, str]:
    """The words of a receipt: state, and error as three digits. The carrier's own state where it is one of SMPP's."""
    if status == "delivered":
        return "DELIVRD", "000"
    word = reports.STATES[MESSAGE_STATES.get(status, 7)]
    said = code.partition("/")[0]
    if status == "failed" and said in ("EXPIRED", "DELETED", "UNDELIV", "REJECTD"):
        word = said
    return word, _error(code)


_STATE_NUMBERS: Final = {word: number for number, word in reports.STATES.items()}


def _receipt_tlvs(written: reports.Receipt) -> tuple[Tlv, ...]:
    id_, stat, error = written.id or "", written.stat or "", written.err or "000"
    extra = (
        Tlv(tlvs.RECEIPTED_MESSAGE_ID, id_.encode() + b"\0"),
        Tlv(tlvs.MESSAGE_STATE, bytes((_STATE_NUMBERS[stat],))),
    )
    if error == "000":
        return extra
    return (*extra, Tlv(tlvs.NETWORK_ERROR_CODE, b"\3" + int(error).to_bytes(2, "big")))


def _coding_for(content: str, partner: Partner) -> tuple[Coding, int]:
    """The alphabet and data_coding for a text to this partner."""
    try:
        text.encode(content, partner.alphabet)
    except Unencodable:
        return Coding.UCS2, 8
    return partner.alphabet, 0
