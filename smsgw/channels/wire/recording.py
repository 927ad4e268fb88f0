"""Records the wire of a running channel, masked before it leaves the process (smsgw.recording)."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from smsgw.core.model import ChannelSpec
from smsgw.recording import Masker, Recorder, Tap
from smsgw.runtime import clock

if TYPE_CHECKING:
    from smsgw.channels.profiles import Profile
    from smsgw.net.connection import Connection

MAX_SECONDS = 3600.0
MAX_BYTES = 256 * 1024 * 1024
_BATCH = 0.2
"""Seconds in which lines gather."""
_BEAT = 1.0
"""At least so often (in seconds) something is given, if only nothing: the reader may have gone."""


class ChannelRecording:
    """A recording of one channel, while somebody reads it."""

    def __init__(self, spec: ChannelSpec, profile: Profile, *, seconds: float, max_bytes: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + seconds
        self._news = asyncio.Event()
        masker = Masker(secrets.token_bytes(32))
        head = {
            "protocol": "smgp13" if profile.smgp_version == "1.3" and spec.protocol == "smgp30" else spec.protocol,
            "by": "channel",
            "at": clock.now().isoformat(timespec="seconds"),
            "access_code": masker.number(spec.access_code),
            "connections": spec.connections,
            "window": spec.window,
            "rate": spec.rate,
            "response_timeout": profile.response_timeout,
            "bind": profile.bind,
        }
        self._recorder = Recorder(head, masker, self._loop.time(), max_bytes=max_bytes, ring=self._news.set)

    def tap(self, connection: Connection) -> Tap:
        """What is to listen to this connection."""
        return self._recorder.tap(
            lambda: connection.session.dialect, self._loop.time(), we_are="client", held=connection.session.half_frame
        )

    def stop(self, why: str) -> None:
        """Record no more."""
        self._recorder.over = self._recorder.over or why
        self._news.set()

    async def lines(self) -> AsyncGenerator[bytes, None]:
        """The file, piece by piece, until the time is over or the recording was stopped."""
        recorder = self._recorder
        yield recorder.lines(recorder.take())
        while True:
            if not recorder.over:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(_BEAT, max(0.0, self._until - self._loop.time()))):
                        await self._news.wait()
                        await asyncio.sleep(_BATCH)
                if self._loop.time() >= self._until:
                    self.stop("the time is over")
            self._news.clear()
            notes = recorder.take()
            # Masking costs more than the traffic itself: it must not stand in its way.
            yield await asyncio.to_thread(recorder.lines, notes)
            if recorder.over:
                break
        yield recorder.end()
