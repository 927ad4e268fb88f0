"""SMGP PDUs (3.0.3, chapter 5.2); `since=30` rows do not exist in version 1.3."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from smsgw.protocols.fields import Tlv, fixed, number, numbers, octets, raw, tlvs, u8, u32
from smsgw.protocols.pdu import Header, Pdu, Protocol, pdu

HEADER = Header(struct.Struct(">III"), "Packet_Length", "RequestID", None, "SequenceID")
SMGP = Protocol("smgp", HEADER)

#: Optional parameters (6.3).
TP_PID = 0x0001
TP_UDHI = 0x0002
LINK_ID = 0x0003
CHARGE_USER_TYPE = 0x0004
CHARGE_TERM_TYPE = 0x0005
CHARGE_TERM_PSEUDO = 0x0006
DEST_TERM_TYPE = 0x0007
DEST_TERM_PSEUDO = 0x0008
PK_TOTAL = 0x0009
PK_NUMBER = 0x000A
SUBMIT_MSG_TYPE = 0x000B
SP_DEAL_RESULT = 0x000C
SRC_TERM_TYPE = 0x000D
SRC_TERM_PSEUDO = 0x000E
NODES_COUNT = 0x000F
MSG_SRC = 0x0010
SRC_TYPE = 0x0011
M_SERVICE_ID = 0x0012

_STRICT = tlvs("TLV")
_KEEP = tlvs("TLV", salvage=True)
#: For answers, which have none by the book.
_STRAY = tlvs("TLV", salvage=True, shown=False)


@dataclass(slots=True)
class SmgpPdu(Pdu):
    """Common to all SMGP PDUs."""

    sequence: int = 0


@pdu(SMGP, 0x00000001, "SMGP_LOGIN")
class Login(SmgpPdu):
    """Log in (5.2.2.1.1). `login_mode` 0: send, 1: receive, 2: both; `timestamp` MMDDHHMMSS."""

    client_id: str = fixed("ClientID", 8)
    authenticator_client: bytes = raw("AuthenticatorClient", 16)
    login_mode: int = u8("LoginMode", default=2)
    timestamp: int = u32("TimeStamp")
    client_version: int = u8("ClientVersion", default=0x30)


@pdu(SMGP, 0x80000001, "SMGP_LOGIN_RESP")
class LoginResp(SmgpPdu):
    """5.2.2.1.2."""

    status: int = u32("Status")
    authenticator_server: bytes = raw("AuthenticatorServer", 16)
    server_version: int = u8("ServerVersion", default=0x30)


@pdu(SMGP, 0x00000002, "SMGP_SUBMIT")
class Submit(SmgpPdu):
    """A message to phones (5.2.2.2.1)."""

    msg_type: int = u8("MsgType", default=6)
    need_report: int = u8("NeedReport")
    priority: int = u8("Priority")
    service_id: str = fixed("ServiceID", 10)
    fee_type: str = fixed("FeeType", 2)
    fee_code: str = fixed("FeeCode", 6)
    fixed_fee: str = fixed("FixedFee", 6, since=30)
    msg_format: int = u8("MsgFormat")
    valid_time: str = fixed("ValidTime", 17)
    at_time: str = fixed("AtTime", 17)
    src_term_id: str = number("SrcTermID", 21)
    charge_term_id: str = number("ChargeTermID", 21)
    dest_term_id: tuple[str, ...] = numbers("DestTermID", "DestTermIDCount", 21)
    msg_content: bytes = octets("MsgContent", "MsgLength")
    reserve: str = fixed("Reserve", 8)
    tlvs: tuple[Tlv, ...] = _STRICT


@pdu(SMGP, 0x80000002, "SMGP_SUBMIT_RESP")
class SubmitResp(SmgpPdu):
    """5.2.2.2.2. `msg_id`: ten octets, BCD by the specification, opaque in practice."""

    msg_id: bytes = raw("MsgID", 10)
    status: int = u32("Status")
    tlvs: tuple[Tlv, ...] = _STRAY


@pdu(SMGP, 0x00000003, "SMGP_DELIVER")
class Deliver(SmgpPdu):
    """A message from a phone, or a report when `is_report` is 1 (5.2.2.3.1)."""

    msg_id: bytes = raw("MsgID", 10)
    is_report: int = u8("IsReport")
    msg_format: int = u8("MsgFormat")
    recv_time: str = fixed("RecvTime", 14)
    src_term_id: str = number("SrcTermID", 21)
    dest_term_id: str = number("DestTermID", 21)
    msg_content: bytes = octets("MsgContent", "MsgLength")
    reserve: str = fixed("Reserve", 8)
    tlvs: tuple[Tlv, ...] = _KEEP


@pdu(SMGP, 0x80000003, "SMGP_DELIVER_RESP")
class DeliverResp(SmgpPdu):
    """5.2.2.3.2."""

    msg_id: bytes = raw("MsgID", 10)
    status: int = u32("Status")
    tlvs: tuple[Tlv, ...] = _STRAY


@pdu(SMGP, 0x00000004, "SMGP_ACTIVE_TEST", ignore_tail=True)
class ActiveTest(SmgpPdu):
    """Are you there (5.2.2.5)."""


@pdu(SMGP, 0x80000004, "SMGP_ACTIVE_TEST_RESP", ignore_tail=True)
class ActiveTestResp(SmgpPdu):
    """5.2.2.5."""


@pdu(SMGP, 0x00000005, "SMGP_FORWARD")
class Forward(SmgpPdu):
    """Gateway to gateway (5.2.2.4.1)."""

    msg_id: bytes = raw("MsgID", 10)
    dest_smgw_no: str = fixed("DestSMGWNo", 6)
    src_smgw_no: str = fixed("SrcSMGWNo", 6)
    smc_no: str = fixed("SMCNo", 6)
    msg_type: int = u8("MsgType")
    report_flag: int = u8("ReportFlag")
    priority: int = u8("Priority")
    service_id: str = fixed("ServiceID", 10)
    fee_type: str = fixed("FeeType", 2)
    fee_code: str = fixed("FeeCode", 6)
    fixed_fee: str = fixed("FixedFee", 6, since=30)
    msg_format: int = u8("MsgFormat")
    valid_time: str = fixed("ValidTime", 17)
    at_time: str = fixed("AtTime", 17)
    src_term_id: str = number("SrcTermID", 21)
    dest_term_id: str = number("DestTermID", 21)
    charge_term_id: str = number("ChargeTermID", 21)
    msg_content: bytes = octets("MsgContent", "MsgLength")
    reserve: str = fixed("Reserve", 8)
    tlvs: tuple[Tlv, ...] = _KEEP


@pdu(SMGP, 0x80000005, "SMGP_FORWARD_RESP")
class ForwardResp(SmgpPdu):
    """5.2.2.4.2."""

    msg_id: bytes = raw("MsgID", 10)
    status: int = u32("Status")
    tlvs: tuple[Tlv, ...] = _KEEP


@pdu(SMGP, 0x00000006, "SMGP_EXIT", ignore_tail=True)
class Exit(SmgpPdu):
    """Log out (5.2.2.6)."""


@pdu(SMGP, 0x80000006, "SMGP_EXIT_RESP", ignore_tail=True)
class ExitResp(SmgpPdu):
    """5.2.2.6."""


@pdu(SMGP, 0x00000007, "SMGP_QUERY")
class Query(SmgpPdu):
    """Ask for a day's counters (5.2.2.7.1). `query_time` is YYYYMMDD."""

    query_time: str = fixed("QueryTime", 8)
    query_type: int = u8("QueryType")
    query_code: str = fixed("QueryCode", 10)


@pdu(SMGP, 0x80000007, "SMGP_QUERY_RESP")
class QueryResp(SmgpPdu):
    """5.2.2.7.2."""

    query_time: str = fixed("QueryTime", 8)
    query_type: int = u8("QueryType")
    query_code: str = fixed("QueryCode", 10)
    mt_tlmsg: int = u32("MT_TLMsg")
    mt_tlusr: int = u32("MT_Tlusr")
    mt_scs: int = u32("MT_Scs")
    mt_wt: int = u32("MT_WT")
    mt_fl: int = u32("MT_FL")
    mo_scs: int = u32("MO_Scs")
    mo_wt: int = u32("MO_WT")
    mo_fl: int = u32("MO_FL")
    reserve: str = fixed("Reserve", 8)
