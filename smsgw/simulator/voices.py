"""How a carrier speaks: the few things in which CMPP and SMPP differ for a simulator, behind one interface."""

from __future__ import annotations

import hmac
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import Any, Protocol

from smsgw.core import text as texts
from smsgw.core import udh
from smsgw.core.text import Coding
from smsgw.core.udh import Concat
from smsgw.protocols.cmpp import msgid
from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.protocols.cmpp import reports as cmpp_reports
from smsgw.protocols.cmpp import rules as cmpp_rules
from smsgw.protocols.dialects import Dialect
from smsgw.protocols.pdu import Pdu, Tlv
from smsgw.protocols.rules import Rules
from smsgw.protocols.smpp import pdus as smpp
from smsgw.protocols.smpp import reports as smpp_reports
from smsgw.protocols.smpp import rules as smpp_rules
from smsgw.protocols.smpp import tlvs
from smsgw.simulator.config import ID_FORMS, CarrierConfig

UDHI = 0x40


class Wish(Enum):
    """Which reports the sender wants."""

    NONE = 0
    ALL = 1
    FAILURES = 2
    SUCCESSES = 3

    def includes(self, state: str) -> bool:
        """Whether a report with this state is wanted."""
        if self is Wish.FAILURES:
            return state != "DELIVRD"
        if self is Wish.SUCCESSES:
            return state == "DELIVRD"
        return self is Wish.ALL


@dataclass(slots=True)
class Submission:
    """One submit, read."""

    destinations: tuple[str, ...]
    source: str
    text: str
    """Of this part alone, without its header."""
    concat: Concat | None
    wish: Wish


@dataclass(slots=True)
class Report:
    """What became of one part, to be told to its sender."""

    id: int
    """As in the answer."""
    delivery_id: int
    destination: str
    source: str
    state: str
    error: str
    submitted: float
    """Wall clock seconds."""
    done: float
    head: str
    """The beginning of the text."""


@dataclass(slots=True)
class Reply:
    """One part of a message from a phone."""

    delivery_id: int
    source: str
    destination: str
    coding: Coding
    octets: bytes
    udh: bytes


class Voice(Protocol):
    """A protocol, seen from the carrier."""

    throttle_status: int
    full_status: int
    """Login status for one connection too many."""
    mo_codings: tuple[Coding, ...]

    def rules(self) -> Rules:
        """Session rules of the server side."""
        ...

    def login(self, pdu: Pdu) -> tuple[str, int, dict[str, Any]]:
        """Who logs in, the status (0 = welcome) and the details of the admission."""
        ...

    def receives(self, pdu: Pdu) -> bool:
        """Whether this login takes reports and replies."""
        ...

    def read(self, pdu: Pdu) -> Submission | None:
        """The submission in a request, None when it is another request."""
        ...

    def new_id(self, n: int) -> int:
        """A message id; the `n - 1` that follow are taken, too (`id_after`)."""
        ...

    def id_after(self, first: int, k: int) -> int:
        """The id of the k-th destination of one submit, from 0."""
        ...

    def answer(self, pdu: Pdu, status: int, id: int) -> Pdu:
        """The answer to a submit."""
        ...

    def other(self, pdu: Pdu) -> tuple[int, dict[str, Any]]:
        """Status and fields of the answer to a request that is no submit."""
        ...

    def report(self, report: Report, dialect: Dialect) -> Pdu:
        """The request that carries a report."""
        ...

    def reply(self, reply: Reply) -> Pdu:
        """The request that carries a part from a phone."""
        ...


def voice_of(config: CarrierConfig, dice: random.Random, port: Callable[[], int]) -> Voice:
    """The voice that a configuration asks for."""
    if config.protocol == "cmpp":
        return CmppVoice(config, port)
    return SmppVoice(config, dice)


