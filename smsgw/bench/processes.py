"""CPU and memory of processes, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the command's name; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return []


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, and of its children that have ended and were waited for."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / _TICKS if fields else 0.0


def children(pid: int) -> list[int]:
    """The live children of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            fields = _stat(int(entry.name))
            if fields and int(fields[1]) == pid:
                found.append(int(entry.name))
    return found


def name(pid: int) -> str:
    """The command's name; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def peak_memory_mib(pid: int) -> float:
    """The most resident memory that the process ever had; 0 when it is gone."""
    return _status_mib(pid, "VmHWM:")


def memory_mib(pid: int) -> float:
    """The resident memory of the process now; 0 when it is gone."""
    return _status_mib(pid, "VmRSS:")


def _status_mib(pid: int, field: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(field)), 0.0)


def machine_seconds() -> tuple[float, float]:
    """Seconds for which all cores together have worked and been idle (as who waits for a disk is) since the machine's
    start. What the host gave to other machines meanwhile (steal) was worked, by others."""
    first = Path("/proc/stat").read_text("ascii").partition("\n")[0]
    user, nice, system, idle, waiting, *others = (int(ticks) / _TICKS for ticks in first.split()[1:9])
    return user + nice + system + sum(others), idle + waiting


@dataclass(frozen=True, slots=True)
class Cores:
    """What the cores of the machine did, as shares of all the time that they had."""

    cores: int
    idle: float
    """Waiting for a disk included: another process could have had it."""
    others: float
    """Of processes that are not ours, of the system beside ours, and of other machines of the same host."""

    @property
    def bound(self) -> float:
        """By how much a run could be faster at most, with the same work a message and no core idle."""
        return 1 / max(1e-9, 1 - self.idle)


class CpuMeter:
    """CPU used since ``start``, by group of processes. A group named with ``tree`` includes live children."""

    def __init__(self, groups: Mapping[str, int | Sequence[int]], *, trees: Iterable[str] = ()) -> None:
        self._groups = groups
        self._trees = frozenset(trees)
        self._before: dict[str, float] = {}
        self._machine = 0.0, 0.0

    def start(self) -> None:
        """Count from here."""
        self._before, self._machine = self._now(), machine_seconds()

    def used(self) -> dict[str, float]:
        """Seconds of CPU by group."""
        return {group: max(0.0, spent - self._before[group]) for group, spent in self._now().items()}

    def cores(self, used: Mapping[str, float]) -> Cores:
        """What all cores did meanwhile, of which the groups have used ``used``."""
        worked, idle = (now - before for now, before in zip(machine_seconds(), self._machine, strict=True))
        time = max(1e-9, worked + idle)
        return Cores(os.cpu_count() or 1, idle / time, max(0.0, worked - sum(used.values())) / time)

    def _now(self) -> dict[str, float]:
        spent = {}
        for group, given in self._groups.items():
            pids = [given] if isinstance(given, int) else list(given)
            if group in self._trees:
                pids += [child for pid in pids for child in children(pid)]
            spent[group] = sum(map(cpu_seconds, pids))
        return spent
