from __future__ import annotations

import struct
from pathlib import Path

import pytest

from smsgw.core import numbers
from smsgw.core.numbers import Home, Segments
from smsgw.store.config.segments import SegmentsUnreadable, load_segments


@pytest.fixture(scope="module")
def installed() -> Segments:
    return load_segments()


def test_installed_data_agrees_with_the_package(installed: Segments) -> None:
    from phone import Phone

    peer = Phone()
    kinds = {"移动": "CMCC", "联通": "CUCC", "电信": "CTCC", "广电": "CBN"}
    checked = 0
    for prefix in range(1_300_000, 2_000_000, 1_999):
        theirs = peer.find(prefix)
        if theirs is None:
            continue
        home = installed.home(f"86{prefix}0000")
        assert (home.carrier, home.province, home.city) == (
            kinds[theirs["phone_type"][:2]], theirs["province"], theirs["city"],
        )  # fmt: skip
        checked += 1
    assert checked > 200
    assert len(installed) > 400_000


def test_installed_data_falls_back_and_can_be_overridden(installed: Segments) -> None:
    assert installed.home("8617899991234") is not None
    ported = load_segments(overrides=[("13800138000", Home(numbers.CUCC))])
    assert numbers.carrier_of("8613800138000", ported) == numbers.CUCC
    assert numbers.carrier_of("8613800138001", ported) == numbers.CMCC


@pytest.mark.parametrize(
    "content",
    [None, b"", b"2312" + struct.pack("<i", 9999),
     b"2312" + struct.pack("<i", 8) + struct.pack("<iiB", 1380013, 4, 1),
     b"2312" + struct.pack("<i", 20) + b"no record\0\0\0" + struct.pack("<iiB", 1380013, 8, 1)],
)  # fmt: skip
def test_a_broken_or_missing_file_is_named(content: bytes | None, tmp_path: Path) -> None:
    file = tmp_path / "phone.dat"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SegmentsUnreadable, match=r"phone\.dat"):
        load_segments(file)
