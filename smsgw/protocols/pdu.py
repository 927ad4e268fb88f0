"""PDUs as dataclasses whose class body is the wire table.

    @pdu(CMPP, 0x00000007, "CMPP_CANCEL")
    class Cancel(CmppPdu):
        msg_id: int = u64("Msg_Id")

Encode, decode, JSON and the property tests walk the same rows. Lengths and counts are derived and
never stored, so a mismatch cannot be constructed. PDUs are mutable and compare by value.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

from smsgw.protocols.fields import Kind, Tlv
from smsgw.protocols.layout import Layout, collect, rows_for
from smsgw.protocols.record_lists import Records

__all__ = ["RESPONSE", "Header", "Pdu", "Protocol", "Tlv", "Unknown", "base", "pdu", "record", "records"]

#: All four protocols mark an answer with the top bit of the command id.
RESPONSE = 0x80000000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Header:
    """The header of one protocol: length, command, [status], sequence (one or three integers)."""

    codec: struct.Struct
    length: str
    command: str
    status: str | None
    sequence: str
    triple: bool = False


class Protocol:
    """A family of PDUs with a common header; versions of it are `Dialect`s."""

    def __init__(self, name: str, header: Header) -> None:
        self.name = name
        self.header = header
        self.classes: dict[int, type[Pdu]] = {}

    def __repr__(self) -> str:
        return f"<Protocol {self.name}>"


@dataclass(slots=True)
class Pdu:
    """Common to all PDUs. `sequence` is an int; three ints (node, time, counter) in SGIP."""

    command_id: ClassVar[int] = 0
    pdu_name: ClassVar[str] = ""
    #: Which of the layouts of all versions is meant follows from the body's length.
    by_length: ClassVar[bool] = False
    #: Octets behind the last row are ignored instead of refused.
    ignore_tail: ClassVar[bool] = False
    since: ClassVar[int] = 0
    #: Version from which on an answer that carries an error is written without its body.
    bare_error_since: ClassVar[int] = 1 << 16
    __wire__: ClassVar[Mapping[str, Kind]] = {}

    sequence: Any = 0

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def tlv(self, tag: int) -> bytes | None:
        """The value of the first optional parameter with this tag; None when there is none."""
        for found, value in getattr(self, "tlvs", ()):
            if found == tag:
                return bytes(value)
        return None


@dataclass(slots=True)
class Unknown(Pdu):
    """A PDU whose command id the dialect does not define; the framing goes on behind it."""

    pdu_name: ClassVar[str] = "unknown"

    command_id: int = 0  # type: ignore[misc]
    command_status: int = 0
    body: bytes = b""


@dataclass_transform(eq_default=True)
def base(cls: type[_T]) -> type[_T]:
    """A table that several PDUs share the beginning of; not a PDU itself."""
    table = collect(cls)
    made = dataclass(slots=True)(cls)
    made.__wire__ = table  # type: ignore[attr-defined]
    return made


@dataclass_transform(eq_default=True)
def record(cls: type[_T]) -> type[_T]:
    """An entry of a list inside a PDU, with a table of its own."""
    return base(cls)


def records(spec: str, count: str, plain: type | None = None, *, tag: str = "", **more: Any) -> Any:
    """A counted list: of `plain` records, or of `choices` ((tag, record type), …)."""
    choices = tuple((number, _record_layout(cls)) for number, cls in more.pop("choices", ()))
    layout = None if plain is None else _record_layout(plain)
    return Records(spec=spec, count=count, plain=layout, tag=tag, choices=choices, **more)


def _record_layout(cls: type) -> Layout:
    return Layout(cls, rows_for(cls.__wire__, 0))  # type: ignore[attr-defined]


@dataclass_transform(eq_default=True)
def pdu(
    protocol: Protocol,
    command_id: int,
    name: str,
    *,
    since: int = 0,
    by_length: bool = False,
    ignore_tail: bool = False,
) -> Callable[[type[_T]], type[_T]]:
    """Make a PDU of a class body and register it with its protocol."""

    def make(cls: type[_T]) -> type[_T]:
        made: Any = base(cls)
        made.command_id = command_id
        made.pdu_name = name
        made.since = since
        made.by_length = by_length
        made.ignore_tail = ignore_tail
        if command_id in protocol.classes:
            raise ValueError(f"{name}: command id 0x{command_id:08x} is taken")
        protocol.classes[command_id] = made
        return made  # type: ignore[no-any-return]

    return make
