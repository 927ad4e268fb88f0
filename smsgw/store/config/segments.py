"""Number segments from the data file of the `phone` package, read once at start."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

from smsgw.core.numbers import CBN, CMCC, CTCC, CUCC, Home, Segments

_HEAD = struct.Struct("<4si")
_ENTRY = struct.Struct("<iiB")

# 4, 5, 6 and 8 are resellers; what counts for a route is the network that carries them.
_CARRIERS = {1: CMCC, 2: CUCC, 3: CTCC, 4: CTCC, 5: CUCC, 6: CMCC, 7: CBN, 8: CBN}


class SegmentsUnreadable(Exception):
    """The segment file is missing or is not what it should be."""


def load_segments(path: Path | None = None, overrides: Iterable[tuple[str, Home]] = ()) -> Segments:
    """All segments of the file (by default the one of the installed package), then the overrides.

    Takes two tenths of a second. Raises `SegmentsUnreadable`.
    """
    path = path or _installed_file()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SegmentsUnreadable(f"{path}: {error.strerror}") from error

    return Segments(overrides, sevens=_read(data, path))


def _installed_file() -> Path:
    spec = find_spec("phone")
    if spec is None or spec.origin is None:
        raise SegmentsUnreadable("the package `phone` is not installed")
    return Path(spec.origin).with_name("phone.dat")


def _read(data: bytes, path: Path) -> Iterator[tuple[int, Home]]:
    """The file: a version, the offset of the index, records `province|city|zip|area\\0`, then the index."""
    if len(data) < _HEAD.size:
        raise SegmentsUnreadable(f"{path}: too short")
    _, index = _HEAD.unpack_from(data)
    if not _HEAD.size <= index <= len(data):
        raise SegmentsUnreadable(f"{path}: index at {index}, file of {len(data)} octets")
    places: dict[int, tuple[str, str]] = {}
    homes: dict[tuple[int, int], Home] = {}
    usable = len(data) - (len(data) - index) % _ENTRY.size
    for prefix, offset, kind in _ENTRY.iter_unpack(memoryview(data)[index:usable]):
        home = homes.get((offset, kind))
        if home is None:
            carrier = _CARRIERS.get(kind)
            if carrier is None:
                continue
            if offset not in places:
                places[offset] = _place(data, offset, index, path)
            home = homes[offset, kind] = Home(carrier, *places[offset])
        yield prefix, home


def _place(data: bytes, offset: int, index: int, path: Path) -> tuple[str, str]:
    end = data.find(b"\0", offset, index) if 0 < offset < index else -1
    fields = data[offset:end].decode("utf-8", "replace").split("|") if end >= 0 else []
    if len(fields) < 2:
        raise SegmentsUnreadable(f"{path}: no record at offset {offset}")
    return fields[0], fields[1]
