"""Field kinds: what one row of a PDU's table means on the wire.

A kind knows how to read and write one value, how the value looks in JSON, and from which protocol
version on it exists. `layout.py` compiles a table of kinds into one reader and one writer; the
functions at the end (`u8`, `cstr`, `fixed` …) are what the tables in `*/pdus.py` are written with.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from smsgw.protocols.errors import FieldError

Triple = tuple[int, int, int]
_U32 = struct.Struct(">I")
_TRIPLE = struct.Struct(">III")
_TLV_HEAD = struct.Struct(">HH")
_INT_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Tlv(NamedTuple):
    """One optional parameter: 16-bit tag and raw value."""

    tag: int
    value: bytes


def expect(value: object, kinds: type | tuple[type, ...], what: str) -> None:
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise FieldError("structure", f"{what} expected, got {type(value).__name__}")


def _latin1(value: object) -> bytes:
    expect(value, str, "text")
    try:
        raw = str(value).encode("latin-1")
    except UnicodeEncodeError as exc:
        raise FieldError("structure", "only characters up to U+00FF fit one octet each") from exc
    if 0 in raw:
        raise FieldError("structure", "a NUL cannot be part of the text")
    return raw


def unhex(value: object) -> bytes:
    """Octets from hexadecimal JSON text; FieldError when it is none."""
    expect(value, str, "hexadecimal text")
    try:
        return bytes.fromhex(str(value))
    except ValueError as exc:
        raise FieldError("structure", "not hexadecimal") from exc


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One row. `spec` is the specification's name ("" = same as the attribute)."""

    spec: str = ""
    since: int = 0
    before: int = 1 << 16
    secret: bool = False
    default: Any = None

    @property
    def code(self) -> str | None:
        """The `struct` code of a fixed-width row that may be read in a run with its neighbours."""
        return None

    @property
    def json_key(self) -> str:
        return self.spec

    def resolve(self, version: int) -> Kind | None:
        """The row as it stands in `version`; None when that version does not have it."""
        return self if self.since <= version < self.before else None

    def read(self, data: bytes, pos: int) -> tuple[Any, int]:
        """The value at `pos` and the position behind it."""
        raise TypeError(f"{type(self).__name__} is read by its layout")

    def write(self, value: Any) -> bytes:
        """The octets of `value`; raises FieldError when it does not fit."""
        raise TypeError(f"{type(self).__name__} is written by its layout")

    def render(self, value: Any) -> dict[str, Any]:
        """The JSON entries of the value, in wire order."""
        return {self.json_key: value}

    def parse(self, fields: Mapping[str, Any]) -> Any:
        """The value out of JSON entries; the default when it is absent."""
        value = fields.get(self.json_key, self.default)
        self.write(value)
        return value


