"""CPU and memory of processes, from /proc."""

from __future__ import annotations

import os
from collections.abc import Iterable
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


class CpuMeter:
    """CPU used since ``start``, by group of processes. A group named with ``tree`` includes live children."""

    def __init__(self, groups: dict[str, int], *, trees: Iterable[str] = ()) -> None:
        self._groups = groups
        self._trees = frozenset(trees)
        self._before: dict[str, float] = {}

    def start(self) -> None:
        """Count from here."""
        self._before = self._now()

    def used(self) -> dict[str, float]:
        """Seconds of CPU by group."""
        return {group: max(0.0, spent - self._before[group]) for group, spent in self._now().items()}

    def _now(self) -> dict[str, float]:
        spent = {}
        for group, pid in self._groups.items():
            pids = [pid, *children(pid)] if group in self._trees else [pid]
            spent[group] = sum(map(cpu_seconds, pids))
        return spent
