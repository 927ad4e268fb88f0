"""A process that ends with the one that has begun it, however that ends: their pipe is closed by the kernel.

What has begun it holds the other end of its standard input and writes nothing. (A signal at the parent's death would
come when the *thread* ends that has begun the process, and is lost by who changes their user.)
"""

from __future__ import annotations

import os
import signal
import threading


def attach() -> None:
    """From now on the end of standard input is a SIGTERM."""
    threading.Thread(target=_wait, name="attached", daemon=True).start()


def _wait() -> None:
    while True:
        try:
            if not os.read(0, 4096):
                break
        except OSError:
            break
    os.kill(os.getpid(), signal.SIGTERM)
