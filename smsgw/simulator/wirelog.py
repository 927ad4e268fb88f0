"""Every PDU as a line of JSON, read from the octets on the wire and not from what somebody meant to send."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from smsgw.protocols.cmpp import reports as cmpp_reports
from smsgw.protocols.dialects import Dialect
from smsgw.protocols.errors import FramingLost, Malformed
from smsgw.protocols.framing import Framer
from smsgw.protocols.pdu import Pdu

_EVERY = 0.2
_AT_ONCE = 1000

# What is worth a line; secrets and constants are not.
_FIELDS = (
    "source_addr",
    "system_id",
    "login_name",
    "login_type",
    "client_id",
    "login_mode",
    "version",
    "interface_version",
    "status",
    "result",
    "success_id",
    "msg_id",
    "message_id",
    "src_id",
    "dest_terminal_id",
    "dest_id",
    "src_terminal_id",
    "destination_addr",
    "pk_total",
    "pk_number",
    "registered_delivery",
    "esm_class",
    "tp_udhi",
    "msg_fmt",
    "data_coding",
    "sp_number",
    "user_number",
    "report_flag",
    "message_coding",
    "submit_sequence_number",
    "state",
    "error_code",
    "src_term_id",
    "dest_term_id",
    "is_report",
    "need_report",
    "msg_format",
)
_CONTENT = ("msg_content", "short_message", "message_content")


class WireLog:
    """A file of JSON lines. Octets are only noted when they pass; reading and writing them is done in batches."""

    def __init__(self, path: Path, *, octets: bool = False) -> None:
        self._file = path.open("ab")
        self._octets = octets
        self._noted: list[tuple[float, Tap, bool, bytes]] = []
        self._encoder = msgspec.json.Encoder()
        self._handle: asyncio.TimerHandle | None = None
        # One offset for all lines, so that their order in time is the order of the clock that never steps back.
        self._epoch = time.time() - time.monotonic()

    def tap(self, carrier: str, connection: int, dialect: Callable[[], Dialect]) -> Tap:
        """A tap for one connection; `dialect` is asked when lines are written, after the login has settled it."""
        return Tap(self, carrier, connection, dialect)

    def note(self, tap: Tap, incoming: bool, data: bytes) -> None:
        """Remember octets that passed."""
        self._noted.append((time.monotonic(), tap, incoming, data))
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(_EVERY, self.flush)
        if len(self._noted) >= _AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what was noted."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        noted, self._noted = self._noted, []
        lines: list[bytes] = []
        for at, tap, incoming, data in noted:
            stamp = round(self._epoch + at, 6)
            lines += [self._encoder.encode({"t": stamp} | line) for line in tap.read(incoming, data, self._octets)]
        if lines:
            self._file.write(b"\n".join(lines) + b"\n")
            self._file.flush()

    def close(self) -> None:
        """Write the rest and close the file."""
        self.flush()
        self._file.close()


class Tap:
    """Listens to both directions of one connection."""

    def __init__(self, log: WireLog, carrier: str, connection: int, dialect: Callable[[], Dialect]) -> None:
        self._log = log
        self._head = {"carrier": carrier, "connection": connection}
        self._dialect = dialect
        self._framers: dict[bool, Framer | None] = {True: dialect().framer(), False: dialect().framer()}

    def incoming(self, data: bytes) -> None:
        """Octets from the client."""
        self._log.note(self, True, data)

    def outgoing(self, data: bytes) -> None:
        """Octets to the client."""
        self._log.note(self, False, data)

    def read(self, incoming: bool, data: bytes, octets: bool) -> list[dict[str, Any]]:
        """The lines, without their time, of octets in one direction."""
        head = {"dir": "in" if incoming else "out", **self._head}
        framer = self._framers[incoming]
        if framer is None:
            return [{**head, "name": "rubbish", "hex": data.hex()}]
        lost: list[dict[str, Any]] = []
        frames: Sequence[bytes]
        try:
            frames = framer.feed(data)
        except FramingLost as error:
            self._framers[incoming] = None
            frames = error.frames
            lost = [{**head, "name": "rubbish", "why": error.reason, "hex": data.hex()}]
        return [self._line(head, bytes(frame), octets) for frame in frames] + lost

    def _line(self, head: dict[str, Any], frame: bytes, octets: bool) -> dict[str, Any]:
        dialect = self._dialect()
        line = {**head, "protocol": dialect.name}
        try:
            pdu = dialect.decode(frame)
        except Malformed as error:
            return {**line, "name": error.pdu_name, "malformed": error.reason, "hex": frame.hex()}
        line |= describe(pdu, dialect)
        if octets and not _has_password(pdu):
            line["hex"] = frame.hex()
        return line


def _has_password(pdu: Pdu) -> bool:
    return hasattr(pdu, "password") or hasattr(pdu, "login_password")


def describe(pdu: Pdu, dialect: Dialect) -> dict[str, Any]:
    """The fields of a PDU that one looks for in a log; ids as text, since JSON readers lose digits above 2^53."""
    line: dict[str, Any] = {"name": type(pdu).__name__, "sequence": pdu.sequence}
    status = getattr(pdu, "command_status", 0)
    if status:
        line["command_status"] = status
    for name in _FIELDS:
        value = getattr(pdu, name, None)
        if value is not None and value != "":
            line[name] = str(value) if name == "msg_id" else value
    for name in _CONTENT:
        content = getattr(pdu, name, None)
        if content:
            line["content"] = content.hex()
    if line["name"] == "Deliver" and line.get("registered_delivery") == 1:
        try:
            report = cmpp_reports.decode(bytes.fromhex(line["content"]))
        except (KeyError, ValueError):
            return line
        line |= {"report_id": str(report.msg_id), "stat": report.stat}
    elif getattr(pdu, "esm_class", 0) & 0x3C == 0x04 and "content" in line:
        line["receipt"] = bytes.fromhex(line["content"]).decode("ascii", "replace")
    return line
