"""A process that is attached ends when its parent is gone, however the parent ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

CHILD = "from smsgw.runtime.attached import attach; attach(); print(1, flush=True); import time; time.sleep(60)"
PARENT = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,"
    " start_new_session=True)\n"
    "child.stdout.readline()\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)\n"
)


def _gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_it_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        assert not _gone(pid)
        parent.kill()
    deadline = time.monotonic() + 20
    while not _gone(pid):
        assert time.monotonic() < deadline, os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def test_it_ends_by_a_signal_that_it_can_clear_up_after() -> None:
    with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdout.readline()
        child.stdin.close()
        assert child.wait(20) == -signal.SIGTERM
