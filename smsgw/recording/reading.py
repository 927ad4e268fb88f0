"""Reads a recording."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from smsgw.protocols.dialects import DIALECTS
from smsgw.protocols.errors import Malformed
from smsgw.protocols.pdu import Pdu
from smsgw.recording.recorder import FORMAT

MAX_LINES = 2_000_000
MAX_LINE = 1024 * 1024


class RecordingError(ValueError):
    """The file is no recording, or a damaged one; the message says where."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A PDU that passed, ``at`` seconds after the start."""

    at: float
    link: int
    client: bool
    """Said by the client, not by the carrier."""
    pdu: Pdu


@dataclass(frozen=True, slots=True)
class Turn:
    """A connection was opened (or was there) or closed."""

    at: float
    link: int
    closed: bool
    by_carrier: bool = False
    reset: bool = False


@dataclass(slots=True)
class Recording:
    """What stands in the file, in its order."""

    protocol: str
    """Name of a dialect."""
    access_code: str = ""
    """Masked as all numbers; empty when it was not known."""
    head: dict[str, Any] = field(default_factory=dict)
    events: list[Seen | Turn] = field(default_factory=list)
    unreadable: int = 0
    """PDUs that could not be recorded."""


def read(lines: Iterable[bytes]) -> Recording:
    """The recording in the lines of a file. Raises `RecordingError`."""
    recording: Recording | None = None
    for number, line in enumerate(lines, 1):
        if number > MAX_LINES or len(line) > MAX_LINE:
            raise RecordingError(f"line {number}: too long a recording")
        try:
            entry = msgspec.json.decode(line)
            if recording is None:
                recording = _head(entry)
            elif not _event(recording, entry):
                break
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, Malformed) as error:
            raise RecordingError(f"line {number}: not of a recording ({error})") from error
    if recording is None:
        raise RecordingError("empty file")
    return recording


def _head(entry: Any) -> Recording:
    if entry["recording"] != FORMAT:
        raise ValueError(f"format {entry['recording']!r}, this program reads {FORMAT}")
    if entry["protocol"] not in DIALECTS:
        raise ValueError(f"protocol {entry['protocol']!r}")
    return Recording(entry["protocol"], str(entry.get("access_code", "")), entry)


def _event(recording: Recording, entry: Any) -> bool:
    kind = entry.get("event")
    if kind == "end":
        return False
    at, link = float(entry["t"]), int(entry["link"])
    if kind is not None:
        closed = kind == "closed"
        recording.events.append(Turn(at, link, closed, entry.get("by") == "carrier", entry.get("how") == "rst"))
    elif "hex" in entry:
        pdu = DIALECTS[entry["protocol"]].decode(bytes.fromhex(entry["hex"]))
        recording.events.append(Seen(at, link, entry["from"] == "client", pdu))
    else:
        recording.unreadable += 1
    return True
