from __future__ import annotations

import pytest

from smsgw.core import udh


def test_both_kinds_of_reference() -> None:
    assert udh.concat8(0x1FF, 3, 2) == bytes.fromhex("050003ff0302")
    assert udh.concat16(0x1FF, 3, 2) == bytes.fromhex("06080401ff0302")
    assert udh.parse(udh.concat8(0, 2, 1)).concat == udh.Concat(0, 2, 1)
    assert udh.parse(udh.concat16(0xFFFE, 255, 255)).concat == udh.Concat(0xFFFE, 255, 255, wide=True)


def test_concatenation_beside_ports() -> None:
    header = udh.parse(bytes.fromhex("0b05040b8423f0000341020168656c6c6f"))
    assert header.length == 12
    assert header.concat == udh.Concat(0x41, 2, 1)
    assert [e.iei for e in header.elements] == [udh.IEI_PORTS16, udh.IEI_CONCAT8]
    assert udh.build(header.elements) == bytes.fromhex("0b05040b8423f00003410201")


@pytest.mark.parametrize("octets", ["050003010001", "050003010200", "050003010203", "0400020102", "0500030102"])
def test_what_is_no_concatenation(octets: str) -> None:
    data = bytes.fromhex(octets)
    if data[0] + 1 > len(data):
        with pytest.raises(udh.InvalidUdh):
            udh.parse(data)
    else:
        assert udh.parse(data).concat is None


@pytest.mark.parametrize("octets", ["", "05", "ff0003010201", "0100", "040003010201", "0300"])
def test_headers_that_lie(octets: str) -> None:
    with pytest.raises(udh.InvalidUdh):
        udh.parse(bytes.fromhex(octets))


def test_last_of_repeated_elements_counts() -> None:
    assert udh.parse(bytes.fromhex("0a" + "0003010201" + "0003020302")).concat == udh.Concat(2, 3, 2)


def test_build_refuses_what_does_not_fit() -> None:
    with pytest.raises(udh.InvalidUdh):
        udh.build((udh.Element(0x70, bytes(138)),))
    with pytest.raises(udh.InvalidUdh):
        udh.build((udh.Element(0x70, bytes(256)),))
    assert len(udh.build((udh.Element(0x70, bytes(137)),))) == 140
