"""SGIP 1.2 PDUs (chapter 4). The message id of a SUBMIT is its sequence number."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from smsgw.protocols.fields import fixed, number, numbers, octets, triple, u8
from smsgw.protocols.pdu import Header, Pdu, Protocol, base, pdu, record, records

HEADER = Header(struct.Struct(">IIIII"), "Message_Length", "Command_ID", None, "Sequence_Number", triple=True)
SGIP = Protocol("sgip", HEADER)


@dataclass(slots=True)
class SgipPdu(Pdu):
    """Common to all SGIP PDUs. `sequence` is (node number, MMDDHHMMSS, counter)."""

    sequence: tuple[int, int, int] = (0, 0, 0)


@base
class _Result(SgipPdu):
    result: int = u8("Result")
    reserve: str = fixed("Reserve", 8)


@pdu(SGIP, 0x00000001, "SGIP_BIND")
class Bind(SgipPdu):
    """Log in (4.2.3.1.1). `login_type` 1: SP to SMG, 2: SMG to SP. The password is clear text."""

    login_type: int = u8("LoginType", default=1)
    login_name: str = fixed("LoginName", 16)
    login_password: str = fixed("LoginPassword", 16, secret=True)
    reserve: str = fixed("Reserve", 8)


@pdu(SGIP, 0x80000001, "SGIP_BIND_RESP")
class BindResp(_Result):
    """4.2.3.1.2."""


@pdu(SGIP, 0x00000002, "SGIP_UNBIND", ignore_tail=True)
class Unbind(SgipPdu):
    """Log out (4.2.3.2.1)."""


@pdu(SGIP, 0x80000002, "SGIP_UNBIND_RESP", ignore_tail=True)
class UnbindResp(SgipPdu):
    """4.2.3.2.2."""


@pdu(SGIP, 0x00000003, "SGIP_SUBMIT")
class Submit(SgipPdu):
    """A message to phones (4.2.3.3.1). `report_flag` 0: only a failure is reported, 1: always, 2: never."""

    sp_number: str = number("SPNumber", 21)
    charge_number: str = number("ChargeNumber", 21)
    user_number: tuple[str, ...] = numbers("UserNumber", "UserCount", 21)
    corp_id: str = fixed("CorpId", 5)
    service_type: str = fixed("ServiceType", 10)
    fee_type: int = u8("FeeType")
    fee_value: str = fixed("FeeValue", 6)
    given_value: str = fixed("GivenValue", 6)
    agent_flag: int = u8("AgentFlag")
    morelate_to_mt_flag: int = u8("MorelatetoMTFlag")
    priority: int = u8("Priority")
    expire_time: str = fixed("ExpireTime", 16)
    schedule_time: str = fixed("ScheduleTime", 16)
    report_flag: int = u8("ReportFlag")
    tp_pid: int = u8("TP_pid")
    tp_udhi: int = u8("TP_udhi")
    message_coding: int = u8("MessageCoding")
    message_type: int = u8("MessageType")
    message_content: bytes = octets("MessageContent", "MessageLength", width=4, limit=2048)
    reserve: str = fixed("Reserve", 8)


@pdu(SGIP, 0x80000003, "SGIP_SUBMIT_RESP")
class SubmitResp(_Result):
    """4.2.3.3.2."""


@pdu(SGIP, 0x00000004, "SGIP_DELIVER")
class Deliver(SgipPdu):
    """A message from a phone (4.2.3.4.1)."""

    user_number: str = number("UserNumber", 21)
    sp_number: str = number("SPNumber", 21)
    tp_pid: int = u8("TP_pid")
    tp_udhi: int = u8("TP_udhi")
    message_coding: int = u8("MessageCoding")
    message_content: bytes = octets("MessageContent", "MessageLength", width=4, limit=2048)
    reserve: str = fixed("Reserve", 8)


@pdu(SGIP, 0x80000004, "SGIP_DELIVER_RESP")
class DeliverResp(_Result):
    """4.2.3.4.2."""


@pdu(SGIP, 0x00000005, "SGIP_REPORT")
class Report(SgipPdu):
    """What became of a message to one number (4.2.3.5.1). `state` 0: delivered, 1: waiting, 2: failed."""

    submit_sequence_number: tuple[int, int, int] = triple("SubmitSequenceNumber")
    report_type: int = u8("ReportType")
    user_number: str = number("UserNumber", 21)
    state: int = u8("State")
    error_code: int = u8("ErrorCode")
    reserve: str = fixed("Reserve", 8)


@pdu(SGIP, 0x80000005, "SGIP_REPORT_RESP")
class ReportResp(_Result):
    """4.2.3.5.2."""


@pdu(SGIP, 0x00000010, "SGIP_CHECKUSER")
class CheckUser(SgipPdu):
    """Authenticate a subscriber (4.3.1)."""

    user_name: str = fixed("UserName", 16)
    password: str = fixed("Password", 16, secret=True)
    user_number: str = number("UserNumber", 21)
    reserve: str = fixed("Reserve", 8)


@pdu(SGIP, 0x80000010, "SGIP_CHECKUSER_RESP")
class CheckUserResp(SgipPdu):
    """4.3.2. `status` 0: cancelled, 1: suspended for debt, 2: normal."""

    result: int = u8("Result")
    status: int = u8("Status")
    reserve: str = fixed("Reserve", 8)


@pdu(SGIP, 0x00000011, "SGIP_USERRPT")
class UserRpt(SgipPdu):
    """A subscriber's condition (4.3.3). `user_condition` 0: cancelled, 1: suspended, 2: restored."""

    sp_number: str = number("SPNumber", 21)
    user_number: str = number("UserNumber", 21)
    user_condition: int = u8("UserCondition")
    reserve: str = fixed("Reserve", 8)


@pdu(SGIP, 0x80000011, "SGIP_USERRPT_RESP")
class UserRptResp(_Result):
    """4.3.4."""


@pdu(SGIP, 0x00001000, "SGIP_TRACE")
class Trace(SgipPdu):
    """Where did a message go (4.4.1)."""

    submit_sequence_number: tuple[int, int, int] = triple("SubmitSequenceNumber")
    user_number: str = number("UserNumber", 21)
    reserve: str = fixed("Reserve", 8)


@record
class TraceNode:
    """One node that the message passed."""

    result: int = u8("Result")
    node_id: str = fixed("NodeId", 6)
    receive_time: str = fixed("ReceiveTime", 16)
    send_time: str = fixed("SendTime", 16)
    reserve: str = fixed("Reserve", 8)


@pdu(SGIP, 0x80001000, "SGIP_TRACE_RESP")
class TraceResp(SgipPdu):
    """4.4.2."""

    nodes: tuple[TraceNode, ...] = records("Nodes", "Count", TraceNode)
