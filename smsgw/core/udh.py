"""User data headers: the octets in front of the text of a part (3GPP 23.040 section 9.2.3.24).

A header is one length octet (UDHL) and then elements of identifier, length and data. Several elements may
stand in one header and the concatenation element may be any of them, so a header is parsed, never compared
with a prefix.
"""

from __future__ import annotations

from dataclasses import dataclass

IEI_CONCAT8 = 0x00
IEI_CONCAT16 = 0x08
IEI_PORTS8 = 0x04
IEI_PORTS16 = 0x05

MAX_PARTS = 255


class InvalidUdh(ValueError):
    """The octets do not hold the header that they announce."""


@dataclass(frozen=True, slots=True)
class Concat:
    """One part's place in a long message. `wide` tells a 16-bit reference from an 8-bit one.

    Both kinds count separately: reference 5 in 8 bits and reference 5 in 16 bits are two messages.
    """

    ref: int
    total: int
    number: int
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Element:
    """An information element as it stood in the header."""

    iei: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Udh:
    """A parsed header. `length` counts all its octets, UDHL included: the text starts at that offset."""

    elements: tuple[Element, ...]
    concat: Concat | None
    length: int


def parse(octets: bytes | memoryview) -> Udh:
    """Read the header at the start of `octets`; what follows it is not looked at.

    A concatenation element that cannot be meant (total 0, number 0, number above total, wrong size) is kept
    as an element but gives no `concat`. When it is repeated, the last one counts, as 23.040 asks. Raises
    `InvalidUdh` when the header or one of its elements reaches beyond the octets that are there.
    """
    octets = bytes(octets)
    if not octets:
        raise InvalidUdh("no octets")
    end = octets[0] + 1
    if end > len(octets):
        raise InvalidUdh(f"UDHL {octets[0]} but only {len(octets) - 1} octets follow")
    elements: list[Element] = []
    concat: Concat | None = None
    offset = 1
    while offset < end:
        if offset + 2 > end:
            raise InvalidUdh(f"half an element at offset {offset}")
        iei, size = octets[offset], octets[offset + 1]
        offset += 2
        if offset + size > end:
            raise InvalidUdh(f"element 0x{iei:02x} of {size} octets reaches beyond the header")
        element = Element(iei, octets[offset : offset + size])
        elements.append(element)
        concat = _concat(element) or concat
        offset += size
    return Udh(tuple(elements), concat, end)


def _concat(element: Element) -> Concat | None:
    data = element.data
    if element.iei == IEI_CONCAT8 and len(data) == 3:
        ref, total, number, wide = data[0], data[1], data[2], False
    elif element.iei == IEI_CONCAT16 and len(data) == 4:
        ref, total, number, wide = data[0] << 8 | data[1], data[2], data[3], True
    else:
        return None
    if not 1 <= number <= total:
        return None
    return Concat(ref, total, number, wide)


def build(elements: tuple[Element, ...]) -> bytes:
    """The header with these elements, UDHL included. Raises `InvalidUdh` when it would not fit into one."""
    body = b"".join(bytes((e.iei, len(e.data))) + e.data for e in elements if len(e.data) <= 255)
    if len(body) > 139 or any(len(e.data) > 255 for e in elements):
        raise InvalidUdh("elements do not fit into one part")
    return bytes((len(body),)) + body


def concat8(ref: int, total: int, number: int) -> bytes:
    """The six-octet header of a part; only the low 8 bits of `ref` are used."""
    return bytes((5, IEI_CONCAT8, 3, ref & 0xFF, total, number))


def concat16(ref: int, total: int, number: int) -> bytes:
    """The seven-octet header of a part; only the low 16 bits of `ref` are used."""
    return bytes((6, IEI_CONCAT16, 4, ref >> 8 & 0xFF, ref & 0xFF, total, number))
