"""Text on the wire: alphabets, choice of coding, and the cut of a long text into parts.

Alphabets are those of GSM 03.38 (23.038 for the extension table), UCS-2 as UTF-16 big-endian, GB18030,
Latin-1 and ASCII. GSM 7-bit text is held *unpacked*, one septet per octet, as CMPP and nearly every SMPP
peer want it; packing is separate (`gsm7_pack`).

A part has 140 octets on air. What fits is counted in units of the coding: septets for GSM 7-bit and ASCII,
16-bit units for UCS-2, octets for the rest.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from smsgw.core import udh as _udh

_ESCAPE = 0x1B

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}

_GSM7_ENCODE: dict[int, int | bytes] = {ord(c): i for i, c in enumerate(_BASIC) if i != _ESCAPE}
_GSM7_ENCODE.update({ord(c): bytes((_ESCAPE, code)) for code, c in _EXTENSION.items()})
# Octets above 0x7F are no septets; a lone escape shows as a blank (23.038 section 6.2.1).
_GSM7_DECODE = (_BASIC.replace("\x1b", " ")) + "\N{REPLACEMENT CHARACTER}" * 128


class Coding(Enum):
    """An alphabet of message text. The value is a stable name for configuration and storage."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"
    GB18030 = "gb18030"
    LATIN1 = "latin1"
    ASCII = "ascii"
    BINARY = "binary"


class Unencodable(ValueError):
    """The text has a character that the coding, or every allowed coding, cannot carry."""

    def __init__(self, coding: Coding | None, position: int, character: str) -> None:
        self.coding = coding
        self.position = position
        self.character = character
        what = coding.value if coding else "any allowed coding"
        super().__init__(f"U+{ord(character):04X} at position {position} does not fit into {what}")


class TooLong(ValueError):
    """The text needs more than the 255 parts that a concatenation header can number."""

    def __init__(self, parts: int) -> None:
        self.parts = parts
        super().__init__(f"{parts} parts, at most {_udh.MAX_PARTS} are possible")


@dataclass(frozen=True, slots=True)
class Limits:
    """Units that fit into one part: alone, with a 6-octet and with a 7-octet header."""

    single: int
    part8: int
    part16: int


_SEPTETS = Limits(160, 153, 152)
_OCTETS = Limits(140, 134, 133)

LIMITS: dict[Coding, Limits] = {
    Coding.GSM7: _SEPTETS,
    # Carriers put Msg_Fmt 0 on air as 7-bit, so ASCII text counts like GSM 7-bit.
    Coding.ASCII: _SEPTETS,
    Coding.UCS2: Limits(70, 67, 66),
    Coding.GB18030: _OCTETS,
    Coding.LATIN1: _OCTETS,
    Coding.BINARY: _OCTETS,
}

