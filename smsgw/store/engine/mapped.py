"""Files as memory: what is put there belongs to the kernel at once and survives the end of the process, without a call
of the system, a thread, or a wait for what the file system has to do for others."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
from pathlib import Path

_POPULATE_WRITE = 23
"""``MADV_POPULATE_WRITE`` (Linux 5.14), which Python's ``mmap`` does not know."""
_libc = ctypes.CDLL(None, use_errno=True)


class MappedFile:
    """A new file of a size that stays. Its room on the disk is taken when it is made, and all its pages are there: who
    puts something into it waits for nothing. Made and removed in threads, for these wait for the disk."""

    def __init__(self, path: Path, octets: int) -> None:
        """``OSError`` when it is there, or there is no room."""
        self.path = path
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            # Nothing that is put later may find the disk full: the kernel would end the process.
            os.posix_fallocate(fd, 0, octets)
            self._memory = mmap.mmap(fd, octets)
            _populate(self._memory)
        except BaseException:
            path.unlink()
            raise
        finally:
            os.close(fd)

    def __len__(self) -> int:
        return len(self._memory)

    def put(self, at: int, octets: bytes) -> None:
        """``octets`` stand there from now on."""
        self._memory[at : at + len(octets)] = octets

    def close(self) -> None:
        """It is a file like others."""
        self._memory.close()

    def remove(self) -> None:
        """Close it, and have it gone."""
        self.close()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


def _populate(memory: mmap.mmap) -> None:
    """Have all pages there, to be written. An older kernel has each when it is first written: then that is waited for.
    Not by way of ``memory.madvise``, which keeps the interpreter meanwhile."""
    begin = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    _libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(len(memory)), _POPULATE_WRITE)
