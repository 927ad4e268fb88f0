"""Evidence of results: what a day's tree is made of, and what verification finds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

from smsgw.core.numbers import tail
from smsgw.core.report_ids import Spelling, respell

MAX_PROBLEMS = 200
"""Told one by one; the rest is counted."""
KINDS = ("pdu", "said", "root", "signature", "order", "missing", "anchor", "result", "unproven", "key_missing")
"""What can be wrong: docs/operations.md says what each means."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a PDU says, read anew."""

    state: int
    code: str
    number: str
    carrier_id: str

    def fits(self, state: int, code: str, number: str, ids: Iterable[str] | None) -> bool:
        """Whether that is the result which it proves: of a message to ``number`` that the carrier has called one of
        ``ids`` (None: anything), however both are spelled. Numbers that are not said, or not kept any more, fit."""
        if (self.state, self.code) != (state, code):
            return False
        if tail(self.number) and tail(number) and not number.endswith(tail(self.number)):
            return False
        spelled = {respell(self.carrier_id, spelling) for spelling in Spelling}
        return ids is None or self.carrier_id.startswith(BY_REFERENCE) or not spelled.isdisjoint(ids)


BY_REFERENCE = "reference:"
"""What the id of a report begins with that names our own reference instead."""
Reads: TypeAlias = Callable[[str, str, bytes], Iterable[Said]]
"""Protocol and access code of a channel, and the octets of a PDU -> its readings, the likeliest first."""


def digest_of(salt: bytes | None, pdu: bytes | None) -> bytes:
    """The digest of a row's octets, made anew: over its salt and them."""
    return hashlib.sha256((salt or b"") + (pdu or b"")).digest()


def leaf(row: Mapping[str, Any]) -> bytes:
    """A row of evidence as it stands in the tree: with the digest of the PDU, not with the PDU, which has a time of its
    own."""
    said = [
        row["message_id"], row["part"], row["kind"], row["state"], row["channel_id"], row["carrier_id"], row["code"],
        row["at"].astimezone(UTC).isoformat(timespec="microseconds"), row["digest"].hex(), row["decided_by"],
    ]  # fmt: skip
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Root:
    """Of one day."""

    day: date
    leaves: int
    root: bytes
    made_at: datetime
    key: str
    mac: bytes

    def signed(self, before: bytes) -> bytes:
        """What its mac is over; ``before``: the mac of the day before, empty for the first."""
        made = self.made_at.astimezone(UTC).isoformat(timespec="microseconds")
        return b"evidence\0" + json.dumps([str(self.day), self.leaves, self.root.hex(), made, before.hex()]).encode()


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not fit, on a day; ``about``: a message's id and part, where it is about one."""

    kind: str
    day: date
    about: str = ""


@dataclass(slots=True)
class Report:
    """What verification has found."""

    days: int = 0
    """With their roots recomputed."""
    leaves: int = 0
    pdus: int = 0
    """Of which the octets are kept, and were digested anew."""
    results: int = 0
    """Parts that were compared with their evidence."""
    anchors: int = 0
    forgotten: int = 0
    """Of which the octets have had their time: of them the digest is left."""
    gone: int = 0
    """Days whose rows have had their time: of them the root is left, with its signature."""
    problems: list[Problem] = field(default_factory=list)
    more: int = 0

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def add(self, kind: str, day: date, about: str = "") -> None:
        """Note a problem."""
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(kind, day, about))
        else:
            self.more += 1
