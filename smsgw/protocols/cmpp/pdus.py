"""CMPP PDUs (QB-GF-028-2003, chapter 8): versions 2.x and 3.0 in one table.

`since=30` rows are new in 3.0, `before=30` rows ended there, `later=(30, n)` rows are n octets wide
in 3.0. Answers are told apart by their length, because the version is not agreed upon while
CONNECT_RESP travels and some gateways answer in the other layout.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from smsgw.protocols.fields import fixed, number, numbers, octets, raw, u8, u32, u64
from smsgw.protocols.pdu import Header, Pdu, Protocol, pdu

HEADER = Header(struct.Struct(">III"), "Total_Length", "Command_Id", None, "Sequence_Id")
CMPP = Protocol("cmpp", HEADER)

#: Status, Result and Success_Id grew from one octet to four.
_WIDE = (30, 4)


@dataclass(slots=True)
class CmppPdu(Pdu):
    """Common to all CMPP PDUs."""

    sequence: int = 0


@pdu(CMPP, 0x00000001, "CMPP_CONNECT")
class Connect(CmppPdu):
    """Log in (8.4.1.1). `timestamp` is MMDDHHMMSS read as one integer."""

    source_addr: str = fixed("Source_Addr", 6)
    authenticator_source: bytes = raw("AuthenticatorSource", 16)
    version: int = u8("Version")
    timestamp: int = u32("Timestamp")


@pdu(CMPP, 0x80000001, "CMPP_CONNECT_RESP", by_length=True)
class ConnectResp(CmppPdu):
    """8.4.1.2. `version` is the highest one that the server speaks."""

    status: int = u8("Status", later=_WIDE)
    authenticator_ismg: bytes = raw("AuthenticatorISMG", 16)
    version: int = u8("Version")


@pdu(CMPP, 0x00000002, "CMPP_TERMINATE", ignore_tail=True)
class Terminate(CmppPdu):
    """Log out (8.4.2)."""


@pdu(CMPP, 0x80000002, "CMPP_TERMINATE_RESP", ignore_tail=True)
class TerminateResp(CmppPdu):
    """8.4.2."""


@pdu(CMPP, 0x00000004, "CMPP_SUBMIT")
class Submit(CmppPdu):
    """A message to phones (8.4.3.1). `msg_id` is filled by the gateway; an SP sends zero."""

    msg_id: int = u64("Msg_Id")
    pk_total: int = u8("Pk_total", default=1)
    pk_number: int = u8("Pk_number", default=1)
    registered_delivery: int = u8("Registered_Delivery")
    msg_level: int = u8("Msg_level")
    service_id: str = fixed("Service_Id", 10)
    fee_user_type: int = u8("Fee_UserType")
    fee_terminal_id: str = number("Fee_terminal_Id", 21, later=(30, 32))
    fee_terminal_type: int = u8("Fee_terminal_type", since=30)
    tp_pid: int = u8("TP_pId")
    tp_udhi: int = u8("TP_udhi")
    msg_fmt: int = u8("Msg_Fmt")
    msg_src: str = fixed("Msg_src", 6)
    fee_type: str = fixed("FeeType", 2)
    fee_code: str = fixed("FeeCode", 6)
    valid_time: str = fixed("ValId_Time", 17)
    at_time: str = fixed("At_Time", 17)
    src_id: str = number("Src_Id", 21)
    dest_terminal_id: tuple[str, ...] = numbers("Dest_terminal_Id", "DestUsr_tl", 21, later=(30, 32))
    dest_terminal_type: int = u8("Dest_terminal_type", since=30)
    msg_content: bytes = octets("Msg_Content", "Msg_Length")
    reserve: str = fixed("Reserve", 8, before=30)
    link_id: str = fixed("LinkID", 20, since=30)


@pdu(CMPP, 0x80000004, "CMPP_SUBMIT_RESP", by_length=True)
class SubmitResp(CmppPdu):
    """8.4.3.2. `msg_id` is what the status report will cite."""

    msg_id: int = u64("Msg_Id")
    result: int = u8("Result", later=_WIDE)


@pdu(CMPP, 0x00000005, "CMPP_DELIVER")
class Deliver(CmppPdu):
    """A message from a phone, or a status report when `registered_delivery` is 1 (8.4.5.1).

    In a report `src_terminal_id` is the destination of the SUBMIT, and the id of the SUBMIT stands
    inside `msg_content` (`reports.py`); `msg_id` is this DELIVER's own.
    """

    msg_id: int = u64("Msg_Id")
    dest_id: str = number("Dest_Id", 21)
    service_id: str = fixed("Service_Id", 10)
    tp_pid: int = u8("TP_pid")
    tp_udhi: int = u8("TP_udhi")
    msg_fmt: int = u8("Msg_Fmt")
    src_terminal_id: str = number("Src_terminal_Id", 21, later=(30, 32))
    src_terminal_type: int = u8("Src_terminal_type", since=30)
    registered_delivery: int = u8("Registered_Delivery")
    # Some 3.0 gateways declare the 60 octets of a 2.x report and send the 71 of a 3.0 one.
    msg_content: bytes = octets("Msg_Content", "Msg_Length", widen=(60, 71), after=20)
    reserved: str = fixed("Reserved", 8, before=30)
    link_id: str = fixed("LinkID", 20, since=30)


@pdu(CMPP, 0x80000005, "CMPP_DELIVER_RESP", by_length=True)
class DeliverResp(CmppPdu):
    """8.4.5.2. `msg_id` repeats the one of the DELIVER."""

    msg_id: int = u64("Msg_Id")
    result: int = u8("Result", later=_WIDE)


@pdu(CMPP, 0x00000006, "CMPP_QUERY")
class Query(CmppPdu):
    """Ask for a day's counters (8.4.4.1). `time` is YYYYMMDD."""

    time: str = fixed("Time", 8)
    query_type: int = u8("Query_Type")
    query_code: str = fixed("Query_Code", 10)
    reserve: str = fixed("Reserve", 8)


