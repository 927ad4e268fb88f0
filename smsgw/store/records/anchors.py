"""Heads of the audit chain outside the database: a file in which every line is one, and the system log.

Whoever rules the database cannot reach them; the system log, sent on to another machine, not even who rules this one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from logging.handlers import SysLogHandler
from pathlib import Path

from smsgw.core.audit import Anchor, Head

LONGEST_LINE = 4096
SYSLOG_PATIENCE = 2.0


class AnchorFile:
    """Lines of JSON, synced before they count. At half its size it goes on in a new file and keeps the one before."""

    def __init__(self, path: Path, *, limit: int) -> None:
        self._path = path
        self._half = limit // 2
        """Octets of one of the two files."""

    def write(self, line: str) -> None:
        """Append a line. Raises ``OSError``."""
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_size + len(line) >= self._half:
                os.replace(self._path, before(self._path))
        new = not self._path.exists()
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if new and os.geteuid() == 0:  # a command may be the first to write, and the daemon must be able to
                owner = self._path.parent.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            size = os.fstat(descriptor).st_size
            torn = size and os.pread(descriptor, 1, size - 1) != b"\n"  # by a power failure
            os.write(descriptor, (b"\n" if torn else b"") + line.encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            _sync(self._path.parent)

    def read(self) -> Iterator[Anchor]:
        """All anchors that are kept, oldest first."""
        for path in (before(self._path), self._path):
            if path.exists():
                yield from read(path)


def before(path: Path) -> Path:
    """The file that was full before this one."""
    return path.with_name(f"{path.name}.1")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> Iterator[Anchor]:
    """The anchors in a file: ours, or a system log in which other lines are between. Raises ``OSError``."""
    with path.open(encoding="utf-8", errors="replace") as file:
        while text := file.readline(LONGEST_LINE):
            begin = text.find('{"audit":')
            if begin < 0:
                continue
            with contextlib.suppress(ValueError, KeyError, TypeError):
                said = json.loads(text[begin:])["audit"]
                yield Anchor(Head(int(said["seq"]), bytes.fromhex(said["mac"])), str(said["at"]), str(path))


def line(head: Head, at: datetime, node: int) -> str:
    """An anchor as it is written down."""
    when = at.astimezone(UTC).isoformat(timespec="seconds")
    return json.dumps({"audit": {"seq": head.seq, "mac": head.mac.hex(), "at": when, "node": node}})


class Syslog:
    """The system log: the socket of this machine (a path), or ``HOST:PORT`` (UDP)."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._target: str | tuple[str, int] = target if target.startswith("/") else (host.strip("[]"), int(port))
        self._handler: _Handler | None = None

    def write(self, text: str) -> None:
        """Send a line. Raises ``OSError``: it was not taken (one that is lost on its way over UDP is not noticed)."""
        try:
            if self._handler is None:
                self._handler = _Handler(self._target, facility=SysLogHandler.LOG_AUTHPRIV)
                self._handler.ident = "smsgw-audit: "
                self._handler.socket.settimeout(SYSLOG_PATIENCE)
            self._handler.handle(logging.makeLogRecord({"msg": text, "levelno": logging.INFO, "levelname": "INFO"}))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the socket."""
        if self._handler is not None:
            self._handler.close()
            self._handler = None


class _Handler(SysLogHandler):
    socket: socket.socket

    def handleError(self, record: logging.LogRecord) -> None:
        """Say it: an anchor that was not taken is a fault."""
        raise
