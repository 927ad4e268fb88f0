"""Records a simulated carrier's own exchange into a file, masked (smsgw.recording)."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from smsgw.protocols.dialects import Dialect
from smsgw.recording import Masker, Recorder, Tap

if TYPE_CHECKING:
    from smsgw.simulator.config import CarrierConfig

_EVERY = 0.2
_AT_ONCE = 1000

DIALECT = {"cmpp": "cmpp30", "smpp": "smpp34", "sgip": "sgip12", "smgp": "smgp30"}


class FileRecording:
    """A new file of mode 0600. Raises `OSError`, also when there is one already."""

    def __init__(self, config: CarrierConfig) -> None:
        self._file = os.fdopen(os.open(config.record, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._seconds = config.record_seconds
        self._recorder: Recorder | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._until = 0.0
        protocol = DIALECT[config.protocol]
        if config.protocol == "cmpp" and config.cmpp_version == "2.0":
            protocol = "cmpp20"
        if config.protocol == "smgp" and config.smgp_version == "1.3":
            protocol = "smgp13"
        self._head = {"protocol": protocol, "by": "simulator"}
        self._max_bytes = int(config.record_mb * 1024 * 1024)

    def tap(self, dialect: Callable[[], Dialect]) -> Tap:
        """A tap on a new connection of the carrier; the first one starts the clock."""
        now = asyncio.get_running_loop().time()
        if self._recorder is None:
            self._until = now + self._seconds
            head = {**self._head, "at": datetime.now(UTC).isoformat(timespec="seconds")}
            masker = Masker(secrets.token_bytes(32))
            self._recorder = Recorder(head, masker, now, max_bytes=self._max_bytes, ring=self._ring)
        return self._recorder.tap(dialect, now, we_are="carrier")

    def _ring(self) -> None:
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(_EVERY, self.flush)

    def flush(self) -> None:
        """Write what was noted."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        recorder = self._recorder
        if recorder is None or self._file.closed:
            return
        if not recorder.over and asyncio.get_running_loop().time() > self._until:
            recorder.over = "the time is over"
        self._file.write(recorder.lines(recorder.take()))
        if recorder.over:
            self._finish(recorder)
        else:
            self._file.flush()

    def close(self) -> None:
        """Write the rest and the last line."""
        self.flush()
        if self._recorder is not None and not self._file.closed:
            self._finish(self._recorder)
        self._file.close()

    def _finish(self, recorder: Recorder) -> None:
        recorder.over = recorder.over or "stopped"
        self._file.write(recorder.end())
        self._file.close()
