"""What is inside of a PDU's content: a text, a report or a receipt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from smsgw.core import text, udh
from smsgw.core.decoded import Decoded
from smsgw.protocols.cmpp import pdus as cmpp, reports as cmpp_reports
from smsgw.protocols.dialects import DIALECTS, by_name
from smsgw.protocols.errors import Malformed
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.render import to_fields
from smsgw.protocols.sgip import pdus as sgip
from smsgw.protocols.smgp import pdus as smgp, reports as smgp_reports
from smsgw.protocols.smpp import pdus as smpp, reports as smpp_reports, tlvs

#: Msg_Fmt of the Chinese protocols, and data_coding of SMPP, as far as they mean an alphabet.
_FORMATS = {0: text.Coding.ASCII, 8: text.Coding.UCS2, 15: text.Coding.GB18030}
_DATA_CODINGS = {
    0: text.Coding.GSM7,
    1: text.Coding.ASCII,
    3: text.Coding.LATIN1,
    8: text.Coding.UCS2,
    15: text.Coding.GB18030,
}


def content(found: Pdu) -> dict[str, Any]:
    """The text, report or receipt in a message. Raises ``Malformed``."""
    match found:
        case cmpp.Deliver(registered_delivery=1):
            return {"report": cmpp_reports.to_fields(cmpp_reports.decode(found.msg_content))}
        case smgp.Deliver(is_report=1):
            return {"report": smgp_reports.to_fields(smgp_reports.parse(found.msg_content))}
        case cmpp.Submit() | cmpp.Deliver() | cmpp.Fwd():
            return _text(found.msg_content, _FORMATS.get(found.msg_fmt), found.tp_udhi & 0x41)
        case smgp.Submit() | smgp.Deliver():
            udhi = (found.tlv(smgp.TP_UDHI) or b"\0")[-1]
            return _text(found.msg_content, _FORMATS.get(found.msg_format), udhi)
        case sgip.Submit() | sgip.Deliver():
            return _text(found.message_content, _FORMATS.get(found.message_coding), found.tp_udhi & 0x41)
        case smpp.DeliverSm() | smpp.DataSm() if (receipt := smpp_reports.of_deliver(found)) is not None:
            return {"receipt": smpp_reports.to_fields(receipt)}
        case smpp.SubmitSm() | smpp.SubmitMulti() | smpp.DeliverSm() | smpp.DataSm() | smpp.BroadcastSm():
            octets = getattr(found, "short_message", b"") or found.tlv(tlvs.MESSAGE_PAYLOAD) or b""
            return _text(octets, _DATA_CODINGS.get(found.data_coding), getattr(found, "esm_class", 0) & 0x40)
    return {}


def _text(octets: bytes, coding: text.Coding | None, udhi: int) -> dict[str, Any]:
    if udhi:
        try:
            octets = octets[udh.parse(octets).length :]
        except udh.InvalidUdh as exc:
            return {"text": None, "text_error": str(exc)}
    return {} if coding is None or not octets else {"text": text.decode(octets, coding)}


MOST_FIELDS = 200


def decoded(protocol: str, octets: bytes) -> Decoded:
    """A PDU of a channel that speaks this protocol: in that version, or in another one that was agreed on."""
    trouble = ""
    family = sorted((name for name in DIALECTS if name[:4] == protocol[:4]), key=lambda name: name != protocol)
    for dialect in map(by_name, family):
        try:
            pdu = dialect.decode(octets)
            inside = [
                item for name, part in content(pdu).items()
                for item in (part.items() if isinstance(part, Mapping) else [(name, part)]) if item[1] is not None
            ]  # fmt: skip
            fields = to_fields(dialect, pdu, length=len(octets)).items()
        except Malformed as error:
            trouble = trouble or str(error)
        else:
            return Decoded(dialect.name, pdu.pdu_name, _texts(fields), _texts(inside))
    return Decoded(trouble=trouble)


def _texts(fields: Iterable[tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))
        for name, value in islice(fields, MOST_FIELDS)
    )
