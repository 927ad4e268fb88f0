"""Our ids as CMPP writes them: one to one, so that nothing has to be kept (docs/adr/017).

An id has milliseconds, node and sequence; Msg_Id has month to second, a gateway code of 22 bits and a sequence of 16.
The gateway code takes an index (6 bits), the node (10) and the upper 6 bits of the millisecond, the sequence the lower
4 and our sequence (12). The year is not in it: a Msg_Id means the last time that it can stand for.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from smsgw.core.ids import CHINA, EPOCH_MS, time_of
from smsgw.protocols.cmpp import msgid

MAX_INDEX = 63
_AHEAD = timedelta(days=1)
"""A clock may be ahead of ours by so much."""


def to_msg_id(id_: int, index: int = 0) -> int:
    """The Msg_Id of one of our ids. ``index`` tells apart several deliveries about one event."""
    at = time_of(id_).astimezone(CHINA)
    ms = at.microsecond // 1000
    gateway = min(index, MAX_INDEX) << 16 | (id_ >> 12 & 0x3FF) << 6 | ms >> 4
    sequence = (ms & 0xF) << 12 | id_ & 0xFFF
    return msgid.pack(msgid.MsgId(at.month, at.day, at.hour, at.minute, at.second, gateway, sequence))


def from_msg_id(msg_id: int, now: datetime) -> int:
    """Our id behind a Msg_Id of ours; 0 when it is none."""
    parts = msgid.unpack(msg_id)
    ms = (parts.gateway & 0x3F) << 4 | parts.sequence >> 12
    latest = (now + _AHEAD).astimezone(CHINA)
    for year in range(latest.year, latest.year - 5, -1):  # 29 February comes every fourth year
        try:
            at = datetime(year, parts.month, parts.day, parts.hour, parts.minute, parts.second, ms * 1000, CHINA)
        except ValueError:
            continue
        if at <= latest:
            since = round(at.astimezone(UTC).timestamp() * 1000) - EPOCH_MS
            return since << 22 | (parts.gateway >> 6 & 0x3FF) << 12 | parts.sequence & 0xFFF if since > 0 else 0
    return 0