@dataclass(frozen=True, kw_only=True, slots=True)
class UInt(Kind):
    """Unsigned big-endian integer. `later` = (version, width) when a version changed the width."""

    width: int
    later: tuple[int, int] | None = None
    optional: bool = False
    hexadecimal: bool = False
    default: Any = 0

    @property
    def code(self) -> str | None:
        return None if self.optional else _INT_CODES[self.width]

    @property
    def json_key(self) -> str:
        return f"{self.spec}_hex" if self.hexadecimal else self.spec

    def resolve(self, version: int) -> Kind | None:
        if not self.since <= version < self.before:
            return None
        if self.later and version >= self.later[0]:
            return dataclasses.replace(self, width=self.later[1], later=None)
        return self

    def read(self, data: bytes, pos: int) -> tuple[Any, int]:
        if self.optional and pos == len(data):
            return self.default, pos
        end = pos + self.width
        if end > len(data):
            raise FieldError("length", f"{self.width} octets needed, {len(data) - pos} left", pos)
        return int.from_bytes(data[pos:end], "big"), end

    def write(self, value: Any) -> bytes:
        expect(value, int, "integer")
        if not 0 <= value < 1 << 8 * self.width:
            raise FieldError("structure", f"{value} does not fit {self.width} octet(s) unsigned")
        return int(value).to_bytes(self.width, "big")

    def render(self, value: Any) -> dict[str, Any]:
        return {self.json_key: f"{value:0{2 * self.width}x}" if self.hexadecimal else value}

    def parse(self, fields: Mapping[str, Any]) -> Any:
        if not self.hexadecimal or self.json_key not in fields:
            return Kind.parse(self, fields)
        raw = unhex(fields[self.json_key])
        if len(raw) != self.width:
            raise FieldError("structure", f"{self.width} octets expected, got {len(raw)}")
        return int.from_bytes(raw, "big")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fixed(Kind):
    """Text in a fixed number of octets, filled with NUL; read up to the first NUL.

    `number` rows lose trailing blanks, which some peers fill with.
    """

    size: int
    later: tuple[int, int] | None = None
    number: bool = False
    default: Any = ""

    @property
    def code(self) -> str | None:
        return f"{self.size}s"

    def resolve(self, version: int) -> Kind | None:
        if not self.since <= version < self.before:
            return None
        if self.later and version >= self.later[0]:
            return dataclasses.replace(self, size=self.later[1], later=None)
        return self

    def read(self, data: bytes, pos: int) -> tuple[Any, int]:
        end = pos + self.size
        if end > len(data):
            raise FieldError("length", f"{self.size} octets needed, {len(data) - pos} left", pos)
        text = data[pos:end].partition(b"\0")[0].decode("latin-1")
        return (text.rstrip(" ") if self.number else text), end

    def write(self, value: Any) -> bytes:
        raw = _latin1(value)
        if len(raw) > self.size:
            kind = "address-too-long" if self.number else "text-too-long"
            raise FieldError(kind, f"{len(raw)} characters where {self.size} are allowed")
        return raw.ljust(self.size, b"\0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Raw(Kind):
    """A fixed number of opaque octets (digests, SMGP message ids)."""

    size: int
    default: Any = b""

    @property
    def code(self) -> str | None:
        return f"{self.size}s"

    @property
    def json_key(self) -> str:
        return f"{self.spec}_hex"

    def read(self, data: bytes, pos: int) -> tuple[Any, int]:
        end = pos + self.size
        if end > len(data):
            raise FieldError("length", f"{self.size} octets needed, {len(data) - pos} left", pos)
        return data[pos:end], end

    def write(self, value: Any) -> bytes:
        expect(value, (bytes, bytearray), "octets")
        if len(value) != self.size:
            raise FieldError("structure", f"{self.size} octets expected, got {len(value)}")
        return bytes(value)

    def render(self, value: Any) -> dict[str, Any]:
        return {self.json_key: value.hex()}

    def parse(self, fields: Mapping[str, Any]) -> Any:
        value = unhex(fields[self.json_key]) if self.json_key in fields else self.default
        self.write(value)
        return value


@dataclass(frozen=True, kw_only=True, slots=True)
class CStr(Kind):
    """C-octet string; `size` counts the terminator, as the specification's tables do.

    A missing terminator at the very end of the PDU is accepted. `lenient` rows are read at any
    length; writing is strict, but for rows with a `field_size`: what operators hand out (passwords of nine
    and more characters) must be writable.
    """

    size: int
    address: bool = False
    lenient: bool = False
    field_size: int = 0
    default: Any = ""

    def too_long(self, count: int, offset: int | None = None) -> FieldError:
        kind = "address-too-long" if self.address else "text-too-long"
        return FieldError(kind, f"{count} characters where {self.writable - 1} are allowed", offset)

    @property
    def writable(self) -> int:
        """The size that may be written, terminator included."""
        return max(self.size, self.field_size)

    def read(self, data: bytes, pos: int) -> tuple[Any, int]:
        end = data.find(b"\0", pos)
        stop = len(data) if end < 0 else end
        if stop - pos >= self.size and not self.lenient:
            raise self.too_long(stop - pos, pos)
        return data[pos:stop].decode("latin-1"), stop if end < 0 else end + 1

    def write(self, value: Any) -> bytes:
        raw = _latin1(value)
        if len(raw) >= self.writable:
            raise self.too_long(len(raw))
        return raw + b"\0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Octets(Kind):
    """Message content behind its own length field of `width` octets; the length is never stored.

    `widen` = (declared, real): some gateways write too small a length for a status report; when the
    PDU has room for exactly `real` octets, that room is taken.
    """

    length: str
    width: int = 1
    limit: int = 255
    widen: tuple[int, int] | None = None
    after: int = 0
    default: Any = b""

    @property
    def json_key(self) -> str:
        return f"{self.spec}_hex"

    def read(self, data: bytes, pos: int) -> tuple[Any, int]:
        start = pos + self.width
        if start > len(data):
            raise FieldError("length", f"{self.length} is missing", pos, self.length)
        size = data[pos] if self.width == 1 else int.from_bytes(data[pos:start], "big")
        if self.widen and size == self.widen[0] and len(data) - start - self.after == self.widen[1]:
            size = self.widen[1]
        end = start + size
        if end > len(data):
            reason = f"{size} octets of content declared, {len(data) - start} left"
            raise FieldError("message-length", reason, pos, self.length)
        return data[start:end], end

    def write(self, value: Any) -> bytes:
        expect(value, (bytes, bytearray), "octets")
        if len(value) > self.limit:
            raise FieldError("text-too-long", f"{len(value)} octets where {self.limit} are allowed")
        return len(value).to_bytes(self.width, "big") + bytes(value)

    def render(self, value: Any) -> dict[str, Any]:
        return {self.length: len(value), self.json_key: value.hex()}

    def parse(self, fields: Mapping[str, Any]) -> Any:
        value = unhex(fields[self.json_key]) if self.json_key in fields else b""
        self.write(value)
        return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers(Kind):
    """A counted list of telephone numbers, each in a fixed number of octets (群发)."""

    count: str
    item: Fixed
    limit: int = 255
    default: Any = ()

    def resolve(self, version: int) -> Kind | None:
        item = self.item.resolve(version)
        if not isinstance(item, Fixed) or not self.since <= version < self.before:
            return None
        return dataclasses.replace(self, item=item)

    def read(self, data: bytes, pos: int) -> tuple[Any, int]:
        if pos >= len(data):
            raise FieldError("length", f"{self.count} is missing", pos, self.count)
        count = data[pos]
        pos += 1
        size = self.item.size
        if pos + count * size > len(data):
            reason = f"{count} numbers of {size} octets declared, {len(data) - pos} octets left"
            raise FieldError("length", reason, pos - 1, self.count)
        if count == 1:
            return (self.item.read(data, pos)[0],), pos + size
        values = tuple(self.item.read(data, at)[0] for at in range(pos, pos + count * size, size))
        return values, pos + count * size

    def write(self, value: Any) -> bytes:
        expect(value, (tuple, list), "list of numbers")
        if len(value) == 1:
            return b"\x01" + self.item.write(value[0])
        if len(value) > self.limit:
            raise FieldError("structure", f"{len(value)} numbers where {self.limit} are allowed")
        return b"".join((len(value).to_bytes(1, "big"), *map(self.item.write, value)))

    def render(self, value: Any) -> dict[str, Any]:
        return {self.count: len(value), self.spec: list(value)}

    def parse(self, fields: Mapping[str, Any]) -> Any:
        value = fields.get(self.spec, ())
        self.write(value)
        return tuple(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceTriple(Kind):
    """The three-part sequence number that SGIP uses as a message id: node, MMDDHHMMSS, counter."""

    default: Any = (0, 0, 0)

    def read(self, data: bytes, pos: int) -> tuple[Any, int]:
        if pos + 12 > len(data):
            raise FieldError("length", f"12 octets needed, {len(data) - pos} left", pos)
        return _TRIPLE.unpack_from(data, pos), pos + 12

    def write(self, value: Any) -> bytes:
        expect(value, (tuple, list), "three integers")
        try:
            return _TRIPLE.pack(*value)
        except struct.error as exc:
            raise FieldError("structure", f"three unsigned 32-bit integers expected: {exc}") from exc

    def render(self, value: Any) -> dict[str, Any]:
        return {self.spec: list(value)}

    def parse(self, fields: Mapping[str, Any]) -> Any:
        value = fields.get(self.spec, self.default)
        self.write(value)
        return tuple(value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tlvs(Kind):
    """Optional parameters to the end of the PDU, in wire order; unknown tags travel on.

    `salvage` keeps what came before a broken parameter instead of refusing the PDU: right for
    answers and receipts, where the rest is worth more than the form. `stray_nul` passes over one NUL
    in front of the parameters when they cannot be read where they should stand, and can behind it;
    what precedes them is not touched. `shown` puts an empty list into JSON. `names` (tag → name, form)
    adds a reading aid to JSON, with form ``int``, ``text`` or "".
    """

    salvage: bool = False
    stray_nul: bool = False
    shown: bool = True
    names: Mapping[int, tuple[str, str]] | None = None
    default: Any = ()

    def read(self, data: bytes, pos: int) -> tuple[Any, int]:
        end = len(data)
        if pos == end:
            return (), pos
        tlvs, fault = self._read(data, pos)
        if fault is not None and self.stray_nul and data[pos] == 0:
            behind, still = self._read(data, pos + 1)
            if still is None:
                return behind, end
        if fault is not None and not self.salvage:
            raise fault
        return tlvs, end

    @staticmethod
    def _read(data: bytes, pos: int) -> tuple[tuple[Tlv, ...], FieldError | None]:
        """The parameters from `pos` on, as far as they can be read, and what is wrong with the next one."""
        end = len(data)
        tlvs = []
        fault = None
        while pos < end:
            if end - pos < 4:
                fault = FieldError("tlv", f"{end - pos} octet(s) left, a parameter needs at least 4", pos)
                break
            tag, size = _TLV_HEAD.unpack_from(data, pos)
            stop = pos + 4 + size
            if stop > end:
                reason = f"parameter 0x{tag:04x} of {size} octets, {end - pos - 4} left"
                fault = FieldError("tlv", reason, pos)
                break
            tlvs.append(Tlv(tag, data[pos + 4 : stop]))
            pos = stop
        return tuple(tlvs), fault

    def write(self, value: Any) -> bytes:
        expect(value, (tuple, list), "list of parameters")
        parts = []
        for tag, octets in value:
            try:
                parts.append(_TLV_HEAD.pack(tag, len(octets)))
            except struct.error as exc:
                raise FieldError("tlv", f"parameter {tag!r} with {len(octets)} octets: {exc}") from exc
            parts.append(octets)
        return b"".join(parts)

    def render(self, value: Any) -> dict[str, Any]:
        if not value and not self.shown:
            return {}
        return {self.spec: [self._render_one(tag, octets) for tag, octets in value]}

    def _render_one(self, tag: int, octets: bytes) -> dict[str, Any]:
        entry: dict[str, Any] = {"tag": f"0x{tag:04x}", "length": len(octets), "value_hex": octets.hex()}
        if self.names is not None:
            name, form = self.names.get(tag, (None, ""))
            entry["name"] = name
            if form == "int" and octets:
                entry["value"] = int.from_bytes(octets, "big")
            elif form == "text":
                entry["value"] = octets.partition(b"\0")[0].decode("latin-1")
        return entry

    def parse(self, fields: Mapping[str, Any]) -> Any:
        entries = fields.get(self.spec, ())
        expect(entries, (tuple, list), "list of parameters")
        tlvs = []
        for entry in entries:
            expect(entry, dict, "object")
            tag = entry.get("tag")
            try:
                number = int(tag, 16) if isinstance(tag, str) else int(tag)
            except (TypeError, ValueError) as exc:
                raise FieldError("tlv", f"tag {tag!r} is not a number") from exc
            tlvs.append(Tlv(number, unhex(entry.get("value_hex", ""))))
        self.write(tlvs)
        return tuple(tlvs)


# --- the vocabulary of the tables -----------------------------------------------------------------
# Declared as returning Any, so that a row reads `name: int = u8()` and type checkers see a default.


def u8(spec: str = "", *, later: tuple[int, int] | None = None, default: int = 0, **more: Any) -> Any:
    """One octet; `later=(30, 4)` makes it four octets from version 30 on."""
    return UInt(spec=spec, width=1, later=later, default=default, **more)


def u32(spec: str = "", **more: Any) -> Any:
    """Four octets."""
    return UInt(spec=spec, width=4, **more)


def u64(spec: str = "", **more: Any) -> Any:
    """Eight octets, shown as 16 hexadecimal digits: the CMPP Msg_Id."""
    return UInt(spec=spec, width=8, hexadecimal=True, **more)


def fixed(spec: str, size: int, **more: Any) -> Any:
    """Text of `size` octets, NUL filled."""
    return Fixed(spec=spec, size=size, **more)


def number(spec: str, size: int, **more: Any) -> Any:
    """A telephone or service number of `size` octets, NUL (or blank) filled."""
    return Fixed(spec=spec, size=size, number=True, **more)


def raw(spec: str, size: int) -> Any:
    """Opaque octets, `size` of them; zeros by default."""
    return Raw(spec=spec, size=size, default=bytes(size))


def cstr(size: int, **more: Any) -> Any:
    """C-octet string of at most `size` octets, terminator included."""
    return CStr(size=size, **more)


def address(size: int) -> Any:
    """C-octet string that holds an address."""
    return CStr(size=size, address=True)


def octets(spec: str, length: str, **more: Any) -> Any:
    """Content behind its length field `length`."""
    return Octets(spec=spec, length=length, **more)


def numbers(spec: str, count: str, size: int, *, later: tuple[int, int] | None = None, limit: int = 255) -> Any:
    """Counted list of numbers of `size` octets each."""
    return Numbers(spec=spec, count=count, item=Fixed(spec=spec, size=size, later=later, number=True), limit=limit)


def triple(spec: str) -> Any:
    """SGIP sequence number."""
    return SequenceTriple(spec=spec)


def tlvs(spec: str, **more: Any) -> Any:
    """Optional parameters."""
    return Tlvs(spec=spec, **more)
