"""Submits of one channel and their answers, kept octet by octet while its recording is on.

A login is none of them, so no password and no proof of one is ever kept. Of each second the first submits are kept, the
others are counted: what is written to the carrier is never later for it.
"""

from __future__ import annotations

from typing import Final

from smsgw.core.model import Claimed, SubmitRecording
from smsgw.pipeline.outcomes.submit_log import PER_SECOND, SubmitLog
from smsgw.protocols.dialects import Dialect
from smsgw.protocols.pdu import Pdu
from smsgw.runtime import clock
from smsgw.store.engine.journal import Key
from smsgw.store.records.submits import RecordedPdu

MOST_OPEN: Final = 5000
"""Submits whose answers are waited for; of the oldest beyond them the answer is not kept."""
LONGEST: Final = 8192
"""Octets of a PDU; a longer one is not kept."""


class Keeping:
    """While a recording is on."""

    def __init__(self, channel_id: int, recording: SubmitRecording, log: SubmitLog) -> None:
        self._channel_id = channel_id
        self.recording = recording
        self._log = log
        self._open: dict[Key, None] = {}
        self._second = 0
        self._left = 0

    def submitted(self, dialect: Dialect, pdu: Pdu, claimed: Claimed, now: float) -> None:
        """A submit stands in the window; ``now`` is the loop's time."""
        if int(now) != self._second:
            self._second = int(now)
            self._left = PER_SECOND if clock.now() < self.recording.until else -1
        if self._left <= 0 or not self._log.takes(self.recording.id):
            if self._left >= 0:
                self.leave_out()
            return
        octets = dialect.encode(pdu)
        if len(octets) > LONGEST:
            self.leave_out()
            return
        self._left -= 1
        if len(self._open) >= MOST_OPEN:
            del self._open[next(iter(self._open))]
        self._open[claimed.key] = None
        self._note(dialect, claimed, octets, ours=True)

    def answered(self, dialect: Dialect, claimed: Claimed, octets: bytes) -> None:
        """The carrier has answered, for the first time or after all."""
        if claimed.key in self._open and len(octets) <= LONGEST:
            del self._open[claimed.key]
            self._note(dialect, claimed, octets, ours=False)

    def leave_out(self) -> None:
        """Count one that is not kept."""
        self._log.leave_out(self.recording.id)

    def _note(self, dialect: Dialect, claimed: Claimed, octets: bytes, *, ours: bool) -> None:
        self._log.note(RecordedPdu(
            self.recording.id, claimed.id, claimed.part, claimed.attempt, ours, self._channel_id, clock.now(),
            dialect.name, octets,
        ))  # fmt: skip
