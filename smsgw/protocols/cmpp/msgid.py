"""The 64-bit Msg_Id (8.4.3.2): time of day without a year, gateway code, sequence.

For our own ids. Match a foreign id as 64 opaque bits; take it apart for display only.
"""

from __future__ import annotations

from typing import NamedTuple

#: The gateway code has 22 bits.
MAX_GATEWAY = (1 << 22) - 1


class MsgId(NamedTuple):
    """The parts of a Msg_Id; `month` may be any of 0–15 in a foreign one."""

    month: int
    day: int
    hour: int
    minute: int
    second: int
    gateway: int
    sequence: int


_SHIFTS = MsgId(60, 55, 50, 44, 38, 16, 0)
_WIDTHS = MsgId(4, 5, 5, 6, 6, 22, 16)


def pack(parts: MsgId) -> int:
    """The id as an unsigned integer; ValueError when a part does not fit its bits."""
    value = 0
    for name, part, shift, width in zip(MsgId._fields, parts, _SHIFTS, _WIDTHS, strict=True):
        if not 0 <= part < 1 << width:
            raise ValueError(f"{name} {part} does not fit {width} bits")
        value |= part << shift
    return value


def unpack(value: int) -> MsgId:
    """The parts of an id."""
    return MsgId(*(value >> shift & (1 << width) - 1 for shift, width in zip(_SHIFTS, _WIDTHS, strict=True)))


def of_destination(value: int, index: int) -> int:
    """The id of destination `index` (from 0) of a SUBMIT with several (appendix 1).

    Only the sequence counts up, and wraps inside its 16 bits.
    """
    return value & ~0xFFFF | (value + index) & 0xFFFF
