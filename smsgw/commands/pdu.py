"""`smsgwctl pdu`: take a PDU apart, or put one together, without a connection."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from smsgw.core import text, udh
from smsgw.protocols.cmpp import pdus as cmpp
from smsgw.protocols.cmpp import reports as cmpp_reports
from smsgw.protocols.dialects import DIALECTS, by_name
from smsgw.protocols.errors import Malformed
from smsgw.protocols.pdu import Pdu
from smsgw.protocols.render import from_fields, to_fields
from smsgw.protocols.sgip import pdus as sgip
from smsgw.protocols.smgp import pdus as smgp
from smsgw.protocols.smgp import reports as smgp_reports
from smsgw.protocols.smpp import pdus as smpp
from smsgw.protocols.smpp import reports as smpp_reports
from smsgw.protocols.smpp import tlvs

#: Msg_Fmt of the Chinese protocols, and data_coding of SMPP, as far as they mean an alphabet.
_FORMATS = {0: text.Coding.ASCII, 8: text.Coding.UCS2, 15: text.Coding.GB18030}
_DATA_CODINGS = {
    0: text.Coding.GSM7,
    1: text.Coding.ASCII,
    3: text.Coding.LATIN1,
    8: text.Coding.UCS2,
    15: text.Coding.GB18030,
}


@click.group()
def pdu() -> None:
    """Decode and encode single PDUs."""


_protocol = click.option(
    "--protocol", "-p", required=True, type=click.Choice(sorted(DIALECTS)), help="Protocol and version."
)


@pdu.command()
@_protocol
@click.argument("octets", metavar="HEX")
def decode(protocol: str, octets: str) -> None:
    """Print the PDU in HEX (header included; blanks are ignored) as JSON."""
    dialect = by_name(protocol)
    try:
        frame = bytes.fromhex("".join(octets.split()))
    except ValueError as exc:
        raise click.ClickException(f"not hexadecimal: {exc}") from exc
    try:
        found = dialect.decode(frame)
        described: dict[str, Any] = {
            "pdu": found.pdu_name,
            "length": len(frame),
            "fields": to_fields(dialect, found, length=len(frame)),
        }
        if dialect.without_body(found):
            described["body_omitted"] = True
        described.update(_content(found))
    except Malformed as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(json.dumps(described, ensure_ascii=False, indent=2))


@pdu.command()
@_protocol
def encode(protocol: str) -> None:
    """Read a JSON object with "pdu" and "fields", as decode prints it, and print the octets in hex.

    Lengths, counts and the command id may be left out; missing fields take their defaults.
    """
    dialect = by_name(protocol)
    try:
        given = json.loads(sys.stdin.read())
    except (ValueError, RecursionError) as exc:
        raise click.ClickException(f"not JSON: {exc}") from exc
    if not isinstance(given, dict) or not isinstance(given.get("fields", {}), dict):
        raise click.ClickException('an object with "pdu" and "fields" is expected')
    try:
        octets = dialect.encode(from_fields(dialect, given.get("fields", {}), name=given.get("pdu")))
    except Malformed as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(octets.hex())


def _content(found: Pdu) -> dict[str, Any]:
    """The text, report or receipt in a message."""
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
