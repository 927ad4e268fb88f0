"""Paths of unix sockets: a kernel takes 107 octets, and a data directory may lie deeper."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LIMIT = 107
"""Octets (unix(7), sun_path)."""


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """The path, or a short one to the same place that holds inside the ``with``: by way of its open folder.

    Raises ``OSError`` when the folder is not there.
    """
    if len(os.fsencode(path)) <= LIMIT:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
