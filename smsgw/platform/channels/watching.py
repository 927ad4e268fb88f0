"""What goes over the wire of a channel right now, masked: for a short while, for who may record it, in memory alone."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from smsgw.core.errors import Invalid, Refused
from smsgw.core.permissions import Permission
from smsgw.core.words import phrase
from smsgw.platform.change import Change
from smsgw.runtime import aio

SECONDS = 60.0
"""For how long it is looked at."""
MOST_BYTES = 256 * 1024 * 1024
"""More than passes in that time: it is the newest PDUs that are kept, and the others that are let go."""
MOST_PDUS = 100
"""The newest are kept."""
KEPT = 300.0
"""Seconds after which what was seen is forgotten."""
MOST_WATCHES = 64
"""Channels whose last PDUs are remembered."""


class Watched(Protocol):
    """A channel that runs here."""

    def record(self, *, seconds: float, max_bytes: int) -> AsyncGenerator[bytes, None]:
        """All that passes, masked, as lines. ``STATE_CONFLICT`` while another one reads."""


class Running(Protocol):
    """The channels that run here (``channels.manager``)."""

    def channel(self, name: str) -> Watched:
        """One of them. ``NOT_FOUND``."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A PDU that has passed."""

    seconds: float
    """Since the beginning."""
    link: int
    ours: bool
    """Said by us."""
    name: str
    protocol: str
    octets: bytes
    """Numbers, texts and passwords in it are masked; empty for what could not be read."""


@dataclass(slots=True)
class Watch:
    """What was seen of one channel."""

    by: str
    pdus: deque[Passed] = field(default_factory=lambda: deque(maxlen=MOST_PDUS))
    seen: int = 0
    over: bool = False
    why: str = ""
    """Why it is over, as a recording says it."""


class Watches:
    """Of one process."""

    def __init__(self) -> None:
        self._of: dict[int, Watch] = {}

    def of(self, channel_id: int, by: str) -> Watch | None:
        """What this person, who has it in the audit log, has seen of a channel at last."""
        found = self._of.get(channel_id)
        return found if found is not None and found.by == by else None

    async def seen(self, channel_id: int, by: str) -> Watch | None:
        """The same, wherever it was looked at."""
        return self.of(channel_id, by)

    async def begin(self, change: Change, running: Running, channel_id: int, name: str) -> None:
        """Look at a channel for ``SECONDS``. ``STATE_CONFLICT`` while it is being recorded, or where it does not run on
        this node."""
        change.actor.require(Permission.CHANNEL_TEST)
        try:
            lines = running.channel(name).record(seconds=SECONDS, max_bytes=MOST_BYTES)
        except Invalid as exc:
            raise Refused("STATE_CONFLICT", reason=phrase("channel.elsewhere")) from exc
        try:
            first = await anext(lines)  # what stands against it is said before anything is remembered
        except Invalid as exc:
            raise Refused(exc.code, **exc.detail) from exc
        try:
            async with change.unit(Permission.CHANNEL_TEST) as unit:
                unit.record("channel.record", f"channel/{name}", after={"seconds": SECONDS, "on": "page"})
        except BaseException:
            await lines.aclose()
            raise
        self._of.pop(channel_id, None)
        while len(self._of) >= MOST_WATCHES:
            self._of.pop(next(iter(self._of)))
        watch = self._of[channel_id] = Watch(change.actor.label)
        aio.spawn(self._read(channel_id, watch, first, lines), name=f"watch.{name}")

    async def _read(self, channel_id: int, watch: Watch, first: bytes, lines: AsyncGenerator[bytes, None]) -> None:
        try:
            async with aclosing(lines):
                _enter(watch, first)
                async for piece in lines:
                    _enter(watch, piece)
        finally:
            watch.over = True
            asyncio.get_running_loop().call_later(KEPT, self._forget, channel_id, watch)

    def _forget(self, channel_id: int, watch: Watch) -> None:
        if self._of.get(channel_id) is watch:
            del self._of[channel_id]


def _enter(watch: Watch, piece: bytes) -> None:
    for line in piece.splitlines():
        said = json.loads(line)
        if said.get("event") == "end":
            watch.why = said["why"]
        if "name" not in said:
            continue
        watch.seen += 1
        watch.pdus.append(Passed(
            float(said["t"]), int(said["link"]), said["from"] == "client", said["name"], said.get("protocol", ""),
            bytes.fromhex(said.get("hex", "")),
        ))  # fmt: skip
