"""How a carrier speaks: the few things in which the protocols differ for a simulator, behind one interface."""

from __future__ import annotations

import hmac
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from itertools import count
from typing import Any, Protocol

from smsgw.core import text as texts, udh
from smsgw.core.text import Coding
from smsgw.core.udh import Concat
from smsgw.protocols.cmpp import msgid, pdus as cmpp, reports as cmpp_reports, rules as cmpp_rules
from smsgw.protocols.dialects import Dialect
from smsgw.protocols.pdu import Pdu, Tlv
from smsgw.protocols.rules import Rules
from smsgw.protocols.sgip import pdus as sgip, rules as sgip_rules
from smsgw.protocols.smgp import pdus as smgp, reports as smgp_reports, rules as smgp_rules
from smsgw.protocols.smpp import pdus as smpp, reports as smpp_reports, rules as smpp_rules, tlvs
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
    reference: bytes = b""
    """SMPP: user_message_reference."""


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
    reference: bytes = b""
    """Of the submit."""


@dataclass(slots=True)
class Reply:
    """One part of a message from a phone."""

    delivery_id: int
    source: str
    destination: str
    coding: Coding
    octets: bytes
    udh: bytes


class CarrierDialect(Protocol):
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

    def id_of(self, pdu: Pdu, n: int) -> int:
        """The id of a submit with `n` destinations: a new one, or where the sender makes it (SGIP) its own."""
        ...

    def id_after(self, first: int, k: int) -> int:
        """The id of the k-th destination of one submit, from 0."""
        ...

    def answer(self, pdu: Pdu, status: int, id: int) -> Pdu:
        """The answer to a submit."""
        ...

    def status(self, answer: Any) -> int:
        """The status in an answer to a submit."""
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


def dialect_of(config: CarrierConfig, dice: random.Random, port: Callable[[], int]) -> CarrierDialect:
    """The dialect that a configuration asks for."""
    if config.protocol == "cmpp":
        return CmppDialect(config, port)
    if config.protocol == "sgip":
        return SgipDialect(config, dice)
    if config.protocol == "smgp":
        return SmgpDialect(config, port)
    return SmppDialect(config, dice)


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


_CODINGS = {1: Coding.ASCII, 2: Coding.BINARY, 3: Coding.LATIN1, 4: Coding.BINARY, 8: Coding.UCS2, 15: Coding.GB18030}
_NUMBERS = {Coding.GSM7: 0, Coding.ASCII: 0, Coding.LATIN1: 3, Coding.BINARY: 4, Coding.UCS2: 8, Coding.GB18030: 15}


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


