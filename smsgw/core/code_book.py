"""What an operator says about codes, on top of the built-in tables: for all channels or for one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from smsgw.core import report_codes
from smsgw.core.retry import Fault


class Source(StrEnum):
    """Where a code was said: the same number may mean one thing in an answer and another in a report."""

    ANSWER = "answer"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Entry:
    """One operator's line."""

    channel_id: int | None
    """None: all channels."""
    source: Source
    code: str
    cls: str
    fault: Fault
    carrier: str = ""
    """PORTED: whose the number is now, where the code says so."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code means."""

    cls: str
    fault: Fault
    carrier: str = ""


class CodeBook:
    """The operator's lines; the most special one counts: this channel before all, the whole code before its head."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = {(e.channel_id, e.source, e.code.upper()): e for e in entries}

    def _find(self, channel_id: int, source: Source, code: str) -> Entry | None:
        if not self._entries:
            return None
        whole = code.strip().upper()
        for channel in (channel_id, None):
            for spelled in (whole, report_codes.head_of(code)):
                entry = self._entries.get((channel, source, spelled))
                if entry is not None:
                    return entry
        return None

    def report(self, channel_id: int, code: str, cls: str = "") -> Meaning:
        """Of a failed report's code; ``cls`` is the protocol's own verdict."""
        entry = self._find(channel_id, Source.REPORT, code)
        if entry is not None:
            return Meaning(entry.cls, entry.fault, entry.carrier)
        return Meaning(cls or report_codes.class_of(code), report_codes.fault_of(code, cls))

    def answer(self, channel_id: int, code: str, cls: str, fault: Fault) -> Meaning:
        """Of a refusal's code; ``cls`` and ``fault`` are the protocol's own verdict."""
        entry = self._find(channel_id, Source.ANSWER, code)
        return Meaning(cls, fault) if entry is None else Meaning(entry.cls, entry.fault, entry.carrier)
