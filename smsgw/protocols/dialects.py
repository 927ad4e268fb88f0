"""One protocol version: octets ↔ PDU, framing, which command answers which."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from smsgw.protocols.cmpp.pdus import CMPP
from smsgw.protocols.errors import FieldError, Malformed
from smsgw.protocols.fields import Tlvs
from smsgw.protocols.framing import Framer
from smsgw.protocols.layout import Layout, rows_for
from smsgw.protocols.pdu import RESPONSE, Pdu, Protocol, Unknown
from smsgw.protocols.sgip.pdus import SGIP
from smsgw.protocols.smgp.pdus import SMGP
from smsgw.protocols.smpp.pdus import SMPP


class Dialect:
    """A version of a protocol. Immutable; share freely.

    `max_frame` is the default limit in octets for one PDU, generous against the specification.
    """

    def __init__(self, name: str, protocol: Protocol, version: int, versions: tuple[int, ...], max_frame: int) -> None:
        self.name = name
        self.protocol = protocol
        self.version = version
        self.max_frame = max_frame
        self.header_size = protocol.header.codec.size
        self.pdus: dict[int, type[Pdu]] = {}
        self._layouts: dict[int, Layout] = {}
        self._by_length: dict[tuple[int, int], Layout] = {}
        self._bare_errors: set[int] = set()
        for command_id, cls in protocol.classes.items():
            if cls.since > version:
                continue
            self.pdus[command_id] = cls
            self._layouts[command_id] = Layout(cls, rows_for(cls.__wire__, version))
            if command_id & RESPONSE and version >= cls.bare_error_since:
                self._bare_errors.add(command_id)
            for other in versions if cls.by_length else ():
                layout = Layout(cls, rows_for(cls.__wire__, other))
                if layout.fixed_size is not None:
                    self._by_length[command_id, layout.fixed_size] = layout
        self.decode: Callable[[bytes | bytearray | memoryview], Pdu] = self._decoder()

    def __repr__(self) -> str:
        return f"<Dialect {self.name}>"

    def framer(self, max_frame: int | None = None) -> Framer:
        """A fresh framer for one direction of one connection."""
        return Framer(self.header_size, max_frame or self.max_frame)

    @staticmethod
    def is_response(command_id: int) -> bool:
        """Whether the command is an answer; holds for unknown commands, too."""
        return bool(command_id & RESPONSE)

    def response_class(self, request: Pdu | int) -> type[Pdu] | None:
        """The class that answers a request (PDU or command id); None when nothing does."""
        command_id = request if isinstance(request, int) else request.command_id
        if command_id & RESPONSE:
            return None
        return self.pdus.get(command_id | RESPONSE)

    def layout(self, cls: type[Pdu]) -> Layout:
        """The table of a PDU class in this version; KeyError when the version does not have it."""
        return self._layouts[cls.command_id]

    def _malformed(self, name: str, command_id: int, sequence: Any, fault: FieldError) -> Malformed:
        return Malformed(
            name, fault.field, fault.offset, fault.reason, command_id=command_id, sequence=sequence, kind=fault.kind
        )

    def _decoder(self) -> Callable[[bytes | bytearray | memoryview], Pdu]:
        unpack = self.protocol.header.codec.unpack_from
        size = self.header_size
        status_there = self.protocol.header.status is not None
        triple = self.protocol.header.triple
        layouts, by_length, malformed = self._layouts, self._by_length, self._malformed

        def decode(frame: bytes | bytearray | memoryview) -> Pdu:
            """The PDU in one complete frame; `Unknown` for a foreign command, raises `Malformed`."""
            data = frame if type(frame) is bytes else bytes(frame)
            total = len(data)
            if total < size:
                fault = FieldError("length", f"{total} octets where the header has {size}", total)
                raise malformed("header", 0, (0, 0, 0) if triple else 0, fault)
            values: list[Any]
            if status_there:
                length, command_id, status, sequence = unpack(data)
                values = [sequence, status, False]
            elif triple:
                length, command_id, *numbers = unpack(data)
                sequence, status = tuple(numbers), 0
                values = [sequence]
            else:
                length, command_id, sequence = unpack(data)
                status = 0
                values = [sequence]
            layout = layouts.get(command_id)
            if length != total:
                name = "header" if layout is None else layout.cls.pdu_name
                fault = FieldError("length", f"length field says {length}, the frame has {total}", 0)
                raise malformed(name, command_id, sequence, fault)
            if layout is None:
                return Unknown(command_id, sequence, status, data[size:])
            cls: Any = layout.cls
            if total == size and status_there and command_id & RESPONSE:
                bare: Pdu = cls(sequence, status, True)
                return bare
            if cls.by_length:
                layout = by_length.get((command_id, total - size), layout)
            try:
                pos = layout.read(data, size, values)
                if pos != total and not cls.ignore_tail:
                    raise FieldError("length", f"{total - pos} octets left over", pos)
            except FieldError as fault:
                raise malformed(cls.pdu_name, command_id, sequence, fault) from None
            pdu: Pdu = cls(*values)
            return pdu

        return decode

    def encode(self, pdu: Pdu) -> bytes:
        """The octets of a PDU. Raises `Malformed` when a value does not fit its field."""
        command_id = pdu.command_id
        layout = self._layouts.get(command_id)
        parts: list[bytes] = []
        try:
            if isinstance(pdu, Unknown):
                parts.append(pdu.body)
            elif layout is None or layout.cls is not type(pdu):
                raise FieldError("structure", f"{self.name} does not have this PDU")
            elif not self._without_body(pdu, layout):
                layout.write(pdu, parts)
            body = b"".join(parts)
            return self._head(pdu, len(body) + self.header_size) + body
        except FieldError as fault:
            raise self._malformed(pdu.pdu_name, command_id, pdu.sequence, fault) from None

    def _without_body(self, pdu: Pdu, layout: Layout) -> bool:
        if self.protocol.header.status is None or not pdu.command_id & RESPONSE:
            return False
        omitted: bool | None = getattr(pdu, "body_omitted", None)
        if omitted is not None:
            return omitted
        return (
            pdu.command_id in self._bare_errors and bool(getattr(pdu, "command_status", 0)) and layout.is_default(pdu)
        )

    def _head(self, pdu: Pdu, length: int) -> bytes:
        header = self.protocol.header
        try:
            if header.triple:
                node, time, counter = pdu.sequence
                return header.codec.pack(length, pdu.command_id, node, time, counter)
            if header.status is not None:
                return header.codec.pack(length, pdu.command_id, getattr(pdu, "command_status", 0), pdu.sequence)
            return header.codec.pack(length, pdu.command_id, pdu.sequence)
        except (struct.error, TypeError, ValueError) as exc:
            raise FieldError("structure", f"header: {exc}", None, header.sequence) from exc

    def without_body(self, pdu: Pdu) -> bool:
        """Whether the PDU is (or would be) written as its header alone although it should have a body."""
        layout = self._layouts.get(pdu.command_id)
        if layout is None or all(isinstance(row.kind, Tlvs) for row in layout.rows):
            return False
        return self._without_body(pdu, layout)


CMPP20 = Dialect("cmpp20", CMPP, 20, (20, 30), 8192)
CMPP30 = Dialect("cmpp30", CMPP, 30, (20, 30), 8192)
# message_payload holds up to 64 KiB.
SMPP34 = Dialect("smpp34", SMPP, 34, (34, 50), 66560)
SMPP50 = Dialect("smpp50", SMPP, 50, (34, 50), 66560)
SGIP12 = Dialect("sgip12", SGIP, 12, (12,), 8192)
SMGP13 = Dialect("smgp13", SMGP, 13, (13, 30), 8192)
SMGP30 = Dialect("smgp30", SMGP, 30, (13, 30), 8192)

DIALECTS = {d.name: d for d in (CMPP20, CMPP30, SMPP34, SMPP50, SGIP12, SMGP13, SMGP30)}


def by_name(name: str) -> Dialect:
    """The dialect of that name, one of `DIALECTS`; KeyError for another."""
    return DIALECTS[name]
