"""What the workers of one installation tell each other at once: hints, by datagrams, which may get lost."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import msgspec

from smsgw.net import unix_paths
from smsgw.pipeline.events import EventHub
from smsgw.pipeline.fleet import Fleet, Queue
from smsgw.pipeline.snapshot import SnapshotFollower
from smsgw.runtime import worker_pool
from smsgw.runtime.worker_pool import Place

NEWS = "news.sock"
NEWS_MOST = 2000
"""Queues or accounts in one piece of news, which is a hint."""


class News:
    """Tells the other workers at once what would otherwise wait for their next look: hints, which may get lost."""

    def __init__(self, place: Place, fleet: Fleet, hub: EventHub, snapshots: SnapshotFollower) -> None:
        self._place = place
        self._snapshots = snapshots
        self.changed = asyncio.Event()
        """Set when another worker has taken up a change of the configuration."""
        self._took_up = False
        self._fleet = fleet
        self._hub = hub
        self._queues: set[Queue] = set()
        self._events: set[tuple[int, str]] = set()
        self._due = False
        self._own: socket.socket | None = None
        self._to: dict[Path, socket.socket] = {}
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(_Told)

    async def start(self) -> None:
        """Begin to tell and to hear; nothing for a single process."""
        if not self._place.crewed:
            return
        path = self._place.folder / NEWS
        path.unlink(missing_ok=True)
        own = self._own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        mask = os.umask(0o177)
        try:
            with unix_paths.reachable(path) as near:
                own.bind(near)
        finally:
            os.umask(mask)
        asyncio.get_running_loop().add_reader(own, self._hear)
        self._fleet.listeners.append(self._queued)
        self._hub.neighbours.append(self._notified)
        self._snapshots.listeners.append(self._followed)

    async def stop(self) -> None:
        """Neither tell nor hear any more."""
        if self._own is None:
            return
        asyncio.get_running_loop().remove_reader(self._own)
        self._fleet.listeners.remove(self._queued)
        self._hub.neighbours.remove(self._notified)
        self._snapshots.listeners.remove(self._followed)
        for one in (self._own, *self._to.values()):
            one.close()
        self._own = None

    def _queued(self, queues: set[Queue]) -> None:
        if len(self._queues) < NEWS_MOST:
            self._queues |= queues
        self._soon()

    def _notified(self, accounts: list[int], kind: str) -> None:
        if len(self._events) < NEWS_MOST:
            self._events.update((account, kind) for account in accounts)
        self._soon()

    def _followed(self) -> None:
        self._took_up = True
        self._soon()

    def _soon(self) -> None:
        """Once a turn of the loop, whatever was said in it."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._due = False
        if self._own is None:
            return
        octets = self._encoder.encode(_Told(sorted(self._queues), sorted(self._events), self._took_up))
        self._took_up = False
        self._queues.clear()
        self._events.clear()
        for worker in self._place.siblings:
            path = worker_pool.folder_of(self._place.root, worker) / NEWS
            try:
                self._socket(path).send(octets)
            except OSError:  # it is not there, or does not read: it looks by itself
                if (gone := self._to.pop(path, None)) is not None:
                    gone.close()

    def _socket(self, path: Path) -> socket.socket:
        found = self._to.get(path)
        if found is None:
            found = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                with unix_paths.reachable(path) as near:
                    found.connect(near)
            except OSError:
                found.close()
                raise
            self._to[path] = found
        return found

    def _hear(self) -> None:
        assert self._own is not None  # noqa: S101 - it is read while it is open
        try:
            told = self._decoder.decode(self._own.recv(1 << 18))
        except (OSError, msgspec.DecodeError):
            return
        if told.changed:
            self.changed.set()
        if told.queues:
            self._fleet.announced(set(told.queues))
        for kind in {kind for _, kind in told.events}:
            self._hub.notified([account for account, of in told.events if of == kind], kind)


class _Told(msgspec.Struct, array_like=True):
    queues: list[tuple[int, int]]
    events: list[tuple[int, str]]
    changed: bool
