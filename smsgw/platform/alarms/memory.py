"""What a node has told receivers by itself, while the database could not be told: in a file, entered once it is back.

Marked before it goes and again with what became of it, each time on the disk: a node that dies tells nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from smsgw.core.alarm_notes import Note
from smsgw.core.wording_json import Heard, packed, unpacked
from smsgw.core.words import Wording
from smsgw.pipeline.upkeep.alarms import Standing
from smsgw.platform.alarms.model import INTERRUPTED, RETRIES

log = structlog.get_logger(__name__)

MOST = 100
"""Alarms of one outage that are told."""


@dataclass(slots=True)
class Told:
    """What became of it at one receiver."""

    state: str
    tries: int
    at: datetime
    """When it was begun, or has ended."""
    said: str = ""


@dataclass(slots=True)
class Kept:
    """An alarm that the database does not know."""

    kind: str
    object: str
    severity: str
    detail: Wording | str
    since: datetime
    told: dict[int, Told] = field(default_factory=dict)
    """By receiver."""

    @property
    def key(self) -> tuple[str, str]:
        """As of ``core.alarms.Finding``."""
        return self.kind, self.object

    @property
    def note(self) -> Note:
        """What is told. Its id is negative: it has none of the database, and is the same for each try."""
        known = "\0".join((self.kind, self.object, self.since.isoformat()))
        id_ = int.from_bytes(hashlib.sha256(known.encode()).digest()[:6])  # whole in a JSON number
        return Note(-id_, "raised", None, self.kind, self.object, self.severity, self.detail, self.since)


class Memory:
    """The alarms that this node has told of by itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.kept: dict[tuple[str, str], Kept] = {}

    def load(self) -> None:
        """Take up what an earlier run has left; what it was just telling may have arrived. A file that cannot be read
        is left out: what it said was told."""
        try:
            for one in json.loads(self._path.read_text("utf-8")):
                kept = _read(one)
                self.kept[kept.key] = kept
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError) as exc:
            log.error("alarm.memory_unreadable", path=str(self._path), error=str(exc))

    def take(self, standing: Iterable[Standing]) -> None:
        """What stands, and cannot be stored."""
        for one in standing:
            if (one.kind, one.object) not in self.kept and len(self.kept) < MOST:
                kept = Kept(one.kind, one.object, one.severity, one.detail, one.since)
                self.kept[kept.key] = kept

    def due(
        self, receiver: int, standing: Collection[tuple[str, str]], now: datetime, *, after: timedelta
    ) -> list[Kept]:
        """What the receiver is to be told now of what still stands; ``after`` it has stood for so long."""
        return [
            one
            for one in self.kept.values()
            if one.key in standing and one.since + after <= now and _is_due(one.told.get(receiver), now)
        ]

    def begin(self, receiver: int, kept: Iterable[Kept], now: datetime) -> None:
        """They are about to be told, once that is saved."""
        for one in kept:
            before = one.told.get(receiver)
            one.told[receiver] = Told("sending", before.tries + 1 if before else 1, now)

    def end(self, receiver: int, kept: Iterable[Kept], outcome: str, said: str, now: datetime) -> None:
        """What has become of it (an outcome of ``net.mail``)."""
        for one in kept:
            told = one.told[receiver]
            waits = outcome == "again" and told.tries <= len(RETRIES)
            state = "waiting" if waits else {"sent": "sent", "unsure": "unsure"}.get(outcome, "failed")
            one.told[receiver] = Told(state, told.tries, now, said)

    def forget(self, keys: Iterable[tuple[str, str]]) -> None:
        """The database knows them now."""
        for key in list(keys):
            self.kept.pop(key, None)

    def written(self) -> str:
        """All of it, for ``save``."""
        return json.dumps([_written(one) for one in self.kept.values()], ensure_ascii=False)

    def save(self, said: str) -> None:
        """On the disk, whole or not at all; blocks. ``OSError``."""
        draft = self._path.with_suffix(".new")
        with open(draft, "wb") as file:
            file.write(said.encode())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)


def _is_due(told: Told | None, now: datetime) -> bool:
    return told is None or (told.state == "waiting" and told.at + RETRIES[told.tries - 1] <= now)


def _written(one: Kept) -> dict[str, Any]:
    told = {str(id_): asdict(told) | {"at": told.at.isoformat()} for id_, told in one.told.items()}
    return {"kind": one.kind, "object": one.object, "severity": one.severity, "detail": packed(one.detail),
            "since": one.since.isoformat(), "told": told}  # fmt: skip


def _read(one: dict[str, Any]) -> Kept:
    try:
        detail = unpacked(one["detail"])
    except ValueError:  # words of another version
        detail = Heard("")
    told = {}
    for id_, was in one["told"].items():
        gone = was["state"] == "sending"
        state, said = ("unsure", INTERRUPTED) if gone else (str(was["state"]), str(was["said"]))
        told[int(id_)] = Told(state, int(was["tries"]), datetime.fromisoformat(was["at"]), said)
    return Kept(one["kind"], one["object"], one["severity"], detail, datetime.fromisoformat(one["since"]), told)