class CmppDialect:
    """CMPP 2.0 and 3.0; the session settles which."""

    throttle_status = 8
    full_status = 5
    mo_codings: tuple[Coding, ...] = (Coding.ASCII, Coding.UCS2)

    def __init__(self, config: CarrierConfig, port: Callable[[], int]) -> None:
        self._users = config.users
        self._alphabet = config.default_alphabet or Coding.ASCII
        self._gateway = config.gateway
        self._swapped = config.report_id == "swapped"
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
                    now.tm_mon, now.tm_mday, now.tm_hour, now.tm_min, now.tm_sec, gateway & msgid.MAX_GATEWAY, 0
                )
            )
        first = self._stamp | self._count & 0xFFFF
        self._count += n
        return first

    def id_of(self, pdu: Pdu, n: int) -> int:
        return self.new_id(n)

    def id_after(self, first: int, k: int) -> int:
        return msgid.of_destination(first, k) if k else first

    def answer(self, pdu: Pdu, status: int, id: int) -> Pdu:
        return cmpp.SubmitResp(sequence=pdu.sequence, msg_id=0 if status else id, result=status)

    def status(self, answer: Any) -> int:
        return int(answer.result)

    def other(self, pdu: Pdu) -> tuple[int, dict[str, Any]]:
        return (1, {}) if isinstance(pdu, cmpp.Cancel) else (0, {})

    def report(self, report: Report, dialect: Dialect) -> Pdu:
        done = self._dates(report.done)
        octets = report.id.to_bytes(8, "big")
        content = cmpp_reports.Report(
            msg_id=int.from_bytes(octets, "little") if self._swapped else report.id,
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


class SmgpDialect:
    """SMGP 1.3 and 3.0; the session settles which."""

    throttle_status = smgp_rules.BUSY
    full_status = smgp_rules.TOO_MANY_CONNECTIONS
    mo_codings: tuple[Coding, ...] = (Coding.ASCII, Coding.UCS2)

    def __init__(self, config: CarrierConfig, port: Callable[[], int]) -> None:
        self._users = config.users
        self._alphabet = config.default_alphabet or Coding.ASCII
        self._digits = config.report_id == "hex"
        self._version = smgp_rules.V13 if config.smgp_version == "1.3" else smgp_rules.V30
        self._port = port
        self._count = 0
        self._dates = _Dates()

    def rules(self) -> Rules:
        return smgp_rules.server(self._version)

    def login(self, pdu: Pdu) -> tuple[str, int, dict[str, Any]]:
        assert isinstance(pdu, smgp.Login)  # noqa: S101  the operation table gives no other
        secret = self._users.get(pdu.client_id)
        if secret is None or not smgp_rules.proves(pdu, secret):
            return pdu.client_id, smgp_rules.AUTHENTICATION, {}
        return pdu.client_id, 0, {"secret": secret}

    def receives(self, pdu: Pdu) -> bool:
        return not (isinstance(pdu, smgp.Login) and pdu.login_mode == smgp_rules.SEND)

    def read(self, pdu: Pdu) -> Submission | None:
        if not isinstance(pdu, smgp.Submit):
            return None
        udhi = bool((pdu.tlv(smgp.TP_UDHI) or b"\0")[-1] & 1)
        octets, concat = _without_header(pdu.msg_content, udhi)
        return Submission(
            pdu.dest_term_id,
            pdu.src_term_id,
            texts.decode(octets, coding_of(pdu.msg_format, self._alphabet)),
            concat,
            Wish.ALL if pdu.need_report else Wish.NONE,
        )

    def new_id(self, n: int) -> int:
        """BCD: gateway 6 digits, MMDDHHMM, counter 6 digits."""
        now = time.gmtime(int(time.time()) + 8 * 3600)
        self._count = (self._count + 1) % 1_000_000
        digits = f"{self._port() % 1_000_000:06d}{time.strftime('%m%d%H%M', now)}{self._count:06d}"
        return int.from_bytes(bytes.fromhex(digits), "big")

    def id_of(self, pdu: Pdu, n: int) -> int:
        return self.new_id(n)

    def id_after(self, first: int, k: int) -> int:
        # one MsgID for all destinations
        return first

    def answer(self, pdu: Pdu, status: int, id: int) -> Pdu:
        return smgp.SubmitResp(
            sequence=pdu.sequence, msg_id=bytes(10) if status else id.to_bytes(10, "big"), status=status
        )

    def status(self, answer: Any) -> int:
        return int(answer.status)

    def other(self, pdu: Pdu) -> tuple[int, dict[str, Any]]:
        return 0, {}

    def report(self, report: Report, dialect: Dialect) -> Pdu:
        done = self._dates(report.done)
        content = smgp_reports.Report(
            id=report.id.to_bytes(10, "big"),
            sub="001",
            dlvrd="001" if report.state == "DELIVRD" else "000",
            submit_date=done if report.done - report.submitted < 1 else _Dates()(report.submitted),
            done_date=done,
            stat=report.state,
            err=report.error,
            text=report.head.encode("ascii", "replace"),
        )
        return smgp.Deliver(
            msg_id=report.delivery_id.to_bytes(10, "big"),
            is_report=1,
            recv_time=_stamp14(report.done),
            src_term_id=report.destination,
            dest_term_id=report.source,
            msg_content=self._spelled(smgp_reports.build(content)),
        )

    def _spelled(self, content: bytes) -> bytes:
        start, end = smgp_reports.id_at(content)
        return content[:start] + content[start:end].hex().encode() + content[end:] if self._digits else content

    def reply(self, reply: Reply) -> Pdu:
        return smgp.Deliver(
            msg_id=reply.delivery_id.to_bytes(10, "big"),
            msg_format=_NUMBERS[reply.coding],
            recv_time=_stamp14(time.time()),
            src_term_id=reply.source,
            dest_term_id=reply.destination,
            msg_content=reply.udh + reply.octets,
            tlvs=(Tlv(smgp.TP_UDHI, b"\1"),) if reply.udh else (),
        )


def _stamp14(wall: float) -> str:
    return time.strftime("%Y%m%d%H%M%S", time.gmtime(int(wall) + 8 * 3600))


def _mmddhhmmss() -> int:
    return int(time.strftime("%m%d%H%M%S", time.gmtime(int(time.time()) + 8 * 3600)))


_SGIP_ERRORS = {"EXPIRED": 25, "DELETED": 32, "UNDELIV": 28, "UNKNOWN": 29, "REJECTD": 32}


class SgipDialect:
    """SGIP 1.2: clients submit over their connections, reports and replies go out over our own (`caller`)."""

    throttle_status = sgip_rules.FLOW_CONTROL
    full_status = sgip_rules.TOO_MANY_CONNECTIONS
    mo_codings: tuple[Coding, ...] = (Coding.ASCII, Coding.UCS2)

    def __init__(self, config: CarrierConfig, dice: random.Random) -> None:
        self._users = config.users
        self._alphabet = config.default_alphabet or Coding.ASCII
        self._numbering = sgip_rules.Numbering(config.node, _mmddhhmmss, first=dice.randrange(1 << 31))
        self._ids = count(1)

    def rules(self) -> Rules:
        return sgip_rules.server(numbering=self._numbering)

    def caller(self, user: str, password: str) -> Rules:
        """Rules of a connection from us to the listener of an SP."""
        return sgip_rules.client(user, password, numbering=self._numbering, login_type=sgip_rules.SMG_TO_SP)

    def login(self, pdu: Pdu) -> tuple[str, int, dict[str, Any]]:
        assert isinstance(pdu, sgip.Bind)  # noqa: S101  the operation table gives no other
        password = self._users.get(pdu.login_name)
        if password is None or not sgip_rules.proves(pdu, pdu.login_name, password):
            return pdu.login_name, sgip_rules.ILLEGAL_LOGIN, {}
        return pdu.login_name, 0, {}

    def receives(self, pdu: Pdu) -> bool:
        return False

    def read(self, pdu: Pdu) -> Submission | None:
        if not isinstance(pdu, sgip.Submit):
            return None
        octets, concat = _without_header(pdu.message_content, bool(pdu.tp_udhi & 1))
        return Submission(
            pdu.user_number,
            pdu.sp_number,
            texts.decode(octets, coding_of(pdu.message_coding, self._alphabet)),
            concat,
            {0: Wish.FAILURES, 2: Wish.NONE}.get(pdu.report_flag, Wish.ALL),
        )

    def new_id(self, n: int) -> int:
        # Deliveries get their number when they are written.
        return next(self._ids)

    def id_of(self, pdu: Pdu, n: int) -> int:
        node, stamp, counter = pdu.sequence
        packed: int = node << 64 | stamp << 32 | counter
        return packed

    def id_after(self, first: int, k: int) -> int:
        # one number for all destinations
        return first

    def answer(self, pdu: Pdu, status: int, id: int) -> Pdu:
        return sgip.SubmitResp(sequence=pdu.sequence, result=status)

    def status(self, answer: Any) -> int:
        return int(answer.result)

    def other(self, pdu: Pdu) -> tuple[int, dict[str, Any]]:
        return 0, {}

    def report(self, report: Report, dialect: Dialect) -> Pdu:
        if report.state == "DELIVRD":
            state, error = 0, 0
        elif report.state in ("ACCEPTD", "ENROUTE"):
            state, error = 1, 0
        else:
            told = int(report.error) if report.error.isdecimal() else 0
            state, error = 2, told if 1 < told < 256 else _SGIP_ERRORS.get(report.state, 28)
        mask = 0xFFFFFFFF
        return sgip.Report(
            submit_sequence_number=(report.id >> 64, report.id >> 32 & mask, report.id & mask),
            user_number=report.destination,
            state=state,
            error_code=error,
        )

    def reply(self, reply: Reply) -> Pdu:
        number = reply.source
        return sgip.Deliver(
            user_number=number if number.startswith("86") else f"86{number}",
            sp_number=reply.destination,
            tp_udhi=1 if reply.udh else 0,
            message_coding=_NUMBERS[reply.coding],
            message_content=reply.udh + reply.octets,
        )


_STATES = {word: number for number, word in smpp_reports.STATES.items()}
_RINVPASWD, _RINVSYSID, _RBINDFAIL = 0x0E, 0x0F, 0x0D
_RCANCELFAIL, _RREPLACEFAIL, _RQUERYFAIL, _RINVCMDID = 0x11, 0x13, 0x67, 0x03
_RTHROTTLED = 0x58


class SmppDialect:
    """SMPP 3.4."""

    throttle_status = _RTHROTTLED
    full_status = _RBINDFAIL
    mo_codings: tuple[Coding, ...] = (Coding.GSM7, Coding.UCS2)

    def __init__(self, config: CarrierConfig, dice: random.Random) -> None:
        self._users = config.users
        self._alphabet = config.default_alphabet or Coding.GSM7
        self._form = config.report_form
        self._echo = config.echo_reference
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
            destinations = tuple(d.destination_addr for d in pdu.dest_address if isinstance(d, smpp.SmeAddress))
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
            pdu.tlv(tlvs.USER_MESSAGE_REFERENCE) or b"",
        )

    def new_id(self, n: int) -> int:
        return next(self._ids)

    def id_of(self, pdu: Pdu, n: int) -> int:
        return self.new_id(n)

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

    def status(self, answer: Any) -> int:
        return int(answer.command_status)

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
        if self._echo and report.reference:
            binary = (*binary, Tlv(tlvs.USER_MESSAGE_REFERENCE, report.reference))
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
_OTHER: dict[type[Pdu], int] = {smpp.QuerySm: _RQUERYFAIL, smpp.CancelSm: _RCANCELFAIL, smpp.ReplaceSm: _RREPLACEFAIL}


def _sar(pdu: Pdu) -> Concat | None:
    ref, total, number = (
        pdu.tlv(tag) for tag in (tlvs.SAR_MSG_REF_NUM, tlvs.SAR_TOTAL_SEGMENTS, tlvs.SAR_SEGMENT_SEQNUM)
    )
    if not ref or not total or not number:
        return None
    concat = Concat(int.from_bytes(ref, "big"), int.from_bytes(total, "big"), int.from_bytes(number, "big"), wide=True)
    return concat if 1 <= concat.number <= concat.total <= udh.MAX_PARTS else None
