"""Writes a recording: octets are only noted when they pass; taking them apart and masking them is done in batches.

A recording is a file of JSON lines. The first one is the head: what was recorded and when. Then one line a PDU:

    {"t": 1.25, "link": 1, "from": "client", "protocol": "cmpp30", "name": "Submit", "sequence": 7, "hex": "…"}

``t`` is in seconds from the start, ``hex`` the masked PDU (for `smsgwctl pdu decode`). ``from`` says who spoke, the
carrier or its client. What cannot be taken apart has no ``hex`` but its size and the reason. Turns of a connection are
``{"t": …, "link": 1, "event": "open"}`` and ``{…, "event": "closed", "by": "carrier", "how": "rst"}``; the last line is
``{"event": "end", "why": …}``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from smsgw.protocols.dialects import Dialect
from smsgw.protocols.errors import FramingLost, Malformed
from smsgw.protocols.framing import Framer
from smsgw.recording.masking import Masker

FORMAT = 1
MAX_WAITING = 16 * 1024 * 1024
"""Octets noted and not yet written, beyond which a recording gives up rather than take memory."""
_TURN = 100
"""What a turn of a connection counts in octets."""

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Note:
    """What passed: octets, or a turn of the connection."""

    at: float
    tap: Tap
    client: bool
    """Who said it."""
    data: bytes
    turn: Mapping[str, Any] | None = None
    dialect: Dialect | None = None


class Recorder:
    """One recording. ``began`` and all times are of one clock that does not step back, in seconds."""

    def __init__(
        self,
        head: Mapping[str, Any],
        masker: Masker,
        began: float,
        *,
        max_bytes: int,
        ring: Callable[[], None] = lambda: None,
    ) -> None:
        """``head`` describes what is recorded and is written as it is; ``ring`` is called for each note."""
        self.masker = masker
        self.over = ""
        """Why nothing more is recorded; empty while it goes on."""
        self.pdus = 0
        self._began = began
        self._left = max_bytes
        self._waiting: deque[Note] = deque()
        self._size = 0
        self._head: Mapping[str, Any] | None = {"recording": FORMAT, **head}
        self._ring = ring
        self._links = 0

    def tap(self, dialect: Callable[[], Dialect], at: float, *, we_are: str, held: bytes = b"") -> Tap:
        """A tap on one connection. ``we_are`` "client" or "carrier"; ``held`` is the frame that is half received."""
        self._links += 1
        tap = Tap(self, self._links, dialect, client=we_are == "client", held=held)
        self.note(Note(at, tap, tap.client, b"", {"event": "open"}))
        return tap

    def note(self, note: Note) -> None:
        """Remember what passed."""
        if self.over:
            return
        self._size += len(note.data) + _TURN
        if self._size > MAX_WAITING:
            self.over = "more came than could be written"
            return
        self._waiting.append(note)
        self._ring()

    def take(self) -> Sequence[Note]:
        """What waits to be written; it waits no more."""
        notes, self._waiting, self._size = list(self._waiting), deque(), 0
        return notes

    def lines(self, notes: Sequence[Note]) -> bytes:
        """Notes as lines, after the head. May run in a thread, one call at a time."""
        made: list[bytes] = []
        if self._head is not None:
            self._add(made, self._head)
            self._head = None
        for note in notes:
            for line in note.tap.read(note):
                if "name" in line:
                    self.pdus += 1
                if not self._add(made, {"t": round(note.at - self._began, 6), **line}):
                    return b"".join(made)
        return b"".join(made)

    def end(self) -> bytes:
        """The last line."""
        return bytes(_encoder.encode({"event": "end", "why": self.over or "stopped", "pdus": self.pdus})) + b"\n"

    def _add(self, made: list[bytes], line: Mapping[str, Any]) -> bool:
        octets = _encoder.encode(line) + b"\n"
        if len(octets) > self._left:
            self.over = "the file is full"
            self._left = 0
            return False
        self._left -= len(octets)
        made.append(octets)
        return True


class Tap:
    """Listens to both directions of one connection, from our end of it."""

    def __init__(
        self, recorder: Recorder, number: int, dialect: Callable[[], Dialect], *, client: bool, held: bytes
    ) -> None:
        self.client = client
        self._recorder = recorder
        self._number = number
        self._dialect = dialect
        self._framers: dict[bool, Framer | None] = {True: dialect().framer(), False: dialect().framer()}
        if held:
            self.received(held, 0.0)

    def received(self, data: bytes, at: float) -> None:
        """Octets from the other end."""
        self._recorder.note(Note(at, self, not self.client, data, None, self._dialect()))

    def written(self, data: bytes, at: float) -> None:
        """Octets to the other end."""
        self._recorder.note(Note(at, self, self.client, data, None, self._dialect()))

    def closed(self, at: float, *, by_us: bool, reset: bool) -> None:
        """The connection is gone."""
        by = "client" if by_us is self.client else "carrier"
        turn = {"event": "closed", "by": by, "how": "rst" if reset else "fin"}
        self._recorder.note(Note(at, self, by_us is self.client, b"", turn))

    def read(self, note: Note) -> list[dict[str, Any]]:
        """The lines, without their time, of a note."""
        head: dict[str, Any] = {"link": self._number}
        if note.turn is not None:
            return [{**head, **note.turn}]
        head["from"] = "client" if note.client else "carrier"
        dialect = note.dialect
        assert dialect is not None  # noqa: S101  octets are noted with it
        framer = self._framers[note.client]
        if framer is None:
            return [{**head, "name": "rubbish", "octets": len(note.data)}]
        lost: list[dict[str, Any]] = []
        frames: Sequence[bytes]
        try:
            frames = framer.feed(note.data)
        except FramingLost as error:
            self._framers[note.client] = None
            frames = error.frames
            lost = [{**head, "name": "rubbish", "octets": len(note.data)}]
        return [self._line(head, bytes(frame), dialect) for frame in frames] + lost

    def _line(self, head: dict[str, Any], frame: bytes, dialect: Dialect) -> dict[str, Any]:
        line = {**head, "protocol": dialect.name}
        try:
            pdu = dialect.decode(frame)
            line |= {"name": type(pdu).__name__, "sequence": pdu.sequence}
            octets = dialect.encode(self._recorder.masker.pdu(pdu))
        except Malformed as error:
            return line | {"name": error.pdu_name, "malformed": error.field or error.kind, "octets": len(frame)}
        return line | {"hex": octets.hex()}
