"""PDUs as JSON objects, with the field names of the specifications.

Numbers are integers, fixed and C-octet strings are text, opaque octets are hexadecimal under
``…_hex``. Lengths and counts appear on output and are derived again on input.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smsgw.protocols.dialects import Dialect
from smsgw.protocols.errors import FieldError, Malformed
from smsgw.protocols.fields import unhex
from smsgw.protocols.pdu import RESPONSE, Pdu, Unknown


def to_fields(dialect: Dialect, pdu: Pdu, *, length: int | None = None) -> dict[str, Any]:
    """The fields in wire order, header first.

    `length` is the length on the wire when it may differ from that of the PDU encoded again.
    """
    header = dialect.protocol.header
    fields: dict[str, Any] = {
        header.length: len(dialect.encode(pdu)) if length is None else length,
        header.command: f"0x{pdu.command_id:08x}",
    }
    if header.status is not None:
        fields[header.status] = getattr(pdu, "command_status", 0)
    fields[header.sequence] = list(pdu.sequence) if header.triple else pdu.sequence
    if isinstance(pdu, Unknown):
        fields["body_hex"] = pdu.body.hex()
    elif not dialect.without_body(pdu):
        fields.update(dialect.layout(type(pdu)).render_record(pdu))
    return fields


def from_fields(dialect: Dialect, fields: Mapping[str, Any], *, name: str | None = None) -> Pdu:
    """The PDU that `fields` describe; its type by `name` or by the command id among the fields.

    Missing fields take their defaults. Raises `Malformed` for an unknown name or field, or a value
    that does not fit.
    """
    header = dialect.protocol.header
    command_id = 0
    shown = name or "pdu"
    try:
        command_id = _command_id(dialect, fields, name)
        common: dict[str, Any] = {"sequence": _sequence(fields.get(header.sequence), header.sequence, header.triple)}
        if header.status is not None:
            common["command_status"] = _integer(fields.get(header.status, 0), header.status)
        head = {header.length, header.command, header.status, header.sequence}
        cls = dialect.pdus.get(command_id)
        if cls is None:
            body = unhex(fields.get("body_hex", ""))
            return Unknown(command_id=command_id, body=body, **common)
        shown = cls.pdu_name
        layout = dialect.layout(cls)
        _check_names(fields, head, layout)
        if header.status is not None and command_id & RESPONSE and head.issuperset(fields):
            common["body_omitted"] = True
        pdu: Pdu = cls(**common, **layout.parse_values(fields))
    except FieldError as fault:
        raise Malformed(
            shown, fault.field, fault.offset, fault.reason, command_id=command_id, sequence=0, kind=fault.kind
        ) from None
    return pdu


def _check_names(fields: Mapping[str, Any], head: set[str | None], layout: Any) -> None:
    known = {key for key in head if key}
    for row in layout.rows:
        if row.kind is not None:
            known.update(row.kind.render(row.default))
            known.add(row.kind.json_key)
    for key in fields:
        if key not in known:
            raise FieldError("structure", "this PDU has no such field", None, key)


def _command_id(dialect: Dialect, fields: Mapping[str, Any], name: str | None) -> int:
    header = dialect.protocol.header
    given = _integer(fields[header.command], header.command) if header.command in fields else None
    for command_id, cls in dialect.pdus.items():
        if name == cls.pdu_name:
            if given not in (None, command_id):
                raise FieldError("structure", f"not the command id of {name}", None, header.command)
            return command_id
    if name not in (None, Unknown.pdu_name):
        raise FieldError("structure", f"{dialect.name} has no PDU of this name")
    if given is None:
        raise FieldError("structure", "missing", None, header.command)
    return given


def _integer(value: object, field: str) -> int:
    try:
        number = int(value, 16) if isinstance(value, str) else value
    except ValueError:
        number = None
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < 1 << 32:
        raise FieldError("structure", f"{value!r} is not an unsigned 32-bit integer", None, field)
    return number


def _sequence(value: object, field: str, triple: bool) -> Any:
    if not triple:
        return _integer(0 if value is None else value, field)
    parts = (0, 0, 0) if value is None else value
    if not isinstance(parts, (list, tuple)) or len(parts) != 3:
        raise FieldError("structure", "three integers expected", None, field)
    return tuple(_integer(part, field) for part in parts)
