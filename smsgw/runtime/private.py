"""What smsgw writes is for its own user: numbers, texts and sealed passwords are in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

MASK = 0o077
"""Taken from the rights of every file that a command of ours makes."""


def close(folder: Path, inside: Iterable[str] = ()) -> None:
    """Make a folder for us alone. One that is ours already, with what lies in it and in its folders ``inside``, loses
    the rights that others have."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    closed = int(_closed(folder))
    for path in (folder, *(folder / name for name in inside)):
        if path.is_dir() and not path.is_symlink():
            with os.scandir(path) as entries:
                closed += sum(_closed(Path(entry.path)) for entry in entries if entry.is_file(follow_symlinks=False))
            closed += _closed(path)
    if closed:
        log.warning("data.closed", folder=str(folder), entries=closed, reason="others had rights to them")


def _closed(path: Path) -> bool:
    """Whether others had rights; a folder of others, for all (``/tmp``), or of the system (``/srv``) stays as it is."""
    found = path.lstat()
    if stat.S_ISDIR(found.st_mode) and len(path.resolve().parts) <= 2:
        return False
    if found.st_uid != os.geteuid() or not found.st_mode & MASK or found.st_mode & stat.S_ISVTX:
        return False
    path.chmod(stat.S_IMODE(found.st_mode) & ~MASK)
    return True