_CODEC = {
    Coding.UCS2: "utf-16-be",
    Coding.GB18030: "gb18030",
    Coding.LATIN1: "latin-1",
    Coding.ASCII: "ascii",
    Coding.BINARY: "latin-1",
}
for _name in _CODEC.values():  # Python reads a codec's file when it is first used: there may be no descriptor then
    codecs.lookup(_name)


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a text: `octets` is the text alone (septets unpacked), `udh` its header or empty."""

    number: int
    total: int
    octets: bytes
    udh: bytes = b""


def encode(text: str, coding: Coding) -> bytes:
    """The octets of `text`; GSM 7-bit unpacked, one septet per octet.

    BINARY takes characters U+0000 to U+00FF as octets. Half a surrogate pair is no character and never
    encodable. Raises `Unencodable`.
    """
    try:
        return _encode(text, coding)
    except UnicodeEncodeError as error:
        raise Unencodable(coding, error.start, text[error.start]) from None


def _encode(text: str, coding: Coding) -> bytes:
    if coding is Coding.GSM7:
        return codecs.charmap_encode(text, "strict", _GSM7_ENCODE)[0]
    return text.encode(_CODEC[coding])


def decode(octets: bytes, coding: Coding) -> str:
    """The text of `octets`, whatever they hold: what cannot be read becomes U+FFFD, nothing raises.

    An extension code that the table does not know shows the character of the basic table (23.038 section
    6.2.1.1).
    """
    if coding is not Coding.GSM7:
        return octets.decode(_CODEC[coding], "replace")
    if _ESCAPE not in octets:
        return codecs.charmap_decode(octets, "strict", _GSM7_DECODE)[0]
    text: list[str] = []
    escaped = False
    for octet in octets:
        if escaped:
            text.append(_EXTENSION.get(octet, _GSM7_DECODE[octet]))
            escaped = False
        elif octet == _ESCAPE:
            escaped = True
        else:
            text.append(_GSM7_DECODE[octet])
    if escaped:
        text.append(" ")
    return "".join(text)


def choose(text: str, allowed: Iterable[Coding] = (Coding.GSM7, Coding.UCS2)) -> Coding:
    """The first of the allowed codings that carries the whole text. Raises `Unencodable` when none does."""
    furthest = -1
    for coding in allowed:
        try:
            _encode(text, coding)
        except UnicodeEncodeError as error:
            furthest = max(furthest, error.start)
        else:
            return coding
    if furthest < 0:
        raise ValueError("no coding allowed")
    raise Unencodable(None, furthest, text[furthest])


def split(
    text: str, coding: Coding, *, ref: int, ref16: bool = False, single_limit: int | None = None
) -> list[Segment]:
    """Cut `text` into the parts that carry it, at least one.

    `ref` is the reference that the parts share (its low 8 bits, or 16 with `ref16`). `single_limit`
    replaces the units that go without a header, for carriers that take 159 instead of 160. No character is
    cut in two: surrogate pairs, escaped septets and multi-byte characters stay whole. Raises `Unencodable`
    and `TooLong`.
    """
    octets = encode(text, coding)
    pieces = _cut(octets, coding, ref16, single_limit)
    total = len(pieces)
    if total == 1:
        return [Segment(1, 1, octets)]
    if total > _udh.MAX_PARTS:
        raise TooLong(total)
    header = _udh.concat16 if ref16 else _udh.concat8
    return [Segment(n, total, piece, header(ref, total, n)) for n, piece in enumerate(pieces, 1)]


def count_parts(text: str, coding: Coding, *, ref16: bool = False, single_limit: int | None = None) -> int:
    """How many parts `split` makes of the text, also beyond 255. Raises `Unencodable`."""
    return len(_cut(encode(text, coding), coding, ref16, single_limit))


def count_units(text: str, coding: Coding) -> int:
    """Length of the text in the units that limits are counted in. Raises `Unencodable`."""
    size = len(encode(text, coding))
    return size // 2 if coding is Coding.UCS2 else size


def join(segments: Iterable[Segment], coding: Coding) -> str:
    """The text that a phone shows: parts in the order of their numbers."""
    ordered = sorted(segments, key=lambda s: s.number)
    return "".join(decode(s.octets, coding) for s in ordered)


def _cut(octets: bytes, coding: Coding, ref16: bool, single_limit: int | None) -> list[bytes]:
    limits = LIMITS[coding]
    width = 2 if coding is Coding.UCS2 else 1
    single = limits.single if single_limit is None else single_limit
    if len(octets) <= single * width:
        return [octets]
    step = (limits.part16 if ref16 else limits.part8) * width
    pieces: list[bytes] = []
    start = 0
    while len(octets) - start > step:
        end = start + step - _overhang(octets, start, start + step, coding)
        pieces.append(octets[start:end])
        start = end
    pieces.append(octets[start:])
    return pieces


def _overhang(octets: bytes, start: int, end: int, coding: Coding) -> int:
    """How many octets before `end` belong to a character that reaches beyond `end`."""
    if coding is Coding.UCS2:
        return 2 if 0xD8 <= octets[end - 2] <= 0xDB else 0
    if coding is Coding.GSM7:
        # The encoder writes an escape only in front of a code, so an escape at the end is always half a pair.
        return 1 if octets[end - 1] == _ESCAPE else 0
    if coding is Coding.GB18030:
        # Trail octets look like lead octets, so a boundary is only known by walking from a known one.
        position = start
        while True:
            following = position + _gb18030_width(octets, position)
            if following > end:
                return end - position
            position = following
    return 0


def _gb18030_width(octets: bytes, position: int) -> int:
    if octets[position] < 0x81:
        return 1
    return 4 if 0x30 <= octets[position + 1] <= 0x39 else 2


def gsm7_fill_bits(udh_length: int) -> int:
    """Bits between a header of `udh_length` octets and the septet boundary where the text starts."""
    return -8 * udh_length % 7


def gsm7_pack(septets: bytes, fill_bits: int = 0) -> bytes:
    """Eight septets into seven octets, filled from the low bit; `fill_bits` zero bits come first.

    Raises `ValueError` when an octet is no septet.
    """
    if septets and max(septets) > 0x7F:
        raise ValueError("not septets")
    packed = bytearray()
    held, bits = 0, fill_bits
    for septet in septets:
        held |= septet << bits
        bits += 7
        while bits >= 8:
            packed.append(held & 0xFF)
            held >>= 8
            bits -= 8
    if bits:
        packed.append(held)
    return bytes(packed)


def gsm7_unpack(octets: bytes, count: int | None = None, fill_bits: int = 0) -> bytes:
    """The septets of packed octets, after `fill_bits`.

    Without `count` (SMPP tells octets only) a last septet of seven zero bits is taken for padding: whether
    it was an `@` cannot be told. Raises `ValueError` when there are fewer than `count` septets.
    """
    room = max(0, (8 * len(octets) - fill_bits) // 7)
    if count is None:
        count = room
        guess = True
    else:
        guess = False
        if count > room:
            raise ValueError(f"{count} septets announced, {room} are there")
    septets = bytearray()
    held, bits = 0, -fill_bits
    for octet in octets:
        if bits < 0:
            held, bits = octet >> -bits, bits + 8
        else:
            held |= octet << bits
            bits += 8
        while bits >= 7 and len(septets) < count:
            septets.append(held & 0x7F)
            held >>= 7
            bits -= 7
    spare = 8 * len(octets) - fill_bits - 7 * count
    if guess and count and spare == 0 and septets[-1] == 0:
        septets.pop()
    return bytes(septets)
