"""Where in China an address is: province and city, by the offline table of ip2region (IPv4; of IPv6 nothing is known).

The table is a file of a package, mapped into memory: what nobody looks up costs nothing. Carriers lead phones out in
other provinces now and then, so it is a hint, and is called one.

Its form (xdb 2): a head of 256 octets; for each first half of an address, where the ranges of it begin and end; ranges
of 14 octets in order, each with its first and last address and where its text is. Numbers are little-endian.
"""

from __future__ import annotations

import importlib.util
import mmap
import struct
from functools import lru_cache
from ipaddress import IPv4Address
from pathlib import Path
from typing import NamedTuple

from smsgw.core.addresses import parse_address
from smsgw.core.words.places import ABROAD, CHINA, CITY, PROVINCE

_PACKAGE, _TABLE = "iputil", Path("data") / "ip2region.xdb"
_HEAD = 256
_HALF, _RANGE = struct.Struct("<II"), struct.Struct("<IIHI")
_UNKNOWN = ("", "0")


@lru_cache(maxsize=1)
def _table() -> mmap.mmap:
    """The package itself is not imported: it would open the file once more, and never close it."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"the package {_PACKAGE} is not installed")
    with (Path(spec.submodule_search_locations[0]) / _TABLE).open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _text(address: int) -> str:
    """What the table says of an address: country, area, province, city and carrier; empty: nothing."""
    table = _table()
    first, last = _HALF.unpack_from(table, _HEAD + (address >> 16) * _HALF.size)
    low, high = 0, (last - first) // _RANGE.size
    while low <= high:
        middle = (low + high) // 2
        begin, end, size, place = _RANGE.unpack_from(table, first + middle * _RANGE.size)
        if address < begin:
            high = middle - 1
        elif address > end:
            low = middle + 1
        else:
            return table[place : place + size].decode()
    return ""


class Region(NamedTuple):
    """Where it is; empty: not known."""

    province: str = ""
    """As numbers' home areas are called; ``ABROAD``."""
    city: str = ""
    """The same; of a province that is one city, empty."""


@lru_cache(maxsize=4096)
def region_of(address: str) -> Region:
    """Where an address is."""
    parsed = parse_address(address)
    if not isinstance(parsed, IPv4Address) or not parsed.is_global:
        return Region()
    country, _, province, city, *_rest = (*_text(int(parsed)).split("|"), "", "", "", "")
    if country in _UNKNOWN:
        return Region()
    if country != CHINA:
        return Region(ABROAD)
    if province in _UNKNOWN:
        return Region()
    province, city = province.removesuffix(PROVINCE), "" if city in _UNKNOWN else city.removesuffix(CITY)
    return Region(province, "" if city == province else city)