def coding_of(data_coding: int, default: Coding) -> Coding:
    """The alphabet behind SMPP data_coding or CMPP Msg_Fmt; both follow GSM 03.38 where their own tables end."""
    known = _CODINGS.get(data_coding)
    if known is not None:
        return known
    if data_coding == 0:
        return default
    if data_coding & 0xF0 == 0xF0:
        return Coding.BINARY if data_coding & 0x04 else Coding.GSM7
    if data_coding & 0xF0 == 0x10:
        return (Coding.GSM7, Coding.BINARY, Coding.UCS2, Coding.BINARY)[data_coding >> 2 & 3]
    return Coding.BINARY


_CODINGS = {
    1: Coding.ASCII,
    2: Coding.BINARY,
    3: Coding.LATIN1,
    4: Coding.BINARY,
    8: Coding.UCS2,
    15: Coding.GB18030,
}
_NUMBERS = {
    Coding.GSM7: 0,
    Coding.ASCII: 0,
    Coding.LATIN1: 3,
    Coding.BINARY: 4,
    Coding.UCS2: 8,
    Coding.GB18030: 15,
}


def _without_header(octets: bytes, udhi: bool) -> tuple[bytes, Concat | None]:
    if not udhi:
        return octets, None
    try:
        header = udh.parse(octets)
    except udh.InvalidUdh:
        return octets, None
    return octets[header.length :], header.concat


