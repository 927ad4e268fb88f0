"""CMPP 2.0 and 3.0 as partners meet it; the login settles which."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from smsgw.core import numbers, text
from smsgw.core.errors import SmsgwError
from smsgw.core.ids import CHINA, time_of
from smsgw.core.model import Origin
from smsgw.core.partners import Partner, ReplyTo, Wanted
from smsgw.core.text import Coding
from smsgw.partners.cmpp_ids import from_msg_id, to_msg_id
from smsgw.partners.protocol_server import Cancel, Count, Login, Order, Standing, Submit, Unfit, content_of, span_of
from smsgw.protocols.cmpp import codes, pdus, reports, rules as cmpp_rules
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.rules import Rules
from smsgw.runtime import clock
from smsgw.store.engine.database import Row
from smsgw.store.messages.bind_events import Claimed, ReceiptTo

MAX_DESTINATIONS: Final = 99
"""DestUsr_tl is less than 100 (8.4.3.1)."""
_URGENT: Final = 9
"""Msg_level that asks for the emergency lane."""
_SINGLE_ASCII: Final = 159
"""Msg_Length of Msg_Fmt 0 is less than 160 (8.4.5.1)."""

STRUCTURE: Final = cmpp_rules.STRUCTURE
LENGTH: Final = cmpp_rules.LENGTH
TOO_LONG: Final = cmpp_rules.TOO_LONG
REPEATED: Final = 3
OTHER: Final = 9
SRC_ID: Final = 10
DEST_TERMINAL_ID: Final = 13
REFUSED: Final = 100
"""From here on our own words: 100 to 199 are the gateway's by CMPP 2.1."""

STATUSES: Final[dict[str, int]] = {
    "NUMBER_INVALID": DEST_TERMINAL_ID,
    "NUMBER_BLACKLISTED": DEST_TERMINAL_ID,
    "NUMBER_OPTED_OUT": DEST_TERMINAL_ID,
    "NUMBER_EMPTY": DEST_TERMINAL_ID,
    "CONTENT_EMPTY": LENGTH,
    "CONTENT_TOO_LONG": TOO_LONG,
    "EXTEND_CODE_INVALID": SRC_ID,
    "TIME_INVALID": STRUCTURE,
    "RATE_LIMITED": codes.THROTTLED,
    "QUOTA_DAY_EXCEEDED": codes.THROTTLED,
    "QUOTA_MONTH_EXCEEDED": codes.THROTTLED,
    "QUOTA_DEPARTMENT_EXCEEDED": codes.THROTTLED,
    "BACKPRESSURE": codes.THROTTLED,
    "NO_ROUTE": codes.THROTTLED,
    "NOT_READY": codes.THROTTLED,
    "STORAGE_UNAVAILABLE": codes.THROTTLED,
    "STORAGE_UNCERTAIN": OTHER,
    "INTERNAL": OTHER,
    "BALANCE_INSUFFICIENT": REFUSED + 1,
    "SIGN_MISSING": REFUSED + 2,
    "SIGN_NOT_APPROVED": REFUSED + 2,
    "SIGN_NOT_REGISTERED": REFUSED + 2,
    "CONTENT_SENSITIVE": REFUSED + 3,
    "ACCOUNT_STOPPED": REFUSED + 4,
    "NUMBER_FREQ_LIMITED": REFUSED + 5,
    "INTERNATIONAL_LIMITED": REFUSED + 5,
    "TIME_WINDOW_CLOSED": REFUSED + 6,
}
"""By error code; what is not here is 100. docs/partners.md shows this table."""

STATS: Final[dict[str, str]] = {
    "delivered": "DELIVRD", "expired": "EXPIRED", "cancelled": "DELETED", "failed": "UNDELIV", "no_report": "UNKNOWN",
    "unconfirmed": "UNKNOWN", "rejected": "REJECTD", "duplicate": "REJECTD",
}  # fmt: skip
"""Stat of a final status word, where the carrier has said none of its own."""

_CODINGS: Final = {0: Coding.ASCII, 4: Coding.BINARY, 8: Coding.UCS2, 15: Coding.GB18030}


