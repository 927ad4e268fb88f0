"""Every status that our SMPP server can say, in sessions of every interface_version: 3.4 must have a word for it.

Whatever a partner binds with, the session is one of 3.4 (``sc_interface_version``); from 0x100 on 3.4 has nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from smsgw.core.errors import CODES, Invalid
from smsgw.core.partners import Partner
from smsgw.partners import smpp as partners
from smsgw.partners.protocol_server import NotText, Unfit, text_of
from smsgw.protocols.dialects import SMPP34
from smsgw.protocols.events import LoginRequest, Request
from smsgw.protocols.pdu import Pdu, Tlv
from smsgw.protocols.session import Session, SessionConfig
from smsgw.protocols.smpp import codes, pdus, rules, tlvs

BOOK = {value for value in codes.STATUS if value < 0x100}
NOW = datetime(2026, 11, 25, tzinfo=UTC)
FACE = partners.SmppServer()
PARTNER = Partner(id=1, account_id=1, protocol="smpp", username="shop", password="secret")
PORTS = bytes.fromhex("0605040b8423f0")


def submit(**fields: Any) -> pdus.SubmitSm:
    return pdus.SubmitSm(**{"destination_addr": "8613800000001", "dest_addr_ton": 1, "short_message": b"x"} | fields)


def sar(total: int, number: int) -> tuple[Tlv, ...]:
    values = (b"\0\1", bytes([total]), bytes([number]))
    tags = (tlvs.SAR_MSG_REF_NUM, tlvs.SAR_TOTAL_SEGMENTS, tlvs.SAR_SEGMENT_SEQNUM)
    return tuple(Tlv(tag, value) for tag, value in zip(tags, values, strict=True))


def octets(pdu: Pdu, old: bytes = b"", new: bytes = b"") -> bytes:
    frame = SMPP34.encode(pdu).replace(old, new) if old else SMPP34.encode(pdu) + new
    return len(frame).to_bytes(4, "big") + frame[4:]


SAID: dict[str, tuple[Pdu | bytes, int]] = {
    "data_coding of no alphabet": (submit(data_coding=0x0D), 0x45),
    "data_coding of a language": (submit(data_coding=5), 0x45),
    "data_coding reserved": (submit(data_coding=0xC8), 0x45),
    "binary": (submit(data_coding=4, short_message=b"\xff\xfe"), 0x45),
    "not in its alphabet": (submit(data_coding=1, short_message=b"\xff"), 0x45),
    "data_sm in no alphabet": (pdus.DataSm(data_coding=0x0D, tlvs=(Tlv(tlvs.MESSAGE_PAYLOAD, b"x"),)), 0x45),
    "submit_multi in no alphabet": (
        pdus.SubmitMulti(dest_address=(pdus.SmeAddress(destination_addr="8613800000001"),), data_coding=0x0D), 0x45,
    ),
    "half a character": (submit(data_coding=8), 0x01),
    "predefined": (submit(sm_default_msg_id=1), 0x63),
    "replace": (submit(replace_if_present_flag=1), 0x54),
    "priority": (submit(priority_flag=4), 0x06),
    "message type": (submit(esm_class=0x04), 0x43),
    "header": (submit(esm_class=0x40), 0x43),
    "ports": (submit(esm_class=0x40, short_message=PORTS), 0x43),
    "two texts": (submit(tlvs=(Tlv(tlvs.MESSAGE_PAYLOAD, b"y"),)), 0x01),
    "segment": (submit(tlvs=sar(2, 3)), 0xC0),
    "later": (submit(schedule_delivery_time="soon"), 0x61),
    "validity": (submit(validity_period="soon"), 0x62),
    "nobody": (pdus.SubmitMulti(), 0x33),
    "a list": (pdus.SubmitMulti(dest_address=(pdus.DistributionList(dl_name="all"),)), 0x34),
    "a part for two": (
        pdus.SubmitMulti(
            dest_address=(pdus.SmeAddress(destination_addr="1"), pdus.SmeAddress(destination_addr="2")),
            short_message=b"x", tlvs=sar(2, 1),
        ), 0x43,
    ),
    "query of no id": (pdus.QuerySm(message_id="x"), 0x0C),
    "cancel of no id": (pdus.CancelSm(message_id="x"), 0x0C),
    "cancel of nothing": (pdus.CancelSm(), 0x11),
    "replace_sm": (pdus.ReplaceSm(message_id="1"), 0x13),
    "a parameter that is cut": (octets(submit(), new=b"\2\4\0\2\0"), 0xC0),
    "a text that is cut": (octets(submit(), b"\1x", b"\xffx"), 0x01),
    "a destination too long": (octets(submit(), b"8613800000001", b"8" * 21), 0x0B),
    "a source too long": (octets(submit(source_addr="777"), b"777", b"7" * 21), 0x0A),
    "no body": (octets(pdus.CancelSm())[:3] + b"\x10" + octets(pdus.CancelSm())[4:16], 0x02),
    "unknown command": (b"\0\0\0\x10\0\0\1\x11\0\0\0\0\0\0\0\1", 0x03),
    "a second bind": (pdus.BindTransceiver(), 0x05),
    "a delivery to us": (pdus.DeliverSm(), 0x04),
    "outside the window": (submit(), 0x58),
}  # fmt: skip


def bound(version: int) -> tuple[Session, pdus.BindTransceiverResp]:
    session = Session(rules.server(), config=SessionConfig(refuses_beyond=True, max_unanswered_in=1))
    session.start(0.0)
    bind = pdus.BindTransceiver(sequence=1, system_id="shop", interface_version=version)
    (login,) = session.receive(SMPP34.encode(bind), 0.0)
    assert isinstance(login, LoginRequest)
    session.admit(login, now=0.0)
    answer = SMPP34.decode(session.output())
    assert isinstance(answer, pdus.BindTransceiverResp)
    return session, answer


def read(request: Request) -> int:
    """As ``Bind`` does: the status, 0 when it is taken."""
    try:
        order: Any = FACE.read(request.pdu, PARTNER, NOW)
        if hasattr(order, "octets"):
            text_of(order.octets, order.coding)
    except Unfit as exc:
        return exc.status
    except NotText:
        return FACE.not_text
    return 0


@pytest.mark.parametrize("version", [0x00, 0x33, 0x34, 0x50], ids=hex)
@pytest.mark.parametrize("name", SAID)
def test_what_a_partner_is_told(version: int, name: str) -> None:
    session, welcome = bound(version)
    assert welcome.tlv(tlvs.SC_INTERFACE_VERSION) == (b"\x34" if version >= 0x34 else None)
    said, status = SAID[name]
    if status == 0x58:
        session.receive(SMPP34.encode(submit(sequence=8)), 0.0)
    frame = said if isinstance(said, bytes) else SMPP34.encode(said.replace(sequence=9))
    for event in session.receive(frame, 0.0):
        if isinstance(event, Request):
            session.answer(event, FACE.refused(event.pdu, read(event)))
    answer: Any = SMPP34.decode(session.output())
    assert answer.command_status == status
    assert status in BOOK


def test_every_status_that_has_a_name_here_is_one_of_3_4() -> None:
    for module in (partners, codes):
        named = {k: v for k, v in vars(module).items() if k.startswith("ESME_")}
        assert named
        assert {k for k, v in named.items() if v not in BOOK} == set()
    faults = rules.FAULTS
    by_rules = {faults.framing, faults.unknown_command, faults.wrong_state, faults.already_bound, faults.leaving}
    by_rules |= {faults.structure, *faults.malformed.values()}
    by_rules |= {op.busy for op in rules.MATRIX.requests.values()}
    by_face = {FACE.wrong_login, FACE.denied, FACE.unavailable, FACE.throttled, FACE.failed, FACE.not_text}
    by_code = {FACE.status_of(Invalid(code)) for code in CODES}
    assert by_rules | by_face | by_code <= BOOK


def test_a_query_that_fails_says_which_message_and_that_its_state_is_unknown() -> None:
    answer = FACE.found(pdus.QuerySm(sequence=5, message_id="4711"), None)
    assert SMPP34.encode(answer)[16:] == b"4711\0\0\7\0"
    assert (answer.sequence, answer.command_status) == (5, 0x0C)  # type: ignore[attr-defined]
