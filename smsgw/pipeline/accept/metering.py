"""Messages per second of accounts: what this process grants, or what all workers of its machine grant together."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
from pathlib import Path
from typing import Protocol

import structlog

from smsgw.core.rates import Meter

log = structlog.get_logger(__name__)

_SLOT = struct.Struct("dd")
SLOTS = 1 << 20
"""Accounts whose meters are shared, by their ids; those beyond have one in each process."""
TRIES = 3
"""For the lock of a slot, which is held for microseconds by whoever is not frozen."""


class Meters(Protocol):
    """Of accounts. ``now``: seconds of the machine's monotonic clock."""

    @property
    def granting(self) -> int:
        """Nodes that grant by these meters."""

    def take(self, account_id: int, rate: float, now: float, n: int) -> float:
        """Take ``n`` of an account's: 0 when granted, else the seconds until the same would be."""

    def remaining(self, account_id: int, rate: float, now: float) -> int:
        """How many would be granted at once."""


class OwnMeters:
    """Of one process."""

    granting = 1

    def __init__(self) -> None:
        self._meters: dict[int, Meter] = {}
        """Only accounts that exist have one."""

    def take(self, account_id: int, rate: float, now: float, n: int) -> float:
        """See ``Meters``."""
        return self._of(account_id).take(rate, now, n)

    def remaining(self, account_id: int, rate: float, now: float) -> int:
        """See ``Meters``."""
        return self._of(account_id).remaining(rate, now)

    def _of(self, account_id: int) -> Meter:
        meter = self._meters.get(account_id)
        if meter is None:
            meter = self._meters[account_id] = Meter()
        return meter


class Others(Protocol):
    """The processes that share the meters."""

    @property
    def running(self) -> int:
        """How many there are, this one among them."""


class SharedMeters:
    """Of the workers of one machine: a file that all have in memory. A slot is locked while it is changed, by the
    kernel, which gives the lock of a process back that dies. Nobody waits for one that is frozen with it, nor for room
    on the disk: each grants its equal part then."""

    def __init__(self, path: Path, others: Others) -> None:
        self._others = others
        self._own = OwnMeters()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._memory: mmap.mmap | None = None
        try:  # all of it at once: who writes to memory for which the disk has no room is killed
            os.posix_fallocate(self._fd, 0, SLOTS * _SLOT.size)
            self._memory = mmap.mmap(self._fd, SLOTS * _SLOT.size)
        except OSError as exc:
            log.error("meters.not_shared", path=str(path), error=str(exc))

    @property
    def granting(self) -> int:
        """See ``Meters``."""
        return self._others.running

    def take(self, account_id: int, rate: float, now: float, n: int) -> float:
        """See ``Meters``."""
        at = account_id * _SLOT.size
        if self._memory is None or account_id >= SLOTS or not self._locked(at):
            return self._own.take(account_id, self._part(rate), now, n)
        try:
            meter = Meter(*_SLOT.unpack_from(self._memory, at))
            wait = meter.take(rate, now, n)
            _SLOT.pack_into(self._memory, at, *meter.state)
        finally:
            fcntl.lockf(self._fd, fcntl.LOCK_UN, _SLOT.size, at)
        return wait

    def _locked(self, at: int) -> bool:
        for _ in range(TRIES):
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, _SLOT.size, at)
            except OSError:
                os.sched_yield()
            else:
                return True
        return False

    def _part(self, rate: float) -> float:
        return rate / max(1, self._others.running)

    def remaining(self, account_id: int, rate: float, now: float) -> int:
        """See ``Meters``."""
        if self._memory is None or account_id >= SLOTS:
            return self._own.remaining(account_id, self._part(rate), now)
        return Meter(*_SLOT.unpack_from(self._memory, account_id * _SLOT.size)).remaining(rate, now)

    def close(self) -> None:
        """The others go on with them."""
        if self._memory is not None:
            self._memory.close()
        os.close(self._fd)
