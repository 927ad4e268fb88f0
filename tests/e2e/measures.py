"""Figures of runs: times in words, and what a process has of memory and files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def percentile(times: Sequence[float], share: float) -> float:
    """Of times in seconds, in milliseconds."""
    return round(sorted(times)[min(len(times) - 1, int(len(times) * share))] * 1000, 1)


def quantiles(times: Sequence[float]) -> str:
    """Of times in seconds, for people."""
    if not times:
        return "-"
    p50, p99, most = (percentile(times, share) for share in (0.5, 0.99, 1))
    return f"p50 {p50} ms, p99 {p99} ms, most {most} ms of {len(times)}"


def memory(pid: int) -> tuple[int, int]:
    """MiB that a process has in memory, and had at most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines if ":" in line)
    now, most = (int(status[name].split()[0]) // 1024 for name in ("VmRSS", "VmHWM"))
    return now, most


def files(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))