class _Dates:
    """YYMMDDhhmm of China time; formatted once a minute, because every report has two."""

    def __init__(self) -> None:
        self._minute = -1
        self._text = ""

    def __call__(self, wall: float) -> str:
        minute = int(wall // 60)
        if minute != self._minute:
            self._minute = minute
            self._text = time.strftime("%y%m%d%H%M", time.gmtime(minute * 60 + 8 * 3600))
        return self._text


class CmppVoice:
    """CMPP 2.0 and 3.0; the session settles which."""

    throttle_status = 8
    full_status = 5
    mo_codings: tuple[Coding, ...] = (Coding.ASCII, Coding.UCS2)

    def __init__(self, config: CarrierConfig, port: Callable[[], int]) -> None:
        self._users = config.users
        self._alphabet = config.default_alphabet or Coding.ASCII
        self._gateway = config.gateway
        self._version = cmpp_rules.V20 if config.cmpp_version == "2.0" else cmpp_rules.V30
        self._port = port
        self._count = 0
        self._second = -1
        self._stamp = 0
        self._dates = _Dates()

    def rules(self) -> Rules:
        return cmpp_rules.server(self._version)

    def login(self, pdu: Pdu) -> tuple[str, int, dict[str, Any]]:
        assert isinstance(pdu, cmpp.Connect)  # noqa: S101  the operation table gives no other
        secret = self._users.get(pdu.source_addr)
        if secret is None:
            return pdu.source_addr, cmpp_rules.CONNECT_SOURCE, {}
        if not cmpp_rules.proves(pdu, secret):
            return pdu.source_addr, cmpp_rules.CONNECT_AUTH, {}
        return pdu.source_addr, 0, {"secret": secret}

    def receives(self, pdu: Pdu) -> bool:
        return True

    def read(self, pdu: Pdu) -> Submission | None:
        if not isinstance(pdu, cmpp.Submit):
            return None
        # 1 by the specification, the GSM bit by habit of some senders
        octets, concat = _without_header(pdu.msg_content, bool(pdu.tp_udhi & 0x41))
        return Submission(
            pdu.dest_terminal_id,
            pdu.src_id,
            texts.decode(octets, coding_of(pdu.msg_fmt, self._alphabet)),
            concat,
            Wish.ALL if pdu.registered_delivery == 1 else Wish.NONE,
        )

    def new_id(self, n: int) -> int:
        wall = time.time()
        second = int(wall)
        if second != self._second:
            self._second = second
            now = time.gmtime(second + 8 * 3600)
            gateway = self._port() if self._gateway is None else self._gateway
            self._stamp = msgid.pack(
                msgid.MsgId(
                    now.tm_mon,
                    now.tm_mday,
                    now.tm_hour,
                    now.tm_min,
                    now.tm_sec,
                    gateway & msgid.MAX_GATEWAY,
                    0,
                )
            )
        first = self._stamp | self._count & 0xFFFF
        self._count += n
        return first

    def id_after(self, first: int, k: int) -> int:
        return msgid.of_destination(first, k) if k else first

    def answer(self, pdu: Pdu, status: int, id: int) -> Pdu:
        return cmpp.SubmitResp(sequence=pdu.sequence, msg_id=0 if status else id, result=status)

    def other(self, pdu: Pdu) -> tuple[int, dict[str, Any]]:
        return (1, {}) if isinstance(pdu, cmpp.Cancel) else (0, {})

    def report(self, report: Report, dialect: Dialect) -> Pdu:
        done = self._dates(report.done)
        content = cmpp_reports.Report(
            msg_id=report.id,
            stat=report.state,
            submit_time=done if report.done - report.submitted < 1 else _Dates()(report.submitted),
            done_time=done,
            dest_terminal_id=report.destination,
            smsc_sequence=report.delivery_id & 0xFFFFFFFF,
        )
        return cmpp.Deliver(
            msg_id=report.delivery_id,
            dest_id=report.source,
            src_terminal_id=report.destination,
            registered_delivery=1,
            msg_content=cmpp_reports.encode(content, dialect.version),
        )

    def reply(self, reply: Reply) -> Pdu:
        return cmpp.Deliver(
            msg_id=reply.delivery_id,
            dest_id=reply.destination,
            src_terminal_id=reply.source,
            tp_udhi=1 if reply.udh else 0,
            msg_fmt=_NUMBERS[reply.coding],
            msg_content=reply.udh + reply.octets,
        )


_STATES = {word: number for number, word in smpp_reports.STATES.items()}
_RINVPASWD, _RINVSYSID, _RBINDFAIL = 0x0E, 0x0F, 0x0D
_RCANCELFAIL, _RREPLACEFAIL, _RQUERYFAIL, _RINVCMDID = 0x11, 0x13, 0x67, 0x03
_RTHROTTLED = 0x58


class SmppVoice:
    """SMPP 3.4."""

    throttle_status = _RTHROTTLED
    full_status = _RBINDFAIL
    mo_codings: tuple[Coding, ...] = (Coding.GSM7, Coding.UCS2)

    def __init__(self, config: CarrierConfig, dice: random.Random) -> None:
        self._users = config.users
        self._alphabet = config.default_alphabet or Coding.GSM7
        self._form = config.report_form
        self._answer_form = ID_FORMS[config.answer_id]
        self._report_form = self._answer_form if config.report_id == "same" else ID_FORMS[config.report_id]
        # Below 2^32, so that eight hexadecimal and ten decimal digits are enough.
        self._ids = count(dice.randrange(1 << 30, 1 << 31))
        self._dates = _Dates()

    def rules(self) -> Rules:
        return smpp_rules.server(system_id="simulator")

    def login(self, pdu: Pdu) -> tuple[str, int, dict[str, Any]]:
        assert isinstance(pdu, smpp.BindTransmitter | smpp.BindReceiver | smpp.BindTransceiver)  # noqa: S101
        password = self._users.get(pdu.system_id)
        if password is None:
            return pdu.system_id, _RINVSYSID, {}
        if not hmac.compare_digest(password.encode(), pdu.password.encode()):
            return pdu.system_id, _RINVPASWD, {}
        return pdu.system_id, 0, {}

    def receives(self, pdu: Pdu) -> bool:
        return not isinstance(pdu, smpp.BindTransmitter)

    def read(self, pdu: Pdu) -> Submission | None:
        if isinstance(pdu, smpp.SubmitSm):
            destinations: tuple[str, ...] = (pdu.destination_addr,)
            content = pdu.short_message
        elif isinstance(pdu, smpp.SubmitMulti):
            destinations = tuple(
                d.destination_addr for d in pdu.dest_address if isinstance(d, smpp.SmeAddress)
            )
            content = pdu.short_message
        elif isinstance(pdu, smpp.DataSm):
            destinations = (pdu.destination_addr,)
            content = b""
        else:
            return None
        concat = None
        if pdu.tlvs:
            content = pdu.tlv(tlvs.MESSAGE_PAYLOAD) or content
            concat = _sar(pdu)
        octets, from_header = _without_header(content, bool(pdu.esm_class & UDHI))
        return Submission(
            destinations,
            pdu.source_addr,
            texts.decode(octets, coding_of(pdu.data_coding, self._alphabet)),
            from_header or concat,
            Wish(pdu.registered_delivery & 3),
        )

    def new_id(self, n: int) -> int:
        return next(self._ids)

    def id_after(self, first: int, k: int) -> int:
        # one message_id for all destinations of a submit_multi
        return first

    def answer(self, pdu: Pdu, status: int, id: int) -> Pdu:
        kind: Any = _RESPONSES[type(pdu)]
        if status:
            answer: Pdu = kind(sequence=pdu.sequence, command_status=status)
        else:
            answer = kind(sequence=pdu.sequence, message_id=format(id, self._answer_form))
        return answer

    def other(self, pdu: Pdu) -> tuple[int, dict[str, Any]]:
        return _OTHER.get(type(pdu), _RINVCMDID), {}

    def report(self, report: Report, dialect: Dialect) -> Pdu:
        id = format(report.id, self._report_form)
        done = self._dates(report.done)
        content = b""
        if self._form != "tlv":
            content = smpp_reports.build(
                smpp_reports.Receipt(
                    id=id,
                    sub="001",
                    dlvrd="001" if report.state == "DELIVRD" else "000",
                    submit_date=done if report.done - report.submitted < 1 else _Dates()(report.submitted),
                    done_date=done,
                    stat=report.state,
                    err=report.error,
                    text=report.head,
                )
            ).encode("ascii", "replace")
        binary: tuple[Tlv, ...] = ()
        if self._form != "text":
            code = int(report.error) if report.error.isdecimal() else 0
            binary = (
                Tlv(tlvs.RECEIPTED_MESSAGE_ID, id.encode() + b"\0"),
                Tlv(tlvs.MESSAGE_STATE, bytes((_STATES.get(report.state, 5),))),
                Tlv(tlvs.NETWORK_ERROR_CODE, b"\3" + code.to_bytes(2, "big")),
            )
        return smpp.DeliverSm(
            source_addr_ton=1,
            source_addr_npi=1,
            source_addr=report.destination,
            destination_addr=report.source,
            esm_class=0x04,
            short_message=content,
            tlvs=binary,
        )

    def reply(self, reply: Reply) -> Pdu:
        return smpp.DeliverSm(
            source_addr_ton=1,
            source_addr_npi=1,
            source_addr=reply.source,
            destination_addr=reply.destination,
            esm_class=UDHI if reply.udh else 0,
            data_coding=_NUMBERS[reply.coding],
            short_message=reply.udh + reply.octets,
        )


_RESPONSES: dict[type[Pdu], type[Pdu]] = {
    smpp.SubmitSm: smpp.SubmitSmResp,
    smpp.SubmitMulti: smpp.SubmitMultiResp,
    smpp.DataSm: smpp.DataSmResp,
}
_OTHER: dict[type[Pdu], int] = {
    smpp.QuerySm: _RQUERYFAIL,
    smpp.CancelSm: _RCANCELFAIL,
    smpp.ReplaceSm: _RREPLACEFAIL,
}


def _sar(pdu: Pdu) -> Concat | None:
    ref, total, number = (
        pdu.tlv(tag) for tag in (tlvs.SAR_MSG_REF_NUM, tlvs.SAR_TOTAL_SEGMENTS, tlvs.SAR_SEGMENT_SEQNUM)
    )
    if not ref or not total or not number:
        return None
    concat = Concat(
        int.from_bytes(ref, "big"), int.from_bytes(total, "big"), int.from_bytes(number, "big"), wide=True
    )
    return concat if 1 <= concat.number <= concat.total <= udh.MAX_PARTS else None
