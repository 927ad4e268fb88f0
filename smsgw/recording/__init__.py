"""The wire of a carrier connection on file: every PDU in both directions, with nothing personal or secret in it."""

from smsgw.recording.masking import Masker
from smsgw.recording.reading import Recording, RecordingError, Seen, Turn, read
from smsgw.recording.recorder import Recorder, Tap

__all__ = ["Masker", "Recorder", "Recording", "RecordingError", "Seen", "Tap", "Turn", "read"]
