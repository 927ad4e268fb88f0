"""SMPP PDUs: 3.4 (issue 1.2, chapter 4) and, with `since=50`, 5.0 (chapter 4).

Field names are the specification's. Every table ends with optional parameters, even where the
specification has none, because peers send them anyway; answers and deliver_sm keep what they can
of a broken list. The body of an error answer may be missing on the wire: `body_omitted`.

Which error answers have a body is the version's to say, and peers break off when one has not what its table gives it:
in 3.4 all but those whose tables have a note (`bare_error_since`), in 5.0 none (3.2.1.3). bind_transceiver_resp has
no note, and there are peers that need its field and none that minds (docs/interop.md, E1).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import ClassVar

from smsgw.protocols.fields import Tlv, address, cstr, octets, tlvs, u8, u32
from smsgw.protocols.pdu import Header, Pdu, Protocol, base, pdu, record, records
from smsgw.protocols.smpp.tlvs import NAMES

HEADER = Header(struct.Struct(">IIII"), "command_length", "command_id", "command_status", "sequence_number")
SMPP = Protocol("smpp", HEADER)

_STRICT = tlvs("tlvs", names=NAMES)
_KEEP = tlvs("tlvs", names=NAMES, salvage=True)
#: Behind short_message, where some peers put a NUL that they do not count.
_TEXT_STRICT = tlvs("tlvs", names=NAMES, stray_nul=True)
_TEXT_KEEP = tlvs("tlvs", names=NAMES, stray_nul=True, salvage=True)
#: For PDUs that have no optional parameters by the book.
_STRAY = tlvs("tlvs", names=NAMES, salvage=True, shown=False)


@dataclass(slots=True)
class SmppPdu(Pdu):
    """Common to all SMPP PDUs.

    `body_omitted` tells whether an answer came without its body, and writes it that way. None leaves it to the version:
    an answer with a status other than 0 and nothing in its body is written as the book wants.
    """

    bare_error_since: ClassVar[int] = 50

    sequence: int = 0
    command_status: int = 0
    body_omitted: bool | None = field(default=None, compare=False, repr=False)


@base
class _Bind(SmppPdu):
    # Real passwords are longer than the specification's eight characters: taken as they come.
    system_id: str = cstr(16, lenient=True)
    password: str = cstr(9, lenient=True, secret=True, field_size=65)
    system_type: str = cstr(13, lenient=True)
    interface_version: int = u8()
    addr_ton: int = u8()
    addr_npi: int = u8()
    address_range: str = cstr(41, lenient=True)
    tlvs: tuple[Tlv, ...] = _KEEP


@base
class _BindResp(SmppPdu):
    system_id: str = cstr(16, lenient=True)
    tlvs: tuple[Tlv, ...] = _KEEP


@base
class _Empty(SmppPdu):
    tlvs: tuple[Tlv, ...] = _STRAY


@base
class _MessageIdResp(SmppPdu):
    message_id: str = cstr(65, lenient=True)
    tlvs: tuple[Tlv, ...] = _KEEP


@base
class _Message(SmppPdu):
    service_type: str = cstr(6)
    source_addr_ton: int = u8()
    source_addr_npi: int = u8()
    source_addr: str = address(21)
    dest_addr_ton: int = u8()
    dest_addr_npi: int = u8()
    destination_addr: str = address(21)
    esm_class: int = u8()
    protocol_id: int = u8()
    priority_flag: int = u8()
    schedule_delivery_time: str = cstr(17)
    validity_period: str = cstr(17)
    registered_delivery: int = u8()
    replace_if_present_flag: int = u8()
    data_coding: int = u8()
    sm_default_msg_id: int = u8()
    short_message: bytes = octets("short_message", "sm_length")


@pdu(SMPP, 0x80000000, "generic_nack", ignore_tail=True)
class GenericNack(SmppPdu):
    """The answer to what could not be understood (4.3)."""


@pdu(SMPP, 0x00000001, "bind_receiver")
class BindReceiver(_Bind):
    """4.1.3."""


@pdu(SMPP, 0x80000001, "bind_receiver_resp")
class BindReceiverResp(_BindResp):
    """4.1.4."""

    bare_error_since: ClassVar[int] = 34


@pdu(SMPP, 0x00000002, "bind_transmitter")
class BindTransmitter(_Bind):
    """4.1.1."""


@pdu(SMPP, 0x80000002, "bind_transmitter_resp")
class BindTransmitterResp(_BindResp):
    """4.1.2."""

    bare_error_since: ClassVar[int] = 34


@pdu(SMPP, 0x00000009, "bind_transceiver")
class BindTransceiver(_Bind):
    """4.1.5."""


@pdu(SMPP, 0x80000009, "bind_transceiver_resp")
class BindTransceiverResp(_BindResp):
    """4.1.6."""


@pdu(SMPP, 0x0000000B, "outbind")
class Outbind(SmppPdu):
    """The centre asks to be bound to (4.1.7). There is no answer."""

    system_id: str = cstr(16, lenient=True)
    password: str = cstr(9, lenient=True, secret=True)
    tlvs: tuple[Tlv, ...] = _STRAY


@pdu(SMPP, 0x00000006, "unbind", ignore_tail=True)
class Unbind(SmppPdu):
    """4.2."""


@pdu(SMPP, 0x80000006, "unbind_resp", ignore_tail=True)
class UnbindResp(SmppPdu):
    """4.2."""


@pdu(SMPP, 0x00000015, "enquire_link", ignore_tail=True)
class EnquireLink(SmppPdu):
    """Are you there (4.11)."""


@pdu(SMPP, 0x80000015, "enquire_link_resp", ignore_tail=True)
class EnquireLinkResp(SmppPdu):
    """4.11."""


@pdu(SMPP, 0x00000004, "submit_sm")
class SubmitSm(_Message):
    """A message to a phone (4.4.1)."""

    tlvs: tuple[Tlv, ...] = _TEXT_STRICT


@pdu(SMPP, 0x80000004, "submit_sm_resp")
class SubmitSmResp(_MessageIdResp):
    """4.4.2. `message_id` is what the receipt will cite, perhaps in another spelling."""

    bare_error_since: ClassVar[int] = 34


@pdu(SMPP, 0x00000005, "deliver_sm")
class DeliverSm(_Message):
    """A message from a phone, or a receipt (4.6.1)."""

    tlvs: tuple[Tlv, ...] = _TEXT_KEEP


@pdu(SMPP, 0x80000005, "deliver_sm_resp")
class DeliverSmResp(_MessageIdResp):
    """4.6.2. `message_id` is empty by the specification."""


@pdu(SMPP, 0x00000103, "data_sm")
class DataSm(SmppPdu):
    """Either direction, the text in message_payload (4.7.1)."""

    service_type: str = cstr(6)
    source_addr_ton: int = u8()
    source_addr_npi: int = u8()
    source_addr: str = address(65)
    dest_addr_ton: int = u8()
    dest_addr_npi: int = u8()
    destination_addr: str = address(65)
    esm_class: int = u8()
    registered_delivery: int = u8()
    data_coding: int = u8()
    tlvs: tuple[Tlv, ...] = _STRICT


@pdu(SMPP, 0x80000103, "data_sm_resp")
class DataSmResp(_MessageIdResp):
    """4.7.2."""


@record
class SmeAddress:
    """A destination number in submit_multi (`dest_flag` 1)."""

    dest_addr_ton: int = u8()
    dest_addr_npi: int = u8()
    destination_addr: str = address(21)


@record
class DistributionList:
    """A named list of the centre in submit_multi (`dest_flag` 2)."""

    dl_name: str = cstr(21)


@record
class UnsuccessSme:
    """A destination that submit_multi could not serve, and why."""

    dest_addr_ton: int = u8()
    dest_addr_npi: int = u8()
    destination_addr: str = address(21)
    error_status_code: int = u32()


@pdu(SMPP, 0x00000021, "submit_multi")
class SubmitMulti(SmppPdu):
    """A message to several destinations (4.5.1)."""

    service_type: str = cstr(6)
    source_addr_ton: int = u8()
    source_addr_npi: int = u8()
    source_addr: str = address(21)
    dest_address: tuple[SmeAddress | DistributionList, ...] = records(
        "dest_address", "number_of_dests", tag="dest_flag", choices=((1, SmeAddress), (2, DistributionList))
    )
    esm_class: int = u8()
    protocol_id: int = u8()
    priority_flag: int = u8()
    schedule_delivery_time: str = cstr(17)
    validity_period: str = cstr(17)
    registered_delivery: int = u8()
    replace_if_present_flag: int = u8()
    data_coding: int = u8()
    sm_default_msg_id: int = u8()
    short_message: bytes = octets("short_message", "sm_length")
    tlvs: tuple[Tlv, ...] = _TEXT_STRICT


@pdu(SMPP, 0x80000021, "submit_multi_resp")
class SubmitMultiResp(SmppPdu):
    """4.5.2."""

    message_id: str = cstr(65, lenient=True)
    unsuccess_sme: tuple[UnsuccessSme, ...] = records("unsuccess_sme", "no_unsuccess", UnsuccessSme)
    tlvs: tuple[Tlv, ...] = _STRAY


@pdu(SMPP, 0x00000003, "query_sm")
class QuerySm(SmppPdu):
    """4.8.1."""

    message_id: str = cstr(65)
    source_addr_ton: int = u8()
    source_addr_npi: int = u8()
    source_addr: str = address(21)
    tlvs: tuple[Tlv, ...] = _STRAY


@pdu(SMPP, 0x80000003, "query_sm_resp")
class QuerySmResp(SmppPdu):
    """4.8.2. Until said otherwise the state is UNKNOWN: 3.4 has no state 0, and peers refuse to read one."""

    message_id: str = cstr(65, lenient=True)
    final_date: str = cstr(17)
    message_state: int = u8(default=7)
    error_code: int = u8()
    tlvs: tuple[Tlv, ...] = _STRAY


@pdu(SMPP, 0x00000008, "cancel_sm")
class CancelSm(SmppPdu):
    """4.9.1. An empty `message_id` cancels all messages between the two addresses."""

    service_type: str = cstr(6)
    message_id: str = cstr(65)
    source_addr_ton: int = u8()
    source_addr_npi: int = u8()
    source_addr: str = address(21)
    dest_addr_ton: int = u8()
    dest_addr_npi: int = u8()
    destination_addr: str = address(21)
    tlvs: tuple[Tlv, ...] = _STRAY


@pdu(SMPP, 0x80000008, "cancel_sm_resp")
class CancelSmResp(_Empty):
    """4.9.2."""


@pdu(SMPP, 0x00000007, "replace_sm")
class ReplaceSm(SmppPdu):
    """4.10.1. The original data_coding stays."""

    message_id: str = cstr(65)
    source_addr_ton: int = u8()
    source_addr_npi: int = u8()
    source_addr: str = address(21)
    schedule_delivery_time: str = cstr(17)
    validity_period: str = cstr(17)
    registered_delivery: int = u8()
    sm_default_msg_id: int = u8()
    short_message: bytes = octets("short_message", "sm_length")
    tlvs: tuple[Tlv, ...] = _TEXT_STRICT


@pdu(SMPP, 0x80000007, "replace_sm_resp")
class ReplaceSmResp(_Empty):
    """4.10.2."""


@pdu(SMPP, 0x00000102, "alert_notification")
class AlertNotification(SmppPdu):
    """A phone can be reached again (4.12.1). There is no answer."""

    source_addr_ton: int = u8()
    source_addr_npi: int = u8()
    source_addr: str = address(65)
    esme_addr_ton: int = u8()
    esme_addr_npi: int = u8()
    esme_addr: str = address(65)
    tlvs: tuple[Tlv, ...] = _KEEP


@pdu(SMPP, 0x00000111, "broadcast_sm", since=50)
class BroadcastSm(SmppPdu):
    """5.0, 4.4.1.1."""

    service_type: str = cstr(6)
    source_addr_ton: int = u8()
    source_addr_npi: int = u8()
    source_addr: str = address(21)
    message_id: str = cstr(65)
    priority_flag: int = u8()
    schedule_delivery_time: str = cstr(17)
    validity_period: str = cstr(17)
    replace_if_present_flag: int = u8()
    data_coding: int = u8()
    sm_default_msg_id: int = u8()
    tlvs: tuple[Tlv, ...] = _STRICT


@pdu(SMPP, 0x80000111, "broadcast_sm_resp", since=50)
class BroadcastSmResp(_MessageIdResp):
    """5.0, 4.4.1.2."""


@pdu(SMPP, 0x00000112, "query_broadcast_sm", since=50)
class QueryBroadcastSm(SmppPdu):
    """5.0, 4.6.1.1."""

    message_id: str = cstr(65)
    source_addr_ton: int = u8()
    source_addr_npi: int = u8()
    source_addr: str = address(21)
    tlvs: tuple[Tlv, ...] = _STRICT


@pdu(SMPP, 0x80000112, "query_broadcast_sm_resp", since=50)
class QueryBroadcastSmResp(_MessageIdResp):
    """5.0, 4.6.1.3. State, areas and success rates stand in the optional parameters."""


@pdu(SMPP, 0x00000113, "cancel_broadcast_sm", since=50)
class CancelBroadcastSm(SmppPdu):
    """5.0, 4.6.2.1."""

    service_type: str = cstr(6)
    message_id: str = cstr(65)
    source_addr_ton: int = u8()
    source_addr_npi: int = u8()
    source_addr: str = address(21)
    tlvs: tuple[Tlv, ...] = _STRICT


@pdu(SMPP, 0x80000113, "cancel_broadcast_sm_resp", since=50)
class CancelBroadcastSmResp(_Empty):
    """5.0, 4.6.2.3."""
