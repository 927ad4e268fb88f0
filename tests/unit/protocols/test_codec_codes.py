"""What a status means for the sender."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from smsgw.protocols.cmpp import codes as cmpp
from smsgw.protocols.cmpp import rules as cmpp_rules
from smsgw.protocols.codes import Code, CodeClass
from smsgw.protocols.sgip import codes as sgip
from smsgw.protocols.sgip import rules as sgip_rules
from smsgw.protocols.smgp import codes as smgp
from smsgw.protocols.smgp import rules as smgp_rules
from smsgw.protocols.smpp import codes as smpp
from smsgw.protocols.smpp import tlvs


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (cmpp.result(150), CodeClass.UNKNOWN), (cmpp.connect_status(77), CodeClass.BIND),
        (smpp.status(0), CodeClass.OK), (smpp.status(0x0B), CodeClass.PERMANENT),
        (smpp.status(0x14), CodeClass.TEMPORARY), (smpp.status(0x58), CodeClass.THROTTLE),
        (smpp.status(0x0E), CodeClass.BIND), (smpp.status(0x3FF), CodeClass.UNKNOWN),
        (smpp.status(0x400), CodeClass.TEMPORARY), (smpp.status(0x4FF), CodeClass.TEMPORARY),
        (smpp.status(0x500), CodeClass.UNKNOWN), (smpp.status(0x99), CodeClass.UNKNOWN),
        (sgip.result(0), CodeClass.OK), (smgp.status(47), CodeClass.PERMANENT),
        (smgp.report_err("007"), CodeClass.TEMPORARY), (smgp.report_err("005"), CodeClass.PERMANENT),
        (smgp.report_err("999"), CodeClass.UNKNOWN), (smgp.report_err("AB"), CodeClass.UNKNOWN),
        (smgp.report_err(None), CodeClass.UNKNOWN),
    ],
)  # fmt: skip
def test_class(code: Code, kind: CodeClass) -> None:
    assert code.kind is kind
    assert code.name


SMPP = """
0 ROK 1 RINVMSGLEN 2 RINVCMDLEN 3 RINVCMDID 4 RINVBNDSTS 5 RALYBND 6 RINVPRTFLG 7 RINVREGDLVFLG 8 RSYSERR
A RINVSRCADR B RINVDSTADR C RINVMSGID D RBINDFAIL E RINVPASWD F RINVSYSID 11 RCANCELFAIL 13 RREPLACEFAIL
14 RMSGQFUL 15 RINVSERTYP 33 RINVNUMDESTS 34 RINVDLNAME 40 RINVDESTFLAG 42 RINVSUBREP 43 RINVESMCLASS
44 RCNTSUBDL 45 RSUBMITFAIL 48 RINVSRCTON 49 RINVSRCNPI 50 RINVDSTTON 51 RINVDSTNPI 53 RINVSYSTYP
54 RINVREPFLAG 55 RINVNUMMSGS 58 RTHROTTLED 61 RINVSCHED 62 RINVEXPIRY 63 RINVDFTMSGID 64 RX_T_APPN
65 RX_P_APPN 66 RX_R_APPN 67 RQUERYFAIL C0 RINVOPTPARSTREAM C1 ROPTPARNOTALLWD C2 RINVPARLEN
C3 RMISSINGOPTPARAM C4 RINVOPTPARAMVAL FE RDELIVERYFAILURE FF RUNKNOWNERR 100 RSERTYPUNAUTH 101 RPROHIBITED
102 RSERTYPUNAVAIL 103 RSERTYPDENIED 104 RINVDCS 105 RINVSRCADDRSUBUNIT 106 RINVDSTADDRSUBUNIT
107 RINVBCASTFREQINT 108 RINVBCASTALIAS_NAME 109 RINVBCASTAREAFMT 10A RINVNUMBCAST_AREAS
10B RINVBCASTCNTTYPE 10C RINVBCASTMSGCLASS 10D RBCASTFAIL 10E RBCASTQUERYFAIL 10F RBCASTCANCELFAIL
110 RINVBCAST_REP 111 RINVBCASTSRVGRP 112 RINVBCASTCHANIND
"""
"""5.0, table 4-45, from 0xC0 to 0xC4 with the names of 3.4, 5.1.3."""


def test_smpp_has_the_books_numbers_and_names() -> None:
    words = SMPP.split()
    book = {int(value, 16): f"ESME_{name}" for value, name in zip(words[::2], words[1::2], strict=True)}
    assert {value: code.name for value, code in smpp.STATUS.items()} == book
    assert all(smpp.status(value).value == value for value in book)


TAGS = """
0005 dest_addr_subunit 0006 dest_network_type 0007 dest_bearer_type 0008 dest_telematics_id
000D source_addr_subunit 000E source_network_type 000F source_bearer_type 0010 source_telematics_id
0017 qos_time_to_live 0019 payload_type 001D additional_status_info_text 001E receipted_message_id
0030 ms_msg_wait_facilities 0201 privacy_indicator 0202 source_subaddress 0203 dest_subaddress
0204 user_message_reference 0205 user_response_code 020A source_port 020B dest_port 020C sar_msg_ref_num
020D language_indicator 020E sar_total_segments 020F sar_segment_seqnum 0210 sc_interface_version
0302 callback_num_pres_ind 0303 callback_num_atag 0304 number_of_messages 0381 callback_num 0420 dpf_result
0421 set_dpf 0422 ms_availability_status 0423 network_error_code 0424 message_payload
0425 delivery_failure_reason 0426 more_messages_to_send 0427 message_state 0428 congestion_state
0501 ussd_service_op 0600 broadcast_channel_indicator 0601 broadcast_content_type
0602 broadcast_content_type_info 0603 broadcast_message_class 0604 broadcast_rep_num
0605 broadcast_frequency_interval 0606 broadcast_area_identifier 0607 broadcast_error_status
0608 broadcast_area_success 0609 broadcast_end_time 060A broadcast_service_group 060B billing_identification
060D source_network_id 060E dest_network_id 060F source_node_id 0610 dest_node_id
0611 dest_addr_np_resolution 0612 dest_addr_np_information 0613 dest_addr_np_country 1201 display_time
1203 sms_signal 1204 ms_validity 130C alert_on_message_delivery 1380 its_reply_type 1383 its_session_info
"""
"""5.0, table 4-60."""


def test_smpp_parameters_have_the_books_tags_and_names() -> None:
    words = TAGS.split()
    book = {int(tag, 16): name for tag, name in zip(words[::2], words[1::2], strict=True)}
    book[tlvs.DESTINATION_PORT] = "destination_port"  # so in 3.4; dest_port in 5.0
    assert {tag: name for tag, (name, _) in tlvs.NAMES.items()} == book


@pytest.mark.parametrize(
    ("table", "book"),
    [
        # QB-GF-028-2003, 8.4.1.2 and 8.4.3.2.
        (cmpp.CONNECT, {CodeClass.OK: {0}, CodeClass.BIND: {1, 2, 3, 4}}),
        (
            cmpp.RESULT,
            {
                CodeClass.OK: {0},
                CodeClass.TEMPORARY: {3},
                CodeClass.THROTTLE: {8},
                CodeClass.PERMANENT: {1, 2, *range(4, 8), *range(9, 14)},
            },
        ),
        # SGIP 1.2, table 5-2; 54, 57, 64, 88, 93 and 106 are the field's.
        (
            sgip.RESULT,
            {
                CodeClass.OK: {0},
                CodeClass.BIND: {1, 2, 3, 4, 57, 93},
                CodeClass.PERMANENT: {*range(5, 11), 21, 22, 23, 24, *range(27, 32), 64, 106},
                CodeClass.TEMPORARY: {11, 25, 26, 32, 33, 54},
                CodeClass.THROTTLE: {88},
            },
        ),
        # SMGP 3.0.3, 6.2.6; 74, 75 and 76 are the field's.
        (
            smgp.STATUS,
            {
                CodeClass.OK: {0},
                CodeClass.TEMPORARY: {1, 74, 75},
                CodeClass.BIND: {2, 20, 21, 22, 76},
                CodeClass.PERMANENT: {10, 11, 12, *range(30, 50), *range(56, 74)},
            },
        ),
        # SMGP 3.0.3, 6.2.63.2.
        (smgp.ERR, {CodeClass.OK: {0}, CodeClass.TEMPORARY: {1, 2, 6, 7, 10}, CodeClass.PERMANENT: {3, 4, 5, 8, 9}}),
    ],
    ids=["cmpp-connect", "cmpp", "sgip", "smgp", "smgp-err"],
)
def test_the_tables_have_the_books_numbers(table: Mapping[int, Code], book: Mapping[CodeClass, set[int]]) -> None:
    assert {kind: {value for value, code in table.items() if code.kind is kind} for kind in book} == book
    assert len(table) == sum(map(len, book.values()))


ANSWERED: list[tuple[Callable[[int], Code], dict[int, str]]] = [
    (cmpp.result, {
        cmpp_rules.STRUCTURE: "message structure", cmpp_rules.COMMAND: "command word",
        cmpp_rules.LENGTH: "message length", cmpp_rules.TOO_LONG: "message too long",
        cmpp_rules.FLOW_CONTROL: "flow control",
    }),
    (cmpp.connect_status, {
        cmpp_rules.CONNECT_SOURCE: "illegal source address", cmpp_rules.CONNECT_AUTH: "authentication failed",
        cmpp_rules.CONNECT_VERSION: "version too high", cmpp_rules.CONNECT_OTHER: "login refused (5)",
    }),
    (sgip.result, {
        sgip_rules.ILLEGAL_LOGIN: "illegal login", sgip_rules.LOGIN_REPEATED: "login repeated",
        sgip_rules.TOO_MANY_CONNECTIONS: "too many connections", sgip_rules.LOGIN_TYPE: "login type",
        sgip_rules.PARAMETER: "parameter format", sgip_rules.ILLEGAL_NUMBER: "illegal mobile number",
        sgip_rules.LENGTH: "message length", sgip_rules.ILLEGAL_SEQUENCE: "illegal sequence number",
        sgip_rules.NODE_BUSY: "node busy", sgip_rules.ADDRESS_NOT_ADMITTED: "address not admitted",
        sgip_rules.FLOW_CONTROL: "flow control",
    }),
    (smgp.status, {
        smgp_rules.BUSY: "system busy", smgp_rules.TOO_MANY_CONNECTIONS: "too many connections",
        smgp_rules.STRUCTURE: "message structure", smgp_rules.COMMAND: "command word",
        smgp_rules.ILLEGAL_ADDRESS: "illegal address", smgp_rules.AUTHENTICATION: "authentication failed",
        smgp_rules.VERSION_TOO_HIGH: "version too high", smgp_rules.MESSAGE_LENGTH: "MsgLength",
        smgp_rules.DESTINATION: "DestTermId",
    }),
]  # fmt: skip
"""What we answer, and what the books call it."""


@pytest.mark.parametrize(("code_of", "names"), ANSWERED)
def test_what_we_answer_is_called_so_by_the_book(code_of: Callable[[int], Code], names: dict[int, str]) -> None:
    assert {number: code_of(number).name for number in names} == names
