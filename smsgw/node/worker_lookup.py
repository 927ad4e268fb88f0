"""What is in the memory of one worker, for whoever asks another one of the same installation."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from smsgw.core.actor import Actor
from smsgw.core.errors import Invalid
from smsgw.node import control_client
from smsgw.node.siblings import ASK_WITHIN, Siblings
from smsgw.platform.calls.trying import KEPT, Tried, Trying
from smsgw.platform.channels.watching import MOST_PDUS, Passed, Watch, Watched, Watches


class Found(Protocol):
    """The channels that run here."""

    def channel(self, name: str) -> Watched:
        """One of them. ``NOT_FOUND``."""

    async def probe(self, name: str, to: str) -> tuple[int, int]:
        """Send a probe through one of them: (channel id, message id)."""


class Anywhere:
    """The channels of all workers, for what must reach the process that runs one."""

    def __init__(self, here: Found, siblings: Siblings) -> None:
        self._here = here
        self._siblings = siblings

    def channel(self, name: str) -> Watched:
        """One of them. ``NOT_FOUND``: none of these processes runs it."""
        try:
            return self._here.channel(name)
        except Invalid:
            control = self._siblings.with_channel(name)
            if control is None:
                raise
            return _Remote(control, name)

    async def probe(self, name: str, to: str) -> tuple[int, int]:
        """Send a probe through one of them: (channel id, message id)."""
        try:
            return await self._here.probe(name, to)
        except Invalid as exc:
            control = self._siblings.with_channel(name)
            if exc.code != "NOT_FOUND" or control is None:
                raise
            with _refusals():
                told = await control_client.call(control, "POST", "/worker/probe", {"channel": name, "number": to})
            return told["channel_id"], told["message_id"]


class WatchesOfAll(Watches):
    """What was seen of channels' wires on any worker: a page may be asked of another one than looked."""

    def __init__(self, siblings: Siblings) -> None:
        super().__init__()
        self._siblings = siblings

    async def seen(self, channel_id: int, by: str) -> Watch | None:
        """What this person has seen of a channel at last."""
        found = self.of(channel_id, by)
        for control in () if found is not None else self._siblings.controls:
            with contextlib.suppress(control_client.DaemonAway, control_client.DaemonRefusal):
                body = {"channel": channel_id, "by": by}
                told = await control_client.call(control, "POST", "/worker/watch", body, timeout_s=ASK_WITHIN)
                if told is not None:
                    return msgspec.convert(told, _Watched).watch()
        return found


@dataclass(slots=True, kw_only=True)
class TryingOfAll(Trying):
    """Calls that were tried on pages of any worker."""

    siblings: Siblings

    async def tried(self, who: Actor) -> Sequence[Tried]:
        """What the person has tried lately of accounts that are still in its scope, the newest first."""
        found = list(self.of(who.label))
        for control in self.siblings.controls:
            with contextlib.suppress(control_client.DaemonAway, control_client.DaemonRefusal):
                body = {"by": who.label}
                told = await control_client.call(control, "POST", "/worker/tried", body, timeout_s=ASK_WITHIN)
                found += msgspec.convert(told, list[Tried])
        found.sort(key=lambda one: one.at, reverse=True)
        return tuple(one for one in found if who.scope.covers(one.account_id))[:KEPT]


class _Watched(msgspec.Struct):
    """A watch, as workers tell it to each other."""

    by: str
    pdus: list[Passed]
    seen: int
    over: bool
    why: str

    def watch(self) -> Watch:
        return Watch(self.by, deque(self.pdus, maxlen=MOST_PDUS), self.seen, self.over, self.why)


def watched(watch: Watch | None) -> _Watched | None:
    """What another worker is told."""
    return None if watch is None else _Watched(watch.by, list(watch.pdus), watch.seen, watch.over, watch.why)


@dataclass(frozen=True, slots=True)
class _Remote:
    """A channel that runs on another worker."""

    control: Path
    name: str

    async def record(self, *, seconds: float, max_bytes: int) -> AsyncGenerator[bytes, None]:
        body = {"channel": self.name, "seconds": seconds, "max_bytes": max_bytes}
        with _refusals():
            async with contextlib.aclosing(
                control_client.stream(self.control, "/worker/record", body, timeout_s=seconds + ASK_WITHIN)
            ) as pieces:
                async for piece in pieces:
                    yield piece


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """What another worker has refused is refused here; one that is away runs nothing."""
    try:
        yield
    except control_client.DaemonRefusal as exc:
        raise Invalid(exc.code) from exc
    except control_client.DaemonAway as exc:
        raise Invalid("NOT_FOUND") from exc