@pdu(CMPP, 0x80000006, "CMPP_QUERY_RESP")
class QueryResp(CmppPdu):
    """8.4.4.2."""

    time: str = fixed("Time", 8)
    query_type: int = u8("Query_Type")
    query_code: str = fixed("Query_Code", 10)
    mt_tlmsg: int = u32("MT_TLMsg")
    mt_tlusr: int = u32("MT_Tlusr")
    mt_scs: int = u32("MT_Scs")
    mt_wt: int = u32("MT_WT")
    mt_fl: int = u32("MT_FL")
    mo_scs: int = u32("MO_Scs")
    mo_wt: int = u32("MO_WT")
    mo_fl: int = u32("MO_FL")


@pdu(CMPP, 0x00000007, "CMPP_CANCEL")
class Cancel(CmppPdu):
    """Withdraw a message (8.4.6.1)."""

    msg_id: int = u64("Msg_Id")


@pdu(CMPP, 0x80000007, "CMPP_CANCEL_RESP", by_length=True)
class CancelResp(CmppPdu):
    """8.4.6.2. `success_id` 0: cancelled, 1: failed."""

    success_id: int = u8("Success_Id", later=_WIDE)


@pdu(CMPP, 0x00000008, "CMPP_ACTIVE_TEST", ignore_tail=True)
class ActiveTest(CmppPdu):
    """Are you there (8.4.7)."""


@pdu(CMPP, 0x80000008, "CMPP_ACTIVE_TEST_RESP", ignore_tail=True)
class ActiveTestResp(CmppPdu):
    """8.4.7. Some gateways leave the octet out."""

    reserved: int = u8("Reserved", optional=True)


@pdu(CMPP, 0x00000009, "CMPP_FWD")
class Fwd(CmppPdu):
    """Gateway to gateway (8.5.4.1). `msg_fwd_type` 0: MT, 1: MO, 2: report of an MT, 3: of an MO."""

    source_id: str = fixed("Source_Id", 6)
    destination_id: str = fixed("Destination_Id", 6)
    nodes_count: int = u8("NodesCount")
    msg_fwd_type: int = u8("Msg_Fwd_Type")
    msg_id: int = u64("Msg_Id")
    pk_total: int = u8("Pk_total", default=1)
    pk_number: int = u8("Pk_number", default=1)
    registered_delivery: int = u8("Registered_Delivery")
    msg_level: int = u8("Msg_level")
    service_id: str = fixed("Service_Id", 10)
    fee_user_type: int = u8("Fee_UserType")
    fee_terminal_id: str = number("Fee_terminal_Id", 21)
    fee_terminal_pseudo: str = fixed("Fee_terminal_Pseudo", 32, since=30)
    fee_terminal_user_type: int = u8("Fee_terminal_UserType", since=30)
    tp_pid: int = u8("TP_pid")
    tp_udhi: int = u8("TP_udhi")
    msg_fmt: int = u8("Msg_Fmt")
    msg_src: str = fixed("Msg_src", 6)
    fee_type: str = fixed("FeeType", 2)
    fee_code: str = fixed("FeeCode", 6)
    valid_time: str = fixed("Valid_Time", 17)
    at_time: str = fixed("At_Time", 17)
    src_id: str = number("Src_Id", 21)
    src_pseudo: str = fixed("Src_Pseudo", 32, since=30)
    src_user_type: int = u8("Src_UserType", since=30)
    src_type: int = u8("Src_type", since=30)
    dest_id: tuple[str, ...] = numbers("Dest_Id", "DestUsr_tl", 21)
    dest_pseudo: str = fixed("Dest_Pseudo", 32, since=30)
    dest_user_type: int = u8("Dest_UserType", since=30)
    msg_content: bytes = octets("Msg_Content", "Msg_Length")
    reserve: str = fixed("Reserve", 8, before=30)
    link_id: str = fixed("LinkID", 20, since=30)


@pdu(CMPP, 0x80000009, "CMPP_FWD_RESP", by_length=True)
class FwdResp(CmppPdu):
    """8.5.4.2."""

    msg_id: int = u64("Msg_Id")
    pk_total: int = u8("Pk_total", default=1)
    pk_number: int = u8("Pk_number", default=1)
    result: int = u8("Result", later=_WIDE)