def coding_of(msg_fmt: int) -> Coding:
    """The alphabet behind Msg_Fmt; beyond its table as GSM 03.38, for senders who mean that. ``Unfit`` for the rest."""
    known = _CODINGS.get(msg_fmt)
    if known is None and msg_fmt & 0xC0 == 0 and msg_fmt & 0x0C == 8:
        known = Coding.UCS2
    if known is None and msg_fmt & 0xEF == 0:
        known = Coding.ASCII
    if known is None:
        raise Unfit(STRUCTURE, f"Msg_Fmt {msg_fmt}")
    return known


class CmppServer:
    """``face.ProtocolServer``."""

    protocol = "cmpp"
    origin = Origin.CMPP
    wrong_login = cmpp_rules.CONNECT_AUTH
    denied = cmpp_rules.CONNECT_SOURCE
    unavailable = cmpp_rules.CONNECT_OTHER
    throttled = codes.THROTTLED
    failed = OTHER
    not_text = STRUCTURE
    lists_failures = False

    def __init__(self) -> None:
        self._rules = cmpp_rules.server()

    def rules(self) -> Rules:
        """One for all: it has no state."""
        return self._rules

    def login(self, pdu: Pdu) -> Login:
        """CMPP_CONNECT."""
        if not isinstance(pdu, pdus.Connect):
            raise Unfit(cmpp_rules.CONNECT_OTHER, type(pdu).__name__)
        return Login(pdu.source_addr, lambda password: cmpp_rules.proves(pdu, password), stamp=pdu.timestamp)

    def details(self, partner: Partner) -> dict[str, str]:
        """AuthenticatorISMG proves that we know the secret, too."""
        return {"secret": partner.password}

    # --- requests ----------------------------------------------------------------------------------------------

    def read(self, pdu: Pdu, partner: Partner, now: datetime) -> Order:
        """SUBMIT, QUERY, CANCEL; FWD is between gateways."""
        match pdu:
            case pdus.Submit():
                return self._submit(pdu, now)
            case pdus.Query():
                return Count(pdu.time)
            case pdus.Cancel():
                id_ = from_msg_id(pdu.msg_id, now)
                if not id_:
                    raise Unfit(1, "Msg_Id is none of ours")
                return Cancel(id_)
        raise Unfit(cmpp_rules.COMMAND, type(pdu).__name__)

    def _submit(self, pdu: pdus.Submit, now: datetime) -> Submit:
        to = pdu.dest_terminal_id
        if not 1 <= len(to) <= MAX_DESTINATIONS or pdu.dest_terminal_type:
            raise Unfit(DEST_TERMINAL_ID, f"{len(to)} destinations of type {pdu.dest_terminal_type}")
        coding = coding_of(pdu.msg_fmt)
        # 1 by the specification, the GSM bit by habit of some senders; without a header Pk_total tells nothing.
        octets, concat = content_of(
            pdu.msg_content, bool(pdu.tp_udhi & 0x41), coding, bad_header=STRUCTURE, bad_length=LENGTH
        )
        send_at, expire_at = span_of(pdu.at_time, pdu.valid_time, now, bad_begin=STRUCTURE, bad_end=STRUCTURE)
        wanted = Wanted.ALL if pdu.registered_delivery == 1 else Wanted.NONE
        replies = tuple(ReplyTo(wanted, pdu.src_id, number, service=pdu.service_id, group=len(to) > 1) for number in to)
        urgent = pdu.msg_level == _URGENT
        return Submit(to, replies, pdu.src_id, octets, coding, concat, send_at, expire_at, urgent)

    # --- answers -----------------------------------------------------------------------------------------------

    def status_of(self, error: SmsgwError) -> int:
        """See ``STATUSES``."""
        return STATUSES.get(error.code, REFUSED)

    def accepted(self, pdu: Pdu, partner: Partner, id: int, failures: Sequence[tuple[int, int]] = ()) -> Pdu:
        """SUBMIT_RESP; the Msg_Id of a group is that of its first destination (appendix 1)."""
        return pdus.SubmitResp(sequence=pdu.sequence, msg_id=to_msg_id(id))

    def fingerprint(self, pdu: Pdu) -> int | None:
        """A SUBMIT goes again with its Sequence_Id when its answer has not come in time (7.1)."""
        if not isinstance(pdu, pdus.Submit):
            return None
        return hash((pdu.dest_terminal_id, pdu.src_id, pdu.pk_number, pdu.msg_content))

    def refused(self, pdu: Pdu, status: int) -> Pdu:
        """The answer that belongs to the request; QUERY_RESP has no room for a status."""
        match pdu:
            case pdus.Cancel():
                return pdus.CancelResp(sequence=pdu.sequence, success_id=1)
            case pdus.Query():
                return self.counted(pdu, {})
            case pdus.Fwd():
                return pdus.FwdResp(
                    sequence=pdu.sequence, msg_id=pdu.msg_id, pk_total=pdu.pk_total, pk_number=pdu.pk_number,
                    result=status,
                )  # fmt: skip
        return pdus.SubmitResp(sequence=pdu.sequence, result=status)

    def found(self, pdu: Pdu, standing: Standing | None) -> Pdu:
        """CMPP does not ask for single messages."""
        return self.refused(pdu, OTHER)

    def counted(self, pdu: Pdu, counts: dict[str, int]) -> Pdu:
        """QUERY_RESP. All services of an account are counted together."""
        query = pdu if isinstance(pdu, pdus.Query) else pdus.Query()
        accepted = counts.get("accepted", 0)
        return pdus.QueryResp(
            sequence=pdu.sequence,
            time=query.time,
            query_type=query.query_type,
            query_code=query.query_code,
            mt_tlmsg=accepted,
            mt_tlusr=accepted,
            mt_scs=counts.get("submitted", 0),
            mt_wt=counts.get("waiting", 0),
            mt_fl=counts.get("failed", 0),
            mo_scs=max(0, counts.get("mo", 0) - counts.get("mo_waiting", 0)),
            mo_wt=counts.get("mo_waiting", 0),
        )

    def cancelled(self, pdu: Pdu, done: bool) -> Pdu:
        """CANCEL_RESP."""
        return pdus.CancelResp(sequence=pdu.sequence, success_id=0 if done else 1)

    # --- deliveries --------------------------------------------------------------------------------------------

    def receipt(self, claimed: Claimed, receipt: ReceiptTo, partner: Partner, version: int, tlvs: bool) -> Pdu:
        """DELIVER with a status report. Its own Msg_Id is the same however often it is sent."""
        reply = receipt.reply
        number = reply.destination or numbers.national(receipt.number)
        index = claimed.receipts.index(receipt)
        done = claimed.event.done_at or clock.now()
        content = reports.Report(
            msg_id=to_msg_id(receipt.id),
            stat=stat_of(claimed.event.status, claimed.event.code),
            submit_time=f"{time_of(receipt.id).astimezone(CHINA):%y%m%d%H%M}",
            done_time=f"{done.astimezone(CHINA):%y%m%d%H%M}",
            dest_terminal_id=number,
            smsc_sequence=claimed.event.id & 0xFFFFFFFF,
        )
        return pdus.Deliver(
            msg_id=to_msg_id(claimed.event.id, index),
            dest_id=reply.source or partner.code,
            service_id=reply.service,
            src_terminal_id=number,
            registered_delivery=1,
            msg_content=reports.encode(content, version),
        )

    def message(self, mo: Row, partner: Partner, ref: int, tlvs: bool) -> list[Pdu]:
        """DELIVER with a message from a phone; a long one in parts."""
        content = mo["content"]
        coding = Coding.ASCII if content.isascii() else Coding.UCS2
        limit = _SINGLE_ASCII if coding is Coding.ASCII else None
        return [
            pdus.Deliver(
                msg_id=to_msg_id(mo["id"], segment.number - 1),
                dest_id=(partner.code + mo["extend_code"] if partner.code else mo["to_code"])[:21],
                tp_udhi=1 if segment.udh else 0,
                msg_fmt=0 if coding is Coding.ASCII else 8,
                src_terminal_id=numbers.national(mo["number"])[:21],
                msg_content=segment.udh + segment.octets,
            )
            for segment in text.split(content, coding, ref=ref, single_limit=limit)
        ]

    def refuses_for_good(self, status: int) -> bool:
        """That it is a repetition says that it was taken before. All others are taken for "try again"."""
        return status == REPEATED


def stat_of(status: str, code: str) -> str:
    """Stat of a report: the carrier's own word of a failure where it fits, else ours."""
    said = code.partition("/")[0]
    if status == "failed" and 1 <= len(said) <= 7 and said.isascii() and said.isprintable() and not said.isdigit():
        return said
    return STATS.get(status, "UNKNOWN")
